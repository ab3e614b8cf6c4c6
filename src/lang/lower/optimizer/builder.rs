//! Registers, pieces and names while a script is built.
//!
//! Invariant: a name's value is lowered with the names in force where it was written.

use std::sync::Arc;

use indexmap::IndexMap;

use super::super::{Arr, Entity, Local, Lower, Lowered, Names, Scope, Src, Val, err};
use super::{PartCall, PointBlock, Space};
use crate::base::value::{Elem, IndexSet};
use crate::base::{Code, Span, Tensor};
use crate::ir::script::{Ask, Commit, Guard, Op, Piece, Reg, Register, Sizes, StateSpec};
use crate::ir::{DomainId, Input, InputId, InputKind, Node, NodeId, Sign};
use crate::lang::syntax::OptimizerDecl;

/// A named value and the piece that computes it.
#[derive(Clone)]
pub struct Var {
    pub val: Val,
    pub piece: Option<usize>,
}

impl Var {
    /// A value that no piece computes: it stands in registers.
    pub fn free(val: Val) -> Var {
        Var { val, piece: None }
    }
}

/// A part: a transform or the optimizer, and its names.
pub struct Part {
    /// Its parameters.
    pub params: Scope,
    pub name: String,
    /// Those of its parameters that are schedules.
    pub schedules: Vec<String>,
    /// What it calls the number of the step.
    pub t: Option<String>,
    /// Where it is called.
    pub called: Span,
    /// Its names, while another part is lowered.
    kept: IndexMap<String, Var>,
}

/// A state of a part.
#[derive(Clone)]
pub struct State {
    pub part: usize,
    /// Its name in the part; `L@2` for the state of a block.
    pub key: String,
    /// Index in the script's states.
    pub at: usize,
    /// Its value at the start of the step; nothing for histories.
    pub start: Option<Val>,
    pub dims: Vec<IndexSet>,
}

pub struct Builder<'n> {
    pub l: Lower<'n>,
    pub blocks: &'n [PointBlock],
    pub find_sizes: &'n dyn Fn() -> Sizes,
    pub sizes_found: Option<Sizes>,
    pub regs: Vec<Register>,
    pub pieces: Vec<Piece>,
    /// Lists of operations under construction, innermost last.
    pub ops: Vec<Vec<Op>>,
    pub piece: Option<usize>,
    pub parts: Vec<Part>,
    /// The part that is being lowered.
    pub part: usize,
    /// The optimizer among the parts.
    pub main: usize,
    /// Names of the part: states, `x`, `u`, `let`s.
    pub vars: IndexMap<String, Var>,
    /// `x` and `answer`, which all parts share.
    pub x: Var,
    pub x_start: Val,
    pub t: Val,
    pub x_reg: Reg,
    pub t_reg: Reg,
    pub fmin: Option<Reg>,
    pub fmin_at: Option<Span>,
    pub terms: Option<Reg>,
    pub equations: Option<Reg>,
    pub over: Option<(IndexSet, Span)>,
    /// Counters of terms taken: where a step finds them, and where it leaves them.
    pub taken: Vec<(Reg, Reg)>,
    pub states: Vec<State>,
    pub specs: Vec<StateSpec>,
    pub init: Vec<Op>,
    pub first: Vec<Commit>,
    pub asks: Vec<(Ask, Span)>,
    /// What was asked where this list of operations is reached, by list: asked again, it is answered from here.
    pub known: Vec<Vec<(Ask, Vec<Reg>, Reg)>>,
    /// Is a record or a stop being lowered?
    pub looking: bool,
    /// Registers of answers that only those asked for.
    pub beside: Vec<Reg>,
    /// Registers that branches and loops write more than once.
    pub rewritten: Vec<Reg>,
    /// The last gradient that the optimizer asked for at every step.
    pub gradient: Option<Val>,
    pub samples: Option<Span>,
    pub guards: Vec<Guard>,
    pub records: Vec<(String, Reg)>,
    /// Registers that a step may not write, and what they begin each step with: no number for a record that was not
    /// reached, 0 for a stop.
    pub begins: Vec<(Reg, f64)>,
    pub stops: Vec<(Var, Span)>,
    pub restarts: Vec<Var>,
    pub answer: Option<usize>,
    pub draws: u64,
    /// Has some batch a size that the run finds?
    pub sizes_vary: bool,
    pub projects: bool,
    /// Lines with what they compute, as they are written.
    pub read: Vec<(Span, String)>,
    /// The line that changes each block last, as it is written.
    pub moves: Vec<Option<String>>,
    /// Transforms of the gradient.
    pub before: Vec<(usize, &'n OptimizerDecl)>,
    /// Blocks of the `each`es around the line that is lowered.
    pub each: Vec<Turn>,
    /// Blocks that the lines of this `each` run for.
    pub alike: usize,
    /// Sizes that the block of an `each` binds.
    pub sizes: Vec<(String, usize)>,
    pub point: IndexSet,
}

