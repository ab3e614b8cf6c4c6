//! The words of the language with one sentence each, for help and completion.
//!
//! Invariant: every reserved word that programs can use today has a row.

/// A word, how it is used, what it does.
pub(super) struct Word {
    pub word: &'static str,
    pub form: &'static str,
    pub doc: &'static str,
}

const fn word(word: &'static str, form: &'static str, doc: &'static str) -> Word {
    Word { word, form, doc }
}

/// Words that begin a statement at the top level.
pub(super) const STATEMENTS: &[Word] = &[
    word(
        "set",
        "set plants = {\"a\", \"b\"}",
        "Declares a set: labels, or a range of integers.",
    ),
    word(
        "param",
        "param c: Real[plants] >= 0 = read(\"c.csv\")",
        "Declares a parameter: data from outside that may be rebound.",
    ),
    word(
        "let",
        "let total = sum(c)",
        "Declares a derived value, or a shared subexpression of variables.",
    ),
    word(
        "var",
        "var x: Vector[n] >= 0 from 1",
        "Declares a decision variable with bounds and a start.",
    ),
    word("fn", "fn huber(r: Real) -> Real = …", "Declares a function."),
    word(
        "problem",
        "problem p { … }",
        "Declares a problem: variables, an objective, constraints.",
    ),
    word(
        "minimize",
        "minimize cost: sum(c.*x)",
        "The objective: smaller is better.",
    ),
    word(
        "maximize",
        "maximize profit: sum(c.*x)",
        "The objective: larger is better.",
    ),
    word(
        "subject to",
        "subject to\n  budget: sum(x) == 1",
        "The constraints follow, each with a name of its own.",
    ),
    word(
        "solve",
        "s = solve p from x = 1 to 1e-9 within 10 seconds with lbfgs()",
        "Solves a problem.",
    ),
    word(
        "start",
        "r = start p with adam(lr: 0.1)",
        "Begins a run that is advanced by `step`; the clauses are those of `solve`.",
    ),
    word(
        "step",
        "step r for 10 steps",
        "Advances a run: one step, so many, `within` a time, or until `break when` holds.",
    ),
    word("rewind", "rewind r to 5", "Takes a run back to a step it was at."),
    word("source", "source adam", "Prints the definition that runs."),
    word("help", "help adam", "Says what a name is and takes."),
    word("print", "print s.objective, s.x", "Shows values."),
    word(
        "inspect",
        "inspect p why",
        "Shows class, sizes and form of a problem; `why`: what breaks convexity; `conflict`: what cannot hold together; `derivatives`: against differences.",
    ),
    word(
        "for",
        "for k in 1..10 { s = solve p(k) }",
        "Repeats statements; `s[3]` is the solution of a turn, `s[:].objective` an array over all.",
    ),
    word(
        "assume",
        "assume convex(fit)",
        "Takes as given what the rules cannot prove; a line of a problem.",
    ),
    word(
        "assert",
        "assert s.objective == 1.25 within 1e-8",
        "Ends with an error unless the condition holds.",
    ),
    word("seed", "seed 7", "Fixes all randomness from here on."),
    word(
        "diagnose",
        "diagnose p at s",
        "Tells the condition of a problem or a matrix, and what would help.",
    ),
    word("write", "write s.x to \"x.csv\"", "Saves values with their labels."),
    word("use", "use \"model.opt\"", "Brings the names of another file."),
];

/// Words that may stand in the block of a problem.
pub(super) const IN_PROBLEM: &[&str] = &["var", "let", "set", "minimize", "maximize", "subject to", "assume"];

