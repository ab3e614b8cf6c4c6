//! The slope of a function as the imaginary part of its value at `x + i·h`: an oracle that no rule of differentiation took part in.
//!
//! Invariant: what is not analytic, or too long to evaluate one instance at a time, has no answer, never a doubtful one.
//!
//! Source: W. Squire, G. Trapp, SIAM Review 40, 1998. Nothing is subtracted, so `h` may be too small to matter.

use std::collections::BTreeMap;
use std::sync::Arc;

use crate::atoms;
use crate::base::Tensor;
use crate::base::value::Storage;
use crate::forms::rows::Columns;
use crate::ir::atom::{ArrayData, ArrayOut, ArrayRef, Complex, Derivative, Eval};
use crate::ir::{DomainId, InputId, InputKind, Ir, Node, NodeId, Pos};

/// The step; its square is lost against 1.
const STEP: f64 = 1e-100;
/// Values of single nodes, over all coordinates that are looked at, beyond which differences have to do.
const WORK: usize = 30_000_000;
/// Nodes beyond which differences have to do.
const NODES: usize = 20_000;

type C = (f64, f64);

/// Real and imaginary part; none where it is 0 throughout.
#[derive(Clone)]
struct Array {
    shape: Vec<usize>,
    re: Arc<Storage>,
    im: Option<Arc<Storage>>,
}

/// A function to evaluate at complex points.
pub struct ComplexStep<'a> {
    ir: &'a Ir,
    root: NodeId,
    /// Nodes at the root, in order.
    top: Vec<NodeId>,
    /// For a fold or map: its filter, what that needs of its domain, and what its body needs.
    inside: BTreeMap<NodeId, Inside>,
    inputs: BTreeMap<InputId, Arc<Tensor>>,
    arrays: Vec<Option<Array>>,
    numbers: Vec<C>,
    positions: Vec<i64>,
    work: usize,
}

#[derive(Clone)]
struct Inside {
    filter: Option<(NodeId, Vec<NodeId>)>,
    body: Vec<NodeId>,
}

