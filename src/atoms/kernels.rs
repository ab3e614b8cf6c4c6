//! Lane and block kernels of the rows: entries of `linalg`'s lane table, and plain loops for the few it has not.
//!
//! Invariant: the result of a lane depends on that lane's arguments only, and a NaN that goes in comes out.

use ravine_linalg::lanes::{LANES, kernels};
use ravine_linalg::{math, reduce};

use crate::ir::atom::{Partial, Reduce};

/// Kernels that `linalg` compiles for the processor's instruction set.
macro_rules! table {
    ($($name:ident($($a:ident),+);)*) => {$(
        pub fn $name(dst: &mut [f64], $($a: &[f64]),+) {
            (kernels().$name)(dst, $($a),+);
        }
    )*};
}

table! {
    add(a, b);
    sub(a, b);
    mul(a, b);
    div(a, b);
    neg(a);
    square(a);
    recip(a);
    lt(a, b);
    le(a, b);
    eq(a, b);
    ne(a, b);
    and(a, b);
    or(a, b);
    not(a);
    select(c, a, b);
    abs(a);
    sqrt(a);
    exp(a);
    log(a);
    log1p(a);
    log2(a);
    log10(a);
    asin(a);
    acos(a);
    atan(a);
    sinh(a);
    cosh(a);
    expm1(a);
    sin(a);
    cos(a);
    tan(a);
    tanh(a);
    sigmoid(a);
    softplus(a);
    relu(a);
    max(a, b);
    min(a, b);
    sign(a);
    floor(a);
    ceil(a);
    round(a);
    erf(a);
}

/// `a > b`.
pub fn gt(dst: &mut [f64], a: &[f64], b: &[f64]) {
    (kernels().lt)(dst, b, a);
}

/// `a^b`; small whole exponents by multiplication, so that `x^3` is `x*x*x` to the last bit.
pub fn pow(dst: &mut [f64], a: &[f64], b: &[f64]) {
    (kernels().pow)(dst, a, b);
    for i in 0..dst.len() {
        if b[i].fract() == 0.0 && b[i].abs() <= 8.0 {
            let k = b[i].abs() as usize;
            let product = std::iter::repeat_n(a[i], k).reduce(|p, x| p * x).unwrap_or(1.0);
            dst[i] = if b[i] < 0.0 { 1.0 / product } else { product };
        }
    }
}

/// `a >= b`.
pub fn ge(dst: &mut [f64], a: &[f64], b: &[f64]) {
    (kernels().le)(dst, b, a);
}

/// Kernels from scalar formulas.
macro_rules! lanes {
    ($($name:ident($($a:ident),+) = $e:expr;)*) => {$(
        pub fn $name(dst: &mut [f64], $($a: &[f64]),+) {
            for i in 0..dst.len() {
                $(let $a = $a[i];)+
                dst[i] = $e;
            }
        }
    )*};
}

