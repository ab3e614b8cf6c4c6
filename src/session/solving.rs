//! `solve`: from a name to a compiled problem, from parameters to an answer, from the answer to a solution.
//!
//! Invariant: a problem is compiled again only when a definition changed, a structural parameter, or a shape.

use std::collections::{BTreeMap, BTreeSet};
use std::rc::Rc;
use std::sync::Arc;

use indexmap::IndexMap;

use crate::base::value::{IndexSet, Table, Tensor, Value};
use crate::base::{Code, Diagnostic, Diagnostics, Span};
use crate::ir::InputId;
use crate::ir::atom::Trust;
use crate::lang::lower::{self, LoweredProblem, SolutionData};
use crate::lang::syntax::{
    Arg, Compare, Expr, FormalParam, MethodCall, MinimizeFrom, Pipeline, ProblemRef, Solve, Start, Stmt, StmtKind,
    TypeExpr, VarDecl, Variation, show as shown,
};

use crate::exec::{Fault, Machine, Plan};
use crate::report::ResultEntry;
use crate::solve::compiled::{Answer, Compiled};
use crate::solve::course::{Entry, Quota, Standing};
use crate::solve::errors::Given;
use crate::solve::method::OptionKind;
use crate::solve::methods;
use crate::solve::user_map::UserMap;
use crate::solve::{Method, MethodCard, Seed, Status, draws};

use super::history::History;
use super::outcome::About;
use super::runs::Live;
use super::worker::{Detached, Done, Good, Job, Outcome, Pause};
use super::{Def, Event, Progress, Session};

/// A compiled problem with what it was compiled for.
pub(super) struct Cached {
    pub(super) key: String,
    /// The key of the problem without changes.
    base: String,
    /// What it was lowered from.
    pub(super) body: Body,
    /// Forms of the names it was compiled from.
    from: Vec<(String, u64)>,
    structural: Vec<(String, Arc<Tensor>)>,
    pub(super) lowered: LoweredProblem,
    /// Compiled for the method's kind that was asked for (`None`: the default).
    pub(super) forms: Vec<(Option<String>, Compiled)>,
    /// Flat values of the last answer.
    pub(super) last: Option<Vec<f64>>,
    /// The method and the steps of the last solve that began afresh.
    afresh: Option<(String, u64)>,
}

/// What came of a solve that nobody was told of.
pub(super) struct Attempt {
    pub answer: Answer,
    pub about: About,
    /// When the first stage began, and the last one ended.
    pub began: f64,
    pub ended: f64,
    /// What was recorded, by step.
    pub trace: Arc<Table>,
    /// The points, by step.
    pub path: Arc<Table>,
    /// A stage that runs on, interrupted.
    pub left: Option<Detached>,
}

pub(super) type Found<T> = Result<T, Diagnostics>;

/// A problem's statements, and the values of its parameters.
#[derive(Clone, Default)]
pub(super) struct Body {
    pub(super) name: String,
    pub(super) statements: Vec<Stmt>,
    pub(super) args: Vec<(FormalParam, lower::Argument)>,
    /// What the statements were changed by, as a part of the key; empty for nothing.
    pub(super) changes: String,
    /// Variables and entries that are fixed.
    pub(super) pins: Vec<(String, lower::Pin)>,
}

#[allow(clippy::boxed_local, reason = "the shape that `map_err` is given")]
pub(super) fn one(d: Box<Diagnostic>) -> Diagnostics {
    vec![*d]
}

impl Session {
    /// The statements of a problem and the values of its parameters.
    pub(super) fn body_of(&mut self, target: Option<&ProblemRef>, span: Span) -> Found<Body> {
        let Some(t) = target else {
            let all = self.unnamed_where(|_, _| true);
            if !all
                .iter()
                .any(|(s, _)| matches!(s.kind, StmtKind::Var(_) | StmtKind::Objective(_)))
            {
                let names = self.problem_names();
                let mut d =
                    Diagnostic::new(Code::UnknownProblem, "there is no unnamed problem to solve").at(span, "here");
                d = match names.first() {
                    Some(n) => d.help(format!("name one: `solve {n}`")),
                    None => d.help("declare variables and an objective: `var x: Real`, `minimize (x - 1)^2`"),
                };
                return Err(vec![d]);
            }
            return Ok(Body {
                statements: all.into_iter().map(|s| s.0).collect(),
                ..Body::default()
            });
        };
        let Some(Def::Problem(p)) = self.defs.get(&t.name.text) else {
            let names = self.problem_names();
            let mut d = Diagnostic::new(Code::UnknownProblem, format!("there is no problem `{}`", t.name.text))
                .at(t.name.span, "unknown problem");
            if let Some(n) = crate::base::diagnostic::did_you_mean(&t.name.text, names.iter().map(String::as_str)) {
                d = d.help_edit(format!("did you mean `{n}`?"), t.name.span, n);
            }
            return Err(vec![d]);
        };
        let p = p.clone();
        let bound = bound_args(&p.name.text, &p.params, &t.args, t.span)?;
        let mut args = vec![];
        for (f, (_, e)) in p.params.iter().zip(bound) {
            args.push((f.clone(), self.stands_for(&p.name.text, f, e)?));
        }
        Ok(Body {
            name: t.name.text.clone(),
            statements: p.body.clone(),
            args,
            ..Body::default()
        })
    }

