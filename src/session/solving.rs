//! `solve`: from a compiled problem to an answer, from the answer to a solution.
//!
//! Invariant: what a solve needs is worked out before it runs, and told after it ran; a solve that nobody is told of leaves
//! the session as it was.

use std::collections::BTreeMap;
use std::rc::Rc;
use std::sync::Arc;

use crate::base::value::{IndexSet, Table, Tensor, Value};
use crate::base::{Code, Diagnostic, Diagnostics, Level, Span};
use crate::exec::Fault;
use crate::ir::atom::Trust;
use crate::ir::{InputId, Sense};
use crate::lang::lower::SolutionData;
use crate::lang::syntax::{
    Compare, Expr, Ident, MinimizeFrom, Pipeline, ProblemRef, Solve, Stmt, StmtKind, TypeExpr, VarDecl, Variation,
};
use crate::report::ResultEntry;
use crate::solve::compiled::{Answer, Compiled};
use crate::solve::course::{Board, Course, Entry, Kept, Node, Quota, Stage, Standing};
use crate::solve::trace::COUNTED;
use crate::solve::{Class, Status};

use super::history::History;
use super::outcome::About;
use super::problems::{Body, size_expr};
use super::runs::Live;
use super::worker::{Detached, Done, Good, Job, Outcome, Pause};
use super::{Def, Event, Progress, Session};

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
    /// Counts of runners and starts whose records are not kept.
    pub beyond: [f64; COUNTED.len()],
    /// A stage that runs on, interrupted.
    pub left: Option<Detached>,
}

/// A solve that is about to run.
struct Setup {
    /// The compiled forms that its stages run on.
    keys: Vec<Option<String>>,
    course: Course<Stage>,
    entry: Entry,
    params: Vec<(InputId, Arc<Tensor>)>,
    tolerance: f64,
    seconds: Option<f64>,
    /// What a run is made of that may be gone on with; nothing for a solve that runs to its end.
    made_of: Option<BTreeMap<String, String>>,
    /// Was the method chosen by the shape of a saddle problem?
    by_saddle: bool,
}

/// What came of it, and what telling of it takes.
struct Ran {
    attempt: Attempt,
    boards: Vec<Board>,
    /// Did it end where its author wrote?
    as_written: bool,
    tolerance: f64,
    /// The compiled form that the answer is of.
    form: Option<Option<String>>,
    /// A run that may be gone on with: its forms, where it stands, what it is made of, the parameters.
    held: Option<Held>,
}

struct Held {
    forms: Vec<Compiled>,
    node: Node,
    made_of: BTreeMap<String, String>,
    params: Vec<(InputId, Arc<Tensor>)>,
    /// Where it was, to be gone back to.
    marks: Vec<(u64, Kept)>,
}

/// The method for cones of every kind.
const CONES: &str = "clarabel";
/// Coordinates up to which cones are tried after derivatives: their form may have many times as many.
const MOST_BY_CONES: usize = 5_000;

/// Did a method end where another may get further?
fn is_short(a: &Attempt) -> bool {
    let short = matches!(
        a.answer.status,
        Status::PrecisionLimited | Status::Stalled | Status::EvaluationError | Status::StepLimit | Status::Diverged
    );
    short && a.left.is_none() && a.answer.x.len() <= MOST_BY_CONES
}

pub(super) type Found<T> = Result<T, Diagnostics>;

#[allow(clippy::boxed_local, reason = "the shape that `map_err` is given")]
pub(super) fn one(d: Box<Diagnostic>) -> Diagnostics {
    vec![*d]
}

