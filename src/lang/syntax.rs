//! The syntax tree: what a program says, with a place for every piece of it.
//!
//! Invariant: every node has a span inside its source; the `ExprId`s of one program lie in `0..Program::exprs`, each used
//! at most once; expressions are at most [`MAX_HEIGHT`] high, because operator chains of one level are flat.

use crate::base::Span;

mod looking;
mod optimizer;
mod show;
mod uses;
mod walk;

pub use looking::{Compare, Plot, PlotRange, Sweep};
pub use optimizer::{CountUnit, Entrant, OptimizerDecl, Pipeline, PipelineDecl, Role, Side, Stage, StepKind, StepStmt};
pub use show::{show, show_type};

/// How deeply brackets, prefixes, powers and `if`s may be nested; more is R0102.
pub const MAX_DEPTH: usize = 200;

/// How high an expression's tree may be, so that walks over it may recurse; more is R0102.
pub const MAX_HEIGHT: usize = 256;

/// A whole source text.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Program {
    /// In the order written.
    pub statements: Vec<Stmt>,
    /// Number of expression ids given out: side tables may be vectors of this length.
    pub exprs: u32,
}

/// A name as written (after NFKC) and where.
#[derive(Clone, Debug, PartialEq)]
pub struct Ident {
    /// The characters.
    pub text: String,
    /// The place.
    pub span: Span,
}

/// A statement.
#[derive(Clone, Debug, PartialEq)]
pub struct Stmt {
    /// What it is.
    pub kind: StmtKind,
    /// From its first to its last character.
    pub span: Span,
    /// The documentation comment (`##`) above it, without the marks.
    pub docs: Option<String>,
}

/// The kinds of statements.
#[derive(Clone, Debug, PartialEq)]
pub enum StmtKind {
    /// `set plants = {"a", "b"}`, `set T = 0..N`.
    Set(SetDecl),
    /// `param lambda: Real >= 0 = 1e-3`.
    Param(ParamDecl),
    /// `let h = horizon/N`.
    Let(LetDecl),
    /// `var w: Vector[n] >= 0 from 1`.
    Var(VarDecl),
    /// `fn f(x: Real) -> Real = …`.
    Fn(FnDecl),
    /// `problem ridge(mu: Real) { … }`.
    Problem(ProblemDecl),
    /// `optimizer NAME(params) { … }`, `transform NAME(params) { … }`.
    Optimizer(Box<OptimizerDecl>),
    /// `pipeline NAME(params) = …`.
    Pipeline(Box<PipelineDecl>),
    /// `step r for 10 steps`.
    Step(Box<StepRun>),
    /// `rewind r to 5`.
    Rewind {
        /// The run.
        run: Ident,
        /// The step.
        to: Expr,
    },
    /// `source adam`: the definition that runs.
    Source(Ident),
    /// `help adam`.
    Help(Ident),
    /// `minimize fit: …`, at the top level or in a problem.
    Objective(Objective),
    /// `subject to` with the constraints that follow it.
    SubjectTo(Vec<Constraint>),
    /// `minimize f from x = …, y = …`: declares, solves, leaves nothing behind.
    MinimizeFrom(MinimizeFrom),
    /// `[s =] solve …`.
    Solve(Box<Solve>),
    /// `[c =] compare P with { … }`.
    Compare(Box<Compare>),
    /// `[w =] sweep lr in values { solve … }`.
    Sweep(Box<Sweep>),
    /// `[p =] plot …`.
    Plot(Box<Plot>),
    /// `lambda = 1e-2`: rebinds a parameter.
    Assign {
        /// The parameter.
        name: Ident,
        /// Its new value.
        value: Expr,
    },
    /// `print a, b`.
    Print(Vec<Expr>),
    /// `write s.w to "w.csv"`.
    Write {
        /// What is written.
        value: Expr,
        /// The file, a text.
        to: Expr,
    },
    /// `use "model.opt"`: the names that another file declares.
    Use {
        /// The file, relative to this one.
        path: String,
        /// The text.
        at: Span,
    },
    /// `inspect P [why]`; without a target, the unnamed problem.
    Inspect {
        /// What is looked at.
        target: Option<ProblemRef>,
        /// Which aspect.
        what: Aspect,
    },
    /// `diagnose P [at s] [measured]`, `diagnose A`; without a target, the unnamed problem.
    Diagnose {
        /// A problem, with arguments if it has parameters, or a matrix.
        target: Option<Expr>,
        /// The solution at which second derivatives are taken.
        at: Option<Expr>,
        /// Are steps counted beside being predicted?
        measured: bool,
    },
    /// `assume convex(fit)`: taken as given, in a problem.
    Assume {
        /// Convex, or concave?
        convex: bool,
        /// The objective by its label, or an expression.
        of: Expr,
    },
    /// `assert s.objective == 1.25 within 1e-8`.
    Assert {
        /// The condition (a comparison if there is a tolerance).
        condition: Expr,
        /// The tolerance, absolute.
        within: Option<Expr>,
    },
    /// `seed 7`.
    Seed(Expr),
    /// `for k in 1..10 { … }`: repeats statements.
    For(Box<Repeat>),
    /// A statement of a part of the language that is not built yet; it was reported as R0190.
    NotBuilt {
        /// The words that begin it.
        keyword: String,
        /// The name it would have declared, if any.
        declares: Option<Ident>,
    },
    /// A statement that could not be read; it was reported.
    Error {
        /// The name it seems to declare, if any.
        declares: Option<Ident>,
    },
}

