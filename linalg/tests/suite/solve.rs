//! `A \ b` against exact arithmetic: answers, conditions, and whether the stated error holds.

use crate::exact::{Exact, Random};
use nalgebra::DMatrix;
use ravine_linalg::solve::{EstimateKind, Solved, least_squares, solve_linear};
use ravine_linalg::{Csr, Dense, Matrix};

/// m x n with singular values from 1 down to 1/kappa, geometric: reflections of both sides of a diagonal.
fn graded(m: usize, n: usize, kappa: f64, random: &mut Random) -> Dense {
    let k = m.min(n);
    let mut a = Dense::from_fn(m, n, |i, j| {
        if i == j {
            kappa.powf(-(i as f64) / (k.max(2) - 1) as f64)
        } else {
            0.0
        }
    });
    for _ in 0..2 {
        let v = random.vector(m);
        let w = random.vector(n);
        let (vv, ww): (f64, f64) = (v.iter().map(|x| x * x).sum(), w.iter().map(|x| x * x).sum());
        for j in 0..n {
            let s: f64 = (0..m).map(|i| v[i] * a.at(i, j)).sum();
            (0..m).for_each(|i| a.set(i, j, a.at(i, j) - 2.0 * s / vv * v[i]));
        }
        for i in 0..m {
            let s: f64 = (0..n).map(|j| w[j] * a.at(i, j)).sum();
            (0..n).for_each(|j| a.set(i, j, a.at(i, j) - 2.0 * s / ww * w[j]));
        }
    }
    a
}

/// Sparse, m >= n: random columns, some of which differ from their neighbour by 1/kappa only.
fn sparse_graded(m: usize, n: usize, kappa: f64, random: &mut Random) -> Csr {
    let mut t = Vec::new();
    for j in 0..n {
        t.push((j, j, 2.0 + random.next()));
        for _ in 0..3 {
            t.push((random.below(m), j, random.next()));
        }
    }
    let base = Csr::from_triplets(m, n, &t).transpose();
    let mut t: Vec<(usize, usize, f64)> = base.triplets().map(|(j, i, v)| (i, j, v)).collect();
    for j in (1..n).step_by(5) {
        t.retain(|e| e.1 != j);
        t.extend(base.entries(j - 1).map(|(i, v)| (i, j, v)));
        t.extend(base.entries(j).map(|(i, v)| (i, j, v * 2.0 / kappa)));
    }
    Csr::from_triplets(m, n, &t)
}

fn residual_is_right(a: &Matrix, b: &[f64], got: &Solved) {
    let mut r = vec![0.0; b.len()];
    a.mul_vec(&got.x, &mut r);
    let norm = r.iter().zip(b).map(|(r, b)| (b - r).powi(2)).sum::<f64>().sqrt();
    // The terms of a residual may be far larger than it is.
    let d = a.to_dense();
    let terms = |i: usize| {
        d.row(i)
            .iter()
            .zip(&got.x)
            .fold(b[i].abs(), |s, (a, x)| s + (a * x).abs())
    };
    let size = (0..d.rows).map(terms).fold(0.0, f64::max);
    assert!(
        (norm - got.residual_norm).abs() <= 1e-12 * size + 1e-12 * norm,
        "residual norm"
    );
}

/// The contract of `error` on one problem; returns the true error.
fn honest(a: &Matrix, b: &[f64], got: &Solved, what: &str) -> f64 {
    let truth = Exact::of(a, b).expect("full rank").relative_error(&got.x);
    let stated = got.error.value;
    assert!(
        truth <= stated,
        "{what}: error {truth:e} is above the stated {stated:e}"
    );
    assert!(
        stated <= 1000.0 * truth.max(1e-19),
        "{what}: stated {stated:e} for a true error of {truth:e}"
    );
    residual_is_right(a, b, got);
    truth
}

