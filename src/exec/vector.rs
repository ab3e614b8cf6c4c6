//! Runs of operations on lanes as one pass: machine code that keeps what is on the way in registers, on x86-64 with AVX2.
//!
//! Invariant: what it computes has the bits of the operations one after the other: each is rounded as the language's own, and
//! none is joined with another (NaNs may differ in their payload).
//!
//! Here is what a run is and which instructions become one; `assemble` writes its machine code.

#![allow(
    unsafe_code,
    reason = "runs code that this module wrote, on slices of the length it is called for"
)]

mod assemble;

use std::collections::{HashMap, HashSet};
use std::marker::PhantomData;
use std::sync::{Arc, OnceLock};

use memmap2::{Mmap, MmapMut};

use super::plan::{Instr, Level, Reg};
use super::tune::{self, Num};
use crate::atoms;
use crate::ir::AtomRef;

/// Most arrays and registers that a run reads and writes.
const STREAMS: usize = 48;
/// Most instructions of a run.
const MOST: usize = 100;
/// Lanes of one machine register.
const WIDTH: usize = 4;

/// Comparisons, by the processor's number: false where an operand is NaN, but for the last two.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Holds {
    Equal = 0x00,
    Less = 0x11,
    AtMost = 0x12,
    /// Or NaN.
    Unequal = 0x04,
    /// One of them is NaN.
    Unordered = 0x03,
}

/// Where a number is rounded to, by the processor's number.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Towards {
    Even = 0x08,
    Floor = 0x09,
    Ceil = 0x0a,
}

/// What an operation does with its operands `a`, `b`, `c`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Code {
    Add,
    Sub,
    Mul,
    Div,
    Sqrt,
    /// `a` where `a > b`, else `b`.
    Max,
    /// `a` where `a < b`, else `b`.
    Min,
    /// Of the bits.
    And,
    Or,
    Xor,
    /// All bits where it holds, else none.
    Compare(Holds),
    /// `b` where the bits of `a` are all set, `c` where none is.
    Choose,
    Round(Towards),
}

impl Code {
    fn operands(self) -> usize {
        match self {
            Code::Sqrt | Code::Round(_) => 1,
            Code::Choose => 3,
            _ => 2,
        }
    }
    fn commutes(self) -> bool {
        matches!(self, Code::Add | Code::Mul | Code::And | Code::Or | Code::Xor)
    }
    /// On bits, so that a machine register of one lane is read as a whole.
    fn bitwise(self) -> bool {
        matches!(self, Code::And | Code::Or | Code::Xor | Code::Choose)
    }
    fn apply(self, a: f64, b: f64, c: f64) -> f64 {
        let bits = |f: fn(u64, u64) -> u64| f64::from_bits(f(a.to_bits(), b.to_bits()));
        match self {
            Code::Add => a + b,
            Code::Sub => a - b,
            Code::Mul => a * b,
            Code::Div => a / b,
            Code::Sqrt => a.sqrt(),
            Code::Max => {
                if a > b {
                    a
                } else {
                    b
                }
            }
            Code::Min => {
                if a < b {
                    a
                } else {
                    b
                }
            }
            Code::And => bits(|a, b| a & b),
            Code::Or => bits(|a, b| a | b),
            Code::Xor => bits(|a, b| a ^ b),
            Code::Compare(how) => {
                let holds = match how {
                    Holds::Equal => a == b,
                    Holds::Less => a < b,
                    Holds::AtMost => a <= b,
                    Holds::Unequal => a != b,
                    Holds::Unordered => a.is_nan() || b.is_nan(),
                };
                f64::from_bits(if holds { u64::MAX } else { 0 })
            }
            Code::Choose => {
                if a.to_bits() != 0 {
                    b
                } else {
                    c
                }
            }
            Code::Round(Towards::Even) => a.round_ties_even(),
            Code::Round(Towards::Floor) => a.floor(),
            Code::Round(Towards::Ceil) => a.ceil(),
        }
    }
}

/// An operand.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
enum Operand {
    /// A stream that is read, by its number.
    Read(u16),
    /// A number that is the same for all lanes.
    Number(u16),
    /// The result of an operation.
    Value(u16),
}

#[derive(Clone, Copy, Debug)]
struct Op {
    code: Code,
    of: [Operand; 3],
}

