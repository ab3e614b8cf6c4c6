//! Lane and block kernels of the rows: plain loops over equally long slices.
//!
//! Invariant: the result of a lane depends on that lane's arguments only, and a NaN that goes in comes out.
#![allow(
    clippy::disallowed_methods,
    reason = "replaced by linalg::math as soon as it is linked"
)]

use crate::ir::atom::{Partial, Reduce};

/// Defines lane kernels from scalar formulas.
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

fn sign_of(x: f64) -> f64 {
    if x > 0.0 {
        1.0
    } else if x < 0.0 {
        -1.0
    } else {
        // Keeps NaN.
        x * 0.0
    }
}

fn softplus_of(x: f64) -> f64 {
    x.max(0.0) + (-x.abs()).exp().ln_1p() + (x - x)
}

fn sigmoid_of(x: f64) -> f64 {
    let e = (-x.abs()).exp();
    if x >= 0.0 { 1.0 / (1.0 + e) } else { e / (1.0 + e) }
}

fn x_log_x(x: f64) -> f64 {
    if x == 0.0 { 0.0 } else { x * x.ln() }
}

fn kl_of(x: f64, y: f64) -> f64 {
    if x == 0.0 { y } else { x * (x / y).ln() - x + y }
}

fn huber_of(x: f64, d: f64) -> f64 {
    let a = x.abs();
    if a <= d { 0.5 * x * x } else { d * (a - 0.5 * d) }
}

/// Error function: the all-positive series below 3, a continued fraction above
/// (Abramowitz & Stegun 7.1.6 and 7.1.14).
fn erf_of(x: f64) -> f64 {
    const TWO_OVER_SQRT_PI: f64 = std::f64::consts::FRAC_2_SQRT_PI;
    let a = x.abs();
    if a.is_nan() {
        return x;
    }
    let r = if a < 3.0 {
        let (mut term, mut sum, mut k) = (a, a, 0.0);
        while term > sum * 1e-17 {
            k += 1.0;
            term *= 2.0 * a * a / (2.0 * k + 1.0);
            sum += term;
        }
        TWO_OVER_SQRT_PI * (-a * a).exp() * sum
    } else if a > 6.0 {
        1.0
    } else {
        let mut tail = a;
        for k in (1..=60).rev() {
            tail = a + 0.5 * f64::from(k) / tail;
        }
        1.0 - 0.5 * TWO_OVER_SQRT_PI * (-a * a).exp() / tail
    };
    r.copysign(x)
}

/// `log Γ(x)` for `x > 0`: shifted above 10, then Stirling's series (Abramowitz & Stegun 6.1.41).
fn lgamma_of(x: f64) -> f64 {
    if x.is_nan() || x <= 0.0 {
        return f64::NAN;
    }
    let (mut z, mut shift) = (x, 1.0);
    while z < 10.0 {
        shift *= z;
        z += 1.0;
    }
    let r = 1.0 / (z * z);
    let series = (1.0 / 12.0
        - r * (1.0 / 360.0
            - r * (1.0 / 1260.0 - r * (1.0 / 1680.0 - r * (1.0 / 1188.0 - r * (691.0 / 360_360.0 - r / 156.0))))))
        / z;
    (z - 0.5) * z.ln() - z + 0.5 * (2.0 * std::f64::consts::PI).ln() + series - shift.ln()
}

/// `Γ'/Γ` for `x > 0` (Abramowitz & Stegun 6.3.18).
fn digamma_of(x: f64) -> f64 {
    if x.is_nan() || x <= 0.0 {
        return f64::NAN;
    }
    let (mut z, mut shift) = (x, 0.0);
    while z < 10.0 {
        shift += 1.0 / z;
        z += 1.0;
    }
    let r = 1.0 / (z * z);
    let series = r
        * (1.0 / 12.0
            - r * (1.0 / 120.0 - r * (1.0 / 252.0 - r * (1.0 / 240.0 - r * (1.0 / 132.0 - r * 691.0 / 32_760.0)))));
    z.ln() - 0.5 / z - series - shift
}

/// `(Γ'/Γ)'` for `x > 0` (Abramowitz & Stegun 6.4.12).
fn trigamma_of(x: f64) -> f64 {
    if x.is_nan() || x <= 0.0 {
        return f64::NAN;
    }
    let (mut z, mut shift) = (x, 0.0);
    while z < 10.0 {
        shift += 1.0 / (z * z);
        z += 1.0;
    }
    let r = 1.0 / (z * z);
    let series =
        1.0 / 6.0 - r * (1.0 / 30.0 - r * (1.0 / 42.0 - r * (1.0 / 30.0 - r * (5.0 / 66.0 - r * 691.0 / 2730.0))));
    1.0 / z + 0.5 * r + series * r / z + shift
}

