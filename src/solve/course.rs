//! Pipelines as they run: stages one after the other, races, many starts, repetitions, limits around them.
//!
//! Invariant: a course is a value between two calls: cut anywhere, saved, and taken up again it goes through the same
//! states bit for bit; which runner of a race is advanced, and how far, depends on counted work only, never on the clock.
//!
//! What is written is a [`Course`]; what runs is a [`Node`] with one module for each way to combine: `leg` (a stage with
//! its run), `chain`, `race`, `many`; `node` holds what they share; `allowance` says what a path may use, `entry` where
//! it begins, `standing` what it came to.

mod allowance;
mod chain;
mod entry;
mod leg;
mod many;
mod node;
mod race;
mod standing;

use std::sync::Arc;

use super::compiled::Compiled;
use super::method::Method;
use super::run::Watch;
use super::stop::{Budget, Stop};
use crate::base::Tensor;
use crate::exec::Fault;
use crate::ir::InputId;

pub use super::board::{Board, Line, Sort};
pub use allowance::Quota;
pub use entry::Entry;
pub use node::{Kept, Node};
pub use standing::Standing;

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

/// Limits around a pipeline.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Limits {
    /// What a path may use up.
    pub budget: Budget,
    /// Rules that end it.
    pub stops: Vec<Stop>,
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

impl Course<Stage> {
    /// The course before its first step.
    pub fn enter(&self, entry: Entry) -> Node {
        let mut n = Node::new(self);
        n.enter(entry);
        n
    }

    /// The form that its first stage runs on.
    fn first_form(&self) -> usize {
        let mut form = None;
        self.for_each(&mut |s| {
            form.get_or_insert(s.form);
        });
        form.unwrap_or(0)
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

/// A form that cannot be evaluated, and why.
pub type Failed = (usize, Fault);

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

impl Around<'_> {
    /// Does the form maximize?
    fn maximizes(&self, form: usize) -> bool {
        self.forms.get(form).is_some_and(Compiled::maximizes)
    }
}
