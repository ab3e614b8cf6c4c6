//! A problem compiled once and solved for any values of its parameters: the one door the session uses.
//!
//! Invariant: `solve` evaluates programs; it derives, classifies and rewrites nothing.

use std::collections::BTreeMap;
use std::sync::Arc;

use super::choose::{self, Choice};
use super::classify::{Classifier, Kind, as_written, comparisons, definite, open_quadratics};
use super::conclude::{Dual, Ended};
use super::method::{Class, Method, MethodCard, Seed};
use super::methods;
use super::model::Model;
use super::oracle::{Bounds, Counts, Form, FormOracle, Oracle};
use super::run::{Options, Run, Watch};
use super::state::Point;
use super::stop::{Budget, Status, Stop};
use super::trace::Trace;
use crate::atoms::rules;
use crate::base::{Diagnostic, Tensor};
use crate::exec::Fault;
use crate::forms::hessian::convex_quadratics;
use crate::forms::rows::Columns;
use crate::ir::{InputId, NodeId, Problem, Sense};
use crate::passes::analysis::curvature::{Assumptions, FactsTable, analyze_with};

/// What one solve is asked for.
pub struct Ask<'a> {
    /// Values of the parameters.
    pub params: &'a [(InputId, Arc<Tensor>)],
    /// The one tolerance.
    pub tolerance: f64,
    /// What the run may use up.
    pub budget: Budget,
    /// Rules that end the run.
    pub stops: Vec<Stop>,
    /// Methods that do not measure their point are measured every so many steps.
    pub measure_every: u64,
    /// Does the run of such a method end at the tolerance?
    pub judge: bool,
    /// Seed of random draws.
    pub seed: u64,
    /// Starts by variable.
    pub start: BTreeMap<String, Vec<f64>>,
    /// The last answer, flat.
    pub previous: Option<Vec<f64>>,
    /// The method asked for.
    pub method: Option<Arc<dyn Method>>,
    /// Stops the run, and shows its last good point to other threads.
    pub watch: Arc<Watch>,
    /// Seconds on the session's clock.
    pub now: &'a dyn Fn() -> f64,
}

/// How a solve ended.
#[derive(Clone, Debug)]
pub struct Answer {
    /// The granted status.
    pub status: Status,
    /// Why it is no better, or what was checked.
    pub reason: String,
    /// Objective in the user's sense.
    pub objective: Option<f64>,
    /// The point, flat.
    pub x: Vec<f64>,
    /// Duals by constraint, by instance.
    pub duals: Vec<Vec<f64>>,
    /// Slacks likewise.
    pub slacks: Vec<Vec<f64>>,
    /// Reduced costs, flat.
    pub reduced: Option<Vec<f64>>,
    /// Recomputed residuals by name.
    pub residuals: Vec<(String, f64)>,
    /// The worst row: constraint and instance.
    pub worst: Option<(usize, usize)>,
    /// Estimate of the relative error of the variables.
    pub error: Option<f64>,
    /// Condition, where the class has one.
    pub condition: Option<f64>,
    /// Steps.
    pub iterations: Option<u64>,
    /// The method's name.
    pub method: String,
    /// Why it was chosen.
    pub method_why: String,
    /// Was the last answer used, and why or why not?
    pub warm: (bool, String),
    /// What proves the status: multipliers by constraint, or a direction by variable.
    pub certificate: Vec<(String, Vec<f64>)>,
    /// Lines of the log.
    pub log: Vec<String>,
    /// Same bits next time?
    pub reproducible: bool,
    /// What was not finite.
    pub fault: Option<Fault>,
    /// Measures by step.
    pub trace: Option<Trace>,
    /// Evaluations of the steps, and those that stops and trace asked for beyond them.
    pub counts: (Counts, Counts),
    /// Rank of a least-squares matrix below its number of columns, and that number.
    pub deficient: Option<(usize, usize)>,
}

impl Default for Answer {
    /// No answer yet.
    fn default() -> Answer {
        Answer {
            status: Status::Stalled,
            reason: String::new(),
            objective: None,
            x: vec![],
            duals: vec![],
            slacks: vec![],
            reduced: None,
            residuals: vec![],
            worst: None,
            error: None,
            condition: None,
            iterations: None,
            method: String::new(),
            method_why: String::new(),
            warm: (false, String::new()),
            certificate: vec![],
            log: vec![],
            reproducible: true,
            fault: None,
            trace: None,
            counts: (Counts::default(), Counts::default()),
            deficient: None,
        }
    }
}

