//! Semidefinite programs by the interior point of the house: closed forms, certificates recomputed by nalgebra, and Clarabel
//! on the same problem.

use std::fmt::Write as _;

use nalgebra::DMatrix;
use ravine::base::value::Value;
use ravine::report::SolveEntry;
use ravine::solve::Status;

use super::harness::{last_solve, root, run, session};

fn solved(text: &str) -> SolveEntry {
    let mut s = session(&root());
    let ran = run(&mut s, "t.opt", text);
    last_solve(&s)
        .cloned()
        .unwrap_or_else(|| panic!("{text}\n{}", ran.shown))
}

fn numbers(of: &[(String, Value)], name: &str) -> Vec<f64> {
    match of.iter().find(|e| e.0 == name) {
        Some((_, Value::Array { tensor, .. })) => tensor.to_dense(),
        _ => panic!("no {name} among {:?}", of.iter().map(|e| &e.0).collect::<Vec<_>>()),
    }
}

/// The optimum found by our own iterations, with residuals of a tenth of the tolerance.
fn own(text: &str) -> SolveEntry {
    let e = solved(text);
    assert_eq!(e.status, Status::Optimal, "{text}\n{}", e.reason);
    assert_eq!(e.method, "interior_point", "{text}");
    assert!(
        e.method_why.contains("Schur complement") || text.contains("with"),
        "{}",
        e.method_why
    );
    e
}

fn draws(count: usize, seed: u64) -> Vec<f64> {
    let mut s = seed;
    (0..count)
        .map(|_| {
            s = s.wrapping_mul(6364136223846793005).wrapping_add(1442695040888963407);
            (s >> 11) as f64 / (1u64 << 52) as f64 - 1.0
        })
        .collect()
}

fn literal(a: &DMatrix<f64>) -> String {
    let rows: Vec<String> = (0..a.nrows())
        .map(|i| {
            (0..a.ncols())
                .map(|j| format!("{:?}", a[(i, j)]))
                .collect::<Vec<_>>()
                .join(", ")
        })
        .collect();
    format!("[{}]", rows.join("; "))
}

fn symmetric(n: usize, seed: u64) -> DMatrix<f64> {
    let a = DMatrix::from_vec(n, n, draws(n * n, seed));
    &a + a.transpose()
}

#[test]
fn values_with_a_closed_form() {
    let a = symmetric(6, 1);
    let b = DMatrix::from_vec(4, 3, draws(12, 2));
    let values = a.clone().symmetric_eigenvalues();
    let singular = b.clone().svd(false, false).singular_values;
    // The largest cut of a cycle of five, relaxed: 5/2 (1 + cos(π/5)). The theta function of the same graph: √5.
    let cycle = DMatrix::from_fn(5, 5, |i, j| match (i + 5 - j) % 5 {
        0 => 2.0,
        1 | 4 => -1.0,
        _ => 0.0,
    });
    let mut descending: Vec<f64> = values.iter().copied().collect();
    descending.sort_by(|a, b| b.total_cmp(a));
    for (text, want) in [
        (
            format!(
                "param A: Symmetric[n] = {}\nvar t: Real\nminimize t\nsubject to\n  t*eye(n) - A in PSD\nsolve\n",
                literal(&a)
            ),
            values.max(),
        ),
        (
            format!(
                "param A: Symmetric[n] = {}\nvar X: Symmetric[n] in PSD\nmaximize trace(A*X)\nsubject to\n  trace(X) == 1\nsolve\n",
                literal(&a)
            ),
            values.max(),
        ),
        // Ky Fan: the sum of the two largest.
        (
            format!(
                "param A: Symmetric[n] = {}\nvar X: Symmetric[n] in PSD\nmaximize trace(A*X)\nsubject to\n  trace(X) == 2\n  eye(n) - X in PSD\nsolve\n",
                literal(&a)
            ),
            descending[0] + descending[1],
        ),
        (
            format!(
                "param B: Matrix[m, n] = {}\nvar X: Matrix[m, n]\nminimize nuclear(X)\nsubject to\n  X == B\nsolve\n",
                literal(&b)
            ),
            singular.sum(),
        ),
        (
            format!(
                "param L: Symmetric[n] = {}\nvar X: Symmetric[n] in PSD\nmaximize 1/4*trace(L*X)\nsubject to\n  diag(X) == 1\nsolve\n",
                literal(&cycle)
            ),
            2.5 * (1.0 + (std::f64::consts::PI / 5.0).cos()),
        ),
        (
            format!(
                "param L: Symmetric[n] = {}\nvar X: Symmetric[n] in PSD\nmaximize sum(X)\nsubject to\n  trace(X) == 1\n  [i in 1..4]: X[i, i + 1] + 0*L[1, 1] == 0\n  X[1, 5] == 0\nsolve\n",
                literal(&cycle)
            ),
            5f64.sqrt(),
        ),
    ] {
        let e = own(&text);
        let got = e.objective.expect("a value");
        assert!(
            (got - want).abs() <= 1e-8 * (1.0 + want.abs()),
            "{got} instead of {want}\n{text}"
        );
    }
}

