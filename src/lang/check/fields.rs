//! Fields and methods of solutions: by name, by turn of a repetition, by constraint.
//!
//! Invariant: a solution has the fields of its problem and the numbers of its run; what it has none of is refused with
//! what there is.

use std::rc::Rc;

use super::command::RUN_NUMBERS;
use super::scope::ProblemInfo;
use super::types::{Dim, Elem, Kind, Ty};
use super::{Checker, Entry, What};
use crate::base::diagnostic::did_you_mean;
use crate::base::{Code, Diagnostic, Span};
use crate::lang::errors::{habits, types as errors};
use crate::lang::syntax::{Arg, Expr, ExprKind, Ident, Subscript, show};

impl Checker<'_> {
    /// A name of a table, or the record of a solution.
    pub(super) fn is_table(&self, e: &Expr) -> bool {
        let what = |e: &Expr| e.as_name().and_then(|n| self.scope.get(n)).map(|d| d.what.clone());
        match &e.kind {
            ExprKind::Field { base, name } => {
                matches!(name.text.as_str(), "trace" | "path") && matches!(what(base), Some(What::Solution(..)))
            }
            _ => match what(e) {
                Some(What::Param(t)) => matches!(t.kind, Kind::Table(_)),
                Some(What::Kept(k)) => k != super::Kept::Plot,
                _ => false,
            },
        }
    }

    /// `s.name`, and `s.name(…)` where there is no such function.
    pub(super) fn field(&mut self, base: &Expr, name: &Ident, called: bool) -> Ty {
        if let Some(ty) = self.of_turns(base, name, |c, s| c.field(s, name, called)) {
            return ty;
        }
        let ty = self.expr(base);
        if let Some(block) = self.block_of(&ty, name) {
            return block;
        }
        if let Kind::Table(t) = &ty.kind {
            // Which columns there are is known with the file.
            return Ty::column(t);
        }
        let Some(problem) = self.solution(base, &ty) else {
            if !ty.is_error() {
                let d = if name.text == "T" && !ty.dims().is_empty() {
                    let behind = Span {
                        start: base.span.end,
                        ..name.span
                    };
                    habits::transpose(&show(base), behind)
                } else {
                    Diagnostic::new(Code::UnknownField, format!("{} has no fields", ty.describe()))
                        .at(name.span, "only solutions and tables have fields")
                };
                return self.wrong(d);
            }
            return ty;
        };
        let own = problem.vars.get(&name.text);
        if let Some((t, _)) = own.or_else(|| problem.lets.get(&name.text)) {
            return Ty {
                varies: false,
                ..t.clone()
            };
        }
        match name.text.as_str() {
            "status" | "method" => return Ty::scalar(Elem::Text),
            "objective" | "error" | "condition" | "time" | "stationarity" => return Ty::scalar(Elem::Real),
            "iterations" | "evaluations" => return Ty::scalar(Elem::Int),
            "trace" | "path" => return Ty::of(Kind::Table(format!("{}.{}", show(base), name.text))),
            // Which there are is a matter of the class.
            "residuals" => return Ty::error(),
            "dual" | "slack" | "reduced" | "value" => {
                let d = Diagnostic::new(Code::UnknownField, format!("`{}` is asked with an argument", name.text))
                    .at(name.span, "")
                    .help(match name.text.as_str() {
                        "reduced" => "`s.reduced(x)` for a variable x",
                        "value" => "`s.value(…)` for an expression",
                        _ => "`s.dual(c)` and `s.slack(c)` for a constraint c",
                    });
                return self.wrong(d);
            }
            _ => {}
        }
        if let Some(columns) = &problem.run {
            if RUN_NUMBERS.contains(&name.text.as_str()) {
                return Ty::scalar(Elem::Real);
            }
            // Their shapes are the method's own.
            if columns.contains(&name.text) {
                return Ty::error();
            }
        }
        if problem.broken {
            return Ty::error();
        }
        // With several objectives, each has its value under its label.
        let label = |(l, _): &(Option<String>, Span)| l.as_deref() == Some(name.text.as_str());
        if problem.objectives.len() > 1 && problem.objectives.iter().any(label) {
            return Ty::scalar(Elem::Real);
        }
        let own = [
            "status",
            "objective",
            "error",
            "condition",
            "iterations",
            "evaluations",
            "stationarity",
            "residuals",
            "method",
            "time",
            "trace",
            "path",
        ];
        let functions = ["dual", "slack", "reduced", "value"].into_iter().filter(|_| called);
        let columns = problem.run.iter().flatten().map(String::as_str);
        let known = problem
            .vars
            .keys()
            .map(String::as_str)
            .chain(own)
            .chain(functions)
            .chain(columns);
        let near = did_you_mean(&name.text, known).map(str::to_string);
        let mut fields: Vec<String> = problem.vars.keys().map(|v| format!("`{v}`")).collect();
        if let Some(columns) = &problem.run {
            fields.extend(columns.iter().map(|c| format!("`{c}`")));
            fields.extend(RUN_NUMBERS.iter().map(|n| format!("`{n}`")));
            fields.extend(["`status`", "`trace`", "`path`"].map(str::to_string));
        } else {
            fields.extend(
                [
                    "`objective`",
                    "`status`",
                    "`dual(…)`",
                    "`slack(…)`",
                    "`value(…)`",
                    "`error`",
                    "`condition`",
                    "`residuals`",
                    "`iterations`",
                    "`evaluations`",
                    "`stationarity`",
                    "`time`",
                    "`trace`",
                    "`path`",
                    "`method`",
                ]
                .map(str::to_string),
            );
        }
        let what = if problem.run.is_some() { "run" } else { "solution" };
        let of = format!("the {what} of {}", problem_words(&problem));
        let d = errors::unknown_field(&of, &name.text, name.span, near.as_deref(), &errors::list(&fields));
        self.wrong(d)
    }

    /// The problem whose solution an expression is.
    fn solution(&self, base: &Expr, ty: &Ty) -> Option<Rc<ProblemInfo>> {
        if !matches!(ty.kind, Kind::Solution(_)) {
            return None;
        }
        // One turn of several is a solution like any other.
        let base = match &base.kind {
            ExprKind::Index { base, .. } => base,
            _ => base,
        };
        match &self.scope.get(base.as_name()?)?.what {
            What::Solution(p, _) => Some(p.clone()),
            _ => None,
        }
    }

    /// `s[3]`, `s[:]`: turns of a loop; the dimensions of those that are sliced.
    fn turns_of(&mut self, e: &Expr, base: &Expr, subscripts: &[Subscript]) -> Option<Vec<Dim>> {
        let What::Solution(_, dims) = &self.scope.get(base.as_name()?)?.what else {
            return None;
        };
        if dims.is_empty() {
            let d = Diagnostic::new(Code::WrongType, format!("`{}` is one solution, not one for each turn", show(base)))
                .at(e.span, "indexed here")
                .help("a loop keeps a solution for each turn: `for k in 1..10 { s = solve P }`, then `s[3]`, `s[:].objective`");
            self.report(d);
            return None;
        }
        let turns = Ty::array(Elem::Real, dims.clone(), false);
        let ty = self.entries_of(e, base, turns, subscripts);
        (!ty.is_error()).then(|| ty.dims().to_vec())
    }

    /// `s[3]` on its own: the solution of one turn.
    pub(super) fn turn(&mut self, e: &Expr, base: &Expr, ty: &Ty, subscripts: &[Subscript]) -> Ty {
        match self.turns_of(e, base, subscripts).as_deref() {
            Some([]) => ty.clone(),
            Some(_) => {
                let text = show(e);
                let d = errors::wrong_type("one turn", "several", e.span)
                    .help(format!("ask them for a field: `{text}.objective`"));
                self.wrong(d)
            }
            None => Ty::error(),
        }
    }

    /// `s[3].w`, `s[:].w`: what is asked of the turns of a loop; `ask` types it for one of them.
    fn of_turns(&mut self, e: &Expr, name: &Ident, ask: impl FnOnce(&mut Self, &Expr) -> Ty) -> Option<Ty> {
        let ExprKind::Index { base, subscripts } = &e.kind else {
            return None;
        };
        if !matches!(self.scope.get(base.as_name()?)?.what, What::Solution(..)) {
            return None;
        }
        let Some(dims) = self.turns_of(e, base, subscripts) else {
            return Some(Ty::error());
        };
        let ty = ask(self, base);
        if dims.is_empty() || ty.is_error() {
            return Some(ty);
        }
        Some(match ty.elem().filter(|e| *e != Elem::Text) {
            Some(elem) => Ty::array(elem, dims.into_iter().chain(ty.dims().iter().cloned()).collect(), false),
            None => {
                let d = errors::wrong_type("numbers", &ty.words(), name.span).help(format!(
                    "ask one turn: `{}[1].{}`",
                    show(base),
                    name.text
                ));
                self.wrong(d)
            }
        })
    }

    /// `s.dual(c)`, `s.slack(c)`, `s.reduced(x)`, `s.value(e)`.
    pub(super) fn method(&mut self, e: &Expr, base: &Expr, name: &Ident, args: &[Arg]) -> Ty {
        if let Some(ty) = self.of_turns(base, name, |c, s| c.method(e, s, name, args)) {
            return ty;
        }
        let ty = self.expr(base);
        let Some(problem) = self.solution(base, &ty) else {
            self.arguments_silently(args);
            if ty.is_error() {
                return ty;
            }
            let d = Diagnostic::new(Code::UnknownField, format!("{} has no fields", ty.describe()))
                .at(name.span, "only solutions have fields");
            return self.wrong(d);
        };
        let [arg] = args else {
            let d = errors::arity(&name.text, "1 argument", args.len(), e.span, None);
            return self.wrong(d);
        };
        match name.text.as_str() {
            "dual" | "slack" => self.of_constraint(&problem, &arg.value),
            "reduced" => match arg.value.as_name() {
                Some(v) if problem.vars.contains_key(v) => Ty {
                    varies: false,
                    ..problem.vars[v].0.clone()
                },
                _ if problem.broken => Ty::error(),
                _ => {
                    let near = arg
                        .value
                        .as_name()
                        .and_then(|n| did_you_mean(n, problem.vars.keys().map(String::as_str)));
                    let mut d = Diagnostic::new(
                        Code::UnknownName,
                        format!("{} has no variable `{}`", problem_words(&problem), show(&arg.value)),
                    )
                    .at(arg.value.span, "");
                    if let Some(n) = near {
                        d = d.help_edit(format!("did you mean `{n}`?"), arg.value.span, n);
                    }
                    self.wrong(d)
                }
            },
            "value" => {
                let mark = self.scope.mark();
                self.solved_names(&problem);
                let ty = self.expr(&arg.value);
                self.scope.release(mark);
                ty
            }
            _ => {
                self.arguments_silently(args);
                self.field(base, name, true)
            }
        }
    }

    /// Declares a problem's own names as they are in its solution: values.
    pub(super) fn solved_names(&mut self, problem: &ProblemInfo) {
        let params = problem
            .params
            .iter()
            .map(|p| (&p.name, (&p.ty, Span::new(crate::base::SourceId(0), 0, 0))));
        let values = problem.vars.iter().chain(&problem.lets);
        for (n, (t, span)) in values.map(|(n, (t, s))| (n, (t, *s))).chain(params) {
            let constant = Ty {
                varies: false,
                ..t.clone()
            };
            let entry = Entry {
                span,
                what: What::Let(constant, None),
            };
            self.scope.add_local(n, entry);
        }
        for (n, entry) in &problem.sets {
            self.scope.add_local(n, entry.clone());
        }
    }

    /// Arguments that may be names of a problem that is not known.
    fn arguments_silently(&mut self, args: &[Arg]) {
        let before = self.diagnostics.len();
        self.arguments(args);
        self.diagnostics.truncate(before);
    }

    /// The constraint that `c` or `c["label"]` names.
    pub(super) fn of_constraint(&mut self, problem: &ProblemInfo, e: &Expr) -> Ty {
        let (base, subscripts): (&Expr, &[Subscript]) = match &e.kind {
            ExprKind::Index { base, subscripts } => (base, subscripts),
            _ => (e, &[]),
        };
        let found = base
            .as_name()
            .and_then(|n| problem.constraints.get(n).map(|c| (n.to_string(), c.clone())));
        let Some((n, (dims, _, span))) = found else {
            if problem.broken || matches!(base.kind, ExprKind::Error) {
                return Ty::error();
            }
            let near = base
                .as_name()
                .and_then(|n| did_you_mean(n, problem.constraints.keys().map(String::as_str)));
            let known: Vec<String> = problem.constraints.keys().map(|c| format!("`{c}`")).collect();
            let mut d = Diagnostic::new(
                Code::UnknownConstraint,
                format!("{} has no constraint `{}`", problem_words(problem), show(base)),
            )
            .at(base.span, "no such constraint");
            d = match near {
                Some(m) => d.help_edit(format!("did you mean `{m}`?"), base.span, m),
                None if known.is_empty() => d.note("none of its constraints has a name"),
                None => d.note(format!("its constraints are {}", errors::list(&known))),
            };
            return self.wrong(d);
        };
        if subscripts.is_empty() {
            return Ty::array(Elem::Real, dims, false);
        }
        // Index it as if it were an array of that name.
        let mark = self.scope.mark();
        let added = self.scope.get(&n).is_none();
        if added {
            let entry = Entry {
                span,
                what: What::Let(Ty::array(Elem::Real, dims.clone(), false), None),
            };
            self.scope.add_local(&n, entry);
        }
        let ty = if added {
            self.index(e, base, subscripts)
        } else {
            Ty::error()
        };
        self.scope.release(mark);
        ty
    }
}

/// `problem ridge`, `the unnamed problem`.
pub(super) fn problem_words(p: &ProblemInfo) -> String {
    if p.name.is_empty() {
        "the unnamed problem".into()
    } else {
        format!("`{}`", p.name)
    }
}
