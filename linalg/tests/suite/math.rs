//! Real functions: errors against 60-digit values, sweeps against the platform's library, special values, identities.

use super::reduce::noise;
use ravine_linalg::math;
use std::collections::BTreeMap;

/// Reference points; the head of the file says how they were made.
const REFERENCE: &str = include_str!("math.txt");

const INF: f64 = f64::INFINITY;

/// One unit in the last place of `y`.
fn ulp(y: f64) -> f64 {
    let a = y.abs();
    if a < f64::MIN_POSITIVE {
        f64::from_bits(1)
    } else {
        f64::from_bits(a.to_bits() & (0x7ff << 52)) * f64::EPSILON
    }
}

/// The functions of one variable with the error bound their documentation states, in units in the last place.
fn bounds() -> BTreeMap<&'static str, (fn(f64) -> f64, f64)> {
    let list: [(&str, fn(f64) -> f64, f64); 25] = [
        ("exp", math::exp, 0.7),
        ("expm1", math::expm1, 1.2),
        ("log", math::log, 0.85),
        ("log1p", math::log1p, 0.85),
        ("log2", math::log2, 0.6),
        ("log10", math::log10, 0.6),
        ("sin", math::sin, 0.8),
        ("cos", math::cos, 0.8),
        ("tan", math::tan, 1.0),
        ("asin", math::asin, 2.0),
        ("acos", math::acos, 1.2),
        ("atan", math::atan, 1.9),
        ("sinh", math::sinh, 1.7),
        ("cosh", math::cosh, 1.2),
        ("tanh", math::tanh, 1.5),
        ("asinh", math::asinh, 1.5),
        ("acosh", math::acosh, 2.0),
        ("atanh", math::atanh, 1.8),
        ("sigmoid", math::sigmoid, 2.5),
        ("softplus", math::softplus, 1.5),
        ("erf", math::erf, 1.3),
        ("erfc", math::erfc, 4.0),
        ("lgamma", math::lgamma, 4.0),
        ("digamma", math::digamma, 4.0),
        ("trigamma", math::trigamma, 5.0),
    ];
    list.into_iter().map(|(n, f, b)| (n, (f, b))).collect()
}

#[test]
fn errors_stay_within_the_stated_bounds() {
    let bounds = bounds();
    let mut seen: BTreeMap<&str, usize> = BTreeMap::new();
    for line in REFERENCE.lines().filter(|l| !l.starts_with('#')) {
        let fields: Vec<&str> = line.split(' ').collect();
        let bits = |i: usize| f64::from_bits(u64::from_str_radix(fields[i], 16).expect("bits"));
        let (name, x, y, want) = (fields[0], bits(1), bits(2), bits(3));
        let missing: f64 = fields[4].parse().expect("fraction");
        let (got, bound) = match name {
            "pow" => (math::pow(x, y), 0.9),
            "atan2" => (math::atan2(x, y), 2.5),
            _ => {
                let (f, bound) = bounds[name];
                (f(x), bound)
            }
        };
        // The gamma family near its zeros and poles on the negative axis: relative to the larger of 1 and the value.
        let unit = match name {
            "lgamma" | "digamma" | "trigamma" if x < 0.0 => ulp(want).max(ulp(1.0)) * 4.0,
            "digamma" => ulp(want).max(ulp(1.0)),
            _ => ulp(want),
        };
        let error = ((got - want) / unit - missing * (ulp(want) / unit)).abs();
        assert!(
            error <= bound,
            "{name}({x:e}, {y:e}) = {got:e}, not {want:e}: {error} ulp"
        );
        *seen.entry(name).or_default() += 1;
    }
    assert_eq!(seen.len(), 27, "{seen:?}");
    assert!(seen.values().all(|&n| n >= 30), "{seen:?}");
}

/// Arguments over the given range, and with magnitudes from 2^-60 up to its larger end.
fn sweep(lo: f64, hi: f64) -> Vec<f64> {
    let size = lo.abs().max(hi.abs());
    noise(40_000, 11)
        .into_iter()
        .enumerate()
        .map(|(i, v)| {
            let u = v.to_bits().wrapping_mul(0x9e37_79b9_7f4a_7c15) as f64 / 2f64.powi(64);
            if i % 2 == 0 {
                lo + (hi - lo) * u
            } else {
                let small = size * u * 2f64.powi(-((i / 2) as i32 % 60));
                if lo < 0.0 && i % 4 == 1 { -small } else { small }
            }
        })
        .filter(|&x| x >= lo && x <= hi)
        .collect()
}

