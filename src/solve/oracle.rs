//! What a method may ask of a problem: values, derivatives, bounds, or a canonical form.
//!
//! Invariant: every answer is finite or a `Fault`; every evaluation is counted; answers depend on the point alone.

use std::sync::Arc;

use ravine_linalg::clarabel_adapter::ConicForm;
use ravine_linalg::{Csr, Matrix};
use serde::{Deserialize, Serialize};

use super::composite::Parts;
use super::method::{Class, Fault, Needs};
use super::vectors::Kkt;
use crate::base::Tensor;
use crate::base::value::IndexSet;
use crate::ir::script::Of;
use crate::ir::{InputId, Ir, NodeId};

/// Evaluations made so far.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Counts {
    /// Objective values.
    pub values: u64,
    /// Gradients.
    pub gradients: u64,
    /// Hessian-vector products.
    pub products: u64,
    /// Hessians.
    pub hessians: u64,
    /// Gradients on mini-batches.
    #[serde(default)]
    pub batches: u64,
    /// Values on mini-batches.
    #[serde(default)]
    pub batch_values: u64,
    /// Terms that mini-batches evaluated.
    #[serde(default)]
    pub terms: u64,
    /// Constraints or residuals as a whole.
    #[serde(default)]
    pub vectors: u64,
    /// Jacobians of them.
    #[serde(default)]
    pub jacobians: u64,
    /// Hessian-vector products on mini-batches.
    #[serde(default)]
    pub part_products: u64,
    /// Evaluations of any kind that only a stop or a record asked for: part of none of the others.
    #[serde(default)]
    pub beside: u64,
}

impl Counts {
    /// All evaluations of the steps, each counting one.
    pub fn total(&self) -> u64 {
        let products = self.products + self.part_products;
        let batches = self.batches + self.batch_values;
        self.values + self.gradients + products + self.hessians + batches + self.vectors + self.jacobians
    }
    /// Passes over the data: a value and a gradient at one point share one, mini-batches are their part of `terms`.
    pub fn passes(&self, terms: Option<usize>) -> f64 {
        let vectors = self.vectors.max(self.jacobians);
        let whole = (self.values.max(self.gradients) + self.products + self.hessians + vectors) as f64;
        whole + terms.map_or(0.0, |n| self.terms as f64 / n.max(1) as f64)
    }
    /// Terms of a finite sum of `n` that were evaluated: those of mini-batches, and all of them wherever the whole sum was; a
    /// value and a gradient are taken to be of one point.
    pub fn terms_seen(&self, n: usize) -> u64 {
        let whole = self.gradients.max(self.values) + self.hessians;
        self.terms.saturating_add(whole.saturating_mul(n as u64))
    }
    /// Those made since `earlier`.
    pub fn since(&self, earlier: &Counts) -> Counts {
        Counts {
            values: self.values.saturating_sub(earlier.values),
            gradients: self.gradients.saturating_sub(earlier.gradients),
            products: self.products.saturating_sub(earlier.products),
            hessians: self.hessians.saturating_sub(earlier.hessians),
            batches: self.batches.saturating_sub(earlier.batches),
            batch_values: self.batch_values.saturating_sub(earlier.batch_values),
            terms: self.terms.saturating_sub(earlier.terms),
            vectors: self.vectors.saturating_sub(earlier.vectors),
            jacobians: self.jacobians.saturating_sub(earlier.jacobians),
            part_products: self.part_products.saturating_sub(earlier.part_products),
            beside: self.beside.saturating_sub(earlier.beside),
        }
    }
    /// So many times as much.
    pub fn times(&self, n: u64) -> Counts {
        Counts {
            values: self.values * n,
            gradients: self.gradients * n,
            products: self.products * n,
            hessians: self.hessians * n,
            batches: self.batches * n,
            batch_values: self.batch_values * n,
            terms: self.terms * n,
            vectors: self.vectors * n,
            jacobians: self.jacobians * n,
            part_products: self.part_products * n,
            beside: self.beside * n,
        }
    }
    /// Both together.
    pub fn plus(&self, other: &Counts) -> Counts {
        Counts {
            values: self.values + other.values,
            gradients: self.gradients + other.gradients,
            products: self.products + other.products,
            hessians: self.hessians + other.hessians,
            batches: self.batches + other.batches,
            batch_values: self.batch_values + other.batch_values,
            terms: self.terms + other.terms,
            vectors: self.vectors + other.vectors,
            jacobians: self.jacobians + other.jacobians,
            part_products: self.part_products + other.part_products,
            beside: self.beside + other.beside,
        }
    }
}

/// An objective and its gradient as programs.
pub struct Formula<'a> {
    /// Where they live.
    pub ir: &'a Ir,
    /// The objective.
    pub objective: NodeId,
    /// Parts of the gradient: node, first coordinate, number of coordinates. Zero elsewhere.
    pub gradient: &'a [(NodeId, usize, usize)],
    /// The variables: input, first coordinate, number of coordinates.
    pub blocks: &'a [(InputId, usize, usize)],
    /// Bound parameters.
    pub bound: &'a [(InputId, Arc<Tensor>)],
    /// Can the gradient be finite where the objective is not defined?
    pub partial: bool,
}

