//! Convolution, and the mark of products with operators.
//!
//! Invariant: what is marked is computed by products alone; whoever would read its entries is told so in one place, the
//! rows of `forms`.

use std::borrow::Cow;

use super::arrays::dense;
use super::matrix::{ARRAYS, BILINEAR, LINEAR, NO_PROX, SUM_OF_DEGREES, bilinear_jvp};
use super::rules::plain_domain;
use super::shape;
use crate::ir::atom::{
    ArrayOut, ArrayRef, AtomKind, CurvatureRule, DegreeRule, Derivative, DomainOf, Eval, KernelFault, MonoRule,
    SignRule,
};
use crate::ir::{Curvature, Ir, Mono, NodeId, Pos, Smooth};

type Out = Result<ArrayOut, KernelFault>;

fn conv(args: &[ArrayRef<'_>]) -> Out {
    Ok(ArrayOut::Dense(ravine_linalg::convolution::convolve(
        &dense(&args[0]),
        &dense(&args[1]),
    )))
}

fn opaque(args: &[ArrayRef<'_>]) -> Out {
    Ok(ArrayOut::Dense(Cow::into_owned(dense(&args[0]))))
}

/// The entries of a vector in the opposite order.
pub fn reversed(ir: &mut Ir, a: NodeId) -> NodeId {
    let n = ir.shape(a).first().copied().unwrap_or(0);
    let (domain, at) = plain_domain(ir, &[n]);
    let back = Pos::Affine {
        terms: vec![(at[0], -1)],
        offset: n as i64 - 1,
    };
    let body = ir.gather(a, vec![back]);
    ir.map(domain, body)
}

/// `len` entries of a vector from position `from` on.
pub fn window(ir: &mut Ir, a: NodeId, from: usize, len: usize) -> NodeId {
    let (domain, at) = plain_domain(ir, &[len]);
    let shifted = Pos::Affine {
        terms: vec![(at[0], 1)],
        offset: from as i64,
    };
    let body = ir.gather(a, vec![shifted]);
    ir.map(domain, body)
}

/// Cotangent of one factor: the correlation of the result's cotangent with the other factor.
fn conv_vjp(ir: &mut Ir, a: &[NodeId], _: NodeId, ct: NodeId, wanted: &[bool]) -> Vec<Option<NodeId>> {
    (0..2)
        .map(|k| {
            let len = |ir: &Ir, n: NodeId| ir.shape(n).first().copied().unwrap_or(0);
            let (own, other) = (len(ir, a[k]), len(ir, a[1 - k]));
            wanted[k].then(|| {
                let back = reversed(ir, a[1 - k]);
                let all = ir.apply(CONV, &[ct, back]);
                window(ir, all, other - 1, own)
            })
        })
        .collect()
}

atoms! {
    family OPERATORS;

    /// Convolution of two vectors, as long as both together less one; a fast Fourier transform where both are long.
    CONV {
        name: "conv", symbol: None, kind: AtomKind::Array,
        signature: &["(a: Vector[m], b: Vector[n]) -> Vector[m + n - 1]"], shape: shape::conv, domain: &[DomainOf::Reals],
        sign: SignRule::Of(|s| s[0].times(s[1])), monotone: super::matrix::BY_OTHER_SIGN, curvature: BILINEAR,
        smooth: Smooth::Analytic, degree: SUM_OF_DEGREES,
        derivative: Derivative::Rule {
            jvp: |ir, a, t, _| bilinear_jvp(ir, a, t, |ir, x, y| ir.apply(CONV, &[x, y])),
            vjp: conv_vjp,
        },
        graph: LINEAR, prox: NO_PROX, eval: Eval::Array(conv), complex: ARRAYS, simplify: &[],
        latex: r"#1 \ast #2", examples: &[("conv([1, 2, 3], [1, -1])", "[1, 1, 1, -3]")],
        source: "Cooley & Tukey, Math. Comp. 19, 1965",
    }

    /// `x` itself, marked as known by products only: no matrix of its dependence on variables is formed. Products with
    /// operators are marked so.
    OPAQUE {
        name: "opaque", symbol: None, kind: AtomKind::Array,
        signature: &["(x: Vector[n]) -> Vector[n]"], shape: shape::vector_alone, domain: &[DomainOf::Reals],
        sign: SignRule::Of(|s| s[0]), monotone: MonoRule::Always(&[Mono::Increasing]),
        curvature: CurvatureRule::Always(Curvature::Affine), smooth: Smooth::Analytic, degree: DegreeRule::Linear,
        derivative: Derivative::Rule {
            jvp: |_, _, t, _| t[0],
            vjp: |_, _, _, ct, _| vec![Some(ct)],
        },
        graph: LINEAR, prox: NO_PROX, eval: Eval::Array(opaque), complex: ARRAYS, simplify: &[],
        latex: r"#1", examples: &[("opaque([1, 2])", "[1, 2]")], source: "",
    }
}
