//! Sparse Cholesky factors of one pattern: ordered and analysed once, factorized for many values and shifts.
//!
//! Invariant: the pattern of the factor depends on the pattern of the matrix alone; a pivot that is not positive
//! beyond rounding ends the factorization.
//!
//! Source: George and Liu, SIAM Review 31 (1989), for minimum degree; Davis, ACM TOMS 31 (2005), for the up-looking
//! factorization along the elimination tree.

use ravine_linalg::Csr;

/// Symbolic and numeric factor of a symmetric matrix given by its lower triangle.
pub struct SparseFactor {
    n: usize,
    /// Position in the elimination order of each variable, and its inverse.
    place: Vec<usize>,
    order: Vec<usize>,
    parent: Vec<usize>,
    /// Upper triangle of the permuted matrix by columns: rows and source entries.
    starts: Vec<usize>,
    rows: Vec<usize>,
    source: Vec<usize>,
    /// The factor by columns.
    l_starts: Vec<usize>,
    l_rows: Vec<usize>,
    l: Vec<f64>,
    d: Vec<f64>,
    filled: Vec<usize>,
    y: Vec<f64>,
    path: Vec<usize>,
    mark: Vec<usize>,
}

const NONE: usize = usize::MAX;

impl SparseFactor {
    /// Orders and analyses a pattern; none if the factor would have more than `limit` entries.
    pub fn analyse(lower: &Csr, limit: usize) -> Option<SparseFactor> {
        let n = lower.rows;
        let order = minimum_degree(lower, limit)?;
        let mut place = vec![0; n];
        order.iter().enumerate().for_each(|(p, &i)| place[i] = p);
        let mut columns: Vec<Vec<(usize, usize)>> = vec![vec![]; n];
        for i in 0..n {
            for k in lower.indptr[i]..lower.indptr[i + 1] {
                let (p, q) = (place[i], place[lower.indices[k]]);
                columns[p.max(q)].push((p.min(q), k));
            }
        }
        let mut starts = vec![0];
        let (mut rows, mut source) = (vec![], vec![]);
        for column in &mut columns {
            column.sort_unstable();
            rows.extend(column.iter().map(|c| c.0));
            source.extend(column.iter().map(|c| c.1));
            starts.push(rows.len());
        }
        // Elimination tree and column counts.
        let mut parent = vec![NONE; n];
        let mut mark = vec![NONE; n];
        let mut counts = vec![0usize; n];
        for k in 0..n {
            mark[k] = k;
            for &start in &rows[starts[k]..starts[k + 1]] {
                let mut i = start;
                while mark[i] != k {
                    if parent[i] == NONE {
                        parent[i] = k;
                    }
                    counts[i] += 1;
                    mark[i] = k;
                    i = parent[i];
                }
            }
        }
        let mut l_starts = vec![0; n + 1];
        for k in 0..n {
            l_starts[k + 1] = l_starts[k] + counts[k];
        }
        let entries = l_starts[n];
        if entries > limit {
            return None;
        }
        Some(SparseFactor {
            n,
            place,
            order,
            parent,
            starts,
            rows,
            source,
            l_starts,
            l_rows: vec![0; entries],
            l: vec![0.0; entries],
            d: vec![0.0; n],
            filled: vec![0; n],
            y: vec![0.0; n],
            path: vec![0; n],
            mark: vec![NONE; n],
        })
    }

    /// Entries of the factor below its diagonal.
    pub fn entries(&self) -> usize {
        self.l.len()
    }

    /// `L D Lᵀ` of the free block plus `shift`, identity elsewhere; `false` if it is not positive definite.
    pub fn factor(&mut self, lower: &Csr, free: &[bool], shift: f64) -> bool {
        self.filled.copy_from_slice(&self.l_starts[..self.n]);
        self.mark.fill(NONE);
        self.y.fill(0.0);
        for k in 0..self.n {
            let variable = self.order[k];
            let mut diagonal = if free[variable] { shift } else { 1.0 };
            let mut top = self.n;
            self.mark[k] = k;
            for e in self.starts[k]..self.starts[k + 1] {
                let row = self.rows[e];
                let value = lower.values[self.source[e]];
                if row == k {
                    if free[variable] {
                        diagonal += value;
                    }
                    continue;
                }
                self.y[row] += if free[variable] && free[self.order[row]] {
                    value
                } else {
                    0.0
                };
                let mut length = 0;
                let mut i = row;
                while self.mark[i] != k {
                    self.path[length] = i;
                    length += 1;
                    self.mark[i] = k;
                    i = self.parent[i];
                }
                while length > 0 {
                    length -= 1;
                    top -= 1;
                    self.path[top] = self.path[length];
                }
            }
            let scale = diagonal.abs();
            for p in top..self.n {
                let i = self.path[p];
                let value = self.y[i];
                self.y[i] = 0.0;
                for e in self.l_starts[i]..self.filled[i] {
                    self.y[self.l_rows[e]] -= self.l[e] * value;
                }
                let l = value / self.d[i];
                diagonal -= l * value;
                self.l_rows[self.filled[i]] = k;
                self.l[self.filled[i]] = l;
                self.filled[i] += 1;
            }
            if !(diagonal > f64::EPSILON * scale && diagonal.is_finite()) {
                return false;
            }
            self.d[k] = diagonal;
        }
        true
    }

