//! What a problem is, and the form it is compiled to.
//!
//! Invariant: the only place that decides between least squares, cones and a smooth oracle; each decision leaves the
//! sentence that proves it.

use std::collections::BTreeSet;
use std::sync::Arc;

use ravine_linalg::{Dense, Matrix};

use super::choose::{self, Shape};
use super::composite::Composite;
use super::method::{Class, MethodCard};
use super::smooth::Smooth;
use super::vectors::Vectors;
use crate::atoms::{self, rules};
use crate::base::value::{IndexSet, Storage};
use crate::base::{Code, Diagnostic, Tensor};
use crate::exec::{Machine, Plan};
use crate::forms::composite::{NotBound, Split, split};
use crate::forms::conic::{ConeRows, Conic, NotConic, Parts, Side, SquareTerm, parts};
use crate::forms::least_squares::LeastSquares;
use crate::forms::matrices::Fold;
use crate::forms::products::{self, Products};
use crate::forms::program::ConicProgram;
use crate::forms::rows::{Columns, RowsBuilder};
use crate::forms::simple::{Piece, Simple};
use crate::ir::atom::{Block, Fill};
use crate::ir::facts::Grade;
use crate::ir::{
    Constraint, Curvature, DomainId, InputId, Ir, Member, Node, NodeId, Problem, Sense, Sides, Smooth as Smoothness,
};
use crate::passes::analysis::curvature::{Assumptions, FactsTable, analyze_with, degree};
use crate::passes::inline::inline_maps;

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

