//! Systems chosen to be unkind: one tiny singular value, solutions as large as the condition, scales over a hundred
//! decades, ranks that rounding hides.
//!
//! Invariant: the stated error is never below the true one and at most a thousand times above it (a true error below
//! half a unit in the last place counts as that).

use crate::exact::Exact;
use nalgebra::DMatrix;
use ravine_linalg::solve::{Solved, least_squares, solve_linear};
use ravine_linalg::{Csr, Dense, Matrix};

const UNIT: f64 = f64::EPSILON / 2.0;

/// Reproducible numbers in [-1, 1) (splitmix64).
struct Noise(u64);

impl Noise {
    fn new(seed: u64) -> Noise {
        Noise(seed.wrapping_mul(0x9e37_79b9_7f4a_7c15))
    }

    fn next(&mut self) -> f64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let z = (self.0 ^ (self.0 >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        let z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        ((z ^ (z >> 31)) >> 11) as f64 / (1u64 << 52) as f64 - 1.0
    }

    fn vector(&mut self, n: usize) -> Vec<f64> {
        (0..n).map(|_| self.next()).collect()
    }

    fn orthogonal(&mut self, n: usize) -> DMatrix<f64> {
        DMatrix::from_fn(n, n, |_, _| self.next()).qr().q()
    }
}

/// Singular values from 1 down to 1/condition: evenly in the exponent, or all 1 but the last.
fn spectrum(k: usize, condition: f64, even: bool) -> Vec<f64> {
    (0..k)
        .map(|i| match (even, i + 1 == k) {
            (true, _) => condition.powf(-(i as f64) / (k.max(2) - 1) as f64),
            (false, last) => {
                if last {
                    1.0 / condition
                } else {
                    1.0
                }
            }
        })
        .collect()
}

fn dense(m: usize, n: usize, condition: f64, even: bool, noise: &mut Noise) -> Dense {
    let k = m.min(n);
    let (u, v) = (noise.orthogonal(m), noise.orthogonal(n));
    let s = DMatrix::from_diagonal(&nalgebra::DVector::from_vec(spectrum(k, condition, even)));
    let a = u.columns(0, k) * s * v.columns(0, k).transpose();
    Dense::from_fn(m, n, |i, j| a[(i, j)])
}

/// A diagonal of given condition, mixed by few plane rotations from both sides.
fn sparse(m: usize, n: usize, condition: f64, even: bool, noise: &mut Noise) -> Csr {
    let mut a = vec![0.0; m * n];
    let k = m.min(n);
    spectrum(k, condition, even)
        .into_iter()
        .enumerate()
        .for_each(|(i, s)| a[i * n + i] = s);
    let pick = |noise: &mut Noise, n: usize| ((noise.next() + 1.0) / 2.0 * n as f64) as usize % n;
    for _ in 0..m + m / 2 {
        let (p, q, t) = (pick(noise, m), pick(noise, m), noise.next());
        let (c, s) = ((1.0 - t * t).sqrt(), t);
        for j in (0..n).filter(|_| p != q) {
            let (x, y) = (a[p * n + j], a[q * n + j]);
            (a[p * n + j], a[q * n + j]) = (c * x + s * y, c * y - s * x);
        }
    }
    for _ in 0..n {
        let (p, q, t) = (pick(noise, n), pick(noise, n), noise.next());
        let (c, s) = ((1.0 - t * t).sqrt(), t);
        for i in (0..m).filter(|_| p != q) {
            let (x, y) = (a[i * n + p], a[i * n + q]);
            (a[i * n + p], a[i * n + q]) = (c * x + s * y, c * y - s * x);
        }
    }
    Csr::from_dense(&Dense {
        rows: m,
        cols: n,
        data: a,
    })
}

/// How the right-hand side relates to the range of A.
#[derive(Clone, Copy, Debug, PartialEq)]
enum Rhs {
    /// A x rounded, for an x of moderate size.
    Consistent,
    /// A x plus something of its size.
    Mixed,
    /// Anything: the solution is as large as the condition.
    Free,
}

fn rhs(kind: Rhs, a: &Dense, noise: &mut Noise) -> Vec<f64> {
    let mut b = vec![0.0; a.rows];
    a.mul_vec(&noise.vector(a.cols), &mut b);
    match kind {
        Rhs::Consistent => b,
        Rhs::Mixed => b.iter().map(|v| v + noise.next()).collect(),
        Rhs::Free => noise.vector(a.rows),
    }
}

/// Checks one answer; returns its true error.
fn check(label: &str, a: &Dense, b: &[f64], got: &Solved) -> f64 {
    let truth = Exact::of(&Matrix::Dense(a.clone()), b).expect("full rank");
    let (real, stated) = (truth.relative_error(&got.x), got.error.value);
    assert!(
        real <= stated,
        "{label}: error {real:.2e} above the stated {stated:.2e} ({})",
        got.method
    );
    assert!(
        stated <= 1000.0 * real.max(UNIT),
        "{label}: stated error {stated:.2e} too far above {real:.2e} ({})",
        got.method
    );
    assert_eq!(got.rank, a.rows.min(a.cols), "{label}: rank");
    real
}

fn conditions() -> impl Iterator<Item = f64> {
    (2..=12).step_by(2).map(|e| 10f64.powi(e))
}

#[test]
fn dense_systems_of_any_condition() {
    for seed in 0..4 {
        for condition in conditions() {
            for (even, kind) in [
                (true, Rhs::Consistent),
                (true, Rhs::Free),
                (false, Rhs::Consistent),
                (false, Rhs::Free),
            ] {
                let mut noise = Noise::new(seed + 1);
                let a = dense(12, 12, condition, even, &mut noise);
                let b = rhs(kind, &a, &mut noise);
                let label = format!("seed {seed}, condition {condition:.0e}, even {even}, {kind:?}");
                let got = solve_linear(&Matrix::Dense(a.clone()), &b).expect("solved");
                let real = check(&label, &a, &b, &got);
                assert!(real <= 1e-15 * condition, "{label}: {real:.2e}");
            }
        }
    }
}

#[test]
fn dense_least_squares_of_any_condition() {
    for seed in 0..3 {
        for condition in conditions() {
            for even in [true, false] {
                for kind in [Rhs::Consistent, Rhs::Mixed, Rhs::Free] {
                    for (m, n) in [(20, 8), (8, 20), (13, 12)] {
                        let mut noise = Noise::new(100 + seed);
                        let a = dense(m, n, condition, even, &mut noise);
                        let b = rhs(kind, &a, &mut noise);
                        let label = format!("{m}x{n}, seed {seed}, condition {condition:.0e}, even {even}, {kind:?}");
                        let got = least_squares(&Matrix::Dense(a.clone()), &b).expect("solved");
                        let real = check(&label, &a, &b, &got);
                        if kind == Rhs::Consistent {
                            assert!(real <= 1e-15 * condition, "{label}: {real:.2e}");
                        }
                    }
                }
            }
        }
    }
}

#[test]
fn sparse_systems_and_least_squares_of_any_condition() {
    for seed in 0..2 {
        for condition in conditions() {
            for even in [true, false] {
                for kind in [Rhs::Consistent, Rhs::Mixed, Rhs::Free] {
                    for (m, n) in [(30, 12), (12, 30), (16, 16)] {
                        let mut noise = Noise::new(200 + seed);
                        let s = sparse(m, n, condition, even, &mut noise);
                        let a = s.to_dense();
                        let b = rhs(kind, &a, &mut noise);
                        let label = format!("{m}x{n}, seed {seed}, condition {condition:.0e}, even {even}, {kind:?}");
                        let s = Matrix::Sparse(s);
                        let got = least_squares(&s, &b).expect("solved");
                        check(&label, &a, &b, &got);
                        if m == n {
                            let got = solve_linear(&s, &b).expect("solved");
                            check(&label, &a, &b, &got);
                        }
                    }
                }
            }
        }
    }
}

#[test]
fn columns_and_rows_of_any_scale() {
    for seed in 0..4 {
        for (m, n) in [(14, 6), (9, 9)] {
            let mut noise = Noise::new(300 + seed);
            let mut a = dense(m, n, 1e4, true, &mut noise);
            // Powers of ten, so that scaling rounds too.
            let scale: Vec<f64> = (0..n).map(|_| 10f64.powi((noise.next() * 60.0) as i32)).collect();
            a.scale_cols(&scale);
            if m == n {
                let rows: Vec<f64> = (0..n).map(|_| 10f64.powi((noise.next() * 6.0) as i32)).collect();
                a.scale_rows(&rows);
            }
            let b = rhs(Rhs::Consistent, &a, &mut noise);
            let stored = Matrix::Dense(a.clone());
            let got = if m == n {
                solve_linear(&stored, &b)
            } else {
                least_squares(&stored, &b)
            };
            let got = got.expect("solved");
            let real = Exact::of(&stored, &b).expect("full rank").relative_error(&got.x);
            // Over so many decades the bound may be loose, not wrong.
            assert!(real <= got.error.value, "{m}x{n}, seed {seed}: {real:e}");
            assert!(got.error.value <= 1e-5, "{m}x{n}, seed {seed}: {:e}", got.error.value);
        }
    }
}

#[test]
fn deficient_rank_gives_the_shortest_solution() {
    for seed in 0..5 {
        for (m, n, r) in [(12, 7, 4), (7, 12, 3), (9, 9, 8)] {
            let mut noise = Noise::new(400 + seed);
            // Small integers, so that A = P Q has its rank in the stored data, and A⁺ = Q⁺ P⁺.
            let mut digits = |rows, cols| Dense::from_fn(rows, cols, |_, _| (noise.next() * 4.0).round());
            let (p, q) = (digits(m, r), digits(r, n));
            let a = p.mul(&q);
            let b = noise.vector(m);
            let inner = least_squares(&Matrix::Dense(p), &b).expect("full rank").x;
            let truth = Exact::of(&Matrix::Dense(q), &inner).expect("full rank");
            for a in [Matrix::Sparse(Csr::from_dense(&a)), Matrix::Dense(a)] {
                let got = least_squares(&a, &b).expect("solved");
                assert_eq!((got.rank, got.condition.value), (r, f64::INFINITY));
                let real = truth.relative_error(&got.x);
                assert!(
                    real <= 1e-13 && real <= got.error.value,
                    "{m}x{n}, rank {r}, seed {seed}: {real:e}"
                );
            }
        }
    }
}

#[test]
fn singular_beyond_working_precision_is_said() {
    // Hilbert matrix of order 18: condition about 1e25.
    let n = 18;
    let a = Dense::from_fn(n, n, |i, j| 1.0 / (i + j + 1) as f64);
    let b: Vec<f64> = (0..n).map(|i| a.row(i).iter().sum()).collect();
    for a in [Matrix::Sparse(Csr::from_dense(&a)), Matrix::Dense(a)] {
        let got = solve_linear(&a, &b).expect("answered");
        assert!(
            got.error.value > 0.1 || got.rank < n,
            "rank {}, error {:e}",
            got.rank,
            got.error.value
        );
        assert!(got.condition.value > 1e15, "{:e}", got.condition.value);
    }
}