/// `set NAME[keys] [in superset] = value`.
#[derive(Clone, Debug, PartialEq)]
pub struct SetDecl {
    /// The set.
    pub name: Ident,
    /// The indices of a family of sets: one set for each of their values.
    pub family: Option<Binders>,
    /// The set it is declared to be part of.
    pub within: Option<Expr>,
    /// A set literal, a range, a product, a subset by condition, or `read(…)`.
    pub value: Expr,
}

/// A condition on a declared value: `>= 0`, `in {-1, 1}`.
#[derive(Clone, Debug, PartialEq)]
pub struct Check {
    /// The relation between the declared value (left) and `value`.
    pub op: CompareOp,
    /// The right-hand side; after `in`, an interval, a set or the name of a cone or a manifold.
    pub value: Expr,
    /// Both.
    pub span: Span,
}

/// `param NAME: TYPE checks [default e] [= value]`.
#[derive(Clone, Debug, PartialEq)]
pub struct ParamDecl {
    /// The parameter.
    pub name: Ident,
    /// Its type; absent if only a value is given (`param k = 3`).
    pub ty: Option<TypeExpr>,
    /// Checked at every binding.
    pub checks: Vec<Check>,
    /// The value of absent entries.
    pub default: Option<Expr>,
    /// Where its value comes from, unless it is set from outside.
    pub value: Option<Expr>,
}

/// `let NAME[: TYPE] = value`.
#[derive(Clone, Debug, PartialEq)]
pub struct LetDecl {
    /// The name.
    pub name: Ident,
    /// Its declared type.
    pub ty: Option<TypeExpr>,
    /// Its value.
    pub value: Expr,
    /// From the word `let` to the end.
    pub span: Span,
}

/// `var NAME: TYPE checks [from start] [scale size]`.
#[derive(Clone, Debug, PartialEq)]
pub struct VarDecl {
    /// The side of a saddle point: `min x: …`, `max y: …`.
    pub side: Option<Sense>,
    /// The variable.
    pub name: Ident,
    /// Its type.
    pub ty: TypeExpr,
    /// Bounds and memberships.
    pub bounds: Vec<Check>,
    /// The point a solve starts from.
    pub start: Option<Expr>,
    /// Its natural magnitude.
    pub scale: Option<Expr>,
}

/// A parameter of a function or a problem.
#[derive(Clone, Debug, PartialEq)]
pub struct FormalParam {
    /// The name.
    pub name: Ident,
    /// Its type.
    pub ty: TypeExpr,
    /// Checks on the argument.
    pub checks: Vec<Check>,
    /// The value if no argument is given.
    pub default: Option<Expr>,
}

