//! Execution: plans bound to values and evaluated, in parallel where it pays, with the same bits for any number of threads.
//!
//! Invariant: sees IR and values only, never syntax; opens no file, reads no clock.

mod domains;
mod loops;
pub mod native;
mod plan;
pub mod tape;
mod tune;
mod vector;
pub mod watch;
mod work;

use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use ravine_linalg::Csr;

use crate::base::Tensor;
use crate::base::value::{IndexSet, Storage};
use crate::ir::atom::{ArrayData, ArrayOut, ArrayRef, Eval, Trust};
use crate::ir::{DomainId, IndexId, InputId, NodeId};
use plan::{DomainShape, SlotId, Step};
pub use plan::{Lanes, Plan};
pub use work::Work;

/// An evaluation could not go on.
#[derive(Clone, Debug, PartialEq)]
pub struct Fault {
    /// One sentence.
    pub what: String,
    /// The node, where known.
    pub node: Option<NodeId>,
    /// Index names and elements of the instance, where known.
    pub at: Vec<(String, String)>,
}

/// The value of a root node.
#[derive(Clone, Debug, Default)]
pub enum Slot {
    /// Not computed yet.
    #[default]
    Empty,
    /// Row-major entries.
    Dense(Vec<f64>),
    /// Compressed rows.
    Sparse(Csr),
    /// A value shared with its owner.
    Shared(Arc<Tensor>),
    /// The transpose of another slot.
    Transposed(SlotId),
}

impl Slot {
    fn scalar(&self) -> f64 {
        self.entries().and_then(|e| e.first().copied()).unwrap_or(f64::NAN)
    }
    fn entries(&self) -> Option<&[f64]> {
        match self {
            Slot::Dense(d) => Some(d),
            Slot::Shared(t) => t.as_dense(),
            _ => None,
        }
    }
    fn csr(&self) -> Option<&Csr> {
        match self {
            Slot::Sparse(s) => Some(s),
            Slot::Shared(t) => match &t.storage {
                Storage::Sparse(s) => Some(s),
                Storage::Dense(_) => None,
            },
            _ => None,
        }
    }
    fn sparse_entry(&self, i: usize, j: usize) -> f64 {
        let Some(s) = self.csr() else { return f64::NAN };
        let row = &s.indices[s.indptr[i]..s.indptr[i + 1]];
        row.binary_search(&j).map_or(0.0, |k| s.values[s.indptr[i] + k])
    }
}

/// Instances of a domain under the current binding.
#[derive(Clone, Debug, Default)]
pub struct Bound {
    /// Number of flattened instances.
    pub total: usize,
    /// Filtered domains: first instance for each instance of the parent, and the end.
    pub starts: Option<Vec<usize>>,
    /// Filtered domains: position of each own index, by instance.
    pub columns: Option<Vec<Vec<u32>>>,
}

static WORKERS: AtomicUsize = AtomicUsize::new(0);

thread_local! {
    static NOTED: std::cell::Cell<usize> = const { std::cell::Cell::new(0) };
}

static EPOCH: AtomicUsize = AtomicUsize::new(1);

/// Counts a thread that took part in a parallel loop, once per epoch.
fn note_worker() {
    let epoch = EPOCH.load(Ordering::Relaxed);
    NOTED.with(|n| {
        if n.replace(epoch) != epoch {
            WORKERS.fetch_add(1, Ordering::Relaxed);
        }
    });
}

/// Number of threads that took part in parallel loops since the last call: the proof that a parallel test was parallel.
pub fn workers_seen() -> usize {
    EPOCH.fetch_add(1, Ordering::Relaxed);
    WORKERS.swap(0, Ordering::Relaxed)
}

/// A plan with values: set inputs, evaluate, read outputs.
#[derive(Clone, Debug)]
pub struct Machine {
    plan: Arc<Plan>,
    slots: Vec<Slot>,
    domains: Vec<Bound>,
    /// Index in `plan.inputs` by input id.
    by_input: Vec<Option<SlotId>>,
    /// Steps that depend on parameters and data only must run again.
    stale: bool,
    /// Evaluations so far.
    pub evaluations: u64,
    /// Tuples of indices looked at so far to find the instances of filtered domains.
    pub inspected: usize,
    /// How far the linear systems solved so far can be trusted, by node.
    pub trust: BTreeMap<NodeId, Trust>,
    /// What each step keeps between evaluations.
    scratch: Vec<loops::Scratch>,
}

