//! A problem: variables, objective and constraints over one IR.
//!
//! Invariant: holds no data values; parameters are inputs, bound at each solve.

use super::build::Ir;
use super::node::{DomainId, InputId, NodeId};
use crate::base::Span;
use crate::base::value::IndexSet;

/// Minimize or maximize.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Sense {
    /// Smallest value wanted.
    Minimize,
    /// Largest value wanted.
    Maximize,
    /// Smallest over some variables, largest over the others.
    Saddle,
}

/// A decision variable.
#[derive(Clone, Debug)]
pub struct Variable {
    /// The user's name.
    pub name: String,
    /// Its input.
    pub input: InputId,
    /// Index sets of its dimensions.
    pub dims: Vec<IndexSet>,
    /// Lower bound: a scalar, or an array of the variable's shape; no variable in it.
    pub lower: Option<NodeId>,
    /// Upper bound.
    pub upper: Option<NodeId>,
    /// Start.
    pub start: Option<NodeId>,
    /// Natural magnitude.
    pub scale: Option<NodeId>,
    /// Is it one of those that a saddle point maximizes over?
    pub maximized: bool,
    /// Where it is declared.
    pub span: Span,
}

/// The objective.
#[derive(Clone, Debug)]
pub struct Objective {
    /// Direction.
    pub sense: Sense,
    /// The user's label, if any.
    pub label: Option<String>,
    /// A root scalar.
    pub node: NodeId,
    /// Where it stands.
    pub span: Span,
}

/// A comparison, as the user wrote it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Sides {
    /// `left <= right`.
    Le(NodeId, NodeId),
    /// `left >= right`.
    Ge(NodeId, NodeId),
    /// `left == right`.
    Eq(NodeId, NodeId),
    /// `low <= middle <= high` (written `high >= middle >= low` just the same).
    Between(NodeId, NodeId, NodeId),
}

/// A constraint, or a family of them: one scalar comparison per instance of `domain`.
#[derive(Clone, Debug)]
pub struct Constraint {
    /// The user's name, or `line N`.
    pub name: String,
    /// What it runs over (the root for a single one).
    pub domain: DomainId,
    /// Index sets of its duals and slacks: the family's, then the compared arrays'. Empty for a single one.
    pub dims: Vec<IndexSet>,
    /// The comparison; nodes are scalars whose region is `domain` or above.
    pub sides: Sides,
    /// Where it stands.
    pub span: Span,
}

/// A problem.
#[derive(Clone, Debug)]
pub struct Problem {
    /// The user's name, or empty for the file's unnamed problem.
    pub name: String,
    /// The program.
    pub ir: Ir,
    /// Variables in declaration order: the canonical flattening is this order, row-major.
    pub vars: Vec<Variable>,
    /// The objective; `None` asks for any feasible point.
    pub objective: Option<Objective>,
    /// Constraints in order.
    pub constraints: Vec<Constraint>,
    /// Scalars that the user asserts to be convex (or concave, if not).
    pub assumed: Vec<(NodeId, bool)>,
}
