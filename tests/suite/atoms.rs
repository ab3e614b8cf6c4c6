//! One test over all rows of the table of atoms: every column of every row against an independent oracle.
//!
//! Invariant: a row cannot be added without being checked, and wrong rows are caught (five are planted).
#![allow(clippy::expect_used, clippy::panic, clippy::print_stdout, reason = "a test")]

mod array;
mod draw;
mod graphs;
mod reduction;
mod scalar;

use std::collections::BTreeMap;
use std::fmt::Write as _;

use ravine::atoms;
use ravine::base::value::IndexSet;
use ravine::ir::atom::{Complex, CurvatureRule, DegreeRule, Derivative, DomainOf, Graph, MonoRule, Prox, SignRule};
use ravine::ir::{Atom, AtomKind, Curvature, Input, InputId, InputKind, Ir, Mono, NodeId, Sign, Smooth};

use crate::interp::{Array, eval, tangent};
use draw::{Report, Rng, against_difference, difference};

/// Rows whose second derivative would need a row that does not exist.
const NO_SECOND_DERIVATIVE: &[&str] = &[
    "digamma",
    "trigamma",
    "lambda_max",
    "lambda_min",
    "sigma_max",
    "nuclear",
    "sum_largest",
];

/// Rows that must have a graph: what the conic forms are built from.
const MUST_HAVE_GRAPH: &[&str] = &[
    "square",
    "recip",
    "inv_pos",
    "quad_over_lin",
    "abs",
    "sqrt",
    "exp",
    "log",
    "softplus",
    "relu",
    "norm",
    "norm1",
    "norminf",
    "sumsq",
    "logsumexp",
    "quad",
    "log2",
    "log10",
    "log1p",
    "expm1",
    "pow",
    "hypot",
    "huber",
    "entropy",
    "rel_entropy",
    "kl_div",
    "hinge",
    "squared_hinge",
    "smoothed_hinge",
    "logistic_loss",
    "exponential_loss",
    "pseudo_huber",
    "log_cosh",
    "pinball",
    "expectile",
    "eps_insensitive",
    "gaussian_nll",
    "laplace_nll",
    "poisson_nll",
    "gamma_nll",
    "bernoulli_nll",
    "geo_mean",
    "sum_largest",
    "pnorm",
    "matrix_frac",
];
/// Rows with two forms, both of which must have a graph.
const MUST_HAVE_GRAPH_IN_BOTH_FORMS: &[&str] = &["max", "min"];
/// Rows that must have a proximal operator.
const MUST_HAVE_PROX: &[&str] = &[
    "abs",
    "relu",
    "square",
    "sum",
    "max",
    "norm",
    "norm1",
    "norminf",
    "sumsq",
    "hinge",
    "squared_hinge",
    "smoothed_hinge",
];
/// Rows whose result must stay sparse on sparse arguments.
const MUST_STAY_SPARSE: &[&str] = &[
    "matmul",
    "transpose",
    "array_add",
    "array_sub",
    "array_scale",
    "diag",
    "concat",
    "kron",
];
/// Rows that must have a complex evaluation.
const MUST_HAVE_COMPLEX: &[&str] = &[
    "add",
    "sub",
    "mul",
    "divide",
    "neg",
    "pow",
    "square",
    "recip",
    "sqrt",
    "exp",
    "log",
    "log1p",
    "expm1",
    "sin",
    "cos",
    "tan",
    "tanh",
    "sigmoid",
    "softplus",
    "entropy",
    "rel_entropy",
    "kl_div",
    "log_cosh",
    "poisson_nll",
    "hypot",
];

fn scalar_input(ir: &mut Ir, name: &str) -> (InputId, NodeId) {
    array_input(ir, name, &[])
}

fn array_input(ir: &mut Ir, name: &str, shape: &[usize]) -> (InputId, NodeId) {
    let input = ir.add_input(Input {
        name: name.into(),
        kind: InputKind::Var,
        dims: shape.iter().map(|n| IndexSet::upto(*n)).collect(),
        sparse: false,
        sign: Sign::Unknown,
    });
    (input, ir.read(input))
}

