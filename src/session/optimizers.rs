//! Pipelines to methods: definitions of the session and of the library, stages, and whether the problem can answer.
//!
//! Invariant: a definition of the library is read when its name is first called, and a user's own goes before it.

pub(super) mod library;

use std::rc::Rc;
use std::sync::Arc;

use crate::base::view::View;
use crate::base::{Code, Diagnostic, Span};
use crate::ir::script::{Ask, Script};
use crate::lang::check;
use crate::lang::lower::{PartCall, PointBlock, lower_script};
use crate::lang::parse::parse;
use crate::lang::syntax::{
    BinaryOp, CompareOp, CountUnit, Expr, ExprKind, Ident, MethodCall, OptimizerDecl, Pipeline, Program, Role, Stage,
    StmtKind,
};
use crate::solve::compiled::Answer;
use crate::solve::methods::scripted::Scripted;
use crate::solve::{Budget, Class, Counts, Method, Status, Stop};

use super::solving::{Found, bound_args, one};
use super::{Def, Session};

/// Steps of a stage that says nothing of its end.
const STEPS: u64 = 100_000;
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
}

struct Asks {
    name: String,
    asks: Vec<(Ask, Span)>,
    samples: Option<Span>,
    fmin: Option<Span>,
    projects: bool,
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

/// The answers of the stages so far.
#[derive(Default)]
pub(super) struct StagesRun {
    last: Option<(usize, Answer)>,
    names: Vec<String>,
    steps: u64,
    counts: (Counts, Counts),
    warm: Option<(bool, String)>,
    reproducible: bool,
    log: Vec<String>,
}

impl StagesRun {
    /// The point that the next stage starts from.
    pub fn point(&self) -> Option<Vec<f64>> {
        self.last.as_ref().map(|(_, a)| a.x.clone()).filter(|x| !x.is_empty())
    }
    /// Takes a stage's answer; answers whether the next one is pointless.
    pub fn push(&mut self, form: usize, a: Answer, many: bool) -> bool {
        if self.last.is_none() {
            self.reproducible = true;
            self.warm = Some(a.warm.clone());
        }
        self.reproducible &= a.reproducible;
        self.steps += a.iterations.unwrap_or(0);
        self.counts.0 = self.counts.0.plus(&a.counts.0);
        self.counts.1 = self.counts.1.plus(&a.counts.1);
        self.names.push(a.method.clone());
        if many {
            self.log.push(format!("{}: {} ({})", a.method, a.status, a.reason));
        }
        self.log.extend(a.log.iter().cloned());
        let over = matches!(
            a.status,
            Status::Diverged | Status::EvaluationError | Status::Interrupted | Status::Infeasible | Status::Unbounded
        );
        self.last = Some((form, a));
        over
    }
    /// The answer of the whole.
    pub fn finish(self) -> Option<(usize, Answer)> {
        let (form, mut a) = self.last?;
        if self.names.len() > 1 {
            a.method = self.names.join(" then ");
            a.iterations = Some(self.steps);
        }
        a.counts = self.counts;
        a.reproducible = self.reproducible;
        a.log = self.log;
        if let Some(w) = self.warm {
            a.warm = w;
        }
        Some((form, a))
    }
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
            let mut resolved = vec![];
            self.resolve(p, &[], &mut resolved, 0)?;
            for r in &resolved {
                out.push(Scripted::new(self.script(r, blocks)?));
            }
        }
        Ok(out)
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

