//! Least squares and linear systems known by products only: `A x` and `A'y` as programs, no entry of `A` formed.
//!
//! Invariant: the programs are derived once from the user's rows; the adjoint is the transpose of the very program that
//! `A x` is, whatever a user's own `adjoint` says.

use std::collections::BTreeMap;
use std::sync::Arc;

use ravine_linalg::Dense;
use ravine_linalg::operator::LinearMap;

use super::conic::SquareTerm;
use super::rows::{Columns, NoRows};
use crate::atoms::{self, rules};
use crate::base::Tensor;
use crate::base::value::IndexSet;
use crate::exec::{Fault, Machine, Plan};
use crate::ir::{DomainId, Input, InputId, InputKind, Ir, Node, NodeId, Sign};
use crate::passes::derive;

/// Why a product with an operator has no rows.
pub const NO_ENTRIES: &str = "an operator is known by its products only, and its entries are asked for";

/// Does anything here multiply by an operator?
pub fn has_operator(ir: &Ir, roots: &[NodeId]) -> bool {
    let marked = |n: &NodeId| matches!(ir.node(*n), Node::Apply { atom, .. } if *atom == atoms::OPAQUE);
    ir.reachable(roots).iter().any(marked)
}

/// A residual `A x - b` by its products.
#[derive(Clone, Debug)]
pub struct Products {
    columns: Columns,
    /// Rows of each block of the residual.
    lengths: Vec<usize>,
    residual: Machine,
    forward: Machine,
    /// Which blocks have a derivative, in order.
    moving: Vec<usize>,
    directions: Vec<(InputId, usize, usize)>,
    back: Machine,
    /// First column and number of columns of each output of `back`.
    parts: Vec<(usize, usize)>,
    cotangents: Vec<InputId>,
    /// What went wrong in a product, whose result is then no number.
    pub fault: Option<Fault>,
}

impl Products {
    /// From squares `weight · body²`, or equations with weight 1.
    ///
    /// # Errors
    /// If the terms are not over plain domains, or something on the way has no derivative.
    pub fn new(ir: &mut Ir, columns: &Columns, terms: &[SquareTerm]) -> Result<Products, NoRows> {
        let uniform = terms.iter().all(|t| t.weight == terms[0].weight);
        let mut blocks = vec![];
        for t in terms {
            let body = if uniform {
                t.body
            } else {
                let root = rules::call(ir, atoms::SQRT, t.weight);
                rules::mul(ir, root, t.body)
            };
            let d = ir.domain(t.domain);
            let plain = d.parent == Some(DomainId::ROOT) && d.filter.is_none();
            blocks.push(match t.domain {
                DomainId::ROOT => {
                    let (one, _) = rules::plain_domain(ir, &[1]);
                    ir.map(one, body)
                }
                d if plain => ir.map(d, body),
                _ => {
                    return Err(NoRows {
                        node: t.body,
                        why: "its rows run over a domain that is not a plain product of sets".into(),
                    });
                }
            });
        }
        let lengths = blocks.iter().map(|b| ir.shape(*b).iter().product()).collect();
        let residual = compiled(ir, &blocks);
        let mut directions = vec![];
        let mut tangents = BTreeMap::new();
        for (input, first, len) in &columns.blocks {
            let dims = ir.input(*input).dims.clone();
            let s = seed(ir, dims);
            directions.push((s, *first, *len));
            tangents.insert(*input, ir.read(s));
        }
        let found = derive::jvp(ir, &blocks, &tangents)?;
        let moving = (0..blocks.len()).filter(|k| found[*k].is_some()).collect();
        let outputs: Vec<NodeId> = found.into_iter().flatten().collect();
        let forward = compiled(ir, &outputs);
        let mut cotangents = vec![];
        let mut total = ir.constant(0.0);
        for b in &blocks {
            let dims = ir.shape(*b).iter().map(|n| IndexSet::upto(*n)).collect();
            let s = seed(ir, dims);
            cotangents.push(s);
            let ct = ir.read(s);
            let own = rules::inner(ir, *b, ct);
            total = rules::add(ir, total, own);
        }
        let wrt: Vec<InputId> = columns.blocks.iter().map(|b| b.0).collect();
        let (mut outputs, mut parts) = (vec![], vec![]);
        for (g, b) in derive::gradient(ir, total, &wrt)?.into_iter().zip(&columns.blocks) {
            if let Some(g) = g {
                outputs.push(g);
                parts.push((b.1, b.2));
            }
        }
        let back = compiled(ir, &outputs);
        let mut made = Products {
            columns: columns.clone(),
            lengths,
            residual,
            forward,
            moving,
            directions,
            back,
            parts,
            cotangents,
            fault: None,
        };
        // Affine rows do not ask where; their programs may still read the variables.
        for (input, _, len) in &columns.blocks {
            let zeros = vec![0.0; *len];
            [&mut made.residual, &mut made.forward, &mut made.back]
                .into_iter()
                .for_each(|m| m.set_point(*input, &zeros));
        }
        Ok(made)
    }

