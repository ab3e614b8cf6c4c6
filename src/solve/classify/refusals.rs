//! Why a method does not take a problem, or none does, and where in its text.
//!
//! Invariant: a refusal names the part of the problem that it is about, or the problem as a whole.

use super::Classifier;
use crate::base::{Code, Diagnostic, SourceId, Span};
use crate::forms::conic::NotConic;
use crate::forms::products;
use crate::ir::{Constraint, NodeId, Problem};
use crate::passes::derive::NoDerivative;

impl Classifier<'_> {
    pub(super) fn underivable(&self, e: &NoDerivative) -> Box<Diagnostic> {
        let what = format!("`{}` has no derivative here: {}", e.atom, e.reason);
        let d = Diagnostic::new(Code::MethodCannotTake, what);
        Box::new(d.at(origin(self.problem, e.node), "in the objective"))
    }

    pub(super) fn refused(&self, why: &str) -> Box<Diagnostic> {
        let name = self.wanted.map_or("", |c| c.name);
        let d = Diagnostic::new(Code::MethodCannotTake, format!("`{name}` {why}"));
        Box::new(
            d.at(problem_span(self.problem), "this problem")
                .help("leave the choice to `solve`"),
        )
    }
}

/// Why nothing can be done for a problem.
pub(super) fn not_solvable(problem: &Problem, e: &NotConic, free: bool, conic_wanted: bool) -> Box<Diagnostic> {
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

pub(super) fn problem_span(p: &Problem) -> Span {
    p.objective
        .as_ref()
        .map(|o| o.span)
        .or_else(|| p.vars.first().map(|v| v.span))
        .unwrap_or(Span {
            source: SourceId(0),
            start: 0,
            end: 0,
        })
}

pub(super) fn origin(p: &Problem, n: NodeId) -> Span {
    // A node that a rewrite made has no place of its own, but may be a side of a constraint.
    let holds = |c: &&Constraint| c.sides.nodes(c.domain).iter().any(|s| s.1 == n);
    let own = p.ir.origins(n).first().copied();
    own.or_else(|| p.constraints.iter().find(holds).map(|c| c.span))
        .unwrap_or_else(|| problem_span(p))
}
