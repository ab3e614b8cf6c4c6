//! Problems: variables, one objective, constraints.
//!
//! Invariant: an objective is one number; a constraint compares by `<=`, `>=`, `==` and has a variable in it.

use std::rc::Rc;

use super::scope::ProblemInfo;
use super::types::{Elem, Kind, Same, Ty};
use super::{Checker, Place, What};
use crate::base::{Code, Diagnostic, Span};
use crate::lang::errors::types as errors;
use crate::lang::syntax::{
    Check, CompareOp, ConeName, Constraint, Expr, ExprKind, Link, Objective, ProblemDecl, Sense, Stmt, StmtKind,
    VarDecl, show,
};

impl Checker<'_> {
    pub(super) fn problem_decl(&mut self, d: &ProblemDecl) {
        let mark = self.scope.mark();
        let used = std::mem::take(&mut self.used);
        let before = self.diagnostics.len();
        self.place = Place::Problem;
        self.defining.push((d.name.text.clone(), d.name.span));
        let (params, generics) = self.formals(&d.params);
        let mut p = ProblemInfo {
            name: d.name.text.clone(),
            params,
            generics,
            ..ProblemInfo::default()
        };
        for s in &d.body {
            self.gone.clear();
            self.place = Place::Problem;
            match &s.kind {
                StmtKind::Var(v) => {
                    let ty = self.var_decl(v);
                    p.vars.insert(v.name.text.clone(), (ty, v.name.span));
                }
                StmtKind::Let(l) => {
                    let ty = self.let_decl(l);
                    p.lets.insert(l.name.text.clone(), (ty, l.name.span));
                }
                StmtKind::Set(x) => {
                    self.set_decl(x);
                    let set = self.scope.get(&x.name.text).cloned();
                    p.sets.extend(set.map(|e| (x.name.text.clone(), e)));
                }
                StmtKind::Objective(o) => self.objective(&mut p, o),
                StmtKind::SubjectTo(list) => self.constraints(&mut p, list),
                StmtKind::Assume { of, .. } => {
                    let labels = d.body.iter().filter_map(|s| match &s.kind {
                        StmtKind::Objective(o) => o.label.as_ref().map(|l| l.text.clone()),
                        _ => None,
                    });
                    self.assumption(of, &labels.collect::<Vec<_>>());
                }
                StmtKind::Error { declares } | StmtKind::NotBuilt { declares, .. } => {
                    p.broken = true;
                    self.declare_error(declares.as_ref());
                }
                StmtKind::Assign { name, value } => {
                    self.expr(value);
                    p.broken = true;
                    let known = self.scope.get(&name.text).map(|e| (e.span, e.what.word()));
                    let equals = Span {
                        start: name.span.end,
                        end: value.span.start,
                        ..value.span
                    };
                    let d = errors::bare_assignment(
                        &name.text,
                        name.span,
                        None,
                        known.map(|k| k.1),
                        known.map(|k| k.0),
                        None,
                    )
                    .help_edit("an equation is written `==`, after `subject to`", equals, " == ");
                    self.report(d);
                }
                _ => {
                    p.broken = true;
                    let d = Diagnostic::new(Code::Syntax, "this cannot stand inside a problem")
                        .at(s.span, "")
                        .help("put it before the problem");
                    self.report(d);
                }
            }
        }
        self.defining.pop();
        if let Some(d) = saddle_sides(&d.body).filter(|_| !p.broken) {
            p.broken = true;
            self.report(d);
        }
        let empty = p.objectives.is_empty() && p.relations == 0;
        if !p.broken && !empty && !self.diagnostics[before..].iter().any(Diagnostic::is_error) {
            let unused: Vec<(String, Span)> = p
                .vars
                .iter()
                .filter(|(n, (t, _))| !t.is_error() && !self.used.contains(*n))
                .map(|(n, (_, s))| (n.clone(), *s))
                .collect();
            for (n, span) in unused {
                let d = Diagnostic::new(
                    Code::UnusedVariable,
                    format!("the variable `{n}` is used by no objective and no constraint"),
                )
                .at(span, "declared here")
                .help("remove it, or use it");
                self.report(d);
            }
        }
        self.scope.release(mark);
        self.used = used;
        self.place = Place::Top;
        self.declare(&d.name, What::Problem(Rc::new(p)));
    }

    /// What an `assume` speaks of: an objective by its label, or a number that depends on variables.
    pub(super) fn assumption(&mut self, of: &Expr, labels: &[String]) {
        if of.as_name().is_some_and(|n| labels.iter().any(|l| l == n)) {
            return;
        }
        let ty = self.number(of);
        if !ty.is_error() && (!ty.varies || !ty.dims().is_empty()) {
            let d = errors::wrong_type(
                "an objective's label, or one number that depends on variables,",
                &ty.words(),
                of.span,
            )
            .help("`minimize fit: …`, then `assume convex(fit)`");
            self.report(d);
        }
    }

    pub(super) fn var_decl(&mut self, v: &VarDecl) -> Ty {
        let mut ty = self.decided_type(&v.ty);
        if ty.elem() == Some(Elem::Text) {
            let d = errors::wrong_type("a variable of numbers", "Text", v.ty.span);
            ty = self.wrong(d);
        }
        if ty.elem() == Some(Elem::Bool) {
            // In an expression, a truth value that is decided is 0 or 1.
            super::operators::set_elem(&mut ty, Elem::Int);
        }
        for b in &v.bounds {
            self.bound(&ty, b);
        }
        for (e, what) in [(&v.start, "start"), (&v.scale, "scale")] {
            if let Some(e) = e {
                let t = self.expr(e);
                if t.varies && !t.is_error() {
                    let d = errors::wrong_type(
                        &format!("a constant as the {what}"),
                        "an expression of variables",
                        e.span,
                    );
                    self.report(d);
                } else {
                    self.start_fits(&v.name.text, &ty, v.name.span, e, &t);
                }
            }
        }
        ty.varies = true;
        let what = if ty.is_error() {
            What::Error
        } else {
            What::Var(ty.clone())
        };
        self.declare(&v.name, what);
        ty
    }

    /// A bound or a membership in a declaration.
    fn bound(&mut self, ty: &Ty, b: &Check) {
        let v = self.expr(&b.value);
        match b.op {
            CompareOp::Lt | CompareOp::Gt => {
                let at = Span {
                    end: b.span.start + 1,
                    ..b.span
                };
                let d = errors::strict(b.op.symbol(), at);
                self.report(d);
            }
            CompareOp::Ne => {
                let d = Diagnostic::new(Code::NotAConstraint, "`!=` is no bound")
                    .at(b.span, "")
                    .help("bounds are `>=`, `<=` and `in [l, u]`");
                self.report(d);
            }
            _ => {}
        }
        if v.varies && !v.is_error() {
            let d = errors::wrong_type("a constant bound", "an expression of variables", b.value.span)
                .help("a relation between variables is a constraint, after `subject to`");
            self.report(d);
            return;
        }
        match (&v.kind, b.op) {
            (Kind::Cone(c), CompareOp::In) => {
                let word = c.word();
                let d = match (c, ty.dims()) {
                    _ if ty.is_error() => return,
                    (ConeName::Exp | ConeName::Pow, _) => {
                        errors::wrong_type(&format!("a triple in `{word}`"), &ty.words(), b.value.span)
                            .help(format!("after `subject to`, write `(x, y, z) in {word}`"))
                    }
                    (ConeName::Psd, [m, n]) if m.same(n) != Same::No => return,
                    (ConeName::Psd, _) => errors::wrong_type("a square matrix in `PSD`", &ty.words(), b.value.span)
                        .help("declare it `Symmetric[n]`"),
                    (ConeName::Simplex, []) => errors::wrong_type("an array in `simplex`", &ty.words(), b.value.span),
                    _ => return,
                };
                self.report(d);
            }
            (Kind::Error | Kind::Interval | Kind::Set(crate::lang::check::Dim::Unknown), CompareOp::In) => {}
            (Kind::Set(_), CompareOp::In) => {
                let d = Diagnostic::new(Code::NotBuiltYet, "variables in a set are not built yet")
                    .at(b.value.span, "")
                    .help("an interval of reals is `in [l, u]`");
                self.report(d);
            }
            (_, CompareOp::In) => {
                let d = errors::wrong_type("an interval `[l, u]` after `in`", &v.words(), b.value.span);
                self.report(d);
            }
            _ => {
                let v = self.numeric(&b.value, v);
                if v.is_error() || ty.is_error() || v.dims().is_empty() {
                    return;
                }
                let fits = v.dims().len() == ty.dims().len()
                    && v.dims().iter().zip(ty.dims()).all(|(p, q)| p.same(q) != Same::No);
                if !fits {
                    let d = errors::wrong_type(
                        &format!("a bound that is a number or {}", ty.words()),
                        &v.words(),
                        b.value.span,
                    );
                    self.report(d);
                }
            }
        }
    }

    pub(super) fn objective(&mut self, p: &mut ProblemInfo, o: &Objective) {
        let ty = self.number(&o.expr);
        p.broken |= ty.is_error();
        let label = o.label.as_ref().map(|l| l.text.clone());
        if let [(_, first)] = p.objectives.as_slice() {
            let d = Diagnostic::new(Code::NotBuiltYet, "several objectives are not built yet")
                .at(o.expr.span, "a second one")
                .at(*first, "the first one")
                .note("they will give a front of compromises")
                .help("minimize a weighted sum, or bound one of them by a constraint");
            self.report(d);
        }
        p.objectives.push((label, o.expr.span));
        if !ty.dims().is_empty() {
            let operand = self.operand(&o.expr, &ty);
            let mut d = Diagnostic::new(
                Code::ObjectiveNotScalar,
                format!("an objective is one number, and `{}` is {}", operand.text, operand.ty),
            )
            .at(o.expr.span, operand.ty);
            if let Some((name, span)) = operand.declared {
                d = d.at(span, format!("`{name}` is declared here"));
            }
            let text = show(&o.expr);
            let d = d.help_edit(
                format!("add up its entries: `sum({text})`"),
                o.expr.span,
                format!("sum({text})"),
            );
            self.report(d);
        }
    }

    pub(super) fn constraints(&mut self, p: &mut ProblemInfo, list: &[Constraint]) {
        for c in list {
            self.gone.clear();
            p.relations += 1;
            let own = match &c.binders {
                Some(b) => self.within_binders(&c.relation, b, |me, own| {
                    let dims = me.relation(p, &c.relation);
                    if !own.sliced {
                        return (own.dims.clone(), dims);
                    }
                    // Rows of a filtered family are a set of their own, one element for each combination that counts.
                    let name = c.label.as_ref().map_or(String::new(), |l| l.text.clone());
                    let parts = own.parts.clone();
                    (vec![crate::lang::check::Dim::Listed { name, parts }], dims)
                }),
                None => (vec![], self.relation(p, &c.relation)),
            };
            let (family, dims) = own;
            let failed = self.types.get(c.relation.id.0 as usize).cloned().flatten();
            let Some(label) = &c.label else { continue };
            if failed.is_some_and(|t| t.is_error()) {
                // What its duals are is not known: the problem is broken, and asking for them is no further mistake.
                continue;
            }
            let n = &label.text;
            let taken = p
                .constraints
                .get(n)
                .map(|k| (k.2, "a constraint"))
                .filter(|(s, _)| s.source == label.span.source)
                .or_else(|| p.vars.get(n).map(|v| (v.1, "a variable")))
                .or_else(|| p.lets.get(n).map(|v| (v.1, "a `let`")));
            if let Some((first, word)) = taken.filter(|(s, _)| *s != label.span) {
                let d = errors::duplicate(n, label.span, first, word);
                self.report(d);
                continue;
            }
            let count = family.len();
            let mut all = family;
            all.extend(dims);
            p.constraints.insert(n.clone(), (all, count, label.span));
        }
    }

    /// The dimensions of a relation.
    fn relation(&mut self, p: &mut ProblemInfo, e: &Expr) -> Vec<crate::lang::check::Dim> {
        let ExprKind::Compare { rest, .. } = &e.kind else {
            let ty = self.expr(e);
            p.broken |= ty.is_error();
            if !ty.is_error() {
                let d = Diagnostic::new(
                    Code::NotAConstraint,
                    format!("a constraint is a comparison; this is {}", ty.words()),
                )
                .at(e.span, "compared with what?")
                .help("write `… <= …`, `… >= …` or `… == …`; an objective begins with `minimize` or `maximize`");
                self.report(d);
            }
            return vec![];
        };
        let before = self.diagnostics.len();
        let ty = self.expr(e);
        p.broken |= ty.is_error();
        self.comparisons(e, rest);
        if !ty.varies && !ty.is_error() && self.diagnostics.len() == before {
            let d = Diagnostic::new(Code::ConstantConstraint, format!("`{}` has no variable in it", show(e)))
                .at(e.span, "a constant")
                .help("it either always holds or never: to check data, use `assert`, or a check of a `param`");
            self.report(d);
        }
        ty.dims().to_vec()
    }

    /// Refuses comparisons that are no constraints.
    fn comparisons(&mut self, e: &Expr, rest: &[Link<CompareOp>]) {
        for link in rest {
            match link.op {
                CompareOp::Lt | CompareOp::Gt => {
                    let d = errors::strict(link.op.symbol(), link.op_span);
                    self.report(d);
                }
                CompareOp::Ne => {
                    let d = Diagnostic::new(
                        Code::NotAConstraint,
                        "`!=` is no constraint: what it allows is not closed",
                    )
                    .at(link.op_span, "")
                    .help("to stay away from a value, say on which side, and how far");
                    self.report(d);
                }
                CompareOp::In => {
                    let ty = self.types.get(link.operand.id.0 as usize).cloned().flatten();
                    if let Some(Ty {
                        kind:
                            Kind::Set(
                                crate::lang::check::Dim::Range { .. }
                                | crate::lang::check::Dim::Labels(_)
                                | crate::lang::check::Dim::Listed { .. },
                            ),
                        ..
                    }) = ty
                    {
                        let d = Diagnostic::new(Code::NotBuiltYet, "constraints to a set are not built yet")
                            .at(link.operand.span, "")
                            .help("an interval of reals is `in [l, u]`");
                        self.report(d);
                    }
                }
                _ => {}
            }
        }
        if rest.len() > 2 {
            let d = Diagnostic::new(
                Code::NotAConstraint,
                "a constraint has at most two comparisons: `l <= e <= u`",
            )
            .at(e.span, format!("{} comparisons", rest.len()))
            .help("write several constraints");
            self.report(d);
        }
    }
}

