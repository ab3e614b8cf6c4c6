//! Sets whose elements are listed: tuples, subsets, families; their elements as indices.
//!
//! Invariant: an index over a listed set is one index over its elements, whose components are read from columns of data;
//! no product of sets is ever enumerated to find the elements of a listed one.

use std::sync::Arc;

use super::elements::{Given, tuple_text};
use super::index::{Affine, Opened};
use super::narrow::conjunction;
use super::problem::RowLabels;
use super::{Entity, Local, Lower, Lowered, Names, err};
use crate::base::value::{Column, IndexSet, LabelSet, ListedSet};
use crate::base::{Code, Diagnostic, Span};
use crate::ir::{DomainId, Node, NodeId, Pos};
use crate::lang::syntax::{BinaryOp, Binder, Binders, Expr, ExprKind, Ident, SetDecl, Subscript, show};

/// A set as declared: one, or one for each value of some indices.
#[derive(Clone, Debug)]
pub enum DeclaredSet {
    /// One set.
    One(IndexSet),
    /// A family: tuples whose first `keys` components select.
    Family {
        /// Keys and elements.
        set: Arc<ListedSet>,
        /// Number of components that select.
        keys: usize,
    },
}

/// The set of a declaration that reads no file, and the parameters whose values shaped it.
pub fn lower_set(names: &dyn Names, d: &SetDecl) -> Lowered<(DeclaredSet, Vec<String>)> {
    let mut l = Lower::new(names);
    let set = l.declared_set(d)?;
    Ok((set, l.structural.into_iter().collect()))
}

/// What the elements of a set declared `in` an expression are drawn from.
pub fn lower_parts(names: &dyn Names, within: &Expr) -> Lowered<Vec<IndexSet>> {
    Lower::new(names).parts(within)
}

/// Is every element of a set one of the set that `within` means? The error names the first that is not.
pub fn inside(names: &dyn Names, set: &IndexSet, within: &Expr, name: &str, span: Span) -> Lowered<()> {
    Lower::new(names).set_inside(set, within, name, span)
}

/// A set of tuples given by positions in `parts`, as a declaration holds it.
pub fn listed(name: &str, parts: Vec<IndexSet>, columns: Vec<Vec<u32>>, span: Span) -> Lowered<ListedSet> {
    ListedSet::new(name.into(), parts.clone(), columns.clone()).map_err(|(again, _)| {
        let key: Vec<String> = columns
            .iter()
            .zip(&parts)
            .map(|(c, p)| p.element(c[again] as usize))
            .collect();
        err(
            Code::DuplicateLabel,
            format!("{} is listed twice in `{name}`", tuple_text(&key)),
        )
        .at(span, "an element of a set stands in it once")
        .into()
    })
}

