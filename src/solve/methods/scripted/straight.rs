//! Steps of few numbers as one straight-line program, the problem's gradient in it.
//!
//! Invariant: takes the same steps as the script run operation by operation; where a step is anything but ordinary, nothing of
//! it is kept, so that the script itself can take it and say what is wrong.

use super::FAR;
use super::asks::aside;
use crate::exec::native::{Around, Ended, Native};
use crate::exec::tape::{File, Source, Tape, Val, WIDE, Writer};
use crate::ir::script::{Ask, Op, Reg, Script, StateKind};
use crate::ir::{InputId, NodeId};
use crate::solve::oracle::{Counts, Formula};
use crate::solve::state::{Slot, State};

/// A step as one program.
pub struct Straight {
    tape: Tape,
    file: File,
    around: Around,
    native: Option<Native>,
    x: Vec<u8>,
    /// State and its registers.
    states: Vec<(usize, Vec<u8>)>,
    /// Size and records of the last step that was taken.
    size: u8,
    records: Vec<u8>,
    /// Evaluations of one step.
    pub asked: Counts,
}

/// Registers of the script as values of the tape.
struct Following<'a> {
    script: &'a Script,
    formula: &'a Formula<'a>,
    w: Writer,
    regs: Vec<Option<Vec<Val>>>,
    finite: Vec<Val>,
    fails: Vec<Val>,
    asked: Counts,
}

impl Straight {
    /// Unrolls a step; nothing if it has histories, draws, loops or too many numbers.
    pub fn new(script: &Script, formula: &Formula<'_>) -> Option<Straight> {
        let more = script.known.is_some() || script.equations.is_some();
        if !script.restarts.is_empty() || script.fmin.is_some() || script.terms.is_some() || more {
            return None;
        }
        let mut f = Following {
            script,
            formula,
            w: Writer::default(),
            regs: vec![None; script.regs.len()],
            finite: vec![],
            fails: vec![],
            asked: Counts::default(),
        };
        let mut states = vec![];
        f.admit(script.x)?;
        f.admit(script.t)?;
        for (k, s) in script.states.iter().enumerate() {
            if !matches!(s.kind, StateKind::Number | StateKind::Array(_)) {
                return None;
            }
            f.admit(s.reg)?;
            states.push((k, f.reg(s.reg)?));
        }
        let (t, x) = (f.reg(script.t)?[0], f.reg(script.x)?);
        f.follow(&script.step)?;
        let first = |f: &Following<'_>, r: Reg| f.regs[r].as_ref().and_then(|v| v.first().copied());
        let all = |f: &Following<'_>, regs: &mut dyn Iterator<Item = Reg>| -> Option<Vec<Val>> {
            regs.map(|r| first(f, r)).collect()
        };
        let change = first(&f, script.change)?;
        let records = all(&f, &mut script.records.iter().map(|r| r.1))?;
        let stops = all(&f, &mut script.stops.iter().map(|r| r.0))?;
        let guards = all(&f, &mut script.guards.iter().map(|g| g.reg))?;
        let mut commits = vec![];
        for c in &script.commits {
            let held = script.states.iter().find(|s| s.reg == c.to).map(|s| s.reg);
            let to = if c.to == script.x {
                &x
            } else {
                &states.iter().find(|s| Some(script.states[s.0].reg) == held)?.1
            };
            let from = f.reg(c.from)?;
            if from.len() != to.len() {
                return None;
            }
            commits.extend(to.iter().copied().zip(from));
        }
        let Following {
            mut w,
            mut finite,
            fails,
            asked,
            ..
        } = f;
        finite.sort();
        finite.dedup();
        let mut wanted = vec![change];
        wanted.extend(commits.iter().map(|c| c.1));
        for list in [&records, &stops, &guards, &finite, &fails] {
            wanted.extend(list);
        }
        // Where size and records of a step are copied to once it was taken.
        let taken: Vec<Val> = (0..=records.len()).map(|_| w.free()).collect();
        commits.extend(
            taken
                .iter()
                .copied()
                .zip([change].into_iter().chain(records.iter().copied())),
        );
        let tape = w.finish(&wanted)?;
        let at = |v: &Val| tape.register(*v);
        let these = |v: &[Val]| -> Option<Vec<u8>> { v.iter().map(at).collect() };
        let mut moves = vec![];
        for (to, from) in &commits {
            moves.push((at(to)?, at(from)?));
        }
        let around = Around {
            step: at(&t)?,
            size: at(&change)?,
            most: FAR,
            finite: these(&[finite, guards.clone()].concat())?,
            positive: these(&guards)?,
            zero: these(&fails)?,
            stops: these(&stops)?,
            moves: in_order(moves)?,
        };
        let states = states.iter().map(|(k, v)| Some((*k, these(v)?)));
        let (states, x) = (states.collect::<Option<_>>()?, these(&x)?);
        let (size, records) = (at(&taken[0])?, these(&taken[1..])?);
        let mut file = tape.file();
        for k in records.iter().chain([&size]) {
            file[usize::from(*k)] = f64::NAN;
        }
        Some(Straight {
            native: Native::new(&tape, &around),
            around,
            x,
            states,
            size,
            records,
            asked,
            file,
            tape,
        })
    }

    /// Operations of a step.
    pub fn operations(&self) -> usize {
        self.tape.len()
    }

    /// Takes over point and states.
    pub fn load(&mut self, state: &State) {
        for (k, v) in self.x.iter().zip(&state.x) {
            self.file[*k as usize] = *v;
        }
        for (slot, registers) in &self.states {
            match &state.slots[*slot] {
                Slot::Number(v) => self.file[registers[0] as usize] = *v,
                s => {
                    for (k, v) in registers.iter().zip(s.array()) {
                        self.file[*k as usize] = *v;
                    }
                }
            }
        }
    }

    /// Hands point, states and what was recorded back.
    pub fn store(&self, state: &mut State) {
        for (k, v) in self.x.iter().zip(&mut state.x) {
            *v = self.file[*k as usize];
        }
        for (slot, registers) in &self.states {
            match &mut state.slots[*slot] {
                Slot::Number(v) => *v = self.file[registers[0] as usize],
                Slot::Array(a) => {
                    for (k, v) in registers.iter().zip(a) {
                        *v = self.file[*k as usize];
                    }
                }
                _ => {}
            }
        }
        for (v, k) in state.records.iter_mut().zip(&self.records) {
            *v = self.file[*k as usize];
        }
        state.measures.change = self.file[self.size as usize];
        state.measures.objective = f64::NAN;
        state.measures.stationarity = f64::NAN;
    }

    /// Up to `n` steps after `step`; says how many were taken.
    pub fn run(&mut self, step: u64, n: u64) -> (u64, Ended) {
        self.file[usize::from(self.around.step)] = step as f64;
        match &self.native {
            Some(code) => code.run(&self.tape, &mut self.file, n),
            None => self.around.run(&self.tape, &mut self.file, n),
        }
    }
}

