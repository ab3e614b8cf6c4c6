//! Kernels of the array rows: products and structure on dense and compressed-row arguments.
//!
//! Invariant: a transposed argument is read through its flag, never copied first where an adjoint product exists; a
//! sparse argument is expanded only where the result is dense in it anyway.

use std::borrow::Cow;

use ravine_linalg::{Csr, Dense, dense as linalg_dense, reduce};

use crate::ir::atom::{ArrayData, ArrayOut, ArrayRef, KernelFault};

type Out = Result<ArrayOut, KernelFault>;

/// Dense entries as seen, borrowed where they lie that way already.
pub fn dense<'a>(a: &ArrayRef<'a>) -> Cow<'a, [f64]> {
    match a.data {
        ArrayData::Dense(d) if !a.transposed => d.into(),
        _ => a.to_dense().data.into(),
    }
}

fn scalar(a: &ArrayRef<'_>) -> f64 {
    dense(a).first().copied().unwrap_or(f64::NAN)
}

/// Rows and columns of a matrix as seen.
fn size(a: &ArrayRef<'_>) -> (usize, usize) {
    match (a.shape, a.transposed) {
        ([r, c], false) => (*r, *c),
        ([r, c], true) => (*c, *r),
        (s, _) => (s.iter().product(), 1),
    }
}

/// Compressed rows as seen, borrowed where they lie that way already; `None` for dense storage.
pub fn sparse<'a>(a: &ArrayRef<'a>) -> Option<Cow<'a, Csr>> {
    match a.data {
        ArrayData::Sparse(s) if a.transposed => Some(Cow::Owned(s.transpose())),
        ArrayData::Sparse(s) => Some(Cow::Borrowed(s)),
        ArrayData::Dense(_) => None,
    }
}

/// Matrix times vector, through the adjoint product where the matrix is read transposed.
fn times_vector(a: &ArrayRef<'_>, x: &[f64]) -> Vec<f64> {
    let (m, _) = size(a);
    let mut y = vec![0.0; m];
    // What is not bound yet has no entries.
    if matches!(a.data, ArrayData::Dense(d) if d.len() != m * x.len()) {
        y.fill(f64::NAN);
        return y;
    }
    match (a.data, a.transposed) {
        (ArrayData::Sparse(s), false) => s.mul_vec(x, &mut y),
        (ArrayData::Sparse(s), true) => s.mul_vec_transposed(x, &mut y),
        (ArrayData::Dense(d), false) => linalg_dense::times(d, x, &mut y),
        (ArrayData::Dense(d), true) => linalg_dense::times_transposed(d, x, &mut y),
    }
    y
}

/// A matrix as seen, dense.
pub fn as_dense(a: &ArrayRef<'_>) -> Dense {
    let (rows, cols) = size(a);
    Dense {
        rows,
        cols,
        data: dense(a).into_owned(),
    }
}

