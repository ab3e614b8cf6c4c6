//! A tape and the loop of steps around it as machine code, on x86-64.
//!
//! Invariant: what it computes has the bits of the tape run operation by operation: scalar SSE2 instructions round as the
//! language's own, and every operation without one calls the tape's.
//!
//! Every result is stored in the file of registers, so that a call finds its operands there, and stays in a machine register
//! for what reads it next.

#![allow(
    unsafe_code,
    reason = "runs code that this module wrote, on a file of registers of the length it was written for"
)]

use std::sync::Arc;

use memmap2::{Mmap, MmapMut};

use super::tape::{Code, File, Op, Tape};
use crate::atoms;

/// What surrounds the tape in a loop of steps, as registers of its file.
#[derive(Clone, Debug, Default)]
pub struct Around {
    /// Counts steps: one more before each.
    pub step: u8,
    /// Has to be below `most`.
    pub size: u8,
    /// See `size`.
    pub most: f64,
    /// Have to be finite.
    pub finite: Vec<u8>,
    /// Have to be at least 0.
    pub positive: Vec<u8>,
    /// Have to be 0.
    pub zero: Vec<u8>,
    /// End the loop after a step where one is not 0.
    pub stops: Vec<u8>,
    /// Copies after a step, to and from, in this order.
    pub moves: Vec<(u8, u8)>,
}

/// How a loop ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Ended {
    /// All steps were taken.
    All,
    /// One of `stops` holds after the last step taken.
    Stopped,
    /// The next step breaks a condition; nothing of it was moved.
    Odd,
}

impl Around {
    /// Up to `n` steps, operation by operation; says how many were taken.
    pub fn run(&self, tape: &Tape, file: &mut File, n: u64) -> (u64, Ended) {
        let r = &mut **file;
        let at = |r: &[f64], k: &u8| r[usize::from(*k)];
        for k in 0..n {
            r[usize::from(self.step)] += 1.0;
            tape.run(r);
            let mut ordinary = at(r, &self.size) < self.most;
            ordinary &= self.finite.iter().all(|i| at(r, i).is_finite());
            ordinary &= self.positive.iter().all(|i| at(r, i) >= 0.0);
            ordinary &= self.zero.iter().all(|i| at(r, i) == 0.0);
            if !ordinary {
                return (k, Ended::Odd);
            }
            let stop = self.stops.iter().any(|i| at(r, i) != 0.0);
            for (to, from) in &self.moves {
                r[usize::from(*to)] = at(r, from);
            }
            if stop {
                return (k + 1, Ended::Stopped);
            }
        }
        (n, Ended::All)
    }
}

/// Machine code of a loop.
#[derive(Clone)]
pub struct Native {
    code: Arc<Mmap>,
}

impl Native {
    /// The loop's machine code; nothing where the processor or the system does not take it.
    pub fn new(tape: &Tape, around: &Around) -> Option<Native> {
        if !cfg!(all(target_arch = "x86_64", target_endian = "little")) {
            return None;
        }
        let code = Assembler::default().assemble(tape, around);
        let mut memory = MmapMut::map_anon(code.len()).ok()?;
        memory.copy_from_slice(&code);
        Some(Native {
            code: Arc::new(memory.make_exec().ok()?),
        })
    }

    /// As [`Around::run`], for the tape and the surroundings it was made from.
    pub fn run(&self, tape: &Tape, file: &mut File, n: u64) -> (u64, Ended) {
        #[cfg(target_arch = "x86_64")]
        {
            type Loop = extern "sysv64" fn(*mut f64, *const Tape, u64) -> u64;
            // SAFETY: the code was assembled for this signature; it touches the file, whose 256 registers are all that a byte
            // can name, and its own stack, and hands the tape on to `one`.
            let run: Loop = unsafe { std::mem::transmute(self.code.as_ptr()) };
            let r = run(file.as_mut_ptr(), tape, n);
            let ended = match r & 3 {
                0 => Ended::All,
                1 => Ended::Stopped,
                _ => Ended::Odd,
            };
            (r >> 2, ended)
        }
        #[cfg(not(target_arch = "x86_64"))]
        {
            let _ = (tape, file, n);
            (0, Ended::Odd)
        }
    }
}

/// One operation of a tape.
#[cfg(target_arch = "x86_64")]
extern "sysv64" fn one(tape: *const Tape, file: *mut f64, k: u64) {
    // SAFETY: called by code that was handed both by `Native::run`, for an operation of that tape.
    let (tape, file) = unsafe { (&*tape, &mut *file.cast()) };
    tape.one(k as usize, file);
}

