//! The scan before the grammar: splits statements, masks what is not program text, counts nesting.
//!
//! Invariant: the masked text has the length of the source, byte for byte, so every place in it is a place in the
//! source; one pass, linear in the source, and nothing here recurses.

use crate::base::{Diagnostic, Diagnostics, SourceId, Span};
use crate::lang::errors::{habits, syntax as errors};
use crate::lang::syntax::MAX_DEPTH;

use super::classify::{is_assignment, keeps_answer};
use super::lexicon::{CONTINUES, OUTSIDE_ONLY, STATEMENT_WORDS, is_reserved, subscript, superscript};

mod blocks;
mod ending;
mod unicode;

pub use ending::{Ending, Whereabouts, ending, whereabouts};

/// Messages kept of one text.
pub const MAX_MESSAGES: usize = 100;

/// A statement before the grammar has seen it.
#[derive(Debug, Default)]
pub struct RawStmt {
    /// First byte.
    pub start: usize,
    /// One past the last byte.
    pub end: usize,
    /// Blocks in braces, in order.
    pub blocks: Vec<RawBlock>,
    /// The documentation comment above it.
    pub docs: Option<String>,
    /// A mistake in it has been reported: no further message about it.
    pub broken: bool,
}

/// A block in braces.
#[derive(Debug)]
pub struct RawBlock {
    /// The byte of `{`.
    pub open: usize,
    /// The byte of `}`, or the end of the text that was given to it.
    pub close: usize,
    /// What it holds.
    pub statements: Vec<RawStmt>,
}

/// What the scan yields.
pub struct Scan {
    /// The source with everything that is not program text made spaces.
    pub masked: String,
    /// Top-level statements.
    pub statements: Vec<RawStmt>,
}

/// The kind of the last token, as far as the rules about lines and spaces need it.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Prev {
    /// Nothing yet in this statement.
    Nothing,
    /// Something that may end an operand.
    Operand,
    /// A word that begins or joins clauses and needs something after it, an operator, `,` `=` `:`.
    Open,
    /// Another word or mark after which a line may end.
    Other,
    /// The word `subject`, after which `to` is complete.
    Subject,
    /// A single `.`: the next word is a field.
    Dot,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Bracket {
    Paren,
    Square,
    Values,
    Block,
}

struct Open {
    bracket: Bracket,
    at: usize,
    /// `if`s without their `else` yet.
    ifs: usize,
    /// Tokens since it was opened, itself included.
    tokens: usize,
    /// Does it hold binders, `(i in I)`, so that a body follows it?
    binders: bool,
    /// The `{` of a block is missing, which was said.
    missing: bool,
}

/// A list of statements being collected: the file, or a block.
struct Frame {
    statements: Vec<RawStmt>,
    current: Option<RawStmt>,
    prev: Prev,
    /// A line end was seen since the last token.
    newline: bool,
    /// Does a value brace open here (after a name) a block?
    block_may_open: bool,
    /// Indentation of the line that opened this block, and whether it is in the body of a problem or an optimizer.
    indent: usize,
    body: bool,
    ifs: usize,
    /// Indentation of the line on which the current statement begins.
    statement_indent: usize,
}

impl Frame {
    fn new(indent: usize, body: bool) -> Self {
        Frame {
            statements: vec![],
            current: None,
            prev: Prev::Nothing,
            newline: false,
            block_may_open: false,
            indent,
            body,
            ifs: 0,
            statement_indent: 0,
        }
    }
}

struct Scanner<'a> {
    text: &'a str,
    bytes: &'a [u8],
    mask: Vec<u8>,
    source: SourceId,
    diagnostics: &'a mut Diagnostics,
    frames: Vec<Frame>,
    stack: Vec<Open>,
    depth: usize,
    docs: Vec<&'a str>,
    line_start: usize,
    /// No token yet on this line.
    fresh: bool,
    /// Spaces before the first token of this line.
    indent: usize,
    /// End of the last token.
    last_end: usize,
}

