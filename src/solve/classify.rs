//! What a problem is, and the form it is compiled to.
//!
//! Invariant: the only place that decides between least squares, cones and a smooth oracle; each decision leaves the
//! sentence that proves it.
//!
//! [`Classifier::run`] tries the forms from the most particular to the most general: `squares`, quadratics, `composites`,
//! functions, `cones`; `saddle` points are apart. `evidence` is what data prove, `refusals` what is said where no form is
//! left.

mod composites;
mod cones;
mod evidence;
mod refusals;
mod saddle;
mod squares;

use std::collections::BTreeSet;
use std::sync::Arc;

use super::choose;
use super::composite::Composite;
use super::method::{Class, MethodCard};
use super::smooth::Smooth;
use crate::atoms;
use crate::base::{Diagnostic, Tensor};
use crate::forms::conic::{Parts, parts};
use crate::forms::least_squares::LeastSquares;
use crate::forms::products::{self, Products};
use crate::forms::program::ConicProgram;
use crate::forms::rows::Columns;
use crate::ir::facts::Grade;
use crate::ir::{Curvature, InputId, Ir, Node, NodeId, Problem, Sense, Sides, Smooth as Smoothness};
use crate::passes::analysis::curvature::FactsTable;
use crate::passes::derive::{Depends, NoDerivative};
pub(super) use evidence::{as_written, definite, open_quadratics};
use refusals::not_solvable;

/// The form of a compiled problem.
pub(super) enum Kind {
    /// Orthogonal factorization.
    LeastSquares(Box<LeastSquares>),
    /// Least squares or a linear system known by products only.
    Products(Box<Products>),
    /// A conic solver.
    Conic(Box<ConicProgram>),
    /// Values and derivatives.
    Smooth(Box<Smooth>),
    /// A smooth part and a simple one, with the method that its shape asks for.
    Composite(Box<Composite>, Option<&'static choose::Choice>),
}

impl Kind {
    /// Values and derivatives of the smooth part, where it is asked for them.
    pub(super) fn functions(&mut self) -> Option<&mut Smooth> {
        match self {
            Kind::Smooth(s) => Some(s),
            Kind::Composite(c, _) => Some(&mut c.smooth),
            _ => None,
        }
    }
}

/// Class, form and proof.
pub(super) struct Classified {
    /// Class.
    pub class: Class,
    /// Form.
    pub kind: Kind,
    /// Sentences.
    pub proof: Vec<String>,
    /// Which group of cone rows came from which constraint, and the factor of its dual.
    pub origins: Vec<(usize, usize, f64)>,
}

impl Classified {
    fn new(class: Class, kind: Kind, proof: impl Into<String>) -> Classified {
        Classified {
            class,
            kind,
            proof: vec![proof.into()],
            origins: vec![],
        }
    }

    fn proved(mut self, why: &str) -> Classified {
        self.proof = vec![match &self.kind {
            Kind::Smooth(s) if s.kinks && s.convex => {
                "convex; at a kink a method for smooth functions may stall".into()
            }
            Kind::Smooth(s) if s.kinks => "at a kink a method for smooth functions may stall".into(),
            _ => why.into(),
        }];
        self
    }
}

/// What a method that was asked for needs.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Wanted {
    Anything,
    Functions,
    Cones,
    LeastSquares,
    /// A system of equations, or a convex quadratic as functions.
    Symmetric,
}

/// Variables beyond which a convex quadratic without constraints is solved by products, not by cones.
const BY_PRODUCTS: usize = 2_000;

/// One classification.
pub(super) struct Classifier<'a> {
    /// The problem in canonical form; derivative rules add nodes to it.
    pub problem: &'a mut Problem,
    /// The objective, to be minimized.
    pub root: NodeId,
    /// Facts of objective and constraints.
    pub facts: &'a FactsTable,
    /// Flat coordinates.
    pub columns: &'a Columns,
    /// Do the facts rest on data?
    pub checked: bool,
    /// Root scalars of degree 2 that were found convex as a whole.
    pub whole: &'a BTreeSet<NodeId>,
    /// The method asked for.
    pub wanted: Option<&'a MethodCard>,
    /// Parameters and bounds, for what is decided by the data that compilation sees.
    pub data: Option<Data<'a>>,
}

