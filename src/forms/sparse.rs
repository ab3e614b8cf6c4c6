//! Small operations on compressed rows that assembling forms needs.
//!
//! Invariant: entries of one place are added in the order they were given, so results do not depend on anything else.

use ravine_linalg::Csr;

/// The matrix of (row, column, value) entries, those of one place added in order.
pub fn assemble(rows: usize, cols: usize, entries: Vec<(usize, usize, f64)>) -> Csr {
    let mut starts = vec![0usize; rows + 1];
    for e in &entries {
        starts[e.0 + 1] += 1;
    }
    for r in 0..rows {
        starts[r + 1] += starts[r];
    }
    let mut next = starts.clone();
    let mut order = vec![0usize; entries.len()];
    for (k, e) in entries.iter().enumerate() {
        order[next[e.0]] = k;
        next[e.0] += 1;
    }
    let mut out = Csr::zeros(rows, cols);
    for r in 0..rows {
        let row = &mut order[starts[r]..starts[r + 1]];
        if row.windows(2).any(|w| entries[w[0]].1 >= entries[w[1]].1) {
            row.sort_by_key(|k| entries[*k].1);
        }
        let first = out.indices.len();
        for k in row {
            let (_, c, v) = entries[*k];
            if out.indices.len() > first && out.indices[out.indices.len() - 1] == c {
                let last = out.values.len() - 1;
                out.values[last] += v;
            } else {
                out.indices.push(c);
                out.values.push(v);
            }
        }
        out.indptr[r + 1] = out.indices.len();
    }
    out
}

/// `a · b`, row by row.
pub fn product(a: &Csr, b: &Csr) -> Csr {
    let mut out = Csr::zeros(a.rows, b.cols);
    let mut total = vec![0.0; b.cols];
    let mut seen = vec![usize::MAX; b.cols];
    let mut cols = vec![];
    for i in 0..a.rows {
        cols.clear();
        for k in a.indptr[i]..a.indptr[i + 1] {
            let (l, x) = (a.indices[k], a.values[k]);
            for e in b.indptr[l]..b.indptr[l + 1] {
                let j = b.indices[e];
                if seen[j] != i {
                    seen[j] = i;
                    total[j] = 0.0;
                    cols.push(j);
                }
                total[j] += x * b.values[e];
            }
        }
        cols.sort_unstable();
        out.indices.extend_from_slice(&cols);
        out.values.extend(cols.iter().map(|j| total[*j]));
        out.indptr[i + 1] = out.indices.len();
    }
    out
}

/// `a + s·b` on the union of the patterns.
pub fn sum(a: &Csr, s: f64, b: &Csr) -> Csr {
    let mut out = Csr::zeros(a.rows, a.cols);
    for i in 0..a.rows {
        let (mut p, mut q) = (a.indptr[i], b.indptr[i]);
        let (pe, qe) = (a.indptr[i + 1], b.indptr[i + 1]);
        while p < pe || q < qe {
            let ca = if p < pe { a.indices[p] } else { usize::MAX };
            let cb = if q < qe { b.indices[q] } else { usize::MAX };
            let c = ca.min(cb);
            let mut v = 0.0;
            if ca == c {
                v += a.values[p];
                p += 1;
            }
            if cb == c {
                v += s * b.values[q];
                q += 1;
            }
            out.indices.push(c);
            out.values.push(v);
        }
        out.indptr[i + 1] = out.indices.len();
    }
    out
}

/// `s·a`.
pub fn scaled(a: &Csr, s: f64) -> Csr {
    let mut out = a.clone();
    out.values.iter_mut().for_each(|v| *v *= s);
    out
}

/// The transpose.
pub fn transposed(a: &Csr) -> Csr {
    assemble(a.cols, a.rows, triplets(a).map(|(r, c, v)| (c, r, v)).collect())
}

/// All entries, row by row.
pub fn triplets(a: &Csr) -> impl Iterator<Item = (usize, usize, f64)> + '_ {
    (0..a.rows).flat_map(move |i| (a.indptr[i]..a.indptr[i + 1]).map(move |k| (i, a.indices[k], a.values[k])))
}

/// The entries on and below the diagonal.
pub fn lower(a: &Csr) -> Csr {
    assemble(a.rows, a.cols, triplets(a).filter(|t| t.0 >= t.1).collect())
}

/// `a ⊗ I_p`: the product from the left, on row-major matrices with `p` columns.
pub fn kron_left(a: &Csr, p: usize) -> Csr {
    if p == 1 {
        return a.clone();
    }
    let entries = triplets(a).flat_map(|(r, c, v)| (0..p).map(move |j| (r * p + j, c * p + j, v)));
    assemble(a.rows * p, a.cols * p, entries.collect())
}

/// `I_m ⊗ a`: the transposed product from the right, on row-major matrices with `m` rows.
pub fn kron_right(a: &Csr, m: usize) -> Csr {
    if m == 1 {
        return a.clone();
    }
    let entries = (0..m).flat_map(|i| triplets(a).map(move |(r, c, v)| (i * a.rows + r, i * a.cols + c, v)));
    assemble(a.rows * m, a.cols * m, entries.collect())
}

/// `y = a · x`.
pub fn times(a: &Csr, x: &[f64]) -> Vec<f64> {
    (0..a.rows)
        .map(|i| {
            (a.indptr[i]..a.indptr[i + 1])
                .map(|k| a.values[k] * x[a.indices[k]])
                .sum()
        })
        .collect()
}

/// `y = aᵀ · x`.
pub fn times_transposed(a: &Csr, x: &[f64]) -> Vec<f64> {
    let mut y = vec![0.0; a.cols];
    for (r, c, v) in triplets(a) {
        y[c] += v * x[r];
    }
    y
}

/// `y = p · x` for a symmetric matrix given by one triangle.
pub fn times_symmetric(p: &Csr, x: &[f64]) -> Vec<f64> {
    let mut y = vec![0.0; p.rows];
    for (r, c, v) in triplets(p) {
        y[r] += v * x[c];
        if r != c {
            y[c] += v * x[r];
        }
    }
    y
}
