//! Saddle points: value and gradient, turned in the variables that are maximized over.
//!
//! Invariant: a saddle is called one only where each side is convex, or concave, with the other side's variables as data.

use super::super::method::Class;
use super::super::smooth::Smooth;
use super::refusals::{origin, problem_span};
use super::{Classified, Classifier, Kind};
use crate::base::{Code, Diagnostic};
use crate::forms::composite::Split;
use crate::ir::NodeId;
use crate::passes::analysis::curvature::{Assumptions, analyze_with};

impl Classifier<'_> {
    /// A saddle point: value and gradient, turned in the variables that are maximized over.
    pub(super) fn saddle(&mut self) -> Result<Classified, Box<Diagnostic>> {
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
}
