//! Matrices that nobody here made (SuiteSparse): systems solved, errors stated, definiteness found.
//!
//! Without the data the tests say so and pass, unless `RAVINE_REQUIRE` names `data`.

use flate2::read::GzDecoder;
use ravine_linalg::solve::solve_linear;
use ravine_linalg::{Csr, Matrix};
use std::io::Read;
use std::path::PathBuf;

/// Name, order, stored entries of the whole matrix, positive definite, condition as published with the data.
const MATRICES: [(&str, usize, usize, Option<bool>, f64); 12] = [
    ("LF10", 18, 82, Some(true), 3.9e6),
    ("bcsstk01", 48, 400, Some(true), 8.8e5),
    ("bcsstk02", 66, 4356, Some(true), 4.3e3),
    ("fs_183_1", 183, 998, None, 2.2e13),
    ("west0479", 479, 1888, None, 3.3e11),
    ("494_bus", 494, 1666, Some(true), 2.4e6),
    ("gr_30_30", 900, 7744, Some(true), 1.9e2),
    ("nnc1374", 1374, 8588, None, 3.7e14),
    ("bcsstk13", 2003, 83_883, Some(true), 1.1e10),
    ("cryg2500", 2500, 12_349, None, 3.6e16),
    ("pushpull", 4000, 196_305, None, 1.3e5),
    ("bcsstk16", 4884, 290_378, Some(true), 7.0e9),
];

#[allow(clippy::print_stderr, reason = "a skipped test says so")]
fn folder() -> Option<PathBuf> {
    let root =
        std::env::var("RAVINE_DATA").unwrap_or_else(|_| format!("{}/../../shared/data", env!("CARGO_MANIFEST_DIR")));
    let found = PathBuf::from(root).join("mtx");
    let required = std::env::var("RAVINE_REQUIRE").unwrap_or_default();
    if found.is_dir() {
        return Some(found);
    }
    assert!(
        !required.split(',').any(|r| r == "data"),
        "no matrices in {}",
        found.display()
    );
    eprintln!("skipped: no matrices in {}", found.display());
    None
}

fn read(folder: &std::path::Path, name: &str) -> Csr {
    let file = std::fs::File::open(folder.join(format!("{name}.mtx.gz"))).expect("file");
    let mut text = String::new();
    GzDecoder::new(file).read_to_string(&mut text).expect("text");
    let symmetric = text.lines().next().is_some_and(|h| h.contains("symmetric"));
    let mut numbers = text.lines().filter(|l| !l.starts_with('%')).map(|l| {
        l.split_whitespace()
            .map(|t| t.parse::<f64>().expect("number"))
            .collect::<Vec<_>>()
    });
    let size = numbers.next().expect("sizes");
    let mut entries = vec![];
    for e in numbers.filter(|e| e.len() == 3) {
        let (i, j) = (e[0] as usize - 1, e[1] as usize - 1);
        entries.push((i, j, e[2]));
        if symmetric && i != j {
            entries.push((j, i, e[2]));
        }
    }
    Csr::from_triplets(size[0] as usize, size[1] as usize, &entries)
}

/// Rounds each row to multiples of 2^-36 of its largest entry, so that its sum is exact: A 1 = b holds to the last bit.
fn exact_rows(a: &Csr) -> (Csr, Vec<f64>) {
    let mut a = a.clone();
    let mut b = vec![];
    for i in 0..a.rows {
        let row = &mut a.values[a.indptr[i]..a.indptr[i + 1]];
        let largest = row.iter().fold(0.0f64, |m, v| m.max(v.abs()));
        let grid = f64::from_bits((largest.to_bits() >> 52) << 52) * 2f64.powi(-36);
        row.iter_mut().for_each(|v| *v = (*v / grid).round() * grid);
        b.push(row.iter().sum());
    }
    (a, b)
}

#[test]
fn sizes_are_those_published() {
    let Some(folder) = folder() else { return };
    for (name, n, entries, _, _) in MATRICES {
        let a = read(&folder, name);
        assert_eq!((a.rows, a.cols, a.nnz()), (n, n, entries), "{name}");
    }
}

#[test]
fn systems_with_a_known_solution() {
    let Some(folder) = folder() else { return };
    for (name, n, _, _, condition) in MATRICES {
        let (a, b) = exact_rows(&read(&folder, name));
        let got = solve_linear(&Matrix::Sparse(a), &b).expect("answered");
        let off = got.x.iter().map(|v| (v - 1.0).powi(2)).sum::<f64>().sqrt() / (n as f64).sqrt();
        let stated = got.error.value;
        assert!(
            off <= stated,
            "{name}: error {off:.1e} above the stated {stated:.1e} ({})",
            got.method
        );
        // A condition beyond working precision may be said to be that; all others are solved to the last digits.
        assert!(off <= 1e-15 || condition > 1e13, "{name}: {off:.1e} ({})", got.method);
        assert!(
            stated <= 1e-13 || condition > 1e13,
            "{name}: stated {stated:.1e} ({})",
            got.method
        );
    }
}

/// The recorded errors come from SuperLU on the same A 1 = b, where the rounding of b is part of the error.
#[test]
fn errors_are_no_larger_than_the_recorded_ones() {
    let Some(folder) = folder() else { return };
    let text = std::fs::read_to_string(folder.join("reference.json")).expect("text");
    let recorded: serde_json::Value = serde_json::from_str(&text).expect("JSON");
    for (name, n, _, _, _) in MATRICES {
        let bar = recorded[name]["superlu_forward_error_for_ones"]
            .as_f64()
            .expect("a recorded error");
        let a = read(&folder, name);
        let mut b = vec![0.0; n];
        a.mul_vec(&vec![1.0; n], &mut b);
        let got = solve_linear(&Matrix::Sparse(a), &b).expect("answered");
        let off = got.x.iter().map(|v| (v - 1.0).powi(2)).sum::<f64>().sqrt() / (n as f64).sqrt();
        assert!(off <= bar + 1e-15, "{name}: {off:.1e}, recorded {bar:.1e}");
    }
}
