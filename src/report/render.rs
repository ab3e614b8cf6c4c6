//! The four renderers of the view tree: plain text, terminal, HTML, JSON.
//!
//! Invariant: plain and terminal differ in colours only; HTML escapes every text; JSON keeps full precision.

use serde_json::{Value as Json, json as object};

use super::layout::{Line, lines};
use super::number::{at_scale, duration, number, scale};
use super::style::{Paint, printable};
use super::values::number_json;
use crate::base::figure::{Axis, Figure, Mark};
use crate::base::view::{Cell, Role, View};

/// The first formula of a view, in LaTeX.
pub fn latex(view: &View) -> Option<String> {
    match view {
        View::Formula(t) => Some(t.clone()),
        View::Stack(parts) => parts.iter().find_map(latex),
        View::Facts(facts) => facts.iter().find_map(|f| latex(&f.1)),
        _ => None,
    }
}

/// Text without colour, for pipes and goldens; ends with a line end unless the view is empty.
pub fn plain(view: &View) -> String {
    text(view, Paint::PLAIN)
}

/// Text with colours, for a terminal.
pub fn terminal(view: &View) -> String {
    text(view, Paint::COLOUR)
}

/// Text with or without colours.
pub fn text(view: &View, paint: Paint) -> String {
    let mut out = String::new();
    for line in lines(view) {
        out.push_str(&painted(&line, paint));
        out.push('\n');
    }
    out
}

fn painted(line: &Line, paint: Paint) -> String {
    let whole: String = line.iter().map(|r| r.text.as_str()).collect();
    let mut left = whole.trim_end().len();
    let mut out = String::new();
    for run in line {
        let text = &run.text[..run.text.len().min(left)];
        left -= text.len();
        out.push_str(&match run.role {
            Role::Plain | Role::Number => text.to_string(),
            Role::Name => paint.name(text),
            Role::Good => paint.good(text),
            Role::Bad => paint.bad(text),
            Role::Faint => paint.faint(text),
            Role::Strong => paint.strong(text),
        });
    }
    out
}

/// Rules for the classes that [`html`] uses; a notebook shows them with each output. The class stands twice where a
/// notebook has rules for tables of its own; the colours are readable on white and on black.
pub const STYLE: &str = "\
.ravine{font-family:ui-monospace,monospace;font-size:13px;line-height:1.45}\
.ravine.ravine table{border-collapse:collapse;margin:.3em 0}\
.ravine.ravine tr{background:none}\
.ravine.ravine td,.ravine.ravine th{padding:.1em .7em;text-align:left;border:0;max-width:none}\
.ravine.ravine td.n,.ravine.ravine th.n{text-align:right;font-variant-numeric:tabular-nums}\
.ravine.ravine thead th{border-bottom:1px solid currentColor}\
.ravine pre{margin:.2em 0}\
.ravine .name{color:#0891b2}.ravine .good{color:#16a34a;font-weight:600}\
.ravine .bad{color:#dc2626;font-weight:600}.ravine .faint{opacity:.65}.ravine .strong{font-weight:600}";

/// HTML for a notebook: one `div` of class `ravine`.
pub fn html(view: &View) -> String {
    let mut out = String::from("<div class=\"ravine\">");
    html_into(&mut out, view);
    out.push_str("</div>");
    out
}

/// Text with what HTML would read as markup escaped.
pub fn escape(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for c in printable(text).chars() {
        match c {
            '&' => out.push_str("&amp;"),
            '<' => out.push_str("&lt;"),
            '>' => out.push_str("&gt;"),
            '"' => out.push_str("&quot;"),
            '\'' => out.push_str("&#39;"),
            c => out.push(c),
        }
    }
    out
}

fn class(role: Role) -> &'static str {
    match role {
        Role::Plain | Role::Number => "",
        Role::Name => "name",
        Role::Good => "good",
        Role::Bad => "bad",
        Role::Faint => "faint",
        Role::Strong => "strong",
    }
}

