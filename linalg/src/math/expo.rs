//! Exponential, logarithm, power and what is built on them.
//!
//! Invariant: branch-free on one value, so that a loop over it vectorizes for every instruction set with the same bits.
//! Methods: Cody and Waite, Software Manual for the Elementary Functions (1980); Tang, ACM TOMS 15/16 (1989/90);
//! the polynomials are Chebyshev interpolants computed for this file.

use super::double::{add, div, fast_two_sum, mul, two_prod, two_sum};
use super::{poly, sel};

/// Adding it rounds to an integer, which then stands in the low bits.
pub const MAGIC: f64 = 6_755_399_441_055_744.0;
const LN2_HI: f64 = f64::from_bits(0x3fe6_2e42_fef0_0000);
const LN2_LO: f64 = f64::from_bits(0x3dd4_73de_6af2_78ed);
const TWO54: f64 = 18_014_398_509_481_984.0;
const MANTISSA: u64 = (1 << 52) - 1;
const ONE: u64 = 1023 << 52;
/// High bits of the square root of one half: mantissas are taken from there to twice that.
const SQRT_HALF: u64 = 0x3fe6_a09e_0000_0000;

// (e^r - 1 - r) / r^2 on |r| <= ln(2)/2, to 1.2e-16.
const EXP: [f64; 10] = [
    0.5000000000000001,
    0.16666666666666669,
    0.04166666666662413,
    0.008333333333330062,
    0.0013888888917213717,
    0.00019841269863053618,
    2.4801521295954376e-05,
    2.7557268459997064e-06,
    2.7620088445409746e-07,
    2.510038549551032e-08,
];
// (2 atanh(s) - 2s) / s^3 in s^2, for |s| <= 0.1716, to 3.2e-16.
const LOG: [f64; 7] = [
    0.666666666666667,
    0.3999999999989889,
    0.28571428626253836,
    0.22222211089379496,
    0.1818289243253687,
    0.15331611722055008,
    0.14617807153417325,
];
// (2 atanh(s) - 2s - 2s^3/3) / s^5 in s^2, for |s| <= 0.1716, to 3.1e-16.
const LOG_TAIL: [f64; 7] = [
    0.4000000000000003,
    0.2857142857133801,
    0.22222222271326808,
    0.18181808210921882,
    0.15385577463308145,
    0.13285868837545742,
    0.1291471218393509,
];
// (tanh(x) - x) / x^3 in x^2, for |x| <= 0.55, to 2e-17.
const TANH: [f64; 11] = [
    -0.3333333333333333,
    0.13333333333332556,
    -0.05396825396724726,
    0.02186948848524601,
    -0.00886323420601293,
    0.0035921078811045905,
    -0.001455642111220305,
    0.0005888400422537283,
    -0.00023435314845645768,
    8.465718640250347e-05,
    -2.0289800612514075e-05,
];
// (sinh(x) - x) / x^3 in x^2, for |x| <= 1, to 1.1e-17.
const SINH: [f64; 7] = [
    0.16666666666666666,
    0.008333333333333299,
    0.00019841269841324471,
    2.7557319191250885e-06,
    2.50521177239532e-08,
    1.6057676882739475e-10,
    7.746278224810715e-13,
];

/// `x = k ln 2 + r + c` with `|r| <= ln(2)/2` and `k` in the low bits of the first result.
#[inline(always)]
fn reduce(x: f64) -> (u64, f64, f64) {
    let z = x * std::f64::consts::LOG2_E + MAGIC;
    let k = z - MAGIC;
    let hi = x - k * LN2_HI;
    let lo = k * LN2_LO;
    let r = hi - lo;
    (z.to_bits().wrapping_sub(MAGIC.to_bits()), r, (hi - r) - lo)
}

/// `p 2^k` in two factors, so that results down to the subnormals are rounded once; `-2044 <= k <= 2044`.
#[inline(always)]
fn scale(p: f64, k: u64) -> f64 {
    let h = k.wrapping_add(2048) >> 1;
    let first = f64::from_bits(h.wrapping_sub(1) << 52);
    let second = f64::from_bits(k.wrapping_sub(h).wrapping_add(2047) << 52);
    p * first * second
}

/// Beyond these bounds the exponential is 0 or infinite; NaN stays.
#[inline(always)]
fn clamp(x: f64) -> f64 {
    sel(x > 711.0, 711.0, sel(x < -750.0, -750.0, x))
}

/// `e^x = m 2^k`; the error of `m` before its rounding is about 0.1 ulp.
#[inline(always)]
fn mantissa(x: f64) -> (u64, f64) {
    let (k, r, c) = reduce(clamp(x));
    let (h, e) = fast_two_sum(1.0, r);
    (k, h + (e + (c + r * r * poly(r, &EXP))))
}

/// e^x, within 0.7 ulp.
#[inline(always)]
pub fn exp(x: f64) -> f64 {
    let (k, m) = mantissa(x);
    scale(m, k)
}

