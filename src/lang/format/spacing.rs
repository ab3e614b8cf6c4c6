//! Blanks between two tokens of a line.
//!
//! Invariant: the answer depends on the tokens and on whether there was a blank, never on how many.

use super::Structure;
use super::token::{Kind, Token};
use crate::lang::parse::is_reserved;

/// How far a sign looks around itself for `..`, which it is written tightly beside.
const NEAR: usize = 24;

/// Words after which an operand begins.
pub fn joins(word: &str) -> bool {
    is_reserved(word) && !matches!(word, "true" | "false" | "inf")
}

/// Words that begin a clause in some places and are names elsewhere: the blank before a bracket is left as it is.
const SOMETIMES: &[&str] = &["when", "over", "at", "on", "of", "record", "value"];

/// Is there a blank between tokens `k - 1` and `k`, which stand on one line?
pub fn blank(tokens: &[Token<'_>], structure: &Structure, k: usize) -> bool {
    let (prev, next) = (&tokens[k - 1], &tokens[k]);
    if next.kind == Kind::Comment || structure.opens.contains(&k) {
        return true;
    }
    if structure.opens.contains(&(k - 1)) || structure.closes.contains(&k) {
        // `{}` is tight.
        return !(structure.opens.contains(&(k - 1)) && structure.closes.contains(&k));
    }
    if structure.verbatim.contains(&k) {
        return next.gap > 0;
    }
    if prev.kind == Kind::Open || next.kind == Kind::Close || prev.prefix {
        return false;
    }
    match (prev.text, next.text) {
        (_, "," | ";" | "'" | ".") | (".", _) => return false,
        (before, ":") => return before == ",",
        (":", _) => return next.text != ",",
        ("," | ";", _) => return true,
        _ => {}
    }
    if next.kind == Kind::Sign && !next.prefix {
        return around(tokens, k);
    }
    if prev.kind == Kind::Sign && prev.text != "'" {
        return around(tokens, k - 1);
    }
    if next.kind != Kind::Open {
        return true;
    }
    // A bracket behind a word or another bracket: a call and a subscript are tight.
    match prev.kind {
        Kind::Word if SOMETIMES.contains(&prev.text) => next.gap > 0 || next.lines > 0,
        Kind::Word => joins(prev.text) || next.text == "{",
        Kind::Close if prev.binders => true,
        Kind::Close if next.text == "(" => next.gap > 0 || next.lines > 0,
        _ => next.text == "{" || prev.kind == Kind::Literal,
    }
}

/// Are there blanks around the infix sign `k`?
fn around(tokens: &[Token<'_>], k: usize) -> bool {
    // A line end beside the sign says nothing: a layout may have put it there.
    let apart = |k: usize| tokens.get(k).is_some_and(|t| t.gap > 0);
    match tokens[k].text {
        ".." | "^" | ".^" => false,
        "*" | "/" | "%" | ".*" | "./" => apart(k) || apart(k + 1),
        "+" | "-" => apart(k) || apart(k + 1) || !(in_subscript(tokens, k) || beside_range(tokens, k)),
        _ => true,
    }
}

/// Does the sign stand in the brackets of `x[…]` or of a type?
fn in_subscript(tokens: &[Token<'_>], k: usize) -> bool {
    let mut at = k;
    for _ in 0..NEAR {
        let Some(before) = at.checked_sub(1) else { return false };
        at = before;
        match tokens[at].kind {
            Kind::Open => {
                return tokens[at].text == "[" && at > 0 && tokens[at - 1].ends_operand() && !tokens[at].binders;
            }
            Kind::Close => match tokens[at].partner {
                Some(p) => at = p,
                None => return false,
            },
            _ => {}
        }
    }
    false
}

/// Does the sign stand in an end of `lo..hi`?
fn beside_range(tokens: &[Token<'_>], k: usize) -> bool {
    let stops = |t: &Token<'_>| {
        t.kind == Kind::Separator
            || t.kind == Kind::Comment
            || t.kind == Kind::Word && joins(t.text)
            || matches!(t.text, "," | ";" | "=" | ":" | "<=" | ">=" | "==" | "!=" | "<" | ">")
    };
    let mut at = k;
    for _ in 0..NEAR {
        at = match at.checked_sub(1) {
            Some(b) if tokens[b].kind == Kind::Close => match tokens[b].partner {
                Some(p) => p,
                None => break,
            },
            Some(b) if tokens[b].text == ".." => return true,
            Some(b) if tokens[b].kind != Kind::Open && !stops(&tokens[b]) => b,
            _ => break,
        };
    }
    at = k + 1;
    for _ in 0..NEAR {
        at = match tokens.get(at) {
            Some(t) if t.kind == Kind::Open => match t.partner {
                Some(p) => p + 1,
                None => break,
            },
            Some(t) if t.text == ".." => return true,
            Some(t) if t.kind != Kind::Close && !stops(t) => at + 1,
            _ => break,
        };
    }
    false
}
