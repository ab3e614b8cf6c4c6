//! Parsing what was printed, by recursive descent, one line at a time.
//!
//! Invariant: a text that is no program is refused with its line; nesting is bounded.

use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;

use ravine_linalg::Csr;

use super::super::atom::{AtomKind, AtomRef};
use super::super::build::Ir;
use super::super::facts::Sign;
use super::super::node::{DomainId, IndexId, Input, InputId, InputKind, NodeId, Pos};
use super::tokens::{Token, tokens};
use crate::base::value::{IndexSet, LabelSet, ListedSet, Storage, Tensor};

/// Expressions nested deeper than this are refused.
const DEEPEST: usize = 200;

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
        if self.depth > DEEPEST {
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