/// e^(h + l) for a small `l`, within 0.6 ulp.
#[inline(always)]
pub fn exp_pair(h: f64, l: f64) -> f64 {
    let (k, r, c) = reduce(clamp(h));
    let (u, e) = fast_two_sum(1.0, r);
    let t = (c + l) + r * r * poly(r, &EXP);
    // The low part acts on e^r = 1 + (r + t).
    scale(u + (e + (t + l * (r + t))), k)
}

/// e^x / 2 without overflow before the result itself overflows.
#[inline(always)]
fn half_exp(x: f64) -> f64 {
    let (k, m) = mantissa(x);
    scale(m, k.wrapping_sub(1))
}

/// e^x - 1, within 1.2 ulp.
#[inline(always)]
pub fn expm1(x: f64) -> f64 {
    let big = sel(x > 40.0, x, 40.0);
    let small = sel(x > 40.0, 40.0, sel(x < -50.0, -50.0, x));
    let (k, r, c) = reduce(small);
    let t = c + r * r * poly(r, &EXP);
    let two_k = f64::from_bits(k.wrapping_add(1023) << 52);
    let (s, e) = two_sum(two_k - 1.0, two_k * r);
    let near = s + (e + two_k * t);
    let y = sel(x > 40.0, exp(big), near);
    sel(x == 0.0, x, y)
}

/// `x = 2^k (1 + f)` with `1 + f` between the square roots of 1/2 and 2, for positive finite `x`.
#[inline(always)]
fn log_split(x: f64) -> (f64, f64) {
    let tiny = x < f64::MIN_POSITIVE;
    let scaled = sel(tiny, x * TWO54, x);
    let ix = scaled.to_bits().wrapping_add(ONE - SQRT_HALF);
    let two52 = 4_503_599_627_370_496.0f64;
    let k = f64::from_bits((ix >> 52) | two52.to_bits()) - (two52 + 1023.0) - sel(tiny, 54.0, 0.0);
    let m = f64::from_bits((ix & MANTISSA).wrapping_add(SQRT_HALF));
    (k, m - 1.0)
}

/// `k ln 2 + log(1 + f) + c`.
#[inline(always)]
fn log_join(k: f64, f: f64, c: f64) -> f64 {
    let half_square = 0.5 * f * f;
    let s = f / (2.0 + f);
    let z = s * s;
    let tail = s * (half_square + z * poly(z, &LOG)) + (k * LN2_LO + c);
    k * LN2_HI - ((half_square - tail) - f)
}

/// Natural logarithm, within 0.85 ulp.
#[inline(always)]
pub fn log(x: f64) -> f64 {
    let (k, f) = log_split(x);
    log_limits(x, log_join(k, f, 0.0))
}

/// The logarithm's values at 0, infinity and below 0.
#[inline(always)]
fn log_limits(x: f64, y: f64) -> f64 {
    let y = sel(x == f64::INFINITY, f64::INFINITY, y);
    let y = sel(x == 0.0, f64::NEG_INFINITY, y);
    sel(x >= 0.0, y, f64::NAN)
}

/// log(1 + x), within 0.85 ulp.
#[inline(always)]
pub fn log1p(x: f64) -> f64 {
    let (u, e) = two_sum(1.0, x);
    let (k, f) = log_split(u);
    let y = log_limits(u, log_join(k, f, e / u));
    sel(x == 0.0, x, y)
}

/// log(1 + f) for the `f` of [`log_split`], as a pair with relative error about 2^-65.
#[inline(always)]
fn log_series(f: f64) -> (f64, f64) {
    const TWO_THIRDS: (f64, f64) = (2.0 / 3.0, 3.700_743_415_417_188e-17);
    let s = div((f, 0.0), two_sum(2.0, f));
    let z = mul(s, s);
    let cube = mul(mul(z, s), TWO_THIRDS);
    let tail = z.0 * z.0 * s.0 * poly(z.0, &LOG_TAIL);
    add((2.0 * s.0, 2.0 * s.1), fast_two_sum(cube.0, cube.1 + tail))
}

/// log(x) as a pair with relative error about 2^-65, for positive finite `x`.
#[inline(always)]
fn log_pair(x: f64) -> (f64, f64) {
    const LN2: (f64, f64) = (std::f64::consts::LN_2, 2.319_046_813_846_299_6e-17);
    let (k, f) = log_split(x);
    let (p, e) = two_prod(k, LN2.0);
    add((p, e + k * LN2.1), log_series(f))
}

/// log(x) / log(2), within 0.6 ulp; exact at powers of two.
#[inline(always)]
pub fn log2(x: f64) -> f64 {
    const INVERSE: (f64, f64) = (std::f64::consts::LOG2_E, 2.035_527_374_093_103_3e-17);
    let (k, f) = log_split(x);
    // The whole part is kept apart, so that it carries no rounding error.
    let (h, l) = mul(log_series(f), INVERSE);
    let (s, e) = two_sum(k, h);
    log_limits(x, s + (e + l))
}

