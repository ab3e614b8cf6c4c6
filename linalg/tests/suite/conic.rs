//! The Clarabel adapter against closed forms, certificates and refusals.

use ravine_linalg::Csr;
use ravine_linalg::clarabel_adapter::{Cone, ConicForm, ConicSettings, ConicSolution, ConicStatus, solve_conic};

fn form(n: usize, q: &[f64], rows: &[(&[f64], f64)], cones: Vec<Cone>) -> ConicForm {
    let mut t = Vec::new();
    for (i, (row, _)) in rows.iter().enumerate() {
        t.extend(row.iter().enumerate().filter(|e| *e.1 != 0.0).map(|(j, v)| (i, j, *v)));
    }
    ConicForm {
        p: Csr::zeros(n, n),
        q: q.to_vec(),
        a: Csr::from_triplets(rows.len(), n, &t),
        b: rows.iter().map(|r| r.1).collect(),
        cones,
    }
}

fn solve(form: &ConicForm) -> ConicSolution {
    let settings = ConicSettings {
        tol: 1e-9,
        ..ConicSettings::default()
    };
    solve_conic(form, &settings, &mut || false, &mut |_| {}).expect("a well-formed problem")
}

fn close(a: &[f64], b: &[f64], tol: f64) {
    assert_eq!(a.len(), b.len());
    for (x, y) in a.iter().zip(b) {
        assert!((x - y).abs() <= tol, "{a:?} is not {b:?}");
    }
}

#[test]
fn linear_program_with_its_duals() {
    // max x + 2 y, x + y <= 4, y <= 3, x, y >= 0: at (1, 3), prices 1 and 1.
    let f = form(
        2,
        &[-1.0, -2.0],
        &[
            (&[1.0, 1.0], 4.0),
            (&[0.0, 1.0], 3.0),
            (&[-1.0, 0.0], 0.0),
            (&[0.0, -1.0], 0.0),
        ],
        vec![Cone::Nonneg(4)],
    );
    let got = solve(&f);
    assert_eq!(got.status, ConicStatus::Solved);
    close(&got.x, &[1.0, 3.0], 1e-7);
    close(&got.z, &[1.0, 1.0, 0.0, 0.0], 1e-7);
    assert!((got.objective + 7.0).abs() < 1e-7);
}

#[test]
fn quadratic_program_from_either_form_of_p() {
    // min x^2 + x y + y^2 - 3 x, x + y = 1: Lagrange gives x = 2, y = -1, price 0.
    let mut f = form(2, &[-3.0, 0.0], &[(&[1.0, 1.0], 1.0)], vec![Cone::Zero(1)]);
    f.p = Csr::from_triplets(2, 2, &[(0, 0, 2.0), (0, 1, 1.0), (1, 0, 1.0), (1, 1, 2.0)]);
    let full = solve(&f);
    close(&full.x, &[2.0, -1.0], 1e-7);
    close(&full.z, &[0.0], 1e-7);
    f.p = f.p.upper_triangle();
    assert_eq!(full, solve(&f));
}

#[test]
fn second_order_and_exponential_cones() {
    // min t, |(3, 4)| <= t.
    let f = form(
        1,
        &[1.0],
        &[(&[-1.0], 0.0), (&[0.0], 3.0), (&[0.0], 4.0)],
        vec![Cone::SecondOrder(3)],
    );
    close(&solve(&f).x, &[5.0], 1e-7);
    // min t, exp(1) <= t.
    let f = form(
        1,
        &[1.0],
        &[(&[0.0], 1.0), (&[0.0], 1.0), (&[-1.0], 0.0)],
        vec![Cone::Exp],
    );
    close(&solve(&f).x, &[std::f64::consts::E], 1e-6);
    // max s, s <= 4^(1/2) 9^(1/2).
    let f = form(
        1,
        &[-1.0],
        &[(&[0.0], 4.0), (&[0.0], 9.0), (&[-1.0], 0.0)],
        vec![Cone::Power(0.5)],
    );
    close(&solve(&f).x, &[6.0], 1e-6);
    // A cone of one row is a half line.
    let f = form(1, &[1.0], &[(&[-1.0], -2.0)], vec![Cone::SecondOrder(1)]);
    close(&solve(&f).x, &[2.0], 1e-7);
}