fn html_into(out: &mut String, view: &View) {
    match view {
        View::Line(runs) => {
            out.push_str("<div>");
            for r in runs {
                match class(r.role) {
                    "" => out.push_str(&escape(&r.text)),
                    c => out.push_str(&format!("<span class=\"{c}\">{}</span>", escape(&r.text))),
                }
            }
            out.push_str("</div>");
        }
        View::Stack(views) => views.iter().for_each(|v| html_into(out, v)),
        View::Facts(facts) => {
            out.push_str("<table>");
            for (label, value) in facts {
                out.push_str(&format!("<tr><td class=\"faint\">{}</td><td>", escape(label)));
                html_into(out, value);
                out.push_str("</td></tr>");
            }
            out.push_str("</table>");
        }
        View::Table { head, rows } => {
            let numeric = |j: usize| {
                rows.iter()
                    .any(|r| matches!(r.get(j), Some(Cell::Number(_) | Cell::Seconds(_))))
            };
            let kind = |j: usize| if numeric(j) { " class=\"n\"" } else { "" };
            out.push_str("<table>");
            if !head.is_empty() {
                out.push_str("<thead><tr>");
                for (j, h) in head.iter().enumerate() {
                    out.push_str(&format!("<th{}>{}</th>", kind(j), escape(h)));
                }
                out.push_str("</tr></thead>");
            }
            out.push_str("<tbody>");
            for row in rows {
                out.push_str("<tr>");
                for (j, cell) in row.iter().enumerate() {
                    let text = match cell {
                        Cell::Number(v) => number(*v),
                        Cell::Seconds(v) => escape(&duration(*v)),
                        Cell::Text(t) => escape(t),
                    };
                    out.push_str(&format!("<td{}>{text}</td>", kind(j)));
                }
                out.push_str("</tr>");
            }
            out.push_str("</tbody></table>");
        }
        View::Number(v) => out.push_str(&format!("<div>{}</div>", number(*v))),
        View::Array { labels, shape, entries } => match (&labels[..], &shape[..]) {
            ([Some(names)], [n]) if *n <= 50 => {
                let size = scale(entries);
                out.push_str("<table><tbody>");
                for (name, v) in names.iter().zip(entries) {
                    let text = at_scale(*v, size);
                    out.push_str(&format!(
                        "<tr><th class=\"name\">{}</th><td class=\"n\">{text}</td></tr>",
                        escape(name)
                    ));
                }
                out.push_str("</tbody></table>");
            }
            ([rows, columns], [n, m]) if *n <= 30 && *m <= 30 && (rows.is_some() || columns.is_some()) => {
                let size = scale(entries);
                let name = |l: &Option<Vec<String>>, k: usize| match l {
                    Some(l) => l.get(k).map_or_else(String::new, |t| escape(t)),
                    None => (k + 1).to_string(),
                };
                out.push_str("<table><thead><tr><th></th>");
                for j in 0..*m {
                    out.push_str(&format!("<th class=\"n name\">{}</th>", name(columns, j)));
                }
                out.push_str("</tr></thead><tbody>");
                for i in 0..*n {
                    out.push_str(&format!("<tr><th class=\"name\">{}</th>", name(rows, i)));
                    for v in entries.iter().skip(i * m).take(*m) {
                        out.push_str(&format!("<td class=\"n\">{}</td>", at_scale(*v, size)));
                    }
                    out.push_str("</tr>");
                }
                out.push_str("</tbody></table>");
            }
            _ => out.push_str(&format!("<pre>{}</pre>", escape(&plain(view)))),
        },
        View::Verbatim(t) => out.push_str(&format!("<pre>{}</pre>", escape(t))),
        View::Figure(f) => out.push_str(&super::plot::svg(f)),
        // Notebooks typeset what stands between these marks.
        View::Formula(t) => out.push_str(&format!("<div class=\"formula\">$$\n{}\n$$</div>", escape(t))),
    }
}

