//! A course on its way: a tree whose leaves are stages with their runs, and what all its nodes share.
//!
//! Invariant: the path to where it stands is one chain of stages, each from where the last one ended; a node restored from
//! what was kept of it is the node.

use serde::{Deserialize, Serialize};

use super::super::method::Method;
use super::super::oracle::Counts;
use super::super::run::Run;
use super::super::stop::Status;
use super::allowance::{Left, Quota};
use super::chain::{Chain, KeptChain};
use super::leg::{KeptLeg, Leg};
use super::many::{KeptMany, Many};
use super::race::{KeptRace, Race};
use super::{Around, Course, Entry, Failed, Limits, Stage};

/// A course on its way.
pub struct Node(pub(super) Part);

pub(super) enum Part {
    Leg(Box<Leg>),
    Then(Chain),
    Race(Race),
    Many(Box<Many>),
    Within(Within),
}

/// A part with limits around it.
pub(super) struct Within {
    limits: Limits,
    /// When its seconds are over, from the first time that it goes.
    until: Option<f64>,
    inner: Box<Node>,
}

/// A course as written to a file.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Kept(KeptPart);

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
enum KeptPart {
    Leg(KeptLeg),
    Then(KeptChain),
    Race(KeptRace),
    Many(KeptMany),
    Within(Box<Kept>),
}

pub(super) fn keep_all(nodes: &[Node]) -> Vec<Kept> {
    nodes.iter().map(Node::keep).collect()
}

/// Both have the same length.
pub(super) fn restore_all(nodes: &mut [Node], kept: &[Kept], cx: &mut Around<'_>) -> Result<(), String> {
    nodes.iter_mut().zip(kept).try_for_each(|(n, k)| n.restore(k, cx))
}

/// The best of those that ended: the one with a usable point of the least objective, the first among equals.
pub(super) fn best(cx: &Around<'_>, nodes: &[Node]) -> usize {
    (1..nodes.len()).fold(0, |b, k| if nodes[k].better(&nodes[b], cx) { k } else { b })
}

impl Node {
    /// Before its first step, without a place to begin.
    pub(super) fn new(course: &Course<Stage>) -> Node {
        Node(match course {
            Course::Stage(s) => Part::Leg(Box::new(Leg::new(s.clone()))),
            Course::Then(all) => Part::Then(Chain::new(all.iter().map(Node::new).collect())),
            Course::Repeat(n, body) => Part::Then(Chain::new((0..*n).map(|_| Node::new(body)).collect())),
            Course::Race(all) => {
                let names = all.iter().map(|c| c.0.clone()).collect();
                Part::Race(Race::new(names, all.iter().map(|c| Node::new(&c.1)).collect()))
            }
            Course::Many { count, spread, body } => Part::Many(Box::new(Many::new((**body).clone(), *count, *spread))),
            Course::Within(limits, body) => Part::Within(Within {
                limits: limits.clone(),
                until: None,
                inner: Box::new(Node::new(body)),
            }),
        })
    }

    pub(super) fn enter(&mut self, entry: Entry) {
        match &mut self.0 {
            Part::Leg(l) => l.entry = Some(entry),
            Part::Then(c) => {
                if let Some(p) = c.parts.first_mut() {
                    p.enter(entry);
                }
            }
            Part::Race(r) => r.runners.iter_mut().for_each(|r| r.enter(entry.clone())),
            Part::Many(m) => m.entry = entry,
            Part::Within(w) => w.inner.enter(entry),
        }
    }

    /// Begins, and stands before its first step.
    pub fn begin(&mut self, cx: &mut Around<'_>) -> Result<(), Failed> {
        let mut quota = Quota {
            steps: 0,
            begin: true,
            ..Quota::ALL
        };
        self.advance(cx, &mut quota)
    }

