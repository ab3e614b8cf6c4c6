//! `compare` and `sweep`: the same solve with several methods, or for several values.
//!
//! Invariant: every run of a comparison begins at the same start and leaves nothing behind: no answer that the next solve
//! would start from, no value of a parameter.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::sync::atomic::Ordering;

use crate::base::value::{IndexSet, Value};
use crate::base::view::View;
use crate::base::{Code, Diagnostic, Span};
use crate::ir::Sense;
use crate::lang::syntax::{
    Compare, Entrant, Expr, ExprKind, Pipeline, ProblemRef, Solve, Sweep, Variation, show as shown,
};
use crate::report::ResultEntry;
use crate::report::contest::{self, Contest, Run};

use super::solving::{Attempt, Found, one};
use super::{Def, Event, Session};

/// Values that a sweep or a set of seeds may have.
const MOST: usize = 10_000;

impl Session {
    /// Shows a view, and keeps it for the report.
    pub(super) fn shows(&mut self, command: &str, subject: &str, view: View, sink: &mut dyn FnMut(Event)) {
        sink(Event::Shown(view.clone()));
        self.report.results.push(ResultEntry::View {
            command: command.into(),
            subject: subject.into(),
            view,
        });
    }

    /// `[c =] compare P with { … }`.
    pub(super) fn compare(&mut self, c: &Compare, span: Span, sink: &mut dyn FnMut(Event)) -> Found<()> {
        let seeds = match &c.seeds {
            Some(e) => self.seeds(e)?,
            None => vec![self.seed],
        };
        let mut contest = Contest {
            methods: self.labels(&c.entrants),
            seeds: seeds.clone(),
            ..Contest::default()
        };
        let targets: Vec<Option<&ProblemRef>> = match c.targets.is_empty() {
            true => vec![None],
            false => c.targets.iter().map(Some).collect(),
        };
        'all: for (p, target) in targets.into_iter().enumerate() {
            let at = self.compiled(target, span, sink)?;
            contest.problems.push(target.map_or_else(String::new, named));
            contest.senses.push(self.sense(at));
            for (m, e) in c.entrants.iter().enumerate() {
                for seed in &seeds {
                    let solve = Solve {
                        bind: None,
                        target: target.cloned(),
                        from: c.from.clone(),
                        to: c.to.clone(),
                        within: c.within.clone(),
                        seed: Some(literal(*seed as f64, e.pipeline.span)),
                        method: Some(e.pipeline.clone()),
                        cold: true,
                        variation: Variation::default(),
                        held: false,
                        resume: None,
                        stop: None,
                        keyword: c.keyword,
                    };
                    let Some(ran) = self.attempt(&solve, at, e.pipeline.span, sink)? else {
                        continue;
                    };
                    contest.sampled |= self.sampled(at);
                    let run = self.ran(ran, (p, m, *seed), span, sink);
                    contest.runs.push(run);
                    if self.interrupt.load(Ordering::Relaxed) {
                        break 'all;
                    }
                }
            }
        }
        let subject = contest.problems.join(", ");
        self.shows("compare", &subject, contest.view(), sink);
        let name = c
            .bind
            .as_ref()
            .map_or_else(|| slug(&format!("compare {subject}")), |b| b.text.clone());
        if let Some(mut f) = contest.figure(contest.usual_axis()) {
            f.name = name;
            self.shows("plot", &subject, View::Figure(Box::new(f)), sink);
        }
        if let Some(b) = &c.bind {
            self.define(&b.text, Def::Contest(Arc::new(contest)));
        }
        Ok(())
    }

    /// What a comparison keeps of an attempt; one that runs on is left to itself.
    fn ran(&mut self, a: Attempt, place: (usize, usize, u64), span: Span, sink: &mut dyn FnMut(Event)) -> Run {
        if let Some(left) = a.left {
            self.detach(&a.about.name, left, span, sink);
        }
        Run {
            problem: place.0,
            method: place.1,
            seed: place.2,
            status: Some(a.answer.status),
            objective: a.answer.objective,
            violation: a
                .answer
                .residuals
                .iter()
                .find(|r| r.0 == "violation")
                .map_or(0.0, |r| r.1),
            trace: a.trace,
            path: a.path,
            beyond: a.beyond,
            seconds: a.ended - a.began,
        }
    }

    /// What is wanted of a problem's objective.
    pub(super) fn sense(&self, at: usize) -> Sense {
        let objective = self.compiled[at].lowered.problem.objective.as_ref();
        objective.map(|o| o.sense).unwrap_or_default()
    }

    /// Does the problem sum terms that mini-batches are drawn from?
    fn sampled(&self, at: usize) -> bool {
        self.compiled[at].forms.iter().any(|f| f.1.terms().is_some())
    }

    fn seeds(&self, e: &Expr) -> Found<Vec<u64>> {
        let values = self.several(e, "seeds")?;
        match values.iter().find(|v| v.fract() != 0.0 || **v < 0.0 || **v > 9e15) {
            None => Ok(values.into_iter().map(|v| v as u64).collect()),
            Some(v) => {
                let d = Diagnostic::new(
                    Code::WrongType,
                    format!("a seed is a nonnegative integer, found {}", super::show::number(*v)),
                );
                Err(vec![d.at(e.span, "here")])
            }
        }
    }

    /// The numbers of a range, a set of integers, a vector or a single number; at least one, all finite.
    fn several(&self, e: &Expr, what: &str) -> Found<Vec<f64>> {
        let numbers: Vec<f64> = match self.evaluate(e).map_err(one)? {
            Value::Array { tensor, .. } if tensor.len() <= MOST => tensor.to_dense(),
            Value::Set(s) if s.len() <= MOST && s.is_plain() => {
                (0..s.len()).map(|k| s.lo() as f64 + k as f64).collect()
            }
            Value::Set(IndexSet::Range { lo, len }) if len <= MOST => (0..len).map(|k| lo as f64 + k as f64).collect(),
            Value::Set(s) if s.len() <= MOST => {
                let elements = (0..s.len()).map(|k| s.element(k).parse::<f64>());
                elements.collect::<Result<_, _>>().map_err(|_| {
                    let d = Diagnostic::new(Code::WrongType, format!("{what} are numbers, found labels"));
                    vec![d.at(e.span, "here")]
                })?
            }
            _ => {
                let d = Diagnostic::new(Code::TooLarge, format!("at most {MOST} {what} can be gone through"));
                return Err(vec![d.at(e.span, "here")]);
            }
        };
        if numbers.is_empty() {
            let d = Diagnostic::new(Code::WrongType, format!("there are no {what}: the set is empty"));
            return Err(vec![d.at(e.span, "here")]);
        }
        if let Some(v) = numbers.iter().find(|v| !v.is_finite()) {
            let d = Diagnostic::new(
                Code::NotFinite,
                format!("{what} are finite, found {}", super::show::number(*v)),
            );
            return Err(vec![d.at(e.span, "here")]);
        }
        Ok(numbers)
    }

    /// `[w =] sweep lr in values { solve … }`.
    pub(super) fn sweep(&mut self, w: &Sweep, span: Span, sink: &mut dyn FnMut(Event)) -> Found<()> {
        let values = self.several(&w.values, "values")?;
        let name = w.name.text.clone();
        let before = match self.defs.get(&name) {
            Some(Def::Param { decl, value }) => Some((decl.clone(), value.clone())),
            _ => None,
        };
        let mut sweep = contest::Sweep {
            name: name.clone(),
            values: values.clone(),
            method: w
                .solve
                .method
                .as_ref()
                .map_or_else(String::new, |p| self.pipeline_text(p)),
            of_method: before.is_none(),
            runs: Contest {
                methods: values.iter().map(|v| super::show::number(*v)).collect(),
                seeds: vec![self.seed],
                ..Contest::default()
            },
        };
        let done = self.swept(w, &mut sweep, before.is_some(), span, sink);
        if let Some((decl, value)) = before {
            self.set_param(&decl, value);
            self.graph.computed(&name, None);
        }
        done?;
        let subject = format!("{} over {name}", sweep.runs.problems.join(", "));
        self.shows("sweep", &subject, sweep.view(), sink);
        let file = w
            .bind
            .as_ref()
            .map_or_else(|| slug(&format!("sweep {name}")), |b| b.text.clone());
        if let Some(mut f) = sweep.figure() {
            f.name = file;
            self.shows("plot", &subject, View::Figure(Box::new(f)), sink);
        }
        if let Some(b) = &w.bind {
            self.define(&b.text, Def::Sweep(Arc::new(sweep)));
        }
        Ok(())
    }

    fn swept(
        &mut self,
        w: &Sweep,
        sweep: &mut contest::Sweep,
        param: bool,
        span: Span,
        sink: &mut dyn FnMut(Event),
    ) -> Found<()> {
        let name = &w.name.text;
        for (k, v) in sweep.values.clone().into_iter().enumerate() {
            let value = literal(v, w.name.span);
            let mut solve = w.solve.clone();
            if param {
                self.rebind_param(name, &value).map_err(one)?;
                self.graph.computed(name, Some(&value));
                let uses: BTreeSet<String> = solve.target.iter().map(|t| t.name.text.clone()).collect();
                let own = BTreeSet::from([name.clone()]);
                self.refresh(&uses, &own, None, true, w.span, sink)?;
            } else {
                solve.put(&[(name.clone(), value)]);
                solve.cold = true;
            }
            let at = self.varied(&solve, w.span, sink)?;
            if sweep.runs.problems.is_empty() {
                sweep
                    .runs
                    .problems
                    .push(solve.target.as_ref().map_or_else(String::new, named));
                sweep.runs.senses.push(self.sense(at));
            }
            let Some(ran) = self.attempt(&solve, at, w.span, sink)? else {
                continue;
            };
            sweep.runs.sampled |= self.sampled(at);
            if param && ran.answer.status.is_success() && !ran.answer.x.is_empty() {
                self.compiled[at].last = Some(ran.answer.x.clone());
            }
            let run = self.ran(ran, (0, k, self.seed), span, sink);
            sweep.runs.runs.push(run);
            if self.interrupt.load(Ordering::Relaxed) {
                break;
            }
        }
        Ok(())
    }
}