#[test]
fn sweeps_agree_with_the_platform_library() {
    // The library's own error is below 2 ulp for each of these on the systems we build on.
    let cases: [(&str, fn(f64) -> f64, f64, f64); 18] = [
        ("exp", f64::exp, -745.0, 709.7),
        ("expm1", f64::exp_m1, -50.0, 709.7),
        ("log", f64::ln, 0.0, 1e300),
        ("log1p", f64::ln_1p, -1.0, 1e300),
        ("log2", f64::log2, 0.0, 1e300),
        ("log10", f64::log10, 0.0, 1e300),
        ("sin", f64::sin, -1e9, 1e9),
        ("cos", f64::cos, -1e9, 1e9),
        ("tan", f64::tan, -1e9, 1e9),
        ("asin", f64::asin, -1.0, 1.0),
        ("acos", f64::acos, -1.0, 1.0),
        ("atan", f64::atan, -1e6, 1e6),
        ("sinh", f64::sinh, -710.0, 710.0),
        ("cosh", f64::cosh, -710.0, 710.0),
        ("tanh", f64::tanh, -25.0, 25.0),
        ("asinh", f64::asinh, 1.0, 1e300),
        ("acosh", f64::acosh, 2.0, 1e300),
        ("atanh", f64::atanh, 0.2, 1.0),
    ];
    let bounds = bounds();
    for (name, theirs, lo, hi) in cases {
        let (ours, bound) = bounds[name];
        for x in sweep(lo, hi) {
            let (got, want) = (ours(x), theirs(x));
            assert!(
                got == want || (got - want).abs() <= (bound + 3.0) * ulp(want),
                "{name}({x:e}) = {got:e}, library {want:e}"
            );
        }
    }
    let (x, y) = (sweep(0.0, 1e4), sweep(-70.0, 70.0));
    for (&x, &y) in x.iter().zip(&y) {
        let (got, want) = (math::pow(x, y), x.powf(y));
        assert!(
            got == want || (got - want).abs() <= 2.0 * ulp(want),
            "{x:e}^{y:e} = {got:e}, library {want:e}"
        );
    }
}

#[track_caller]
fn exactly(got: f64, want: f64) {
    assert!(
        got.to_bits() == want.to_bits() || (got.is_nan() && want.is_nan()),
        "{got:e} instead of {want:e}"
    );
}

