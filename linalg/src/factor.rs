//! Triangular factorizations of square matrices: Cholesky, LU with partial pivoting, LBL' and its inertia.
//!
//! Invariant: a factorization that breaks down is a fault with the pivot that shows it; solves have the same bits for any
//! number of threads.
//!
//! Source: Golub and Van Loan, "Matrix Computations", chapters 3 and 4; kernels from faer.

use crate::dense::{Dense, parallelism};
use crate::fault::{NumericalFault, check_len};
use crate::sparse::Csr;
use faer::dyn_stack::{MemBuffer, MemStack};
use faer::linalg::cholesky::llt;
use faer::linalg::lu::partial_pivoting as lu;
use faer::linalg::solvers::SolveCore;
use faer::perm::PermRef;
use faer::sparse::linalg::solvers as sparse_solvers;
use faer::sparse::{SparseColMatRef, SymbolicSparseColMatRef};
use faer::{Conj, Mat, MatMut, Par, Side};

/// A factored square matrix A.
pub trait Factor: Send + Sync {
    /// Order of A.
    fn order(&self) -> usize;
    /// Overwrites `b`, of length `order`, with the solution of A x = b.
    fn solve(&self, b: &mut [f64]);
    /// Overwrites `b` with the solution of A' x = b.
    fn solve_transposed(&self, b: &mut [f64]);
}

fn column(b: &mut [f64]) -> MatMut<'_, f64> {
    let n = b.len();
    MatMut::from_column_major_slice_mut(b, n, 1)
}

fn square(place: &'static str, rows: usize, cols: usize) -> Result<usize, NumericalFault> {
    check_len(place, "columns of a square matrix", rows, cols)?;
    Ok(rows)
}

/// L L' = A + shift I of a dense symmetric positive definite matrix; only the lower triangle of A is read.
#[derive(Clone, Debug)]
pub struct Cholesky {
    l: Mat<f64>,
}

impl Cholesky {
    /// Factors A + shift I; fails when that is not positive definite to working precision.
    pub fn new(a: &Dense, shift: f64) -> Result<Self, NumericalFault> {
        const PLACE: &str = "Cholesky";
        let n = square(PLACE, a.rows, a.cols)?;
        a.check_finite()?;
        let mut l = Mat::from_fn(n, n, |i, j| match i.cmp(&j) {
            std::cmp::Ordering::Greater => a.at(i, j),
            std::cmp::Ordering::Equal => a.at(i, i) + shift,
            std::cmp::Ordering::Less => 0.0,
        });
        if n == 0 {
            return Ok(Cholesky { l });
        }
        let par = parallelism(n * n * n / 3);
        let mut memory = MemBuffer::new(llt::factor::cholesky_in_place_scratch::<f64>(
            n,
            par,
            Default::default(),
        ));
        llt::factor::cholesky_in_place(
            l.as_mut(),
            Default::default(),
            par,
            MemStack::new(&mut memory),
            Default::default(),
        )
        .map_err(|e| match e {
            llt::factor::LltError::NonPositivePivot { index } => {
                NumericalFault::new("the matrix is not positive definite", PLACE, index as f64 + 1.0)
            }
        })?;
        match (0..n).find(|&i| !(l[(i, i)] > 0.0 && l[(i, i)].is_finite())) {
            Some(i) => Err(NumericalFault::new(
                "the matrix is not positive definite",
                PLACE,
                i as f64 + 1.0,
            )),
            None => Ok(Cholesky { l }),
        }
    }

    /// Logarithm of the determinant.
    pub fn log_det(&self) -> f64 {
        2.0 * crate::reduce::sum_by(self.order(), |i| crate::math::log(self.l[(i, i)]))
    }

    /// The factor L, lower triangular.
    pub fn lower(&self) -> Dense {
        Dense::from_fn(
            self.order(),
            self.order(),
            |i, j| if i >= j { self.l[(i, j)] } else { 0.0 },
        )
    }
}