impl FormalParam {
    /// The words that a text may be: `rule: Text in {"armijo", "wolfe"}`; calls may write them without quotes.
    pub fn words(&self) -> Vec<&str> {
        let sets = self.checks.iter().filter(|c| c.op == CompareOp::In);
        let items = sets.filter_map(|c| match &c.value.kind {
            ExprKind::Set(items) => Some(items),
            _ => None,
        });
        items
            .flatten()
            .filter_map(|e| match &e.kind {
                ExprKind::Text(t) => Some(t.as_str()),
                _ => None,
            })
            .collect()
    }
}

/// `fn NAME(params) [-> TYPE] = body`, or with a block of `let` lines and a last expression.
#[derive(Clone, Debug, PartialEq)]
pub struct FnDecl {
    /// The function.
    pub name: Ident,
    /// Its parameters.
    pub params: Vec<FormalParam>,
    /// Its declared result.
    pub result: Option<TypeExpr>,
    /// The `let` lines of a block, in order.
    pub lets: Vec<LetDecl>,
    /// The value.
    pub body: Expr,
}

/// `problem NAME(params) { … }`.
#[derive(Clone, Debug, PartialEq)]
pub struct ProblemDecl {
    /// The problem.
    pub name: Ident,
    /// Its parameters.
    pub params: Vec<FormalParam>,
    /// `Var`, `Let`, `Set`, `Param`, `Fn`, `Objective` and `SubjectTo` statements (and `NotBuilt`, `Error`).
    pub body: Vec<Stmt>,
}

/// A named convex set that stands after `in`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ConeName {
    /// Symmetric positive semidefinite matrices.
    Psd,
    /// Triples with `y*exp(x/y) <= z`, `y > 0`, and their limits.
    Exp,
    /// Triples with `x^a * y^(1-a) >= |z|`, `x, y >= 0`.
    Pow,
    /// Nonnegative numbers that add up to 1.
    Simplex,
    /// Arrays whose Euclidean norm is at most `r`.
    Ball,
}

impl ConeName {
    /// All of them.
    pub const ALL: [ConeName; 5] = [
        ConeName::Psd,
        ConeName::Exp,
        ConeName::Pow,
        ConeName::Simplex,
        ConeName::Ball,
    ];
    /// As programs write it.
    pub fn word(self) -> &'static str {
        match self {
            ConeName::Psd => "PSD",
            ConeName::Exp => "ExpCone",
            ConeName::Pow => "PowCone",
            ConeName::Simplex => "simplex",
            ConeName::Ball => "ball",
        }
    }
    /// What its parameter is called, if it takes one.
    pub fn parameter(self) -> Option<&'static str> {
        match self {
            ConeName::Pow => Some("a"),
            ConeName::Ball => Some("r"),
            _ => None,
        }
    }
}

/// The direction of an objective.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Sense {
    /// Smaller is better.
    Minimize,
    /// Larger is better.
    Maximize,
    /// `objective e`: smaller for what `min` declares, larger for what `max` declares.
    Saddle,
}

/// `minimize [label:] expr`.
#[derive(Clone, Debug, PartialEq)]
pub struct Objective {
    /// The direction.
    pub sense: Sense,
    /// Its name.
    pub label: Option<Ident>,
    /// What is optimized.
    pub expr: Expr,
}

/// A constraint or a family of constraints: `[label][binders]: relation`.
#[derive(Clone, Debug, PartialEq)]
pub struct Constraint {
    /// Its name; an unnamed one is named after its line by whoever needs a name.
    pub label: Option<Ident>,
    /// The indices of a family.
    pub binders: Option<Binders>,
    /// A [`ExprKind::Compare`] in a well-formed program.
    pub relation: Expr,
    /// From the label to the end.
    pub span: Span,
    /// The documentation comment above it.
    pub docs: Option<String>,
}

/// `minimize f from x = …, y = …`.
#[derive(Clone, Debug, PartialEq)]
pub struct MinimizeFrom {
    /// The objective.
    pub objective: Objective,
    /// The variables it declares and where each starts; the shape of the start is the shape of the variable.
    pub starts: Vec<(Ident, Expr)>,
}

