//! Running loops: blocks of lanes, nested segments, deterministic reductions, one rayon pool.
//!
//! Invariant: what is computed, and in which order values are added, depends on the plan and the data only, never on
//! the number of threads.

use rayon::prelude::*;

use super::plan::{Addr, Instr, LANES, Level, Loop, OutKind, Plan, SlotId};
use super::{Bound, Fault, Slot};
use crate::ir::IndexId;
use crate::ir::atom::{Partial, Reduce};

/// Lane instructions below which a loop is not worth a second thread.
const PARALLEL_WORK: usize = 200_000;
/// Tasks evaluated before their buffered outputs are merged.
const WAVE: usize = 64;

/// Everything a loop reads.
pub struct Ctx<'a> {
    pub plan: &'a Plan,
    pub slots: &'a [Slot],
    pub domains: &'a [Bound],
}

/// Registers and index positions of one level.
#[derive(Default)]
struct LevelState {
    regs: Vec<Vec<f64>>,
    /// Positions of `Level::indices`, by lane.
    pos: Vec<Vec<i64>>,
    /// Lane of the parent's block that each lane belongs to.
    parent_lane: Vec<u32>,
    /// First flattened instance of the block.
    first: usize,
    /// Lanes in use.
    n: usize,
    /// All lanes belong to one parent instance, and the last own index advances by one from lane to lane.
    straight: bool,
}

/// Scratch of one thread for one loop.
pub struct Worker {
    levels: Vec<LevelState>,
    offsets: Vec<i64>,
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
    /// Into buffers of a task whose first outermost instance is given.
    Buffered {
        first: usize,
        maps: Vec<Vec<f64>>,
        adds: Vec<Adds>,
        partials: Vec<Vec<Partial>>,
    },
    /// Truth values of a filter.
    Keep { flags: Vec<bool> },
}

