//! Reductions of the values of one index domain.
//!
//! Invariant: a kernel is a block function and a combination of two partials, so its bits follow from the length alone.

use super::elementwise::{nonzero_or_one, ties};
use super::rules::{call, div, num, sub, times};
use super::{ABS, EXP, MUL, SIGN, complex, kernels, prox, shape};
use crate::ir::atom::{
    AtomKind, Complex, CurvatureRule, DegreeRule, Derivative, DomainOf, Eval, Graph, GraphCone, MonoRule, Prox,
    SignRule,
};
use crate::ir::{Curvature, DomainId, Ir, Mono, NodeId, Sign, Smooth};

const REDUCES: Complex = Complex::None("not analytic");
const UP: MonoRule = MonoRule::Always(&[Mono::Increasing]);
const AWAY: MonoRule = MonoRule::Always(&[Mono::AwayFromZero]);
const CONVEX: CurvatureRule = CurvatureRule::Always(Curvature::Convex);
const SIGNATURE: &[&str] = &["(x: Real[..d]) -> Real"];

/// Number of instances of a domain in one instance of its parent.
fn count(ir: &mut Ir, domain: DomainId) -> NodeId {
    if ir.domain(domain).filter.is_none() {
        let n: usize = ir.domain_shape(domain).iter().product();
        return num(ir, n as f64);
    }
    let one = num(ir, 1.0);
    ir.fold(SUM, domain, one)
}

/// The slope of a largest or smallest value: shared equally among the instances that attain it.
fn share(ir: &mut Ir, domain: DomainId, value: NodeId, y: NodeId) -> NodeId {
    let attains = ties(ir, value, y);
    let how_many = ir.fold(SUM, domain, attains);
    div(ir, attains, how_many)
}

fn mul_by_sign(ir: &mut Ir, a: NodeId, body: NodeId) -> NodeId {
    let s = call(ir, SIGN, body);
    ir.apply(MUL, &[a, s])
}

