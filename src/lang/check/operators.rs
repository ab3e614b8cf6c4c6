//! Operators: the linear-algebra product, entrywise combination, comparison.
//!
//! Invariant: a scalar combines with any array; two arrays combine entry by entry only over the same sets.

use super::expr::join;
use super::types::{Dim, Elem, Kind, Same, Ty};
use super::{Checker, What};
use crate::base::{Code, Diagnostic, Span};
use crate::lang::errors::types as errors;
use crate::lang::syntax::{BinaryOp, CompareOp, ConeName, Expr, ExprKind, Link, show};

/// An array's parts.
struct Parts<'t> {
    elem: Elem,
    dims: &'t [Dim],
    covector: bool,
}

fn parts(ty: &Ty) -> Option<Parts<'_>> {
    match &ty.kind {
        Kind::Array { elem, dims, covector } => Some(Parts {
            elem: *elem,
            dims,
            covector: *covector,
        }),
        _ => None,
    }
}

/// Operators of a chain up to which what stands before one is spelled out in messages.
const SPELLED: usize = 16;

impl Checker<'_> {
    pub(super) fn chain(&mut self, whole: &Expr, first: &Expr, rest: &[Link<BinaryOp>]) -> Ty {
        let logic = matches!(rest.first().map(|l| l.op), Some(BinaryOp::And | BinaryOp::Or));
        let mut left = if logic {
            self.condition_or_array(first)
        } else {
            self.term(first)
        };
        for (k, link) in rest.iter().enumerate() {
            let right = if logic {
                self.condition_or_array(&link.operand)
            } else {
                self.term(&link.operand)
            };
            // What stands left of the operator: the prefix of the chain.
            let prefix;
            let left_expr = if k == 0 {
                first
            } else {
                prefix = Expr {
                    id: whole.id,
                    span: first.span.to(rest[k - 1].operand.span),
                    // Its text is wanted in messages about arrays alone, and copied for short chains only.
                    kind: match k <= SPELLED && !left.dims().is_empty() && !right.dims().is_empty() {
                        true => ExprKind::Chain {
                            first: Box::new(first.clone()),
                            rest: rest[..k].to_vec(),
                        },
                        false => ExprKind::Error,
                    },
                };
                &prefix
            };
            left = self.binary(link, (left_expr, &left), (&link.operand, &right));
        }
        left
    }

    fn condition_or_array(&mut self, e: &Expr) -> Ty {
        let ty = self.expr(e);
        match &ty.kind {
            Kind::Error => ty,
            Kind::Array { elem: Elem::Bool, .. } => ty,
            _ => {
                let d = errors::wrong_type("a truth value", &ty.words(), e.span);
                self.wrong(d)
            }
        }
    }

    /// An operand of a message; a prefix of a long chain has no text of its own.
    fn side(&self, e: &Expr, ty: &Ty) -> errors::Operand {
        let mut o = self.operand(e, ty);
        if matches!(e.kind, ExprKind::Error) {
            o.text = "the left side".into();
        }
        o
    }

    fn binary(&mut self, link: &Link<BinaryOp>, a: (&Expr, &Ty), b: (&Expr, &Ty)) -> Ty {
        if a.1.is_operator() || b.1.is_operator() {
            return self.linear_binary(link.op, link.op_span, a, b);
        }
        let varies = a.1.varies || b.1.varies;
        let (Some(x), Some(y)) = (parts(a.1), parts(b.1)) else {
            return Ty {
                kind: Kind::Error,
                varies,
            };
        };
        let symbol = link.op.symbol();
        let scalar = x.dims.is_empty() || y.dims.is_empty();
        match link.op {
            BinaryOp::Or | BinaryOp::And => {
                let mut ty = self.entrywise(symbol, a, b);
                set_elem(&mut ty, Elem::Bool);
                ty
            }
            BinaryOp::Add | BinaryOp::Sub | BinaryOp::ElemMul => {
                let mut ty = self.entrywise(symbol, a, b);
                if ty.elem() == Some(Elem::Bool) {
                    set_elem(&mut ty, Elem::Int);
                }
                ty
            }
            BinaryOp::ElemDiv => {
                let mut ty = self.entrywise(symbol, a, b);
                set_elem(&mut ty, Elem::Real);
                ty
            }
            BinaryOp::Mul if scalar => {
                let mut ty = self.entrywise(symbol, a, b);
                if ty.elem() == Some(Elem::Bool) {
                    set_elem(&mut ty, Elem::Int);
                }
                ty
            }
            BinaryOp::Mul => self.product(a, b),
            BinaryOp::Div if scalar => {
                let mut ty = self.entrywise(symbol, a, b);
                set_elem(&mut ty, Elem::Real);
                ty
            }
            BinaryOp::Div => {
                let d = errors::shape_mismatch(
                    "`/` divides by a number".into(),
                    &[&self.side(a.0, a.1), &self.side(b.0, b.1)],
                    None,
                )
                .help_edit("entry by entry: `./`", link.op_span, "./");
                self.wrong(d)
            }
            BinaryOp::Rem | BinaryOp::IntDiv => {
                // A state of an optimizer is a number that may be whole.
                let counted = link.op == BinaryOp::Rem && self.step.is_some();
                for (e, t) in [a, b] {
                    if t.elem() == Some(Elem::Real) && !counted {
                        let d =
                            errors::wrong_type(&format!("`{symbol}` is for integers: an integer"), &t.words(), e.span);
                        let (x, y) = (show(a.0), show(b.0));
                        return self.wrong(d.help(match link.op {
                            BinaryOp::Rem => format!("`mod({x}, {y})` takes numbers that are not known to be whole"),
                            _ => format!("of numbers that are not known to be whole it is `floor({x}/{y})`"),
                        }));
                    }
                }
                self.entrywise(symbol, a, b)
            }
            BinaryOp::Solve => self.solve_system(link.op_span, a, b),
            BinaryOp::Pow | BinaryOp::ElemPow => Ty::error(),
        }
    }

    pub(super) fn power(&mut self, whole: &Expr, op: BinaryOp, base: &Expr, exponent: &Expr) -> Ty {
        let (a, b) = (self.number(base), self.number(exponent));
        if a.is_error() || b.is_error() {
            return Ty::error();
        }
        if op == BinaryOp::Pow && !(a.dims().is_empty() && b.dims().is_empty()) {
            let d = errors::shape_mismatch(
                format!("`{}`: `^` raises a number to a number", show(whole)),
                &[&self.side(base, &a), &self.side(exponent, &b)],
                None,
            );
            let at = match &whole.kind {
                ExprKind::Power { op_span, .. } => *op_span,
                _ => whole.span,
            };
            let d = d.help_edit("entry by entry: `.^`", at, ".^");
            return self.wrong(d);
        }
        let mut ty = self.entrywise(op.symbol(), (base, &a), (exponent, &b));
        let whole_number = exponent.as_integer().is_some_and(|k| k >= 0) && a.elem() != Some(Elem::Real);
        set_elem(&mut ty, if whole_number { Elem::Int } else { Elem::Real });
        ty
    }

    /// Entry by entry, a scalar with anything.
    pub(super) fn entrywise(&mut self, op: &str, a: (&Expr, &Ty), b: (&Expr, &Ty)) -> Ty {
        let varies = a.1.varies || b.1.varies;
        let (Some(x), Some(y)) = (parts(a.1), parts(b.1)) else {
            return Ty {
                kind: Kind::Error,
                varies,
            };
        };
        let elem = join(x.elem, y.elem);
        if y.dims.is_empty() || x.dims.is_empty() {
            let (dims, covector) = if y.dims.is_empty() {
                (x.dims.to_vec(), x.covector)
            } else {
                (y.dims.to_vec(), y.covector)
            };
            return Ty {
                kind: Kind::Array { elem, dims, covector },
                varies,
            };
        }
        let same = x.dims.len() == y.dims.len() && x.dims.iter().zip(y.dims).all(|(p, q)| p.same(q) != Same::No);
        if same && x.covector == y.covector {
            let dims = x
                .dims
                .iter()
                .zip(y.dims)
                .map(|(p, q)| if *p == Dim::Unknown { q.clone() } else { p.clone() })
                .collect();
            return Ty {
                kind: Kind::Array {
                    elem,
                    dims,
                    covector: x.covector,
                },
                varies,
            };
        }
        let (left, right) = (self.side(a.0, a.1), self.side(b.0, b.1));
        let d = if same {
            errors::shape_mismatch(
                format!("`{op}` combines a vector with a transposed one"),
                &[&left, &right],
                Some("transpose one of them, or neither: `x'`".into()),
            )
        } else {
            let example = match (x.dims, y.dims) {
                ([p @ Dim::Labels(_)], [q @ Dim::Labels(_)]) if a.0.as_name().is_some() && b.0.as_name().is_some() => {
                    Some(format!(
                        "[i in {}, j in {}] ({}[i] {op} {}[j])",
                        p.describe(),
                        q.describe(),
                        left.text,
                        right.text
                    ))
                }
                _ => None,
            };
            match self.block_beside_point(a.1, b.1).map(str::to_string) {
                Some(block) => {
                    let whole = if self.of_point(a.1) { a.0 } else { b.0 };
                    self.part_of_point(op, (&left, &right), whole, &block)
                }
                None => errors::no_broadcast(op, &left, &right, example),
            }
        };
        self.wrong(d)
    }

    /// A block beside something of the whole point, of which its part is meant.
    fn part_of_point(
        &self,
        op: &str,
        sides: (&errors::Operand, &errors::Operand),
        whole: &Expr,
        block: &str,
    ) -> Diagnostic {
        let mut names: Vec<(&str, Span)> = vec![];
        points(whole, &mut |n, at| {
            let entry = self.scope.get(n).map(|e| &e.what);
            if matches!(entry, Some(What::Let(t, _) | What::Formal(t)) if self.of_point(t)) {
                names.push((n, at));
            }
        });
        let only = match names.as_slice() {
            [one] => Some(*one),
            _ => None,
        };
        errors::part_of_point(op, sides, block, only)
    }

    /// `a*b` for arrays that are both no scalars.
    fn product(&mut self, a: (&Expr, &Ty), b: (&Expr, &Ty)) -> Ty {
        let varies = a.1.varies || b.1.varies;
        let (Some(x), Some(y)) = (parts(a.1), parts(b.1)) else {
            return Ty::error();
        };
        let elem = match join(x.elem, y.elem) {
            Elem::Bool => Elem::Int,
            e => e,
        };
        let (left, right) = (self.side(a.0, a.1), self.side(b.0, b.1));
        let array = |dims: Vec<Dim>, covector: bool| Ty {
            kind: Kind::Array { elem, dims, covector },
            varies,
        };
        let inner = |p: &Dim, q: &Dim| p.same(q) != Same::No;
        match (x.dims, x.covector, y.dims, y.covector) {
            ([p], true, [q], false) if inner(p, q) => array(vec![], false),
            ([p], false, [q], true) => array(vec![p.clone(), q.clone()], false),
            ([_], false, [_], false) => {
                let d = errors::vector_times_vector(&left, &right, a.0.span.to(b.0.span));
                self.wrong(d)
            }
            ([m, k], false, [n], false) if inner(k, n) => array(vec![m.clone()], false),
            ([m], true, [k, n], false) if inner(m, k) => array(vec![n.clone()], true),
            ([m, k], false, [l, n], false) if inner(k, l) => array(vec![m.clone(), n.clone()], false),
            (p, _, q, _) => {
                let help = match (p, q) {
                    ([m, k], [n]) if m.same(n) == Same::Yes => {
                        let _ = k;
                        Some(format!("transpose the matrix: `{}'*{}`", left.text, right.text))
                    }
                    ([m, _], [l, n]) if m.same(l) == Same::Yes => {
                        let _ = n;
                        Some(format!("transpose the left one: `{}'*{}`", left.text, right.text))
                    }
                    ([_, k], [_, n]) if k.same(n) == Same::Yes => {
                        Some(format!("transpose the right one: `{}*{}'`", left.text, right.text))
                    }
                    ([m], [k, _]) if !x.covector && m.same(k) == Same::Yes => {
                        Some(format!("transpose the vector: `{}'*{}`", left.text, right.text))
                    }
                    _ if p.len() == q.len() => {
                        Some("entry by entry it is `.*`; the product sums over the inner dimension".into())
                    }
                    _ => Some(
                        "if two sizes are one, give them one name; a sum over chosen indices is `sum(i in I) …`".into(),
                    ),
                };
                let (k, l) = match (p.last(), q.first()) {
                    (Some(k), Some(l)) => (k.describe(), l.describe()),
                    _ => (String::new(), String::new()),
                };
                let message = if p.len() > 2 || q.len() > 2 {
                    "`*` multiplies matrices and vectors".to_string()
                } else if k == l {
                    "`*` does not multiply these in this order".to_string()
                } else {
                    format!("`*` needs the same inner dimension: {k} on the left, {l} on the right")
                };
                let d = errors::shape_mismatch(message, &[&left, &right], help);
                self.wrong(d)
            }
        }
    }

    /// `A \ b`.
    fn solve_system(&mut self, at: Span, a: (&Expr, &Ty), b: (&Expr, &Ty)) -> Ty {
        let (Some(x), Some(y)) = (parts(a.1), parts(b.1)) else {
            return Ty::error();
        };
        let varies = a.1.varies || b.1.varies;
        if let ([m, n], [k, rest @ ..]) = (x.dims, y.dims)
            && rest.len() <= 1
            && !y.covector
            && m.same(k) != Same::No
        {
            let mut dims = vec![n.clone()];
            dims.extend(rest.iter().cloned());
            return Ty::array(Elem::Real, dims, varies);
        }
        let message = match (x.dims, y.dims) {
            ([m, _], [k, ..]) => format!(
                "`A \\ b` needs as many rows on both sides: {} and {}",
                m.describe(),
                k.describe()
            ),
            _ => "`\\` solves a linear system: a matrix on the left, a vector or matrix on the right".into(),
        };
        let (left, right) = (self.side(a.0, a.1), self.side(b.0, b.1));
        let d = errors::shape_mismatch(message, &[&left, &right], None);
        let d = if x.dims.is_empty() {
            d.help_edit("to divide by a number, write `/`", at, "/")
        } else {
            d
        };
        self.wrong(d)
    }

    /// A comparison, membership included: truth values of the combined shape.
    pub(super) fn compare(&mut self, first: &Expr, rest: &[Link<CompareOp>]) -> Ty {
        let mut left_expr = first;
        let mut left = self.expr(first);
        let mut dims: Vec<Dim> = vec![];
        let (mut varies, mut broken) = (left.varies, left.is_error());
        for link in rest {
            let right = self.expr(&link.operand);
            varies |= right.varies;
            let pair = self.compared(link, (left_expr, &left), (&link.operand, &right));
            match pair {
                Some(d) if dims.len() < d.len() => dims = d,
                Some(_) => {}
                None => broken = true,
            }
            left = right;
            left_expr = &link.operand;
        }
        if broken {
            return Ty {
                kind: Kind::Error,
                varies,
            };
        }
        Ty::array(Elem::Bool, dims, varies)
    }

    /// The dimensions of one comparison; nothing after a mistake.
    fn compared(&mut self, link: &Link<CompareOp>, a: (&Expr, &Ty), b: (&Expr, &Ty)) -> Option<Vec<Dim>> {
        if a.1.is_error() || b.1.is_error() {
            return None;
        }
        let symbol = link.op.symbol();
        if link.op == CompareOp::In {
            return self.member(a, b);
        }
        let text = |t: &Ty| matches!(t.kind, Kind::Array { elem: Elem::Text, .. });
        let equality = matches!(link.op, CompareOp::Eq | CompareOp::Ne);
        match (&a.1.kind, &b.1.kind) {
            (Kind::Label(s), Kind::Label(t)) if equality => {
                if s == t {
                    return Some(vec![]);
                }
                let d = Diagnostic::new(
                    Code::WrongIndexSet,
                    format!("an element of `{s}` is never an element of `{t}`: label sets are different sets"),
                )
                .at(link.op_span, "")
                .at(a.0.span, format!("of {s}"))
                .at(b.0.span, format!("of {t}"));
                self.report(d);
                None
            }
            (Kind::Label(s), _) if equality && text(b.1) => self.known_label(&s.clone(), b.0).then(Vec::new),
            (_, Kind::Label(s)) if equality && text(a.1) => self.known_label(&s.clone(), a.0).then(Vec::new),
            _ if text(a.1) && text(b.1) && equality => Some(vec![]),
            _ => {
                if text(a.1) || text(b.1) {
                    let (e, t) = if text(a.1) { (b.0, b.1) } else { (a.0, a.1) };
                    let d = errors::wrong_type("a text to compare with a text", &t.words(), e.span);
                    self.report(d);
                    return None;
                }
                let x = self.numeric(a.0, a.1.clone());
                let y = self.numeric(b.0, b.1.clone());
                if x.is_error() || y.is_error() {
                    return None;
                }
                let ty = self.entrywise(symbol, (a.0, &x), (b.0, &y));
                (!ty.is_error()).then(|| ty.dims().to_vec())
            }
        }
    }

    /// Membership in a convex set: the dimensions of its dual.
    pub(super) fn in_cone(&mut self, cone: ConeName, a: (&Expr, &Ty), at: Span) -> Option<Vec<Dim>> {
        let word = cone.word();
        if let (ConeName::Exp | ConeName::Pow, Kind::Tuple(types)) = (cone, &a.1.kind)
            && let ExprKind::Tuple(items) = &a.0.kind
            && items.len() == 3
        {
            let mut all: (Option<&Expr>, Ty) = (None, Ty::scalar(Elem::Real));
            for (e, t) in items.iter().zip(types) {
                let t = self.numeric(e, t.clone());
                if t.is_error() {
                    return None;
                }
                if t.dims().is_empty() {
                    continue;
                }
                if let Some(first) = all.0
                    && self.entrywise("in", (first, &all.1), (e, &t)).is_error()
                {
                    return None;
                }
                all = (Some(e), t);
            }
            let mut dims = all.1.dims().to_vec();
            dims.push(Dim::fixed(3));
            return Some(dims);
        }
        if matches!(cone, ConeName::Exp | ConeName::Pow) {
            let found = match &a.1.kind {
                Kind::Tuple(t) => format!("a tuple of {}", t.len()),
                _ => a.1.words(),
            };
            let d = errors::wrong_type(&format!("a triple in `{word}`"), &found, a.0.span)
                .help("write `(x, y, z) in …`; arrays of one shape are taken entry by entry");
            self.report(d);
            return None;
        }
        let x = self.numeric(a.0, a.1.clone());
        if x.is_error() {
            return None;
        }
        let fits = match (cone, x.dims()) {
            (ConeName::Psd, [m, n]) => m.same(n) != Same::No,
            (ConeName::Psd, _) => false,
            (ConeName::Simplex, d) => !d.is_empty(),
            _ => true,
        };
        if !fits {
            let wanted = if cone == ConeName::Psd {
                "a square matrix"
            } else {
                "an array"
            };
            let d = errors::wrong_type(&format!("{wanted} in `{word}`"), &x.words(), a.0.span).at(at, "");
            self.report(d);
            return None;
        }
        Some(if cone == ConeName::Psd {
            x.dims().to_vec()
        } else {
            vec![]
        })
    }

    fn member(&mut self, a: (&Expr, &Ty), b: (&Expr, &Ty)) -> Option<Vec<Dim>> {
        match (&a.1.kind, &b.1.kind) {
            (_, Kind::Cone(c)) => self.in_cone(*c, a, b.0.span),
            (_, Kind::Interval) => {
                let x = self.numeric(a.0, a.1.clone());
                (!x.is_error()).then(|| x.dims().to_vec())
            }
            (_, Kind::Set(Dim::Unknown)) => Some(a.1.dims().to_vec()),
            (Kind::Array { elem, dims, .. }, Kind::Set(Dim::Range { .. })) if *elem != Elem::Text => Some(dims.clone()),
            (_, Kind::Set(d)) => self.element_of(a, d, b.0),
            _ => {
                let d = errors::wrong_type("a set or an interval after `in`", &b.1.words(), b.0.span)
                    .help("`in [l, u]` is an interval, `in 1..n` a set");
                self.report(d);
                None
            }
        }
    }
}

/// Changes what the entries are.
pub(super) fn set_elem(ty: &mut Ty, to: Elem) {
    if let Kind::Array { elem, .. } = &mut ty.kind {
        *elem = to;
    }
}

/// The names that are read as they are in an expression, and where.
fn points<'e>(e: &'e Expr, f: &mut dyn FnMut(&'e str, Span)) {
    match &e.kind {
        ExprKind::Name(n) => f(n, e.span),
        ExprKind::Field { .. } | ExprKind::Index { .. } => {}
        _ => e.for_each_child(&mut |c| points(c, f)),
    }
}
