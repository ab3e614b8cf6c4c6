//! Runs: stepped, stopped, taken back, saved and taken up again, against the same solve left alone.
//!
//! Invariant: every comparison is of bits.

#![allow(clippy::unwrap_used, reason = "tests")]

use std::path::PathBuf;

use ravine::base::value::Value;
use ravine::report::ResultEntry;
use ravine::session::Session;

use super::harness::{run, session};

const HEAD: &str = "problem valley {
  var a: Real from -1.2
  var b: Real from 1
  minimize (1 - a)^2 + 100*(b - a^2)^2
}
problem fit {
  var w: Vector[3] from 0.5
  minimize mean(i in 1..40) (w[1]*sin(i) + w[2]*cos(i) + w[3] - sin(2*i))^2
}
problem waves {
  var x: Real >= -10 <= 10 from 3
  minimize x^2/10 + 3*sin(2*x)
}
param target: Vector[2] = [1, 2]
problem moved {
  var x: Vector[2] from 0
  minimize sumsq(x - target)^2
}
## A method of the file's own, with a history and a restart.
optimizer own(lr: Real) {
  state v = zeros(x)
  state past = history(3, zeros(x))
  state k = 0
  step t {
    let g = grad(x)
    v <- 0.9*v - lr*g
    past <- v
    k <- k + 1
    x <- x + v + 0.01*lr*normal(x)
    record speed = norm(v)
    restart when k >= 17
  }
}
";

/// A folder of this test's own.
fn folder(name: &str) -> PathBuf {
    let dir = std::env::temp_dir().join(format!("ravine-runs-{name}-{}", std::process::id()));
    std::fs::create_dir_all(&dir).unwrap();
    dir
}

/// Bits of a value that `print` computed; texts as they are.
fn printed(s: &mut Session, text: &str) -> Vec<String> {
    let before = s.report.results.len();
    let r = run(s, "runs.opt", text);
    assert!(r.codes.iter().all(|c| !matches!(c.id(), "R0101")), "{}", r.shown);
    let found: Vec<String> = s.report.results[before..]
        .iter()
        .filter_map(|e| match e {
            ResultEntry::Value {
                value: Value::Array { tensor, .. },
                ..
            } => Some(
                tensor
                    .to_dense()
                    .iter()
                    .map(|v| format!("{:016x} ", v.to_bits()))
                    .collect(),
            ),
            ResultEntry::Value {
                value: Value::Text(t), ..
            } => Some(t.clone()),
            _ => None,
        })
        .collect();
    assert!(!found.is_empty(), "{text}: {}", r.shown);
    found
}

/// Pipelines of every kind, with the problem they run on and what is looked at.
const COURSES: &[(&str, &str, &str)] = &[
    (
        "valley",
        "heavy_ball(lr: 1e-3) for 90 steps",
        "a, r.b, r.v, r.objective",
    ),
    ("valley", "own(1e-4) for 90 steps", "a, r.b, r.v, r.k, r.speed"),
    ("valley", "lbfgs()", "a, r.b"),
    ("valley", "newton_tr()", "a, r.b"),
    ("fit", "sgd(lr: 0.1, batch: 4) for 60 steps", "w"),
    (
        "fit",
        "clip(1) |> adam(lr: 0.05) |> averaged() for 60 steps then lbfgs()",
        "w",
    ),
    (
        "valley",
        "adam(0.05) for 30 steps then gd(1e-3) for 20 steps then newton_tr()",
        "a, r.b",
    ),
    (
        "valley",
        "race { gd(1e-3) for 60 steps; adam(0.05) for 50 steps then newton_tr(); lbfgs() }",
        "a, r.b",
    ),
    (
        "waves",
        "multistart(7) { adam(0.1) |> projected() for 5 steps then lbfgs() }",
        "x",
    ),
    (
        "valley",
        "repeat(4) { gd(1e-3) for 7 steps then adam(0.01) for 3 steps } for 33 steps then lbfgs()",
        "a, r.b",
    ),
];

