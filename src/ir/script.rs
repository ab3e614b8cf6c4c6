//! The step of a method as a program: pieces of IR between what it asks of a problem, and the order they run in.
//!
//! Invariant: a register is written once in a step (those of branches and loops once in each turn), so that a piece of
//! IR may read any register written before it.

use std::sync::Arc;

use super::{InputId, Ir, NodeId};
use crate::base::value::IndexSet;
use crate::base::{Span, Tensor};

/// A place for a number or an array while a step runs.
pub type Reg = usize;

/// A register and the input of the IR that reads it.
#[derive(Clone, Debug)]
pub struct Register {
    /// Entries; 1 for numbers.
    pub len: usize,
    /// Its input.
    pub input: InputId,
}

/// What a state holds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum StateKind {
    /// A number.
    Number,
    /// An array of so many entries.
    Array(usize),
    /// So many arrays of so many entries.
    History(usize, usize),
    /// Arrays of so many entries by number: as many as said, or one for each term of the problem's sum.
    Table(Option<usize>, usize),
}

/// A named value that is kept from step to step.
#[derive(Clone, Debug)]
pub struct StateSpec {
    /// Its name.
    pub name: String,
    /// What it holds.
    pub kind: StateKind,
    /// Its index sets; of a history or a table those of one entry.
    pub dims: Vec<IndexSet>,
    /// Where its value stands at the start of a step; not used by histories. That of a table changes in place when the step
    /// has ended well.
    pub reg: Reg,
}

/// What is asked of the problem.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Ask {
    /// The objective at a point.
    Value,
    /// The objective at a point, infinite where it has no finite value.
    Trial,
    /// Its gradient.
    Gradient,
    /// The same for a saddle point only: turned in the variables that are maximized over.
    Operator,
    /// The point of the feasible set where a linear function is least.
    LinearMinimum,
    /// The corner where it is largest, among those that a point is made of.
    Away,
    /// How far the feasible set reaches from a point along a direction.
    Reach,
    /// A product of its Hessian.
    Product,
    /// Its Hessian as a dense matrix.
    Hessian,
    /// The diagonal of its Hessian.
    Diagonal,
    /// The smooth part of the objective, which `grad` is the gradient of where `prox` is asked for too.
    Smooth,
    /// The proximal point of its simple part.
    Prox,
    /// The nearest point that satisfies the constraints.
    Project,
    /// A vector of the point.
    Vector(Of),
    /// Its Jacobian as a dense matrix.
    Jacobian(Of),
    /// The Jacobian times a point.
    Along(Of),
    /// The transposed Jacobian times a vector of rows.
    Against(Of),
    /// The gradients of all terms of the objective's sum, one row each.
    Gradients,
}

/// What is a vector of the point.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Of {
    /// The constraints: at most 0 where an inequality holds, 0 where an equation does.
    Constraints,
    /// What the objective is the sum of squares of.
    Residuals,
}

impl Of {
    /// As programs name it.
    pub fn word(self) -> &'static str {
        match self {
            Of::Constraints => "constraints",
            Of::Residuals => "residuals",
        }
    }
}

impl Ask {
    /// As programs ask for it.
    pub fn word(self) -> &'static str {
        match self {
            Ask::Value => "value",
            Ask::Trial => "trial",
            Ask::Gradient => "grad",
            Ask::Operator => "operator",
            Ask::LinearMinimum => "lmo",
            Ask::Away => "away",
            Ask::Reach => "reach",
            Ask::Product => "hvp",
            Ask::Hessian | Ask::Diagonal => "hessian",
            Ask::Smooth => "smooth",
            Ask::Prox => "prox",
            Ask::Project => "project",
            Ask::Vector(of) => of.word(),
            Ask::Jacobian(_) => "jacobian",
            Ask::Along(_) => "jvp",
            Ask::Against(_) => "vjp",
            Ask::Gradients => "grads",
        }
    }
}

/// How long the vectors are, where a problem has them; a sentence says why it has not.
#[derive(Clone, Debug)]
pub struct Sizes {
    /// Names of the constraints, and rows of each.
    pub constraints: Result<Vec<(String, usize)>, String>,
    /// Number of residuals.
    pub residuals: Result<usize, String>,
    /// Number of terms that have a gradient of their own.
    pub terms: Option<usize>,
}

/// Distributions that are drawn from.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Law {
    /// Standard normal.
    Normal,
    /// −1 or 1.
    Rademacher,
    /// Between 0 and 1.
    Uniform,
    /// An order of `1..n`.
    Permutation,
    /// A mini-batch: zero-based positions, one entry for each, drawn with replacement.
    Batch,
    /// The same, each term once before any comes again, in an order drawn anew each time round.
    Shuffled,
}