/// Bounds by coordinate; `±∞` where there is none.
#[derive(Clone, Debug, PartialEq)]
pub struct Bounds {
    /// Lower bounds.
    pub lower: Vec<f64>,
    /// Upper bounds, each at least the lower one.
    pub upper: Vec<f64>,
    /// The natural size of each coordinate, in which its slope is measured; empty where none is declared.
    pub units: Vec<f64>,
}

impl Bounds {
    /// Is any bound finite?
    pub fn any(&self) -> bool {
        self.lower.iter().any(|l| *l > f64::NEG_INFINITY) || self.upper.iter().any(|u| *u < f64::INFINITY)
    }
    /// The unit of coordinate `i`: as declared, else 1, or the distance between its bounds where that is less. In a narrow
    /// box every step is short, which says nothing of the slope.
    pub fn unit(&self, i: usize) -> f64 {
        let declared = self.units.get(i).copied().unwrap_or(1.0);
        declared.min(self.upper[i] - self.lower[i])
    }
    /// The nearest value within the bounds of coordinate `i`.
    pub fn clamp(&self, i: usize, v: f64) -> f64 {
        v.max(self.lower[i]).min(self.upper[i])
    }
}

/// The data of a problem in canonical form.
#[derive(Clone, Debug)]
pub enum Form {
    /// `A x = b` with `A` square, or `min ‖A x − b‖₂²` otherwise; among several the shortest `x`.
    LeastSquares {
        /// The matrix.
        a: Matrix,
        /// The right side, as long as `a` has rows.
        b: Vec<f64>,
    },
    /// `min ½ xᵀP x + qᵀx + constant` subject to `A x + s = b`, `s` in a cone.
    Conic {
        /// Cost, rows and cones.
        form: ConicForm,
        /// Constant of the objective: relative gaps are relative to the user's own value.
        constant: f64,
    },
}

/// A problem known by its form only: it has no functions to evaluate.
#[derive(Clone, Debug)]
pub struct FormOracle {
    /// Class as proved.
    pub class: Class,
    /// The form.
    pub form: Form,
}

