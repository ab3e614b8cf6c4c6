//! Forms end to end, from hand-built problems: closed forms, brute force, and duals against what they mean.
//!
//! Duals are held to their definition: the optimal value of the problem with one right side moved, by differences.

use std::collections::BTreeMap;
use std::sync::Arc;

use nalgebra::{DMatrix, DVector};
use ravine::atoms;
use ravine::base::value::Tensor;
use ravine::base::{SourceId, Span};
use ravine::ir::{Constraint, InputId, InputKind, Objective, Problem, Sense, Sides, Variable, text};
use ravine::passes;
use ravine::solve::compiled::{Answer, Ask, Compiled};
use ravine::solve::{Class, Status};

const HERE: Span = Span {
    source: SourceId(0),
    start: 0,
    end: 0,
};

/// How an output of the text is compared.
#[derive(Clone, Copy, Debug)]
enum Rel {
    Le(f64),
    Ge(f64),
    Eq(f64),
    Between(f64, f64),
}
use Rel::{Between, Eq, Ge, Le};

/// A problem: the first output is the objective, each further one a family of constraints.
#[derive(Clone)]
struct Case {
    text: String,
    sense: Sense,
    rows: Vec<Rel>,
    bounds: Vec<(&'static str, f64, f64)>,
    data: BTreeMap<&'static str, Vec<f64>>,
    canonical: bool,
}

fn case(text: &str, sense: Sense) -> Case {
    Case {
        text: text.into(),
        sense,
        rows: vec![],
        bounds: vec![],
        data: BTreeMap::new(),
        canonical: true,
    }
}

impl Case {
    fn rows(mut self, rows: &[Rel]) -> Self {
        self.rows = rows.to_vec();
        self
    }
    fn bound(mut self, name: &'static str, lo: f64, hi: f64) -> Self {
        self.bounds.push((name, lo, hi));
        self
    }
    fn data(mut self, name: &'static str, v: &[f64]) -> Self {
        self.data.insert(name, v.to_vec());
        self
    }
    fn problem(&self) -> Problem {
        let p = text::parse(&self.text, &|n, k| atoms::find_kind(n, k)).unwrap_or_else(|e| panic!("{e}"));
        let mut ir = p.ir;
        let mut vars = vec![];
        for k in 0..ir.inputs().len() as u32 {
            let input = InputId(k);
            let i = ir.input(input).clone();
            if !matches!(i.kind, InputKind::Var) {
                continue;
            }
            let bound = self.bounds.iter().find(|b| b.0 == i.name);
            vars.push(Variable {
                name: i.name,
                input,
                dims: i.dims,
                symmetric: false,
                lower: bound.map(|b| ir.constant(b.1)),
                upper: bound.map(|b| ir.constant(b.2)),
                start: None,
                scale: None,
                maximized: false,
                span: HERE,
            });
        }
        let mut constraints = vec![];
        for (k, ((domain, e), rel)) in p.outputs[1..].iter().zip(&self.rows).enumerate() {
            let mut num = |v: f64| ir.constant(v);
            let sides = match rel {
                Le(c) => Sides::Le(*e, num(*c)),
                Ge(c) => Sides::Ge(*e, num(*c)),
                Eq(c) => Sides::Eq(*e, num(*c)),
                Between(l, u) => Sides::Between(num(*l), *e, num(*u)),
            };
            let chain = ir.chain(*domain);
            let dims = chain.iter().flat_map(|d| ir.domain(*d).indices.clone());
            constraints.push(Constraint {
                name: format!("c{k}"),
                domain: *domain,
                dims: dims.map(|i| ir.index(i).set.clone()).collect(),
                sides,
                span: HERE,
            });
        }
        let mut out = Problem {
            name: "p".into(),
            ir,
            vars,
            objective: Some(Objective {
                sense: self.sense,
                label: None,
                node: p.outputs[0].1,
                span: HERE,
            }),
            constraints,
            assumed: vec![],
        };
        if self.canonical {
            passes::canonical(&mut out);
        }
        out
    }
    fn params(&self, p: &Problem) -> Vec<(InputId, Arc<Tensor>)> {
        (0..p.ir.inputs().len() as u32)
            .map(InputId)
            .filter_map(|i| {
                let input = p.ir.input(i);
                let v = self.data.get(input.name.as_str())?;
                Some((i, Arc::new(Tensor::dense(input.dims.clone(), v.clone()).expect("size"))))
            })
            .collect()
    }
    fn compile(&self) -> Compiled {
        let p = self.problem();
        let params = self.params(&p);
        Compiled::new(p, &params, None).unwrap_or_else(|d| panic!("{}: {}", d.message, self.text))
    }
    fn solve(&self) -> Answer {
        let mut c = self.compile();
        let params = self.params(&c.problem);
        solve(&mut c, &params, 1e-9)
    }
    fn value(&self) -> f64 {
        let a = self.solve();
        assert_eq!(a.status, Status::Optimal, "{} {:?}", a.reason, a.residuals);
        a.objective.expect("an objective")
    }
    /// The optimal value with the δ of one constraint moved: `e1 - e2 <= δ`, `>= δ`, `== δ`, and both sides loosened.
    fn moved(&self, k: usize, delta: f64) -> f64 {
        let mut at = self.clone();
        match &mut at.rows[k] {
            Le(c) | Ge(c) | Eq(c) => *c += delta,
            Between(l, u) => {
                *l -= delta;
                *u += delta;
            }
        }
        at.value()
    }
    /// Every dual (summed over its family) is the derivative of the optimal value.
    fn duals_are_derivatives(&self) -> Answer {
        let a = self.solve();
        assert_eq!(a.status, Status::Optimal, "{} {:?}", a.reason, a.residuals);
        for k in 0..self.rows.len() {
            let h = 1e-3;
            let slope = (self.moved(k, h) - self.moved(k, -h)) / (2.0 * h);
            let dual: f64 = a.duals[k].iter().sum();
            assert!(
                (slope - dual).abs() <= 1e-4 * (1.0 + slope.abs()),
                "dual of row {k} is {dual}, the optimal value moves by {slope}: {} {:?}",
                self.text,
                self.rows
            );
        }
        a
    }
}

fn solve(c: &mut Compiled, params: &[(InputId, Arc<Tensor>)], tolerance: f64) -> Answer {
    let ask = Ask {
        params,
        options: ravine::solve::run::Options {
            tolerance,
            ..Default::default()
        },
        start: &BTreeMap::new(),
        previous: None,
        method: None,
        watch: Arc::default(),
    };
    c.solve(ask, &|| 0.0).unwrap_or_else(|f| panic!("{}", f.what))
}

fn close(a: &[f64], b: &[f64], tol: f64) {
    assert_eq!(a.len(), b.len());
    for (x, y) in a.iter().zip(b) {
        assert!((x - y).abs() <= tol * (1.0 + y.abs()), "{a:?} is not {b:?}");
    }
}

/// A number in (-1, 1), never twice the same.
struct Draw(u64);
impl Draw {
    fn next(&mut self) -> f64 {
        self.0 = self
            .0
            .wrapping_mul(6364136223846793005)
            .wrapping_add(1442695040888963407);
        ((self.0 >> 11) as f64 / (1u64 << 53) as f64) * 2.0 - 1.0
    }
    fn take(&mut self, n: usize) -> Vec<f64> {
        (0..n).map(|_| self.next()).collect()
    }
}

const MIN: Sense = Sense::Minimize;
const MAX: Sense = Sense::Maximize;

#[test]
fn duals_of_linear_programs_in_both_senses_and_all_relations() {
    let lp = "var x [1..3]\nout add(x[0], add(mul(3, x[1]), mul(5, x[2])))\nout add(x[0], x[1])\nout sub(x[0], x[1])\nout add(x[0], x[2])";
    // Which of the first two is active, by case.
    for (rows, active) in [
        ([Ge(2.0), Le(0.5), Eq(1.2)], 0),
        ([Ge(1.0), Le(0.3), Eq(1.2)], 1),
        ([Ge(1.0), Between(-4.0, 0.3), Eq(1.2)], 1),
        ([Between(2.0, 9.0), Le(0.5), Eq(1.2)], 0),
        ([Ge(-1.0), Between(-3.0, -1.0), Between(0.5, 1.2)], 1),
    ] {
        let a = case(lp, MIN).rows(&rows).bound("x", 0.0, 10.0).duals_are_derivatives();
        assert!(
            a.duals[active][0].abs() > 0.1 && a.duals[2][0].abs() > 0.1,
            "{:?}",
            a.duals
        );
        assert!(a.duals[1 - active][0].abs() < 1e-6, "{:?}", a.duals);
    }
    for (rows, active) in [
        ([Le(4.0), Ge(-0.5), Eq(1.2)], 1),
        ([Le(0.3), Ge(-0.5), Eq(1.2)], 0),
        ([Between(-3.0, 0.3), Ge(-0.5), Eq(1.2)], 0),
        ([Le(4.0), Between(-0.5, 4.0), Between(0.0, 1.2)], 1),
    ] {
        let a = case(lp, MAX).rows(&rows).bound("x", 0.0, 10.0).duals_are_derivatives();
        assert!(
            a.duals[active][0].abs() > 0.1 && a.duals[2][0].abs() > 0.1,
            "{:?}",
            a.duals
        );
        assert!(a.duals[1 - active][0].abs() < 1e-6, "{:?}", a.duals);
    }
}

#[test]
fn duals_of_quadratic_and_cone_programs() {
    let qp = "param A [1..4, 1..3]\nparam b [1..4]\nvar x [1..3]\nout add(sumsq(i in 1..4) sub(matmul(A, x)[i], b[i]), x[0])\nout sum(j in 1..3) x[j]\nout sub(x[0], x[1])";
    let mut d = Draw(5);
    let (a, b) = (d.take(12), d.take(4));
    for rows in [[Eq(3.0), Ge(0.7)], [Le(-1.0), Le(-0.4)], [Ge(2.0), Between(0.3, 0.6)]] {
        case(qp, MIN)
            .rows(&rows)
            .data("A", &a)
            .data("b", &b)
            .duals_are_derivatives();
    }
    let concave = "var x [1..2]\nout sub(add(x[0], x[1]), add(square(x[0]), mul(2, square(sub(x[0], x[1])))))\nout add(x[0], mul(2, x[1]))\nout x[0]";
    for rows in [[Le(0.5), Le(0.1)], [Eq(0.7), Ge(0.4)], [Between(-1.0, 0.2), Ge(0.3)]] {
        case(concave, MAX).rows(&rows).duals_are_derivatives();
    }
    let cone = "var x [1..3]\nout add(x[0], add(mul(2, x[1]), x[2]))\nout norm(i in 1..3) x[i]\nout sub(x[0], x[2])";
    for rows in [[Le(2.0), Eq(0.5)], [Le(1.0), Ge(0.4)]] {
        case(cone, MIN).rows(&rows).duals_are_derivatives();
        case(cone, MAX).rows(&rows).duals_are_derivatives();
    }
}

#[test]
fn duals_by_family_and_reduced_costs_of_a_transport_problem() {
    // Two plants, three markets; checked against enumeration of bases by hand: the classic instance.
    let t = "param cost [1..2, 1..3]\nparam cap [1..2]\nparam need [1..3]\nvar ship [1..2, 1..3]\nout sum(p in 1..2) sum(m in 1..3) mul(cost[p, m], ship[p, m])\nout (p in 1..2) sub(sum(m in 1..3) ship[p, m], cap[p])\nout (m in 1..3) sub(sum(p in 1..2) ship[p, m], need[m])";
    let c = case(t, MIN)
        .rows(&[Le(0.0), Ge(0.0)])
        .bound("ship", 0.0, f64::INFINITY)
        .data("cost", &[0.225, 0.153, 0.162, 0.225, 0.162, 0.126])
        .data("cap", &[350.0, 600.0])
        .data("need", &[325.0, 300.0, 275.0]);
    let a = c.solve();
    assert_eq!(a.status, Status::Optimal);
    close(&[a.objective.expect("value")], &[153.675], 1e-8);
    close(&a.duals[1], &[0.225, 0.153, 0.126], 1e-6);
    // Reduced costs: cost - price of the market - price of the plant, zero where something is shipped.
    let reduced = a.reduced.expect("bounds");
    for p in 0..2 {
        for m in 0..3 {
            let want = c.data["cost"][p * 3 + m] - a.duals[1][m] - a.duals[0][p];
            assert!((reduced[p * 3 + m] - want).abs() < 1e-7, "{reduced:?}");
        }
    }
}

#[test]
fn a_portfolio_with_factors_is_the_solution_of_its_equations() {
    let (n, k) = (12, 3);
    let mut d = Draw(11);
    let f = d.take(n * k);
    let s: Vec<f64> = d.take(n).iter().map(|v| 0.3 + v * v).collect();
    let mu = d.take(n);
    let t = "param F [1..12, 1..3]\nparam s [1..12] nonneg\nparam mu [1..12]\nvar w [1..12]\nout sub(sum(i in 1..12) mul(mu[i], w[i]), add(sumsq(k in 1..3) matmul(transpose(F), w)[k], sum(i in 1..12) mul(s[i], square(w[i]))))\nout sum(i in 1..12) w[i]";
    let a = case(t, MAX)
        .rows(&[Eq(1.0)])
        .data("F", &f)
        .data("s", &s)
        .data("mu", &mu)
        .duals_are_derivatives();
    let fm = DMatrix::from_row_slice(n, k, &f);
    let q = 2.0 * (&fm * fm.transpose() + DMatrix::from_diagonal(&DVector::from_vec(s)));
    let mut kkt = DMatrix::zeros(n + 1, n + 1);
    kkt.view_mut((0, 0), (n, n)).copy_from(&q);
    for i in 0..n {
        kkt[(i, n)] = 1.0;
        kkt[(n, i)] = 1.0;
    }
    let mut rhs = DVector::zeros(n + 1);
    rhs.rows_mut(0, n).copy_from_slice(&mu);
    rhs[n] = 1.0;
    let want = kkt.lu().solve(&rhs).expect("regular");
    close(&a.x, &want.as_slice()[..n], 1e-6);
    // μ - Q w - λ 1 = 0 and the optimal value moves by λ with the budget.
    close(&a.duals[0], &want.as_slice()[n..], 1e-6);
}

#[test]
fn least_squares_is_factorized_and_says_how_good_it_is() {
    let (m, n) = (7, 3);
    let mut d = Draw(3);
    let (a, b) = (d.take(m * n), d.take(m));
    let matrix = "param A [1..7, 1..3]\nparam b [1..7]\nparam r nonneg\nvar x [1..3]\nout add(mul(0.5, sumsq(i in 1..7) sub(matmul(A, x)[i], b[i])), mul(r, sumsq(j in 1..3) x[j]))";
    let index = "param A [1..7, 1..3]\nparam b [1..7]\nparam r nonneg\nvar x [1..3]\nout add(mul(0.5, sum(i in 1..7) square(sub(sum(j in 1..3) mul(A[i, j], x[j]), b[i]))), mul(r, sum(j in 1..3) square(x[j])))";
    let (am, bv) = (DMatrix::from_row_slice(m, n, &a), DVector::from_vec(b.clone()));
    for text in [matrix, index] {
        for r in [0.0, 0.3] {
            let c = case(text, MIN).data("A", &a).data("b", &b).data("r", &[r]);
            let mut compiled = c.compile();
            assert_eq!(compiled.class, Class::LeastSquares);
            let params = c.params(&compiled.problem);
            let got = solve(&mut compiled, &params, 1e-8);
            let normal = am.transpose() * &am + DMatrix::identity(n, n) * (2.0 * r);
            let want = normal.lu().solve(&(am.transpose() * &bv)).expect("regular");
            assert_eq!(got.status, Status::Optimal, "{}", got.reason);
            close(&got.x, want.as_slice(), 1e-10);
            assert!(got.error.expect("estimated") < 1e-12 && got.condition.expect("estimated") >= 1.0);
            let f = 0.5 * (&am * &want - &bv).norm_squared() + r * want.norm_squared();
            close(&[got.objective.expect("value")], &[f], 1e-12);
        }
    }
}

#[test]
fn binding_again_compiles_nothing_and_answers_for_the_new_values() {
    let t = "param A [1..4, 1..2]\nparam b [1..4]\nparam c\nvar x [1..2]\nout sumsq(i in 1..4) sub(matmul(A, x)[i], b[i])\nout (j in 1..2 if lt(val(j), c)) x[j]";
    let c = case(t, MIN)
        .rows(&[Ge(1.0)])
        .data("A", &[1.0, 0.0, 0.0, 1.0, 1.0, 1.0, 1.0, -1.0])
        .data("b", &[0.0, 0.0, 0.0, 0.0])
        .data("c", &[2.0]);
    let mut compiled = c.compile();
    let size = compiled.problem.ir.len();
    let mut seen = vec![];
    // The filter keeps one instance, then both, then none.
    for (limit, want) in [(2.0, [1.0, 0.0]), (3.0, [1.0, 1.0]), (0.0, [0.0, 0.0])] {
        let again = c.clone().data("c", &[limit]);
        let params = again.params(&compiled.problem);
        let a = solve(&mut compiled, &params, 1e-9);
        assert_eq!(a.status, Status::Optimal, "{} {:?}", a.reason, a.residuals);
        close(&a.x, &want, 1e-6);
        seen.push(a.duals[0].len());
    }
    assert_eq!(seen, [1, 2, 0]);
    assert_eq!(compiled.problem.ir.len(), size, "solving again added to the program");
}

#[test]
fn the_smallest_circle_and_other_cones_against_closed_forms() {
    let t =
        "param P [1..4, 1..2]\nvar c [1..2]\nvar r\nout r\nout (i in 1..4) sub(norm(k in 1..2) sub(P[i, k], c[k]), r)";
    let a = case(t, MIN)
        .rows(&[Le(0.0)])
        .data("P", &[0.0, 0.0, 4.0, 0.0, 1.0, 3.0, 2.0, 0.5])
        .solve();
    assert_eq!(a.status, Status::Optimal, "{} {:?}", a.reason, a.residuals);
    // Through three of the points: equidistant from (0, 0), (4, 0) and (1, 3).
    close(&a.x, &[2.0, 1.0, 5f64.sqrt()], 1e-6);
    close(&[a.duals[0].iter().sum()], &[-1.0], 1e-6);
    // Distance to a plane: min ‖x‖ with a'x = 1 is 1/‖a‖, and the dual is the same number.
    let t = "param a [1..3]\nvar x [1..3]\nout norm(i in 1..3) x[i]\nout sum(i in 1..3) mul(a[i], x[i])";
    let a = case(t, MIN)
        .rows(&[Eq(1.0)])
        .data("a", &[1.0, 2.0, 2.0])
        .duals_are_derivatives();
    close(
        &[a.objective.expect("value"), a.duals[0][0]],
        &[1.0 / 3.0, 1.0 / 3.0],
        1e-7,
    );
    // Chebyshev centre of points on a line, median, and log-sum-exp under a budget (maximal entropy).
    let t = "param b [1..5]\nvar x\nout max(i in 1..5) abs(sub(x, b[i]))";
    close(
        &[case(t, MIN).data("b", &[3.0, -1.0, 0.0, 9.0, 2.0]).value()],
        &[5.0],
        1e-7,
    );
    let t = "param b [1..5]\nvar x\nout norm1(i in 1..5) sub(x, b[i])";
    close(
        &[case(t, MIN).data("b", &[3.0, -1.0, 0.0, 9.0, 2.0]).value()],
        &[13.0],
        1e-7,
    );
    let t = "var x [1..4]\nout logsumexp(i in 1..4) x[i]\nout sum(i in 1..4) x[i]";
    close(&[case(t, MIN).rows(&[Eq(0.0)]).value()], &[4f64.ln()], 1e-7);
    let t = "var x [1..3]\nout sum(i in 1..3) log(x[i])\nout sum(i in 1..3) x[i]";
    let a = case(t, MAX).rows(&[Le(6.0)]).duals_are_derivatives();
    close(&a.x, &[2.0; 3], 1e-5);
    // 1/x + 4/y on x + y == 3: 9/3.
    let t = "var x\nvar y\nout add(inv_pos(x), quad_over_lin(2, y))\nout add(x, y)";
    close(&[case(t, MIN).rows(&[Eq(3.0)]).value()], &[3.0], 1e-7);
    // Square roots under a budget: Σ sqrt(c x) with x summing to 1 is sqrt(Σ c).
    let t = "param c [1..3] nonneg\nvar x [1..3]\nout sum(i in 1..3) sqrt(mul(c[i], x[i]))\nout sum(i in 1..3) x[i]";
    close(
        &[case(t, MAX).rows(&[Le(1.0)]).data("c", &[1.0, 3.0, 5.0]).value()],
        &[3.0],
        1e-7,
    );
}

#[test]
fn nonnegative_least_squares_against_all_supports() {
    let (m, n) = (9, 5);
    let text = "param A [1..9, 1..5]\nparam b [1..9]\nvar x [1..5]\nout sumsq(i in 1..9) sub(matmul(A, x)[i], b[i])";
    for seed in 1..6 {
        let mut d = Draw(seed);
        let (a, b) = (d.take(m * n), d.take(m));
        let got = case(text, MIN)
            .bound("x", 0.0, f64::INFINITY)
            .data("A", &a)
            .data("b", &b)
            .solve();
        assert_eq!(got.status, Status::Optimal, "{} {:?}", got.reason, got.residuals);
        assert!(got.x.iter().all(|v| *v >= 0.0));
        let (am, bv) = (DMatrix::from_row_slice(m, n, &a), DVector::from_vec(b));
        let mut best = (bv.norm_squared(), vec![0.0; n]);
        for support in 1u32..1 << n {
            let cols: Vec<usize> = (0..n).filter(|j| support >> j & 1 == 1).collect();
            let s = am.select_columns(&cols);
            let z = (s.transpose() * &s)
                .lu()
                .solve(&(s.transpose() * &bv))
                .expect("regular");
            let f = (&s * &z - &bv).norm_squared();
            if z.iter().all(|v| *v >= 0.0) && f < best.0 {
                let mut x = vec![0.0; n];
                cols.iter().zip(z.iter()).for_each(|(j, v)| x[*j] = *v);
                best = (f, x);
            }
        }
        close(&[got.objective.expect("value")], &[best.0], 1e-8);
        close(&got.x, &best.1, 1e-6);
        // Never superoptimal.
        assert!(got.objective.expect("value") >= best.0 - 1e-13 * (1.0 + best.0));
    }
}

/// A `m × n` matrix with singular values from 1 to `1/κ`, evenly in their logarithms.
fn conditioned(m: usize, n: usize, kappa: f64, seed: u64) -> DMatrix<f64> {
    let mut d = Draw(seed);
    let u = DMatrix::from_vec(m, n, d.take(m * n)).qr().q();
    let v = DMatrix::from_vec(n, n, d.take(n * n)).qr().q();
    let s = DVector::from_fn(n, |i, _| kappa.powf(-(i as f64) / (n as f64 - 1.0)));
    u * DMatrix::from_diagonal(&s) * v.transpose()
}

#[test]
fn bounds_and_equations_do_not_cost_least_squares_its_accuracy() {
    // Consistent, so that the exact answer is known; solvers elsewhere say "solved" here with tens of percent of error.
    let (m, n) = (20, 8);
    let text = "param A [1..20, 1..8]\nparam b [1..20]\nvar x [1..8]\nout sumsq(i in 1..20) sub(matmul(A, x)[i], b[i])\nout sum(j in 1..8) x[j]";
    let truth: Vec<f64> = (0..n)
        .map(|j| if j % 3 == 2 { 0.0 } else { 1.0 + j as f64 / 7.0 })
        .collect();
    let total: f64 = truth.iter().sum();
    for kappa in [1e2, 1e4, 1e6] {
        let a = conditioned(m, n, kappa, 9);
        let b = &a * DVector::from_vec(truth.clone());
        let data: Vec<f64> = a.transpose().as_slice().to_vec();
        let base = case(text, MIN).data("A", &data).data("b", b.as_slice());
        for (what, c) in [
            ("bounds", base.clone().rows(&[Le(100.0)]).bound("x", 0.0, f64::INFINITY)),
            ("an equation", base.clone().rows(&[Eq(total)])),
        ] {
            let got = c.solve();
            let error = (DVector::from_vec(got.x.clone()) - DVector::from_vec(truth.clone())).norm() / b.norm();
            assert_eq!(
                got.status,
                Status::Optimal,
                "{what}, κ {kappa:e}: {} {:?}",
                got.reason,
                got.residuals
            );
            // Without the second look at the active set: 0.06 with bounds at κ = 1e4, above 1 at 1e6.
            assert!(error <= 1e-15 * kappa, "{what}, κ {kappa:e}: error {error:e}");
        }
    }
}

#[test]
fn least_squares_under_equations_against_its_equations() {
    let (m, n, p) = (8, 4, 2);
    let mut d = Draw(21);
    let (a, b, c, e) = (d.take(m * n), d.take(m), d.take(p * n), d.take(p));
    let t = "param A [1..8, 1..4]\nparam b [1..8]\nparam C [1..2, 1..4]\nparam e [1..2]\nvar x [1..4]\nout sumsq(i in 1..8) sub(matmul(A, x)[i], b[i])\nout (i in 1..2) sub(matmul(C, x)[i], e[i])";
    let got = case(t, MIN)
        .rows(&[Eq(0.0)])
        .data("A", &a)
        .data("b", &b)
        .data("C", &c)
        .data("e", &e)
        .solve();
    let (am, cm) = (DMatrix::from_row_slice(m, n, &a), DMatrix::from_row_slice(p, n, &c));
    let mut kkt = DMatrix::zeros(n + p, n + p);
    kkt.view_mut((0, 0), (n, n)).copy_from(&(2.0 * am.transpose() * &am));
    kkt.view_mut((n, 0), (p, n)).copy_from(&cm);
    kkt.view_mut((0, n), (n, p)).copy_from(&cm.transpose());
    let mut rhs = DVector::zeros(n + p);
    rhs.rows_mut(0, n)
        .copy_from(&(2.0 * am.transpose() * DVector::from_vec(b)));
    rhs.rows_mut(n, p).copy_from_slice(&e);
    let want = kkt.lu().solve(&rhs).expect("regular");
    assert_eq!(got.status, Status::Optimal, "{} {:?}", got.reason, got.residuals);
    close(&got.x, &want.as_slice()[..n], 1e-7);
    // ∇f + C'y = 0 there; ours is df/dδ of C x - e == δ, which is -y.
    let dual: Vec<f64> = want.as_slice()[n..].iter().map(|y| -y).collect();
    close(&got.duals[0], &dual, 1e-6);
}

#[test]
fn infeasible_and_unbounded_are_certified_and_never_called_optimal() {
    let pair = "var x [1..2]\nout x[0]\nout add(x[0], x[1])\nout add(x[0], x[1])";
    let a = case(pair, MIN).rows(&[Eq(10.0), Eq(11.0)]).solve();
    assert_eq!(a.status, Status::Infeasible, "{}", a.reason);
    assert!(!a.certificate.is_empty());
    let a = case(pair, MAX).rows(&[Le(1.0), Ge(2.0)]).solve();
    assert_eq!(a.status, Status::Infeasible, "{}", a.reason);
    let a = case(pair, MIN).rows(&[Le(1.0), Le(2.0)]).solve();
    assert_eq!(a.status, Status::Unbounded, "{}", a.reason);
    assert!(
        a.certificate[0].1[0] < 0.0,
        "a direction along which the objective falls: {:?}",
        a.certificate
    );
    let a = case(pair, MAX).rows(&[Le(1.0), Le(2.0)]).solve();
    assert_eq!(a.status, Status::Unbounded, "{}", a.reason);
    assert!(a.certificate[0].1[0] > 0.0);
    // Both at once: no point, and a direction.
    let both = "var x [1..2]\nout x[0]\nout x[1]\nout x[1]";
    let a = case(both, MIN).rows(&[Le(0.0), Ge(1.0)]).solve();
    assert_eq!(a.status, Status::Infeasible, "{}", a.reason);
    // Rows without a variable.
    let none = "param a\nvar x\nout square(x)\nout a";
    let a = case(none, MIN).rows(&[Le(1.0)]).data("a", &[2.0]).solve();
    assert_eq!(a.status, Status::Infeasible, "{}", a.reason);
    let a = case(none, MIN).rows(&[Le(1.0)]).data("a", &[1.0]).solve();
    assert_eq!(a.status, Status::Optimal, "{}", a.reason);
    // A ball and a half space apart, an unbounded quadratic.
    let ball = "var x [1..2]\nout x[0]\nout norm(i in 1..2) x[i]\nout x[0]";
    let a = case(ball, MIN).rows(&[Le(1.0), Ge(3.0)]).solve();
    assert_eq!(a.status, Status::Infeasible, "{}", a.reason);
    let flat = "var x [1..2]\nout add(square(x[0]), x[1])\nout x[0]";
    let a = case(flat, MIN).rows(&[Ge(-3.0)]).solve();
    assert_eq!(a.status, Status::Unbounded, "{}", a.reason);
    // Bounds that cross.
    let a = case("var x\nout square(x)", MIN).bound("x", 2.0, 1.0).solve();
    assert_eq!(a.status, Status::Infeasible, "{}", a.reason);
}

#[test]
fn edges_empty_families_fixed_variables_no_constraints_redundant_rows() {
    // A fixed variable; its reduced cost is what fixing it costs.
    let t = "var x\nvar y\nout add(square(sub(x, 3)), square(sub(y, 1)))\nout add(x, y)";
    let a = case(t, MIN).rows(&[Le(100.0)]).bound("x", 1.0, 1.0).solve();
    assert_eq!(a.status, Status::Optimal, "{}", a.reason);
    close(&a.x, &[1.0, 1.0], 1e-7);
    close(&[a.reduced.expect("bounds")[0]], &[-4.0], 1e-6);
    // The same equation three times.
    let t = "var x [1..2]\nout sumsq(i in 1..2) x[i]\nout add(x[0], x[1])\nout add(x[1], x[0])\nout mul(2, add(x[0], x[1]))";
    let a = case(t, MIN).rows(&[Eq(1.0), Eq(1.0), Eq(2.0)]).solve();
    assert_eq!(a.status, Status::Optimal, "{} {:?}", a.reason, a.residuals);
    close(&a.x, &[0.5, 0.5], 1e-7);
    // Only bounds: a linear objective at a corner, in both senses.
    let t = "var x [1..2]\nout sub(x[0], mul(2, x[1]))";
    close(&[case(t, MIN).bound("x", -1.0, 2.0).value()], &[-5.0], 1e-8);
    close(&[case(t, MAX).bound("x", -1.0, 2.0).value()], &[4.0], 1e-8);
}

#[test]
fn a_smooth_problem_runs_on_its_derivatives() {
    let t = "var x [1..6]\nout sum(i in 1..5) add(square(sub(1, x[i])), mul(100, square(sub(x[i + 1], square(x[i])))))";
    let a = case(t, MIN).solve();
    assert!(a.status.is_success(), "{} {}", a.status, a.reason);
    close(&a.x, &[1.0; 6], 1e-6);
    let t = "param X [1..8, 1..2]\nparam y [1..8]\nvar w [1..2]\nout sub(neg(sum(i in 1..8) softplus(neg(mul(y[i], matmul(X, w)[i])))), mul(0.5, sumsq(j in 1..2) w[j]))";
    let mut d = Draw(2);
    let x = d.take(16);
    let y: Vec<f64> = (0..8).map(|k| if k % 3 == 0 { 1.0 } else { -1.0 }).collect();
    let a = case(t, MAX).data("X", &x).data("y", &y).solve();
    assert_eq!(a.status, Status::Optimal, "concave, so proved: {}", a.reason);
    // The gradient by hand.
    for j in 0..2 {
        let g: f64 = (0..8)
            .map(|i| {
                let m = y[i] * (x[2 * i] * a.x[0] + x[2 * i + 1] * a.x[1]);
                y[i] * x[2 * i + j] / (1.0 + m.exp())
            })
            .sum::<f64>()
            - a.x[j];
        assert!(g.abs() < 1e-7, "gradient {g}");
    }
    assert!(a.objective.expect("value") < 0.0, "in the user's sense");
}