/// Second derivatives along two directions: symmetric, and the difference of the first one.
fn hessian_checks(
    ir: &Ir,
    inputs: &[InputId],
    frozen: &[bool],
    y: NodeId,
    at: &BTreeMap<InputId, Array>,
    rng: &mut Rng,
    report: &mut Report,
) {
    let mut ir = ir.clone();
    let mut at = at.clone();
    let mut seeds = [BTreeMap::new(), BTreeMap::new()];
    for (d, of) in seeds.iter_mut().enumerate() {
        for (k, input) in inputs.iter().enumerate() {
            if frozen[k] {
                continue;
            }
            let shape = at[input].shape.clone();
            let (seed, node) = array_input(&mut ir, &format!("direction {d}.{k}"), &shape);
            let n: usize = shape.iter().product();
            let mut values = rng.vector(n);
            // Symmetric, so that functions of symmetric matrices stay where they are defined.
            if let [r, c] = *shape
                && r == c
            {
                for i in 0..r {
                    for j in 0..i {
                        values[i * c + j] = values[j * c + i];
                    }
                }
            }
            at.insert(seed, Array::new(&shape, values));
            of.insert(*input, node);
        }
    }
    let [u, v] = seeds;
    let second = |ir: &mut Ir, a: &BTreeMap<InputId, NodeId>, b: &BTreeMap<InputId, NodeId>| {
        let first = tangent(ir, a, y)?;
        Some((first, tangent(ir, b, first)))
    };
    let Some((first, along)) = second(&mut ir, &u, &v) else {
        return;
    };
    let swapped = second(&mut ir, &v, &u).and_then(|s| s.1);
    let value = |n: Option<NodeId>, at: &BTreeMap<InputId, Array>| match n {
        Some(n) => eval(&ir, at, n).data,
        None => vec![0.0; ir.shape(y).iter().product()],
    };
    let (h, t) = (value(along, &at), value(swapped, &at));
    for (j, (a, b)) in h.iter().zip(&t).enumerate() {
        report.near("symmetry", *a, *b, 1e-11, || format!("second derivative of entry {j}"));
        let moved = |s: f64| {
            let mut there = at.clone();
            for (input, node) in &v {
                let step = eval(&ir, &at, *node).data;
                if let Some(x) = there.get_mut(input) {
                    x.data.iter_mut().zip(step).for_each(|(x, d)| *x += s * d);
                }
            }
            eval(&ir, &there, first).data[j]
        };
        against_difference(report, "second difference", *a, difference(moved, 2e-3), || {
            format!("second derivative of entry {j}")
        });
    }
}

/// The optimal `t` of a graph by its cone's definition, and the curvature such a set gives.
fn graph_value(graph: Graph, x: &[f64]) -> (f64, Curvature) {
    use Curvature::{Concave, Convex};
    let largest = |v: &mut dyn Iterator<Item = f64>| v.fold(f64::NEG_INFINITY, f64::max);
    let smallest = |v: &mut dyn Iterator<Item = f64>| v.fold(f64::INFINITY, f64::min);
    match graph {
        Graph::MaxOf(of) => (largest(&mut of.iter().map(|(k, s)| s * x[*k])), Convex),
        Graph::MinOf(of) => (smallest(&mut of.iter().map(|(k, s)| s * x[*k])), Concave),
        Graph::MaxFold => (largest(&mut x.iter().copied()), Convex),
        Graph::MinFold => (smallest(&mut x.iter().copied()), Concave),
        Graph::AbsSum => (x.iter().map(|v| v.max(-v)).sum(), Convex),
        Graph::AbsMax => (largest(&mut x.iter().map(|v| v.max(-v))), Convex),
        Graph::Norm => (x.iter().map(|v| v * v).sum::<f64>().sqrt(), Convex),
        Graph::Square => (x[0] * x[0], Convex),
        Graph::SumSquares => (x.iter().map(|v| v * v).sum(), Convex),
        // 2·(t/2)·y >= x², a rotated second-order cone.
        Graph::QuadOverLin => (x[0] * x[0] / x[1], Convex),
        Graph::Sqrt => (x[0].sqrt(), Concave),
        Graph::Inverse => (1.0 / x[0], Convex),
        Graph::Exp => (x[0].exp(), Convex),
        Graph::Log => (x[0].ln(), Concave),
        Graph::LogSumExp => (x.iter().map(|v| v.exp()).sum::<f64>().ln(), Convex),
        Graph::Softplus => ((1.0 + x[0].exp()).ln(), Convex),
        // Solved, in `graphs`.
        Graph::Quad | Graph::Rewrite(_) | Graph::Cones(..) | Graph::None(_) => (f64::NAN, Curvature::Unknown),
    }
}

