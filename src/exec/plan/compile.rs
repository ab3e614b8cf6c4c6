//! The steps of a plan: root nodes by depth, loops of one depth and outermost domain fused.
//!
//! Invariant: a step comes after what it reads, a loop after the filters of its domains; what the steps are does not depend
//! on values.

use std::collections::{BTreeMap, BTreeSet, HashMap, HashSet};

use super::super::domains::{self, Search};
use super::super::{tune, vector};
use super::levels::{Terminal, levels};
use super::{Addr, DomainShape, Instr, Lanes, Level, Loop, Out, OutKind, Plan, Planned, Reg, SlotId, Step};
use crate::atoms;
use crate::ir::atom::Eval;
use crate::ir::{AtomKind, DomainId, IndexId, InputKind, Ir, Node, NodeId, Pos};

/// Instances from which a loop is worth machine code of its own.
const WIDE: usize = 64;

/// A root loop node waiting to be placed in a fused loop.
struct Pending {
    node: NodeId,
    domain: DomainId,
    /// The node itself, or the scatters of whose sum it is.
    parts: Vec<NodeId>,
}

/// Collects the steps of a plan.
pub struct Compiler<'a> {
    pub ir: &'a Ir,
    slots: HashMap<NodeId, SlotId>,
    shapes: Vec<Vec<usize>>,
    dynamic: Vec<bool>,
    /// How filtered domains are searched.
    searches: HashMap<DomainId, Search>,
    /// Root domains whose filters have been planned.
    bound: Vec<bool>,
    steps: Vec<Planned>,
    /// How loops are written.
    lanes: Lanes,
}

impl<'a> Compiler<'a> {
    pub fn new(ir: &'a Ir, lanes: Lanes) -> Self {
        Compiler {
            ir,
            slots: HashMap::new(),
            shapes: vec![],
            dynamic: vec![],
            searches: HashMap::new(),
            bound: vec![false; ir.domain_count()],
            steps: vec![],
            lanes,
        }
    }

    pub fn slot(&mut self, node: NodeId) -> SlotId {
        if let Some(s) = self.slots.get(&node) {
            return *s;
        }
        let s = SlotId(self.shapes.len() as u32);
        self.shapes.push(self.ir.shape(node).to_vec());
        self.slots.insert(node, s);
        s
    }

    pub fn run(mut self, outputs: &[NodeId], lists: &[(DomainId, NodeId)]) -> Plan {
        let ir = self.ir;
        let mut roots = outputs.to_vec();
        for (d, n) in lists {
            roots.push(*n);
            roots.extend(ir.chain(*d).into_iter().filter_map(|d| ir.domain(d).filter));
        }
        let order = ir.reachable(&roots);
        let sums = self.scatter_sums(&order, &roots);
        let absorbed: HashSet<NodeId> = sums.values().flatten().copied().collect();
        let mut depth = self.depths(&order, &sums);
        self.sink(&order, &absorbed, &mut depth);
        let (mut literals, mut inputs, mut data) = (vec![], vec![], vec![]);
        // Root nodes by depth; loops of one depth and outermost domain are fused.
        let mut by_depth: BTreeMap<usize, (Vec<NodeId>, Vec<Pending>)> = BTreeMap::new();
        for &n in &order {
            if ir.region(n) != DomainId::ROOT || absorbed.contains(&n) {
                continue;
            }
            let slot = self.slot(n);
            match ir.node(n) {
                Node::Const(b) => literals.push((slot, f64::from_bits(*b))),
                Node::Input(i) => match &ir.input(*i).kind {
                    InputKind::Data(t) => data.push((slot, t.clone())),
                    _ => inputs.push((*i, slot)),
                },
                _ => {
                    let parts = sums.get(&n).cloned().unwrap_or_else(|| vec![n]);
                    let at = by_depth.entry(depth[n.index()]).or_default();
                    match own_domain(ir, parts[0]) {
                        Some(domain) => at.1.push(Pending { node: n, domain, parts }),
                        None => at.0.push(n),
                    }
                }
            }
        }
        let mut filters = self.filters(&order, &depth).into_iter().peekable();
        for (d, (plain, loops)) in by_depth {
            while let Some((_, domain)) = filters.next_if(|f| f.0 < d) {
                self.bind_domain(domain);
            }
            for n in plain {
                self.plain_step(n);
            }
            self.loops(loops);
        }
        let lists = self.lists(lists);
        if self.lanes == Lanes::Native {
            vector::assemble(
                self.steps
                    .iter_mut()
                    .flat_map(|s| s.step.loops_mut())
                    .flat_map(|l| &mut l.levels),
            );
        }
        let outputs = outputs.iter().map(|o| self.slot(*o)).collect();
        let mut nodes: Vec<(NodeId, SlotId)> = self.slots.iter().map(|(n, s)| (*n, *s)).collect();
        nodes.sort();
        let domain = |d: u32| {
            let dom = ir.domain(DomainId(d));
            DomainShape {
                parent: dom.parent,
                indices: dom.indices.clone(),
                lens: ir.domain_shape(DomainId(d)),
                filtered: dom.filter.is_some(),
            }
        };
        let index = |i: u32| ir.index(IndexId(i)).clone();
        Plan {
            shapes: self.shapes,
            literals,
            inputs,
            data,
            steps: self.steps,
            domains: (0..ir.domain_count() as u32).map(domain).collect(),
            nodes,
            indices: (0..ir.index_count() as u32).map(index).collect(),
            outputs,
            lists,
        }
    }

