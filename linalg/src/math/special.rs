//! Error function, gamma function's logarithm and its derivatives.
//!
//! Invariant: plain double arithmetic on [`super`]'s functions only, the same bits everywhere.
//! Sources: Shepherd and Laframboise, Math. Comp. 36 (1981) for the variable of erfc; Stirling's series and the
//! recurrences of NIST DLMF 5.5, 5.11, 5.15. Coefficients are Chebyshev interpolants computed for this file.

use super::double::two_prod;
use super::expo::{exp_pair, log, log1p};
use super::trig::sin_cos_pi;
use super::{poly, sel};

// erf(x) / x - 1 in x^2 on |x| <= 1, to 1.7e-17.
const ERF: [f64; 13] = [
    0.1283791670955126,
    -0.3761263890318375,
    0.11283791670954879,
    -0.026866170645076792,
    0.0052239776248180145,
    -0.000854832698083379,
    0.0001205533111164271,
    -1.4925595266831182e-05,
    1.6461000484121368e-06,
    -1.6350312701054695e-07,
    1.4659775274047436e-08,
    -1.1372848856791674e-09,
    5.957176147748911e-11,
];
// (1 + 2x) e^(x^2) erfc(x) in (x - 3.75) / (x + 3.75) on 0.45 <= x <= 28, to 1.2e-16.
const ERFC: [f64; 22] = [
    1.2375126308378275,
    -0.14024059858554697,
    0.0035854154854664086,
    0.08227673849014257,
    -0.10880393014188905,
    0.09230432116053428,
    -0.0586933985858041,
    0.028362277415409323,
    -0.009746579611350373,
    0.001755625893430372,
    0.0002937140960700885,
    -0.0002901543468387234,
    5.164693848153324e-05,
    2.2385310852576762e-05,
    -1.1437184601940448e-05,
    -9.762657145445655e-07,
    1.7371763592838642e-06,
    -5.29753058341645e-08,
    -2.3982129862269504e-07,
    1.9345116508296444e-08,
    2.4400383726855472e-08,
    -1.881654489021793e-09,
];
// lgamma(2 + t) / t on -3/4 <= t <= 1/2, to 6.6e-18.
const LGAMMA: [f64; 22] = [
    0.42278433509846713,
    0.3224670334241132,
    -0.06735230105319819,
    0.020580808427788713,
    -0.007385551028663134,
    0.0028905103304813725,
    -0.0011927539122401397,
    0.0005096695320815541,
    -0.0002231547440316932,
    9.945740178257564e-05,
    -4.49264656161029e-05,
    2.0508176707833767e-05,
    -9.437265073733135e-06,
    4.370085128707922e-06,
    -2.052505041619294e-06,
    9.670266026970003e-07,
    -4.017783814546954e-07,
    2.076152204577419e-07,
    -1.926987475099278e-07,
    6.191687012176491e-09,
    5.0267240087141174e-08,
    7.559948020730293e-08,
];
// x (lgamma(x) - (x - 1/2) log x + x - log(2 pi) / 2) in x^-2 for x >= 8, to 4.7e-18.
const STIRLING: [f64; 7] = [
    0.08333333333333333,
    -0.002777777777773988,
    0.0007936507897524059,
    -0.0005952365845057049,
    0.0008414700852503147,
    -0.001890382993887715,
    0.005065905360156132,
];
// x^2 (digamma(x) - log x + 1/(2x)) in x^-2 for x >= 8, to 1.3e-17.
const DIGAMMA_TAIL: [f64; 7] = [
    -0.08333333333333333,
    0.008333333333278636,
    -0.0039682539119537084,
    0.0041666448230497,
    -0.007571689620283902,
    0.020697987372370493,
    -0.06362150587634356,
];
// x^3 (trigamma(x) - 1/x - 1/(2 x^2)) in x^-2 for x >= 8, to 1.5e-16.
const TRIGAMMA_TAIL: [f64; 7] = [
    0.16666666666666655,
    -0.03333333333249287,
    0.023809522943893217,
    -0.03333299706371194,
    0.07569481310235808,
    -0.24699740954161503,
    0.8586880107331692,
];
// digamma(3/2 + t) / (3/2 + t - zero) on |t| <= 1/2, to 1.7e-16.
const DIGAMMA_NEAR: [f64; 21] = [
    0.9510558760318328,
    -0.42362742128145714,
    0.24054248424078467,
    -0.148404923054895,
    0.09498872445356644,
    -0.061922133187884434,
    0.04076083388244362,
    -0.02697580012794918,
    0.017907250629416654,
    -0.011908144669747536,
    0.007926971506162683,
    -0.005280923197865065,
    0.0035187638573511986,
    -0.002337420458023073,
    0.0015579867878436399,
    -0.0010782000718806653,
    0.0007187532463279081,
    -0.0003536759253035519,
    0.00023577665514794792,
    -0.0003793571923454055,
    0.00025290331783082114,
];
/// The positive zero of digamma, in two parts.
const DIGAMMA_ZERO: (f64, f64) = (1.461_632_144_968_362_2, 9.549_995_429_965_697e-17);

