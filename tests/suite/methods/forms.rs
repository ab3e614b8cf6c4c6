//! Methods that take a problem by its form and run as a whole.
//!
//! Invariant: small programs with known solutions, one of each class that such a method accepts.

use ravine::solve::{Class, Form, FormOracle, Granularity, Point, Refusal, Run, Saved, Status, methods};
use ravine_linalg::clarabel_adapter::{Cone, ConicForm};
use ravine_linalg::{Csr, Dense, Matrix};

use super::{no_clock, options};

/// A small program of a class with its solution; none for a class that has no form here.
fn by_form(class: Class) -> Option<(FormOracle, f64, Vec<f64>)> {
    let dense = |rows: usize, cols: usize, data: &[f64]| {
        Csr::from_dense(&Dense {
            rows,
            cols,
            data: data.to_vec(),
        })
    };
    let minus = dense(2, 2, &[-1.0, 0.0, 0.0, -1.0]);
    let (p, q, a, b, cones, value, x) = match class {
        // x + 2y on the simplex x + y = 1, x, y >= 0.
        Class::Linear => {
            let a = dense(3, 2, &[1.0, 1.0, -1.0, 0.0, 0.0, -1.0]);
            let cones = vec![Cone::Zero(1), Cone::Nonneg(2)];
            (
                Csr::zeros(2, 2),
                vec![1.0, 2.0],
                a,
                vec![1.0, 0.0, 0.0],
                cones,
                1.0,
                vec![1.0, 0.0],
            )
        }
        // ½ (x² + y²) − 2x + y with x, y >= 0.
        Class::ConvexQuadratic => {
            let cones = vec![Cone::Nonneg(2)];
            (
                Csr::identity(2),
                vec![-2.0, 1.0],
                minus,
                vec![0.0; 2],
                cones,
                -2.0,
                vec![2.0, 0.0],
            )
        }
        // 3x + 4y in the unit disc.
        Class::SecondOrderCone => {
            let a = dense(3, 2, &[0.0, 0.0, -1.0, 0.0, 0.0, -1.0]);
            let cones = vec![Cone::SecondOrder(3)];
            (
                Csr::zeros(2, 2),
                vec![3.0, 4.0],
                a,
                vec![1.0, 0.0, 0.0],
                cones,
                -5.0,
                vec![-0.6, -0.8],
            )
        }
        // y with exp(x) <= y and x >= 1.
        Class::Conic => {
            let a = dense(4, 2, &[-1.0, 0.0, 0.0, 0.0, 0.0, -1.0, -1.0, 0.0]);
            let cones = vec![Cone::Exp, Cone::Nonneg(1)];
            let e = std::f64::consts::E;
            (
                Csr::zeros(2, 2),
                vec![0.0, 1.0],
                a,
                vec![0.0, 1.0, 0.0, -1.0],
                cones,
                e,
                vec![1.0, e],
            )
        }
        // x + y with [x, 1; 1, y] positive semidefinite; the triangle by columns, off the diagonal times √2.
        Class::Semidefinite => {
            let a = dense(3, 2, &[-1.0, 0.0, 0.0, 0.0, 0.0, -1.0]);
            let cones = vec![Cone::Semidefinite(2)];
            (
                Csr::zeros(2, 2),
                vec![1.0, 1.0],
                a,
                vec![0.0, std::f64::consts::SQRT_2, 0.0],
                cones,
                2.0,
                vec![1.0, 1.0],
            )
        }
        _ => return None,
    };
    let form = Form::Conic {
        form: ConicForm { p, q, a, b, cones },
        constant: 0.0,
    };
    Some((FormOracle { class, form }, value, x))
}

