//! Composite problems as an oracle: the smooth part by value and gradient, the simple part by its proximal point.
//!
//! Invariant: `value` is the whole objective as the user wrote it, `gradient` that of the smooth part alone; what a bound
//! form has is computed once for each binding.

use std::sync::Arc;

use ravine_linalg::Csr;
use ravine_linalg::reduce::{norm_inf, sum_by, sumsq};

use super::smooth::Smooth;
use super::{Bounds, Class, Counts, Fault, Needs, Oracle};
use crate::base::Tensor;
use crate::base::value::IndexSet;
use crate::exec::{Machine, Plan};
use crate::forms::composite::{self, NotBound, Quadratic, Split};
use crate::forms::conic::NotConic;
use crate::forms::rows::Columns;
use crate::forms::simple::Simple;
use crate::ir::{InputId, Ir, NodeId};

/// The bound parts of a composite problem.
#[derive(Clone, Debug, Default)]
pub struct Parts {
    /// Penalties, bounds and sets.
    pub simple: Simple,
    /// The smooth part, where it is a quadratic.
    pub quadratic: Option<Quadratic>,
    /// A value below which the smooth part does not fall.
    pub floor: Option<f64>,
    /// Is the smooth part convex?
    pub convex: bool,
}

/// First-order measures at a point.
#[derive(Clone, Copy, Debug)]
pub struct Optimality {
    /// Largest entry of `(prox_t(x - t g) - x)/t` for a step that moves no entry further than the point is large.
    pub stationarity: f64,
    /// `unit + |g|` by the largest entry; the unit is 1, or the size of the squares at zero where that is less.
    pub scale: f64,
    /// An upper bound of `F(x) - min F`, over `unit + |F(x)|`; NaN where nothing bounds it.
    pub gap: f64,
}

impl Parts {
    /// Measures at `x`, where the smooth part has the gradient `g` and the whole the value `whole`.
    pub fn optimality(&self, x: &[f64], g: &[f64], whole: f64) -> Optimality {
        let room = self.floor.map(|low| whole - low);
        let gap = if self.convex { self.simple.gap(x, g, room) } else { None };
        // Of a longer step a set shows its own size alone, which says nothing where slopes are steeper than that.
        let far = (1.0 + norm_inf(x)).min(self.simple.extent());
        let t = (far / norm_inf(g)).min(1.0);
        Optimality {
            stationarity: norm_inf(&self.simple.residual(x, g, t)),
            scale: self.unit() + norm_inf(g),
            gap: gap.map_or(f64::NAN, |v| v / (self.unit() + whole.abs())),
        }
    }

    /// What the objective is measured in: answers do not depend on the units of squares.
    pub fn unit(&self) -> f64 {
        let size = self.quadratic.as_ref().map(|q| q.scale * sumsq(&q.b));
        size.filter(|s| *s > 0.0).map_or(1.0, |s| s.min(1.0))
    }
}

/// A smooth part with simple penalties and sets.
pub struct Composite {
    /// The smooth part.
    pub smooth: Smooth,
    whole: Machine,
    columns: Columns,
    pub(super) form: composite::Composite,
    /// The bound parts.
    pub parts: Arc<Parts>,
    values: u64,
    /// Penalties in words.
    pub words: Vec<String>,
}

impl Composite {
    /// Compiles a split objective whose sum is `root`.
    pub fn new(ir: &mut Ir, root: NodeId, split: &Split, columns: &Columns) -> Result<Composite, NotConic> {
        let mut smooth = Smooth::new(ir, split.smooth, columns.clone()).map_err(|e| NotConic {
            node: e.node,
            why: format!("`{}` has no derivative here: {}", e.atom, e.reason),
        })?;
        smooth.class = Class::Composite;
        let form = composite::Composite::new(ir, split, columns)?;
        let whole = Machine::new(Arc::new(Plan::compile(ir, &[root])));
        Ok(Composite {
            smooth,
            whole,
            columns: columns.clone(),
            form,
            parts: Arc::default(),
            values: 0,
            words: split.words.clone(),
        })
    }

    /// Binds parameters and bounds; the sentence says why the data do not have the form.
    pub fn bind(
        &mut self,
        params: &[(InputId, Arc<Tensor>)],
        lower: Vec<f64>,
        upper: Vec<f64>,
    ) -> Result<(), NotBound> {
        self.smooth.bind(params);
        for (i, t) in params {
            self.whole.set(*i, t.clone());
        }
        self.smooth.bounds = Arc::new(Bounds {
            lower: lower.clone(),
            upper: upper.clone(),
            units: vec![],
        });
        self.form.bind(params)?;
        self.parts = Arc::new(Parts {
            simple: self.form.simple(lower, upper)?,
            quadratic: self.form.quadratic(),
            floor: self.smooth.lower_bound,
            convex: self.smooth.convex,
        });
        Ok(())
    }

