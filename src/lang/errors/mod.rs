//! The wording of every diagnostic of the language, one function each.
//!
//! Invariant: constructors take what was found and give a finished diagnostic; finding is done elsewhere.

pub mod habits;
pub mod syntax;
pub mod types;
