//! Pipelines as they run: stages one after the other, races, many starts, repetitions, limits around them.
//!
//! Invariant: a course is a value between two calls: cut anywhere, saved, and taken up again it goes through the same
//! states bit for bit; which runner of a race is advanced, and how far, depends on counted work only, never on the clock.

use std::collections::BTreeMap;
use std::sync::Arc;

use serde::{Deserialize, Serialize};

use super::compiled::{Answer, Ask, Begun, Compiled, Going};
use super::draws::{Key, Purpose};
use super::method::{Method, Seed};
use super::methods::scripted::OWN_RULE;
use super::oracle::Counts;
use super::run::{Options, Run, Saved, Watch};
use super::stop::{Budget, Reason, Status, Stop};
use super::trace::Trace;
use super::{bits, board};
use crate::base::Tensor;
use crate::exec::Fault;
use crate::ir::InputId;

pub use board::{Board, Line, Sort};

/// Work that a runner gets in one turn of a race, in evaluations.
const TURN: f64 = 32.0;
/// Stages one after the other whose records are all kept.
const RECORDS: usize = 32;

/// A pipeline over stages of some kind: as written, as resolved, as run.
#[derive(Clone, Debug)]
pub enum Course<S> {
    /// One stage.
    Stage(S),
    /// One after the other, each from where the last one ended.
    Then(Vec<Course<S>>),
    /// In turns of equal work, from the same point: the first that reaches the tolerance wins.
    Race(Vec<(String, Course<S>)>),
    /// From many starts; the best answer is kept.
    Many {
        /// How many.
        count: u64,
        /// How far from the start where bounds do not say.
        spread: f64,
        /// What runs from each.
        body: Box<Course<S>>,
    },
    /// So many times, one after the other.
    Repeat(u64, Box<Course<S>>),
    /// With limits around it, which hold for every path through it.
    Within(Limits, Box<Course<S>>),
}

impl<S> Course<S> {
    /// Is there a race in it?
    pub fn races(&self) -> bool {
        match self {
            Course::Stage(_) => false,
            Course::Race(_) => true,
            Course::Then(all) => all.iter().any(Course::races),
            Course::Many { body, .. } | Course::Repeat(_, body) | Course::Within(_, body) => body.races(),
        }
    }
}

/// Limits around a pipeline.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Limits {
    /// What a path may use up.
    pub budget: Budget,
    /// Rules that end it.
    pub stops: Vec<Stop>,
}

impl<S> Course<S> {
    /// The same course over other stages.
    pub fn try_map<T, E>(self, f: &mut dyn FnMut(S) -> Result<T, E>) -> Result<Course<T>, E> {
        Ok(match self {
            Course::Stage(s) => Course::Stage(f(s)?),
            Course::Then(all) => Course::Then(all.into_iter().map(|c| c.try_map(f)).collect::<Result<_, E>>()?),
            Course::Race(all) => Course::Race(
                all.into_iter()
                    .map(|(n, c)| Ok((n, c.try_map(f)?)))
                    .collect::<Result<_, E>>()?,
            ),
            Course::Many { count, spread, body } => Course::Many {
                count,
                spread,
                body: Box::new(body.try_map(f)?),
            },
            Course::Repeat(n, body) => Course::Repeat(n, Box::new(body.try_map(f)?)),
            Course::Within(l, body) => Course::Within(l, Box::new(body.try_map(f)?)),
        })
    }

    /// Calls `f` with every stage, in the order written.
    pub fn for_each<'s>(&'s self, f: &mut dyn FnMut(&'s S)) {
        match self {
            Course::Stage(s) => f(s),
            Course::Then(all) => all.iter().for_each(|c| c.for_each(f)),
            Course::Race(all) => all.iter().for_each(|c| c.1.for_each(f)),
            Course::Many { body, .. } | Course::Repeat(_, body) | Course::Within(_, body) => body.for_each(f),
        }
    }
}

/// A stage that can run.
#[derive(Clone)]
pub struct Stage {
    /// Which of the compiled forms it runs on.
    pub form: usize,
    /// The method asked for; by the problem's class if there is none.
    pub method: Option<Arc<dyn Method>>,
    /// What it may use up.
    pub budget: Budget,
    /// Rules that end it.
    pub stops: Vec<Stop>,
    /// Steps between two looks at the point, for methods that do not measure it themselves.
    pub measure_every: u64,
    /// Does it end at the tolerance, for methods that do not judge themselves? Then nothing else was asked for.
    pub judge: bool,
}

/// What the driver is lent.
pub struct Around<'a> {
    /// The compiled forms.
    pub forms: &'a mut [Compiled],
    /// Values of the parameters.
    pub params: &'a [(InputId, Arc<Tensor>)],
    /// The one tolerance.
    pub tolerance: f64,
    /// Stops the run, and shows its last good point.
    pub watch: Arc<Watch>,
    /// Seconds on the session's clock.
    pub now: &'a dyn Fn() -> f64,
    /// When the whole has to end.
    pub deadline: Option<f64>,
}

/// Where a course begins.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Entry {
    /// Starts by variable.
    starts: BTreeMap<String, Bits>,
    /// Where the last stage or solve ended.
    previous: Option<Bits>,
    seed: u64,
    /// Was it drawn, so that it is no warm start?
    drawn: bool,
}

