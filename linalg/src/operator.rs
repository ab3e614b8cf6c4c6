//! Linear maps known by their action and that of their adjoint.
//!
//! Invariant: `apply` and `adjoint` are linear, and adjoint to one another; nothing else is assumed of a map.

use crate::dense::Dense;
use crate::matrix::Matrix;
use crate::reduce::{dot, norm2};
use crate::refine::sign;
use crate::sparse::Csr;

/// A map from vectors of length `cols` to vectors of length `rows`. What it writes may be kept between calls, hence
/// `&mut self`; the numbers may not depend on earlier calls.
pub trait LinearMap {
    /// Length of what it gives.
    fn rows(&self) -> usize;
    /// Length of what it takes.
    fn cols(&self) -> usize;
    /// y = A x.
    fn apply(&mut self, x: &[f64], y: &mut [f64]);
    /// x = A' y.
    fn adjoint(&mut self, y: &[f64], x: &mut [f64]);
}

macro_rules! matrix_map {
    ($t:ty, $rows:expr, $cols:expr) => {
        impl LinearMap for &$t {
            fn rows(&self) -> usize {
                $rows(self)
            }
            fn cols(&self) -> usize {
                $cols(self)
            }
            fn apply(&mut self, x: &[f64], y: &mut [f64]) {
                self.mul_vec(x, y);
            }
            fn adjoint(&mut self, y: &[f64], x: &mut [f64]) {
                self.mul_vec_transposed(y, x);
            }
        }
    };
}

matrix_map!(Matrix, |a: &Matrix| Matrix::rows(a), |a: &Matrix| Matrix::cols(a));
matrix_map!(Csr, |a: &&Csr| a.rows, |a: &&Csr| a.cols);
matrix_map!(Dense, |a: &&Dense| a.rows, |a: &&Dense| a.cols);

/// A diag(s), with nothing formed: what scaling the columns of A by `s` makes of it.
pub struct ColumnsScaled<'a> {
    /// The map.
    pub map: &'a mut dyn LinearMap,
    /// One factor per column.
    pub by: &'a [f64],
    scaled: Vec<f64>,
}

impl<'a> ColumnsScaled<'a> {
    /// Scales the columns of a map.
    pub fn new(map: &'a mut dyn LinearMap, by: &'a [f64]) -> Self {
        ColumnsScaled {
            map,
            by,
            scaled: vec![],
        }
    }
}

impl LinearMap for ColumnsScaled<'_> {
    fn rows(&self) -> usize {
        self.map.rows()
    }
    fn cols(&self) -> usize {
        self.map.cols()
    }
    fn apply(&mut self, x: &[f64], y: &mut [f64]) {
        self.scaled.clear();
        self.scaled.extend(x.iter().zip(self.by).map(|(x, s)| x * s));
        self.map.apply(&self.scaled, y);
    }
    fn adjoint(&mut self, y: &[f64], x: &mut [f64]) {
        self.map.adjoint(y, x);
        x.iter_mut().zip(self.by).for_each(|(x, s)| *x *= s);
    }
}

/// The largest `|<A x, y> - <x, A' y>|` over a few fixed vectors, relative to `|A x| |y| + |x| |A' y|`: about the unit
/// roundoff times the work of a product if the two are adjoint, of order 1 if not.
pub fn adjoint_mismatch(map: &mut dyn LinearMap) -> f64 {
    const PROBES: usize = 3;
    let (m, n) = (map.rows(), map.cols());
    let mut worst = 0.0f64;
    for probe in 0..PROBES {
        // Signs alone would not see an error that a power of two hides.
        let x: Vec<f64> = (0..n)
            .map(|i| sign(i, 2 * probe) * (1.0 + (i % 7) as f64 / 5.0))
            .collect();
        let y: Vec<f64> = (0..m)
            .map(|i| sign(i, 2 * probe + 1) * (1.0 + (i % 5) as f64 / 3.0))
            .collect();
        let (mut ax, mut aty) = (vec![0.0; m], vec![0.0; n]);
        map.apply(&x, &mut ax);
        map.adjoint(&y, &mut aty);
        let (left, right) = (dot(&ax, &y), dot(&x, &aty));
        let size = norm2(&ax) * norm2(&y) + norm2(&x) * norm2(&aty);
        let off = if size > 0.0 { (left - right).abs() / size } else { 0.0 };
        worst = if off.is_nan() { f64::INFINITY } else { worst.max(off) };
    }
    worst
}
