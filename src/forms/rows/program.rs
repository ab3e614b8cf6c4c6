//! Row sets as a program: bound to parameters, evaluated at a point, read as sparse rows.
//!
//! Invariant: positions were checked when the program ran; reading changes nothing.

use std::sync::Arc;

use ravine_linalg::{Csr, Dense};

use super::arrays::{ArraySpec, General, Memo};
use super::{Columns, List, Places, PosSpec, Root, RowSet, RowSpec};
use crate::base::Tensor;
use crate::base::value::{IndexSet, Storage};
use crate::exec::{Fault, Machine};
use crate::ir::{DomainId, InputId};

/// Row sets as a program of parameters and point.
#[derive(Clone, Debug)]
pub struct RowsProgram {
    pub(super) machine: Machine,
    pub(super) columns: Columns,
    pub(super) sets: Vec<RowSpec>,
    pub(super) arrays: Vec<ArraySpec>,
    pub(super) generals: Vec<General>,
    /// Are the matrices of `generals` those of other parameters?
    pub(super) stale: bool,
    pub(super) root_shapes: Vec<Vec<usize>>,
}

impl RowsProgram {
    /// Number of columns.
    pub fn width(&self) -> usize {
        self.columns.len()
    }
    /// Bytes that its arrays take.
    pub fn bytes(&self) -> usize {
        self.machine.plan().bytes()
    }
    /// Binds parameters.
    pub fn bind(&mut self, params: &[(InputId, Arc<Tensor>)]) {
        for (i, t) in params {
            self.machine.set(*i, t.clone());
            self.generals.iter_mut().for_each(|g| g.machine.set(*i, t.clone()));
        }
        self.stale = true;
    }
    /// Evaluates all programs at a point (flat, by column).
    pub fn eval(&mut self, x: &[f64]) -> Result<(), Fault> {
        for &(input, first, len) in &self.columns.blocks {
            self.machine.set_point(input, &x[first..first + len]);
        }
        if self.stale {
            for g in &mut self.generals {
                g.eval()?;
            }
            self.stale = false;
        }
        self.machine.eval()
    }
    /// The machine, to trace what was not finite.
    pub fn machine(&self) -> &Machine {
        &self.machine
    }
    /// Values of a list after `eval`.
    pub fn values(&self, l: List) -> &[f64] {
        self.machine.list(l.0)
    }
    /// Values of the body of a row set after `eval`.
    pub fn body(&self, s: RowSet) -> &[f64] {
        self.machine.list(self.sets[s.0].value)
    }
    /// Number of rows of a set.
    pub fn count(&self, s: RowSet) -> usize {
        self.machine.instance_count(self.sets[s.0].domain)
    }
    /// For each instance of a domain, the instance of an enclosing one.
    pub fn ancestors(&self, d: DomainId, up: DomainId) -> Vec<usize> {
        self.machine.ancestors(d, up)
    }
    /// Number of instances of a domain.
    pub fn instances(&self, d: DomainId) -> usize {
        self.machine.instance_count(d)
    }
    /// A root value as a dense array.
    pub fn root(&self, r: Root) -> Vec<f64> {
        self.root_tensor(r.0).to_dense()
    }
    /// A root matrix, sparse where its parameters are.
    pub fn matrix(&self, r: Root) -> Csr {
        self.root_csr(r.0)
    }
    fn root_tensor(&self, r: usize) -> Tensor {
        let dims = self.root_shapes[r].iter().map(|n| IndexSet::upto(*n));
        self.machine.tensor(r, dims.collect())
    }
    pub(super) fn root_csr(&self, r: usize) -> Csr {
        let shape = &self.root_shapes[r];
        let (rows, cols) = (shape.first().copied().unwrap_or(1), shape.get(1).copied().unwrap_or(1));
        match self.root_tensor(r).storage {
            Storage::Sparse(s) => s,
            Storage::Dense(data) => Csr::from_dense(&Dense { rows, cols, data }),
        }
    }

