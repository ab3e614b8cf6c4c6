//! Losses of margins and residuals, and negative log-likelihoods up to a constant.
//!
//! Invariant: a margin is `y*s` with a label `y` of -1 or 1 and a score `s`; a residual is what is left to explain; a
//! likelihood's score is its canonical parameter, so that the loss is convex in it; nothing overflows where the value does not.

use super::logic::holds;
use super::rules::{add, call, div, literals, mul, neg, num, one_minus, square, sub, times};
use super::{ABS, DIV, EXP, GT, HUBER, LOG, LOG1P, LT, MAX2, RECIP, RELU, SELECT, SIGMOID, SIGN, SOFTPLUS, SQRT, TANH};
use super::{complex, kernels, prox, shape};
use crate::ir::atom::{
    AtomKind, Complex, CurvatureRule, DegreeRule, Derivative, DomainOf, Eval, Graph, GraphCone, MonoRule, Prox,
    SignRule,
};
use crate::ir::{Curvature, Ir, Mono, NodeId, Sign, Smooth};

const NO_PROX: Prox = Prox::None("no closed form");
const TWO: Prox = Prox::None("depends on the second argument");
const KINKED: Complex = Complex::None("not analytic");
const BENT: Graph = Graph::None("neither convex nor concave");
const NONNEG: SignRule = SignRule::Always(Sign::Nonneg);
const DOWN: MonoRule = MonoRule::Always(&[Mono::Decreasing]);
const NEITHER: MonoRule = MonoRule::Always(&[Mono::Unknown]);
const AWAY_UP: MonoRule = MonoRule::Always(&[Mono::AwayFromZero, Mono::Increasing]);
const CONVEX: CurvatureRule = CurvatureRule::Always(Curvature::Convex);
const UNKNOWN: CurvatureRule = CurvatureRule::Always(Curvature::Unknown);
/// Convex in the first argument where the second is not decided.
const CONVEX_IN_FIRST: CurvatureRule = CurvatureRule::Of(|f| match f[1].curvature {
    Curvature::Constant => Curvature::Convex,
    _ => Curvature::Unknown,
});
/// Convex in the first argument, affine in the second, not both.
const CONVEX_OR_AFFINE: CurvatureRule = CurvatureRule::Of(|f| match (f[0].curvature, f[1].curvature) {
    (_, Curvature::Constant) => Curvature::Convex,
    (Curvature::Constant, _) => Curvature::Affine,
    _ => Curvature::Unknown,
});

fn shortfall(ir: &mut Ir, z: NodeId) -> NodeId {
    let m = one_minus(ir, z);
    call(ir, RELU, m)
}

/// `(r/c)²`.
fn squared_ratio(ir: &mut Ir, a: &[NodeId]) -> NodeId {
    let q = ir.apply(DIV, &[a[0], a[1]]);
    square(ir, q)
}

