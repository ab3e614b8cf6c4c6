//! Linear operators: what makes them, and what may be done with them.
//!
//! Invariant: an operator is known by its sizes only; its entries cannot be read, so nothing entrywise is defined on it.

use super::types::{Dim, Elem, Kind, Poly, Same, Ty};
use super::{Checker, What};
use crate::base::{Code, Diagnostic, Span};
use crate::lang::errors::types as errors;
use crate::lang::syntax::{Arg, BinaryOp, Expr, ExprKind, show};

/// Functions that make operators, and `matrix`, which writes one out.
pub const OPERATORS: &[&str] = &[
    "toeplitz",
    "circulant",
    "convolution",
    "kronecker",
    "lowrank",
    "operator",
    "matrix",
];
/// What is said where entries are asked for.
pub(super) const ENTRIES: &str = "an operator is known by its products; `matrix(A)` writes out its entries";

/// Rows and columns of an operator or a matrix.
fn map_of(ty: &Ty) -> Option<(&Dim, &Dim)> {
    match &ty.kind {
        Kind::Operator { rows, cols } => Some((rows, cols)),
        Kind::Array { dims, .. } => match dims.as_slice() {
            [r, c] => Some((r, c)),
            _ => None,
        },
        _ => None,
    }
}

fn operator(rows: &Dim, cols: &Dim, varies: bool) -> Ty {
    Ty {
        kind: Kind::Operator {
            rows: rows.clone(),
            cols: cols.clone(),
        },
        varies,
    }
}

impl Ty {
    /// Is it a linear operator?
    pub(super) fn is_operator(&self) -> bool {
        matches!(self.kind, Kind::Operator { .. })
    }

    /// What it is, an operator by its sizes like a matrix.
    pub(super) fn as_array(&self) -> std::borrow::Cow<'_, Kind> {
        match &self.kind {
            Kind::Operator { rows, cols } => std::borrow::Cow::Owned(Kind::Array {
                elem: Elem::Real,
                dims: vec![rows.clone(), cols.clone()],
                covector: false,
            }),
            k => std::borrow::Cow::Borrowed(k),
        }
    }

    /// Is this a map of the same sizes, operator or matrix?
    pub(super) fn same_map(&self, other: &Ty) -> bool {
        match (map_of(self), map_of(other)) {
            (Some((m, n)), Some((p, q))) => m.same(p) != Same::No && n.same(q) != Same::No,
            _ => false,
        }
    }
}