/// One turn of an `each`.
#[derive(Clone)]
pub struct Turn {
    /// What the block is called in its lines.
    pub name: String,
    pub block: usize,
    /// Its index sets as they are seen there.
    pub dims: Vec<IndexSet>,
}

impl<'n> Builder<'n> {
    pub fn new(names: &'n dyn Names, space: Space<'n>) -> Self {
        let blocks = space.blocks;
        let dim = blocks.iter().map(|b| b.len).sum();
        let mut l = Lower::new(names);
        let point = IndexSet::upto(dim);
        let (d, i) = l.ir.add_domain(DomainId::ROOT, [("i".to_string(), point.clone())]);
        l.shared = Some((point.clone(), d, i[0]));
        let none = Var::free(Val::Set(point.clone()));
        let mut b = Builder {
            l,
            blocks,
            find_sizes: space.sizes,
            sizes_found: None,
            regs: vec![],
            pieces: vec![],
            ops: vec![vec![]],
            piece: None,
            parts: vec![],
            part: 0,
            main: 0,
            vars: IndexMap::new(),
            x: none.clone(),
            x_start: none.val.clone(),
            t: none.val.clone(),
            x_reg: 0,
            t_reg: 0,
            fmin: None,
            fmin_at: None,
            terms: None,
            equations: None,
            over: None,
            taken: vec![],
            states: vec![],
            specs: vec![],
            init: vec![],
            first: vec![],
            asks: vec![],
            known: vec![vec![]],
            looking: false,
            beside: vec![],
            rewritten: vec![],
            gradient: None,
            samples: None,
            guards: vec![],
            records: vec![],
            begins: vec![],
            stops: vec![],
            restarts: vec![],
            answer: None,
            draws: 0,
            sizes_vary: false,
            projects: false,
            read: vec![],
            moves: vec![None; blocks.len()],
            before: vec![],
            each: vec![],
            alike: 0,
            sizes: vec![],
            point: point.clone(),
        };
        b.x_reg = b.register("x", vec![point]);
        b.x_start = b.read(b.x_reg, &[b.point.clone()]);
        b.x.val = b.x_start.clone();
        b.t_reg = b.register("t", vec![]);
        b.t = match b.read(b.t_reg, &[]) {
            Val::Num(n, _) => Val::Num(n, Elem::Int),
            v => v,
        };
        b
    }

    /// Adds a part with its parameters.
    pub fn part(&mut self, k: usize, p: &PartCall<'_>, scope: Scope) {
        let schedules = p.decl.params.iter().filter(|f| f.ty.name.text == "Schedule");
        debug_assert_eq!(k, self.parts.len());
        self.parts.push(Part {
            params: scope,
            name: p.decl.name.text.clone(),
            schedules: schedules.map(|f| f.name.text.clone()).collect(),
            t: p.decl.t.as_ref().map(|t| t.text.clone()),
            called: p.span,
            kept: IndexMap::new(),
        });
    }

