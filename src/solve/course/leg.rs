//! One stage with its run: begun, advanced within a quota, ended, summed up when the run is let go.
//!
//! Invariant: of a run that was let go what it took and came to remains, so that the path can be told to its end.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use super::super::bits;
use super::super::compiled::{Answer, Ask, Begun, Going};
use super::super::method::Seed;
use super::super::methods::scripted::OWN_RULE;
use super::super::oracle::Counts;
use super::super::run::{Options, Saved};
use super::super::stop::{Reason, Status};
use super::super::trace::Trace;
use super::allowance::{Left, Quota};
use super::{Around, Entry, Failed, Stage};
use crate::exec::Fault;

/// A stage with its run.
pub(super) struct Leg {
    pub stage: Stage,
    pub entry: Option<Entry>,
    pub going: Option<Box<Going>>,
    pub answer: Option<Box<Answer>>,
    past: Option<Past>,
    /// What its run recorded, kept when the run is let go.
    pub record: Option<Box<Trace>>,
    /// Work done, in evaluations.
    pub work: f64,
    /// Did a limit of its own, or one around it, end it?
    pub as_written: bool,
    /// Did a rule around it end it?
    pub whole: bool,
}

/// What is kept of a stage when its run is let go.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub(super) struct Past {
    pub name: String,
    pub status: Status,
    pub reason: String,
    #[serde(with = "bits::number")]
    objective: f64,
    pub steps: u64,
    counts: Counts,
    extra: Counts,
    pub warm: (bool, String),
    pub reproducible: bool,
    pub log: Vec<String>,
}

/// A stage as written to a file.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub(super) struct KeptLeg {
    entry: Option<Entry>,
    run: Option<Box<Saved>>,
    past: Option<Box<Past>>,
    record: Option<Box<Trace>>,
    #[serde(with = "bits::number")]
    work: f64,
    as_written: bool,
    whole: bool,
}

impl Leg {
    pub fn new(stage: Stage) -> Leg {
        Leg {
            stage,
            entry: None,
            going: None,
            answer: None,
            past: None,
            record: None,
            work: 0.0,
            as_written: false,
            whole: false,
        }
    }

    pub fn ended(&self) -> bool {
        self.answer.is_some() || self.past.is_some()
    }

    pub fn status(&self) -> Option<Status> {
        let past = || self.past.as_ref().map(|p| p.status);
        self.answer.as_ref().map(|a| a.status).or_else(past)
    }

    /// Objective in the user's sense.
    pub fn objective(&self) -> Option<f64> {
        match (&self.answer, &self.past) {
            (Some(a), _) => a.objective,
            (None, p) => p.as_ref().map(|p| p.objective).filter(|f| !f.is_nan()),
        }
    }

    /// Steps, evaluations, and evaluations that rules and traces asked for beyond the steps.
    pub fn counts(&self) -> (u64, Counts, Counts) {
        match (&self.past, &self.going) {
            (Some(p), _) => (p.steps, p.counts, p.extra),
            (None, Some(g)) => (g.run.steps(), g.run.counts(), g.run.extra()),
            (None, None) => Default::default(),
        }
    }

    /// Is it pointless to go on from where it ended?
    pub fn fatal(&self) -> bool {
        matches!(
            self.status(),
            Some(
                Status::Diverged
                    | Status::EvaluationError
                    | Status::Interrupted
                    | Status::Infeasible
                    | Status::Unbounded
            )
        )
    }

    /// Did it get where it was sent: to the tolerance, or to its own `until`?
    pub fn reached(&self) -> bool {
        match self.status() {
            Some(
                Status::Optimal
                | Status::LocallyOptimal
                | Status::Stationary
                | Status::ParetoStationary
                | Status::Infeasible
                | Status::Unbounded,
            ) => true,
            Some(Status::Feasible) => self.as_written,
            _ => false,
        }
    }

