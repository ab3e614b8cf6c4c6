//! What is known of nodes and problems: curvature with its derivation, definiteness, sums of squares, the class.
//!
//! Invariant: analyses read the IR and write side tables; none changes a node.

pub mod class;
pub mod curvature;
pub mod semidefinite;
pub mod squares;
