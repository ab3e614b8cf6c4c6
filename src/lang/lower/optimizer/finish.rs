//! The end of a step: how point and states are taken over, and what is looked at.
//!
//! Invariant: a new value never overwrites what another new value still reads.

use super::super::{Lowered, Val, err};
use super::builder::{Builder, Var};
use crate::atoms;
use crate::base::value::{Elem, IndexSet};
use crate::base::{Code, Span};
use crate::ir::script::{Ask, Commit, Known, Op, Piece, Reg, Script, StateKind, StateSpec};

impl Builder<'_> {
    /// The script.
    pub fn finish(mut self, name: String, span: Span) -> Lowered<Script> {
        // Of several parts that say what is handed out, the last on the path does.
        self.answer = self.states.iter().rev().find(|s| s.key == "answer").map(|s| s.at);
        let x = self.x.clone();
        let change = self.register("change", vec![]);
        let x_val = self.settled(&x, span)?;
        let moved_by = self
            .l
            .elementwise(atoms::SUB, vec![x_val, self.x_start.clone()], Elem::Real, span)?;
        let n = match &moved_by {
            Val::Arr(a) => self.l.reduce(atoms::NORM, a)?,
            Val::Num(n, _) => *n,
            _ => self.l.ir.constant(0.0),
        };
        let piece = Some(self.current());
        let change_var = Var {
            val: Val::Num(n, Elem::Real),
            piece,
        };
        self.write(&change_var, change, span)?;
        // New values, each in a register.
        let mut wanted: Vec<(Reg, Reg)> = vec![];
        let from = self.reg_of(&x, span)?;
        wanted.push((self.x_reg, from));
        for s in self.states.clone() {
            if matches!(self.specs[s.at].kind, StateKind::History(..) | StateKind::Table(..)) {
                continue;
            }
            let Some(v) = self.names_of(s.part).get(&s.key).cloned() else {
                continue;
            };
            let from = self.reg_of(&v, span)?;
            wanted.push((self.specs[s.at].reg, from));
        }
        let mut stops = vec![];
        for (v, at) in std::mem::take(&mut self.stops) {
            stops.push((self.reg_of(&v, at)?, at));
        }
        let mut restarts = vec![];
        for v in std::mem::take(&mut self.restarts) {
            restarts.push(self.reg_of(&v, span)?);
        }
        let records = std::mem::take(&mut self.records);
        self.begin_unreached();
        let mut commits = self.take_over(wanted);
        for (to, from) in &self.taken {
            commits.push(Commit { to: *to, from: *from });
        }
        let mut step = self.close();
        let kept = |r: &Vec<Piece>, op: &Op| !matches!(op, Op::Eval(p) if r[*p].outputs.is_empty());
        prune(&mut step, &self.pieces, &kept);
        let since = (!restarts.is_empty()).then(|| self.kept("begun after step", 1));
        let known = (gradients(&step) > 1).then(|| Known {
            point: self.kept("known point", self.point.len()),
            gradient: self.kept("known gradient", self.point.len()),
            value: self.kept("known value", 1),
            what: self.kept("known", 1),
        });
        let mut init = std::mem::take(&mut self.init);
        prune(&mut init, &self.pieces, &kept);
        self.room(span)?;
        Ok(Script {
            name,
            dim: self.point.len(),
            params: self.params(),
            regs: self.regs,
            pieces: self.pieces,
            x: self.x_reg,
            t: self.t_reg,
            fmin: self.fmin,
            terms: self.terms,
            equations: self.equations,
            since,
            known,
            over: self.over,
            change,
            states: self.specs,
            init,
            first: self.first,
            step,
            commits,
            records,
            guards: self.guards,
            stops,
            restarts,
            answer: self.answer,
            beside: self.beside,
            asks: self.asks,
            samples: self.samples,
            sizes_vary: self.sizes_vary,
            fmin_at: self.fmin_at,
            lines: self.read,
            moves: self.moves,
            blocks: self
                .blocks
                .iter()
                .map(|b| (b.name.clone(), b.dims.clone(), b.offset))
                .collect(),
            projects: self.projects,
            ir: self.l.ir,
        })
    }

    /// Do the states fit into the memory that the program may use, twice, and what a step computes beside them?
    fn room(&self, span: Span) -> Lowered<()> {
        let kept = |s: &StateSpec| match s.kind {
            StateKind::History(n, width) | StateKind::Table(Some(n), width) => n as f64 * width as f64,
            _ => 0.0,
        };
        let numbers: f64 = self.regs.iter().map(|r| r.len as f64).sum();
        let numbers = numbers + 2.0 * self.specs.iter().map(kept).sum::<f64>();
        if 8.0 * numbers <= self.l.names.memory() as f64 {
            return Ok(());
        }
        let size = |s: &StateSpec| kept(s).max(self.regs[s.reg].len as f64);
        let largest = self.specs.iter().max_by(|a, b| size(a).total_cmp(&size(b)));
        let what = match largest.filter(|s| size(s) > self.point.len() as f64) {
            Some(s) => format!("the state `{}` of {} numbers", s.name, size(s)),
            None => format!("a step on {} coordinates", self.point.len()),
        };
        Err(err(
            Code::TooLarge,
            format!(
                "{what} takes more than the memory that may be used: {:.0} MB in all",
                8e-6 * numbers
            ),
        )
        .at(span, "this optimizer")
        .help(
            "products such as `hvp(x, v)`, histories and diagonals take less than matrices; `--memory` sets the limit",
        )
        .into())
    }

    /// Has a step begin with what stands for lines that it may not reach.
    fn begin_unreached(&mut self) {
        if self.begins.is_empty() {
            return;
        }
        let begins = std::mem::take(&mut self.begins);
        let outputs = begins.into_iter().map(|(r, v)| (self.l.ir.constant(v), r)).collect();
        self.pieces.push(Piece { outputs });
        let begin = Op::Eval(self.pieces.len() - 1);
        if let Some(step) = self.ops.first_mut() {
            step.insert(0, begin);
        }
    }

    /// A state of the step's own, 0 at first and changed by the run alone.
    fn kept(&mut self, name: &str, len: usize) -> Reg {
        let dims = if len == 1 { vec![] } else { vec![IndexSet::upto(len)] };
        let nought = self.register("nought", dims.clone());
        let reg = self.register(name, dims.clone());
        self.first.push(Commit { to: reg, from: nought });
        let kind = if len == 1 {
            StateKind::Number
        } else {
            StateKind::Array(len)
        };
        self.specs.push(StateSpec {
            name: name.into(),
            kind,
            reg,
            dims,
        });
        reg
    }

    /// The swaps that take new values over; copies where one value is wanted twice.
    fn take_over(&mut self, wanted: Vec<(Reg, Reg)>) -> Vec<Commit> {
        let own: Vec<Reg> = wanted.iter().map(|w| w.0).collect();
        let mut given: Vec<Reg> = vec![];
        let mut commits = vec![];
        for (to, from) in wanted {
            if to == from {
                continue;
            }
            // The start of another state, or a value that already went elsewhere, is copied first.
            if own.contains(&from) || given.contains(&from) {
                let dims = self.l.ir.input(self.regs[from].input).dims.clone();
                let copy = self.register("copy", dims);
                self.push(Op::Copy { from, to: copy });
                commits.push(Commit { to, from: copy });
            } else {
                given.push(from);
                commits.push(Commit { to, from });
            }
        }
        commits
    }
}

/// Places that ask for the gradient of the whole objective.
fn gradients(ops: &[Op]) -> usize {
    let of = |o: &Op| match o {
        Op::Ask {
            what: Ask::Gradient,
            batch: None,
            ..
        } => 1,
        Op::If { then, otherwise, .. } => gradients(then) + gradients(otherwise),
        Op::While { before, body, .. } => gradients(before) + gradients(body),
        Op::For { body, .. } => gradients(body),
        _ => 0,
    };
    ops.iter().map(of).sum()
}

/// Leaves out pieces that compute nothing.
fn prune(ops: &mut Vec<Op>, pieces: &Vec<Piece>, kept: &dyn Fn(&Vec<Piece>, &Op) -> bool) {
    ops.retain(|o| kept(pieces, o));
    for o in ops {
        match o {
            Op::If { then, otherwise, .. } => {
                prune(then, pieces, kept);
                prune(otherwise, pieces, kept);
            }
            Op::While { before, body, .. } => {
                prune(before, pieces, kept);
                prune(body, pieces, kept);
            }
            Op::For { body, .. } => prune(body, pieces, kept),
            _ => {}
        }
    }
}
