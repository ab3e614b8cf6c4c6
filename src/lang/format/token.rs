//! The tokens of a text, comments included, with what their layout depends on.
//!
//! Invariant: every byte that is not blank lies in exactly one token; the scan is linear and never fails.

use std::collections::BTreeSet;

/// What a token is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// A name or a reserved word.
    Word,
    /// A number or a text.
    Literal,
    /// `# …` to the end of its line.
    Comment,
    /// `( [ {`.
    Open,
    /// `) ] }`.
    Close,
    /// `;` between statements, where a line end does as well.
    Separator,
    /// Everything else.
    Sign,
}

/// A token.
#[derive(Clone, Copy, Debug)]
pub struct Token<'t> {
    /// What it is.
    pub kind: Kind,
    /// Its characters; of a comment, without blanks at the end.
    pub text: &'t str,
    /// First byte.
    pub start: usize,
    /// Line ends between the token before and this one.
    pub lines: usize,
    /// Blanks between the token before and this one, if they stand on one line.
    pub gap: usize,
    /// Its column, in characters.
    pub column: usize,
    /// The number of the matching bracket, for brackets.
    pub partner: Option<usize>,
    /// Brackets around binders, `(i in I)`, behind which a body follows.
    pub binders: bool,
    /// A prefix: the minus of `-x`.
    pub prefix: bool,
}

impl Token<'_> {
    /// Does an operand end with it?
    pub fn ends_operand(&self) -> bool {
        match self.kind {
            Kind::Literal => true,
            Kind::Word => !super::spacing::joins(self.text),
            Kind::Close => !self.binders || self.text == "}",
            Kind::Sign => self.text == "'",
            _ => false,
        }
    }
    /// Width in columns.
    pub fn width(&self) -> usize {
        self.text.chars().count()
    }
}

const LONG: &[&str] = &[
    "<=", ">=", "==", "!=", "<-", "->", "|>", "..", ".*", "./", ".^", "**", "&&", "||", ":=",
];

/// The tokens of a text; `blocks` are the bytes of the braces that open blocks.
pub fn tokens<'t>(text: &'t str, blocks: &BTreeSet<usize>) -> Vec<Token<'t>> {
    let bytes = text.as_bytes();
    let mut out: Vec<Token<'_>> = vec![];
    let mut open: Vec<usize> = vec![];
    let (mut at, mut lines, mut line_start, mut last_end) = (0, 0, 0, 0);
    if text.starts_with('\u{feff}') {
        at = 3;
        line_start = 3;
        last_end = 3;
    }
    while at < bytes.len() {
        let b = bytes[at];
        if b == b'\n' {
            lines += 1;
            line_start = at + 1;
        }
        if b.is_ascii_whitespace() || b == 0x0b {
            at += 1;
            continue;
        }
        let (kind, end) = one(text, at);
        let kind = match kind {
            Kind::Sign if b == b';' && open.last().is_none_or(|o| blocks.contains(&out[*o].start)) => Kind::Separator,
            k => k,
        };
        let prefix = b == b'-' && end == at + 1 && !out.last().is_some_and(Token::ends_operand);
        let column = match out.last() {
            // Within a line, columns go on from the token before, so that one long line costs one pass.
            Some(l) if lines == 0 => l.column + text[l.start..at].chars().count(),
            _ => text[line_start..at].chars().count(),
        };
        out.push(Token {
            kind,
            text: text[at..end].trim_end(),
            start: at,
            lines,
            gap: if lines == 0 { at - last_end } else { 0 },
            column,
            partner: None,
            binders: false,
            prefix,
        });
        match kind {
            Kind::Open => open.push(out.len() - 1),
            Kind::Close => {
                if let Some(o) = open.pop() {
                    pair(&mut out, o);
                }
            }
            _ => {}
        }
        lines = 0;
        at = end;
        last_end = end;
    }
    out
}

/// Joins the bracket at `open` with the closing one at the end, and finds out whether they hold binders.
fn pair(out: &mut [Token<'_>], open: usize) {
    let close = out.len() - 1;
    let next = |k: usize| (k + 1..close).find(|k| out[*k].kind != Kind::Comment);
    let names_end = match next(open) {
        Some(k) if out[k].kind == Kind::Word => Some(k),
        Some(k) if out[k].text == "(" => out[k].partner,
        _ => None,
    };
    let binders = names_end.and_then(next).is_some_and(|k| out[k].text == "in");
    for (k, p) in [(open, close), (close, open)] {
        out[k].partner = Some(p);
        out[k].binders = binders;
    }
}

/// Kind and end of the token at a byte.
fn one(text: &str, at: usize) -> (Kind, usize) {
    let bytes = text.as_bytes();
    let rest = &text[at..];
    let until = |wanted: &dyn Fn(char) -> bool| rest.find(|c| !wanted(c)).map_or(text.len(), |p| at + p);
    match bytes[at] {
        b'#' => (Kind::Comment, rest.find('\n').map_or(text.len(), |p| at + p)),
        b'"' => {
            let mut p = at + 1;
            while p < bytes.len() && bytes[p] != b'\n' && bytes[p] != b'"' {
                p += if bytes[p] == b'\\' && bytes.get(p + 1).is_some_and(|b| *b != b'\n') {
                    2
                } else {
                    1
                };
            }
            let p = (p + 1).min(text.len());
            (
                Kind::Literal,
                (p..=text.len())
                    .find(|p| text.is_char_boundary(*p))
                    .unwrap_or(text.len()),
            )
        }
        b'0'..=b'9' => {
            let mut p = at;
            while p < bytes.len() {
                let b = bytes[p];
                let exponent = matches!(b, b'+' | b'-') && matches!(bytes[p - 1], b'e' | b'E');
                let point = b == b'.' && bytes.get(p + 1).is_some_and(u8::is_ascii_digit);
                if !(b.is_ascii_alphanumeric() || b == b'_' || exponent || point) {
                    break;
                }
                p += 1;
            }
            (Kind::Literal, p)
        }
        b'(' | b'[' | b'{' => (Kind::Open, at + 1),
        b')' | b']' | b'}' => (Kind::Close, at + 1),
        b if b == b'_' || b.is_ascii_alphabetic() || b >= 0x80 => {
            let end = until(&|c| c == '_' || c.is_alphanumeric());
            if end > at {
                (Kind::Word, end)
            } else {
                (Kind::Sign, at + rest.chars().next().map_or(1, char::len_utf8))
            }
        }
        _ if LONG.iter().any(|l| rest.starts_with(l)) => (Kind::Sign, at + 2),
        _ => (Kind::Sign, at + 1),
    }
}
