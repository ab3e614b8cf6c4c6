//! `solve`: from a name to a compiled problem, from parameters to an answer, from the answer to a solution.
//!
//! Invariant: a problem is compiled again only when a definition changed, a structural parameter, or a shape.

use std::rc::Rc;
use std::sync::Arc;

use indexmap::IndexMap;

use crate::base::value::{IndexSet, Tensor, Value};
use crate::base::{Code, Diagnostic, Diagnostics, Span};
use crate::ir::InputId;
use crate::lang::lower::{self, LoweredProblem, SolutionData};
use crate::lang::syntax::{
    Arg, Expr, MinimizeFrom, ProblemRef, Solve, Start, Stmt, StmtKind, TypeExpr, VarDecl, show as shown,
};

use super::{Def, Event, Session};

/// A compiled problem with what it was compiled for.
pub(super) struct Cached {
    key: String,
    version: u64,
    structural: Vec<(String, Arc<Tensor>)>,
    pub(super) lowered: LoweredProblem,
}

type Found<T> = Result<T, Diagnostics>;

fn one(d: Box<Diagnostic>) -> Diagnostics {
    vec![*d]
}

impl Session {
    /// The statements of a problem and the values of its parameters.
    fn body_of(&self, target: Option<&ProblemRef>, span: Span) -> Found<(String, Vec<Stmt>, Vec<(String, Rc<Expr>)>)> {
        let Some(t) = target else {
            if !self
                .unnamed
                .iter()
                .any(|s| matches!(s.kind, StmtKind::Var(_) | StmtKind::Objective(_)))
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
            return Ok((String::new(), self.unnamed.clone(), vec![]));
        };
        let Some(Def::Problem(p)) = self.defs.get(&t.name.text) else {
            let names = self.problem_names();
            let mut d = Diagnostic::new(Code::UnknownProblem, format!("there is no problem `{}`", t.name.text))
                .at(t.name.span, "unknown problem");
            if let Some(n) = crate::base::diagnostic::did_you_mean(&t.name.text, names.iter().map(String::as_str)) {
                d = d.help_edit(format!("did you mean `{n}`?"), t.name.span, n);
            }
            return Err(vec![d]);
        };
        let args = arguments(p, &t.args, t.span)?;
        Ok((t.name.text.clone(), p.body.clone(), args))
    }

    fn problem_names(&self) -> Vec<String> {
        self.defs
            .iter()
            .filter(|(_, d)| matches!(d, Def::Problem(_)))
            .map(|(n, _)| n.clone())
            .collect()
    }

    /// The compiled problem, from the cache where nothing structural changed; says whether it was compiled now.
    pub(super) fn compiled(&mut self, target: Option<&ProblemRef>, span: Span) -> Found<(usize, bool)> {
        let (name, body, args) = self.body_of(target, span)?;
        let key = args
            .iter()
            .fold(name.clone(), |k, (n, e)| format!("{k};{n}={}", shown(e)));
        if let Some(at) = self.compiled.iter().position(|c| c.key == key) {
            let c = &self.compiled[at];
            let same = c.version == self.version
                && c.structural
                    .iter()
                    .all(|(n, t)| self.param_value(n).is_some_and(|p| p.tensor == *t));
            if same {
                return Ok((at, false));
            }
            self.compiled.remove(at);
        }
        let lowered = {
            let sources = &self.sources;
            lower::lower_problem(self, &name, &body, &args, &|s| sources.line_column(s).0)?
        };
        let structural = lowered
            .structural
            .iter()
            .filter_map(|n| self.param_value(n).map(|p| (n.clone(), p.tensor.clone())))
            .collect();
        self.compilations += 1;
        self.compiled.push(Cached {
            key,
            version: self.version,
            structural,
            lowered,
        });
        Ok((self.compiled.len() - 1, true))
    }

    /// Values of the parameters that a compiled problem reads.
    pub(super) fn param_inputs(&self, params: &[(String, InputId)]) -> Vec<(InputId, Arc<Tensor>)> {
        params
            .iter()
            .filter_map(|(n, i)| self.param_value(n).map(|p| (*i, p.tensor.clone())))
            .collect()
    }

    /// `[s =] solve P …`.
    pub(super) fn solve(&mut self, c: &Solve, span: Span, sink: &mut dyn FnMut(Event)) -> Found<()> {
        let started = (self.settings.now)();
        let (at, _) = self.compiled(c.target.as_ref(), span)?;
        let _ = (started, at, sink);
        Err(vec![
            Diagnostic::new(Code::NoMethodForClass, "solving is not linked yet").at(span, "here"),
        ])
    }

