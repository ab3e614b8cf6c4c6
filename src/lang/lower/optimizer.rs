//! An optimizer with its transforms as a script: pieces of IR between what the step asks for.
//!
//! Invariant: a value is computed in the piece in which it was named, and becomes a register when a later piece reads it;
//! so a step that asks once for a gradient is one piece, and one pass over the coordinates.

mod asks;
mod blocks;
mod builder;
mod expressions;
mod finish;
mod lines;
mod proximal;
mod states;
mod transforms;
mod ways;

use std::rc::Rc;

use super::{Arr, Entity, Local, Lower, Lowered, Names, Scope, Src, Val, describe, err};
use crate::base::value::IndexSet;
use crate::base::{Code, Diagnostic, Span};
use crate::ir::script::{Script, Sizes};
use crate::lang::syntax::{CompareOp, Expr, ExprKind, OptimizerDecl, Role};
use builder::Builder;

/// One part of a stage with the values of its parameters.
pub struct PartCall<'a> {
    /// The definition.
    pub decl: &'a OptimizerDecl,
    /// Arguments by parameter.
    pub args: Vec<(String, Expr)>,
    /// Where it is called.
    pub span: Span,
}

/// A variable's place in the point.
#[derive(Clone, Debug)]
pub struct PointBlock {
    /// Its name.
    pub name: String,
    /// Its index sets.
    pub dims: Vec<IndexSet>,
    /// First coordinate.
    pub offset: usize,
    /// Coordinates.
    pub len: usize,
}

/// What a step is compiled for.
#[derive(Clone, Copy)]
pub struct Space<'a> {
    /// The variables.
    pub blocks: &'a [PointBlock],
    /// Lengths of what else is asked for; found only where a step asks.
    pub sizes: &'a dyn Fn() -> Sizes,
}

