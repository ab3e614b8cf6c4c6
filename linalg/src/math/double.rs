//! Error-free transformations and pairs of doubles, without fused multiply-add.
//!
//! Invariant: branch-free, so that a loop over any of these vectorizes; a pair `(h, l)` means `h + l` with `|l|` at
//! most about an ulp of `h`. Source: Dekker, Numerische Mathematik 18 (1971); Knuth, TAOCP 2, 4.2.2.

/// `a + b` and its rounding error, exactly.
#[inline(always)]
pub fn two_sum(a: f64, b: f64) -> (f64, f64) {
    let s = a + b;
    let t = s - a;
    (s, (a - (s - t)) + (b - t))
}

/// [`two_sum`] for `|a| >= |b|` (or `a == 0`).
#[inline(always)]
pub fn fast_two_sum(a: f64, b: f64) -> (f64, f64) {
    let s = a + b;
    (s, (a - s) + b)
}

/// `a * b` and its rounding error, exactly if nothing over- or underflows (`|a|, |b| < 2^995`).
#[inline(always)]
pub fn two_prod(a: f64, b: f64) -> (f64, f64) {
    let p = a * b;
    let ((ah, al), (bh, bl)) = (split(a), split(b));
    (p, ((ah * bh - p) + ah * bl + al * bh) + al * bl)
}

/// Two halves of at most 26 bits each.
#[inline(always)]
fn split(a: f64) -> (f64, f64) {
    let t = a * 134_217_729.0;
    let h = t - (t - a);
    (h, a - h)
}

/// Product of two pairs, relative error about 2^-102.
#[inline(always)]
pub fn mul(a: (f64, f64), b: (f64, f64)) -> (f64, f64) {
    let (p, e) = two_prod(a.0, b.0);
    fast_two_sum(p, e + (a.0 * b.1 + a.1 * b.0))
}

/// Sum of a larger and a smaller pair, relative error about 2^-102 where they do not cancel.
#[inline(always)]
pub fn add(a: (f64, f64), b: (f64, f64)) -> (f64, f64) {
    let (s, e) = two_sum(a.0, b.0);
    fast_two_sum(s, e + (a.1 + b.1))
}

/// Quotient of two pairs, relative error about 2^-100.
#[inline(always)]
pub fn div(a: (f64, f64), b: (f64, f64)) -> (f64, f64) {
    let q = a.0 / b.0;
    let (p, e) = two_prod(q, b.0);
    fast_two_sum(q, (((a.0 - p) - e) + a.1 - q * b.1) / b.0)
}
