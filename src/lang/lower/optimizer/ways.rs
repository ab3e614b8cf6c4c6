//! Branches and loops of a step.
//!
//! Invariant: a name that a branch or a loop changes lives in a register of its own, written at the end of each way through.

use super::super::{Lowered, Val, err};
use super::builder::{Builder, Var};
use super::lines::changes;
use crate::base::value::Elem;
use crate::base::{Code, Span};
use crate::ir::script::{Op, Reg};
use crate::lang::syntax::{Expr, ExprKind, Ident, StepStmt, show};

impl Builder<'_> {
    /// `if condition { … } else { … }`, with both ways.
    pub fn choice(&mut self, condition: &Expr, ways: [&[StepStmt]; 2], span: Span) -> Lowered<()> {
        let c = self.expr(condition)?;
        // A choice that parameters have made is no choice of the run.
        if let Val::Num(n, _) = c.val
            && let Some(v) = self.l.ir.as_const(n)
        {
            return self.lines(ways[usize::from(v == 0.0)]);
        }
        let c = self.reg_of(&c, condition.span)?;
        let changed = self.shared(ways.into_iter().flatten(), span)?;
        let mut ops = vec![];
        for lines in ways {
            let before = self.vars.clone();
            self.open();
            self.lines(lines)?;
            self.store(&changed, span)?;
            ops.push(self.close());
            self.vars = before;
        }
        let otherwise = ops.pop().unwrap_or_default();
        let then = ops.pop().unwrap_or_default();
        self.push(Op::If {
            condition: c,
            then,
            otherwise,
        });
        Ok(())
    }

    /// `while condition { … }`.
    pub fn while_loop(&mut self, condition: &Expr, body: &[StepStmt], span: Span) -> Lowered<()> {
        let changed = self.shared(body.iter(), span)?;
        let before_vars = self.vars.clone();
        self.open();
        let c = self.expr(condition)?;
        let c = self.reg_of(&c, condition.span)?;
        let before = self.close();
        self.open();
        self.lines(body)?;
        self.store(&changed, span)?;
        let body = self.close();
        self.vars = before_vars;
        self.push(Op::While {
            before,
            condition: c,
            body,
            text: format!("while {}", show(condition)),
            span,
        });
        Ok(())
    }

    /// `for name in 1..n { … }`.
    pub fn for_loop(&mut self, name: &Ident, set: &Expr, body: &[StepStmt], span: Span) -> Lowered<()> {
        let ExprKind::Range { lo, hi } = &set.kind else {
            return Err(err(Code::WrongType, "a loop runs over a range `1..n`")
                .at(set.span, "here")
                .into());
        };
        let (a, b) = (self.expr(lo)?, self.expr(hi)?);
        let (lo, hi) = (self.reg_of(&a, lo.span)?, self.reg_of(&b, hi.span)?);
        let counter = self.register(&name.text, vec![]);
        self.rewritten.push(counter);
        let changed = self.shared(body.iter(), span)?;
        let before_vars = self.vars.clone();
        let v = match self.read(counter, &[]) {
            Val::Num(n, _) => Val::Num(n, Elem::Int),
            v => v,
        };
        self.open();
        self.vars.insert(name.text.clone(), Var::free(v));
        self.lines(body)?;
        self.store(&changed, span)?;
        let body = self.close();
        self.vars = before_vars;
        self.push(Op::For {
            lo,
            hi,
            counter,
            body,
            text: format!("for {} in {}", name.text, show(set)),
            span,
        });
        Ok(())
    }

    /// Gives every name that the lines change a register of its own.
    fn shared<'s>(&mut self, lines: impl Iterator<Item = &'s StepStmt>, span: Span) -> Lowered<Vec<(String, Reg)>> {
        let mut names: Vec<String> = vec![];
        for l in lines {
            for n in changes(std::slice::from_ref(l)) {
                if !names.contains(&n) {
                    names.push(n);
                }
            }
        }
        let mut out = vec![];
        for n in names {
            let Some(v) = self.vars.get(&n).cloned() else { continue };
            if self.history(&n).is_some() {
                continue;
            }
            let dims = v.val.dims().to_vec();
            let r = self.register(&n, dims.clone());
            self.write(&v, r, span)?;
            self.rewritten.push(r);
            out.push((n, r, v.val));
        }
        // Only now are the old values out of use.
        let mut shared = vec![];
        for (n, r, old) in out {
            // What is named in the step stays what it was named with; a state is numbers.
            let val = match self.state_named(&n) {
                Some(_) => self.read(r, old.dims()),
                None => self.read_as(r, &old),
            };
            self.vars.insert(n.clone(), Var::free(val));
            shared.push((n, r));
        }
        Ok(shared)
    }

    /// Writes the names into their registers at the end of a way.
    fn store(&mut self, shared: &[(String, Reg)], span: Span) -> Lowered<()> {
        // What is another shared register must be saved before that one is written.
        let mut late = vec![];
        for (n, r) in shared {
            let Some(v) = self.vars.get(n).cloned() else { continue };
            let val = self.settled(&v, span)?;
            match self.alias(&val) {
                Some(a) if a == *r => {}
                Some(a) if shared.iter().any(|(_, s)| *s == a) => {
                    let dims = val.dims().to_vec();
                    let saved = self.register(n, dims);
                    self.push(Op::Copy { from: a, to: saved });
                    late.push((saved, *r));
                }
                Some(a) => late.push((a, *r)),
                None => {
                    let from = self.reg_of(&v, span)?;
                    late.push((from, *r));
                }
            }
        }
        for (from, to) in late {
            self.push(Op::Copy { from, to });
        }
        Ok(())
    }
}
