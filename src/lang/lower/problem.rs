//! Problems: variables, bounds, objective, constraints and families.
//!
//! Invariant: every constraint ends as one scalar comparison over one domain chain, whatever its shape was.

use std::collections::BTreeSet;
use std::rc::Rc;
use std::sync::Arc;

use super::cones::Condition;
use super::{Entity, Local, Lower, Lowered, Names, ParamValue, Src, Val, describe, err};
use crate::base::value::{Elem, IndexSet, Tensor};
use crate::base::{Code, Diagnostics, Span};
use crate::ir::facts::Sign;
use crate::ir::problem::{Constraint, Objective, Problem, Sense, Sides, Variable};
use crate::ir::{DomainId, Input, InputId, InputKind, NodeId, Pos};
use crate::lang::syntax::{self, CompareOp, Expr, ExprKind, FormalParam, Stmt, StmtKind};

/// A lowered problem.
pub struct LoweredProblem {
    /// The problem.
    pub problem: Problem,
    /// Session parameters it reads, by name.
    pub params: Vec<(String, InputId)>,
    /// Parameters whose values shaped it: rebinding one of them rebuilds it.
    pub structural: BTreeSet<String>,
    /// Names of the rows of filtered families, by constraint.
    pub labels: Vec<Option<RowLabels>>,
}

/// What the rows of a filtered family are called: the values of its indices, at every instance.
pub struct RowLabels {
    /// The domain whose instances are the rows.
    pub domain: DomainId,
    /// What each index is drawn from.
    pub parts: Vec<IndexSet>,
    /// Positions there, one node for each.
    pub nodes: Vec<NodeId>,
}

/// What a solve fixes of a variable.
#[derive(Clone, Debug, PartialEq)]
pub enum Pin {
    /// All of it: it is data then.
    Whole(Arc<Tensor>),
    /// Some entries: bounds of the variable's shape that meet there, and are infinite elsewhere.
    Entries(Arc<Tensor>, Arc<Tensor>),
}

/// What a parameter of a problem stands for.
#[derive(Clone, Debug)]
pub enum Argument {
    /// An expression, part of the problem.
    Expr(Rc<Expr>),
    /// A value that may be another one in the next solve: an input, kept by the session under this name.
    Input(String, ParamValue),
}

