//! Races, many starts, repetitions and limits around them: against the same methods run alone, and against a grid.
//!
//! Invariant: no test is timed; what a runner spends is counted.

#![allow(clippy::unwrap_used, reason = "tests")]

use ravine::base::value::Value;
use ravine::report::SolveEntry;
use ravine::solve::Status;
use ravine::solve::course::{Board, Sort};

use super::harness::{last_solve, root, run, session};

const VALLEY: &str = "problem valley {
  var a: Real from -1.2
  var b: Real from 1
  minimize (1 - a)^2 + 100*(b - a^2)^2
}
problem waves {
  var x: Real >= -10 <= 10 from 3
  minimize x^2/10 + 3*sin(2*x)
}
problem bowl {
  var x: Vector[3] from 1
  minimize sumsq(x) + sum(x)
}
";

/// The entry of a solve.
fn solved(command: &str) -> SolveEntry {
    let mut s = session(&root());
    let r = run(&mut s, "race.opt", &format!("{VALLEY}{command}\n"));
    last_solve(&s)
        .unwrap_or_else(|| panic!("{command}: {}", r.shown))
        .clone()
}

fn codes(command: &str) -> (Vec<&'static str>, String) {
    let mut s = session(&root());
    let r = run(&mut s, "race.opt", &format!("{VALLEY}{command}\n"));
    assert!(last_solve(&s).is_none(), "{command}: it ran");
    (r.codes.iter().map(|c| c.id()).collect(), r.shown)
}

fn bits(e: &SolveEntry) -> Vec<u64> {
    let mut out = vec![];
    for (_, v) in &e.variables {
        if let Value::Array { tensor, .. } = v {
            out.extend(tensor.to_dense().iter().map(|v| v.to_bits()));
        }
    }
    out
}

fn board(e: &SolveEntry, sort: Sort) -> &Board {
    e.boards.iter().find(|b| b.sort == sort).expect("a board")
}

/// A built-in method and a scripted one race alike: the winner's run is its run alone, bit for bit; what the others spent
/// is what the winner spent, up to their last step; and who is written first does not matter.
#[test]
fn the_winner_of_a_race_is_the_one_with_least_work() {
    let runners = ["lbfgs()", "newton_tr()", "gd(1e-3)", "heavy_ball(lr: 1e-3, beta: 0.9)"];
    let alone: Vec<SolveEntry> = runners
        .iter()
        .map(|r| solved(&format!("solve valley with {r}")))
        .collect();
    for order in [[0, 1, 2, 3], [3, 2, 1, 0], [2, 0, 3, 1]] {
        let names = order.map(|k| runners[k]).join("; ");
        let e = solved(&format!("solve valley with race {{ {names} }}"));
        let b = board(&e, Sort::Race);
        let won: Vec<usize> = (0..4).filter(|k| b.lines[*k].first).collect();
        let [w] = won.as_slice() else {
            panic!("{names}: {} winners", won.len())
        };
        let winner = &b.lines[*w];
        let k = order[*w];
        assert_eq!(winner.what, runners[k]);
        assert!(k < 2, "{names}: {} won", winner.what);
        assert_eq!(bits(&e), bits(&alone[k]), "{names}");
        assert_eq!(e.iterations, alone[k].iterations, "{names}");
        assert_eq!(e.method, alone[k].method);
        for l in &b.lines {
            let alone = &alone[runners.iter().position(|r| *r == l.what).unwrap()];
            if !l.first {
                // At least as much work as the winner, or it ended by itself; and no more than a turn beyond.
                let ended = alone.iterations == Some(l.steps);
                assert!(
                    l.work >= winner.work || ended,
                    "{names}: {} {} {}",
                    l.what,
                    l.work,
                    winner.work
                );
                assert!(
                    l.work <= winner.work + 2.0 * 32.0 + 16.0,
                    "{names}: {} {}",
                    l.what,
                    l.work
                );
            }
            assert!(l.steps > 0 && l.evaluations > 0);
        }
    }
}