    /// Penalties and sets for the data, without the rest: may these data be solved in this form?
    pub fn try_bind(
        &mut self,
        params: &[(InputId, Arc<Tensor>)],
        lower: Vec<f64>,
        upper: Vec<f64>,
    ) -> Result<Simple, NotBound> {
        self.form.bind(params)?;
        self.form.simple(lower, upper)
    }

    /// Is the smooth part a quadratic?
    pub fn is_quadratic(&self) -> bool {
        self.form.is_quadratic()
    }

    /// Rows of the squares of the smooth part, where it is a quadratic.
    pub fn square_rows(&self) -> usize {
        self.form.square_rows()
    }

    /// Bytes that the programs' arrays take.
    pub fn bytes(&self) -> usize {
        self.smooth.bytes() + self.form.rows.bytes()
    }
}

impl Oracle for Composite {
    fn dim(&self) -> usize {
        self.columns.len()
    }
    fn class(&self) -> Class {
        self.smooth.class
    }
    fn offers(&self) -> Needs {
        self.smooth.offers()
    }
    fn convex(&self) -> bool {
        self.smooth.convex
    }
    fn bounds(&self) -> Option<Arc<Bounds>> {
        self.smooth.bounds()
    }
    fn value(&mut self, x: &[f64]) -> Result<f64, Fault> {
        self.values += 1;
        for &(input, first, len) in &self.columns.blocks {
            self.whole.set_point(input, &x[first..first + len]);
        }
        let message = match self.whole.eval() {
            Ok(()) if self.whole.scalar(0).is_finite() => return Ok(self.whole.scalar(0)),
            Ok(()) => String::new(),
            Err(f) => f.what,
        };
        Err(Fault::NotFinite {
            what: "objective".into(),
            index: None,
            node: None,
            message,
        })
    }
    fn gradient(&mut self, x: &[f64], g: &mut [f64]) -> Result<(), Fault> {
        self.smooth.gradient(x, g)
    }
    fn smooth_value(&mut self, x: &[f64]) -> Result<f64, Fault> {
        self.smooth.value(x)
    }
    fn smooth_value_gradient(&mut self, x: &[f64], g: &mut [f64]) -> Result<f64, Fault> {
        self.smooth.value_gradient(x, g)
    }
    fn hvp(&mut self, x: &[f64], v: &[f64], out: &mut [f64]) -> Result<(), Fault> {
        self.smooth.hvp(x, v, out)
    }
    fn hessian(&mut self, x: &[f64], out: &mut Csr) -> Result<(), Fault> {
        self.smooth.hessian(x, out)
    }
    fn hessian_entries(&self) -> Option<usize> {
        self.smooth.hessian_entries()
    }
    fn project(&mut self, x: &mut [f64]) -> Result<(), Fault> {
        self.parts.simple.project(x);
        Ok(())
    }
    fn prox(&mut self, x: &mut [f64], t: f64) -> Result<(), Fault> {
        if !(t >= 0.0 && t.is_finite()) {
            return Err(Fault::Numerical(format!(
                "a proximal point is asked for with the step {t}"
            )));
        }
        self.parts.simple.prox(x, t);
        Ok(())
    }
    fn parts(&self) -> Option<Arc<Parts>> {
        Some(self.parts.clone())
    }
    fn sample_over(&mut self, set: Option<&IndexSet>, sizes_vary: bool) {
        self.smooth.sample_over(set, sizes_vary);
    }
    fn terms(&self) -> Option<usize> {
        Oracle::terms(&self.smooth)
    }
    fn value_gradient_on(&mut self, x: &[f64], terms: &[f64], g: &mut [f64]) -> Result<f64, Fault> {
        self.smooth.value_gradient_on(x, terms, g)
    }
    fn tally(&mut self, made: &Counts) {
        self.smooth.tally(made);
    }
    fn value_on(&mut self, x: &[f64], terms: &[f64]) -> Result<f64, Fault> {
        self.smooth.value_on(x, terms)
    }
    fn set_aside(&mut self, made: &Counts) {
        let own = self.values.min(made.values);
        self.values -= own;
        let mut rest = *made;
        rest.values -= own;
        self.smooth.set_aside(&rest);
        self.smooth.tally(&Counts {
            beside: own,
            ..Counts::default()
        });
    }
    fn counts(&self) -> Counts {
        let mut c = self.smooth.counts();
        c.values += self.values;
        c
    }
}

/// The quadratic's value and gradient from the residual `A x - b`.
pub fn quadratic_gradient(q: &Quadratic, x: &[f64], residual: &[f64], g: &mut [f64]) -> f64 {
    q.columns.mul_vec(residual, g);
    for (i, g) in g.iter_mut().enumerate() {
        *g = 2.0 * (q.scale * *g + q.ridge[i] * x[i]) + q.q[i];
    }
    q.scale * sumsq(residual) + sum_by(x.len(), |i| (q.ridge[i] * x[i] + q.q[i]) * x[i]) + q.constant
}
