//! The driver: owns the loop, the budget, the stops, the trace and the last good state of one run.
//!
//! Invariant: a run cut anywhere, saved and resumed goes through the same states bit for bit.

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

use serde::{Deserialize, Serialize};

use super::bits;
use super::method::{Cache, Class, Fault, Granularity, Method, Outcome, Refusal, Seed, StepCx, check};
use super::methods::conditions::diverged;
use super::oracle::{Counts, Oracle};
use super::state::{Measures, Point, PointLayout, State};
use super::stop::{Budget, Reason, Status, Stop};
use super::trace::Trace;

/// Most steps that a method takes before interrupts and the clock are looked at, where its steps are short.
const UNSEEN: u64 = 1024;

/// What a run is asked for, beside its method and start.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Options {
    /// The one tolerance (`to`).
    #[serde(with = "bits::number")]
    pub tolerance: f64,
    /// What it may use up (`within`, `for`).
    pub budget: Budget,
    /// The user's stopping rules (`until`).
    pub stops: Vec<Stop>,
    /// Seed of random draws.
    pub seed: Seed,
    /// Most rows kept of the trace.
    pub trace_rows: usize,
    /// Methods that do not measure their point are measured every so many steps and at steps 1, 2, 4, 8, …, beside every
    /// stopping rule; 0 for at the end only.
    pub measure_every: u64,
    /// Does the run end when the stationarity that is measured falls to the tolerance? Only for methods that do not
    /// judge themselves.
    pub judge: bool,
}

impl Options {
    /// How far a method goes by itself: to the tolerance, or beyond, where a rule asks for more.
    fn goal(&self) -> f64 {
        let of_slopes =
            |s: &&Stop| !s.relative && matches!(s.quantity.as_str(), "stationarity" | "gap") && s.limit > 0.0;
        let asked = self.stops.iter().filter(of_slopes).map(|s| 0.1 * s.limit);
        asked.fold(self.tolerance, f64::min)
    }
}

impl Default for Options {
    fn default() -> Self {
        Self {
            tolerance: 1e-8,
            budget: Budget::default(),
            stops: vec![],
            seed: Seed(0),
            trace_rows: 4096,
            measure_every: 0,
            judge: false,
        }
    }
}

/// How a run ended.
#[derive(Clone, Debug, PartialEq)]
pub struct Finished {
    /// The last good point.
    pub point: Point,
    /// Objective there, minimized.
    pub objective: f64,
    /// All measures there.
    pub measures: Measures,
    /// The method's claim; a checker may weaken it.
    pub claim: Status,
    /// Why it ended.
    pub reason: Reason,
    /// Committed steps.
    pub iterations: u64,
    /// Evaluations that the steps made.
    pub counts: Counts,
    /// Evaluations that stopping rules and the trace asked for beyond the steps.
    pub extra: Counts,
    /// Multipliers by the form's rows, or of the bounds.
    pub multipliers: Vec<f64>,
    /// Measures by step.
    pub trace: Trace,
    /// Same bits next time? Not when the clock or an interrupt ended it.
    pub reproducible: bool,
    /// A foreign solver ran as one step.
    pub whole: bool,
}

/// A run as written to a checkpoint.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Saved {
    /// Name of the method.
    pub method: String,
    layout: PointLayout,
    options: Options,
    state: State,
    step: u64,
    counts: Counts,
    extra: Counts,
    measured: bool,
    #[serde(with = "bits::number")]
    seconds: f64,
    first: Measures,
    first_records: Vec<u64>,
    trace: Trace,
    ended: Option<Reason>,
    #[serde(default)]
    good: Option<Good>,
}

impl Saved {
    /// Had the run ended?
    pub fn has_ended(&self) -> bool {
        self.ended.is_some()
    }
}

/// A point with a finite objective.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
struct Good {
    step: u64,
    #[serde(with = "bits::array")]
    point: Vec<f64>,
    measures: Measures,
}

/// What another thread may see and do while a run advances.
#[derive(Default)]
pub struct Watch {
    /// Set it to stop the run before its next step. The session's own flag, where there is a session.
    pub interrupt: Arc<AtomicBool>,
    asked: AtomicBool,
    last: Mutex<Option<(u64, Measures, Vec<f64>)>>,
}

