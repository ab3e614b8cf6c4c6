//! Machine code of a run: AVX2 instructions on four lanes, and the same on one lane for what is left.
//!
//! Invariant: touches the streams' first `n` lanes, the numbers and its own stack frame only.
//!
//! Values stay in the 16 vector registers; where they do not suffice, the one that is needed again last goes to the stack.
//! (Bélády, A study of replacement algorithms for a virtual-storage computer, 1966.)

use std::collections::HashMap;

use super::{Code, Operand, Vector, WIDTH};

/// Vector registers.
const REGISTERS: usize = 16;
/// Bytes of a vector register.
const BYTES: i32 = 32;

// General registers: the streams' addresses and the numbers as they are handed over, the current lane.
const STREAMS: u8 = 7;
const NUMBERS: u8 = 6;
const LANE: u8 = 1;
const STACK: u8 = 4;
/// For an address on the way.
const AWAY: u8 = 0;
/// Hold addresses of the first streams.
const HOLD: [u8; 10] = [8, 9, 10, 11, 3, 5, 12, 13, 14, 15];
/// Those of them that the caller wants back, in the order they are saved.
const SAVED: [u8; 6] = [3, 5, 12, 13, 14, 15];

// Opcodes, and the prefixes and maps that they stand behind.
const LOAD: u8 = 0x10;
const STORE: u8 = 0x11;
const CHOOSE: u8 = 0x4b;
const COMPARE: u8 = 0xc2;
const PD: u8 = 1;
const SD: u8 = 3;
const COMMON: u8 = 1;
const WITH_BYTE: u8 = 3;

/// Lanes an instruction works on.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Width {
    One,
    Four,
}

/// The last operand of an instruction.
#[derive(Clone, Copy)]
enum Rm {
    Register(u8),
    /// `[base + distance]`.
    At(u8, i32),
    /// `[base + 8 lane]`.
    Lane(u8),
}

struct Assembler<'a> {
    v: &'a Vector,
    code: &'a mut Vec<u8>,
    width: Width,
    /// What each vector register holds.
    held: [Option<Operand>; REGISTERS],
    /// Positions of the operations that read an operand, last first.
    reads: HashMap<Operand, Vec<usize>>,
    /// Place on the stack of a value that went there.
    away: HashMap<Operand, i32>,
    places: i32,
}

/// Appends the code of a run.
pub fn assemble(v: &Vector, code: &mut Vec<u8>) {
    // push what the caller wants back.
    for r in SAVED {
        if r >= 8 {
            code.push(0x41);
        }
        code.push(0x50 | r & 7);
    }
    // sub rsp, room
    code.extend([0x48, 0x81, 0xec]);
    let room = code.len();
    code.extend([0; 4]);
    for (k, r) in HOLD
        .iter()
        .enumerate()
        .take(v.reads.len() + v.outs.len() + v.writes.len())
    {
        load_address(code, *r, k);
    }
    // xor ecx, ecx
    code.extend([0x31, 0xc9]);
    let mut places = 0;
    for width in [Width::Four, Width::One] {
        let step = match width {
            Width::Four => WIDTH as u8,
            Width::One => 1,
        };
        // lea rax, [rcx + step]; cmp rax, rdx; ja past
        let top = code.len();
        code.extend([0x48, 0x8d, 0x41, step, 0x48, 0x39, 0xd0, 0x0f, 0x87]);
        let past = code.len();
        code.extend([0; 4]);
        let mut a = Assembler {
            v,
            code,
            width,
            held: [None; REGISTERS],
            reads: readers(v),
            away: Default::default(),
            places: 0,
        };
        a.body();
        places = places.max(a.places);
        // add rcx, step; jmp top
        code.extend([0x48, 0x83, 0xc1, step, 0xe9]);
        let back = top as i64 - (code.len() as i64 + 4);
        code.extend((back as i32).to_le_bytes());
        let forward = (code.len() - (past + 4)) as i32;
        code[past..past + 4].copy_from_slice(&forward.to_le_bytes());
    }
    let bytes = places * BYTES;
    code[room..room + 4].copy_from_slice(&bytes.to_le_bytes());
    // vzeroupper; add rsp, room; pop; ret
    code.extend([0xc5, 0xf8, 0x77, 0x48, 0x81, 0xc4]);
    code.extend(bytes.to_le_bytes());
    for r in SAVED.iter().rev() {
        if *r >= 8 {
            code.push(0x41);
        }
        code.push(0x58 | r & 7);
    }
    code.push(0xc3);
}