impl Factor for Cholesky {
    fn order(&self) -> usize {
        self.l.nrows()
    }

    fn solve(&self, b: &mut [f64]) {
        if !b.is_empty() {
            let mut none: [std::mem::MaybeUninit<u8>; 0] = [];
            llt::solve::solve_in_place_with_conj(
                self.l.as_ref(),
                Conj::No,
                column(b),
                Par::Seq,
                MemStack::new(&mut none),
            );
        }
    }

    fn solve_transposed(&self, b: &mut [f64]) {
        self.solve(b);
    }
}

/// P A = L U of a dense square matrix, with partial pivoting.
#[derive(Clone, Debug)]
pub struct Lu {
    lu: Mat<f64>,
    forward: Vec<usize>,
    inverse: Vec<usize>,
}

impl Lu {
    /// Factors A; fails when a pivot is exactly zero or not finite.
    pub fn new(a: &Dense) -> Result<Self, NumericalFault> {
        const PLACE: &str = "LU";
        let n = square(PLACE, a.rows, a.cols)?;
        a.check_finite()?;
        let mut m = Mat::from_fn(n, n, |i, j| a.at(i, j));
        let (mut forward, mut inverse) = (vec![0usize; n], vec![0usize; n]);
        if n > 0 {
            let par = parallelism(n * n * n / 3);
            let mut memory = MemBuffer::new(lu::factor::lu_in_place_scratch::<usize, f64>(
                n,
                n,
                par,
                Default::default(),
            ));
            lu::factor::lu_in_place(
                m.as_mut(),
                &mut forward,
                &mut inverse,
                par,
                MemStack::new(&mut memory),
                Default::default(),
            );
        }
        match (0..n).find(|&i| m[(i, i)] == 0.0 || !m[(i, i)].is_finite()) {
            Some(i) => Err(NumericalFault::new(
                format!("pivot {} is {}", i + 1, m[(i, i)]),
                PLACE,
                m[(i, i)],
            )),
            None => Ok(Lu {
                lu: m,
                forward,
                inverse,
            }),
        }
    }

    fn apply(&self, b: &mut [f64], transposed: bool) {
        let n = b.len();
        if n == 0 {
            return;
        }
        let p = PermRef::new_checked(&self.forward, &self.inverse, n);
        let f = self.lu.as_ref();
        let mut memory = MemBuffer::new(lu::solve::solve_in_place_scratch::<usize, f64>(n, 1, Par::Seq));
        let stack = MemStack::new(&mut memory);
        if transposed {
            lu::solve::solve_transpose_in_place_with_conj(f, f, p, Conj::No, column(b), Par::Seq, stack);
        } else {
            lu::solve::solve_in_place_with_conj(f, f, p, Conj::No, column(b), Par::Seq, stack);
        }
    }

    /// The determinant: the product of the pivots and the sign of the permutation; may over- or underflow.
    pub fn det(&self) -> f64 {
        let (sign, _) = self.log_det();
        sign * (0..self.order()).map(|i| self.lu[(i, i)].abs()).product::<f64>()
    }

    /// Sign and logarithm of the absolute value of the determinant.
    pub fn log_det(&self) -> (f64, f64) {
        let n = self.order();
        let mut sign = 1.0;
        let mut seen = vec![false; n];
        for start in 0..n {
            // A cycle of even length is an odd permutation.
            let (mut i, mut length) = (start, 0);
            while !seen[i] {
                seen[i] = true;
                i = self.forward[i];
                length += 1;
            }
            if length > 0 && length % 2 == 0 {
                sign = -sign;
            }
            if self.lu[(start, start)] < 0.0 {
                sign = -sign;
            }
        }
        (
            sign,
            crate::reduce::sum_by(n, |i| crate::math::log(self.lu[(i, i)].abs())),
        )
    }
}

impl Factor for Lu {
    fn order(&self) -> usize {
        self.lu.nrows()
    }

