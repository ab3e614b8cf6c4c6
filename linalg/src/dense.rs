//! Dense matrices in row-major order, and the products on them.
//!
//! Invariant: every product has the same bits for any number of threads.

use crate::fault::{NumericalFault, check_len};
use crate::lanes::kernels;
use crate::reduce;
use faer::linalg::matmul::matmul;
use faer::{Accum, MatMut, MatRef, Par};
use rayon::prelude::*;

/// Flops below which a product stays on the calling thread.
const PARALLEL_WORK: usize = 1 << 18;

/// A `rows` x `cols` matrix of `f64`; entry (i, j), counted from 0, is `data[i * cols + j]`.
#[derive(Clone, Debug, PartialEq, Default)]
pub struct Dense {
    /// Number of rows.
    pub rows: usize,
    /// Number of columns.
    pub cols: usize,
    /// Entries, row by row; `rows * cols` of them.
    pub data: Vec<f64>,
}

impl Dense {
    /// The zero matrix.
    pub fn zeros(rows: usize, cols: usize) -> Self {
        Dense {
            rows,
            cols,
            data: vec![0.0; rows * cols],
        }
    }

    /// The identity of order `n`.
    pub fn identity(n: usize) -> Self {
        Dense::from_fn(n, n, |i, j| if i == j { 1.0 } else { 0.0 })
    }

    /// Takes row-major `data`; fails unless it has `rows * cols` entries.
    pub fn from_rows(rows: usize, cols: usize, data: Vec<f64>) -> Result<Self, NumericalFault> {
        check_len("dense matrix", "entries", rows.saturating_mul(cols), data.len())?;
        Ok(Dense { rows, cols, data })
    }

    /// Builds a matrix entry by entry.
    pub fn from_fn(rows: usize, cols: usize, mut f: impl FnMut(usize, usize) -> f64) -> Self {
        let mut data = Vec::with_capacity(rows * cols);
        for i in 0..rows {
            for j in 0..cols {
                data.push(f(i, j));
            }
        }
        Dense { rows, cols, data }
    }

    /// Entry (i, j), counted from 0.
    pub fn at(&self, i: usize, j: usize) -> f64 {
        self.data[i * self.cols + j]
    }

    /// Sets entry (i, j), counted from 0.
    pub fn set(&mut self, i: usize, j: usize, value: f64) {
        self.data[i * self.cols + j] = value;
    }

    /// Row `i`, counted from 0, as a slice of length `cols`.
    pub fn row(&self, i: usize) -> &[f64] {
        &self.data[i * self.cols..(i + 1) * self.cols]
    }

    /// Row `i`, counted from 0, to be written.
    pub fn row_mut(&mut self, i: usize) -> &mut [f64] {
        &mut self.data[i * self.cols..(i + 1) * self.cols]
    }

    /// Column `j`, counted from 0, copied.
    pub fn column(&self, j: usize) -> Vec<f64> {
        (0..self.rows).map(|i| self.data[i * self.cols + j]).collect()
    }

    /// The diagonal, of length `min(rows, cols)`.
    pub fn diagonal(&self) -> Vec<f64> {
        (0..self.rows.min(self.cols))
            .map(|i| self.data[i * self.cols + i])
            .collect()
    }

    /// The transpose.
    pub fn transpose(&self) -> Dense {
        let mut t = Dense::zeros(self.cols, self.rows);
        for (i, row) in self.data.chunks_exact(self.cols.max(1)).enumerate() {
            for (j, v) in row.iter().enumerate() {
                t.data[j * self.rows + i] = *v;
            }
        }
        t
    }

    /// Fails with the first entry that is NaN or infinite.
    pub fn check_finite(&self) -> Result<(), NumericalFault> {
        match self.data.iter().position(|v| !v.is_finite()) {
            None => Ok(()),
            Some(k) => {
                let (i, j, v) = (k / self.cols + 1, k % self.cols + 1, self.data[k]);
                let what = format!("entry [{i}, {j}] of a matrix is {v}");
                Err(NumericalFault::new(what, "dense matrix", v))
            }
        }
    }

    /// Largest absolute difference between entries (i, j) and (j, i); infinite if not square.
    pub fn asymmetry(&self) -> f64 {
        if self.rows != self.cols {
            return f64::INFINITY;
        }
        let mut worst = 0.0f64;
        for i in 0..self.rows {
            for j in 0..i {
                worst = worst.max((self.data[i * self.cols + j] - self.data[j * self.cols + i]).abs());
            }
        }
        worst
    }

    /// y = A x, with `x` of length `cols` and `y` of length `rows`.
    ///
    /// # Panics
    /// If the lengths disagree (a programming error, not a matter of data).
    pub fn mul_vec(&self, x: &[f64], y: &mut [f64]) {
        times(&self.data, x, y);
    }

    /// y = A' x, with `x` of length `rows` and `y` of length `cols`.
    ///
    /// # Panics
    /// If the lengths disagree (a programming error, not a matter of data).
    pub fn mul_vec_transposed(&self, x: &[f64], y: &mut [f64]) {
        times_transposed(&self.data, x, y);
    }

    /// The product A B.
    ///
    /// # Panics
    /// If the inner sizes disagree.
    pub fn mul(&self, b: &Dense) -> Dense {
        assert_eq!(self.cols, b.rows, "sizes in A B");
        let mut c = Dense::zeros(self.rows, b.cols);
        matmul(
            c.view_mut(),
            Accum::Replace,
            self.view(),
            b.view(),
            1.0,
            parallelism(self.rows.saturating_mul(b.cols).saturating_mul(self.cols)),
        );
        c
    }

