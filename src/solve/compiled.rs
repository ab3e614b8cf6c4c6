//! A problem compiled once and solved for any values of its parameters: the one door the session uses.
//!
//! Invariant: `solve` evaluates programs; it derives, classifies and rewrites nothing.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use ravine_linalg::Csr;
use ravine_linalg::clarabel_adapter::{ConicSettings, ConicSolution, ConicStatus, solve_conic};

use super::Bounds;
use super::choose::{DENSE_VARIABLES, HESSIAN_ENTRIES_PER_VARIABLE, choose};
use super::classify::{Classifier, Kind, comparisons, definite};
use super::method::{Class, Method, Seed};
use super::methods;
use super::model::Model;
use super::polish;
use super::run::{Options, Run};
use super::state::Point;
use super::stop::{Budget, Status};
use super::verify;
use crate::atoms::rules;
use crate::base::{Diagnostic, Tensor};
use crate::exec::Fault;
use crate::forms::program::BoundConic;
use crate::forms::rows::Columns;
use crate::ir::{InputId, NodeId, Problem, Sense};
use crate::passes::analysis::curvature::{Assumptions, FactsTable, analyze_with};

/// What one solve is asked for.
pub struct Ask<'a> {
    /// Values of the parameters.
    pub params: &'a [(InputId, Arc<Tensor>)],
    /// The one tolerance.
    pub tolerance: f64,
    /// Seconds allowed.
    pub seconds: Option<f64>,
    /// Seed of random draws.
    pub seed: u64,
    /// Starts by variable.
    pub start: BTreeMap<String, Vec<f64>>,
    /// The last answer, flat.
    pub previous: Option<Vec<f64>>,
    /// The method asked for.
    pub method: Option<Arc<dyn Method>>,
    /// Set by an interrupt.
    pub interrupt: &'a AtomicBool,
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
    /// Rank of a least-squares matrix below its number of columns, and that number.
    pub deficient: Option<(usize, usize)>,
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
    /// Matrices whose definiteness was looked at, and what was found.
    looked_at: (Vec<NodeId>, Assumptions),
    model: Model,
    kind: Kind,
    /// Which group of cone rows came from which constraint, and the sign that turns its multiplier into the dual.
    origins: Vec<(usize, usize, f64)>,
    maximize: bool,
}

impl Compiled {
    /// Classifies and compiles. `params` are used to check definiteness of data only.
    pub fn new(
        mut problem: Problem,
        params: &[(InputId, Arc<Tensor>)],
        wanted: Option<&str>,
    ) -> Result<Compiled, Box<Diagnostic>> {
        let mut columns = Columns::default();
        for v in &problem.vars {
            columns.push(&problem.ir, v.input);
        }
        crate::passes::canonical(&mut problem);
        let maximize = problem.objective.as_ref().is_some_and(|o| o.sense == Sense::Maximize);
        let root = match &problem.objective {
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
        let mut checked = false;
        let mut looked_at = (facts.needs_psd.clone(), Assumptions::default());
        if !facts.needs_psd.is_empty() {
            let given = definite(&problem.ir, &facts.needs_psd, params);
            looked_at.1 = given.clone();
            checked = !given.psd.is_empty() || !given.nsd.is_empty();
            facts = analyze_with(&problem.ir, &outputs, &given);
        }
        let model = Model::new(&problem, columns.clone());
        let found = Classifier {
            problem: &mut problem,
            root,
            facts: &facts,
            columns: &columns,
            checked,
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
            looked_at,
            model,
            maximize,
        })
    }

    /// Do the data still have the definiteness that the class was proved with? If not, the problem is another one.
    pub fn still_holds(&self, params: &[(InputId, Arc<Tensor>)]) -> bool {
        let (matrices, found) = &self.looked_at;
        if matrices.is_empty() {
            return true;
        }
        let now = definite(&self.problem.ir, matrices, params);
        now.psd == found.psd && now.nsd == found.nsd
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
        let mut answer = match &mut self.kind {
            Kind::LeastSquares(_) => self.direct(ask)?,
            Kind::Conic(_) => self.interior(ask, &l, &u)?,
            Kind::Smooth(_) => self.run(ask, &l, &u)?,
        };
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

    fn blank(&self, method: &str, why: &str) -> Answer {
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
            method: method.into(),
            method_why: why.into(),
            warm: (false, String::new()),
            certificate: vec![],
            log: vec![],
            reproducible: true,
            fault: None,
            deficient: None,
        }
    }

