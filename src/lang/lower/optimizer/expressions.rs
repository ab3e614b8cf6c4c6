//! Expressions of a step: first what they ask for, innermost first, then the rest in the piece that is open then.
//!
//! Invariant: a question is answered before the expression that it stands in is lowered, and its answer is read there by
//! its place in the text.

use std::rc::Rc;

use super::super::{Arr, Local, Lower, Lowered, Src, Val, err};
use super::builder::{Builder, Var};
use super::remembered;
use crate::base::value::{Elem, IndexSet};
use crate::base::{Code, Span};
use crate::ir::Pos;
use crate::ir::script::Guard;
use crate::lang::syntax::{Arg, Expr, ExprKind, Subscript, show};

impl Builder<'_> {
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
        let mut scope = self.parts[self.part].params.clone();
        if let Some(t) = self.parts[self.part].t.clone() {
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
                    *v = Var::free(val.clone());
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
            val: remembered(val),
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
        // Of a large problem the diagonal is all that can be kept.
        if let ("diag", [whole]) = called(e)
            && let ("hessian", [at]) = called(&whole.value)
            && !self.vars.contains_key("diag")
            && !self.vars.contains_key("hessian")
        {
            self.ask_all(&at.value)?;
            let v = self.ask("diagonal", e, std::slice::from_ref(at))?;
            self.l.answered.insert(e.span, v);
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
                    _ if self.parts[self.part].schedules.iter().any(|s| s == name) => {
                        let v = self.plain(e)?;
                        let what = format!("`{}`", show(e));
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
                if let [Subscript::At(k)] = subscripts.as_slice() {
                    let v = match (history, table) {
                        (Some(state), _) => self.recall(state, k, e.span)?,
                        (None, Some(state)) => self.lookup(state, k, e.span)?,
                        (None, None) => return Ok(()),
                    };
                    self.l.answered.insert(e.span, v);
                }
            }
            ExprKind::Field { base, name } => {
                if self.turn(&name.text).is_some() {
                    let v = self.plain(base)?;
                    let v = self.seen_block(&v, &name.text, e.span)?;
                    self.l.answered.insert(e.span, v);
                    return Ok(());
                }
                let Some(k) = self.blocks.iter().position(|b| b.name == name.text) else {
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
                let dims = self.blocks[k].dims.clone();
                let v = self.block_of(v.val, k, dims, e.span)?;
                self.l.answered.insert(e.span, v);
            }
            _ => {}
        }
        Ok(())
    }

    fn filled(&mut self, name: &str, like: &Expr) -> Lowered<Option<Val>> {
        let Ok(v) = self.plain(like) else { return Ok(None) };
        let value = f64::from(u8::from(name == "ones"));
        let a = match v.val {
            Val::Arr(a) => a,
            // A block of one number.
            Val::Num(..) if like.as_name().is_some_and(|n| self.turn(n).is_some()) => {
                return Ok(Some(Val::Num(self.l.ir.constant(value), Elem::Real)));
            }
            _ => return Ok(None),
        };
        Ok(Some(constant_array(a.dims, value)))
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
                .at(self.parts[self.part].called, "given here")
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

/// An array with one value everywhere.
pub fn constant_array(dims: Vec<IndexSet>, value: f64) -> Val {
    Val::Arr(Arr {
        dims,
        src: Src::Pull(Rc::new(move |l: &mut Lower<'_>, _: &[Pos]| Ok(l.ir.constant(value)))),
        covector: false,
        elem: Elem::Real,
    })
}

/// The name of what is called, and its arguments.
fn called(e: &Expr) -> (&str, &[Arg]) {
    match &e.kind {
        ExprKind::Call { callee, args } => (callee.as_name().unwrap_or_default(), args),
        _ => ("", &[]),
    }
}
