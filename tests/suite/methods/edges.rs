//! Where accuracy cannot be promised: saddles, flat minima, edges of domains, rounding, no minimum at all.
//!
//! Invariant: what a method claims there is true of the point that it stopped at.

use ravine::solve::{Fault, Point, Refusal, Run, Status, methods};

use super::super::problems::{Fun, Jet};
use super::{Draws, options, rosenbrock, solve, solve_to};

#[test]
fn saddles_and_inflections_are_left() {
    // x² − y² + y⁴ from a start whose gradient points at the saddle.
    let saddle = || Fun::new(2, |x| &(&x[0].powi(2) - &x[1].powi(2)) + &x[1].powi(4));
    for method in ["newton_tr", "lbfgs"] {
        for products in [false, true] {
            let mut f = if products { saddle().products_only() } else { saddle() };
            let r = solve(method, &mut f, vec![1.0, 0.0]);
            assert_eq!(r.claim, Status::LocallyOptimal, "{method}: {}", r.reason.why);
            assert!((r.objective + 0.25).abs() < 1e-8, "{method}: {}", r.objective);
        }
        let r = solve(method, &mut Fun::new(1, |x| x[0].powi(3)), vec![1.0]);
        assert_eq!(
            r.claim,
            Status::Diverged,
            "{method} stopped at an inflection: {}",
            r.reason.why
        );
        // Without second derivatives nothing is said of curvature.
    }
    let r = solve("lbfgs", &mut saddle().first_order(), vec![1.0, 0.0]);
    assert_eq!(r.claim, Status::Stationary);
    // A bound that does not push: −x² on x ≥ 0 from 0 goes to the other end.
    let mut f = Fun::new(1, |x| -&x[0].powi(2)).bounded(vec![0.0], vec![2.0]);
    let r = solve("newton_tr", &mut f, vec![0.0]);
    assert_eq!(
        (r.claim, r.point.values[0]),
        (Status::LocallyOptimal, 2.0),
        "{}",
        r.reason.why
    );
}

#[test]
fn flat_and_singular_minima() {
    let flat = || {
        Fun::new(3, |x| {
            let mut sum = Jet::constant(x[0].g.len(), 0.0);
            for (i, xi) in x.iter().enumerate() {
                sum = &sum + &(xi + -(i as f64)).powi(4);
            }
            sum
        })
    };
    for method in ["newton_tr", "lbfgs"] {
        let r = solve(method, &mut flat(), vec![5.0, -3.0, 9.0]);
        assert_eq!(r.claim, Status::LocallyOptimal, "{method}: {}", r.reason.why);
        // A gradient 4 e³ of at most 1e-8.
        for (i, x) in r.point.values.iter().enumerate() {
            assert!((x - i as f64).abs() <= 1.4e-3, "{method}: {x}");
        }
        let r = solve(method, &mut flat().convex(), vec![5.0, -3.0, 9.0]);
        assert_eq!(r.claim, Status::Optimal);
        // A constant: every point is a minimum.
        let r = solve(
            method,
            &mut Fun::new(2, |x| Jet::constant(x[0].g.len(), 7.0)),
            vec![1.0, 2.0],
        );
        assert_eq!(
            (r.claim, r.iterations),
            (Status::LocallyOptimal, 0),
            "{method}: {}",
            r.reason.why
        );
    }
}

#[test]
fn domains_with_an_edge() {
    // Analytic centre of a polygon: not a number outside, a wall at the edge.
    let barrier = || {
        Fun::new(2, |x| {
            let rows = [[1.0, 0.0], [-1.0, 0.3], [0.2, 1.0], [0.1, -1.0], [1.0, 1.0]];
            let mut sum = Jet::constant(x[0].g.len(), 0.0);
            for r in rows {
                let slack = &(-&(&(r[0] * &x[0]) + &(r[1] * &x[1]))) + 1.0;
                sum = &sum - &slack.ln();
            }
            sum
        })
    };
    for method in ["newton_tr", "lbfgs"] {
        let r = solve(method, &mut barrier(), vec![0.999, 0.0005]);
        assert_eq!(r.claim, Status::LocallyOptimal, "{method}: {}", r.reason.why);
        assert!(barrier().jet(&r.point.values).g.iter().all(|g| g.abs() < 1e-7));
        let refused = Run::new(
            methods::default(methods::find(method).unwrap()),
            &mut barrier(),
            &Point::plain(vec![3.0, 0.0]),
            options(1e-8, 10),
        );
        assert!(matches!(refused.err(), Some(Refusal::Fault(Fault::NotFinite { .. }))));
    }
}