/// Words of expressions.
pub(super) const EXPRESSIONS: &[Word] = &[
    word(
        "if",
        "(if c then a else b)",
        "One of two values; as an operand in parentheses.",
    ),
    word("then", "if c then a else b", "The value where the condition holds."),
    word("else", "if c then a else b", "The value elsewhere."),
    word("not", "not c", "The opposite of a truth value."),
    word("and", "a and b", "Do both hold?"),
    word("or", "a or b", "Does one of them hold?"),
    word("in", "i in I", "Binds an index; after a value, membership."),
    word("div", "7 div 2", "Integer division."),
    word("true", "true", "A truth value."),
    word("false", "false", "A truth value."),
    word("inf", "inf", "Infinity."),
    word(
        "read",
        "read(\"data.csv\", column: y)",
        "Reads a file: CSV, Matrix Market, LIBSVM, NumPy, JSON, plain or gzipped.",
    ),
];

/// Clauses of `solve`, in the order in which they are usual.
pub(super) const CLAUSES: &[Word] = &[
    word(
        "from",
        "solve p from x = 1",
        "Where the solve starts: values, or an earlier solution.",
    ),
    word("to", "solve p to 1e-9", "The tolerance; 1e-8 if nothing is said."),
    word("within", "solve p within 10 seconds", "The time allowed."),
    word("seed", "solve p seed 7", "The seed of this solve."),
    word("cold", "solve p cold", "Does not start from the last answer."),
    word(
        "fixing",
        "solve p fixing x = 1",
        "Gives variables, or entries of them, their values.",
    ),
    word("without", "solve p without budget", "Leaves constraints out."),
    word(
        "relaxed",
        "solve p relaxed",
        "Takes reals in the place of `Int` and `Bool` variables.",
    ),
    word(
        "break when",
        "solve p with adam() break when norm(x) > 10",
        "Stops at the first step where a condition holds; `step` goes on.",
    ),
    word(
        "with",
        "solve p with lbfgs(memory: 20)",
        "The method; without it the class of the problem decides.",
    ),
];

/// What runs pipelines in braces.
pub(super) const GROUPS: &[Word] = &[
    word(
        "race",
        "race { lbfgs(); newton_tr() }",
        "In turns of equal counted work; the first that reaches the tolerance wins.",
    ),
    word(
        "multistart",
        "multistart(20) { lbfgs() }",
        "From many starts; the best answer is kept.",
    ),
    word(
        "repeat",
        "repeat(3) { adam() for 100 steps }",
        "So many times, one after the other.",
    ),
];

/// Clauses of `step`.
pub(super) const STEPS: &[Word] = &[
    word("for", "step r for 10 steps", "So many steps."),
    word("within", "step r within 5 seconds", "The time allowed."),
    word(
        "break when",
        "step r break when norm(x) > 10",
        "Stops at the first step where a condition holds.",
    ),
];

/// Words of experiments, and of an optimizer beside what its step asks.
pub(super) const METHODS: &[Word] = &[
    word(
        "optimizer",
        "optimizer o(lr: Real) { step t { x <- x - lr*grad(x) } }",
        "Declares a method: states and one step.",
    ),
    word(
        "transform",
        "transform half() { step t { u <- u/2 } }",
        "Declares what changes the gradient, the update or the point beside an optimizer.",
    ),
    word(
        "pipeline",
        "pipeline p(rate: Schedule) = adam(rate) |> projected() for 100 steps then lbfgs()",
        "Names parts of a step and stages.",
    ),
    word(
        "compare",
        "c = compare P with { fast: adam(0.1); slow: gd(1e-3) } over seeds 1..5",
        "Runs methods beside one another.",
    ),
    word(
        "sweep",
        "w = sweep lr in logspace(-3, 0, 13) { solve P with gd(lr) for 100 steps }",
        "Solves for each value of a name.",
    ),
    word(
        "plot",
        "p = plot s.trace.objective",
        "Draws traces, comparisons, vectors, functions and paths.",
    ),
    word(
        "state",
        "state v = zeros(x)",
        "What is kept between steps, with its first value.",
    ),
    word(
        "each",
        "each X: Matrix[p, q] in x { … } else { … }",
        "Lines for every variable of a shape, and for the others.",
    ),
    word(
        "record",
        "record speed = norm(v)",
        "A number of every step: a column of `s.trace`.",
    ),
    word("stop", "stop when norm(g) <= 1e-8", "Ends the run."),
    word(
        "restart",
        "restart when dot(g, v) > 0",
        "Begins the states and `t` anew from the point, when the step ends.",
    ),
    word(
        "fail",
        "fail when b <= 0: \"why\"",
        "Ends the run at the last good point, with the reason.",
    ),
];

