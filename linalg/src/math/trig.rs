//! Trigonometric functions and their inverses.
//!
//! Invariant: the `near` forms are branch-free and hold for `|x| <= NEAR`; beyond it the scalar `far` forms reduce
//! the argument exactly (Payne and Hanek, SIGNUM Newsletter 18, 1983), so every finite argument has full accuracy.
//! Method: Cody and Waite's reduction by a four-part pi/2; polynomials are Chebyshev interpolants computed for this file.

use super::double::{div, fast_two_sum, mul, two_sum};
use super::expo::MAGIC;
use super::{poly, sel};

/// Largest argument of the branch-free forms: the quotient by pi/2 stays below 2^20, so its products with
/// 33-bit pieces are exact.
pub const NEAR: f64 = 1_600_000.0;

const PIO2: [f64; 4] = [
    f64::from_bits(0x3ff9_21fb_5440_0000),
    f64::from_bits(0x3dd0_b461_1a60_0000),
    f64::from_bits(0x3ba3_198a_2e00_0000),
    f64::from_bits(0x397b_839a_2520_49c1),
];
const PIO2_PAIR: (f64, f64) = (std::f64::consts::FRAC_PI_2, 6.123_233_995_736_766e-17);
const PI_PAIR: (f64, f64) = (std::f64::consts::PI, 1.224_646_799_147_353_2e-16);

/// The first 1280 bits of 2/pi after the point.
const TWO_OVER_PI: [u64; 20] = [
    0xa2f9_836e_4e44_1529,
    0xfc27_57d1_f534_ddc0,
    0xdb62_9599_3c43_9041,
    0xfe51_63ab_debb_c561,
    0xb724_6e3a_424d_d2e0,
    0x0649_2eea_09d1_921c,
    0xfe1d_eb1c_b129_a73e,
    0xe882_35f5_2ebb_4484,
    0xe99c_7026_b45f_7e41,
    0x3991_d639_8353_39f4,
    0x9c84_5f8b_bdf9_283b,
    0x1ff8_97ff_de05_980f,
    0xef2f_118b_5a0a_6d1f,
    0x6d36_7ecf_27cb_09b7,
    0x4f46_3f66_9e5f_ea2d,
    0x7527_bac7_ebe5_f17b,
    0x3d07_39f7_8a52_92ea,
    0x6bfb_5fb1_1f8d_5d08,
    0x5603_3046_fc7b_6bab,
    0xf0cf_bc20_9af4_361d,
];

// (sin(r) - r) / r^3 in r^2 on |r| <= pi/4, to 3.2e-17.
const SIN: [f64; 6] = [
    -0.16666666666666666,
    0.008333333333330946,
    -0.0001984126983675497,
    2.755731610068303e-06,
    -2.5051131455427946e-08,
    1.591810123027412e-10,
];
// (cos(r) - 1 + r^2/2) / r^4 in r^2 on |r| <= pi/4, to 2.3e-18.
const COS: [f64; 6] = [
    0.041666666666666664,
    -0.0013888888888887395,
    2.4801587298763433e-05,
    -2.7557317270560326e-07,
    2.0876146024689747e-09,
    -1.1382614868556325e-11,
];
// (atan(t) - t) / t^3 in t^2 on |t| <= tan(pi/8), to 1.9e-17.
const ATAN: [f64; 12] = [
    -0.3333333333333333,
    0.199999999999998,
    -0.14285714285659326,
    0.11111111105106705,
    -0.09090908751076636,
    0.0769229630497447,
    -0.06666423628069258,
    0.058789145444006215,
    -0.052303478730160745,
    0.04551108126325172,
    -0.034558092551413795,
    0.01627194475162406,
];
// (asin(t) - t) / t^3 in t^2 on |t| <= 1/2, to 2.3e-17.
const ASIN: [f64; 13] = [
    0.16666666666666669,
    0.07499999999998425,
    0.04464285714637338,
    0.030381944137085216,
    0.022372173002005596,
    0.017352391265909227,
    0.013971235301124539,
    0.011478952690257387,
    0.010324318288744113,
    0.00545087818772055,
    0.017419357964884856,
    -0.014881409392818066,
    0.02877844261259304,
];

/// `x = q pi/2 + r + l` with `|r| <= pi/4`; the low two bits of `q` are the quadrant.
#[inline(always)]
fn reduce_near(x: f64) -> (u64, f64, f64) {
    let z = x * std::f64::consts::FRAC_2_PI + MAGIC;
    let k = z - MAGIC;
    let (h, l) = two_sum(x - k * PIO2[0], -(k * PIO2[1]));
    let (h, m) = two_sum(h, -(k * PIO2[2]));
    let (r, l) = fast_two_sum(h, (l + m) - k * PIO2[3]);
    (z.to_bits(), r, l)
}

