//! Running loops: blocks of lanes, nested segments, deterministic reductions, one rayon pool.
//!
//! Invariant: what is computed, and in which order values are added, depends on the plan and the data only, never on
//! the number of threads.

use ravine_linalg::lanes::kernels;
use rayon::prelude::*;

use super::plan::{Addr, Instr, LANES, Level, Loop, OutKind, Plan, Reg, SlotId};
use super::tune::{Fused, Num};
use super::vector::{Spread, Streams, Vector};
use super::{Bound, Fault, Slot};
use crate::ir::IndexId;
use crate::ir::atom::{Partial, Reduce};

/// Lane instructions below which a loop is not worth a second thread.
const PARALLEL_WORK: usize = 200_000;
/// Tasks evaluated before their buffered outputs are merged.
const WAVE: usize = 64;
/// Lanes from which a segment has blocks of its own: its positions then advance evenly and need no lists.
const ALONE: usize = 64;

/// Everything a loop reads.
pub struct Ctx<'a> {
    pub plan: &'a Plan,
    pub slots: &'a [Slot],
    pub domains: &'a [Bound],
}

/// Registers and index positions of one level.
#[derive(Clone, Debug, Default)]
struct LevelState {
    regs: Vec<Vec<f64>>,
    /// Registers that stand for entries of an array, side by side: which, and the first.
    seen: Vec<Option<(SlotId, usize)>>,
    /// Positions of `Level::indices`, by lane; listed only where they do not advance evenly or are asked for.
    pos: Vec<Vec<i64>>,
    /// First position and step of `Level::indices` in a straight block.
    line: Vec<(i64, i64)>,
    /// Lane of the parent's block that each lane belongs to.
    parent_lane: Vec<u32>,
    /// First flattened instance of the block.
    first: usize,
    /// Lanes in use.
    n: usize,
    /// Numbers of the level's runs, one after the other.
    numbers: Vec<Spread>,
    /// All lanes belong to one parent instance, and the last own index advances by one from lane to lane.
    straight: bool,
}

impl LevelState {
    fn position(&self, index: usize, lane: usize) -> i64 {
        if self.straight {
            let (start, step) = self.line[index];
            start + step * lane as i64
        } else {
            self.pos[index][lane]
        }
    }
    /// The lanes of an operand.
    fn operand<'a>(&'a self, cx: &'a Ctx<'_>, r: Reg) -> &'a [f64] {
        match self.seen[r as usize] {
            None => &self.regs[r as usize][..self.n],
            Some((slot, first)) => {
                let all = cx.slots[slot.0 as usize].entries().unwrap_or(&[]);
                &all[first..first + self.n]
            }
        }
    }
    /// Fills a register from others of the level.
    fn fill(&mut self, dst: Reg, f: impl FnOnce(&LevelState, &mut [f64])) {
        let mut d = std::mem::take(&mut self.regs[dst as usize]);
        f(self, &mut d[..self.n]);
        self.regs[dst as usize] = d;
    }
}

fn value(cx: &Ctx<'_>, n: Num) -> f64 {
    match n {
        Num::Literal(v) => v,
        Num::Root { slot, negative } => {
            let v = cx.slots[slot.0 as usize].scalar();
            if negative { -v } else { v }
        }
    }
}

/// What a loop keeps from one evaluation to the next, so that the second allocates nothing.
#[derive(Clone, Debug, Default)]
pub struct Scratch {
    worker: Option<Worker>,
    partials: Vec<Tree>,
    /// The outputs while the loop runs.
    pub outs: Vec<Vec<f64>>,
}

/// Scratch of one thread for one loop.
#[derive(Clone, Debug)]
pub struct Worker {
    levels: Vec<LevelState>,
    offsets: Vec<i64>,
    /// Registers that a run writes, while it does.
    written: Vec<Vec<f64>>,
    fault: Option<Fault>,
}

