//! A problem compiled once and solved for any values of its parameters: the one door the session uses.
//!
//! Invariant: `solve` evaluates programs; it derives, classifies and rewrites nothing.

use std::collections::BTreeMap;
use std::sync::Arc;

use ravine_linalg::Matrix;
use ravine_linalg::clarabel_adapter::{Cone, ConicForm};
use ravine_linalg::operator::LinearMap;

use super::choose::{self, Choice};
use super::classify::{Classifier, Kind, as_written, definite, open_quadratics};
use super::conclude::{Dual, Ended};
use super::corners::Corners;
use super::draws;
use super::method::{Class, Granularity, Method, MethodCard, Seed};
use super::methods::{self, clarabel, conditions};
use super::model::Model;
use super::oracle::{Bounds, Counts, Form, FormOracle, Oracle};
use super::products::ByProducts;
use super::run::{Options, Run, Saved, Watch};
use super::smooth::Smooth;
use super::state::{Point, Slot};
use super::stop::Status;
use super::trace::Trace;
use super::verify;
use crate::atoms::rules;
use crate::base::{Diagnostic, Tensor};
use crate::exec::Fault;
use crate::forms::composite::NotBound;
use crate::forms::hessian::convex_quadratics;
use crate::forms::matrices::Fold;
use crate::forms::rows::Columns;
use crate::ir::{InputId, NodeId, Problem, Sense};
use crate::passes::analysis::curvature::{Assumptions, FactsTable, analyze_with, extend};

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
    lent: Lent,
    /// What is known of the answer before there is one: the method, why, the warm start.
    head: Answer,
    /// What was not finite, where that ended the run.
    fault: Option<Fault>,
}

/// What a run asks: the functions of the compiled problem, or a form of its own.
enum Lent {
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

/// A run that began, or an answer where nothing is to be run.
pub enum Begun {
    /// It may be advanced.
    Going(Box<Going>),
    /// It is over.
    Over(Box<Answer>),
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
    /// Is the error an estimate, and the condition a lower bound?
    pub estimated: bool,
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
            estimated: false,
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
        let written = problem.objective.as_ref().map(|o| o.node);
        crate::passes::canonical(&mut problem);
        let maximize = problem.objective.as_ref().is_some_and(|o| o.sense == Sense::Maximize);
        let mut root = match &problem.objective {
            Some(o) if maximize => rules::neg(&mut problem.ir, o.node),
            Some(o) => o.node,
            None => problem.ir.constant(0.0),
        };
        let written = written.map(|n| if maximize { rules::neg(&mut problem.ir, n) } else { n });
        let mut outputs = vec![root];
        for c in &problem.constraints {
            outputs.extend(c.sides.nodes(c.domain).into_iter().map(|n| n.1));
        }
        let asserted = asserted(&problem);
        let mut facts = analyze_with(&problem.ir, &outputs, &asserted);
        let matrices = facts.needs_psd.clone();
        let mut given = asserted.clone();
        if !matrices.is_empty() {
            let found = definite(&problem.ir, &matrices, params);
            (given.psd, given.nsd) = (found.psd, found.nsd);
            facts = analyze_with(&problem.ir, &outputs, &given);
        }
        let quadratics = open_quadratics(&mut problem, &mut root, &facts);
        given.convex = convex_quadratics(&mut problem.ir, &quadratics, &columns, params);
        if !given.convex.is_empty() {
            outputs.push(root);
            outputs.extend(&quadratics);
            facts = analyze_with(&problem.ir, &outputs, &given);
            let mut written = as_written(&mut problem, root, &facts, &given);
            written.asserted_convex.extend(&given.asserted_convex);
            written.asserted_concave.extend(&given.asserted_concave);
            facts = analyze_with(&problem.ir, &outputs, &written);
        } else {
            // The objective may have been written anew.
            extend(&problem.ir, &mut facts, root);
        }
        let checked = !(given.psd.is_empty() && given.nsd.is_empty() && given.convex.is_empty());
        let mut model = Model::new(&problem, columns.clone());
        let data = model.bind(params).is_ok().then(|| {
            let (l, u) = model.bounds();
            (params, l, u)
        });
        let mut found = Classifier {
            problem: &mut problem,
            root,
            facts: &facts,
            columns: &columns,
            checked,
            whole: &given.convex,
            wanted,
            data,
        }
        .run()?;
        if let (Kind::Smooth(s), Some(n)) = (&mut found.kind, written) {
            s.also_written(n);
        }
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