/// The copies in an order in which nothing is overwritten before it is read; nothing if they go round in a circle.
fn in_order(mut moves: Vec<(u8, u8)>) -> Option<Vec<(u8, u8)>> {
    moves.retain(|(to, from)| to != from);
    let mut ordered = vec![];
    while !moves.is_empty() {
        let k = moves.iter().position(|m| moves.iter().all(|o| o.1 != m.0))?;
        ordered.push(moves.remove(k));
    }
    Some(ordered)
}

impl Following<'_> {
    /// Values that stand in a register when the step begins.
    fn admit(&mut self, r: Reg) -> Option<()> {
        let n = self.script.regs[r].len;
        if n > WIDE {
            return None;
        }
        self.regs[r] = Some((0..n).map(|_| self.w.free()).collect());
        Some(())
    }

    fn reg(&self, r: Reg) -> Option<Vec<Val>> {
        self.regs[r].clone()
    }

    fn follow(&mut self, ops: &[Op]) -> Option<()> {
        for op in ops {
            match op {
                Op::Eval(k) => self.piece(*k)?,
                Op::Ask {
                    what,
                    args,
                    batch: None,
                    value,
                    out,
                    ..
                } => self.ask(*what, args[0], *value, *out)?,
                Op::Copy { from, to } => self.regs[*to] = Some(self.reg(*from)?),
                Op::Slice { from, offset, to } => {
                    let n = self.script.regs[*to].len;
                    self.regs[*to] = Some(self.reg(*from)?.get(*offset..*offset + n)?.to_vec());
                }
                Op::Splice { from, offset, to } => {
                    let (v, mut into) = (self.reg(*from)?, self.reg(*to)?);
                    into.get_mut(*offset..*offset + v.len())?.copy_from_slice(&v);
                    self.regs[*to] = Some(into);
                }
                Op::If {
                    condition,
                    then,
                    otherwise,
                } if pure(then) && pure(otherwise) => {
                    let condition = self.reg(*condition)?[0];
                    let before = self.regs.clone();
                    self.follow(then)?;
                    let yes = std::mem::replace(&mut self.regs, before);
                    self.follow(otherwise)?;
                    for (no, yes) in self.regs.iter_mut().zip(yes) {
                        match (no.as_mut(), yes) {
                            (Some(no), Some(yes)) => {
                                for (n, y) in no.iter_mut().zip(yes) {
                                    *n = self.w.select(condition, y, *n);
                                }
                            }
                            // What one branch alone writes is nothing behind it.
                            _ => *no = None,
                        }
                    }
                }
                Op::Fail { condition, .. } => self.fails.push(self.reg(*condition)?[0]),
                _ => return None,
            }
        }
        Some(())
    }

    fn piece(&mut self, k: usize) -> Option<()> {
        let outputs = &self.script.pieces[k].outputs;
        let nodes: Vec<NodeId> = outputs.iter().map(|o| o.0).collect();
        let (regs, script) = (&self.regs, self.script);
        let read = |i: InputId| match script.regs.iter().position(|r| r.input == i) {
            Some(r) => Some(regs[r].as_ref()?.iter().map(|v| Source::Of(*v)).collect()),
            None => Source::fixed(&script.params.iter().find(|p| p.0 == i)?.1),
        };
        let made = self.w.unroll(&script.ir, &nodes, &read)?;
        for ((_, r), v) in outputs.iter().zip(made) {
            if v.len() != script.regs[*r].len {
                return None;
            }
            self.regs[*r] = Some(v);
        }
        Some(())
    }

    fn ask(&mut self, what: Ask, at: Reg, value: Option<Reg>, out: Reg) -> Option<()> {
        let (f, x) = (self.formula, self.reg(at)?);
        let read = |i: InputId| match f.blocks.iter().find(|b| b.0 == i) {
            Some((_, first, len)) => Some(x.get(*first..first + len)?.iter().map(|v| Source::Of(*v)).collect()),
            None => Source::fixed(&f.bound.iter().find(|p| p.0 == i)?.1),
        };
        let (objective, gradient) = match what {
            Ask::Value => (true, false),
            Ask::Gradient => (value.is_some(), true),
            _ => return None,
        };
        let mut nodes = vec![];
        if objective || f.partial {
            nodes.push(f.objective);
        }
        let parts = if gradient { f.gradient } else { &[] };
        nodes.extend(parts.iter().map(|p| p.0));
        let mut made = self.w.unroll(f.ir, &nodes, &read)?.into_iter();
        if objective || f.partial {
            let v = *made.next()?.first()?;
            self.finite.push(v);
            if !gradient {
                self.regs[out] = Some(vec![v]);
            }
            if let Some(r) = value {
                self.regs[r] = Some(vec![v]);
            }
        }
        if gradient {
            let zero = self.w.literal(0.0);
            let mut g = vec![zero; x.len()];
            for ((_, first, len), part) in parts.iter().zip(made) {
                g.get_mut(*first..first + len)?.copy_from_slice(part.get(..*len)?);
            }
            self.finite.extend(&g);
            self.regs[out] = Some(g);
        }
        let made = Counts {
            values: u64::from(objective),
            gradients: u64::from(gradient),
            ..Counts::default()
        };
        let aside = aside(self.script, out, value, &made);
        self.asked = self.asked.plus(&made.since(&aside));
        self.asked.beside += aside.total();
        Some(())
    }
}

/// Do these operations ask nothing of the problem, and cannot fail?
fn pure(ops: &[Op]) -> bool {
    ops.iter().all(|op| match op {
        Op::Eval(_) | Op::Copy { .. } | Op::Slice { .. } | Op::Splice { .. } => true,
        Op::If { then, otherwise, .. } => pure(then) && pure(otherwise),
        _ => false,
    })
}
