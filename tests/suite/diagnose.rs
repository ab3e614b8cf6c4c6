//! Conditioning against matrices made to order: known singular values, planted pairs, planted redundancies.
#![allow(clippy::unwrap_used, clippy::disallowed_methods, reason = "a test")]

use ravine::solve::dependent::dependencies;
use ravine::solve::diagnose::{Meaning, Subject, diagnose};
use ravine_linalg::{Csr, Dense, Matrix};

fn subject(matrix: &Matrix, meaning: Meaning) -> Subject<'_> {
    Subject {
        matrix,
        meaning,
        columns: &|k| format!("c{k}"),
        rows: &|k| format!("r{k}"),
        blocks: &[],
        measure: true,
    }
}

/// Orthogonal matrix from a fixed sequence, by nalgebra.
fn orthogonal(n: usize, seed: f64) -> nalgebra::DMatrix<f64> {
    nalgebra::DMatrix::from_fn(n, n, |i, j| ((i * n + j) as f64 * 12.9898 + seed).sin())
        .qr()
        .q()
}

/// A matrix with these singular values (symmetric with these eigenvalues if asked).
fn with_spectrum(m: usize, values: &[f64], symmetric: bool) -> Matrix {
    let n = values.len();
    let v = orthogonal(n, 1.0);
    let u = if symmetric {
        v.clone()
    } else {
        orthogonal(m, 2.0).columns(0, n).into_owned()
    };
    let d = nalgebra::DMatrix::from_diagonal(&nalgebra::DVector::from_row_slice(values));
    let mut a = u * d * v.transpose();
    if symmetric {
        a = (&a + a.transpose()) * 0.5;
    }
    Matrix::Dense(Dense {
        rows: a.nrows(),
        cols: n,
        data: a.transpose().as_slice().to_vec(),
    })
}

#[test]
fn condition_rank_and_steps_are_those_of_the_spectrum() {
    for kappa in [1e1, 1e3, 1e6] {
        let values: Vec<f64> = (0..12).map(|k| f64::powf(kappa, -(k as f64) / 11.0)).collect();
        let a = with_spectrum(20, &values, false);
        let d = diagnose(&subject(&a, Meaning::LeastSquares)).unwrap();
        assert!(
            d.condition.exact && (d.condition.value / kappa - 1.0).abs() < 1e-6,
            "{kappa:e}: {:?}",
            d.condition
        );
        assert_eq!(d.rank, Some((12, 12)));
        assert_eq!(d.decades.iter().sum::<usize>(), 12);
        let h = with_spectrum(12, &values, true);
        let d = diagnose(&subject(&h, Meaning::Symmetric)).unwrap();
        assert!((d.condition.value / kappa - 1.0).abs() < 1e-6);
        assert_eq!(d.negative, 0);
        // Predicted steps bound the measured ones: the prediction knows only the extremes of the spectrum.
        let measured = d.remedies[0].measured.unwrap();
        assert!(
            measured <= 2.0 * d.remedies[0].gradients.min(12.0 * 4.0),
            "{kappa:e}: {measured}"
        );
    }
    // A missing direction, and negative curvature.
    let d = diagnose(&subject(
        &with_spectrum(20, &[1.0, 0.5, 0.0], false),
        Meaning::LeastSquares,
    ))
    .unwrap();
    assert_eq!(d.rank, Some((2, 3)));
    assert!(!d.condition.exact && d.condition.value > 1e14 && d.weak.is_some());
    let d = diagnose(&subject(
        &with_spectrum(3, &[1.0, -0.5, 0.25], true),
        Meaning::Symmetric,
    ))
    .unwrap();
    assert_eq!(d.negative, 1);
}

#[test]
fn a_bound_on_a_large_matrix_is_a_bound() {
    // Diagonal but for a shift, so that the condition is known, and too large for its whole spectrum.
    let n = 900;
    let t: Vec<(usize, usize, f64)> = (0..n)
        .map(|i| (i, (i + 7) % n, 1.0 + 1e5 * i as f64 / (n - 1) as f64))
        .collect();
    let a = Matrix::Sparse(Csr::from_triplets(n, n, &t));
    let d = diagnose(&Subject {
        measure: false,
        ..subject(&a, Meaning::Rows)
    })
    .unwrap();
    assert!(!d.condition.exact);
    assert!(
        d.condition.value <= 1.00001e5 * 1.001 && d.condition.value > 3e4,
        "{:?}",
        d.condition
    );
    // Equal lengths after scaling: nothing is left.
    assert!(d.remedies[1].condition.value < 1.01);
}