    fn empty_bounds(&self, k: usize, l: &[f64], u: &[f64]) -> Answer {
        let mut a = self.blank("bounds", "a lower bound lies above its upper bound");
        a.status = Status::Infeasible;
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

    fn direct(&mut self, ask: &Ask<'_>) -> Result<Answer, Fault> {
        let row = choose(self.class);
        let mut a = self.blank(row.map_or("direct", |c| c.method), row.map_or("", |c| c.why));
        a.warm = (false, "a factorization starts from nothing".into());
        let Kind::LeastSquares(ls) = &mut self.kind else {
            return Ok(a);
        };
        ls.rows.bind(ask.params);
        let data = ls.data()?;
        if data.negative_weight {
            // Not a sum of squares after all; nothing is proved about it.
            a.status = Status::Stalled;
            a.reason = "a weight is negative, so this is no sum of squares".into();
            return Ok(a);
        }
        let (m, n) = (data.a.rows, data.a.cols);
        let dense = data.a.nnz() as f64 > 0.2 * (m as f64) * (n as f64) || n <= 64;
        let solved = super::direct::least_squares(&data.a, &data.b, dense);
        match solved {
            Ok(s) => {
                a.log
                    .push(format!("{m} rows, {n} columns, {}; rank {}", s.method, s.rank));
                // Stationarity recomputed: A'(Ax - b), relative to the sizes that enter it.
                let mut r = vec![0.0; m];
                data.a.mul_vec(&s.x, &mut r);
                r.iter_mut().zip(&data.b).for_each(|(r, b)| *r -= b);
                let mut g = vec![0.0; n];
                data.a.mul_vec_transposed(&r, &mut g);
                let absolute = Csr {
                    values: data.a.values.iter().map(|v| v.abs()).collect(),
                    ..data.a.clone()
                };
                let mut size = vec![0.0; n];
                let x_abs: Vec<f64> = s.x.iter().map(|v| v.abs()).collect();
                let mut ax = vec![0.0; m];
                absolute.mul_vec(&x_abs, &mut ax);
                ax.iter_mut().zip(&data.b).for_each(|(v, b)| *v += b.abs());
                absolute.mul_vec_transposed(&ax, &mut size);
                let worst = g
                    .iter()
                    .zip(&size)
                    .fold(0.0f64, |w, (g, s)| w.max(g.abs() / (1e-300 + s)));
                a.residuals.push(("stationarity".into(), worst));
                // Scaling rows by unequal weights rounded the entries: a relative change of half an ulp each.
                let rounding = if data.rounded {
                    f64::EPSILON * s.condition.value
                } else {
                    0.0
                };
                a.error = Some(s.error.value + rounding);
                a.condition = Some(s.condition.value);
                a.status = if worst <= ask.tolerance.max(1e-12) {
                    Status::Optimal
                } else {
                    Status::PrecisionLimited
                };
                if let Some(note) = s.note.clone() {
                    a.log.push(note);
                }
                if s.rank < n {
                    a.deficient = Some((s.rank, n));
                    a.reason = format!("rank {} of {n}: among many minimizers the shortest", s.rank);
                }
                a.x = s.x;
            }
            Err(f) => {
                a.status = Status::EvaluationError;
                a.reason = f.to_string();
            }
        }
        Ok(a)
    }

    fn interior(&mut self, ask: &Ask<'_>, l: &[f64], u: &[f64]) -> Result<Answer, Fault> {
        let row = choose(self.class);
        let mut a = self.blank(row.map_or("interior point", |c| c.method), row.map_or("", |c| c.why));
        a.warm = (false, "an interior-point method starts from its own point".into());
        let n = self.columns.len();
        let Kind::Conic(program) = &mut self.kind else {
            return Ok(a);
        };
        program.rows.bind(ask.params);
        let bound = program.data(l, u)?;
        let started = (ask.now)();
        let mut log = vec![];
        let interrupted = || ask.interrupt.load(Ordering::Relaxed);
        let mut best: Option<(ConicSolution, verify::DualCheck)> = None;
        // A tolerance below the one asked for leaves room for the check, which has its own scaling; what the solver
        // cannot reach there is tried once more at the tolerance itself.
        for tol in [ask.tolerance * 1e-1, ask.tolerance * 1e-2] {
            let tol = tol.clamp(1e-12, 1e-4);
            let left = ask.seconds.map(|s| s - ((ask.now)() - started));
            let settings = ConicSettings {
                tol,
                max_iter: 200,
                time_limit: left.unwrap_or(f64::INFINITY).max(0.0),
            };
            let mut record = |i: &ravine_linalg::clarabel_adapter::ConicIteration| {
                log.push(format!(
                    "{:3}  primal {:13.6e}  dual {:13.6e}  gap {:8.1e}  feas {:8.1e} {:8.1e}",
                    i.iteration, i.primal, i.dual, i.gap, i.r_prim, i.r_dual
                ));
            };
            let mut stop = interrupted;
            let s = match solve_conic(&bound.form, &settings, &mut stop, &mut record) {
                Ok(s) => s,
                Err(f) => {
                    a.status = Status::EvaluationError;
                    a.reason = f.to_string();
                    return Ok(a);
                }
            };
            let d = verify::dual(&bound.form, bound.constant, &s.x, &s.z);
            let good = s.status == ConicStatus::Solved
                && d.stationarity <= ask.tolerance
                && gap(&bound.form, bound.constant, &s.x, &d) <= ask.tolerance;
            let over = matches!(
                s.status,
                ConicStatus::PrimalInfeasible
                    | ConicStatus::DualInfeasible
                    | ConicStatus::Interrupted
                    | ConicStatus::MaxTime
            );
            let better = best
                .as_ref()
                .is_none_or(|(_, b)| d.stationarity.is_finite() && d.stationarity < b.stationarity);
            if better || over || good {
                best = Some((s, d));
            }
            if good || over {
                break;
            }
        }
        let Some((mut s, mut d)) = best else { return Ok(a) };
        let mut stop = interrupted;
        log.extend(second_look(&bound, ask.tolerance, &mut s, &mut d, &mut stop));
        a.log = log;
        a.iterations = Some(u64::from(s.iterations));
        match s.status {
            ConicStatus::PrimalInfeasible if verify::proves_infeasible(&bound.form, &s.z) => {
                a.status = Status::Infeasible;
                a.reason = "multipliers that prove it were checked".into();
                a.certificate = self.multipliers(&bound, &s.z);
                return Ok(a);
            }
            ConicStatus::DualInfeasible if verify::proves_unbounded(&bound.form, &s.x) => {
                // A direction alone does not tell unbounded from infeasible: is there a feasible point?
                let mut feasibility = bound.form.clone();
                feasibility.q.iter_mut().for_each(|v| *v = 0.0);
                feasibility.p = Csr::zeros(feasibility.p.rows, feasibility.p.cols);
                let settings = ConicSettings {
                    tol: 1e-9,
                    max_iter: 200,
                    time_limit: ask.seconds.unwrap_or(f64::INFINITY),
                };
                let mut stop = interrupted;
                let found = solve_conic(&feasibility, &settings, &mut stop, &mut |_| {});
                a.certificate = self.direction(&s.x);
                match found {
                    Ok(p) if p.status == ConicStatus::Solved => {
                        a.status = Status::Unbounded;
                        a.reason = "a feasible point and a direction of descent without end were checked".into();
                        a.x = p.x[..n].to_vec();
                        a.objective = None;
                    }
                    Ok(p) if verify::proves_infeasible(&bound.form, &p.z) => {
                        a.status = Status::Infeasible;
                        a.reason = "multipliers that prove it were checked".into();
                        a.certificate = self.multipliers(&bound, &p.z);
                    }
                    _ => {
                        a.status = Status::Stalled;
                        a.reason = "infeasible or unbounded; which of them was not settled".into();
                    }
                }
                return Ok(a);
            }
            ConicStatus::Interrupted => {
                a.status = Status::Interrupted;
                a.reproducible = false;
            }
            ConicStatus::MaxTime => {
                a.status = Status::TimeLimit;
                a.reproducible = false;
            }
            ConicStatus::MaxIterations => a.status = Status::StepLimit,
            ConicStatus::PrimalInfeasible | ConicStatus::DualInfeasible => {
                a.status = Status::Stalled;
                a.reason = "the solver's certificate did not pass the check".into();
            }
            _ => a.status = Status::Optimal,
        }
        // The point the user gets satisfies the bounds exactly; everything is measured there.
        let mut x = s.x.clone();
        for ((x, l), u) in x.iter_mut().zip(l).zip(u) {
            *x = x.max(*l).min(*u);
        }
        self.model.eval(&x[..n])?;
        let rows = self.model.rows();
        let mut r = verify::violation(&rows, &x[..n], l, u);
        let f = if self.maximize {
            -self.model.objective()
        } else {
            self.model.objective()
        };
        r.stationarity = Some(d.stationarity.max(d.outside));
        r.gap = Some((f - d.objective).abs() / (1.0 + f.abs()));
        let (status, why) = verify::grant(a.status, &r, ask.tolerance);
        a.status = status;
        if !why.is_empty() {
            a.reason = why;
        }
        a.residuals.push(("violation".into(), r.violation));
        a.residuals
            .push(("stationarity".into(), r.stationarity.unwrap_or(f64::NAN)));
        a.residuals.push(("gap".into(), r.gap.unwrap_or(f64::NAN)));
        a.worst = r.worst;
        // Multipliers to duals, in one place.
        let sense = if self.maximize { -1.0 } else { 1.0 };
        a.duals = self
            .problem
            .constraints
            .iter()
            .enumerate()
            .map(|(c, _)| vec![0.0; rows[c].slack.len()])
            .collect();
        for (group, constraint, sign) in &self.origins {
            let (first, len) = bound.spans[*group];
            for (d, z) in a.duals[*constraint].iter_mut().zip(&s.z[first..first + len]) {
                *d += sense * sign * z;
            }
        }
        let mut reduced = vec![0.0; n];
        let mut at = bound.spans.last().map_or(0, |s| s.0 + s.1);
        for (k, r) in reduced.iter_mut().enumerate() {
            if l[k] == u[k] {
                *r += sense * s.z[at];
                at += 1;
                continue;
            }
            if l[k].is_finite() {
                *r += sense * s.z[at];
                at += 1;
            }
            if u[k].is_finite() {
                *r -= sense * s.z[at];
                at += 1;
            }
        }
        a.reduced = Some(reduced);
        a.x = x[..n].to_vec();
        Ok(a)
    }

    /// Multipliers of the user's constraints that are not all zero, by constraint (bounds are left out).
    fn multipliers(&self, bound: &BoundConic, z: &[f64]) -> Vec<(String, Vec<f64>)> {
        let mut out: Vec<(String, Vec<f64>)> = vec![];
        for (group, constraint, sign) in &self.origins {
            let (first, len) = bound.spans[*group];
            let part: Vec<f64> = z[first..first + len].iter().map(|v| -sign * v).collect();
            let name = &self.problem.constraints[*constraint].name;
            match out.iter_mut().find(|o| o.0 == *name) {
                Some(o) => o.1.iter_mut().zip(&part).for_each(|(a, b)| *a += b),
                None => out.push((name.clone(), part)),
            }
        }
        out.retain(|o| o.1.iter().any(|v| *v != 0.0));
        out
    }

    /// A direction by variable.
    fn direction(&self, x: &[f64]) -> Vec<(String, Vec<f64>)> {
        let blocks = self.problem.vars.iter().zip(&self.columns.blocks);
        blocks
            .map(|(v, (_, first, len))| (v.name.clone(), x[*first..first + len].to_vec()))
            .collect()
    }

    fn run(&mut self, ask: &Ask<'_>, l: &[f64], u: &[f64]) -> Result<Answer, Fault> {
        let (start, warm) = self.start(ask);
        let row = choose(self.class);
        let mut a = self.blank("", row.map_or("", |c| c.why));
        a.warm = match (warm, ask.previous.is_some()) {
            (true, _) => (true, "started from the last answer".into()),
            (false, true) => (false, "a start was given".into()),
            (false, false) => (false, String::new()),
        };
        let n = self.columns.len();
        let bounded = l.iter().any(|v| v.is_finite()) || u.iter().any(|v| v.is_finite());
        let Kind::Smooth(s) = &mut self.kind else { return Ok(a) };
        s.bind(ask.params);
        s.bounds = Arc::new(Bounds {
            lower: l.to_vec(),
            upper: u.to_vec(),
        });
        s.class = if bounded { Class::SmoothBounds } else { Class::Smooth };
        let method: Arc<dyn Method> = match &ask.method {
            Some(m) => {
                a.method_why = "asked for".into();
                m.clone()
            }
            None => {
                let sparse = s.unstructured.is_none()
                    && s.constant_hessian(&start)
                        .is_ok_and(|h| h.nnz() <= HESSIAN_ENTRIES_PER_VARIABLE * n.max(1));
                if sparse || n <= DENSE_VARIABLES {
                    methods::default(&methods::newton_tr::CARD)
                } else {
                    a.method_why = "smooth and large, its second derivatives have no sparse pattern".into();
                    methods::default(&methods::lbfgs::CARD)
                }
            }
        };
        a.method = method.card().name.into();
        let options = Options {
            tolerance: ask.tolerance,
            budget: Budget {
                seconds: ask.seconds,
                ..Budget::default()
            },
            seed: Seed(ask.seed),
            ..Options::default()
        };
        let run = match Run::new(method, s.as_mut(), &Point::plain(start.clone()), options) {
            Ok(r) => r,
            Err(refusal) => {
                a.status = Status::EvaluationError;
                a.reason = refusal.to_string();
                a.fault = s.trace_fault(&start);
                a.x = start;
                return Ok(a);
            }
        };
        let mut run = run;
        // One flag stops everything: the session's interrupt is looked at before each step.
        let watch = run.watch();
        while run.ended().is_none() {
            if ask.interrupt.load(Ordering::Relaxed) {
                watch.stop();
            }
            run.advance(s.as_mut(), 1, ask.now);
        }
        let done = run.finished();
        a.status = done.claim;
        a.reason = done.reason.why.clone();
        a.iterations = Some(done.iterations);
        a.reproducible = done.reproducible;
        a.log = done.trace.lines();
        a.x = done.point.values.clone();
        if matches!(a.status, Status::EvaluationError) {
            a.fault = s.last_fault.clone();
        }
        let stationarity = done.measures.stationarity / done.measures.gradient_scale;
        // Recomputed from the gradient at the point that is reported.
        let mut g = vec![0.0; n];
        let recomputed = super::Oracle::gradient(s.as_mut(), &a.x, &mut g).is_ok().then(|| {
            let scale = 1.0 + g.iter().fold(0.0f64, |m, v| m.max(v.abs()));
            let mut worst = 0.0f64;
            for k in 0..n {
                let moved = (a.x[k] - g[k]).max(l[k]).min(u[k]);
                worst = worst.max((moved - a.x[k]).abs());
            }
            worst / scale
        });
        let measured = recomputed.unwrap_or(stationarity);
        a.residuals.push(("stationarity".into(), measured));
        let claims = matches!(a.status, Status::Optimal | Status::LocallyOptimal | Status::Stationary);
        if claims && (measured.is_nan() || measured > ask.tolerance * 1.000_001) {
            a.status = a.status.downgrade(Status::PrecisionLimited);
            a.reason = format!("the gradient at the point is {measured:.1e}, relative");
        }
        Ok(a)
    }
}

/// Solves the equations of the active set to full precision, and looks for a certificate where the solver's own does not
/// hold or it returned neither an answer nor a certificate; says what was done.
fn second_look(
    bound: &BoundConic,
    tolerance: f64,
    s: &mut ConicSolution,
    d: &mut verify::DualCheck,
    stop: &mut dyn FnMut() -> bool,
) -> Option<String> {
    let form = &bound.form;
    let stuck = matches!(
        s.status,
        ConicStatus::AlmostSolved | ConicStatus::NumericalError | ConicStatus::MaxIterations
    );
    match s.status {
        ConicStatus::Interrupted | ConicStatus::MaxTime => return None,
        ConicStatus::PrimalInfeasible if verify::proves_infeasible(form, &s.z) => return None,
        ConicStatus::DualInfeasible if verify::proves_unbounded(form, &s.x) => return None,
        ConicStatus::Solved | ConicStatus::AlmostSolved | ConicStatus::NumericalError | ConicStatus::MaxIterations => {
            if let Some((x, z)) = polish::polish(form, bound.constant, &s.x, &s.z, &s.s) {
                (s.x, s.z) = (x, z);
                *d = verify::dual(form, bound.constant, &s.x, &s.z);
                let good = d.stationarity.max(gap(form, bound.constant, &s.x, d)) <= tolerance;
                if good {
                    s.status = ConicStatus::Solved;
                }
                return Some("the equations of the active set were solved again, to full precision".into());
            }
            if !stuck {
                return None;
            }
        }
        _ => {}
    }
    if let Some(z) = polish::multipliers(form, stop) {
        s.z = z;
        s.status = ConicStatus::PrimalInfeasible;
        return Some("multipliers that prove it infeasible were found by a problem of their own".into());
    }
    let x = polish::direction(form, stop)?;
    s.x = x;
    s.status = ConicStatus::DualInfeasible;
    Some("a direction of descent without end was found by a problem of its own".into())
}

/// The relative gap of a conic pair.
fn gap(form: &ravine_linalg::clarabel_adapter::ConicForm, constant: f64, x: &[f64], d: &verify::DualCheck) -> f64 {
    let mut px = vec![0.0; x.len()];
    form.p.mul_vec(x, &mut px);
    let f = 0.5 * ravine_linalg::reduce::dot(x, &px) + ravine_linalg::reduce::dot(&form.q, x) + constant;
    (f - d.objective).abs() / (1.0 + f.abs())
}
