//! Arrays: entries by position, whole arrays at the root, elementwise combination, products and slices.
//!
//! Invariant: an elementwise combination requires equal index sets; nothing is broadcast but a scalar.

use std::rc::Rc;

use super::{Arr, Lower, Lowered, Src, Val, describe, err};
use crate::atoms;
use crate::base::value::{Elem, IndexSet};
use crate::base::{Code, Span};
use crate::ir::{AtomRef, DomainId, Node, NodeId, Pos};

impl Lower<'_> {
    /// One entry.
    pub(super) fn entry(&mut self, a: &Arr, at: &[Pos]) -> Lowered<NodeId> {
        match &a.src {
            Src::Node(n) => Ok(self.ir.gather(*n, at.to_vec())),
            Src::Pull(f) => f(self, at),
        }
    }

    /// The array as a root node, if its entries do not depend on an enclosing index.
    pub(super) fn try_whole(&mut self, a: &Arr) -> Lowered<Option<NodeId>> {
        if let Src::Node(n) = a.src {
            return Ok(Some(n));
        }
        let shared = match self.region {
            DomainId::ROOT => self.shared_domain(&a.dims),
            _ => None,
        };
        if let Some((d, at)) = shared {
            let body = self.in_region(d, |l| l.entry(a, &at))?;
            return Ok(Some(self.ir.map(d, body)));
        }
        // Below the enclosing loops, so that loops in the entries may turn out to depend on them.
        let (d, ix) = self.ir.add_domain(self.region, index_names(&a.dims));
        let at: Vec<Pos> = ix.iter().map(|i| Pos::index(*i)).collect();
        let body = self.in_region(d, |l| l.entry(a, &at))?;
        if self.enclosing_of(d, body) != DomainId::ROOT {
            return Ok(None);
        }
        self.ir.reparent(d, DomainId::ROOT);
        Ok(Some(self.ir.map(d, body)))
    }

    /// The domain that all loops over these dimensions share, if there is one.
    fn shared_domain(&self, dims: &[IndexSet]) -> Option<(DomainId, Vec<Pos>)> {
        match (&self.shared, dims) {
            (Some((set, d, i)), [own]) if own == set => Some((*d, vec![Pos::index(*i)])),
            _ => None,
        }
    }

    /// The array as a root node.
    pub(super) fn whole(&mut self, a: &Arr, span: Span) -> Lowered<NodeId> {
        match self.try_whole(a)? {
            Some(n) => Ok(n),
            None => Err(err(
                Code::NotBuiltYet,
                "matrix functions of arrays that change with an index are not built yet",
            )
            .at(span, "this array depends on an enclosing index")
            .help("write the entries out with `sum` over indices")
            .into()),
        }
    }

    pub(super) fn node_arr(&self, node: NodeId, dims: Vec<IndexSet>) -> Arr {
        Arr {
            dims,
            src: Src::Node(node),
            covector: false,
            elem: Elem::Real,
        }
    }

    /// A scalar atom applied entry by entry.
    pub(super) fn elementwise(&mut self, atom: AtomRef, args: Vec<Val>, elem: Elem, span: Span) -> Lowered<Val> {
        let Some(shape) = args.iter().find_map(|v| match v {
            Val::Arr(a) => Some(a.clone()),
            _ => None,
        }) else {
            let nodes = args.iter().map(|v| self.number(v, span)).collect::<Lowered<Vec<_>>>()?;
            return Ok(Val::Num(self.scalar_atom(atom, &nodes, span)?, elem));
        };
        for v in &args {
            if let Val::Arr(a) = v
                && (a.dims != shape.dims || a.covector != shape.covector)
            {
                return Err(self.mismatch(atom.symbol.unwrap_or(atom.name), &shape, a, span));
            }
        }
        // Sums and multiples of whole matrices keep their structure (products, diagonals, sparsity).
        if shape.dims.len() == 2
            && let Some(v) = self.structured(atom, &args, &shape.dims)?
        {
            return Ok(v);
        }
        let parts = args;
        let pull = Rc::new(move |l: &mut Lower<'_>, at: &[Pos]| {
            let nodes = parts
                .iter()
                .map(|v| match v {
                    Val::Arr(a) => l.entry(a, at),
                    v => l.number(v, span),
                })
                .collect::<Lowered<Vec<_>>>()?;
            l.scalar_atom(atom, &nodes, span)
        });
        Ok(Val::Arr(Arr {
            dims: shape.dims,
            src: Src::Pull(pull),
            covector: shape.covector,
            elem,
        }))
    }

    fn structured(&mut self, atom: AtomRef, args: &[Val], dims: &[IndexSet]) -> Lowered<Option<Val>> {
        let node = |v: &Val| match v {
            Val::Arr(Arr { src: Src::Node(n), .. }) => Some(*n),
            _ => None,
        };
        let n = if atom == atoms::ADD || atom == atoms::SUB {
            let (Some(a), Some(b)) = (node(&args[0]), node(&args[1])) else {
                return Ok(None);
            };
            let b = if atom == atoms::SUB {
                let m = self.ir.constant(-1.0);
                self.ir.apply(atoms::ARRAY_SCALE, &[m, b])
            } else {
                b
            };
            self.ir.apply(atoms::ARRAY_ADD, &[a, b])
        } else if atom == atoms::NEG {
            let Some(a) = node(&args[0]) else { return Ok(None) };
            let m = self.ir.constant(-1.0);
            self.ir.apply(atoms::ARRAY_SCALE, &[m, a])
        } else if atom == atoms::MUL || atom == atoms::DIV {
            let (s, a) = match (&args[0], &args[1]) {
                (Val::Num(s, _), v) if atom == atoms::MUL => (*s, node(v)),
                (v, Val::Num(s, _)) => (*s, node(v)),
                _ => return Ok(None),
            };
            let Some(a) = a else { return Ok(None) };
            if self.ir.region(s) != DomainId::ROOT {
                return Ok(None);
            }
            let s = if atom == atoms::DIV {
                let one = self.ir.constant(1.0);
                self.ir.apply(atoms::DIV, &[one, s])
            } else {
                s
            };
            self.ir.apply(atoms::ARRAY_SCALE, &[s, a])
        } else {
            return Ok(None);
        };
        Ok(Some(Val::Arr(self.node_arr(n, dims.to_vec()))))
    }

    pub(super) fn scalar_atom(&mut self, atom: AtomRef, args: &[NodeId], span: Span) -> Lowered<NodeId> {
        self.ir
            .try_apply(atom, args)
            .map_err(|e| err(Code::ShapeMismatch, e).at(span, "here").into())
    }

    fn mismatch(&self, op: &str, a: &Arr, b: &Arr, span: Span) -> Box<crate::base::Diagnostic> {
        let (ta, tb) = (describe(&a.dims), describe(&b.dims));
        let d = if a.dims.len() == b.dims.len() && a.dims == b.dims {
            err(
                Code::ShapeMismatch,
                format!("`{op}` combines a vector with a transposed vector"),
            )
            .at(span, format!("both are {ta}, one of them transposed"))
            .help("transpose the other one too, or drop the `'`")
        } else {
            err(Code::ShapeMismatch, format!("`{op}` combines {ta} with {tb}"))
                .at(span, "the dimensions differ")
                .help(
                    "elementwise operations need the same index sets; write the pairing out with `[i in I, j in J] …`",
                )
        };
        d.into()
    }

    /// `a * b` between any two values.
    pub(super) fn product(&mut self, a: Val, b: Val, span: Span) -> Lowered<Val> {
        let (x, y) = match (&a, &b) {
            (Val::Arr(x), Val::Arr(y)) => (x.clone(), y.clone()),
            _ => return self.elementwise(atoms::MUL, vec![a, b], Elem::Real, span),
        };
        let inner = |l: &Self, p: &IndexSet, q: &IndexSet| -> Lowered<()> {
            if p == q {
                return Ok(());
            }
            let mut d = err(
                Code::ShapeMismatch,
                format!(
                    "`*` needs the columns of {} to be the rows of {}",
                    describe(&x.dims),
                    describe(&y.dims)
                ),
            )
            .at(span, format!("`{}` against `{}`", p.describe(), q.describe()));
            if x.dims.len() == 2 && x.dims[0] == *q {
                d = d.help("transpose the left factor: `A'*x`");
            }
            let _ = l;
            Err(d.into())
        };
        match (x.dims.len(), y.dims.len(), x.covector, y.covector) {
            (1, 1, true, false) => {
                inner(self, &x.dims[0], &y.dims[0])?;
                Ok(Val::Num(self.dot(&x, &y, span)?, Elem::Real))
            }
            (1, 1, false, true) => {
                let dims = vec![x.dims[0].clone(), y.dims[0].clone()];
                if let (Some(u), Some(v)) = (self.try_whole(&x)?, self.try_whole(&y)?) {
                    let n = self.ir.apply(atoms::OUTER, &[u, v]);
                    return Ok(Val::Arr(self.node_arr(n, dims)));
                }
                let pull = Rc::new(move |l: &mut Lower<'_>, at: &[Pos]| {
                    let (u, v) = (l.entry(&x, &at[..1])?, l.entry(&y, &at[1..])?);
                    l.scalar_atom(atoms::MUL, &[u, v], span)
                });
                Ok(Val::Arr(Arr {
                    dims,
                    src: Src::Pull(pull),
                    covector: false,
                    elem: Elem::Real,
                }))
            }
            (1, 1, ..) => Err(err(
                Code::VectorTimesVector,
                "`*` between two vectors could mean three things",
            )
            .at(span, "vector times vector")
            .help("`dot(a, b)` or `a'*b` for the inner product")
            .help("`a .* b` for the product entry by entry")
            .help("`a*b'` for the outer product")
            .into()),
            (2, 2, ..) | (2, 1, _, false) => {
                inner(self, &x.dims[1], &y.dims[0])?;
                let mut dims = vec![x.dims[0].clone()];
                dims.extend(y.dims[1..].iter().cloned());
                self.matmul(x, y, dims, false, span)
            }
            (1, 2, true, _) => {
                inner(self, &x.dims[0], &y.dims[0])?;
                let dims = vec![y.dims[1].clone()];
                let y = self.transposed(y);
                let x = Arr { covector: false, ..x };
                self.matmul(y, x, dims, true, span)
            }
            _ => Err(err(
                Code::ShapeMismatch,
                format!(
                    "`*` is not defined between {} and {}",
                    describe(&x.dims),
                    describe(&y.dims)
                ),
            )
            .at(span, "here")
            .help("a vector on the left of a matrix is written transposed: `x'*A`")
            .into()),
        }
    }

    fn matmul(&mut self, x: Arr, y: Arr, dims: Vec<IndexSet>, covector: bool, span: Span) -> Lowered<Val> {
        if let (Some(a), Some(b)) = (self.try_whole(&x)?, self.try_whole(&y)?) {
            let n = self.ir.apply(atoms::MATMUL, &[a, b]);
            return Ok(Val::Arr(Arr {
                covector,
                ..self.node_arr(n, dims)
            }));
        }
        let inner = x.dims[1].clone();
        let pull = Rc::new(move |l: &mut Lower<'_>, at: &[Pos]| {
            l.fold_over(atoms::SUM, std::slice::from_ref(&inner), |l, k| {
                let u = l.entry(&x, &[at[0].clone(), k[0].clone()])?;
                let mut p = vec![k[0].clone()];
                p.extend(at[1..].iter().cloned());
                let v = l.entry(&y, &p)?;
                l.scalar_atom(atoms::MUL, &[u, v], span)
            })
        });
        Ok(Val::Arr(Arr {
            dims,
            src: Src::Pull(pull),
            covector,
            elem: Elem::Real,
        }))
    }

    /// `Σ a[i]·b[i]` over all dimensions.
    pub(super) fn dot(&mut self, a: &Arr, b: &Arr, span: Span) -> Lowered<NodeId> {
        if a.dims != b.dims {
            return Err(err(
                Code::ShapeMismatch,
                format!("`dot` of {} and {}", describe(&a.dims), describe(&b.dims)),
            )
            .at(span, "the dimensions differ")
            .into());
        }
        self.fold_over(atoms::SUM, &a.dims.clone(), |l, at| {
            let (u, v) = (l.entry(a, at)?, l.entry(b, at)?);
            l.scalar_atom(atoms::MUL, &[u, v], span)
        })
    }

    /// The matrix with rows and columns exchanged.
    pub(super) fn transposed(&mut self, a: Arr) -> Arr {
        let dims: Vec<IndexSet> = a.dims.iter().rev().cloned().collect();
        match a.src {
            Src::Node(n) => {
                let t = self.ir.apply(atoms::TRANSPOSE, &[n]);
                Arr {
                    dims,
                    src: Src::Node(t),
                    ..a
                }
            }
            Src::Pull(f) => {
                let pull = Rc::new(move |l: &mut Lower<'_>, at: &[Pos]| {
                    let mut p = at.to_vec();
                    p.reverse();
                    f(l, &p)
                });
                Arr {
                    dims,
                    src: Src::Pull(pull),
                    covector: a.covector,
                    elem: a.elem,
                }
            }
        }
    }

    /// A reduction over fresh indices of `dims`, hoisted to the outermost region its body allows.
    pub(super) fn fold_over(
        &mut self,
        atom: AtomRef,
        dims: &[IndexSet],
        body: impl FnOnce(&mut Self, &[Pos]) -> Lowered<NodeId>,
    ) -> Lowered<NodeId> {
        if self.region == DomainId::ROOT
            && let Some((d, at)) = self.shared_domain(dims)
        {
            let b = self.in_region(d, |l| body(l, &at))?;
            return Ok(self.ir.fold(atom, d, b));
        }
        let (d, ix) = self.ir.add_domain(self.region, index_names(dims));
        let at: Vec<Pos> = ix.iter().map(|i| Pos::index(*i)).collect();
        let b = self.in_region(d, |l| body(l, &at))?;
        Ok(self.close_fold(atom, d, b))
    }

    /// Ends a fold: its domain moves up to the innermost region that body and filter really depend on.
    pub(super) fn close_fold(&mut self, atom: AtomRef, d: DomainId, body: NodeId) -> NodeId {
        let deepest = self.enclosing_of(d, body);
        self.ir.reparent(d, deepest);
        self.ir.fold(atom, d, body)
    }

    /// The innermost region outside of a domain that a body in it and its filter depend on.
    fn enclosing_of(&self, d: DomainId, body: NodeId) -> DomainId {
        let mut deepest = DomainId::ROOT;
        let mut stack: Vec<NodeId> = vec![body];
        stack.extend(self.ir.domain(d).filter);
        let mut seen = std::collections::HashSet::new();
        while let Some(n) = stack.pop() {
            if !seen.insert(n) {
                continue;
            }
            let r = self.ir.region(n);
            // What lives at the root depends on no index; the ones inside a map or a closed fold are its own.
            if r == DomainId::ROOT {
                continue;
            }
            if !self.ir.encloses(d, r) {
                deepest = self.ir.deeper(deepest, r);
                continue;
            }
            if let Node::Gather { at, .. } = self.ir.node(n) {
                for p in at.iter() {
                    if let Pos::Affine { terms, .. } = p {
                        for (i, _) in terms {
                            let home = self.ir.index(*i).domain;
                            if !self.ir.encloses(d, home) {
                                deepest = self.ir.deeper(deepest, home);
                            }
                        }
                    }
                }
            }
            self.ir.for_each_arg(n, |a| stack.push(a));
        }
        deepest
    }

    /// A reduction of all entries of an array.
    pub(super) fn reduce(&mut self, atom: AtomRef, a: &Arr) -> Lowered<NodeId> {
        self.fold_over(atom, &a.dims.clone(), |l, at| l.entry(a, at))
    }
}

/// Fresh index names for dimensions without user names.
pub(super) fn index_names(dims: &[IndexSet]) -> Vec<(String, IndexSet)> {
    dims.iter()
        .enumerate()
        .map(|(k, d)| (format!("i{}", k + 1), d.clone()))
        .collect()
}
