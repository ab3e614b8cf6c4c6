//! Cells: replacing, stale definitions, failures, orders that make no sense.

use ravine::report;
use ravine::session::{CellEnd, Event, Session};
use ravine::solve::Status;

use super::harness::{last_solve, root, session};

fn fresh() -> Session {
    session(&root().join("examples"))
}

/// Runs a cell: how it ended, what it showed, the codes of its messages.
fn cell(s: &mut Session, name: &str, text: &str) -> (CellEnd, String, Vec<&'static str>) {
    let mut events = vec![];
    let end = s.run_cell(name, text, &mut |e| events.push(e));
    let mut shown = String::new();
    let mut codes = vec![];
    for e in events {
        shown += &match e {
            Event::Shown(v) => report::render::plain(&v),
            Event::Diagnostic(d) => {
                codes.push(d.code.id());
                report::diagnostic::plain(&[*d], &s.sources)
            }
            _ => continue,
        };
    }
    (end, shown, codes)
}

/// Runs a cell that must say nothing but what it prints.
fn quiet(s: &mut Session, name: &str, text: &str) -> String {
    let (end, shown, codes) = cell(s, name, text);
    assert!(
        end == CellEnd::Ok && codes.is_empty(),
        "{name}: {end:?} {codes:?}\n{shown}"
    );
    shown
}

fn objective(s: &Session) -> f64 {
    let e = last_solve(s).expect("solved");
    assert_eq!(e.status, Status::Optimal);
    e.objective.expect("an objective")
}

#[test]
fn running_a_cell_again_replaces_its_declarations() {
    let mut s = fresh();
    quiet(&mut s, "1", "param a: Real = 2\nparam b: Real = 3\n");
    assert!(quiet(&mut s, "2", "print a + b").contains('5'));
    // `b` is declared no more: neither the checker nor the session knows it.
    quiet(&mut s, "1", "param a: Real = 4\n");
    let (end, shown, codes) = cell(&mut s, "2", "print a + b");
    assert_eq!((end, codes), (CellEnd::Failed, vec!["R0201"]), "{shown}");
    assert!(quiet(&mut s, "3", "print a").contains('4'));
}

#[test]
fn a_text_that_does_not_check_changes_nothing() {
    let mut s = fresh();
    quiet(&mut s, "1", "param a: Real = 2\nparam b: Real = 3\n");
    let (end, _, codes) = cell(&mut s, "1", "param a: Real = 7\nprint nothing\n");
    assert_eq!((end, codes), (CellEnd::Failed, vec!["R0201"]));
    assert!(quiet(&mut s, "2", "print a + b").contains('5'));
}

#[test]
fn statements_around_a_failing_one() {
    let mut s = fresh();
    quiet(&mut s, "0", "param kept: Real = 1\nparam late: Real = 1\n");
    let (end, shown, codes) = cell(
        &mut s,
        "1",
        "param early: Real = 2\nparam kept: Real >= 0 = -1\nparam late: Real = 9\nlet never = 3\n",
    );
    assert_eq!((end, codes), (CellEnd::Failed, vec!["R0303"]));
    assert!(
        shown.contains("the 2 statements after this one did not run; the one before it keeps its effect"),
        "{shown}"
    );
    // The one before has its effect; the failing one and those after have none, for the checker as well.
    let got = quiet(&mut s, "2", "print early, kept, late");
    let values: Vec<&str> = got.lines().filter_map(|l| l.split_whitespace().last()).collect();
    assert_eq!(values, ["2", "1", "1"]);
    assert_eq!(cell(&mut s, "3", "print never").2, ["R0201"]);
    // The same within one cell: names keep what they were.
    quiet(&mut s, "4", "param p: Real = 1\nparam q: Real = 1\n");
    let (_, _, codes) = cell(&mut s, "4", "param p: Real >= 0 = -2\nparam q: Real = 2\n");
    assert_eq!(codes, ["R0303"]);
    let got = quiet(&mut s, "5", "print p, q");
    assert_eq!(got.matches('1').count(), 2, "{got}");
}

