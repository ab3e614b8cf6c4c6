//! Methods written in the language as a user runs them: what their specifications promise, and what is said when they fail.
//!
//! Invariant: expectations are closed forms or conditions recomputed here, never what an earlier run printed.

#![allow(clippy::unwrap_used, reason = "tests")]

use ravine::base::value::Value;
use ravine::report::SolveEntry;
use ravine::solve::Status;

use super::harness::{last_solve, root, run, session};

/// Runs a program; its last solve.
fn solved(text: &str) -> SolveEntry {
    let mut s = session(&root());
    let ran = run(&mut s, "steps.opt", text);
    last_solve(&s)
        .unwrap_or_else(|| panic!("no solve: {}", ran.shown))
        .clone()
}

fn shown(text: &str) -> String {
    run(&mut session(&root()), "steps.opt", text).shown
}

fn vector(e: &SolveEntry, name: &str) -> Vec<f64> {
    let (_, v) = e.variables.iter().find(|v| v.0 == name).unwrap();
    match v {
        Value::Array { tensor, .. } => tensor.to_dense(),
        _ => panic!("{name} is no array"),
    }
}

/// `f = Σ i (x_i - 1)²`, condition `n`.
const BOWL: &str = "problem bowl {
  var x: Vector[8]
  minimize sum(i in 1..8) i*(x[i] - 1)^2
}
";

const VALLEY: &str = "problem valley {
  var a: Real from -1.2
  var b: Real from 1
  minimize (1 - a)^2 + 100*(b - a^2)^2
}
";

#[test]
fn conjugate_gradients_end_on_a_quadratic() {
    // Eight different eigenvalues: at most eight steps, whatever the rule for beta.
    for rule in ["hager_zhang", "polak_ribiere", "fletcher_reeves", "hestenes_stiefel"] {
        let e = solved(&format!(
            "{BOWL}solve bowl with nonlinear_cg({rule}) |> linesearch(exact) for 8 steps"
        ));
        assert!(e.objective.unwrap() < 1e-24, "{rule}: {:?}", e.objective);
    }
}

/// Evaluations of the first steps of a search, counted by hand: values and gradients of points, each once.
#[test]
fn searches_evaluate_what_their_rules_need() {
    // f = z²/2 from 1. Along -z the whole step ends at 0; along -4 z a quarter, along -8 z an eighth. The gradient and the
    // value at the start are two; then each trial is one, and a gradient there one more, where the rule asks for it.
    let bowl = "problem bowl {\n  var z: Real from 1\n  minimize z^2/2\n}\n";
    // f = (p² + q²/4)/2 from (1, 1). The whole step along the gradient passes both conditions. Then the search begins far out,
    // and the parabola through value, slope and trial has its least value at the solution. The gradient at the second start is
    // that of the last trial, its value is asked anew.
    let oval = "problem oval {\n  var z: Vector[2] from 1\n  minimize (z[1]^2 + z[2]^2/4)/2\n}\n";
    let cases = [
        (bowl, "bowl", "gd(lr: 1) |> linesearch(armijo)", 1, 2 + 1),
        // Halved three times.
        (bowl, "bowl", "gd(lr: 8) |> linesearch(armijo)", 1, 2 + 4),
        (bowl, "bowl", "gd(lr: 1) |> linesearch(wolfe)", 1, 2 + 1 + 1),
        // The first trial is too high, and no gradient is asked there.
        (bowl, "bowl", "gd(lr: 4) |> linesearch(wolfe)", 1, 2 + 1 + 1 + 1),
        (bowl, "bowl", "gd(lr: 1) |> linesearch(hager_zhang)", 1, 2 + 1 + 1),
        // The secant of both slopes hits.
        (bowl, "bowl", "gd(lr: 4) |> linesearch(hager_zhang)", 1, 2 + 2 + 2),
        // A gradient and a product.
        (bowl, "bowl", "gd(lr: 4) |> linesearch(exact)", 1, 2),
        (oval, "oval", "gd(lr: 1) |> linesearch(armijo)", 2, 3 + 3),
        (oval, "oval", "gd(lr: 1) |> linesearch(wolfe)", 2, 4 + (1 + 1 + 1 + 1)),
    ];
    for (problem, name, method, steps, count) in cases {
        let found = shown(&format!(
            "{problem}r = start {name} with {method}\nstep r for {steps} steps\nprint r.evaluations"
        ));
        assert!(
            found.contains(&format!("r.evaluations = {count}\n")),
            "{method}, {count}: {found}"
        );
    }
}