    /// What an argument stands for: its value where it is of numbers, so that another value needs no compilation.
    fn stands_for(&mut self, problem: &str, f: &FormalParam, e: Expr) -> Found<lower::Argument> {
        match f.ty.name.text.as_str() {
            "Real" | "Vector" | "Matrix" => {
                let value = self.argument(f, &e).map_err(|d| one(super::bind::placed(*d, e.span)))?;
                Ok(lower::Argument::Input(format!("{problem}.{}", f.name.text), value))
            }
            // An integer may be a size: part of the problem.
            "Int" if f.ty.dims.is_empty() => {
                let value = self.argument(f, &e).map_err(|d| one(super::bind::placed(*d, e.span)))?;
                let kind = crate::lang::syntax::ExprKind::Number {
                    value: value.tensor.as_scalar().unwrap_or(f64::NAN),
                    integer: true,
                };
                Ok(lower::Argument::Expr(Rc::new(Expr { kind, ..e })))
            }
            _ => Ok(lower::Argument::Expr(Rc::new(e))),
        }
    }

    fn problem_names(&self) -> Vec<String> {
        self.defs
            .iter()
            .filter(|(_, d)| matches!(d, Def::Problem(_)))
            .map(|(n, _)| n.clone())
            .collect()
    }

    /// The compiled problem, from the cache where nothing structural changed; a message says why it is built again.
    pub(super) fn compiled(
        &mut self,
        target: Option<&ProblemRef>,
        span: Span,
        sink: &mut dyn FnMut(Event),
    ) -> Found<usize> {
        let body = self.body_of(target, span)?;
        self.compiled_body(body, span, sink)
    }

    /// As [`Session::compiled`], for statements that may have been changed.
    pub(super) fn compiled_body(&mut self, body: Body, span: Span, sink: &mut dyn FnMut(Event)) -> Found<usize> {
        if body.name.is_empty() && std::mem::take(&mut self.unnamed_changed) {
            self.compiled.retain(|c| !c.body.name.is_empty());
        }
        let mut base = body.name.clone();
        for (f, a) in &body.args {
            let name = &f.name.text;
            base += &match a {
                lower::Argument::Expr(e) => format!(";{name}={}", shown(e)),
                // Another value of the same form needs no compilation.
                lower::Argument::Input(key, v) => {
                    self.given.insert(key.clone(), v.clone());
                    let sparse = v.tensor.as_dense().is_none();
                    format!(";{name}:{} {:?} {sparse}", lower::describe_dims(&v.tensor.dims), v.sign)
                }
            };
        }
        let key = format!("{base}{}", body.changes);
        let mut changed = vec![];
        let (mut last, mut afresh) = (None, None);
        if let Some(at) = self.compiled.iter().position(|c| c.key == key) {
            let c = &self.compiled[at];
            let forms = c.from.iter().filter(|(n, form)| self.graph.stamps(n).form != *form);
            changed.extend(forms.map(|f| f.0.clone()));
            for (n, t) in &c.structural {
                if self.param_value(n).is_none_or(|p| p.tensor != *t) && !changed.contains(n) {
                    changed.push(n.clone());
                }
            }
            if changed.is_empty() && c.body.pins == body.pins {
                self.compiled[at].body.args = body.args;
                return Ok(at);
            }
            // That its own statements changed is no news.
            changed.retain(|n| *n != body.name);
            let old = self.compiled.remove(at);
            if old.body.pins != body.pins {
                // Other values in the same places: the last answer is as good a start as ever.
                (last, afresh) = (old.last, old.afresh);
            }
        }
        let name = body.name.clone();
        let at = self.lowered(base, body)?;
        let n: usize = self.compiled[at].lowered.problem.vars.iter().map(size).sum();
        self.compiled[at].last = last.filter(|x| x.len() == n);
        self.compiled[at].afresh = afresh;
        if !changed.is_empty() {
            self.tell_rebuilt(&name, &changed, span, sink);
        }
        Ok(at)
    }

