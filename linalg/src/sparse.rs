//! Sparse matrices in compressed rows, and the products on them.
//!
//! Invariant: rows are sorted by column without duplicates, and every product has the same bits for any number of threads.

use crate::dense::Dense;
use crate::fault::{NumericalFault, check_len};
use rayon::prelude::*;

/// Stored entries below which a product stays on the calling thread.
const PARALLEL_NNZ: usize = 1 << 15;
/// Row blocks of a transposed product; fixed, so that the partial sums do not depend on the threads.
const TRANSPOSED_BLOCKS: usize = 8;

/// A `rows` x `cols` matrix of `f64` in compressed rows; stored zeros are part of the pattern.
///
/// Row i, counted from 0, holds `values[k]` at column `indices[k]` for `k` in `indptr[i]..indptr[i + 1]`.
#[derive(Clone, Debug, PartialEq)]
pub struct Csr {
    /// Number of rows.
    pub rows: usize,
    /// Number of columns.
    pub cols: usize,
    /// Start of each row in `indices` and `values`; `rows + 1` numbers.
    pub indptr: Vec<usize>,
    /// Columns, increasing inside a row.
    pub indices: Vec<usize>,
    /// Values, one per column index.
    pub values: Vec<f64>,
}

impl Csr {
    /// The matrix without stored entries.
    pub fn zeros(rows: usize, cols: usize) -> Self {
        Csr {
            rows,
            cols,
            indptr: vec![0; rows + 1],
            indices: Vec::new(),
            values: Vec::new(),
        }
    }

    /// The identity of order `n`.
    pub fn identity(n: usize) -> Self {
        Csr::from_diagonal(&vec![1.0; n])
    }

    /// The square matrix with `d` on its diagonal.
    pub fn from_diagonal(d: &[f64]) -> Self {
        Csr {
            rows: d.len(),
            cols: d.len(),
            indptr: (0..=d.len()).collect(),
            indices: (0..d.len()).collect(),
            values: d.to_vec(),
        }
    }

    /// Builds a matrix from (row, column, value), counted from 0; duplicates are summed in the order given.
    /// Entries outside the shape are a mistake of the caller and are dropped.
    pub fn from_triplets(rows: usize, cols: usize, triplets: &[(usize, usize, f64)]) -> Csr {
        let inside = |t: &&(usize, usize, f64)| t.0 < rows && t.1 < cols;
        let mut start = vec![0usize; rows + 1];
        for &(i, _, _) in triplets.iter().filter(inside) {
            start[i + 1] += 1;
        }
        for i in 0..rows {
            start[i + 1] += start[i];
        }
        let mut next = start.clone();
        let mut bucket = vec![(0usize, 0.0f64); start[rows]];
        for &(i, j, v) in triplets.iter().filter(inside) {
            bucket[next[i]] = (j, v);
            next[i] += 1;
        }
        let mut out = Csr::zeros(rows, cols);
        out.indices.reserve(triplets.len());
        out.values.reserve(triplets.len());
        for i in 0..rows {
            let row = &mut bucket[start[i]..start[i + 1]];
            row.sort_by_key(|e| e.0); // stable: equal columns keep their order
            for &(j, v) in row.iter() {
                if out.indices.len() > out.indptr[i] && out.indices.last() == Some(&j) {
                    if let Some(last) = out.values.last_mut() {
                        *last += v;
                    }
                } else {
                    out.indices.push(j);
                    out.values.push(v);
                }
            }
            out.indptr[i + 1] = out.indices.len();
        }
        out
    }

    /// Takes the three arrays of compressed rows; fails unless they describe sorted rows without duplicates.
    pub fn from_parts(
        rows: usize,
        cols: usize,
        indptr: Vec<usize>,
        indices: Vec<usize>,
        values: Vec<f64>,
    ) -> Result<Self, NumericalFault> {
        check_len("sparse matrix", "row starts", rows + 1, indptr.len())?;
        check_len("sparse matrix", "values", indices.len(), values.len())?;
        check_len("sparse matrix", "end of the last row", indices.len(), indptr[rows])?;
        let bad = |i: usize| {
            NumericalFault::new(
                format!("row {} is not sorted inside the shape", i + 1),
                "sparse matrix",
                i as f64,
            )
        };
        if indptr[0] != 0 {
            return Err(bad(0));
        }
        for i in 0..rows {
            if indptr[i] > indptr[i + 1] || indptr[i + 1] > indices.len() {
                return Err(bad(i));
            }
            let row = &indices[indptr[i]..indptr[i + 1]];
            if row.windows(2).any(|w| w[0] >= w[1]) || row.last().is_some_and(|&j| j >= cols) {
                return Err(bad(i));
            }
        }
        Ok(Csr {
            rows,
            cols,
            indptr,
            indices,
            values,
        })
    }

