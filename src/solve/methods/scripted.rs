//! Methods written in the language: a script run between the questions it asks of the problem.
//!
//! Invariant: a step that fails leaves point and states as they were; `burst` exchanges arrays and copies none.
//!
//! Here is the method that a run drives; `steps` takes one step, `ops` runs its operations, `asks` answers what they ask,
//! `card` says what a script needs. `straight` and `woven` take ordinary steps faster, to the same bits.

mod asks;
mod card;
mod ops;
mod steps;
mod straight;
mod woven;

use std::collections::BTreeMap;
use std::sync::Arc;

use ravine_linalg::Csr;

use super::super::corners::Corners;
use super::super::draws::Purpose;
use super::super::method::{Events, Fault, Method, MethodCard, Outcome, Refusal, Seed, StepCx};
use super::super::oracle::{Counts, Oracle};
use super::super::state::{History, Point, Slot, State};
use super::super::stop::{Reason, Status};
use super::conditions;
use crate::base::value::IndexSet;
use crate::exec::native::Ended;
use crate::exec::{Machine, Plan};
use crate::ir::InputId;
use crate::ir::script::{Reg, Script, StateKind};
use card::card_of;
use ops::Draw;
use straight::Straight;

/// Why a run ended whose step says `stop when`.
pub const OWN_RULE: &str = "the optimizer's own stopping rule holds";
/// An iterate beyond this is on its way to infinity.
const FAR: f64 = 1e100;

/// Recorded draws: by number of the draw within the step, one array for each step; those of the start are step 0.
pub type Recorded = BTreeMap<(u64, u64), Vec<f64>>;

/// A method written in the language, compiled for points of a certain size.
pub struct Scripted {
    script: Script,
    card: &'static MethodCard,
    plans: Vec<PiecePlan>,
    recorded: Option<Recorded>,
    /// Has to be finite at the end of a step.
    finite: Option<Reg>,
}

/// A piece with its plan and the registers it reads.
struct PiecePlan {
    plan: Arc<Plan>,
    inputs: Vec<(InputId, Reg)>,
    /// Output number, register, and whether the entries may be exchanged instead of copied.
    outputs: Vec<(usize, Reg, bool)>,
}

/// Registers and machines of a run: nothing that a result depends on.
struct Frame {
    regs: Vec<Vec<f64>>,
    machines: Vec<Machine>,
    hessian: Csr,
    /// Orders that mini-batches without replacement go through.
    orders: Vec<Order>,
    /// Changes of tables that wait for the end of the step: state, position, first entry in `written`.
    pending: Vec<(usize, usize, usize)>,
    written: Vec<f64>,
    /// The step as one program, where it is short.
    straight: Option<Straight>,
    /// The step with the gradient in its loops, where that can be.
    woven: Option<Box<Woven>>,
}

/// A method that asks for no gradient, as it has it in its pieces, and its frame.
struct Woven {
    method: Scripted,
    frame: Frame,
}

/// The order of one place that draws, in one time round.
struct Order {
    site: u64,
    round: u64,
    terms: Vec<f64>,
}

impl Scripted {
    /// Compiles the pieces of a script.
    pub fn new(script: Script) -> Scripted {
        let mut plans = vec![];
        for p in &script.pieces {
            let nodes: Vec<_> = p.outputs.iter().map(|o| o.0).collect();
            let plan = Arc::new(Plan::compile(&script.ir, &nodes));
            let machine = Machine::new(plan.clone());
            let inputs = script
                .regs
                .iter()
                .enumerate()
                .filter(|(_, r)| machine.reads(r.input))
                .map(|(k, r)| (r.input, k))
                .collect();
            let outputs = p
                .outputs
                .iter()
                .enumerate()
                .map(|(k, (_, r))| (k, *r, machine.gives(k)))
                .collect();
            plans.push(PiecePlan { plan, inputs, outputs });
        }
        let card = card_of(&script);
        Scripted {
            script,
            card,
            plans,
            recorded: None,
            finite: None,
        }
    }

    /// Takes its draws from a record instead of drawing them.
    pub fn with_recorded(mut self, draws: Recorded) -> Scripted {
        self.recorded = Some(draws);
        self
    }