/// log(x) / log(10), within 0.6 ulp; exact at powers of ten.
#[inline(always)]
pub fn log10(x: f64) -> f64 {
    const INVERSE: (f64, f64) = (std::f64::consts::LOG10_E, 1.098_319_650_216_765e-17);
    let (h, l) = mul(log_pair(x), INVERSE);
    log_limits(x, h + l)
}

/// x^y with the special values of IEEE 754's `pow`, within 0.9 ulp.
#[inline(always)]
pub fn pow(x: f64, y: f64) -> f64 {
    let ax = x.abs();
    let ay = y.abs();
    let two52 = 4_503_599_627_370_496.0;
    let two53 = 2.0 * two52;
    let huge = 1.2e21;
    // A larger exponent changes nothing: every base but 1 is then beyond the range already.
    let exponent = sel(y > huge, huge, sel(y < -huge, -huge, y));
    let (lh, ll) = log_pair(ax);
    let (ph, pl) = two_prod(lh, exponent);
    let low = sel(ph.abs() > 800.0, 0.0, pl + ll * exponent);
    let size = exp_pair(ph, low);
    let growing = sel(y > 0.0, f64::INFINITY, 0.0);
    let size = sel(ax == f64::INFINITY, growing, size);
    let size = sel(ax == 0.0, sel(y < 0.0, f64::INFINITY, 0.0), size);

    let nearest = (ay + two52) - two52;
    let whole = sel(ay >= two52, ay, nearest) == ay;
    let half = 0.5 * ay;
    let odd = sel((half + two52) - two52 == half, 0.0, sel(ay < two53, 1.0, 0.0)) > 0.5;
    let signed = sel(odd, -size, size);
    let below = sel(
        whole,
        signed,
        sel(ax == 0.0, size, sel(ax == f64::INFINITY, size, f64::NAN)),
    );
    let negative = f64::from_bits((x.to_bits() >> 63 << 63) | ONE) < 0.0;
    let z = sel(negative, below, size);
    let z = sel(x.is_nan(), f64::NAN, sel(y.is_nan(), f64::NAN, z));
    sel(y == 0.0, 1.0, sel(x == 1.0, 1.0, z))
}

/// 1 / (1 + e^-x), within 2.5 ulp.
#[inline(always)]
pub fn sigmoid(x: f64) -> f64 {
    let e = exp(-x.abs());
    sel(x < 0.0, e, 1.0) / (1.0 + e)
}

/// log(1 + e^x) without overflow, within 1.5 ulp.
#[inline(always)]
pub fn softplus(x: f64) -> f64 {
    sel(x > 0.0, x, 0.0) + log1p(exp(-x.abs()))
}

/// Hyperbolic tangent, within 1.5 ulp.
#[inline(always)]
pub fn tanh(x: f64) -> f64 {
    let a = x.abs();
    let z = x * x;
    let near = x + x * z * poly(z, &TANH);
    let far = (1.0 - 2.0 / (exp(2.0 * a) + 1.0)).copysign(x);
    sel(a < 0.55, sel(x == 0.0, x, near), far)
}

/// Hyperbolic sine, within 1.7 ulp.
#[inline(always)]
pub fn sinh(x: f64) -> f64 {
    let a = x.abs();
    let z = x * x;
    let near = x + x * z * poly(z, &SINH);
    let e = half_exp(a);
    let far = (e - 0.25 / e).copysign(x);
    sel(a < 1.0, sel(x == 0.0, x, near), far)
}

/// Hyperbolic cosine, within 1.2 ulp.
#[inline(always)]
pub fn cosh(x: f64) -> f64 {
    let e = half_exp(x.abs());
    e + 0.25 / e
}

/// Inverse hyperbolic sine, within 1.5 ulp.
#[inline(always)]
pub fn asinh(x: f64) -> f64 {
    let a = x.abs();
    let large = a > 1e8;
    let b = sel(large, 1.0, a);
    let near = log1p(b + b * b / (1.0 + (b * b + 1.0).sqrt()));
    let far = log(a) + std::f64::consts::LN_2;
    sel(x == 0.0, x, sel(large, far, near).copysign(x))
}

/// Inverse hyperbolic cosine (NaN below 1), within 2 ulp.
#[inline(always)]
pub fn acosh(x: f64) -> f64 {
    let large = x > 1e8;
    let t = sel(large, 1.0, x) - 1.0;
    let near = log1p(t + (2.0 * t + t * t).sqrt());
    sel(large, log(x) + std::f64::consts::LN_2, near)
}

/// Inverse hyperbolic tangent (NaN beyond 1), within 1.8 ulp.
#[inline(always)]
pub fn atanh(x: f64) -> f64 {
    let a = x.abs();
    let y = 0.5 * log1p(2.0 * a / (1.0 - a));
    sel(x == 0.0, x, y.copysign(x))
}
