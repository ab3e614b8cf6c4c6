//! Arithmetic on numbers.
//!
//! Invariant: identities are exact in floating point up to the sign of zero; nothing is reassociated.

use super::rules::{
    add, always, arg_of, call, div, fold_literals, is, literals, mul, neg, num, one_minus, square, sub, times,
};
use super::{ABS, FLOOR, LOG, SQRT, complex, kernels, prox, shape};
use crate::ir::atom::{
    ArgFacts, AtomKind, Complex, CurvatureRule, DegreeRule, Derivative, DomainOf, Eval, Graph, GraphBuilder, GraphCone,
    Identity, MonoRule, Prox, SignRule,
};
use crate::ir::{Curvature, DomainId, Ir, Mono, NodeId, Sign, Smooth};

fn both_degrees(d: &[u8]) -> u8 {
    d.iter().fold(0, |s: u8, d| s.saturating_add(*d)).min(3)
}

fn is_fixed(a: &ArgFacts) -> bool {
    a.curvature == Curvature::Constant
}

/// Monotonicity of `k·x` by the sign of `k`.
fn by_sign(s: Sign) -> Mono {
    match s {
        Sign::Nonneg | Sign::Zero => Mono::Increasing,
        Sign::Nonpos => Mono::Decreasing,
        Sign::Unknown => Mono::Unknown,
    }
}

fn div_curvature(f: &[ArgFacts]) -> Curvature {
    match (f[0], f[1]) {
        (_, d) if is_fixed(&d) => Curvature::Affine,
        // c/x on one side of zero: the side the denominator's sign proves.
        (n, d) if is_fixed(&n) => match n.sign.times(d.sign) {
            Sign::Zero => Curvature::Constant,
            Sign::Nonneg => Curvature::Convex,
            Sign::Nonpos => Curvature::Concave,
            Sign::Unknown => Curvature::Unknown,
        },
        _ => Curvature::Unknown,
    }
}

fn div_mono(f: &[ArgFacts], k: usize) -> Mono {
    match k {
        0 => by_sign(f[1].sign),
        // d(n/x)/dx = -n/x² on one side of zero.
        _ if f[1].sign == Sign::Unknown => Mono::Unknown,
        _ => by_sign(f[0].sign.negated()),
    }
}

fn is_even(p: f64) -> bool {
    p % 2.0 == 0.0
}

/// Fractional powers are real for nonnegative bases only; even ones are squares; odd ones keep the base's sign.
fn pow_sign(f: &[ArgFacts]) -> Sign {
    match f[1].constant {
        _ if f[0].sign.is_nonneg() => Sign::Nonneg,
        Some(p) if p.fract() != 0.0 || is_even(p) => Sign::Nonneg,
        Some(_) => f[0].sign,
        None => Sign::Unknown,
    }
}

fn pow_curvature(f: &[ArgFacts]) -> Curvature {
    match (f[0].constant, f[1].constant) {
        (_, Some(p)) => {
            let nonneg = f[0].sign.is_nonneg() || p.fract() != 0.0;
            if p == 0.0 {
                Curvature::Constant
            } else if p == 1.0 {
                Curvature::Affine
            } else if !(0.0..=1.0).contains(&p) && nonneg {
                Curvature::Convex
            } else if p > 0.0 && p < 1.0 {
                Curvature::Concave
            } else if p > 1.0 && is_even(p) {
                Curvature::Convex
            } else if f[0].sign.is_nonpos() {
                // Integer powers left of zero: even ones convex, odd ones concave.
                if is_even(p) {
                    Curvature::Convex
                } else {
                    Curvature::Concave
                }
            } else {
                Curvature::Unknown
            }
        }
        (Some(base), None) if base > 0.0 => Curvature::Convex,
        _ => Curvature::Unknown,
    }
}

