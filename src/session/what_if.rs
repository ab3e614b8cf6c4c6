//! What if: a problem with variables fixed, constraints left out, integers as reals; starts drawn at random.
//!
//! Invariant: the problem itself stays as declared: a change makes a problem of its own, kept and reused like any other.

use std::fmt;
use std::sync::Arc;

use crate::base::value::{IndexSet, Tensor, Value};
use crate::base::{Code, Diagnostic, Level, Span};
use crate::ir::NodeId;
use crate::lang::lower::Pin;
use crate::lang::syntax::{
    BinaryOp, Binders, Check, CompareOp, Constraint, Expr, ExprId, ExprKind, Fixed, Ident, Link, Omitted, Solve,
    StmtKind, Subscript, UnaryOp, VarDecl, Variation, show as shown,
};

use super::problems::{Body, size_expr};
use super::solving::{Found, one};
use super::{Event, Session};

/// How far a fixed value may lie outside its bounds, relative to them: about what a solve leaves.
const SLACK: f64 = 1e-6;

/// What is fixed of one variable, while it is collected.
struct Pinned<'a> {
    name: &'a str,
    dims: Vec<IndexSet>,
    at: Span,
    values: Vec<Option<f64>>,
}

impl Session {
    /// The compiled problem of a solve, with its changes.
    pub(super) fn varied(&mut self, c: &Solve, span: Span, sink: &mut dyn FnMut(Event)) -> Found<usize> {
        let v = &c.variation;
        let mut body = self.body_of(c.target.as_ref(), span)?;
        if v.is_empty() {
            return self.compiled_body(body, span, sink);
        }
        if let Some(at) = v.relaxed {
            if relax(&mut body) == 0 {
                let d = Diagnostic::new(
                    Code::BadVariation,
                    "`relaxed` changes nothing: every variable is a real",
                );
                let d = Diagnostic {
                    level: Level::Advice,
                    ..d
                };
                self.tell(d.at(at, "here"), sink);
            }
            body.changes += " relaxed";
        }
        if !v.without.is_empty() {
            let mut names = vec![];
            for o in &v.without {
                names.push(self.leave_out(o, &mut body)?);
            }
            names.sort_unstable();
            names.dedup();
            body.changes += &format!(" without {}", names.join(", "));
        }
        if v.fixing.is_empty() {
            return self.compiled_body(body, span, sink);
        }
        // Its variables have to be known before any of them is fixed.
        let free = self.compiled_body(body.clone(), span, sink)?;
        body.pins = self.pins(&v.fixing, free)?;
        let places: Vec<String> = v.fixing.iter().map(|f| shown(&f.place)).collect();
        body.changes += &format!(" fixing {}", places.join(", "));
        self.compiled_body(body, span, sink)
    }

    /// Takes a constraint, or rows of a family, out of a problem; answers what is gone, as a part of the key.
    fn leave_out(&self, o: &Omitted, body: &mut Body) -> Found<String> {
        let rows = match &o.place.kind {
            ExprKind::Index { subscripts, .. } => self.rows(subscripts)?,
            _ => vec![],
        };
        let own = |c: &Constraint| c.label.as_ref().is_some_and(|l| l.text == o.name.text);
        for s in &mut body.statements {
            let StmtKind::SubjectTo(list) = &mut s.kind else {
                continue;
            };
            if rows.iter().all(|r| matches!(r, Subscript::All(_))) {
                list.retain(|c| !own(c));
                continue;
            }
            for c in list.iter_mut().filter(|c| own(c)) {
                let Some(b) = c.binders.as_mut().filter(|b| fits(b, &rows)) else {
                    let what = format!("`{}` has no index for each of these places", o.name.text);
                    let d = Diagnostic::new(Code::BadVariation, what).at(o.place.span, "rows of a family are meant");
                    return Err(vec![
                        d.at(c.span, "declared here")
                            .help("give it its indices by name: `c[i in I]: …`"),
                    ]);
                };
                except(b, &rows);
            }
        }
        let shown: Vec<String> = rows
            .iter()
            .map(|r| match r {
                Subscript::All(_) => ":".into(),
                Subscript::At(e) | Subscript::Range(e) => shown(e),
            })
            .collect();
        Ok(match shown.as_slice() {
            [] => o.name.text.clone(),
            some => format!("{}[{}]", o.name.text, some.join(", ")),
        })
    }