impl std::fmt::Debug for Plan {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Plan of {} steps", self.steps.len())
    }
}

impl Machine {
    /// A machine for a plan, all inputs unset.
    pub fn new(plan: Arc<Plan>) -> Machine {
        let mut slots = vec![Slot::Empty; plan.shapes.len()];
        for (s, v) in &plan.literals {
            slots[s.0 as usize] = Slot::Dense(vec![*v]);
        }
        for (s, t) in &plan.data {
            slots[s.0 as usize] = Slot::Shared(t.clone());
        }
        let count = plan.inputs.iter().map(|(i, _)| i.index() + 1).max().unwrap_or(0);
        let mut by_input = vec![None; count];
        for (i, s) in &plan.inputs {
            by_input[i.index()] = Some(*s);
        }
        let domains = vec![Bound::default(); plan.domains.len()];
        Machine {
            plan,
            slots,
            domains,
            by_input,
            stale: true,
            evaluations: 0,
            inspected: 0,
            trust: BTreeMap::new(),
            scratch: vec![],
        }
    }
    /// The plan.
    pub fn plan(&self) -> &Plan {
        &self.plan
    }
    /// Does the program read this input?
    pub fn reads(&self, input: InputId) -> bool {
        self.by_input.get(input.index()).is_some_and(Option::is_some)
    }
    /// Binds a parameter (or an embedded value): everything that depends on it is evaluated anew.
    pub fn set(&mut self, input: InputId, value: Arc<Tensor>) {
        if let Some(Some(s)) = self.by_input.get(input.index()) {
            self.slots[s.0 as usize] = Slot::Shared(value);
            self.stale = true;
        }
    }
    /// Sets a variable or a seed from row-major entries; parameters' values stay evaluated.
    pub fn set_point(&mut self, input: InputId, entries: &[f64]) {
        if let Some(Some(s)) = self.by_input.get(input.index()) {
            match &mut self.slots[s.0 as usize] {
                Slot::Dense(d) if d.len() == entries.len() => d.copy_from_slice(entries),
                slot => *slot = Slot::Dense(entries.to_vec()),
            }
        }
    }
    /// Exchanges the entries of a variable with a caller's array: nothing is copied.
    pub fn exchange(&mut self, input: InputId, entries: &mut Vec<f64>) {
        if let Some(Some(s)) = self.by_input.get(input.index()) {
            match &mut self.slots[s.0 as usize] {
                Slot::Dense(d) => std::mem::swap(d, entries),
                slot => *slot = Slot::Dense(std::mem::take(entries)),
            }
        }
    }
    /// May the entries of output `k` be taken away, because every evaluation writes all of them?
    pub fn gives(&self, k: usize) -> bool {
        let out = self.plan.outputs[k];
        let own = self.plan.outputs.iter().filter(|o| **o == out).count() == 1;
        own && self.plan.steps.iter().any(|p| {
            p.dynamic
                && match &p.step {
                    Step::Loop(l) => l.outs.iter().any(|o| o.slot == out),
                    Step::Scalar { out: o, .. } | Step::Pick { out: o, .. } => *o == out,
                    _ => false,
                }
        })
    }
    /// Exchanges the entries of an output that [`Machine::gives`] them with a caller's array.
    pub fn take_output(&mut self, k: usize, entries: &mut Vec<f64>) {
        if let Slot::Dense(d) = &mut self.slots[self.plan.outputs[k].0 as usize] {
            std::mem::swap(d, entries);
        }
    }
    /// Copies output `k`, however it is stored; answers whether it has as many entries as the array.
    pub fn copy_output(&self, k: usize, entries: &mut [f64]) -> bool {
        let slot = self.plan.outputs[k];
        match self.slots[slot.0 as usize].entries() {
            Some(e) if e.len() == entries.len() => entries.copy_from_slice(e),
            Some(_) => return false,
            None => {
                let m = self.array_ref(&self.plan, slot).to_dense();
                if m.data.len() != entries.len() {
                    return false;
                }
                entries.copy_from_slice(&m.data);
            }
        }
        true
    }
    /// Evaluates all outputs.
    pub fn eval(&mut self) -> Result<(), Fault> {
        self.evaluations += 1;
        let plan = self.plan.clone();
        if self.stale {
            self.rectangles(&plan);
        }
        self.scratch.resize_with(plan.steps.len(), Default::default);
        for (k, p) in plan.steps.iter().enumerate() {
            if p.dynamic || self.stale {
                self.step(&plan, &p.step, p.node, k).map_err(|f| Fault {
                    node: f.node.or(Some(p.node)),
                    ..f
                })?;
            }
        }
        self.stale = false;
        Ok(())
    }
    fn slot_of(&self, n: NodeId) -> Option<&Slot> {
        let s = self.plan.nodes.iter().find(|(m, _)| *m == n)?.1;
        Some(&self.slots[s.0 as usize])
    }
    fn node_scalar(&self, n: NodeId) -> f64 {
        self.slot_of(n).map_or(f64::NAN, Slot::scalar)
    }
    fn node_is_finite(&self, n: NodeId) -> bool {
        match self.slot_of(n) {
            Some(s) => match (s.entries(), s.csr()) {
                (Some(e), _) => e.iter().all(|v| v.is_finite()),
                (None, Some(c)) => c.values.iter().all(|v| v.is_finite()),
                (None, None) => true,
            },
            None => true,
        }
    }
    fn node_entry(&self, n: NodeId, shape: &[usize], at: &[i64]) -> f64 {
        let Some(mut slot) = self.slot_of(n) else {
            return f64::NAN;
        };
        let (mut at, mut shape) = (at.to_vec(), shape.to_vec());
        if let Slot::Transposed(s) = slot {
            slot = &self.slots[s.0 as usize];
            at.reverse();
            shape.reverse();
        }
        if at.iter().zip(&shape).any(|(p, n)| *p < 0 || *p >= *n as i64) {
            return f64::NAN;
        }
        match slot.entries() {
            Some(e) => {
                let flat = at.iter().zip(&shape).fold(0, |f, (p, n)| f * n + *p as usize);
                e.get(flat).copied().unwrap_or(f64::NAN)
            }
            None => slot.sparse_entry(at[0] as usize, at[1] as usize),
        }
    }
    /// Instances of a domain below one instance of its parent: flattened number, positions of its indices.
    fn instances(&self, d: DomainId, parent: usize) -> impl Iterator<Item = (usize, Vec<(IndexId, usize)>)> {
        let shape = &self.plan.domains[d.index()];
        let bound = &self.domains[d.index()];
        let per: usize = shape.lens.iter().product();
        let range = match &bound.starts {
            Some(s) => s[parent]..s[parent + 1],
            None => parent * per..(parent + 1) * per,
        };
        range.map(move |k| {
            let positions = match &bound.columns {
                Some(c) => c.iter().map(|c| c[k] as usize).collect::<Vec<_>>(),
                None => {
                    let mut rest = k % per.max(1);
                    let mut p: Vec<usize> = shape
                        .lens
                        .iter()
                        .rev()
                        .map(|n| {
                            let v = rest % n;
                            rest /= n;
                            v
                        })
                        .collect();
                    p.reverse();
                    p
                }
            };
            (k, shape.indices.iter().copied().zip(positions).collect())
        })
    }
    /// List `k`, one value for each instance of its domain.
    pub fn list(&self, k: usize) -> &[f64] {
        self.slots[self.plan.lists[k].0 as usize].entries().unwrap_or(&[])
    }
    /// Number of flattened instances of a domain under the current binding.
    pub fn instance_count(&self, d: DomainId) -> usize {
        self.domains[d.index()].total
    }
    /// For each instance of `d`, the flattened instance of the enclosing domain `up` that it belongs to.
    pub fn ancestors(&self, d: DomainId, up: DomainId) -> Vec<usize> {
        let mut at: Vec<usize> = (0..self.domains[d.index()].total).collect();
        let mut from = d;
        while from != up {
            let shape = &self.plan.domains[from.index()];
            let Some(parent) = shape.parent else { break };
            match &self.domains[from.index()].starts {
                Some(starts) => {
                    for a in at.iter_mut() {
                        *a = starts.partition_point(|s| s <= a).saturating_sub(1);
                    }
                }
                None => {
                    let per: usize = shape.lens.iter().product::<usize>().max(1);
                    for a in at.iter_mut() {
                        *a /= per;
                    }
                }
            }
            from = parent;
        }
        at
    }
    /// The position of an index of `d` or an enclosing domain at each instance of `d`.
    pub fn index_positions(&self, d: DomainId, index: IndexId) -> Vec<usize> {
        let mut home = d;
        while !self.plan.domains[home.index()].indices.contains(&index) {
            match self.plan.domains[home.index()].parent {
                Some(p) => home = p,
                None => return vec![0; self.domains[d.index()].total],
            }
        }
        let shape = &self.plan.domains[home.index()];
        let dim = shape.indices.iter().position(|i| *i == index).unwrap_or_default();
        let below: usize = shape.lens[dim + 1..].iter().product::<usize>().max(1);
        let own = |k: usize| match &self.domains[home.index()].columns {
            Some(c) => c[dim][k] as usize,
            None => k / below % shape.lens[dim].max(1),
        };
        self.ancestors(d, home).into_iter().map(own).collect()
    }
    /// Number of outputs.
    pub fn outputs(&self) -> usize {
        self.plan.outputs.len()
    }
    /// Output `k` as a number.
    pub fn scalar(&self, k: usize) -> f64 {
        self.slots[self.plan.outputs[k].0 as usize].scalar()
    }
    /// Row-major entries of output `k`, if stored densely.
    pub fn dense(&self, k: usize) -> Option<&[f64]> {
        self.slots[self.plan.outputs[k].0 as usize].entries()
    }
    /// Output `k` as an array over the given index sets.
    pub fn tensor(&self, k: usize, dims: Vec<IndexSet>) -> Tensor {
        let slot = self.plan.outputs[k];
        let r = self.array_ref(&self.plan, slot);
        let storage = match (r.data, r.transposed) {
            (ArrayData::Sparse(s), false) => Storage::Sparse(s.clone()),
            (ArrayData::Sparse(s), true) => Storage::Sparse(s.transpose()),
            (ArrayData::Dense(d), false) => Storage::Dense(d.to_vec()),
            (ArrayData::Dense(_), true) => Storage::Dense(r.to_dense().data),
        };
        Tensor { dims, storage }
    }

