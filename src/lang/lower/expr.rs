//! Expressions.
//!
//! Invariant: one arm per kind of expression; what a function name means is decided in `calls`.

use std::rc::Rc;
use std::sync::Arc;

use super::index::Opened;
use super::linear::Linear;
use super::{Arr, Entity, Local, Lower, Lowered, Part, Src, Val, describe, err};
use crate::atoms;
use crate::base::value::{Column, Elem, IndexSet, Table, Tensor};
use crate::base::{Code, Span};
use crate::ir::{AtomRef, NodeId, Pos};
use crate::lang::syntax::{BinaryOp, CompareOp, Entry, Expr, ExprKind, Subscript, UnaryOp, show};

impl Lower<'_> {
    /// Lowers an expression.
    pub(super) fn expr(&mut self, e: &Expr) -> Lowered<Val> {
        self.depth += 1;
        if self.depth > 2000 {
            self.depth = 0;
            return Err(err(Code::Recursion, "a definition refers to itself")
                .at(e.span, "reached again here")
                .into());
        }
        if !self.answered.is_empty()
            && matches!(
                e.kind,
                ExprKind::Call { .. } | ExprKind::Index { .. } | ExprKind::Field { .. }
            )
            && let Some(v) = self.answered.get(&e.span)
        {
            self.depth = self.depth.saturating_sub(1);
            return Ok(v.clone());
        }
        let old = self.ir.set_origin(Some(e.span));
        let r = self.expr_inner(e);
        self.ir.set_origin(old);
        self.depth = self.depth.saturating_sub(1);
        r
    }

    fn expr_inner(&mut self, e: &Expr) -> Lowered<Val> {
        match &e.kind {
            ExprKind::Number { value, integer } => {
                let elem = if *integer { Elem::Int } else { Elem::Real };
                Ok(Val::Num(self.ir.constant(*value), elem))
            }
            ExprKind::Bool(b) => Ok(Val::Num(self.ir.constant(f64::from(u8::from(*b))), Elem::Bool)),
            ExprKind::Text(t) => Ok(Val::Text(t.clone())),
            ExprKind::Name(n) => self.name(n, e.span),
            ExprKind::Unary { op, operand } => {
                let v = self.expr(operand)?;
                if let (UnaryOp::Neg, Val::Linear(a)) = (op, &v) {
                    return Ok(self.linear_negated(a));
                }
                match op {
                    UnaryOp::Neg => self.elementwise(atoms::NEG, vec![v], Elem::Real, e.span),
                    UnaryOp::Not => self.elementwise(atoms::NOT, vec![v], Elem::Bool, e.span),
                }
            }
            ExprKind::Power { op, base, exponent, .. } => {
                let (b, x) = (self.expr(base)?, self.expr(exponent)?);
                if *op == BinaryOp::Pow && matches!(b, Val::Arr(_)) {
                    return self.matrix_power(b, exponent, e.span);
                }
                self.elementwise(atoms::POW, vec![b, x], Elem::Real, e.span)
            }
            ExprKind::Chain { first, rest } => {
                let mut acc = self.expr(first)?;
                for link in rest {
                    let span = e.span;
                    let b = self.expr(&link.operand)?;
                    acc = self.binary(link.op, acc, b, span)?;
                }
                Ok(acc)
            }
            ExprKind::Compare { first, rest } => {
                let mut parts = vec![];
                if let [link] = rest.as_slice()
                    && link.op == CompareOp::In
                    && let ExprKind::Cone { cone, .. } = &link.operand.kind
                {
                    return Err(err(
                        Code::NotBuiltYet,
                        format!("`in {}` is not built yet as a condition", cone.word()),
                    )
                    .at(e.span, "a truth value")
                    .help("it is a constraint, after `subject to`, or stands behind the type of a variable")
                    .into());
                }
                if let [link] = rest.as_slice()
                    && link.op == CompareOp::In
                    && !matches!(link.operand.kind, ExprKind::Interval { .. } | ExprKind::Set(_))
                {
                    return self.in_set(first, &link.operand, e.span);
                }
                if let [link] = rest.as_slice()
                    && let Some(v) = self.label_equality(first, link.op, &link.operand, e.span)?
                {
                    return Ok(v);
                }
                let mut left = self.expr(first)?;
                for link in rest {
                    let right = if link.op == CompareOp::In {
                        parts.push(self.member(left.clone(), &link.operand, e.span)?);
                        continue;
                    } else {
                        self.expr(&link.operand)?
                    };
                    if let (Val::Text(a), Val::Text(b)) = (&left, &right) {
                        let holds = (a == b) == (link.op == CompareOp::Eq);
                        parts.push(Val::Num(self.ir.constant(f64::from(u8::from(holds))), Elem::Bool));
                        continue;
                    }
                    let atom = comparison(link.op);
                    parts.push(self.elementwise(atom, vec![left, right.clone()], Elem::Bool, e.span)?);
                    left = right;
                }
                let mut it = parts.into_iter();
                let Some(mut acc) = it.next() else {
                    return Ok(Val::Num(self.ir.constant(1.0), Elem::Bool));
                };
                for p in it {
                    acc = self.elementwise(atoms::AND, vec![acc, p], Elem::Bool, e.span)?;
                }
                Ok(acc)
            }
            ExprKind::Range { .. } => Ok(Val::Set(self.dimension(e)?)),
            ExprKind::Index { base, subscripts } => {
                if let Some(s) = self.family_member(e)? {
                    return Ok(Val::Set(s));
                }
                if self.family_index(e)?.is_some() {
                    return Err(err(
                        Code::NotBuiltYet,
                        "a set that changes with an index has no value of its own yet",
                    )
                    .at(e.span, "one set of a family")
                    .help("range over it: `sum(m in next[p]) 1` counts its elements")
                    .into());
                }
                let b = self.expr(base)?;
                match b {
                    Val::Solution(s) => Ok(Val::Solution(self.turn(&s, subscripts, e.span, &show(base))?)),
                    Val::Table(t) => match subscripts.as_slice() {
                        [Subscript::At(x)] => match self.expr(x)? {
                            Val::Text(n) => self.table_column(&t, &n, e.span),
                            _ => Err(err(Code::WrongType, "a column is named by a text")
                                .at(x.span, "here")
                                .into()),
                        },
                        _ => Err(err(Code::WrongType, "a table is asked for one column")
                            .at(e.span, "here")
                            .into()),
                    },
                    Val::Arr(a) => self.subscript(a, subscripts, e.span, &show(base)),
                    _ => Err(err(Code::WrongIndexCount, format!("`{}` is not an array", show(base)))
                        .at(e.span, "indexed here")
                        .into()),
                }
            }
            ExprKind::Call { callee, args } => self.call(callee, args, e.span),
            ExprKind::Field { base, name } => {
                if let ExprKind::Index { base: of, subscripts } = &base.kind
                    && let Some(Entity::Solution(s)) = of.as_name().and_then(|n| self.lookup(n))
                {
                    return self.of_turns(&s, subscripts, e.span, &show(of), &name.text, |l, t| {
                        l.field(Val::Solution(t), &name.text, e.span)
                    });
                }
                // A state of a block: `r.L.W`, and `L.W` where a run's own names are known.
                if let ExprKind::Field { base: of, name: state } = &base.kind
                    && let Some(Entity::Solution(s)) = of.as_name().and_then(|n| self.lookup(n))
                    && let own = format!("{}.{}", state.text, name.text)
                    && s.fields.contains_key(&own)
                {
                    return self.field(Val::Solution(s), &own, name.span);
                }
                if let Some(n) = base.as_name()
                    && self.scope.get(n).is_none()
                    && let own = format!("{n}.{}", name.text)
                    && matches!(self.lookup(&own), Some(Entity::Param(_)))
                {
                    return self.name(&own, e.span);
                }
                let b = self.expr(base)?;
                self.field(b, &name.text, name.span)
            }
            ExprKind::Transpose(x) => match self.expr(x)? {
                Val::Arr(a) if a.dims.len() == 1 => Ok(Val::Arr(Arr {
                    covector: !a.covector,
                    ..a
                })),
                Val::Arr(a) if a.dims.len() == 2 => Ok(Val::Arr(self.transposed(a))),
                Val::Num(n, k) => Ok(Val::Num(n, k)),
                Val::Linear(a) => Ok(self.linear_transposed(&a)),
                _ => Err(err(Code::WrongType, "`'` transposes vectors and matrices")
                    .at(e.span, "here")
                    .into()),
            },
            ExprKind::If {
                condition,
                then,
                otherwise,
            } => {
                let c = self.expr(condition)?;
                // Both branches are evaluated everywhere; an index of one need not be inside where the other one counts.
                let guard = match &c {
                    Val::Num(n, _) if !self.depends_on_var(*n) => Some(*n),
                    _ => None,
                };
                let branch = |l: &mut Self, e: &Expr, yes: bool| {
                    let before = l.guards.len();
                    l.guards.extend(guard.map(|n| (n, yes)));
                    let v = l.expr(e);
                    l.guards.truncate(before);
                    v
                };
                let a = branch(self, then, true)?;
                let b = branch(self, otherwise, false)?;
                let elem = elem_of(&a);
                self.elementwise(atoms::SELECT, vec![c, a, b], elem, e.span)
            }
            ExprKind::Comprehension {
                op,
                binders,
                args,
                body,
            } => {
                if let Some(a) = args.first() {
                    return Err(err(
                        Code::NotBuiltYet,
                        format!("`{}` with options is not built yet", op.text),
                    )
                    .at(a.value.span, "this argument")
                    .into());
                }
                let Some(atom) = atoms::find_kind(&op.text, crate::ir::AtomKind::Reduction) else {
                    return Err(err(Code::UnknownName, format!("`{}` is not a reduction", op.text))
                        .at(op.span, "stands before index names")
                        .help("`sum mean prod max min norm norm1 norminf sumsq logsumexp` reduce over index sets")
                        .into());
                };
                self.comprehension(atom, binders, body, e.span)
            }
            ExprKind::ArrayComprehension { binders, body } => self.array_comprehension(binders, body, e.span),
            ExprKind::Vector(items) => {
                let vals = items.iter().map(|x| self.expr(x)).collect::<Lowered<Vec<_>>>()?;
                if vals.iter().any(|v| matches!(v, Val::Arr(_))) {
                    return self.blocks(vec![vals], true, e.span);
                }
                let nodes = vals
                    .iter()
                    .zip(items)
                    .map(|(v, x)| self.number(v, x.span))
                    .collect::<Lowered<Vec<_>>>()?;
                Ok(Val::Arr(self.literal(nodes, vec![IndexSet::upto(items.len())])?))
            }
            ExprKind::Matrix(rows) => {
                let vals = rows
                    .iter()
                    .map(|r| r.iter().map(|x| self.expr(x)).collect::<Lowered<Vec<_>>>())
                    .collect::<Lowered<Vec<_>>>()?;
                if vals.iter().flatten().any(|v| matches!(v, Val::Arr(_))) {
                    return self.blocks(vals, false, e.span);
                }
                let cols = rows.first().map_or(0, Vec::len);
                let mut nodes = vec![];
                for (r, vals) in rows.iter().zip(&vals) {
                    if r.len() != cols {
                        return Err(err(Code::ShapeMismatch, "the rows of a matrix differ in length")
                            .at(e.span, format!("the first has {cols} entries, another {}", r.len()))
                            .into());
                    }
                    for (x, v) in r.iter().zip(vals) {
                        nodes.push(self.number(v, x.span)?);
                    }
                }
                Ok(Val::Arr(self.literal(
                    nodes,
                    vec![IndexSet::upto(rows.len()), IndexSet::upto(cols)],
                )?))
            }
            ExprKind::Set(_) => Ok(Val::Set(self.dimension(e)?)),
            ExprKind::Labelled(_) => Err(err(Code::WrongType, "a labelled array needs a declared type")
                .at(e.span, "its index sets are not known here")
                .help("declare it: `param a: Real[plants] = {…}`")
                .into()),
            ExprKind::Subset(_) => Ok(Val::Set(self.dimension(e)?)),
            ExprKind::Interval { .. } | ExprKind::Cone { .. } | ExprKind::AllExcept(_) => {
                Err(err(Code::WrongType, "this does not stand for a value")
                    .at(e.span, "here")
                    .into())
            }
            ExprKind::Tuple(_) => Err(err(Code::WrongType, "a tuple is an index, not a value")
                .at(e.span, "a tuple")
                .help("`x[(p, m)]` reads an entry, `(p, m) in arcs` is a condition")
                .into()),
            ExprKind::Lambda { param, body } => Ok(Val::Closure(Rc::new(super::Closure {
                param: param.text.clone(),
                body: (**body).clone(),
                scope: self.scope.clone(),
            }))),
            ExprKind::Error => Err(err(Code::Internal, "an unreadable expression was lowered")
                .at(e.span, "here")
                .into()),
        }
    }

    fn name(&mut self, n: &str, span: Span) -> Lowered<Val> {
        match self.scope.get(n) {
            Some(Local::Index(i)) => {
                let elem = Elem::Int;
                Ok(Val::Num(self.ir.index_value(i), elem))
            }
            Some(Local::Part(p)) => Ok(Val::Num(self.part_value(&p)?, Elem::Int)),
            Some(Local::Whole(..)) => Err(err(Code::WrongType, format!("`{n}` is a tuple, not a value"))
                .at(span, "a tuple")
                .help(format!(
                    "use it as an index, `x[{n}]`, or name its components: `(a, b) in …`"
                ))
                .into()),
            Some(Local::Family(..)) => Err(err(Code::WrongType, format!("`{n}` is a family of sets"))
                .at(span, "here")
                .help(format!("one of its sets is `{n}[…]`"))
                .into()),
            Some(Local::Val(v)) => Ok(v),
            Some(Local::Let(x)) => self.defined(n, &x, self.scope.clone()),
            Some(Local::Size(k)) => Ok(Val::Num(self.ir.constant(k as f64), Elem::Int)),
            Some(Local::Dims(s)) => Ok(Val::Set(s)),
            None => match self.lookup(n) {
                Some(Entity::Set(s)) => Ok(Val::Set(s)),
                Some(Entity::Family { .. }) => Err(err(Code::WrongType, format!("`{n}` is a family of sets"))
                    .at(span, "here")
                    .help(format!("one of its sets is `{n}[…]`"))
                    .into()),
                Some(Entity::Size(k)) => Ok(Val::Num(self.ir.constant(k as f64), Elem::Int)),
                Some(Entity::Param(p)) => {
                    let node = self.param(n, &p);
                    if let ([rows, cols], true) = (p.tensor.dims.as_slice(), p.operator) {
                        return Ok(Val::Linear(Rc::new(Linear::of_matrix(
                            node,
                            [rows.clone(), cols.clone()],
                        ))));
                    }
                    Ok(if p.tensor.dims.is_empty() {
                        Val::Num(node, p.elem)
                    } else {
                        Val::Arr(Arr {
                            elem: p.elem,
                            ..self.node_arr(node, p.tensor.dims.clone())
                        })
                    })
                }
                // A definition of the session sees the session's names, not the local ones.
                Some(Entity::Let(x)) => self.defined(n, &x, super::Scope::default()),
                Some(Entity::Text(t)) => Ok(Val::Text(t)),
                Some(Entity::Table(t)) => Ok(Val::Table(t)),
                Some(Entity::Solution(s)) => Ok(Val::Solution(s)),
                Some(Entity::Fn(_)) => Err(err(Code::WrongType, format!("`{n}` is a function"))
                    .at(span, "a value is expected here")
                    .help(format!("call it: `{n}(…)`"))
                    .into()),
                None if n == "pi" => Ok(Val::Num(self.ir.constant(std::f64::consts::PI), Elem::Real)),
                None => Err(err(Code::UnknownName, format!("`{n}` is not known here"))
                    .at(span, "unknown name")
                    .into()),
            },
        }
    }

    /// The value of a definition. Operators are made once, so that a product with a transpose is known as such.
    pub(super) fn defined(&mut self, name: &str, e: &Expr, scope: super::Scope) -> Lowered<Val> {
        if self.past.is_none()
            && let Some(a) = self.operators.get(name)
        {
            return Ok(Val::Linear(a.clone()));
        }
        let around = self.naming.replace(name.into());
        let v = self.with_scope(scope, |l| l.expr(e));
        self.naming = around;
        if let (Ok(Val::Linear(a)), None) = (&v, &self.past) {
            self.operators.insert(name.into(), a.clone());
        }
        v
    }

    /// A value that must be a number.
    pub(super) fn number(&mut self, v: &Val, span: Span) -> Lowered<NodeId> {
        match v {
            Val::Num(n, _) => Ok(*n),
            Val::Arr(a) => Err(err(
                Code::WrongType,
                format!("a number is expected, found {}", describe(&a.dims)),
            )
            .at(span, "an array")
            .into()),
            Val::Set(_) => Err(err(Code::WrongType, "a number is expected, found a set")
                .at(span, "a set")
                .into()),
            Val::Table(_) => Err(err(Code::WrongType, "a number is expected, found a table")
                .at(span, "a table")
                .help("one of its columns is `t.name`")
                .into()),
            Val::Text(_) => Err(err(Code::WrongType, "a number is expected, found a text")
                .at(span, "a text")
                .into()),
            Val::Closure(_) => Err(err(Code::WrongType, "a number is expected, found a schedule")
                .at(span, "a function of the step")
                .help("call it with the number of the step: `lr(t)`")
                .into()),
            Val::Linear(_) => Err(err(Code::WrongType, "a number is expected, found an operator")
                .at(span, "an operator")
                .into()),
            Val::Solution(_) => Err(err(Code::WrongType, "a number is expected, found a solution")
                .at(span, "a solution")
                .help("name one of its fields, such as `.objective`")
                .into()),
        }
    }

    fn binary(&mut self, op: BinaryOp, a: Val, b: Val, span: Span) -> Lowered<Val> {
        if matches!(a, Val::Linear(_)) || matches!(b, Val::Linear(_)) {
            return self.linear_binary(op, a, b, span);
        }
        let int = elem_of(&a) == Elem::Int && elem_of(&b) == Elem::Int;
        let arith = if int { Elem::Int } else { Elem::Real };
        match op {
            BinaryOp::Or => self.elementwise(atoms::OR, vec![a, b], Elem::Bool, span),
            BinaryOp::And => self.elementwise(atoms::AND, vec![a, b], Elem::Bool, span),
            BinaryOp::Add | BinaryOp::Sub => {
                if let (Val::Arr(x), Val::Num(..)) | (Val::Num(..), Val::Arr(x)) = (&a, &b)
                    && x.dims.is_empty()
                {
                    return Err(err(Code::WrongType, "an array without dimension")
                        .at(span, "here")
                        .into());
                }
                let atom = if op == BinaryOp::Add { atoms::ADD } else { atoms::SUB };
                self.elementwise(atom, vec![a, b], arith, span)
            }
            BinaryOp::Mul => self.product(a, b, span),
            BinaryOp::Div => {
                if let (_, Val::Arr(y)) = (&a, &b)
                    && matches!(a, Val::Arr(_))
                {
                    return Err(err(
                        Code::VectorTimesVector,
                        format!("`/` by {} is ambiguous", describe(&y.dims)),
                    )
                    .at(span, "array divided by array")
                    .help("`./` divides entry by entry; `A \\ b` solves a linear system")
                    .into());
                }
                self.elementwise(atoms::DIV, vec![a, b], Elem::Real, span)
            }
            BinaryOp::Rem => self.elementwise(atoms::MOD, vec![a, b], arith, span),
            BinaryOp::IntDiv => self.elementwise(atoms::INTDIV, vec![a, b], arith, span),
            BinaryOp::ElemMul => self.elementwise(atoms::MUL, vec![a, b], Elem::Real, span),
            BinaryOp::ElemDiv => self.elementwise(atoms::DIV, vec![a, b], Elem::Real, span),
            BinaryOp::Solve => self.solve_system(a, b, span),
            BinaryOp::Pow | BinaryOp::ElemPow => self.elementwise(atoms::POW, vec![a, b], Elem::Real, span),
        }
    }

    fn solve_system(&mut self, a: Val, b: Val, span: Span) -> Lowered<Val> {
        let (Val::Arr(m), Val::Arr(r)) = (a, b) else {
            return Err(err(
                Code::WrongType,
                "`\\` solves a linear system: a matrix on the left, a vector on the right",
            )
            .at(span, "here")
            .into());
        };
        if m.dims.len() != 2 || r.dims.is_empty() || m.dims[0] != r.dims[0] {
            return Err(err(
                Code::ShapeMismatch,
                format!(
                    "`\\` needs as many rows on both sides, found {} and {}",
                    describe(&m.dims),
                    describe(&r.dims)
                ),
            )
            .at(span, "here")
            .into());
        }
        let mut dims = vec![m.dims[1].clone()];
        dims.extend(r.dims[1..].iter().cloned());
        let (x, y) = (self.whole(&m, span)?, self.whole(&r, span)?);
        let n = self
            .ir
            .try_apply(atoms::SOLVE, &[x, y])
            .map_err(|e| err(Code::ShapeMismatch, e).at(span, "here"))?;
        Ok(Val::Arr(self.node_arr(n, dims)))
    }

    fn matrix_power(&mut self, b: Val, exponent: &Expr, span: Span) -> Lowered<Val> {
        let square = b.dims().len() == 2 && b.dims()[0].len() == b.dims()[1].len();
        match (exponent.as_integer(), b) {
            (Some(-1), Val::Arr(a)) if square => {
                let dims = a.dims.clone();
                let n = self.whole(&a, span)?;
                let n = self.ir.apply(atoms::INV, &[n]);
                Ok(Val::Arr(self.node_arr(n, dims)))
            }
            (Some(k), Val::Arr(a)) if square && (1..=64).contains(&k) => {
                let mut acc = Val::Arr(a.clone());
                for _ in 1..k {
                    acc = self.product(acc, Val::Arr(a.clone()), span)?;
                }
                Ok(acc)
            }
            (_, b) => Err(
                err(Code::WrongType, format!("`^` of {} is not defined", describe(b.dims())))
                    .at(span, "a power of an array")
                    .help("`.^` takes the power of each entry")
                    .into(),
            ),
        }
    }

    /// `v in [l, u]`, `v in {…}` as a truth value.
    pub(super) fn member(&mut self, v: Val, set: &Expr, span: Span) -> Lowered<Val> {
        match &set.kind {
            ExprKind::Interval { lo, hi } => {
                let (l, h) = (self.expr(lo)?, self.expr(hi)?);
                let a = self.elementwise(atoms::GE, vec![v.clone(), l], Elem::Bool, span)?;
                let b = self.elementwise(atoms::LE, vec![v, h], Elem::Bool, span)?;
                self.elementwise(atoms::AND, vec![a, b], Elem::Bool, span)
            }
            ExprKind::Set(items) => {
                let mut acc = Val::Num(self.ir.constant(0.0), Elem::Bool);
                for x in items {
                    let k = self.expr(x)?;
                    let same = self.elementwise(atoms::EQ, vec![v.clone(), k], Elem::Bool, span)?;
                    acc = self.elementwise(atoms::OR, vec![acc, same], Elem::Bool, span)?;
                }
                Ok(acc)
            }
            _ => {
                let name = show(set);
                match self.dimension(set)? {
                    IndexSet::Range { lo, len } => {
                        let l = Val::Num(self.ir.constant(lo as f64), Elem::Int);
                        let h = Val::Num(self.ir.constant((lo + len as i64 - 1) as f64), Elem::Int);
                        let a = self.elementwise(atoms::GE, vec![v.clone(), l], Elem::Bool, span)?;
                        let b = self.elementwise(atoms::LE, vec![v, h], Elem::Bool, span)?;
                        self.elementwise(atoms::AND, vec![a, b], Elem::Bool, span)
                    }
                    _ => Err(err(Code::WrongType, format!("an element of `{name}` is expected"))
                        .at(span, "here")
                        .into()),
                }
            }
        }
    }

    /// `p == "seattle"`, `p != q` for labels.
    fn label_equality(&mut self, a: &Expr, op: CompareOp, b: &Expr, span: Span) -> Lowered<Option<Val>> {
        if !matches!(op, CompareOp::Eq | CompareOp::Ne) {
            return Ok(None);
        }
        let (Some(set), text) = (match (&a.kind, &b.kind) {
            (_, ExprKind::Text(_)) => (self.labels_of(a), b),
            (ExprKind::Text(_), _) => (self.labels_of(b), a),
            _ => (None, b),
        }) else {
            return Ok(None);
        };
        let index = if std::ptr::eq(text, a) { b } else { a };
        let at = self.position(text, &set, &show(index), 0)?;
        let Pos::Affine { offset, .. } = at else {
            return Ok(None);
        };
        let k = Val::Num(self.ir.constant(offset as f64), Elem::Int);
        let v = self.expr(index)?;
        Ok(Some(self.elementwise(comparison(op), vec![v, k], Elem::Bool, span)?))
    }

    /// The set of labels that an index in force is drawn from.
    fn labels_of(&self, e: &Expr) -> Option<IndexSet> {
        let set = match self.scope.get(e.as_name()?)? {
            Local::Index(i) => self.ir.index(i).set.clone(),
            Local::Part(p) => p.set.parts[p.column].clone(),
            _ => return None,
        };
        matches!(set, IndexSet::Labels(_)).then_some(set)
    }

    fn comprehension(
        &mut self,
        atom: AtomRef,
        binders: &crate::lang::syntax::Binders,
        body: &Expr,
        span: Span,
    ) -> Lowered<Val> {
        let Opened { domain: d, scope, .. } = self.open(binders)?;
        let v = self.with_scope(scope, |l| l.in_region(d, |l| l.expr(body)))?;
        match v {
            Val::Num(n, _) => Ok(Val::Num(self.close_fold(atom, d, n), Elem::Real)),
            Val::Arr(a) => {
                // A reduction of arrays is the array of reductions: the comprehension is opened again for each entry.
                let (binders, body, scope) = (binders.clone(), body.clone(), self.scope.clone());
                let (dims, covector) = (a.dims, a.covector);
                let pull = Rc::new(move |l: &mut Lower<'_>, at: &[Pos]| {
                    l.with_scope(scope.clone(), |l| {
                        let Opened {
                            domain: d,
                            scope: inner,
                            ..
                        } = l.open(&binders)?;
                        let n = l.with_scope(inner, |l| {
                            l.in_region(d, |l| match l.expr(&body)? {
                                Val::Arr(a) => l.entry(&a, at),
                                v => l.number(&v, span),
                            })
                        })?;
                        Ok(l.close_fold(atom, d, n))
                    })
                });
                Ok(Val::Arr(Arr {
                    dims,
                    src: Src::Pull(pull),
                    covector,
                    elem: Elem::Real,
                }))
            }
            v => {
                self.number(&v, body.span)?;
                Ok(v)
            }
        }
    }

    fn array_comprehension(&mut self, binders: &crate::lang::syntax::Binders, body: &Expr, span: Span) -> Lowered<Val> {
        if let Some(c) = &binders.condition {
            return Err(err(Code::NotBuiltYet, "arrays over filtered sets are not built yet")
                .at(c.span, "this condition")
                .help("give the other entries a value: `[i in I] (if … then … else 0)`")
                .into());
        }
        let Opened { domain: d, scope, sets } = self.open(binders)?;
        if self.ir.domain(d).filter.is_some() {
            return Err(err(Code::NotBuiltYet, "arrays over filtered sets are not built yet")
                .at(binders.span, "not all combinations count")
                .help("name the set: `set S = {i in I if …}`, then `[i in S] …`")
                .into());
        }
        let v = self.with_scope(scope, |l| l.in_region(d, |l| l.expr(body)))?;
        let own = sets.len();
        let (mut dims, elem) = (sets, elem_of(&v));
        dims.extend(v.dims().iter().cloned());
        if let Val::Num(n, _) = v {
            // At the root the domain itself becomes the map; nothing is lowered twice.
            if self.region == crate::ir::DomainId::ROOT && self.ir.domain(d).filter.is_none() {
                let node = self.ir.map(d, n);
                return Ok(Val::Arr(Arr {
                    elem,
                    ..self.node_arr(node, dims)
                }));
            }
        }
        let (binders, body, scope) = (binders.clone(), body.clone(), self.scope.clone());
        let pull = Rc::new(move |l: &mut Lower<'_>, at: &[Pos]| {
            let mut inner = scope.clone();
            let direct = l.with_scope(inner.clone(), |l| l.direct(&binders))?;
            for (item, p) in direct.items.iter().zip(at) {
                let set = l.with_scope(inner.clone(), |l| l.dimension(&item.set))?;
                match (item.names.as_slice(), &set) {
                    ([name], _) => inner = inner.with(&name.text, l.local_at(p, &set)?),
                    (names, IndexSet::Listed(s)) => {
                        for (column, n) in names.iter().enumerate() {
                            let part = Part {
                                set: s.clone(),
                                at: p.clone(),
                                column,
                            };
                            inner = inner.with(&n.text, Local::Part(part));
                        }
                    }
                    _ => {}
                }
            }
            l.with_scope(inner, |l| match l.expr(&body)? {
                Val::Arr(a) => l.entry(&a, &at[own.min(at.len())..]),
                v => l.number(&v, span),
            })
        });
        Ok(Val::Arr(Arr {
            dims,
            src: Src::Pull(pull),
            covector: false,
            elem,
        }))
    }

    /// The local meaning of an index name whose position is given.
    fn local_at(&mut self, p: &Pos, set: &IndexSet) -> Lowered<Local> {
        if let IndexSet::Listed(l) = set {
            return Ok(match l.parts.len() {
                1 => Local::Part(Part {
                    set: l.clone(),
                    at: p.clone(),
                    column: 0,
                }),
                _ => Local::Whole(l.clone(), p.clone()),
            });
        }
        if let Some(i) = p.as_index()
            && self.ir.index(i).set == *set
        {
            return Ok(Local::Index(i));
        }
        let value = match p {
            Pos::Affine { terms, offset } => {
                let mut n = self.ir.constant((*offset + set.lo()) as f64);
                for (i, c) in terms {
                    let lo = self.ir.index(*i).set.lo();
                    let v = self.ir.index_value(*i);
                    let k = self.ir.constant(-(lo as f64));
                    let v = self.ir.apply(atoms::ADD, &[v, k]);
                    let c = self.ir.constant(*c as f64);
                    let t = self.ir.apply(atoms::MUL, &[c, v]);
                    n = self.ir.apply(atoms::ADD, &[n, t]);
                }
                n
            }
            Pos::Node(n) => {
                let k = self.ir.constant(set.lo() as f64);
                self.ir.apply(atoms::ADD, &[*n, k])
            }
        };
        Ok(Local::Val(Val::Num(value, Elem::Int)))
    }

    /// An array of listed entries.
    pub(super) fn literal(&mut self, nodes: Vec<NodeId>, dims: Vec<IndexSet>) -> Lowered<Arr> {
        let consts: Option<Vec<f64>> = nodes.iter().map(|n| self.ir.as_const(*n)).collect();
        if let Some(data) = consts
            && let Some(t) = Tensor::dense(dims.clone(), data)
        {
            let n = self.embed("literal", &Arc::new(t));
            return Ok(self.node_arr(n, dims));
        }
        if dims.len() == 1 && nodes.iter().all(|n| self.ir.region(*n) == crate::ir::DomainId::ROOT) {
            let n = self.ir.apply(atoms::STACK, &nodes);
            return Ok(self.node_arr(n, dims));
        }
        // Entries that change with an index, or a matrix of expressions: the entry at a position is chosen.
        let shape: Vec<usize> = dims.iter().map(IndexSet::len).collect();
        let pull = Rc::new(move |l: &mut Lower<'_>, at: &[Pos]| {
            let mut fixed = Some(0usize);
            for (p, n) in at.iter().zip(&shape) {
                fixed = match (fixed, p) {
                    (Some(f), Pos::Affine { terms, offset }) if terms.is_empty() && *offset >= 0 => {
                        Some(f * n + *offset as usize)
                    }
                    _ => None,
                };
            }
            if let Some(f) = fixed
                && let Some(n) = nodes.get(f)
            {
                return Ok(*n);
            }
            let set = IndexSet::Range { lo: 0, len: 0 };
            let mut flat = l.ir.constant(0.0);
            for (p, n) in at.iter().zip(&shape) {
                let len = l.ir.constant(*n as f64);
                flat = l.ir.apply(atoms::MUL, &[flat, len]);
                let Local::Val(Val::Num(v, _)) = l.local_at_value(p, &set)? else {
                    continue;
                };
                flat = l.ir.apply(atoms::ADD, &[flat, v]);
            }
            let mut acc = nodes[nodes.len() - 1];
            for (k, n) in nodes.iter().enumerate().rev().skip(1) {
                let kk = l.ir.constant(k as f64);
                let c = l.ir.apply(atoms::EQ, &[flat, kk]);
                acc = l.ir.apply(atoms::SELECT, &[c, *n, acc]);
            }
            Ok(acc)
        });
        Ok(Arr {
            dims,
            src: Src::Pull(pull),
            covector: false,
            elem: Elem::Real,
        })
    }

    /// A position as a number counted from 0.
    pub(super) fn local_at_value(&mut self, p: &Pos, zero: &IndexSet) -> Lowered<Local> {
        match p.as_index() {
            Some(i) => {
                let lo = self.ir.index(i).set.lo();
                let v = self.ir.index_value(i);
                let k = self.ir.constant(-(lo as f64));
                Ok(Local::Val(Val::Num(self.ir.apply(atoms::ADD, &[v, k]), Elem::Int)))
            }
            None => self.local_at(p, zero),
        }
    }

    /// A column of a table as a vector.
    pub(super) fn table_column(&mut self, t: &Table, name: &str, span: Span) -> Lowered<Val> {
        match t.column(name) {
            Some(Column::Numbers(v)) => {
                let data = Tensor::vector(v.clone());
                let dims = data.dims.clone();
                let n = self.embed(name, &Arc::new(data));
                Ok(Val::Arr(self.node_arr(n, dims)))
            }
            Some(Column::Texts(_, (line, field))) => Err(err(
                Code::BadNumberInFile,
                format!("`{}`, line {line}, column `{name}`: `{field}` is not a number", t.file),
            )
            .at(span, "numbers are wanted here")
            .help("a column of texts makes a set of labels: `set names = t.…`")
            .into()),
            None => {
                let names = || t.columns.iter().map(|c| c.0.as_str());
                let known: Vec<&str> = names().collect();
                let mut d = err(
                    Code::NoSuchColumn,
                    match known.contains(&name) {
                        true => format!("`{}` has several columns named `{name}`", t.file),
                        false => format!("`{}` has no column `{name}`", t.file),
                    },
                )
                .at(span, "not there")
                .note(format!("its columns are {}", known.join(", ")));
                if let Some(n) = crate::base::diagnostic::did_you_mean(name, names()).filter(|_| !known.contains(&name))
                {
                    d = d.help_edit(format!("did you mean `{n}`?"), span, n);
                }
                let parts = names().find(|n| n.strip_prefix(name).is_some_and(|r| r.starts_with(['[', '.'])));
                if let Some(n) = parts {
                    d = d.help(format!(
                        "a column whose name is no word is asked for by a text: `{}[\"{n}\"]`",
                        t.file
                    ));
                }
                Err(d.into())
            }
        }
    }

    /// A labelled array against its declared index sets.
    pub(crate) fn labelled(
        &mut self,
        entries: &[Entry],
        dims: &[IndexSet],
        default: Option<f64>,
        span: Span,
    ) -> Lowered<Tensor> {
        let n: usize = dims.iter().map(IndexSet::len).product();
        let mut data: Vec<Option<f64>> = vec![None; n];
        let parts: Vec<&IndexSet> = dims.iter().flat_map(IndexSet::parts).collect();
        for e in entries {
            if e.key.len() != parts.len() {
                let at = e.key.first().map_or(e.value.span, |k| k.span);
                return Err(err(
                    Code::WrongIndexCount,
                    format!("an entry names {} of {} indices", e.key.len(), parts.len()),
                )
                .at(at, "here")
                .into());
            }
            let mut places = vec![];
            for (k, set) in e.key.iter().zip(&parts) {
                places.push(self.place_of_key(k, set)?);
            }
            let mut rest = places.as_slice();
            let mut flat = 0;
            for set in dims {
                let (own, more) = rest.split_at(set.arity());
                rest = more;
                let Some(p) = set.find(own) else {
                    let key: Vec<String> = own
                        .iter()
                        .zip(set.parts())
                        .map(|(k, s)| s.element(*k as usize))
                        .collect();
                    return Err(err(
                        Code::UnknownLabel,
                        format!(
                            "{} is not an element of `{}`",
                            super::elements::tuple_text(&key),
                            set.describe()
                        ),
                    )
                    .at(e.key.first().map_or(span, |k| k.span), "no such element")
                    .help("absent is not zero: leave the entry out, or add the element to the set")
                    .into());
                };
                flat = flat * set.len() + p;
            }
            let v = self.expr(&e.value)?;
            let node = self.number(&v, e.value.span)?;
            let Some(c) = self.ir.as_const(node) else {
                return Err(
                    err(Code::NotBuiltYet, "entries of a labelled array are numbers for now")
                        .at(e.value.span, "an expression")
                        .into(),
                );
            };
            if data[flat].replace(c).is_some() {
                return Err(err(Code::DuplicateLabel, "an entry is given twice")
                    .at(e.key.first().map_or(span, |k| k.span), "again here")
                    .into());
            }
        }
        if let Some(missing) = data.iter().position(Option::is_none)
            && default.is_none()
        {
            let mut rest = missing;
            let mut key = vec![];
            for s in dims.iter().rev() {
                key.push(s.element(rest % s.len()));
                rest /= s.len();
            }
            key.reverse();
            return Err(
                err(Code::MissingLabel, format!("there is no entry for {}", key.join(", ")))
                    .at(span, "missing here")
                    .help("add it, or give a `default`")
                    .into(),
            );
        }
        let data = data.into_iter().map(|v| v.or(default).unwrap_or(0.0)).collect();
        Tensor::dense(dims.to_vec(), data)
            .ok_or_else(|| Box::new(err(Code::Internal, "a labelled array has the wrong size").at(span, "here")))
    }
}