/// Is it a graph of a reduction's row?
fn reduces(graph: Graph) -> bool {
    matches!(
        graph,
        Graph::MaxFold
            | Graph::MinFold
            | Graph::AbsSum
            | Graph::AbsMax
            | Graph::Norm
            | Graph::SumSquares
            | Graph::LogSumExp
    )
}

fn check(row: &'static Atom) -> Report {
    let mut report = Report::default();
    words(row, &mut report);
    match row.kind {
        AtomKind::Scalar => scalar::check(row, &mut report),
        AtomKind::Reduction => reduction::check(row, &mut report),
        AtomKind::Array => array::check(row, &mut report),
    }
    report
}

/// What is read by people: name, help, examples, LaTeX.
fn words(row: &Atom, report: &mut Report) {
    let arity = atoms::arity(row);
    report.check("text", !row.doc.is_empty() && row.doc.ends_with(['.', '?']), || {
        format!("doc: {:?}", row.doc)
    });
    report.check("text", !row.examples.is_empty(), || "no example".into());
    report.check("text", !row.signature.is_empty(), || "no signature".into());
    report.check(
        "text",
        row.name
            .chars()
            .all(|c| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '_'),
        || "a name is lower case".into(),
    );
    let (mut depth, mut lowest) = (0i32, 0);
    for c in row.latex.chars() {
        depth += i32::from(c == '{') - i32::from(c == '}');
        lowest = lowest.min(depth);
    }
    report.check("latex", depth == 0 && lowest == 0, || {
        format!("braces of {}", row.latex)
    });
    let fences = |w: &str| row.latex.matches(w).count();
    report.check("latex", fences(r"\left") == fences(r"\right"), || {
        format!("fences of {}", row.latex)
    });
    report.check("latex", fences(r"\begin") == fences(r"\end"), || {
        format!("environments of {}", row.latex)
    });
    for k in 1..=arity.unwrap_or(1) {
        report.check("latex", row.latex.contains(&format!("#{k}")), || {
            format!("argument {k} is not shown")
        });
    }
    for k in 0..row.simplify.len() {
        let id = &row.simplify[k];
        report.check("text", !id.name.is_empty() && !id.condition.is_empty(), || {
            "an identity without words".into()
        });
    }
}

#[test]
fn every_row_is_what_it_claims() {
    let mut wrong = String::new();
    let mut total = 0;
    for row in atoms::all() {
        let report = check(row);
        let done: usize = report.counts.values().sum();
        total += done;
        let by_column: Vec<String> = report.counts.iter().map(|(c, n)| format!("{c} {n}")).collect();
        println!("{:?} {}: {done} checks ({})", row.kind, row.name, by_column.join(", "));
        for f in &report.failures {
            let _ = writeln!(wrong, "{:?} {}: {f}", row.kind, row.name);
        }
    }
    println!("{} rows, {total} checks", atoms::all().count());
    assert!(wrong.is_empty(), "{wrong}");
}

#[test]
fn names_are_unique_within_their_kind() {
    let mut seen: Vec<(&str, AtomKind)> = vec![];
    for row in atoms::all() {
        assert!(!seen.contains(&(row.name, row.kind)), "{} twice", row.name);
        seen.push((row.name, row.kind));
        assert!(atoms::find_kind(row.name, row.kind).is_some_and(|a| std::ptr::eq(a.0, row)));
        assert!(atoms::find(row.name).is_some());
    }
    assert!(atoms::find_symbol("-", 1).is_some_and(|a| a.name == "neg"));
    assert!(atoms::find_symbol("-", 2).is_some_and(|a| a.name == "sub"));
    assert!(atoms::find("no such row").is_none());
}

