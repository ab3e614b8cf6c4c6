//! `A \\ b` with an operator: LSMR on products with `A` and its transpose.
//!
//! Invariant: what is returned satisfies the tolerance by residuals computed at it, or a warning says how far it may be off.
//!
//! Source: D. Fong, M. Saunders, SIAM Journal on Scientific Computing 33, 2011 (LSMR and its two tests for the end).

use std::sync::Arc;
use std::sync::atomic::Ordering;

use ravine_linalg::krylov::Lsmr;
use ravine_linalg::operator::LinearMap;
use ravine_linalg::reduce::norm2;

use crate::base::{Code, Diagnostic};
use crate::exec::{Machine, Plan};
use crate::ir::atom::Trust;
use crate::ir::{InputId, NodeId};
use crate::lang::lower::System;
use crate::solve::user_map::{Applicable, UserMap};

use super::Session;
use super::trust::DOUBTFUL;

/// The residual, or its part that could still be removed, in terms of `|A| |x| + |b|` and of `|A| |r|`.
const TOLERANCE: f64 = 1e-12;
/// Steps between two looks at computed residuals.
const LOOKS: usize = 10;
/// Looks without progress after which rounding allows no more.
const PATIENCE: usize = 50;

struct Pair {
    forward: Applicable,
    back: Applicable,
    size: (usize, usize),
}

impl LinearMap for Pair {
    fn rows(&self) -> usize {
        self.size.0
    }
    fn cols(&self) -> usize {
        self.size.1
    }
    fn apply(&mut self, x: &[f64], y: &mut [f64]) {
        self.forward.apply(x, y);
    }
    fn adjoint(&mut self, y: &[f64], x: &mut [f64]) {
        self.back.apply(y, x);
    }
}

impl Session {
    /// The shortest solution in the least-squares sense.
    pub(super) fn solved_by_products(&self, s: &System<'_>) -> Result<Vec<f64>, Box<Diagnostic>> {
        let program = |(input, node): (InputId, NodeId), size| {
            let mut machine = Machine::new(Arc::new(Plan::compile(s.ir, &[node])));
            for (name, input) in s.params {
                if let Some(p) = self.param_value(name) {
                    machine.set(*input, p.tensor.clone());
                }
            }
            UserMap::new(machine, input, size).applicable()
        };
        let (m, n) = s.size;
        let mut map = Pair {
            forward: program(s.forward, (m, n)),
            back: program(s.back, (n, m)),
            size: s.size,
        };
        let rows = crate::base::value::IndexSet::upto(m);
        let b = self
            .run_nodes(s.ir, s.params, &[(s.right, vec![rows])])
            .map_err(|f| self.fault_at(s.ir, &f, Some(s.at)))?;
        let b = b.first().map_or(vec![0.0; m], |t| t.to_dense());
        let wrong = |what: String| Box::new(Diagnostic::new(Code::NotFinite, what).at(s.at, "solved here"));
        let mut run = Lsmr::start(&mut map, &b, &vec![0.0; n]).map_err(|f| wrong(f.what))?;
        let (mut best, mut least, mut waited) = (vec![0.0; n], f64::INFINITY, 0);
        let (mut r, mut back) = (vec![0.0; m], vec![0.0; n]);
        let limit = 1000 + 20 * m.max(n);
        loop {
            let mut more = true;
            for _ in 0..LOOKS {
                more = more && run.step(&mut map).map_err(|f| wrong(f.what))?;
            }
            map.apply(&run.x, &mut r);
            r.iter_mut().zip(&b).for_each(|(r, b)| *r = b - *r);
            map.adjoint(&r, &mut back);
            let (left, turned) = (norm2(&r), norm2(&back));
            let fits = left / (run.norm * norm2(&run.x) + norm2(&b)).max(f64::MIN_POSITIVE);
            let normal = turned / (run.norm * left).max(f64::MIN_POSITIVE);
            let off = fits.min(normal);
            waited = if off < 0.5 * least { 0 } else { waited + 1 };
            if off < least {
                least = off;
                best.copy_from_slice(&run.x);
            }
            let stopped = self.interrupt.load(Ordering::Relaxed);
            if !more || off <= TOLERANCE || waited > PATIENCE || run.steps >= limit || stopped || !off.is_finite() {
                // Of a least-squares problem the condition counts twice.
                let condition = run.condition();
                let error = if fits <= normal {
                    fits * condition
                } else {
                    normal * condition * condition
                };
                if !(error <= DOUBTFUL) && norm2(&b) > 0.0 {
                    let full = m.min(n);
                    let trust = Trust {
                        error,
                        condition,
                        rank: full,
                        full,
                    };
                    self.trust.borrow_mut().push((Some(s.at), trust));
                }
                return Ok(best);
            }
        }
    }
}
