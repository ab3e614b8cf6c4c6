//! The library's optimizers against recorded iterates: `tests/fixtures/*.json`, made by a reference of ours in numpy.
//!
//! Invariant: another optimizer needs its `.opt` text and one row of [`ROWS`]; every row is also stepped in bursts, cut,
//! saved and resumed, to the same bits.

#![allow(clippy::unwrap_used, clippy::print_stderr, reason = "tests")]

mod bursts;
mod problems;
mod rows;

use std::collections::BTreeMap;
use std::sync::Arc;

use ravine::base::value::IndexSet;
use ravine::lang::lower::PointBlock;
use ravine::solve::methods::scripted::{Recorded, Scripted};
use ravine::solve::run::Options;
use ravine::solve::{Class, Counts, Fault, Method, Needs, Oracle, Point, Run, Saved};
use serde_json::Value as Json;

use super::harness::{report_failures, root, session};
use problems::{Problem, flat, number, vector};
use rows::ROWS;

/// A row: fixture, case, pipeline, and what of a state or record equals which column of the trace. `{name}` in the
/// pipeline is the hyperparameter of the case; `@x=w` names another column for the point.
struct Row(
    &'static str,
    &'static str,
    &'static str,
    &'static [(&'static str, &'static str)],
);

fn fixture(name: &str) -> Json {
    let path = root().join(format!("tests/fixtures/{name}.json"));
    serde_json::from_str(&std::fs::read_to_string(path).unwrap()).unwrap()
}

fn filled(pipeline: &str, hyper: &Json) -> String {
    let mut text = pipeline.to_string();
    for (k, v) in hyper.as_object().unwrap() {
        let shown = match v {
            Json::String(s) => s.clone(),
            Json::Bool(b) => b.to_string(),
            Json::Number(n) => n.to_string(),
            _ => continue,
        };
        text = text.replace(&format!("{{{k}}}"), &shown);
    }
    text
}

/// Blocks of vectors of such lengths.
fn blocks(lens: &[usize]) -> Vec<PointBlock> {
    let mut offset = 0;
    let block = |(k, n): (usize, &usize)| {
        offset += n;
        PointBlock {
            name: format!("x{k}"),
            dims: vec![IndexSet::upto(*n)],
            offset: offset - n,
            len: *n,
        }
    };
    lens.iter().enumerate().map(block).collect()
}

fn method(pipeline: &str, n: usize) -> Result<Scripted, String> {
    method_on(pipeline, &blocks(&[n]))
}

fn method_on(pipeline: &str, blocks: &[PointBlock]) -> Result<Scripted, String> {
    let mut s = session(&root());
    let mut found = s
        .methods_of(pipeline, blocks)
        .map_err(|d| format!("{pipeline}: {d:#?}"))?;
    found.pop().ok_or_else(|| format!("{pipeline}: no stage"))
}

/// Draws of a case: the k-th draw of a step takes the k-th column that the case has, behind those of its start.
fn draws(case: &Json) -> Option<Recorded> {
    let d = case.get("draws")?.as_object()?;
    let mut out: Recorded = BTreeMap::new();
    // Taken in the first step, in pairs.
    let mut early = 0;
    if let (Some(probes), Some(batches)) = (d.get("initial_probes"), d.get("initial_batches")) {
        for (p, b) in probes.as_array().unwrap().iter().zip(batches.as_array().unwrap()) {
            out.insert((1, early), vector(p));
            out.insert((1, early + 1), vector(b));
            early += 2;
        }
    }
    // Steps with a full gradient draw nothing.
    let full = d.get("note").and(case["hyper"]["m"].as_u64());
    let step = |k: u64| full.map_or(k + 1, |m| k + 2 + k / (m - 1));
    for (draw, name) in ["batches", "index", "probes", "normal"]
        .iter()
        .filter(|n| d.contains_key(**n))
        .enumerate()
    {
        for (k, v) in d[*name].as_array().unwrap().iter().enumerate() {
            let t = step(k as u64);
            let before = if t == 1 { early } else { 0 };
            out.insert((t, before + draw as u64), flat(v));
        }
    }
    Some(out)
}

