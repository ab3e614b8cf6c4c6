//! Krylov methods in programs: statuses and errors that are theirs, answers against factorizations, wrong classes refused.
#![allow(clippy::disallowed_methods, reason = "a test")]

use ravine_linalg::{Csr, Dense, Matrix};

use ravine::solve::Class;
use ravine::solve::choose;
use ravine::solve::diagnose::{INCOMPLETE, Meaning, Subject, diagnose};

use super::harness::{root, run, session};

/// A chain of equations with a known solution, and a quadratic with the same matrix.
const CHAIN: &str = "
let n = 60
problem chain {
  var x: Vector[n]
  subject to
    first: 2*x[1] - x[2] == 1
    inner[i in 2..n-1]: 2*x[i] - x[i-1] - x[i+1] == 1
    last: 2*x[n] - x[n-1] == 1
}
problem energy {
  var x: Vector[n]
  minimize sum(i in 1..n) x[i]^2 - (sum(i in 1..n-1) x[i]*x[i+1]) - sum(x)
}
";

fn shown(program: &str) -> (String, Vec<String>) {
    let ran = run(&mut session(&root()), "krylov.opt", program);
    (ran.shown, ran.codes.iter().map(|c| c.id().to_string()).collect())
}

#[test]
fn systems_and_quadratics_are_solved_by_products() {
    // -x'' = 1 with zero ends: x[i] = i (n + 1 - i) / 2, energy -sum(x)/2.
    for (problem, method) in [
        ("chain", "cg()"),
        ("chain", "cg(preconditioner: jacobi)"),
        ("chain", "cg(preconditioner: none)"),
        ("chain", "minres()"),
        ("chain", "minres(preconditioner: none)"),
        ("chain", "lsmr()"),
        ("chain", "lsmr(preconditioner: none)"),
        ("energy", "cg()"),
        ("energy", "cg(preconditioner: ic0, window: 2)"),
        ("energy", "minres()"),
    ] {
        // The chain's incomplete factor is exact: behind it nothing of the energy's spectrum is left to see.
        let least = if problem == "chain" { 30 } else { 1 };
        let (text, codes) = shown(&format!(
            "{CHAIN}s = solve {problem} to 1e-10 with {method}\nassert s.x[7] == 7*54/2 within 1e-6\n\
             assert s.error < 1e-5\nassert s.condition >= {least} and s.condition < 2000\nassert s.iterations > 0\n"
        ));
        assert!(
            codes.is_empty() && text.contains("optimal"),
            "{problem} with {method}:\n{text}"
        );
    }
}

#[test]
fn what_a_method_cannot_take_is_said_before_it_runs() {
    for (program, code, say) in [
        (
            "problem p {\n var x: Vector[2]\n subject to\n a: x[1] + 2*x[2] == 1\n b: 3*x[1] + x[2] == 1\n}\nsolve p with cg()",
            "R0703",
            "lsmr",
        ),
        (
            "problem p {\n var x: Vector[2]\n subject to\n a: x[1] + 2*x[2] == 1\n b: 2*x[1] == 1\n}\nsolve p with cg()",
            "R0703",
            "minres",
        ),
        (
            "problem p {\n var x: Vector[2]\n minimize sum(x)\n subject to\n a: x[1] >= 2\n}\nsolve p with cg()",
            "R0703",
            "convex quadratic",
        ),
        (
            "problem p {\n var x: Vector[2]\n minimize sumsq(x) - sum(x)\n}\nsolve p with lsmr()",
            "R0703",
            "sum of squares",
        ),
        (
            "problem p {\n var x: Vector[2]\n minimize sumsq(x - 1)\n}\nsolve p with cg(preconditioner: ilu)",
            "R0702",
            "ic0",
        ),
        (
            "problem p {\n var x: Vector[2]\n minimize sumsq(x - 1)\n}\nsolve p with cg(windw: 2)",
            "R0702",
            "window",
        ),
    ] {
        let (text, codes) = shown(program);
        assert!(
            codes.iter().any(|c| c == code) && text.contains(say),
            "{codes:?}\n{text}"
        );
    }
    // Not seen on the diagonal: found where the curvature turns out negative.
    let indefinite =
        "problem p {\n var x: Vector[2]\n subject to\n a: x[1] + 3*x[2] == 1\n b: 3*x[1] + x[2] == -1\n}\n";
    let (text, _) = shown(&format!("{indefinite}solve p with cg()"));
    assert!(text.contains("stalled") && text.contains("minres"), "{text}");
    let (text, codes) = shown(&format!(
        "{indefinite}s = solve p with minres()\nassert s.x[1] == -1/2 within 1e-9"
    ));
    assert!(codes.is_empty() && text.contains("optimal"), "{text}");
    // Singular: no vector solves it.
    let singular = "problem p {\n var x: Vector[2]\n subject to\n a: x[1] + x[2] == 1\n b: x[1] + x[2] == 2\n}\n";
    for method in ["minres()", "lsmr()", "direct()"] {
        let (text, _) = shown(&format!("{singular}solve p with {method}"));
        assert!(text.contains("infeasible"), "{method}: {text}");
    }
}

