//! The language: source text to a syntax tree, names, types and shapes.
//!
//! Invariant: parsing and checking never fail; they answer with a tree and diagnostics.

pub mod errors;
pub mod parse;
pub mod syntax;