#[test]
fn certificates_satisfy_their_definition() {
    // x <= 1, x >= 2.
    let f = form(1, &[1.0], &[(&[1.0], 1.0), (&[-1.0], -2.0)], vec![Cone::Nonneg(2)]);
    let got = solve(&f);
    assert_eq!(got.status, ConicStatus::PrimalInfeasible);
    let bz: f64 = f.b.iter().zip(&got.z).map(|(b, z)| b * z).sum();
    let mut az = vec![0.0];
    f.a.mul_vec_transposed(&got.z, &mut az);
    assert!(bz < 0.0 && az[0].abs() < 1e-6 * bz.abs() && got.z.iter().all(|z| *z >= 0.0));
    // min -x, x >= 0.
    let f = form(1, &[-1.0], &[(&[-1.0], 0.0)], vec![Cone::Nonneg(1)]);
    let got = solve(&f);
    assert_eq!(got.status, ConicStatus::DualInfeasible);
    assert!(got.x[0] > 0.0);
}

#[test]
fn interrupt_log_limits_and_refusals() {
    let f = form(
        2,
        &[1.0, 1.0],
        &[(&[-1.0, -2.0], -2.0), (&[-3.0, -1.0], -3.0)],
        vec![Cone::Nonneg(2)],
    );
    let mut seen = Vec::new();
    let full = solve_conic(&f, &ConicSettings::default(), &mut || false, &mut |i| {
        seen.push(i.iteration)
    })
    .expect("fine");
    assert_eq!(full.status, ConicStatus::Solved);
    assert_eq!(seen.last(), Some(&full.iterations));
    let mut polls = 0;
    let mut stop = || {
        polls += 1;
        polls > 2
    };
    let cut = solve_conic(&f, &ConicSettings::default(), &mut stop, &mut |_| {}).expect("fine");
    assert_eq!((cut.status, cut.iterations), (ConicStatus::Interrupted, 2));
    let two = ConicSettings {
        max_iter: 2,
        ..ConicSettings::default()
    };
    let cut = solve_conic(&f, &two, &mut || false, &mut |_| {}).expect("fine");
    assert_eq!(cut.status, ConicStatus::MaxIterations);
    for spoil in [
        |f: &mut ConicForm| f.q[0] = f64::NAN,
        |f: &mut ConicForm| f.b[1] = f64::INFINITY,
        |f: &mut ConicForm| f.cones = vec![Cone::Nonneg(3)],
        |f: &mut ConicForm| f.cones = vec![Cone::Zero(2), Cone::Nonneg(0), Cone::Power(1.5)],
        |f: &mut ConicForm| f.q.truncate(1),
    ] {
        let mut bad = f.clone();
        spoil(&mut bad);
        assert!(solve_conic(&bad, &two, &mut || false, &mut |_| {}).is_err());
    }
}

#[test]
fn no_rows_and_no_columns() {
    let mut f = form(1, &[-2.0], &[], vec![]);
    f.p = Csr::identity(1);
    close(&solve(&f).x, &[2.0], 1e-7);
    let f = form(0, &[], &[], vec![]);
    assert_eq!(solve(&f).x.len(), 0);
}

#[test]
fn semidefinite_cones() {
    // The largest eigenvalue of a matrix of order 4 (beyond the closed forms of order 3): min t, t I - A semidefinite.
    let a = [
        [2.0, -1.0, 0.0, 0.5],
        [-1.0, 3.0, 1.0, 0.0],
        [0.0, 1.0, 1.0, -2.0],
        [0.5, 0.0, -2.0, 4.0],
    ];
    let mut rows: Vec<(Vec<f64>, f64)> = vec![];
    for j in 0..4 {
        for i in 0..=j {
            if i == j {
                rows.push((vec![-1.0], -a[i][i]));
            } else {
                rows.push((vec![0.0], -std::f64::consts::SQRT_2 * a[i][j]));
            }
        }
    }
    let rows: Vec<(&[f64], f64)> = rows.iter().map(|r| (r.0.as_slice(), r.1)).collect();
    let f = form(1, &[1.0], &rows, vec![Cone::Semidefinite(4)]);
    let got = solve(&f);
    assert_eq!(got.status, ConicStatus::Solved);
    let m = nalgebra::Matrix4::from_fn(|i, j| a[i][j]);
    let eigen = m.symmetric_eigen();
    let k = eigen.eigenvalues.imax();
    assert!((got.x[0] - eigen.eigenvalues[k]).abs() < 1e-7);
    // The multiplier is v v' of the eigenvector: trace 1, and A - λ I vanishes on it.
    let trace: f64 = [0, 2, 5, 9].iter().map(|i| got.z[*i]).sum();
    assert!((trace - 1.0).abs() < 1e-7);
    let v = eigen.eigenvectors.column(k);
    assert!((got.z[1] - std::f64::consts::SQRT_2 * v[0] * v[1]).abs() < 1e-6);
    assert_eq!(got, solve(&f));
}
