//! Methods written in the language: a script run between the questions it asks of the problem.
//!
//! Invariant: a step that fails leaves point and states as they were; `burst` exchanges arrays and copies none.

mod straight;
mod woven;

use std::cell::Cell;
use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, PoisonError};

use ravine_linalg::Csr;

use super::super::corners::Corners;
use super::super::draws::{Key, Purpose};
use super::super::method::{
    Class, Events, Fault, Granularity, Method, MethodCard, Needs, Outcome, Refusal, Seed, Settings, SlotSpec, StepCx,
};
use super::super::oracle::{Counts, Oracle};
use super::super::state::{History, Point, Slot, SlotKind, State};
use super::super::stop::{Reason, Status};
use super::super::vector;
use super::conditions;
use crate::base::Span;
use crate::base::value::IndexSet;
use crate::exec::native::Ended;
use crate::exec::{Machine, Plan};
use crate::ir::InputId;
use crate::ir::script::{Ask, Law, Of, Op, Reg, Script, StateKind};
use straight::Straight;

/// Why a run ended whose step says `stop when`.
pub const OWN_RULE: &str = "the optimizer's own stopping rule holds";
/// Most turns of one loop within one step.
const TURNS: u64 = 1_000_000;
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

/// Of the evaluations that an answer took, those that only a record or a stop asked for.
fn aside(script: &Script, out: Reg, value: Option<Reg>, made: &Counts) -> Counts {
    let looks = |r: Reg| script.beside.contains(&r);
    match (looks(out), value.map(looks)) {
        (true, None | Some(true)) => *made,
        (true, Some(false)) => Counts {
            gradients: made.gradients,
            ..Counts::default()
        },
        (false, Some(true)) => Counts {
            values: made.values,
            ..Counts::default()
        },
        (false, _) => Counts::default(),
    }
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

    /// Runs the step on the frame; `state` has the histories. Nothing is taken over yet.
    fn run(&self, problem: &mut dyn Oracle, f: &mut Frame, state: &mut State, cx: &Draw<'_>) -> Result<(), Fault> {
        let ops = if cx.purpose == Purpose::Init {
            &self.script.init
        } else {
            &self.script.step
        };
        // Steps count from the last restart.
        let since = self.script.since.map_or(0.0, |r| f.regs[r][0]);
        f.regs[self.script.t][0] = cx.step as f64 - since;
        f.pending.clear();
        f.written.clear();
        self.ops(ops, problem, f, state, cx)
    }

    fn ops(
        &self,
        ops: &[Op],
        problem: &mut dyn Oracle,
        f: &mut Frame,
        state: &mut State,
        cx: &Draw<'_>,
    ) -> Result<(), Fault> {
        for op in ops {
            match op {
                Op::Eval(k) => self.eval(*k, f)?,
                Op::Ask {
                    what,
                    args,
                    batch,
                    value,
                    out,
                    ..
                } => {
                    let before = problem.counts();
                    self.ask(*what, args, (*batch, *value), *out, problem, f)?;
                    let made = problem.counts().since(&before);
                    let aside = aside(&self.script, *out, *value, &made);
                    if aside != Counts::default() {
                        problem.set_aside(&aside);
                    }
                }
                Op::Draw {
                    law, site, taken, out, ..
                } => {
                    let terms = problem.terms().unwrap_or(0);
                    let number = &cx.number();
                    let recorded = self.recorded.as_ref().map(|r| r.get(&(cx.step, *number)));
                    match recorded {
                        Some(Some(v)) if v.len() == f.regs[*out].len() => f.regs[*out].copy_from_slice(v),
                        Some(_) => {
                            return Err(Fault::Numerical(format!(
                                "the record of draws has none for draw {number} of step {}",
                                cx.step
                            )));
                        }
                        None if *law == Law::Shuffled => shuffled(f, (*site, *taken), terms, *out, cx),
                        None => {
                            let key = Key::new(cx.seed, cx.purpose, cx.step, *number);
                            key.fill(*law, terms, &mut f.regs[*out]);
                        }
                    }
                }
                Op::Copy { from, to } => {
                    let mut v = std::mem::take(&mut f.regs[*to]);
                    v.clone_from(&f.regs[*from]);
                    f.regs[*to] = v;
                }
                Op::Slice { from, offset, to } => {
                    let mut v = std::mem::take(&mut f.regs[*to]);
                    let n = v.len();
                    v.copy_from_slice(&f.regs[*from][*offset..offset + n]);
                    f.regs[*to] = v;
                }
                Op::Splice { from, offset, to } => {
                    let v = std::mem::take(&mut f.regs[*from]);
                    f.regs[*to][*offset..offset + v.len()].copy_from_slice(&v);
                    f.regs[*from] = v;
                }
                Op::Recall {
                    state: k, which, to, ..
                } => {
                    let n = f.regs[*which][0];
                    let name = &self.script.states[*k].name;
                    let h = state.slots[*k].history();
                    let len = h.map_or(0, History::len);
                    let (Some(h), true) = (h, n >= 1.0 && n <= len as f64 && n.fract() == 0.0) else {
                        return Err(Fault::Numerical(format!(
                            "`{name}[{n}]` is asked for, and the history holds {len}"
                        )));
                    };
                    f.regs[*to].copy_from_slice(h.get(len - n as usize));
                }
                Op::Recalled { state: k, to } => {
                    f.regs[*to][0] = state.slots[*k].history().map_or(0, History::len) as f64;
                }
                Op::Tabulate { state: k, from } => {
                    let to = self.script.states[*k].reg;
                    let mut rows = std::mem::take(&mut f.regs[to]);
                    let v = &f.regs[*from];
                    rows.chunks_exact_mut(v.len().max(1)).for_each(|r| r.copy_from_slice(v));
                    f.regs[to] = rows;
                }
                Op::Lookup { state, which, to, .. } => {
                    let at = self.entry(*state, *which, f)?;
                    let mut v = std::mem::take(&mut f.regs[*to]);
                    let n = v.len();
                    let new = f.pending.iter().rev().find(|p| (p.0, p.1) == (*state, at));
                    match new {
                        Some((_, _, first)) => v.copy_from_slice(&f.written[*first..first + n]),
                        None => v.copy_from_slice(&f.regs[self.script.states[*state].reg][at * n..(at + 1) * n]),
                    }
                    f.regs[*to] = v;
                }
                Op::Enter { state, which, from, .. } => {
                    let at = self.entry(*state, *which, f)?;
                    f.pending.push((*state, at, f.written.len()));
                    f.written.extend_from_slice(&f.regs[*from]);
                }
                Op::Push { state: k, from } => {
                    if let Some(h) = state.slots[*k].history_mut() {
                        h.push().copy_from_slice(&f.regs[*from]);
                    }
                }
                Op::If {
                    condition,
                    then,
                    otherwise,
                } => {
                    let way = if f.regs[*condition][0] != 0.0 { then } else { otherwise };
                    self.ops(way, problem, f, state, cx)?;
                }
                Op::While {
                    before,
                    condition,
                    body,
                    text,
                    ..
                } => {
                    let mut turns = 0u64;
                    loop {
                        self.ops(before, problem, f, state, cx)?;
                        if f.regs[*condition][0] == 0.0 {
                            break;
                        }
                        turn(&mut turns, text, cx)?;
                        self.ops(body, problem, f, state, cx)?;
                    }
                }
                Op::Fail { condition, why } => {
                    if f.regs[*condition][0] != 0.0 {
                        return Err(Fault::Stalled(format!(
                            "step {} of `{}`: {why}",
                            cx.step, self.script.name
                        )));
                    }
                }
                Op::For {
                    lo,
                    hi,
                    counter,
                    body,
                    text,
                    ..
                } => {
                    let (lo, hi) = (f.regs[*lo][0], f.regs[*hi][0]);
                    if !(lo.is_finite() && hi.is_finite()) {
                        return Err(Fault::Numerical(format!("a loop of the step runs over {lo}..{hi}")));
                    }
                    let mut turns = 0u64;
                    let mut k = lo;
                    while k <= hi {
                        turn(&mut turns, text, cx)?;
                        f.regs[*counter][0] = k;
                        self.ops(body, problem, f, state, cx)?;
                        k += 1.0;
                    }
                }
            }
        }
        Ok(())
    }

    /// The position in a table that a register holds.
    fn entry(&self, state: usize, which: Reg, f: &Frame) -> Result<usize, Fault> {
        let spec = &self.script.states[state];
        let width = match spec.kind {
            StateKind::Table(_, w) => w.max(1),
            _ => 1,
        };
        let (n, at) = (f.regs[spec.reg].len() / width, f.regs[which][0]);
        if at >= 0.0 && at < n as f64 && at.fract() == 0.0 {
            return Ok(at as usize);
        }
        Err(Fault::Numerical(format!(
            "`{}[{}]` is asked for, and the table has {n} entries",
            spec.name,
            at + 1.0
        )))
    }

    /// The line of a definition that a node comes from, where one is known.
    fn line_of(&self, node: Option<crate::ir::NodeId>) -> String {
        let origins = node.map_or(&[][..], |n| self.script.ir.origins(n));
        let of = |o: &Span| {
            let holds = |at: &Span| at.source == o.source && at.start <= o.start && o.end <= at.end;
            self.script.lines.iter().find(|(at, _)| holds(at))
        };
        let line = origins.iter().find_map(of);
        line.map_or(String::new(), |(_, text)| format!(": `{text}`"))
    }

    fn eval(&self, k: usize, f: &mut Frame) -> Result<(), Fault> {
        let p = &self.plans[k];
        let Frame { regs, machines, .. } = f;
        let m = &mut machines[k];
        for (input, r) in &p.inputs {
            m.exchange(*input, &mut regs[*r]);
        }
        let r = m.eval();
        for (input, r) in &p.inputs {
            m.exchange(*input, &mut regs[*r]);
        }
        if let Err(e) = r {
            return Err(Fault::NotFinite {
                what: "step".into(),
                index: None,
                node: None,
                message: format!("{}{}", e.what, self.line_of(e.node)),
            });
        }
        for (k, r, _) in p.outputs.iter().filter(|o| !o.2) {
            if !m.copy_output(*k, &mut regs[*r]) {
                return Err(Fault::Numerical(
                    "a value of the step has another size than its register".into(),
                ));
            }
        }
        for (k, r, _) in p.outputs.iter().filter(|o| o.2) {
            m.take_output(*k, &mut regs[*r]);
        }
        Ok(())
    }

    fn ask(
        &self,
        what: Ask,
        args: &[Reg],
        (batch, value): (Option<Reg>, Option<Reg>),
        out: Reg,
        problem: &mut dyn Oracle,
        f: &mut Frame,
    ) -> Result<(), Fault> {
        if batch.is_none() && self.recalled(what, args[0], value, out, f) {
            return Ok(());
        }
        let mut objective = None;
        let mut v = std::mem::take(&mut f.regs[out]);
        let x = &f.regs[args[0]];
        let r = match (what, batch) {
            (Ask::Value, None) => problem.value(x).map(|y| v[0] = y),
            (Ask::Value, Some(b)) => {
                let mut g = vec![0.0; x.len()];
                problem.value_gradient_on(x, &f.regs[b], &mut g).map(|y| v[0] = y)
            }
            (Ask::Trial, None) => match problem.value(x) {
                Err(Fault::NotFinite { .. }) => {
                    v[0] = f64::INFINITY;
                    Ok(())
                }
                r => r.map(|y| v[0] = y),
            },
            (Ask::Gradient | Ask::Operator, None) if value.is_none() => {
                let mut x = std::mem::take(&mut f.regs[args[0]]);
                let r = problem.gradient_between(&mut x, &mut v);
                f.regs[args[0]] = x;
                r
            }
            (Ask::Gradient, b) => match b {
                None => problem.value_gradient(x, &mut v),
                Some(b) => problem.value_gradient_on(x, &f.regs[b], &mut v),
            }
            .map(|y| objective = Some(y)),
            (Ask::Product, Some(b)) => problem.hvp_on(x, &f.regs[args[1]], &f.regs[b], &mut v),
            (Ask::Product, None) => problem.hvp(x, &f.regs[args[1]], &mut v),
            (Ask::Hessian, None) => problem.hessian(x, &mut f.hessian).map(|()| {
                let n = x.len();
                v.fill(0.0);
                for i in 0..n {
                    let (c, w) = f.hessian.row(i);
                    for (j, a) in c.iter().zip(w) {
                        v[i * n + j] = *a;
                        v[j * n + i] = *a;
                    }
                }
            }),
            (Ask::LinearMinimum | Ask::Away | Ask::Reach, None) => {
                let (parts, bounds) = (problem.parts(), problem.bounds());
                let corners = match (&parts, &bounds) {
                    (Some(p), _) => Corners::of_sets(&p.simple),
                    (None, Some(b)) => Corners::of_bounds(b),
                    (None, None) => Corners::default(),
                };
                match what {
                    Ask::LinearMinimum => corners.least(x, &mut v),
                    Ask::Away => corners.away(x, &f.regs[args[1]], &mut v),
                    _ => {
                        v[0] = corners.reach(x, &f.regs[args[1]]);
                        Ok(())
                    }
                }
            }
            (Ask::Project, None) => {
                v.copy_from_slice(x);
                problem.project(&mut v)
            }
            (Ask::Prox, None) => {
                v.copy_from_slice(x);
                problem.prox(&mut v, f.regs[args[1]][0])
            }
            (Ask::Vector(of), None) => problem.vector(of, x, &mut v),
            (Ask::Jacobian(of), None) => problem.jacobian(of, x).map(|j| {
                v.fill(0.0);
                let n = x.len();
                for (i, k, a) in j.triplets() {
                    v[i * n + k] += a;
                }
            }),
            (Ask::Along(of), None) => problem.jacobian_product(of, x, &f.regs[args[1]], false, &mut v),
            (Ask::Against(of), None) => problem.jacobian_product(of, x, &f.regs[args[1]], true, &mut v),
            (Ask::Gradients, None) => {
                let mut rows = v.chunks_exact_mut(x.len().max(1)).enumerate();
                rows.try_for_each(|(k, row)| problem.value_gradient_on(x, &[k as f64], row).map(drop))
            }
            (Ask::Smooth, None) => problem.smooth_value(x).map(|y| v[0] = y),
            _ => Err(Fault::NotOffered(what.word().into())),
        };
        f.regs[out] = v;
        if let (Some(to), Some(y)) = (value, objective) {
            f.regs[to][0] = y;
        }
        if let (Some(k), Ask::Gradient, None, Ok(())) = (self.script.known, what, batch, &r) {
            for (to, from) in [(k.point, args[0]), (k.gradient, out)] {
                let mut v = std::mem::take(&mut f.regs[to]);
                v.copy_from_slice(&f.regs[from]);
                f.regs[to] = v;
            }
            f.regs[k.value][0] = objective.unwrap_or(0.0);
            f.regs[k.what][0] = if objective.is_some() { 2.0 } else { 1.0 };
        }
        r
    }

    /// Answers from the last gradient, where it was at the same point: the one at which a line search ended is not
    /// evaluated again.
    fn recalled(&self, what: Ask, at: Reg, value: Option<Reg>, out: Reg, f: &mut Frame) -> bool {
        let Some(k) = self.script.known else { return false };
        let least = match what {
            Ask::Gradient if value.is_none() => 1.0,
            Ask::Gradient | Ask::Value => 2.0,
            _ => return false,
        };
        let same = |a: &[f64], b: &[f64]| a.iter().zip(b).all(|(a, b)| a.to_bits() == b.to_bits());
        if f.regs[k.what][0] < least || !same(&f.regs[k.point], &f.regs[at]) {
            return false;
        }
        let y = f.regs[k.value][0];
        if what == Ask::Value {
            f.regs[out][0] = y;
            return true;
        }
        let mut v = std::mem::take(&mut f.regs[out]);
        v.copy_from_slice(&f.regs[k.gradient]);
        f.regs[out] = v;
        if let Some(to) = value {
            f.regs[to][0] = y;
        }
        true
    }

    /// Is everything finite that the next step would start from? Names what is not.
    fn usable(&self, f: &Frame, step: u64) -> Result<(), Fault> {
        for g in &self.script.guards {
            let v = f.regs[g.reg][0];
            if !(v >= 0.0 && v.is_finite()) {
                return Err(Fault::Numerical(format!(
                    "{} is {v}, and a schedule gives a number of at least 0",
                    g.what
                )));
            }
        }
        if let Some(r) = self.finite
            && !f.regs[r][0].is_finite()
        {
            return Err(Fault::Numerical("a gradient is not finite".into()));
        }
        let change = f.regs[self.script.change][0];
        if change.is_finite() && change < FAR {
            return Ok(());
        }
        let from = self
            .script
            .commits
            .iter()
            .find(|c| c.to == self.script.x)
            .map_or(self.script.x, |c| c.from);
        let at = vector::first_not_finite(&f.regs[from]);
        Err(Fault::Diverged(match at {
            Some(i) => format!(
                "step {step} of `{}` makes `{}` {}: `{}`",
                self.script.name,
                self.script.coordinate(i),
                f.regs[from][i],
                self.script.moved_by(Some(i))
            ),
            None => format!(
                "step {step} of `{}` moves the point by {change:.1e}: `{}`",
                self.script.name,
                self.script.moved_by(None)
            ),
        }))
    }

    /// Takes the new values over; answers the reason to end, if the step asks for that.
    fn commit(&self, f: &mut Frame, state: &mut State) -> (Option<Reason>, bool) {
        for (k, (_, r)) in self.script.records.iter().enumerate() {
            state.records[k] = f.regs[*r][0];
        }
        let stop = self.script.stops.iter().any(|(r, _)| f.regs[*r][0] != 0.0);
        let restart = self.script.restarts.iter().any(|r| f.regs[*r][0] != 0.0);
        state.measures.change = f.regs[self.script.change][0];
        for c in &self.script.commits {
            f.regs.swap(c.to, c.from);
        }
        for (state, at, first) in &f.pending {
            let spec = &self.script.states[*state];
            if let StateKind::Table(_, n) = spec.kind {
                f.regs[spec.reg][at * n..(at + 1) * n].copy_from_slice(&f.written[*first..first + n]);
            }
        }
        f.pending.clear();
        let reason = stop.then(|| Reason::new(Status::Feasible, OWN_RULE));
        (reason, restart)
    }

    /// The states as the definition begins them, from the point in the frame.
    fn begin(&self, problem: &mut dyn Oracle, f: &mut Frame, state: &mut State, cx: &Draw<'_>) -> Result<(), Fault> {
        for s in &mut state.slots {
            if let Some(h) = s.history_mut() {
                h.clear();
            }
        }
        self.run(problem, f, state, cx)?;
        for c in &self.script.first {
            let mut v = std::mem::take(&mut f.regs[c.to]);
            v.clone_from(&f.regs[c.from]);
            f.regs[c.to] = v;
        }
        Ok(())
    }

    /// One step in place.
    fn take(
        &self,
        problem: &mut dyn Oracle,
        f: &mut Frame,
        state: &mut State,
        cx: &StepCx<'_>,
    ) -> Result<Option<Reason>, Fault> {
        if let Some(w) = &mut f.woven {
            let Woven { method, frame } = &mut **w;
            method.exchange(frame, state);
            let r = method.advance(problem, frame, state, cx);
            method.exchange(frame, state);
            if r.is_ok() {
                problem.tally(&Counts {
                    gradients: 1,
                    ..Counts::default()
                });
                return r;
            }
        }
        self.exchange(f, state);
        let r = self.advance(problem, f, state, cx);
        self.exchange(f, state);
        r
    }

    /// One step in place, on a state whose arrays the frame holds.
    fn advance(
        &self,
        problem: &mut dyn Oracle,
        f: &mut Frame,
        state: &mut State,
        cx: &StepCx<'_>,
    ) -> Result<Option<Reason>, Fault> {
        let draw = Draw {
            seed: cx.seed,
            purpose: Purpose::Step,
            step: cx.step + 1,
            cx: Some(cx),
            drawn: Cell::new(0),
        };
        self.run(problem, f, state, &draw)?;
        self.usable(f, draw.step)?;
        let (reason, restart) = self.commit(f, state);
        state.measures.objective = f64::NAN;
        state.measures.stationarity = f64::NAN;
        if restart && reason.is_none() {
            let init = Draw {
                purpose: Purpose::Init,
                ..draw
            };
            if let Some(r) = self.script.since {
                f.regs[r][0] = draw.step as f64;
            }
            self.begin(problem, f, state, &init)?;
            if let Some(r) = self.script.since {
                f.regs[r][0] = draw.step as f64;
            }
        }
        Ok(reason)
    }
}

