//! The intermediate representation: index structure kept, facts beside the nodes, the schema of an atom's row.
//!
//! Invariant: names no particular atom, knows neither syntax nor solvers.

pub mod atom;
pub mod build;
pub mod catalogue;
pub mod facts;
pub mod node;
pub mod problem;
pub mod script;
pub mod show;
pub mod text;
pub mod verify;

pub use atom::{Atom, AtomKind, AtomRef};
pub use build::Ir;
pub use catalogue::Catalogue;
pub use facts::{Curvature, Facts, Mono, Sign, Smooth};
pub use node::{Domain, DomainId, Index, IndexId, Input, InputId, InputKind, Node, NodeId, Pos};
pub use problem::{Constraint, Member, Objective, Problem, Sense, Sides, Variable};
