//! Binders and subscripts: which index goes where.
//!
//! Invariant: an element of one set of labels never indexes another; an integer index is refused only if it is outside
//! whatever the data, everything else is checked when data are bound.

use super::types::{Dim, Elem, Kind, Poly, Same, Ty};
use super::{Checker, Entry, What};
use crate::base::diagnostic::did_you_mean;
use crate::base::{Code, Diagnostic, Span};
use crate::lang::errors::types as errors;
use crate::lang::syntax::{Binders, Expr, ExprKind, Ident, Subscript, show};

impl Checker<'_> {
    /// Runs `f` with the indices of binders in force; it is given what they range over.
    pub(super) fn within_binders<T>(&mut self, e: &Expr, b: &Binders, f: impl FnOnce(&mut Self, &[Dim]) -> T) -> T {
        let mark = self.scope.mark();
        let mut dims = vec![];
        let mut names: Vec<&Ident> = vec![];
        for item in &b.items {
            // Tuples were reported as not built; what they range over is none of today's sets.
            let dim = if item.names.len() > 1 {
                Dim::Unknown
            } else {
                self.set_of(&item.set)
            };
            for n in &item.names {
                let dim = if item.names.len() == 1 {
                    dim.clone()
                } else {
                    Dim::Unknown
                };
                dims.push(dim.clone());
                self.bind_index(n, dim);
                names.push(n);
            }
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
        self.filtered += usize::from(b.condition.is_some());
        let out = f(self, &dims);
        self.filtered -= usize::from(b.condition.is_some());
        self.scope.release(mark);
        for n in names {
            self.gone.push((n.text.clone(), e.span));
        }
        out
    }

    fn bind_index(&mut self, n: &Ident, dim: Dim) {
        if let Some(old) = self.scope.get(&n.text) {
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
            let d = errors::wrong_type("an array before `[`", &ty.words(), base.span);
            return self.wrong(d);
        };
        let operand = self.operand(base, &ty);
        if dims.len() != subscripts.len() {
            let at = match (subscripts.first(), subscripts.last()) {
                (Some(a), Some(b)) => a.span().to(b.span()),
                _ => e.span,
            };
            let d = errors::index_count(&operand, subscripts.len(), dims.len(), at);
            return self.wrong(d);
        }
        if let Some(d) = self.swapped(&operand, dims, subscripts, &given) {
            return self.wrong(d);
        }
        let mut out = vec![];
        let mut broken = false;
        for ((dim, s), g) in dims.iter().zip(subscripts).zip(&given) {
            match self.subscript(&operand, dim, s, g.as_ref()) {
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
                    (Dim::Labels(a), Dim::Labels(b)) if a == b => dim.clone(),
                    (Dim::Range { lo, hi }, Dim::Range { .. }) => {
                        self.inside(base, dim, lo, hi, e)?;
                        d.length().map_or(Dim::Unknown, Dim::size)
                    }
                    _ => return wrong_set(self, ty.describe()),
                };
                Ok(Some(sliced))
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
        if !(2..=4).contains(&n) {
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
