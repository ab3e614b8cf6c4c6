//! Krylov methods against dense solutions of another library, recorded iterates and closed forms.

use crate::exact::Random;
use nalgebra::{DMatrix, DVector};
use ravine_linalg::krylov::{
    CgStep, ConjugateGradient, IncompleteCholesky, Lsmr, Minres, MinresStep, Preconditioner, jacobi, lanczos,
    singular_bounds,
};
use ravine_linalg::operator::{ColumnsScaled, LinearMap, adjoint_mismatch};
use ravine_linalg::reduce::{dot, norm2};
use ravine_linalg::{Csr, Dense, Matrix};

/// The five-point Laplacian on a `k` x `k` grid.
fn laplacian(k: usize) -> Csr {
    let mut t = vec![];
    for i in 0..k * k {
        t.push((i, i, 4.0));
        if i % k > 0 {
            t.push((i, i - 1, -1.0));
            t.push((i - 1, i, -1.0));
        }
        if i >= k {
            t.push((i, i - k, -1.0));
            t.push((i - k, i, -1.0));
        }
    }
    Csr::from_triplets(k * k, k * k, &t)
}

fn peer(a: &Dense) -> DMatrix<f64> {
    DMatrix::from_row_slice(a.rows, a.cols, &a.data)
}

fn near(a: &[f64], b: &[f64], tol: f64) {
    assert_eq!(a.len(), b.len());
    let size = b.iter().fold(1e-300f64, |m, v| m.max(v.abs()));
    for (i, (x, y)) in a.iter().zip(b).enumerate() {
        assert!((x - y).abs() <= tol * size, "entry {i}: {x} is not {y}");
    }
}

/// Steps of preconditioned conjugate gradients until the residual has fallen by 1e-8.
fn steps(a: &Csr, b: &[f64], m: &Preconditioner) -> usize {
    let mut apply = |v: &[f64], out: &mut [f64]| a.mul_vec(v, out);
    let mut pre = |r: &[f64], z: &mut [f64]| m.apply(r, z);
    let mut cg = ConjugateGradient::start(b, &vec![0.0; a.rows], &mut apply, &mut pre).expect("finite");
    while cg.residual_norm > 1e-8 * norm2(b) && cg.steps < 5000 {
        assert_eq!(cg.step(b, &mut apply, &mut pre), Ok(CgStep::Proceed));
    }
    cg.steps
}

fn numbers(v: &serde_json::Value) -> Vec<f64> {
    v.as_array()
        .expect("array")
        .iter()
        .map(|x| x.as_f64().expect("number"))
        .collect()
}

#[test]
fn iterates_are_those_recorded_elsewhere() {
    for name in ["pcg", "flexible_cg"] {
        let path = format!("{}/../tests/fixtures/{name}.json", env!("CARGO_MANIFEST_DIR"));
        let f: serde_json::Value =
            serde_json::from_str(&std::fs::read_to_string(path).expect("fixture")).expect("json");
        let rows: Vec<Vec<f64>> = f["problem"]["A"].as_array().expect("A").iter().map(numbers).collect();
        let n = rows.len();
        let a = Dense::from_fn(n, n, |i, j| rows[i][j]);
        let diagonal = a.diagonal();
        let b = numbers(&f["problem"]["b"]);
        let incomplete = IncompleteCholesky::new(&Csr::from_dense(&a)).expect("definite");
        for case in f["cases"].as_array().expect("cases") {
            let kind = case["hyper"]["M"].as_str().expect("M");
            let window = if name == "pcg" {
                0
            } else {
                case["hyper"]["window"].as_u64().map_or(usize::MAX, |w| w as usize)
            };
            let mut pre = |r: &[f64], z: &mut [f64]| match kind {
                "none" => z.copy_from_slice(r),
                "ic0" => {
                    z.copy_from_slice(r);
                    incomplete.solve(z);
                }
                "jacobi" => z.iter_mut().zip(r).zip(&diagonal).for_each(|((z, r), d)| *z = r / d),
                _ => {
                    let length = norm2(r);
                    for i in 0..r.len() {
                        z[i] = r[i] / diagonal[i] * (1.0 + 0.3 * (5.0 * r[i] / length).sin());
                    }
                }
            };
            let mut apply = |v: &[f64], out: &mut [f64]| a.mul_vec(v, out);
            let start = ConjugateGradient::start(&b, &vec![0.0; n], &mut apply, &mut pre).expect("finite");
            let mut cg = start.flexible(window);
            for (k, x) in case["trace"]["x"].as_array().expect("trace").iter().enumerate() {
                if k > 0 {
                    cg.step(&b, &mut apply, &mut pre).expect("finite");
                }
                near(&cg.x, &numbers(x), 1e-9);
            }
            assert!(cg.steps > 2, "{name} {kind}");
        }
    }
}

