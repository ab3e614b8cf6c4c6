//! Row and column scalings that bring every row and column to the same size.
//!
//! Invariant: factors are positive powers of two, so applying and undoing a scaling is exact.
//!
//! Source: D. Ruiz, "A scaling algorithm to equilibrate both rows and columns norms in matrices", RAL-TR-2001-034.

use crate::fault::NumericalFault;
use crate::matrix::Matrix;

/// Sweeps: each halves the imbalance of the exponents, and doubles span about 2^11 of them.
const SWEEPS: usize = 20;

/// Factors such that diag(rows) A diag(cols) has largest entries near 1 in every row and column.
#[derive(Clone, Debug, PartialEq)]
pub struct Equilibration {
    /// One factor per row.
    pub rows: Vec<f64>,
    /// One factor per column.
    pub cols: Vec<f64>,
}

/// Equilibrates in the largest absolute value: each ends between 1/4 and 4. Rows and columns of zeros keep factor 1.
pub fn equilibrate(a: &Matrix) -> Result<Equilibration, NumericalFault> {
    a.check_finite()?;
    let a = a.to_sparse();
    // Work on exponents: sums instead of products, and no overflow on the way.
    let log: Vec<(usize, usize, f64)> = a
        .triplets()
        .filter(|e| e.2 != 0.0)
        .map(|(i, j, v)| (i, j, crate::math::log2(v.abs())))
        .collect();
    let (mut r, mut c) = (vec![0.0f64; a.rows], vec![0.0f64; a.cols]);
    for _ in 0..SWEEPS {
        let (mut row, mut col) = (vec![f64::NEG_INFINITY; a.rows], vec![f64::NEG_INFINITY; a.cols]);
        for &(i, j, v) in &log {
            let now = v + r[i] + c[j];
            row[i] = row[i].max(now);
            col[j] = col[j].max(now);
        }
        let ease = |f: &mut [f64], by: &[f64]| {
            f.iter_mut()
                .zip(by)
                .filter(|e| e.1.is_finite())
                .for_each(|(f, b)| *f -= b / 2.0);
        };
        ease(&mut r, &row);
        ease(&mut c, &col);
    }
    let power = |e: &f64| f64::from_bits(((1023 + e.round().clamp(-1022.0, 1023.0) as i64) as u64) << 52);
    Ok(Equilibration {
        rows: r.iter().map(power).collect(),
        cols: c.iter().map(power).collect(),
    })
}