/// Lowers a problem's statements; `args` are its parameters and what they stand for, `pins` what is fixed of its variables, by
/// name. `line` gives a constraint's line.
pub fn lower_problem(
    names: &dyn Names,
    name: &str,
    body: &[Stmt],
    args: &[(FormalParam, Argument)],
    pins: &[(String, Pin)],
    line: &dyn Fn(Span) -> usize,
) -> Result<LoweredProblem, Diagnostics> {
    let mut l = Lower::new(names);
    let mut out = Problem {
        name: name.into(),
        ir: crate::ir::Ir::new(),
        vars: vec![],
        objective: None,
        constraints: vec![],
        assumed: vec![],
    };
    let mut labels = vec![];
    let mut errors: Diagnostics = vec![];
    for (p, a) in args {
        let value = match a {
            Argument::Expr(e) => l.expr(e),
            Argument::Input(key, value) => Ok(l.given(key, &p.name.text, value)),
        };
        let scope = l.scope.clone();
        match value.and_then(|v| l.bound(scope, name, p, v, p.name.span)) {
            Ok(scope) => l.scope = scope,
            Err(d) => errors.push(*d),
        }
    }
    // Declarations first, in order; objectives and constraints may stand before them in a notebook.
    for s in body {
        let r = match &s.kind {
            StmtKind::Var(v) => {
                let pin = pins.iter().find(|p| p.0 == v.name.text);
                match pin {
                    Some((name, Pin::Whole(t))) => {
                        let v = l.constant_value(name, t);
                        l.scope = l.scope.with(name, Local::Val(v));
                        Ok(())
                    }
                    _ => {
                        let entries = match pin {
                            Some((_, Pin::Entries(lo, hi))) => Some((lo, hi)),
                            _ => None,
                        };
                        l.variable(v, entries).map(|(v, members)| {
                            out.vars.push(v);
                            labels.extend(members.iter().map(|_| None));
                            out.constraints.extend(members);
                        })
                    }
                }
            }
            StmtKind::Let(d) => {
                l.scope = l.scope.with(&d.name.text, Local::Let(Rc::new(d.value.clone())));
                Ok(())
            }
            StmtKind::Set(d) => l.local_set(d),
            _ => Ok(()),
        };
        if let Err(d) = r {
            errors.push(*d);
        }
    }
    // An `assume` may stand before the objective that it speaks of.
    let (last, first): (Vec<&Stmt>, Vec<&Stmt>) = body.iter().partition(|s| matches!(s.kind, StmtKind::Assume { .. }));
    for s in first.into_iter().chain(last) {
        match &s.kind {
            StmtKind::Objective(o) => match l.objective(o, s.span) {
                Ok(o) => out.objective = Some(o),
                Err(d) => errors.push(*d),
            },
            StmtKind::Assume { convex, of } => match l.assumed(of, out.objective.as_ref()) {
                Ok(node) => out.assumed.push((node, *convex)),
                Err(d) => errors.push(*d),
            },
            StmtKind::SubjectTo(cs) => {
                for c in cs {
                    match l.constraint(c, line) {
                        Ok(rows) => {
                            for (c, names) in rows {
                                out.constraints.push(c);
                                labels.push(names);
                            }
                        }
                        Err(d) => errors.push(*d),
                    }
                }
            }
            _ => {}
        }
    }
    // Of a problem in parts, the parts together are judged here.
    if let Some(d) = crate::lang::check::saddle_sides(body) {
        errors.push(d);
    }
    if errors.is_empty()
        && let Err(d) = l.check_lookups()
    {
        errors.push(*d);
    }
    if !errors.is_empty() {
        return Err(errors);
    }
    out.ir = l.ir;
    Ok(LoweredProblem {
        labels,
        problem: out,
        params: l.params.into_iter().collect(),
        structural: l.structural,
    })
}

