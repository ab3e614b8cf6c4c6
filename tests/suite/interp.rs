//! A second evaluator of the IR, written for clarity: one instance at a time, every array dense.
//!
//! Invariant: shares nothing with `exec` but the rows' kernels, which it calls on one lane or one block; with
//! [`tangent`] it is the oracle for plans, passes and derivative rules.
#![allow(
    dead_code,
    clippy::expect_used,
    clippy::panic,
    reason = "an oracle for several tests; a fault in it is a failing test"
)]

use std::cell::RefCell;
use std::collections::{BTreeMap, HashMap};

use ravine::atoms;
use ravine::base::value::Storage;
use ravine::ir::atom::{ArrayData, ArrayOut, ArrayRef, Derivative, Eval};
use ravine::ir::{DomainId, IndexId, InputId, InputKind, Ir, Node, NodeId, Pos};

/// A dense array; a number has no dimension.
#[derive(Clone, Debug, PartialEq)]
pub struct Array {
    pub shape: Vec<usize>,
    pub data: Vec<f64>,
}

impl Array {
    pub fn number(v: f64) -> Self {
        Array {
            shape: vec![],
            data: vec![v],
        }
    }
    pub fn new(shape: &[usize], data: Vec<f64>) -> Self {
        assert_eq!(shape.iter().product::<usize>(), data.len(), "entries of {shape:?}");
        Array {
            shape: shape.to_vec(),
            data,
        }
    }
    pub fn as_ref(&self) -> ArrayRef<'_> {
        ArrayRef {
            shape: &self.shape,
            data: ArrayData::Dense(&self.data),
            transposed: false,
        }
    }
    /// Result of an array kernel.
    pub fn from_out(shape: &[usize], out: ArrayOut) -> Self {
        Array::new(
            shape,
            match out {
                ArrayOut::Dense(d) => d,
                ArrayOut::Sparse(s) => s.to_dense().data,
                ArrayOut::Solved(d, _) => d,
            },
        )
    }
}

/// Values of bound indices: positions from 0.
type Env = BTreeMap<IndexId, usize>;

/// The evaluator: an IR and values of its inputs (embedded data need none).
pub struct Interp<'a> {
    ir: &'a Ir,
    inputs: &'a BTreeMap<InputId, Array>,
    memo: RefCell<HashMap<(NodeId, Vec<usize>), Array>>,
}

/// The value of a root node.
pub fn eval(ir: &Ir, inputs: &BTreeMap<InputId, Array>, node: NodeId) -> Array {
    Interp::new(ir, inputs).at(node, &Env::new())
}

impl<'a> Interp<'a> {
    pub fn new(ir: &'a Ir, inputs: &'a BTreeMap<InputId, Array>) -> Self {
        Interp {
            ir,
            inputs,
            memo: RefCell::default(),
        }
    }

    /// The value of a node of any region, for bound indices `env`.
    pub fn at(&self, n: NodeId, env: &Env) -> Array {
        let mut key = vec![];
        for d in self.ir.chain(self.ir.region(n)) {
            key.extend(self.ir.domain(d).indices.iter().map(|i| env[i]));
        }
        let key = (n, key);
        if let Some(v) = self.memo.borrow().get(&key) {
            return v.clone();
        }
        let v = self.compute(n, env);
        assert_eq!(v.shape, self.ir.shape(n), "shape of node {n:?} {:?}", self.ir.node(n));
        self.memo.borrow_mut().insert(key, v.clone());
        v
    }

    fn scalar(&self, n: NodeId, env: &Env) -> f64 {
        self.at(n, env).data[0]
    }

    fn position(&self, p: &Pos, env: &Env) -> usize {
        let at = match p {
            Pos::Affine { terms, offset } => terms.iter().fold(*offset, |s, (i, k)| s + k * env[i] as i64),
            Pos::Node(n) => self.scalar(*n, env) as i64,
        };
        usize::try_from(at).expect("a position is not negative")
    }

    fn flat(&self, shape: &[usize], at: &[Pos], env: &Env) -> usize {
        at.iter().zip(shape).fold(0, |s, (p, n)| {
            let k = self.position(p, env);
            assert!(k < *n, "position {k} outside 0..{n}");
            s * n + k
        })
    }

    /// Instances of a domain for one instance of its parent.
    fn instances(&self, d: DomainId, env: &Env) -> Vec<Env> {
        let domain = self.ir.domain(d);
        let mut all = vec![env.clone()];
        for i in &domain.indices {
            let n = self.ir.index(*i).set.len();
            all = all
                .into_iter()
                .flat_map(|e| {
                    (0..n).map(move |k| {
                        let mut e = e.clone();
                        e.insert(*i, k);
                        e
                    })
                })
                .collect();
        }
        if let Some(f) = domain.filter {
            all.retain(|e| self.scalar(f, e) != 0.0);
        }
        all
    }