/// Higham's example, and the conditions of the projection for a larger one: `X - C = diag(y)/2 + Z/2`, Z semidefinite and
/// orthogonal to X. The curvature is the same along all entries, so that the matrix is eliminated with it.
#[test]
fn nearest_correlation_matrices() {
    let program = |c: &DMatrix<f64>| {
        format!(
            "param C: Symmetric[n] = {}\nvar X: Symmetric[n] in PSD\nminimize sumsq(X - C)\nsubject to\n  ones: diag(X) == 1\nsolve\n",
            literal(c)
        )
    };
    let higham = DMatrix::from_row_slice(3, 3, &[1.0, 1.0, 0.0, 1.0, 1.0, 1.0, 0.0, 1.0, 1.0]);
    let x = numbers(&own(&program(&higham)).variables, "X");
    // On the boundary b = 2a² - 1, and the derivative of 2(1 - a)² + b² vanishes: 4a³ = a + 1.
    let a = (0..60).fold(0.76f64, |a, _| a - (4.0 * a.powi(3) - a - 1.0) / (12.0 * a * a - 1.0));
    let b = 2.0 * a * a - 1.0;
    assert!((x[1] - a).abs() < 1e-6 && (x[2] - b).abs() < 1e-6, "{x:?}");
    let n = 24;
    let mut c = symmetric(n, 5);
    c.fill_diagonal(1.0);
    let e = own(&program(&c));
    let x = DMatrix::from_row_slice(n, n, &numbers(&e.variables, "X"));
    let y = numbers(&e.duals, "ones");
    let mut z = (&x - &c) * 2.0;
    (0..n).for_each(|i| z[(i, i)] -= y[i]);
    let size = 1.0 + z.amax();
    assert!(z.clone().symmetric_eigenvalues().min() >= -1e-7 * size);
    assert!(x.clone().symmetric_eigenvalues().min() >= -1e-8);
    assert!((&z * &x).trace().abs() <= 1e-7 * size);
    assert!((0..n).all(|i| (x[(i, i)] - 1.0).abs() <= 1e-9));
}

/// The bound on a cut is proved by its multipliers alone: `diag(y) - L/4` semidefinite, and `sum(y)` is the value.
#[test]
fn a_bound_is_proved_by_its_multipliers() {
    let n = 14;
    let w = draws(n * n, 9);
    let mut l = DMatrix::zeros(n, n);
    for i in 0..n {
        for j in 0..i {
            let v = (w[i * n + j] * 5.0).round().max(0.0);
            (l[(i, j)], l[(j, i)]) = (-v, -v);
            l[(i, i)] += v;
            l[(j, j)] += v;
        }
    }
    let e = own(&format!(
        "param L: Symmetric[n] = {}\nvar X: Symmetric[n] in PSD\nmaximize 1/4*trace(L*X)\nsubject to\n  ones: diag(X) == 1\nsolve\n",
        literal(&l)
    ));
    let (y, value) = (numbers(&e.duals, "ones"), e.objective.expect("a value"));
    let slack = DMatrix::from_diagonal(&nalgebra::DVector::from_column_slice(&y)) - l / 4.0;
    assert!(slack.symmetric_eigenvalues().min() >= -1e-8 * value);
    assert!((y.iter().sum::<f64>() - value).abs() <= 1e-8 * value);
}