#[test]
fn searches_find_the_valley() {
    for search in ["wolfe", "hager_zhang"] {
        for rule in ["hager_zhang", "polak_ribiere", "fletcher_reeves", "hestenes_stiefel"] {
            let e = solved(&format!(
                "{VALLEY}solve valley with nonlinear_cg({rule}) |> linesearch({search})"
            ));
            assert_eq!(e.status, Status::Stationary, "{rule} {search}: {}", e.reason);
            assert!((vector(&e, "a")[0] - 1.0).abs() < 1e-6);
        }
    }
    // Armijo's rule never lets the objective rise.
    let e = solved(&format!(
        "{VALLEY}solve valley with gd(lr: 1) |> linesearch(armijo) for 50 steps"
    ));
    assert!(e.objective.unwrap() < 24.2);
}

#[test]
fn spectral_steps_on_a_quadratic() {
    // R-linear: condition 8, and a hundred steps leave rounding only.
    for rule in ["long", "short", "alternating"] {
        let e = solved(&format!("{BOWL}solve bowl with barzilai_borwein({rule}) for 100 steps"));
        assert!(e.objective.unwrap() < 1e-20, "{rule}: {:?}", e.objective);
    }
}

#[test]
fn a_search_that_fails_says_why() {
    // Uphill: the optimizer adds the gradient.
    let up = "optimizer up() {\n  step t {\n    x <- x + grad(x)\n  }\n}\n";
    let e = solved(&format!(
        "{VALLEY}{up}solve valley with up() |> linesearch(wolfe) for 5 steps"
    ));
    assert_eq!(e.status, Status::Stalled);
    assert!(e.reason.contains("the update is no descent direction"), "{}", e.reason);
    // The last good point is the start.
    assert_eq!(vector(&e, "a"), [-1.2]);
}

#[test]
fn trial_points_outside_the_domain_are_refused_steps() {
    let e = solved(
        "problem barrier {
  var x: Real from 0.5
  minimize x - log(x) - log(2 - x)
}
solve barrier with gd(lr: 100) |> linesearch(armijo) for 60 steps",
    );
    // 1 - 1/x + 1/(2 - x) = 0 at x = 2 - sqrt(2).
    assert!(
        (vector(&e, "x")[0] - (2.0 - 2f64.sqrt())).abs() < 1e-6,
        "{} {}",
        e.status,
        e.reason
    );
}

#[test]
fn restarts_begin_anew() {
    // With momentum that never decays the objective rises; both rules restart it.
    for rule in ["gradient", "function", "period, every: 40"] {
        let e = solved(&format!(
            "{BOWL}solve bowl with accelerated(lr: 1/16) |> restarted({rule}) for 400 steps"
        ));
        assert!(e.objective.unwrap() < 1e-12, "{rule}: {:?}", e.objective);
    }
    // States begin anew, and so does the number of the step, which schedules and corrections of bias are about.
    let own = "optimizer count() {
  state k = 0
  step t {
    k <- k + 1
    x <- x + 1 + 0*x
    record k = k
    record t = t
    restart when k == 3
    stop when norm(x) >= 7
  }
}
problem p {
  var x: Real from 0
  minimize x^2
}
";
    let e = solved(&format!("{own}solve p with count() for 100 steps"));
    assert_eq!(e.iterations, Some(7));
    assert_eq!(vector(&e, "x"), [7.0]);
    assert!(e.reason.contains("own stopping rule"), "{}", e.reason);
    // k and t have been 1 2 3 1 2 3 1.
    for (steps, number) in [(3, 3), (4, 1), (6, 3)] {
        let text = shown(&format!(
            "{own}r = start p with count() for 100 steps\nstep r for {steps} steps\nprint r.k, r.t"
        ));
        for name in ["k", "t"] {
            assert!(text.contains(&format!("r.{name} = {number}\n")), "{text}");
        }
    }
}

