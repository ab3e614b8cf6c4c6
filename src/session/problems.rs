//! From a name to a compiled problem: its statements, the values of its parameters, the cache of compiled forms.
//!
//! Invariant: a problem is compiled again only when a definition changed, a structural parameter, or a shape.

use std::collections::BTreeSet;
use std::rc::Rc;
use std::sync::Arc;

use indexmap::IndexMap;

use super::bind::placed;
use super::solving::{Found, one};
use super::{Def, Event, Session};
use crate::base::diagnostic::did_you_mean;
use crate::base::value::{IndexSet, Tensor};
use crate::base::{Code, Diagnostic, SourceId, Span};
use crate::ir::InputId;
use crate::ir::problem::Variable;
use crate::lang::lower::{self, LoweredProblem};
use crate::lang::syntax::{Arg, Expr, ExprKind, FormalParam, ProblemRef, Stmt, StmtKind, show as shown};
use crate::solve::MethodCard;
use crate::solve::compiled::Compiled;

/// A compiled problem with what it was compiled for.
pub(super) struct Cached {
    pub(super) key: String,
    /// The key of the problem without changes.
    base: String,
    /// What it was lowered from.
    pub(super) body: Body,
    /// Forms of the names it was compiled from.
    from: Vec<(String, u64)>,
    structural: Vec<(String, Arc<Tensor>)>,
    pub(super) lowered: LoweredProblem,
    /// Compiled for the method's kind that was asked for (`None`: the default).
    pub(super) forms: Vec<(Option<String>, Compiled)>,
    /// Flat values of the last answer.
    pub(super) last: Option<Vec<f64>>,
    /// The method and the steps of the last solve that began afresh.
    pub(super) afresh: Option<(String, u64)>,
}

/// A problem's statements, and the values of its parameters.
#[derive(Clone, Default)]
pub(super) struct Body {
    pub(super) name: String,
    pub(super) statements: Vec<Stmt>,
    pub(super) args: Vec<(FormalParam, lower::Argument)>,
    /// What the statements were changed by, as a part of the key; empty for nothing.
    pub(super) changes: String,
    /// Variables and entries that are fixed.
    pub(super) pins: Vec<(String, lower::Pin)>,
}

impl Session {
    /// The statements of a problem and the values of its parameters.
    pub(super) fn body_of(&mut self, target: Option<&ProblemRef>, span: Span) -> Found<Body> {
        let Some(t) = target else {
            let all = self.unnamed_where(|_, _| true);
            if !all
                .iter()
                .any(|(s, _)| matches!(s.kind, StmtKind::Var(_) | StmtKind::Objective(_)))
            {
                let names = self.problem_names();
                let mut d =
                    Diagnostic::new(Code::UnknownProblem, "there is no unnamed problem to solve").at(span, "here");
                d = match names.first() {
                    Some(n) => d.help(format!("name one: `solve {n}`")),
                    None => d.help("declare variables and an objective: `var x: Real`, `minimize (x - 1)^2`"),
                };
                return Err(vec![d]);
            }
            return Ok(Body {
                statements: all.into_iter().map(|s| s.0).collect(),
                ..Body::default()
            });
        };
        let Some(Def::Problem(p)) = self.defs.get(&t.name.text) else {
            let names = self.problem_names();
            let mut d = Diagnostic::new(Code::UnknownProblem, format!("there is no problem `{}`", t.name.text))
                .at(t.name.span, "unknown problem");
            if let Some(n) = did_you_mean(&t.name.text, names.iter().map(String::as_str)) {
                d = d.help_edit(format!("did you mean `{n}`?"), t.name.span, n);
            }
            return Err(vec![d]);
        };
        let p = p.clone();
        let bound = bound_args(&p.name.text, &p.params, &t.args, t.span)?;
        let mut args = vec![];
        for (f, (_, e)) in p.params.iter().zip(bound) {
            args.push((f.clone(), self.stands_for(&p.name.text, f, e)?));
        }
        Ok(Body {
            name: t.name.text.clone(),
            statements: p.body.clone(),
            args,
            ..Body::default()
        })
    }