/// Values of the parameters, and lower and upper bounds.
pub(super) type Data<'a> = (&'a [(InputId, Arc<Tensor>)], Vec<f64>, Vec<f64>);

/// What is known of the problem as a whole.
#[derive(Clone, Copy)]
struct Traits {
    /// Are there bounds?
    bounded: bool,
    /// Are there no constraints beyond bounds?
    free: bool,
    /// Is a matrix kept symmetric? Only the conic form does that.
    symmetric: bool,
    /// Is something known by its products only?
    operators: bool,
    convex: bool,
    smooth: bool,
    quadratic: bool,
    /// Is nothing known of the objective's curvature?
    open: bool,
    /// Was it asserted?
    asserted: bool,
}

impl Classifier<'_> {
    /// Class and form, or why there is none.
    pub fn run(mut self) -> Result<Classified, Box<Diagnostic>> {
        let wanted = match self.wanted {
            None => Wanted::Anything,
            Some(card) if card.accepts.contains(&Class::LinearSystem) && !card.needs.form => Wanted::Symmetric,
            Some(card) if !card.needs.form => Wanted::Functions,
            Some(card) if card.accepts.contains(&Class::LeastSquares) => Wanted::LeastSquares,
            Some(_) => Wanted::Cones,
        };
        let sense = self.problem.objective.as_ref().map(|o| o.sense);
        if sense == Some(Sense::Saddle) {
            return self.saddle();
        }
        let t = self.traits();
        if let Some(card) = self.wanted {
            if card.needs.constraints || card.needs.residuals {
                return self.with_vectors(card, t.convex, t.bounded);
            }
            if wanted == Wanted::Functions && (card.needs.prox || card.needs.project) {
                return self.split_for(card, t.convex, t.bounded);
            }
        }
        let taken = parts(&mut self.problem.ir, self.root, self.whole);
        let mut depends = Depends::on_vars(&self.problem.ir);
        let squares_only = taken.quads.is_empty()
            && taken.whole.is_empty()
            && taken.rest.iter().all(|n| !depends.has(&self.problem.ir, *n));
        if let Some(found) = self.least_squares(&taken, squares_only, t, wanted)? {
            return Ok(found);
        }
        if wanted == Wanted::LeastSquares {
            return Err(self.refused("needs a sum of squares of affine functions without constraints or bounds"));
        }
        if let Some(found) = self.quadratic(t, wanted)? {
            return Ok(found);
        }
        if wanted == Wanted::Anything && t.free && t.convex && !t.symmetric {
            let row = if t.operators {
                choose::by_shape
            } else {
                choose::composite
            };
            if let Some(found) = self.split_where(t.bounded, row) {
                return Ok(found);
            }
        }
        // Convex quadratics with bounds or linear terms go to the conic solver, which certifies what it finds.
        let certified = t.convex && t.quadratic && (t.bounded || !squares_only) && !t.operators;
        if let Some(found) = self.smooth(certified, t, wanted)? {
            return Ok(found);
        }
        self.conic(&taken, t, wanted)
    }

    fn traits(&self) -> Traits {
        let p = &self.problem;
        let f = self.facts.get(self.root);
        Traits {
            bounded: p.vars.iter().any(|v| v.lower.is_some() || v.upper.is_some()),
            free: p.constraints.is_empty(),
            symmetric: p.vars.iter().any(|v| v.symmetric),
            operators: products::has_operator(&p.ir, &[self.root]),
            convex: f.is_some_and(|f| f.curvature.is_convex()),
            smooth: f.is_some_and(|f| f.smooth >= Smoothness::C1),
            quadratic: f.is_some_and(|f| f.degree <= 2),
            open: f.is_some_and(|f| f.curvature == Curvature::Unknown),
            asserted: f.is_some_and(|f| f.grade == Grade::Asserted),
        }
    }

    /// A quadratic without constraints as functions: for methods that multiply with its matrix, and where it is large.
    fn quadratic(&mut self, t: Traits, wanted: Wanted) -> Result<Option<Classified>, Box<Diagnostic>> {
        let plain = t.free && !t.bounded && t.smooth && t.quadratic;
        let by_products = wanted == Wanted::Anything && (t.operators || self.columns.len() > BY_PRODUCTS);
        // Of an operator nothing is known but its products; conjugate gradients notice a direction of negative curvature.
        let unproved = t.operators && plain && t.open;
        let symmetric = wanted == Wanted::Symmetric;
        if plain && (t.convex && (symmetric || by_products) || unproved && symmetric) {
            match self.functions(t.convex, t.bounded) {
                Ok(mut c) => {
                    c.class = Class::ConvexQuadratic;
                    if let Kind::Smooth(s) = &mut c.kind {
                        s.class = Class::ConvexQuadratic;
                    }
                    if unproved {
                        let why = "the objective is quadratic; that it is convex is not proved";
                        return Ok(Some(c.proved(why)));
                    }
                    let how = if self.checked { " (checked on the data)" } else { "" };
                    let why = format!("the objective is quadratic and convex{how}, without constraints");
                    return Ok(Some(c.proved(&why)));
                }
                Err(e) if symmetric => return Err(self.underivable(&e)),
                Err(_) => {}
            }
        }
        if symmetric {
            let what = "needs a square system of linear equations, or a convex quadratic objective, without bounds";
            return Err(self.refused(what));
        }
        Ok(None)
    }

    /// Values and derivatives, where the objective is proved smooth or a method of functions is asked for.
    fn smooth(&mut self, certified: bool, t: Traits, wanted: Wanted) -> Result<Option<Classified>, Box<Diagnostic>> {
        let free = t.free && !t.symmetric;
        let preferred = free && t.smooth && !certified && wanted != Wanted::Cones;
        if preferred || wanted == Wanted::Functions && free {
            match self.functions(t.convex, t.bounded) {
                Ok(c) => {
                    return Ok(Some(c.proved(match (t.convex, t.asserted) {
                        (true, true) => "smooth, and convex as `assume` says",
                        (true, false) => "smooth and convex",
                        (false, _) => "smooth",
                    })));
                }
                Err(e) if wanted == Wanted::Functions => return Err(self.underivable(&e)),
                Err(_) => {}
            }
        }
        if wanted == Wanted::Functions {
            let what = if t.symmetric {
                "it has a symmetric matrix"
            } else {
                "it has constraints"
            };
            return Err(self.refused(&format!("needs a smooth problem with at most bounds; {what}")));
        }
        Ok(None)
    }

    /// Cones, or why the problem has no form in them.
    fn conic(&mut self, taken: &Parts, t: Traits, wanted: Wanted) -> Result<Classified, Box<Diagnostic>> {
        let free = t.free && !t.symmetric;
        let e = match cones::conic(self.problem, self.root, taken, self.facts, self.columns, self.whole) {
            Ok((program, class, origins)) => {
                let found = Classified::new(class, Kind::Conic(Box::new(program)), self.proof_of(class));
                return Ok(Classified { origins, ..found });
            }
            Err(e) => e,
        };
        // Without constraints a smooth method may still find a point where its own conditions hold: functions put
        // together from pieces (`if`) are often smooth without a proof.
        if free && wanted != Wanted::Cones && (t.smooth || e.why != products::NO_ENTRIES) {
            if let Some(found) = self.split_where(false, choose::by_shape) {
                return Ok(found);
            }
            if let Ok(c) = self.functions(t.convex, t.bounded) {
                return Ok(c.proved(""));
            }
        }
        Err(not_solvable(self.problem, &e, free, wanted == Wanted::Cones))
    }

    fn proof_of(&self, class: Class) -> &'static str {
        match class {
            Class::Linear => "objective and constraints are affine",
            Class::ConvexQuadratic if self.checked => {
                "the objective is quadratic and convex (checked on the data), the constraints are affine"
            }
            Class::ConvexQuadratic => "the objective is quadratic and convex, the constraints are affine",
            Class::SecondOrderCone if self.checked => {
                "convex by the rules of composition and by what was checked on the data, in second-order cones"
            }
            Class::Semidefinite if self.checked => {
                "convex by the rules of composition and by what was checked on the data, in semidefinite cones"
            }
            Class::Semidefinite => "convex by the rules of composition, in semidefinite cones",
            Class::SecondOrderCone => "convex by the rules of composition, in second-order cones",
            _ if self.checked => {
                "convex by the rules of composition and by what was checked on the data, in exponential cones"
            }
            _ => "convex by the rules of composition, in exponential cones",
        }
    }

    /// The smooth oracle.
    fn functions(&mut self, convex: bool, bounded: bool) -> Result<Classified, NoDerivative> {
        let mut s = Smooth::new(&mut self.problem.ir, self.root, self.columns.clone())?;
        s.convex = convex;
        s.kinks = self.facts.get(self.root).is_none_or(|f| f.smooth < Smoothness::C1);
        s.lower_bound = lower_bound(&self.problem.ir, self.facts, self.root);
        s.class = if bounded { Class::SmoothBounds } else { Class::Smooth };
        Ok(Classified::new(s.class, Kind::Smooth(Box::new(s)), ""))
    }
}

