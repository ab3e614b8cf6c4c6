//! Trigonometric and hyperbolic functions.
//!
//! Invariant: angles are in radians; a function bent both ways is convex or concave on the side that the sign proves.

use super::arithmetic::one_minus_square;
use super::rules::{add, always, arg_of, call, literals, neg, num, square};
use super::{NEG, RECIP, SQRT, complex, kernels, shape};
use crate::ir::atom::{
    AtomKind, Complex, CurvatureRule, DegreeRule, Derivative, DomainOf, Eval, Graph, MonoRule, Prox, SignRule,
};
use crate::ir::{Curvature, Ir, Mono, NodeId, Sign, Smooth};

const NO_PROX: Prox = Prox::None("no closed form");
const BENT: Graph = Graph::None("neither convex nor concave");
const UP: MonoRule = MonoRule::Always(&[Mono::Increasing]);
const UNKNOWN: CurvatureRule = CurvatureRule::Always(Curvature::Unknown);

/// Convex left of zero, concave right of it.
pub(super) const CONVEX_THEN_CONCAVE: CurvatureRule = CurvatureRule::Of(|f| match f[0].sign {
    Sign::Nonneg => Curvature::Concave,
    Sign::Nonpos => Curvature::Convex,
    _ => Curvature::Unknown,
});

/// Concave left of zero, convex right of it.
const CONCAVE_THEN_CONVEX: CurvatureRule = CurvatureRule::Of(|f| match f[0].sign {
    Sign::Nonneg => Curvature::Convex,
    Sign::Nonpos => Curvature::Concave,
    _ => Curvature::Unknown,
});

/// `1/sqrt(1 - x²)`, the slope of the arcsine.
fn arc_slope(ir: &mut Ir, x: NodeId) -> NodeId {
    let rest = one_minus_square(ir, x);
    let root = call(ir, SQRT, rest);
    call(ir, RECIP, root)
}