    /// How many root nodes that compute something lie below each node, and which depend on variables.
    fn depths(&mut self, order: &[NodeId], sums: &HashMap<NodeId, Vec<NodeId>>) -> Vec<usize> {
        let ir = self.ir;
        self.dynamic = vec![false; ir.len()];
        let mut depth = vec![0usize; ir.len()];
        for &n in order {
            let mut dynamic = matches!(ir.node(n), Node::Input(i)
                if matches!(ir.input(*i).kind, InputKind::Var | InputKind::Seed));
            let mut d = 0;
            ir.for_each_arg(n, |a| {
                dynamic |= self.dynamic[a.index()];
                d = d.max(depth[a.index()]);
            });
            let heavy = ir.region(n) == DomainId::ROOT && !matches!(ir.node(n), Node::Const(_) | Node::Input(_));
            self.dynamic[n.index()] = dynamic;
            depth[n.index()] = d + usize::from(heavy);
            if let Some(parts) = sums.get(&n) {
                depth[n.index()] = parts.iter().map(|p| depth[p.index()]).max().unwrap_or(d);
            }
        }
        depth
    }

    /// The filtered domains that loops run over, each with the depth of its filter: that comes before the first loop over
    /// the domain.
    fn filters(&self, order: &[NodeId], depth: &[usize]) -> Vec<(usize, DomainId)> {
        let ir = self.ir;
        let mut used: BTreeSet<DomainId> = BTreeSet::new();
        for &n in order {
            if let Some(domain) = own_domain(ir, n) {
                used.extend(ir.chain(domain));
            }
        }
        let deepest = |d: DomainId| {
            let filter = ir.domain(d).filter?;
            // Positions of a filter's depth count root nodes below it; a parent's filter comes before its child's.
            let below = ir.reachable(&[filter]).into_iter().map(|n| depth[n.index()]);
            Some((below.max().unwrap_or(0), d))
        };
        let mut filters: Vec<(usize, DomainId)> = used.into_iter().filter_map(deepest).collect();
        filters.sort();
        filters
    }