    /// The product A' B.
    ///
    /// # Panics
    /// If the numbers of rows disagree.
    pub fn transposed_mul(&self, b: &Dense) -> Dense {
        assert_eq!(self.rows, b.rows, "sizes in A' B");
        let mut c = Dense::zeros(self.cols, b.cols);
        matmul(
            c.view_mut(),
            Accum::Replace,
            self.view().transpose(),
            b.view(),
            1.0,
            parallelism(self.rows.saturating_mul(b.cols).saturating_mul(self.cols)),
        );
        c
    }

    /// A' diag(h) A with one weight per row, exactly symmetric.
    pub fn gram_weighted(&self, h: &[f64]) -> Dense {
        let mut scaled = self.clone();
        scaled.scale_rows(h);
        let mut g = self.transposed_mul(&scaled);
        for i in 0..g.rows {
            for j in 0..i {
                g.data[j * g.cols + i] = g.data[i * g.cols + j];
            }
        }
        g
    }

    /// Multiplies row i by `s[i]`.
    pub fn scale_rows(&mut self, s: &[f64]) {
        for (row, f) in self.data.chunks_exact_mut(self.cols.max(1)).zip(s) {
            row.iter_mut().for_each(|v| *v *= f);
        }
    }

    /// Multiplies column j by `s[j]`.
    pub fn scale_cols(&mut self, s: &[f64]) {
        for row in self.data.chunks_exact_mut(self.cols.max(1)) {
            row.iter_mut().zip(s).for_each(|(v, f)| *v *= f);
        }
    }

    /// alpha A + beta B for matrices of one shape.
    pub fn add(&self, alpha: f64, b: &Dense, beta: f64) -> Dense {
        let data = self
            .data
            .iter()
            .zip(&b.data)
            .map(|(x, y)| alpha * x + beta * y)
            .collect();
        Dense {
            rows: self.rows,
            cols: self.cols,
            data,
        }
    }

    /// Largest sum of absolute values in a column.
    pub fn norm_1(&self) -> f64 {
        let mut sums = vec![0.0; self.cols];
        for row in self.data.chunks_exact(self.cols.max(1)) {
            sums.iter_mut().zip(row).for_each(|(s, v)| *s += v.abs());
        }
        sums.into_iter().fold(0.0, f64::max)
    }

    pub(crate) fn view(&self) -> MatRef<'_, f64> {
        MatRef::from_row_major_slice(&self.data, self.rows, self.cols)
    }

    pub(crate) fn view_mut(&mut self) -> MatMut<'_, f64> {
        MatMut::from_row_major_slice_mut(&mut self.data, self.rows, self.cols)
    }

    pub(crate) fn from_view(m: MatRef<'_, f64>) -> Dense {
        Dense::from_fn(m.nrows(), m.ncols(), |i, j| m[(i, j)])
    }
}

/// How many threads faer may use for `flops` of a kernel whose bits do not depend on it.
pub(crate) fn parallelism(flops: usize) -> Par {
    if flops < PARALLEL_WORK || rayon::current_num_threads() == 1 {
        Par::Seq
    } else {
        Par::rayon(0)
    }
}

/// y = A x for the rows of A one after the other: the sum of each row goes through the tree of [`reduce::dot`].
///
/// # Panics
/// If the lengths disagree.
pub fn times(a: &[f64], x: &[f64], y: &mut [f64]) {
    let n = x.len();
    assert_eq!(a.len(), n * y.len(), "lengths in A x");
    if n == 0 {
        return y.fill(0.0);
    }
    let block = |y: &mut [f64], rows: &[f64]| {
        if n <= reduce::BLOCK {
            return (kernels().dots)(y, rows, x);
        }
        for (out, row) in y.iter_mut().zip(rows.chunks_exact(n)) {
            *out = reduce::dot(row, x);
        }
    };
    if alone(a.len()) {
        block(y, a);
    } else {
        let rows = (PARALLEL_WORK / 8 / n).max(1);
        y.par_chunks_mut(rows)
            .zip(a.par_chunks(rows * n))
            .for_each(|(y, rows)| block(y, rows));
    }
}

/// y = A' x for the rows of A one after the other: each entry of y is summed over the rows in order, whoever does it.
///
/// # Panics
/// If the lengths disagree.
pub fn times_transposed(a: &[f64], x: &[f64], y: &mut [f64]) {
    let n = y.len();
    assert_eq!(a.len(), n * x.len(), "lengths in A' x");
    let add = kernels().accumulate_scaled;
    let stripe = |first: usize, out: &mut [f64]| {
        out.fill(0.0);
        for (i, xi) in x.iter().enumerate() {
            add(out, &a[i * n + first..][..out.len()], *xi);
        }
    };
    // Columns of one task.
    const STRIPE: usize = 64;
    if alone(a.len()) {
        stripe(0, y);
    } else {
        y.par_chunks_mut(STRIPE)
            .enumerate()
            .for_each(|(c, out)| stripe(c * STRIPE, out));
    }
}

/// Is a product with so many entries done by one thread?
fn alone(entries: usize) -> bool {
    entries < PARALLEL_WORK || rayon::current_num_threads() == 1
}