fn pow_mono(f: &[ArgFacts], k: usize) -> Mono {
    match (k, f[0].constant, f[1].constant) {
        (0, _, Some(p)) => {
            let nonneg = f[0].sign.is_nonneg() || p.fract() != 0.0;
            let nonpos = f[0].sign.is_nonpos() && !nonneg;
            if p == 0.0 {
                Mono::Increasing
            } else if p > 0.0 {
                if nonneg || !is_even(p) {
                    Mono::Increasing
                } else {
                    Mono::AwayFromZero
                }
            } else if nonneg || (nonpos && !is_even(p)) {
                Mono::Decreasing
            } else if nonpos {
                Mono::Increasing
            } else {
                Mono::Unknown
            }
        }
        (1, Some(base), _) if base >= 1.0 => Mono::Increasing,
        (1, Some(base), _) if base > 0.0 => Mono::Decreasing,
        _ => Mono::Unknown,
    }
}

fn pow_degree(d: &[u8], f: &[ArgFacts]) -> u8 {
    match f[1].constant {
        _ if d == [0, 0] => 0,
        Some(0.0) => 0,
        Some(1.0) => d[0],
        Some(2.0) => (2 * d[0]).min(3),
        _ => 3,
    }
}

/// Powers with the literal exponent `p` and `u = |x|`: `u <= t^(1/p)·1^(1-1/p)` above 1, `t <= u^p·1^(1-p)` between 0 and 1,
/// `1 <= t^(1/(1-p))·u^(-p/(1-p))` below 0; exponentials of a literal base by the exponential cone.
/// Source: MOSEK Modeling Cookbook, §3.2.7 (rational powers), §4 (power cone).
fn pow_graph(
    b: &mut dyn GraphBuilder,
    region: DomainId,
    a: &[NodeId],
    facts: &[ArgFacts],
    _: Option<DomainId>,
) -> NodeId {
    let t = b.variable(region, Sign::Nonneg);
    let one = num(b.ir(), 1.0);
    let Some(p) = facts[1].constant else {
        let rate = call(b.ir(), LOG, a[0]);
        let x = mul(b.ir(), rate, a[1]);
        b.exponential(region, [x, one, t]);
        return t;
    };
    // Left of zero, an odd power of x is minus that of -x.
    let left = facts[0].sign.is_nonpos() && p.fract() == 0.0;
    let u = if left { neg(b.ir(), a[0]) } else { a[0] };
    if p > 1.0 {
        let parts = fraction(p).filter(|(n, _)| *n <= MOST_LEAVES);
        match parts {
            // An even power is one of the square, whatever the sign.
            Some((n, _)) if is_even(p) => {
                let s = b.variable(region, Sign::Nonneg);
                below_mean(b, region, u, vec![(s, 1), (one, 1)]);
                below_mean(b, region, s, vec![(t, 1), (one, n / 2 - 1)]);
            }
            Some((n, d)) => below_mean(b, region, u, vec![(t, d), (one, n - d)]),
            None => {
                let share = num(b.ir(), 1.0 / p);
                b.power(region, [t, one, u], share);
            }
        }
        if p.fract() != 0.0 {
            b.nonneg(region, u);
        }
    } else if p > 0.0 {
        match fraction(p).filter(|(_, d)| *d <= MOST_LEAVES) {
            Some((n, d)) => below_mean(b, region, t, vec![(u, n), (one, d - n)]),
            None => {
                let share = num(b.ir(), p);
                b.power(region, [u, one, t], share);
            }
        }
    } else {
        match fraction(-p).filter(|(n, d)| n + d <= MOST_LEAVES) {
            Some((n, d)) => below_mean(b, region, one, vec![(t, d), (u, n)]),
            None => {
                let share = num(b.ir(), 1.0 / (1.0 - p));
                b.power(region, [t, u, one], share);
            }
        }
    }
    if left && !is_even(p) { neg(b.ir(), t) } else { t }
}

/// Most numbers that a mean is taken of by second-order cones, one for each halving of that many: beyond, the power cone is simpler.
const MOST_LEAVES: usize = 16;

