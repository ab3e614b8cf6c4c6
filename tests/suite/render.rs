//! Rendering: diagnostics beside their source, values, solve reports.

use std::sync::Arc;

use ravine::base::value::{IndexSet, LabelSet, Tensor, Value};
use ravine::base::view::{Cell, Role, View};
use ravine::base::{Code, Diagnostic, SourceId, SourceMap, Span};
use ravine::report::solve::Detail;
use ravine::report::{self, Report, Residual, ResultEntry, SolveEntry, WarmStart, diagnostic, render, solve};
use ravine::solve::Status;

use crate::io::Dice;

fn sources(texts: &[(&str, &str)]) -> SourceMap {
    let mut map = SourceMap::default();
    for (name, text) in texts {
        map.add(*name, *text);
    }
    map
}

fn span(source: u32, start: usize, end: usize) -> Span {
    Span::new(SourceId(source), start, end)
}

#[test]
fn a_message_beside_its_source() {
    let text = "param A: Matrix[m, n]\n\nvar w: Vector[m]\nminimize sumsq(A*w - b)\n";
    let map = sources(&[("ridge.opt", text)]);
    let at = text.find("A*w").expect("there");
    let var = text.find("w: Vector").expect("there");
    let d = Diagnostic::new(Code::ShapeMismatch, "the dimensions of `*` differ")
        .at(span(0, at, at + 3), "`A` has `n` columns, `w` has `m` elements")
        .at(span(0, var, var + 1), "`w` is declared here")
        .note("a product sums over the last dimension of its left side")
        .help_edit("transpose it: `A'*w`", span(0, at, at + 1), "A'");
    let expected = "\
error[R0203]: the dimensions of `*` differ
   ╭─ ridge.opt:4:16
 3 │ var w: Vector[m]
   │     - `w` is declared here
 4 │ minimize sumsq(A*w - b)
   │                ^^^ `A` has `n` columns, `w` has `m` elements
   = note: a product sums over the last dimension of its left side
   = help: transpose it: `A'*w`
 4 + minimize sumsq(A'*w - b)

1 error: `ravine explain R0203` tells more
";
    assert_eq!(diagnostic::plain(&[d], &map), expected);
}

#[test]
fn several_labels_on_a_line_wide_characters_and_tabs() {
    let text = "\tlet é = 日本*x + y\n";
    let map = sources(&[("a.opt", text)]);
    let place = |what: &str| text.find(what).expect("there");
    let d = Diagnostic::new(Code::VectorTimesVector, "vector times vector is ambiguous")
        .at(span(0, place("*"), place("*") + 1), "say which product")
        .at(span(0, place("日"), place("*")), "a vector")
        .at(span(0, place("x"), place("x") + 1), "also a vector");
    let expected = "\
error[R0205]: vector times vector is ambiguous
   ╭─ a.opt:1:12
 1 │     let é = 日本*x + y
   │             ----^- also a vector
   │             |   |
   │             |   say which product
   │             |
   │             a vector

1 error: `ravine explain R0205` tells more
";
    assert_eq!(diagnostic::plain(&[d], &map), expected);
}

#[test]
fn spans_through_lines_and_long_lines() {
    let text = format!(
        "problem p {{\n  var x: Real\n}}\nlet y = {}z{}\n",
        "1 + ".repeat(100),
        " + 1".repeat(100)
    );
    let map = sources(&[("p.opt", text.as_str())]);
    let z = text.find('z').expect("there");
    let d = [
        Diagnostic::new(Code::UnknownName, "`z` is not known here").at(span(0, z, z + 1), "not known"),
        Diagnostic::new(Code::NoObjective, "`p` has no objective")
            .at(span(0, 0, text.find('}').expect("there") + 1), ""),
    ];
    let shown = diagnostic::plain(&d, &map);
    let expected = "\
error[R0403]: `p` has no objective
   ╭─ p.opt:1:1
 1 │ problem p {
   │ ^^^^^^^^^^^ through line 3

error[R0201]: `z` is not known here
   ╭─ p.opt:4:409
 4 │ …1 + 1 + 1 + 1 + 1 + 1 + 1 + 1 + 1 + 1 + z + 1 + 1 + 1 + 1 + 1 + 1 + 1 + 1 + 1 + 1 + 1 + 1 + 1 + 1 + 1 + 1 + 1…
   │                                          ^ not known

2 errors: `ravine explain R0403` tells more, likewise for the other codes
";
    assert_eq!(shown, expected);
}

#[test]
fn json_of_a_diagnostic() {
    let map = sources(&[("a.opt", "let é = q\n")]);
    let d = Diagnostic::new(Code::UnknownName, "`q` is not known here")
        .at(span(0, 9, 10), "not known")
        .help("declare it");
    let shown = serde_json::to_string(&diagnostic::json(&[d], &map)).expect("JSON");
    let expected = concat!(
        r#"[{"code":"R0201","level":"error","message":"`q` is not known here","#,
        r#""spans":[{"file":"a.opt","line":1,"column":9,"end_line":1,"end_column":10,"label":"not known"}],"#,
        r#""help":"declare it","notes":[],"edits":[]}]"#
    );
    assert_eq!(shown, expected);
}

#[test]
fn any_span_of_any_text_is_shown() {
    let texts = [
        "",
        "\n",
        "a",
        "é\u{301}日本\t\u{202e}x\r\ny\r\rz\u{2028}w\u{1b}[31m",
        "no end of line",
        "ends with lines\n\n\n",
        "🙂🙂🙂🙂\n\t\t\t\n\u{feff}x",
    ];
    let mut dice = Dice(77);
    for text in texts {
        let map = sources(&[("t.opt", text), ("u.opt", "other")]);
        for _ in 0..400 {
            let mut d = Diagnostic::new(Code::Syntax, "something\n\u{7}bad");
            for _ in 0..dice.below(5) {
                let source = dice.below(3) as u32;
                let start = match dice.below(10) {
                    0 => u32::MAX as usize,
                    _ => dice.below(text.len() + 3),
                };
                let at = Span {
                    source: SourceId(source),
                    start: start as u32,
                    // Sometimes a range that runs backwards.
                    end: (start + dice.below(9)).saturating_sub(2).min(u32::MAX as usize) as u32,
                };
                d = d.at(at, if dice.below(2) == 0 { "here" } else { "" });
                d = d.help_edit("try", at, "x\ty");
            }
            let plain = diagnostic::plain(std::slice::from_ref(&d), &map);
            assert!(plain.starts_with("error[R0101]: something\n"));
            assert!(!plain.contains(['\u{1b}', '\u{202e}', '\u{7}']), "{plain:?}");
            let columns: Vec<usize> = plain.lines().map(|l| l.chars().count()).collect();
            assert!(columns.iter().all(|&c| c < 200));
            let coloured = diagnostic::terminal(std::slice::from_ref(&d), &map);
            assert_eq!(strip(&coloured), plain);
            assert_eq!(diagnostic::json(&[d], &map).len(), 1);
        }
    }
}

/// The text without the colours.
fn strip(text: &str) -> String {
    let mut out = String::new();
    let mut rest = text;
    while let Some((before, after)) = rest.split_once("\x1b[") {
        out.push_str(before);
        rest = after.split_once('m').expect("a colour ends with m").1;
    }
    out + rest
}

fn array(labels: &[Option<&[&str]>], shape: &[usize], entries: &[f64]) -> View {
    let own = |l: &&[&str]| l.iter().map(|s| s.to_string()).collect();
    View::Array {
        labels: labels.iter().map(|l| l.as_ref().map(own)).collect(),
        shape: shape.to_vec(),
        entries: entries.to_vec(),
    }
}

#[test]
fn views_as_plain_text() {
    let long: Vec<f64> = (1..=30).map(|k| k as f64 / 10.0).collect();
    let cases: &[(View, &str)] = &[
        (View::Number(1.0 / 3.0), "0.33333\n"),
        (array(&[None], &[3], &[1.0, -1e-17, 2.5]), "[1, 0, 2.5]\n"),
        (
            array(&[None], &[30], &long),
            "[0.1, 0.2, 0.3, 0.4, 0.5, 0.6, …, 3]  (30 entries)\n",
        ),
        (array(&[None], &[0], &[]), "[]  (0)\n"),
        (
            array(&[None, None], &[2, 3], &[1.0, 2.5, 0.0, 0.0, -1.0, 13.0]),
            "[1, 2.5,  0;\n 0,  -1, 13]\n",
        ),
        (
            array(&[Some(&["seattle", "san-diego"])], &[2], &[50.0, 275.125]),
            "seattle        50\nsan-diego  275.12\n",
        ),
        (
            array(
                &[Some(&["seattle", "san-diego"]), Some(&["new-york", "北京"])],
                &[2, 2],
                &[50.0, 300.0, 0.0, 1e-12],
            ),
            "           new-york  北京\nseattle          50   300\nsan-diego         0     0\n",
        ),
        (
            array(&[None, Some(&["a"]), None], &[1, 1, 2], &[1.0, 2.0]),
            "1, a, 1  1\n1, a, 2  2\n",
        ),
        (
            View::Facts(vec![
                ("a".into(), View::Number(1.0)),
                ("long".into(), View::Verbatim("x\ny\n".into())),
            ]),
            "a     1\nlong  x\n      y\n",
        ),
        (
            View::Table {
                head: vec!["name".into(), "n".into(), "note".into()],
                rows: vec![
                    vec![Cell::Text("x".into()), Cell::Number(10.0), Cell::Text("ok".into())],
                    vec![
                        Cell::Text("yy".into()),
                        Cell::Number(2.5),
                        Cell::Text("a longer one".into()),
                    ],
                ],
            },
            "name    n  note\nx      10  ok\nyy    2.5  a longer one\n",
        ),
    ];
    for (view, text) in cases {
        assert_eq!(render::plain(view), *text);
        assert_eq!(strip(&render::terminal(view)), *text);
    }
    let big = array(&[None, None], &[40, 40], &vec![1.0; 1600]);
    let shown = render::plain(&big);
    assert_eq!(shown.lines().count(), 9);
    assert!(shown.ends_with("(40 x 40)\n"), "{shown}");
    let odd = View::styled("a\u{1b}[2Jb\u{202e}", Role::Name);
    assert_eq!(render::plain(&odd), "a\u{fffd}[2Jb\u{fffd}\n");
}

#[test]
fn views_as_html_and_json() {
    let view = View::Stack(vec![
        View::styled("a<b & \"c\"", Role::Good),
        array(&[Some(&["<x>"])], &[1], &[f64::INFINITY]),
        array(&[None], &[2], &[1.5, f64::NAN]),
    ]);
    let html = render::html(&view);
    assert_eq!(
        html,
        "<div class=\"ravine\"><div><span class=\"good\">a&lt;b &amp; &quot;c&quot;</span></div>\
         <table><tbody><tr><th class=\"name\">&lt;x&gt;</th><td class=\"n\">inf</td></tr></tbody></table>\
         <pre>[1.5, nan]\n</pre></div>"
    );
    let json = render::json(&view).to_string();
    assert_eq!(
        json,
        concat!(
            r#"{"kind":"stack","items":[{"kind":"text","text":"a<b & \"c\""},"#,
            r#"{"kind":"array","shape":[1],"value":{"<x>":"inf"}},{"kind":"array","shape":[2],"value":[1.5,"nan"]}]}"#
        )
    );
}

fn solved() -> SolveEntry {
    let plants = Arc::new(LabelSet {
        name: "plants".into(),
        labels: vec!["seattle".into(), "san-diego".into()],
    });
    let tensor = Tensor::dense(
        vec![IndexSet::Labels(plants), IndexSet::upto(2)],
        vec![1.0, 2.0, 3.0, 4.5],
    )
    .expect("fits");
    SolveEntry {
        problem: "ridge".into(),
        class: "convex QP".into(),
        class_why: "a sum of squares of affine terms is convex".into(),
        method: "clarabel".into(),
        method_why: "a QP with sparse data".into(),
        status: Status::Optimal,
        objective: Some(0.532451234),
        variables: vec![("w".into(), Value::tensor(tensor))],
        duals: vec![("budget".into(), Value::real(-0.25))],
        residuals: vec![
            Residual {
                name: "violation".into(),
                value: 2.2e-16,
            },
            Residual {
                name: "gap".into(),
                value: 1.13e-12,
            },
        ],
        error: Some(2.34e-9),
        condition: Some(1.5123e6),
        iterations: Some(11),
        warm_start: WarmStart {
            used: false,
            why: "no earlier answer".into(),
        },
        time_compile: 0.0012,
        time_solve: 0.0345,
        ..SolveEntry::default()
    }
}

#[test]
fn the_summary_of_a_solve() {
    let full = "\
ridge: optimal
  objective  0.53245
  class      convex QP: a sum of squares of affine terms is convex
  method     clarabel, 11 steps: a QP with sparse data
  checked    violation 2.2e-16, gap 1.1e-12  (tolerance 1e-8)
  error      at most 2.3e-9 of the variables  (condition 1.5e6)
  start      afresh: no earlier answer
  time       1.2 ms compiling, 34 ms solving
";
    assert_eq!(render::plain(&solve::summary(&solved(), Detail::Full)), full);
    let golden = "\
ridge: optimal
  objective  0.53245
  class      convex QP: a sum of squares of affine terms is convex
  method     clarabel: a QP with sparse data
  checked    violation and gap within 1e-8
  error      at most 1e-8 of the variables  (condition 1.5e6)
";
    assert_eq!(render::plain(&solve::summary(&solved(), Detail::Golden)), golden);
    let mut stuck = solved();
    stuck.status = Status::PrecisionLimited;
    stuck.reason = "rounding allows no more".into();
    stuck.residuals[1].value = f64::NAN;
    let shown = render::plain(&solve::summary(&stuck, Detail::Golden));
    assert!(
        shown.starts_with("ridge: precision limited  rounding allows no more\n"),
        "{shown}"
    );
    assert!(
        shown.contains("checked    violation within 1e-8; gap above 1e-8\n"),
        "{shown}"
    );
    assert!(shown.contains("next       rescale"), "{shown}");
}

#[test]
fn the_json_report() {
    let mut entry = solved();
    entry.objective = Some(f64::NEG_INFINITY);
    let report = Report {
        results: vec![
            ResultEntry::Solve(Box::new(entry)),
            ResultEntry::Value {
                expression: "n + 1".into(),
                value: Value::real(3.0),
                trust: Some((1e-9, f64::INFINITY)),
            },
        ],
        ..Report::default()
    };
    let json = report::json::report(&report, &SourceMap::default());
    assert_eq!(json["schema"], "ravine.report/1");
    let keys: Vec<&String> = json.as_object().expect("an object").keys().collect();
    assert_eq!(keys, ["schema", "results", "diagnostics", "provenance"]);
    let solve = &json["results"][0];
    for key in [
        "kind",
        "problem",
        "class",
        "method",
        "status",
        "objective",
        "variables",
        "duals",
        "residuals",
        "error",
        "estimated",
        "condition",
        "iterations",
        "warm_start",
        "time",
    ] {
        assert!(!solve[key].is_null(), "{key}");
    }
    assert_eq!(solve["objective"], "-inf");
    assert_eq!(solve["variables"]["w"]["san-diego"][1], 4.5);
    assert_eq!(solve["duals"]["budget"], -0.25);
    assert_eq!(solve["warm_start"]["used"], false);
    assert_eq!(solve["time"]["compile"], 0.0012);
    assert_eq!(json["results"][1]["value"], 3.0);
    assert_eq!(json["results"][1]["error"], 1e-9);
    assert_eq!(json["results"][1]["condition"], "inf");
}

#[test]
fn exit_codes() {
    let with = |status, codes: &[Code]| Report {
        results: vec![ResultEntry::Solve(Box::new(SolveEntry { status, ..solved() }))],
        diagnostics: codes.iter().map(|&c| Diagnostic::new(c, "")).collect(),
        ..Report::default()
    };
    assert_eq!(with(Status::Infeasible, &[Code::UnusedVariable]).exit_code(), 0);
    assert_eq!(with(Status::Stationary, &[]).exit_code(), 1);
    assert_eq!(with(Status::Optimal, &[Code::AssertFailed]).exit_code(), 1);
    assert_eq!(with(Status::Optimal, &[Code::Syntax]).exit_code(), 2);
    assert_eq!(with(Status::Optimal, &[Code::BadTable, Code::Syntax]).exit_code(), 3);
    assert_eq!(with(Status::Interrupted, &[]).exit_code(), 130);
    assert_eq!(with(Status::Optimal, &[Code::Internal, Code::Syntax]).exit_code(), 70);
    let data = Report {
        data_failed: true,
        ..with(Status::Optimal, &[Code::MissingLabel])
    };
    assert_eq!(data.exit_code(), 3);
}
