//! How far the sizes of a problem's coefficients lie apart.
//!
//! Invariant: looks at the form that is solved, for the values of the parameters given; changes nothing but what is bound.

use std::sync::Arc;

use ravine_linalg::Matrix;

use super::classify::Kind;
use super::compiled::Compiled;
use crate::base::Tensor;
use crate::exec::Fault;
use crate::ir::InputId;

/// Smallest and largest size of the coefficients of one part that are neither zero nor infinite.
#[derive(Clone, Debug, PartialEq)]
pub struct Range {
    /// `objective`, `matrix`, `right-hand sides`, `bounds`.
    pub part: &'static str,
    /// Smallest size.
    pub least: f64,
    /// Largest size.
    pub most: f64,
}

fn range<'a>(part: &'static str, values: impl IntoIterator<Item = &'a f64>) -> Option<Range> {
    let sizes = values.into_iter().map(|v| v.abs());
    let sizes = sizes.filter(|v| *v > 0.0 && v.is_finite());
    sizes.fold(None, |r: Option<Range>, v| {
        let (least, most) = r.map_or((v, v), |r| (r.least.min(v), r.most.max(v)));
        Some(Range { part, least, most })
    })
}

impl Compiled {
    /// The ranges of the parts that have coefficients. A smooth problem has those of its bounds only.
    pub fn ranges(&mut self, params: &[(InputId, Arc<Tensor>)]) -> Result<Vec<Range>, Fault> {
        self.model.bind(params)?;
        let (l, u) = self.model.bounds();
        let bounds = range("bounds", l.iter().chain(&u));
        let parts = match &mut self.kind {
            Kind::LeastSquares(ls) => {
                ls.rows.bind(params);
                let data = ls.data()?;
                let entries = match &data.a {
                    Matrix::Dense(a) => &a.data,
                    Matrix::Sparse(a) => &a.values,
                };
                vec![range("matrix", entries), range("right-hand sides", &data.b)]
            }
            Kind::Conic(program) => {
                program.rows.bind(params);
                let bound = program.data(&l, &u)?;
                let f = &bound.form;
                // The rows behind the last group are the bounds.
                let rows = bound.spans.iter().map(|s| s.0 + s.1).max().unwrap_or(0);
                let entries = f.a.indptr.get(rows).map_or(0, |e| *e);
                vec![
                    range("objective", f.q.iter().chain(&f.p.values)),
                    range("matrix", &f.a.values[..entries]),
                    range("right-hand sides", &f.b[..rows.min(f.b.len())]),
                ]
            }
            Kind::Products(_) | Kind::Smooth(_) | Kind::Composite(..) => vec![],
        };
        Ok(parts.into_iter().chain([bounds]).flatten().collect())
    }
}
