//! The user's own model, evaluated at a point: objective, sides of every constraint, bounds, starts.
//!
//! Invariant: what is verified is computed here from the user's program, never taken from a form or a solver.

use std::sync::Arc;

use ravine_linalg::clarabel_adapter::Cone;
use ravine_linalg::{Dense, spectrum};

use super::verify;
use crate::base::Tensor;
use crate::exec::{Fault, Machine, Plan};
use crate::forms::rows::Columns;
use crate::ir::{InputId, Member, NodeId, Problem, Sides};

/// The model as programs.
#[derive(Clone, Debug)]
pub struct Model {
    machine: Machine,
    columns: Columns,
    has_objective: bool,
    /// For each constraint, the lists of its sides.
    sides: Vec<Sort>,
    data: Machine,
    /// For each variable: output numbers of lower bound, upper bound, start, scale.
    declared: Vec<[Option<usize>; 4]>,
}

#[derive(Clone, Copy, Debug)]
enum Sort {
    Le(usize),
    Ge(usize),
    Eq(usize),
    Between(usize),
    /// Matrices of this order.
    Semidefinite(usize, usize),
    /// Triples, with the list of the exponent in a power cone.
    Triple(usize, Option<usize>),
}

/// One constraint at a point.
#[derive(Clone, Debug, Default)]
pub struct Rows {
    /// How far each instance is from holding; 0 if it holds.
    pub violation: Vec<f64>,
    /// The larger side, which the tolerance is relative to.
    pub size: Vec<f64>,
    /// Distance to the nearer side, nonnegative where it holds (for equations, the difference; for cones, what lies in them).
    pub slack: Vec<f64>,
}

impl Model {
    /// Compiles the model.
    pub fn new(p: &Problem, columns: Columns) -> Model {
        let mut lists = vec![];
        let mut sides = vec![];
        for c in &p.constraints {
            let at = lists.len();
            lists.extend(c.sides.nodes(c.domain));
            sides.push(match c.sides {
                Sides::Le(..) => Sort::Le(at),
                Sides::Ge(..) => Sort::Ge(at),
                Sides::Eq(..) => Sort::Eq(at),
                Sides::Between(..) => Sort::Between(at),
                Sides::In(Member::Semidefinite { entries, .. }) => {
                    Sort::Semidefinite(at, p.ir.domain_shape(entries).first().copied().unwrap_or(0))
                }
                Sides::In(Member::Exponential(_)) => Sort::Triple(at, None),
                Sides::In(Member::Power(..)) => Sort::Triple(at, Some(at + 3)),
            });
        }
        let objective: Vec<NodeId> = p.objective.iter().map(|o| o.node).collect();
        let machine = Machine::new(Arc::new(Plan::compile_lists(&p.ir, &objective, &lists)));
        let mut outs = vec![];
        let mut declared = vec![];
        for v in &p.vars {
            declared.push([v.lower, v.upper, v.start, v.scale].map(|n| {
                n.map(|n| {
                    outs.push(n);
                    outs.len() - 1
                })
            }));
        }
        let data = Machine::new(Arc::new(Plan::compile(&p.ir, &outs)));
        Model {
            machine,
            columns,
            has_objective: !objective.is_empty(),
            sides,
            data,
            declared,
        }
    }

    /// Binds parameters.
    pub fn bind(&mut self, params: &[(InputId, Arc<Tensor>)]) -> Result<(), Fault> {
        for (i, t) in params {
            self.machine.set(*i, t.clone());
            self.data.set(*i, t.clone());
        }
        self.data.eval()
    }

