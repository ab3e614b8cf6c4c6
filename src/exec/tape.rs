//! Straight-line programs of numbers, for points of a few coordinates, where starting a block of lanes costs more than what it
//! computes.
//!
//! Invariant: a tape computes what the plan of the same nodes computes. Sums go through the tree of
//! [`ravine_linalg::reduce`] and a fused operation rounds after each of its parts, so that bits can differ only where a plan
//! adds several scattered arrays at once.

use std::collections::HashMap;
use std::sync::Arc;

use crate::atoms;
use crate::base::Tensor;
use crate::ir::atom::{Eval, Reduce};
use crate::ir::{AtomRef, DomainId, IndexId, InputId, Ir, Node, NodeId, Pos};

/// Most operations of a tape; what takes more is as fast in lanes.
const MOST: usize = 512;
/// Most values of one array, and most instances of one loop.
pub const WIDE: usize = 64;
/// Registers of a machine.
const REGISTERS: usize = 256;
/// Lanes of the tree that sums go through.
const TREE: usize = 16;

/// A value while a tape is written.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Val(u32);

/// What an operation does with its operands.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(super) enum Code {
    Add,
    Sub,
    Mul,
    Div,
    Neg,
    Square,
    Sqrt,
    Abs,
    /// `a b + c`.
    MulAdd,
    /// `a b - c`.
    MulSub,
    /// `c - a b`.
    SubMul,
    /// `a b + c d`.
    TwoMulAdd,
    /// `a b - c d`.
    TwoMulSub,
    /// `a` where `c` is not 0, else `b`.
    Select,
    /// Euclidean norm of a list whose plain sum of squares is `a`.
    Norm,
    /// A kernel of one, two or three operands, by its number.
    Lane,
    /// A reduction of a list.
    Reduce,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash)]
enum Made {
    Literal(u64),
    /// Set from outside.
    Free(usize),
    Op(Code, usize, Box<[Val]>),
}

/// One operation of a written tape: registers, and the number of a kernel or list.
#[derive(Clone, Copy, Debug)]
pub(super) struct Op {
    pub(super) code: Code,
    pub(super) to: u8,
    pub(super) of: [u8; 4],
    number: u16,
}

/// A scalar kernel.
#[derive(Clone, Copy)]
enum Kernel {
    One(fn(&mut [f64], &[f64])),
    Two(fn(&mut [f64], &[f64], &[f64])),
    Three(fn(&mut [f64], &[f64], &[f64], &[f64])),
}

impl Kernel {
    fn call(self, v: [f64; 3]) -> f64 {
        let mut d = [0.0];
        match self {
            Kernel::One(f) => f(&mut d, &v[..1]),
            Kernel::Two(f) => f(&mut d, &v[..1], &v[1..2]),
            Kernel::Three(f) => f(&mut d, &v[..1], &v[1..2], &v[2..]),
        }
        d[0]
    }
}

/// Writes a tape.
#[derive(Default)]
pub struct Writer {
    made: Vec<Made>,
    known: HashMap<Made, Val>,
    free: usize,
    kernels: Vec<(AtomRef, Kernel)>,
    reductions: Vec<(AtomRef, Reduce)>,
    operations: usize,
}

/// Values of an array, row by row, with its shape.
#[derive(Clone)]
struct Array {
    shape: Vec<usize>,
    values: Vec<Val>,
}

/// Nodes of one IR as they are unrolled.
struct Unrolling<'a, 'r> {
    ir: &'a Ir,
    read: &'r dyn Fn(InputId) -> Option<Vec<Source>>,
    arrays: HashMap<NodeId, Array>,
    /// By node and the positions of the indices around it.
    numbers: HashMap<(NodeId, Vec<usize>), Val>,
}

/// Where an entry of an input comes from.
#[derive(Clone, Copy)]
pub enum Source {
    /// A value of the tape.
    Of(Val),
    /// A number that does not change while the tape is used.
    Fixed(f64),
}

