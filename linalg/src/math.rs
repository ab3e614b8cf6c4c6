//! The functions of one real variable, written here so that every system computes the same bits.
//!
//! Invariant: only correctly rounded operations (`+ - * /`, square root), no fused multiply-add, no library functions;
//! the lane kernels of [`crate::lanes`] inline the very same code, so scalar and vector results agree bit for bit.
//! The stated errors are the largest of about 10^4 random arguments a function against 60-digit arithmetic, with some
//! room; `tests/suite/math.rs` holds the worst of them.

#![allow(clippy::disallowed_methods, reason = "the one home of transcendental functions")]

pub(crate) mod double;
pub(crate) mod expo;
pub(crate) mod special;
pub(crate) mod trig;

pub use special::{digamma, lgamma, trigamma};

/// `if c { a } else { b }` on values that are both computed: a blend, not a branch, in a vectorized loop.
#[inline(always)]
pub(crate) fn sel(c: bool, a: f64, b: f64) -> f64 {
    if c { a } else { b }
}

/// `c[0] + c[1] x + … + c[N-1] x^(N-1)`.
#[inline(always)]
pub(crate) fn poly<const N: usize>(x: f64, c: &[f64; N]) -> f64 {
    let mut y = c[N - 1];
    for i in (0..N - 1).rev() {
        y = y * x + c[i];
    }
    y
}

