//! Transforms around the optimizer: of the gradient before it, of the update or the point behind it.
//!
//! Invariant: each part has names of its own; only `x` passes from one to the next, and `u` where it is the update.

use super::super::{Lowered, Val};
use super::builder::{Builder, Var};
use super::remembered;
use crate::atoms;
use crate::base::Span;
use crate::base::value::Elem;
use crate::lang::syntax::OptimizerDecl;

impl Builder<'_> {
    /// Runs the transforms of the gradient.
    pub fn gradient_path(&mut self, g: Val, at: Option<Var>, span: Span) -> Lowered<Val> {
        let before = std::mem::take(&mut self.before);
        let home = self.part;
        let mut u = Var::free(g);
        let kept_answers = std::mem::take(&mut self.l.answered);
        let each = (std::mem::take(&mut self.each), std::mem::take(&mut self.sizes));
        for (k, d) in &before {
            let own_x = self.vars.get("x").cloned();
            self.leave(home);
            self.enter(*k);
            if let Some(x) = &at {
                self.vars.insert("x".into(), x.clone());
            }
            self.vars.insert("u".into(), u.clone());
            self.lines(&d.step)?;
            u = self.vars.shift_remove("u").unwrap_or(u);
            self.vars.shift_remove("x");
            self.leave(*k);
            if let Some(x) = own_x {
                self.x = x;
            }
            self.enter(home);
        }
        (self.each, self.sizes) = each;
        self.l.answered = kept_answers;
        self.before = before;
        self.settled(&u, span)
    }

    /// Runs a transform of the update (`direction`) or of the point.
    pub fn transform(&mut self, k: usize, d: &OptimizerDecl, direction: bool) -> Lowered<()> {
        if direction {
            let (x, start) = (self.x.clone(), self.x_start.clone());
            let x_val = self.settled(&x, d.span)?;
            let u = self
                .l
                .elementwise(atoms::SUB, vec![x_val, start.clone()], Elem::Real, d.span)?;
            let piece = Some(self.current());
            self.x = Var::free(start);
            self.enter(k);
            self.vars.insert("u".into(), Var { val: u, piece });
            self.lines(&d.step)?;
            let u = self.vars.shift_remove("u");
            self.leave(k);
            if let Some(u) = u {
                let u = self.settled(&u, d.span)?;
                let x = self
                    .l
                    .elementwise(atoms::ADD, vec![self.x_start.clone(), u], Elem::Real, d.span)?;
                let piece = Some(self.current());
                self.x = Var {
                    val: remembered(x),
                    piece,
                };
            }
        } else {
            self.enter(k);
            self.lines(&d.step)?;
            self.leave(k);
        }
        Ok(())
    }
}