#[test]
fn rows_have_what_others_count_on() {
    let rows = |name: &str| -> Vec<&'static Atom> {
        let v: Vec<&Atom> = atoms::all().filter(|a| a.name == name).collect();
        assert!(!v.is_empty(), "no row `{name}`");
        v
    };
    for name in MUST_HAVE_GRAPH {
        assert!(
            rows(name).iter().any(|r| !matches!(r.graph, Graph::None(_))),
            "graph of {name}"
        );
    }
    for name in MUST_HAVE_GRAPH_IN_BOTH_FORMS {
        let both = rows(name);
        assert_eq!(both.len(), 2, "{name}");
        assert!(
            both.iter().all(|r| !matches!(r.graph, Graph::None(_))),
            "graphs of {name}"
        );
    }
    for name in MUST_HAVE_PROX {
        assert!(
            rows(name).iter().any(|r| !matches!(r.prox, Prox::None(_))),
            "prox of {name}"
        );
    }
    for name in MUST_HAVE_COMPLEX {
        assert!(
            rows(name).iter().any(|r| matches!(r.complex, Complex::Scalar(_))),
            "complex {name}"
        );
    }
    for name in MUST_STAY_SPARSE {
        assert!(
            array::stays_sparse(rows(name)[0]),
            "{name} of sparse arguments is stored densely"
        );
    }
    // Every column that says no says why.
    for row in atoms::all() {
        for why in [
            if let Graph::None(w) = row.graph { w } else { "-" },
            if let Prox::None(w) = row.prox { w } else { "-" },
            if let Complex::None(w) = row.complex { w } else { "-" },
        ] {
            assert!(!why.is_empty(), "{} says no without a reason", row.name);
        }
    }
}

