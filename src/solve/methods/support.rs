//! Steps on the face of coordinates that no penalty and no bound holds.
//!
//! Invariant: along a step no coordinate leaves its face: it stops at 0 or at its bound; every step lowers the objective.
//!
//! Source: Lawson and Hanson, Solving Least Squares Problems, 1974, chapter 23 (leaving a face at its first end).

use crate::forms::simple::Simple;
use crate::solve::method::Fault;
use crate::solve::vector::dot;

/// Is the coordinate where its penalty or a bound holds it?
pub fn rests(s: &Simple, i: usize, x: f64) -> bool {
    (x == 0.0 && s.l1[i] > 0.0) || x <= s.lower[i] || x >= s.upper[i]
}

/// The slope of the penalty of a coordinate off its resting place.
pub fn slope(s: &Simple, i: usize, x: f64) -> f64 {
    if x > 0.0 { s.l1[i] } else { -s.l1[i] }
}

/// A quadratic that a face is minimized over.
pub trait Quadratic {
    /// Its slope along a coordinate of value `x`.
    fn slope(&self, i: usize, x: f64) -> f64;
    /// Solves with its Hessian on some coordinates, slightly raised where it is singular there; `false` where that fails.
    fn solve(&self, free: &[usize], right: &mut [f64]) -> Result<bool, Fault>;
    /// Second derivative along a direction of some coordinates.
    fn bend(&self, free: &[usize], d: &[f64]) -> f64;
    /// A coordinate moved by so much.
    fn moved(&mut self, i: usize, by: f64);
}

/// Newton steps on the face of the given coordinates that do not rest, each up to the minimum along it or the end of the
/// face, where a coordinate comes to rest: the objective falls, and without an end the face is minimized.
pub fn descend(q: &mut dyn Quadratic, s: &Simple, among: &[usize], x: &mut [f64], rounds: usize) -> Result<(), Fault> {
    for _ in 0..rounds {
        let free: Vec<usize> = among.iter().copied().filter(|i| !rests(s, *i, x[*i])).collect();
        if free.is_empty() {
            return Ok(());
        }
        let slopes: Vec<f64> = free.iter().map(|&i| q.slope(i, x[i]) + slope(s, i, x[i])).collect();
        let mut d: Vec<f64> = slopes.iter().map(|v| -v).collect();
        if !q.solve(&free, &mut d)? || d.iter().any(|v| !v.is_finite()) {
            return Ok(());
        }
        let (fall, bend) = (dot(&slopes, &d), q.bend(&free, &d));
        let lowest = if bend > 0.0 { -fall / bend } else { f64::INFINITY };
        let (mut a, mut end) = (lowest, None);
        for (k, &i) in free.iter().enumerate() {
            let mut stop = if d[k] > 0.0 { s.upper[i] } else { s.lower[i] };
            if s.l1[i] > 0.0 && x[i] * d[k] < 0.0 {
                stop = if d[k] > 0.0 { stop.min(0.0) } else { stop.max(0.0) };
            }
            let share = (stop - x[i]) / d[k];
            if stop.is_finite() && d[k] != 0.0 && share < a {
                (a, end) = (share.max(0.0), Some((k, stop)));
            }
        }
        if fall >= 0.0 || !a.is_finite() {
            return Ok(());
        }
        for (k, &i) in free.iter().enumerate() {
            let mut to = x[i] + a * d[k];
            if s.l1[i] > 0.0 && to * x[i] < 0.0 {
                to = 0.0;
            }
            to = to.max(s.lower[i]).min(s.upper[i]);
            if let Some((e, stop)) = end
                && e == k
            {
                to = stop;
            }
            q.moved(i, to - x[i]);
            x[i] = to;
        }
        if end.is_none() {
            return Ok(());
        }
    }
    Ok(())
}
