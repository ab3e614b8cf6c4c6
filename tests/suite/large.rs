//! Large sparse data stay sparse on every way through a program: 150 000 unknowns would be 180 GB written out.

use std::fmt::Write;

use super::harness::{run, session};

const N: usize = 150_000;

/// The second difference with 2.5 on the diagonal, as a Matrix Market file.
fn second_difference() -> String {
    let mut text = format!("%%MatrixMarket matrix coordinate real general\n{N} {N} {}\n", 3 * N - 2);
    for i in 1..=N {
        for j in i.max(2) - 1..=(i + 1).min(N) {
            let v = if i == j { 2.5 } else { -1.0 };
            writeln!(text, "{i} {j} {v}").expect("to memory");
        }
    }
    text
}

#[test]
fn a_sparse_matrix_is_never_written_out() {
    let folder = tempfile::tempdir().expect("a folder");
    std::fs::write(folder.path().join("A.mtx"), second_difference()).expect("written");
    let mut s = session(folder.path());
    let mut shown = |text: &str| {
        let ran = run(&mut s, "large.opt", text);
        (ran.shown, ran.codes)
    };
    let (text, codes) = shown("param A: Symmetric[n] in [-1, 2.5] = read(\"A.mtx\")\nprint A\n");
    assert!(codes.is_empty() && text.contains("449998 entries"), "{text}");
    // Far from its ends the solution of A x = 1 is 1/(2.5 - 2) = 2: half of -1'x is -n up to what the ends take.
    let (text, codes) = shown(
        "problem energy {\n  var x: Vector[n]\n  minimize 1/2*quad(x, A) - sum(x)\n}\ns = solve energy\n\
         assert s.x[75000] == 2 within 1e-9\nassert s.objective == -150000 within 5\n",
    );
    assert!(codes.is_empty() && text.contains("optimal"), "{text}");
    let (text, codes) = shown("param B: Matrix[m, k] > 0 = read(\"A.mtx\")\n");
    assert!(
        codes.iter().any(|c| c.id() == "R0303") && text.contains("B[1, 2]"),
        "{text}"
    );
    let (text, codes) = shown("write A to \"A.csv\"\n");
    assert!(
        codes.iter().any(|c| c.id() == "R0607") && text.contains(".mtx"),
        "{text}"
    );
    let (text, codes) = shown("write A to \"copy.mtx\"\n");
    assert!(codes.is_empty(), "{text}");
}