atoms! {
    family TRIGONOMETRIC;

    /// Sine of an angle in radians.
    SIN {
        name: "sin", symbol: None, kind: AtomKind::Scalar, signature: &["(x: Real) -> Real"], shape: shape::number,
        domain: &[DomainOf::Reals], sign: SignRule::Always(Sign::Unknown),
        monotone: MonoRule::Always(&[Mono::Unknown]), curvature: UNKNOWN,
        smooth: Smooth::Analytic, degree: DegreeRule::NotPolynomial,
        derivative: Derivative::Partials(|ir, a, _| vec![call(ir, COS, a[0])]),
        graph: BENT, prox: NO_PROX,
        eval: Eval::Lane1(kernels::sin), complex: Complex::Scalar(|z| complex::sin(z[0])),
        simplify: &[literals!(SIN)],
        latex: r"\sin #1", examples: &[("sin(0)", "0")], source: "",
    }

    /// Cosine of an angle in radians.
    COS {
        name: "cos", symbol: None, kind: AtomKind::Scalar, signature: &["(x: Real) -> Real"], shape: shape::number,
        domain: &[DomainOf::Reals], sign: SignRule::Always(Sign::Unknown),
        monotone: MonoRule::Always(&[Mono::Unknown]), curvature: UNKNOWN,
        smooth: Smooth::Analytic, degree: DegreeRule::NotPolynomial,
        derivative: Derivative::Partials(|ir, a, _| { let s = call(ir, SIN, a[0]); vec![neg(ir, s)] }),
        graph: BENT, prox: NO_PROX,
        eval: Eval::Lane1(kernels::cos), complex: Complex::Scalar(|z| complex::cos(z[0])),
        simplify: &[
            literals!(COS),
            always("cos(-x)", |ir, a| arg_of(ir, a[0], NEG).map(|x| call(ir, COS, x))),
        ],
        latex: r"\cos #1", examples: &[("cos(0)", "1")], source: "",
    }

    /// Tangent of an angle in radians.
    TAN {
        name: "tan", symbol: None, kind: AtomKind::Scalar, signature: &["(x: Real) -> Real"], shape: shape::number,
        domain: &[DomainOf::Reals], sign: SignRule::Always(Sign::Unknown),
        monotone: MonoRule::Always(&[Mono::Unknown]), curvature: UNKNOWN,
        smooth: Smooth::Analytic, degree: DegreeRule::NotPolynomial,
        derivative: Derivative::Partials(|ir, _, y| {
            let s = square(ir, y);
            let one = num(ir, 1.0);
            vec![add(ir, one, s)]
        }),
        graph: BENT, prox: NO_PROX,
        eval: Eval::Lane1(kernels::tan), complex: Complex::Scalar(|z| complex::div(complex::sin(z[0]), complex::cos(z[0]))),
        simplify: &[literals!(TAN)],
        latex: r"\tan #1", examples: &[("tan(0)", "0")], source: "",
    }

    /// Arcsine of a number between -1 and 1, in radians.
    ASIN {
        name: "asin", symbol: None, kind: AtomKind::Scalar, signature: &["(x: Real) -> Real"], shape: shape::number,
        domain: &[DomainOf::Between(-1.0, 1.0)], sign: SignRule::Of(|s| s[0]), monotone: UP,
        curvature: CONCAVE_THEN_CONVEX,
        smooth: Smooth::Analytic, degree: DegreeRule::NotPolynomial,
        derivative: Derivative::Partials(|ir, a, _| vec![arc_slope(ir, a[0])]),
        graph: BENT, prox: NO_PROX,
        eval: Eval::Lane1(kernels::asin), complex: Complex::None("no complex evaluation written"),
        simplify: &[literals!(ASIN)],
        latex: r"\arcsin #1", examples: &[("asin(1)", "1.5708")], source: "",
    }

    /// Arccosine of a number between -1 and 1, in radians.
    ACOS {
        name: "acos", symbol: None, kind: AtomKind::Scalar, signature: &["(x: Real) -> Real"], shape: shape::number,
        domain: &[DomainOf::Between(-1.0, 1.0)], sign: SignRule::Always(Sign::Nonneg),
        monotone: MonoRule::Always(&[Mono::Decreasing]), curvature: CONVEX_THEN_CONCAVE,
        smooth: Smooth::Analytic, degree: DegreeRule::NotPolynomial,
        derivative: Derivative::Partials(|ir, a, _| { let s = arc_slope(ir, a[0]); vec![neg(ir, s)] }),
        graph: BENT, prox: NO_PROX,
        eval: Eval::Lane1(kernels::acos), complex: Complex::None("no complex evaluation written"),
        simplify: &[literals!(ACOS)],
        latex: r"\arccos #1", examples: &[("acos(1)", "0")], source: "",
    }

    /// Arctangent, in radians.
    ATAN {
        name: "atan", symbol: None, kind: AtomKind::Scalar, signature: &["(x: Real) -> Real"], shape: shape::number,
        domain: &[DomainOf::Reals], sign: SignRule::Of(|s| s[0]), monotone: UP, curvature: CONVEX_THEN_CONCAVE,
        smooth: Smooth::Analytic, degree: DegreeRule::NotPolynomial,
        derivative: Derivative::Partials(|ir, a, _| {
            let s = square(ir, a[0]);
            let one = num(ir, 1.0);
            let sum = add(ir, one, s);
            vec![call(ir, RECIP, sum)]
        }),
        graph: BENT, prox: NO_PROX,
        eval: Eval::Lane1(kernels::atan), complex: Complex::None("no complex evaluation written"),
        simplify: &[literals!(ATAN)],
        latex: r"\arctan #1", examples: &[("4*atan(1)", "3.1416")], source: "",
    }

    /// Hyperbolic sine.
    SINH {
        name: "sinh", symbol: None, kind: AtomKind::Scalar, signature: &["(x: Real) -> Real"], shape: shape::number,
        domain: &[DomainOf::Reals], sign: SignRule::Of(|s| s[0]), monotone: UP, curvature: CONCAVE_THEN_CONVEX,
        smooth: Smooth::Analytic, degree: DegreeRule::NotPolynomial,
        derivative: Derivative::Partials(|ir, a, _| vec![call(ir, COSH, a[0])]),
        graph: BENT, prox: NO_PROX,
        eval: Eval::Lane1(kernels::sinh), complex: Complex::Scalar(|z| complex::sinh(z[0])),
        simplify: &[literals!(SINH)],
        latex: r"\sinh #1", examples: &[("sinh(0)", "0")], source: "",
    }

    /// Hyperbolic cosine.
    COSH {
        name: "cosh", symbol: None, kind: AtomKind::Scalar, signature: &["(x: Real) -> Real"], shape: shape::number,
        domain: &[DomainOf::Reals], sign: SignRule::Always(Sign::Nonneg),
        monotone: MonoRule::Always(&[Mono::AwayFromZero]), curvature: CurvatureRule::Always(Curvature::Convex),
        smooth: Smooth::Analytic, degree: DegreeRule::NotPolynomial,
        derivative: Derivative::Partials(|ir, a, _| vec![call(ir, SINH, a[0])]),
        graph: Graph::None("the smooth methods take it"), prox: NO_PROX,
        eval: Eval::Lane1(kernels::cosh), complex: Complex::Scalar(|z| complex::cosh(z[0])),
        simplify: &[literals!(COSH)],
        latex: r"\cosh #1", examples: &[("cosh(0)", "1")], source: "",
    }

    /// Hyperbolic tangent.
    TANH {
        name: "tanh", symbol: None, kind: AtomKind::Scalar, signature: &["(x: Real) -> Real"], shape: shape::number,
        domain: &[DomainOf::Reals], sign: SignRule::Of(|s| s[0]), monotone: UP,
        curvature: CONVEX_THEN_CONCAVE,
        smooth: Smooth::Analytic, degree: DegreeRule::NotPolynomial,
        derivative: Derivative::Partials(|ir, _, y| vec![one_minus_square(ir, y)]),
        graph: BENT, prox: NO_PROX,
        eval: Eval::Lane1(kernels::tanh), complex: Complex::Scalar(|z| complex::tanh(z[0])),
        simplify: &[literals!(TANH)],
        latex: r"\tanh #1", examples: &[("tanh(0)", "0")], source: "",
    }

    /// Inverse hyperbolic sine.
    ASINH {
        name: "asinh", symbol: None, kind: AtomKind::Scalar, signature: &["(x: Real) -> Real"], shape: shape::number,
        domain: &[DomainOf::Reals], sign: SignRule::Of(|s| s[0]), monotone: UP, curvature: CONVEX_THEN_CONCAVE,
        smooth: Smooth::Analytic, degree: DegreeRule::NotPolynomial,
        derivative: Derivative::Partials(|ir, a, _| {
            let s = square(ir, a[0]);
            let one = num(ir, 1.0);
            let s = add(ir, one, s);
            let r = call(ir, SQRT, s);
            vec![call(ir, RECIP, r)]
        }),
        graph: BENT, prox: NO_PROX, eval: Eval::Lane1(kernels::asinh),
        complex: Complex::None("no complex evaluation written"), simplify: &[literals!(ASINH)],
        latex: r"\operatorname{asinh} #1", examples: &[("asinh(0)", "0")], source: "",
    }

    /// Inverse hyperbolic tangent of a number between -1 and 1.
    ATANH {
        name: "atanh", symbol: None, kind: AtomKind::Scalar, signature: &["(x: Real) -> Real"], shape: shape::number,
        domain: &[DomainOf::Between(-1.0, 1.0)], sign: SignRule::Of(|s| s[0]), monotone: UP, curvature: CONCAVE_THEN_CONVEX,
        smooth: Smooth::Analytic, degree: DegreeRule::NotPolynomial,
        derivative: Derivative::Partials(|ir, a, _| { let r = one_minus_square(ir, a[0]); vec![call(ir, RECIP, r)] }),
        graph: BENT, prox: NO_PROX, eval: Eval::Lane1(kernels::atanh),
        complex: Complex::None("no complex evaluation written"), simplify: &[literals!(ATANH)],
        latex: r"\operatorname{atanh} #1", examples: &[("atanh(0)", "0")], source: "",
    }
}
