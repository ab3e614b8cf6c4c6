//! Functions of whole vectors: order statistics, p-norms, quadratic forms in an inverse, running sums.
//!
//! Invariant: ties are broken by position, so that a subgradient is the same on every machine.

use super::logic::holds;
use super::rules::{
    add, call, div, entry, inner, matmul, mul, neg, negated, num, outer, plain_domain, scale, solve, sub, sum_opt,
    times,
};
use super::spectral::{block, entries};
use super::{ABS, EQ, INV, LOG, NORM, NORM1, POW, SELECT, SIGN, SUM, factors, kernels, shape};
use crate::ir::atom::{
    ArgFacts, ArrayOut, ArrayRef, AtomKind, Complex, CurvatureRule, DegreeRule, Derivative, DomainOf, Eval, Fill,
    Graph, GraphBuilder, GraphCone, Identity, KernelFault, MonoRule, Prox, SignRule,
};
use crate::ir::{Curvature, DomainId, Ir, Mono, NodeId, Sign, Smooth};

const ARRAYS: Complex = Complex::None("whole arrays");
const NO_PROX: Prox = Prox::None("whole arrays");

type Out = Result<ArrayOut, KernelFault>;

/// Positions of the `k` largest entries, ties by position.
fn largest(x: &[f64], k: f64) -> Result<Vec<usize>, KernelFault> {
    if !(k >= 0.0 && k <= x.len() as f64 && k.fract() == 0.0) {
        return Err(KernelFault {
            what: format!(
                "the number of entries is a whole number between 0 and {}, found {k}",
                x.len()
            ),
        });
    }
    let mut order: Vec<usize> = (0..x.len()).collect();
    order.sort_by(|i, j| x[*j].total_cmp(&x[*i]).then(i.cmp(j)));
    order.truncate(k as usize);
    order.sort_unstable();
    Ok(order)
}

