//! What a statement declares, and which names it uses that are declared elsewhere.
//!
//! Invariant: purely of the text: a name counts as used wherever it stands, unless the statement itself declares it.

use std::collections::BTreeSet;

use super::{
    Arg, Aspect, Binders, Check, Constraint, Expr, ExprKind, FormalParam, Ident, Pipeline, ProblemRef, Solve, Start,
    StepKind, Stmt, StmtKind, TypeExpr,
};

impl StmtKind {
    /// The name that a top-level statement declares.
    pub fn declared(&self) -> Option<&Ident> {
        match self {
            StmtKind::Set(d) => Some(&d.name),
            StmtKind::Param(d) => Some(&d.name),
            StmtKind::Let(d) => Some(&d.name),
            StmtKind::Var(d) => Some(&d.name),
            StmtKind::Fn(d) => Some(&d.name),
            StmtKind::Problem(d) => Some(&d.name),
            StmtKind::Optimizer(d) => Some(&d.name),
            StmtKind::Pipeline(d) => Some(&d.name),
            StmtKind::Solve(s) => s.bind.as_ref(),
            StmtKind::Compare(c) => c.bind.as_ref(),
            StmtKind::Sweep(w) => w.bind.as_ref(),
            StmtKind::Plot(p) => p.bind.as_ref(),
            _ => None,
        }
    }

    /// Names of the results that it keeps, those of the statements that it repeats included.
    pub fn keeps(&self) -> Vec<&Ident> {
        match self {
            StmtKind::For(f) => f.body.iter().flat_map(|s| s.kind.keeps()).collect(),
            s if s.keeps_a_result() => s.declared().into_iter().collect(),
            _ => vec![],
        }
    }

    /// Does it keep a result under its name, which is what it was when it was found?
    pub fn keeps_a_result(&self) -> bool {
        matches!(
            self,
            StmtKind::Solve(_) | StmtKind::Compare(_) | StmtKind::Sweep(_) | StmtKind::Plot(_)
        )
    }

    /// Is it a part of the unnamed problem?
    pub fn belongs_to_a_problem(&self) -> bool {
        matches!(
            self,
            StmtKind::Let(_)
                | StmtKind::Var(_)
                | StmtKind::Objective(_)
                | StmtKind::SubjectTo(_)
                | StmtKind::Assume { .. }
        )
    }
}

impl Stmt {
    /// Names that it uses and does not declare itself.
    pub fn uses(&self) -> BTreeSet<String> {
        let mut u = Uses::default();
        u.stmt(self);
        let own = self.kind.declared().map(|n| n.text.clone());
        u.used.retain(|n| !u.bound.contains(n) && own.as_ref() != Some(n));
        u.used
    }
}

impl Solve {
    /// Names that it uses.
    pub fn uses(&self) -> BTreeSet<String> {
        let mut u = Uses::default();
        u.solve(self);
        u.used.retain(|n| !u.bound.contains(n));
        u.used
    }
}

impl Expr {
    /// Adds every name that stands in it.
    pub fn names_into(&self, out: &mut BTreeSet<String>) {
        out.extend(self.as_name().map(str::to_string));
        self.for_each_child(&mut |c| c.names_into(out));
    }
}

#[derive(Default)]
struct Uses {
    used: BTreeSet<String>,
    bound: BTreeSet<String>,
}