/// Instructions on the lanes of a level that run as one.
#[derive(Clone, Debug, Default)]
pub struct Vector {
    ops: Vec<Op>,
    /// Its numbers; the executor keeps the values of a level side by side.
    pub numbers: Vec<Num>,
    /// Position of the first of them.
    pub first: usize,
    /// Registers it reads.
    pub reads: Vec<Reg>,
    /// Output arrays it writes, at the instances' own positions, in order; with the operation.
    pub outs: Vec<(usize, u16)>,
    /// Registers it writes after them, with the operation.
    pub writes: Vec<(Reg, u16)>,
    code: Option<Entry>,
}

/// Where its machine code begins.
#[derive(Clone, Debug)]
struct Entry {
    memory: Arc<Mmap>,
    at: usize,
}

/// A number as machine code reads it.
pub type Spread = [f64; WIDTH];

/// What a call reads and writes, in order.
pub struct Streams<'a> {
    at: [*mut f64; STREAMS],
    count: usize,
    n: usize,
    lent: PhantomData<&'a mut [f64]>,
}

impl<'a> Streams<'a> {
    /// For `n` lanes.
    pub fn new(n: usize) -> Streams<'a> {
        Streams {
            at: [std::ptr::null_mut(); STREAMS],
            count: 0,
            n,
            lent: PhantomData,
        }
    }
    /// The next one that is read.
    ///
    /// # Panics
    /// If it is too short.
    pub fn read(&mut self, from: &'a [f64]) {
        self.push(from.as_ptr().cast_mut(), from.len());
    }
    /// The next one that is written, after all that are read.
    ///
    /// # Panics
    /// If it is too short.
    pub fn write(&mut self, to: &'a mut [f64]) {
        self.push(to.as_mut_ptr(), to.len());
    }
    fn push(&mut self, at: *mut f64, len: usize) {
        assert!(len >= self.n, "a stream is too short");
        self.at[self.count] = at;
        self.count += 1;
    }
}

/// Can this processor and system run such code?
pub fn available() -> bool {
    static KNOWN: OnceLock<bool> = OnceLock::new();
    *KNOWN.get_or_init(|| {
        #[cfg(target_arch = "x86_64")]
        {
            is_x86_feature_detected!("avx2") && map(&[0xc3]).is_some()
        }
        #[cfg(not(target_arch = "x86_64"))]
        false
    })
}

fn map(code: &[u8]) -> Option<Arc<Mmap>> {
    let mut memory = MmapMut::map_anon(code.len()).ok()?;
    memory.copy_from_slice(code);
    memory.make_exec().ok().map(Arc::new)
}

impl Vector {
    /// Renames the registers it reads and writes.
    pub fn rename(&mut self, f: &impl Fn(Reg) -> Reg) {
        self.reads.iter_mut().for_each(|r| *r = f(*r));
        self.writes.iter_mut().for_each(|w| w.0 = f(w.0));
    }

    /// The operations whose results are written, in the order of the streams after those that are read.
    fn written(&self) -> impl Iterator<Item = usize> {
        let outs = self.outs.iter().map(|o| o.1);
        outs.chain(self.writes.iter().map(|w| w.1)).map(usize::from)
    }

    /// Runs it on streams, those read before those written, arrays before registers, and the values of its numbers.
    ///
    /// # Panics
    /// If streams or numbers are missing.
    pub fn run(&self, streams: Streams<'_>, numbers: &[Spread]) {
        assert!(
            streams.count == self.reads.len() + self.outs.len() + self.writes.len()
                && numbers.len() == self.numbers.len(),
            "streams are missing"
        );
        #[cfg(target_arch = "x86_64")]
        if let Some(entry) = &self.code {
            type Pass = extern "sysv64" fn(*const *mut f64, *const Spread, usize);
            // SAFETY: the code was assembled for this signature and processor, for as many streams and numbers; it touches
            // the first `n` lanes of slices that are lent to the streams, the written ones alone, and its own stack.
            let pass: Pass = unsafe { std::mem::transmute(entry.memory.as_ptr().add(entry.at)) };
            pass(streams.at.as_ptr(), numbers.as_ptr(), streams.n);
            return;
        }
        let mut values = [0.0; 8 * MOST];
        for lane in 0..streams.n {
            for (k, op) in self.ops.iter().enumerate() {
                let get = |f: Operand| match f {
                    // SAFETY: the slices lent have `n` lanes.
                    Operand::Read(i) => unsafe { *streams.at[i as usize].add(lane) },
                    Operand::Number(i) => numbers[i as usize][0],
                    Operand::Value(i) => values[i as usize],
                };
                values[k] = op.code.apply(get(op.of[0]), get(op.of[1]), get(op.of[2]));
            }
            for (value, to) in self.written().zip(&streams.at[self.reads.len()..]) {
                // SAFETY: as above.
                unsafe { *to.add(lane) = values[value] };
            }
        }
    }
}

