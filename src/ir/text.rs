//! The textual form of the IR: prints, and parses what it prints.
//!
//! Invariant: `print(parse(t)) == t` for every `t` that `print` yields. Index names are canonical (`i1`, `i2`, … in the
//! order of printing), so equal programs print equal text whatever their indices are called.
//!
//! ```text
//! param A [1..2, 1..3]
//! var x [1..3] nonneg
//! %1 = matmul(A, x)
//! out sum(i1 in 1..2) square(%1[i1])
//! ```
//! Positions in `[ ]` count from 0: `x[2*i1 + 1]`, or `x[@e]` for a computed one; `val(i1)` is an index's value. A binder
//! may filter, and name shared parts of its body: `sum(i1 in S if c; %2 = e) …`. `map(i1 in S) e`;
//! `scatter(i1 in S)(i2 in T) [shape] [positions] e` lists all enclosing domains; `out (i1 in S) e` is an output in a
//! region.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::fmt::Write as _;
use std::sync::Arc;

use ravine_linalg::Csr;

use super::atom::{AtomKind, AtomRef};
use super::build::Ir;
use super::facts::Sign;
use super::node::{DomainId, IndexId, Input, InputId, InputKind, Node, NodeId, Pos};
use crate::base::value::{IndexSet, LabelSet, ListedSet, Storage, Tensor};

/// Inline expressions deeper than this are broken by a name.
const DEEPEST: usize = 24;

// ---- printing --------------------------------------------------------------------------------------------------------

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

// ---- parsing ---------------------------------------------------------------------------------------------------------

/// What a text holds.
#[derive(Debug)]
pub struct Program {
    /// The nodes.
    pub ir: Ir,
    /// The outputs with the regions they are asked in.
    pub outputs: Vec<(DomainId, NodeId)>,
}

/// Parses a text; `atoms` finds a row by name and kind.
///
/// # Errors
/// One sentence with the line.
pub fn parse(text: &str, atoms: &dyn Fn(&str, AtomKind) -> Option<AtomRef>) -> Result<Program, String> {
    let mut p = Parser {
        tokens: vec![],
        at: 0,
        ir: Ir::new(),
        inputs: HashMap::new(),
        names: HashMap::new(),
        scope: vec![],
        labels: BTreeMap::new(),
        atoms,
        depth: 0,
    };
    let mut outputs = vec![];
    for (k, line) in text.lines().enumerate() {
        let line = line.trim();
        if line.is_empty() {
            continue;
        }
        p.tokens = tokens(line).map_err(|e| format!("line {}: {e}", k + 1))?;
        p.at = 0;
        p.line(&mut outputs).map_err(|e| format!("line {}: {e}", k + 1))?;
    }
    Ok(Program { ir: p.ir, outputs })
}

#[derive(Clone, Debug, PartialEq)]
enum Token {
    Name(String),
    Text(String),
    Number(String),
    Mark(char),
    Dots,
}

fn is_name(c: char) -> bool {
    c.is_alphanumeric() || matches!(c, '_' | '\'' | '#' | '·' | '%')
}

fn tokens(line: &str) -> Result<Vec<Token>, String> {
    let c: Vec<char> = line.chars().collect();
    let mut out = vec![];
    let mut k = 0;
    while k < c.len() {
        if c[k].is_whitespace() {
            k += 1;
        } else if c[k] == '.' && c.get(k + 1) == Some(&'.') {
            out.push(Token::Dots);
            k += 2;
        } else if c[k].is_ascii_digit() {
            let start = k;
            while k < c.len()
                && (c[k].is_ascii_digit()
                    || c[k] == 'e'
                    || (c[k] == '.' && c.get(k + 1) != Some(&'.'))
                    || (c[k] == '-' && c[k - 1] == 'e'))
            {
                k += 1;
            }
            out.push(Token::Number(c[start..k].iter().collect()));
        } else if c[k] == '"' {
            let mut s = String::new();
            k += 1;
            loop {
                match c.get(k) {
                    None => return Err("a text without its end".into()),
                    Some('"') => break,
                    Some('\\') => {
                        k += 1;
                        match c.get(k) {
                            Some('n') => s.push('\n'),
                            Some('t') => s.push('\t'),
                            Some('r') => s.push('\r'),
                            Some(o) => s.push(*o),
                            None => return Err("a text without its end".into()),
                        }
                    }
                    Some(o) => s.push(*o),
                }
                k += 1;
            }
            k += 1;
            out.push(Token::Text(s));
        } else if is_name(c[k]) {
            let start = k;
            while k < c.len() && is_name(c[k]) {
                k += 1;
            }
            out.push(Token::Name(c[start..k].iter().collect()));
        } else {
            out.push(Token::Mark(c[k]));
            k += 1;
        }
    }
    Ok(out)
}

