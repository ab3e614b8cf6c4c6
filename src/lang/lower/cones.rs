//! Membership in convex sets: `X in PSD`, `(x, y, z) in ExpCone`, `w in simplex`, `x in ball(r)`.
//!
//! Invariant: what a comparison can say becomes one (`simplex`, `ball`); only cones without one become memberships.

use super::{Lower, Lowered, Val, describe, err};
use crate::atoms;
use crate::base::value::IndexSet;
use crate::base::{Code, Span};
use crate::ir::problem::{Member, Sides};
use crate::ir::{DomainId, NodeId, Pos};
use crate::lang::syntax::{ConeName, Expr, ExprKind};

/// One condition of a membership.
pub(super) struct Condition {
    /// What is added to the constraint's name: nothing for the one whose dual it has.
    pub suffix: &'static str,
    /// What it runs over.
    pub domain: DomainId,
    /// Index sets of its duals below the family's.
    pub dims: Vec<IndexSet>,
    /// The condition.
    pub sides: Sides,
}

impl Lower<'_> {
    /// What `first in cone` asks for at each instance of `outer`.
    pub(super) fn in_cone(
        &mut self,
        first: &Expr,
        (cone, arg): (ConeName, Option<&Expr>),
        outer: DomainId,
    ) -> Lowered<Vec<Condition>> {
        if matches!(cone, ConeName::Exp | ConeName::Pow) {
            return Ok(vec![self.triple(first, arg, outer)?]);
        }
        let v = self.expr(first)?;
        self.array_in(v, (cone, arg), outer, first.span)
    }

    /// The same for an array that is at hand.
    pub(super) fn array_in(
        &mut self,
        v: Val,
        (cone, arg): (ConeName, Option<&Expr>),
        outer: DomainId,
        span: Span,
    ) -> Lowered<Vec<Condition>> {
        let one = |sides| Condition {
            suffix: "",
            domain: outer,
            dims: vec![],
            sides,
        };
        let shape = v.dims().to_vec();
        let (domain, entry) = match &v {
            Val::Arr(a) => {
                let (d, ix) = self.ir.add_domain(outer, super::arrays::index_names(&shape));
                let at: Vec<Pos> = ix.into_iter().map(Pos::index).collect();
                (d, self.in_region(d, |l| l.entry(a, &at))?)
            }
            v => (outer, self.number(v, span)?),
        };
        match (cone, shape.as_slice()) {
            (ConeName::Psd, [m, n]) if m.len() == n.len() => Ok(vec![Condition {
                dims: shape.clone(),
                ..one(Sides::In(Member::Semidefinite { entries: domain, entry }))
            }]),
            (ConeName::Simplex, [_, ..]) => {
                let total = self.ir.fold(atoms::SUM, domain, entry);
                let (zero, unit) = (self.ir.constant(0.0), self.ir.constant(1.0));
                Ok(vec![
                    one(Sides::Eq(total, unit)),
                    Condition {
                        suffix: " (entries)",
                        domain,
                        dims: shape,
                        sides: Sides::Ge(entry, zero),
                    },
                ])
            }
            (ConeName::Ball, _) => {
                let size = if shape.is_empty() {
                    self.ir.apply(atoms::ABS, &[entry])
                } else {
                    self.ir.fold(atoms::NORM, domain, entry)
                };
                let radius = match arg {
                    Some(r) => {
                        let v = self.expr(r)?;
                        self.number(&v, r.span)?
                    }
                    None => self.ir.constant(1.0),
                };
                Ok(vec![one(Sides::Le(size, radius))])
            }
            _ => Err(err(
                Code::WrongType,
                format!("`{}` does not hold {}", cone.word(), describe(&shape)),
            )
            .at(span, describe(&shape))
            .into()),
        }
    }

    /// `(x, y, z) in ExpCone`, entry by entry.
    fn triple(&mut self, first: &Expr, arg: Option<&Expr>, outer: DomainId) -> Lowered<Condition> {
        let ExprKind::Tuple(items) = &first.kind else {
            return Err(err(Code::WrongType, "this set holds triples `(x, y, z)`")
                .at(first.span, "not a triple")
                .into());
        };
        let vals = items.iter().map(|e| self.expr(e)).collect::<Lowered<Vec<_>>>()?;
        let shape = vals
            .iter()
            .map(Val::dims)
            .find(|d| !d.is_empty())
            .unwrap_or(&[])
            .to_vec();
        for (v, e) in vals.iter().zip(items) {
            if !v.dims().is_empty() && v.dims() != shape {
                return Err(err(
                    Code::ShapeMismatch,
                    format!("one component is {}, another {}", describe(&shape), describe(v.dims())),
                )
                .at(e.span, describe(v.dims()))
                .help("all need the same index sets, or are single numbers")
                .into());
            }
        }
        let (domain, at) = if shape.is_empty() {
            (outer, vec![])
        } else {
            let (d, ix) = self.ir.add_domain(outer, super::arrays::index_names(&shape));
            (d, ix.into_iter().map(Pos::index).collect())
        };
        let nodes = self.in_region(domain, |l| {
            vals.iter()
                .zip(items)
                .map(|(v, e)| match v {
                    Val::Arr(a) => l.entry(a, &at),
                    v => l.number(v, e.span),
                })
                .collect::<Lowered<Vec<NodeId>>>()
        })?;
        let Ok(xyz) = <[NodeId; 3]>::try_from(nodes) else {
            return Err(err(Code::WrongType, "this set holds triples `(x, y, z)`")
                .at(first.span, "not a triple")
                .into());
        };
        let member = match arg {
            None => Member::Exponential(xyz),
            Some(a) => Member::Power(xyz, self.exponent(a)?),
        };
        let mut dims = shape;
        dims.push(IndexSet::upto(3));
        Ok(Condition {
            suffix: "",
            domain,
            dims,
            sides: Sides::In(member),
        })
    }

    /// The exponent of a power cone: a number without variables and indices, between 0 and 1.
    fn exponent(&mut self, a: &Expr) -> Lowered<NodeId> {
        let v = self.expr(a)?;
        let n = self.number(&v, a.span)?;
        if self.depends_on_var(n) || self.ir.region(n) != DomainId::ROOT {
            return Err(err(
                Code::WrongType,
                "the exponent of `PowCone` depends on a variable or an index",
            )
            .at(a.span, "here")
            .help("it is one number between 0 and 1 for all rows")
            .into());
        }
        if self.ir.as_const(n).is_some_and(|v| !(v > 0.0 && v < 1.0)) {
            return Err(err(Code::WrongType, "the exponent of `PowCone` lies between 0 and 1")
                .at(a.span, "outside")
                .help("`(x, y, z) in PowCone(a)` says `x^a*y^(1-a) >= abs(z)`")
                .into());
        }
        Ok(n)
    }
}
