//! Examples against answers computed without Ravine (`tests/peers/reference.json`).
//!
//! Invariant: every example has a reference, and every solve of an example is compared, in order.

use serde_json::Value;
use std::path::{Path, PathBuf};
use std::process::Command;

fn root() -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR"))
}

fn reference() -> Value {
    let text = std::fs::read_to_string(root().join("tests/peers/reference.json")).expect("the reference is committed");
    serde_json::from_str(&text).expect("the reference is JSON")
}

/// What `ravine run FILE --json` prints.
fn run(file: &Path) -> Value {
    let out = Command::new(env!("CARGO_BIN_EXE_ravine"))
        .args(["run", "--json"])
        .arg(file)
        .output()
        .expect("the binary runs");
    let text = String::from_utf8_lossy(&out.stdout);
    serde_json::from_str(&text).unwrap_or_else(|e| {
        panic!(
            "{}: {e}\n{text}\n{}",
            file.display(),
            String::from_utf8_lossy(&out.stderr)
        )
    })
}

/// Pairs of numbers at the same place of both trees: lists by position, objects by label.
fn pairs(expected: &Value, found: &Value, place: &str, out: &mut Vec<(f64, f64)>) {
    match (expected, found) {
        (Value::Array(a), Value::Array(b)) => {
            assert_eq!(a.len(), b.len(), "{place}: length");
            for (i, (a, b)) in a.iter().zip(b).enumerate() {
                pairs(a, b, &format!("{place}[{i}]"), out);
            }
        }
        (Value::Object(a), Value::Object(b)) => {
            assert_eq!(a.len(), b.len(), "{place}: number of labels");
            for (key, a) in a {
                let b = b.get(key).unwrap_or_else(|| panic!("{place}: no entry {key}"));
                pairs(a, b, &format!("{place}.{key}"), out);
            }
        }
        _ => out.push((number(expected, place), number(found, place))),
    }
}

fn number(v: &Value, place: &str) -> f64 {
    v.as_f64().unwrap_or_else(|| panic!("{place}: not a number: {v}"))
}

/// Largest difference, relative to the largest expected entry.
fn distance(expected: &Value, found: &Value, place: &str) -> f64 {
    let mut all = Vec::new();
    pairs(expected, found, place, &mut all);
    let size = all.iter().map(|p| p.0.abs()).fold(0.0, f64::max);
    let off = all.iter().map(|p| (p.0 - p.1).abs()).fold(0.0, f64::max);
    off / if size > 0.0 { size } else { 1.0 }
}

/// Complaints about one solve.
fn compare(name: &str, expected: &Value, found: &Value, complaints: &mut Vec<String>) {
    let near = |key: &str| number(&expected["near"][key], key);
    let place = format!("{name}, {}", expected["solve"]);
    let (want, got) = (
        number(&expected["objective"], &place),
        number(&found["objective"], &place),
    );
    if !((got - want).abs() <= near("objective") * (1.0 + want.abs())) {
        complaints.push(format!("{place}: objective {got}, expected {want}"));
    }
    for group in ["variables", "duals"] {
        for (key, want) in expected[group].as_object().into_iter().flatten() {
            let at = format!("{place}: {key}");
            let off = distance(want, &found[group][key], &at);
            if !(off <= near(group)) {
                complaints.push(format!("{at} is off by {off:.1e}"));
            }
        }
    }
    if let Some(want) = expected["condition"].as_f64() {
        let got = number(&found["condition"], &place);
        if !(got / want < 10.0 && want / got < 10.0) {
            complaints.push(format!("{place}: condition {got}, expected {want}"));
        }
        let (mut all, claimed) = (Vec::new(), number(&found["error"], &place));
        pairs(&expected["variables"], &found["variables"], &place, &mut all);
        let norm = |it: &mut dyn Iterator<Item = f64>| it.map(|v| v * v).sum::<f64>().sqrt();
        let true_error = norm(&mut all.iter().map(|p| p.0 - p.1)) / norm(&mut all.iter().map(|p| p.0));
        if !(claimed >= true_error) {
            complaints.push(format!(
                "{place}: error {claimed:.1e} is claimed, {true_error:.1e} is true"
            ));
        }
    }
}

