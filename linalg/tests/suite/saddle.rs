//! Saddle-point factors against dense elimination of the same matrix.

use nalgebra::{DMatrix, DVector};
use ravine_linalg::Csr;
use ravine_linalg::saddle::Saddle;

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

fn against_dense(p: &Csr, g: &Csr, held: bool, in_rows: bool) {
    let (n, m) = (p.rows, g.rows);
    let mut factors = Saddle::new(p, g, &vec![held; n]).expect("a pattern");
    assert_eq!(factors.in_rows(), in_rows);
    // Twice: the second factorization must not see the first.
    for seed in [3, 4] {
        let d: Vec<f64> = draws(n, seed).iter().map(|v| 1.5 + v).collect();
        let e: Vec<f64> = draws(m, seed + 10).iter().map(|v| 1.5 + v).collect();
        factors.factor(&d, &e).expect("quasidefinite");
        let mut whole = DMatrix::zeros(n + m, n + m);
        p.triplets().for_each(|(i, j, v)| whole[(i, j)] += v);
        g.triplets().for_each(|(k, j, v)| {
            whole[(n + k, j)] += v;
            whole[(j, n + k)] += v;
        });
        (0..n).for_each(|i| whole[(i, i)] += d[i]);
        (0..m).for_each(|k| whole[(n + k, n + k)] -= e[k]);
        let right = draws(n + m, seed + 20);
        let want = whole.lu().solve(&DVector::from_vec(right.clone())).expect("regular");
        let (mut u, mut v) = (right[..n].to_vec(), right[n..].to_vec());
        factors.solve(&mut u, &mut v);
        for (got, want) in u.iter().chain(&v).zip(want.iter()) {
            assert!((got - want).abs() <= 1e-12 * (1.0 + want.abs()), "{got} {want}");
        }
    }
}

fn rows(m: usize, n: usize, each: usize) -> Csr {
    let v = draws(n * each, 7);
    let entries: Vec<(usize, usize, f64)> = (0..n)
        .flat_map(|j| (0..each).map(move |k| (j, k)))
        .map(|(j, k)| ((j * 7 + k * 5) % m, j, v[j * each + k]))
        .collect();
    Csr::from_triplets(m, n, &entries)
}

#[test]
fn both_routes_solve_what_dense_elimination_solves() {
    let diagonal = Csr::from_triplets(60, 60, &(0..60).map(|i| (i, i, (i % 3) as f64)).collect::<Vec<_>>());
    against_dense(&diagonal, &rows(8, 60, 3), true, true);
    // A variable that nothing holds, or a full Hessian: whole.
    against_dense(&diagonal, &rows(8, 60, 3), false, false);
    let mut band: Vec<(usize, usize, f64)> = (0..60).map(|i| (i, i, 2.0)).collect();
    band.extend((1..60).flat_map(|i| [(i, i - 1, -1.0), (i - 1, i, -1.0)]));
    against_dense(&Csr::from_triplets(60, 60, &band), &rows(8, 60, 3), true, false);
    // Sparse inner products, no rows, no variables.
    against_dense(&Csr::zeros(90, 90), &rows(90, 90, 1), true, false);
    against_dense(&Csr::identity(4), &Csr::zeros(0, 4), true, false);
    against_dense(&Csr::zeros(0, 0), &Csr::zeros(3, 0), true, false);
}

#[test]
fn lengths_are_checked() {
    let mut factors = Saddle::new(&Csr::identity(3), &Csr::zeros(1, 3), &[true; 3]).expect("a pattern");
    assert!(factors.factor(&[1.0; 2], &[1.0]).is_err());
    assert!(factors.factor(&[1.0; 3], &[]).is_err());
    assert!(Saddle::new(&Csr::identity(3), &Csr::zeros(1, 2), &[true; 3]).is_err());
}
