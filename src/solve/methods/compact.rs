//! Directions from a memory of pairs: the two-loop recursion, and the compact form with bounds.
//!
//! Invariant: `B = θI − W M Wᵀ` with `W = [Y, θS]` is the matrix of both; a singular middle matrix drops the memory.
//!
//! Source: Nocedal, Math. Comp. 35 (1980); Byrd, Lu, Nocedal and Zhu, SIAM J. Sci. Comput. 16 (1995), algorithms CP
//! and "direct primal"; Morales and Nocedal, ACM TOMS 38 (2011), for the projected subspace step.

use crate::solve::oracle::Bounds;
use crate::solve::state::History;
use crate::solve::vector::{axpy, dot};

/// The kept pairs of one step.
pub struct Compact<'a> {
    s: &'a History,
    y: &'a History,
    products: &'a [f64],
    k: usize,
}

/// Work arrays of the path.
#[derive(Default)]
pub struct Path {
    cauchy: Vec<f64>,
    breaks: Vec<(f64, usize)>,
    free: Vec<usize>,
    r: Vec<f64>,
}

impl<'a> Compact<'a> {
    /// The pairs with their inner products by place.
    pub fn new(s: &'a History, y: &'a History, products: &'a [f64]) -> Self {
        let k = s.len();
        Self { s, y, products, k }
    }
    /// Goes on without any pair.
    pub fn forget(&mut self) {
        self.k = 0;
    }
    /// Is there no pair?
    pub fn is_empty(&self) -> bool {
        self.k == 0
    }
    fn product(&self, which: usize, i: usize, j: usize) -> f64 {
        let m = self.s.capacity();
        self.products[which * m * m + self.s.place(i) * m + self.s.place(j)]
    }
    fn ss(&self, i: usize, j: usize) -> f64 {
        self.product(0, i, j)
    }
    fn sy(&self, i: usize, j: usize) -> f64 {
        self.product(1, i, j)
    }
    fn yy(&self, i: usize, j: usize) -> f64 {
        self.product(2, i, j)
    }
    fn theta(&self) -> f64 {
        match self.k {
            0 => 1.0,
            k => self.yy(k - 1, k - 1) / self.sy(k - 1, k - 1),
        }
    }

    /// `d = −B⁻¹ g` by the two loops.
    pub fn direction(&self, g: &[f64], d: &mut [f64], a: &mut Vec<f64>) {
        for (v, u) in d.iter_mut().zip(g) {
            *v = -u;
        }
        a.clear();
        a.resize(self.k, 0.0);
        for i in (0..self.k).rev() {
            a[i] = dot(self.s.get(i), d) / self.sy(i, i);
            axpy(-a[i], self.y.get(i), d);
        }
        let scale = 1.0 / self.theta();
        d.iter_mut().for_each(|v| *v *= scale);
        for i in 0..self.k {
            let b = dot(self.y.get(i), d) / self.sy(i, i);
            axpy(a[i] - b, self.s.get(i), d);
        }
    }

    /// Row `i` of `W = [Y, θS]`.
    fn row(&self, theta: f64, i: usize, out: &mut [f64]) {
        for j in 0..self.k {
            out[j] = self.y.get(j)[i];
            out[self.k + j] = theta * self.s.get(j)[i];
        }
    }

    /// `Wᵀ v`.
    fn transposed(&self, theta: f64, v: &[f64]) -> Vec<f64> {
        let of_y = (0..self.k).map(|j| dot(self.y.get(j), v));
        let of_s = (0..self.k).map(|j| theta * dot(self.s.get(j), v));
        of_y.chain(of_s).collect()
    }

    /// `M`, the inverse of `[−D, Lᵀ; L, θ SᵀS]`; none if that is singular.
    fn middle(&self, theta: f64) -> Option<Vec<f64>> {
        let k = self.k;
        let w = 2 * k;
        let mut a = vec![0.0; w * w];
        for i in 0..k {
            a[i * w + i] = -self.sy(i, i);
            for j in 0..k {
                if i > j {
                    a[(k + i) * w + j] = self.sy(i, j);
                    a[j * w + k + i] = self.sy(i, j);
                }
                a[(k + i) * w + k + j] = theta * self.ss(i, j);
            }
        }
        let mut identity = vec![0.0; w * w];
        (0..w).for_each(|i| identity[i * w + i] = 1.0);
        eliminate(w, &mut a, w, &mut identity).then_some(identity)
    }

