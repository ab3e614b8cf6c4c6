//! From an answer to what is reported of it, and to the solution that programs see.
//!
//! Invariant: says what the answer says; judges and recomputes nothing.

use std::sync::Arc;

use crate::base::value::{IndexSet, LabelSet, Tensor, Value};
use crate::ir::Sense;
use crate::lang::lower::SolutionData;
use crate::report::{Residual, SolveEntry, WarmStart};
use crate::solve::Status;
use crate::solve::compiled::{Answer, Compiled};

use super::Session;
use super::worker::Good;

/// What is shown of a compiled problem.
pub(super) struct About {
    pub name: String,
    class: String,
    proof: String,
    /// Name, index sets, first coordinate and number of coordinates of each variable.
    vars: Vec<(String, Vec<IndexSet>, usize, usize)>,
    constraints: Vec<(String, Vec<IndexSet>)>,
    /// Variables that the solve was given.
    pub fixed: Vec<(String, Arc<Tensor>)>,
    pub sense: Sense,
}

impl About {
    pub fn of(c: &Compiled, rows: impl Fn(usize) -> Vec<IndexSet>) -> About {
        let vars = c.problem.vars.iter().zip(&c.columns.blocks);
        let constraints = c.problem.constraints.iter().enumerate();
        About {
            name: c.problem.name.clone(),
            class: c.class_word().into(),
            proof: c.proof.join("; "),
            vars: vars
                .map(|(v, (_, first, len))| (v.name.clone(), v.dims.clone(), *first, *len))
                .collect(),
            constraints: constraints.map(|(k, x)| (x.name.clone(), rows(k))).collect(),
            fixed: vec![],
            sense: c.problem.objective.as_ref().map(|o| o.sense).unwrap_or_default(),
        }
    }

    /// Variables by name at a point.
    pub fn values(&self, x: &[f64]) -> Vec<(String, Tensor)> {
        let all = self.vars.iter().filter_map(|(name, dims, first, len)| {
            let data = x.get(*first..first + len)?.to_vec();
            Some((name.clone(), Tensor::dense(dims.clone(), data)?))
        });
        all.collect()
    }

    /// Name, first coordinate and number of coordinates of each variable.
    pub fn blocks(&self) -> Vec<(String, usize, usize)> {
        self.vars
            .iter()
            .map(|(n, _, first, len)| (n.clone(), *first, *len))
            .collect()
    }

    /// The index sets of the point, if it is one variable.
    pub fn only_shape(&self) -> Option<Vec<IndexSet>> {
        match self.vars.as_slice() {
            [(_, dims, ..)] => Some(dims.clone()),
            _ => None,
        }
    }

    /// The answer of a solve that went on without the session: its last good point.
    pub fn interrupted(&self, good: Option<Good>, method: String) -> Answer {
        let mut a = Answer {
            status: Status::Interrupted,
            method,
            reproducible: false,
            reason: "stopped by the user in the middle of a step; there is no point yet".into(),
            ..Answer::default()
        };
        if let Some((step, measures, x)) = good {
            let sign = if self.sense == Sense::Maximize { -1.0 } else { 1.0 };
            a.reason = format!("stopped by the user in the middle of a step; the point is that of step {step}");
            a.objective = Some(sign * measures.objective);
            a.residuals = vec![("stationarity".into(), measures.stationarity)];
            a.iterations = Some(step);
            a.x = x;
        }
        a
    }
}