/// A scatter recorded by a task, merged in task order.
#[derive(Default)]
struct Adds {
    /// `(first offset, stride, lanes)`; stride `i64::MIN` means offsets are listed.
    runs: Vec<(i64, i64, usize)>,
    offsets: Vec<i64>,
    values: Vec<f64>,
}

/// Where terminals go.
enum Sink<'a> {
    /// Straight into the outputs.
    Direct {
        arrays: &'a mut [Vec<f64>],
        partials: &'a mut [Tree],
    },
    /// Of a task whose first outermost instance is given: entries written once into its part of their array, the rest into
    /// buffers.
    Buffered {
        first: usize,
        maps: Vec<&'a mut [f64]>,
        buffers: &'a mut Buffers,
    },
    /// Truth values of a filter.
    Keep { flags: Vec<bool> },
}

/// Results of a loop: one array (or one number) per output.
pub fn run(cx: &Ctx<'_>, lp: &Loop, scratch: &mut Scratch) -> Result<(), Fault> {
    let Scratch { worker, partials, outs } = scratch;
    let total = cx.domains[lp.levels[0].domain.index()].total;
    let block = block_size(lp.cost);
    let blocks = total.div_ceil(block);
    for (o, out) in lp.outs.iter().zip(outs.iter_mut()) {
        match o.kind {
            OutKind::Scalar(_) => out.resize(1, 0.0),
            OutKind::Map { len } => out.resize(len, 0.0),
            OutKind::List => out.clear(),
            OutKind::Scatter { len } => {
                out.clear();
                out.resize(len, 0.0);
            }
        }
    }
    partials.resize(lp.outs.len(), Tree::default());
    partials.iter_mut().for_each(|t| t.parts.clear());
    let work = total.saturating_mul(lp.cost.max(1));
    if work < PARALLEL_WORK || blocks < 2 || rayon::current_num_threads() == 1 {
        let w = worker.get_or_insert_with(|| Worker::new(cx, lp));
        w.refresh(cx, lp);
        let mut sink = Sink::Direct { arrays: outs, partials };
        for b in 0..blocks {
            w.outer_block(cx, lp, b * block, ((b + 1) * block).min(total), &mut sink);
            if let Some(f) = w.fault.take() {
                return Err(f);
            }
        }
    } else {
        let per_task = (PARALLEL_WORK / 4 / (block * lp.cost.max(1)).max(1)).clamp(1, 64) * block;
        for wave in (0..total).step_by(WAVE * per_task) {
            let end = (wave + WAVE * per_task).min(total);
            let tasks = parts(lp, outs, wave, end, per_task);
            let done: Vec<Result<Buffers, Fault>> = tasks
                .into_par_iter()
                .map_init(
                    || Worker::new(cx, lp),
                    |w, (first, maps)| {
                        super::note_worker();
                        let mut buffers = Buffers::new(lp.outs.len());
                        let mut sink = Sink::Buffered {
                            first,
                            maps,
                            buffers: &mut buffers,
                        };
                        let last = (first + per_task).min(end);
                        for s in (first..last).step_by(block) {
                            w.outer_block(cx, lp, s, (s + block).min(last), &mut sink);
                            if let Some(f) = w.fault.take() {
                                return Err(f);
                            }
                        }
                        drop(sink);
                        Ok(buffers)
                    },
                )
                .collect();
            for buffers in done {
                buffers?.merge(lp, outs, partials);
            }
        }
    }
    for (k, o) in lp.outs.iter().enumerate() {
        if let OutKind::Scalar(r) = o.kind {
            outs[k][0] = (r.finish)(partials[k].finish(&r), total);
        }
    }
    Ok(())
}

