//! Eigenvalues and singular values of whole matrices.
//!
//! Invariant: eigenvalue functions read the symmetric part; a gradient is one of the subgradients where the extreme
//! value repeats (Lewis, SIAM Journal on Optimization 6, 1996).

use super::rules::{add, entry, inner, neg, plain_domain, scale, times};
use super::{SUM, factors, shape};
use crate::ir::atom::{
    ArgFacts, AtomKind, Block, Complex, CurvatureRule, DegreeRule, Derivative, DomainOf, Eval, Fill, Graph,
    GraphBuilder, GraphCone, MonoRule, Prox, SignRule,
};
use crate::ir::{AtomRef, Curvature, DomainId, Ir, Mono, NodeId, Sign, Smooth};

const ARRAYS: Complex = Complex::None("whole arrays");
const NO_PROX: Prox = Prox::None("whole arrays");
const UNKNOWN_MONO: MonoRule = MonoRule::Always(&[Mono::Unknown]);

/// A function of a matrix whose gradient is the row `slope`.
fn by_slope(ir: &mut Ir, a: &[NodeId], t: &[Option<NodeId>], slope: AtomRef) -> Option<NodeId> {
    let d = t[0]?;
    let g = ir.apply(slope, &[a[0]]);
    Some(inner(ir, g, d))
}

fn times_slope(ir: &mut Ir, a: &[NodeId], ct: NodeId, slope: AtomRef) -> Vec<Option<NodeId>> {
    let g = ir.apply(slope, &[a[0]]);
    vec![Some(scale(ir, ct, g))]
}

/// The entries of an array, over a domain of its shape.
pub(super) fn entries(b: &mut dyn GraphBuilder, array: NodeId) -> (DomainId, NodeId) {
    let shape = b.ir().shape(array).to_vec();
    let (domain, at) = plain_domain(b.ir(), &shape);
    (domain, entry(b.ir(), array, &at))
}

/// What stands at a place of a matrix in blocks.
pub(super) fn block(row: usize, col: usize, fill: Fill) -> Block {
    Block { row, col, fill }
}

/// A symmetric variable of order `n` as the diagonal block `k`, and its trace.
pub(super) fn symmetric_block(b: &mut dyn GraphBuilder, k: usize, n: usize) -> (Vec<Block>, NodeId) {
    let (domain, _) = plain_domain(b.ir(), &[n]);
    let diagonal = b.variable(domain, Sign::Nonneg);
    let mut blocks = vec![block(k, k, Fill::Diagonal(domain, diagonal))];
    blocks.extend(strictly_lower(b, k, k, n));
    (blocks, b.ir().fold(SUM, domain, diagonal))
}

/// Variables below the diagonal of a block of order `n`.
pub(super) fn strictly_lower(b: &mut dyn GraphBuilder, row: usize, col: usize, n: usize) -> Option<Block> {
    if n < 2 {
        return None;
    }
    let (domain, _) = plain_domain(b.ir(), &[n * (n - 1) / 2]);
    let below = b.variable(domain, Sign::Unknown);
    Some(block(row, col, Fill::StrictlyLower(domain, below)))
}

/// `t·I - A` is semidefinite.
fn lambda_max_graph(
    b: &mut dyn GraphBuilder,
    region: DomainId,
    a: &[NodeId],
    _: &[ArgFacts],
    _: Option<DomainId>,
) -> NodeId {
    apart(b, region, a[0], true)
}

/// `A - t·I` is semidefinite.
fn lambda_min_graph(
    b: &mut dyn GraphBuilder,
    region: DomainId,
    a: &[NodeId],
    _: &[ArgFacts],
    _: Option<DomainId>,
) -> NodeId {
    apart(b, region, a[0], false)
}

/// A number `t` with `t·I - A` semidefinite, or `A - t·I` where it is not `above`.
fn apart(b: &mut dyn GraphBuilder, region: DomainId, a: NodeId, above: bool) -> NodeId {
    let t = b.variable(region, Sign::Unknown);
    let n = b.ir().shape(a)[0];
    let (domain, e) = entries(b, a);
    let (identity, e) = match above {
        true => (t, neg(b.ir(), e)),
        false => (neg(b.ir(), t), e),
    };
    let blocks = vec![
        block(0, 0, Fill::Identity(identity)),
        block(0, 0, Fill::Entries(domain, e)),
    ];
    b.semidefinite(region, vec![n], blocks);
    t
}

/// `[t·I, A; A', t·I]` is semidefinite.
fn sigma_max_graph(
    b: &mut dyn GraphBuilder,
    region: DomainId,
    a: &[NodeId],
    _: &[ArgFacts],
    _: Option<DomainId>,
) -> NodeId {
    let t = b.variable(region, Sign::Nonneg);
    let orders = b.ir().shape(a[0]).to_vec();
    let (domain, e) = entries(b, a[0]);
    let blocks = vec![
        block(0, 0, Fill::Identity(t)),
        block(0, 1, Fill::Entries(domain, e)),
        block(1, 1, Fill::Identity(t)),
    ];
    b.semidefinite(region, orders, blocks);
    t
}

/// `[V, A; A', W]` is semidefinite, and half the traces of `V` and `W` are the norm.
fn nuclear_graph(
    b: &mut dyn GraphBuilder,
    region: DomainId,
    a: &[NodeId],
    _: &[ArgFacts],
    _: Option<DomainId>,
) -> NodeId {
    let orders = b.ir().shape(a[0]).to_vec();
    let (domain, e) = entries(b, a[0]);
    let (mut blocks, left) = symmetric_block(b, 0, orders[0]);
    let (more, right) = symmetric_block(b, 1, orders[1]);
    blocks.extend(more);
    blocks.push(block(0, 1, Fill::Entries(domain, e)));
    b.semidefinite(region, orders, blocks);
    let ir = b.ir();
    let sum = add(ir, left, right);
    times(ir, 0.5, sum)
}

