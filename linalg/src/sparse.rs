//! Compressed sparse rows.
//!
//! Invariant: columns are sorted within each row and occur once; products add in an order fixed by the pattern, so the
//! bits do not depend on the number of threads.

use rayon::prelude::*;

use crate::Dense;

/// Entries below which a product is not worth a second thread.
const PARALLEL_ENTRIES: usize = 100_000;

/// A sparse matrix by compressed rows: sorted columns, no duplicates.
#[derive(Clone, Debug, PartialEq)]
pub struct Csr {
    /// Number of rows.
    pub rows: usize,
    /// Number of columns.
    pub cols: usize,
    /// Row starts, `rows + 1` of them.
    pub indptr: Vec<usize>,
    /// Column of each entry.
    pub indices: Vec<usize>,
    /// Value of each entry.
    pub values: Vec<f64>,
}

impl Csr {
    /// The zero matrix.
    pub fn zeros(rows: usize, cols: usize) -> Csr {
        Csr {
            rows,
            cols,
            indptr: vec![0; rows + 1],
            indices: vec![],
            values: vec![],
        }
    }
    /// The matrix with the given entries; entries at one place are added in the order given. Entries outside the shape
    /// are a mistake of the caller and are dropped.
    pub fn from_triplets(rows: usize, cols: usize, entries: &[(usize, usize, f64)]) -> Csr {
        let mut count = vec![0usize; rows + 1];
        for &(i, j, _) in entries {
            if i < rows && j < cols {
                count[i + 1] += 1;
            }
        }
        for i in 0..rows {
            count[i + 1] += count[i];
        }
        let mut next = count.clone();
        let mut at: Vec<(usize, f64)> = vec![(0, 0.0); count[rows]];
        for &(i, j, v) in entries {
            if i < rows && j < cols {
                at[next[i]] = (j, v);
                next[i] += 1;
            }
        }
        let mut m = Csr::zeros(rows, cols);
        for i in 0..rows {
            let row = &mut at[count[i]..count[i + 1]];
            row.sort_by_key(|e| e.0);
            for &(j, v) in row.iter() {
                if m.indices.len() > m.indptr[i] && m.indices.last() == Some(&j) {
                    if let Some(last) = m.values.last_mut() {
                        *last += v;
                    }
                } else {
                    m.indices.push(j);
                    m.values.push(v);
                }
            }
            m.indptr[i + 1] = m.indices.len();
        }
        m
    }
    /// The entries of a dense matrix that are not zero.
    pub fn from_dense(d: &Dense) -> Csr {
        let mut m = Csr::zeros(d.rows, d.cols);
        for i in 0..d.rows {
            for (j, v) in d.row(i).iter().enumerate() {
                if *v != 0.0 {
                    m.indices.push(j);
                    m.values.push(*v);
                }
            }
            m.indptr[i + 1] = m.indices.len();
        }
        m
    }
    /// The identity of order `n`.
    pub fn identity(n: usize) -> Csr {
        Csr {
            rows: n,
            cols: n,
            indptr: (0..=n).collect(),
            indices: (0..n).collect(),
            values: vec![1.0; n],
        }
    }
    /// Stored entries.
    pub fn nnz(&self) -> usize {
        self.values.len()
    }
    /// Columns and values of row `i`.
    pub fn row(&self, i: usize) -> (&[usize], &[f64]) {
        let r = self.indptr[i]..self.indptr[i + 1];
        (&self.indices[r.clone()], &self.values[r])
    }
    /// The entry in row `i`, column `j`; 0 where none is stored.
    pub fn get(&self, i: usize, j: usize) -> f64 {
        let (c, v) = self.row(i);
        c.binary_search(&j).map_or(0.0, |k| v[k])
    }
    /// All entries, zeros included.
    pub fn to_dense(&self) -> Dense {
        let mut d = Dense::zeros(self.rows, self.cols);
        for i in 0..self.rows {
            let (c, v) = self.row(i);
            for (j, v) in c.iter().zip(v) {
                d.data[i * self.cols + j] = *v;
            }
        }
        d
    }
    /// The transpose.
    pub fn transpose(&self) -> Csr {
        let mut t = Csr {
            rows: self.cols,
            cols: self.rows,
            indptr: vec![0; self.cols + 1],
            indices: vec![0; self.nnz()],
            values: vec![0.0; self.nnz()],
        };
        for &j in &self.indices {
            t.indptr[j + 1] += 1;
        }
        for j in 0..self.cols {
            t.indptr[j + 1] += t.indptr[j];
        }
        let mut next = t.indptr.clone();
        for i in 0..self.rows {
            for k in self.indptr[i]..self.indptr[i + 1] {
                let at = next[self.indices[k]];
                next[self.indices[k]] += 1;
                t.indices[at] = i;
                t.values[at] = self.values[k];
            }
        }
        t
    }
    /// `y = A x`; `x` has `cols` entries, `y` has `rows`.
    pub fn mul_vec(&self, x: &[f64], y: &mut [f64]) {
        let one = |i: usize, y: &mut f64| {
            let (c, v) = self.row(i);
            *y = c.iter().zip(v).map(|(j, v)| v * x[*j]).sum();
        };
        if self.nnz() < PARALLEL_ENTRIES {
            y.iter_mut().enumerate().for_each(|(i, y)| one(i, y));
        } else {
            y.par_iter_mut()
                .enumerate()
                .with_min_len(256)
                .for_each(|(i, y)| one(i, y));
        }
    }
    /// `y = A' x`; `x` has `rows` entries, `y` has `cols`.
    pub fn mul_vec_transposed(&self, x: &[f64], y: &mut [f64]) {
        y.fill(0.0);
        for (i, xi) in x.iter().enumerate().take(self.rows) {
            let (c, v) = self.row(i);
            for (j, v) in c.iter().zip(v) {
                y[*j] += xi * v;
            }
        }
    }
    /// `A B`.
    pub fn mul(&self, b: &Csr) -> Csr {
        let mut m = Csr::zeros(self.rows, b.cols);
        let mut acc = vec![0.0; b.cols];
        let mut mark = vec![usize::MAX; b.cols];
        let mut cols: Vec<usize> = vec![];
        for i in 0..self.rows {
            cols.clear();
            let (c, v) = self.row(i);
            for (k, a) in c.iter().zip(v) {
                let (bc, bv) = b.row(*k);
                for (j, b) in bc.iter().zip(bv) {
                    if mark[*j] != i {
                        mark[*j] = i;
                        acc[*j] = 0.0;
                        cols.push(*j);
                    }
                    acc[*j] += a * b;
                }
            }
            cols.sort_unstable();
            for &j in &cols {
                m.indices.push(j);
                m.values.push(acc[j]);
            }
            m.indptr[i + 1] = m.indices.len();
        }
        m
    }
    /// `A D` for a dense `D`.
    pub fn mul_dense(&self, d: &Dense) -> Dense {
        let mut m = Dense::zeros(self.rows, d.cols);
        for i in 0..self.rows {
            let (c, v) = self.row(i);
            let out = &mut m.data[i * d.cols..(i + 1) * d.cols];
            for (k, a) in c.iter().zip(v) {
                for (o, x) in out.iter_mut().zip(d.row(*k)) {
                    *o += a * x;
                }
            }
        }
        m
    }
    /// `A' diag(h) A`.
    pub fn gram_weighted(&self, h: &[f64]) -> Csr {
        let mut scaled = self.clone();
        scaled.scale_rows(h);
        self.transpose().mul(&scaled)
    }
    /// Multiplies row `i` by `s[i]`.
    pub fn scale_rows(&mut self, s: &[f64]) {
        for i in 0..self.rows {
            for k in self.indptr[i]..self.indptr[i + 1] {
                self.values[k] *= s[i];
            }
        }
    }
    /// Multiplies column `j` by `s[j]`.
    pub fn scale_cols(&mut self, s: &[f64]) {
        for (j, v) in self.indices.iter().zip(&mut self.values) {
            *v *= s[*j];
        }
    }
    /// `a·A + b·B` for matrices of one shape.
    pub fn add(&self, a: f64, other: &Csr, b: f64) -> Csr {
        let mut m = Csr::zeros(self.rows, self.cols);
        for i in 0..self.rows {
            let ((c1, v1), (c2, v2)) = (self.row(i), other.row(i));
            let (mut p, mut q) = (0, 0);
            while p < c1.len() || q < c2.len() {
                let (j1, j2) = (
                    c1.get(p).copied().unwrap_or(usize::MAX),
                    c2.get(q).copied().unwrap_or(usize::MAX),
                );
                let j = j1.min(j2);
                let mut v = 0.0;
                if j1 == j {
                    v += a * v1[p];
                    p += 1;
                }
                if j2 == j {
                    v += b * v2[q];
                    q += 1;
                }
                m.indices.push(j);
                m.values.push(v);
            }
            m.indptr[i + 1] = m.indices.len();
        }
        m
    }
    /// Rows of both, those of `self` first; as many columns.
    pub fn stack(&self, below: &Csr) -> Csr {
        let mut m = self.clone();
        m.rows += below.rows;
        let n = self.nnz();
        m.indptr.extend(below.indptr[1..].iter().map(|p| p + n));
        m.indices.extend_from_slice(&below.indices);
        m.values.extend_from_slice(&below.values);
        m
    }
}