/// Truth values of a filter over all tuples of its domain.
pub fn filter(cx: &Ctx<'_>, lp: &Loop) -> Result<Vec<bool>, Fault> {
    let total = if lp.levels[0].unfiltered {
        cx.plan.domains[lp.levels[0].domain.index()].lens.iter().product()
    } else {
        cx.domains[lp.levels[0].domain.index()].total
    };
    let mut w = Worker::new(cx, lp);
    let mut sink = Sink::Keep { flags: vec![] };
    let block = block_size(lp.cost);
    for b in 0..total.div_ceil(block) {
        w.outer_block(cx, lp, b * block, ((b + 1) * block).min(total), &mut sink);
        if let Some(f) = w.fault.take() {
            return Err(f);
        }
    }
    match sink {
        Sink::Keep { flags } => Ok(flags),
        _ => Ok(vec![]),
    }
}

/// Outermost lanes per block: fewer when one instance is a lot of work, so that there are blocks to share out.
fn block_size(cost: usize) -> usize {
    (1usize << 16)
        .checked_div(cost)
        .unwrap_or(LANES)
        .clamp(1, LANES)
        .next_power_of_two()
        .min(LANES)
}

/// Partials of consecutive blocks, combined by a tree whose shape depends on their number only. Holds one partial for
/// each bit of that number.
#[derive(Clone, Debug, Default)]
struct Tree {
    /// Subtrees, largest first, with their heights.
    parts: Vec<(u32, Partial)>,
}

impl Tree {
    fn push(&mut self, r: &Reduce, p: Partial) {
        let (mut height, mut p) = (0, p);
        while let Some(&(h, left)) = self.parts.last() {
            if h != height {
                break;
            }
            self.parts.pop();
            p = (r.combine)(left, p);
            height += 1;
        }
        self.parts.push((height, p));
    }
    fn finish(&self, r: &Reduce) -> Partial {
        let mut all = self.parts.iter().rev().map(|p| p.1);
        let Some(mut acc) = all.next() else { return r.empty };
        for left in all {
            acc = (r.combine)(left, acc);
        }
        acc
    }
}

/// The tasks of a wave: first instance, and its part of every array that is written entry by entry.
fn parts<'a>(
    lp: &Loop,
    outs: &'a mut [Vec<f64>],
    wave: usize,
    end: usize,
    per_task: usize,
) -> Vec<(usize, Vec<&'a mut [f64]>)> {
    let mut tasks: Vec<(usize, Vec<&mut [f64]>)> = (wave..end).step_by(per_task).map(|first| (first, vec![])).collect();
    for (o, out) in lp.outs.iter().zip(outs) {
        let written = match o.kind {
            OutKind::Map { .. } => &mut out[wave..end],
            _ => &mut [],
        };
        let mut of = written.chunks_mut(per_task);
        for t in &mut tasks {
            t.1.push(of.next().unwrap_or_default());
        }
    }
    tasks
}

/// What a task hands over to be merged, by output.
struct Buffers {
    lists: Vec<Vec<f64>>,
    adds: Vec<Adds>,
    partials: Vec<Vec<Partial>>,
}

impl Buffers {
    fn new(outputs: usize) -> Buffers {
        Buffers {
            lists: vec![vec![]; outputs],
            adds: (0..outputs).map(|_| Adds::default()).collect(),
            partials: vec![vec![]; outputs],
        }
    }
    fn merge(self, lp: &Loop, outs: &mut [Vec<f64>], all: &mut [Tree]) {
        for (k, out) in outs.iter_mut().enumerate() {
            out.extend_from_slice(&self.lists[k]);
            let a = &self.adds[k];
            let (mut v, mut o) = (0, 0);
            for &(start, stride, n) in &a.runs {
                if stride == i64::MIN {
                    for l in 0..n {
                        out[a.offsets[o + l] as usize] += a.values[v + l];
                    }
                    o += n;
                } else {
                    add_strided(out, start, stride, &a.values[v..v + n]);
                }
                v += n;
            }
            if let OutKind::Scalar(r) = lp.outs[k].kind {
                self.partials[k].iter().for_each(|p| all[k].push(&r, *p));
            }
        }
    }
}

