//! Passes over the IR: canonical rewrites, derivatives, and what is known of nodes and problems.
//!
//! Invariant: a pass changes no value except by rounding where its row says so; nothing here knows solvers or syntax.

pub mod analysis;
pub mod derive;
pub mod inline;
pub mod rewrite;
pub mod subst;