    fn compute(&self, n: NodeId, env: &Env) -> Array {
        match self.ir.node(n) {
            Node::Const(b) => Array::number(f64::from_bits(*b)),
            Node::Input(i) => match &self.ir.input(*i).kind {
                InputKind::Data(t) => Array::new(
                    &t.shape(),
                    match &t.storage {
                        Storage::Dense(d) => d.clone(),
                        Storage::Sparse(s) => s.to_dense().data,
                    },
                ),
                _ => self.inputs[i].clone(),
            },
            Node::Index(i) => Array::number((self.ir.index(*i).set.lo() + env[i] as i64) as f64),
            Node::Apply { atom, args } => {
                let values: Vec<Array> = args.iter().map(|a| self.at(*a, env)).collect();
                match atom.eval {
                    Eval::Array(f) => {
                        let refs: Vec<ArrayRef<'_>> = values.iter().map(Array::as_ref).collect();
                        let out = f(&refs).unwrap_or_else(|e| panic!("{}: {}", atom.name, e.what));
                        Array::from_out(self.ir.shape(n), out)
                    }
                    _ => {
                        let x: Vec<f64> = values.iter().map(|v| v.data[0]).collect();
                        Array::number(lane(atom.eval, &x))
                    }
                }
            }
            Node::Gather { array, at } => {
                let a = self.at(*array, env);
                Array::number(a.data[self.flat(&a.shape, at, env)])
            }
            Node::Fold { atom, domain, body } => {
                let values: Vec<f64> = self
                    .instances(*domain, env)
                    .iter()
                    .map(|e| self.scalar(*body, e))
                    .collect();
                Array::number(reduce(atom.eval, &values))
            }
            Node::Map { domain, body } => {
                let data = self
                    .instances(*domain, env)
                    .iter()
                    .map(|e| self.scalar(*body, e))
                    .collect();
                Array::new(self.ir.shape(n), data)
            }
            Node::Scatter {
                domain,
                shape,
                at,
                body,
            } => {
                let mut data = vec![0.0; shape.iter().product()];
                let mut envs = vec![Env::new()];
                for d in self.ir.chain(*domain) {
                    envs = envs.iter().flat_map(|e| self.instances(d, e)).collect();
                }
                for e in &envs {
                    data[self.flat(shape, at, e)] += self.scalar(*body, e);
                }
                Array::new(shape, data)
            }
        }
    }
}

/// A lane kernel on one lane.
pub fn lane(eval: Eval, x: &[f64]) -> f64 {
    let mut y = [f64::NAN];
    match (eval, x) {
        (Eval::Lane1(f), [a]) => f(&mut y, &[*a]),
        (Eval::Lane2(f), [a, b]) => f(&mut y, &[*a], &[*b]),
        (Eval::Lane3(f), [a, b, c]) => f(&mut y, &[*a], &[*b], &[*c]),
        _ => panic!("a scalar kernel with {} arguments", x.len()),
    }
    y[0]
}

/// A reduction on one block.
pub fn reduce(eval: Eval, v: &[f64]) -> f64 {
    let Eval::Reduce(r) = eval else {
        panic!("not a reduction")
    };
    let p = if v.is_empty() { r.empty } else { (r.block)(v) };
    (r.finish)(p, v.len())
}

/// The tangent of `node` along the given tangents of inputs, by the rows' derivative columns; `None` for zero.
///
/// Forward mode without any cleverness; atoms without derivative panic.
pub fn tangent(ir: &mut Ir, seeds: &BTreeMap<InputId, NodeId>, node: NodeId) -> Option<NodeId> {
    Forward {
        seeds,
        done: HashMap::new(),
    }
    .of(ir, node)
}

struct Forward<'a> {
    seeds: &'a BTreeMap<InputId, NodeId>,
    done: HashMap<NodeId, Option<NodeId>>,
}

impl Forward<'_> {
    fn of(&mut self, ir: &mut Ir, n: NodeId) -> Option<NodeId> {
        if let Some(t) = self.done.get(&n) {
            return *t;
        }
        let t = match ir.node(n).clone() {
            Node::Const(_) | Node::Index(_) => None,
            Node::Input(i) => self.seeds.get(&i).copied(),
            Node::Apply { atom, args } => {
                let tangents: Vec<Option<NodeId>> = args.iter().map(|a| self.of(ir, *a)).collect();
                if tangents.iter().all(Option::is_none) {
                    None
                } else {
                    match atom.derivative {
                        Derivative::Partials(f) => {
                            let partials = f(ir, &args, n);
                            assert_eq!(partials.len(), args.len(), "partials of {}", atom.name);
                            let mut sum = None;
                            for (p, t) in partials.into_iter().zip(tangents) {
                                if let Some(t) = t {
                                    let term = ir.apply(atoms::MUL, &[p, t]);
                                    sum = Some(match sum {
                                        Some(s) => ir.apply(atoms::ADD, &[s, term]),
                                        None => term,
                                    });
                                }
                            }
                            sum
                        }
                        Derivative::Rule { jvp, .. } => jvp(ir, &args, &tangents, n),
                        Derivative::Zero => None,
                        Derivative::Slope(_) => panic!("{} reduces", atom.name),
                        Derivative::None(why) => panic!("{} has no derivative: {why}", atom.name),
                    }
                }
            }
            Node::Gather { array, at } => self.of(ir, array).map(|t| ir.gather(t, at.into_vec())),
            Node::Fold { atom, domain, body } => self.of(ir, body).and_then(|t| match atom.derivative {
                Derivative::Slope(f) => {
                    let slope = f(ir, domain, body, n);
                    let term = ir.apply(atoms::MUL, &[slope, t]);
                    Some(ir.fold(atoms::SUM, domain, term))
                }
                Derivative::Zero => None,
                _ => panic!("{} has no slope", atom.name),
            }),
            Node::Map { domain, body } => self.of(ir, body).map(|t| ir.map(domain, t)),
            Node::Scatter {
                domain,
                shape,
                at,
                body,
            } => self
                .of(ir, body)
                .map(|t| ir.scatter(domain, shape.to_vec(), at.into_vec(), t)),
        };
        self.done.insert(n, t);
        t
    }
}