/// Where the solve ends that nobody looks at: variables of the problem.
fn alone(problem: &str, pipeline: &str) -> Vec<String> {
    let vars = match problem {
        "valley" => "s.a, s.b, s.status",
        "fit" => "s.w, s.status",
        _ => "s.x, s.status",
    };
    let mut s = session(&folder("alone"));
    run(&mut s, "head.opt", HEAD);
    printed(
        &mut s,
        &format!("s = solve {problem} cold with {pipeline}\nprint {vars}"),
    )
}

fn ends(s: &mut Session, problem: &str, r: &str) -> Vec<String> {
    let vars = match problem {
        "valley" => format!("{r}.a, {r}.b, {r}.status"),
        "fit" => format!("{r}.w, {r}.status"),
        _ => format!("{r}.x, {r}.status"),
    };
    printed(s, &format!("print {vars}"))
}

/// Stepped one by one, in pieces, looked at between: the same end as the solve. Taken back and forth: the same states.
/// Saved in the middle and taken up in a new session: the same end.
#[test]
fn a_run_is_the_solve_however_it_is_cut() {
    let dir = folder("cut");
    for (k, (problem, pipeline, look)) in COURSES.iter().enumerate() {
        let want = alone(problem, pipeline);
        let look = format!("print r.step, r.{look}, r.evaluations");
        let mut s = session(&dir);
        run(&mut s, "head.opt", HEAD);
        printed(&mut s, &format!("r = start {problem} with {pipeline}\n{look}"));
        let mut seen = vec![];
        for n in [1, 1, 1, 5, 2, 9, 1, 17] {
            seen.push(printed(&mut s, &format!("step r for {n} steps\n{look}")));
        }
        printed(&mut s, "write r to \"r.json\"\nprint r.status");
        // Back to steps it was at, and forward again.
        let at: Vec<usize> = [1, 2, 3, 8, 10, 19, 20, 37].to_vec();
        for back in [5, 0, 3, 6] {
            let end = run(&mut s, "back.opt", &format!("rewind r to {}\n", at[back]));
            if end.codes.is_empty() {
                assert_eq!(printed(&mut s, &look), seen[back], "{pipeline} back to {}", at[back]);
            }
        }
        printed(&mut s, "step r for 100000 steps\nprint r.status");
        assert_eq!(ends(&mut s, problem, "r"), want, "{pipeline}");
        // Another process would know the file alone.
        let mut t = session(&dir);
        run(&mut t, "head.opt", HEAD);
        let resumed = printed(
            &mut t,
            &format!(
                "q = start {problem} with {pipeline} resume \"r.json\"\n{}",
                look.replace("r.", "q.")
            ),
        );
        assert_eq!(resumed, seen[7], "{k}: {pipeline}");
        printed(&mut t, "step q for 100000 steps\nprint q.status");
        assert_eq!(ends(&mut t, problem, "q"), want, "{pipeline}, resumed");
    }
    std::fs::remove_dir_all(&dir).unwrap();
}

