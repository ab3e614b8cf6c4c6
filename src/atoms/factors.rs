//! Kernels of linear systems, determinants, eigenvalues and singular values, by `linalg`'s factorizations.
//!
//! Invariant: eigenvalues are those of the symmetric part; a matrix that cannot be factored is a fault with its reason.

use ravine_linalg::factor::{Cholesky, Factor, Lu};
use ravine_linalg::solve::{Solved, least_squares, solve_linear_columns};
use ravine_linalg::spectrum::{semidefinite_root, singular_values, svd, symmetric_eigen, symmetric_eigenvalues};
use ravine_linalg::{Dense, Matrix, NumericalFault, reduce};

use super::arrays::{as_dense, dense, sparse};
use crate::ir::atom::{ArrayOut, ArrayRef, KernelFault, Trust};

type Out = Result<ArrayOut, KernelFault>;

impl From<NumericalFault> for KernelFault {
    fn from(f: NumericalFault) -> Self {
        KernelFault { what: f.what }
    }
}

fn fault(what: &str) -> KernelFault {
    KernelFault { what: what.into() }
}

fn number(v: f64) -> Out {
    Ok(ArrayOut::Dense(vec![v]))
}

fn matrix(a: &ArrayRef<'_>) -> Matrix {
    match sparse(a) {
        Some(s) => Matrix::Sparse(s.into_owned()),
        None => Matrix::Dense(as_dense(a)),
    }
}