/// A problem by name, with arguments if it has parameters.
#[derive(Clone, Debug, PartialEq)]
pub struct ProblemRef {
    /// The problem's name.
    pub name: Ident,
    /// Arguments for its parameters.
    pub args: Vec<Arg>,
    /// Name and arguments.
    pub span: Span,
}

/// Where a solve starts.
#[derive(Clone, Debug, PartialEq)]
pub enum Start {
    /// `from x = 1, y = zeros(n)`: the problem's own variables.
    Values(Vec<(Ident, Expr)>),
    /// `from s`: an earlier solution.
    Solution(Expr),
    /// `from random(seed)`: drawn; with the solve's own seed if none is given.
    Random(Option<Expr>),
}

/// What a solve changes of its problem (`fixing`, `without`, `relaxed`): the problem itself stays.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Variation {
    /// Variables, or entries of them, that are given their values.
    pub fixing: Vec<Fixed>,
    /// Constraints, or rows of them, that are left out.
    pub without: Vec<Omitted>,
    /// Are `Int` and `Bool` variables reals?
    pub relaxed: Option<Span>,
}

impl Variation {
    /// Does it change nothing?
    pub fn is_empty(&self) -> bool {
        *self == Variation::default()
    }
}

/// `x = 1`, `ship["a", :] = 0`.
#[derive(Clone, Debug, PartialEq)]
pub struct Fixed {
    /// The variable.
    pub name: Ident,
    /// The variable, or entries of it.
    pub place: Expr,
    /// A number, or an array of the place's shape.
    pub value: Expr,
}

/// `budget`, `supply["a"]`, `flow[1, :]`.
#[derive(Clone, Debug, PartialEq)]
pub struct Omitted {
    /// The constraint.
    pub name: Ident,
    /// The constraint, or rows of it.
    pub place: Expr,
}

/// Units of time.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum TimeUnit {
    /// Seconds.
    Seconds,
    /// Sixty seconds.
    Minutes,
    /// 3600 seconds.
    Hours,
}

impl TimeUnit {
    /// Seconds in one unit.
    pub fn seconds(self) -> f64 {
        match self {
            TimeUnit::Seconds => 1.0,
            TimeUnit::Minutes => 60.0,
            TimeUnit::Hours => 3600.0,
        }
    }
}

/// `lbfgs(memory: 10)`.
#[derive(Clone, Debug, PartialEq)]
pub struct MethodCall {
    /// The method.
    pub name: Ident,
    /// Its options.
    pub args: Vec<Arg>,
    /// The pipelines in braces behind it, if there are any: `race { … }`.
    pub group: Option<Vec<Entrant>>,
    /// Name, arguments and braces.
    pub span: Span,
}

/// `[s =] solve P [from …] [to …] [within …] [seed …] [with …]`.
#[derive(Clone, Debug, PartialEq)]
pub struct Solve {
    /// The name that keeps the solution.
    pub bind: Option<Ident>,
    /// What is solved; `None` for the unnamed problem.
    pub target: Option<ProblemRef>,
    /// The start.
    pub from: Option<Start>,
    /// The tolerance.
    pub to: Option<Expr>,
    /// The time allowed.
    pub within: Option<(Expr, TimeUnit)>,
    /// The seed of this solve.
    pub seed: Option<Expr>,
    /// The method asked for.
    pub method: Option<Pipeline>,
    /// Was `cold` said: no start from the last answer?
    pub cold: bool,
    /// What is changed of the problem.
    pub variation: Variation,
    /// Is it `start`: a run that stands before its first step?
    pub held: bool,
    /// The file of a saved run, `resume "run.json"`.
    pub resume: Option<Expr>,
    /// The condition on which it stops, `break when …`.
    pub stop: Option<Expr>,
    /// The word `solve` or `start`.
    pub keyword: Span,
}

