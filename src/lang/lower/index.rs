//! Integers, index sets, binders and subscripts.
//!
//! Invariant: a subscript becomes an affine position wherever it is affine in bound indices, proved inside the array
//! unless a filter is what keeps it inside.

use std::rc::Rc;

use std::sync::Arc;

use super::elements::Given;
use super::{Arr, Entity, Local, Lower, Lowered, Part, Src, Val, describe, err};
use crate::atoms;
use crate::base::value::{Elem, IndexSet, ListedSet};
use crate::base::{Code, Diagnostic, Span};
use crate::ir::{DomainId, IndexId, NodeId, Pos};
use crate::lang::syntax::{BinaryOp, Binder, Binders, Expr, ExprKind, Link, Subscript, UnaryOp, show};

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

/// An opened domain.
pub(super) struct Opened {
    /// The domain.
    pub domain: DomainId,
    /// The scope with the names it binds.
    pub scope: super::Scope,
    /// What its indices range over.
    pub sets: Vec<IndexSet>,
}

/// What one dimension of an array is read at.
enum Slot {
    /// A position.
    At(Pos),
    /// Every position, moved.
    Shifted(i64),
    /// The elements of a subset.
    Selected(Arc<ListedSet>, IndexSet, Rc<Expr>),
}

/// An index still to be used.
enum Item<'s> {
    Sub(&'s Subscript),
    Given(Given<'s>),
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
                    IndexSet::Labels(_) | IndexSet::Listed(_) => None,
                },
                Some(Local::Size(k)) => Some(Affine::constant(k as i64)),
                Some(Local::Let(x)) => self.affine(&x)?,
                Some(Local::Val(Val::Num(k, _))) => self.ir.as_const(k).and_then(exact).map(Affine::constant),
                Some(_) => None,
                None => match self.lookup(n) {
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
    pub(super) fn extremes(&self, a: &Affine) -> (i64, i64) {
        let (mut lo, mut hi) = (a.constant, a.constant);
        for (i, c) in &a.terms {
            let s = &self.ir.index(*i).set;
            let (first, last) = (s.lo(), s.lo() + s.len() as i64 - 1);
            lo += (c * first).min(c * last);
            hi += (c * first).max(c * last);
        }
        (lo, hi)
    }

    pub(super) fn affine_node(&mut self, a: &Affine) -> NodeId {
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
    pub(super) fn known_set(&mut self, e: &Expr) -> Lowered<Option<IndexSet>> {
        Ok(match &e.kind {
            ExprKind::Name(n) => match self.scope.get(n) {
                Some(Local::Val(Val::Set(s))) | Some(Local::Dims(s)) => Some(s),
                Some(_) => None,
                None => match self.lookup(n) {
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
            ExprKind::Chain { .. } => self.product_set(e)?,
            ExprKind::Index { .. } => self.family_member(e)?,
            ExprKind::Set(items) => Some(self.set_of_items(items, e.span, &show(e), None)?),
            ExprKind::Subset(b) => Some(self.subset(b, &show(e), e.span)?),
            _ => None,
        })
    }

    /// Opens the domain of `binders`.
    pub(super) fn open(&mut self, b: &Binders) -> Lowered<Opened> {
        let b = &self.direct(b)?;
        let parent = self.region;
        let (d, _) = self.ir.add_domain(parent, []);
        let mut out = Opened {
            domain: d,
            scope: self.scope.clone(),
            sets: vec![],
        };
        let mut conditions: Vec<NodeId> = vec![];
        for item in &b.items {
            let scope = out.scope.clone();
            self.with_scope(scope, |l| l.in_region(d, |l| l.bind(item, &mut out, &mut conditions)))?;
        }
        if let Some(c) = &b.condition {
            let v = self.with_scope(out.scope.clone(), |l| l.in_region(d, |l| l.expr(c)))?;
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
        Ok(out)
    }

    /// One binder of the domain that is being opened: its index, its names, the conditions that cut it.
    fn bind(&mut self, item: &Binder, out: &mut Opened, conditions: &mut Vec<NodeId>) -> Lowered<()> {
        let label: Vec<&str> = item.names.iter().map(|n| n.text.as_str()).collect();
        let label = label.join(", ");
        // A set of a family whose keys are indices: a slice of its tuples.
        let member = match self.family_member(&item.set)? {
            Some(s) => Err(s),
            None => Ok(self.family_index(&item.set)?),
        };
        let (set, skip, conds) = match member {
            Ok(Some((family, keys, given))) => {
                let i = self.ir.add_index(out.domain, label, IndexSet::Listed(family.clone()));
                out.sets.push(IndexSet::Listed(family.clone()));
                let at = Pos::index(i);
                for (column, g) in given.iter().enumerate() {
                    let part = Part {
                        set: family.clone(),
                        at: at.clone(),
                        column,
                    };
                    conditions.push(self.selected(&part, g)?);
                    if let Some(n) = g.expr().as_name() {
                        out.scope = out.scope.with(n, Local::Part(part));
                    }
                }
                return self.bind_names(item, &family, &at, keys, out, conditions);
            }
            Err(s) => (s, 0, vec![]),
            Ok(None) => {
                let (s, c) = self.binder_set(&item.set)?;
                (s, 0, c)
            }
        };
        let i = self.ir.add_index(out.domain, label, set.clone());
        for (bound, is_lower) in conds {
            let v = self.ir.index_value(i);
            let args = if is_lower { [bound, v] } else { [v, bound] };
            conditions.push(self.ir.apply(atoms::LE, &args));
        }
        out.sets.push(set.clone());
        if let IndexSet::Listed(l) = &set {
            return self.bind_names(item, l, &Pos::index(i), skip, out, conditions);
        }
        let [name] = item.names.as_slice() else {
            return Err(err(
                Code::WrongIndexCount,
                format!("an element of `{}` has one component", set.describe()),
            )
            .at(item.span, format!("the tuple names {}", item.names.len()))
            .into());
        };
        out.scope = out.scope.with(&name.text, Local::Index(i));
        Ok(())
    }

    /// The names of a binder over a listed set: a new one binds a component, one in force selects.
    fn bind_names(
        &mut self,
        item: &Binder,
        set: &Arc<ListedSet>,
        at: &Pos,
        skip: usize,
        out: &mut Opened,
        conditions: &mut Vec<NodeId>,
    ) -> Lowered<()> {
        let arity = set.parts.len() - skip;
        let part = |column: usize| Part {
            set: set.clone(),
            at: at.clone(),
            column: skip + column,
        };
        if let ([name], true) = (item.names.as_slice(), arity > 1) {
            if skip > 0 {
                return Err(err(
                    Code::WrongIndexCount,
                    format!("an element of this set has {arity} components"),
                )
                .at(name.span, "one name")
                .help("name them all: `(a, b) in …`")
                .into());
            }
            out.scope = out.scope.with(&name.text, Local::Whole(set.clone(), at.clone()));
            return Ok(());
        }
        if item.names.len() != arity {
            return Err(err(
                Code::WrongIndexCount,
                format!("an element of `{}` has {arity} components", set.name),
            )
            .at(item.span, format!("the tuple names {}", item.names.len()))
            .into());
        }
        for (k, n) in item.names.iter().enumerate() {
            let in_force = item.names.len() > 1
                && matches!(
                    out.scope.get(&n.text),
                    Some(Local::Index(_) | Local::Part(_) | Local::Val(Val::Num(..)))
                );
            if !in_force {
                out.scope = out.scope.with(&n.text, Local::Part(part(k)));
                continue;
            }
            let e = Expr {
                id: crate::lang::syntax::ExprId(0),
                span: n.span,
                kind: ExprKind::Name(n.text.clone()),
            };
            let c = self.with_scope(out.scope.clone(), |l| {
                let given = l.givens(&e);
                match given.as_slice() {
                    [g] => l.selected(&part(k), g),
                    _ => Err(err(Code::WrongIndexSet, format!("`{}` is a tuple", n.text))
                        .at(n.span, "one component is needed")
                        .into()),
                }
            })?;
            conditions.push(c);
            // Inside, the component says as much as the index, and belongs to the element.
            out.scope = out.scope.with(&n.text, Local::Part(part(k)));
        }
        Ok(())
    }

    /// The set of a binder: known, or a range whose ends depend on outer indices or on data (its largest extent, with
    /// the bounds that cut it).
    fn binder_set(&mut self, e: &Expr) -> Lowered<(IndexSet, Vec<(NodeId, bool)>)> {
        if let Some(s) = self.known_set(e)? {
            return Ok((s, vec![]));
        }
        if let ExprKind::Range { lo, hi } = &e.kind {
            let mut conds = vec![];
            let mut ends = vec![];
            for (x, is_lower) in [(lo, true), (hi, false)] {
                let (node, affine) = self.bound_node(x)?;
                let (least, most) = match &affine {
                    Some(a) => self.extremes(a),
                    None => self.data_extremes(node, x.span)?,
                };
                ends.push(if is_lower { least } else { most });
                if affine.is_none_or(|a| !a.terms.is_empty()) {
                    conds.push((node, is_lower));
                }
            }
            let len = usize::try_from(ends[1].saturating_sub(ends[0]).saturating_add(1)).unwrap_or(0);
            return Ok((IndexSet::Range { lo: ends[0], len }, conds));
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
        let wanted: usize = base.dims.iter().map(IndexSet::arity).sum();
        let count = |given: usize| -> Box<Diagnostic> {
            err(
                Code::WrongIndexCount,
                format!("`{shown}` is {} and takes {wanted} indices", describe(&base.dims)),
            )
            .at(span, format!("{given} given"))
            .into()
        };
        let mut plan: Vec<Slot> = vec![];
        let mut dims = vec![];
        let mut queue: std::collections::VecDeque<Item<'_>> = subs.iter().map(Item::Sub).collect();
        for (k, set) in base.dims.iter().enumerate() {
            let Some(item) = queue.pop_front() else {
                return Err(count(subs.len()));
            };
            match item {
                Item::Sub(Subscript::All(_)) => {
                    plan.push(Slot::Shifted(0));
                    dims.push(set.clone());
                }
                Item::Sub(Subscript::Range(r)) => {
                    let ExprKind::Range { lo, hi } = &r.kind else { continue };
                    let (a, b) = (self.integer(lo)?, self.integer(hi)?);
                    let n = (b - a + 1).max(0);
                    let IndexSet::Range { .. } = set else {
                        return Err(err(
                            Code::WrongIndexSet,
                            format!("`{}` is no range of integers", set.describe()),
                        )
                        .at(r.span, "a range of integers")
                        .help("use `:` for all elements")
                        .into());
                    };
                    if n > 0 && (a < set.lo() || b > set.lo() + set.len() as i64 - 1) {
                        return Err(self.outside(shown, k, set, a, b, r.span));
                    }
                    plan.push(Slot::Shifted(a - set.lo()));
                    dims.push(IndexSet::upto(n as usize));
                }
                Item::Sub(sub @ Subscript::At(e)) if !matches!(e.kind, ExprKind::Tuple(_)) => {
                    match self.known_set(e)? {
                        // A named range of integers is a slice like any other.
                        Some(IndexSet::Range { lo, len }) if matches!(set, IndexSet::Range { .. }) => {
                            let hi = lo + len as i64 - 1;
                            if len > 0 && (lo < set.lo() || hi > set.lo() + set.len() as i64 - 1) {
                                return Err(self.outside(shown, k, set, lo, hi, e.span));
                            }
                            plan.push(Slot::Shifted(lo - set.lo()));
                            dims.push(IndexSet::upto(len));
                        }
                        Some(s) if s == *set => {
                            plan.push(Slot::Shifted(0));
                            dims.push(s);
                        }
                        Some(IndexSet::Listed(l)) if l.parts.len() == set.arity() => {
                            plan.push(Slot::Selected(l.clone(), set.clone(), Rc::new(e.clone())));
                            dims.push(IndexSet::Listed(l));
                        }
                        Some(s) => return Err(self.wrong_set(e, &s, set, shown, k)),
                        None => {
                            queue.push_front(Item::Sub(sub));
                            plan.push(Slot::At(self.next_position(&mut queue, set, shown, k, span, &count)?));
                        }
                    }
                }
                item => {
                    queue.push_front(item);
                    plan.push(Slot::At(self.next_position(&mut queue, set, shown, k, span, &count)?));
                }
            }
        }
        if !queue.is_empty() {
            return Err(count(subs.len()));
        }
        let at = move |l: &mut Lower<'_>, given: &[Pos]| -> Lowered<Vec<Pos>> {
            let mut next = given.iter();
            let mut out = vec![];
            for p in &plan {
                let mut free = || next.next().cloned().unwrap_or_else(|| Pos::fixed(0));
                out.push(match p {
                    Slot::At(p) => p.clone(),
                    Slot::Shifted(by) => {
                        let g = free();
                        l.shift(&g, *by)
                    }
                    Slot::Selected(set, want, e) => {
                        let g = free();
                        l.restricted(set, want, &g, e)?
                    }
                });
            }
            Ok(out)
        };
        let elem = base.elem;
        if dims.is_empty() {
            let p = at(self, &[])?;
            return Ok(Val::Num(self.entry(&base, &p)?, elem));
        }
        let pull = Rc::new(move |l: &mut Lower<'_>, given: &[Pos]| {
            let p = at(l, given)?;
            l.entry(&base, &p)
        });
        Ok(Val::Arr(Arr {
            dims,
            src: Src::Pull(pull),
            covector: false,
            elem,
        }))
    }

    /// The position in the next dimension, from as many indices as its elements have components.
    fn next_position<'s>(
        &mut self,
        queue: &mut std::collections::VecDeque<Item<'s>>,
        set: &IndexSet,
        shown: &str,
        k: usize,
        span: Span,
        count: &dyn Fn(usize) -> Box<Diagnostic>,
    ) -> Lowered<Pos> {
        let mut given: Vec<Given<'s>> = vec![];
        while given.len() < set.arity() {
            match queue.pop_front() {
                Some(Item::Given(g)) => given.push(g),
                Some(Item::Sub(Subscript::At(e))) => {
                    // A tuple may reach over several dimensions.
                    let parts = self.givens(e);
                    for g in parts.into_iter().rev() {
                        queue.push_front(Item::Given(g));
                    }
                }
                _ => return Err(count(given.len())),
            }
        }
        match (set, given.as_slice()) {
            (IndexSet::Listed(l), g) => self.element(l, g, shown, k, span),
            (s, [g]) => self.given_position(g, s, shown, k),
            _ => Err(count(given.len())),
        }
    }

    pub(super) fn shift(&mut self, p: &Pos, by: i64) -> Pos {
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
    pub(super) fn position(&mut self, e: &Expr, set: &IndexSet, shown: &str, dim: usize) -> Lowered<Pos> {
        if let IndexSet::Labels(labels) = set {
            if let Some(n) = e.as_name()
                && let Some(Local::Part(p)) = self.scope.get(n)
            {
                return self.given_position(&Given::Part(p, e), set, shown, dim);
            }
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
                if self.guards.is_empty() {
                    return Err(self.outside(shown, dim, set, lo, hi, e.span));
                }
                let n = self.affine_node(&a);
                let k = self.ir.constant(-(first as f64));
                let n = self.ir.apply(atoms::ADD, &[n, k]);
                return Ok(Pos::Node(self.guarded(n)));
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
        // Of a step everything is known when it runs.
        if self.depends_on_var(n) && self.shared.is_none() {
            return Err(err(Code::ConditionOnVariable, "an index depends on a variable")
                .at(e.span, "which entry is read must be known before solving")
                .into());
        }
        let k = self.ir.constant(-(set.lo() as f64));
        let n = self.ir.apply(atoms::ADD, &[n, k]);
        Ok(Pos::Node(self.guarded(n)))
    }

    pub(super) fn filtered(&self, d: DomainId) -> bool {
        // A domain still open has no filter yet; ranges cut by outer indices and conditions are set when it is closed.
        self.ir.chain(d).into_iter().any(|d| self.ir.domain(d).filter.is_some())
    }

    pub(super) fn wrong_set(
        &self,
        e: &Expr,
        own: &IndexSet,
        want: &IndexSet,
        shown: &str,
        dim: usize,
    ) -> Box<Diagnostic> {
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
