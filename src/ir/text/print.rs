//! Printing: names for what is used twice, in the order of regions.
//!
//! Invariant: what is named is written before it is used, in its own region; no line nests too deeply to be parsed.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::fmt::Write as _;

use super::super::build::Ir;
use super::super::facts::Sign;
use super::super::node::{DomainId, IndexId, InputId, InputKind, Node, NodeId, Pos};
use crate::base::value::{IndexSet, Storage};

/// Inline expressions deeper than this are broken by a name.
const DEEPEST: usize = 24;

/// The program of `outputs`, each a node and the region it is asked in (its own region or one below).
pub fn print(ir: &Ir, outputs: &[(DomainId, NodeId)]) -> String {
    let mut p = Printer::new(ir, outputs);
    let mut text = String::new();
    for i in p.used_inputs() {
        let _ = writeln!(text, "{}", p.declaration(i));
    }
    let mut roots = outputs.to_vec();
    for (d, _) in outputs {
        let filters = ir.chain(*d).into_iter().filter_map(|d| Some((d, ir.domain(d).filter?)));
        roots.extend(filters);
    }
    let mut lets = vec![];
    p.lets(DomainId::ROOT, &roots, &mut lets);
    for l in lets {
        let _ = writeln!(text, "{l}");
    }
    for (region, node) in outputs {
        let chain = ir.chain(*region);
        let outer = p.indices.clone();
        let body = p.inside(&chain, *node, |_| String::new());
        p.indices = outer;
        let space = if chain.is_empty() { "" } else { " " };
        let _ = writeln!(text, "out{space}{body}");
    }
    text
}

/// [`print`] for root nodes.
pub fn print_roots(ir: &Ir, outputs: &[NodeId]) -> String {
    let o: Vec<_> = outputs.iter().map(|n| (ir.region(*n), *n)).collect();
    print(ir, &o)
}

/// How a node is used in one block.
#[derive(Default)]
struct Use {
    count: usize,
    scopes: BTreeSet<DomainId>,
}

impl Use {
    fn note(&mut self, scopes: impl IntoIterator<Item = DomainId>) {
        self.count += 1;
        self.scopes.extend(scopes);
    }
}

/// The nodes of computed positions.
fn computed(at: &[Pos]) -> impl Iterator<Item = NodeId> {
    at.iter().filter_map(|p| match p {
        Pos::Node(n) => Some(*n),
        Pos::Affine { .. } => None,
    })
}

struct Printer<'a> {
    ir: &'a Ir,
    deep: BTreeSet<NodeId>,
    names: HashMap<NodeId, usize>,
    indices: BTreeMap<IndexId, usize>,
    inputs: BTreeMap<InputId, String>,
    reachable: Vec<NodeId>,
    prefix: String,
    next_index: usize,
    next_name: usize,
}

impl<'a> Printer<'a> {
    fn new(ir: &'a Ir, outputs: &[(DomainId, NodeId)]) -> Self {
        let mut roots: Vec<NodeId> = outputs.iter().map(|o| o.1).collect();
        for (d, _) in outputs {
            roots.extend(ir.chain(*d).iter().filter_map(|d| ir.domain(*d).filter));
        }
        let reachable = ir.reachable(&roots);
        let mut inputs = BTreeMap::new();
        let mut taken: BTreeMap<&str, usize> = BTreeMap::new();
        for n in &reachable {
            if let Node::Input(i) = ir.node(*n) {
                let name = &ir.input(*i).name;
                let count = taken.entry(name).or_default();
                *count += 1;
                let shown = if *count == 1 {
                    name.clone()
                } else {
                    format!("{name}#{count}")
                };
                inputs.insert(*i, shown);
            }
        }
        let mut prefix = "i".to_string();
        while inputs.values().any(|n| {
            n.strip_prefix(&prefix)
                .is_some_and(|r| r.starts_with(|c: char| c.is_ascii_digit()))
        }) {
            prefix.push('i');
        }
        let mut p = Printer {
            ir,
            deep: BTreeSet::new(),
            names: HashMap::new(),
            indices: BTreeMap::new(),
            inputs,
            reachable,
            prefix,
            next_index: 0,
            next_name: 0,
        };
        p.find_deep();
        p
    }

    fn used_inputs(&self) -> Vec<InputId> {
        self.inputs.keys().copied().collect()
    }

    /// Too short to name.
    fn trivial(&self, n: NodeId) -> bool {
        match self.ir.node(n) {
            Node::Const(_) | Node::Input(_) | Node::Index(_) => true,
            Node::Gather { array, at } => {
                matches!(self.ir.node(*array), Node::Input(_)) && at.iter().all(|p| matches!(p, Pos::Affine { .. }))
            }
            _ => false,
        }
    }