    /// Lowers a problem and keeps it with what it was lowered from.
    fn lowered(&mut self, base: String, body: Body) -> Found<usize> {
        let lowered = {
            let sources = &self.sources;
            let line = |s| sources.line_column(s).0;
            lower::lower_problem(self, &body.name, &body.statements, &body.args, &body.pins, &line)?
        };
        let structural = lowered
            .structural
            .iter()
            .filter_map(|n| self.param_value(n).map(|p| (n.clone(), p.tensor.clone())))
            .collect();
        let mut uses: BTreeSet<String> = body.statements.iter().flat_map(Stmt::uses).collect();
        for (_, a) in &body.args {
            if let lower::Argument::Expr(e) = a {
                e.names_into(&mut uses);
            }
        }
        // What the problem declares itself is no result of the same name, now or later.
        let own: BTreeSet<&str> = body
            .statements
            .iter()
            .filter_map(|s| Some(s.kind.declared()?.text.as_str()))
            .collect();
        let known = |n: &str| self.graph.mark(n).is_some_and(|m| !m.stmt.kind.keeps_a_result());
        uses.retain(|n| !own.contains(n.as_str()) || known(n));
        uses.insert(body.name.clone());
        let from = self.graph.ground(&uses).into_iter();
        let from = from.map(|n| (n.clone(), self.graph.stamps(&n).form)).collect();
        self.compiled.push(Cached {
            key: format!("{base}{}", body.changes),
            base,
            body,
            from,
            structural,
            lowered,
            forms: vec![],
            last: None,
            afresh: None,
        });
        Ok(self.compiled.len() - 1)
    }

    /// What the names of a compiled problem mean now, for its solution.
    pub(super) fn past_of(&self, at: usize) -> Rc<lower::Past> {
        let c = &self.compiled[at];
        let names = c
            .from
            .iter()
            .filter_map(|(n, _)| Some((n.clone(), lower::Names::lookup(self, n)?)));
        Rc::new(lower::Past {
            body: c.body.statements.clone(),
            args: c.body.args.clone(),
            names: names.collect(),
        })
    }

    /// The last answer of a compiled problem, or what the answer of the problem without changes says of its variables.
    fn previous(&self, at: usize) -> Option<Vec<f64>> {
        let c = &self.compiled[at];
        if c.last.is_some() {
            return c.last.clone();
        }
        let base = self.compiled.iter().find(|b| b.key == c.base && c.key != c.base)?;
        let x = base.last.as_ref()?;
        let mut known = IndexMap::new();
        let mut first = 0;
        for v in &base.lowered.problem.vars {
            known.insert(v.name.as_str(), x.get(first..first + size(v))?);
            first += size(v);
        }
        let mut out = vec![];
        for v in &c.lowered.problem.vars {
            out.extend_from_slice(known.get(v.name.as_str()).filter(|x| x.len() == size(v))?);
        }
        Some(out)
    }

    /// Values of the parameters that a compiled problem reads.
    pub(super) fn param_inputs(&self, params: &[(String, InputId)]) -> Vec<(InputId, Arc<Tensor>)> {
        params
            .iter()
            .filter_map(|(n, i)| self.param_value(n).map(|p| (*i, p.tensor.clone())))
            .collect()
    }

    /// The compiled form of a cached problem for a method; compiles it if need be.
    pub(super) fn form_of(&mut self, at: usize, method: Option<&MethodCard>) -> Found<usize> {
        let asks = |m: &MethodCard| {
            [
                ("", m.needs.prox),
                ("'", m.needs.project),
                ("c", m.needs.constraints),
                ("r", m.needs.residuals),
            ]
            .map(|(s, on)| if on { s } else { "·" })
            .concat()
        };
        let key = method.map(|m| format!("{}{}", m.name, asks(m)));
        let params = self.param_inputs(&self.compiled[at].lowered.params);
        if let Some(k) = self.compiled[at].forms.iter().position(|f| f.0 == key) {
            if self.compiled[at].forms[k].1.still_holds(&params) {
                return Ok(k);
            }
            self.compiled[at].forms.remove(k);
        }
        let problem = self.compiled[at].lowered.problem.clone();
        let form = Compiled::new(problem, &params, method).map_err(one)?;
        if form.bytes() as u64 > self.settings.memory {
            let span = self.compiled[at].lowered.problem.vars.first().map(|v| v.span);
            let name = self.compiled[at].lowered.problem.name.clone();
            let span = span.unwrap_or(Span::new(crate::base::SourceId(0), 0, 0));
            return Err(one(self.too_large(&name, form.bytes() as u64, span)));
        }
        self.compilations += 1;
        self.compiled[at].forms.push((key, form));
        Ok(self.compiled[at].forms.len() - 1)
    }

    /// Class and proof of a problem, for `inspect`.
    pub(super) fn class_of(&mut self, at: usize) -> Found<&Compiled> {
        let k = self.form_of(at, None)?;
        Ok(&self.compiled[at].forms[k].1)
    }