    /// The direction to the minimizer of the model within the bounds, as the path and the subspace step find it.
    pub fn bounded_direction(&mut self, b: &Bounds, x: &[f64], g: &[f64], d: &mut [f64], path: &mut Path) {
        let theta = self.theta();
        let middle = if self.k == 0 { Some(vec![]) } else { self.middle(theta) };
        let Some(middle) = middle else {
            self.k = 0;
            return self.bounded_direction(b, x, g, d, path);
        };
        let c = self.cauchy(b, x, g, theta, &middle, d, path);
        if !self.subspace(b, x, g, theta, &middle, &c, d, path) {
            // The Cauchy point alone: always a direction of descent.
            for i in 0..x.len() {
                d[i] = path.cauchy[i] - x[i];
            }
        }
    }

    /// The generalized Cauchy point into `path.cauchy`; returns `Wᵀ(x_c − x)`. `d` is work space.
    fn cauchy(
        &self,
        b: &Bounds,
        x: &[f64],
        g: &[f64],
        theta: f64,
        middle: &[f64],
        d: &mut [f64],
        path: &mut Path,
    ) -> Vec<f64> {
        let (n, w) = (x.len(), 2 * self.k);
        path.cauchy.clear();
        path.cauchy.extend_from_slice(x);
        path.breaks.clear();
        for i in 0..n {
            let t = if g[i] < 0.0 {
                (x[i] - b.upper[i]) / g[i]
            } else if g[i] > 0.0 {
                (x[i] - b.lower[i]) / g[i]
            } else {
                f64::INFINITY
            };
            d[i] = if t <= 0.0 { 0.0 } else { -g[i] };
            if t > 0.0 && t.is_finite() {
                path.breaks.push((t, i));
            }
        }
        path.breaks
            .sort_unstable_by(|p, q| p.0.total_cmp(&q.0).then(p.1.cmp(&q.1)));
        let mut p = self.transposed(theta, d);
        let mut c = vec![0.0; w];
        let mut slope = -dot(d, d);
        let mut curve = -theta * slope - bilinear(middle, &p, &p);
        let least = f64::EPSILON * (-theta * slope).abs();
        let mut t_old = 0.0;
        let mut row = vec![0.0; w];
        let mut stop = if slope < 0.0 { -slope / curve.max(least) } else { 0.0 };
        for &(t, i) in &path.breaks {
            let dt = t - t_old;
            if stop < dt {
                break;
            }
            let bound = if d[i] > 0.0 { b.upper[i] } else { b.lower[i] };
            path.cauchy[i] = bound;
            let (z, gi) = (bound - x[i], g[i]);
            axpy(dt, &p, &mut c);
            self.row(theta, i, &mut row);
            slope += dt * curve + gi * gi + theta * gi * z - gi * bilinear(middle, &row, &c);
            curve -= theta * gi * gi + 2.0 * gi * bilinear(middle, &row, &p) + gi * gi * bilinear(middle, &row, &row);
            axpy(gi, &row, &mut p);
            d[i] = 0.0;
            t_old = t;
            stop = if slope < 0.0 { -slope / curve.max(least) } else { 0.0 };
        }
        let stop = if d.iter().any(|v| *v != 0.0) {
            stop.max(0.0)
        } else {
            0.0
        };
        t_old += stop;
        for i in 0..n {
            if d[i] != 0.0 {
                path.cauchy[i] = b.clamp(i, x[i] + t_old * d[i]);
            }
        }
        axpy(stop, &p, &mut c);
        c
    }

    /// Minimizes the model over the variables off their bounds at the Cauchy point, projects, and writes the
    /// direction; `false` if that is no descent.
    fn subspace(
        &self,
        b: &Bounds,
        x: &[f64],
        g: &[f64],
        theta: f64,
        middle: &[f64],
        c: &[f64],
        d: &mut [f64],
        path: &mut Path,
    ) -> bool {
        let (n, k) = (x.len(), self.k);
        let w = 2 * k;
        let Path { cauchy, free, r, .. } = path;
        free.clear();
        free.extend((0..n).filter(|&i| cauchy[i] > b.lower[i] && cauchy[i] < b.upper[i]));
        if free.is_empty() || k == 0 {
            return false;
        }
        // Reduced gradient of the model at the Cauchy point.
        let mc = multiply(middle, c);
        r.clear();
        r.resize(n, 0.0);
        for &i in free.iter() {
            r[i] = g[i] + theta * (cauchy[i] - x[i]);
        }
        for j in 0..k {
            let (y, s) = (self.y.get(j), self.s.get(j));
            for &i in free.iter() {
                r[i] -= y[i] * mc[j] + theta * s[i] * mc[k + j];
            }
        }
        let mut v = multiply(middle, &self.transposed(theta, r));
        // I − M WᵀW/θ over the free variables; the fixed ones are subtracted where they are fewer.
        let gram = self.gram(theta, free, n);
        let mut system = multiply_square(middle, &gram, w);
        for (e, a) in system.iter_mut().enumerate() {
            *a = if e % (w + 1) == 0 { 1.0 } else { 0.0 } - *a / theta;
        }
        if !eliminate(w, &mut system, 1, &mut v) {
            return false;
        }
        for j in 0..k {
            let (y, s) = (self.y.get(j), self.s.get(j));
            for &i in free.iter() {
                // r becomes r + W v / θ, the step is −r/θ.
                r[i] += (y[i] * v[j] + theta * s[i] * v[k + j]) / theta;
            }
        }
        for i in 0..n {
            d[i] = cauchy[i] - x[i];
        }
        for &i in free.iter() {
            d[i] = b.clamp(i, cauchy[i] - r[i] / theta) - x[i];
        }
        let descent = dot(d, g) < 0.0;
        if descent {
            return true;
        }
        // Back along the unprojected step until the first bound.
        let mut most = 1.0f64;
        for &i in free.iter() {
            let step = -r[i] / theta;
            if step > 0.0 {
                most = most.min((b.upper[i] - cauchy[i]) / step);
            } else if step < 0.0 {
                most = most.min((b.lower[i] - cauchy[i]) / step);
            }
        }
        for &i in free.iter() {
            d[i] = b.clamp(i, cauchy[i] - most * r[i] / theta) - x[i];
        }
        dot(d, g) < 0.0
    }

