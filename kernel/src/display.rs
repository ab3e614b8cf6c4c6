//! Events of the session as Jupyter's outputs: streams, bundles of forms, errors.
//!
//! Invariant: a bundle always has `text/plain`; what has structure has HTML and JSON beside it, a picture SVG and JSON.

use ravine::base::Diagnostic;
use ravine::base::view::View;
use ravine::session::rendered::{Rendered, STYLE};
use serde_json::{Value as Json, json};

/// MIME type of an entry of the report. Not plain JSON: JupyterLab would show that as a tree, before the HTML.
pub const REPORT: &str = "application/vnd.ravine.report.v1+json";

/// Forms of one output, by MIME type.
pub fn bundle(r: &Rendered) -> Json {
    let mut forms = words(r);
    forms[REPORT] = r.json.clone();
    forms
}

/// What is no result, only words; a picture is one, and needs no words beside it.
pub fn words(r: &Rendered) -> Json {
    if let Some(svg) = &r.svg {
        return json!({ "text/plain": r.plain.trim_end_matches('\n'), "image/svg+xml": svg });
    }
    let html = format!("<style>{STYLE}</style>{}", r.html);
    let mut forms = json!({ "text/plain": r.plain.trim_end_matches('\n'), "text/html": html });
    if let Some(latex) = &r.latex {
        forms["text/latex"] = latex.as_str().into();
    }
    forms
}

/// Only text.
pub fn text(plain: &str) -> Json {
    json!({ "text/plain": plain.trim_end_matches('\n') })
}

/// Has the view a structure that plain lines would not show as well?
pub fn rich(view: &View) -> bool {
    match view {
        View::Line(_) | View::Number(_) => false,
        View::Table { .. } | View::Verbatim(_) | View::Formula(_) | View::Figure(_) => true,
        View::Array { labels, shape, .. } => shape.len() > 1 || labels.iter().any(Option::is_some),
        View::Stack(views) => views.iter().any(rich),
        View::Facts(facts) => facts.iter().any(|f| rich(&f.1)),
    }
}

/// The content of an `error`: the first error gives its name, all messages together are the traceback.
pub fn error(found: &[Diagnostic], coloured: &str) -> Json {
    let first = found.iter().find(|d| d.is_error()).or_else(|| found.first());
    let (name, value) = first.map_or(("Error", ""), |d| (d.code.id(), d.message.as_str()));
    failure(name, value, coloured)
}

/// The content of an `error` that is no diagnostic.
pub fn failure(name: &str, value: &str, coloured: &str) -> Json {
    let lines: Vec<&str> = coloured.trim_end_matches('\n').lines().collect();
    json!({ "ename": name, "evalue": value, "traceback": lines })
}
