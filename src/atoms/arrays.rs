//! Kernels of the array rows: products, structure and factorizations on dense and compressed-row arguments.
//!
//! Invariant: a transposed argument is read through its flag, never copied first where an adjoint product exists; a
//! sparse argument is expanded only where the result is dense in it anyway.

use ravine_linalg::Csr;

use crate::ir::atom::{ArrayData, ArrayOut, ArrayRef, KernelFault};

type Out = Result<ArrayOut, KernelFault>;

pub fn fault(what: impl Into<String>) -> KernelFault {
    KernelFault { what: what.into() }
}

/// Dense entries as seen, borrowed where they lie that way already.
pub fn dense<'a>(a: &ArrayRef<'a>) -> std::borrow::Cow<'a, [f64]> {
    match a.data {
        ArrayData::Dense(d) if !a.transposed => d.into(),
        _ => a.to_dense().data.into(),
    }
}

fn scalar(a: &ArrayRef<'_>) -> f64 {
    dense(a).first().copied().unwrap_or(f64::NAN)
}

/// Rows and columns of a matrix as seen.
pub fn size(a: &ArrayRef<'_>) -> (usize, usize) {
    match (a.shape, a.transposed) {
        ([r, c], false) => (*r, *c),
        ([r, c], true) => (*c, *r),
        (s, _) => (s.iter().product(), 1),
    }
}

/// Compressed rows as seen; `None` for dense storage.
pub fn sparse(a: &ArrayRef<'_>) -> Option<Csr> {
    match a.data {
        ArrayData::Sparse(s) if a.transposed => Some(transposed(s)),
        ArrayData::Sparse(s) => Some(s.clone()),
        ArrayData::Dense(_) => None,
    }
}

/// The transpose by counting columns.
pub fn transposed(a: &Csr) -> Csr {
    let mut indptr = vec![0usize; a.cols + 1];
    for &j in &a.indices {
        indptr[j + 1] += 1;
    }
    for j in 0..a.cols {
        indptr[j + 1] += indptr[j];
    }
    let mut next = indptr.clone();
    let mut indices = vec![0; a.indices.len()];
    let mut values = vec![0.0; a.values.len()];
    for i in 0..a.rows {
        for k in a.indptr[i]..a.indptr[i + 1] {
            let at = &mut next[a.indices[k]];
            indices[*at] = i;
            values[*at] = a.values[k];
            *at += 1;
        }
    }
    Csr {
        rows: a.cols,
        cols: a.rows,
        indptr,
        indices,
        values,
    }
}

fn mul_vec(a: &Csr, x: &[f64]) -> Vec<f64> {
    (0..a.rows)
        .map(|i| {
            (a.indptr[i]..a.indptr[i + 1])
                .map(|k| a.values[k] * x[a.indices[k]])
                .sum()
        })
        .collect()
}

fn mul_vec_transposed(a: &Csr, x: &[f64]) -> Vec<f64> {
    let mut y = vec![0.0; a.cols];
    for i in 0..a.rows {
        for k in a.indptr[i]..a.indptr[i + 1] {
            y[a.indices[k]] += a.values[k] * x[i];
        }
    }
    y
}

/// Dense row-major `(m×k)·(k×n)`.
pub fn gemm(a: &[f64], b: &[f64], m: usize, k: usize, n: usize) -> Vec<f64> {
    let mut c = vec![0.0; m * n];
    for i in 0..m {
        for l in 0..k {
            let f = a[i * k + l];
            for j in 0..n {
                c[i * n + j] += f * b[l * n + j];
            }
        }
    }
    c
}

/// Sparse times sparse, row by row (Gustavson, ACM TOMS 4, 1978).
fn sparse_product(a: &Csr, b: &Csr) -> Csr {
    let (mut indptr, mut indices, mut values) = (vec![0], vec![], vec![]);
    let mut row = vec![0.0; b.cols];
    let mut mark = vec![usize::MAX; b.cols];
    for i in 0..a.rows {
        let mut cols = vec![];
        for k in a.indptr[i]..a.indptr[i + 1] {
            let l = a.indices[k];
            for q in b.indptr[l]..b.indptr[l + 1] {
                let j = b.indices[q];
                if mark[j] != i {
                    mark[j] = i;
                    row[j] = 0.0;
                    cols.push(j);
                }
                row[j] += a.values[k] * b.values[q];
            }
        }
        cols.sort_unstable();
        values.extend(cols.iter().map(|j| row[*j]));
        indices.append(&mut cols);
        indptr.push(indices.len());
    }
    Csr {
        rows: a.rows,
        cols: b.cols,
        indptr,
        indices,
        values,
    }
}

