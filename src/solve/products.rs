//! Equations known by products only, as an oracle: right side, `A x` and `A'y`.
//!
//! Invariant: a product that is not finite is a fault; every product is counted.

use ravine_linalg::operator::LinearMap;

use super::{Class, Counts, Fault, Needs, Oracle};
use crate::forms::products::Products;

/// Bound equations.
pub struct ByProducts {
    /// Least squares or a linear system.
    pub class: Class,
    /// The products.
    pub products: Products,
    /// The right side.
    pub b: Vec<f64>,
    /// Products made.
    pub counts: Counts,
}

impl Oracle for ByProducts {
    fn dim(&self) -> usize {
        self.products.cols()
    }
    fn class(&self) -> Class {
        self.class
    }
    fn offers(&self) -> Needs {
        Needs::FORM
    }
    fn convex(&self) -> bool {
        true
    }
    fn right_side(&self) -> Option<&[f64]> {
        Some(&self.b)
    }
    fn product(&mut self, v: &[f64], transposed: bool, out: &mut [f64]) -> Result<(), Fault> {
        self.counts.products += 1;
        if transposed {
            self.products.adjoint(v, out);
        } else {
            self.products.apply(v, out);
        }
        let message = match self.products.fault.take() {
            Some(f) => f.what,
            None if out.iter().all(|v| v.is_finite()) => return Ok(()),
            None => String::new(),
        };
        Err(Fault::NotFinite {
            what: "product with the operator".into(),
            index: None,
            node: None,
            message,
        })
    }
    fn counts(&self) -> Counts {
        self.counts
    }
}

/// The equations of an oracle as a map; what went wrong stays in `fault`, and the product is then no number.
pub struct OracleMap<'a> {
    problem: &'a mut dyn Oracle,
    rows: usize,
    cols: usize,
    /// The first fault.
    pub fault: Option<Fault>,
}

impl<'a> OracleMap<'a> {
    /// Of equations with so many rows.
    pub fn new(problem: &'a mut dyn Oracle, rows: usize) -> Self {
        let cols = problem.dim();
        OracleMap {
            problem,
            rows,
            cols,
            fault: None,
        }
    }
    fn product(&mut self, v: &[f64], transposed: bool, out: &mut [f64]) {
        if let Err(f) = self.problem.product(v, transposed, out) {
            self.fault.get_or_insert(f);
            out.fill(f64::NAN);
        }
    }
}

impl LinearMap for OracleMap<'_> {
    fn rows(&self) -> usize {
        self.rows
    }
    fn cols(&self) -> usize {
        self.cols
    }
    fn apply(&mut self, x: &[f64], y: &mut [f64]) {
        self.product(x, false, y);
    }
    fn adjoint(&mut self, y: &[f64], x: &mut [f64]) {
        self.product(y, true, x);
    }
}