#[test]
fn examples_agree_with_peers() {
    let reference = reference();
    let examples = reference["examples"].as_object().expect("an object");
    let mut files: Vec<PathBuf> = std::fs::read_dir(root().join("examples"))
        .expect("the folder of examples")
        .map(|e| e.expect("an entry").path())
        .filter(|p| p.extension().is_some_and(|e| e == "opt"))
        .collect();
    files.sort();
    let mut complaints = Vec::new();
    for file in &files {
        let name = file.file_stem().expect("a name").to_string_lossy();
        let Some(expected) = examples.get(&*name).and_then(Value::as_array) else {
            complaints.push(format!("{name} has no reference in tests/peers/reference.py"));
            continue;
        };
        let report = run(file);
        let solves: Vec<&Value> = report["results"]
            .as_array()
            .into_iter()
            .flatten()
            .filter(|r| r["kind"] == "solve")
            .collect();
        if solves.len() != expected.len() {
            complaints.push(format!("{name}: {} solves, expected {}", solves.len(), expected.len()));
        }
        for (expected, found) in expected.iter().zip(solves) {
            compare(&name, expected, found, &mut complaints);
        }
    }
    assert_eq!(files.len(), examples.len(), "a reference without its example");
    assert!(complaints.is_empty(), "{}", complaints.join("\n"));
}

/// The models of other languages' tutorials against the values of `tests/peers/models.py`.
#[test]
fn models_agree_with_peers() {
    let text = std::fs::read_to_string(root().join("tests/peers/models.json")).expect("the values are committed");
    let reference: Value = serde_json::from_str(&text).expect("the values are JSON");
    let reference = reference.as_object().expect("an object");
    let mut complaints = Vec::new();
    for (name, want) in reference {
        let report = run(&root().join(format!("tests/programs/models/{name}.opt")));
        let mut solves = report["results"].as_array().into_iter().flatten();
        let found = solves.rfind(|r| r["kind"] == "solve");
        let (got, want) = (found.and_then(|s| s["objective"].as_f64()), number(want, name));
        if !got.is_some_and(|v| (v - want).abs() <= 1e-6 * (1.0 + want.abs())) {
            complaints.push(format!("{name}: {got:?}, expected {want}"));
        }
    }
    assert!(
        complaints.is_empty() && reference.len() >= 10,
        "{}",
        complaints.join("\n")
    );
}

#[test]
fn a_wrong_answer_is_noticed() {
    let reference = reference();
    let right = &reference["examples"]["02-portfolio"][0];
    let mut complaints = Vec::new();
    compare("planted", right, right, &mut complaints);
    assert!(complaints.is_empty(), "{complaints:?}");
    for (group, key) in [("variables", "w"), ("duals", "gain")] {
        let mut wrong = right.clone();
        match &mut wrong[group][key] {
            Value::Object(of) => of["gold"] = Value::from(0.5),
            other => *other = Value::from(-number(other, key)),
        }
        let before = complaints.len();
        compare("planted", right, &wrong, &mut complaints);
        assert_eq!(complaints.len(), before + 1, "{group}");
    }
}

/// Says `ignored` without `.venv`; fails there where `RAVINE_REQUIRE` names python.
#[test]
fn references_can_be_computed_again() {
    let python = root().join(".venv/bin/python");
    if !python.exists() {
        let required = std::env::var("RAVINE_REQUIRE").is_ok_and(|r| r.contains("python"));
        assert!(!required, "no .venv: run scripts/setup-python.sh");
        eprintln!("ignored: no .venv (scripts/setup-python.sh makes one)");
        return;
    }
    let out = Command::new(python)
        .arg(root().join("tests/peers/reference.py"))
        .arg("--check")
        .output()
        .expect("Python starts");
    let (text, errors) = (
        String::from_utf8_lossy(&out.stdout),
        String::from_utf8_lossy(&out.stderr),
    );
    assert!(out.status.success(), "{text}{errors}");
}
