//! Solutions: their fields, duals and slacks, and expressions of the problem's names at the answer.
//!
//! Invariant: a solution is a snapshot: names of its problem mean what they meant when it was found, whatever they mean
//! now.

use std::rc::Rc;
use std::sync::Arc;

use super::{Argument, Arr, Local, Lower, Lowered, Scope, SolutionData, Src, Turns, Val, err};
use crate::base::value::{Elem, IndexSet, Tensor};
use crate::base::{Code, Span};
use crate::ir::{DomainId, Pos};
use crate::lang::syntax::{Arg, Expr, ExprKind, StmtKind, Subscript, show};

impl Lower<'_> {
    /// A field of a solution.
    pub(super) fn field(&mut self, v: Val, name: &str, span: Span) -> Lowered<Val> {
        if let Val::Table(t) = &v {
            return self.table_column(t, name, span);
        }
        let Val::Solution(s) = v else {
            return Err(err(Code::UnknownField, "only solutions have fields")
                .at(span, "here")
                .into());
        };
        match name {
            "status" => return Ok(Val::Text(s.status.clone())),
            "trace" => return Ok(Val::Table(Arc::new(s.trace.filled()))),
            "path" => return Ok(Val::Table(s.path.clone())),
            "method" => return Ok(Val::Text(s.method.clone())),
            _ => {}
        }
        match s.fields.get(name) {
            Some(t) => Ok(self.constant_value(name, &t.clone())),
            None if s.past.lets(name) => {
                let name = Expr {
                    id: crate::lang::syntax::ExprId(0),
                    span,
                    kind: ExprKind::Name(name.into()),
                };
                self.at_solution(&s, &name)
            }
            None if s.past.decides(name) => Err(err(
                Code::UnknownField,
                format!("the solution has no value of `{name}`: it is {}", s.status),
            )
            .at(span, "asked for here")
            .into()),
            None => Err(self.no_such(name, "field", s.fields.keys().map(String::as_str), span)),
        }
    }

    pub(super) fn no_such<'k>(
        &self,
        name: &str,
        what: &str,
        known: impl Iterator<Item = &'k str> + Clone,
        span: Span,
    ) -> Box<crate::base::Diagnostic> {
        let mut d = err(Code::UnknownField, format!("the solution has no {what} `{name}`"))
            .at(span, "not there")
            .note(format!("it has: {}", known.clone().collect::<Vec<_>>().join(", ")));
        if let Some(n) = crate::base::diagnostic::did_you_mean(name, known) {
            d = d.help_edit(format!("did you mean `{n}`?"), span, n);
        }
        d.into()
    }

    pub(super) fn constant_value(&mut self, name: &str, t: &Arc<Tensor>) -> Val {
        match t.as_scalar() {
            Some(v) => Val::Num(self.ir.constant(v), Elem::Real),
            None => {
                let n = self.embed(name, t);
                Val::Arr(self.node_arr(n, t.dims.clone()))
            }
        }
    }

    /// `s.dual(c)`, `s.slack(c)`, `s.reduced(x)`, `s.value(e)`.
    pub(super) fn method(&mut self, base: Val, name: &str, args: &[Arg], span: Span) -> Lowered<Val> {
        let Val::Solution(s) = base else {
            return Err(err(Code::UnknownField, "only solutions have fields")
                .at(span, "here")
                .into());
        };
        let arg = self.one(name, args, span)?.value.clone();
        let (table, what) = match name {
            "dual" => (&s.duals, "constraint"),
            "slack" => (&s.slacks, "constraint"),
            "reduced" => (&s.reduced, "variable"),
            "value" => return self.at_solution(&s, &arg),
            _ => {
                let known = ["dual", "slack", "reduced", "value"];
                return Err(self.no_such(name, "function", known.into_iter(), span));
            }
        };
        let (key, subs) = match &arg.kind {
            ExprKind::Index { base, subscripts } => (show(base), Some(subscripts.clone())),
            _ => (show(&arg), None),
        };
        let Some(t) = table.get(&key).cloned() else {
            if table.is_empty() {
                let what = format!("the solution has no `{name}`: it is {}", s.status);
                return Err(err(Code::UnknownField, what)
                    .at(arg.span, "asked for here")
                    .note("there are duals, slacks and reduced costs where a method ended with a point and multipliers")
                    .into());
            }
            return Err(self.no_such(&key, what, table.keys().map(String::as_str), arg.span));
        };
        let v = self.constant_value(&format!("{name}({key})"), &t);
        match (subs, v) {
            (None, v) => Ok(v),
            (Some(subs), Val::Arr(a)) => self.subscript(a, &subs, arg.span, &key),
            (Some(_), _) => Err(err(Code::WrongIndexCount, format!("`{key}` is not a family"))
                .at(arg.span, "indexed here")
                .into()),
        }
    }

    /// The turns of a loop that kept this solution.
    fn turns(&self, s: &SolutionData, span: Span, shown: &str) -> Lowered<Rc<Turns>> {
        s.turns.clone().ok_or_else(|| {
            err(
                Code::WrongType,
                format!("`{shown}` has no turns: its loop has not ended, or it is of no loop"),
            )
            .at(span, "indexed here")
            .into()
        })
    }

    /// The turn that constant indices name, if they are constant.
    fn known_turn(&mut self, t: &Turns, subs: &[Subscript]) -> Lowered<Option<usize>> {
        let mut flat = 0;
        if subs.len() != t.dims.len() {
            return Ok(None);
        }
        for (set, sub) in t.dims.iter().zip(subs) {
            let Subscript::At(e) = sub else { return Ok(None) };
            let at = match (&e.kind, set) {
                (ExprKind::Text(label), IndexSet::Labels(l)) => l.labels.iter().position(|m| m == label),
                (_, IndexSet::Range { lo, len }) => {
                    let k = self.affine(e)?.filter(|a| a.terms.is_empty()).map(|a| a.constant - lo);
                    k.and_then(|k| usize::try_from(k).ok()).filter(|k| k < len)
                }
                _ => None,
            };
            let Some(at) = at else { return Ok(None) };
            flat = flat * set.len() + at;
        }
        Ok(Some(flat))
    }

    /// `s[3]`: the solution of one turn.
    pub(super) fn turn(
        &mut self,
        s: &Rc<SolutionData>,
        subs: &[Subscript],
        span: Span,
        shown: &str,
    ) -> Lowered<Rc<SolutionData>> {
        let turns = self.turns(s, span, shown)?;
        let Some(flat) = self.known_turn(&turns, subs)? else {
            let over: Vec<String> = turns.dims.iter().map(IndexSet::describe).collect();
            return Err(err(
                Code::IndexOutOfRange,
                format!("`{shown}` has a turn for each element of {}", over.join(", ")),
            )
            .at(span, "no element that is known here")
            .help(format!(
                "name a turn, `{shown}[1]`; fields take any index, `{shown}[k].objective`"
            ))
            .into());
        };
        turns.all.get(&flat).cloned().ok_or_else(|| {
            err(
                Code::IndexOutOfRange,
                format!("the loop of `{shown}` ended before this turn"),
            )
            .at(span, "no such turn")
            .into()
        })
    }

    /// `s[3].w`, `s[:].objective`: a field of one turn, or an array over the turns.
    pub(super) fn field_of_turns(
        &mut self,
        s: &Rc<SolutionData>,
        subs: &[Subscript],
        name: &str,
        span: Span,
        shown: &str,
    ) -> Lowered<Val> {
        let turns = self.turns(s, span, shown)?;
        if self.known_turn(&turns, subs)?.is_some() {
            let one = self.turn(s, subs, span, shown)?;
            return self.field(Val::Solution(one), name, span);
        }
        let count: usize = turns.dims.iter().map(IndexSet::len).product();
        let mut data: Vec<f64> = vec![];
        let mut inner: Option<Vec<IndexSet>> = None;
        for k in 0..count {
            let field = turns.all.get(&k).and_then(|t| t.fields.get(name));
            let Some(t) = field else {
                return Err(err(
                    Code::UnknownField,
                    format!("turn {} of `{shown}` has no number or array `{name}`", k + 1),
                )
                .at(span, "asked for all turns here")
                .help(format!("ask one turn: `{shown}[…].{name}`"))
                .into());
            };
            if inner.get_or_insert_with(|| t.dims.clone()) != &t.dims {
                return Err(err(
                    Code::ShapeMismatch,
                    format!("`{name}` has another shape in turn {} than in turn 1", k + 1),
                )
                .at(span, "asked for all turns here")
                .into());
            }
            data.extend(t.to_dense());
        }
        let inner = inner.unwrap_or_default();
        let rest = inner.len();
        let dims: Vec<IndexSet> = turns.dims.iter().cloned().chain(inner).collect();
        let Some(t) = Tensor::dense(dims, data) else {
            return Err(err(Code::ShapeMismatch, format!("`{name}` of no turns"))
                .at(span, "here")
                .into());
        };
        let n = self.embed(name, &Arc::new(t));
        let dims = self.data.last().map(|d| d.2.dims.clone()).unwrap_or_default();
        let all = self.node_arr(n, dims);
        let mut subs = subs.to_vec();
        subs.extend(std::iter::repeat_n(Subscript::All(span), rest));
        self.subscript(all, &subs, span, &format!("{shown}.{name}"))
    }

    /// An expression of a solved problem's names, with the values they have in its solution.
    fn at_solution(&mut self, s: &Rc<SolutionData>, e: &Expr) -> Lowered<Val> {
        let past = s.past.clone();
        let before = self.past.replace(past.clone());
        let v = self
            .solved_scope(s, e.span)
            .and_then(|scope| self.with_scope(scope, |l| l.expr(e)));
        self.past = before;
        Ok(match v? {
            // Entries that are asked for later mean the same names.
            Val::Arr(Arr {
                dims,
                src: Src::Pull(entry),
                covector,
                elem,
            }) => {
                let entry = Rc::new(move |l: &mut Lower<'_>, at: &[Pos]| {
                    let before = l.past.replace(past.clone());
                    let v = entry(l, at);
                    l.past = before;
                    v
                });
                Val::Arr(Arr {
                    dims,
                    src: Src::Pull(entry),
                    covector,
                    elem,
                })
            }
            v => v,
        })
    }

    /// The names of the problem itself: arguments, variables, sets and derived values.
    fn solved_scope(&mut self, s: &Rc<SolutionData>, at: Span) -> Lowered<Scope> {
        // What the names mean does not depend on indices around this place.
        let own = self.in_region(DomainId::ROOT, |l| l.own_scope(s, at))?;
        let mut frames = vec![];
        let mut next = &own;
        while let Some(f) = &next.0 {
            frames.push(f);
            next = &f.up;
        }
        let outer = self.scope.clone();
        Ok(frames
            .into_iter()
            .rev()
            .fold(outer, |scope, f| scope.with(&f.name, f.local.clone())))
    }

    fn own_scope(&mut self, s: &Rc<SolutionData>, at: Span) -> Lowered<Scope> {
        let mut scope = Scope::default();
        for (p, a) in &s.past.args {
            let v = match a {
                Argument::Expr(e) => self.with_scope(Scope::default(), |l| l.expr(e))?,
                Argument::Input(_, value) => self.constant_value(&p.name.text, &value.tensor),
            };
            scope = self.bound(scope, &s.problem, p, v, at)?;
        }
        for stmt in &s.past.body {
            match &stmt.kind {
                StmtKind::Var(v) => {
                    let name = v.name.text.as_str();
                    let Some(t) = s.fields.get(name) else {
                        return Err(err(
                            Code::UnknownField,
                            format!("the solution has no value of `{name}`: it is {}", s.status),
                        )
                        .at(at, "asked for here")
                        .into());
                    };
                    scope = scope.with(name, Local::Val(self.constant_value(name, &t.clone())));
                }
                StmtKind::Let(d) => scope = scope.with(&d.name.text, Local::Let(Rc::new(d.value.clone()))),
                StmtKind::Set(d) => {
                    scope = self.with_scope(scope, |l| {
                        l.local_set(d)?;
                        Ok(l.scope.clone())
                    })?;
                }
                _ => {}
            }
        }
        Ok(scope)
    }
}

impl super::Past {
    /// Has the problem a variable of this name?
    fn decides(&self, name: &str) -> bool {
        let mut body = self.body.iter();
        body.any(|s| matches!(&s.kind, StmtKind::Var(v) if v.name.text == name))
    }
    /// Does the problem derive a value of this name?
    fn lets(&self, name: &str) -> bool {
        let mut body = self.body.iter();
        body.any(|s| matches!(&s.kind, StmtKind::Let(d) if d.name.text == name))
    }
}