#[test]
fn counts_of_steps_are_those_measured_elsewhere() {
    // Counted by another program for b = 1 (n = 31²): within a few, because the right sides differ.
    let a = laplacian(31);
    let mut random = Random::new(5);
    let b: Vec<f64> = (0..a.rows).map(|_| random.next()).collect();
    let none = steps(&a, &b, &Preconditioner::Identity);
    let diagonal = steps(
        &a,
        &b,
        &Preconditioner::Diagonal(jacobi(&a.diagonal()).expect("positive")),
    );
    let incomplete = steps(
        &a,
        &b,
        &Preconditioner::Incomplete(IncompleteCholesky::new(&a).expect("definite")),
    );
    assert!((85..=110).contains(&none), "{none}");
    assert_eq!(none, diagonal, "a constant diagonal changes nothing");
    assert!((28..=38).contains(&incomplete), "{incomplete}");
}

#[test]
fn bounds_on_the_energy_error_hold() {
    let k = 12;
    let a = laplacian(k);
    let n = a.rows;
    let mut random = Random::new(9);
    let truth: Vec<f64> = (0..n).map(|_| random.next()).collect();
    let mut b = vec![0.0; n];
    a.mul_vec(&truth, &mut b);
    let incomplete = IncompleteCholesky::new(&a).expect("definite");
    assert_eq!(incomplete.shift, 0.0);
    // The eigenvalues of M A from the other library.
    let l = peer(&incomplete.factor().to_dense());
    let inverse = l.try_inverse().expect("regular");
    let both = &inverse * peer(&a.to_dense()) * inverse.transpose();
    let values = both.symmetric_eigen().eigenvalues;
    let (low, high) = (values.min(), values.max());
    for (m, least) in [
        (
            Preconditioner::Identity,
            8.0 * (std::f64::consts::PI / (2.0 * (k + 1) as f64)).sin().powi(2),
        ),
        (Preconditioner::Incomplete(incomplete), low),
    ] {
        let mut apply = |v: &[f64], out: &mut [f64]| a.mul_vec(v, out);
        let mut pre = |r: &[f64], z: &mut [f64]| m.apply(r, z);
        let mut cg = ConjugateGradient::start(&b, &vec![0.0; n], &mut apply, &mut pre).expect("finite");
        let mut errors = vec![];
        let energy = |x: &[f64]| {
            let e: Vec<f64> = x.iter().zip(&truth).map(|(x, t)| x - t).collect();
            let mut ae = vec![0.0; n];
            a.mul_vec(&e, &mut ae);
            dot(&e, &ae).sqrt()
        };
        errors.push(energy(&cg.x));
        while cg.residual_norm > 1e-9 * norm2(&b) {
            cg.step(&b, &mut apply, &mut pre).expect("finite");
            errors.push(energy(&cg.x));
            let now = errors[cg.steps];
            let above = cg.at_most(0.999_999 * least);
            assert!(above >= now * (1.0 - 1e-9), "step {}: {above} below {now}", cg.steps);
            for delay in [1, 5] {
                if let Some(below) = cg.at_least(delay) {
                    let then = errors[cg.steps - delay];
                    assert!(below <= then * (1.0 + 1e-9), "step {}: {below} above {then}", cg.steps);
                    if delay == 5 {
                        assert!(below > 0.3 * then, "{below} says little of {then}");
                    }
                }
            }
        }
        // Sharp where it counts: at the end within a small factor.
        let (now, above) = (errors[cg.steps], cg.at_most(0.999_999 * least));
        assert!(above < 10.0 * now, "{above} for {now}");
        let (from, to) = cg.tridiagonal().extremes().expect("steps");
        assert!(from >= least * (1.0 - 1e-9));
        if matches!(m, Preconditioner::Incomplete(_)) {
            assert!((from - low).abs() < 1e-4 * low && to <= high * (1.0 + 1e-9) && to > 0.99 * high);
        }
        let rq = cg.rayleigh;
        let smallest = 8.0 * (std::f64::consts::PI / (2.0 * (k + 1) as f64)).sin().powi(2);
        assert!(rq >= smallest * (1.0 - 1e-12) && rq < 100.0 * smallest);
    }
}

