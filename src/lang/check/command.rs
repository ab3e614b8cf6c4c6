//! Commands: what a `solve`, a `print`, an assignment may name.
//!
//! Invariant: outside of problems an expression has no variables; a variable has a value only in a solution.

use std::collections::BTreeMap;
use std::rc::Rc;

use super::fields::problem_words;
use super::operators::set_elem;
use super::pipeline::GROUPS;
use super::scope::{Entry, ProblemInfo};
use super::types::{Dim, Elem, Kind, Same, Ty};
use super::{Checker, Place, What};
use crate::base::diagnostic::did_you_mean;
use crate::base::{Code, Diagnostic, Span};
use crate::lang::errors::types as errors;
use crate::lang::syntax::{
    Aspect, Expr, ExprKind, Ident, MinimizeFrom, ProblemRef, Repeat, Solve, Start, StepRun, StmtKind, Variation, show,
};

/// Numbers of a run beside the variables, states and records.
pub const RUN_NUMBERS: &[&str] = &["objective", "stationarity", "change", "step", "evaluations"];

impl Checker<'_> {
    pub(super) fn assign(&mut self, name: &Ident, value: &Expr) {
        match self.scope.get(&name.text).map(|e| (e.span, e.what.clone())) {
            Some((_, What::Param(ty))) => {
                // The new value may bind the sizes anew: only what cannot change is compared.
                let sizes: Vec<String> = ty
                    .dims()
                    .iter()
                    .flat_map(|d| match d {
                        Dim::Range { lo, hi } => lo.symbols().chain(hi.symbols()).map(str::to_string).collect(),
                        _ => vec![],
                    })
                    .collect();
                self.value_fits(name, &ty, value, &sizes);
            }
            Some((_, What::Error)) => {
                self.expr(value);
            }
            Some((span, what)) => {
                self.expr(value);
                let equals = matches!(what, What::Var(_)).then(|| Span {
                    start: name.span.end,
                    end: value.span.start,
                    ..value.span
                });
                let d = errors::bare_assignment(&name.text, name.span, None, Some(what.word()), Some(span), None);
                let d = match equals {
                    Some(e) => d.help_edit("an equation is written `==`, after `subject to`", e, " == "),
                    None => d,
                };
                self.report(d);
            }
            None => {
                self.expr(value);
                let params = self
                    .scope
                    .names()
                    .filter(|(_, e)| matches!(e.what, What::Param(_)))
                    .map(|(n, _)| n);
                let near = did_you_mean(&name.text, params).map(str::to_string);
                let d = errors::bare_assignment(&name.text, name.span, None, None, None, near.as_deref());
                self.report(d);
                self.declare(name, What::Error);
            }
        }
    }

    pub(super) fn printed(&mut self, e: &Expr) {
        let ty = self.expr(e);
        let ty = self.no_variables(e, &ty);
        let help = match ty.kind {
            Kind::Problem => "`inspect` shows a problem",
            Kind::Function => "call it with arguments",
            Kind::Solution(_) => "ask for one of its fields: `s.objective`, `s.x`, `s.dual(c)`",
            Kind::Interval | Kind::Cone(_) => "it stands only after `in`",
            Kind::Picture => "`plot p` shows a picture again, `write p to \"p.svg\"` keeps it",
            _ => return,
        };
        let d = errors::wrong_type("a value", &ty.words(), e.span).help(help);
        self.report(d);
    }

    pub(super) fn written(&mut self, value: &Expr, to: &Expr) {
        let ty = self.expr(value);
        if ty.kind == Kind::Picture {
            // Written as it is drawn.
        } else if ty.kind == Kind::Problem {
            let d = Diagnostic::new(Code::NotBuiltYet, "writing models is not built yet")
                .at(value.span, "a problem")
                .note("it will save problems as MPS, LP and CBF files");
            self.report(d);
        } else {
            let ty = self.no_variables(value, &ty);
            let help = match ty.kind {
                Kind::Function | Kind::Interval | Kind::Cone(_) | Kind::Tuple(_) | Kind::Family { .. } => {
                    "arrays, numbers and sets are written"
                }
                Kind::Solution(_) if self.is_run(value) => "",
                Kind::Solution(_) => "name what of it: `write s.x to \"x.csv\"`; everything is in `ravine run --json`",
                _ => "",
            };
            if !help.is_empty() {
                let d = errors::wrong_type("a value", &ty.words(), value.span).help(help);
                self.report(d);
            }
        }
        let ty = self.expr(to);
        if !ty.is_error() && ty.elem() != Some(Elem::Text) {
            let d = errors::wrong_type("a file's path, a text,", &ty.words(), to.span).help("`write s.w to \"w.csv\"`");
            self.report(d);
        }
    }

    fn is_run(&self, e: &Expr) -> bool {
        let entry = e.as_name().and_then(|n| self.scope.get(n));
        matches!(entry.map(|e| &e.what), Some(What::Solution(p, _)) if p.run.is_some())
    }

    /// `diagnose`: a problem by name, or a matrix.
    pub(super) fn diagnose(&mut self, target: Option<&Expr>, at: Option<&Expr>, span: Span) {
        let named = target.and_then(Expr::as_problem_ref);
        let is_problem = |t: &ProblemRef| {
            self.scope
                .get(&t.name.text)
                .is_some_and(|e| matches!(e.what, What::Problem(_)))
        };
        match (target, named) {
            (None, _) => {
                self.target(None, span);
            }
            (Some(_), Some(t)) if is_problem(&t) => {
                self.target(Some(&t), span);
            }
            (Some(e), _) => {
                let ty = self.expr(e);
                let ty = self.no_variables(e, &ty);
                if !ty.is_error() && ty.dims().len() != 2 {
                    let d = errors::wrong_type("a problem or a matrix", &ty.words(), e.span)
                        .help("`diagnose P` looks at a problem, `diagnose A` at a matrix");
                    self.report(d);
                } else if let Some(at) = at {
                    let d = errors::wrong_type("nothing behind a matrix", "`at`", at.span)
                        .help("only second derivatives of a problem depend on a point");
                    self.report(d);
                    return;
                }
            }
        }
        if let Some(at) = at {
            let ty = self.expr(at);
            if !ty.is_error() && !matches!(ty.kind, Kind::Solution(_)) {
                let d = errors::wrong_type("a solution", &ty.words(), at.span)
                    .help("`diagnose P at s`, with `s = solve P`");
                self.report(d);
            }
        }
    }

    pub(super) fn assert(&mut self, condition: &Expr, within: Option<&Expr>) {
        let ty = self.expr(condition);
        let ty = self.no_variables(condition, &ty);
        if let Some(w) = within {
            self.constant_scalar(w, "a tolerance");
            let equation = matches!(&condition.kind, ExprKind::Compare { rest, .. } if rest.len() == 1);
            if !equation && !ty.is_error() {
                let d = Diagnostic::new(
                    Code::WrongType,
                    "a tolerance belongs to one comparison: `assert a == b within t`",
                )
                .at(condition.span, "");
                self.report(d);
            }
        }
        if !ty.is_error() && ty.elem() != Some(Elem::Bool) {
            let d = errors::wrong_type("a condition", &ty.words(), condition.span);
            self.report(d);
        }
    }

    /// The problem that a command is about.
    pub(super) fn target(&mut self, target: Option<&ProblemRef>, at: Span) -> Option<Rc<ProblemInfo>> {
        let Some(t) = target else {
            if self.unnamed.vars.is_empty() && self.unnamed.objectives.is_empty() {
                let problems: Vec<String> = self
                    .scope
                    .names()
                    .filter(|(_, e)| matches!(e.what, What::Problem(_)))
                    .map(|(n, _)| format!("`{n}`"))
                    .collect();
                let mut d = Diagnostic::new(
                    Code::UnknownProblem,
                    "there is no unnamed problem: no `var` stands at the top level",
                )
                .at(at, "");
                if !problems.is_empty() {
                    d = d.help(format!("name the problem: {}", errors::list(&problems)));
                }
                self.report(d);
                return None;
            }
            let unnamed = &self.unnamed;
            return Some(self.shared.get_or_insert_with(|| Rc::new(unnamed.clone())).clone());
        };
        let name = &t.name.text;
        let Some(entry) = self.scope.get(name) else {
            let problems = self
                .scope
                .names()
                .filter(|(_, e)| matches!(e.what, What::Problem(_)))
                .map(|(n, _)| n);
            let near = did_you_mean(name, problems).map(str::to_string);
            let mut d = Diagnostic::new(Code::UnknownProblem, format!("there is no problem `{name}`"))
                .at(t.name.span, "unknown");
            if let Some(n) = near {
                d = d.help_edit(format!("did you mean `{n}`?"), t.name.span, n);
            } else if let Some(later) = self.later.get(name).filter(|s| s.start > t.name.span.start) {
                d = d.at(*later, "declared only here").help("declare it before it is used");
            }
            self.report(d);
            return None;
        };
        let (declared, what) = (entry.span, entry.what.clone());
        let problem = match what {
            What::Problem(p) => p,
            What::Error => return None,
            other => {
                let d = Diagnostic::new(
                    Code::UnknownProblem,
                    format!("`{name}` is {}, not a problem", other.word()),
                )
                .at(t.name.span, "")
                .at(declared, "declared here");
                self.report(d);
                return None;
            }
        };
        let types: Vec<(Span, Ty)> = t
            .args
            .iter()
            .map(|a| {
                let ty = self.expr(&a.value);
                (a.value.span, self.no_variables(&a.value, &ty))
            })
            .collect();
        if let Some(order) = self.arrange(name, &problem.params, &t.args, t.span, Some(declared)) {
            let mut bound = BTreeMap::new();
            for (formal, given) in problem.params.iter().zip(order) {
                let Some(given) = given else { continue };
                let Some((_, ty)) = types.iter().find(|(s, _)| *s == given.span) else {
                    continue;
                };
                if ty.is_error() || formal.ty.is_error() {
                    continue;
                }
                if let Err(d) = self.argument_fits(name, formal, given, ty, &problem.generics, &mut bound, declared) {
                    self.report(*d);
                }
            }
        }
        Some(problem)
    }

    pub(super) fn solve(&mut self, c: &Solve) {
        let scope = &self.scope;
        let c = &*c.resolved(|n| scope.get(n).is_some_and(|e| matches!(e.what, What::Problem(_))));
        let problem = self.target(c.target.as_ref(), c.keyword);
        if let Some(p) = problem
            .as_ref()
            .filter(|p| p.objectives.is_empty() && p.relations == 0 && !p.broken)
        {
            let at = c.target.as_ref().map_or(c.keyword, |t| t.span);
            let d = errors::nothing_to_solve(&problem_words(p), at);
            self.report(d);
        }
        self.point(c.from.as_ref(), problem.as_deref());
        self.variation(&c.variation, problem.as_deref());
        if let Some(e) = &c.to {
            self.constant_scalar(e, "a tolerance");
        }
        if let Some((e, _)) = &c.within {
            self.constant_scalar(e, "a time");
        }
        if let Some(e) = &c.seed {
            self.integer(e, "a seed");
        }
        let before = self.diagnostics.len();
        if let Some(p) = &c.method {
            self.pipeline(p);
        }
        let wrong = self.diagnostics.len() > before;
        let run = problem.map(|p| {
            let mut info = (*p).clone();
            info.run = Some(self.columns(c.method.as_ref()));
            // Of a method that was reported nobody knows what its runs can be asked.
            info.broken |= wrong || c.method.as_ref().is_some_and(|p| self.mistaken(p));
            Rc::new(info)
        });
        if let Some(e) = &c.stop {
            self.break_condition(e, run.as_deref());
        }
        if let Some(e) = &c.resume {
            let ty = self.expr(e);
            if !ty.is_error() && ty.elem() != Some(Elem::Text) {
                let d = errors::wrong_type("a file's path, a text,", &ty.words(), e.span).help("`resume \"run.json\"`");
                self.report(d);
            }
            if !c.held {
                let d = Diagnostic::new(Code::ClauseOrder, "a saved run is taken up by `start`")
                    .at(e.span, "")
                    .help("`r = start p with … resume \"run.json\"`, then `step r`");
                self.report(d);
            }
        }
        if c.held && c.bind.is_none() {
            let d = Diagnostic::new(Code::ClauseOrder, "a run needs a name to be stepped by")
                .at(c.keyword, "")
                .help("such as `r = start …`, then `step r`");
            self.report(d);
        }
        if let Some(n) = &c.bind {
            let run = run.map(|r| match c.held || c.stop.is_some() {
                true => r,
                false => Rc::new(ProblemInfo {
                    run: None,
                    ..(*r).clone()
                }),
            });
            // Turns of a loop whose values depend on an outer one make no array.
            let turns: Option<Vec<Dim>> = self.turns.iter().map(|t| t.1.clone()).collect();
            let what = run.map_or(What::Error, |p| What::Solution(p, turns.unwrap_or_default()));
            self.declare_result(n, what);
        }
    }

    /// A point: values by variable, a solution, or a draw.
    pub(super) fn point(&mut self, from: Option<&Start>, problem: Option<&ProblemInfo>) {
        match from {
            Some(Start::Values(values)) => {
                for (name, value) in values {
                    let ty = self.expr(value);
                    let ty = self.no_variables(value, &ty);
                    let Some(p) = problem else { continue };
                    match p.vars.get(&name.text) {
                        Some((var, span)) => {
                            let var = var.clone();
                            let span = *span;
                            self.start_fits(&name.text, &var, span, value, &ty);
                        }
                        None if p.broken => {}
                        None => {
                            let near = did_you_mean(&name.text, p.vars.keys().map(String::as_str));
                            let mut d = Diagnostic::new(
                                Code::BadStart,
                                format!("{} has no variable `{}` to start from", problem_words(p), name.text),
                            )
                            .at(name.span, "unknown");
                            if let Some(n) = near {
                                d = d.help_edit(format!("did you mean `{n}`?"), name.span, n);
                            }
                            self.report(d);
                        }
                    }
                }
            }
            Some(Start::Solution(e)) => {
                let ty = self.expr(e);
                if !matches!(ty.kind, Kind::Solution(_) | Kind::Error) {
                    let d = Diagnostic::new(
                        Code::BadStart,
                        format!(
                            "a solve starts from a solution or from `x = …`, not from {}",
                            ty.describe()
                        ),
                    )
                    .at(e.span, "");
                    self.report(d);
                }
            }
            Some(Start::Random(e)) => e.iter().for_each(|e| self.integer(e, "a seed")),
            None => {}
        }
    }

    pub(super) fn inspect(&mut self, target: Option<&ProblemRef>, what: &Aspect, span: Span) {
        let problem = self.target(target, span);
        if let Aspect::Derivatives(at) = what {
            self.point(at.as_ref(), problem.as_deref());
        }
    }

    /// `for k in … { … }`.
    pub(super) fn repeat(&mut self, f: &Repeat) {
        let ty = self.expr(&f.set);
        let ty = self.no_variables(&f.set, &ty);
        let (what, dim) = match &ty.kind {
            Kind::Set(d) if d.arity() > 1 => {
                let d = errors::wrong_type("a set of single elements, or a vector", &ty.words(), f.set.span)
                    .help("loop over each component in a loop of its own");
                self.report(d);
                (What::Error, None)
            }
            Kind::Set(d) => (What::Index(d.clone()), Some(d.clone())),
            Kind::Array { elem, dims, .. } if dims.len() == 1 && *elem != Elem::Text => {
                (What::Let(Ty::scalar(*elem), None), Some(dims[0].clone()))
            }
            Kind::Error => (What::Error, None),
            _ => {
                let mut d = errors::wrong_type("a set or a vector to loop over", &ty.words(), f.set.span);
                if ty.elem() == Some(Elem::Int) && ty.dims().is_empty() {
                    let text = show(&f.set);
                    d = d.help_edit(
                        format!("the integers up to it: `1..{text}`"),
                        f.set.span,
                        format!("1..{text}"),
                    );
                }
                self.report(d);
                (What::Error, None)
            }
        };
        let mut names = std::collections::BTreeSet::new();
        f.set.names_into(&mut names);
        let follows = self.turns.iter().any(|t| names.contains(&t.0));
        let mark = self.scope.mark();
        match self.scope.get(&f.name.text) {
            Some(old) if !matches!(old.what, What::Error) => {
                let d = errors::index_shadows(&f.name.text, f.name.span, old.span, old.what.word());
                self.report(d);
            }
            _ => {
                let span = f.name.span;
                self.scope.add_local(&f.name.text, Entry { span, what });
            }
        }
        self.turns.push((f.name.text.clone(), dim.filter(|_| !follows)));
        for s in &f.body {
            match &s.kind {
                StmtKind::Let(d) => {
                    self.gone.clear();
                    self.place = Place::Function;
                    let ty = self.let_decl(d);
                    self.no_variables(&d.value, &ty);
                    self.place = Place::Top;
                }
                _ => self.statements(std::slice::from_ref(s)),
            }
        }
        self.turns.pop();
        self.scope.release(mark);
    }

    /// `fixing`, `without`, `relaxed`: do they name what the problem has?
    fn variation(&mut self, v: &Variation, problem: Option<&ProblemInfo>) {
        for f in &v.fixing {
            let value = self.expr(&f.value);
            let value = self.no_variables(&f.value, &value);
            let Some(p) = problem else { continue };
            let Some((var, span)) = p.vars.get(&f.name.text) else {
                if !p.broken {
                    let d = Diagnostic::new(
                        Code::BadVariation,
                        format!("{} has no variable `{}` to fix", problem_words(p), f.name.text),
                    )
                    .at(f.name.span, "unknown");
                    let near = did_you_mean(&f.name.text, p.vars.keys().map(String::as_str)).map(str::to_string);
                    let d = match near {
                        Some(n) => d.help_edit(format!("did you mean `{n}`?"), f.name.span, n),
                        None => d,
                    };
                    self.report(d);
                }
                continue;
            };
            let (var, span) = (var.clone(), *span);
            let mark = self.scope.mark();
            self.solved_names(p);
            let place = self.expr(&f.place);
            self.scope.release(mark);
            if place.is_error() || value.is_error() || var.is_error() {
                continue;
            }
            let value = self.numeric(&f.value, value);
            let (a, b) = (place.dims(), value.dims());
            let fits = value.is_error()
                || b.is_empty()
                || a.len() == b.len() && a.iter().zip(b).all(|(p, q)| p.same(q) != Same::No);
            if !fits {
                let d = Diagnostic::new(
                    Code::BadVariation,
                    format!(
                        "`{}` is {}, what it is fixed at {}",
                        show(&f.place),
                        place.describe(),
                        value.describe()
                    ),
                )
                .at(f.value.span, value.describe())
                .at(span, format!("`{}` is declared here", f.name.text))
                .help("a number for all entries, or an array of their shape");
                self.report(d);
            }
        }
        for o in &v.without {
            let (n, Some(p)) = (&o.name, problem) else { continue };
            if p.broken {
                continue;
            }
            if p.constraints.contains_key(&n.text) {
                // Rows are named as in `s.dual(c["a"])`.
                self.of_constraint(p, &o.place);
                continue;
            }
            let d = Diagnostic::new(
                Code::UnknownConstraint,
                format!("{} has no constraint `{}` to leave out", problem_words(p), n.text),
            )
            .at(n.span, "unknown");
            let near = did_you_mean(&n.text, p.constraints.keys().map(String::as_str)).map(str::to_string);
            let d = match near {
                Some(m) => d.help_edit(format!("did you mean `{m}`?"), n.span, m),
                None if p.vars.contains_key(&n.text) => {
                    d.help("`without` takes constraints by name; a variable is fixed by `fixing`")
                }
                None if p.constraints.is_empty() => {
                    d.help("only named constraints can be left out: `budget: sum(x) <= 1`")
                }
                None => {
                    let known: Vec<String> = p.constraints.keys().map(|k| format!("`{k}`")).collect();
                    d.help(format!("it has {}", errors::list(&known)))
                }
            };
            self.report(d);
        }
    }

    /// `break when norm(x) > 10`: variables, `objective stationarity change step`, states and records of the method.
    fn break_condition(&mut self, e: &Expr, run: Option<&ProblemInfo>) {
        let Some(run) = run else {
            return;
        };
        let mark = self.scope.mark();
        let constant = |ty: &Ty| Ty {
            varies: false,
            ..ty.clone()
        };
        let mut names: Vec<(String, Ty, Span)> = vec![];
        names.extend(run.vars.iter().map(|(n, (t, s))| (n.clone(), constant(t), *s)));
        names.extend(
            RUN_NUMBERS
                .iter()
                .map(|n| (n.to_string(), Ty::scalar(Elem::Real), e.span)),
        );
        names.extend(run.run.iter().flatten().map(|n| (n.clone(), Ty::error(), e.span)));
        let mut own: Vec<String> = vec![];
        for (n, ty, span) in names {
            if !own.contains(&n) {
                let what = What::Let(ty, None);
                self.scope.add_local(&n, Entry { span, what });
                own.push(n);
            }
        }
        self.condition(e);
        self.scope.release(mark);
    }

    /// The run that a command is about.
    fn run_of(&mut self, name: &Ident) -> Option<Rc<ProblemInfo>> {
        let found = self.scope.get(&name.text).map(|e| (e.span, e.what.clone()));
        match found {
            Some((_, What::Solution(p, _))) if p.run.is_some() => Some(p),
            Some((_, What::Error)) => None,
            Some((declared, what)) => {
                let word = match what {
                    What::Solution(..) => "a finished solve",
                    other => other.word(),
                };
                let d = Diagnostic::new(Code::UnknownName, format!("`{}` is {word}, not a run", name.text))
                    .at(name.span, "")
                    .at(declared, "declared here")
                    .help("a run is begun by `r = start p with …`");
                self.report(d);
                None
            }
            None => {
                let runs = self
                    .scope
                    .names()
                    .filter(|(_, e)| matches!(&e.what, What::Solution(p, _) if p.run.is_some()))
                    .map(|(n, _)| n);
                let near = did_you_mean(&name.text, runs).map(str::to_string);
                let mut d =
                    Diagnostic::new(Code::UnknownName, format!("there is no run `{}`", name.text)).at(name.span, "");
                d = match near {
                    Some(n) => d.help_edit(format!("did you mean `{n}`?"), name.span, n),
                    None => d.help("a run is begun by `r = start p with …`"),
                };
                self.report(d);
                None
            }
        }
    }

    pub(super) fn step_run(&mut self, c: &StepRun) {
        let run = self.run_of(&c.run);
        if let Some(e) = &c.count {
            self.integer(e, "a number of steps");
        }
        if let Some((e, _)) = &c.within {
            self.constant_scalar(e, "a time");
        }
        if let Some(e) = &c.stop {
            self.break_condition(e, run.as_deref());
        }
    }

    pub(super) fn rewind(&mut self, run: &Ident, to: &Expr) {
        self.run_of(run);
        self.integer(to, "a step");
    }

    pub(super) fn start_fits(&mut self, name: &str, var: &Ty, declared: Span, value: &Expr, ty: &Ty) {
        if ty.is_error() || var.is_error() {
            return;
        }
        let ty = self.numeric(value, ty.clone());
        let (a, b) = (var.dims(), ty.dims());
        let fits =
            ty.is_error() || b.is_empty() || a.len() == b.len() && a.iter().zip(b).all(|(p, q)| p.same(q) != Same::No);
        if !fits {
            let d = Diagnostic::new(
                Code::BadStart,
                format!(
                    "the start of `{name}` is {}, the variable {}",
                    ty.describe(),
                    var.describe()
                ),
            )
            .at(value.span, ty.describe())
            .at(declared, format!("`{name}` is declared here"))
            .help("a start is a number for all entries, or an array of the variable's shape");
            self.report(d);
        }
    }

    pub(super) fn minimize_from(&mut self, m: &MinimizeFrom) {
        self.place = Place::Problem;
        let mark = self.scope.mark();
        for (name, value) in &m.starts {
            let ty = self.expr(value);
            let ty = self.no_variables(value, &ty);
            let mut ty = self.numeric(value, ty);
            set_elem(&mut ty, Elem::Real);
            ty.varies = true;
            if self.scope.get(&name.text).is_some() {
                self.declare(name, What::Var(ty));
            } else {
                let entry = Entry {
                    span: name.span,
                    what: What::Var(ty),
                };
                self.scope.add_local(&name.text, entry);
            }
        }
        let mut p = ProblemInfo::default();
        self.objective(&mut p, &m.objective);
        self.scope.release(mark);
        self.place = Place::Top;
    }

    /// `source NAME`, `help NAME`.
    pub(super) fn about(&mut self, n: &Ident) {
        let known = self.scope.get(&n.text).is_some()
            || self.catalogue.functions.contains_key(&n.text)
            || self.catalogue.methods.contains_key(&n.text)
            || GROUPS.iter().any(|g| g.0 == n.text)
            || crate::lang::parse::is_reserved(&n.text);
        if !known {
            let names = self
                .scope
                .names()
                .map(|(n, _)| n)
                .chain(self.catalogue.functions.keys().map(String::as_str))
                .chain(self.catalogue.methods.keys().map(String::as_str))
                .chain(self.catalogue.library.iter().map(String::as_str))
                .chain(GROUPS.iter().map(|g| g.0));
            let near = did_you_mean(&n.text, names).map(str::to_string);
            let mut d = Diagnostic::new(Code::UnknownName, format!("nothing is called `{}`", n.text)).at(n.span, "");
            if let Some(m) = near {
                d = d.help_edit(format!("did you mean `{m}`?"), n.span, m);
            }
            self.report(d);
        }
    }
}
