//! Preconditioners: cheap approximations of the inverse of a symmetric positive definite matrix.
//!
//! Invariant: each is a fixed, symmetric positive definite linear map, so that conjugate gradients and their bounds hold.
//!
//! Sources: J. Meijerink and H. van der Vorst, Math. Comp. 31, 1977, and the shift of T. Manteuffel, Math. Comp. 34, 1980,
//! for incomplete Cholesky; A. van der Sluis, Numerische Mathematik 14, 1969, for the diagonal.

use crate::fault::{NumericalFault, check_len};
use crate::reduce::norm2;
use crate::refine::sign;
use crate::sparse::Csr;

/// A fixed approximation of an inverse.
#[derive(Clone, Debug, PartialEq)]
pub enum Preconditioner {
    /// None.
    Identity,
    /// One factor per coordinate, all positive.
    Diagonal(Vec<f64>),
    /// L^-T L^-1.
    Incomplete(IncompleteCholesky),
}

impl Preconditioner {
    /// z = M r.
    pub fn apply(&self, r: &[f64], z: &mut [f64]) {
        match self {
            Preconditioner::Identity => z.copy_from_slice(r),
            Preconditioner::Diagonal(d) => {
                for ((z, r), d) in z.iter_mut().zip(r).zip(d) {
                    *z = r * d;
                }
            }
            Preconditioner::Incomplete(f) => {
                z.copy_from_slice(r);
                f.solve(z);
            }
        }
    }

    /// The largest eigenvalue of M, exact for a diagonal, for an incomplete factor from below and usually within some
    /// per cent.
    pub fn norm(&self, n: usize) -> f64 {
        match self {
            Preconditioner::Identity => 1.0,
            Preconditioner::Diagonal(d) => d.iter().fold(0.0, |m: f64, v| m.max(*v)),
            Preconditioner::Incomplete(_) => {
                let mut v: Vec<f64> = (0..n).map(|i| sign(i, 5) * (1.0 + (i % 11) as f64 / 11.0)).collect();
                let mut found = 0.0;
                let mut z = vec![0.0; n];
                for _ in 0..20 {
                    let length = norm2(&v);
                    if !(length > 0.0 && length.is_finite()) {
                        break;
                    }
                    v.iter_mut().for_each(|x| *x /= length);
                    self.apply(&v, &mut z);
                    std::mem::swap(&mut v, &mut z);
                    found = norm2(&v);
                }
                found
            }
        }
    }
}

/// 1 over the diagonal of a symmetric matrix; fails where an entry is not positive, which no positive definite matrix has.
pub fn jacobi(diagonal: &[f64]) -> Result<Vec<f64>, NumericalFault> {
    match diagonal.iter().position(|d| !(*d > 0.0 && d.is_finite())) {
        Some(i) => Err(NumericalFault::new(
            format!("diagonal entry {} is {:e}, not positive", i + 1, diagonal[i]),
            "Jacobi preconditioner",
            diagonal[i],
        )),
        None => Ok(diagonal.iter().map(|d| 1.0 / d).collect()),
    }
}

/// L with L L' near A and the pattern of A's lower triangle.
#[derive(Clone, Debug, PartialEq)]
pub struct IncompleteCholesky {
    l: Csr,
    /// L' by rows, for the second solve.
    upper: Csr,
    /// What was added to the diagonal, relative to it, so that no pivot broke down.
    pub shift: f64,
}

impl IncompleteCholesky {
    /// Factors the symmetric matrix `a`, both triangles stored. A pivot that breaks down is met by adding a multiple of
    /// the diagonal, doubled until none does; a diagonal entry that is not positive is a fault.
    pub fn new(a: &Csr) -> Result<Self, NumericalFault> {
        const PLACE: &str = "incomplete Cholesky";
        const FIRST_SHIFT: f64 = 1e-3;
        check_len(PLACE, "columns of a square matrix", a.rows, a.cols)?;
        a.check_finite()?;
        jacobi(&a.diagonal()).map_err(|f| NumericalFault { place: PLACE, ..f })?;
        let lower = a.lower_triangle();
        let mut shift = 0.0;
        // A shift of 1 makes the scaled matrix I + A/diag, doubled a few times more it is dominated by its diagonal.
        for _ in 0..30 {
            if let Some(l) = factor(&lower, shift) {
                return Ok(IncompleteCholesky {
                    upper: l.transpose(),
                    l,
                    shift,
                });
            }
            shift = if shift == 0.0 { FIRST_SHIFT } else { 2.0 * shift };
        }
        Err(NumericalFault::new(
            "no shift of the diagonal makes the pivots positive",
            PLACE,
            shift,
        ))
    }

    /// The factor, lower triangular.
    pub fn factor(&self) -> &Csr {
        &self.l
    }

    /// b <- (L L')^-1 b.
    pub fn solve(&self, b: &mut [f64]) {
        let n = self.l.rows;
        for i in 0..n {
            let (cols, vals) = self.l.row(i);
            let last = cols.len() - 1;
            let mut s = b[i];
            for k in 0..last {
                s -= vals[k] * b[cols[k]];
            }
            b[i] = s / vals[last];
        }
        for i in (0..n).rev() {
            let (cols, vals) = self.upper.row(i);
            let mut s = b[i];
            for k in 1..cols.len() {
                s -= vals[k] * b[cols[k]];
            }
            b[i] = s / vals[0];
        }
    }
}

/// The factor row by row; none where a pivot is not clearly positive.
fn factor(lower: &Csr, shift: f64) -> Option<Csr> {
    /// Pivots below this share of their diagonal make a factor that amplifies instead of approximating.
    const PIVOT: f64 = 1e-8;
    let mut l = lower.clone();
    for i in 0..l.rows {
        let (start, end) = (l.indptr[i], l.indptr[i + 1]);
        for e in start..end {
            let k = l.indices[e];
            // Inner product of rows i and k over the columns before k.
            let (mut p, mut q) = (start, l.indptr[k]);
            let mut s = l.values[e];
            if k == i {
                s *= 1.0 + shift;
            }
            let diagonal = s;
            while p < e && q < l.indptr[k + 1] {
                match l.indices[p].cmp(&l.indices[q]) {
                    std::cmp::Ordering::Less => p += 1,
                    std::cmp::Ordering::Greater => q += 1,
                    std::cmp::Ordering::Equal => {
                        s -= l.values[p] * l.values[q];
                        p += 1;
                        q += 1;
                    }
                }
            }
            l.values[e] = if k == i {
                if !(s > PIVOT * diagonal && s.is_finite()) {
                    return None;
                }
                s.sqrt()
            } else {
                s / l.values[l.indptr[k + 1] - 1]
            };
        }
    }
    Some(l)
}
