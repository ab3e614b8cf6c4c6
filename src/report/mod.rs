//! Everything shown: diagnostics, values, results of a run, as text, HTML and JSON.
//!
//! Invariant: nothing here prints; renderers are functions from data to text, the same text for the same data.

pub mod diagnostic;
pub mod style;
