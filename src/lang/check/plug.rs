//! Optimizers, transforms and pipelines as parameters of a pipeline, and what is given for them.
//!
//! Invariant: what is given is checked where it is written, once, and of something wrong in it there is one message; whether it
//! reaches into the step that it stands in is known with the pipeline as a whole.

use std::rc::Rc;

use super::scope::{MethodInfo, Sort};
use super::types::{Kind, Ty};
use super::{Checker, What};
use crate::base::{Code, Diagnostic};
use crate::lang::errors::types as errors;
use crate::lang::syntax::{Arg, Expr, ExprKind, FormalParam, Ident, MethodCall, Pipeline, PipelineDecl, show};

impl Checker<'_> {
    /// A parameter of this kind: its checks, of which there are none, and its default.
    pub(super) fn plug_declared(&mut self, p: &FormalParam, sort: Sort) {
        if let Some(c) = p.checks.first() {
            let d = Diagnostic::new(
                Code::WrongType,
                format!("{} is no value that a check compares", sort.word()),
            )
            .at(c.value.span, "")
            .help(format!("leave the check out: `{}: {}`", p.name.text, p.ty.name.text));
            self.report(d);
        }
        if let Some(e) = &p.default {
            self.plug(("", &p.name.text), sort, e);
        }
    }

    /// The kind of method that a name in a pipeline stands for, if it is a parameter of it.
    pub(super) fn plugged(&self, name: &str) -> Option<Sort> {
        match self.scope.get(name).map(|e| &e.what) {
            Some(What::Formal(Ty {
                kind: Kind::Plug(s), ..
            })) => Some(*s),
            _ => None,
        }
    }

    /// Is a pipeline the path of one step, which goes where an optimizer goes, or is it whole stages?
    pub(super) fn sort_of(&self, p: &Pipeline) -> Sort {
        let moves = |m: &MethodCall| match self.scope.get(&m.name.text).map(|e| &e.what) {
            Some(What::Method(i)) => i.sort == Sort::Optimizer,
            _ => self.plugged(&m.name.text) == Some(Sort::Optimizer),
        };
        match p.path() {
            Some(parts) if parts.iter().any(moves) => Sort::Optimizer,
            _ => Sort::Pipeline,
        }
    }

    /// A parameter as a part of a step.
    pub(super) fn stands_for(&mut self, m: &MethodCall, sort: Sort) -> Rc<MethodInfo> {
        let name = &m.name.text;
        if m.group.is_some() || !m.args.is_empty() {
            let d = Diagnostic::new(
                Code::BadPipeline,
                format!("`{name}` is {} that is given with its own arguments", sort.word()),
            )
            .at(m.span, "")
            .help_edit(format!("`{name}` alone stands for it"), m.span, name);
            self.report(d);
        }
        Rc::new(MethodInfo {
            sort,
            params: vec![],
            generics: vec![],
            records: vec![],
            states: vec![],
        })
    }

    /// What is given for a parameter `formal` of `of`; answers what a run of it records.
    pub(super) fn plug(&mut self, (of, formal): (&str, &str), want: Sort, e: &Expr) -> Vec<String> {
        let before = self.diagnostics.len();
        let wanted = match of {
            "" => format!("{} for `{formal}`", sort_wanted(want)),
            _ => format!("{} for `{formal}` of `{of}`", sort_wanted(want)),
        };
        let (found, records) = match &e.kind {
            ExprKind::Name(n) => match self.scope.get(n).map(|e| &e.what) {
                Some(What::Error) => return vec![],
                Some(What::Method(_)) => return self.not_called(n, &wanted, e),
                None if self.is_method(n) || self.catalogue.library.contains(n) => {
                    return self.not_called(n, &wanted, e);
                }
                None => {
                    self.part(&called(n, &[], e));
                    return vec![];
                }
                Some(_) => match self.plugged(n) {
                    Some(s) => (Some(s), vec![]),
                    None => (None, vec![]),
                },
            },
            ExprKind::Call { callee, args } if self.may_be_method(callee) => {
                let name = callee.as_name().unwrap_or_default();
                let info = self.part(&MethodCall {
                    span: e.span,
                    ..called(name, args, callee)
                });
                if self.diagnostics.len() > before || info.is_none() && !self.is_method(name) {
                    return vec![];
                }
                // What is built in moves the point.
                let sort = info.as_ref().map_or(Sort::Optimizer, |i| i.sort);
                (Some(sort), info.map_or(vec![], |i| i.records.clone()))
            }
            _ => (None, vec![]),
        };
        let fits = match (want, found) {
            (Sort::Optimizer, Some(s)) => s == Sort::Optimizer,
            (Sort::Pipeline, Some(s)) => matches!(s, Sort::Optimizer | Sort::Pipeline),
            (_, Some(s)) => s.is_transform(),
            (_, None) => false,
        };
        if fits {
            return records;
        }
        let words = match found {
            Some(s) => s.word().to_string(),
            None => {
                let ty = self.expr(e);
                if ty.is_error() || self.diagnostics.len() > before {
                    return vec![];
                }
                ty.words()
            }
        };
        let d = errors::wrong_type(&wanted, &words, e.span).help(match (want, found) {
            (Sort::Optimizer, Some(Sort::Pipeline)) => {
                format!("`{formal}: Pipeline` takes whole stages, and stands alone in one: `{formal} then lbfgs()`")
            }
            (Sort::Optimizer, Some(_)) => format!(
                "a transform stands beside an optimizer: `{formal}: Transform` takes one, `{} |> adam()` is a step of both",
                show(e)
            ),
            (Sort::Pipeline, Some(_)) => format!(
                "stages have an optimizer: `pipeline mine() = {} |> adam()`, then `mine()`",
                show(e)
            ),
            (Sort::Optimizer | Sort::Pipeline, None) => "one is called with its arguments: `adam(lr: 0.1)`".into(),
            (_, Some(_)) => {
                format!("`{formal}: Optimizer` takes an optimizer; transforms are `clip(max_norm: 1)`, `projected()`")
            }
            (_, None) => "one is called with its arguments: `clip(max_norm: 1)`".into(),
        });
        self.report(d);
        vec![]
    }

    /// Is an argument the call of a method?
    pub(super) fn calls_method(&self, e: &Expr) -> bool {
        match &e.kind {
            ExprKind::Call { callee, .. } => callee.as_name().is_some_and(|n| {
                matches!(self.scope.get(n).map(|e| &e.what), Some(What::Method(_)))
                    || self.scope.get(n).is_none() && self.is_method(n) && !self.catalogue.functions.contains_key(n)
            }),
            _ => false,
        }
    }

    /// A method where a parameter takes something else.
    pub(super) fn no_plug(&mut self, of: &str, e: &Expr) -> Ty {
        let d = Diagnostic::new(Code::WrongType, format!("{of} takes no optimizer, transform or pipeline"))
            .at(e.span, "")
            .help("a pipeline takes them where its parameter says so: `pipeline mine(inner: Optimizer) = clip(max_norm: 1) |> inner`");
        self.wrong(d)
    }

    /// Is something in what is given for a parameter not known, or was it reported where it is declared?
    pub(super) fn mistaken_plug(&self, e: &Expr) -> bool {
        let ExprKind::Call { callee, args } = &e.kind else {
            return false;
        };
        let here = callee
            .as_name()
            .is_some_and(|n| match self.scope.get(n).map(|e| &e.what) {
                Some(What::Error) => true,
                Some(_) => false,
                None => !self.is_method(n) && !self.catalogue.functions.contains_key(n),
            });
        here || args.iter().any(|a| self.mistaken_plug(&a.value))
    }

    /// What a run of a pipeline can be asked, its defaults included.
    pub(super) fn columns_of(&self, d: &PipelineDecl) -> Vec<String> {
        let mut out = self.columns(Some(&d.body));
        for e in d.params.iter().filter_map(|p| p.default.as_ref()) {
            if let (true, ExprKind::Call { callee, args }) = (self.calls_method(e), &e.kind) {
                self.columns_in(callee.as_name().unwrap_or_default(), args, &mut |n| {
                    out.extend(n.iter().cloned());
                });
            }
        }
        out
    }

    /// States and records of a method, and of those that it is given.
    pub(super) fn columns_in(&self, name: &str, args: &[Arg], add: &mut dyn FnMut(&[String])) {
        match self.scope.get(name).map(|e| &e.what) {
            Some(What::Method(i)) => {
                add(&i.records);
                add(&i.states);
            }
            _ => self.catalogue.methods.get(name).iter().for_each(|e| add(&e.columns)),
        }
        for a in args {
            if let (true, ExprKind::Call { callee, args }) = (self.calls_method(&a.value), &a.value.kind) {
                self.columns_in(callee.as_name().unwrap_or_default(), args, add);
            }
        }
    }

    /// Is it the name of a built-in method?
    fn is_method(&self, name: &str) -> bool {
        self.catalogue.methods.contains_key(name)
    }

    /// Is it called as a method, or as something that is not known at all?
    fn may_be_method(&self, callee: &Expr) -> bool {
        callee
            .as_name()
            .is_some_and(|n| match self.scope.get(n).map(|e| &e.what) {
                Some(What::Method(_) | What::Error) => true,
                Some(_) => false,
                None => !self.catalogue.functions.contains_key(n),
            })
    }

    fn not_called(&mut self, name: &str, wanted: &str, e: &Expr) -> Vec<String> {
        let d = Diagnostic::new(
            Code::WrongType,
            format!("{wanted} is expected, and `{name}` is only named"),
        )
        .at(e.span, "")
        .help_edit(
            format!("`{name}()` is it with its defaults"),
            e.span,
            format!("{name}()"),
        );
        self.report(d);
        vec![]
    }
}

/// The phrase for what a parameter takes.
fn sort_wanted(sort: Sort) -> &'static str {
    match sort {
        Sort::Optimizer => "an optimizer",
        Sort::Direction | Sort::Gradient | Sort::Update | Sort::Point => "a transform",
        Sort::Pipeline => "a pipeline or an optimizer",
    }
}

/// An expression as a part of a step.
fn called(name: &str, args: &[Arg], at: &Expr) -> MethodCall {
    MethodCall {
        name: Ident {
            text: name.to_string(),
            span: at.span,
        },
        args: args.to_vec(),
        group: None,
        span: at.span,
    }
}
