//! Optimizers, transforms and pipelines: what a step may ask for, and which parts fit where.
//!
//! Invariant: the point is an array over a set of its own, so that it combines with arrays of its shape only; a name of
//! a problem (`x.U`) is not known here and agrees with everything.

use std::collections::BTreeMap;
use std::rc::Rc;

use indexmap::IndexMap;

use super::declare::Sizes;
use super::scope::{FormalInfo, MethodInfo, Sort};
use super::types::{Dim, Elem, Kind, Poly, Same, Ty};
use super::{Checker, Entry, Place, What};
use crate::base::diagnostic::did_you_mean;
use crate::base::{Code, Diagnostic, Span};
use crate::lang::errors::types as errors;
use crate::lang::syntax::{
    Arg, Entrant, Expr, ExprKind, Ident, LetDecl, MethodCall, OptimizerDecl, Pipeline, PipelineDecl, Role, Stage,
    StepKind, StepStmt, Subscript, TypeExpr,
};

/// The set that the point's coordinates range over, as types show it.
pub(super) const POINT: &str = "point";

/// What a step may ask of the problem; each counts.
pub const ORACLES: &[&str] = &[
    "value",
    "trial",
    "smooth",
    "grad",
    "operator",
    "lmo",
    "away",
    "reach",
    "hvp",
    "hessian",
    "prox",
    "project",
    "constraints",
    "residuals",
    "jacobian",
    "jvp",
    "vjp",
    "grads",
];
/// Random draws.
pub const DRAWS: &[&str] = &["normal", "rademacher", "uniform", "permutation", "sample"];

/// What runs pipelines in braces, and what it is told.
pub const GROUPS: &[(&str, &[&str])] = &[
    ("race", &[]),
    ("multistart", &["count", "spread"]),
    ("repeat", &["count"]),
];

/// What is known while an optimizer's block is checked.
#[derive(Default)]
pub struct StepScope {
    /// Names that an update may change, with their types.
    targets: IndexMap<String, Ty>,
    /// Names that some update changes.
    changed: Vec<String>,
    /// Blocks bound by `each`, innermost last.
    blocks: Vec<(String, Ty)>,
    /// States of an `each`, by its branch.
    inside: Vec<(bool, String, Span, Ty)>,
    records: Vec<String>,
}

fn point() -> Ty {
    Ty::array(Elem::Real, vec![Dim::Labels(POINT.into())], false)
}

/// What is a vector of the point besides the point, and the terms of the objective's sum, as types show them.
const ROWS: [&str; 2] = ["constraints", "residuals"];
const TERMS: &str = "terms";

/// A vector of rows.
fn rows(of: &str) -> Ty {
    Ty::array(Elem::Real, vec![Dim::Labels(of.into())], false)
}

/// A matrix with a column for each coordinate of the point.
fn over_point(of: &str) -> Ty {
    let dims = [of, POINT].map(|d| Dim::Labels(d.into())).to_vec();
    Ty::array(Elem::Real, dims, false)
}