    /// Takes up the names of a part.
    pub fn enter(&mut self, k: usize) {
        self.part = k;
        self.vars = std::mem::take(&mut self.parts[k].kept);
        self.vars.insert("x".into(), self.x.clone());
    }

    /// Lays the names of a part aside.
    pub fn leave(&mut self, k: usize) {
        if let Some(x) = self.vars.get("x") {
            self.x = x.clone();
        }
        self.parts[k].kept = std::mem::take(&mut self.vars);
    }

    /// The names of a part, whether it is being lowered or not.
    pub fn names_of(&self, part: usize) -> &IndexMap<String, Var> {
        if part == self.part && !self.vars.is_empty() {
            &self.vars
        } else {
            &self.parts[part].kept
        }
    }

    // ---- registers and pieces --------------------------------------------------------------------------------------

    pub fn register(&mut self, name: &str, dims: Vec<IndexSet>) -> Reg {
        let len = dims.iter().map(IndexSet::len).product();
        let input = self.l.ir.add_input(Input {
            name: name.into(),
            kind: InputKind::Var,
            dims,
            sparse: false,
            sign: Sign::Unknown,
        });
        self.regs.push(Register { len, input });
        self.regs.len() - 1
    }

    /// The value in a register.
    pub fn read(&mut self, r: Reg, dims: &[IndexSet]) -> Val {
        let n = self.l.ir.read(self.regs[r].input);
        if dims.is_empty() {
            Val::Num(n, Elem::Real)
        } else {
            Val::Arr(self.l.node_arr(n, dims.to_vec()))
        }
    }

    /// The value in a register that holds what another value is.
    pub fn read_as(&mut self, r: Reg, like: &Val) -> Val {
        let mut out = self.read(r, like.dims());
        match (&mut out, like) {
            (Val::Arr(a), Val::Arr(b)) => {
                a.covector = b.covector;
                a.elem = b.elem;
            }
            (Val::Num(_, e), Val::Num(_, k)) => *e = *k,
            _ => {}
        }
        out
    }

    /// The register that a value stands in, if it is nothing else.
    pub fn alias(&self, v: &Val) -> Option<Reg> {
        let n = match v {
            Val::Num(n, _) => *n,
            Val::Arr(Arr { src: Src::Node(n), .. }) => *n,
            _ => return None,
        };
        match self.l.ir.node(n) {
            Node::Input(i) => self.regs.iter().position(|r| r.input == *i),
            _ => None,
        }
    }

    pub fn push(&mut self, op: Op) {
        self.piece = None;
        if let Some(list) = self.ops.last_mut() {
            list.push(op);
        }
    }

    /// Opens a list of operations.
    pub fn open(&mut self) {
        self.piece = None;
        self.ops.push(vec![]);
        self.known.push(vec![]);
    }

    /// Ends a list of operations.
    pub fn close(&mut self) -> Vec<Op> {
        self.piece = None;
        self.known.pop();
        self.ops.pop().unwrap_or_default()
    }

    /// The piece that is open here.
    pub fn current(&mut self) -> usize {
        if let Some(p) = self.piece {
            return p;
        }
        self.pieces.push(Piece::default());
        let p = self.pieces.len() - 1;
        if let Some(list) = self.ops.last_mut() {
            list.push(Op::Eval(p));
        }
        self.piece = Some(p);
        p
    }

    /// Does a word of steps have its own meaning here, not that of a parameter or a state?
    pub fn is_own(&self, name: &str) -> bool {
        !self.vars.contains_key(name) && self.parts[self.part].params.get(name).is_none()
    }

    /// The size that the optimizer's own arguments or a set of the session give a name.
    pub fn size_given(&self, name: &str) -> Option<usize> {
        match self.parts[self.part].params.get(name) {
            Some(Local::Size(n)) => Some(n),
            Some(Local::Dims(set)) => Some(set.len()),
            Some(Local::Val(Val::Num(n, _))) => self.l.ir.as_const(n).map(|v| v as usize),
            Some(_) => None,
            None => self.session_set(name).map(|s| s.len()),
        }
    }