/// mov to, [rdi + 8 k]
fn load_address(code: &mut Vec<u8>, to: u8, k: usize) {
    code.extend([0x48 | (to >> 3) << 2, 0x8b, 0x80 | (to & 7) << 3 | STREAMS]);
    code.extend((8 * k as i32).to_le_bytes());
}

fn readers(v: &Vector) -> HashMap<Operand, Vec<usize>> {
    let mut all: HashMap<Operand, Vec<usize>> = Default::default();
    for (k, op) in v.ops.iter().enumerate().rev() {
        for f in &op.of[..op.code.operands()] {
            all.entry(*f).or_default().push(k);
        }
    }
    all
}

impl Assembler<'_> {
    /// An instruction with VEX prefix.
    fn vex(&mut self, map: u8, prefix: u8, op: u8, reg: u8, first: u8, rm: Rm) {
        let high = match rm {
            Rm::Register(r) | Rm::At(r, _) | Rm::Lane(r) => r >> 3,
        };
        let long = u8::from(self.width == Width::Four);
        self.code.extend([
            0xc4,
            (!(reg >> 3) & 1) << 7 | 1 << 6 | (!high & 1) << 5 | map,
            (!first & 15) << 3 | long << 2 | prefix,
            op,
        ]);
        let reg = (reg & 7) << 3;
        match rm {
            Rm::Register(r) => self.code.push(0xc0 | reg | r & 7),
            Rm::At(base, distance) => {
                self.code.push(0x80 | reg | base & 7);
                if base & 7 == STACK {
                    self.code.push(0x24);
                }
                self.code.extend(distance.to_le_bytes());
            }
            // One byte of distance, 0, since no base stands without one.
            Rm::Lane(base) => self.code.extend([0x44 | reg, 0xc0 | LANE << 3 | base & 7, 0]),
        }
    }
    /// Prefix of arithmetic on as many lanes.
    fn prefix(&self) -> u8 {
        match self.width {
            Width::One => SD,
            Width::Four => PD,
        }
    }

    fn stream(&mut self, k: usize) -> Rm {
        match HOLD.get(k) {
            Some(r) => Rm::Lane(*r),
            None => {
                load_address(self.code, AWAY, k);
                Rm::Lane(AWAY)
            }
        }
    }

    /// Where an operand lies in memory.
    fn memory(&mut self, f: Operand) -> Rm {
        match f {
            Operand::Read(k) => self.stream(k as usize),
            Operand::Number(k) => Rm::At(NUMBERS, i32::from(k) * BYTES),
            Operand::Value(_) => Rm::At(STACK, self.away.get(&f).copied().unwrap_or_default()),
        }
    }

    fn register(&self, f: Operand) -> Option<u8> {
        self.held.iter().position(|h| *h == Some(f)).map(|x| x as u8)
    }

    /// Position of the operation that reads it next.
    fn next(&self, f: Operand) -> usize {
        self.reads.get(&f).and_then(|r| r.last()).copied().unwrap_or(usize::MAX)
    }

    /// A register to write to, none of `but`.
    fn free(&mut self, but: &[Option<u8>]) -> u8 {
        let mut best = (0, 0);
        for x in 0..REGISTERS {
            if but.contains(&Some(x as u8)) {
                continue;
            }
            let Some(h) = self.held[x] else { return x as u8 };
            let next = self.next(h);
            if next == usize::MAX {
                self.held[x] = None;
                return x as u8;
            }
            // What lies in memory anyway goes before what has to be stored.
            let stored = !matches!(h, Operand::Value(_)) || self.away.contains_key(&h);
            let worth = next * 2 + usize::from(stored);
            if worth >= best.0 {
                best = (worth, x);
            }
        }
        let x = best.1;
        if let Some(h) = self.held[x].take()
            && matches!(h, Operand::Value(_))
            && !self.away.contains_key(&h)
        {
            let at = self.places * BYTES;
            self.places += 1;
            self.away.insert(h, at);
            self.vex(COMMON, self.prefix(), STORE, x as u8, 0, Rm::At(STACK, at));
        }
        x as u8
    }

    /// Has an operand in a register.
    fn hold(&mut self, f: Operand, but: &[Option<u8>]) -> u8 {
        if let Some(x) = self.register(f) {
            return x;
        }
        let x = self.free(but);
        let m = self.memory(f);
        self.vex(COMMON, self.prefix(), LOAD, x, 0, m);
        self.held[x as usize] = Some(f);
        x
    }

    /// The last operand where it is, if an instruction can read it there and it is not better held.
    fn last(&mut self, f: Operand, bitwise: bool, but: &[Option<u8>]) -> Rm {
        if let Some(x) = self.register(f) {
            return Rm::Register(x);
        }
        let again = self.reads.get(&f).is_some_and(|r| r.len() > 1);
        let whole = matches!(f, Operand::Number(_)) || self.width == Width::Four;
        if (bitwise && !whole) || (again && matches!(f, Operand::Read(_))) {
            return Rm::Register(self.hold(f, but));
        }
        self.memory(f)
    }

    fn body(&mut self) {
        let v = self.v;
        for (k, op) in v.ops.iter().enumerate() {
            let [mut a, mut b, c] = op.of;
            if op.code.commutes() && self.register(a).is_none() && self.register(b).is_some() {
                (a, b) = (b, a);
            }
            let bitwise = op.code.bitwise();
            let (first, last, third) = match op.code.operands() {
                1 => (None, self.last(a, true, &[]), None),
                2 => {
                    let x = self.hold(a, &[self.register(b)]);
                    (Some(x), self.last(b, bitwise, &[Some(x)]), None)
                }
                _ => {
                    // Chosen by the first: all three in registers.
                    let m = self.hold(a, &[self.register(b), self.register(c)]);
                    let yes = self.hold(b, &[Some(m), self.register(c)]);
                    let no = self.hold(c, &[Some(m), Some(yes)]);
                    (Some(no), Rm::Register(yes), Some(m))
                }
            };
            for f in &op.of[..op.code.operands()] {
                if let Some(r) = self.reads.get_mut(f)
                    && r.last() == Some(&k)
                {
                    r.pop();
                }
            }
            let value = Operand::Value(k as u16);
            let in_use = match last {
                Rm::Register(x) => Some(x),
                _ => None,
            };
            let to = self.target(&[first, in_use, third]);
            let first_or = |x: Option<u8>| x.unwrap_or(0);
            let p = self.prefix();
            match op.code {
                Code::Add => self.vex(COMMON, p, 0x58, to, first_or(first), last),
                Code::Mul => self.vex(COMMON, p, 0x59, to, first_or(first), last),
                Code::Sub => self.vex(COMMON, p, 0x5c, to, first_or(first), last),
                Code::Div => self.vex(COMMON, p, 0x5e, to, first_or(first), last),
                Code::Min => self.vex(COMMON, p, 0x5d, to, first_or(first), last),
                Code::Max => self.vex(COMMON, p, 0x5f, to, first_or(first), last),
                Code::And => self.vex(COMMON, PD, 0x54, to, first_or(first), last),
                Code::Or => self.vex(COMMON, PD, 0x56, to, first_or(first), last),
                Code::Xor => self.vex(COMMON, PD, 0x57, to, first_or(first), last),
                Code::Sqrt => {
                    let same = if self.width == Width::One { to } else { 0 };
                    self.vex(COMMON, p, 0x51, to, same, last);
                }
                Code::Round(towards) => {
                    let (op, same) = if self.width == Width::One {
                        (0x0b, to)
                    } else {
                        (0x09, 0)
                    };
                    self.vex(WITH_BYTE, PD, op, to, same, last);
                    self.code.push(towards as u8);
                }
                Code::Compare(how) => {
                    self.vex(COMMON, p, COMPARE, to, first_or(first), last);
                    self.code.push(how as u8);
                }
                Code::Choose => {
                    self.vex(WITH_BYTE, PD, CHOOSE, to, first_or(first), last);
                    self.code.push(first_or(third) << 4);
                }
            }
            self.held[to as usize] = Some(value);
            for (n, w) in v.written().enumerate() {
                if w == k {
                    let m = self.stream(v.reads.len() + n);
                    self.vex(COMMON, self.prefix(), STORE, to, 0, m);
                }
            }
        }
    }

    /// A register for a result: one of an operand that nobody reads again, or a free one.
    fn target(&mut self, operands: &[Option<u8>]) -> u8 {
        for x in operands.iter().flatten() {
            if self.held[*x as usize].is_none_or(|h| self.next(h) == usize::MAX) {
                return *x;
            }
        }
        self.free(operands)
    }
}