impl Session {
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
        if let Some(ran) = self.run_to_answer(c, at, span, sink)? {
            self.tell_solved(c, at, span, started, ran, sink);
        }
        Ok(())
    }

    /// Runs a solve; tells of progress only, and leaves the session as it was. Nothing where there was nothing to run.
    pub(super) fn attempt(
        &mut self,
        c: &Solve,
        at: usize,
        span: Span,
        sink: &mut dyn FnMut(Event),
    ) -> Found<Option<Attempt>> {
        Ok(self.run_to_answer(c, at, span, sink)?.map(|r| r.attempt))
    }

    /// Runs a solve; where the method was ours to choose, derivatives did not get there, and the problem has cones, by these.
    fn run_to_answer(&mut self, c: &Solve, at: usize, span: Span, sink: &mut dyn FnMut(Event)) -> Found<Option<Ran>> {
        let ran = self.run_solve(c, at, span, sink)?;
        let ours = c.method.is_none() && !c.held && c.stop.is_none() && c.resume.is_none();
        match ran {
            Some(ran) if ours && is_short(&ran.attempt) => Ok(Some(self.by_cones(c, at, span, ran, sink))),
            ran => Ok(ran),
        }
    }

    /// The answer of an interior-point method to the same problem, if it settles what the first one did not.
    fn by_cones(&mut self, c: &Solve, at: usize, span: Span, first: Ran, sink: &mut dyn FnMut(Event)) -> Ran {
        let Some(card) = crate::solve::methods::find(CONES) else {
            return first;
        };
        let form = first.form.as_ref();
        let mut forms = self.compiled[at].forms.iter();
        let ours = form
            .and_then(|key| forms.find(|f| f.0 == *key))
            .is_some_and(|f| matches!(f.1.class, Class::Smooth | Class::SmoothBounds | Class::Composite));
        // Without a conic form there is nothing to try.
        if !ours || self.form_of(at, Some(card)).is_err() {
            return first;
        }
        let mut again = c.clone();
        again.method = self.method_called(&format!("{CONES}()"));
        again.cold = true;
        match self.run_solve(&again, at, span, sink) {
            Ok(Some(mut ran)) if ran.attempt.answer.status.is_success() => {
                let (name, status) = (&first.attempt.answer.method, first.attempt.answer.status.word());
                ran.attempt.answer.method_why = format!("its cones, where `{name}` ended {status}");
                ran.attempt.began = first.attempt.began;
                ran
            }
            _ => first,
        }
    }

    /// Evaluates what the command says, and compiles the forms that its stages need.
    fn set_up(&mut self, c: &Solve, at: usize, sink: &mut dyn FnMut(Event)) -> Found<Setup> {
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
        Ok(Setup {
            keys,
            course,
            entry: Entry::new(start, previous, seed),
            params,
            tolerance,
            seconds,
            made_of,
            by_saddle: default.is_some(),
        })
    }

    /// Runs a solve to its end, or to where it stops on its way. Nothing where it is held at its start.
    fn run_solve(&mut self, c: &Solve, at: usize, span: Span, sink: &mut dyn FnMut(Event)) -> Found<Option<Ran>> {
        let s = self.set_up(c, at, sink)?;
        let now = self.settings.now;
        let (began, tolerance) = (now(), s.tolerance);
        let mut forms = self.lend_forms(at, &s.keys);
        let mut about = self.told_of(at, &forms[0]);
        let title = title(&s.course, &forms);
        let (mut node, mut pause, mut marks) = (s.course.enter(s.entry), None, vec![]);
        if let Some(made_of) = s.made_of.clone() {
            let live = Live {
                about,
                forms,
                node,
                params: s.params.clone(),
                tolerance,
                made_of,
                marks: vec![],
            };
            let Some((live, stop)) = self.begin_here(c, live, span, sink)? else {
                return Ok(None);
            };
            (forms, node, about, pause, marks) = (live.forms, live.node, live.about, stop, live.marks);
        }
        let job = Job {
            forms,
            course: node,
            quota: Quota::ALL,
            pause,
            params: s.params.clone(),
            tolerance,
            deadline: s.seconds.map(|s| now() + s),
            now,
        };
        let mut held = None;
        let (mut history, mut terms) = (History::default(), None);
        let (result, paused, left) = match self.wait_for(job, &about, began, sink) {
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
                about = self.told_of(at, &forms[shown]);
                terms = forms.iter().find_map(Compiled::terms);
                for (k, t) in result.iter().flatten().flat_map(|s| &s.records) {
                    history.push(t, &forms[*k]);
                }
                let result = result.map_err(|(form, f)| vec![self.solve_fault(&forms[form], &f, span)]);
                match s.made_of {
                    Some(made_of) => {
                        held = Some(Held {
                            forms,
                            node: course,
                            made_of,
                            params: s.params,
                            marks,
                        });
                    }
                    None => self.take_forms(at, &s.keys, forms),
                }
                (result?, paused, None)
            }
            Outcome::Detached(good, detached) => {
                let standing = Standing {
                    form: 0,
                    answer: about.interrupted(good, title),
                    boards: vec![],
                    records: vec![],
                    as_written: false,
                };
                (Some(standing), None, Some(detached))
            }
        };
        let ended = now();
        let Some(Standing {
            form,
            mut answer,
            boards,
            mut as_written,
            ..
        }) = result
        else {
            return Ok(None);
        };
        if s.by_saddle {
            answer.method_why = super::optimizers::SADDLE_WHY.into();
        }
        if let Some(why) = &paused {
            answer.status = Status::Feasible;
            answer.reason = format!("{why}, at step {}", answer.iterations.unwrap_or(0));
            as_written = true;
        }
        let mut beyond = [0.0; COUNTED.len()];
        if !boards.is_empty() {
            let (made, extra) = &answer.counts;
            beyond = history.beyond(made, extra, terms);
        }
        let (trace, path) = history.tables();
        Ok(Some(Ran {
            attempt: Attempt {
                answer,
                about,
                began,
                ended,
                trace,
                path,
                beyond,
                left,
            },
            boards,
            as_written,
            tolerance,
            form: s.keys.into_iter().nth(form),
            held,
        }))
    }

    /// What is to be told of a solve of this form.
    fn told_of(&self, at: usize, form: &Compiled) -> About {
        let mut about = About::of(form, |k| self.row_sets(at, k));
        about.fixed = self.compiled[at].body.fixed();
        about
    }

    /// Begins a run that may be gone on with: held at its start, it is kept; else it goes on, to where it is to stop.
    fn begin_here(
        &mut self,
        c: &Solve,
        mut live: Live,
        span: Span,
        sink: &mut dyn FnMut(Event),
    ) -> Found<Option<(Live, Option<Pause>)>> {
        if c.held {
            return self.begin_run(c, live, span, sink).map(|()| None);
        }
        let begun = live.around(self.settings.now, |node, around| node.begin(around));
        if let Err((form, f)) = begun {
            return Err(vec![self.solve_fault(&live.forms[form], &f, span)]);
        }
        live.mark();
        let mut pause = None;
        if let Some(e) = &c.stop {
            let condition = Some(self.condition(e, &mut live)?);
            pause = Some(Pause { condition, until: None });
        }
        Ok(Some((live, pause)))
    }

    /// Waits for a solve, and tells of its progress.
    fn wait_for(&self, job: Job, about: &About, began: f64, sink: &mut dyn FnMut(Event)) -> Outcome {
        let now = self.settings.now;
        let progress = |good: &Option<Good>, ended: bool| {
            let good = good.as_ref();
            let sign = if about.sense == Sense::Maximize { -1.0 } else { 1.0 };
            let objective = |g: &Good| sign * g.1.objective;
            Event::Progress(Box::new(Progress {
                problem: about.name.clone(),
                steps: good.map(|g| g.0),
                objective: good.map(objective),
                stationarity: good.map(|g| g.1.stationarity),
                feasibility: good.map(|g| g.1.feasibility),
                seconds: now() - began,
                ended,
            }))
        };
        let (mut told, mut latest) = (false, None);
        let outcome = job.wait(&self.interrupt, &mut |good| {
            told = true;
            sink(progress(&good, false));
            latest = good;
        });
        if let Outcome::Detached(good, _) = &outcome {
            latest = good.clone().or(latest);
        }
        if told {
            sink(progress(&latest, true));
        }
        outcome
    }

    /// Keeps the solution of a solve and tells of it.
    fn tell_solved(&mut self, c: &Solve, at: usize, span: Span, started: f64, ran: Ran, sink: &mut dyn FnMut(Event)) {
        let Ran {
            attempt,
            boards,
            as_written,
            tolerance,
            form,
            held,
        } = ran;
        let Attempt {
            mut answer,
            about,
            began,
            ended,
            trace,
            path,
            left,
            ..
        } = attempt;
        if !answer.x.is_empty() && answer.status.is_success() {
            self.compiled[at].last = Some(answer.x.clone());
        }
        self.tell_whether_it_helped(at, &mut answer);
        let mut entry = self.entry(&about, &answer, tolerance, (began - started, ended - began));
        entry.as_written = as_written;
        entry.boards = boards;
        entry.changes = c.variation.to_string();
        entry.turn = self.turn.join(", ");
        let mut data = self.solution(at, &answer, &entry);
        (data.trace, data.path) = (trace, path);
        self.keep(c.bind.as_ref().map(|b| b.text.as_str()), data);
        let doubt = doubt(&answer, span);
        let trouble = answer.fault.as_ref().map(|f| {
            let form = self.compiled[at].forms.iter().find(|f| Some(&f.0) == form.as_ref());
            match (form, &held) {
                (Some((_, c)), _) => self.solve_fault(c, f, span),
                (None, Some(held)) => self.solve_fault(&held.forms[0], f, span),
                (None, None) => Diagnostic::new(Code::NotFinite, f.what.clone()).at(span, "while solving"),
            }
        });
        sink(Event::Solved(Box::new(entry.clone())));
        self.report.results.push(ResultEntry::Solve(Box::new(entry)));
        if let (Some(held), Some(b)) = (held, &c.bind) {
            self.go_on_with(&b.text, about, held, tolerance);
        } else if let Some(left) = left {
            self.detach(&about.name, left, span, sink);
        }
        if let Some(d) = doubt {
            self.tell(d, sink);
        }
        if let Some(d) = trouble {
            let level = Level::Warning;
            self.tell(Diagnostic { level, ..d }, sink);
        }
    }

    /// Keeps a run that stopped on its way under the name of its solution, which has its states too.
    fn go_on_with(&mut self, name: &str, about: About, held: Held, tolerance: f64) {
        let mut live = Live {
            about,
            forms: held.forms,
            node: held.node,
            params: held.params,
            tolerance,
            made_of: held.made_of,
            marks: held.marks,
        };
        live.mark();
        let data = live.data(self.settings.now);
        if let Some(Def::Solution(s)) = self.defs.get(name) {
            let mut s = (**s).clone();
            for (n, t) in data.fields {
                s.fields.entry(n).or_insert(t);
            }
            self.define(name, Def::Solution(Rc::new(s)));
        }
        self.runs.insert(name.to_string(), live);
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
                name: Ident {
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

/// The title of the first method of a course.
fn title(course: &Course<Stage>, forms: &[Compiled]) -> String {
    let mut title = String::new();
    course.for_each(&mut |s| {
        let card = s.method.as_ref().map(|m| m.card());
        let card = card.or_else(|| forms[s.form].row().map(|c| c.card));
        if let (true, Some(c)) = (title.is_empty(), card) {
            title = c.title.to_string();
        }
    });
    title
}

/// What is to be said of an answer that may be wrong.
fn doubt(answer: &Answer, span: Span) -> Option<Diagnostic> {
    let error = answer.error?;
    let (rank, full) = answer.deficient.unwrap_or_default();
    let condition = answer.condition.unwrap_or(f64::NAN);
    let trust = Trust {
        error,
        condition,
        rank,
        full,
    };
    super::trust::doubt(&trust, Some(span))
}