/// A condition stops between two steps, at the first step where it holds; the run goes on from there.
#[test]
fn break_when_stops_at_the_first_step_where_it_holds() {
    let mut s = session(&folder("break"));
    run(&mut s, "head.opt", HEAD);
    // By hand: gd on the valley from (-1.2, 1).
    let (mut a, mut b, mut k) = (-1.2f64, 1.0f64, 0);
    while b >= 0.9 {
        let (ga, gb) = (-2.0 * (1.0 - a) - 400.0 * a * (b - a * a), 200.0 * (b - a * a));
        (a, b, k) = (a - 1e-4 * ga, b - 1e-4 * gb, k + 1);
        assert!(k < 100_000);
    }
    let stopped = printed(
        &mut s,
        "r = start valley with gd(1e-4)\nstep r break when b < 0.9\nprint r.step",
    );
    assert_eq!(stopped, [format!("{:016x} ", f64::from(k).to_bits())]);
    let same = printed(
        &mut s,
        "s = solve valley cold with gd(1e-4) break when b < 0.9\nprint s.step, s.status",
    );
    assert_eq!(same[0], stopped[0]);
    assert_eq!(same[1], "feasible");
    // What stopped is stepped on, and what it was looked at with does not matter.
    let on = printed(&mut s, "step s for 5 steps\nstep r for 5 steps\nprint s.a, r.a");
    assert_eq!(on[0], on[1]);
    for (condition, holds) in [
        ("objective < 4", "r.objective < 4"),
        ("stationarity < 2", "r.stationarity < 2"),
        ("norm(v) > 0.02", "norm(r.v) > 0.02"),
        ("step >= 12", "r.step == 12"),
        ("evaluations >= 30", "r.evaluations >= 30"),
        ("a*b > target[1]*0 - 1 and change < 1", "r.a*r.b > -1"),
    ] {
        let text = format!(
            "r = start valley with heavy_ball(lr: 1e-4)\nstep r for 400 steps break when {condition}\nprint {holds}, r.step < 400"
        );
        let found = printed(&mut s, &text);
        let yes = format!("{:016x} ", 1f64.to_bits());
        assert_eq!(found, [yes.clone(), yes], "{condition}");
    }
}

/// A condition over a state of a later stage holds back until that stage, and stops where a loop by hand finds it.
#[test]
fn a_break_waits_for_the_stage_that_it_is_about() {
    let grad = |a: f64, b: f64| (-2.0 * (1.0 - a) - 400.0 * a * (b - a * a), 200.0 * (b - a * a));
    let (mut a, mut b, mut k) = (-1.2f64, 1.0f64, 0);
    for _ in 0..10 {
        let g = grad(a, b);
        (a, b, k) = (a - 1e-3 * g.0, b - 1e-3 * g.1, k + 1);
    }
    let (mut v, mut fast) = ((0.0, 0.0), 0);
    for _ in 0..50 {
        let g = grad(a, b);
        v = (0.9 * v.0 - 1e-3 * g.0, 0.9 * v.1 - 1e-3 * g.1);
        (a, b, k) = (a + v.0, b + v.1, k + 1);
        if fast == 0 && (v.0 * v.0 + v.1 * v.1).sqrt() > 0.01 {
            fast = k;
        }
    }
    let (mut m, mut steep) = ((0.0, 0.0), 0);
    let mut w = (0.0, 0.0);
    for t in 1..=40 {
        let g = grad(a, b);
        m = (0.9 * m.0 + 0.1 * g.0, 0.9 * m.1 + 0.1 * g.1);
        w = (0.999 * w.0 + 0.001 * g.0 * g.0, 0.999 * w.1 + 0.001 * g.1 * g.1);
        let (p, q) = (1.0 - 0.9f64.powi(t), 1.0 - 0.999f64.powi(t));
        let move_of = |m: f64, w: f64| 0.01 * (m / p) / ((w / q).sqrt() + 1e-8);
        (a, b, k) = (a - move_of(m.0, w.0), b - move_of(m.1, w.1), k + 1);
        if steep == 0 && (m.0 * m.0 + m.1 * m.1).sqrt() > 0.3 {
            steep = k;
        }
    }
    assert!(fast > 11 && steep > 61, "{fast}, {steep}: neither condition is trivial");
    let mut s = session(&folder("later"));
    run(&mut s, "head.opt", HEAD);
    let course = "gd(1e-3) for 10 steps then heavy_ball(1e-3) for 50 steps then adam(0.01) for 40 steps";
    for (condition, at) in [("norm(v) > 0.01", fast), ("norm(m) > 0.3", steep), ("step >= 77", 77)] {
        let found = printed(
            &mut s,
            &format!("r = start valley with {course}\nstep r break when {condition}\nprint r.step"),
        );
        assert_eq!(found, [format!("{:016x} ", f64::from(at).to_bits())], "{condition}");
    }
    // The end of a course ends the waiting.
    let found = printed(
        &mut s,
        &format!("r = start valley with {course}\nstep r break when norm(m) > 1e9\nprint r.step, r.status"),
    );
    assert_eq!(found, [format!("{:016x} ", 100f64.to_bits()), "step limit".into()]);
}