#[test]
fn special_values() {
    for (_, (f, _)) in bounds() {
        exactly(f(f64::NAN), f64::NAN);
    }
    // Odd functions keep the sign of zero and the whole of subnormal arguments.
    for f in [
        math::sin,
        math::tan,
        math::asin,
        math::atan,
        math::sinh,
        math::tanh,
        math::asinh,
        math::atanh,
        math::expm1,
        math::log1p,
    ] {
        for x in [0.0, -0.0, 5e-324, -5e-324, 1e-310, -1e-320] {
            exactly(f(x), x);
        }
    }
    exactly(math::exp(INF), INF);
    exactly(math::exp(-INF), 0.0);
    exactly(math::exp(0.0), 1.0);
    exactly(math::exp(1.0), std::f64::consts::E);
    exactly(math::exp(709.782_712_893_384), 1.797_693_134_862_273_2e308);
    exactly(math::exp(709.782_712_893_384_1), INF);
    exactly(math::exp(-745.133_219_101_941_1), 5e-324);
    exactly(math::exp(-745.133_219_101_941_3), 0.0);
    exactly(math::expm1(-INF), -1.0);
    exactly(math::expm1(INF), INF);
    exactly(math::log(0.0), -INF);
    exactly(math::log(-0.0), -INF);
    exactly(math::log(-1.0), f64::NAN);
    exactly(math::log(INF), INF);
    exactly(math::log(1.0), 0.0);
    exactly(math::log(5e-324), -744.440_071_921_381_2);
    exactly(math::log1p(-1.0), -INF);
    exactly(math::log1p(-1.5), f64::NAN);
    exactly(math::log1p(INF), INF);
    for e in [-1074i32, -1022, -3, 0, 7, 1023] {
        exactly(math::log2(2f64.powi(e / 2) * 2f64.powi(e - e / 2)), f64::from(e));
    }
    for e in 0..=22 {
        exactly(math::log10(10f64.powi(e)), f64::from(e));
    }
    for x in [INF, -INF] {
        exactly(math::sin(x), f64::NAN);
        exactly(math::cos(x), f64::NAN);
        exactly(math::tan(x), f64::NAN);
        exactly(math::tanh(x), 1f64.copysign(x));
        exactly(math::atan(x), std::f64::consts::FRAC_PI_2.copysign(x));
        exactly(math::sinh(x), x);
        exactly(math::cosh(x), INF);
        exactly(math::asinh(x), x);
        exactly(math::erf(x), 1f64.copysign(x));
    }
    exactly(math::cos(0.0), 1.0);
    exactly(math::asin(1.0), std::f64::consts::FRAC_PI_2);
    exactly(math::asin(1.01), f64::NAN);
    exactly(math::acos(1.0), 0.0);
    exactly(math::acos(-1.0), std::f64::consts::PI);
    exactly(math::acos(-1.01), f64::NAN);
    exactly(math::acosh(1.0), 0.0);
    exactly(math::acosh(0.9), f64::NAN);
    exactly(math::acosh(-3.0), f64::NAN);
    exactly(math::atanh(1.0), INF);
    exactly(math::atanh(-1.0), -INF);
    exactly(math::atanh(1.1), f64::NAN);
    exactly(math::sigmoid(0.0), 0.5);
    exactly(math::sigmoid(INF), 1.0);
    exactly(math::sigmoid(-INF), 0.0);
    exactly(math::softplus(INF), INF);
    exactly(math::softplus(-INF), 0.0);
    exactly(math::softplus(800.0), 800.0);
    exactly(math::erfc(INF), 0.0);
    exactly(math::erfc(-INF), 2.0);
    exactly(math::lgamma(1.0), 0.0);
    exactly(math::lgamma(2.0), 0.0);
    exactly(math::lgamma(0.0), INF);
    exactly(math::lgamma(-3.0), INF);
    exactly(math::lgamma(INF), INF);
    exactly(math::digamma(-3.0), f64::NAN);
    exactly(math::digamma(INF), INF);
    exactly(math::trigamma(INF), 0.0);
    exactly(math::trigamma(-2.0), INF);
    exactly(math::hypot(INF, f64::NAN), INF);
    let big = 2f64.powi(1000);
    exactly(math::hypot(3.0 * big, 4.0 * big), 5.0 * big);
    exactly(math::hypot(15e-324, 20e-324), 25e-324);
    exactly(math::min(f64::NAN, 1.0), f64::NAN);
    exactly(math::min(1.0, f64::NAN), f64::NAN);
    exactly(math::max(f64::NAN, 1.0), f64::NAN);
    exactly(math::max(1.0, f64::NAN), f64::NAN);
}

#[test]
fn powers_follow_ieee_754() {
    let odd = [1.0, -1.0, 3.0, -3.0, 4_503_599_627_370_497.0, 9_007_199_254_740_991.0];
    let even = [2.0, -2.0, 1e20, -1e300, 9_007_199_254_740_992.0];
    let broken = [0.5, -0.5, 2.5, 1e-300];
    for x in [0.0, -0.0, INF, -INF, 2.0, -2.0, f64::NAN] {
        exactly(math::pow(x, 0.0), 1.0);
        exactly(math::pow(x, -0.0), 1.0);
        exactly(math::pow(1.0, x), 1.0);
    }
    for y in odd {
        for x in [0.0, -0.0, INF, -INF] {
            let size: f64 = if (x == 0.0) == (y > 0.0) { 0.0 } else { INF };
            exactly(math::pow(x, y), size.copysign(x));
        }
        exactly(math::pow(-1.0, y), -1.0);
    }
    for y in even.into_iter().chain(broken) {
        for x in [0.0, -0.0, INF, -INF] {
            exactly(math::pow(x, y), if (x == 0.0) == (y > 0.0) { 0.0 } else { INF });
        }
    }
    for y in even {
        exactly(math::pow(-1.0, y), 1.0);
    }
    for y in broken {
        exactly(math::pow(-2.0, y), f64::NAN);
    }
    for (x, y, want) in [
        (0.5, INF, 0.0),
        (0.5, -INF, INF),
        (2.0, INF, INF),
        (-2.0, -INF, 0.0),
        (-1.0, INF, 1.0),
        (2.0, 1024.0, INF),
        (-2.0, 1023.0, -(2f64.powi(1023))),
        (2.0, -1074.0, 5e-324),
        (2.0, -1076.0, 0.0),
        (f64::NAN, 1.0, f64::NAN),
        (2.0, f64::NAN, f64::NAN),
        (5e-324, 0.5, 2f64.powi(-537)),
    ] {
        exactly(math::pow(x, y), want);
    }
}

