//! Where a solve starts: `from` values by name, from random ones, from an earlier solution.
//!
//! Invariant: a start has the shape of its variable, or is one number for all its entries.

use indexmap::IndexMap;

use super::evaluate::spread;
use super::solving::{Found, one};
use super::{Def, Session, show};
use crate::base::diagnostic::did_you_mean;
use crate::base::value::{IndexSet, Tensor, Value};
use crate::base::{Code, Diagnostic, Span};
use crate::lang::lower;
use crate::lang::syntax::{Expr, Ident, Start, StmtKind, show as shown};
use crate::solve::{Seed, draws};

/// Values by variable, flat.
type Starts = IndexMap<String, Vec<f64>>;

impl Session {
    /// Starts given by `from`: values by variable.
    pub(super) fn starts(&self, from: Option<&Start>, at: usize, seed: u64) -> Found<Starts> {
        match from {
            None => Ok(Starts::new()),
            Some(Start::Values(values)) => self.started_at(values, at),
            Some(Start::Random(e)) => {
                let seed = match e {
                    Some(e) => self.whole_number(e, "a seed")?,
                    None => seed,
                };
                self.started_anywhere(at, seed)
            }
            Some(Start::Solution(e)) => self.started_at_solution(e, at),
        }
    }

    fn started_at(&self, values: &[(Ident, Expr)], at: usize) -> Found<Starts> {
        let vars = &self.compiled[at].lowered.problem.vars;
        let mut out = Starts::new();
        for (name, e) in values {
            let Some(v) = vars.iter().find(|v| v.name == name.text) else {
                let mut d = Diagnostic::new(Code::BadStart, format!("the problem has no variable `{}`", name.text))
                    .at(name.span, "not a variable");
                let near = did_you_mean(&name.text, vars.iter().map(|v| v.name.as_str()));
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
                            format!("a start is a number, found {}", show::kind(&other)),
                        )
                        .at(e.span, "here"),
                    ]);
                }
            }
        }
        Ok(out)
    }

    /// Around the origin, as far as the bounds allow.
    fn started_anywhere(&self, at: usize, seed: u64) -> Found<Starts> {
        let vars = &self.compiled[at].lowered.problem.vars;
        let mut out = Starts::new();
        let (mut l, mut u, mut unit) = (vec![], vec![], vec![]);
        for (k, v) in vars.iter().enumerate() {
            let bounds = self.bounds_of(at, k)?;
            l.extend(bounds.0);
            u.extend(bounds.1);
            unit.extend(self.declared_of(at, k, v.scale, 1.0)?);
        }
        let center: Vec<f64> = l.iter().zip(&u).map(|(l, u)| 0f64.max(*l).min(*u)).collect();
        let mut drawn = draws::start(Seed(seed), 0, (&l, &u), &center, &unit).into_iter();
        for v in vars {
            let n: usize = v.dims.iter().map(IndexSet::len).product();
            out.insert(v.name.clone(), drawn.by_ref().take(n).collect());
        }
        Ok(out)
    }

    fn started_at_solution(&self, e: &Expr, at: usize) -> Found<Starts> {
        let vars = &self.compiled[at].lowered.problem.vars;
        let mut out = Starts::new();
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
        if out.is_empty() && !vars.is_empty() {
            let of = if s.problem.is_empty() {
                "the problem"
            } else {
                &s.problem
            };
            let why = match s.past.body.iter().any(|b| {
                matches!(b.kind, StmtKind::Var(_)) && b.kind.declared().is_some_and(|n| s.fields.contains_key(&n.text))
            }) {
                true => format!(
                    "`{}` is a solution of `{of}`, which has no variable in common with this one",
                    shown(e)
                ),
                false => format!("`{}` has no point: it is {}", shown(e), s.status),
            };
            return Err(vec![Diagnostic::new(Code::BadStart, why).at(e.span, "here")]);
        }
        Ok(out)
    }
}

/// The entries of a start for a variable.
fn start_of(name: &str, dims: &[IndexSet], t: &Tensor, span: Span) -> Found<Vec<f64>> {
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
    Ok(spread(t, n))
}
