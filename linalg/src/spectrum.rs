//! Singular values and symmetric eigenvalues of dense matrices, extremes by power iteration, definiteness.
//!
//! Invariant: faer is called sequentially here, because the bits of these kernels depend on the number of threads.

use crate::dense::Dense;
use crate::factor::{Cholesky, SparseCholesky};
use crate::fault::{NumericalFault, check_len};
use crate::matrix::Matrix;
use crate::reduce::norm2;
use crate::refine::sign;
use faer::dyn_stack::{MemBuffer, MemStack};
use faer::linalg::evd::{ComputeEigenvectors, self_adjoint_evd, self_adjoint_evd_scratch};
use faer::linalg::svd::{ComputeSvdVectors, svd as faer_svd, svd_scratch};
use faer::{Mat, Par};

/// Order up to which a definiteness test computes the eigenvalues.
const SMALL: usize = 300;

/// A = U diag(s) V' with U m x k, V n x k, k = min(m, n), and s decreasing.
#[derive(Clone, Debug, PartialEq)]
pub struct Svd {
    /// Left singular vectors by columns.
    pub u: Dense,
    /// Singular values, decreasing.
    pub s: Vec<f64>,
    /// Right singular vectors by columns.
    pub v: Dense,
}

/// The thin singular value decomposition.
pub fn svd(a: &Dense) -> Result<Svd, NumericalFault> {
    let k = a.rows.min(a.cols);
    let (mut u, mut v) = (Mat::zeros(a.rows, k), Mat::zeros(a.cols, k));
    let s = run_svd(a, Some((&mut u, &mut v)))?;
    Ok(Svd {
        u: Dense::from_view(u.as_ref()),
        s,
        v: Dense::from_view(v.as_ref()),
    })
}

/// The singular values, decreasing.
pub fn singular_values(a: &Dense) -> Result<Vec<f64>, NumericalFault> {
    run_svd(a, None)
}

fn run_svd(a: &Dense, vectors: Option<(&mut Mat<f64>, &mut Mat<f64>)>) -> Result<Vec<f64>, NumericalFault> {
    a.check_finite()?;
    let k = a.rows.min(a.cols);
    if k == 0 {
        return Ok(Vec::new());
    }
    let want = match vectors {
        Some(_) => ComputeSvdVectors::Thin,
        None => ComputeSvdVectors::No,
    };
    let mut s = faer::diag::Diag::<f64>::zeros(k);
    let scratch = svd_scratch::<f64>(a.rows, a.cols, want, want, Par::Seq, Default::default());
    let mut memory = MemBuffer::new(scratch);
    let (u, v) = match vectors {
        Some((u, v)) => (Some(u.as_mut()), Some(v.as_mut())),
        None => (None, None),
    };
    let stack = MemStack::new(&mut memory);
    faer_svd(a.view(), s.as_mut(), u, v, Par::Seq, stack, Default::default())
        .map_err(|_| NumericalFault::new("the iteration did not converge", "SVD", k as f64))?;
    Ok(s.column_vector().iter().copied().collect())
}

/// Eigenvalues of a symmetric matrix, increasing; only the lower triangle is read.
pub fn symmetric_eigenvalues(a: &Dense) -> Result<Vec<f64>, NumericalFault> {
    run_evd(a, None)
}

/// Eigenvalues, increasing, and eigenvectors by columns of a symmetric matrix; only the lower triangle is read.
pub fn symmetric_eigen(a: &Dense) -> Result<(Vec<f64>, Dense), NumericalFault> {
    let mut q = Mat::zeros(a.rows, a.rows);
    let values = run_evd(a, Some(&mut q))?;
    Ok((values, Dense::from_view(q.as_ref())))
}

fn run_evd(a: &Dense, vectors: Option<&mut Mat<f64>>) -> Result<Vec<f64>, NumericalFault> {
    const PLACE: &str = "symmetric eigenvalues";
    check_len(PLACE, "columns of a square matrix", a.rows, a.cols)?;
    a.check_finite()?;
    let n = a.rows;
    if n == 0 {
        return Ok(Vec::new());
    }
    let want = if vectors.is_some() {
        ComputeEigenvectors::Yes
    } else {
        ComputeEigenvectors::No
    };
    let mut s = faer::diag::Diag::<f64>::zeros(n);
    let mut memory = MemBuffer::new(self_adjoint_evd_scratch::<f64>(n, want, Par::Seq, Default::default()));
    self_adjoint_evd(
        a.view(),
        s.as_mut(),
        vectors.map(|v| v.as_mut()),
        Par::Seq,
        MemStack::new(&mut memory),
        Default::default(),
    )
    .map_err(|_| NumericalFault::new("the iteration did not converge", PLACE, n as f64))?;
    Ok(s.column_vector().iter().copied().collect())
}

