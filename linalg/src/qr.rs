//! The triangular factor of an orthogonal factorization: A P = Q R, with Q not kept.
//!
//! Invariant: R comes from orthogonal transformations of A, never from A'A; its bits do not depend on the threads.
//!
//! With R alone and residuals in doubled precision, corrections (R'R)^-1 A'r contract like those with Q kept
//! (A. Bjorck, "Numerical Methods for Least Squares Problems", 1996, section 6.6, where the residual's precision is what
//! limits the method). Sparse R with short rows: one Givens sweep per row (A. George, M. Heath, Lin. Alg. Appl. 34, 1980);
//! with long ones: Householder reflections of fronts (T. Davis, ACM TOMS 38, 2011).

use crate::dense::{Dense, parallelism};
use crate::fault::NumericalFault;
use crate::matrix::Matrix;
use crate::reduce::{dot, norm2};
use crate::sparse::Csr;
use faer::dyn_stack::{MemBuffer, MemStack};
use faer::linalg::qr::{col_pivoting, no_pivoting};
use faer::perm::PermRef;
use faer::sparse::linalg::cholesky::supernodal as sparse_cholesky;
use faer::sparse::linalg::{colamd, qr as sparse_qr};
use faer::sparse::{SparseColMatRef, SymbolicSparseColMatRef};
use faer::{Mat, Par};

/// Mean length of the rows of R, weighted by their work, from which fronts pay for their bookkeeping.
const LONG_ROWS: usize = 24;

/// R of A P = Q R for a matrix of `n` columns; row k of R starts at column k.
#[derive(Clone, Debug)]
pub struct RFactor {
    rows: Rows,
    /// Column k of A P is column `perm[k]` of A.
    pub perm: Vec<usize>,
    n: usize,
}

#[derive(Clone, Debug)]
enum Rows {
    Dense(Dense),
    /// Per row: columns, increasing from the diagonal, and values; an empty row has no pivot.
    Sparse(Vec<(Vec<usize>, Vec<f64>)>),
}

impl RFactor {
    /// Factors a matrix of any shape; dense with column pivoting, sparse with a column ordering that keeps R sparse.
    pub fn new(a: &Matrix) -> Result<Self, NumericalFault> {
        a.check_finite()?;
        match a {
            Matrix::Dense(a) => Ok(dense(a)),
            Matrix::Sparse(a) => sparse(a),
        }
    }

    /// Entry (k, l) of R.
    pub fn at(&self, k: usize, l: usize) -> f64 {
        match &self.rows {
            Rows::Dense(r) if k < r.rows => r.at(k, l),
            Rows::Dense(_) => 0.0,
            Rows::Sparse(rows) => rows[k].0.binary_search(&l).map_or(0.0, |p| rows[k].1[p]),
        }
    }

    /// Number of diagonal entries above `tolerance` times the largest.
    pub fn rank(&self, tolerance: f64) -> usize {
        let d: Vec<f64> = (0..self.n).map(|k| self.at(k, k).abs()).collect();
        let largest = d.iter().copied().fold(0.0, f64::max);
        d.iter().filter(|v| **v > tolerance * largest).count()
    }

    /// Overwrites `g`, of length n, with the solution of P R'R P' x = g, which is A'A x = g up to rounding in A.
    ///
    /// Entries of the result are not finite where R has no pivot.
    pub fn gram_solve(&self, g: &mut [f64]) {
        let n = self.n;
        let mut y: Vec<f64> = self.perm.iter().map(|&j| g[j]).collect();
        match &self.rows {
            Rows::Dense(r) if r.rows < n => y.fill(f64::NAN),
            Rows::Dense(r) => {
                for k in 0..n {
                    let row = r.row(k);
                    y[k] /= row[k];
                    let pivot = y[k];
                    for l in k + 1..n {
                        y[l] -= row[l] * pivot;
                    }
                }
                for k in (0..n).rev() {
                    let row = r.row(k);
                    let s = dot(&row[k + 1..], &y[k + 1..]);
                    y[k] = (y[k] - s) / row[k];
                }
            }
            Rows::Sparse(rows) => {
                for (k, (cols, vals)) in rows.iter().enumerate() {
                    y[k] /= vals.first().copied().unwrap_or(0.0);
                    let pivot = y[k];
                    for (l, v) in cols.iter().zip(vals).skip(1) {
                        y[*l] -= v * pivot;
                    }
                }
                for (k, (cols, vals)) in rows.iter().enumerate().rev() {
                    let s: f64 = cols.iter().zip(vals).skip(1).map(|(l, v)| v * y[*l]).sum();
                    y[k] = (y[k] - s) / vals.first().copied().unwrap_or(0.0);
                }
            }
        }
        for (k, &j) in self.perm.iter().enumerate() {
            g[j] = y[k];
        }
    }