impl Solve {
    /// The solve with `relaxed` taken as the problem's name, in place of a change of the unnamed one, where there is a
    /// problem of that name.
    pub fn resolved(&self, is_problem: impl Fn(&str) -> bool) -> std::borrow::Cow<'_, Solve> {
        match (&self.target, self.variation.relaxed) {
            (None, Some(span)) if is_problem("relaxed") => {
                let mut named = self.clone();
                let name = Ident {
                    text: "relaxed".into(),
                    span,
                };
                named.variation.relaxed = None;
                named.target = Some(ProblemRef {
                    name,
                    args: vec![],
                    span,
                });
                std::borrow::Cow::Owned(named)
            }
            _ => std::borrow::Cow::Borrowed(self),
        }
    }
}

/// `for NAME in SET { … }` at the top level.
#[derive(Clone, Debug, PartialEq)]
pub struct Repeat {
    /// The name that takes the values.
    pub name: Ident,
    /// A set, or a vector of numbers.
    pub set: Expr,
    /// Commands, rebindings, `let`s and loops.
    pub body: Vec<Stmt>,
}

/// `step r [for 10 steps] [within 5 seconds] [break when …]`.
#[derive(Clone, Debug, PartialEq)]
pub struct StepRun {
    /// The run.
    pub run: Ident,
    /// How many steps; one, unless another clause says when to stop.
    pub count: Option<Expr>,
    /// The time allowed.
    pub within: Option<(Expr, TimeUnit)>,
    /// The condition on which it stops.
    pub stop: Option<Expr>,
}

/// What an `inspect` looks at.
#[derive(Clone, Debug, PartialEq)]
pub enum Aspect {
    /// Class, variables, constraints, sizes, ranges.
    Summary,
    /// `why`: the derivation of the curvature, and where it broke.
    Why,
    /// `conflict`: a smallest set of constraints that cannot hold together.
    Conflict,
    /// `derivatives [at x = 1]`, `derivatives at s`: against differences.
    Derivatives(Option<Start>),
}

/// A type as written: `Real`, `Vector[n]`, `Real[plants, markets]`.
#[derive(Clone, Debug, PartialEq)]
pub struct TypeExpr {
    /// `Real`, `Int`, `Bool`, `Text`, `Vector`, `Matrix`, `Symmetric`, …
    pub name: Ident,
    /// Sets, integer expressions, or names that the value binds.
    pub dims: Vec<Expr>,
    /// All of it.
    pub span: Span,
}

/// `name in set`, `(a, b) in set`.
#[derive(Clone, Debug, PartialEq)]
pub struct Binder {
    /// One name; several for a tuple, where a name already bound selects and a new one binds.
    pub names: Vec<Ident>,
    /// What it ranges over.
    pub set: Expr,
    /// All of it.
    pub span: Span,
}

/// Binders with their condition: `i in I, j in J if i != j`.
#[derive(Clone, Debug, PartialEq)]
pub struct Binders {
    /// Outermost first; at least one.
    pub items: Vec<Binder>,
    /// Which combinations count.
    pub condition: Option<Box<Expr>>,
    /// All of it, without the brackets.
    pub span: Span,
}

/// The identity of an expression within its program.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct ExprId(pub u32);

/// An expression.
#[derive(Clone, Debug, PartialEq)]
pub struct Expr {
    /// Its identity, the key of the checker's side tables.
    pub id: ExprId,
    /// The place, parentheses around it included.
    pub span: Span,
    /// What it is.
    pub kind: ExprKind,
}

/// An argument of a call: `x`, `lr: 0.1`.
#[derive(Clone, Debug, PartialEq)]
pub struct Arg {
    /// Its name, if given by name.
    pub name: Option<Ident>,
    /// Its value.
    pub value: Expr,
}

/// A step of a flat operator chain or a comparison chain.
#[derive(Clone, Debug, PartialEq)]
pub struct Link<Op> {
    /// The operator.
    pub op: Op,
    /// Where it stands.
    pub op_span: Span,
    /// What stands to its right.
    pub operand: Expr,
}