fn close(a: &[f64], b: &[f64]) -> Option<String> {
    if a.len() != b.len() {
        return Some(format!("{} entries, expected {}", a.len(), b.len()));
    }
    a.iter()
        .zip(b)
        .position(|(a, b)| (a - b).abs() > 1e-12 * b.abs().max(1.0) || a.is_nan())
        .map(|k| format!("entry {}: {:e}, expected {:e}", k + 1, a[k], b[k]))
}

fn check(row: &Row) -> Result<usize, String> {
    let Row(name, case_name, pipeline, columns) = row;
    let f = fixture(name);
    let case = f["cases"]
        .as_array()
        .unwrap()
        .iter()
        .find(|c| c["case"] == *case_name)
        .ok_or(format!("{name} has no case {case_name}"))?;
    let pick = |k: &str| case.get(k).or_else(|| f.get(k)).filter(|v| !v.is_null());
    let start = match pick("start").ok_or("no start")? {
        // "w[0] of the trace"
        Json::String(_) => flat(&case["trace"]["w"][0]),
        s => flat(s),
    };
    let n = start.len();
    let mut hyper = case["hyper"].clone();
    if let Some(first) = case["draws"]["batches"].get(0).and_then(Json::as_array) {
        hyper["batch"] = first.len().into();
    }
    let text = filled(pipeline, &hyper);
    let rows = pick("start").and_then(|s| s.as_array().filter(|s| s[0].is_array()).map(Vec::len));
    let blocks = match rows {
        Some(r) => vec![PointBlock {
            name: "W".into(),
            dims: vec![IndexSet::upto(r), IndexSet::upto(n / r)],
            offset: 0,
            len: n,
        }],
        None if *name == "upgd" => blocks(&[2, n - 2]),
        None => blocks(&[n]),
    };
    let make = || -> Result<Arc<dyn Method>, String> {
        let m = method_on(&text, &blocks)?;
        Ok(match draws(case) {
            Some(d) => Arc::new(m.with_recorded(d)),
            None => Arc::new(m),
        })
    };
    let problem = || {
        let mut p = Problem::read(pick("problem").unwrap(), n);
        if let (Some(lo), Some(hi)) = (case["hyper"].get("lo"), case["hyper"].get("hi")) {
            p.bounds = Some(Arc::new(ravine::solve::Bounds {
                lower: vec![number(lo); n],
                upper: vec![number(hi); n],
                units: vec![],
            }));
        }
        if *name == "exponentiated_gradient" {
            p.simplex = vec![(0, n, 1.0)];
        }
        if let Some(noise) = case["draws"].get("gradient_noise").and_then(Json::as_array) {
            p.noise = noise.iter().map(flat).collect();
        }
        p
    };
    let columns_of_points = if f["fixture"] == "frank_wolfe" {
        ["w", "W", "x", "X"]
    } else {
        ["x", "W", "w", "X"]
    };
    let points = columns_of_points
        .iter()
        .find_map(|c| case["trace"].get(c))
        .ok_or("no points")?;
    let points = points.as_array().unwrap();
    let mut p = problem();
    let method = make()?;
    let mut run = Run::new(method.clone(), &mut p, &Point::plain(start.clone()), Options::default())
        .map_err(|e| e.to_string())?;
    for (t, want) in points.iter().enumerate().skip(1) {
        if let Some(why) = run.advance(&mut p, 1, &|| 0.0) {
            return Err(format!("{text}, step {t}: {why:?}"));
        }
        let state = run.state();
        if let Some(e) = close(&state.x, &flat(want)) {
            return Err(format!("{text}, step {t}, x: {e}"));
        }
        for (slot, column) in *columns {
            let Some(all) = case["trace"].get(column).and_then(Json::as_array) else {
                return Err(format!("{name}/{case_name} has no column {column}"));
            };
            // A column is shorter where it begins later.
            let Some(at) = (t + all.len()).checked_sub(points.len()) else {
                continue;
            };
            if points.len() - all.len() > t {
                continue;
            }
            let card = method.card();
            let have = match card.state.iter().position(|s| s.name == *slot) {
                Some(k) => match &state.slots[k] {
                    ravine::solve::Slot::Number(v) => vec![*v],
                    s => s.array().to_vec(),
                },
                None => match card.records.iter().position(|r| r == slot) {
                    Some(k) => vec![state.records[k]],
                    None => return Err(format!("{text} has no state or record `{slot}`")),
                },
            };
            if let Some(e) = close(&have, &flat(&all[at])) {
                return Err(format!("{text}, step {t}, {slot}: {e}"));
            }
        }
    }
    // The same in bursts, and cut in the middle, saved, read back.
    let steps = points.len() as u64 - 1;
    let mut q = problem();
    let mut burst =
        Run::new(make()?, &mut q, &Point::plain(start.clone()), Options::default()).map_err(|e| e.to_string())?;
    burst.advance(&mut q, steps, &|| 0.0);
    if burst.state() != run.state() || burst.counts() != run.counts() {
        return Err(format!("{text}: a burst ends elsewhere than steps do"));
    }
    let mut q = problem();
    let mut cut = Run::new(make()?, &mut q, &Point::plain(start), Options::default()).map_err(|e| e.to_string())?;
    cut.advance(&mut q, steps / 2, &|| 0.0);
    let saved = serde_json::to_string(&cut.save()).unwrap();
    let saved: Saved = serde_json::from_str(&saved).unwrap();
    let mut q = problem();
    q.noise.drain(..(steps as usize / 2).min(q.noise.len()));
    let mut resumed = Run::resume(make()?, &q, saved).map_err(|e| e.to_string())?;
    resumed.advance(&mut q, steps - steps / 2, &|| 0.0);
    if resumed.state() != run.state() || resumed.counts() != run.counts() {
        return Err(format!("{text}: a run that was cut ends elsewhere"));
    }
    Ok(points.len() - 1)
}

