//! A problem compiled once and solved for any values of its parameters: the one door the session uses.
//!
//! Invariant: `solve` evaluates programs; it derives, classifies and rewrites nothing.
//!
//! Here the problem is compiled and asked about; `begin` and `going` are the two halves of a run on it, `answer` what it
//! comes to.

mod answer;
mod begin;
mod going;

use std::collections::BTreeMap;
use std::sync::Arc;

use super::choose::{self, Choice};
use super::classify::{Classifier, Kind, as_written, definite, open_quadratics};
use super::corners::Corners;
use super::draws;
use super::method::{Class, MethodCard, Seed};
use super::methods;
use super::model::Model;
use super::oracle::Oracle;
use super::stop::Status;
use crate::atoms::rules;
use crate::base::value::IndexSet;
use crate::base::{Diagnostic, Tensor};
use crate::exec::Fault;
use crate::forms::hessian::convex_quadratics;
use crate::forms::rows::Columns;
use crate::ir::{InputId, NodeId, Problem, Sense};
use crate::passes::analysis::curvature::{Assumptions, FactsTable, analyze_with, extend};

pub use answer::Answer;
pub use going::{Ask, Begun, Going};

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
        let smooth = !matches!(&self.kind, Kind::Smooth(s) if s.kinks);
        match (self.class, smooth, self.problem.constraints.is_empty()) {
            (Class::Smooth, true, false) => "smooth, with constraints",
            (Class::Smooth, false, true) => "not proved smooth, unconstrained",
            (Class::Smooth, false, false) => "not proved smooth, with constraints",
            (Class::SmoothBounds, true, false) => "smooth, with bounds and constraints",
            (Class::SmoothBounds, false, true) => "not proved smooth, with bounds",
            (Class::SmoothBounds, false, false) => "not proved smooth, with bounds and constraints",
            (class, _, _) => class.word(),
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
        matches!(self.kind, Kind::Smooth(_) | Kind::Composite(..))
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
    pub fn sample_over(&mut self, set: Option<&IndexSet>) {
        if let Kind::Smooth(s) = &mut self.kind {
            Oracle::sample_over(s.as_mut(), set, false);
        }
    }

    /// The row of the table of methods, where none is asked for.
    pub fn row(&self) -> Option<&'static Choice> {
        match &self.kind {
            Kind::Composite(_, Some(row)) => Some(row),
            Kind::Products(_) => Some(&choose::BY_PRODUCTS),
            Kind::Smooth(s) if self.class == Class::ConvexQuadratic => Some(begin::by_products(s)),
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

    /// A coordinate in the user's names.
    pub fn coordinate(&self, k: usize) -> String {
        coordinate(&self.problem, &self.columns, k)
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
