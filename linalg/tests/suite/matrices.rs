//! Storage and products against nalgebra and each other; factorizations, spectra, scalings and Krylov steps.

use crate::exact::Random;
use nalgebra::{DMatrix, DVector};
use ravine_linalg::factor::{Cholesky, Factor, Lu, SparseCholesky, SparseLu, inertia};
use ravine_linalg::krylov::{CgStep, ConjugateGradient};
use ravine_linalg::scaling::equilibrate;
use ravine_linalg::solve::inverse_norm_1;
use ravine_linalg::spectrum::{is_psd, singular_values, svd, symmetric_eigen, symmetric_eigenvalues};
use ravine_linalg::{Csr, Dense, Matrix};

fn random_dense(m: usize, n: usize, random: &mut Random) -> Dense {
    Dense::from_fn(m, n, |_, _| random.next())
}

fn random_sparse(m: usize, n: usize, per_row: usize, random: &mut Random) -> Csr {
    let mut t = Vec::new();
    for i in 0..m {
        for _ in 0..per_row {
            t.push((i, random.below(n), random.next()));
        }
    }
    Csr::from_triplets(m, n, &t)
}

fn peer(a: &Dense) -> DMatrix<f64> {
    DMatrix::from_row_slice(a.rows, a.cols, &a.data)
}

fn near(a: &Dense, b: &DMatrix<f64>) {
    assert_eq!((a.rows, a.cols), b.shape());
    let tolerance = 1e-12 * (1.0 + b.iter().fold(0.0f64, |m, v| m.max(v.abs())));
    for i in 0..a.rows {
        for j in 0..a.cols {
            assert!((a.at(i, j) - b[(i, j)]).abs() <= tolerance, "entry {i}, {j}");
        }
    }
}

fn near_vec(a: &[f64], b: &[f64], tol: f64) {
    assert_eq!(a.len(), b.len());
    let size = b.iter().fold(1.0f64, |m, v| m.max(v.abs()));
    for (x, y) in a.iter().zip(b) {
        assert!((x - y).abs() <= tol * size, "{x} is not {y}");
    }
}

#[test]
fn triplets_are_sorted_summed_and_kept_inside() {
    let a = Csr::from_triplets(
        3,
        4,
        &[
            (2, 1, 1.0),
            (0, 3, 2.0),
            (2, 0, 5.0),
            (2, 1, 0.5),
            (0, 3, -2.0),
            (3, 0, 9.0),
        ],
    );
    assert_eq!(
        (a.indptr.as_slice(), a.indices.as_slice()),
        (&[0, 1, 1, 3][..], &[3, 0, 1][..])
    );
    assert_eq!(a.values, [0.0, 5.0, 1.5]);
    assert_eq!((a.get(2, 1), a.get(1, 1), a.nnz()), (1.5, 0.0, 3));
    assert_eq!(a.transpose().transpose(), a);
    assert!(Csr::from_parts(2, 2, vec![0, 2, 2], vec![1, 0], vec![1.0, 1.0]).is_err());
    assert!(Csr::from_parts(2, 2, vec![0, 3, 2], vec![0, 1], vec![1.0, 1.0]).is_err());
    assert!(Csr::from_parts(1, 1, vec![0, 1], vec![1], vec![1.0]).is_err());
    assert!(Csr::from_parts(1, 2, vec![0, 1], vec![1], vec![1.0]).is_ok());
    assert_eq!(Csr::zeros(0, 0).transpose(), Csr::zeros(0, 0));
}

