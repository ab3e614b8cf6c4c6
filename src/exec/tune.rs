//! Fewer and cheaper lane instructions: numbers as operands, fused kernels, array slices read in place, registers reused.
//!
//! Invariant: every result keeps its bits. A fused kernel rounds after each operation it stands for, and a number moves
//! through an operation only where that is exact (a change of sign, a power of two that cannot under- or overflow).

use std::collections::{HashMap, HashSet};

use ravine_linalg::lanes::{self, kernels};

use super::plan::{Instr, Level, Reg, SlotId};
use super::vector;
use crate::atoms;
use crate::ir::AtomRef;

/// A number that is the same for all lanes.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Num {
    /// A literal.
    Literal(f64),
    /// A root scalar, or its negative.
    Root { slot: SlotId, negative: bool },
}

impl Num {
    fn negated(self) -> Num {
        match self {
            Num::Literal(v) => Num::Literal(-v),
            Num::Root { slot, negative } => Num::Root {
                slot,
                negative: !negative,
            },
        }
    }
}

/// What a fused instruction computes.
#[derive(Clone, Copy)]
pub enum Fused {
    /// `f(a, s)`.
    Scaled(lanes::Scaled, Reg, Num),
    /// `s a + t`.
    Affine(Reg, Num, Num),
    /// `s a + t b`.
    Combination(Reg, Num, Reg, Num),
    /// `f(a, b, c, d)`.
    Four(lanes::Quaternary, [Reg; 4]),
}

impl Fused {
    fn operands(&self) -> Vec<Reg> {
        match *self {
            Fused::Scaled(_, a, _) | Fused::Affine(a, ..) => vec![a],
            Fused::Combination(a, _, b, _) => vec![a, b],
            Fused::Four(_, r) => r.to_vec(),
        }
    }
    fn rename(&mut self, f: &impl Fn(Reg) -> Reg) {
        match self {
            Fused::Scaled(_, a, _) | Fused::Affine(a, ..) => *a = f(*a),
            Fused::Combination(a, _, b, _) => (*a, *b) = (f(*a), f(*b)),
            Fused::Four(_, r) => r.iter_mut().for_each(|r| *r = f(*r)),
        }
    }
}

/// How a register was computed, where a user of it can take that over.
#[derive(Clone, Copy)]
enum Form {
    Product(Reg, Reg),
    Difference(Reg, Reg),
    /// `a s`.
    Scaled(Reg, Num),
    Other,
}

/// Improves the levels of a loop; those that are `wide` have runs of instructions made one.
pub fn tune(levels: &mut [Level], wide: impl Fn(&Level) -> bool) {
    let mut uses = counts(levels);
    for l in 0..levels.len() {
        if wide(&levels[l]) {
            vector::gather(&mut levels[l], &mut uses[l]);
        }
        let code = std::mem::take(&mut levels[l].code);
        let mut t = Fusing {
            numbers: numbers(&levels[l]),
            forms: HashMap::new(),
            uses: &mut uses[l],
        };
        levels[l].code = code.into_iter().map(|i| t.instr(i)).collect();
    }
    // Innermost first: what a child no longer reads, its parent need not compute.
    for l in (0..levels.len()).rev() {
        prune(levels, l);
    }
    let uses = counts(levels);
    for l in 0..levels.len() {
        let used = |r: Reg| uses[l].get(&r).is_some_and(|n| *n > 0);
        let mut elsewhere = handed_up(levels, l);
        for i in &levels[l].code {
            if let Instr::Child { level, .. } = i {
                elsewhere.extend(handed_down(levels, *level));
            }
        }
        let level = &mut levels[l];
        level.constants.retain(|c| used(c.0));
        level.uniforms.retain(|u| used(u.0));
        level.positions = level.code.iter().any(|i| matches!(i, Instr::IndexValue { .. }));
        see(level, &elsewhere);
    }
    for l in 0..levels.len() {
        allocate(levels, l);
    }
}