/// Matrix times matrix or vector.
pub fn matmul(args: &[ArrayRef<'_>]) -> Out {
    let (a, b) = (&args[0], &args[1]);
    let (m, k) = size(a);
    let n = if b.shape.len() == 1 { 1 } else { size(b).1 };
    Ok(match (a.data, b.data) {
        (ArrayData::Sparse(s), _) if b.shape.len() == 1 => {
            let x = dense(b);
            ArrayOut::Dense(if a.transposed {
                mul_vec_transposed(s, &x)
            } else {
                mul_vec(s, &x)
            })
        }
        (ArrayData::Sparse(s), ArrayData::Sparse(t)) => {
            let (mut left, mut right) = (None, None);
            let s = if a.transposed { &*left.insert(transposed(s)) } else { s };
            let t = if b.transposed { &*right.insert(transposed(t)) } else { t };
            ArrayOut::Sparse(sparse_product(s, t))
        }
        (ArrayData::Sparse(s), ArrayData::Dense(_)) => {
            let d = dense(b);
            let mut c = vec![0.0; m * n];
            for i in 0..s.rows {
                for q in s.indptr[i]..s.indptr[i + 1] {
                    let (to, from) = if a.transposed {
                        (s.indices[q], i)
                    } else {
                        (i, s.indices[q])
                    };
                    for j in 0..n {
                        c[to * n + j] += s.values[q] * d[from * n + j];
                    }
                }
            }
            ArrayOut::Dense(c)
        }
        (ArrayData::Dense(_), ArrayData::Sparse(s)) => {
            let d = dense(a);
            let mut c = vec![0.0; m * n];
            for i in 0..s.rows {
                for q in s.indptr[i]..s.indptr[i + 1] {
                    let (from, to) = if b.transposed {
                        (s.indices[q], i)
                    } else {
                        (i, s.indices[q])
                    };
                    for r in 0..m {
                        c[r * n + to] += d[r * k + from] * s.values[q];
                    }
                }
            }
            ArrayOut::Dense(c)
        }
        (ArrayData::Dense(_), ArrayData::Dense(_)) => ArrayOut::Dense(gemm(&dense(a), &dense(b), m, k, n)),
    })
}

/// Transpose. (`exec` usually passes the flag on instead of calling this.)
pub fn transpose(args: &[ArrayRef<'_>]) -> Out {
    let flipped = ArrayRef {
        transposed: !args[0].transposed,
        ..args[0]
    };
    Ok(match sparse(&flipped) {
        Some(s) => ArrayOut::Sparse(s),
        None => ArrayOut::Dense(dense(&flipped).into_owned()),
    })
}

/// `p·a + q·b` on the union of two patterns.
fn combine(a: &Csr, b: &Csr, q: f64) -> Csr {
    let (mut indptr, mut indices, mut values) = (vec![0], vec![], vec![]);
    for i in 0..a.rows {
        let (mut k, mut l) = (a.indptr[i], b.indptr[i]);
        let (ek, el) = (a.indptr[i + 1], b.indptr[i + 1]);
        while k < ek || l < el {
            let ja = if k < ek { a.indices[k] } else { usize::MAX };
            let jb = if l < el { b.indices[l] } else { usize::MAX };
            let j = ja.min(jb);
            let mut v = 0.0;
            if ja == j {
                v += a.values[k];
                k += 1;
            }
            if jb == j {
                v += q * b.values[l];
                l += 1;
            }
            indices.push(j);
            values.push(v);
        }
        indptr.push(indices.len());
    }
    Csr {
        rows: a.rows,
        cols: a.cols,
        indptr,
        indices,
        values,
    }
}

fn sum_of(args: &[ArrayRef<'_>], q: f64) -> Out {
    if let (Some(a), Some(b)) = (sparse(&args[0]), sparse(&args[1])) {
        return Ok(ArrayOut::Sparse(combine(&a, &b, q)));
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
        Some(mut s) => {
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
    let n = size(&args[0]).0;
    Ok(ArrayOut::Dense(match args[0].data {
        ArrayData::Dense(d) => (0..n).map(|i| d[i * n + i]).collect(),
        ArrayData::Sparse(s) => (0..n)
            .map(|i| {
                let row = s.indptr[i]..s.indptr[i + 1];
                row.clone().find(|k| s.indices[*k] == i).map_or(0.0, |k| s.values[k])
            })
            .collect(),
    }))
}

/// Sum of the diagonal.
pub fn trace(args: &[ArrayRef<'_>]) -> Out {
    match diag_part(args)? {
        ArrayOut::Dense(d) => Ok(ArrayOut::Dense(vec![d.iter().sum()])),
        ArrayOut::Sparse(_) => Err(fault("a diagonal is dense")),
    }
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
    match matmul(&[args[1], args[0]])? {
        ArrayOut::Dense(y) => Ok(ArrayOut::Dense(vec![x.iter().zip(&y).map(|(a, b)| a * b).sum()])),
        ArrayOut::Sparse(_) => Err(fault("a matrix times a vector is dense")),
    }
}

/// Numbers to the vector of them.
pub fn stack(args: &[ArrayRef<'_>]) -> Out {
    Ok(ArrayOut::Dense(args.iter().map(scalar).collect()))
}

/// One array above the other.
pub fn concat(args: &[ArrayRef<'_>]) -> Out {
    if let (Some(mut a), Some(b)) = (sparse(&args[0]), sparse(&args[1])) {
        let start = a.indices.len();
        a.rows += b.rows;
        a.indptr.extend(b.indptr[1..].iter().map(|p| p + start));
        a.indices.extend(b.indices);
        a.values.extend(b.values);
        return Ok(ArrayOut::Sparse(a));
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

/// Factorizations come from `linalg`.
pub fn not_linked(_: &[ArrayRef<'_>]) -> Out {
    Err(fault("not linked yet"))
}
