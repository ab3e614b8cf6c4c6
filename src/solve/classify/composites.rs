//! A smooth part and a simple one, and constraints or residuals beside the objective: what methods of functions are given
//! beyond value and gradient.
//!
//! Invariant: a method gets the form that its card asks for, or hears which part of the problem has none.

use super::super::choose::{self, Shape};
use super::super::composite::Composite;
use super::super::method::{Class, MethodCard};
use super::super::vectors::Vectors;
use super::refusals::{origin, problem_span};
use super::{Classified, Classifier, Kind, comparisons};
use crate::base::{Code, Diagnostic};
use crate::forms::composite::{NotBound, Split, split};
use crate::forms::conic::NotConic;
use crate::forms::products;
use crate::forms::simple::{Piece, Simple};
use crate::ir::NodeId;
use crate::passes::analysis::curvature::{degree, extend};

impl Classifier<'_> {
    /// Values and derivatives of the objective, and beside them constraints or residuals as vectors; what is a bound stays
    /// one.
    pub(super) fn with_vectors(
        &mut self,
        card: &MethodCard,
        convex: bool,
        bounded: bool,
    ) -> Result<Classified, Box<Diagnostic>> {
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
    pub(super) fn split_for(
        &mut self,
        card: &MethodCard,
        convex: bool,
        bounded: bool,
    ) -> Result<Classified, Box<Diagnostic>> {
        let also_smooth = card.accepts.contains(&Class::Smooth);
        if card.needs.prox && self.problem.vars.iter().any(|v| v.symmetric) {
            return Err(self.refused("has no proximal point that keeps a matrix symmetric"));
        }
        let s = if card.needs.prox {
            split(&mut self.problem.ir, self.root, self.facts)
        } else {
            Ok(Split::none(self.root))
        };
        let code = if also_smooth {
            Code::OracleMissing
        } else {
            Code::MethodCannotTake
        };
        let refused = |this: &Self, e: NotConic| {
            let what = format!("`{}` asks for a proximal point, and {}", card.name, e.why);
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
            Box::new(
                Diagnostic::new(code, what)
                    .at(c.span, "this one")
                    .help("leave the choice to `solve`: drop the `with` clause"),
            )
        })?;
        if also_smooth && s.is_smooth() {
            return match self.functions(convex, bounded) {
                Ok(c) => Ok(c.proved(if convex { "smooth and convex" } else { "smooth" })),
                Err(e) => Err(self.underivable(&e)),
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
    pub(super) fn split_where(
        &mut self,
        bounded: bool,
        row: fn(Shape) -> Option<&'static choose::Choice>,
    ) -> Option<Classified> {
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
    pub(super) fn composite(&mut self, s: &Split) -> Result<Composite, NotConic> {
        let mut facts = self.facts.clone();
        let mut c = Composite::new(&mut self.problem.ir, self.root, s, self.columns)?;
        extend(&self.problem.ir, &mut facts, s.smooth);
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