#[test]
fn preconditioners_undo_the_condition() {
    // With the Hessian itself one step of length 1 is Newton's.
    for p in [
        "preconditioned(diag([i in 1..8] (2*i)))",
        "scaled([i in 1..8] (2*i))",
        "jacobi()",
    ] {
        let e = solved(&format!("{BOWL}solve bowl with {p} |> gd(lr: 1) for 1 steps"));
        assert!(e.objective.unwrap() < 1e-25, "{p}: {:?} {}", e.objective, e.reason);
    }
    let text = shown(&format!(
        "{BOWL}solve bowl with scaled([1, 2]) |> gd(lr: 1) for 1 steps"
    ));
    assert!(text.contains("R0702") && text.contains("8 coordinates"), "{text}");
}

#[test]
fn saddle_points() {
    let circle = "problem circle {
  min u: Real from 1
  max v: Real from 1
  objective u*v
}
";
    // Descent-ascent leaves: |z| grows by sqrt(1 + lr^2) each step. 1.01^50 = 1.6446.
    for method in ["gd(lr: 0.1)", "gda(lr: 0.1)"] {
        let e = solved(&format!("{circle}solve circle with {method} for 100 steps"));
        let r2 = vector(&e, "u")[0].powi(2) + vector(&e, "v")[0].powi(2);
        assert!((r2 - 2.0 * 1.01f64.powi(100)).abs() < 1e-9, "{method}: {r2}");
    }
    for method in [
        "extragradient(lr: 0.5)",
        "optimistic_gradient(lr: 0.3)",
        "proximal_point(lr: 1)",
    ] {
        let e = solved(&format!("{circle}solve circle with {method} for 500 steps"));
        assert!(vector(&e, "u")[0].hypot(vector(&e, "v")[0]) < 1e-8, "{method}");
    }
    let e = solved(&format!("{circle}solve circle"));
    assert_eq!(
        (e.status, e.method.as_str(), e.class.as_str()),
        (Status::Optimal, "extragradient", "saddle point")
    );
    // With bounds, the gap is measured: rock-paper-scissors on boxes pulled to the middle.
    let e = solved(
        "problem duel {
  min x: Vector[2] in [0, 1] from 0.9
  max y: Vector[2] in [0, 1] from 0.1
  objective x[1]*y[1] - x[2]*y[2] - x[1]*y[2] + x[2]*y[1] + (x[1] - 0.5)^2 - (y[2] - 0.3)^2
}
solve duel with extragradient(lr: 0.2) until gap <= 1e-9",
    );
    assert_eq!(e.status, Status::Optimal, "{}", e.reason);
    let (x, y) = (vector(&e, "x"), vector(&e, "y"));
    let f = |x: &[f64], y: &[f64]| {
        x[0] * y[0] - x[1] * y[1] - x[0] * y[1] + x[1] * y[0] + (x[0] - 0.5).powi(2) - (y[1] - 0.3).powi(2)
    };
    // No point of a grid is better for either side.
    for a in 0..=20 {
        for b in 0..=20 {
            let p = [f64::from(a) / 20.0, f64::from(b) / 20.0];
            assert!(f(&p, &y) >= f(&x, &y) - 1e-8 && f(&x, &p) <= f(&x, &y) + 1e-8);
        }
    }
}

