//! Direct solution of least squares and a check of definiteness, through `ravine_linalg`.
//!
//! Invariant: the only place that decides between dense and sparse factorization.

use ravine_linalg::{Csr, Dense};

/// A solution of least squares.
pub struct Solved {
    /// The shortest minimizer.
    pub x: Vec<f64>,
    /// Numerical rank.
    pub rank: usize,
    /// 2-norm condition.
    pub condition: f64,
    /// Estimate of the relative error of `x`.
    pub error: f64,
    /// The factorization.
    pub method: &'static str,
}

/// `min ‖A x - b‖`.
pub fn least_squares(a: &Csr, b: &[f64], dense: bool) -> Result<Solved, ravine_linalg::NumericalFault> {
    let _ = (a, b, dense);
    Err(ravine_linalg::NumericalFault::new(
        "least squares",
        "is not linked yet",
        0.0,
    ))
}

/// Is the symmetric part positive semidefinite, up to rounding (`n·ε` of the largest diagonal entry)?
pub fn semidefinite(m: &Dense) -> bool {
    let n = m.rows;
    let mut l = Dense::zeros(n, n);
    let scale = (0..n).fold(0.0f64, |s, i| s.max(m.at(i, i).abs()));
    let shift = 1e-13 * (n as f64) * scale;
    for i in 0..n {
        for j in 0..=i {
            let mut v = 0.5 * (m.at(i, j) + m.at(j, i));
            if i == j {
                v += shift;
            }
            v -= ravine_linalg::reduce::dot(&l.row(i)[..j], &l.row(j)[..j]);
            if i == j {
                if v.is_nan() || v < 0.0 {
                    return false;
                }
                l.data[i * n + i] = v.sqrt();
            } else {
                let d = l.at(j, j);
                l.data[i * n + j] = if d > 0.0 {
                    v / d
                } else if v.abs() <= shift.max(1e-300) {
                    0.0
                } else {
                    return false;
                };
            }
        }
    }
    true
}
