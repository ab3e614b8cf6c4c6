//! States of a step: made from the point before the run, read, recalled and written entry by entry.
//!
//! Invariant: a state is named by its part, and within an `each` by its block; its value at the start of a step stays
//! readable until the step ends.

use super::super::{Lowered, Val, err};
use super::builder::{Builder, State, Var};
use super::lines::changes;
use crate::base::value::{Elem, IndexSet};
use crate::base::{Code, Span};
use crate::ir::script::{Commit, Op, Reg, StateKind, StateSpec};
use crate::lang::syntax::{Arg, Expr, ExprKind, Ident, OptimizerDecl, StepKind, StepStmt};

impl Builder<'_> {
    /// Lowers the lines that declare states.
    pub fn states(&mut self, lines: &[StepStmt]) -> Lowered<()> {
        for s in lines {
            match &s.kind {
                StepKind::State { name, value } => self.state(name, value, None)?,
                StepKind::Each {
                    name,
                    ty,
                    body,
                    otherwise,
                    ..
                } => {
                    for k in 0..self.blocks.len() {
                        let own = self.block_fits(ty.as_ref(), k);
                        self.enter_block(name, ty.as_ref(), k, own)?;
                        for l in if own { body } else { otherwise } {
                            if let StepKind::State { name, value } = &l.kind {
                                self.state(name, value, Some(k))?;
                            }
                        }
                        self.leave_block(name);
                    }
                }
                _ => {}
            }
        }
        Ok(())
    }

    /// The state of a part that says what is handed out: it holds until a step says something else.
    pub fn answer_of(&mut self, d: &OptimizerDecl) -> Lowered<()> {
        if !changes(&d.step).iter().any(|n| n == "answer") || self.state_named("answer").is_some() {
            return Ok(());
        }
        let x = self.x.clone();
        self.add_state("answer".into(), "answer".into(), &x, d.name.span)
    }

    fn state(&mut self, name: &Ident, value: &Expr, block: Option<usize>) -> Lowered<()> {
        let own = match block {
            Some(k) => format!("{}@{k}", name.text),
            None => name.text.clone(),
        };
        let shown = match block {
            Some(k) => format!("{}.{}", name.text, self.blocks[k].name),
            None => name.text.clone(),
        };
        if let ExprKind::Call { callee, args } = &value.kind
            && let Some(what @ ("history" | "table")) = callee.as_name()
            && self.is_own(what)
            && let [cap, like] = args.as_slice()
        {
            let shown = self.free_name(shown);
            return self.memory(what, (own, shown), cap, like);
        }
        let v = self.expr(value)?;
        self.add_state(own, shown, &v, value.span)
    }

    /// The name of a state from outside: with its part where another part has one of the name.
    fn free_name(&self, shown: String) -> String {
        if self.specs.iter().any(|s| s.name == shown) {
            format!("{}.{shown}", self.parts[self.part].name)
        } else {
            shown
        }
    }

    /// A state that begins as `v`, with its key and its name as it is shown.
    fn add_state(&mut self, own: String, shown: String, v: &Var, span: Span) -> Lowered<()> {
        let shown = self.free_name(shown);
        let dims = v.val.dims().to_vec();
        let from = self.own_reg(v, span)?;
        let reg = self.register(&shown, dims.clone());
        self.first.push(Commit { to: reg, from });
        let start = self.read(reg, &dims);
        let kind = if dims.is_empty() {
            StateKind::Number
        } else {
            StateKind::Array(dims.iter().map(IndexSet::len).product())
        };
        self.specs.push(StateSpec {
            name: shown,
            kind,
            dims: dims.clone(),
            reg,
        });
        self.states.push(State {
            part: self.part,
            key: own.clone(),
            at: self.specs.len() - 1,
            start: Some(start.clone()),
            dims,
        });
        // Later states may be made of this one: in `init` it stands in `from`.
        let early = self.read(from, v.val.dims());
        self.vars.insert(own, Var::free(early));
        Ok(())
    }

    /// `history(20, zeros(x))`, `table(terms, zeros(x))`: so many arrays of one shape, with the key of the state and its
    /// name as it is shown.
    fn memory(&mut self, what: &str, (own, shown): (String, String), cap: &Arg, like: &Arg) -> Lowered<()> {
        let all = what == "table" && cap.value.as_name() == Some("terms") && self.is_own("terms");
        let n = if all {
            self.samples.get_or_insert(cap.value.span);
            None
        } else {
            let v = self.expr(&cap.value)?;
            Some(self.constant(&v, &cap.value)?)
        };
        let first = self.expr(&like.value)?;
        let dims = first.val.dims().to_vec();
        let width: usize = dims.iter().map(IndexSet::len).product();
        let (kind, reg) = match n {
            Some(n) if what == "history" => (StateKind::History(n, width), self.register(&shown, vec![])),
            // The run makes it as long as the problem's sum.
            n => (
                StateKind::Table(n, width),
                self.register(&shown, vec![IndexSet::upto(0)]),
            ),
        };
        if what == "table" {
            let from = self.reg_of(&first, like.value.span)?;
            let state = self.specs.len();
            self.push(Op::Tabulate { state, from });
        }
        self.specs.push(StateSpec {
            name: shown,
            kind,
            dims: dims.clone(),
            reg,
        });
        self.states.push(State {
            part: self.part,
            key: own,
            at: self.specs.len() - 1,
            start: None,
            dims,
        });
        Ok(())
    }

    /// A register that holds the value and nothing else.
    fn own_reg(&mut self, v: &Var, span: Span) -> Lowered<Reg> {
        let r = self.reg_of(v, span)?;
        let used = r == self.x_reg || r == self.t_reg || self.first.iter().any(|c| c.from == r);
        if !used {
            return Ok(r);
        }
        let own = self.register("start", v.val.dims().to_vec());
        self.push(Op::Copy { from: r, to: own });
        Ok(own)
    }

    /// Ends the part that makes the states, and begins the step.
    pub fn begin_step(&mut self) {
        let part = self.part;
        self.leave(part);
        self.init = self.close();
        self.open();
        self.x = Var::free(self.x_start.clone());
        for s in self.states.clone() {
            self.enter(s.part);
            self.vars.shift_remove(&s.key);
            if let Some(start) = s.start {
                self.vars.insert(s.key, Var::free(start));
            }
            self.leave(s.part);
        }
    }

    /// The state of a name: the block's own within an `each`.
    pub fn state_named(&self, name: &str) -> Option<usize> {
        let named = |key: &str| self.states.iter().find(|s| s.part == self.part && s.key == key);
        let own = self
            .each
            .iter()
            .rev()
            .find_map(|t| named(&format!("{name}@{}", t.block)));
        own.or_else(|| named(name)).map(|s| s.at)
    }

    pub fn history(&self, name: &str) -> Option<usize> {
        let at = self.state_named(name)?;
        matches!(self.specs[at].kind, StateKind::History(..)).then_some(at)
    }

    pub fn table(&self, name: &str) -> Option<usize> {
        let at = self.state_named(name)?;
        matches!(self.specs[at].kind, StateKind::Table(..)).then_some(at)
    }

    /// Index sets of a state, or of the entries of a history or a table.
    fn dims_of(&self, state: usize) -> Vec<IndexSet> {
        let known = self.states.iter().find(|s| s.at == state);
        known.map(|s| s.dims.clone()).unwrap_or_default()
    }

    /// The value at the start of the step: of the point, of a block of an `each`, of a state.
    pub fn old(&mut self, args: &[Arg]) -> Lowered<Option<Val>> {
        let Some((name, span)) = args.first().and_then(|a| Some((a.value.as_name()?, a.value.span))) else {
            return Ok(None);
        };
        if name == "x" {
            return Ok(Some(self.x_start.clone()));
        }
        if self.turn(name).is_some() {
            let start = Var::free(self.x_start.clone());
            return self.seen_block(&start, name, span).map(Some);
        }
        let at = self.state_named(name);
        let state = at.and_then(|at| self.states.iter().find(|s| s.at == at));
        Ok(state.and_then(|s| s.start.clone()))
    }

    /// Number of values in a history.
    pub fn history_length(&mut self, args: &[Arg]) -> Lowered<Option<Val>> {
        let state = args
            .first()
            .and_then(|a| a.value.as_name())
            .and_then(|n| self.history(n));
        let Some(state) = state else { return Ok(None) };
        let to = self.register("length", vec![]);
        self.push(Op::Recalled { state, to });
        Ok(Some(match self.read(to, &[]) {
            Val::Num(n, _) => Val::Num(n, Elem::Int),
            v => v,
        }))
    }

    /// `h[k]`.
    pub fn recall(&mut self, state: usize, k: &Expr, span: Span) -> Lowered<Val> {
        let v = self.plain(k)?;
        let which = self.reg_of(&v, k.span)?;
        let dims = self.dims_of(state);
        let to = self.register("recalled", dims.clone());
        self.push(Op::Recall { state, which, to, span });
        Ok(self.read(to, &dims))
    }

    /// `table[i]`.
    pub fn lookup(&mut self, state: usize, k: &Expr, span: Span) -> Lowered<Val> {
        let which = self.entry_at(k)?;
        let dims = self.dims_of(state);
        let to = self.register("entry", dims.clone());
        self.push(Op::Lookup { state, which, to, span });
        Ok(self.read(to, &dims))
    }

    /// A register with the position of an entry of a table.
    fn entry_at(&mut self, e: &Expr) -> Lowered<Reg> {
        let r = self.terms_at(e)?;
        match self.regs[r].len {
            1 => Ok(r),
            0 => Err(err(
                Code::WrongType,
                "an entry of a table is of one term, and how many this batch has is found in the run",
            )
            .at(e.span, "here")
            .help("take them one at a time: `for k in 1..b { let i = sample(1) … }`")
            .into()),
            n => Err(err(
                Code::WrongType,
                format!("an entry of a table is of one term, and this batch has {n}"),
            )
            .at(e.span, "here")
            .help(format!(
                "take them one at a time: `for k in 1..{n} {{ let i = sample(1) … }}`"
            ))
            .into()),
        }
    }

    /// `table[i] <- value`.
    pub fn enter_entry(&mut self, name: &Ident, at: &Expr, value: &Expr) -> Lowered<()> {
        let v = self.expr(value)?;
        let from = self.reg_of(&v, value.span)?;
        self.ask_all(at)?;
        let which = self.entry_at(at)?;
        self.l.answered.clear();
        let Some(state) = self.table(&name.text) else {
            return Err(err(Code::BadStep, format!("`{}` is no table", name.text))
                .at(name.span, "here")
                .into());
        };
        self.same_shape(&name.text, &self.dims_of(state), &v.val, value.span)?;
        self.push(Op::Enter {
            state,
            which,
            from,
            span: at.span,
        });
        Ok(())
    }
}