    /// Binds parameters.
    pub fn bind(&mut self, params: &[(InputId, Arc<Tensor>)]) {
        for m in [&mut self.residual, &mut self.forward, &mut self.back] {
            params.iter().for_each(|(i, t)| m.set(*i, t.clone()));
        }
    }

    /// The right side `b`: minus the residual at the origin.
    pub fn right(&mut self) -> Result<Vec<f64>, Fault> {
        self.residual.eval()?;
        let mut b = Vec::with_capacity(self.rows());
        for (k, n) in self.lengths.iter().enumerate() {
            let t = self.residual.tensor(k, vec![IndexSet::upto(*n)]);
            b.extend(t.to_dense().iter().map(|v| -v));
        }
        Ok(b)
    }

    /// The entries by products with unit vectors; none where there are more than `most`.
    pub fn formed(&mut self, most: usize) -> Result<Option<Dense>, Fault> {
        let (m, n) = (self.rows(), self.cols());
        if m.saturating_mul(n) > most {
            return Ok(None);
        }
        let mut a = Dense::from_fn(m, n, |_, _| 0.0);
        let (mut unit, mut column) = (vec![0.0; n], vec![0.0; m]);
        for j in 0..n {
            unit[j] = 1.0;
            self.apply(&unit, &mut column);
            unit[j] = 0.0;
            if let Some(f) = self.fault.take() {
                return Err(f);
            }
            column.iter().enumerate().for_each(|(i, v)| a.data[i * n + j] = *v);
        }
        Ok(Some(a))
    }

    /// Bytes that the programs' arrays take.
    pub fn bytes(&self) -> usize {
        [&self.residual, &self.forward, &self.back]
            .iter()
            .map(|m| m.plan().bytes())
            .sum()
    }
}

fn seed(ir: &mut Ir, dims: Vec<IndexSet>) -> InputId {
    ir.add_input(Input {
        name: "·".into(),
        kind: InputKind::Seed,
        dims,
        sparse: false,
        sign: Sign::Unknown,
    })
}

fn compiled(ir: &Ir, outputs: &[NodeId]) -> Machine {
    Machine::new(Arc::new(Plan::compile(ir, outputs)))
}

/// Row-major entries of an output; one number fills what is longer.
fn entries(m: &Machine, k: usize, out: &mut [f64]) {
    match m.dense(k) {
        Some(d) if d.len() == out.len() => out.copy_from_slice(d),
        _ => {
            let d = m.tensor(k, vec![IndexSet::upto(out.len())]).to_dense();
            out.copy_from_slice(&d);
        }
    }
}

impl LinearMap for Products {
    fn rows(&self) -> usize {
        self.lengths.iter().sum()
    }
    fn cols(&self) -> usize {
        self.columns.len()
    }
    fn apply(&mut self, x: &[f64], y: &mut [f64]) {
        for (s, first, len) in &self.directions {
            self.forward.set_point(*s, &x[*first..first + len]);
        }
        if let Err(f) = self.forward.eval() {
            self.fault = Some(f);
            return y.fill(f64::NAN);
        }
        y.fill(0.0);
        let mut first = 0;
        for (k, n) in self.lengths.iter().enumerate() {
            if let Some(at) = self.moving.iter().position(|m| *m == k) {
                entries(&self.forward, at, &mut y[first..first + n]);
            }
            first += n;
        }
    }
    fn adjoint(&mut self, y: &[f64], x: &mut [f64]) {
        let mut first = 0;
        for (s, n) in self.cotangents.iter().zip(&self.lengths) {
            self.back.set_point(*s, &y[first..first + n]);
            first += n;
        }
        if let Err(f) = self.back.eval() {
            self.fault = Some(f);
            return x.fill(f64::NAN);
        }
        x.fill(0.0);
        for (k, (first, len)) in self.parts.iter().enumerate() {
            entries(&self.back, k, &mut x[*first..first + len]);
        }
    }
}