#[test]
fn the_reference_page_is_what_the_definitions_say() {
    let page = ravine::session::Session::library_page();
    let path = root().join("docs/reference/optimizers.md");
    if std::env::var_os("RAVINE_BLESS").is_some() {
        std::fs::write(&path, &page).unwrap();
    }
    let written = std::fs::read_to_string(&path).unwrap_or_default();
    assert!(
        written == page,
        "docs/reference/optimizers.md is not what the definitions say: RAVINE_BLESS=1 cargo test writes it"
    );
}

#[test]
fn the_book_has_the_words_of_a_step() {
    let book = std::fs::read_to_string(root().join("docs/book/11-optimizers.md")).unwrap();
    let missing = ravine::session::Session::words_of_a_step()
        .map(|(form, doc)| format!("| `{form}` | {doc} |"))
        .filter(|row| !book.contains(row));
    report_failures(missing.collect());
}

#[test]
fn recorded_iterates() {
    let mut failures = vec![];
    let mut steps = 0;
    for row in ROWS {
        match check(row) {
            Ok(k) => steps += k,
            Err(e) => failures.push(format!("{} {}: {e}", row.0, row.1)),
        }
    }
    eprintln!("{} rows, {steps} recorded steps", ROWS.len());
    report_failures(failures);
    assert!(steps >= 16 * ROWS.len());
}

