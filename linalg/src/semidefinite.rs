//! One semidefinite cone of an interior-point method: the Nesterov-Todd scaling of a pair of matrices, products in its
//! space, and the inner products of sparse matrices in its metric.
//!
//! Invariant: matrices come and go packed as in [`Cone::Semidefinite`](crate::clarabel_adapter::Cone), so that products of
//! vectors are inner products of matrices; everything runs on the calling thread.
//!
//! Sources: Y. Nesterov and M. Todd, SIAM J. Optimization 8 (1998), and M. Todd, K. Toh and R. Tütüncü, ibid., for the
//! scaling; K. Fujisawa, M. Kojima and K. Nakata, Mathematical Programming 79 (1997), for the three ways to the inner
//! products.

use crate::dense::Dense;
use crate::fault::{NumericalFault, check_len};
use crate::sparse::Csr;
use crate::spectrum::symmetric_eigen;
use faer::dyn_stack::{MemBuffer, MemStack};
use faer::linalg::cholesky::llt;
use faer::linalg::evd::tridiag::{tridiag_in_place, tridiag_in_place_scratch};
use faer::linalg::matmul::matmul;
use faer::linalg::svd::{ComputeSvdVectors, svd, svd_scratch};
use faer::{Accum, MatMut, MatRef, Par};
use std::f64::consts::{FRAC_1_SQRT_2, SQRT_2};

const PLACE: &str = "semidefinite scaling";
/// Steps to the boundary are cut here.
const LONGEST: f64 = 1e10;
/// Halvings at most in the search of an eigenvalue, and the relative error that is enough.
const BISECTIONS: usize = 100;
const CLOSE: f64 = 1e-9;
/// Matrices are dense where one entry in so many is there.
const DENSE_PART: usize = 3;

/// Entries of a packed matrix of order `n`.
pub const fn packed(n: usize) -> usize {
    n * (n + 1) / 2
}

/// R with `R'Z R = R⁻¹S R⁻ᵀ = diag(λ)` for positive definite S and Z; the metric is `V ↦ W V W` with `W = R R'`, which
/// takes Z to S.
#[derive(Clone, Debug)]
pub struct Scaling {
    n: usize,
    r: Vec<f64>,
    inverse: Vec<f64>,
    w: Vec<f64>,
    w_inverse: Vec<f64>,
    lambda: Vec<f64>,
}

/// Which of the two metrics: that of the multipliers, `V ↦ W V W`, or that of the slacks, its inverse.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Metric {
    /// `V ↦ W V W`.
    Multipliers,
    /// `V ↦ W⁻¹V W⁻¹`.
    Slacks,
}

impl Scaling {
    /// The scaling of S = Z = I, of order n.
    pub fn identity(n: usize) -> Scaling {
        let mut one = vec![0.0; n * n];
        (0..n).for_each(|i| one[i * n + i] = 1.0);
        Scaling {
            n,
            r: one.clone(),
            inverse: one.clone(),
            w: one.clone(),
            w_inverse: one,
            lambda: vec![1.0; n],
        }
    }

