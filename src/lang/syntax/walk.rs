//! Visiting the parts of an expression, and of the statements that a loop may repeat.
//!
//! Invariant: every direct subexpression is visited once, in the order written.

use super::{Arg, Aspect, Expr, ExprKind, Pipeline, ProblemRef, Start, Stmt, StmtKind, Subscript};

impl Expr {
    /// Calls `f` with every direct subexpression, in the order written.
    pub fn for_each_child<'e>(&'e self, f: &mut dyn FnMut(&'e Expr)) {
        match &self.kind {
            ExprKind::Number { .. }
            | ExprKind::Text(_)
            | ExprKind::Bool(_)
            | ExprKind::Name(_)
            | ExprKind::AllExcept(_)
            | ExprKind::Error => {}
            ExprKind::Unary { operand, .. } => f(operand),
            ExprKind::Power { base, exponent, .. } => {
                f(base);
                f(exponent);
            }
            ExprKind::Chain { first, rest } => {
                f(first);
                rest.iter().for_each(|l| f(&l.operand));
            }
            ExprKind::Compare { first, rest } => {
                f(first);
                rest.iter().for_each(|l| f(&l.operand));
            }
            ExprKind::Cone { arg, .. } => {
                if let Some(a) = arg {
                    f(a);
                }
            }
            ExprKind::Range { lo, hi } | ExprKind::Interval { lo, hi } => {
                f(lo);
                f(hi);
            }
            ExprKind::Index { base, subscripts } => {
                f(base);
                for s in subscripts {
                    match s {
                        Subscript::All(_) => {}
                        Subscript::Range(e) | Subscript::At(e) => f(e),
                    }
                }
            }
            ExprKind::Call { callee, args } => {
                f(callee);
                args.iter().for_each(|a| f(&a.value));
            }
            ExprKind::Field { base, .. } => f(base),
            ExprKind::Transpose(e) => f(e),
            ExprKind::If {
                condition,
                then,
                otherwise,
            } => {
                f(condition);
                f(then);
                f(otherwise);
            }
            ExprKind::Comprehension {
                binders, args, body, ..
            } => {
                binders.for_each_child(f);
                args.iter().for_each(|a| f(&a.value));
                f(body);
            }
            ExprKind::ArrayComprehension { binders, body } => {
                binders.for_each_child(f);
                f(body);
            }
            ExprKind::Vector(items) | ExprKind::Set(items) | ExprKind::Tuple(items) => items.iter().for_each(f),
            ExprKind::Matrix(rows) => rows.iter().flatten().for_each(f),
            ExprKind::Subset(binders) => binders.for_each_child(f),
            ExprKind::Labelled(entries) => {
                for e in entries {
                    e.key.iter().for_each(&mut *f);
                    f(&e.value);
                }
            }
            ExprKind::Lambda { body, .. } => f(body),
        }
    }

    /// As [`Expr::for_each_child`], for changing them.
    pub fn for_each_child_mut(&mut self, f: &mut dyn FnMut(&mut Expr)) {
        match &mut self.kind {
            ExprKind::Number { .. }
            | ExprKind::Text(_)
            | ExprKind::Bool(_)
            | ExprKind::Name(_)
            | ExprKind::AllExcept(_)
            | ExprKind::Error => {}
            ExprKind::Unary { operand, .. } => f(operand),
            ExprKind::Power { base, exponent, .. } => {
                f(base);
                f(exponent);
            }
            ExprKind::Chain { first, rest } => {
                f(first);
                rest.iter_mut().for_each(|l| f(&mut l.operand));
            }
            ExprKind::Compare { first, rest } => {
                f(first);
                rest.iter_mut().for_each(|l| f(&mut l.operand));
            }
            ExprKind::Cone { arg, .. } => {
                if let Some(a) = arg {
                    f(a);
                }
            }
            ExprKind::Range { lo, hi } | ExprKind::Interval { lo, hi } => {
                f(lo);
                f(hi);
            }
            ExprKind::Index { base, subscripts } => {
                f(base);
                for s in subscripts {
                    match s {
                        Subscript::All(_) => {}
                        Subscript::Range(e) | Subscript::At(e) => f(e),
                    }
                }
            }
            ExprKind::Call { callee, args } => {
                f(callee);
                args.iter_mut().for_each(|a| f(&mut a.value));
            }
            ExprKind::Field { base, .. } => f(base),
            ExprKind::Transpose(e) => f(e),
            ExprKind::If {
                condition,
                then,
                otherwise,
            } => {
                f(condition);
                f(then);
                f(otherwise);
            }
            ExprKind::Comprehension {
                binders, args, body, ..
            } => {
                binders.for_each_child_mut(f);
                args.iter_mut().for_each(|a| f(&mut a.value));
                f(body);
            }
            ExprKind::ArrayComprehension { binders, body } => {
                binders.for_each_child_mut(f);
                f(body);
            }
            ExprKind::Vector(items) | ExprKind::Set(items) | ExprKind::Tuple(items) => items.iter_mut().for_each(f),
            ExprKind::Matrix(rows) => rows.iter_mut().flatten().for_each(f),
            ExprKind::Subset(binders) => binders.for_each_child_mut(f),
            ExprKind::Labelled(entries) => {
                for e in entries {
                    e.key.iter_mut().for_each(&mut *f);
                    f(&mut e.value);
                }
            }
            ExprKind::Lambda { body, .. } => f(body),
        }
    }

    /// The names in `by` replaced by what they stand for.
    pub fn substituted(&self, by: &[(String, Expr)]) -> Expr {
        if let ExprKind::Name(n) = &self.kind
            && let Some((_, e)) = by.iter().find(|(m, _)| m == n)
        {
            return e.clone();
        }
        let mut out = self.clone();
        out.for_each_child_mut(&mut |c| *c = c.substituted(by));
        out
    }