#[test]
fn an_assertion_that_fails_ends_the_cell() {
    let mut s = fresh();
    let (end, shown, codes) = cell(&mut s, "1", "param a: Real = 2\nassert a == 3\nprint a\n");
    assert_eq!((end, codes), (CellEnd::Failed, vec!["R0804"]));
    assert!(shown.contains("the statement after this one did not run"), "{shown}");
}

#[test]
fn derived_values_follow_a_cell_that_ran_again() {
    let mut s = fresh();
    quiet(&mut s, "1", "param n: Int = 3");
    quiet(
        &mut s,
        "2",
        "set I = 1..n\nparam c: Vector[n] = ones(n)\nlet twice = 2*sum(c)\n",
    );
    assert!(quiet(&mut s, "3", "print twice, length(I)").contains('6'));
    quiet(&mut s, "1", "param n: Int = 5");
    let (end, shown, codes) = cell(&mut s, "3", "print twice, length(I)");
    assert_eq!((end, codes), (CellEnd::Ok, vec!["R0311", "R0311"]), "{shown}");
    assert!(
        shown.lines().any(|l| l.starts_with("twice =") && l.ends_with(" 10")),
        "{shown}"
    );
    // Once is enough.
    quiet(&mut s, "3", "print twice, length(I)");
    // A value alone does not follow a rebinding, its sizes do.
    quiet(
        &mut s,
        "4",
        "param a: Real = 2\nparam b: Real = 10*a\nlet l = 10*a\na = 3\n",
    );
    let got = quiet(&mut s, "5", "print b, l");
    assert!(got.contains("20") && got.contains("30"), "{got}");
    let (_, shown, codes) = cell(&mut s, "6", "n = 2\nprint c");
    assert_eq!(codes, ["R0311"], "{shown}");
    assert!(shown.contains("[1, 1]"), "{shown}");
}

#[test]
fn a_value_that_no_longer_fits_can_be_bound_anew() {
    let mut s = fresh();
    quiet(&mut s, "1", "param n: Int = 3");
    quiet(&mut s, "2", "param c: Vector[n] = [1, 2, 3]");
    quiet(&mut s, "1", "param n: Int = 2");
    let (end, shown, codes) = cell(&mut s, "3", "print c");
    assert_eq!((end, codes), (CellEnd::Failed, vec!["R0302"]), "{shown}");
    assert!(shown.contains("`c` was computed again because `n` changed"), "{shown}");
    assert!(quiet(&mut s, "4", "c = [4, 5]\nprint c").contains("[4, 5]"));
}

#[test]
fn a_type_that_changed_is_checked_where_it_is_used() {
    let mut s = fresh();
    quiet(&mut s, "1", "let a = [1, 2]");
    quiet(&mut s, "2", "let b = a + [3, 4]\nlet other = 1");
    quiet(&mut s, "1", "let a = [1, 2, 3]");
    quiet(&mut s, "3", "print other");
    let (end, shown, codes) = cell(&mut s, "4", "print b");
    assert_eq!(end, CellEnd::Failed);
    assert_eq!(codes, ["R0213"], "{shown}");
    assert!(shown.contains("`b` was checked again because `a` changed"), "{shown}");
    quiet(&mut s, "1", "let a = [5, 6]");
    assert!(quiet(&mut s, "4", "print b").contains("[8, 10]"));
    // A name that is gone is missed at the place that needs it.
    quiet(&mut s, "1", "let z = 1");
    let (_, shown, codes) = cell(&mut s, "4", "print b");
    assert_eq!(codes, ["R0201"], "{shown}");
}

#[test]
fn unchanged_cells_make_nothing_stale() {
    let mut s = fresh();
    let model = "problem p {\n  var x: Vector[3]\n  minimize sumsq(x - c)\n  subject to\n    total: sum(x) >= d\n}\n";
    quiet(&mut s, "1", "param c: Real = 1\nlet d = 2*c\n");
    quiet(&mut s, "2", model);
    quiet(&mut s, "3", "s = solve p");
    let once = s.compilations;
    quiet(&mut s, "1", "param c: Real = 1\nlet d = 2*c\n");
    quiet(&mut s, "2", model);
    quiet(&mut s, "3", "s = solve p");
    assert_eq!(s.compilations, once, "running unchanged cells again compiled something");
    // Another value of a parameter, by another run of its cell, is another value and nothing more.
    quiet(&mut s, "1", "param c: Real = 7\nlet d = 2*c\n");
    quiet(&mut s, "3", "s = solve p");
    assert_eq!(s.compilations, once, "a new value compiled something");
    // Names that the problem does not use do not matter to it.
    quiet(&mut s, "4", "let unrelated = 3\nfn g(x: Real) -> Real = x + 1\n");
    quiet(&mut s, "3", "s = solve p");
    assert_eq!(s.compilations, once);
    quiet(&mut s, "1", "param c: Real = 7\nlet d = 3*c\n");
    let (_, shown, codes) = cell(&mut s, "3", "s = solve p");
    assert_eq!(codes, ["R0311"]);
    assert!(shown.contains("`p` was built again because `d` changed"), "{shown}");
    assert_eq!(s.compilations, once + 1);
}

