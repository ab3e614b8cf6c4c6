//! Smooth problems as an oracle: value, gradient, Hessian products and sparse Hessians from the rows of the table.
//!
//! Invariant: derivatives are programs compiled once; an evaluation that is not finite is a fault, never a number.

use std::collections::BTreeMap;
use std::sync::Arc;

use ravine_linalg::Csr;

use super::batches::{Batch, FiniteSum};
use super::oracle::Formula;
use super::vectors::{Kkt, Vectors};
use super::{Bounds, Class, Counts, Fault, Needs, Oracle, vector};
use crate::base::value::IndexSet;
use crate::exec::{Machine, Plan};
use crate::forms::hessian::Hessian;
use crate::forms::rows::{Columns, Memo, RowsBuilder, RowsProgram};
use crate::ir::atom::DomainOf;
use crate::ir::script::Of;
use crate::ir::{Input, InputId, InputKind, Ir, Node, NodeId};
use crate::passes::derive::{self, NoDerivative};

/// A smooth objective of flat coordinates.
#[derive(Clone, Debug)]
pub struct Smooth {
    columns: Columns,
    value: Machine,
    /// The objective and its gradient.
    gradient: Machine,
    /// The gradient alone, compiled when it is first asked for.
    slope: Option<Machine>,
    /// The gradient's nodes and the columns they fill.
    parts: Vec<(NodeId, usize, usize)>,
    /// Can the gradient be finite where the objective is not defined?
    pub(super) partial: bool,
    product: Option<Machine>,
    product_parts: Vec<(usize, usize)>,
    seeds: Vec<(InputId, usize, usize)>,
    hessian: Option<(RowsProgram, Hessian)>,
    /// Why there is no sparse Hessian, if there is none.
    pub unstructured: Option<String>,
    pub(super) bounds: Arc<Bounds>,
    pub(super) class: Class,
    pub(super) convex: bool,
    /// Is the objective not proved to be smooth?
    pub(super) kinks: bool,
    pub(super) lower_bound: Option<f64>,
    /// Columns of the variables that a saddle point maximizes over: derivatives are turned there.
    pub(super) turned: Vec<(usize, usize)>,
    unit: f64,
    counts: Counts,
    entries: Option<usize>,
    /// A place the last fault came from.
    pub last_fault: Option<crate::exec::Fault>,
    /// The point of the last evaluation that was not finite.
    lost: Vec<f64>,
    ir: Arc<Ir>,
    objective: NodeId,
    /// The objective as the program writes it, which rewriting may have taken apart.
    written: Option<NodeId>,
    /// What mini-batches are drawn from, and the node it is a part of.
    sum: Option<(FiniteSum, NodeId)>,
    over: Option<IndexSet>,
    /// Compiled batches by size.
    batches: BTreeMap<usize, Batch>,
    /// Are batches of any size to be expected? Then they are evaluated in parts of a few sizes.
    sizes_vary: bool,
    /// What one part gives.
    part: Vec<f64>,
    bound: Vec<(InputId, Arc<crate::base::Tensor>)>,
    /// Constraints and residuals, for methods that ask for them.
    pub(super) vectors: Option<Box<Vectors>>,
    /// Are there constraints that the method was asked to heed itself?
    pub(super) constrained: bool,
}