/// A number below which a scalar does not fall, by the signs of its terms: `3 + |r|²` is at least 3.
fn lower_bound(ir: &Ir, facts: &FactsTable, n: NodeId) -> Option<f64> {
    if let Some(v) = ir.as_const(n) {
        return Some(v).filter(|v| v.is_finite());
    }
    let signed = facts.get(n).is_some_and(|f| f.sign.is_nonneg()).then_some(0.0);
    let of_parts = match ir.node(n) {
        Node::Apply { atom, args } if *atom == atoms::ADD => {
            args.iter().map(|a| lower_bound(ir, facts, *a)).sum::<Option<f64>>()
        }
        Node::Apply { atom, args } if *atom == atoms::SUB => {
            match (lower_bound(ir, facts, args[0]), ir.as_const(args[1])) {
                (Some(l), Some(c)) => Some(l - c),
                _ => None,
            }
        }
        Node::Apply { atom, args } if *atom == atoms::MUL && args.len() == 2 => {
            match (ir.as_const(args[0]), ir.as_const(args[1])) {
                (Some(k), None) if k >= 0.0 => lower_bound(ir, facts, args[1]).map(|l| k * l),
                (None, Some(k)) if k >= 0.0 => lower_bound(ir, facts, args[0]).map(|l| k * l),
                _ => None,
            }
        }
        _ => None,
    };
    let found = [signed, of_parts.filter(|v| v.is_finite())];
    found.into_iter().flatten().reduce(f64::max)
}

/// Sides of a comparison as written, and the factor of its dual.
pub(super) fn comparisons(s: &Sides) -> Vec<(NodeId, NodeId, bool, f64)> {
    match *s {
        // (small, large, equation, sign): the row is `large - small`, and `dual = sign · z` when minimizing.
        Sides::Le(a, b) => vec![(a, b, false, -1.0)],
        Sides::Ge(a, b) => vec![(b, a, false, 1.0)],
        Sides::Eq(a, b) => vec![(b, a, true, 1.0)],
        Sides::Between(l, e, u) => vec![(l, e, false, -1.0), (e, u, false, -1.0)],
        Sides::In(_) => vec![],
    }
}