    /// R P', so that its singular values and column norms are those of A; dense, n columns.
    pub fn unpermuted(&self) -> Dense {
        let rows = match &self.rows {
            Rows::Dense(r) => r.rows,
            Rows::Sparse(_) => self.n,
        };
        let mut out = Dense::zeros(rows, self.n);
        for k in 0..rows {
            for l in k..self.n {
                out.set(k, self.perm[l], self.at(k, l));
            }
        }
        out
    }
}

fn dense(a: &Dense) -> RFactor {
    let (m, n) = (a.rows, a.cols);
    let mut work = Mat::from_fn(m, n, |i, j| a.at(i, j));
    if m >= 2 * n && n > 1 {
        // Blocked and unpivoted first: the pivoted sweep then runs over n rows instead of m.
        work = Mat::from_fn(n, n, {
            let tall = unpivoted(work);
            move |i, j| if i <= j { tall[(i, j)] } else { 0.0 }
        });
    }
    let size = work.nrows().min(n);
    let mut perm = vec![0usize; n];
    let mut inverse = vec![0usize; n];
    if size == 0 {
        perm.iter_mut().enumerate().for_each(|(k, p)| *p = k);
    } else {
        let rows = work.nrows();
        let block = no_pivoting::factor::recommended_block_size::<f64>(rows, n);
        let mut coefficients = Mat::<f64>::zeros(block, size);
        let par = parallelism(rows * n * size);
        let mut memory = MemBuffer::new(col_pivoting::factor::qr_in_place_scratch::<usize, f64>(
            rows,
            n,
            block,
            par,
            Default::default(),
        ));
        col_pivoting::factor::qr_in_place(
            work.as_mut(),
            coefficients.as_mut(),
            &mut perm,
            &mut inverse,
            par,
            MemStack::new(&mut memory),
            Default::default(),
        );
    }
    let r = Dense::from_fn(size, n, |k, l| if k <= l { work[(k, l)] } else { 0.0 });
    RFactor {
        rows: Rows::Dense(r),
        perm,
        n,
    }
}

/// Householder QR in blocks; sequential, because its bits depend on the number of threads.
fn unpivoted(mut a: Mat<f64>) -> Mat<f64> {
    let (m, n) = a.shape();
    let block = no_pivoting::factor::recommended_block_size::<f64>(m, n);
    let mut coefficients = Mat::<f64>::zeros(block, m.min(n));
    let scratch = no_pivoting::factor::qr_in_place_scratch::<f64>(m, n, block, Par::Seq, Default::default());
    let mut memory = MemBuffer::new(scratch);
    no_pivoting::factor::qr_in_place(
        a.as_mut(),
        coefficients.as_mut(),
        Par::Seq,
        MemStack::new(&mut memory),
        Default::default(),
    );
    a
}

fn sparse(a: &Csr) -> Result<RFactor, NumericalFault> {
    let n = a.cols;
    let (perm, place) = column_order(a)?;
    if let Some(rows) = fronts(a, &perm, &place)? {
        return Ok(RFactor {
            rows: Rows::Sparse(rows),
            perm,
            n,
        });
    }

    // Rows that begin late come last: each then meets finished rows only where it must.
    let mut order: Vec<(usize, usize, usize)> = (0..a.rows)
        .filter_map(|i| {
            let columns = a.row(i).0.iter().map(|&j| place[j]);
            Some((columns.clone().min()?, columns.max()?, i))
        })
        .collect();
    order.sort_unstable();

    let mut r: Vec<(Vec<usize>, Vec<f64>)> = vec![(Vec::new(), Vec::new()); n];
    let mut row: Vec<(usize, f64)> = Vec::new();
    for &(_, _, i) in &order {
        row.clear();
        row.extend(a.entries(i).map(|(j, v)| (place[j], v)));
        row.sort_unstable_by_key(|e| e.0);
        while let Some(&(k, v)) = row.first() {
            if v == 0.0 {
                row.remove(0);
                continue;
            }
            if r[k].0.is_empty() {
                r[k] = row.iter().copied().unzip();
                break;
            }
            rotate(&mut r[k], &mut row);
        }
    }
    Ok(RFactor {
        rows: Rows::Sparse(r),
        perm,
        n,
    })
}