impl Smooth {
    /// Compiles the objective (to be minimized) and its derivatives.
    pub fn new(ir: &mut Ir, objective: NodeId, columns: Columns) -> Result<Smooth, NoDerivative> {
        let wrt: Vec<InputId> = columns.blocks.iter().map(|b| b.0).collect();
        let value = Machine::new(Arc::new(Plan::compile(ir, &[objective])));
        let grads = derive::gradient(ir, objective, &wrt)?;
        let mut outs = vec![objective];
        let mut parts = vec![];
        for (g, b) in grads.iter().zip(&columns.blocks) {
            if let Some(g) = g {
                outs.push(*g);
                parts.push((*g, b.1, b.2));
            }
        }
        let gradient = Machine::new(Arc::new(Plan::compile(ir, &outs)));
        let mut seeds = vec![];
        let mut seed_nodes = vec![];
        for (input, first, len) in &columns.blocks {
            let source = ir.input(*input).clone();
            let s = ir.add_input(Input {
                name: format!("{}'", source.name),
                kind: InputKind::Seed,
                sign: crate::ir::Sign::Unknown,
                ..source
            });
            seeds.push((s, *first, *len));
            seed_nodes.push(ir.read(s));
        }
        let mut product = None;
        let mut product_parts = vec![];
        if let Ok(h) = derive::hvp(ir, objective, &wrt, &seed_nodes) {
            let mut outs = vec![];
            for (p, b) in h.iter().zip(&columns.blocks) {
                if let Some(p) = p {
                    outs.push(*p);
                    product_parts.push((b.1, b.2));
                }
            }
            product = Some(Machine::new(Arc::new(Plan::compile(ir, &outs))));
        }
        let mut b = RowsBuilder::new(ir, columns.clone());
        let (hessian, unstructured) = match Hessian::new(&mut b, objective) {
            Ok(h) => (Some((b.finish(), h)), None),
            Err(e) => (None, Some(e.why)),
        };
        let n = columns.len();
        Ok(Smooth {
            columns,
            value,
            gradient,
            slope: None,
            parts,
            partial: partial(ir, objective),
            product,
            product_parts,
            seeds,
            hessian,
            unstructured,
            bounds: Arc::new(Bounds {
                lower: vec![f64::NEG_INFINITY; n],
                upper: vec![f64::INFINITY; n],
                units: vec![],
            }),
            class: Class::Smooth,
            convex: false,
            kinks: false,
            lower_bound: None,
            turned: vec![],
            unit: 1.0,
            counts: Counts::default(),
            entries: None,
            last_fault: None,
            lost: vec![],
            sum: FiniteSum::find(ir, objective, None).map(|s| (s, objective)),
            written: None,
            over: None,
            batches: BTreeMap::new(),
            sizes_vary: false,
            part: vec![],
            bound: vec![],
            vectors: None,
            constrained: false,
            ir: Arc::new(ir.clone()),
            objective,
        })
    }

    /// Binds parameters in all programs.
    pub fn bind(&mut self, params: &[(InputId, Arc<crate::base::Tensor>)]) {
        for (i, t) in params {
            self.value.set(*i, t.clone());
            self.gradient.set(*i, t.clone());
            if let Some(s) = &mut self.slope {
                s.set(*i, t.clone());
            }
            if let Some(p) = &mut self.product {
                p.set(*i, t.clone());
            }
        }
        if let Some((rows, _)) = &mut self.hessian {
            rows.bind(params);
        }
        for b in self.batches.values_mut() {
            for (i, t) in params {
                b.machine.set(*i, t.clone());
                if let Some(p) = &mut b.product {
                    p.machine.set(*i, t.clone());
                }
            }
        }
        if let Some(v) = &mut self.vectors {
            v.bind(params);
        }
        self.bound = params.to_vec();
        self.entries = None;
    }

    /// Says what the objective is as the program writes it: `sum(i in S) c[i]*w^2` is a finite sum, although it is
    /// evaluated as a number times `w^2`.
    pub(super) fn also_written(&mut self, node: NodeId) {
        self.written = Some(node);
        self.find_sum();
    }

    fn find_sum(&mut self) {
        let all = std::iter::once(self.objective).chain(self.written);
        let mut found = all.filter_map(|n| Some((FiniteSum::find(&self.ir, n, self.over.as_ref())?, n)));
        self.sum = found.next();
        self.batches.clear();
    }

    /// Terms that the sum does not have are a fault.
    fn has_terms(&self, terms: &[f64]) -> Result<(), Fault> {
        let all = self.sum.as_ref().map_or(0, |s| s.0.terms);
        let outside = |k: &&f64| !(0.0..all as f64).contains(*k) || k.fract() != 0.0;
        match terms.iter().find(outside) {
            Some(k) => Err(Fault::Numerical(format!(
                "term {} is asked for, and the sum has terms 1 to {all}",
                k + 1.0
            ))),
            None => Ok(()),
        }
    }

