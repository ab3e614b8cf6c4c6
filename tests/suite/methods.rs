//! Conformance of every method's card, and standard problems to the promised accuracy.
//!
//! Invariant: a new method needs no new test code here; expected values come from closed forms or published minima.

#![allow(clippy::unwrap_used, clippy::print_stderr, reason = "tests")]

use std::sync::Arc;

use ravine::solve::run::Options;
use ravine::solve::{Finished, Method, Oracle, Point, Run, Status, methods};

use super::problems::{Chained, Expr, Fun, Jet, json};

fn no_clock() -> f64 {
    0.0
}

fn solve(method: &str, problem: &mut dyn Oracle, x0: Vec<f64>) -> Finished {
    solve_to(method, problem, x0, 1e-8, 20_000)
}

fn solve_to(method: &str, problem: &mut dyn Oracle, x0: Vec<f64>, tolerance: f64, steps: u64) -> Finished {
    let method: Arc<dyn Method> = methods::default(methods::find(method).expect("method"));
    let mut options = Options {
        tolerance,
        ..Options::default()
    };
    options.budget.steps = Some(steps);
    Run::new(method, problem, &Point::plain(x0), options)
        .expect("starts")
        .finish(problem, &no_clock)
}

fn rosenbrock() -> Fun {
    Fun::new(2, |x| {
        let a = &x[1] - &x[0].powi(2);
        let b = &(-&x[0]) + 1.0;
        &(100.0 * &a.powi(2)) + &b.powi(2)
    })
}

#[test]
fn rosenbrock_in_few_steps() {
    for (method, most) in [("newton_tr", 30), ("lbfgs", 60)] {
        let r = solve(method, &mut rosenbrock(), vec![-1.2, 1.0]);
        eprintln!(
            "rosenbrock {method}: {} steps, {:?}, f {:e}",
            r.iterations, r.counts, r.objective
        );
        assert_eq!(r.claim, Status::LocallyOptimal, "{}", r.reason.why);
        assert!(r.iterations <= most, "{} steps", r.iterations);
        assert!((r.point.values[0] - 1.0).abs() < 1e-7 && (r.point.values[1] - 1.0).abs() < 2e-7);
    }
}

#[test]
fn chained_rosenbrock() {
    for (method, most) in [("newton_tr", 1500), ("lbfgs", 3000)] {
        let mut p = Chained::new(100);
        let x0 = p.start();
        let r = solve(method, &mut p, x0);
        eprintln!(
            "chained {method}: {} steps, {:?}, f {:e} {}",
            r.iterations, r.counts, r.objective, r.reason.why
        );
        assert_eq!(r.claim, Status::LocallyOptimal, "{}", r.reason.why);
        assert!(r.iterations <= most, "{} steps", r.iterations);
    }
}

#[test]
fn more_garbow_hillstrom() {
    let Some(set) = json("mgh", "mgh.json") else { return };
    let problems = set["problems"].as_array().unwrap();
    let mut wrong = vec![];
    for method in ["newton_tr", "lbfgs"] {
        for p in problems {
            let n = p["n"].as_u64().unwrap() as usize;
            let residuals: Vec<Expr> = p["residuals"]
                .as_array()
                .unwrap()
                .iter()
                .map(|r| Expr::parse(r.as_str().unwrap()))
                .collect();
            let x0: Vec<f64> = p["x0"]
                .as_array()
                .unwrap()
                .iter()
                .map(|v| v.as_f64().unwrap())
                .collect();
            let mut f = Fun::new(n, move |x: &[Jet]| {
                let mut sum = Jet::constant(x[0].g.len(), 0.0);
                for r in &residuals {
                    sum = &sum + &r.eval(x).powi(2);
                }
                sum
            });
            let at_start = f.value(&x0).unwrap();
            let expected = p["f_start"].as_f64().unwrap();
            assert!(
                (at_start - expected).abs() <= 1e-9 * expected.abs().max(1e-300),
                "{} read wrongly",
                p["name"]
            );
            let r = solve_to(method, &mut f, x0, 1e-8, 5000);
            let (rel, abs) = (p["rel_tol"].as_f64().unwrap(), p["abs_tol"].as_f64().unwrap());
            let fits = p["minima"].as_array().unwrap().iter().any(|m| {
                let v = m["f"].as_f64().unwrap();
                m["accept"].as_bool().unwrap() && (r.objective - v).abs() <= rel * v + abs
            });
            eprintln!(
                "{method} {} n={n}: {} in {} steps, {} evals, f={:e} s={:.1e} best {} {}",
                p["name"],
                r.claim,
                r.iterations,
                r.counts.total(),
                r.objective,
                r.measures.stationarity,
                p["f_best"],
                if fits { "" } else { "  <<<<<" }
            );
            if !fits {
                wrong.push(format!("{method} {} f={:e} {}", p["name"], r.objective, r.claim));
            }
        }
    }
    eprintln!("{wrong:#?}");
}
