//! Binders and subscripts: which index goes where.
//!
//! Invariant: an element of one set of labels never indexes another; an integer index is refused only if it is outside
//! whatever the data, everything else is checked when data are bound.

use super::types::{Dim, Elem, Kind, Poly, Same, Ty};
use super::{Checker, Entry, What};
use crate::base::diagnostic::did_you_mean;
use crate::base::{Code, Diagnostic, Span};
use crate::lang::errors::types as errors;
use crate::lang::syntax::{Binder, Binders, Expr, ExprKind, Ident, Subscript, show};

/// What binders range over.
#[derive(Default)]
pub(super) struct Own {
    /// The set of each binder.
    pub dims: Vec<Dim>,
    /// What each new name is drawn from, components of tuples one by one.
    pub parts: Vec<Dim>,
    /// Not all combinations count: there is a condition, or an index in force selects.
    pub sliced: bool,
}

/// One index as it is given.
enum Given<'s> {
    /// A subscript of its own.
    Sub(&'s Subscript, Option<&'s Ty>),
    /// A component of a tuple.
    Part(&'s Expr, Ty),
}

impl Checker<'_> {
    /// Runs `f` with the indices of binders in force; it is given what they range over.
    pub(super) fn within_binders<T>(&mut self, e: &Expr, b: &Binders, f: impl FnOnce(&mut Self, &Own) -> T) -> T {
        let mark = self.scope.mark();
        let mut own = Own {
            sliced: b.condition.is_some(),
            ..Own::default()
        };
        let mut names: Vec<&Ident> = vec![];
        for item in &b.items {
            let dim = self.set_of(&item.set);
            self.bind_item(item, &dim, &mut own, &mut names);
        }
        if let Some(c) = &b.condition {
            let ty = self.condition(c);
            if ty.varies {
                let d = Diagnostic::new(
                    Code::ConditionOnVariable,
                    "a condition on indices depends on a variable: what is summed would change with the answer",
                )
                .at(c.span, "depends on a variable")
                .help("let the value depend on it instead: `sum(i in I) (if … then … else 0)`");
                self.report(d);
            }
        }
        self.filtered += usize::from(own.sliced);
        let out = f(self, &own);
        self.filtered -= usize::from(own.sliced);
        self.scope.release(mark);
        let whole = match &e.kind {
            ExprKind::Comprehension { body, .. } | ExprKind::ArrayComprehension { body, .. }
                if e.span.end - e.span.start < 100 =>
            {
                let (all, body) = (show(e), show(body));
                all.strip_suffix(&body).map(|head| format!("{head}({body} …)"))
            }
            _ => None,
        };
        let whole = whole.unwrap_or_else(|| "sum(i in I) (a[i] + b[i])".into());
        for n in names {
            self.gone.push((n.text.clone(), e.span, whole.clone()));
        }
        out
    }

    /// The names of one binder: in a tuple a new name binds, an index in force selects.
    fn bind_item<'b>(&mut self, item: &'b Binder, dim: &Dim, own: &mut Own, names: &mut Vec<&'b Ident>) {
        own.dims.push(dim.clone());
        // One set of a family is a slice of it.
        own.sliced |= matches!(item.set.kind, ExprKind::Index { .. });
        if let [name] = item.names.as_slice() {
            own.parts.extend(dim.parts().iter().cloned());
            self.bind_index(name, dim.clone());
            names.push(name);
            return;
        }
        let parts: Vec<Dim> = match dim {
            Dim::Unknown => vec![Dim::Unknown; item.names.len()],
            d => d.parts().to_vec(),
        };
        if parts.len() != item.names.len() {
            let d = Diagnostic::new(
                Code::WrongIndexCount,
                format!(
                    "an element of {} has {}, the tuple names {}",
                    dim.describe(),
                    match parts.len() {
                        1 => "one component".to_string(),
                        n => format!("{n} components"),
                    },
                    item.names.len()
                ),
            )
            .at(item.span, "");
            self.report(d);
        }
        for (k, n) in item.names.iter().enumerate() {
            let part = parts.get(k).cloned().unwrap_or(Dim::Unknown);
            let bound = match self.scope.get(&n.text) {
                Some(Entry {
                    what: What::Index(d),
                    span,
                }) => Some((d.clone(), *span)),
                _ => None,
            };
            let Some((old, span)) = bound else {
                // Which integers there are is known only with the set.
                let one = match &part {
                    Dim::Range { .. } => Dim::Listed {
                        name: dim.describe(),
                        parts: vec![part.clone()],
                    },
                    p => p.clone(),
                };
                own.parts.push(part);
                self.bind_index(n, one);
                names.push(n);
                continue;
            };
            own.sliced = true;
            let clash = match (old.parts(), &part) {
                ([Dim::Labels(a)], Dim::Labels(b)) => a != b,
                ([Dim::Range { .. }], Dim::Labels(_)) | ([Dim::Labels(_)], Dim::Range { .. }) => true,
                ([_], _) => false,
                _ => true,
            };
            if clash && part != Dim::Unknown && old != Dim::Unknown {
                let d = Diagnostic::new(
                    Code::WrongIndexSet,
                    format!(
                        "`{}` is bound to an element of {} here, and component {} of {} is from {}",
                        n.text,
                        old.describe(),
                        k + 1,
                        dim.describe(),
                        part.describe()
                    ),
                )
                .at(n.span, "an index in force selects")
                .at(span, "bound here")
                .help("use a new name to let it range");
                self.report(d);
            }
        }
    }

    fn bind_index(&mut self, n: &Ident, dim: Dim) {
        let old = match self.step {
            Some(_) => self.scope.local(&n.text),
            None => self.scope.get(&n.text),
        };
        if let Some(old) = old {
            if !matches!(old.what, What::Error) {
                let d = errors::index_shadows(&n.text, n.span, old.span, old.what.word());
                self.report(d);
            }
            return;
        }
        let entry = Entry {
            span: n.span,
            what: What::Index(dim),
        };
        self.scope.add_local(&n.text, entry);
    }

    /// What an expression that stands for a set ranges over.
    pub(super) fn set_of(&mut self, e: &Expr) -> Dim {
        let ty = self.expr(e);
        match ty.kind {
            Kind::Set(d) => d,
            Kind::Error => Dim::Unknown,
            _ => {
                let mut d = errors::wrong_type("a set", &ty.words(), e.span);
                if ty.elem() == Some(Elem::Int) && ty.dims().is_empty() {
                    let text = show(e);
                    d = d.help_edit(
                        format!("the integers up to it: `1..{text}`"),
                        e.span,
                        format!("1..{text}"),
                    );
                } else if let ExprKind::Vector(items) = &e.kind
                    && items.len() == 2
                {
                    d = d.help("`l..u` is the set of integers; `[l, u]` is a vector");
                }
                self.report(d);
                Dim::Unknown
            }
        }
    }

    /// `base[subscripts]`.
    pub(super) fn index(&mut self, e: &Expr, base: &Expr, subscripts: &[Subscript]) -> Ty {
        let ty = self.expr(base);
        if let Kind::Family { name, keys, parts } = &ty.kind {
            return self.family_at(e, (name, keys, parts), subscripts);
        }
        if let Kind::Table(t) = &ty.kind {
            if let [
                Subscript::At(Expr {
                    kind: ExprKind::Text(_),
                    ..
                }),
            ] = subscripts
            {
                return Ty::column(t);
            }
            let d = errors::wrong_type("the name of a column, a text,", "another index", e.span)
                .help("`t[\"unit price\"]` and `t.price` are columns; rows are entries of columns: `t.price[3]`");
            return self.wrong(d);
        }
        if matches!(ty.kind, Kind::Solution(_)) {
            return self.turn(e, base, &ty, subscripts);
        }
        self.entries_of(e, base, ty, subscripts)
    }

    /// Entries of an array of the given type.
    pub(super) fn entries_of(&mut self, e: &Expr, base: &Expr, ty: Ty, subscripts: &[Subscript]) -> Ty {
        let given: Vec<Option<Ty>> = subscripts
            .iter()
            .map(|s| match s {
                Subscript::All(_) => None,
                Subscript::Range(x) | Subscript::At(x) => Some(self.expr(x)),
            })
            .collect();
        let Kind::Array { elem, dims, .. } = &ty.kind else {
            if ty.is_error() {
                return Ty::error();
            }
            let mut d = errors::wrong_type("an array before `[`", &ty.words(), base.span);
            if ty.is_operator() {
                d = d.help(super::linear::ENTRIES);
            }
            return self.wrong(d);
        };
        let operand = self.operand(base, &ty);
        let whole = match (subscripts.first(), subscripts.last()) {
            (Some(a), Some(b)) => a.span().to(b.span()),
            _ => e.span,
        };
        let Some(groups) = grouped(dims, subscripts, &given) else {
            let wanted: usize = dims.iter().map(Dim::arity).sum();
            let count = given.iter().map(|g| match g.as_ref().map(|t| &t.kind) {
                Some(Kind::Tuple(parts)) => parts.len(),
                _ => 1,
            });
            if wanted == dims.len() {
                let d = errors::index_count(&operand, count.sum(), dims.len(), whole);
                return self.wrong(d);
            }
            let sets: Vec<String> = dims.iter().map(Dim::describe).collect();
            let sliced = subscripts
                .iter()
                .any(|s| matches!(s, Subscript::All(_) | Subscript::Range(_)));
            let (over, given) = (sets.join(", "), count.sum::<usize>());
            let message = match (sliced, given) {
                (true, _) => format!(
                    "`{}` is over {over}: no slice goes through the components of an element",
                    operand.text
                ),
                (_, 1) => format!(
                    "`{}` is over {over} and takes {wanted} indices, and 1 is given",
                    operand.text
                ),
                (_, n) => format!(
                    "`{}` is over {over} and takes {wanted} indices, and {n} are given",
                    operand.text
                ),
            };
            let mut d = Diagnostic::new(Code::WrongIndexCount, message).at(whole, "");
            if let Some((name, span)) = &operand.declared {
                d = d.at(*span, format!("`{name}` is {}", operand.ty));
            }
            if sliced {
                d = d.help("binders select a part of a set of tuples: `sum((p, m) in arcs) x[p, m]` with `p` in force");
            }
            return self.wrong(d);
        };
        if let Some(d) = self.swapped(&operand, dims, subscripts, &given) {
            return self.wrong(d);
        }
        let mut out = vec![];
        let mut broken = false;
        for (dim, group) in dims.iter().zip(&groups) {
            let left = match group.as_slice() {
                [Given::Sub(s, g)] => self.subscript(&operand, dim, s, *g),
                [Given::Part(x, t)] => {
                    let s = Subscript::At((*x).clone());
                    self.subscript(&operand, dim, &s, Some(t))
                }
                parts => {
                    let mut ok = Ok(None);
                    for (p, part) in parts.iter().zip(dim.parts()) {
                        let (x, t) = match p {
                            Given::Sub(Subscript::At(x), Some(t)) => (x, (*t).clone()),
                            Given::Part(x, t) => (*x, t.clone()),
                            _ => continue,
                        };
                        if t.varies {
                            let d = errors::wrong_type(
                                "an index that no variable changes",
                                "an expression of variables",
                                x.span,
                            );
                            ok = Err(Some(Box::new(d)));
                        } else if self.component(x, &t, part).is_none() {
                            ok = Err(None);
                        }
                    }
                    ok
                }
            };
            match left {
                Ok(Some(d)) => out.push(d),
                Ok(None) => {}
                Err(d) => {
                    broken = true;
                    if let Some(d) = d {
                        self.report(*d);
                    }
                }
            }
        }
        if broken {
            return Ty {
                kind: Kind::Error,
                varies: ty.varies,
            };
        }
        Ty::array(*elem, out, ty.varies)
    }

    /// One subscript: what is left of the dimension, if anything.
    fn subscript(
        &mut self,
        base: &errors::Operand,
        dim: &Dim,
        s: &Subscript,
        given: Option<&Ty>,
    ) -> Result<Option<Dim>, Option<Box<Diagnostic>>> {
        let (Subscript::Range(e) | Subscript::At(e), Some(ty)) = (s, given) else {
            return Ok(Some(dim.clone()));
        };
        if ty.varies {
            let d = errors::wrong_type(
                "an index that no variable changes",
                "an expression of variables",
                e.span,
            );
            return Err(Some(Box::new(d)));
        }
        let wrong_set = |c: &Self, found: String| {
            let declared: Vec<(String, Span)> = c.declaration(e).into_iter().collect();
            let wanted = match dim {
                Dim::Range { lo, hi } => format!("{}..{}", lo.describe(), hi.describe()),
                d => d.describe(),
            };
            Err(Some(Box::new(errors::wrong_set(
                base, &found, &wanted, e.span, &declared,
            ))))
        };
        match (&ty.kind, dim) {
            (Kind::Error, _) => Err(None),
            (Kind::Set(d), _) => {
                let sliced = match (d, dim) {
                    (Dim::Unknown, _) => return Err(None),
                    (_, Dim::Unknown) => Dim::Unknown,
                    (a, b) if !matches!(a, Dim::Range { .. }) && a.same(b) == Same::Yes => dim.clone(),
                    // A subset selects its elements.
                    (Dim::Listed { parts, .. }, _)
                        if parts.len() == dim.arity()
                            && parts.iter().zip(dim.parts()).all(|(a, b)| match (a, b) {
                                (Dim::Labels(a), Dim::Labels(b)) => a == b,
                                (Dim::Range { .. }, Dim::Range { .. }) => true,
                                _ => false,
                            }) =>
                    {
                        d.clone()
                    }
                    (Dim::Range { lo, hi }, Dim::Range { .. }) => {
                        self.inside(base, dim, lo, hi, e)?;
                        d.length().map_or(Dim::Unknown, Dim::size)
                    }
                    _ => return wrong_set(self, ty.describe()),
                };
                Ok(Some(sliced))
            }
            (_, Dim::Listed { parts, .. }) => {
                let part = parts.first().cloned().unwrap_or(Dim::Unknown);
                self.component(e, ty, &part).map(|()| None).ok_or(None)
            }
            (Kind::Label(a), Dim::Labels(b)) if a == b => Ok(None),
            (Kind::Label(_), Dim::Unknown) => Ok(None),
            (Kind::Label(a), _) => wrong_set(self, format!("an element of {a}")),
            (
                Kind::Array {
                    elem: Elem::Text, dims, ..
                },
                Dim::Labels(l),
            ) if dims.is_empty() => {
                let l = l.clone();
                if self.known_label(&l, e) { Ok(None) } else { Err(None) }
            }
            (
                Kind::Array {
                    elem: Elem::Int, dims, ..
                },
                Dim::Range { .. } | Dim::Unknown,
            ) if dims.is_empty() => {
                if let Some(p) = self.poly(e) {
                    self.inside(base, dim, &p, &p, e)?;
                }
                Ok(None)
            }
            (
                Kind::Array {
                    elem: Elem::Int, dims, ..
                },
                Dim::Labels(_),
            ) if dims.is_empty() => wrong_set(self, "an integer".into()),
            (_, Dim::Unknown) => Ok(None),
            _ => {
                let mut d = errors::wrong_type("an index, an integer or a label,", &ty.words(), e.span);
                if ty.elem() == Some(Elem::Real) && ty.dims().is_empty() {
                    d = d.help("`round`, `floor` and `ceil` give integers");
                }
                Err(Some(Box::new(d)))
            }
        }
    }

    /// Refuses `lo..hi` as a subscript if it is outside of the dimension whatever the data.
    fn inside(
        &self,
        base: &errors::Operand,
        dim: &Dim,
        lo: &Poly,
        hi: &Poly,
        e: &Expr,
    ) -> Result<(), Option<Box<Diagnostic>>> {
        let Dim::Range { lo: least, hi: most } = dim else {
            return Ok(());
        };
        if self.filtered > 0 {
            return Ok(());
        }
        let below = |p: &Poly, q: &Poly| p.minus(q).and_then(|d| d.constant()).is_some_and(|d| d < 0);
        let (a, b) = (self.extreme(lo, false), self.extreme(hi, true));
        let reaches = match (a, b) {
            (Some(a), _) if below(&a, least) => a,
            (_, Some(b)) if below(most, &b) => b,
            _ => return Ok(()),
        };
        let (lo, hi) = (least.describe(), most.describe());
        Err(Some(Box::new(errors::out_of_range(
            &base.text,
            &show(e),
            &reaches.describe(),
            &format!("{lo}..{hi}"),
            e.span,
        ))))
    }

    /// The largest (or smallest) value of an integer over all values of the indices in it.
    fn extreme(&self, p: &Poly, largest: bool) -> Option<Poly> {
        let mut p = p.clone();
        // Each round replaces one index by an end of its range, which may hold outer indices.
        for _ in 0..16 {
            let index = p.symbols().find_map(|s| match &self.scope.get(s)?.what {
                What::Index(Dim::Range { lo, hi }) => Some((s.to_string(), lo.clone(), hi.clone())),
                _ => None,
            });
            let Some((name, lo, hi)) = index else { return Some(p) };
            let (c, rest) = p.linear_in(&name)?;
            let end = if (c > 0) == largest { hi } else { lo };
            p = rest.plus(&end.scaled(c)?)?;
        }
        None
    }

    /// Indices that would fit in another order.
    fn swapped(
        &self,
        base: &errors::Operand,
        dims: &[Dim],
        subscripts: &[Subscript],
        given: &[Option<Ty>],
    ) -> Option<Diagnostic> {
        let n = dims.len();
        if !(2..=4).contains(&n) || n != subscripts.len() || dims.iter().any(|d| d.arity() > 1) {
            return None;
        }
        let mut ranges = vec![];
        for (s, g) in subscripts.iter().zip(given) {
            let Subscript::At(e) = s else { return None };
            ranges.push(match &g.as_ref()?.kind {
                Kind::Label(l) => Dim::Labels(l.clone()),
                _ => match &self.scope.get(e.as_name()?)?.what {
                    What::Index(d) => d.clone(),
                    _ => return None,
                },
            });
        }
        let fits = |order: &[usize]| {
            (0..n).all(|k| ranges[order[k]].same(&dims[k]) == Same::Yes && ranges[order[k]] != Dim::Unknown)
        };
        let identity: Vec<usize> = (0..n).collect();
        if (0..n).any(|k| dims[k] == Dim::Unknown) || (0..n).all(|k| ranges[k].same(&dims[k]) != Same::No) {
            return None;
        }
        let order = permutations(&identity).into_iter().find(|o| fits(o))?;
        let at = subscripts[0].span().to(subscripts[n - 1].span());
        let describe = |d: &[Dim]| d.iter().map(Dim::describe).collect::<Vec<_>>().join(", ");
        let texts: Vec<String> = order
            .iter()
            .filter_map(|&k| match &subscripts[k] {
                Subscript::At(e) => Some(show(e)),
                _ => None,
            })
            .collect();
        Some(errors::swapped(
            base,
            at,
            &describe(&ranges),
            &describe(dims),
            texts.join(", "),
        ))
    }

    /// Is a text a label of a set? Reports one that is not, if the labels are written in the program.
    pub(super) fn known_label(&mut self, set: &str, e: &Expr) -> bool {
        let ExprKind::Text(t) = &e.kind else { return true };
        let Some(Entry {
            what: What::Set {
                labels: Some(labels), ..
            },
            span,
        }) = self.scope.get(set)
        else {
            return true;
        };
        if labels.contains(t) {
            return true;
        }
        let (labels, span) = (labels.clone(), *span);
        if self.diagnostics.len() >= super::MAX_MESSAGES {
            return false;
        }
        let mut d = Diagnostic::new(Code::UnknownLabel, format!("\"{t}\" is not an element of `{set}`"))
            .at(e.span, "no such element")
            .at(span, format!("`{set}` is declared here"));
        if let Some(n) = did_you_mean(t, labels.iter().map(String::as_str)) {
            d = d.help_edit(format!("did you mean \"{n}\"?"), e.span, format!("\"{n}\""));
        }
        self.report(d);
        false
    }
}