    /// A batch in parts for which there are few programs, each with its share: an estimate is the mean of those of the parts.
    fn parts(&self, terms: &[f64]) -> Vec<(std::ops::Range<usize>, f64)> {
        let most = self.sum.as_ref().map_or(1, |s| s.0.terms).max(1);
        let (mut out, mut at) = (vec![], 0);
        while at < terms.len() {
            // The first two binary digits: two programs for each doubling, and half as many parts as ones would make.
            let left = (terms.len() - at).min(most);
            let size = left & ((0b11 << left.ilog2()) >> 1);
            out.push((at..at + size, size as f64 / terms.len() as f64));
            at += size;
        }
        out
    }

    /// Value and gradient on terms, which are counted.
    fn on_terms(&mut self, x: &[f64], terms: &[f64], g: &mut [f64]) -> Result<f64, Fault> {
        self.has_terms(terms)?;
        self.counts.terms += terms.len() as u64;
        if !self.sizes_vary {
            return self.on_part(x, terms, g);
        }
        g.fill(0.0);
        let mut part = std::mem::take(&mut self.part);
        part.resize(g.len(), 0.0);
        let mut value = 0.0;
        let r = self.parts(terms).into_iter().try_for_each(|(at, share)| {
            value += share * self.on_part(x, &terms[at], &mut part)?;
            g.iter_mut().zip(&part).for_each(|(g, p)| *g += share * p);
            Ok(())
        });
        self.part = part;
        r.map(|()| value)
    }

    /// Value and gradient on terms that one program takes; not counted.
    fn on_part(&mut self, x: &[f64], terms: &[f64], g: &mut [f64]) -> Result<f64, Fault> {
        self.batch_of(terms)?;
        let Some(b) = self.batches.get_mut(&terms.len()) else {
            return Err(Fault::NotOffered("mini-batches".into()));
        };
        Self::put(&self.columns, &mut b.machine, x);
        b.machine.set_point(b.input, terms);
        if let Err(f) = b.machine.eval() {
            return Err(self.fault("objective on a mini-batch", x, Some(f)));
        }
        g.fill(0.0);
        for (k, (first, len)) in b.parts.iter().enumerate() {
            put_out(&b.machine, k + 1, &mut g[*first..first + len]);
        }
        let v = b.machine.scalar(0);
        self.turn(g);
        if v.is_finite() && vector::all_finite(g) {
            Ok(v)
        } else {
            Err(self.fault("objective or its gradient on a mini-batch", x, None))
        }
    }

    /// The product of the Hessian on them; not counted.
    fn product_on_part(&mut self, x: &[f64], v: &[f64], terms: &[f64], out: &mut [f64]) -> Result<(), Fault> {
        self.batch_of(terms)?;
        let none = || Fault::NotOffered("Hessian-vector products on mini-batches".into());
        let (Some((sum, root)), Some(b)) = (&self.sum, self.batches.get_mut(&terms.len())) else {
            return Err(none());
        };
        let p = match &mut b.product {
            Some(p) => p,
            none_yet => {
                let mut p = sum
                    .product(&self.ir, *root, &self.columns, terms.len())
                    .map_err(|_| none())?;
                for (i, t) in &self.bound {
                    p.machine.set(*i, t.clone());
                }
                none_yet.insert(p)
            }
        };
        Self::put(&self.columns, &mut p.machine, x);
        p.machine.set_point(p.input, terms);
        for (s, first, len) in &p.seeds {
            p.machine.set_point(*s, &v[*first..first + len]);
        }
        if let Err(f) = p.machine.eval() {
            return Err(self.fault("Hessian product on a mini-batch", x, Some(f)));
        }
        out.fill(0.0);
        for (k, (first, len)) in p.parts.iter().enumerate() {
            put_out(&p.machine, k, &mut out[*first..first + len]);
        }
        if vector::all_finite(out) {
            Ok(())
        } else {
            Err(self.fault("Hessian product on a mini-batch", x, None))
        }
    }

