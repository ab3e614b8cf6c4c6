//! Substitution: a region scalar moved into another region, its indices replaced by positions there.
//!
//! Invariant: domains bound inside the moved node are cloned below the target, so no index is ever captured; what does
//! not depend on a replaced domain stays the same node.

use std::collections::{BTreeMap, HashMap};

use crate::atoms::rules;
use crate::ir::{DomainId, IndexId, Ir, Node, NodeId, Pos};

/// What replaces what.
#[derive(Clone, Debug, Default)]
pub struct Subst {
    /// Replaced domains and the regions their nodes move to.
    domains: BTreeMap<DomainId, DomainId>,
    indices: BTreeMap<IndexId, Pos>,
    done: HashMap<NodeId, NodeId>,
}

impl Subst {
    /// Replaces the indices of `domain` by `at`, positions in the region `into` or above.
    pub fn at(ir: &Ir, domain: DomainId, at: &[Pos], into: DomainId) -> Subst {
        let mut s = Subst::default();
        s.domains.insert(domain, into);
        for (i, p) in ir.domain(domain).indices.iter().zip(at) {
            s.indices.insert(*i, p.clone());
        }
        s
    }

    /// Moves the nodes of several nested domains into one that has all their indices in order.
    pub fn merged(ir: &Ir, domains: &[DomainId], into: DomainId) -> Subst {
        let mut s = Subst::default();
        let old = domains.iter().flat_map(|d| ir.domain(*d).indices.clone());
        for (i, j) in old.zip(&ir.domain(into).indices) {
            s.indices.insert(i, Pos::index(*j));
        }
        s.domains.extend(domains.iter().map(|d| (*d, into)));
        s
    }

    /// Moves what lives in `domains` into the region `into`, their indices replaced by positions there.
    pub fn moved(domains: &[DomainId], at: Vec<(IndexId, Pos)>, into: DomainId) -> Subst {
        Subst {
            domains: domains.iter().map(|d| (*d, into)).collect(),
            indices: at.into_iter().collect(),
            ..Subst::default()
        }
    }

    /// Clones `domain`, whose parent encloses `under`, below `under`; returns the clone.
    pub fn nested(ir: &mut Ir, domain: DomainId, under: DomainId) -> (Subst, DomainId) {
        let mut s = Subst::default();
        let clone = s.clone_domain(ir, domain, under);
        s.finish_filter(ir, domain, clone);
        (s, clone)
    }

    fn clone_domain(&mut self, ir: &mut Ir, domain: DomainId, under: DomainId) -> DomainId {
        let own = ir.domain(domain).indices.clone();
        let sets: Vec<_> = own
            .iter()
            .map(|i| (ir.index(*i).name.clone(), ir.index(*i).set.clone()))
            .collect();
        let (clone, new) = ir.add_domain(under, sets);
        self.domains.insert(domain, clone);
        for (old, new) in own.iter().zip(new) {
            self.indices.insert(*old, Pos::index(new));
        }
        clone
    }

    fn finish_filter(&mut self, ir: &mut Ir, domain: DomainId, clone: DomainId) {
        if ir.domain(clone).filter.is_none()
            && let Some(f) = ir.domain(domain).filter
        {
            let f = self.node(ir, f);
            ir.set_filter(clone, f);
        }
    }

    fn touches(&self, ir: &Ir, region: DomainId) -> bool {
        ir.chain(region).iter().any(|d| self.domains.contains_key(d))
    }

    /// Where `domain` lives after the substitution, cloned if a domain above it is replaced.
    fn domain(&mut self, ir: &mut Ir, domain: DomainId) -> DomainId {
        for d in ir.chain(domain) {
            if self.domains.contains_key(&d) {
                continue;
            }
            let parent = ir.domain(d).parent.unwrap_or(DomainId::ROOT);
            if let Some(&under) = self.domains.get(&parent) {
                self.clone_domain(ir, d, under);
            }
        }
        self.domains.get(&domain).copied().unwrap_or(domain)
    }

    /// The node after the substitution.
    pub fn node(&mut self, ir: &mut Ir, node: NodeId) -> NodeId {
        if !self.touches(ir, ir.region(node)) {
            return node;
        }
        let mut stack = vec![(node, false)];
        while let Some((n, ready)) = stack.pop() {
            if self.done.contains_key(&n) || !self.touches(ir, ir.region(n)) {
                continue;
            }
            if !ready {
                stack.push((n, true));
                ir.for_each_arg(n, |a| stack.push((a, false)));
                continue;
            }
            let new = self.rebuild(ir, n);
            self.done.insert(n, new);
        }
        self.get(node)
    }