impl Lower<'_> {
    pub(super) fn local_set(&mut self, d: &syntax::SetDecl) -> Lowered<()> {
        let local = match self.declared_set(d)? {
            super::DeclaredSet::One(s) => Local::Val(Val::Set(s)),
            super::DeclaredSet::Family { set, keys } => Local::Family(set, keys),
        };
        self.scope = self.scope.with(&d.name.text, local);
        Ok(())
    }

    fn variable(
        &mut self,
        v: &syntax::VarDecl,
        pinned: Option<(&Arc<Tensor>, &Arc<Tensor>)>,
    ) -> Lowered<(Variable, Vec<Constraint>)> {
        let name = v.name.text.as_str();
        match v.ty.name.text.as_str() {
            "Real" | "Vector" | "Matrix" | "Symmetric" => {}
            whole @ ("Int" | "Bool") => {
                return Err(err(
                    Code::NotBuiltYet,
                    format!("variables of type `{whole}` are not built yet"),
                )
                .at(v.ty.span, "this type")
                .help("`solve … relaxed` takes reals in their place, which bounds what whole numbers can reach")
                .into());
            }
            other => {
                return Err(err(
                    Code::NotBuiltYet,
                    format!("variables of type `{other}` are not built yet"),
                )
                .at(v.ty.span, "this type")
                .help("use `Real`, `Vector[n]`, `Matrix[m, n]` or `Symmetric[n]`")
                .into());
            }
        }
        let mut dims =
            v.ty.dims
                .iter()
                .map(|d| self.dimension(d))
                .collect::<Lowered<Vec<_>>>()?;
        let symmetric = v.ty.name.text == "Symmetric";
        if symmetric && let [n] = dims.as_slice() {
            dims.push(n.clone());
        }
        let mut members = vec![];
        let (mut lower, mut upper) = (None, None);
        let mut sign = Sign::Unknown;
        for b in &v.bounds {
            let (lo, hi) = match (b.op, &b.value.kind) {
                (CompareOp::Ge, _) => (Some(&b.value), None),
                (CompareOp::Le, _) => (None, Some(&b.value)),
                (CompareOp::In, ExprKind::Interval { lo, hi }) => (Some(&**lo), Some(&**hi)),
                (CompareOp::Eq, _) => (Some(&b.value), Some(&b.value)),
                (CompareOp::In, ExprKind::Cone { cone, arg }) => {
                    members.push((*cone, arg.as_deref(), b));
                    continue;
                }
                (CompareOp::Gt | CompareOp::Lt, _) => {
                    return Err(err(Code::StrictInequality, "a bound cannot be strict")
                        .at(b.span, "the optimum may lie on the bound")
                        .help("write `>=` or `<=`")
                        .into());
                }
                _ => {
                    return Err(err(
                        Code::NotBuiltYet,
                        "membership of variables in this set is not built yet",
                    )
                    .at(b.span, "here")
                    .help("`in [l, u]`, `>= l` and `<= u` are bounds, `in PSD`, `in simplex` and `in ball(r)` memberships")
                    .into());
                }
            };
            for (e, is_lower) in [(lo, true), (hi, false)] {
                let Some(e) = e else { continue };
                let n = self.of_shape(e, &dims, name)?;
                if self.depends_on_var(n) {
                    return Err(err(Code::NotAConstraint, "a bound depends on a variable")
                        .at(e.span, "here")
                        .help("write it as a constraint after `subject to`")
                        .into());
                }
                let slot = if is_lower { &mut lower } else { &mut upper };
                *slot = Some(match *slot {
                    None => n,
                    Some(old) => self.tighter(old, n, is_lower, &dims, e.span)?,
                });
                if let Some(c) = self.ir.as_const(n) {
                    sign = match (is_lower, c) {
                        (true, c) if c >= 0.0 => Sign::Nonneg,
                        (false, c) if c <= 0.0 => Sign::Nonpos,
                        _ => sign,
                    };
                }
            }
        }
        if let Some((lo, hi)) = pinned {
            for (t, is_lower) in [(lo, true), (hi, false)] {
                let n = self.embed(name, t);
                let slot = if is_lower { &mut lower } else { &mut upper };
                *slot = Some(match *slot {
                    None => n,
                    Some(old) => self.tighter(old, n, is_lower, &dims, v.name.span)?,
                });
            }
        }
        let start = v.start.as_ref().map(|e| self.of_shape(e, &dims, name)).transpose()?;
        let scale = v.scale.as_ref().map(|e| self.of_shape(e, &dims, name)).transpose()?;
        let input = self.ir.add_input(Input {
            name: name.into(),
            kind: InputKind::Var,
            dims: dims.clone(),
            sparse: false,
            sign,
        });
        let node = self.ir.read(input);
        let val = if dims.is_empty() {
            Val::Num(node, Elem::Real)
        } else {
            Val::Arr(self.node_arr(node, dims.clone()))
        };
        self.scope = self.scope.with(name, Local::Val(val.clone()));
        let mut rows = vec![];
        for (cone, arg, b) in members {
            for c in self.array_in(val.clone(), (cone, arg), DomainId::ROOT, b.span)? {
                rows.push(Constraint {
                    name: format!("{name} in {}{}", cone.word(), c.suffix),
                    domain: c.domain,
                    dims: c.dims,
                    sides: c.sides,
                    span: b.span,
                });
            }
        }
        let declared = Variable {
            name: name.into(),
            input,
            dims,
            symmetric,
            lower,
            upper,
            start,
            scale,
            maximized: v.side == Some(syntax::Sense::Maximize),
            span: v.name.span,
        };
        Ok((declared, rows))
    }

    /// Two bounds on one side: the tighter one, entry by entry.
    fn tighter(&mut self, a: NodeId, b: NodeId, is_lower: bool, dims: &[IndexSet], span: Span) -> Lowered<NodeId> {
        let atom = if is_lower {
            crate::atoms::MAX2
        } else {
            crate::atoms::MIN2
        };
        let val = |l: &Self, n: NodeId| {
            if l.ir.shape(n).is_empty() {
                Val::Num(n, Elem::Real)
            } else {
                Val::Arr(l.node_arr(n, dims.to_vec()))
            }
        };
        let v = self.elementwise(atom, vec![val(self, a), val(self, b)], Elem::Real, span)?;
        match v {
            Val::Arr(a) => self.whole(&a, span),
            v => self.number(&v, span),
        }
    }

    /// A scalar, or an array over exactly `dims`, as a root node.
    fn of_shape(&mut self, e: &Expr, dims: &[IndexSet], name: &str) -> Lowered<NodeId> {
        match self.expr(e)? {
            Val::Arr(a) if a.dims == dims => self.whole(&a, e.span),
            Val::Arr(a) => Err(err(
                Code::ShapeMismatch,
                format!("`{name}` is {}, this is {}", describe(dims), describe(&a.dims)),
            )
            .at(e.span, "another shape")
            .help("a single number stands for all entries")
            .into()),
            v => self.number(&v, e.span),
        }
    }

    /// What an `assume` speaks of: the objective by its label, or a scalar expression.
    fn assumed(&mut self, of: &Expr, objective: Option<&Objective>) -> Lowered<NodeId> {
        if let Some(o) = objective
            && of.as_name().is_some_and(|n| o.label.as_deref() == Some(n))
        {
            return Ok(o.node);
        }
        let v = self.expr(of)?;
        self.number(&v, of.span)
    }

    /// A value of a parameter, as an input.
    fn given(&mut self, key: &str, shown: &str, p: &ParamValue) -> Val {
        let node = self.input_of(key, shown, p);
        match p.tensor.dims.is_empty() {
            true => Val::Num(node, p.elem),
            false => Val::Arr(super::Arr {
                elem: p.elem,
                ..self.node_arr(node, p.tensor.dims.clone())
            }),
        }
    }

    fn objective(&mut self, o: &syntax::Objective, span: Span) -> Lowered<Objective> {
        let v = self.expr(&o.expr)?;
        let node = match &v {
            Val::Arr(a) => {
                return Err(err(
                    Code::ObjectiveNotScalar,
                    format!("the objective is {}, not a number", describe(&a.dims)),
                )
                .at(o.expr.span, "an array")
                .help("reduce it: `sum(…)`, `norm(…)`, `max(…)`")
                .into());
            }
            v => self.number(v, o.expr.span)?,
        };
        let sense = match o.sense {
            syntax::Sense::Minimize => Sense::Minimize,
            syntax::Sense::Maximize => Sense::Maximize,
            syntax::Sense::Saddle => Sense::Saddle,
        };
        Ok(Objective {
            sense,
            label: o.label.as_ref().map(|l| l.text.clone()),
            node,
            span,
        })
    }

    fn constraint(
        &mut self,
        c: &syntax::Constraint,
        line: &dyn Fn(Span) -> usize,
    ) -> Lowered<Vec<(Constraint, Option<RowLabels>)>> {
        let name = c
            .label
            .as_ref()
            .map_or_else(|| format!("line {}", line(c.span)), |l| l.text.clone());
        let mut labels = None;
        let (outer, scope, family) = match &c.binders {
            Some(b) => {
                let o = self.open(b)?;
                if self.ir.domain(o.domain).filter.is_some() {
                    labels = Some(self.row_labels(b, &o)?);
                }
                (o.domain, o.scope, o.sets)
            }
            None => (DomainId::ROOT, self.scope.clone(), vec![]),
        };
        let conditions = self.with_scope(scope, |l| {
            l.in_region(outer, |l| {
                let ExprKind::Compare { first, rest } = &c.relation.kind else {
                    return Err(
                        err(Code::NotAConstraint, "a constraint is a comparison or a membership")
                            .at(c.relation.span, "not a comparison")
                            .help("compare it with something: `… <= …`, `… == …`")
                            .into(),
                    );
                };
                if let [link] = rest.as_slice()
                    && let ExprKind::Cone { cone, arg } = &link.operand.kind
                {
                    return l.in_cone(first, (*cone, arg.as_deref()), outer);
                }
                let mut exprs: Vec<&Expr> = vec![first];
                let mut ops = vec![];
                for link in rest {
                    match (link.op, &link.operand.kind) {
                        (CompareOp::In, ExprKind::Interval { lo, hi }) if rest.len() == 1 => {
                            exprs = vec![lo, first, hi];
                            ops = vec![CompareOp::Le, CompareOp::Le];
                        }
                        (CompareOp::In, _) => {
                            return Err(err(Code::NotBuiltYet, "membership in this set is not built yet")
                                .at(link.operand.span, "here")
                                .help("`in [l, u]` is built, and alone `in PSD`, `ExpCone`, `PowCone(a)`, `simplex`, `ball(r)`")
                                .into());
                        }
                        (CompareOp::Lt | CompareOp::Gt, _) => {
                            let weak = if link.op == CompareOp::Lt { "<=" } else { ">=" };
                            return Err(err(Code::StrictInequality, "a constraint cannot be strict")
                                .at(link.op_span, "the optimum may lie on the boundary")
                                .help_edit(format!("write `{weak}`"), link.op_span, weak)
                                .into());
                        }
                        (CompareOp::Ne, _) => {
                            return Err(err(Code::NotAConstraint, "`!=` is not a constraint")
                                .at(link.op_span, "its set is not closed")
                                .into());
                        }
                        (op, _) => {
                            exprs.push(&link.operand);
                            ops.push(op);
                        }
                    }
                }
                let vals = exprs.iter().map(|e| l.expr(e)).collect::<Lowered<Vec<_>>>()?;
                let shape = vals
                    .iter()
                    .map(Val::dims)
                    .find(|d| !d.is_empty())
                    .unwrap_or(&[])
                    .to_vec();
                for (v, e) in vals.iter().zip(&exprs) {
                    if !v.dims().is_empty() && v.dims() != shape {
                        return Err(err(
                            Code::ShapeMismatch,
                            format!("a constraint compares {} with {}", describe(&shape), describe(v.dims())),
                        )
                        .at(e.span, describe(v.dims()))
                        .help("both sides need the same index sets, or one of them is a single number")
                        .into());
                    }
                }
                let (domain, at) = if shape.is_empty() {
                    (outer, vec![])
                } else {
                    let (d, ix) = l.ir.add_domain(outer, super::arrays::index_names(&shape));
                    (d, ix.into_iter().map(Pos::index).collect())
                };
                let nodes = l.in_region(domain, |l| {
                    vals.iter()
                        .zip(&exprs)
                        .map(|(v, e)| match v {
                            Val::Arr(a) => l.entry(a, &at),
                            v => l.number(v, e.span),
                        })
                        .collect::<Lowered<Vec<_>>>()
                })?;
                let sides = match (nodes.as_slice(), ops.as_slice()) {
                    ([a, b], [CompareOp::Le]) => Sides::Le(*a, *b),
                    ([a, b], [CompareOp::Ge]) => Sides::Ge(*a, *b),
                    ([a, b], [CompareOp::Eq]) => Sides::Eq(*a, *b),
                    ([a, b, d], [CompareOp::Le, CompareOp::Le]) => Sides::Between(*a, *b, *d),
                    ([a, b, d], [CompareOp::Ge, CompareOp::Ge]) => Sides::Between(*d, *b, *a),
                    _ => {
                        return Err(err(
                            Code::NotAConstraint,
                            "a constraint has one comparison, or two in one direction",
                        )
                        .at(c.relation.span, "more than that")
                        .help("write several constraints")
                        .into());
                    }
                };
                Ok(vec![Condition {
                    suffix: "",
                    domain,
                    dims: shape,
                    sides,
                }])
            })
        })?;
        let row = |k: Condition| Constraint {
            name: format!("{name}{}", k.suffix),
            domain: k.domain,
            dims: family.iter().cloned().chain(k.dims).collect(),
            sides: k.sides,
            span: c.span,
        };
        Ok(conditions.into_iter().map(|k| (row(k), labels.take())).collect())
    }
}

/// What the checker and the session may ask of an entity without lowering it.
impl Entity {
    /// The index sets of its value, where it has some.
    pub fn dims(&self) -> Option<&[IndexSet]> {
        match self {
            Entity::Param(p) => Some(&p.tensor.dims),
            _ => None,
        }
    }
}

impl super::Arr {
    /// The root node, if the array is one.
    pub fn as_node(&self) -> Option<NodeId> {
        match self.src {
            Src::Node(n) => Some(n),
            Src::Pull(_) => None,
        }
    }
}