    fn solve(&self, b: &mut [f64]) {
        self.apply(b, false);
    }

    fn solve_transposed(&self, b: &mut [f64]) {
        self.apply(b, true);
    }
}

/// Numbers of positive, negative and (to working precision) zero eigenvalues of a dense symmetric matrix.
///
/// Sylvester's law applied to P A P' = L B L' with the pivoting of Bunch and Kaufman (Math. Comp. 31, 1977).
pub fn inertia(a: &Dense) -> Result<(usize, usize, usize), NumericalFault> {
    const PLACE: &str = "inertia";
    let n = square(PLACE, a.rows, a.cols)?;
    a.check_finite()?;
    if n == 0 {
        return Ok((0, 0, 0));
    }
    let f = faer::linalg::solvers::Lblt::new(a.view(), Side::Lower);
    let (d, e) = (f.B_diag().column_vector(), f.B_subdiag().column_vector());
    let zero = f64::EPSILON * n as f64 * a.norm_1();
    let mut count = (0, 0, 0);
    let mut add = |eigenvalue: f64| {
        if eigenvalue.abs() <= zero {
            count.2 += 1;
        } else if eigenvalue > 0.0 {
            count.0 += 1;
        } else {
            count.1 += 1;
        }
    };
    let mut i = 0;
    while i < n {
        if i + 1 < n && e[i] != 0.0 {
            let (mean, half) = ((d[i] + d[i + 1]) / 2.0, (d[i] - d[i + 1]) / 2.0);
            let radius = (half * half + e[i] * e[i]).sqrt();
            // The smaller one from the determinant: no cancellation.
            let larger = if mean < 0.0 { mean - radius } else { mean + radius };
            add(larger);
            add(if larger == 0.0 {
                0.0
            } else {
                (d[i] * d[i + 1] - e[i] * e[i]) / larger
            });
            i += 2;
        } else {
            add(d[i]);
            i += 1;
        }
    }
    Ok(count)
}

/// The column-compressed view of `a'`, which is `a` read by columns.
pub(crate) fn transposed_view(a: &Csr) -> SparseColMatRef<'_, usize, f64> {
    let pattern = SymbolicSparseColMatRef::new_checked(a.cols, a.rows, &a.indptr, None, &a.indices);
    SparseColMatRef::new(pattern, &a.values)
}

/// What the pattern of a sparse symmetric matrix says about its Cholesky factor: ordering and fill, reusable for every
/// matrix of that pattern.
#[derive(Clone, Debug)]
pub struct SparseCholesky {
    symbolic: Option<sparse_solvers::SymbolicLlt<usize>>,
    /// Upper triangle with a full diagonal.
    pattern: Csr,
}

impl SparseCholesky {
    /// Orders and analyses the upper triangle of `pattern`; values are not read.
    pub fn symbolic(pattern: &Csr) -> Result<Self, NumericalFault> {
        const PLACE: &str = "sparse Cholesky";
        let n = square(PLACE, pattern.rows, pattern.cols)?;
        // The diagonal is always part of the pattern, so that a shift has a place.
        let pattern = pattern.upper_triangle().add(0.0, &Csr::identity(n), 0.0);
        let symbolic = if n == 0 {
            None
        } else {
            let by_columns = transposed_view(&pattern);
            let found = sparse_solvers::SymbolicLlt::try_new(by_columns.symbolic(), Side::Lower);
            Some(found.map_err(|e| NumericalFault::new(format!("analysis failed: {e}"), PLACE, n as f64))?)
        };
        Ok(SparseCholesky { symbolic, pattern })
    }