    /// Compiles batches of the size of these, unless they are.
    fn batch_of(&mut self, terms: &[f64]) -> Result<(), Fault> {
        let size = terms.len();
        if self.batches.contains_key(&size) {
            return Ok(());
        }
        let none = || Fault::NotOffered("mini-batches".into());
        let (sum, root) = self.sum.as_ref().ok_or_else(none)?;
        let mut b = sum
            .batch(&self.ir, *root, &self.columns, size)
            .map_err(|e| Fault::NotOffered(format!("mini-batches: `{}` has no derivative there", e.atom)))?;
        for (i, t) in &self.bound {
            b.machine.set(*i, t.clone());
        }
        self.batches.insert(size, b);
        Ok(())
    }

    /// Bytes that the programs' arrays take.
    pub fn bytes(&self) -> usize {
        self.gradient.plan().bytes()
            + self.product.as_ref().map_or(0, |p| p.plan().bytes())
            + self.vectors.as_ref().map_or(0, |v| v.bytes())
    }

    fn put(columns: &Columns, m: &mut Machine, x: &[f64]) {
        for &(input, first, len) in &columns.blocks {
            m.set_point(input, &x[first..first + len]);
        }
    }

    fn turn(&self, g: &mut [f64]) {
        for (first, len) in &self.turned {
            g[*first..first + len].iter_mut().for_each(|v| *v = -*v);
        }
    }

    /// Have objective and gradient finite values at a point? Nothing of it is counted.
    pub fn defined(&mut self, x: &[f64]) -> bool {
        let before = self.counts;
        let mut g = vec![0.0; x.len()];
        let finite = self.value_gradient(x, &mut g).is_ok_and(f64::is_finite) && vector::all_finite(&g);
        self.counts = before;
        self.last_fault = None;
        finite
    }

    /// Finds the objective's unit at the declared start; nothing of it is counted.
    pub fn weigh(&mut self, x: &[f64]) {
        self.unit = 1.0;
        let before = self.counts;
        let (mut g, mut h) = (vec![0.0; x.len()], vec![0.0; x.len()]);
        let size = match self.value(x) {
            Ok(f) if f.abs() >= 1.0 => 1.0,
            Ok(f) => match self.gradient(x, &mut g) {
                Ok(()) => {
                    let bent = self.hvp(x, &vec![1.0; x.len()], &mut h).is_ok();
                    (0..x.len()).fold(f.abs(), |m, i| {
                        let s = x[i].abs().max(1.0);
                        m.max(s * g[i].abs()).max(if bent { s * s * h[i].abs() } else { 0.0 })
                    })
                }
                Err(_) => 1.0,
            },
            Err(_) => 1.0,
        };
        if size > 0.0 {
            self.unit = size.min(1.0);
        }
        self.counts = before;
        self.last_fault = None;
    }

    /// Value and gradient, not counted.
    fn evaluate(&mut self, x: &[f64], g: &mut [f64]) -> Result<f64, Fault> {
        Self::put(&self.columns, &mut self.gradient, x);
        if let Err(f) = self.gradient.eval() {
            return Err(self.fault("gradient", x, Some(f)));
        }
        g.fill(0.0);
        for (k, (_, first, len)) in self.parts.iter().enumerate() {
            put_out(&self.gradient, k + 1, &mut g[*first..first + len]);
        }
        self.turn(g);
        let v = self.gradient.scalar(0);
        if v.is_finite() && vector::all_finite(g) {
            Ok(v)
        } else {
            Err(self.fault("objective or its gradient", x, None))
        }
    }

    fn fault(&mut self, what: &str, x: &[f64], f: Option<crate::exec::Fault>) -> Fault {
        self.lost.clear();
        self.lost.extend_from_slice(x);
        let message = f.as_ref().map_or_else(String::new, |f| f.what.clone());
        let node = f.as_ref().and_then(|f| f.node).map(|n| n.0);
        self.last_fault = f;
        Fault::NotFinite {
            what: what.into(),
            index: None,
            node,
            message,
        }
    }

    /// The Hessian as a whole (both triangles).
    fn full_hessian(&mut self, x: &[f64]) -> Result<Csr, Fault> {
        let Some((rows, blocks)) = &mut self.hessian else {
            return Err(Fault::NotOffered("Hessian".into()));
        };
        if let Err(f) = rows.eval(x) {
            return Err(self.fault("Hessian", x, Some(f)));
        }
        Ok(blocks.assemble(rows, &mut Memo::default()))
    }