/// One operation of a step.
#[derive(Clone, Debug)]
pub enum Op {
    /// Evaluates a piece.
    Eval(usize),
    /// Asks the problem; `args` are the point and what else it takes.
    Ask {
        /// What for.
        what: Ask,
        /// Registers it is asked with.
        args: Vec<Reg>,
        /// Indices of a mini-batch.
        batch: Option<Reg>,
        /// For a gradient: where the objective at the same point goes, asked together.
        value: Option<Reg>,
        /// Where the answer goes.
        out: Reg,
        /// Where it is asked.
        span: Span,
    },
    /// Random numbers.
    Draw {
        /// Which.
        law: Law,
        /// Which place of the program draws; orders of [`Law::Shuffled`] are its own.
        site: u64,
        /// For [`Law::Shuffled`]: how many terms were taken so far, counted on here.
        taken: Option<Reg>,
        /// For a mini-batch whose size the run finds: the register with it, and how it is written.
        size: Option<(Reg, String)>,
        /// Where they go.
        out: Reg,
        /// Where it is drawn.
        span: Span,
    },
    /// Copies a register.
    Copy {
        /// From.
        from: Reg,
        /// To.
        to: Reg,
    },
    /// Part of an array.
    Slice {
        /// From.
        from: Reg,
        /// First entry.
        offset: usize,
        /// To, all of it.
        to: Reg,
    },
    /// Overwrites part of an array.
    Splice {
        /// From, all of it.
        from: Reg,
        /// First entry that is overwritten.
        offset: usize,
        /// To.
        to: Reg,
    },
    /// Reads a history, 1 for the newest.
    Recall {
        /// Which state.
        state: usize,
        /// Register with the number.
        which: Reg,
        /// To.
        to: Reg,
        /// Where it is read.
        span: Span,
    },
    /// Number of values in a history.
    Recalled {
        /// Which state.
        state: usize,
        /// To.
        to: Reg,
    },
    /// Fills a table with one value.
    Tabulate {
        /// Which state.
        state: usize,
        /// From.
        from: Reg,
    },
    /// Reads an entry of a table.
    Lookup {
        /// Which state.
        state: usize,
        /// Register with its position from 0.
        which: Reg,
        /// To.
        to: Reg,
        /// Where it is read.
        span: Span,
    },
    /// Changes an entry of a table, for later lines at once and for later steps when this one has ended well.
    Enter {
        /// Which state.
        state: usize,
        /// Register with its position from 0.
        which: Reg,
        /// From.
        from: Reg,
        /// Where it is changed.
        span: Span,
    },
    /// Adds to a history at the end of the step.
    Push {
        /// Which state.
        state: usize,
        /// From.
        from: Reg,
    },
    /// A branch.
    If {
        /// Register with the truth value.
        condition: Reg,
        /// Where it holds.
        then: Vec<Op>,
        /// Elsewhere.
        otherwise: Vec<Op>,
    },
    /// A loop.
    While {
        /// Computes the truth value.
        before: Vec<Op>,
        /// Register with the truth value.
        condition: Reg,
        /// What is repeated.
        body: Vec<Op>,
        /// The head of the loop, as it is written.
        text: String,
        /// The line.
        span: Span,
    },
    /// Ends the run before this step where the condition holds.
    Fail {
        /// Register with the truth value.
        condition: Reg,
        /// Why the step cannot be taken.
        why: String,
    },
    /// A counted loop.
    For {
        /// Register of the first number.
        lo: Reg,
        /// Register of the last number.
        hi: Reg,
        /// Register of the counter.
        counter: Reg,
        /// What is repeated.
        body: Vec<Op>,
        /// The head of the loop, as it is written.
        text: String,
        /// The line.
        span: Span,
    },
}

/// A piece of IR between two other operations.
#[derive(Clone, Debug, Default)]
pub struct Piece {
    /// What it computes, and where to.
    pub outputs: Vec<(NodeId, Reg)>,
}

/// A value that has to be a usable step length.
#[derive(Clone, Debug)]
pub struct Guard {
    /// Its register.
    pub reg: Reg,
    /// What it is, in the program's words.
    pub what: String,
    /// Where it is used.
    pub span: Span,
}

/// How a state or the point gets its value at the end of a step.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Commit {
    /// The register at the start of the next step.
    pub to: Reg,
    /// Where the new value stands.
    pub from: Reg,
}

/// States that keep the last gradient.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Known {
    /// Where it was.
    pub point: Reg,
    /// What it was.
    pub gradient: Reg,
    /// The objective there.
    pub value: Reg,
    /// 0 for nothing, 1 for the gradient, 2 for both.
    pub what: Reg,
}

