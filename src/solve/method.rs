//! The one interface of everything that steps: cards, methods, outcomes.
//!
//! Invariant: a method holds settings only; all that moves is in `State`, and only the driver commits a step.

use std::sync::atomic::{AtomicBool, Ordering};

use serde::{Deserialize, Serialize};

use super::bits;
use super::oracle::{Counts, Oracle};
use super::state::{Point, Slot, SlotKind, State};
use super::stop::Reason;
use super::user_map::UserMap;
use crate::base::value::IndexSet;

/// Class of a problem as proved by analysis, coarse enough to choose a method by.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Class {
    /// `A x = b`, square.
    LinearSystem,
    /// `min ‖A x − b‖²`.
    LeastSquares,
    /// Linear program.
    Linear,
    /// Convex quadratic program.
    ConvexQuadratic,
    /// Second-order cone program.
    SecondOrderCone,
    /// Semidefinite cones, and others beside them.
    Semidefinite,
    /// Exponential or power cones.
    Conic,
    /// Twice differentiable, no constraint.
    Smooth,
    /// Twice differentiable, bounds on the variables only.
    SmoothBounds,
    /// Twice differentiable objective and constraints.
    Nonlinear,
    /// Smooth plus a simple nonsmooth part.
    Composite,
    /// Smallest over some variables, largest over the others, with bounds at most.
    Saddle,
    /// With integer variables.
    Integer,
}

impl Class {
    /// All classes.
    pub const ALL: [Class; 13] = [
        Class::LinearSystem,
        Class::LeastSquares,
        Class::Linear,
        Class::ConvexQuadratic,
        Class::SecondOrderCone,
        Class::Semidefinite,
        Class::Conic,
        Class::Smooth,
        Class::SmoothBounds,
        Class::Nonlinear,
        Class::Composite,
        Class::Saddle,
        Class::Integer,
    ];
    /// As reports name it.
    pub fn word(self) -> &'static str {
        match self {
            Class::LinearSystem => "linear system",
            Class::LeastSquares => "least squares",
            Class::Linear => "linear program",
            Class::ConvexQuadratic => "convex quadratic program",
            Class::SecondOrderCone => "second-order cone program",
            Class::Semidefinite => "semidefinite program",
            Class::Conic => "conic program",
            Class::Smooth => "smooth, unconstrained",
            Class::SmoothBounds => "smooth with bounds",
            Class::Nonlinear => "smooth, constrained",
            Class::Composite => "smooth plus simple nonsmooth",
            Class::Saddle => "saddle point",
            Class::Integer => "with integers",
        }
    }
}

/// What a method asks of an oracle.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Needs {
    /// Objective values.
    pub value: bool,
    /// Gradients.
    pub gradient: bool,
    /// Hessian-vector products.
    pub hvp: bool,
    /// Explicit Hessians.
    pub hessian: bool,
    /// A form instead of functions.
    pub form: bool,
    /// Proximal points of a simple part, which `gradient` then leaves out.
    pub prox: bool,
    /// Nearest points of a simple set.
    pub project: bool,
    /// Constraints as a vector, with its Jacobian; heeding them is then left to the method.
    pub constraints: bool,
    /// Residuals of a sum of squares as a vector, with its Jacobian.
    pub residuals: bool,
}

impl Needs {
    /// Value and gradient.
    pub const FIRST_ORDER: Needs = Needs {
        value: true,
        gradient: true,
        hvp: false,
        hessian: false,
        form: false,
        prox: false,
        project: false,
        constraints: false,
        residuals: false,
    };
    /// A form.
    pub const FORM: Needs = Needs {
        value: false,
        gradient: false,
        hvp: false,
        hessian: false,
        form: true,
        prox: false,
        project: false,
        constraints: false,
        residuals: false,
    };
    /// The words of what is asked for here and not offered there.
    pub fn missing_from(self, offered: Needs) -> Vec<&'static str> {
        [
            (self.value && !offered.value, "values"),
            (self.gradient && !offered.gradient, "gradients"),
            (self.hvp && !offered.hvp, "Hessian-vector products"),
            (self.hessian && !offered.hessian, "Hessians"),
            (self.form && !offered.form, "a canonical form"),
            (self.constraints && !offered.constraints, "constraints as a vector"),
            (self.residuals && !offered.residuals, "residuals"),
        ]
        .into_iter()
        .filter_map(|(missing, word)| missing.then_some(word))
        .collect()
    }
}

/// How finely a method can be stepped.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Granularity {
    /// One iteration at a time: interrupted, saved and resumed between any two.
    Step,
    /// A foreign solver runs as one step; it polls for interrupt and time, and cannot be saved in the middle.
    Whole,
}