#[test]
fn stated_errors_hold_from_condition_1e2_to_1e12() {
    for power in [2, 4, 6, 8, 10, 12] {
        let kappa = 10f64.powi(power);
        for seed in 0..8 {
            let mut random = Random::new(seed * 100 + power as u64);
            for (m, n) in [(12, 12), (30, 10), (9, 16)] {
                for sparse in [false, true] {
                    let a = if !sparse {
                        Matrix::Dense(graded(m, n, kappa, &mut random))
                    } else if m >= n {
                        Matrix::Sparse(sparse_graded(m, n, kappa, &mut random))
                    } else {
                        Matrix::Sparse(sparse_graded(n, m, kappa, &mut random).transpose())
                    };
                    let x = random.vector(n);
                    let mut b = vec![0.0; m];
                    a.mul_vec(&x, &mut b);
                    for inconsistent in [false, true] {
                        if inconsistent {
                            b.iter_mut().for_each(|v| *v += random.next());
                        }
                        let what =
                            format!("{m}x{n} sparse {sparse} kappa 1e{power} inconsistent {inconsistent} seed {seed}");
                        let got = least_squares(&a, &b).expect(&what);
                        assert_eq!(got.rank, m.min(n), "{what}");
                        let truth = honest(&a, &b, &got, &what);
                        // The goal for consistent systems: ten times the condition in units of rounding.
                        if !inconsistent {
                            assert!(truth <= 10.0 * kappa * 1e-16, "{what}: {truth:e}");
                        }
                        if m == n {
                            let got = solve_linear(&a, &b).expect(&what);
                            assert!(got.note.is_none(), "{what}: {:?}", got.note);
                            honest(&a, &b, &got, &what);
                        }
                    }
                    conditions_agree(&a, &least_squares(&a, &b).expect("as above"));
                }
            }
        }
    }
}

fn conditions_agree(a: &Matrix, got: &Solved) {
    let d = a.to_dense();
    let s = DMatrix::from_row_slice(d.rows, d.cols, &d.data).singular_values();
    let kappa = s.max() / s.min();
    assert_eq!(got.condition.kind, EstimateKind::Exact);
    assert!(
        (got.condition.value / kappa - 1.0).abs() < 1e-14 * kappa + 1e-10,
        "{} for {kappa}",
        got.condition.value
    );
}

#[test]
fn large_conditions_are_lower_bounds_within_ten() {
    for sparse in [false, true] {
        let n = 320;
        let mut random = Random::new(5);
        let a = if sparse {
            Matrix::Sparse(sparse_graded(n, n, 1e6, &mut random))
        } else {
            Matrix::Dense(graded(n, n, 1e6, &mut random))
        };
        let d = a.to_dense();
        let s = DMatrix::from_row_slice(n, n, &d.data).singular_values();
        let kappa = s.max() / s.min();
        let b = random.vector(n);
        for got in [solve_linear(&a, &b), least_squares(&a, &b)] {
            let got = got.expect("regular");
            assert_eq!(got.condition.kind, EstimateKind::LowerBound);
            let ratio = got.condition.value / kappa;
            assert!(
                (0.1..=1.0 + 1e-6).contains(&ratio),
                "{} for {kappa}",
                got.condition.value
            );
            assert!(got.error.value < 1e-15, "{:e}", got.error.value);
        }
    }
}

#[test]
fn bad_scales_of_columns_do_not_matter() {
    let mut random = Random::new(11);
    let mut a = graded(40, 8, 50.0, &mut random);
    a.scale_cols(&[1e-9, 1e6, 1.0, 1e-3, 1e9, 3.0, 1e-6, 1e2]);
    let a = Matrix::Dense(a);
    let b = random.vector(40);
    let got = least_squares(&a, &b).expect("full rank");
    assert_eq!((got.rank, got.note.as_deref()), (8, None));
    honest(&a, &b, &got, "scaled columns");
    // Squares too, with rows as well.
    let mut a = graded(8, 8, 50.0, &mut random);
    a.scale_cols(&[1e-9, 1e6, 1.0, 1e-3, 1e9, 3.0, 1e-6, 1e2]);
    a.scale_rows(&[1e9, 1.0, 1e-12, 1e3, 7.0, 1e-4, 1e5, 1.0]);
    let a = Matrix::Dense(a);
    let b = random.vector(8);
    let got = solve_linear(&a, &b).expect("regular");
    assert_eq!(got.method, "LU with partial pivoting");
    honest(&a, &b, &got, "scaled rows and columns");
}

#[test]
fn methods_follow_the_structure() {
    let mut random = Random::new(3);
    let a = graded(20, 20, 1e3, &mut random);
    let spd = a.gram_weighted(&[1.0; 20]);
    let b = random.vector(20);
    for (a, method) in [
        (Matrix::Dense(spd.clone()), "Cholesky"),
        (Matrix::Sparse(Csr::from_dense(&spd)), "sparse Cholesky"),
        (Matrix::Dense(a.clone()), "LU with partial pivoting"),
        (Matrix::Sparse(Csr::from_dense(&a)), "sparse LU"),
    ] {
        let got = solve_linear(&a, &b).expect("regular");
        assert_eq!(got.method, method);
        honest(&a, &b, &got, method);
    }
    // Symmetric with a positive diagonal, but indefinite.
    let a = Matrix::Dense(Dense::from_rows(2, 2, vec![1.0, 2.0, 2.0, 1.0]).expect("sizes"));
    let got = solve_linear(&a, &[3.0, 3.0]).expect("regular");
    assert_eq!((got.x, got.method), (vec![1.0, 1.0], "LU with partial pivoting"));
}

