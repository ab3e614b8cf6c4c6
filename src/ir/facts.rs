//! Facts about nodes: sign, monotonicity, curvature with derivation, smoothness, polynomial degree.
//!
//! Invariant: facts are side tables keyed by node; a node never contains one. An array node's facts hold for each entry.

use super::node::{InputId, NodeId};

/// What is known of the sign of a value.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Default)]
pub enum Sign {
    /// Always 0.
    Zero,
    /// At least 0.
    Nonneg,
    /// At most 0.
    Nonpos,
    /// Not known.
    #[default]
    Unknown,
}

impl Sign {
    /// The sign of `-v`.
    pub fn negated(self) -> Sign {
        match self {
            Sign::Nonneg => Sign::Nonpos,
            Sign::Nonpos => Sign::Nonneg,
            s => s,
        }
    }
    /// The sign of a sum.
    pub fn plus(self, other: Sign) -> Sign {
        match (self, other) {
            (Sign::Zero, s) | (s, Sign::Zero) => s,
            (a, b) if a == b => a,
            _ => Sign::Unknown,
        }
    }
    /// The sign of a product.
    pub fn times(self, other: Sign) -> Sign {
        match (self, other) {
            (Sign::Zero, _) | (_, Sign::Zero) => Sign::Zero,
            (Sign::Unknown, _) | (_, Sign::Unknown) => Sign::Unknown,
            (a, b) if a == b => Sign::Nonneg,
            _ => Sign::Nonpos,
        }
    }
    /// The weakest statement that both imply.
    pub fn join(self, other: Sign) -> Sign {
        match (self, other) {
            (Sign::Zero, s) | (s, Sign::Zero) => s,
            (a, b) if a == b => a,
            _ => Sign::Unknown,
        }
    }
    /// Is the value known to be at least 0?
    pub fn is_nonneg(self) -> bool {
        matches!(self, Sign::Nonneg | Sign::Zero)
    }
    /// Is the value known to be at most 0?
    pub fn is_nonpos(self) -> bool {
        matches!(self, Sign::Nonpos | Sign::Zero)
    }
    /// The sign of a number.
    pub fn of(v: f64) -> Sign {
        if v == 0.0 {
            Sign::Zero
        } else if v > 0.0 {
            Sign::Nonneg
        } else if v < 0.0 {
            Sign::Nonpos
        } else {
            Sign::Unknown
        }
    }
}

/// Curvature as a function of the variables.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Default)]
pub enum Curvature {
    /// Does not depend on a variable.
    Constant,
    /// Affine.
    Affine,
    /// Convex.
    Convex,
    /// Concave.
    Concave,
    /// Not proved.
    #[default]
    Unknown,
}

impl Curvature {
    /// Constant, affine or convex?
    pub fn is_convex(self) -> bool {
        matches!(self, Curvature::Constant | Curvature::Affine | Curvature::Convex)
    }
    /// Constant, affine or concave?
    pub fn is_concave(self) -> bool {
        matches!(self, Curvature::Constant | Curvature::Affine | Curvature::Concave)
    }
    /// Constant or affine?
    pub fn is_affine(self) -> bool {
        matches!(self, Curvature::Constant | Curvature::Affine)
    }
    /// The curvature of `-v`.
    pub fn negated(self) -> Curvature {
        match self {
            Curvature::Convex => Curvature::Concave,
            Curvature::Concave => Curvature::Convex,
            c => c,
        }
    }
    /// The word shown.
    pub fn word(self) -> &'static str {
        match self {
            Curvature::Constant => "constant",
            Curvature::Affine => "affine",
            Curvature::Convex => "convex",
            Curvature::Concave => "concave",
            Curvature::Unknown => "unknown",
        }
    }
}

/// Monotonicity in one argument.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Mono {
    /// Nondecreasing.
    Increasing,
    /// Nonincreasing.
    Decreasing,
    /// Nondecreasing on nonnegative arguments, nonincreasing on nonpositive ones (square, abs, norm).
    AwayFromZero,
    /// Neither, or not known.
    Unknown,
}

/// Differentiability.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Smooth {
    /// Jumps.
    Discontinuous,
    /// Continuous with kinks.
    Kinks,
    /// Once continuously differentiable.
    C1,
    /// Infinitely differentiable on its domain.
    Analytic,
}

/// How a fact came to be known.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Default)]
pub enum Grade {
    /// Follows from rules.
    #[default]
    Proved,
    /// Checked on the bound data; redone at each rebinding.
    CheckedOnData,
    /// Asserted by the user.
    Asserted,
}

/// The rule that gave a node its curvature: kept so that `inspect P why` can walk it.
#[derive(Clone, Debug, PartialEq)]
pub struct Rule {
    /// The sentence shown, such as "convex, increasing function of a convex argument".
    pub text: String,
    /// The argument that broke it, if the result is unknown.
    pub culprit: Option<NodeId>,
}

/// All facts about one node.
#[derive(Clone, Debug, PartialEq)]
pub struct Facts {
    /// Sign of the value (of each entry).
    pub sign: Sign,
    /// Curvature in the variables.
    pub curvature: Curvature,
    /// How the curvature was derived.
    pub rule: Rule,
    /// Smoothness in the variables.
    pub smooth: Smooth,
    /// Polynomial degree in the variables if at most 2, else 3.
    pub degree: u8,
    /// How the curvature is known.
    pub grade: Grade,
    /// Depends on a variable?
    pub has_var: bool,
    /// Parameters it depends on, sorted.
    pub params: Vec<InputId>,
}