fn read(args: &[ArrayRef<'_>]) -> (Vec<f64>, f64) {
    let k = super::arrays::dense(&args[1]).first().copied().unwrap_or(f64::NAN);
    (super::arrays::dense(&args[0]).into_owned(), k)
}

fn sum_largest(args: &[ArrayRef<'_>]) -> Out {
    let (x, k) = read(args);
    let chosen: Vec<f64> = largest(&x, k)?.into_iter().map(|i| x[i]).collect();
    let poisoned = x.iter().any(|v| v.is_nan());
    Ok(ArrayOut::Dense(vec![if poisoned {
        f64::NAN
    } else {
        ravine_linalg::reduce::sum(&chosen)
    }]))
}

fn sum_largest_slope(args: &[ArrayRef<'_>]) -> Out {
    let (x, k) = read(args);
    let mut w = vec![0.0; x.len()];
    largest(&x, k)?.into_iter().for_each(|i| w[i] = 1.0);
    Ok(ArrayOut::Dense(w))
}

/// `(Σ |x|^p)^(1/p)`, relative to the largest magnitude.
fn pnorm(args: &[ArrayRef<'_>]) -> Out {
    let (x, p) = read(args);
    if !(p >= 1.0 && p.is_finite()) {
        return Err(KernelFault {
            what: format!("a norm has an exponent of at least 1, found {p}"),
        });
    }
    let top = ravine_linalg::reduce::norm_inf(&x);
    if top == 0.0 || !top.is_finite() {
        return Ok(ArrayOut::Dense(vec![top]));
    }
    let terms: Vec<f64> = x.iter().map(|v| v.abs() / top).collect();
    let exponent = vec![p; x.len()];
    let mut powers = vec![0.0; x.len()];
    kernels::pow(&mut powers, &terms, &exponent);
    let sum = ravine_linalg::reduce::sum(&powers);
    let mut root = [0.0];
    kernels::pow(&mut root, &[sum], &[1.0 / p]);
    Ok(ArrayOut::Dense(vec![top * root[0]]))
}

fn cumsum(args: &[ArrayRef<'_>]) -> Out {
    let mut total = 0.0;
    let x = super::arrays::dense(&args[0]);
    Ok(ArrayOut::Dense(
        x.iter()
            .map(|v| {
                total += v;
                total
            })
            .collect(),
    ))
}

/// By `x`: `sign(x)·(|x|/y)^(p-1)`. By `p`: `y/p·(Σ w·log|x| - log y)` with `w = (|x|/y)^p`.
fn pnorm_partials(ir: &mut Ir, a: &[NodeId], y: NodeId) -> [NodeId; 2] {
    let shape = ir.shape(a[0]).to_vec();
    let (domain, at) = plain_domain(ir, &shape);
    let x = entry(ir, a[0], &at);
    let y = super::elementwise::nonzero_or_one(ir, y);
    let size = call(ir, ABS, x);
    let part = div(ir, size, y);
    let one = num(ir, 1.0);
    let less = sub(ir, a[1], one);
    let power = ir.apply(POW, &[part, less]);
    let sign = call(ir, SIGN, x);
    let slope = mul(ir, sign, power);
    let by_x = ir.map(domain, slope);
    let w = mul(ir, power, part);
    let zero = holds(ir, EQ, size, 0.0);
    let safe = ir.apply(SELECT, &[zero, one, size]);
    let log = call(ir, LOG, safe);
    let weighted = mul(ir, w, log);
    let mean = ir.fold(SUM, domain, weighted);
    let log_y = call(ir, LOG, y);
    let rest = sub(ir, mean, log_y);
    let q = div(ir, y, a[1]);
    [by_x, mul(ir, q, rest)]
}

/// The last entries first: `Σ ct - (running sum) + ct`, the transpose of the running sum.
fn cumsum_transposed(ir: &mut Ir, ct: NodeId) -> NodeId {
    let shape = ir.shape(ct).to_vec();
    let (domain, at) = plain_domain(ir, &shape);
    let run = ir.apply(CUMSUM, &[ct]);
    let own = entry(ir, ct, &at);
    let total = ir.fold(SUM, domain, own);
    let so_far = entry(ir, run, &at);
    let rest = sub(ir, total, so_far);
    let body = add(ir, rest, own);
    ir.map(domain, body)
}

/// `[P, x; x', t]` is semidefinite; with a fixed `P` and `F'F = P⁻¹`, `t >= ‖Fx‖²`.
fn matrix_frac_graph(
    b: &mut dyn GraphBuilder,
    region: DomainId,
    a: &[NodeId],
    facts: &[ArgFacts],
    _: Option<DomainId>,
) -> NodeId {
    let t = b.variable(region, Sign::Nonneg);
    if facts[1].curvature == Curvature::Constant {
        let ir = b.ir();
        let inverse = ir.apply(INV, &[a[1]]);
        let f = ir.apply(PSD_FACTOR, &[inverse]);
        let y = matmul(ir, f, a[0]);
        let (domain, body) = entries(b, y);
        let ir = b.ir();
        let (one, twice) = (num(ir, 1.0), times(ir, 2.0, body));
        let heads = vec![add(ir, t, one), sub(ir, t, one)];
        b.second_order(region, heads, Some((domain, twice)));
        return t;
    }
    let n = b.ir().shape(a[0])[0];
    let (whole, p) = entries(b, a[1]);
    let (column, x) = entries(b, a[0]);
    let blocks = vec![
        block(0, 0, Fill::Entries(whole, p)),
        block(0, 1, Fill::Entries(column, x)),
        block(1, 1, Fill::Identity(t)),
    ];
    b.semidefinite(region, vec![n, 1], blocks);
    t
}

atoms! {
    family VECTORS;

    /// Sum of the `k` largest entries of a vector; `k` is a whole number without variables.
    SUM_LARGEST {
        name: "sum_largest", symbol: None, kind: AtomKind::Array,
        signature: &["(x: Vector[n], k: Int) -> Real"], shape: shape::vector_and_number, domain: &[DomainOf::Reals],
        sign: SignRule::Of(|s| s[0]),
        monotone: MonoRule::Always(&[Mono::Increasing, Mono::Unknown]),
        curvature: CurvatureRule::Always(Curvature::Convex),
        smooth: Smooth::Kinks, degree: DegreeRule::NotPolynomial,
        derivative: Derivative::Rule {
            jvp: |ir, a, t, _| { let d = t[0]?; let w = ir.apply(SUM_LARGEST_SLOPE, &[a[0], a[1]]); Some(inner(ir, w, d)) },
            vjp: |ir, a, _, ct, wanted| {
                vec![wanted[0].then(|| { let w = ir.apply(SUM_LARGEST_SLOPE, &[a[0], a[1]]); scale(ir, ct, w) }), None]
            },
        },
        graph: Graph::Cones(GraphCone::Linear, |b, region, a, _, _| {
            // k·q + Σ max(xᵢ - q, 0), least over q.
            let q = b.variable(region, Sign::Unknown);
            let shape = b.ir().shape(a[0]).to_vec();
            let (domain, at) = plain_domain(b.ir(), &shape);
            let s = b.variable(domain, Sign::Nonneg);
            let ir = b.ir();
            let x = entry(ir, a[0], &at);
            let over = sub(ir, x, q);
            let body = sub(ir, s, over);
            b.nonneg(domain, body);
            b.nonneg(domain, s);
            let ir = b.ir();
            let total = ir.fold(SUM, domain, s);
            let kq = mul(ir, a[1], q);
            add(ir, kq, total)
        }),
        prox: NO_PROX, eval: Eval::Array(sum_largest), complex: ARRAYS, simplify: &[],
        latex: r"\sum_{i=1}^{#2} #1_{[i]}", examples: &[("sum_largest([1, 4, 2], 2)", "6")],
        source: "Boyd & Vandenberghe, Convex Optimization, 2004, §3.2.3",
    }

    /// Gradient of `sum_largest`: 1 at the `k` largest entries, 0 elsewhere.
    SUM_LARGEST_SLOPE {
        name: "sum_largest_slope", symbol: None, kind: AtomKind::Array,
        signature: &["(x: Vector[n], k: Int) -> Vector[n]"], shape: shape::vector_kept, domain: &[DomainOf::Reals],
        sign: SignRule::Always(Sign::Nonneg), monotone: MonoRule::Always(&[Mono::Unknown]),
        curvature: CurvatureRule::Always(Curvature::Unknown), smooth: Smooth::Discontinuous, degree: DegreeRule::NotPolynomial,
        derivative: Derivative::None("it is constant between jumps, and has no row for that"),
        graph: Graph::None("a gradient"), prox: NO_PROX,
        eval: Eval::Array(sum_largest_slope), complex: ARRAYS, simplify: &[],
        latex: r"\nabla \sum_{i=1}^{#2} #1_{[i]}", examples: &[("sum_largest_slope([1, 4, 2], 2)", "[0, 1, 1]")], source: "",
    }

    /// The `p`-norm of a vector, `(sum abs(x)^p)^(1/p)`, for `p >= 1`.
    PNORM {
        name: "pnorm", symbol: None, kind: AtomKind::Array,
        signature: &["(x: Vector[n], p: Real) -> Real"], shape: shape::vector_and_number,
        domain: &[DomainOf::Reals, DomainOf::Between(1.0, f64::INFINITY)],
        sign: SignRule::Always(Sign::Nonneg),
        monotone: MonoRule::Always(&[Mono::AwayFromZero, Mono::Decreasing]),
        curvature: CurvatureRule::Of(|f| if f[1].curvature == Curvature::Constant { Curvature::Convex } else { Curvature::Unknown }),
        smooth: Smooth::Kinks, degree: DegreeRule::NotPolynomial,
        derivative: Derivative::Rule {
            jvp: |ir, a, t, y| {
                let [by_x, by_p] = pnorm_partials(ir, a, y);
                let first = t[0].map(|d| inner(ir, by_x, d));
                let second = t[1].map(|d| mul(ir, by_p, d));
                sum_opt(ir, first, second)
            },
            vjp: |ir, a, y, ct, wanted| {
                let [by_x, by_p] = pnorm_partials(ir, a, y);
                vec![wanted[0].then(|| scale(ir, ct, by_x)), wanted[1].then(|| mul(ir, ct, by_p))]
            },
        },
        graph: Graph::Cones(GraphCone::Exponential, |b, region, a, _, _| {
            // |xᵢ| <= rᵢ^(1/p)·t^(1-1/p) with Σ rᵢ <= t.
            let t = b.variable(region, Sign::Nonneg);
            let shape = b.ir().shape(a[0]).to_vec();
            let (domain, at) = plain_domain(b.ir(), &shape);
            let r = b.variable(domain, Sign::Nonneg);
            let x = entry(b.ir(), a[0], &at);
            let one = num(b.ir(), 1.0);
            let share = div(b.ir(), one, a[1]);
            b.power(domain, [r, t, x], share);
            let ir = b.ir();
            let total = ir.fold(SUM, domain, r);
            let body = sub(ir, t, total);
            b.nonneg(region, body);
            t
        }),
        prox: NO_PROX, eval: Eval::Array(pnorm), complex: ARRAYS,
        simplify: &[Identity {
            name: "norms", condition: "an exponent of 1 or 2",
            apply: |ir, a| {
                let norm = match ir.as_const(a[1])? {
                    1.0 => NORM1,
                    2.0 => NORM,
                    _ => return None,
                };
                let shape = ir.shape(a[0]).to_vec();
                let (domain, at) = plain_domain(ir, &shape);
                let x = entry(ir, a[0], &at);
                Some(ir.fold(norm, domain, x))
            },
        }],
        latex: r"\left\| #1 \right\|_{#2}", examples: &[("pnorm([3, 4], 2)", "5")],
        source: "MOSEK Modeling Cookbook, §4.2.3 (p-norm cones)",
    }

    /// `x' * inv(P) * x` for a symmetric positive definite matrix, jointly convex.
    MATRIX_FRAC {
        name: "matrix_frac", symbol: None, kind: AtomKind::Array,
        signature: &["(x: Vector[n], P: Symmetric[n]) -> Real"], shape: shape::quad,
        domain: &[DomainOf::Reals, DomainOf::PositiveDefinite],
        sign: SignRule::Always(Sign::Nonneg), monotone: MonoRule::Always(&[Mono::Unknown]),
        curvature: CurvatureRule::Always(Curvature::Convex), smooth: Smooth::Analytic,
        degree: DegreeRule::Of(|d, _| if d[1] == 0 { (2 * d[0]).min(3) } else { 3 }),
        derivative: Derivative::Rule {
            jvp: |ir, a, t, _| {
                let z = solve(ir, a[1], a[0]);
                let first = t[0].map(|d| { let s = inner(ir, z, d); times(ir, 2.0, s) });
                let second = t[1].map(|d| {
                    let dz = matmul(ir, d, z);
                    let s = inner(ir, z, dz);
                    neg(ir, s)
                });
                sum_opt(ir, first, second)
            },
            vjp: |ir, a, _, ct, wanted| {
                let z = solve(ir, a[1], a[0]);
                let by_x = wanted[0].then(|| { let k = times(ir, 2.0, ct); scale(ir, k, z) });
                let by_p = wanted[1].then(|| {
                    let o = outer(ir, z, z);
                    let o = negated(ir, o);
                    scale(ir, ct, o)
                });
                vec![by_x, by_p]
            },
        },
        graph: Graph::Cones(GraphCone::Semidefinite, matrix_frac_graph),
        prox: NO_PROX, eval: Eval::Array(factors::matrix_frac), complex: ARRAYS, simplify: &[],
        latex: r"#1^\top #2^{-1} #1", examples: &[("matrix_frac([1, 2], [2, 0; 0, 4])", "1.5")],
        source: "Boyd & Vandenberghe, Convex Optimization, 2004, §3.1.7",
    }

    /// A matrix `F` with `F'*F` equal to a symmetric positive semidefinite matrix: what of it is negative by rounding counts as 0.
    PSD_FACTOR {
        name: "psd_factor", symbol: None, kind: AtomKind::Array,
        signature: &["(P: Symmetric[n]) -> Matrix[n, n]"], shape: shape::square, domain: &[DomainOf::PositiveDefinite],
        sign: SignRule::Always(Sign::Unknown), monotone: MonoRule::Always(&[Mono::Unknown]),
        curvature: CurvatureRule::Always(Curvature::Unknown), smooth: Smooth::Discontinuous, degree: DegreeRule::NotPolynomial,
        derivative: Derivative::None("eigenvectors turn where eigenvalues meet"),
        graph: Graph::None("not a number"), prox: NO_PROX,
        eval: Eval::Array(factors::psd_factor), complex: ARRAYS, simplify: &[],
        latex: r"#1^{1/2}", examples: &[("abs(psd_factor([4, 0; 0, 9]))", "[2, 0; 0, 3]")], source: "",
    }

    /// Running sums of a vector.
    CUMSUM {
        name: "cumsum", symbol: None, kind: AtomKind::Array,
        signature: &["(x: Vector[n]) -> Vector[n]"], shape: shape::vector_alone, domain: &[DomainOf::Reals],
        sign: SignRule::Of(|s| s[0]), monotone: MonoRule::Always(&[Mono::Increasing]),
        curvature: CurvatureRule::Always(Curvature::Affine), smooth: Smooth::Analytic, degree: DegreeRule::Linear,
        derivative: Derivative::Rule {
            jvp: |ir, _, t, _| t[0].map(|d| ir.apply(CUMSUM, &[d])),
            vjp: |ir, _, _, ct, _| vec![Some(cumsum_transposed(ir, ct))],
        },
        graph: Graph::None("affine"), prox: NO_PROX, eval: Eval::Array(cumsum), complex: Complex::Linear, simplify: &[],
        latex: r"\operatorname{cumsum}\left(#1\right)", examples: &[("cumsum([1, 2, 3])", "[1, 3, 6]")], source: "",
    }
}