#[test]
fn saddle_methods_and_plain_problems_do_not_mix() {
    let circle = "problem circle {
  min u: Real from 1
  max v: Real from 1
  objective u*v
}
";
    for (text, code, words) in [
        (
            format!("{VALLEY}solve valley with extragradient(lr: 0.1)"),
            "R0712",
            "operator of a saddle point",
        ),
        (
            format!("{circle}solve circle with lbfgs()"),
            "R0703",
            "looks for a minimum",
        ),
        (
            format!("{circle}solve circle with gd(lr: 1) |> linesearch(wolfe)"),
            "R0712",
            "an objective that it lowers",
        ),
        (
            "problem p {\n  min x: Real from 1\n  objective x^2\n}\nsolve p".into(),
            "R0408",
            "nothing is declared with `max`",
        ),
    ] {
        let out = shown(&text);
        assert!(out.contains(code) && out.contains(words), "{out}");
    }
}

#[test]
fn frank_wolfe_bounds_its_gap() {
    // f = |x - c|²/2 on [0, 1]^4: L = 1, D² = 4, and f_k - f* <= 2 L D²/(k + 2).
    let box4 = "param c: Vector[4] = [2, 0.3, -1, 0.7]
problem box {
  var x: Vector[4] in [0, 1]
  minimize sumsq(x - c)/2
}
";
    let least = (1.0 + 1.0) / 2.0;
    for rule in ["toward, open", "toward, exact", "toward, short", "away", "pairwise"] {
        for k in [1, 5, 20, 100] {
            let e = solved(&format!("{box4}solve box with frank_wolfe({rule}) for {k} steps"));
            let gap = e.objective.unwrap() - least;
            assert!(
                (-1e-12..=8.0 / (f64::from(k) + 2.0)).contains(&gap),
                "{rule} {k}: {gap} {}",
                e.reason
            );
            assert!(vector(&e, "x").iter().all(|v| (0.0..=1.0).contains(v)));
        }
    }
    let e = solved(&format!(
        "{box4}solve box with frank_wolfe(pairwise) until gap <= 1e-6 for 2000 steps"
    ));
    assert!(e.objective.unwrap() - least <= 1e-6, "{:?}", e.objective);
    // At the optimum, where no direction promises anything, and from a start outside.
    for rule in [
        "frank_wolfe(toward)",
        "frank_wolfe(away)",
        "frank_wolfe(pairwise)",
        "corrective_frank_wolfe()",
    ] {
        let e = solved(&format!(
            "problem p {{
  var x: Vector[3] in simplex from 2
  minimize (x[1] - 2)^2 + x[2]^2 + 3*x[3]^2
}}
solve p with {rule} for 50 steps"
        ));
        let x = vector(&e, "x");
        assert!(
            (x[0] - 1.0).abs() < 1e-12 && x[1].abs() + x[2].abs() < 1e-12,
            "{rule} {x:?} {}",
            e.reason
        );
    }
}

#[test]
fn exponentiated_gradient_stays_in_the_simplex() {
    let e = solved(
        "problem p {
  var x: Vector[3] in simplex from 1/3
  minimize (x[1] - 2)^2 + x[2]^2 + 3*x[3]^2
}
solve p with exponentiated_gradient(lr: 0.2) for 60 steps",
    );
    let x = vector(&e, "x");
    assert!((x.iter().sum::<f64>() - 1.0).abs() < 1e-14 && x.iter().all(|v| *v >= 0.0));
    // The gradient at the first corner, (-2, 0, 0), points there.
    assert!(x[0] > 0.999, "{x:?}");
    // Each variable has a simplex of its own, of its own size.
    let e = solved(
        "problem two {
  var a: Vector[3] in simplex
  var b: Vector[2] >= 0
  minimize sumsq(a - [0.5, 0.1, 0]) + sumsq(b - [2, 1])
  subject to
    total: sum(b) == 5
}
solve two with exponentiated_gradient(0.3) for 400 steps",
    );
    let (a, b) = (vector(&e, "a"), vector(&e, "b"));
    let want = [0.5 + 0.4 / 3.0, 0.1 + 0.4 / 3.0, 0.4 / 3.0];
    assert!(a.iter().zip(want).all(|(a, w)| (a - w).abs() < 1e-9), "{a:?}");
    assert!((b[0] - 3.0).abs() < 1e-9 && (b[1] - 2.0).abs() < 1e-9, "{b:?}");
    let e = solved(
        "problem box {
  var x: Vector[3] in [0, 1]
  minimize sumsq(x - 2)
}
solve box with exponentiated_gradient(lr: 0.2) for 60 steps",
    );
    assert!(e.reason.contains("in simplex"), "{}", e.reason);
}

