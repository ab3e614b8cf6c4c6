//! Rows: scalars over index domains as sparse rows of a Jacobian in the problem's variables.
//!
//! Invariant: structure is found once; binding parameters evaluates programs and compiles nothing. Columns follow the
//! canonical flattening: variables in order, row-major.
//!
//! `build` finds the structure, `program` evaluates it, `arrays` are the Jacobians of whole arrays that rows read.

mod arrays;
mod build;
mod program;

use crate::base::value::IndexSet;
use crate::ir::{DomainId, IndexId, InputId, Ir, NodeId};
use crate::passes::derive::NoDerivative;

pub use arrays::Memo;
pub use build::RowsBuilder;
pub use program::RowsProgram;

/// Why something has no rows.
#[derive(Clone, Debug, PartialEq)]
pub struct NoRows {
    /// The node.
    pub node: NodeId,
    /// A clause.
    pub why: String,
}

impl From<NoDerivative> for NoRows {
    fn from(n: NoDerivative) -> Self {
        NoRows {
            node: n.node,
            why: format!("`{}` has no derivative: {}", n.atom, n.reason),
        }
    }
}

/// Columns of each variable: input, first column, number of entries.
#[derive(Clone, Debug, Default)]
pub struct Columns {
    /// In order.
    pub blocks: Vec<(InputId, usize, usize)>,
}

impl Columns {
    /// All columns.
    pub fn len(&self) -> usize {
        self.blocks.last().map_or(0, |b| b.1 + b.2)
    }
    /// Is there no column?
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }
    /// Adds a variable; its first column.
    pub fn push(&mut self, ir: &Ir, input: InputId) -> usize {
        let first = self.len();
        let n = ir.input(input).dims.iter().map(IndexSet::len).product();
        self.blocks.push((input, first, n));
        first
    }
    fn of(&self, input: InputId) -> Option<(usize, usize)> {
        self.blocks.iter().find(|b| b.0 == input).map(|b| (b.1, b.2))
    }
}

/// A set of rows: one for each instance of a domain.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct RowSet(usize);

/// A list of values: one for each instance of a domain.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct List(usize);

/// A root value.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Root(usize);

/// A list of entries of one array: a flat position for each instance of a region.
#[derive(Clone, Debug)]
pub struct Places {
    region: DomainId,
    array: usize,
    shape: Vec<usize>,
    at: Vec<PosSpec>,
}

#[derive(Clone, Debug)]
enum PosSpec {
    Affine { terms: Vec<(IndexId, i64)>, offset: i64 },
    List(usize),
}

#[derive(Clone, Debug)]
struct LeafSpec {
    places: Places,
    value: usize,
}

#[derive(Clone, Debug)]
struct RowSpec {
    domain: DomainId,
    value: usize,
    leaves: Vec<LeafSpec>,
}