/// Gives the runs of several levels their machine code, in one piece of memory.
pub fn assemble<'a>(levels: impl Iterator<Item = &'a mut Level>) {
    let mut code = vec![];
    let mut made: Vec<(&mut Vector, usize)> = vec![];
    for level in levels {
        for i in &mut level.code {
            if let Instr::Vector(v) = i {
                let at = code.len();
                assemble::assemble(v, &mut code);
                made.push((v, at));
            }
        }
    }
    if made.is_empty() {
        return;
    }
    if let Some(memory) = map(&code) {
        for (v, at) in made {
            let memory = memory.clone();
            v.code = Some(Entry { memory, at });
        }
    }
}

/// Turns runs of instructions of a level into one each. `uses` says how often each register is read, and loses those reads
/// that stay inside.
pub fn gather(level: &mut Level, uses: &mut HashMap<Reg, usize>) {
    let mut g = Gathering {
        numbers: tune::numbers(level),
        code: vec![],
        inside: vec![],
        made: HashSet::new(),
        later: vec![],
        uses,
    };
    for i in std::mem::take(&mut level.code) {
        g.instr(i);
    }
    g.close();
    level.code = g.code;
    let mut first = 0;
    for i in &mut level.code {
        if let Instr::Vector(v) = i {
            v.first = first;
            first += v.numbers.len();
        }
    }
}

struct Gathering<'a> {
    numbers: HashMap<Reg, Num>,
    code: Vec<Instr>,
    /// Instructions of the run that is being gathered.
    inside: Vec<Instr>,
    /// Their results.
    made: HashSet<Reg>,
    /// What only takes results away, and comes after the run.
    later: Vec<Instr>,
    uses: &'a mut HashMap<Reg, usize>,
}

impl Gathering<'_> {
    fn instr(&mut self, i: Instr) {
        let reads = tune::operands(&i);
        match &i {
            Instr::Op1 { atom, dst, .. } | Instr::Op2 { atom, dst, .. } | Instr::Op3 { atom, dst, .. }
                if Building::knows(*atom, &reads, &self.numbers) =>
            {
                if self.inside.len() == MOST {
                    self.close();
                }
                self.made.insert(*dst);
                self.inside.push(i);
            }
            Instr::Store { .. }
            | Instr::Total { .. }
            | Instr::Collect { .. }
            | Instr::Keep { .. }
            | Instr::ScatterAdd { .. }
                if !self.inside.is_empty() =>
            {
                self.later.push(i);
            }
            Instr::Child { .. } => {
                self.close();
                self.code.push(i);
            }
            _ => {
                if reads.iter().any(|r| self.made.contains(r)) {
                    self.close();
                }
                self.code.push(i);
            }
        }
    }

    fn close(&mut self) {
        let inside = std::mem::take(&mut self.inside);
        let mut later = std::mem::take(&mut self.later);
        self.made.clear();
        let built = (inside.len() > 1).then(|| self.build(&inside, &mut later)).flatten();
        match built {
            Some(v) => self.code.push(Instr::Vector(Box::new(v))),
            None => self.code.extend(inside),
        }
        self.code.append(&mut later);
    }

    /// The run, which takes over stores of its results; nothing if it reads and writes too much.
    fn build(&mut self, inside: &[Instr], later: &mut Vec<Instr>) -> Option<Vector> {
        let mut b = Building {
            numbers: &self.numbers,
            v: Vector::default(),
            made: HashMap::new(),
        };
        let mut read_inside: HashMap<Reg, usize> = HashMap::new();
        let mut results = vec![];
        for i in inside {
            let reads = tune::operands(i);
            let (Instr::Op1 { atom, dst, .. } | Instr::Op2 { atom, dst, .. } | Instr::Op3 { atom, dst, .. }) = i else {
                return None;
            };
            let of: Vec<Operand> = reads.iter().map(|r| b.operand(*r)).collect();
            let Operand::Value(value) = b.expand(*atom, &of)? else {
                return None;
            };
            reads.iter().for_each(|r| *read_inside.entry(*r).or_insert(0) += 1);
            b.made.insert(*dst, value);
            results.push((*dst, value));
        }
        let (mut outs, mut writes) = (vec![], vec![]);
        for i in later.iter() {
            if let Instr::Store { src, out } = i
                && let Some(value) = b.made.get(src)
            {
                *read_inside.entry(*src).or_insert(0) += 1;
                outs.push((*out, *value));
            }
        }
        let left = |r: &Reg| self.uses.get(r).copied().unwrap_or(0) - read_inside.get(r).copied().unwrap_or(0);
        for (dst, value) in results {
            if left(&dst) > 0 {
                writes.push((dst, value));
            }
        }
        if b.v.reads.len() + outs.len() + writes.len() > STREAMS || b.v.ops.len() > 8 * MOST {
            return None;
        }
        later.retain(|i| !matches!(i, Instr::Store { src, .. } if b.made.contains_key(src)));
        let mut v = b.v;
        outs.sort_unstable();
        (v.outs, v.writes) = (outs, writes);
        for (r, n) in read_inside {
            if let Some(u) = self.uses.get_mut(&r) {
                *u -= n;
            }
        }
        v.reads.iter().for_each(|r| *self.uses.entry(*r).or_insert(0) += 1);
        Some(v)
    }
}

