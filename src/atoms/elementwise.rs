//! Functions of one or two numbers, applied to arrays elementwise by the language.
//!
//! Invariant: derivatives are formulas that neither overflow nor cancel where the value itself does not.

use super::logic::holds;
use super::rules::{always, arg_of, call, div, literals, mul, neg, num, one_minus, square, sub, times};
use super::trigonometric::CONVEX_THEN_CONCAVE;
use super::{ADD, DIV, EQ, GE, GT, LT, NEG, RECIP, SELECT, SQUARE, complex, kernels, prox, shape};
use crate::ir::atom::{
    AtomKind, Complex, CurvatureRule, DegreeRule, Derivative, DomainOf, Eval, Graph, GraphCone, MonoRule, Prox,
    SignRule,
};
use crate::ir::{Curvature, Mono, Sign, Smooth};

const NO_PROX: Prox = Prox::None("no closed form");
const UP: MonoRule = MonoRule::Always(&[Mono::Increasing]);
const CONVEX: CurvatureRule = CurvatureRule::Always(Curvature::Convex);
const CONCAVE: CurvatureRule = CurvatureRule::Always(Curvature::Concave);
const UNKNOWN: CurvatureRule = CurvatureRule::Always(Curvature::Unknown);

atoms! {
    family ELEMENTWISE;

    /// Absolute value.
    ABS {
        name: "abs", symbol: None, kind: AtomKind::Scalar, signature: &["(x: Real) -> Real"], shape: shape::number,
        domain: &[DomainOf::Reals], sign: SignRule::Always(Sign::Nonneg),
        monotone: MonoRule::Always(&[Mono::AwayFromZero]), curvature: CONVEX,
        smooth: Smooth::Kinks, degree: DegreeRule::NotPolynomial,
        derivative: Derivative::Partials(|ir, a, _| vec![call(ir, SIGN, a[0])]),
        graph: Graph::MaxOf(&[(0, 1.0), (0, -1.0)]), prox: Prox::Scalar(prox::abs),
        eval: Eval::Lane1(kernels::abs), complex: Complex::None("not analytic"),
        simplify: &[
            literals!(ABS),
            always("abs(-x)", |ir, a| arg_of(ir, a[0], NEG).map(|x| call(ir, ABS, x))),
            always("abs of abs, square, sqrt, exp", |ir, a| {
                [ABS, SQUARE, SQRT, EXP].into_iter().find_map(|f| arg_of(ir, a[0], f)).map(|_| a[0])
            }),
        ],
        latex: r"\left| #1 \right|", examples: &[("abs(-3)", "3")], source: "",
    }

    /// Square root of a nonnegative number.
    SQRT {
        name: "sqrt", symbol: None, kind: AtomKind::Scalar, signature: &["(x: Real) -> Real"], shape: shape::number,
        domain: &[DomainOf::Nonnegative], sign: SignRule::Always(Sign::Nonneg), monotone: UP, curvature: CONCAVE,
        smooth: Smooth::Analytic, degree: DegreeRule::NotPolynomial,
        derivative: Derivative::Partials(|ir, _, y| { let half = num(ir, 0.5); vec![div(ir, half, y)] }),
        graph: Graph::Sqrt, prox: Prox::None("concave"),
        eval: Eval::Lane1(kernels::sqrt), complex: Complex::Scalar(|z| complex::sqrt(z[0])),
        simplify: &[literals!(SQRT)],
        latex: r"\sqrt{#1}", examples: &[("sqrt(16)", "4")], source: "",
    }

    /// Exponential function.
    EXP {
        name: "exp", symbol: None, kind: AtomKind::Scalar, signature: &["(x: Real) -> Real"], shape: shape::number,
        domain: &[DomainOf::Reals], sign: SignRule::Always(Sign::Nonneg), monotone: UP, curvature: CONVEX,
        smooth: Smooth::Analytic, degree: DegreeRule::NotPolynomial,
        derivative: Derivative::Partials(|_, _, y| vec![y]),
        graph: Graph::Exp, prox: Prox::None("needs the Lambert function"),
        eval: Eval::Lane1(kernels::exp), complex: Complex::Scalar(|z| complex::exp(z[0])),
        simplify: &[literals!(EXP)],
        latex: r"e^{#1}", examples: &[("exp(0)", "1")], source: "",
    }

    /// Natural logarithm of a positive number.
    LOG {
        name: "log", symbol: None, kind: AtomKind::Scalar, signature: &["(x: Real) -> Real"], shape: shape::number,
        domain: &[DomainOf::Positive], sign: SignRule::Always(Sign::Unknown), monotone: UP, curvature: CONCAVE,
        smooth: Smooth::Analytic, degree: DegreeRule::NotPolynomial,
        derivative: Derivative::Partials(|ir, a, _| vec![call(ir, RECIP, a[0])]),
        graph: Graph::Log, prox: Prox::None("concave"),
        eval: Eval::Lane1(kernels::log), complex: Complex::Scalar(|z| complex::log(z[0])),
        simplify: &[literals!(LOG)],
        latex: r"\log #1", examples: &[("log(1)", "0")], source: "",
    }

    /// Logarithm to base 2 of a positive number, exact at powers of two.
    LOG2 {
        name: "log2", symbol: None, kind: AtomKind::Scalar, signature: &["(x: Real) -> Real"], shape: shape::number,
        domain: &[DomainOf::Positive], sign: SignRule::Always(Sign::Unknown), monotone: UP, curvature: CONCAVE,
        smooth: Smooth::Analytic, degree: DegreeRule::NotPolynomial,
        derivative: Derivative::Partials(|ir, a, _| {
            let r = call(ir, RECIP, a[0]);
            vec![times(ir, std::f64::consts::LOG2_E, r)]
        }),
        graph: Graph::Rewrite(|ir, a| { let l = call(ir, LOG, a[0]); times(ir, std::f64::consts::LOG2_E, l) }), prox: Prox::None("concave"),
        eval: Eval::Lane1(kernels::log2),
        complex: Complex::Scalar(|z| complex::mul((std::f64::consts::LOG2_E, 0.0), complex::log(z[0]))),
        simplify: &[literals!(LOG2)],
        latex: r"\log_2 #1", examples: &[("log2(8)", "3")], source: "",
    }

    /// Logarithm to base 10 of a positive number, exact at powers of ten.
    LOG10 {
        name: "log10", symbol: None, kind: AtomKind::Scalar, signature: &["(x: Real) -> Real"], shape: shape::number,
        domain: &[DomainOf::Positive], sign: SignRule::Always(Sign::Unknown), monotone: UP, curvature: CONCAVE,
        smooth: Smooth::Analytic, degree: DegreeRule::NotPolynomial,
        derivative: Derivative::Partials(|ir, a, _| {
            let r = call(ir, RECIP, a[0]);
            vec![times(ir, std::f64::consts::LOG10_E, r)]
        }),
        graph: Graph::Rewrite(|ir, a| { let l = call(ir, LOG, a[0]); times(ir, std::f64::consts::LOG10_E, l) }), prox: Prox::None("concave"),
        eval: Eval::Lane1(kernels::log10),
        complex: Complex::Scalar(|z| complex::mul((std::f64::consts::LOG10_E, 0.0), complex::log(z[0]))),
        simplify: &[literals!(LOG10)],
        latex: r"\log_{10} #1", examples: &[("log10(1000)", "3")], source: "",
    }

    /// `log(1 + x)` without loss of digits for small `x`.
    LOG1P {
        name: "log1p", symbol: None, kind: AtomKind::Scalar, signature: &["(x: Real) -> Real"], shape: shape::number,
        domain: &[DomainOf::Between(-1.0, f64::INFINITY)], sign: SignRule::Of(|s| s[0]), monotone: UP, curvature: CONCAVE,
        smooth: Smooth::Analytic, degree: DegreeRule::NotPolynomial,
        derivative: Derivative::Partials(|ir, a, _| {
            let one = num(ir, 1.0);
            let s = ir.apply(ADD, &[one, a[0]]);
            vec![call(ir, RECIP, s)]
        }),
        graph: Graph::Rewrite(|ir, a| { let one = num(ir, 1.0); let s = ir.apply(ADD, &[one, a[0]]); call(ir, LOG, s) }), prox: Prox::None("concave"),
        eval: Eval::Lane1(kernels::log1p), complex: Complex::Scalar(|z| complex::log1p(z[0])),
        simplify: &[literals!(LOG1P)],
        latex: r"\log (1 + #1)", examples: &[("log1p(0)", "0")], source: "",
    }

    /// `exp(x) - 1` without loss of digits for small `x`.
    EXPM1 {
        name: "expm1", symbol: None, kind: AtomKind::Scalar, signature: &["(x: Real) -> Real"], shape: shape::number,
        domain: &[DomainOf::Reals], sign: SignRule::Of(|s| s[0]), monotone: UP, curvature: CONVEX,
        smooth: Smooth::Analytic, degree: DegreeRule::NotPolynomial,
        derivative: Derivative::Partials(|ir, a, _| vec![call(ir, EXP, a[0])]),
        graph: Graph::Rewrite(|ir, a| { let e = call(ir, EXP, a[0]); let one = num(ir, 1.0); sub(ir, e, one) }), prox: Prox::None("needs the Lambert function"),
        eval: Eval::Lane1(kernels::expm1), complex: Complex::Scalar(|z| complex::expm1(z[0])),
        simplify: &[literals!(EXPM1)],
        latex: r"e^{#1} - 1", examples: &[("expm1(0)", "0")], source: "",
    }

    /// Logistic function `1/(1 + exp(-x))`.
    SIGMOID {
        name: "sigmoid", symbol: None, kind: AtomKind::Scalar, signature: &["(x: Real) -> Real"], shape: shape::number,
        domain: &[DomainOf::Reals], sign: SignRule::Always(Sign::Nonneg), monotone: UP,
        curvature: CONVEX_THEN_CONCAVE,
        smooth: Smooth::Analytic, degree: DegreeRule::NotPolynomial,
        derivative: Derivative::Partials(|ir, _, y| { let q = one_minus(ir, y); vec![mul(ir, y, q)] }),
        graph: Graph::None("neither convex nor concave"), prox: NO_PROX,
        eval: Eval::Lane1(kernels::sigmoid),
        complex: Complex::Scalar(|z| complex::div((1.0, 0.0), complex::add((1.0, 0.0), complex::exp(complex::neg(z[0]))))),
        simplify: &[literals!(SIGMOID)],
        latex: r"\sigma\left(#1\right)", examples: &[("sigmoid(0)", "0.5")], source: "",
    }

    /// `log(1 + exp(x))`, the logistic loss, without overflow.
    SOFTPLUS {
        name: "softplus", symbol: None, kind: AtomKind::Scalar, signature: &["(x: Real) -> Real"], shape: shape::number,
        domain: &[DomainOf::Reals], sign: SignRule::Always(Sign::Nonneg), monotone: UP, curvature: CONVEX,
        smooth: Smooth::Analytic, degree: DegreeRule::NotPolynomial,
        derivative: Derivative::Partials(|ir, a, _| vec![call(ir, SIGMOID, a[0])]),
        graph: Graph::Softplus, prox: NO_PROX,
        eval: Eval::Lane1(kernels::softplus),
        complex: Complex::Scalar(|z| complex::log(complex::add((1.0, 0.0), complex::exp(z[0])))),
        simplify: &[literals!(SOFTPLUS)],
        latex: r"\log\left(1 + e^{#1}\right)", examples: &[("softplus(0)", "0.69315")], source: "",
    }

    /// The positive part `max(x, 0)`.
    RELU {
        name: "relu", symbol: None, kind: AtomKind::Scalar, signature: &["(x: Real) -> Real"], shape: shape::number,
        domain: &[DomainOf::Reals], sign: SignRule::Always(Sign::Nonneg), monotone: UP, curvature: CONVEX,
        smooth: Smooth::Kinks, degree: DegreeRule::NotPolynomial,
        derivative: Derivative::Partials(|ir, a, _| vec![holds(ir, GT, a[0], 0.0)]),
        graph: Graph::MaxOf(&[(0, 1.0), (0, 0.0)]), prox: Prox::Scalar(prox::relu),
        eval: Eval::Lane1(kernels::relu), complex: Complex::None("not analytic"),
        simplify: &[
            literals!(RELU),
            always("relu of abs, square, sqrt, exp, relu", |ir, a| {
                [ABS, SQUARE, SQRT, EXP, RELU].into_iter().find_map(|f| arg_of(ir, a[0], f)).map(|_| a[0])
            }),
        ],
        latex: r"\left( #1 \right)_+", examples: &[("relu(-2)", "0")], source: "",
    }

    /// The larger of two numbers; elementwise on two arrays.
    MAX2 {
        name: "max", symbol: None, kind: AtomKind::Scalar, signature: &["(x: Real, y: Real) -> Real"], shape: shape::number,
        domain: &[DomainOf::Reals],
        sign: SignRule::Of(|s| {
            if s[0].is_nonneg() || s[1].is_nonneg() { Sign::Nonneg }
            else if s[0].is_nonpos() && s[1].is_nonpos() { Sign::Nonpos }
            else { Sign::Unknown }
        }),
        monotone: UP, curvature: CONVEX,
        smooth: Smooth::Kinks, degree: DegreeRule::NotPolynomial,
        derivative: Derivative::Partials(|ir, a, _| vec![ir.apply(GE, &[a[0], a[1]]), ir.apply(LT, &[a[0], a[1]])]),
        graph: Graph::MaxOf(&[(0, 1.0), (1, 1.0)]), prox: Prox::None("two arguments"),
        eval: Eval::Lane2(kernels::max), complex: Complex::None("not analytic"),
        simplify: &[literals!(MAX2), always("max(x, x)", |_, a| (a[0] == a[1]).then_some(a[0]))],
        latex: r"\max\left(#1, #2\right)", examples: &[("max(2, 3)", "3")], source: "",
    }

    /// The smaller of two numbers; elementwise on two arrays.
    MIN2 {
        name: "min", symbol: None, kind: AtomKind::Scalar, signature: &["(x: Real, y: Real) -> Real"], shape: shape::number,
        domain: &[DomainOf::Reals],
        sign: SignRule::Of(|s| {
            if s[0].is_nonpos() || s[1].is_nonpos() { Sign::Nonpos }
            else if s[0].is_nonneg() && s[1].is_nonneg() { Sign::Nonneg }
            else { Sign::Unknown }
        }),
        monotone: UP, curvature: CONCAVE,
        smooth: Smooth::Kinks, degree: DegreeRule::NotPolynomial,
        derivative: Derivative::Partials(|ir, a, _| {
            let first = ir.apply(super::LE, &[a[0], a[1]]);
            let second = ir.apply(GT, &[a[0], a[1]]);
            vec![first, second]
        }),
        graph: Graph::MinOf(&[(0, 1.0), (1, 1.0)]), prox: Prox::None("concave"),
        eval: Eval::Lane2(kernels::min), complex: Complex::None("not analytic"),
        simplify: &[literals!(MIN2), always("min(x, x)", |_, a| (a[0] == a[1]).then_some(a[0]))],
        latex: r"\min\left(#1, #2\right)", examples: &[("min(2, 3)", "2")], source: "",
    }

    /// -1, 0 or 1 by the sign.
    SIGN {
        name: "sign", symbol: None, kind: AtomKind::Scalar, signature: &["(x: Real) -> Real"], shape: shape::number,
        domain: &[DomainOf::Reals], sign: SignRule::Of(|s| s[0]), monotone: UP, curvature: UNKNOWN,
        smooth: Smooth::Discontinuous, degree: DegreeRule::NotPolynomial, derivative: Derivative::Zero,
        graph: Graph::None("a step function"), prox: Prox::None("a step function"),
        eval: Eval::Lane1(kernels::sign), complex: Complex::None("a step function"),
        simplify: &[literals!(SIGN)],
        latex: r"\operatorname{sign} #1", examples: &[("sign(-3)", "-1")], source: "",
    }

    /// The largest integer at most `x`.
    FLOOR {
        name: "floor", symbol: None, kind: AtomKind::Scalar, signature: &["(x: Real) -> Int"], shape: shape::number,
        domain: &[DomainOf::Reals],
        sign: SignRule::Of(|s| if s[0] == Sign::Nonpos || s[0].is_nonneg() { s[0] } else { Sign::Unknown }),
        monotone: UP, curvature: UNKNOWN,
        smooth: Smooth::Discontinuous, degree: DegreeRule::NotPolynomial, derivative: Derivative::Zero,
        graph: Graph::None("a step function"), prox: Prox::None("a step function"),
        eval: Eval::Lane1(kernels::floor), complex: Complex::None("a step function"),
        simplify: &[literals!(FLOOR)],
        latex: r"\left\lfloor #1 \right\rfloor", examples: &[("floor(2.7)", "2")], source: "",
    }

    /// The smallest integer at least `x`.
    CEIL {
        name: "ceil", symbol: None, kind: AtomKind::Scalar, signature: &["(x: Real) -> Int"], shape: shape::number,
        domain: &[DomainOf::Reals],
        sign: SignRule::Of(|s| s[0]),
        monotone: UP, curvature: UNKNOWN,
        smooth: Smooth::Discontinuous, degree: DegreeRule::NotPolynomial, derivative: Derivative::Zero,
        graph: Graph::None("a step function"), prox: Prox::None("a step function"),
        eval: Eval::Lane1(kernels::ceil), complex: Complex::None("a step function"),
        simplify: &[literals!(CEIL)],
        latex: r"\left\lceil #1 \right\rceil", examples: &[("ceil(2.1)", "3")], source: "",
    }

    /// The nearest integer; halves go to the even one.
    ROUND {
        name: "round", symbol: None, kind: AtomKind::Scalar, signature: &["(x: Real) -> Int"], shape: shape::number,
        domain: &[DomainOf::Reals], sign: SignRule::Of(|s| s[0]), monotone: UP, curvature: UNKNOWN,
        smooth: Smooth::Discontinuous, degree: DegreeRule::NotPolynomial, derivative: Derivative::Zero,
        graph: Graph::None("a step function"), prox: Prox::None("a step function"),
        eval: Eval::Lane1(kernels::round), complex: Complex::None("a step function"),
        simplify: &[literals!(ROUND)],
        latex: r"\operatorname{round} #1", examples: &[("round(2.5)", "2")], source: "",
    }

    /// `sqrt(x^2 + y^2)` without overflow.
    HYPOT {
        name: "hypot", symbol: None, kind: AtomKind::Scalar, signature: &["(x: Real, y: Real) -> Real"], shape: shape::number,
        domain: &[DomainOf::Reals], sign: SignRule::Always(Sign::Nonneg),
        monotone: MonoRule::Always(&[Mono::AwayFromZero]), curvature: CONVEX,
        smooth: Smooth::Kinks, degree: DegreeRule::NotPolynomial,
        derivative: Derivative::Partials(|ir, a, y| {
            let n = nonzero_or_one(ir, y);
            vec![div(ir, a[0], n), div(ir, a[1], n)]
        }),
        graph: Graph::Cones(GraphCone::SecondOrder, |b, region, a, _, _| {
            let t = b.variable(region, Sign::Nonneg);
            b.second_order(region, vec![t, a[0], a[1]], None);
            t
        }),
        prox: Prox::None("two arguments"),
        eval: Eval::Lane2(kernels::hypot),
        complex: Complex::Scalar(|z| complex::sqrt(complex::add(complex::mul(z[0], z[0]), complex::mul(z[1], z[1])))),
        simplify: &[literals!(HYPOT)],
        latex: r"\sqrt{#1^2 + #2^2}", examples: &[("hypot(3, 4)", "5")], source: "",
    }

    /// Log-odds `log(p/(1 - p))` of a probability, the inverse of `sigmoid`.
    LOGIT {
        name: "logit", symbol: None, kind: AtomKind::Scalar, signature: &["(p: Real) -> Real"], shape: shape::number,
        domain: &[DomainOf::Between(0.0, 1.0)], sign: SignRule::Always(Sign::Unknown), monotone: UP, curvature: UNKNOWN,
        smooth: Smooth::Analytic, degree: DegreeRule::NotPolynomial,
        derivative: Derivative::Partials(|ir, a, _| {
            let q = one_minus(ir, a[0]);
            let v = mul(ir, a[0], q);
            vec![call(ir, RECIP, v)]
        }),
        graph: Graph::None("neither convex nor concave"), prox: NO_PROX,
        eval: Eval::Lane1(kernels::logit),
        complex: Complex::Scalar(|z| complex::log(complex::div(z[0], complex::sub((1.0, 0.0), z[0])))),
        simplify: &[literals!(LOGIT)],
        latex: r"\operatorname{logit} #1", examples: &[("logit(0.5)", "0")], source: "",
    }

    /// Error function.
    ERF {
        name: "erf", symbol: None, kind: AtomKind::Scalar, signature: &["(x: Real) -> Real"], shape: shape::number,
        domain: &[DomainOf::Reals], sign: SignRule::Of(|s| s[0]), monotone: UP,
        curvature: CONVEX_THEN_CONCAVE,
        smooth: Smooth::Analytic, degree: DegreeRule::NotPolynomial,
        derivative: Derivative::Partials(|ir, a, _| {
            let s = square(ir, a[0]);
            let m = neg(ir, s);
            let e = call(ir, EXP, m);
            vec![times(ir, std::f64::consts::FRAC_2_SQRT_PI, e)]
        }),
        graph: Graph::None("neither convex nor concave"), prox: NO_PROX,
        eval: Eval::Lane1(kernels::erf), complex: Complex::None("no complex evaluation written"),
        simplify: &[literals!(ERF)],
        latex: r"\operatorname{erf}\left(#1\right)", examples: &[("erf(1)", "0.8427")],
        source: "Abramowitz & Stegun, Handbook of Mathematical Functions, 1964, §7.1",
    }

    /// Logarithm of the gamma function of a positive number.
    LGAMMA {
        name: "lgamma", symbol: None, kind: AtomKind::Scalar, signature: &["(x: Real) -> Real"], shape: shape::number,
        domain: &[DomainOf::Positive], sign: SignRule::Always(Sign::Unknown),
        monotone: MonoRule::Always(&[Mono::Unknown]), curvature: CONVEX,
        smooth: Smooth::Analytic, degree: DegreeRule::NotPolynomial,
        derivative: Derivative::Partials(|ir, a, _| vec![call(ir, DIGAMMA, a[0])]),
        graph: Graph::None("no cone for it"), prox: NO_PROX,
        eval: Eval::Lane1(kernels::lgamma), complex: Complex::None("no complex evaluation written"),
        simplify: &[literals!(LGAMMA)],
        latex: r"\log\Gamma\left(#1\right)", examples: &[("lgamma(5)", "3.1781")],
        source: "Abramowitz & Stegun, 1964, §6.1.41; convexity: Bohr & Mollerup, 1922",
    }

    /// Derivative of `lgamma`.
    DIGAMMA {
        name: "digamma", symbol: None, kind: AtomKind::Scalar, signature: &["(x: Real) -> Real"], shape: shape::number,
        domain: &[DomainOf::Positive], sign: SignRule::Always(Sign::Unknown), monotone: UP, curvature: CONCAVE,
        smooth: Smooth::Analytic, degree: DegreeRule::NotPolynomial,
        derivative: Derivative::Partials(|ir, a, _| vec![call(ir, TRIGAMMA, a[0])]),
        graph: Graph::None("no cone for it"), prox: Prox::None("concave"),
        eval: Eval::Lane1(kernels::digamma), complex: Complex::None("no complex evaluation written"),
        simplify: &[literals!(DIGAMMA)],
        latex: r"\psi\left(#1\right)", examples: &[("digamma(1)", "-0.57722")],
        source: "Abramowitz & Stegun, 1964, §6.3.18",
    }

    /// Derivative of `digamma`.
    TRIGAMMA {
        name: "trigamma", symbol: None, kind: AtomKind::Scalar, signature: &["(x: Real) -> Real"], shape: shape::number,
        domain: &[DomainOf::Positive], sign: SignRule::Always(Sign::Nonneg),
        monotone: MonoRule::Always(&[Mono::Decreasing]), curvature: CONVEX,
        smooth: Smooth::Analytic, degree: DegreeRule::NotPolynomial,
        derivative: Derivative::None("the third derivative of `lgamma` has no row"),
        graph: Graph::None("no cone for it"), prox: NO_PROX,
        eval: Eval::Lane1(kernels::trigamma), complex: Complex::None("no complex evaluation written"),
        simplify: &[literals!(TRIGAMMA)],
        latex: r"\psi'\left(#1\right)", examples: &[("trigamma(1)", "1.6449")],
        source: "Abramowitz & Stegun, 1964, §6.4.12",
    }

    /// Huber's loss of a residual with threshold `d >= 0`: `x²/2` where `abs(x) <= d`, linear beyond.
    HUBER {
        name: "huber", symbol: None, kind: AtomKind::Scalar, signature: &["(x: Real, d: Real) -> Real"], shape: shape::number,
        domain: &[DomainOf::Reals, DomainOf::Nonnegative], sign: SignRule::Always(Sign::Nonneg),
        monotone: MonoRule::Always(&[Mono::AwayFromZero, Mono::Increasing]),
        curvature: CurvatureRule::Of(|f| match (f[0].curvature, f[1].curvature) {
            (_, Curvature::Constant) => Curvature::Convex,
            (Curvature::Constant, _) => Curvature::Concave,
            _ => Curvature::Unknown,
        }),
        smooth: Smooth::C1, degree: DegreeRule::NotPolynomial,
        derivative: Derivative::Partials(|ir, a, _| {
            let low = neg(ir, a[1]);
            let capped = ir.apply(MIN2, &[a[0], a[1]]);
            let by_x = ir.apply(MAX2, &[capped, low]);
            let size = call(ir, ABS, a[0]);
            let over = sub(ir, size, a[1]);
            vec![by_x, call(ir, RELU, over)]
        }),
        graph: Graph::Cones(GraphCone::SecondOrder, |b, region, a, _, _| {
            // The least of (x - v)²/2 + d·|v| over v.
            let (v, size, q) = (
                b.variable(region, Sign::Unknown),
                b.variable(region, Sign::Nonneg),
                b.variable(region, Sign::Nonneg),
            );
            let ir = b.ir();
            let (up, down) = (sub(ir, size, v), ir.apply(ADD, &[size, v]));
            let (one, rest) = (num(ir, 1.0), sub(ir, a[0], v));
            let heads = vec![ir.apply(ADD, &[q, one]), sub(ir, q, one), times(ir, 2.0, rest)];
            b.nonneg(region, up);
            b.nonneg(region, down);
            b.second_order(region, heads, None);
            let ir = b.ir();
            let (half, ends) = (times(ir, 0.5, q), mul(ir, a[1], size));
            ir.apply(ADD, &[half, ends])
        }), prox: Prox::None("depends on the second argument"),
        eval: Eval::Lane2(kernels::huber), complex: Complex::None("not analytic"),
        simplify: &[literals!(HUBER)],
        latex: r"\operatorname{huber}_{#2}\left(#1\right)", examples: &[("huber(3, 1)", "2.5")],
        source: "Huber, Annals of Mathematical Statistics 35, 1964",
    }

    /// `-x log x`, 0 at 0.
    ENTROPY {
        name: "entropy", symbol: None, kind: AtomKind::Scalar, signature: &["(x: Real) -> Real"], shape: shape::number,
        domain: &[DomainOf::Nonnegative], sign: SignRule::Always(Sign::Unknown),
        monotone: MonoRule::Always(&[Mono::Unknown]), curvature: CONCAVE,
        smooth: Smooth::Analytic, degree: DegreeRule::NotPolynomial,
        derivative: Derivative::Partials(|ir, a, _| {
            let log = call(ir, LOG, a[0]);
            let m = neg(ir, log);
            let one = num(ir, 1.0);
            vec![sub(ir, m, one)]
        }),
        graph: Graph::Cones(GraphCone::Exponential, |b, region, a, _, _| {
            let t = b.variable(region, Sign::Unknown);
            let one = num(b.ir(), 1.0);
            b.exponential(region, [t, a[0], one]);
            t
        }), prox: Prox::None("concave"),
        eval: Eval::Lane1(kernels::entropy),
        complex: Complex::Scalar(|z| complex::neg(complex::mul(z[0], complex::log(z[0])))),
        simplify: &[literals!(ENTROPY)],
        latex: r"-#1 \log #1", examples: &[("entropy(1)", "0")], source: "",
    }

    /// Relative entropy `x log(x/y)` of a nonnegative and a positive number, jointly convex.
    REL_ENTROPY {
        name: "rel_entropy", symbol: None, kind: AtomKind::Scalar, signature: &["(x: Real, y: Real) -> Real"], shape: shape::number,
        domain: &[DomainOf::Nonnegative, DomainOf::Positive], sign: SignRule::Always(Sign::Unknown),
        monotone: MonoRule::Always(&[Mono::Unknown, Mono::Decreasing]), curvature: CONVEX,
        smooth: Smooth::Analytic, degree: DegreeRule::NotPolynomial,
        derivative: Derivative::Partials(|ir, a, _| {
            let q = ir.apply(DIV, &[a[0], a[1]]);
            let log = call(ir, LOG, q);
            let one = num(ir, 1.0);
            vec![ir.apply(ADD, &[log, one]), neg(ir, q)]
        }),
        graph: Graph::Cones(GraphCone::Exponential, |b, region, a, _, _| {
            // -t <= x·log(y/x).
            let t = b.variable(region, Sign::Unknown);
            let minus = neg(b.ir(), t);
            b.exponential(region, [minus, a[0], a[1]]);
            t
        }),
        prox: Prox::None("two arguments"),
        eval: Eval::Lane2(kernels::rel_entropy),
        complex: Complex::Scalar(|z| complex::mul(z[0], complex::log(complex::div(z[0], z[1])))),
        simplify: &[literals!(REL_ENTROPY)],
        latex: r"#1 \log \frac{#1}{#2}", examples: &[("rel_entropy(1, 1)", "0")],
        source: "Kullback & Leibler, Annals of Mathematical Statistics 22, 1951",
    }

    /// Relative entropy `x log(x/y) - x + y` of a nonnegative and a positive number, jointly convex and nonnegative.
    KL {
        name: "kl_div", symbol: None, kind: AtomKind::Scalar, signature: &["(x: Real, y: Real) -> Real"], shape: shape::number,
        domain: &[DomainOf::Nonnegative, DomainOf::Positive], sign: SignRule::Always(Sign::Nonneg),
        monotone: MonoRule::Always(&[Mono::Unknown]), curvature: CONVEX,
        smooth: Smooth::Analytic, degree: DegreeRule::NotPolynomial,
        derivative: Derivative::Partials(|ir, a, _| {
            let q = ir.apply(DIV, &[a[0], a[1]]);
            let by_x = call(ir, LOG, q);
            vec![by_x, one_minus(ir, q)]
        }),
        graph: Graph::Rewrite(|ir, a| {
            let r = ir.apply(REL_ENTROPY, &[a[0], a[1]]);
            let t = sub(ir, r, a[0]);
            ir.apply(ADD, &[t, a[1]])
        }), prox: Prox::None("two arguments"),
        eval: Eval::Lane2(kernels::kl),
        complex: Complex::Scalar(|z| {
            let log = complex::log(complex::div(z[0], z[1]));
            complex::add(complex::sub(complex::mul(z[0], log), z[0]), z[1])
        }),
        simplify: &[literals!(KL)],
        latex: r"\operatorname{kl}\left(#1 \,\|\, #2\right)", examples: &[("kl_div(1, 1)", "0")],
        source: "Kullback & Leibler, Annals of Mathematical Statistics 22, 1951",
    }
}

/// 1 where two numbers are equal, shared with the reductions that share their slope among ties.
pub(super) fn ties(ir: &mut crate::ir::Ir, a: crate::ir::NodeId, b: crate::ir::NodeId) -> crate::ir::NodeId {
    ir.apply(EQ, &[a, b])
}

/// `a` where it is not zero, else 1: a denominator that is never zero.
pub(super) fn nonzero_or_one(ir: &mut crate::ir::Ir, a: crate::ir::NodeId) -> crate::ir::NodeId {
    let is_zero = holds(ir, EQ, a, 0.0);
    let one = num(ir, 1.0);
    ir.apply(SELECT, &[is_zero, one, a])
}
