//! Least squares and linear systems: by entries where they are known, by products where only those are.
//!
//! Invariant: what is taken here has neither bounds nor a matrix that has to stay symmetric.

use super::super::method::Class;
use super::super::methods::direct;
use super::refusals::problem_span;
use super::{Classified, Classifier, Kind, Traits, Wanted};
use crate::atoms::{self, rules};
use crate::base::{Code, Diagnostic};
use crate::forms::conic::{Parts, SquareTerm, parts};
use crate::forms::least_squares::LeastSquares;
use crate::forms::products::{self, Products};
use crate::forms::rows::RowsBuilder;
use crate::ir::{Constraint, Ir, Node, Sides};
use crate::passes::analysis::curvature::degree;

impl Classifier<'_> {
    /// A sum of squares or a norm of affine functions, or a square system of affine equations, where nothing else is
    /// asked for. `squares_only`: the objective is its squares and a constant.
    pub(super) fn least_squares(
        &mut self,
        taken: &Parts,
        squares_only: bool,
        t: Traits,
        wanted: Wanted,
    ) -> Result<Option<Classified>, Box<Diagnostic>> {
        if t.bounded || t.symmetric || !matches!(wanted, Wanted::Anything | Wanted::LeastSquares | Wanted::Symmetric) {
            return Ok(None);
        }
        if t.free && wanted != Wanted::Symmetric {
            if t.convex && squares_only && !taken.squares.is_empty() {
                let b = RowsBuilder::new(&mut self.problem.ir, self.columns.clone());
                if let Ok(ls) = LeastSquares::new(b, &taken.squares) {
                    let why = "a sum of squares of affine functions, without constraints";
                    let kind = Kind::LeastSquares(Box::new(ls));
                    return Ok(Some(Classified::new(Class::LeastSquares, kind, why)));
                }
                if t.operators
                    && let Ok(p) = Products::new(&mut self.problem.ir, self.columns, &taken.squares)
                {
                    self.takes_products()?;
                    let why = "a sum of squares of affine functions, without constraints, known by products";
                    let kind = Kind::Products(Box::new(p));
                    return Ok(Some(Classified::new(Class::LeastSquares, kind, why)));
                }
            }
            let ls = self.norm_squares().and_then(|squares| {
                let b = RowsBuilder::new(&mut self.problem.ir, self.columns.clone());
                LeastSquares::new(b, &squares).ok()
            });
            if let Some(ls) = ls {
                let why = "a norm of affine functions, without constraints: least where the sum of their squares is";
                let kind = Kind::LeastSquares(Box::new(ls));
                return Ok(Some(Classified::new(Class::LeastSquares, kind, why)));
            }
        }
        if let Some(found) = self.system() {
            if matches!(found.kind, Kind::Products(_)) {
                self.takes_products()?;
            }
            return Ok(Some(found));
        }
        Ok(None)
    }

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
            Some(card) if card.name == direct::CARD.name => {
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
}

/// Number of instances, where no filter hides it.
fn instances(ir: &Ir, c: &Constraint) -> Option<usize> {
    ir.chain(c.domain).iter().try_fold(1usize, |n, d| {
        let own: usize = ir.domain_shape(*d).iter().product();
        ir.domain(*d).filter.is_none().then(|| n.saturating_mul(own))
    })
}
