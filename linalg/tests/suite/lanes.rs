//! Lane kernels: the bits of the scalar functions on every instruction set, and memory operations against plain loops.

use super::reduce::noise;
use ravine_linalg::lanes::{
    BINARY, Isa, Kernels, LANES, SCALED, TERNARY, UNARY, in_place, kernels, kernels_for, load, scatter_add,
    scatter_add_strided, store,
};
use ravine_linalg::math;

/// Lengths around every vector width, and a whole block and more.
const LENGTHS: [usize; 9] = [0, 1, 3, 4, 7, 9, 33, LANES, LANES + 5];

fn tables() -> Vec<&'static Kernels> {
    [Isa::Baseline, Isa::Avx2, Isa::Avx512]
        .into_iter()
        .filter_map(kernels_for)
        .collect()
}

fn same(a: f64, b: f64) -> bool {
    a.to_bits() == b.to_bits() || (a.is_nan() && b.is_nan())
}

/// Values of every kind: special ones, all exponents, moderate ones, integers and halves.
fn values(n: usize, seed: u64) -> Vec<f64> {
    const SPECIAL: [f64; 26] = [
        0.0,
        -0.0,
        1.0,
        -1.0,
        0.5,
        -0.5,
        2.0,
        3.0,
        f64::INFINITY,
        f64::NEG_INFINITY,
        f64::NAN,
        f64::MAX,
        f64::MIN,
        f64::MIN_POSITIVE,
        5e-324,
        -5e-324,
        2.2e-308,
        1.6e6,
        1.7e6,
        -1e22,
        710.0,
        -745.2,
        0.55,
        9_007_199_254_740_993.0,
        1e-9,
        -1e-300,
    ];
    let raw = noise(2 * n, seed);
    (0..n)
        .map(|i| {
            let (u, v) = (raw[2 * i], raw[2 * i + 1]);
            match (u.to_bits() >> 20) % 8 {
                0 => SPECIAL[(v.to_bits() >> 13) as usize % SPECIAL.len()],
                1 => f64::from_bits(v.to_bits().wrapping_mul(0x9e37_79b9_7f4a_7c15)),
                2 => (v * 8.0).round() / 2.0,
                3 => v % 800.0,
                4 => v % 2.0,
                5 => (v % 1.0).abs(),
                6 => 1.0 + v / 1e9,
                _ => v,
            }
        })
        .collect()
}

#[test]
fn unary_kernels_have_the_bits_of_scalars() {
    for table in tables() {
        for &(name, kernel, scalar) in UNARY {
            for (round, n) in LENGTHS.into_iter().chain([20_000]).enumerate() {
                let a = values(n, round as u64);
                let mut y = vec![7.0; n];
                kernel(table)(&mut y, &a);
                for i in 0..n {
                    let want = scalar(a[i]);
                    assert!(
                        same(y[i], want),
                        "{:?} {name}({:e}) = {:e}, scalar {want:e}",
                        table.isa,
                        a[i],
                        y[i]
                    );
                }
            }
        }
    }
}

#[test]
fn binary_and_ternary_kernels_have_the_bits_of_scalars() {
    for table in tables() {
        for (round, n) in LENGTHS.into_iter().chain([20_000]).enumerate() {
            let seed = 10 * round as u64;
            let (a, b, c) = (values(n, seed), values(n, seed + 1), values(n, seed + 2));
            let mut y = vec![7.0; n];
            for &(name, kernel, scalar) in BINARY {
                kernel(table)(&mut y, &a, &b);
                for i in 0..n {
                    assert!(
                        same(y[i], scalar(a[i], b[i])),
                        "{:?} {name}({:e}, {:e}) = {:e}",
                        table.isa,
                        a[i],
                        b[i],
                        y[i]
                    );
                }
            }
            for &(name, kernel, scalar) in TERNARY {
                kernel(table)(&mut y, &a, &b, &c);
                for i in 0..n {
                    assert!(same(y[i], scalar(a[i], b[i], c[i])), "{:?} {name}", table.isa);
                }
            }
            for &(name, kernel, scalar) in SCALED {
                for s in [0.0, -1.0, 0.3, 2.0, f64::INFINITY, f64::NAN] {
                    kernel(table)(&mut y, &a, s);
                    for i in 0..n {
                        assert!(same(y[i], scalar(a[i], s)), "{:?} {name}, {s}", table.isa);
                    }
                }
            }
        }
    }
}

