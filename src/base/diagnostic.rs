//! Diagnostics as data: code, level, labelled spans, notes and ways out.
//!
//! Invariant: rendering lives in `report`; nothing here formats for a terminal.

use super::codes::Code;
use super::span::Span;

/// How serious a diagnostic is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Level {
    /// The statement has no effect.
    Error,
    /// It runs, but probably not as meant.
    Warning,
    /// Something worth knowing.
    Advice,
}

impl Level {
    /// The word shown and written to JSON.
    pub fn word(self) -> &'static str {
        match self {
            Level::Error => "error",
            Level::Warning => "warning",
            Level::Advice => "advice",
        }
    }
}

/// A span with what is said about it.
#[derive(Clone, Debug, PartialEq)]
pub struct Label {
    /// The place.
    pub span: Span,
    /// What is said about it; may be empty.
    pub text: String,
}

/// A replacement of source text that would repair the mistake.
#[derive(Clone, Debug, PartialEq)]
pub struct Edit {
    /// What to replace.
    pub span: Span,
    /// The new text.
    pub replacement: String,
}

/// A way out.
#[derive(Clone, Debug, PartialEq)]
pub struct Help {
    /// One sentence.
    pub text: String,
    /// The edit that does it, where it is mechanical.
    pub edit: Option<Edit>,
}

/// One message to the user.
#[derive(Clone, Debug, PartialEq)]
pub struct Diagnostic {
    /// Stable code.
    pub code: Code,
    /// Severity; starts as the code's own.
    pub level: Level,
    /// One sentence in the user's own names.
    pub message: String,
    /// The first label is the primary place; empty for files and command lines.
    pub labels: Vec<Label>,
    /// Further facts.
    pub notes: Vec<String>,
    /// Ways out.
    pub helps: Vec<Help>,
}

/// Several diagnostics, in the order they were found.
pub type Diagnostics = Vec<Diagnostic>;

impl Diagnostic {
    /// A diagnostic of the code's own level without a place yet.
    pub fn new(code: Code, message: impl Into<String>) -> Self {
        Self {
            code,
            level: code.level(),
            message: message.into(),
            labels: vec![],
            notes: vec![],
            helps: vec![],
        }
    }
    /// Adds a labelled place; the first added is the primary one.
    pub fn at(mut self, span: Span, text: impl Into<String>) -> Self {
        self.labels.push(Label {
            span,
            text: text.into(),
        });
        self
    }
    /// Adds a fact.
    pub fn note(mut self, text: impl Into<String>) -> Self {
        self.notes.push(text.into());
        self
    }
    /// Adds a way out.
    pub fn help(mut self, text: impl Into<String>) -> Self {
        self.helps.push(Help {
            text: text.into(),
            edit: None,
        });
        self
    }
    /// Adds a way out that can be applied mechanically.
    pub fn help_edit(mut self, text: impl Into<String>, span: Span, replacement: impl Into<String>) -> Self {
        self.helps.push(Help {
            text: text.into(),
            edit: Some(Edit {
                span,
                replacement: replacement.into(),
            }),
        });
        self
    }
    /// Is it an error?
    pub fn is_error(&self) -> bool {
        self.level == Level::Error
    }
    /// The primary place, if any.
    pub fn span(&self) -> Option<Span> {
        self.labels.first().map(|l| l.span)
    }
}

/// The candidate closest to `name` by edit distance (at most a third of its length, at least one), or one that
/// contains it; ties go to the first.
pub fn did_you_mean<'a>(name: &str, candidates: impl IntoIterator<Item = &'a str>) -> Option<&'a str> {
    let limit = (name.chars().count() / 3).max(1);
    let mut best: Option<(usize, &str)> = None;
    for c in candidates {
        if c == name {
            continue;
        }
        let mut d = edit_distance(&name.to_lowercase(), &c.to_lowercase());
        if d > limit && name.len() >= 3 && (c.contains(name) || name.contains(c) && c.len() >= 3) {
            d = limit;
        }
        // Two texts without anything in common are no suggestion, however short.
        let common = d < name.chars().count().max(c.chars().count());
        if common && d <= limit && best.is_none_or(|(b, _)| d < b) {
            best = Some((d, c));
        }
    }
    best.map(|(_, c)| c)
}

/// Levenshtein distance with transpositions of neighbours (optimal string alignment).
fn edit_distance(a: &str, b: &str) -> usize {
    let (a, b): (Vec<char>, Vec<char>) = (a.chars().collect(), b.chars().collect());
    let w = b.len() + 1;
    let mut d = vec![0; (a.len() + 1) * w];
    for i in 0..=a.len() {
        for j in 0..=b.len() {
            d[i * w + j] = if i == 0 || j == 0 {
                i + j
            } else {
                let cost = usize::from(a[i - 1] != b[j - 1]);
                let mut v = (d[(i - 1) * w + j] + 1)
                    .min(d[i * w + j - 1] + 1)
                    .min(d[(i - 1) * w + j - 1] + cost);
                if i > 1 && j > 1 && a[i - 1] == b[j - 2] && a[i - 2] == b[j - 1] {
                    v = v.min(d[(i - 2) * w + j - 2] + 1);
                }
                v
            };
        }
    }
    d[a.len() * w + b.len()]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn suggestions() {
        assert_eq!(did_you_mean("capcity", ["cost", "capacity"]), Some("capacity"));
        assert_eq!(did_you_mean("lamdba", ["lambda", "mu"]), Some("lambda"));
        assert_eq!(did_you_mean("x", ["cost", "capacity"]), None);
        assert_eq!(did_you_mean("y", ["x", "yy"]), Some("yy"));
        assert_eq!(did_you_mean("demand", ["demand_min"]), Some("demand_min"));
    }
}