    /// What is to be kept of it, if it ended, or stands, with this answer.
    pub fn past(&self, answer: Option<&Answer>) -> Past {
        match (&self.past, answer) {
            (Some(p), _) => p.clone(),
            (None, Some(a)) => {
                let (steps, counts, extra) = self.counts();
                Past {
                    name: a.method.clone(),
                    status: a.status,
                    reason: a.reason.clone(),
                    objective: a.objective.unwrap_or(f64::NAN),
                    steps: a.iterations.unwrap_or(steps),
                    counts,
                    extra,
                    warm: a.warm.clone(),
                    reproducible: a.reproducible,
                    log: a.log.clone(),
                }
            }
            (None, None) => Past {
                name: String::new(),
                status: Status::Stalled,
                reason: String::new(),
                objective: f64::NAN,
                steps: 0,
                counts: Counts::default(),
                extra: Counts::default(),
                warm: (false, String::new()),
                reproducible: true,
                log: vec![],
            },
        }
    }

    /// Keeps what its run recorded.
    pub fn remember(&mut self) {
        let trace = self.answer.as_ref().and_then(|a| a.trace.clone());
        self.record = trace.map(Box::new);
    }

    /// Lets its run go.
    pub fn retire(&mut self) {
        if self.past.is_none() && self.answer.is_some() {
            self.past = Some(self.past(self.answer.as_deref()));
        }
        self.going = None;
        self.answer = None;
    }

    /// Lets a run that was interrupted go on.
    pub fn reopen(&mut self) {
        if let Some(g) = &mut self.going {
            g.run.reopen();
            self.answer = None;
        }
    }

    /// Begins if it did not, and goes on as far as the quota allows. Fails with its form, unless it runs alone: then a
    /// failure is its answer.
    pub fn go(&mut self, cx: &mut Around<'_>, quota: &mut Quota, left: &Left, lone: bool) -> Result<(), Failed> {
        quota.begin = false;
        if self.ended() {
            return Ok(());
        }
        if self.going.is_none() {
            let Some(entry) = self.entry.clone() else { return Ok(()) };
            self.begin(cx, &entry, left, lone)?;
            quota.work -= self.work;
        }
        let form = self.stage.form;
        while let Some(g) = &mut self.going {
            if quota.is_over() {
                break;
            }
            let (steps, made) = (g.run.steps(), g.run.counts());
            let mut chunk = quota.steps;
            if quota.work.is_finite() {
                // The first step shows what a step takes; from then on so many as fit, at least one.
                let each = self.work / steps as f64;
                let fit = if steps > 0 && each > 0.0 {
                    (quota.work / each).floor()
                } else {
                    1.0
                };
                chunk = chunk.min(fit.max(1.0) as u64);
            }
            let ended = cx.forms[form].advance(g, chunk, cx.now);
            let work = cx.forms[form].work(&g.run.counts().since(&made), g);
            self.work += work;
            quota.work -= work;
            quota.steps = quota.steps.saturating_sub(g.run.steps() - steps);
            if ended {
                return self.conclude(cx, left, lone);
            }
        }
        Ok(())
    }

    fn begin(&mut self, cx: &mut Around<'_>, entry: &Entry, left: &Left, lone: bool) -> Result<(), Failed> {
        let form = self.stage.form;
        let starts = entry.starts();
        let ask = self.ask(cx, entry, &starts, left);
        match cx.forms[form].begin(ask, None) {
            Ok(Begun::Over(a)) => self.answer = Some(a),
            Ok(Begun::Going(g)) => {
                self.work += cx.forms[form].work(&g.run.counts(), &g);
                self.going = Some(g);
            }
            Err(f) if lone => self.failed(f),
            Err(f) => return Err((form, f)),
        }
        Ok(())
    }