#[test]
fn what_is_handed_out_stays_until_a_step_says_something_else() {
    let e = solved(
        "problem p {
  var x: Vector[2] from 1
  minimize sumsq(x)
}
optimizer third(lr: Real = 0.1) {
  step t {
    x <- x - lr*grad(x)
    if t == 3 {
      answer <- x
    }
  }
}
solve p with third() for 10 steps",
    );
    assert!(vector(&e, "x").iter().all(|v| (v - 0.512).abs() < 1e-14), "{e:?}");
}

// ---- what is said when a step fails ------------------------------------------------------------------------------------

/// An optimizer with the given lines and the solve of `bowl` with it.
fn with_step(states: &str, lines: &str) -> SolveEntry {
    solved(&format!(
        "{BOWL}optimizer own() {{\n{states}\n  step t {{\n{lines}\n  }}\n}}\nsolve bowl with own() for 400 steps"
    ))
}

#[test]
fn divergence_names_step_block_and_expression() {
    let e = solved(&format!("{BOWL}solve bowl with gd(lr: 1) for 1000 steps"));
    assert_eq!(e.status, Status::Diverged);
    assert!(
        e.reason.contains("x <- x - lr(t)*grad(x)") && e.reason.contains("`gd`"),
        "{}",
        e.reason
    );
    assert!(vector(&e, "x").iter().all(|v| v.is_finite()));
    let e = with_step("", "    x <- 1e60*(1 + norm(x))^2*x + 1e60");
    assert_eq!(e.status, Status::Diverged, "{}", e.reason);
}

#[test]
fn faults_of_a_step_are_told() {
    // A zero denominator at the minimum: the gradient is zero there.
    let e = solved(&format!(
        "{BOWL}optimizer own() {{\n  step t {{\n    let g = grad(x)\n    x <- x - 1/norm(g)*g\n  }}\n}}\nsolve bowl from x = 1 with own() for 5 steps"
    ));
    assert!(
        matches!(e.status, Status::Diverged | Status::EvaluationError),
        "{} {}",
        e.status,
        e.reason
    );
    assert!(e.reason.contains("step 1"), "{}", e.reason);
    assert_eq!(vector(&e, "x"), [1.0; 8]);
    // Schedules that give no step length.
    for (schedule, what) in [
        ("t -> 1 - t", "-1"),
        ("t -> log(2 - t)", "inf"),
        ("t -> sqrt(1.5 - t)", "NaN"),
    ] {
        let e = solved(&format!("{BOWL}solve bowl with gd(lr: {schedule}) for 9 steps"));
        assert_eq!(e.status, Status::EvaluationError, "{schedule}");
        assert!(
            e.reason.contains("step 2") || e.reason.contains("step 1"),
            "{schedule} ({what}): {}",
            e.reason
        );
    }
    // A loop without an end.
    let e = with_step(
        "  state k = 0",
        "    while k >= 0 {\n      k <- k + 1\n    }\n    x <- x - 0.01*grad(x)",
    );
    assert!(
        e.status == Status::EvaluationError && e.reason.contains("did not end"),
        "{}",
        e.reason
    );
    // A history that is too short.
    let e = with_step("  state h = history(3, zeros(x))", "    x <- x - 0.01*h[2]");
    assert!(
        e.reason.contains("`h[2]`") && e.reason.contains("holds 0"),
        "{}",
        e.reason
    );
}

