//! From IR to a plan: root steps in order, loops fused by outermost domain, each loop a tree of lane programs.
//!
//! Invariant: a plan holds no values; the same plan serves any binding of its inputs.
//!
//! Here is what a plan is; `compile` makes its steps, `levels` the lane programs of one loop.

mod compile;
mod levels;

use std::sync::Arc;

use super::domains::Search;
use super::tune::Fused;
use super::vector::{self, Vector};
use crate::base::Tensor;
use crate::ir::atom::{Eval, Reduce};
use crate::ir::{AtomRef, DomainId, Index, IndexId, InputId, Ir, NodeId};
use compile::Compiler;

/// Lanes of one block: instances of a domain evaluated by one instruction.
pub const LANES: usize = 256;

/// Where the value of a root node is kept.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct SlotId(pub u32);

/// A register of one level of a loop.
pub type Reg = u32;

/// Address of an array entry: `Σ stride·position(index) + offset`, plus computed positions times strides.
#[derive(Clone, Debug)]
pub struct Addr {
    /// Index and stride in entries.
    pub terms: Vec<(IndexId, i64)>,
    /// Constant part, in entries.
    pub offset: i64,
    /// Registers with computed positions: register, stride, length of the dimension.
    pub computed: Vec<(Reg, i64, usize)>,
    /// Entries of the array.
    pub len: usize,
    /// Number of columns, for arrays that turn out to be stored sparsely.
    pub cols: usize,
}

/// One instruction on a block of lanes.
#[derive(Clone)]
pub enum Instr {
    /// `dst = f(a)`.
    Op1 {
        atom: AtomRef,
        f: fn(&mut [f64], &[f64]),
        dst: Reg,
        a: Reg,
    },
    /// `dst = f(a, b)`.
    Op2 {
        atom: AtomRef,
        f: fn(&mut [f64], &[f64], &[f64]),
        dst: Reg,
        a: Reg,
        b: Reg,
    },
    /// `dst = f(a, b, c)`.
    Op3 {
        atom: AtomRef,
        f: fn(&mut [f64], &[f64], &[f64], &[f64]),
        dst: Reg,
        a: Reg,
        b: Reg,
        c: Reg,
    },
    /// A kernel with numbers among its operands, or one that stands for several rows.
    Fused { dst: Reg, op: Fused },
    /// Several operations in one pass.
    Vector(Box<Vector>),
    /// As `Load`, for kernels only: entries that lie side by side are read where they are.
    See { dst: Reg, slot: SlotId, addr: Addr },
    /// `dst = array[addr]`.
    Load { dst: Reg, slot: SlotId, addr: Addr },
    /// `dst = lo + position(index)`.
    IndexValue { dst: Reg, index: IndexId, lo: i64 },
    /// `dst = ` the enclosing level's register, repeated for each child instance.
    Repeat { dst: Reg, src: Reg },
    /// Runs a child level over the children of this block.
    Child { level: usize, folds: Vec<ChildFold> },
    /// Adds `src` into an output array.
    ScatterAdd { src: Reg, addr: Addr, out: usize },
    /// Writes `src` at the instance's own position of an output array.
    Store { src: Reg, out: usize },
    /// Reduces `src` into an output scalar.
    Total { src: Reg, out: usize },
    /// Appends `src` to an output list.
    Collect { src: Reg, out: usize },
    /// Collects the truth values of a filter.
    Keep { src: Reg },
}

/// A nested reduction: `dst` (in the parent's registers) is the reduction of the child's `body`.
#[derive(Clone)]
pub struct ChildFold {
    /// The kernel.
    pub reduce: Reduce,
    /// Register of the child level.
    pub body: Reg,
    /// Register of the parent level.
    pub dst: Reg,
}

/// A lane program over one domain, run inside its parent's.
#[derive(Clone)]
pub struct Level {
    /// The domain.
    pub domain: DomainId,
    /// Run over all tuples, ignoring the domain's own filter (used to evaluate that filter).
    pub unfiltered: bool,
    /// The enclosing level.
    pub parent: Option<usize>,
    /// Number of registers.
    pub regs: usize,
    /// Registers filled once with a literal.
    pub constants: Vec<(Reg, f64)>,
    /// Registers filled once per run with a root scalar.
    pub uniforms: Vec<(Reg, SlotId)>,
    /// Indices whose positions the program needs.
    pub indices: Vec<IndexId>,
    /// Are positions needed lane by lane even where they advance by one?
    pub positions: bool,
    /// The program.
    pub code: Vec<Instr>,
}

/// What a loop writes.
#[derive(Clone)]
pub enum OutKind {
    /// A scalar by reduction.
    Scalar(Reduce),
    /// An array, each entry written once.
    Map { len: usize },
    /// An array summed into.
    Scatter { len: usize },
    /// The values of all instances of a domain, in order.
    List,
}

/// An output of a loop.
#[derive(Clone)]
pub struct Out {
    /// Where it goes.
    pub slot: SlotId,
    /// How.
    pub kind: OutKind,
}