    /// `[s =] solve P …`.
    pub(super) fn solve(&mut self, c: &Solve, span: Span, sink: &mut dyn FnMut(Event)) -> Found<()> {
        let started = (self.settings.now)();
        let c = &*c.resolved(|n| matches!(self.defs.get(n), Some(Def::Problem(_))));
        let at = self.varied(c, span, sink)?;
        self.solve_compiled(c, at, span, started, sink)
    }

    /// Why a solve would not begin, if it would not.
    pub(super) fn refused(&mut self, c: &Solve, span: Span) -> Found<()> {
        let c = c.resolved(|n| matches!(self.defs.get(n), Some(Def::Problem(_))));
        let at = self.varied(&c, span, &mut |_| {})?;
        self.refused_at(at, c.method.as_ref())
    }

    /// Why one of the runs of a comparison would not begin, if it would not.
    pub(super) fn refused_of(&mut self, c: &Compare, span: Span) -> Found<()> {
        let targets: Vec<Option<&ProblemRef>> = match c.targets.is_empty() {
            true => vec![None],
            false => c.targets.iter().map(Some).collect(),
        };
        for target in targets {
            let at = self.compiled(target, span, &mut |_| {})?;
            for e in &c.entrants {
                self.refused_at(at, Some(&e.pipeline))?;
            }
        }
        Ok(())
    }

    fn refused_at(&mut self, at: usize, p: Option<&Pipeline>) -> Found<()> {
        let stages = self.stages(p, at)?;
        self.fitted(at, stages, &mut |_| {}).map(drop)
    }

    /// Solves a problem that is compiled already.
    fn solve_compiled(
        &mut self,
        c: &Solve,
        at: usize,
        span: Span,
        started: f64,
        sink: &mut dyn FnMut(Event),
    ) -> Found<()> {
        self.run_stages(c, at, span, started, false, sink).map(drop)
    }

    /// Runs a solve; tells of progress only, and leaves the session as it was. Nothing where there was nothing to run.
    pub(super) fn attempt(
        &mut self,
        c: &Solve,
        at: usize,
        span: Span,
        sink: &mut dyn FnMut(Event),
    ) -> Found<Option<Attempt>> {
        self.run_stages(c, at, span, 0.0, true, sink)
    }