/// erfc for `a >= 0.45`.
#[inline(always)]
fn erfc_tail(a: f64) -> f64 {
    let b = sel(a > 28.0, 28.0, a);
    let (h, l) = two_prod(b, b);
    let t = (b - 3.75) / (b + 3.75);
    exp_pair(-h, -l) * (poly(t, &ERFC) / (1.0 + 2.0 * b))
}

/// Error function, within 1.3 ulp.
#[inline(always)]
pub fn erf(x: f64) -> f64 {
    let a = x.abs();
    let near = x + x * poly(x * x, &ERF);
    let far = (1.0 - erfc_tail(sel(a > 1.0, a, 1.0))).copysign(x);
    sel(a > 1.0, far, near)
}

/// Complementary error function, within 4 ulp while it is a normal number.
#[inline(always)]
pub fn erfc(x: f64) -> f64 {
    let a = x.abs();
    let tail = erfc_tail(sel(a > 0.5, a, 0.5));
    let near = 1.0 - (x + x * poly(x * x, &ERF));
    sel(x > 0.5, tail, sel(x < -1.0, 2.0 - tail, near))
}

/// log |Gamma(x)|, infinite at 0, -1, -2, …; error at most 4 ulp of max(1, |value|), for positive arguments 4 ulp of
/// the value.
pub fn lgamma(x: f64) -> f64 {
    if x.is_nan() {
        return x;
    }
    if x.is_infinite() {
        return f64::INFINITY;
    }
    if x <= 0.0 {
        if x == x.floor() {
            return f64::INFINITY;
        }
        if x > -1e-17 {
            return -log(-x);
        }
        // Reflection, DLMF 5.5.3.
        let (s, _) = sin_cos_pi(x);
        return log(std::f64::consts::PI / (s * x).abs()) - lgamma(-x);
    }
    if x >= 8.0 {
        if x > 1e300 {
            return x * (log(x) - 1.0);
        }
        const HALF_LOG_TWO_PI: f64 = 0.918_938_533_204_672_8;
        let r = 1.0 / x;
        return (x - 0.5) * (log(x) - 1.0) + ((HALF_LOG_TWO_PI - 0.5) + r * poly(r * r, &STIRLING));
    }
    let near_two = |t: f64| t * poly(t, &LGAMMA);
    if x < 0.5 {
        // Gamma(x) = Gamma(x + 2) / (x (x + 1))
        return near_two(x) - log1p(x) - log(x);
    }
    if x < 1.25 {
        let t = x - 1.0;
        return near_two(t) - log1p(t);
    }
    let (mut y, mut product) = (x, 1.0);
    while y > 2.5 {
        y -= 1.0;
        product *= y;
    }
    near_two(y - 2.0) + if product > 1.0 { log(product) } else { 0.0 }
}

/// Derivative of [`lgamma`], NaN at 0, -1, -2, …; error at most 4 ulp of max(1, |value|).
pub fn digamma(x: f64) -> f64 {
    if x.is_nan() || x == f64::INFINITY {
        return x;
    }
    if x <= 0.0 {
        if x == x.floor() {
            return f64::NAN;
        }
        // Reflection, DLMF 5.5.4; near 0 the pole alone.
        if x > -1e-17 {
            return -1.0 / x;
        }
        let (s, c) = sin_cos_pi(x);
        return digamma(1.0 - x) - std::f64::consts::PI * (c / s);
    }
    if x >= 8.0 {
        let r = 1.0 / x;
        return log(x) + (r * r * poly(r * r, &DIGAMMA_TAIL) - 0.5 * r);
    }
    if x < 1.0 {
        return digamma(x + 1.0) - 1.0 / x;
    }
    let (mut y, mut shift) = (x, 0.0);
    while y > 2.0 {
        y -= 1.0;
        shift += 1.0 / y;
    }
    let distance = (y - DIGAMMA_ZERO.0) - DIGAMMA_ZERO.1;
    shift + distance * poly(y - 1.5, &DIGAMMA_NEAR)
}

/// Derivative of [`digamma`], infinite at 0, -1, -2, …; within 5 ulp for positive arguments.
pub fn trigamma(x: f64) -> f64 {
    if x.is_nan() {
        return x;
    }
    if x <= 0.0 {
        if x == x.floor() {
            return f64::INFINITY;
        }
        // Reflection, DLMF 5.15.6.
        let (s, _) = sin_cos_pi(x);
        let ratio = std::f64::consts::PI / s;
        return ratio * ratio - trigamma(1.0 - x);
    }
    let (mut y, mut terms, mut n) = (x, [0.0; 8], 0);
    while y < 8.0 {
        terms[n] = 1.0 / (y * y);
        n += 1;
        y += 1.0;
    }
    let r = 1.0 / y;
    let tail = r + r * r * (0.5 + r * poly(r * r, &TRIGAMMA_TAIL));
    // Smallest terms first.
    terms[..n].iter().rev().fold(tail, |sum, &term| sum + term)
}
