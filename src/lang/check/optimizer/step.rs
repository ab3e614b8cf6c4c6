//! The lines of a step: what each may change, and where it may ask the problem.
//!
//! Invariant: a state keeps its shape; what is asked is asked in a place that is reached exactly once.

use super::super::declare::Sizes;
use super::super::types::{Elem, Kind, Same, Ty};
use super::super::{Checker, Entry, What};
use super::asked::{DRAWS, ORACLES, is_place};
use super::point;
use crate::base::diagnostic::did_you_mean;
use crate::base::{Code, Diagnostic, Span};
use crate::lang::errors::{habits, types as errors};
use crate::lang::syntax::{Expr, ExprKind, Ident, LetDecl, StepKind, StepStmt, TypeExpr};

/// Columns that every trace has by itself.
pub const OWN_COLUMNS: [&str; 11] = [
    "step",
    "evaluations",
    "gradients",
    "passes",
    "seconds",
    "beside",
    "objective",
    "stationarity",
    "feasibility",
    "gap",
    "change",
];

impl Checker<'_> {
    pub(super) fn step_lines(&mut self, lines: &[StepStmt]) {
        let mark = self.scope.mark();
        let outer = self.step.as_ref().map_or(0, |s| s.targets.len());
        for s in lines {
            self.gone.clear();
            self.step_line(s);
        }
        if let Some(scope) = &mut self.step {
            scope.targets.truncate(outer);
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
                    // What a state or a quotient is shows in the step.
                    let broken = matches!(e.kind, ExprKind::Number { integer: false, .. });
                    if !ty.dims().is_empty() || broken {
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
                    self.each_blocks(name, ty.as_ref().filter(|_| first), of, lines, first);
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
                if OWN_COLUMNS.contains(&name.text.as_str()) {
                    let what = format!("every trace has a column `{}` of its own", name.text);
                    let d = Diagnostic::new(Code::DuplicateName, what)
                        .at(name.span, "recorded under its name")
                        .help(format!("another name, such as `own_{}`", name.text));
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

    /// The lines of one branch of an `each`, with its block and its states as names.
    fn each_blocks(&mut self, name: &Ident, ty: Option<&TypeExpr>, of: &Ident, lines: &[StepStmt], first: bool) {
        let mark = self.scope.mark();
        self.block_names(name, ty, of);
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
            self.scope.add_formal(&n, span, t.clone());
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

    fn step_let(&mut self, d: &LetDecl) {
        self.well_placed(&d.value);
        let ty = self.expr(&d.value);
        let declared = d.ty.as_ref().map(|t| self.declared_type(t, Sizes::Known));
        let ty = self.let_fits(d, declared, ty);
        // Until its block ends, `<-` changes what is named.
        if let Some(scope) = &mut self.step
            && ty.elem().is_some_and(|e| e != Elem::Text)
            && self.scope.local(&d.name.text).is_none()
        {
            scope.targets.insert(d.name.text.clone(), ty.clone());
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
        let whole = entry.and_then(|e| Some((e, self.step.as_ref()?.targets.get(&name.text)?)));
        if let Some((e, t)) = whole.filter(|(_, t)| matches!(t.kind, Kind::Array { .. })) {
            let d = habits::entry_of_whole(&name.text, t.kind == point().kind, e.span);
            self.report(d);
            return;
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
                    "declare it before the `step`: `state {0} = …`, or in it, for this step alone: `let {0} = …`; the problem's \
                     variables together are `x`",
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
                    && (*a != Elem::Int || *b == Elem::Int)
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
            .help(match want.elem() {
                Some(Elem::Int) if want.dims() == ty.dims() => format!(
                    "it was named with an integer: `let {}: Real = …` holds any number",
                    name.text
                ),
                _ if want.elem().is_some() && want.dims().is_empty() => {
                    "a state has the shape that it is declared with, such as `state v = zeros(x)`".into()
                }
                _ => errors::same_number_everywhere(&match block {
                    Some(b) => format!("{}.{}", name.text, b.text),
                    None => name.text.clone(),
                }),
            });
            self.report(d);
        }
    }

    /// Reports what a step asks for in a place that is not always reached.
    pub(super) fn well_placed(&mut self, e: &Expr) {
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