impl Source {
    /// The entries of a bound parameter, if it is small.
    pub fn fixed(t: &Arc<Tensor>) -> Option<Vec<Source>> {
        let d = t.as_dense().filter(|d| d.len() <= WIDE)?;
        Some(d.iter().map(|v| Source::Fixed(*v)).collect())
    }
}

impl Writer {
    /// A value that is set before each run.
    pub fn free(&mut self) -> Val {
        self.free += 1;
        self.keep(Made::Free(self.free - 1))
    }

    /// A number.
    pub fn literal(&mut self, v: f64) -> Val {
        self.keep(Made::Literal(v.to_bits()))
    }

    /// `a` where `c` is not 0, else `b`.
    pub fn select(&mut self, c: Val, a: Val, b: Val) -> Val {
        if a == b {
            a
        } else {
            self.op(Code::Select, 0, &[a, b, c])
        }
    }

    fn keep(&mut self, m: Made) -> Val {
        if let Some(v) = self.known.get(&m) {
            return *v;
        }
        let v = Val(self.made.len() as u32);
        self.operations += usize::from(matches!(m, Made::Op(..)));
        self.made.push(m.clone());
        self.known.insert(m, v);
        v
    }

    fn number(&self, v: Val) -> Option<f64> {
        match self.made[v.0 as usize] {
            Made::Literal(b) => Some(f64::from_bits(b)),
            _ => None,
        }
    }

    /// An operation, done at once where all its operands are numbers.
    fn op(&mut self, code: Code, number: usize, of: &[Val]) -> Val {
        let fixed: Option<Vec<f64>> = of.iter().map(|v| self.number(*v)).collect();
        let done = match (code, fixed.as_deref()) {
            (Code::Add, Some([a, b])) => Some(a + b),
            (Code::Sub, Some([a, b])) => Some(a - b),
            (Code::Mul, Some([a, b])) => Some(a * b),
            (Code::Div, Some([a, b])) => Some(a / b),
            (Code::Neg, Some([a])) => Some(-a),
            (Code::Square, Some([a])) => Some(a * a),
            (Code::Sqrt, Some([a])) => Some(a.sqrt()),
            (Code::Abs, Some([a])) => Some(a.abs()),
            (Code::Select, Some([a, b, c])) => Some(if *c != 0.0 { *a } else { *b }),
            (Code::Lane, Some(v)) => {
                let at = |k: usize| v.get(k).copied().unwrap_or(0.0);
                Some(self.kernels[number].1.call([at(0), at(1), at(2)]))
            }
            _ => None,
        };
        match done {
            Some(v) => self.literal(v),
            None => self.keep(Made::Op(code, number, of.into())),
        }
    }

    /// The nodes' entries, unrolled; `read` says what stands behind an input. Nothing if that takes too much, or knows a node
    /// that has no scalar code.
    pub fn unroll(
        &mut self,
        ir: &Ir,
        nodes: &[NodeId],
        read: &dyn Fn(InputId) -> Option<Vec<Source>>,
    ) -> Option<Vec<Vec<Val>>> {
        let mut u = Unrolling {
            ir,
            read,
            arrays: HashMap::new(),
            numbers: HashMap::new(),
        };
        nodes.iter().map(|n| u.array(self, *n).map(|a| a.values)).collect()
    }