/// Numbers, kept in every bit.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
struct Bits(#[serde(with = "bits::array")] Vec<f64>);

impl PartialEq for Bits {
    fn eq(&self, other: &Self) -> bool {
        bits::same(&self.0, &other.0)
    }
}

impl Entry {
    /// From starts by variable, or from where the last solve ended.
    pub fn new(starts: BTreeMap<String, Vec<f64>>, previous: Option<Vec<f64>>, seed: u64) -> Entry {
        Entry {
            starts: starts.into_iter().map(|(n, v)| (n, Bits(v))).collect(),
            previous: previous.map(Bits),
            seed,
            drawn: false,
        }
    }
    fn starts(&self) -> BTreeMap<String, Vec<f64>> {
        self.starts.iter().map(|(n, v)| (n.clone(), v.0.clone())).collect()
    }
    fn previous(&self) -> Option<&[f64]> {
        self.previous.as_ref().map(|b| b.0.as_slice())
    }
}

/// What a path may still use.
#[derive(Clone, Debug, Default)]
struct Left {
    budget: Budget,
    deadline: Option<f64>,
    stops: Vec<Stop>,
}

impl Left {
    fn inside(&self, l: &Limits, until: Option<f64>) -> Left {
        Left {
            budget: Budget {
                steps: less(self.budget.steps, l.budget.steps),
                evaluations: less(self.budget.evaluations, l.budget.evaluations),
                epochs: less(self.budget.epochs, l.budget.epochs),
                seconds: None,
            },
            deadline: earlier(self.deadline, until),
            stops: self.stops.iter().chain(&l.stops).cloned().collect(),
        }
    }
    /// After a part of the path used so much.
    fn after(&self, steps: u64, made: &Counts, terms: Option<usize>) -> Left {
        let passes = terms.map_or(0, |n| made.terms_seen(n) / n.max(1) as u64);
        Left {
            budget: Budget {
                steps: self.budget.steps.map(|k| k.saturating_sub(steps)),
                evaluations: self.budget.evaluations.map(|k| k.saturating_sub(made.total())),
                epochs: self.budget.epochs.map(|k| k.saturating_sub(passes)),
                seconds: None,
            },
            ..self.clone()
        }
    }
    fn used_up(&self) -> bool {
        [self.budget.steps, self.budget.evaluations, self.budget.epochs].contains(&Some(0))
    }
}

fn earlier(a: Option<f64>, b: Option<f64>) -> Option<f64> {
    match (a, b) {
        (Some(a), Some(b)) => Some(a.min(b)),
        (a, b) => a.or(b),
    }
}

fn less(a: Option<u64>, b: Option<u64>) -> Option<u64> {
    match (a, b) {
        (Some(a), Some(b)) => Some(a.min(b)),
        (a, b) => a.or(b),
    }
}

/// How far a call goes.
#[derive(Clone, Copy, Debug)]
pub struct Quota {
    /// Steps at most.
    pub steps: u64,
    /// Work at most; the step that exceeds it is the last.
    pub work: f64,
    /// Is a stage to begin even if no step is left?
    pub begin: bool,
}

impl Quota {
    /// To the end.
    pub const ALL: Quota = Quota {
        steps: u64::MAX,
        work: f64::INFINITY,
        begin: false,
    };
    fn is_over(&self) -> bool {
        !self.begin && (self.steps == 0 || self.work <= 0.0)
    }
}

/// What is kept of a stage when its run is let go.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
struct Past {
    name: String,
    status: Status,
    reason: String,
    #[serde(with = "bits::number")]
    objective: f64,
    steps: u64,
    counts: Counts,
    extra: Counts,
    warm: (bool, String),
    reproducible: bool,
    log: Vec<String>,
}

/// A stage with its run.
struct Leg {
    stage: Stage,
    entry: Option<Entry>,
    going: Option<Box<Going>>,
    answer: Option<Box<Answer>>,
    past: Option<Past>,
    /// What its run recorded, kept when the run is let go.
    record: Option<Box<Trace>>,
    work: f64,
    /// Did a limit of its own, or one around it, end it?
    as_written: bool,
    /// Did a rule around it end it?
    whole: bool,
}

/// A course on its way.
pub struct Node(Part);

enum Part {
    Leg(Box<Leg>),
    Then {
        parts: Vec<Node>,
        at: usize,
        over: bool,
    },
    Race {
        names: Vec<String>,
        runners: Vec<Node>,
        allowance: f64,
        at: usize,
        over: bool,
        winner: Option<usize>,
        kept: usize,
    },
    Many {
        body: Course<Stage>,
        count: u64,
        spread: f64,
        entry: Entry,
        tries: Vec<Node>,
        found: Vec<Found>,
        over: bool,
        kept: usize,
    },
    Within {
        limits: Limits,
        until: Option<f64>,
        inner: Box<Node>,
    },
}

/// Where one of many starts led.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
struct Found {
    point: Bits,
    status: Status,
    #[serde(with = "bits::number")]
    objective: f64,
}

/// A course as written to a file.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Kept(KeptPart);

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
enum KeptPart {
    Leg {
        entry: Option<Entry>,
        run: Option<Box<Saved>>,
        past: Option<Box<Past>>,
        record: Option<Box<Trace>>,
        #[serde(with = "bits::number")]
        work: f64,
        as_written: bool,
        whole: bool,
    },
    Then {
        parts: Vec<Kept>,
        at: usize,
        over: bool,
    },
    Race {
        runners: Vec<Kept>,
        #[serde(with = "bits::number")]
        allowance: f64,
        at: usize,
        over: bool,
        winner: Option<usize>,
        kept: usize,
    },
    Many {
        entry: Entry,
        tries: Vec<Kept>,
        found: Vec<Found>,
        over: bool,
        kept: usize,
    },
    Within(Box<Kept>),
}

/// How a course ended, or where it stands.
pub struct Standing {
    /// The form that the answer is of.
    pub form: usize,
    /// The answer, with what all stages of its path took.
    pub answer: Answer,
    /// Tables of the races and of the starts.
    pub boards: Vec<Board>,
    /// What the stages of its path recorded, in order, each with its form.
    pub records: Vec<(usize, Trace)>,
    /// Did it end where its author wrote?
    pub as_written: bool,
}

impl Course<Stage> {
    /// The course before its first step.
    pub fn enter(&self, entry: Entry) -> Node {
        let mut n = self.node();
        n.enter(entry);
        n
    }

    fn node(&self) -> Node {
        Node(match self {
            Course::Stage(s) => Part::Leg(Box::new(Leg {
                stage: s.clone(),
                entry: None,
                going: None,
                answer: None,
                past: None,
                record: None,
                work: 0.0,
                as_written: false,
                whole: false,
            })),
            Course::Then(all) => Part::Then {
                parts: all.iter().map(Course::node).collect(),
                at: 0,
                over: false,
            },
            Course::Repeat(n, body) => Part::Then {
                parts: (0..*n).map(|_| body.node()).collect(),
                at: 0,
                over: false,
            },
            Course::Race(all) => Part::Race {
                names: all.iter().map(|c| c.0.clone()).collect(),
                runners: all.iter().map(|c| c.1.node()).collect(),
                allowance: TURN,
                at: 0,
                over: false,
                winner: None,
                kept: 0,
            },
            Course::Many { count, spread, body } => Part::Many {
                body: (**body).clone(),
                count: *count,
                spread: *spread,
                entry: Entry::default(),
                tries: vec![],
                found: vec![],
                over: false,
                kept: 0,
            },
            Course::Within(limits, body) => Part::Within {
                limits: limits.clone(),
                until: None,
                inner: Box::new(body.node()),
            },
        })
    }
}

/// Seeds of copies: the first keeps the seed, so that one copy is the thing itself.
fn reseeded(seed: u64, k: u64) -> u64 {
    if k == 0 {
        seed
    } else {
        Key::new(Seed(seed), Purpose::Copy, k, 0).number()
    }
}

impl Node {
    fn enter(&mut self, entry: Entry) {
        match &mut self.0 {
            Part::Leg(l) => l.entry = Some(entry),
            Part::Then { parts, .. } => {
                if let Some(p) = parts.first_mut() {
                    p.enter(entry);
                }
            }
            Part::Race { runners, .. } => runners.iter_mut().for_each(|r| r.enter(entry.clone())),
            Part::Many { entry: e, .. } => *e = entry,
            Part::Within { inner, .. } => inner.enter(entry),
        }
    }

    /// Begins, and stands before its first step.
    pub fn begin(&mut self, cx: &mut Around<'_>) -> Result<(), (usize, Fault)> {
        let mut quota = Quota {
            steps: 0,
            begin: true,
            ..Quota::ALL
        };
        self.advance(cx, &mut quota)
    }

    /// Goes on, as far as the quota allows. A stage that cannot be evaluated fails the whole, with its form.
    pub fn advance(&mut self, cx: &mut Around<'_>, quota: &mut Quota) -> Result<(), (usize, Fault)> {
        let left = Left {
            deadline: cx.deadline,
            ..Left::default()
        };
        self.go(cx, quota, &left, false)
    }

    fn go(&mut self, cx: &mut Around<'_>, quota: &mut Quota, left: &Left, lone: bool) -> Result<(), (usize, Fault)> {
        match &mut self.0 {
            Part::Leg(l) => l.go(cx, quota, left, lone),
            Part::Within { limits, until, inner } => {
                if let (Some(s), None) = (limits.budget.seconds, *until) {
                    *until = Some((cx.now)() + s);
                }
                inner.go(cx, quota, &left.inside(limits, *until), lone)
            }
            Part::Then { parts, at, over } => {
                while !*over && !quota.is_over() {
                    let (steps, made) = spent(&parts[..*at]);
                    let terms = cx.forms.get(parts[*at].first_form()).and_then(Compiled::terms);
                    parts[*at].go(cx, quota, &left.after(steps, &made, terms), lone)?;
                    if !parts[*at].ended() {
                        break;
                    }
                    let (steps, made) = spent(&parts[..=*at]);
                    let leg = parts[*at].leg();
                    let out = leg.fatal() || leg.whole || left.after(steps, &made, terms).used_up();
                    if *at + 1 == parts.len() || out || late(cx, left) {
                        *over = true;
                        break;
                    }
                    let seed = leg.entry.as_ref().map_or(0, |e| e.seed);
                    let previous = leg.answer.as_ref().map(|a| a.x.clone()).filter(|x| !x.is_empty());
                    if parts.len() <= RECORDS {
                        parts[*at].remember();
                    }
                    parts[*at].retire();
                    *at += 1;
                    parts[*at].enter(Entry::new(BTreeMap::new(), previous, seed));
                }
                Ok(())
            }
            Part::Race {
                runners,
                allowance,
                at,
                over,
                winner,
                kept,
                ..
            } => {
                while !*over && !quota.is_over() {
                    let r = &mut runners[*at];
                    let share = *allowance - r.work();
                    if !r.ended() && share > 0.0 {
                        let mut own = Quota {
                            steps: quota.steps,
                            work: share.min(quota.work),
                            begin: quota.begin,
                        };
                        quota.begin = false;
                        let before = (own.steps, r.work());
                        r.go(cx, &mut own, left, true)?;
                        quota.steps -= before.0 - own.steps;
                        quota.work -= r.work() - before.1;
                        if !r.ended() && r.work() < *allowance {
                            return Ok(());
                        }
                    }
                    *at += 1;
                    if *at < runners.len() {
                        continue;
                    }
                    // A turn is over.
                    *at = 0;
                    *allowance += TURN;
                    let first = |a: &usize, b: &usize| runners[*a].work().total_cmp(&runners[*b].work());
                    *winner = (0..runners.len()).filter(|k| runners[*k].reached()).min_by(first);
                    let beaten = |w: usize| runners.iter().all(|r| r.ended() || r.work() >= runners[w].work());
                    *over = runners.iter().all(Node::ended) || winner.is_some_and(beaten) || late(cx, left);
                    if runners.iter().any(Node::interrupted) {
                        // It may be let go on: nobody is sent home.
                        (*over, *kept) = (true, best(cx, runners));
                        return Ok(());
                    }
                    if *over {
                        for r in runners.iter_mut() {
                            r.stop_here(cx)?;
                        }
                        *kept = winner.unwrap_or_else(|| best(cx, runners));
                        let k = *kept;
                        runners
                            .iter_mut()
                            .enumerate()
                            .filter(|(i, _)| *i != k)
                            .for_each(|r| r.1.retire());
                    }
                }
                Ok(())
            }
            Part::Many {
                body,
                count,
                spread,
                entry,
                tries,
                found,
                over,
                kept,
            } => {
                while !*over && !quota.is_over() {
                    if tries.len() == found.len() {
                        let k = tries.len() as u64;
                        let mut e = entry.clone();
                        if k > 0 {
                            let mut t = body.node();
                            let form = t.first_form();
                            let drawn = cx.forms[form].drawn_start(
                                cx.params,
                                &entry.starts(),
                                entry.previous(),
                                (entry.seed, k, *spread),
                            );
                            let x = drawn.map_err(|f| (form, f))?;
                            e = Entry::new(BTreeMap::new(), Some(x), reseeded(entry.seed, k));
                            e.drawn = true;
                            t.enter(e);
                            tries.push(t);
                        } else {
                            e.seed = entry.seed;
                            tries.push(body.enter(e));
                        }
                    }
                    let k = tries.len() - 1;
                    tries[k].go(cx, quota, left, true)?;
                    if !tries[k].ended() {
                        break;
                    }
                    let leg = tries[k].leg();
                    let a = leg.answer.as_deref();
                    found.push(Found {
                        point: Bits(a.map(|a| a.x.clone()).unwrap_or_default()),
                        status: a.map_or(Status::EvaluationError, |a| a.status),
                        objective: a.and_then(|a| a.objective).unwrap_or(f64::NAN),
                    });
                    if tries[k].interrupted() {
                        // It may be let go on.
                        *over = true;
                        if better(cx, &tries[k], &tries[*kept]) {
                            *kept = k;
                        }
                        break;
                    }
                    if k > 0 && better(cx, &tries[k], &tries[*kept]) {
                        tries[*kept].retire();
                        *kept = k;
                    } else if k > 0 {
                        tries[k].retire();
                    }
                    *over = found.len() as u64 >= *count || late(cx, left);
                }
                Ok(())
            }
        }
    }

    /// Has it ended?
    pub fn ended(&self) -> bool {
        match &self.0 {
            Part::Leg(l) => l.answer.is_some() || l.past.is_some(),
            Part::Then { over, .. } | Part::Race { over, .. } | Part::Many { over, .. } => *over,
            Part::Within { inner, .. } => inner.ended(),
        }
    }

    fn reached(&self) -> bool {
        self.ended() && self.leg().reached()
    }

    fn interrupted(&self) -> bool {
        self.ended() && self.leg().status() == Some(Status::Interrupted)
    }

    /// The stage that runs now, or whose answer is that of the whole.
    fn leg(&self) -> &Leg {
        match &self.0 {
            Part::Leg(l) => l,
            Part::Then { parts, at, .. } => parts[*at].leg(),
            Part::Race {
                runners,
                at,
                over,
                kept,
                ..
            } => runners[if *over { *kept } else { *at }].leg(),
            Part::Many { tries, over, kept, .. } => tries[if *over { *kept } else { tries.len() - 1 }].leg(),
            Part::Within { inner, .. } => inner.leg(),
        }
    }

    /// The form that its first stage runs on.
    fn first_form(&self) -> usize {
        match &self.0 {
            Part::Leg(l) => l.stage.form,
            Part::Then { parts, .. } => parts.first().map_or(0, Node::first_form),
            Part::Race { runners, .. } => runners.first().map_or(0, Node::first_form),
            Part::Many { body, .. } => {
                let mut form = None;
                body.for_each(&mut |s| {
                    form.get_or_insert(s.form);
                });
                form.unwrap_or(0)
            }
            Part::Within { inner, .. } => inner.first_form(),
        }
    }

    fn parts(&self) -> &[Node] {
        match &self.0 {
            Part::Leg(_) => &[],
            Part::Then { parts, .. } => parts,
            Part::Race { runners, .. } => runners,
            Part::Many { tries, .. } => tries,
            Part::Within { inner, .. } => std::slice::from_ref(inner),
        }
    }

    /// Work done, in evaluations.
    pub fn work(&self) -> f64 {
        match &self.0 {
            Part::Leg(l) => l.work,
            _ => self.parts().iter().map(Node::work).sum(),
        }
    }

    /// Steps and evaluations of all its stages, and evaluations that rules and traces asked for beyond the steps.
    pub fn counts(&self) -> (u64, Counts, Counts) {
        match &self.0 {
            Part::Leg(l) => l.counts(),
            _ => self
                .parts()
                .iter()
                .map(Node::counts)
                .fold(Default::default(), |a, b| (a.0 + b.0, a.1.plus(&b.1), a.2.plus(&b.2))),
        }
    }

    /// The stages of the path that leads to where it stands.
    fn path<'n>(&'n self, out: &mut Vec<&'n Leg>) {
        match &self.0 {
            Part::Leg(l) => out.push(l),
            Part::Then { parts, at, .. } => parts[..=*at].iter().for_each(|p| p.path(out)),
            Part::Race {
                runners,
                at,
                over,
                kept,
                ..
            } => runners[if *over { *kept } else { *at }].path(out),
            Part::Many { tries, over, kept, .. } => {
                if let Some(t) = tries.get(if *over { *kept } else { tries.len().saturating_sub(1) }) {
                    t.path(out);
                }
            }
            Part::Within { inner, .. } => inner.path(out),
        }
    }

    /// Keeps what was recorded on the way to its answer.
    fn remember(&mut self) {
        match &mut self.0 {
            Part::Leg(l) => {
                let trace = l.answer.as_ref().and_then(|a| a.trace.clone());
                l.record = trace.map(Box::new);
            }
            Part::Then { parts, at, .. } => parts[*at].remember(),
            Part::Race { runners, kept, .. } => runners[*kept].remember(),
            Part::Many { tries, kept, .. } => tries[*kept].remember(),
            Part::Within { inner, .. } => inner.remember(),
        }
    }

    /// Lets the runs go that nothing needs any more.
    fn retire(&mut self) {
        match &mut self.0 {
            Part::Leg(l) => l.retire(),
            Part::Then { parts, .. } => parts.iter_mut().for_each(Node::retire),
            Part::Race { runners, .. } => runners.iter_mut().for_each(Node::retire),
            Part::Many { tries, .. } => tries.iter_mut().for_each(Node::retire),
            Part::Within { inner, .. } => inner.retire(),
        }
    }

    /// Ends where it stands, because a race around it is decided.
    fn stop_here(&mut self, cx: &mut Around<'_>) -> Result<(), (usize, Fault)> {
        if self.ended() {
            return Ok(());
        }
        match &mut self.0 {
            Part::Leg(l) => {
                if let Some(g) = &mut l.going {
                    let word = if cx.watch.is_set() {
                        Status::Interrupted
                    } else {
                        Status::Feasible
                    };
                    g.run.end(Reason::new(word, "the race was over"));
                }
                l.conclude(cx, true, &Left::default())
            }
            Part::Then { parts, at, over } => {
                *over = true;
                parts[*at].stop_here(cx)
            }
            Part::Race {
                runners, over, kept, ..
            } => {
                *over = true;
                for r in runners.iter_mut() {
                    r.stop_here(cx)?;
                }
                *kept = best(cx, runners);
                Ok(())
            }
            Part::Many {
                tries,
                found,
                over,
                kept,
                ..
            } => {
                *over = true;
                if let (true, Some(t)) = (tries.len() > found.len(), tries.last_mut()) {
                    t.stop_here(cx)?;
                }
                *kept = best(cx, tries);
                Ok(())
            }
            Part::Within { inner, .. } => inner.stop_here(cx),
        }
    }

    /// The run that is advanced now, and its form.
    pub fn run(&self) -> Option<(usize, &Run)> {
        let mut path = vec![];
        self.path(&mut path);
        let leg = path.last()?;
        leg.going.as_ref().map(|g| (leg.stage.form, &g.run))
    }

    /// Calls `f` with the methods of all stages.
    pub fn for_each_method(&self, f: &mut dyn FnMut(&dyn Method)) {
        let mut one = |s: &Stage| s.method.iter().for_each(|m| f(&**m));
        match &self.0 {
            Part::Leg(l) => one(&l.stage),
            Part::Then { parts, .. } => parts.iter().for_each(|p| p.for_each_method(f)),
            Part::Race { runners, .. } => runners.iter().for_each(|p| p.for_each_method(f)),
            Part::Many { body, .. } => body.for_each(&mut one),
            Part::Within { inner, .. } => inner.for_each_method(f),
        }
    }

    /// Lets a run that was interrupted go on.
    pub fn reopen(&mut self) {
        if !self.interrupted() {
            return;
        }
        match &mut self.0 {
            Part::Leg(l) => {
                if let Some(g) = &mut l.going {
                    g.run.reopen();
                    l.answer = None;
                }
            }
            Part::Then { parts, at, over } => {
                *over = false;
                parts[*at].reopen();
            }
            Part::Race { runners, over, .. } => {
                *over = false;
                runners.iter_mut().for_each(Node::reopen);
            }
            Part::Many { tries, found, over, .. } => {
                *over = false;
                found.pop();
                if let Some(t) = tries.last_mut() {
                    t.reopen();
                }
            }
            Part::Within { inner, .. } => inner.reopen(),
        }
    }

    /// What it came to, or where it stands. Changes nothing of the course.
    pub fn standing(&self, cx: &mut Around<'_>) -> Result<Option<Standing>, (usize, Fault)> {
        let mut path = vec![];
        self.path(&mut path);
        let Some(last) = path.last() else { return Ok(None) };
        let form = last.stage.form;
        let mut a = match (&last.answer, &last.going) {
            (Some(a), _) => (**a).clone(),
            (None, Some(g)) => cx.forms[form].conclude(g, cx.tolerance).map_err(|f| (form, f))?,
            (None, None) => return Ok(None),
        };
        let pasts: Vec<Past> = path.iter().map(|l| l.past_of(&a, std::ptr::eq(*l, *last))).collect();
        if pasts.len() > 1 {
            a.method = pasts.iter().map(|p| p.name.as_str()).collect::<Vec<_>>().join(" then ");
            a.iterations = Some(pasts.iter().map(|p| p.steps).sum());
            let line = |p: &Past| format!("{}: {} ({})", p.name, p.status, p.reason);
            a.log = pasts
                .iter()
                .flat_map(|p| std::iter::once(line(p)).chain(p.log.iter().cloned()))
                .collect();
        }
        if let Some(first) = pasts.first() {
            a.warm = first.warm.clone();
        }
        if path.first().and_then(|l| l.entry.as_ref()).is_some_and(|e| e.drawn) {
            a.warm = (false, String::new());
        }
        a.reproducible = pasts.iter().all(|p| p.reproducible);
        let (_, made, extra) = self.counts();
        a.counts = (made, extra);
        let mut records: Vec<(usize, Trace)> = vec![];
        for l in &path {
            let now = if std::ptr::eq(*l, *last) {
                a.trace.as_ref()
            } else {
                l.record.as_deref()
            };
            records.extend(now.map(|t| (l.stage.form, t.clone())));
        }
        let mut boards = vec![];
        self.boards(cx, &mut boards, &mut a);
        Ok(Some(Standing {
            form,
            answer: a,
            boards,
            records,
            as_written: last.as_written,
        }))
    }

    fn boards(&self, cx: &Around<'_>, out: &mut Vec<Board>, a: &mut Answer) {
        match &self.0 {
            Part::Race {
                names,
                runners,
                over,
                winner,
                ..
            } => {
                let lines = names.iter().zip(runners).enumerate().map(|(k, (name, r))| {
                    let mut path = vec![];
                    r.path(&mut path);
                    let (steps, made, _) = r.counts();
                    let standing = path.last().and_then(|l| l.status());
                    Line {
                        what: name.clone(),
                        first: *over && *winner == Some(k),
                        status: standing,
                        objective: path.last().and_then(|l| l.objective()),
                        times: 0,
                        steps,
                        evaluations: made.total(),
                        work: r.work(),
                        point: vec![],
                    }
                });
                let lines: Vec<Line> = lines.collect();
                if let (true, Some(w)) = (*over, winner) {
                    a.method_why = format!("won the race of {}", runners.len());
                    let _ = w;
                } else if *over {
                    a.method_why = format!("the best of a race of {} without a winner", runners.len());
                }
                out.push(Board {
                    sort: Sort::Race,
                    lines,
                });
            }
            Part::Many { found, over, .. } => {
                if *over {
                    a.method_why = format!("the best of {} starts", found.len());
                }
                let maximize = cx.forms.get(self.first_form()).is_some_and(Compiled::maximizes);
                let rows: Vec<(&[f64], Status, f64)> = found
                    .iter()
                    .map(|f| (f.point.0.as_slice(), f.status, f.objective))
                    .collect();
                let (steps, made, _) = self.counts();
                out.push(board::optima(&rows, maximize, (steps, made.total(), self.work())));
            }
            _ => {}
        }
        // Of what is inside, the boards on the way to the answer.
        match &self.0 {
            Part::Leg(_) => {}
            Part::Then { parts, at, .. } => parts[..=*at].iter().for_each(|p| p.boards(cx, out, a)),
            Part::Race {
                runners,
                over,
                kept,
                at,
                ..
            } => runners[if *over { *kept } else { *at }].boards(cx, out, a),
            Part::Many { .. } => {}
            Part::Within { inner, .. } => inner.boards(cx, out, a),
        }
    }

    /// The course as of now, to be written to a file or gone back to.
    pub fn keep(&self) -> Kept {
        let all = |nodes: &[Node]| nodes.iter().map(Node::keep).collect::<Vec<_>>();
        Kept(match &self.0 {
            Part::Leg(l) => KeptPart::Leg {
                entry: l.entry.clone(),
                run: l.going.as_ref().map(|g| Box::new(g.run.save())),
                past: l.past.clone().map(Box::new),
                record: l.record.clone(),
                work: l.work,
                as_written: l.as_written,
                whole: l.whole,
            },
            Part::Then { parts, at, over } => KeptPart::Then {
                parts: all(parts),
                at: *at,
                over: *over,
            },
            Part::Race {
                runners,
                allowance,
                at,
                over,
                winner,
                kept,
                ..
            } => KeptPart::Race {
                runners: all(runners),
                allowance: *allowance,
                at: *at,
                over: *over,
                winner: *winner,
                kept: *kept,
            },
            Part::Many {
                entry,
                tries,
                found,
                over,
                kept,
                ..
            } => KeptPart::Many {
                entry: entry.clone(),
                tries: all(tries),
                found: found.clone(),
                over: *over,
                kept: *kept,
            },
            Part::Within { inner, .. } => KeptPart::Within(Box::new(inner.keep())),
        })
    }

    /// Becomes what was kept of a course of the same shape. Errors: why it does not fit.
    pub fn restore(&mut self, kept: &Kept, cx: &mut Around<'_>) -> Result<(), String> {
        let other = || "it was made by another pipeline".to_string();
        match (&mut self.0, &kept.0) {
            (
                Part::Leg(l),
                KeptPart::Leg {
                    entry,
                    run,
                    past,
                    record,
                    work,
                    as_written,
                    whole,
                },
            ) => {
                l.record.clone_from(record);
                (l.entry, l.past, l.work) = (entry.clone(), past.as_deref().cloned(), *work);
                (l.as_written, l.whole, l.going, l.answer) = (*as_written, *whole, None, None);
                if let (Some(saved), Some(e)) = (run, entry) {
                    l.take_up(cx, e, (**saved).clone())?;
                }
                Ok(())
            }
            (
                Part::Then { parts, at, over },
                KeptPart::Then {
                    parts: p,
                    at: a,
                    over: o,
                },
            ) if parts.len() == p.len() && *a < p.len() => {
                (*at, *over) = (*a, *o);
                parts.iter_mut().zip(p).try_for_each(|(n, k)| n.restore(k, cx))
            }
            (
                Part::Race {
                    runners,
                    allowance,
                    at,
                    over,
                    winner,
                    kept,
                    ..
                },
                KeptPart::Race {
                    runners: r,
                    allowance: w,
                    at: a,
                    over: o,
                    winner: first,
                    kept: k,
                },
            ) if runners.len() == r.len() && [Some(*a), Some(*k), *first].iter().flatten().all(|i| *i < r.len()) => {
                (*allowance, *at, *over, *winner, *kept) = (*w, *a, *o, *first, *k);
                runners.iter_mut().zip(r).try_for_each(|(n, k)| n.restore(k, cx))
            }
            (
                Part::Many {
                    body,
                    count,
                    entry,
                    tries,
                    found,
                    over,
                    kept,
                    ..
                },
                KeptPart::Many {
                    entry: e,
                    tries: t,
                    found: f,
                    over: o,
                    kept: k,
                },
            ) if t.len() as u64 <= *count && f.len() <= t.len() && t.len() <= f.len() + 1 && *k < t.len().max(1) => {
                (*entry, *found, *over, *kept) = (e.clone(), f.clone(), *o, *k);
                *tries = t.iter().map(|_| body.node()).collect();
                tries.iter_mut().zip(t).try_for_each(|(n, k)| n.restore(k, cx))
            }
            (Part::Within { inner, .. }, KeptPart::Within(k)) => inner.restore(k, cx),
            _ => Err(other()),
        }
    }
}