/// Scans a text.
pub fn scan(source: SourceId, text: &str, diagnostics: &mut Diagnostics) -> Scan {
    let mut s = Scanner::new(source, text, diagnostics);
    s.run();
    let statements = s.frames.pop().map(|f| f.statements).unwrap_or_default();
    // Only whole characters are replaced, by ASCII ones, so this is UTF-8.
    let masked = String::from_utf8(s.mask).unwrap_or_default();
    Scan { masked, statements }
}

impl<'a> Scanner<'a> {
    fn new(source: SourceId, text: &'a str, diagnostics: &'a mut Diagnostics) -> Self {
        Scanner {
            text,
            bytes: text.as_bytes(),
            mask: text.as_bytes().to_vec(),
            source,
            diagnostics,
            frames: vec![Frame::new(0, false)],
            stack: vec![],
            depth: 0,
            docs: vec![],
            line_start: 0,
            fresh: true,
            indent: 0,
            last_end: 0,
        }
    }

    fn span(&self, start: usize, end: usize) -> Span {
        Span::new(self.source, start, end)
    }

    /// Keeps a message, up to a number that nobody reads on from.
    fn report(&mut self, d: Diagnostic) {
        if self.diagnostics.len() < MAX_MESSAGES {
            self.diagnostics.push(d);
        }
    }

    fn frame(&mut self) -> &mut Frame {
        if self.frames.is_empty() {
            self.frames.push(Frame::new(0, false));
        }
        let last = self.frames.len() - 1;
        &mut self.frames[last]
    }

    /// Is the innermost open bracket one that line ends do not matter in?
    fn inside_values(&self) -> bool {
        self.stack.last().is_some_and(|o| o.bracket != Bracket::Block)
    }

    fn blank(&mut self, start: usize, end: usize) {
        self.mask[start..end].fill(b' ');
    }

    fn is_broken(&mut self) -> bool {
        self.frame().current.as_ref().is_some_and(|s| s.broken)
    }

    fn break_statement(&mut self) {
        if let Some(s) = &mut self.frame().current {
            s.broken = true;
        }
    }

    fn run(&mut self) {
        self.walk();
        self.finish();
    }

    /// Reads every token.
    fn walk(&mut self) {
        let mut at = if self.text.starts_with('\u{feff}') {
            self.blank(0, 3);
            3
        } else {
            0
        };
        while at < self.bytes.len() {
            at = self.step(at);
        }
    }

    /// Reads one token (or space) at a byte and returns the byte after it.
    fn step(&mut self, at: usize) -> usize {
        let b = self.bytes[at];
        match b {
            b'\n' => {
                self.mask[at] = b' ';
                if !self.inside_values() {
                    self.frame().newline = true;
                }
                self.line_start = at + 1;
                self.fresh = true;
                at + 1
            }
            b' ' | b'\t' => at + 1,
            b'\r' | 0x0b | 0x0c => {
                self.mask[at] = b' ';
                at + 1
            }
            b'#' => self.comment(at),
            b'"' => self.text_literal(at),
            b'0'..=b'9' => self.number(at),
            b'_' | b'a'..=b'z' | b'A'..=b'Z' => self.word(at),
            b'(' | b'[' | b'{' => self.open(at, b),
            b')' | b']' | b'}' => self.close(at, b),
            b';' => self.semicolon(at),
            b':' if self.ends_head(at) => self.block_by_colon(at),
            b'/' if self.bytes[at..].starts_with(b"//") => self.foreign_comment(at),
            _ if b < 0x80 => self.operator(at),
            _ => self.unicode(at),
        }
    }

    fn comment(&mut self, at: usize) -> usize {
        let end = self.text[at..].find('\n').map_or(self.bytes.len(), |p| at + p);
        if self.fresh && self.bytes[at..].starts_with(b"##") {
            let text = self.text[at..end].trim_start_matches('#').trim_end();
            self.docs.push(text.strip_prefix(' ').unwrap_or(text));
        }
        self.blank(at, end);
        end
    }