/// Schedules: case and expression.
const SCHEDULES: &[(&str, &str)] = &[
    ("constant", "constant({base})"),
    ("inverse", "inverse({base})"),
    ("inverse_offset", "inverse_time({base}, tau: {tau})"),
    ("inverse_sqrt", "inverse_sqrt({base})"),
    ("step", "step_decay({base}, factor: {gamma}, every: {every})"),
    ("exponential", "exponential({base}, factor: {gamma})"),
    (
        "polynomial",
        "polynomial({base}, steps: {T}, last: {end}, power: {power})",
    ),
    (
        "polynomial_short",
        "polynomial({base}, steps: {T}, last: {end}, power: {power})",
    ),
    ("linear", "linear({base}, steps: {T})"),
    ("linear_theory", "t -> {base}*(1 - t/{T})"),
    ("cosine", "cosine({base}, period: {T}, last: {end})"),
    (
        "sgdr_8_2",
        "sgdr({lr_max}, period: {T_0}, factor: {T_mult}, last: {lr_min})",
    ),
    (
        "sgdr_15_1",
        "sgdr({lr_max}, period: {T_0}, factor: {T_mult}, last: {lr_min})",
    ),
    (
        "sgdr_5_3",
        "sgdr({lr_max}, period: {T_0}, factor: {T_mult}, last: {lr_min})",
    ),
    (
        "sgdr_epochs",
        "sgdr({lr_max}, period: {T_0}*{steps_per_epoch}, factor: {T_mult}, last: {lr_min})",
    ),
    ("wsd_linear", "wsd({base}, steps: {T}, cooldown: {cooldown})"),
    ("wsd_sqrt", "wsd_sqrt({base}, steps: {T}, cooldown: {cooldown})"),
    ("warmup_constant", "warmup(constant({base}), steps: {W})"),
    ("warmup_inverse_sqrt", "t -> {base}*min(t/{W}, sqrt({W}/t))"),
    (
        "warmup_then_linear",
        "warmup_then(linear({base}, steps: {T} - {W}), steps: {W})",
    ),
];

/// `f(x) = x`.
struct Line(Counts);

impl Oracle for Line {
    fn dim(&self) -> usize {
        1
    }
    fn class(&self) -> Class {
        Class::Smooth
    }
    fn offers(&self) -> Needs {
        Needs::FIRST_ORDER
    }
    fn value(&mut self, x: &[f64]) -> Result<f64, Fault> {
        self.0.values += 1;
        Ok(x[0])
    }
    fn gradient(&mut self, _: &[f64], g: &mut [f64]) -> Result<(), Fault> {
        self.0.gradients += 1;
        g[0] = 1.0;
        Ok(())
    }
    fn counts(&self) -> Counts {
        self.0
    }
}

#[test]
fn recorded_schedules() {
    let f = fixture("schedules");
    let mut failures = vec![];
    for (name, text) in SCHEDULES {
        let Some(case) = f["cases"].as_array().unwrap().iter().find(|c| c["case"] == *name) else {
            failures.push(format!("no case {name}"));
            continue;
        };
        let text = filled(text, &case["hyper"]);
        let values = vector(&case["values"]);
        // On f(x) = x the gradient is 1: the moves are the schedule.
        let made = match method(&format!("gd(lr: {text})"), 1) {
            Ok(m) => m,
            Err(e) => {
                failures.push(format!("{name}: {e}"));
                continue;
            }
        };
        let mut line = Line(Counts::default());
        let mut run = Run::new(Arc::new(made), &mut line, &Point::plain(vec![0.0]), Options::default()).unwrap();
        let mut before = 0.0;
        for (t, want) in values.iter().enumerate() {
            if let Some(why) = run.advance(&mut line, 1, &|| 0.0) {
                failures.push(format!("{name} at {}: {why:?}", t + 1));
                break;
            }
            let x = run.state().x[0];
            let have = before - x;
            before = x;
            if (have - want).abs() > 1e-12 * (1.0 + x.abs()) {
                failures.push(format!("{name} ({text}) at {}: {have}, expected {want}", t + 1));
                break;
            }
        }
    }
    report_failures(failures);
}