/// Rows, bounds, free variables and several matrices at once, beside Clarabel.
#[test]
fn mixed_programs_agree_with_clarabel() {
    for seed in 1..6 {
        let (a, b, c) = (symmetric(4, seed), symmetric(4, seed + 20), symmetric(3, seed + 40));
        let mut text = String::new();
        for (name, m) in [("A", &a), ("B", &b)] {
            writeln!(text, "param {name}: Symmetric[n] = {}", literal(m)).expect("writes");
        }
        writeln!(text, "param C: Symmetric[k] = {}", literal(&c)).expect("writes");
        let text = text
            + "problem p {\n  var X: Symmetric[n] in PSD\n  var Y: Symmetric[k] in PSD\n  var u: Vector[3]\n  var v: Vector[2] >= 0\n  \
               minimize trace(A*X) + trace(C*Y) + 8*trace(Y) + 3*sum(v) + u[1] + sumsq(u)\n  subject to\n    \
               trace(X) + v[1] == 2\n    trace(B*X) - u[2] + Y[1, 2] == 0.5\n    X[1, 2] <= 0.3\n    u[3] >= X[1, 1] - 1\n    \
               v[2] <= 5\n    v[1] + v[2] >= Y[1, 1]\n    u[1]*eye(n) + A + 4*eye(n) - u[3]*B in PSD\n    Y[2, 2] >= 0.1\n}\n";
        let own = solved(&format!("{text}solve p with interior_point()\n"));
        let other = solved(&format!("{text}solve p with clarabel()\n"));
        assert_eq!(
            (own.status, other.status),
            (Status::Optimal, Status::Optimal),
            "{}",
            own.reason
        );
        let (f, g) = (own.objective.expect("a value"), other.objective.expect("a value"));
        assert!((f - g).abs() <= 2e-7 * (1.0 + g.abs()), "{f} {g}");
    }
}

#[test]
fn what_has_no_answer_is_proved_to_have_none() {
    let e = solved(
        "var X: Symmetric[5] in PSD\nminimize trace(X)\nsubject to\n  [i in 1..4]: X[i, i + 1] >= 2\n  diag(X) <= 1\nsolve with interior_point()\n",
    );
    assert_eq!(e.status, Status::Infeasible, "{}", e.reason);
    assert!(!e.certificate.is_empty());
    let e = solved(
        "var X: Symmetric[5] in PSD\nminimize X[1, 2] - X[3, 4]\nsubject to\n  X[1, 1] == X[2, 2]\nsolve with interior_point()\n",
    );
    assert_eq!(e.status, Status::Unbounded, "{}", e.reason);
    let e = solved(
        "var x: Vector[2]\nminimize x[1]\nsubject to\n  [x[1], 1; 1, x[2]] in PSD\n  x[2] <= -1\nsolve with interior_point()\n",
    );
    assert_eq!(e.status, Status::Infeasible, "{}", e.reason);
}

/// Many small matrices that hang together loosely: sparse factors are the better way, and said to be.
#[test]
fn small_matrices_beside_many_equations_go_to_sparse_factors() {
    let e = solved(
        "var x: Vector[400]\nminimize sum(x)\nsubject to\n  [i in 1..399]: [x[i], 1; 1, x[i + 1]] in PSD\n  x <= 10\nsolve\n",
    );
    assert!(
        matches!(e.status, Status::Optimal | Status::PrecisionLimited),
        "{}",
        e.reason
    );
    assert!(e.objective.is_some_and(|v| (v - 400.0).abs() <= 1e-4) && e.method == "clarabel");
    assert!(e.method_why.contains("small beside"), "{}", e.method_why);
}