    /// What an argument stands for: its value where it is of numbers, so that another value needs no compilation.
    fn stands_for(&mut self, problem: &str, f: &FormalParam, e: Expr) -> Found<lower::Argument> {
        match f.ty.name.text.as_str() {
            "Real" | "Vector" | "Matrix" => {
                let value = self.argument(f, &e).map_err(|d| one(placed(*d, e.span)))?;
                Ok(lower::Argument::Input(format!("{problem}.{}", f.name.text), value))
            }
            // An integer may be a size: part of the problem.
            "Int" if f.ty.dims.is_empty() => {
                let value = self.argument(f, &e).map_err(|d| one(placed(*d, e.span)))?;
                let kind = ExprKind::Number {
                    value: value.tensor.as_scalar().unwrap_or(f64::NAN),
                    integer: true,
                };
                Ok(lower::Argument::Expr(Rc::new(Expr { kind, ..e })))
            }
            _ => Ok(lower::Argument::Expr(Rc::new(e))),
        }
    }

    fn problem_names(&self) -> Vec<String> {
        self.defs
            .iter()
            .filter(|(_, d)| matches!(d, Def::Problem(_)))
            .map(|(n, _)| n.clone())
            .collect()
    }

    /// The compiled problem, from the cache where nothing structural changed; a message says why it is built again.
    pub(super) fn compiled(
        &mut self,
        target: Option<&ProblemRef>,
        span: Span,
        sink: &mut dyn FnMut(Event),
    ) -> Found<usize> {
        let body = self.body_of(target, span)?;
        self.compiled_body(body, span, sink)
    }

    /// As [`Session::compiled`], for statements that may have been changed.
    pub(super) fn compiled_body(&mut self, body: Body, span: Span, sink: &mut dyn FnMut(Event)) -> Found<usize> {
        if body.name.is_empty() && std::mem::take(&mut self.unnamed_changed) {
            self.compiled.retain(|c| !c.body.name.is_empty());
        }
        let mut base = body.name.clone();
        for (f, a) in &body.args {
            let name = &f.name.text;
            base += &match a {
                lower::Argument::Expr(e) => format!(";{name}={}", shown(e)),
                // Another value of the same form needs no compilation.
                lower::Argument::Input(key, v) => {
                    self.given.insert(key.clone(), v.clone());
                    let sparse = v.tensor.as_dense().is_none();
                    format!(";{name}:{} {:?} {sparse}", lower::describe_dims(&v.tensor.dims), v.sign)
                }
            };
        }
        let key = format!("{base}{}", body.changes);
        let mut changed = vec![];
        let (mut last, mut afresh) = (None, None);
        if let Some(at) = self.compiled.iter().position(|c| c.key == key) {
            let c = &self.compiled[at];
            let forms = c.from.iter().filter(|(n, form)| self.graph.stamps(n).form != *form);
            changed.extend(forms.map(|f| f.0.clone()));
            for (n, t) in &c.structural {
                if self.param_value(n).is_none_or(|p| p.tensor != *t) && !changed.contains(n) {
                    changed.push(n.clone());
                }
            }
            if changed.is_empty() && c.body.pins == body.pins {
                self.compiled[at].body.args = body.args;
                return Ok(at);
            }
            // That its own statements changed is no news.
            changed.retain(|n| *n != body.name);
            let old = self.compiled.remove(at);
            if old.body.pins != body.pins {
                // Other values in the same places: the last answer is as good a start as ever.
                (last, afresh) = (old.last, old.afresh);
            }
        }
        let name = body.name.clone();
        let at = self.lowered(base, body)?;
        let n: usize = self.compiled[at].lowered.problem.vars.iter().map(size).sum();
        self.compiled[at].last = last.filter(|x| x.len() == n);
        self.compiled[at].afresh = afresh;
        if !changed.is_empty() {
            self.tell_rebuilt(&name, &changed, span, sink);
        }
        Ok(at)
    }