    /// The script.
    pub fn script(&self) -> &Script {
        &self.script
    }

    /// Operations of a step as one straight-line program with the problem's gradient in it; nothing where a step is not run
    /// that way.
    pub fn operations(&self, problem: &dyn Oracle) -> Option<usize> {
        Some(Straight::new(&self.script, &problem.formula()?)?.operations())
    }

    /// Is the gradient of a problem computed in the loops of the step?
    pub fn weaves(&self, problem: &dyn Oracle) -> bool {
        problem
            .formula()
            .is_some_and(|p| woven::woven(&self.script, &p).is_some())
    }

    /// Passes over arrays that one step takes outside of the problem, and array operations, counted from the plans.
    pub fn passes(&self) -> usize {
        self.plans
            .iter()
            .map(|p| p.plan.work().loops + p.plan.work().arrays)
            .sum()
    }

    fn frame(&self) -> Frame {
        let regs = self.script.regs.iter().map(|r| vec![0.0; r.len]).collect();
        let machines = self
            .plans
            .iter()
            .map(|p| {
                let mut m = Machine::new(p.plan.clone());
                for (i, t) in &self.script.params {
                    m.set(*i, t.clone());
                }
                m
            })
            .collect();
        Frame {
            regs,
            machines,
            hessian: Csr::zeros(0, 0),
            orders: vec![],
            pending: vec![],
            written: vec![],
            straight: None,
            woven: None,
        }
    }

    fn histories(&self) -> bool {
        self.script
            .states
            .iter()
            .any(|s| matches!(s.kind, StateKind::History(..)))
    }

    /// Puts point and states into the frame, or takes them out again: the same exchange.
    fn exchange(&self, f: &mut Frame, state: &mut State) {
        std::mem::swap(&mut f.regs[self.script.x], &mut state.x);
        for (spec, slot) in self.script.states.iter().zip(&mut state.slots) {
            match slot {
                Slot::Array(a) => std::mem::swap(&mut f.regs[spec.reg], a),
                Slot::Number(v) => std::mem::swap(&mut f.regs[spec.reg][0], v),
                _ => {}
            }
        }
    }
}

impl Method for Scripted {
    fn card(&self) -> &MethodCard {
        self.card
    }

    fn start(&self, problem: &mut dyn Oracle, from: &Point, seed: Seed) -> Result<State, Refusal> {
        if problem.dim() != self.script.dim {
            return Err(Refusal::Start(format!(
                "`{}` was compiled for {} coordinates, the problem has {}",
                self.script.name,
                self.script.dim,
                problem.dim()
            )));
        }
        let mut f = self.frame();
        f.regs[self.script.x].copy_from_slice(&from.values);
        if let Some(r) = self.script.fmin {
            let Some(v) = problem.known_lower_bound() else {
                return Err(Refusal::Needs(vec!["a known lower bound of the objective"]));
            };
            f.regs[r][0] = v;
        }
        self.choose_sum(problem);
        let terms = problem.terms();
        if let Some(r) = self.script.terms {
            f.regs[r][0] = terms.unwrap_or(0) as f64;
        }
        for s in &self.script.states {
            if let StateKind::Table(rows, width) = s.kind {
                let Some(rows) = rows.or(terms) else {
                    return Err(Refusal::Needs(vec!["mini-batches of a finite sum"]));
                };
                f.regs[s.reg] = vec![0.0; rows * width];
            }
        }
        self.mark_equations(problem, &mut f).map_err(Refusal::Fault)?;
        let slots = self
            .script
            .states
            .iter()
            .map(|s| match s.kind {
                StateKind::Number => Slot::Number(0.0),
                StateKind::Array(n) => Slot::Array(vec![0.0; n]),
                StateKind::Table(..) => Slot::Array(vec![]),
                StateKind::History(cap, width) => Slot::History(History::new(cap, width)),
            })
            .collect();
        let mut state = State::new(vec![0.0; self.script.dim], slots, self.script.records.len());
        state.records.fill(f64::NAN);
        let draw = Draw::new(seed, Purpose::Init, 0, None);
        self.begin(problem, &mut f, &mut state, &draw).map_err(Refusal::Fault)?;
        self.exchange(&mut f, &mut state);
        Ok(state)
    }

