//! Optimizers and transforms: their parameters, states and blocks, and what a definition must do to be one.
//!
//! Invariant: the point is an array over a set of its own, so that it combines with arrays of its shape only; a name of
//! a problem (`x.U`) is not known here and agrees with everything.

mod asked;
mod step;

use std::rc::Rc;

use indexmap::IndexMap;

use super::declare::Sizes;
use super::scope::{MethodInfo, Sort};
use super::types::{Dim, Elem, Kind, Poly, Ty};
use super::{Checker, Entry, Place, What};
use crate::base::{Code, Diagnostic, Span};
use crate::lang::errors::types as errors;
use crate::lang::syntax::{Ident, OptimizerDecl, Role, Side, StepKind, StepStmt, TypeExpr};
use asked::equations;
pub use asked::{DRAWS, ORACLES};

/// The set that the point's coordinates range over, as types show it.
pub(super) const POINT: &str = "point";

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
    /// What `let` lines of the step name anywhere, with the lines.
    named: Vec<(String, Span, Span)>,
}

fn point() -> Ty {
    Ty::array(Elem::Real, vec![Dim::Labels(POINT.into())], false)
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
                self.scope.add_formal(name, d.name.span, point());
            }
        }
        let words = [
            ("fmin", Ty::scalar(Elem::Real)),
            ("terms", Ty::scalar(Elem::Int)),
            ("equations", equations()),
        ];
        for (name, ty) in words {
            self.scope.add_formal(name, d.name.span, ty);
        }
        for s in &d.step {
            s.for_each_stmt(&mut |s| {
                if let StepKind::Let(l) = &s.kind {
                    scope.named.push((l.name.text.clone(), l.name.span, l.span));
                }
            });
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
        let broken = self.diagnostics[before..].iter().any(Diagnostic::is_error);
        self.effects(d, &scope.changed, broken);
        if d.broken {
            // What names mean may stand in the line that could not be read.
            let said = [Code::BadStep, Code::UnknownName, Code::StateShape];
            let mut k = 0;
            self.diagnostics.retain(|m| {
                k += 1;
                k <= before || !said.contains(&m.code)
            });
        }
        let sort = match d.role {
            Role::Optimizer => Sort::Optimizer,
            Role::Transform => match d.side() {
                Some(Side::Gradient) => Sort::Gradient,
                Some(Side::Update) => Sort::Update,
                None if d.of_update() => Sort::Direction,
                None => Sort::Point,
            },
        };
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

    /// An optimizer moves the point, a transform the update or the point, not both. What is broken may do so in a line
    /// that was refused.
    fn effects(&mut self, d: &OptimizerDecl, changed: &[String], broken: bool) {
        let changes = |n: &str| changed.iter().any(|c| c == n);
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
        if !moved && !broken {
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
                    self.block_names(name, ty.as_ref().filter(|_| first), of);
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
}

/// The names of a state, or of the states of blocks.
fn state_names(s: &StepStmt) -> Vec<String> {
    match &s.kind {
        StepKind::State { name, .. } => vec![name.text.clone()],
        StepKind::Each { body, otherwise, .. } => body.iter().chain(otherwise).flat_map(state_names).collect(),
        _ => vec![],
    }
}