    fn apply(&mut self, atom: AtomRef, args: &[Val]) -> Option<Val> {
        let simple = [
            (atoms::ADD, Code::Add),
            (atoms::SUB, Code::Sub),
            (atoms::MUL, Code::Mul),
            (atoms::DIV, Code::Div),
            (atoms::NEG, Code::Neg),
            (atoms::SQUARE, Code::Square),
            (atoms::SQRT, Code::Sqrt),
            (atoms::ABS, Code::Abs),
        ];
        if let Some((_, code)) = simple.iter().find(|s| s.0 == atom) {
            return Some(self.op(*code, 0, args));
        }
        let kernel = match atom.eval {
            Eval::Lane1(f) => Kernel::One(f),
            Eval::Lane2(f) => Kernel::Two(f),
            Eval::Lane3(f) => Kernel::Three(f),
            Eval::Reduce(_) | Eval::Array(_) => return None,
        };
        let known = self.kernels.iter().position(|k| k.0 == atom);
        let number = known.unwrap_or_else(|| {
            self.kernels.push((atom, kernel));
            self.kernels.len() - 1
        });
        Some(self.op(Code::Lane, number, args))
    }

    /// The sum of values, in the order of [`ravine_linalg::reduce::sum`].
    fn sum(&mut self, values: &[Val]) -> Val {
        let mut lanes: Vec<Option<Val>> = vec![None; TREE];
        let join = |w: &mut Writer, a: Option<Val>, b: Option<Val>| match (a, b) {
            (Some(a), Some(b)) => Some(w.op(Code::Add, 0, &[a, b])),
            (a, b) => a.or(b),
        };
        for (k, v) in values.iter().enumerate() {
            lanes[k % TREE] = join(self, lanes[k % TREE], Some(*v));
        }
        let mut half = TREE / 2;
        while half > 0 {
            for l in 0..half {
                lanes[l] = join(self, lanes[l], lanes[l + half]);
            }
            half /= 2;
        }
        match lanes[0] {
            Some(v) => v,
            None => self.literal(0.0),
        }
    }

    fn reduce(&mut self, atom: AtomRef, values: &[Val]) -> Option<Val> {
        let squares = |w: &mut Writer| {
            let s: Vec<Val> = values.iter().map(|v| w.op(Code::Mul, 0, &[*v, *v])).collect();
            w.sum(&s)
        };
        if atom == atoms::SUM {
            return Some(self.sum(values));
        }
        if atom == atoms::SUMSQ {
            return Some(squares(self));
        }
        let Eval::Reduce(reduce) = atom.eval else { return None };
        let known = self.reductions.iter().position(|k| k.0 == atom);
        let number = known.unwrap_or_else(|| {
            self.reductions.push((atom, reduce));
            self.reductions.len() - 1
        });
        if atom == atoms::NORM && !values.is_empty() {
            let mut of = vec![squares(self)];
            of.extend(values);
            return Some(self.op(Code::Norm, number, &of));
        }
        Some(self.op(Code::Reduce, number, values))
    }

    /// The tape that computes the values asked for.
    pub fn finish(mut self, wanted: &[Val]) -> Option<Tape> {
        self.fuse(wanted);
        Allocation::new(&self, wanted)?.write(&self)
    }

    /// Joins products with the one sum that reads them.
    fn fuse(&mut self, wanted: &[Val]) {
        let n = self.made.len();
        let mut uses = vec![0u32; n];
        wanted.iter().for_each(|v| uses[v.0 as usize] += 1);
        for m in &self.made {
            if let Made::Op(_, _, of) = m {
                of.iter().for_each(|v| uses[v.0 as usize] += 1);
            }
        }
        for k in 0..n {
            let Made::Op(code @ (Code::Add | Code::Sub), _, of) = &self.made[k] else {
                continue;
            };
            let (code, a, b) = (*code, of[0], of[1]);
            let factors = |v: Val| match &self.made[v.0 as usize] {
                Made::Op(Code::Mul, _, f) if uses[v.0 as usize] == 1 => Some((f[0], f[1])),
                Made::Op(Code::Square, _, f) if uses[v.0 as usize] == 1 => Some((f[0], f[0])),
                _ => None,
            };
            let (new, of): (Code, Box<[Val]>) = match (code, factors(a), factors(b)) {
                (Code::Add, Some((p, q)), Some((r, s))) => (Code::TwoMulAdd, Box::new([p, q, r, s])),
                (Code::Sub, Some((p, q)), Some((r, s))) => (Code::TwoMulSub, Box::new([p, q, r, s])),
                (Code::Add, Some((p, q)), None) => (Code::MulAdd, Box::new([p, q, b])),
                (Code::Add, None, Some((p, q))) => (Code::MulAdd, Box::new([p, q, a])),
                (Code::Sub, Some((p, q)), None) => (Code::MulSub, Box::new([p, q, b])),
                (Code::Sub, None, Some((p, q))) => (Code::SubMul, Box::new([p, q, a])),
                _ => continue,
            };
            self.made[k] = Made::Op(new, 0, of);
        }
    }
}