/// Kind, range and default of an option.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum OptionKind {
    /// A number within `lo..=hi`, strictly above `lo` if `open`.
    Real {
        /// Least value.
        lo: f64,
        /// Is the least value itself excluded?
        open: bool,
        /// Largest value.
        hi: f64,
        /// Used when not given.
        default: f64,
    },
    /// A whole number within `lo..=hi`.
    Count {
        /// Least value.
        lo: u64,
        /// Largest value.
        hi: u64,
        /// Used when not given.
        default: u64,
    },
    /// One of several words; the first is the default.
    Choice(&'static [&'static str]),
    /// `true` or `false`.
    Flag(bool),
    /// One of several words, the first being the default, or a linear map of the user's: a vector for a diagonal, a matrix,
    /// an operator.
    Map(&'static [&'static str]),
}

/// One option of a method.
#[derive(Clone, Copy, Debug)]
pub struct OptionSpec {
    /// Its name.
    pub name: &'static str,
    /// Kind, range and default.
    pub kind: OptionKind,
    /// One sentence.
    pub doc: &'static str,
}

/// One slot of a method's state.
#[derive(Clone, Copy, Debug)]
pub struct SlotSpec {
    /// Its name.
    pub name: &'static str,
    /// What it holds.
    pub kind: SlotKind,
    /// One sentence.
    pub doc: &'static str,
}

/// The row of a method: everything reports, checks, reference pages and the conformance test need to know.
pub struct MethodCard {
    /// Name in programs.
    pub name: &'static str,
    /// Other names it answers to.
    pub aliases: &'static [&'static str],
    /// Name in reports.
    pub title: &'static str,
    /// Classes it takes.
    pub accepts: &'static [Class],
    /// What it asks of an oracle.
    pub needs: Needs,
    /// How finely it steps.
    pub granularity: Granularity,
    /// Its options.
    pub options: &'static [OptionSpec],
    /// Schema of its state.
    pub state: &'static [SlotSpec],
    /// Trace columns beyond the measures.
    pub records: &'static [&'static str],
    /// What is promised, and for what.
    pub guarantees: &'static str,
    /// What it does.
    pub doc: &'static str,
    /// Paper or book.
    pub source: &'static str,
    /// Makes the method from checked settings.
    pub build: fn(&Settings) -> Box<dyn Method>,
}

/// A checked option value.
#[derive(Clone, Debug, PartialEq)]
pub enum OptionValue {
    /// A number.
    Real(f64),
    /// A whole number.
    Count(u64),
    /// A word of the option's list.
    Choice(&'static str),
    /// A truth value.
    Flag(bool),
    /// A linear map.
    Map(UserMap),
}

/// Checked settings: a value for each option of a card, in its order.
#[derive(Clone, Debug, PartialEq)]
pub struct Settings {
    /// Names and values.
    pub values: Vec<(&'static str, OptionValue)>,
}

impl Settings {
    /// The defaults of a card.
    pub fn defaults(card: &MethodCard) -> Self {
        let values = card
            .options
            .iter()
            .map(|o| {
                let v = match o.kind {
                    OptionKind::Real { default, .. } => OptionValue::Real(default),
                    OptionKind::Count { default, .. } => OptionValue::Count(default),
                    OptionKind::Choice(words) | OptionKind::Map(words) => {
                        OptionValue::Choice(words.first().copied().unwrap_or(""))
                    }
                    OptionKind::Flag(default) => OptionValue::Flag(default),
                };
                (o.name, v)
            })
            .collect();
        Self { values }
    }
    fn get(&self, name: &str) -> Option<&OptionValue> {
        self.values.iter().find(|(n, _)| *n == name).map(|(_, v)| v)
    }
    /// A map of the user's, if one was given.
    pub fn map(&self, name: &str) -> Option<UserMap> {
        match self.get(name) {
            Some(OptionValue::Map(m)) => Some(m.clone()),
            _ => None,
        }
    }
    /// A number option; NaN if the card has none of that name.
    pub fn real(&self, name: &str) -> f64 {
        match self.get(name) {
            Some(OptionValue::Real(v)) => *v,
            Some(OptionValue::Count(k)) => *k as f64,
            _ => f64::NAN,
        }
    }
    /// A count option; 0 if the card has none of that name.
    pub fn count(&self, name: &str) -> usize {
        match self.get(name) {
            Some(OptionValue::Count(k)) => *k as usize,
            _ => 0,
        }
    }
    /// A choice option; empty if the card has none of that name.
    pub fn choice(&self, name: &str) -> &'static str {
        match self.get(name) {
            Some(OptionValue::Choice(w)) => w,
            _ => "",
        }
    }
    /// A flag option; `false` if the card has none of that name.
    pub fn flag(&self, name: &str) -> bool {
        matches!(self.get(name), Some(OptionValue::Flag(true)))
    }
}

/// What could not be done, with the place where known.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub enum Fault {
    /// A value, derivative or matrix entry is not a finite number.
    NotFinite {
        /// `value`, `gradient`, `hessian`, or the function's name.
        what: String,
        /// The coordinate or entry.
        index: Option<usize>,
        /// IR node whose evaluation went wrong, where the evaluator knows it.
        node: Option<u32>,
        /// What happened, in the user's names; may be empty.
        message: String,
    },
    /// The oracle has no such function.
    NotOffered(String),
    /// A factorization or solve failed.
    Numerical(String),
    /// The iterates run away: nothing after the last good point is a number.
    Diverged(String),
    /// The method finds no step from here: the reason it gives.
    Stalled(String),
    /// The interrupt flag was seen inside the step; the step is to be thought not taken.
    Interrupted,
    /// More memory than allowed would be needed.
    Memory(String),
}

