//! Closed-form proximal operators: `prox(v, t) = argmin_u  t·f(u) + |u - v|²/2`.
//!
//! Invariant: exact up to rounding for every finite `v` and `t > 0` (Parikh & Boyd, Proximal Algorithms, 2014, §6).

/// `f(u) = |u|`: soft threshold.
pub fn abs(v: f64, t: f64) -> f64 {
    if v > t {
        v - t
    } else if v < -t {
        v + t
    } else {
        0.0
    }
}

/// `f(u) = max(u, 0)`.
pub fn relu(v: f64, t: f64) -> f64 {
    if v > t {
        v - t
    } else if v >= 0.0 {
        0.0
    } else {
        v
    }
}

/// `f(u) = max(1 - u, 0)`.
pub fn hinge(v: f64, t: f64) -> f64 {
    if v >= 1.0 { v } else { (v + t).min(1.0) }
}

/// `f(u) = max(1 - u, 0)²`.
pub fn squared_hinge(v: f64, t: f64) -> f64 {
    if v >= 1.0 { v } else { (v + 2.0 * t) / (1.0 + 2.0 * t) }
}

/// `f(u)` = 0 from 1 on, `(1 - u)²/2` between 0 and 1, `1/2 - u` below.
pub fn smoothed_hinge(v: f64, t: f64) -> f64 {
    if v >= 1.0 {
        v
    } else if v <= -t {
        v + t
    } else {
        (v + t) / (1.0 + t)
    }
}

/// `f(u) = u²`.
pub fn square(v: f64, t: f64) -> f64 {
    v / (1.0 + 2.0 * t)
}

/// `f = Σ u`.
pub fn sum(v: &mut [f64], t: f64) {
    v.iter_mut().for_each(|x| *x -= t);
}

/// `f = Σ u / n`.
pub fn mean(v: &mut [f64], t: f64) {
    sum(v, t / v.len() as f64);
}

/// `f = Σ u²`.
pub fn sum_squares(v: &mut [f64], t: f64) {
    v.iter_mut().for_each(|x| *x = square(*x, t));
}

/// `f = Σ |u|`.
pub fn norm1(v: &mut [f64], t: f64) {
    v.iter_mut().for_each(|x| *x = abs(*x, t));
}

/// `f = |u|₂`: block soft threshold.
pub fn norm2(v: &mut [f64], t: f64) {
    let partial = (super::kernels::NORM2.block)(v);
    let norm = (super::kernels::NORM2.finish)(partial, v.len());
    let k = if norm > t { 1.0 - t / norm } else { 0.0 };
    v.iter_mut().for_each(|x| *x *= k);
}

/// `f = max u`: subtracts the projection onto `t` times the simplex (Moreau), which caps the largest entries.
pub fn max(v: &mut [f64], t: f64) {
    let cap = cap(v, t);
    v.iter_mut().for_each(|x| *x = x.min(cap));
}

/// `f = max |u|`: caps magnitudes; zero if `t` is at least the sum of magnitudes.
pub fn norm_inf(v: &mut [f64], t: f64) {
    let magnitudes: Vec<f64> = v.iter().map(|x| x.abs()).collect();
    let cap = cap(&magnitudes, t).max(0.0);
    v.iter_mut().for_each(|x| *x = x.clamp(-cap, cap));
}

/// The level `c` with `Σ max(v - c, 0) = t`.
fn cap(v: &[f64], t: f64) -> f64 {
    let mut sorted = v.to_vec();
    sorted.sort_by(|a, b| b.total_cmp(a));
    let (mut sum, mut c) = (0.0, f64::NEG_INFINITY);
    for (k, x) in sorted.iter().enumerate() {
        // With the k+1 largest above the level, it is their mean less t's share; right once the next one is below.
        sum += x;
        c = (sum - t) / (k + 1) as f64;
        if sorted.get(k + 1).is_none_or(|next| *next <= c) {
            break;
        }
    }
    c
}

/// The nearest point with entries of at least 0 whose sum is `total > 0` (Held, Wolfe & Crowder, 1974).
pub fn simplex(v: &mut [f64], total: f64) {
    let level = cap(v, total);
    v.iter_mut().for_each(|x| *x = (*x - level).max(0.0));
}

/// The nearest point with entries of at least 0 whose sum is at most `total`.
pub fn capped_simplex(v: &mut [f64], total: f64) {
    let sum: f64 = v.iter().map(|x| x.max(0.0)).sum();
    if sum <= total {
        v.iter_mut().for_each(|x| *x = x.max(0.0));
    } else {
        simplex(v, total);
    }
}

/// The nearest point of the ball `|u|₂ <= radius`.
pub fn ball(v: &mut [f64], radius: f64) {
    let partial = (super::kernels::NORM2.block)(v);
    let norm = (super::kernels::NORM2.finish)(partial, v.len());
    if norm > radius {
        v.iter_mut().for_each(|x| *x *= radius / norm);
    }
}

/// The nearest point of the ball `Σ |u| <= radius` (Duchi, Shalev-Shwartz, Singer & Chandra, ICML 2008).
pub fn ball1(v: &mut [f64], radius: f64) {
    let magnitudes: Vec<f64> = v.iter().map(|x| x.abs()).collect();
    if magnitudes.iter().sum::<f64>() > radius {
        let level = cap(&magnitudes, radius);
        v.iter_mut().for_each(|x| *x = abs(*x, level));
    }
}

/// `f = Σ |uᵢ₊₁ - uᵢ|`, exactly in linear time: the derivative of the best value by the last entry is piecewise linear, cut
/// off at `±t` at each entry, and read backwards (Johnson, J. Computational and Graphical Statistics 22, 2013).
pub fn total_variation(v: &mut [f64], t: f64) {
    let n = v.len();
    if n < 2 || t <= 0.0 {
        return;
    }
    // Where the derivative bends: place, change of slope, change of intercept.
    let mut bends: std::collections::VecDeque<(f64, f64, f64)> = std::collections::VecDeque::with_capacity(n);
    let mut limits: Vec<(f64, f64)> = Vec::with_capacity(n);
    // Relative to the first entry, so that a large mean costs no digits.
    let origin = v[0];
    let from_left = |bends: &mut std::collections::VecDeque<(f64, f64, f64)>, y: f64, edge: f64, level: f64| {
        let (mut a, mut c) = (1.0, -edge - y);
        loop {
            let at = (level - c) / a;
            match bends.front() {
                Some(&(p, da, dc)) if p < at => {
                    (a, c) = (a + da, c + dc);
                    bends.pop_front();
                }
                _ => return (at, a, c),
            }
        }
    };
    for (k, value) in v.iter().enumerate().take(n - 1) {
        let y = value - origin;
        let edge = if k == 0 { 0.0 } else { t };
        let (lo, a_lo, c_lo) = from_left(&mut bends, y, edge, -t);
        let (mut a, mut c) = (1.0, edge - y);
        let hi = loop {
            let at = (t - c) / a;
            match bends.back() {
                Some(&(p, da, dc)) if p > at => {
                    (a, c) = (a - da, c - dc);
                    bends.pop_back();
                }
                _ => break at,
            }
        };
        bends.push_front((lo, a_lo, c_lo + t));
        bends.push_back((hi, -a, t - c));
        limits.push((lo, hi));
    }
    let (mut u, ..) = from_left(&mut bends, v[n - 1] - origin, t, 0.0);
    v[n - 1] = u + origin;
    for (x, (lo, hi)) in v[..n - 1].iter_mut().zip(&limits).rev() {
        u = u.max(*lo).min(*hi);
        *x = u + origin;
    }
}
