//! Vector operations of the methods: elementwise here, reductions from `linalg`.
//!
//! Invariant: reductions use a tree that depends on the length only.

pub use ravine_linalg::reduce::{dot, norm_inf, norm2};

/// `y += a x`.
pub fn axpy(a: f64, x: &[f64], y: &mut [f64]) {
    for (v, u) in y.iter_mut().zip(x) {
        *v += a * u;
    }
}

/// `out = x + a d`.
pub fn add_scaled(x: &[f64], a: f64, d: &[f64], out: &mut [f64]) {
    for i in 0..x.len() {
        out[i] = x[i] + a * d[i];
    }
}

/// Position of the first entry that is not a finite number.
pub fn first_not_finite(x: &[f64]) -> Option<usize> {
    x.iter().position(|v| !v.is_finite())
}

/// Is every entry a finite number? Block by block, without an exit within a block, so that blocks are compared at once.
pub fn all_finite(x: &[f64]) -> bool {
    x.chunks(256).all(|b| b.iter().fold(true, |ok, v| ok & v.is_finite()))
}