/// Registers that an instruction reads, on its own level.
pub fn operands(i: &Instr) -> Vec<Reg> {
    match i {
        Instr::Vector(v) => v.reads.clone(),
        Instr::Op1 { a, .. } => vec![*a],
        Instr::Op2 { a, b, .. } => vec![*a, *b],
        Instr::Op3 { a, b, c, .. } => vec![*a, *b, *c],
        Instr::Fused { op, .. } => op.operands(),
        Instr::Load { addr, .. } | Instr::See { addr, .. } => addr.computed.iter().map(|c| c.0).collect(),
        Instr::ScatterAdd { src, addr, .. } => {
            let mut r: Vec<Reg> = addr.computed.iter().map(|c| c.0).collect();
            r.push(*src);
            r
        }
        Instr::Store { src, .. } | Instr::Total { src, .. } | Instr::Collect { src, .. } | Instr::Keep { src } => {
            vec![*src]
        }
        Instr::IndexValue { .. } | Instr::Repeat { .. } | Instr::Child { .. } => vec![],
    }
}

/// Registers that an instruction writes, on its own level.
fn results(i: &Instr) -> Vec<Reg> {
    match i {
        Instr::Op1 { dst, .. }
        | Instr::Op2 { dst, .. }
        | Instr::Op3 { dst, .. }
        | Instr::Fused { dst, .. }
        | Instr::Load { dst, .. }
        | Instr::See { dst, .. }
        | Instr::IndexValue { dst, .. }
        | Instr::Repeat { dst, .. } => vec![*dst],
        Instr::Child { folds, .. } => folds.iter().map(|f| f.dst).collect(),
        Instr::Vector(v) => v.writes.iter().map(|w| w.0).collect(),
        Instr::ScatterAdd { .. }
        | Instr::Store { .. }
        | Instr::Total { .. }
        | Instr::Collect { .. }
        | Instr::Keep { .. } => vec![],
    }
}

/// Registers that the level below, `child`, reads.
fn handed_down(levels: &[Level], child: usize) -> impl Iterator<Item = Reg> {
    levels[child].code.iter().filter_map(|i| match i {
        Instr::Repeat { src, .. } => Some(*src),
        _ => None,
    })
}

/// Registers of a level that its parent reduces.
fn handed_up(levels: &[Level], level: usize) -> Vec<Reg> {
    let Some(parent) = levels[level].parent else {
        return vec![];
    };
    let mut all = vec![];
    for i in &levels[parent].code {
        if let Instr::Child { level: l, folds } = i
            && *l == level
        {
            all.extend(folds.iter().map(|f| f.body));
        }
    }
    all
}

/// How often each register is read, by level.
fn counts(levels: &[Level]) -> Vec<HashMap<Reg, usize>> {
    (0..levels.len())
        .map(|l| {
            let mut n = HashMap::new();
            let mut count = |r: Reg| *n.entry(r).or_insert(0) += 1;
            handed_up(levels, l).into_iter().for_each(&mut count);
            for i in &levels[l].code {
                operands(i).into_iter().for_each(&mut count);
                if let Instr::Child { level, .. } = i {
                    handed_down(levels, *level).for_each(&mut count);
                }
            }
            n
        })
        .collect()
}

/// Registers that hold one number in all lanes.
pub fn numbers(level: &Level) -> HashMap<Reg, Num> {
    let literals = level.constants.iter().map(|(r, v)| (*r, Num::Literal(*v)));
    let roots = level.uniforms.iter().map(|(r, s)| {
        let n = Num::Root {
            slot: *s,
            negative: false,
        };
        (*r, n)
    });
    literals.chain(roots).collect()
}

/// `x s t` by one multiplication with the same bits, if there is one.
fn merged(s: Num, t: Num) -> Option<Num> {
    match (s, t) {
        (Num::Literal(-1.0), n) | (n, Num::Literal(-1.0)) => Some(n.negated()),
        (Num::Literal(1.0), n) | (n, Num::Literal(1.0)) => Some(n),
        // Doubling first is exact unless it overflows, and then so does the product.
        (Num::Literal(s), Num::Literal(t)) => {
            (is_power_of_two(s) && s.abs() >= 1.0 && t.abs() >= 1.0 && (s * t).is_finite())
                .then_some(Num::Literal(s * t))
        }
        _ => None,
    }
}

fn is_power_of_two(v: f64) -> bool {
    v.is_normal() && v.to_bits() << 12 == 0
}

struct Fusing<'a> {
    numbers: HashMap<Reg, Num>,
    forms: HashMap<Reg, Form>,
    uses: &'a mut HashMap<Reg, usize>,
}

