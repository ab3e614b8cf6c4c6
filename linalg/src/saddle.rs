//! Factors of saddle-point matrices [P + D, G'; G, -E] whose diagonals D, E >= 0 change from factorization to factorization.
//!
//! Invariant: the pattern is analysed once; factors and solves run on the calling thread, so their bits depend on no
//! number of threads. Pivots of the wrong sign by rounding are replaced: refine what comes out.
//!
//! Sources: R. Vanderbei, "Symmetric quasidefinite matrices", SIAM J. Optimization 5 (1995); S. Wright, "Primal-Dual
//! Interior-Point Methods", 1997, chapter 11, for the equations in the rows alone; kernels from faer.

use crate::factor::transposed_view;
use crate::fault::{NumericalFault, check_len};
use crate::sparse::Csr;
use faer::dyn_stack::{MemBuffer, MemStack};
use faer::linalg::cholesky::ldlt;
use faer::linalg::cholesky::ldlt::factor::LdltRegularization;
use faer::linalg::cholesky::llt;
use faer::sparse::linalg::cholesky::{
    CholeskySymbolicParams, LdltRef, SymbolicCholesky, SymmetricOrdering, factorize_symbolic_cholesky,
};
use faer::{Conj, MatMut, MatRef, Par, Side};

const PLACE: &str = "saddle-point factors";
/// Rows up to which the equations in the rows alone may be factored densely.
const DENSE_ROWS: usize = 4_000;
/// Part of the entries of the equations in the rows from which they count as dense.
const DENSE_PART: f64 = 0.25;
/// Size below which a pivot, or one of the wrong sign, is replaced, and by what: its unknown then hardly moves.
const PIVOT: f64 = 1e-13;
const REPLACED: f64 = 1e-6;
/// The same for the equations in the rows alone, where replaced pivots are left out for good.
const ROW_REPLACED: f64 = 1e40;
/// The same where the whole is dense, in units of the diagonal.
const DENSE_PIVOT: f64 = 1e-15;
const DENSE_REPLACED: f64 = 1e20;

/// A matrix [P + D, G'; G, -E], analysed, and its factors for the last D and E.
pub struct Saddle {
    n: usize,
    m: usize,
    route: Route,
}

enum Route {
    /// G (P + D)^-1 G' + E for a diagonal P, dense.
    Rows {
        rows: Csr,
        columns: Csr,
        curvature: Vec<f64>,
        inverse: Vec<f64>,
        /// Its lower triangle by columns, and after factorization L.
        lower: Vec<f64>,
    },
    /// The whole matrix, sparse.
    Whole {
        symbolic: SymbolicCholesky<usize>,
        upper: Csr,
        curvature: Vec<f64>,
        signs: Vec<i8>,
        values: Vec<f64>,
    },
    /// The whole matrix, dense.
    Dense {
        p: Csr,
        g: Csr,
        signs: Vec<i8>,
        /// Its lower triangle by columns, and after factorization L and the pivots, in units of `by`.
        lower: Vec<f64>,
        by: Vec<f64>,
    },
}

impl Saddle {
    /// The same to be factored densely, with whatever [`Saddle::factor_with`] adds to it.
    pub fn dense(p: &Csr, g: &Csr) -> Result<Saddle, NumericalFault> {
        let (n, m) = (p.rows, g.rows);
        check_len(PLACE, "columns of G", n, g.cols)?;
        let route = Route::Dense {
            p: p.clone(),
            g: g.clone(),
            signs: (0..n + m).map(|i| if i < n { 1 } else { -1 }).collect(),
            lower: vec![0.0; (n + m) * (n + m)],
            by: vec![1.0; n + m],
        };
        Ok(Saddle { n, m, route })
    }

    /// Analyses the pattern of symmetric P (n x n) and G (m x n). `held` says which variables have curvature or a
    /// diagonal in every D that is not about zero: only with all of them may they be eliminated first.
    pub fn new(p: &Csr, g: &Csr, held: &[bool]) -> Result<Saddle, NumericalFault> {
        let (n, m) = (p.rows, g.rows);
        check_len(PLACE, "columns of G", n, g.cols)?;
        check_len(PLACE, "variables said to be held", n, held.len())?;
        let curvature = p.diagonal();
        let columns = g.transpose();
        let diagonal = p.triplets().all(|(i, j, v)| i == j || v == 0.0);
        let work: f64 = (0..n).map(|j| columns.row(j).0.len() as f64).map(|k| k * k).sum();
        let full = (m * m) as f64;
        let dense = m > 0 && m <= DENSE_ROWS && diagonal && held.iter().all(|h| *h) && work >= DENSE_PART * full;
        if dense && products(&columns, m) >= DENSE_PART * full {
            let route = Route::Rows {
                rows: g.clone(),
                columns,
                curvature,
                inverse: vec![0.0; n],
                lower: vec![0.0; m * m],
            };
            return Ok(Saddle { n, m, route });
        }
        let mut entries: Vec<(usize, usize, f64)> = (0..n + m).map(|i| (i, i, 0.0)).collect();
        entries.extend(p.triplets().filter(|(i, j, v)| i < j && *v != 0.0));
        entries.extend(columns.triplets().map(|(j, k, v)| (j, n + k, v)));
        let upper = Csr::from_triplets(n + m, n + m, &entries);
        let by_columns = transposed_view(&upper);
        let symbolic = factorize_symbolic_cholesky(
            by_columns.symbolic(),
            Side::Lower,
            SymmetricOrdering::Amd,
            CholeskySymbolicParams::default(),
        )
        .map_err(|e| NumericalFault::new(format!("analysis failed: {e}"), PLACE, (n + m) as f64))?;
        let values = vec![0.0; symbolic.len_val()];
        let signs = (0..n + m).map(|i| if i < n { 1 } else { -1 }).collect();
        let route = Route::Whole {
            symbolic,
            upper,
            curvature,
            signs,
            values,
        };
        Ok(Saddle { n, m, route })
    }

