//! Minimizes a quadratic model within a ball: near-exactly by shifted Cholesky factors, or by conjugate gradients.
//!
//! Invariant: the answer never has a larger model value than the best step along the gradient within the ball, and
//! the hard case and indefinite models end on the boundary.
//!
//! Source: Moré and Sorensen, Computing a trust region step (1983); Conn, Gould and Toint, Trust-Region Methods
//! (2000), algorithms 7.3.4 and 7.5.1.

use crate::solve::method::Fault;
use crate::solve::oracle::Oracle;
use crate::solve::vector::{axpy, dot, norm2};

use super::curvature::Curvature;

/// What is known of a step.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct BallStep {
    /// Multiplier of the ball; 0 for a step inside.
    pub shift: f64,
    /// Does it end on the boundary?
    pub boundary: bool,
    /// Was negative curvature met?
    pub negative: bool,
    /// Products or factorizations spent.
    pub work: u32,
}

/// Deterministic entries of either sign and of sizes from 1/2 to 1 without a pattern, the start of inverse and Lanczos
/// iterations: entries of one size would lie in the invariant subspaces of symmetric problems.
pub fn scrambled(i: usize, salt: u64) -> f64 {
    let mut z = (i as u64 ^ salt.wrapping_mul(0x9e37_79b9_7f4a_7c15)).wrapping_add(0x9e37_79b9_7f4a_7c15);
    z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    z ^= z >> 31;
    let size = 0.5 + (z >> 12) as f64 / (1u64 << 53) as f64;
    if z & 1 == 0 { size } else { -size }
}

/// A unit vector along which the factorized matrix is nearly smallest, by inverse iteration; zero outside `free`.
pub fn smallest_direction(h: &Curvature, free: &[bool], salt: u64, z: &mut [f64]) {
    for i in 0..z.len() {
        z[i] = if free[i] { scrambled(i, salt) } else { 0.0 };
    }
    for _ in 0..3 {
        let size = norm2(z);
        if size == 0.0 || !size.is_finite() {
            return;
        }
        z.iter_mut().for_each(|v| *v /= size);
        h.solve(z);
    }
    let size = norm2(z);
    if size > 0.0 && size.is_finite() {
        z.iter_mut().for_each(|v| *v /= size);
    }
}

/// Both `t` with `‖s + t z‖ = radius`, for a unit `z`.
fn to_boundary(s: &[f64], z: &[f64], radius: f64) -> (f64, f64) {
    let (sz, ss, zz) = (dot(s, z), dot(s, s), dot(z, z));
    let c = radius * radius - ss;
    let root = (sz * sz + zz * c.max(0.0)).sqrt();
    // The root without cancellation first, the other from the product of the two.
    let far = if sz >= 0.0 { -(sz + root) / zz } else { (root - sz) / zz };
    let near = if far == 0.0 { 0.0 } else { -c.max(0.0) / (zz * far) };
    (near.min(far), near.max(far))
}

/// Work space of the near-exact step.
#[derive(Default)]
pub struct ExactWork {
    z: Vec<f64>,
    hz: Vec<f64>,
    hs: Vec<f64>,
}