#[cfg(not(target_arch = "x86_64"))]
fn one() {}

/// An operand: a machine register, or a register of the file.
#[derive(Clone, Copy)]
enum Rm {
    X(u8),
    M(u8),
}

/// Machine registers that values stay in; the two below are for what an operation needs on the way.
const HELD: std::ops::Range<u8> = 2..16;
/// Prefix of instructions on one number.
const SD: Option<u8> = Some(0xf2);
/// Prefix of instructions on bits.
const PD: Option<u8> = Some(0x66);

const LOAD: u8 = 0x10;
const STORE: u8 = 0x11;
const COPY: u8 = 0x28;
const COMPARE: u8 = 0x2e;
const SQRT: u8 = 0x51;
const AND: u8 = 0x54;
const AND_NOT: u8 = 0x55;
const OR: u8 = 0x56;
const XOR: u8 = 0x57;
const ADD: u8 = 0x58;
const MUL: u8 = 0x59;
const SUB: u8 = 0x5c;
const DIV: u8 = 0x5e;
const MASK: u8 = 0xc2;

/// Jumps where a comparison found: below or not comparable, at most or not comparable, not equal, not comparable, not 0.
const BELOW: u8 = 0x82;
const AT_MOST: u8 = 0x86;
const UNEQUAL: u8 = 0x85;
const UNORDERED: u8 = 0x8a;

#[derive(Default)]
struct Assembler {
    code: Vec<u8>,
    /// What each machine register holds, and when it was last used.
    held: [(Option<u8>, usize); 16],
    clock: usize,
    /// Jumps to where a step is left: positions of their distances.
    odd: Vec<usize>,
    /// Calls out of line: distance of the jump to it, where it comes back, its operation, what is held.
    calls: Vec<(Vec<usize>, usize, usize, [(Option<u8>, usize); 16])>,
}

impl Assembler {
    fn bytes(&mut self, b: &[u8]) {
        self.code.extend_from_slice(b);
    }

    /// An SSE2 instruction.
    fn sse(&mut self, prefix: Option<u8>, op: u8, reg: u8, rm: Rm) {
        self.code.extend(prefix);
        let high = match rm {
            Rm::X(k) => k >> 3,
            Rm::M(_) => 0,
        };
        let rex = 0x40 | (reg >> 3) << 2 | high;
        if rex != 0x40 {
            self.code.push(rex);
        }
        self.bytes(&[0x0f, op]);
        match rm {
            Rm::X(k) => self.code.push(0xc0 | (reg & 7) << 3 | k & 7),
            // The file stands at rbx.
            Rm::M(k) => {
                self.code.push(0x83 | (reg & 7) << 3);
                self.bytes(&(i32::from(k) * 8).to_le_bytes());
            }
        }
    }

    /// Where a register of the file can be read.
    fn at(&mut self, k: u8) -> Rm {
        self.clock += 1;
        match HELD.clone().find(|x| self.held[usize::from(*x)].0 == Some(k)) {
            Some(x) => {
                self.held[usize::from(x)].1 = self.clock;
                Rm::X(x)
            }
            None => Rm::M(k),
        }
    }

    fn load(&mut self, x: u8, k: u8) {
        match self.at(k) {
            Rm::X(y) => self.sse(None, COPY, x, Rm::X(y)),
            m => self.sse(SD, LOAD, x, m),
        }
    }

    /// `x ∘= k` for a register of the file.
    fn with(&mut self, op: u8, x: u8, k: u8) {
        let rm = self.at(k);
        self.sse(SD, op, x, rm);
    }

    /// Any number, through rax.
    fn literal(&mut self, x: u8, bits: u64) {
        self.bytes(&[0x48, 0xb8]);
        self.bytes(&bits.to_le_bytes());
        // movq x, rax
        self.bytes(&[0x66, 0x48 | (x >> 3) << 2, 0x0f, 0x6e, 0xc0 | (x & 7) << 3]);
    }

    /// The machine register that was not used for the longest time.
    fn fresh(&self, but: &[u8]) -> u8 {
        let free = HELD
            .clone()
            .filter(|x| self.held[usize::from(*x)].0.is_none_or(|k| !but.contains(&k)));
        free.min_by_key(|x| self.held[usize::from(*x)].1).unwrap_or(HELD.start)
    }

    /// The result of an operation: kept, and stored.
    fn keep(&mut self, x: u8, to: u8) {
        for h in &mut self.held {
            if h.0 == Some(to) {
                h.0 = None;
            }
        }
        self.clock += 1;
        self.held[usize::from(x)] = (Some(to), self.clock);
        self.sse(SD, STORE, x, Rm::M(to));
    }