    /// The scaling of packed S and Z; a fault where one of them is not positive definite to working precision.
    pub fn new(n: usize, s: &[f64], z: &[f64]) -> Result<Scaling, NumericalFault> {
        check_len(PLACE, "entries of S", packed(n), s.len())?;
        check_len(PLACE, "entries of Z", packed(n), z.len())?;
        if n == 0 {
            return Ok(Scaling::identity(0));
        }
        let (l, k) = (lower_factor(n, s)?, lower_factor(n, z)?);
        // K'L = U diag(λ) V'.
        let mut between = vec![0.0; n * n];
        product(n, view(&k, n).transpose(), view(&l, n), &mut between);
        let (mut u, mut v) = (vec![0.0; n * n], vec![0.0; n * n]);
        let mut values = faer::diag::Diag::<f64>::zeros(n);
        let want = ComputeSvdVectors::Thin;
        let mut memory = MemBuffer::new(svd_scratch::<f64>(n, n, want, want, Par::Seq, Default::default()));
        svd(
            view(&between, n),
            values.as_mut(),
            Some(view_mut(&mut u, n)),
            Some(view_mut(&mut v, n)),
            Par::Seq,
            MemStack::new(&mut memory),
            Default::default(),
        )
        .map_err(|_| NumericalFault::new("the iteration did not converge", PLACE, n as f64))?;
        let lambda: Vec<f64> = values.column_vector().iter().copied().collect();
        if !lambda.iter().all(|v| *v > 0.0 && v.is_finite()) {
            return Err(NumericalFault::new(
                "the matrices are not positive definite",
                PLACE,
                0.0,
            ));
        }
        for j in 0..n {
            let by = 1.0 / lambda[j].sqrt();
            u[j * n..(j + 1) * n].iter_mut().for_each(|x| *x *= by);
            v[j * n..(j + 1) * n].iter_mut().for_each(|x| *x *= by);
        }
        let mut out = Scaling {
            n,
            r: between,
            inverse: vec![0.0; n * n],
            w: vec![0.0; n * n],
            w_inverse: vec![0.0; n * n],
            lambda,
        };
        product(n, view(&l, n), view(&v, n), &mut out.r);
        product(n, view(&u, n).transpose(), view(&k, n).transpose(), &mut out.inverse);
        product(n, view(&out.r, n), view(&out.r, n).transpose(), &mut out.w);
        product(
            n,
            view(&out.inverse, n).transpose(),
            view(&out.inverse, n),
            &mut out.w_inverse,
        );
        Ok(out)
    }

    /// Order of the matrices.
    pub fn order(&self) -> usize {
        self.n
    }

    /// λ, decreasing: the scaled pair is diag(λ) twice.
    pub fn lambda(&self) -> &[f64] {
        &self.lambda
    }

    /// A packed V in a metric.
    pub fn apply(&self, metric: Metric, v: &[f64], out: &mut [f64]) {
        let w = match metric {
            Metric::Multipliers => &self.w,
            Metric::Slacks => &self.w_inverse,
        };
        congruence(self.n, view(w, self.n), &unpacked(self.n, v), out);
    }

    /// A packed direction of S in the scaled space: `R⁻¹V R⁻ᵀ`.
    pub fn slack(&self, v: &[f64]) -> Vec<f64> {
        let mut out = vec![0.0; v.len()];
        congruence(self.n, view(&self.inverse, self.n), &unpacked(self.n, v), &mut out);
        out
    }

    /// A packed direction of Z in the scaled space: `R'V R`.
    pub fn multiplier(&self, v: &[f64]) -> Vec<f64> {
        let mut out = vec![0.0; v.len()];
        congruence(
            self.n,
            view(&self.r, self.n).transpose(),
            &unpacked(self.n, v),
            &mut out,
        );
        out
    }

    /// What has the packed C for its product with the scaled point, `diag(λ) ∘ V = C` with `A ∘ B = (A B + B A)/2`: as a
    /// multiplier, or as a slack, whichever the metric belongs to.
    pub fn lift(&self, metric: Metric, c: &[f64], out: &mut [f64]) {
        let n = self.n;
        let mut v = unpacked(n, c);
        for j in 0..n {
            for i in 0..n {
                v[j * n + i] *= 2.0 / (self.lambda[i] + self.lambda[j]);
            }
        }
        let by = match metric {
            Metric::Multipliers => view(&self.inverse, n).transpose(),
            Metric::Slacks => view(&self.r, n),
        };
        congruence(n, by, &v, out);
    }

    /// `A ∘ B` of two packed matrices of the scaled space.
    pub fn jordan(&self, a: &[f64], b: &[f64]) -> Vec<f64> {
        let n = self.n;
        let mut c = vec![0.0; n * n];
        product(n, view(&unpacked(n, a), n), view(&unpacked(n, b), n), &mut c);
        let mut out = vec![0.0; a.len()];
        pack(n, &c, &mut out);
        out
    }

    /// The longest step t with `diag(λ) + t D` semidefinite, for a packed D of the scaled space; not a number where D has
    /// such entries.
    pub fn longest(&self, d: &[f64]) -> f64 {
        let n = self.n;
        if n == 0 {
            return LONGEST;
        }
        let by: Vec<f64> = self.lambda.iter().map(|v| 1.0 / v.sqrt()).collect();
        let mut v = unpacked(n, d);
        for j in 0..n {
            for i in 0..n {
                v[j * n + i] *= by[i] * by[j];
            }
        }
        match least_of(n, &v) {
            Some(low) if low < 0.0 => (-1.0 / low).min(LONGEST),
            Some(_) => LONGEST,
            None => f64::NAN,
        }
    }
}