lanes! {
    int_div(a, b) = (a / b).floor();
    modulo(a, b) = a - b * (a / b).floor();
    inv_pos(a) = within(a >= 0.0, 1.0 / a);
    quad_over_lin(a, b) = within(b >= 0.0, if a == 0.0 { 0.0 } else { a * a / b });
    huber(a, d) = within(d >= 0.0, huber_of(a, d));
    entropy(a) = if a == 0.0 { 0.0 } else { -a * math::log(a) };
    kl(a, b) = within(a >= 0.0 && b > 0.0, if a == 0.0 { b } else { a * math::log(a / b) - a + b });
    rel_entropy(a, b) = within(a >= 0.0 && b > 0.0, if a == 0.0 { 0.0 } else { a * math::log(a / b) });
    hinge(z) = larger(1.0 - z, 0.0);
    squared_hinge(z) = { let s = larger(1.0 - z, 0.0); s * s };
    smoothed_hinge(z) = huber_of(larger(1.0 - z, 0.0), 1.0);
    logistic_loss(z) = softplus_of(-z);
    exponential_loss(z) = math::exp(-z);
    focal_loss(z, g) = within(g >= 0.0, math::exp(-g * softplus_of(z)) * softplus_of(-z));
    savage_loss(z) = { let s = sigmoid_of(-z); s * s };
    ramp_loss(z) = smaller(larger(1.0 - z, 0.0), 1.0);
    pseudo_huber(r, d) = within(d > 0.0, r * r / (1.0 + (1.0 + (r / d) * (r / d)).sqrt()));
    log_cosh(r) = r.abs() + math::log1p(math::exp(-2.0 * r.abs())) - std::f64::consts::LN_2;
    pinball(r, q) = within((0.0..=1.0).contains(&q), larger(q * r, (q - 1.0) * r));
    expectile(r, q) = within((0.0..=1.0).contains(&q), if r < 0.0 { 1.0 - q } else { q } * r * r);
    eps_insensitive(r, e) = within(e >= 0.0, larger(r.abs() - e, 0.0));
    tukey(r, c) = within(c > 0.0, { let v = larger(1.0 - (r / c) * (r / c), 0.0); c * c / 6.0 * (1.0 - v * v * v) });
    cauchy(r, c) = within(c > 0.0, 0.5 * c * c * math::log1p((r / c) * (r / c)));
    gaussian_nll(r, v) = within(v > 0.0, 0.5 * (r * r / v + math::log(v)));
    laplace_nll(r, b) = within(b > 0.0, r.abs() / b + math::log(2.0 * b));
    poisson_nll(s, y) = within(y >= 0.0, math::exp(s) - y * s);
    gamma_nll(s, y) = within(y >= 0.0, y * math::exp(-s) + s);
    bernoulli_nll(s, y) = within((0.0..=1.0).contains(&y), softplus_of(s) - y * s);
    hypot(x, y) = hypot_of(x, y);
    asinh(x) = { let a = x.abs(); math::log1p(a + a * a / (1.0 + hypot_of(1.0, a))).copysign(x) };
    atanh(x) = 0.5 * (math::log1p(x) - math::log1p(-x));
    logit(p) = within((0.0..=1.0).contains(&p), math::log(p) - math::log1p(-p));
    lgamma(a) = within(a > 0.0, math::lgamma(a));
    digamma(a) = within(a > 0.0, math::digamma(a));
    trigamma(a) = within(a > 0.0, math::trigamma(a));
}

/// NaN outside the domain column: what is claimed of a row (convexity above all) holds inside only.
fn within(domain: bool, value: f64) -> f64 {
    if domain { value } else { f64::NAN }
}

fn huber_of(x: f64, d: f64) -> f64 {
    let a = x.abs();
    if a <= d { 0.5 * x * x } else { d * (a - 0.5 * d) }
}

fn softplus_of(x: f64) -> f64 {
    if x.is_nan() {
        x
    } else {
        x.max(0.0) + math::log1p(math::exp(-x.abs()))
    }
}

fn sigmoid_of(x: f64) -> f64 {
    1.0 / (1.0 + math::exp(-x))
}

/// `sqrt(x² + y²)` without overflow.
fn hypot_of(x: f64, y: f64) -> f64 {
    let (a, b) = (x.abs(), y.abs());
    let (large, small) = if a < b { (b, a) } else { (a, b) };
    if large == 0.0 || large.is_infinite() && !small.is_nan() {
        return large;
    }
    let q = small / large;
    large * (1.0 + q * q).sqrt()
}

fn truth(b: bool) -> f64 {
    f64::from(u8::from(b))
}

/// The larger; NaN if either is.
pub fn larger(a: f64, b: f64) -> f64 {
    if a > b || a.is_nan() { a } else { b }
}

/// The smaller; NaN if either is.
pub fn smaller(a: f64, b: f64) -> f64 {
    if a < b || a.is_nan() { a } else { b }
}

fn plus(a: Partial, b: Partial) -> Partial {
    [a[0] + b[0], 0.0]
}

/// `Σ x`.
pub const SUM: Reduce = Reduce {
    empty: [0.0; 2],
    block: |v| [reduce::sum(v), 0.0],
    combine: plus,
    finish: |p, _| p[0],
};

/// `Σ x / n`; NaN for no instance.
pub const MEAN: Reduce = Reduce {
    finish: |p, n| p[0] / n as f64,
    ..SUM
};

/// `Π x`; 1 for no instance.
pub const PROD: Reduce = Reduce {
    empty: [1.0, 0.0],
    block: |v| [v.iter().product(), 0.0],
    combine: |a, b| [a[0] * b[0], 0.0],
    finish: |p, _| p[0],
};

/// `(Π x)^(1/n)` of nonnegative values; NaN for no instance.
pub const GEO_MEAN: Reduce = Reduce {
    empty: [0.0; 2],
    block: |v| [v.iter().map(|x| math::log(*x)).sum(), 0.0],
    combine: plus,
    finish: |p, n| math::exp(p[0] / n as f64),
};

