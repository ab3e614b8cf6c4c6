//! The nodes: scalars inside index domains, and whole arrays at the root.
//!
//! Invariant: a loop stays a loop. Every node belongs to one *region*, the innermost index domain it depends on; a
//! scalar node is evaluated once for each instance of its region. Array nodes live at the root region only.

use super::atom::AtomRef;

macro_rules! ids {
    ($($(#[$doc:meta])* $name:ident)*) => {$(
        $(#[$doc])*
        #[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
        pub struct $name(pub u32);
        impl $name {
            /// As an index into its table.
            pub fn index(self) -> usize { self.0 as usize }
        }
    )*};
}

ids! {
    /// A node of an [`super::Ir`].
    NodeId
    /// An index domain (a binder with its index names); `DomainId(0)` is the root, which has one instance.
    DomainId
    /// A bound index.
    IndexId
    /// An input: a parameter, a variable, embedded data or a seed of a derivative.
    InputId
}

impl DomainId {
    /// The root region: no index, one instance.
    pub const ROOT: DomainId = DomainId(0);
}

/// A zero-based position along one dimension of an array.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum Pos {
    /// `Σ stride · position(index) + offset`, positions counted from 0 in each index's set; terms sorted by index,
    /// no zero stride. Proved to lie inside the array when the problem is lowered.
    Affine {
        /// Index and stride.
        terms: Vec<(IndexId, i64)>,
        /// Constant part.
        offset: i64,
    },
    /// An integer-valued scalar node that does not depend on variables (an index read from data).
    Node(NodeId),
}

impl Pos {
    /// The position of an index itself.
    pub fn index(i: IndexId) -> Pos {
        Pos::Affine {
            terms: vec![(i, 1)],
            offset: 0,
        }
    }
    /// A fixed position.
    pub fn fixed(offset: usize) -> Pos {
        Pos::Affine {
            terms: vec![],
            offset: offset as i64,
        }
    }
    /// The index, if this is the plain position of one.
    pub fn as_index(&self) -> Option<IndexId> {
        match self {
            Pos::Affine { terms, offset: 0 } => match terms.as_slice() {
                [(i, 1)] => Some(*i),
                _ => None,
            },
            _ => None,
        }
    }
    /// The position shifted by a constant (`None` for a computed one).
    pub fn shifted(&self, by: i64) -> Option<Pos> {
        match self {
            Pos::Affine { terms, offset } => Some(Pos::Affine {
                terms: terms.clone(),
                offset: offset + by,
            }),
            Pos::Node(_) => None,
        }
    }
}

/// What a node computes.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum Node {
    /// A number, by its bits.
    Const(u64),
    /// A whole input; an array, or a scalar if its shape is empty.
    Input(InputId),
    /// The value of a bound index: the integer itself for integer sets, the zero-based position for labels.
    Index(IndexId),
    /// A scalar atom on scalars of the same region chain, or an array atom on root arrays.
    Apply {
        /// The row.
        atom: AtomRef,
        /// Arguments in order.
        args: Box<[NodeId]>,
    },
    /// One entry of a root array. As many positions as the array has dimensions.
    Gather {
        /// The array.
        array: NodeId,
        /// Where.
        at: Box<[Pos]>,
    },
    /// A reduction of `body` over the instances of `domain` that belong to one instance of its parent.
    Fold {
        /// The reduction's row.
        atom: AtomRef,
        /// What it runs over.
        domain: DomainId,
        /// The scalar reduced.
        body: NodeId,
    },
    /// The array of `body` over an unfiltered domain whose parent is the root; one dimension per index.
    Map {
        /// What it runs over.
        domain: DomainId,
        /// The scalar in each entry.
        body: NodeId,
    },
    /// The array of the given shape that sums `body` over all instances of `domain` (of all its parents' instances
    /// too) into the positions `at`: the transpose of `Gather`.
    Scatter {
        /// What it runs over.
        domain: DomainId,
        /// Shape of the result.
        shape: Box<[usize]>,
        /// Where each instance adds.
        at: Box<[Pos]>,
        /// What it adds.
        body: NodeId,
    },
}

/// A bound index.
#[derive(Clone, Debug)]
pub struct Index {
    /// The user's name.
    pub name: String,
    /// What it ranges over.
    pub set: crate::base::value::IndexSet,
    /// The domain that binds it.
    pub domain: DomainId,
}

/// A binder: one or several indices, possibly filtered, inside a parent domain.
///
/// Its instances, for one instance of the parent, are the tuples of its index sets (last index fastest) for which the
/// filter holds. Instances of all parents' instances, in order, form the flattened domain.
#[derive(Clone, Debug)]
pub struct Domain {
    /// The enclosing domain; `None` only for the root.
    pub parent: Option<DomainId>,
    /// The indices bound here.
    pub indices: Vec<IndexId>,
    /// A truth value in this domain that depends on data and indices only; materialized once per binding.
    pub filter: Option<NodeId>,
}

/// What an input is.
#[derive(Clone, Debug)]
pub enum InputKind {
    /// A decision variable.
    Var,
    /// A parameter; its value may be rebound without recompiling as long as its shape stays.
    Param,
    /// A value known when the program was lowered.
    Data(std::sync::Arc<crate::base::value::Tensor>),
    /// A direction or cotangent of a derivative program.
    Seed,
}

/// An input of the program.
#[derive(Clone, Debug)]
pub struct Input {
    /// The user's name (or the name of what a seed belongs to, primed).
    pub name: String,
    /// What it is.
    pub kind: InputKind,
    /// Index sets of its dimensions.
    pub dims: Vec<crate::base::value::IndexSet>,
    /// Stored sparsely?
    pub sparse: bool,
    /// Declared facts a parameter's checks promise (sign), or that a variable's bounds imply.
    pub sign: super::facts::Sign,
}
