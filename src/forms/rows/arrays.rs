//! Jacobians of arrays, each from those of its parts.
//!
//! Invariant: a Jacobian has one row for each entry, row-major, and is computed once for each evaluation.

use std::collections::BTreeMap;
use std::sync::Arc;

use ravine_linalg::Csr;

use super::program::RowsProgram;
use super::{Places, Root, RowSet};
use crate::base::value::IndexSet;
use crate::exec::{Fault, Machine};
use crate::ir::InputId;

/// The Jacobian of an array, from those of its parts.
#[derive(Clone, Debug)]
pub(super) enum ArraySpec {
    Var {
        first: usize,
        len: usize,
    },
    /// `A X`, `A` without variables: `m × n` times `n × k`.
    Left {
        a: usize,
        x: usize,
        n: usize,
        k: usize,
    },
    /// `X B`, `B` without variables.
    Right {
        x: usize,
        b: usize,
        m: usize,
        n: usize,
        k: usize,
    },
    Transpose {
        x: usize,
        rows: usize,
        cols: usize,
    },
    Sum {
        parts: Vec<usize>,
        len: usize,
    },
    Scale {
        by: usize,
        x: usize,
    },
    /// `s · A` with a variable scalar and a fixed array.
    Spread {
        s: usize,
        a: usize,
        len: usize,
    },
    Diagonal {
        x: usize,
        n: usize,
    },
    DiagonalPart {
        x: usize,
        n: usize,
    },
    /// Rows of other row sets, below one another.
    Rows {
        sets: Vec<usize>,
    },
    /// Arrays below one another; a part without variables is so many empty rows.
    Stacked {
        parts: Vec<(Option<usize>, usize)>,
    },
    /// `A ⊗ X` or `X ⊗ A` with a fixed `A`: shapes of the left and the right factor.
    Kron {
        x: usize,
        fixed: usize,
        fixed_left: bool,
        left: [usize; 2],
        right: [usize; 2],
    },
    /// Rows of a set added up at places of an array.
    Scatter {
        set: usize,
        places: Places,
        len: usize,
    },
    /// Any other affine atom, by the transposed rule of its row.
    General {
        general: usize,
        arguments: Vec<usize>,
    },
    Outer {
        x: usize,
        fixed: usize,
        fixed_left: bool,
        m: usize,
        n: usize,
    },
}

/// An affine atom's matrices by its arguments: the cotangents of the arguments for each entry of the result.
#[derive(Clone, Debug)]
pub(super) struct General {
    pub machine: Machine,
    pub seed: InputId,
    pub len: usize,
    /// Number of entries of each argument.
    pub widths: Vec<usize>,
    /// Evaluated for the bound parameters.
    pub matrices: Vec<Csr>,
}

impl General {
    pub fn eval(&mut self) -> Result<(), Fault> {
        let mut seed = vec![0.0; self.len];
        let mut triplets = vec![vec![]; self.widths.len()];
        for i in 0..self.len {
            seed[i] = 1.0;
            self.machine.set_point(self.seed, &seed);
            seed[i] = 0.0;
            self.machine.eval()?;
            for (k, (out, n)) in triplets.iter_mut().zip(&self.widths).enumerate() {
                let row = self.machine.tensor(k, vec![IndexSet::upto(*n)]).to_dense();
                out.extend(row.iter().enumerate().filter(|e| *e.1 != 0.0).map(|(j, v)| (i, j, *v)));
            }
        }
        self.matrices = triplets
            .iter()
            .zip(&self.widths)
            .map(|(t, n)| Csr::from_triplets(self.len, *n, t))
            .collect();
        Ok(())
    }
}