    /// Goes on, as far as the quota allows. A stage that cannot be evaluated fails the whole, with its form.
    pub fn advance(&mut self, cx: &mut Around<'_>, quota: &mut Quota) -> Result<(), Failed> {
        let left = Left {
            deadline: cx.deadline,
            ..Left::default()
        };
        self.go(cx, quota, &left, false)
    }

    /// Goes on within what is left. Where it is `lone`, others go on beside it, and a failure is an answer.
    pub(super) fn go(&mut self, cx: &mut Around<'_>, quota: &mut Quota, left: &Left, lone: bool) -> Result<(), Failed> {
        match &mut self.0 {
            Part::Leg(l) => l.go(cx, quota, left, lone),
            Part::Then(c) => c.go(cx, quota, left, lone),
            Part::Race(r) => r.go(cx, quota, left),
            Part::Many(m) => m.go(cx, quota, left),
            Part::Within(w) => {
                if let (Some(s), None) = (w.limits.budget.seconds, w.until) {
                    w.until = Some((cx.now)() + s);
                }
                w.inner.go(cx, quota, &left.inside(&w.limits, w.until), lone)
            }
        }
    }

    /// Has it ended?
    pub fn ended(&self) -> bool {
        match &self.0 {
            Part::Leg(l) => l.ended(),
            Part::Then(c) => c.over,
            Part::Race(r) => r.over,
            Part::Many(m) => m.over,
            Part::Within(w) => w.inner.ended(),
        }
    }

    /// Did it end where it was sent?
    pub(super) fn reached(&self) -> bool {
        self.ended() && self.leg().is_some_and(Leg::reached)
    }

    pub(super) fn interrupted(&self) -> bool {
        self.ended() && self.leg().and_then(Leg::status) == Some(Status::Interrupted)
    }

    /// Is where it stands better than where the other one stands?
    pub(super) fn better(&self, other: &Node, cx: &Around<'_>) -> bool {
        match (self.rank(cx), other.rank(cx)) {
            (Some(a), Some(b)) => a < b,
            (a, b) => a.is_some() && b.is_none(),
        }
    }

    /// Did it fail, and the objective to minimize: of failures the least one is best.
    fn rank(&self, cx: &Around<'_>) -> Option<(bool, f64)> {
        let leg = self.leg()?;
        let sign = if cx.maximizes(leg.stage.form) { -1.0 } else { 1.0 };
        let failed = leg.status()?.is_failure();
        leg.objective().filter(|f| !f.is_nan()).map(|f| (failed, sign * f))
    }

    fn parts(&self) -> &[Node] {
        match &self.0 {
            Part::Leg(_) => &[],
            Part::Then(c) => &c.parts,
            Part::Race(r) => &r.runners,
            Part::Many(m) => &m.tries,
            Part::Within(w) => std::slice::from_ref(&w.inner),
        }
    }

    /// The parts on the way to where it stands.
    pub(super) fn way(&self) -> &[Node] {
        match &self.0 {
            Part::Leg(_) => &[],
            Part::Then(c) => &c.parts[..=c.at],
            Part::Race(r) => std::slice::from_ref(r.shown()),
            Part::Many(m) => m.shown().map_or(&[], std::slice::from_ref),
            Part::Within(w) => std::slice::from_ref(&w.inner),
        }
    }