/// Is the time over?
fn late(cx: &Around<'_>, left: &Left) -> bool {
    left.deadline.is_some_and(|d| (cx.now)() >= d)
}

fn spent(nodes: &[Node]) -> (u64, Counts) {
    nodes
        .iter()
        .map(Node::counts)
        .fold(Default::default(), |a, b| (a.0 + b.0, a.1.plus(&b.1)))
}

/// The best of those that ended: the one with a usable point of the least objective, the first among equals.
fn best(cx: &Around<'_>, nodes: &[Node]) -> usize {
    (1..nodes.len()).fold(0, |b, k| if better(cx, &nodes[k], &nodes[b]) { k } else { b })
}

fn better(cx: &Around<'_>, a: &Node, b: &Node) -> bool {
    let rank = |n: &Node| {
        let mut path = vec![];
        n.path(&mut path);
        let leg = path.last()?;
        let sign = if cx.forms.get(leg.stage.form).is_some_and(Compiled::maximizes) {
            -1.0
        } else {
            1.0
        };
        let fine = !matches!(
            leg.status()?,
            Status::Diverged | Status::EvaluationError | Status::Infeasible | Status::LocallyInfeasible
        );
        leg.objective().filter(|f| fine && !f.is_nan()).map(|f| sign * f)
    };
    match (rank(a), rank(b)) {
        (Some(a), Some(b)) => a < b,
        (a, b) => a.is_some() && b.is_none(),
    }
}