impl Watch {
    /// A watch that stops when the flag is set.
    pub fn on(interrupt: Arc<AtomicBool>) -> Watch {
        Watch {
            interrupt,
            ..Watch::default()
        }
    }
    /// Is the run asked to stop?
    pub fn is_set(&self) -> bool {
        self.interrupt.load(Ordering::Relaxed)
    }
    /// Stops the run before its next step.
    pub fn stop(&self) {
        self.interrupt.store(true, Ordering::Relaxed);
    }
    /// Asks the run to show its state after its next step; a copy is made only then.
    pub fn ask(&self) {
        self.asked.store(true, Ordering::Relaxed);
    }
    /// Step, measures and coordinates of the state shown last; none before the first step since it was asked for.
    pub fn last_good(&self) -> Option<(u64, Measures, Vec<f64>)> {
        self.ask();
        self.last.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }
    fn show(&self, step: u64, state: &State) {
        if self.asked.load(Ordering::Relaxed) {
            self.asked.store(false, Ordering::Relaxed);
            let mut last = self.last.lock().unwrap_or_else(PoisonError::into_inner);
            match last.as_mut() {
                Some((s, m, x)) => {
                    (*s, *m) = (step, state.measures);
                    x.clone_from(&state.x);
                }
                None => *last = Some((step, state.measures, state.x.clone())),
            }
        }
    }
}

/// One run of a method on a problem. The problem is lent to each call, so that a run is a plain value.
pub struct Run {
    method: Arc<dyn Method>,
    layout: Arc<PointLayout>,
    options: Options,
    now: State,
    next: State,
    step: u64,
    counts: Counts,
    extra: Counts,
    /// Are the measures of `now` those of its point?
    measured: bool,
    seconds: f64,
    first: Measures,
    first_records: Vec<f64>,
    trace: Trace,
    ended: Option<Reason>,
    /// For methods that do not measure their point: where it was measured last.
    good: Option<Good>,
    cache: Cache,
    watch: Arc<Watch>,
}

impl Run {
    /// Checks the problem against the method's card, then starts.
    pub fn new(
        method: Arc<dyn Method>,
        problem: &mut dyn Oracle,
        from: &Point,
        options: Options,
    ) -> Result<Run, Refusal> {
        check(method.card(), problem, from)?;
        let before = problem.counts();
        let now = method.start(problem, from, options.seed)?;
        let counts = problem.counts().since(&before);
        let mut trace = Trace::new(method.card(), now.x.len(), options.trace_rows);
        trace.push(0, (&counts, 0), problem.terms(), 0.0, &now);
        Ok(Run {
            layout: from.layout.clone(),
            next: now.clone(),
            first: now.measures,
            first_records: now.records.clone(),
            measured: !method.unmeasured(),
            method,
            options,
            now,
            step: 0,
            counts,
            extra: Counts::default(),
            seconds: 0.0,
            trace,
            ended: None,
            good: None,
            cache: Cache::default(),
            watch: Arc::default(),
        })
    }

    /// The flag and the last good point, for other threads.
    pub fn watch(&self) -> Arc<Watch> {
        self.watch.clone()
    }
    /// Shares a flag made before the run, such as the session's.
    pub fn set_watch(&mut self, watch: Arc<Watch>) {
        self.watch = watch;
    }
    /// The last committed state.
    pub fn state(&self) -> &State {
        &self.now
    }
    /// The last committed point.
    pub fn point(&self) -> Point {
        Point {
            layout: self.layout.clone(),
            values: self.now.x.clone(),
        }
    }
    /// Committed steps.
    pub fn steps(&self) -> u64 {
        self.step
    }
    /// Evaluations made.
    pub fn counts(&self) -> Counts {
        self.counts
    }
    /// Evaluations beyond the steps.
    pub fn extra(&self) -> Counts {
        self.extra
    }
    /// Why it ended, once it has.
    pub fn ended(&self) -> Option<&Reason> {
        self.ended.as_ref()
    }
    /// The trace so far.
    pub fn trace(&self) -> &Trace {
        &self.trace
    }
    /// The method.
    pub fn method(&self) -> &dyn Method {
        &*self.method
    }
    /// Takes up a run that a budget, a stopping rule or an interrupt had ended, under a new budget.
    pub fn extend(&mut self, budget: Budget) {
        self.options.budget = budget;
        let resumable = self.ended.as_ref().is_some_and(|r| {
            matches!(
                r.status,
                Status::StepLimit
                    | Status::TimeLimit
                    | Status::EvaluationLimit
                    | Status::Interrupted
                    | Status::Feasible
            )
        });
        if resumable {
            self.ended = None;
        }
    }

