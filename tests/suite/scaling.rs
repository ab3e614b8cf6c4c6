//! Scale and units: the same answers when data, variables and objective are measured in other units.

use super::harness::{last_solve, root, run, session};

/// Numbers that are the same in every run.
struct Draw(u64);

impl Draw {
    fn next(&mut self) -> f64 {
        self.0 = self
            .0
            .wrapping_mul(6_364_136_223_846_793_005)
            .wrapping_add(1_442_695_040_888_963_407);
        (self.0 >> 11) as f64 / (1u64 << 53) as f64
    }
    fn list(&mut self, n: usize, lo: f64, hi: f64) -> Vec<f64> {
        (0..n).map(|_| lo + (hi - lo) * self.next()).collect()
    }
}

/// `k` is the unit of the variables, `q` of the objective, `r` of the rows.
const MODELS: [(&str, &str); 6] = [
    (
        "lp",
        "problem p {\n var x: Vector[n] >= 0\n maximize q*k*dot(c, x)\n subject to\n rows[i in 1..m]: r*k*sum(j in 1..n) A[i, j]*x[j] <= r*b[i]\n}",
    ),
    (
        "qp",
        "problem p {\n var x: Vector[n] in [0, 0.7/k]\n minimize q*(sumsq(k*A*x - b) - k*dot(c, x))\n subject to\n one: r*k*sum(x) == r\n}",
    ),
    (
        "socp",
        "problem p {\n var x: Vector[n]\n maximize q*k*dot(c, x)\n subject to\n ball: r*norm(k*A*x - b) <= 2*r\n}",
    ),
    ("ls", "problem p {\n var x: Vector[n]\n minimize q*sumsq(k*A*x - b)\n}"),
    (
        "smooth with bounds",
        "problem p {\n var x: Vector[n] in [0.1/k, 2/k] from 1/k\n minimize q*(sum(i in 1..m) exp(k*(sum(j in 1..n) A[i, j]*x[j]) - b[i]) - sum(j in 1..n) log(k*x[j]))\n}",
    ),
    (
        "smooth, not convex",
        "problem p {\n var x: Vector[2] from [-1.2/k, 1/k]\n minimize q*((1 - k*x[1])^2 + 100*(k*x[2] - (k*x[1])^2)^2)\n}",
    ),
];

#[test]
fn other_units_give_the_same_answers() {
    let mut wrong = vec![];
    for seed in 0..3 {
        let mut d = Draw(seed);
        let rows: Vec<String> = (0..4)
            .map(|_| {
                d.list(3, 0.2, 2.0)
                    .iter()
                    .map(f64::to_string)
                    .collect::<Vec<_>>()
                    .join(", ")
            })
            .collect();
        let (b, c) = (d.list(4, 1.0, 3.0), d.list(3, 0.5, 2.0));
        let data = format!(
            "param k: Real = 1\nparam q: Real = 1\nparam r: Real = 1\nparam A: Matrix[m, n] = [{}]\nparam b: Vector[m] = {b:?}\nparam c: Vector[n] = {c:?}\n",
            rows.join("; ")
        );
        for (name, model) in MODELS {
            let solve = |units: &str| -> (String, Vec<f64>, f64) {
                let mut s = session(&root());
                let at = run(&mut s, "m.opt", &format!("{data}{model}\n{units}\nsolve p to 1e-9\n"));
                let e = last_solve(&s).unwrap_or_else(|| panic!("{}", at.shown));
                let x = match e.variables.first() {
                    Some((_, ravine::base::value::Value::Array { tensor, .. })) => tensor.to_dense(),
                    _ => vec![],
                };
                (e.status.word().to_string(), x, e.objective.unwrap_or(f64::NAN))
            };
            let (status, x, f) = solve("");
            assert!(status.ends_with("optimal"), "{name}: {status}");
            for (unit, size) in [
                ("k", 1e6),
                ("k", 1e-6),
                ("q", 1e6),
                ("q", 1e-6),
                ("r", 1e6),
                ("r", 1e-6),
            ] {
                if unit == "r" && !model.contains("r*") {
                    continue;
                }
                let (s, y, g) = solve(&format!("{unit} = {size:e}"));
                let k = if unit == "k" { size } else { 1.0 };
                let q = if unit == "q" { size } else { 1.0 };
                let off = x.iter().zip(&y).map(|(a, b)| (a - k * b).abs()).fold(0.0, f64::max);
                // Half of the digits where the optimum is flat, all of the tolerance in the objective.
                let bad = s != status || y.len() != x.len() || off > 1e-5 || (g / q - f).abs() > 1e-7 * (1.0 + f.abs());
                if bad {
                    wrong.push(format!(
                        "{name}, {unit} = {size:e}: {s}, x off by {off:.1e}, {} for {f}",
                        g / q
                    ));
                }
            }
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

/// In a narrow box every projected step is short; that does not make its corner stationary.
#[test]
fn a_narrow_box_is_measured_in_its_own_width() {
    let mut s = session(&root());
    let r = run(
        &mut s,
        "t.opt",
        "var x: Vector[2] in [1e-7, 2e-6]\nminimize sum(j in 1..2) (exp(1e6*x[j]) - 2e6*x[j])\ns = solve\nassert 1e6*s.x == log(2) within 1e-6",
    );
    assert_eq!(r.exit, 0, "{}", r.shown);
}