impl Sink<'_> {
    /// Hands over, in order, where `n` instances from `first` on are written in output arrays, each at its own position.
    fn own<'s>(
        &'s mut self,
        outs: impl Iterator<Item = usize>,
        first: usize,
        n: usize,
        mut to: impl FnMut(&'s mut [f64]),
    ) {
        let mut outs = outs.peekable();
        let mut wanted = |k: usize| outs.next_if_eq(&k).is_some();
        match self {
            Sink::Direct { arrays, .. } => {
                for (_, a) in arrays.iter_mut().enumerate().filter(|(k, _)| wanted(*k)) {
                    to(&mut a[first..first + n]);
                }
            }
            Sink::Buffered { first: begin, maps, .. } => {
                let at = first - *begin;
                for (_, a) in maps.iter_mut().enumerate().filter(|(k, _)| wanted(*k)) {
                    to(&mut a[at..at + n]);
                }
            }
            Sink::Keep { .. } => {}
        }
    }
}

fn add_strided(out: &mut [f64], start: i64, stride: i64, values: &[f64]) {
    if stride == 1 {
        let s = start as usize;
        for (o, v) in out[s..s + values.len()].iter_mut().zip(values) {
            *o += v;
        }
    } else {
        let mut at = start;
        for v in values {
            out[at as usize] += v;
            at += stride;
        }
    }
}

/// Offsets of a block: an arithmetic progression, or listed in the worker's scratch.
enum Offsets {
    Line { start: i64, stride: i64 },
    Listed,
}

/// Where a level keeps the positions of an index that a level below inherits.
fn inherited(lp: &Loop, parent: usize, i: IndexId) -> usize {
    lp.levels[parent]
        .indices
        .iter()
        .position(|x| *x == i)
        .unwrap_or_default()
}

impl Worker {
    /// Scratch for `lp` with constants and uniforms filled in.
    pub fn new(cx: &Ctx<'_>, lp: &Loop) -> Worker {
        let levels = lp
            .levels
            .iter()
            .map(|l| {
                let mut regs = vec![vec![0.0; LANES]; l.regs];
                for &(r, v) in &l.constants {
                    regs[r as usize].fill(v);
                }
                LevelState {
                    regs,
                    seen: vec![None; l.regs],
                    line: vec![(0, 0); l.indices.len()],
                    pos: vec![vec![0; LANES]; l.indices.len()],
                    parent_lane: vec![0; LANES],
                    ..LevelState::default()
                }
            })
            .collect();
        let mut w = Worker {
            levels,
            offsets: vec![0; LANES],
            written: vec![],
            fault: None,
        };
        w.refresh(cx, lp);
        w
    }

    /// Takes over the root scalars of a new evaluation.
    fn refresh(&mut self, cx: &Ctx<'_>, lp: &Loop) {
        self.fault = None;
        for (l, st) in lp.levels.iter().zip(&mut self.levels) {
            for &(r, s) in &l.uniforms {
                st.regs[r as usize].fill(cx.slots[s.0 as usize].scalar());
            }
            st.numbers.clear();
            for i in &l.code {
                if let Instr::Vector(v) = i {
                    st.numbers.extend(v.numbers.iter().map(|n| [value(cx, *n); _]));
                }
            }
        }
    }

    fn outer_block(&mut self, cx: &Ctx<'_>, lp: &Loop, s: usize, e: usize, sink: &mut Sink<'_>) {
        let st = &mut self.levels[0];
        st.first = s;
        st.n = e - s;
        st.straight = true;
        self.positions(cx, lp, 0, s);
        self.exec(cx, lp, 0, sink);
    }

