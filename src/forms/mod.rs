//! Forms: canonical problems as programs of the parameters, and the ways back to the user's problem.
//!
//! Invariant: structure is compiled once; binding values and solving again compiles nothing.

pub mod affine;
pub mod conic;
pub mod sparse;
pub mod terms;