    /// At most `n` further steps; `clock` gives seconds. Returns why the run ended, if it has.
    pub fn advance(&mut self, problem: &mut dyn Oracle, n: u64, clock: &dyn Fn() -> f64) -> Option<&Reason> {
        let began = clock();
        let seconds_before = self.seconds;
        let terms = problem.terms();
        let going = self.ended.is_none();
        let mut left = n;
        while left > 0 && self.ended.is_none() {
            if self.to_be_measured() {
                self.measure(problem);
            }
            let counts_before = self.counts;
            let oracle_before = problem.counts();
            if self.watch.interrupt.load(Ordering::Relaxed) {
                self.ended = Some(Reason::new(Status::Interrupted, "stopped by the user"));
                break;
            }
            self.seconds = seconds_before + (clock() - began);
            let spent = exhausted(&self.options.budget, self.step, &self.counts, terms, self.seconds);
            self.ended = match spent {
                Some(r) => Some(self.waited_in_vain(r)),
                None => stopped(self).map(|r| self.as_asked(r, &*problem)),
            };
            if self.ended.is_none() && self.options.judge && self.measured {
                self.ended = converged(&self.now.measures, self.options.tolerance, problem);
            }
            if self.ended.is_some() {
                break;
            }
            let Run {
                method,
                options,
                now,
                next,
                step,
                counts,
                extra,
                seconds,
                trace,
                cache,
                watch,
                measured,
                ..
            } = self;
            let extra = extra.total();
            let limit = options.budget.seconds;
            let out_of_time = || limit.is_some_and(|s| seconds_before + (clock() - began) >= s);
            let mut cx = StepCx {
                step: *step,
                tolerance: options.goal(),
                seed: options.seed,
                interrupt: &watch.interrupt,
                out_of_time: &out_of_time,
                cache,
                unseen: unseen(options, trace, *step),
            };
            let mut taken = 0;
            // Stopping rules are looked at after every step, so a burst goes on only while there are none.
            let one_by_one = !options.stops.is_empty();
            let unmeasured = method.unmeasured();
            let burst = match options.measure_every {
                0 => left,
                k => left.min(k - *step % k).min((*step + 1).next_power_of_two() - *step),
            };
            let outcome = method.burst(
                problem,
                now,
                next,
                &mut cx,
                burst,
                &mut |state, _events, made, steps| {
                    taken += steps;
                    *measured = !unmeasured;
                    *step += steps;
                    *counts = counts_before.plus(&made.since(&oracle_before));
                    *seconds = seconds_before + (clock() - began);
                    trace.push(*step, (counts, extra), terms, *seconds, state);
                    watch.show(*step, state);
                    let over = one_by_one
                        || watch.interrupt.load(Ordering::Relaxed)
                        || exhausted(&options.budget, *step, counts, terms, *seconds).is_some();
                    if over { 0 } else { unseen(options, trace, *step) }
                },
            );
            left -= taken.min(left);
            self.counts = counts_before.plus(&problem.counts().since(&oracle_before));
            match outcome {
                Outcome::Proceed(_) => {}
                Outcome::Finish(reason) => self.ended = Some(reason),
                Outcome::Refuse(Fault::Interrupted) => {
                    let status = if self.watch.interrupt.load(Ordering::Relaxed) {
                        Reason::new(Status::Interrupted, "stopped by the user")
                    } else {
                        Reason::new(Status::TimeLimit, "the time is used up")
                    };
                    self.ended = Some(status);
                }
                Outcome::Refuse(Fault::Diverged(why)) => self.ended = Some(Reason::new(Status::Diverged, why)),
                Outcome::Refuse(Fault::Stalled(why)) => self.ended = Some(Reason::new(Status::Stalled, why)),
                Outcome::Refuse(fault) if self.method.unmeasured() => {
                    let why = format!("step {}: {fault}", self.step + 1);
                    self.ended = Some(Reason::new(Status::EvaluationError, why));
                }
                Outcome::Refuse(fault) => self.ended = Some(Reason::new(Status::EvaluationError, fault.to_string())),
            }
        }
        if self.ended.is_some() && !self.measured {
            self.measure(problem);
        }
        let stalled = self.ended.as_ref().is_some_and(|r| r.status == Status::Stalled);
        if going && stalled && self.options.judge && self.measured {
            // No step leads on from here: where the conditions hold, that is the end, and far out there is none.
            let m = &self.now.measures;
            let end = converged(m, self.options.tolerance, problem);
            let end = end.or_else(|| diverged(m.objective, &self.now.x));
            self.ended = end.or(self.ended.take());
        }
        if going {
            self.name_good();
        }
        self.seconds = seconds_before + (clock() - began);
        self.ended.as_ref()
    }

