//! Composite form: an objective taken apart into a smooth part and penalties that have a closed proximal point.
//!
//! Invariant: the parts add up to the objective; what has no closed proximal point, or would share coordinates with
//! another block, is refused with the place and the reason.

mod sets;

use std::sync::Arc;

use ravine_linalg::{Csr, Matrix};

use super::conic::{NotConic, Parts, SquareTerm, linear_pieces, parts, summed};
use super::rows::{Columns, List, Memo, Places, RowSet, RowsBuilder, RowsProgram};
use super::simple::{Block, Entry, Piece, Simple};
use crate::atoms::{self, rules};
use crate::base::Tensor;
use crate::exec::Fault;
use crate::ir::atom::{AtomKind, Prox};
use crate::ir::{AtomRef, Constraint, DomainId, InputId, Ir, Node, NodeId, Pos, Smooth};
use crate::passes::analysis::curvature::{FactsTable, extend};
use crate::passes::derive::Depends;
use sets::Set;

/// A smooth objective and the penalties beside it.
#[derive(Clone, Debug)]
pub struct Split {
    /// The smooth part.
    pub smooth: NodeId,
    penalties: Vec<Penalty>,
    /// The penalties and sets in words, for the proof.
    pub words: Vec<String>,
    sets: Vec<Set>,
}

impl Split {
    /// Adds the constraints as sets; the error names the first that is none.
    pub fn with_sets(mut self, ir: &mut Ir, constraints: &[Constraint]) -> Result<Split, (usize, NotConic)> {
        self.sets = sets::sets(ir, constraints)?;
        if !self.sets.is_empty() {
            self.words.push("sets with a closed projection".into());
        }
        Ok(self)
    }
    /// Everything is smooth.
    pub fn none(root: NodeId) -> Split {
        Split {
            smooth: root,
            penalties: vec![],
            words: vec![],
            sets: vec![],
        }
    }
    /// Is there no penalty?
    pub fn is_smooth(&self) -> bool {
        self.penalties.is_empty() && self.sets.is_empty()
    }
}

/// A penalty as it stands in the program.
#[derive(Clone, Debug)]
enum Penalty {
    /// `weight · atom(scale · entry + shift)` at each instance.
    Entries {
        domain: DomainId,
        atom: AtomRef,
        weight: NodeId,
        entry: LinearEntry,
    },
    /// `weight · ‖scale · entries‖` over the instances of `inner` in one instance of `outer`.
    Block {
        outer: DomainId,
        inner: DomainId,
        atom: AtomRef,
        weight: NodeId,
        entry: LinearEntry,
    },
    /// `weight · Σ |to - from|` over the instances of `inner` in one of `outer`.
    Differences {
        inner: DomainId,
        weight: NodeId,
        from: LinearEntry,
        to: LinearEntry,
    },
}

/// `scale · (one entry of a variable) + shift`.
#[derive(Clone, Debug)]
struct LinearEntry {
    array: NodeId,
    at: Vec<Pos>,
    scale: NodeId,
    shift: NodeId,
}

