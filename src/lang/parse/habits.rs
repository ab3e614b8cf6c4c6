//! What a text was probably meant to be that is written as other languages write it.
//!
//! Invariant: asked only of what could not be read, so that nothing that is right here is taken for a mistake.

use super::classify::{first_word, last_word, token_at};
use super::grammar::Rule;
use super::lexicon::is_reserved;
use crate::base::{Diagnostic, Span};
use crate::lang::errors::habits as errors;

/// Where the grammar stopped in a statement.
pub(super) struct Stop<'t> {
    /// The statement.
    pub text: &'t str,
    /// The byte of the token that did not fit.
    pub at: usize,
    /// That token.
    pub token: &'t str,
    /// What was read.
    pub rule: Rule,
    /// What would have gone on.
    pub positives: &'t [Rule],
}

impl<'t> Stop<'t> {
    fn before(&self) -> &'t str {
        self.text.get(..self.at).unwrap_or("").trim_end()
    }

    fn rest(&self) -> &'t str {
        self.text.get(self.at..).unwrap_or("")
    }

    /// The innermost bracket that is open, and its byte.
    fn open(&self) -> Option<(usize, char)> {
        let mut open = vec![];
        for (i, c) in self.before().char_indices() {
            match c {
                '(' | '[' | '{' => open.push((i, c)),
                ')' | ']' | '}' => drop(open.pop()),
                _ => {}
            }
        }
        open.pop()
    }

    /// The better message, if the text is known from elsewhere; `span` makes places of bytes of the statement.
    pub fn meant(&self, span: &dyn Fn(usize, usize) -> Span) -> Option<Diagnostic> {
        let (before, rest) = (self.before(), self.rest());
        let here = span(self.at, self.at + self.token.len());
        let last = last_word(before);
        let within = |c: char| self.open().is_some_and(|o| o.1 == c);
        let behind_operand = before.ends_with(|c: char| c.is_alphanumeric() || "_)]}'\"".contains(c));
        match self.token {
            "=" | ")" | "," if self.heads() && self.positives == [Rule::colon] && within('(') => {
                let schedules = matches!(self.rule, Rule::optimizer_head | Rule::pipeline_decl);
                let at = before.len();
                Some(errors::untyped(
                    last,
                    schedules,
                    span(at - last.len(), at),
                    span(at, at),
                ))
            }
            "," if self.rule == Rule::entrant => Some(errors::comma_between_methods(here)),
            "=" if self.rule == Rule::entrant && first_word(before) == before => {
                Some(errors::label_by_equals(here, span(before.len(), self.at + 1)))
            }
            "if" if behind_operand && !is_reserved(last) => {
                let edit = choice(self.text, self.at).map(|(a, b, text)| (span(a, b), text));
                (edit.is_some() || has_else(rest)).then(|| errors::choice(here, edit))
            }
            ":" if within('[') => Some(errors::slice((true, ends_range(&rest[1..])), here)),
            "[" if rest[1..].trim_start().strip_prefix(':').is_some_and(ends_range) => {
                let colon = self.at + rest.find(':')?;
                Some(errors::slice((false, true), span(colon, colon + 1)))
            }
            _ if last == "lambda" && rest[first_word(rest).len()..].trim_start().starts_with(':') => {
                let colon = self.at + rest.find(':')? + 1;
                Some(errors::lambda(first_word(rest), span(before.len() - last.len(), colon)))
            }
            count if last == "over" && count.bytes().all(|b| b.is_ascii_digit()) && !count.is_empty() => {
                let word = rest[count.len()..].trim_start();
                let end = self.text.len() - word.len() + first_word(word).len();
                matches!(first_word(word), "seed" | "seeds").then(|| errors::number_of_seeds(count, span(self.at, end)))
            }
            "in" if self.rule == Rule::plot => {
                let range = rest[2..].trim_start();
                let begin = self.text.len() - range.len();
                let end = range.find(',').or_else(|| range.find(" with ")).unwrap_or(range.len());
                let range = range[..end].trim_end();
                let edit = range.split_once("..").map(|(lo, hi)| {
                    let text = format!("[{}, {}]", lo.trim(), hi.trim());
                    (span(begin, begin + range.len()), text)
                });
                Some(errors::interval(here, edit))
            }
            "[" if self.rule == Rule::update_line && before.contains('.') => {
                Some(errors::entry_of_whole(before, true, here))
            }
            word @ ("for" | "until" | "within") if behind_operand && within('(') => {
                let from = self.open()?.0 + 1;
                // The argument alone, without its name.
                let argument = before[from..].rsplit(',').next().unwrap_or("").trim();
                let call = argument.split_once(": ").map_or(argument, |(_, v)| v.trim_start());
                let pipelines = matches!(
                    self.rule,
                    Rule::solve | Rule::pipeline_decl | Rule::entrant | Rule::step_run
                );
                pipelines.then(|| errors::limit_in_argument(word, call, here))
            }
            _ => None,
        }
    }

    /// Has what is read parameters?
    fn heads(&self) -> bool {
        matches!(
            self.rule,
            Rule::fn_decl | Rule::fn_block | Rule::problem_head | Rule::optimizer_head | Rule::pipeline_decl
        )
    }
}