    /// Nodes at every [`DEEPEST`]th level, so that no line nests too deeply to be parsed.
    fn find_deep(&mut self) {
        let ir = self.ir;
        let mut depth: HashMap<NodeId, usize> = HashMap::new();
        for &n in &self.reachable {
            let mut d = 0;
            ir.for_each_arg(n, |a| d = d.max(depth.get(&a).map_or(0, |d| d + 1)));
            if d > 0 && d % DEEPEST == 0 && !self.trivial(n) {
                self.deep.insert(n);
            }
            depth.insert(n, d);
        }
    }

    /// Writes the names of region `region` that a block needs, in order: of what is used twice in it, used in a deeper
    /// loop (which must not pull it in), or deep. `roots` are the block's expressions with the regions they stand in.
    fn lets(&mut self, region: DomainId, roots: &[(DomainId, NodeId)], out: &mut Vec<String>) {
        let ir = self.ir;
        let mut below: BTreeMap<NodeId, Use> = BTreeMap::new();
        for (d, n) in roots {
            below.entry(*n).or_default().note([*d]);
        }
        let mut wanted = vec![];
        // Users come after their arguments: from the last to the first, all uses of a node are known when it is taken.
        while let Some((n, uses)) = below.pop_last() {
            // What has a name already is written elsewhere, with all it needs.
            if self.names.contains_key(&n) {
                continue;
            }
            let own = ir.region(n);
            let outside = uses.scopes.iter().any(|s| *s != own);
            let named = !self.trivial(n) && (outside || uses.count > 1 || self.deep.contains(&n));
            if named && own == region {
                wanted.push(n);
            }
            let scopes = if named { [own].into() } else { uses.scopes };
            let mut inherit = BTreeSet::new();
            let mut inner: BTreeMap<NodeId, BTreeSet<DomainId>> = BTreeMap::new();
            match ir.node(n) {
                Node::Const(_) | Node::Input(_) | Node::Index(_) => {}
                Node::Apply { args, .. } => inherit.extend(args.iter().copied()),
                Node::Gather { array, at } => {
                    inherit.insert(*array);
                    inherit.extend(computed(at));
                }
                Node::Fold { domain, body, .. } | Node::Map { domain, body } => {
                    inner.entry(*body).or_default().insert(*domain);
                    if let Some(f) = ir.domain(*domain).filter {
                        inner.entry(f).or_default().insert(*domain);
                    }
                }
                Node::Scatter { domain, body, at, .. } => {
                    for m in computed(at).chain([*body]) {
                        inner.entry(m).or_default().insert(*domain);
                    }
                    for d in ir.chain(*domain) {
                        if let Some(f) = ir.domain(d).filter {
                            inner.entry(f).or_default().insert(d);
                        }
                    }
                }
            }
            for m in inherit {
                below.entry(m).or_default().note(scopes.iter().copied());
            }
            for (m, d) in inner {
                below.entry(m).or_default().note(d);
            }
        }
        for n in wanted.into_iter().rev() {
            let e = self.bare(n);
            self.next_name += 1;
            self.names.insert(n, self.next_name);
            out.push(format!("%{} = {e}", self.next_name));
        }
    }

    /// Binders of the domains of `chain`, each with the names of its region, and what `then` writes inside them. The
    /// names are forgotten behind it: another loop over the same domain writes them again.
    fn inside(&mut self, chain: &[DomainId], body: NodeId, then: impl FnOnce(&mut Self) -> String) -> String {
        let innermost = chain.last().copied().unwrap_or(DomainId::ROOT);
        let mut s = String::new();
        for d in chain {
            s.push('(');
            s.push_str(&self.binder(*d));
            let mut lets = vec![];
            self.lets(*d, &[(innermost, body)], &mut lets);
            for l in lets {
                s.push_str("; ");
                s.push_str(&l);
            }
            s.push(')');
        }
        let rest = then(self);
        let e = self.expr(body);
        let ir = self.ir;
        self.names.retain(|n, _| !chain.contains(&ir.region(*n)));
        format!("{s} {rest}{e}")
    }

    fn expr(&mut self, n: NodeId) -> String {
        match self.names.get(&n) {
            Some(k) => format!("%{k}"),
            None => self.bare(n),
        }
    }

    /// The node without its own name. Indices bound inside keep their names inside.
    fn bare(&mut self, n: NodeId) -> String {
        let outer = self.indices.clone();
        let s = self.written(n);
        self.indices = outer;
        s
    }

    fn written(&mut self, n: NodeId) -> String {
        let ir = self.ir;
        match ir.node(n) {
            Node::Const(b) => number(f64::from_bits(*b)),
            Node::Input(i) => self.inputs.get(i).cloned().unwrap_or_default(),
            Node::Index(i) => format!("val({})", self.index(*i)),
            Node::Apply { atom, args } => {
                let a: Vec<String> = args.iter().map(|a| self.expr(*a)).collect();
                format!("{}({})", atom.name, a.join(", "))
            }
            Node::Gather { array, at } => {
                let a = self.expr(*array);
                let at = self.positions(at);
                format!("{a}[{at}]")
            }
            Node::Fold { atom, domain, body } => {
                let rest = self.inside(&[*domain], *body, |_| String::new());
                format!("{}{rest}", atom.name)
            }
            Node::Map { domain, body } => {
                let rest = self.inside(&[*domain], *body, |_| String::new());
                format!("map{rest}")
            }
            Node::Scatter {
                domain,
                shape,
                at,
                body,
            } => {
                let chain = ir.chain(*domain);
                let shape: Vec<String> = shape.iter().map(usize::to_string).collect();
                let rest = self.inside(&chain, *body, |p| {
                    let at = p.positions(at);
                    format!("[{}] [{at}] ", shape.join(", "))
                });
                format!("scatter{rest}")
            }
        }
    }

