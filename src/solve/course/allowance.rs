//! What a path through a course may still use, and how far one call goes.
//!
//! Invariant: limits only shrink on the way in: a part is never given more than is left of what is around it.

use super::super::oracle::Counts;
use super::super::stop::{Budget, Stop};
use super::{Around, Limits};

/// What a path may still use.
#[derive(Clone, Debug, Default)]
pub(super) struct Left {
    pub budget: Budget,
    /// On the session's clock.
    pub deadline: Option<f64>,
    pub stops: Vec<Stop>,
}

impl Left {
    /// Inside limits that end at `until`.
    pub fn inside(&self, l: &Limits, until: Option<f64>) -> Left {
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

    /// After a part of the path used so much, where the objective sums so many terms.
    pub fn after(&self, (steps, made): (u64, Counts), terms: Option<usize>) -> Left {
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

    /// For a stage with a budget of its own: what is left of both.
    pub fn of_stage(&self, own: &Budget, cx: &Around<'_>) -> Budget {
        Budget {
            steps: less(own.steps, self.budget.steps),
            evaluations: less(own.evaluations, self.budget.evaluations),
            epochs: less(own.epochs, self.budget.epochs),
            seconds: earlier(own.seconds, self.deadline.map(|d| (d - (cx.now)()).max(0.0))),
        }
    }

    pub fn used_up(&self) -> bool {
        [self.budget.steps, self.budget.evaluations, self.budget.epochs].contains(&Some(0))
    }

    /// Is the time over?
    pub fn late(&self, cx: &Around<'_>) -> bool {
        self.deadline.is_some_and(|d| (cx.now)() >= d)
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

    pub(super) fn is_over(&self) -> bool {
        !self.begin && (self.steps == 0 || self.work <= 0.0)
    }
}