/// A parameter rebound, a problem declared again, a solve beside it: the run is what it was.
#[test]
fn a_run_owns_what_it_began_with() {
    let mut s = session(&folder("own"));
    run(&mut s, "head.opt", HEAD);
    let want = alone("moved", "heavy_ball(lr: 0.02) for 40 steps");
    run(
        &mut s,
        "a.opt",
        "r = start moved with heavy_ball(lr: 0.02) for 40 steps\nstep r for 10 steps\n",
    );
    run(&mut s, "b.opt", "target = [5, 5]\nsolve moved\n");
    run(&mut s, "c.opt", "step r for 100 steps\n");
    assert_eq!(ends(&mut s, "moved", "r"), want);
}

/// Files that do not belong, are damaged, cut, of another version or forged are refused, and nothing panics.
#[test]
fn what_does_not_belong_is_refused() {
    let dir = folder("refused");
    let line = "r = start moved with heavy_ball(lr: 0.02) for 40 steps";
    let mut s = session(&dir);
    run(&mut s, "head.opt", HEAD);
    run(
        &mut s,
        "a.opt",
        &format!("{line}\nstep r for 10 steps\nwrite r to \"r.json\"\n"),
    );
    let good = std::fs::read_to_string(dir.join("r.json")).unwrap();
    let resume = |head: &str, text: &str, line: &str| {
        std::fs::write(dir.join("x.json"), text).unwrap();
        let mut s = session(&dir);
        run(&mut s, "head.opt", head);
        let r = run(
            &mut s,
            "b.opt",
            &format!("{line} resume \"x.json\"\nstep r for 3 steps\n"),
        );
        (r.codes.iter().map(|c| c.id()).collect::<Vec<_>>(), r.shown)
    };
    assert_eq!(resume(HEAD, &good, line).0, Vec::<&str>::new());
    for (head, line, words) in [
        (HEAD.replace("[1, 2]", "[1, 3]"), line.to_string(), "`target`"),
        (
            HEAD.replace("sumsq(x - target)^2", "sumsq(x - target)"),
            line.to_string(),
            "`moved`",
        ),
        (HEAD.to_string(), line.replace("0.02", "0.03"), "`start` line"),
        (
            HEAD.to_string(),
            line.replace("heavy_ball(lr: 0.02)", "gd(lr: 0.02)"),
            "`start` line",
        ),
        (
            HEAD.to_string(),
            line.replace("moved with", "moved from x = 1 with"),
            "`start` line",
        ),
        (
            HEAD.to_string(),
            line.replace("moved with", "moved seed 4 with"),
            "`start` line",
        ),
    ] {
        let (codes, shown) = resume(&head, &good, &line);
        assert_eq!(codes, ["R0714"], "{shown}");
        assert!(shown.contains(words), "{words}: {shown}");
    }
    let version = env!("CARGO_PKG_VERSION");
    let other = good.replace(&format!("\"version\":\"{version}\""), "\"version\":\"9.9.9\"");
    assert!(resume(HEAD, &other, line).1.contains("9.9.9"));
    let mut bad = vec![
        String::new(),
        "{}".into(),
        "[1, 2]".into(),
        "{\"schema\":\"other/1\",\"version\":\"1\"}".into(),
        good.replace("\"step\":10", "\"step\":11"),
        good.replacen("3f", "40", 1),
    ];
    bad.extend((0..40).map(|k| good.chars().take(good.len() * k / 40).collect::<String>()));
    for text in bad {
        let (codes, shown) = resume(HEAD, &text, line);
        assert_eq!(codes, ["R0714"], "{shown}\n{}", &text[..text.len().min(300)]);
    }
    std::fs::remove_dir_all(&dir).unwrap();
}

