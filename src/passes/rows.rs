//! Rows of arrays at positions that are known at run time only, computed for those rows and no others.
//!
//! Invariant: an array of rows has the entries of the array it is taken from; where an operation mixes rows, or stores them
//! in a way of its own, the array stays whole.

use std::collections::HashMap;

use super::derive::Depends;
use super::subst::Subst;
use crate::atoms::{self, rules};
use crate::base::value::IndexSet;
use crate::ir::{DomainId, IndexId, Ir, Node, NodeId, Pos};

/// Takes rows of what depends on variables; what does not is evaluated once and read where it is.
pub struct Rows {
    /// A vector of positions from 0.
    positions: NodeId,
    vars: Depends,
    /// By array and dimension.
    taken: HashMap<(NodeId, usize), Option<NodeId>>,
}

impl Rows {
    /// At the positions that a vector holds.
    pub fn at(ir: &Ir, positions: NodeId) -> Rows {
        Rows {
            positions,
            vars: Depends::on_vars(ir),
            taken: HashMap::new(),
        }
    }

    /// A node of the region of `k`, or below, with entries at `positions[k]` read from arrays of rows.
    pub fn within(&mut self, ir: &mut Ir, node: NodeId, k: IndexId) -> NodeId {
        let at = ir.gather(self.positions, vec![Pos::index(k)]);
        let mut done: HashMap<NodeId, NodeId> = HashMap::new();
        let mut stack = vec![(node, false)];
        while let Some((n, ready)) = stack.pop() {
            let root = ir.region(n) == DomainId::ROOT;
            if root || done.contains_key(&n) {
                continue;
            }
            if !ready {
                stack.push((n, true));
                ir.for_each_arg(n, |a| stack.push((a, false)));
                continue;
            }
            let get = |m: NodeId| done.get(&m).copied().unwrap_or(m);
            let new = match ir.node(n).clone() {
                Node::Apply { atom, args } => {
                    let args: Vec<NodeId> = args.iter().map(|a| get(*a)).collect();
                    ir.apply(atom, &args)
                }
                Node::Fold { atom, domain, body } => ir.fold(atom, domain, get(body)),
                Node::Gather { mut array, at: old } => {
                    let mut new: Vec<Pos> = old
                        .iter()
                        .map(|p| match p {
                            Pos::Node(m) => Pos::Node(get(*m)),
                            affine => affine.clone(),
                        })
                        .collect();
                    let by_rows: Vec<usize> = (0..old.len()).filter(|d| old[*d] == Pos::Node(at)).collect();
                    if let [axis] = by_rows[..]
                        && self.vars.has(ir, array)
                        && !ir.is_var(array)
                        && let Some(rows) = self.take(ir, array, axis)
                    {
                        array = rows;
                        new[axis] = Pos::index(k);
                    }
                    ir.gather(array, new)
                }
                _ => n,
            };
            done.insert(n, new);
        }
        done.get(&node).copied().unwrap_or(node)
    }

    /// The array with the positions along a dimension, if that saves anything.
    fn take(&mut self, ir: &mut Ir, array: NodeId, axis: usize) -> Option<NodeId> {
        if let Some(known) = self.taken.get(&(array, axis)) {
            return *known;
        }
        let new = self.taken_anew(ir, array, axis);
        self.taken.insert((array, axis), new);
        new
    }

    fn taken_anew(&mut self, ir: &mut Ir, array: NodeId, axis: usize) -> Option<NodeId> {
        match ir.node(array).clone() {
            Node::Map { domain, body } => {
                let sets = ir
                    .domain(domain)
                    .indices
                    .iter()
                    .map(|i| ir.index(*i).set.clone())
                    .collect();
                self.mapped(ir, sets, axis, |ir, at, new| {
                    Subst::at(ir, domain, at, new).node(ir, body)
                })
            }
            Node::Apply { atom, args } => {
                let (a, b) = (args[0], args.get(1).copied());
                let of = if atom == atoms::TRANSPOSE {
                    vec![self.take(ir, a, 1 - axis)?]
                } else if atom == atoms::ARRAY_ADD || atom == atoms::ARRAY_SUB {
                    vec![self.take(ir, a, axis)?, self.take(ir, b?, axis)?]
                } else if atom == atoms::ARRAY_SCALE {
                    vec![a, self.take(ir, b?, axis)?]
                } else if atom == atoms::OUTER || atom == atoms::MATMUL {
                    match (
                        axis,
                        rules::arg_of(ir, a, atoms::DIAG).filter(|_| atom == atoms::MATMUL),
                    ) {
                        (0, Some(d)) => {
                            let d = self.take(ir, d, 0)?;
                            vec![ir.apply(atoms::DIAG, &[d]), self.take(ir, b?, 0)?]
                        }
                        (0, None) => vec![self.take(ir, a, 0)?, b?],
                        _ => {
                            let last = ir.shape(b?).len() - 1;
                            vec![a, self.take(ir, b?, last)?]
                        }
                    }
                } else {
                    return None;
                };
                ir.try_apply(atom, &of).ok()
            }
            Node::Input(i) => {
                // Entry by entry it would lose what makes it sparse.
                if ir.input(i).sparse {
                    return None;
                }
                let sets = ir.input(i).dims.clone();
                self.mapped(ir, sets, axis, |ir, at, _| ir.gather(array, at.to_vec()))
            }
            _ => None,
        }
    }

    /// An array made entry by entry, with the positions in one dimension.
    fn mapped(
        &mut self,
        ir: &mut Ir,
        sets: Vec<IndexSet>,
        axis: usize,
        body: impl FnOnce(&mut Ir, &[Pos], DomainId) -> NodeId,
    ) -> Option<NodeId> {
        let count = ir.shape(self.positions).first().copied()?;
        let own = sets.into_iter().enumerate().map(|(d, set)| {
            let set = if d == axis { IndexSet::upto(count) } else { set };
            (format!("k{d}"), set)
        });
        let own: Vec<(String, IndexSet)> = own.collect();
        let (domain, indices) = ir.add_domain(DomainId::ROOT, own);
        let mut at: Vec<Pos> = indices.iter().map(|i| Pos::index(*i)).collect();
        at[axis] = Pos::Node(ir.gather(self.positions, vec![Pos::index(indices[axis])]));
        let body = body(ir, &at, domain);
        let body = self.within(ir, body, indices[axis]);
        Some(ir.map(domain, body))
    }
}