    /// Plans the loops of one depth, fused by outermost domain.
    fn loops(&mut self, loops: Vec<Pending>) {
        let mut groups: BTreeMap<(bool, DomainId), Vec<Pending>> = BTreeMap::new();
        for p in loops {
            let Some(&top) = self.ir.chain(p.domain).first() else {
                continue;
            };
            groups.entry((self.dynamic[p.node.index()], top)).or_default().push(p);
        }
        for ((dynamic, top), group) in groups {
            for part in group.iter().flat_map(|p| &p.parts) {
                if let Some(domain) = own_domain(self.ir, *part) {
                    self.bind_chain(domain);
                }
            }
            let step = Step::Loop(Box::new(self.fuse(top, &group)));
            self.steps.push(Planned {
                step,
                dynamic,
                node: group[0].node,
            });
        }
    }

    /// Loops that nobody waits for run with the last ones over their outermost domain, in the same pass.
    fn sink(&self, order: &[NodeId], absorbed: &HashSet<NodeId>, depth: &mut [usize]) {
        let ir = self.ir;
        let mut read: HashSet<NodeId> = HashSet::new();
        for &n in order {
            ir.for_each_arg(n, |a| {
                read.insert(a);
            });
        }
        let top = |n: NodeId| match own_domain(ir, n) {
            Some(d) if ir.region(n) == DomainId::ROOT && !absorbed.contains(&n) => ir.chain(d).first().copied(),
            _ => None,
        };
        let mut last: HashMap<(bool, DomainId), usize> = HashMap::new();
        for &n in order {
            if let Some(d) = top(n) {
                let at = last.entry((self.dynamic[n.index()], d)).or_default();
                *at = (*at).max(depth[n.index()]);
            }
        }
        for &n in order {
            if let Some(d) = top(n)
                && !read.contains(&n)
                && let Some(at) = last.get(&(self.dynamic[n.index()], d))
            {
                depth[n.index()] = *at;
            }
        }
    }

    /// Sums of scatters over one outermost domain that nobody else reads: they become one array, added to in turn.
    fn scatter_sums(&self, order: &[NodeId], roots: &[NodeId]) -> HashMap<NodeId, Vec<NodeId>> {
        let ir = self.ir;
        let mut uses: HashMap<NodeId, usize> = HashMap::new();
        roots.iter().for_each(|r| *uses.entry(*r).or_insert(0) += 1);
        for &n in order {
            ir.for_each_arg(n, |a| *uses.entry(a).or_insert(0) += 1);
        }
        let mut sums: HashMap<NodeId, Vec<NodeId>> = HashMap::new();
        for &n in order {
            let Node::Apply { atom, args } = ir.node(n) else {
                continue;
            };
            if *atom != atoms::ARRAY_ADD {
                continue;
            }
            let mut parts = vec![];
            for a in args.iter() {
                match ir.node(*a) {
                    Node::Scatter { .. } => parts.push(*a),
                    _ => parts.extend(sums.get(a).cloned().unwrap_or_default()),
                }
            }
            let top = |p: &NodeId| match ir.node(*p) {
                Node::Scatter { domain, .. } => ir.chain(*domain).first().copied(),
                _ => None,
            };
            let all = args.iter().all(|a| {
                uses.get(a) == Some(&1) && (matches!(ir.node(*a), Node::Scatter { .. }) || sums.contains_key(a))
            });
            let alike = parts
                .iter()
                .all(|p| top(p) == top(&parts[0]) && ir.shape(*p) == ir.shape(n));
            if all && alike {
                // A sum within a larger sum gives its parts away.
                args.iter().for_each(|a| {
                    sums.remove(a);
                });
                sums.insert(n, parts);
            }
        }
        sums
    }

    /// Plans the lists, fused by outermost domain; a list at the root is the scalar itself.
    fn lists(&mut self, lists: &[(DomainId, NodeId)]) -> Vec<SlotId> {
        let mut slots = vec![];
        let mut groups: BTreeMap<(bool, DomainId), (Vec<Out>, Vec<Terminal>, NodeId)> = BTreeMap::new();
        for &(domain, body) in lists {
            let Some(&top) = self.ir.chain(domain).first() else {
                slots.push(self.slot(body));
                continue;
            };
            self.bind_chain(domain);
            let slot = SlotId(self.shapes.len() as u32);
            self.shapes.push(vec![]);
            slots.push(slot);
            let group = groups
                .entry((self.dynamic[body.index()], top))
                .or_insert((vec![], vec![], body));
            group.1.push(Terminal::Collect {
                domain,
                body,
                out: group.0.len(),
            });
            group.0.push(Out {
                slot,
                kind: OutKind::List,
            });
        }
        for ((dynamic, top), (outs, terminals, node)) in groups {
            let levels = levels(self, top, terminals);
            let step = Step::Loop(Box::new(self.finish(levels, outs)));
            self.steps.push(Planned { step, dynamic, node });
        }
        slots
    }

