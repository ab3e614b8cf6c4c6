//! Integers, index sets, binders and subscripts.
//!
//! Invariant: a subscript becomes an affine position wherever it is affine in bound indices, proved inside the array
//! unless a filter is what keeps it inside.

use std::rc::Rc;

use super::{Arr, Entity, Local, Lower, Lowered, Src, Val, describe, err};
use crate::atoms;
use crate::base::value::{Elem, IndexSet};
use crate::base::{Code, Diagnostic, Span};
use crate::ir::{DomainId, IndexId, NodeId, Pos};
use crate::lang::syntax::{BinaryOp, Binders, Expr, ExprKind, Link, Subscript, UnaryOp, show};

/// An integer expression affine in bound indices' *values*.
#[derive(Clone, Debug, Default)]
pub(super) struct Affine {
    pub terms: Vec<(IndexId, i64)>,
    pub constant: i64,
}

impl Affine {
    fn constant(c: i64) -> Affine {
        Affine {
            terms: vec![],
            constant: c,
        }
    }
    fn add(mut self, o: &Affine, by: i64) -> Option<Affine> {
        self.constant = self.constant.checked_add(o.constant.checked_mul(by)?)?;
        for (i, c) in &o.terms {
            match self.terms.iter_mut().find(|(j, _)| j == i) {
                Some(t) => t.1 = t.1.checked_add(c.checked_mul(by)?)?,
                None => self.terms.push((*i, c.checked_mul(by)?)),
            }
        }
        self.terms.retain(|t| t.1 != 0);
        self.terms.sort();
        Some(self)
    }
}