/// Pipelines of several stages and races inside races keep their results; so does a race whose goal is an `until`.
#[test]
fn races_of_pipelines_and_of_races() {
    let e = solved(
        "solve valley with race {
  slow: gd(1e-4)
  mixed: adam(0.05) for 30 steps then newton_tr()
  inner: race { gd(1e-3); heavy_ball(lr: 1e-3) }
}",
    );
    let b = board(&e, Sort::Race);
    assert_eq!(
        b.lines.iter().map(|l| l.what.as_str()).collect::<Vec<_>>(),
        ["slow", "mixed", "inner"]
    );
    assert!(b.lines[1].first && e.status == Status::LocallyOptimal, "{:?}", b.lines);
    let same = solved("solve valley with adam(0.05) for 30 steps then newton_tr()");
    assert_eq!((bits(&e), e.iterations), (bits(&same), same.iterations));

    let goal = solved("solve valley with race { gd(1e-3); heavy_ball(lr: 1e-3) } until objective <= 0.5");
    let b = board(&goal, Sort::Race);
    assert!(
        goal.objective.unwrap() <= 0.5 && goal.as_written,
        "{:?}",
        goal.objective
    );
    assert_eq!(b.lines.iter().filter(|l| l.first).count(), 1);
}

/// No runner gets there: the best point is kept, and the report says that nobody won.
#[test]
fn a_race_without_a_winner_keeps_the_best() {
    let e = solved("solve valley with race { gd(1e-4) for 5 steps; gd(1e-3) for 5 steps; gd(1e3) for 5 steps }");
    let b = board(&e, Sort::Race);
    assert!(b.lines.iter().all(|l| !l.first));
    assert_eq!(b.lines[2].status, Some(Status::Diverged));
    let alone = solved("solve valley with gd(1e-3) for 5 steps");
    assert_eq!(bits(&e), bits(&alone));
    assert!(e.method_why.contains("without a winner"), "{}", e.method_why);
}

/// The best of many starts is the global minimum of a function on an interval, by a grid; every optimum of the table is
/// a critical point; the seed decides the starts.
#[test]
fn many_starts_find_the_optima_of_a_grid() {
    let f = |x: f64| x * x / 10.0 + 3.0 * (2.0 * x).sin();
    let least = (0..=200_000)
        .map(|k| f(-10.0 + 20.0 * f64::from(k) / 200_000.0))
        .fold(f64::INFINITY, f64::min);
    let e = solved("solve waves with multistart(40) { lbfgs() }");
    assert!((e.objective.unwrap() - least).abs() < 1e-6, "{:?} {least}", e.objective);
    let b = board(&e, Sort::Optima);
    assert_eq!(b.lines.iter().map(|l| l.times).sum::<usize>(), 40);
    assert!(b.lines.len() >= 3, "{:?}", b.lines);
    for (k, l) in b.lines.iter().enumerate() {
        let x = l.point[0];
        let slope = (f(x + 1e-5) - f(x - 1e-5)) / 2e-5;
        let inside = x.abs() < 10.0 - 1e-9;
        assert!(slope.abs() < 1e-4 || !inside, "{x}: {slope}");
        assert!((l.objective.unwrap() - f(x)).abs() < 1e-9);
        assert!(k == 0 || l.objective >= b.lines[k - 1].objective);
    }
    assert_eq!(bits(&e), bits(&solved("solve waves with multistart(40) { lbfgs() }")));
    let other = solved("solve waves seed 5 with multistart(40) { lbfgs() }");
    assert_ne!(other.boards, e.boards);
    // One start is the method itself.
    assert_eq!(
        bits(&solved("solve waves with multistart(1) { lbfgs() }")),
        bits(&solved("solve waves with lbfgs()"))
    );
    // Without bounds they are drawn around the start; the one optimum is found from each.
    let bowl = solved("solve bowl with multistart(5, spread: 3) { newton_tr() }");
    let b = board(&bowl, Sort::Optima);
    assert_eq!((b.lines.len(), b.lines[0].times), (1, 5));
}