impl Leg {
    fn status(&self) -> Option<Status> {
        self.answer
            .as_ref()
            .map(|a| a.status)
            .or(self.past.as_ref().map(|p| p.status))
    }
    fn objective(&self) -> Option<f64> {
        match (&self.answer, &self.past) {
            (Some(a), _) => a.objective,
            (None, p) => p.as_ref().map(|p| p.objective).filter(|f| !f.is_nan()),
        }
    }
    fn counts(&self) -> (u64, Counts, Counts) {
        match (&self.past, &self.going) {
            (Some(p), _) => (p.steps, p.counts, p.extra),
            (None, Some(g)) => (g.run.steps(), g.run.counts(), g.run.extra()),
            (None, None) => Default::default(),
        }
    }
    /// Is it pointless to go on from where it ended?
    fn fatal(&self) -> bool {
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
    fn reached(&self) -> bool {
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

    fn past_of(&self, answer: &Answer, last: bool) -> Past {
        let own = self.answer.as_deref();
        match (&self.past, if last { Some(answer) } else { own }) {
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

    fn retire(&mut self) {
        if self.past.is_none()
            && let Some(a) = self.answer.take()
        {
            self.answer = Some(a);
            let past = self.answer.as_deref().map(|a| self.past_of(a, true));
            self.past = past;
        }
        self.going = None;
        self.answer = None;
    }

    fn ask<'a>(
        &self,
        cx: &Around<'a>,
        entry: &'a Entry,
        starts: &'a BTreeMap<String, Vec<f64>>,
        left: &Left,
    ) -> Ask<'a> {
        let (own, around) = (&self.stage.budget, &left.budget);
        let seconds = left.deadline.map(|d| (d - (cx.now)()).max(0.0));
        let options = Options {
            tolerance: cx.tolerance,
            budget: Budget {
                steps: less(own.steps, around.steps),
                evaluations: less(own.evaluations, around.evaluations),
                epochs: less(own.epochs, around.epochs),
                seconds: earlier(own.seconds, seconds),
            },
            stops: self.stage.stops.iter().chain(&left.stops).cloned().collect(),
            measure_every: self.stage.measure_every,
            judge: self.stage.judge,
            seed: Seed(entry.seed),
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

    fn go(&mut self, cx: &mut Around<'_>, quota: &mut Quota, left: &Left, lone: bool) -> Result<(), (usize, Fault)> {
        let form = self.stage.form;
        quota.begin = false;
        if self.answer.is_some() || self.past.is_some() {
            return Ok(());
        }
        if self.going.is_none() {
            let Some(entry) = self.entry.clone() else { return Ok(()) };
            let starts = entry.starts();
            let begun = {
                let Around {
                    params,
                    tolerance,
                    ref watch,
                    now,
                    deadline,
                    ..
                } = *cx;
                let around = Around {
                    forms: &mut [],
                    params,
                    tolerance,
                    watch: watch.clone(),
                    now,
                    deadline,
                };
                let ask = self.ask(&around, &entry, &starts, left);
                cx.forms[form].begin(ask, None)
            };
            match begun {
                Ok(Begun::Over(a)) => self.answer = Some(a),
                Ok(Begun::Going(g)) => {
                    self.work += cx.forms[form].work(&g.run.counts(), &g);
                    self.going = Some(g);
                }
                Err(f) if lone => self.failed(f),
                Err(f) => return Err((form, f)),
            }
            quota.work -= self.work;
        }
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
                return self.conclude(cx, lone, left);
            }
        }
        Ok(())
    }

    fn failed(&mut self, f: Fault) {
        self.answer = Some(Box::new(Answer {
            status: Status::EvaluationError,
            reason: f.what.clone(),
            method: self
                .stage
                .method
                .as_ref()
                .map_or_else(String::new, |m| m.card().name.into()),
            fault: Some(f),
            ..Answer::default()
        }));
    }

    fn conclude(&mut self, cx: &mut Around<'_>, lone: bool, left: &Left) -> Result<(), (usize, Fault)> {
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
                    Status::Feasible => {
                        let own_rule = g.run.ended().is_some_and(|r| r.why == OWN_RULE);
                        own_rule || g.run.meets(&own.stops) || g.run.meets(&left.stops)
                    }
                    _ => false,
                };
                self.whole = a.status == Status::Feasible && g.run.meets(&left.stops);
                self.answer = Some(Box::new(a));
                Ok(())
            }
            Err(f) if lone => {
                self.failed(f);
                Ok(())
            }
            Err(f) => Err((form, f)),
        }
    }

    /// Takes up a saved run.
    fn take_up(&mut self, cx: &mut Around<'_>, entry: &Entry, saved: Saved) -> Result<(), String> {
        let form = self.stage.form;
        let starts = entry.starts();
        let ended = saved.has_ended();
        let begun = {
            let Around {
                params,
                tolerance,
                ref watch,
                now,
                deadline,
                ..
            } = *cx;
            let around = Around {
                forms: &mut [],
                params,
                tolerance,
                watch: watch.clone(),
                now,
                deadline,
            };
            let ask = self.ask(&around, entry, &starts, &Left::default());
            cx.forms[form].begin(ask, Some(saved))
        };
        match begun {
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