atoms! {
    family LOSSES;

    /// Hinge loss of a margin: `max(1 - z, 0)`.
    HINGE {
        name: "hinge", symbol: None, kind: AtomKind::Scalar, signature: &["(z: Real) -> Real"], shape: shape::number,
        domain: &[DomainOf::Reals], sign: NONNEG, monotone: DOWN, curvature: CONVEX,
        smooth: Smooth::Kinks, degree: DegreeRule::NotPolynomial,
        derivative: Derivative::Partials(|ir, a, _| { let h = holds(ir, LT, a[0], 1.0); vec![neg(ir, h)] }),
        graph: Graph::Rewrite(|ir, a| shortfall(ir, a[0])), prox: Prox::Scalar(prox::hinge),
        eval: Eval::Lane1(kernels::hinge), complex: KINKED, simplify: &[literals!(HINGE)],
        latex: r"\left(1 - #1\right)_+", examples: &[("hinge(-1)", "2")],
        source: "Cortes & Vapnik, Machine Learning 20, 1995",
    }

    /// Squared hinge loss of a margin: `max(1 - z, 0)^2`.
    SQUARED_HINGE {
        name: "squared_hinge", symbol: None, kind: AtomKind::Scalar, signature: &["(z: Real) -> Real"], shape: shape::number,
        domain: &[DomainOf::Reals], sign: NONNEG, monotone: DOWN, curvature: CONVEX,
        smooth: Smooth::C1, degree: DegreeRule::NotPolynomial,
        derivative: Derivative::Partials(|ir, a, _| { let s = shortfall(ir, a[0]); vec![times(ir, -2.0, s)] }),
        graph: Graph::Rewrite(|ir, a| { let s = shortfall(ir, a[0]); square(ir, s) }), prox: Prox::Scalar(prox::squared_hinge),
        eval: Eval::Lane1(kernels::squared_hinge), complex: KINKED, simplify: &[literals!(SQUARED_HINGE)],
        latex: r"\left(1 - #1\right)_+^2", examples: &[("squared_hinge(-1)", "4")], source: "",
    }

    /// Smoothed hinge loss of a margin: 0 from 1 on, `(1 - z)^2/2` between 0 and 1, `1/2 - z` below.
    SMOOTHED_HINGE {
        name: "smoothed_hinge", symbol: None, kind: AtomKind::Scalar, signature: &["(z: Real) -> Real"], shape: shape::number,
        domain: &[DomainOf::Reals], sign: NONNEG, monotone: DOWN, curvature: CONVEX,
        smooth: Smooth::C1, degree: DegreeRule::NotPolynomial,
        derivative: Derivative::Partials(|ir, a, _| {
            let s = shortfall(ir, a[0]);
            let one = num(ir, 1.0);
            let capped = ir.apply(super::MIN2, &[s, one]);
            vec![neg(ir, capped)]
        }),
        graph: Graph::Rewrite(|ir, a| { let s = shortfall(ir, a[0]); let one = num(ir, 1.0); ir.apply(HUBER, &[s, one]) }),
        prox: Prox::Scalar(prox::smoothed_hinge),
        eval: Eval::Lane1(kernels::smoothed_hinge), complex: KINKED, simplify: &[literals!(SMOOTHED_HINGE)],
        latex: r"\operatorname{huber}_1\left(1 - #1\right)_+", examples: &[("smoothed_hinge(0.5)", "0.125")],
        source: "Rennie, Smooth Hinge Classification, 2005",
    }

    /// Logistic loss of a margin: `log(1 + exp(-z))`.
    LOGISTIC_LOSS {
        name: "logistic_loss", symbol: None, kind: AtomKind::Scalar, signature: &["(z: Real) -> Real"], shape: shape::number,
        domain: &[DomainOf::Reals], sign: NONNEG, monotone: DOWN, curvature: CONVEX,
        smooth: Smooth::Analytic, degree: DegreeRule::NotPolynomial,
        derivative: Derivative::Partials(|ir, a, _| { let m = neg(ir, a[0]); let s = call(ir, SIGMOID, m); vec![neg(ir, s)] }),
        graph: Graph::Rewrite(|ir, a| { let m = neg(ir, a[0]); call(ir, SOFTPLUS, m) }), prox: NO_PROX,
        eval: Eval::Lane1(kernels::logistic_loss),
        complex: Complex::Scalar(|z| complex::log(complex::add((1.0, 0.0), complex::exp(complex::neg(z[0]))))),
        simplify: &[literals!(LOGISTIC_LOSS)],
        latex: r"\log\left(1 + e^{-#1}\right)", examples: &[("logistic_loss(0)", "0.69315")], source: "",
    }

    /// Exponential loss of a margin: `exp(-z)`.
    EXPONENTIAL_LOSS {
        name: "exponential_loss", symbol: None, kind: AtomKind::Scalar, signature: &["(z: Real) -> Real"], shape: shape::number,
        domain: &[DomainOf::Reals], sign: NONNEG, monotone: DOWN, curvature: CONVEX,
        smooth: Smooth::Analytic, degree: DegreeRule::NotPolynomial,
        derivative: Derivative::Partials(|ir, _, y| vec![neg(ir, y)]),
        graph: Graph::Rewrite(|ir, a| { let m = neg(ir, a[0]); call(ir, EXP, m) }),
        prox: Prox::None("needs the Lambert function"),
        eval: Eval::Lane1(kernels::exponential_loss), complex: Complex::Scalar(|z| complex::exp(complex::neg(z[0]))),
        simplify: &[literals!(EXPONENTIAL_LOSS)],
        latex: "e^{-#1}", examples: &[("exponential_loss(0)", "1")],
        source: "Freund & Schapire, Journal of Computer and System Sciences 55, 1997",
    }

    /// Focal loss of a margin with focus `g >= 0`: `(1 - p)^g * log(1/p)` for `p = sigmoid(z)`; less weight on easy cases.
    FOCAL_LOSS {
        name: "focal_loss", symbol: None, kind: AtomKind::Scalar, signature: &["(z: Real, g: Real) -> Real"], shape: shape::number,
        domain: &[DomainOf::Reals, DomainOf::Nonnegative], sign: NONNEG, monotone: DOWN, curvature: UNKNOWN,
        smooth: Smooth::Analytic, degree: DegreeRule::NotPolynomial,
        derivative: Derivative::Partials(|ir, a, y| {
            // With q = 1 - p = exp(-softplus(z)): by z, -(g·p·y + q^(g+1)); by g, y·log q.
            let s = call(ir, SOFTPLUS, a[0]);
            let p = call(ir, SIGMOID, a[0]);
            let gp = mul(ir, a[1], p);
            let first = mul(ir, gp, y);
            let one = num(ir, 1.0);
            let more = add(ir, a[1], one);
            let power = mul(ir, more, s);
            let power = neg(ir, power);
            let second = call(ir, EXP, power);
            let total = add(ir, first, second);
            let by_g = mul(ir, s, y);
            vec![neg(ir, total), neg(ir, by_g)]
        }),
        graph: BENT, prox: TWO, eval: Eval::Lane2(kernels::focal_loss),
        complex: Complex::None("no complex evaluation written"), simplify: &[literals!(FOCAL_LOSS)],
        latex: r"\left(1 - \sigma(#1)\right)^{#2} \log \frac{1}{\sigma(#1)}", examples: &[("focal_loss(0, 2)", "0.17329")],
        source: "Lin, Goyal, Girshick, He & Dollár, Focal loss for dense object detection, 2017",
    }

    /// Savage loss of a margin: `sigmoid(-z)^2`, bounded and not convex.
    SAVAGE_LOSS {
        name: "savage_loss", symbol: None, kind: AtomKind::Scalar, signature: &["(z: Real) -> Real"], shape: shape::number,
        domain: &[DomainOf::Reals], sign: NONNEG, monotone: DOWN, curvature: UNKNOWN,
        smooth: Smooth::Analytic, degree: DegreeRule::NotPolynomial,
        derivative: Derivative::Partials(|ir, a, y| {
            let p = call(ir, SIGMOID, a[0]);
            let s = mul(ir, p, y);
            vec![times(ir, -2.0, s)]
        }),
        graph: BENT, prox: NO_PROX, eval: Eval::Lane1(kernels::savage_loss),
        complex: Complex::Scalar(|z| {
            let s = complex::div((1.0, 0.0), complex::add((1.0, 0.0), complex::exp(z[0])));
            complex::mul(s, s)
        }),
        simplify: &[literals!(SAVAGE_LOSS)],
        latex: r"\sigma\left(-#1\right)^2", examples: &[("savage_loss(0)", "0.25")],
        source: "Masnadi-Shirazi & Vasconcelos, NIPS 2008",
    }

    /// Ramp loss of a margin: the hinge loss, at most 1.
    RAMP_LOSS {
        name: "ramp_loss", symbol: None, kind: AtomKind::Scalar, signature: &["(z: Real) -> Real"], shape: shape::number,
        domain: &[DomainOf::Reals], sign: NONNEG, monotone: DOWN, curvature: UNKNOWN,
        smooth: Smooth::Kinks, degree: DegreeRule::NotPolynomial,
        derivative: Derivative::Partials(|ir, a, _| {
            let (low, high) = (holds(ir, GT, a[0], 0.0), holds(ir, LT, a[0], 1.0));
            let inside = mul(ir, low, high);
            vec![neg(ir, inside)]
        }),
        graph: BENT, prox: Prox::None("not convex"), eval: Eval::Lane1(kernels::ramp_loss), complex: KINKED,
        simplify: &[literals!(RAMP_LOSS)],
        latex: r"\min\left(1, \left(1 - #1\right)_+\right)", examples: &[("ramp_loss(-3)", "1")],
        source: "Collobert, Sinz, Weston & Bottou, ICML 2006",
    }

    /// Pseudo-Huber loss of a residual with threshold `d > 0`: `d^2*(sqrt(1 + (r/d)^2) - 1)`.
    PSEUDO_HUBER {
        name: "pseudo_huber", symbol: None, kind: AtomKind::Scalar, signature: &["(r: Real, d: Real) -> Real"], shape: shape::number,
        domain: &[DomainOf::Reals, DomainOf::Positive], sign: NONNEG, monotone: AWAY_UP, curvature: CONVEX_IN_FIRST,
        smooth: Smooth::Analytic, degree: DegreeRule::NotPolynomial,
        derivative: Derivative::Partials(|ir, a, _| {
            let u = squared_ratio(ir, a);
            let one = num(ir, 1.0);
            let s = add(ir, one, u);
            let q = call(ir, SQRT, s);
            let by_r = div(ir, a[0], q);
            let rest = sub(ir, q, one);
            let rest = square(ir, rest);
            let rest = div(ir, rest, q);
            vec![by_r, mul(ir, a[1], rest)]
        }),
        graph: Graph::Cones(GraphCone::SecondOrder, |b, region, a, _, _| {
            // d·‖(d, r)‖ - d².
            let t = b.variable(region, Sign::Nonneg);
            b.second_order(region, vec![t, a[1], a[0]], None);
            let ir = b.ir();
            let (dt, dd) = (mul(ir, a[1], t), square(ir, a[1]));
            sub(ir, dt, dd)
        }),
        prox: TWO, eval: Eval::Lane2(kernels::pseudo_huber), complex: Complex::None("no complex evaluation written"),
        simplify: &[literals!(PSEUDO_HUBER)],
        latex: r"#2^2\left(\sqrt{1 + \left(#1/#2\right)^2} - 1\right)", examples: &[("pseudo_huber(0, 1)", "0")],
        source: "Charbonnier, Blanc-Féraud, Aubert & Barlaud, IEEE Transactions on Image Processing 6, 1997",
    }

    /// Logarithm of the hyperbolic cosine of a residual, without overflow.
    LOG_COSH {
        name: "log_cosh", symbol: None, kind: AtomKind::Scalar, signature: &["(r: Real) -> Real"], shape: shape::number,
        domain: &[DomainOf::Reals], sign: NONNEG, monotone: MonoRule::Always(&[Mono::AwayFromZero]), curvature: CONVEX,
        smooth: Smooth::Analytic, degree: DegreeRule::NotPolynomial,
        derivative: Derivative::Partials(|ir, a, _| vec![call(ir, TANH, a[0])]),
        graph: Graph::Rewrite(|ir, a| {
            let m = times(ir, -2.0, a[0]);
            let s = call(ir, SOFTPLUS, m);
            let t = add(ir, a[0], s);
            let log2 = num(ir, std::f64::consts::LN_2);
            sub(ir, t, log2)
        }),
        prox: NO_PROX, eval: Eval::Lane1(kernels::log_cosh),
        complex: Complex::Scalar(|z| {
            let (p, m) = (complex::exp(z[0]), complex::exp(complex::neg(z[0])));
            complex::log(complex::mul((0.5, 0.0), complex::add(p, m)))
        }),
        simplify: &[literals!(LOG_COSH)],
        latex: r"\log\cosh #1", examples: &[("log_cosh(0)", "0")], source: "",
    }

    /// Pinball loss of a residual `y - f` at level `q` between 0 and 1: `max(q*r, (q - 1)*r)`; its minimizer is a quantile.
    PINBALL {
        name: "pinball", symbol: None, kind: AtomKind::Scalar, signature: &["(r: Real, q: Real) -> Real"], shape: shape::number,
        domain: &[DomainOf::Reals, DomainOf::Between(0.0, 1.0)], sign: NONNEG, monotone: NEITHER, curvature: CONVEX_OR_AFFINE,
        smooth: Smooth::Kinks, degree: DegreeRule::NotPolynomial,
        derivative: Derivative::Partials(|ir, a, _| {
            let below = holds(ir, LT, a[0], 0.0);
            vec![sub(ir, a[1], below), a[0]]
        }),
        graph: Graph::Rewrite(|ir, a| {
            let over = mul(ir, a[1], a[0]);
            let under = sub(ir, over, a[0]);
            ir.apply(MAX2, &[over, under])
        }),
        prox: TWO, eval: Eval::Lane2(kernels::pinball), complex: KINKED, simplify: &[literals!(PINBALL)],
        latex: r"\rho_{#2}\left(#1\right)", examples: &[("pinball(-2, 0.9)", "0.2")],
        source: "Koenker & Bassett, Econometrica 46, 1978",
    }

    /// Expectile loss of a residual at level `q` between 0 and 1: `q*r^2` above 0, `(1 - q)*r^2` below.
    EXPECTILE {
        name: "expectile", symbol: None, kind: AtomKind::Scalar, signature: &["(r: Real, q: Real) -> Real"], shape: shape::number,
        domain: &[DomainOf::Reals, DomainOf::Between(0.0, 1.0)], sign: NONNEG,
        monotone: MonoRule::Always(&[Mono::AwayFromZero, Mono::Unknown]), curvature: CONVEX_OR_AFFINE,
        smooth: Smooth::C1, degree: DegreeRule::NotPolynomial,
        derivative: Derivative::Partials(|ir, a, _| {
            let below = holds(ir, LT, a[0], 0.0);
            let rest = one_minus(ir, a[1]);
            let w = ir.apply(SELECT, &[below, rest, a[1]]);
            let wr = mul(ir, w, a[0]);
            let size = call(ir, ABS, a[0]);
            vec![times(ir, 2.0, wr), mul(ir, a[0], size)]
        }),
        graph: Graph::Rewrite(|ir, a| {
            let over = call(ir, RELU, a[0]);
            let minus = neg(ir, a[0]);
            let under = call(ir, RELU, minus);
            let (o, u) = (square(ir, over), square(ir, under));
            let rest = one_minus(ir, a[1]);
            let (p, q) = (mul(ir, a[1], o), mul(ir, rest, u));
            add(ir, p, q)
        }),
        prox: TWO, eval: Eval::Lane2(kernels::expectile), complex: KINKED, simplify: &[literals!(EXPECTILE)],
        latex: r"\left|#2 - 1_{#1 < 0}\right| #1^2", examples: &[("expectile(-2, 0.9)", "0.4")],
        source: "Newey & Powell, Econometrica 55, 1987",
    }

    /// Loss that does not count residuals up to `e >= 0`: `max(abs(r) - e, 0)`.
    EPS_INSENSITIVE {
        name: "eps_insensitive", symbol: None, kind: AtomKind::Scalar, signature: &["(r: Real, e: Real) -> Real"],
        shape: shape::number,
        domain: &[DomainOf::Reals, DomainOf::Nonnegative], sign: NONNEG,
        monotone: MonoRule::Always(&[Mono::AwayFromZero, Mono::Decreasing]), curvature: CONVEX,
        smooth: Smooth::Kinks, degree: DegreeRule::NotPolynomial,
        derivative: Derivative::Partials(|ir, a, _| {
            let size = call(ir, ABS, a[0]);
            let counts = ir.apply(GT, &[size, a[1]]);
            let s = call(ir, SIGN, a[0]);
            vec![mul(ir, s, counts), neg(ir, counts)]
        }),
        graph: Graph::Rewrite(|ir, a| { let s = call(ir, ABS, a[0]); let m = sub(ir, s, a[1]); call(ir, RELU, m) }),
        prox: TWO, eval: Eval::Lane2(kernels::eps_insensitive), complex: KINKED, simplify: &[literals!(EPS_INSENSITIVE)],
        latex: r"\left(\left|#1\right| - #2\right)_+", examples: &[("eps_insensitive(3, 1)", "2")],
        source: "Vapnik, The Nature of Statistical Learning Theory, 1995",
    }

    /// Tukey's biweight loss of a residual with threshold `c > 0`: `c^2/6` from there on.
    TUKEY {
        name: "tukey", symbol: None, kind: AtomKind::Scalar, signature: &["(r: Real, c: Real) -> Real"], shape: shape::number,
        domain: &[DomainOf::Reals, DomainOf::Positive], sign: NONNEG, monotone: AWAY_UP, curvature: UNKNOWN,
        smooth: Smooth::C1, degree: DegreeRule::NotPolynomial,
        derivative: Derivative::Partials(|ir, a, _| {
            // With v = max(1 - (r/c)², 0): by r, r·v²; by c, c·(1/3 - v² + 2/3·v³).
            let u = squared_ratio(ir, a);
            let v = shortfall(ir, u);
            let v2 = square(ir, v);
            let v3 = mul(ir, v2, v);
            let v3 = times(ir, 2.0 / 3.0, v3);
            let third = num(ir, 1.0 / 3.0);
            let rest = sub(ir, third, v2);
            let rest = add(ir, rest, v3);
            vec![mul(ir, a[0], v2), mul(ir, a[1], rest)]
        }),
        graph: BENT, prox: Prox::None("not convex"), eval: Eval::Lane2(kernels::tukey), complex: KINKED,
        simplify: &[literals!(TUKEY)],
        latex: r"\rho_{#2}\left(#1\right)", examples: &[("tukey(6, 1)", "0.16667")],
        source: "Beaton & Tukey, Technometrics 16, 1974",
    }

    /// Cauchy loss of a residual with scale `c > 0`: `c^2/2*log(1 + (r/c)^2)`.
    CAUCHY {
        name: "cauchy", symbol: None, kind: AtomKind::Scalar, signature: &["(r: Real, c: Real) -> Real"], shape: shape::number,
        domain: &[DomainOf::Reals, DomainOf::Positive], sign: NONNEG, monotone: AWAY_UP, curvature: UNKNOWN,
        smooth: Smooth::Analytic, degree: DegreeRule::NotPolynomial,
        derivative: Derivative::Partials(|ir, a, _| {
            let u = squared_ratio(ir, a);
            let one = num(ir, 1.0);
            let s = add(ir, one, u);
            let by_r = div(ir, a[0], s);
            let l = call(ir, LOG1P, u);
            let share = div(ir, u, s);
            let rest = sub(ir, l, share);
            vec![by_r, mul(ir, a[1], rest)]
        }),
        graph: BENT, prox: Prox::None("not convex"), eval: Eval::Lane2(kernels::cauchy),
        complex: Complex::Scalar(|z| {
            let q = complex::div(z[0], z[1]);
            let l = complex::log1p(complex::mul(q, q));
            complex::mul((0.5, 0.0), complex::mul(complex::mul(z[1], z[1]), l))
        }),
        simplify: &[literals!(CAUCHY)],
        latex: r"\tfrac{#2^2}{2} \log\left(1 + \left(#1/#2\right)^2\right)", examples: &[("cauchy(0, 1)", "0")],
        source: "Holland & Welsch, Communications in Statistics 6, 1977",
    }

    /// Gaussian negative log-likelihood of a residual with variance `v > 0`: `r^2/(2*v) + log(v)/2`.
    GAUSSIAN_NLL {
        name: "gaussian_nll", symbol: None, kind: AtomKind::Scalar, signature: &["(r: Real, v: Real) -> Real"], shape: shape::number,
        domain: &[DomainOf::Reals, DomainOf::Positive], sign: SignRule::Always(Sign::Unknown),
        monotone: MonoRule::Always(&[Mono::AwayFromZero, Mono::Unknown]), curvature: CONVEX_IN_FIRST,
        smooth: Smooth::Analytic, degree: DegreeRule::NotPolynomial,
        derivative: Derivative::Partials(|ir, a, _| {
            let by_r = div(ir, a[0], a[1]);
            let s = square(ir, by_r);
            let inv = call(ir, RECIP, a[1]);
            let rest = sub(ir, inv, s);
            vec![by_r, times(ir, 0.5, rest)]
        }),
        graph: Graph::Rewrite(|ir, a| {
            let s = square(ir, a[0]);
            let q = div(ir, s, a[1]);
            let l = call(ir, LOG, a[1]);
            let t = add(ir, q, l);
            times(ir, 0.5, t)
        }),
        prox: TWO, eval: Eval::Lane2(kernels::gaussian_nll),
        complex: Complex::Scalar(|z| {
            let q = complex::div(complex::mul(z[0], z[0]), z[1]);
            complex::mul((0.5, 0.0), complex::add(q, complex::log(z[1])))
        }),
        simplify: &[literals!(GAUSSIAN_NLL)],
        latex: r"\tfrac{1}{2}\left(#1^2/#2 + \log #2\right)", examples: &[("gaussian_nll(2, 1)", "2")], source: "",
    }

    /// Laplace negative log-likelihood of a residual with scale `b > 0`: `abs(r)/b + log(2*b)`.
    LAPLACE_NLL {
        name: "laplace_nll", symbol: None, kind: AtomKind::Scalar, signature: &["(r: Real, b: Real) -> Real"], shape: shape::number,
        domain: &[DomainOf::Reals, DomainOf::Positive], sign: SignRule::Always(Sign::Unknown),
        monotone: MonoRule::Always(&[Mono::AwayFromZero, Mono::Unknown]), curvature: CONVEX_IN_FIRST,
        smooth: Smooth::Kinks, degree: DegreeRule::NotPolynomial,
        derivative: Derivative::Partials(|ir, a, _| {
            let s = call(ir, SIGN, a[0]);
            let by_r = div(ir, s, a[1]);
            let size = call(ir, ABS, a[0]);
            let rest = sub(ir, a[1], size);
            let b2 = square(ir, a[1]);
            vec![by_r, div(ir, rest, b2)]
        }),
        graph: Graph::Rewrite(|ir, a| {
            let size = call(ir, ABS, a[0]);
            let q = div(ir, size, a[1]);
            let two = times(ir, 2.0, a[1]);
            let l = call(ir, LOG, two);
            add(ir, q, l)
        }),
        prox: TWO, eval: Eval::Lane2(kernels::laplace_nll), complex: KINKED, simplify: &[literals!(LAPLACE_NLL)],
        latex: r"\left|#1\right|/#2 + \log 2 #2", examples: &[("laplace_nll(2, 0.5)", "4")], source: "",
    }

    /// Poisson negative log-likelihood of a count `y` at the logarithm `s` of its mean: `exp(s) - y*s`.
    POISSON_NLL {
        name: "poisson_nll", symbol: None, kind: AtomKind::Scalar, signature: &["(s: Real, y: Real) -> Real"], shape: shape::number,
        domain: &[DomainOf::Reals, DomainOf::Nonnegative], sign: SignRule::Always(Sign::Unknown), monotone: NEITHER,
        curvature: CONVEX_OR_AFFINE, smooth: Smooth::Analytic, degree: DegreeRule::NotPolynomial,
        derivative: Derivative::Partials(|ir, a, _| { let e = call(ir, EXP, a[0]); vec![sub(ir, e, a[1]), neg(ir, a[0])] }),
        graph: Graph::Rewrite(|ir, a| { let e = call(ir, EXP, a[0]); let ys = mul(ir, a[1], a[0]); sub(ir, e, ys) }),
        prox: TWO, eval: Eval::Lane2(kernels::poisson_nll),
        complex: Complex::Scalar(|z| complex::sub(complex::exp(z[0]), complex::mul(z[1], z[0]))),
        simplify: &[literals!(POISSON_NLL)],
        latex: "e^{#1} - #2 #1", examples: &[("poisson_nll(0, 3)", "1")],
        source: "McCullagh & Nelder, Generalized Linear Models, 2nd ed., 1989",
    }

    /// Gamma negative log-likelihood of a positive `y` at the logarithm `s` of its mean: `y*exp(-s) + s`.
    GAMMA_NLL {
        name: "gamma_nll", symbol: None, kind: AtomKind::Scalar, signature: &["(s: Real, y: Real) -> Real"], shape: shape::number,
        domain: &[DomainOf::Reals, DomainOf::Nonnegative], sign: SignRule::Always(Sign::Unknown),
        monotone: MonoRule::Always(&[Mono::Unknown, Mono::Increasing]),
        curvature: CONVEX_OR_AFFINE, smooth: Smooth::Analytic, degree: DegreeRule::NotPolynomial,
        derivative: Derivative::Partials(|ir, a, _| {
            let m = neg(ir, a[0]);
            let e = call(ir, EXP, m);
            let ye = mul(ir, a[1], e);
            vec![one_minus(ir, ye), e]
        }),
        graph: Graph::Rewrite(|ir, a| {
            let m = neg(ir, a[0]);
            let e = call(ir, EXP, m);
            let ye = mul(ir, a[1], e);
            add(ir, ye, a[0])
        }),
        prox: TWO, eval: Eval::Lane2(kernels::gamma_nll),
        complex: Complex::Scalar(|z| complex::add(complex::mul(z[1], complex::exp(complex::neg(z[0]))), z[0])),
        simplify: &[literals!(GAMMA_NLL)],
        latex: "#2 e^{-#1} + #1", examples: &[("gamma_nll(0, 3)", "3")],
        source: "McCullagh & Nelder, Generalized Linear Models, 2nd ed., 1989",
    }

    /// Bernoulli negative log-likelihood of `y` between 0 and 1 at the log-odds `s`: `log(1 + exp(s)) - y*s`.
    BERNOULLI_NLL {
        name: "bernoulli_nll", symbol: None, kind: AtomKind::Scalar, signature: &["(s: Real, y: Real) -> Real"],
        shape: shape::number,
        domain: &[DomainOf::Reals, DomainOf::Between(0.0, 1.0)], sign: NONNEG, monotone: NEITHER,
        curvature: CONVEX_OR_AFFINE, smooth: Smooth::Analytic, degree: DegreeRule::NotPolynomial,
        derivative: Derivative::Partials(|ir, a, _| { let p = call(ir, SIGMOID, a[0]); vec![sub(ir, p, a[1]), neg(ir, a[0])] }),
        graph: Graph::Rewrite(|ir, a| { let e = call(ir, SOFTPLUS, a[0]); let ys = mul(ir, a[1], a[0]); sub(ir, e, ys) }),
        prox: TWO, eval: Eval::Lane2(kernels::bernoulli_nll),
        complex: Complex::Scalar(|z| {
            complex::sub(complex::log(complex::add((1.0, 0.0), complex::exp(z[0]))), complex::mul(z[1], z[0]))
        }),
        simplify: &[literals!(BERNOULLI_NLL)],
        latex: r"\log\left(1 + e^{#1}\right) - #2 #1", examples: &[("bernoulli_nll(0, 1)", "0.69315")],
        source: "McCullagh & Nelder, Generalized Linear Models, 2nd ed., 1989",
    }
}