    /// Flat positions of places within their array.
    pub fn flat(&self, p: &Places) -> Vec<usize> {
        let n = self.machine.instance_count(p.region);
        let mut flat = vec![0i64; n];
        let mut stride = 1i64;
        for (dim, at) in p.at.iter().enumerate().rev() {
            match at {
                PosSpec::Affine { terms, offset } => {
                    flat.iter_mut().for_each(|f| *f += stride * offset);
                    for (i, c) in terms {
                        for (f, q) in flat.iter_mut().zip(self.machine.index_positions(p.region, *i)) {
                            *f += stride * c * q as i64;
                        }
                    }
                }
                PosSpec::List(l) => {
                    for (f, v) in flat.iter_mut().zip(self.machine.list(*l)) {
                        *f += stride * *v as i64;
                    }
                }
            }
            stride *= p.shape[dim] as i64;
        }
        let len: usize = p.shape.iter().product::<usize>().max(1);
        // Positions were checked when the program ran; the clamp only keeps a stale list from a panic.
        flat.into_iter().map(|f| (f.max(0) as usize).min(len - 1)).collect()
    }

    /// The variable's first column, if the places are entries of a variable itself.
    pub fn variable(&self, p: &Places) -> Option<usize> {
        match self.arrays[p.array] {
            ArraySpec::Var { first, .. } => Some(first),
            _ => None,
        }
    }

    /// Rows of the array's Jacobian at the places: one for each instance of their region.
    pub fn place_rows(&self, p: &Places, memo: &mut Memo) -> Csr {
        let flat = self.flat(p);
        let len: usize = p.shape.iter().product();
        let select = Csr {
            rows: flat.len(),
            cols: len,
            indptr: (0..=flat.len()).collect(),
            values: vec![1.0; flat.len()],
            indices: flat,
        };
        select.mul(&self.array_jacobian(p.array, memo))
    }

    /// The Jacobian of rows that are those of `A·x + b` with a dense `A` and `x` all of the variables, without passing
    /// through compressed rows.
    pub fn dense_rows(&self, s: RowSet) -> Option<Dense> {
        let spec = &self.sets[s.0];
        let [leaf] = spec.leaves.as_slice() else { return None };
        let ArraySpec::Left { a, x, n, k: 1 } = self.arrays[leaf.places.array] else {
            return None;
        };
        let ArraySpec::Var { first: 0, len } = self.arrays[x] else {
            return None;
        };
        let flat = self.flat(&leaf.places);
        let whole = len == self.width() && n == len && flat.iter().enumerate().all(|(k, f)| k == *f);
        if !whole || leaf.places.region != spec.domain || flat.len() != self.root_shapes[a][0] {
            return None;
        }
        let Storage::Dense(data) = self.root_tensor(a).storage else {
            return None;
        };
        let mut m = Dense {
            rows: flat.len(),
            cols: n,
            data,
        };
        let values = self.machine.list(leaf.value);
        if values.iter().any(|v| *v != 1.0) {
            m.scale_rows(values);
        }
        Some(m)
    }

    /// The Jacobian of a row set.
    pub fn jacobian(&self, s: RowSet, memo: &mut Memo) -> Csr {
        let spec = &self.sets[s.0];
        let rows = self.machine.instance_count(spec.domain);
        let mut direct: Vec<(usize, usize, f64)> = vec![];
        let mut total: Option<Csr> = None;
        for leaf in &spec.leaves {
            let up = self.machine.ancestors(leaf.places.region, spec.domain);
            let flat = self.flat(&leaf.places);
            let values = self.machine.list(leaf.value);
            if let ArraySpec::Var { first, .. } = self.arrays[leaf.places.array] {
                direct.extend(up.iter().zip(&flat).zip(values).map(|((r, f), v)| (*r, first + f, *v)));
                continue;
            }
            let len: usize = leaf.places.shape.iter().product();
            let picks: Vec<(usize, usize, f64)> = up
                .iter()
                .zip(&flat)
                .zip(values)
                .map(|((r, f), v)| (*r, *f, *v))
                .collect();
            let part = Csr::from_triplets(rows, len, &picks).mul(&self.array_jacobian(leaf.places.array, memo));
            total = Some(match total {
                None => part,
                Some(t) => t.add(1.0, &part, 1.0),
            });
        }
        let direct = Csr::from_triplets(rows, self.width(), &direct);
        match total {
            None => direct,
            Some(t) if direct.nnz() == 0 => t,
            Some(t) => t.add(1.0, &direct, 1.0),
        }
    }
}