    fn declared(&self, which: usize, default: f64) -> Vec<f64> {
        let mut out = vec![default; self.columns.len()];
        for (d, (_, first, len)) in self.declared.iter().zip(&self.columns.blocks) {
            let to = &mut out[*first..first + len];
            match d[which] {
                Some(k) if self.data.dense(k).is_some_and(|v| v.len() == 1) => to.fill(self.data.scalar(k)),
                Some(k) if !self.data.copy_output(k, to) => to.fill(f64::NAN),
                _ => {}
            }
        }
        out
    }
    /// Lower and upper bounds by coordinate.
    pub fn bounds(&self) -> (Vec<f64>, Vec<f64>) {
        (self.declared(0, f64::NEG_INFINITY), self.declared(1, f64::INFINITY))
    }
    /// Declared scales by coordinate, 1 where none is; empty where there is none at all.
    pub fn units(&self) -> Vec<f64> {
        match self.declared.iter().any(|d| d[3].is_some()) {
            true => self.declared(3, 1.0),
            false => vec![],
        }
    }
    /// The declared start; 0 where none is, moved into the bounds.
    pub fn start(&self) -> Vec<f64> {
        let (l, u) = self.bounds();
        self.declared(2, 0.0)
            .into_iter()
            .zip(l.iter().zip(&u))
            .map(|(v, (l, u))| v.max(*l).min(*u))
            .collect()
    }
    /// Evaluates everything at a point.
    pub fn eval(&mut self, x: &[f64]) -> Result<(), Fault> {
        for &(input, first, len) in &self.columns.blocks {
            self.machine.set_point(input, &x[first..first + len]);
        }
        self.machine.eval()
    }
    /// The objective in the user's own sense, after `eval`.
    pub fn objective(&self) -> f64 {
        if self.has_objective {
            self.machine.scalar(0)
        } else {
            0.0
        }
    }
    /// Each constraint, after `eval`.
    pub fn rows(&self) -> Vec<Rows> {
        self.sides
            .iter()
            .map(|s| {
                let list = |k: usize| self.machine.list(k);
                let mut r = Rows::default();
                match *s {
                    Sort::Le(k) | Sort::Ge(k) | Sort::Eq(k) => {
                        for (a, b) in list(k).iter().zip(list(k + 1)) {
                            let gap = match s {
                                Sort::Le(_) => b - a,
                                _ => a - b,
                            };
                            let equation = matches!(s, Sort::Eq(_));
                            r.violation.push(if equation { gap.abs() } else { (-gap).max(0.0) });
                            r.size.push(a.abs().max(b.abs()));
                            r.slack.push(gap);
                        }
                    }
                    Sort::Semidefinite(k, order) => r.matrices(list(k), order),
                    Sort::Triple(k, a) => {
                        let a = a.map(|a| list(a).first().copied().unwrap_or(0.5));
                        r.triples([list(k), list(k + 1), list(k + 2)], a);
                    }
                    Sort::Between(k) => {
                        for ((l, e), u) in list(k).iter().zip(list(k + 1)).zip(list(k + 2)) {
                            let gap = (e - l).min(u - e);
                            r.violation.push((-gap).max(0.0));
                            r.size.push(if e - l < u - e {
                                e.abs().max(l.abs())
                            } else {
                                e.abs().max(u.abs())
                            });
                            r.slack.push(gap);
                        }
                    }
                }
                r
            })
            .collect()
    }
}

impl Rows {
    /// Adds matrices that are to be semidefinite, and are as far from that as their smallest eigenvalue and their asymmetry
    /// say; the slack is the matrix, violation and size stand at its first entry.
    fn matrices(&mut self, entries: &[f64], order: usize) {
        for m in entries.chunks_exact((order * order).max(1)) {
            let mut part = Dense {
                rows: order,
                cols: order,
                data: m.to_vec(),
            };
            let mut uneven = 0.0f64;
            for i in 0..order {
                for j in 0..i {
                    let (p, q) = (m[i * order + j], m[j * order + i]);
                    uneven = uneven.max((p - q).abs());
                    part.data[i * order + j] = 0.5 * (p + q);
                    part.data[j * order + i] = 0.5 * (p + q);
                }
            }
            let (low, high) = match spectrum::symmetric_eigenvalues(&part) {
                Ok(v) => (v.first().copied().unwrap_or(0.0), v.last().copied().unwrap_or(0.0)),
                Err(_) => (f64::NAN, f64::NAN),
            };
            let first = self.violation.len();
            self.violation.resize(first + m.len(), 0.0);
            self.size.resize(first + m.len(), 0.0);
            // Not `max`, which would lose what is not a number.
            self.violation[first] = uneven + if low >= 0.0 { 0.0 } else { -low };
            self.size[first] = low.abs().max(high.abs());
            self.slack.extend_from_slice(m);
        }
    }

    /// Adds triples that are to lie in a cone; slack, violation and size as for matrices.
    fn triples(&mut self, [x, y, z]: [&[f64]; 3], exponent: Option<f64>) {
        let cone = exponent.map_or(Cone::Exp, Cone::Power);
        for ((x, y), z) in x.iter().zip(y).zip(z) {
            let v = [*x, *y, *z];
            self.violation.extend([verify::outside(&[cone], &v, false), 0.0, 0.0]);
            self.size
                .extend([v.iter().fold(0.0f64, |m, v| m.max(v.abs())), 0.0, 0.0]);
            self.slack.extend(v);
        }
    }
}
