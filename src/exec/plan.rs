//! From IR to a plan: root steps in order, loops fused by outermost domain, each loop a tree of lane programs.
//!
//! Invariant: a plan holds no values; the same plan serves any binding of its inputs.

use std::collections::{BTreeMap, HashMap, HashSet};

use super::domains::{self, Search};
use super::tune::{self, Fused};
use crate::ir::atom::{Eval, Reduce};
use crate::ir::{AtomKind, AtomRef, DomainId, Index, IndexId, InputId, InputKind, Ir, Node, NodeId, Pos};

/// Lanes of one block: instances of a domain evaluated by one instruction.
pub const LANES: usize = 256;

/// Where the value of a root node is kept.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct SlotId(pub u32);

/// A register of one level of a loop.
pub type Reg = u32;

/// Address of an array entry: `Σ stride·position(index) + offset`, plus computed positions times strides.
#[derive(Clone, Debug)]
pub struct Addr {
    /// Index and stride in entries.
    pub terms: Vec<(IndexId, i64)>,
    /// Constant part, in entries.
    pub offset: i64,
    /// Registers with computed positions: register, stride, length of the dimension.
    pub computed: Vec<(Reg, i64, usize)>,
    /// Entries of the array.
    pub len: usize,
    /// Number of columns, for arrays that turn out to be stored sparsely.
    pub cols: usize,
}

/// One instruction on a block of lanes.
#[derive(Clone)]
pub enum Instr {
    /// `dst = f(a)`.
    Op1 {
        atom: AtomRef,
        f: fn(&mut [f64], &[f64]),
        dst: Reg,
        a: Reg,
    },
    /// `dst = f(a, b)`.
    Op2 {
        atom: AtomRef,
        f: fn(&mut [f64], &[f64], &[f64]),
        dst: Reg,
        a: Reg,
        b: Reg,
    },
    /// `dst = f(a, b, c)`.
    Op3 {
        atom: AtomRef,
        f: fn(&mut [f64], &[f64], &[f64], &[f64]),
        dst: Reg,
        a: Reg,
        b: Reg,
        c: Reg,
    },
    /// A kernel with numbers among its operands, or one that stands for several rows.
    Fused { dst: Reg, op: Fused },
    /// As `Load`, for kernels only: entries that lie side by side are read where they are.
    See { dst: Reg, slot: SlotId, addr: Addr },
    /// `dst = array[addr]`.
    Load { dst: Reg, slot: SlotId, addr: Addr },
    /// `dst = lo + position(index)`.
    IndexValue { dst: Reg, index: IndexId, lo: i64 },
    /// `dst = ` the enclosing level's register, repeated for each child instance.
    Repeat { dst: Reg, src: Reg },
    /// Runs a child level over the children of this block.
    Child { level: usize, folds: Vec<ChildFold> },
    /// Adds `src` into an output array.
    ScatterAdd { src: Reg, addr: Addr, out: usize },
    /// Writes `src` at the instance's own position of an output array.
    Store { src: Reg, out: usize },
    /// Reduces `src` into an output scalar.
    Total { src: Reg, out: usize },
    /// Appends `src` to an output list.
    Collect { src: Reg, out: usize },
    /// Collects the truth values of a filter.
    Keep { src: Reg },
}

/// A nested reduction: `dst` (in the parent's registers) is the reduction of the child's `body`.
#[derive(Clone)]
pub struct ChildFold {
    /// The kernel.
    pub reduce: Reduce,
    /// Register of the child level.
    pub body: Reg,
    /// Register of the parent level.
    pub dst: Reg,
}

/// A lane program over one domain, run inside its parent's.
#[derive(Clone)]
pub struct Level {
    /// The domain.
    pub domain: DomainId,
    /// Run over all tuples, ignoring the domain's own filter (used to evaluate that filter).
    pub unfiltered: bool,
    /// The enclosing level.
    pub parent: Option<usize>,
    /// Number of registers.
    pub regs: usize,
    /// Registers filled once with a literal.
    pub constants: Vec<(Reg, f64)>,
    /// Registers filled once per run with a root scalar.
    pub uniforms: Vec<(Reg, SlotId)>,
    /// Indices whose positions the program needs.
    pub indices: Vec<IndexId>,
    /// Are positions needed lane by lane even where they advance by one?
    pub positions: bool,
    /// The program.
    pub code: Vec<Instr>,
}