/// A positive number as a quotient of small numbers.
fn fraction(p: f64) -> Option<(usize, usize)> {
    (1..=MOST_LEAVES).find_map(|d| {
        let n = (p * d as f64).round();
        let equal = (p * d as f64 - n).abs() <= 4.0 * f64::EPSILON * n;
        (equal && n >= 1.0 && n <= MOST_LEAVES as f64).then_some((n as usize, d))
    })
}

/// `head` at or below the geometric mean of the leaves, each as often as said; all of them and, where their number is no power of
/// two, `head` are at least 0. Equal leaves are their own mean, so that few pairs need a cone.
fn below_mean(b: &mut dyn GraphBuilder, region: DomainId, head: NodeId, mut leaves: Vec<(NodeId, usize)>) {
    let count: usize = leaves.iter().map(|l| l.1).sum();
    let mut all = count.next_power_of_two();
    leaves.push((head, all - count));
    while all > 2 {
        let odd: Vec<NodeId> = leaves.iter().filter(|l| l.1 % 2 == 1).map(|l| l.0).collect();
        leaves.iter_mut().for_each(|l| l.1 /= 2);
        for pair in odd.chunks_exact(2) {
            let mean = b.variable(region, Sign::Nonneg);
            below_root(b, region, mean, pair);
            leaves.push((mean, 1));
        }
        all /= 2;
    }
    let last: Vec<NodeId> = leaves.iter().flat_map(|l| vec![l.0; l.1]).collect();
    below_root(b, region, head, &last);
}

/// `head² <= x·y` for nonnegative `x` and `y`.
fn below_root(b: &mut dyn GraphBuilder, region: DomainId, head: NodeId, xy: &[NodeId]) {
    let ir = b.ir();
    let heads = vec![add(ir, xy[0], xy[1]), sub(ir, xy[0], xy[1]), times(ir, 2.0, head)];
    b.second_order(region, heads, None);
}

fn pow_partials(ir: &mut Ir, a: &[NodeId], y: NodeId) -> Vec<NodeId> {
    let one = num(ir, 1.0);
    let less = sub(ir, a[1], one);
    let power = ir.apply(POW, &[a[0], less]);
    let by_base = mul(ir, a[1], power);
    let log = call(ir, LOG, a[0]);
    let by_exponent = mul(ir, y, log);
    vec![by_base, by_exponent]
}

/// `x·0` is dropped only where `x` is a literal or an index value: anything else may be infinite.
fn surely_finite(ir: &Ir, n: NodeId) -> bool {
    matches!(ir.node(n), crate::ir::Node::Index(_)) || ir.as_const(n).is_some_and(f64::is_finite)
}

fn mul_units(ir: &mut Ir, a: &[NodeId]) -> Option<NodeId> {
    for (k, x) in [(a[0], a[1]), (a[1], a[0])] {
        if is(ir, k, 1.0) {
            return Some(x);
        }
        if is(ir, k, -1.0) {
            return Some(neg(ir, x));
        }
    }
    None
}

