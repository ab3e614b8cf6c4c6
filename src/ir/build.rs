//! The arena and its builder: hash-consed nodes with shapes, regions and origins kept beside them.
//!
//! Invariant: node ids are topologically ordered (arguments before users), and equal nodes are one node.

use std::collections::HashMap;

use super::atom::{AtomKind, AtomRef};
use super::node::{Domain, DomainId, Index, IndexId, Input, InputId, InputKind, Node, NodeId, Pos};
use crate::base::Span;
use crate::base::value::IndexSet;

/// A program in the intermediate representation: nodes, domains, indices and inputs.
#[derive(Clone, Debug)]
pub struct Ir {
    nodes: Vec<Node>,
    shapes: Vec<Box<[usize]>>,
    regions: Vec<DomainId>,
    origins: Vec<Vec<Span>>,
    domains: Vec<Domain>,
    indices: Vec<Index>,
    inputs: Vec<Input>,
    intern: HashMap<Node, NodeId>,
    origin: Option<Span>,
}

impl Default for Ir {
    fn default() -> Self {
        Self::new()
    }
}

impl Ir {
    /// An empty program that has only the root domain.
    pub fn new() -> Self {
        Ir {
            nodes: vec![],
            shapes: vec![],
            regions: vec![],
            origins: vec![],
            domains: vec![Domain {
                parent: None,
                indices: vec![],
                filter: None,
            }],
            indices: vec![],
            inputs: vec![],
            intern: HashMap::new(),
            origin: None,
        }
    }

    // ---- reading -------------------------------------------------------------------------------------------------

    /// Number of nodes.
    pub fn len(&self) -> usize {
        self.nodes.len()
    }
    /// Has it no node?
    pub fn is_empty(&self) -> bool {
        self.nodes.is_empty()
    }
    /// The node.
    pub fn node(&self, id: NodeId) -> &Node {
        &self.nodes[id.index()]
    }
    /// Shape of its value; empty for scalars.
    pub fn shape(&self, id: NodeId) -> &[usize] {
        &self.shapes[id.index()]
    }
    /// The innermost domain it depends on.
    pub fn region(&self, id: NodeId) -> DomainId {
        self.regions[id.index()]
    }
    /// Places in the user's text it came from.
    pub fn origins(&self, id: NodeId) -> &[Span] {
        &self.origins[id.index()]
    }
    /// A domain.
    pub fn domain(&self, id: DomainId) -> &Domain {
        &self.domains[id.index()]
    }
    /// Number of domains, the root included.
    pub fn domain_count(&self) -> usize {
        self.domains.len()
    }
    /// An index.
    #[allow(clippy::should_implement_trait, reason = "reads like `node`, `domain` and `input`")]
    pub fn index(&self, id: IndexId) -> &Index {
        &self.indices[id.index()]
    }
    /// Number of indices.
    pub fn index_count(&self) -> usize {
        self.indices.len()
    }
    /// An input.
    pub fn input(&self, id: InputId) -> &Input {
        &self.inputs[id.index()]
    }
    /// Makes a variable a given value.
    pub fn fix(&mut self, id: InputId) {
        self.inputs[id.index()].kind = InputKind::Param;
    }
    /// All inputs.
    pub fn inputs(&self) -> &[Input] {
        &self.inputs
    }
    /// The number, if the node is a literal.
    pub fn as_const(&self, id: NodeId) -> Option<f64> {
        match self.node(id) {
            Node::Const(b) => Some(f64::from_bits(*b)),
            _ => None,
        }
    }
    /// Domains from the root (excluded) down to `d` (included).
    pub fn chain(&self, d: DomainId) -> Vec<DomainId> {
        let mut v = vec![];
        let mut at = d;
        while let Some(p) = self.domains[at.index()].parent {
            v.push(at);
            at = p;
        }
        v.reverse();
        v
    }
    /// Is `a` equal to `b` or above it?
    pub fn encloses(&self, a: DomainId, b: DomainId) -> bool {
        let mut at = Some(b);
        while let Some(d) = at {
            if d == a {
                return true;
            }
            at = self.domains[d.index()].parent;
        }
        false
    }
    /// The deeper of two regions of one chain.
    pub fn deeper(&self, a: DomainId, b: DomainId) -> DomainId {
        if self.encloses(a, b) { b } else { a }
    }
    /// Lengths of a domain's own index sets.
    pub fn domain_shape(&self, d: DomainId) -> Vec<usize> {
        self.domain(d)
            .indices
            .iter()
            .map(|i| self.index(*i).set.len())
            .collect()
    }
    /// Is the node a decision variable's input?
    pub fn is_var(&self, id: NodeId) -> bool {
        matches!(self.node(id), Node::Input(i) if matches!(self.input(*i).kind, InputKind::Var))
    }
    /// Does a scatter write each entry of its array once, in order?
    pub fn fills(&self, scatter: NodeId) -> bool {
        let Node::Scatter {
            domain,
            shape,
            at,
            body,
        } = self.node(scatter)
        else {
            return false;
        };
        let d = self.domain(*domain);
        d.filter.is_none()
            && self.chain(*domain).len() == 1
            && self.region(*body) == *domain
            && **shape == *self.domain_shape(*domain)
            && at.iter().map(Pos::as_index).eq(d.indices.iter().map(|i| Some(*i)))
    }
    /// Node ids of everything `roots` depend on (filters of domains included), in topological order.
    pub fn reachable(&self, roots: &[NodeId]) -> Vec<NodeId> {
        let mut seen = vec![false; self.nodes.len()];
        let mut stack: Vec<NodeId> = roots.to_vec();
        while let Some(n) = stack.pop() {
            if std::mem::replace(&mut seen[n.index()], true) {
                continue;
            }
            self.for_each_arg(n, |a| stack.push(a));
        }
        (0..self.nodes.len() as u32)
            .map(NodeId)
            .filter(|n| seen[n.index()])
            .collect()
    }
    /// Calls `f` with every node that `id` reads directly (arguments, arrays, computed positions, bodies, filters).
    pub fn for_each_arg(&self, id: NodeId, mut f: impl FnMut(NodeId)) {
        let filters = |ir: &Ir, d: DomainId, f: &mut dyn FnMut(NodeId)| {
            for d in ir.chain(d) {
                if let Some(c) = ir.domain(d).filter {
                    f(c);
                }
            }
        };
        match self.node(id) {
            Node::Const(_) | Node::Input(_) | Node::Index(_) => {}
            Node::Apply { args, .. } => args.iter().copied().for_each(f),
            Node::Gather { array, at } => {
                f(*array);
                at.iter().for_each(|p| {
                    if let Pos::Node(n) = p {
                        f(*n);
                    }
                });
            }
            Node::Fold { domain, body, .. } | Node::Map { domain, body } => {
                f(*body);
                filters(self, *domain, &mut f);
            }
            Node::Scatter { domain, at, body, .. } => {
                f(*body);
                at.iter().for_each(|p| {
                    if let Pos::Node(n) = p {
                        f(*n);
                    }
                });
                filters(self, *domain, &mut f);
            }
        }
    }