#[test]
fn mistakes_are_found_before_the_run() {
    for (states, lines, code) in [
        ("  state v = zeros(x)", "    v <- norm(x)\n    x <- x - v", "R0713"),
        ("", "    let g = grad(x, sample(0))\n    x <- x - g", "R02"),
        ("", "    x <- x - (value(x) - fmin)*grad(x)", "R0712"),
        ("", "    record g = norm(grad(x))", "R0710"),
        ("", "    fail when norm(x)\n    x <- x - grad(x)", "R01"),
    ] {
        let out = shown(&format!(
            "problem wild {{\n  var x: Vector[2]\n  minimize x[1]^3 + x[2]\n}}\noptimizer own() {{\n{states}\n  step t {{\n{lines}\n  }}\n}}\nsolve wild with own() for 3 steps"
        ));
        assert!(out.contains(code), "{lines}: {out}");
    }
}

/// A step that fails says which line failed, and what to try next follows the cause.
#[test]
fn a_failing_step_quotes_its_line() {
    let own = |lines: &str, call: &str| {
        format!(
            "{BOWL}optimizer o(lr: Schedule) {{\n  state k = 1\n  step t {{\n{lines}\n    x <- x - lr(t)*grad(x)\n  }}\n}}\nsolve bowl with o({call}) for 5 steps\n"
        )
    };
    let cases = [
        (
            own("    while k > 0 {\n      k <- k + 1\n    }", "0.01"),
            "step 1: `while k > 0` did not end within",
            "let the loop end",
        ),
        (
            own("    for j in 1..10000000 {\n      k <- 1\n    }", "0.01"),
            "step 1: `for j in 1..10000000` did not end within",
            "let the loop end",
        ),
        (
            own("    k <- sum(inv([1, 2; 2, t + 3]))", "0.01"),
            "`k <- sum(inv([1, 2; 2, t + 3]))`",
            "it is this line that fails",
        ),
        (
            own("", "t -> 0.5 - t/4"),
            "a schedule gives a number of at least 0",
            "max(",
        ),
    ];
    for (program, line, advice) in cases {
        let found = shown(&program);
        assert!(found.contains(line), "{program}{found}");
        assert!(found.contains(advice), "{program}{found}");
        assert!(!found.contains("shorter steps"), "{program}{found}");
    }
}

/// One mistake in an optimizer is one message, and names used elsewhere lead to those used here.
#[test]
fn one_mistake_in_an_optimizer_is_one_message() {
    for (line, piece) in [
        ("x = x - lr*grad(x)", "`x <- …` changes a state"),
        ("state v = zeros(x); v <- v - grad(x)", "cannot stand inside the step"),
    ] {
        let line = line.replace("; ", "\n    ");
        let found = shown(&format!(
            "{BOWL}optimizer o(lr: Real) {{\n  step t {{\n    {line}\n  }}\n}}\nsolve bowl with o(0.1) for 5 steps\n"
        ));
        assert_eq!(found.matches("error[").count(), 1, "{found}");
        assert!(found.contains(piece), "{found}");
    }
    for (call, here) in [
        ("adam(rate: 0.1)", "lr"),
        ("sgd(learning_rate: 0.1)", "lr"),
        ("heavy_ball(0.1, momentum: 0.5)", "beta"),
    ] {
        let found = shown(&format!("{BOWL}solve bowl with {call} for 5 steps\n"));
        assert!(found.contains(&format!("did you mean `{here}`?")), "{found}");
    }
}

// ---- transforms and methods without recorded iterates, beside loops by hand --------------------------------------------

type Point = [f64; 2];

const TILTED: &str = "problem tilted {
  var x: Vector[2] from [1, 2]
  minimize x[1]^2 + 5*x[2]^2 + x[1]*x[2]
}
";

fn tilted(x: Point) -> (f64, Point) {
    let f = x[0] * x[0] + 5.0 * x[1] * x[1] + x[0] * x[1];
    (f, [2.0 * x[0] + x[1], x[0] + 10.0 * x[1]])
}

/// Where a pipeline ends on `tilted`, within 1e-12 of a point.
fn ends_at(pipeline: &str, want: Point) {
    let e = solved(&format!("{TILTED}solve tilted with {pipeline}"));
    let x = vector(&e, "x");
    let off = x.iter().zip(want).map(|(a, b)| (a - b).abs()).fold(0.0, f64::max);
    assert!(off <= 1e-12, "{pipeline}: {x:?}, by hand {want:?}");
}