    fn step(&self, problem: &mut dyn Oracle, now: &State, next: &mut State, cx: &mut StepCx<'_>) -> Outcome {
        next.copy_from(now);
        let mut f = self.lend(problem, cx);
        if let Some(s) = &mut f.straight {
            s.load(now);
            let (taken, how) = s.run(cx.step, 1);
            if taken > 0 {
                s.store(next);
                problem.tally(&s.asked);
                *cx.cache.get_or(|| None::<Frame>) = Some(f);
                return match how {
                    Ended::Stopped => Outcome::Finish(Reason::new(Status::Feasible, OWN_RULE)),
                    _ => Outcome::Proceed(Events::default()),
                };
            }
        }
        let r = self.take(problem, &mut f, next, cx);
        *cx.cache.get_or(|| None::<Frame>) = Some(f);
        match r {
            Ok(None) => Outcome::Proceed(Events::default()),
            Ok(Some(reason)) => Outcome::Finish(reason),
            Err(fault) => Outcome::Refuse(fault),
        }
    }

    fn burst(
        &self,
        problem: &mut dyn Oracle,
        now: &mut State,
        next: &mut State,
        cx: &mut StepCx<'_>,
        n: u64,
        commit: &mut dyn FnMut(&State, &Events, &Counts, u64) -> u64,
    ) -> Outcome {
        // A history cannot be taken back after a failed step, and neither can a restart.
        let one_by_one = self.histories() || !self.script.restarts.is_empty();
        if one_by_one {
            let mut outcome = Outcome::Proceed(Events::default());
            for _ in 0..n {
                outcome = self.step(problem, now, next, cx);
                if let Outcome::Refuse(_) = outcome {
                    next.stale = true;
                    break;
                }
                std::mem::swap(now, next);
                cx.step += 1;
                let unseen = commit(now, &Events::default(), &problem.counts(), 1);
                if unseen == 0 || matches!(outcome, Outcome::Finish(_)) {
                    break;
                }
            }
            return outcome;
        }
        let mut f = self.lend(problem, cx);
        let mut outcome = Outcome::Proceed(Events::default());
        let (mut left, mut unseen) = (n, cx.unseen.max(1));
        let mut loaded = false;
        while left > 0 && unseen > 0 {
            if let Some(s) = &mut f.straight {
                if !std::mem::replace(&mut loaded, true) {
                    s.load(now);
                }
                let (taken, how) = s.run(cx.step, unseen.min(left));
                if taken > 0 {
                    s.store(now);
                    problem.tally(&s.asked.times(taken));
                    left -= taken;
                    cx.step += taken;
                    unseen = commit(now, &Events::default(), &problem.counts(), taken);
                }
                if how == Ended::Stopped {
                    outcome = Outcome::Finish(Reason::new(Status::Feasible, OWN_RULE));
                    break;
                }
                if how == Ended::All || unseen == 0 {
                    continue;
                }
                // The script takes the step that is not ordinary, and says what is wrong if something is.
                loaded = false;
            }
            match self.take(problem, &mut f, now, cx) {
                Ok(reason) => {
                    cx.step += 1;
                    left -= 1;
                    unseen = commit(now, &Events::default(), &problem.counts(), 1);
                    if let Some(reason) = reason {
                        outcome = Outcome::Finish(reason);
                        break;
                    }
                }
                Err(fault) => {
                    outcome = Outcome::Refuse(fault);
                    break;
                }
            }
        }
        *cx.cache.get_or(|| None::<Frame>) = Some(f);
        outcome
    }