/// One entry of a variable, scaled and shifted.
fn linear_entry(ir: &mut Ir, depends: &mut Depends, n: NodeId) -> Option<LinearEntry> {
    let (one, zero) = (ir.constant(1.0), ir.constant(0.0));
    let plain = |array: NodeId, at: Vec<Pos>| LinearEntry {
        array,
        at,
        scale: one,
        shift: zero,
    };
    match ir.node(n).clone() {
        Node::Gather { array, at } if ir.is_var(array) => Some(plain(array, at.to_vec())),
        Node::Input(_) if ir.is_var(n) && ir.shape(n).is_empty() => Some(plain(n, vec![])),
        Node::Apply { atom, args } => {
            let held: Vec<bool> = args.iter().map(|a| depends.has(ir, *a)).collect();
            match (atom, held.as_slice()) {
                (a, [true]) if a == atoms::NEG => {
                    let mut e = linear_entry(ir, depends, args[0])?;
                    e.scale = rules::neg(ir, e.scale);
                    e.shift = rules::neg(ir, e.shift);
                    Some(e)
                }
                (a, [first, second]) if a == atoms::MUL && first != second => {
                    let (fixed, of) = if *first { (args[1], args[0]) } else { (args[0], args[1]) };
                    let mut e = linear_entry(ir, depends, of)?;
                    e.scale = rules::mul(ir, fixed, e.scale);
                    e.shift = rules::mul(ir, fixed, e.shift);
                    Some(e)
                }
                (a, [true, false]) if a == atoms::DIV => {
                    let mut e = linear_entry(ir, depends, args[0])?;
                    e.scale = rules::div(ir, e.scale, args[1]);
                    e.shift = rules::div(ir, e.shift, args[1]);
                    Some(e)
                }
                (a, [first, second]) if (a == atoms::ADD || a == atoms::SUB) && first != second => {
                    let minus = a == atoms::SUB;
                    let (of, other) = if *first { (args[0], args[1]) } else { (args[1], args[0]) };
                    let mut e = linear_entry(ir, depends, of)?;
                    if minus && *second {
                        e.scale = rules::neg(ir, e.scale);
                        e.shift = rules::sub(ir, other, e.shift);
                    } else if minus {
                        e.shift = rules::sub(ir, e.shift, other);
                    } else {
                        e.shift = rules::add(ir, e.shift, other);
                    }
                    Some(e)
                }
                _ => None,
            }
        }
        _ => None,
    }
}

/// Takes an objective (to be minimized) apart; the error is what is neither smooth nor simple.
pub fn split(ir: &mut Ir, root: NodeId, facts: &FactsTable) -> Result<Split, NotConic> {
    let mut facts = facts.clone();
    let mut depends = Depends::on_vars(ir);
    let one = ir.constant(1.0);
    let mut smooth: Vec<NodeId> = vec![];
    let mut penalties = vec![];
    let mut words: Vec<String> = vec![];
    let mut stack = vec![(DomainId::ROOT, one, root)];
    while let Some((region, w, n)) = stack.pop() {
        extend(ir, &mut facts, n);
        let is_smooth = !depends.has(ir, n) || facts.get(n).is_some_and(|f| f.smooth >= Smooth::C1);
        if is_smooth {
            let v = rules::mul(ir, w, n);
            smooth.push(summed(ir, region, v));
            continue;
        }
        match linear_pieces(ir, &mut depends, (region, w, n)) {
            Some(pieces) => stack.extend(pieces),
            None => match penalty(ir, &mut depends, region, w, n) {
                Some((p, word)) => {
                    penalties.push(p);
                    if !words.contains(&word) {
                        words.push(word);
                    }
                }
                None => {
                    return Err(NotConic {
                        node: n,
                        why: "this has kinks and no closed proximal point".into(),
                    });
                }
            },
        }
    }
    let zero = ir.constant(0.0);
    let smooth = smooth.into_iter().reduce(|a, b| rules::add(ir, a, b)).unwrap_or(zero);
    Ok(Split {
        smooth,
        penalties,
        words,
        sets: vec![],
    })
}

/// A kinked scalar of a region as a penalty.
fn penalty(
    ir: &mut Ir,
    depends: &mut Depends,
    region: DomainId,
    weight: NodeId,
    n: NodeId,
) -> Option<(Penalty, String)> {
    match ir.node(n).clone() {
        Node::Apply { atom, args } if atom.kind == AtomKind::Scalar && args.len() == 1 => {
            if atom == atoms::ABS
                && let Some((from, to)) = difference(ir, depends, args[0])
            {
                let p = Penalty::Differences {
                    inner: region,
                    weight,
                    from,
                    to,
                };
                return Some((p, "differences of neighbours".into()));
            }
            let Prox::Scalar(_) = atom.prox else { return None };
            let entry = linear_entry(ir, depends, args[0])?;
            let p = Penalty::Entries {
                domain: region,
                atom,
                weight,
                entry,
            };
            Some((p, format!("`{}` of single entries", atom.name)))
        }
        Node::Fold { atom, domain, body } if ir.domain(domain).parent == Some(region) => {
            if atom == atoms::NORM1 {
                let abs = ir.apply(atoms::ABS, &[body]);
                let (p, word) = penalty(ir, depends, domain, weight, abs)?;
                let word = if matches!(p, Penalty::Entries { .. }) {
                    "`norm1`".into()
                } else {
                    word
                };
                return Some((p, word));
            }
            if ![atoms::NORM, atoms::NORMINF, atoms::MAX].contains(&atom) {
                return None;
            }
            let entry = linear_entry(ir, depends, body)?;
            let uniform = ir.encloses(ir.region(entry.scale), region) && rules::is(ir, entry.shift, 0.0);
            let p = Penalty::Block {
                outer: region,
                inner: domain,
                atom,
                weight,
                entry,
            };
            let word = if region == DomainId::ROOT { "" } else { " of groups" };
            uniform.then(|| (p, format!("`{}`{word}", atom.name)))
        }
        _ => None,
    }
}