impl Fusing<'_> {
    fn single(&self, r: Reg) -> bool {
        self.uses.get(&r) == Some(&1)
    }
    /// The form of a register that nobody else reads.
    fn own(&self, r: Reg) -> Form {
        if self.single(r) { self.form(r) } else { Form::Other }
    }
    fn form(&self, r: Reg) -> Form {
        self.forms.get(&r).copied().unwrap_or(Form::Other)
    }
    fn number(&self, r: Reg) -> Option<Num> {
        self.numbers.get(&r).copied()
    }

    fn instr(&mut self, i: Instr) -> Instr {
        let new = match &i {
            Instr::Op1 { atom, dst, a, .. } => self.unary(*atom, *dst, *a),
            Instr::Op2 { atom, dst, a, b, .. } => self.binary(*atom, *dst, *a, *b),
            _ => None,
        };
        let Some(new) = new else { return i };
        for r in operands(&i) {
            if let Some(n) = self.uses.get_mut(&r) {
                *n = n.saturating_sub(1);
            }
        }
        for r in operands(&new) {
            *self.uses.entry(r).or_insert(0) += 1;
        }
        new
    }

    fn scaled(&mut self, dst: Reg, a: Reg, s: Num) -> Option<Instr> {
        let (a, s) = match self.form(a) {
            Form::Scaled(b, t) => merged(t, s).map_or((a, s), |n| (b, n)),
            _ => (a, s),
        };
        self.forms.insert(dst, Form::Scaled(a, s));
        scalar(dst, kernels().mul_scalar, a, s)
    }

    fn unary(&mut self, atom: AtomRef, dst: Reg, a: Reg) -> Option<Instr> {
        let k = kernels();
        if atom == atoms::NEG {
            if let Form::Scaled(..) = self.form(a) {
                return self.scaled(dst, a, Num::Literal(-1.0));
            }
            self.forms.insert(dst, Form::Scaled(a, Num::Literal(-1.0)));
        } else if atom == atoms::SQUARE {
            if let Form::Difference(b, c) = self.own(a) {
                return two(atom, dst, k.sub_square, b, c);
            }
            self.forms.insert(dst, Form::Product(a, a));
        }
        None
    }

    fn binary(&mut self, atom: AtomRef, dst: Reg, a: Reg, b: Reg) -> Option<Instr> {
        let k = kernels();
        let (x, y) = (self.number(a), self.number(b));
        if x.is_some() && y.is_some() {
            return None;
        }
        if atom == atoms::MUL {
            match (x, y) {
                (Some(s), _) => return self.scaled(dst, b, s),
                (_, Some(s)) => return self.scaled(dst, a, s),
                _ => {}
            }
            self.forms.insert(dst, Form::Product(a, b));
            return None;
        }
        if atom == atoms::ADD || atom == atoms::SUB {
            return self.sum(atom, dst, a, b);
        }
        if atom == atoms::DIV {
            return match (x, y) {
                (_, Some(Num::Literal(s))) if is_power_of_two(s) && (1.0 / s).is_normal() => {
                    self.scaled(dst, a, Num::Literal(1.0 / s))
                }
                (_, Some(s)) => scalar(dst, k.div_scalar, a, s),
                (Some(s), _) => scalar(dst, k.scalar_div, b, s),
                _ => None,
            };
        }
        let with_last: Option<lanes::Scaled> = match atom {
            // A few products, in its own kernel.
            a if a == atoms::POW && y.is_some_and(|n| vector::exponent(n).is_some()) => None,
            a if a == atoms::POW => Some(k.pow_scalar),
            a if a == atoms::MAX2 => Some(k.max_scalar),
            a if a == atoms::MIN2 => Some(k.min_scalar),
            _ => None,
        };
        match (with_last, y) {
            (Some(f), Some(s)) => scalar(dst, f, a, s),
            _ => None,
        }
    }

    /// Sums and differences; subtracting is adding the negative, bit for bit.
    fn sum(&mut self, atom: AtomRef, dst: Reg, a: Reg, b: Reg) -> Option<Instr> {
        let k = kernels();
        let minus = atom == atoms::SUB;
        let sign = |n: Num| if minus { n.negated() } else { n };
        let one = Num::Literal(1.0);
        if let Some(s) = self.number(b) {
            return match self.own(a) {
                Form::Scaled(x, t) => Some(affine(dst, x, t, sign(s))),
                Form::Product(p, q) if minus => three(atom, dst, k.mul_sub, p, q, b),
                Form::Product(p, q) => three(atom, dst, k.mul_add, p, q, b),
                _ => scalar(dst, k.add_scalar, a, sign(s)),
            };
        }
        if let Some(s) = self.number(a) {
            return match self.own(b) {
                Form::Scaled(x, t) => Some(affine(dst, x, sign(t), s)),
                Form::Product(p, q) if minus => three(atom, dst, k.sub_mul, p, q, a),
                Form::Product(p, q) => three(atom, dst, k.mul_add, p, q, a),
                _ if minus => scalar(dst, k.scalar_sub, b, s),
                _ => scalar(dst, k.add_scalar, b, s),
            };
        }
        match (self.own(a), self.own(b)) {
            (Form::Product(p, q), Form::Product(r, s)) => {
                let f = if minus { k.mul_mul_sub } else { k.mul_mul_add };
                Some(fused(dst, Fused::Four(f, [p, q, r, s])))
            }
            (Form::Product(p, q), _) => three(atom, dst, if minus { k.mul_sub } else { k.mul_add }, p, q, b),
            (_, Form::Product(p, q)) => three(atom, dst, if minus { k.sub_mul } else { k.mul_add }, p, q, a),
            (Form::Scaled(x, s), Form::Scaled(y, t)) => Some(fused(dst, Fused::Combination(x, s, y, sign(t)))),
            (Form::Scaled(x, s), _) => Some(fused(dst, Fused::Combination(x, s, b, sign(one)))),
            (_, Form::Scaled(y, t)) => Some(fused(dst, Fused::Combination(a, one, y, sign(t)))),
            _ => {
                if minus {
                    self.forms.insert(dst, Form::Difference(a, b));
                }
                None
            }
        }
    }
}

