//! Which method a class is given, and the sentence that says why.
//!
//! Invariant: one row per class; nothing else chooses.

use super::method::Class;

/// A row: class, how the method is named in reports, why.
pub struct Choice {
    /// The class.
    pub class: Class,
    /// The method's name in reports.
    pub method: &'static str,
    /// Why this one.
    pub why: &'static str,
}

/// Second derivatives are factorized up to this many entries per variable; beyond it, L-BFGS.
pub const HESSIAN_ENTRIES_PER_VARIABLE: usize = 2_000;
/// Up to this many variables a Hessian without pattern is still formed or multiplied.
pub const DENSE_VARIABLES: usize = 2_000;

/// The table.
pub const CHOICES: &[Choice] = &[
    Choice {
        class: Class::LinearSystem,
        method: "direct",
        why: "a square system: factorization with refinement",
    },
    Choice {
        class: Class::LeastSquares,
        method: "direct",
        why: "least squares: orthogonal factorization with refinement, never A'A",
    },
    Choice {
        class: Class::Linear,
        method: "interior point (Clarabel)",
        why: "a linear program",
    },
    Choice {
        class: Class::ConvexQuadratic,
        method: "interior point (Clarabel)",
        why: "convex and quadratic",
    },
    Choice {
        class: Class::SecondOrderCone,
        method: "interior point (Clarabel)",
        why: "convex, with second-order cones",
    },
    Choice {
        class: Class::Conic,
        method: "interior point (Clarabel)",
        why: "convex, with exponential cones",
    },
    Choice {
        class: Class::Smooth,
        method: "trust-region Newton",
        why: "smooth and unconstrained, with second derivatives that can be formed",
    },
    Choice {
        class: Class::SmoothBounds,
        method: "trust-region Newton",
        why: "smooth with bounds, with second derivatives that can be formed",
    },
];

/// The row of a class, if a method for it is built.
pub fn choose(class: Class) -> Option<&'static Choice> {
    CHOICES.iter().find(|c| c.class == class)
}