    fn text_literal(&mut self, at: usize) -> usize {
        self.begin_token(at, "");
        let mut p = at + 1;
        while p < self.bytes.len() && self.bytes[p] != b'\n' {
            match self.bytes[p] {
                b'"' => {
                    self.end_token(p + 1, Prev::Operand);
                    self.frame().block_may_open = self.heads_block();
                    return p + 1;
                }
                b'\\' if p + 1 < self.bytes.len() && self.bytes[p + 1] != b'\n' => p += 2,
                _ => p += 1,
            }
        }
        let p = p.min(self.bytes.len());
        if !self.is_broken() {
            let d = errors::text_not_closed(self.span(at, p));
            self.report(d);
        }
        self.break_statement();
        self.blank(at, p);
        self.end_token(p, Prev::Operand);
        p
    }

    fn number(&mut self, at: usize) -> usize {
        self.begin_token(at, "");
        let mut p = at;
        while p < self.bytes.len() {
            let b = self.bytes[p];
            let exponent = matches!(b, b'+' | b'-') && matches!(self.bytes[p - 1], b'e' | b'E');
            let point = b == b'.' && self.bytes.get(p + 1).is_some_and(u8::is_ascii_digit);
            if b.is_ascii_alphanumeric() || b == b'_' || exponent || point {
                p += 1;
            } else {
                break;
            }
        }
        self.end_token(p, Prev::Operand);
        self.frame().block_may_open = self.heads_block();
        p
    }

    /// Is the current statement one whose condition or range a block follows: `while c {`, `for k in 1..3 {`, `sweep k in 1..3 {`?
    fn heads_block(&self) -> bool {
        let Some(s) = self.frames.last().and_then(|f| f.current.as_ref()) else {
            return false;
        };
        let text = &self.text[s.blocks.last().map_or(s.start, |b| b.close + 1)..];
        let command = match text.split_once('=') {
            Some((_, right)) if is_assignment(text) => right.trim_start(),
            _ => text,
        };
        if command.starts_with("sweep ") {
            return s.blocks.is_empty();
        }
        let text = text.trim_start().trim_start_matches("else ").trim_start();
        // At the top level there are loops over a set only.
        let heads: &[&str] = match self.frames.len() {
            1 => &["for "],
            _ => &["if ", "if(", "while ", "while(", "for ", "each "],
        };
        heads.iter().any(|h| text.starts_with(h))
    }

    fn word(&mut self, at: usize) -> usize {
        let end = self.text[at..]
            .char_indices()
            .find(|(_, c)| !(*c == '_' || c.is_alphanumeric() && superscript(*c).is_none() && subscript(*c).is_none()))
            .map_or(self.bytes.len(), |(p, _)| at + p);
        let text: &'a str = self.text;
        let word = &text[at..end];
        let field = self.frame().prev == Prev::Dot;
        // An argument or a label of that name: `seed: 3`.
        let named = text[end..].trim_start_matches([' ', '\t']).starts_with(':');
        let plain = field || named || !is_reserved(word);
        if !plain {
            self.recover_at(at, word);
        } else if self.frames.len() > 1 && self.fresh && keeps_answer(&text[at..]) {
            self.recover_at(at, "solve");
        }
        self.body_without_brace(at, word);
        let at_start = self.begin_token(at, if plain { "" } else { word });
        if at_start && word == "extern" {
            return self.skip_extern(at);
        }
        if !plain && word == "if" {
            self.deepen(at);
            match self.stack.last_mut() {
                Some(o) if o.bracket != Bracket::Block => o.ifs += 1,
                _ => self.frame().ifs += 1,
            }
        } else if !plain && word == "else" {
            let ifs = match self.stack.last_mut() {
                Some(o) if o.bracket != Bracket::Block => &mut o.ifs,
                _ => &mut self.frame().ifs,
            };
            if *ifs > 0 {
                *ifs -= 1;
                self.depth -= 1;
            }
        }
        if !plain
            && word == "in"
            && let Some(o) = self.stack.last_mut()
        {
            o.binders |= o.tokens == 2;
        }
        let prev = self.frame().prev;
        let kind = if plain {
            // Between operands `div` is the operator.
            if word == "div" && prev == Prev::Operand {
                Prev::Open
            } else {
                Prev::Operand
            }
        } else {
            match word {
                "true" | "false" | "inf" => Prev::Operand,
                "subject" => Prev::Subject,
                "to" if prev == Prev::Subject => Prev::Other,
                "if" | "not" | "minimize" | "maximize" => Prev::Open,
                w if CONTINUES.contains(&w) => Prev::Open,
                _ => Prev::Other,
            }
        };
        self.end_token(end, kind);
        let value = matches!(word, "true" | "false" | "inf") && self.heads_block();
        self.frame().block_may_open = plain || value || word == "with" || word == "else";
        end
    }

