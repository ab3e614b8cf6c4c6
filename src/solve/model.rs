//! The user's own model, evaluated at a point: objective, sides of every constraint, bounds, starts.
//!
//! Invariant: what is verified is computed here from the user's program, never taken from a form or a solver.

use std::sync::Arc;

use crate::base::Tensor;
use crate::exec::{Fault, Machine, Plan};
use crate::forms::rows::Columns;
use crate::ir::{InputId, NodeId, Problem, Sides};

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
}

/// One constraint at a point.
#[derive(Clone, Debug, Default)]
pub struct Rows {
    /// How far each instance is from holding; 0 if it holds.
    pub violation: Vec<f64>,
    /// The larger side, which the tolerance is relative to.
    pub size: Vec<f64>,
    /// Distance to the nearer side, nonnegative where it holds (for equations, the difference).
    pub slack: Vec<f64>,
}

impl Model {
    /// Compiles the model.
    pub fn new(p: &Problem, columns: Columns) -> Model {
        let mut lists = vec![];
        let mut sides = vec![];
        for c in &p.constraints {
            let at = lists.len();
            sides.push(match c.sides {
                Sides::Le(a, b) => {
                    lists.extend([(c.domain, a), (c.domain, b)]);
                    Sort::Le(at)
                }
                Sides::Ge(a, b) => {
                    lists.extend([(c.domain, a), (c.domain, b)]);
                    Sort::Ge(at)
                }
                Sides::Eq(a, b) => {
                    lists.extend([(c.domain, a), (c.domain, b)]);
                    Sort::Eq(at)
                }
                Sides::Between(a, b, d) => {
                    lists.extend([(c.domain, a), (c.domain, b), (c.domain, d)]);
                    Sort::Between(at)
                }
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
            if let Some(v) = d[which].and_then(|k| self.data.dense(k)) {
                for k in 0..*len {
                    out[first + k] = if v.len() == 1 { v[0] } else { v[k] };
                }
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
