//! Scalings, metrics and inner products of the semidefinite cone against dense products of nalgebra.

use nalgebra::DMatrix;
use ravine_linalg::Csr;
use ravine_linalg::saddle::Saddle;
use ravine_linalg::semidefinite::{Damped, Gram, Metric, Scaling, least_eigenvalue, packed};

/// Numbers in (-1, 1), in a fixed order.
fn draws(count: usize, seed: u64) -> Vec<f64> {
    let mut s = seed;
    (0..count)
        .map(|_| {
            s = s.wrapping_mul(6364136223846793005).wrapping_add(1442695040888963407);
            (s >> 11) as f64 / (1u64 << 52) as f64 - 1.0
        })
        .collect()
}

fn symmetric(n: usize, seed: u64) -> DMatrix<f64> {
    let a = DMatrix::from_vec(n, n, draws(n * n, seed));
    &a + a.transpose()
}

fn definite(n: usize, seed: u64) -> DMatrix<f64> {
    let a = DMatrix::from_vec(n, n, draws(n * n, seed));
    &a * a.transpose() + DMatrix::identity(n, n) * 0.1
}

fn pack(a: &DMatrix<f64>) -> Vec<f64> {
    let mut out = vec![];
    for j in 0..a.ncols() {
        for i in 0..=j {
            out.push(a[(i, j)] * if i == j { 1.0 } else { 2f64.sqrt() });
        }
    }
    out
}

fn close(got: &[f64], want: &DMatrix<f64>, what: &str) {
    let size = 1.0 + want.amax();
    for (g, w) in got.iter().zip(pack(want)) {
        assert!((g - w).abs() <= 1e-11 * size, "{what}: {g} {w}");
    }
}

#[test]
fn a_scaling_takes_multipliers_to_slacks() {
    for n in [1, 2, 5, 9] {
        let (s, z, v) = (definite(n, 1), definite(n, 2), symmetric(n, 3));
        let scaling = Scaling::new(n, &pack(&s), &pack(&z)).expect("definite");
        let diagonal = DMatrix::from_diagonal(&nalgebra::DVector::from_column_slice(scaling.lambda()));
        close(&scaling.slack(&pack(&s)), &diagonal, "scaled slack");
        close(&scaling.multiplier(&pack(&z)), &diagonal, "scaled multiplier");
        let mut out = vec![0.0; packed(n)];
        scaling.apply(Metric::Multipliers, &pack(&z), &mut out);
        close(&out, &s, "W Z W");
        scaling.apply(Metric::Slacks, &pack(&s), &mut out);
        close(&out, &z, "its inverse");
        // Both are symmetric in the inner product, and inverse to each other.
        let mut there = vec![0.0; packed(n)];
        scaling.apply(Metric::Multipliers, &pack(&v), &mut there);
        let of_slack: f64 = there.iter().zip(pack(&z)).map(|(a, b)| a * b).sum();
        let of_multiplier: f64 = pack(&v).iter().zip(pack(&s)).map(|(a, b)| a * b).sum();
        assert!((of_slack - of_multiplier).abs() <= 1e-11 * (1.0 + of_slack.abs()));
        scaling.apply(Metric::Slacks, &there, &mut out);
        close(&out, &v, "there and back");
        // What is lifted has the product it was lifted from.
        let c = symmetric(n, 5);
        for metric in [Metric::Multipliers, Metric::Slacks] {
            let mut lifted = vec![0.0; packed(n)];
            scaling.lift(metric, &pack(&c), &mut lifted);
            let scaled = match metric {
                Metric::Multipliers => scaling.multiplier(&lifted),
                Metric::Slacks => scaling.slack(&lifted),
            };
            close(&scaling.jordan(&pack(&diagonal), &scaled), &c, "lifted");
        }
    }
}

#[test]
fn the_longest_step_ends_on_the_boundary() {
    for n in [1, 2, 7, 20] {
        let scaling = Scaling::new(n, &pack(&definite(n, 1)), &pack(&definite(n, 2))).expect("definite");
        let d = symmetric(n, 8) - DMatrix::identity(n, n) * 3.0;
        let t = scaling.longest(&pack(&d));
        let end = DMatrix::from_diagonal(&nalgebra::DVector::from_column_slice(scaling.lambda())) + d * t;
        let least = end.clone().symmetric_eigenvalues().min();
        assert!(least.abs() <= 1e-7 * end.amax(), "{n}: {least}");
        assert!((least_eigenvalue(n, &pack(&end)) - least).abs() <= 1e-8 * end.amax());
        assert_eq!(scaling.longest(&pack(&DMatrix::identity(n, n))), 1e10);
    }
    let mut bad = pack(&DMatrix::identity(3, 3));
    bad[1] = f64::NAN;
    assert!(Scaling::identity(3).longest(&bad).is_nan());
    assert!(Scaling::new(3, &bad, &bad).is_err());
    assert!(Scaling::new(2, &[1.0, 2.0, 1.0], &[1.0, 0.0, 1.0]).is_err());
}