atoms! {
    family ARITHMETIC;

    /// Sum of two numbers; adds equally shaped arrays elementwise.
    ADD {
        name: "add", symbol: Some("+"), kind: AtomKind::Scalar,
        signature: &["(x: Real, y: Real) -> Real"], shape: shape::number, domain: &[DomainOf::Reals],
        sign: SignRule::Of(|s| s[0].plus(s[1])),
        monotone: MonoRule::Always(&[Mono::Increasing]), curvature: CurvatureRule::Always(Curvature::Affine),
        smooth: Smooth::Analytic, degree: DegreeRule::Linear,
        derivative: Derivative::Partials(|ir, _, _| { let one = num(ir, 1.0); vec![one, one] }),
        graph: Graph::None("affine"), prox: Prox::None("two arguments"),
        eval: Eval::Lane2(kernels::add), complex: Complex::Scalar(|z| complex::add(z[0], z[1])),
        simplify: &[
            literals!(ADD),
            always("x + 0", |ir, a| if is(ir, a[1], 0.0) { Some(a[0]) } else if is(ir, a[0], 0.0) { Some(a[1]) } else { None }),
            always("x + (-y)", |ir, a| {
                if let Some(y) = arg_of(ir, a[1], NEG) { return Some(sub(ir, a[0], y)); }
                arg_of(ir, a[0], NEG).map(|x| sub(ir, a[1], x))
            }),
        ],
        latex: "#1 + #2", examples: &[("1 + 2", "3")], source: "",
    }

    /// Difference of two numbers; subtracts equally shaped arrays elementwise.
    SUB {
        name: "sub", symbol: Some("-"), kind: AtomKind::Scalar,
        signature: &["(x: Real, y: Real) -> Real"], shape: shape::number, domain: &[DomainOf::Reals],
        sign: SignRule::Of(|s| s[0].plus(s[1].negated())),
        monotone: MonoRule::Always(&[Mono::Increasing, Mono::Decreasing]), curvature: CurvatureRule::Always(Curvature::Affine),
        smooth: Smooth::Analytic, degree: DegreeRule::Linear,
        derivative: Derivative::Partials(|ir, _, _| vec![num(ir, 1.0), num(ir, -1.0)]),
        graph: Graph::None("affine"), prox: Prox::None("two arguments"),
        eval: Eval::Lane2(kernels::sub), complex: Complex::Scalar(|z| complex::sub(z[0], z[1])),
        simplify: &[
            literals!(SUB),
            always("x - 0", |ir, a| is(ir, a[1], 0.0).then_some(a[0])),
            always("0 - x", |ir, a| is(ir, a[0], 0.0).then(|| neg(ir, a[1]))),
            always("x - (-y)", |ir, a| arg_of(ir, a[1], NEG).map(|y| add(ir, a[0], y))),
        ],
        latex: "#1 - #2", examples: &[("5 - 2", "3")], source: "",
    }

    /// Product of two numbers; `.*` multiplies equally shaped arrays elementwise, `*` scales an array by a number.
    MUL {
        name: "mul", symbol: Some("*"), kind: AtomKind::Scalar,
        signature: &["(x: Real, y: Real) -> Real"], shape: shape::number, domain: &[DomainOf::Reals],
        sign: SignRule::Of(|s| s[0].times(s[1])),
        monotone: MonoRule::Of(|f, k| by_sign(f[1 - k].sign)),
        curvature: CurvatureRule::Of(|f| if f.iter().any(is_fixed) { Curvature::Affine } else { Curvature::Unknown }),
        smooth: Smooth::Analytic, degree: DegreeRule::Of(|d, _| both_degrees(d)),
        derivative: Derivative::Partials(|_, a, _| vec![a[1], a[0]]),
        graph: Graph::None("affine where one factor is constant, else neither convex nor concave"),
        prox: Prox::None("two arguments"),
        eval: Eval::Lane2(kernels::mul), complex: Complex::Scalar(|z| complex::mul(z[0], z[1])),
        simplify: &[
            literals!(MUL),
            always("x * 1, x * (-1)", mul_units),
            Identity {
                name: "x * 0", condition: "x is a finite number or an index",
                apply: |ir, a| {
                    for (k, x) in [(a[0], a[1]), (a[1], a[0])] {
                        if is(ir, k, 0.0) && surely_finite(ir, x) { return Some(k); }
                    }
                    None
                },
            },
            always("x * x", |ir, a| (a[0] == a[1]).then(|| square(ir, a[0]))),
            always("(-x) * (-y)", |ir, a| {
                let (x, y) = (arg_of(ir, a[0], NEG)?, arg_of(ir, a[1], NEG)?);
                Some(mul(ir, x, y))
            }),
        ],
        latex: r"#1 \, #2", examples: &[("6*7", "42")], source: "",
    }

    /// Quotient of two numbers, always real: `7/2` is `3.5`.
    DIV {
        name: "divide", symbol: Some("/"), kind: AtomKind::Scalar,
        signature: &["(x: Real, y: Real) -> Real"], shape: shape::number, domain: &[DomainOf::Reals, DomainOf::NonZero],
        sign: SignRule::Of(|s| s[0].times(s[1])),
        monotone: MonoRule::Of(div_mono), curvature: CurvatureRule::Of(div_curvature),
        smooth: Smooth::Analytic, degree: DegreeRule::Of(|d, _| if d[1] == 0 { d[0] } else { 3 }),
        derivative: Derivative::Partials(|ir, a, y| {
            let by_x = call(ir, RECIP, a[1]);
            let q = div(ir, y, a[1]);
            vec![by_x, neg(ir, q)]
        }),
        graph: Graph::None("affine where the denominator is constant; a constant numerator goes through `recip`"),
        prox: Prox::None("two arguments"),
        eval: Eval::Lane2(kernels::div), complex: Complex::Scalar(|z| complex::div(z[0], z[1])),
        simplify: &[
            literals!(DIV),
            always("x / 1", |ir, a| is(ir, a[1], 1.0).then_some(a[0])),
            always("1 / x", |ir, a| is(ir, a[0], 1.0).then(|| call(ir, RECIP, a[1]))),
        ],
        latex: r"\frac{#1}{#2}", examples: &[("7/2", "3.5")], source: "",
    }

    /// The negative of a number or an array.
    NEG {
        name: "neg", symbol: Some("-"), kind: AtomKind::Scalar,
        signature: &["(x: Real) -> Real"], shape: shape::number, domain: &[DomainOf::Reals],
        sign: SignRule::Of(|s| s[0].negated()),
        monotone: MonoRule::Always(&[Mono::Decreasing]), curvature: CurvatureRule::Always(Curvature::Affine),
        smooth: Smooth::Analytic, degree: DegreeRule::Linear,
        derivative: Derivative::Partials(|ir, _, _| vec![num(ir, -1.0)]),
        graph: Graph::None("affine"), prox: Prox::Scalar(|v, t| v + t),
        eval: Eval::Lane1(kernels::neg), complex: Complex::Scalar(|z| complex::neg(z[0])),
        simplify: &[
            literals!(NEG),
            always("-(-x)", |ir, a| arg_of(ir, a[0], NEG)),
            always("-(x - y)", |ir, a| super::rules::args_of(ir, a[0], SUB).map(|(x, y)| sub(ir, y, x))),
        ],
        latex: "-#1", examples: &[("-(3)", "-3")], source: "",
    }

    /// Power. A constant even exponent takes any base; a fractional one takes a nonnegative base.
    POW {
        name: "pow", symbol: Some("^"), kind: AtomKind::Scalar,
        signature: &["(x: Real, p: Real) -> Real"], shape: shape::number, domain: &[DomainOf::Reals],
        sign: SignRule::With(pow_sign),
        monotone: MonoRule::Of(pow_mono), curvature: CurvatureRule::Of(pow_curvature),
        smooth: Smooth::Analytic, degree: DegreeRule::Of(pow_degree),
        derivative: Derivative::Partials(pow_partials),
        graph: Graph::Cones(GraphCone::Exponential, pow_graph), prox: Prox::None("two arguments"),
        eval: Eval::Lane2(kernels::pow),
        complex: Complex::Scalar(|z| complex::pow(z[0], z[1])),
        simplify: &[
            literals!(POW),
            always("x^1", |ir, a| is(ir, a[1], 1.0).then_some(a[0])),
            always("x^0", |ir, a| is(ir, a[1], 0.0).then(|| num(ir, 1.0))),
            always("x^2", |ir, a| is(ir, a[1], 2.0).then(|| square(ir, a[0]))),
            always("x^-1", |ir, a| is(ir, a[1], -1.0).then(|| call(ir, RECIP, a[0]))),
            always("x^0.5", |ir, a| is(ir, a[1], 0.5).then(|| call(ir, SQRT, a[0]))),
        ],
        latex: "{#1}^{#2}", examples: &[("2^10", "1024"), ("2^-1", "0.5")], source: "",
    }

    /// The square of a number; what `x^2` and `x*x` become.
    SQUARE {
        name: "square", symbol: None, kind: AtomKind::Scalar,
        signature: &["(x: Real) -> Real"], shape: shape::number, domain: &[DomainOf::Reals],
        sign: SignRule::Always(Sign::Nonneg),
        monotone: MonoRule::Always(&[Mono::AwayFromZero]), curvature: CurvatureRule::Always(Curvature::Convex),
        smooth: Smooth::Analytic, degree: DegreeRule::Of(|d, _| (2 * d[0]).min(3)),
        derivative: Derivative::Partials(|ir, a, _| vec![times(ir, 2.0, a[0])]),
        graph: Graph::Square, prox: Prox::Scalar(prox::square),
        eval: Eval::Lane1(kernels::square), complex: Complex::Scalar(|z| complex::mul(z[0], z[0])),
        simplify: &[
            literals!(SQUARE),
            always("(-x)^2, abs(x)^2", |ir, a| {
                arg_of(ir, a[0], NEG).or_else(|| arg_of(ir, a[0], ABS)).map(|x| square(ir, x))
            }),
        ],
        latex: "{#1}^2", examples: &[("square(3)", "9")], source: "",
    }

    /// One over a number; what `1/x` and `x^-1` become.
    RECIP {
        name: "recip", symbol: None, kind: AtomKind::Scalar,
        signature: &["(x: Real) -> Real"], shape: shape::number, domain: &[DomainOf::NonZero],
        sign: SignRule::Of(|s| s[0]),
        monotone: MonoRule::Of(|f, _| if f[0].sign == Sign::Unknown { Mono::Unknown } else { Mono::Decreasing }),
        curvature: CurvatureRule::Of(|f| match f[0].sign {
            Sign::Nonneg => Curvature::Convex,
            Sign::Nonpos => Curvature::Concave,
            _ => Curvature::Unknown,
        }),
        smooth: Smooth::Analytic, degree: DegreeRule::NotPolynomial,
        derivative: Derivative::Partials(|ir, _, y| { let s = square(ir, y); vec![neg(ir, s)] }),
        graph: Graph::Inverse, prox: Prox::None("root of a cubic"),
        eval: Eval::Lane1(kernels::recip), complex: Complex::Scalar(|z| complex::div((1.0, 0.0), z[0])),
        simplify: &[literals!(RECIP)],
        latex: r"\frac{1}{#1}", examples: &[("recip(4)", "0.25")], source: "",
    }

    /// `1/x` restricted to `x > 0`, where it is convex whatever is known of the sign of `x`.
    INV_POS {
        name: "inv_pos", symbol: None, kind: AtomKind::Scalar,
        signature: &["(x: Real) -> Real"], shape: shape::number, domain: &[DomainOf::Positive],
        sign: SignRule::Always(Sign::Nonneg),
        monotone: MonoRule::Always(&[Mono::Decreasing]), curvature: CurvatureRule::Always(Curvature::Convex),
        smooth: Smooth::Analytic, degree: DegreeRule::NotPolynomial,
        derivative: Derivative::Partials(|ir, _, y| { let s = square(ir, y); vec![neg(ir, s)] }),
        graph: Graph::Inverse, prox: Prox::None("root of a cubic"),
        eval: Eval::Lane1(kernels::inv_pos), complex: Complex::Scalar(|z| complex::div((1.0, 0.0), z[0])),
        simplify: &[Identity {
            name: "literals", condition: "a positive number",
            apply: |ir, a| if ir.as_const(a[0])? > 0.0 { fold_literals(ir, INV_POS, a) } else { None },
        }],
        latex: r"\frac{1}{#1}", examples: &[("inv_pos(4)", "0.25")], source: "",
    }

    /// `x²/y` for `y > 0`, jointly convex; 0 at the origin, its limit along lines.
    QUAD_OVER_LIN {
        name: "quad_over_lin", symbol: None, kind: AtomKind::Scalar,
        signature: &["(x: Real, y: Real) -> Real"], shape: shape::number, domain: &[DomainOf::Reals, DomainOf::Positive],
        sign: SignRule::Always(Sign::Nonneg),
        monotone: MonoRule::Always(&[Mono::AwayFromZero, Mono::Decreasing]),
        curvature: CurvatureRule::Always(Curvature::Convex),
        smooth: Smooth::Analytic, degree: DegreeRule::Of(|d, _| if d[1] == 0 { (2 * d[0]).min(3) } else { 3 }),
        derivative: Derivative::Partials(|ir, a, _| {
            let q = div(ir, a[0], a[1]);
            let by_x = times(ir, 2.0, q);
            let s = square(ir, q);
            vec![by_x, neg(ir, s)]
        }),
        graph: Graph::QuadOverLin, prox: Prox::None("two arguments"),
        eval: Eval::Lane2(kernels::quad_over_lin),
        complex: Complex::Scalar(|z| complex::div(complex::mul(z[0], z[0]), z[1])),
        simplify: &[],
        latex: r"\frac{{#1}^2}{#2}", examples: &[("quad_over_lin(6, 4)", "9")],
        source: "Boyd & Vandenberghe, Convex Optimization, 2004, §3.1.5",
    }

    /// Integer quotient, rounded down: `7 div 2` is 3, `-7 div 2` is -4.
    INTDIV {
        name: "div", symbol: Some("div"), kind: AtomKind::Scalar,
        signature: &["(x: Int, y: Int) -> Int"], shape: shape::number, domain: &[DomainOf::Integer, DomainOf::NonZero],
        sign: SignRule::Of(|s| if s[0] == Sign::Nonneg && s[1] == Sign::Nonneg { Sign::Nonneg } else { Sign::Unknown }),
        monotone: MonoRule::Of(|f, k| if k == 0 { by_sign(f[1].sign) } else { Mono::Unknown }),
        curvature: CurvatureRule::Always(Curvature::Unknown),
        smooth: Smooth::Discontinuous, degree: DegreeRule::NotPolynomial, derivative: Derivative::Zero,
        graph: Graph::None("a step function"), prox: Prox::None("two arguments"),
        eval: Eval::Lane2(kernels::int_div), complex: Complex::None("a step function"),
        simplify: &[literals!(INTDIV)],
        latex: r"\left\lfloor \frac{#1}{#2} \right\rfloor", examples: &[("7 div 2", "3")], source: "",
    }

    /// Remainder of the integer quotient, with the sign of the divisor: `7 % 2` is 1, `-7 % 2` is 1.
    MOD {
        name: "mod", symbol: Some("%"), kind: AtomKind::Scalar,
        signature: &["(x: Int, y: Int) -> Int"], shape: shape::number, domain: &[DomainOf::Integer, DomainOf::NonZero],
        sign: SignRule::Of(|s| if s[1] == Sign::Unknown { Sign::Unknown } else { s[1] }),
        monotone: MonoRule::Always(&[Mono::Unknown]), curvature: CurvatureRule::Always(Curvature::Unknown),
        smooth: Smooth::Discontinuous, degree: DegreeRule::NotPolynomial,
        derivative: Derivative::Partials(|ir, a, _| {
            let one = num(ir, 1.0);
            let q = div(ir, a[0], a[1]);
            let whole = call(ir, FLOOR, q);
            vec![one, neg(ir, whole)]
        }),
        graph: Graph::None("a saw-tooth"), prox: Prox::None("two arguments"),
        eval: Eval::Lane2(kernels::modulo), complex: Complex::None("a saw-tooth"),
        simplify: &[literals!(MOD)],
        latex: r"#1 \bmod #2", examples: &[("7 % 2", "1")], source: "",
    }
}

/// `1 - a²`, shared by the rows whose derivative is built on it.
pub(super) fn one_minus_square(ir: &mut Ir, a: NodeId) -> NodeId {
    let s = square(ir, a);
    one_minus(ir, s)
}