fn fused(dst: Reg, op: Fused) -> Instr {
    Instr::Fused { dst, op }
}
fn scalar(dst: Reg, f: lanes::Scaled, a: Reg, s: Num) -> Option<Instr> {
    Some(fused(dst, Fused::Scaled(f, a, s)))
}
fn affine(dst: Reg, a: Reg, s: Num, t: Num) -> Instr {
    fused(dst, Fused::Affine(a, s, t))
}
fn two(atom: AtomRef, dst: Reg, f: lanes::Binary, a: Reg, b: Reg) -> Option<Instr> {
    Some(Instr::Op2 { atom, f, dst, a, b })
}
fn three(atom: AtomRef, dst: Reg, f: lanes::Ternary, a: Reg, b: Reg, c: Reg) -> Option<Instr> {
    Some(Instr::Op3 { atom, f, dst, a, b, c })
}

/// Drops instructions whose results nobody reads. Loads stay: they check positions.
fn prune(levels: &mut [Level], l: usize) {
    let mut needed: HashSet<Reg> = handed_up(levels, l).into_iter().collect();
    let code = std::mem::take(&mut levels[l].code);
    let mut kept = vec![];
    for i in code.into_iter().rev() {
        let pure = matches!(
            i,
            Instr::Op1 { .. } | Instr::Op2 { .. } | Instr::Op3 { .. } | Instr::Fused { .. } | Instr::Repeat { .. }
        );
        if pure && results(&i).iter().all(|r| !needed.contains(r)) {
            continue;
        }
        needed.extend(operands(&i));
        if let Instr::Child { level, .. } = &i {
            needed.extend(handed_down(levels, *level));
        }
        kept.push(i);
    }
    kept.reverse();
    levels[l].code = kept;
}

/// Loads that only kernels of the same level read need no copy where the entries lie side by side.
fn see(level: &mut Level, elsewhere: &[Reg]) {
    let mut copied: HashSet<Reg> = elsewhere.iter().copied().collect();
    for i in &level.code {
        if !matches!(
            i,
            Instr::Op1 { .. } | Instr::Op2 { .. } | Instr::Op3 { .. } | Instr::Fused { .. } | Instr::Vector(_)
        ) {
            copied.extend(operands(i));
        }
    }
    for i in &mut level.code {
        if let Instr::Load { dst, slot, addr } = i
            && !copied.contains(dst)
        {
            *i = Instr::See {
                dst: *dst,
                slot: *slot,
                addr: addr.clone(),
            };
        }
    }
}