    /// The nonzero entries of a dense matrix.
    pub fn from_dense(a: &Dense) -> Self {
        let mut out = Csr::zeros(a.rows, a.cols);
        for i in 0..a.rows {
            for (j, &v) in a.row(i).iter().enumerate() {
                if v != 0.0 {
                    out.indices.push(j);
                    out.values.push(v);
                }
            }
            out.indptr[i + 1] = out.indices.len();
        }
        out
    }

    /// All entries, zeros included.
    pub fn to_dense(&self) -> Dense {
        let mut d = Dense::zeros(self.rows, self.cols);
        for i in 0..self.rows {
            for (j, v) in self.entries(i) {
                d.data[i * self.cols + j] = v;
            }
        }
        d
    }

    /// Number of stored entries.
    pub fn nnz(&self) -> usize {
        self.values.len()
    }

    /// Columns and values of row `i`, counted from 0.
    pub fn row(&self, i: usize) -> (&[usize], &[f64]) {
        let range = self.indptr[i]..self.indptr[i + 1];
        (&self.indices[range.clone()], &self.values[range])
    }

    /// The (column, value) pairs of row `i`, counted from 0.
    pub fn entries(&self, i: usize) -> impl Iterator<Item = (usize, f64)> + '_ {
        let (cols, vals) = self.row(i);
        cols.iter().copied().zip(vals.iter().copied())
    }

    /// All entries as (row, column, value), row by row.
    pub fn triplets(&self) -> impl Iterator<Item = (usize, usize, f64)> + '_ {
        (0..self.rows).flat_map(move |i| self.entries(i).map(move |(j, v)| (i, j, v)))
    }

    /// Entry (i, j), counted from 0; 0 where none is stored or outside the matrix.
    pub fn get(&self, i: usize, j: usize) -> f64 {
        if i >= self.rows {
            return 0.0;
        }
        let (cols, vals) = self.row(i);
        cols.binary_search(&j).map_or(0.0, |k| vals[k])
    }

    /// The diagonal, of length `min(rows, cols)`.
    pub fn diagonal(&self) -> Vec<f64> {
        (0..self.rows.min(self.cols)).map(|i| self.get(i, i)).collect()
    }

    /// Fails with the first stored entry that is NaN or infinite.
    pub fn check_finite(&self) -> Result<(), NumericalFault> {
        match self.triplets().find(|(_, _, v)| !v.is_finite()) {
            None => Ok(()),
            Some((i, j, v)) => Err(NumericalFault::new(
                format!("entry [{}, {}] of a matrix is {v}", i + 1, j + 1),
                "sparse matrix",
                v,
            )),
        }
    }

    /// The transpose.
    pub fn transpose(&self) -> Csr {
        let mut indptr = vec![0usize; self.cols + 1];
        for &j in &self.indices {
            indptr[j + 1] += 1;
        }
        for j in 0..self.cols {
            indptr[j + 1] += indptr[j];
        }
        let mut next = indptr.clone();
        let mut indices = vec![0usize; self.nnz()];
        let mut values = vec![0.0; self.nnz()];
        for (i, j, v) in self.triplets() {
            indices[next[j]] = i;
            values[next[j]] = v;
            next[j] += 1;
        }
        Csr {
            rows: self.cols,
            cols: self.rows,
            indptr,
            indices,
            values,
        }
    }

    /// Largest absolute difference between entries (i, j) and (j, i); infinite if not square.
    pub fn asymmetry(&self) -> f64 {
        if self.rows != self.cols {
            return f64::INFINITY;
        }
        self.triplets()
            .map(|(i, j, v)| (v - self.get(j, i)).abs())
            .fold(0.0, f64::max)
    }

    /// The entries with row >= column.
    pub fn lower_triangle(&self) -> Csr {
        self.filter(|i, j| i >= j)
    }

    /// The entries with row <= column.
    pub fn upper_triangle(&self) -> Csr {
        self.filter(|i, j| i <= j)
    }

    fn filter(&self, keep: impl Fn(usize, usize) -> bool) -> Csr {
        let mut out = Csr::zeros(self.rows, self.cols);
        for i in 0..self.rows {
            for (j, v) in self.entries(i).filter(|e| keep(i, e.0)) {
                out.indices.push(j);
                out.values.push(v);
            }
            out.indptr[i + 1] = out.indices.len();
        }
        out
    }

    /// y = A x, with `x` of length `cols` and `y` of length `rows`.
    ///
    /// # Panics
    /// If the lengths disagree (a programming error, not a matter of data).
    pub fn mul_vec(&self, x: &[f64], y: &mut [f64]) {
        assert_eq!((x.len(), y.len()), (self.cols, self.rows), "lengths in A x");
        let one = |i: usize, out: &mut f64| {
            let (cols, vals) = self.row(i);
            let mut s = 0.0;
            for (&j, v) in cols.iter().zip(vals) {
                s += v * x[j];
            }
            *out = s;
        };
        if self.nnz() < PARALLEL_NNZ {
            y.iter_mut().enumerate().for_each(|(i, out)| one(i, out));
        } else {
            let per_task = (self.rows * (PARALLEL_NNZ / 4) / self.nnz()).max(1);
            y.par_iter_mut()
                .enumerate()
                .with_min_len(per_task)
                .for_each(|(i, out)| one(i, out));
        }
    }

    /// y = A' x, with `x` of length `rows` and `y` of length `cols`.
    ///
    /// # Panics
    /// If the lengths disagree (a programming error, not a matter of data).
    pub fn mul_vec_transposed(&self, x: &[f64], y: &mut [f64]) {
        assert_eq!((x.len(), y.len()), (self.rows, self.cols), "lengths in A' x");
        let scatter = |rows: std::ops::Range<usize>, out: &mut [f64]| {
            for i in rows {
                for (j, v) in self.entries(i) {
                    out[j] += v * x[i];
                }
            }
        };
        y.fill(0.0);
        // A copy of y per block pays only where each column has many entries.
        if self.nnz() < PARALLEL_NNZ || self.nnz() < 4 * TRANSPOSED_BLOCKS * self.cols {
            scatter(0..self.rows, y);
            return;
        }
        let partial: Vec<Vec<f64>> = (0..TRANSPOSED_BLOCKS)
            .into_par_iter()
            .map(|b| {
                let mut out = vec![0.0; self.cols];
                scatter(
                    self.rows * b / TRANSPOSED_BLOCKS..self.rows * (b + 1) / TRANSPOSED_BLOCKS,
                    &mut out,
                );
                out
            })
            .collect();
        for p in &partial {
            y.iter_mut().zip(p).for_each(|(a, b)| *a += b);
        }
    }

    /// The product A B, sparse.
    ///
    /// Row by row (F. Gustavson, "Two fast algorithms for sparse matrices", ACM TOMS 4, 1978).
    pub fn mul(&self, b: &Csr) -> Csr {
        // Jacobians are chains of products with matrices that only choose rows or place columns.
        if self.cols == b.rows && b.chooses() && b.indices.windows(2).all(|w| w[0] < w[1]) {
            let mut out = self.clone();
            out.indices.iter_mut().for_each(|j| *j = b.indices[*j]);
            out.cols = b.cols;
            return out;
        }
        if self.rows == b.rows && self.chooses() && self.indices.iter().copied().eq(0..b.rows) {
            return b.clone();
        }
        self.weighted_product(b, |_, x, y| x * y)
    }

    /// Is each row one entry that is 1?
    fn chooses(&self) -> bool {
        self.nnz() == self.rows
            && self.indptr.iter().copied().eq(0..=self.rows)
            && self.values.iter().all(|v| *v == 1.0)
    }

    /// A' diag(h) A with one weight per row, exactly symmetric, both triangles stored.
    pub fn gram_weighted(&self, h: &[f64]) -> Csr {
        // The weight last: h (x y) is the same number for (i, j) and (j, i).
        self.transpose().weighted_product(self, |k, x, y| h[k] * (x * y))
    }

    fn weighted_product(&self, b: &Csr, term: impl Fn(usize, f64, f64) -> f64) -> Csr {
        let mut out = Csr::zeros(self.rows, b.cols);
        let mut sum = vec![0.0; b.cols];
        let mut seen = vec![usize::MAX; b.cols];
        let mut cols = Vec::new();
        for i in 0..self.rows {
            cols.clear();
            for (k, x) in self.entries(i) {
                for (j, y) in b.entries(k) {
                    if seen[j] != i {
                        seen[j] = i;
                        sum[j] = 0.0;
                        cols.push(j);
                    }
                    sum[j] += term(k, x, y);
                }
            }
            cols.sort_unstable();
            out.indices.extend_from_slice(&cols);
            out.values.extend(cols.iter().map(|&j| sum[j]));
            out.indptr[i + 1] = out.indices.len();
        }
        out
    }

    /// The product A B with dense B and result.
    pub fn mul_dense(&self, b: &Dense) -> Dense {
        let mut c = Dense::zeros(self.rows, b.cols);
        if b.cols == 0 {
            return c;
        }
        let one = |i: usize, out: &mut [f64]| {
            for (k, v) in self.entries(i) {
                out.iter_mut().zip(b.row(k)).for_each(|(o, x)| *o += v * x);
            }
        };
        if self.nnz().saturating_mul(b.cols) < PARALLEL_NNZ {
            c.data
                .chunks_exact_mut(b.cols)
                .enumerate()
                .for_each(|(i, out)| one(i, out));
        } else {
            c.data
                .par_chunks_exact_mut(b.cols)
                .enumerate()
                .for_each(|(i, out)| one(i, out));
        }
        c
    }

    /// The block of these rows and columns.
    pub fn part(&self, rows: std::ops::Range<usize>, columns: std::ops::Range<usize>) -> Csr {
        let mut out = Csr::zeros(0, columns.len());
        for i in rows {
            for (j, v) in self.entries(i).filter(|e| columns.contains(&e.0)) {
                out.indices.push(j - columns.start);
                out.values.push(v);
            }
            out.indptr.push(out.indices.len());
            out.rows += 1;
        }
        out
    }

    /// Multiplies row i by `s[i]`.
    pub fn scale_rows(&mut self, s: &[f64]) {
        for i in 0..self.rows {
            self.values[self.indptr[i]..self.indptr[i + 1]]
                .iter_mut()
                .for_each(|v| *v *= s[i]);
        }
    }

    /// Multiplies column j by `s[j]`.
    pub fn scale_cols(&mut self, s: &[f64]) {
        self.values.iter_mut().zip(&self.indices).for_each(|(v, &j)| *v *= s[j]);
    }

    /// alpha A + beta B on the union of the patterns, for matrices of one shape.
    pub fn add(&self, alpha: f64, b: &Csr, beta: f64) -> Csr {
        let mut out = Csr::zeros(self.rows, self.cols);
        for i in 0..self.rows {
            let ((ca, va), (cb, vb)) = (self.row(i), b.row(i));
            let (mut p, mut q) = (0, 0);
            while p < ca.len() || q < cb.len() {
                let take_a = q == cb.len() || (p < ca.len() && ca[p] <= cb[q]);
                let take_b = p == ca.len() || (q < cb.len() && cb[q] <= ca[p]);
                let mut v = 0.0;
                let j = if take_a { ca[p] } else { cb[q] };
                if take_a {
                    v += alpha * va[p];
                    p += 1;
                }
                if take_b {
                    v += beta * vb[q];
                    q += 1;
                }
                out.indices.push(j);
                out.values.push(v);
            }
            out.indptr[i + 1] = out.indices.len();
        }
        out
    }

    /// Rows of A above rows of B, which has as many columns.
    pub fn stack(&self, b: &Csr) -> Csr {
        let mut out = self.clone();
        out.rows += b.rows;
        out.indptr.extend(b.indptr[1..].iter().map(|p| p + self.nnz()));
        out.indices.extend_from_slice(&b.indices);
        out.values.extend_from_slice(&b.values);
        out
    }

    /// Largest sum of absolute values in a column.
    pub fn norm_1(&self) -> f64 {
        let mut sums = vec![0.0f64; self.cols];
        for (&j, v) in self.indices.iter().zip(&self.values) {
            sums[j] += v.abs();
        }
        sums.into_iter().fold(0.0, f64::max)
    }
}
