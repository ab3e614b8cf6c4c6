//! The language: source text to a syntax tree, names, types and shapes, and to IR.
//!
//! Invariant: parsing and checking never fail; they answer with a tree and diagnostics.

pub mod check;
pub mod errors;
pub mod format;
pub mod latex;
pub mod lower;
pub mod parse;
pub mod syntax;

pub use format::format;
pub use parse::parse;