/// A compiled problem.
pub struct Compiled {
    /// The user's problem (its program grew by derivatives).
    pub problem: Problem,
    /// Flat coordinates of the user's variables.
    pub columns: Columns,
    /// Class.
    pub class: Class,
    /// What proves it.
    pub proof: Vec<String>,
    /// Facts of the user's nodes.
    pub facts: FactsTable,
    /// Is convexity partly known from the data that compilation saw?
    pub checked: bool,
    /// Matrices and quadratics that were looked at, and what was found.
    looked_at: (Vec<NodeId>, Vec<NodeId>, Assumptions),
    pub(super) model: Model,
    pub(super) kind: Kind,
    /// Which group of cone rows came from which constraint, and the sign that turns its multiplier into the dual.
    pub(super) origins: Vec<(usize, usize, f64)>,
    pub(super) maximize: bool,
}

impl Compiled {
    /// Classifies and compiles, for the method that is asked for if there is one. `params` are used to check definiteness
    /// of data only.
    pub fn new(
        mut problem: Problem,
        params: &[(InputId, Arc<Tensor>)],
        wanted: Option<&MethodCard>,
    ) -> Result<Compiled, Box<Diagnostic>> {
        let mut columns = Columns::default();
        for v in &problem.vars {
            columns.push(&problem.ir, v.input);
        }
        crate::passes::canonical(&mut problem);
        let maximize = problem.objective.as_ref().is_some_and(|o| o.sense == Sense::Maximize);
        let mut root = match &problem.objective {
            Some(o) if maximize => rules::neg(&mut problem.ir, o.node),
            Some(o) => o.node,
            None => problem.ir.constant(0.0),
        };
        let mut outputs = vec![root];
        for c in &problem.constraints {
            for (a, b, ..) in comparisons(&c.sides) {
                outputs.extend([a, b]);
            }
        }
        let mut facts = analyze_with(&problem.ir, &outputs, &Assumptions::default());
        let matrices = facts.needs_psd.clone();
        let mut given = Assumptions::default();
        if !matrices.is_empty() {
            given = definite(&problem.ir, &matrices, params);
            facts = analyze_with(&problem.ir, &outputs, &given);
        }
        let quadratics = open_quadratics(&mut problem, &mut root, &facts);
        given.convex = convex_quadratics(&mut problem.ir, &quadratics, &columns, params);
        if !given.convex.is_empty() {
            outputs.push(root);
            outputs.extend(&quadratics);
            facts = analyze_with(&problem.ir, &outputs, &given);
            let written = as_written(&mut problem, root, &facts, &given);
            facts = analyze_with(&problem.ir, &outputs, &written);
        }
        let checked = !(given.psd.is_empty() && given.nsd.is_empty() && given.convex.is_empty());
        let model = Model::new(&problem, columns.clone());
        let found = Classifier {
            problem: &mut problem,
            root,
            facts: &facts,
            columns: &columns,
            checked,
            whole: &given.convex,
            wanted,
        }
        .run()?;
        Ok(Compiled {
            class: found.class,
            proof: found.proof,
            kind: found.kind,
            origins: found.origins,
            problem,
            columns,
            facts,
            checked,
            looked_at: (matrices, quadratics, given),
            model,
            maximize,
        })
    }

    /// Do the data still have the definiteness that the class was proved with? If not, the problem is another one.
    pub fn still_holds(&self, params: &[(InputId, Arc<Tensor>)]) -> bool {
        let (matrices, quadratics, found) = &self.looked_at;
        let same = |now: &Assumptions| now.psd == found.psd && now.nsd == found.nsd;
        if !(matrices.is_empty() || same(&definite(&self.problem.ir, matrices, params))) {
            return false;
        }
        quadratics.is_empty()
            || convex_quadratics(&mut self.problem.ir.clone(), quadratics, &self.columns, params) == found.convex
    }

