//! Least squares kept as least squares: weighted squares of affine scalars as the rows of one matrix.
//!
//! Invariant: rows are scaled by the square root of their weight over the first one, so that equal weights (the usual
//! case) leave every entry as it is; no product `A'A` is formed.

use ravine_linalg::{Csr, Matrix};

use super::conic::SquareTerm;
use super::rows::{List, Memo, NoRows, RowSet, RowsBuilder, RowsProgram};
use crate::exec::Fault;

/// `minimize ‖A x - b‖² + constant` as a program of the parameters.
#[derive(Clone, Debug)]
pub struct LeastSquares {
    /// The rows.
    pub rows: RowsProgram,
    terms: Vec<(RowSet, List)>,
}

/// Share of entries above which a matrix is factored as a dense one.
const DENSE_SHARE: f64 = 0.2;
/// Columns up to which it is anyway.
const DENSE_COLUMNS: usize = 64;

/// Bound data.
pub struct BoundLeastSquares {
    /// The matrix, one row for each square; dense where a factorization of dense storage is the faster one.
    pub a: Matrix,
    /// The right side.
    pub b: Vec<f64>,
    /// A weight was negative: not a sum of squares.
    pub negative_weight: bool,
    /// Weights differ, so that entries were rounded when rows were scaled.
    pub rounded: bool,
}

impl LeastSquares {
    /// From the squares of an objective.
    pub fn new(mut b: RowsBuilder<'_>, squares: &[SquareTerm]) -> Result<LeastSquares, NoRows> {
        let mut terms = vec![];
        for t in squares {
            let rows = b.rows(t.domain, t.body)?;
            terms.push((rows, b.list(t.domain, t.weight)));
        }
        Ok(LeastSquares {
            rows: b.finish(),
            terms,
        })
    }
    /// Evaluates matrix and right side for the bound parameters.
    pub fn data(&mut self) -> Result<BoundLeastSquares, Fault> {
        self.rows.eval(&vec![0.0; self.rows.width()])?;
        if let Some(plain) = self.plain() {
            return Ok(plain);
        }
        let mut memo = Memo::default();
        let mut a = Csr::zeros(0, self.rows.width());
        let mut b = vec![];
        let mut negative_weight = false;
        let mut rounded = false;
        let mut unit: Option<f64> = None;
        for (set, weight) in &self.terms {
            let w: Vec<f64> = self.rows.values(*weight).to_vec();
            negative_weight |= w.iter().any(|w| *w < 0.0);
            let unit = *unit.get_or_insert(w.iter().copied().find(|w| *w > 0.0).unwrap_or(1.0));
            let s: Vec<f64> = w.iter().map(|w| (w.max(0.0) / unit).sqrt()).collect();
            let mut j = self.rows.jacobian(*set, &mut memo);
            if s.iter().any(|s| *s != 1.0) {
                rounded = true;
                j.scale_rows(&s);
            }
            a = a.stack(&j);
            b.extend(self.rows.body(*set).iter().zip(&s).map(|(c, s)| -c * s));
        }
        Ok(BoundLeastSquares {
            a: if as_dense(a.rows, a.cols, a.nnz()) {
                Matrix::Dense(a.to_dense())
            } else {
                Matrix::Sparse(a)
            },
            b,
            negative_weight,
            rounded,
        })
    }

    /// The data of `‖A x − b‖²` with one dense matrix, as they stand.
    fn plain(&self) -> Option<BoundLeastSquares> {
        let [(set, weight)] = &self.terms[..] else { return None };
        let w = self.rows.values(*weight);
        let unit = *w.first().filter(|w| **w > 0.0)?;
        let a = w
            .iter()
            .all(|v| *v == unit)
            .then(|| self.rows.dense_rows(*set))
            .flatten()?;
        let held = a.data.iter().filter(|v| **v != 0.0).count();
        as_dense(a.rows, a.cols, held).then(|| BoundLeastSquares {
            b: self.rows.body(*set).iter().map(|c| -c).collect(),
            a: Matrix::Dense(a),
            negative_weight: false,
            rounded: false,
        })
    }
}

/// Is a matrix with these many entries that are not 0 factored as a dense one?
fn as_dense(rows: usize, cols: usize, held: usize) -> bool {
    cols <= DENSE_COLUMNS || held as f64 > DENSE_SHARE * (rows as f64) * (cols as f64)
}