    /// Fills index positions of a level's current block; `ordinal` is the first lane's own ordinal within its parent
    /// (rectangular domains) when the block is straight.
    fn positions(&mut self, cx: &Ctx<'_>, lp: &Loop, level: usize, ordinal: usize) {
        let l = &lp.levels[level];
        let shape = &cx.plan.domains[l.domain.index()];
        let bound = &cx.domains[l.domain.index()];
        let csr = if l.unfiltered { None } else { bound.columns.as_ref() };
        let (head, tail) = self.levels.split_at_mut(level);
        let st = &mut tail[0];
        st.straight &= csr.is_none() && shape.indices.len() == 1;
        if st.straight {
            for (k, &i) in l.indices.iter().enumerate() {
                st.line[k] = match l.parent {
                    Some(parent) if !shape.indices.contains(&i) => (
                        head[parent].position(inherited(lp, parent, i), st.parent_lane[0] as usize),
                        0,
                    ),
                    _ => (ordinal as i64, 1),
                };
                if l.positions {
                    let (start, step) = st.line[k];
                    for (lane, p) in st.pos[k][..st.n].iter_mut().enumerate() {
                        *p = start + step * lane as i64;
                    }
                }
            }
            return;
        }
        for (k, &i) in l.indices.iter().enumerate() {
            let pos = &mut st.pos[k];
            if let Some(dim) = shape.indices.iter().position(|x| *x == i) {
                match csr {
                    Some(cols) => {
                        let col = &cols[dim][st.first..st.first + st.n];
                        for (p, c) in pos.iter_mut().zip(col) {
                            *p = i64::from(*c);
                        }
                    }
                    None => {
                        // An odometer: no division by lane.
                        let below = shape.lens[dim + 1..].iter().product::<usize>().max(1);
                        let len = shape.lens[dim].max(1);
                        let (mut rest, mut at) = (st.first % below, st.first / below % len);
                        for p in &mut pos[..st.n] {
                            *p = at as i64;
                            rest += 1;
                            if rest == below {
                                rest = 0;
                                at += 1;
                                if at == len {
                                    at = 0;
                                }
                            }
                        }
                    }
                }
            } else if let Some(parent) = l.parent {
                let from = inherited(lp, parent, i);
                for lane in 0..st.n {
                    pos[lane] = head[parent].position(from, st.parent_lane[lane] as usize);
                }
            }
        }
    }

    fn fail(&mut self, what: impl Into<String>) {
        if self.fault.is_none() {
            self.fault = Some(Fault {
                what: what.into(),
                node: None,
                at: vec![],
            });
        }
    }

