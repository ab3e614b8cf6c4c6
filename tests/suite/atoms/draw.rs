//! Seeded draws from the domains of rows, and the tally of checks.

use std::collections::BTreeMap;

use ravine::ir::Sign;
use ravine::ir::atom::DomainOf;

/// SplitMix64: enough for test points.
pub struct Rng(u64);

impl Rng {
    pub fn named(name: &str) -> Self {
        Rng(name
            .bytes()
            .fold(0x9e37_79b9, |h, b| (h ^ u64::from(b)).wrapping_mul(0x0100_0000_01b3)))
    }
    pub fn bits(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let z = (self.0 ^ (self.0 >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        let z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ (z >> 31)
    }
    /// Uniform in `[0, 1)`.
    pub fn unit(&mut self) -> f64 {
        (self.bits() >> 11) as f64 / (1u64 << 53) as f64
    }
    pub fn between(&mut self, lo: f64, hi: f64) -> f64 {
        lo + (hi - lo) * self.unit()
    }
    pub fn below(&mut self, n: usize) -> usize {
        (self.bits() % n as u64) as usize
    }
    pub fn vector(&mut self, n: usize) -> Vec<f64> {
        (0..n).map(|_| self.between(-1.0, 1.0)).collect()
    }
}

/// Does `v` have this sign?
pub fn has_sign(v: f64, s: Sign) -> bool {
    match s {
        Sign::Zero => v == 0.0,
        Sign::Nonneg => v >= 0.0,
        Sign::Nonpos => v <= 0.0,
        Sign::Unknown => true,
    }
}

/// Is `v` in the (scalar) domain?
pub fn inside(v: f64, d: DomainOf) -> bool {
    match d {
        DomainOf::Positive => v > 0.0,
        DomainOf::Nonnegative => v >= 0.0,
        DomainOf::NonZero => v != 0.0,
        DomainOf::Between(lo, hi) => (lo..=hi).contains(&v),
        DomainOf::Truth => v == 0.0 || v == 1.0,
        DomainOf::Integer => v.fract() == 0.0,
        _ => true,
    }
}

/// A number of a scalar domain with a sign; `None` if there is none.
pub fn number(rng: &mut Rng, d: DomainOf, s: Sign) -> Option<f64> {
    for _ in 0..60 {
        let v = match d {
            DomainOf::Positive => rng.between(0.1, 3.0),
            DomainOf::Nonnegative => rng.between(0.0, 3.0),
            DomainOf::NonZero => rng.between(0.2, 3.0) * if rng.unit() < 0.5 { 1.0 } else { -1.0 },
            DomainOf::Between(lo, hi) => {
                let (lo, hi) = (lo.max(-4.0), hi.min(4.0));
                rng.between(lo + 0.1 * (hi - lo), hi)
            }
            DomainOf::Truth => (rng.below(2)) as f64,
            DomainOf::Integer => rng.between(-6.0, 6.0).floor(),
            _ => rng.between(-3.0, 3.0),
        };
        if has_sign(v, s) {
            return Some(v);
        }
    }
    None
}

/// The same, but now and then a whole number: where there are ties, thresholds and steps.
pub fn number_or_tie(rng: &mut Rng, d: DomainOf, s: Sign) -> Option<f64> {
    let v = number(rng, d, s)?;
    let whole = v.round();
    let take = rng.unit() < 0.25 && inside(whole, d) && has_sign(whole, s);
    Some(if take { whole } else { v })
}

/// Checks done for one row, by column, and what failed.
#[derive(Default)]
pub struct Report {
    pub counts: BTreeMap<&'static str, usize>,
    pub failures: Vec<String>,
}

impl Report {
    pub fn check(&mut self, column: &'static str, ok: bool, what: impl FnOnce() -> String) {
        *self.counts.entry(column).or_default() += 1;
        if !ok && self.failures.len() < 20 {
            self.failures.push(format!("{column}: {}", what()));
        }
    }
    /// `|a - b| <= tol·(1 + |a| + |b|)`; equal infinities agree, NaN never does.
    pub fn near(&mut self, column: &'static str, a: f64, b: f64, tol: f64, what: impl FnOnce() -> String) {
        let ok = a == b || (a - b).abs() <= tol * (1.0 + a.abs() + b.abs());
        self.check(column, ok, || format!("{}: {a} against {b}", what()));
    }
    pub fn failed(&self, column: &str) -> bool {
        self.failures.iter().any(|f| f.starts_with(column))
    }
}

/// Checks `slope` against [`difference`], to the accuracy that the two steps show; says nothing at a kink.
pub fn against_difference(
    report: &mut Report,
    column: &'static str,
    slope: f64,
    (coarse, fine): (f64, f64),
    what: impl FnOnce() -> String,
) {
    let spread = (coarse - fine).abs();
    if spread <= 1e-5 * (1.0 + fine.abs()) {
        let ok = (slope - fine).abs() <= 1e-8 * (1.0 + fine.abs()) + spread;
        report.check(column, ok, || format!("{}: {slope} against {fine}", what()));
    }
}

/// Fourth-order central difference of `f` at 0, and the same with half the step: where they differ there is a kink.
pub fn difference(mut f: impl FnMut(f64) -> f64, h: f64) -> (f64, f64) {
    let mut at = |h: f64| (8.0 * (f(h) - f(-h)) - (f(2.0 * h) - f(-2.0 * h))) / (12.0 * h);
    (at(h), at(0.5 * h))
}