    /// Values of the declared start, moved by the starts given; and whether those of the last answer are used.
    fn start(&self, given: &BTreeMap<String, Vec<f64>>, previous: Option<&[f64]>) -> (Vec<f64>, bool) {
        let mut x = self.model.start();
        let mut used = false;
        if let Some(p) = previous.filter(|p| p.len() == x.len() && given.is_empty()) {
            x.copy_from_slice(p);
            used = true;
        }
        for (v, (_, first, len)) in self.problem.vars.iter().zip(&self.columns.blocks) {
            if let Some(s) = given.get(&v.name) {
                x[*first..first + len].copy_from_slice(s);
            }
        }
        let (l, u) = self.model.bounds();
        for ((x, l), u) in x.iter_mut().zip(&l).zip(&u) {
            *x = x.max(*l).min(*u);
        }
        (x, used)
    }

    /// The class in words.
    pub fn class_word(&self) -> &'static str {
        match (self.class, self.problem.constraints.is_empty()) {
            (Class::Smooth, false) => "smooth, with constraints",
            (Class::SmoothBounds, false) => "smooth, with bounds and constraints",
            (class, _) => class.word(),
        }
    }

    /// Is the objective maximized? Methods minimize its negative.
    pub fn maximizes(&self) -> bool {
        self.maximize
    }

    /// A start drawn for the `k`-th of many: the start itself first, then as [`draws::start`] around it with deviation
    /// `spread · max(scale, |start|)`.
    pub fn drawn_start(
        &mut self,
        params: &[(InputId, Arc<Tensor>)],
        given: &BTreeMap<String, Vec<f64>>,
        previous: Option<&[f64]>,
        (seed, k, spread): (u64, u64, f64),
    ) -> Result<Vec<f64>, Fault> {
        self.model.bind(params)?;
        let (x, _) = self.start(given, previous);
        if k == 0 {
            return Ok(x);
        }
        let (l, u) = self.model.bounds();
        let scale = self.model.units();
        let unit = |(i, v): (usize, &f64)| spread * v.abs().max(scale.get(i).copied().unwrap_or(1.0));
        let unit: Vec<f64> = x.iter().enumerate().map(unit).collect();
        Ok(draws::start(Seed(seed), k, (&l, &u), &x, &unit))
    }

    /// Are the points of a run those of the user's own variables?
    pub fn moves_variables(&self) -> bool {
        matches!(self.kind, Kind::Smooth(_))
    }

    /// Is it a cone program, in its form?
    pub fn is_conic(&self) -> bool {
        matches!(self.kind, Kind::Conic(_))
    }

    /// A value below which the objective is known not to fall.
    pub fn known_lower_bound(&self) -> Option<f64> {
        match &self.kind {
            Kind::Smooth(s) => Oracle::known_lower_bound(s.as_ref()),
            _ => None,
        }
    }

    /// Says which set's sum mini-batches are drawn from; the only one there is, if none is named.
    pub fn sample_over(&mut self, set: Option<&crate::base::value::IndexSet>) {
        if let Kind::Smooth(s) = &mut self.kind {
            Oracle::sample_over(s.as_mut(), set);
        }
    }

