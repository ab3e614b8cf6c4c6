//! Entries of computed arrays: reading one entry of a map is computing that entry.
//!
//! Invariant: the result reads no map with variables in it (one of data is computed once per binding and stays); loops
//! inside a map's body are cloned where the entry is read.

use std::collections::HashMap;

use super::derive::Depends;
use super::subst::Subst;
use crate::ir::{Ir, Node, NodeId, Pos};

/// The same scalar or array with every entry read from a [`Node::Map`] that depends on a variable replaced by the map's
/// body there.
pub fn inline_maps(ir: &mut Ir, root: NodeId) -> NodeId {
    let mut depends = Depends::on_vars(ir);
    inline_where(ir, root, |ir, array, _| depends.has(ir, array))
}

/// Replaces those reads (a map and the positions) that `wanted` admits.
pub fn inline_where(ir: &mut Ir, root: NodeId, wanted: impl FnMut(&Ir, NodeId, &[Pos]) -> bool) -> NodeId {
    inline_from(ir, root, HashMap::new(), wanted)
}

/// The same with `array` in place of the whole array `of`: what reads an entry of that computes the entry.
pub fn inline_for(ir: &mut Ir, root: NodeId, of: NodeId, array: NodeId) -> NodeId {
    inline_from(ir, root, HashMap::from([(of, array)]), |_, a, _| a == array)
}

fn inline_from(
    ir: &mut Ir,
    root: NodeId,
    mut done: HashMap<NodeId, NodeId>,
    mut wanted: impl FnMut(&Ir, NodeId, &[Pos]) -> bool,
) -> NodeId {
    let mut stack = vec![(root, false)];
    while let Some((n, ready)) = stack.pop() {
        if done.contains_key(&n) {
            continue;
        }
        if !ready {
            stack.push((n, true));
            // Arrays are left as they are unless they are maps: what is computed whole is computed once.
            match ir.node(n).clone() {
                Node::Apply { args, .. } => args.iter().for_each(|a| stack.push((*a, false))),
                Node::Fold { body, .. } | Node::Map { body, .. } | Node::Scatter { body, .. } => {
                    stack.push((body, false));
                }
                Node::Gather { array, .. } => stack.push((array, false)),
                Node::Const(_) | Node::Input(_) | Node::Index(_) => {}
            }
            continue;
        }
        let get = |m: NodeId| done.get(&m).copied().unwrap_or(m);
        let new = match ir.node(n).clone() {
            Node::Const(_) | Node::Input(_) | Node::Index(_) => n,
            Node::Apply { atom, args } => {
                let new: Vec<NodeId> = args.iter().map(|a| get(*a)).collect();
                if *new == *args { n } else { ir.apply(atom, &new) }
            }
            Node::Fold { atom, domain, body } => {
                let b = get(body);
                if b == body { n } else { ir.fold(atom, domain, b) }
            }
            Node::Map { domain, body } => {
                let b = get(body);
                if b == body { n } else { ir.map(domain, b) }
            }
            Node::Scatter {
                domain,
                shape,
                at,
                body,
            } => {
                let b = get(body);
                if b == body {
                    n
                } else {
                    ir.scatter(domain, shape.to_vec(), at.to_vec(), b)
                }
            }
            Node::Gather { array, at } => {
                let a = get(array);
                if wanted(ir, a, &at) {
                    gather_inlined(ir, a, &at)
                } else {
                    ir.gather(a, at.to_vec())
                }
            }
        };
        done.insert(n, new);
    }
    done.get(&root).copied().unwrap_or(root)
}

/// One entry of `array`; of a map, its body there.
pub fn gather_inlined(ir: &mut Ir, array: NodeId, at: &[Pos]) -> NodeId {
    let read = ir.gather(array, at.to_vec());
    match *ir.node(array) {
        Node::Map { domain, body } => {
            let into = ir.region(read);
            Subst::at(ir, domain, at, into).node(ir, body)
        }
        _ => read,
    }
}
