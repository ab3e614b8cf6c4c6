//! Parts of the language that have their place in the grammar and are not built yet.
//!
//! Invariant: each says what it will do; the words are in one place.

/// Parts of the language that an expression may ask for and that are not built yet.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Feature {
    /// `complements`.
    Complements,
    /// `in sphere`, `in argmin(…)`.
    Membership,
    /// `cvar(…)`, `worst(…)`.
    Risk,
    /// A statement that begins with this word.
    Statement(&'static str),
}

impl Feature {
    /// What it is (with its verb), and what it will do.
    pub(super) fn words(self) -> (&'static str, &'static str) {
        match self {
            Feature::Complements => (
                "complementarity constraints are",
                "say that one of two inequalities is tight",
            ),
            Feature::Membership => (
                "this kind of membership is",
                "constrain to manifolds and lower-level problems; intervals, cones, `simplex` and `ball(r)` work today",
            ),
            Feature::Risk => (
                "risk measures and worst cases are",
                "be reductions over samples with their duals",
            ),
            Feature::Statement(word) => match word {
                "write model" => (
                    "writing models is",
                    "save problems as MPS, LP and CBF files; values can be written today",
                ),
                "extern" => ("`extern` is", "declare native functions"),
                "read model" => ("reading whole models is", "take MPS, QPS, LP, SDPA, CBF and NL files"),
                _ => ("this is", "be part of the language"),
            },
        }
    }
}