impl Lower<'_> {
    pub(super) fn declared_set(&mut self, d: &SetDecl) -> Lowered<DeclaredSet> {
        let name = &d.name.text;
        let Some(family) = &d.family else {
            let set = self.named_set(&d.value, name, d.within.as_ref())?;
            if let Some(w) = &d.within {
                self.set_inside(&set, w, name, d.value.span)?;
            }
            return Ok(DeclaredSet::One(set));
        };
        // The binders of the family, then those of its sets.
        let mut all = family.clone();
        match &d.value.kind {
            ExprKind::Subset(b) => {
                all.items.extend(b.items.iter().cloned());
                all.condition = match (all.condition.take(), b.condition.clone()) {
                    (Some(x), Some(y)) => Some(Box::new(conjunction(*x, *y))),
                    (x, y) => x.or(y),
                };
            }
            _ => all.items.push(Binder {
                names: vec![Ident {
                    text: "·".into(),
                    span: d.value.span,
                }],
                set: d.value.clone(),
                span: d.value.span,
            }),
        }
        let (mut set, counts) = self.collect(&all, name, d.value.span)?;
        let keys: usize = counts[..family.items.len()].iter().sum();
        if let Some(w) = &d.within {
            self.all_inside((&set.parts[keys..], &set.columns[keys..]), w, name, d.value.span)?;
        }
        set = set.sorted();
        Ok(DeclaredSet::Family {
            set: Arc::new(set),
            keys,
        })
    }

    /// The set an expression means, under the name it is declared by.
    fn named_set(&mut self, e: &Expr, name: &str, within: Option<&Expr>) -> Lowered<IndexSet> {
        let set = match &e.kind {
            ExprKind::Set(items) => {
                let parts = within.map(|w| self.parts(w)).transpose()?;
                self.set_of_items(items, e.span, name, parts)?
            }
            ExprKind::Subset(b) => IndexSet::Listed(Arc::new(self.collect(b, name, e.span)?.0)),
            ExprKind::Field { .. } | ExprKind::Index { .. } => match self.column_labels(e, name)? {
                Some(s) => s,
                None => self.dimension(e)?,
            },
            _ => self.dimension(e)?,
        };
        Ok(match set {
            IndexSet::Listed(l) if l.name != name => IndexSet::Listed(Arc::new(l.renamed(name))),
            // A part of another set is a set of its own, even if it holds everything.
            s @ IndexSet::Labels(_) if within.is_some() => {
                let n = s.len() as u32;
                IndexSet::Listed(Arc::new(listed(name, vec![s], vec![(0..n).collect()], e.span)?))
            }
            s => s,
        })
    }

    /// The different texts of a column of a table, in the order they come first.
    fn column_labels(&mut self, e: &Expr, name: &str) -> Lowered<Option<IndexSet>> {
        let (base, column) = match &e.kind {
            ExprKind::Field { base, name } => (base, name.text.clone()),
            ExprKind::Index { base, subscripts } => match subscripts.as_slice() {
                [
                    Subscript::At(Expr {
                        kind: ExprKind::Text(t),
                        ..
                    }),
                ] => (base, t.clone()),
                _ => return Ok(None),
            },
            _ => return Ok(None),
        };
        let Some(Entity::Table(t)) = base.as_name().and_then(|n| self.lookup(n)) else {
            return Ok(None);
        };
        let labels: indexmap::IndexSet<String> = match t.column(&column) {
            Some(Column::Texts(texts, _)) => texts.iter().cloned().collect(),
            Some(Column::Numbers(v)) => v.iter().map(f64::to_string).collect(),
            None => {
                // Says what there is.
                self.expr(e)?;
                return Ok(None);
            }
        };
        Ok(Some(IndexSet::Labels(Arc::new(LabelSet {
            name: name.into(),
            labels: labels.into_iter().collect(),
        }))))
    }

    /// What the elements of a set are drawn from; a product is not enumerated.
    pub(super) fn parts(&mut self, e: &Expr) -> Lowered<Vec<IndexSet>> {
        if let ExprKind::Chain { first, rest } = &e.kind
            && rest.iter().all(|l| l.op == BinaryOp::Mul)
        {
            let mut out = self.parts(first)?;
            for l in rest {
                out.extend(self.parts(&l.operand)?);
            }
            return Ok(out);
        }
        Ok(self.dimension(e)?.parts().to_vec())
    }

    fn set_inside(&mut self, set: &IndexSet, within: &Expr, name: &str, span: Span) -> Lowered<()> {
        match set {
            IndexSet::Listed(l) => self.all_inside((&l.parts, &l.columns), within, name, span),
            s @ IndexSet::Range { len, .. } => {
                let column: Vec<u32> = (0..*len as u32).collect();
                self.all_inside((std::slice::from_ref(s), &[column]), within, name, span)
            }
            IndexSet::Labels(_) => Ok(()),
        }
    }

    /// Are all elements, given by columns of positions in `own`, elements of the set that `within` means?
    fn all_inside(
        &mut self,
        (own, columns): (&[IndexSet], &[Vec<u32>]),
        within: &Expr,
        name: &str,
        span: Span,
    ) -> Lowered<()> {
        let parts = self.parts(within)?;
        let outside = |k: usize, of: String| -> Lowered<()> {
            let key: Vec<String> = own.iter().zip(columns).map(|(s, c)| s.element(c[k] as usize)).collect();
            let key = tuple_text(&key);
            Err(err(
                Code::UnknownLabel,
                format!("{key} of `{name}` is not an element of `{of}`"),
            )
            .at(span, "this set")
            .at(within.span, "every element must be in here")
            .into())
        };
        if own.len() != parts.len() {
            return Err(err(
                Code::WrongIndexCount,
                format!(
                    "elements of `{name}` have {} components, {} are declared",
                    own.len(),
                    parts.len()
                ),
            )
            .at(span, "this set")
            .at(within.span, "declared inside this")
            .into());
        }
        let target = match &within.kind {
            ExprKind::Chain { .. } => None,
            _ => match self.dimension(within)? {
                IndexSet::Listed(t) => Some(t),
                _ => None,
            },
        };
        for k in 0..columns.first().map_or(0, Vec::len) {
            let mut key = vec![];
            for (j, want) in parts.iter().enumerate() {
                let at = columns[j][k];
                let moved = match (&own[j], want) {
                    (IndexSet::Range { lo, .. }, IndexSet::Range { lo: first, len }) => {
                        u32::try_from(lo + i64::from(at) - first)
                            .ok()
                            .filter(|p| (*p as usize) < *len)
                    }
                    (a, b) if a == b => Some(at),
                    _ => None,
                };
                match moved {
                    Some(p) => key.push(p),
                    None => return outside(k, want.describe()),
                }
            }
            if let Some(t) = &target
                && t.find(&key).is_none()
            {
                return outside(k, t.name.clone());
            }
        }
        Ok(())
    }

    /// `{"a", "b"}`, `{1, 4}`, `{("a", "x"), …}` as a set; `parts` are what tuples are drawn from, where it is known.
    pub(super) fn set_of_items(
        &mut self,
        items: &[Expr],
        span: Span,
        name: &str,
        parts: Option<Vec<IndexSet>>,
    ) -> Lowered<IndexSet> {
        let texts: Vec<String> = items
            .iter()
            .filter_map(|i| match &i.kind {
                ExprKind::Text(t) => Some(t.clone()),
                _ => None,
            })
            .collect();
        if parts.is_none() && texts.len() == items.len() {
            if let Some(k) = (1..texts.len()).find(|k| texts[..*k].contains(&texts[*k])) {
                return Err(err(Code::DuplicateLabel, format!("\"{}\" is listed twice", texts[k]))
                    .at(items[k].span, "again here")
                    .into());
            }
            return Ok(IndexSet::Labels(Arc::new(LabelSet {
                name: name.into(),
                labels: texts,
            })));
        }
        let arity = parts.as_ref().map_or_else(
            || match items.first().map(|i| &i.kind) {
                Some(ExprKind::Tuple(t)) => t.len(),
                _ => 1,
            },
            Vec::len,
        );
        let mut values: Vec<Vec<i64>> = vec![vec![]; arity];
        for i in items {
            let components = match &i.kind {
                ExprKind::Tuple(t) => t.as_slice(),
                _ => std::slice::from_ref(i),
            };
            if components.len() != arity {
                return Err(err(
                    Code::WrongIndexCount,
                    format!(
                        "an element of `{name}` has {arity} components, this one {}",
                        components.len()
                    ),
                )
                .at(i.span, "here")
                .into());
            }
            for (k, c) in components.iter().enumerate() {
                values[k].push(match parts.as_ref().map(|p| &p[k]) {
                    Some(set @ IndexSet::Labels(_)) => match self.position(c, set, name, k)? {
                        Pos::Affine { terms, offset } if terms.is_empty() => offset,
                        _ => {
                            return Err(err(
                                Code::WrongType,
                                "an element of a set is known before the problem is solved",
                            )
                            .at(c.span, "here")
                            .into());
                        }
                    },
                    _ => self.integer(c)?,
                });
            }
        }
        let parts = match parts {
            Some(p) => p,
            None => values
                .iter()
                .map(|v| {
                    let lo = v.iter().min().copied().unwrap_or(1);
                    let hi = v.iter().max().copied().unwrap_or(0);
                    IndexSet::Range {
                        lo,
                        len: usize::try_from(hi.saturating_sub(lo).saturating_add(1)).unwrap_or(0),
                    }
                })
                .collect(),
        };
        if let ([v], [IndexSet::Range { .. }]) = (values.as_slice(), parts.as_slice())
            && let Some(lo) = v.first().copied()
            && v.iter().enumerate().all(|(k, x)| *x == lo + k as i64)
        {
            return Ok(IndexSet::Range { lo, len: v.len() });
        }
        let mut columns = vec![];
        for (v, part) in values.iter().zip(&parts) {
            let mut column = vec![];
            for (k, x) in v.iter().enumerate() {
                let p = u32::try_from(x - part.lo()).ok().filter(|p| (*p as usize) < part.len());
                match p {
                    Some(p) => column.push(p),
                    None => {
                        return Err(err(
                            Code::UnknownLabel,
                            format!("{x} of `{name}` is not an element of `{}`", part.describe()),
                        )
                        .at(items[k].span, "here")
                        .into());
                    }
                }
            }
            columns.push(column);
        }
        Ok(IndexSet::Listed(Arc::new(listed(name, parts, columns, span)?)))
    }

    /// A subset in an expression. It may not depend on indices around it.
    pub(super) fn subset(&mut self, b: &Binders, name: &str, span: Span) -> Lowered<IndexSet> {
        let region = std::mem::replace(&mut self.region, DomainId::ROOT);
        let found = self.collect(b, name, span);
        self.region = region;
        Ok(IndexSet::Listed(Arc::new(found?.0)))
    }

    /// The elements that binders and their condition select, and how many components each binder gives. Evaluated now.
    fn collect(&mut self, b: &Binders, name: &str, span: Span) -> Lowered<(ListedSet, Vec<usize>)> {
        let opened = self.open(b)?;
        let outer = self.ir.chain(opened.domain).len() > 1;
        let free = self.ir.domain(opened.domain).filter;
        let of_others = free.is_some_and(|f| {
            let mut indices = vec![];
            for n in self.ir.reachable(&[f]) {
                if let Node::Index(i) = self.ir.node(n) {
                    indices.push(self.ir.index(*i).domain);
                }
            }
            indices.iter().any(|d| !self.ir.encloses(opened.domain, *d))
        });
        if outer || of_others {
            return Err(err(
                Code::NotBuiltYet,
                "a subset that changes with an index is not built yet in an expression",
            )
            .at(span, "depends on an index around it")
            .help("declare a family: `set near[p in plants] = {m in markets if …}`")
            .into());
        }
        let (parts, nodes, counts) = self.bound_components(b, &opened)?;
        let mut all = nodes.clone();
        all.extend(
            self.ir
                .chain(opened.domain)
                .into_iter()
                .filter_map(|d| self.ir.domain(d).filter),
        );
        self.mark_structural(&all);
        let params: Vec<_> = self.params.iter().map(|(n, i)| (n.clone(), *i)).collect();
        let lists = self
            .names
            .lists(&self.ir, &params, opened.domain, &nodes)
            .map_err(|d| with_place(d, span))?;
        let mut columns = vec![];
        for (list, part) in lists.iter().zip(&parts) {
            let mut column = Vec::with_capacity(list.len());
            for v in list {
                match *v >= 0.0 && *v < part.len() as f64 {
                    true => column.push(*v as u32),
                    false => {
                        return Err(err(
                            Code::IndexOutOfRange,
                            format!("an element leaves `{}`", part.describe()),
                        )
                        .at(span, "while this set was made")
                        .into());
                    }
                }
            }
            columns.push(column);
        }
        Ok((listed(name, parts, columns, span)?, counts))
    }

    /// What the new names of binders are drawn from, their positions, and how many each binder gives.
    fn bound_components(&mut self, b: &Binders, opened: &Opened) -> Lowered<(Vec<IndexSet>, Vec<NodeId>, Vec<usize>)> {
        let (mut parts, mut nodes, mut counts) = (vec![], vec![], vec![]);
        for (k, item) in b.items.iter().enumerate() {
            let before = parts.len();
            for n in &item.names {
                // A name that selects is a component already.
                let earlier = b.items[..k].iter().flat_map(|i| &i.names).any(|m| m.text == n.text);
                if earlier || self.scope.get(&n.text).is_some() {
                    continue;
                }
                for (part, pos) in self.components(opened.scope.get(&n.text), n)? {
                    nodes.push(self.position_node(&pos)?);
                    parts.push(part);
                }
            }
            counts.push(parts.len() - before);
        }
        Ok((parts, nodes, counts))
    }

    /// What the rows of a family over an opened domain are called.
    pub(super) fn row_labels(&mut self, b: &Binders, opened: &Opened) -> Lowered<RowLabels> {
        let (parts, nodes, _) = self.bound_components(b, opened)?;
        Ok(RowLabels {
            domain: opened.domain,
            parts,
            nodes,
        })
    }

    /// Parameters that nodes read: their values shape the program.
    pub(super) fn mark_structural(&mut self, nodes: &[NodeId]) {
        let read: Vec<String> = self
            .ir
            .reachable(nodes)
            .into_iter()
            .filter_map(|n| match self.ir.node(n) {
                Node::Input(i) => self.params.iter().find(|(_, p)| *p == i).map(|(n, _)| n.clone()),
                _ => None,
            })
            .collect();
        self.structural.extend(read);
    }

    /// `next[p]` as the family, the number of its keys, and the keys given.
    pub(super) fn family_index<'e>(&mut self, e: &'e Expr) -> Lowered<Option<(Arc<ListedSet>, usize, Vec<Given<'e>>)>> {
        let ExprKind::Index { base, subscripts } = &e.kind else {
            return Ok(None);
        };
        let Some(n) = base.as_name() else { return Ok(None) };
        let (set, keys) = match self.scope.get(n) {
            Some(Local::Family(set, keys)) => (set, keys),
            Some(_) => return Ok(None),
            None => match self.lookup(n) {
                Some(Entity::Family { set, keys }) => (set, keys),
                _ => return Ok(None),
            },
        };
        let mut given = vec![];
        for s in subscripts {
            if let Subscript::At(x) = s {
                given.extend(self.givens(x));
            }
        }
        if given.len() != keys {
            return Err(
                err(Code::WrongIndexCount, format!("the family `{n}` takes {keys} indices"))
                    .at(e.span, format!("{} given", given.len()))
                    .into(),
            );
        }
        Ok(Some((set, keys, given)))
    }

    /// One set of a family, if its keys are known now.
    pub(super) fn family_member(&mut self, e: &Expr) -> Lowered<Option<IndexSet>> {
        let Some((set, keys, given)) = self.family_index(e)? else {
            return Ok(None);
        };
        let mut key = vec![];
        for (k, (g, part)) in given.iter().zip(&set.parts).enumerate() {
            match self.given_position(g, part, &set.name, k)? {
                Pos::Affine { terms, offset } if terms.is_empty() => key.push(offset.max(0) as u32),
                _ => return Ok(None),
            }
        }
        let places = set.starting(&key);
        let columns = set.columns[keys..]
            .iter()
            .map(|c| places.iter().map(|p| c[*p as usize]).collect())
            .collect();
        Ok(Some(IndexSet::Listed(Arc::new(listed(
            &show(e),
            set.parts[keys..].to_vec(),
            columns,
            e.span,
        )?))))
    }

    /// A product of sets, element by element.
    pub(super) fn product_set(&mut self, e: &Expr) -> Lowered<Option<IndexSet>> {
        let ExprKind::Chain { first, rest } = &e.kind else {
            return Ok(None);
        };
        if !rest.iter().all(|l| l.op == BinaryOp::Mul) {
            return Ok(None);
        }
        let Some(start) = self.known_set(first)? else {
            return Ok(None);
        };
        let mut factors = vec![start];
        for l in rest {
            match self.known_set(&l.operand)? {
                Some(s) => factors.push(s),
                None => return Ok(None),
            }
        }
        let total = factors.iter().fold(1u128, |n, s| n.saturating_mul(s.len() as u128));
        let bytes = total.saturating_mul(8 * factors.len() as u128);
        if total > u128::from(u32::MAX) || bytes > u128::from(self.names.memory()) {
            return Err(err(
                Code::TooLarge,
                format!("`{}` has {total} elements, which would all be listed", show(e)),
            )
            .at(e.span, "a product of sets")
            .help("range over the factors: `p in plants, m in markets`; or name the pairs that count: `set arcs in plants*markets = …`")
            .into());
        }
        let mut parts = vec![];
        let mut columns: Vec<Vec<u32>> = vec![];
        let mut block = total as usize;
        let mut blocks = 1usize;
        for f in &factors {
            let n = f.len().max(1);
            block /= n;
            let places = (0..blocks).flat_map(|_| (0..f.len()).flat_map(|k| std::iter::repeat_n(k, block)));
            let places: Vec<usize> = places.collect();
            match f {
                IndexSet::Listed(l) => {
                    for (c, part) in l.columns.iter().zip(&l.parts) {
                        columns.push(places.iter().map(|k| c[*k]).collect());
                        parts.push(part.clone());
                    }
                }
                s => {
                    columns.push(places.iter().map(|k| *k as u32).collect());
                    parts.push(s.clone());
                }
            }
            blocks *= n;
        }
        Ok(Some(IndexSet::Listed(Arc::new(listed(
            &show(e),
            parts,
            columns,
            e.span,
        )?))))
    }

    /// Least and greatest value of a bound of a range over the instances of the domain it depends on.
    pub(super) fn data_extremes(&mut self, n: NodeId, span: Span) -> Lowered<(i64, i64)> {
        let domain = self.ir.region(n);
        let mut all = vec![n];
        all.extend(
            self.ir
                .chain(domain)
                .into_iter()
                .filter_map(|d| self.ir.domain(d).filter),
        );
        self.mark_structural(&all);
        let params: Vec<_> = self.params.iter().map(|(n, i)| (n.clone(), *i)).collect();
        let lists = self
            .names
            .lists(&self.ir, &params, domain, &[n])
            .map_err(|d| with_place(d, span))?;
        let values = lists.into_iter().next().unwrap_or_default();
        let mut out: Option<(i64, i64)> = None;
        for v in values {
            if v.fract() != 0.0 || v.abs() > 9e15 {
                return Err(
                    err(Code::WrongType, format!("a bound of a range is {v}, not an integer"))
                        .at(span, "a range has integer ends")
                        .into(),
                );
            }
            let v = v as i64;
            out = Some(out.map_or((v, v), |(a, b)| (a.min(v), b.max(v))));
        }
        Ok(out.unwrap_or((1, 0)))
    }

    /// An affine function as a node: of bound indices, or a number.
    pub(super) fn bound_node(&mut self, e: &Expr) -> Lowered<(NodeId, Option<Affine>)> {
        if let Some(a) = self.affine(e)? {
            return Ok((self.affine_node(&a), Some(a)));
        }
        let v = self.expr(e)?;
        let n = self.number(&v, e.span)?;
        if self.depends_on_var(n) {
            return Err(
                err(Code::ConditionOnVariable, "a bound of a range depends on a variable")
                    .at(e.span, "which indices there are must be known before solving")
                    .into(),
            );
        }
        Ok((n, None))
    }
}

fn with_place(mut d: Box<Diagnostic>, span: Span) -> Box<Diagnostic> {
    if d.labels.is_empty() {
        *d = d.at(span, "while this was evaluated");
    }
    d
}