    /// The stages of the path that leads to where it stands.
    pub(super) fn path<'n>(&'n self, out: &mut Vec<&'n Leg>) {
        match &self.0 {
            Part::Leg(l) => out.push(l),
            _ => self.way().iter().for_each(|n| n.path(out)),
        }
    }

    /// The stage that runs now, or whose answer is that of the whole; none before many starts begin.
    pub(super) fn leg(&self) -> Option<&Leg> {
        match &self.0 {
            Part::Leg(l) => Some(l),
            _ => self.way().last()?.leg(),
        }
    }

    /// The form that its first stage runs on.
    pub(super) fn first_form(&self) -> usize {
        match &self.0 {
            Part::Leg(l) => l.stage.form,
            Part::Many(m) => m.body.first_form(),
            _ => self.parts().first().map_or(0, Node::first_form),
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

    /// The run that is advanced now, and its form.
    pub fn run(&self) -> Option<(usize, &Run)> {
        let leg = self.leg()?;
        leg.going.as_ref().map(|g| (leg.stage.form, &g.run))
    }

    /// Calls `f` with the methods of all stages.
    pub fn for_each_method(&self, f: &mut dyn FnMut(&dyn Method)) {
        let mut one = |s: &Stage| s.method.iter().for_each(|m| f(&**m));
        match &self.0 {
            Part::Leg(l) => one(&l.stage),
            Part::Many(m) => m.body.for_each(&mut one),
            _ => self.parts().iter().for_each(|p| p.for_each_method(f)),
        }
    }

    /// Keeps what was recorded on the way to its answer.
    pub(super) fn remember(&mut self) {
        match &mut self.0 {
            Part::Leg(l) => l.remember(),
            Part::Then(c) => c.parts[c.at].remember(),
            Part::Race(r) => r.runners[r.kept].remember(),
            Part::Many(m) => m.tries[m.kept].remember(),
            Part::Within(w) => w.inner.remember(),
        }
    }

    /// Lets the runs go that nothing needs any more.
    pub(super) fn retire(&mut self) {
        match &mut self.0 {
            Part::Leg(l) => l.retire(),
            Part::Then(c) => c.parts.iter_mut().for_each(Node::retire),
            Part::Race(r) => r.runners.iter_mut().for_each(Node::retire),
            Part::Many(m) => m.tries.iter_mut().for_each(Node::retire),
            Part::Within(w) => w.inner.retire(),
        }
    }

    /// Ends where it stands, because a race around it is decided.
    pub(super) fn stop_here(&mut self, cx: &mut Around<'_>) -> Result<(), Failed> {
        if self.ended() {
            return Ok(());
        }
        match &mut self.0 {
            Part::Leg(l) => l.stop_here(cx),
            Part::Then(c) => c.stop_here(cx),
            Part::Race(r) => r.stop_here(cx),
            Part::Many(m) => m.stop_here(cx),
            Part::Within(w) => w.inner.stop_here(cx),
        }
    }

    /// Lets a run that was interrupted go on.
    pub fn reopen(&mut self) {
        if !self.interrupted() {
            return;
        }
        match &mut self.0 {
            Part::Leg(l) => l.reopen(),
            Part::Then(c) => c.reopen(),
            Part::Race(r) => r.reopen(),
            Part::Many(m) => m.reopen(),
            Part::Within(w) => w.inner.reopen(),
        }
    }

    /// The course as of now, to be written to a file or gone back to.
    pub fn keep(&self) -> Kept {
        Kept(match &self.0 {
            Part::Leg(l) => KeptPart::Leg(l.keep()),
            Part::Then(c) => KeptPart::Then(c.keep()),
            Part::Race(r) => KeptPart::Race(r.keep()),
            Part::Many(m) => KeptPart::Many(m.keep()),
            Part::Within(w) => KeptPart::Within(Box::new(w.inner.keep())),
        })
    }

    /// Becomes what was kept of a course of the same shape. Errors: why it does not fit.
    pub fn restore(&mut self, kept: &Kept, cx: &mut Around<'_>) -> Result<(), String> {
        match (&mut self.0, &kept.0) {
            (Part::Leg(l), KeptPart::Leg(k)) => l.restore(k, cx),
            (Part::Then(c), KeptPart::Then(k)) if c.fits(k) => c.restore(k, cx),
            (Part::Race(r), KeptPart::Race(k)) if r.fits(k) => r.restore(k, cx),
            (Part::Many(m), KeptPart::Many(k)) if m.fits(k) => m.restore(k, cx),
            (Part::Within(w), KeptPart::Within(k)) => w.inner.restore(k, cx),
            _ => Err("it was made by another pipeline".into()),
        }
    }
}