/// What a step may ask and name.
pub(super) const IN_STEP: &[Word] = &[
    word(
        "value",
        "value(x)",
        "The objective at a point; `value(x, batch)` and `value(x, i)` estimate it on a mini-batch or one term.",
    ),
    word("trial", "trial(x)", "The objective, or `inf` where it has no value."),
    word(
        "grad",
        "grad(x)",
        "The gradient at a point, also on a batch or a term; in a transform `grad()` is the one that the optimizer asked for.",
    ),
    word(
        "operator",
        "operator(x)",
        "The gradient of a saddle point, turned where it is maximized.",
    ),
    word("hvp", "hvp(x, v)", "The Hessian at `x` times `v`, also on a batch."),
    word("hessian", "hessian(x)", "The Hessian, a matrix over all coordinates."),
    word(
        "smooth",
        "smooth(x)",
        "The smooth part of an objective that `prox` takes apart.",
    ),
    word(
        "prox",
        "prox(x, t)",
        "The proximal point of the other part, for a step of length `t`.",
    ),
    word(
        "project",
        "project(x)",
        "The nearest point that keeps bounds and simple sets.",
    ),
    word("lmo", "lmo(g)", "The corner of the set that is lowest along `g`."),
    word(
        "away",
        "away(x, g)",
        "Of the corners that `x` is made of, the one that is highest along `g`.",
    ),
    word(
        "reach",
        "reach(x, d)",
        "How far one may go from `x` along `d` and stay in the set.",
    ),
    word(
        "constraints",
        "constraints(x)",
        "A number for each row under `subject to`: at most 0, or 0, where it holds.",
    ),
    word(
        "residuals",
        "residuals(x)",
        "What the objective is the sum of squares of.",
    ),
    word(
        "jacobian",
        "jacobian(x)",
        "Derivatives of the constraints; `of: residuals` of those.",
    ),
    word("jvp", "jvp(x, v)", "That matrix times a point."),
    word("vjp", "vjp(x, y)", "A vector of rows times that matrix."),
    word("grads", "grads(x)", "The gradients of all terms, one a row."),
    word(
        "sample",
        "sample(k)",
        "A mini-batch of `k` terms; `replace: false` lets all come before one comes again.",
    ),
    word("terms", "terms", "How many terms the objective's sum has."),
    word(
        "equations",
        "equations",
        "1 for the rows of `constraints` that are equations, 0 for the others.",
    ),
    word(
        "fmin",
        "lr: Real = fmin",
        "The least value of the objective, where the problem proves one.",
    ),
    word(
        "table",
        "state phi = table(terms, zeros(x))",
        "An array for each term, read and changed as `phi[i]`.",
    ),
    word(
        "history",
        "state h = history(20, zeros(x))",
        "The last 20 values; `h <- v` adds one, `h[1]` is the newest.",
    ),
    word("length", "length(h)", "How many values a history holds."),
    word("old", "old(v)", "What a state was when the step began."),
    word(
        "normal",
        "normal(x)",
        "Normal numbers in the shape of `x`; `normal()` is one.",
    ),
    word("uniform", "uniform(x)", "Numbers between 0 and 1, likewise."),
    word("rademacher", "rademacher(x)", "Numbers that are 1 or -1, likewise."),
    word(
        "permutation",
        "permutation(n)",
        "The numbers from 1 to `n` in a drawn order.",
    ),
    word(
        "x",
        "x <- x - lr*g",
        "The point: all variables of the problem; `x.W` is one of them.",
    ),
    word(
        "u",
        "u <- u/2",
        "In a transform: the gradient before the optimizer, the update behind it.",
    ),
    word(
        "answer",
        "answer <- mean",
        "The point that is handed out, where that is not `x`.",
    ),
    word(
        "t",
        "step t { … }",
        "The number of the step, from 1; from the last restart on.",
    ),
    word("point", "[i in point] v[i]^2", "The set of all coordinates."),
];

