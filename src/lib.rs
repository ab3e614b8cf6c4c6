//! Ravine: a small typed language for optimization.

pub mod atoms;
pub mod base;
pub mod cli;
pub mod exec;
pub mod forms;
pub mod io;
pub mod ir;
pub mod lang;
pub mod passes;
pub mod report;
pub mod session;
pub mod solve;
