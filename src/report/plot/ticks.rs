//! Ticks: round numbers, as few as are needed to read an axis.
//!
//! Invariant: every tick lies on its axis; at most a dozen; texts are distinct.

use ravine_linalg::math;

use crate::base::figure::Axis;

/// Values and texts, rising along the axis; about `wanted` of them.
pub(super) fn ticks(axis: &Axis, wanted: usize) -> Vec<(f64, String)> {
    let (lo, hi) = (axis.lo.min(axis.hi), axis.lo.max(axis.hi));
    if !(lo.is_finite() && hi.is_finite() && lo < hi) {
        return vec![];
    }
    if axis.log {
        let t = powers(lo, hi, wanted);
        if t.len() >= 2 {
            return t;
        }
    }
    linear(lo, hi, wanted, axis.whole)
}

fn powers(lo: f64, hi: f64, wanted: usize) -> Vec<(f64, String)> {
    let first = (math::log10(lo) - 1e-9).ceil() as i32;
    let last = (math::log10(hi) + 1e-9).floor() as i32;
    let n = (last - first + 1).max(0);
    let every = (1..).find(|s| n / s <= wanted as i32).unwrap_or(1);
    let wanted: Vec<i32> = (first..=last).filter(|e| e.rem_euclid(every) == 0).collect();
    // Beside powers of ten only short numbers stay numbers.
    let plain = if wanted.iter().all(|e| (-2..=4).contains(e)) {
        4
    } else {
        2
    };
    let mut out: Vec<(f64, String)> = wanted
        .into_iter()
        .map(|e| (math::powi(10.0, e), power(e, plain)))
        .collect();
    if n <= 2 {
        // Within two decades 2 and 5 are needed as well.
        for e in first - 1..=last {
            for m in [2.0, 5.0] {
                let v = m * math::powi(10.0, e);
                if v >= lo && v <= hi {
                    out.push((v, short(v)));
                }
            }
        }
        out.sort_by(|a, b| a.0.total_cmp(&b.0));
    }
    out
}

/// `0.01`, `1`, `100`, up to the given power; beyond, a power of ten.
fn power(e: i32, plain: i32) -> String {
    match e {
        e if (-2..=plain).contains(&e) => short(math::powi(10.0, e)),
        e => {
            let digits = e.unsigned_abs().to_string();
            let raised = digits.chars().map(|c| match c {
                '0' => '⁰',
                '1' => '¹',
                '2' => '²',
                '3' => '³',
                '4' => '⁴',
                '5' => '⁵',
                '6' => '⁶',
                '7' => '⁷',
                '8' => '⁸',
                _ => '⁹',
            });
            let sign = if e < 0 { "⁻" } else { "" };
            format!("10{sign}{}", raised.collect::<String>())
        }
    }
}

fn short(v: f64) -> String {
    super::super::number::number(v).replace('-', "−")
}

fn linear(lo: f64, hi: f64, wanted: usize, whole: bool) -> Vec<(f64, String)> {
    let raw = (hi / wanted as f64 - lo / wanted as f64).max(f64::MIN_POSITIVE);
    let scale = math::powi(10.0, math::log10(raw).floor().clamp(-307.0, 307.0) as i32);
    let mut step = [1.0, 2.0, 5.0, 10.0]
        .map(|m| m * scale)
        .into_iter()
        .find(|s| *s >= raw)
        .unwrap_or(10.0 * scale);
    if whole {
        step = step.max(1.0);
    }
    let first = (lo / step - 1e-9).ceil();
    let decimals = (-math::log10(step) - 1e-9).ceil().clamp(0.0, 17.0) as usize;
    let mut out: Vec<(f64, String)> = vec![];
    for k in 0..2 * wanted {
        let v = (first + k as f64) * step;
        if v > hi + 1e-9 * step || !v.is_finite() {
            break;
        }
        let v = if v.abs() < 1e-9 * step { 0.0 } else { v };
        let large = lo.abs().max(hi.abs());
        let text = match large >= 1e6 || (large < 1e-4 && v != 0.0) {
            true => short(v),
            false => format!("{v:.decimals$}").replace('-', "−"),
        };
        if out.last().is_none_or(|l| l.1 != text) {
            out.push((v, text));
        }
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    fn texts(lo: f64, hi: f64, log: bool, whole: bool) -> Vec<String> {
        let axis = Axis {
            label: String::new(),
            log,
            lo,
            hi,
            whole,
            zero: None,
        };
        ticks(&axis, 6).into_iter().map(|t| t.1).collect()
    }

    #[test]
    fn round_numbers() {
        assert_eq!(texts(0.0, 200.0, false, true), ["0", "50", "100", "150", "200"]);
        assert_eq!(texts(-2.0, 2.0, false, false), ["−2", "−1", "0", "1", "2"]);
        assert_eq!(texts(0.0, 3.0, false, true), ["0", "1", "2", "3"]);
        assert_eq!(texts(0.1, 0.34, false, false), ["0.10", "0.15", "0.20", "0.25", "0.30"]);
        assert_eq!(texts(1e-12, 10.0, true, false), ["10⁻¹²", "10⁻⁹", "10⁻⁶", "10⁻³", "1"]);
        assert_eq!(texts(1e-4, 1e4, true, false), ["10⁻⁴", "0.01", "1", "100", "10⁴"]);
        assert_eq!(texts(1.0, 1e4, true, false), ["1", "10", "100", "1000", "10000"]);
        assert_eq!(texts(1.0, 9.0, true, false), ["1", "2", "5"]);
    }

    #[test]
    fn every_axis_can_be_read() {
        for (lo, hi) in [
            (1e-300, 1e300),
            (-1e308, 1e308),
            (5e-324, 1e-323),
            (1.0, 1.0 + 1e-15),
            (1e9, 1e9 + 1.0),
        ] {
            for log in [false, true] {
                if log && lo <= 0.0 {
                    continue;
                }
                let t = texts(lo, hi, log, false);
                assert!(t.len() <= 14, "{lo} {hi} {t:?}");
            }
        }
    }
}