impl Checker<'_> {
    /// A number, an array or an operator.
    pub(super) fn term(&mut self, e: &Expr) -> Ty {
        let ty = self.expr(e);
        if ty.is_operator() { ty } else { self.numeric(e, ty) }
    }

    /// An operation with an operator on at least one side.
    pub(super) fn linear_binary(&mut self, op: BinaryOp, at: Span, a: (&Expr, &Ty), b: (&Expr, &Ty)) -> Ty {
        if a.1.is_error() || b.1.is_error() {
            return Ty::error();
        }
        let varies = a.1.varies || b.1.varies;
        let scalar = |t: &Ty| t.elem().is_some() && t.dims().is_empty();
        let vector = |t: &Ty| match &t.kind {
            Kind::Array { dims, covector, .. } if dims.len() == 1 => Some((dims[0].clone(), *covector)),
            _ => None,
        };
        let fits = |p: &Dim, q: &Dim| p.same(q) != Same::No;
        let built = match op {
            BinaryOp::Mul if scalar(a.1) => map_of(b.1).map(|(r, c)| operator(r, c, varies)),
            BinaryOp::Mul | BinaryOp::Div if scalar(b.1) => map_of(a.1).map(|(r, c)| operator(r, c, varies)),
            BinaryOp::Mul => match (map_of(a.1), map_of(b.1), vector(a.1), vector(b.1)) {
                (Some((r, c)), None, _, Some((n, false))) if fits(c, &n) => {
                    Some(Ty::array(Elem::Real, vec![r.clone()], varies))
                }
                (None, Some((r, c)), Some((m, true)), _) if fits(&m, r) => Some(Ty {
                    kind: Kind::Array {
                        elem: Elem::Real,
                        dims: vec![c.clone()],
                        covector: true,
                    },
                    varies,
                }),
                (Some((r, c)), Some((p, q)), ..) if fits(c, p) => Some(operator(r, q, varies)),
                _ => None,
            },
            BinaryOp::Add | BinaryOp::Sub => match (map_of(a.1), map_of(b.1)) {
                (Some((r, c)), Some((p, q))) if fits(r, p) && fits(c, q) => Some(operator(r, c, varies)),
                _ => None,
            },
            BinaryOp::Solve if varies && a.1.is_operator() => {
                let d = Diagnostic::new(Code::NotBuiltYet, "`\\` of an operator and a variable is not built yet")
                    .at(at, "depends on a variable")
                    .help("write the system as constraints: `A*x == b`");
                return self.wrong(d);
            }
            BinaryOp::Solve => match (a.1.is_operator(), map_of(a.1), vector(b.1)) {
                (true, Some((r, c)), Some((n, false))) if fits(r, &n) => {
                    Some(Ty::array(Elem::Real, vec![c.clone()], varies))
                }
                _ => None,
            },
            _ => None,
        };
        if let Some(ty) = built {
            return ty;
        }
        let what = match op {
            BinaryOp::Mul | BinaryOp::Add | BinaryOp::Sub | BinaryOp::Solve => {
                format!("`{}` does not fit the sizes of its sides", op.symbol())
            }
            _ => format!("`{}` is not defined for operators", op.symbol()),
        };
        let fits = matches!(op, BinaryOp::Mul | BinaryOp::Add | BinaryOp::Sub);
        let d = errors::shape_mismatch(
            what,
            &[&self.operand(a.0, a.1), &self.operand(b.0, b.1)],
            (!fits).then(|| ENTRIES.into()),
        );
        self.wrong(d)
    }

    /// A call of a function that makes an operator; none for other functions.
    pub(super) fn linear_call(&mut self, e: &Expr, name: &str, args: &[Arg]) -> Option<Ty> {
        if !OPERATORS.contains(&name) {
            return None;
        }
        if name == "operator" && args.iter().any(|a| a.name.is_some()) {
            return Some(self.pair(e, args));
        }
        if let Some(n) = args.iter().find_map(|a| a.name.as_ref()) {
            let d = Diagnostic::new(Code::UnknownArgument, format!("`{name}` takes no named arguments")).at(n.span, "");
            return Some(self.wrong(d));
        }
        let types: Vec<Ty> = args.iter().map(|a| self.expr(&a.value)).collect();
        if types.iter().any(Ty::is_error) {
            return Some(Ty::error());
        }
        let varies = types.iter().any(|t| t.varies);
        let vector = |t: &Ty| match &t.kind {
            Kind::Array {
                dims,
                covector: false,
                elem,
            } if *elem != Elem::Text => match dims.as_slice() {
                [d] => Some(d.clone()),
                _ => None,
            },
            _ => None,
        };
        let made = match (name, types.as_slice()) {
            ("toeplitz", [c]) => vector(c).map(|c| operator(&c, &c, varies)),
            ("toeplitz", [c, r]) => match (vector(c), vector(r)) {
                (Some(c), Some(r)) => Some(operator(&c, &r, varies)),
                _ => None,
            },
            ("circulant", [c]) => vector(c).map(|c| operator(&c, &c, varies)),
            ("lowrank", [f]) => map_of(f).map(|(r, _)| operator(r, r, varies)),
            ("lowrank", [u, v]) => match (map_of(u), map_of(v)) {
                (Some((m, k)), Some((n, l))) if k.same(l) != Same::No => Some(operator(m, n, varies)),
                _ => None,
            },
            ("kronecker", [a, b]) => match (map_of(a), map_of(b)) {
                (Some((m, n)), Some((p, q))) => Some(operator(&both(m, p), &both(n, q), varies)),
                _ => None,
            },
            ("matrix", [a]) => map_of(a).map(|(r, c)| Ty::array(Elem::Real, vec![r.clone(), c.clone()], varies)),
            ("operator", [a]) => map_of(a).map(|(r, c)| operator(r, c, varies)),
            ("convolution", [k, n]) if n.elem() == Some(Elem::Int) && n.dims().is_empty() => vector(k).and_then(|k| {
                let n = self.poly(&args[1].value)?;
                let m = k.length()?.plus(&n)?.plus(&Poly::number(-1))?;
                Some(operator(&Dim::size(m), &Dim::size(n), varies))
            }),
            _ => None,
        };
        Some(match made {
            Some(ty) => ty,
            None => {
                let found: Vec<String> = types.iter().map(Ty::describe).collect();
                let form = match name {
                    "toeplitz" => "`toeplitz(c)` of the first column, or `toeplitz(c, r)` of first column and row",
                    "circulant" => "`circulant(c)` of the first column",
                    "lowrank" => "`lowrank(F)` of a matrix, for `F*F'`, or `lowrank(U, V)`, for `U*V'`",
                    "kronecker" => "`kronecker(A, B)` of two matrices or operators",
                    "matrix" => "`matrix(A)` of an operator",
                    "convolution" => "`convolution(k, n)` of a kernel and the length of what it acts on",
                    _ => "`operator(A)` of a matrix, or `operator(rows: m, cols: n, apply: x -> …, adjoint: y -> …)`",
                };
                let d = Diagnostic::new(
                    Code::NoOverload,
                    format!("no form of `{name}` takes {}", errors::list(&found)),
                )
                .at(e.span, "called here")
                .note(format!("it is {form}"));
                self.wrong(d)
            }
        })
    }

    /// `operator(rows: m, cols: n, apply: x -> …, adjoint: y -> …)`.
    fn pair(&mut self, e: &Expr, args: &[Arg]) -> Ty {
        const NAMES: [&str; 4] = ["rows", "cols", "apply", "adjoint"];
        let mut given: [Option<&Expr>; 4] = [None; 4];
        for a in args {
            let slot = a.name.as_ref().and_then(|n| NAMES.iter().position(|k| *k == n.text));
            let span = a.name.as_ref().map_or(a.value.span, |n| n.span);
            match slot {
                Some(k) if given[k].is_none() => given[k] = Some(&a.value),
                _ => {
                    let d = Diagnostic::new(
                        Code::UnknownArgument,
                        "`operator` takes `rows`, `cols`, `apply` and `adjoint`, each once",
                    )
                    .at(span, "this argument");
                    return self.wrong(d);
                }
            }
        }
        let [Some(rows), Some(cols), Some(apply), Some(adjoint)] = given else {
            let missing: Vec<String> = NAMES
                .iter()
                .zip(&given)
                .filter(|(_, g)| g.is_none())
                .map(|(n, _)| format!("`{n}`"))
                .collect();
            let d = Diagnostic::new(
                Code::WrongArity,
                format!("`operator` also needs {}", errors::list(&missing)),
            )
            .at(e.span, "called here")
            .help("`operator(rows: m, cols: n, apply: x -> …, adjoint: y -> …)`");
            return self.wrong(d);
        };
        let (Some(rows), Some(cols)) = (self.size_of(rows), self.size_of(cols)) else {
            return Ty::error();
        };
        let mut varies = false;
        for (f, from, to) in [(apply, &cols, &rows), (adjoint, &rows, &cols)] {
            let ExprKind::Lambda { param, body } = &f.kind else {
                let d = errors::wrong_type("a function `x -> …`", &format!("`{}`", show(f)), f.span);
                return self.wrong(d);
            };
            let mark = self.scope.mark();
            let place = std::mem::replace(&mut self.place, super::Place::Function);
            self.declare(param, What::Formal(Ty::array(Elem::Real, vec![from.clone()], false)));
            let ty = self.number(body);
            self.place = place;
            self.scope.release(mark);
            if ty.is_error() {
                return Ty::error();
            }
            varies |= ty.varies;
            let fits = matches!(ty.dims(), [d] if d.same(to) != Same::No);
            if !fits {
                let wanted = Ty::array(Elem::Real, vec![to.clone()], false);
                let d = errors::wrong_type(&wanted.describe(), &ty.describe(), body.span);
                return self.wrong(d);
            }
        }
        operator(&rows, &cols, varies)
    }

    /// A size or a set in the place of a dimension.
    fn size_of(&mut self, e: &Expr) -> Option<Dim> {
        let ty = self.expr(e);
        match &ty.kind {
            Kind::Error => None,
            Kind::Set(d) => Some(d.clone()),
            _ if ty.elem() == Some(Elem::Int) && ty.dims().is_empty() => Some(match self.poly(e) {
                Some(p) => Dim::size(p),
                None => Dim::size(Poly::symbol(show(e))),
            }),
            _ => {
                let d = errors::wrong_type("a size or a set", &ty.words(), e.span);
                self.report(d);
                None
            }
        }
    }

    /// A function of the table with an operator among its arguments.
    pub(super) fn linear_builtin(&mut self, e: &Expr, name: &str, types: &[Ty]) -> Ty {
        if let ("quad", [x, a]) = (name, types)
            && let ([n], Some((r, c))) = (x.dims(), map_of(a))
            && n.same(r) != Same::No
            && n.same(c) != Same::No
        {
            return Ty {
                varies: x.varies || a.varies,
                ..Ty::scalar(Elem::Real)
            };
        }
        let found: Vec<String> = types.iter().map(Ty::describe).collect();
        let d = Diagnostic::new(
            Code::NoOverload,
            format!("no form of `{name}` takes {}", errors::list(&found)),
        )
        .at(e.span, "called here")
        .help(ENTRIES);
        self.wrong(d)
    }
}

/// As many as there are pairs.
fn both(a: &Dim, b: &Dim) -> Dim {
    match (a.length(), b.length()) {
        (Some(a), Some(b)) => a.times(&b).map_or(Dim::Unknown, Dim::size),
        _ => Dim::Unknown,
    }
}
