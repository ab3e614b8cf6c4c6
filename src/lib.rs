//! Ravine: a small typed language for optimization.

pub mod atoms;
pub mod base;
pub mod exec;
pub mod io;
pub mod ir;
pub mod lang;
pub mod report;
pub mod session {
    //! The session's parts that stand alone.
    pub mod files;
}
pub mod solve;
