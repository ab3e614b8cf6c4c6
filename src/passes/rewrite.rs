//! Canonical rewrites: index form and matrix form become one form.
//!
//! Invariant: a rewrite changes no value except by the rounding its row admits, and a result is rewritten until no row
//! applies. What is equal in meaning and within these rows prints as equal text.

mod algebra;
mod arrays;
mod fuse;
mod hoist;
mod keys;
mod products;
mod sums;

use std::collections::{BTreeMap, BTreeSet, HashMap};

use super::derive::Depends;
use super::subst::Subst;
use crate::atoms::{ARRAY_ADD, ARRAY_SCALE, ARRAY_SUB, MATMUL, TRANSPOSE, rules};
use crate::base::value::IndexSet;
use crate::ir::{DomainId, IndexId, Ir, Node, NodeId, Pos};

/// One rewrite; the table is tested by its own text.
pub struct Rewrite {
    /// Name shown by `--emit`.
    pub name: &'static str,
    /// When it applies.
    pub condition: &'static str,
    /// Keeps every bit of the result?
    pub exact: bool,
    /// A program in the textual form.
    pub before: &'static str,
    /// What becomes of it.
    pub after: &'static str,
    /// The rewritten node, or `None` where it does not apply.
    pub apply: fn(&mut Rewriter<'_>, NodeId) -> Option<NodeId>,
}

/// All rewrites in the order they are tried.
pub fn rewrites() -> impl Iterator<Item = &'static Rewrite> {
    [
        fuse::ROWS,
        hoist::ROWS,
        arrays::ROWS,
        algebra::ROWS,
        sums::ROWS,
        products::ROWS,
    ]
    .into_iter()
    .flatten()
}

/// Results are rewritten again at most this deep: far more than any chain of rows, so that a loop of rows ends.
const DEEPEST: usize = 64;

/// Which rows to use.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Level {
    /// Those that keep every bit.
    Exact,
    /// All.
    All,
}

/// The rewriting of one program.
pub struct Rewriter<'a> {
    pub(super) ir: &'a mut Ir,
    depends: Depends,
    level: Level,
    done: HashMap<NodeId, NodeId>,
    keys: HashMap<NodeId, u128>,
    free: HashMap<NodeId, BTreeSet<IndexId>>,
    first: HashMap<(u128, DomainId), NodeId>,
    map_domains: Vec<(Vec<IndexSet>, DomainId)>,
    depth: usize,
    /// How often each row was applied.
    pub applied: BTreeMap<&'static str, usize>,
}

/// Rewrites `roots` by all rows.
pub fn rewrite(ir: &mut Ir, roots: &[NodeId]) -> Vec<NodeId> {
    let mut r = Rewriter::new(ir, Level::All);
    roots.iter().map(|n| r.run(*n)).collect()
}

impl<'a> Rewriter<'a> {
    /// A rewriter that shares its results among roots.
    pub fn new(ir: &'a mut Ir, level: Level) -> Self {
        let depends = Depends::on_vars(ir);
        Rewriter {
            ir,
            depends,
            level,
            done: HashMap::new(),
            keys: HashMap::new(),
            free: HashMap::new(),
            first: HashMap::new(),
            map_domains: vec![],
            depth: 0,
            applied: BTreeMap::new(),
        }
    }

    /// The canonical form of a node.
    pub fn run(&mut self, root: NodeId) -> NodeId {
        self.depth += 1;
        let mut stack = vec![(root, false)];
        while let Some((n, ready)) = stack.pop() {
            if self.done.contains_key(&n) {
                continue;
            }
            if !ready {
                stack.push((n, true));
                self.ir.for_each_arg(n, |a| stack.push((a, false)));
                continue;
            }
            let origin = self.ir.origins(n).first().copied();
            let previous = self.ir.set_origin(origin);
            let rebuilt = self.rebuild(n);
            let settled = self.settle(rebuilt);
            let new = self.first_of_its_kind(settled);
            self.ir.set_origin(previous);
            self.done.insert(n, new);
            self.done.insert(new, new);
        }
        self.depth -= 1;
        self.done.get(&root).copied().unwrap_or(root)
    }