/// The smallest eigenvalue of a packed matrix of order n; not a number where its entries are not.
pub fn least_eigenvalue(n: usize, v: &[f64]) -> f64 {
    least_of(n, &unpacked(n, v)).unwrap_or(f64::NAN)
}

/// By bisection on the tridiagonal form, to the lower side: the last digits of all eigenvalues would cost more.
fn least_of(n: usize, v: &[f64]) -> Option<f64> {
    if n == 0 || !v.iter().all(|v| v.is_finite()) {
        return (n == 0).then_some(f64::INFINITY);
    }
    if n == 1 {
        return Some(v[0]);
    }
    let mut t = v.to_vec();
    let mut householder = vec![0.0; n - 1];
    let mut memory = MemBuffer::new(tridiag_in_place_scratch::<f64>(n, Par::Seq, Default::default()));
    tridiag_in_place(
        view_mut(&mut t, n),
        MatMut::from_column_major_slice_mut(&mut householder, 1, n - 1),
        Par::Seq,
        MemStack::new(&mut memory),
        Default::default(),
    );
    let diagonal: Vec<f64> = (0..n).map(|i| t[i * n + i]).collect();
    let beside: Vec<f64> = (0..n - 1).map(|i| t[i * n + i + 1]).collect();
    let (mut low, mut high) = (f64::INFINITY, f64::INFINITY);
    for i in 0..n {
        let before = if i > 0 { beside[i - 1].abs() } else { 0.0 };
        let after = if i + 1 < n { beside[i].abs() } else { 0.0 };
        low = low.min(diagonal[i] - before - after);
        high = high.min(diagonal[i]);
    }
    let floor = f64::MIN_POSITIVE + f64::EPSILON * f64::EPSILON * low.abs().max(high.abs());
    let definite = |x: f64| {
        let mut q = diagonal[0] - x;
        for i in 1..n {
            if q <= floor {
                return false;
            }
            q = diagonal[i] - x - beside[i - 1] * beside[i - 1] / q;
        }
        q > floor
    };
    for _ in 0..BISECTIONS {
        let middle = 0.5 * (low + high);
        if (high - low) <= CLOSE * low.abs().max(high.abs()) {
            break;
        }
        if definite(middle) {
            low = middle;
        } else {
            high = middle;
        }
    }
    Some(low)
}

/// The metric of the multipliers for an objective with `ρ/2 V·V` beside the cone: `(ρ + (V ↦ W⁻¹V W⁻¹))⁻¹`.
#[derive(Clone, Debug)]
pub struct Damped {
    n: usize,
    q: Vec<f64>,
    values: Vec<f64>,
    by: f64,
}

impl Damped {
    /// Of a scaling and ρ.
    pub fn new(scaling: &Scaling, by: f64) -> Result<Damped, NumericalFault> {
        let n = scaling.n;
        let w = Dense::from_fn(n, n, |i, j| scaling.w[j * n + i]);
        let (values, vectors) = symmetric_eigen(&w)?;
        Ok(Damped {
            n,
            q: vectors.transpose().data,
            values: values.iter().map(|v| v.max(0.0)).collect(),
            by,
        })
    }

    /// Of the scaling of S = Z = I.
    pub fn identity(n: usize, by: f64) -> Damped {
        let one = Scaling::identity(n);
        Damped {
            n,
            q: one.r,
            values: one.lambda,
            by,
        }
    }

    /// A packed V in the metric.
    pub fn apply(&self, v: &[f64], out: &mut [f64]) {
        pack(self.n, &self.within(&unpacked(self.n, v), false), out);
    }

    /// `(1 + ρ (V ↦ W V W))⁻¹` of a packed V.
    pub fn shrink(&self, v: &[f64], out: &mut [f64]) {
        pack(self.n, &self.within(&unpacked(self.n, v), true), out);
    }