impl<'a> ComplexStep<'a> {
    /// Prepares a root number; the reason if it cannot be evaluated at complex points.
    pub fn new(ir: &'a Ir, root: NodeId, params: &[(InputId, Arc<Tensor>)]) -> Result<ComplexStep<'a>, String> {
        let all = ir.reachable(&[root]);
        if all.len() > NODES {
            return Err("too large".into());
        }
        let of = |nodes: &[NodeId], d: DomainId| -> Vec<NodeId> {
            nodes.iter().copied().filter(|n| ir.region(*n) == d).collect()
        };
        let mut inside = BTreeMap::new();
        let mut varies = vec![false; ir.len()];
        for &n in &all {
            let mut any = ir.is_var(n);
            ir.for_each_arg(n, |a| any |= varies[a.index()]);
            varies[n.index()] = any;
            match ir.node(n) {
                Node::Apply { atom, .. } | Node::Fold { atom, .. } if any => {
                    // Comparisons are constant on both sides of where they change.
                    let steps = matches!(atom.derivative, Derivative::Zero) && !matches!(atom.eval, Eval::Array(_));
                    if let Complex::None(why) = atom.complex
                        && !steps
                    {
                        return Err(format!("`{}`: {why}", atom.name));
                    }
                }
                Node::Scatter { .. } => return Err("too large".into()),
                _ => {}
            }
            if let Node::Fold { domain, body, .. } | Node::Map { domain, body } = ir.node(n) {
                let filter = ir.domain(*domain).filter;
                let filter = filter.map(|f| (f, of(&ir.reachable(&[f]), *domain)));
                let body = of(&ir.reachable(&[*body]), *domain);
                inside.insert(n, Inside { filter, body });
            }
        }
        Ok(ComplexStep {
            ir,
            root,
            top: of(&all, DomainId::ROOT),
            inside,
            inputs: params.iter().cloned().collect(),
            arrays: vec![None; ir.len()],
            numbers: vec![(0.0, 0.0); ir.len()],
            positions: vec![0; ir.index_count()],
            work: 0,
        })
    }

    /// Slopes along some coordinates of `x`; none if that takes too long, or where the value is not a number.
    pub fn slopes(&mut self, columns: &Columns, x: &[f64], along: &[usize]) -> Option<Vec<f64>> {
        let mut out = vec![];
        for (k, &j) in along.iter().enumerate() {
            self.work = 0;
            out.push(self.slope(columns, x, j, WORK / (k + 1).max(along.len()))?);
        }
        Some(out)
    }

    fn slope(&mut self, columns: &Columns, x: &[f64], j: usize, limit: usize) -> Option<f64> {
        let h = STEP * x[j].abs().max(1.0);
        for (input, first, len) in &columns.blocks {
            let shape: Vec<usize> = self.ir.input(*input).dims.iter().map(|d| d.len()).collect();
            let moved = (*first..first + len).contains(&j);
            let im = moved.then(|| {
                let mut im = vec![0.0; *len];
                im[j - first] = h;
                Arc::new(Storage::Dense(im))
            });
            let re = Arc::new(Storage::Dense(x[*first..first + len].to_vec()));
            for n in &self.top {
                if matches!(self.ir.node(*n), Node::Input(i) if i == input) {
                    let (re, im) = (re.clone(), im.clone());
                    self.arrays[n.index()] = Some(Array {
                        shape: shape.clone(),
                        re,
                        im,
                    });
                }
            }
        }
        for n in self.top.clone() {
            self.node(n, limit)?;
        }
        let slope = self.numbers[self.root.index()].1 / h;
        slope.is_finite().then_some(slope)
    }

    fn node(&mut self, n: NodeId, limit: usize) -> Option<()> {
        let ir = self.ir;
        self.spend(1, limit)?;
        let number = match ir.node(n) {
            Node::Const(b) => (f64::from_bits(*b), 0.0),
            Node::Index(i) => {
                let at = self.positions[i.index()];
                ((ir.index(*i).set.lo() + at) as f64, 0.0)
            }
            Node::Input(i) => {
                if self.arrays[n.index()].is_none() {
                    let t = match &ir.input(*i).kind {
                        InputKind::Data(t) => t,
                        _ => self.inputs.get(i)?,
                    };
                    self.arrays[n.index()] = Some(Array {
                        shape: t.shape(),
                        re: Arc::new(t.storage.clone()),
                        im: None,
                    });
                }
                let a = self.arrays[n.index()].as_ref()?;
                if !a.shape.is_empty() {
                    return Some(());
                }
                a.entry(&[])?
            }
            Node::Apply { atom, args } => match (atom.eval, atom.complex) {
                (Eval::Array(_), _) => {
                    let out = self.whole(n, atom, args, limit)?;
                    let number = if out.shape.is_empty() {
                        out.entry(&[])?
                    } else {
                        (0.0, 0.0)
                    };
                    self.arrays[n.index()] = Some(out);
                    number
                }
                (_, Complex::Scalar(f)) => {
                    let z: Vec<C> = args.iter().map(|a| self.numbers[a.index()]).collect();
                    f(&z)
                }
                (eval, _) => {
                    let x: Vec<f64> = args.iter().map(|a| self.numbers[a.index()].0).collect();
                    (lane(eval, &x)?, 0.0)
                }
            },
            Node::Gather { array, at } => {
                let at: Vec<usize> = at.iter().map(|p| self.position(p)).collect::<Option<_>>()?;
                self.arrays[array.index()].as_ref()?.entry(&at)?
            }
            Node::Fold { atom, domain, body } => {
                let values = self.instances(n, *domain, *body, limit)?;
                match (atom.complex, atom.eval) {
                    (Complex::Fold(f), _) => f(&values),
                    (_, Eval::Reduce(r)) => {
                        let v: Vec<f64> = values.iter().map(|z| z.0).collect();
                        let p = if v.is_empty() { r.empty } else { (r.block)(&v) };
                        ((r.finish)(p, v.len()), 0.0)
                    }
                    _ => return None,
                }
            }
            Node::Map { domain, body } => {
                let values = self.instances(n, *domain, *body, limit)?;
                let im: Vec<f64> = values.iter().map(|z| z.1).collect();
                let im = im.iter().any(|v| *v != 0.0).then(|| Arc::new(Storage::Dense(im)));
                let re = values.iter().map(|z| z.0).collect();
                self.arrays[n.index()] = Some(Array {
                    shape: ir.shape(n).to_vec(),
                    re: Arc::new(Storage::Dense(re)),
                    im,
                });
                return Some(());
            }
            Node::Scatter { .. } => return None,
        };
        self.numbers[n.index()] = number;
        Some(())
    }

    fn spend(&mut self, k: usize, limit: usize) -> Option<()> {
        self.work += k;
        (self.work <= limit).then_some(())
    }

    fn position(&self, p: &Pos) -> Option<usize> {
        let at = match p {
            Pos::Affine { terms, offset } => terms
                .iter()
                .fold(*offset, |s, (i, k)| s + k * self.positions[i.index()]),
            Pos::Node(n) => self.numbers[n.index()].0 as i64,
        };
        usize::try_from(at).ok()
    }

    /// Values of `body` in the instances of its domain, below the instance of the parent that stands.
    fn instances(&mut self, n: NodeId, domain: DomainId, body: NodeId, limit: usize) -> Option<Vec<C>> {
        let ir = self.ir;
        let d = ir.domain(domain);
        let shape = ir.domain_shape(domain);
        let count = shape.iter().try_fold(1usize, |p, k| p.checked_mul(*k))?;
        self.spend(count, limit)?;
        let Inside { filter, body: needs } = self.inside.get(&n)?.clone();
        let mut out = vec![];
        for k in 0..count {
            let mut rest = k;
            for (i, len) in d.indices.iter().zip(&shape).rev() {
                self.positions[i.index()] = (rest % len) as i64;
                rest /= len;
            }
            if let Some((f, needs)) = &filter {
                for m in needs {
                    self.node(*m, limit)?;
                }
                if self.numbers[f.index()].0 == 0.0 {
                    continue;
                }
            }
            for m in &needs {
                self.node(*m, limit)?;
            }
            out.push(self.numbers[body.index()]);
        }
        Some(out)
    }

    /// A row on whole arrays, which is linear in what is complex: parts are taken one after the other.
    fn whole(&mut self, n: NodeId, atom: &crate::ir::Atom, args: &[NodeId], limit: usize) -> Option<Array> {
        let shape = self.ir.shape(n).to_vec();
        let of = |a: &NodeId| match self.ir.shape(*a).is_empty() {
            true => {
                let z = self.numbers[a.index()];
                let one = |v: f64| Arc::new(Storage::Dense(vec![v]));
                Some(Array {
                    shape: vec![],
                    re: one(z.0),
                    im: (z.1 != 0.0).then(|| one(z.1)),
                })
            }
            false => self.arrays[a.index()].clone(),
        };
        let args: Vec<Array> = args.iter().map(of).collect::<Option<_>>()?;
        self.spend(args.iter().map(|a| a.shape.iter().product::<usize>()).sum(), limit)?;
        let real: Vec<&Storage> = args.iter().map(|a| &*a.re).collect();
        let parts = |parts: &[&Storage]| kernel(atom.eval, &args, parts);
        let (mut re, mut im) = (parts(&real)?, None);
        let add = |to: &mut Option<Vec<f64>>, by: f64, s: Storage| {
            let d = dense(&s);
            match to {
                Some(v) => v.iter_mut().zip(d).for_each(|(v, d)| *v += by * d),
                None => *to = Some(d.into_iter().map(|d| by * d).collect()),
            }
        };
        match (atom.complex, args.as_slice()) {
            (_, all) if all.iter().all(|a| a.im.is_none()) => {}
            (Complex::Linear, all) => {
                let zero: Vec<Storage> = all.iter().map(Array::zeros).collect();
                let imaginary = all.iter().zip(&zero).map(|(a, z)| a.im.as_deref().unwrap_or(z));
                add(&mut im, 1.0, parts(&imaginary.collect::<Vec<_>>())?);
            }
            (Complex::Bilinear, [a, b]) => {
                if let Some(b) = b.im.as_deref() {
                    add(&mut im, 1.0, parts(&[&a.re, b])?);
                }
                if let Some(a) = a.im.as_deref() {
                    add(&mut im, 1.0, parts(&[a, &b.re])?);
                }
                if let (Some(a), Some(b)) = (a.im.as_deref(), b.im.as_deref()) {
                    let mut sum = Some(dense(&re));
                    add(&mut sum, -1.0, parts(&[a, b])?);
                    re = Storage::Dense(sum?);
                }
            }
            (Complex::Quadratic, [x, p]) => {
                // x'Px = x'(Px): two products of which each is linear in each part.
                let times = |p: &Storage, v: &Storage| {
                    let pair = [args[1].clone(), args[0].clone()];
                    kernel(atoms::MATMUL.eval, &pair, &[p, v])
                };
                let dot = |a: &Storage, b: &Storage| -> f64 {
                    let (a, b) = (dense(a), dense(b));
                    ravine_linalg::reduce::dot(&a, &b)
                };
                let mut slope = 0.0;
                if let Some(xi) = x.im.as_deref() {
                    slope += dot(xi, &times(&p.re, &x.re)?) + dot(&x.re, &times(&p.re, xi)?);
                }
                if let Some(pi) = p.im.as_deref() {
                    slope += dot(&x.re, &times(pi, &x.re)?);
                }
                im = Some(vec![slope]);
            }
            _ => return None,
        }
        Some(Array {
            shape,
            re: Arc::new(re),
            im: im.map(|v| Arc::new(Storage::Dense(v))),
        })
    }
}

impl Array {
    fn entry(&self, at: &[usize]) -> Option<C> {
        let of = |s: &Storage| match s {
            Storage::Dense(d) => {
                let flat = at
                    .iter()
                    .zip(&self.shape)
                    .try_fold(0, |f, (k, n)| (k < n).then_some(f * n + k));
                d.get(flat?).copied()
            }
            Storage::Sparse(c) => match at {
                [i, j] if *i < c.rows && *j < c.cols => Some(c.get(*i, *j)),
                _ => None,
            },
        };
        Some((of(&self.re)?, self.im.as_deref().map_or(Some(0.0), of)?))
    }
    fn zeros(&self) -> Storage {
        match &*self.re {
            Storage::Sparse(c) => Storage::Sparse(ravine_linalg::Csr::zeros(c.rows, c.cols)),
            Storage::Dense(d) => Storage::Dense(vec![0.0; d.len()]),
        }
    }
}

fn dense(s: &Storage) -> Vec<f64> {
    match s {
        Storage::Dense(d) => d.clone(),
        Storage::Sparse(c) => c.to_dense().data,
    }
}

/// An array kernel on parts of its arguments.
fn kernel(eval: Eval, args: &[Array], parts: &[&Storage]) -> Option<Storage> {
    let Eval::Array(f) = eval else { return None };
    let refs: Vec<ArrayRef<'_>> = args
        .iter()
        .zip(parts)
        .map(|(a, s)| ArrayRef {
            shape: &a.shape,
            data: match s {
                Storage::Dense(d) => ArrayData::Dense(d),
                Storage::Sparse(c) => ArrayData::Sparse(c),
            },
            transposed: false,
        })
        .collect();
    Some(match f(&refs).ok()? {
        ArrayOut::Dense(d) | ArrayOut::Solved(d, _) => Storage::Dense(d),
        ArrayOut::Sparse(c) => Storage::Sparse(c),
    })
}

fn lane(eval: Eval, x: &[f64]) -> Option<f64> {
    let mut y = [f64::NAN];
    match (eval, x) {
        (Eval::Lane1(f), [a]) => f(&mut y, &[*a]),
        (Eval::Lane2(f), [a, b]) => f(&mut y, &[*a], &[*b]),
        (Eval::Lane3(f), [a, b, c]) => f(&mut y, &[*a], &[*b], &[*c]),
        _ => return None,
    }
    Some(y[0])
}