/// What a loop writes.
#[derive(Clone)]
pub enum OutKind {
    /// A scalar by reduction.
    Scalar(Reduce),
    /// An array, each entry written once.
    Map { len: usize },
    /// An array summed into.
    Scatter { len: usize },
    /// The values of all instances of a domain, in order.
    List,
}

/// An output of a loop.
#[derive(Clone)]
pub struct Out {
    /// Where it goes.
    pub slot: SlotId,
    /// How.
    pub kind: OutKind,
}

/// A loop over one outermost domain.
#[derive(Clone)]
pub struct Loop {
    /// Level 0 is the outermost.
    pub levels: Vec<Level>,
    /// What it writes.
    pub outs: Vec<Out>,
    /// Instructions per outermost instance, roughly (decides whether to run in parallel).
    pub cost: usize,
}

/// A step at the root.
#[derive(Clone)]
pub enum Step {
    /// A scalar atom on root scalars.
    Scalar { eval: Eval, args: Vec<SlotId>, out: SlotId },
    /// An array atom.
    Array {
        atom: AtomRef,
        args: Vec<SlotId>,
        out: SlotId,
    },
    /// The transpose of a matrix, kept as a view.
    Transpose { arg: SlotId, out: SlotId },
    /// One entry of an array; computed positions come from root scalars.
    Pick {
        array: SlotId,
        addr: Addr,
        computed: Vec<SlotId>,
        out: SlotId,
    },
    /// A loop.
    Loop(Box<Loop>),
    /// Evaluates a domain's filter and rebuilds its instances.
    BindDomain {
        domain: DomainId,
        /// What narrows its indices.
        search: Search,
        /// What is left to evaluate, one condition after the other, for the tuples that are left.
        filters: Vec<Loop>,
    },
}

/// A step with what it depends on.
#[derive(Clone)]
pub struct Planned {
    /// The step.
    pub step: Step,
    /// Must it run again when only variables (or seeds) changed?
    pub dynamic: bool,
    /// The node (the first one, for a loop) it computes.
    pub node: NodeId,
}

/// What a domain looks like, copied from the IR.
#[derive(Clone, Debug)]
pub struct DomainShape {
    /// The enclosing domain.
    pub parent: Option<DomainId>,
    /// Its indices.
    pub indices: Vec<IndexId>,
    /// Lengths of their sets.
    pub lens: Vec<usize>,
    /// Is it filtered?
    pub filtered: bool,
}

/// A compiled program: compute `outputs` from the inputs.
#[derive(Clone)]
pub struct Plan {
    /// Shapes by slot.
    pub shapes: Vec<Vec<usize>>,
    /// Slots preset with literals.
    pub literals: Vec<(SlotId, f64)>,
    /// Slots of inputs.
    pub inputs: Vec<(InputId, SlotId)>,
    /// Embedded data.
    pub data: Vec<(SlotId, std::sync::Arc<crate::base::Tensor>)>,
    /// Steps in order.
    pub steps: Vec<Planned>,
    /// Domains by id.
    pub domains: Vec<DomainShape>,
    /// Indices by id.
    pub indices: Vec<Index>,
    /// Slots of root nodes.
    pub nodes: Vec<(NodeId, SlotId)>,
    /// Slots of the outputs, in the order asked for.
    pub outputs: Vec<SlotId>,
    /// Slots of the lists, in the order asked for.
    pub lists: Vec<SlotId>,
}

impl Plan {
    /// Bytes of all array slots (dense upper bound for results; inputs are not counted).
    pub fn bytes(&self) -> usize {
        self.steps
            .iter()
            .map(|p| match &p.step {
                Step::Loop(l) => l
                    .outs
                    .iter()
                    .map(|o| match o.kind {
                        OutKind::Map { len } | OutKind::Scatter { len } => len.saturating_mul(8),
                        OutKind::Scalar(_) | OutKind::List => 8,
                    })
                    .fold(0usize, usize::saturating_add),
                Step::Array { out, .. } => self.shapes[out.0 as usize]
                    .iter()
                    .fold(8usize, |a, n| a.saturating_mul(*n)),
                _ => 8,
            })
            .fold(0usize, usize::saturating_add)
    }