/// Rotates `row` into the row of R that starts in the same column, so that it loses that column.
fn rotate(r: &mut (Vec<usize>, Vec<f64>), row: &mut Vec<(usize, f64)>) {
    let (p, q) = (r.1[0], row[0].1);
    let length = crate::math::hypot(p, q);
    let (c, s) = (p / length, q / length);
    let (mut cols, mut upper, mut lower) = (Vec::new(), Vec::new(), Vec::new());
    let (mut x, mut y) = (0, 0);
    while x < r.0.len() || y < row.len() {
        let j =
            r.0.get(x)
                .copied()
                .unwrap_or(usize::MAX)
                .min(row.get(y).map_or(usize::MAX, |e| e.0));
        let (mut above, mut below) = (0.0, 0.0);
        if r.0.get(x) == Some(&j) {
            above = r.1[x];
            x += 1;
        }
        if row.get(y).is_some_and(|e| e.0 == j) {
            below = row[y].1;
            y += 1;
        }
        cols.push(j);
        upper.push(c * above + s * below);
        lower.push((j, c * below - s * above));
    }
    upper[0] = length;
    lower.remove(0);
    *r = (cols, upper);
    *row = lower;
}

/// R by Householder reflections of fronts, sequential; `None` where its rows are short or A is wide.
fn fronts(a: &Csr, perm: &[usize], place: &[usize]) -> Result<Option<Vec<(Vec<usize>, Vec<f64>)>>, NumericalFault> {
    let (m, n) = (a.rows, a.cols);
    if m < n || a.nnz() == 0 {
        return Ok(None);
    }
    let t = a.transpose();
    let by_columns = SymbolicSparseColMatRef::new_checked(m, n, &t.indptr, None, &t.indices);
    let by_rows = SymbolicSparseColMatRef::new_checked(n, m, &a.indptr, None, &a.indices);
    let order = || Some(PermRef::new_checked(perm, place, n));

    let (mut tree, mut post, mut counts, mut first) =
        (vec![0usize; n], vec![0usize; n], vec![0usize; n], vec![0usize; m]);
    let scratch = sparse_qr::col_etree_scratch::<usize>(m, n)
        .or(sparse_qr::postorder_scratch::<usize>(n))
        .or(sparse_qr::column_counts_aat_scratch::<usize>(n, m))
        .or(sparse_qr::supernodal::factorize_supernodal_symbolic_qr_scratch::<usize>(m, n));
    let mut memory = MemBuffer::new(scratch);
    let tree = sparse_qr::col_etree(by_columns, order(), &mut tree, MemStack::new(&mut memory));
    sparse_qr::postorder(&mut post, tree, MemStack::new(&mut memory));
    sparse_qr::column_counts_ata(
        &mut counts,
        &mut first,
        by_rows,
        order(),
        tree,
        &post,
        MemStack::new(&mut memory),
    );
    let (entries, work) = counts.iter().fold((0, 0), |(e, w), c| (e + c, w + c * c));
    if work < LONG_ROWS * entries {
        return Ok(None);
    }
    let symbolic = sparse_qr::supernodal::factorize_supernodal_symbolic_qr(
        by_columns,
        order(),
        first,
        tree,
        &counts,
        MemStack::new(&mut memory),
        Default::default(),
    )
    .map_err(|e| NumericalFault::new(format!("analysis failed: {e}"), "sparse QR", n as f64))?;

    let reflections = symbolic.householder();
    let blocks = reflections.len_householder_row_idx() + reflections.n_supernodes();
    let mut values = vec![0.0f64; symbolic.R_adjoint().len_val()];
    let scratch = sparse_qr::supernodal::factorize_supernodal_numeric_qr_scratch::<usize, f64>(
        &symbolic,
        Par::Seq,
        Default::default(),
    );
    let mut memory = MemBuffer::new(scratch);
    sparse_qr::supernodal::factorize_supernodal_numeric_qr(
        &mut vec![0usize; reflections.len_householder_row_idx()],
        &mut vec![0usize; blocks],
        &mut vec![0usize; blocks],
        &mut vec![0usize; blocks],
        &mut values,
        &mut vec![0.0; reflections.len_householder_val()],
        &mut vec![0.0; reflections.len_tau_val()],
        SparseColMatRef::new(by_rows, &a.values),
        order(),
        &symbolic,
        Par::Seq,
        MemStack::new(&mut memory),
        Default::default(),
    );

    let r = sparse_cholesky::SupernodalLltRef::new(symbolic.R_adjoint(), &values);
    let mut rows = Vec::with_capacity(n);
    for s in 0..symbolic.R_adjoint().n_supernodes() {
        let front = r.supernode(s);
        let (v, width) = (front.val(), front.val().ncols());
        for c in 0..width {
            let mut row: Vec<(usize, f64)> = (c..width).map(|l| (front.start() + l, v[(l, c)])).collect();
            row.extend(front.pattern().iter().enumerate().map(|(l, j)| (*j, v[(width + l, c)])));
            row.sort_unstable_by_key(|e| e.0);
            rows.push(row.into_iter().unzip());
        }
    }
    Ok(Some(rows))
}