impl Classifier<'_> {
    /// The squares whose sum is least where an objective that is nothing but a norm is.
    fn norm_squares(&mut self) -> Option<Vec<SquareTerm>> {
        let ir = &mut self.problem.ir;
        let (domain, body) = match ir.node(self.root) {
            Node::Fold { atom, domain, body } if *atom == atoms::NORM => (*domain, *body),
            _ => return None,
        };
        let sum = ir.fold(atoms::SUMSQ, domain, body);
        let taken = parts(ir, sum, self.whole);
        let alone = taken.rest.is_empty() && taken.quads.is_empty() && taken.whole.is_empty();
        alone.then_some(taken.squares)
    }

    /// Class and form, or why there is none.
    pub fn run(mut self) -> Result<Classified, Box<Diagnostic>> {
        let wanted = match self.wanted {
            None => Wanted::Anything,
            Some(card) if card.accepts.contains(&Class::LinearSystem) && !card.needs.form => Wanted::Symmetric,
            Some(card) if !card.needs.form => Wanted::Functions,
            Some(card) if card.accepts.contains(&Class::LeastSquares) => Wanted::LeastSquares,
            Some(_) => Wanted::Cones,
        };
        if self
            .problem
            .objective
            .as_ref()
            .is_some_and(|o| o.sense == Sense::Saddle)
        {
            return self.saddle();
        }
        let bounded = self.problem.vars.iter().any(|v| v.lower.is_some() || v.upper.is_some());
        let free = self.problem.constraints.is_empty();
        let f = self.facts.get(self.root);
        let convex = f.is_some_and(|f| f.curvature.is_convex());
        let smooth = f.is_some_and(|f| f.smooth >= Smoothness::C1);
        let quadratic = f.is_some_and(|f| f.degree <= 2);
        if let Some(card) = self.wanted
            && (card.needs.constraints || card.needs.residuals)
        {
            return self.with_vectors(card, convex, bounded);
        }
        if let Some(card) = self.wanted
            && wanted == Wanted::Functions
            && (card.needs.prox || card.needs.project)
        {
            return self.split_for(card, convex, bounded);
        }
        let taken = parts(&mut self.problem.ir, self.root, self.whole);
        let rest_constant = {
            let mut d = crate::passes::derive::Depends::on_vars(&self.problem.ir);
            taken.rest.iter().all(|n| !d.has(&self.problem.ir, *n))
        };
        // Only the conic form keeps a matrix symmetric.
        let symmetric = self.problem.vars.iter().any(|v| v.symmetric);
        let operators = products::has_operator(&self.problem.ir, &[self.root]);
        let squares = free
            && !symmetric
            && !bounded
            && rest_constant
            && taken.quads.is_empty()
            && taken.whole.is_empty()
            && !taken.squares.is_empty()
            && convex;
        if squares && matches!(wanted, Wanted::Anything | Wanted::LeastSquares) {
            let b = RowsBuilder::new(&mut self.problem.ir, self.columns.clone());
            if let Ok(ls) = LeastSquares::new(b, &taken.squares) {
                let why = "a sum of squares of affine functions, without constraints";
                return Ok(Classified::new(
                    Class::LeastSquares,
                    Kind::LeastSquares(Box::new(ls)),
                    why,
                ));
            }
            if operators && let Ok(p) = Products::new(&mut self.problem.ir, self.columns, &taken.squares) {
                self.takes_products()?;
                let why = "a sum of squares of affine functions, without constraints, known by products";
                return Ok(Classified::new(Class::LeastSquares, Kind::Products(Box::new(p)), why));
            }
        }
        if free && !bounded && !symmetric && matches!(wanted, Wanted::Anything | Wanted::LeastSquares) {
            let ls = self.norm_squares().and_then(|squares| {
                let b = RowsBuilder::new(&mut self.problem.ir, self.columns.clone());
                LeastSquares::new(b, &squares).ok()
            });
            if let Some(ls) = ls {
                return Ok(Classified::new(
                    Class::LeastSquares,
                    Kind::LeastSquares(Box::new(ls)),
                    "a norm of affine functions, without constraints: least where the sum of their squares is",
                ));
            }
        }
        if matches!(wanted, Wanted::Anything | Wanted::LeastSquares | Wanted::Symmetric)
            && !bounded
            && !symmetric
            && let Some(found) = self.system()
        {
            if matches!(found.kind, Kind::Products(_)) {
                self.takes_products()?;
            }
            return Ok(found);
        }
        if wanted == Wanted::LeastSquares {
            return Err(self.refused("needs a sum of squares of affine functions without constraints or bounds"));
        }
        let plain_quadratic = free && !bounded && smooth && quadratic && convex;
        let by_products = wanted == Wanted::Anything && (operators || self.columns.len() > BY_PRODUCTS);
        // Of an operator nothing is known but its products; conjugate gradients notice a direction of negative curvature.
        let unproved = operators
            && free
            && !bounded
            && smooth
            && quadratic
            && f.is_some_and(|f| f.curvature == Curvature::Unknown);
        let plain_quadratic = plain_quadratic || unproved && wanted == Wanted::Symmetric;
        if plain_quadratic && (wanted == Wanted::Symmetric || by_products) {
            match self.functions(convex, bounded) {
                Ok(mut c) => {
                    c.class = Class::ConvexQuadratic;
                    if let Kind::Smooth(s) = &mut c.kind {
                        s.class = Class::ConvexQuadratic;
                    }
                    if unproved {
                        return Ok(c.proved("the objective is quadratic; that it is convex is not proved"));
                    }
                    let how = if self.checked { " (checked on the data)" } else { "" };
                    return Ok(c.proved(&format!(
                        "the objective is quadratic and convex{how}, without constraints"
                    )));
                }
                Err(e) if wanted == Wanted::Symmetric => return Err(self.underivable(&e)),
                Err(_) => {}
            }
        }
        if wanted == Wanted::Symmetric {
            let what = "needs a square system of linear equations, or a convex quadratic objective, without bounds";
            return Err(self.refused(what));
        }
        if wanted == Wanted::Anything
            && free
            && convex
            && !symmetric
            && let Some(found) = self.split_where(bounded, if operators { choose::by_shape } else { choose::composite })
        {
            return Ok(found);
        }
        // Convex quadratics with bounds or linear terms go to the conic solver, which certifies what it finds.
        let to_certify = bounded || !rest_constant || !taken.quads.is_empty() || !taken.whole.is_empty();
        let certified = convex && quadratic && to_certify && !operators;
        let free = free && !symmetric;
        let prefers_functions = free && smooth && !certified;
        if (prefers_functions && wanted != Wanted::Cones) || (wanted == Wanted::Functions && free) {
            match self.functions(convex, bounded) {
                Ok(c) => {
                    let asserted = f.is_some_and(|f| f.grade == Grade::Asserted);
                    return Ok(c.proved(match (convex, asserted) {
                        (true, true) => "smooth, and convex as `assume` says",
                        (true, false) => "smooth and convex",
                        (false, _) => "smooth",
                    }));
                }
                Err(e) if wanted == Wanted::Functions => return Err(self.underivable(&e)),
                Err(_) => {}
            }
        }
        if wanted == Wanted::Functions {
            let what = if free {
                "its objective has kinks"
            } else if symmetric {
                "it has a symmetric matrix"
            } else {
                "it has constraints"
            };
            return Err(self.refused(&format!("needs a smooth problem with at most bounds; {what}")));
        }
        match conic(self.problem, self.root, &taken, self.facts, self.columns, self.whole) {
            Ok((program, class, origins)) => {
                let why = match class {
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
                };
                let found = Classified::new(class, Kind::Conic(Box::new(program)), why);
                Ok(Classified { origins, ..found })
            }
            // Without constraints a smooth method may still find a point where its own conditions hold: functions put
            // together from pieces (`if`) are often smooth without a proof.
            Err(e) if free && wanted != Wanted::Cones && (smooth || e.why != products::NO_ENTRIES) => {
                match self.split_where(false, choose::by_shape) {
                    Some(found) => Ok(found),
                    None => match self.functions(convex, bounded) {
                        Ok(c) => Ok(c.proved("smoothness is not proved: at a kink the method may stall")),
                        Err(_) => Err(not_solvable(self.problem, &e, free, false)),
                    },
                }
            }
            Err(e) => Err(not_solvable(self.problem, &e, free, wanted == Wanted::Cones)),
        }
    }

    /// Values and derivatives of the objective, and beside them constraints or residuals as vectors; what is a bound stays
    /// one.
    fn with_vectors(&mut self, card: &MethodCard, convex: bool, bounded: bool) -> Result<Classified, Box<Diagnostic>> {
        if self.problem.vars.iter().any(|v| v.symmetric) {
            return Err(self.refused("keeps no matrix symmetric"));
        }
        if card.needs.prox {
            return Err(self.refused("asks for proximal points and for vectors, and no problem answers both"));
        }
        if let (false, Some(c)) = (card.needs.constraints, self.problem.constraints.first()) {
            return Err(self.refused(&format!("needs a problem with at most bounds; `{}` is none", c.name)));
        }
        let affine = |n: NodeId| degree(&self.problem.ir, n) <= 1;
        let simple = |(small, large, equation, _): &(NodeId, NodeId, bool, f64)| match equation {
            true => affine(*small) && affine(*large),
            false => self.facts.curvature(*small).is_convex() && self.facts.curvature(*large).is_concave(),
        };
        let set = (self.problem.constraints.iter()).all(|c| comparisons(&c.sides).iter().all(simple));
        let mut found = match self.functions(convex, bounded) {
            Ok(found) => found,
            Err(e) => return Err(self.underivable(&e)),
        };
        if let Kind::Smooth(s) = &mut found.kind {
            s.vectors = Some(Box::new(Vectors::new(self.problem, self.root, self.columns, set)));
            s.constrained = !self.problem.constraints.is_empty();
        }
        Ok(found.proved(match (convex, convex && set) {
            (_, true) => "smooth and convex",
            (true, _) => "a smooth convex objective; its constraints are not proved convex",
            _ => "smooth",
        }))
    }

    /// A smooth part and a simple one for a method that asks for proximal points or projections.
    fn split_for(&mut self, card: &MethodCard, convex: bool, bounded: bool) -> Result<Classified, Box<Diagnostic>> {
        let also_smooth = card.accepts.contains(&Class::Smooth);
        if card.needs.prox && self.problem.vars.iter().any(|v| v.symmetric) {
            return Err(self.refused("has no proximal point that keeps a matrix symmetric"));
        }
        let s = if card.needs.prox {
            split(&mut self.problem.ir, self.root, self.facts)
        } else {
            Ok(Split::none(self.root))
        };
        let refused = |this: &Self, e: NotConic| {
            let what = format!("`{}` asks for a proximal point, and {}", card.name, e.why);
            let code = if also_smooth {
                Code::OracleMissing
            } else {
                Code::MethodCannotTake
            };
            Box::new(Diagnostic::new(code, what).at(origin(this.problem, e.node), "this part of the objective").help(
                "`norm1`, `norm` of groups, `norminf`, `abs` and the like have one where they apply to the variables themselves",
            ))
        };
        let s = s.map_err(|e| refused(self, e))?;
        let constraints = self.problem.constraints.clone();
        let s = s.with_sets(&mut self.problem.ir, &constraints).map_err(|(k, e)| {
            let c = &constraints[k];
            let what = format!(
                "`{}` heeds bounds, balls and simplices; `{}` is none of them: {}",
                card.name, c.name, e.why
            );
            let code = if also_smooth {
                Code::OracleMissing
            } else {
                Code::MethodCannotTake
            };
            Box::new(
                Diagnostic::new(code, what)
                    .at(c.span, "this one")
                    .help("leave the choice to `solve`: drop the `with` clause"),
            )
        })?;
        if also_smooth && s.is_smooth() {
            return match self.functions(convex, bounded) {
                Ok(c) => Ok(c.proved(if convex { "smooth and convex" } else { "smooth" })),
                Err(e) => {
                    let what = format!("`{}` has no derivative here: {}", e.atom, e.reason);
                    let d = Diagnostic::new(Code::MethodCannotTake, what);
                    Err(Box::new(d.at(origin(self.problem, e.node), "in the objective")))
                }
            };
        }
        let mut c = self.composite(&s).map_err(|e| refused(self, e))?;
        if let Some((params, l, u)) = &self.data {
            match c.try_bind(params, l.clone(), u.clone()) {
                Ok(simple) => {
                    let shape = shape_of(&c, &simple, self.columns.len(), !s.is_smooth());
                    if let Some(why) = choose::misfit(card, shape) {
                        return Err(self.refused(why));
                    }
                }
                Err(NotBound::Why(why)) => {
                    let what = format!(
                        "`{}` asks for a proximal point, and there is none in closed form: {why}",
                        card.name
                    );
                    let code = if also_smooth {
                        Code::OracleMissing
                    } else {
                        Code::MethodCannotTake
                    };
                    let d = Diagnostic::new(code, what).at(problem_span(self.problem), "this problem");
                    return Err(Box::new(d));
                }
                // The solve will say what went wrong.
                Err(NotBound::Fault(_)) => {}
            }
        }
        Ok(self.split_found(c, None))
    }

    /// A smooth part and a simple one, where the row says so: by size, or, for kinks without a conic form, at any size.
    fn split_where(&mut self, bounded: bool, row: fn(Shape) -> Option<&'static choose::Choice>) -> Option<Classified> {
        // What no shape of this size is taken for is not looked at.
        row(Shape::any(self.columns.len()))?;
        let s = split(&mut self.problem.ir, self.root, self.facts).ok()?;
        if s.is_smooth() && !bounded {
            return None;
        }
        let mut c = self.composite(&s).ok()?;
        let (params, l, u) = self.data.as_ref()?;
        let simple = c.try_bind(params, l.clone(), u.clone()).ok()?;
        let shape = shape_of(&c, &simple, self.columns.len(), !s.is_smooth());
        let row = row(shape)?;
        Some(self.split_found(c, Some(row)))
    }

    /// The oracle of a split objective.
    fn composite(&mut self, s: &Split) -> Result<Composite, NotConic> {
        let mut facts = self.facts.clone();
        let mut c = Composite::new(&mut self.problem.ir, self.root, s, self.columns)?;
        crate::passes::analysis::curvature::extend(&self.problem.ir, &mut facts, s.smooth);
        c.smooth.convex = facts.curvature(s.smooth).is_convex();
        c.smooth.lower_bound = facts.sign(s.smooth).is_nonneg().then_some(0.0);
        Ok(c)
    }

    fn split_found(&self, c: Composite, row: Option<&'static choose::Choice>) -> Classified {
        let f = match (c.smooth.convex, c.is_quadratic()) {
            (true, true) => "a convex quadratic",
            (true, false) => "a smooth convex part",
            _ => "a smooth part",
        };
        let why = if c.words.is_empty() {
            format!("{f}, with bounds")
        } else {
            format!("{f}, with {}: a closed proximal point", c.words.join(" and "))
        };
        Classified::new(Class::Composite, Kind::Composite(Box::new(c), row), why)
    }

    /// A square system of affine equations and nothing else.
    fn system(&mut self) -> Option<Classified> {
        if self.problem.objective.is_some() {
            return None;
        }
        let constraints = self.problem.constraints.clone();
        let ir = &mut self.problem.ir;
        let mut equations = 0usize;
        let mut terms = vec![];
        let one = ir.constant(1.0);
        for c in &constraints {
            let Sides::Eq(left, right) = c.sides else { return None };
            if [left, right].iter().any(|n| degree(ir, *n) > 1) {
                return None;
            }
            equations = equations.saturating_add(instances(ir, c)?);
            terms.push(SquareTerm {
                domain: c.domain,
                weight: one,
                body: rules::sub(ir, left, right),
            });
        }
        if equations == 0 || equations != self.columns.len() {
            return None;
        }
        let b = RowsBuilder::new(ir, self.columns.clone());
        let kind = match LeastSquares::new(b, &terms) {
            Ok(form) => Kind::LeastSquares(Box::new(form)),
            Err(e) if e.why == products::NO_ENTRIES => Kind::Products(Box::new(
                Products::new(&mut self.problem.ir, self.columns, &terms).ok()?,
            )),
            Err(_) => return None,
        };
        let why = "as many affine equations as variables, and nothing else";
        Some(Classified::new(Class::LinearSystem, kind, why))
    }

    /// Refuses a method that factors, where only products are known.
    fn takes_products(&self) -> Result<(), Box<Diagnostic>> {
        match self.wanted {
            Some(card) if card.name == super::methods::direct::CARD.name => {
                let d = Diagnostic::new(
                    Code::MethodCannotTake,
                    format!(
                        "`{}` factors a matrix, and an operator is known by its products only",
                        card.name
                    ),
                );
                Err(Box::new(d.at(problem_span(self.problem), "this problem").help(
                    "`lsmr()` takes it; `matrix(A)` writes out the entries of an operator",
                )))
            }
            _ => Ok(()),
        }
    }

    /// A saddle point: value and gradient, turned in the variables that are maximized over.
    fn saddle(&mut self) -> Result<Classified, Box<Diagnostic>> {
        if let Some(card) = self.wanted.filter(|c| !c.accepts.contains(&Class::Saddle)) {
            let d = Diagnostic::new(
                Code::MethodCannotTake,
                format!("`{}` looks for a minimum, and this is a saddle point", card.name),
            );
            return Err(Box::new(d.at(problem_span(self.problem), "this problem").help(
                "`extragradient(lr: …)` and `optimistic_gradient(lr: …)` look for saddle points; or leave the choice to `solve`",
            )));
        }
        let constraints = self.problem.constraints.clone();
        let sets = Split::none(self.root).with_sets(&mut self.problem.ir, &constraints);
        let sets = sets.map_err(|(k, e)| {
            let c = &constraints[k];
            let what = format!(
                "constraints of saddle points other than simple sets are not built yet; `{}`: {}",
                c.name, e.why
            );
            let d = Diagnostic::new(Code::NotBuiltYet, what).at(c.span, "this one");
            Box::new(d.help("bounds on the variables, `in simplex` and `in ball(r)` are"))
        })?;
        let underivable = |this: &Self, what: String, node: NodeId| {
            let d = Diagnostic::new(Code::NoMethodForClass, what);
            Box::new(d.at(origin(this.problem, node), "in the objective"))
        };
        let mut kind = if sets.is_smooth() {
            match Smooth::new(&mut self.problem.ir, self.root, self.columns.clone()) {
                Ok(s) => Kind::Smooth(Box::new(s)),
                Err(e) => {
                    let what = format!("`{}` has no derivative here: {}", e.atom, e.reason);
                    return Err(underivable(self, what, e.node));
                }
            }
        } else {
            match self.composite(&sets) {
                Ok(c) => Kind::Composite(Box::new(c), None),
                Err(e) => return Err(underivable(self, e.why, e.node)),
            }
        };
        // Each side's shape is what the analysis finds where the other side's variables are data.
        let shape = |fixed: bool| {
            let mut ir = self.problem.ir.clone();
            for v in self.problem.vars.iter().filter(|v| v.maximized == fixed) {
                ir.fix(v.input);
            }
            analyze_with(&ir, &[self.root], &Assumptions::default()).curvature(self.root)
        };
        let proved = shape(true).is_convex() && shape(false).is_concave();
        let sides = self.problem.vars.iter().map(|v| v.maximized);
        let turned = sides.zip(&self.columns.blocks).filter(|(max, _)| *max);
        let turned = turned.map(|(_, b)| (b.1, b.2)).collect();
        if let Some(s) = kind.functions() {
            s.turned = turned;
            s.class = Class::Saddle;
            s.convex = proved;
            s.lower_bound = None;
        }
        let why = if proved {
            "convex in what is minimized over, concave in what is maximized over"
        } else {
            "not proved convex and concave: a stationary point need not be a saddle"
        };
        Ok(Classified::new(Class::Saddle, kind, "").proved(why))
    }

    /// The smooth oracle.
    fn functions(&mut self, convex: bool, bounded: bool) -> Result<Classified, crate::passes::derive::NoDerivative> {
        let mut s = Smooth::new(&mut self.problem.ir, self.root, self.columns.clone())?;
        s.convex = convex;
        s.kinks = self.facts.get(self.root).is_none_or(|f| f.smooth < Smoothness::C1);
        s.lower_bound = lower_bound(&self.problem.ir, self.facts, self.root);
        s.class = if bounded { Class::SmoothBounds } else { Class::Smooth };
        Ok(Classified::new(s.class, Kind::Smooth(Box::new(s)), ""))
    }

    fn underivable(&self, e: &crate::passes::derive::NoDerivative) -> Box<Diagnostic> {
        let what = format!("`{}` has no derivative here: {}", e.atom, e.reason);
        let d = Diagnostic::new(Code::MethodCannotTake, what);
        Box::new(d.at(origin(self.problem, e.node), "in the objective"))
    }

    fn refused(&self, why: &str) -> Box<Diagnostic> {
        let name = self.wanted.map_or("", |c| c.name);
        let d = Diagnostic::new(Code::MethodCannotTake, format!("`{name}` {why}"));
        Box::new(
            d.at(problem_span(self.problem), "this problem")
                .help("leave the choice to `solve`"),
        )
    }
}

