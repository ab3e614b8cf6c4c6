//! Optimizers, transforms and pipelines as written.
//!
//! Invariant: every statement of a step has the span of its line, blocks included.

use super::{Expr, ExprKind, FormalParam, Ident, LetDecl, MethodCall, TimeUnit, TypeExpr};
use crate::base::Span;

/// What a definition is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Role {
    /// Moves the point.
    Optimizer,
    /// Changes the gradient, the update or the point of an optimizer.
    Transform,
}

impl Role {
    /// The word that declares it.
    pub fn word(self) -> &'static str {
        match self {
            Role::Optimizer => "optimizer",
            Role::Transform => "transform",
        }
    }
}

/// `optimizer NAME(params) { state …; step t { … } }`, `transform NAME(params) { … }`.
#[derive(Clone, Debug, PartialEq)]
pub struct OptimizerDecl {
    /// Which of the two.
    pub role: Role,
    /// Its name.
    pub name: Ident,
    /// Its parameters.
    pub params: Vec<FormalParam>,
    /// Which side of the optimizer it belongs on, where the definition says so: `of gradient`, `of update`.
    pub of: Option<Side>,
    /// `State` and `Each` statements before the step.
    pub states: Vec<StepStmt>,
    /// The name of the step's number, if it has one.
    pub t: Option<Ident>,
    /// The step.
    pub step: Vec<StepStmt>,
    /// The documentation comment.
    pub docs: Option<String>,
    /// Was a line left out because it could not be read?
    pub broken: bool,
    /// All of it.
    pub span: Span,
}

/// What a transform's `u` is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Side {
    /// The gradient: it stands before the optimizer.
    Gradient,
    /// The update: it stands behind it.
    Update,
}

impl OptimizerDecl {
    /// The side that a transform belongs on, as it says itself or as its lines do: the optimizer's own gradient, `grad()`, is
    /// known behind it, and what is put in the place of the gradient stands before it.
    pub fn side(&self) -> Option<Side> {
        let mut own = false;
        for s in &self.step {
            s.for_each_expr(&mut |e| own |= asks_own_gradient(e));
        }
        self.of
            .or(own.then_some(Side::Update))
            .or(self.replaces_gradient().then_some(Side::Gradient))
    }

    /// Does it put something else in the place of the gradient, whatever that is: is the first line that is about `u` one
    /// that sets it without reading it?
    pub fn replaces_gradient(&self) -> bool {
        for s in &self.step {
            if let StepKind::Update {
                name,
                block: None,
                entry: None,
                value,
            } = &s.kind
                && name.text == "u"
            {
                return !reads(value, "u");
            }
            let mut about = false;
            s.for_each_stmt(&mut |s| about |= matches!(&s.kind, StepKind::Update { name, .. } if name.text == "u"));
            s.for_each_expr(&mut |e| about |= reads(e, "u"));
            if about {
                return false;
            }
        }
        false
    }

    /// Is it a transform of gradient or update: does a line read or change `u`?
    pub fn of_update(&self) -> bool {
        let mut found = false;
        for s in &self.step {
            s.for_each_stmt(&mut |s| {
                found |= matches!(&s.kind, StepKind::Update { name, .. } if name.text == "u");
            });
            s.for_each_expr(&mut |e| found |= reads(e, "u"));
        }
        found
    }
}

fn asks_own_gradient(e: &Expr) -> bool {
    let mut found = match &e.kind {
        ExprKind::Call { callee, args } => args.is_empty() && callee.as_name() == Some("grad"),
        _ => false,
    };
    e.for_each_child(&mut |c| found |= asks_own_gradient(c));
    found
}

fn reads(e: &Expr, name: &str) -> bool {
    let mut found = e.as_name() == Some(name);
    e.for_each_child(&mut |c| found |= reads(c, name));
    found
}

/// A statement of a step, or a state.
#[derive(Clone, Debug, PartialEq)]
pub struct StepStmt {
    /// What it is.
    pub kind: StepKind,
    /// All of it.
    pub span: Span,
}

/// The kinds of statements of an optimizer's block.
#[derive(Clone, Debug, PartialEq)]
pub enum StepKind {
    /// `state v = zeros(x)`.
    State {
        /// The state.
        name: Ident,
        /// Its value before the first step.
        value: Expr,
    },
    /// `let g = grad(x)`.
    Let(LetDecl),
    /// `v <- e`, `x.U <- e`, `table[i] <- e`.
    Update {
        /// What changes.
        name: Ident,
        /// The block of it.
        block: Option<Ident>,
        /// The entry of it.
        entry: Option<Expr>,
        /// Its new value.
        value: Expr,
    },
    /// `if c { … } else { … }`.
    If {
        /// A truth value.
        condition: Expr,
        /// What is done where it holds.
        then: Vec<StepStmt>,
        /// What is done elsewhere.
        otherwise: Vec<StepStmt>,
    },
    /// `for k in 1..3 { … }`.
    For {
        /// The index.
        name: Ident,
        /// A range of integers.
        set: Expr,
        /// What is repeated.
        body: Vec<StepStmt>,
    },
    /// `while c { … }`.
    While {
        /// A truth value.
        condition: Expr,
        /// What is repeated.
        body: Vec<StepStmt>,
    },
    /// `each X: Matrix[p, q] in x { … } else { … }`.
    Each {
        /// The block.
        name: Ident,
        /// What blocks the first body takes; all if there is none.
        ty: Option<TypeExpr>,
        /// The point.
        of: Ident,
        /// For the blocks that fit.
        body: Vec<StepStmt>,
        /// For the others.
        otherwise: Vec<StepStmt>,
    },
    /// `record speed = norm(v)`.
    Record {
        /// The column.
        name: Ident,
        /// A number.
        value: Expr,
    },
    /// `stop when c`.
    Stop(Expr),
    /// `restart when c`.
    Restart(Expr),
    /// `fail when c: "why"`.
    Fail {
        /// A truth value.
        condition: Expr,
        /// Why the step cannot be taken.
        why: String,
    },
}