impl Checker<'_> {
    pub(super) fn optimizer_decl(&mut self, d: &OptimizerDecl) {
        let before = self.diagnostics.len();
        self.place = Place::Function;
        let mark = self.scope.mark();
        self.defining.push((d.name.text.clone(), d.name.span));
        self.step = Some(StepScope::default());
        let entry = Entry {
            span: d.name.span,
            what: What::Set {
                dim: Dim::Labels(POINT.into()),
                labels: None,
            },
        };
        self.scope.add_local(POINT, entry);
        let (params, generics) = self.formals(&d.params);
        let mut scope = StepScope::default();
        for name in ["x", "u", "answer"] {
            if name != "u" || d.role == Role::Transform {
                scope.targets.insert(name.into(), point());
                let entry = Entry {
                    span: d.name.span,
                    what: What::Formal(point()),
                };
                self.scope.add_local(name, entry);
            }
        }
        let words = [
            ("fmin", Ty::scalar(Elem::Real)),
            ("terms", Ty::scalar(Elem::Int)),
            ("equations", rows(ROWS[0])),
        ];
        for (name, ty) in words {
            let entry = Entry {
                span: d.name.span,
                what: What::Formal(ty),
            };
            self.scope.add_local(name, entry);
        }
        self.step = Some(scope);
        for s in &d.states {
            self.state(s, None);
        }
        if let Some(t) = &d.t {
            self.declare(t, What::Formal(Ty::scalar(Elem::Int)));
        }
        self.step_lines(&d.step);
        self.defining.pop();
        self.scope.release(mark);
        self.place = Place::Top;
        let scope = self.step.take().unwrap_or_default();
        let changes = |n: &str| scope.changed.iter().any(|c| c == n);
        let sort = match d.role {
            Role::Optimizer => Sort::Optimizer,
            Role::Transform if d.of_update() => Sort::Direction,
            Role::Transform => Sort::Point,
        };
        let acts = |s: &StepStmt| {
            matches!(
                s.kind,
                StepKind::Record { .. } | StepKind::Stop(_) | StepKind::Restart(_) | StepKind::Fail { .. }
            )
        };
        let mut moved = changes("x") || changes("answer") || changes("u");
        if d.role == Role::Transform {
            d.step.iter().for_each(|s| s.for_each_stmt(&mut |s| moved |= acts(s)));
        }
        if !moved && !self.diagnostics[before..].iter().any(Diagnostic::is_error) {
            let what = match d.role {
                Role::Optimizer => "an optimizer changes `x`, and no line of this step does",
                Role::Transform => {
                    "a transform changes `u`, `x` or `answer`, or ends or restarts the run, and no line of this step does"
                }
            };
            let m = Diagnostic::new(Code::BadStep, what)
                .at(d.name.span, "")
                .help("write `x <- …`");
            self.report(m);
        }
        if d.role == Role::Transform && changes("u") && changes("x") {
            let m = Diagnostic::new(Code::BadStep, "a transform changes either `u` or `x`, this one both")
                .at(d.name.span, "")
                .help("make it two transforms, each on its side of the optimizer");
            self.report(m);
        }
        if d.broken {
            // What names mean may stand in the line that could not be read.
            let said = [Code::BadStep, Code::UnknownName, Code::StateShape];
            let mut k = 0;
            self.diagnostics.retain(|m| {
                k += 1;
                k <= before || !said.contains(&m.code)
            });
        }
        let what = if d.broken || self.diagnostics[before..].iter().any(Diagnostic::is_error) {
            What::Error
        } else {
            What::Method(Rc::new(MethodInfo {
                sort,
                params,
                generics,
                records: scope.records,
                states: d.states.iter().flat_map(state_names).collect(),
            }))
        };
        self.declare(&d.name, what);
    }

    /// A state, or the states of blocks.
    fn state(&mut self, s: &StepStmt, branch: Option<bool>) {
        match &s.kind {
            StepKind::State { name, value } => {
                self.well_placed(value);
                let mut ty = self.expr(value);
                match &mut ty.kind {
                    Kind::Array { elem, .. } if *elem != Elem::Bool && *elem != Elem::Text => *elem = Elem::Real,
                    Kind::Array { elem: Elem::Bool, .. } | Kind::History(_) | Kind::Keyed(_) | Kind::Error => {}
                    _ => {
                        let d = errors::wrong_type("a number, an array or a history", &ty.words(), value.span);
                        ty = self.wrong(d);
                    }
                }
                ty.varies = false;
                self.declare(name, What::Formal(ty.clone()));
                if let Some(scope) = &mut self.step {
                    if let Some(b) = branch {
                        scope.inside.push((b, name.text.clone(), name.span, ty));
                    } else {
                        scope.targets.insert(name.text.clone(), ty);
                    }
                }
            }
            StepKind::Each {
                name,
                ty,
                of,
                body,
                otherwise,
            } => {
                for (first, lines) in [(true, body), (false, otherwise)] {
                    let mark = self.scope.mark();
                    self.block_names(name, if first { ty.as_ref() } else { None }, of);
                    lines.iter().for_each(|l| self.state(l, Some(first)));
                    if let Some(scope) = &mut self.step {
                        scope.blocks.pop();
                    }
                    self.scope.release(mark);
                }
            }
            _ => {}
        }
    }

    /// Declares the block of an `each` and its sizes.
    fn block_names(&mut self, name: &Ident, ty: Option<&TypeExpr>, of: &Ident) {
        if of.text != "x" {
            let d = Diagnostic::new(
                Code::BadStep,
                format!("`each` runs over the blocks of `x`, not of `{}`", of.text),
            )
            .at(of.span, "")
            .help(format!("the part of another point is `{}.{}`", of.text, name.text));
            self.report(d);
        }
        let block = match ty {
            Some(t) => {
                let mut sizes = vec![];
                let block = self.declared_type(t, Sizes::Bind(&mut sizes));
                for s in sizes {
                    let entry = Entry {
                        span: t.span,
                        what: What::Size,
                    };
                    self.scope.add_local(&s, entry);
                }
                block
            }
            None => Ty::array(
                Elem::Real,
                vec![Dim::size(Poly::symbol(format!("entries_of_{}", name.text)))],
                false,
            ),
        };
        self.declare(name, What::Formal(block.clone()));
        if let Some(scope) = &mut self.step {
            scope.blocks.push((name.text.clone(), block));
        }
    }

    fn step_lines(&mut self, lines: &[StepStmt]) {
        let mark = self.scope.mark();
        for s in lines {
            self.gone.clear();
            self.step_line(s);
        }
        self.scope.release(mark);
    }

    fn step_line(&mut self, s: &StepStmt) {
        match &s.kind {
            StepKind::State { .. } => {}
            StepKind::Let(d) => self.step_let(d),
            StepKind::Update {
                name,
                block,
                entry,
                value,
            } => self.update(name, block.as_ref(), entry.as_ref(), value),
            StepKind::If {
                condition,
                then,
                otherwise,
            } => {
                self.well_placed(condition);
                self.condition(condition);
                self.step_lines(then);
                self.step_lines(otherwise);
            }
            StepKind::While { condition, body } => {
                self.well_placed(condition);
                self.condition(condition);
                self.step_lines(body);
            }
            StepKind::For { name, set, body } => {
                let ends: Vec<&Expr> = match &set.kind {
                    ExprKind::Range { lo, hi } => vec![lo, hi],
                    _ => {
                        let ty = self.expr(set);
                        if !ty.is_error() {
                            let d = errors::wrong_type("a range of integers `1..n`", &ty.words(), set.span);
                            self.report(d);
                        }
                        vec![]
                    }
                };
                for e in ends {
                    self.well_placed(e);
                    let ty = self.number(e);
                    if !ty.dims().is_empty() {
                        let d = errors::wrong_type("an integer", &ty.words(), e.span);
                        self.report(d);
                    }
                }
                let mark = self.scope.mark();
                self.declare(name, What::Formal(Ty::scalar(Elem::Int)));
                self.step_lines(body);
                self.scope.release(mark);
            }
            StepKind::Each {
                name,
                ty,
                of,
                body,
                otherwise,
            } => {
                for (first, lines) in [(true, body), (false, otherwise)] {
                    let mark = self.scope.mark();
                    self.block_names(name, if first { ty.as_ref() } else { None }, of);
                    let mut own = vec![name.text.clone()];
                    let block = self.scope.get(&name.text).map(|e| e.what.clone());
                    if let (Some(scope), Some(What::Formal(t))) = (&mut self.step, block) {
                        scope.targets.insert(name.text.clone(), t);
                    }
                    let inside: Vec<(String, Span, Ty)> = self
                        .step
                        .iter()
                        .flat_map(|s| &s.inside)
                        .filter(|i| i.0 == first)
                        .map(|(_, n, s, t)| (n.clone(), *s, t.clone()))
                        .collect();
                    for (n, span, t) in inside {
                        let entry = Entry {
                            span,
                            what: What::Formal(t.clone()),
                        };
                        self.scope.add_local(&n, entry);
                        if let Some(scope) = &mut self.step {
                            scope.targets.insert(n.clone(), t);
                        }
                        own.push(n);
                    }
                    self.step_lines(lines);
                    if let Some(scope) = &mut self.step {
                        scope.blocks.pop();
                        if scope.changed.contains(&name.text) {
                            scope.changed.push("x".into());
                        }
                        for n in own {
                            scope.targets.shift_remove(&n);
                        }
                    }
                    self.scope.release(mark);
                }
            }
            StepKind::Record { name, value } => {
                self.well_placed(value);
                let ty = self.number(value);
                if !ty.dims().is_empty() {
                    let d = errors::wrong_type("a number to record", &ty.words(), value.span)
                        .help("a norm, an entry or a sum is a number");
                    self.report(d);
                }
                if let Some(scope) = &mut self.step
                    && !scope.records.contains(&name.text)
                {
                    scope.records.push(name.text.clone());
                }
            }
            StepKind::Stop(e) | StepKind::Restart(e) | StepKind::Fail { condition: e, .. } => {
                self.well_placed(e);
                self.condition(e);
            }
        }
    }

    fn step_let(&mut self, d: &LetDecl) {
        self.well_placed(&d.value);
        let ty = self.expr(&d.value);
        if let Some(t) = &d.ty {
            self.declared_type(t, Sizes::Known);
        }
        self.declare(&d.name, What::Let(ty, None));
    }

    fn update(&mut self, name: &Ident, block: Option<&Ident>, entry: Option<&Expr>, value: &Expr) {
        let known = self.step.as_ref().is_none_or(|s| s.targets.contains_key(&name.text));
        if !known && self.scope.local(&name.text).is_none() {
            // One message for it, whatever else reads it.
            let entry = Entry {
                span: name.span,
                what: What::Error,
            };
            self.scope.add_local(&name.text, entry);
        }
        self.well_placed(value);
        let ty = self.expr(value);
        let at = entry.map(|e| {
            self.well_placed(e);
            (self.expr(e), e.span)
        });
        let Some(scope) = &mut self.step else { return };
        let Some(want) = scope.targets.get(&name.text).cloned() else {
            let known: Vec<String> = scope.targets.keys().cloned().collect();
            let near = did_you_mean(&name.text, known.iter().map(String::as_str)).map(str::to_string);
            let mut d = Diagnostic::new(
                Code::BadStep,
                format!("`{}` is no state that `<-` could change", name.text),
            )
            .at(name.span, "");
            let other = self.scope.local(&name.text).filter(|e| !matches!(e.what, What::Error));
            d = match (near, other) {
                (Some(n), None) => d.help_edit(format!("did you mean `{n}`?"), name.span, n),
                (_, Some(e)) => {
                    let at = e.span;
                    d.at(at, "declared here")
                        .help("what changes from step to step is declared `state name = value` before the `step`")
                }
                _ => d.help(format!(
                    "declare it before the `step`: `state {} = …`; the problem's variables together are `x`",
                    name.text
                )),
            };
            self.report(d);
            return;
        };
        if !scope.changed.contains(&name.text) {
            scope.changed.push(name.text.clone());
        }
        if matches!(want.kind, Kind::Keyed(_)) != at.is_some() && !want.is_error() {
            let (what, help) = match &at {
                Some(_) => (
                    format!("`{}` is no table, and changes as a whole", name.text),
                    "a table is declared `state phi = table(terms, zeros(x))`",
                ),
                None => (
                    format!("`{}` is a table, and changes entry by entry", name.text),
                    "such as `phi[i] <- g`",
                ),
            };
            let d = Diagnostic::new(Code::BadStep, what)
                .at(at.map_or(name.span, |a| a.1), "")
                .help(help);
            self.report(d);
            return;
        }
        if let Some((place, span)) = &at
            && !(place.is_error() || is_place(place))
        {
            let d = errors::wrong_type("a number or a mini-batch of one term", &place.words(), *span);
            self.report(d);
        }
        let Some(scope) = &self.step else { return };
        let want = match (&want.kind, block) {
            (Kind::Keyed(t), None) => (**t).clone(),
            (_, Some(b)) => match scope.blocks.iter().find(|(n, _)| *n == b.text) {
                Some((_, t)) => t.clone(),
                None => Ty::error(),
            },
            (Kind::History(t), None) => (**t).clone(),
            _ => want,
        };
        let fits = match (&want.kind, &ty.kind) {
            (Kind::Error, _) | (_, Kind::Error) => true,
            (Kind::Array { elem: a, dims: p, .. }, Kind::Array { elem: b, dims: q, .. }) => {
                *b != Elem::Text
                    && (*a != Elem::Bool || *b == Elem::Bool)
                    && p.len() == q.len()
                    && p.iter().zip(q).all(|(a, b)| a.same(b) != Same::No)
            }
            _ => false,
        };
        if !fits {
            let d = Diagnostic::new(
                Code::StateShape,
                format!(
                    "`{}` holds {}, the new value is {}",
                    name.text,
                    want.words(),
                    ty.words()
                ),
            )
            .at(value.span, ty.describe())
            .help("a state keeps its shape; a number for all entries is `v*ones(x)`");
            self.report(d);
        }
    }

    /// Reports what a step asks for in a place that is not always reached.
    fn well_placed(&mut self, e: &Expr) {
        let mut found: Vec<(String, Span)> = vec![];
        asks(e, false, &mut found);
        for (name, span) in found {
            let d = Diagnostic::new(
                Code::BadStep,
                format!("`{name}` stands where it is not asked exactly once"),
            )
            .at(span, "inside an `if`, a comprehension or a function")
            .help(format!(
                "name it on a line of its own: `let v = {name}(…)`; an `if c {{ … }}` statement chooses"
            ));
            self.report(d);
        }
    }

    /// What a step may call beside the functions of the language.
    pub(super) fn step_call(&mut self, e: &Expr, callee: &Expr, name: &str, args: &[Arg]) -> Option<Ty> {
        self.step.as_ref()?;
        let oracle = ORACLES.contains(&name) || DRAWS.contains(&name);
        let own = oracle || matches!(name, "old" | "history" | "table");
        let like = matches!(name, "zeros" | "ones" | "length") && args.len() == 1;
        if !own && !like || self.scope.local(name).is_some() {
            return None;
        }
        let (of, args) = match (name, args) {
            ("jacobian" | "jvp" | "vjp", [rest @ .., last]) if last.name.as_ref().is_some_and(|n| n.text == "of") => {
                (last.value.as_name().unwrap_or("other"), rest)
            }
            _ => (ROWS[0], args),
        };
        let types: Vec<Ty> = args.iter().map(|a| self.expr(&a.value)).collect();
        if like {
            return match (&types[0].kind, name) {
                (Kind::History(_), "length") => Some(Ty::scalar(Elem::Int)),
                (Kind::Array { dims, .. }, "zeros" | "ones") if !dims.is_empty() => Some(Ty {
                    kind: Kind::Array {
                        elem: Elem::Real,
                        dims: dims.clone(),
                        covector: false,
                    },
                    varies: false,
                }),
                (Kind::Error, _) => Some(Ty::error()),
                _ => None,
            };
        }
        if let Some(a) = args.iter().find(|a| {
            a.name
                .as_ref()
                .is_some_and(|n| !(name == "sample" && matches!(n.text.as_str(), "of" | "replace")))
        }) {
            let d = Diagnostic::new(Code::UnknownArgument, format!("`{name}` takes no named arguments"))
                .at(a.value.span, "");
            return Some(self.wrong(d));
        }
        if types.iter().any(Ty::is_error) {
            return Some(Ty::error());
        }
        let is_point = |t: &Ty| t.kind == point().kind;
        let number = |t: &Ty| t.dims().is_empty() && matches!(t.elem(), Some(Elem::Real | Elem::Int));
        let batch = |k: usize| types.get(k).is_none_or(is_place);
        let named = |w: &str| args.iter().position(|a| a.name.as_ref().is_some_and(|n| n.text == w));
        let n = types.len();
        let like = |t: &Ty| {
            let dims = t.dims().to_vec();
            Ty::array(Elem::Real, dims, false)
        };
        let (ok, ty, form) = match name {
            "value" => (
                (1..=2).contains(&n) && is_point(&types[0]) && batch(1),
                Ty::scalar(Elem::Real),
                "value(x)`, `value(x, batch)` or, for one term, `value(x, i)",
            ),
            "trial" => (n == 1 && is_point(&types[0]), Ty::scalar(Elem::Real), "trial(x)"),
            "grad" if n == 0 => (
                self.step.as_ref().is_some_and(|s| s.targets.contains_key("u")),
                point(),
                "grad(x)`; without a point it is the optimizer's gradient, which transforms know: `grad()",
            ),
            "grad" => (
                (1..=2).contains(&n) && is_point(&types[0]) && batch(1),
                point(),
                "grad(x)`, `grad(x, batch)` or, for one term, `grad(x, i)",
            ),
            "operator" => (n == 1 && is_point(&types[0]), point(), "operator(x)"),
            "lmo" => (n == 1 && is_point(&types[0]), point(), "lmo(g)"),
            "away" => (
                n == 2 && is_point(&types[0]) && is_point(&types[1]),
                point(),
                "away(x, g)",
            ),
            "reach" => (
                n == 2 && is_point(&types[0]) && is_point(&types[1]),
                Ty::scalar(Elem::Real),
                "reach(x, d)",
            ),
            "hvp" => (
                (2..=3).contains(&n) && is_point(&types[0]) && is_point(&types[1]) && batch(2),
                point(),
                "hvp(x, v)` or `hvp(x, v, batch)",
            ),
            "hessian" => {
                let d = Dim::Labels(POINT.into());
                (
                    n == 1 && is_point(&types[0]),
                    Ty::array(Elem::Real, vec![d.clone(), d], false),
                    "hessian(x)",
                )
            }
            "smooth" => (n == 1 && is_point(&types[0]), Ty::scalar(Elem::Real), "smooth(x)"),
            "prox" => (
                n == 2 && is_point(&types[0]) && number(&types[1]),
                point(),
                "prox(x, t)",
            ),
            "project" => (n == 1 && is_point(&types[0]), point(), "project(x)"),
            "constraints" => (n == 1 && is_point(&types[0]), rows(ROWS[0]), "constraints(x)"),
            "residuals" => (n == 1 && is_point(&types[0]), rows(ROWS[1]), "residuals(x)"),
            "jacobian" => (
                n == 1 && is_point(&types[0]) && ROWS.contains(&of),
                over_point(of),
                "jacobian(x)` of the constraints, or `jacobian(x, of: residuals)",
            ),
            "jvp" => (
                n == 2 && types.iter().all(is_point) && ROWS.contains(&of),
                rows(of),
                "jvp(x, v)` of the constraints, or `jvp(x, v, of: residuals)",
            ),
            "vjp" => (
                n == 2 && is_point(&types[0]) && types[1].kind == rows(of).kind && ROWS.contains(&of),
                point(),
                "vjp(x, y)` with a number `y` for each constraint, or `vjp(x, y, of: residuals)",
            ),
            "grads" => (n == 1 && is_point(&types[0]), over_point(TERMS), "grads(x)"),
            "sample" => (
                n >= 1
                    && number(&types[0])
                    && args[1..].iter().all(|a| a.name.is_some())
                    && named("of").is_none_or(|k| matches!(types[k].kind, Kind::Set(_)))
                    && named("replace")
                        .is_none_or(|k| types[k].dims().is_empty() && types[k].elem() == Some(Elem::Bool)),
                Ty::of(Kind::Batch),
                "sample(k)`, `sample(k, replace: false)` or `sample(k, of: S)",
            ),
            "normal" | "rademacher" | "uniform" => (
                n == 0 || n == 1 && types[0].elem().is_some(),
                types.first().map_or(Ty::scalar(Elem::Real), like),
                "normal()` for a number, `normal(x)` for as many as `x` has",
            ),
            "permutation" => (
                n == 1 && number(&types[0]),
                Ty::array(
                    Elem::Int,
                    vec![self.poly(&args[0].value).map_or(Dim::Unknown, Dim::size)],
                    false,
                ),
                "permutation(n)",
            ),
            "old" => {
                let known = args
                    .first()
                    .and_then(|a| a.value.as_name())
                    .is_some_and(|v| self.step.as_ref().is_some_and(|s| s.targets.contains_key(v)));
                (
                    n == 1 && known,
                    types.first().cloned().unwrap_or(Ty::error()),
                    "old(v)` of a state",
                )
            }
            "table" => (
                n == 2 && number(&types[0]) && types[1].elem().is_some(),
                Ty::of(Kind::Keyed(Box::new(types.get(1).map_or(Ty::error(), like)))),
                "table(terms, zeros(x))",
            ),
            _ => (
                n == 2 && number(&types[0]) && types[1].elem().is_some(),
                Ty::of(Kind::History(Box::new(types.get(1).map_or(Ty::error(), like)))),
                "history(20, zeros(x))",
            ),
        };
        if ok {
            return Some(ty);
        }
        let found: Vec<String> = types.iter().map(Ty::describe).collect();
        let d = Diagnostic::new(
            Code::NoOverload,
            format!(
                "`{name}` does not take {}",
                if found.is_empty() {
                    "nothing".into()
                } else {
                    found.join(" and ")
                }
            ),
        )
        .at(e.span, "")
        .note(match form.matches('`').count() % 2 {
            0 => format!("it is written `{form}`"),
            // It ends in words.
            _ => format!("it is written `{form}"),
        });
        let _ = callee;
        Some(self.wrong(d))
    }

    /// `lr(t)`.
    pub(super) fn call_schedule(&mut self, e: &Expr, name: &str, declared: Span, ty: &Ty, args: &[Arg]) -> Ty {
        let types: Vec<Ty> = args.iter().map(|a| self.number(&a.value)).collect();
        let one = types.len() == 1 && types[0].dims().is_empty() && args[0].name.is_none();
        if !one && !types.iter().any(Ty::is_error) {
            let d = errors::arity(name, "the number of the step", args.len(), e.span, Some(declared));
            return self.wrong(d);
        }
        Ty {
            varies: ty.varies,
            ..Ty::scalar(Elem::Real)
        }
    }

    /// `g.X` where `X` is a block: the part of a point; of a variable's name nothing is known here.
    pub(super) fn block_of(&mut self, ty: &Ty, name: &Ident) -> Option<Ty> {
        let scope = self.step.as_ref()?;
        if ty.kind == rows(ROWS[0]).kind {
            // Constraints have their own names, which are those of a problem.
            return Some(Ty::error());
        }
        if ty.kind != point().kind {
            return None;
        }
        let block = scope.blocks.iter().find(|(n, _)| *n == name.text);
        Some(block.map_or(Ty::error(), |(_, t)| t.clone()))
    }

    /// Is it the name of a history or a table?
    pub(super) fn is_history(&self, base: &Expr) -> bool {
        let entry = base.as_name().and_then(|n| self.scope.get(n));
        matches!(entry.map(|e| &e.what), Some(What::Formal(t)) if matches!(t.kind, Kind::History(_) | Kind::Keyed(_)))
    }

    /// `h[k]`: the k-th newest value, or the k-th entry of a table.
    pub(super) fn history_entry(&mut self, e: &Expr, base: &Expr, subscripts: &[Subscript]) -> Ty {
        let ty = self.expr(base);
        let (inner, keyed) = match ty.kind {
            Kind::History(inner) => (inner, false),
            Kind::Keyed(inner) => (inner, true),
            _ => return Ty::error(),
        };
        match subscripts {
            [Subscript::At(k)] if keyed => {
                let t = self.expr(k);
                if t.is_error() || is_place(&t) {
                    return *inner;
                }
                let d = errors::wrong_type("a number or a mini-batch of one term", &t.words(), k.span);
                self.wrong(d)
            }
            [Subscript::At(k)] => {
                let t = self.number(k);
                if t.dims().is_empty() {
                    return *inner;
                }
                let d = errors::wrong_type("a number, 1 for the newest,", &t.words(), k.span);
                self.wrong(d)
            }
            _ => {
                let what = if keyed {
                    "a table has one index"
                } else {
                    "a history has one index: 1 is the newest value"
                };
                let d = Diagnostic::new(Code::WrongIndexCount, what).at(e.span, "");
                self.wrong(d)
            }
        }
    }

    pub(super) fn pipeline_decl(&mut self, d: &PipelineDecl) {
        let before = self.diagnostics.len();
        self.place = Place::Function;
        let mark = self.scope.mark();
        self.defining.push((d.name.text.clone(), d.name.span));
        let (params, generics) = self.formals(&d.params);
        let records = self.pipeline(&d.body);
        self.defining.pop();
        self.scope.release(mark);
        self.place = Place::Top;
        let what = if self.diagnostics[before..].iter().any(Diagnostic::is_error) {
            What::Error
        } else {
            What::Method(Rc::new(MethodInfo {
                sort: Sort::Pipeline,
                params,
                generics,
                records,
                states: self.columns(Some(&d.body)),
            }))
        };
        self.declare(&d.name, what);
    }

    /// Checks a pipeline; answers the names that its steps record.
    pub(super) fn pipeline(&mut self, p: &Pipeline) -> Vec<String> {
        let mut all = vec![];
        for s in &p.stages {
            let mut sorts = vec![];
            let mut records = vec![];
            for m in &s.parts {
                if let Some(entrants) = &m.group {
                    records.extend(self.group(m, entrants, s));
                    continue;
                }
                let info = self.part(m);
                if let Some(i) = &info {
                    records.extend(i.records.iter().cloned());
                }
                sorts.push((m, info.map(|i| i.sort)));
            }
            if !s.parts.iter().any(|m| m.group.is_some()) {
                self.one_step(s, &sorts);
            }
            if let Some((e, _)) = &s.count {
                self.integer(e, "a number of steps");
            }
            if let Some((e, _)) = &s.within {
                self.constant_scalar(e, "a time");
            }
            if let Some(e) = &s.until {
                self.predicate(e, &records);
            }
            all.extend(records);
        }
        all
    }

    /// One word of several, with or without quotes; a name in force stands for its value.
    fn word(&mut self, formal: &FormalInfo, e: &Expr) -> Ty {
        let word = match &e.kind {
            ExprKind::Text(t) => t.as_str(),
            ExprKind::Name(n) if self.scope.get(n).is_none() => n.as_str(),
            _ => return self.expr(e),
        };
        if formal.words.iter().any(|w| w == word) {
            return Ty::scalar(Elem::Text);
        }
        let known: Vec<String> = formal.words.iter().map(|w| format!("`{w}`")).collect();
        let mut d = Diagnostic::new(Code::BadOption, format!("`{}` cannot be `{word}`", formal.name))
            .at(e.span, "")
            .note(format!("it is one of {}", errors::list(&known)));
        if let Some(n) = did_you_mean(word, formal.words.iter().map(String::as_str)) {
            d = d.help_edit(format!("did you mean `{n}`?"), e.span, n.to_string());
        }
        self.wrong(d)
    }

    /// `race { a; b }`, `multistart(20) { a }`, `repeat(3) { a }`; answers what its pipelines record.
    fn group(&mut self, m: &MethodCall, entrants: &[Entrant], stage: &Stage) -> Vec<String> {
        let name = m.name.text.as_str();
        let Some((_, options)) = GROUPS.iter().find(|g| g.0 == name) else {
            let near = did_you_mean(name, GROUPS.iter().map(|g| g.0));
            let mut d =
                Diagnostic::new(Code::BadPipeline, format!("`{name}` takes no pipelines in braces")).at(m.span, "");
            d = match near {
                Some(n) => d.help_edit(format!("did you mean `{n}`?"), m.name.span, n),
                None => d.help("`race { … }`, `multistart(20) { … }` and `repeat(3) { … }` do"),
            };
            self.report(d);
            return vec![];
        };
        if let [_, _, ..] = stage.parts.as_slice() {
            let d = Diagnostic::new(
                Code::BadPipeline,
                format!("`{name}` runs whole pipelines: transforms do not reach into their steps"),
            )
            .at(m.span, "")
            .help("put the transforms inside the braces");
            self.report(d);
        }
        for (k, a) in m.args.iter().enumerate() {
            match (k, &a.name) {
                (0, None) if options.contains(&"count") => self.integer(&a.value, "how often"),
                (_, Some(n)) if n.text == "spread" && options.contains(&"spread") => {
                    self.constant_scalar(&a.value, "a spread");
                }
                (_, n) => {
                    let at = n.as_ref().map_or(a.value.span, |n| n.span);
                    let takes = match name {
                        "race" => "it takes none: `race { lbfgs(); newton_tr() }`",
                        "multistart" => "it takes how often, and `spread:`, how far from the start",
                        _ => "it takes how often: `repeat(3) { … }`",
                    };
                    self.report(
                        Diagnostic::new(Code::BadOption, format!("`{name}` has no such argument"))
                            .at(at, "")
                            .help(takes),
                    );
                }
            }
        }
        if options.contains(&"count") && m.args.first().is_none_or(|a| a.name.is_some()) {
            let d = Diagnostic::new(Code::BadOption, format!("`{name}` needs to know how often"))
                .at(m.name.span, "")
                .help(format!("such as `{name}(20) {{ … }}`"));
            self.report(d);
        }
        let wrong = match (name, entrants) {
            (_, []) => Some(("there is nothing in the braces".to_string(), "put a pipeline there")),
            ("race", [_]) => Some((
                "a race has at least two runners, this one has one".into(),
                "`race { lbfgs(); newton_tr() }`",
            )),
            ("race", _) | (_, [_]) => None,
            _ => Some((
                format!("`{name}` runs one pipeline, there are {}", entrants.len()),
                "`then` makes one of them, `race { … }` runs them against one another",
            )),
        };
        if let Some((what, help)) = wrong {
            self.report(Diagnostic::new(Code::BadPipeline, what).at(m.span, "").help(help));
        }
        let mut labels: Vec<&Ident> = vec![];
        let mut records = vec![];
        for e in entrants {
            if let Some(l) = &e.label {
                if let Some(first) = labels.iter().find(|k| k.text == l.text) {
                    let d = Diagnostic::new(Code::DuplicateName, format!("two runners are called `{}`", l.text))
                        .at(l.span, "again here")
                        .at(first.span, "first here");
                    self.report(d);
                }
                labels.push(l);
            }
            records.extend(self.pipeline(&e.pipeline));
        }
        records
    }

    /// One call of a pipeline; nothing is known of methods that are not written in the language.
    fn part(&mut self, m: &MethodCall) -> Option<Rc<MethodInfo>> {
        let name = &m.name.text;
        let formals = match self.scope.get(name).map(|e| &e.what) {
            Some(What::Method(i)) => Some(i.clone()),
            _ => None,
        };
        let mistaken = matches!(self.scope.get(name).map(|e| &e.what), Some(What::Error));
        let mut types = vec![];
        for (k, a) in m.args.iter().enumerate() {
            let formal = formals.as_ref().and_then(|i| match &a.name {
                Some(n) => i.params.iter().find(|p| p.name == n.text),
                None => i.params.get(k),
            });
            let ty = match formal.filter(|f| !f.words.is_empty()) {
                Some(f) => self.word(f, &a.value),
                // Perhaps a word of a definition that was refused.
                None if mistaken && a.value.as_name().is_some() => Ty::error(),
                // A word of a built-in method's option; which there are is checked with its value.
                None if a.value.as_name().is_some()
                    && a.name.as_ref().is_some_and(|n| {
                        let entry = self.catalogue.methods.get(name);
                        entry.is_some_and(|e| !e.options.contains(&n.text) || e.worded.contains(&n.text))
                    }) =>
                {
                    Ty::error()
                }
                None => self.expr(&a.value),
            };
            types.push(self.no_variables(&a.value, &ty));
        }
        match self.scope.get(name).map(|e| (e.span, e.what.clone())) {
            Some((declared, What::Method(i))) => {
                let order = self.arrange(name, &i.params, &m.args, m.span, Some(declared))?;
                let mut bound = BTreeMap::new();
                for (formal, given) in i.params.iter().zip(order) {
                    let Some(given) = given else { continue };
                    let at = m.args.iter().position(|a| std::ptr::eq(&a.value, given));
                    let Some(ty) = at.map(|k| types[k].clone()) else {
                        continue;
                    };
                    if ty.is_error() || formal.ty.is_error() {
                        continue;
                    }
                    if let Err(d) = self.argument_fits(name, formal, given, &ty, &i.generics, &mut bound, declared) {
                        self.report(*d);
                    }
                }
                Some(i)
            }
            Some((_, What::Error)) => None,
            Some((declared, what)) => {
                let d = Diagnostic::new(
                    Code::UnknownMethod,
                    format!("`{name}` is {}, not a method", what.word()),
                )
                .at(m.name.span, "")
                .at(declared, "declared here");
                self.report(d);
                None
            }
            None if self.defining.iter().any(|(n, _)| n == name) => {
                self.unknown(name, m.name.span);
                None
            }
            None => {
                self.method_known(m);
                None
            }
        }
    }

    /// The parts of one step: transforms of the gradient, one optimizer, transforms of update and point.
    fn one_step(&mut self, s: &Stage, sorts: &[(&MethodCall, Option<Sort>)]) {
        if sorts.len() > 1 && sorts.iter().any(|(_, s)| s.is_none()) {
            // Of a name that is not known nothing can be said.
            return;
        }
        let mains: Vec<usize> = sorts
            .iter()
            .enumerate()
            .filter(|(_, (_, s))| !matches!(s, Some(Sort::Direction | Sort::Point)))
            .map(|(k, _)| k)
            .collect();
        let d = match mains.as_slice() {
            [] => Diagnostic::new(Code::BadPipeline, "a step has one optimizer, this one has none")
                .at(s.span, "transforms only")
                .help("put one between them: `clip(max_norm: 1) |> adam(lr: 0.1) |> projected()`"),
            [main] => {
                let wrong = sorts[..*main].iter().find(|(_, s)| *s == Some(Sort::Point));
                if let Some((m, _)) = wrong {
                    let line = self.reordered(s, sorts, *main);
                    Diagnostic::new(
                        Code::BadPipeline,
                        format!("`{}` changes the point, so it stands behind the optimizer", m.name.text),
                    )
                    .at(m.span, "before the optimizer")
                    .help_edit(
                        format!("`{line}`"),
                        s.parts[0].span.to(s.parts[s.parts.len() - 1].span),
                        line,
                    )
                } else if sorts.len() > 1 && sorts[*main].1 != Some(Sort::Optimizer) {
                    let m = sorts[*main].0;
                    let what = match sorts[*main].1 {
                        Some(Sort::Pipeline) => "is a pipeline of its own",
                        _ => "steps as a whole",
                    };
                    Diagnostic::new(
                        Code::BadPipeline,
                        format!("`{}` {what}: transforms do not reach into its steps", m.name.text),
                    )
                    .at(m.span, "")
                    .help("transforms combine with optimizers written in the language; `then` runs stages one after the other")
                } else {
                    return;
                }
            }
            [first, second, ..] => Diagnostic::new(Code::BadPipeline, "a step has one optimizer, this one has two")
                .at(sorts[*second].0.span, "the second")
                .at(sorts[*first].0.span, "the first")
                .help("`then` runs one after the other: `adam(lr: 0.1) for 100 steps then lbfgs()`"),
        };
        self.report(d);
    }

    /// The line with its point transforms behind the optimizer.
    fn reordered(&self, s: &Stage, sorts: &[(&MethodCall, Option<Sort>)], main: usize) -> String {
        let (front, back): (Vec<usize>, Vec<usize>) = (0..main).partition(|k| sorts[*k].1 != Some(Sort::Point));
        let order = front.into_iter().chain([main]).chain(back).chain(main + 1..sorts.len());
        let text = |m: &MethodCall| {
            let args: Vec<String> = m
                .args
                .iter()
                .map(|a| match &a.name {
                    Some(n) => format!("{}: {}", n.text, crate::lang::syntax::show(&a.value)),
                    None => crate::lang::syntax::show(&a.value),
                })
                .collect();
            format!("{}({})", m.name.text, args.join(", "))
        };
        order.map(|k| text(&s.parts[k])).collect::<Vec<_>>().join(" |> ")
    }

    /// `stationarity <= 1e-10`, `relative(gap) <= 1e-3 or change <= 1e-12`.
    fn predicate(&mut self, e: &Expr, records: &[String]) {
        let mark = self.scope.mark();
        let quantities = ["objective", "gap", "stationarity", "feasibility", "change"];
        for n in quantities.into_iter().chain(records.iter().map(String::as_str)) {
            let entry = Entry {
                span: e.span,
                what: What::Formal(Ty::scalar(Elem::Real)),
            };
            self.scope.add_local(n, entry);
        }
        self.predicate_part(e);
        self.scope.release(mark);
    }

    fn predicate_part(&mut self, e: &Expr) {
        if let ExprKind::Chain { first, rest } = &e.kind
            && rest.iter().all(|l| l.op == crate::lang::syntax::BinaryOp::Or)
        {
            self.predicate_part(first);
            rest.iter().for_each(|l| self.predicate_part(&l.operand));
            return;
        }
        let relative = |x: &Expr| match &x.kind {
            ExprKind::Call { callee, args } if callee.as_name() == Some("relative") && args.len() == 1 => {
                Some(args[0].value.clone())
            }
            _ => None,
        };
        let shape = match &e.kind {
            ExprKind::Compare { first, rest }
                if rest.len() == 1 && rest[0].op == crate::lang::syntax::CompareOp::Le =>
            {
                let inner = relative(first).unwrap_or((**first).clone());
                self.expr(&inner);
                self.constant_scalar(&rest[0].operand, "a limit");
                inner.as_name().is_some() || matches!(inner.kind, ExprKind::Error)
            }
            ExprKind::Error => true,
            _ => false,
        };
        if !shape {
            let d = Diagnostic::new(Code::BadPipeline, "a stage ends when a named quantity falls to a limit")
                .at(e.span, "")
                .help("such as `until stationarity <= 1e-8`, `until relative(objective) <= 1e-3 or change <= 1e-12`");
            self.report(d);
        }
    }

    /// Is something in a pipeline not known, or was it reported where it is declared?
    pub(super) fn mistaken(&self, p: &Pipeline) -> bool {
        let mut found = false;
        p.for_each_stage(&mut |s| {
            found |= s
                .parts
                .iter()
                .any(|m| match self.scope.get(&m.name.text).map(|e| &e.what) {
                    Some(What::Error) => true,
                    Some(_) => false,
                    None => m.group.is_none() && !self.catalogue.methods.contains_key(&m.name.text),
                });
        });
        found
    }

    /// States and records of the methods of a pipeline: what a run of it can be asked. Without a pipeline, those of all
    /// methods that may be chosen.
    pub(super) fn columns(&self, p: Option<&Pipeline>) -> Vec<String> {
        let mut out: Vec<String> = vec![];
        let mut add = |names: &[String]| out.extend(names.iter().cloned());
        match p {
            None => self.catalogue.methods.values().for_each(|m| add(&m.columns)),
            Some(p) => p.for_each_stage(&mut |s| {
                for m in &s.parts {
                    match self.scope.get(&m.name.text).map(|e| &e.what) {
                        Some(What::Method(i)) => {
                            add(&i.records);
                            add(&i.states);
                        }
                        _ => self
                            .catalogue
                            .methods
                            .get(&m.name.text)
                            .iter()
                            .for_each(|e| add(&e.columns)),
                    }
                }
            }),
        }
        out
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

/// A batch, or the number of a term.
fn is_place(t: &Ty) -> bool {
    t.kind == Kind::Batch || t.dims().is_empty() && t.elem() == Some(Elem::Int)
}

/// The names of a state, or of the states of blocks.
fn state_names(s: &StepStmt) -> Vec<String> {
    match &s.kind {
        StepKind::State { name, .. } => vec![name.text.clone()],
        StepKind::Each { body, otherwise, .. } => body.iter().chain(otherwise).flat_map(state_names).collect(),
        _ => vec![],
    }
}

/// Names of what an expression asks of the problem where it is not reached exactly once.
fn asks(e: &Expr, deep: bool, found: &mut Vec<(String, Span)>) {
    if let ExprKind::Call { callee, .. } = &e.kind
        && let Some(n) = callee.as_name()
        && (ORACLES.contains(&n) || DRAWS.contains(&n))
        && deep
    {
        found.push((n.to_string(), e.span));
    }
    let inner = deep
        || matches!(
            e.kind,
            ExprKind::Comprehension { .. } | ExprKind::ArrayComprehension { .. } | ExprKind::Lambda { .. }
        );
    if let ExprKind::If {
        condition,
        then,
        otherwise,
    } = &e.kind
    {
        asks(condition, deep, found);
        asks(then, true, found);
        asks(otherwise, true, found);
        return;
    }
    e.for_each_child(&mut |c| asks(c, inner, found));
}