    fn measure(&self, problem: &mut dyn Oracle, state: &mut State) -> Result<(), Fault> {
        let mut g = vec![0.0; self.script.dim];
        let x = self.answer(state);
        let f = problem.value_gradient(x, &mut g)?;
        if let Some(parts) = problem.parts() {
            let o = parts.optimality(x, &g, f);
            state.measures.objective = f;
            state.measures.stationarity = o.stationarity;
            state.measures.gradient_scale = o.scale;
            state.measures.gap = o.gap;
            return Ok(());
        }
        if let Some(k) = problem.kkt(x, &g) {
            let k = k?;
            state.measures.objective = f;
            state.measures.stationarity = k.stationarity;
            state.measures.gradient_scale = k.scale;
            state.measures.feasibility = k.feasibility;
            return Ok(());
        }
        let bounds = problem.bounds();
        let mut m = state.measures;
        conditions::measure(bounds.as_deref(), problem.unit(), x, f, &g, &mut m);
        if problem.convex() {
            let mut s = g.clone();
            let corners = bounds.as_deref().map_or(Corners::default(), Corners::of_bounds);
            if corners.least(&g, &mut s).is_ok() {
                m.gap = (0..g.len()).map(|k| g[k] * (x[k] - s[k])).fold(0.0, |a, b| a + b);
            }
        }
        state.measures = m;
        Ok(())
    }

    fn unmeasured(&self) -> bool {
        true
    }

    fn shape(&self, slot: usize) -> Option<&[IndexSet]> {
        self.script.states.get(slot).map(|s| s.dims.as_slice())
    }

    fn fits(&self, state: &State) -> bool {
        state.slots.len() == self.script.states.len()
            && state
                .slots
                .iter()
                .zip(&self.script.states)
                .all(|(slot, s)| match (slot, s.kind) {
                    (Slot::Number(_), StateKind::Number) => true,
                    (Slot::Array(a), StateKind::Array(n)) => a.len() == n,
                    (Slot::Array(a), StateKind::Table(Some(rows), n)) => a.len() == rows * n,
                    (Slot::Array(a), StateKind::Table(None, n)) => a.len().is_multiple_of(n.max(1)),
                    (Slot::History(h), StateKind::History(cap, width)) => {
                        slot.is_sound() && h.capacity() == cap && h.width() == width
                    }
                    _ => false,
                })
    }

    fn slot_len(&self, slot: usize) -> Option<usize> {
        match self.script.states.get(slot)?.kind {
            StateKind::Array(n) => Some(n),
            _ => None,
        }
    }

    fn answer<'s>(&self, state: &'s State) -> &'s [f64] {
        match self.script.answer.and_then(|k| state.slots.get(k)) {
            Some(s) => s.array(),
            None => &state.x,
        }
    }
}

impl Scripted {
    /// Stages may sample different sums of one problem.
    fn choose_sum(&self, problem: &mut dyn Oracle) {
        if self.script.samples.is_some() {
            problem.sample_over(self.script.over.as_ref().map(|o| &o.0), self.script.sizes_vary);
        }
    }

    /// Which rows of the constraints are equations.
    fn mark_equations(&self, problem: &mut dyn Oracle, f: &mut Frame) -> Result<(), Fault> {
        let Some(r) = self.script.equations else { return Ok(()) };
        let mut marks = std::mem::take(&mut f.regs[r]);
        let found = problem.equations(&f.regs[self.script.x], &mut marks);
        f.regs[r] = marks;
        found
    }

    /// The frame of the run, made anew after resuming.
    fn lend(&self, problem: &mut dyn Oracle, cx: &mut StepCx<'_>) -> Frame {
        self.choose_sum(problem);
        match cx.cache.get_or(|| None::<Frame>).take() {
            Some(f) => f,
            None => {
                let mut f = self.frame();
                if let Some(p) = problem.formula() {
                    f.straight = Straight::new(&self.script, &p);
                    let woven = f.straight.is_none().then(|| woven::woven(&self.script, &p)).flatten();
                    f.woven = woven.map(|method| {
                        let frame = method.frame();
                        Box::new(Woven { method, frame })
                    });
                }
                if let (Some(r), Some(v)) = (self.script.fmin, problem.known_lower_bound()) {
                    f.regs[r][0] = v;
                }
                if let Some(r) = self.script.terms {
                    f.regs[r][0] = problem.terms().unwrap_or(0) as f64;
                }
                // What cannot be marked here could not when the run began.
                let _ = self.mark_equations(problem, &mut f);
                f
            }
        }
    }
}
