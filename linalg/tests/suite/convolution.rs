//! Convolutions against sums in twice the precision.

use ravine_linalg::convolution::convolve;

fn draw(n: usize, salt: usize) -> Vec<f64> {
    (0..n)
        .map(|i| (((i + 1) * (salt * 7919 + 104_729)) % 2003) as f64 / 1001.5 - 1.0)
        .collect()
}

/// By the definition, each sum with its rounding kept.
fn by_definition(a: &[f64], b: &[f64]) -> Vec<f64> {
    (0..a.len() + b.len() - 1)
        .map(|k| {
            let (mut s, mut c) = (0.0f64, 0.0f64);
            for i in k.saturating_sub(b.len() - 1)..=k.min(a.len() - 1) {
                let p = a[i] * b[k - i];
                c += a[i].mul_add(b[k - i], -p);
                let t = s + p;
                let z = t - s;
                c += (s - (t - z)) + (p - z);
                s = t;
            }
            s + c
        })
        .collect()
}

#[test]
fn every_length_agrees_with_the_definition() {
    for (m, n) in [
        (1, 1),
        (1, 7),
        (3, 2),
        (33, 40),
        (200, 164),
        (500, 1000),
        (1024, 1024),
        (33, 4000),
        (4001, 777),
    ] {
        let (a, b) = (draw(m, m), draw(n, n + 1));
        let (got, want) = (convolve(&a, &b), by_definition(&a, &b));
        assert_eq!(got.len(), want.len());
        let size = want.iter().fold(0.0f64, |m, v| m.max(v.abs()));
        for (k, (g, w)) in got.iter().zip(&want).enumerate() {
            assert!((g - w).abs() <= 1e-13 * size, "{m} by {n}, entry {k}: {g} against {w}");
        }
        assert_eq!(convolve(&b, &a).len(), got.len());
    }
    assert!(convolve(&[], &[1.0]).is_empty() && convolve(&[1.0], &[]).is_empty());
}

#[test]
fn sizes_do_not_drown_one_another() {
    // Factors of very different size, and sizes near the ends of the range.
    for (p, q) in [(1e-150, 1e150), (1e200, 1e-290), (1e-300, 1.0), (1e300, 1e-5)] {
        let a: Vec<f64> = draw(600, 3).iter().map(|v| v * p).collect();
        let b: Vec<f64> = draw(900, 4).iter().map(|v| v * q).collect();
        let (got, want) = (convolve(&a, &b), by_definition(&draw(600, 3), &draw(900, 4)));
        let size = want.iter().fold(0.0f64, |m, v| m.max(v.abs()));
        for (g, w) in got.iter().zip(&want) {
            assert!(
                (g / p / q - w).abs() <= 1e-12 * size,
                "{p:e}, {q:e}: {} against {w}",
                g / p / q
            );
        }
    }
}

#[test]
fn what_is_no_number_shows() {
    let mut a = draw(600, 5);
    a[17] = f64::NAN;
    assert!(convolve(&a, &draw(700, 6)).iter().any(|v| v.is_nan()));
    a[17] = f64::INFINITY;
    assert!(convolve(&a, &draw(700, 6)).iter().any(|v| !v.is_finite()));
}
