//! Values of region scalars by instance, in flattened order: what forms are assembled from.
//!
//! Invariant: instance `k` of a list is instance `k` of its flattened domain, filters applied; what depends on parameters
//! only is listed once per binding.

use std::sync::Arc;

use ravine_linalg::Csr;

use super::plan::ListLoop;
use super::{Fault, Machine, Plan, loops};
use crate::base::Tensor;
use crate::ir::atom::ArrayData;
use crate::ir::{DomainId, InputId, Ir, NodeId};

/// A place in the lists: which request, which scalar of it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ListRef(pub usize, pub usize);

/// Outputs and lists asked for, to be compiled together.
#[derive(Clone, Debug, Default)]
pub struct Requests {
    lists: Vec<(DomainId, Vec<NodeId>)>,
    outputs: Vec<NodeId>,
}

impl Requests {
    /// Asks for a scalar of `domain`'s region (or above) by instance of `domain`.
    pub fn list(&mut self, domain: DomainId, node: NodeId) -> ListRef {
        let r = match self.lists.iter().position(|(d, _)| *d == domain) {
            Some(r) => r,
            None => {
                self.lists.push((domain, vec![]));
                self.lists.len() - 1
            }
        };
        let nodes = &mut self.lists[r].1;
        let k = match nodes.iter().position(|n| *n == node) {
            Some(k) => k,
            None => {
                nodes.push(node);
                nodes.len() - 1
            }
        };
        ListRef(r, k)
    }
    /// Makes sure a domain's instances are bound.
    pub fn domain(&mut self, domain: DomainId) {
        if !self.lists.iter().any(|(d, _)| *d == domain) {
            self.lists.push((domain, vec![]));
        }
    }
    /// Asks for a root node.
    pub fn output(&mut self, node: NodeId) -> usize {
        match self.outputs.iter().position(|n| *n == node) {
            Some(k) => k,
            None => {
                self.outputs.push(node);
                self.outputs.len() - 1
            }
        }
    }
    /// Compiles what was asked for.
    pub fn compile(&self, ir: &Ir) -> Lister {
        let (plan, loops) = Plan::compile_lists(ir, &self.outputs, &self.lists);
        let nodes = self.lists.iter().map(|l| l.1.clone()).collect::<Vec<_>>();
        let values = nodes.iter().map(|n| vec![vec![]; n.len()]).collect();
        Lister {
            machine: Machine::new(Arc::new(plan)),
            loops: Arc::new(loops),
            nodes,
            values,
        }
    }
}

/// A machine that also evaluates lists.
#[derive(Clone)]
pub struct Lister {
    machine: Machine,
    loops: Arc<Vec<ListLoop>>,
    nodes: Vec<Vec<NodeId>>,
    values: Vec<Vec<Vec<f64>>>,
}