    /// Plans the filters of a domain and of those around it.
    pub fn bind_chain(&mut self, d: DomainId) {
        for d in self.ir.chain(d) {
            self.bind_domain(d);
        }
    }

    /// Plans the evaluation of a domain's filter, once.
    fn bind_domain(&mut self, d: DomainId) {
        if std::mem::replace(&mut self.bound[d.index()], true) {
            return;
        }
        let Some(filter) = self.ir.domain(d).filter else { return };
        let top = self.ir.chain(d)[0];
        let ir = self.ir;
        let (search, left) = domains::search(ir, d, filter, &mut |n| self.slot(n));
        let all = !search.narrows();
        let bodies = if all { vec![filter] } else { left };
        self.searches.insert(d, search.clone());
        let mut filters = vec![];
        for body in bodies {
            let levels = levels(self, top, vec![Terminal::Keep { domain: d, body, all }]);
            let cost = levels.iter().map(|l| l.code.len()).sum();
            filters.push(Loop {
                levels,
                outs: vec![],
                cost,
            });
        }
        self.steps.push(Planned {
            step: Step::BindDomain {
                domain: d,
                search,
                filters,
            },
            dynamic: false,
            node: filter,
        });
    }

    fn plain_step(&mut self, n: NodeId) {
        let ir = self.ir;
        let out = self.slot(n);
        let step = match ir.node(n) {
            Node::Apply { atom, args } => {
                let args: Vec<SlotId> = args.iter().map(|a| self.slot(*a)).collect();
                match atom.kind {
                    AtomKind::Array if *atom == atoms::TRANSPOSE => Step::Transpose { arg: args[0], out },
                    AtomKind::Array => Step::Array { atom: *atom, args, out },
                    _ => Step::Scalar {
                        eval: atom.eval,
                        args,
                        out,
                    },
                }
            }
            Node::Gather { array, at } => {
                let (array, at) = self.see_through(*array, at);
                let mut computed = vec![];
                let addr = self.address(ir.shape(array), &at, |c, n| {
                    computed.push(c.slot(n));
                    0
                });
                Step::Pick {
                    array: self.slot(array),
                    addr,
                    computed,
                    out,
                }
            }
            _ => return,
        };
        self.steps.push(Planned {
            step,
            dynamic: self.dynamic[n.index()],
            node: n,
        });
    }

    /// Reads of a transposed matrix are reads of the matrix.
    pub fn see_through(&self, array: NodeId, at: &[Pos]) -> (NodeId, Vec<Pos>) {
        let mut array = array;
        let mut at = at.to_vec();
        while let Node::Apply { atom, args } = self.ir.node(array) {
            if *atom != atoms::TRANSPOSE {
                break;
            }
            array = args[0];
            at.reverse();
        }
        (array, at)
    }

    pub fn address(&mut self, shape: &[usize], at: &[Pos], mut reg: impl FnMut(&mut Self, NodeId) -> Reg) -> Addr {
        let mut terms: BTreeMap<IndexId, i64> = BTreeMap::new();
        let mut offset = 0;
        let mut computed = vec![];
        let mut stride = 1i64;
        for (dim, p) in at.iter().enumerate().rev() {
            match p {
                Pos::Affine { terms: t, offset: o } => {
                    for (i, c) in t {
                        *terms.entry(*i).or_default() += c * stride;
                    }
                    offset += o * stride;
                }
                Pos::Node(n) => computed.push((reg(self, *n), stride, shape[dim])),
            }
            stride *= shape[dim] as i64;
        }
        Addr {
            terms: terms.into_iter().filter(|t| t.1 != 0).collect(),
            offset,
            computed,
            len: stride as usize,
            cols: shape.last().copied().unwrap_or(1),
        }
    }