#[test]
fn residuals_that_part_from_their_updates_mark_the_limit_of_rounding() {
    // Graded to a condition of 1e7: the residual stops falling near u |A| |x|.
    let n = 40;
    let mut random = Random::new(4);
    let a = DMatrix::from_fn(n, n, |_, _| random.next());
    let q = a.qr().q();
    let d = DMatrix::from_diagonal(&DVector::from_fn(n, |i, _| {
        10f64.powf(-7.0 * i as f64 / (n - 1) as f64)
    }));
    let m = &q * d * q.transpose();
    let a = Dense::from_fn(n, n, |i, j| 0.5 * (m[(i, j)] + m[(j, i)]));
    let b: Vec<f64> = (0..n).map(|_| random.next()).collect();
    let mut apply = |v: &[f64], out: &mut [f64]| a.mul_vec(v, out);
    let mut pre = |r: &[f64], z: &mut [f64]| z.copy_from_slice(r);
    let mut cg = ConjugateGradient::start(&b, &vec![0.0; n], &mut apply, &mut pre).expect("finite");
    while cg.parted < 2 && cg.steps < 200_000 {
        match cg.step(&b, &mut apply, &mut pre).expect("finite") {
            CgStep::Proceed => {}
            other => panic!("{other:?} at step {}", cg.steps),
        }
    }
    assert!(cg.parted >= 2, "never found in {} steps", cg.steps);
    let x = norm2(&cg.x);
    let computed = norm2(&cg.true_residual(&b, &mut apply));
    assert!(cg.residual_norm < 0.5 * computed);
    assert!(computed > 1e-17 * x && computed < 1e-14 * x, "{computed} of {x}");
    cg.renew(&b, &mut apply, &mut pre);
    assert_eq!(cg.residual_norm, computed);
    assert_eq!(cg.step(&b, &mut apply, &mut pre), Ok(CgStep::Proceed));
}

#[test]
fn incomplete_cholesky_is_exact_without_fill_and_shifts_where_it_breaks_down() {
    let n = 30;
    let mut t = vec![];
    for i in 0..n {
        t.push((i, i, 3.0 + i as f64));
        if i > 0 {
            t.push((i, i - 1, -1.5));
            t.push((i - 1, i, -1.5));
        }
    }
    let a = Csr::from_triplets(n, n, &t);
    let f = IncompleteCholesky::new(&a).expect("definite");
    let expected = peer(&a.to_dense()).cholesky().expect("definite").l();
    for (i, j, v) in f.factor().triplets() {
        assert!((v - expected[(i, j)]).abs() < 1e-14);
    }
    // Positive definite, and yet without an incomplete factor (D. Kershaw, J. Comput. Phys. 26, 1978).
    let kershaw = [
        [3.0, -2.0, 0.0, 2.0],
        [-2.0, 3.0, -2.0, 0.0],
        [0.0, -2.0, 3.0, -2.0],
        [2.0, 0.0, -2.0, 3.0],
    ];
    let a = Dense::from_fn(4, 4, |i, j| kershaw[i][j]);
    assert!(peer(&a).symmetric_eigen().eigenvalues.min() > 0.0);
    let a = Csr::from_dense(&a);
    let f = IncompleteCholesky::new(&a).expect("shifted");
    assert!(f.shift > 0.0);
    let m = Preconditioner::Incomplete(f);
    assert!(steps(&a, &[1.0, 2.0, -1.0, 0.5], &m) <= 6);
    assert!(IncompleteCholesky::new(&Csr::from_diagonal(&[1.0, 0.0])).is_err());
    assert!(IncompleteCholesky::new(&Csr::from_diagonal(&[1.0, f64::NAN])).is_err());
    assert!(jacobi(&[1.0, -2.0]).is_err());
}

