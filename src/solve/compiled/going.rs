//! A run on a compiled problem: advanced, weighed, concluded.
//!
//! Invariant: a run asks what it was lent when it began and nothing else; concluding changes nothing of it.

use std::collections::BTreeMap;
use std::sync::Arc;

use ravine_linalg::operator::LinearMap;

use super::super::classify::Kind;
use super::super::conclude::{Dual, Ended};
use super::super::method::{Class, Method};
use super::super::methods::clarabel;
use super::super::oracle::{Counts, Form, FormOracle, Oracle};
use super::super::products::ByProducts;
use super::super::run::{Options, Run, Watch};
use super::super::state::Slot;
use super::super::stop::Status;
use super::super::verify;
use super::{Answer, Compiled};
use crate::base::Tensor;
use crate::exec::Fault;
use crate::forms::matrices::Fold;
use crate::ir::InputId;

/// What one run on the problem is asked for.
pub struct Ask<'a> {
    /// Values of the parameters.
    pub params: &'a [(InputId, Arc<Tensor>)],
    /// What the driver is told.
    pub options: Options,
    /// Starts by variable.
    pub start: &'a BTreeMap<String, Vec<f64>>,
    /// The last answer, flat.
    pub previous: Option<&'a [f64]>,
    /// The method asked for.
    pub method: Option<Arc<dyn Method>>,
    /// Stops the run, and shows its last good point to other threads.
    pub watch: Arc<Watch>,
}

/// A run on a compiled problem, between two calls to it.
pub struct Going {
    /// The run.
    pub run: Run,
    pub(super) lent: Lent,
    /// What is known of the answer before there is one: the method, why, the warm start.
    pub(super) head: Answer,
    /// What was not finite, where that ended the run.
    pub(super) fault: Option<Fault>,
}

/// A run that began, or an answer where nothing is to be run.
pub enum Begun {
    /// It may be advanced.
    Going(Box<Going>),
    /// It is over.
    Over(Box<Answer>),
}

/// What a run asks: the functions of the compiled problem, or a form of its own.
pub(super) enum Lent {
    Functions,
    LeastSquares {
        oracle: FormOracle,
        rounded: bool,
    },
    Products(Box<ByProducts>),
    Conic {
        oracle: FormOracle,
        constant: f64,
        unit: f64,
        spans: Vec<(usize, usize)>,
        entries: Vec<Option<Vec<(usize, usize, f64)>>>,
        fold: Fold,
    },
}

impl Lent {
    /// What the run asks.
    pub fn oracle<'s>(&'s mut self, kind: &'s mut Kind) -> &'s mut dyn Oracle {
        match (self, kind) {
            (Lent::LeastSquares { oracle, .. } | Lent::Conic { oracle, .. }, _) => oracle,
            (Lent::Products(oracle), _) => oracle.as_mut(),
            (Lent::Functions, Kind::Smooth(s)) => s.as_mut(),
            (Lent::Functions, Kind::Composite(c, _)) => c.as_mut(),
            // A run asks functions of a smooth or composite problem only: `begin` makes no other.
            (Lent::Functions, _) => unreachable!(),
        }
    }
}

impl Compiled {
    /// At most `n` further steps of a run that began here; answers whether it has ended.
    pub fn advance(&mut self, going: &mut Going, n: u64, now: &dyn Fn() -> f64) -> bool {
        let oracle = going.lent.oracle(&mut self.kind);
        let ended = going.run.advance(oracle, n, now).is_some();
        let lost = going.run.ended().is_some_and(|r| r.status == Status::EvaluationError);
        if let (true, Some(s)) = (ended, self.kind.functions()) {
            // Measuring where it ended may have been fine again.
            let found = s.last_fault.clone();
            going.fault = found.or_else(|| lost.then(|| s.trace_lost()).flatten());
        }
        ended
    }

