//! Direct solution of least squares and a check of definiteness, through `ravine_linalg`.
//!
//! Invariant: the only place that decides between dense and sparse factorization.

use ravine_linalg::{Csr, Dense, Matrix};

pub use ravine_linalg::solve::Solved;

/// `min ‖A x - b‖`, or `A x = b` for a square matrix.
pub fn least_squares(a: &Csr, b: &[f64], dense: bool) -> Result<Solved, ravine_linalg::NumericalFault> {
    let m = if dense {
        Matrix::Dense(a.to_dense())
    } else {
        Matrix::Sparse(a.clone())
    };
    if a.rows == a.cols {
        ravine_linalg::solve::solve_linear(&m, b)
    } else {
        ravine_linalg::solve::least_squares(&m, b)
    }
}

/// Is the symmetric part positive semidefinite, up to rounding?
pub fn semidefinite(m: &Dense) -> bool {
    let mut s = m.clone();
    for i in 0..m.rows {
        for j in 0..m.cols {
            s.data[i * m.cols + j] = 0.5 * (m.at(i, j) + m.at(j, i));
        }
    }
    ravine_linalg::spectrum::is_psd(&Matrix::Dense(s), 1e-12).is_ok_and(|r| r.0)
}
