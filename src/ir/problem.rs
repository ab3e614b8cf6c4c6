//! A problem: variables, objective and constraints over one IR.
//!
//! Invariant: holds no data values; parameters are inputs, bound at each solve.

use super::build::Ir;
use super::node::{DomainId, InputId, NodeId};
use crate::base::Span;
use crate::base::value::IndexSet;

/// Minimize or maximize.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Sense {
    /// Smallest value wanted.
    #[default]
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
    /// Is it a matrix that equals its transpose?
    pub symmetric: bool,
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
    /// Membership in a cone.
    In(Member),
}

/// Membership in a cone that no comparison says.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Member {
    /// The matrix of the entries over a domain of two dimensions below the constraint's is symmetric and positive semidefinite.
    Semidefinite {
        /// Rows and columns.
        entries: DomainId,
        /// An entry.
        entry: NodeId,
    },
    /// `y·exp(x/y) <= z` with `y > 0`, or a limit of such.
    Exponential([NodeId; 3]),
    /// `x^a · y^(1-a) >= |z|` with `x, y >= 0`; `a` is a root number without variables.
    Power([NodeId; 3], NodeId),
}

impl Sides {
    /// The nodes of a constraint over `domain`, each with the domain whose instances it has.
    pub fn nodes(&self, domain: DomainId) -> Vec<(DomainId, NodeId)> {
        match *self {
            Sides::Le(a, b) | Sides::Ge(a, b) | Sides::Eq(a, b) => vec![(domain, a), (domain, b)],
            Sides::Between(a, b, c) => vec![(domain, a), (domain, b), (domain, c)],
            Sides::In(Member::Semidefinite { entries, entry }) => vec![(entries, entry)],
            Sides::In(Member::Exponential(xyz)) => xyz.map(|n| (domain, n)).to_vec(),
            Sides::In(Member::Power([x, y, z], a)) => [x, y, z, a].map(|n| (domain, n)).to_vec(),
        }
    }
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
    /// The comparison or membership; nodes are scalars whose region is `domain` or above.
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