    fn run_stages(
        &mut self,
        c: &Solve,
        at: usize,
        span: Span,
        started: f64,
        quietly: bool,
        sink: &mut dyn FnMut(Event),
    ) -> Found<Option<Attempt>> {
        let default = match &c.method {
            None => self.default_method(at),
            Some(_) => None,
        };
        let stages = self.stages(default.as_ref().or(c.method.as_ref()), at)?;
        let seed = match &c.seed {
            Some(e) => self.number(e).map_err(one)? as u64,
            None => self.seed,
        };
        let start = self.starts(c.from.as_ref(), at, seed)?;
        let tolerance = match &c.to {
            Some(e) => self.positive(e, "a tolerance")?,
            None => 1e-8,
        };
        let seconds = match &c.within {
            Some((e, unit)) => Some(self.positive(e, "a time limit")? * unit.seconds()),
            None => None,
        };
        let params = self.param_inputs(&self.compiled[at].lowered.params);
        // A run that is held begins at its start, so that it is the same run every time.
        // A race is of methods: none is to win because another has been here.
        let afresh = c.cold || c.held || stages.races();
        let previous = if afresh { None } else { self.previous(at) };
        let (keys, course) = self.fitted(at, stages, sink)?;
        let start: BTreeMap<String, Vec<f64>> = start.into_iter().collect();
        let made_of = (c.held || c.stop.is_some()).then(|| self.made_of(c, &start, seed, tolerance));
        let solving = (self.settings.now)();
        let now = self.settings.now;
        let forms = self.lend_forms(at, &keys);
        let mut about = About::of(&forms[0], |k| self.row_sets(at, k));
        about.fixed = self.compiled[at].body.fixed();
        let mut title = String::new();
        course.for_each(&mut |s| {
            let card = s.method.as_ref().map(|m| m.card());
            let card = card.or_else(|| forms[s.form].row().map(|c| c.card));
            if let (true, Some(c)) = (title.is_empty(), card) {
                title = c.title.to_string();
            }
        });
        let mut node = course.enter(Entry::new(start, previous, seed));
        let (mut forms, mut about, mut pause) = (forms, about, None);
        if let Some(made_of) = made_of.clone() {
            let mut live = Live {
                about,
                forms,
                node,
                params: params.clone(),
                tolerance,
                made_of,
                marks: vec![],
            };
            if c.held {
                return self.begin_run(c, live, span, sink).map(|()| None);
            }
            let begun = live.around(now, |node, around| node.begin(around));
            if let Err((form, f)) = begun {
                return Err(vec![self.solve_fault(&live.forms[form], &f, span)]);
            }
            live.mark();
            if let Some(e) = &c.stop {
                let condition = Some(self.condition(e, &mut live)?);
                pause = Some(Pause { condition, until: None });
            }
            (forms, node, about) = (live.forms, live.node, live.about);
        }
        let job = Job {
            forms,
            course: node,
            quota: Quota::ALL,
            pause,
            params: params.clone(),
            tolerance,
            deadline: seconds.map(|s| now() + s),
            now,
        };
        let mut told = false;
        let (name, maximize) = (about.name.clone(), about.maximize);
        let progress = |good: &Option<Good>, ended: bool| {
            let good = good.as_ref();
            Event::Progress(Box::new(Progress {
                problem: name.clone(),
                steps: good.map(|g| g.0),
                objective: good.map(|g| if maximize { -g.1.objective } else { g.1.objective }),
                stationarity: good.map(|g| g.1.stationarity),
                feasibility: good.map(|g| g.1.feasibility),
                seconds: now() - solving,
                ended,
            }))
        };
        let mut latest = None;
        let outcome = job.wait(&self.interrupt, &mut |good| {
            told = true;
            sink(progress(&good, false));
            latest = good;
        });
        let mut held = None;
        let mut history = History::default();
        let (result, paused, left) = match outcome {
            Outcome::Ended(done) => {
                let Done {
                    forms,
                    course,
                    result,
                    paused,
                } = *done;
                let shown = match &result {
                    Ok(s) => s.as_ref().map_or(0, |s| s.form),
                    Err((form, _)) => *form,
                };
                about = About::of(&forms[shown], |k| self.row_sets(at, k));
                about.fixed = self.compiled[at].body.fixed();
                for (k, t) in result.iter().flatten().flat_map(|s| &s.records) {
                    history.push(t, &forms[*k]);
                }
                let result = result.map_err(|(form, f)| self.solve_fault(&forms[form], &f, span));
                match made_of {
                    Some(made_of) => {
                        held = Some((forms, course, made_of));
                    }
                    None => self.take_forms(at, &keys, forms),
                }
                (result, paused, None)
            }
            Outcome::Detached(good, detached) => {
                latest = good.clone().or(latest);
                let standing = Standing {
                    form: 0,
                    answer: about.interrupted(good, title),
                    boards: vec![],
                    records: vec![],
                    as_written: false,
                };
                (Ok(Some(standing)), None, Some(detached))
            }
        };
        if told {
            sink(progress(&latest, true));
        }
        let ended = now();
        let Standing {
            form,
            mut answer,
            boards,
            mut as_written,
            ..
        } = match result {
            Ok(Some(s)) => s,
            Ok(None) => return Ok(None),
            Err(d) => return Err(vec![d]),
        };
        if default.is_some() {
            answer.method_why = super::optimizers::SADDLE_WHY.into();
        }
        if let Some(why) = &paused {
            answer.status = Status::Feasible;
            answer.reason = format!("{why}, at step {}", answer.iterations.unwrap_or(0));
            as_written = true;
        }
        let (trace, path) = history.tables();
        if quietly {
            return Ok(Some(Attempt {
                answer,
                about,
                began: solving,
                ended,
                trace,
                path,
                left,
            }));
        }
        if !answer.x.is_empty() && answer.status.is_success() {
            self.compiled[at].last = Some(answer.x.clone());
        }
        self.tell_whether_it_helped(at, &mut answer);
        let mut entry = self.entry(&about, &answer, tolerance, (solving - started, ended - solving));
        entry.as_written = as_written;
        entry.boards = boards;
        entry.changes = c.variation.to_string();
        entry.turn = self.turn.join(", ");
        let mut data = self.solution(at, &answer, &entry);
        (data.trace, data.path) = (trace, path);
        self.keep(c.bind.as_ref().map(|b| b.text.as_str()), data);
        let doubt = answer.error.and_then(|error| {
            let (rank, full) = answer.deficient.unwrap_or_default();
            let condition = answer.condition.unwrap_or(f64::NAN);
            super::trust::doubt(
                &Trust {
                    error,
                    condition,
                    rank,
                    full,
                },
                Some(span),
            )
        });
        let form = keys
            .get(form)
            .and_then(|k| self.compiled[at].forms.iter().position(|f| f.0 == *k));
        let of = |f: &Fault| match (form.and_then(|k| self.compiled[at].forms.get(k)), &held) {
            (Some((_, c)), _) => self.solve_fault(c, f, span),
            (None, Some((forms, ..))) => self.solve_fault(&forms[0], f, span),
            (None, None) => Diagnostic::new(Code::NotFinite, f.what.clone()).at(span, "while solving"),
        };
        let trouble = answer.fault.as_ref().map(of);
        sink(Event::Solved(Box::new(entry.clone())));
        self.report.results.push(ResultEntry::Solve(Box::new(entry)));
        if let (Some((forms, node, made_of)), Some(b)) = (held, &c.bind) {
            let marks = vec![];
            let mut live = Live {
                about,
                forms,
                node,
                params,
                tolerance,
                made_of,
                marks,
            };
            live.mark();
            let data = live.data(now);
            if let Some(Def::Solution(s)) = self.defs.get(&b.text) {
                let mut s = (**s).clone();
                for (n, t) in data.fields {
                    s.fields.entry(n).or_insert(t);
                }
                self.define(&b.text, Def::Solution(Rc::new(s)));
            }
            self.runs.insert(b.text.clone(), live);
        } else if let Some(left) = left {
            self.detach(&about.name, left, span, sink);
        }
        if let Some(d) = doubt {
            self.tell(d, sink);
        }
        if let Some(d) = trouble {
            let d = Diagnostic {
                level: crate::base::Level::Warning,
                ..d
            };
            self.tell(d, sink);
        }
        Ok(None)
    }