impl Lower<'_> {
    /// The position that a key of a labelled array names.
    fn place_of_key(&mut self, k: &Expr, set: &IndexSet) -> Lowered<u32> {
        match set {
            IndexSet::Labels(l) => {
                let ExprKind::Text(t) = &k.kind else {
                    return Err(
                        err(Code::WrongIndexSet, format!("an element of `{}` is expected", l.name))
                            .at(k.span, "not a label")
                            .into(),
                    );
                };
                set.position_of(t).ok_or_else(|| {
                    let mut d = err(Code::UnknownLabel, format!("\"{t}\" is not an element of `{}`", l.name))
                        .at(k.span, "unknown label");
                    let near = crate::base::diagnostic::did_you_mean(t, l.labels.iter().map(String::as_str));
                    if let Some(n) = near {
                        d = d.help_edit(format!("did you mean \"{n}\"?"), k.span, format!("\"{n}\""));
                    }
                    Box::new(d)
                })
            }
            s => {
                let v = self.integer(k)? - s.lo();
                match u32::try_from(v) {
                    Ok(p) if (p as usize) < s.len() => Ok(p),
                    _ => Err(err(
                        Code::IndexOutOfRange,
                        format!("the index lies outside `{}`", s.describe()),
                    )
                    .at(k.span, "here")
                    .into()),
                }
            }
        }
    }
}

/// What the entries of a value are.
pub(super) fn elem_of(v: &Val) -> Elem {
    match v {
        Val::Num(_, e) => *e,
        Val::Arr(a) => a.elem,
        _ => Elem::Real,
    }
}

fn comparison(op: CompareOp) -> AtomRef {
    match op {
        CompareOp::Le => atoms::LE,
        CompareOp::Ge => atoms::GE,
        CompareOp::Lt => atoms::LT,
        CompareOp::Gt => atoms::GT,
        CompareOp::Ne => atoms::NE,
        CompareOp::Eq | CompareOp::In => atoms::EQ,
    }
}