/// Near-exact minimizer of `gᵀs + ½ sᵀHs` over the free variables with `‖s‖ ≤ radius`, into `s` (zero elsewhere).
///
/// The length on the boundary is met to 10 %.
pub fn exact(
    h: &mut Curvature,
    problem: &mut dyn Oracle,
    x: &[f64],
    g: &[f64],
    free: &[bool],
    radius: f64,
    s: &mut [f64],
    work: &mut ExactWork,
) -> Result<BallStep, Fault> {
    const SLACK: f64 = 0.1;
    let n = g.len();
    let ExactWork { z, hz, hs } = work;
    for v in [&mut *z, &mut *hz, &mut *hs] {
        v.resize(n, 0.0);
    }
    for i in 0..n {
        z[i] = if free[i] { g[i] } else { 0.0 };
    }
    let g_norm = norm2(z);
    let (g_lo, g_hi) = h.gershgorin(free, hz, hs);
    let spread = g_lo.abs().max(g_hi.abs());
    let mut low = (-h.least_diagonal(free)).max(g_norm / radius - spread).max(0.0);
    let mut high = (g_norm / radius + (-g_lo).max(0.0)).max(low);
    let mut shift = 0.0;
    let mut step = BallStep {
        shift: 0.0,
        boundary: true,
        negative: false,
        work: 0,
    };
    let newton = |h: &Curvature, s: &mut [f64]| {
        for i in 0..n {
            s[i] = if free[i] { -g[i] } else { 0.0 };
        }
        h.solve(s);
    };
    // The last multiplier whose factor existed: what is returned if the search runs out of trials.
    let mut fallback: Option<f64> = None;
    for trial in 0..40 {
        step.work += 1;
        if trial > 0 && !(low..=high).contains(&shift) {
            shift = (low * high).sqrt().max(low + 0.01 * (high - low));
        }
        if !h.factor(free, shift) {
            // Singular but not indefinite beyond rounding: the shortest Newton step, if it fits, is the answer. Where it
            // leaves the slope as it was, that falls along a direction without curvature, and only the ball ends it.
            let least = 1e-12 * spread;
            if shift == 0.0 && spread > 0.0 && h.factor(free, least) {
                newton(h, s);
                let size = norm2(s);
                if size <= radius {
                    step.boundary = least * size > 0.5 * g_norm;
                    if step.boundary {
                        s.iter_mut().for_each(|v| *v *= radius / size);
                    }
                    return Ok(step);
                }
            }
            step.negative = true;
            low = low.max(shift);
            if high <= low {
                high = low * 2.0 + f64::EPSILON * spread.max(f64::MIN_POSITIVE);
            }
            shift = (low * high).sqrt().max(low + 0.01 * (high - low));
            continue;
        }
        fallback = Some(shift);
        newton(h, s);
        let size = norm2(s);
        if !size.is_finite() {
            low = low.max(shift);
            shift = (low * high).sqrt().max(low + 0.01 * (high - low));
            step.negative = true;
            continue;
        }
        if shift == 0.0 && size <= radius {
            step.boundary = false;
            return Ok(step);
        }
        step.shift = shift;
        if (size - radius).abs() <= SLACK * radius {
            return Ok(step);
        }
        // ‖L⁻¹s‖² = sᵀ(H + shift)⁻¹s drives Newton's method on 1/‖s‖ = 1/radius.
        z.copy_from_slice(s);
        h.solve(z);
        let inverse = dot(s, z);
        let mut update = if inverse > 0.0 {
            shift + size * size / inverse * (size - radius) / radius
        } else {
            shift
        };
        if size < radius {
            // Inside with a positive shift: the hard case is near, so look along the smallest eigenvector.
            high = high.min(shift);
            let before = shift;
            smallest_direction(h, free, 1, z);
            h.apply(problem, x, z, hz)?;
            let curve = (0..n).filter(|&i| free[i]).map(|i| z[i] * hz[i]).sum::<f64>() + before;
            let (t1, t2) = to_boundary(s, z, radius);
            h.apply(problem, x, s, hs)?;
            // Of the two ends the one with the smaller model value.
            let slope = dot(g, z) + dot(hs, z);
            let value = |t: f64| t * slope + 0.5 * t * t * (curve - before);
            let t = if value(t1) < value(t2) { t1 } else { t2 };
            let shifted = dot(s, hs) + before * size * size;
            if t * t * curve <= SLACK * (2.0 - SLACK) * (shifted + before * radius * radius) {
                axpy(t, z, s);
                step.negative = true;
                return Ok(step);
            }
            low = low.max(before - curve);
            if update <= low {
                update = (low * high).sqrt().max(low + 0.01 * (high - low));
            }
        } else {
            low = low.max(shift);
        }
        shift = update;
        if high - low <= 1e-14 * high {
            break;
        }
    }
    // Out of trials: the last definite shift, cut to the ball and pushed to it along the smallest direction.
    let last = fallback.unwrap_or(high.max(spread * 2.0));
    step.shift = last;
    if h.factor(free, last) {
        newton(h, s);
        let size = norm2(s);
        if size > radius {
            s.iter_mut().for_each(|v| *v *= radius / size);
        } else if step.negative {
            smallest_direction(h, free, 1, z);
            let (t1, t2) = to_boundary(s, z, radius);
            let slope = dot(g, z);
            axpy(if t1 * slope < t2 * slope { t1 } else { t2 }, z, s);
        }
    } else {
        let size = g_norm.max(f64::MIN_POSITIVE);
        for i in 0..n {
            s[i] = if free[i] { -g[i] * (radius / size) } else { 0.0 };
        }
    }
    Ok(step)
}