    fn get(&self, n: NodeId) -> NodeId {
        self.done.get(&n).copied().unwrap_or(n)
    }

    fn rebuild(&mut self, ir: &mut Ir, n: NodeId) -> NodeId {
        match ir.node(n).clone() {
            Node::Index(i) => match self.index_of(ir, i) {
                Some(p) => {
                    let lo = ir.index(i).set.lo();
                    position_value(ir, &p, lo)
                }
                None => n,
            },
            Node::Apply { atom, args } => {
                let args: Vec<NodeId> = args.iter().map(|a| self.get(*a)).collect();
                ir.apply(atom, &args)
            }
            Node::Gather { array, at } => {
                let at = at.iter().map(|p| self.pos(ir, p)).collect();
                ir.gather(array, at)
            }
            Node::Fold { atom, domain, body } => {
                let clone = self.domain(ir, domain);
                if clone != domain {
                    self.finish_filter(ir, domain, clone);
                }
                let body = self.get(body);
                ir.fold(atom, clone, body)
            }
            // Arrays live at the root and touch nothing.
            Node::Const(_) | Node::Input(_) | Node::Map { .. } | Node::Scatter { .. } => n,
        }
    }

    /// The position that replaces an index; clones its domain if that lies below a replaced one.
    fn index_of(&mut self, ir: &mut Ir, i: IndexId) -> Option<Pos> {
        let domain = ir.index(i).domain;
        self.domain(ir, domain);
        self.indices.get(&i).cloned()
    }

    /// A position after the substitution. Computed positions must have been visited by [`Subst::node`] as arguments.
    pub fn pos(&mut self, ir: &mut Ir, p: &Pos) -> Pos {
        match p {
            Pos::Node(n) => {
                let n = self.node(ir, *n);
                Pos::Node(n)
            }
            Pos::Affine { terms, offset } => {
                let mut sum: BTreeMap<IndexId, i64> = BTreeMap::new();
                let mut shift = *offset;
                let mut computed = vec![];
                for (i, stride) in terms {
                    match self.index_of(ir, *i) {
                        None => *sum.entry(*i).or_default() += stride,
                        Some(Pos::Affine { terms, offset }) => {
                            shift += stride * offset;
                            for (j, s) in terms {
                                *sum.entry(j).or_default() += stride * s;
                            }
                        }
                        Some(Pos::Node(n)) => computed.push((n, *stride)),
                    }
                }
                let affine = Pos::Affine {
                    terms: sum.into_iter().filter(|(_, s)| *s != 0).collect(),
                    offset: shift,
                };
                match computed.as_slice() {
                    [] => affine,
                    [(n, 1)] if affine == Pos::fixed(0) => Pos::Node(*n),
                    _ => {
                        let mut v = position_value(ir, &affine, 0);
                        for (n, stride) in computed {
                            let t = rules::times(ir, stride as f64, n);
                            v = rules::add(ir, v, t);
                        }
                        Pos::Node(v)
                    }
                }
            }
        }
    }
}

/// The scalar `position + shift`.
pub fn position_value(ir: &mut Ir, p: &Pos, shift: i64) -> NodeId {
    match p {
        Pos::Node(n) => {
            let s = ir.constant(shift as f64);
            rules::add(ir, *n, s)
        }
        Pos::Affine { terms, offset } => {
            let mut constant = offset + shift;
            let mut sum: Option<NodeId> = None;
            for (i, stride) in terms {
                // The value of an index is its element, which starts at `lo`, not its position.
                constant -= stride * ir.index(*i).set.lo();
                let v = ir.index_value(*i);
                let t = if *stride == 1 {
                    v
                } else {
                    rules::times(ir, *stride as f64, v)
                };
                sum = Some(match sum {
                    Some(s) => rules::add(ir, s, t),
                    None => t,
                });
            }
            let c = ir.constant(constant as f64);
            match sum {
                None => c,
                Some(s) if constant == 0 => s,
                Some(s) => rules::add(ir, s, c),
            }
        }
    }
}
