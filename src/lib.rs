//! Ravine: a small typed language for optimization.

pub mod base;
pub mod ir;
pub mod lang;
pub mod solve;