    /// A line that begins with the word of a statement shows that brackets before it were forgotten.
    fn recover_at(&mut self, at: usize, word: &str) {
        if !self.fresh || self.line_start == 0 || !STATEMENT_WORDS.contains(&word) {
            return;
        }
        let mut reported = false;
        while self.inside_values() {
            if let Some(open) = self.stack.pop() {
                self.depth = self.depth.saturating_sub(1 + open.ifs);
                if !reported && !self.is_broken() {
                    reported = true;
                    let d = errors::not_closed(self.bytes[open.at] as char, self.span(open.at, open.at + 1));
                    self.report(d);
                }
            }
            self.frame().newline = true;
            self.frame().prev = Prev::Other;
        }
        if reported {
            self.break_statement();
        }
        let indent = at - self.line_start;
        let mut said = false;
        // A line as far to the left as one that opened a block inside of another may still be meant to stand in it.
        let outside = |s: &Self| {
            let nested = usize::from(s.frames.len() > 2);
            s.frames.len() > 1 && s.frames.last().is_some_and(|f| f.body && indent + nested <= f.indent)
        };
        while OUTSIDE_ONLY.contains(&word) && outside(self) {
            let Some(open) = self.stack.pop() else { break };
            if !open.missing && !said {
                said = true;
                let d = errors::not_closed('{', self.span(open.at, open.at + 1));
                self.report(d);
            }
            self.depth = self.depth.saturating_sub(1);
            self.close_block(self.last_end);
            self.frame().newline = true;
        }
    }

    /// Native code: its text ends at a line that holds only `}`, indented like `extern`.
    fn skip_extern(&mut self, at: usize) -> usize {
        let indent = at - self.line_start;
        let mut p = self.text[at..].find('\n').map_or(self.bytes.len(), |q| at + q + 1);
        let mut end = self.bytes.len();
        while p < self.bytes.len() {
            let stop = self.text[p..].find('\n').map_or(self.bytes.len(), |q| p + q);
            let line = &self.text[p..stop];
            if line.trim() == "}" && line.len() - line.trim_start().len() == indent {
                end = stop;
                break;
            }
            p = stop + 1;
        }
        self.blank(at + "extern".len(), end);
        self.end_token(end, Prev::Other);
        self.end_statement();
        end
    }