    /// Must the point be measured before the next step?
    fn to_be_measured(&self) -> bool {
        let every = self.options.measure_every;
        let asked = every > 0 && (self.step.is_multiple_of(every) || self.step.is_power_of_two());
        !self.measured && (asked || !self.options.stops.is_empty())
    }

    /// Measures the point, apart from what the steps ask for.
    fn measure(&mut self, problem: &mut dyn Oracle) {
        let before = problem.counts();
        // What cannot be measured stays unknown; the next step says what is wrong.
        let _ = self.method.measure(problem, &mut self.now);
        self.extra = self.extra.plus(&problem.counts().since(&before));
        self.measured = true;
        if self.step == 0 {
            self.first = self.now.measures;
        }
        if self.now.measures.objective.is_finite() {
            let x = self.method.answer(&self.now);
            match &mut self.good {
                Some(g) => {
                    g.point.copy_from_slice(x);
                    (g.step, g.measures) = (self.step, self.now.measures);
                }
                none => {
                    *none = Some(Good {
                        step: self.step,
                        point: x.to_vec(),
                        measures: self.now.measures,
                    });
                }
            }
        }
        self.trace.amend(&self.now, self.counts.beside + self.extra.total());
    }

    /// The point to hand out instead of one where the objective has no value.
    fn good(&self) -> Option<&Good> {
        let status = self.ended.as_ref().map(|r| r.status);
        let fatal = matches!(status, Some(Status::EvaluationError | Status::Diverged));
        let lost = fatal && !self.now.measures.objective.is_finite();
        self.good
            .as_ref()
            .filter(|_| lost && self.measured && self.method.unmeasured())
    }

    /// Says which point is handed out, where it is not the last.
    fn name_good(&mut self) {
        let at = self.good().map(|g| g.step);
        if let (Some(k), Some(r)) = (at, &mut self.ended) {
            r.why = format!(
                "{}; the point is that of step {k}, the last with a value that was looked at",
                r.why
            );
        }
    }

    /// Advances until `stop` holds (`true`) or the run ends (`false`).
    pub fn until(&mut self, problem: &mut dyn Oracle, stop: &Stop, clock: &dyn Fn() -> f64) -> bool {
        loop {
            if !self.measured {
                self.measure(problem);
            }
            if self.holds(stop) {
                return true;
            }
            if self.advance(problem, 1, clock).is_some() {
                if !self.measured {
                    self.measure(problem);
                }
                return self.holds(stop);
            }
        }
    }

    /// Runs to its end.
    pub fn finish(mut self, problem: &mut dyn Oracle, clock: &dyn Fn() -> f64) -> Finished {
        while self.advance(problem, u64::MAX, clock).is_none() {}
        self.finished()
    }

    /// The result as of now; `step limit` if it has not ended.
    pub fn finished(self) -> Finished {
        self.account()
    }

    /// Ends it where it stands, unless it has ended.
    pub fn end(&mut self, reason: Reason) {
        self.ended.get_or_insert(reason);
    }

    /// Lets it go on, if an interrupt had ended it.
    pub fn reopen(&mut self) {
        self.ended.take_if(|r| r.status == Status::Interrupted);
    }