impl Unrolling<'_, '_> {
    /// A node at the root: an array, or a number as an array of one.
    fn array(&mut self, w: &mut Writer, n: NodeId) -> Option<Array> {
        if let Some(a) = self.arrays.get(&n) {
            return Some(a.clone());
        }
        let ir = self.ir;
        let shape = ir.shape(n).to_vec();
        let len: usize = shape.iter().product();
        if len > WIDE || w.operations > MOST {
            return None;
        }
        let values = match ir.node(n) {
            Node::Input(i) => {
                let entries = match &ir.input(*i).kind {
                    crate::ir::InputKind::Data(t) => Source::fixed(t),
                    _ => (self.read)(*i),
                }?;
                entries
                    .into_iter()
                    .map(|s| match s {
                        Source::Of(v) => v,
                        Source::Fixed(v) => w.literal(v),
                    })
                    .collect()
            }
            Node::Map { domain, body } => {
                let mut values = vec![];
                for at in self.instances(*domain)? {
                    values.push(self.number(w, *body, &at)?);
                }
                values
            }
            Node::Scatter { domain, at, body, .. } => {
                let mut values: Vec<Option<Val>> = vec![None; len];
                for here in self.instances(*domain)? {
                    let to = self.place(w, &shape, at, &here)?;
                    let v = self.number(w, *body, &here)?;
                    values[to] = Some(match values[to] {
                        Some(u) => w.op(Code::Add, 0, &[u, v]),
                        None => v,
                    });
                }
                values
                    .into_iter()
                    .map(|v| v.unwrap_or_else(|| w.literal(0.0)))
                    .collect()
            }
            Node::Apply { atom, args } if matches!(atom.eval, Eval::Array(_)) => self.whole(w, *atom, args, len)?,
            _ => vec![self.number(w, n, &[])?],
        };
        if values.len() != len {
            return None;
        }
        let a = Array { shape, values };
        self.arrays.insert(n, a.clone());
        Some(a)
    }

    /// Array atoms that have scalar code.
    fn whole(&mut self, w: &mut Writer, atom: AtomRef, args: &[NodeId], len: usize) -> Option<Vec<Val>> {
        let mut arrays = vec![];
        for a in args {
            arrays.push(self.array(w, *a)?);
        }
        let pairwise = |w: &mut Writer, code| {
            let pairs = arrays[0].values.iter().zip(&arrays[1].values);
            pairs.map(|(a, b)| w.op(code, 0, &[*a, *b])).collect()
        };
        let times = |w: &mut Writer, row: &[Val], x: &[Val]| {
            let p: Vec<Val> = row.iter().zip(x).map(|(a, b)| w.op(Code::Mul, 0, &[*a, *b])).collect();
            w.sum(&p)
        };
        Some(if atom == atoms::ARRAY_ADD {
            pairwise(w, Code::Add)
        } else if atom == atoms::ARRAY_SUB {
            pairwise(w, Code::Sub)
        } else if atom == atoms::TRANSPOSE {
            let (m, n) = (arrays[0].shape[0], arrays[0].shape[1]);
            (0..len).map(|k| arrays[0].values[k % m * n + k / m]).collect()
        } else if atom == atoms::MATMUL && arrays[1].shape.len() == 1 && arrays[0].shape.len() == 2 {
            let n = arrays[1].values.len().max(1);
            let x = arrays[1].values.clone();
            arrays[0].values.chunks(n).map(|row| times(w, row, &x)).collect()
        } else if atom == atoms::QUAD {
            let x = arrays[0].values.clone();
            let px: Vec<Val> = arrays[1]
                .values
                .chunks(x.len().max(1))
                .map(|row| times(w, row, &x))
                .collect();
            vec![times(w, &x, &px)]
        } else {
            return None;
        })
    }