    fn exec(&mut self, cx: &Ctx<'_>, lp: &Loop, level: usize, sink: &mut Sink<'_>) {
        let l = &lp.levels[level];
        let n = self.levels[level].n;
        for instr in &l.code {
            match instr {
                Instr::Op1 { f, dst, a, .. } => {
                    self.levels[level].fill(*dst, |s, d| f(d, s.operand(cx, *a)));
                }
                Instr::Op2 { f, dst, a, b, .. } => {
                    self.levels[level].fill(*dst, |s, d| f(d, s.operand(cx, *a), s.operand(cx, *b)));
                }
                Instr::Op3 { f, dst, a, b, c, .. } => {
                    self.levels[level].fill(*dst, |s, d| {
                        f(d, s.operand(cx, *a), s.operand(cx, *b), s.operand(cx, *c));
                    });
                }
                Instr::Fused { dst, op } => self.levels[level].fill(*dst, |s, d| match *op {
                    Fused::Scaled(f, a, t) => f(d, s.operand(cx, a), value(cx, t)),
                    Fused::Affine(a, t, u) => (kernels().affine)(d, s.operand(cx, a), value(cx, t), value(cx, u)),
                    Fused::Combination(a, t, b, u) => {
                        let (a, b) = (s.operand(cx, a), s.operand(cx, b));
                        (kernels().combination)(d, a, value(cx, t), b, value(cx, u));
                    }
                    Fused::Four(f, [p, q, r, t]) => {
                        f(
                            d,
                            s.operand(cx, p),
                            s.operand(cx, q),
                            s.operand(cx, r),
                            s.operand(cx, t),
                        );
                    }
                }),
                Instr::Vector(v) => self.vector(cx, level, v, sink),
                Instr::See { dst, slot, addr } => {
                    let o = self.offsets(l, level, addr);
                    if self.fault.is_some() {
                        return;
                    }
                    let dense = cx.slots[slot.0 as usize].entries();
                    self.levels[level].seen[*dst as usize] = match (o, dense) {
                        (Offsets::Line { start, stride: 1 }, Some(_)) => Some((*slot, start as usize)),
                        (o, _) => {
                            self.take(cx, level, *dst, *slot, addr, o);
                            None
                        }
                    };
                }
                Instr::Load { dst, slot, addr } => self.load(cx, l, level, *dst, *slot, addr),
                Instr::IndexValue { dst, index, lo } => {
                    let st = &mut self.levels[level];
                    if let Some(k) = l.indices.iter().position(|x| x == index) {
                        for (r, p) in st.regs[*dst as usize][..n].iter_mut().zip(&st.pos[k]) {
                            *r = (*lo + *p) as f64;
                        }
                    }
                }
                Instr::Repeat { dst, src } => {
                    let Some(parent) = l.parent else { continue };
                    let (head, tail) = self.levels.split_at_mut(level);
                    let st = &mut tail[0];
                    let from = &head[parent].regs[*src as usize];
                    if st.straight {
                        st.regs[*dst as usize][..n].fill(from[st.parent_lane[0] as usize]);
                        continue;
                    }
                    for (d, p) in st.regs[*dst as usize][..n].iter_mut().zip(&st.parent_lane) {
                        *d = from[*p as usize];
                    }
                }
                Instr::Child { level: child, folds } => self.child(cx, lp, *child, folds, sink),
                Instr::Store { src, out } => {
                    let st = &self.levels[level];
                    let v = &st.regs[*src as usize][..n];
                    sink.own(std::iter::once(*out), st.first, n, |to| to.copy_from_slice(v));
                }
                Instr::Collect { src, out } => {
                    let v = &self.levels[level].regs[*src as usize][..n];
                    match sink {
                        Sink::Direct { arrays, .. } => arrays[*out].extend_from_slice(v),
                        Sink::Buffered { buffers, .. } => buffers.lists[*out].extend_from_slice(v),
                        Sink::Keep { .. } => {}
                    }
                }
                Instr::Total { src, out } => {
                    if let OutKind::Scalar(r) = lp.outs[*out].kind {
                        let p = (r.block)(&self.levels[level].regs[*src as usize][..n]);
                        match sink {
                            Sink::Direct { partials, .. } => partials[*out].push(&r, p),
                            Sink::Buffered { buffers, .. } => buffers.partials[*out].push(p),
                            Sink::Keep { .. } => {}
                        }
                    }
                }
                Instr::Keep { src } => {
                    if let Sink::Keep { flags } = sink {
                        flags.extend(self.levels[level].regs[*src as usize][..n].iter().map(|v| *v != 0.0));
                    }
                }
                Instr::ScatterAdd { src, addr, out } => {
                    let o = self.offsets(l, level, addr);
                    if self.fault.is_some() {
                        return;
                    }
                    let v = &self.levels[level].regs[*src as usize][..n];
                    match (sink as &mut Sink<'_>, o) {
                        (Sink::Direct { arrays, .. }, Offsets::Line { start, stride }) => {
                            add_strided(&mut arrays[*out], start, stride, v);
                        }
                        (Sink::Direct { arrays, .. }, Offsets::Listed) => {
                            for (o, v) in self.offsets.iter().zip(v) {
                                arrays[*out][*o as usize] += v;
                            }
                        }
                        (Sink::Buffered { buffers, .. }, o) => {
                            let a = &mut buffers.adds[*out];
                            a.values.extend_from_slice(v);
                            match o {
                                Offsets::Line { start, stride } => a.runs.push((start, stride, n)),
                                Offsets::Listed => {
                                    a.runs.push((0, i64::MIN, n));
                                    a.offsets.extend_from_slice(&self.offsets[..n]);
                                }
                            }
                        }
                        (Sink::Keep { .. }, _) => {}
                    }
                }
            }
            if self.fault.is_some() {
                return;
            }
        }
    }