    /// A jump whose distance is not known yet.
    fn jump(&mut self, condition: u8) -> usize {
        self.bytes(&[0x0f, condition, 0, 0, 0, 0]);
        self.code.len() - 4
    }

    fn land(&mut self, from: usize, to: usize) {
        let distance = to as i64 - (from as i64 + 4);
        self.code[from..from + 4].copy_from_slice(&(distance as i32).to_le_bytes());
    }

    fn leave(&mut self, condition: u8) {
        let j = self.jump(condition);
        self.odd.push(j);
    }

    /// Has the tape do an operation.
    fn call(&mut self, k: usize) {
        // mov rdi, r12; mov rsi, rbx; mov rdx, k; mov rax, one; call rax
        self.bytes(&[0x4c, 0x89, 0xe7, 0x48, 0x89, 0xde, 0x48, 0xba]);
        self.bytes(&(k as u64).to_le_bytes());
        self.bytes(&[0x48, 0xb8]);
        self.bytes(&(one as *const () as usize as u64).to_le_bytes());
        self.bytes(&[0xff, 0xd0]);
    }

    fn operation(&mut self, k: usize, op: &Op) {
        let [a, b, c, d] = op.of;
        let x = self.fresh(&op.of);
        match op.code {
            Code::Add | Code::Sub | Code::Mul | Code::Div => {
                self.load(x, a);
                let code = match op.code {
                    Code::Add => ADD,
                    Code::Sub => SUB,
                    Code::Mul => MUL,
                    _ => DIV,
                };
                self.with(code, x, b);
            }
            Code::MulAdd | Code::MulSub => {
                self.load(x, a);
                self.with(MUL, x, b);
                self.with(if op.code == Code::MulAdd { ADD } else { SUB }, x, c);
            }
            Code::SubMul => {
                self.load(0, a);
                self.with(MUL, 0, b);
                self.load(x, c);
                self.sse(SD, SUB, x, Rm::X(0));
            }
            Code::TwoMulAdd | Code::TwoMulSub => {
                self.load(x, a);
                self.with(MUL, x, b);
                self.load(0, c);
                self.with(MUL, 0, d);
                let code = if op.code == Code::TwoMulAdd { ADD } else { SUB };
                self.sse(SD, code, x, Rm::X(0));
            }
            Code::Neg | Code::Abs => {
                let sign = 1u64 << 63;
                let (code, bits) = if op.code == Code::Neg {
                    (XOR, sign)
                } else {
                    (AND, !sign)
                };
                self.literal(0, bits);
                self.load(x, a);
                self.sse(PD, code, x, Rm::X(0));
            }
            Code::Square => {
                self.load(x, a);
                self.sse(SD, MUL, x, Rm::X(x));
            }
            Code::Sqrt => {
                self.load(x, a);
                self.sse(SD, SQRT, x, Rm::X(x));
            }
            Code::Select => {
                // All bits of 0 where c is not 0, then a within it or b outside.
                self.load(0, c);
                self.sse(PD, XOR, 1, Rm::X(1));
                self.sse(SD, MASK, 0, Rm::X(1));
                self.code.push(4);
                self.load(x, a);
                self.sse(PD, AND, x, Rm::X(0));
                self.load(1, b);
                self.sse(PD, AND_NOT, 0, Rm::X(1));
                self.sse(PD, OR, x, Rm::X(0));
            }
            Code::Norm => {
                let (least, most) = (atoms::PLAIN_SQUARES.start(), atoms::PLAIN_SQUARES.end());
                self.load(x, a);
                self.literal(0, least.to_bits());
                self.literal(1, most.to_bits());
                self.sse(PD, COMPARE, x, Rm::X(0));
                let below = self.jump(BELOW);
                self.sse(PD, COMPARE, 1, Rm::X(x));
                let above = self.jump(BELOW);
                self.sse(SD, SQRT, x, Rm::X(x));
                self.keep(x, op.to);
                let back = self.code.len();
                self.calls.push((vec![below, above], back, k, self.held));
                return;
            }
            Code::Lane | Code::Reduce => {
                self.call(k);
                self.held = Default::default();
                return;
            }
        }
        self.keep(x, op.to);
    }