    fn open(&mut self, at: usize, b: u8) -> usize {
        let head = |s: &RawStmt| {
            let text = &self.text[s.start..];
            let heads = ["problem ", "fn ", "optimizer ", "transform "];
            s.blocks.is_empty() && heads.iter().any(|h| text.starts_with(h))
        };
        if b == b'{' && self.frames.last().and_then(|f| f.current.as_ref()).is_some_and(head) && self.frame().newline {
            // The brace of a body on a line of its own.
            self.frame().newline = false;
            self.frame().block_may_open = true;
        } else if self.frame().newline {
            self.frame().block_may_open = false;
        }
        self.begin_token(at, "");
        let bracket = match b {
            b'(' => Bracket::Paren,
            b'[' => Bracket::Square,
            _ if !self.inside_values() && self.frame().block_may_open && self.depth < MAX_DEPTH => Bracket::Block,
            _ => Bracket::Values,
        };
        self.deepen(at);
        self.stack.push(Open {
            bracket,
            at,
            ifs: 0,
            tokens: 0,
            binders: false,
            missing: false,
        });
        self.end_token(at + 1, Prev::Other);
        if bracket == Bracket::Block {
            self.open_block(at);
        }
        at + 1
    }

    /// Collects statements into a block from here on.
    fn open_block(&mut self, at: usize) {
        let start = self.frame().current.as_ref().map_or(at, |s| s.start);
        let heads = ["problem", "optimizer", "transform"];
        let body = self.frame().body || heads.iter().any(|h| self.text[start..].starts_with(h));
        let indent = self.frame().statement_indent;
        if let Some(s) = &mut self.frame().current {
            s.blocks.push(RawBlock {
                open: at,
                close: at + 1,
                statements: vec![],
            });
        }
        self.frames.push(Frame::new(indent, body));
    }

    fn close(&mut self, at: usize, b: u8) -> usize {
        let matches = |o: Bracket| match b {
            b')' => o == Bracket::Paren,
            b']' => o == Bracket::Square,
            _ => o == Bracket::Values || o == Bracket::Block,
        };
        // A `}` ends a block even if a bracket inside it was forgotten, and so on outwards.
        let found = self.stack.iter().rposition(|o| matches(o.bracket));
        let Some(found) = found else {
            self.begin_token(at, "");
            if !self.is_broken() {
                let d = errors::closes_nothing(b as char, self.span(at, at + 1));
                self.report(d);
            }
            self.break_statement();
            self.blank(at, at + 1);
            self.end_token(at + 1, Prev::Operand);
            return at + 1;
        };
        if found + 1 < self.stack.len() {
            let (inner, outer) = (self.stack[self.stack.len() - 1].at, b as char);
            if !self.is_broken() {
                let d = errors::closed_by_another(
                    self.bytes[inner] as char,
                    self.span(inner, inner + 1),
                    outer,
                    self.span(at, at + 1),
                );
                self.report(d);
            }
            self.break_statement();
        }
        let mut binders = false;
        while self.stack.len() > found {
            let Some(open) = self.stack.pop() else { break };
            binders = open.binders;
            self.depth = self.depth.saturating_sub(1 + open.ifs);
            if open.bracket == Bracket::Block {
                self.close_block(at);
            } else if self.stack.len() == found {
                self.begin_token(at, "");
            }
        }
        // A body follows binders: they end no operand.
        let kind = if binders && b != b'}' {
            Prev::Open
        } else {
            Prev::Operand
        };
        self.end_token(at + 1, kind);
        self.frame().block_may_open = true;
        at + 1
    }

    /// Gives the innermost frame's statements to the block they stand in.
    fn close_block(&mut self, at: usize) {
        self.end_statement();
        if self.frames.len() < 2 {
            return;
        }
        let Some(inner) = self.frames.pop() else { return };
        if let Some(block) = self.frame().current.as_mut().and_then(|s| s.blocks.last_mut()) {
            block.close = at;
            block.statements = inner.statements;
        }
    }

    fn semicolon(&mut self, at: usize) -> usize {
        if !self.inside_values() {
            self.end_statement();
            self.last_end = at + 1;
        } else {
            self.end_token(at + 1, Prev::Open);
        }
        at + 1
    }