    /// Subscripts with values in place of names, one for each index: in the constraint a name may mean something else.
    fn rows(&self, subscripts: &[Subscript]) -> Found<Vec<Subscript>> {
        let mut out = vec![];
        for s in subscripts {
            match s {
                Subscript::All(at) => out.push(Subscript::All(*at)),
                Subscript::At(Expr {
                    kind: ExprKind::Tuple(parts),
                    ..
                }) => {
                    for e in parts {
                        out.push(Subscript::At(self.literal(e)?));
                    }
                }
                Subscript::At(e) => out.push(Subscript::At(self.literal(e)?)),
                Subscript::Range(e) => {
                    let ExprKind::Range { lo, hi } = &e.kind else {
                        return Err(wrong("rows are named by an element, a range or `:`".into(), e.span));
                    };
                    let kind = ExprKind::Range {
                        lo: Box::new(self.literal(lo)?),
                        hi: Box::new(self.literal(hi)?),
                    };
                    out.push(Subscript::Range(Expr { kind, ..e.clone() }));
                }
            }
        }
        Ok(out)
    }

    /// The value of an index as it would be written.
    fn literal(&self, e: &Expr) -> Found<Expr> {
        let kind = match self.evaluate(e).map_err(one)? {
            Value::Text(t) => ExprKind::Text(t),
            _ => {
                let v = self.number(e).map_err(one)?;
                let size = ExprKind::Number {
                    value: v.abs(),
                    integer: v.fract() == 0.0,
                };
                match v < 0.0 {
                    true => ExprKind::Unary {
                        op: UnaryOp::Neg,
                        operand: Box::new(Expr {
                            kind: size,
                            ..e.clone()
                        }),
                    },
                    false => size,
                }
            }
        };
        Ok(Expr { kind, ..e.clone() })
    }

