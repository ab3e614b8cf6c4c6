//! Iterative refinement with the solution kept in doubled precision, and what it proves about the error.
//!
//! Invariant: the returned error is never below the true relative error of the returned vector, or it is infinite.
//!
//! A correction computed in working precision contracts the error by about (condition) x 2^-53, whatever the condition
//! of the residual's own problem; with residuals in doubled precision the limit is the solution of the stored data
//! rounded to working precision (N. Higham, "Accuracy and Stability of Numerical Algorithms", chapters 12 and 20;
//! J. Demmel, Y. Hida, X. Li, E. Riedy, "Extra-precise iterative refinement for overdetermined least squares", 2009).

use crate::doubled::Doubled;
use crate::reduce::norm2;

/// Corrections at most; at a contraction of 1/2 the full digits need about fifty-five.
const STEPS: usize = 60;
/// A correction below this part of the solution cannot change its digits any more.
const ENOUGH: f64 = 1.0 / (1u64 << 62) as f64;
/// What a measured size of noise is multiplied with: three samples see at least a sixth of the worst with near certainty.
const NOISE_MARGIN: f64 = 6.0;

/// A refined vector.
pub(crate) struct Refined {
    /// The solution in doubled precision.
    pub x: Doubled,
    /// Relative error of `x.hi` in the Euclidean norm; infinite where refinement did not contract.
    pub error: f64,
}

/// Refines from zero.
///
/// `correction(x)` is an approximate solution of the equation for the error of x; `noise(x, probe)` is a correction for
/// residuals as wrong as doubled rounding can make them, with signs by `probe`. `shown` maps the vector refined to the
/// one whose error is wanted (identity, a scaling, or A'). `natural` is the norm in which corrections contract: that of
/// A d for least squares, where the first corrections may still grow in the norm of d.
pub(crate) fn refine(
    n: usize,
    correction: &dyn Fn(&Doubled) -> Vec<f64>,
    noise: &dyn Fn(&Doubled, usize) -> Vec<f64>,
    shown: &dyn Fn(&Doubled) -> Doubled,
    natural: &dyn Fn(&[f64]) -> f64,
) -> Refined {
    let mut x = Doubled::zeros(n);
    let size = |d: &[f64]| norm2(&shown(&Doubled::from_slice(d)).hi);
    let (mut last, mut last_natural, mut rate) = (f64::INFINITY, f64::INFINITY, 0.0f64);
    let mut settled = false;
    for step in 0..STEPS {
        let d = correction(&x);
        let (length, now) = (size(&d), natural(&d));
        if !length.is_finite() {
            break;
        }
        x.add(&d);
        if length <= ENOUGH * norm2(&shown(&x).hi) {
            (last, settled) = (length, true);
            break;
        }
        if step > 0 && now > 0.5 * last_natural {
            // A halt after fast progress is the floor of doubled precision; from the start it is no progress.
            settled = step > 1 && rate < 0.25;
            last = last.max(length);
            break;
        }
        if step > 0 {
            rate = now / last_natural;
        }
        (last, last_natural) = (length, now);
    }
    let y = shown(&x);
    let total = norm2(&y.hi);
    if total == 0.0 && last == 0.0 {
        return Refined { x, error: 0.0 };
    }
    if !settled || !total.is_finite() || total == 0.0 {
        return Refined {
            x,
            error: f64::INFINITY,
        };
    }
    // Three things separate the returned vector from the solution: its own rounding, which is known; the last
    // correction, which bounds what was left before it; and the rounding of the residuals.
    let floor = (0..3).map(|probe| size(&noise(&x, probe))).fold(0.0, f64::max);
    let error = (1.001 * norm2(&y.lo) + 2.0 * last + NOISE_MARGIN * floor) / total;
    let error = if error < 0.1 { error } else { f64::INFINITY };
    Refined { x, error }
}

/// A fixed pattern of signs, different for each probe.
pub(crate) fn sign(i: usize, probe: usize) -> f64 {
    let mixed = (i as u64 + 1)
        .wrapping_mul(0x9E37_79B9_7F4A_7C15)
        .wrapping_add((probe as u64).wrapping_mul(0xD1B5_4A32_D192_ED03));
    let mixed = (mixed ^ (mixed >> 31)).wrapping_mul(0x94D0_49BB_1331_11EB);
    if (mixed >> 40) & 1 == 0 { 1.0 } else { -1.0 }
}