/// Repetition is the pipeline written out; limits around it hold for the whole.
#[test]
fn repetition_is_the_pipeline_written_out() {
    let stage = "adam(0.05) for 7 steps then gd(1e-3) for 3 steps";
    let e = solved(&format!("solve valley with repeat(3) {{ {stage} }} then newton_tr()"));
    let same = solved(&format!(
        "solve valley with {stage} then {stage} then {stage} then newton_tr()"
    ));
    assert_eq!(
        (bits(&e), e.iterations, &e.method),
        (bits(&same), same.iterations, &same.method)
    );
    let cut = solved("solve valley with repeat(10) { gd(1e-3) for 5 steps } for 12 steps");
    assert_eq!((cut.iterations, cut.as_written), (Some(12), true));
    assert_eq!(bits(&cut), bits(&solved("solve valley with gd(1e-3) for 12 steps")));
    let all = solved(
        "pipeline p(r: Real) = repeat(2) { gd(r) for 4 steps }\nsolve valley with p(1e-3) for 7 steps then gd(1e-3) for 1 steps",
    );
    assert_eq!(bits(&all), bits(&solved("solve valley with gd(1e-3) for 8 steps")));
    let until = solved("solve valley with repeat(100) { gd(1e-3) for 50 steps } until objective <= 0.5");
    assert!(until.objective.unwrap() <= 0.5 && until.iterations.unwrap() < 5000 && until.as_written);
    // Each runner of a race has the limit for itself.
    let each = solved("solve valley with race { gd(1e-3); gd(2e-3) } for 9 steps");
    assert_eq!(
        board(&each, Sort::Race)
            .lines
            .iter()
            .map(|l| l.steps)
            .collect::<Vec<_>>(),
        [9, 9]
    );
}

/// What does not fit is an error before anything runs.
#[test]
fn what_does_not_fit_is_said_before_the_run() {
    for (command, code, words) in [
        ("solve valley with race { lbfgs() }", "R0711", "at least two"),
        ("solve valley with race { }", "R0711", "nothing in the braces"),
        ("solve valley with race", "R0711", "in braces"),
        (
            "solve valley with rase { lbfgs(); newton_tr() }",
            "R0711",
            "did you mean `race`",
        ),
        ("solve valley with lbfgs() { newton_tr() }", "R0711", "`race { … }`"),
        ("solve valley with multistart { lbfgs() }", "R0702", "how often"),
        ("solve valley with multistart(0) { lbfgs() }", "R0702", "positive"),
        ("solve valley with multistart(2.5) { lbfgs() }", "R0202", "integer"),
        ("solve valley with multistart(1000000) { lbfgs() }", "R0702", "at most"),
        (
            "solve valley with multistart(3, width: 2) { lbfgs() }",
            "R0702",
            "spread",
        ),
        (
            "solve valley with multistart(3) { lbfgs(); newton_tr() }",
            "R0711",
            "runs one pipeline",
        ),
        (
            "solve valley with race(3) { lbfgs(); newton_tr() }",
            "R0702",
            "takes none",
        ),
        (
            "solve valley with clip(1) |> race { lbfgs(); newton_tr() }",
            "R0711",
            "inside the braces",
        ),
        (
            "solve valley with race { lbfgs(); newton_trr() }",
            "R0701",
            "did you mean",
        ),
        (
            "solve valley with race { a: lbfgs(); a: newton_tr() }",
            "R0208",
            "two runners",
        ),
        ("solve waves with race { lbfgs(); gd(0.1) }", "R0712", "bounds"),
        (
            "solve valley with race { lbfgs(); sgd(0.1, batch: 2) }",
            "R0712",
            "mini-batches",
        ),
        ("solve valley with repeat(3) { gd(0.1 }", "R0103", ""),
        ("solve valley with race { lbfgs( ; ) ) }", "", ""),
        ("solve valley with race { race { race { } } }", "R0711", ""),
    ] {
        let (found, shown) = codes(command);
        if !code.is_empty() {
            assert!(found.contains(&code), "{command}: {found:?}\n{shown}");
        }
        assert!(
            !found.is_empty() && shown.contains(words),
            "{command}: {words}\n{shown}"
        );
    }
}

/// Text, data and page show the tables.
#[test]
fn tables_are_in_every_form_of_the_report() {
    let mut s = session(&root());
    run(
        &mut s,
        "race.opt",
        &format!(
            "{VALLEY}solve valley with race {{ lbfgs(); gd(1e-3) }}\nsolve waves with multistart(9) {{ lbfgs() }}\n"
        ),
    );
    let json = ravine::report::json::report(&s.report, &s.sources);
    let boards = |k: usize| &json["results"][k]["boards"][0];
    assert_eq!(boards(0)["kind"], "race");
    assert_eq!(boards(0)["lines"][0]["first"], true);
    assert!(boards(0)["lines"][1]["work"].as_f64().unwrap() > 0.0);
    assert_eq!(boards(1)["kind"], "optima");
    let full = |e: &SolveEntry| {
        ravine::report::render::plain(&ravine::report::solve::summary(e, ravine::report::solve::Detail::Full))
    };
    let text = full(last_solve(&s).unwrap());
    assert!(text.contains("distinct optima from 9 starts"), "{text}");
}