    fn bring_method(&mut self, name: &str) {
        let Some(entry) = library::find(name) else { return };
        let id = self.sources.add(format!("std/{}", entry.file), entry.text);
        let (program, _) = parse(id, entry.text);
        let mut called = vec![];
        library::called(&program, &mut called);
        for n in called {
            if n != name && !self.checker.names.contains_key(&n) {
                self.bring_method(&n);
            }
        }
        let (checked, found) = check::check(&program, &self.checker, &self.catalogue);
        if found.iter().any(Diagnostic::is_error) {
            // A mistake of ours: the name stays unknown, and the library's own test says why.
            return;
        }
        self.checker = checked.env;
        for s in program.statements {
            let (name, def) = match s.kind {
                StmtKind::Optimizer(d) => (d.name.text.clone(), Def::Optimizer(Rc::new(*d))),
                StmtKind::Pipeline(d) => (d.name.text.clone(), Def::Pipeline(Rc::new(*d))),
                StmtKind::Fn(d) => (d.name.text.clone(), Def::Fn(Rc::new(d))),
                _ => continue,
            };
            // No definition of the user depends on it yet.
            self.defs.insert(name, def);
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
            let docs: Vec<&str> = text
                .lines()
                .take_while(|l| l.starts_with("##"))
                .map(|l| l.trim_start_matches('#').trim())
                .collect();
            let head = text.lines().find(|l| !l.starts_with("##")).unwrap_or("");
            let head = head.trim_end().trim_end_matches('{').trim_end();
            return Ok(listing(&format!("{head}\n{}", docs.join("\n"))));
        }
        if let Some(card) = crate::solve::methods::find(name) {
            if source {
                return Err(vec![
                    Diagnostic::new(Code::UnknownName, format!("`{name}` is not written in the language"))
                        .at(n.span, "built in")
                        .help(format!("`help {name}` says what it does")),
                ]);
            }
            let mut lines = vec![card.title.to_string(), card.doc.to_string()];
            for o in card.options {
                lines.push(format!("{}: {}", o.name, o.doc));
            }
            return Ok(listing(&lines.join("\n")));
        }
        if let (Some(f), false) = (self.catalogue.functions.get(name), source) {
            let mut lines: Vec<String> = f.forms.iter().map(|(_, s)| format!("{name}{}", s.text)).collect();
            lines.push(f.doc.clone());
            return Ok(listing(&lines.join("\n")));
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

    /// The stages of a `with` clause; one without a method if there is no clause.
    pub(super) fn stages(&self, p: Option<&Pipeline>, at: usize) -> Found<Vec<Runnable>> {
        let Some(p) = p else {
            return Ok(vec![Runnable {
                method: None,
                budget: Budget::default(),
                stops: vec![],
                measure_every: 0,
                judge: false,
                asks: None,
            }]);
        };
        let mut resolved = vec![];
        self.resolve(p, &[], &mut resolved, 0)?;
        let mut blocks = vec![];
        let mut offset = 0;
        for v in &self.compiled[at].lowered.problem.vars {
            let len = v.dims.iter().map(crate::base::value::IndexSet::len).product();
            blocks.push(PointBlock {
                name: v.name.clone(),
                dims: v.dims.clone(),
                offset,
                len,
            });
            offset += len;
        }
        resolved.into_iter().map(|r| self.runnable(r, &blocks)).collect()
    }

    /// Replaces pipelines by what they stand for.
    fn resolve(&self, p: &Pipeline, by: &[(String, Expr)], out: &mut Vec<Resolved>, depth: usize) -> Found<()> {
        for s in &p.stages {
            let within = match &s.within {
                Some((e, unit)) => Some(self.positive(&e.substituted(by), "a time limit")? * unit.seconds()),
                None => None,
            };
            let calls: Vec<MethodCall> = s
                .parts
                .iter()
                .map(|m| {
                    let mut m = m.clone();
                    m.args.iter_mut().for_each(|a| a.value = a.value.substituted(by));
                    m
                })
                .collect();
            if let [m] = calls.as_slice()
                && let Some(Def::Pipeline(d)) = self.defs.get(&m.name.text)
            {
                let args = bound_args(&d.name.text, &d.params, &m.args, m.span)?;
                let first = out.len();
                if depth > 50 {
                    return Err(vec![
                        Diagnostic::new(Code::Recursion, "a pipeline refers to itself")
                            .at(m.span, "reached again here"),
                    ]);
                }
                self.resolve(&d.body, &args, out, depth + 1)?;
                // An end of the whole is an end of its last stage.
                let whole = out.len() - first == 1;
                if let Some(last) = out.last_mut() {
                    let ends = s.count.is_some() || s.until.is_some();
                    if ends && !whole {
                        return Err(vec![
                            Diagnostic::new(
                                Code::BadPipeline,
                                format!("`{}` has several stages, each with its own end", m.name.text),
                            )
                            .at(s.span, "a `for` or `until` of the whole is not built yet"),
                        ]);
                    }
                    self.ends(s, by, within, last);
                }
                continue;
            }
            out.push(self.resolve_one(s, calls, by, within)?);
        }
        Ok(())
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
        calls: Vec<MethodCall>,
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
        for m in calls {
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
                    return Err(vec![
                        Diagnostic::new(
                            Code::BadPipeline,
                            format!(
                                "`{}` steps as a whole: transforms do not reach into its steps",
                                m.name.text
                            ),
                        )
                        .at(m.span, "here"),
                    ]);
                }
            }
        }
        Ok(r)
    }

