//! Krylov methods, one step at a time, with the preconditioners and error estimates that go with them.
//!
//! Invariant: a state is plain values, so that a saved and resumed run continues with the same bits; all reductions go
//! through `reduce`.

mod cg;
mod lanczos;
mod lsmr;
mod minres;
mod precondition;

pub use cg::{CgStep, ConjugateGradient, Direction};
pub use lanczos::{Tridiagonal, lanczos, singular_bounds};
pub use lsmr::Lsmr;
pub use minres::{Minres, MinresStep};
pub use precondition::{IncompleteCholesky, Preconditioner, jacobi};