/// Is there something before the bracket that closes a slice?
fn ends_range(behind: &str) -> bool {
    !behind.trim_start().starts_with([']', ','])
}

fn has_else(text: &str) -> bool {
    text.split(|c: char| !(c == '_' || c.is_alphanumeric()))
        .any(|w| w == "else")
}

/// `a if c else b` around the byte of its `if`: from where to where it reaches, and how it is written here.
fn choice(text: &str, at: usize) -> Option<(usize, usize, String)> {
    let mut depth = 0usize;
    let mut begin = 0;
    for (i, c) in text[..at].char_indices().rev() {
        match c {
            ')' | ']' | '}' => depth += 1,
            '(' | '[' | '{' if depth > 0 => depth -= 1,
            '(' | '[' | '{' | ',' | ';' if depth == 0 => {
                begin = i + 1;
                break;
            }
            '=' if depth == 0 => {
                begin = i + 1;
                break;
            }
            '-' if depth == 0 && text[..i].ends_with('<') => {
                begin = i + 1;
                break;
            }
            _ => {}
        }
    }
    let first = &text[begin..at];
    let skipped = first.len() - first.trim_start().len();
    let word = first_word(first.trim_start());
    let keyword = if is_reserved(word) { word.len() } else { 0 };
    let first = first.trim_start()[keyword..].trim();
    let from = begin + skipped + keyword + usize::from(keyword > 0);
    // The condition ends at `else`, the other value at the end of what stands around all.
    let (mut condition, mut end, mut depth) = (None, text.len(), 0usize);
    for (i, c) in text.char_indices().skip_while(|(i, _)| *i < at + 2) {
        match c {
            '(' | '[' | '{' => depth += 1,
            ')' | ']' | '}' if depth > 0 => depth -= 1,
            ')' | ']' | '}' | ',' | ';' if depth == 0 => {
                end = i;
                break;
            }
            'e' if depth == 0
                && condition.is_none()
                && token_at(&text[i..]) == "else"
                && last_word(&text[..i]).is_empty() =>
            {
                condition = Some(i);
            }
            _ => {}
        }
    }
    let condition_end = condition?;
    let otherwise = text.get(condition_end + 4..end)?.trim();
    let condition = text.get(at + 2..condition_end)?.trim();
    let whole = !first.is_empty() && !otherwise.is_empty() && !has_if(otherwise) && !has_if(first);
    let end = condition_end + 4 + text[condition_end + 4..end].trim_end().len();
    whole.then(|| (from, end, format!("if {condition} then {first} else {otherwise}")))
}

fn has_if(text: &str) -> bool {
    text.split(|c: char| !(c == '_' || c.is_alphanumeric()))
        .any(|w| w == "if")
}

/// `x += e`: the message with the statement in full; `arrow` is how a value is given there.
pub(super) fn compound(text: &str, arrow: &str, span: &dyn Fn(usize, usize) -> Span) -> Option<Diagnostic> {
    let equals = text.find('=')?;
    let place = text[..equals].strip_suffix(['+', '-', '*', '/'])?;
    let name = first_word(place);
    let rest = &place[name.len()..];
    let simple = rest.trim().is_empty() || rest.starts_with(['.', '[']);
    if name.is_empty() || is_reserved(name) || !simple || text[equals + 1..].starts_with('=') {
        return None;
    }
    let op = &text[place.len()..equals];
    let value = text[equals + 1..].trim();
    let place = place.trim_end();
    let value = if loose(value) {
        format!("({value})")
    } else {
        value.to_string()
    };
    let tail = format!("{arrow} {place} {op} {value}");
    let begin = equals - 1;
    Some(errors::compound(
        &format!("{op}="),
        &format!("{place} {arrow} {place} {op} …"),
        span(begin, equals + 1),
        span(begin, text.len()),
        tail,
    ))
}

/// Has an expression an operator outside of its brackets, so that it is put into some behind another one?
fn loose(text: &str) -> bool {
    let mut depth = 0usize;
    let mut before = ' ';
    for c in text.chars() {
        match c {
            '(' | '[' | '{' => depth += 1,
            ')' | ']' | '}' => depth = depth.saturating_sub(1),
            _ if depth > 0 => {}
            // The sign of an exponent, `1e-3`.
            '+' | '-' if before == 'e' => {}
            '+' | '-' | '/' | '%' | '<' | '>' | '=' | '\\' => return true,
            _ => {}
        }
        before = c;
    }
    matches!(first_word(text), "if" | "not")
}

/// `if c: g <- 0` on one line: what stands before the `:` and behind it, and the byte of the `:`.
pub(super) fn behind_colon(text: &str) -> Option<(&str, &str, usize)> {
    let mut depth = 0usize;
    for (i, c) in text.char_indices() {
        match c {
            '(' | '[' | '{' => depth += 1,
            ')' | ']' | '}' => depth = depth.saturating_sub(1),
            ':' if depth == 0 => return Some((text[..i].trim_end(), text[i + 1..].trim(), i)),
            _ => {}
        }
    }
    None
}