#[test]
fn products_agree_with_a_peer_in_every_storage() {
    let mut random = Random::new(1);
    for (m, n, k) in [(0, 0, 0), (1, 1, 1), (3, 0, 2), (7, 5, 6), (130, 70, 90), (400, 400, 3)] {
        let (s, t) = (
            random_sparse(m, if n == 0 { 0 } else { n }, n.min(4), &mut random),
            random_dense(n, k, &mut random),
        );
        let d = s.to_dense();
        near(&d.mul(&t), &(peer(&d) * peer(&t)));
        near(&s.mul_dense(&t), &(peer(&d) * peer(&t)));
        near(&s.mul(&Csr::from_dense(&t)).to_dense(), &(peer(&d) * peer(&t)));
        near(&d.transposed_mul(&d), &(peer(&d).transpose() * peer(&d)));
        let h = random.vector(m);
        let gram = peer(&d).transpose() * DMatrix::from_diagonal(&DVector::from_row_slice(&h)) * peer(&d);
        near(&d.gram_weighted(&h), &gram);
        near(&s.gram_weighted(&h).to_dense(), &gram);
        assert_eq!(s.gram_weighted(&h).asymmetry(), 0.0);
        assert_eq!(d.gram_weighted(&h).asymmetry(), 0.0);
        near(&s.add(2.0, &Csr::zeros(m, n), 1.0).to_dense(), &(peer(&d) * 2.0));
        let (x, y) = (random.vector(n), random.vector(m));
        for a in [Matrix::Dense(d.clone()), Matrix::Sparse(s.clone())] {
            let (mut ax, mut aty) = (vec![1.0; m], vec![1.0; n]);
            a.mul_vec(&x, &mut ax);
            a.mul_vec_transposed(&y, &mut aty);
            near_vec(&ax, (peer(&d) * DVector::from_row_slice(&x)).as_slice(), 1e-13);
            near_vec(
                &aty,
                (peer(&d).transpose() * DVector::from_row_slice(&y)).as_slice(),
                1e-13,
            );
            assert_eq!(a.transpose().to_dense(), d.transpose());
            assert!((a.norm_1() - peer(&d).abs().row_sum().iter().fold(0.0, |m: f64, v| m.max(*v))).abs() < 1e-12);
        }
    }
}

#[test]
fn triangular_factors_solve_and_solve_transposed() {
    let mut random = Random::new(2);
    for n in [0, 1, 2, 5, 40, 150] {
        let mut s = random_sparse(n, n, 3, &mut random).add(1.0, &Csr::identity(n), 6.0);
        s.scale_rows(&(0..n).map(|i| 1.0 + i as f64).collect::<Vec<_>>());
        let spd = s.gram_weighted(&vec![1.0; n]);
        let x = random.vector(n);
        let check = |f: &dyn Factor, a: &Dense| {
            assert_eq!(f.order(), n);
            let (mut b, mut bt) = (vec![0.0; n], vec![0.0; n]);
            a.mul_vec(&x, &mut b);
            a.mul_vec_transposed(&x, &mut bt);
            f.solve(&mut b);
            f.solve_transposed(&mut bt);
            near_vec(&b, &x, 1e-8);
            near_vec(&bt, &x, 1e-8);
        };
        check(&Lu::new(&s.to_dense()).expect("regular"), &s.to_dense());
        check(&SparseLu::new(&s).expect("regular"), &s.to_dense());
        check(&Cholesky::new(&spd.to_dense(), 0.0).expect("definite"), &spd.to_dense());
        let shifted = spd.add(1.0, &Csr::identity(n), 0.5);
        check(
            &Cholesky::new(&spd.to_dense(), 0.5).expect("definite"),
            &shifted.to_dense(),
        );
        // One analysis, two sets of values.
        let symbolic = SparseCholesky::symbolic(&spd).expect("pattern");
        check(&symbolic.numeric(&spd, 0.5).expect("definite"), &shifted.to_dense());
        check(&symbolic.numeric(&shifted, 0.0).expect("definite"), &shifted.to_dense());
        if n > 0 && n <= 40 {
            let lu = Lu::new(&s.to_dense()).expect("regular");
            let (sign, log) = lu.log_det();
            let det = peer(&s.to_dense()).determinant();
            assert_eq!(sign, det.signum());
            assert!((log - det.abs().ln()).abs() < 1e-9);
            let chol = Cholesky::new(&spd.to_dense(), 0.0).expect("definite");
            assert!((chol.log_det() - 2.0 * log).abs() < 1e-8);
            near(&chol.lower().mul(&chol.lower().transpose()), &peer(&spd.to_dense()));
            let inverse = peer(&s.to_dense()).try_inverse().expect("regular");
            let norm = inverse.abs().row_sum().max();
            let found = inverse_norm_1(&lu);
            assert!(
                found <= norm * (1.0 + 1e-9) && found >= norm / 3.0,
                "{found} for {norm}"
            );
        }
    }
}