macro_rules! scalar {
    ($($(#[$doc:meta])* $name:ident($($x:ident),+) = $path:path;)*) => {
        $($(#[$doc])* pub fn $name($($x: f64),+) -> f64 { $path($($x),+) })*
    };
}

scalar! {
    /// e^x, within 0.7 ulp.
    exp(x) = expo::exp;
    /// e^x - 1 without cancellation, within 1.2 ulp.
    expm1(x) = expo::expm1;
    /// Natural logarithm: -infinity at 0, NaN below; within 0.85 ulp.
    log(x) = expo::log;
    /// log(1 + x) without cancellation, within 0.85 ulp.
    log1p(x) = expo::log1p;
    /// Logarithm to base 2, exact at powers of two; within 0.6 ulp.
    log2(x) = expo::log2;
    /// Logarithm to base 10, exact at powers of ten; within 0.6 ulp.
    log10(x) = expo::log10;
    /// x^y with IEEE 754's special values, within 0.9 ulp.
    pow(x, y) = expo::pow;
    /// 1 / (1 + e^-x), within 2.5 ulp.
    sigmoid(x) = expo::sigmoid;
    /// log(1 + e^x), within 1.5 ulp.
    softplus(x) = expo::softplus;
    /// Hyperbolic sine, within 1.7 ulp.
    sinh(x) = expo::sinh;
    /// Hyperbolic cosine, within 1.2 ulp.
    cosh(x) = expo::cosh;
    /// Hyperbolic tangent, within 1.5 ulp.
    tanh(x) = expo::tanh;
    /// Inverse hyperbolic sine, within 1.5 ulp.
    asinh(x) = expo::asinh;
    /// Inverse hyperbolic cosine, NaN below 1; within 2 ulp.
    acosh(x) = expo::acosh;
    /// Inverse hyperbolic tangent, NaN beyond 1; within 1.8 ulp.
    atanh(x) = expo::atanh;
    /// Sine, within 0.8 ulp for every finite argument.
    sin(x) = ops::sin;
    /// Cosine, within 0.8 ulp for every finite argument.
    cos(x) = ops::cos;
    /// Tangent, within 1 ulp for every finite argument.
    tan(x) = ops::tan;
    /// Arcsine, NaN beyond 1; within 2 ulp.
    asin(x) = trig::asin;
    /// Arccosine, NaN beyond 1; within 1.2 ulp.
    acos(x) = trig::acos;
    /// Arctangent, within 1.9 ulp.
    atan(x) = trig::atan;
    /// Angle of the point (x, y) in (-pi, pi], within 2.5 ulp.
    atan2(y, x) = trig::atan2;
    /// Error function, within 1.3 ulp.
    erf(x) = special::erf;
    /// 1 - erf(x) without cancellation, within 4 ulp while it is a normal number.
    erfc(x) = special::erfc;
    /// Square root, correctly rounded.
    sqrt(x) = ops::sqrt;
    /// sqrt(x^2 + y^2) without overflow before the result itself overflows.
    hypot(x, y) = ops::hypot;
    /// The smaller argument; NaN if either is NaN.
    min(x, y) = ops::min;
    /// The larger argument; NaN if either is NaN.
    max(x, y) = ops::max;
    /// -1, 0 or 1; NaN for NaN.
    sign(x) = ops::sign;
    /// Largest integer not above x.
    floor(x) = ops::floor;
    /// Smallest integer not below x.
    ceil(x) = ops::ceil;
    /// Nearest integer, halves to the even one.
    round(x) = ops::round;
}

/// x^n by repeated multiplication in a fixed order; exact while the powers are. `1/x^|n|` for negative `n`, 1 for 0.
pub fn powi(x: f64, n: i32) -> f64 {
    ops::powi(x, n)
}

/// The remaining operations on one lane.
pub(crate) mod ops {
    use super::{sel, trig};

    #[inline(always)]
    pub fn sin(x: f64) -> f64 {
        if trig::is_far(x) {
            trig::sin_far(x)
        } else {
            trig::sin_near(x)
        }
    }

    #[inline(always)]
    pub fn cos(x: f64) -> f64 {
        if trig::is_far(x) {
            trig::cos_far(x)
        } else {
            trig::cos_near(x)
        }
    }

    #[inline(always)]
    pub fn tan(x: f64) -> f64 {
        if trig::is_far(x) {
            trig::tan_far(x)
        } else {
            trig::tan_near(x)
        }
    }

    #[inline(always)]
    pub fn sqrt(x: f64) -> f64 {
        x.sqrt()
    }

    #[inline(always)]
    pub fn hypot(x: f64, y: f64) -> f64 {
        let (a, b) = (x.abs(), y.abs());
        // A power of two near the larger one scales without rounding.
        let big = max(a, b);
        let up = sel(
            big > 1e150,
            power_of_two(-600),
            sel(big < 1e-150, power_of_two(600), 1.0),
        );
        let down = sel(
            big > 1e150,
            power_of_two(600),
            sel(big < 1e-150, power_of_two(-600), 1.0),
        );
        let (p, q) = (a * up, b * up);
        sel(
            a == f64::INFINITY,
            a,
            sel(b == f64::INFINITY, b, (p * p + q * q).sqrt() * down),
        )
    }

    #[inline(always)]
    const fn power_of_two(e: i32) -> f64 {
        f64::from_bits(((e + 1023) as u64) << 52)
    }

    #[inline(always)]
    pub fn min(a: f64, b: f64) -> f64 {
        sel(a < b, a, sel(a.is_nan(), a, b))
    }

    #[inline(always)]
    pub fn max(a: f64, b: f64) -> f64 {
        sel(a > b, a, sel(a.is_nan(), a, b))
    }

    #[inline(always)]
    pub fn sign(x: f64) -> f64 {
        sel(x > 0.0, 1.0, sel(x < 0.0, -1.0, sel(x.is_nan(), x, 0.0)))
    }

    #[inline(always)]
    pub fn round(x: f64) -> f64 {
        let two52 = 4_503_599_627_370_496.0;
        let a = x.abs();
        sel(a < two52, ((a + two52) - two52).copysign(x), x)
    }

    #[inline(always)]
    pub fn floor(x: f64) -> f64 {
        let r = round(x);
        sel(r > x, r - 1.0, r)
    }

    #[inline(always)]
    pub fn ceil(x: f64) -> f64 {
        let r = round(x);
        sel(r < x, (r + 1.0).copysign(x), r)
    }

    #[inline(always)]
    pub fn powi(x: f64, n: i32) -> f64 {
        let (mut square, mut left, mut y) = (x, n.unsigned_abs(), 1.0);
        loop {
            if left & 1 == 1 {
                y *= square;
            }
            left >>= 1;
            if left == 0 {
                break;
            }
            square *= square;
        }
        if n < 0 { 1.0 / y } else { y }
    }

    macro_rules! operations {
        ($($name:ident($($x:ident),+) = $value:expr;)*) => {
            $(#[inline(always)] pub fn $name($($x: f64),+) -> f64 { $value })*
        };
    }

    operations! {
        neg(a) = -a;
        abs(a) = a.abs();
        square(a) = a * a;
        recip(a) = 1.0 / a;
        relu(a) = max(a, 0.0);
        not(a) = sel(a == 0.0, 1.0, 0.0);
        add(a, b) = a + b;
        sub(a, b) = a - b;
        mul(a, b) = a * b;
        div(a, b) = a / b;
        lt(a, b) = sel(a < b, 1.0, 0.0);
        le(a, b) = sel(a <= b, 1.0, 0.0);
        eq(a, b) = sel(a == b, 1.0, 0.0);
        ne(a, b) = sel(a != b, 1.0, 0.0);
        and(a, b) = sel(a != 0.0, sel(b != 0.0, 1.0, 0.0), 0.0);
        or(a, b) = sel(a != 0.0, 1.0, sel(b != 0.0, 1.0, 0.0));
        sub_square(a, b) = (a - b) * (a - b);
        select(a, b, c) = sel(a != 0.0, b, c);
        mul_add(a, b, c) = a * b + c;
        mul_sub(a, b, c) = a * b - c;
        sub_mul(a, b, c) = c - a * b;
        scalar_sub(a, s) = s - a;
        scalar_div(a, s) = s / a;
        scalar_pow(a, s) = super::expo::pow(s, a);
    }
}
