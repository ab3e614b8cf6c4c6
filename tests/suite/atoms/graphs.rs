//! Graphs solved: with its arguments fixed by constraints, the optimal value of an atom is the atom's value.

use ravine::atoms;
use ravine::ir::atom::{CurvatureRule, Graph};
use ravine::ir::{Atom, AtomKind, Curvature};

use super::draw::Rng;
use super::scalar::{arity, domain_point, value};
use crate::harness::{last_solve, root, run, session};
use crate::interp::reduce;

/// The optimal value of `term` where the variables are fixed, by cones; a message if there is none.
fn solved(head: &str, term: &str, maximize: bool, fixed: &[(String, String)]) -> Result<f64, String> {
    let sense = if maximize { "maximize" } else { "minimize" };
    let rows: String = fixed.iter().map(|(x, a)| format!("  {x} == {a}\n")).collect();
    let program = format!("{head}{sense} {term}\nsubject to\n{rows}solve with clarabel()\n");
    let mut s = session(&root());
    let ran = run(&mut s, "graph.opt", &program);
    match last_solve(&s).and_then(|e| e.objective) {
        Some(v) => Ok(v),
        None => Err(format!("{program}{}", ran.shown)),
    }
}

fn compare(name: &str, got: Result<f64, String>, want: f64, failures: &mut Vec<String>) {
    match got {
        Ok(v) if (v - want).abs() <= 1e-5 * (1.0 + want.abs()) => {}
        Ok(v) => failures.push(format!("{name}: {v} by its graph, {want} by its kernel")),
        Err(e) => failures.push(format!("{name}: {e}")),
    }
}

/// Exponents and thresholds to fix, where the curvature depends on them.
fn seconds(row: &Atom) -> Vec<f64> {
    match row.name {
        "pow" => vec![3.0, 1.5, 0.3, -1.5, -2.0, 4.0],
        "divide" | "mul" => vec![2.5],
        _ => vec![0.7],
    }
}