    /// `WᵀW` over the free variables.
    fn gram(&self, theta: f64, free: &[usize], n: usize) -> Vec<f64> {
        let k = self.k;
        let w = 2 * k;
        let mut gram = vec![0.0; w * w];
        let few = 2 * free.len() < n;
        let mut fixed: Vec<usize> = vec![];
        if !few {
            let mut next = 0;
            for i in 0..n {
                if free.get(next) == Some(&i) {
                    next += 1;
                } else {
                    fixed.push(i);
                }
            }
        }
        let members: &[usize] = if few { free } else { &fixed };
        let over =
            |a: &[f64], b: &[f64]| ravine_linalg::reduce::sum_by(members.len(), |e| a[members[e]] * b[members[e]]);
        for i in 0..k {
            for j in 0..k {
                let (yy, ys, ss) = (
                    over(self.y.get(i), self.y.get(j)),
                    over(self.y.get(i), self.s.get(j)),
                    over(self.s.get(i), self.s.get(j)),
                );
                let (yy, ys, ss) = if few {
                    (yy, ys, ss)
                } else {
                    (self.yy(i, j) - yy, self.sy(j, i) - ys, self.ss(i, j) - ss)
                };
                gram[i * w + j] = yy;
                gram[i * w + k + j] = theta * ys;
                gram[(k + j) * w + i] = theta * ys;
                gram[(k + i) * w + k + j] = theta * theta * ss;
            }
        }
        gram
    }
}

fn multiply(a: &[f64], v: &[f64]) -> Vec<f64> {
    let w = v.len();
    (0..w)
        .map(|i| a[i * w..(i + 1) * w].iter().zip(v).map(|(p, q)| p * q).sum())
        .collect()
}

fn multiply_square(a: &[f64], b: &[f64], w: usize) -> Vec<f64> {
    let mut out = vec![0.0; w * w];
    for i in 0..w {
        for l in 0..w {
            let f = a[i * w + l];
            for j in 0..w {
                out[i * w + j] += f * b[l * w + j];
            }
        }
    }
    out
}

fn bilinear(a: &[f64], u: &[f64], v: &[f64]) -> f64 {
    let w = u.len();
    (0..w)
        .map(|i| u[i] * a[i * w..(i + 1) * w].iter().zip(v).map(|(p, q)| p * q).sum::<f64>())
        .sum()
}

/// Solves `A X = B` in place by Gauss–Jordan elimination with row pivoting; `false` if `A` is singular to rounding.
fn eliminate(w: usize, a: &mut [f64], cols: usize, b: &mut [f64]) -> bool {
    for c in 0..w {
        let scale = (c..w).map(|i| a[i * w + c].abs()).fold(0.0, f64::max);
        let Some(p) = (c..w).find(|&i| a[i * w + c].abs() == scale) else {
            return false;
        };
        if !(scale > f64::MIN_POSITIVE && scale.is_finite()) {
            return false;
        }
        if p != c {
            (0..w).for_each(|j| a.swap(p * w + j, c * w + j));
            (0..cols).for_each(|j| b.swap(p * cols + j, c * cols + j));
        }
        let pivot = a[c * w + c];
        for i in (0..w).filter(|&i| i != c) {
            let f = a[i * w + c] / pivot;
            if f != 0.0 {
                (c..w).for_each(|j| a[i * w + j] -= f * a[c * w + j]);
                (0..cols).for_each(|j| b[i * cols + j] -= f * b[c * cols + j]);
            }
        }
    }
    for i in 0..w {
        (0..cols).for_each(|j| b[i * cols + j] /= a[i * w + i]);
    }
    b.iter().all(|v| v.is_finite())
}