#[test]
fn another_cell_replaces_with_a_message() {
    let mut s = fresh();
    quiet(&mut s, "cell 1", "param a: Real = 2");
    let (end, shown, codes) = cell(&mut s, "cell 2", "param a: Real = 3");
    assert_eq!((end, codes), (CellEnd::Ok, vec!["R0312"]));
    assert!(shown.contains("`a` replaces the one of cell 1"), "{shown}");
    assert!(quiet(&mut s, "3", "print a").contains('3'));
    // Within one text it is a mistake.
    assert_eq!(cell(&mut s, "4", "param a: Real = 3\nparam a: Real = 4").2, ["R0208"]);
    // Kinds may change as well.
    let (_, _, codes) = cell(&mut s, "5", "fn a(x: Real) -> Real = 2*x\nprint a(4)");
    assert_eq!(codes, ["R0312"]);
    let (_, _, codes) = cell(&mut s, "6", "var a: Real >= 1\nminimize a^2\nsolve");
    assert_eq!(codes, ["R0312"]);
    assert!((objective(&s) - 1.0).abs() < 1e-6);
    // The first cell takes its name back when it runs again.
    let (_, shown, codes) = cell(&mut s, "cell 1", "param a: Real = 2");
    assert_eq!(codes, ["R0312"], "{shown}");
    assert!(quiet(&mut s, "3", "print a").contains('2'));
}

#[test]
fn the_unnamed_problem_is_owned_by_its_cells() {
    let mut s = fresh();
    quiet(&mut s, "1", "var x: Real\nvar y: Real\n");
    quiet(&mut s, "2", "minimize (x - 3)^2 + (y - 1)^2");
    quiet(&mut s, "3", "subject to\n  cap: x + y <= 2\n");
    quiet(&mut s, "4", "solve");
    assert!((objective(&s) - 2.0).abs() < 1e-6);
    // The constraint's cell says something else now.
    quiet(&mut s, "3", "subject to\n  cap: x + y <= 4\n");
    quiet(&mut s, "4", "solve");
    assert!(objective(&s).abs() < 1e-6);
    // An objective in a later cell replaces it, with a message.
    let (_, shown, codes) = cell(&mut s, "5", "minimize (x - 5)^2 + (y - 1)^2\nsolve");
    assert_eq!(codes, ["R0312"]);
    assert!(shown.contains("this objective replaces the one of 2"), "{shown}");
    assert!((objective(&s) - 2.0).abs() < 1e-6);
    // So does a constraint of the same name.
    let (_, shown, codes) = cell(&mut s, "6", "subject to\n  cap: x + y <= 6\n");
    assert_eq!(codes, ["R0312"], "{shown}");
    quiet(&mut s, "4", "solve");
    assert!(objective(&s).abs() < 1e-6);
    // A variable that is gone is missed by what uses it.
    quiet(&mut s, "1", "var x: Real\n");
    let (end, shown, codes) = cell(&mut s, "4", "solve");
    assert_eq!(end, CellEnd::Failed);
    assert!(
        codes.iter().all(|c| *c == "R0201") && !codes.is_empty(),
        "{codes:?}\n{shown}"
    );
    quiet(&mut s, "1", "var x: Real\nvar y: Real\n");
    quiet(&mut s, "4", "solve");
}

