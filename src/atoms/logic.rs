//! Comparison, logic and choice.
//!
//! Invariant: truth values are 0 and 1; derivatives of steps are zero wherever they exist.

use super::rules::{always, arg_of, literals, num};
use super::{kernels, shape};
use crate::ir::atom::{
    ArgFacts, AtomKind, Complex, CurvatureRule, DegreeRule, Derivative, DomainOf, Eval, Graph, MonoRule, Prox, SignRule,
};
use crate::ir::{Curvature, Mono, Sign, Smooth};

const STEP: &str = "a step function";

/// A row of two numbers or truths to a truth value.
macro_rules! truth_of_two {
    ($($(#[doc = $doc:literal])+ $atom:ident $name:literal $symbol:literal $domain:ident $mono:expr, $kernel:ident $latex:literal $example:literal $shown:literal;)*
     rest { $($rest:tt)* }) => {
        atoms! {
            family LOGIC;
            $(
                $(#[doc = $doc])+
                $atom {
                    name: $name, symbol: Some($symbol), kind: AtomKind::Scalar,
                    signature: &["(x: Real, y: Real) -> Bool"], shape: shape::number, domain: &[DomainOf::$domain],
                    sign: SignRule::Always(Sign::Nonneg),
                    monotone: MonoRule::Always($mono), curvature: CurvatureRule::Always(Curvature::Unknown),
                    smooth: Smooth::Discontinuous, degree: DegreeRule::NotPolynomial, derivative: Derivative::Zero,
                    graph: Graph::None(STEP), prox: Prox::None(STEP),
                    eval: Eval::Lane2(kernels::$kernel), complex: Complex::None(STEP),
                    simplify: &[literals!($atom)],
                    latex: $latex, examples: &[($example, $shown)], source: "",
                }
            )*
            $($rest)*
        }
    };
}

const UP: &[Mono] = &[Mono::Increasing];
const UP_DOWN: &[Mono] = &[Mono::Increasing, Mono::Decreasing];
const DOWN_UP: &[Mono] = &[Mono::Decreasing, Mono::Increasing];
const NEITHER: &[Mono] = &[Mono::Unknown];

fn select_curvature(f: &[ArgFacts]) -> Curvature {
    // Which branch holds depends on nothing that is decided: affine in the branches.
    if f[0].curvature == Curvature::Constant {
        Curvature::Affine
    } else {
        Curvature::Unknown
    }
}

truth_of_two! {
    /// Is `x` less than `y`?
    LT "lt" "<" Reals DOWN_UP, lt "#1 < #2" "1 < 2" "true";
    /// Is `x` at most `y`?
    LE "le" "<=" Reals DOWN_UP, le r"#1 \le #2" "2 <= 2" "true";
    /// Is `x` greater than `y`?
    GT "gt" ">" Reals UP_DOWN, gt "#1 > #2" "1 > 2" "false";
    /// Is `x` at least `y`?
    GE "ge" ">=" Reals UP_DOWN, ge r"#1 \ge #2" "2 >= 3" "false";
    /// Are the two numbers equal?
    EQ "eq" "==" Reals NEITHER, eq "#1 = #2" "2 == 2" "true";
    /// Do the two numbers differ?
    NE "ne" "!=" Reals NEITHER, ne r"#1 \ne #2" "2 != 2" "false";
    /// Do both hold?
    AND "and" "and" Truth UP, and r"#1 \land #2" "true and false" "false";
    /// Does at least one hold?
    OR "or" "or" Truth UP, or r"#1 \lor #2" "true or false" "true";
    rest {
        /// Does it not hold?
        NOT {
            name: "not", symbol: Some("not"), kind: AtomKind::Scalar,
            signature: &["(x: Bool) -> Bool"], shape: shape::number, domain: &[DomainOf::Truth],
            sign: SignRule::Always(Sign::Nonneg),
            monotone: MonoRule::Always(&[Mono::Decreasing]), curvature: CurvatureRule::Always(Curvature::Unknown),
            smooth: Smooth::Discontinuous, degree: DegreeRule::NotPolynomial, derivative: Derivative::Zero,
            graph: Graph::None(STEP), prox: Prox::None(STEP),
            eval: Eval::Lane1(kernels::not), complex: Complex::None(STEP),
            simplify: &[
                literals!(NOT),
                always("not (x == y)", |ir, a| {
                    // Not for the order comparisons, which all fail on NaN.
                    for (from, to) in [(EQ, NE), (NE, EQ)] {
                        if let Some((x, y)) = super::rules::args_of(ir, a[0], from) { return Some(ir.apply(to, &[x, y])); }
                    }
                    None
                }),
            ],
            latex: r"\lnot #1", examples: &[("not true", "false")], source: "",
        }

        /// `if c then a else b`: the value of the branch that the condition chooses; the other one is not looked at.
        SELECT {
            name: "select", symbol: None, kind: AtomKind::Scalar,
            signature: &["(c: Bool, a: Real, b: Real) -> Real"], shape: shape::number,
            domain: &[DomainOf::Truth, DomainOf::Reals],
            sign: SignRule::Of(|s| s[1].join(s[2])),
            monotone: MonoRule::Always(&[Mono::Unknown, Mono::Increasing]),
            curvature: CurvatureRule::Of(select_curvature),
            smooth: Smooth::Discontinuous,
            degree: DegreeRule::Of(|d, _| if d[0] == 0 { d[1].max(d[2]) } else { 3 }),
            derivative: Derivative::Partials(|ir, a, _| {
                let (zero, one) = (num(ir, 0.0), num(ir, 1.0));
                let by_a = ir.apply(SELECT, &[a[0], one, zero]);
                let by_b = ir.apply(SELECT, &[a[0], zero, one]);
                vec![zero, by_a, by_b]
            }),
            graph: Graph::None("affine in the branches"), prox: Prox::None("three arguments"),
            eval: Eval::Lane3(kernels::select), complex: Complex::Scalar(|z| if z[0].0 != 0.0 { z[1] } else { z[2] }),
            simplify: &[
                always("if true, if false", |ir, a| ir.as_const(a[0]).map(|c| if c != 0.0 { a[1] } else { a[2] })),
                always("if c then x else x", |_, a| (a[1] == a[2]).then_some(a[1])),
                always("if not c", |ir, a| arg_of(ir, a[0], NOT).map(|c| ir.apply(SELECT, &[c, a[2], a[1]]))),
            ],
            latex: r"\begin{cases} #2 & #1 \\ #3 & \text{else} \end{cases}",
            examples: &[("(if 1 < 2 then 10 else 20)", "10")], source: "",
        }
    }
}

/// `c` as a factor: 1 where the comparison of `a` and `b` holds.
pub(super) fn holds(ir: &mut crate::ir::Ir, of: crate::ir::AtomRef, a: crate::ir::NodeId, b: f64) -> crate::ir::NodeId {
    let b = num(ir, b);
    ir.apply(of, &[a, b])
}