#[test]
fn factorizations_refuse_what_they_cannot_do() {
    let indefinite = Dense::from_rows(2, 2, vec![1.0, 2.0, 2.0, 1.0]).expect("sizes");
    assert!(Cholesky::new(&indefinite, 0.0).is_err());
    assert!(Cholesky::new(&indefinite, 1.5).is_ok());
    let pattern = SparseCholesky::symbolic(&Csr::from_dense(&indefinite)).expect("pattern");
    assert!(pattern.numeric(&Csr::from_dense(&indefinite), 0.0).is_err());
    assert!(pattern.numeric(&Csr::from_dense(&indefinite), 1.5).is_ok());
    assert!(
        SparseCholesky::symbolic(&Csr::identity(2))
            .expect("pattern")
            .numeric(&Csr::from_dense(&indefinite), 9.0)
            .is_err()
    );
    assert!(Cholesky::new(&Dense::zeros(2, 3), 0.0).is_err());
    assert!(Lu::new(&Dense::zeros(2, 2)).is_err());
    assert!(SparseLu::new(&Csr::zeros(2, 2)).is_err());
    assert!(SparseLu::new(&Csr::zeros(2, 3)).is_err());
    let nan = Dense::from_fn(2, 2, |_, _| f64::NAN);
    assert!(
        Lu::new(&nan).is_err() && Cholesky::new(&nan, 0.0).is_err() && SparseLu::new(&Csr::from_dense(&nan)).is_err()
    );
    assert!(svd(&nan).is_err() && symmetric_eigenvalues(&nan).is_err() && inertia(&nan).is_err());
    assert!(is_psd(&Matrix::Dense(nan), 1e-9).is_err());
}

#[test]
fn spectra_agree_with_a_peer() {
    let mut random = Random::new(4);
    for (m, n) in [(0, 0), (1, 1), (5, 3), (3, 5), (60, 40)] {
        let a = random_dense(m, n, &mut random);
        let f = svd(&a).expect("converges");
        let want = if m * n == 0 {
            vec![]
        } else {
            peer(&a).singular_values().as_slice().to_vec()
        };
        near_vec(&f.s, &want, 1e-13);
        near_vec(&singular_values(&a).expect("converges"), &want, 1e-13);
        let mut us = f.u.clone();
        us.scale_cols(&f.s);
        near(&us.mul(&f.v.transpose()), &peer(&a));
        let g = a.gram_weighted(&random.vector(m));
        let (values, q) = symmetric_eigen(&g).expect("converges");
        let mut want = if n == 0 {
            vec![]
        } else {
            peer(&g).symmetric_eigenvalues().as_slice().to_vec()
        };
        want.sort_by(f64::total_cmp);
        near_vec(&values, &want, 1e-12);
        let mut ql = q.clone();
        ql.scale_cols(&values);
        near(&ql.mul(&q.transpose()), &peer(&g));
        let shifted = g.add(1.0, &Dense::identity(n), 0.1);
        let values = symmetric_eigenvalues(&shifted).expect("converges");
        let count = inertia(&shifted).expect("fine");
        assert_eq!(
            count,
            (
                values.iter().filter(|v| **v > 0.0).count(),
                values.iter().filter(|v| **v < 0.0).count(),
                0
            )
        );
    }
    assert_eq!(
        inertia(&Dense::from_rows(2, 2, vec![0.0, 1.0, 1.0, 0.0]).expect("sizes")),
        Ok((1, 1, 0))
    );
    assert_eq!(inertia(&Dense::zeros(3, 3)), Ok((0, 0, 3)));
}

#[test]
fn definiteness_small_and_large() {
    let mut random = Random::new(6);
    for n in [1, 4, 350] {
        let s = random_sparse(n / 2 + 1, n, 3, &mut random);
        let gram = s.gram_weighted(&vec![1.0; s.rows]);
        let mut spoiled = gram.add(1.0, &Csr::identity(n), 0.0);
        let at = spoiled.row(n - 1).0.len() + spoiled.indptr[n - 1] - 1;
        spoiled.values[at] = -1.0;
        for dense in [false, true] {
            let of = |a: &Csr| {
                if dense {
                    Matrix::Dense(a.to_dense())
                } else {
                    Matrix::Sparse(a.clone())
                }
            };
            let (yes, bound) = is_psd(&of(&gram), 1e-9).expect("symmetric");
            let smallest = peer(&gram.to_dense()).symmetric_eigenvalues().min();
            assert!(yes && bound <= smallest + 1e-12, "{bound} for {smallest}");
            let (yes, bound) = is_psd(&of(&spoiled), 1e-9).expect("symmetric");
            let smallest = peer(&spoiled.to_dense()).symmetric_eigenvalues().min();
            assert!(!yes && bound >= smallest - 1e-9, "{bound} for {smallest}");
        }
    }
    assert!(is_psd(&Matrix::Dense(Dense::from_fn(2, 2, |i, _| i as f64)), 1e-9).is_err());
    assert_eq!(is_psd(&Matrix::Sparse(Csr::zeros(0, 0)), 0.0), Ok((true, 0.0)));
    assert_eq!(is_psd(&Matrix::Sparse(Csr::zeros(3, 3)), 0.0), Ok((true, 0.0)));
}

