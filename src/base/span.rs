//! Places in source text.
//!
//! Invariant: a span is a byte range of one source and never crosses sources.

use std::sync::Arc;

/// One source text (a file, a cell, an argument of the command line).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct SourceId(pub u32);

/// A byte range `start..end` of a source.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Span {
    /// The source the range lies in.
    pub source: SourceId,
    /// First byte.
    pub start: u32,
    /// One past the last byte.
    pub end: u32,
}

impl Span {
    /// The range `start..end` of `source`.
    pub fn new(source: SourceId, start: usize, end: usize) -> Self {
        Self {
            source,
            start: start as u32,
            end: end.max(start) as u32,
        }
    }
    /// The smallest span that holds both; `self` if they lie in different sources.
    pub fn to(self, other: Span) -> Span {
        if self.source != other.source {
            return self;
        }
        Span {
            source: self.source,
            start: self.start.min(other.start),
            end: self.end.max(other.end),
        }
    }
}

/// A source text and its display name.
#[derive(Clone, Debug)]
pub struct Source {
    /// What diagnostics call it: a path as the user gave it, or `cell 3`.
    pub name: String,
    /// The whole text.
    pub text: Arc<str>,
    line_starts: Vec<u32>,
}

/// All sources of a session; ids stay valid for its life.
#[derive(Clone, Debug, Default)]
pub struct SourceMap {
    sources: Vec<Source>,
}

impl SourceMap {
    /// Adds a text and returns its id.
    pub fn add(&mut self, name: impl Into<String>, text: impl Into<Arc<str>>) -> SourceId {
        let text: Arc<str> = text.into();
        let mut line_starts = vec![0];
        line_starts.extend(
            text.bytes()
                .enumerate()
                .filter(|(_, b)| *b == b'\n')
                .map(|(i, _)| i as u32 + 1),
        );
        self.sources.push(Source {
            name: name.into(),
            text,
            line_starts,
        });
        SourceId(self.sources.len() as u32 - 1)
    }
    /// The source behind an id, if it belongs to this map.
    pub fn get(&self, id: SourceId) -> Option<&Source> {
        self.sources.get(id.0 as usize)
    }
    /// The span moved inside its source and to character boundaries; `None` if the source is not in this map.
    pub fn fit(&self, span: Span) -> Option<Span> {
        let text = &self.get(span.source)?.text;
        let inside = |at: u32| {
            let mut at = (at as usize).min(text.len());
            while !text.is_char_boundary(at) {
                at -= 1;
            }
            at
        };
        let (start, end) = (inside(span.start), inside(span.end));
        Some(Span::new(span.source, start, end))
    }
    /// The text of a line (one-based) without its line end, and the byte where it begins; the last line is empty if
    /// the text ends with a line end.
    pub fn line(&self, source: SourceId, line: usize) -> Option<(&str, usize)> {
        let s = self.get(source)?;
        let begin = *s.line_starts.get(line.checked_sub(1)?)? as usize;
        let end = s.line_starts.get(line).map_or(s.text.len(), |&e| e as usize);
        let text = s.text.get(begin..end)?;
        let text = text.strip_suffix('\n').unwrap_or(text);
        Some((text.strip_suffix('\r').unwrap_or(text), begin))
    }
    /// The text under a span (empty if the span does not fit).
    pub fn text(&self, span: Span) -> &str {
        self.get(span.source)
            .and_then(|s| s.text.get(span.start as usize..span.end as usize))
            .unwrap_or("")
    }
    /// One-based line and column (in characters) of the start of a span.
    pub fn line_column(&self, span: Span) -> (usize, usize) {
        let Some(s) = self.get(span.source) else { return (1, 1) };
        let line = s.line_starts.partition_point(|&p| p <= span.start).max(1);
        let begin = s.line_starts[line - 1] as usize;
        let column = s.text.get(begin..span.start as usize).map_or(0, |t| t.chars().count()) + 1;
        (line, column)
    }
}
