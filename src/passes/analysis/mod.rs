//! What is known of nodes and problems: curvature with its derivation, and definiteness.
//!
//! Invariant: analyses read the IR and write side tables; none changes a node.

pub mod curvature;
pub mod semidefinite;
