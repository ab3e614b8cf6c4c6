//! Dense row-major matrices.
//!
//! Invariant: `data.len() == rows·cols`; products add in an order fixed by the shapes.

use crate::reduce;

/// A dense row-major matrix.
#[derive(Clone, Debug, PartialEq)]
pub struct Dense {
    /// Number of rows.
    pub rows: usize,
    /// Number of columns.
    pub cols: usize,
    /// Entries, row-major.
    pub data: Vec<f64>,
}

impl Dense {
    /// The zero matrix.
    pub fn zeros(rows: usize, cols: usize) -> Dense {
        Dense {
            rows,
            cols,
            data: vec![0.0; rows * cols],
        }
    }
    /// The entry in row `i`, column `j`.
    pub fn at(&self, i: usize, j: usize) -> f64 {
        self.data[i * self.cols + j]
    }
    /// Row `i`.
    pub fn row(&self, i: usize) -> &[f64] {
        &self.data[i * self.cols..(i + 1) * self.cols]
    }
    /// The transpose.
    pub fn transpose(&self) -> Dense {
        let mut t = Dense::zeros(self.cols, self.rows);
        for i in 0..self.rows {
            for j in 0..self.cols {
                t.data[j * self.rows + i] = self.data[i * self.cols + j];
            }
        }
        t
    }
    /// `y = A x`; `x` has `cols` entries, `y` has `rows`.
    pub fn mul_vec(&self, x: &[f64], y: &mut [f64]) {
        for (i, y) in y.iter_mut().enumerate().take(self.rows) {
            *y = reduce::dot(self.row(i), x);
        }
    }
    /// `y = A' x`; `x` has `rows` entries, `y` has `cols`.
    pub fn mul_vec_transposed(&self, x: &[f64], y: &mut [f64]) {
        y.fill(0.0);
        for (i, xi) in x.iter().enumerate().take(self.rows) {
            for (y, a) in y.iter_mut().zip(self.row(i)) {
                *y += xi * a;
            }
        }
    }
}