    /// Starts given by `from`: values by variable.
    pub(super) fn starts(&self, from: Option<&Start>, at: usize) -> Found<IndexMap<String, Vec<f64>>> {
        let mut out = IndexMap::new();
        let Some(from) = from else { return Ok(out) };
        let vars = &self.compiled[at].lowered.problem.vars;
        let start_of = |name: &str, dims: &[IndexSet], t: &Tensor, span: Span| -> Found<Vec<f64>> {
            let n: usize = dims.iter().map(IndexSet::len).product();
            if !t.dims.is_empty() && t.dims != dims {
                return Err(vec![
                    Diagnostic::new(
                        Code::BadStart,
                        format!(
                            "`{name}` is {}, its start is {}",
                            lower::describe_dims(dims),
                            lower::describe_dims(&t.dims)
                        ),
                    )
                    .at(span, "this start")
                    .help("a single number starts all entries"),
                ]);
            }
            Ok(super::evaluate::spread(t, n))
        };
        match from {
            Start::Values(values) => {
                for (name, e) in values {
                    let Some(v) = vars.iter().find(|v| v.name == name.text) else {
                        let mut d =
                            Diagnostic::new(Code::BadStart, format!("the problem has no variable `{}`", name.text))
                                .at(name.span, "not a variable");
                        let near =
                            crate::base::diagnostic::did_you_mean(&name.text, vars.iter().map(|v| v.name.as_str()));
                        if let Some(n) = near {
                            d = d.help_edit(format!("did you mean `{n}`?"), name.span, n);
                        }
                        return Err(vec![d]);
                    };
                    match self.evaluate(e).map_err(one)? {
                        Value::Array { tensor, .. } => {
                            out.insert(v.name.clone(), start_of(&v.name, &v.dims, &tensor, e.span)?);
                        }
                        other => {
                            return Err(vec![
                                Diagnostic::new(
                                    Code::BadStart,
                                    format!("a start is a number, found {}", super::show::kind(&other)),
                                )
                                .at(e.span, "here"),
                            ]);
                        }
                    }
                }
            }
            Start::Solution(e) => {
                let solution = e.as_name().and_then(|n| self.defs.get(n));
                let Some(Def::Solution(s)) = solution else {
                    return Err(vec![
                        Diagnostic::new(Code::BadStart, format!("`{}` is not a solution", shown(e)))
                            .at(e.span, "here")
                            .help("`from s` takes an earlier solution, `from x = …` values by name"),
                    ]);
                };
                for v in vars {
                    if let Some(t) = s.fields.get(&v.name) {
                        out.insert(v.name.clone(), start_of(&v.name, &v.dims, t, e.span)?);
                    }
                }
            }
        }
        Ok(out)
    }

    /// `minimize f from x = …`: a problem of its own that is gone afterwards.
    pub(super) fn minimize_from(&mut self, m: &MinimizeFrom, span: Span, sink: &mut dyn FnMut(Event)) -> Found<()> {
        let kept = std::mem::take(&mut self.unnamed);
        let result = self.minimize_alone(m, span, &kept, sink);
        self.unnamed = kept;
        self.version += 1;
        result
    }

    fn minimize_alone(
        &mut self,
        m: &MinimizeFrom,
        span: Span,
        kept: &[Stmt],
        sink: &mut dyn FnMut(Event),
    ) -> Found<()> {
        // Definitions stay visible; variables and objectives of the file's own problem do not.
        self.unnamed = kept
            .iter()
            .filter(|s| matches!(s.kind, StmtKind::Let(_)))
            .cloned()
            .collect();
        for (name, e) in &m.starts {
            let dims = match self.evaluate(e).map_err(one)? {
                Value::Array { tensor, .. } => tensor.dims.clone(),
                _ => vec![],
            };
            if !dims.iter().all(IndexSet::is_plain) {
                return Err(vec![
                    Diagnostic::new(Code::BadStart, "a start over labelled sets needs a declared variable")
                        .at(e.span, "here")
                        .help(format!("declare it: `var {}: Real[…]`", name.text)),
                ]);
            }
            let sizes = dims.iter().map(|d| size_expr(d.len(), e)).collect();
            let ty = TypeExpr {
                name: crate::lang::syntax::Ident {
                    text: "Real".into(),
                    span: name.span,
                },
                dims: sizes,
                span: name.span,
            };
            let var = VarDecl {
                name: name.clone(),
                ty,
                bounds: vec![],
                start: Some(e.clone()),
                scale: None,
            };
            self.unnamed.push(Stmt {
                kind: StmtKind::Var(var),
                span: name.span,
                docs: None,
            });
        }
        self.unnamed.push(Stmt {
            kind: StmtKind::Objective(m.objective.clone()),
            span,
            docs: None,
        });
        self.version += 1;
        let solve = Solve {
            bind: None,
            target: None,
            from: None,
            to: None,
            within: None,
            seed: None,
            method: None,
            cold: true,
            keyword: span,
        };
        self.solve(&solve, span, sink)
    }

    /// Keeps a solution under the name it was given.
    pub(super) fn keep(&mut self, name: Option<&str>, s: SolutionData) {
        if let Some(n) = name {
            // A solution is not a definition that problems are compiled from.
            self.defs.insert(n.into(), Def::Solution(Arc::new(s)));
        }
    }
}

/// An integer literal in the place of another expression.
fn size_expr(n: usize, like: &Expr) -> Expr {
    Expr {
        id: like.id,
        span: like.span,
        kind: crate::lang::syntax::ExprKind::Number {
            value: n as f64,
            integer: true,
        },
    }
}

/// A problem's arguments by parameter name.
fn arguments(p: &crate::lang::syntax::ProblemDecl, args: &[Arg], span: Span) -> Found<Vec<(String, Rc<Expr>)>> {
    let mut out = vec![];
    for (k, f) in p.params.iter().enumerate() {
        let given = args
            .iter()
            .find(|a| a.name.as_ref().is_some_and(|n| n.text == f.name.text))
            .or_else(|| args.get(k).filter(|a| a.name.is_none()));
        match given.map(|a| &a.value).or(f.default.as_ref()) {
            Some(e) => out.push((f.name.text.clone(), Rc::new(e.clone()))),
            None => {
                return Err(vec![
                    Diagnostic::new(
                        Code::WrongArity,
                        format!("`{}` needs a value for `{}`", p.name.text, f.name.text),
                    )
                    .at(span, "used here")
                    .at(f.name.span, "declared here"),
                ]);
            }
        }
    }
    if args.len() > p.params.len() {
        return Err(vec![
            Diagnostic::new(
                Code::WrongArity,
                format!(
                    "`{}` takes {} arguments, {} given",
                    p.name.text,
                    p.params.len(),
                    args.len()
                ),
            )
            .at(span, "used here"),
        ]);
    }
    Ok(out)
}