    /// The positions of the indices of a domain and those around it, instance by instance.
    fn instances(&self, d: DomainId) -> Option<Vec<Vec<usize>>> {
        let mut all = vec![vec![]];
        for d in self.ir.chain(d) {
            if self.ir.domain(d).filter.is_some() {
                return None;
            }
            all = self.below(d, all)?;
        }
        Some(all)
    }

    fn below(&self, d: DomainId, mut all: Vec<Vec<usize>>) -> Option<Vec<Vec<usize>>> {
        for n in self.ir.domain_shape(d) {
            if all.len().saturating_mul(n) > WIDE {
                return None;
            }
            all = all
                .into_iter()
                .flat_map(|p| (0..n).map(move |k| p.iter().copied().chain([k]).collect()))
                .collect();
        }
        Some(all)
    }

    fn position(&self, region: DomainId, i: IndexId, at: &[usize]) -> Option<usize> {
        let mut k = 0;
        for d in self.ir.chain(region) {
            for j in &self.ir.domain(d).indices {
                if *j == i {
                    return at.get(k).copied();
                }
                k += 1;
            }
        }
        None
    }

    /// The flat position of an entry.
    fn place(&mut self, w: &mut Writer, shape: &[usize], at: &[Pos], here: &[usize]) -> Option<usize> {
        let mut flat = 0;
        for (n, p) in shape.iter().zip(at) {
            let k = match p {
                Pos::Affine { terms, offset } => {
                    let mut k = *offset;
                    for (i, c) in terms {
                        k += c * self.position(self.ir.index(*i).domain, *i, here)? as i64;
                    }
                    k
                }
                Pos::Node(n) => {
                    let v = self.number(w, *n, here)?;
                    let v = w.number(v)?;
                    if v.fract() != 0.0 {
                        return None;
                    }
                    v as i64
                }
            };
            if k < 0 || k >= *n as i64 {
                return None;
            }
            flat = flat * n + k as usize;
        }
        Some(flat)
    }

    /// A scalar node at one instance of its region, given the positions of that region's indices or of a deeper one's.
    fn number(&mut self, w: &mut Writer, n: NodeId, here: &[usize]) -> Option<Val> {
        let ir = self.ir;
        let region = ir.region(n);
        let depth: usize = ir.chain(region).iter().map(|d| ir.domain(*d).indices.len()).sum();
        let here = here.get(..depth)?;
        let key = (n, here.to_vec());
        if let Some(v) = self.numbers.get(&key) {
            return Some(*v);
        }
        if w.operations > MOST {
            return None;
        }
        let v = match ir.node(n) {
            Node::Const(b) => w.literal(f64::from_bits(*b)),
            Node::Index(i) => {
                let k = self.position(region, *i, here)?;
                w.literal((ir.index(*i).set.lo() + k as i64) as f64)
            }
            Node::Gather { array, at } => {
                let a = self.array(w, *array)?;
                let k = self.place(w, &a.shape, at, here)?;
                a.values[k]
            }
            Node::Apply { atom, args } if !matches!(atom.eval, Eval::Array(_)) => {
                let mut of = vec![];
                for a in args.iter() {
                    of.push(self.number(w, *a, here)?);
                }
                w.apply(*atom, &of)?
            }
            Node::Fold { atom, domain, body } => {
                if ir.domain(*domain).filter.is_some() {
                    return None;
                }
                let mut values = vec![];
                for at in self.below(*domain, vec![here.to_vec()])? {
                    values.push(self.number(w, *body, &at)?);
                }
                w.reduce(*atom, &values)?
            }
            _ => *self.array(w, n)?.values.first()?,
        };
        self.numbers.insert(key, v);
        Some(v)
    }
}