/// `to - from`, both plain entries of one variable.
fn difference(ir: &mut Ir, depends: &mut Depends, n: NodeId) -> Option<(LinearEntry, LinearEntry)> {
    let (a, b) = rules::args_of(ir, n, atoms::SUB)?;
    let (to, from) = (linear_entry(ir, depends, a)?, linear_entry(ir, depends, b)?);
    let plain = |e: &LinearEntry| rules::is(ir, e.scale, 1.0) && rules::is(ir, e.shift, 0.0);
    (plain(&to) && plain(&from) && to.array == from.array).then_some((from, to))
}

/// A penalty as programs of the parameters.
#[derive(Clone, Debug)]
enum Bound {
    Entries {
        atom: AtomRef,
        places: Places,
        weight: List,
        scale: List,
        shift: List,
    },
    Block {
        outer: DomainId,
        inner: DomainId,
        atom: AtomRef,
        places: Places,
        weight: List,
        scale: List,
    },
    Differences {
        weight: List,
        from: Places,
        to: Places,
    },
}

/// A quadratic smooth part: squares of affine scalars, squares of single entries, affine terms.
#[derive(Clone, Debug)]
struct Squares {
    rows: Vec<(RowSet, List)>,
    entries: Vec<(Places, List)>,
    linear: Vec<RowSet>,
}

/// A composite problem as programs of the parameters.
#[derive(Clone, Debug)]
pub struct Composite {
    /// The programs.
    pub rows: RowsProgram,
    penalties: Vec<Bound>,
    sets: Vec<sets::BoundSet>,
    squares: Option<Squares>,
}

/// `f(x) = scale·‖A x - b‖² + Σ ridge·x² + q·x + constant`.
#[derive(Clone, Debug)]
pub struct Quadratic {
    /// Transposed: one row for each coordinate.
    pub columns: Matrix,
    /// Right side.
    pub b: Vec<f64>,
    /// Factor of the squares.
    pub scale: f64,
    /// Weights of the squares of single coordinates.
    pub ridge: Vec<f64>,
    /// Affine part.
    pub q: Vec<f64>,
    /// Constant.
    pub constant: f64,
}

/// Why the bound data do not have the form.
#[derive(Clone, Debug, PartialEq)]
pub enum NotBound {
    /// An evaluation failed.
    Fault(Fault),
    /// A sentence.
    Why(String),
}

impl From<Fault> for NotBound {
    fn from(f: Fault) -> Self {
        NotBound::Fault(f)
    }
}