/// `A \ b` for a vector or for each column of a matrix: refined, each with its error.
pub fn solve(args: &[ArrayRef<'_>]) -> Out {
    let a = matrix(&args[0]);
    let right: Vec<Vec<f64>> = if args[1].shape.len() == 1 {
        vec![dense(&args[1]).into_owned()]
    } else {
        let b = as_dense(&args[1]);
        (0..b.cols)
            .map(|j| (0..b.rows).map(|i| b.data[i * b.cols + j]).collect())
            .collect()
    };
    let refs: Vec<&[f64]> = right.iter().map(Vec::as_slice).collect();
    let solved: Vec<Solved> = if a.rows() == a.cols() {
        solve_linear_columns(&a, &refs)?
    } else {
        refs.iter().map(|b| least_squares(&a, b)).collect::<Result<_, _>>()?
    };
    let full = a.rows().min(a.cols());
    let mut trust = Trust {
        error: 0.0,
        condition: 1.0,
        rank: full,
        full,
    };
    let mut columns = vec![];
    for s in solved {
        // Not a number counts as the largest error.
        trust.error = if s.error.value <= trust.error {
            trust.error
        } else {
            s.error.value
        };
        trust.condition = trust.condition.max(s.condition.value);
        trust.rank = trust.rank.min(s.rank);
        columns.push(s.x);
    }
    Ok(ArrayOut::Solved(by_columns(a.cols(), &columns).data, trust))
}

fn by_columns(rows: usize, columns: &[Vec<f64>]) -> Dense {
    let mut d = Dense::zeros(rows, columns.len());
    for (j, c) in columns.iter().enumerate() {
        for (i, v) in c.iter().enumerate() {
            d.data[i * columns.len() + j] = *v;
        }
    }
    d
}

/// Inverse of a square matrix.
pub fn inv(args: &[ArrayRef<'_>]) -> Out {
    let a = as_dense(&args[0]);
    let n = a.rows;
    // A singular matrix has solutions of least norm, but no inverse.
    let factor = Lu::new(&a)?;
    let columns: Vec<Vec<f64>> = (0..n)
        .map(|j| {
            let mut b = vec![0.0; n];
            b[j] = 1.0;
            let mut x = b.clone();
            factor.solve(&mut x);
            // One step of refinement.
            let mut r = vec![0.0; n];
            a.mul_vec(&x, &mut r);
            r.iter_mut().zip(&b).for_each(|(r, b)| *r = b - *r);
            factor.solve(&mut r);
            x.iter_mut().zip(&r).for_each(|(x, d)| *x += d);
            x
        })
        .collect();
    Ok(ArrayOut::Dense(by_columns(n, &columns).data))
}

/// Determinant; 0 for a matrix that is singular to the last bit.
pub fn det(args: &[ArrayRef<'_>]) -> Out {
    match Lu::new(&as_dense(&args[0])) {
        Ok(lu) => number(lu.det()),
        Err(f) if f.measure == 0.0 => number(0.0),
        Err(f) => Err(f.into()),
    }
}

/// Logarithm of the determinant of a symmetric positive definite matrix.
pub fn logdet(args: &[ArrayRef<'_>]) -> Out {
    let a = as_dense(&args[0]);
    if a.asymmetry() > 1e-10 * a.norm_1() {
        return Err(fault("the matrix is not symmetric"));
    }
    number(Cholesky::new(&a, 0.0)?.log_det())
}

/// Trace of the inverse of a symmetric positive definite matrix.
pub fn trace_inv(args: &[ArrayRef<'_>]) -> Out {
    let a = as_dense(&args[0]);
    if a.asymmetry() > 1e-10 * a.norm_1() {
        return Err(fault("the matrix is not symmetric"));
    }
    let factor = Cholesky::new(&a, 0.0)?;
    let mut diagonal = vec![];
    for i in 0..a.rows {
        let mut e = vec![0.0; a.rows];
        e[i] = 1.0;
        factor.solve(&mut e);
        diagonal.push(e[i]);
    }
    number(reduce::sum(&diagonal))
}

/// `x' P⁻¹ x` for a symmetric positive definite `P`.
pub fn matrix_frac(args: &[ArrayRef<'_>]) -> Out {
    let p = as_dense(&args[1]);
    if p.asymmetry() > 1e-10 * p.norm_1() {
        return Err(fault("the matrix is not symmetric"));
    }
    let x = dense(&args[0]).into_owned();
    let factor = Cholesky::new(&p, 0.0)?;
    let mut y = x.clone();
    factor.solve(&mut y);
    number(reduce::dot(&x, &y))
}

/// `F` with `F'F` the symmetric part, from its eigenvalues; negative ones count as zero.
pub fn psd_factor(args: &[ArrayRef<'_>]) -> Out {
    let (_, mut f) = semidefinite_root(&symmetric_part(&args[0])?)?;
    for k in 0..f.rows {
        // An eigenvector's sign is chance: its largest entry is positive here.
        let row = f.row_mut(k);
        let top = row.iter().fold(0.0f64, |m, x| if x.abs() > m.abs() { *x } else { m });
        if top < 0.0 {
            row.iter_mut().for_each(|x| *x = -*x);
        }
    }
    Ok(ArrayOut::Dense(f.data))
}

fn symmetric_part(a: &ArrayRef<'_>) -> Result<Dense, KernelFault> {
    let mut d = as_dense(a);
    let n = d.rows;
    if n == 0 {
        return Err(fault("an empty matrix has no eigenvalue"));
    }
    for i in 0..n {
        for j in 0..i {
            let m = 0.5 * (d.data[i * n + j] + d.data[j * n + i]);
            d.data[i * n + j] = m;
            d.data[j * n + i] = m;
        }
    }
    Ok(d)
}

/// Largest eigenvalue.
pub fn lambda_max(args: &[ArrayRef<'_>]) -> Out {
    let values = symmetric_eigenvalues(&symmetric_part(&args[0])?)?;
    number(values.last().copied().unwrap_or(f64::NAN))
}

/// Smallest eigenvalue.
pub fn lambda_min(args: &[ArrayRef<'_>]) -> Out {
    let values = symmetric_eigenvalues(&symmetric_part(&args[0])?)?;
    number(values.first().copied().unwrap_or(f64::NAN))
}

/// `v v'` for the eigenvector in column `k` (from the end if `last`).
fn eigen_slope(a: &ArrayRef<'_>, last: bool) -> Out {
    let (values, q) = symmetric_eigen(&symmetric_part(a)?)?;
    let n = values.len();
    let k = if last { n - 1 } else { 0 };
    let v: Vec<f64> = (0..n).map(|i| q.data[i * n + k]).collect();
    Ok(ArrayOut::Dense(outer(&v, &v)))
}

fn outer(u: &[f64], v: &[f64]) -> Vec<f64> {
    u.iter().flat_map(|a| v.iter().map(move |b| a * b)).collect()
}

/// Gradient of the largest eigenvalue.
pub fn lambda_max_slope(args: &[ArrayRef<'_>]) -> Out {
    eigen_slope(&args[0], true)
}

/// Gradient of the smallest eigenvalue.
pub fn lambda_min_slope(args: &[ArrayRef<'_>]) -> Out {
    eigen_slope(&args[0], false)
}

/// Largest singular value; 0 for an empty matrix.
pub fn sigma_max(args: &[ArrayRef<'_>]) -> Out {
    number(singular_values(&as_dense(&args[0]))?.first().copied().unwrap_or(0.0))
}

/// Sum of the singular values.
pub fn nuclear(args: &[ArrayRef<'_>]) -> Out {
    number(reduce::sum(&singular_values(&as_dense(&args[0]))?))
}

/// `Σ uₖ vₖ'` over the first `count` singular pairs, without those of singular values that are rounding.
fn singular_slope(a: &ArrayRef<'_>, count: usize) -> Out {
    let d = as_dense(a);
    let f = svd(&d)?;
    let tiny = f.s.first().copied().unwrap_or(0.0) * f64::EPSILON * d.rows.max(d.cols) as f64;
    let mut g = vec![0.0; d.data.len()];
    for k in (0..f.s.len().min(count)).filter(|k| f.s[*k] > tiny) {
        let u: Vec<f64> = (0..d.rows).map(|i| f.u.data[i * f.u.cols + k]).collect();
        let v: Vec<f64> = (0..d.cols).map(|j| f.v.data[j * f.v.cols + k]).collect();
        g.iter_mut().zip(outer(&u, &v)).for_each(|(g, w)| *g += w);
    }
    Ok(ArrayOut::Dense(g))
}

/// Gradient of the largest singular value.
pub fn sigma_max_slope(args: &[ArrayRef<'_>]) -> Out {
    singular_slope(&args[0], 1)
}

/// Gradient of the sum of singular values.
pub fn nuclear_slope(args: &[ArrayRef<'_>]) -> Out {
    singular_slope(&args[0], usize::MAX)
}

/// Eigenvalues, decreasing.
pub fn eigvals(args: &[ArrayRef<'_>]) -> Out {
    let mut values = symmetric_eigenvalues(&symmetric_part(&args[0])?)?;
    values.reverse();
    Ok(ArrayOut::Dense(values))
}

/// Eigenvectors by columns, in the order of the eigenvalues.
pub fn eigvecs(args: &[ArrayRef<'_>]) -> Out {
    let (values, q) = symmetric_eigen(&symmetric_part(&args[0])?)?;
    let n = values.len();
    let columns: Vec<Vec<f64>> = (0..n)
        .rev()
        .map(|j| {
            let mut v = q.column(j);
            let top = v.iter().fold(0.0f64, |m, x| if x.abs() > m.abs() { *x } else { m });
            if top < 0.0 {
                v.iter_mut().for_each(|x| *x = -*x);
            }
            v
        })
        .collect();
    Ok(ArrayOut::Dense(by_columns(n, &columns).data))
}

/// Orthonormal columns with the spans of the first columns: modified Gram-Schmidt, twice (Giraud, Langou, Rozloznik 2005). A column
/// that depends on those before it is replaced by the first unit vector that does not.
pub fn orth(args: &[ArrayRef<'_>]) -> Out {
    let a = as_dense(&args[0]);
    let mut q: Vec<Vec<f64>> = vec![];
    let rest = |mut v: Vec<f64>, q: &[Vec<f64>]| {
        let full = reduce::norm2(&v);
        for _ in 0..2 {
            for c in q {
                let d = reduce::dot(c, &v);
                v.iter_mut().zip(c).for_each(|(v, c)| *v -= d * c);
            }
        }
        let left = reduce::norm2(&v);
        (left > 1e-14 * full && left > 0.0).then(|| v.iter().map(|x| x / left).collect::<Vec<f64>>())
    };
    for j in 0..a.cols {
        let own = rest(a.column(j), &q);
        let mut units = (0..a.rows).filter_map(|i| {
            let mut e = vec![0.0; a.rows];
            e[i] = 1.0;
            rest(e, &q).filter(|_| q.iter().map(|c| c[i] * c[i]).sum::<f64>() < 1.0 - 0.5 / a.rows as f64)
        });
        match own.or_else(|| units.next()) {
            Some(v) => q.push(v),
            None => return Err(fault("no further direction is left")),
        }
    }
    Ok(ArrayOut::Dense(by_columns(a.rows, &q).data))
}