/// Registers of the values that are needed.
struct Allocation {
    /// By value.
    register: Vec<Option<u8>>,
    /// Operations in order, with the registers of their results.
    order: Vec<(usize, u8)>,
}

impl Allocation {
    fn new(w: &Writer, wanted: &[Val]) -> Option<Allocation> {
        let n = w.made.len();
        let mut last = vec![None; n];
        for v in wanted {
            last[v.0 as usize] = Some(usize::MAX);
        }
        for k in (0..n).rev() {
            if last[k].is_none() {
                continue;
            }
            if let Made::Op(_, _, of) = &w.made[k] {
                for v in of {
                    last[v.0 as usize].get_or_insert(k);
                }
            }
        }
        // What is set from outside, and numbers, stay where they are.
        let mut register: Vec<Option<u8>> = vec![None; n];
        let mut spare: Vec<u8> = (0..REGISTERS).rev().map(|k| k as u8).collect();
        for (k, m) in w.made.iter().enumerate() {
            if matches!(m, Made::Free(_)) || (matches!(m, Made::Literal(_)) && last[k].is_some()) {
                register[k] = Some(spare.pop()?);
            }
        }
        let mut order = vec![];
        for (k, m) in w.made.iter().enumerate() {
            let (Made::Op(_, _, of), Some(_)) = (m, last[k]) else {
                continue;
            };
            let to = spare.pop()?;
            register[k] = Some(to);
            order.push((k, to));
            let mut done: Vec<Val> = of.to_vec();
            done.sort_by_key(|v| v.0);
            done.dedup();
            for v in done {
                let j = v.0 as usize;
                if last[j] == Some(k) && matches!(w.made[j], Made::Op(..)) {
                    spare.extend(register[j]);
                }
            }
        }
        Some(Allocation { register, order })
    }

    fn write(self, w: &Writer) -> Option<Tape> {
        let at = |v: &Val| self.register[v.0 as usize];
        let mut tape = Tape {
            code: vec![],
            literals: vec![],
            free: vec![],
            lists: vec![],
            kernels: w.kernels.iter().map(|k| k.1).collect(),
            reductions: w.reductions.iter().map(|k| k.1).collect(),
            register: vec![],
        };
        for (k, m) in w.made.iter().enumerate() {
            match m {
                Made::Literal(b) => tape.literals.extend(self.register[k].map(|r| (r, f64::from_bits(*b)))),
                Made::Free(_) => tape.free.push(self.register[k]?),
                Made::Op(..) => {}
            }
        }
        for &(k, to) in &self.order {
            let Made::Op(code, number, of) = &w.made[k] else {
                continue;
            };
            let mut op = Op {
                code: *code,
                to,
                of: [0; 4],
                number: *number as u16,
            };
            let listed = match code {
                Code::Reduce => Some(&of[..]),
                Code::Norm => Some(&of[1..]),
                _ => None,
            };
            match listed {
                Some(values) => {
                    op.number = tape.lists.len() as u16;
                    let registers: Option<Vec<u8>> = values.iter().map(at).collect();
                    tape.lists.push((*number, registers?));
                    if *code == Code::Norm {
                        op.of[0] = at(&of[0])?;
                    }
                }
                None => {
                    for (o, v) in op.of.iter_mut().zip(of) {
                        *o = at(v)?;
                    }
                }
            }
            tape.code.push(op);
        }
        tape.register = self.register;
        Some(tape)
    }
}

/// Registers of a tape.
pub type File = Box<[f64; REGISTERS]>;