impl Uses {
    fn stmt(&mut self, s: &Stmt) {
        match &s.kind {
            StmtKind::Set(d) => {
                if let Some(b) = &d.family {
                    self.binders(b);
                    b.for_each_child(&mut |e| self.expr(e));
                }
                d.within.iter().for_each(|e| self.expr(e));
                self.expr(&d.value);
            }
            StmtKind::Param(d) => {
                d.ty.iter().for_each(|t| self.ty(t));
                self.checks(&d.checks);
                d.default.iter().for_each(|e| self.expr(e));
                d.value.iter().for_each(|e| self.expr(e));
            }
            StmtKind::Let(d) => {
                d.ty.iter().for_each(|t| self.ty(t));
                self.expr(&d.value);
            }
            StmtKind::Var(d) => {
                self.ty(&d.ty);
                self.checks(&d.bounds);
                d.start.iter().for_each(|e| self.expr(e));
                d.scale.iter().for_each(|e| self.expr(e));
            }
            StmtKind::Fn(d) => {
                self.formals(&d.params);
                d.result.iter().for_each(|t| self.ty(t));
                for l in &d.lets {
                    l.ty.iter().for_each(|t| self.ty(t));
                    self.expr(&l.value);
                    self.bound.insert(l.name.text.clone());
                }
                self.expr(&d.body);
            }
            StmtKind::Problem(d) => {
                self.formals(&d.params);
                for s in &d.body {
                    self.stmt(s);
                    self.bound.extend(s.kind.declared().map(|n| n.text.clone()));
                }
            }
            StmtKind::Objective(o) => self.expr(&o.expr),
            StmtKind::SubjectTo(list) => list.iter().for_each(|c| self.constraint(c)),
            StmtKind::MinimizeFrom(m) => {
                self.expr(&m.objective.expr);
                for (name, e) in &m.starts {
                    self.bound.insert(name.text.clone());
                    self.expr(e);
                }
            }
            StmtKind::Solve(c) => self.solve(c),
            StmtKind::Compare(c) => {
                c.targets.iter().for_each(|t| self.target(Some(t)));
                c.entrants.iter().for_each(|e| self.pipeline(&e.pipeline));
                self.start(c.from.as_ref());
                c.to.iter().for_each(|e| self.expr(e));
                c.within.iter().for_each(|(e, _)| self.expr(e));
                c.seeds.iter().for_each(|e| self.expr(e));
            }
            StmtKind::Sweep(w) => {
                self.expr(&w.values);
                self.solve(&w.solve);
                self.used.insert(w.name.text.clone());
            }
            StmtKind::Plot(p) => {
                p.items.iter().chain(&p.with).for_each(|e| self.expr(e));
                for r in &p.ranges {
                    self.expr(&r.what);
                    self.expr(&r.lo);
                    self.expr(&r.hi);
                }
            }
            StmtKind::Step(c) => {
                self.used.insert(c.run.text.clone());
                c.count.iter().chain(&c.stop).for_each(|e| self.expr(e));
                c.within.iter().for_each(|(e, _)| self.expr(e));
            }
            StmtKind::Rewind { run, to } => {
                self.used.insert(run.text.clone());
                self.expr(to);
            }
            StmtKind::Optimizer(d) => {
                self.bound.extend(["fmin", "terms"].map(str::to_string));
                self.formals(&d.params);
                self.bound.extend(d.t.iter().map(|t| t.text.clone()));
                self.bound.extend(["x", "u", "answer"].map(str::to_string));
                for s in d.states.iter().chain(&d.step) {
                    s.for_each_expr(&mut |e| self.expr(e));
                    s.for_each_stmt(&mut |s| {
                        let name = match &s.kind {
                            StepKind::State { name, .. } | StepKind::For { name, .. } | StepKind::Each { name, .. } => {
                                name
                            }
                            StepKind::Let(d) => &d.name,
                            _ => return,
                        };
                        self.bound.insert(name.text.clone());
                    });
                }
            }
            StmtKind::Pipeline(d) => {
                self.formals(&d.params);
                self.pipeline(&d.body);
            }
            StmtKind::Source(n) | StmtKind::Help(n) => {
                self.used.insert(n.text.clone());
            }
            StmtKind::Assign { name, value } => {
                self.used.insert(name.text.clone());
                self.expr(value);
            }
            StmtKind::Print(items) => items.iter().for_each(|e| self.expr(e)),
            StmtKind::Write { value, to } => {
                self.expr(value);
                self.expr(to);
            }
            StmtKind::Inspect { target, what } => {
                self.target(target.as_ref());
                if let Aspect::Derivatives(at) = what {
                    self.start(at.as_ref());
                }
            }
            StmtKind::Assume { of, .. } => self.expr(of),
            StmtKind::Diagnose { target, at, .. } => {
                target.iter().for_each(|e| self.expr(e));
                at.iter().for_each(|e| self.expr(e));
            }
            StmtKind::Assert { condition, within } => {
                self.expr(condition);
                within.iter().for_each(|e| self.expr(e));
            }
            StmtKind::Seed(e) => self.expr(e),
            StmtKind::For(f) => {
                self.expr(&f.set);
                self.bound.insert(f.name.text.clone());
                for s in &f.body {
                    self.stmt(s);
                    if let StmtKind::Let(d) = &s.kind {
                        self.bound.insert(d.name.text.clone());
                    }
                }
            }
            StmtKind::Use { .. } | StmtKind::NotBuilt { .. } | StmtKind::Error { .. } => {}
        }
    }

