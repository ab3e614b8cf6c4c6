//! Pipelines to methods: definitions of the session and of the library, stages, and whether the problem can answer.
//!
//! Invariant: a definition of the library is read when its name is first called, and a user's own goes before it.

pub(super) mod library;
mod reference;

use std::rc::Rc;
use std::sync::Arc;

use crate::base::value::IndexSet;
use crate::base::view::View;
use crate::base::{Code, Diagnostic, Span};
use crate::ir::script::{Ask, Of, Script, Sizes};
use crate::lang::check;
use crate::lang::lower::{PartCall, PointBlock, Space, lower_script};
use crate::lang::parse::parse;
use crate::lang::syntax::{
    Arg, BinaryOp, CompareOp, CountUnit, Entrant, Expr, ExprKind, Ident, MethodCall, OptimizerDecl, Pipeline, Program,
    Role, Side, Stage, StmtKind,
};
use crate::solve::course::{Course, Limits};
use crate::solve::methods::scripted::Scripted;
use crate::solve::{self, Budget, Class, Method, Stop};

use super::problems::bound_args;
use super::solving::{Found, one};
use super::{Def, Event, Session};

/// Steps of a stage that says nothing of its end.
const STEPS: u64 = 100_000;
/// Steps of a stage that waits for a quantity to fall, and says nothing else of its end.
const WAITED: u64 = 1_000_000;
/// Most starts of a `multistart`, most turns of a `repeat`.
const MOST_STARTS: u64 = 100_000;
const MOST_TURNS: u64 = 10_000;
/// Steps between two looks at the tolerance.
const LOOK: u64 = 10;

/// A stage that can run.
pub(super) struct Runnable {
    pub method: Option<Arc<dyn Method>>,
    pub budget: Budget,
    pub stops: Vec<Stop>,
    pub measure_every: u64,
    pub judge: bool,
    /// What a method of the language asks for, and where it is called.
    asks: Option<Asks>,
    /// Where a built-in method is called.
    called: Option<Span>,
}

/// What finds a saddle point where no method is asked for.
pub(super) const SADDLE: &str = "extragradient(search: true)";
/// Why that.
pub(super) const SADDLE_WHY: &str = "a saddle point: extrapolation, with step lengths found on the way";

struct Asks {
    name: String,
    asks: Vec<(Ask, Span)>,
    samples: Option<Span>,
    fmin: Option<Span>,
    over: Option<(IndexSet, Span)>,
    projects: bool,
    /// Variables that no line changes.
    frozen: Vec<String>,
    span: Span,
}

/// A stage with its names resolved.
struct Resolved {
    parts: Vec<(Rc<OptimizerDecl>, Vec<(String, Expr)>, Span)>,
    builtin: Option<MethodCall>,
    count: Option<(Expr, CountUnit)>,
    until: Option<Expr>,
    within: Option<f64>,
    span: Span,
}

impl Session {
    /// The methods of the stages of a pipeline, for points made of the given blocks; for tools that step them themselves.
    pub fn methods_of(&mut self, pipeline: &str, blocks: &[PointBlock]) -> Result<Vec<Scripted>, Vec<Diagnostic>> {
        let text = format!("solve with {pipeline}");
        let id = self.sources.add("pipeline", text.as_str());
        let (program, found) = parse(id, &text);
        if found.iter().any(Diagnostic::is_error) {
            return Err(found);
        }
        self.bring_library(&program);
        let mut out = vec![];
        for s in &program.statements {
            let StmtKind::Solve(c) = &s.kind else { continue };
            let Some(p) = &c.method else { continue };
            self.resolve(p, &[], 0)?.try_map(&mut |r| {
                let sizes = &|| Sizes {
                    constraints: Err("only its variables are known".into()),
                    residuals: Err("only its variables are known".into()),
                    terms: None,
                };
                out.push(Scripted::new(self.script(&r, Space { blocks, sizes })?));
                Ok::<_, Vec<Diagnostic>>(())
            })?;
        }
        Ok(out)
    }

    /// The reference page of the library, in Markdown.
    pub fn library_page() -> String {
        reference::page()
    }