/// Matrix times matrix or vector.
pub fn matmul(args: &[ArrayRef<'_>]) -> Out {
    let (a, b) = (&args[0], &args[1]);
    if b.shape.len() == 1 {
        return Ok(ArrayOut::Dense(times_vector(a, &dense(b))));
    }
    Ok(match (sparse(a), sparse(b)) {
        (Some(s), Some(t)) => ArrayOut::Sparse(s.mul(&t)),
        (Some(s), None) => ArrayOut::Dense(s.mul_dense(&as_dense(b)).data),
        (None, Some(s)) => {
            // D S = (S' D')'.
            let (st, d) = (s.transpose(), as_dense(a));
            ArrayOut::Dense(st.mul_dense(&d.transpose()).transpose().data)
        }
        (None, None) => ArrayOut::Dense(as_dense(a).mul(&as_dense(b)).data),
    })
}

/// Transpose. (`exec` usually passes the flag on instead of calling this.)
pub fn transpose(args: &[ArrayRef<'_>]) -> Out {
    let flipped = ArrayRef {
        transposed: !args[0].transposed,
        ..args[0]
    };
    Ok(match sparse(&flipped) {
        Some(s) => ArrayOut::Sparse(s.into_owned()),
        None => ArrayOut::Dense(dense(&flipped).into_owned()),
    })
}

fn sum_of(args: &[ArrayRef<'_>], q: f64) -> Out {
    if let (Some(a), Some(b)) = (sparse(&args[0]), sparse(&args[1])) {
        return Ok(ArrayOut::Sparse(a.add(1.0, &b, q)));
    }
    let (a, b) = (dense(&args[0]), dense(&args[1]));
    Ok(ArrayOut::Dense(
        a.iter().zip(b.iter()).map(|(x, y)| x + q * y).collect(),
    ))
}

/// Sum of two arrays.
pub fn add(args: &[ArrayRef<'_>]) -> Out {
    sum_of(args, 1.0)
}

/// Difference of two arrays.
pub fn sub(args: &[ArrayRef<'_>]) -> Out {
    sum_of(args, -1.0)
}

/// Number times array.
pub fn scale(args: &[ArrayRef<'_>]) -> Out {
    let k = scalar(&args[0]);
    Ok(match sparse(&args[1]) {
        Some(s) => {
            let mut s = s.into_owned();
            s.values.iter_mut().for_each(|v| *v *= k);
            ArrayOut::Sparse(s)
        }
        None => ArrayOut::Dense(dense(&args[1]).iter().map(|v| k * v).collect()),
    })
}

/// Vector to diagonal matrix.
pub fn diag(args: &[ArrayRef<'_>]) -> Out {
    let values = dense(&args[0]).into_owned();
    let n = values.len();
    Ok(ArrayOut::Sparse(Csr {
        rows: n,
        cols: n,
        indptr: (0..=n).collect(),
        indices: (0..n).collect(),
        values,
    }))
}

/// Diagonal of a square matrix.
pub fn diag_part(args: &[ArrayRef<'_>]) -> Out {
    Ok(ArrayOut::Dense(diagonal(&args[0])))
}

fn diagonal(a: &ArrayRef<'_>) -> Vec<f64> {
    let n = size(a).0;
    match a.data {
        ArrayData::Dense(d) => (0..n).map(|i| d[i * n + i]).collect(),
        ArrayData::Sparse(s) => (0..n).map(|i| s.get(i, i)).collect(),
    }
}

/// Sum of the diagonal.
pub fn trace(args: &[ArrayRef<'_>]) -> Out {
    Ok(ArrayOut::Dense(vec![reduce::sum(&diagonal(&args[0]))]))
}

/// `u v'`.
pub fn outer(args: &[ArrayRef<'_>]) -> Out {
    let (u, v) = (dense(&args[0]), dense(&args[1]));
    Ok(ArrayOut::Dense(
        u.iter().flat_map(|a| v.iter().map(move |b| a * b)).collect(),
    ))
}

/// `x' P x`.
pub fn quad(args: &[ArrayRef<'_>]) -> Out {
    let x = dense(&args[0]);
    let px = times_vector(&args[1], &x);
    Ok(ArrayOut::Dense(vec![reduce::dot(&x, &px)]))
}

/// Numbers to the vector of them.
pub fn stack(args: &[ArrayRef<'_>]) -> Out {
    Ok(ArrayOut::Dense(args.iter().map(scalar).collect()))
}

/// One array above the other.
pub fn concat(args: &[ArrayRef<'_>]) -> Out {
    if let (Some(a), Some(b)) = (sparse(&args[0]), sparse(&args[1])) {
        return Ok(ArrayOut::Sparse(a.stack(&b)));
    }
    let mut d = dense(&args[0]).into_owned();
    d.extend_from_slice(&dense(&args[1]));
    Ok(ArrayOut::Dense(d))
}

/// Kronecker product.
pub fn kron(args: &[ArrayRef<'_>]) -> Out {
    let ((m, n), (p, q)) = (size(&args[0]), size(&args[1]));
    if let (Some(a), Some(b)) = (sparse(&args[0]), sparse(&args[1])) {
        let (mut indptr, mut indices, mut values) = (vec![0], vec![], vec![]);
        for i in 0..m {
            for r in 0..p {
                for k in a.indptr[i]..a.indptr[i + 1] {
                    for l in b.indptr[r]..b.indptr[r + 1] {
                        indices.push(a.indices[k] * q + b.indices[l]);
                        values.push(a.values[k] * b.values[l]);
                    }
                }
                indptr.push(indices.len());
            }
        }
        return Ok(ArrayOut::Sparse(Csr {
            rows: m * p,
            cols: n * q,
            indptr,
            indices,
            values,
        }));
    }
    let (a, b) = (dense(&args[0]), dense(&args[1]));
    let mut c = Vec::with_capacity(a.len() * b.len());
    for i in 0..m {
        for r in 0..p {
            for j in 0..n {
                for s in 0..q {
                    c.push(a[i * n + j] * b[r * q + s]);
                }
            }
        }
    }
    Ok(ArrayOut::Dense(c))
}
