//! Structural keys: the same for the same expression whatever its node ids and index names.
//!
//! Invariant: a key depends on atoms, inputs' names, sets and structure only, and on the values of arrays that the program itself
//! holds, so orders made from keys are canonical; two inputs never have one key.

use super::Rewriter;
use crate::base::value::{IndexSet, Storage};
use crate::ir::{DomainId, IndexId, InputId, InputKind, Ir, Node, NodeId, Pos};

/// FNV-1a over 128 bits.
struct Hash(u128);

impl Hash {
    fn new(tag: u8) -> Self {
        Hash(0x6c62272e07bb014262b821756295c58d).byte(tag)
    }
    fn byte(mut self, b: u8) -> Self {
        self.0 = (self.0 ^ u128::from(b)).wrapping_mul(0x0000000001000000000000000000013b);
        self
    }
    fn bytes(self, b: &[u8]) -> Self {
        b.iter().fold(self, |h, b| h.byte(*b))
    }
    /// Many of them at once; the parts of a number are not told apart as well as by bytes.
    fn word(self, w: u64) -> Self {
        let h = (self.0 ^ u128::from(w)).wrapping_mul(0x0000000001000000000000000000013b);
        Hash(h ^ (h >> 67))
    }
    fn number(self, n: i64) -> Self {
        self.bytes(&n.to_le_bytes())
    }
    fn key(self, k: u128) -> Self {
        self.bytes(&k.to_le_bytes())
    }
    fn text(self, s: &str) -> Self {
        self.number(s.len() as i64).bytes(s.as_bytes())
    }
    fn set(self, s: &IndexSet) -> Self {
        match s {
            IndexSet::Range { lo, len } => self.byte(0).number(*lo).number(*len as i64),
            IndexSet::Labels(l) => l.labels.iter().fold(self.byte(1).text(&l.name), |h, e| h.text(e)),
            IndexSet::Listed(l) => {
                let h = l.parts.iter().fold(self.byte(2).text(&l.name), Hash::set);
                l.columns.iter().flatten().fold(h, |h, p| h.number(i64::from(*p)))
            }
        }
    }
}

/// An index by how deep its domain lies and its place in it.
fn index(ir: &Ir, h: Hash, i: IndexId) -> Hash {
    let d = ir.index(i).domain;
    let place = ir.domain(d).indices.iter().position(|k| *k == i).unwrap_or(0);
    h.number(ir.chain(d).len() as i64)
        .number(place as i64)
        .set(&ir.index(i).set)
}

/// An input by its name and sets, and by what tells it from others of the same: values that are known, else their order.
fn input(ir: &Ir, i: InputId) -> Hash {
    let input = ir.input(i);
    let h = input.dims.iter().fold(Hash::new(2).text(&input.name), Hash::set);
    if let InputKind::Data(t) = &input.kind {
        return match &t.storage {
            Storage::Dense(d) => d.iter().fold(h.byte(3), |h, v| h.word(v.to_bits())),
            Storage::Sparse(m) => {
                let places = m
                    .indptr
                    .iter()
                    .chain(&m.indices)
                    .fold(h.byte(4), |h, k| h.word(*k as u64));
                m.values.iter().fold(places, |h, v| h.word(v.to_bits()))
            }
        };
    }
    match ir.inputs()[..i.index()].iter().filter(|o| o.name == input.name).count() {
        0 => h,
        before => h.number(before as i64),
    }
}

impl Rewriter<'_> {
    fn known(&self, n: NodeId) -> u128 {
        self.keys.get(&n).copied().unwrap_or(0)
    }

    fn domain_key(&self, mut h: Hash, d: DomainId) -> Hash {
        for i in &self.ir.domain(d).indices {
            h = index(self.ir, h, *i);
        }
        match self.ir.domain(d).filter {
            Some(f) => h.key(self.known(f)),
            None => h.byte(0),
        }
    }

    fn positions(&self, mut h: Hash, at: &[Pos]) -> Hash {
        for p in at {
            h = match p {
                Pos::Node(n) => h.byte(1).key(self.known(*n)),
                Pos::Affine { terms, offset } => {
                    // Ids order the terms; the key must not depend on them.
                    let mut t: Vec<u128> = terms
                        .iter()
                        .map(|(i, s)| index(self.ir, Hash::new(9), *i).number(*s).0)
                        .collect();
                    t.sort_unstable();
                    t.into_iter().fold(h.byte(2).number(*offset), Hash::key)
                }
            };
        }
        h
    }

    /// The key of a node.
    pub(super) fn key(&mut self, n: NodeId) -> u128 {
        let mut stack = vec![(n, false)];
        while let Some((n, ready)) = stack.pop() {
            if self.keys.contains_key(&n) {
                continue;
            }
            if !ready {
                stack.push((n, true));
                self.ir.for_each_arg(n, |a| stack.push((a, false)));
                continue;
            }
            let h = match self.ir.node(n) {
                Node::Const(b) => Hash::new(1).number(*b as i64),
                Node::Input(i) => input(self.ir, *i),
                Node::Index(i) => index(self.ir, Hash::new(3), *i),
                Node::Apply { atom, args } => {
                    let h = Hash::new(4).text(atom.0.name);
                    args.iter().fold(h, |h, a| h.key(self.known(*a)))
                }
                Node::Gather { array, at } => self.positions(Hash::new(5).key(self.known(*array)), at),
                Node::Fold { atom, domain, body } => {
                    let h = self.domain_key(Hash::new(6).text(atom.0.name), *domain);
                    h.key(self.known(*body))
                }
                Node::Map { domain, body } => self.domain_key(Hash::new(7), *domain).key(self.known(*body)),
                Node::Scatter {
                    domain,
                    shape,
                    at,
                    body,
                } => {
                    let mut h = Hash::new(8);
                    for d in self.ir.chain(*domain) {
                        h = self.domain_key(h, d);
                    }
                    h = shape.iter().fold(h, |h, n| h.number(*n as i64));
                    self.positions(h, at).key(self.known(*body))
                }
            };
            self.keys.insert(n, h.0);
        }
        self.known(n)
    }

    /// What an expression is sorted by among factors: what is decided last, what lies deeper later, then by name.
    pub(super) fn rank(&mut self, n: NodeId) -> (bool, usize, String, u128) {
        let depth = self.ir.chain(self.ir.region(n)).len();
        let name = match self.ir.node(n) {
            Node::Input(i) => self.ir.input(*i).name.clone(),
            Node::Gather { array, .. } => match self.ir.node(*array) {
                Node::Input(i) => self.ir.input(*i).name.clone(),
                _ => "~".into(),
            },
            _ => "~".into(),
        };
        (self.has_var(n), depth, name, self.key(n))
    }

    /// Are the two the same expression?
    pub(super) fn same(&mut self, a: NodeId, b: NodeId) -> bool {
        a == b || (self.ir.shape(a) == self.ir.shape(b) && self.key(a) == self.key(b))
    }
}