/// [`reduce_near`] for any finite `|x| >= 2^20`: the fraction of x 2/pi from 192 bits of 2/pi, those skipped giving
/// multiples of four.
fn reduce_far(x: f64) -> (u64, f64, f64) {
    let bits = x.abs().to_bits();
    let mantissa = (bits & ((1 << 52) - 1)) | (1 << 52);
    let exponent = (bits >> 52) as i32 - 1075;
    let skip = (exponent - 2).max(0) as usize;
    let window: [u64; 3] = std::array::from_fn(|i| {
        let (word, shift) = ((skip + 64 * i) / 64, (skip + 64 * i) % 64);
        let high = TWO_OVER_PI[word] << shift;
        let low = if shift == 0 {
            0
        } else {
            TWO_OVER_PI[word + 1] >> (64 - shift)
        };
        high | low
    });
    // The product, least significant word first.
    let mut product = [0u64; 4];
    let mut carry = 0u64;
    for i in 0..3 {
        let wide = u128::from(mantissa) * u128::from(window[2 - i]) + u128::from(carry);
        product[i] = wide as u64;
        carry = (wide >> 64) as u64;
    }
    product[3] = carry;
    // Bring the two bits of the quadrant to the top: the product has skip + 192 - exponent bits after the point.
    let shift = (254 - (skip as i32 + 192 - exponent)) as u32;
    debug_assert!((1..=128).contains(&shift));
    let at = |i: usize| -> u64 {
        // Bits of word i (0 = most significant) after the shift.
        let whole = (shift / 64) as usize;
        let part = shift % 64;
        let word = |j: usize| 3usize.checked_sub(j).map_or(0, |j| product[j]);
        let high = word(i + whole) << part;
        if part == 0 {
            high
        } else {
            high | (word(i + whole + 1) >> (64 - part))
        }
    };
    let (a, b, c) = (at(0), at(1), at(2));
    let fraction = (u128::from((a << 2) | (b >> 62)) << 64) | u128::from((b << 2) | (c >> 62));
    // As a signed number the fraction is the distance to the nearest multiple.
    let signed = fraction as i128;
    let quadrant = (a >> 62).wrapping_add(u64::from(signed < 0));
    let hi = signed as f64;
    // A distance that rounds to 2^127 saturates one unit lower, which is below the precision kept.
    let lo = (signed - hi as i128) as f64;
    let unit = f64::from_bits((1023 - 128) << 52);
    let (r, l) = mul((hi * unit, lo * unit), PIO2_PAIR);
    if x < 0.0 {
        (quadrant.wrapping_neg(), -r, -l)
    } else {
        (quadrant, r, l)
    }
}

/// sin and cos of `r + l`, each as a pair.
#[inline(always)]
fn kernels(r: f64, l: f64) -> ((f64, f64), (f64, f64)) {
    let z = r * r;
    let half = 0.5 * z;
    let w = 1.0 - half;
    let sine = (r, l * w + r * z * poly(z, &SIN));
    let cosine = (w, ((1.0 - w) - half) + (z * z * poly(z, &COS) - r * l));
    (sine, cosine)
}

/// `a` if bit 0 of `q` is clear, else `b`; negated if bit 1 of `sign` is set.
#[inline(always)]
fn quadrant(q: u64, sign: u64, a: f64, b: f64) -> f64 {
    let mask = 0u64.wrapping_sub(q & 1);
    f64::from_bits(((a.to_bits() & !mask) | (b.to_bits() & mask)) ^ ((sign & 2) << 62))
}

#[inline(always)]
fn sin_of((q, r, l): (u64, f64, f64)) -> f64 {
    let (s, c) = kernels(r, l);
    quadrant(q, q, s.0 + s.1, c.0 + c.1)
}

#[inline(always)]
fn cos_of((q, r, l): (u64, f64, f64)) -> f64 {
    let (s, c) = kernels(r, l);
    quadrant(q, q.wrapping_add(1), c.0 + c.1, s.0 + s.1)
}

#[inline(always)]
fn tan_of((q, r, l): (u64, f64, f64)) -> f64 {
    let (s, c) = kernels(r, l);
    let (s, c) = (fast_two_sum(s.0, s.1), fast_two_sum(c.0, c.1));
    let pick = |a, b| quadrant(q, 0, a, b);
    let num = (pick(s.0, -c.0), pick(s.1, -c.1));
    let den = (pick(c.0, s.0), pick(c.1, s.1));
    let (h, l) = div(num, den);
    h + l
}

/// Sine for `|x| <= NEAR` (NaN for infinities), within 0.8 ulp.
#[inline(always)]
pub fn sin_near(x: f64) -> f64 {
    sel(x == 0.0, x, sin_of(reduce_near(x)))
}

/// Cosine for `|x| <= NEAR`, within 0.8 ulp.
#[inline(always)]
pub fn cos_near(x: f64) -> f64 {
    cos_of(reduce_near(x))
}