    /// Factors the matrix for these diagonals, of lengths n and m.
    pub fn factor(&mut self, d: &[f64], e: &[f64]) -> Result<(), NumericalFault> {
        self.factor_with(d, e, &mut |_| {})
    }

    /// The same; where it is dense, `add` may add a positive semidefinite matrix to `P + D` and take one from `-E`, in the
    /// lower triangle of the whole by columns.
    pub fn factor_with(&mut self, d: &[f64], e: &[f64], add: &mut dyn FnMut(&mut [f64])) -> Result<(), NumericalFault> {
        check_len(PLACE, "diagonal of the variables", self.n, d.len())?;
        check_len(PLACE, "diagonal of the rows", self.m, e.len())?;
        match &mut self.route {
            Route::Dense { p, g, signs, lower, by } => {
                let (n, size) = (self.n, self.n + self.m);
                lower.fill(0.0);
                p.triplets()
                    .filter(|(i, j, _)| i >= j)
                    .for_each(|(i, j, v)| lower[j * size + i] += v);
                g.triplets().for_each(|(k, j, v)| lower[j * size + n + k] += v);
                add(lower);
                for (i, v) in d.iter().enumerate() {
                    lower[i * size + i] += v;
                }
                for (k, v) in e.iter().enumerate() {
                    lower[(n + k) * size + n + k] -= v;
                }
                factor_dense(lower, signs, by)
            }
            Route::Rows {
                columns,
                curvature,
                inverse,
                lower,
                ..
            } => {
                let m = self.m;
                lower.fill(0.0);
                for j in 0..self.n {
                    inverse[j] = 1.0 / (curvature[j] + d[j]);
                    let (rows, values) = columns.row(j);
                    for (at, (k, v)) in rows.iter().zip(values).enumerate() {
                        let by = inverse[j] * v;
                        let column = &mut lower[k * m..(k + 1) * m];
                        for (i, u) in rows[at..].iter().zip(&values[at..]) {
                            column[*i] += by * u;
                        }
                    }
                }
                for k in 0..m {
                    lower[k * m + k] += e[k];
                }
                let matrix = MatMut::from_column_major_slice_mut(lower, m, m);
                let mut memory = MemBuffer::new(llt::factor::cholesky_in_place_scratch::<f64>(
                    m,
                    Par::Seq,
                    Default::default(),
                ));
                let replace = llt::factor::LltRegularization {
                    dynamic_regularization_delta: ROW_REPLACED,
                    dynamic_regularization_epsilon: f64::MIN_POSITIVE,
                };
                llt::factor::cholesky_in_place(
                    matrix,
                    replace,
                    Par::Seq,
                    MemStack::new(&mut memory),
                    Default::default(),
                )
                .map_err(|_| NumericalFault::new("a pivot is not a number", PLACE, f64::NAN))?;
                Ok(())
            }
            Route::Whole {
                symbolic,
                upper,
                curvature,
                signs,
                values,
            } => {
                for i in 0..self.n {
                    upper.values[upper.indptr[i]] = curvature[i] + d[i];
                }
                for k in 0..self.m {
                    upper.values[upper.indptr[self.n + k]] = -e[k];
                }
                if self.n + self.m == 0 {
                    return Ok(());
                }
                let mut memory =
                    MemBuffer::new(symbolic.factorize_numeric_ldlt_scratch::<f64>(Par::Seq, Default::default()));
                let replace = LdltRegularization {
                    dynamic_regularization_signs: Some(signs),
                    dynamic_regularization_delta: REPLACED,
                    dynamic_regularization_epsilon: PIVOT,
                };
                symbolic
                    .factorize_numeric_ldlt(
                        values,
                        transposed_view(upper),
                        Side::Lower,
                        replace,
                        Par::Seq,
                        MemStack::new(&mut memory),
                        Default::default(),
                    )
                    .map_err(|e| NumericalFault::new(format!("{e:?}"), PLACE, f64::NAN))?;
                Ok(())
            }
        }
    }