    // ---- building ------------------------------------------------------------------------------------------------

    /// Sets the place that new nodes are recorded under; returns the previous one.
    pub fn set_origin(&mut self, span: Option<Span>) -> Option<Span> {
        std::mem::replace(&mut self.origin, span)
    }
    /// Adds an input.
    pub fn add_input(&mut self, input: Input) -> InputId {
        self.inputs.push(input);
        InputId(self.inputs.len() as u32 - 1)
    }
    /// Opens a domain with named indices below `parent`; a filter may be set with [`Ir::set_filter`].
    pub fn add_domain(
        &mut self,
        parent: DomainId,
        indices: impl IntoIterator<Item = (String, IndexSet)>,
    ) -> (DomainId, Vec<IndexId>) {
        let id = DomainId(self.domains.len() as u32);
        let mut ids = vec![];
        for (name, set) in indices {
            ids.push(IndexId(self.indices.len() as u32));
            self.indices.push(Index { name, set, domain: id });
        }
        self.domains.push(Domain {
            parent: Some(parent),
            indices: ids.clone(),
            filter: None,
        });
        (id, ids)
    }
    /// Adds an index to a domain that nothing uses yet.
    pub fn add_index(&mut self, domain: DomainId, name: String, set: IndexSet) -> IndexId {
        let id = IndexId(self.indices.len() as u32);
        self.indices.push(Index { name, set, domain });
        self.domains[domain.index()].indices.push(id);
        id
    }
    /// Moves a domain up to an enclosing one that it does not depend on below.
    pub fn reparent(&mut self, domain: DomainId, parent: DomainId) {
        debug_assert!(self.encloses(parent, domain));
        self.domains[domain.index()].parent = Some(parent);
    }
    /// Restricts a domain to the instances where `filter` (a truth value in its region chain) holds.
    pub fn set_filter(&mut self, d: DomainId, filter: NodeId) {
        self.domains[d.index()].filter = Some(filter);
    }
    fn push(&mut self, node: Node, shape: Box<[usize]>, region: DomainId) -> NodeId {
        if let Some(&id) = self.intern.get(&node) {
            if let Some(o) = self.origin
                && !self.origins[id.index()].contains(&o)
                && self.origins[id.index()].len() < 8
            {
                self.origins[id.index()].push(o);
            }
            return id;
        }
        let id = NodeId(self.nodes.len() as u32);
        self.intern.insert(node.clone(), id);
        self.nodes.push(node);
        self.shapes.push(shape);
        self.regions.push(region);
        self.origins.push(self.origin.into_iter().collect());
        id
    }
    /// A number. (Negative zero is kept apart from zero.)
    pub fn constant(&mut self, v: f64) -> NodeId {
        self.push(Node::Const(v.to_bits()), Box::new([]), DomainId::ROOT)
    }
    /// A whole input.
    pub fn read(&mut self, input: InputId) -> NodeId {
        let shape = self.inputs[input.index()].dims.iter().map(IndexSet::len).collect();
        self.push(Node::Input(input), shape, DomainId::ROOT)
    }
    /// The value of a bound index.
    pub fn index_value(&mut self, i: IndexId) -> NodeId {
        let d = self.index(i).domain;
        self.push(Node::Index(i), Box::new([]), d)
    }
    /// Applies a scalar or array atom after trying its identities; the error is the shape rule's sentence.
    pub fn try_apply(&mut self, atom: AtomRef, args: &[NodeId]) -> Result<NodeId, String> {
        for id in atom.simplify {
            if let Some(n) = (id.apply)(self, args) {
                return Ok(n);
            }
        }
        let shape = if atom.kind == AtomKind::Scalar {
            if let Some(bad) = args.iter().find(|a| !self.shape(**a).is_empty()) {
                return Err(format!(
                    "`{}` takes numbers, found an array of shape {:?}",
                    atom.name,
                    self.shape(*bad)
                ));
            }
            vec![]
        } else {
            let shapes: Vec<&[usize]> = args.iter().map(|a| self.shape(*a)).collect();
            (atom.shape)(&shapes)?
        };
        let region = args.iter().fold(DomainId::ROOT, |r, a| self.deeper(r, self.region(*a)));
        Ok(self.push(
            Node::Apply {
                atom,
                args: args.into(),
            },
            shape.into(),
            region,
        ))
    }
    /// Applies an atom whose shapes are known to fit (rules of derivatives and passes).
    ///
    /// # Panics
    /// If the shapes do not fit: a mistake in a rule, not in a user's program.
    #[allow(clippy::panic, reason = "shapes inside rules are fixed by construction")]
    pub fn apply(&mut self, atom: AtomRef, args: &[NodeId]) -> NodeId {
        match self.try_apply(atom, args) {
            Ok(n) => n,
            Err(e) => panic!("rule of `{}`: {e}", atom.name),
        }
    }
    /// One entry of a root array.
    pub fn gather(&mut self, array: NodeId, at: Vec<Pos>) -> NodeId {
        debug_assert_eq!(self.shape(array).len(), at.len(), "as many positions as dimensions");
        if at.is_empty() {
            return array;
        }
        let mut region = DomainId::ROOT;
        for p in &at {
            match p {
                Pos::Affine { terms, .. } => {
                    for (i, _) in terms {
                        region = self.deeper(region, self.index(*i).domain);
                    }
                }
                Pos::Node(n) => region = self.deeper(region, self.region(*n)),
            }
        }
        self.push(Node::Gather { array, at: at.into() }, Box::new([]), region)
    }
    /// A reduction over a domain; its region is the domain's parent.
    pub fn fold(&mut self, atom: AtomRef, domain: DomainId, body: NodeId) -> NodeId {
        let region = self.domain(domain).parent.unwrap_or(DomainId::ROOT);
        self.push(Node::Fold { atom, domain, body }, Box::new([]), region)
    }
    /// The array of `body` over `domain` (a child of the root without filter).
    pub fn map(&mut self, domain: DomainId, body: NodeId) -> NodeId {
        debug_assert_eq!(self.domain(domain).parent, Some(DomainId::ROOT));
        // The map of plain reads of a whole array is that array.
        if let Node::Gather { array, at } = self.node(body) {
            let own = &self.domain(domain).indices;
            if at.len() == own.len()
                && at.iter().zip(own).all(|(p, i)| p.as_index() == Some(*i))
                && *self.shape(*array) == *self.domain_shape(domain)
            {
                return *array;
            }
        }
        let shape = self.domain_shape(domain).into();
        self.push(Node::Map { domain, body }, shape, DomainId::ROOT)
    }
    /// The array that sums `body` over all instances of `domain` into `at`.
    pub fn scatter(&mut self, domain: DomainId, shape: Vec<usize>, at: Vec<Pos>, body: NodeId) -> NodeId {
        let s: Box<[usize]> = shape.into();
        self.push(
            Node::Scatter {
                domain,
                shape: s.clone(),
                at: at.into(),
                body,
            },
            s,
            DomainId::ROOT,
        )
    }
}