    fn within(&self, v: &[f64], shrink: bool) -> Vec<f64> {
        let n = self.n;
        let q = view(&self.q, n);
        let (mut a, mut b) = (vec![0.0; n * n], vec![0.0; n * n]);
        product(n, q.transpose(), view(v, n), &mut a);
        product(n, view(&a, n), q, &mut b);
        for j in 0..n {
            for i in 0..n {
                let w = self.values[i] * self.values[j];
                b[j * n + i] *= if shrink { 1.0 } else { w } / (1.0 + self.by * w);
            }
        }
        product(n, q, view(&b, n), &mut a);
        product(n, view(&a, n), q.transpose(), &mut b);
        b
    }
}

fn view(v: &[f64], n: usize) -> MatRef<'_, f64> {
    MatRef::from_column_major_slice(v, n, n)
}

fn view_mut(v: &mut [f64], n: usize) -> MatMut<'_, f64> {
    MatMut::from_column_major_slice_mut(v, n, n)
}

fn product(n: usize, a: MatRef<'_, f64>, b: MatRef<'_, f64>, out: &mut [f64]) {
    matmul(view_mut(out, n), Accum::Replace, a, b, 1.0, Par::Seq);
}

/// `A V A'` of a full symmetric V, packed.
fn congruence(n: usize, a: MatRef<'_, f64>, v: &[f64], out: &mut [f64]) {
    let (mut half, mut whole) = (vec![0.0; n * n], vec![0.0; n * n]);
    product(n, a, view(v, n), &mut half);
    product(n, view(&half, n), a.transpose(), &mut whole);
    pack(n, &whole, out);
}

/// The symmetric part of a full matrix, packed.
fn pack(n: usize, v: &[f64], out: &mut [f64]) {
    let mut k = 0;
    for j in 0..n {
        for i in 0..j {
            out[k] = FRAC_1_SQRT_2 * (v[j * n + i] + v[i * n + j]);
            k += 1;
        }
        out[k] = v[j * n + j];
        k += 1;
    }
}

fn unpacked(n: usize, v: &[f64]) -> Vec<f64> {
    let mut out = vec![0.0; n * n];
    let mut k = 0;
    for j in 0..n {
        for i in 0..j {
            let x = FRAC_1_SQRT_2 * v[k];
            (out[j * n + i], out[i * n + j]) = (x, x);
            k += 1;
        }
        out[j * n + j] = v[k];
        k += 1;
    }
    out
}

/// L with L L' = V, zeros above its diagonal.
fn lower_factor(n: usize, v: &[f64]) -> Result<Vec<f64>, NumericalFault> {
    let mut l = unpacked(n, v);
    let bad = || NumericalFault::new("a matrix is not positive definite", PLACE, n as f64);
    if !l.iter().all(|v| v.is_finite()) {
        return Err(bad());
    }
    let needs = llt::factor::cholesky_in_place_scratch::<f64>(n, Par::Seq, Default::default());
    let mut memory = MemBuffer::new(needs);
    let stack = MemStack::new(&mut memory);
    llt::factor::cholesky_in_place(
        view_mut(&mut l, n),
        Default::default(),
        Par::Seq,
        stack,
        Default::default(),
    )
    .map_err(|_| bad())?;
    for j in 0..n {
        if !(l[j * n + j] > 0.0 && l[j * n + j].is_finite()) {
            return Err(bad());
        }
        l[j * n..j * n + j].fill(0.0);
    }
    Ok(l)
}

/// An entry of the upper triangle of a sparse symmetric matrix.
#[derive(Clone, Copy, Debug)]
struct Entry {
    row: u32,
    column: u32,
    /// Its value, twice off the diagonal: what it weighs in an inner product with a symmetric matrix.
    weight: f64,
}

impl Entry {
    /// Its place in the packed matrix.
    fn place(&self) -> usize {
        let (i, j) = (self.row as usize, self.column as usize);
        j * (j + 1) / 2 + i
    }
}

/// How a sparse matrix meets those that come after it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Way {
    /// Entry by entry.
    Pairs,
    /// By the rows of `A W`, one product for each entry of the others.
    Rows,
    /// By the whole of `W A W`.
    Whole,
}