atoms! {
    family REDUCTIONS;

    /// Sum; 0 for no value.
    SUM {
        name: "sum", symbol: None, kind: AtomKind::Reduction, signature: SIGNATURE, shape: shape::number,
        domain: &[DomainOf::Reals], sign: SignRule::Of(|s| s[0]), monotone: UP,
        curvature: CurvatureRule::Always(Curvature::Affine), smooth: Smooth::Analytic, degree: DegreeRule::Linear,
        derivative: Derivative::Slope(|ir, _, _, _| num(ir, 1.0)),
        graph: Graph::None("affine"), prox: Prox::Vector(prox::sum),
        eval: Eval::Reduce(kernels::SUM), complex: Complex::Fold(complex::sum), simplify: &[],
        latex: r"\sum #1", examples: &[("sum([1, 2, 3])", "6")], source: "",
    }

    /// Arithmetic mean.
    MEAN {
        name: "mean", symbol: None, kind: AtomKind::Reduction, signature: SIGNATURE, shape: shape::number,
        domain: &[DomainOf::Reals], sign: SignRule::Of(|s| s[0]), monotone: UP,
        curvature: CurvatureRule::Always(Curvature::Affine), smooth: Smooth::Analytic, degree: DegreeRule::Linear,
        derivative: Derivative::Slope(|ir, d, _, _| { let n = count(ir, d); let one = num(ir, 1.0); div(ir, one, n) }),
        graph: Graph::None("affine"), prox: Prox::Vector(prox::mean),
        eval: Eval::Reduce(kernels::MEAN), complex: Complex::Fold(|z| complex::div(complex::sum(z), (z.len() as f64, 0.0))), simplify: &[],
        latex: r"\operatorname{mean} #1", examples: &[("mean([1, 2, 6])", "3")], source: "",
    }

    /// Product; 1 for no value. Its derivative is not available where a factor is 0.
    PROD {
        name: "prod", symbol: None, kind: AtomKind::Reduction, signature: SIGNATURE, shape: shape::number,
        domain: &[DomainOf::Reals],
        sign: SignRule::Of(|s| if s[0].is_nonneg() { Sign::Nonneg } else { Sign::Unknown }),
        monotone: MonoRule::Of(|f, _| if f[0].sign.is_nonneg() { Mono::Increasing } else { Mono::Unknown }),
        curvature: CurvatureRule::Always(Curvature::Unknown), smooth: Smooth::Analytic, degree: DegreeRule::NotPolynomial,
        derivative: Derivative::Slope(|ir, _, body, y| div(ir, y, body)),
        graph: Graph::None("neither convex nor concave"), prox: Prox::None("not convex"),
        eval: Eval::Reduce(kernels::PROD), complex: Complex::Fold(|z| z.iter().fold((1.0, 0.0), |p, z| complex::mul(p, *z))), simplify: &[],
        latex: r"\prod #1", examples: &[("prod([2, 3, 7])", "42")], source: "",
    }

    /// Geometric mean of nonnegative values. Its derivative is not available where a value is 0.
    GEO_MEAN {
        name: "geo_mean", symbol: None, kind: AtomKind::Reduction, signature: SIGNATURE, shape: shape::number,
        domain: &[DomainOf::Nonnegative], sign: SignRule::Always(Sign::Nonneg), monotone: UP,
        curvature: CurvatureRule::Always(Curvature::Concave), smooth: Smooth::Analytic, degree: DegreeRule::NotPolynomial,
        derivative: Derivative::Slope(|ir, d, body, y| {
            let n = count(ir, d);
            let q = div(ir, y, body);
            div(ir, q, n)
        }),
        graph: Graph::Cones(GraphCone::Exponential, |b, region, a, _, fold| {
            // log xᵢ >= log t + uᵢ/t with Σ uᵢ >= 0.
            let t = b.variable(region, Sign::Nonneg);
            let Some(domain) = fold else { return t };
            let u = b.variable(domain, Sign::Unknown);
            b.exponential(domain, [u, t, a[0]]);
            let total = b.ir().fold(SUM, domain, u);
            b.nonneg(region, total);
            t
        }),
        prox: Prox::None("concave"),
        eval: Eval::Reduce(kernels::GEO_MEAN), complex: Complex::Fold(|z| complex::exp(complex::div(complex::sum_of(z, complex::log), (z.len() as f64, 0.0)))), simplify: &[],
        latex: r"\left(\prod #1\right)^{1/n}", examples: &[("geo_mean([2, 8])", "4")],
        source: "Boyd & Vandenberghe, Convex Optimization, 2004, §3.1.5",
    }

    /// Largest value.
    MAX {
        name: "max", symbol: None, kind: AtomKind::Reduction, signature: SIGNATURE, shape: shape::number,
        domain: &[DomainOf::Reals], sign: SignRule::Of(|s| s[0]), monotone: UP, curvature: CONVEX,
        smooth: Smooth::Kinks, degree: DegreeRule::NotPolynomial, derivative: Derivative::Slope(share),
        graph: Graph::MaxFold, prox: Prox::Vector(prox::max),
        eval: Eval::Reduce(kernels::MAX), complex: REDUCES, simplify: &[],
        latex: r"\max #1", examples: &[("max([1, 5, 2])", "5")], source: "",
    }

    /// Smallest value.
    MIN {
        name: "min", symbol: None, kind: AtomKind::Reduction, signature: SIGNATURE, shape: shape::number,
        domain: &[DomainOf::Reals], sign: SignRule::Of(|s| s[0]), monotone: UP,
        curvature: CurvatureRule::Always(Curvature::Concave),
        smooth: Smooth::Kinks, degree: DegreeRule::NotPolynomial, derivative: Derivative::Slope(share),
        graph: Graph::MinFold, prox: Prox::None("concave"),
        eval: Eval::Reduce(kernels::MIN), complex: REDUCES, simplify: &[],
        latex: r"\min #1", examples: &[("min([4, 1, 2])", "1")], source: "",
    }

    /// Euclidean norm; of a matrix, the Frobenius norm.
    NORM {
        name: "norm", symbol: None, kind: AtomKind::Reduction, signature: SIGNATURE, shape: shape::number,
        domain: &[DomainOf::Reals], sign: SignRule::Always(Sign::Nonneg), monotone: AWAY, curvature: CONVEX,
        smooth: Smooth::Kinks, degree: DegreeRule::NotPolynomial,
        derivative: Derivative::Slope(|ir, _, body, y| { let n = nonzero_or_one(ir, y); div(ir, body, n) }),
        graph: Graph::Norm, prox: Prox::Vector(prox::norm2),
        eval: Eval::Reduce(kernels::NORM2), complex: Complex::Fold(|z| complex::sqrt(complex::sum_of(z, |z| complex::mul(z, z)))), simplify: &[],
        latex: r"\left\| #1 \right\|_2", examples: &[("norm([3, 4])", "5")], source: "",
    }

    /// Sum of absolute values.
    NORM1 {
        name: "norm1", symbol: None, kind: AtomKind::Reduction, signature: SIGNATURE, shape: shape::number,
        domain: &[DomainOf::Reals], sign: SignRule::Always(Sign::Nonneg), monotone: AWAY, curvature: CONVEX,
        smooth: Smooth::Kinks, degree: DegreeRule::NotPolynomial,
        derivative: Derivative::Slope(|ir, _, body, _| call(ir, SIGN, body)),
        graph: Graph::AbsSum, prox: Prox::Vector(prox::norm1),
        eval: Eval::Reduce(kernels::NORM1), complex: REDUCES, simplify: &[],
        latex: r"\left\| #1 \right\|_1", examples: &[("norm1([3, -4])", "7")], source: "",
    }

    /// Largest absolute value.
    NORMINF {
        name: "norminf", symbol: None, kind: AtomKind::Reduction, signature: SIGNATURE, shape: shape::number,
        domain: &[DomainOf::Reals], sign: SignRule::Always(Sign::Nonneg), monotone: AWAY, curvature: CONVEX,
        smooth: Smooth::Kinks, degree: DegreeRule::NotPolynomial,
        derivative: Derivative::Slope(|ir, d, body, y| {
            let size = call(ir, ABS, body);
            let part = share(ir, d, size, y);
            mul_by_sign(ir, part, body)
        }),
        graph: Graph::AbsMax, prox: Prox::Vector(prox::norm_inf),
        eval: Eval::Reduce(kernels::NORM_INF), complex: REDUCES, simplify: &[],
        latex: r"\left\| #1 \right\|_\infty", examples: &[("norminf([3, -4])", "4")], source: "",
    }

    /// Sum of squares.
    SUMSQ {
        name: "sumsq", symbol: None, kind: AtomKind::Reduction, signature: SIGNATURE, shape: shape::number,
        domain: &[DomainOf::Reals], sign: SignRule::Always(Sign::Nonneg), monotone: AWAY, curvature: CONVEX,
        smooth: Smooth::Analytic, degree: DegreeRule::Of(|d, _| (2 * d[0]).min(3)),
        derivative: Derivative::Slope(|ir, _, body, _| times(ir, 2.0, body)),
        graph: Graph::SumSquares, prox: Prox::Vector(prox::sum_squares),
        eval: Eval::Reduce(kernels::SUM_SQUARES), complex: Complex::Fold(|z| complex::sum_of(z, |z| complex::mul(z, z))), simplify: &[],
        latex: r"\left\| #1 \right\|_2^2", examples: &[("sumsq([3, 4])", "25")], source: "",
    }

    /// Smooth maximum: logarithm of the sum of exponentials, without overflow.
    LOGSUMEXP {
        name: "logsumexp", symbol: None, kind: AtomKind::Reduction, signature: SIGNATURE, shape: shape::number,
        domain: &[DomainOf::Reals], sign: SignRule::Of(|s| if s[0].is_nonneg() { Sign::Nonneg } else { Sign::Unknown }),
        monotone: UP, curvature: CONVEX, smooth: Smooth::Analytic, degree: DegreeRule::NotPolynomial,
        derivative: Derivative::Slope(|ir, _, body, y| { let d = sub(ir, body, y); call(ir, EXP, d) }),
        graph: Graph::LogSumExp, prox: Prox::None("no closed form"),
        eval: Eval::Reduce(kernels::LOG_SUM_EXP), complex: Complex::Fold(complex::log_sum_exp), simplify: &[],
        latex: r"\log\sum e^{#1}", examples: &[("logsumexp([0, 0])", "0.69315")],
        source: "Boyd & Vandenberghe, Convex Optimization, 2004, §3.1.5",
    }

    /// Does it hold for every value? True for no value.
    ALL {
        name: "all", symbol: None, kind: AtomKind::Reduction, signature: &["(x: Bool[..d]) -> Bool"], shape: shape::number,
        domain: &[DomainOf::Truth], sign: SignRule::Always(Sign::Nonneg), monotone: UP,
        curvature: CurvatureRule::Always(Curvature::Unknown),
        smooth: Smooth::Discontinuous, degree: DegreeRule::NotPolynomial, derivative: Derivative::Zero,
        graph: Graph::None("a step function"), prox: Prox::None("a step function"),
        eval: Eval::Reduce(kernels::ALL), complex: REDUCES, simplify: &[],
        latex: r"\forall\, #1", examples: &[("all([i in 1..3] (i > 0))", "true")], source: "",
    }

    /// Does it hold for some value? False for no value.
    ANY {
        name: "any", symbol: None, kind: AtomKind::Reduction, signature: &["(x: Bool[..d]) -> Bool"], shape: shape::number,
        domain: &[DomainOf::Truth], sign: SignRule::Always(Sign::Nonneg), monotone: UP,
        curvature: CurvatureRule::Always(Curvature::Unknown),
        smooth: Smooth::Discontinuous, degree: DegreeRule::NotPolynomial, derivative: Derivative::Zero,
        graph: Graph::None("a step function"), prox: Prox::None("a step function"),
        eval: Eval::Reduce(kernels::ANY), complex: REDUCES, simplify: &[],
        latex: r"\exists\, #1", examples: &[("any([i in 1..3] (i > 2))", "true")], source: "",
    }
}