/// What a saddle point lacks: one of its sides, its objective; or a variable on neither side.
pub fn saddle_sides(body: &[Stmt]) -> Option<Diagnostic> {
    let (mut sides, mut plain, mut objective) = ([None, None], None, None);
    for s in body {
        match &s.kind {
            StmtKind::Var(v) => match v.side {
                Some(side) => sides[usize::from(side == Sense::Maximize)] = Some(&v.name),
                None => plain = Some(&v.name),
            },
            StmtKind::Objective(o) => objective = Some((o, s.span)),
            _ => {}
        }
    }
    let (o, span) = objective?;
    let declared = sides[0].or(sides[1]);
    let d = match (o.sense, declared, plain) {
        (Sense::Saddle, None, _) => Diagnostic::new(
            Code::BadSaddle,
            "`objective` is the value of a saddle point, and no variable has a side",
        )
        .at(span, "here")
        .help("declare `min x: …` and `max y: …`; a plain problem says `minimize` or `maximize`"),
        (Sense::Saddle, _, Some(v)) => Diagnostic::new(
            Code::BadSaddle,
            format!("`{}` is on neither side of the saddle point", v.text),
        )
        .at(v.span, "declared with `var`")
        .help(format!("`min {}: …` or `max {}: …`", v.text, v.text)),
        (Sense::Saddle, Some(v), None) if sides.contains(&None) => {
            let (other, plain) = if sides[0].is_none() {
                ("min", "maximize")
            } else {
                ("max", "minimize")
            };
            Diagnostic::new(
                Code::BadSaddle,
                format!("a saddle point has two sides, and nothing is declared with `{other}`"),
            )
            .at(v.span, "the only side")
            .help(format!("declare a variable with `{other}`, or use `var` and `{plain}`"))
        }
        (Sense::Saddle, ..) => return None,
        (_, Some(v), _) => Diagnostic::new(
            Code::BadSaddle,
            format!(
                "`{}` is on a side of a saddle point, and the objective has one direction",
                v.text
            ),
        )
        .at(v.span, "declared here")
        .at(span, "the objective")
        .help("write `objective …` for a saddle point, or declare the variable with `var`"),
        _ => return None,
    };
    Some(d)
}
