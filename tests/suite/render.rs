//! Rendering: diagnostics beside their source, values, solve reports.

use ravine::base::{Code, Diagnostic, SourceId, SourceMap, Span};
use ravine::report::diagnostic;

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