/// Results of a loop: one array (or one number) per output.
pub fn run(cx: &Ctx<'_>, lp: &Loop, outs: &mut [Vec<f64>]) -> Result<(), Fault> {
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
    let mut partials: Vec<Tree> = vec![Tree::default(); lp.outs.len()];
    let work = total.saturating_mul(lp.cost.max(1));
    if work < PARALLEL_WORK || blocks < 2 || rayon::current_num_threads() == 1 {
        let mut w = Worker::new(cx, lp);
        let mut sink = Sink::Direct {
            arrays: outs,
            partials: &mut partials,
        };
        for b in 0..blocks {
            w.outer_block(cx, lp, b * block, ((b + 1) * block).min(total), &mut sink);
            if let Some(f) = w.fault.take() {
                return Err(f);
            }
        }
    } else {
        let per_task = (PARALLEL_WORK / 4 / (block * lp.cost.max(1)).max(1)).clamp(1, 64);
        let tasks = blocks.div_ceil(per_task);
        let mut wave = 0;
        while wave < tasks {
            let end = (wave + WAVE).min(tasks);
            let done: Vec<Result<Sink<'static>, Fault>> = (wave..end)
                .into_par_iter()
                .map_init(
                    || Worker::new(cx, lp),
                    |w, t| {
                        super::note_worker();
                        let first = t * per_task * block;
                        let mut sink = Sink::buffered(lp, first);
                        for b in t * per_task..((t + 1) * per_task).min(blocks) {
                            w.outer_block(cx, lp, b * block, ((b + 1) * block).min(total), &mut sink);
                            if let Some(f) = w.fault.take() {
                                return Err(f);
                            }
                        }
                        Ok(sink)
                    },
                )
                .collect();
            for sink in done {
                sink?.merge(lp, outs, &mut partials);
            }
            wave = end;
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
#[derive(Clone, Default)]
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

impl Sink<'_> {
    fn buffered(lp: &Loop, first: usize) -> Sink<'static> {
        Sink::Buffered {
            first,
            maps: vec![vec![]; lp.outs.len()],
            adds: lp.outs.iter().map(|_| Adds::default()).collect(),
            partials: vec![vec![]; lp.outs.len()],
        }
    }
    fn merge(self, lp: &Loop, outs: &mut [Vec<f64>], all: &mut [Tree]) {
        let Sink::Buffered {
            first,
            maps,
            adds,
            partials,
        } = self
        else {
            return;
        };
        for (k, out) in outs.iter_mut().enumerate() {
            if matches!(lp.outs[k].kind, OutKind::List) {
                out.extend_from_slice(&maps[k]);
            } else if !maps[k].is_empty() {
                out[first..first + maps[k].len()].copy_from_slice(&maps[k]);
            }
            let a = &adds[k];
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
                partials[k].iter().for_each(|p| all[k].push(&r, *p));
            }
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
                for &(r, s) in &l.uniforms {
                    regs[r as usize].fill(cx.slots[s.0 as usize].scalar());
                }
                LevelState {
                    regs,
                    pos: vec![vec![0; LANES]; l.indices.len()],
                    parent_lane: vec![0; LANES],
                    ..LevelState::default()
                }
            })
            .collect();
        Worker {
            levels,
            offsets: vec![0; LANES],
            fault: None,
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
                        let below: usize = shape.lens[dim + 1..].iter().product();
                        let len = shape.lens[dim];
                        let per: usize = shape.lens.iter().product();
                        if st.straight {
                            for (lane, p) in pos[..st.n].iter_mut().enumerate() {
                                *p = (ordinal + lane) as i64;
                            }
                        } else {
                            for (lane, p) in pos[..st.n].iter_mut().enumerate() {
                                let own = (st.first + lane) % per.max(1);
                                *p = ((own / below.max(1)) % len.max(1)) as i64;
                            }
                        }
                    }
                }
            } else if let Some(parent) = l.parent {
                let from = lp.levels[parent]
                    .indices
                    .iter()
                    .position(|x| *x == i)
                    .unwrap_or_default();
                let src = &head[parent].pos[from];
                for lane in 0..st.n {
                    pos[lane] = src[st.parent_lane[lane] as usize];
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
                Instr::Op1 { f, dst, a } => {
                    let regs = &mut self.levels[level].regs;
                    let mut d = std::mem::take(&mut regs[*dst as usize]);
                    f(&mut d[..n], &regs[*a as usize][..n]);
                    regs[*dst as usize] = d;
                }
                Instr::Op2 { f, dst, a, b } => {
                    let regs = &mut self.levels[level].regs;
                    let mut d = std::mem::take(&mut regs[*dst as usize]);
                    f(&mut d[..n], &regs[*a as usize][..n], &regs[*b as usize][..n]);
                    regs[*dst as usize] = d;
                }
                Instr::Op3 { f, dst, a, b, c } => {
                    let regs = &mut self.levels[level].regs;
                    let mut d = std::mem::take(&mut regs[*dst as usize]);
                    f(
                        &mut d[..n],
                        &regs[*a as usize][..n],
                        &regs[*b as usize][..n],
                        &regs[*c as usize][..n],
                    );
                    regs[*dst as usize] = d;
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
                    for (d, p) in st.regs[*dst as usize][..n].iter_mut().zip(&st.parent_lane) {
                        *d = from[*p as usize];
                    }
                }
                Instr::Child { level: child, folds } => self.child(cx, lp, *child, folds, sink),
                Instr::Store { src, out } => {
                    let st = &self.levels[level];
                    let v = &st.regs[*src as usize][..n];
                    match sink {
                        Sink::Direct { arrays, .. } => arrays[*out][st.first..st.first + n].copy_from_slice(v),
                        Sink::Buffered { maps, .. } => maps[*out].extend_from_slice(v),
                        Sink::Keep { .. } => {}
                    }
                }
                Instr::Collect { src, out } => {
                    let v = &self.levels[level].regs[*src as usize][..n];
                    match sink {
                        Sink::Direct { arrays, .. } => arrays[*out].extend_from_slice(v),
                        Sink::Buffered { maps, .. } => maps[*out].extend_from_slice(v),
                        Sink::Keep { .. } => {}
                    }
                }
                Instr::Total { src, out } => {
                    if let OutKind::Scalar(r) = lp.outs[*out].kind {
                        let p = (r.block)(&self.levels[level].regs[*src as usize][..n]);
                        match sink {
                            Sink::Direct { partials, .. } => partials[*out].push(&r, p),
                            Sink::Buffered { partials, .. } => partials[*out].push(p),
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
                        (Sink::Buffered { adds, .. }, o) => {
                            let a = &mut adds[*out];
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
            let at = |lane: usize| {
                addr.terms
                    .iter()
                    .fold(addr.offset, |o, (i, c)| o + c * st.pos[find(*i)][lane])
            };
            let start = at(0);
            let stride = if n > 1 { at(1) - start } else { 1 };
            let end = start + stride * (n as i64 - 1);
            if start.min(end) < 0 || start.max(end) >= len {
                self.fail("an index leaves its array");
            }
            return Offsets::Line { start, stride };
        }
        let off = &mut self.offsets[..n];
        off.fill(addr.offset);
        for (i, c) in &addr.terms {
            for (o, p) in off.iter_mut().zip(&st.pos[find(*i)]) {
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

    fn load(&mut self, cx: &Ctx<'_>, l: &Level, level: usize, dst: u32, slot: SlotId, addr: &Addr) {
        let o = self.offsets(l, level, addr);
        if self.fault.is_some() {
            return;
        }
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
            let mut upto = lane;
            while upto < lanes && start_of(upto + 1) - s <= LANES {
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