    fn finite(&mut self, h: &Csr, x: &[f64]) -> Result<(), Fault> {
        match h.values.iter().all(|v| v.is_finite()) {
            true => Ok(()),
            false => Err(self.fault("Hessian", x, None)),
        }
    }

    /// The Hessian at the origin, for problems whose second derivatives are constant.
    pub fn constant_hessian(&mut self, x: &[f64]) -> Result<Csr, Fault> {
        let h = self.full_hessian(x)?;
        self.finite(&h, x)?;
        self.entries = Some((h.nnz() + self.columns.len()) / 2);
        Ok(h)
    }

    /// What was not finite in the last evaluation that was not, traced to the user's expression.
    pub fn trace_lost(&mut self) -> Option<crate::exec::Fault> {
        let x = std::mem::take(&mut self.lost);
        let found = (x.len() == self.columns.len()).then(|| self.trace_fault(&x));
        self.lost = x;
        found.flatten()
    }

    /// What was not finite, traced to the user's expression, after an evaluation error at `x`.
    pub fn trace_fault(&mut self, x: &[f64]) -> Option<crate::exec::Fault> {
        Self::put(&self.columns, &mut self.gradient, x);
        if let Err(f) = self.gradient.eval() {
            return Some(f);
        }
        crate::exec::watch::locate(&self.ir, &self.gradient, &[self.objective])
    }
}

/// An output where it belongs, however it is stored; what has another size is no number.
fn put_out(m: &Machine, k: usize, to: &mut [f64]) {
    if !m.copy_output(k, to) {
        to.fill(f64::NAN);
    }
}

/// The machine of the gradient alone.
fn slope_of<'s>(
    slope: &'s mut Option<Machine>,
    ir: &Ir,
    parts: &[(NodeId, usize, usize)],
    bound: &[(InputId, Arc<crate::base::Tensor>)],
) -> &'s mut Machine {
    slope.get_or_insert_with(|| {
        let nodes: Vec<NodeId> = parts.iter().map(|p| p.0).collect();
        let mut m = Machine::new(Arc::new(Plan::compile(ir, &nodes)));
        bound.iter().for_each(|(i, t)| m.set(*i, t.clone()));
        m
    })
}

/// Does the objective have a domain in its variables that its derivatives might not notice?
fn partial(ir: &Ir, objective: NodeId) -> bool {
    let mut varies = vec![false; ir.len()];
    for n in ir.reachable(&[objective]) {
        let mut any = ir.is_var(n);
        ir.for_each_arg(n, |a| any |= varies[a.index()]);
        varies[n.index()] = any;
        let (atom, args): (_, &[NodeId]) = match ir.node(n) {
            Node::Apply { atom, args } => (atom, args),
            Node::Fold { atom, body, .. } => (atom, std::slice::from_ref(body)),
            _ => continue,
        };
        let domain = |k: usize| atom.domain.get(k).or(atom.domain.last());
        let held = |(k, a): (usize, &NodeId)| varies[a.index()] && domain(k).is_some_and(|d| *d != DomainOf::Reals);
        if args.iter().enumerate().any(held) {
            return true;
        }
    }
    false
}