impl Fault {
    /// A non-finite result without a node.
    pub fn not_finite(what: &str, index: Option<usize>) -> Self {
        Fault::NotFinite {
            what: what.to_string(),
            index,
            node: None,
            message: String::new(),
        }
    }
}

impl std::fmt::Display for Fault {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Fault::NotFinite { message, .. } if !message.is_empty() => f.write_str(message),
            Fault::NotFinite { what, index, .. } => {
                write!(f, "the {what} is not a finite number")?;
                match index {
                    Some(i) => write!(f, " at coordinate {}", i + 1),
                    None => Ok(()),
                }
            }
            Fault::NotOffered(what) => write!(f, "the problem offers no {what}"),
            Fault::Numerical(what) | Fault::Diverged(what) | Fault::Stalled(what) => f.write_str(what),
            Fault::Interrupted => f.write_str("interrupted"),
            Fault::Memory(what) => f.write_str(what),
        }
    }
}

/// Why a method does not start.
#[derive(Clone, Debug, PartialEq)]
pub enum Refusal {
    /// It does not take this class.
    Class(Class),
    /// The oracle lacks what it needs.
    Needs(Vec<&'static str>),
    /// The start does not fit: wrong length, or outside where the functions are defined.
    Start(String),
    /// The bounds of a coordinate leave no value.
    Bounds(String),
    /// An evaluation at the start failed.
    Fault(Fault),
}

impl std::fmt::Display for Refusal {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Refusal::Class(c) => write!(f, "does not take a problem that is {}", c.word()),
            Refusal::Needs(words) => write!(f, "needs {}, which the problem does not offer", words.join(" and ")),
            Refusal::Start(why) | Refusal::Bounds(why) => f.write_str(why),
            Refusal::Fault(fault) => write!(f, "at the start, {fault}"),
        }
    }
}

/// What a step noted for trace and log.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Events {
    /// Trial points that were rejected within the step.
    pub rejected: u32,
    /// A rare event worth a line in the log: a restart, negative curvature.
    pub note: Option<&'static str>,
}

/// What a step came to.
#[derive(Clone, Debug, PartialEq)]
pub enum Outcome {
    /// `next` is to be committed.
    Proceed(Events),
    /// `next` is to be committed and the run ends.
    Finish(Reason),
    /// `next` is to be dropped; the last committed state stays.
    Refuse(Fault),
}

/// Seed of the random draws; a draw's key is (seed, purpose, step, index).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Seed(pub u64);

/// A place for what a method can rebuild (factorizations, work arrays): owned by the run, never saved, and empty
/// after resuming. Results may not depend on its contents.
#[derive(Default)]
pub struct Cache(Option<Box<dyn std::any::Any + Send>>);

impl Cache {
    /// The stored value of type `T`, made first if it is missing or of another type.
    pub fn get_or<T: Send + 'static>(&mut self, make: impl FnOnce() -> T) -> &mut T {
        if !self.0.as_ref().is_some_and(|b| b.is::<T>()) {
            self.0 = Some(Box::new(make()));
        }
        match self.0.as_mut().and_then(|b| b.downcast_mut::<T>()) {
            Some(v) => v,
            // The value was stored as a `T` just above.
            None => unreachable!(),
        }
    }
}

/// What the driver lends to a step.
pub struct StepCx<'a> {
    /// Committed steps so far.
    pub step: u64,
    /// The one tolerance of the solve.
    pub tolerance: f64,
    /// Seed of random draws.
    pub seed: Seed,
    /// Set from outside to stop the run.
    pub interrupt: &'a AtomicBool,
    /// Polled by `Whole` methods: is the time used up?
    pub out_of_time: &'a dyn Fn() -> bool,
    /// Work space of the method.
    pub cache: &'a mut Cache,
    /// Steps that may be taken before the first call of `commit`, at least 1.
    pub unseen: u64,
}