    /// Names of all definitions of the library.
    pub fn library() -> impl Iterator<Item = &'static str> {
        library::entries().iter().map(|e| e.name)
    }

    /// Brings in what a text calls and the library defines.
    pub(super) fn bring_library(&mut self, program: &Program) {
        let mut called = vec![];
        library::called(program, &mut called);
        let declared = library::declared(program);
        for name in called {
            if !self.defs.contains_key(&name) && !declared.contains(&name) && !self.checker.names.contains_key(&name) {
                self.bring_method(&name);
            }
        }
    }

    /// Makes a definition of the library known, if the user has none of its name.
    fn bring_method(&mut self, name: &str) {
        if !self.library.defs.contains_key(name) {
            self.read_definition(name);
        }
        let (Some(e), Some(def)) = (self.library.env.names.get(name), self.library.defs.get(name)) else {
            return;
        };
        self.checker.names.entry(name.to_string()).or_insert_with(|| e.clone());
        // No definition of the user depends on it yet.
        self.defs.entry(name.to_string()).or_insert_with(|| def.clone());
    }

    fn read_definition(&mut self, name: &str) {
        let Some(entry) = library::find(name) else { return };
        let id = self.sources.add(format!("std/{}", entry.file), entry.text);
        let (program, _) = parse(id, entry.text);
        let mut called = vec![];
        library::called(&program, &mut called);
        for n in called {
            if n != name {
                self.bring_method(&n);
            }
        }
        let (checked, found) = check::check(&program, &self.library.env, &self.catalogue);
        if found.iter().any(Diagnostic::is_error) {
            // A mistake of ours: the name stays unknown, and the library's own test says why.
            return;
        }
        self.library.sources.insert(id);
        self.library.env = checked.env;
        for s in program.statements {
            let (name, def) = match s.kind {
                StmtKind::Optimizer(d) => (d.name.text.clone(), Def::Optimizer(Rc::new(*d))),
                StmtKind::Pipeline(d) => (d.name.text.clone(), Def::Pipeline(Rc::new(*d))),
                StmtKind::Fn(d) => (d.name.text.clone(), Def::Fn(Rc::new(d))),
                _ => continue,
            };
            self.library.defs.insert(name, def);
        }
    }

    /// `source NAME` and `help NAME`.
    pub(super) fn about(&mut self, n: &Ident, source: bool) -> Found<View> {
        let name = n.text.as_str();
        let text = self.definition_text(name);
        if let Some(text) = text {
            if source {
                return Ok(listing(&text));
            }
            let head = library::head(&text);
            return Ok(listing(&format!("{head}\n{}", library::comment(&text))));
        }
        if source && let Some(card) = solve::methods::find(name) {
            return Err(vec![
                Diagnostic::new(
                    Code::UnknownName,
                    format!("`{}` is not written in the language", card.name),
                )
                .at(n.span, "built in")
                .help(format!("`help {name}` says what it does")),
            ]);
        }
        if let (false, Some(view)) = (source, self.help_on(name)) {
            return Ok(view);
        }
        Err(vec![
            Diagnostic::new(Code::UnknownName, format!("`{name}` has no definition to show")).at(n.span, ""),
        ])
    }

    /// The text of a definition, its documentation comment above it.
    fn definition_text(&self, name: &str) -> Option<String> {
        let own = match self.defs.get(name) {
            Some(Def::Optimizer(d)) => Some(d.span),
            Some(Def::Pipeline(d)) => Some(d.name.span.to(d.body.span)),
            Some(Def::Fn(d)) => Some(d.name.span.to(d.body.span)),
            _ => None,
        };
        match (own, library::find(name)) {
            (Some(span), entry) => {
                let text = self.sources.get(span.source).map_or("", |s| &*s.text);
                match entry {
                    Some(e) if text == e.text => Some(e.text.trim_end().to_string()),
                    _ => Some(library::around(text, span.start as usize, span.end as usize)),
                }
            }
            (None, Some(e)) => Some(e.text.trim_end().to_string()),
            (None, None) => None,
        }
    }

    /// The method of a problem whose default is written in the language, if its is.
    pub(super) fn default_method(&mut self, at: usize) -> Option<Pipeline> {
        let o = &self.compiled[at].lowered.problem.objective;
        if o.as_ref().is_none_or(|o| o.sense != crate::ir::Sense::Saddle) {
            return None;
        }
        self.method_called(SADDLE)
    }

    /// A method as a `with` clause would say it.
    pub(super) fn method_called(&mut self, text: &str) -> Option<Pipeline> {
        let text = format!("solve with {text}");
        let id = self.sources.add("default", text.as_str());
        let (mut program, _) = parse(id, &text);
        self.bring_library(&program);
        match program.statements.pop().map(|s| s.kind) {
            Some(StmtKind::Solve(c)) => c.method,
            _ => None,
        }
    }

    /// The course of a `with` clause; one stage without a method if there is no clause.
    pub(super) fn stages(&self, p: Option<&Pipeline>, at: usize) -> Found<Course<Runnable>> {
        let Some(p) = p else {
            return Ok(Course::Stage(Runnable {
                method: None,
                budget: Budget {
                    steps: Some(STEPS),
                    ..Budget::default()
                },
                stops: vec![],
                measure_every: 0,
                judge: false,
                asks: None,
                called: None,
            }));
        };
        let mut blocks = vec![];
        let mut offset = 0;
        for v in &self.compiled[at].lowered.problem.vars {
            let len = v.dims.iter().map(IndexSet::len).product();
            blocks.push(PointBlock {
                name: v.name.clone(),
                dims: v.dims.clone(),
                offset,
                len,
            });
            offset += len;
        }
        let lowered = &self.compiled[at].lowered;
        let space = Space {
            blocks: &blocks,
            sizes: &|| solve::vectors::sizes(&lowered.problem, &self.param_inputs(&lowered.params)),
        };
        self.resolve(p, &[], 0)?.try_map(&mut |r| self.runnable(r, space))
    }

    /// The course over the compiled forms of the problem, by their keys; what a stage asks for and the problem cannot
    /// answer is an error before anything runs.
    pub(super) fn fitted(
        &mut self,
        at: usize,
        course: Course<Runnable>,
        sink: &mut dyn FnMut(Event),
    ) -> Found<(Vec<Option<String>>, Course<solve::course::Stage>)> {
        let mut keys: Vec<Option<String>> = vec![];
        let course = course.try_map(&mut |r: Runnable| {
            self.unconstrained(at, &r)?;
            let form = self.form_of(at, r.method.as_deref().map(Method::card))?;
            self.fits(at, form, &r)?;
            for line in self.remarks(at, form, &r) {
                sink(Event::Log(line));
            }
            let key = self.compiled[at].forms[form].0.clone();
            let form = keys.iter().position(|k| *k == key).unwrap_or_else(|| {
                keys.push(key);
                keys.len() - 1
            });
            Ok::<_, Vec<Diagnostic>>(solve::course::Stage {
                form,
                method: r.method,
                budget: r.budget,
                stops: r.stops,
                measure_every: r.measure_every,
                judge: r.judge,
            })
        })?;
        Ok((keys, course))
    }

    /// Replaces pipelines by what they stand for.
    fn resolve(&self, p: &Pipeline, by: &[(String, Expr)], depth: usize) -> Found<Course<Resolved>> {
        let mut parts = p.stages.iter().map(|s| self.resolve_stage(s, by, depth));
        match (p.stages.len(), parts.next()) {
            (1, Some(one)) => one,
            (_, first) => Ok(Course::Then(first.into_iter().chain(parts).collect::<Found<_>>()?)),
        }
    }

    fn resolve_stage(&self, s: &Stage, by: &[(String, Expr)], depth: usize) -> Found<Course<Resolved>> {
        let within = match &s.within {
            Some((e, unit)) => Some(self.positive(&e.substituted(by), "a time limit")? * unit.seconds()),
            None => None,
        };
        let mut calls: Vec<(MethodCall, Span)> = s.parts.iter().map(|m| (called(m, by), m.span)).collect();
        if calls.len() > 1 {
            calls = self.path(calls, depth)?;
        }
        let inner = match calls.as_slice() {
            [(m, _)] if m.group.is_some() => self.group(m, by, depth)?,
            [(m, _)] => match self.defs.get(&m.name.text) {
                Some(Def::Pipeline(d)) => {
                    let args = bound_args(&d.name.text, &d.params, &m.args, m.span)?;
                    deep(depth, m.span)?;
                    self.resolve(&d.body, &args, depth + 1)?
                }
                _ => return Ok(Course::Stage(self.resolve_one(s, calls, by, within)?)),
            },
            _ => return Ok(Course::Stage(self.resolve_one(s, calls, by, within)?)),
        };
        if s.count.is_none() && s.until.is_none() && within.is_none() {
            return Ok(inner);
        }
        if let Course::Stage(mut one) = inner {
            self.ends(s, by, within, &mut one);
            return Ok(Course::Stage(one));
        }
        let mut limits = Limits::default();
        limits.budget.seconds = within;
        if let Some((e, unit)) = &s.count {
            self.counted(&e.substituted(by), *unit, &mut limits.budget)?;
        }
        if let Some(e) = &s.until {
            self.predicate(&e.substituted(by), &mut limits.stops)?;
        }
        Ok(Course::Within(limits, Box::new(inner)))
    }

    /// The parts of one step, with their places, those that are the path of a step themselves replaced by it.
    fn path(&self, calls: Vec<(MethodCall, Span)>, depth: usize) -> Found<Vec<(MethodCall, Span)>> {
        let mut out = vec![];
        for (m, place) in calls {
            let named = match self.defs.get(&m.name.text) {
                Some(Def::Pipeline(d)) => d.body.path().map(|parts| (d, parts)),
                _ => None,
            };
            let Some((d, parts)) = named else {
                out.push((m, place));
                continue;
            };
            deep(depth, m.span)?;
            let args = bound_args(&d.name.text, &d.params, &m.args, m.span)?;
            let inner = parts.iter().map(|p| (called(p, &args), place)).collect();
            out.extend(self.path(inner, depth + 1)?);
        }
        Ok(out)
    }

    /// `race { … }`, `multistart(20) { … }`, `repeat(3) { … }`.
    fn group(&self, m: &MethodCall, by: &[(String, Expr)], depth: usize) -> Found<Course<Resolved>> {
        let entrants = m.group.as_deref().unwrap_or_default();
        let runner = |e: &Entrant| self.resolve(&e.pipeline, by, depth + 1);
        let count = |most: u64| -> Found<u64> {
            let e = m.args.iter().find(|a| a.name.is_none()).map(|a| &a.value);
            let k = match e {
                Some(e) => self.positive(e, "how often")?,
                None => f64::NAN,
            };
            if k.fract() == 0.0 && k <= most as f64 {
                return Ok(k as u64);
            }
            let d = Diagnostic::new(
                Code::BadOption,
                format!("`{}` takes an integer of at most {most}", m.name.text),
            );
            Err(vec![d.at(e.map_or(m.span, |e| e.span), "here")])
        };
        Ok(match (m.name.text.as_str(), entrants) {
            ("race", _) => {
                let named = |e: &Entrant| match &e.label {
                    Some(l) => l.text.clone(),
                    None => self.text_of(e.pipeline.span),
                };
                let all = entrants.iter().map(|e| Ok((named(e), runner(e)?)));
                Course::Race(all.collect::<Found<_>>()?)
            }
            ("multistart", [one]) => {
                let spread = m
                    .args
                    .iter()
                    .find(|a| a.name.as_ref().is_some_and(|n| n.text == "spread"));
                Course::Many {
                    count: count(MOST_STARTS)?,
                    spread: spread.map_or(Ok(1.0), |a| self.positive(&a.value, "a spread"))?,
                    body: Box::new(runner(one)?),
                }
            }
            ("repeat", [one]) => Course::Repeat(count(MOST_TURNS)?, Box::new(runner(one)?)),
            _ => {
                return Err(vec![
                    Diagnostic::new(Code::BadPipeline, format!("`{}` takes no such pipelines", m.name.text))
                        .at(m.span, "here"),
                ]);
            }
        })
    }

    /// The name of a method, with the names of the methods that it is given.
    pub(super) fn method_text(&self, name: &str, args: &[Arg]) -> String {
        let given: Vec<String> = args
            .iter()
            .filter_map(|a| match &a.value.kind {
                ExprKind::Call { callee, args } => Some((callee.as_name()?, args)),
                _ => None,
            })
            .filter(|(n, _)| match self.defs.get(*n) {
                Some(d) => matches!(d, Def::Optimizer(_) | Def::Pipeline(_)),
                None => solve::methods::find(n).is_some(),
            })
            .map(|(n, args)| self.method_text(n, args))
            .collect();
        match given.as_slice() {
            [] => name.to_string(),
            _ => format!("{name}({})", given.join(", ")),
        }
    }

    /// A piece of program text on one line.
    pub(super) fn text_of(&self, span: Span) -> String {
        let text = self.sources.get(span.source).map_or("", |s| &*s.text);
        let piece = text.get(span.start as usize..span.end as usize).unwrap_or("");
        piece.split_whitespace().collect::<Vec<_>>().join(" ")
    }

    fn ends(&self, s: &Stage, by: &[(String, Expr)], within: Option<f64>, r: &mut Resolved) {
        if let Some((e, unit)) = &s.count {
            r.count = Some((e.substituted(by), *unit));
        }
        if let Some(e) = &s.until {
            r.until = Some(e.substituted(by));
        }
        r.within = within.or(r.within);
    }

    fn resolve_one(
        &self,
        s: &Stage,
        calls: Vec<(MethodCall, Span)>,
        by: &[(String, Expr)],
        within: Option<f64>,
    ) -> Found<Resolved> {
        let mut r = Resolved {
            parts: vec![],
            builtin: None,
            count: None,
            until: None,
            within: None,
            span: s.span,
        };
        self.ends(s, by, within, &mut r);
        let alone = calls.len() == 1;
        let places: Vec<Span> = calls.iter().map(|c| c.1).collect();
        for (m, place) in calls {
            // What a parameter stands for is written elsewhere.
            let there = |d: Diagnostic| match place == m.span {
                true => d,
                false => d.at(place, "stands here"),
            };
            match self.defs.get(&m.name.text) {
                Some(Def::Optimizer(d)) => {
                    let args = bound_args(&d.name.text, &d.params, &m.args, m.span)?;
                    // Defaults are lowered with the definition's own names.
                    let given = args
                        .into_iter()
                        .filter(|(n, _)| {
                            let k = d.params.iter().position(|p| p.name.text == *n);
                            m.args.iter().enumerate().any(|(i, a)| match &a.name {
                                Some(w) => w.text == *n,
                                None => Some(i) == k,
                            })
                        })
                        .collect();
                    r.parts.push((d.clone(), given, m.span));
                }
                _ if alone => r.builtin = Some(m),
                _ => {
                    self.builtin(&m)?;
                    return Err([Diagnostic::new(
                        Code::BadPipeline,
                        format!(
                            "`{}` steps as a whole: transforms do not reach into its steps",
                            m.name.text
                        ),
                    )
                    .at(m.span, "here")
                    .help("optimizers written in the language combine with transforms, such as `adam(lr: 0.1)`; `then` runs stages one after the other")]
                    .map(there)
                    .to_vec());
                }
            }
        }
        let main = r.parts.iter().position(|p| p.0.role == Role::Optimizer);
        let misplaced = |(k, p): &(usize, &(Rc<OptimizerDecl>, Vec<(String, Expr)>, Span))| match p.0.side() {
            Some(Side::Gradient) => main.is_some_and(|m| *k > m),
            Some(Side::Update) => main.is_some_and(|m| *k < m),
            None => main.is_some_and(|m| *k < m) && !p.0.of_update(),
        };
        if let Some((k, (d, _, span))) = r.parts.iter().enumerate().find(misplaced) {
            let (what, side, there) = match d.side() {
                Some(Side::Gradient) => ("the gradient", "before", "stands behind the optimizer"),
                Some(Side::Update) => ("the update", "behind", "stands before the optimizer"),
                None => ("the point", "behind", "stands before the optimizer"),
            };
            let what = format!("`{}` changes {what}, so it stands {side} the optimizer", d.name.text);
            return Err(vec![
                Diagnostic::new(Code::BadPipeline, what)
                    .at(*span, "given here")
                    .at(places[k], there)
                    .help("the path of a step is: transforms of the gradient, one optimizer, transforms of the update and of the point"),
            ]);
        }
        Ok(r)
    }

    fn runnable(&self, r: Resolved, space: Space<'_>) -> Found<Runnable> {
        let mut budget = Budget {
            seconds: r.within,
            ..Budget::default()
        };
        if let Some((e, unit)) = &r.count {
            self.counted(e, *unit, &mut budget)?;
        }
        let mut stops = vec![];
        if let Some(e) = &r.until {
            self.predicate(e, &mut stops)?;
        }
        if let Some(m) = &r.builtin {
            let method = self.builtin(m)?;
            budget.steps.get_or_insert(STEPS);
            return Ok(Runnable {
                method: Some(method),
                budget,
                stops,
                measure_every: 0,
                judge: false,
                asks: None,
                called: Some(m.span),
            });
        }
        let script = self.script(&r, space)?;
        let asks = Asks {
            name: script.name.clone(),
            asks: script.asks.clone(),
            samples: script.samples,
            fmin: script.fmin_at,
            over: script.over.clone(),
            projects: script.projects,
            frozen: script.frozen().into_iter().map(str::to_string).collect(),
            span: r.span,
        };
        let open_end = r.count.is_none() && r.until.is_none();
        if r.count.is_none() && r.within.is_none() {
            budget.steps = Some(if open_end { STEPS } else { WAITED });
        }
        let measure_every = match budget.steps {
            Some(n) if r.count.is_some() => (n / 100).max(1),
            _ => LOOK,
        };
        Ok(Runnable {
            method: Some(Arc::new(Scripted::new(script))),
            budget,
            stops,
            measure_every,
            judge: open_end,
            asks: Some(asks),
            called: None,
        })
    }

    /// `500 steps`, `20 epochs`.
    fn counted(&self, e: &Expr, unit: CountUnit, budget: &mut Budget) -> Found<()> {
        let k = self.positive(e, "a number of steps")?;
        if k.fract() != 0.0 {
            return Err(vec![
                Diagnostic::new(Code::BadOption, format!("a number of steps is an integer, found {k}"))
                    .at(e.span, "here"),
            ]);
        }
        match unit {
            CountUnit::Steps => budget.steps = Some(k as u64),
            CountUnit::Evaluations => budget.evaluations = Some(k as u64),
            CountUnit::Epochs => budget.epochs = Some(k as u64),
        }
        Ok(())
    }

    /// The script of a stage.
    fn script(&self, r: &Resolved, space: Space<'_>) -> Found<Script> {
        let parts: Vec<PartCall<'_>> = r
            .parts
            .iter()
            .map(|(d, args, span)| PartCall {
                decl: d,
                args: args.clone(),
                span: *span,
            })
            .collect();
        if !parts.iter().any(|p| p.decl.role == Role::Optimizer) {
            return Err(vec![
                Diagnostic::new(Code::BadPipeline, "a step has one optimizer, this one has none").at(r.span, "here"),
            ]);
        }
        lower_script(self, &parts, space)
    }

    /// `stationarity <= 1e-8 or relative(objective) <= 1e-3`.
    fn predicate(&self, e: &Expr, out: &mut Vec<Stop>) -> Found<()> {
        match &e.kind {
            ExprKind::Chain { first, rest } if rest.iter().all(|l| l.op == BinaryOp::Or) => {
                self.predicate(first, out)?;
                rest.iter().try_for_each(|l| self.predicate(&l.operand, out))
            }
            ExprKind::Compare { first, rest } if rest.len() == 1 && rest[0].op == CompareOp::Le => {
                let limit = self.number(&rest[0].operand).map_err(one)?;
                let (relative, inner) = match &first.kind {
                    ExprKind::Call { callee, args } if callee.as_name() == Some("relative") && args.len() == 1 => {
                        (true, &args[0].value)
                    }
                    _ => (false, &**first),
                };
                let Some(name) = inner.as_name() else {
                    return Err(vec![
                        Diagnostic::new(Code::BadPipeline, "a stage ends when a named quantity falls to a limit")
                            .at(inner.span, "no name"),
                    ]);
                };
                out.push(Stop {
                    quantity: name.to_string(),
                    limit,
                    relative,
                });
                Ok(())
            }
            _ => Err(vec![
                Diagnostic::new(Code::BadPipeline, "a stage ends when a named quantity falls to a limit")
                    .at(e.span, "here"),
            ]),
        }
    }

    /// Can the problem answer what a stage asks for?
    pub(super) fn fits(&mut self, at: usize, form: usize, stage: &Runnable) -> Found<()> {
        let Some(a) = &stage.asks else {
            return self.takes(at, form, stage);
        };
        let corners = a.asks.iter().find(|(k, _)| *k == Ask::LinearMinimum);
        let params = match corners {
            Some(_) => self.param_inputs(&self.compiled[at].lowered.params),
            None => vec![],
        };
        let c = &mut self.compiled[at].forms[form].1;
        c.sample_over(a.over.as_ref().map(|o| &o.0));
        let no_corners = corners.and_then(|_| c.no_corners(&params));
        let c = &*c;
        let problem = match c.problem.name.as_str() {
            "" => "the problem".to_string(),
            n => format!("`{n}`"),
        };
        let missing = |what: &str, span: Span| {
            Diagnostic::new(
                Code::OracleMissing,
                format!("`{}` asks for {what}, which {problem} does not answer", a.name),
            )
            .at(span, "asked for here")
            .at(a.span, "used here")
        };
        let mut found = vec![];
        let saddle = c.class == Class::Saddle;
        if let Some((_, span)) = a.asks.iter().find(|(k, _)| *k == Ask::Operator).filter(|_| !saddle) {
            found.push(missing("the operator of a saddle point", *span).help(
                "a plain problem takes `gd`, `nesterov`, `adam`, …; a saddle point is declared by `min x: …`, `max y: …` and `objective …`",
            ));
        }
        let falls = |k: &Ask| matches!(k, Ask::Trial | Ask::Hessian | Ask::Diagonal);
        if let Some((_, span)) = a.asks.iter().find(|(k, _)| falls(k)).filter(|_| saddle) {
            found.push(missing("an objective that it lowers", *span).help(
                "the objective of a saddle point falls and rises: `extragradient(lr: …)`, `optimistic_gradient(lr: …)`",
            ));
        }
        let open = c.class != Class::Composite && c.problem.vars.iter().any(|v| v.lower.is_none() || v.upper.is_none());
        if let Some((_, span)) = corners.filter(|_| open || no_corners.is_some()) {
            let d = missing("the least value of a linear function", *span);
            found.push(
                d.help("it is known where every variable lies between bounds, in a simplex or in a ball: `in [0, 1]`, `in simplex`"),
            );
        }
        if let (None, Some((set, span))) = (c.terms(), &a.over) {
            found.push(
                missing(&format!("a sample of a sum over {}", shown(set)), *span)
                    .help("`of:` names the set of an outermost `mean(i in S) …` or `sum(i in S) …` of the objective"),
            );
        } else if c.terms().is_none() {
            let epochs = stage.budget.epochs.is_some();
            if let (None, true) = (a.samples, epochs) {
                let d = Diagnostic::new(
                    Code::OracleMissing,
                    format!("`for … epochs` counts passes over a sum of samples, and {problem} has none"),
                );
                found.push(d.at(a.span, "used here").help("`for 100 steps` counts steps"));
            }
            if let Some(span) = a.samples {
                found.push(
                    missing("mini-batches", span)
                        .note("the terms of a finite sum are about the same variables; where the index picks them, as in `w[i]`, they are parts, not samples")
                        .help("a finite sum answers them: an objective with one `mean(i in S) …` or `sum(i in S) …` over samples"),
                );
            }
        }
        if let Some(span) = a.fmin.filter(|_| c.known_lower_bound().is_none()) {
            found.push(
                missing("`fmin`, the least value of the objective", span)
                    .note("nothing proves a lower bound of this objective; sums of squares and other terms of one sign have one")
                    .help(format!(
                        "say it, if you know it: `{}(fmin: …)`; `polyak_level()` looks for it",
                        a.name.split(' ').next().unwrap_or_default()
                    )),
            );
        }
        let any = |v: &crate::ir::Variable| v.lower.is_some() || v.upper.is_some();
        let bounds = c.class == Class::SmoothBounds || saddle && c.problem.vars.iter().any(any);
        if bounds && !a.projects {
            let bounded: Vec<String> = c
                .problem
                .vars
                .iter()
                .filter(|v| v.lower.is_some() || v.upper.is_some())
                .map(|v| format!("`{}`", v.name))
                .collect();
            found.push(
                Diagnostic::new(
                    Code::OracleMissing,
                    format!(
                        "`{}` needs an unconstrained problem; {problem} has bounds on {}",
                        a.name,
                        bounded.join(", ")
                    ),
                )
                .at(a.span, "nothing here heeds them")
                .help("add `|> projected()`, or leave the choice to `solve`"),
            );
        }
        if found.is_empty() { Ok(()) } else { Err(found) }
    }

    /// What a reader should know of a stage before it runs.
    pub(super) fn remarks(&self, at: usize, form: usize, stage: &Runnable) -> Vec<String> {
        let Some(a) = &stage.asks else { return vec![] };
        let mut out = vec![];
        let known = a.fmin.and_then(|_| self.compiled[at].forms[form].1.known_lower_bound());
        if let Some(known) = known {
            out.push(format!(
                "{} takes {known} for `fmin`: the objective is proved to be nowhere less; where its least value is larger, say that",
                a.name
            ));
        }
        if !a.frozen.is_empty() {
            let names: Vec<String> = a.frozen.iter().map(|n| format!("`{n}`")).collect();
            out.push(format!(
                "{} leaves {} where it starts: no line of its step changes it; `else` behind an `each` is for the other variables",
                a.name,
                crate::report::solve::and(&names.iter().map(String::as_str).collect::<Vec<_>>())
            ));
        }
        out
    }

    /// Can the built-in method that was asked for take the data?
    fn takes(&mut self, at: usize, form: usize, stage: &Runnable) -> Found<()> {
        let (Some(m), Some(called)) = (&stage.method, stage.called) else {
            return Ok(());
        };
        let params = self.param_inputs(&self.compiled[at].lowered.params);
        let c = &mut self.compiled[at].forms[form].1;
        if let Some(why) = m.misfit(c.columns.len()) {
            let d = Diagnostic::new(Code::BadOption, why).at(called, "asked for here");
            return Err(vec![d]);
        }
        match c.unfit(m.card().name, &params) {
            Some((what, way)) => Err(vec![
                Diagnostic::new(Code::MethodCannotTake, what)
                    .at(called, "asked for here")
                    .help(way),
            ]),
            None => Ok(()),
        }
    }

    /// Before a problem is compiled for a method of the language: has it constraints that nothing heeds?
    pub(super) fn unconstrained(&self, at: usize, stage: &Runnable) -> Found<()> {
        let (Some(a), p) = (&stage.asks, &self.compiled[at].lowered.problem) else {
            return Ok(());
        };
        if a.projects || a.asks.iter().any(|(k, _)| heeds(*k)) {
            // Which sets it can heed is for the classifier to say.
            return Ok(());
        }
        let Some(first) = p.constraints.first() else {
            return Ok(());
        };
        let problem = match p.name.as_str() {
            "" => "the problem".to_string(),
            n => format!("`{n}`"),
        };
        Err(vec![
            Diagnostic::new(
                Code::OracleMissing,
                format!(
                    "`{}` needs an unconstrained problem; {problem} has `{}`",
                    a.name, first.name
                ),
            )
            .at(a.span, "nothing here heeds constraints")
            .help("leave the choice to `solve`: drop the `with` clause"),
        ])
    }
}