    /// The row of the table of methods, where none is asked for.
    pub fn row(&self) -> Option<&'static Choice> {
        match &self.kind {
            Kind::Composite(_, Some(row)) => Some(row),
            Kind::Products(_) => Some(&choose::BY_PRODUCTS),
            Kind::Smooth(s) if self.class == Class::ConvexQuadratic => Some(by_products(s)),
            _ => choose::choose(self.class),
        }
    }

    /// Number of terms that mini-batches are drawn from.
    pub fn terms(&self) -> Option<usize> {
        match &self.kind {
            Kind::Smooth(s) => Oracle::terms(s.as_ref()),
            Kind::Composite(c, _) => Oracle::terms(c.as_ref()),
            _ => None,
        }
    }

    /// Bytes that the programs' arrays take.
    pub fn bytes(&self) -> usize {
        match &self.kind {
            Kind::LeastSquares(l) => l.rows.bytes(),
            Kind::Products(p) => p.bytes(),
            Kind::Conic(c) => c.rows.bytes(),
            Kind::Smooth(s) => s.bytes(),
            Kind::Composite(c, _) => c.bytes(),
        }
    }

    /// Why a method that was asked for cannot take the data of this problem, and which can; known before it runs.
    pub fn unfit(&mut self, method: &str, params: &[(InputId, Arc<Tensor>)]) -> Option<(String, &'static str)> {
        let class = self.class;
        if !matches!(method, "cg" | "minres") {
            return None;
        }
        // What cannot be evaluated is a matter of the run.
        match &mut self.kind {
            Kind::LeastSquares(ls) => {
                ls.rows.bind(params);
                methods::krylov::unfit(method, class, &ls.data().ok()?.a)
            }
            Kind::Products(p) => {
                p.bind(params);
                methods::krylov::unfit_operator(method, p.as_mut())
            }
            _ => None,
        }
    }

    /// Why a linear function has no least value over the sets of a composite problem, known before a run.
    pub fn no_corners(&mut self, params: &[(InputId, Arc<Tensor>)]) -> Option<String> {
        self.model.bind(params).ok()?;
        let (lower, upper) = self.model.bounds();
        let Kind::Composite(c, _) = &mut self.kind else {
            return None;
        };
        // What does not have the form is said by the run.
        let simple = c.try_bind(params, lower, upper).ok()?;
        let n = self.columns.len();
        let corners = Corners::of_sets(&simple);
        let mut s = vec![0.0; n];
        let refused = [1.0, -1.0].map(|g| corners.least(&vec![g; n], &mut s).err());
        refused.into_iter().flatten().next().map(|f| f.to_string())
    }

    /// Begins a run for the given parameters, or takes a saved one up again.
    pub fn begin(&mut self, ask: Ask<'_>, saved: Option<Saved>) -> Result<Begun, Fault> {
        self.model.bind(ask.params)?;
        let (l, u) = self.model.bounds();
        if let Some(k) = l.iter().zip(&u).position(|(l, u)| l > u || l.is_nan() || u.is_nan()) {
            let answer = self.empty_bounds(k, &l, &u);
            return Ok(Begun::Over(Box::new(self.settled(answer))));
        }
        if let Some(k) = self.model.units().iter().position(|s| !(*s > 0.0 && s.is_finite())) {
            return Err(Fault {
                what: format!("the scale of {} is no positive number", self.coordinate(k)),
                node: None,
                at: vec![],
            });
        }
        let (mut start, warm) = self.start(ask.start, ask.previous);
        let class = self.class;
        let row = choose::choose(class);
        let (method, head, lent, from) = match &mut self.kind {
            Kind::LeastSquares(ls) => {
                ls.rows.bind(ask.params);
                let data = ls.data()?;
                let row = choose::equations(class, &data.a).or(row);
                let (method, mut head) = begin(&ask, row, "a factorization starts from nothing");
                if method.granularity() == Granularity::Step {
                    head.warm = warmth(warm, &ask);
                }
                if data.negative_weight {
                    // Not a sum of squares after all; nothing is proved about it.
                    head.reason = "a weight is negative, so this is no sum of squares".into();
                    return Ok(Begun::Over(Box::new(self.settled(head))));
                }
                let form = Form::LeastSquares { a: data.a, b: data.b };
                let lent = Lent::LeastSquares {
                    oracle: FormOracle { class, form },
                    rounded: data.rounded,
                };
                (method, head, lent, start)
            }
            Kind::Conic(program) => {
                program.rows.bind(ask.params);
                let mut bound = program.data(&l, &u)?;
                let mut declared = self.model.start();
                for ((x, l), u) in declared.iter_mut().zip(&l).zip(&u) {
                    *x = x.max(*l).min(*u);
                }
                let at_start = self
                    .model
                    .eval(&declared)
                    .map_or(0.0, |()| self.model.objective().abs());
                let unit = small_unit(&bound.form, at_start);
                let per = 1.0 / unit;
                bound
                    .form
                    .q
                    .iter_mut()
                    .chain(&mut bound.form.p.values)
                    .for_each(|v| *v *= per);
                bound.constant *= per;
                let row = match class {
                    Class::Semidefinite => Some(choose::semidefinite(&bound.form)),
                    _ => row,
                };
                let (method, head) = begin(&ask, row, "an interior-point method starts from its own point");
                let from = vec![0.0; bound.form.q.len()];
                let constant = bound.constant;
                let form = Form::Conic {
                    form: bound.form,
                    constant,
                };
                let lent = Lent::Conic {
                    oracle: FormOracle { class, form },
                    constant,
                    unit,
                    spans: bound.spans,
                    entries: bound.entries,
                    fold: bound.fold,
                };
                (method, head, lent, from)
            }
            Kind::Products(p) => {
                p.bind(ask.params);
                let b = p.right()?;
                let (method, mut head) = begin(&ask, Some(&choose::BY_PRODUCTS), "");
                head.warm = warmth(warm, &ask);
                let lent = Lent::Products(Box::new(ByProducts {
                    class,
                    products: (**p).clone(),
                    b,
                    counts: Counts::default(),
                }));
                (method, head, lent, start)
            }
            Kind::Composite(c, chosen) => {
                let (method, mut head) = begin(&ask, chosen.or(row), "");
                match c.bind(ask.params, l, u) {
                    Ok(()) => {}
                    Err(NotBound::Fault(f)) => return Err(f),
                    Err(NotBound::Why(why)) => {
                        head.reason = why;
                        return Ok(Begun::Over(Box::new(self.settled(head))));
                    }
                }
                head.warm = warmth(warm, &ask);
                (method, head, Lent::Functions, start)
            }
            Kind::Smooth(s) => {
                let bounds = Arc::new(Bounds {
                    lower: l,
                    upper: u,
                    units: self.model.units(),
                });
                s.bind(ask.params);
                let quadratic = s.class == Class::ConvexQuadratic;
                if !quadratic && s.class != Class::Saddle {
                    s.class = if bounds.any() {
                        Class::SmoothBounds
                    } else {
                        Class::Smooth
                    };
                }
                let mut declared = self.model.start();
                conditions::project(Some(&bounds), &mut declared);
                s.bounds = bounds;
                // Zero was nobody's choice: where a logarithm begins there, another point is as good.
                let chosen = self.problem.vars.iter().any(|v| v.start.is_some()) || !ask.start.is_empty();
                let mut moved = false;
                if !chosen && !warm && saved.is_none() && !s.defined(&start) {
                    let others = [1.0, 0.1, 10.0, -1.0].map(|t| within(&s.bounds, t));
                    let other = others.into_iter().find(|x| s.defined(x));
                    if let Some(x) = other {
                        moved = true;
                        declared.clone_from(&x);
                        start = x;
                    }
                }
                s.weigh(&declared);
                let entries = match (&ask.method, &s.unstructured) {
                    (None, None) if !quadratic => s.constant_hessian(&start).ok().map(|h| h.nnz()),
                    _ => None,
                };
                if quadratic
                    && ask.method.is_none()
                    && let Some(form) = factorable(s, start.len())
                {
                    let row = &choose::QUADRATIC_FACTORED;
                    let (method, head) = begin(&ask, Some(row), "a factorization starts from nothing");
                    let class = Class::LinearSystem;
                    let lent = Lent::LeastSquares {
                        oracle: FormOracle { class, form },
                        rounded: false,
                    };
                    return self.going(ask, saved, method, head, lent, start);
                }
                let row = if quadratic {
                    by_products(s)
                } else {
                    choose::smooth(s.class, start.len(), entries, s.unstructured.is_some())
                };
                let (method, mut head) = begin(&ask, Some(row), "");
                if !s.bounds.units.is_empty() {
                    head.method_why += "; slopes are measured in the declared scales";
                }
                if moved {
                    head.method_why += "; started inside the domain, as no start was given and zero is not in it";
                }
                head.warm = warmth(warm, &ask);
                (method, head, Lent::Functions, start)
            }
        };
        self.going(ask, saved, method, head, lent, from)
    }

    /// The run, at its start or where it was saved.
    fn going(
        &mut self,
        ask: Ask<'_>,
        saved: Option<Saved>,
        method: Arc<dyn Method>,
        mut head: Answer,
        mut lent: Lent,
        from: Vec<f64>,
    ) -> Result<Begun, Fault> {
        // Nothing is said of a warm start where there was nothing to start from.
        if ask.previous.is_none() && !head.warm.0 {
            head.warm.1.clear();
        }
        let oracle = lent.oracle(&mut self.kind);
        let run = match saved {
            Some(saved) => Run::resume(method, oracle, saved),
            None => Run::new(method, oracle, &Point::plain(from.clone()), ask.options),
        };
        match run {
            Ok(mut run) => {
                run.set_watch(ask.watch);
                Ok(Begun::Going(Box::new(Going {
                    run,
                    lent,
                    head,
                    fault: None,
                })))
            }
            Err(refusal) => {
                head.status = Status::EvaluationError;
                head.reason = refusal.to_string();
                if let Some(s) = self.kind.functions() {
                    head.fault = s.trace_fault(&from);
                    head.x = from;
                }
                Ok(Begun::Over(Box::new(self.settled(head))))
            }
        }
    }

    /// At most `n` further steps of a run that began here; answers whether it has ended.
    pub fn advance(&mut self, going: &mut Going, n: u64, now: &dyn Fn() -> f64) -> bool {
        let oracle = going.lent.oracle(&mut self.kind);
        let ended = going.run.advance(oracle, n, now).is_some();
        match &self.kind {
            Kind::Smooth(s) if ended => going.fault.clone_from(&s.last_fault),
            Kind::Composite(c, _) if ended => going.fault.clone_from(&c.smooth.last_fault),
            _ => {}
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
                let share = s.terms().map_or(0.0, |t| 2.0 * made.terms as f64 / t as f64);
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

    /// The user's own numbers at an answer, whatever the method said.
    fn settled(&mut self, mut answer: Answer) -> Answer {
        if answer.x.is_empty() && !self.columns.is_empty() {
            return answer;
        }
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
        answer
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
        coordinate(&self.problem, &self.columns, k)
    }
}

impl Lent {
    /// What the run asks.
    fn oracle<'s>(&'s mut self, kind: &'s mut Kind) -> &'s mut dyn Oracle {
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

/// The point `t` from the bounds where there are any: between two the middle, else `t` from the one or from zero.
fn within(bounds: &Bounds, t: f64) -> Vec<f64> {
    let pairs = bounds.lower.iter().zip(&bounds.upper);
    pairs
        .map(|(l, u)| match (l.is_finite(), u.is_finite()) {
            (true, true) => 0.5 * l + 0.5 * u,
            (true, false) => l + t.abs() * l.abs().max(1.0),
            (false, true) => u - t.abs() * u.abs().max(1.0),
            (false, false) => t,
        })
        .collect()
}

/// The unit that the objective of a cone program is measured in: a power of two near what it is at the declared start and what
/// its coefficients are, where these are small; 1 elsewhere, and with curved cones, whose active set is not solved again: there
/// the multipliers keep the solver's own accuracy. Tolerances are relative to it.
fn small_unit(form: &ConicForm, at_start: f64) -> f64 {
    const SMALL: f64 = 1.0 / 1024.0;
    if form.cones.iter().any(|c| !matches!(c, Cone::Zero(_) | Cone::Nonneg(_))) {
        return 1.0;
    }
    let size = |v: &[f64]| v.iter().fold(0.0f64, |m, v| m.max(v.abs()));
    let q = size(&form.q);
    let unit = if at_start > 0.0 && at_start.is_finite() {
        at_start.max(q)
    } else {
        q.max(size(&form.p.values))
    };
    if !(f64::MIN_POSITIVE..SMALL).contains(&unit) {
        return 1.0;
    }
    // Down to the power of two.
    f64::from_bits(unit.to_bits() & (0x7ff << 52))
}

/// The row for a convex quadratic that is not factored.
fn by_products(s: &Smooth) -> &'static Choice {
    match s.unstructured {
        Some(_) => &choose::QUADRATIC_BY_PRODUCTS,
        None => &choose::QUADRATIC,
    }
}

/// A convex quadratic as the linear system of its gradient, where its matrix is sparse and factors without much fill.
fn factorable(s: &mut Smooth, n: usize) -> Option<Form> {
    if s.unstructured.is_some() {
        return None;
    }
    let zeros = vec![0.0; n];
    let a = Matrix::Sparse(s.constant_hessian(&zeros).ok()?);
    if choose::equations(Class::LinearSystem, &a).is_some() {
        return None;
    }
    let mut b = vec![0.0; n];
    Oracle::gradient(s, &zeros, &mut b).ok()?;
    b.iter_mut().for_each(|v| *v = -*v);
    Some(Form::LeastSquares { a, b })
}

/// Was the last answer used, and why or why not?
fn warmth(used: bool, ask: &Ask<'_>) -> (bool, String) {
    match (used, ask.previous.is_some()) {
        (true, _) => (true, "started from the last answer".into()),
        (false, true) => (false, "a start was given".into()),
        (false, false) => (false, String::new()),
    }
}

/// What the user takes as given.
fn asserted(problem: &Problem) -> Assumptions {
    let of = |convex: bool| {
        problem
            .assumed
            .iter()
            .filter(move |a| a.1 == convex)
            .map(|a| a.0)
            .collect()
    };
    Assumptions {
        asserted_convex: of(true),
        asserted_concave: of(false),
        ..Assumptions::default()
    }
}

/// A coordinate in the user's names.
pub fn coordinate(problem: &Problem, columns: &Columns, k: usize) -> String {
    for (v, (_, first, len)) in problem.vars.iter().zip(&columns.blocks) {
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