    /// Equal loops over different domains are one loop.
    fn first_of_its_kind(&mut self, n: NodeId) -> NodeId {
        if !matches!(
            self.ir.node(n),
            Node::Fold { .. } | Node::Map { .. } | Node::Scatter { .. }
        ) {
            return n;
        }
        let key = (self.key(n), self.ir.region(n));
        *self.first.entry(key).or_insert(n)
    }

    fn get(&self, n: NodeId) -> NodeId {
        self.done.get(&n).copied().unwrap_or(n)
    }

    /// The node with rewritten arguments. Filters stay: they hold no variable, and belong to their domain.
    fn rebuild(&mut self, n: NodeId) -> NodeId {
        match self.ir.node(n).clone() {
            Node::Const(_) | Node::Input(_) | Node::Index(_) => n,
            Node::Apply { atom, args } => {
                let new: Vec<NodeId> = args.iter().map(|a| self.get(*a)).collect();
                if *new == *args { n } else { self.ir.apply(atom, &new) }
            }
            Node::Gather { array, at } => {
                let a = self.get(array);
                let at = at
                    .iter()
                    .map(|p| match p {
                        Pos::Node(n) => Pos::Node(self.get(*n)),
                        p => p.clone(),
                    })
                    .collect();
                self.ir.gather(a, at)
            }
            Node::Fold { atom, domain, body } => {
                let b = self.get(body);
                self.ir.fold(atom, domain, b)
            }
            Node::Map { domain, body } => {
                let b = self.get(body);
                self.ir.map(domain, b)
            }
            Node::Scatter {
                domain,
                shape,
                at,
                body,
            } => {
                let b = self.get(body);
                let at = at
                    .iter()
                    .map(|p| match p {
                        Pos::Node(n) => Pos::Node(self.get(*n)),
                        p => p.clone(),
                    })
                    .collect();
                self.ir.scatter(domain, shape.to_vec(), at, b)
            }
        }
    }

    /// Applies the first row that fits, and rewrites its result in full.
    fn settle(&mut self, n: NodeId) -> NodeId {
        if let Some(&d) = self.done.get(&n) {
            return d;
        }
        if self.depth > DEEPEST {
            return n;
        }
        for row in rewrites() {
            if self.level == Level::Exact && !row.exact {
                continue;
            }
            if let Some(m) = (row.apply)(self, n)
                && m != n
            {
                *self.applied.entry(row.name).or_default() += 1;
                return self.run(m);
            }
        }
        n
    }

    // ---- what rows ask -----------------------------------------------------------------------------------------------

    pub(super) fn has_var(&mut self, n: NodeId) -> bool {
        self.depends.has(self.ir, n)
    }

    /// Indices a scalar's value depends on, those bound inside left out.
    pub(super) fn free(&mut self, n: NodeId) -> BTreeSet<IndexId> {
        let mut stack = vec![(n, false)];
        while let Some((n, ready)) = stack.pop() {
            if self.free.contains_key(&n) {
                continue;
            }
            if !ready {
                stack.push((n, true));
                self.ir.for_each_arg(n, |a| stack.push((a, false)));
                continue;
            }
            let mut s = BTreeSet::new();
            self.ir.for_each_arg(n, |a| {
                if let Some(f) = self.free.get(&a) {
                    s.extend(f.iter().copied());
                }
            });
            match self.ir.node(n) {
                Node::Index(i) => {
                    s.insert(*i);
                }
                Node::Gather { at, .. } => {
                    for p in at {
                        if let Pos::Affine { terms, .. } = p {
                            s.extend(terms.iter().map(|t| t.0));
                        }
                    }
                }
                Node::Fold { domain, .. } => {
                    for i in &self.ir.domain(*domain).indices {
                        s.remove(i);
                    }
                }
                Node::Map { .. } | Node::Scatter { .. } => s.clear(),
                Node::Const(_) | Node::Input(_) | Node::Apply { .. } => {}
            }
            self.free.insert(n, s);
        }
        self.free.get(&n).cloned().unwrap_or_default()
    }