#[test]
fn solutions_are_snapshots() {
    let mut s = fresh();
    quiet(
        &mut s,
        "1",
        "param c: Real = 1\nproblem p {\n  var x: Vector[2]\n  minimize sumsq(x - c)\n}\n",
    );
    quiet(&mut s, "2", "s = solve p");
    quiet(&mut s, "3", "param start: Vector[2] = s.x\n");
    quiet(
        &mut s,
        "1",
        "param c: Real = 5\nproblem p {\n  var x: Vector[3]\n  minimize sumsq(x - c)\n}\n",
    );
    let got = quiet(&mut s, "4", "print s.x, start");
    assert_eq!(got.matches("[1, 1]").count(), 2, "{got}");
    // It can be taken up by the solve that replaces it.
    quiet(&mut s, "5", "s = solve p\nprint s.x");
    quiet(&mut s, "5", "s = solve p from s\nprint s.x");
    quiet(&mut s, "5", "s = solve p from s\nprint s.x");
}

#[test]
fn no_order_of_cells_goes_wrong() {
    let mut s = fresh();
    quiet(&mut s, "1", "let a = 1");
    quiet(&mut s, "2", "let b = a + 1");
    quiet(&mut s, "3", "print b");
    // `a` would stand on `b`, which stands on `a`.
    let (end, shown, codes) = cell(&mut s, "1", "let a = b");
    assert_eq!((end, codes), (CellEnd::Failed, vec!["R0217"]), "{shown}");
    assert!(quiet(&mut s, "3", "print b").contains('2'));
    // A parameter takes a value, which is no circle.
    quiet(&mut s, "4", "param v: Real = 1\nlet w = v + 1\n");
    quiet(&mut s, "5", "v = w");
    assert!(quiet(&mut s, "6", "print w").contains('3'));
    // Long chains end in a message.
    for k in 0..600 {
        let text = if k == 0 {
            "let c0 = 1".into()
        } else {
            format!("let c{k} = c{} + 1", k - 1)
        };
        let (end, shown, _) = cell(&mut s, &format!("chain {k}"), &text);
        if end != CellEnd::Ok {
            assert!(shown.contains("R0102"), "{shown}");
            break;
        }
    }
    // Every order of a handful of cells, each run when its time comes: no crash, and in the right order no message.
    let texts = [
        "param n: Int = 2\nset I = 1..n",
        "param d: Vector[n] = ones(n)\nlet e = sum(i in I) d[i]",
        "problem q {\n  var x: Vector[n]\n  minimize sumsq(x - d) + e\n}",
        "r = solve q",
        "print r.objective, e",
    ];
    let mut orders = vec![vec![]];
    for k in 0..texts.len() {
        let mut longer = vec![];
        for o in &orders {
            for at in 0..=k {
                let mut o: Vec<usize> = o.clone();
                o.insert(at, k);
                longer.push(o);
            }
        }
        orders = longer;
    }
    assert_eq!(orders.len(), 120);
    for order in orders {
        let mut s = fresh();
        for &k in &order {
            cell(&mut s, &k.to_string(), texts[k]);
        }
        for (k, t) in texts.iter().enumerate() {
            let (end, shown, _) = cell(&mut s, &k.to_string(), t);
            assert_eq!(end, CellEnd::Ok, "{order:?}: {t}\n{shown}");
        }
        assert_eq!(
            objective(&{
                cell(&mut s, "3", texts[3]);
                s
            }),
            2.0
        );
    }
}

#[test]
fn sizes_go_with_the_parameter_that_binds_them() {
    let mut s = fresh();
    quiet(&mut s, "1", "param A: Matrix[m, n] = [1, 2; 3, 4; 5, 6]");
    assert!(quiet(&mut s, "2", "print m, n").contains('3'));
    quiet(&mut s, "1", "param A: Matrix[m, n] = [1, 1, 1, 1; 2, 2, 2, 2]");
    let got = quiet(&mut s, "2", "print m, n");
    assert!(got.contains('2') && got.contains('4'), "{got}");
    quiet(&mut s, "1", "param A: Matrix[k, n] = [1, 2; 3, 4]");
    assert_eq!(cell(&mut s, "2", "print m").2, ["R0201"]);
}