    /// Runs operations in one pass, from and to registers and straight into arrays.
    fn vector(&mut self, cx: &Ctx<'_>, level: usize, v: &Vector, sink: &mut Sink<'_>) {
        let st = &mut self.levels[level];
        self.written.clear();
        for w in &v.writes {
            self.written.push(std::mem::take(&mut st.regs[w.0 as usize]));
        }
        let mut streams = Streams::new(st.n);
        for r in &v.reads {
            streams.read(st.operand(cx, *r));
        }
        sink.own(v.outs.iter().map(|o| o.0), st.first, st.n, |to| streams.write(to));
        for w in &mut self.written {
            streams.write(w);
        }
        v.run(streams, &st.numbers[v.first..v.first + v.numbers.len()]);
        for (w, lanes) in v.writes.iter().zip(self.written.drain(..)) {
            st.regs[w.0 as usize] = lanes;
        }
    }

    /// Offsets of the block's lanes for an address, checked to lie inside the array.
    fn offsets(&mut self, l: &Level, level: usize, addr: &Addr) -> Offsets {
        let st = &self.levels[level];
        let n = st.n;
        let len = addr.len as i64;
        let find = |i: IndexId| l.indices.iter().position(|x| *x == i).unwrap_or_default();
        if n == 0 {
            return Offsets::Line { start: 0, stride: 0 };
        }
        if addr.computed.is_empty() && (st.straight || addr.terms.is_empty()) {
            let (mut start, mut stride) = (addr.offset, 0);
            for (i, c) in &addr.terms {
                let (first, step) = st.line[find(*i)];
                start += c * first;
                stride += c * step;
            }
            if n == 1 {
                stride = 1;
            }
            let end = start + stride * (n as i64 - 1);
            if start.min(end) < 0 || start.max(end) >= len {
                self.fail("an index leaves its array");
            }
            return Offsets::Line { start, stride };
        }
        let off = &mut self.offsets[..n];
        off.fill(addr.offset);
        for (i, c) in &addr.terms {
            let k = find(*i);
            if st.straight {
                let (mut at, step) = (c * st.line[k].0, c * st.line[k].1);
                for o in off.iter_mut() {
                    *o += at;
                    at += step;
                }
                continue;
            }
            for (o, p) in off.iter_mut().zip(&st.pos[k]) {
                *o += c * p;
            }
        }
        let mut bad = false;
        for &(r, stride, dim) in &addr.computed {
            for (o, v) in off.iter_mut().zip(&st.regs[r as usize]) {
                let ok = *v >= 0.0 && *v < dim as f64 && v.fract() == 0.0;
                bad |= !ok;
                *o += stride * if ok { *v as i64 } else { 0 };
            }
        }
        bad |= off.iter().any(|o| *o < 0 || *o >= len);
        if bad {
            self.fail("an index leaves its array");
        }
        Offsets::Listed
    }

    fn load(&mut self, cx: &Ctx<'_>, l: &Level, level: usize, dst: Reg, slot: SlotId, addr: &Addr) {
        let o = self.offsets(l, level, addr);
        if self.fault.is_none() {
            self.take(cx, level, dst, slot, addr, o);
        }
    }

