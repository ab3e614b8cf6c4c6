//! The lines of a step: what is named, changed, recorded, and looked at when it ends.
//!
//! Invariant: a name keeps its shape; what a line computes is kept as it is written, for a run that fails there.

use super::super::{Lowered, Val, describe, err};
use super::builder::{Builder, Var};
use crate::atoms;
use crate::base::value::{Elem, IndexSet};
use crate::base::{Code, Span};
use crate::ir::script::{Op, StateKind};
use crate::lang::syntax::{Expr, Ident, StepKind, StepStmt, show};

impl Builder<'_> {
    pub fn lines(&mut self, lines: &[StepStmt]) -> Lowered<()> {
        let mut own = vec![];
        for s in lines {
            if let StepKind::Let(d) = &s.kind {
                own.push(d.name.text.clone());
            }
            self.line(s)?;
        }
        for n in own {
            self.vars.shift_remove(&n);
        }
        Ok(())
    }

    fn line(&mut self, s: &StepStmt) -> Lowered<()> {
        self.read_again(s);
        match &s.kind {
            StepKind::State { .. } => {}
            StepKind::Let(d) => {
                let mut v = self.expr(&d.value)?;
                if d.ty.as_ref().is_some_and(|t| t.name.text == "Real") {
                    match &mut v.val {
                        Val::Num(_, e) => *e = Elem::Real,
                        Val::Arr(a) => a.elem = Elem::Real,
                        _ => {}
                    }
                }
                self.vars.insert(d.name.text.clone(), v);
            }
            StepKind::Update {
                name,
                entry: Some(at),
                value,
                ..
            } => self.enter_entry(name, at, value)?,
            StepKind::Update { name, block, value, .. } => self.update(name, block.as_ref(), value, s.span)?,
            StepKind::If {
                condition,
                then,
                otherwise,
            } => {
                self.choice(condition, [then, otherwise], s.span)?;
            }
            StepKind::While { condition, body } => {
                self.while_loop(condition, body, s.span)?;
            }
            StepKind::For { name, set, body } => {
                self.for_loop(name, set, body, s.span)?;
            }
            StepKind::Each {
                name,
                ty,
                body,
                otherwise,
                ..
            } => self.each_block(name, ty.as_ref(), body, otherwise, s.span)?,
            StepKind::Record { name, value } => {
                let v = self.looked_at(value)?;
                // Of several blocks each has its own.
                let name = match self.each.last() {
                    Some(t) if self.alike > 1 => format!("{}.{}", name.text, self.blocks[t.block].name),
                    _ => name.text.clone(),
                };
                self.record(name, &v, value.span)?;
            }
            StepKind::Stop(e) => {
                let v = self.looked_at(e)?;
                let r = self.flag(&v, e.span)?;
                self.stops.push((r, e.span));
            }
            StepKind::Fail { condition, why } => {
                let v = self.expr(condition)?;
                let condition = self.reg_of(&v, condition.span)?;
                self.push(Op::Fail {
                    condition,
                    why: why.clone(),
                });
            }
            StepKind::Restart(e) => {
                let v = self.expr(e)?;
                let r = self.flag(&v, e.span)?;
                self.restarts.push(r);
            }
        }
        Ok(())
    }

    fn update(&mut self, name: &Ident, block: Option<&Ident>, value: &Expr, span: Span) -> Lowered<()> {
        self.moves(name, block, value);
        let v = self.expr(value)?;
        if let Some(state) = self.history(&name.text) {
            let width = match self.specs[state].kind {
                StateKind::History(_, w) => w,
                _ => 0,
            };
            let from = self.reg_of(&v, value.span)?;
            if self.regs[from].len != width {
                return Err(err(
                    Code::StateShape,
                    format!(
                        "`{}` keeps arrays of {width} entries, this value has {}",
                        name.text, self.regs[from].len
                    ),
                )
                .at(value.span, "here")
                .into());
            }
            self.push(Op::Push { state, from });
            return Ok(());
        }
        if let Some(b) = block {
            let turn = self.turn(&b.text).cloned();
            let named = || self.blocks.iter().position(|p| p.name == b.text);
            let Some(k) = turn.as_ref().map(|t| t.block).or_else(named) else {
                return Err(
                    err(Code::UnknownName, format!("the problem has no variable `{}`", b.text))
                        .at(b.span, "here")
                        .into(),
                );
            };
            let dims = turn.map_or_else(|| self.blocks[k].dims.clone(), |t| t.dims);
            self.same_shape(&format!("{}.{}", name.text, b.text), &dims, &v.val, value.span)?;
            let v = self.splice(&name.text, &[(k, v)], span)?;
            self.vars.insert(name.text.clone(), v);
            return Ok(());
        }
        if let Some(old) = self.vars.get(&name.text) {
            let dims = old.val.dims().to_vec();
            self.same_shape(&name.text, &dims, &v.val, value.span)?;
        }
        self.vars.insert(name.text.clone(), v);
        Ok(())
    }

    pub fn same_shape(&self, name: &str, old: &[IndexSet], new: &Val, span: Span) -> Lowered<()> {
        if new.dims() == old {
            return Ok(());
        }
        Err(err(
            Code::StateShape,
            format!("`{name}` is {}, its new value {}", describe(old), describe(new.dims())),
        )
        .at(span, "another shape")
        .help(crate::lang::errors::types::same_number_everywhere(name))
        .into())
    }

    /// What a record or a stop says: the step does not depend on it.
    fn looked_at(&mut self, e: &Expr) -> Lowered<Var> {
        self.looking = true;
        let v = self.expr(e);
        self.looking = false;
        v
    }

    /// A truth value that is looked at when the step ends: of a line in branches and loops, whether it held in any turn.
    fn flag(&mut self, v: &Var, span: Span) -> Lowered<Var> {
        if self.ops.len() <= 1 {
            // Here and not at the end, so that it is known where a later line fails.
            let r = self.reg_of(v, span)?;
            return Ok(Var::free(self.read(r, &[])));
        }
        let held = self.register("held", vec![]);
        self.rewritten.push(held);
        self.begins.push((held, 0.0));
        let so_far = self.read(held, &[]);
        let now = self.settled(v, span)?;
        let either = self.l.elementwise(atoms::OR, vec![so_far, now], Elem::Bool, span)?;
        let piece = Some(self.current());
        let from = self.reg_of(&Var { val: either, piece }, span)?;
        self.push(Op::Copy { from, to: held });
        Ok(Var::free(self.read(held, &[])))
    }

    /// Writes a value into the register that a record has for itself, so that what is recorded stays as it was.
    fn record(&mut self, name: String, v: &Var, span: Span) -> Lowered<()> {
        if let Some(to) = self.records.iter().find(|r| r.0 == name).map(|r| r.1) {
            let from = self.reg_of(v, span)?;
            self.push(Op::Copy { from, to });
            return Ok(());
        }
        let to = self.register(&name, vec![]);
        self.rewritten.push(to);
        self.records.push((name, to));
        if self.ops.len() > 1 {
            self.begins.push((to, f64::NAN));
        }
        self.write(v, to, span)
    }

    /// Keeps what a line computes as it is written, for a run that fails there.
    fn read_again(&mut self, s: &StepStmt) {
        let (value, text) = match &s.kind {
            StepKind::Let(d) => (&d.value, format!("let {} = {}", d.name.text, show(&d.value))),
            StepKind::Record { name, value } => (value, format!("record {} = {}", name.text, show(value))),
            StepKind::Update { name, block, value, .. } => {
                let of = block.as_ref().map_or(String::new(), |b| format!(".{}", b.text));
                (value, format!("{}{of} <- {}", name.text, show(value)))
            }
            _ => return,
        };
        if self.read.iter().all(|(at, _)| *at != value.span) {
            self.read.push((value.span, text));
        }
    }

    /// Keeps the line that changes the point, or a block of it.
    fn moves(&mut self, name: &Ident, block: Option<&Ident>, value: &Expr) {
        let of = block.unwrap_or(name);
        let known = self.turn(&of.text).map(|t| t.block);
        let one = known.or_else(|| block.and_then(|b| self.blocks.iter().position(|p| p.name == b.text)));
        let shown = match block {
            Some(b) => format!("{}.{}", name.text, b.text),
            None => name.text.clone(),
        };
        let text = format!("{shown} <- {}", show(value));
        match one {
            _ if self.part != self.main => {}
            Some(k) if block.is_none() || name.text == "x" => self.moves[k] = Some(text),
            None if name.text == "x" => self.moves.fill(Some(text)),
            _ => {}
        }
    }
}

/// Names that lines change.
pub fn changes(lines: &[StepStmt]) -> Vec<String> {
    let mut out: Vec<String> = vec![];
    for s in lines {
        s.for_each_stmt(&mut |s| {
            let n = match &s.kind {
                StepKind::Update { name, .. } => name.text.clone(),
                // The blocks of an `each` are parts of the point.
                StepKind::Each { .. } => "x".to_string(),
                _ => return,
            };
            if !out.contains(&n) {
                out.push(n);
            }
        });
    }
    out
}