/// A copy of a row with one column changed.
fn planted(row: &'static Atom, change: impl FnOnce(&mut Atom)) -> &'static Atom {
    let mut copy = Atom {
        name: row.name,
        symbol: row.symbol,
        kind: row.kind,
        signature: row.signature,
        shape: row.shape,
        domain: row.domain,
        sign: row.sign,
        monotone: row.monotone,
        curvature: row.curvature,
        smooth: row.smooth,
        degree: row.degree,
        derivative: row.derivative,
        graph: row.graph,
        prox: row.prox,
        eval: row.eval,
        complex: row.complex,
        simplify: row.simplify,
        latex: row.latex,
        doc: row.doc,
        examples: row.examples,
        source: row.source,
    };
    change(&mut copy);
    Box::leak(Box::new(copy))
}

#[test]
fn wrong_rows_are_caught() {
    let cases: [(&str, &'static Atom); 8] = [
        (
            "difference",
            planted(atoms::SIN.0, |a| {
                a.derivative = Derivative::Partials(|ir, x, _| vec![ir.apply(atoms::SIN, &[x[0]])]);
            }),
        ),
        (
            "sign",
            planted(atoms::LOG.0, |a| a.sign = SignRule::Always(Sign::Nonneg)),
        ),
        (
            "curvature",
            planted(atoms::SQRT.0, |a| {
                a.curvature = CurvatureRule::Always(Curvature::Convex)
            }),
        ),
        ("prox", planted(atoms::ABS.0, |a| a.prox = Prox::Scalar(|v, t| v - t))),
        (
            "graph",
            planted(atoms::ABS.0, |a| a.graph = Graph::MaxOf(&[(0, 1.0), (0, 0.0)])),
        ),
        ("graph", planted(atoms::MIN.0, |a| a.graph = Graph::MaxFold)),
        (
            "transpose",
            planted(atoms::MATMUL.0, |a| {
                let Derivative::Rule { jvp, .. } = a.derivative else {
                    return;
                };
                a.derivative = Derivative::Rule {
                    jvp,
                    vjp: |ir, a, _, ct, _| {
                        let t = ir.apply(atoms::TRANSPOSE, &[a[0]]);
                        let by_x = ir.apply(atoms::MATMUL, &[t, ct]);
                        vec![None, Some(by_x)]
                    },
                };
            }),
        ),
        ("degree", planted(atoms::SUMSQ.0, |a| a.degree = DegreeRule::Linear)),
    ];
    for (column, row) in cases {
        let report = check(row);
        assert!(
            report.failed(column),
            "the wrong {column} of {} is not noticed",
            row.name
        );
        println!("{}: {}", row.name, report.failures[0]);
    }
}

/// Every row with one claim made stronger or turned round: each must be noticed, or the column is not looked at.
#[test]
fn every_claim_is_looked_at() {
    let (mut noticed, mut missed) = (0, vec![]);
    for row in atoms::all() {
        for (column, mutant) in mutants(row) {
            let known = NOT_TOLD_APART.contains(&(row.name, column));
            if check(mutant).failures.is_empty() {
                if known {
                    continue;
                }
                missed.push(format!("{:?} {} {column}", row.kind, row.name));
            } else {
                noticed += 1;
            }
        }
    }
    println!("{noticed} wrong claims noticed");
    assert!(missed.is_empty(), "not noticed: {}", missed.join(", "));
}

/// Stronger claims that the draws do not tell from the true one, and why.
const NOT_TOLD_APART: &[(&str, &str)] = &[
    // Its kink is one point of the plane.
    ("hypot", "smooth"),
    // A number of entries is never decided, so nothing moves along it.
    ("sum_largest", "increasing"),
    // Convex along every segment drawn; no proof that it is so jointly with the exponent.
    ("pnorm", "curvature"),
];

fn mutants(row: &'static Atom) -> Vec<(&'static str, &'static Atom)> {
    let mut all = vec![];
    let mut add = |column, change: &dyn Fn(&mut Atom)| all.push((column, planted(row, change)));
    if !matches!(row.sign, SignRule::Always(Sign::Nonneg)) {
        add("sign up", &|a| a.sign = SignRule::Always(Sign::Nonneg));
    }
    add("sign down", &|a| a.sign = SignRule::Always(Sign::Nonpos));
    for c in [Curvature::Affine, Curvature::Convex, Curvature::Concave] {
        // A stronger claim that happens to hold is no mutant: an affine function is convex and concave.
        let holds = match row.curvature {
            CurvatureRule::Always(have) => have == c || have == Curvature::Affine,
            CurvatureRule::Of(_) => false,
        };
        if !holds && row.smooth != Smooth::Discontinuous {
            add("curvature", &|a| a.curvature = CurvatureRule::Always(c));
        }
    }
    for (m, word) in [(Mono::Increasing, "increasing"), (Mono::Decreasing, "decreasing")] {
        let rule: &'static [Mono] = if m == Mono::Increasing {
            &[Mono::Increasing]
        } else {
            &[Mono::Decreasing]
        };
        let holds = matches!(row.monotone, MonoRule::Always(have) if have.iter().all(|h| *h == m));
        if !holds {
            add(word, &|a| a.monotone = MonoRule::Always(rule));
        }
    }
    if row
        .domain
        .iter()
        .any(|d| !matches!(d, DomainOf::Reals | DomainOf::Truth | DomainOf::Integer))
        && row.kind == AtomKind::Scalar
    {
        add("domain", &|a| a.domain = &[DomainOf::Reals]);
    }
    // Neither degree nor smoothness mean anything for a truth value.
    let of_truths = row.domain[0] == DomainOf::Truth;
    if !matches!(row.degree, DegreeRule::Linear) && !of_truths {
        add("degree", &|a| a.degree = DegreeRule::Linear);
    }
    if row.smooth < Smooth::C1 && row.kind == AtomKind::Scalar && !of_truths {
        add("smooth", &|a| a.smooth = Smooth::Analytic);
    }
    if !matches!(row.derivative, Derivative::Zero) && row.kind != AtomKind::Array {
        add("derivative", &|a| a.derivative = Derivative::Zero);
    }
    for g in [Graph::Norm, Graph::Log, Graph::Exp, Graph::MaxFold] {
        if !matches!(row.graph, Graph::None(_))
            && std::mem::discriminant(&row.graph) != std::mem::discriminant(&g)
            && row.kind != AtomKind::Array
        {
            add("graph", &|a| a.graph = g);
        }
    }
    if matches!(row.prox, Prox::Scalar(_)) {
        add("prox", &|a| a.prox = Prox::Scalar(|v, _| v));
    }
    if matches!(row.prox, Prox::Vector(_)) {
        add("prox", &|a| {
            a.prox = Prox::Vector(|v, t| v.iter_mut().for_each(|x| *x /= 1.0 + t))
        });
    }
    if matches!(row.complex, Complex::Scalar(_)) {
        add("complex", &|a| a.complex = Complex::Scalar(|z| (z[0].0, -z[0].1)));
    }
    all
}

#[test]
fn quadratic_forms_are_taken_apart() {
    array::quadratic_forms();
}

#[test]
fn reference_page_is_what_the_rows_say() {
    let page = reference_page();
    let path = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("docs/reference/atoms.md");
    if std::env::var_os("RAVINE_BLESS").is_some() {
        std::fs::create_dir_all(path.parent().expect("a folder")).expect("folder");
        std::fs::write(&path, &page).expect("page");
    }
    let kept = std::fs::read_to_string(&path).unwrap_or_default();
    assert!(
        kept == page,
        "docs/reference/atoms.md is not what the rows say: RAVINE_BLESS=1 cargo test writes it"
    );
}

fn reference_page() -> String {
    let mut page = String::from(
        "# Atoms\n\nThe functions of the language: each is one row of the table in `src/atoms/`, from which this page, \
         name resolution, derivatives, curvature and the tests follow. Written by the test suite; edit the rows.\n",
    );
    for family in atoms::FAMILIES {
        let _ = write!(page, "\n## {}\n", family.title);
        for row in family.rows {
            entry(&mut page, row.0);
        }
    }
    page
}

fn entry(page: &mut String, row: &Atom) {
    let symbol = row.symbol.map(|s| format!(" (`{s}`)")).unwrap_or_default();
    let _ = write!(page, "\n### `{}`{symbol}\n\n{}\n\n", row.name, row.doc);
    for s in row.signature {
        let _ = writeln!(page, "- Takes `{s}`");
    }
    let curvature = match row.curvature {
        CurvatureRule::Always(Curvature::Unknown) => "neither convex nor concave",
        CurvatureRule::Always(c) => c.word(),
        CurvatureRule::Of(_) => "affine, convex or concave where its arguments make it so",
    };
    let smooth = match row.smooth {
        Smooth::Discontinuous => "with jumps",
        Smooth::Kinks => "continuous, with kinks",
        Smooth::C1 => "continuously differentiable",
        Smooth::Analytic => "smooth",
    };
    let _ = writeln!(page, "- Is {curvature}; {smooth}");
    let mut has = vec![];
    match row.derivative {
        Derivative::None(why) => has.push(format!("no derivative ({why})")),
        Derivative::Zero => has.push("derivative zero".into()),
        _ => has.push("derivatives of every order".into()),
    }
    if !matches!(row.graph, Graph::None(_)) {
        has.push("a conic form".into());
    }
    if !matches!(row.prox, Prox::None(_)) {
        has.push("a proximal operator".into());
    }
    let _ = writeln!(page, "- Has {}", has.join(", "));
    let math = row.latex.replace("#1", "x").replace("#2", "y").replace("#3", "z");
    let _ = writeln!(page, "- Written ${math}$");
    if !row.source.is_empty() {
        let _ = writeln!(page, "- Source: {}", row.source);
    }
    if !row.examples.is_empty() {
        let _ = write!(page, "\n```text\n");
        for (program, shown) in row.examples {
            let _ = writeln!(page, "print {program}    # {shown}");
        }
        let _ = writeln!(page, "```");
    }
}

/// What `print program` shows.
fn shown(program: &str) -> String {
    let settings = ravine::session::Settings {
        sets: Default::default(),
        threads: None,
        memory: 1 << 26,
        verbose: false,
        folder: ".".into(),
        now: || 0.0,
    };
    let mut session = ravine::session::Session::new(settings);
    let mut out = String::new();
    let mut diagnostics = vec![];
    session.run("example", &format!("print {program}"), &mut |e| match e {
        ravine::session::Event::Shown(v) => out += &ravine::report::render::plain(&v),
        ravine::session::Event::Diagnostic(d) => diagnostics.push(*d),
        _ => {}
    });
    for d in diagnostics {
        out += &ravine::report::diagnostic::plain(&[d], &session.sources);
    }
    out.trim().to_string()
}

#[test]
fn examples_show_what_they_say() {
    for row in atoms::all() {
        for (program, expected) in row.examples {
            // Printed as `program = value`; rows of a matrix stand under each other.
            let out = shown(program);
            let value = out.rsplit_once(" =").map_or("", |v| v.1);
            // What is known of the error of a linear system follows its value.
            let value = value.split_once("error at most").map_or(value, |v| v.0);
            let one_line = value.split_whitespace().collect::<Vec<_>>().join(" ");
            assert_eq!(one_line, *expected, "`print {program}` shows {out}");
        }
    }
}

#[test]
fn an_array_comprehension_can_be_reduced() {
    assert!(shown("sum([i in 1..3] i)").ends_with(" = 6"));
    assert!(shown("sum(j in 1..2) (j*max([i in 1..3] (i + j)))").ends_with(" = 14"));
}
