//! Eigenvalues and singular values of whole matrices.
//!
//! Invariant: eigenvalue functions read the symmetric part; a derivative is a subgradient where an extreme value repeats.

use super::{arrays, shape};
use crate::ir::atom::{
    AtomKind, Complex, CurvatureRule, DegreeRule, Derivative, DomainOf, Eval, Graph, MonoRule, Prox, SignRule,
};
use crate::ir::{Curvature, Mono, Sign, Smooth};

const ARRAYS: Complex = Complex::None("whole arrays");
const NO_PROX: Prox = Prox::None("whole arrays");
const NO_CONE: Graph = Graph::None("needs the semidefinite cone");
const UNKNOWN_MONO: MonoRule = MonoRule::Always(&[Mono::Unknown]);
const NO_VECTORS: Derivative = Derivative::None("singular and eigenvectors have no row");

atoms! {
    family SPECTRAL;

    /// Largest eigenvalue of a symmetric matrix, convex.
    LAMBDA_MAX {
        name: "lambda_max", symbol: None, kind: AtomKind::Array,
        signature: &["(a: Symmetric[n]) -> Real"], shape: shape::square_to_number, domain: &[DomainOf::Reals],
        sign: SignRule::Always(Sign::Unknown), monotone: UNKNOWN_MONO,
        curvature: CurvatureRule::Always(Curvature::Convex), smooth: Smooth::Kinks, degree: DegreeRule::NotPolynomial,
        derivative: NO_VECTORS, graph: NO_CONE, prox: NO_PROX,
        eval: Eval::Array(arrays::not_linked), complex: ARRAYS, simplify: &[],
        latex: r"\lambda_{\max}\left(#1\right)", examples: &[("lambda_max([2, 1; 1, 2])", "3")],
        source: "Boyd & Vandenberghe, Convex Optimization, 2004, §3.1.5",
    }

    /// Smallest eigenvalue of a symmetric matrix, concave.
    LAMBDA_MIN {
        name: "lambda_min", symbol: None, kind: AtomKind::Array,
        signature: &["(a: Symmetric[n]) -> Real"], shape: shape::square_to_number, domain: &[DomainOf::Reals],
        sign: SignRule::Always(Sign::Unknown), monotone: UNKNOWN_MONO,
        curvature: CurvatureRule::Always(Curvature::Concave), smooth: Smooth::Kinks, degree: DegreeRule::NotPolynomial,
        derivative: NO_VECTORS, graph: NO_CONE, prox: NO_PROX,
        eval: Eval::Array(arrays::not_linked), complex: ARRAYS, simplify: &[],
        latex: r"\lambda_{\min}\left(#1\right)", examples: &[("lambda_min([2, 1; 1, 2])", "1")],
        source: "Boyd & Vandenberghe, Convex Optimization, 2004, §3.1.5",
    }

    /// Largest singular value (the spectral norm), convex.
    SIGMA_MAX {
        name: "sigma_max", symbol: None, kind: AtomKind::Array,
        signature: &["(a: Matrix[m, n]) -> Real"], shape: shape::matrix_to_number, domain: &[DomainOf::Reals],
        sign: SignRule::Always(Sign::Nonneg), monotone: UNKNOWN_MONO,
        curvature: CurvatureRule::Always(Curvature::Convex), smooth: Smooth::Kinks, degree: DegreeRule::NotPolynomial,
        derivative: NO_VECTORS, graph: NO_CONE, prox: NO_PROX,
        eval: Eval::Array(arrays::not_linked), complex: ARRAYS, simplify: &[],
        latex: r"\sigma_{\max}\left(#1\right)", examples: &[("sigma_max([3, 0; 0, 4])", "4")],
        source: "",
    }

    /// Sum of the singular values (the nuclear norm), convex.
    NUCLEAR {
        name: "nuclear", symbol: None, kind: AtomKind::Array,
        signature: &["(a: Matrix[m, n]) -> Real"], shape: shape::matrix_to_number, domain: &[DomainOf::Reals],
        sign: SignRule::Always(Sign::Nonneg), monotone: UNKNOWN_MONO,
        curvature: CurvatureRule::Always(Curvature::Convex), smooth: Smooth::Kinks, degree: DegreeRule::NotPolynomial,
        derivative: NO_VECTORS, graph: NO_CONE, prox: NO_PROX,
        eval: Eval::Array(arrays::not_linked), complex: ARRAYS, simplify: &[],
        latex: r"\left\| #1 \right\|_*", examples: &[("nuclear([3, 0; 0, 4])", "7")], source: "",
    }
}