impl Classified {
    fn proved(mut self, why: &str) -> Classified {
        self.proof = vec![why.into()];
        self
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

/// Number of instances, where no filter hides it.
fn instances(ir: &Ir, c: &Constraint) -> Option<usize> {
    ir.chain(c.domain).iter().try_fold(1usize, |n, d| {
        let own: usize = ir.domain_shape(*d).iter().product();
        ir.domain(*d).filter.is_none().then(|| n.saturating_mul(own))
    })
}

/// What a bound composite problem looks like.
fn shape_of(c: &Composite, simple: &Simple, n: usize, penalties: bool) -> Shape {
    Shape {
        n,
        squares: c.is_quadratic().then(|| c.square_rows()),
        separable: simple.separable(),
        groups: simple.entries.is_empty() && simple.blocks.iter().all(|b| matches!(b.piece, Piece::Norm(_))),
        blocks: !simple.blocks.is_empty(),
        penalties,
        convex: c.smooth.convex,
        hessian: c.smooth.unstructured.is_none(),
        total: !c.smooth.partial,
        products: c.smooth.unstructured.as_deref() == Some(products::NO_ENTRIES),
    }
}

/// Why nothing can be done for a problem.
fn not_solvable(problem: &Problem, e: &NotConic, free: bool, conic_wanted: bool) -> Box<Diagnostic> {
    if e.why == products::NO_ENTRIES {
        let d = Diagnostic::new(
            Code::NoMethodForClass,
            "this problem needs the entries of a matrix, and an operator is known by its products only",
        );
        return Box::new(
            d.at(origin(problem, e.node), "a product with an operator")
                .note(
                    "operators go into least squares, linear systems, quadratics, and smooth objectives with bounds and \
                     penalties that have a proximal point",
                )
                .help("write its entries out: `matrix(A)` in the place of `A`"),
        );
    }
    let (code, what) = if conic_wanted {
        (
            Code::NotConvex,
            "an interior-point method needs a convex problem; this one is not proved convex",
        )
    } else {
        (
            Code::NoMethodForClass,
            "no method is built yet for this problem: it is not proved convex",
        )
    };
    let d = Diagnostic::new(code, format!("{what}, since {}", e.why)).at(origin(problem, e.node), "here");
    let d = if free {
        d.note("a smooth objective without constraints beyond bounds need not be convex")
    } else {
        d.note("smooth problems with constraints that are not convex are a later part of Ravine")
    };
    Box::new(d.help("`inspect … why` shows how far the proof goes"))
}

fn problem_span(p: &Problem) -> crate::base::Span {
    p.objective
        .as_ref()
        .map(|o| o.span)
        .or_else(|| p.vars.first().map(|v| v.span))
        .unwrap_or(crate::base::Span {
            source: crate::base::SourceId(0),
            start: 0,
            end: 0,
        })
}

fn origin(p: &Problem, n: NodeId) -> crate::base::Span {
    // A node that a rewrite made has no place of its own, but may be a side of a constraint.
    let holds = |c: &&Constraint| c.sides.nodes(c.domain).iter().any(|s| s.1 == n);
    let own = p.ir.origins(n).first().copied();
    own.or_else(|| p.constraints.iter().find(holds).map(|c| c.span))
        .unwrap_or_else(|| problem_span(p))
}

/// Root scalars of degree 2 that the rules leave open, and whose Hessians may settle them: the objective, what of it is of
/// degree 2, and the differences of inequalities' sides. The objective is written anew where only a part of it is.
pub(super) fn open_quadratics(problem: &mut Problem, root: &mut NodeId, facts: &FactsTable) -> Vec<NodeId> {
    let mut open = vec![];
    if facts.get(*root).is_some_and(|f| f.curvature == Curvature::Unknown) {
        let taken = parts(&mut problem.ir, *root, &BTreeSet::new());
        if let Some((low, rest)) = taken.low_degree(&mut problem.ir) {
            *root = rest.into_iter().fold(low, |a, b| rules::add(&mut problem.ir, a, b));
            open.push(low);
        }
    }
    for c in problem.constraints.clone() {
        for (small, large, equation, _) in comparisons(&c.sides) {
            if equation || c.domain != DomainId::ROOT {
                continue;
            }
            let settled = facts.curvature(small).is_convex() && facts.curvature(large).is_concave();
            let difference = rules::sub(&mut problem.ir, small, large);
            if !settled && degree(&problem.ir, difference) == 2 {
                open.push(difference);
            }
        }
    }
    open
}

/// The assumptions with what they mean for objective and constraints as they were written: these are shown to the user.
pub(super) fn as_written(problem: &mut Problem, root: NodeId, facts: &FactsTable, given: &Assumptions) -> Assumptions {
    let mut out = given.clone();
    if let Some(o) = &problem.objective
        && facts.curvature(root).is_convex()
    {
        match o.sense {
            Sense::Minimize => out.convex.insert(o.node),
            Sense::Maximize => out.concave.insert(o.node),
            Sense::Saddle => false,
        };
    }
    for c in problem.constraints.clone() {
        for (small, large, ..) in comparisons(&c.sides) {
            if !given.convex.contains(&rules::sub(&mut problem.ir, small, large)) {
                continue;
            }
            if !facts.has_var(large) {
                out.convex.insert(small);
            } else if !facts.has_var(small) {
                out.concave.insert(large);
            }
        }
    }
    out
}

/// Which of the matrices have a semidefinite symmetric part for these parameters, up to rounding.
pub(super) fn definite(ir: &Ir, matrices: &[NodeId], params: &[(InputId, Arc<Tensor>)]) -> Assumptions {
    let mut given = Assumptions::default();
    let mut m = Machine::new(Arc::new(Plan::compile(ir, matrices)));
    for (i, t) in params {
        m.set(*i, t.clone());
    }
    if m.eval().is_err() {
        return given;
    }
    for (k, node) in matrices.iter().enumerate() {
        let n = ir.shape(*node)[0];
        let half = match m.tensor(k, vec![IndexSet::upto(n), IndexSet::upto(n)]).storage {
            Storage::Sparse(a) => Matrix::Sparse(a.add(0.5, &a.transpose(), 0.5)),
            Storage::Dense(d) => {
                let mut half = Dense::zeros(n, n);
                for i in 0..n {
                    for j in 0..n {
                        half.data[i * n + j] = 0.5 * (d[i * n + j] + d[j * n + i]);
                    }
                }
                Matrix::Dense(half)
            }
        };
        let semidefinite = |m: &Matrix| ravine_linalg::spectrum::is_psd(m, 1e-12).is_ok_and(|r| r.0);
        if semidefinite(&half) {
            given.psd.insert(*node);
        } else if semidefinite(&negated(half)) {
            given.nsd.insert(*node);
        }
    }
    given
}

fn negated(mut m: Matrix) -> Matrix {
    match &mut m {
        Matrix::Dense(d) => d.data.iter_mut().for_each(|v| *v = -*v),
        Matrix::Sparse(s) => s.values.iter_mut().for_each(|v| *v = -*v),
    }
    m
}

/// The rows of a cone that the user wrote.
fn membership(c: &mut Conic<'_>, con: &Constraint, member: Member) -> Result<ConeRows, NotConic> {
    for (_, node) in con.sides.nodes(con.domain) {
        if degree(c.ir, node) > 1 {
            return Err(NotConic {
                node,
                why: "what lies in a cone is not affine".into(),
            });
        }
    }
    Ok(match member {
        Member::Semidefinite { entries, entry } => {
            c.semidefinite = true;
            ConeRows::Semidefinite {
                domain: con.domain,
                orders: vec![c.ir.domain_shape(entries).first().copied().unwrap_or(0)],
                blocks: vec![Block {
                    row: 0,
                    col: 0,
                    fill: Fill::Entries(entries, entry),
                }],
                exact: true,
            }
        }
        Member::Exponential(xyz) => {
            c.exponential = true;
            ConeRows::Exponential {
                domain: con.domain,
                xyz,
            }
        }
        Member::Power(xyz, a) => {
            c.exponential = true;
            ConeRows::Power {
                domain: con.domain,
                xyz,
                a,
            }
        }
    })
}

type Built = (ConicProgram, Class, Vec<(usize, usize, f64)>);

/// The conic form of a problem.
fn conic(
    problem: &mut Problem,
    root: NodeId,
    taken: &Parts,
    facts: &FactsTable,
    columns: &Columns,
    whole: &BTreeSet<NodeId>,
) -> Result<Built, NotConic> {
    let constraints = problem.constraints.clone();
    let mut c = Conic::new(&mut problem.ir, facts, whole);
    let convex = facts.get(root).is_none_or(|f| f.curvature.is_convex());
    if !convex {
        let node = facts.get(root).and_then(|f| f.rule.culprit).unwrap_or(root);
        return Err(NotConic {
            node,
            why: "the objective is not convex by the rules".into(),
        });
    }
    let mut linear = vec![];
    for n in &taken.rest {
        linear.push(c.replace(*n, Side::Above)?);
    }
    let mut rows: Vec<ConeRows> = vec![];
    let mut squares = vec![];
    for t in &taken.squares {
        let plain =
            matches!(c.ir.node(t.body), Node::Gather { array, .. } if c.ir.is_var(*array)) || c.ir.is_var(t.body);
        if plain {
            squares.push(t.clone());
            continue;
        }
        // The square of an affine expression is the square of a variable that equals it.
        let r = c.auxiliary(t.domain, "r", crate::ir::Sign::Unknown);
        let body = rules::sub(c.ir, r, t.body);
        rows.push(ConeRows::Zero { domain: t.domain, body });
        squares.push(SquareTerm {
            domain: t.domain,
            weight: t.weight,
            body: r,
        });
    }
    let mut quads = vec![];
    for q in &taken.quads {
        if c.ir.is_var(q.x) {
            quads.push(q.clone());
            continue;
        }
        let n = c.ir.shape(q.x).to_vec();
        let (d, ix) = rules::plain_domain(c.ir, &n);
        let y = c.auxiliary(d, "y", crate::ir::Sign::Unknown);
        let x = rules::entry(c.ir, q.x, &ix);
        let x = inline_maps(c.ir, x);
        let body = rules::sub(c.ir, y, x);
        rows.push(ConeRows::Zero { domain: d, body });
        let array = match c.ir.node(y) {
            Node::Gather { array, .. } => *array,
            _ => y,
        };
        quads.push(crate::forms::conic::QuadTerm {
            weight: q.weight,
            x: array,
            p: q.p,
        });
    }
    let mut origins = vec![];
    for (k, con) in constraints.iter().enumerate() {
        if let Sides::In(member) = con.sides {
            origins.push((rows.len(), k, 1.0));
            rows.push(membership(&mut c, con, member)?);
        }
        for (small, large, equation, sign) in comparisons(&con.sides) {
            let (s, l) = if equation {
                for n in [small, large] {
                    if degree(c.ir, n) > 1 {
                        return Err(NotConic {
                            node: n,
                            why: "an equation is not affine".into(),
                        });
                    }
                }
                (small, large)
            } else {
                let difference = rules::sub(c.ir, small, large);
                if whole.contains(&difference) {
                    (c.replace(difference, Side::Above)?, c.ir.constant(0.0))
                } else {
                    (c.replace(small, Side::Above)?, c.replace(large, Side::Below)?)
                }
            };
            let body = rules::sub(c.ir, l, s);
            origins.push((rows.len(), k, sign));
            rows.push(if equation {
                ConeRows::Zero {
                    domain: con.domain,
                    body,
                }
            } else {
                ConeRows::Nonneg {
                    domain: con.domain,
                    body,
                }
            });
        }
    }
    let class = if c.semidefinite {
        Class::Semidefinite
    } else if c.exponential {
        Class::Conic
    } else if c.second_order {
        Class::SecondOrderCone
    } else if squares.is_empty() && quads.is_empty() && taken.whole.is_empty() {
        Class::Linear
    } else {
        Class::ConvexQuadratic
    };
    rows.append(&mut c.rows);
    let mut all = columns.clone();
    for a in c.aux.clone() {
        all.push(c.ir, a);
    }
    let symmetric: Vec<InputId> = problem.vars.iter().filter(|v| v.symmetric).map(|v| v.input).collect();
    let fold = Fold::new(&problem.ir, &all, &symmetric);
    let b = RowsBuilder::new(&mut problem.ir, all);
    let program = ConicProgram::new(b, &rows, &linear, &squares, &quads, &taken.whole, fold).map_err(|e| NotConic {
        node: e.node,
        why: e.why,
    })?;
    Ok((program, class, origins))
}
