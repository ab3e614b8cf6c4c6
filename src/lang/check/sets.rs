//! Sets: declarations, products, subsets, families, tuples and membership in them.
//!
//! Invariant: the components of a listed set's elements are labels or integers, whatever sets it was made from, so that
//! an element of a subset indexes what the larger set indexes.

use std::rc::Rc;

use super::declare::is_read;
use super::types::{Dim, Elem, Kind, Poly, Same, Ty};
use super::{Checker, Place, What};
use crate::base::{Code, Diagnostic, Span};
use crate::lang::errors::types as errors;
use crate::lang::syntax::{BinaryOp, Binders, Expr, ExprKind, Link, SetDecl, Subscript, show};

/// A short text of an expression, as the name of the set it stands for.
fn title(e: &Expr) -> String {
    let text = show(e);
    if text.chars().count() <= 40 {
        return text;
    }
    let head: String = text.chars().take(39).collect();
    format!("{head}…")
}

impl Checker<'_> {
    pub(super) fn set_decl(&mut self, d: &SetDecl) {
        let name = &d.name;
        let Some(family) = &d.family else {
            let within = d.within.as_ref().map(|w| self.set_of(w));
            let what = match self.set_value(&d.value, &name.text, within.as_ref(), name.span) {
                (Dim::Unknown, _) => What::Error,
                (dim, labels) => What::Set { dim, labels },
            };
            return self.declare(name, what);
        };
        let place = std::mem::replace(&mut self.place, Place::Function);
        let what = self.within_binders(&d.value, family, |c, own| {
            let within = d.within.as_ref().map(|w| c.set_of(w));
            let (dim, _) = c.set_value(&d.value, &name.text, within.as_ref(), name.span);
            if is_read(&d.value) {
                let m = Diagnostic::new(Code::WrongType, "one file holds one set, not a family of sets")
                    .at(d.value.span, "")
                    .help(format!(
                        "read the pairs, and select: `set pairs in … = read(…)`, `set {}[…] = {{m in markets if (p, m) in pairs}}`",
                        name.text
                    ));
                c.report(m);
                return What::Error;
            }
            match dim {
                Dim::Unknown => What::Error,
                dim => What::Family {
                    keys: own.parts.clone(),
                    parts: dim.parts().to_vec(),
                },
            }
        });
        self.place = place;
        self.declare(name, what);
    }

    /// What a declared set is: its elements' components, and its labels if they stand in the program.
    fn set_value(
        &mut self,
        value: &Expr,
        name: &str,
        within: Option<&Dim>,
        at: Span,
    ) -> (Dim, Option<Rc<indexmap::IndexSet<String>>>) {
        if within == Some(&Dim::Unknown) {
            // What is wrong was said there.
            if !is_read(value) && !matches!(value.kind, ExprKind::Set(_)) {
                self.expr(value);
            }
            return (Dim::Unknown, None);
        }
        let listed = |parts: &[Dim]| Dim::Listed {
            name: name.into(),
            parts: parts.to_vec(),
        };
        let (dim, labels) = match &value.kind {
            ExprKind::Set(items) if within.is_none() && items.iter().all(|i| matches!(i.kind, ExprKind::Text(_))) => {
                let mut set = indexmap::IndexSet::new();
                for i in items {
                    self.expr(i);
                    let ExprKind::Text(t) = &i.kind else { continue };
                    if let Some(first) = set.get_index_of(t) {
                        let m = Diagnostic::new(Code::DuplicateLabel, format!("\"{t}\" is listed twice"))
                            .at(i.span, "again here")
                            .at(items[first].span, "first here")
                            .help("an element of a set stands in it once");
                        self.report(m);
                        break;
                    }
                    set.insert(t.clone());
                }
                (Dim::Labels(name.into()), Some(Rc::new(set)))
            }
            ExprKind::Set(items) => (self.listed_set(value, items, within, name), None),
            ExprKind::Call { args, .. } if is_read(value) => {
                self.read_args(args, value.span);
                let dim = match within {
                    Some(w) => listed(w.parts()),
                    None => Dim::Labels(name.into()),
                };
                (dim, None)
            }
            ExprKind::Subset(_) => match self.expr(value).kind {
                Kind::Set(d @ Dim::Listed { .. }) => (listed(d.parts()), None),
                _ => (Dim::Unknown, None),
            },
            ExprKind::Error => (Dim::Unknown, None),
            ExprKind::Field { base, .. } | ExprKind::Index { base, .. } if within.is_none() && self.is_table(base) => {
                match self.expr(value).is_error() {
                    true => (Dim::Unknown, None),
                    false => (Dim::Labels(name.into()), None),
                }
            }
            ExprKind::Labelled(_) => {
                let m = errors::wrong_type("a set", "a labelled array", value.span)
                    .help("the elements of a set stand without values: `{\"a\", \"b\"}`");
                self.report(m);
                (Dim::Unknown, None)
            }
            _ => match self.set_of(value) {
                Dim::Listed { parts, .. } => (listed(&parts), None),
                d if within.is_some() && d != Dim::Unknown => (listed(d.parts()), None),
                d => (d, None),
            },
        };
        if let (Some(w), false) = (within, dim == Dim::Unknown) {
            self.part_of(&dim, w, name, value.span, at);
        }
        match within {
            Some(Dim::Unknown) => (Dim::Unknown, None),
            _ => (dim, labels),
        }
    }

    /// Reports a set that cannot be part of another one.
    fn part_of(&mut self, dim: &Dim, within: &Dim, name: &str, value: Span, at: Span) {
        let fits = dim.arity() == within.arity()
            && dim.parts().iter().zip(within.parts()).all(|(a, b)| match (a, b) {
                (Dim::Labels(_), Dim::Labels(_)) => a.same(b) == Same::Yes,
                (Dim::Range { .. }, Dim::Range { .. }) => true,
                (a, b) => *a == Dim::Unknown || *b == Dim::Unknown,
            });
        if fits || *within == Dim::Unknown {
            return;
        }
        let words = |d: &Dim| {
            let names: Vec<String> = d.parts().iter().map(Dim::describe).collect();
            names.join(" * ")
        };
        let m = Diagnostic::new(
            Code::WrongIndexSet,
            format!(
                "`{name}` is declared inside {}, its elements are from {}",
                words(within),
                words(dim)
            ),
        )
        .at(value, format!("elements of {}", words(dim)))
        .at(at, "declared here");
        self.report(m);
    }

    /// A set literal that is no set of labels: integers, or tuples of integers and of labels of known sets.
    fn listed_set(&mut self, e: &Expr, items: &[Expr], within: Option<&Dim>, name: &str) -> Dim {
        let before = self.diagnostics.len();
        let mut arity = within.map(Dim::arity);
        let mut seen: std::collections::HashMap<String, Span> = std::collections::HashMap::new();
        let mut ranges: Vec<(i64, i64)> = vec![];
        let mut literal = true;
        for i in items {
            let parts: &[Expr] = match &i.kind {
                ExprKind::Tuple(parts) => parts,
                _ => std::slice::from_ref(i),
            };
            if *arity.get_or_insert(parts.len()) != parts.len() {
                let wanted = arity.unwrap_or(1);
                let m = Diagnostic::new(
                    Code::WrongIndexCount,
                    format!(
                        "an element of `{name}` has {wanted} components, this one has {}",
                        parts.len()
                    ),
                )
                .at(i.span, "");
                self.report(m);
                return Dim::Unknown;
            }
            let key = show(i);
            if let Some(first) = seen.insert(key.clone(), i.span) {
                let m = Diagnostic::new(Code::DuplicateLabel, format!("{key} is listed twice"))
                    .at(i.span, "again here")
                    .at(first, "first here")
                    .help("an element of a set stands in it once");
                self.report(m);
                return Dim::Unknown;
            }
            for (k, p) in parts.iter().enumerate() {
                let ty = self.expr(p);
                let wanted = within.map(|w| w.parts()[k].clone());
                let ok = match (&ty.kind, &wanted) {
                    (Kind::Error, _) | (_, Some(Dim::Unknown)) => true,
                    (Kind::Array { elem: Elem::Text, .. }, Some(Dim::Labels(s))) => {
                        if !self.known_label(s, p) {
                            return Dim::Unknown;
                        }
                        true
                    }
                    (Kind::Array { elem: Elem::Text, .. }, None)
                        if items.iter().any(|i| i.as_integer().is_some()) && !matches!(i.kind, ExprKind::Tuple(_)) =>
                    {
                        let m =
                            Diagnostic::new(Code::WrongType, "a set holds labels or integers, not both").at(e.span, "");
                        self.report(m);
                        return Dim::Unknown;
                    }
                    (Kind::Array { elem: Elem::Text, .. }, None) => {
                        let m = Diagnostic::new(Code::WrongIndexSet, "labels of which sets?")
                            .at(i.span, "")
                            .help(format!(
                                "say what the components are drawn from: `set {name} in plants*markets = {{…}}`"
                            ));
                        self.report(m);
                        return Dim::Unknown;
                    }
                    (
                        Kind::Array {
                            elem: Elem::Int, dims, ..
                        },
                        Some(Dim::Range { .. }) | None,
                    ) => dims.is_empty() && !ty.varies,
                    _ => false,
                };
                if !ok {
                    let want = wanted.map_or("an integer".into(), |w| format!("an element of {}", w.describe()));
                    let m = errors::wrong_type(&want, &ty.words(), p.span);
                    self.report(m);
                    return Dim::Unknown;
                }
                match p.as_integer() {
                    Some(v) => {
                        if ranges.len() <= k {
                            ranges.push((v, v));
                        }
                        if let Some(r) = ranges.get_mut(k) {
                            *r = (r.0.min(v), r.1.max(v));
                        }
                    }
                    None => literal = false,
                }
            }
        }
        if self.diagnostics.len() > before {
            return Dim::Unknown;
        }
        let number = |(a, b): (i64, i64)| Dim::Range {
            lo: Poly::number(a),
            hi: Poly::number(b),
        };
        match within {
            Some(w) => Dim::Listed {
                name: name.into(),
                parts: w.parts().to_vec(),
            },
            None if items.is_empty() => Dim::Labels(name.into()),
            None => {
                let integers: Vec<i64> = items.iter().filter_map(Expr::as_integer).collect();
                // Integers that follow one another are a range.
                if integers.len() == items.len() && integers.windows(2).all(|w| w[1] == w[0] + 1) {
                    return number((integers[0], integers[integers.len() - 1]));
                }
                let parts = match literal {
                    true => ranges.into_iter().map(number).collect(),
                    false => vec![
                        Dim::Range {
                            lo: Poly::symbol(format!("min({})", show(e))),
                            hi: Poly::symbol(format!("max({})", show(e))),
                        };
                        arity.unwrap_or(1)
                    ],
                };
                Dim::Listed {
                    name: name.into(),
                    parts,
                }
            }
        }
    }

    /// A set literal that stands in an expression.
    pub(super) fn set_literal(&mut self, e: &Expr, items: &[Expr]) -> Ty {
        let types: Vec<Ty> = items.iter().map(|i| self.expr(i)).collect();
        let texts = items.iter().all(|i| matches!(i.kind, ExprKind::Text(_)));
        let whole = |t: &Ty| t.elem() == Some(Elem::Int) && t.dims().is_empty() && !t.varies;
        let tuples = items.iter().any(|i| matches!(i.kind, ExprKind::Tuple(_)));
        if texts {
            return Ty::of(Kind::Set(Dim::Labels(format!("the set at {}", e.span.start))));
        }
        if tuples || types.iter().all(whole) {
            return Ty::of(Kind::Set(self.listed_set(e, items, None, &title(e))));
        }
        // A set of numbers for a check: `in {-1.5, 1}`.
        Ty::of(Kind::Set(Dim::Unknown))
    }

    /// `{i in I, j in J if c}`.
    pub(super) fn subset(&mut self, e: &Expr, b: &Binders) -> Ty {
        let parts = self.within_binders(e, b, |_, own| own.parts.clone());
        if parts.is_empty() || parts.contains(&Dim::Unknown) {
            return Ty::error();
        }
        Ty::of(Kind::Set(Dim::Listed { name: title(e), parts }))
    }

    /// Is it a set by its look? Only names, brackets and ranges are.
    pub(super) fn names_set(&self, e: &Expr) -> bool {
        match &e.kind {
            ExprKind::Name(n) => matches!(self.scope.get(n).map(|s| &s.what), Some(What::Set { .. })),
            ExprKind::Range { .. } | ExprKind::Set(_) | ExprKind::Subset(_) => true,
            ExprKind::Index { base, .. } => base
                .as_name()
                .and_then(|n| self.scope.get(n))
                .is_some_and(|s| matches!(s.what, What::Family { .. })),
            _ => false,
        }
    }

    /// `plants * markets`: the product of sets, if the first factor is a set.
    pub(super) fn set_product(&mut self, e: &Expr, first: &Expr, rest: &[Link<BinaryOp>]) -> Option<Ty> {
        if !rest.iter().all(|l| l.op == BinaryOp::Mul) {
            return None;
        }
        if !self.names_set(first) {
            return None;
        }
        let mut parts = vec![];
        for x in std::iter::once(first).chain(rest.iter().map(|l| &l.operand)) {
            match self.set_of(x) {
                Dim::Unknown => parts.push(Dim::Unknown),
                d => parts.extend(d.parts().iter().cloned()),
            }
        }
        if parts.contains(&Dim::Unknown) {
            return Some(Ty::error());
        }
        Some(Ty::of(Kind::Set(Dim::Listed { name: title(e), parts })))
    }

    /// `(p, m)`.
    pub(super) fn tuple(&mut self, items: &[Expr]) -> Ty {
        let types: Vec<Ty> = items.iter().map(|i| self.expr(i)).collect();
        if types.iter().any(Ty::is_error) {
            return Ty::error();
        }
        let varies = types.iter().any(|t| t.varies);
        Ty {
            kind: Kind::Tuple(types),
            varies,
        }
    }

    /// One set of a family: `next[p]`.
    pub(super) fn family_at(
        &mut self,
        e: &Expr,
        (name, keys, parts): (&str, &[Dim], &[Dim]),
        subscripts: &[Subscript],
    ) -> Ty {
        let mut given: Vec<(&Expr, Ty)> = vec![];
        for s in subscripts {
            let Subscript::At(x) = s else {
                let d = errors::wrong_type(&format!("one index of the family `{name}`"), "a slice", s.span());
                return self.wrong(d);
            };
            match &x.kind {
                ExprKind::Tuple(items) => {
                    for i in items {
                        let ty = self.expr(i);
                        given.push((i, ty));
                    }
                }
                _ => {
                    let ty = self.expr(x);
                    given.push((x, ty));
                }
            }
        }
        if given.iter().any(|(_, t)| t.is_error()) {
            return Ty::error();
        }
        if given.len() != keys.len() {
            let d = Diagnostic::new(
                Code::WrongIndexCount,
                format!(
                    "the family `{name}` takes {} indices, {} given",
                    keys.len(),
                    given.len()
                ),
            )
            .at(e.span, "");
            return self.wrong(d);
        }
        let types: Vec<Ty> = given.iter().map(|g| g.1.clone()).collect();
        for ((x, ty), k) in given.iter().zip(keys) {
            if self.component(x, ty, k).is_none() {
                return Ty::error();
            }
        }
        if types.iter().any(|t| t.varies) {
            let d = errors::wrong_type(
                "an index that no variable changes",
                "an expression of variables",
                e.span,
            );
            return self.wrong(d);
        }
        Ty::of(Kind::Set(Dim::Listed {
            name: title(e),
            parts: parts.to_vec(),
        }))
    }

    /// Does a value stand for a component drawn from `part`? Reports it if not.
    pub(super) fn component(&mut self, e: &Expr, ty: &Ty, part: &Dim) -> Option<()> {
        match (&ty.kind, part) {
            (Kind::Error, _) | (_, Dim::Unknown) => Some(()),
            (Kind::Label(a), Dim::Labels(b)) if a == b => Some(()),
            (Kind::Label(s), Dim::Labels(t)) => {
                let d = Diagnostic::new(
                    Code::WrongIndexSet,
                    format!("an element of `{s}` is never an element of `{t}`"),
                )
                .at(e.span, format!("of {s}"));
                self.report(d);
                None
            }
            (
                Kind::Array {
                    elem: Elem::Text, dims, ..
                },
                Dim::Labels(s),
            ) if dims.is_empty() => self.known_label(&s.clone(), e).then_some(()),
            (
                Kind::Array {
                    elem: Elem::Int, dims, ..
                },
                Dim::Range { .. },
            ) if dims.is_empty() => Some(()),
            _ => {
                let d = errors::wrong_type(&format!("an element of {}", part.describe()), &ty.words(), e.span);
                self.report(d);
                None
            }
        }
    }

    /// `x in S` for a set of labels or a listed set.
    pub(super) fn element_of(&mut self, (e, ty): (&Expr, &Ty), set: &Dim, set_at: &Expr) -> Option<Vec<Dim>> {
        if ty.is_error() {
            return None;
        }
        let parts = set.parts();
        let given: Vec<(&Expr, Ty)> = match (&e.kind, &ty.kind) {
            (ExprKind::Tuple(items), Kind::Tuple(types)) => items.iter().zip(types.iter().cloned()).collect(),
            (_, Kind::Tuple(types)) => types.iter().map(|t| (e, t.clone())).collect(),
            _ => vec![(e, ty.clone())],
        };
        if given.len() != parts.len() {
            let d = Diagnostic::new(
                Code::WrongIndexCount,
                format!(
                    "an element of {} has {} components, this has {}",
                    set.describe(),
                    parts.len(),
                    given.len()
                ),
            )
            .at(e.span, "")
            .at(set_at.span, set.describe());
            self.report(d);
            return None;
        }
        for ((x, t), part) in given.iter().zip(parts) {
            self.component(x, t, part)?;
        }
        Some(vec![])
    }
}