#[test]
fn equilibration_tames_24_decades() {
    let mut random = Random::new(8);
    let mut a = random_dense(30, 20, &mut random);
    a.scale_rows(
        &(0..30)
            .map(|_| 10f64.powi((random.next() * 6.0) as i32))
            .collect::<Vec<_>>(),
    );
    a.scale_cols(
        &(0..20)
            .map(|_| 10f64.powi((random.next() * 6.0) as i32))
            .collect::<Vec<_>>(),
    );
    (0..20).for_each(|j| a.set(3, j, 0.0));
    let e = equilibrate(&Matrix::Dense(a.clone())).expect("finite");
    assert_eq!(e.rows[3], 1.0);
    a.scale_rows(&e.rows);
    a.scale_cols(&e.cols);
    for i in (0..30).filter(|i| *i != 3) {
        let largest = a.row(i).iter().fold(0.0f64, |m, v| m.max(v.abs()));
        assert!((0.25..=4.0).contains(&largest), "row {i}: {largest}");
    }
    for j in 0..20 {
        let largest = a.column(j).iter().fold(0.0f64, |m, v| m.max(v.abs()));
        assert!((0.25..=4.0).contains(&largest), "column {j}: {largest}");
    }
    assert!(e.rows.iter().chain(&e.cols).all(|f| f.to_bits() & ((1 << 52) - 1) == 0));
}

#[test]
fn conjugate_gradients_resume_and_stop() {
    let n = 60;
    let laplacian: Vec<_> = (0..n)
        .flat_map(|i| [(i, i, 2.1), (i, i + 1, -1.0), (i + 1, i, -1.0)])
        .collect();
    let a = Csr::from_triplets(n, n, &laplacian);
    let x = Random::new(9).vector(n);
    let mut b = vec![0.0; n];
    a.mul_vec(&x, &mut b);
    let mut apply = |v: &[f64], out: &mut [f64]| a.mul_vec(v, out);
    let mut jacobi = |v: &[f64], out: &mut [f64]| out.iter_mut().zip(v).for_each(|(o, v)| *o = v / 2.1);
    let mut cg = ConjugateGradient::start(&b, &vec![0.0; n], &mut apply, &mut jacobi).expect("finite");
    let mut saved = None;
    while cg.residual_norm > 1e-12 && cg.steps < 2 * n {
        if cg.steps == 7 {
            saved = Some(cg.clone());
        }
        assert_eq!(cg.step(&b, &mut apply, &mut jacobi), Ok(CgStep::Proceed));
    }
    near_vec(&cg.x, &x, 1e-10);
    let mut again = saved.expect("more than seven steps");
    while again.steps < cg.steps {
        again.step(&b, &mut apply, &mut jacobi).expect("finite");
    }
    assert_eq!(again, cg);
    let mut minus = |v: &[f64], out: &mut [f64]| out.iter_mut().zip(v).for_each(|(o, v)| *o = -v);
    let mut plain = |v: &[f64], out: &mut [f64]| out.copy_from_slice(v);
    let mut cg = ConjugateGradient::start(&[3.0, 4.0], &[0.0, 0.0], &mut minus, &mut plain).expect("finite");
    assert_eq!(
        cg.step(&[3.0, 4.0], &mut minus, &mut plain),
        Ok(CgStep::Curvature(-25.0))
    );
    let mut cg = ConjugateGradient::start(&[0.0], &[0.0], &mut plain.clone(), &mut plain).expect("finite");
    assert_eq!(cg.step(&[0.0], &mut plain.clone(), &mut plain), Ok(CgStep::Done));
    assert!(ConjugateGradient::start(&[f64::NAN], &[0.0], &mut plain.clone(), &mut plain).is_err());
}