    /// Takes the forms of these keys out of the session, for a solve to own.
    fn lend_forms(&mut self, at: usize, keys: &[Option<String>]) -> Vec<Compiled> {
        let cached = &mut self.compiled[at].forms;
        let places = keys.iter().filter_map(|k| cached.iter().position(|f| f.0 == *k));
        // Each key was compiled a moment ago, so each is there.
        let places: Vec<usize> = places.collect();
        let mut all: Vec<Option<(Option<String>, Compiled)>> = cached.drain(..).map(Some).collect();
        let lent = places.iter().filter_map(|k| all[*k].take()).map(|f| f.1).collect();
        cached.extend(all.into_iter().flatten());
        lent
    }

    fn take_forms(&mut self, at: usize, keys: &[Option<String>], forms: Vec<Compiled>) {
        self.compiled[at].forms.extend(keys.iter().cloned().zip(forms));
    }

    /// Adds to an answer that began at the last one whether that saved steps, where one that began afresh is known.
    fn tell_whether_it_helped(&mut self, at: usize, a: &mut Answer) {
        let Some(steps) = a.iterations.filter(|_| a.status.is_success()) else {
            return;
        };
        let c = &mut self.compiled[at];
        if !a.warm.0 {
            c.afresh = Some((a.method.clone(), steps));
        } else if let Some((method, fresh)) = &c.afresh
            && *method == a.method
        {
            a.warm.1 += if steps < *fresh {
                ", which saved steps"
            } else {
                ", which saved no steps"
            };
        }
    }

    pub(super) fn positive(&self, e: &Expr, what: &str) -> Found<f64> {
        let v = self.number(e).map_err(one)?;
        if v > 0.0 && v.is_finite() {
            return Ok(v);
        }
        Err(vec![
            Diagnostic::new(
                Code::BadOption,
                format!("{what} is a positive number, found {}", super::show::number(v)),
            )
            .at(e.span, "here"),
        ])
    }

    /// The method of a `with` clause.
    pub(super) fn builtin(&self, m: &MethodCall) -> Found<Arc<dyn Method>> {
        let mut options = vec![];
        let card = methods::find(&m.name.text);
        for a in &m.args {
            let Some(name) = &a.name else {
                return Err(vec![
                    Diagnostic::new(
                        Code::BadOption,
                        format!("options of `{}` are given by name", m.name.text),
                    )
                    .at(a.value.span, "without a name")
                    .help("such as `lbfgs(memory: 20)`"),
                ]);
            };
            let option = card.and_then(|c| c.options.iter().find(|o| o.name == name.text));
            if let Some(OptionKind::Map(words)) = option.map(|o| o.kind)
                && !a.value.as_name().is_some_and(|n| words.contains(&n))
                && let Some(map) = self.user_map(&a.value)?
            {
                options.push((name.text.clone(), Given::Map(map, shown(&a.value)), a.value.span));
                continue;
            }
            let given = match self.evaluate(&a.value) {
                Ok(Value::Array {
                    tensor,
                    elem: crate::base::value::Elem::Bool,
                }) => Given::Truth(tensor.as_scalar() == Some(1.0)),
                Ok(Value::Array { tensor, .. }) if tensor.dims.is_empty() => {
                    Given::Number(tensor.as_scalar().unwrap_or(f64::NAN))
                }
                Ok(_) | Err(_) => Given::Word(shown(&a.value)),
            };
            options.push((name.text.clone(), given, a.value.span));
        }
        methods::build(&m.name.text, m.name.span, &options)
    }

    /// A matrix, an operator or a diagonal as a program; none for what is neither.
    fn user_map(&self, e: &Expr) -> Found<Option<UserMap>> {
        if e.as_name().is_some_and(|n| !self.defs.contains_key(n)) {
            return Ok(None);
        }
        let Some(m) = lower::lower_map(self, e).map_err(one)? else {
            return Ok(None);
        };
        let mut machine = Machine::new(Arc::new(Plan::compile(&m.ir, &[m.output])));
        for (name, input) in &m.params {
            if let Some(p) = self.param_value(name) {
                machine.set(*input, p.tensor.clone());
            }
        }
        Ok(Some(UserMap::new(machine, m.input, m.size)))
    }