/// A loop over one outermost domain.
#[derive(Clone)]
pub struct Loop {
    /// Level 0 is the outermost.
    pub levels: Vec<Level>,
    /// What it writes.
    pub outs: Vec<Out>,
    /// Instructions per outermost instance, roughly (decides whether to run in parallel).
    pub cost: usize,
}

/// A step at the root.
#[derive(Clone)]
pub enum Step {
    /// A scalar atom on root scalars.
    Scalar { eval: Eval, args: Vec<SlotId>, out: SlotId },
    /// An array atom.
    Array {
        atom: AtomRef,
        args: Vec<SlotId>,
        out: SlotId,
    },
    /// The transpose of a matrix, kept as a view.
    Transpose { arg: SlotId, out: SlotId },
    /// One entry of an array; computed positions come from root scalars.
    Pick {
        array: SlotId,
        addr: Addr,
        computed: Vec<SlotId>,
        out: SlotId,
    },
    /// A loop.
    Loop(Box<Loop>),
    /// Evaluates a domain's filter and rebuilds its instances.
    BindDomain {
        domain: DomainId,
        /// What narrows its indices.
        search: Search,
        /// What is left to evaluate, one condition after the other, for the tuples that are left.
        filters: Vec<Loop>,
    },
}

impl Step {
    /// Its loops.
    pub fn loops_mut(&mut self) -> &mut [Loop] {
        match self {
            Step::Loop(l) => std::slice::from_mut(l),
            Step::BindDomain { filters, .. } => filters,
            _ => &mut [],
        }
    }
}

/// A step with what it depends on.
#[derive(Clone)]
pub struct Planned {
    /// The step.
    pub step: Step,
    /// Must it run again when only variables (or seeds) changed?
    pub dynamic: bool,
    /// The node (the first one, for a loop) it computes.
    pub node: NodeId,
}

/// What a domain looks like, copied from the IR.
#[derive(Clone, Debug)]
pub struct DomainShape {
    /// The enclosing domain.
    pub parent: Option<DomainId>,
    /// Its indices.
    pub indices: Vec<IndexId>,
    /// Lengths of their sets.
    pub lens: Vec<usize>,
    /// Is it filtered?
    pub filtered: bool,
}

/// What becomes of the rows of a loop.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Lanes {
    /// A call for each row.
    Plain,
    /// Calls of fused kernels.
    Fused,
    /// Machine code for runs of rows, fused kernels for the rest.
    Native,
}

impl Lanes {
    /// The fastest that this processor and system can run.
    pub fn best() -> Lanes {
        if vector::available() {
            Lanes::Native
        } else {
            Lanes::Fused
        }
    }
}

/// A compiled program: compute `outputs` from the inputs.
#[derive(Clone)]
pub struct Plan {
    /// Shapes by slot.
    pub shapes: Vec<Vec<usize>>,
    /// Slots preset with literals.
    pub literals: Vec<(SlotId, f64)>,
    /// Slots of inputs.
    pub inputs: Vec<(InputId, SlotId)>,
    /// Embedded data.
    pub data: Vec<(SlotId, Arc<Tensor>)>,
    /// Steps in order.
    pub steps: Vec<Planned>,
    /// Domains by id.
    pub domains: Vec<DomainShape>,
    /// Indices by id.
    pub indices: Vec<Index>,
    /// Slots of root nodes.
    pub nodes: Vec<(NodeId, SlotId)>,
    /// Slots of the outputs, in the order asked for.
    pub outputs: Vec<SlotId>,
    /// Slots of the lists, in the order asked for.
    pub lists: Vec<SlotId>,
}

impl Plan {
    /// Bytes of all array slots (dense upper bound for results; inputs are not counted).
    pub fn bytes(&self) -> usize {
        self.steps
            .iter()
            .map(|p| match &p.step {
                Step::Loop(l) => l
                    .outs
                    .iter()
                    .map(|o| match o.kind {
                        OutKind::Map { len } | OutKind::Scatter { len } => len.saturating_mul(8),
                        OutKind::Scalar(_) | OutKind::List => 8,
                    })
                    .fold(0usize, usize::saturating_add),
                Step::Array { out, .. } => self.shapes[out.0 as usize]
                    .iter()
                    .fold(8usize, |a, n| a.saturating_mul(*n)),
                _ => 8,
            })
            .fold(0usize, usize::saturating_add)
    }

    /// Compiles the nodes that `outputs` (root nodes) need.
    pub fn compile(ir: &Ir, outputs: &[NodeId]) -> Plan {
        Plan::compile_by(ir, outputs, Lanes::best())
    }

    /// As [`Plan::compile`], with instructions as told: the same bits for all of them.
    pub fn compile_by(ir: &Ir, outputs: &[NodeId], lanes: Lanes) -> Plan {
        Compiler::new(ir, lanes).run(outputs, &[])
    }

    /// Also lists a scalar at every instance of a domain (of that region or above), for each `(domain, scalar)`.
    pub fn compile_lists(ir: &Ir, outputs: &[NodeId], lists: &[(DomainId, NodeId)]) -> Plan {
        Compiler::new(ir, Lanes::best()).run(outputs, lists)
    }
}
