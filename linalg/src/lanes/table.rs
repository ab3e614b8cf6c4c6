//! The table of kernels, written once and compiled for each instruction set.
//!
//! Invariant: the tables of instruction sets that may be missing leave this folder only through
//! [`super::kernels_for`], after detection; that is what makes their safe entries safe.

use super::{Affine, Binary, Combination, Dots, Gather, Isa, LANES, Power, Quaternary, Scaled, Ternary, Unary};
use crate::math::{expo, ops, special, trig};
use crate::reduce::{WIDTH, fold_lanes};

/// Every kernel for one instruction set; [`super::kernels`] chooses the table.
macro_rules! kernels {
    (
        unary { $($u:ident = $uf:path, $udoc:literal;)* }
        far { $($t:ident = $near:path, $far:path, $tf:path, $tdoc:literal;)* }
        binary { $($b:ident = $bf:path, $bdoc:literal;)* }
        ternary { $($c:ident = $cf:path, $cdoc:literal;)* }
        scaled { $($s:ident = $sf:path, $sdoc:literal;)* }
    ) => {
        /// Every kernel, compiled for one instruction set; [`super::kernels`] chooses the table.
        pub struct Kernels {
            /// The instruction set.
            pub isa: Isa,
            $(#[doc = $udoc] pub $u: Unary,)*
            $(#[doc = $tdoc] pub $t: Unary,)*
            $(#[doc = $bdoc] pub $b: Binary,)*
            $(#[doc = $cdoc] pub $c: Ternary,)*
            $(#[doc = $sdoc] pub $s: Scaled,)*
            /// `s a + t`.
            pub affine: Affine,
            /// `s a + t b`.
            pub combination: Combination,
            /// `a b + c d`.
            pub mul_mul_add: Quaternary,
            /// `a b - c d`.
            pub mul_mul_sub: Quaternary,
            /// `dst += a`.
            pub accumulate: Unary,
            /// `dst += a b`.
            pub accumulate_product: Binary,
            /// `dst += s a`.
            pub accumulate_scaled: Scaled,
            /// `a^n` by repeated multiplication, the bits of [`crate::math::powi`].
            pub powi: Power,
            /// `src[index]`.
            pub gather: Gather,
            /// Dot products with each row.
            pub dots: Dots,
        }

        /// Unary kernels by name, with the scalar function each of them repeats.
        pub const UNARY: &[(&str, fn(&Kernels) -> Unary, fn(f64) -> f64)] = &[
            $((stringify!($u), |k| k.$u, $uf),)*
            $((stringify!($t), |k| k.$t, $tf),)*
        ];
        /// Binary kernels by name, with the scalar function each of them repeats.
        pub const BINARY: &[(&str, fn(&Kernels) -> Binary, fn(f64, f64) -> f64)] =
            &[$((stringify!($b), |k| k.$b, $bf),)*];
        /// Ternary kernels by name, with the scalar function each of them repeats.
        pub const TERNARY: &[(&str, fn(&Kernels) -> Ternary, fn(f64, f64, f64) -> f64)] =
            &[$((stringify!($c), |k| k.$c, $cf),)*];
        /// Kernels with one number by name, with the scalar function each of them repeats.
        pub const SCALED: &[(&str, fn(&Kernels) -> Scaled, fn(f64, f64) -> f64)] =
            &[$((stringify!($s), |k| k.$s, $sf),)*];

        compile! { baseline, Baseline, [],
            unary { $($u = $uf;)* } far { $($t = $near, $far;)* } binary { $($b = $bf;)* }
            ternary { $($c = $cf;)* } scaled { $($s = $sf;)* } }
        #[cfg(target_arch = "x86_64")]
        compile! { avx2, Avx2, [#[target_feature(enable = "avx2")]],
            unary { $($u = $uf;)* } far { $($t = $near, $far;)* } binary { $($b = $bf;)* }
            ternary { $($c = $cf;)* } scaled { $($s = $sf;)* } }
        #[cfg(target_arch = "x86_64")]
        compile! { avx512, Avx512, [#[target_feature(enable = "avx512f,avx512dq,avx512vl,avx512bw")]],
            unary { $($u = $uf;)* } far { $($t = $near, $far;)* } binary { $($b = $bf;)* }
            ternary { $($c = $cf;)* } scaled { $($s = $sf;)* } }
    };
}

/// One module with all kernels under the given attributes.
macro_rules! compile {
    (
        $module:ident, $isa:ident, $attributes:tt,
        unary { $($u:ident = $uf:path;)* }
        far { $($t:ident = $near:path, $far:path;)* }
        binary { $($b:ident = $bf:path;)* }
        ternary { $($c:ident = $cf:path;)* }
        scaled { $($s:ident = $sf:path;)* }
    ) => {
        pub(super) mod $module {
            use super::*;

            $(kernel! { $attributes, $u(dst; a: &[f64]), {
                let a = &a[..dst.len()];
                for i in 0..dst.len() { dst[i] = $uf(a[i]); }
            }})*
            $(kernel! { $attributes, $t(dst; a: &[f64]), {
                let a = &a[..dst.len()];
                for i in 0..dst.len() { dst[i] = $near(a[i]); }
                if a.iter().fold(false, |any, &x| any | trig::is_far(x)) {
                    repair(dst, a, $far);
                }
            }})*
            $(kernel! { $attributes, $b(dst; a: &[f64], b: &[f64]), {
                let (a, b) = (&a[..dst.len()], &b[..dst.len()]);
                for i in 0..dst.len() { dst[i] = $bf(a[i], b[i]); }
            }})*
            $(kernel! { $attributes, $c(dst; a: &[f64], b: &[f64], c: &[f64]), {
                let (a, b, c) = (&a[..dst.len()], &b[..dst.len()], &c[..dst.len()]);
                for i in 0..dst.len() { dst[i] = $cf(a[i], b[i], c[i]); }
            }})*
            $(kernel! { $attributes, $s(dst; a: &[f64], s: f64), {
                let a = &a[..dst.len()];
                for i in 0..dst.len() { dst[i] = $sf(a[i], s); }
            }})*
            kernel! { $attributes, affine(dst; a: &[f64], s: f64, t: f64), {
                let a = &a[..dst.len()];
                for i in 0..dst.len() { dst[i] = s * a[i] + t; }
            }}
            kernel! { $attributes, combination(dst; a: &[f64], s: f64, b: &[f64], t: f64), {
                let (a, b) = (&a[..dst.len()], &b[..dst.len()]);
                for i in 0..dst.len() { dst[i] = s * a[i] + t * b[i]; }
            }}
            kernel! { $attributes, mul_mul_add(dst; a: &[f64], b: &[f64], c: &[f64], d: &[f64]), {
                let n = dst.len();
                let (a, b, c, d) = (&a[..n], &b[..n], &c[..n], &d[..n]);
                for i in 0..n { dst[i] = a[i] * b[i] + c[i] * d[i]; }
            }}
            kernel! { $attributes, mul_mul_sub(dst; a: &[f64], b: &[f64], c: &[f64], d: &[f64]), {
                let n = dst.len();
                let (a, b, c, d) = (&a[..n], &b[..n], &c[..n], &d[..n]);
                for i in 0..n { dst[i] = a[i] * b[i] - c[i] * d[i]; }
            }}
            kernel! { $attributes, accumulate(dst; a: &[f64]), {
                let a = &a[..dst.len()];
                for i in 0..dst.len() { dst[i] += a[i]; }
            }}
            kernel! { $attributes, accumulate_product(dst; a: &[f64], b: &[f64]), {
                let (a, b) = (&a[..dst.len()], &b[..dst.len()]);
                for i in 0..dst.len() { dst[i] += a[i] * b[i]; }
            }}
            kernel! { $attributes, accumulate_scaled(dst; a: &[f64], s: f64), {
                let a = &a[..dst.len()];
                for i in 0..dst.len() { dst[i] += s * a[i]; }
            }}
            kernel! { $attributes, powi(dst; a: &[f64], n: i32), {
                let a = &a[..dst.len()];
                let mut buffer = [0.0; LANES];
                for (dst, a) in dst.chunks_mut(LANES).zip(a.chunks(LANES)) {
                    let square = &mut buffer[..a.len()];
                    square.copy_from_slice(a);
                    dst.fill(1.0);
                    let mut left = n.unsigned_abs();
                    while left > 0 {
                        if left & 1 == 1 {
                            for (d, s) in dst.iter_mut().zip(square.iter()) { *d *= s; }
                        }
                        left >>= 1;
                        if left > 0 {
                            for s in square.iter_mut() { *s *= *s; }
                        }
                    }
                    if n < 0 {
                        for d in dst.iter_mut() { *d = 1.0 / *d; }
                    }
                }
            }}
            kernel! { $attributes, gather(dst; src: &[f64], index: &[i64]), {
                let index = &index[..dst.len()];
                // Negative positions become huge ones.
                let worst = index.iter().fold(0, |m: u64, &i| m.max(i as u64));
                assert!(dst.is_empty() || worst < src.len() as u64, "gather leaves the array");
                for i in 0..dst.len() {
                    // SAFETY: every index was just checked against the length of `src`.
                    dst[i] = unsafe { *src.get_unchecked(index[i] as usize) };
                }
            }}

            kernel! { $attributes, dots(dst; rows: &[f64], x: &[f64]), {
                let n = x.len();
                assert!(n > 0 && rows.len() == dst.len() * n, "dots: lengths differ");
                let (xs, xr) = x.as_chunks::<WIDTH>();
                for (d, row) in dst.iter_mut().zip(rows.chunks_exact(n)) {
                    let mut acc = [0.0f64; WIDTH];
                    let (rs, rr) = row.as_chunks::<WIDTH>();
                    for (p, q) in rs.iter().zip(xs) {
                        for l in 0..WIDTH { acc[l] += p[l] * q[l]; }
                    }
                    for ((a, &p), &q) in acc.iter_mut().zip(rr).zip(xr) { *a += p * q; }
                    *d = fold_lanes(acc);
                }
            }}

            pub static KERNELS: Kernels = Kernels {
                isa: Isa::$isa,
                $($u,)* $($t,)* $($b,)* $($c,)* $($s,)*
                affine, combination, mul_mul_add, mul_mul_sub, accumulate, accumulate_product,
                accumulate_scaled, powi, gather, dots,
            };
        }
    };
}

/// A safe function around a body compiled with the attributes.
macro_rules! kernel {
    ([$($attribute:tt)*], $name:ident($dst:ident; $($arg:ident: $ty:ty),*), $body:block) => {
        fn $name($dst: &mut [f64], $($arg: $ty),*) {
            $($attribute)*
            fn body($dst: &mut [f64], $($arg: $ty),*) $body
            // SAFETY: this module's table is handed out only where its instruction set was detected.
            #[allow(unused_unsafe, reason = "the baseline needs no instruction set")]
            unsafe { body($dst, $($arg),*) }
        }
    };
}

/// Replaces the lanes whose argument was too large for the branch-free form.
#[cold]
fn repair(dst: &mut [f64], a: &[f64], far: fn(f64) -> f64) {
    for (d, &x) in dst.iter_mut().zip(a) {
        if trig::is_far(x) {
            *d = far(x);
        }
    }
}

kernels! {
    unary {
        neg = ops::neg, "`-a`.";
        abs = ops::abs, "Absolute value.";
        sqrt = ops::sqrt, "Square root, correctly rounded.";
        square = ops::square, "`a a`.";
        recip = ops::recip, "`1 / a`, correctly rounded.";
        relu = ops::relu, "`max(a, 0)`.";
        sign = ops::sign, "-1, 0 or 1.";
        floor = ops::floor, "Largest integer not above.";
        ceil = ops::ceil, "Smallest integer not below.";
        round = ops::round, "Nearest integer, halves to even.";
        not = ops::not, "1 where `a` is 0, else 0.";
        exp = expo::exp, "See [`crate::math::exp`].";
        expm1 = expo::expm1, "See [`crate::math::expm1`].";
        log = expo::log, "See [`crate::math::log`].";
        log1p = expo::log1p, "See [`crate::math::log1p`].";
        log2 = expo::log2, "See [`crate::math::log2`].";
        log10 = expo::log10, "See [`crate::math::log10`].";
        sigmoid = expo::sigmoid, "See [`crate::math::sigmoid`].";
        softplus = expo::softplus, "See [`crate::math::softplus`].";
        sinh = expo::sinh, "See [`crate::math::sinh`].";
        cosh = expo::cosh, "See [`crate::math::cosh`].";
        tanh = expo::tanh, "See [`crate::math::tanh`].";
        asinh = expo::asinh, "See [`crate::math::asinh`].";
        acosh = expo::acosh, "See [`crate::math::acosh`].";
        atanh = expo::atanh, "See [`crate::math::atanh`].";
        asin = trig::asin, "See [`crate::math::asin`].";
        acos = trig::acos, "See [`crate::math::acos`].";
        atan = trig::atan, "See [`crate::math::atan`].";
        erf = special::erf, "See [`crate::math::erf`].";
        erfc = special::erfc, "See [`crate::math::erfc`].";
        lgamma = special::lgamma, "See [`crate::math::lgamma`]; one lane at a time.";
        digamma = special::digamma, "See [`crate::math::digamma`]; one lane at a time.";
        trigamma = special::trigamma, "See [`crate::math::trigamma`]; one lane at a time.";
    }
    far {
        sin = trig::sin_near, trig::sin_far, ops::sin, "See [`crate::math::sin`].";
        cos = trig::cos_near, trig::cos_far, ops::cos, "See [`crate::math::cos`].";
        tan = trig::tan_near, trig::tan_far, ops::tan, "See [`crate::math::tan`].";
    }
    binary {
        add = ops::add, "`a + b`.";
        sub = ops::sub, "`a - b`.";
        mul = ops::mul, "`a b`.";
        div = ops::div, "`a / b`.";
        min = ops::min, "The smaller one, NaN if either is NaN.";
        max = ops::max, "The larger one, NaN if either is NaN.";
        lt = ops::lt, "1 where `a < b`, else 0.";
        le = ops::le, "1 where `a <= b`, else 0.";
        eq = ops::eq, "1 where `a == b`, else 0.";
        ne = ops::ne, "1 where `a != b`, else 0.";
        and = ops::and, "1 where both are nonzero, else 0.";
        or = ops::or, "1 where one is nonzero, else 0.";
        sub_square = ops::sub_square, "`(a - b)^2`.";
        pow = expo::pow, "See [`crate::math::pow`].";
        hypot = ops::hypot, "See [`crate::math::hypot`].";
        atan2 = trig::atan2, "See [`crate::math::atan2`].";
    }
    ternary {
        select = ops::select, "`b` where `a` is nonzero, else `c`.";
        mul_add = ops::mul_add, "`a b + c`, rounded twice.";
        mul_sub = ops::mul_sub, "`a b - c`, rounded twice.";
        sub_mul = ops::sub_mul, "`c - a b`, rounded twice.";
    }
    scaled {
        add_scalar = ops::add, "`a + s`.";
        mul_scalar = ops::mul, "`a s`.";
        div_scalar = ops::div, "`a / s`.";
        scalar_sub = ops::scalar_sub, "`s - a`.";
        scalar_div = ops::scalar_div, "`s / a`.";
        min_scalar = ops::min, "`min(a, s)`.";
        max_scalar = ops::max, "`max(a, s)`.";
        pow_scalar = expo::pow, "`a^s`.";
        scalar_pow = ops::scalar_pow, "`s^a`.";
    }
}