    /// Lowers a problem and keeps it with what it was lowered from.
    pub(super) fn lowered(&mut self, base: String, body: Body) -> Found<usize> {
        let lowered = {
            let sources = &self.sources;
            let line = |s| sources.line_column(s).0;
            lower::lower_problem(self, &body.name, &body.statements, &body.args, &body.pins, &line)?
        };
        let structural = lowered
            .structural
            .iter()
            .filter_map(|n| self.param_value(n).map(|p| (n.clone(), p.tensor.clone())))
            .collect();
        let mut uses: BTreeSet<String> = body.statements.iter().flat_map(Stmt::uses).collect();
        for (_, a) in &body.args {
            if let lower::Argument::Expr(e) = a {
                e.names_into(&mut uses);
            }
        }
        // What the problem declares itself is no result of the same name, now or later.
        let own: BTreeSet<&str> = body
            .statements
            .iter()
            .filter_map(|s| Some(s.kind.declared()?.text.as_str()))
            .collect();
        let known = |n: &str| self.graph.mark(n).is_some_and(|m| !m.stmt.kind.keeps_a_result());
        uses.retain(|n| !own.contains(n.as_str()) || known(n));
        uses.insert(body.name.clone());
        let from = self.graph.ground(&uses).into_iter();
        let from = from.map(|n| (n.clone(), self.graph.stamps(&n).form)).collect();
        self.compiled.push(Cached {
            key: format!("{base}{}", body.changes),
            base,
            body,
            from,
            structural,
            lowered,
            forms: vec![],
            last: None,
            afresh: None,
        });
        Ok(self.compiled.len() - 1)
    }

    /// What the names of a compiled problem mean now, for its solution.
    pub(super) fn past_of(&self, at: usize) -> Rc<lower::Past> {
        let c = &self.compiled[at];
        let names = c
            .from
            .iter()
            .filter_map(|(n, _)| Some((n.clone(), lower::Names::lookup(self, n)?)));
        Rc::new(lower::Past {
            body: c.body.statements.clone(),
            args: c.body.args.clone(),
            names: names.collect(),
        })
    }

    /// The last answer of a compiled problem, or what the answer of the problem without changes says of its variables.
    pub(super) fn previous(&self, at: usize) -> Option<Vec<f64>> {
        let c = &self.compiled[at];
        if c.last.is_some() {
            return c.last.clone();
        }
        let base = self.compiled.iter().find(|b| b.key == c.base && c.key != c.base)?;
        let x = base.last.as_ref()?;
        let mut known = IndexMap::new();
        let mut first = 0;
        for v in &base.lowered.problem.vars {
            known.insert(v.name.as_str(), x.get(first..first + size(v))?);
            first += size(v);
        }
        let mut out = vec![];
        for v in &c.lowered.problem.vars {
            out.extend_from_slice(known.get(v.name.as_str()).filter(|x| x.len() == size(v))?);
        }
        Some(out)
    }

    /// Values of the parameters that a compiled problem reads.
    pub(super) fn param_inputs(&self, params: &[(String, InputId)]) -> Vec<(InputId, Arc<Tensor>)> {
        params
            .iter()
            .filter_map(|(n, i)| self.param_value(n).map(|p| (*i, p.tensor.clone())))
            .collect()
    }