#[test]
fn the_rounding_floor_is_named() {
    // Values carry an offset that swallows everything below 1e-8: the gradient still gets to the tolerance.
    let offset = || Fun::new(2, |x| &(&(&x[0] + -1.0).powi(2) + &(&x[1] + 0.5).powi(4)) + 1e8);
    for method in ["newton_tr", "lbfgs"] {
        let r = solve(method, &mut offset(), vec![3.0, 2.0]);
        assert!(
            matches!(r.claim, Status::LocallyOptimal | Status::PrecisionLimited),
            "{method}: {} {}",
            r.claim,
            r.reason.why
        );
        assert!((r.point.values[0] - 1.0).abs() < 1e-4, "{method}: {:?}", r.point.values);
        // Values rounded to a grid, as a table or a printed number would be.
        let mut stairs = Fun::new(2, |x| {
            let y = &(&x[0] + -1.0).powi(2) + &(3.0 * &(&x[1] + 0.5).powi(2));
            let v = (y.v * 1e8).round() / 1e8;
            Jet { v, ..y }
        });
        let r = solve(method, &mut stairs, vec![3.0, 2.0]);
        assert!(
            matches!(r.claim, Status::LocallyOptimal | Status::PrecisionLimited),
            "{method}: {}",
            r.reason.why
        );
        assert!((r.point.values[0] - 1.0).abs() < 2e-4, "{method}: {:?}", r.point.values);
        // A tolerance that rounding forbids.
        let mut steep = Fun::new(2, |x| {
            let a = 1e5 * &(&(&(0.1 * &x[0]) + &(0.3 * &x[1])) + -0.7);
            let b = &a + &(3e4 * &(&x[1] + -1.0 / 3.0));
            // No point makes all three vanish, so the gradient is a sum of large terms that cancel.
            let c = 1e5 * &(&(&(0.7 * &x[0]) + &(-0.2 * &x[1])) + -1.1);
            &(&a.powi(2) + &b.powi(2)) + &c.powi(2)
        });
        let r = solve_to(method, &mut steep, vec![1.0, 1.0], 1e-15, 3000);
        assert!(
            r.claim == Status::PrecisionLimited && r.reason.floor.is_some_and(|f| f < 1e-3),
            "{method}: {} {} s={:e}",
            r.claim,
            r.reason.why,
            r.measures.stationarity
        );
    }
}

#[test]
fn nothing_below_is_called_diverged() {
    for method in ["newton_tr", "lbfgs"] {
        let r = solve(method, &mut Fun::new(2, |x| &x[0] + &(1e-3 * &x[1])), vec![0.0, 0.0]);
        assert_eq!(r.claim, Status::Diverged, "{method}: {}", r.reason.why);
        let r = solve(method, &mut Fun::new(1, |x| -&x[0].powi(2)), vec![1.0]);
        assert_eq!(r.claim, Status::Diverged, "{method}: {}", r.reason.why);
    }
}

/// Eigenvalues of a small symmetric matrix, smallest first.
fn least_eigenvalue(h: &[f64], n: usize, keep: &[usize]) -> f64 {
    if keep.is_empty() {
        return 0.0;
    }
    nalgebra::DMatrix::<f64>::from_fn(keep.len(), keep.len(), |i, j| h[keep[i] * n + keep[j]])
        .symmetric_eigenvalues()
        .min()
}

