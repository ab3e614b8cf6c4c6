//! Complex arithmetic for the complex-step oracle.
//!
//! Invariant: shares no formula with the rows' derivatives.
#![allow(
    clippy::disallowed_methods,
    reason = "replaced by linalg::math as soon as it is linked"
)]

/// A complex number as (re, im).
pub type C = (f64, f64);

pub fn add(a: C, b: C) -> C {
    (a.0 + b.0, a.1 + b.1)
}
pub fn sub(a: C, b: C) -> C {
    (a.0 - b.0, a.1 - b.1)
}
pub fn mul(a: C, b: C) -> C {
    (a.0 * b.0 - a.1 * b.1, a.0 * b.1 + a.1 * b.0)
}
pub fn div(a: C, b: C) -> C {
    let n = b.0 * b.0 + b.1 * b.1;
    ((a.0 * b.0 + a.1 * b.1) / n, (a.1 * b.0 - a.0 * b.1) / n)
}
pub fn neg(a: C) -> C {
    (-a.0, -a.1)
}
pub fn exp(a: C) -> C {
    let r = a.0.exp();
    (r * a.1.cos(), r * a.1.sin())
}
pub fn expm1(a: C) -> C {
    let half = (0.5 * a.1).sin();
    (a.0.exp_m1() * a.1.cos() - 2.0 * half * half, a.0.exp() * a.1.sin())
}
pub fn log(a: C) -> C {
    (0.5 * (a.0 * a.0 + a.1 * a.1).ln(), a.1.atan2(a.0))
}
pub fn log1p(a: C) -> C {
    (0.5 * (a.0 * (2.0 + a.0) + a.1 * a.1).ln_1p(), a.1.atan2(1.0 + a.0))
}
pub fn sin(a: C) -> C {
    (a.0.sin() * a.1.cosh(), a.0.cos() * a.1.sinh())
}
pub fn cos(a: C) -> C {
    (a.0.cos() * a.1.cosh(), -a.0.sin() * a.1.sinh())
}
pub fn tanh(a: C) -> C {
    // Through exp(-2|re|), which cannot overflow.
    let flip = a.0 < 0.0;
    let z = if flip { neg(a) } else { a };
    let e = exp(mul((-2.0, 0.0), z));
    let r = div(sub((1.0, 0.0), e), add((1.0, 0.0), e));
    if flip { neg(r) } else { r }
}
pub fn sqrt(a: C) -> C {
    // Principal root of a number with positive real part.
    let r = ((a.0 + (a.0 * a.0 + a.1 * a.1).sqrt()) / 2.0).sqrt();
    (r, a.1 / (2.0 * r))
}