/// Pipelines are not inside themselves.
fn deep(depth: usize, at: Span) -> Found<()> {
    if depth <= 50 {
        return Ok(());
    }
    let d = Diagnostic::new(Code::Recursion, "a pipeline refers to itself");
    Err(vec![d.at(at, "reached again here")])
}

/// A part with the values of the parameters around it; one that is such a parameter is what was given for it.
fn called(m: &MethodCall, by: &[(String, Expr)]) -> MethodCall {
    let given = by.iter().find(|(n, _)| *n == m.name.text).map(|g| &g.1);
    if let Some(e) = given
        && let ExprKind::Call { callee, args } = &e.kind
        && let Some(name) = callee.as_name()
    {
        return MethodCall {
            name: Ident {
                text: name.to_string(),
                span: callee.span,
            },
            args: args.clone(),
            group: None,
            span: e.span,
        };
    }
    let mut m = m.clone();
    m.args.iter_mut().for_each(|a| a.value = a.value.substituted(by));
    m
}

/// Does a step that asks this see the constraints itself?
fn heeds(a: Ask) -> bool {
    let of = Of::Constraints;
    [Ask::Vector(of), Ask::Jacobian(of), Ask::Along(of), Ask::Against(of)].contains(&a)
}

/// A set in words.
fn shown(set: &IndexSet) -> String {
    if set.is_plain() {
        format!("`1..{}`", set.len())
    } else {
        format!("this set of {}", set.len())
    }
}

/// Lines as they stand.
fn listing(text: &str) -> View {
    View::Verbatim(text.to_string())
}