/// Work space of the conjugate gradients.
#[derive(Default)]
pub struct CgWork {
    r: Vec<f64>,
    y: Vec<f64>,
    p: Vec<f64>,
    hp: Vec<f64>,
}

/// Truncated conjugate gradients on the free variables, preconditioned by the positive diagonal `m`; the ball is
/// measured in its norm. Stops where the residual falls to `target`, at the boundary, or along negative curvature.
pub fn truncated_cg(
    h: &Curvature,
    problem: &mut dyn Oracle,
    x: &[f64],
    g: &[f64],
    free: &[bool],
    m: &[f64],
    radius: f64,
    target: f64,
    limit: usize,
    s: &mut [f64],
    work: &mut CgWork,
) -> Result<BallStep, Fault> {
    let n = g.len();
    let CgWork { r, y, p, hp } = work;
    for v in [&mut *r, &mut *y, &mut *p, &mut *hp] {
        v.clear();
        v.resize(n, 0.0);
    }
    s.fill(0.0);
    for i in (0..n).filter(|&i| free[i]) {
        r[i] = -g[i];
        y[i] = r[i] / m[i];
        p[i] = y[i];
    }
    let mut rho = dot(r, y);
    let mut step = BallStep {
        shift: 0.0,
        boundary: false,
        negative: false,
        work: 0,
    };
    // Norms in the metric of the ball.
    let metric = |a: &[f64], b: &[f64]| ravine_linalg::reduce::sum_by(n, |i| a[i] * m[i] * b[i]);
    while norm2(r) > target && (step.work as usize) < limit {
        step.work += 1;
        h.apply(problem, x, p, hp)?;
        for i in 0..n {
            if !free[i] {
                hp[i] = 0.0;
            }
        }
        let curve = dot(p, hp);
        let pp = metric(p, p);
        let (sp, ss) = (metric(s, p), metric(s, s));
        let root = (sp * sp + pp * (radius * radius - ss).max(0.0)).sqrt();
        let to_edge = if sp > 0.0 {
            (radius * radius - ss).max(0.0) / (sp + root)
        } else {
            (root - sp) / pp
        };
        if curve <= f64::EPSILON * pp * 1e-3 {
            step.negative = curve < 0.0;
            step.boundary = true;
            axpy(to_edge, p, s);
            return Ok(step);
        }
        let alpha = rho / curve;
        if alpha >= to_edge {
            step.boundary = true;
            axpy(to_edge, p, s);
            return Ok(step);
        }
        axpy(alpha, p, s);
        axpy(-alpha, hp, r);
        for i in (0..n).filter(|&i| free[i]) {
            y[i] = r[i] / m[i];
        }
        let rho_next = dot(r, y);
        let beta = rho_next / rho;
        rho = rho_next;
        for i in 0..n {
            p[i] = y[i] + beta * p[i];
        }
    }
    Ok(step)
}