    /// What is fixed, by variable.
    fn pins(&self, fixing: &[Fixed], at: usize) -> Found<Vec<(String, Pin)>> {
        let vars = &self.compiled[at].lowered.problem.vars;
        let mut all: Vec<(usize, Pinned<'_>)> = vec![];
        for f in fixing {
            let Some(k) = vars.iter().position(|v| v.name == f.name.text) else {
                return Err(wrong(
                    format!("the problem has no variable `{}`", f.name.text),
                    f.name.span,
                ));
            };
            let n: usize = vars[k].dims.iter().map(IndexSet::len).product();
            let here = match all.iter().position(|p| p.0 == k) {
                Some(i) => i,
                None => {
                    all.push((
                        k,
                        Pinned {
                            name: &f.name.text,
                            dims: vars[k].dims.clone(),
                            at: f.name.span,
                            values: vec![None; n],
                        },
                    ));
                    all.len() - 1
                }
            };
            self.pin(f, &mut all[here].1)?;
        }
        let mut out = vec![];
        for (k, mut p) in all {
            let (l, u) = self.bounds_of(at, k)?;
            for (i, v) in p.values.iter_mut().enumerate() {
                let Some(v) = v else { continue };
                for (b, below, word) in [(l[i], *v < l[i], "below"), (u[i], *v > u[i], "above")] {
                    if below && (*v - b).abs() > SLACK * (1.0 + b.abs()) {
                        return Err(wrong(
                            format!(
                                "`{}` is fixed at {}, {word} its bound {}",
                                super::instance(p.name, &p.dims, i),
                                super::show::number(*v),
                                super::show::number(b)
                            ),
                            p.at,
                        ));
                    }
                    if below {
                        *v = b;
                    }
                }
            }
            let tensor = |data: Vec<f64>| {
                Arc::new(Tensor::dense(p.dims.clone(), data).unwrap_or_else(|| Tensor::scalar(f64::NAN)))
            };
            let or = |free: f64| tensor(p.values.iter().map(|v| v.unwrap_or(free)).collect());
            let pin = match p.values.iter().all(Option::is_some) {
                true => Pin::Whole(or(0.0)),
                false => Pin::Entries(or(f64::NEG_INFINITY), or(f64::INFINITY)),
            };
            out.push((p.name.to_string(), pin));
        }
        let whole = out.iter().filter(|p| matches!(p.1, Pin::Whole(_))).count();
        if whole == vars.len() {
            let at = fixing
                .first()
                .map_or(self.compiled[at].lowered.problem.vars[0].span, |f| f.name.span);
            let d = Diagnostic::new(Code::BadVariation, "every variable is fixed: nothing is left to decide");
            return Err(vec![d.at(at, "here").help("leave one of them free")]);
        }
        Ok(out)
    }

    /// Adds one fixed place to what is fixed of its variable.
    fn pin(&self, f: &Fixed, p: &mut Pinned<'_>) -> Found<()> {
        // The place as positions: the same expression, on an array that holds them.
        let numbered = (0..p.values.len()).map(|i| i as f64).collect();
        let numbered = Tensor::dense(p.dims.clone(), numbered).unwrap_or_else(|| Tensor::scalar(0.0));
        let places = array(
            self.evaluate_among(&f.place, &[(f.name.text.clone(), Arc::new(numbered))])
                .map_err(one)?,
        );
        let value = array(self.evaluate(&f.value).map_err(one)?);
        let (Some(places), Some(value)) = (places, value) else {
            return Err(wrong("a variable is fixed at numbers".into(), f.value.span));
        };
        if !value.dims.is_empty() && value.dims != places.dims {
            return Err(wrong(
                format!(
                    "`{}` is {}, what it is fixed at {}",
                    shown(&f.place),
                    crate::lang::lower::describe_dims(&places.dims),
                    crate::lang::lower::describe_dims(&value.dims)
                ),
                f.value.span,
            ));
        }
        let places = places.to_dense();
        for (at, v) in places.iter().zip(super::evaluate::spread(&value, places.len())) {
            let at = *at as usize;
            if !v.is_finite() {
                return Err(wrong(
                    format!(
                        "a variable is fixed at finite numbers, not at {}",
                        super::show::number(v)
                    ),
                    f.value.span,
                ));
            }
            if p.values[at].is_some_and(|old| old != v) {
                let name = super::instance(p.name, &p.dims, at);
                return Err(wrong(
                    format!("`{name}` is fixed twice, at different values"),
                    f.place.span,
                ));
            }
            p.values[at] = Some(v);
        }
        Ok(())
    }

    /// Bounds of a variable of a lowered problem, by entry.
    pub(super) fn bounds_of(&self, at: usize, k: usize) -> Found<(Vec<f64>, Vec<f64>)> {
        let v = &self.compiled[at].lowered.problem.vars[k];
        let (l, u) = (v.lower, v.upper);
        Ok((
            self.declared_of(at, k, l, f64::NEG_INFINITY)?,
            self.declared_of(at, k, u, f64::INFINITY)?,
        ))
    }

    /// What a variable's declaration says, by entry; `open` where it says nothing.
    pub(super) fn declared_of(&self, at: usize, k: usize, node: Option<NodeId>, open: f64) -> Found<Vec<f64>> {
        let l = &self.compiled[at].lowered;
        let v = &l.problem.vars[k];
        let n: usize = v.dims.iter().map(IndexSet::len).product();
        let Some(node) = node else { return Ok(vec![open; n]) };
        let dims = match l.problem.ir.shape(node).is_empty() {
            true => vec![],
            false => v.dims.clone(),
        };
        let t = self
            .run_nodes(&l.problem.ir, &l.params, &[(node, dims)])
            .map_err(|f| one(self.fault_at(&l.problem.ir, &f, Some(v.span))))?;
        Ok(t.first()
            .map_or_else(|| vec![open; n], |t| super::evaluate::spread(t, n)))
    }

    /// A whole number, not negative.
    pub(super) fn whole_number(&self, e: &Expr, what: &str) -> Found<u64> {
        let v = self.number(e).map_err(one)?;
        if v.fract() == 0.0 && (0.0..9e15).contains(&v) {
            return Ok(v as u64);
        }
        let d = Diagnostic::new(Code::WrongType, format!("{what} is a whole number, not negative"));
        Err(vec![d.at(e.span, super::show::number(v))])
    }
}

impl Body {
    /// Variables that are fixed as a whole.
    pub(super) fn fixed(&self) -> Vec<(String, Arc<Tensor>)> {
        let whole = self.pins.iter().filter_map(|(n, p)| match p {
            Pin::Whole(t) => Some((n.clone(), t.clone())),
            Pin::Entries(..) => None,
        });
        whole.collect()
    }
}

impl fmt::Display for Variation {
    /// As written: `fixing x = 1 without budget relaxed`.
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut parts = vec![];
        if !self.fixing.is_empty() {
            let fixed = self.fixing.iter();
            let fixed: Vec<String> = fixed
                .map(|f| format!("{} = {}", shown(&f.place), shown(&f.value)))
                .collect();
            parts.push(format!("fixing {}", fixed.join(", ")));
        }
        if !self.without.is_empty() {
            let names: Vec<String> = self.without.iter().map(|o| shown(&o.place)).collect();
            parts.push(format!("without {}", names.join(", ")));
        }
        if self.relaxed.is_some() {
            parts.push("relaxed".into());
        }
        out.write_str(&parts.join(" "))
    }
}