impl StepCx<'_> {
    /// Has the user asked to stop? Polled between trials and outer loop iterations.
    pub fn interrupted(&self) -> bool {
        self.interrupt.load(Ordering::Relaxed)
    }
}

/// A method: immutable settings and the functions that start and advance a state.
pub trait Method: Send + Sync {
    /// Its row.
    fn card(&self) -> &MethodCard;
    /// The state at a start. Evaluates what the first step needs; refuses where that fails.
    fn start(&self, problem: &mut dyn Oracle, from: &Point, seed: Seed) -> Result<State, Refusal>;
    /// One step: reads `now`, writes all of `next` (usually after `next.copy_from(now)`).
    fn step(&self, problem: &mut dyn Oracle, now: &State, next: &mut State, cx: &mut StepCx<'_>) -> Outcome;
    /// Up to `n` steps, the buffers swapped after each; equal to `n` single steps bit for bit. `commit` is called with the
    /// number of steps committed since its last call, and says how many may follow before it is called again: 0 to stop.
    /// Calling it after every step is always right.
    fn burst(
        &self,
        problem: &mut dyn Oracle,
        now: &mut State,
        next: &mut State,
        cx: &mut StepCx<'_>,
        n: u64,
        commit: &mut dyn FnMut(&State, &Events, &Counts, u64) -> u64,
    ) -> Outcome {
        let mut outcome = Outcome::Proceed(Events::default());
        for _ in 0..n {
            outcome = self.step(problem, now, next, cx);
            match &outcome {
                Outcome::Proceed(events) => {
                    std::mem::swap(now, next);
                    cx.step += 1;
                    if commit(now, events, &problem.counts(), 1) == 0 {
                        break;
                    }
                }
                Outcome::Finish(_) => {
                    // A method that ends where it stands took no step.
                    let moved = !bits::same(&now.x, &next.x);
                    std::mem::swap(now, next);
                    if moved {
                        cx.step += 1;
                        commit(now, &Events::default(), &problem.counts(), 1);
                    }
                    break;
                }
                Outcome::Refuse(_) => {
                    next.stale = true;
                    break;
                }
            }
        }
        outcome
    }
    /// Measures the state's point, for methods whose steps do not; what it evaluates is counted apart.
    fn measure(&self, _problem: &mut dyn Oracle, _state: &mut State) -> Result<(), Fault> {
        Ok(())
    }
    /// Are the measures left to [`Method::measure`]?
    fn unmeasured(&self) -> bool {
        false
    }
    /// Index sets of a slot, where they are known.
    fn shape(&self, _slot: usize) -> Option<&[IndexSet]> {
        None
    }
    /// Are the slots of a state that was read from a file of the sizes that a run has?
    fn fits(&self, state: &State) -> bool {
        state.slots.iter().all(Slot::is_sound)
    }
    /// Why its settings do not fit a problem with `n` coordinates; known before it runs.
    fn misfit(&self, _n: usize) -> Option<String> {
        None
    }
    /// Entries of a slot that is an array, where they are known before a run.
    fn slot_len(&self, _slot: usize) -> Option<usize> {
        None
    }
    /// The point that is handed out, where it is not the state's own.
    fn answer<'s>(&self, state: &'s State) -> &'s [f64] {
        &state.x
    }
    /// How finely it steps.
    fn granularity(&self) -> Granularity {
        self.card().granularity
    }
}

/// Refuses a problem that the card does not take, before the first evaluation.
pub fn check(card: &MethodCard, problem: &dyn Oracle, from: &Point) -> Result<(), Refusal> {
    if !card.accepts.contains(&problem.class()) {
        return Err(Refusal::Class(problem.class()));
    }
    let missing = card.needs.missing_from(problem.offers());
    if !missing.is_empty() {
        return Err(Refusal::Needs(missing));
    }
    if from.values.len() != problem.dim() {
        return Err(Refusal::Start(format!(
            "the start has {} coordinates, the problem {}",
            from.values.len(),
            problem.dim()
        )));
    }
    if let Some(i) = from.values.iter().position(|v| !v.is_finite()) {
        return Err(Refusal::Start(format!(
            "the start is not a finite number at {}",
            from.layout.coordinate(i)
        )));
    }
    if let Some(b) = problem.bounds() {
        let crossed = (0..problem.dim()).find(|&i| b.lower[i] > b.upper[i]);
        if let Some(i) = crossed {
            return Err(Refusal::Bounds(format!(
                "no value of {} lies between its bounds {} and {}",
                from.layout.coordinate(i),
                b.lower[i],
                b.upper[i]
            )));
        }
    }
    Ok(())
}
