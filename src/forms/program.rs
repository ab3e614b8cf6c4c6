//! A conic program of the parameters: rows, cones, objective, and which of them came from which constraint.
//!
//! Invariant: every row means `body ∈ cone` with `body = c + J x`, passed on as `A = -J`, `b = c`; duals come back in
//! the same order and are turned into the language's sign here and nowhere else.

use ravine_linalg::Csr;
use ravine_linalg::clarabel_adapter::{Cone, ConicForm};

use super::conic::{ConeRows, QuadTerm, SquareTerm};
use super::hessian::{Hessian, factor};
use super::matrices::{Fold, MatrixRows};
use super::rows::{List, Memo, NoRows, Places, Root, RowSet, RowsBuilder, RowsProgram};
use crate::exec::Fault;
use crate::ir::{DomainId, Node};

/// A group of rows of one kind.
#[derive(Clone, Debug)]
enum Group {
    Zero(RowSet),
    Nonneg(RowSet),
    SecondOrder {
        domain: DomainId,
        heads: Vec<RowSet>,
        tail: Option<(DomainId, RowSet)>,
    },
    Exponential([RowSet; 3]),
    Power([RowSet; 3], Root),
    Semidefinite(MatrixRows),
    Quadratic {
        t: RowSet,
        q: RowSet,
        hessian: Hessian,
    },
}

/// A conic program with structure fixed and data to be evaluated.
#[derive(Clone, Debug)]
pub struct ConicProgram {
    /// Rows and lists.
    pub rows: RowsProgram,
    groups: Vec<Group>,
    linear: Vec<RowSet>,
    squares: Vec<(Places, List)>,
    quads: Vec<(Places, Root, Root)>,
    /// Convex quadratics as a whole: value and slope at the origin are in `linear`.
    whole: Vec<Hessian>,
    /// The form's variable of each coordinate: entries of symmetric matrices share one with their mirror image.
    fold: Fold,
}

/// Bound data, and where each group's rows begin.
#[derive(Clone, Debug)]
pub struct BoundConic {
    /// The form.
    pub form: ConicForm,
    /// Constant of the objective.
    pub constant: f64,
    /// First row and number of rows of each group, in the order the groups were given.
    pub spans: Vec<(usize, usize)>,
    /// For groups whose rows are no scalars of the user: (entry, row of the group, factor) of what they are made of.
    pub entries: Vec<Option<Vec<(usize, usize, f64)>>>,
    /// The form's variable of each coordinate.
    pub fold: Fold,
}

impl ConicProgram {
    /// From affine rows in cones and the parts of the objective. `squares`' bodies are entries of variables.
    pub fn new(
        mut b: RowsBuilder<'_>,
        rows: &[ConeRows],
        linear: &[crate::ir::NodeId],
        squares: &[SquareTerm],
        quads: &[QuadTerm],
        whole: &[crate::ir::NodeId],
        fold: Fold,
    ) -> Result<ConicProgram, NoRows> {
        let mut groups = vec![];
        for r in rows {
            groups.push(match r {
                ConeRows::Zero { domain, body } => Group::Zero(b.rows(*domain, *body)?),
                ConeRows::Nonneg { domain, body } => Group::Nonneg(b.rows(*domain, *body)?),
                ConeRows::SecondOrder { domain, heads, tail } => Group::SecondOrder {
                    domain: *domain,
                    heads: heads.iter().map(|h| b.rows(*domain, *h)).collect::<Result<_, _>>()?,
                    tail: match tail {
                        Some((d, n)) => Some((*d, b.rows(*d, *n)?)),
                        None => None,
                    },
                },
                ConeRows::Exponential { domain, xyz } => {
                    let [x, y, z] = xyz;
                    Group::Exponential([b.rows(*domain, *x)?, b.rows(*domain, *y)?, b.rows(*domain, *z)?])
                }
                ConeRows::Power { domain, xyz, a } => {
                    let [x, y, z] = xyz;
                    let xyz = [b.rows(*domain, *x)?, b.rows(*domain, *y)?, b.rows(*domain, *z)?];
                    Group::Power(xyz, b.root(*a))
                }
                ConeRows::Semidefinite {
                    domain,
                    orders,
                    blocks,
                    exact,
                } => Group::Semidefinite(MatrixRows::new(&mut b, *domain, orders, blocks, *exact)?),
                ConeRows::Quadratic { t, q } => Group::Quadratic {
                    t: b.rows(DomainId::ROOT, *t)?,
                    q: b.rows(DomainId::ROOT, *q)?,
                    hessian: Hessian::new(&mut b, *q)?,
                },
            });
        }
        let linear = linear
            .iter()
            .chain(whole)
            .map(|n| b.rows(DomainId::ROOT, *n))
            .collect::<Result<Vec<_>, _>>()?;
        let whole = whole
            .iter()
            .map(|n| Hessian::new(&mut b, *n))
            .collect::<Result<Vec<_>, _>>()?;
        let mut sq = vec![];
        for t in squares {
            let (array, at) = match b.ir.node(t.body).clone() {
                Node::Gather { array, at } => (array, at.to_vec()),
                _ => (t.body, vec![]),
            };
            let places = b.places(t.domain, array, &at)?;
            sq.push((places, b.list(t.domain, t.weight)));
        }
        let mut qs = vec![];
        for q in quads {
            let n = b.ir.shape(q.x).to_vec();
            let (d, ix) = crate::atoms::rules::plain_domain(b.ir, &n);
            let at: Vec<_> = ix.iter().map(|i| crate::ir::Pos::index(*i)).collect();
            let places = b.places(d, q.x, &at)?;
            // The domain must be part of the program for its positions to be known.
            let one = b.ir.constant(1.0);
            b.list(d, one);
            qs.push((places, b.root(q.p), b.root(q.weight)));
        }
        Ok(ConicProgram {
            rows: b.finish(),
            groups,
            linear,
            squares: sq,
            quads: qs,
            whole,
            fold,
        })
    }