impl Composite {
    /// Compiles a split; with a quadratic smooth part also its matrix.
    pub fn new(ir: &mut Ir, split: &Split, columns: &Columns) -> Result<Composite, NotConic> {
        let no = |e: super::rows::NoRows| NotConic {
            node: e.node,
            why: e.why,
        };
        let Parts {
            squares,
            quads,
            whole,
            rest,
        } = parts(ir, split.smooth, &Default::default());
        let affine = rest
            .iter()
            .all(|n| crate::passes::analysis::curvature::degree(ir, *n) <= 1);
        let mut b = RowsBuilder::new(ir, columns.clone());
        let mut penalties = vec![];
        for p in &split.penalties {
            penalties.push(match p {
                Penalty::Entries {
                    domain,
                    atom,
                    weight,
                    entry,
                } => Bound::Entries {
                    atom: *atom,
                    places: b.places(*domain, entry.array, &entry.at).map_err(no)?,
                    weight: b.list(*domain, *weight),
                    scale: b.list(*domain, entry.scale),
                    shift: b.list(*domain, entry.shift),
                },
                Penalty::Block {
                    outer,
                    inner,
                    atom,
                    weight,
                    entry,
                } => Bound::Block {
                    outer: *outer,
                    inner: *inner,
                    atom: *atom,
                    places: b.places(*inner, entry.array, &entry.at).map_err(no)?,
                    weight: b.list(*inner, *weight),
                    scale: b.list(*inner, entry.scale),
                },
                Penalty::Differences {
                    inner,
                    weight,
                    from,
                    to,
                } => Bound::Differences {
                    weight: b.list(*inner, *weight),
                    from: b.places(*inner, from.array, &from.at).map_err(no)?,
                    to: b.places(*inner, to.array, &to.at).map_err(no)?,
                },
            });
        }
        let mut bound_sets = vec![];
        for s in &split.sets {
            bound_sets.push(s.bind(&mut b).map_err(no)?);
        }
        let squares = if quads.is_empty() && whole.is_empty() && affine {
            quadratic(&mut b, &squares, &rest)
        } else {
            None
        };
        Ok(Composite {
            rows: b.finish(),
            penalties,
            sets: bound_sets,
            squares,
        })
    }

    /// Binds parameters and evaluates the programs.
    pub fn bind(&mut self, params: &[(InputId, Arc<Tensor>)]) -> Result<(), Fault> {
        self.rows.bind(params);
        self.rows.eval(&vec![0.0; self.rows.width()])
    }

    fn flat(&self, p: &Places) -> Vec<usize> {
        let first = self.rows.variable(p).unwrap_or_default();
        self.rows.flat(p).into_iter().map(|f| first + f).collect()
    }