lanes! {
    add(a, b) = a + b;
    sub(a, b) = a - b;
    mul(a, b) = a * b;
    div(a, b) = a / b;
    neg(a) = -a;
    pow(a, b) = a.powf(b);
    square(a) = a * a;
    recip(a) = 1.0 / a;
    int_div(a, b) = (a / b).floor();
    modulo(a, b) = a - b * (a / b).floor();
    quad_over_lin(a, b) = a * a / b;
    lt(a, b) = truth(a < b);
    le(a, b) = truth(a <= b);
    gt(a, b) = truth(a > b);
    ge(a, b) = truth(a >= b);
    eq(a, b) = truth(a == b);
    ne(a, b) = truth(a != b);
    and(a, b) = truth(a != 0.0 && b != 0.0);
    or(a, b) = truth(a != 0.0 || b != 0.0);
    not(a) = truth(a == 0.0);
    select(c, a, b) = if c != 0.0 { a } else { b };
    abs(a) = a.abs();
    sqrt(a) = a.sqrt();
    exp(a) = a.exp();
    log(a) = a.ln();
    log1p(a) = a.ln_1p();
    expm1(a) = a.exp_m1();
    sin(a) = a.sin();
    cos(a) = a.cos();
    tan(a) = a.tan();
    tanh(a) = a.tanh();
    sigmoid(a) = sigmoid_of(a);
    softplus(a) = softplus_of(a);
    relu(a) = larger(a, 0.0);
    max(a, b) = larger(a, b);
    min(a, b) = smaller(a, b);
    sign(a) = sign_of(a);
    floor(a) = a.floor();
    ceil(a) = a.ceil();
    round(a) = a.round_ties_even();
    erf(a) = erf_of(a);
    lgamma(a) = lgamma_of(a);
    digamma(a) = digamma_of(a);
    trigamma(a) = trigamma_of(a);
    huber(a, d) = huber_of(a, d);
    entropy(a) = -x_log_x(a);
    kl(a, b) = kl_of(a, b);
}

/// Sum over four interleaved accumulators, the same for every block of one length.
fn block_sum(v: &[f64], f: impl Fn(f64) -> f64) -> f64 {
    let mut acc = [0.0; 4];
    for (i, x) in v.iter().enumerate() {
        acc[i % 4] += f(*x);
    }
    (acc[0] + acc[1]) + (acc[2] + acc[3])
}

fn plus(a: Partial, b: Partial) -> Partial {
    [a[0] + b[0], 0.0]
}

/// `Σ x`.
pub const SUM: Reduce = Reduce {
    empty: [0.0; 2],
    block: |v| [block_sum(v, |x| x), 0.0],
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
    block: |v| [v.iter().fold(0.0, |m, x| larger(m, x.abs())), 0.0],
    combine: |a, b| [larger(a[0], b[0]), 0.0],
    finish: |p, _| p[0],
};

/// `Σ |x|`.
pub const NORM1: Reduce = Reduce {
    block: |v| [block_sum(v, f64::abs), 0.0],
    ..SUM
};

/// `Σ x²`.
pub const SUM_SQUARES: Reduce = Reduce {
    block: |v| [block_sum(v, |x| x * x), 0.0],
    ..SUM
};

/// `sqrt(Σ x²)`: the partial is (largest magnitude, sum of squares relative to it), so nothing overflows on the way.
pub const NORM2: Reduce = Reduce {
    empty: [0.0; 2],
    block: |v| {
        let m = v.iter().fold(0.0, |m, x| larger(m, x.abs()));
        if m == 0.0 || !m.is_finite() {
            return [m, 1.0];
        }
        [m, block_sum(v, |x| (x / m) * (x / m))]
    },
    combine: |a, b| {
        let m = larger(a[0], b[0]);
        if m == 0.0 || !m.is_finite() {
            return [m, 1.0];
        }
        let (p, q) = (a[0] / m, b[0] / m);
        [m, p * p * a[1] + q * q * b[1]]
    },
    finish: |p, _| if p[0].is_finite() { p[0] * p[1].sqrt() } else { p[0] },
};

/// `log Σ exp x`: the partial is (largest, sum of exponentials relative to it).
pub const LOG_SUM_EXP: Reduce = Reduce {
    empty: [f64::NEG_INFINITY, 0.0],
    block: |v| {
        let m = v.iter().copied().fold(f64::NEG_INFINITY, larger);
        if !m.is_finite() {
            return [m, 1.0];
        }
        [m, block_sum(v, |x| (x - m).exp())]
    },
    combine: |a, b| {
        let m = larger(a[0], b[0]);
        if !m.is_finite() {
            return [m, 1.0];
        }
        [m, a[1] * (a[0] - m).exp() + b[1] * (b[0] - m).exp()]
    },
    finish: |p, _| if p[0].is_finite() { p[0] + p[1].ln() } else { p[0] },
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