/// Mistakes are found before anything runs, with a way out.
#[test]
fn mistakes_about_runs_are_said_before_anything_runs() {
    for (text, code, words) in [
        ("start valley with gd(1e-3)", "R0110", "r = start"),
        ("step r", "R0201", "no run `r`"),
        ("s = solve valley\nstep s", "R0201", "finished solve"),
        ("r = start valley with gd(1e-3)\nstep q", "R0201", "no run `q`"),
        (
            "run1 = start valley with gd(1e-3)\nstep run2",
            "R0201",
            "did you mean `run1`",
        ),
        ("step valley", "R0201", "a problem"),
        (
            "r = start valley with gd(1e-3)\nstep r for 3 epochs",
            "R0110",
            "in steps",
        ),
        (
            "r = start valley with gd(1e-3)\nstep r for 2.5 steps",
            "R0202",
            "integer",
        ),
        (
            "r = start valley with gd(1e-3)\nstep r for 3 steps for 4 steps",
            "R0110",
            "twice",
        ),
        (
            "r = start valley with gd(1e-3)\nstep r break when nrm(a) > 1",
            "R0201",
            "did you mean",
        ),
        (
            "r = start valley with gd(1e-3)\nstep r break when a + b",
            "R0202",
            "condition",
        ),
        ("r = start valley with gd(1e-3)\nprint r.velocity", "R0216", "velocity"),
        ("r = start valley with gd(1e-3)\nrewind r to 4", "R0714", "has not been"),
        ("solve valley with gd(1e-3) resume \"r.json\"", "R0110", "`start`"),
        (
            "r = start valley with gd(1e-3) resume \"none.json\"",
            "R0601",
            "none.json",
        ),
        ("r = start valley with gd(1e-3)\nwrite r to \"r.csv\"", "R0606", ".json"),
        (
            "r = start valley with gd(1e-3) within 5 seconds for 3 steps break when",
            "R0101",
            "",
        ),
        ("r = start waves with gd(1e-3)", "R0712", "bounds"),
        ("r = start nothing with gd(1e-3)", "R0705", "no problem"),
    ] {
        let mut s = session(&folder("mistakes"));
        run(&mut s, "head.opt", HEAD);
        let r = run(&mut s, "m.opt", &format!("{text}\n"));
        let codes: Vec<&str> = r.codes.iter().map(|c| c.id()).collect();
        assert!(
            codes.contains(&code) && r.shown.contains(words),
            "{text}: {codes:?}\n{}",
            r.shown
        );
    }
}

/// The words of these commands are names as well.
#[test]
fn words_about_runs_are_names_too() {
    let mut s = session(&folder("words"));
    let r = run(
        &mut s,
        "w.opt",
        "param step: Real = 2\nparam start: Real = 3\nparam rewind: Real = 4\nparam resume: Real = 5\nlet y = step*start + rewind - resume\nstep = 3\nprint y, step in {3, 4}\nvar x: Real\nminimize (x - start)^2\nsubject to\n  step*x <= 100\ns = solve\nprint s.x\n",
    );
    assert!(r.codes.is_empty(), "{}", r.shown);
}

/// What stopped on its way is taken back to where it was, and its columns have names.
#[test]
fn a_solve_that_stopped_goes_back() {
    let mut s = session(&folder("back"));
    let text = "problem p {
  var x: Vector[2] from [1, 2]
  minimize sumsq(x)
}
s = solve p with gd(0.1) for 50 steps break when norm(x) < 0.1
rewind s to 3
print s.path[\"x[2]\"]";
    let r = run(&mut s, "back.opt", text);
    assert!(r.codes.is_empty(), "{}", r.shown);
    assert!(r.shown.contains("[2, 1.6, 1.28, 1.024]"), "{}", r.shown);
    let r = run(&mut s, "column.opt", "print s.path.x");
    assert!(r.shown.contains("path[\"x[1]\"]"), "{}", r.shown);
}
