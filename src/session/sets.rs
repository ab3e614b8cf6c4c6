//! Sets of the session: from literals, conditions and files; and the names of rows over them.
//!
//! Invariant: a set that cannot be made leaves the old one in place.

use std::sync::Arc;

use crate::base::Diagnostic;
use crate::base::value::{IndexSet, LabelSet, ListedSet};
use crate::exec::{Machine, Plan};
use crate::io;
use crate::ir::{DomainId, InputId, Ir, NodeId};
use crate::lang::lower::{self, DeclaredSet};
use crate::lang::syntax::{ExprKind, SetDecl};

use super::{Def, Session};

type Bound<T> = Result<T, Box<Diagnostic>>;

impl Session {
    /// `set NAME = …`.
    pub(super) fn bind_set(&mut self, d: &SetDecl) -> Bound<()> {
        let def = self.set_from(d)?;
        self.define(&d.name.text, def);
        Ok(())
    }

    fn set_from(&mut self, d: &SetDecl) -> Bound<Def> {
        let ExprKind::Call { callee, args } = &d.value.kind else {
            return Ok(match lower::lower_set(self, d)?.0 {
                DeclaredSet::One(s) => Def::Set(s),
                DeclaredSet::Family { set, keys } => Def::Family { set, keys },
            });
        };
        if callee.as_name() != Some("read") {
            return match lower::lower_set(self, d)?.0 {
                DeclaredSet::One(s) => Ok(Def::Set(s)),
                DeclaredSet::Family { set, keys } => Ok(Def::Family { set, keys }),
            };
        }
        let (file, request, span) = self.read_request(args, d.value.span)?;
        let bytes = self.load(&file, span)?;
        let input = io::Input {
            name: &file,
            bytes: &bytes,
            budget: self.settings.memory,
        };
        let Some(within) = &d.within else {
            let labels =
                io::read_elements(&input, request.column.as_deref()).map_err(|e| super::bind::placed(e, span))?;
            return Ok(Def::Set(IndexSet::Labels(Arc::new(LabelSet {
                name: d.name.text.clone(),
                labels,
            }))));
        };
        let parts = lower::lower_parts(self, within)?;
        let tuples = io::read_pairs(&input, &parts).map_err(|e| super::bind::placed(e, span))?;
        let columns = (0..parts.len())
            .map(|k| tuples.iter().map(|t| t[k] as u32).collect())
            .collect();
        let set = lower::listed(&d.name.text, parts, columns, span)?;
        let set = IndexSet::Listed(Arc::new(set));
        lower::inside(self, &set, within, &d.name.text, span)?;
        Ok(Def::Set(set))
    }

    /// What the rows of constraint `k` of a compiled problem range over: the instances that there are, for a filtered
    /// family.
    pub(super) fn row_sets(&self, at: usize, k: usize) -> Vec<IndexSet> {
        let lowered = &self.compiled[at].lowered;
        let c = &lowered.problem.constraints[k];
        let Some(Some(labels)) = lowered.labels.get(k) else {
            return c.dims.clone();
        };
        let lists = self.lists_now(&lowered.problem.ir, &lowered.params, labels.domain, &labels.nodes);
        let columns = lists.unwrap_or_default().into_iter();
        let columns = columns.map(|l| l.into_iter().map(|v| v as u32).collect()).collect();
        let own = lowered.problem.ir.domain(labels.domain).indices.len();
        match ListedSet::new(c.name.clone(), labels.parts.clone(), columns) {
            Ok(set) => std::iter::once(IndexSet::Listed(Arc::new(set)))
                .chain(c.dims[own..].iter().cloned())
                .collect(),
            Err(_) => c.dims.clone(),
        }
    }

    /// Values of scalars at every instance of a domain.
    pub(super) fn lists_now(
        &self,
        ir: &Ir,
        params: &[(String, InputId)],
        domain: DomainId,
        nodes: &[NodeId],
    ) -> Bound<Vec<Vec<f64>>> {
        let asked: Vec<(DomainId, NodeId)> = nodes.iter().map(|n| (domain, *n)).collect();
        let plan = Plan::compile_lists(ir, &[], &asked);
        let mut m = Machine::new(Arc::new(plan));
        for (name, input) in params {
            if let Some(p) = self.param_value(name) {
                m.set(*input, p.tensor.clone());
            }
        }
        m.eval().map_err(|f| self.fault_at(ir, &f, None))?;
        Ok((0..nodes.len()).map(|k| m.list(k).to_vec()).collect())
    }
}
