//! What a numerical kernel says when it cannot do its work.
//!
//! Invariant: bad data end here, never in a panic.

/// A numerical failure: what happened, where, and the number that shows it.
#[derive(Clone, Debug, PartialEq)]
pub struct NumericalFault {
    /// One sentence.
    pub what: String,
    /// The kernel.
    pub place: &'static str,
    /// The number that shows it (a pivot, a residual, an index).
    pub measure: f64,
}

impl NumericalFault {
    /// A fault of `place`.
    pub fn new(what: impl Into<String>, place: &'static str, measure: f64) -> Self {
        NumericalFault {
            what: what.into(),
            place,
            measure,
        }
    }
}

impl std::fmt::Display for NumericalFault {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{} ({}, {:e})", self.what, self.place, self.measure)
    }
}

impl std::error::Error for NumericalFault {}
