//! Where a proximal step may take its length from: behind a plain gradient step of that length, and nothing else.
//!
//! Invariant: what is let through ends at minimizers. There `x = prox_t(x - v)` holds where `v` is `t` times the gradient; behind
//! momentum, scaled gradients or a search the proximal steps would end at another point.

use std::collections::BTreeMap;

use super::super::{Lowered, err};
use super::{PartCall, STEP_LENGTH};
use crate::base::Code;
use crate::lang::syntax::{Arg, BinaryOp, Expr, ExprKind, OptimizerDecl, StepKind, show};

/// Refuses a transform that asks for a proximal point of the optimizer's step length where the way to it is longer or
/// shorter than a gradient step.
pub fn check_length(parts: &[PartCall<'_>], main: usize, k: usize) -> Lowered<()> {
    let p = &parts[k];
    let own = p.args.iter().any(|(n, _)| n == STEP_LENGTH);
    if own || !asks_prox(p.decl) {
        return Ok(());
    }
    let between = parts[..main]
        .iter()
        .chain(parts.get(main + 1..k).unwrap_or_default())
        .find(|q| q.decl.of_update());
    let optimizer = &parts[main];
    let (name, why) = match between {
        Some(q) => (&q.decl.name.text, "changes how far a step goes"),
        None if is_gradient_step(optimizer.decl) => return Ok(()),
        None => (
            &optimizer.decl.name.text,
            "does not go that long a step along the gradient",
        ),
    };
    let own = &p.decl.name.text;
    Err(err(
        Code::BadOption,
        format!("without `lr`, `{own}` takes the length of its step from `{}`, and `{name}` {why}", optimizer.decl.name.text),
    )
    .at(p.span, "used here")
    .help(format!(
        "`gd`, `nesterov` and `accelerated` go with `{own}()`, and `fista()` needs no length; or give it one: `{own}(lr: …)`"
    ))
    .into())
}

fn asks_prox(d: &OptimizerDecl) -> bool {
    let mut found = false;
    d.step.iter().for_each(|s| {
        s.for_each_expr(&mut |e| found |= called(e).is_some_and(|(n, _)| n == "prox"));
    });
    found
}

/// Is every change of the point `x <- p - lr(t)*g`, `g` the gradient at `p`?
fn is_gradient_step(d: &OptimizerDecl) -> bool {
    let mut gradients: BTreeMap<&str, String> = BTreeMap::new();
    let (mut steps, mut others) = (0, 0);
    for s in &d.step {
        s.for_each_stmt(&mut |s| match &s.kind {
            StepKind::Let(l) => {
                if let Some(at) = gradient_at(&l.value) {
                    gradients.insert(&l.name.text, at);
                }
            }
            StepKind::Update {
                name,
                block: None,
                value,
                ..
            } if name.text == "x" => match along(value, &gradients) {
                true => steps += 1,
                false => others += 1,
            },
            StepKind::Update { name, .. } if name.text == "x" => others += 1,
            StepKind::Each { .. } => others += 1,
            _ => {}
        });
    }
    steps > 0 && others == 0
}

fn along(value: &Expr, gradients: &BTreeMap<&str, String>) -> bool {
    let ExprKind::Chain { first, rest } = &value.kind else {
        return false;
    };
    let [step] = rest.as_slice() else { return false };
    let ExprKind::Chain { first: length, rest } = &step.operand.kind else {
        return false;
    };
    let [gradient] = rest.as_slice() else { return false };
    let own = called(length).map_or_else(|| length.as_name(), |(n, _)| Some(n)) == Some(STEP_LENGTH);
    let named = gradient.operand.as_name().and_then(|n| gradients.get(n).cloned());
    let at = gradient_at(&gradient.operand).or(named);
    step.op == BinaryOp::Sub && gradient.op == BinaryOp::Mul && own && at == Some(show(first))
}

/// Where `grad(p)` is asked for, as it is written.
fn gradient_at(e: &Expr) -> Option<String> {
    match called(e) {
        Some(("grad", args)) => args.first().map(|a| show(&a.value)),
        _ => None,
    }
}

fn called(e: &Expr) -> Option<(&str, &[Arg])> {
    match &e.kind {
        ExprKind::Call { callee, args } => callee.as_name().map(|n| (n, args.as_slice())),
        _ => None,
    }
}