/// JSON: each node an object with its `kind`.
pub fn json(view: &View) -> Json {
    match view {
        View::Line(runs) => {
            let text: String = runs.iter().map(|r| r.text.as_str()).collect();
            object!({ "kind": "text", "text": text })
        }
        View::Stack(views) => object!({ "kind": "stack", "items": views.iter().map(json).collect::<Vec<_>>() }),
        View::Facts(facts) => {
            let items: Vec<Json> = facts
                .iter()
                .map(|(l, v)| object!({ "label": l, "value": json(v) }))
                .collect();
            object!({ "kind": "facts", "items": items })
        }
        View::Table { head, rows } => {
            let cell = |c: &Cell| match c {
                Cell::Number(v) | Cell::Seconds(v) => number_json(*v),
                Cell::Text(t) => t.clone().into(),
            };
            let rows: Vec<Json> = rows
                .iter()
                .map(|r| r.iter().map(cell).collect::<Vec<_>>().into())
                .collect();
            object!({ "kind": "table", "head": head, "rows": rows })
        }
        View::Number(v) => object!({ "kind": "number", "value": number_json(*v) }),
        View::Array { labels, shape, entries } => {
            let mut at = 0;
            object!({ "kind": "array", "shape": shape, "value": nested(labels, shape, entries, &mut at) })
        }
        View::Verbatim(t) => object!({ "kind": "verbatim", "text": t }),
        View::Formula(t) => object!({ "kind": "formula", "latex": t }),
        View::Figure(f) => figure_json(f),
    }
}

/// The data of a figure; no pixels.
fn figure_json(f: &Figure) -> Json {
    let axis = |a: &Axis| object!({ "label": a.label, "log": a.log, "zero": a.zero.map(number_json), "from": number_json(a.lo), "to": number_json(a.hi) });
    let list = |v: &mut dyn Iterator<Item = f64>| v.map(number_json).collect::<Vec<Json>>();
    let pairs = |kind: &str, label: &str, p: &[(f64, f64)]| {
        let (x, y) = (list(&mut p.iter().map(|p| p.0)), list(&mut p.iter().map(|p| p.1)));
        object!({ "kind": kind, "label": label, "x": x, "y": y })
    };
    let triples = |kind: &str, names: [&str; 3], p: &[(f64, f64, f64)]| {
        let mut o = object!({ "kind": kind });
        o[names[0]] = list(&mut p.iter().map(|p| p.0)).into();
        o[names[1]] = list(&mut p.iter().map(|p| p.1)).into();
        o[names[2]] = list(&mut p.iter().map(|p| p.2)).into();
        o
    };
    let mark = |m: &Mark| match m {
        Mark::Line { points, label, .. } => pairs("line", label, points),
        Mark::Dots { points, label, .. } => pairs("dots", label, points),
        Mark::Path { points, label, .. } => pairs("path", label, points),
        Mark::Band { points, .. } => triples("band", ["x", "from", "to"], points),
        Mark::Cells { cells, .. } => triples("cells", ["column", "row", "part"], cells),
        Mark::Bars { bars, .. } => triples("bars", ["from", "to", "height"], bars),
        Mark::Level { at, label } => object!({ "kind": "level", "label": label, "y": number_json(*at) }),
        Mark::Contours { xs, ys, values, levels } => object!({
            "kind": "contours",
            "x": list(&mut xs.iter().copied()),
            "y": list(&mut ys.iter().copied()),
            "values": list(&mut values.iter().copied()),
            "levels": list(&mut levels.iter().copied()),
        }),
    };
    object!({
        "kind": "figure",
        "name": f.name,
        "title": f.title,
        "x": axis(&f.x),
        "y": axis(&f.y),
        "marks": f.marks.iter().map(mark).collect::<Vec<_>>(),
        "notes": f.notes,
    })
}

fn nested(labels: &[Option<Vec<String>>], shape: &[usize], entries: &[f64], at: &mut usize) -> Json {
    let Some((&n, rest)) = shape.split_first() else {
        let v = entries.get(*at).copied().unwrap_or(f64::NAN);
        *at += 1;
        return number_json(v);
    };
    let below = labels.get(1..).unwrap_or(&[]);
    match labels.first() {
        Some(Some(names)) if names.len() == n => {
            let mut map = serde_json::Map::new();
            for name in names {
                map.insert(name.clone(), nested(below, rest, entries, at));
            }
            Json::Object(map)
        }
        _ => Json::Array((0..n).map(|_| nested(below, rest, entries, at)).collect()),
    }
}