    /// As [`Expr::substituted`] in place; what stands for a name keeps the name's place in the text.
    fn put(&mut self, by: &[(String, Expr)]) {
        if let ExprKind::Name(n) = &self.kind
            && let Some((_, e)) = by.iter().find(|(m, _)| m == n)
        {
            self.kind = e.kind.clone();
            return;
        }
        self.for_each_child_mut(&mut |c| c.put(by));
    }

    /// The length of the longest path down the tree; stops counting above `limit`.
    pub fn height(&self, limit: usize) -> usize {
        if limit == 0 {
            return 0;
        }
        let mut most = 0;
        self.for_each_child(&mut |c| most = most.max(c.height(limit - 1)));
        most + 1
    }
}

impl super::Binders {
    /// Calls `f` with every set and the condition.
    pub fn for_each_child<'e>(&'e self, f: &mut dyn FnMut(&'e Expr)) {
        self.items.iter().for_each(|b| f(&b.set));
        if let Some(c) = &self.condition {
            f(c);
        }
    }
    /// As [`super::Binders::for_each_child`], for changing them.
    pub fn for_each_child_mut(&mut self, f: &mut dyn FnMut(&mut Expr)) {
        self.items.iter_mut().for_each(|b| f(&mut b.set));
        if let Some(c) = &mut self.condition {
            f(c);
        }
    }
}

impl Stmt {
    /// A statement of a loop with names replaced by what they stand for in one turn. Declarations stay as they are: a
    /// loop has none.
    pub fn put(&self, by: &[(String, Expr)]) -> Stmt {
        let mut out = self.clone();
        match &mut out.kind {
            StmtKind::Let(d) => d.value.put(by),
            StmtKind::Assign { value, .. } => value.put(by),
            StmtKind::Seed(e) => e.put(by),
            StmtKind::Print(items) => items.iter_mut().for_each(|e| e.put(by)),
            StmtKind::Write { value, to } => {
                value.put(by);
                to.put(by);
            }
            StmtKind::Assert { condition, within } => {
                condition.put(by);
                within.iter_mut().for_each(|e| e.put(by));
            }
            StmtKind::MinimizeFrom(m) => {
                m.objective.expr.put(by);
                m.starts.iter_mut().for_each(|s| s.1.put(by));
            }
            StmtKind::Solve(c) => c.put(by),
            StmtKind::Compare(c) => {
                c.targets.iter_mut().for_each(|t| args(&mut t.args, by));
                c.entrants.iter_mut().for_each(|e| pipeline(&mut e.pipeline, by));
                start(c.from.as_mut(), by);
                c.to.iter_mut().for_each(|e| e.put(by));
                c.within.iter_mut().for_each(|w| w.0.put(by));
                c.seeds.iter_mut().for_each(|e| e.put(by));
            }
            StmtKind::Sweep(w) => {
                w.values.put(by);
                w.solve.put(by);
            }
            StmtKind::Plot(p) => {
                p.items.iter_mut().chain(&mut p.with).for_each(|e| e.put(by));
                for r in &mut p.ranges {
                    r.what.for_each_child_mut(&mut |e| e.put(by));
                    r.lo.put(by);
                    r.hi.put(by);
                }
            }
            StmtKind::Inspect { target, what } => {
                problem(target.as_mut(), by);
                if let Aspect::Derivatives(at) = what {
                    start(at.as_mut(), by);
                }
            }
            StmtKind::Diagnose { target, at, .. } => {
                target.iter_mut().for_each(|e| e.put(by));
                at.iter_mut().for_each(|e| e.put(by));
            }
            StmtKind::For(f) => {
                f.set.put(by);
                f.body = f.body.iter().map(|s| s.put(by)).collect();
            }
            _ => {}
        }
        out
    }
}

impl super::Solve {
    /// As [`Stmt::put`].
    pub fn put(&mut self, by: &[(String, Expr)]) {
        problem(self.target.as_mut(), by);
        start(self.from.as_mut(), by);
        self.to.iter_mut().for_each(|e| e.put(by));
        self.within.iter_mut().for_each(|w| w.0.put(by));
        self.seed.iter_mut().for_each(|e| e.put(by));
        self.method.iter_mut().for_each(|p| pipeline(p, by));
        for f in &mut self.variation.fixing {
            f.place.for_each_child_mut(&mut |e| e.put(by));
            f.value.put(by);
        }
        for o in &mut self.variation.without {
            o.place.for_each_child_mut(&mut |e| e.put(by));
        }
    }
}

fn start(from: Option<&mut Start>, by: &[(String, Expr)]) {
    match from {
        Some(Start::Values(values)) => values.iter_mut().for_each(|s| s.1.put(by)),
        Some(Start::Solution(e)) => e.put(by),
        Some(Start::Random(e)) => e.iter_mut().for_each(|e| e.put(by)),
        None => {}
    }
}

fn problem(t: Option<&mut ProblemRef>, by: &[(String, Expr)]) {
    t.into_iter().for_each(|t| args(&mut t.args, by));
}

fn args(list: &mut [Arg], by: &[(String, Expr)]) {
    list.iter_mut().for_each(|a| a.value.put(by));
}

fn pipeline(p: &mut Pipeline, by: &[(String, Expr)]) {
    for s in &mut p.stages {
        for m in &mut s.parts {
            args(&mut m.args, by);
            m.group.iter_mut().flatten().for_each(|e| pipeline(&mut e.pipeline, by));
        }
        s.count.iter_mut().for_each(|c| c.0.put(by));
        s.until.iter_mut().for_each(|e| e.put(by));
        s.within.iter_mut().for_each(|w| w.0.put(by));
    }
}
