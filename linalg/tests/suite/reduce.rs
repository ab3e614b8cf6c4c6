//! Reductions: values against exact arithmetic, bits against the number of threads.

use ravine_linalg::reduce::{dot, norm_inf, norm1, norm2, sum, sum_by, sumsq, tree_of};
use std::collections::BTreeSet;
use std::sync::Mutex;

/// Reproducible values of mixed size and sign (splitmix64).
pub fn noise(n: usize, seed: u64) -> Vec<f64> {
    let mut s = seed;
    (0..n)
        .map(|_| {
            s = s.wrapping_add(0x9e37_79b9_7f4a_7c15);
            let mut z = s;
            z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
            z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
            z ^= z >> 31;
            ((z >> 11) as f64 / (1u64 << 53) as f64 - 0.5) * (1u64 << (z & 31)) as f64
        })
        .collect()
}

fn on_threads<T: Send>(threads: usize, f: impl FnOnce() -> T + Send) -> T {
    rayon::ThreadPoolBuilder::new()
        .num_threads(threads)
        .build()
        .expect("thread pool")
        .install(f)
}

const SIZES: [usize; 14] = [
    0, 1, 2, 15, 16, 17, 1023, 1024, 1025, 5000, 32_769, 99_991, 131_072, 300_007,
];

#[test]
fn same_bits_for_any_number_of_threads() {
    for n in SIZES {
        let (x, y) = (noise(n, 1), noise(n, 2));
        let all = || {
            [
                sum(&x),
                dot(&x, &y),
                sumsq(&x),
                norm2(&x),
                norm_inf(&x),
                norm1(&x),
                sum_by(n, |i| x[i] * y[i]),
            ]
            .map(f64::to_bits)
        };
        let one = on_threads(1, all);
        for threads in 2..=4 {
            assert_eq!(one, on_threads(threads, all), "n = {n}, {threads} threads");
        }
    }
}

#[test]
fn long_reductions_use_more_than_one_thread() {
    let seen = Mutex::new(BTreeSet::new());
    on_threads(2, || {
        sum_by(1 << 20, |i| {
            // The first block waits, within reason, until another worker has joined.
            let patience = if i == 0 { 1_000_000 } else { 1 };
            for _ in 0..if i % 1024 == 0 { patience } else { 0 } {
                let mut seen = seen.lock().expect("lock");
                seen.insert(rayon::current_thread_index());
                if seen.len() > 1 {
                    break;
                }
                drop(seen);
                std::thread::yield_now();
            }
            1.0
        })
    });
    assert!(seen.lock().expect("lock").len() > 1);
}

#[test]
fn sums_of_integers_are_exact() {
    for n in SIZES {
        let x: Vec<f64> = (0..n).map(|i| i as f64).collect();
        let exact = (n * n.saturating_sub(1) / 2) as f64;
        assert_eq!(sum(&x), exact);
        assert_eq!(norm1(&x), exact);
        assert_eq!(sum_by(n, |i| i as f64), exact);
        assert_eq!(dot(&x, &vec![2.0; n]), 2.0 * exact);
        assert_eq!(norm_inf(&x), n.saturating_sub(1) as f64);
        let terms = tree_of(n, |a: usize, b| a + b, |i| i).unwrap_or(0);
        assert_eq!(terms as f64, exact);
    }
}

#[test]
fn sums_are_close_to_compensated_sums() {
    for n in SIZES {
        let x = noise(n, 3);
        // Neumaier's compensated sum as the oracle.
        let (mut s, mut c, mut size) = (0.0f64, 0.0f64, 0.0f64);
        for &v in &x {
            let t = s + v;
            c += if s.abs() >= v.abs() { (s - t) + v } else { (v - t) + s };
            s = t;
            size += v.abs();
        }
        // A term passes through at most 64 additions in its lane, 4 between lanes, 9 between blocks.
        assert!((sum(&x) - (s + c)).abs() <= 77.0 * f64::EPSILON * size);
        assert_eq!(sum(&x).to_bits(), sum_by(n, |i| x[i]).to_bits());
        assert_eq!(sumsq(&x).to_bits(), dot(&x, &x).to_bits());
    }
}

#[test]
fn norm2_survives_extreme_scales() {
    let base = [3.0, -4.0, 12.0];
    for e in [-1074i32, -1060, -1022, -600, -500, -1, 0, 1, 500, 600, 1019] {
        let scale = |v: f64| v * 2f64.powi(e / 2) * 2f64.powi(e - e / 2);
        let x: Vec<f64> = base.iter().map(|&v| scale(v)).collect();
        assert_eq!(norm2(&x), scale(13.0), "scale 2^{e}");
    }
    let tiny = f64::from_bits(1);
    assert_eq!(norm2(&[tiny; 4]), 2.0 * tiny);
    assert_eq!(norm2(&[f64::MAX / 2.0; 4]), f64::MAX);
    assert_eq!(norm2(&[]), 0.0);
    assert_eq!(norm2(&[0.0, -0.0]).to_bits(), 0);
    assert_eq!(norm2(&[1.0, f64::NEG_INFINITY]), f64::INFINITY);
    assert!(norm2(&[1.0, f64::NAN]).is_nan());
    assert!(norm2(&[f64::INFINITY, f64::NAN]).is_nan());
}

#[test]
fn nan_is_kept_by_every_norm() {
    for at in [0, 20, 1500] {
        let mut x = vec![1.0; 2000];
        x[at] = f64::NAN;
        assert!(norm_inf(&x).is_nan() && norm1(&x).is_nan() && norm2(&x).is_nan());
    }
}