impl Session {
    /// The report's entry of a solve.
    pub(super) fn entry(&self, c: &About, a: &Answer, tolerance: f64, time: (f64, f64)) -> SolveEntry {
        let mut variables: Vec<(String, Value)> = c
            .vars
            .iter()
            .filter_map(|(name, dims, first, len)| {
                let data = a.x.get(*first..first + len)?.to_vec();
                Some((name.clone(), Value::tensor(Tensor::dense(dims.clone(), data)?)))
            })
            .collect();
        if !a.x.is_empty() {
            variables.extend(c.fixed.iter().map(|(n, t)| (n.clone(), Value::tensor((**t).clone()))));
        }
        let family = |k: usize, data: &[f64]| -> Option<Value> {
            let dims = &c.constraints[k].1;
            let t = Tensor::dense(dims.clone(), data.to_vec());
            Some(Value::tensor(t.unwrap_or_else(|| Tensor::vector(data.to_vec()))))
        };
        let duals = a
            .duals
            .iter()
            .enumerate()
            .filter_map(|(k, d)| Some((c.constraints[k].0.clone(), family(k, d)?)))
            .collect();
        let mut reason = a.reason.clone();
        if let (Some((k, i)), false) = (a.worst, a.status.is_success()) {
            let (con, dims) = &c.constraints[k];
            let at = super::instance_name(dims, i);
            let name = if at.is_empty() {
                con.clone()
            } else {
                format!("{con}[{at}]")
            };
            reason = if reason.is_empty() {
                format!("worst: {name}")
            } else {
                format!("{reason}; worst: {name}")
            };
        }
        SolveEntry {
            problem: c.name.clone(),
            changes: String::new(),
            turn: String::new(),
            class: c.class.clone(),
            class_why: c.proof.clone(),
            method: a.method.clone(),
            method_why: a.method_why.clone(),
            status: a.status,
            reason,
            objective: a.objective,
            variables,
            duals,
            residuals: a
                .residuals
                .iter()
                .map(|(n, v)| Residual {
                    name: n.clone(),
                    value: *v,
                })
                .collect(),
            tolerance,
            error: a.error,
            condition: a.condition,
            iterations: a.iterations,
            estimated: a.estimated,
            warm_start: WarmStart {
                used: a.warm.0,
                why: a.warm.1.clone(),
            },
            time_compile: time.0,
            time_solve: time.1,
            certificate: a
                .certificate
                .iter()
                .map(|(n, v)| (n.clone(), Value::tensor(Tensor::vector(v.clone()))))
                .collect(),
            not_reproducible: !a.reproducible,
            as_written: false,
            boards: vec![],
            log: if self.settings.verbose { a.log.clone() } else { vec![] },
        }
    }

    /// The solution as programs see it.
    pub(super) fn solution(&self, at: usize, a: &Answer, e: &SolveEntry) -> SolutionData {
        let mut s = SolutionData {
            problem: e.problem.clone(),
            status: a.status.word().into(),
            method: a.method.clone(),
            sense: self.sense(at),
            ..SolutionData::default()
        };
        s.past = self.past_of(at);
        let arc = |v: &Value| match v {
            Value::Array { tensor, .. } => tensor.clone(),
            _ => Arc::new(Tensor::scalar(f64::NAN)),
        };
        for (n, v) in &e.variables {
            s.fields.insert(n.clone(), arc(v));
        }
        let mut number = |n: &str, v: Option<f64>| {
            // A variable of that name is what the user means.
            if !s.fields.contains_key(n) {
                s.fields
                    .insert(n.into(), Arc::new(Tensor::scalar(v.unwrap_or(f64::NAN))));
            }
        };
        number("objective", a.objective);
        number("error", a.error);
        number("condition", a.condition);
        number("iterations", a.iterations.map(|i| i as f64));
        number("evaluations", Some(a.counts.0.total() as f64));
        let told = a.residuals.iter().find(|r| r.0 == "stationarity").map(|r| r.1);
        number("stationarity", a.slope.or(told));
        number("time", Some(e.time_compile + e.time_solve));
        if !s.fields.contains_key("residuals") {
            s.fields.insert("residuals".into(), Arc::new(by_name(&a.residuals)));
        }
        for (n, v) in &e.duals {
            s.duals.insert(n.clone(), arc(v));
        }
        let p = &self.compiled[at].lowered.problem;
        for (k, (c, slack)) in p.constraints.iter().zip(&a.slacks).enumerate() {
            let t = Tensor::dense(self.row_sets(at, k), slack.clone()).unwrap_or_else(|| Tensor::vector(slack.clone()));
            s.slacks.insert(c.name.clone(), Arc::new(t));
        }
        if let Some(r) = &a.reduced {
            let mut first = 0;
            for v in &p.vars {
                let n: usize = v.dims.iter().map(IndexSet::len).product();
                if let Some(t) = r
                    .get(first..first + n)
                    .and_then(|d| Tensor::dense(v.dims.clone(), d.to_vec()))
                {
                    s.reduced.insert(v.name.clone(), Arc::new(t));
                }
                first += n;
            }
        } else if a.status.is_success() && !a.x.is_empty() {
            // Where nothing bounds a variable, no bound has a price.
            for v in p.vars.iter().filter(|v| v.lower.is_none() && v.upper.is_none()) {
                let n: usize = v.dims.iter().map(IndexSet::len).product();
                if let Some(t) = Tensor::dense(v.dims.clone(), vec![0.0; n]) {
                    s.reduced.insert(v.name.clone(), Arc::new(t));
                }
            }
        }
        s
    }
}

/// Numbers with names, as an array over them.
fn by_name(numbers: &[(String, f64)]) -> Tensor {
    let labels: Vec<String> = numbers.iter().map(|r| r.0.clone()).collect();
    let values: Vec<f64> = numbers.iter().map(|r| r.1).collect();
    let name = "residuals".to_string();
    let names = IndexSet::Labels(Arc::new(LabelSet { name, labels }));
    Tensor::dense(vec![names], values.clone()).unwrap_or_else(|| Tensor::vector(values))
}