#[test]
fn minres_solves_what_is_not_definite() {
    let n = 60;
    let mut random = Random::new(21);
    let half = Dense::from_fn(n, n, |_, _| random.next());
    let a = Dense::from_fn(n, n, |i, j| {
        half.at(i, j) + half.at(j, i) + if i == j { 3.0 * (-1f64).powi(i as i32) } else { 0.0 }
    });
    let eigen = peer(&a).symmetric_eigen().eigenvalues;
    assert!(eigen.min() < -1.0 && eigen.max() > 1.0);
    let b: Vec<f64> = (0..n).map(|_| random.next()).collect();
    let expected = peer(&a).lu().solve(&DVector::from_vec(b.clone())).expect("regular");
    let weights: Vec<f64> = (0..n).map(|i| 0.5 + (i % 3) as f64).collect();
    for weighted in [false, true] {
        let mut apply = |v: &[f64], out: &mut [f64]| a.mul_vec(v, out);
        let mut pre = |r: &[f64], z: &mut [f64]| {
            z.iter_mut()
                .zip(r)
                .zip(&weights)
                .for_each(|((z, r), w)| *z = if weighted { r * w } else { *r });
        };
        let mut m = Minres::start(&b, &vec![0.0; n], &mut apply, &mut pre).expect("finite");
        let mut last = m.residual_norm;
        let mut saved = None;
        while m.steps < 4 * n && m.residual_norm > 1e-12 * m.first {
            if m.step(&mut apply, &mut pre).expect("finite") == MinresStep::Done {
                break;
            }
            assert!(m.residual_norm <= last * (1.0 + 1e-12), "the residual never grows");
            last = m.residual_norm;
            if m.steps == 9 {
                saved = Some(m.clone());
            }
            if !weighted {
                let shown = norm2(&m.true_residual(&b, &mut apply));
                assert!(
                    (shown - m.residual_norm).abs() <= 1e-6 * m.first,
                    "{shown} and {}",
                    m.residual_norm
                );
            }
        }
        near(&m.x, expected.as_slice(), 1e-7);
        let mut again = saved.expect("more than nine steps");
        while again.steps < m.steps {
            again.step(&mut apply, &mut pre).expect("finite");
        }
        assert_eq!(again, m);
    }
    // Singular and inconsistent: the least-squares residual.
    let a = Csr::from_diagonal(&[2.0, -1.0, 0.0]);
    let mut apply = |v: &[f64], out: &mut [f64]| a.mul_vec(v, out);
    let mut pre = |r: &[f64], z: &mut [f64]| z.copy_from_slice(r);
    let mut m = Minres::start(&[2.0, 3.0, 5.0], &[0.0; 3], &mut apply, &mut pre).expect("finite");
    for _ in 0..10 {
        if m.step(&mut apply, &mut pre).expect("finite") == MinresStep::Done || m.normal_norm < 1e-10 {
            break;
        }
    }
    assert!((norm2(&m.true_residual(&[2.0, 3.0, 5.0], &mut apply)) - 5.0).abs() < 1e-9);
    let mut bad = |_: &[f64], z: &mut [f64]| z.fill(-1.0);
    assert!(Minres::start(&[1.0; 3], &[0.0; 3], &mut apply, &mut bad).is_err());
}