    /// Overwrites (u, v), of lengths n and m, with the solution for that right-hand side.
    pub fn solve(&self, u: &mut [f64], v: &mut [f64]) {
        match &self.route {
            Route::Rows {
                rows, inverse, lower, ..
            } => {
                // Along the rows, which are long: columns of a few entries cost more than their entries.
                u.iter_mut().zip(inverse).for_each(|(u, h)| *u *= h);
                let mut along = vec![0.0; self.m];
                rows.mul_vec(u, &mut along);
                v.iter_mut().zip(&along).for_each(|(v, a)| *v = a - *v);
                let mut none: [std::mem::MaybeUninit<u8>; 0] = [];
                llt::solve::solve_in_place_with_conj(
                    MatRef::from_column_major_slice(lower, self.m, self.m),
                    Conj::No,
                    MatMut::from_column_major_slice_mut(v, self.m, 1),
                    Par::Seq,
                    MemStack::new(&mut none),
                );
                let mut back = vec![0.0; self.n];
                rows.mul_vec_transposed(v, &mut back);
                for ((u, h), b) in u.iter_mut().zip(inverse).zip(&back) {
                    *u -= h * b;
                }
            }
            Route::Dense { lower, by, .. } => {
                let size = self.n + self.m;
                let mut both: Vec<f64> = u.iter().chain(v.iter()).zip(by.iter()).map(|(v, b)| v * b).collect();
                let pivots: Vec<f64> = (0..size).map(|i| lower[i * size + i]).collect();
                let mut none: [std::mem::MaybeUninit<u8>; 0] = [];
                ldlt::solve::solve_in_place_with_conj(
                    MatRef::from_column_major_slice(lower, size, size),
                    faer::diag::DiagRef::from_slice(&pivots),
                    Conj::No,
                    MatMut::from_column_major_slice_mut(&mut both, size, 1),
                    Par::Seq,
                    MemStack::new(&mut none),
                );
                both.iter_mut().zip(by.iter()).for_each(|(v, b)| *v *= b);
                u.copy_from_slice(&both[..self.n]);
                v.copy_from_slice(&both[self.n..]);
            }
            Route::Whole { symbolic, values, .. } => {
                let size = self.n + self.m;
                if size == 0 {
                    return;
                }
                let mut both = Vec::with_capacity(size);
                both.extend_from_slice(u);
                both.extend_from_slice(v);
                let mut memory = MemBuffer::new(symbolic.solve_in_place_scratch::<f64>(1, Par::Seq));
                LdltRef::<'_, usize, f64>::new(symbolic, values).solve_in_place_with_conj(
                    Conj::No,
                    MatMut::from_column_major_slice_mut(&mut both, size, 1),
                    Par::Seq,
                    MemStack::new(&mut memory),
                );
                u.copy_from_slice(&both[..self.n]);
                v.copy_from_slice(&both[self.n..]);
            }
        }
    }

    /// Are the equations in the rows alone factored?
    pub fn in_rows(&self) -> bool {
        matches!(self.route, Route::Rows { .. })
    }
}

/// L and pivots of a dense matrix in place, its diagonal brought near 1 in size by powers of two first.
fn factor_dense(lower: &mut [f64], signs: &[i8], by: &mut [f64]) -> Result<(), NumericalFault> {
    let size = by.len();
    for (i, b) in by.iter_mut().enumerate() {
        let v = lower[i * size + i].abs();
        *b = if v > 0.0 && v.is_finite() {
            2f64.powi((-0.5 * crate::math::log2(v)).round().clamp(-300.0, 300.0) as i32)
        } else {
            1.0
        };
    }
    for j in 0..size {
        for i in j..size {
            lower[j * size + i] *= by[i] * by[j];
        }
    }
    let matrix = MatMut::from_column_major_slice_mut(lower, size, size);
    let needs = ldlt::factor::cholesky_in_place_scratch::<f64>(size, Par::Seq, Default::default());
    let mut memory = MemBuffer::new(needs);
    let replace = LdltRegularization {
        dynamic_regularization_signs: Some(signs),
        dynamic_regularization_delta: DENSE_REPLACED,
        dynamic_regularization_epsilon: DENSE_PIVOT,
    };
    ldlt::factor::cholesky_in_place(
        matrix,
        replace,
        Par::Seq,
        MemStack::new(&mut memory),
        Default::default(),
    )
    .map_err(|_| NumericalFault::new("a pivot is zero", PLACE, 0.0))?;
    match (0..size).find(|i| !lower[i * size + i].is_finite()) {
        Some(_) => Err(NumericalFault::new("a pivot is not a number", PLACE, f64::NAN)),
        None => Ok(()),
    }
}

/// Entries of the matrix of inner products of the rows whose columns these are.
fn products(columns: &Csr, m: usize) -> f64 {
    let rows = columns.transpose();
    let mut seen = vec![usize::MAX; m];
    let mut count = 0usize;
    for i in 0..m {
        for &j in rows.row(i).0 {
            for &k in columns.row(j).0 {
                if seen[k] != i {
                    seen[k] = i;
                    count += 1;
                }
            }
        }
    }
    count as f64
}