/// The kinds of expressions.
#[derive(Clone, Debug, PartialEq)]
pub enum ExprKind {
    /// `12`, `0.5`, `inf`.
    Number {
        /// Its value, never NaN.
        value: f64,
        /// Written without point and exponent.
        integer: bool,
    },
    /// `"…"`, escapes resolved.
    Text(String),
    /// `true`, `false`.
    Bool(bool),
    /// A name.
    Name(String),
    /// `-x`, `not c`.
    Unary {
        /// The operator.
        op: UnaryOp,
        /// Its operand.
        operand: Box<Expr>,
    },
    /// `a ^ b`, `a .^ b`: the operators that group to the right.
    Power {
        /// `Pow` or `ElemPow`.
        op: BinaryOp,
        /// Where it stands.
        op_span: Span,
        /// The base.
        base: Box<Expr>,
        /// The exponent.
        exponent: Box<Expr>,
    },
    /// `a + b - c`, `a*b/c`, `a and b`, `a or b`: operators of one level, grouping to the left, kept flat.
    Chain {
        /// The leftmost operand.
        first: Box<Expr>,
        /// The others, each with the operator before it; at least one.
        rest: Vec<Link<BinaryOp>>,
    },
    /// `l <= e <= u`, `x in S`: all of one direction.
    Compare {
        /// The leftmost operand.
        first: Box<Expr>,
        /// The others; at least one. `in` stands only last.
        rest: Vec<Link<CompareOp>>,
    },
    /// `lo..hi`, both ends included.
    Range {
        /// First element.
        lo: Box<Expr>,
        /// Last element.
        hi: Box<Expr>,
    },
    /// `A[i, :]`.
    Index {
        /// What is indexed.
        base: Box<Expr>,
        /// One per dimension.
        subscripts: Vec<Subscript>,
    },
    /// `f(x, lr: 0.1)`, `s.dual(budget)`.
    Call {
        /// A name or a field.
        callee: Box<Expr>,
        /// Positional arguments before named ones.
        args: Vec<Arg>,
    },
    /// `s.w`.
    Field {
        /// What has the field.
        base: Box<Expr>,
        /// The field.
        name: Ident,
    },
    /// `x'`.
    Transpose(Box<Expr>),
    /// `if c then a else b`.
    If {
        /// The condition.
        condition: Box<Expr>,
        /// Its value where the condition holds.
        then: Box<Expr>,
        /// Its value elsewhere.
        otherwise: Box<Expr>,
    },
    /// `sum(i in I) body`: the body is one product.
    Comprehension {
        /// `sum`, `mean`, `prod`, `max`, `min`, …
        op: Ident,
        /// What it runs over.
        binders: Binders,
        /// Arguments by name behind the binders.
        args: Vec<Arg>,
        /// What is reduced.
        body: Box<Expr>,
    },
    /// `[i in I] body`: an array over `I`.
    ArrayComprehension {
        /// One dimension each.
        binders: Binders,
        /// The entry.
        body: Box<Expr>,
    },
    /// `[1, 2, 3]`.
    Vector(Vec<Expr>),
    /// `[1, 2; 3, 4]`: rows.
    Matrix(Vec<Vec<Expr>>),
    /// `{1, 2}`, `{"a", "b"}`.
    Set(Vec<Expr>),
    /// `{i in I if c}`.
    Subset(Binders),
    /// `{"a": 1, ("a", "x"): 2}`.
    Labelled(Vec<Entry>),
    /// `[l, u]` after `in`.
    Interval {
        /// Least.
        lo: Box<Expr>,
        /// Greatest.
        hi: Box<Expr>,
    },
    /// `PSD`, `ball(r)` after `in`.
    Cone {
        /// Which.
        cone: ConeName,
        /// Its parameter.
        arg: Option<Box<Expr>>,
    },
    /// `(p, m)`.
    Tuple(Vec<Expr>),
    /// `t -> body`: a function of the step.
    Lambda {
        /// Its parameter.
        param: Ident,
        /// Its value.
        body: Box<Expr>,
    },
    /// `all except y`: an argument of `read`.
    AllExcept(Vec<Ident>),
    /// Something that could not be read or is not built; it was reported, and is compatible with everything.
    Error,
}