/// What draws of this step are keyed by.
struct Draw<'a> {
    seed: Seed,
    purpose: Purpose,
    step: u64,
    cx: Option<&'a StepCx<'a>>,
    /// Draws so far: each turn of a loop draws anew.
    drawn: Cell<u64>,
}

impl Draw<'_> {
    /// The number of the next draw.
    fn number(&self) -> u64 {
        let n = self.drawn.get();
        self.drawn.set(n + 1);
        n
    }
}

/// The next terms of the order that a place goes through, and of the one after it where that ends.
fn shuffled(f: &mut Frame, (site, taken): (u64, Option<Reg>), terms: usize, out: Reg, cx: &Draw<'_>) {
    let Frame { regs, orders, .. } = f;
    let k = orders.iter().position(|o| o.site == site).unwrap_or_else(|| {
        orders.push(Order {
            site,
            round: 0,
            terms: vec![],
        });
        orders.len() - 1
    });
    let (order, n) = (&mut orders[k], terms.max(1) as u64);
    let mut at = taken.map_or(0, |r| regs[r][0] as u64);
    for v in &mut regs[out] {
        if order.terms.len() as u64 != n || order.round != at / n {
            order.round = at / n;
            order.terms.resize(n as usize, 0.0);
            Key::new(cx.seed, Purpose::Shuffle, order.round, site).fill(Law::Permutation, terms, &mut order.terms);
        }
        *v = order.terms[(at % n) as usize] - 1.0;
        at += 1;
    }
    if let Some(r) = taken {
        regs[r][0] = at as f64;
    }
}