/// Compiles the parts of one step: transforms of the gradient, one optimizer, transforms of update and point.
pub fn lower_script(names: &dyn Names, parts: &[PartCall<'_>], space: Space<'_>) -> Result<Script, Vec<Diagnostic>> {
    script(names, parts, space).map_err(|d| vec![*d])
}

fn script(names: &dyn Names, parts: &[PartCall<'_>], space: Space<'_>) -> Lowered<Script> {
    let Some(main) = parts.iter().position(|p| p.decl.role == Role::Optimizer) else {
        return Err(err(Code::BadPipeline, "a step has one optimizer, this one has none").into());
    };
    let mut b = Builder::new(names, space);
    b.main = main;
    // A step length that a transform is not given is the optimizer's.
    let own = bind(&mut b, &parts[main], None)?;
    let length = own.get(STEP_LENGTH);
    for (k, p) in parts.iter().enumerate() {
        let bound = if k == main {
            own.clone()
        } else {
            proximal::check_length(parts, main, k)?;
            bind(&mut b, p, length.clone())?
        };
        for f in &p.decl.params {
            let on_point = f.ty.dims.iter().any(|d| d.as_name() == Some("point"));
            if let (true, Some(Local::Val(v))) = (on_point, bound.get(&f.name.text))
                && let Some(d) = v.dims().iter().find(|d| d.len() != b.point.len())
            {
                return Err(err(
                    Code::BadOption,
                    format!("`{}` has {} rows, the point {} coordinates", f.name.text, d.len(), b.point.len()),
                )
                .at(p.span, "used here")
                .help("a matrix over the point has one row and one column for each coordinate of all variables, in their order")
                .into());
            }
        }
        b.part(k, p, bound);
    }
    // States first, from the point alone.
    for (k, p) in parts.iter().enumerate() {
        b.enter(k);
        b.states(&p.decl.states)?;
        b.answer_of(p.decl)?;
    }
    b.begin_step();
    b.before = (0..main).map(|k| (k, parts[k].decl)).collect();
    b.enter(main);
    b.lines(&parts[main].decl.step)?;
    b.leave(main);
    // What transforms behind the optimizer ask for is the problem's own.
    b.before.clear();
    let after = &parts[main + 1..];
    for (k, p) in after.iter().enumerate().map(|(k, p)| (main + 1 + k, p)) {
        let direction = p.decl.of_update();
        b.transform(k, p.decl, direction)?;
    }
    let name = parts
        .iter()
        .map(|p| p.decl.name.text.as_str())
        .collect::<Vec<_>>()
        .join(" |> ");
    b.finish(name, parts[main].decl.name.span)
}

/// The parameter for step lengths.
const STEP_LENGTH: &str = "lr";

/// Values of a part's parameters, in the session's names; `length` is the step length where the part is given none.
fn bind(b: &mut Builder<'_>, p: &PartCall<'_>, length: Option<Local>) -> Lowered<Scope> {
    let mut scope = Scope::of(b.l.names, p.decl.name.span.source);
    for f in &p.decl.params {
        let known = f.default.as_ref().filter(|e| e.as_name() == Some("fmin"));
        if let (Some(e), false) = (known, p.args.iter().any(|(n, _)| *n == f.name.text)) {
            scope = scope.with(&f.name.text, Local::Val(b.known_minimum(e.span)));
            continue;
        }
        let l = &mut b.l;
        let given = p.args.iter().find(|(n, _)| *n == f.name.text).map(|(_, e)| e);
        let words = f.words();
        let word = |e: &Expr| match &e.kind {
            ExprKind::Name(n) if words.contains(&n.as_str()) && l.names.lookup(n).is_none() => Some(n.clone()),
            _ => None,
        };
        if let (None, Some(length), STEP_LENGTH) = (given, &length, f.name.text.as_str()) {
            scope = scope.with(STEP_LENGTH, length.clone());
            continue;
        }
        let value = match (given, &f.default) {
            (Some(e), _) | (None, Some(e)) if word(e).is_some() => Val::Text(word(e).unwrap_or_default()),
            (Some(e), _) => l.with_scope(Scope::default(), |l| l.expr(e))?,
            (None, Some(e)) => l.with_scope(scope.clone(), |l| l.expr(e))?,
            (None, None) => {
                return Err(err(
                    Code::WrongArity,
                    format!("`{}` needs a value for `{}`", p.decl.name.text, f.name.text),
                )
                .at(p.span, "used here")
                .at(f.name.span, "declared here")
                .into());
            }
        };
        let at = given.map_or(f.name.span, |e| e.span);
        if let (false, Val::Text(t)) = (words.is_empty(), &value)
            && !words.contains(&t.as_str())
        {
            let known: Vec<String> = words.iter().map(|w| format!("`{w}`")).collect();
            return Err(err(
                Code::BadOption,
                format!("`{}` of `{}` cannot be `{t}`", f.name.text, p.decl.name.text),
            )
            .at(at, "this value")
            .note(format!("it is one of {}", known.join(", ")))
            .into());
        }
        if f.ty.dims.len() != value.dims().len() {
            return Err(err(
                Code::BadOption,
                format!(
                    "`{}` of `{}` is declared with {} dimensions, found {}",
                    f.name.text,
                    p.decl.name.text,
                    f.ty.dims.len(),
                    describe(value.dims())
                ),
            )
            .at(at, "this value")
            .into());
        }
        for (d, set) in f.ty.dims.iter().zip(value.dims()) {
            if let Some(n) = d.as_name()
                && scope.get(n).is_none()
                && (scope.library || !matches!(l.lookup(n), Some(Entity::Set(_))))
            {
                let local = if set.is_plain() {
                    Local::Size(set.len())
                } else {
                    Local::Dims(set.clone())
                };
                scope = scope.with(n, local);
            }
        }
        for c in &f.checks {
            let Val::Num(n, _) = value else { continue };
            let Some(v) = l.ir.as_const(n) else { continue };
            let ok = match (c.op, l.with_scope(scope.clone(), |l| l.expr(&c.value))) {
                (CompareOp::In, _) | (_, Err(_)) => {
                    let m = l.with_scope(scope.clone(), |l| l.member(value.clone(), &c.value, c.span))?;
                    match m {
                        Val::Num(k, _) => l.ir.as_const(k).is_none_or(|v| v != 0.0),
                        _ => true,
                    }
                }
                (op, Ok(Val::Num(k, _))) => l.ir.as_const(k).is_none_or(|b| match op {
                    CompareOp::Le => v <= b,
                    CompareOp::Ge => v >= b,
                    CompareOp::Lt => v < b,
                    CompareOp::Gt => v > b,
                    CompareOp::Eq => v == b,
                    _ => v != b,
                }),
                _ => true,
            };
            if !ok {
                return Err(err(
                    Code::BadOption,
                    format!(
                        "`{}` of `{}` is {v}, which fails its check",
                        f.name.text, p.decl.name.text
                    ),
                )
                .at(at, "this value")
                .at(c.span, format!("`{} {} …`", f.name.text, c.op.symbol()))
                .into());
            }
        }
        scope = scope.with(&f.name.text, Local::Val(value));
    }
    Ok(scope)
}

/// An array whose entries are remembered by position, so that naming a value twice does not lower it twice.
fn remembered(v: Val) -> Val {
    let Val::Arr(a) = v else { return v };
    let Src::Pull(f) = &a.src else { return Val::Arr(a) };
    let f = f.clone();
    let memo = std::cell::RefCell::new(std::collections::HashMap::new());
    let pull = Rc::new(move |l: &mut Lower<'_>, at: &[crate::ir::Pos]| {
        let known = memo.borrow().get(at).copied();
        if let Some(n) = known {
            return Ok(n);
        }
        let n = f(l, at)?;
        memo.borrow_mut().insert(at.to_vec(), n);
        Ok(n)
    });
    Val::Arr(Arr {
        src: Src::Pull(pull),
        ..a
    })
}