#[test]
fn completeness_by_the_rules_about_lines() {
    use ravine::session::{Completeness, completeness};
    let indent = |t: &str| match completeness(t) {
        Completeness::Incomplete { indent } => indent,
        other => panic!("{other:?}: {t}"),
    };
    for t in [
        "",
        "  ",
        "# only a remark",
        "x = 3",
        "print x # and +",
        "minimize x\nsubject to\n  a: x >= 1\n",
        "subject to\n  a: x >= 1\n  b: x <= 2\n\n",
        "problem p {\n  var x: Real\n  minimize x^2\n}",
        "problem p { var x: Real; minimize x^2 }",
        "print sum(i in 1..3) i",
        "solve",
        "solve p with lbfgs()",
        "let A = [1, 2;\n 3, 4]",
        "print x'",
        "diagnose p",
    ] {
        assert_eq!(completeness(t), Completeness::Complete, "{t}");
    }
    // (a) inside brackets and blocks.
    assert_eq!(indent("let A = [1, 2;"), 2);
    assert_eq!(indent("print sum(i in 1..3"), 2);
    assert_eq!(indent("problem p {"), 2);
    assert_eq!(indent("problem p {\n  var x: Real\n"), 2);
    assert_eq!(indent("problem p {\n  minimize x\n  subject to"), 4);
    assert_eq!(indent("problem p {\n  minimize x\n  subject to\n    a: x >= 1\n"), 4);
    assert_eq!(indent("param c: Real[I] = {\"a\": 1,\n"), 2);
    // Constraints go on until an empty line.
    assert_eq!(indent("subject to"), 2);
    assert_eq!(indent("minimize x\nsubject to\n  a: x >= 1"), 2);
    // (b) after an operator, `,` `=` `:` or a clause word.
    for t in [
        "let y = 1 +",
        "let y =",
        "print a,",
        "param a:",
        "solve p from",
        "solve p with",
        "minimize",
        "let y = 1 + # why",
        "print sum(i in 1..3)",
        "let y = not",
        "assert a ==",
    ] {
        assert_eq!(indent(t), 2, "{t}");
    }
    for t in [
        "print )",
        "let = 3",
        "x <- 3",
        "print \"abc",
        "let y = 1 2",
        "problem p { var }",
    ] {
        assert_eq!(completeness(t), Completeness::Invalid, "{t}");
    }
}

fn names(s: &Session, text: &str) -> Vec<String> {
    // `|` marks the cursor.
    let cursor = text.find('|').expect("a cursor");
    let text = text.replace('|', "");
    let c = s.complete(&text, cursor);
    assert!(c.start <= cursor && cursor <= c.end, "{c:?}");
    c.items.into_iter().map(|i| i.name).collect()
}