#[test]
fn planted_pairs_are_found_among_many() {
    // 1000 sparse columns; two pairs are multiples of one another up to 1e-4 and exactly.
    let (m, n) = (820, 1000);
    let mut t: Vec<(usize, usize, f64)> = vec![];
    for j in 0..n {
        for k in 0..4 {
            let i = (j * 37 + k * k * 211 + j * j % 101) % m;
            t.push((i, j, 1.5 + ((j * 13 + k * 7) as f64).sin()));
        }
    }
    let column = |t: &[(usize, usize, f64)], j: usize| -> Vec<(usize, f64)> {
        t.iter().filter(|e| e.1 == j).map(|e| (e.0, e.2)).collect()
    };
    let (a, b) = (column(&t, 10), column(&t, 77));
    t.retain(|e| e.1 != 990 && e.1 != 500);
    t.extend(a.iter().map(|(i, v)| (*i, 990, -3.0 * v)));
    t.extend(
        b.iter()
            .enumerate()
            .map(|(k, (i, v))| (*i, 500, v * (1.0 + if k == 0 { 1e-4 } else { 0.0 }))),
    );
    let whole = Matrix::Sparse(Csr::from_triplets(m, n, &t));
    let d = diagnose(&Subject {
        measure: false,
        ..subject(&whole, Meaning::LeastSquares)
    })
    .unwrap();
    let pair = |a: &str, b: &str| {
        d.near_columns
            .0
            .iter()
            .find(|p| (p.a == a && p.b == b) || (p.a == b && p.b == a))
            .cloned()
    };
    let exact = pair("c10", "c990").expect("the exact pair");
    assert!((exact.factor + 3.0).abs() < 1e-12 && exact.angle < 1e-12);
    assert!(pair("c77", "c500").is_some_and(|p| p.angle > 1e-6 && p.angle < 1e-3));
}

#[test]
fn a_column_of_zeros_hides_no_combination() {
    let (m, n) = (20, 4);
    let mut data = vec![0.0; m * n];
    for i in 0..m {
        let t = i as f64;
        data[i * n] = (0.7 * t).sin() + 2.0;
        data[i * n + 1] = (1.3 * t).cos();
        // Column 2 stays 0; column 3 is column 0 but for a little.
        data[i * n + 3] = 5.0 * data[i * n] + 1e-4 * (3.1 * t).sin();
    }
    let a = Matrix::Dense(Dense { rows: m, cols: n, data });
    let d = diagnose(&subject(&a, Meaning::LeastSquares)).unwrap();
    assert_eq!(d.columns.zero, ["c2"]);
    assert_eq!(d.rank, Some((3, 4)));
    let (terms, length) = d.weak.expect("a weak combination");
    let names: Vec<&str> = terms.iter().map(|t| t.0.as_str()).collect();
    assert_eq!(names.len(), 2, "{terms:?}");
    assert!(
        names.contains(&"c0") && names.contains(&"c3") && length > 1e-7 && length < 1e-4,
        "{terms:?} {length}"
    );
}

#[test]
fn a_large_dense_matrix_is_not_factored() {
    let n = 2800;
    let mut data = vec![0.0; n * n];
    for i in 0..n {
        data[i * n + (i + 5) % n] = 1.0 + 1e3 * i as f64 / (n - 1) as f64;
    }
    let a = Matrix::Dense(Dense { rows: n, cols: n, data });
    let d = diagnose(&Subject {
        measure: false,
        ..subject(&a, Meaning::LeastSquares)
    })
    .unwrap();
    let (top, low) = d.within.expect("bounds");
    assert!(
        !d.condition.exact && top <= 1001.0 * (1.0 + 1e-9) && low >= 1.0 - 1e-9,
        "{top} {low}"
    );
    assert!(
        d.condition.value <= 1001.0 * 1.001 && d.condition.value > 100.0,
        "{:?}",
        d.condition
    );
}

