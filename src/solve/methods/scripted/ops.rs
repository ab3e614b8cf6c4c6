//! The operations of a script, run on a frame: pieces, draws, copies, histories, tables, branches and loops.
//!
//! Invariant: nothing is taken over here: states change when a step is committed, histories apart, which a step appends to.

use std::cell::Cell;

use super::super::super::draws::{Key, Purpose};
use super::super::super::method::{Fault, Seed, StepCx};
use super::super::super::oracle::{Counts, Oracle};
use super::super::super::state::{History, State};
use super::asks::aside;
use super::{Frame, Order, Scripted};
use crate::base::Span;
use crate::ir::NodeId;
use crate::ir::script::{Law, Op, Reg, StateKind};

/// Most turns of one loop within one step.
const TURNS: u64 = 1_000_000;
/// Most terms of a batch whose size the run finds.
const MOST_TERMS: f64 = 1e8;

/// What draws of this step are keyed by.
pub(super) struct Draw<'a> {
    seed: Seed,
    purpose: Purpose,
    step: u64,
    cx: Option<&'a StepCx<'a>>,
    /// Draws so far: each turn of a loop draws anew.
    drawn: Cell<u64>,
}

impl<'a> Draw<'a> {
    /// Before its first draw.
    pub fn new(seed: Seed, purpose: Purpose, step: u64, cx: Option<&'a StepCx<'a>>) -> Draw<'a> {
        Draw {
            seed,
            purpose,
            step,
            cx,
            drawn: Cell::new(0),
        }
    }

    /// Of a step whose states begin anew: it goes on counting.
    pub fn anew(self) -> Draw<'a> {
        Draw {
            purpose: Purpose::Init,
            ..self
        }
    }

    /// The number of the next draw.
    fn number(&self) -> u64 {
        let n = self.drawn.get();
        self.drawn.set(n + 1);
        n
    }
}

impl Scripted {
    /// Runs the step on the frame; `state` has the histories. Nothing is taken over yet.
    pub(super) fn run(
        &self,
        problem: &mut dyn Oracle,
        f: &mut Frame,
        state: &mut State,
        cx: &Draw<'_>,
    ) -> Result<(), Fault> {
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
                    span,
                } => {
                    let before = problem.counts();
                    self.ask(*what, args, (*batch, *value), *out, problem, f)
                        .map_err(|e| match e {
                            Fault::Numerical(why) => Fault::Numerical(why + &self.line_around(&[*span])),
                            other => other,
                        })?;
                    let made = problem.counts().since(&before);
                    let aside = aside(&self.script, *out, *value, &made);
                    if aside != Counts::default() {
                        problem.set_aside(&aside);
                    }
                }
                Op::Draw {
                    law,
                    site,
                    taken,
                    size,
                    out,
                    ..
                } => {
                    if let Some((k, text)) = size {
                        let k = room(f.regs[*k][0], text)?;
                        f.regs[*out].resize(k, 0.0);
                    }
                    self.draw(*law, (*site, *taken), *out, problem, f, cx)?;
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
                    state: k,
                    which,
                    to,
                    span,
                } => {
                    let n = f.regs[*which][0];
                    let name = &self.script.states[*k].name;
                    let h = state.slots[*k].history();
                    let len = h.map_or(0, History::len);
                    let (Some(h), true) = (h, n >= 1.0 && n <= len as f64 && n.fract() == 0.0) else {
                        let line = self.line_around(&[*span]);
                        return Err(Fault::Numerical(format!(
                            "`{name}[{n}]` is asked for, and the history holds {len}{line}"
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

    /// Draws numbers, or takes them from the record; a place that goes through an order is known `at` its site, by the
    /// register that counts what it took.
    fn draw(
        &self,
        law: Law,
        at: (u64, Option<Reg>),
        out: Reg,
        problem: &dyn Oracle,
        f: &mut Frame,
        cx: &Draw<'_>,
    ) -> Result<(), Fault> {
        let terms = problem.terms().unwrap_or(0);
        let number = cx.number();
        let recorded = self.recorded.as_ref().map(|r| r.get(&(cx.step, number)));
        match recorded {
            Some(Some(v)) if v.len() == f.regs[out].len() => f.regs[out].copy_from_slice(v),
            Some(_) => {
                return Err(Fault::Numerical(format!(
                    "the record of draws has none for draw {number} of step {}",
                    cx.step
                )));
            }
            None if law == Law::Shuffled => shuffled(f, at, terms, out, cx),
            None => {
                let key = Key::new(cx.seed, cx.purpose, cx.step, number);
                key.fill(law, terms, &mut f.regs[out]);
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
    fn line_of(&self, node: Option<NodeId>) -> String {
        self.line_around(node.map_or(&[][..], |n| self.script.ir.origins(n)))
    }

    /// The line of a definition that one of these places stands in.
    fn line_around(&self, origins: &[Span]) -> String {
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
}

/// How many terms a batch has whose size the run finds.
fn room(k: f64, text: &str) -> Result<usize, Fault> {
    if k.fract() == 0.0 && (1.0..=MOST_TERMS).contains(&k) {
        return Ok(k as usize);
    }
    let what = match k {
        k if k.is_finite() && k.fract() != 0.0 => format!(", a whole number: `ceil({text})` is one"),
        k if k > MOST_TERMS => format!(", and at most {MOST_TERMS}"),
        _ => String::new(),
    };
    Err(Fault::Numerical(format!(
        "`sample({text})` asks for {k} terms, and a mini-batch has at least 1{what}"
    )))
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