    fn fuse(&mut self, top: DomainId, group: &[Pending]) -> Loop {
        let mut outs = vec![];
        let mut terminals = vec![];
        for p in group {
            let out = outs.len();
            let slot = self.slot(p.node);
            let len = self.ir.shape(p.node).iter().product();
            for part in &p.parts {
                match self.ir.node(*part) {
                    Node::Fold { atom, body, .. } => {
                        let Eval::Reduce(reduce) = atom.eval else { continue };
                        outs.push(Out {
                            slot,
                            kind: OutKind::Scalar(reduce),
                        });
                        terminals.push(Terminal::Total { body: *body, out });
                    }
                    Node::Map { body, .. } => {
                        outs.push(Out {
                            slot,
                            kind: OutKind::Map { len },
                        });
                        terminals.push(Terminal::Store { body: *body, out });
                    }
                    Node::Scatter { body, .. } if p.parts.len() == 1 && self.ir.fills(*part) => {
                        outs.push(Out {
                            slot,
                            kind: OutKind::Map { len },
                        });
                        terminals.push(Terminal::Store { body: *body, out });
                    }
                    Node::Scatter {
                        domain,
                        shape,
                        at,
                        body,
                    } => {
                        if outs.len() == out {
                            outs.push(Out {
                                slot,
                                kind: OutKind::Scatter { len },
                            });
                        }
                        terminals.push(Terminal::Scatter {
                            domain: *domain,
                            body: *body,
                            array_shape: shape.to_vec(),
                            at: at.to_vec(),
                            out,
                        });
                    }
                    _ => {}
                }
            }
        }
        let levels = levels(self, top, terminals);
        self.finish(levels, outs)
    }

    /// The loop of finished levels. Its cost, which decides the blocks and so the bits of reductions, is that of the
    /// program as written.
    fn finish(&self, mut levels: Vec<Level>, outs: Vec<Out>) -> Loop {
        let cost = self.cost(&levels, 0);
        if self.lanes != Lanes::Plain {
            let wide = |l: &Level| {
                let lanes = self.ir.chain(l.domain).into_iter().map(|d| self.expected(d));
                self.lanes == Lanes::Native && lanes.fold(1, usize::saturating_mul) >= WIDE
            };
            tune::tune(&mut levels, wide);
        }
        Loop { levels, outs, cost }
    }

    /// Instances of a domain in one of its parent's, roughly: a slice through a column of data is taken to be short.
    fn expected(&self, d: DomainId) -> usize {
        const SLICE: usize = 16;
        let search = self.searches.get(&d);
        let lens = self.ir.domain_shape(d);
        let one = |(dim, n): (usize, &usize)| match search {
            Some(s) if s.by_column(dim) => (*n).min(SLICE),
            _ => *n,
        };
        lens.iter().enumerate().map(one).fold(1, usize::saturating_mul)
    }

    /// Lane instructions per instance of a level, children included.
    fn cost(&self, levels: &[Level], at: usize) -> usize {
        levels[at]
            .code
            .iter()
            .map(|i| match i {
                Instr::Child { level, .. } => {
                    let n = self.expected(levels[*level].domain);
                    n.saturating_mul(self.cost(levels, *level))
                }
                _ => 1,
            })
            .fold(0usize, usize::saturating_add)
    }
}

/// The domain that a node loops over.
fn own_domain(ir: &Ir, n: NodeId) -> Option<DomainId> {
    match ir.node(n) {
        Node::Fold { domain, .. } | Node::Map { domain, .. } | Node::Scatter { domain, .. } => Some(*domain),
        _ => None,
    }
}