impl Session {
    /// What the entrants are called: their labels, or their methods with those that they are given, with all arguments where
    /// that tells several apart, numbered where nothing does.
    fn labels(&self, entrants: &[Entrant]) -> Vec<String> {
        let mut out: Vec<String> = vec![];
        let short: Vec<String> = entrants.iter().map(|e| self.pipeline_text(&e.pipeline)).collect();
        for (e, own) in entrants.iter().zip(&short) {
            let alike = short.iter().filter(|s| *s == own).count() > 1;
            let name = match &e.label {
                Some(l) => l.text.clone(),
                None if alike => self.pipeline_written(&e.pipeline),
                None => own.clone(),
            };
            let mut unique = name.clone();
            let mut k = 1;
            while out.contains(&unique) {
                k += 1;
                unique = format!("{name} ({k})");
            }
            out.push(unique);
        }
        out
    }

    /// The methods of a pipeline with all of their arguments.
    fn pipeline_written(&self, p: &Pipeline) -> String {
        let stages = p.stages.iter().filter_map(|s| {
            let (first, last) = (s.parts.first()?, s.parts.last()?);
            Some(self.text_of(first.span.to(last.span)))
        });
        stages.collect::<Vec<_>>().join(" then ")
    }

    /// The methods of a pipeline with those that they are given.
    fn pipeline_text(&self, p: &Pipeline) -> String {
        let stages = p.stages.iter().map(|s| {
            let parts = s.parts.iter().map(|m| self.method_text(&m.name.text, &m.args));
            parts.collect::<Vec<_>>().join(" |> ")
        });
        stages.collect::<Vec<_>>().join(" then ")
    }
}

/// A problem as it was asked for.
pub(super) fn named(t: &ProblemRef) -> String {
    if t.args.is_empty() {
        return t.name.text.clone();
    }
    let args: Vec<String> = t.args.iter().map(|a| shown(&a.value)).collect();
    format!("{}({})", t.name.text, args.join(", "))
}

/// A number in the place of another expression.
pub(super) fn literal(v: f64, span: Span) -> Expr {
    Expr {
        id: crate::lang::syntax::ExprId(0),
        span,
        kind: ExprKind::Number {
            value: v,
            integer: v.fract() == 0.0,
        },
    }
}

/// A name for a file: letters and digits of a text, joined by `-`.
pub(super) fn slug(text: &str) -> String {
    let mut out = String::new();
    for c in text.chars().take(80) {
        match c.is_alphanumeric() {
            true => out.extend(c.to_lowercase()),
            false if out.ends_with('-') || out.is_empty() => {}
            false => out.push('-'),
        }
    }
    let out: String = out.trim_end_matches('-').chars().take(48).collect();
    if out.is_empty() { "plot".into() } else { out }
}