#[test]
fn claims_on_random_indefinite_quartics_hold() {
    let mut draws = Draws(77);
    let mut claims = std::collections::BTreeMap::new();
    for round in 0..150 {
        let n = 1 + round % 7;
        let q = draws.vector(n * n);
        let b = draws.vector(n);
        let scale: Vec<f64> = (0..n).map(|_| 10f64.powf(2.0 * draws.next())).collect();
        let bounded = round % 3 != 0;
        let lo: Vec<f64> = (0..n)
            .map(|_| {
                if draws.next() > 0.3 {
                    f64::NEG_INFINITY
                } else {
                    -0.6 + 0.5 * draws.next()
                }
            })
            .collect();
        let hi: Vec<f64> = lo
            .iter()
            .map(|l| {
                if draws.next() > 0.3 {
                    f64::INFINITY
                } else {
                    l.max(-1.0) + 0.2 + draws.next().abs()
                }
            })
            .collect();
        let start: Vec<f64> = draws.vector(n).iter().map(|v| 3.0 * v).collect();
        let make = || {
            let (q, b, scale) = (q.clone(), b.clone(), scale.clone());
            let f = Fun::new(n, move |x: &[Jet]| {
                let y: Vec<Jet> = x.iter().zip(&scale).map(|(x, s)| *s * x).collect();
                let mut sum = Jet::constant(x[0].g.len(), 0.0);
                for i in 0..n {
                    sum = &(&sum + &(0.25 * &y[i].powi(4))) + &(b[i] * &y[i]);
                    for j in 0..n {
                        sum = &sum + &(q[i * n + j] * &(&y[i] * &y[j]));
                    }
                }
                sum
            });
            if bounded { f.bounded(lo.clone(), hi.clone()) } else { f }
        };
        for name in ["newton_tr", "lbfgs"] {
            for products in [false, true] {
                let mut f = if products { make().products_only() } else { make() };
                let r = solve_to(name, &mut f, start.clone(), 1e-8, 3000);
                *claims.entry(format!("{name} {}", r.claim)).or_insert(0) += 1;
                let x = &r.point.values;
                let jet = make().jet(x);
                let context = format!(
                    "round {round} {name} products {products}: {} ({})",
                    r.claim, r.reason.why
                );
                if bounded {
                    assert!((0..n).all(|i| x[i] >= lo[i] && x[i] <= hi[i]), "{context}");
                }
                if r.claim == Status::LocallyOptimal {
                    let size = jet.g.iter().fold(0.0f64, |m, g| m.max(g.abs()));
                    let mut free = vec![];
                    for i in 0..n {
                        let moved = if bounded {
                            (x[i] - jet.g[i]).clamp(lo[i], hi[i]) - x[i]
                        } else {
                            -jet.g[i]
                        };
                        // In a narrow box a slope counts in the box's own width.
                        let unit = if bounded { (hi[i] - lo[i]).min(1.0) } else { 1.0 };
                        let moved = moved.abs() * unit;
                        assert!(moved <= 1e-8 * (1.0 + size), "{context}: stationarity {moved:e}");
                        if !bounded || x[i] > lo[i] && x[i] < hi[i] {
                            free.push(i);
                        }
                    }
                    let least = least_eigenvalue(&jet.h, n, &free);
                    let largest = jet.h.iter().fold(0.0f64, |m, h| m.max(h.abs()));
                    assert!(least >= -1e-7 * largest, "{context}: curvature {least:e}");
                } else {
                    assert_eq!(r.claim, Status::PrecisionLimited, "{context}");
                    assert!(r.measures.stationarity <= 1e-6 * r.measures.gradient_scale, "{context}");
                }
            }
        }
    }
    eprintln!("{claims:?}");
    assert!(claims["newton_tr locally optimal"] >= 295 && claims["lbfgs locally optimal"] >= 280);
}

#[test]
fn degenerate_sizes() {
    for method in ["newton_tr", "lbfgs"] {
        let mut none = Fun::new(0, |_| Jet::constant(0, 3.0));
        let r = solve(method, &mut none, vec![]);
        assert_eq!(
            (r.claim, r.objective, r.iterations),
            (Status::LocallyOptimal, 3.0, 0),
            "{method}: {}",
            r.reason.why
        );
        // Every variable fixed by its bounds.
        let mut fixed = rosenbrock().bounded(vec![2.0, 3.0], vec![2.0, 3.0]);
        let r = solve(method, &mut fixed, vec![0.0, 0.0]);
        assert_eq!(
            (r.claim, r.objective),
            (Status::LocallyOptimal, 101.0),
            "{method}: {}",
            r.reason.why
        );
        assert_eq!(r.point.values, [2.0, 3.0]);
        assert_eq!(r.multipliers.len(), 2);
        let mut crossed = rosenbrock().bounded(vec![2.0, 3.0], vec![1.0, 3.0]);
        let start = Point::plain(vec![0.0; 2]);
        let refused = Run::new(
            methods::default(methods::find(method).unwrap()),
            &mut crossed,
            &start,
            options(1e-8, 9),
        );
        assert!(matches!(refused.err(), Some(Refusal::Bounds(_))));
    }
}
