//! Residuals in doubled working precision: error-free sums and products of two doubles.
//!
//! Invariant: a residual computed here has an error of about 2^-105 of the size of its terms; entries of the matrix are
//! below 2^900 (callers scale), so that splitting does not overflow.
//!
//! Source: T. Ogita, S. Rump, S. Oishi, "Accurate sum and dot product", SIAM J. Sci. Comput. 26, 2005; T. Dekker, 1971.

#![allow(
    unsafe_code,
    reason = "calls into functions compiled for instructions that were detected"
)]

use std::sync::OnceLock;

use crate::matrix::Matrix;
use rayon::prelude::*;

/// 2^-53 squared: what a doubled operation loses.
pub(crate) const DOUBLED_UNIT: f64 = f64::EPSILON * f64::EPSILON / 4.0;
/// Columns that a thread takes at once.
const STRIPE: usize = 128;
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

/// Sums of a row: as many chains of additions run side by side.
const CHAINS: usize = 16;

/// One step of a doubled sum of products.
#[inline(always)]
fn add<const FUSED: bool>(s: &mut f64, c: &mut f64, a: f64, hi: f64, lo: f64) {
    let (p, e) = if FUSED {
        // The rounding error of a product is a number, so both ways give the same one.
        let p = a * hi;
        (p, a.mul_add(hi, -p))
    } else {
        two_prod(a, hi)
    };
    let (t, f) = two_sum(*s, p);
    *s = t;
    *c += f + (e + a * lo);
}

#[inline(always)]
fn dot_body<const FUSED: bool>(a: &[f64], hi: &[f64], lo: &[f64]) -> (f64, f64) {
    let (mut s, mut c) = ([0.0; CHAINS], [0.0; CHAINS]);
    let n = a.len() - a.len() % CHAINS;
    let blocks = a[..n]
        .chunks_exact(CHAINS)
        .zip(hi[..n].chunks_exact(CHAINS))
        .zip(lo[..n].chunks_exact(CHAINS));
    for ((a, hi), lo) in blocks {
        for k in 0..CHAINS {
            add::<FUSED>(&mut s[k], &mut c[k], a[k], hi[k], lo[k]);
        }
    }
    for (k, j) in (n..a.len()).enumerate() {
        add::<FUSED>(&mut s[k], &mut c[k], a[j], hi[j], lo[j]);
    }
    let mut half = CHAINS / 2;
    while half > 0 {
        for k in 0..half {
            let (t, f) = two_sum(s[k], s[k + half]);
            s[k] = t;
            c[k] += c[k + half] + f;
        }
        half /= 2;
    }
    (s[0], c[0])
}

#[inline(always)]
fn add_row_body<const FUSED: bool>(s: &mut [f64], c: &mut [f64], row: &[f64], hi: f64, lo: f64) {
    for ((s, c), a) in s.iter_mut().zip(c).zip(row) {
        add::<FUSED>(s, c, *a, hi, lo);
    }
}

/// Doubled sums of products with the instructions of this processor.
struct Kernels {
    /// `Σ a (hi + lo)`.
    dot: fn(&[f64], &[f64], &[f64]) -> (f64, f64),
    /// `s + c += row · (hi + lo)`.
    add_row: fn(&mut [f64], &mut [f64], &[f64], f64, f64),
}

#[cfg(target_arch = "x86_64")]
mod fused {
    use super::{add_row_body, dot_body};

    #[target_feature(enable = "avx512f,fma")]
    fn dot_512(a: &[f64], hi: &[f64], lo: &[f64]) -> (f64, f64) {
        dot_body::<true>(a, hi, lo)
    }
    #[target_feature(enable = "avx512f,fma")]
    fn add_row_512(s: &mut [f64], c: &mut [f64], row: &[f64], hi: f64, lo: f64) {
        add_row_body::<true>(s, c, row, hi, lo);
    }
    #[target_feature(enable = "avx2,fma")]
    fn dot_256(a: &[f64], hi: &[f64], lo: &[f64]) -> (f64, f64) {
        dot_body::<true>(a, hi, lo)
    }
    #[target_feature(enable = "avx2,fma")]
    fn add_row_256(s: &mut [f64], c: &mut [f64], row: &[f64], hi: f64, lo: f64) {
        add_row_body::<true>(s, c, row, hi, lo);
    }

    pub(super) fn chosen() -> Option<super::Kernels> {
        let fma = is_x86_feature_detected!("fma");
        if fma && is_x86_feature_detected!("avx512f") {
            // SAFETY: the processor has both.
            return Some(super::Kernels {
                dot: |a, hi, lo| unsafe { dot_512(a, hi, lo) },
                add_row: |s, c, row, hi, lo| unsafe { add_row_512(s, c, row, hi, lo) },
            });
        }
        // SAFETY: the processor has both.
        (fma && is_x86_feature_detected!("avx2")).then_some(super::Kernels {
            dot: |a, hi, lo| unsafe { dot_256(a, hi, lo) },
            add_row: |s, c, row, hi, lo| unsafe { add_row_256(s, c, row, hi, lo) },
        })
    }
}

fn kernels() -> &'static Kernels {
    static CHOSEN: OnceLock<Kernels> = OnceLock::new();
    CHOSEN.get_or_init(|| {
        #[cfg(target_arch = "x86_64")]
        if let Some(k) = fused::chosen() {
            return k;
        }
        Kernels {
            dot: dot_body::<false>,
            add_row: add_row_body::<false>,
        }
    })
}

/// b - A x, with doubled b and x and a doubled result.
pub(crate) fn residual(a: &Matrix, x: &Doubled, b: &Doubled) -> Doubled {
    let row = |i: usize| {
        let (s, c) = match a {
            Matrix::Dense(a) => (kernels().dot)(a.row(i), &x.hi, &x.lo),
            Matrix::Sparse(a) => {
                let (mut s, mut c) = (0.0, 0.0);
                for (j, v) in a.entries(i) {
                    add::<false>(&mut s, &mut c, v, x.hi[j], x.lo[j]);
                }
                (s, c)
            }
        };
        let (t, f) = two_sum(b.hi[i], -s);
        two_sum(t, f + (b.lo[i] - c))
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
    let (mut s, mut c) = (vec![0.0; n], vec![0.0; n]);
    match a {
        Matrix::Dense(a) => {
            let stripe = |first: usize, s: &mut [f64], c: &mut [f64]| {
                for i in 0..a.rows {
                    let row = &a.data[i * a.cols + first..][..s.len()];
                    (kernels().add_row)(s, c, row, r.hi[i], r.lo[i]);
                }
            };
            if a.data.len() < PARALLEL_WORK {
                stripe(0, &mut s, &mut c);
            } else {
                s.par_chunks_mut(STRIPE)
                    .zip(c.par_chunks_mut(STRIPE))
                    .enumerate()
                    .for_each(|(k, (s, c))| stripe(STRIPE * k, s, c));
            }
        }
        Matrix::Sparse(a) => {
            for (i, j, v) in a.triplets() {
                add::<false>(&mut s[j], &mut c[j], v, r.hi[i], r.lo[i]);
            }
        }
    }
    let (hi, lo) = s.into_iter().zip(c).map(|(s, c)| two_sum(s, c)).unzip();
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
