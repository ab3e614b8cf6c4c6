//! Which method a class is given, and the sentence that says why.
//!
//! Invariant: one row per class; nothing else chooses.

use super::method::{Class, MethodCard};
use super::methods::{clarabel, direct, lbfgs, newton_tr};

/// A row: class, its method, why.
pub struct Choice {
    /// The class.
    pub class: Class,
    /// The method.
    pub card: &'static MethodCard,
    /// Why this one.
    pub why: &'static str,
}

/// Second derivatives are factorized up to this many entries per variable; beyond it, L-BFGS.
const HESSIAN_ENTRIES_PER_VARIABLE: usize = 2_000;
/// Up to this many variables a Hessian without pattern is still formed or multiplied.
const DENSE_VARIABLES: usize = 2_000;

/// The table.
pub const CHOICES: &[Choice] = &[
    Choice {
        class: Class::LinearSystem,
        card: &direct::CARD,
        why: "a square linear system: factorization with refinement",
    },
    Choice {
        class: Class::LeastSquares,
        card: &direct::CARD,
        why: "least squares: orthogonal factorization with refinement, never A'A",
    },
    Choice {
        class: Class::Linear,
        card: &clarabel::CARD,
        why: "interior point for a linear program",
    },
    Choice {
        class: Class::ConvexQuadratic,
        card: &clarabel::CARD,
        why: "interior point for a convex quadratic program",
    },
    Choice {
        class: Class::SecondOrderCone,
        card: &clarabel::CARD,
        why: "interior point for a convex problem with second-order cones",
    },
    Choice {
        class: Class::Semidefinite,
        card: &clarabel::CARD,
        why: "interior point for a convex problem with semidefinite cones",
    },
    Choice {
        class: Class::Conic,
        card: &clarabel::CARD,
        why: "interior point for a convex problem with exponential cones",
    },
    Choice {
        class: Class::Smooth,
        card: &newton_tr::CARD,
        why: "smooth and unconstrained, with second derivatives that can be formed",
    },
    Choice {
        class: Class::SmoothBounds,
        card: &newton_tr::CARD,
        why: "smooth with bounds, with second derivatives that can be formed",
    },
];

/// For smooth problems whose second derivatives are too many.
const LARGE: Choice = Choice {
    class: Class::Smooth,
    card: &lbfgs::CARD,
    why: "smooth and large, its second derivatives have no sparse pattern",
};

/// The row of a class, if a method for it is built.
pub fn choose(class: Class) -> Option<&'static Choice> {
    CHOICES.iter().find(|c| c.class == class)
}

/// The row of a smooth class with `n` variables and so many Hessian entries (`None`: no pattern is known).
pub fn smooth(class: Class, n: usize, hessian_entries: Option<usize>) -> &'static Choice {
    let sparse = hessian_entries.is_some_and(|k| k <= HESSIAN_ENTRIES_PER_VARIABLE * n.max(1));
    match choose(class) {
        Some(row) if sparse || n <= DENSE_VARIABLES => row,
        _ => &LARGE,
    }
}