#[test]
fn completion_knows_what_may_stand_where() {
    let mut s = fresh();
    quiet(
        &mut s,
        "1",
        "## Price of carbon.\nparam lambda: Real = 1\nparam capacity: Vector[3] = ones(3)\nset plants = {\"a\", \"b\"}\n\
         problem ridge {\n  var w: Vector[3] >= 0\n  minimize sumsq(w - lambda)\n  subject to\n    budget: sum(w) == 1\n    cap: w <= capacity\n}\nsol = solve ridge\n",
    );
    let has = |text: &str, wanted: &[&str]| {
        let got = names(&s, text);
        for w in wanted {
            assert!(got.iter().any(|g| g == w), "{text}: {w} is not among {got:?}");
        }
    };
    let only = |text: &str, wanted: &[&str]| assert_eq!(names(&s, text), wanted, "{text}");
    has("|", &["param", "solve", "subject to", "lambda"]);
    only("prob|", &["problem"]);
    has("print la|", &["lambda", "lambda_max"]);
    has("print 2*(cap|", &["capacity"]);
    has("let z = sig|", &["sigmoid", "sign"]);
    only("print sol.dual(|)", &["budget", "cap"]);
    only("print sol.slack(c|", &["cap"]);
    only("print sol.reduced(|", &["w"]);
    has("print sol.|", &["w", "objective", "dual(", "status"]);
    only("print sol.obj|", &["objective"]);
    only("solve ri|", &["ridge"]);
    has("solve |", &["ridge", "with", "from"]);
    has("t = solve ridge |", &["with", "within", "to", "from"]);
    has("solve ridge with |", &["lbfgs()", "newton_tr()"]);
    only("solve ridge with lbfgs(m|", &["memory: "]);
    only("solve ridge with newton_tr(inner: e|", &["exact"]);
    has("solve ridge from |", &["w = ", "sol"]);
    has("solve ridge within 10 |", &["seconds", "minutes"]);
    only("inspect r|", &["ridge"]);
    only("diagnose r|", &["ridge"]);
    only("inspect ridge |", &["why"]);
    has("param q: |", &["Real", "Vector"]);
    only("param |", &[]);
    // In a block: what stands in it, what it declares, names of the session.
    has("problem p {\n  var speed: Real\n  minimize sp|\n}", &["speed"]);
    has("problem p {\n  |\n}", &["var", "minimize"]);
    assert!(!names(&s, "problem p {\n  |\n}").contains(&"solve".to_string()));
    // Names of this very text that has not run.
    has("param fresh_name: Real = 1\nprint fre|", &["fresh_name"]);
    // Paths of data files, and nothing in other texts and comments.
    has("param A: Matrix[m, n] = read(\"da|\")", &["data/"]);
    assert!(names(&s, "param A: Matrix[m, n] = read(\"data/|").len() > 2);
    only("print \"la|\"", &[]);
    only("# la|", &[]);
    only("print 12|", &[]);
    // With types and the comment above the declaration.
    let c = s.complete("print lamb", 10);
    let item = c.items.iter().find(|i| i.name == "lambda").expect("lambda");
    assert_eq!(
        (item.kind, item.ty.as_str(), item.doc.as_str()),
        ("param", "Real", "Price of carbon.")
    );
    // Any place of any text, whole or cut.
    let text = "problem p {\n  var α: Real >= 0 # é\n  minimize (α - 1)^2\n}\ns = solve p with lbfgs(memory: 3)\nprint s.α, \"ü\"";
    for k in 0..text.len() + 3 {
        s.complete(text, k);
        s.help_at(text, k, ravine::session::Detail::Full);
        let cut = text
            .char_indices()
            .map(|c| c.0)
            .take_while(|c| *c <= k)
            .last()
            .unwrap_or(0);
        s.complete(&text[..cut], k);
    }
}

#[test]
fn help_has_two_levels() {
    use ravine::session::Detail::{Brief, Full};
    let mut s = fresh();
    quiet(
        &mut s,
        "cell 1",
        "## Price of carbon. Set by law.\nparam lambda: Real = 2.5\nproblem ridge {\n  var w: Vector[3] >= 0\n  minimize sumsq(w - lambda)\n  subject to\n    budget: sum(w) == 1\n}\nsol = solve ridge\n",
    );
    let help = |text: &str, detail| {
        let cursor = text.find('|').expect("a cursor");
        let view = s.help_at(&text.replace('|', ""), cursor, detail);
        view.map(|v| report::render::plain(&v)).unwrap_or_default()
    };
    let brief = help("print lam|bda", Brief);
    assert!(
        brief.contains("lambda: Real") && brief.contains("Price of carbon."),
        "{brief}"
    );
    assert!(!brief.contains("Set by law"), "{brief}");
    let full = help("print lambda|", Full);
    for part in ["Set by law.", "2.5", "declared in cell 1, line 2"] {
        assert!(full.contains(part), "{part}: {full}");
    }
    let full = help("print logsumexp(|", Full);
    for part in [
        "logsumexp(x: ",
        "convex",
        r"\log\sum e",
        "print logsumexp([0, 0])    # 0.69315",
    ] {
        assert!(full.contains(part), "{part}: {full}");
    }
    assert!(help("print logsumexp|", Brief).lines().count() <= 2);
    for (text, part) in [
        ("inspect rid|ge", "budget"),
        ("print sol|.w", "optimal"),
        ("print sol.dual|(budget)", "Derivative of the optimal value"),
        ("print sol.w|", "Vector[3]"),
        ("solve ridge with lbfgs|()", "memory  a whole number"),
        ("solve ridge within| 3 seconds", "The time allowed"),
        ("# R0203|", "R0203"),
    ] {
        let got = help(text, Full);
        assert!(got.contains(part), "{text}: {got}");
    }
    assert_eq!(help("print nothing_of_the_kind|", Full), "");
}