#[test]
fn every_graph_gives_the_value_of_its_row() {
    let mut failures = vec![];
    let mut done = 0;
    for row in atoms::all().filter(|r| r.kind == AtomKind::Scalar && !matches!(r.graph, Graph::None(_))) {
        let mut rng = Rng::named(row.name);
        let joint = matches!(row.curvature, CurvatureRule::Always(_));
        let n = arity(row);
        for second in seconds(row) {
            for _ in 0..2 {
                let Some(mut x) = domain_point(row, &mut rng) else {
                    continue;
                };
                // Curvature that depends on the sign holds right of zero.
                let right = row.name == "pow" || row.name == "recip";
                if right {
                    x[0] = x[0].abs() + 0.1;
                }
                if !joint && n > 1 {
                    x[1] = second;
                }
                let bound = if right { " >= 0" } else { "" };
                let mut head = format!("var x: Real{bound}\n");
                let mut fixed = vec![("x".to_string(), format!("({})", x[0]))];
                let mut args = vec!["x".to_string()];
                for (k, v) in x.iter().enumerate().skip(1) {
                    if joint {
                        head += &format!("var y{k}: Real\n");
                        fixed.push((format!("y{k}"), format!("({v})")));
                        args.push(format!("y{k}"));
                    } else {
                        args.push(format!("{v}"));
                    }
                }
                let concave = match row.name {
                    "pow" => second > 0.0 && second < 1.0,
                    _ => matches!(row.curvature, CurvatureRule::Always(Curvature::Concave)),
                };
                let term = if row.name == "pow" {
                    format!("x^({second})")
                } else {
                    format!("{}({})", row.name, args.join(", "))
                };
                let got = solved(&head, &term, concave, &fixed);
                compare(&format!("{term} at {x:?}"), got, value(row, &x), &mut failures);
                done += 1;
            }
        }
    }
    for row in atoms::all().filter(|r| r.kind == AtomKind::Reduction && !matches!(r.graph, Graph::None(_))) {
        let mut rng = Rng::named(row.name);
        let concave = matches!(row.curvature, CurvatureRule::Always(Curvature::Concave));
        let x: Vec<f64> = (0..4)
            .map(|_| {
                if row.name == "geo_mean" {
                    rng.between(0.1, 3.0)
                } else {
                    rng.between(-2.0, 2.0)
                }
            })
            .collect();
        let fixed = vec![("x".to_string(), format!("{x:?}"))];
        let got = solved("var x: Vector[4]\n", &format!("{}(x)", row.name), concave, &fixed);
        compare(row.name, got, reduce(row.eval, &x), &mut failures);
        done += 1;
    }
    let x = "[1.5, -2, 0.5]";
    let p = "[4, 1, 0; 1, 3, 0.5; 0, 0.5, 2]";
    let fixed = vec![("x".to_string(), x.to_string())];
    for (term, want) in [
        ("sum_largest(x, 2)".to_string(), 2.0),
        ("sum_largest(abs(x), 2)".to_string(), 3.5),
        ("pnorm(x, 3)".to_string(), (1.5f64.powi(3) + 8.0 + 0.125).cbrt()),
        (
            "pnorm(x, 1.25)".to_string(),
            (1.5f64.powf(1.25) + 2f64.powf(1.25) + 0.5f64.powf(1.25)).powf(0.8),
        ),
        // By hand: x'Px, and Px = b solved for x'P⁻¹x.
        (
            format!("norm(x) + quad(x, {p})"),
            6.5f64.sqrt() + 4.0 * 2.25 - 6.0 + 12.0 - 1.0 + 0.5,
        ),
        (format!("max(quad(x, {p}), 0) + 0*norm(x)"), 14.5),
        (format!("matrix_frac(x, {p})"), matrix_frac_by_hand()),
        ("norm([x[1], 2*x[2]])".to_string(), (2.25f64 + 16.0).sqrt()),
        ("norm(cumsum(x))".to_string(), (1.5f64.powi(2) + 0.25).sqrt()),
    ] {
        compare(
            &term,
            solved("var x: Vector[3]\n", &term, false, &fixed),
            want,
            &mut failures,
        );
        done += 1;
    }
    // Matrices, fixed by constraints; wanted values by nalgebra.
    let a = nalgebra::Matrix3::new(4.0, 1.0, 0.0, 1.0, 3.0, 0.5, 0.0, 0.5, 2.0);
    let eigenvalues = a.symmetric_eigenvalues();
    let y = nalgebra::Matrix2x3::new(1.0, 2.0, -1.0, 0.5, -1.0, 3.0);
    let singular = y.singular_values();
    let head = "var X: Symmetric[3]\nvar Y: Matrix[2, 3]\n";
    let fixed = [
        ("X".to_string(), p.to_string()),
        ("Y".to_string(), "[1, 2, -1; 0.5, -1, 3]".to_string()),
    ];
    let inverse = a.try_inverse().expect("regular");
    let x = nalgebra::Vector3::new(1.0, 2.0, -1.0);
    for (term, maximize, want) in [
        ("lambda_max(X)", false, eigenvalues.max()),
        ("lambda_min(X)", true, eigenvalues.min()),
        (
            "lambda_max(X) - 2*lambda_min(X)",
            false,
            eigenvalues.max() - 2.0 * eigenvalues.min(),
        ),
        ("sigma_max(Y)", false, singular.max()),
        ("nuclear(Y)", false, singular.sum()),
        ("nuclear(Y')", false, singular.sum()),
        ("logdet(X)", true, f64::ln(a.determinant())),
        ("trace_inv(X)", false, inverse.trace()),
        ("matrix_frac([1, 2, -1], X)", false, (x.transpose() * inverse * x)[0]),
    ] {
        compare(term, solved(head, term, maximize, &fixed), want, &mut failures);
        done += 1;
    }
    assert!(done > 90, "{done}");
    assert!(failures.is_empty(), "{}", failures.join("\n"));
}

fn matrix_frac_by_hand() -> f64 {
    let p = nalgebra::Matrix3::new(4.0, 1.0, 0.0, 1.0, 3.0, 0.5, 0.0, 0.5, 2.0);
    let x = nalgebra::Vector3::new(1.5, -2.0, 0.5);
    (x.transpose() * p.try_inverse().expect("regular") * x)[0]
}