impl Lower<'_> {
    /// An integer known now.
    pub(super) fn integer(&mut self, e: &Expr) -> Lowered<i64> {
        match self.affine(e)? {
            Some(a) if a.terms.is_empty() => Ok(a.constant),
            _ => Err(err(
                Code::WrongType,
                format!("`{}` is not an integer known before the problem is solved", show(e)),
            )
            .at(e.span, "a size or a bound of a range stands here")
            .help("use integer parameters, sizes of sets, and `+ - * div %`")
            .into()),
        }
    }

    /// The expression as an affine function of bound indices, if it is one.
    pub(super) fn affine(&mut self, e: &Expr) -> Lowered<Option<Affine>> {
        Ok(match &e.kind {
            ExprKind::Number { value, .. } if value.fract() == 0.0 && value.abs() < 9e15 => {
                Some(Affine::constant(*value as i64))
            }
            ExprKind::Name(n) => match self.scope.get(n) {
                Some(Local::Index(i)) => match self.ir.index(i).set {
                    IndexSet::Range { .. } => Some(Affine {
                        terms: vec![(i, 1)],
                        constant: 0,
                    }),
                    IndexSet::Labels(_) => None,
                },
                Some(Local::Size(k)) => Some(Affine::constant(k as i64)),
                Some(Local::Let(x)) => self.affine(&x)?,
                Some(Local::Val(Val::Num(k, _))) => self.ir.as_const(k).and_then(exact).map(Affine::constant),
                Some(_) => None,
                None => match self.names.lookup(n) {
                    Some(Entity::Size(k)) => Some(Affine::constant(k as i64)),
                    Some(Entity::Param(p)) => match p.tensor.as_scalar().and_then(exact) {
                        Some(v) if p.elem == Elem::Int => {
                            self.structural.insert(n.clone());
                            Some(Affine::constant(v))
                        }
                        _ => None,
                    },
                    Some(Entity::Let(x)) => {
                        let outer = std::mem::take(&mut self.scope);
                        let r = self.affine(&x);
                        self.scope = outer;
                        r?
                    }
                    _ => None,
                },
            },
            ExprKind::Unary {
                op: UnaryOp::Neg,
                operand,
            } => self.affine(operand)?.and_then(|a| Affine::default().add(&a, -1)),
            ExprKind::Chain { first, rest } => {
                let Some(mut acc) = self.affine(first)? else {
                    return Ok(None);
                };
                for Link { op, operand, .. } in rest {
                    let Some(b) = self.affine(operand)? else {
                        return Ok(None);
                    };
                    let next = match op {
                        BinaryOp::Add => acc.add(&b, 1),
                        BinaryOp::Sub => acc.add(&b, -1),
                        BinaryOp::Mul if b.terms.is_empty() => Affine::default().add(&acc, b.constant),
                        BinaryOp::Mul if acc.terms.is_empty() => Affine::default().add(&b, acc.constant),
                        BinaryOp::IntDiv if acc.terms.is_empty() && b.terms.is_empty() && b.constant != 0 => {
                            Some(Affine::constant(acc.constant.div_euclid(b.constant)))
                        }
                        BinaryOp::Rem if acc.terms.is_empty() && b.terms.is_empty() && b.constant != 0 => {
                            Some(Affine::constant(acc.constant.rem_euclid(b.constant)))
                        }
                        _ => None,
                    };
                    let Some(n) = next else { return Ok(None) };
                    acc = n;
                }
                Some(acc)
            }
            // A literal integer expression of other functions (`ceil(sqrt(2*n))`) folds to a constant.
            ExprKind::Call { .. } => match self.expr(e)? {
                Val::Num(n, _) => self.ir.as_const(n).and_then(exact).map(Affine::constant),
                _ => None,
            },
            _ => None,
        })
    }

    /// Least and greatest value over the index sets (ignoring filters).
    fn extremes(&self, a: &Affine) -> (i64, i64) {
        let (mut lo, mut hi) = (a.constant, a.constant);
        for (i, c) in &a.terms {
            let s = &self.ir.index(*i).set;
            let (first, last) = (s.lo(), s.lo() + s.len() as i64 - 1);
            lo += (c * first).min(c * last);
            hi += (c * first).max(c * last);
        }
        (lo, hi)
    }

    fn affine_node(&mut self, a: &Affine) -> NodeId {
        let mut acc = None;
        for (i, c) in &a.terms {
            let v = self.ir.index_value(*i);
            let t = if *c == 1 {
                v
            } else {
                let k = self.ir.constant(*c as f64);
                self.ir.apply(atoms::MUL, &[k, v])
            };
            acc = Some(match acc {
                None => t,
                Some(s) => self.ir.apply(atoms::ADD, &[s, t]),
            });
        }
        let k = self.ir.constant(a.constant as f64);
        match acc {
            None => k,
            Some(s) if a.constant == 0 => s,
            Some(s) => self.ir.apply(atoms::ADD, &[s, k]),
        }
    }

    /// The index set an expression means in the place of a dimension.
    pub(super) fn dimension(&mut self, e: &Expr) -> Lowered<IndexSet> {
        if let Some(s) = self.known_set(e)? {
            return Ok(s);
        }
        let n = self.integer(e)?;
        if n < 0 {
            return Err(
                err(Code::IndexOutOfRange, format!("a dimension cannot have {n} elements"))
                    .at(e.span, format!("is {n}"))
                    .into(),
            );
        }
        Ok(IndexSet::upto(n as usize))
    }

    /// A set by name or a constant range.
    fn known_set(&mut self, e: &Expr) -> Lowered<Option<IndexSet>> {
        Ok(match &e.kind {
            ExprKind::Name(n) => match self.scope.get(n) {
                Some(Local::Val(Val::Set(s))) | Some(Local::Dims(s)) => Some(s),
                Some(_) => None,
                None => match self.names.lookup(n) {
                    Some(Entity::Set(s)) => Some(s),
                    _ => None,
                },
            },
            ExprKind::Range { lo, hi } => match (self.affine(lo)?, self.affine(hi)?) {
                (Some(a), Some(b)) if a.terms.is_empty() && b.terms.is_empty() => Some(IndexSet::Range {
                    lo: a.constant,
                    len: (b.constant - a.constant + 1).max(0) as usize,
                }),
                _ => None,
            },
            _ => None,
        })
    }

    /// Opens the domain of `binders`; returns it, the scope with their names, and their names.
    pub(super) fn open(&mut self, b: &Binders) -> Lowered<(DomainId, super::Scope, Vec<IndexSet>)> {
        let parent = self.region;
        let (d, _) = self.ir.add_domain(parent, []);
        let outer = self.scope.clone();
        let mut scope = outer.clone();
        let mut conditions: Vec<NodeId> = vec![];
        let mut sets = vec![];
        for item in &b.items {
            let [name] = item.names.as_slice() else {
                return Err(err(Code::NotBuiltYet, "tuple sets are not built yet")
                    .at(item.span, "a pair of indices")
                    .help("write one index per set and a condition: `i in I, j in J if …`")
                    .into());
            };
            let (set, conds) = self.with_scope(scope.clone(), |l| l.in_region(d, |l| l.binder_set(&item.set)))?;
            let i = self.ir.add_index(d, name.text.clone(), set.clone());
            scope = scope.with(&name.text, Local::Index(i));
            for (bound, is_lower) in conds {
                let v = self.ir.index_value(i);
                let b = self.affine_node(&bound);
                let args = if is_lower { [b, v] } else { [v, b] };
                conditions.push(self.ir.apply(atoms::LE, &args));
            }
            sets.push(set);
        }
        if let Some(c) = &b.condition {
            let v = self.with_scope(scope.clone(), |l| l.in_region(d, |l| l.expr(c)))?;
            let n = self.number(&v, c.span)?;
            if self.depends_on_var(n) {
                return Err(err(
                    Code::ConditionOnVariable,
                    "a condition of an index set depends on a variable",
                )
                .at(c.span, "which terms there are must be known before solving")
                .help("choose the term's value instead: `sum(i in I) (if … then … else 0)`")
                .into());
            }
            conditions.push(n);
        }
        if let Some(f) = conditions.into_iter().reduce(|a, b| self.ir.apply(atoms::AND, &[a, b])) {
            self.ir.set_filter(d, f);
        }
        Ok((d, scope, sets))
    }

    /// The set of a binder: known, or a range whose ends depend on outer indices (its largest extent, with the
    /// bounds that cut it).
    fn binder_set(&mut self, e: &Expr) -> Lowered<(IndexSet, Vec<(Affine, bool)>)> {
        if let Some(s) = self.known_set(e)? {
            return Ok((s, vec![]));
        }
        if let ExprKind::Range { lo, hi } = &e.kind
            && let (Some(a), Some(b)) = (self.affine(lo)?, self.affine(hi)?)
        {
            let (first, last) = (self.extremes(&a).0, self.extremes(&b).1);
            let mut conds = vec![];
            if !a.terms.is_empty() {
                conds.push((a, true));
            }
            if !b.terms.is_empty() {
                conds.push((b, false));
            }
            return Ok((
                IndexSet::Range {
                    lo: first,
                    len: (last - first + 1).max(0) as usize,
                },
                conds,
            ));
        }
        match self.expr(e)? {
            Val::Set(s) => Ok((s, vec![])),
            Val::Num(..) => {
                let n = self.integer(e)?;
                Err(err(Code::WrongType, format!("`{}` is a number, not a set", show(e)))
                    .at(e.span, "an index ranges over a set")
                    .help(format!("`1..{}` is the set of the first {n} integers", show(e)))
                    .into())
            }
            _ => Err(err(Code::WrongType, format!("`{}` is not a set", show(e)))
                .at(e.span, "an index ranges over a set")
                .into()),
        }
    }

    pub(super) fn depends_on_var(&self, n: NodeId) -> bool {
        self.ir.reachable(&[n]).into_iter().any(|m| self.ir.is_var(m))
    }

    /// `base[subscripts]`.
    pub(super) fn subscript(&mut self, base: Arr, subs: &[Subscript], span: Span, shown: &str) -> Lowered<Val> {
        if subs.len() != base.dims.len() {
            return Err(err(
                Code::WrongIndexCount,
                format!(
                    "`{shown}` is {} and takes {} indices",
                    describe(&base.dims),
                    base.dims.len()
                ),
            )
            .at(span, format!("{} given", subs.len()))
            .into());
        }
        let mut plan: Vec<Result<Pos, i64>> = vec![];
        let mut dims = vec![];
        for (k, (s, set)) in subs.iter().zip(&base.dims).enumerate() {
            match s {
                Subscript::All(_) => {
                    plan.push(Err(0));
                    dims.push(set.clone());
                }
                Subscript::Range(r) => {
                    let ExprKind::Range { lo, hi } = &r.kind else { continue };
                    let (a, b) = (self.integer(lo)?, self.integer(hi)?);
                    let n = (b - a + 1).max(0);
                    if let IndexSet::Labels(l) = set {
                        return Err(err(
                            Code::WrongIndexSet,
                            format!("`{}` is a set of labels, not of integers", l.name),
                        )
                        .at(r.span, "a range of integers")
                        .help("use `:` for all labels")
                        .into());
                    }
                    if n > 0 && (a < set.lo() || b > set.lo() + set.len() as i64 - 1) {
                        return Err(self.outside(shown, k, set, a, b, r.span));
                    }
                    plan.push(Err(a - set.lo()));
                    dims.push(IndexSet::upto(n as usize));
                }
                Subscript::At(e) => match self.known_set(e)? {
                    // A named range of integers is a slice like any other.
                    Some(IndexSet::Range { lo, len }) if matches!(set, IndexSet::Range { .. }) => {
                        let hi = lo + len as i64 - 1;
                        if len > 0 && (lo < set.lo() || hi > set.lo() + set.len() as i64 - 1) {
                            return Err(self.outside(shown, k, set, lo, hi, e.span));
                        }
                        plan.push(Err(lo - set.lo()));
                        dims.push(IndexSet::upto(len));
                    }
                    _ => plan.push(Ok(self.position(e, set, shown, k)?)),
                },
            }
        }
        let at = move |l: &mut Lower<'_>, given: &[Pos]| -> Vec<Pos> {
            let mut next = given.iter();
            plan.iter()
                .map(|p| match p {
                    Ok(p) => p.clone(),
                    Err(shift) => {
                        let g = next.next().cloned().unwrap_or_else(|| Pos::fixed(0));
                        l.shift(&g, *shift)
                    }
                })
                .collect()
        };
        let elem = base.elem;
        if dims.is_empty() {
            let p = at(self, &[]);
            return Ok(Val::Num(self.entry(&base, &p)?, elem));
        }
        let pull = Rc::new(move |l: &mut Lower<'_>, given: &[Pos]| {
            let p = at(l, given);
            l.entry(&base, &p)
        });
        Ok(Val::Arr(Arr {
            dims,
            src: Src::Pull(pull),
            covector: false,
            elem,
        }))
    }

    fn shift(&mut self, p: &Pos, by: i64) -> Pos {
        match (p.shifted(by), p) {
            (Some(p), _) => p,
            (None, Pos::Node(n)) => {
                let k = self.ir.constant(by as f64);
                Pos::Node(self.ir.apply(atoms::ADD, &[*n, k]))
            }
            (None, p) => p.clone(),
        }
    }

    /// Position of an element of `set`.
    fn position(&mut self, e: &Expr, set: &IndexSet, shown: &str, dim: usize) -> Lowered<Pos> {
        if let IndexSet::Labels(labels) = set {
            if let ExprKind::Name(n) = &e.kind
                && let Some(Local::Index(i)) = self.scope.get(n)
            {
                let own = self.ir.index(i).set.clone();
                if own == *set {
                    return Ok(Pos::index(i));
                }
                return Err(self.wrong_set(e, &own, set, shown, dim));
            }
            if let Val::Text(t) = self.expr(e)? {
                return match labels.labels.iter().position(|l| *l == t) {
                    Some(p) => Ok(Pos::fixed(p)),
                    None => {
                        let mut d = err(
                            Code::UnknownLabel,
                            format!("`{t}` is not an element of `{}`", labels.name),
                        )
                        .at(e.span, "unknown label");
                        let near = crate::base::diagnostic::did_you_mean(&t, labels.labels.iter().map(String::as_str));
                        if let Some(n) = near {
                            d = d.help_edit(format!("did you mean \"{n}\"?"), e.span, format!("\"{n}\""));
                        }
                        Err(d.into())
                    }
                };
            }
            return Err(err(
                Code::WrongIndexSet,
                format!("dimension {} of `{shown}` is the set `{}`", dim + 1, labels.name),
            )
            .at(e.span, format!("an element of `{}` is expected here", labels.name))
            .into());
        }
        if let Some(a) = self.affine(e)? {
            let (lo, hi) = self.extremes(&a);
            let (first, last) = (set.lo(), set.lo() + set.len() as i64 - 1);
            let filtered = a.terms.iter().any(|(i, _)| self.filtered(self.ir.index(*i).domain));
            let empty = a.terms.iter().any(|(i, _)| self.ir.index(*i).set.is_empty());
            if (lo < first || hi > last) && !filtered && !empty {
                return Err(self.outside(shown, dim, set, lo, hi, e.span));
            }
            // Values to positions: value = lo(index set) + position.
            let mut offset = a.constant - first;
            for (i, c) in &a.terms {
                offset += c * self.ir.index(*i).set.lo();
            }
            return Ok(Pos::Affine { terms: a.terms, offset });
        }
        if let ExprKind::Name(n) = &e.kind
            && let Some(Local::Index(i)) = self.scope.get(n)
        {
            let own = self.ir.index(i).set.clone();
            return Err(self.wrong_set(e, &own, set, shown, dim));
        }
        let v = self.expr(e)?;
        let n = self.number(&v, e.span)?;
        if self.depends_on_var(n) {
            return Err(err(Code::ConditionOnVariable, "an index depends on a variable")
                .at(e.span, "which entry is read must be known before solving")
                .into());
        }
        let k = self.ir.constant(-(set.lo() as f64));
        Ok(Pos::Node(self.ir.apply(atoms::ADD, &[n, k])))
    }

    fn filtered(&self, d: DomainId) -> bool {
        // A domain still open has no filter yet; ranges cut by outer indices and conditions are set when it is closed.
        self.ir.chain(d).into_iter().any(|d| self.ir.domain(d).filter.is_some())
    }

    fn wrong_set(&self, e: &Expr, own: &IndexSet, want: &IndexSet, shown: &str, dim: usize) -> Box<Diagnostic> {
        err(
            Code::WrongIndexSet,
            format!(
                "`{}` ranges over `{}`, but dimension {} of `{shown}` is `{}`",
                show(e),
                own.describe(),
                dim + 1,
                want.describe()
            ),
        )
        .at(e.span, format!("an element of `{}` is expected", want.describe()))
        .into()
    }

    fn outside(&self, shown: &str, dim: usize, set: &IndexSet, lo: i64, hi: i64, span: Span) -> Box<Diagnostic> {
        let reach = if lo == hi {
            format!("is {lo}")
        } else {
            format!("runs from {lo} to {hi}")
        };
        err(
            Code::IndexOutOfRange,
            format!("an index of `{shown}` leaves its dimension"),
        )
        .at(span, format!("{reach}; dimension {} is `{}`", dim + 1, set.describe()))
        .help("restrict the index set, or add a condition: `i in 1..n-1`, `… if i < n`")
        .into()
    }
}

fn exact(v: f64) -> Option<i64> {
    (v.fract() == 0.0 && v.abs() < 9e15).then_some(v as i64)
}
