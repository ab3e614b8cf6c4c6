//! Residuals in doubled working precision: error-free sums and products of two doubles.
//!
//! Invariant: a residual computed here has an error of about 2^-105 of the size of its terms; entries of the matrix are
//! below 2^900 (callers scale), so that splitting does not overflow.
//!
//! Source: T. Ogita, S. Rump, S. Oishi, "Accurate sum and dot product", SIAM J. Sci. Comput. 26, 2005; T. Dekker, 1971.

use crate::matrix::Matrix;
use rayon::prelude::*;

/// 2^-53 squared: what a doubled operation loses.
pub(crate) const DOUBLED_UNIT: f64 = f64::EPSILON * f64::EPSILON / 4.0;
/// Entries above which rows are shared among threads (each entry costs about twenty operations here).
const PARALLEL_WORK: usize = 1 << 14;

/// The sum and its rounding error.
#[inline(always)]
pub(crate) fn two_sum(a: f64, b: f64) -> (f64, f64) {
    let s = a + b;
    let t = s - a;
    (s, (a - (s - t)) + (b - t))
}

/// High and low halves of the digits.
#[inline(always)]
fn split(a: f64) -> (f64, f64) {
    let t = 134_217_729.0 * a; // 2^27 + 1
    let high = t - (t - a);
    (high, a - high)
}

/// The product and its rounding error.
#[inline(always)]
pub(crate) fn two_prod(a: f64, b: f64) -> (f64, f64) {
    let p = a * b;
    let ((ah, al), (bh, bl)) = (split(a), split(b));
    (p, al * bl - (((p - ah * bh) - al * bh) - ah * bl))
}

/// A vector of unevaluated sums `hi + lo`, |lo| at most half a unit of the last place of hi.
#[derive(Clone, Debug, Default)]
pub(crate) struct Doubled {
    pub hi: Vec<f64>,
    pub lo: Vec<f64>,
}

impl Doubled {
    pub fn zeros(n: usize) -> Self {
        Doubled {
            hi: vec![0.0; n],
            lo: vec![0.0; n],
        }
    }

    pub fn from_slice(v: &[f64]) -> Self {
        Doubled {
            hi: v.to_vec(),
            lo: vec![0.0; v.len()],
        }
    }

    pub fn add(&mut self, d: &[f64]) {
        for i in 0..d.len() {
            let (s, e) = two_sum(self.hi[i], d[i]);
            (self.hi[i], self.lo[i]) = two_sum(s, e + self.lo[i]);
        }
    }
}

/// Sum of products on top of a start value, both doubled.
#[derive(Clone, Copy)]
struct Sum {
    s: f64,
    c: f64,
}

impl Sum {
    #[inline(always)]
    fn add(&mut self, a: f64, hi: f64, lo: f64) {
        let (p, e) = two_prod(a, hi);
        let (s, f) = two_sum(self.s, p);
        self.s = s;
        self.c += f + (e + a * lo);
    }
}

/// b - A x, with doubled b and x and a doubled result.
pub(crate) fn residual(a: &Matrix, x: &Doubled, b: &Doubled) -> Doubled {
    let row = |i: usize| {
        let mut sum = Sum { s: b.hi[i], c: b.lo[i] };
        match a {
            Matrix::Dense(a) => {
                for (j, v) in a.row(i).iter().enumerate() {
                    sum.add(-v, x.hi[j], x.lo[j]);
                }
            }
            Matrix::Sparse(a) => {
                for (j, v) in a.entries(i) {
                    sum.add(-v, x.hi[j], x.lo[j]);
                }
            }
        }
        two_sum(sum.s, sum.c)
    };
    let m = a.rows();
    let work = match a {
        Matrix::Dense(a) => a.data.len(),
        Matrix::Sparse(a) => a.nnz(),
    };
    let pairs: Vec<(f64, f64)> = if work < PARALLEL_WORK {
        (0..m).map(row).collect()
    } else {
        let per_task = (m * (PARALLEL_WORK / 2) / work).max(1);
        (0..m).into_par_iter().with_min_len(per_task).map(row).collect()
    };
    let (hi, lo) = pairs.into_iter().unzip();
    Doubled { hi, lo }
}

/// A' r, with doubled r and a doubled result.
pub(crate) fn transposed_product(a: &Matrix, r: &Doubled) -> Doubled {
    let n = a.cols();
    let mut sums = vec![Sum { s: 0.0, c: 0.0 }; n];
    match a {
        Matrix::Dense(a) => {
            let stripe = |first: usize, out: &mut [Sum]| {
                for i in 0..a.rows {
                    let row = &a.data[i * a.cols + first..][..out.len()];
                    for (sum, v) in out.iter_mut().zip(row) {
                        sum.add(*v, r.hi[i], r.lo[i]);
                    }
                }
            };
            if a.data.len() < PARALLEL_WORK {
                stripe(0, &mut sums);
            } else {
                sums.par_chunks_mut(32)
                    .enumerate()
                    .for_each(|(k, out)| stripe(32 * k, out));
            }
        }
        Matrix::Sparse(a) => {
            for (i, j, v) in a.triplets() {
                sums[j].add(v, r.hi[i], r.lo[i]);
            }
        }
    }
    let (hi, lo) = sums.into_iter().map(|s| two_sum(s.s, s.c)).unzip();
    Doubled { hi, lo }
}

/// |b| + |A| |x|: the size of the terms of a residual.
pub(crate) fn residual_terms(a: &Matrix, x: &[f64], b: &[f64]) -> Vec<f64> {
    (0..a.rows())
        .map(|i| match a {
            Matrix::Dense(a) => a.row(i).iter().zip(x).fold(b[i].abs(), |s, (v, x)| s + (v * x).abs()),
            Matrix::Sparse(a) => a.entries(i).fold(b[i].abs(), |s, (j, v)| s + (v * x[j]).abs()),
        })
        .collect()
}

/// |A|' |r|: the size of the terms of a transposed product.
pub(crate) fn transposed_terms(a: &Matrix, r: &[f64]) -> Vec<f64> {
    let mut out = vec![0.0; a.cols()];
    for i in 0..a.rows() {
        match a {
            Matrix::Dense(a) => out.iter_mut().zip(a.row(i)).for_each(|(o, v)| *o += (v * r[i]).abs()),
            Matrix::Sparse(a) => a.entries(i).for_each(|(j, v)| out[j] += (v * r[i]).abs()),
        }
    }
    out
}