#[test]
fn a_tolerance_below_rounding_is_precision_limited() {
    let tenths = CHAIN.replace("== 1", "== 0.1");
    let (text, _) = shown(&format!("{tenths}solve chain to 1e-17 with cg(preconditioner: none)"));
    assert!(
        text.contains("precision limited") && text.contains("rounding"),
        "{text}"
    );
}

fn grid(k: usize) -> Csr {
    let mut t = vec![];
    for i in 0..k * k {
        t.push((i, i, 4.0));
        for j in [(i % k > 0).then(|| i - 1), (i >= k).then(|| i - k)]
            .into_iter()
            .flatten()
        {
            t.extend([(i, j, -1.0), (j, i, -1.0)]);
        }
    }
    Csr::from_triplets(k * k, k * k, &t)
}

#[test]
fn what_is_factored_and_what_is_not() {
    // A line, a plane and a small cube are factored; a large cube is not.
    assert!(choose::equations(Class::LinearSystem, &Matrix::Sparse(grid(40))).is_none());
    let k = 40;
    let mut t = vec![];
    for i in 0..k * k * k {
        t.push((i, i, 6.0));
        for (near, step) in [(i % k > 0, 1), (i / k % k > 0, k), (i >= k * k, k * k)] {
            if near {
                t.extend([(i, i - step, -1.0), (i - step, i, -1.0)]);
            }
        }
    }
    let cube = Csr::from_triplets(k * k * k, k * k * k, &t);
    let row = choose::equations(Class::LinearSystem, &Matrix::Sparse(cube)).expect("by products");
    assert_eq!(row.card.name, "cg");
    assert!(choose::equations(Class::LinearSystem, &Matrix::Dense(Dense::identity(3))).is_none());
}

#[test]
fn large_sparse_matrices_are_diagnosed_by_products() {
    let k = 60;
    let a = Matrix::Sparse(grid(k));
    let s = |measure| Subject {
        matrix: &a,
        meaning: Meaning::Symmetric,
        columns: &|i| format!("x{i}"),
        rows: &|i| format!("x{i}"),
        blocks: &[],
        measure,
    };
    let d = diagnose(&s(true)).expect("finite");
    // cot²(pi / 2(k + 1)).
    let exact = (std::f64::consts::PI / (2.0 * (k + 1) as f64)).tan().powi(-2);
    assert!(!d.condition.exact && d.condition.value <= exact * (1.0 + 1e-9));
    assert!(d.condition.value > 0.9 * exact, "{} of {exact}", d.condition.value);
    let of = |name: &str| d.remedies.iter().find(|r| r.name == name).expect("listed");
    let (plain, incomplete) = (of("as it stands"), of(INCOMPLETE));
    assert!(incomplete.condition.value < 0.2 * plain.condition.value);
    let (p, q) = (
        plain.measured.expect("measured"),
        incomplete.measured.expect("measured"),
    );
    assert!(
        p > 100.0 && q < 0.6 * p && q <= 1.5 * incomplete.gradients,
        "{p} and {q} steps"
    );
    // A small one exactly, against the eigenvalues of L^-1 A L^-T by another library.
    let small = grid(12);
    let l = ravine_linalg::krylov::IncompleteCholesky::new(&small).expect("definite");
    let dense = |d: Dense| nalgebra::DMatrix::from_row_slice(d.rows, d.cols, &d.data);
    let inverse = dense(l.factor().to_dense()).try_inverse().expect("regular");
    let e = (&inverse * dense(small.to_dense()) * inverse.transpose())
        .symmetric_eigen()
        .eigenvalues;
    let a = Matrix::Sparse(small);
    let d = diagnose(&Subject { matrix: &a, ..s(false) }).expect("finite");
    let found = d
        .remedies
        .iter()
        .find(|r| r.name == INCOMPLETE)
        .expect("listed")
        .condition;
    assert!(found.exact && (found.value / (e.max() / e.min()) - 1.0).abs() < 1e-8);
}