/// A run while it is written.
struct Building<'a> {
    numbers: &'a HashMap<Reg, Num>,
    v: Vector,
    made: HashMap<Reg, u16>,
}

impl Building<'_> {
    /// Can the operation be part of a run?
    fn knows(atom: AtomRef, of: &[Reg], numbers: &HashMap<Reg, Num>) -> bool {
        const KNOWN: [AtomRef; 26] = [
            atoms::ADD,
            atoms::SUB,
            atoms::MUL,
            atoms::DIV,
            atoms::NEG,
            atoms::SQUARE,
            atoms::RECIP,
            atoms::SQRT,
            atoms::ABS,
            atoms::RELU,
            atoms::MAX2,
            atoms::MIN2,
            atoms::SIGN,
            atoms::FLOOR,
            atoms::CEIL,
            atoms::ROUND,
            atoms::LT,
            atoms::LE,
            atoms::GT,
            atoms::GE,
            atoms::EQ,
            atoms::NE,
            atoms::AND,
            atoms::OR,
            atoms::NOT,
            atoms::SELECT,
        ];
        KNOWN.contains(&atom) || atom == atoms::POW && numbers.get(&of[1]).is_some_and(|n| exponent(*n).is_some())
    }

    fn number(&mut self, n: Num) -> Operand {
        let same = |m: &Num| match (m, n) {
            (Num::Literal(a), Num::Literal(b)) => a.to_bits() == b.to_bits(),
            (a, b) => *a == b,
        };
        let at = self.v.numbers.iter().position(same).unwrap_or_else(|| {
            self.v.numbers.push(n);
            self.v.numbers.len() - 1
        });
        Operand::Number(at as u16)
    }
    fn bits(&mut self, bits: u64) -> Operand {
        self.number(Num::Literal(f64::from_bits(bits)))
    }
    fn operand(&mut self, r: Reg) -> Operand {
        if let Some(v) = self.made.get(&r) {
            return Operand::Value(*v);
        }
        if let Some(n) = self.numbers.get(&r) {
            return self.number(*n);
        }
        let at = self.v.reads.iter().position(|q| *q == r).unwrap_or_else(|| {
            self.v.reads.push(r);
            self.v.reads.len() - 1
        });
        Operand::Read(at as u16)
    }
    fn op(&mut self, code: Code, of: &[Operand]) -> Operand {
        let at = |k: usize| of.get(k).copied().unwrap_or(of[0]);
        self.v.ops.push(Op {
            code,
            of: [at(0), at(1), at(2)],
        });
        Operand::Value(self.v.ops.len() as u16 - 1)
    }
    /// 1 where it holds, else 0.
    fn truth(&mut self, how: Holds, a: Operand, b: Operand) -> Operand {
        let mask = self.op(Code::Compare(how), &[a, b]);
        let one = self.number(Num::Literal(1.0));
        self.op(Code::And, &[mask, one])
    }
    /// `a` where it is NaN, else `b`.
    fn unless_nan(&mut self, a: Operand, b: Operand) -> Operand {
        let mask = self.op(Code::Compare(Holds::Unordered), &[a, a]);
        self.op(Code::Choose, &[mask, a, b])
    }

    /// A row in operations, as its kernel in the lane table computes it.
    fn expand(&mut self, atom: AtomRef, of: &[Operand]) -> Option<Operand> {
        let (zero, one) = (Num::Literal(0.0), Num::Literal(1.0));
        let a = of[0];
        let b = of.get(1).copied().unwrap_or(a);
        Some(match atom {
            x if x == atoms::ADD => self.op(Code::Add, of),
            x if x == atoms::SUB => self.op(Code::Sub, of),
            x if x == atoms::MUL => self.op(Code::Mul, of),
            x if x == atoms::DIV => self.op(Code::Div, of),
            x if x == atoms::NEG => {
                let sign = self.bits(1 << 63);
                self.op(Code::Xor, &[a, sign])
            }
            x if x == atoms::ABS => {
                let size = self.bits(u64::MAX >> 1);
                self.op(Code::And, &[a, size])
            }
            x if x == atoms::SQUARE => self.op(Code::Mul, &[a, a]),
            x if x == atoms::RECIP => {
                let one = self.number(one);
                self.op(Code::Div, &[one, a])
            }
            x if x == atoms::SQRT => self.op(Code::Sqrt, of),
            x if x == atoms::MAX2 => {
                let m = self.op(Code::Max, of);
                self.unless_nan(a, m)
            }
            x if x == atoms::MIN2 => {
                let m = self.op(Code::Min, of);
                self.unless_nan(a, m)
            }
            x if x == atoms::RELU => {
                let zero = self.number(zero);
                let m = self.op(Code::Max, &[a, zero]);
                self.unless_nan(a, m)
            }
            x if x == atoms::SIGN => {
                let (zero, minus) = (self.number(zero), self.number(Num::Literal(-1.0)));
                let above = self.truth(Holds::Less, zero, a);
                let below = self.op(Code::Compare(Holds::Less), &[a, zero]);
                let below = self.op(Code::And, &[below, minus]);
                let sign = self.op(Code::Or, &[above, below]);
                self.unless_nan(a, sign)
            }
            x if x == atoms::FLOOR => self.op(Code::Round(Towards::Floor), of),
            x if x == atoms::CEIL => self.op(Code::Round(Towards::Ceil), of),
            x if x == atoms::ROUND => self.op(Code::Round(Towards::Even), of),
            x if x == atoms::LT => self.truth(Holds::Less, a, b),
            x if x == atoms::LE => self.truth(Holds::AtMost, a, b),
            x if x == atoms::GT => self.truth(Holds::Less, b, a),
            x if x == atoms::GE => self.truth(Holds::AtMost, b, a),
            x if x == atoms::EQ => self.truth(Holds::Equal, a, b),
            x if x == atoms::NE => self.truth(Holds::Unequal, a, b),
            x if x == atoms::NOT => {
                let zero = self.number(zero);
                self.truth(Holds::Equal, a, zero)
            }
            x if x == atoms::AND || x == atoms::OR => {
                let (zero, one) = (self.number(zero), self.number(one));
                let p = self.op(Code::Compare(Holds::Unequal), &[a, zero]);
                let q = self.op(Code::Compare(Holds::Unequal), &[b, zero]);
                let both = self.op(if atom == atoms::AND { Code::And } else { Code::Or }, &[p, q]);
                self.op(Code::And, &[both, one])
            }
            x if x == atoms::SELECT => {
                let zero = self.number(zero);
                let mask = self.op(Code::Compare(Holds::Unequal), &[a, zero]);
                self.op(Code::Choose, &[mask, of[1], of[2]])
            }
            x if x == atoms::POW => {
                let Operand::Number(n) = b else { return None };
                let n = exponent(self.v.numbers[n as usize])?;
                let mut y = a;
                for _ in 1..n.unsigned_abs() {
                    y = self.op(Code::Mul, &[y, a]);
                }
                if n < 0 {
                    let one = self.number(one);
                    y = self.op(Code::Div, &[one, y]);
                }
                y
            }
            _ => return None,
        })
    }
}

