//! Standard problems to the promised accuracy.
//!
//! Invariant: expected values come from closed forms, enumeration or published minima.

use std::sync::Arc;

use ravine::solve::{Oracle, Status};

use super::super::problems::{Chained, Expr, Fun, Jet, json};
use super::{Draws, quadratic, rosenbrock, solve, solve_to};

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
                wrong.push(format!("{method} {}", p["name"].as_str().unwrap()));
            }
            assert!(
                matches!(
                    r.claim,
                    Status::LocallyOptimal | Status::PrecisionLimited | Status::Stationary
                ),
                "{method} {}: {} ({})",
                p["name"],
                r.claim,
                r.reason.why
            );
        }
    }
    // Condition number 1e13: a gradient of 1e-8 leaves more of the value than the set's tolerance.
    assert_eq!(wrong, ["lbfgs Watson n=12"]);
}

#[test]
fn ill_conditioned_quadratics() {
    for exponent in [0, 2, 4, 6, 8, 10, 12] {
        let kappa = 10f64.powi(exponent);
        let (mut f, centre) = quadratic(8, kappa, 5);
        let r = solve_to("newton_tr", &mut f, vec![0.0; 8], 1e-13, 50);
        let error = r
            .point
            .values
            .iter()
            .zip(&centre)
            .map(|(a, b)| (a - b).abs())
            .fold(0.0, f64::max);
        eprintln!(
            "kappa 1e{exponent}: {} {} steps, error {error:.1e}, {}",
            r.claim, r.iterations, r.reason.why
        );
        assert!(
            matches!(r.claim, Status::Optimal | Status::PrecisionLimited),
            "{}",
            r.reason.why
        );
        assert!(
            error <= 40.0 * kappa * f64::EPSILON,
            "kappa 1e{exponent}: error {error:e}"
        );
        assert!(r.iterations <= 8, "{} steps", r.iterations);
    }
    // L-BFGS: its measured limit at the default tolerance.
    for exponent in [0, 2, 4, 6] {
        let kappa = 10f64.powi(exponent);
        let (mut f, centre) = quadratic(8, kappa, 5);
        let r = solve("lbfgs", &mut f, vec![0.0; 8]);
        let error = r
            .point
            .values
            .iter()
            .zip(&centre)
            .map(|(a, b)| (a - b).abs())
            .fold(0.0, f64::max);
        eprintln!(
            "lbfgs kappa 1e{exponent}: {} {} steps, error {error:.1e}",
            r.claim, r.iterations
        );
        assert_eq!(r.claim, Status::Optimal);
        // Stationarity 1e-8 bounds the error by its inverse curvature.
        assert!(error <= 2e-8 * kappa * 3.0);
    }
}

/// The minimum over all choices of active bounds of a strictly convex quadratic.
fn best_of_all_active_sets(m: &nalgebra::DMatrix<f64>, c: &[f64], lo: &[f64], hi: &[f64]) -> (f64, Vec<f64>) {
    let n = c.len();
    let value = |x: &[f64]| {
        let e = nalgebra::DVector::from_fn(n, |i, _| x[i] - c[i]);
        0.5 * e.dot(&(m * &e))
    };
    let mut best = (f64::INFINITY, vec![]);
    for code in 0..3usize.pow(n as u32) {
        let kind: Vec<usize> = (0..n).map(|i| code / 3usize.pow(i as u32) % 3).collect();
        let mut x: Vec<f64> = (0..n).map(|i| [0.0, lo[i], hi[i]][kind[i]]).collect();
        if x.iter().any(|v| !v.is_finite()) {
            continue;
        }
        let free: Vec<usize> = (0..n).filter(|&i| kind[i] == 0).collect();
        if !free.is_empty() {
            let a = nalgebra::DMatrix::from_fn(free.len(), free.len(), |i, j| m[(free[i], free[j])]);
            let b = nalgebra::DVector::from_fn(free.len(), |i, _| {
                let fixed: f64 = (0..n)
                    .filter(|&j| kind[j] != 0)
                    .map(|j| m[(free[i], j)] * (x[j] - c[j]))
                    .sum();
                let own: f64 = free.iter().map(|&j| m[(free[i], j)] * c[j]).sum();
                own - fixed
            });
            let y = a.lu().solve(&b).unwrap();
            free.iter().zip(y.iter()).for_each(|(&i, v)| x[i] = *v);
        }
        if (0..n).all(|i| x[i] >= lo[i] - 1e-12 && x[i] <= hi[i] + 1e-12) && value(&x) < best.0 {
            best = (value(&x), x);
        }
    }
    best
}