/// A compiled optimizer with its transforms, for a point of a certain size.
#[derive(Clone, Debug)]
pub struct Script {
    /// Its name, with the transforms.
    pub name: String,
    /// Coordinates of the point.
    pub dim: usize,
    /// All pieces.
    pub ir: Ir,
    /// Values of parameters of the session that pieces read.
    pub params: Vec<(InputId, Arc<Tensor>)>,
    /// Registers.
    pub regs: Vec<Register>,
    /// Pieces.
    pub pieces: Vec<Piece>,
    /// Register of the point.
    pub x: Reg,
    /// Register of the step's number.
    pub t: Reg,
    /// Register of the known lower bound of the objective, if the step asks for it.
    pub fmin: Option<Reg>,
    /// Register of the number of terms of the problem's sum, if the step asks for it.
    pub terms: Option<Reg>,
    /// Register that says which rows of the constraints are equations, if the step asks for it.
    pub equations: Option<Reg>,
    /// The state that says after which step all states began anew, if the step asks for that.
    pub since: Option<Reg>,
    /// Where the last gradient is kept, if a step may ask for it where another has asked.
    pub known: Option<Known>,
    /// The set whose sum is sampled, where the program says which.
    pub over: Option<(IndexSet, Span)>,
    /// Register of the size of the move, written at the end of the step.
    pub change: Reg,
    /// States.
    pub states: Vec<StateSpec>,
    /// Computes the states from the point.
    pub init: Vec<Op>,
    /// Where `init` leaves each state that is no history.
    pub first: Vec<Commit>,
    /// The step.
    pub step: Vec<Op>,
    /// How point and states are taken over.
    pub commits: Vec<Commit>,
    /// Columns of the trace and their registers.
    pub records: Vec<(String, Reg)>,
    /// Step lengths that are checked.
    pub guards: Vec<Guard>,
    /// Truth values that end the run.
    pub stops: Vec<(Reg, Span)>,
    /// Truth values that start the states anew.
    pub restarts: Vec<Reg>,
    /// The point that is handed out, where it is not the point itself: a state.
    pub answer: Option<usize>,
    /// Registers of answers that only a record or a stop looks at.
    pub beside: Vec<Reg>,
    /// What it asks for, each with a place.
    pub asks: Vec<(Ask, Span)>,
    /// Place of a mini-batch, if it draws one.
    pub samples: Option<Span>,
    /// Has some mini-batch a size that the run finds?
    pub sizes_vary: bool,
    /// Place where the known lower bound is used.
    pub fmin_at: Option<Span>,
    /// Lines of the definitions with what they compute, as they are written.
    pub lines: Vec<(Span, String)>,
    /// For each variable the line of the definition that changes it; nothing where none does.
    pub moves: Vec<Option<String>>,
    /// Variables of the problem: name, index sets, first coordinate.
    pub blocks: Vec<(String, Vec<IndexSet>, usize)>,
    /// Leaves a point that satisfies simple constraints?
    pub projects: bool,
}

impl Script {
    /// A coordinate in the user's names.
    pub fn coordinate(&self, k: usize) -> String {
        let Some((name, dims, first)) = self.blocks.iter().rev().find(|b| b.2 <= k) else {
            return format!("coordinate {}", k + 1);
        };
        let mut rest = k - first;
        let mut key = vec![];
        for s in dims.iter().rev() {
            key.push(s.element(rest % s.len().max(1)));
            rest /= s.len().max(1);
        }
        key.reverse();
        if key.is_empty() {
            name.clone()
        } else {
            format!("{name}[{}]", key.join(", "))
        }
    }

    /// The line that changes a coordinate; of none, the first that changes any.
    pub fn moved_by(&self, k: Option<usize>) -> &str {
        let block = k.and_then(|k| self.blocks.iter().rposition(|b| b.2 <= k));
        let own = block.and_then(|b| self.moves.get(b)?.as_deref());
        own.or_else(|| self.moves.iter().flatten().next().map(String::as_str))
            .unwrap_or_default()
    }

    /// Variables that no line changes, where points are not made otherwise.
    pub fn frozen(&self) -> Vec<&str> {
        if self.answer.is_some() && self.moves.iter().all(Option::is_none) {
            return vec![];
        }
        let none = self.blocks.iter().zip(&self.moves).filter(|(_, m)| m.is_none());
        none.map(|(b, _)| b.0.as_str()).collect()
    }

    /// A script for no coordinate at all: no problem is small enough for it.
    pub fn empty() -> Script {
        let mut ir = Ir::new();
        let mut register = |name: &str, len: usize| {
            let dims = if len == 1 { vec![] } else { vec![IndexSet::upto(len)] };
            let input = ir.add_input(super::Input {
                name: name.into(),
                kind: super::InputKind::Var,
                dims,
                sparse: false,
                sign: super::Sign::Unknown,
            });
            Register { len, input }
        };
        let regs = vec![register("x", 0), register("t", 1), register("change", 1)];
        Script {
            name: String::new(),
            dim: 0,
            ir,
            params: vec![],
            regs,
            pieces: vec![],
            x: 0,
            t: 1,
            fmin: None,
            terms: None,
            equations: None,
            since: None,
            known: None,
            over: None,
            change: 2,
            states: vec![],
            init: vec![],
            first: vec![],
            step: vec![],
            commits: vec![],
            records: vec![],
            guards: vec![],
            stops: vec![],
            restarts: vec![],
            answer: None,
            beside: vec![],
            asks: vec![],
            samples: None,
            sizes_vary: false,
            fmin_at: None,
            lines: vec![],
            moves: vec![],
            blocks: vec![],
            projects: false,
        }
    }
}