    fn runnable(&self, r: Resolved, blocks: &[PointBlock]) -> Found<Runnable> {
        let mut budget = Budget {
            seconds: r.within,
            ..Budget::default()
        };
        if let Some((e, unit)) = &r.count {
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
        }
        let mut stops = vec![];
        if let Some(e) = &r.until {
            self.predicate(e, &mut stops)?;
        }
        if let Some(m) = &r.builtin {
            let method = self.builtin(m)?;
            return Ok(Runnable {
                method: Some(method),
                budget,
                stops,
                measure_every: 0,
                judge: false,
                asks: None,
            });
        }
        let script = self.script(&r, blocks)?;
        let asks = Asks {
            name: script.name.clone(),
            asks: script.asks.clone(),
            samples: script.samples,
            fmin: script.fmin_at,
            projects: script.projects,
            span: r.span,
        };
        let open_end = r.count.is_none() && r.until.is_none();
        if open_end && r.within.is_none() {
            budget.steps = Some(STEPS);
        }
        let measure_every = match budget.steps {
            Some(n) if !open_end => (n / 100).max(1),
            _ => LOOK,
        };
        Ok(Runnable {
            method: Some(Arc::new(Scripted::new(script))),
            budget,
            stops,
            measure_every,
            judge: open_end,
            asks: Some(asks),
        })
    }

    /// The script of a stage.
    fn script(&self, r: &Resolved, blocks: &[PointBlock]) -> Found<Script> {
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
        lower_script(self, &parts, blocks)
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
        let Some(a) = &stage.asks else { return Ok(()) };
        let c = &self.compiled[at].forms[form].1;
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
        if let Some((_, span)) = a.asks.iter().find(|(k, _)| *k == Ask::Prox) {
            found
                .push(missing("a proximal point", *span).help("nothing answers `prox` yet: `project(x)` heeds bounds"));
        }
        if c.terms().is_none() {
            let epochs = stage.budget.epochs.is_some();
            if let Some(span) = a.samples.or(epochs.then_some(a.span)) {
                found.push(missing("mini-batches", span).help(
                    "a finite sum answers them: an objective with one `mean(i in S) …` or `sum(i in S) …` over samples",
                ));
            }
        }
        if let Some(span) = a.fmin {
            found.push(
                missing("`fmin`, a lower bound of the objective", span)
                    .help("make it a parameter of the optimizer: `fmin: Real = 0`"),
            );
        }
        if c.class == Class::SmoothBounds && !a.projects {
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

    /// Before a problem is compiled for a method of the language: has it constraints that nothing heeds?
    pub(super) fn unconstrained(&self, at: usize, stage: &Runnable) -> Found<()> {
        let (Some(a), p) = (&stage.asks, &self.compiled[at].lowered.problem) else {
            return Ok(());
        };
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

/// Lines as they stand.
fn listing(text: &str) -> View {
    View::Verbatim(text.to_string())
}