/// Tangent for `|x| <= NEAR`, within 1 ulp.
#[inline(always)]
pub fn tan_near(x: f64) -> f64 {
    // The products of the pair division would underflow; tan x is x long before.
    sel(x.abs() < 1e-150, x, tan_of(reduce_near(x)))
}

/// Whether `x` needs the `far` forms.
#[inline(always)]
pub fn is_far(x: f64) -> bool {
    x.abs() > NEAR
}

macro_rules! far {
    ($name:ident, $of:ident, $what:literal) => {
        #[doc = concat!($what, " for any argument beyond [`NEAR`]; NaN for infinities.")]
        #[cold]
        pub fn $name(x: f64) -> f64 {
            if x.is_finite() {
                $of(reduce_far(x))
            } else {
                f64::NAN
            }
        }
    };
}
far!(sin_far, sin_of, "Sine");
far!(cos_far, cos_of, "Cosine");
far!(tan_far, tan_of, "Tangent");

/// sin(pi x) and cos(pi x), exact reduction.
pub fn sin_cos_pi(x: f64) -> (f64, f64) {
    // Even integers are periods; every double beyond 2^53 is one.
    let y = x % 2.0;
    let k = (2.0 * y + MAGIC) - MAGIC;
    let (r, l) = mul((y - 0.5 * k, 0.0), PI_PAIR);
    let q = (2.0 * y + MAGIC).to_bits();
    (sin_of((q, r, l)), cos_of((q, r, l)))
}

/// Arcsine (NaN beyond 1), within 2 ulp.
#[inline(always)]
pub fn asin(x: f64) -> f64 {
    let a = x.abs();
    let near = a <= 0.5;
    let half = 0.5 * (1.0 - a);
    let t = sel(near, x, half.sqrt());
    let z = sel(near, x * x, half);
    let p = t * z * poly(z, &ASIN);
    let far = (PIO2_PAIR.0 - 2.0 * t) - (2.0 * p - PIO2_PAIR.1);
    sel(near, sel(x == 0.0, x, t + p), far.copysign(x))
}

/// Arccosine (NaN beyond 1), within 1.2 ulp.
#[inline(always)]
pub fn acos(x: f64) -> f64 {
    let a = x.abs();
    let near = a <= 0.5;
    let half = 0.5 * (1.0 - a);
    let t = sel(near, x, half.sqrt());
    let z = sel(near, x * x, half);
    let p = t * z * poly(z, &ASIN);
    let (h, e) = fast_two_sum(PIO2_PAIR.0, -t);
    let middle = h + (e + (PIO2_PAIR.1 - p));
    let right = 2.0 * (t + p);
    let (h, e) = fast_two_sum(PI_PAIR.0, -2.0 * t);
    let left = h + (e + (PI_PAIR.1 - 2.0 * p));
    sel(near, middle, sel(x > 0.0, right, left))
}

/// Arctangent, within 1.9 ulp.
#[inline(always)]
pub fn atan(x: f64) -> f64 {
    let a = x.abs();
    let steep = a > 2.414_213_562_373_095;
    let middle = a > std::f64::consts::SQRT_2 - 1.0;
    let num = sel(steep, -1.0, sel(middle, a - 1.0, a));
    let den = sel(steep, a, sel(middle, a + 1.0, 1.0));
    let base = (
        sel(steep, PIO2_PAIR.0, sel(middle, 0.5 * PIO2_PAIR.0, 0.0)),
        sel(steep, PIO2_PAIR.1, sel(middle, 0.5 * PIO2_PAIR.1, 0.0)),
    );
    let t = num / den;
    let z = t * t;
    let (h, e) = fast_two_sum(base.0, t);
    let y = h + (e + (t * z * poly(z, &ATAN) + base.1));
    y.copysign(x)
}

/// Angle of the point `(x, y)`, from -pi to pi, within 2.5 ulp.
#[inline(always)]
pub fn atan2(y: f64, x: f64) -> f64 {
    let (ax, ay) = (x.abs(), y.abs());
    let steep = ay > ax;
    let (small, large) = (sel(steep, ax, ay), sel(steep, ay, ax));
    // 0/0 and infinity/infinity have the limits along the axes and the diagonal.
    let ratio = sel(large == 0.0, 0.0, sel(small == f64::INFINITY, 1.0, small / large));
    let t = atan(ratio);
    let left = 1.0f64.copysign(x) < 0.0;
    let t = sel(steep, sel(left, t, -t), sel(left, -t, t));
    let base = (
        sel(steep, PIO2_PAIR.0, sel(left, PI_PAIR.0, 0.0)),
        sel(steep, PIO2_PAIR.1, sel(left, PI_PAIR.1, 0.0)),
    );
    let (h, e) = fast_two_sum(base.0, t);
    let t = h + (e + base.1);
    sel(x.is_nan(), x, sel(y.is_nan(), y, t.copysign(y)))
}