/// Gradient steps of length 0.05, their direction made of the gradient.
fn steps_along(k: usize, direction: impl Fn(Point) -> Point) -> Point {
    let mut x = [1.0, 2.0];
    for _ in 0..k {
        let d = direction(tilted(x).1);
        x = [x[0] - 0.05 * d[0], x[1] - 0.05 * d[1]];
    }
    x
}

#[test]
fn transforms_of_the_gradient_are_their_formulas() {
    let cut = |v: f64| v.clamp(-3.0, 3.0);
    ends_at(
        "clip_value(3) |> gd(0.05) for 7 steps",
        steps_along(7, |g| [cut(g[0]), cut(g[1])]),
    );
    let clipped = |g: Point| {
        let size = (g[0] * g[0] + g[1] * g[1]).sqrt();
        let by = (2.5 / size).min(1.0);
        [by * g[0], by * g[1]]
    };
    ends_at("clip(2.5) |> gd(0.05) for 7 steps", steps_along(7, clipped));
    ends_at(
        "scaled([2, 10]) |> gd(0.05) for 7 steps",
        steps_along(7, |g| [g[0] / 2.0, g[1] / 10.0]),
    );
    ends_at(
        "jacobi() |> gd(0.05) for 7 steps",
        steps_along(7, |g| [g[0] / 2.0, g[1] / 10.0]),
    );
    // [3, 1; 1, 2] has the inverse [2, -1; -1, 3]/5.
    let solved = |g: Point| [(2.0 * g[0] - g[1]) / 5.0, (3.0 * g[1] - g[0]) / 5.0];
    ends_at(
        "preconditioned([3, 1; 1, 2]) |> gd(0.05) for 7 steps",
        steps_along(7, solved),
    );
    ends_at("weight_decay(0.3) |> gd(0.05) for 1 steps", {
        let g = tilted([1.0, 2.0]).1;
        [1.0 - 0.05 * (g[0] + 0.3), 2.0 - 0.05 * (g[1] + 0.6)]
    });
    ends_at("gd(0.05) |> shrink(0.01) for 1 steps", {
        let g = tilted([1.0, 2.0]).1;
        [1.0 - 0.05 * g[0] - 0.01, 2.0 - 0.05 * g[1] - 0.02]
    });
}

#[test]
fn lookahead_goes_part_of_the_way_of_every_few_steps() {
    let (mut slow, mut x) = ([1.0, 2.0], [1.0, 2.0]);
    for t in 1..=10 {
        let g = tilted(x).1;
        x = [x[0] - 0.05 * g[0], x[1] - 0.05 * g[1]];
        if t % 3 == 0 {
            for k in 0..2 {
                slow[k] += 0.4 * (x[k] - slow[k]);
            }
            x = slow;
        }
    }
    ends_at("gd(0.05) |> lookahead(every: 3, alpha: 0.4) for 10 steps", x);
}

#[test]
fn the_level_of_polyaks_steps_is_looked_for() {
    let mut x: Point = [1.0, 2.0];
    let (mut best, mut place, mut gain, mut since) = (tilted(x).0, x, 3.0, 0);
    for _ in 0..30 {
        let (f, g) = tilted(x);
        since = if f <= best - gain / 2.0 { 0 } else { since + 1 };
        if f < best {
            (best, place) = (f, x);
        }
        if since >= 4 {
            (gain, since, x) = (gain / 2.0, 0, place);
        } else {
            let by = (f - best + gain) / (g[0] * g[0] + g[1] * g[1]);
            x = [x[0] - by * g[0], x[1] - by * g[1]];
        }
    }
    // What is handed out is the best point.
    ends_at("polyak_level(delta: 3, patience: 4) for 30 steps", place);
    let f = tilted(place).0;
    assert!((0.0..1e-2).contains(&f), "{f}");
}