    /// A fault while solving, at the expression it came from.
    pub(super) fn solve_fault(&self, c: &Compiled, f: &Fault, span: Span) -> Diagnostic {
        let ir = &c.problem.ir;
        let place = f
            .node
            .and_then(|n| (n.index() < ir.len()).then(|| ir.origins(n).first().copied()).flatten());
        let mut d = Diagnostic::new(Code::NotFinite, f.what.clone()).at(place.unwrap_or(span), "while solving");
        if !f.at.is_empty() {
            let at: Vec<String> = f.at.iter().map(|(i, v)| format!("{i} = {v}")).collect();
            d = d.note(format!("at {}", at.join(", ")));
        }
        d.help("bound the variables to where every function is defined, or start elsewhere with `from`")
    }

    /// Starts given by `from`: values by variable.
    pub(super) fn starts(&self, from: Option<&Start>, at: usize, seed: u64) -> Found<IndexMap<String, Vec<f64>>> {
        let mut out = IndexMap::new();
        let Some(from) = from else { return Ok(out) };
        let vars = &self.compiled[at].lowered.problem.vars;
        let start_of = |name: &str, dims: &[IndexSet], t: &Tensor, span: Span| -> Found<Vec<f64>> {
            let n: usize = dims.iter().map(IndexSet::len).product();
            if !t.dims.is_empty() && t.dims != dims {
                return Err(vec![
                    Diagnostic::new(
                        Code::BadStart,
                        format!(
                            "`{name}` is {}, its start is {}",
                            lower::describe_dims(dims),
                            lower::describe_dims(&t.dims)
                        ),
                    )
                    .at(span, "this start")
                    .help("a single number starts all entries"),
                ]);
            }
            Ok(super::evaluate::spread(t, n))
        };
        match from {
            Start::Values(values) => {
                for (name, e) in values {
                    let Some(v) = vars.iter().find(|v| v.name == name.text) else {
                        let mut d =
                            Diagnostic::new(Code::BadStart, format!("the problem has no variable `{}`", name.text))
                                .at(name.span, "not a variable");
                        let near =
                            crate::base::diagnostic::did_you_mean(&name.text, vars.iter().map(|v| v.name.as_str()));
                        if let Some(n) = near {
                            d = d.help_edit(format!("did you mean `{n}`?"), name.span, n);
                        }
                        return Err(vec![d]);
                    };
                    match self.evaluate(e).map_err(one)? {
                        Value::Array { tensor, .. } => {
                            out.insert(v.name.clone(), start_of(&v.name, &v.dims, &tensor, e.span)?);
                        }
                        other => {
                            return Err(vec![
                                Diagnostic::new(
                                    Code::BadStart,
                                    format!("a start is a number, found {}", super::show::kind(&other)),
                                )
                                .at(e.span, "here"),
                            ]);
                        }
                    }
                }
            }
            Start::Random(e) => {
                let seed = match e {
                    Some(e) => self.whole_number(e, "a seed")?,
                    None => seed,
                };
                let (mut l, mut u, mut unit) = (vec![], vec![], vec![]);
                for (k, v) in vars.iter().enumerate() {
                    let bounds = self.bounds_of(at, k)?;
                    l.extend(bounds.0);
                    u.extend(bounds.1);
                    unit.extend(self.declared_of(at, k, v.scale, 1.0)?);
                }
                // Around the origin, as far as the bounds allow.
                let center: Vec<f64> = l.iter().zip(&u).map(|(l, u)| 0f64.max(*l).min(*u)).collect();
                let mut drawn = draws::start(Seed(seed), 0, (&l, &u), &center, &unit).into_iter();
                for v in vars {
                    let n: usize = v.dims.iter().map(IndexSet::len).product();
                    out.insert(v.name.clone(), drawn.by_ref().take(n).collect());
                }
            }
            Start::Solution(e) => {
                let solution = e.as_name().and_then(|n| self.defs.get(n));
                let Some(Def::Solution(s)) = solution else {
                    return Err(vec![
                        Diagnostic::new(Code::BadStart, format!("`{}` is not a solution", shown(e)))
                            .at(e.span, "here")
                            .help("`from s` takes an earlier solution, `from x = …` values by name"),
                    ]);
                };
                for v in vars {
                    if let Some(t) = s.fields.get(&v.name) {
                        out.insert(v.name.clone(), start_of(&v.name, &v.dims, t, e.span)?);
                    }
                }
                if out.is_empty() && !vars.is_empty() {
                    let of = if s.problem.is_empty() {
                        "the problem"
                    } else {
                        &s.problem
                    };
                    let why = match s.past.body.iter().any(|b| {
                        matches!(b.kind, StmtKind::Var(_))
                            && b.kind.declared().is_some_and(|n| s.fields.contains_key(&n.text))
                    }) {
                        true => format!(
                            "`{}` is a solution of `{of}`, which has no variable in common with this one",
                            shown(e)
                        ),
                        false => format!("`{}` has no point: it is {}", shown(e), s.status),
                    };
                    return Err(vec![Diagnostic::new(Code::BadStart, why).at(e.span, "here")]);
                }
            }
        }
        Ok(out)
    }