impl RowsProgram {
    pub(super) fn array_jacobian(&self, a: usize, memo: &mut Memo) -> Arc<Csr> {
        if let Some(j) = memo.0.get(&a) {
            return j.clone();
        }
        let width = self.width();
        let j = match &self.arrays[a] {
            ArraySpec::Var { first, len } => Csr {
                rows: *len,
                cols: width,
                indptr: (0..=*len).collect(),
                indices: (*first..first + len).collect(),
                values: vec![1.0; *len],
            },
            ArraySpec::Left { a, x, n, k } => {
                // vec(A X), row-major, is (A ⊗ I_k) vec(X).
                kron_identity(&self.root_csr(*a), *k, *n).mul(&self.array_jacobian(*x, memo))
            }
            ArraySpec::Right { x, b, m, n, k } => {
                // vec(X B), row-major, is (I_m ⊗ B') vec(X).
                let bt = self.root_csr(*b).transpose();
                let mut t = vec![];
                for i in 0..*m {
                    for l in 0..*k {
                        let (c, v) = bt.row(l);
                        t.extend(c.iter().zip(v).map(|(j, v)| (i * k + l, i * n + j, *v)));
                    }
                }
                Csr::from_triplets(m * k, m * n, &t).mul(&self.array_jacobian(*x, memo))
            }
            ArraySpec::Transpose { x, rows, cols } => {
                let j = self.array_jacobian(*x, memo);
                pick(&j, (0..rows * cols).map(|k| (k % rows) * cols + k / rows))
            }
            ArraySpec::Sum { parts, len } => {
                let mut acc = Csr::zeros(*len, width);
                for p in parts {
                    acc = acc.add(1.0, &self.array_jacobian(*p, memo), 1.0);
                }
                acc
            }
            ArraySpec::Scale { by, x } => {
                let mut j = (*self.array_jacobian(*x, memo)).clone();
                let s = self.root(Root(*by))[0];
                j.values.iter_mut().for_each(|v| *v *= s);
                j
            }
            ArraySpec::Spread { s, a, len } => {
                let row = self.jacobian(RowSet(*s), memo);
                let a = self.root(Root(*a));
                let (c, v) = row.row(0);
                let mut t = vec![];
                for (k, a) in a.iter().enumerate().take(*len) {
                    t.extend(c.iter().zip(v).map(|(j, v)| (k, *j, a * v)));
                }
                Csr::from_triplets(*len, width, &t)
            }
            ArraySpec::Diagonal { x, n } => {
                let j = self.array_jacobian(*x, memo);
                let mut t = vec![];
                for i in 0..*n {
                    let (c, v) = j.row(i);
                    t.extend(c.iter().zip(v).map(|(c, v)| (i * n + i, *c, *v)));
                }
                Csr::from_triplets(n * n, width, &t)
            }
            ArraySpec::DiagonalPart { x, n } => pick(&self.array_jacobian(*x, memo), (0..*n).map(|i| i * n + i)),
            ArraySpec::Rows { sets } => {
                let mut acc: Option<Csr> = None;
                for s in sets {
                    let j = self.jacobian(RowSet(*s), memo);
                    acc = Some(match acc {
                        None => j,
                        Some(a) => a.stack(&j),
                    });
                }
                acc.unwrap_or_else(|| Csr::zeros(0, width))
            }
            ArraySpec::Stacked { parts } => {
                let mut acc = Csr::zeros(0, width);
                for (part, n) in parts {
                    acc = match part {
                        Some(p) => acc.stack(&self.array_jacobian(*p, memo)),
                        None => acc.stack(&Csr::zeros(*n, width)),
                    };
                }
                acc
            }
            ArraySpec::Kron {
                x,
                fixed,
                fixed_left,
                left,
                right,
            } => {
                let j = self.array_jacobian(*x, memo);
                let f = self.root(Root(*fixed));
                let ([lr, lc], [rr, rc]) = (*left, *right);
                let mut t = vec![];
                for row in 0..lr * rr {
                    for col in 0..lc * rc {
                        let (l, r) = ((row / rr) * lc + col / rc, (row % rr) * rc + col % rc);
                        let (w, of) = if *fixed_left { (f[l], r) } else { (f[r], l) };
                        if w != 0.0 {
                            let (c, v) = j.row(of);
                            t.extend(c.iter().zip(v).map(|(c, v)| (row * lc * rc + col, *c, w * v)));
                        }
                    }
                }
                Csr::from_triplets(lr * rr * lc * rc, width, &t)
            }
            ArraySpec::Scatter { set, places, len } => {
                let j = self.jacobian(RowSet(*set), memo);
                let to = self.flat(places);
                let mut t = vec![];
                for (r, to) in to.iter().enumerate() {
                    let (c, v) = j.row(r);
                    t.extend(c.iter().zip(v).map(|(c, v)| (*to, *c, *v)));
                }
                Csr::from_triplets(*len, width, &t)
            }
            ArraySpec::General { general, arguments } => {
                let g = &self.generals[*general];
                let mut acc = Csr::zeros(g.len, width);
                for (m, a) in g.matrices.iter().zip(arguments) {
                    acc = acc.add(1.0, &m.mul(&self.array_jacobian(*a, memo)), 1.0);
                }
                acc
            }
            ArraySpec::Outer {
                x,
                fixed,
                fixed_left,
                m,
                n,
            } => {
                let j = self.array_jacobian(*x, memo);
                let f = self.root(Root(*fixed));
                let mut t = vec![];
                for i in 0..*m {
                    for k in 0..*n {
                        let (row, w) = if *fixed_left { (k, f[i]) } else { (i, f[k]) };
                        let (c, v) = j.row(row);
                        t.extend(c.iter().zip(v).map(|(c, v)| (i * n + k, *c, w * v)));
                    }
                }
                Csr::from_triplets(m * n, width, &t)
            }
        };
        let j = Arc::new(j);
        memo.0.insert(a, j.clone());
        j
    }
}

/// Jacobians of arrays computed since the last evaluation.
#[derive(Default)]
pub struct Memo(BTreeMap<usize, Arc<Csr>>);

/// Rows of `j` in another order.
fn pick(j: &Csr, rows: impl Iterator<Item = usize>) -> Csr {
    let mut out = Csr::zeros(0, j.cols);
    for r in rows {
        let (c, v) = j.row(r);
        out.indices.extend_from_slice(c);
        out.values.extend_from_slice(v);
        out.indptr.push(out.indices.len());
        out.rows += 1;
    }
    out
}

/// `A ⊗ I_k` for an `m × n` matrix.
fn kron_identity(a: &Csr, k: usize, n: usize) -> Csr {
    if k == 1 {
        return a.clone();
    }
    let mut out = Csr::zeros(0, n * k);
    for i in 0..a.rows {
        let (c, v) = a.row(i);
        for l in 0..k {
            out.indices.extend(c.iter().map(|j| j * k + l));
            out.values.extend_from_slice(v);
            out.indptr.push(out.indices.len());
            out.rows += 1;
        }
    }
    out
}
