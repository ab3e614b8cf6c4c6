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

/// Fails with the first entry of `v` that is NaN or infinite.
pub(crate) fn check_finite(place: &'static str, name: &str, v: &[f64]) -> Result<(), NumericalFault> {
    match v.iter().position(|x| !x.is_finite()) {
        None => Ok(()),
        Some(i) => Err(NumericalFault::new(
            format!("entry {} of {name} is {}", i + 1, v[i]),
            place,
            v[i],
        )),
    }
}

/// Fails unless `found == expected`.
pub(crate) fn check_len(place: &'static str, name: &str, expected: usize, found: usize) -> Result<(), NumericalFault> {
    if expected == found {
        Ok(())
    } else {
        let what = format!("{name}: expected {expected}, found {found}");
        Err(NumericalFault::new(what, place, found as f64))
    }
}