/// Sparse, middling and dense matrices take different ways to the same products.
#[test]
fn inner_products_are_those_of_dense_matrices() {
    let n = 12;
    let scaling = Scaling::new(n, &pack(&definite(n, 1)), &pack(&definite(n, 2))).expect("definite");
    let full = draws(packed(n), 11);
    let mut entries = vec![];
    for i in 0..10 {
        let count = [1, 2, 3, 10, 20, 40, packed(n), packed(n), 0, 5][i];
        for k in 0..count {
            entries.push((i, (i * 13 + k * 7) % packed(n), full[(k * 3 + i) % packed(n)]));
        }
    }
    let a = Csr::from_triplets(10, packed(n), &entries);
    let to: Vec<usize> = (0..10).map(|i| 11 - i).collect();
    let gram = Gram::new(n, &a, &to).expect("fits");
    let damped = Damped::new(&scaling, 0.7).expect("finite");
    let mut lowers = [vec![0.0; 144], vec![0.0; 144], vec![0.0; 144]];
    gram.add(&scaling, Metric::Multipliers, 2.0, &mut lowers[0], 12);
    gram.add(&scaling, Metric::Slacks, -1.0, &mut lowers[1], 12);
    gram.add_damped(&damped, 1.0, &mut lowers[2], 12);
    let dense = a.to_dense();
    for j in 0..10 {
        let mut images = [vec![0.0; packed(n)], vec![0.0; packed(n)], vec![0.0; packed(n)]];
        scaling.apply(Metric::Multipliers, dense.row(j), &mut images[0]);
        scaling.apply(Metric::Slacks, dense.row(j), &mut images[1]);
        damped.apply(dense.row(j), &mut images[2]);
        // (ρ + H⁻¹) of the damped image is the matrix again, and so is (1 + ρ H) of what is shrunk.
        let mut back = vec![0.0; packed(n)];
        scaling.apply(Metric::Slacks, &images[2], &mut back);
        for ((b, v), a) in back.iter().zip(&images[2]).zip(dense.row(j)) {
            assert!((b + 0.7 * v - a).abs() <= 1e-9, "{b} {v} {a}");
        }
        let mut shrunk = vec![0.0; packed(n)];
        damped.shrink(dense.row(j), &mut shrunk);
        scaling.apply(Metric::Multipliers, &shrunk, &mut back);
        for ((b, v), a) in back.iter().zip(&shrunk).zip(dense.row(j)) {
            assert!((0.7 * b + v - a).abs() <= 1e-9, "{b} {v} {a}");
        }
        for i in 0..10 {
            let (p, q) = (to[i].min(to[j]), to[i].max(to[j]));
            for (k, by) in [(0, 2.0), (1, -1.0), (2, 1.0)] {
                let want: f64 = by * dense.row(i).iter().zip(&images[k]).map(|(a, b)| a * b).sum::<f64>();
                let got = lowers[k][p * 12 + q];
                assert!((got - want).abs() <= 1e-9 * (1.0 + want.abs()), "{i} {j}: {got} {want}");
            }
        }
    }
}

#[test]
fn a_dense_saddle_takes_what_is_added() {
    let p = Csr::from_triplets(3, 3, &[(0, 0, 1.0), (0, 1, 0.5), (1, 0, 0.5), (1, 1, 2.0)]);
    let g = Csr::from_triplets(2, 3, &[(0, 0, 1.0), (0, 2, -1.0), (1, 1, 3.0)]);
    let mut factors = Saddle::dense(&p, &g).expect("sizes fit");
    factors
        .factor_with(&[0.1, 0.2, 0.3], &[0.4, 0.5], &mut |lower| {
            lower[2 * 5 + 2] += 7.0;
            lower[3 * 5 + 4] -= 0.1;
        })
        .expect("quasidefinite");
    #[rustfmt::skip]
    let whole = DMatrix::from_row_slice(5, 5, &[
        1.1, 0.5, 0.0, 1.0, 0.0,
        0.5, 2.2, 0.0, 0.0, 3.0,
        0.0, 0.0, 7.3, -1.0, 0.0,
        1.0, 0.0, -1.0, -0.4, -0.1,
        0.0, 3.0, 0.0, -0.1, -0.5,
    ]);
    let right = [1.0, -2.0, 3.0, 0.5, 4.0];
    let want = whole
        .lu()
        .solve(&nalgebra::DVector::from_column_slice(&right))
        .expect("regular");
    let (mut u, mut v) = (right[..3].to_vec(), right[3..].to_vec());
    factors.solve(&mut u, &mut v);
    for (got, want) in u.iter().chain(&v).zip(want.iter()) {
        assert!((got - want).abs() <= 1e-13 * (1.0 + want.abs()), "{got} {want}");
    }
}