    fn solve(&mut self, c: &Solve) {
        self.target(c.target.as_ref());
        if c.target.is_none() && c.variation.relaxed.is_some() {
            self.used.insert("relaxed".into());
        }
        self.start(c.from.as_ref());
        for f in &c.variation.fixing {
            f.place.for_each_child(&mut |e| self.expr(e));
            self.expr(&f.value);
        }
        for o in &c.variation.without {
            o.place.for_each_child(&mut |e| self.expr(e));
        }
        c.to.iter().for_each(|e| self.expr(e));
        c.within.iter().for_each(|(e, _)| self.expr(e));
        c.seed.iter().for_each(|e| self.expr(e));
        c.method.iter().for_each(|p| self.pipeline(p));
        c.resume.iter().chain(&c.stop).for_each(|e| self.expr(e));
    }

    fn start(&mut self, from: Option<&Start>) {
        match from {
            Some(Start::Values(values)) => values.iter().for_each(|(_, e)| self.expr(e)),
            Some(Start::Solution(e)) => self.expr(e),
            Some(Start::Random(e)) => e.iter().for_each(|e| self.expr(e)),
            None => {}
        }
    }

    fn target(&mut self, t: Option<&ProblemRef>) {
        if let Some(t) = t {
            self.used.insert(t.name.text.clone());
            self.args(&t.args);
        }
    }

    fn pipeline(&mut self, p: &Pipeline) {
        p.for_each_stage(&mut |s| self.used.extend(s.parts.iter().map(|m| m.name.text.clone())));
        // Quantities of an `until` are no names of the program, but its limits are.
        p.for_each_expr(&mut |e| self.expr(e));
    }

    fn args(&mut self, args: &[Arg]) {
        args.iter().for_each(|a| self.expr(&a.value));
    }

    fn checks(&mut self, checks: &[Check]) {
        checks.iter().for_each(|c| self.expr(&c.value));
    }

    fn ty(&mut self, t: &TypeExpr) {
        t.dims.iter().for_each(|e| self.expr(e));
    }

    fn formals(&mut self, params: &[FormalParam]) {
        for p in params {
            self.ty(&p.ty);
            self.checks(&p.checks);
            p.default.iter().for_each(|e| self.expr(e));
            self.bound.insert(p.name.text.clone());
        }
    }

    fn constraint(&mut self, c: &Constraint) {
        if let Some(b) = &c.binders {
            self.binders(b);
            b.for_each_child(&mut |e| self.expr(e));
        }
        self.expr(&c.relation);
    }

    fn binders(&mut self, b: &Binders) {
        for i in &b.items {
            self.bound.extend(i.names.iter().map(|n| n.text.clone()));
        }
    }

    fn expr(&mut self, e: &Expr) {
        match &e.kind {
            ExprKind::Name(n) => {
                self.used.insert(n.clone());
            }
            ExprKind::Comprehension { binders, .. } | ExprKind::ArrayComprehension { binders, .. } => {
                self.binders(binders);
            }
            ExprKind::Subset(binders) => self.binders(binders),
            ExprKind::Lambda { param, .. } => {
                self.bound.insert(param.text.clone());
            }
            _ => {}
        }
        e.for_each_child(&mut |c| self.expr(c));
    }
}
