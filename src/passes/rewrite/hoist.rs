//! What does not change inside a loop is computed outside it; what holds no variable is computed once per binding.
//!
//! Invariant: an array is made only of entries that the loops read, and never beyond [`LARGEST`] entries.

use super::fuse::{arithmetic, cheap};
use super::{Rewrite, Rewriter};
use crate::ir::{AtomKind, DomainId, IndexId, Node, NodeId, Pos};
use crate::passes::inline::inline_where;
use crate::passes::subst::Subst;

/// Entries of the largest array made here.
pub const LARGEST: usize = 4_000_000;

/// The rows of this file.
pub const ROWS: &[Rewrite] = &[
    Rewrite {
        name: "reduction out of a loop",
        condition: "it does not depend on all indices around it, none of which is filtered",
        exact: true,
        before: "var x [1..3]\nvar y [1..2]\nout sum(i in 1..3) exp(mul(x[i], max(j in 1..2) sin(y[j])))",
        after: "var x [1..3]\nvar y [1..2]\n%1 = max(i1 in 1..2) sin(y[i1])\nout sum(i2 in 1..3) exp(mul(%1, x[i2]))",
        apply: |r, n| {
            matches!(r.ir.node(n), Node::Fold { .. })
                .then(|| outward(r, n))
                .flatten()
        },
    },
    Rewrite {
        name: "data out of a loop",
        condition: "a function of data, more than arithmetic, that does not depend on all indices around it",
        exact: true,
        before: "param s [1..2]\nvar x [1..3]\nout max(i in 1..3, j in 1..2) mul(sub(x[i], 1), exp(s[j]))",
        after: "param s [1..2]\nvar x [1..3]\n%1 = map(i1 in 1..2) exp(s[i1])\nout max(i2 in 1..3, i3 in 1..2) mul(%1[i3], sub(x[i2], 1))",
        apply: |r, n| {
            let call = matches!(r.ir.node(n), Node::Apply { .. });
            (call && r.ir.region(n) != DomainId::ROOT && !r.has_var(n) && !arithmetic(r, n))
                .then(|| outward(r, n))
                .flatten()
        },
    },
    Rewrite {
        name: "map of a map of data",
        condition: "the inner one is read at the outer one's own indices",
        exact: true,
        before: "param a [1..3]\nvar x [1..3]\n%1 = map(i in 1..3) exp(a[i])\n%2 = map(i in 1..3) sin(%1[i])\nout max(i in 1..3) mul(%2[i], x[i])",
        after: "param a [1..3]\nvar x [1..3]\n%1 = map(i1 in 1..3) sin(exp(a[i1]))\nout max(i2 in 1..3) mul(%1[i2], x[i2])",
        apply: map_of_map,
    },
    Rewrite {
        name: "data computed once",
        condition: "a part of an expression of variables that holds none, costs more than arithmetic, and is not filtered",
        exact: true,
        before: "param a [1..3]\nvar x [1..3]\nout max(i in 1..3) mul(exp(a[i]), x[i])",
        after: "param a [1..3]\nvar x [1..3]\n%1 = map(i1 in 1..3) exp(a[i1])\nout max(i2 in 1..3) mul(%1[i2], x[i2])",
        apply: data,
    },
];

/// All indices around a node, outermost first; `None` if a filter is among them.
fn around(r: &Rewriter<'_>, region: DomainId) -> Option<Vec<IndexId>> {
    let mut all = vec![];
    for d in r.ir.chain(region) {
        if !r.plain(d) {
            return None;
        }
        all.extend(&r.ir.domain(d).indices);
    }
    Some(all)
}

impl Rewriter<'_> {
    /// A scalar as an entry of the array of its values over the indices it depends on (a root scalar if on none).
    pub(super) fn materialized(&mut self, n: NodeId) -> Option<NodeId> {
        let region = self.ir.region(n);
        let all = around(self, region)?;
        let free = self.free(n);
        let own: Vec<IndexId> = all.iter().copied().filter(|i| free.contains(i)).collect();
        let sets: Vec<_> = own.iter().map(|i| self.ir.index(*i).set.clone()).collect();
        let size = sets.iter().try_fold(1usize, |n, s| n.checked_mul(s.len()))?;
        if size > LARGEST || free.len() != own.len() {
            return None;
        }
        let target = if own.is_empty() {
            DomainId::ROOT
        } else {
            self.map_domain(&sets)
        };
        let new = self.ir.domain(target).indices.clone();
        let mut at: Vec<(IndexId, Pos)> = all.iter().map(|i| (*i, Pos::fixed(0))).collect();
        for (i, j) in own.iter().zip(new) {
            if let Some(a) = at.iter_mut().find(|a| a.0 == *i) {
                a.1 = Pos::index(j);
            }
        }
        let chain = self.ir.chain(region);
        let body = Subst::moved(&chain, at, target).node(self.ir, n);
        let body = self.run(body);
        if own.is_empty() {
            return Some(body);
        }
        let array = self.ir.map(target, body);
        Some(self.ir.gather(array, own.into_iter().map(Pos::index).collect()))
    }
}

/// Out of the loops whose indices a node does not depend on.
fn outward(r: &mut Rewriter<'_>, n: NodeId) -> Option<NodeId> {
    let region = r.ir.region(n);
    let all = around(r, region)?;
    let free = r.free(n);
    if all.iter().all(|i| free.contains(i)) {
        return None;
    }
    // Up to the innermost loop it depends on, if that is not the one it stands in.
    let chain = r.ir.chain(region);
    let keep = chain
        .iter()
        .rposition(|d| r.ir.domain(*d).indices.iter().any(|i| free.contains(i)))
        .map_or(0, |k| k + 1);
    if keep == chain.len() {
        return r.materialized(n);
    }
    let target = if keep == 0 { DomainId::ROOT } else { chain[keep - 1] };
    let left = &chain[keep..];
    let at = left
        .iter()
        .flat_map(|d| r.ir.domain(*d).indices.clone())
        .map(|i| (i, Pos::fixed(0)))
        .collect();
    Some(Subst::moved(left, at, target).node(r.ir, n))
}

fn map_of_map(r: &mut Rewriter<'_>, n: NodeId) -> Option<NodeId> {
    let Node::Map { domain, body } = *r.ir.node(n) else {
        return None;
    };
    if r.has_var(n) {
        return None;
    }
    let own = r.ir.domain(domain).indices.clone();
    let new = inline_where(r.ir, body, |ir, array, at| {
        matches!(ir.node(array), Node::Map { .. })
            && at.len() == own.len()
            && own.iter().all(|i| at.iter().any(|p| p.as_index() == Some(*i)))
    });
    if new == body {
        return None;
    }
    let new = r.run(new);
    Some(r.ir.map(domain, new))
}

fn data(r: &mut Rewriter<'_>, n: NodeId) -> Option<NodeId> {
    let Node::Apply { atom, args } = r.ir.node(n).clone() else {
        return None;
    };
    if atom.kind != AtomKind::Scalar || r.ir.region(n) == DomainId::ROOT || !r.has_var(n) {
        return None;
    }
    let mut new = args.to_vec();
    for a in &mut new {
        let plain = matches!(r.ir.node(*a), Node::Gather { .. });
        if r.ir.region(*a) != DomainId::ROOT && !plain && !r.has_var(*a) && !cheap(r, *a) {
            *a = r.materialized(*a).unwrap_or(*a);
        }
    }
    (*new != *args).then(|| r.ir.apply(atom, &new))
}