    fn ask<'a>(
        &self,
        cx: &Around<'a>,
        entry: &'a Entry,
        starts: &'a BTreeMap<String, Vec<f64>>,
        left: &Left,
    ) -> Ask<'a> {
        let options = Options {
            tolerance: cx.tolerance,
            budget: left.of_stage(&self.stage.budget, cx),
            stops: self.stage.stops.iter().chain(&left.stops).cloned().collect(),
            measure_every: self.stage.measure_every,
            judge: self.stage.judge,
            seed: Seed(entry.seed()),
            ..Options::default()
        };
        Ask {
            params: cx.params,
            options,
            start: starts,
            previous: entry.previous(),
            method: self.stage.method.clone(),
            watch: cx.watch.clone(),
        }
    }

    fn failed(&mut self, f: Fault) {
        let method = self.stage.method.as_ref();
        self.answer = Some(Box::new(Answer {
            status: Status::EvaluationError,
            reason: f.what.clone(),
            method: method.map_or_else(String::new, |m| m.card().name.into()),
            fault: Some(f),
            ..Answer::default()
        }));
    }

    fn conclude(&mut self, cx: &mut Around<'_>, left: &Left, lone: bool) -> Result<(), Failed> {
        let form = self.stage.form;
        let Some(g) = &self.going else {
            // It never began: a race around it was decided before its first turn.
            self.answer.get_or_insert_default();
            return Ok(());
        };
        match cx.forms[form].conclude(g, cx.tolerance) {
            Ok(a) => {
                let (own, around) = (&self.stage, &left.budget);
                self.as_written = match a.status {
                    Status::StepLimit => {
                        let given = own.budget.steps.is_some() && !own.judge || own.budget.epochs.is_some();
                        given || around.steps.or(around.epochs).is_some()
                    }
                    Status::EvaluationLimit => own.budget.evaluations.or(around.evaluations).is_some(),
                    Status::TimeLimit => own.budget.seconds.is_some(),
                    Status::Feasible | Status::Optimal | Status::LocallyOptimal | Status::Stationary => {
                        let own_rule = g.run.ended().is_some_and(|r| r.why == OWN_RULE);
                        own_rule || g.run.meets(&own.stops) || g.run.meets(&left.stops)
                    }
                    _ => false,
                };
                self.whole = a.status == Status::Feasible && g.run.meets(&left.stops);
                self.answer = Some(Box::new(a));
            }
            Err(f) if lone => self.failed(f),
            Err(f) => return Err((form, f)),
        }
        Ok(())
    }

    /// Ends where it stands, because a race around it is decided.
    pub fn stop_here(&mut self, cx: &mut Around<'_>) -> Result<(), Failed> {
        if let Some(g) = &mut self.going {
            let word = if cx.watch.is_set() {
                Status::Interrupted
            } else {
                Status::Feasible
            };
            g.run.end(Reason::new(word, "the race was over"));
        }
        self.conclude(cx, &Left::default(), true)
    }

    pub fn keep(&self) -> KeptLeg {
        KeptLeg {
            entry: self.entry.clone(),
            run: self.going.as_ref().map(|g| Box::new(g.run.save())),
            past: self.past.clone().map(Box::new),
            record: self.record.clone(),
            work: self.work,
            as_written: self.as_written,
            whole: self.whole,
        }
    }

    pub fn restore(&mut self, kept: &KeptLeg, cx: &mut Around<'_>) -> Result<(), String> {
        *self = Leg {
            stage: self.stage.clone(),
            entry: kept.entry.clone(),
            going: None,
            answer: None,
            past: kept.past.as_deref().cloned(),
            record: kept.record.clone(),
            work: kept.work,
            as_written: kept.as_written,
            whole: kept.whole,
        };
        match (&kept.run, &kept.entry) {
            (Some(saved), Some(e)) => self.take_up(cx, e, (**saved).clone()),
            _ => Ok(()),
        }
    }

    /// Takes up a saved run.
    fn take_up(&mut self, cx: &mut Around<'_>, entry: &Entry, saved: Saved) -> Result<(), String> {
        let form = self.stage.form;
        let starts = entry.starts();
        let ended = saved.has_ended();
        let ask = self.ask(cx, entry, &starts, &Left::default());
        match cx.forms[form].begin(ask, Some(saved)) {
            Ok(Begun::Going(g)) => {
                if ended && self.past.is_none() {
                    let a = cx.forms[form].conclude(&g, cx.tolerance).map_err(|f| f.what)?;
                    self.answer = Some(Box::new(a));
                }
                self.going = Some(g);
                Ok(())
            }
            Ok(Begun::Over(a)) => Err(a.reason),
            Err(f) => Err(f.what),
        }
    }
}
