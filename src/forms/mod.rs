//! Canonical forms: structure plus programs of the parameters, and the way back to the user's problem.
//!
//! Invariant: a form is compiled once; binding parameters evaluates programs, never derives or rewrites.

pub mod composite;
pub mod conic;
pub mod hessian;
pub mod least_squares;
pub mod matrices;
pub mod products;
pub mod program;
pub mod rows;
pub mod simple;
