//! Completion and help: from the session while it is free, from the names it had before the running cell while it is not.
//!
//! Invariant: positions count code points outside and bytes inside; one that lies beyond the text is its end.

use ravine::session::{Completion, CompletionItem, Session};
use serde_json::{Value as Json, json};

/// The byte at which a code point begins.
pub fn byte(text: &str, point: u64) -> usize {
    let point = usize::try_from(point).unwrap_or(usize::MAX);
    text.char_indices().nth(point).map_or(text.len(), |c| c.0)
}

fn point(text: &str, byte: usize) -> usize {
    text.char_indices().take_while(|c| c.0 < byte).count()
}

/// `complete_reply`.
pub fn completed(code: &str, c: &Completion) -> Json {
    let (start, end) = (point(code, c.start), point(code, c.end));
    let names: Vec<&str> = c.items.iter().map(|i| i.name.as_str()).collect();
    // The form in which IPython gives types, which JupyterLab reads.
    let types: Vec<Json> = c
        .items
        .iter()
        .map(|i| json!({ "start": start, "end": end, "text": i.name, "type": i.kind, "signature": i.ty, "doc": i.doc }))
        .collect();
    json!({
        "status": "ok",
        "matches": names,
        "cursor_start": start,
        "cursor_end": end,
        "metadata": { "_jupyter_types_experimental": types },
    })
}

/// Every name that may stand in an expression or begin a statement, for the time when the session is busy.
pub fn names(session: &Session) -> Vec<CompletionItem> {
    let mut items = session.complete("print ", 6).items;
    items.extend(session.complete("", 0).items);
    items
}

/// The name around a byte of a text: where it begins, the name.
fn name_at(text: &str, at: usize) -> (usize, &str) {
    let inside = |c: char| c.is_alphanumeric() || c == '_';
    let before = text[..at].trim_end_matches(inside).len();
    let after = at + text[at..].find(|c| !inside(c)).unwrap_or(text.len() - at);
    (before, &text[before..after])
}

/// What [`names`] know of a place: all that begin like what stands before the cursor.
pub fn complete_by(names: &[CompletionItem], code: &str, cursor: usize) -> Completion {
    let (start, name) = name_at(code, cursor);
    let begun = code[start..cursor].to_lowercase();
    let mut items: Vec<CompletionItem> = Vec::new();
    for i in names {
        if i.name.to_lowercase().starts_with(&begun) && !items.iter().any(|j| j.name == i.name) {
            items.push(i.clone());
        }
    }
    Completion {
        start,
        end: start + name.len(),
        items,
    }
}

/// `inspect_reply` with the forms of a help text, or without any.
pub fn inspected(data: Option<Json>) -> Json {
    match data {
        Some(data) => json!({ "status": "ok", "found": true, "data": data, "metadata": {} }),
        None => json!({ "status": "ok", "found": false, "data": {}, "metadata": {} }),
    }
}

/// What [`names`] know of the name at a place.
pub fn inspect_by(names: &[CompletionItem], code: &str, cursor: usize) -> Option<Json> {
    let (_, name) = name_at(code, cursor);
    let i = names.iter().find(|i| i.name == name)?;
    let head = [i.kind, " ", &i.name, if i.ty.is_empty() { "" } else { ": " }, &i.ty].concat();
    let text = [head.as_str(), i.doc.as_str()].join("\n");
    Some(json!({ "text/plain": text.trim_end() }))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn item(name: &str) -> CompletionItem {
        CompletionItem {
            name: name.into(),
            kind: "param",
            ty: "Real".into(),
            doc: "A weight.".into(),
        }
    }

    #[test]
    fn positions() {
        let text = "λ = 𝛼β";
        assert_eq!((byte(text, 0), byte(text, 1), byte(text, 5)), (0, 2, 9));
        assert_eq!((byte(text, 6), byte(text, 7), byte(text, u64::MAX)), (11, 11, 11));
        assert_eq!((point(text, 9), point(text, 11)), (5, 6));
    }

    #[test]
    fn a_busy_session_still_helps() {
        let names = [item("lambda"), item("λ_1"), item("lambda")];
        let c = complete_by(&names, "print 2*LA + 1", 10);
        assert_eq!((c.start, c.end, c.items.len()), (8, 10, 1));
        let reply = completed("print λ", &complete_by(&names, "print λ", 8));
        assert_eq!((&reply["cursor_start"], &reply["cursor_end"]), (&json!(6), &json!(7)));
        assert_eq!(reply["matches"], json!(["λ_1"]));
        let help = inspect_by(&names, "print lambda", 9).expect("a known name");
        assert_eq!(help["text/plain"], "param lambda: Real\nA weight.");
        assert_eq!(inspect_by(&names, "print mu", 8), None);
    }
}