#[test]
fn powers_that_are_representable_are_exact() {
    for base in 1u64..=60 {
        let mut exact = Some(1u64);
        for n in 0..60 {
            let Some(value) = exact.filter(|&v| v < 1 << 53) else {
                break;
            };
            for sign in [1.0, -1.0f64] {
                let want = value as f64 * if n % 2 == 1 { sign } else { 1.0 };
                exactly(math::pow(sign * base as f64, f64::from(n)), want);
                exactly(math::powi(sign * base as f64, n), want);
            }
            exact = value.checked_mul(base);
        }
        exactly(math::pow((base * base) as f64, 0.5), base as f64);
    }
    exactly(math::powi(2.0, -3), 0.125);
    exactly(math::powi(0.0, 0), 1.0);
}

#[test]
fn angles_of_points_on_every_ray() {
    use std::f64::consts::{FRAC_PI_2, FRAC_PI_4, PI};
    for (y, x, want) in [
        (0.0, 1.0, 0.0),
        (-0.0, 1.0, -0.0),
        (0.0, -1.0, PI),
        (-0.0, -1.0, -PI),
        (1.0, 0.0, FRAC_PI_2),
        (-1.0, -0.0, -FRAC_PI_2),
        (0.0, 0.0, 0.0),
        (-0.0, 0.0, -0.0),
        (0.0, -0.0, PI),
        (1.0, 1.0, FRAC_PI_4),
        (INF, INF, FRAC_PI_4),
        (INF, -INF, 3.0 * FRAC_PI_4),
        (1.0, -INF, PI),
        (1.0, INF, 0.0),
        (INF, 1.0, FRAC_PI_2),
        (f64::NAN, 1.0, f64::NAN),
        (1.0, f64::NAN, f64::NAN),
    ] {
        exactly(math::atan2(y, x), want);
    }
}

#[test]
fn rounding_to_integers_agrees_with_the_standard_library() {
    for v in sweep(-1e18, 1e18)
        .into_iter()
        .chain([0.0, -0.0, 0.5, -0.5, 1.5, 2.5, -2.5, INF, -INF, f64::NAN, -0.2])
    {
        for x in [v, (2.0 * v).round() / 2.0] {
            exactly(math::floor(x), x.floor());
            exactly(math::ceil(x), x.ceil());
            exactly(math::round(x), x.round_ties_even());
        }
    }
}

#[test]
fn gamma_family_obeys_its_recurrences() {
    let mut factorial = 1.0f64;
    for n in 1..=20 {
        let x = f64::from(n);
        assert!((math::lgamma(x) - factorial.ln()).abs() <= 4.0 * ulp(factorial.ln()));
        factorial *= x;
    }
    for x in sweep(0.05, 40.0).into_iter().take(4000) {
        let size = 1.0 + math::lgamma(x + 1.0).abs() + x.ln().abs();
        let gap = math::lgamma(x + 1.0) - math::lgamma(x) - x.ln();
        assert!(gap.abs() <= 8.0 * f64::EPSILON * size, "lgamma at {x}: {gap:e}");
        let gap = math::digamma(x + 1.0) - math::digamma(x) - 1.0 / x;
        assert!(
            gap.abs() <= 8.0 * f64::EPSILON * (4.0 + 1.0 / x),
            "digamma at {x}: {gap:e}"
        );
        let gap = math::trigamma(x) - math::trigamma(x + 1.0) - 1.0 / (x * x);
        assert!(
            gap.abs() <= 8.0 * f64::EPSILON * (2.0 + 1.0 / (x * x)),
            "trigamma at {x}: {gap:e}"
        );
        // The derivatives against fourth-order differences.
        let h = 1e-3 * x;
        let slope = |f: fn(f64) -> f64| (8.0 * (f(x + h) - f(x - h)) - (f(x + 2.0 * h) - f(x - 2.0 * h))) / (12.0 * h);
        let rel = |a: f64, b: f64| (a - b).abs() / (1.0 + b.abs());
        assert!(rel(slope(math::lgamma), math::digamma(x)) < 1e-9);
        assert!(rel(slope(math::digamma), math::trigamma(x)) < 1e-9);
    }
}