impl Lister {
    /// Binds a parameter.
    pub fn set(&mut self, input: InputId, value: Arc<Tensor>) {
        self.machine.set(input, value);
    }
    /// Sets a variable or a seed from row-major entries.
    pub fn set_point(&mut self, input: InputId, entries: &[f64]) {
        self.machine.set_point(input, entries);
    }
    /// Will the next evaluation bind domains and parameters anew?
    pub fn is_stale(&self) -> bool {
        self.machine.stale
    }
    /// Evaluates all outputs and lists.
    ///
    /// # Errors
    /// Where an index leaves its array or a kernel fails.
    pub fn eval(&mut self) -> Result<(), Fault> {
        let stale = self.machine.stale;
        self.machine.eval()?;
        let plan = self.machine.plan.clone();
        let all = self.loops.clone();
        for (r, l) in all.iter().enumerate() {
            let Some(pair) = &l.loops else {
                for (k, n) in self.nodes[r].iter().enumerate() {
                    self.values[r][k] = vec![self.machine.node_scalar(*n)];
                }
                continue;
            };
            let cx = loops::Ctx {
                plan: &plan,
                slots: &self.machine.slots,
                domains: &self.machine.domains,
            };
            for (part, lp, wanted) in [(&l.dynamic, &pair[0], true), (&l.fixed, &pair[1], stale)] {
                if !wanted || part.is_empty() {
                    continue;
                }
                let lists = loops::list(&cx, lp, part.len()).map_err(|f| Fault {
                    node: f.node.or(part.first().map(|k| self.nodes[r][*k])),
                    ..f
                })?;
                for (k, v) in part.iter().zip(lists) {
                    self.values[r][*k] = v;
                }
            }
        }
        Ok(())
    }
    /// The values of a list.
    pub fn values(&self, at: ListRef) -> &[f64] {
        &self.values[at.0][at.1]
    }
    /// The listed node.
    pub fn node(&self, at: ListRef) -> NodeId {
        self.nodes[at.0][at.1]
    }
    /// The machine, for its outputs.
    pub fn machine(&self) -> &Machine {
        &self.machine
    }
    /// Number of instances of a domain in use.
    pub fn count(&self, d: DomainId) -> usize {
        if d == DomainId::ROOT {
            1
        } else {
            self.machine.domains[d.index()].total
        }
    }
    /// For each instance of `d`, the instance of `up` (enclosing it) that it belongs to.
    pub fn ancestors(&self, d: DomainId, up: DomainId) -> Vec<usize> {
        let mut at: Vec<usize> = (0..self.count(d)).collect();
        let mut here = d;
        while here != up {
            let Some(parent) = self.machine.plan.domains[here.index()].parent else {
                break;
            };
            let bound = &self.machine.domains[here.index()];
            match &bound.starts {
                Some(starts) => {
                    let mut owner = vec![0; bound.total];
                    for p in 0..starts.len().saturating_sub(1) {
                        owner[starts[p]..starts[p + 1]].fill(p);
                    }
                    at.iter_mut().for_each(|k| *k = owner[*k]);
                }
                None => {
                    let per: usize = self.machine.plan.domains[here.index()].lens.iter().product();
                    at.iter_mut().for_each(|k| *k /= per.max(1));
                }
            }
            here = parent;
        }
        at
    }
    /// Index names and elements of one instance, outermost first.
    pub fn labels(&self, d: DomainId, instance: usize) -> Vec<(String, String)> {
        let plan = &self.machine.plan;
        let mut out = vec![];
        let (mut here, mut k) = (d, instance);
        while let Some(parent) = plan.domains[here.index()].parent {
            let shape = &plan.domains[here.index()];
            let bound = &self.machine.domains[here.index()];
            let per: usize = shape.lens.iter().product();
            let (positions, up) = match (&bound.columns, &bound.starts) {
                (Some(c), Some(starts)) => {
                    let p: Vec<usize> = c.iter().map(|c| c.get(k).copied().unwrap_or(0) as usize).collect();
                    (p, starts.partition_point(|s| *s <= k).saturating_sub(1))
                }
                _ => {
                    let mut rest = k % per.max(1);
                    let mut p = vec![0; shape.lens.len()];
                    for (dim, len) in shape.lens.iter().enumerate().rev() {
                        p[dim] = rest % (*len).max(1);
                        rest /= (*len).max(1);
                    }
                    (p, k / per.max(1))
                }
            };
            let own = shape.indices.iter().zip(positions).map(|(i, p)| {
                let index = &plan.indices[i.index()];
                (index.name.clone(), index.set.element(p))
            });
            out.splice(0..0, own.collect::<Vec<_>>());
            (here, k) = (parent, up);
        }
        out
    }
}

impl Lister {
    /// Output `k` as compressed rows (a vector is one column).
    pub fn matrix(&self, k: usize) -> Csr {
        let m = &self.machine;
        let r = m.array_ref(&m.plan, m.plan.outputs[k]);
        match (r.data, r.transposed) {
            (ArrayData::Sparse(s), false) => s.clone(),
            (ArrayData::Sparse(s), true) => s.transpose(),
            _ => Csr::from_dense(&r.to_dense()),
        }
    }
    /// Row-major entries of output `k`, zeros included.
    pub fn entries(&self, k: usize) -> Vec<f64> {
        let m = &self.machine;
        let r = m.array_ref(&m.plan, m.plan.outputs[k]);
        match (r.data, r.transposed) {
            (ArrayData::Dense(d), false) => d.to_vec(),
            _ => r.to_dense().data,
        }
    }
}