    /// Unfiltered domains' sizes; filtered ones follow in their own steps.
    fn rectangles(&mut self, plan: &Plan) {
        for (d, shape) in plan.domains.iter().enumerate() {
            let parent = shape.parent.map_or(1, |p| self.domains[p.index()].total);
            let own: usize = shape.lens.iter().product();
            self.domains[d] = Bound {
                total: if shape.parent.is_none() {
                    1
                } else {
                    parent.saturating_mul(own)
                },
                starts: None,
                columns: None,
            };
        }
    }

    fn array_ref<'a>(&'a self, plan: &'a Plan, slot: SlotId) -> ArrayRef<'a> {
        let (slot, transposed) = match self.slots[slot.0 as usize] {
            Slot::Transposed(s) => (s, true),
            _ => (slot, false),
        };
        let s = &self.slots[slot.0 as usize];
        let data = match s.csr() {
            Some(c) => ArrayData::Sparse(c),
            None => ArrayData::Dense(s.entries().unwrap_or(&[])),
        };
        ArrayRef {
            shape: &plan.shapes[slot.0 as usize],
            data,
            transposed,
        }
    }

    fn step(&mut self, plan: &Plan, step: &Step, node: NodeId, k: usize) -> Result<(), Fault> {
        match step {
            Step::Scalar { eval, args, out } => {
                let a = |k: usize| [self.slots[args[k].0 as usize].scalar()];
                let mut d = [0.0];
                match eval {
                    Eval::Lane1(f) => f(&mut d, &a(0)),
                    Eval::Lane2(f) => f(&mut d, &a(0), &a(1)),
                    Eval::Lane3(f) => f(&mut d, &a(0), &a(1), &a(2)),
                    Eval::Reduce(_) | Eval::Array(_) => {}
                }
                self.put_scalar(*out, d[0]);
            }
            Step::Array { atom, args, out } => {
                if let Eval::Array(f) = atom.eval {
                    let refs: Vec<ArrayRef<'_>> = args.iter().map(|a| self.array_ref(plan, *a)).collect();
                    let v = f(&refs).map_err(|e| Fault {
                        what: e.what,
                        node: None,
                        at: vec![],
                    })?;
                    self.slots[out.0 as usize] = match v {
                        ArrayOut::Dense(d) => Slot::Dense(d),
                        ArrayOut::Sparse(s) => Slot::Sparse(s),
                        ArrayOut::Solved(d, trust) => {
                            self.trust.insert(node, trust);
                            Slot::Dense(d)
                        }
                    };
                }
            }
            Step::Transpose { arg, out } => {
                self.slots[out.0 as usize] = match &self.slots[arg.0 as usize] {
                    Slot::Transposed(s) => match &self.slots[s.0 as usize] {
                        Slot::Sparse(c) => Slot::Sparse(c.clone()),
                        other => other.clone(),
                    },
                    _ => Slot::Transposed(*arg),
                };
            }
            Step::Pick {
                array,
                addr,
                computed,
                out,
            } => {
                let mut at = addr.offset;
                for ((_, stride, dim), s) in addr.computed.iter().zip(computed) {
                    let v = self.slots[s.0 as usize].scalar();
                    if !(v >= 0.0 && v < *dim as f64 && v.fract() == 0.0) {
                        return Err(Fault {
                            what: "an index leaves its array".into(),
                            node: None,
                            at: vec![],
                        });
                    }
                    at += stride * v as i64;
                }
                if at < 0 || at >= addr.len as i64 {
                    return Err(Fault {
                        what: "an index leaves its array".into(),
                        node: None,
                        at: vec![],
                    });
                }
                let s = &self.slots[array.0 as usize];
                let v = match s.entries() {
                    Some(e) => e[at as usize],
                    None => s.sparse_entry(at as usize / addr.cols.max(1), at as usize % addr.cols.max(1)),
                };
                self.put_scalar(*out, v);
            }
            Step::Loop(lp) => {
                let mut scratch = std::mem::take(&mut self.scratch[k]);
                for o in &lp.outs {
                    scratch
                        .outs
                        .push(match std::mem::take(&mut self.slots[o.slot.0 as usize]) {
                            Slot::Dense(d) => d,
                            _ => vec![],
                        });
                }
                let cx = loops::Ctx {
                    plan,
                    slots: &self.slots,
                    domains: &self.domains,
                };
                let r = loops::run(&cx, lp, &mut scratch);
                for (o, v) in lp.outs.iter().zip(scratch.outs.drain(..)) {
                    self.slots[o.slot.0 as usize] = Slot::Dense(v);
                }
                self.scratch[k] = scratch;
                r?;
            }
            Step::BindDomain {
                domain,
                search,
                filters,
            } => {
                if search.narrows() {
                    self.bind_searched(plan, *domain, search)?;
                }
                for filter in filters {
                    let cx = loops::Ctx {
                        plan,
                        slots: &self.slots,
                        domains: &self.domains,
                    };
                    let flags = loops::filter(&cx, filter)?;
                    if search.narrows() {
                        self.keep_flagged(plan, *domain, &flags);
                    } else {
                        self.inspected += flags.len();
                        self.bind_filtered(plan, domain.index(), &flags);
                    }
                }
            }
        }
        Ok(())
    }

    fn put_scalar(&mut self, out: SlotId, v: f64) {
        match &mut self.slots[out.0 as usize] {
            Slot::Dense(d) if d.len() == 1 => d[0] = v,
            slot => *slot = Slot::Dense(vec![v]),
        }
    }

    fn bind_filtered(&mut self, plan: &Plan, d: usize, flags: &[bool]) {
        let shape: &DomainShape = &plan.domains[d];
        let per: usize = shape.lens.iter().product();
        let parents = shape.parent.map_or(1, |p| self.domains[p.index()].total);
        let mut starts = Vec::with_capacity(parents + 1);
        let mut columns = vec![vec![]; shape.lens.len()];
        let mut total = 0;
        for p in 0..parents {
            starts.push(total);
            for k in 0..per {
                if flags.get(p * per + k).copied().unwrap_or(false) {
                    total += 1;
                    let mut rest = k;
                    for (dim, len) in shape.lens.iter().enumerate().rev() {
                        columns[dim].push((rest % len) as u32);
                        rest /= len;
                    }
                }
            }
        }
        starts.push(total);
        self.domains[d] = Bound {
            total,
            starts: Some(starts),
            columns: Some(columns),
        };
        self.follow(plan, d);
    }
}
