//! Blocks and comments as other languages write them: `if c:` and indented lines, a body without its `{`, `// text`.
//!
//! Invariant: one message for each; the lines that were meant to be in a block are not read as statements of their own.

use super::{Bracket, Open, Prev, Scanner};
use crate::lang::errors::{habits, syntax as errors};
use crate::lang::parse::classify::first_word;

/// Words whose line ends with a block.
const HEADS: &[&str] = &[
    "if",
    "while",
    "for",
    "each",
    "step",
    "optimizer",
    "transform",
    "problem",
    "def",
];

impl Scanner<'_> {
    /// Is this `:` the end of a line that begins a block?
    pub(super) fn ends_head(&self, at: usize) -> bool {
        let line = self.text[at + 1..].split('\n').next().unwrap_or("").trim_start();
        let current = self.frames.last().and_then(|f| f.current.as_ref());
        let head = current.map_or("", |s| self.text.get(s.start..at).unwrap_or(""));
        !self.inside_values()
            && (line.is_empty() || line.starts_with('#'))
            && HEADS.contains(&first_word(head))
            // `each X:` goes on with a type.
            && (first_word(head) != "each" || head.contains(" in "))
    }

    /// Reports it and passes over the lines that are indented behind it, and those of its `else`.
    pub(super) fn block_by_colon(&mut self, at: usize) -> usize {
        let current = self.frame().current.as_ref().map_or(at, |s| s.start);
        let head: &str = self.text[current..at].trim_end();
        if !self.is_broken() {
            let d = habits::block_by_colon(head, self.span(at, at + 1));
            self.report(d);
        }
        self.break_statement();
        let own = self.frame().statement_indent;
        let mut end = at;
        let mut next = at;
        loop {
            let stop = self.text[next..].find('\n').map_or(self.bytes.len(), |p| next + p);
            let line = self.text[next..stop].trim_start();
            let indent = stop - next - line.len();
            let inside = indent > own || indent == own && matches!(first_word(line), "else" | "elif");
            if next != at && !line.is_empty() && !inside {
                break;
            }
            if next == at || !line.is_empty() {
                end = stop;
            }
            if stop == self.bytes.len() {
                break;
            }
            next = stop + 1;
        }
        self.blank(at, end);
        self.end_token(at, Prev::Operand);
        end
    }

    /// The body of an optimizer or a problem that begins without its `{`: reported, and read as if it stood there.
    pub(super) fn body_without_brace(&mut self, at: usize, word: &str) {
        let Some(s) = self.frames.last().and_then(|f| f.current.as_ref()) else {
            return;
        };
        let begins: &[&str] = match first_word(&self.text[s.start..]) {
            "optimizer" | "transform" => &["state", "each", "step"],
            "problem" => &["var", "minimize", "maximize", "subject"],
            _ => return,
        };
        let indented = self
            .frames
            .last()
            .is_some_and(|f| at - self.line_start > f.statement_indent);
        let unopened = self.frames.len() == 1 && s.blocks.is_empty() && !s.broken && !self.inside_values();
        if !self.fresh || !unopened || !indented || !begins.contains(&word) {
            return;
        }
        let behind = self.last_end;
        let d = errors::unexpected("", "`{` and the body", self.span(behind.saturating_sub(1), behind));
        self.report(d);
        self.deepen(at);
        self.stack.push(Open {
            bracket: Bracket::Block,
            at: behind,
            ifs: 0,
            tokens: 0,
            binders: false,
            missing: true,
        });
        self.frame().newline = false;
        self.open_block(behind);
    }

    /// `// text` up to the end of its line.
    pub(super) fn foreign_comment(&mut self, at: usize) -> usize {
        let behind = !self.fresh && self.frame().prev == Prev::Operand;
        if !self.is_broken() || self.fresh {
            let d = habits::comment(self.span(at, at + 2), behind);
            self.report(d);
        }
        if behind {
            // What it divides may be meant to go on.
            self.break_statement();
        }
        let end = self.text[at..].find('\n').map_or(self.bytes.len(), |p| at + p);
        self.blank(at, end);
        end
    }
}
