//! What a step may ask of the problem and call beside the functions of the language, with the types of the answers.
//!
//! Invariant: outside of a step, or where a name is declared anew, nothing here applies.

use super::super::types::{Dim, Elem, Kind, Ty};
use super::super::{Checker, What};
use super::{POINT, point};
use crate::base::{Code, Diagnostic, Span};
use crate::lang::errors::types as errors;
use crate::lang::syntax::{Arg, Expr, Ident, Subscript, show};

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

/// What is a vector of the point besides the point, and the terms of the objective's sum, as types show them.
const ROWS: [&str; 2] = ["constraints", "residuals"];
const TERMS: &str = "terms";

/// A vector of rows.
fn rows(of: &str) -> Ty {
    Ty::array(Elem::Real, vec![Dim::Labels(of.into())], false)
}

/// A number for each constraint.
pub(super) fn equations() -> Ty {
    rows(ROWS[0])
}

/// A matrix with a column for each coordinate of the point.
fn over_point(of: &str) -> Ty {
    let dims = [of, POINT].map(|d| Dim::Labels(d.into())).to_vec();
    Ty::array(Elem::Real, dims, false)
}

impl Checker<'_> {
    /// What a step may call beside the functions of the language.
    pub fn step_call(&mut self, e: &Expr, name: &str, args: &[Arg]) -> Option<Ty> {
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
            let block = args[0].value.as_name().filter(|_| name != "length");
            let block = block.is_some_and(|n| {
                let blocks = self.step.as_ref().map(|s| s.blocks.as_slice()).unwrap_or_default();
                blocks.iter().any(|b| b.0 == n)
            });
            return match (&types[0].kind, name) {
                (Kind::Array { dims, .. }, _) if block && dims.is_empty() => Some(Ty::scalar(Elem::Real)),
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
        let (ok, ty, form) = self.signature(name, args, &types, of);
        if let (true, "value" | "grad" | "smooth" | "hvp", Some(last)) = (ok && types.len() > 1, name, args.last())
            && last.value.as_integer().is_some_and(|n| n < 1)
        {
            let d = Diagnostic::new(
                Code::IndexOutOfRange,
                "the terms of the sum are numbered from 1 to `terms`",
            )
            .at(last.value.span, "no such term");
            return Some(self.wrong(d));
        }
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
        Some(self.wrong(d))
    }

    /// Is it called as it has to be, what is the answer then, and how is it written? `of` is what the matrix of a vector
    /// function is of.
    fn signature(&mut self, name: &str, args: &[Arg], types: &[Ty], of: &str) -> (bool, Ty, &'static str) {
        let is_point = |t: &Ty| t.kind == point().kind;
        let number = |t: &Ty| t.dims().is_empty() && matches!(t.elem(), Some(Elem::Real | Elem::Int));
        let batch = |k: usize| types.get(k).is_none_or(is_place);
        let named = |w: &str| args.iter().position(|a| a.name.as_ref().is_some_and(|n| n.text == w));
        let n = types.len();
        let like = |t: &Ty| {
            let dims = t.dims().to_vec();
            Ty::array(Elem::Real, dims, false)
        };
        match name {
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
                    .filter(|v| !matches!(self.scope.get(v).map(|e| &e.what), Some(What::Let(..))))
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
        }
    }

    /// `lr(t)`.
    pub fn call_schedule(&mut self, e: &Expr, name: &str, declared: Span, ty: &Ty, args: &[Arg]) -> Ty {
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
    pub fn block_of(&mut self, ty: &Ty, name: &Ident) -> Option<Ty> {
        let scope = self.step.as_ref()?;
        if ty.kind == equations().kind {
            // Constraints have their own names, which are those of a problem.
            return Some(Ty::error());
        }
        if ty.kind != point().kind {
            return None;
        }
        let block = scope.blocks.iter().find(|(n, _)| *n == name.text);
        Some(block.map_or(Ty::error(), |(_, t)| t.clone()))
    }

    /// The message for a name that a line of the step gives to something, but below, or in a block that has ended.
    pub fn named_elsewhere(&self, name: &str, at: Span) -> Option<Diagnostic> {
        let step = self.step.as_ref()?;
        let mut named = step.named.iter().filter(|(n, ..)| n == name);
        let (_, declared, line) = named.next()?;
        let own = line.source == at.source && line.start <= at.start && at.end <= line.end;
        (!own).then(|| errors::named_elsewhere(name, at, *declared))
    }

    /// The innermost block, if one of two that do not combine is it and the other one is of the whole point.
    pub fn block_beside_point(&self, a: &Ty, b: &Ty) -> Option<&str> {
        let (name, block) = self.step.as_ref()?.blocks.last()?;
        let whole = |t: &Ty| t.kind == point().kind;
        let part = |t: &Ty| t.dims() == block.dims();
        (whole(a) && part(b) || part(a) && whole(b)).then_some(name.as_str())
    }

    /// Is it an array over all coordinates?
    pub fn of_point(&self, ty: &Ty) -> bool {
        self.step.is_some() && ty.kind == point().kind
    }

    /// Is it the name of a history or a table?
    pub fn is_history(&self, base: &Expr) -> bool {
        let entry = base.as_name().and_then(|n| self.scope.get(n));
        matches!(entry.map(|e| &e.what), Some(What::Formal(t)) if matches!(t.kind, Kind::History(_) | Kind::Keyed(_)))
    }

    /// `h[k]`: the k-th newest value, or the k-th entry of a table.
    pub fn history_entry(&mut self, e: &Expr, base: &Expr, subscripts: &[Subscript]) -> Ty {
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
                if k.as_integer().is_some_and(|n| n < 1) {
                    let d = Diagnostic::new(
                        Code::IndexOutOfRange,
                        format!("`{0}[1]` is the newest value of `{0}`", show(base)),
                    )
                    .at(k.span, "no value");
                    return self.wrong(d);
                }
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
}

/// A batch, or the number of a term.
pub(super) fn is_place(t: &Ty) -> bool {
    t.kind == Kind::Batch || t.dims().is_empty() && t.elem() == Some(Elem::Int)
}