    /// `minimize f from x = …`: a problem of its own that is gone afterwards.
    pub(super) fn minimize_from(&mut self, m: &MinimizeFrom, span: Span, sink: &mut dyn FnMut(Event)) -> Found<()> {
        let started = (self.settings.now)();
        // Definitions stay visible; variables and objectives of the session's own problem do not.
        let lets = self.unnamed_where(|s, _| matches!(s.kind, StmtKind::Let(_)));
        let mut statements: Vec<Stmt> = lets.into_iter().map(|s| s.0).collect();
        for (name, e) in &m.starts {
            let dims = match self.evaluate(e).map_err(one)? {
                Value::Array { tensor, .. } => tensor.dims.clone(),
                _ => vec![],
            };
            if !dims.iter().all(IndexSet::is_plain) {
                return Err(vec![
                    Diagnostic::new(Code::BadStart, "a start over labelled sets needs a declared variable")
                        .at(e.span, "here")
                        .help(format!("declare it: `var {}: Real[…]`", name.text)),
                ]);
            }
            let sizes = dims.iter().map(|d| size_expr(d.len(), e)).collect();
            let ty = TypeExpr {
                name: crate::lang::syntax::Ident {
                    text: "Real".into(),
                    span: name.span,
                },
                dims: sizes,
                span: name.span,
            };
            let var = VarDecl {
                side: None,
                name: name.clone(),
                ty,
                bounds: vec![],
                start: Some(e.clone()),
                scale: None,
            };
            statements.push(Stmt {
                kind: StmtKind::Var(var),
                span: name.span,
                docs: None,
            });
        }
        statements.push(Stmt {
            kind: StmtKind::Objective(m.objective.clone()),
            span,
            docs: None,
        });
        let solve = Solve {
            bind: None,
            target: None,
            from: None,
            to: None,
            within: None,
            seed: None,
            method: None,
            cold: true,
            variation: Variation::default(),
            held: false,
            resume: None,
            stop: None,
            keyword: span,
        };
        let body = Body {
            statements,
            ..Body::default()
        };
        let at = self.lowered("\u{0}".into(), body)?;
        let done = self.solve_compiled(&solve, at, span, started, sink);
        self.compiled.retain(|c| c.key != "\u{0}");
        done
    }

    /// Keeps a solution under the name it was given.
    pub(super) fn keep(&mut self, name: Option<&str>, s: SolutionData) {
        if let Some(n) = name {
            self.runs.shift_remove(n);
            let s = Rc::new(s);
            self.kept.keep(n, &s);
            self.define(n, Def::Solution(s));
        }
    }
}

/// Number of entries of a variable.
fn size(v: &crate::ir::problem::Variable) -> usize {
    v.dims.iter().map(IndexSet::len).product()
}

/// An integer literal in the place of another expression.
pub(super) fn size_expr(n: usize, like: &Expr) -> Expr {
    Expr {
        id: like.id,
        span: like.span,
        kind: crate::lang::syntax::ExprKind::Number {
            value: n as f64,
            integer: true,
        },
    }
}

/// Arguments by parameter name, defaults included.
pub(super) fn bound_args(name: &str, params: &[FormalParam], args: &[Arg], span: Span) -> Found<Vec<(String, Expr)>> {
    let mut out = vec![];
    for (k, f) in params.iter().enumerate() {
        let given = args
            .iter()
            .find(|a| a.name.as_ref().is_some_and(|n| n.text == f.name.text))
            .or_else(|| args.get(k).filter(|a| a.name.is_none()));
        // A default may use the parameters before it.
        let default = f.default.as_ref().map(|d| d.substituted(&out));
        match given.map(|a| a.value.clone()).or(default) {
            Some(e) => out.push((f.name.text.clone(), e)),
            None => {
                return Err(vec![
                    Diagnostic::new(
                        Code::WrongArity,
                        format!("`{name}` needs a value for `{}`", f.name.text),
                    )
                    .at(span, "used here")
                    .at(f.name.span, "declared here"),
                ]);
            }
        }
    }
    if args.len() > params.len() {
        return Err(vec![
            Diagnostic::new(
                Code::WrongArity,
                format!("`{name}` takes {} arguments, {} given", params.len(), args.len()),
            )
            .at(span, "used here"),
        ]);
    }
    Ok(out)
}