impl Oracle for FormOracle {
    fn dim(&self) -> usize {
        match &self.form {
            Form::LeastSquares { a, .. } => a.cols(),
            Form::Conic { form, .. } => form.q.len(),
        }
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
    fn form(&self) -> Option<&Form> {
        Some(&self.form)
    }
    fn counts(&self) -> Counts {
        Counts::default()
    }
}

/// A bound problem as a method sees it. The objective is minimized. What an oracle does not offer it refuses.
pub trait Oracle {
    /// Number of coordinates.
    fn dim(&self) -> usize;
    /// Class as proved.
    fn class(&self) -> Class;
    /// What it can answer.
    fn offers(&self) -> Needs;
    /// Is the objective known to be convex (proved, or checked on the data)?
    fn convex(&self) -> bool {
        false
    }
    /// May the objective have kinks, although derivatives are offered?
    fn kinks(&self) -> bool {
        false
    }
    /// Bounds on the coordinates, if the class has any.
    fn bounds(&self) -> Option<Arc<Bounds>> {
        None
    }
    /// A value below which the objective is known not to fall.
    fn known_lower_bound(&self) -> Option<f64> {
        None
    }
    /// The objective at `x`.
    fn value(&mut self, _x: &[f64]) -> Result<f64, Fault> {
        Err(Fault::NotOffered("values".into()))
    }
    /// The gradient at `x` into `g`.
    fn gradient(&mut self, _x: &[f64], _g: &mut [f64]) -> Result<(), Fault> {
        Err(Fault::NotOffered("gradients".into()))
    }
    /// The same between arrays that may be exchanged for the time of the call instead of copied.
    fn gradient_between(&mut self, x: &mut Vec<f64>, g: &mut Vec<f64>) -> Result<(), Fault> {
        self.gradient(x, g)
    }
    /// Objective and gradient as programs that others may unroll; who evaluates them tells by [`Oracle::tally`].
    fn formula(&self) -> Option<Formula<'_>> {
        None
    }
    /// The size of the objective at its declared start and of its changes from there, where that is below 1: what is small by
    /// nature is not taken for zero. 1 elsewhere.
    fn unit(&self) -> f64 {
        1.0
    }
    /// Counts evaluations of the formula.
    fn tally(&mut self, _made: &Counts) {}
    /// Takes evaluations out of the count of the steps: only a stop or a record asked for them.
    fn set_aside(&mut self, _made: &Counts) {}
    /// Value and gradient together, where that is cheaper.
    fn value_gradient(&mut self, x: &[f64], g: &mut [f64]) -> Result<f64, Fault> {
        let f = self.value(x)?;
        self.gradient(x, g)?;
        Ok(f)
    }
    /// `∇²f(x) v` into `out`.
    fn hvp(&mut self, _x: &[f64], _v: &[f64], _out: &mut [f64]) -> Result<(), Fault> {
        Err(Fault::NotOffered("Hessian-vector products".into()))
    }
    /// The nearest point that satisfies the bounds.
    fn project(&mut self, x: &mut [f64]) -> Result<(), Fault> {
        if let Some(b) = self.bounds() {
            for (i, v) in x.iter_mut().enumerate() {
                *v = b.clamp(i, *v);
            }
        }
        Ok(())
    }
    /// Says which set's sum mini-batches are drawn from, the only one there is if none is named; and whether they have a few
    /// sizes only, for each of which a program is worth its while.
    fn sample_over(&mut self, _set: Option<&IndexSet>, _sizes_vary: bool) {}
    /// The smooth part of the objective; all of it where nothing is split off.
    fn smooth_value(&mut self, x: &[f64]) -> Result<f64, Fault> {
        self.value(x)
    }
    /// Value and gradient of the smooth part.
    fn smooth_value_gradient(&mut self, x: &[f64], g: &mut [f64]) -> Result<f64, Fault> {
        self.value_gradient(x, g)
    }
    /// The proximal point of `t` times the simple part: the nearest feasible point where there are no penalties.
    fn prox(&mut self, x: &mut [f64], _t: f64) -> Result<(), Fault> {
        self.project(x)
    }
    /// The bound parts, where the objective is split into a smooth and a simple one.
    fn parts(&self) -> Option<Arc<Parts>> {
        None
    }
    /// Number of terms, if the objective is a sum or mean over one set that can be sampled.
    fn terms(&self) -> Option<usize> {
        None
    }
    /// An unbiased estimate of the objective and, into `g`, of its gradient, from the given terms (positions from 0, with
    /// repetitions). Counts a gradient on a batch, and its terms.
    fn value_gradient_on(&mut self, _x: &[f64], _terms: &[f64], _g: &mut [f64]) -> Result<f64, Fault> {
        Err(Fault::NotOffered("mini-batches".into()))
    }
    /// The estimate of the objective alone. Counts a value on a batch, and its terms.
    fn value_on(&mut self, x: &[f64], terms: &[f64]) -> Result<f64, Fault> {
        let mut g = vec![0.0; x.len()];
        self.value_gradient_on(x, terms, &mut g)
    }
    /// An unbiased estimate of `∇²f(x) v` into `out`, from the given terms. Counts one product and its terms.
    fn hvp_on(&mut self, _x: &[f64], _v: &[f64], _terms: &[f64], _out: &mut [f64]) -> Result<(), Fault> {
        Err(Fault::NotOffered("Hessian-vector products on mini-batches".into()))
    }
    /// Constraints or residuals at `x` into `out`.
    fn vector(&mut self, of: Of, _x: &[f64], _out: &mut [f64]) -> Result<(), Fault> {
        Err(Fault::NotOffered(of.word().into()))
    }
    /// The Jacobian of constraints or residuals at `x`: one row for each value.
    fn jacobian(&mut self, of: Of, _x: &[f64]) -> Result<&Csr, Fault> {
        Err(Fault::NotOffered(format!("Jacobian of {}", of.word())))
    }
    /// `J v` into `out`, or `J' v` if it is transposed. Counts one product.
    fn jacobian_product(
        &mut self,
        of: Of,
        _x: &[f64],
        _v: &[f64],
        _transposed: bool,
        _out: &mut [f64],
    ) -> Result<(), Fault> {
        Err(Fault::NotOffered(format!("Jacobian of {}", of.word())))
    }
    /// 1 for the rows of the constraints that are equations, 0 for the others, into `out`.
    fn equations(&mut self, _x: &[f64], _out: &mut [f64]) -> Result<(), Fault> {
        Err(Fault::NotOffered("constraints".into()))
    }
    /// First-order conditions at `x`, where the objective has the gradient `g`, of a problem whose constraints a method of
    /// values and gradients was asked to heed itself.
    fn kkt(&mut self, _x: &[f64], _g: &[f64]) -> Option<Result<Kkt, Fault>> {
        None
    }
    /// Lower triangle of `∇²f(x)`, diagonal included, by rows; `out` keeps its storage where it already has the
    /// pattern. The pattern does not depend on `x`.
    fn hessian(&mut self, _x: &[f64], _out: &mut Csr) -> Result<(), Fault> {
        Err(Fault::NotOffered("Hessian".into()))
    }
    /// Entries of the Hessian's lower triangle, where known without evaluating it.
    fn hessian_entries(&self) -> Option<usize> {
        None
    }
    /// The canonical form, for methods that take one.
    fn form(&self) -> Option<&Form> {
        None
    }
    /// The right side of equations that are known by products only.
    fn right_side(&self) -> Option<&[f64]> {
        None
    }
    /// `A v`, or `A'v` where `transposed`, of such equations.
    fn product(&mut self, _v: &[f64], _transposed: bool, _out: &mut [f64]) -> Result<(), Fault> {
        Err(Fault::NotOffered("products with a matrix".into()))
    }
    /// Evaluations so far.
    fn counts(&self) -> Counts;
}
