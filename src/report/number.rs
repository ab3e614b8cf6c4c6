//! Numbers for people: five significant digits, chosen so that rounding noise does not show.
//!
//! Invariant: the same text for values that differ by rounding errors only (except at the borders of rounding).

/// A number without a scale to compare it with.
pub fn number(v: f64) -> String {
    at_scale(v, 0.0)
}

/// A number among others of which the largest is `scale`: what lies below 1e-9 of that, and below 1e-9, is shown as 0.
pub fn at_scale(v: f64, scale: f64) -> String {
    if v.is_nan() {
        return "nan".into();
    }
    if v.is_infinite() {
        return if v > 0.0 { "inf" } else { "-inf" }.into();
    }
    if v == 0.0 || v.abs() < 1e-9 * scale.min(1.0) {
        return "0".into();
    }
    let whole = v.round();
    if v.abs() < 1e7 && (v - whole).abs() <= 1e-9 * v.abs() {
        return format!("{whole:.0}");
    }
    let (mantissa, exponent) = scientific(v, 5);
    if (-4..5).contains(&exponent) {
        trim_zeros(&format!("{v:.*}", (4 - exponent).max(0) as usize)).into()
    } else {
        format!("{}e{exponent}", trim_zeros(&mantissa))
    }
}

/// An estimate: `digits` significant digits, in scientific form beyond `0.001..10000`.
pub fn rough(v: f64, digits: usize) -> String {
    if !v.is_finite() || v == 0.0 {
        return number(v);
    }
    let (mantissa, exponent) = scientific(v, digits);
    if (-3..4).contains(&exponent) {
        // The rounded value, whatever number of digits it takes to write it.
        let rounded: f64 = format!("{mantissa}e{exponent}").parse().unwrap_or(v);
        let decimals = (digits as i32 - 1 - exponent).max(0) as usize;
        let text = format!("{rounded:.decimals$}");
        return trim_zeros(&text).into();
    }
    format!("{}e{exponent}", trim_zeros(&mantissa))
}

/// The power of ten at or above a positive number: `1e-9` for 3e-10.
pub fn power_above(v: f64) -> String {
    if !v.is_finite() || v <= 0.0 {
        return number(v);
    }
    let (mantissa, exponent) = scientific(v, 5);
    let exponent = if mantissa == "1.0000" { exponent } else { exponent + 1 };
    match exponent {
        0 => "1".into(),
        e => format!("1e{e}"),
    }
}

/// The largest finite magnitude.
pub fn scale(entries: &[f64]) -> f64 {
    entries
        .iter()
        .filter(|v| v.is_finite())
        .fold(0.0, |m, v| v.abs().max(m))
}

/// Seconds in the unit that reads best.
pub fn duration(seconds: f64) -> String {
    let (v, unit) = match seconds {
        s if !s.is_finite() || s >= 120.0 => (s / 60.0, "min"),
        s if s >= 1.0 => (s, "s"),
        s if s >= 1e-3 => (s * 1e3, "ms"),
        s => (s * 1e6, "us"),
    };
    format!("{} {unit}", rough(v, if v >= 100.0 { 3 } else { 2 }))
}

fn scientific(v: f64, digits: usize) -> (String, i32) {
    let text = format!("{v:.*e}", digits.saturating_sub(1));
    match text.split_once('e') {
        Some((mantissa, exponent)) => (mantissa.into(), exponent.parse().unwrap_or(0)),
        None => (text, 0),
    }
}

fn trim_zeros(text: &str) -> &str {
    match text.contains('.') {
        true => text.trim_end_matches('0').trim_end_matches('.'),
        false => text,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_read_well() {
        let cases = [
            (0.1 + 0.2, "0.3"),
            (1.0 / 3.0, "0.33333"),
            (-2.0 / 3.0, "-0.66667"),
            (350.0, "350"),
            (349.9999999999, "350"),
            (123456.0, "123456"),
            (123456.7, "1.2346e5"),
            (99999.96, "1e5"),
            (1e8, "1e8"),
            (153.675, "153.68"),
            (12345.6, "12346"),
            (1e-5, "1e-5"),
            (0.00012345678, "0.00012346"),
            (-0.0, "0"),
            (f64::INFINITY, "inf"),
            (5e-324, "4.9407e-324"),
            (f64::MAX, "1.7977e308"),
        ];
        for (v, text) in cases {
            assert_eq!(number(v), text);
        }
        assert_eq!(at_scale(1e-12, 1.0), "0");
        assert_eq!(at_scale(1e-8, 1.0), "1e-8");
        assert_eq!(
            (rough(1.5123e6, 2), rough(17.26, 2), rough(0.00123, 2)),
            ("1.5e6".into(), "17".into(), "0.0012".into())
        );
        assert_eq!(
            (power_above(3e-10), power_above(1e-9), power_above(0.3)),
            ("1e-9".into(), "1e-9".into(), "1".into())
        );
        assert_eq!(
            (duration(0.0123), duration(2.0), duration(3.4e-5)),
            ("12 ms".into(), "2 s".into(), "34 us".into())
        );
    }
}