#[test]
fn lsmr_ends_at_the_least_squares_solution_of_least_norm() {
    let mut random = Random::new(33);
    for (m, n, rank) in [(80, 30, 30), (20, 45, 20), (50, 30, 12)] {
        let left = DMatrix::from_fn(m, rank, |_, _| random.next());
        let right = DMatrix::from_fn(rank, n, |_, _| random.next());
        let product = if rank == m.min(n) {
            DMatrix::from_fn(m, n, |_, _| random.next())
        } else {
            left * right
        };
        let a = Dense::from_fn(m, n, |i, j| product[(i, j)]);
        let b: Vec<f64> = (0..m).map(|_| random.next()).collect();
        let svd = product.clone().svd(true, true);
        let expected = svd.solve(&DVector::from_vec(b.clone()), 1e-10).expect("vectors");
        let mut map = &a;
        let mut s = Lsmr::start(&mut map, &b, &vec![0.0; n]).expect("finite");
        let mut last = s.normal_norm;
        let mut saved = None;
        while s.steps < 10 * n && s.normal_norm > 1e-13 * s.first {
            if !s.step(&mut map).expect("finite") {
                break;
            }
            assert!(s.normal_norm <= last * (1.0 + 1e-12));
            last = s.normal_norm;
            if s.steps == 5 {
                saved = Some(s.clone());
            }
        }
        near(&s.x, expected.as_slice(), 1e-8);
        if rank == n {
            let values = svd.singular_values;
            let condition = values.max() / values.min();
            assert!(s.condition() > 0.1 * condition && s.condition() < 3.0 * condition);
        }
        let mut again = saved.expect("steps");
        while again.steps < s.steps {
            again.step(&mut map).expect("finite");
        }
        assert_eq!(again, s);
    }
    // Badly scaled columns: scaled to length 1 they are no trouble.
    let sizes = [1.0, 1e-6, 1e5, 3.0];
    let a = Dense::from_fn(12, 4, |_, j| random.next() * sizes[j]);
    let b: Vec<f64> = (0..12).map(|_| random.next()).collect();
    let by: Vec<f64> = (0..4).map(|j| 1.0 / norm2(&a.column(j))).collect();
    let mut plain = &a;
    let mut map = ColumnsScaled::new(&mut plain, &by);
    assert!(adjoint_mismatch(&mut map) < 1e-14);
    let mut s = Lsmr::start(&mut map, &b, &[0.0; 4]).expect("finite");
    while s.steps < 10 && s.step(&mut map).expect("finite") {}
    let x: Vec<f64> = s.x.iter().zip(&by).map(|(x, d)| x * d).collect();
    let scaled = DMatrix::from_fn(12, 4, |i, j| a.at(i, j) * by[j]);
    let y = scaled
        .svd(true, true)
        .solve(&DVector::from_vec(b), 1e-14)
        .expect("vectors");
    let expected: Vec<f64> = y.iter().zip(&by).map(|(y, d)| y * d).collect();
    near(&x, &expected, 1e-9);
}

#[test]
fn bounds_on_spectra_come_from_inside() {
    let a = laplacian(14);
    let t = lanczos(a.rows, 60, &mut |v, out| a.mul_vec(v, out));
    let exact = |k: usize| 8.0 * (std::f64::consts::PI * k as f64 / 30.0).sin().powi(2);
    let (low, high) = t.extremes().expect("steps");
    assert!(
        low >= exact(1) * (1.0 - 1e-12) && low < 1.01 * exact(1),
        "{low} for {}",
        exact(1)
    );
    assert!(high <= exact(14) * (1.0 + 1e-12) && high > 0.999 * exact(14));
    // Every eigenvalue of a small tridiagonal matrix.
    let small = lanczos(9, 9, &mut |v, out| (0..9).for_each(|i| out[i] = (i + 1) as f64 * v[i]));
    for k in 0..9 {
        assert!(
            (small.eigenvalue(k) - (k + 1) as f64).abs() < 1e-9,
            "{}",
            small.eigenvalue(k)
        );
        assert_eq!(small.below(k as f64 + 1.5), k + 1);
    }
    assert!(small.eigenvalue(9).is_nan());
    let mut random = Random::new(2);
    for (m, n) in [(40, 25), (25, 25)] {
        let d = Dense::from_fn(m, n, |_, _| random.next());
        let values = peer(&d).svd(false, false).singular_values;
        for steps in [5, 15, 25] {
            let (top, low) = singular_bounds(&mut &d, steps);
            assert!(top <= values.max() * (1.0 + 1e-10) && low >= values.min() * (1.0 - 1e-8));
            if steps == 25 {
                assert!(top > 0.999 * values.max());
            }
        }
    }
    assert_eq!(singular_bounds(&mut &Csr::zeros(3, 2), 5), (0.0, 0.0));
}

#[test]
fn a_wrong_adjoint_is_measured() {
    struct Wrong;
    impl LinearMap for Wrong {
        fn rows(&self) -> usize {
            5
        }
        fn cols(&self) -> usize {
            5
        }
        fn apply(&mut self, x: &[f64], y: &mut [f64]) {
            (0..5).for_each(|i| y[i] = x[i] - if i > 0 { x[i - 1] } else { 0.0 });
        }
        fn adjoint(&mut self, y: &[f64], x: &mut [f64]) {
            self.apply(y, x);
        }
    }
    assert!(adjoint_mismatch(&mut Wrong) > 0.01);
    assert!(adjoint_mismatch(&mut &laplacian(6)) < 1e-15);
    assert!(adjoint_mismatch(&mut &Matrix::Sparse(laplacian(6))) < 1e-15);
}