fn turn(turns: &mut u64, line: &str, cx: &Draw<'_>) -> Result<(), Fault> {
    *turns += 1;
    if *turns > TURNS {
        return Err(Fault::Numerical(format!("`{line}` did not end within {TURNS} turns")));
    }
    if turns.is_multiple_of(64) && cx.cx.is_some_and(StepCx::interrupted) {
        return Err(Fault::Interrupted);
    }
    Ok(())
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
        let draw = Draw {
            seed,
            purpose: Purpose::Init,
            step: 0,
            cx: None,
            drawn: Cell::new(0),
        };
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
            problem.sample_over(self.script.over.as_ref().map(|o| &o.0));
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

/// Cards of scripts, kept for the process: as many as there are different schemas.
static CARDS: Mutex<Vec<&'static MethodCard>> = Mutex::new(vec![]);

fn card_of(s: &Script) -> &'static MethodCard {
    let asked = |a: Ask| s.asks.iter().any(|(b, _)| *b == a);
    let about = |of: Of| {
        [Ask::Vector(of), Ask::Jacobian(of), Ask::Along(of), Ask::Against(of)]
            .into_iter()
            .any(asked)
    };
    let needs = Needs {
        value: asked(Ask::Value) || asked(Ask::Trial),
        gradient: asked(Ask::Gradient) || asked(Ask::Operator) || s.samples.is_some(),
        hvp: asked(Ask::Product),
        hessian: asked(Ask::Hessian),
        form: false,
        prox: asked(Ask::Prox) || asked(Ask::Smooth),
        project: asked(Ask::Project) || asked(Ask::LinearMinimum),
        constraints: about(Of::Constraints),
        residuals: about(Of::Residuals),
    };
    let accepts: &'static [Class] = if asked(Ask::Operator) {
        &[Class::Saddle]
    } else if s.projects {
        &[Class::Smooth, Class::SmoothBounds, Class::Saddle, Class::Composite]
    } else {
        &[Class::Smooth, Class::Saddle]
    };
    let kind = |k: StateKind| match k {
        StateKind::Number => SlotKind::Number,
        StateKind::Array(_) | StateKind::Table(..) => SlotKind::Array,
        StateKind::History(..) => SlotKind::History,
    };
    let mut cards = CARDS.lock().unwrap_or_else(PoisonError::into_inner);
    let found = cards.iter().find(|c| {
        c.name == s.name
            && c.needs == needs
            && c.accepts == accepts
            && c.state.len() == s.states.len()
            && c.state
                .iter()
                .zip(&s.states)
                .all(|(a, b)| a.name == b.name && a.kind == kind(b.kind))
            && c.records.len() == s.records.len()
            && c.records.iter().zip(&s.records).all(|(a, b)| *a == b.0)
    });
    if let Some(c) = found {
        return c;
    }
    let text = |t: &str| -> &'static str { Box::leak(t.to_string().into_boxed_str()) };
    let state: Vec<SlotSpec> = s
        .states
        .iter()
        .map(|v| SlotSpec {
            name: text(&v.name),
            kind: kind(v.kind),
            doc: "a state of the definition",
        })
        .collect();
    let records: Vec<&'static str> = s.records.iter().map(|r| text(&r.0)).collect();
    let name = text(&s.name);
    let card: &'static MethodCard = Box::leak(Box::new(MethodCard {
        name,
        aliases: &[],
        title: name,
        accepts,
        needs,
        granularity: Granularity::Step,
        options: &[],
        state: Box::leak(state.into_boxed_slice()),
        records: Box::leak(records.into_boxed_slice()),
        guarantees: "none beyond what its definition says",
        doc: "a definition of the language; `source` prints it",
        source: "",
        build: |_: &Settings| Box::new(Scripted::new(Script::empty())),
    }));
    cards.push(card);
    card
}