    fn operator(&mut self, at: usize) -> usize {
        let rest = &self.bytes[at..];
        let long: &[&[u8]] = &[
            b"<=", b">=", b"==", b"!=", b"<-", b"->", b"|>", b"..", b".*", b"./", b".^", b"**", b"&&", b"||", b":=",
        ];
        let two = long.iter().find(|t| rest.starts_with(t)).copied();
        let len = if two.is_some() { 2 } else { 1 };
        let end = at + len;
        let token = &self.text[at..end];
        match token {
            "'" => {
                self.begin_token(at, "");
                self.end_token(end, Prev::Operand);
                self.frame().block_may_open = true;
            }
            "." => {
                self.begin_token(at, "");
                self.end_token(end, Prev::Dot);
            }
            "-" => {
                self.begin_token(at, "-");
                let spaced_before = at > 0 && matches!(self.mask[at - 1], b' ' | b'\t');
                let tight_after = self.bytes.get(end).is_some_and(|b| !b.is_ascii_whitespace());
                let square = self.stack.last().is_some_and(|o| o.bracket == Bracket::Square);
                if square && spaced_before && tight_after && self.frame().prev == Prev::Operand {
                    let d = errors::uneven_spacing(self.span(at, end), self.span(self.last_end, at));
                    self.report(d);
                }
                self.end_token(end, Prev::Open);
            }
            "**" => {
                self.begin_token(at, token);
                if !self.is_broken() {
                    let d = habits::power(self.span(at, end), self.frames.len() > 2);
                    self.report(d);
                }
                // Right for numbers and arrays.
                self.mask[at..end].copy_from_slice(b".^");
                self.end_token(end, Prev::Open);
            }
            "@" if self.frame().prev != Prev::Operand => self.unknown(at, end),
            "&&" | "||" | ":=" | "!" | "@" => {
                self.begin_token(at, token);
                let form = match token {
                    "&&" => "and",
                    "||" => "or",
                    ":=" => "=",
                    "@" => "*",
                    _ => "not",
                };
                if !self.is_broken() {
                    let d = errors::foreign_operator(token, form, self.span(at, end));
                    self.report(d);
                }
                self.break_statement();
                self.blank(at, end);
                self.end_token(end, Prev::Open);
            }
            "<=" | ">=" | "==" | "!=" | "<-" | "->" | "|>" | ".." | ".*" | "./" | ".^" | "+" | "*" | "/" | "%"
            | "^" | "\\" | "<" | ">" | "," | "=" | ":" => {
                self.begin_token(at, token);
                self.end_token(end, Prev::Open);
            }
            _ => self.unknown(at, end),
        }
        end
    }

    fn deepen(&mut self, at: usize) {
        self.depth += 1;
        if self.depth == MAX_DEPTH + 1 && !self.is_broken() {
            let d = errors::too_deep(self.span(at, at + 1));
            self.report(d);
        }
        if self.depth > MAX_DEPTH {
            for f in &mut self.frames {
                if let Some(s) = &mut f.current {
                    s.broken = true;
                }
            }
        }
    }

    /// Called before a token that begins at a byte: decides whether it begins a statement. `token` is the operator or
    /// the reserved word. Answers whether it begins one.
    fn begin_token(&mut self, at: usize, token: &str) -> bool {
        if self.fresh {
            self.indent = at - self.line_start;
        }
        let mut begins = false;
        if !self.inside_values() {
            let newline = std::mem::take(&mut self.frame().newline);
            let after_equals = self.last_end > 0 && self.mask[self.last_end - 1] == b'=';
            // A line that begins a statement ends an unfinished one, except `s =` above `solve …`.
            let command = matches!(token, "solve" | "sweep" | "compare" | "inspect" | "diagnose" | "plot");
            let fresh_statement = newline && STATEMENT_WORDS.contains(&token) && !(after_equals && command);
            let unfinished = self.frame().prev == Prev::Open && self.frame().current.is_some() && !fresh_statement;
            if token == "-" && self.fresh && !unfinished && (newline || self.line_start == 0) {
                self.start_if_none(at);
                if !self.is_broken() {
                    let (operand, text) = self.operand_after(at + 1);
                    let d = errors::begins_with_minus(self.span(at, at + 1), operand, text);
                    self.report(d);
                }
                self.break_statement();
            } else if newline && self.frame().current.is_some() && !unfinished && !self.continues(at, token) {
                self.end_statement();
            }
            begins = self.start_if_none(at);
        }
        begins
    }