/// Subscripts by dimension: a slice takes a whole dimension, an element of tuples as many indices as it has components.
/// `None` if they do not fit.
fn grouped<'s>(dims: &[Dim], subscripts: &'s [Subscript], given: &'s [Option<Ty>]) -> Option<Vec<Vec<Given<'s>>>> {
    let mut items: Vec<Given<'s>> = vec![];
    for (s, g) in subscripts.iter().zip(given) {
        match (s, g.as_ref().map(|t| &t.kind)) {
            (Subscript::At(x), Some(Kind::Tuple(types))) => match &x.kind {
                ExprKind::Tuple(parts) => items.extend(parts.iter().zip(types).map(|(p, t)| Given::Part(p, t.clone()))),
                _ => items.extend(types.iter().map(|t| Given::Part(x, t.clone()))),
            },
            _ => items.push(Given::Sub(s, g.as_ref())),
        }
    }
    let mut items = items.into_iter().peekable();
    let mut out = vec![];
    for dim in dims {
        let slice = match items.peek()? {
            Given::Sub(Subscript::All(_) | Subscript::Range(_), _) => true,
            Given::Sub(_, Some(t)) => matches!(t.kind, Kind::Set(_)),
            _ => false,
        };
        let n = if slice { 1 } else { dim.arity() };
        let group: Vec<Given<'s>> = items.by_ref().take(n).collect();
        if group.len() < n {
            return None;
        }
        // A slice among the components of one element.
        if n > 1
            && group
                .iter()
                .any(|g| matches!(g, Given::Sub(Subscript::All(_) | Subscript::Range(_), _)))
        {
            return None;
        }
        out.push(group);
    }
    items.next().is_none().then_some(out)
}

/// All orders of a few numbers.
fn permutations(items: &[usize]) -> Vec<Vec<usize>> {
    if items.len() <= 1 {
        return vec![items.to_vec()];
    }
    let mut out = vec![];
    for (k, &first) in items.iter().enumerate() {
        let mut rest = items.to_vec();
        rest.remove(k);
        for mut p in permutations(&rest) {
            p.insert(0, first);
            out.push(p);
        }
    }
    out
}
