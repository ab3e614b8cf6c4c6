//! Steps on long arrays with the problem's gradient in the loops that use it: it is computed where it is read, and never stands
//! in memory.
//!
//! Invariant: takes the same steps as the script that asks for the gradient; where a step is anything but ordinary, nothing of
//! it is kept, so that the script itself can take it and say what is wrong.

use super::Scripted;
use crate::atoms;
use crate::ir::script::{Ask, Op, Reg, Register, Script, StateKind};
use crate::ir::{Input, InputKind, Ir, Node, NodeId, Sign};
use crate::passes::graft::Graft;
use crate::passes::inline::{gather_inlined, inline_for};
use crate::solve::oracle::Formula;

/// Operations of one entry of a gradient up to which it may be computed anew in every loop that reads it.
const LIGHT: usize = 32;

/// The script with the gradient in its pieces; nothing where it asks for anything else, uses the gradient as a whole, or where
/// an entry of it is not a short formula of the entries of the point.
pub fn woven(script: &Script, formula: &Formula<'_>) -> Option<Scripted> {
    let histories = script
        .states
        .iter()
        .any(|s| !matches!(s.kind, StateKind::Number | StateKind::Array(_)));
    // What is told once when a run begins stands in the script's own frame only, and a restart asks for more than the gradient.
    let told = script.fmin.is_some() || script.terms.is_some() || script.equations.is_some();
    if histories || formula.partial || script.known.is_some() || told || !script.restarts.is_empty() {
        return None;
    }
    let (at, out) = only_gradient(script)?;
    let (&[(variable, ..)], &[(gradient, ..)]) = (formula.blocks, formula.gradient) else {
        return None;
    };
    let mut new = script.clone();
    new.step.retain(|op| !matches!(op, Op::Ask { .. }));
    let ir = &mut new.ir;
    let point = script.regs[at].input;
    if dims(formula.ir, variable) != dims(ir, point) {
        return None;
    }
    let mut graft = Graft::new(formula.ir, [(variable, point)]);
    let entries = graft.node(ir, gradient);
    let entries = by_entries(ir, entries)?;
    let bound = formula
        .bound
        .iter()
        .filter_map(|(i, t)| Some((graft.input(*i)?, t.clone())));
    new.params.extend(bound);
    let asked = ir.read(script.regs[out].input);
    let mut sum = None;
    for piece in &mut new.pieces {
        let roots: Vec<NodeId> = piece.outputs.iter().map(|o| o.0).collect();
        if !ir.reachable(&roots).contains(&asked) {
            continue;
        }
        for (node, _) in &mut piece.outputs {
            *node = inline_for(ir, *node, asked, entries);
        }
        let roots: Vec<NodeId> = piece.outputs.iter().map(|o| o.0).collect();
        if ir.reachable(&roots).contains(&entries) {
            return None;
        }
        // A sum is finite only if all its entries are.
        let domain = roots.iter().find_map(|n| match ir.node(*n) {
            Node::Map { domain, .. } if ir.shape(*n) == ir.shape(entries) => Some(*domain),
            _ => None,
        })?;
        let here: Vec<_> = ir
            .domain(domain)
            .indices
            .iter()
            .map(|i| crate::ir::Pos::index(*i))
            .collect();
        let entry = gather_inlined(ir, entries, &here);
        let all = ir.fold(atoms::SUM, domain, entry);
        let input = ir.add_input(Input {
            name: String::new(),
            kind: InputKind::Var,
            dims: vec![],
            sparse: false,
            sign: Sign::Unknown,
        });
        new.regs.push(Register { len: 1, input });
        piece.outputs.push((all, new.regs.len() - 1));
        if sum.replace(new.regs.len() - 1).is_some() {
            return None;
        }
    }
    let mut method = Scripted::new(new);
    method.finite = Some(sum?);
    Some(method)
}

/// Registers of the point and of the gradient of the one thing that is asked, where no operation but an evaluation reads that.
fn only_gradient(script: &Script) -> Option<(Reg, Reg)> {
    let mut found = None;
    for op in &script.step {
        match op {
            Op::Ask {
                what: Ask::Gradient,
                args,
                batch: None,
                value: None,
                out,
                ..
            } if found.is_none() => found = Some((args[0], *out)),
            Op::Eval(_) | Op::Copy { .. } | Op::Fail { .. } => {}
            _ => return None,
        }
    }
    let (at, out) = found?;
    let copied = script
        .step
        .iter()
        .any(|op| matches!(op, Op::Copy { from, .. } if *from == out));
    let kept = script.commits.iter().any(|c| c.from == out);
    (!copied && !kept).then_some((at, out))
}

fn dims(ir: &Ir, i: crate::ir::InputId) -> Vec<usize> {
    ir.input(i).dims.iter().map(crate::base::value::IndexSet::len).collect()
}

/// An array whose entries are short formulas, as a map of them.
fn by_entries(ir: &mut Ir, array: NodeId) -> Option<NodeId> {
    let (domain, body) = match ir.node(array).clone() {
        Node::Map { domain, body } => (domain, body),
        Node::Scatter { domain, body, .. } if ir.fills(array) => (domain, body),
        _ => return None,
    };
    let own: Vec<NodeId> = ir
        .reachable(&[body])
        .into_iter()
        .filter(|n| ir.region(*n) == domain)
        .collect();
    let light = own.len() <= LIGHT && !own.iter().any(|n| matches!(ir.node(*n), Node::Fold { .. }));
    light.then(|| ir.map(domain, body))
}