    /// Solves in place with the last factor; `work` is as long.
    pub fn solve(&self, b: &mut [f64], work: &mut Vec<f64>) {
        work.clear();
        work.extend(self.order.iter().map(|&i| b[i]));
        for j in 0..self.n {
            let t = work[j];
            for e in self.l_starts[j]..self.filled[j] {
                work[self.l_rows[e]] -= self.l[e] * t;
            }
        }
        for j in (0..self.n).rev() {
            let mut t = work[j] / self.d[j];
            for e in self.l_starts[j]..self.filled[j] {
                t -= self.l[e] * work[self.l_rows[e]];
            }
            work[j] = t;
        }
        for (i, v) in b.iter_mut().enumerate() {
            *v = work[self.place[i]];
        }
    }
}

/// Elimination order that removes a variable of least degree next, ties to the first; none beyond `limit` entries.
fn minimum_degree(lower: &Csr, limit: usize) -> Option<Vec<usize>> {
    use std::collections::BTreeSet;
    let n = lower.rows;
    let mut adjacent: Vec<Vec<usize>> = vec![vec![]; n];
    for i in 0..n {
        for &j in &lower.indices[lower.indptr[i]..lower.indptr[i + 1]] {
            if i != j {
                adjacent[i].push(j);
                adjacent[j].push(i);
            }
        }
    }
    adjacent.iter_mut().for_each(|a| a.sort_unstable());
    let mut queue: BTreeSet<(usize, usize)> = (0..n).map(|i| (adjacent[i].len(), i)).collect();
    let mut order = Vec::with_capacity(n);
    let mut entries = 0;
    let mut merged = vec![];
    while let Some((degree, i)) = queue.pop_first() {
        entries += degree;
        if entries > limit {
            return None;
        }
        order.push(i);
        if degree == queue.len() {
            // The rest is one clique: any order is as good.
            order.extend(queue.iter().map(|q| q.1));
            let m = queue.len();
            return (entries + m * m.saturating_sub(1) / 2 <= limit).then_some(order);
        }
        let clique = std::mem::take(&mut adjacent[i]);
        for &j in &clique {
            queue.remove(&(adjacent[j].len(), j));
            merged.clear();
            merge(&adjacent[j], &clique, i, j, &mut merged);
            std::mem::swap(&mut adjacent[j], &mut merged);
            queue.insert((adjacent[j].len(), j));
        }
    }
    Some(order)
}

/// Sorted union of two sorted lists without `a` and `b`.
fn merge(left: &[usize], right: &[usize], a: usize, b: usize, out: &mut Vec<usize>) {
    let (mut p, mut q) = (0, 0);
    while p < left.len() || q < right.len() {
        let (l, r) = (
            left.get(p).copied().unwrap_or(NONE),
            right.get(q).copied().unwrap_or(NONE),
        );
        let next = l.min(r);
        p += usize::from(l == next);
        q += usize::from(r == next);
        if next != a && next != b {
            out.push(next);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A symmetric matrix with a few entries a row, diagonally dominant.
    fn sample(n: usize) -> Csr {
        let mut indptr = vec![0];
        let (mut indices, mut values) = (vec![], vec![]);
        for i in 0..n {
            for j in 0..i {
                if (i * 7 + j * 13) % 11 == 0 || i - j == 1 {
                    indices.push(j);
                    values.push(((i + 2 * j) % 5) as f64 - 2.3);
                }
            }
            indices.push(i);
            values.push(3.0 * n as f64 + i as f64);
            indptr.push(indices.len());
        }
        Csr {
            rows: n,
            cols: n,
            indptr,
            indices,
            values,
        }
    }

    #[test]
    fn solves_as_a_dense_factorization_does() {
        let n = 30;
        let a = sample(n);
        let mut f = SparseFactor::analyse(&a, usize::MAX).expect("fits");
        let mut free = vec![true; n];
        free[4] = false;
        free[17] = false;
        for shift in [0.0, 2.5] {
            assert!(f.factor(&a, &free, shift));
            let dense = a.to_dense();
            let m = nalgebra::DMatrix::from_fn(n, n, |i, j| {
                let v = dense.data[i.max(j) * n + i.min(j)];
                match (free[i] && free[j], i == j) {
                    (true, true) => v + shift,
                    (true, false) => v,
                    (false, true) => 1.0,
                    (false, false) => 0.0,
                }
            });
            let b: Vec<f64> = (0..n).map(|i| (i as f64) - 7.0).collect();
            let expected = m.lu().solve(&nalgebra::DVector::from_vec(b.clone())).expect("regular");
            let mut x = b;
            f.solve(&mut x, &mut vec![]);
            for i in 0..n {
                assert!((x[i] - expected[i]).abs() <= 1e-12 * expected.amax());
            }
        }
        assert!(!f.factor(&a, &free, -200.0), "indefinite");
    }

    #[test]
    fn an_arrow_has_no_fill() {
        let n = 200;
        let mut indptr = vec![0, 1];
        let (mut indices, mut values) = (vec![0], vec![1000.0]);
        for i in 1..n {
            indices.extend([0, i]);
            values.extend([1.0, 2.0]);
            indptr.push(indices.len());
        }
        let a = Csr {
            rows: n,
            cols: n,
            indptr,
            indices,
            values,
        };
        let mut f = SparseFactor::analyse(&a, usize::MAX).expect("fits");
        assert_eq!(f.entries(), n - 1);
        assert!(f.factor(&a, &vec![true; n], 0.0));
        assert!(SparseFactor::analyse(&a, 50).is_none());
    }
}