    fn index(&mut self, i: IndexId) -> String {
        let k = match self.indices.get(&i) {
            Some(k) => *k,
            None => {
                self.next_index += 1;
                self.indices.insert(i, self.next_index);
                self.next_index
            }
        };
        format!("{}{k}", self.prefix)
    }

    fn binder(&mut self, d: DomainId) -> String {
        let domain = self.ir.domain(d);
        let mut parts = vec![];
        for i in &domain.indices {
            self.next_index += 1;
            self.indices.insert(*i, self.next_index);
            parts.push(format!("{} in {}", self.index(*i), set(&self.ir.index(*i).set)));
        }
        let filter = match domain.filter {
            Some(f) => {
                let e = self.expr(f);
                format!(" if {e}")
            }
            None => String::new(),
        };
        format!("{}{filter}", parts.join(", "))
    }

    fn positions(&mut self, at: &[Pos]) -> String {
        let parts: Vec<String> = at.iter().map(|p| self.position(p)).collect();
        parts.join(", ")
    }

    fn position(&mut self, p: &Pos) -> String {
        match p {
            Pos::Node(n) => format!("@{}", self.expr(*n)),
            Pos::Affine { terms, offset } => {
                let mut s = String::new();
                for (i, stride) in terms {
                    let name = self.index(*i);
                    let sign = match (s.is_empty(), *stride < 0) {
                        (true, false) => "",
                        (true, true) => "-",
                        (false, false) => " + ",
                        (false, true) => " - ",
                    };
                    let size = stride.unsigned_abs();
                    if size == 1 {
                        let _ = write!(s, "{sign}{name}");
                    } else {
                        let _ = write!(s, "{sign}{size}*{name}");
                    }
                }
                match (s.is_empty(), *offset) {
                    (true, o) => s = o.to_string(),
                    (false, 0) => {}
                    (false, o) if o < 0 => {
                        let _ = write!(s, " - {}", o.unsigned_abs());
                    }
                    (false, o) => {
                        let _ = write!(s, " + {o}");
                    }
                }
                s
            }
        }
    }

    fn declaration(&self, i: InputId) -> String {
        let input = self.ir.input(i);
        let word = match input.kind {
            InputKind::Var => "var",
            InputKind::Param => "param",
            InputKind::Data(_) => "data",
            InputKind::Seed => "seed",
        };
        let mut s = format!("{word} {}", self.inputs.get(&i).cloned().unwrap_or_default());
        if input.sparse {
            s.push_str(" sparse");
        }
        if !input.dims.is_empty() {
            let d: Vec<String> = input.dims.iter().map(set).collect();
            let _ = write!(s, " [{}]", d.join(", "));
        }
        s.push_str(match input.sign {
            Sign::Zero => " zero",
            Sign::Nonneg => " nonneg",
            Sign::Nonpos => " nonpos",
            Sign::Unknown => "",
        });
        if let InputKind::Data(t) = &input.kind {
            s.push_str(" =");
            match &t.storage {
                Storage::Dense(d) => d.iter().for_each(|v| {
                    let _ = write!(s, " {}", number(*v));
                }),
                Storage::Sparse(m) => {
                    for r in 0..m.rows {
                        for k in m.indptr[r]..m.indptr[r + 1] {
                            let _ = write!(s, " {}:{}:{}", r, m.indices[k], number(m.values[k]));
                        }
                    }
                }
            }
        }
        s
    }
}

fn number(v: f64) -> String {
    if v.is_nan() {
        return "nan".into();
    }
    let s = format!("{v:?}");
    s.strip_suffix(".0").map_or(s.clone(), str::to_string)
}

fn set(s: &IndexSet) -> String {
    match s {
        IndexSet::Range { lo, len } => format!("{lo}..{}", lo + *len as i64 - 1),
        IndexSet::Labels(l) => {
            let labels: Vec<String> = l.labels.iter().map(|e| format!("{e:?}")).collect();
            format!("{}{{{}}}", l.name, labels.join(", "))
        }
        IndexSet::Listed(l) => {
            let parts: Vec<String> = l.parts.iter().map(set).collect();
            let tuples: Vec<String> = (0..l.len())
                .map(|k| {
                    let key: Vec<String> = l.columns.iter().map(|c| c[k].to_string()).collect();
                    format!("({})", key.join(", "))
                })
                .collect();
            format!("tuples {:?} [{}] {{{}}}", l.name, parts.join(", "), tuples.join(", "))
        }
    }
}
