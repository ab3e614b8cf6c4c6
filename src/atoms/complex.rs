//! Complex arithmetic for the complex-step oracle.
//!
//! Invariant: shares no formula with the rows' derivatives.

use ravine_linalg::math;

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
    let r = math::exp(a.0);
    (r * math::cos(a.1), r * math::sin(a.1))
}
pub fn expm1(a: C) -> C {
    let half = math::sin(0.5 * a.1);
    (
        math::expm1(a.0) * math::cos(a.1) - 2.0 * half * half,
        math::exp(a.0) * math::sin(a.1),
    )
}
pub fn log(a: C) -> C {
    (0.5 * math::log(a.0 * a.0 + a.1 * a.1), math::atan2(a.1, a.0))
}
pub fn log1p(a: C) -> C {
    (
        0.5 * math::log1p(a.0 * (2.0 + a.0) + a.1 * a.1),
        math::atan2(a.1, 1.0 + a.0),
    )
}
pub fn sin(a: C) -> C {
    (math::sin(a.0) * math::cosh(a.1), math::cos(a.0) * math::sinh(a.1))
}
pub fn cos(a: C) -> C {
    (math::cos(a.0) * math::cosh(a.1), -math::sin(a.0) * math::sinh(a.1))
}
pub fn sinh(a: C) -> C {
    (math::sinh(a.0) * math::cos(a.1), math::cosh(a.0) * math::sin(a.1))
}
pub fn cosh(a: C) -> C {
    (math::cosh(a.0) * math::cos(a.1), math::sinh(a.0) * math::sin(a.1))
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
pub fn sum(z: &[C]) -> C {
    sum_of(z, |z| z)
}
pub fn sum_of(z: &[C], f: impl Fn(C) -> C) -> C {
    z.iter().fold((0.0, 0.0), |s, z| add(s, f(*z)))
}
pub fn log_sum_exp(z: &[C]) -> C {
    let top = z.iter().fold(f64::NEG_INFINITY, |m, z| m.max(z.0));
    add((top, 0.0), log(sum_of(z, |z| exp((z.0 - top, z.1)))))
}
/// A whole power by products, which is defined for negative bases too.
pub fn pow(a: C, p: C) -> C {
    const PRODUCTS: f64 = 64.0;
    if p.1 != 0.0 || p.0.fract() != 0.0 || p.0.abs() > PRODUCTS {
        return exp(mul(p, log(a)));
    }
    let product = (0..p.0.abs() as usize).fold((1.0, 0.0), |y, _| mul(y, a));
    if p.0 < 0.0 { div((1.0, 0.0), product) } else { product }
}