    /// Copies entries at offsets that were checked.
    fn take(&mut self, cx: &Ctx<'_>, level: usize, dst: Reg, slot: SlotId, addr: &Addr, o: Offsets) {
        let st = &mut self.levels[level];
        let d = &mut st.regs[dst as usize][..st.n];
        match (cx.slots[slot.0 as usize].entries(), o) {
            (Some(a), Offsets::Line { start, stride: 1 }) => {
                let s = start as usize;
                d.copy_from_slice(&a[s..s + d.len()]);
            }
            (Some(a), Offsets::Line { start, stride }) => {
                let mut at = start;
                for d in d.iter_mut() {
                    *d = a[at as usize];
                    at += stride;
                }
            }
            (Some(a), Offsets::Listed) => {
                for (d, o) in d.iter_mut().zip(&self.offsets) {
                    *d = a[*o as usize];
                }
            }
            (None, o) => {
                let cols = addr.cols.max(1);
                for (lane, d) in d.iter_mut().enumerate() {
                    let at = match o {
                        Offsets::Line { start, stride } => start + stride * lane as i64,
                        Offsets::Listed => self.offsets[lane],
                    } as usize;
                    *d = cx.slots[slot.0 as usize].sparse_entry(at / cols, at % cols);
                }
            }
        }
    }

    /// Runs a child level over the children of the parent's block: whole segments packed into blocks, long segments in
    /// blocks of their own, so that the shape of each segment's reduction depends on its length only.
    fn child(&mut self, cx: &Ctx<'_>, lp: &Loop, child: usize, folds: &[super::plan::ChildFold], sink: &mut Sink<'_>) {
        let l = &lp.levels[child];
        let Some(parent) = l.parent else { return };
        let (first, lanes) = (self.levels[parent].first, self.levels[parent].n);
        let shape = &cx.plan.domains[l.domain.index()];
        let bound = &cx.domains[l.domain.index()];
        let per: usize = shape.lens.iter().product();
        let starts = if l.unfiltered { None } else { bound.starts.as_ref() };
        let start_of = |lane: usize| match starts {
            Some(s) => s[first + lane],
            None => (first + lane) * per,
        };
        let mut lane = 0;
        let mut long: Vec<Tree> = vec![];
        while lane < lanes {
            let (s, e) = (start_of(lane), start_of(lane + 1));
            if e - s > LANES {
                long.clear();
                long.resize(folds.len(), Tree::default());
                let mut at = s;
                while at < e {
                    let n = (e - at).min(LANES);
                    let st = &mut self.levels[child];
                    (st.first, st.n, st.straight) = (at, n, true);
                    st.parent_lane[..n].fill(lane as u32);
                    self.positions(cx, lp, child, at - s);
                    self.exec(cx, lp, child, sink);
                    if self.fault.is_some() {
                        return;
                    }
                    for (f, p) in folds.iter().zip(long.iter_mut()) {
                        p.push(
                            &f.reduce,
                            (f.reduce.block)(&self.levels[child].regs[f.body as usize][..n]),
                        );
                    }
                    at += n;
                }
                for (f, p) in folds.iter().zip(&long) {
                    let v = (f.reduce.finish)(p.finish(&f.reduce), e - s);
                    self.levels[parent].regs[f.dst as usize][lane] = v;
                }
                lane += 1;
                continue;
            }
            let mut upto = lane + 1;
            while e - s < ALONE && upto < lanes && start_of(upto + 1) - s <= LANES {
                upto += 1;
            }
            let st = &mut self.levels[child];
            (st.first, st.n, st.straight) = (s, start_of(upto) - s, upto == lane + 1);
            for p in lane..upto {
                st.parent_lane[start_of(p) - s..start_of(p + 1) - s].fill(p as u32);
            }
            if st.n > 0 {
                self.positions(cx, lp, child, 0);
                self.exec(cx, lp, child, sink);
                if self.fault.is_some() {
                    return;
                }
            }
            for f in folds {
                for p in lane..upto {
                    let (a, b) = (start_of(p) - s, start_of(p + 1) - s);
                    let part = if a == b {
                        f.reduce.empty
                    } else {
                        (f.reduce.block)(&self.levels[child].regs[f.body as usize][a..b])
                    };
                    self.levels[parent].regs[f.dst as usize][p] = (f.reduce.finish)(part, b - a);
                }
            }
            lane = upto;
        }
    }
}