    /// Evaluates the data for the bound parameters; `lower` and `upper` bound the first variables.
    pub fn data(&mut self, lower: &[f64], upper: &[f64]) -> Result<BoundConic, Fault> {
        self.rows.eval(&vec![0.0; self.rows.width()])?;
        let n = self.fold.width(self.rows.width());
        let mut memo = Memo::default();
        let jacobian = |s: RowSet, memo: &mut Memo| self.fold.columns(self.rows.jacobian(s, memo));
        let mut q = vec![0.0; n];
        let mut constant = 0.0;
        for l in &self.linear {
            constant += self.rows.body(*l)[0];
            let j = jacobian(*l, &mut memo);
            let (c, v) = j.row(0);
            for (c, v) in c.iter().zip(v) {
                q[*c] += v;
            }
        }
        let mut p: Vec<(usize, usize, f64)> = vec![];
        for (places, weight) in &self.squares {
            let first = self.rows.variable(places).unwrap_or_default();
            for (f, w) in self.rows.flat(places).iter().zip(self.rows.values(*weight)) {
                p.push((self.fold.of(first + f), self.fold.of(first + f), 2.0 * w));
            }
        }
        for (places, matrix, weight) in &self.quads {
            let first = self.rows.variable(places).unwrap_or_default();
            let flat = self.rows.flat(places);
            let (m, w) = (self.rows.matrix(*matrix), self.rows.root(*weight)[0]);
            for (i, j, v) in m.add(1.0, &m.transpose(), 1.0).triplets() {
                if w * v != 0.0 {
                    p.push((self.fold.of(first + flat[i]), self.fold.of(first + flat[j]), w * v));
                }
            }
        }
        for h in &self.whole {
            let h = h.assemble(&self.rows, &mut memo);
            for i in 0..h.rows {
                let (c, v) = h.row(i);
                let entries = c.iter().zip(v).filter(|e| *e.1 != 0.0);
                p.extend(entries.map(|(j, v)| (self.fold.of(i), self.fold.of(*j), *v)));
            }
        }
        let mut a = Csr::zeros(0, n);
        let mut b: Vec<f64> = vec![];
        let mut cones = vec![];
        let mut spans = vec![];
        let mut entries = vec![];
        for g in &self.groups {
            let first = b.len();
            let mut parts = None;
            match g {
                Group::Zero(s) | Group::Nonneg(s) => {
                    a = a.stack(&jacobian(*s, &mut memo));
                    b.extend_from_slice(self.rows.body(*s));
                    let k = b.len() - first;
                    if let Group::Nonneg(_) = g {
                        (first..first + k).for_each(|r| without_limit(&mut a, &mut b, r, 1));
                    }
                    cones.push(if matches!(g, Group::Zero(_)) {
                        Cone::Zero(k)
                    } else {
                        Cone::Nonneg(k)
                    });
                }
                Group::SecondOrder { domain, heads, tail } => {
                    let hs: Vec<Csr> = heads.iter().map(|h| jacobian(*h, &mut memo)).collect();
                    let t = tail.map(|(d, s)| (jacobian(s, &mut memo), self.rows.ancestors(d, *domain), s));
                    let mut next = 0;
                    for r in 0..self.rows.instances(*domain) {
                        let mut k = 0;
                        for (h, j) in heads.iter().zip(&hs) {
                            push_row(&mut a, j, r);
                            b.push(self.rows.body(*h)[r]);
                            k += 1;
                        }
                        if let Some((j, up, s)) = &t {
                            while next < up.len() && up[next] == r {
                                push_row(&mut a, j, next);
                                b.push(self.rows.body(*s)[next]);
                                next += 1;
                                k += 1;
                            }
                        }
                        let last = b.len() - k;
                        without_limit(&mut a, &mut b, last, k);
                        cones.push(Cone::SecondOrder(k));
                    }
                }
                Group::Quadratic { t, q, hessian } => {
                    // With F'F the Hessian, g the slope and c the value at 0: (s+1)² - (s-1)² = 4s >= ‖√2·Fx‖², s = t - c - g'x.
                    let slack = jacobian(*t, &mut memo).add(1.0, &jacobian(*q, &mut memo), -1.0);
                    let s = self.rows.body(*t)[0] - self.rows.body(*q)[0];
                    let mut f = self.fold.columns(factor(&hessian.assemble(&self.rows, &mut memo))?);
                    f.values.iter_mut().for_each(|v| *v *= std::f64::consts::SQRT_2);
                    push_row(&mut a, &slack, 0);
                    push_row(&mut a, &slack, 0);
                    b.extend([s + 1.0, s - 1.0]);
                    for r in 0..f.rows {
                        push_row(&mut a, &f, r);
                        b.push(0.0);
                    }
                    cones.push(Cone::SecondOrder(2 + f.rows));
                }
                Group::Semidefinite(m) => {
                    let made = m.data(&self.rows, &mut |s| jacobian(s, &mut memo));
                    for (row, body) in &made.rows {
                        a.indices.extend(row.iter().map(|e| e.0));
                        a.values.extend(row.iter().map(|e| e.1));
                        a.indptr.push(a.indices.len());
                        a.rows += 1;
                        b.push(*body);
                    }
                    cones.extend(made.cones);
                    parts = made.entries;
                }
                Group::Exponential(xyz) | Group::Power(xyz, _) => {
                    let cone = match g {
                        Group::Power(_, a) => Cone::Power(self.rows.root(*a)[0]),
                        _ => Cone::Exp,
                    };
                    let js: Vec<Csr> = xyz.iter().map(|s| jacobian(*s, &mut memo)).collect();
                    for r in 0..js[0].rows {
                        for (s, j) in xyz.iter().zip(&js) {
                            push_row(&mut a, j, r);
                            b.push(self.rows.body(*s)[r]);
                        }
                        cones.push(cone);
                    }
                }
            }
            spans.push((first, b.len() - first));
            entries.push(parts);
        }
        a.values.iter_mut().for_each(|v| *v = -*v);
        // Bounds: `x - l >= 0`, `u - x >= 0`, in this order; equal bounds fix the variable.
        let mut bound = |coordinate: usize, sign: f64, rhs: f64, cone: Cone| {
            a.indices.push(self.fold.of(coordinate));
            a.values.push(-sign);
            a.indptr.push(a.indices.len());
            a.rows += 1;
            b.push(rhs);
            cones.push(cone);
        };
        let (lower, upper) = self.fold.bounds(lower, upper);
        for (k, (l, u)) in lower.iter().zip(&upper).enumerate() {
            if l == u {
                bound(k, 1.0, -l, Cone::Zero(1));
                continue;
            }
            if l.is_finite() {
                bound(k, 1.0, -l, Cone::Nonneg(1));
            }
            if u.is_finite() {
                bound(k, -1.0, *u, Cone::Nonneg(1));
            }
        }
        let p = Csr::from_triplets(n, n, &p);
        Ok(BoundConic {
            form: ConicForm { p, q, a, b, cones },
            constant,
            spans,
            entries,
            fold: self.fold.clone(),
        })
    }
}

/// Rows `first..first + rows` of one cone, the first of which is not to be negative: an infinite limit there always holds, or
/// never, whatever the point. They become 1, or -1, and nothing else.
fn without_limit(a: &mut Csr, b: &mut [f64], first: usize, rows: usize) {
    if b[first].is_infinite() {
        a.values[a.indptr[first]..a.indptr[first + rows]].fill(0.0);
        b[first] = b[first].signum();
        b[first + 1..first + rows].fill(0.0);
    }
}

fn push_row(a: &mut Csr, from: &Csr, r: usize) {
    let (c, v) = from.row(r);
    a.indices.extend_from_slice(c);
    a.values.extend_from_slice(v);
    a.indptr.push(a.indices.len());
    a.rows += 1;
}