/// Types.
pub(super) const TYPES: &[Word] = &[
    word("Real", "Real[I, J]", "Real numbers, or an array of them over sets."),
    word("Int", "Int", "Integers."),
    word("Bool", "Bool", "Truth values."),
    word("Text", "Text", "A text."),
    word("Vector", "Vector[n]", "The same as `Real[n]`."),
    word("Matrix", "Matrix[m, n]", "The same as `Real[m, n]`."),
    word("Symmetric", "Symmetric[n]", "A matrix that equals its transpose."),
    word("Diagonal", "Diagonal[n]", "A matrix with nothing off its diagonal."),
    word("Operator", "Operator[m, n]", "A linear map known by its products."),
    word(
        "Schedule",
        "lr: Schedule",
        "A number for every step: one for all, `t -> 1/t`, or one of the library's.",
    ),
    word(
        "Optimizer",
        "pipeline p(inner: Optimizer) = …",
        "What moves the point in a step, such as `adam(lr: 0.1)`.",
    ),
    word(
        "Transform",
        "pipeline p(t: Transform) = …",
        "What stands beside an optimizer in a step, such as `clip(max_norm: 1)`.",
    ),
    word(
        "Pipeline",
        "pipeline p(rest: Pipeline) = …",
        "Stages, one after the other, or a method that is one.",
    ),
];

/// Units of time.
pub(super) const UNITS: &[Word] = &[
    word("seconds", "within 10 seconds", "A unit of time."),
    word("minutes", "within 2 minutes", "A unit of time."),
    word("hours", "within 1 hour", "A unit of time."),
];

/// What every solution has beside its variables.
pub(super) const FIELDS: &[(&str, &str, &str)] = &[
    ("status", "Text", "How the solve ended: `optimal`, `infeasible`, …"),
    (
        "objective",
        "Real",
        "The objective at the answer, in the problem's own sense.",
    ),
    ("error", "Real", "Estimate of the relative error of the variables."),
    (
        "condition",
        "Real",
        "Estimate of the condition, where the class has one.",
    ),
    (
        "residuals",
        "Real[names]",
        "What was checked, by name: `s.residuals[\"gap\"]`.",
    ),
    ("iterations", "Int", "Steps of the method."),
    ("evaluations", "Int", "What the steps asked of the problem."),
    (
        "stationarity",
        "Real",
        "How far the slope is from 0, or held by the constraints; not relative.",
    ),
    ("time", "Real", "Seconds that it took."),
    ("method", "Text", "The method that ran."),
    ("trace", "Table", "What the run recorded, by step."),
    ("path", "Table", "The points it went through, by step."),
    (
        "dual",
        "(constraint)",
        "Derivative of the optimal value where the constraint reads `e1 - e2 <= δ`.",
    ),
    ("slack", "(constraint)", "How far a constraint is from being tight."),
    ("reduced", "(variable)", "Reduced costs: the duals of the bounds."),
    (
        "value",
        "(expression)",
        "Any expression of the problem's names, as they were in the answer.",
    ),
];

/// A word of any of the lists.
pub(super) fn find(name: &str) -> Option<&'static Word> {
    let lists = [STATEMENTS, EXPRESSIONS, CLAUSES, GROUPS, TYPES, UNITS, METHODS, IN_STEP];
    lists
        .into_iter()
        .flatten()
        .find(|w| w.word == name || w.word == "subject to" && name == "subject")
}