    /// The simple part for the bound parameters, with bounds on the coordinates.
    pub fn simple(&self, lower: Vec<f64>, upper: Vec<f64>) -> Result<Simple, NotBound> {
        let n = lower.len();
        let why = |s: &str| Err(NotBound::Why(s.into()));
        let mut out = Simple::bounds(lower, upper);
        let mut has_entry = vec![false; n];
        let mut in_block = vec![false; n];
        for p in &self.penalties {
            let weights = match p {
                Bound::Entries { weight, .. } | Bound::Block { weight, .. } | Bound::Differences { weight, .. } => {
                    self.rows.values(*weight)
                }
            };
            if weights.iter().any(|w| !(*w >= 0.0 && w.is_finite())) {
                return why("a penalty has a weight that is not a number of at least 0");
            }
            match p {
                Bound::Entries {
                    atom,
                    places,
                    scale,
                    shift,
                    ..
                } => {
                    let (scale, shift) = (self.rows.values(*scale), self.rows.values(*shift));
                    for (k, i) in self.flat(places).into_iter().enumerate() {
                        let (w, a, s) = (weights[k], scale[k], shift[k]);
                        if w == 0.0 || a == 0.0 {
                            continue;
                        }
                        let plain = *atom == atoms::ABS && s == 0.0;
                        if plain && !has_entry[i] {
                            out.l1[i] += w * a.abs();
                            continue;
                        }
                        let Prox::Scalar(prox) = atom.prox else { continue };
                        if has_entry[i] || out.l1[i] > 0.0 {
                            return why("two different penalties of one coordinate");
                        }
                        has_entry[i] = true;
                        out.entries.push(Entry {
                            at: i,
                            weight: w,
                            scale: a,
                            shift: s,
                            atom: *atom,
                            prox,
                        });
                    }
                }
                Bound::Block {
                    outer,
                    inner,
                    atom,
                    places,
                    scale,
                    ..
                } => {
                    let up = self.rows.ancestors(*inner, *outer);
                    let scale = self.rows.values(*scale);
                    let flat = self.flat(places);
                    let mut k = 0;
                    while k < flat.len() {
                        let end = (k..flat.len()).find(|j| up[*j] != up[k]).unwrap_or(flat.len());
                        let a = scale[k];
                        let w = weights[k] * a.abs();
                        let piece = match *atom {
                            a if a == atoms::NORM => Piece::Norm(w),
                            a if a == atoms::NORMINF => Piece::NormInf(w),
                            _ if a < 0.0 => return why("a largest value of negated entries has no row here"),
                            _ => Piece::Max(w),
                        };
                        if w > 0.0 {
                            out.blocks.push(Block {
                                at: flat[k..end].to_vec(),
                                piece,
                            });
                        }
                        k = end;
                    }
                }
                Bound::Differences { from, to, .. } => {
                    chains(n, &self.flat(from), &self.flat(to), weights, &mut out.blocks)?;
                }
            }
        }
        // What bounds single entries comes first: a limit of a sum is a simplex where they are at least 0.
        for s in self
            .sets
            .iter()
            .filter(|s| s.is_bound())
            .chain(self.sets.iter().filter(|s| !s.is_bound()))
        {
            s.apply(self, &mut out)?;
        }
        for b in &out.blocks {
            let same = |f: &dyn Fn(usize) -> f64| b.at.iter().all(|i| f(*i) == f(b.at[0]));
            let free =
                b.at.iter()
                    .all(|i| out.lower[*i] == f64::NEG_INFINITY && out.upper[*i] == f64::INFINITY);
            let cone = b.at.iter().all(|i| {
                out.upper[*i] == f64::INFINITY && (out.lower[*i] == 0.0 || out.lower[*i] == f64::NEG_INFINITY)
            });
            let entries = b.at.iter().any(|i| has_entry[*i]);
            let weighted = b.at.iter().any(|i| out.l1[*i] > 0.0);
            let fits = !entries
                && match b.piece {
                    Piece::Norm(_) | Piece::Ball(_) => cone,
                    Piece::Simplex(_) | Piece::Capped(_) => !weighted,
                    Piece::Variation(..) => free && same(&|i| out.l1[i]),
                    _ => free && !weighted,
                };
            if !fits {
                return why("a penalty of several coordinates stands beside bounds or penalties of their own");
            }
            for i in &b.at {
                if std::mem::replace(&mut in_block[*i], true) {
                    return why("two penalties share a coordinate");
                }
            }
        }
        // The threshold of a block of differences comes after the block.
        for b in &mut out.blocks {
            if let Piece::Variation(_, l1) = &mut b.piece {
                *l1 = b.at.first().map_or(0.0, |i| out.l1[*i]);
                b.at.iter().for_each(|i| out.l1[*i] = 0.0);
            }
        }
        Ok(out)
    }

    /// The smooth part as a quadratic, where it is one, for the bound parameters.
    pub fn quadratic(&self) -> Option<Quadratic> {
        let s = self.squares.as_ref()?;
        let n = self.rows.width();
        let mut memo = Memo::default();
        let mut out = Quadratic {
            columns: Matrix::Sparse(Csr::zeros(n, 0)),
            b: vec![],
            scale: 1.0,
            ridge: vec![0.0; n],
            q: vec![0.0; n],
            constant: 0.0,
        };
        let mut unit: Option<f64> = None;
        let mut dense: Vec<ravine_linalg::Dense> = vec![];
        let mut a = Csr::zeros(0, n);
        for (set, weight) in &s.rows {
            let w = self.rows.values(*weight);
            if w.iter().any(|w| *w < 0.0) {
                return None;
            }
            let unit = *unit.get_or_insert(w.iter().copied().find(|w| *w > 0.0).unwrap_or(1.0));
            let r: Vec<f64> = w.iter().map(|w| (w / unit).sqrt()).collect();
            out.b.extend(self.rows.body(*set).iter().zip(&r).map(|(c, r)| -c * r));
            match self.rows.dense_rows(*set) {
                Some(mut m) if s.rows.len() == 1 => {
                    if r.iter().any(|r| *r != 1.0) {
                        m.scale_rows(&r);
                    }
                    dense.push(m);
                }
                _ => {
                    let mut j = self.rows.jacobian(*set, &mut memo);
                    if r.iter().any(|r| *r != 1.0) {
                        j.scale_rows(&r);
                    }
                    a = a.stack(&j);
                }
            }
        }
        out.scale = unit.unwrap_or(1.0);
        out.columns = match dense.pop() {
            Some(m) => Matrix::Dense(m.transpose()),
            None if a.nnz() as f64 > 0.3 * (a.rows as f64) * (a.cols as f64) => Matrix::Dense(a.to_dense().transpose()),
            None => Matrix::Sparse(a.transpose()),
        };
        for (places, weight) in &s.entries {
            for (i, w) in self.flat(places).into_iter().zip(self.rows.values(*weight)) {
                if *w < 0.0 {
                    return None;
                }
                out.ridge[i] += w;
            }
        }
        for set in &s.linear {
            out.constant += self.rows.body(*set).iter().sum::<f64>();
            let j = self.rows.jacobian(*set, &mut memo);
            for (c, v) in j.entries(0) {
                out.q[c] += v;
            }
        }
        Some(out)
    }