/// A lower bound, usually within a few per cent, on the largest eigenvalue of a positive semidefinite operator of order
/// `n`: the power method from a fixed start.
pub fn largest_eigenvalue(n: usize, steps: usize, apply: &dyn Fn(&[f64]) -> Vec<f64>) -> f64 {
    if n == 0 {
        return 0.0;
    }
    let mut v: Vec<f64> = (0..n).map(|i| sign(i, 7) * (1.0 + i as f64 / n as f64)).collect();
    let mut found = 0.0f64;
    for _ in 0..steps {
        let length = norm2(&v);
        if !(length > 0.0 && length.is_finite()) {
            break;
        }
        v.iter_mut().for_each(|x| *x /= length);
        v = apply(&v);
        let now = norm2(&v);
        if now.is_nan() {
            return f64::INFINITY;
        }
        let done = now <= found * (1.0 + 1e-3);
        found = found.max(now);
        if done {
            break;
        }
    }
    found
}

/// Ratio of diagonal entries from which a matrix is brought to a unit diagonal before its eigenvalues are looked at: smaller
/// ones drown in the rounding of the largest.
const UNEVEN: f64 = 1e6;

/// Rows F with F'F = A for a symmetric positive semidefinite A, one for each eigenvalue of A, or of A with a unit diagonal
/// where its own spans many magnitudes; and those eigenvalues, increasing. Negative ones have rows of zeros.
pub fn semidefinite_root(a: &Dense) -> Result<(Vec<f64>, Dense), NumericalFault> {
    let n = a.rows;
    let diagonal = a.diagonal();
    let positive = || diagonal.iter().copied().filter(|d| *d > 0.0);
    let (least, most) = (positive().fold(f64::INFINITY, f64::min), positive().fold(0.0, f64::max));
    // Powers of two, so that nothing is rounded on the way.
    let by: Vec<f64> = diagonal
        .iter()
        .map(|d| match *d > 0.0 && most > UNEVEN * least {
            true => 2f64.powi((-0.5 * crate::math::log2(*d)).round() as i32),
            false => 1.0,
        })
        .collect();
    let scaled = Dense::from_fn(n, n, |i, j| a.at(i, j) * by[i] * by[j]);
    let (values, q) = symmetric_eigen(&scaled)?;
    let root = Dense::from_fn(n, n, |k, i| values[k].max(0.0).sqrt() * q.at(i, k) / by[i]);
    Ok((values, root))
}

/// Whether a symmetric matrix is positive semidefinite up to `tol` times its 1-norm, and a bound on its smallest
/// eigenvalue: the eigenvalue itself up to order 300; above, a lower bound if the answer is yes, an upper bound if no.
pub fn is_psd(a: &Matrix, tol: f64) -> Result<(bool, f64), NumericalFault> {
    const PLACE: &str = "definiteness";
    let n = a.rows();
    check_len(PLACE, "columns of a square matrix", n, a.cols())?;
    a.check_finite()?;
    let norm = a.norm_1();
    let slack = tol * norm;
    if a.asymmetry() > (1e-12 * norm).max(slack) {
        return Err(NumericalFault::new("the matrix is not symmetric", PLACE, a.asymmetry()));
    }
    if n == 0 || norm == 0.0 {
        return Ok((true, 0.0));
    }
    if n <= SMALL {
        let smallest = symmetric_eigenvalues(&a.to_dense())?[0];
        return Ok((smallest >= -slack, smallest));
    }
    // Rounding in a factorization of A is of the size n u |A|: a smaller shift would decide by chance.
    let shift = slack.max(n as f64 * f64::EPSILON * norm);
    let definite = match a {
        Matrix::Dense(a) => Cholesky::new(a, shift).is_ok(),
        Matrix::Sparse(a) => SparseCholesky::symbolic(a)?.numeric(a, shift).is_ok(),
    };
    if definite {
        return Ok((true, -shift));
    }
    // |A| I - A has the eigenvector of the smallest eigenvalue on top; the power method bounds it from below.
    let top = largest_eigenvalue(n, 200, &|v| {
        let mut w = vec![0.0; n];
        a.mul_vec(v, &mut w);
        w.iter().zip(v).map(|(w, v)| norm * v - w).collect()
    });
    Ok((false, norm - top))
}