/// Is there one place for each name that the binders bind?
fn fits(b: &Binders, rows: &[Subscript]) -> bool {
    names(b).len() == rows.len()
}

/// The names that binders bind: one that is bound already only selects.
fn names(b: &Binders) -> Vec<Ident> {
    let mut out: Vec<Ident> = vec![];
    for n in b.items.iter().flat_map(|i| &i.names) {
        if out.iter().all(|o| o.text != n.text) {
            out.push(n.clone());
        }
    }
    out
}

/// Narrows a family to what is not in `rows`: `not (i == "a" and j in 2..3)` joins its condition.
fn except(b: &mut Binders, rows: &[Subscript]) {
    let expr = |kind, span| Expr {
        id: ExprId(0),
        span,
        kind,
    };
    let mut inside: Vec<Expr> = vec![];
    for (n, r) in names(b).iter().zip(rows) {
        let (op, value) = match r {
            Subscript::All(_) => continue,
            Subscript::At(e) => (CompareOp::Eq, e),
            Subscript::Range(e) => (CompareOp::In, e),
        };
        let kind = ExprKind::Compare {
            first: Box::new(expr(ExprKind::Name(n.text.clone()), value.span)),
            rest: vec![Link {
                op,
                op_span: value.span,
                operand: value.clone(),
            }],
        };
        inside.push(expr(kind, value.span));
    }
    let all = |terms: Vec<Expr>| {
        terms.into_iter().reduce(|a, b| {
            let span = a.span;
            let link = Link {
                op: BinaryOp::And,
                op_span: span,
                operand: b,
            };
            let kind = ExprKind::Chain {
                first: Box::new(a),
                rest: vec![link],
            };
            expr(kind, span)
        })
    };
    let Some(inside) = all(inside) else { return };
    let span = inside.span;
    let kind = ExprKind::Unary {
        op: UnaryOp::Not,
        operand: Box::new(inside),
    };
    let terms = b.condition.take().map(|c| *c).into_iter().chain([expr(kind, span)]);
    b.condition = all(terms.collect()).map(Box::new);
}

/// Makes `Int` variables reals, and `Bool` variables reals between 0 and 1; how many there were.
fn relax(body: &mut Body) -> usize {
    let mut count = 0;
    for s in &mut body.statements {
        let StmtKind::Var(VarDecl { ty, bounds, .. }) = &mut s.kind else {
            continue;
        };
        let span = ty.name.span;
        let whole = ty.name.text.clone();
        if !matches!(whole.as_str(), "Int" | "Bool") {
            continue;
        }
        count += 1;
        ty.name.text = "Real".into();
        if whole == "Bool" {
            let like = Expr {
                id: ExprId(0),
                span,
                kind: ExprKind::Error,
            };
            for (op, n) in [(CompareOp::Ge, 0), (CompareOp::Le, 1)] {
                let value = size_expr(n, &like);
                bounds.push(Check { op, value, span });
            }
        }
    }
    count
}

fn array(v: Value) -> Option<Arc<Tensor>> {
    match v {
        Value::Array { tensor, .. } => Some(tensor),
        _ => None,
    }
}

fn wrong(what: String, at: Span) -> Vec<Diagnostic> {
    vec![Diagnostic::new(Code::BadVariation, what).at(at, "here")]
}
