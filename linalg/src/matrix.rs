//! One matrix type over the storages, for code that does not care which it is.
//!
//! Invariant: the result of an operation does not depend on the storage beyond rounding.

use crate::dense::Dense;
use crate::fault::NumericalFault;
use crate::sparse::Csr;

/// A real matrix, dense or sparse.
#[derive(Clone, Debug, PartialEq)]
pub enum Matrix {
    /// Every entry stored.
    Dense(Dense),
    /// Compressed rows.
    Sparse(Csr),
}

impl Matrix {
    /// Number of rows.
    pub fn rows(&self) -> usize {
        match self {
            Matrix::Dense(a) => a.rows,
            Matrix::Sparse(a) => a.rows,
        }
    }

    /// Number of columns.
    pub fn cols(&self) -> usize {
        match self {
            Matrix::Dense(a) => a.cols,
            Matrix::Sparse(a) => a.cols,
        }
    }

    /// Entry (i, j), counted from 0.
    pub fn get(&self, i: usize, j: usize) -> f64 {
        match self {
            Matrix::Dense(a) => a.at(i, j),
            Matrix::Sparse(a) => a.get(i, j),
        }
    }

    /// y = A x; see [`Dense::mul_vec`].
    pub fn mul_vec(&self, x: &[f64], y: &mut [f64]) {
        match self {
            Matrix::Dense(a) => a.mul_vec(x, y),
            Matrix::Sparse(a) => a.mul_vec(x, y),
        }
    }

    /// y = A' x; see [`Dense::mul_vec_transposed`].
    pub fn mul_vec_transposed(&self, x: &[f64], y: &mut [f64]) {
        match self {
            Matrix::Dense(a) => a.mul_vec_transposed(x, y),
            Matrix::Sparse(a) => a.mul_vec_transposed(x, y),
        }
    }

    /// The transpose, in the same storage.
    pub fn transpose(&self) -> Matrix {
        match self {
            Matrix::Dense(a) => Matrix::Dense(a.transpose()),
            Matrix::Sparse(a) => Matrix::Sparse(a.transpose()),
        }
    }

    /// All entries, zeros included.
    pub fn to_dense(&self) -> Dense {
        match self {
            Matrix::Dense(a) => a.clone(),
            Matrix::Sparse(a) => a.to_dense(),
        }
    }

    /// The nonzero (or stored) entries.
    pub fn to_sparse(&self) -> Csr {
        match self {
            Matrix::Dense(a) => Csr::from_dense(a),
            Matrix::Sparse(a) => a.clone(),
        }
    }

    /// Largest absolute difference between entries (i, j) and (j, i); infinite if not square.
    pub fn asymmetry(&self) -> f64 {
        match self {
            Matrix::Dense(a) => a.asymmetry(),
            Matrix::Sparse(a) => a.asymmetry(),
        }
    }

    /// Largest sum of absolute values in a column.
    pub fn norm_1(&self) -> f64 {
        match self {
            Matrix::Dense(a) => a.norm_1(),
            Matrix::Sparse(a) => a.norm_1(),
        }
    }

    /// Fails with the first entry that is NaN or infinite.
    pub fn check_finite(&self) -> Result<(), NumericalFault> {
        match self {
            Matrix::Dense(a) => a.check_finite(),
            Matrix::Sparse(a) => a.check_finite(),
        }
    }
}

impl From<Dense> for Matrix {
    fn from(a: Dense) -> Self {
        Matrix::Dense(a)
    }
}

impl From<Csr> for Matrix {
    fn from(a: Csr) -> Self {
        Matrix::Sparse(a)
    }
}
