//! Characters outside of the language: those with an ASCII form are read as that form after their message.
//!
//! Invariant: a whole character is replaced by as many bytes of ASCII.

use super::{Prev, Scanner};
use crate::lang::errors::syntax as errors;
use crate::lang::parse::lexicon::{ascii_form, subscript, superscript};

impl Scanner<'_> {
    pub(super) fn unknown(&mut self, at: usize, end: usize) {
        self.begin_token(at, "");
        if !self.is_broken() {
            let d = errors::unknown_character(&self.text[at..end], self.span(at, end));
            self.report(d);
        }
        self.break_statement();
        self.blank(at, end);
        self.end_token(end, Prev::Operand);
    }

    pub(super) fn unicode(&mut self, at: usize) -> usize {
        let Some(c) = self.text[at..].chars().next() else {
            return at + 1;
        };
        let mut end = at + c.len_utf8();
        if c.is_whitespace() || matches!(c, '\u{200b}' | '\u{200c}' | '\u{200d}' | '\u{2060}' | '\u{feff}') {
            self.blank(at, end);
            return end;
        }
        let (digit, sub) = (superscript(c), subscript(c));
        if digit.is_some() || sub.is_some() {
            let mut form = if digit.is_some() {
                String::from("^")
            } else {
                String::new()
            };
            form.extend(digit.or(sub));
            while let Some(n) = self.text[end..].chars().next() {
                let next = if digit.is_some() { superscript(n) } else { subscript(n) };
                let Some(next) = next else { break };
                form.push(next);
                end += n.len_utf8();
            }
            let prev = self.frame().prev;
            self.begin_token(at, "");
            self.replace(at, end, &form);
            self.end_token(end, prev);
            return end;
        }
        if let Some(form) = ascii_form(c) {
            let quote = form == "\"";
            let word = form.bytes().all(|b| b.is_ascii_alphabetic());
            self.begin_token(at, if word { form } else { "" });
            let fits = form.len() <= end - at && !quote;
            let after_space = at == 0 || self.mask[at - 1] == b' ' || self.mask[at - 1] == b'(';
            if fits && (!word || after_space && (form.len() < end - at || self.bytes.get(end) == Some(&b' '))) {
                self.replace(at, end, form);
            } else {
                if !self.is_broken() {
                    let d = errors::ascii_form(&self.text[at..end], form, self.span(at, end));
                    self.report(d);
                }
                self.break_statement();
                self.blank(at, end);
                if quote {
                    end = self.text[end..].find('\n').map_or(self.bytes.len(), |p| end + p);
                    self.blank(at, end);
                }
            }
            let operand = matches!(form, "'" | ")" | "inf" | "\"") || form.starts_with('0');
            self.end_token(end, if operand { Prev::Operand } else { Prev::Open });
            return end;
        }
        if c.is_alphabetic() {
            return self.word(at);
        }
        self.unknown(at, end);
        end
    }

    /// Reports a character with an ASCII form and reads on as if that form stood there.
    fn replace(&mut self, at: usize, end: usize, form: &str) {
        if !self.is_broken() {
            let d = errors::ascii_form(&self.text[at..end], form, self.span(at, end));
            self.report(d);
        }
        self.blank(at, end);
        self.mask[at..at + form.len()].copy_from_slice(form.as_bytes());
        if !form.is_ascii() || matches!(form, "(" | ")" | ";") {
            self.blank(at, end);
            self.break_statement();
        }
    }
}