/// A spectral function and the row of its gradient.
macro_rules! spectral {
    ($($(#[doc = $doc:literal])+ $atom:ident $name:literal $ty:literal $shape:ident $sign:ident $curvature:ident $kernel:ident
        $latex:literal $example:literal $shown:literal $source:literal $graph:ident;
        $(#[doc = $slope_doc:literal])+ $slope:ident $slope_name:literal $slope_ty:literal $slope_shape:ident $slope_kernel:ident
        $slope_example:literal $slope_shown:literal;)*) => {
        atoms! {
            family SPECTRAL;
            $(
                $(#[doc = $doc])+
                $atom {
                    name: $name, symbol: None, kind: AtomKind::Array,
                    signature: &[$ty], shape: shape::$shape, domain: &[DomainOf::Reals],
                    sign: SignRule::Always(Sign::$sign), monotone: UNKNOWN_MONO,
                    curvature: CurvatureRule::Always(Curvature::$curvature),
                    smooth: Smooth::Kinks, degree: DegreeRule::NotPolynomial,
                    derivative: Derivative::Rule {
                        jvp: |ir, a, t, _| by_slope(ir, a, t, $slope),
                        vjp: |ir, a, _, ct, _| times_slope(ir, a, ct, $slope),
                    },
                    graph: Graph::Cones(GraphCone::Semidefinite, $graph), prox: NO_PROX,
                    eval: Eval::Array(factors::$kernel), complex: ARRAYS, simplify: &[],
                    latex: $latex, examples: &[($example, $shown)], source: $source,
                }

                $(#[doc = $slope_doc])+
                $slope {
                    name: $slope_name, symbol: None, kind: AtomKind::Array,
                    signature: &[$slope_ty], shape: shape::$slope_shape, domain: &[DomainOf::Reals],
                    sign: SignRule::Always(Sign::Unknown), monotone: UNKNOWN_MONO,
                    curvature: CurvatureRule::Always(Curvature::Unknown),
                    smooth: Smooth::Discontinuous, degree: DegreeRule::NotPolynomial,
                    derivative: Derivative::None("second derivatives of spectral functions have no row"),
                    graph: Graph::None("a gradient"), prox: NO_PROX,
                    eval: Eval::Array(factors::$slope_kernel), complex: ARRAYS, simplify: &[],
                    latex: concat!(r"\nabla ", $latex), examples: &[($slope_example, $slope_shown)], source: "",
                }
            )*
        }
    };
}

spectral! {
    /// Largest eigenvalue of a symmetric matrix, convex.
    LAMBDA_MAX "lambda_max" "(a: Symmetric[n]) -> Real" square_to_number Unknown Convex lambda_max
        r"\lambda_{\max}\left(#1\right)" "lambda_max([2, 1; 1, 2])" "3" "Boyd & Vandenberghe, Convex Optimization, 2004, §3.1.5" lambda_max_graph;
    /// Gradient of `lambda_max`: `v*v'` of its unit eigenvector.
    LAMBDA_MAX_SLOPE "lambda_max_slope" "(a: Symmetric[n]) -> Matrix[n, n]" square lambda_max_slope
        "lambda_max_slope([2, 0; 0, 1])" "[1, 0; 0, 0]";
    /// Smallest eigenvalue of a symmetric matrix, concave.
    LAMBDA_MIN "lambda_min" "(a: Symmetric[n]) -> Real" square_to_number Unknown Concave lambda_min
        r"\lambda_{\min}\left(#1\right)" "lambda_min([2, 1; 1, 2])" "1" "Boyd & Vandenberghe, Convex Optimization, 2004, §3.1.5" lambda_min_graph;
    /// Gradient of `lambda_min`: `v*v'` of its unit eigenvector.
    LAMBDA_MIN_SLOPE "lambda_min_slope" "(a: Symmetric[n]) -> Matrix[n, n]" square lambda_min_slope
        "lambda_min_slope([2, 0; 0, 1])" "[0, 0; 0, 1]";
    /// Largest singular value (the spectral norm), convex.
    SIGMA_MAX "sigma_max" "(a: Matrix[m, n]) -> Real" matrix_to_number Nonneg Convex sigma_max
        r"\sigma_{\max}\left(#1\right)" "sigma_max([3, 0; 0, 4])" "4" "Vandenberghe & Boyd, SIAM Review 38, 1996, §3" sigma_max_graph;
    /// Gradient of `sigma_max`: `u*v'` of its unit singular vectors.
    SIGMA_MAX_SLOPE "sigma_max_slope" "(a: Matrix[m, n]) -> Matrix[m, n]" matrix sigma_max_slope
        "sigma_max_slope([3, 0; 0, 4])" "[0, 0; 0, 1]";
    /// Sum of the singular values (the nuclear norm), convex.
    NUCLEAR "nuclear" "(a: Matrix[m, n]) -> Real" matrix_to_number Nonneg Convex nuclear
        r"\left\| #1 \right\|_*" "nuclear([3, 0; 0, 4])" "7" "Recht, Fazel & Parrilo, SIAM Review 52, 2010, §2" nuclear_graph;
    /// Gradient of `nuclear`: `U*V'` of its singular vectors.
    NUCLEAR_SLOPE "nuclear_slope" "(a: Matrix[m, n]) -> Matrix[m, n]" matrix nuclear_slope
        "nuclear_slope([3, 0; 0, 4])" "[1, 0; 0, 1]";
}