/// An exponent for which a power is a few products, as [`atoms::POW`]'s own kernel has them.
pub fn exponent(n: Num) -> Option<i32> {
    match n {
        Num::Literal(v) if v.fract() == 0.0 && (2.0..=8.0).contains(&v.abs()) => Some(v as i32),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Random runs on ordinary and odd numbers, wide enough that registers go to the stack: machine code against one
    /// operation after the other.
    #[test]
    fn machine_code_computes_what_the_operations_do() {
        if !available() {
            return;
        }
        const ATOMS: [(AtomRef, usize); 20] = [
            (atoms::ADD, 2),
            (atoms::SUB, 2),
            (atoms::MUL, 2),
            (atoms::DIV, 2),
            (atoms::NEG, 1),
            (atoms::ABS, 1),
            (atoms::SQUARE, 1),
            (atoms::RECIP, 1),
            (atoms::SQRT, 1),
            (atoms::MAX2, 2),
            (atoms::MIN2, 2),
            (atoms::RELU, 1),
            (atoms::SIGN, 1),
            (atoms::FLOOR, 1),
            (atoms::CEIL, 1),
            (atoms::ROUND, 1),
            (atoms::LE, 2),
            (atoms::NE, 2),
            (atoms::OR, 2),
            (atoms::SELECT, 3),
        ];
        const ODD: [f64; 9] = [
            0.0,
            -0.0,
            f64::NAN,
            f64::INFINITY,
            -f64::INFINITY,
            0.5,
            -1.5,
            1e300,
            5e-324,
        ];
        let mut state = 7u64;
        let mut next = |n: usize| {
            state = state
                .wrapping_mul(6364136223846793005)
                .wrapping_add(1442695040888963407);
            (state >> 33) as usize % n
        };
        let mut spilled = 0;
        for round in 0..300 {
            let streams = 1 + next(20);
            let numbers: HashMap<Reg, Num> = (100..104).map(|r| (r, Num::Literal(ODD[next(9)]))).collect();
            let mut b = Building {
                numbers: &numbers,
                v: Vector::default(),
                made: HashMap::new(),
            };
            for k in 0..1 + next(60) as Reg {
                let (atom, count) = ATOMS[next(ATOMS.len())];
                let of: Vec<Operand> = (0..count)
                    .map(|_| match next(4) {
                        0 => b.operand(next(streams) as Reg),
                        1 => b.operand(100 + next(4) as Reg),
                        _ if k > 0 => b.operand(200 + next(k as usize) as Reg),
                        _ => b.operand(0),
                    })
                    .collect();
                if let Some(Operand::Value(v)) = b.expand(atom, &of) {
                    b.made.insert(200 + k, v);
                }
            }
            let last = b.v.ops.len() as u16;
            let mut v = b.v;
            v.outs = (0..1 + next(STREAMS - v.reads.len() - 1))
                .map(|k| (k, next(last as usize) as u16))
                .collect();
            let mut code = vec![];
            assemble::assemble(&v, &mut code);
            // sub rsp, room follows the ten bytes that save registers.
            spilled += usize::from(code[13..17] != [0; 4]);
            let entry = map(&code).map(|memory| Entry { memory, at: 0 });
            for n in [1, 3, 4, 9] {
                let data: Vec<Vec<f64>> = v
                    .reads
                    .iter()
                    .map(|_| {
                        (0..n)
                            .map(|_| match next(3) {
                                0 => ODD[next(9)],
                                _ => next(2000) as f64 / 100.0 - 10.0,
                            })
                            .collect()
                    })
                    .collect();
                let values: Vec<Spread> = v
                    .numbers
                    .iter()
                    .map(|m| match m {
                        Num::Literal(v) => [*v; WIDTH],
                        Num::Root { .. } => [0.0; WIDTH],
                    })
                    .collect();
                let mut run = |code: Option<Entry>| {
                    v.code = code;
                    // One more, which must not be touched.
                    let mut out = vec![vec![77.0; n + 1]; v.outs.len()];
                    let mut s = Streams::new(n);
                    data.iter().for_each(|d| s.read(d));
                    out.iter_mut().for_each(|o| s.write(&mut o[..n]));
                    v.run(s, &values);
                    let canonical = |v: f64| if v.is_nan() { f64::NAN.to_bits() } else { v.to_bits() };
                    out.concat().into_iter().map(canonical).collect::<Vec<u64>>()
                };
                assert_eq!(run(None), run(entry.clone()), "round {round}, {n} lanes");
            }
        }
        assert!(spilled > 30, "{spilled} of 300 runs need the stack");
    }
}