struct Parser<'a> {
    tokens: Vec<Token>,
    at: usize,
    ir: Ir,
    inputs: HashMap<String, InputId>,
    names: HashMap<String, NodeId>,
    scope: Vec<(String, IndexId)>,
    labels: BTreeMap<(String, Vec<String>), Arc<LabelSet>>,
    atoms: &'a dyn Fn(&str, AtomKind) -> Option<AtomRef>,
    depth: usize,
}

type Parsed<T> = Result<T, String>;

impl Parser<'_> {
    fn peek(&self) -> Option<&Token> {
        self.tokens.get(self.at)
    }
    fn is(&self, c: char) -> bool {
        self.peek() == Some(&Token::Mark(c))
    }
    fn word(&self, w: &str) -> bool {
        matches!(self.peek(), Some(Token::Name(n)) if n == w)
    }
    fn take(&mut self, c: char) -> bool {
        let yes = self.is(c);
        self.at += usize::from(yes);
        yes
    }
    fn need(&mut self, c: char) -> Parsed<()> {
        if self.take(c) {
            return Ok(());
        }
        Err(format!("`{c}` expected, found {:?}", self.peek()))
    }
    fn name(&mut self) -> Parsed<String> {
        match self.peek().cloned() {
            Some(Token::Name(n)) => {
                self.at += 1;
                Ok(n)
            }
            other => Err(format!("a name expected, found {other:?}")),
        }
    }
    fn integer(&mut self) -> Parsed<i64> {
        let minus = self.take('-');
        match self.peek().cloned() {
            Some(Token::Number(n)) => {
                self.at += 1;
                let v: i64 = n.parse().map_err(|_| format!("an integer expected, found {n}"))?;
                Ok(if minus { -v } else { v })
            }
            other => Err(format!("an integer expected, found {other:?}")),
        }
    }
    fn real(&mut self) -> Parsed<f64> {
        let minus = self.take('-');
        let v = match self.peek().cloned() {
            Some(Token::Number(n)) => n.parse().map_err(|_| format!("a number expected, found {n}"))?,
            Some(Token::Name(n)) if n == "inf" => f64::INFINITY,
            Some(Token::Name(n)) if n == "nan" => f64::NAN,
            other => return Err(format!("a number expected, found {other:?}")),
        };
        self.at += 1;
        Ok(if minus { -v } else { v })
    }

    fn line(&mut self, outputs: &mut Vec<(DomainId, NodeId)>) -> Parsed<()> {
        let first = self.name()?;
        match first.as_str() {
            "var" | "param" | "data" | "seed" => self.input(&first)?,
            "out" => {
                let mark = self.scope.len();
                let mut region = DomainId::ROOT;
                while self.is('(') {
                    region = self.binder(region)?;
                }
                let n = self.expr(region)?;
                self.scope.truncate(mark);
                outputs.push((region, n));
            }
            name if name.starts_with('%') => {
                self.need('=')?;
                let n = self.expr(DomainId::ROOT)?;
                self.names.insert(first, n);
            }
            other => return Err(format!("`{other}` begins no line")),
        }
        match self.peek() {
            None => Ok(()),
            Some(t) => Err(format!("{t:?} behind the end")),
        }
    }

    fn input(&mut self, kind: &str) -> Parsed<()> {
        let name = self.name()?;
        let sparse = self.word("sparse");
        self.at += usize::from(sparse);
        let mut dims = vec![];
        if self.take('[') {
            loop {
                dims.push(self.set()?);
                if !self.take(',') {
                    break;
                }
            }
            self.need(']')?;
        }
        let mut sign = Sign::Unknown;
        for (w, s) in [("zero", Sign::Zero), ("nonneg", Sign::Nonneg), ("nonpos", Sign::Nonpos)] {
            if self.word(w) {
                self.at += 1;
                sign = s;
            }
        }
        let kind = match kind {
            "var" => InputKind::Var,
            "param" => InputKind::Param,
            "seed" => InputKind::Seed,
            _ => {
                self.need('=')?;
                InputKind::Data(Arc::new(self.tensor(&dims, sparse)?))
            }
        };
        let id = self.ir.add_input(Input {
            name: name.split('#').next().unwrap_or_default().to_string(),
            kind,
            dims,
            sparse,
            sign,
        });
        self.inputs.insert(name, id);
        Ok(())
    }

    fn tensor(&mut self, dims: &[IndexSet], sparse: bool) -> Parsed<Tensor> {
        if sparse {
            let [r, c] = dims else {
                return Err("sparse data has two dimensions".into());
            };
            let mut m = Csr {
                rows: r.len(),
                cols: c.len(),
                indptr: vec![0; r.len() + 1],
                indices: vec![],
                values: vec![],
            };
            while self.peek().is_some() {
                let row = self.integer()? as usize;
                self.need(':')?;
                let col = self.integer()? as usize;
                self.need(':')?;
                let v = self.real()?;
                if row >= m.rows || col >= m.cols {
                    return Err(format!("entry {row}:{col} outside {}×{}", m.rows, m.cols));
                }
                m.indices.push(col);
                m.values.push(v);
                m.indptr[row + 1..].iter_mut().for_each(|p| *p += 1);
            }
            return Ok(Tensor {
                dims: dims.to_vec(),
                storage: Storage::Sparse(m),
            });
        }
        let mut v = vec![];
        while self.peek().is_some() {
            v.push(self.real()?);
        }
        Tensor::dense(dims.to_vec(), v).ok_or_else(|| "as many numbers as entries expected".into())
    }

    fn set(&mut self) -> Parsed<IndexSet> {
        if self.word("tuples") && matches!(self.tokens.get(self.at + 1), Some(Token::Text(_))) {
            return self.listed();
        }
        if matches!(self.peek(), Some(Token::Name(_))) || self.is('{') {
            let name = if self.is('{') { String::new() } else { self.name()? };
            self.need('{')?;
            let mut labels = vec![];
            while let Some(Token::Text(t)) = self.peek().cloned() {
                self.at += 1;
                labels.push(t);
                if !self.take(',') {
                    break;
                }
            }
            self.need('}')?;
            let shared = self
                .labels
                .entry((name.clone(), labels.clone()))
                .or_insert_with(|| Arc::new(LabelSet { name, labels }));
            return Ok(IndexSet::Labels(shared.clone()));
        }
        let lo = self.integer()?;
        if self.peek() != Some(&Token::Dots) {
            return Err("`..` expected".into());
        }
        self.at += 1;
        let hi = self.integer()?;
        Ok(IndexSet::Range {
            lo,
            len: usize::try_from(hi - lo + 1).unwrap_or(0),
        })
    }

    /// `tuples "arcs" [1..2, 1..3] {(0, 1), (1, 2)}`: components as positions.
    fn listed(&mut self) -> Parsed<IndexSet> {
        let Some(Token::Text(name)) = self.tokens.get(self.at + 1).cloned() else {
            return Err("a name expected".into());
        };
        self.at += 2;
        self.need('[')?;
        let mut parts = vec![];
        while !self.is(']') {
            parts.push(self.set()?);
            self.take(',');
        }
        self.need(']')?;
        self.need('{')?;
        let mut columns = vec![vec![]; parts.len()];
        while self.take('(') {
            for (column, part) in columns.iter_mut().zip(&parts) {
                let k = self.integer()?;
                match u32::try_from(k) {
                    Ok(p) if (p as usize) < part.len() => column.push(p),
                    _ => return Err(format!("position {k} outside its set")),
                }
                self.take(',');
            }
            self.need(')')?;
            self.take(',');
        }
        self.need('}')?;
        match ListedSet::new(name, parts, columns) {
            Ok(l) => Ok(IndexSet::Listed(Arc::new(l))),
            Err(_) => Err("an element stands twice".into()),
        }
    }

    /// Opens a domain below `parent`; its names stay in scope until the caller truncates them.
    fn binder(&mut self, parent: DomainId) -> Parsed<DomainId> {
        self.need('(')?;
        let mut named = vec![];
        while !self.is(')') && !self.is(';') && !self.word("if") {
            let name = self.name()?;
            if !self.word("in") {
                return Err("`in` expected".into());
            }
            self.at += 1;
            named.push((name, self.set()?));
            self.take(',');
        }
        let (domain, ids) = self.ir.add_domain(parent, named.iter().cloned());
        self.scope.extend(named.into_iter().map(|n| n.0).zip(ids));
        if self.word("if") {
            self.at += 1;
            let f = self.expr(domain)?;
            self.ir.set_filter(domain, f);
        }
        while self.take(';') {
            let name = self.name()?;
            self.need('=')?;
            let e = self.expr(domain)?;
            self.names.insert(name, e);
        }
        self.need(')')?;
        Ok(domain)
    }

    fn expr(&mut self, region: DomainId) -> Parsed<NodeId> {
        self.depth += 1;
        if self.depth > 200 {
            return Err("nested too deeply".into());
        }
        let mut n = self.primary(region)?;
        while self.take('[') {
            let at = self.positions(region)?;
            if at.len() != self.ir.shape(n).len() {
                return Err(format!(
                    "{} positions for {} dimensions",
                    at.len(),
                    self.ir.shape(n).len()
                ));
            }
            n = self.ir.gather(n, at);
        }
        self.depth -= 1;
        Ok(n)
    }

    fn positions(&mut self, region: DomainId) -> Parsed<Vec<Pos>> {
        let mut at = vec![];
        while !self.is(']') {
            at.push(self.position(region)?);
            self.take(',');
        }
        self.need(']')?;
        Ok(at)
    }

    fn position(&mut self, region: DomainId) -> Parsed<Pos> {
        if self.take('@') {
            return Ok(Pos::Node(self.expr(region)?));
        }
        let mut terms: BTreeMap<IndexId, i64> = BTreeMap::new();
        let mut offset = 0;
        loop {
            let sign = if self.take('-') { -1 } else { 1 };
            self.take('+');
            match self.peek().cloned() {
                Some(Token::Number(_)) => {
                    let k = sign * self.integer()?;
                    if self.take('*') {
                        let i = self.bound_index()?;
                        *terms.entry(i).or_default() += k;
                    } else {
                        offset += k;
                    }
                }
                _ => {
                    let i = self.bound_index()?;
                    *terms.entry(i).or_default() += sign;
                }
            }
            if !self.is('+') && !self.is('-') {
                break;
            }
        }
        Ok(Pos::Affine {
            terms: terms.into_iter().filter(|t| t.1 != 0).collect(),
            offset,
        })
    }

    fn bound_index(&mut self) -> Parsed<IndexId> {
        let name = self.name()?;
        self.scope
            .iter()
            .rev()
            .find(|s| s.0 == name)
            .map(|s| s.1)
            .ok_or_else(|| format!("no index `{name}` here"))
    }

    fn primary(&mut self, region: DomainId) -> Parsed<NodeId> {
        match self.peek().cloned() {
            Some(Token::Number(_) | Token::Mark('-')) => {
                let v = self.real()?;
                Ok(self.ir.constant(v))
            }
            Some(Token::Name(n)) => {
                self.at += 1;
                if !self.is('(') {
                    if n == "inf" || n == "nan" {
                        self.at -= 1;
                        let v = self.real()?;
                        return Ok(self.ir.constant(v));
                    }
                    if let Some(&e) = self.names.get(&n) {
                        return Ok(e);
                    }
                    return match self.inputs.get(&n) {
                        Some(i) => Ok(self.ir.read(*i)),
                        None => Err(format!("nothing is called `{n}`")),
                    };
                }
                let binds = matches!(self.tokens.get(self.at + 1), Some(Token::Name(_)))
                    && matches!(self.tokens.get(self.at + 2), Some(Token::Name(w)) if w == "in");
                if binds {
                    return self.loop_of(&n, region);
                }
                self.need('(')?;
                if n == "val" {
                    let i = self.bound_index()?;
                    self.need(')')?;
                    return Ok(self.ir.index_value(i));
                }
                let mut args = vec![];
                while !self.is(')') {
                    args.push(self.expr(region)?);
                    self.take(',');
                }
                self.need(')')?;
                let arrays = args.iter().any(|a| !self.ir.shape(*a).is_empty());
                let order = if arrays {
                    [AtomKind::Array, AtomKind::Scalar]
                } else {
                    [AtomKind::Scalar, AtomKind::Array]
                };
                let atom = order.iter().find_map(|k| (self.atoms)(&n, *k));
                let atom = atom.ok_or_else(|| format!("no atom is called `{n}`"))?;
                self.ir.try_apply(atom, &args)
            }
            other => Err(format!("an expression expected, found {other:?}")),
        }
    }

    fn loop_of(&mut self, head: &str, region: DomainId) -> Parsed<NodeId> {
        let mark = self.scope.len();
        let root = matches!(head, "map" | "scatter");
        let mut domain = self.binder(if root { DomainId::ROOT } else { region })?;
        let n = match head {
            "map" => {
                let e = self.expr(domain)?;
                self.ir.map(domain, e)
            }
            "scatter" => {
                while self.is('(') {
                    domain = self.binder(domain)?;
                }
                self.need('[')?;
                let mut shape = vec![];
                while !self.is(']') {
                    shape.push(usize::try_from(self.integer()?).map_err(|_| "a length expected".to_string())?);
                    self.take(',');
                }
                self.need(']')?;
                self.need('[')?;
                let at = self.positions(domain)?;
                let e = self.expr(domain)?;
                self.ir.scatter(domain, shape, at, e)
            }
            _ => {
                let atom = (self.atoms)(head, AtomKind::Reduction)
                    .ok_or_else(|| format!("no reduction is called `{head}`"))?;
                let e = self.expr(domain)?;
                self.ir.fold(atom, domain, e)
            }
        };
        self.scope.truncate(mark);
        Ok(n)
    }
}