impl StepStmt {
    /// Calls `f` with every expression of the statement and of its blocks, in the order written.
    pub fn for_each_expr<'e>(&'e self, f: &mut dyn FnMut(&'e Expr)) {
        match &self.kind {
            StepKind::State { value, .. } | StepKind::Record { value, .. } => f(value),
            StepKind::Update { entry, value, .. } => {
                entry.iter().for_each(&mut *f);
                f(value);
            }
            StepKind::Let(d) => f(&d.value),
            StepKind::Stop(e) | StepKind::Restart(e) | StepKind::Fail { condition: e, .. } => f(e),
            StepKind::If {
                condition,
                then,
                otherwise,
            } => {
                f(condition);
                then.iter().chain(otherwise).for_each(|s| s.for_each_expr(f));
            }
            StepKind::For { set, body, .. } => {
                f(set);
                body.iter().for_each(|s| s.for_each_expr(f));
            }
            StepKind::While { condition, body } => {
                f(condition);
                body.iter().for_each(|s| s.for_each_expr(f));
            }
            StepKind::Each { body, otherwise, .. } => {
                body.iter().chain(otherwise).for_each(|s| s.for_each_expr(f));
            }
        }
    }

    /// Calls `f` with every statement inside it and itself.
    pub fn for_each_stmt<'e>(&'e self, f: &mut dyn FnMut(&'e StepStmt)) {
        f(self);
        match &self.kind {
            StepKind::If {
                then: a, otherwise: b, ..
            }
            | StepKind::Each {
                body: a, otherwise: b, ..
            } => a.iter().chain(b).for_each(|s| s.for_each_stmt(f)),
            StepKind::For { body, .. } | StepKind::While { body, .. } => {
                body.iter().for_each(|s| s.for_each_stmt(f));
            }
            _ => {}
        }
    }
}

/// Units that stages are counted in.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum CountUnit {
    /// Committed steps.
    Steps,
    /// Evaluations of the problem.
    Evaluations,
    /// Passes over the data.
    Epochs,
}

/// One stage: the parts of its step, and what ends it.
#[derive(Clone, Debug, PartialEq)]
pub struct Stage {
    /// Transforms and one optimizer, in the order of the path through a step.
    pub parts: Vec<MethodCall>,
    /// `for 500 steps`.
    pub count: Option<(Expr, CountUnit)>,
    /// `until stationarity <= 1e-10`.
    pub until: Option<Expr>,
    /// `within 5 seconds`.
    pub within: Option<(Expr, TimeUnit)>,
    /// All of it.
    pub span: Span,
}

/// Stages, one after the other.
#[derive(Clone, Debug, PartialEq)]
pub struct Pipeline {
    /// At least one.
    pub stages: Vec<Stage>,
    /// All of it.
    pub span: Span,
}

impl Pipeline {
    /// The one method, if the pipeline is nothing else.
    pub fn single(&self) -> Option<&MethodCall> {
        match self.stages.as_slice() {
            [s] if s.count.is_none() && s.until.is_none() && s.within.is_none() => match s.parts.as_slice() {
                [m] => Some(m),
                _ => None,
            },
            _ => None,
        }
    }

    /// The parts of the one step that the pipeline is the path of, if nothing ends it and nothing stands in braces.
    pub fn path(&self) -> Option<&[MethodCall]> {
        match self.stages.as_slice() {
            [s] if s.count.is_none() && s.until.is_none() && s.within.is_none() => {
                let whole = s.parts.iter().any(|m| m.group.is_some());
                (!whole).then_some(s.parts.as_slice())
            }
            _ => None,
        }
    }
    /// Calls `f` with every stage, those of pipelines in braces included, in the order written.
    pub fn for_each_stage<'p>(&'p self, f: &mut dyn FnMut(&'p Stage)) {
        for s in &self.stages {
            f(s);
            for e in s.parts.iter().flat_map(|m| m.group.iter().flatten()) {
                e.pipeline.for_each_stage(f);
            }
        }
    }
    /// Calls `f` with every expression that stands in it: arguments, counts, limits.
    pub fn for_each_expr<'p>(&'p self, f: &mut dyn FnMut(&'p Expr)) {
        self.for_each_stage(&mut |s| {
            s.parts.iter().flat_map(|m| &m.args).for_each(|a| f(&a.value));
            s.count.iter().for_each(|(e, _)| f(e));
            s.until.iter().for_each(&mut *f);
            s.within.iter().for_each(|(e, _)| f(e));
        });
    }
}

/// One pipeline of those in braces: `race { lbfgs(); fast: adam(0.1) }`.
#[derive(Clone, Debug, PartialEq)]
pub struct Entrant {
    /// The name it is reported under, if it has one.
    pub label: Option<Ident>,
    /// What it runs.
    pub pipeline: Pipeline,
}

/// `pipeline NAME(params) = …`.
#[derive(Clone, Debug, PartialEq)]
pub struct PipelineDecl {
    /// Its name.
    pub name: Ident,
    /// Its parameters.
    pub params: Vec<FormalParam>,
    /// What it stands for.
    pub body: Pipeline,
    /// The documentation comment.
    pub docs: Option<String>,
}
