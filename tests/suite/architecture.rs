//! The layers: who may import whom, and what may be named only in one place.

use std::collections::BTreeMap;

use super::harness::{files, root};

/// Modules of the root package and what each may import beside `base` and `ir`.
fn allowed() -> BTreeMap<&'static str, &'static [&'static str]> {
    BTreeMap::from([
        ("base", &[] as &[_]),
        ("ir", &[]),
        ("atoms", &[]),
        ("lang", &["atoms"]),
        ("passes", &["atoms"]),
        ("exec", &["atoms"]),
        ("forms", &["atoms", "passes", "exec"]),
        ("solve", &["atoms", "passes", "exec", "forms"]),
        ("io", &[]),
        ("report", &["atoms", "solve"]),
        (
            "session",
            &["atoms", "lang", "passes", "exec", "forms", "solve", "io", "report"],
        ),
        ("cli", &["session", "report", "io"]),
    ])
}

/// The module of `src` a file belongs to.
fn module(path: &std::path::Path) -> Option<String> {
    let rest = path.strip_prefix(root().join("src")).ok()?;
    let first = rest.components().next()?.as_os_str().to_string_lossy().into_owned();
    Some(first.trim_end_matches(".rs").to_string())
}

#[test]
fn imports_point_down_only() {
    let allowed = allowed();
    let mut wrong = vec![];
    for p in files(&root().join("src"), "rs") {
        let Some(m) = module(&p).filter(|m| m != "lib" && m != "main") else {
            continue;
        };
        let Some(may) = allowed.get(m.as_str()) else {
            wrong.push(format!("{} belongs to no layer: add it to the table", p.display()));
            continue;
        };
        let text = std::fs::read_to_string(&p).expect("source is text");
        let code = text.split("#[cfg(test)]").next().unwrap_or_default();
        for (k, line) in code.lines().enumerate() {
            if line.trim_start().starts_with("//") {
                continue;
            }
            for part in line.split("crate::").skip(1) {
                let used: Vec<String> = match part.strip_prefix('{') {
                    Some(list) => list
                        .split(',')
                        .map(|s| {
                            s.trim()
                                .split("::")
                                .next()
                                .unwrap_or("")
                                .trim_end_matches(['}', ';'])
                                .to_string()
                        })
                        .collect(),
                    None => vec![
                        part.split(|c: char| !(c.is_alphanumeric() || c == '_'))
                            .next()
                            .unwrap_or("")
                            .to_string(),
                    ],
                };
                for u in used.iter().filter(|u| allowed.contains_key(u.as_str()) && **u != m) {
                    let base = u == "base" || (u == "ir" && m != "base") || may.contains(&u.as_str());
                    if !base {
                        wrong.push(format!("{}:{}: `{m}` may not import `{u}`", p.display(), k + 1));
                    }
                }
            }
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

#[test]
fn the_kernel_knows_the_session_only() {
    let mut wrong = vec![];
    for p in files(&root().join("kernel/src"), "rs") {
        let text = std::fs::read_to_string(&p).expect("source is text");
        for (k, line) in text.lines().enumerate() {
            for part in line.split("ravine::").skip(1) {
                if !["session", "base"].iter().any(|m| part.starts_with(m)) {
                    wrong.push(format!("{}:{}: {}", p.display(), k + 1, line.trim()));
                }
            }
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

#[test]
fn foreign_names_stay_in_their_place() {
    let mut wrong = vec![];
    for folder in ["src", "kernel/src", "linalg/src"] {
        for p in files(&root().join(folder), "rs") {
            let text = std::fs::read_to_string(&p).expect("source is text");
            let code = text.split("#[cfg(test)]").next().unwrap_or_default();
            let linalg = folder == "linalg/src";
            for (k, line) in code.lines().enumerate() {
                if line.trim_start().starts_with("//") {
                    continue;
                }
                for (word, fine) in [
                    ("faer::", linalg),
                    ("clarabel::algebra", linalg && p.ends_with("clarabel_adapter.rs")),
                    ("clarabel::solver", linalg && p.ends_with("clarabel_adapter.rs")),
                ] {
                    if line.contains(word) && !fine {
                        wrong.push(format!("{}:{}: `{word}`", p.display(), k + 1));
                    }
                }
            }
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

#[test]
fn every_module_states_its_purpose_and_invariant() {
    let mut wrong = vec![];
    for folder in ["src", "kernel/src", "linalg/src"] {
        for p in files(&root().join(folder), "rs") {
            let text = std::fs::read_to_string(&p).expect("source is text");
            let head: Vec<&str> = text.lines().take_while(|l| l.starts_with("//!")).collect();
            let entry = p.ends_with("lib.rs") || p.ends_with("main.rs");
            if head.is_empty() || !(entry || head.iter().any(|l| l.contains("Invariant:"))) {
                wrong.push(p.strip_prefix(root()).unwrap_or(&p).display().to_string());
            }
        }
    }
    assert!(
        wrong.is_empty(),
        "no purpose or invariant at the head of\n{}",
        wrong.join("\n")
    );
}
