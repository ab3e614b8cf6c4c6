//! Nodes of one program copied into another.
//!
//! Invariant: a copy computes what its original does, of the inputs that stand for the original's.

use std::collections::HashMap;

use crate::ir::{DomainId, IndexId, InputId, Ir, Node, NodeId, Pos};

/// What was copied so far, and where to.
pub struct Graft<'a> {
    from: &'a Ir,
    domains: HashMap<DomainId, DomainId>,
    indices: HashMap<IndexId, IndexId>,
    inputs: HashMap<InputId, InputId>,
    nodes: HashMap<NodeId, NodeId>,
}

impl<'a> Graft<'a> {
    /// Copies from `from`; an input that stands in `inputs` is read there, any other is copied.
    pub fn new(from: &'a Ir, inputs: impl IntoIterator<Item = (InputId, InputId)>) -> Graft<'a> {
        Graft {
            from,
            domains: HashMap::from([(DomainId::ROOT, DomainId::ROOT)]),
            indices: HashMap::new(),
            inputs: inputs.into_iter().collect(),
            nodes: HashMap::new(),
        }
    }

    /// The copy of an input, if a node that was copied reads it.
    pub fn input(&self, i: InputId) -> Option<InputId> {
        self.inputs.get(&i).copied()
    }

    /// The copy of a node.
    pub fn node(&mut self, into: &mut Ir, node: NodeId) -> NodeId {
        // Arguments come before what reads them; a filter of a domain before the loops over it.
        for n in self.from.reachable(&[node]) {
            if !self.nodes.contains_key(&n) {
                let copy = self.copy(into, n);
                self.nodes.insert(n, copy);
            }
        }
        self.nodes[&node]
    }

    fn copy(&mut self, into: &mut Ir, n: NodeId) -> NodeId {
        match self.from.node(n).clone() {
            Node::Const(b) => into.constant(f64::from_bits(b)),
            Node::Input(i) => {
                let from = self.from;
                let copy = *self
                    .inputs
                    .entry(i)
                    .or_insert_with(|| into.add_input(from.input(i).clone()));
                into.read(copy)
            }
            Node::Index(i) => {
                let i = self.index(into, i);
                into.index_value(i)
            }
            Node::Apply { atom, args } => {
                let args: Vec<NodeId> = args.iter().map(|a| self.nodes[a]).collect();
                into.apply(atom, &args)
            }
            Node::Gather { array, at } => {
                let at = self.positions(into, &at);
                into.gather(self.nodes[&array], at)
            }
            Node::Fold { atom, domain, body } => {
                let domain = self.domain(into, domain);
                into.fold(atom, domain, self.nodes[&body])
            }
            Node::Map { domain, body } => {
                let domain = self.domain(into, domain);
                into.map(domain, self.nodes[&body])
            }
            Node::Scatter {
                domain,
                shape,
                at,
                body,
            } => {
                let domain = self.domain(into, domain);
                let at = self.positions(into, &at);
                into.scatter(domain, shape.to_vec(), at, self.nodes[&body])
            }
        }
    }

    fn positions(&mut self, into: &mut Ir, at: &[Pos]) -> Vec<Pos> {
        let mut new = vec![];
        for p in at {
            new.push(match p {
                Pos::Node(n) => Pos::Node(self.nodes[n]),
                Pos::Affine { terms, offset } => {
                    let mut terms: Vec<_> = terms.iter().map(|(i, s)| (self.index(into, *i), *s)).collect();
                    terms.sort();
                    Pos::Affine { terms, offset: *offset }
                }
            });
        }
        new
    }

    fn index(&mut self, into: &mut Ir, i: IndexId) -> IndexId {
        self.domain(into, self.from.index(i).domain);
        self.indices[&i]
    }

    fn domain(&mut self, into: &mut Ir, domain: DomainId) -> DomainId {
        for d in self.from.chain(domain) {
            if !self.domains.contains_key(&d) {
                let old = self.from.domain(d);
                let above = old.parent.map_or(DomainId::ROOT, |p| self.domains[&p]);
                let sets = old.indices.iter().map(|i| self.from.index(*i));
                let (copy, new) = into.add_domain(above, sets.map(|i| (i.name.clone(), i.set.clone())));
                self.domains.insert(d, copy);
                self.indices.extend(old.indices.iter().copied().zip(new));
            }
            // The filter reads indices of the domain itself, so it can only be set once it was copied.
            let (old, copy) = (self.from.domain(d).filter, self.domains[&d]);
            if let Some(f) = old.and_then(|f| self.nodes.get(&f)) {
                into.set_filter(copy, *f);
            }
        }
        self.domains[&domain]
    }
}