    /// What a run came to, or where it stands if it has not ended. Changes nothing of the run.
    pub fn conclude(&mut self, going: &Going, tolerance: f64) -> Result<Answer, Fault> {
        let finished = going.run.account();
        let mut a = going.head.clone();
        a.trace = Some(finished.trace.clone());
        a.counts = (finished.counts, finished.extra);
        let done = Ended {
            state: going.run.state().clone(),
            finished,
        };
        let (l, u) = self.model.bounds();
        match (&going.lent, &mut self.kind) {
            (Lent::LeastSquares { oracle, rounded }, Kind::Smooth(_)) => {
                if let Form::LeastSquares { a: matrix, b } = &oracle.form {
                    let size = (matrix.rows(), matrix.cols());
                    let worst = |x: &[f64]| verify::normal_residual(matrix, b, x);
                    a.conclude_least_squares(done, size, worst, Class::LinearSystem, *rounded, tolerance);
                }
                self.conclude_quadratic(&mut a, &oracle.form, tolerance);
            }
            (Lent::LeastSquares { oracle, rounded }, _) => {
                if let Form::LeastSquares { a: matrix, b } = &oracle.form {
                    let size = (matrix.rows(), matrix.cols());
                    let worst = |x: &[f64]| verify::normal_residual(matrix, b, x);
                    a.conclude_least_squares(done, size, worst, self.class, *rounded, tolerance);
                    if self.class == Class::LinearSystem && !a.x.is_empty() {
                        let mut r = vec![0.0; b.len()];
                        matrix.mul_vec(&a.x, &mut r);
                        r.iter_mut().zip(b).for_each(|(r, b)| *r = b - *r);
                        let normal = verify::normal_residual(matrix, b, &a.x);
                        self.conclude_system(&mut a, &r, normal, tolerance)?;
                    }
                }
            }
            (Lent::Products(lent), Kind::Products(p)) => {
                let size = (p.rows(), p.cols());
                let worst = |x: &[f64]| verify::normal_by_products(p.as_mut(), &lent.b, x).1;
                a.conclude_least_squares(done, size, worst, self.class, false, tolerance);
                if self.class == Class::LinearSystem && !a.x.is_empty() {
                    let (r, normal) = verify::normal_by_products(p.as_mut(), &lent.b, &a.x);
                    self.conclude_system(&mut a, &r, normal, tolerance)?;
                }
            }
            (Lent::Products(_), _) => {}
            (
                Lent::Conic {
                    oracle,
                    constant,
                    unit,
                    spans,
                    entries,
                    fold,
                },
                _,
            ) => {
                if let Form::Conic { form, .. } = &oracle.form {
                    let dual = Dual {
                        form,
                        constant: *constant,
                        unit: *unit,
                        spans,
                        entries,
                        fold,
                        lower: &l,
                        upper: &u,
                    };
                    self.conclude_conic(&mut a, done, &dual, tolerance)?;
                }
            }
            (Lent::Functions, Kind::Smooth(s)) => {
                let bounds = s.bounds.clone();
                a.fault.clone_from(&going.fault);
                let kkt = a.conclude_smooth(done, s, &bounds, self.maximize, tolerance);
                if !self.problem.constraints.is_empty() {
                    a.conclude_constraints(kkt, &mut self.model, self.maximize, tolerance)?;
                }
            }
            (Lent::Functions, Kind::Composite(c, _)) => {
                a.fault.clone_from(&going.fault);
                a.conclude_composite(done, c, &mut self.model, self.maximize, tolerance)?;
            }
            (Lent::Functions, _) => {}
        }
        Ok(self.settled(a))
    }

    /// Runs to the end.
    pub fn solve(&mut self, ask: Ask<'_>, now: &dyn Fn() -> f64) -> Result<Answer, Fault> {
        let tolerance = ask.options.tolerance;
        match self.begin(ask, None)? {
            Begun::Over(a) => Ok(*a),
            Begun::Going(mut g) => {
                while !self.advance(&mut g, u64::MAX, now) {}
                self.conclude(&g, tolerance)
            }
        }
    }

    /// Work that so many evaluations are, in evaluations of the objective: a Hessian counts one and its entries for each
    /// coordinate, a Jacobian two, a mini-batch its share of the terms, an iteration of a method that runs as a whole like a Hessian.
    pub fn work(&self, made: &Counts, going: &Going) -> f64 {
        let n = self.columns.len().max(1) as f64;
        let functions = match &self.kind {
            Kind::Smooth(s) => Some(s.as_ref() as &dyn Oracle),
            Kind::Composite(c, _) => Some(c.as_ref() as &dyn Oracle),
            _ => None,
        };
        match (&going.lent, functions) {
            (Lent::Functions, Some(s)) => {
                let hessian = 1.0 + 2.0 * s.hessian_entries().unwrap_or(0) as f64 / n;
                let share = s.terms().map_or(0.0, |t| made.terms as f64 / t as f64);
                let plain = made.values + made.gradients + made.products + made.vectors + 2 * made.jacobians;
                plain as f64 + hessian * made.hessians as f64 + share
            }
            (Lent::Products(_), _) => made.products as f64,
            (Lent::LeastSquares { oracle, .. } | Lent::Conic { oracle, .. }, _) => {
                let (entries, rounds) = match &oracle.form {
                    Form::LeastSquares { a, .. } => (a.rows() * a.cols(), 1),
                    Form::Conic { form, .. } => {
                        let rounds = match going.run.state().slots.get(clarabel::ITERATIONS) {
                            Some(Slot::Count(k)) => *k,
                            _ => 0,
                        };
                        (form.p.nnz() + form.a.nnz(), rounds)
                    }
                };
                if going.run.steps() == 0 {
                    0.0
                } else {
                    rounds as f64 * (1.0 + entries as f64 / n)
                }
            }
            _ => 0.0,
        }
    }
}