#[test]
fn dependent_columns_give_the_solution_of_least_norm() {
    let mut random = Random::new(17);
    for (m, n, rank) in [(12, 6, 4), (6, 6, 3), (5, 9, 3), (40, 7, 1)] {
        let (l, r) = (graded(m, rank, 10.0, &mut random), graded(rank, n, 10.0, &mut random));
        let mut d = l.mul(&r);
        d.scale_cols(&(0..n).map(|j| 10f64.powi(j as i32 % 3)).collect::<Vec<_>>());
        let b = random.vector(m);
        let svd = DMatrix::from_row_slice(m, n, &d.data).svd(true, true);
        let want = svd
            .solve(
                &nalgebra::DVector::from_row_slice(&b),
                1e-12 * svd.singular_values.max(),
            )
            .expect("svd");
        for a in [Matrix::Dense(d.clone()), Matrix::Sparse(Csr::from_dense(&d))] {
            let got = least_squares(&a, &b).expect("no fault");
            assert_eq!(got.rank, rank);
            assert!(got.condition.value.is_infinite() && got.error.value.is_infinite() && got.note.is_some());
            let off: f64 = got
                .x
                .iter()
                .zip(want.iter())
                .map(|(x, w)| (x - w).abs())
                .fold(0.0, f64::max);
            assert!(off <= 1e-10 * want.norm(), "{off:e} of {}", want.norm());
            residual_is_right(&a, &b, &got);
            if m == n {
                assert_eq!(solve_linear(&a, &b).expect("no fault").rank, rank);
            }
        }
    }
}

#[test]
fn empty_zero_single_and_bad_inputs() {
    for a in [Matrix::Dense(Dense::zeros(0, 0)), Matrix::Sparse(Csr::zeros(0, 0))] {
        assert_eq!(solve_linear(&a, &[]).expect("empty").x, Vec::<f64>::new());
        assert_eq!(least_squares(&a, &[]).expect("empty").x, Vec::<f64>::new());
    }
    let none = least_squares(&Matrix::Dense(Dense::zeros(3, 0)), &[3.0, 0.0, 4.0]).expect("no columns");
    assert_eq!((none.x.len(), none.residual_norm), (0, 5.0));
    let none = least_squares(&Matrix::Sparse(Csr::zeros(0, 2)), &[]).expect("no rows");
    assert_eq!((none.x, none.rank), (vec![0.0, 0.0], 0));
    let zero = least_squares(&Matrix::Sparse(Csr::zeros(3, 2)), &[1.0, 2.0, 2.0]).expect("zero");
    assert_eq!((zero.x, zero.rank, zero.residual_norm), (vec![0.0, 0.0], 0, 3.0));
    for a in [
        Matrix::Dense(Dense::from_fn(1, 1, |_, _| 4.0)),
        Matrix::Sparse(Csr::from_diagonal(&[4.0])),
    ] {
        assert_eq!(solve_linear(&a, &[2.0]).expect("one").x, vec![0.5]);
        assert_eq!(least_squares(&a, &[2.0]).expect("one").x, vec![0.5]);
        assert_eq!(solve_linear(&a, &[0.0]).expect("one").x, vec![0.0]);
        assert!(solve_linear(&a, &[f64::NAN]).is_err());
        assert!(solve_linear(&a, &[1.0, 2.0]).is_err());
    }
    for bad in [f64::NAN, f64::INFINITY] {
        for a in [
            Matrix::Dense(Dense::from_fn(2, 2, |_, _| bad)),
            Matrix::Sparse(Csr::from_diagonal(&[1.0, bad])),
        ] {
            assert!(solve_linear(&a, &[1.0, 1.0]).is_err());
            assert!(least_squares(&a, &[1.0, 1.0]).is_err());
        }
    }
    let singular = Matrix::Dense(Dense::from_rows(2, 2, vec![1.0, 2.0, 2.0, 4.0]).expect("sizes"));
    let got = solve_linear(&singular, &[5.0, 10.0]).expect("no fault");
    assert_eq!(got.rank, 1);
    assert!((got.x[0] - 1.0).abs() < 1e-14 && (got.x[1] - 2.0).abs() < 1e-14);
    // Beyond the range of doubles: a fault, not an infinity.
    let tiny = Matrix::Dense(Dense::from_fn(1, 1, |_, _| 1e-300));
    assert!(solve_linear(&tiny, &[1e300]).is_err());
}
