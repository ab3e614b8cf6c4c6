//! Registers, pieces and names while a script is built.
//!
//! Invariant: a name's value is lowered with the names in force where it was written.

use std::rc::Rc;
use std::sync::Arc;

use indexmap::IndexMap;

use super::super::{Arr, Entity, Local, Lower, Lowered, Names, Scope, Src, Val, err};
use super::{PartCall, PointBlock, Space};
use crate::base::value::{Elem, IndexSet};
use crate::base::{Code, Span};
use crate::ir::script::{Ask, Commit, Guard, Of, Op, Piece, Reg, Register, Sizes, StateKind, StateSpec};
use crate::ir::{DomainId, Input, InputKind, Node, NodeId, Pos, Sign};
use crate::lang::syntax::{Expr, ExprKind, Ident, OptimizerDecl};

/// A named value and the piece that computes it.
#[derive(Clone)]
pub struct Var {
    pub val: Val,
    pub piece: Option<usize>,
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
    find_sizes: &'n dyn Fn() -> Sizes,
    sizes_found: Option<Sizes>,
    pub regs: Vec<Register>,
    pub pieces: Vec<Piece>,
    /// Lists of operations under construction, innermost last.
    pub ops: Vec<Vec<Op>>,
    pub piece: Option<usize>,
    /// Scopes of the parts: their parameters.
    scopes: Vec<(Scope, String, Vec<String>, Option<String>)>,
    /// Where each part is called.
    calls: Vec<Span>,
    pub part: usize,
    /// The optimizer among the parts.
    pub main: usize,
    /// Names of the part: states, `x`, `u`, `let`s.
    pub vars: IndexMap<String, Var>,
    /// Names of the parts that are not being lowered.
    kept: Vec<IndexMap<String, Var>>,
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
    known: Vec<Vec<(Ask, Vec<Reg>, Reg)>>,
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
    /// Registers that a step may not write: what a record has that was not reached.
    pub gaps: Vec<Reg>,
    pub stops: Vec<(Var, Span)>,
    pub restarts: Vec<Var>,
    pub answer: Option<usize>,
    pub draws: u64,
    pub projects: bool,
    /// Lines with what they compute, as they are written.
    pub read: Vec<(Span, String)>,
    /// The line that changes each block last, as it is written.
    pub moves: Vec<Option<String>>,
    /// Transforms of the gradient.
    pub before: Vec<(usize, &'n OptimizerDecl)>,
    /// The block of an `each` and its name.
    pub each: Vec<(String, usize)>,
    /// Blocks that the lines of this `each` run for.
    pub alike: usize,
    /// Sizes that the block of an `each` binds.
    pub sizes: Vec<(String, usize)>,
    pub point: IndexSet,
}

impl<'n> Builder<'n> {
    pub fn new(names: &'n dyn Names, space: Space<'n>) -> Self {
        let blocks = space.blocks;
        let dim = blocks.iter().map(|b| b.len).sum();
        let mut l = Lower::new(names);
        let point = IndexSet::upto(dim);
        let (d, i) = l.ir.add_domain(DomainId::ROOT, [("i".to_string(), point.clone())]);
        l.shared = Some((point.clone(), d, i[0]));
        let none = Var {
            val: Val::Set(point.clone()),
            piece: None,
        };
        let mut b = Builder {
            l,
            blocks,
            find_sizes: space.sizes,
            sizes_found: None,
            regs: vec![],
            pieces: vec![],
            ops: vec![vec![]],
            piece: None,
            scopes: vec![],
            calls: vec![],
            part: 0,
            main: 0,
            vars: IndexMap::new(),
            kept: vec![],
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
            gaps: vec![],
            stops: vec![],
            restarts: vec![],
            answer: None,
            draws: 0,
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
        let schedules = p
            .decl
            .params
            .iter()
            .filter(|f| f.ty.name.text == "Schedule")
            .map(|f| f.name.text.clone())
            .collect();
        debug_assert_eq!(k, self.scopes.len());
        let t = p.decl.t.as_ref().map(|t| t.text.clone());
        self.scopes.push((scope, p.decl.name.text.clone(), schedules, t));
        self.calls.push(p.span);
        self.kept.push(IndexMap::new());
    }

    /// Takes up the names of a part.
    pub fn enter(&mut self, k: usize) {
        self.part = k;
        self.vars = std::mem::take(&mut self.kept[k]);
        self.vars.insert("x".into(), self.x.clone());
    }

    /// Lays the names of a part aside.
    pub fn leave(&mut self, k: usize) {
        if let Some(x) = self.vars.get("x") {
            self.x = x.clone();
        }
        self.kept[k] = std::mem::take(&mut self.vars);
    }

    /// The names of a part, whether it is being lowered or not.
    pub fn names_of(&self, part: usize) -> &IndexMap<String, Var> {
        if part == self.part && !self.vars.is_empty() {
            &self.vars
        } else {
            &self.kept[part]
        }
    }

    /// Number of parts.
    pub fn parts(&self) -> usize {
        self.scopes.len()
    }

    pub fn part_name(&self, part: usize) -> &str {
        &self.scopes[part].1
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

    /// The register of an answer that was already given in this step.
    pub fn answered(&mut self, what: Ask, args: &[Reg]) -> Option<Reg> {
        if args.iter().any(|r| self.rewritten.contains(r)) {
            return None;
        }
        let all = self.known.iter().flatten();
        all.rev().find(|(w, a, _)| *w == what && a == args).map(|k| k.2)
    }

    /// Keeps an answer for the rest of this list of operations.
    pub fn keep(&mut self, what: Ask, args: &[Reg], out: Reg) {
        if let Some(list) = self.known.last_mut() {
            list.push((what, args.to_vec(), out));
        }
    }

    /// The least value of the objective as the problem knows it.
    pub fn known_minimum(&mut self, at: Span) -> Val {
        let r = match self.fmin {
            Some(r) => r,
            None => {
                let r = self.register("fmin", vec![]);
                self.fmin = Some(r);
                self.fmin_at = Some(at);
                r
            }
        };
        self.read(r, &[])
    }

    /// The number of terms of the problem's sum.
    pub fn term_count(&mut self, at: Span) -> Val {
        self.samples.get_or_insert(at);
        let r = match self.terms {
            Some(r) => r,
            None => {
                let r = self.register("terms", vec![]);
                self.terms = Some(r);
                r
            }
        };
        match self.read(r, &[]) {
            Val::Num(n, _) => Val::Num(n, Elem::Int),
            v => v,
        }
    }

    /// How long what else a problem has is.
    fn sizes(&mut self) -> &Sizes {
        let find = self.find_sizes;
        self.sizes_found.get_or_insert_with(find)
    }

    /// Rows of constraints or residuals, where the problem has them.
    pub fn rows_of(&mut self, of: Of, at: Span) -> Lowered<IndexSet> {
        let sizes = self.sizes();
        let n = match of {
            Of::Constraints => sizes.constraints.as_ref().map(|c| c.iter().map(|c| c.1).sum()),
            Of::Residuals => sizes.residuals.as_ref().copied(),
        };
        match n.map_err(String::clone) {
            Ok(n) => Ok(IndexSet::upto(n)),
            Err(why) => {
                let name = self.part_name(self.part);
                let d = err(
                    Code::OracleMissing,
                    format!(
                        "`{name}` asks for {}, which the problem does not answer: {why}",
                        of.word()
                    ),
                );
                Err(d
                    .at(at, "asked for here")
                    .help(match of {
                        Of::Constraints => "a problem with rows under `subject to` answers",
                        Of::Residuals => "an objective that is a sum of squares answers, such as `sumsq(A*x - b)` or `sum(i in S) r(i)^2`",
                    })
                    .into())
            }
        }
    }

    /// Terms of the problem's sum, where it has one.
    pub fn term_rows(&mut self, at: Span) -> Lowered<IndexSet> {
        if let Some((set, _)) = &self.over {
            return Ok(IndexSet::upto(set.len()));
        }
        match self.sizes().terms {
            Some(n) => Ok(IndexSet::upto(n)),
            None => {
                let name = self.part_name(self.part);
                let what = format!("`{name}` asks for the gradients of all terms, which the problem does not answer");
                Err(err(Code::OracleMissing, what)
                    .at(at, "asked for here")
                    .help("a finite sum answers them: an objective `mean(k in tasks) …` or `sum(k in tasks) …`")
                    .into())
            }
        }
    }

    /// 1 for the rows of the constraints that are equations, 0 for the others.
    fn which_equations(&mut self, at: Span) -> Lowered<Val> {
        let dims = vec![self.rows_of(Of::Constraints, at)?];
        let r = match self.equations {
            Some(r) => r,
            None => {
                let r = self.register("equations", dims.clone());
                self.equations = Some(r);
                // Answering it takes the same programs.
                let asked = Ask::Vector(Of::Constraints);
                if !self.asks.iter().any(|a| a.0 == asked) {
                    self.asks.push((asked, at));
                }
                r
            }
        };
        Ok(self.read(r, &dims))
    }

    /// The rows that belong to a constraint, of a vector of all rows.
    fn rows_named(&mut self, v: Val, name: &Ident) -> Lowered<Option<Val>> {
        let Ok(names) = self.sizes().constraints.clone() else {
            return Ok(None);
        };
        let Some(k) = names.iter().position(|c| c.0 == name.text) else {
            return Ok(None);
        };
        let offset: usize = names[..k].iter().map(|c| c.1).sum();
        let all = self.rows_of(Of::Constraints, name.span)?;
        if v.dims() != [all] {
            return Ok(None);
        }
        let from = self.reg_of(
            &Var {
                val: v,
                piece: self.piece,
            },
            name.span,
        )?;
        let dims = vec![IndexSet::upto(names[k].1)];
        let to = self.register(&name.text, dims.clone());
        self.push(Op::Slice { from, offset, to });
        Ok(Some(self.read(to, &dims)))
    }

    /// Does a word of steps have its own meaning here, not that of a parameter or a state?
    pub fn is_own(&self, name: &str) -> bool {
        !self.vars.contains_key(name) && self.scopes[self.part].0.get(name).is_none()
    }

    /// The size that the optimizer's own arguments or a set of the session give a name.
    pub fn size_given(&self, name: &str) -> Option<usize> {
        match self.scopes[self.part].0.get(name) {
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
            Some(Entity::Set(set)) if !self.scopes[self.part].0.library => Some(set),
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
        let mut out = self.read(r, &dims);
        match (&mut out, &v.val) {
            (Val::Arr(a), Val::Arr(b)) => {
                a.covector = b.covector;
                a.elem = b.elem;
            }
            (Val::Num(_, e), Val::Num(_, k)) => *e = *k,
            _ => {}
        }
        Ok(out)
    }

    /// The register that a piece leaves a node in; not one that is written again later.
    fn given_in(&self, piece: usize, n: NodeId) -> Option<Reg> {
        let mut of = self.pieces[piece].outputs.iter();
        of.find(|(m, r)| *m == n && !self.rewritten.contains(r)).map(|o| o.1)
    }

    /// A register with the value, for an operation that comes next.
    pub fn reg_of(&mut self, v: &Var, span: Span) -> Lowered<Reg> {
        let v = Var {
            val: self.settled(v, span)?,
            piece: None,
        };
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

    // ---- expressions -----------------------------------------------------------------------------------------------

    /// Lowers an expression: first what it asks for, then the rest in the piece that is open then.
    pub fn expr(&mut self, e: &Expr) -> Lowered<Var> {
        self.ask_all(e)?;
        let v = self.plain(e)?;
        self.l.answered.clear();
        Ok(v)
    }

    /// Lowers an expression whose questions are answered.
    pub fn plain(&mut self, e: &Expr) -> Lowered<Var> {
        let mut names = vec![];
        collect(e, &mut names);
        let mut scope = self.scopes[self.part].0.clone();
        if let Some(t) = self.scopes[self.part].3.clone() {
            scope = scope.with(&t, Local::Val(self.t.clone()));
        }
        if names.iter().any(|(n, _)| n == "fmin") && !self.vars.contains_key("fmin") && scope.get("fmin").is_none() {
            let at = names.iter().find(|(n, _)| n == "fmin").map_or(e.span, |n| n.1);
            let v = self.known_minimum(at);
            scope = scope.with("fmin", Local::Val(v));
        }
        if let Some((_, at)) = names.iter().find(|(n, _)| n == "terms")
            && self.is_own("terms")
        {
            let at = *at;
            let v = self.term_count(at);
            scope = scope.with("terms", Local::Val(v));
        }
        if let Some((_, at)) = names.iter().find(|(n, _)| n == "equations")
            && self.is_own("equations")
        {
            let v = self.which_equations(*at)?;
            scope = scope.with("equations", Local::Val(v));
        }
        if self.is_own("point") {
            scope = scope.with("point", Local::Dims(self.point.clone()));
        }
        for (name, _) in &names {
            if let Some(var) = self.vars.get(name).cloned() {
                let val = self.settled(&var, e.span)?;
                if let Some(v) = self.vars.get_mut(name)
                    && v.piece != self.piece
                {
                    *v = Var {
                        val: val.clone(),
                        piece: None,
                    };
                }
                scope = scope.with(name, Local::Val(val));
            }
        }
        for (s, n) in &self.sizes {
            scope = scope.with(s, Local::Size(*n));
        }
        let val = self.l.with_scope(scope, |l| l.expr(e))?;
        let piece = self.current();
        Ok(Var {
            val: super::remembered(val),
            piece: Some(piece),
        })
    }

    /// Asks for everything that an expression asks for, innermost first.
    pub fn ask_all(&mut self, e: &Expr) -> Lowered<()> {
        if matches!(
            e.kind,
            ExprKind::Comprehension { .. } | ExprKind::ArrayComprehension { .. } | ExprKind::Lambda { .. }
        ) {
            return Ok(());
        }
        let mut children: Vec<&Expr> = vec![];
        e.for_each_child(&mut |c| children.push(c));
        for c in children {
            self.ask_all(c)?;
        }
        match &e.kind {
            ExprKind::Call { callee, args } => {
                let Some(name) = callee.as_name() else { return Ok(()) };
                if self.vars.contains_key(name) {
                    return Ok(());
                }
                let v = match name {
                    "value" | "trial" | "smooth" | "grad" | "operator" | "lmo" | "away" | "reach" | "hvp"
                    | "hessian" | "prox" | "project" | "constraints" | "residuals" | "jacobian" | "jvp" | "vjp"
                    | "grads" => Some(self.ask(name, e, args)?),
                    "normal" | "rademacher" | "uniform" | "permutation" | "sample" => Some(self.draw(name, e, args)?),
                    "old" => self.old(args)?,
                    "zeros" | "ones" if args.len() == 1 => self.filled(name, &args[0].value)?,
                    "length" => self.history_length(args)?,
                    _ if self.scopes[self.part].2.iter().any(|s| s == name) => {
                        let v = self.plain(e)?;
                        let what = format!("`{}`", crate::lang::syntax::show(e));
                        self.guard(&v, what, e.span)?;
                        Some(v.val)
                    }
                    _ => None,
                };
                if let Some(v) = v {
                    self.l.answered.insert(e.span, v);
                }
            }
            ExprKind::Index { base, subscripts } => {
                let history = base.as_name().and_then(|n| self.history(n));
                let table = base.as_name().and_then(|n| self.table(n));
                if let [crate::lang::syntax::Subscript::At(k)] = subscripts.as_slice() {
                    let v = match (history, table) {
                        (Some(state), _) => self.recall(state, k, e.span)?,
                        (None, Some(state)) => self.lookup(state, k, e.span)?,
                        (None, None) => return Ok(()),
                    };
                    self.l.answered.insert(e.span, v);
                }
            }
            ExprKind::Field { base, name } => {
                let known = self.each.iter().rev().find(|(n, _)| *n == name.text).map(|(_, k)| *k);
                let block = known.or_else(|| self.blocks.iter().position(|b| b.name == name.text));
                let Some(k) = block else {
                    let v = self.plain(base)?;
                    if let Some(v) = self.rows_named(v.val, name)? {
                        self.l.answered.insert(e.span, v);
                        return Ok(());
                    }
                    let names: Vec<String> = self.blocks.iter().map(|b| format!("`{}`", b.name)).collect();
                    return Err(err(
                        Code::UnknownName,
                        format!("the problem has no variable `{}`", name.text),
                    )
                    .at(name.span, "asked for here")
                    .note(format!("its variables are {}", names.join(", ")))
                    .into());
                };
                let v = self.plain(base)?;
                let v = self.block_of(v.val, k, e.span)?;
                self.l.answered.insert(e.span, v);
            }
            _ => {}
        }
        Ok(())
    }

    /// The part of a point that belongs to a block.
    pub fn block_of(&mut self, v: Val, k: usize, span: Span) -> Lowered<Val> {
        let Val::Arr(a) = v else {
            return Err(err(Code::WrongType, "only a point has blocks").at(span, "here").into());
        };
        if a.dims != [self.point.clone()] {
            return Err(err(Code::WrongType, "only a point has blocks").at(span, "here").into());
        }
        let b = &self.blocks[k];
        let (dims, offset) = (b.dims.clone(), b.offset);
        let lens: Vec<usize> = dims.iter().map(IndexSet::len).collect();
        let pull = Rc::new(move |l: &mut Lower<'_>, at: &[Pos]| {
            let (mut terms, mut first, mut stride): (std::collections::BTreeMap<_, i64>, i64, i64) =
                (Default::default(), offset as i64, 1);
            for (p, n) in at.iter().zip(&lens).rev() {
                match p {
                    Pos::Affine { terms: t, offset } => {
                        first += stride * offset;
                        for (i, c) in t {
                            *terms.entry(*i).or_insert(0) += stride * c;
                        }
                    }
                    Pos::Node(_) => {
                        return Err(err(
                            Code::NotBuiltYet,
                            "entries of a block at computed places are not built yet",
                        )
                        .at(span, "here")
                        .into());
                    }
                }
                stride *= *n as i64;
            }
            let terms = terms.into_iter().filter(|(_, c)| *c != 0).collect();
            l.entry(&a, &[Pos::Affine { terms, offset: first }])
        });
        if dims.is_empty() {
            let n = pull(&mut self.l, &[])?;
            return Ok(Val::Num(n, Elem::Real));
        }
        Ok(Val::Arr(Arr {
            dims,
            src: Src::Pull(pull),
            covector: false,
            elem: Elem::Real,
        }))
    }

    fn filled(&mut self, name: &str, like: &Expr) -> Lowered<Option<Val>> {
        let Ok(v) = self.plain(like) else { return Ok(None) };
        let Val::Arr(a) = v.val else { return Ok(None) };
        let value = f64::from(u8::from(name == "ones"));
        let pull = Rc::new(move |l: &mut Lower<'_>, _: &[Pos]| Ok(l.ir.constant(value)));
        Ok(Some(Val::Arr(Arr {
            dims: a.dims,
            src: Src::Pull(pull),
            covector: false,
            elem: Elem::Real,
        })))
    }

    fn guard(&mut self, v: &Var, what: String, span: Span) -> Lowered<()> {
        if let Val::Num(n, _) = v.val {
            if let Some(c) = self.l.ir.as_const(n) {
                if c.is_finite() && c >= 0.0 {
                    return Ok(());
                }
                return Err(err(
                    Code::BadOption,
                    format!("{what} is {c}, and a schedule gives a number of at least 0"),
                )
                .at(self.calls[self.part], "given here")
                .at(span, "used here")
                .into());
            }
            let reg = self.reg_of(v, span)?;
            if !self.guards.iter().any(|g| g.reg == reg) {
                self.guards.push(Guard { reg, what, span });
            }
        }
        Ok(())
    }

    pub fn history(&self, name: &str) -> Option<usize> {
        let at = self.state_named(name)?;
        matches!(self.specs[at].kind, StateKind::History(..)).then_some(at)
    }

    pub fn table(&self, name: &str) -> Option<usize> {
        let at = self.state_named(name)?;
        matches!(self.specs[at].kind, StateKind::Table(..)).then_some(at)
    }

    /// The state of a name: the block's own within an `each`.
    pub fn state_named(&self, name: &str) -> Option<usize> {
        let named = |key: &str| self.states.iter().find(|s| s.part == self.part && s.key == key);
        let own = self.each.iter().rev().find_map(|(_, k)| named(&format!("{name}@{k}")));
        own.or_else(|| named(name)).map(|s| s.at)
    }

    /// Values of the session that the pieces read.
    pub fn params(&self) -> Vec<(crate::ir::InputId, Arc<crate::base::Tensor>)> {
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

/// Names that an expression reads.
fn collect(e: &Expr, out: &mut Vec<(String, Span)>) {
    if let ExprKind::Name(n) = &e.kind
        && !out.iter().any(|(m, _)| m == n)
    {
        out.push((n.clone(), e.span));
    }
    e.for_each_child(&mut |c| collect(c, out));
}
