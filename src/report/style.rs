//! Colours of a terminal, and text made safe to print.
//!
//! Invariant: without colour, painting changes nothing.

use unicode_width::UnicodeWidthChar;

/// Paints or does not.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Paint {
    /// Are colours wanted?
    pub on: bool,
}

impl Paint {
    /// No colours: pipes and goldens.
    pub const PLAIN: Paint = Paint { on: false };
    /// ANSI colours.
    pub const COLOUR: Paint = Paint { on: true };

    fn wrap(self, codes: &str, text: &str) -> String {
        if self.on && !text.is_empty() {
            format!("\x1b[{codes}m{text}\x1b[0m")
        } else {
            text.to_string()
        }
    }
    /// Headings.
    pub fn strong(self, text: &str) -> String {
        self.wrap("1", text)
    }
    /// Secondary words and frames.
    pub fn faint(self, text: &str) -> String {
        self.wrap("2", text)
    }
    /// Errors, failures.
    pub fn bad(self, text: &str) -> String {
        self.wrap("1;31", text)
    }
    /// Warnings.
    pub fn warn(self, text: &str) -> String {
        self.wrap("1;33", text)
    }
    /// Advice, secondary places.
    pub fn calm(self, text: &str) -> String {
        self.wrap("34", text)
    }
    /// Successes.
    pub fn good(self, text: &str) -> String {
        self.wrap("1;32", text)
    }
    /// The user's own names.
    pub fn name(self, text: &str) -> String {
        self.wrap("36", text)
    }
}

/// Columns that a character takes in a terminal; 0 for combining marks.
pub fn char_width(c: char) -> usize {
    c.width().unwrap_or(0)
}

/// Columns that a text takes in a terminal.
pub fn width(text: &str) -> usize {
    text.chars().map(char_width).sum()
}

/// Would the character act on the terminal or on the order of the text instead of being seen?
pub fn is_unsafe(c: char) -> bool {
    c.is_control() || matches!(c, '\u{200e}' | '\u{200f}' | '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}')
}

/// The text with characters that would act on the terminal replaced by `�`; line ends are kept.
pub fn printable(text: &str) -> String {
    let safe = |c: char| {
        if !matches!(c, '\n' | '\t') && is_unsafe(c) {
            '\u{fffd}'
        } else {
            c
        }
    };
    text.chars().map(safe).collect()
}

/// The text padded with blanks to a number of columns, at its right or at its left end.
pub fn pad(text: &str, columns: usize, right: bool) -> String {
    let blanks = " ".repeat(columns.saturating_sub(width(text)));
    if right {
        blanks + text
    } else {
        text.to_string() + &blanks
    }
}