    /// Rows of the squares, single entries apart.
    pub fn square_rows(&self) -> usize {
        let sets = self.squares.iter().flat_map(|s| &s.rows);
        sets.map(|(set, _)| self.rows.count(*set)).sum()
    }

    /// Is the smooth part a sum of squares and affine terms?
    pub fn is_quadratic(&self) -> bool {
        self.squares.is_some()
    }
}

/// Rows of the squares and affine terms, if all have some.
fn quadratic(b: &mut RowsBuilder<'_>, squares: &[SquareTerm], rest: &[NodeId]) -> Option<Squares> {
    let mut out = Squares {
        rows: vec![],
        entries: vec![],
        linear: vec![],
    };
    for t in squares {
        let (array, at) = match b.ir.node(t.body).clone() {
            Node::Gather { array, at } => (array, at.to_vec()),
            _ => (t.body, vec![]),
        };
        if b.ir.is_var(array) {
            let places = b.places(t.domain, array, &at).ok()?;
            out.entries.push((places, b.list(t.domain, t.weight)));
        } else {
            let rows = b.rows(t.domain, t.body).ok()?;
            out.rows.push((rows, b.list(t.domain, t.weight)));
        }
    }
    for n in rest {
        out.linear.push(b.rows(DomainId::ROOT, *n).ok()?);
    }
    Some(out)
}

/// Chains of neighbours: every coordinate has at most one before it and one behind it, and a chain one weight.
fn chains(n: usize, from: &[usize], to: &[usize], weights: &[f64], out: &mut Vec<Block>) -> Result<(), NotBound> {
    let why = |s: &str| Err(NotBound::Why(s.into()));
    const NONE: usize = usize::MAX;
    let (mut next, mut has_before, mut weight) = (vec![NONE; n], vec![false; n], vec![0.0; n]);
    for ((a, b), w) in from.iter().zip(to).zip(weights) {
        // A difference counts the same both ways; with an end in use already the other way may still fit.
        let (a, b) = if next[*a] != NONE || has_before[*b] {
            (*b, *a)
        } else {
            (*a, *b)
        };
        if a == b || next[a] != NONE || has_before[b] {
            return why("differences that do not run along a line");
        }
        (next[a], has_before[b], weight[a]) = (b, true, *w);
    }
    let mut seen = 0;
    for start in (0..n).filter(|i| next[*i] != NONE && !has_before[*i]) {
        let (mut at, mut i) = (vec![start], start);
        while next[i] != NONE {
            if weight[i] != weight[start] {
                return why("differences along one line with unequal weights");
            }
            i = next[i];
            at.push(i);
            seen += 1;
        }
        if weight[start] > 0.0 {
            out.push(Block {
                at,
                piece: Piece::Variation(weight[start], 0.0),
            });
        }
    }
    if seen == from.len() {
        Ok(())
    } else {
        why("differences around a circle")
    }
}