#[test]
fn foreign_solvers_run_whole_and_say_so() {
    let card = methods::find("clarabel").unwrap();
    assert_eq!(card.granularity, Granularity::Whole);
    let start = Point::plain(vec![0.0; 2]);
    for &class in card.accepts {
        let (mut problem, value, x) = by_form(class).expect("every class of the card has a sample");
        let run = Run::new(methods::default(card), &mut problem, &start, options(1e-9, 10)).unwrap();
        let saved: Saved = serde_json::from_str(&serde_json::to_string(&run.save()).unwrap()).unwrap();
        let r = run.finish(&mut problem, &no_clock);
        assert_eq!(r.claim, Status::Optimal, "{}", class.word());
        assert!(r.whole && r.iterations == 1 && r.measures.gap < 1e-8);
        assert!((r.objective - value).abs() < 1e-7, "{}: {}", class.word(), r.objective);
        assert!(
            r.point.values.iter().zip(&x).all(|(a, b)| (a - b).abs() < 1e-5),
            "{:?}",
            r.point.values
        );
        // From its start it is resumed to the same bits; in the middle it cannot be saved.
        let again = Run::resume(methods::default(card), &problem, saved)
            .unwrap()
            .finish(&mut problem, &no_clock);
        assert!(again == r);
        // Interrupt and clock are polled inside.
        let mut run = Run::new(methods::default(card), &mut problem, &start, options(1e-9, 10)).unwrap();
        let calls = std::cell::Cell::new(0.0);
        let clock = || {
            calls.set(calls.get() + 1.0);
            calls.get()
        };
        run.extend(ravine::solve::Budget {
            seconds: Some(5.0),
            ..Default::default()
        });
        assert_eq!(
            run.advance(&mut problem, 1, &clock).map(|r| r.status),
            Some(Status::TimeLimit)
        );
        // What the solver had by then is kept.
        assert!(run.point().values.iter().all(|v| v.is_finite()));
    }
    // A problem without the form, and two without a solution.
    let (mut none, ..) = by_form(Class::Linear).unwrap();
    none.form = Form::LeastSquares {
        a: Matrix::Sparse(Csr::identity(2)),
        b: vec![1.0, 2.0],
    };
    assert!(matches!(
        Run::new(methods::default(card), &mut none, &start, options(1e-9, 10)).err(),
        Some(Refusal::Needs(_))
    ));
    for (first_row, b, q, expected) in [
        // x + y <= −1 with x, y >= 0.
        ([1.0, 1.0], vec![-1.0, 0.0, 0.0], vec![1.0, 1.0], Status::Infeasible),
        // −x − y with x + y >= 0, x, y >= 0.
        ([-1.0, -1.0], vec![0.0; 3], vec![-1.0, -1.0], Status::Unbounded),
    ] {
        let rows = [first_row[0], first_row[1], -1.0, 0.0, 0.0, -1.0];
        let a = Csr::from_dense(&Dense {
            rows: 3,
            cols: 2,
            data: rows.to_vec(),
        });
        let mut problem = FormOracle {
            class: Class::Linear,
            form: Form::Conic {
                form: ConicForm {
                    p: Csr::zeros(2, 2),
                    q,
                    a,
                    b,
                    cones: vec![Cone::Nonneg(3)],
                },
                constant: 0.0,
            },
        };
        let r = Run::new(methods::default(card), &mut problem, &start, options(1e-9, 10))
            .unwrap()
            .finish(&mut problem, &no_clock);
        assert_eq!(r.claim, expected);
    }
}

#[test]
fn direct_solves_with_its_error_and_rank() {
    let card = methods::find("direct").unwrap();
    let solve = |class: Class, rows: usize, cols: usize, data: &[f64], b: &[f64]| {
        let a = Dense {
            rows,
            cols,
            data: data.to_vec(),
        };
        for sparse in [false, true] {
            let a = match sparse {
                true => Matrix::Sparse(Csr::from_dense(&a)),
                false => Matrix::Dense(a.clone()),
            };
            let mut problem = FormOracle {
                class,
                form: Form::LeastSquares { a, b: b.to_vec() },
            };
            let run = Run::new(
                methods::default(card),
                &mut problem,
                &Point::plain(vec![0.0; cols]),
                options(1e-8, 5),
            );
            let r = run.unwrap().finish(&mut problem, &no_clock);
            if sparse {
                return r;
            }
            assert!(r.whole && r.iterations == 1);
        }
        unreachable!()
    };
    // A line through (0, 1), (1, 3), (2, 4): 7/6 + 3/2 t, residual sum of squares 1/6.
    let line = [1.0, 0.0, 1.0, 1.0, 1.0, 2.0];
    let r = solve(Class::LeastSquares, 3, 2, &line, &[1.0, 3.0, 4.0]);
    assert_eq!(r.claim, Status::Optimal);
    assert!((r.point.values[0] - 7.0 / 6.0).abs() < 1e-14 && (r.point.values[1] - 1.5).abs() < 1e-14);
    assert!((r.objective - 1.0 / 6.0).abs() < 1e-14);
    // A Hilbert system of condition 1.5e10 for ones.
    let hilbert: Vec<f64> = (0..8)
        .flat_map(|i| (0..8).map(move |j| 1.0 / f64::from(i + j + 1)))
        .collect();
    let b: Vec<f64> = hilbert.chunks(8).map(|row| row.iter().sum()).collect();
    let r = solve(Class::LinearSystem, 8, 8, &hilbert, &b);
    assert_eq!(r.claim, Status::Optimal, "{}", r.reason.why);
    let error = r.point.values.iter().map(|v| (v - 1.0).abs()).fold(0.0, f64::max);
    assert!(error < 1e-5, "{error:e}");
    let condition = r.trace.column("condition").unwrap()[1];
    assert!((1e10..1e11).contains(&condition), "{condition:e}");
    // Singular and consistent, singular and not.
    let singular = [1.0, 2.0, 2.0, 4.0];
    let r = solve(Class::LinearSystem, 2, 2, &singular, &[5.0, 10.0]);
    assert_eq!(r.claim, Status::Optimal, "{}", r.reason.why);
    assert!((r.point.values[0] - 1.0).abs() < 1e-12 && (r.point.values[1] - 2.0).abs() < 1e-12);
    assert_eq!(
        solve(Class::LinearSystem, 2, 2, &singular, &[5.0, 11.0]).claim,
        Status::Infeasible
    );
}