    /// Does a line that begins with this token go on with the statement above it?
    fn continues(&self, at: usize, token: &str) -> bool {
        match token {
            "for" => {
                // `for k in` begins a loop, `for 3 steps` ends a stage.
                let mut words = self.text[at + 3..].split_whitespace();
                let name = words.next().unwrap_or("");
                let is_name = name.chars().next().is_some_and(|c| c.is_alphabetic() || c == '_');
                !(is_name && words.next() == Some("in"))
            }
            "=" | ":" | "," | "" | "!" | ":=" => false,
            t if t.bytes().all(|b| b.is_ascii_alphabetic()) => CONTINUES.contains(&t),
            _ => true,
        }
    }

    /// The operand after a minus, for the message: up to a space or an operator.
    fn operand_after(&self, at: usize) -> (Span, &'a str) {
        let line = self.text[at..].split('\n').next().unwrap_or("");
        let at = at + (line.len() - line.trim_start().len());
        let line = line.trim_start();
        let mut depth = 0usize;
        let mut end = at;
        for (i, c) in line.char_indices() {
            match c {
                '(' | '[' => depth += 1,
                ')' | ']' if depth > 0 => depth -= 1,
                _ if depth > 0 || c.is_alphanumeric() || matches!(c, '_' | '.' | '\'') => {}
                _ => break,
            }
            end = at + i + c.len_utf8();
        }
        (self.span(at, end), &self.text[at..end])
    }

    fn start_if_none(&mut self, at: usize) -> bool {
        if self.frame().current.is_some() {
            return false;
        }
        let docs = std::mem::take(&mut self.docs);
        let docs = (!docs.is_empty()).then(|| docs.join("\n"));
        let indent = self.indent;
        let frame = self.frame();
        frame.current = Some(RawStmt {
            start: at,
            end: at,
            docs,
            ..RawStmt::default()
        });
        frame.prev = Prev::Nothing;
        frame.statement_indent = indent;
        true
    }

    fn end_token(&mut self, end: usize, kind: Prev) {
        self.last_end = end;
        self.fresh = false;
        if let Some(o) = self.stack.last_mut() {
            o.tokens += 1;
        }
        let frame = self.frame();
        frame.prev = kind;
        frame.block_may_open = false;
        if let Some(s) = &mut frame.current {
            s.end = end;
        }
    }

    fn end_statement(&mut self) {
        let ifs = std::mem::take(&mut self.frame().ifs);
        self.depth = self.depth.saturating_sub(ifs);
        let frame = self.frame();
        frame.prev = Prev::Nothing;
        frame.newline = false;
        if let Some(s) = frame.current.take() {
            frame.statements.push(s);
        }
    }

    fn finish(&mut self) {
        let mut reported = false;
        while let Some(open) = self.stack.pop() {
            if open.bracket == Bracket::Block {
                if !reported && !open.missing {
                    let d = errors::not_closed('{', self.span(open.at, open.at + 1));
                    self.report(d);
                    reported = true;
                }
                self.close_block(self.bytes.len());
            } else if !reported && !self.is_broken() {
                let d = errors::not_closed(self.bytes[open.at] as char, self.span(open.at, open.at + 1));
                self.report(d);
                reported = true;
                self.break_statement();
            }
        }
        while self.frames.len() > 1 {
            self.close_block(self.bytes.len());
        }
        self.end_statement();
    }
}
