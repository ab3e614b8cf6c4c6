//! Solutions: their fields, duals and slacks, and expressions of the problem's names at the answer.
//!
//! Invariant: a solution is a snapshot: names of its problem mean what they meant when it was found, whatever they mean
//! now.

use std::collections::BTreeMap;
use std::rc::Rc;
use std::sync::Arc;

use super::linear::laid;
use super::{Argument, Arr, Local, Lower, Lowered, Scope, SolutionData, Src, Turns, Val, err};
use crate::atoms::{self, rules};
use crate::base::value::{Elem, IndexSet, Tensor};
use crate::base::{Code, Span};
use crate::ir::{DomainId, NodeId, Pos};
use crate::lang::syntax::{Arg, Expr, ExprKind, StmtKind, Subscript, show};

impl Lower<'_> {
    /// A field of a solution.
    pub(super) fn field(&mut self, v: Val, name: &str, span: Span) -> Lowered<Val> {
        if let Val::Table(t) = &v {
            return self.table_column(t, name, span);
        }
        let Val::Solution(s) = v else {
            // What is no part of a point was refused by its type.
            let what = format!("`{name}` of a point is not read inside of a comprehension or a sum");
            return Err(err(Code::UnknownField, what)
                .at(span, "here")
                .help(format!(
                    "name it on a line above: `let part = x.{name}`, then `part[i]`"
                ))
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
            let d = self.no_such(&key, what, table.keys().map(String::as_str), arg.span);
            return Err(match name {
                "reduced" if s.past.decides(&key) => Box::new(
                    err(
                        Code::UnknownField,
                        format!("`{key}` was fixed in this solve, so it has no reduced costs"),
                    )
                    .at(arg.span, "given, not decided")
                    .help(format!(
                        "what its value costs is `s.dual(c)`, with `c: {key} == …` as a constraint instead of `fixing`"
                    )),
                ),
                _ => d,
            });
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
                "name a turn, `{shown}[1]`; what is asked of a turn takes any index, `{shown}[k].objective`"
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

    /// What is asked of one turn, or an array over the turns of what is asked of each.
    pub(super) fn of_turns(
        &mut self,
        s: &Rc<SolutionData>,
        subs: &[Subscript],
        span: Span,
        shown: &str,
        name: &str,
        ask: impl Fn(&mut Self, Rc<SolutionData>) -> Lowered<Val>,
    ) -> Lowered<Val> {
        let turns = self.turns(s, span, shown)?;
        if self.known_turn(&turns, subs)?.is_some() {
            let one = self.turn(s, subs, span, shown)?;
            return ask(self, one);
        }
        let wrong = |code, what: String| Box::new(err(code, what).at(span, "asked for all turns here"));
        let count: usize = turns.dims.iter().map(IndexSet::len).product();
        let (mut nodes, mut elem, mut inner) = (vec![], Elem::Real, None);
        for k in 0..count {
            let Some(t) = turns.all.get(&k) else {
                let what = format!("the loop of `{shown}` ended before turn {}", k + 1);
                return Err(wrong(Code::UnknownField, what));
            };
            let v = ask(self, t.clone()).map_err(|d| d.note(format!("in turn {} of `{shown}`", k + 1)))?;
            elem = super::expr::elem_of(&v);
            let (node, dims) = match &v {
                Val::Num(n, _) => (*n, vec![]),
                Val::Arr(a) => {
                    let whole = self.whole(a, span)?;
                    (self.flat(whole), a.dims.clone())
                }
                _ => {
                    let what = format!("turn {} of `{shown}` has no number or array `{name}`", k + 1);
                    return Err(Box::new(
                        wrong(Code::UnknownField, what).help(format!("ask one turn: `{shown}[…].{name}`")),
                    ));
                }
            };
            if inner.get_or_insert_with(|| dims.clone()) != &dims {
                let what = format!("`{name}` has another shape in turn {} than in turn 1", k + 1);
                return Err(wrong(Code::ShapeMismatch, what));
            }
            nodes.push(node);
        }
        let Some(inner) = inner else {
            return Err(wrong(Code::ShapeMismatch, format!("`{name}` of no turns")));
        };
        let rest = inner.len();
        let dims: Vec<IndexSet> = turns.dims.iter().cloned().chain(inner).collect();
        let all = match rest {
            0 if turns.dims.len() == 1 || nodes.iter().any(|n| self.ir.region(*n) != DomainId::ROOT) => {
                self.literal(nodes, dims)?
            }
            _ => {
                let flat = match rest {
                    0 => self.ir.apply(atoms::STACK, &nodes),
                    _ => self.one_below_another(&nodes),
                };
                let shape: Vec<usize> = dims.iter().map(IndexSet::len).collect();
                let entry = Rc::new(move |l: &mut Lower<'_>, at: &[Pos]| {
                    let p = l.flat_position(at, &shape)?;
                    Ok(l.ir.gather(flat, vec![p]))
                });
                Arr {
                    dims,
                    src: Src::Pull(entry),
                    covector: false,
                    elem,
                }
            }
        };
        let mut subs = subs.to_vec();
        subs.extend(std::iter::repeat_n(Subscript::All(span), rest));
        self.subscript(Arr { elem, ..all }, &subs, span, &format!("{shown}.{name}"))
    }

    /// The entries of a root array one after the other.
    fn flat(&mut self, n: NodeId) -> NodeId {
        let shape = self.ir.shape(n).to_vec();
        if shape.len() < 2 {
            return n;
        }
        let strides = strides(&shape);
        laid(&mut self.ir, &shape, (shape.iter().product(), &strides), |ir, at| {
            rules::entry(ir, n, at)
        })
    }

    /// Vectors as one; halves first, so that no entry is copied often.
    fn one_below_another(&mut self, nodes: &[NodeId]) -> NodeId {
        match nodes {
            [one] => *one,
            several => {
                let (top, bottom) = several.split_at(several.len() / 2);
                let (top, bottom) = (self.one_below_another(top), self.one_below_another(bottom));
                self.ir.apply(atoms::CONCAT, &[top, bottom])
            }
        }
    }

    /// The place of an entry among all entries of an array.
    fn flat_position(&mut self, at: &[Pos], shape: &[usize]) -> Lowered<Pos> {
        let strides = strides(shape);
        let (mut terms, mut offset) = (BTreeMap::new(), 0);
        for (p, s) in at.iter().zip(&strides) {
            let Pos::Affine { terms: own, offset: o } = p else {
                let mut sum = self.ir.constant(0.0);
                for (p, s) in at.iter().zip(&strides) {
                    let (n, s) = (self.position_node(p)?, self.ir.constant(*s as f64));
                    let step = self.ir.apply(atoms::MUL, &[n, s]);
                    sum = self.ir.apply(atoms::ADD, &[sum, step]);
                }
                return Ok(Pos::Node(sum));
            };
            offset += o * *s as i64;
            for (i, by) in own {
                *terms.entry(*i).or_insert(0) += by * *s as i64;
            }
        }
        Ok(Pos::Affine {
            terms: terms.into_iter().filter(|t| t.1 != 0).collect(),
            offset,
        })
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
        while let Some(f) = &next.innermost {
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

/// Strides of an array whose last index runs fastest.
fn strides(shape: &[usize]) -> Vec<usize> {
    (0..shape.len()).map(|k| shape[k + 1..].iter().product()).collect()
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