/// Sparse symmetric matrices A₁, …, A_m of order n, prepared for their inner products `⟨A_i, W A_j W⟩` for many W.
#[derive(Clone, Debug)]
pub struct Gram {
    n: usize,
    /// For each matrix: where its products go, and its entries; those with the most entries first.
    parts: Vec<(usize, Vec<Entry>, Way)>,
    /// The first matrices, those with about all entries, packed one after the other.
    dense: Vec<f64>,
}

impl Gram {
    /// Takes the rows of `a`, packed matrices of order n; row i belongs to unknown `to[i]`. Rows without entries are left
    /// out.
    pub fn new(n: usize, a: &Csr, to: &[usize]) -> Result<Gram, NumericalFault> {
        check_len(PLACE, "entries of the matrices", packed(n), a.cols)?;
        check_len(PLACE, "matrices", a.rows, to.len())?;
        let mut places = Vec::with_capacity(a.cols);
        for j in 0..n as u32 {
            places.extend((0..=j).map(|i| (i, j)));
        }
        let mut parts: Vec<(usize, Vec<Entry>, Way)> = vec![];
        for (i, to) in to.iter().enumerate() {
            let entries: Vec<Entry> = a
                .entries(i)
                .filter(|e| e.1 != 0.0)
                .map(|(k, v)| {
                    let (row, column) = places[k];
                    let weight = if row == column { v } else { SQRT_2 * v };
                    Entry { row, column, weight }
                })
                .collect();
            if !entries.is_empty() {
                parts.push((*to, entries, Way::Pairs));
            }
        }
        parts.sort_by_key(|p| std::cmp::Reverse(p.1.len()));
        let mut after = 0.0;
        for p in parts.iter_mut().rev() {
            let own = p.1.len() as f64;
            after += own;
            let (rows, n) = (support(&p.1).len() as f64, n as f64);
            // Multiplications; those of a matrix product go four at a time.
            let half = 2.0 * own * n;
            let ways = [
                (Way::Pairs, 2.0 * own * after),
                (Way::Rows, half + rows * (n + after)),
                (Way::Whole, half + 0.25 * n * n * rows + after),
            ];
            let least = ways.iter().fold(ways[0], |m, w| if w.1 < m.1 { *w } else { m });
            p.2 = least.0;
        }
        let many = |p: &&(usize, Vec<Entry>, Way)| p.2 == Way::Whole && DENSE_PART * p.1.len() >= packed(n);
        let count = parts.iter().take_while(many).count();
        let mut dense = vec![0.0; count * packed(n)];
        for (part, out) in parts.iter().zip(dense.chunks_exact_mut(packed(n).max(1))) {
            for e in &part.1 {
                let by = if e.row == e.column { 1.0 } else { FRAC_1_SQRT_2 };
                out[e.place()] = by * e.weight;
            }
        }
        Ok(Gram { n, parts, dense })
    }