    /// The session's set of a name, for what is not the library's.
    pub fn session_set(&self, name: &str) -> Option<IndexSet> {
        match self.l.lookup(name) {
            Some(Entity::Set(set)) if !self.parts[self.part].params.library => Some(set),
            _ => None,
        }
    }

    fn node_of(&mut self, v: &Val, span: Span) -> Lowered<Option<(NodeId, Vec<IndexSet>)>> {
        Ok(match v {
            Val::Num(n, _) => Some((*n, vec![])),
            Val::Arr(a) => {
                let n = self.l.in_region(DomainId::ROOT, |l| l.whole(a, span))?;
                Some((n, a.dims.clone()))
            }
            _ => None,
        })
    }

    /// The value as later pieces see it.
    pub fn settled(&mut self, v: &Var, span: Span) -> Lowered<Val> {
        let Some(piece) = v.piece.filter(|p| Some(*p) != self.piece) else {
            return Ok(v.val.clone());
        };
        let Some((n, dims)) = self.node_of(&v.val, span)? else {
            return Ok(v.val.clone());
        };
        if matches!(self.l.ir.node(n), Node::Const(_) | Node::Input(_)) {
            return Ok(v.val.clone());
        }
        let known = self.given_in(piece, n);
        let r = match known {
            Some(r) => r,
            None => {
                let r = self.register("value", dims.clone());
                self.pieces[piece].outputs.push((n, r));
                r
            }
        };
        Ok(self.read_as(r, &v.val))
    }

    /// The register that a piece leaves a node in; not one that is written again later.
    fn given_in(&self, piece: usize, n: NodeId) -> Option<Reg> {
        let mut of = self.pieces[piece].outputs.iter();
        of.find(|(m, r)| *m == n && !self.rewritten.contains(r)).map(|o| o.1)
    }

    /// A register with the value, for an operation that comes next.
    pub fn reg_of(&mut self, v: &Var, span: Span) -> Lowered<Reg> {
        let v = Var::free(self.settled(v, span)?);
        if let Some(r) = self.alias(&v.val) {
            return Ok(r);
        }
        let Some((n, dims)) = self.node_of(&v.val, span)? else {
            return Err(err(Code::WrongType, "a number or an array is expected")
                .at(span, "here")
                .into());
        };
        if let Some(r) = self.alias(&Val::Num(n, Elem::Real)) {
            return Ok(r);
        }
        let p = self.current();
        if let Some(r) = self.given_in(p, n) {
            return Ok(r);
        }
        let r = self.register("value", dims);
        self.pieces[p].outputs.push((n, r));
        Ok(r)
    }

    /// Writes a value into a register that branches and loops share.
    pub fn write(&mut self, v: &Var, to: Reg, span: Span) -> Lowered<()> {
        let here = v.piece.is_none() || v.piece == self.piece;
        let val = self.settled(v, span)?;
        if let Some(r) = self.alias(&val) {
            if r != to {
                self.push(Op::Copy { from: r, to });
            }
            return Ok(());
        }
        if here && let Some((n, _)) = self.node_of(&val, span)? {
            let p = self.current();
            if self.given_in(p, n).is_none() {
                self.pieces[p].outputs.push((n, to));
                return Ok(());
            }
        }
        let r = self.reg_of(v, span)?;
        self.push(Op::Copy { from: r, to });
        Ok(())
    }

    /// Values of the session that the pieces read.
    pub fn params(&self) -> Vec<(InputId, Arc<Tensor>)> {
        self.l
            .params
            .iter()
            .filter_map(|(n, i)| match self.l.lookup(n) {
                Some(Entity::Param(p)) => Some((*i, p.tensor)),
                _ => None,
            })
            .collect()
    }
}