/// Rows of a sparse matrix from a dense one.
fn sparse(rows: &[Vec<f64>]) -> Csr {
    let t: Vec<(usize, usize, f64)> = rows
        .iter()
        .enumerate()
        .flat_map(|(i, r)| r.iter().enumerate().map(move |(j, v)| (i, j, *v)))
        .filter(|e| e.2 != 0.0)
        .collect();
    Csr::from_triplets(rows.len(), rows[0].len(), &t)
}

#[test]
fn planted_dependencies_are_found_and_named_in_whole_numbers() {
    let mut rows: Vec<Vec<f64>> = (0..6)
        .map(|i| {
            (0..9)
                .map(|j| (((i * 9 + j) as f64).sin() * 43758.5453).fract())
                .collect()
        })
        .collect();
    let mut b: Vec<f64> = (0..6).map(|i| (i as f64 * 1.7).cos()).collect();
    // Row 6 is 2 r0 - r3 + 3 r5, row 7 the same combination of rows times 1e4 with another right-hand side.
    let plus = |f: &dyn Fn(usize) -> f64| 2.0 * f(0) - f(3) + 3.0 * f(5);
    rows.push((0..9).map(|j| plus(&|i| rows[i][j])).collect());
    b.push(plus(&|i| b[i]));
    rows.push((0..9).map(|j| 1e4 * (rows[1][j] + rows[2][j] + rows[4][j])).collect());
    b.push(1e4 * (b[1] + b[2] + b[4]) + 7.0);
    let found = dependencies(&sparse(&rows), &b);
    assert_eq!(found.len(), 2, "{found:?}");
    for d in &found {
        for j in 0..9 {
            let sum: f64 = d.terms.iter().map(|(i, v)| v * rows[*i][j]).sum();
            assert!(sum.abs() < 1e-8 * 1e4, "{d:?}");
        }
    }
    let first = found.iter().find(|d| d.terms.iter().any(|t| t.0 == 6)).unwrap();
    let mut ratio: Vec<(usize, f64)> = first.terms.clone();
    ratio.sort_by_key(|t| t.0);
    let by = ratio[1].1;
    let scaled: Vec<(usize, f64)> = ratio.iter().map(|(i, v)| (*i, v / -by)).collect();
    assert_eq!(
        scaled,
        [(0, 2.0), (3, -1.0), (5, 3.0), (6, -1.0)],
        "whole numbers: {first:?}"
    );
    assert_eq!(first.rest, 0.0);
    let second = found.iter().find(|d| d.terms.iter().any(|t| t.0 == 7)).unwrap();
    assert!(second.rest != 0.0, "contradicts: {second:?}");
    // Without the two rows nothing depends on anything.
    assert_eq!(dependencies(&sparse(&rows[..6]), &b[..6]), []);
}

#[test]
fn a_large_network_balances_as_a_whole() {
    // A grid of 60 by 60 nodes: more rows than are eliminated; a flow on every edge; two networks apart from one another.
    let (k, mut t, mut flow) = (60, vec![], 0);
    for net in 0..2 {
        let node = |i: usize, j: usize| net * k * k + i * k + j;
        for i in 0..k {
            for j in 0..k {
                for (p, q) in [(i + 1, j), (i, j + 1)] {
                    if p < k && q < k {
                        t.push((node(i, j), flow, -1.0));
                        t.push((node(p, q), flow, 1.0));
                        flow += 1;
                    }
                }
            }
        }
    }
    let a = Csr::from_triplets(2 * k * k, flow, &t);
    let mut b = vec![0.0; 2 * k * k];
    (b[0], b[17]) = (-2.0, 2.0);
    b[k * k] = 1.0;
    let found = dependencies(&a, &b);
    assert_eq!(found.len(), 2);
    for (net, d) in found.iter().enumerate() {
        assert_eq!(d.terms.len(), k * k);
        assert!(d.terms.iter().all(|(i, v)| *v == 1.0 && i / (k * k) == net));
        assert_eq!(d.rest, [0.0, 1.0][net]);
    }
    // One flow that leaves the first network: its balances no longer cancel.
    t.push((5, flow, 1.0));
    let a = Csr::from_triplets(2 * k * k, flow + 1, &t);
    assert_eq!(dependencies(&a, &b).len(), 1);
}