    /// The point that is handed out at the last committed state.
    pub fn answered(&self) -> &[f64] {
        self.method.answer(&self.now)
    }

    /// Does one of these rules hold at the last committed state?
    pub fn meets(&self, stops: &[Stop]) -> bool {
        stops.iter().any(|s| self.holds(s))
    }

    /// The result as of now; `step limit` if it has not ended. The run goes on untouched.
    pub fn account(&self) -> Finished {
        let reason = self
            .ended
            .clone()
            .unwrap_or_else(|| Reason::new(Status::StepLimit, "stopped after the asked number of steps"));
        let good = self.good();
        let measures = good.map_or(self.now.measures, |g| g.measures);
        let x = good.map_or_else(|| self.method.answer(&self.now), |g| &g.point);
        Finished {
            point: Point {
                layout: self.layout.clone(),
                values: x.to_vec(),
            },
            objective: measures.objective,
            measures,
            claim: reason.status,
            reproducible: !matches!(reason.status, Status::TimeLimit | Status::Interrupted),
            reason,
            iterations: self.step,
            counts: self.counts,
            extra: self.extra,
            multipliers: self.now.multipliers.clone(),
            trace: self.trace.ending(&self.now.x),
            whole: self.method.granularity() == Granularity::Whole,
        }
    }

    /// The checkpoint of the last committed state.
    pub fn save(&self) -> Saved {
        Saved {
            method: self.method.card().name.to_string(),
            layout: (*self.layout).clone(),
            options: self.options.clone(),
            state: self.now.clone(),
            step: self.step,
            counts: self.counts,
            extra: self.extra,
            measured: self.measured,
            seconds: self.seconds,
            first: self.first,
            first_records: self.first_records.iter().map(|v| v.to_bits()).collect(),
            trace: self.trace.clone(),
            ended: self.ended.clone(),
            good: self.good.clone(),
        }
    }

    /// Takes up a checkpoint on the same problem with the same method and settings.
    pub fn resume(method: Arc<dyn Method>, problem: &dyn Oracle, saved: Saved) -> Result<Run, Refusal> {
        if saved.method != method.card().name {
            return Err(Refusal::Start(format!(
                "the checkpoint was made by `{}`, not by `{}`",
                saved.method,
                method.card().name
            )));
        }
        if saved.state.x.len() != problem.dim() || saved.layout.len() != problem.dim() {
            return Err(Refusal::Start(format!(
                "the checkpoint has {} coordinates, the problem {}",
                saved.state.x.len(),
                problem.dim()
            )));
        }
        let schema = method.card().state;
        let fits = saved.state.slots.len() == schema.len()
            && saved
                .state
                .slots
                .iter()
                .zip(schema)
                .all(|(s, spec)| s.kind() == spec.kind);
        let sound = saved.state.records.len() == method.card().records.len()
            && saved.first_records.len() == saved.state.records.len()
            && saved.trace.fits(method.card())
            && method.fits(&saved.state);
        if !(fits && sound) {
            return Err(Refusal::Start(format!(
                "the checkpoint's state does not fit the schema of `{}`",
                saved.method
            )));
        }
        Ok(Run {
            method,
            layout: Arc::new(saved.layout),
            options: saved.options,
            next: saved.state.clone(),
            now: saved.state,
            step: saved.step,
            counts: saved.counts,
            extra: saved.extra,
            measured: saved.measured,
            seconds: saved.seconds,
            first: saved.first,
            first_records: saved.first_records.into_iter().map(f64::from_bits).collect(),
            trace: saved.trace,
            ended: saved.ended,
            good: saved.good,
            cache: Cache::default(),
            watch: Arc::default(),
        })
    }

    /// Adds to the reason of a limit which rule could not have held before, since nothing is known of its quantity.
    fn waited_in_vain(&self, mut reason: Reason) -> Reason {
        let unknown = |s: &&Stop| self.measured && self.now.measures.get(&s.quantity).is_some_and(f64::is_nan);
        if let Some(s) = self.options.stops.iter().find(unknown) {
            reason.why += &format!(
                "; nothing bounds the {0} of this problem, `until {0}` never holds",
                s.quantity
            );
        }
        reason
    }