    /// Values of the declared start, moved by the starts given.
    fn start(&self, ask: &Ask<'_>) -> (Vec<f64>, bool) {
        let mut x = self.model.start();
        let mut used = false;
        if let Some(p) = ask
            .previous
            .as_ref()
            .filter(|p| p.len() == x.len() && ask.start.is_empty())
        {
            x.copy_from_slice(p);
            used = true;
        }
        for (v, (_, first, len)) in self.problem.vars.iter().zip(&self.columns.blocks) {
            if let Some(s) = ask.start.get(&v.name) {
                x[*first..first + len].copy_from_slice(s);
            }
        }
        let (l, u) = self.model.bounds();
        for ((x, l), u) in x.iter_mut().zip(&l).zip(&u) {
            *x = x.max(*l).min(*u);
        }
        (x, used)
    }

    /// Number of terms that mini-batches are drawn from.
    pub fn terms(&self) -> Option<usize> {
        match &self.kind {
            Kind::Smooth(s) => Oracle::terms(s.as_ref()),
            _ => None,
        }
    }

    /// Bytes that the programs' arrays take.
    pub fn bytes(&self) -> usize {
        match &self.kind {
            Kind::LeastSquares(l) => l.rows.bytes(),
            Kind::Conic(c) => c.rows.bytes(),
            Kind::Smooth(s) => s.bytes(),
        }
    }

    /// Solves for the given parameters.
    pub fn solve(&mut self, ask: &Ask<'_>) -> Result<Answer, Fault> {
        self.model.bind(ask.params)?;
        let (l, u) = self.model.bounds();
        if let Some(k) = l.iter().zip(&u).position(|(l, u)| l > u || l.is_nan() || u.is_nan()) {
            return Ok(self.empty_bounds(k, &l, &u));
        }
        let mut answer = self.answer(ask, l, u)?;
        // Nothing is said of a warm start where there was nothing to start from.
        if ask.previous.is_none() && !answer.warm.0 {
            answer.warm.1.clear();
        }
        // The user's own numbers, whatever the method said.
        if !answer.x.is_empty() || self.columns.is_empty() {
            match self.model.eval(&answer.x) {
                Ok(()) => {
                    let has_point = !matches!(answer.status, Status::Infeasible);
                    answer.objective = match answer.status {
                        Status::Infeasible => None,
                        Status::Unbounded if self.maximize => Some(f64::INFINITY),
                        Status::Unbounded => Some(f64::NEG_INFINITY),
                        _ => Some(self.model.objective()),
                    };
                    let rows = self.model.rows();
                    if has_point {
                        answer.slacks = rows.iter().map(|r| r.slack.clone()).collect();
                    }
                }
                Err(f) => {
                    answer.status = answer.status.downgrade(Status::EvaluationError);
                    answer.fault = Some(f);
                }
            }
        }
        Ok(answer)
    }

    fn empty_bounds(&self, k: usize, l: &[f64], u: &[f64]) -> Answer {
        let mut a = Answer {
            status: Status::Infeasible,
            method: "bounds".into(),
            method_why: "a lower bound lies above its upper bound".into(),
            ..Answer::default()
        };
        let name = self.coordinate(k);
        a.reason = format!("{name} is bounded below by {} and above by {}", l[k], u[k]);
        a
    }

    /// A coordinate in the user's names.
    pub fn coordinate(&self, k: usize) -> String {
        for (v, (_, first, len)) in self.problem.vars.iter().zip(&self.columns.blocks) {
            if k >= *first && k < first + len {
                if v.dims.is_empty() {
                    return v.name.clone();
                }
                let mut rest = k - first;
                let mut key = vec![];
                for s in v.dims.iter().rev() {
                    key.push(s.element(rest % s.len().max(1)));
                    rest /= s.len().max(1);
                }
                key.reverse();
                return format!("{}[{}]", v.name, key.join(", "));
            }
        }
        String::new()
    }