    /// Compiles the nodes that `outputs` (root nodes) need.
    pub fn compile(ir: &Ir, outputs: &[NodeId]) -> Plan {
        Compiler::new(ir, true).run(outputs, &[])
    }

    /// As [`Plan::compile`], one instruction for each row and nothing fused: the same bits, later.
    pub fn plain(ir: &Ir, outputs: &[NodeId]) -> Plan {
        Compiler::new(ir, false).run(outputs, &[])
    }

    /// Also lists a scalar at every instance of a domain (of that region or above), for each `(domain, scalar)`.
    pub fn compile_lists(ir: &Ir, outputs: &[NodeId], lists: &[(DomainId, NodeId)]) -> Plan {
        Compiler::new(ir, true).run(outputs, lists)
    }
}

/// A root loop node waiting to be placed in a fused loop.
struct Pending {
    node: NodeId,
    domain: DomainId,
    /// The node itself, or the scatters of whose sum it is.
    parts: Vec<NodeId>,
}

struct Compiler<'a> {
    ir: &'a Ir,
    slots: HashMap<NodeId, SlotId>,
    shapes: Vec<Vec<usize>>,
    dynamic: Vec<bool>,
    /// How filtered domains are searched.
    searches: HashMap<DomainId, Search>,
    /// Root domains whose filters have been planned.
    bound: Vec<bool>,
    plan_steps: Vec<Planned>,
    /// Improve the loops?
    tuned: bool,
}

/// Work of a loop under construction: what one level must produce.
#[derive(Clone)]
enum Terminal {
    Fold {
        node: NodeId,
        body: NodeId,
        reduce: Reduce,
    },
    Store {
        body: NodeId,
        out: usize,
    },
    Total {
        body: NodeId,
        out: usize,
    },
    Scatter {
        domain: DomainId,
        body: NodeId,
        array_shape: Vec<usize>,
        at: Vec<Pos>,
        out: usize,
    },
    Collect {
        domain: DomainId,
        body: NodeId,
        out: usize,
    },
    Keep {
        domain: DomainId,
        body: NodeId,
        /// Is every tuple looked at?
        all: bool,
    },
}

impl Terminal {
    fn body(&self) -> NodeId {
        match self {
            Terminal::Fold { body, .. }
            | Terminal::Store { body, .. }
            | Terminal::Total { body, .. }
            | Terminal::Scatter { body, .. }
            | Terminal::Collect { body, .. }
            | Terminal::Keep { body, .. } => *body,
        }
    }
    fn positions(&self) -> &[Pos] {
        match self {
            Terminal::Scatter { at, .. } => at,
            _ => &[],
        }
    }
}

impl<'a> Compiler<'a> {
    fn new(ir: &'a Ir, tuned: bool) -> Self {
        Compiler {
            ir,
            slots: HashMap::new(),
            shapes: vec![],
            dynamic: vec![],
            searches: HashMap::new(),
            bound: vec![false; ir.domain_count()],
            plan_steps: vec![],
            tuned,
        }
    }

    fn slot(&mut self, node: NodeId) -> SlotId {
        if let Some(s) = self.slots.get(&node) {
            return *s;
        }
        let s = SlotId(self.shapes.len() as u32);
        self.shapes.push(self.ir.shape(node).to_vec());
        self.slots.insert(node, s);
        s
    }