/// Columns in the order that keeps R sparse, and the place of each column in it.
fn column_order(a: &Csr) -> Result<(Vec<usize>, Vec<usize>), NumericalFault> {
    let n = a.cols;
    if n == 0 || a.rows == 0 || a.nnz() == 0 {
        return Ok(((0..n).collect(), (0..n).collect()));
    }
    let t = a.transpose();
    let pattern = SymbolicSparseColMatRef::new_checked(a.rows, n, &t.indptr, None, &t.indices);
    let (mut perm, mut inverse) = (vec![0usize; n], vec![0usize; n]);
    let mut memory = MemBuffer::new(colamd::order_scratch::<usize>(a.rows, n, a.nnz()));
    colamd::order(
        &mut perm,
        &mut inverse,
        pattern,
        Default::default(),
        MemStack::new(&mut memory),
    )
    .map_err(|e| NumericalFault::new(format!("column ordering failed: {e}"), "sparse QR", n as f64))?;
    Ok((perm, inverse))
}

/// An orthonormal basis of the vectors that `e` maps to zero, one in each row: by Householder reflections of the rows, the
/// longest remaining one first (G. Golub and C. Van Loan, "Matrix Computations", 2013, sections 5.1 and 5.4).
pub fn null_space(e: &Dense) -> Dense {
    let n = e.cols;
    let mut rows: Vec<Vec<f64>> = (0..e.rows).map(|i| e.row(i).to_vec()).collect();
    let mut mirrors: Vec<Vec<f64>> = vec![];
    let largest = rows.iter().map(|r| norm2(r)).fold(0.0, f64::max);
    let negligible = largest * f64::EPSILON * (n.max(e.rows)) as f64;
    while mirrors.len() < n {
        let k = mirrors.len();
        let longest = (0..rows.len()).max_by(|a, b| norm2(&rows[*a][k..]).total_cmp(&norm2(&rows[*b][k..])));
        let Some(at) = longest.filter(|i| norm2(&rows[*i][k..]) > negligible) else {
            break;
        };
        let mut v = rows.swap_remove(at).split_off(k);
        let size = norm2(&v);
        v[0] += if v[0] < 0.0 { -size } else { size };
        let length = norm2(&v);
        v.iter_mut().for_each(|u| *u /= length);
        rows.iter_mut().for_each(|r| reflect(&v, &mut r[k..]));
        mirrors.push(v);
    }
    let rank = mirrors.len();
    let mut basis = Dense::zeros(n - rank, n);
    for (j, u) in basis.data.chunks_exact_mut(n.max(1)).enumerate() {
        u[rank + j] = 1.0;
        for (k, v) in mirrors.iter().enumerate().rev() {
            reflect(v, &mut u[k..]);
        }
    }
    basis
}

/// `u - 2 v (v'u)` for a unit vector `v`.
fn reflect(v: &[f64], u: &mut [f64]) {
    let t = 2.0 * dot(v, u);
    u.iter_mut().zip(v).for_each(|(u, v)| *u -= t * v);
}
