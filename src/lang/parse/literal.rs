//! Numbers, texts and names as values.
//!
//! Invariant: a literal that cannot be represented is reported, never rounded to something else silently.

use pest::iterators::Pair;
use unicode_normalization::UnicodeNormalization;

use super::fold::Folder;
use super::grammar::Rule;
use crate::base::{Code, Diagnostic, Span};
use crate::lang::errors::syntax as errors;
use crate::lang::syntax::ExprKind;

impl Folder<'_> {
    pub(super) fn number(&mut self, text: &str, span: Span) -> ExprKind {
        let digits: String = text.chars().filter(|c| *c != '_').collect();
        match digits.parse::<f64>() {
            Ok(value) if value.is_finite() => ExprKind::Number {
                value,
                integer: text.bytes().all(|b| b.is_ascii_digit() || b == b'_'),
            },
            _ => {
                let d = Diagnostic::new(
                    Code::BadNumber,
                    "this number is larger than any that can be represented",
                )
                .at(span, "")
                .help("the largest is about 1.8e308; without bound is `inf`");
                self.report(d);
                ExprKind::Error
            }
        }
    }

    /// The characters of a text literal.
    pub(in crate::lang::parse) fn unescape(&mut self, pair: &Pair<'_, Rule>) -> String {
        let text = pair.as_str();
        let body = text.get(1..text.len().saturating_sub(1)).unwrap_or("");
        if !body.contains('\\') {
            return body.to_string();
        }
        let start = self.base + pair.as_span().start() + 1;
        let mut out = String::new();
        let mut chars = body.char_indices();
        while let Some((i, c)) = chars.next() {
            if c != '\\' {
                out.push(c);
                continue;
            }
            let escape = chars.next();
            let mut end = i + 1 + escape.map_or(0, |(_, c)| c.len_utf8());
            match escape.map(|(_, c)| c) {
                Some('n') => out.push('\n'),
                Some('t') => out.push('\t'),
                Some('"') => out.push('"'),
                Some('\\') => out.push('\\'),
                other => {
                    let code = (other == Some('u'))
                        .then(|| body[end..].strip_prefix('{').and_then(|r| r.split_once('}')))
                        .flatten();
                    let value = code
                        .and_then(|(hex, _)| u32::from_str_radix(hex, 16).ok())
                        .and_then(char::from_u32);
                    if let Some((hex, _)) = code {
                        end += hex.len() + 2;
                        while chars.as_str().len() > body.len() - end {
                            chars.next();
                        }
                    }
                    match value {
                        Some(c) => out.push(c),
                        None => {
                            let at = Span::new(self.source, start + i, start + end);
                            self.report(errors::bad_escape(&body[i..end], at));
                        }
                    }
                }
            }
        }
        out
    }
}

/// A name in the form names are compared in.
pub fn normal(text: &str) -> String {
    if text.is_ascii() {
        text.to_string()
    } else {
        text.nfkc().collect()
    }
}