/// Largest; `-inf` for no instance.
pub const MAX: Reduce = Reduce {
    empty: [f64::NEG_INFINITY, 0.0],
    block: |v| [v.iter().copied().fold(f64::NEG_INFINITY, larger), 0.0],
    combine: |a, b| [larger(a[0], b[0]), 0.0],
    finish: |p, _| p[0],
};

/// Smallest; `inf` for no instance.
pub const MIN: Reduce = Reduce {
    empty: [f64::INFINITY, 0.0],
    block: |v| [v.iter().copied().fold(f64::INFINITY, smaller), 0.0],
    combine: |a, b| [smaller(a[0], b[0]), 0.0],
    finish: |p, _| p[0],
};

/// Largest magnitude; 0 for no instance.
pub const NORM_INF: Reduce = Reduce {
    empty: [0.0; 2],
    block: |v| [reduce::norm_inf(v), 0.0],
    combine: |a, b| [larger(a[0], b[0]), 0.0],
    finish: |p, _| p[0],
};

/// `Σ |x|`.
pub const NORM1: Reduce = Reduce {
    block: |v| [reduce::norm1(v), 0.0],
    ..SUM
};

/// `Σ x²`.
pub const SUM_SQUARES: Reduce = Reduce {
    block: |v| [reduce::sumsq(v), 0.0],
    ..SUM
};

/// Sums of squares whose root is the norm as it stands, nothing lost to over- or underflow.
pub const PLAIN_SQUARES: std::ops::RangeInclusive<f64> = 1e-280..=1e300;

/// `sqrt(Σ x²)`: the partial is a scale and the sum of squares relative to it; the scale is 1 unless the plain sum
/// would over- or underflow.
pub const NORM2: Reduce = Reduce {
    empty: [1.0, 0.0],
    block: |v| {
        let plain = reduce::sumsq(v);
        if plain.is_nan() || PLAIN_SQUARES.contains(&plain) {
            return [1.0, plain];
        }
        let largest = reduce::norm_inf(v);
        if largest == 0.0 || largest.is_infinite() {
            return [1.0, largest];
        }
        [largest, v.iter().map(|x| (x / largest) * (x / largest)).sum()]
    },
    combine: |a, b| {
        if a[0] == b[0] {
            return [a[0], a[1] + b[1]];
        }
        // A side without weight must not set the scale.
        if a[1] == 0.0 || b[1] == 0.0 {
            return if a[1] == 0.0 { b } else { a };
        }
        let scale = larger(a[0], b[0]);
        let (p, q) = (a[0] / scale, b[0] / scale);
        [scale, p * p * a[1] + q * q * b[1]]
    },
    finish: |p, _| p[0] * p[1].sqrt(),
};

/// `log Σ exp x`: the partial is (largest, sum of exponentials relative to it).
pub const LOG_SUM_EXP: Reduce = Reduce {
    empty: [f64::NEG_INFINITY, 0.0],
    block: |v| {
        let m = v.iter().copied().fold(f64::NEG_INFINITY, larger);
        if !m.is_finite() {
            return [m, 1.0];
        }
        let (mut shifted, mut power, mut total) = ([0.0; LANES], [0.0; LANES], 0.0);
        for part in v.chunks(LANES) {
            let (s, p) = (&mut shifted[..part.len()], &mut power[..part.len()]);
            s.iter_mut().zip(part).for_each(|(s, x)| *s = x - m);
            exp(p, s);
            total += reduce::sum(p);
        }
        [m, total]
    },
    combine: |a, b| {
        let m = larger(a[0], b[0]);
        if !m.is_finite() {
            return [m, 1.0];
        }
        [m, a[1] * math::exp(a[0] - m) + b[1] * math::exp(b[0] - m)]
    },
    finish: |p, _| if p[0].is_finite() { p[0] + math::log(p[1]) } else { p[0] },
};

/// 1 if every value is nonzero.
pub const ALL: Reduce = Reduce {
    empty: [1.0, 0.0],
    block: |v| [truth(v.iter().all(|x| *x != 0.0)), 0.0],
    combine: |a, b| [a[0] * b[0], 0.0],
    finish: |p, _| p[0],
};

/// 1 if some value is nonzero.
pub const ANY: Reduce = Reduce {
    empty: [0.0; 2],
    block: |v| [truth(v.iter().any(|x| *x != 0.0)), 0.0],
    combine: |a, b| [larger(a[0], b[0]), 0.0],
    finish: |p, _| p[0],
};