    /// Factors A + shift I; the upper triangle of A must lie inside the analysed pattern.
    pub fn numeric(&self, a: &Csr, shift: f64) -> Result<SparseCholeskyFactor, NumericalFault> {
        const PLACE: &str = "sparse Cholesky";
        let n = self.pattern.rows;
        check_len(PLACE, "rows", n, a.rows)?;
        check_len(PLACE, "columns", n, a.cols)?;
        a.check_finite()?;
        let mut filled = self.pattern.clone();
        filled.values.fill(0.0);
        for i in 0..n {
            let start = filled.indptr[i];
            let row = &self.pattern.indices[start..self.pattern.indptr[i + 1]];
            for (j, v) in a.entries(i).filter(|e| e.0 >= i) {
                match row.binary_search(&j) {
                    Ok(k) => filled.values[start + k] = v,
                    Err(_) if v == 0.0 => {}
                    Err(_) => {
                        let what = format!("entry [{}, {}] lies outside the analysed pattern", i + 1, j + 1);
                        return Err(NumericalFault::new(what, PLACE, v));
                    }
                }
            }
            filled.values[start] += shift;
        }
        let Some(symbolic) = self.symbolic.clone() else {
            return Ok(SparseCholeskyFactor { llt: None });
        };
        let llt = sparse_solvers::Llt::try_new_with_symbolic(symbolic, transposed_view(&filled), Side::Lower).map_err(
            |e| {
                let pivot = match e {
                    faer::sparse::linalg::LltError::Numeric(llt::factor::LltError::NonPositivePivot { index }) => {
                        index as f64 + 1.0
                    }
                    faer::sparse::linalg::LltError::Generic(_) => f64::NAN,
                };
                NumericalFault::new("the matrix is not positive definite", PLACE, pivot)
            },
        )?;
        Ok(SparseCholeskyFactor { llt: Some((n, llt)) })
    }
}

/// L L' = P (A + shift I) P' of a sparse symmetric positive definite matrix.
#[derive(Clone, Debug)]
pub struct SparseCholeskyFactor {
    llt: Option<(usize, sparse_solvers::Llt<usize, f64>)>,
}

impl Factor for SparseCholeskyFactor {
    fn order(&self) -> usize {
        self.llt.as_ref().map_or(0, |f| f.0)
    }

    fn solve(&self, b: &mut [f64]) {
        if let Some((_, f)) = &self.llt {
            f.solve_in_place_with_conj(Conj::No, column(b));
        }
    }

    fn solve_transposed(&self, b: &mut [f64]) {
        self.solve(b);
    }
}

/// P A Q = L U of a sparse square matrix, with partial pivoting.
#[derive(Clone, Debug)]
pub struct SparseLu {
    lu: Option<(usize, sparse_solvers::Lu<usize, f64>)>,
}

impl SparseLu {
    /// Factors A; fails when it is structurally singular or a pivot is zero.
    pub fn new(a: &Csr) -> Result<Self, NumericalFault> {
        const PLACE: &str = "sparse LU";
        let n = square(PLACE, a.rows, a.cols)?;
        a.check_finite()?;
        if n == 0 {
            return Ok(SparseLu { lu: None });
        }
        let t = a.transpose();
        let by_columns = transposed_view(&t);
        let failed = |e: String| NumericalFault::new(e, PLACE, n as f64);
        let symbolic = sparse_solvers::SymbolicLu::try_new(by_columns.symbolic())
            .map_err(|e| failed(format!("analysis failed: {e}")))?;
        let lu = sparse_solvers::Lu::try_new_with_symbolic(symbolic, by_columns)
            .map_err(|e| failed(format!("the matrix is singular: {e}")))?;
        Ok(SparseLu { lu: Some((n, lu)) })
    }
}

impl Factor for SparseLu {
    fn order(&self) -> usize {
        self.lu.as_ref().map_or(0, |f| f.0)
    }

    fn solve(&self, b: &mut [f64]) {
        if let Some((_, f)) = &self.lu {
            f.solve_in_place_with_conj(Conj::No, column(b));
        }
    }

    fn solve_transposed(&self, b: &mut [f64]) {
        if let Some((_, f)) = &self.lu {
            f.solve_transpose_in_place_with_conj(Conj::No, column(b));
        }
    }
}