    fn run(mut self, outputs: &[NodeId], lists: &[(DomainId, NodeId)]) -> Plan {
        let ir = self.ir;
        let mut roots = outputs.to_vec();
        for (d, n) in lists {
            roots.push(*n);
            roots.extend(ir.chain(*d).into_iter().filter_map(|d| ir.domain(d).filter));
        }
        let order = ir.reachable(&roots);
        let sums = self.scatter_sums(&order, &roots);
        let absorbed: HashSet<NodeId> = sums.values().flatten().copied().collect();
        self.dynamic = vec![false; ir.len()];
        let mut depth = vec![0usize; ir.len()];
        for &n in &order {
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
        self.sink(&order, &absorbed, &mut depth);
        let mut literals = vec![];
        let mut inputs = vec![];
        let mut data = vec![];
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
                Node::Fold { domain, .. } | Node::Map { domain, .. } | Node::Scatter { domain, .. } => {
                    by_depth.entry(depth[n.index()]).or_default().1.push(Pending {
                        node: n,
                        domain: *domain,
                        parts: vec![n],
                    });
                }
                Node::Apply { .. } if sums.contains_key(&n) => {
                    let parts = sums[&n].clone();
                    if let Node::Scatter { domain, .. } = ir.node(parts[0]) {
                        by_depth.entry(depth[n.index()]).or_default().1.push(Pending {
                            node: n,
                            domain: *domain,
                            parts,
                        });
                    }
                }
                _ => by_depth.entry(depth[n.index()]).or_default().0.push(n),
            }
        }
        // Filters must be bound before the first loop over their domain: collect all domains in use.
        let mut used: Vec<DomainId> = vec![];
        for &n in &order {
            if let Node::Fold { domain, .. } | Node::Map { domain, .. } | Node::Scatter { domain, .. } = ir.node(n) {
                for d in ir.chain(*domain) {
                    if ir.domain(d).filter.is_some() && !used.contains(&d) {
                        used.push(d);
                    }
                }
            }
        }
        used.sort();
        let mut filters: Vec<(usize, DomainId)> = used
            .into_iter()
            .filter_map(|d| {
                let f = ir.domain(d).filter?;
                // Positions of a filter's depth count root nodes below it; a parent's filter comes before its child's.
                let mut deepest = 0;
                for n in ir.reachable(&[f]) {
                    deepest = deepest.max(depth[n.index()]);
                }
                Some((deepest, d))
            })
            .collect();
        filters.sort();
        let levels: Vec<usize> = by_depth.keys().copied().collect();
        let mut next_filter = 0;
        for d in levels {
            while next_filter < filters.len() && filters[next_filter].0 < d {
                self.bind_domain(filters[next_filter].1);
                next_filter += 1;
            }
            let Some((plain, loops)) = by_depth.remove(&d) else {
                continue;
            };
            for n in plain {
                self.plain_step(n);
            }
            let mut groups: BTreeMap<(bool, DomainId), Vec<Pending>> = BTreeMap::new();
            for p in loops {
                let Some(&top) = ir.chain(p.domain).first() else {
                    continue;
                };
                groups.entry((self.dynamic[p.node.index()], top)).or_default().push(p);
            }
            for ((dynamic, top), group) in groups {
                for part in group.iter().flat_map(|p| &p.parts) {
                    if let Node::Fold { domain, .. } | Node::Map { domain, .. } | Node::Scatter { domain, .. } =
                        ir.node(*part)
                    {
                        for d in ir.chain(*domain) {
                            self.bind_domain(d);
                        }
                    }
                }
                let step = Step::Loop(Box::new(self.fuse(top, &group)));
                self.plan_steps.push(Planned {
                    step,
                    dynamic,
                    node: group[0].node,
                });
            }
        }
        let lists = self.lists(lists);
        let outputs = outputs.iter().map(|o| self.slot(*o)).collect();
        let mut nodes: Vec<(NodeId, SlotId)> = self.slots.iter().map(|(n, s)| (*n, *s)).collect();
        nodes.sort();
        let domains = (0..ir.domain_count() as u32)
            .map(|d| {
                let dom = ir.domain(DomainId(d));
                DomainShape {
                    parent: dom.parent,
                    indices: dom.indices.clone(),
                    lens: ir.domain_shape(DomainId(d)),
                    filtered: dom.filter.is_some(),
                }
            })
            .collect();
        Plan {
            shapes: self.shapes,
            literals,
            inputs,
            data,
            steps: self.plan_steps,
            domains,
            nodes,
            indices: (0..ir.index_count() as u32)
                .map(|i| ir.index(IndexId(i)).clone())
                .collect(),
            outputs,
            lists,
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
        let top = |n: NodeId| match ir.node(n) {
            Node::Fold { domain, .. } | Node::Map { domain, .. } | Node::Scatter { domain, .. }
                if ir.region(n) == DomainId::ROOT && !absorbed.contains(&n) =>
            {
                ir.chain(*domain).first().copied()
            }
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
            if *atom != crate::atoms::ARRAY_ADD {
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
            for d in self.ir.chain(domain) {
                self.bind_domain(d);
            }
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
            let mut builder = LoopBuilder {
                c: self,
                levels: vec![],
            };
            builder.level(top, None, terminals);
            let levels = builder.levels;
            let step = Step::Loop(Box::new(self.finish(levels, outs)));
            self.plan_steps.push(Planned { step, dynamic, node });
        }
        slots
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
            let mut builder = LoopBuilder {
                c: self,
                levels: vec![],
            };
            builder.level(top, None, vec![Terminal::Keep { domain: d, body, all }]);
            let levels = builder.levels;
            let cost = levels.iter().map(|l| l.code.len()).sum();
            filters.push(Loop {
                levels,
                outs: vec![],
                cost,
            });
        }
        self.plan_steps.push(Planned {
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
                    AtomKind::Array if *atom == crate::atoms::TRANSPOSE => Step::Transpose { arg: args[0], out },
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
        self.plan_steps.push(Planned {
            step,
            dynamic: self.dynamic[n.index()],
            node: n,
        });
    }

    /// Reads of a transposed matrix are reads of the matrix.
    fn see_through(&self, array: NodeId, at: &[Pos]) -> (NodeId, Vec<Pos>) {
        let mut array = array;
        let mut at = at.to_vec();
        while let Node::Apply { atom, args } = self.ir.node(array) {
            if *atom != crate::atoms::TRANSPOSE {
                break;
            }
            array = args[0];
            at.reverse();
        }
        (array, at)
    }

    fn address(&mut self, shape: &[usize], at: &[Pos], mut reg: impl FnMut(&mut Self, NodeId) -> Reg) -> Addr {
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
        let mut builder = LoopBuilder {
            c: self,
            levels: vec![],
        };
        builder.level(top, None, terminals);
        let levels = builder.levels;
        self.finish(levels, outs)
    }

    /// The loop of finished levels. Its cost, which decides the blocks and so the bits of reductions, is that of the
    /// program as written.
    fn finish(&self, mut levels: Vec<Level>, outs: Vec<Out>) -> Loop {
        let cost = self.cost(&levels, 0);
        if self.tuned {
            tune::tune(&mut levels);
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

/// Builds the levels of one loop.
struct LoopBuilder<'b, 'a> {
    c: &'b mut Compiler<'a>,
    levels: Vec<Level>,
}

/// State of one level while it is emitted.
struct Emit {
    level: usize,
    regs: HashMap<NodeId, Reg>,
    next: Reg,
}

impl LoopBuilder<'_, '_> {
    /// Emits the level of `domain` that produces `terminals`; returns its index.
    fn level(
        &mut self,
        domain: DomainId,
        parent: Option<(usize, &HashMap<NodeId, Reg>)>,
        terminals: Vec<Terminal>,
    ) -> (usize, HashMap<NodeId, Reg>) {
        let ir = self.c.ir;
        let level = self.levels.len();
        let unfiltered = terminals
            .iter()
            .any(|t| matches!(t, Terminal::Keep { domain: d, all: true, .. } if *d == domain));
        self.levels.push(Level {
            domain,
            unfiltered,
            parent: parent.map(|p| p.0),
            regs: 0,
            constants: vec![],
            uniforms: vec![],
            indices: vec![],
            positions: true,
            code: vec![],
        });
        let mut e = Emit {
            level,
            regs: HashMap::new(),
            next: 0,
        };
        let own = |t: &Terminal| match t {
            Terminal::Scatter { domain: d, .. }
            | Terminal::Collect { domain: d, .. }
            | Terminal::Keep { domain: d, .. } => *d == domain,
            _ => true,
        };
        // Everything this level must know: nodes of this region, and what deeper terminals read of it.
        let mut wanted: Vec<NodeId> = vec![];
        for t in &terminals {
            self.collect(t.body(), domain, &mut wanted);
            for p in t.positions() {
                if let Pos::Node(n) = p {
                    self.collect(*n, domain, &mut wanted);
                }
            }
        }
        wanted.sort();
        wanted.dedup();
        // Phases: a nested fold is one phase after everything its body reads of this level.
        let mut phase: HashMap<NodeId, usize> = HashMap::new();
        let mut nested: BTreeMap<(usize, DomainId), Vec<Terminal>> = BTreeMap::new();
        for &n in &wanted {
            let mut p = 0;
            if ir.region(n) != domain {
                phase.insert(n, 0);
                continue;
            }
            if let Node::Fold {
                atom,
                domain: child,
                body,
            } = ir.node(n)
            {
                let mut below = vec![];
                self.collect(*body, domain, &mut below);
                for b in below {
                    p = p.max(phase.get(&b).copied().unwrap_or(0));
                }
                if let Eval::Reduce(reduce) = atom.eval {
                    nested.entry((p, *child)).or_default().push(Terminal::Fold {
                        node: n,
                        body: *body,
                        reduce,
                    });
                }
                p += 1;
            } else {
                ir.for_each_arg(n, |a| p = p.max(phase.get(&a).copied().unwrap_or(0)));
            }
            phase.insert(n, p);
        }
        let last = phase.values().copied().max().unwrap_or(0);
        for p in 0..=last {
            for &n in &wanted {
                if phase[&n] == p && !(matches!(ir.node(n), Node::Fold { .. }) && ir.region(n) == domain) {
                    self.emit(&mut e, n, parent.map(|p| p.1));
                }
            }
            let here: Vec<(usize, DomainId)> = nested
                .range((p, DomainId(0))..(p + 1, DomainId(0)))
                .map(|(k, _)| *k)
                .collect();
            for key in here {
                let Some(terms) = nested.remove(&key) else { continue };
                self.c_bind_chain(key.1);
                // Reserve the destinations before the child is built, so that later phases can read them.
                let dsts: Vec<Reg> = terms
                    .iter()
                    .map(|t| match t {
                        Terminal::Fold { node, .. } => e.fresh(*node),
                        _ => 0,
                    })
                    .collect();
                let (child, child_regs) = self.level(key.1, Some((level, &e.regs)), terms.clone());
                let folds = terms
                    .iter()
                    .zip(dsts)
                    .filter_map(|(t, dst)| match t {
                        Terminal::Fold { body, reduce, .. } => Some(ChildFold {
                            reduce: *reduce,
                            body: child_regs[body],
                            dst,
                        }),
                        _ => None,
                    })
                    .collect();
                self.levels[level].code.push(Instr::Child { level: child, folds });
            }
        }
        // Terminals of this level, then those of deeper ones.
        let mut deeper: BTreeMap<DomainId, Vec<Terminal>> = BTreeMap::new();
        for t in &terminals {
            if !own(t) {
                let d = match t {
                    Terminal::Scatter { domain: d, .. }
                    | Terminal::Collect { domain: d, .. }
                    | Terminal::Keep { domain: d, .. } => *d,
                    _ => domain,
                };
                let chain = ir.chain(d);
                if let Some(k) = chain.iter().position(|x| *x == domain)
                    && let Some(next) = chain.get(k + 1)
                {
                    deeper.entry(*next).or_default().push(t.clone());
                }
                continue;
            }
            let src = self.emit(&mut e, t.body(), parent.map(|p| p.1));
            let instr = match t {
                Terminal::Fold { .. } => continue,
                Terminal::Store { out, .. } => Instr::Store { src, out: *out },
                Terminal::Total { out, .. } => Instr::Total { src, out: *out },
                Terminal::Collect { out, .. } => Instr::Collect { src, out: *out },
                Terminal::Keep { .. } => Instr::Keep { src },
                Terminal::Scatter {
                    array_shape, at, out, ..
                } => {
                    let addr = self.addr(&mut e, array_shape, at, parent.map(|p| p.1));
                    Instr::ScatterAdd { src, addr, out: *out }
                }
            };
            self.levels[level].code.push(instr);
        }
        for (d, terms) in deeper {
            let (child, _) = self.level(d, Some((level, &e.regs)), terms);
            self.levels[level].code.push(Instr::Child {
                level: child,
                folds: vec![],
            });
        }
        self.levels[level].regs = e.next as usize;
        (level, e.regs)
    }

    fn c_bind_chain(&mut self, d: DomainId) {
        for d in self.c.ir.chain(d) {
            self.c.bind_domain(d);
        }
    }

    /// Nodes of `domain` that `n` (of that region or deeper) reads, and those of enclosing regions that are read
    /// here or deeper.
    fn collect(&self, n: NodeId, domain: DomainId, into: &mut Vec<NodeId>) {
        let ir = self.c.ir;
        let mut seen: HashSet<NodeId> = into.iter().copied().collect();
        let mut stack = vec![n];
        while let Some(n) = stack.pop() {
            let r = ir.region(n);
            if r == DomainId::ROOT || !seen.insert(n) {
                continue;
            }
            if r == domain {
                into.push(n);
            } else if ir.encloses(r, domain) {
                // A value of a level further up: it is handed down, not computed here.
                into.push(n);
                continue;
            }
            match ir.node(n) {
                Node::Apply { args, .. } => stack.extend(args.iter()),
                Node::Fold { body, .. } => stack.push(*body),
                Node::Gather { at, .. } => {
                    for p in at.iter() {
                        if let Pos::Node(n) = p {
                            stack.push(*n);
                        }
                    }
                }
                _ => {}
            }
        }
    }

    fn addr(&mut self, e: &mut Emit, shape: &[usize], at: &[Pos], parent: Option<&HashMap<NodeId, Reg>>) -> Addr {
        let mut regs = HashMap::new();
        for p in at {
            if let Pos::Node(n) = p {
                regs.insert(*n, self.emit(e, *n, parent));
            }
        }
        let a = self.c.address(shape, at, |_, n| regs[&n]);
        for (i, _) in &a.terms {
            self.need_index(e.level, *i);
        }
        a
    }

    /// Positions of an index are made at its own level and handed down to every level below that needs them.
    fn need_index(&mut self, level: usize, i: IndexId) {
        let home = self.c.ir.index(i).domain;
        let mut at = Some(level);
        while let Some(l) = at {
            if !self.levels[l].indices.contains(&i) {
                self.levels[l].indices.push(i);
            }
            if self.levels[l].domain == home {
                break;
            }
            at = self.levels[l].parent;
        }
    }

    /// Makes sure `n` has a register at this level.
    fn emit(&mut self, e: &mut Emit, n: NodeId, parent: Option<&HashMap<NodeId, Reg>>) -> Reg {
        if let Some(r) = e.regs.get(&n) {
            return *r;
        }
        let ir = self.c.ir;
        let level = e.level;
        let region = ir.region(n);
        if region == DomainId::ROOT {
            let r = e.fresh(n);
            match ir.as_const(n) {
                Some(v) => self.levels[level].constants.push((r, v)),
                None => {
                    let s = self.c.slot(n);
                    self.levels[level].uniforms.push((r, s));
                }
            }
            return r;
        }
        if region != self.levels[level].domain {
            // A value of an enclosing level: repeat it for the child's instances. Values of levels further up are
            // handed down step by step; `parent` knows every value of the next level up.
            let src = parent.and_then(|p| p.get(&n).copied()).unwrap_or_default();
            let r = e.fresh(n);
            self.levels[level].code.push(Instr::Repeat { dst: r, src });
            return r;
        }
        match ir.node(n) {
            Node::Index(i) => {
                self.need_index(level, *i);
                let dst = e.fresh(n);
                let lo = ir.index(*i).set.lo();
                self.levels[level].code.push(Instr::IndexValue { dst, index: *i, lo });
                dst
            }
            Node::Gather { array, at } => {
                let (array, at) = self.c.see_through(*array, at);
                let addr = self.addr(e, ir.shape(array), &at, parent);
                let slot = self.c.slot(array);
                let dst = e.fresh(n);
                self.levels[level].code.push(Instr::Load { dst, slot, addr });
                dst
            }
            Node::Apply { atom, args } => {
                let r: Vec<Reg> = args.iter().map(|a| self.emit(e, *a, parent)).collect();
                let dst = e.fresh(n);
                let instr = match atom.eval {
                    Eval::Lane1(f) => Instr::Op1 {
                        atom: *atom,
                        f,
                        dst,
                        a: r[0],
                    },
                    Eval::Lane2(f) => Instr::Op2 {
                        atom: *atom,
                        f,
                        dst,
                        a: r[0],
                        b: r[1],
                    },
                    Eval::Lane3(f) => Instr::Op3 {
                        atom: *atom,
                        f,
                        dst,
                        a: r[0],
                        b: r[1],
                        c: r[2],
                    },
                    Eval::Reduce(_) | Eval::Array(_) => return dst,
                };
                self.levels[level].code.push(instr);
                dst
            }
            // A nested fold's register is reserved by `level` before anything reads it.
            _ => e.fresh(n),
        }
    }
}

impl Emit {
    fn fresh(&mut self, n: NodeId) -> Reg {
        let r = self.next;
        self.next += 1;
        self.regs.insert(n, r);
        r
    }
}