    /// The compiled form of a cached problem for a method; compiles it if need be.
    pub(super) fn form_of(&mut self, at: usize, method: Option<&MethodCard>) -> Found<usize> {
        let asks = |m: &MethodCard| {
            [
                ("", m.needs.prox),
                ("'", m.needs.project),
                ("c", m.needs.constraints),
                ("r", m.needs.residuals),
            ]
            .map(|(s, on)| if on { s } else { "·" })
            .concat()
        };
        let key = method.map(|m| format!("{}{}", m.name, asks(m)));
        let params = self.param_inputs(&self.compiled[at].lowered.params);
        if let Some(k) = self.compiled[at].forms.iter().position(|f| f.0 == key) {
            if self.compiled[at].forms[k].1.still_holds(&params) {
                return Ok(k);
            }
            self.compiled[at].forms.remove(k);
        }
        let problem = self.compiled[at].lowered.problem.clone();
        let form = Compiled::new(problem, &params, method).map_err(one)?;
        if form.bytes() as u64 > self.settings.memory {
            let span = self.compiled[at].lowered.problem.vars.first().map(|v| v.span);
            let name = self.compiled[at].lowered.problem.name.clone();
            let span = span.unwrap_or(Span::new(SourceId(0), 0, 0));
            return Err(one(self.too_large(&name, form.bytes() as u64, span)));
        }
        self.compilations += 1;
        self.compiled[at].forms.push((key, form));
        Ok(self.compiled[at].forms.len() - 1)
    }

    /// Class and proof of a problem, for `inspect`.
    pub(super) fn class_of(&mut self, at: usize) -> Found<&Compiled> {
        let k = self.form_of(at, None)?;
        Ok(&self.compiled[at].forms[k].1)
    }

    /// Takes the forms of these keys out of the session, for a solve to own.
    pub(super) fn lend_forms(&mut self, at: usize, keys: &[Option<String>]) -> Vec<Compiled> {
        let cached = &mut self.compiled[at].forms;
        let places = keys.iter().filter_map(|k| cached.iter().position(|f| f.0 == *k));
        // Each key was compiled a moment ago, so each is there.
        let places: Vec<usize> = places.collect();
        let mut all: Vec<Option<(Option<String>, Compiled)>> = cached.drain(..).map(Some).collect();
        let lent = places.iter().filter_map(|k| all[*k].take()).map(|f| f.1).collect();
        cached.extend(all.into_iter().flatten());
        lent
    }

    pub(super) fn take_forms(&mut self, at: usize, keys: &[Option<String>], forms: Vec<Compiled>) {
        self.compiled[at].forms.extend(keys.iter().cloned().zip(forms));
    }
}

/// Number of entries of a variable.
fn size(v: &Variable) -> usize {
    v.dims.iter().map(IndexSet::len).product()
}

/// An integer literal in the place of another expression.
pub(super) fn size_expr(n: usize, like: &Expr) -> Expr {
    Expr {
        id: like.id,
        span: like.span,
        kind: ExprKind::Number {
            value: n as f64,
            integer: true,
        },
    }
}

/// Arguments by parameter name, defaults included.
pub(super) fn bound_args(name: &str, params: &[FormalParam], args: &[Arg], span: Span) -> Found<Vec<(String, Expr)>> {
    let mut out = vec![];
    for (k, f) in params.iter().enumerate() {
        let given = args
            .iter()
            .find(|a| a.name.as_ref().is_some_and(|n| n.text == f.name.text))
            .or_else(|| args.get(k).filter(|a| a.name.is_none()));
        // A default may use the parameters before it.
        let default = f.default.as_ref().map(|d| d.substituted(&out));
        match given.map(|a| a.value.clone()).or(default) {
            Some(e) => out.push((f.name.text.clone(), e)),
            None => {
                return Err(vec![
                    Diagnostic::new(
                        Code::WrongArity,
                        format!("`{name}` needs a value for `{}`", f.name.text),
                    )
                    .at(span, "used here")
                    .at(f.name.span, "declared here"),
                ]);
            }
        }
    }
    if args.len() > params.len() {
        return Err(vec![
            Diagnostic::new(
                Code::WrongArity,
                format!("`{name}` takes {} arguments, {} given", params.len(), args.len()),
            )
            .at(span, "used here"),
        ]);
    }
    Ok(out)
}