impl Oracle for Smooth {
    fn dim(&self) -> usize {
        self.columns.len()
    }
    fn class(&self) -> Class {
        self.class
    }
    fn offers(&self) -> Needs {
        Needs {
            value: true,
            gradient: true,
            hvp: self.product.is_some(),
            hessian: self.hessian.is_some() && self.turned.is_empty(),
            form: false,
            prox: true,
            project: true,
            constraints: self.vectors.is_some(),
            residuals: self.vectors.is_some(),
        }
    }
    fn convex(&self) -> bool {
        self.convex && !(self.constrained && self.vectors.as_ref().is_some_and(|v| !v.convex))
    }
    fn kinks(&self) -> bool {
        self.kinks
    }
    fn bounds(&self) -> Option<Arc<Bounds>> {
        (self.bounds.any() || !self.bounds.units.is_empty()).then(|| self.bounds.clone())
    }
    fn known_lower_bound(&self) -> Option<f64> {
        self.lower_bound
    }
    fn value(&mut self, x: &[f64]) -> Result<f64, Fault> {
        self.counts.values += 1;
        Self::put(&self.columns, &mut self.value, x);
        if let Err(f) = self.value.eval() {
            return Err(self.fault("objective", x, Some(f)));
        }
        let v = self.value.scalar(0);
        if v.is_finite() {
            Ok(v)
        } else {
            Err(self.fault("objective", x, None))
        }
    }
    fn gradient(&mut self, x: &[f64], g: &mut [f64]) -> Result<(), Fault> {
        self.counts.gradients += 1;
        if self.partial {
            return self.evaluate(x, g).map(|_| ());
        }
        let columns = &self.columns;
        let slope = slope_of(&mut self.slope, &self.ir, &self.parts, &self.bound);
        Self::put(columns, slope, x);
        if let Err(f) = slope.eval() {
            return Err(self.fault("gradient", x, Some(f)));
        }
        g.fill(0.0);
        for (k, (_, first, len)) in self.parts.iter().enumerate() {
            put_out(slope, k, &mut g[*first..first + len]);
        }
        self.turn(g);
        if vector::all_finite(g) {
            Ok(())
        } else {
            Err(self.fault("gradient", x, None))
        }
    }
    fn gradient_between(&mut self, x: &mut Vec<f64>, g: &mut Vec<f64>) -> Result<(), Fault> {
        let ([(input, ..)], [_], false) = (&self.columns.blocks[..], &self.parts[..], self.partial) else {
            return self.gradient(x, g);
        };
        let input = *input;
        let slope = slope_of(&mut self.slope, &self.ir, &self.parts, &self.bound);
        if !slope.gives(0) {
            return self.gradient(x, g);
        }
        self.counts.gradients += 1;
        slope.exchange(input, x);
        let r = slope.eval();
        slope.exchange(input, x);
        if let Err(f) = r {
            return Err(self.fault("gradient", x, Some(f)));
        }
        slope.take_output(0, g);
        self.turn(g);
        if vector::all_finite(g) {
            Ok(())
        } else {
            Err(self.fault("gradient", x, None))
        }
    }
    fn formula(&self) -> Option<Formula<'_>> {
        self.turned.is_empty().then(|| Formula {
            ir: &self.ir,
            objective: self.objective,
            gradient: &self.parts,
            blocks: &self.columns.blocks,
            bound: &self.bound,
            partial: self.partial,
        })
    }
    fn unit(&self) -> f64 {
        self.unit
    }
    fn tally(&mut self, made: &Counts) {
        self.counts = self.counts.plus(made);
    }
    fn set_aside(&mut self, made: &Counts) {
        self.counts = self.counts.since(made);
        self.counts.beside += made.total();
    }
    fn value_gradient(&mut self, x: &[f64], g: &mut [f64]) -> Result<f64, Fault> {
        self.counts.values += 1;
        self.counts.gradients += 1;
        self.evaluate(x, g)
    }
    fn hvp(&mut self, x: &[f64], v: &[f64], out: &mut [f64]) -> Result<(), Fault> {
        self.counts.products += 1;
        let Some(m) = &mut self.product else {
            return Err(Fault::NotOffered("Hessian-vector products".into()));
        };
        Self::put(&self.columns, m, x);
        for (s, first, len) in &self.seeds {
            m.set_point(*s, &v[*first..first + len]);
        }
        if let Err(f) = m.eval() {
            return Err(self.fault("Hessian product", x, Some(f)));
        }
        out.fill(0.0);
        for (k, (first, len)) in self.product_parts.iter().enumerate() {
            put_out(m, k, &mut out[*first..first + len]);
        }
        self.turn(out);
        if vector::all_finite(out) {
            Ok(())
        } else {
            Err(self.fault("Hessian product", x, None))
        }
    }
    fn hessian(&mut self, x: &[f64], out: &mut Csr) -> Result<(), Fault> {
        let h = self.full_hessian(x)?;
        self.counts.hessians += 1;
        let mut l = Csr::zeros(h.rows, h.cols);
        for i in 0..h.rows {
            let (c, v) = h.row(i);
            for (j, v) in c.iter().zip(v) {
                if *j <= i {
                    l.indices.push(*j);
                    l.values.push(*v);
                }
            }
            l.indptr[i + 1] = l.indices.len();
        }
        self.entries = Some(l.nnz());
        *out = l;
        self.finite(out, x)
    }
    fn hessian_entries(&self) -> Option<usize> {
        self.entries
    }
    fn sample_over(&mut self, set: Option<&IndexSet>, sizes_vary: bool) {
        self.sizes_vary = sizes_vary;
        if self.over.as_ref() != set {
            self.over = set.cloned();
            self.find_sum();
        }
    }
    fn terms(&self) -> Option<usize> {
        self.sum.as_ref().map(|s| s.0.terms)
    }
    fn value_gradient_on(&mut self, x: &[f64], terms: &[f64], g: &mut [f64]) -> Result<f64, Fault> {
        self.counts.batches += 1;
        self.on_terms(x, terms, g)
    }
    fn value_on(&mut self, x: &[f64], terms: &[f64]) -> Result<f64, Fault> {
        self.counts.batch_values += 1;
        let mut g = vec![0.0; x.len()];
        self.on_terms(x, terms, &mut g)
    }
    fn hvp_on(&mut self, x: &[f64], v: &[f64], terms: &[f64], out: &mut [f64]) -> Result<(), Fault> {
        self.has_terms(terms)?;
        self.counts.part_products += 1;
        self.counts.terms += terms.len() as u64;
        if !self.sizes_vary {
            return self.product_on_part(x, v, terms, out);
        }
        out.fill(0.0);
        let mut part = std::mem::take(&mut self.part);
        part.resize(out.len(), 0.0);
        let r = self.parts(terms).into_iter().try_for_each(|(at, share)| {
            self.product_on_part(x, v, &terms[at], &mut part)?;
            out.iter_mut().zip(&part).for_each(|(o, p)| *o += share * p);
            Ok(())
        });
        self.part = part;
        r
    }
    fn vector(&mut self, of: Of, x: &[f64], out: &mut [f64]) -> Result<(), Fault> {
        self.counts.vectors += 1;
        match &mut self.vectors {
            Some(v) => v.values(of, x, out),
            None => Err(Fault::NotOffered(of.word().into())),
        }
    }
    fn jacobian(&mut self, of: Of, x: &[f64]) -> Result<&Csr, Fault> {
        self.counts.jacobians += 1;
        match &mut self.vectors {
            Some(v) => v.jacobian(of, x),
            None => Err(Fault::NotOffered(of.word().into())),
        }
    }
    fn jacobian_product(
        &mut self,
        of: Of,
        x: &[f64],
        v: &[f64],
        transposed: bool,
        out: &mut [f64],
    ) -> Result<(), Fault> {
        self.counts.products += 1;
        let Some(vectors) = &mut self.vectors else {
            return Err(Fault::NotOffered(of.word().into()));
        };
        let j = vectors.jacobian(of, x)?;
        let fits = if transposed {
            j.rows == v.len()
        } else {
            j.rows == out.len()
        };
        if !fits {
            return Err(Fault::NotOffered(format!("Jacobian of {} rows", v.len())));
        }
        if transposed {
            j.mul_vec_transposed(v, out);
        } else {
            j.mul_vec(v, out);
        }
        Ok(())
    }
    fn equations(&mut self, x: &[f64], out: &mut [f64]) -> Result<(), Fault> {
        match &mut self.vectors {
            Some(v) => v.mark_equations(x, out),
            None => Err(Fault::NotOffered("constraints".into())),
        }
    }
    fn kkt(&mut self, x: &[f64], g: &[f64]) -> Option<Result<Kkt, Fault>> {
        if !self.constrained {
            return None;
        }
        let bounds = self.bounds.clone();
        self.counts.vectors += 1;
        self.counts.jacobians += 1;
        self.vectors.as_mut().map(|v| v.kkt(x, g, Some(&bounds)))
    }
    fn counts(&self) -> Counts {
        self.counts
    }
}
