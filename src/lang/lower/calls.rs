//! Function calls: atoms of the table, whole-array functions, the user's own functions, fields with arguments.
//!
//! Invariant: a scalar or reduction atom needs no line here; it is found by name in the table.

use std::rc::Rc;

use super::expr::elem_of;
use super::{Arr, Entity, Local, Lower, Lowered, Src, Val, describe, err};
use crate::atoms;
use crate::base::value::{Elem, IndexSet};
use crate::base::{Code, Span};
use crate::ir::{AtomKind, AtomRef, NodeId, Pos};
use crate::lang::syntax::{Arg, Expr, ExprKind, FnDecl, FormalParam, show};

impl Lower<'_> {
    pub(super) fn call(&mut self, callee: &Expr, args: &[Arg], span: Span) -> Lowered<Val> {
        if let ExprKind::Field { base, name } = &callee.kind {
            if let ExprKind::Index { base: of, subscripts } = &base.kind
                && let Some(Entity::Solution(s)) = of.as_name().and_then(|n| self.lookup(n))
            {
                return self.of_turns(&s, subscripts, span, &show(of), &name.text, |l, t| {
                    l.method(Val::Solution(t), &name.text, args, span)
                });
            }
            let b = self.expr(base)?;
            return self.method(b, &name.text, args, span);
        }
        let Some(name) = callee.as_name() else {
            return Err(err(Code::WrongType, format!("`{}` is not a function", show(callee)))
                .at(span, "called here")
                .into());
        };
        if let Some(Local::Val(v)) = self.scope.get(name) {
            return self.call_schedule(v, args, span);
        }
        match self.lookup(name) {
            Some(Entity::Fn(f)) => return self.call_fn(&f, args, span),
            // What has a name and is called is a schedule.
            Some(Entity::Let(x)) => {
                let v = self.defined(name, &x, super::Scope::default())?;
                return self.call_schedule(v, args, span);
            }
            _ => {}
        }
        if let Some(v) = self.linear_call(name, args, span)? {
            return Ok(v);
        }
        if let Some(a) = args.iter().find(|a| a.name.is_some()) {
            return Err(err(Code::UnknownArgument, format!("`{name}` takes no named arguments"))
                .at(a.value.span, "named here")
                .into());
        }
        match name {
            "zeros" | "ones" | "eye" => return self.constant_array(name, args, span),
            "linspace" | "logspace" => return self.spaced(name, args, span),
            "length" => {
                let v = self.expr(&self.one(name, args, span)?.value)?;
                let n = match &v {
                    Val::Set(s) => s.len(),
                    Val::Table(t) => t.rows,
                    v => v.dims().iter().map(IndexSet::len).product(),
                };
                return Ok(Val::Num(self.ir.constant(n as f64), Elem::Int));
            }
            "read" => {
                return Err(err(Code::WrongType, "`read` stands after the `=` of a declaration")
                    .at(span, "not a value here")
                    .help("`param A: Matrix[m, n] = read(\"A.csv\")`")
                    .into());
            }
            _ => {}
        }
        let vals = args.iter().map(|a| self.expr(&a.value)).collect::<Lowered<Vec<_>>>()?;
        if vals.iter().any(|v| matches!(v, Val::Linear(_))) {
            return self.linear_builtin(name, &vals, span);
        }
        match (name, vals.as_slice()) {
            ("dot", [Val::Arr(a), Val::Arr(b)]) => {
                return Ok(Val::Num(self.dot(a, b, span)?, Elem::Real));
            }
            ("standardize", [Val::Arr(a)]) if matches!(a.dims.len(), 1 | 2) => return self.standardized(a, span),
            ("quad", [Val::Arr(x), Val::Arr(p)]) if x.dims.len() == 1 && p.dims.len() == 2 => {
                return self.quad(x, p, span);
            }
            ("outer", [Val::Arr(a), Val::Arr(b)]) if a.dims.len() == 1 && b.dims.len() == 1 => {
                let b = Arr {
                    covector: true,
                    ..b.clone()
                };
                let a = Arr {
                    covector: false,
                    ..a.clone()
                };
                return self.product(Val::Arr(a), Val::Arr(b), span);
            }
            ("diff", [Val::Arr(a)]) if a.dims.len() == 1 => return self.differences(&a.clone(), span),
            ("tv", [Val::Arr(a)]) if a.dims.len() <= 2 => return self.total_variation(&a.clone(), span),
            ("trace", [Val::Arr(a)]) if a.dims.len() == 2 => {
                if a.dims[0].len() != a.dims[1].len() {
                    return Err(err(Code::ShapeMismatch, format!("`trace` of {}", describe(&a.dims)))
                        .at(span, "not square")
                        .into());
                }
                let a = a.clone();
                let n = self.fold_over(atoms::SUM, &a.dims[..1], |l, at| {
                    l.entry(&a, &[at[0].clone(), at[0].clone()])
                })?;
                return Ok(Val::Num(n, Elem::Real));
            }
            ("diag", [Val::Arr(a)]) if a.dims.len() == 1 => {
                let dims = vec![a.dims[0].clone(), a.dims[0].clone()];
                let n = self.whole(a, span)?;
                let n = self.ir.apply(atoms::DIAG, &[n]);
                return Ok(Val::Arr(self.node_arr(n, dims)));
            }
            ("diag", [Val::Arr(a)]) if a.dims.len() == 2 && a.dims[0].len() == a.dims[1].len() => {
                let dims = vec![a.dims[0].clone()];
                let a = a.clone();
                let pull = Rc::new(move |l: &mut Lower<'_>, at: &[Pos]| l.entry(&a, &[at[0].clone(), at[0].clone()]));
                return Ok(Val::Arr(Arr {
                    dims,
                    src: Src::Pull(pull),
                    covector: false,
                    elem: Elem::Real,
                }));
            }
            _ => {}
        }
        // Elementwise atoms, then reductions, then whole-array atoms.
        let scalars = vals.iter().all(|v| matches!(v, Val::Num(..)));
        if let Some(atom) = atoms::find_kind(name, AtomKind::Scalar)
            && arity(atom) == vals.len()
        {
            let elem = if vals.iter().all(|v| elem_of(v) == Elem::Int) {
                elem_of(&vals[0])
            } else {
                Elem::Real
            };
            let exact = matches!(name, "max" | "min" | "abs" | "sign" | "floor" | "ceil" | "round");
            return self.elementwise(atom, vals, if exact { elem } else { Elem::Real }, span);
        }
        if let (Some(atom), [v]) = (atoms::find_kind(name, AtomKind::Reduction), vals.as_slice()) {
            let truth = atom.signature.iter().all(|s| s.ends_with("-> Bool"));
            let elem = if truth { Elem::Bool } else { Elem::Real };
            return match v {
                Val::Arr(a) => Ok(Val::Num(self.reduce(atom, a)?, elem)),
                v => {
                    let n = self.number(v, span)?;
                    let one = [IndexSet::upto(1)];
                    Ok(Val::Num(self.fold_over(atom, &one, |_, _| Ok(n))?, elem))
                }
            };
        }
        if let Some(atom) = atoms::find_kind(name, AtomKind::Array)
            && !scalars
        {
            return self.array_atom(atom, &vals, span);
        }
        if atoms::all().any(|a| a.name == name) {
            let found: Vec<String> = vals.iter().map(|v| describe(v.dims())).collect();
            let forms: Vec<&str> = atoms::all()
                .filter(|a| a.name == name)
                .flat_map(|a| a.signature.iter().copied())
                .collect();
            return Err(err(
                Code::NoOverload,
                format!("no form of `{name}` takes {}", found.join(" and ")),
            )
            .at(span, "called here")
            .note(format!("`{name}` has the forms {}", forms.join(", ")))
            .into());
        }
        let mut d = err(Code::UnknownName, format!("there is no function `{name}`")).at(callee.span, "unknown name");
        if let Some(n) = crate::base::diagnostic::did_you_mean(name, atoms::all().map(|a| a.name)) {
            d = d.help_edit(format!("did you mean `{n}`?"), callee.span, n);
        }
        Err(d.into())
    }

    /// A schedule at a step; a number is the constant one.
    pub(super) fn call_schedule(&mut self, schedule: Val, args: &[Arg], span: Span) -> Lowered<Val> {
        let at = self.expr(&self.one("a schedule", args, span)?.value)?;
        let Val::Closure(c) = schedule else {
            return Ok(schedule);
        };
        let scope = c.scope.with(&c.param, Local::Val(at));
        self.with_scope(scope, |l| l.expr(&c.body))
    }

    pub(super) fn one<'a>(&self, name: &str, args: &'a [Arg], span: Span) -> Lowered<&'a Arg> {
        match args {
            [a] => Ok(a),
            _ => Err(err(
                Code::WrongArity,
                format!("`{name}` takes one argument, {} given", args.len()),
            )
            .at(span, "here")
            .into()),
        }
    }

    /// `linspace(a, b, n)`, `logspace(a, b, n)`.
    fn spaced(&mut self, name: &str, args: &[Arg], span: Span) -> Lowered<Val> {
        let [first, last, count] = args else {
            return Err(err(Code::WrongArity, format!("`{name}` takes two ends and a number"))
                .at(span, "here")
                .into());
        };
        let n = self.dimension(&count.value)?;
        let ends = [first, last].map(|a| {
            let v = self.expr(&a.value)?;
            self.number(&v, a.value.span)
        });
        let [a, b] = ends;
        let (a, b) = (a?, b?);
        let steps = self.ir.constant((n.len().max(2) - 1) as f64);
        let log = name == "logspace";
        let pull = Rc::new(move |l: &mut Lower<'_>, at: &[Pos]| {
            // a + (b - a)*(k - 1)/(n - 1), which is exact at both ends.
            let k = l.position_node(&at[0])?;
            let t = l.ir.apply(atoms::DIV, &[k, steps]);
            let d = l.ir.apply(atoms::SUB, &[b, a]);
            let d = l.ir.apply(atoms::MUL, &[d, t]);
            let v = l.ir.apply(atoms::ADD, &[a, d]);
            Ok(match log {
                true => {
                    let ten = l.ir.constant(10.0);
                    l.ir.apply(atoms::POW, &[ten, v])
                }
                false => v,
            })
        });
        Ok(Val::Arr(Arr {
            dims: vec![n],
            src: Src::Pull(pull),
            covector: false,
            elem: Elem::Real,
        }))
    }

    fn constant_array(&mut self, name: &str, args: &[Arg], span: Span) -> Lowered<Val> {
        let dims = args
            .iter()
            .map(|a| self.dimension(&a.value))
            .collect::<Lowered<Vec<_>>>()?;
        if name == "eye" {
            let [d] = dims.as_slice() else {
                return Err(err(Code::WrongArity, "`eye` takes one size").at(span, "here").into());
            };
            let one = self.ir.constant(1.0);
            let (dom, _) = self
                .ir
                .add_domain(crate::ir::DomainId::ROOT, [("i1".to_string(), d.clone())]);
            let v = self.ir.map(dom, one);
            let n = self.ir.apply(atoms::DIAG, &[v]);
            return Ok(Val::Arr(self.node_arr(n, vec![d.clone(), d.clone()])));
        }
        if dims.is_empty() {
            return Err(err(Code::WrongArity, format!("`{name}` takes at least one size"))
                .at(span, "here")
                .into());
        }
        let value = f64::from(u8::from(name == "ones"));
        let pull = Rc::new(move |l: &mut Lower<'_>, _: &[Pos]| Ok(l.ir.constant(value)));
        Ok(Val::Arr(Arr {
            dims,
            src: Src::Pull(pull),
            covector: false,
            elem: Elem::Real,
        }))
    }

    /// Columns centred and divided by their standard deviations; the deviation of `n` entries, not of `n - 1`.
    fn standardized(&mut self, a: &Arr, span: Span) -> Lowered<Val> {
        let rows = [a.dims[0].clone()];
        // One mean and one deviation for each column, each computed once.
        let per_column = |l: &mut Self, entry: Rc<dyn Fn(&mut Lower<'_>, &[Pos]) -> Lowered<NodeId>>| -> Lowered<Arr> {
            let rows = rows.clone();
            let pull = Rc::new(move |l: &mut Lower<'_>, column: &[Pos]| {
                let entry = entry.clone();
                l.fold_over(atoms::MEAN, &rows, move |l, row| entry(l, &[row, column].concat()))
            });
            let one = Arr {
                dims: a.dims[1..].to_vec(),
                src: Src::Pull(pull),
                covector: false,
                elem: Elem::Real,
            };
            match one.dims.is_empty() {
                true => {
                    let n = l.entry(&one, &[])?;
                    Ok(Arr {
                        src: Src::Pull(Rc::new(move |_: &mut Lower<'_>, _: &[Pos]| Ok(n))),
                        ..one
                    })
                }
                false => {
                    let n = l.whole(&one, span)?;
                    Ok(l.node_arr(n, one.dims))
                }
            }
        };
        let source = a.clone();
        let mean = per_column(self, Rc::new(move |l: &mut Lower<'_>, at: &[Pos]| l.entry(&source, at)))?;
        let (source, centre) = (a.clone(), mean.clone());
        let centred: Rc<dyn Fn(&mut Lower<'_>, &[Pos]) -> Lowered<NodeId>> =
            Rc::new(move |l: &mut Lower<'_>, at: &[Pos]| {
                let (x, m) = (l.entry(&source, at)?, l.entry(&centre, &at[1..])?);
                l.scalar_atom(atoms::SUB, &[x, m], span)
            });
        let again = centred.clone();
        let variance = per_column(
            self,
            Rc::new(move |l: &mut Lower<'_>, at: &[Pos]| {
                let c = again(l, at)?;
                l.scalar_atom(atoms::MUL, &[c, c], span)
            }),
        )?;
        let pull = Rc::new(move |l: &mut Lower<'_>, at: &[Pos]| {
            let (c, v) = (centred(l, at)?, l.entry(&variance, &at[1..])?);
            let s = l.scalar_atom(atoms::SQRT, &[v], span)?;
            // What rounding makes of a constant column is no deviation.
            let m = l.entry(&mean, &at[1..])?;
            let (tiny, one) = (l.ir.constant(1e-14), l.ir.constant(1.0));
            let m = l.scalar_atom(atoms::ABS, &[m], span)?;
            let least = l.scalar_atom(atoms::MUL, &[tiny, m], span)?;
            let none = l.scalar_atom(atoms::LE, &[s, least], span)?;
            let s = l.scalar_atom(atoms::SELECT, &[none, one, s], span)?;
            l.scalar_atom(atoms::DIV, &[c, s], span)
        });
        Ok(Val::Arr(Arr {
            dims: a.dims.clone(),
            src: Src::Pull(pull),
            covector: false,
            elem: Elem::Real,
        }))
    }

    fn quad(&mut self, x: &Arr, p: &Arr, span: Span) -> Lowered<Val> {
        if p.dims[0] != x.dims[0] || p.dims[1] != x.dims[0] {
            return Err(err(
                Code::ShapeMismatch,
                format!("`quad` of {} with {}", describe(&x.dims), describe(&p.dims)),
            )
            .at(span, "the matrix must have the vector's dimension on both sides")
            .into());
        }
        if let (Some(u), Some(m)) = (self.try_whole(x)?, self.try_whole(p)?) {
            return Ok(Val::Num(self.ir.apply(atoms::QUAD, &[u, m]), Elem::Real));
        }
        let dims = vec![x.dims[0].clone(), x.dims[0].clone()];
        let n = self.fold_over(atoms::SUM, &dims, |l, at| {
            let (a, b) = (l.entry(x, &at[..1])?, l.entry(x, &at[1..])?);
            let m = l.entry(p, at)?;
            let am = l.scalar_atom(atoms::MUL, &[a, m], span)?;
            l.scalar_atom(atoms::MUL, &[am, b], span)
        })?;
        Ok(Val::Num(n, Elem::Real))
    }

    fn array_atom(&mut self, atom: AtomRef, vals: &[Val], span: Span) -> Lowered<Val> {
        let mut nodes: Vec<NodeId> = vec![];
        for v in vals {
            nodes.push(match v {
                Val::Arr(a) => self.whole(a, span)?,
                v => self.number(v, span)?,
            });
        }
        let n = self
            .ir
            .try_apply(atom, &nodes)
            .map_err(|e| err(Code::NoOverload, format!("`{}`: {e}", atom.name)).at(span, "called here"))?;
        let shape = self.ir.shape(n).to_vec();
        if shape.is_empty() {
            return Ok(Val::Num(n, Elem::Real));
        }
        // Results keep the arguments' index sets where the lengths tell which; others are plain.
        let first = vals
            .iter()
            .find(|v| matches!(v, Val::Arr(_)))
            .map(|v| v.dims().to_vec())
            .unwrap_or_default();
        let same = first.len() == shape.len() && first.iter().zip(&shape).all(|(d, n)| d.len() == *n);
        let dims = if same {
            first
        } else {
            shape.iter().map(|n| IndexSet::upto(*n)).collect()
        };
        Ok(Val::Arr(self.node_arr(n, dims)))
    }

    /// A user's function: its body with the parameters bound to the arguments' values.
    fn call_fn(&mut self, f: &Rc<FnDecl>, args: &[Arg], span: Span) -> Lowered<Val> {
        let mut scope = super::Scope::of(self.names, f.name.span.source);
        for (k, p) in f.params.iter().enumerate() {
            let given = args
                .iter()
                .find(|a| a.name.as_ref().is_some_and(|n| n.text == p.name.text))
                .or_else(|| args.get(k).filter(|a| a.name.is_none()));
            let value = match (given, &p.default) {
                (Some(a), _) => self.expr(&a.value)?,
                (None, Some(d)) => self.with_scope(scope.clone(), |l| l.expr(d))?,
                (None, None) => {
                    return Err(err(
                        Code::WrongArity,
                        format!("`{}` needs a value for `{}`", f.name.text, p.name.text),
                    )
                    .at(span, "called here")
                    .at(p.name.span, "declared here")
                    .into());
                }
            };
            scope = self.bound(scope, &f.name.text, p, value, span)?;
        }
        if args.len() > f.params.len() {
            return Err(err(
                Code::WrongArity,
                format!(
                    "`{}` takes {} arguments, {} given",
                    f.name.text,
                    f.params.len(),
                    args.len()
                ),
            )
            .at(span, "called here")
            .into());
        }
        self.depth += 20;
        let r = self.with_scope(scope, |l| {
            for d in &f.lets {
                let v = l.expr(&d.value)?;
                l.scope = l.scope.with(&d.name.text, Local::Val(v));
            }
            l.expr(&f.body)
        });
        self.depth = self.depth.saturating_sub(20);
        r
    }
}

impl Lower<'_> {
    /// A parameter of `of` bound to a value, and the sizes that its type names.
    pub(super) fn bound(
        &mut self,
        mut scope: super::Scope,
        of: &str,
        p: &FormalParam,
        value: Val,
        span: Span,
    ) -> Lowered<super::Scope> {
        if !p.ty.dims.is_empty() && p.ty.dims.len() != value.dims().len() {
            return Err(err(
                Code::NoOverload,
                format!(
                    "`{}` of `{of}` is declared with {} dimensions, found {}",
                    p.name.text,
                    p.ty.dims.len(),
                    describe(value.dims())
                ),
            )
            .at(span, "called here")
            .at(p.ty.span, "declared here")
            .into());
        }
        // Sizes named in the parameter's type are bound by the argument.
        for (d, set) in p.ty.dims.iter().zip(value.dims()) {
            if let Some(n) = d.as_name() {
                let known = scope.get(n).is_some() || !scope.library && self.lookup(n).is_some();
                if !known {
                    let local = if set.is_plain() {
                        Local::Size(set.len())
                    } else {
                        Local::Dims(set.clone())
                    };
                    scope = scope.with(n, local);
                }
            }
        }
        Ok(scope.with(&p.name.text, Local::Val(value)))
    }
}

/// Number of arguments of a scalar atom.
fn arity(a: AtomRef) -> usize {
    match a.eval {
        crate::ir::atom::Eval::Lane1(_) => 1,
        crate::ir::atom::Eval::Lane2(_) => 2,
        crate::ir::atom::Eval::Lane3(_) => 3,
        _ => 0,
    }
}