    fn assemble(mut self, tape: &Tape, around: &Around) -> Vec<u8> {
        // push rbx, r12, r13, r14; sub rsp, 8; mov rbx, rdi; mov r12, rsi; mov r14, rdx; xor r13d, r13d
        self.bytes(&[0x53, 0x41, 0x54, 0x41, 0x55, 0x41, 0x56, 0x48, 0x83, 0xec, 0x08]);
        self.bytes(&[0x48, 0x89, 0xfb, 0x49, 0x89, 0xf4, 0x49, 0x89, 0xd6, 0x45, 0x31, 0xed]);
        // xor eax, eax; test r14, r14; jz the end
        self.bytes(&[0x31, 0xc0, 0x4d, 0x85, 0xf6]);
        let nothing = self.jump(0x84);
        let top = self.code.len();
        self.literal(0, 1f64.to_bits());
        self.sse(SD, ADD, 0, Rm::M(around.step));
        self.sse(SD, STORE, 0, Rm::M(around.step));
        for (k, op) in tape.code().iter().enumerate() {
            self.operation(k, op);
        }
        self.literal(0, around.most.to_bits());
        let size = self.at(around.size);
        self.sse(PD, COMPARE, 0, size);
        self.leave(AT_MOST);
        // v − v is 0 where v is finite, and no number elsewhere.
        self.sse(PD, XOR, 0, Rm::X(0));
        for k in &around.finite {
            self.load(1, *k);
            self.sse(SD, SUB, 1, Rm::X(1));
            self.sse(SD, ADD, 0, Rm::X(1));
        }
        self.sse(PD, COMPARE, 0, Rm::X(0));
        self.leave(UNORDERED);
        for k in &around.positive {
            self.load(1, *k);
            self.sse(PD, COMPARE, 1, Rm::X(0));
            self.leave(BELOW);
        }
        for k in &around.zero {
            self.load(1, *k);
            self.sse(PD, COMPARE, 1, Rm::X(0));
            self.leave(UNEQUAL);
            self.leave(UNORDERED);
        }
        // Bits are set in 0 where one of them is not 0, or no number.
        let zero = self.fresh(&[]);
        if !around.stops.is_empty() {
            self.held[usize::from(zero)] = (None, usize::MAX);
            self.sse(PD, XOR, zero, Rm::X(zero));
        }
        for k in &around.stops {
            self.load(1, *k);
            self.sse(SD, MASK, 1, Rm::X(zero));
            self.code.push(4);
            self.sse(PD, OR, 0, Rm::X(1));
        }
        for (to, from) in &around.moves {
            let x = match self.at(*from) {
                Rm::X(x) => x,
                Rm::M(k) => {
                    self.sse(SD, LOAD, 1, Rm::M(k));
                    1
                }
            };
            self.sse(SD, STORE, x, Rm::M(*to));
            for h in &mut self.held {
                if h.0 == Some(*to) {
                    h.0 = None;
                }
            }
        }
        // add r13, 1
        self.bytes(&[0x49, 0x83, 0xc5, 0x01]);
        let mut stopped = None;
        if !around.stops.is_empty() {
            // movq rax, xmm0; test rax, rax
            self.bytes(&[0x66, 0x48, 0x0f, 0x7e, 0xc0, 0x48, 0x85, 0xc0]);
            stopped = Some(self.jump(UNEQUAL));
        }
        // cmp r13, r14
        self.bytes(&[0x4d, 0x39, 0xf5]);
        let again = self.jump(BELOW);
        self.land(again, top);
        // mov rax, r13; shl rax, 2; and what is added for how it ended
        let end = |s: &mut Assembler, how: u8| {
            s.bytes(&[0x4c, 0x89, 0xe8, 0x48, 0xc1, 0xe0, 0x02, 0x48, 0x83, 0xc0, how]);
        };
        end(&mut self, 0);
        let out = self.code.len();
        self.land(nothing, out);
        // add rsp, 8; pop r14, r13, r12, rbx; ret
        self.bytes(&[0x48, 0x83, 0xc4, 0x08, 0x41, 0x5e, 0x41, 0x5d, 0x41, 0x5c, 0x5b, 0xc3]);
        if let Some(j) = stopped {
            let here = self.code.len();
            self.land(j, here);
            end(&mut self, 1);
            self.back(out);
        }
        let here = self.code.len();
        for j in std::mem::take(&mut self.odd) {
            self.land(j, here);
        }
        end(&mut self, 2);
        self.back(out);
        for (jumps, back, k, held) in std::mem::take(&mut self.calls) {
            let here = self.code.len();
            jumps.into_iter().for_each(|j| self.land(j, here));
            self.call(k);
            for x in HELD {
                if let Some(r) = held[usize::from(x)].0 {
                    self.sse(SD, LOAD, x, Rm::M(r));
                }
            }
            self.back(back);
        }
        self.code
    }

    fn back(&mut self, to: usize) {
        self.bytes(&[0xe9, 0, 0, 0, 0]);
        let from = self.code.len() - 4;
        self.land(from, to);
    }
}