/// Gives registers anew, so that few are in use at a time. Numbers and slices keep theirs.
fn allocate(levels: &mut [Level], l: usize) {
    let mut last: HashMap<Reg, usize> = HashMap::new();
    let end = levels[l].code.len();
    for (at, i) in levels[l].code.iter().enumerate() {
        operands(i).into_iter().for_each(|r| {
            last.insert(r, at);
        });
        if let Instr::Child { level, .. } = i {
            handed_down(levels, *level).for_each(|r| {
                last.insert(r, at);
            });
        }
    }
    for r in handed_up(levels, l) {
        last.insert(r, end);
    }
    let mut map: HashMap<Reg, Reg> = HashMap::new();
    let mut next: Reg = 0;
    let mut fixed = |map: &mut HashMap<Reg, Reg>, r: Reg| {
        map.entry(r).or_insert_with(|| {
            next += 1;
            next - 1
        });
    };
    let level = &levels[l];
    level.constants.iter().for_each(|c| fixed(&mut map, c.0));
    level.uniforms.iter().for_each(|u| fixed(&mut map, u.0));
    for i in &level.code {
        if let Instr::See { dst, .. } = i {
            fixed(&mut map, *dst);
        }
    }
    let pinned = next;
    let mut free: Vec<Reg> = vec![];
    for (at, i) in level.code.iter().enumerate() {
        let results = results(i);
        for r in &results {
            map.entry(*r).or_insert_with(|| {
                free.pop().unwrap_or_else(|| {
                    next += 1;
                    next - 1
                })
            });
        }
        let mut ended: Vec<Reg> = operands(i);
        if let Instr::Child { level, .. } = i {
            ended.extend(handed_down(levels, *level));
        }
        ended.retain(|r| last.get(r) == Some(&at));
        ended.extend(results.iter().filter(|r| !last.contains_key(r)));
        ended.sort_unstable();
        ended.dedup();
        free.extend(ended.iter().filter_map(|r| map.get(r)).filter(|r| **r >= pinned));
    }
    let to = |r: Reg| map.get(&r).copied().unwrap_or(r);
    let level = &mut levels[l];
    level.regs = next as usize;
    level.constants.iter_mut().for_each(|c| c.0 = to(c.0));
    level.uniforms.iter_mut().for_each(|u| u.0 = to(u.0));
    let parent = level.parent;
    let mut children = vec![];
    for i in &mut level.code {
        rename(i, &to);
        if let Instr::Child { level, folds } = i {
            folds.iter_mut().for_each(|f| f.dst = to(f.dst));
            children.push(*level);
        }
    }
    for c in children {
        for i in &mut levels[c].code {
            if let Instr::Repeat { src, .. } = i {
                *src = to(*src);
            }
        }
    }
    if let Some(p) = parent {
        for i in &mut levels[p].code {
            if let Instr::Child { level, folds } = i
                && *level == l
            {
                folds.iter_mut().for_each(|f| f.body = to(f.body));
            }
        }
    }
}

/// Renames what an instruction reads and writes on its own level.
fn rename(i: &mut Instr, to: &impl Fn(Reg) -> Reg) {
    match i {
        Instr::Op1 { dst, a, .. } => (*dst, *a) = (to(*dst), to(*a)),
        Instr::Op2 { dst, a, b, .. } => (*dst, *a, *b) = (to(*dst), to(*a), to(*b)),
        Instr::Op3 { dst, a, b, c, .. } => (*dst, *a, *b, *c) = (to(*dst), to(*a), to(*b), to(*c)),
        Instr::Fused { dst, op } => {
            *dst = to(*dst);
            op.rename(to);
        }
        Instr::Vector(v) => v.rename(to),
        Instr::Load { dst, addr, .. } | Instr::See { dst, addr, .. } => {
            *dst = to(*dst);
            addr.computed.iter_mut().for_each(|c| c.0 = to(c.0));
        }
        Instr::ScatterAdd { src, addr, .. } => {
            *src = to(*src);
            addr.computed.iter_mut().for_each(|c| c.0 = to(c.0));
        }
        Instr::IndexValue { dst, .. } | Instr::Repeat { dst, .. } => *dst = to(*dst),
        Instr::Store { src, .. } | Instr::Total { src, .. } | Instr::Collect { src, .. } | Instr::Keep { src } => {
            *src = to(*src);
        }
        Instr::Child { .. } => {}
    }
}