#[test]
fn bounded_quadratics_against_all_active_sets() {
    let mut draws = Draws(11);
    for round in 0..60 {
        let n = 1 + round % 6;
        let raw = nalgebra::DMatrix::from_vec(n, n, draws.vector(n * n));
        let scale = 10f64.powf(2.0 * draws.next());
        let m = scale * (&raw.transpose() * &raw + 0.05 * nalgebra::DMatrix::identity(n, n));
        let c: Vec<f64> = draws.vector(n).iter().map(|v| 3.0 * v).collect();
        let lo: Vec<f64> = (0..n)
            .map(|_| {
                if draws.next() > 0.6 {
                    f64::NEG_INFINITY
                } else {
                    -0.5 + draws.next()
                }
            })
            .collect();
        let hi: Vec<f64> = lo
            .iter()
            .map(|l| {
                if draws.next() > 0.6 {
                    f64::INFINITY
                } else {
                    l.max(-1.0) + 0.1 + draws.next().abs()
                }
            })
            .collect();
        let expected = best_of_all_active_sets(&m, &c, &lo, &hi);
        let (mm, cc) = (m.clone(), c.clone());
        let make = move || {
            let (m, c) = (mm.clone(), cc.clone());
            Fun::new(n, move |x: &[Jet]| {
                let e: Vec<Jet> = x.iter().zip(&c).map(|(x, c)| x + (-c)).collect();
                let mut sum = Jet::constant(x[0].g.len(), 0.0);
                for i in 0..n {
                    for j in 0..n {
                        sum = &sum + &(0.5 * m[(i, j)] * &(&e[i] * &e[j]));
                    }
                }
                sum
            })
        };
        for name in ["newton_tr", "lbfgs"] {
            for convex in [true, false] {
                for products in [false, true] {
                    let mut f = make().bounded(lo.clone(), hi.clone());
                    f.convex = convex;
                    if products {
                        f = f.products_only();
                    }
                    let r = solve_to(name, &mut f, vec![0.3; n], 1e-9, 400);
                    let success = matches!(r.claim, Status::Optimal | Status::LocallyOptimal);
                    assert!(success, "round {round} {name}: {} ({})", r.claim, r.reason.why);
                    assert_eq!(convex, r.claim == Status::Optimal);
                    for i in 0..n {
                        let x = r.point.values[i];
                        assert!(x >= lo[i] && x <= hi[i], "round {round} {name}: out of bounds");
                        let error = (x - expected.1[i]).abs();
                        assert!(
                            error <= 1e-6,
                            "round {round} {name}: error {error:e} after {}",
                            r.iterations
                        );
                    }
                }
            }
        }
    }
}

#[test]
fn hock_schittkowski_with_bounds_only() {
    let Some(set) = json("hs", "hs.json") else { return };
    let mut seen = 0;
    for p in set["problems"].as_array().unwrap() {
        if !p["constraints"].as_array().unwrap().is_empty() {
            continue;
        }
        seen += 1;
        let n = p["n"].as_u64().unwrap() as usize;
        let expr = Arc::new(Expr::parse(p["objective"].as_str().unwrap()));
        let numbers = |key: &str, missing: f64| -> Vec<f64> {
            p[key]
                .as_array()
                .unwrap()
                .iter()
                .map(|v| v.as_f64().unwrap_or(missing))
                .collect()
        };
        let (lo, hi, x0) = (
            numbers("lb", f64::NEG_INFINITY),
            numbers("ub", f64::INFINITY),
            numbers("x0", f64::NAN),
        );
        for method in ["newton_tr", "lbfgs"] {
            let e = expr.clone();
            let mut f = Fun::new(n, move |x: &[Jet]| e.eval(x)).bounded(lo.clone(), hi.clone());
            let r = solve_to(method, &mut f, x0.clone(), 1e-8, 2000);
            let (expected, rel) = (p["f_ref"].as_f64().unwrap(), p["rel_tol"].as_f64().unwrap());
            let known = p["local_minima_known"]
                .as_array()
                .unwrap()
                .iter()
                .filter_map(|v| v.as_f64());
            let fits = std::iter::once(expected)
                .chain(known)
                .any(|v| (r.objective - v).abs() <= rel * v.abs().max(1.0));
            eprintln!(
                "{method} {}: {} in {} steps, {} evaluations, f={:e} (reference {expected:e}), IPOPT {} steps",
                p["name"],
                r.claim,
                r.iterations,
                r.counts.total(),
                r.objective,
                p["ipopt_iters"]
            );
            assert!(
                fits,
                "{method} {}: f={:e}, {} ({})",
                p["name"], r.objective, r.claim, r.reason.why
            );
            assert_eq!(
                r.claim,
                Status::LocallyOptimal,
                "{method} {}: {}",
                p["name"],
                r.reason.why
            );
            assert!((0..n).all(|i| r.point.values[i] >= lo[i] && r.point.values[i] <= hi[i]));
        }
    }
    assert!(seen >= 8, "only {seen} problems with bounds alone");
}

#[test]
fn chained_rosenbrock_1000() {
    // IPOPT takes 1479 steps from this start, POUNCE 1476.
    let x0 = Chained::new(1000).start();
    let r = solve_to("newton_tr", &mut Chained::new(1000), x0.clone(), 1e-8, 4000);
    eprintln!(
        "chained 1000: {} in {} steps, {:?}, f={:e}",
        r.claim, r.iterations, r.counts, r.objective
    );
    assert_eq!(r.claim, Status::LocallyOptimal, "{}", r.reason.why);
    assert!(r.iterations <= 1600, "{} steps", r.iterations);
    let mut p = Chained::new(300);
    p.hessians = false;
    let r = solve_to("newton_tr", &mut p, x0[..300].to_vec(), 1e-8, 4000);
    eprintln!(
        "chained 300 by products: {} in {} steps, {:?}, f={:e}",
        r.claim, r.iterations, r.counts, r.objective
    );
    assert_eq!(r.claim, Status::LocallyOptimal, "{}", r.reason.why);
    let r = solve_to("lbfgs", &mut Chained::new(300), x0[..300].to_vec(), 1e-8, 20000);
    eprintln!(
        "chained 300 lbfgs: {} in {} steps, {:?}, f={:e}",
        r.claim, r.iterations, r.counts, r.objective
    );
    assert_eq!(r.claim, Status::LocallyOptimal, "{}", r.reason.why);
}