/// A straight-line program.
#[derive(Clone)]
pub struct Tape {
    code: Vec<Op>,
    literals: Vec<(u8, f64)>,
    free: Vec<u8>,
    lists: Vec<(usize, Vec<u8>)>,
    kernels: Vec<Kernel>,
    reductions: Vec<Reduce>,
    register: Vec<Option<u8>>,
}

impl Tape {
    /// Registers with the tape's numbers in place.
    pub fn file(&self) -> File {
        let mut r = Box::new([0.0; REGISTERS]);
        for (k, v) in &self.literals {
            r[*k as usize] = *v;
        }
        r
    }

    /// The register of a value: one that is set from outside, or one that was asked for.
    pub fn register(&self, v: Val) -> Option<u8> {
        self.register.get(v.0 as usize).copied().flatten()
    }

    /// Operations.
    pub fn len(&self) -> usize {
        self.code.len()
    }

    /// Does it compute nothing?
    pub fn is_empty(&self) -> bool {
        self.code.is_empty()
    }

    /// The operations.
    pub(super) fn code(&self) -> &[Op] {
        &self.code
    }

    /// Runs it once.
    #[inline]
    pub fn run(&self, r: &mut [f64; REGISTERS]) {
        for op in &self.code {
            self.operation(op, r);
        }
    }

    /// Runs one operation.
    pub(super) fn one(&self, k: usize, r: &mut [f64; REGISTERS]) {
        if let Some(op) = self.code.get(k) {
            self.operation(op, r);
        }
    }

    #[inline(always)]
    fn operation(&self, op: &Op, r: &mut [f64; REGISTERS]) {
        let [a, b, c, d] = op.of;
        let (a, b, c, d) = (usize::from(a), usize::from(b), usize::from(c), usize::from(d));
        let v = match op.code {
            Code::Add => r[a] + r[b],
            Code::Sub => r[a] - r[b],
            Code::Mul => r[a] * r[b],
            Code::MulAdd => r[a] * r[b] + r[c],
            Code::MulSub => r[a] * r[b] - r[c],
            Code::SubMul => r[c] - r[a] * r[b],
            Code::TwoMulAdd => r[a] * r[b] + r[c] * r[d],
            Code::TwoMulSub => r[a] * r[b] - r[c] * r[d],
            Code::Div => r[a] / r[b],
            Code::Neg => -r[a],
            Code::Square => r[a] * r[a],
            Code::Sqrt => r[a].sqrt(),
            Code::Abs => r[a].abs(),
            Code::Select if r[c] != 0.0 => r[a],
            Code::Select => r[b],
            Code::Norm if atoms::PLAIN_SQUARES.contains(&r[a]) => r[a].sqrt(),
            Code::Norm if r[a] == 0.0 && self.zeros(op.number, r) => 0.0,
            Code::Norm | Code::Reduce => self.reduced(op.number, r),
            Code::Lane => self.kernels[usize::from(op.number)].call([r[a], r[b], r[c]]),
        };
        r[usize::from(op.to)] = v;
    }

    /// Is everything in a list zero, as the move of a point that stands still?
    fn zeros(&self, list: u16, r: &[f64; REGISTERS]) -> bool {
        let mut all = true;
        for k in &self.lists[usize::from(list)].1 {
            all &= r[usize::from(*k)] == 0.0;
        }
        all
    }

    /// What is not at hand as plain operations.
    #[cold]
    fn reduced(&self, list: u16, r: &[f64; REGISTERS]) -> f64 {
        let (number, from) = &self.lists[usize::from(list)];
        let mut values = [0.0; WIDE];
        for (v, k) in values.iter_mut().zip(from) {
            *v = r[usize::from(*k)];
        }
        let values = &values[..from.len()];
        let f = &self.reductions[*number];
        let part = if values.is_empty() { f.empty } else { (f.block)(values) };
        (f.finish)(part, values.len())
    }
}