/// A subscript.
#[derive(Clone, Debug, PartialEq)]
pub enum Subscript {
    /// `:`, the whole dimension.
    All(Span),
    /// `lo..hi`, a slice re-indexed from 1; the expression is an [`ExprKind::Range`].
    Range(Expr),
    /// One element.
    At(Expr),
}

impl Subscript {
    /// The place.
    pub fn span(&self) -> Span {
        match self {
            Subscript::All(s) => *s,
            Subscript::Range(e) | Subscript::At(e) => e.span,
        }
    }
}

/// An entry of a labelled array.
#[derive(Clone, Debug, PartialEq)]
pub struct Entry {
    /// One label per dimension.
    pub key: Vec<Expr>,
    /// The entry.
    pub value: Expr,
}

/// Prefix operators.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum UnaryOp {
    /// `-`.
    Neg,
    /// `not`.
    Not,
}

/// Infix operators other than comparisons.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum BinaryOp {
    /// `or`.
    Or,
    /// `and`.
    And,
    /// `+`.
    Add,
    /// `-`.
    Sub,
    /// `*`, the linear-algebra product.
    Mul,
    /// `/`, real division.
    Div,
    /// `%`, the remainder.
    Rem,
    /// `div`, integer division.
    IntDiv,
    /// `.*`.
    ElemMul,
    /// `./`.
    ElemDiv,
    /// `\`, the solution of a linear system or least squares.
    Solve,
    /// `^`.
    Pow,
    /// `.^`.
    ElemPow,
}

impl BinaryOp {
    /// As written.
    pub fn symbol(self) -> &'static str {
        match self {
            BinaryOp::Or => "or",
            BinaryOp::And => "and",
            BinaryOp::Add => "+",
            BinaryOp::Sub => "-",
            BinaryOp::Mul => "*",
            BinaryOp::Div => "/",
            BinaryOp::Rem => "%",
            BinaryOp::IntDiv => "div",
            BinaryOp::ElemMul => ".*",
            BinaryOp::ElemDiv => "./",
            BinaryOp::Solve => "\\",
            BinaryOp::Pow => "^",
            BinaryOp::ElemPow => ".^",
        }
    }
}

/// Relations.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum CompareOp {
    /// `<=`.
    Le,
    /// `>=`.
    Ge,
    /// `<`.
    Lt,
    /// `>`.
    Gt,
    /// `==`.
    Eq,
    /// `!=`.
    Ne,
    /// `in`.
    In,
}

impl CompareOp {
    /// As written.
    pub fn symbol(self) -> &'static str {
        match self {
            CompareOp::Le => "<=",
            CompareOp::Ge => ">=",
            CompareOp::Lt => "<",
            CompareOp::Gt => ">",
            CompareOp::Eq => "==",
            CompareOp::Ne => "!=",
            CompareOp::In => "in",
        }
    }
}

impl Expr {
    /// The name, if it is nothing but a name.
    pub fn as_name(&self) -> Option<&str> {
        match &self.kind {
            ExprKind::Name(n) => Some(n),
            _ => None,
        }
    }
    /// A name, or a name with arguments, as a reference to a problem.
    pub fn as_problem_ref(&self) -> Option<ProblemRef> {
        let (name, args) = match &self.kind {
            ExprKind::Call { callee, args } => (callee.as_ref(), args.clone()),
            _ => (self, vec![]),
        };
        Some(ProblemRef {
            name: Ident {
                text: name.as_name()?.into(),
                span: name.span,
            },
            args,
            span: self.span,
        })
    }
    /// The integer, if it is a literal one or the negative of one.
    pub fn as_integer(&self) -> Option<i64> {
        match &self.kind {
            ExprKind::Number { value, integer: true } if value.abs() < 9e15 => Some(*value as i64),
            ExprKind::Unary {
                op: UnaryOp::Neg,
                operand,
            } => match &operand.kind {
                ExprKind::Number { value, integer: true } if value.abs() < 9e15 => Some(-(*value as i64)),
                _ => None,
            },
            _ => None,
        }
    }
}
