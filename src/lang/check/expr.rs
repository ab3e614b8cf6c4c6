//! Types of expressions, kind by kind.
//!
//! Invariant: every expression that is reached gets an entry in the table of types, mistakes included.

use super::types::{Dim, Elem, Kind, Poly, Ty};
use super::{Checker, Entry, Kept, What};
use crate::base::{Code, Diagnostic};
use crate::lang::errors::types as errors;
use crate::lang::syntax::{BinaryOp, Binders, ConeName, Expr, ExprKind, Ident, UnaryOp, show};

impl Checker<'_> {
    /// The type of an expression.
    pub(super) fn expr(&mut self, e: &Expr) -> Ty {
        let ty = self.kind_of(e);
        if let Some(slot) = self.types.get_mut(e.id.0 as usize) {
            *slot = Some(ty.clone());
        }
        ty
    }

    fn kind_of(&mut self, e: &Expr) -> Ty {
        match &e.kind {
            ExprKind::Number { integer, .. } => Ty::scalar(if *integer { Elem::Int } else { Elem::Real }),
            ExprKind::Text(_) => Ty::scalar(Elem::Text),
            ExprKind::Bool(_) => Ty::scalar(Elem::Bool),
            ExprKind::Name(n) => self.name(n, e),
            ExprKind::Unary { op, operand } => self.unary(*op, operand),
            ExprKind::Power { op, base, exponent, .. } => self.power(e, *op, base, exponent),
            ExprKind::Chain { first, rest } => match self.set_product(e, first, rest) {
                Some(ty) => ty,
                None => self.chain(e, first, rest),
            },
            ExprKind::Compare { first, rest } => self.compare(first, rest),
            ExprKind::Range { lo, hi } => self.range(lo, hi),
            ExprKind::Index { base, subscripts } if self.is_history(base) => self.history_entry(e, base, subscripts),
            ExprKind::Index { base, subscripts } => self.index(e, base, subscripts),
            ExprKind::Call { callee, args } => self.call(e, callee, args),
            ExprKind::Field { base, name } => self.field(base, name, false),
            ExprKind::Transpose(x) => self.transpose(x),
            ExprKind::If {
                condition,
                then,
                otherwise,
            } => self.if_expr(condition, then, otherwise),
            ExprKind::Comprehension {
                op,
                binders,
                args,
                body,
            } => {
                if let Some(a) = args.first() {
                    let d = Diagnostic::new(Code::UnknownArgument, format!("`{}` takes no named arguments", op.text))
                        .at(a.value.span, "");
                    self.report(d);
                }
                self.comprehension(e, op, binders, body)
            }
            ExprKind::ArrayComprehension { binders, body } => self.array_comprehension(e, binders, body),
            ExprKind::Vector(items) => self.row_literal(e, items),
            ExprKind::Matrix(rows) => self.matrix(e, rows),
            ExprKind::Set(items) => self.set_literal(e, items),
            ExprKind::Subset(b) => self.subset(e, b),
            ExprKind::Labelled(entries) => {
                for entry in entries {
                    self.number(&entry.value);
                }
                let d = Diagnostic::new(Code::WrongType, "a labelled array needs a declared type")
                    .at(e.span, "over which sets?")
                    .help("write `param name: Real[I] = {…}`");
                self.wrong(d)
            }
            ExprKind::Interval { lo, hi } => {
                let (a, b) = (self.number(lo), self.number(hi));
                Ty {
                    kind: Kind::Interval,
                    varies: a.varies || b.varies,
                }
            }
            ExprKind::Cone { cone, arg } => {
                let mut varies = false;
                if let Some(a) = arg {
                    let ty = self.number(a);
                    if !ty.dims().is_empty() {
                        let d = errors::wrong_type("a number", &ty.words(), a.span);
                        return self.wrong(d);
                    }
                    if ty.is_error() {
                        return Ty::error();
                    }
                    varies = ty.varies && *cone == ConeName::Ball;
                    if ty.varies && !varies {
                        self.no_variables(a, &ty);
                    }
                }
                Ty {
                    kind: Kind::Cone(*cone),
                    varies,
                }
            }
            ExprKind::AllExcept(_) => {
                let d = errors::wrong_type("a value", "`all except …`, which is an argument of `read`", e.span);
                self.wrong(d)
            }
            ExprKind::Lambda { param, body } => self.lambda(param, body),
            ExprKind::Tuple(items) => self.tuple(items),
            ExprKind::Error => Ty::error(),
        }
    }

    /// `t -> e`: a schedule.
    fn lambda(&mut self, param: &Ident, body: &Expr) -> Ty {
        let mark = self.scope.mark();
        let place = std::mem::replace(&mut self.place, super::Place::Function);
        let what = What::Formal(Ty::scalar(Elem::Int));
        match self.scope.local(&param.text) {
            Some(_) => self.declare(param, what),
            // `t` of `t -> 1/t` is nobody else's, whatever the program calls `t`.
            None => self.scope.add_local(&param.text, Entry { span: param.span, what }),
        }
        let ty = self.number(body);
        self.place = place;
        self.scope.release(mark);
        if !ty.dims().is_empty() {
            let d = errors::wrong_type("a number as the value of a schedule", &ty.words(), body.span);
            return self.wrong(d);
        }
        Ty {
            kind: Kind::Schedule,
            varies: ty.varies,
        }
    }

    fn name(&mut self, n: &str, e: &Expr) -> Ty {
        let Some(entry) = self.scope.get(n) else {
            // A number of mathematics, unless the program means something else by its name.
            if n == "pi" {
                return Ty::scalar(Elem::Real);
            }
            return self.unknown(n, e.span);
        };
        match &entry.what {
            What::Set { dim, .. } => Ty::of(Kind::Set(dim.clone())),
            What::Size => Ty::scalar(Elem::Int),
            What::Param(t) | What::Formal(t) => t.clone(),
            What::Let(t, _) => {
                let t = t.clone();
                if t.varies {
                    self.used.insert(n.to_string());
                }
                t
            }
            What::Var(t) => {
                let t = t.clone();
                self.used.insert(n.to_string());
                t
            }
            What::Family { keys, parts } => Ty::of(Kind::Family {
                name: n.into(),
                keys: keys.clone(),
                parts: parts.clone(),
            }),
            What::Index(d) => Ty::of(d.element()),
            What::Error => Ty::error(),
            What::Fn(_) => Ty::of(Kind::Function),
            What::Method(_) => Ty::of(Kind::Method),
            What::Problem(_) => Ty::of(Kind::Problem),
            What::Solution(p, _) => Ty::of(Kind::Solution(p.name.clone())),
            What::Kept(Kept::Plot) => Ty::of(Kind::Picture),
            What::Kept(_) => Ty::of(Kind::Table(n.into())),
        }
    }

    /// An expression that has to be a number or an array of numbers.
    pub(super) fn number(&mut self, e: &Expr) -> Ty {
        let ty = self.expr(e);
        self.numeric(e, ty)
    }

    /// Reports what is no number.
    pub(super) fn numeric(&mut self, e: &Expr, ty: Ty) -> Ty {
        match &ty.kind {
            Kind::Array { elem, .. } if *elem != Elem::Text => ty,
            Kind::Error => ty,
            Kind::Label(_) => {
                let d = errors::wrong_type("a number", &ty.words(), e.span)
                    .help("a label stands for nothing but a place in arrays over its set");
                self.wrong(d)
            }
            _ => {
                let mut d = errors::wrong_type("a number", &ty.words(), e.span);
                match &ty.kind {
                    Kind::Solution(_) => d = d.help("ask for one of its fields: `s.objective`, `s.x`"),
                    Kind::Set(_) => d = d.help("its number of elements is `length(…)`"),
                    Kind::Schedule => {
                        if let (Some(n), Some(_)) = (e.as_name(), &self.step) {
                            d = d.help_edit(format!("its value in step `t` is `{n}(t)`"), e.span, format!("{n}(t)"));
                        }
                    }
                    Kind::Tuple(_) => {
                        d = d.help("a tuple is an index: `x[(p, m)]`, or `(p, m) in arcs` as a condition")
                    }
                    Kind::Table(_) => d = d.help("one of its columns is `t.name`, its number of rows `length(t)`"),
                    Kind::Operator { .. } => d = d.help(super::linear::ENTRIES),
                    Kind::Family { name, .. } => d = d.help(format!("one of its sets is `{name}[…]`")),
                    _ => {}
                }
                self.wrong(d)
            }
        }
    }

    /// An expression that has to be a single number that no variable changes.
    pub(super) fn constant_scalar(&mut self, e: &Expr, what: &str) -> Ty {
        let ty = self.number(e);
        if !ty.dims().is_empty() {
            let d = errors::wrong_type(&format!("{what}, a single number,"), &ty.words(), e.span);
            return self.wrong(d);
        }
        if ty.varies {
            let d = errors::wrong_type(&format!("{what}, a constant,"), "an expression of variables", e.span);
            return self.wrong(d);
        }
        ty
    }

    fn unary(&mut self, op: UnaryOp, operand: &Expr) -> Ty {
        let mut ty = match op {
            UnaryOp::Neg => self.term(operand),
            UnaryOp::Not => self.number(operand),
        };
        if let Kind::Array { elem, .. } = &mut ty.kind {
            *elem = match op {
                UnaryOp::Not => Elem::Bool,
                UnaryOp::Neg if *elem == Elem::Bool => Elem::Int,
                UnaryOp::Neg => *elem,
            };
        }
        ty
    }

    fn range(&mut self, lo: &Expr, hi: &Expr) -> Ty {
        if let ExprKind::Chain { first, rest } = &lo.kind
            && let (true, Some(last)) = (self.names_set(first), rest.last())
        {
            let (sets, from) = (show(first), show(&last.operand));
            let at = last.operand.span.to(hi.span);
            let d = errors::wrong_type("a set in a product", "one end of a range", last.operand.span).help_edit(
                format!(
                    "a range in a product takes parentheses: `{sets}*({from}..{})`",
                    show(hi)
                ),
                at,
                format!("({from}..{})", show(hi)),
            );
            return self.wrong(d);
        }
        for e in [lo, hi] {
            let ty = self.number(e);
            let integer = ty.is_error() || ty.elem() == Some(Elem::Int) && ty.dims().is_empty();
            if !integer {
                let mut d = errors::wrong_type("an integer", &ty.words(), e.span);
                if ty.elem() == Some(Elem::Real) && ty.dims().is_empty() {
                    d = d.help("a range `l..u` has integer ends; an interval of reals is `[l, u]` after `in`; `ceil` and `floor` give integers");
                }
                self.report(d);
            }
        }
        match (self.poly(lo), self.poly(hi)) {
            (Some(lo), Some(hi)) => Ty::of(Kind::Set(Dim::Range { lo, hi })),
            _ => Ty::of(Kind::Set(Dim::Unknown)),
        }
    }

    /// The value of an integer expression as a polynomial; an integer that is none stands for itself as text.
    pub(super) fn poly(&self, e: &Expr) -> Option<Poly> {
        let opaque = || {
            let integer = self.types.get(e.id.0 as usize)?.as_ref()?;
            (integer.elem() == Some(Elem::Int) && integer.dims().is_empty()).then(|| Poly::symbol(show(e)))
        };
        match &e.kind {
            ExprKind::Number { .. } => e.as_integer().map(Poly::number),
            ExprKind::Name(n) => match &self.scope.get(n)?.what {
                What::Let(_, Some(p)) => Some(p.clone()),
                What::Size => Some(Poly::symbol(n)),
                What::Index(d) if matches!(d.parts(), [Dim::Range { .. }]) => Some(Poly::symbol(n)),
                What::Param(t) | What::Formal(t) | What::Let(t, None)
                    if t.elem() == Some(Elem::Int) && t.dims().is_empty() =>
                {
                    Some(Poly::symbol(n))
                }
                _ => None,
            },
            ExprKind::Unary {
                op: UnaryOp::Neg,
                operand,
            } => self.poly(operand)?.scaled(-1),
            ExprKind::Chain { first, rest } => {
                let mut p = self.poly(first)?;
                for l in rest {
                    let next = match l.op {
                        BinaryOp::Add => p.plus(&self.poly(&l.operand)?),
                        BinaryOp::Sub => p.minus(&self.poly(&l.operand)?),
                        BinaryOp::Mul => p.times(&self.poly(&l.operand)?),
                        _ => None,
                    };
                    match next {
                        Some(n) => p = n,
                        None => return opaque(),
                    }
                }
                Some(p)
            }
            ExprKind::Call { callee, args } if callee.as_name() == Some("length") && args.len() == 1 => {
                match self.types.get(args[0].value.id.0 as usize)?.as_ref()?.kind {
                    Kind::Set(ref d) => d.length(),
                    Kind::Array { ref dims, .. } if dims.len() == 1 => dims[0].length(),
                    _ => opaque(),
                }
            }
            ExprKind::Error => None,
            _ => opaque(),
        }
    }

    fn transpose(&mut self, x: &Expr) -> Ty {
        let ty = self.term(x);
        if let Kind::Operator { rows, cols } = ty.kind {
            return Ty {
                kind: Kind::Operator { rows: cols, cols: rows },
                varies: ty.varies,
            };
        }
        let Kind::Array { elem, dims, covector } = &ty.kind else {
            return ty;
        };
        let (elem, mut dims, covector) = (*elem, dims.clone(), *covector);
        if dims.len() > 2 {
            let d = errors::wrong_type("a vector or a matrix before `'`", &ty.words(), x.span);
            return self.wrong(d);
        }
        dims.reverse();
        let covector = dims.len() == 1 && !covector;
        Ty {
            kind: Kind::Array { elem, dims, covector },
            varies: ty.varies,
        }
    }

    fn if_expr(&mut self, condition: &Expr, then: &Expr, otherwise: &Expr) -> Ty {
        let c = self.condition(condition);
        self.filtered += 1;
        let a = self.expr(then);
        let b = self.expr(otherwise);
        self.filtered -= 1;
        let varies = c.varies || a.varies || b.varies;
        if a.kind == b.kind {
            return Ty { kind: a.kind, varies };
        }
        let text = |t: &Ty| t.elem() == Some(Elem::Text);
        if text(&a) || text(&b) {
            let d = errors::wrong_type(&format!("{} in both branches", a.words()), &b.words(), otherwise.span);
            return self.wrong(d);
        }
        let (a, b) = (self.numeric(then, a), self.numeric(otherwise, b));
        let mut ty = self.entrywise("if … else", (then, &a), (otherwise, &b));
        ty.varies |= varies;
        ty
    }

    /// A condition: a single truth value.
    pub(super) fn condition(&mut self, e: &Expr) -> Ty {
        let ty = self.expr(e);
        let ok = match &ty.kind {
            Kind::Error => true,
            Kind::Array { elem, dims, .. } => *elem == Elem::Bool && dims.is_empty(),
            _ => false,
        };
        if ok {
            return ty;
        }
        let mut d = errors::wrong_type("a condition, one truth value,", &ty.words(), e.span);
        if ty.elem() == Some(Elem::Bool) {
            d = d.help("`all(…)` or `any(…)` makes one of many");
        } else if ty.elem().is_some() && ty.dims().is_empty() {
            d = d.help("compare it: `… != 0`");
        }
        self.wrong(d)
    }

    fn comprehension(&mut self, e: &Expr, op: &Ident, binders: &Binders, body: &Expr) -> Ty {
        if !self.catalogue.is_reduction(&op.text) {
            let known: Vec<&str> = self
                .catalogue
                .functions
                .keys()
                .map(String::as_str)
                .filter(|n| self.catalogue.is_reduction(n))
                .collect();
            let near = crate::base::diagnostic::did_you_mean(&op.text, known.iter().copied()).map(str::to_string);
            let d = Diagnostic::new(Code::UnknownName, format!("`{}` is no reduction over indices", op.text))
                .at(op.span, "");
            let d = match near {
                Some(n) => d.help_edit(format!("did you mean `{n}`?"), op.span, n),
                None => d.help("`sum`, `mean`, `prod`, `max` and `min` are"),
            };
            self.report(d);
        }
        let truth = matches!(op.text.as_str(), "all" | "any");
        let counts = matches!(op.text.as_str(), "sum" | "prod" | "max" | "min");
        self.within_binders(e, binders, |c, _| {
            let mut ty = c.number(body);
            if let Kind::Array { elem, .. } = &mut ty.kind {
                *elem = match *elem {
                    _ if truth => Elem::Bool,
                    Elem::Bool | Elem::Int if counts => Elem::Int,
                    _ => Elem::Real,
                };
            }
            ty
        })
    }

    fn array_comprehension(&mut self, e: &Expr, binders: &Binders, body: &Expr) -> Ty {
        self.within_binders(e, binders, |c, own| {
            if own.sliced {
                let at = binders.condition.as_ref().map_or(binders.span, |b| b.span);
                let d = Diagnostic::new(Code::NotBuiltYet, "arrays over filtered sets are not built yet")
                    .at(at, "not all combinations count")
                    .help("name the set: `set S = {i in I if …}`, then `[i in S] …`; or give the other entries a value: `[i in I] (if … then … else 0)`");
                c.report(d);
            }
            let ty = c.expr(body);
            match ty.kind {
                Kind::Array { elem, dims, .. } => {
                    let mut all = own.dims.clone();
                    all.extend(dims);
                    Ty::array(elem, all, ty.varies)
                }
                Kind::Error => Ty::error(),
                _ => {
                    let d = errors::wrong_type("a number", &ty.words(), body.span);
                    c.wrong(d)
                }
            }
        })
    }

    /// Height and width of a block in a literal: a number is 1 by 1, a vector a column, `x'` a row.
    fn block(ty: &Ty) -> Option<[Option<Poly>; 2]> {
        let one = || Some(Poly::number(1));
        let Kind::Array { dims, covector, .. } = &ty.kind else {
            return None;
        };
        Some(match dims.as_slice() {
            [] => [one(), one()],
            [n] if *covector => [one(), n.length()],
            [n] => [n.length(), one()],
            [m, n] => [m.length(), n.length()],
            _ => return None,
        })
    }

    /// `[x, y]` of vectors is one behind the other; with a matrix among them blocks stand side by side, and `;` begins the row
    /// of blocks below.
    fn blocks(&mut self, e: &Expr, rows: &[Vec<Expr>], types: &[Vec<Ty>], stacked: bool) -> Ty {
        let mut varies = false;
        let (mut total, mut width) = (Some(Poly::number(0)), None);
        let add = |a: Option<Poly>, b: Option<Poly>| a.and_then(|a| a.plus(&b?));
        for (row, types) in rows.iter().zip(types) {
            let (mut height, mut length): (Option<Option<Poly>>, _) = (None, Some(Poly::number(0)));
            for (x, ty) in row.iter().zip(types) {
                varies |= ty.varies;
                if ty.is_error() {
                    return Ty::error();
                }
                let size = Self::block(ty).filter(|_| ty.elem() != Some(Elem::Text));
                let Some([h, w]) = size else {
                    let d = errors::wrong_type("a number, a vector or a matrix", &ty.describe(), x.span);
                    return self.wrong(d);
                };
                if stacked {
                    total = add(total, h);
                    continue;
                }
                match &height {
                    None => height = Some(h),
                    Some(first) => {
                        if first
                            .as_ref()
                            .zip(h.as_ref())
                            .and_then(|(a, b)| a.minus(b)?.constant())
                            .is_some_and(|d| d != 0)
                        {
                            let d = Diagnostic::new(Code::ShapeMismatch, "blocks side by side have one height")
                                .at(row[0].span, types[0].describe())
                                .at(x.span, ty.describe());
                            return self.wrong(d);
                        }
                    }
                }
                length = add(length, w);
            }
            if stacked {
                continue;
            }
            total = add(total, height.flatten());
            match &width {
                None => width = Some(length),
                Some(first) => {
                    let apart = |a: &Poly, b: &Poly| a.minus(b).and_then(|d| d.constant()).is_some_and(|d| d != 0);
                    if first.as_ref().zip(length.as_ref()).is_some_and(|(a, b)| apart(a, b)) {
                        let d = Diagnostic::new(Code::ShapeMismatch, "rows of blocks have one width").at(e.span, "");
                        return self.wrong(d);
                    }
                }
            }
        }
        let size = |p: Option<Poly>| p.map_or(Dim::Unknown, Dim::size);
        let dims = if stacked {
            vec![size(total)]
        } else {
            vec![size(total), size(width.flatten())]
        };
        Ty::array(Elem::Real, dims, varies)
    }

    /// `[1, 2, 3]`, or a row of blocks.
    fn row_literal(&mut self, e: &Expr, items: &[Expr]) -> Ty {
        let types: Vec<Ty> = items.iter().map(|i| self.expr(i)).collect();
        if !types.iter().any(is_block) {
            return self.vector(items, &types);
        }
        let flat = |t: &Ty| matches!(&t.kind, Kind::Array { dims, covector, .. } if dims.len() < 2 && !covector);
        let stacked = types.iter().all(|t| t.is_error() || flat(t));
        self.blocks(e, &[items.to_vec()], &[types], stacked)
    }

    fn vector(&mut self, items: &[Expr], types: &[Ty]) -> Ty {
        let (mut elem, mut varies) = (Elem::Int, false);
        for (k, (i, ty)) in items.iter().zip(types).enumerate() {
            varies |= ty.varies;
            match &ty.kind {
                Kind::Array {
                    elem: Elem::Text, dims, ..
                } if dims.is_empty() => elem = Elem::Text,
                Kind::Array { elem: e, dims, .. } if dims.is_empty() => {
                    elem = if k == 0 { *e } else { join(elem, *e) };
                }
                Kind::Error => elem = join(elem, Elem::Real),
                _ => {
                    self.numeric(i, ty.clone());
                    elem = join(elem, Elem::Real);
                }
            }
        }
        Ty::array(elem, vec![Dim::fixed(items.len())], varies)
    }

    fn matrix(&mut self, e: &Expr, rows: &[Vec<Expr>]) -> Ty {
        let types: Vec<Vec<Ty>> = rows.iter().map(|r| r.iter().map(|i| self.expr(i)).collect()).collect();
        if types.iter().flatten().any(is_block) {
            return self.blocks(e, rows, &types, false);
        }
        let columns = rows.first().map_or(0, Vec::len);
        let (mut elem, mut varies) = (Elem::Int, false);
        for (row, types) in rows.iter().zip(&types) {
            let ty = self.vector(row, types);
            varies |= ty.varies;
            match ty.elem() {
                Some(t) => elem = join(elem, t),
                None => return Ty::error(),
            }
            if row.len() != columns {
                let at = match (row.first(), row.last()) {
                    (Some(a), Some(b)) => a.span.to(b.span),
                    _ => e.span,
                };
                let d = Diagnostic::new(Code::ShapeMismatch, "the rows of a matrix differ in length")
                    .at(at, format!("{} entries", row.len()))
                    .note(format!("the first row has {columns}"));
                return self.wrong(d);
            }
        }
        Ty::array(elem, vec![Dim::fixed(rows.len()), Dim::fixed(columns)], varies)
    }
}

/// Is an entry of a literal an array?
fn is_block(ty: &Ty) -> bool {
    matches!(&ty.kind, Kind::Array { dims, .. } if !dims.is_empty())
}

/// The entries of a combination of two arrays.
pub(super) fn join(a: Elem, b: Elem) -> Elem {
    match (a, b) {
        (Elem::Text, _) | (_, Elem::Text) => Elem::Text,
        (Elem::Real, _) | (_, Elem::Real) => Elem::Real,
        (Elem::Bool, Elem::Bool) => Elem::Bool,
        _ => Elem::Int,
    }
}
