//! Extreme eigenvalues and singular values from a few products, as bounds from inside.
//!
//! Invariant: what is returned lies within the spectrum up to rounding, so a condition number from it is a lower bound.
//!
//! Sources: C. Lanczos, 1950; G. Golub and W. Kahan, SIAM J. Numer. Anal. 2, 1965; counting of eigenvalues by Sturm
//! sequences in the form of W. Givens, 1954 (Parlett, The Symmetric Eigenvalue Problem, 1998).

use crate::operator::LinearMap;
use crate::reduce::{dot, norm2};
use crate::refine::sign;

/// A symmetric tridiagonal matrix.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Tridiagonal {
    /// The diagonal.
    pub diagonal: Vec<f64>,
    /// The entries beside it, one fewer.
    pub beside: Vec<f64>,
}

impl Tridiagonal {
    /// Number of eigenvalues below `at`.
    pub fn below(&self, at: f64) -> usize {
        let mut count = 0;
        let mut pivot = 1.0f64;
        for (j, d) in self.diagonal.iter().enumerate() {
            let last = if j == 0 {
                0.0
            } else {
                self.beside[j - 1] * self.beside[j - 1] / pivot
            };
            pivot = d - at - last;
            if pivot == 0.0 {
                pivot = f64::MIN_POSITIVE;
            }
            count += usize::from(pivot < 0.0);
        }
        count
    }

    /// The eigenvalue with `index` smaller ones, to the last bits; NaN where there is none.
    pub fn eigenvalue(&self, index: usize) -> f64 {
        let n = self.diagonal.len();
        if index >= n {
            return f64::NAN;
        }
        let beside = |j: usize| self.beside.get(j).map_or(0.0, |b| b.abs());
        let reach = |j: usize| beside(j) + if j > 0 { beside(j - 1) } else { 0.0 };
        let (mut low, mut high) = (f64::INFINITY, f64::NEG_INFINITY);
        for (j, d) in self.diagonal.iter().enumerate() {
            low = low.min(d - reach(j));
            high = high.max(d + reach(j));
        }
        if !(low.is_finite() && high.is_finite()) {
            return f64::NAN;
        }
        for _ in 0..200 {
            let middle = 0.5 * (low + high);
            if middle <= low || middle >= high {
                break;
            }
            if self.below(middle) > index {
                high = middle;
            } else {
                low = middle;
            }
        }
        0.5 * (low + high)
    }

    /// Smallest and largest eigenvalue; none of an empty matrix.
    pub fn extremes(&self) -> Option<(f64, f64)> {
        let n = self.diagonal.len();
        (n > 0).then(|| (self.eigenvalue(0), self.eigenvalue(n - 1)))
    }
}

/// A fixed start without pattern.
fn start(n: usize) -> Vec<f64> {
    let mut v: Vec<f64> = (0..n).map(|i| sign(i, 11) * (1.0 + (i % 13) as f64 / 13.0)).collect();
    let length = norm2(&v);
    v.iter_mut().for_each(|x| *x /= length);
    v
}

/// At most `steps` Lanczos steps on a symmetric map of order `n`, `apply` writing A v.
pub fn lanczos(n: usize, steps: usize, apply: &mut dyn FnMut(&[f64], &mut [f64])) -> Tridiagonal {
    let mut t = Tridiagonal::default();
    if n == 0 {
        return t;
    }
    let (mut v, mut before, mut beta) = (start(n), vec![0.0; n], 0.0f64);
    for k in 0..steps.min(n) {
        let mut w = vec![0.0; n];
        apply(&v, &mut w);
        let alpha = dot(&w, &v);
        for i in 0..n {
            w[i] -= alpha * v[i] + beta * before[i];
        }
        t.diagonal.push(alpha);
        beta = norm2(&w);
        let size = t.diagonal.iter().fold(0.0f64, |m, d| m.max(d.abs()));
        if !(beta > f64::EPSILON * size && beta.is_finite()) || k + 1 == steps.min(n) {
            break;
        }
        t.beside.push(beta);
        w.iter_mut().for_each(|x| *x /= beta);
        before = std::mem::replace(&mut v, w);
    }
    t
}

/// A value no larger than the largest singular value and one no smaller than the smallest (of a map with at least as many
/// rows as columns), from `steps` steps of bidiagonalization; zeros where the map is zero on the start.
pub fn singular_bounds(map: &mut dyn LinearMap, steps: usize) -> (f64, f64) {
    let (m, n) = (map.rows(), map.cols());
    if m == 0 || n == 0 {
        return (0.0, 0.0);
    }
    // Upper bidiagonal: A v = alpha u, A'u - alpha v = beta v_next. Its singular values are the positive eigenvalues of
    // the tridiagonal matrix with a zero diagonal and alpha, beta, alpha, ... beside it.
    let mut beside = vec![];
    let mut v = start(n);
    let mut u = vec![0.0; m];
    map.apply(&v, &mut u);
    let mut alpha = norm2(&u);
    let mut size = alpha;
    for k in 0..steps.min(n) {
        if !(alpha > f64::EPSILON * size && alpha.is_finite()) {
            break;
        }
        beside.push(alpha);
        u.iter_mut().for_each(|x| *x /= alpha);
        let mut w = vec![0.0; n];
        map.adjoint(&u, &mut w);
        w.iter_mut().zip(&v).for_each(|(w, v)| *w -= alpha * v);
        let beta = norm2(&w);
        if !(beta > f64::EPSILON * size && beta.is_finite()) || k + 1 == steps.min(n) {
            break;
        }
        beside.push(beta);
        size = size.max(beta);
        w.iter_mut().for_each(|x| *x /= beta);
        v = w;
        let mut next = vec![0.0; m];
        map.apply(&v, &mut next);
        next.iter_mut().zip(&u).for_each(|(x, u)| *x -= beta * u);
        u = next;
        alpha = norm2(&u);
        size = size.max(alpha);
    }
    // The last beta belongs to the next column: with it the matrix is that of A'restricted to the columns seen.
    if beside.len().is_multiple_of(2) {
        beside.pop();
    }
    let order = beside.len() + 1;
    if order < 2 {
        return (0.0, 0.0);
    }
    let t = Tridiagonal {
        diagonal: vec![0.0; order],
        beside,
    };
    (t.eigenvalue(order - 1), t.eigenvalue(order / 2))
}
