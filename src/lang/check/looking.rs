//! `compare`, `sweep` and `plot`: what they may name.
//!
//! Invariant: a block's pipelines and solves are checked as everywhere; names of a picture's axes are local to it.

use super::scope::{Entry, Kept};
use super::types::{Elem, Kind, Ty};
use super::{Checker, What};
use crate::base::diagnostic::did_you_mean;
use crate::base::{Code, Diagnostic};
use crate::lang::errors::types as errors;
use crate::lang::syntax::{Compare, Expr, ExprKind, Plot, PlotRange, Sweep, show};

/// What counts along the axis of a convergence picture.
const AXES: [&str; 5] = ["steps", "evaluations", "gradients", "passes", "seconds"];

impl Checker<'_> {
    pub(super) fn compare_command(&mut self, c: &Compare) {
        let problems = if c.targets.is_empty() {
            vec![self.target(None, c.keyword)]
        } else {
            c.targets.iter().map(|t| self.target(Some(t), c.keyword)).collect()
        };
        if let (Some(_), [_, second, ..]) = (&c.from, c.targets.as_slice()) {
            let d = Diagnostic::new(Code::BadStart, "problems that are compared each start where they say")
                .at(second.span, "a second problem")
                .help("drop the `from`, and give the variables their own: `var x: Real from 1`");
            self.report(d);
        } else {
            self.point(c.from.as_ref(), problems.first().and_then(Option::as_deref));
        }
        if let Some(e) = &c.to {
            self.constant_scalar(e, "a tolerance");
        }
        if let Some((e, _)) = &c.within {
            self.constant_scalar(e, "a time");
        }
        if let Some(e) = &c.seeds {
            self.listed_numbers(e, "a set of seeds");
        }
        if c.entrants.is_empty() {
            let d = errors::wrong_type("methods to compare", "an empty block", c.keyword)
                .help("`compare P with { fast: adam(0.1) for 200 steps; slow: gd(1e-3) for 200 steps }`");
            self.report(d);
        }
        for (k, e) in c.entrants.iter().enumerate() {
            self.pipeline(&e.pipeline);
            let Some(label) = &e.label else { continue };
            let first = c.entrants[..k].iter().filter_map(|o| o.label.as_ref());
            if let Some(first) = first.into_iter().find(|o| o.text == label.text) {
                let d = errors::duplicate(&label.text, label.span, first.span, "a method");
                self.report(d);
            }
        }
        if let Some(n) = &c.bind {
            self.declare_result(n, What::Kept(Kept::Comparison));
        }
    }

    /// A set of integers, a vector or a single number.
    fn listed_numbers(&mut self, e: &Expr, what: &str) {
        let ty = self.expr(e);
        let ty = self.no_variables(e, &ty);
        let fits = match &ty.kind {
            Kind::Error | Kind::Set(_) => true,
            Kind::Array { elem, dims, .. } => *elem != Elem::Text && dims.len() <= 1,
            _ => false,
        };
        if !fits {
            let d = errors::wrong_type(what, &ty.words(), e.span).help("`1..5`, or `[1, 2, 7]`");
            self.report(d);
        }
    }

    pub(super) fn sweep(&mut self, w: &Sweep) {
        self.listed_numbers(&w.values, "values to go through");
        let known = self.scope.get(&w.name.text).map(|e| (e.span, e.what.clone()));
        let own = known.is_none();
        let mark = self.scope.mark();
        match known {
            Some((declared, What::Param(ty))) => {
                if !ty.is_error() && !ty.dims().is_empty() {
                    let d = errors::wrong_type("a parameter that is a number", &ty.words(), w.name.span)
                        .at(declared, "declared here");
                    self.report(d);
                }
            }
            Some((_, What::Error)) => {}
            Some((declared, what)) => {
                let d = errors::duplicate(&w.name.text, w.name.span, declared, what.word())
                    .help("a sweep varies a parameter, or a name of its own");
                self.report(d);
            }
            None => {
                let entry = Entry {
                    span: w.name.span,
                    what: What::Let(Ty::scalar(Elem::Real), None),
                };
                self.scope.add_local(&w.name.text, entry);
            }
        }
        if let Some(b) = &w.solve.bind {
            let d = errors::wrong_type("a `solve` that keeps nothing", "a name for it", b.span)
                .help("name the sweep: `w = sweep … { solve … }`");
            self.report(d);
        } else {
            self.solve(&w.solve);
        }
        // A parameter may be used by the problem; a name of the sweep's own by the solve's text alone.
        if own && !w.solve.uses().contains(&w.name.text) {
            let d = Diagnostic::new(
                Code::UnknownName,
                format!("nothing in the solve uses `{}`", w.name.text),
            )
            .at(w.name.span, "every row would be the same")
            .at(w.span, "not used here")
            .help(format!(
                "give it to the method or to the problem: `solve P with gd({0})`, `solve P({0})`",
                w.name.text
            ));
            self.report(d);
        }
        self.scope.release(mark);
        if let Some(n) = &w.bind {
            self.declare_result(n, What::Kept(Kept::Sweep));
        }
    }

    pub(super) fn plot(&mut self, p: &Plot) {
        if let Some(axis) = &p.axis
            && !AXES.contains(&axis.text.as_str())
        {
            let names: Vec<String> = AXES.iter().map(|a| format!("`{a}`")).collect();
            let mut d = Diagnostic::new(
                Code::UnknownArgument,
                format!("a picture has no axis of `{}`", axis.text),
            )
            .at(axis.span, "unknown")
            .note(format!(
                "it runs over {}, or a range: `over x in [-2, 2]`",
                errors::list(&names)
            ));
            if let Some(near) = did_you_mean(&axis.text, AXES) {
                d = d.help_edit(format!("did you mean `{near}`?"), axis.span, near);
            }
            self.report(d);
        }
        for r in &p.ranges {
            self.constant_scalar(&r.lo, "the end of an axis");
            self.constant_scalar(&r.hi, "the end of an axis");
        }
        if let [_, _, third, ..] = p.ranges.as_slice() {
            let d = errors::wrong_type("one range or two", "a third", third.span)
                .help("a picture has two axes; the other variables keep their values");
            self.report(d);
        }
        for e in &p.items {
            self.plotted(e, &p.ranges);
        }
        for e in &p.with {
            let ty = self.expr(e);
            if !matches!(ty.kind, Kind::Table(_) | Kind::Solution(_) | Kind::Error) {
                let d = errors::wrong_type("a path", &ty.words(), e.span)
                    .help("`with s.path`, with `s = solve …`; several are separated by commas");
                self.report(d);
            }
        }
        if let Some(n) = &p.bind {
            self.declare_result(n, What::Kept(Kept::Plot));
        }
    }

    fn plotted(&mut self, e: &Expr, ranges: &[PlotRange]) {
        if !ranges.is_empty() {
            return self.sliced(e, ranges);
        }
        if let ExprKind::Call { callee, args } = &e.kind
            && let Some(what @ ("spectrum" | "pattern" | "histogram")) = callee.as_name()
            && self.scope.get(what).is_none()
        {
            let [arg] = args.as_slice() else {
                let d = errors::arity(what, "1 argument", args.len(), e.span, None);
                self.report(d);
                return;
            };
            let ty = self.number(&arg.value);
            let ty = self.no_variables(&arg.value, &ty);
            let wanted = if what == "histogram" { 1 } else { 2 };
            if !ty.is_error() && (ty.dims().len() != wanted && what != "histogram" || ty.dims().is_empty()) {
                let words = if what == "histogram" { "an array" } else { "a matrix" };
                let d = errors::wrong_type(words, &ty.words(), arg.value.span);
                self.report(d);
            }
            return;
        }
        let ty = self.expr(e);
        let ty = self.no_variables(e, &ty);
        let help = match &ty.kind {
            Kind::Array { elem, dims, .. } if *elem != Elem::Text && !dims.is_empty() => return,
            Kind::Array { elem, .. } if *elem != Elem::Text => {
                "plot a vector, or a function: `plot x^2 over x in [0, 1]`"
            }
            Kind::Table(_) | Kind::Solution(_) | Kind::Picture | Kind::Error => return,
            Kind::Problem => "say over which variables: `plot P over x in [-2, 2], y in [-1, 3]`",
            Kind::Function => "say over what: `plot f over x in [-2, 2]`",
            _ => "vectors, traces, comparisons, `spectrum(A)`, `pattern(A)`, or a function `over x in [0, 1]`",
        };
        let d = errors::wrong_type("something to draw", &ty.words(), e.span).help(help);
        self.report(d);
    }

    /// A function or a problem over ranges.
    fn sliced(&mut self, e: &Expr, ranges: &[PlotRange]) {
        if let Some(t) = e.as_problem_ref()
            && let Some(What::Problem(_)) = self.scope.get(&t.name.text).map(|e| &e.what)
        {
            let Some(problem) = self.target(Some(&t), t.span) else {
                return;
            };
            for r in ranges {
                let name = match &r.what.kind {
                    ExprKind::Index { base, .. } => base.as_name(),
                    _ => r.what.as_name(),
                };
                if problem.broken || name.is_some_and(|n| problem.vars.contains_key(n)) {
                    continue;
                }
                let near = name.and_then(|n| did_you_mean(n, problem.vars.keys().map(String::as_str)));
                let text = show(&r.what);
                let mut d = Diagnostic::new(Code::UnknownName, format!("`{}` has no variable `{text}`", t.name.text))
                    .at(r.what.span, "not a variable of it");
                if let Some(n) = near {
                    d = d.help_edit(format!("did you mean `{n}`?"), r.what.span, n);
                }
                self.report(d);
            }
            return;
        }
        if let Some(What::Fn(f)) = e.as_name().and_then(|n| self.scope.get(n)).map(|e| e.what.clone()) {
            if f.params.len() != ranges.len() {
                let d = errors::arity(
                    &show(e),
                    "as many ranges as it has parameters",
                    ranges.len(),
                    e.span,
                    None,
                )
                .note(format!("it has {}", f.params.len()));
                self.report(d);
            }
            return;
        }
        let mark = self.scope.mark();
        for r in ranges {
            let Some(n) = r.what.as_name() else {
                let d = errors::wrong_type("a name", "an expression", r.what.span)
                    .help("entries of variables are axes of problems only: `plot P over w[1] in [0, 1]`");
                self.report(d);
                continue;
            };
            let entry = Entry {
                span: r.what.span,
                what: What::Let(Ty::scalar(Elem::Real), None),
            };
            // A variable of the unnamed problem is meant itself.
            self.scope.add_local(n, entry);
        }
        let ty = self.number(e);
        if !ty.is_error() && !ty.dims().is_empty() {
            let d = errors::wrong_type("a number at every point", &ty.words(), e.span);
            self.report(d);
        }
        self.scope.release(mark);
    }
}
