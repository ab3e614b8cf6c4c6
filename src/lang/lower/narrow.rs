//! Binders written as products and conditions, turned into binders that cost what they select.
//!
//! Invariant: the same combinations come out, whatever was rewritten.

use super::{Entity, Local, Lower, Lowered, Val};
use crate::base::value::IndexSet;
use crate::lang::syntax::{BinaryOp, Binder, Binders, CompareOp, Expr, ExprKind, Ident};

impl Lower<'_> {
    /// Binders written as tuples where a product of sets stands, and pairs of plain binders that a condition
    /// `(p, m) in arcs` restricts, become binders of the kind that costs what it selects.
    pub(super) fn direct(&mut self, b: &Binders) -> Lowered<Binders> {
        let mut items: Vec<Binder> = vec![];
        for item in &b.items {
            let factors: Vec<&Expr> = match &item.set.kind {
                ExprKind::Chain { first, rest } if rest.iter().all(|l| l.op == BinaryOp::Mul) => {
                    std::iter::once(&**first)
                        .chain(rest.iter().map(|l| &l.operand))
                        .collect()
                }
                _ => vec![],
            };
            if factors.len() < 2 || item.names.len() < 2 {
                items.push(item.clone());
                continue;
            }
            let mut names = item.names.as_slice();
            for f in factors {
                let n = self.parts(f)?.len().min(names.len());
                let (own, rest) = names.split_at(n);
                names = rest;
                items.push(Binder {
                    names: own.to_vec(),
                    set: f.clone(),
                    span: item.span,
                });
            }
        }
        let mut conditions: Vec<Expr> = vec![];
        for c in b.condition.iter().flat_map(|c| conjuncts(c)) {
            match self.restricting(&items, c)? {
                Some(replaced) => items = replaced,
                None => conditions.push(c.clone()),
            }
        }
        Ok(Binders {
            items,
            condition: conditions.into_iter().reduce(conjunction).map(Box::new),
            span: b.span,
        })
    }

    /// The binders with those that `(p, m) in arcs` restricts replaced by a binder over `arcs`.
    fn restricting(&mut self, items: &[Binder], condition: &Expr) -> Lowered<Option<Vec<Binder>>> {
        let ExprKind::Compare { first, rest } = &condition.kind else {
            return Ok(None);
        };
        let [link] = rest.as_slice() else { return Ok(None) };
        if link.op != CompareOp::In {
            return Ok(None);
        }
        let components: &[Expr] = match &first.kind {
            ExprKind::Tuple(t) => t,
            _ => std::slice::from_ref(first),
        };
        let names: Option<Vec<&str>> = components.iter().map(Expr::as_name).collect();
        let Some(names) = names else { return Ok(None) };
        let member = matches!(link.operand.kind, ExprKind::Index { .. });
        let parts = if member {
            match self.family_index_parts(&link.operand)? {
                Some(p) => p,
                None => return Ok(None),
            }
        } else {
            match (&link.operand.kind, self.known_name(&link.operand)) {
                (ExprKind::Name(_), Some(IndexSet::Listed(l))) => l.parts.clone(),
                _ => return Ok(None),
            }
        };
        if parts.len() != names.len() {
            return Ok(None);
        }
        // Binders whose set holds every component that may come.
        let mut covered = vec![];
        let mut after = None;
        for (k, item) in items.iter().enumerate() {
            let Some(j) = item.names.iter().find_map(|n| names.iter().position(|m| *m == n.text)) else {
                continue;
            };
            after = Some(k);
            if item.names.len() > 1 || names.iter().filter(|m| **m == names[j]).count() > 1 {
                continue;
            }
            let holds = match (self.plain_set(&item.set), &parts[j]) {
                (Some(IndexSet::Range { lo, len }), IndexSet::Range { lo: first, len: n }) => {
                    lo <= *first && first + *n as i64 <= lo + len as i64
                }
                (Some(a), b) => a == *b,
                (None, _) => false,
            };
            if holds {
                covered.push(k);
            }
        }
        let Some(after) = after else { return Ok(None) };
        if covered.is_empty() {
            return Ok(None);
        }
        // What stands between must not speak of the names that are bound later now.
        let moved: Vec<&str> = covered.iter().map(|k| items[*k].names[0].text.as_str()).collect();
        let speaks = |e: &Expr| mentions(e, &moved);
        if items[..=after].iter().any(|i| speaks(&i.set)) || member && mentions(&link.operand, &moved) {
            return Ok(None);
        }
        let mut out = vec![];
        for (k, item) in items.iter().enumerate() {
            if !covered.contains(&k) {
                out.push(item.clone());
            }
            if k == after {
                out.push(Binder {
                    names: components
                        .iter()
                        .zip(&names)
                        .map(|(c, n)| Ident {
                            text: (*n).into(),
                            span: c.span,
                        })
                        .collect(),
                    set: link.operand.clone(),
                    span: condition.span,
                });
            }
        }
        Ok(Some(out))
    }

    pub(super) fn family_index_parts(&mut self, e: &Expr) -> Lowered<Option<Vec<IndexSet>>> {
        let ExprKind::Index { base, .. } = &e.kind else {
            return Ok(None);
        };
        let Some(n) = base.as_name() else { return Ok(None) };
        Ok(match (self.scope.get(n), self.lookup(n)) {
            (Some(Local::Family(set, keys)), _) | (None, Some(Entity::Family { set, keys })) => {
                Some(set.parts[keys..].to_vec())
            }
            _ => None,
        })
    }

    /// A set by name.
    fn known_name(&self, e: &Expr) -> Option<IndexSet> {
        let n = e.as_name()?;
        match self.scope.get(n) {
            Some(Local::Val(Val::Set(s)) | Local::Dims(s)) => Some(s),
            Some(_) => None,
            None => match self.lookup(n) {
                Some(Entity::Set(s)) => Some(s),
                _ => None,
            },
        }
    }

    /// A named set or a range between numbers known now.
    fn plain_set(&mut self, e: &Expr) -> Option<IndexSet> {
        match &e.kind {
            ExprKind::Name(_) => self.known_name(e),
            ExprKind::Range { .. } => self.known_set(e).ok().flatten(),
            _ => None,
        }
    }
}

/// The parts of a condition that all have to hold.
fn conjuncts(e: &Expr) -> Vec<&Expr> {
    match &e.kind {
        ExprKind::Chain { first, rest } if rest.iter().all(|l| l.op == BinaryOp::And) => {
            let mut out = conjuncts(first);
            rest.iter().for_each(|l| out.extend(conjuncts(&l.operand)));
            out
        }
        _ => vec![e],
    }
}

/// Both conditions.
pub(super) fn conjunction(a: Expr, b: Expr) -> Expr {
    Expr {
        id: a.id,
        span: a.span,
        kind: ExprKind::Chain {
            rest: vec![crate::lang::syntax::Link {
                op: BinaryOp::And,
                op_span: b.span,
                operand: b,
            }],
            first: Box::new(a),
        },
    }
}

fn mentions(e: &Expr, names: &[&str]) -> bool {
    if e.as_name().is_some_and(|n| names.contains(&n)) {
        return true;
    }
    let mut found = false;
    e.for_each_child(&mut |c| found |= mentions(c, names));
    found
}