    /// Adds `sign` times the inner products in a metric to the lower triangle of a matrix of this order, by columns.
    pub fn add(&self, scaling: &Scaling, metric: Metric, sign: f64, lower: &mut [f64], order: usize) {
        let n = self.n;
        let w = match metric {
            Metric::Multipliers => &scaling.w,
            Metric::Slacks => &scaling.w_inverse,
        };
        let mut put = |i: usize, j: usize, v: f64| lower[i.min(j) * order + i.max(j)] += sign * v;
        // Among the dense ones by one product of matrices.
        let (size, mut images) = (packed(n), vec![0.0; self.dense.len()]);
        let count = self.dense.len() / size.max(1);
        for (k, (a, image)) in self
            .dense
            .chunks_exact(size.max(1))
            .zip(images.chunks_exact_mut(size.max(1)))
            .enumerate()
        {
            congruence(n, view(w, n), &unpacked(n, a), image);
            for (i, others, _) in &self.parts[count..] {
                let of = |e: &Entry| {
                    let by = if e.row == e.column { 1.0 } else { FRAC_1_SQRT_2 };
                    by * e.weight * image[e.place()]
                };
                put(*i, self.parts[k].0, others.iter().map(of).sum());
            }
        }
        if count > 0 {
            let mut among = vec![0.0; count * count];
            matmul(
                view_mut(&mut among, count),
                Accum::Replace,
                MatRef::from_column_major_slice(&self.dense, size, count).transpose(),
                MatRef::from_column_major_slice(&images, size, count),
                1.0,
                Par::Seq,
            );
            for j in 0..count {
                for i in j..count {
                    put(self.parts[i].0, self.parts[j].0, among[j * count + i]);
                }
            }
        }
        for (at, (j, own, way)) in self.parts.iter().enumerate().skip(count) {
            let rest = &self.parts[at..];
            if *way == Way::Pairs {
                for (i, others, _) in rest {
                    put(*i, *j, pairs(n, w, own, others));
                }
                continue;
            }
            // A W by its rows with entries, next to each other for each column; and the same columns of W.
            let rows = support(own);
            let k = rows.len();
            let mut place = vec![usize::MAX; n];
            rows.iter().enumerate().for_each(|(p, r)| place[*r] = p);
            let (mut half, mut side) = (vec![0.0; n * k], vec![0.0; n * k]);
            for e in own {
                let (a, b) = (e.row as usize, e.column as usize);
                let v = if a == b { e.weight } else { 0.5 * e.weight };
                for c in 0..n {
                    half[c * k + place[a]] += v * w[b * n + c];
                }
                if a != b {
                    for c in 0..n {
                        half[c * k + place[b]] += v * w[a * n + c];
                    }
                }
            }
            for c in 0..n {
                for (p, r) in rows.iter().enumerate() {
                    side[c * k + p] = w[r * n + c];
                }
            }
            if *way == Way::Rows {
                for (i, others, _) in rest {
                    let mut sum = 0.0;
                    for e in others {
                        let (a, b) = (e.row as usize, e.column as usize);
                        let (x, y) = (&side[a * k..(a + 1) * k], &half[b * k..(b + 1) * k]);
                        sum += e.weight * x.iter().zip(y).map(|(x, y)| x * y).sum::<f64>();
                    }
                    put(*i, *j, sum);
                }
                continue;
            }
            let mut whole = vec![0.0; n * n];
            matmul(
                view_mut(&mut whole, n),
                Accum::Replace,
                MatRef::from_column_major_slice(&side, k, n).transpose(),
                MatRef::from_column_major_slice(&half, k, n),
                1.0,
                Par::Seq,
            );
            for (i, others, _) in rest {
                let of = |e: &Entry| e.weight * whole[e.column as usize * n + e.row as usize];
                put(*i, *j, others.iter().map(of).sum());
            }
        }
    }
}

impl Gram {
    /// The same in a damped metric.
    pub fn add_damped(&self, metric: &Damped, sign: f64, lower: &mut [f64], order: usize) {
        let n = self.n;
        let mut full = vec![0.0; n * n];
        for (at, (j, own, _)) in self.parts.iter().enumerate() {
            full.fill(0.0);
            for e in own {
                let (a, b) = (e.row as usize, e.column as usize);
                let v = if a == b { e.weight } else { 0.5 * e.weight };
                (full[b * n + a], full[a * n + b]) = (v, v);
            }
            let whole = metric.within(&full, false);
            for (i, others, _) in &self.parts[at..] {
                let of = |e: &Entry| e.weight * whole[e.column as usize * n + e.row as usize];
                lower[i.min(j) * order + i.max(j)] += sign * others.iter().map(of).sum::<f64>();
            }
        }
    }
}

/// `⟨A, W B W⟩` entry by entry.
fn pairs(n: usize, w: &[f64], a: &[Entry], b: &[Entry]) -> f64 {
    let mut sum = 0.0;
    for e in a {
        let (p, q) = (&w[e.row as usize * n..][..n], &w[e.column as usize * n..][..n]);
        let mut part = 0.0;
        for f in b {
            let (r, c) = (f.row as usize, f.column as usize);
            part += f.weight * (p[r] * q[c] + p[c] * q[r]);
        }
        sum += e.weight * part;
    }
    0.5 * sum
}

/// Rows with entries of the whole symmetric matrix.
fn support(entries: &[Entry]) -> Vec<usize> {
    let mut rows: Vec<usize> = entries
        .iter()
        .flat_map(|e| [e.row as usize, e.column as usize])
        .collect();
    rows.sort_unstable();
    rows.dedup();
    rows
}