#[test]
fn fused_kernels_round_after_every_operation() {
    for table in tables() {
        for (round, n) in LENGTHS.into_iter().enumerate() {
            let seed = 100 + 10 * round as u64;
            let [a, b, c, d, old] = [0, 1, 2, 3, 4].map(|k| values(n, seed + k));
            let (s, t) = (0.3, -1.7);
            let check = |what: &str, y: &[f64], want: &dyn Fn(usize) -> f64| {
                for i in 0..n {
                    assert!(same(y[i], want(i)), "{:?} {what}", table.isa);
                }
            };
            let mut y = vec![7.0; n];
            (table.affine)(&mut y, &a, s, t);
            check("affine", &y, &|i| s * a[i] + t);
            (table.combination)(&mut y, &a, s, &b, t);
            check("combination", &y, &|i| s * a[i] + t * b[i]);
            (table.mul_mul_add)(&mut y, &a, &b, &c, &d);
            check("mul_mul_add", &y, &|i| a[i] * b[i] + c[i] * d[i]);
            (table.mul_mul_sub)(&mut y, &a, &b, &c, &d);
            check("mul_mul_sub", &y, &|i| a[i] * b[i] - c[i] * d[i]);
            y.copy_from_slice(&old);
            (table.accumulate)(&mut y, &a);
            check("accumulate", &y, &|i| old[i] + a[i]);
            y.copy_from_slice(&old);
            (table.accumulate_product)(&mut y, &a, &b);
            check("accumulate_product", &y, &|i| old[i] + a[i] * b[i]);
            y.copy_from_slice(&old);
            (table.accumulate_scaled)(&mut y, &a, s);
            check("accumulate_scaled", &y, &|i| old[i] + s * a[i]);
            for p in [0, 1, 2, 3, 7, 10, -1, -4] {
                (table.powi)(&mut y, &a, p);
                check("powi", &y, &|i| math::powi(a[i], p));
            }
        }
    }
}

#[test]
fn the_chosen_table_is_the_best_detected() {
    let best = tables().last().map(|t| t.isa);
    assert_eq!(Some(kernels().isa), best);
    let mut x = values(1000, 5);
    let want: Vec<f64> = x.iter().map(|&v| math::exp(v)).collect();
    in_place(kernels().exp, &mut x);
    assert!(x.iter().zip(&want).all(|(&a, &b)| same(a, b)));
}

#[test]
fn memory_operations_follow_their_positions() {
    let src: Vec<f64> = (0..500).map(f64::from).collect();
    for table in tables() {
        for n in LENGTHS {
            let index: Vec<i64> = (0..n).map(|i| (i as i64 * 37 + 11) % 500).collect();
            let mut y = vec![-1.0; n];
            (table.gather)(&mut y, &src, &index);
            assert!(y.iter().zip(&index).all(|(&v, &i)| v == i as f64));
        }
    }
    for (start, stride) in [(0usize, 1isize), (3, 1), (7, 0), (2, 3), (499, -2)] {
        let at = |i: usize| (start as isize + i as isize * stride) as usize;
        let n = 100;
        let mut y = vec![-1.0; n];
        load(&mut y, &src, start, stride);
        assert!((0..n).all(|i| y[i] == at(i) as f64));
        let (mut stored, mut added) = (src.clone(), src.clone());
        store(&mut stored, start, stride, &y);
        scatter_add_strided(&mut added, start, stride, &y);
        let (mut want_stored, mut want_added) = (src.clone(), src.clone());
        for i in 0..n {
            want_stored[at(i)] = y[i];
            want_added[at(i)] += y[i];
        }
        assert_eq!((stored, added), (want_stored, want_added));
    }
    let mut sums = vec![0.0; 3];
    scatter_add(&mut sums, &[2, 0, 2, 2], &[1e16, 5.0, 1.0, -1e16]);
    // In order: 1e16 + 1 rounds to 1e16.
    assert_eq!(sums, [5.0, 0.0, 0.0]);
}

#[test]
fn positions_outside_an_array_are_refused() {
    fn refused(f: impl FnOnce() + std::panic::UnwindSafe) -> bool {
        std::panic::catch_unwind(f).is_err()
    }
    for table in tables() {
        for bad in [-1, 4, i64::MIN, i64::MAX] {
            assert!(refused(move || {
                (table.gather)(&mut [0.0; 9], &[1.0; 4], &[0, 1, 2, 3, 3, 3, bad, 0, 0]);
            }));
        }
        assert!(refused(move || (table.add)(&mut [0.0; 9], &[1.0; 9], &[1.0; 8])));
    }
    assert!(refused(|| load(&mut [0.0; 4], &[1.0; 9], 3, 2)));
    assert!(refused(|| load(&mut [0.0; 4], &[1.0; 9], 2, -1)));
    assert!(refused(|| load(&mut [0.0; 4], &[1.0; 9], 9, 0)));
    assert!(refused(|| store(&mut [0.0; 9], usize::MAX, 1, &[1.0; 4])));
    assert!(refused(|| scatter_add(&mut [0.0; 9], &[-1], &[1.0])));
}