    /// Binds the form, runs the method on it, and draws the conclusion.
    fn answer(&mut self, ask: &Ask<'_>, l: Vec<f64>, u: Vec<f64>) -> Result<Answer, Fault> {
        let (start, warm) = self.start(ask);
        let row = choose::choose(self.class);
        let class = self.class;
        match &mut self.kind {
            Kind::LeastSquares(ls) => {
                ls.rows.bind(ask.params);
                let data = ls.data()?;
                let (method, mut a) = begin(ask, row, "a factorization starts from nothing");
                if data.negative_weight {
                    // Not a sum of squares after all; nothing is proved about it.
                    a.reason = "a weight is negative, so this is no sum of squares".into();
                    return Ok(a);
                }
                let form = Form::LeastSquares { a: data.a, b: data.b };
                let mut oracle = FormOracle { class, form };
                if let Some(done) = run(&mut a, method, &mut oracle, start, ask) {
                    a.conclude_least_squares(done, &oracle.form, data.rounded, ask.tolerance);
                    if class == Class::LinearSystem {
                        self.conclude_system(&mut a, &oracle.form, ask.tolerance)?;
                    }
                }
                Ok(a)
            }
            Kind::Conic(program) => {
                program.rows.bind(ask.params);
                let bound = program.data(&l, &u)?;
                let (method, mut a) = begin(ask, row, "an interior-point method starts from its own point");
                let from = vec![0.0; bound.form.q.len()];
                let constant = bound.constant;
                let mut oracle = FormOracle {
                    class,
                    form: Form::Conic {
                        form: bound.form,
                        constant,
                    },
                };
                let done = run(&mut a, method, &mut oracle, from, ask);
                if let (Some(done), Form::Conic { form, .. }) = (done, &oracle.form) {
                    let dual = Dual {
                        form,
                        constant,
                        spans: &bound.spans,
                        lower: &l,
                        upper: &u,
                    };
                    self.conclude_conic(&mut a, done, &dual, ask.tolerance)?;
                }
                Ok(a)
            }
            Kind::Smooth(s) => {
                let bounds = Arc::new(Bounds { lower: l, upper: u });
                s.bind(ask.params);
                s.class = if bounds.any() {
                    Class::SmoothBounds
                } else {
                    Class::Smooth
                };
                s.bounds = bounds.clone();
                let entries = match (&ask.method, &s.unstructured) {
                    (None, None) => s.constant_hessian(&start).ok().map(|h| h.nnz()),
                    _ => None,
                };
                let row = choose::smooth(s.class, start.len(), entries);
                let (method, mut a) = begin(ask, Some(row), "");
                a.warm = match (warm, ask.previous.is_some()) {
                    (true, _) => (true, "started from the last answer".into()),
                    (false, true) => (false, "a start was given".into()),
                    (false, false) => (false, String::new()),
                };
                match run(&mut a, method, s.as_mut(), start.clone(), ask) {
                    Some(done) => a.conclude_smooth(done, s, &bounds, ask.tolerance),
                    None => {
                        a.fault = s.trace_fault(&start);
                        a.x = start;
                    }
                }
                Ok(a)
            }
        }
    }
}

/// The method for this solve, and an answer that says which and why.
fn begin(ask: &Ask<'_>, chosen: Option<&Choice>, warm: &str) -> (Arc<dyn Method>, Answer) {
    let mut a = Answer {
        warm: (false, warm.into()),
        ..Answer::default()
    };
    let method = match (&ask.method, chosen) {
        (None, Some(row)) => {
            a.method_why = row.why.into();
            methods::default(row.card)
        }
        (Some(m), _) => {
            a.method_why = "asked for".into();
            m.clone()
        }
        (None, None) => methods::default(&methods::newton_tr::CARD),
    };
    a.method = method.card().name.into();
    (method, a)
}

/// Runs a method to its end; without one where it refused to start, for the reason left in the answer.
fn run(
    a: &mut Answer,
    method: Arc<dyn Method>,
    oracle: &mut dyn Oracle,
    start: Vec<f64>,
    ask: &Ask<'_>,
) -> Option<Ended> {
    let options = Options {
        tolerance: ask.tolerance,
        budget: ask.budget,
        stops: ask.stops.clone(),
        measure_every: ask.measure_every,
        judge: ask.judge,
        seed: Seed(ask.seed),
        ..Options::default()
    };
    match Run::new(method, oracle, &Point::plain(start), options) {
        Ok(mut run) => {
            run.set_watch(ask.watch.clone());
            while run.advance(oracle, u64::MAX, ask.now).is_none() {}
            let state = run.state().clone();
            let finished = run.finished();
            a.trace = Some(finished.trace.clone());
            a.counts = (finished.counts, finished.extra);
            Some(Ended { state, finished })
        }
        Err(refusal) => {
            a.status = Status::EvaluationError;
            a.reason = refusal.to_string();
            None
        }
    }
}
