//! Problems as mathematics, and the ranges of their coefficients.

use ravine::base::SourceId;
use ravine::lang::latex;
use ravine::lang::parse::parse;
use ravine::lang::syntax::StmtKind;
use ravine::report::{ResultEntry, render};

use super::harness::{files, root, run, session};

fn expr(text: &str) -> String {
    let source = format!("let y = {text}");
    let (p, found) = parse(SourceId(0), &source);
    assert!(found.is_empty(), "{text}: {found:?}");
    match &p.statements[0].kind {
        StmtKind::Let(l) => latex::expr(&l.value),
        _ => String::new(),
    }
}

#[test]
fn expressions() {
    for (text, want) in [
        ("a + b*c", r"a + b \, c"),
        ("(a + b)*c", r"\left(a + b\right) \, c"),
        ("a - (b - c)", r"a - \left(b - c\right)"),
        ("a - (-b*c)", r"a - \left(-b \, c\right)"),
        ("-x^2", r"-x^{2}"),
        ("(-x)^2", r"\left(-x\right)^{2}"),
        ("2*3", r"2 \cdot 3"),
        ("lambda/2*sumsq(w)", r"\frac{\lambda}{2} \, \left\| w \right\|_2^2"),
        ("1/(1 + x)", r"\frac{1}{1 + x}"),
        ("A*x - b", r"A \, x - b"),
        ("x'*A*y", r"x^\top \, A \, y"),
        ("sum(i in I) (a[i] + 1)", r"\sum_{i \in I} \left(a_{i} + 1\right)"),
        (
            "sum(i in I, j in 1..n if i != j) a[i, j]*x[j]",
            r"\sum_{i \in I,\, j \in \{1, \dots, n\},\, i \ne j} a_{i, j} \, x_{j}",
        ),
        ("x_1[2]", r"{x_{1}}_{2}"),
        ("x3 + total_cost", r"x_{3} + \mathrm{total}_{cost}"),
        ("log(a + b)", r"\log \left(a + b\right)"),
        ("exp(-x)", r"e^{-x}"),
        ("abs(x - y)", r"\left| x - y \right|"),
        ("max(a, b)", r"\max\left(a, b\right)"),
        ("max(v)", r"\max v"),
        ("dot(a + b, x)", r"\left(a + b\right)^\top x"),
        ("f(x, 2)", r"f\left(x, 2\right)"),
        ("huge(x)", r"\operatorname{huge}\left(x\right)"),
        (
            "(if x > 0 then x else 0)",
            r"\begin{cases} x & \text{if } x > 0 \\ 0 & \text{else} \end{cases}",
        ),
        ("[1, 2; 3, 4]", r"\begin{bmatrix} 1 & 2 \\ 3 & 4 \end{bmatrix}"),
        ("0.0000015", r"1.5 \cdot 10^{-6}"),
        ("inf", r"\infty"),
        ("α*ü", r"\alpha \, \mathrm{ü}"),
    ] {
        assert_eq!(expr(text), want, "{text}");
    }
}

/// The view that the first `inspect` shows.
fn inspected(program: &str) -> (String, String) {
    let mut s = session(&root().join("examples"));
    let ran = run(&mut s, "test.opt", program);
    assert!(ran.codes.is_empty(), "{}", ran.shown);
    let view = s.report.results.iter().find_map(|r| match r {
        ResultEntry::View { view, .. } => Some(view.clone()),
        _ => None,
    });
    let view = view.expect("a view");
    (render::latex(&view).expect("a formula"), render::plain(&view))
}

#[test]
fn a_problem_and_its_ranges() {
    let (formula, shown) = inspected(
        "set plants = {\"a\", \"b\"}\nparam cap: Real[plants] = {\"a\": 4000, \"b\": 0.5}\nproblem p {\n  var ship: Real[plants] >= 0\n  let all = sum(ship)\n  minimize 3*ship[\"a\"] + 0.02*ship[\"b\"]\n  subject to\n    supply[p in plants]: ship[p] <= cap[p]\n    demand: 50*all >= 7\n}\ninspect p\n",
    );
    let lines = [
        r"\begin{aligned}",
        r"\text{minimize}\quad & 3 \, \mathrm{ship}_{\text{a}} + 0.02 \, \mathrm{ship}_{\text{b}} \\",
        r"\text{subject to}\quad & \mathrm{ship}_{p} \le \mathrm{cap}_{p} && \forall\, p \in \mathrm{plants} \\",
        r" & 50 \, \mathrm{all} \ge 7 \\",
        r"\text{over}\quad & \mathrm{ship} \in \mathbb{R}^{\mathrm{plants}},\; \mathrm{ship} \ge 0 \\",
        r"\text{where}\quad & \mathrm{all} = \sum \mathrm{ship}",
        r"\end{aligned}",
    ];
    assert_eq!(formula.lines().collect::<Vec<_>>(), lines);
    let row = |part: &str| -> Vec<f64> {
        let line = shown.lines().find(|l| l.starts_with(part)).unwrap_or_default();
        line[part.len()..]
            .split_whitespace()
            .filter_map(|w| w.parse().ok())
            .collect()
    };
    assert_eq!(row("objective  ").len(), 0, "the fact is words");
    let objective = shown.lines().rfind(|l| l.starts_with("objective")).unwrap_or_default();
    assert!(objective.contains("0.02") && objective.ends_with('3'), "{shown}");
    assert_eq!(row("matrix"), [1.0, 50.0], "{shown}");
    assert_eq!(row("right-hand sides"), [0.5, 4000.0], "{shown}");
}

/// Braces and environments of every example's formula are balanced.
#[test]
fn formulas_of_the_examples_are_balanced() {
    let mut seen = 0;
    for p in files(&root().join("examples"), "opt") {
        let text = std::fs::read_to_string(&p).expect("text");
        let (program, _) = parse(SourceId(0), &text);
        for s in &program.statements {
            let StmtKind::Problem(d) = &s.kind else { continue };
            let formula = latex::problem(&d.body);
            seen += 1;
            let mut depth = 0i64;
            let mut last = ' ';
            for c in formula.chars() {
                match c {
                    '{' if last != '\\' => depth += 1,
                    '}' if last != '\\' => depth -= 1,
                    _ => {}
                }
                assert!(depth >= 0, "{formula}");
                last = c;
            }
            assert_eq!(depth, 0, "{formula}");
            for (open, close) in [(r"\begin", r"\end"), (r"\left", r"\right")] {
                let count = |w: &str| formula.matches(w).count();
                assert_eq!(
                    count(open) - count(r"\leftarrow"),
                    count(close) - count(r"\rightarrow"),
                    "{formula}"
                );
            }
            assert!(!formula.contains('#'), "{formula}");
        }
    }
    assert!(seen >= 5, "{seen}");
}