    /// Does the node live in `domain` or below it?
    pub(super) fn within(&self, n: NodeId, domain: DomainId) -> bool {
        self.ir.encloses(domain, self.ir.region(n))
    }

    /// A root domain over these sets for maps, one for each list of sets.
    pub(super) fn map_domain(&mut self, sets: &[IndexSet]) -> DomainId {
        if let Some((_, d)) = self.map_domains.iter().find(|(s, _)| s == sets) {
            return *d;
        }
        let names = ["i", "j", "k", "l"].iter().cycle();
        let named: Vec<_> = names.map(|n| n.to_string()).zip(sets.iter().cloned()).collect();
        let (d, _) = self.ir.add_domain(DomainId::ROOT, named);
        self.map_domains.push((sets.to_vec(), d));
        d
    }

    /// What the dimensions of an array range over, as far as its making tells.
    pub(super) fn dims(&self, n: NodeId) -> Vec<IndexSet> {
        let shape = self.ir.shape(n);
        let found = match self.ir.node(n) {
            Node::Input(i) => self.ir.input(*i).dims.clone(),
            Node::Map { domain, .. } => {
                let own = &self.ir.domain(*domain).indices;
                own.iter().map(|i| self.ir.index(*i).set.clone()).collect()
            }
            Node::Apply { atom, args } if *atom == MATMUL => {
                let (mut d, rest) = (self.dims(args[0]), self.dims(args[1]));
                d.truncate(1);
                d.extend(rest.into_iter().skip(1));
                d
            }
            Node::Apply { atom, args } if *atom == TRANSPOSE => {
                let mut d = self.dims(args[0]);
                d.reverse();
                d
            }
            Node::Apply { atom, args } if *atom == ARRAY_ADD || *atom == ARRAY_SUB => self.dims(args[0]),
            Node::Apply { atom, args } if *atom == ARRAY_SCALE => self.dims(args[1]),
            _ => vec![],
        };
        let fits = found.len() == shape.len() && found.iter().zip(shape).all(|(s, n)| s.len() == *n);
        if fits {
            found
        } else {
            shape.iter().map(|n| IndexSet::upto(*n)).collect()
        }
    }

    /// The vector of `body` over index `j`, on which alone it depends.
    pub(super) fn vector_over(&mut self, j: IndexId, body: NodeId) -> NodeId {
        let index = self.ir.index(j).clone();
        let domain = self.map_domain(&[index.set]);
        let own = self.ir.domain(domain).indices.clone();
        let at: Vec<Pos> = self
            .ir
            .domain(index.domain)
            .indices
            .iter()
            .map(|i| if *i == j { Pos::index(own[0]) } else { Pos::fixed(0) })
            .collect();
        let body = Subst::at(self.ir, index.domain, &at, domain).node(self.ir, body);
        let body = self.run(body);
        self.ir.map(domain, body)
    }

    /// The argument's fold, if it is one with this row.
    pub(super) fn fold_of(&self, n: NodeId, of: crate::ir::AtomRef) -> Option<(DomainId, NodeId)> {
        match self.ir.node(n) {
            Node::Fold { atom, domain, body } if *atom == of => Some((*domain, *body)),
            _ => None,
        }
    }

    pub(super) fn plain(&self, d: DomainId) -> bool {
        self.ir.domain(d).filter.is_none()
    }

    pub(super) fn arg(&self, n: NodeId, of: crate::ir::AtomRef) -> Option<NodeId> {
        rules::arg_of(self.ir, n, of)
    }

    pub(super) fn args(&self, n: NodeId, of: crate::ir::AtomRef) -> Option<(NodeId, NodeId)> {
        rules::args_of(self.ir, n, of)
    }
}
