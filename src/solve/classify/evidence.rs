//! What the data prove where the rules leave it open: semidefinite matrices, quadratics that are convex as a whole.
//!
//! Invariant: what is found is an assumption for these values of the parameters, and is said of the problem as it was
//! written.

use std::collections::BTreeSet;
use std::sync::Arc;

use ravine_linalg::{Dense, Matrix};

use super::comparisons;
use crate::atoms::rules;
use crate::base::Tensor;
use crate::base::value::{IndexSet, Storage};
use crate::exec::{Machine, Plan};
use crate::forms::conic::parts;
use crate::ir::{Curvature, DomainId, InputId, Ir, NodeId, Problem, Sense};
use crate::passes::analysis::curvature::{Assumptions, FactsTable, degree};

/// Root scalars of degree 2 that the rules leave open, and whose Hessians may settle them: the objective, what of it is of
/// degree 2, and the differences of inequalities' sides. The objective is written anew where only a part of it is.
pub(in super::super) fn open_quadratics(problem: &mut Problem, root: &mut NodeId, facts: &FactsTable) -> Vec<NodeId> {
    let mut open = vec![];
    if facts.get(*root).is_some_and(|f| f.curvature == Curvature::Unknown) {
        let taken = parts(&mut problem.ir, *root, &BTreeSet::new());
        if let Some((low, rest)) = taken.low_degree(&mut problem.ir) {
            *root = rest.into_iter().fold(low, |a, b| rules::add(&mut problem.ir, a, b));
            open.push(low);
        }
    }
    for c in problem.constraints.clone() {
        for (small, large, equation, _) in comparisons(&c.sides) {
            if equation || c.domain != DomainId::ROOT {
                continue;
            }
            let settled = facts.curvature(small).is_convex() && facts.curvature(large).is_concave();
            let difference = rules::sub(&mut problem.ir, small, large);
            if !settled && degree(&problem.ir, difference) == 2 {
                open.push(difference);
            }
        }
    }
    open
}

/// The assumptions with what they mean for objective and constraints as they were written: these are shown to the user.
pub(in super::super) fn as_written(
    problem: &mut Problem,
    root: NodeId,
    facts: &FactsTable,
    given: &Assumptions,
) -> Assumptions {
    let mut out = given.clone();
    if let Some(o) = &problem.objective
        && facts.curvature(root).is_convex()
    {
        match o.sense {
            Sense::Minimize => out.convex.insert(o.node),
            Sense::Maximize => out.concave.insert(o.node),
            Sense::Saddle => false,
        };
    }
    for c in problem.constraints.clone() {
        for (small, large, ..) in comparisons(&c.sides) {
            if !given.convex.contains(&rules::sub(&mut problem.ir, small, large)) {
                continue;
            }
            if !facts.has_var(large) {
                out.convex.insert(small);
            } else if !facts.has_var(small) {
                out.concave.insert(large);
            }
        }
    }
    out
}

/// Which of the matrices have a semidefinite symmetric part for these parameters, up to rounding.
pub(in super::super) fn definite(ir: &Ir, matrices: &[NodeId], params: &[(InputId, Arc<Tensor>)]) -> Assumptions {
    let mut given = Assumptions::default();
    let mut m = Machine::new(Arc::new(Plan::compile(ir, matrices)));
    for (i, t) in params {
        m.set(*i, t.clone());
    }
    if m.eval().is_err() {
        return given;
    }
    for (k, node) in matrices.iter().enumerate() {
        let n = ir.shape(*node)[0];
        let half = match m.tensor(k, vec![IndexSet::upto(n), IndexSet::upto(n)]).storage {
            Storage::Sparse(a) => Matrix::Sparse(a.add(0.5, &a.transpose(), 0.5)),
            Storage::Dense(d) => {
                let mut half = Dense::zeros(n, n);
                for i in 0..n {
                    for j in 0..n {
                        half.data[i * n + j] = 0.5 * (d[i * n + j] + d[j * n + i]);
                    }
                }
                Matrix::Dense(half)
            }
        };
        let semidefinite = |m: &Matrix| ravine_linalg::spectrum::is_psd(m, 1e-12).is_ok_and(|r| r.0);
        if semidefinite(&half) {
            given.psd.insert(*node);
        } else if semidefinite(&negated(half)) {
            given.nsd.insert(*node);
        }
    }
    given
}

fn negated(mut m: Matrix) -> Matrix {
    match &mut m {
        Matrix::Dense(d) => d.data.iter_mut().for_each(|v| *v = -*v),
        Matrix::Sparse(s) => s.values.iter_mut().for_each(|v| *v = -*v),
    }
    m
}