    /// A rule of the user ends the run where it would be told to have converged: then it is told so.
    fn as_asked(&self, rule: Reason, problem: &dyn Oracle) -> Reason {
        let found = converged(&self.now.measures, self.options.tolerance, problem);
        match found.filter(|_| self.measured) {
            Some(c) => Reason::new(c.status, format!("{}, and {}", rule.why, c.why)),
            None => rule,
        }
    }

    fn holds(&self, stop: &Stop) -> bool {
        let record = self.method.card().records.iter().position(|r| *r == stop.quantity);
        let value = record.and_then(|k| self.now.records.get(k)).copied();
        let at_start = self
            .first
            .get(&stop.quantity)
            .or_else(|| record.and_then(|k| self.first_records.get(k)).copied())
            .unwrap_or(f64::NAN);
        stop.holds(&self.now.measures, value, at_start)
    }
}

/// Steps from `step` on that nobody needs to see but the last of them: a row of the trace or a budget may be due.
fn unseen(options: &Options, trace: &Trace, step: u64) -> u64 {
    let budget = &options.budget;
    if budget.evaluations.is_some() || budget.epochs.is_some() || !options.stops.is_empty() {
        return 1;
    }
    let left = budget.steps.map_or(UNSEEN, |k| k.saturating_sub(step));
    trace.skips(step).min(left).clamp(1, UNSEEN)
}

/// Is the first-order condition met to the tolerance? Of a problem proved convex it is all there is to prove; of a saddle
/// point between bounds, what either side could still win has to be small, too. Of composite problems the gap decides, which
/// only the end of a run looks at.
fn converged(m: &Measures, tolerance: f64, problem: &dyn Oracle) -> Option<Reason> {
    if !(m.stationarity <= tolerance * m.gradient_scale && m.feasibility <= tolerance) {
        return None;
    }
    let small = m.gap.is_nan() || m.gap <= tolerance * (1.0 + m.objective.abs());
    let saddle = problem.class() == Class::Saddle;
    let proved = problem.convex() && problem.class() != Class::Composite;
    match (proved, small) {
        (true, true) if saddle && !m.gap.is_nan() => Some(Reason::new(
            Status::Optimal,
            "neither side can win more than the tolerance",
        )),
        (true, true) if saddle => Some(Reason::new(
            Status::Optimal,
            "the gradient of a convex-concave objective is within the tolerance",
        )),
        (true, true) => Some(Reason::new(
            Status::Optimal,
            "the gradient of a convex problem is within the tolerance",
        )),
        (true, false) if saddle => None,
        _ => Some(Reason::new(Status::Stationary, "the gradient is within the tolerance")),
    }
}

fn exhausted(budget: &Budget, step: u64, counts: &Counts, terms: Option<usize>, seconds: f64) -> Option<Reason> {
    let evaluations = counts.total();
    if budget.steps.is_some_and(|k| step >= k) {
        let s = if step == 1 { "" } else { "s" };
        return Some(Reason::new(Status::StepLimit, format!("{step} step{s} taken")));
    }
    if budget.evaluations.is_some_and(|k| evaluations >= k) {
        return Some(Reason::new(
            Status::EvaluationLimit,
            format!("{evaluations} evaluations made"),
        ));
    }
    if let (Some(k), Some(n)) = (budget.epochs, terms)
        && counts.terms_seen(n) >= k.saturating_mul(n as u64)
    {
        // So many passes are so many steps of a batch: what the stage was given, and no guard against too much work.
        let s = if k == 1 { "" } else { "es" };
        return Some(Reason::new(
            Status::StepLimit,
            format!("{k} pass{s} over {n} terms made"),
        ));
    }
    if budget.seconds.is_some_and(|s| seconds >= s) {
        return Some(Reason::new(Status::TimeLimit, "the time is used up"));
    }
    None
}

fn stopped(run: &Run) -> Option<Reason> {
    let rule = run.options.stops.iter().find(|s| run.holds(s))?;
    let relative = if rule.relative { "relative " } else { "" };
    Some(Reason::new(
        Status::Feasible,
        format!("{relative}{} fell to {:e}, as asked", rule.quantity, rule.limit),
    ))
}
