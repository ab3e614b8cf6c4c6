//! Where a text stops: between statements, or in the middle of one.
//!
//! Invariant: knows what can be known without the next line: open brackets, and a last token after which something must
//! follow (rules (a) and (b) of the language about lines).

use super::{Bracket, Prev, Scanner};
use crate::base::{Diagnostics, SourceId};

/// How a text ends.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Ending {
    /// With a statement that may be complete.
    Closed,
    /// Within a statement; so many spaces fit the next line.
    Open(usize),
    /// No further line can repair it.
    Broken,
}

/// Looks at the end of a text.
pub fn ending(text: &str) -> Ending {
    let mut found = Diagnostics::new();
    let mut s = Scanner::new(SourceId(0), text, &mut found);
    s.walk();
    let innermost = s.stack.last().map(|o| o.bracket);
    let depth = s.stack.len();
    let frame = s.frames.last();
    let statement = frame.and_then(|f| f.current.as_ref());
    let hanging = statement.is_some() && frame.is_some_and(|f| f.prev == Prev::Open);
    if !found.is_empty() {
        return Ending::Broken;
    }
    if depth == 0 && !hanging {
        return Ending::Closed;
    }
    let last = text.lines().rev().find(|l| !l.trim().is_empty()).unwrap_or("");
    let own = last.len() - last.trim_start().len();
    let code = last.split('#').next().unwrap_or("").trim_end();
    let base = 2 * depth;
    Ending::Open(match innermost {
        Some(Bracket::Block) if !hanging && code.ends_with("subject to") => own + 2,
        // The lines of a block go on as the last one began.
        Some(Bracket::Block) if !hanging && !code.ends_with(['{', '}']) => own.max(base),
        Some(Bracket::Block) | None if hanging => own + 2,
        _ => base,
    })
}

/// Where a place in a text lies, by what stands before it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Whereabouts {
    /// First byte of the statement that the place belongs to; the place itself if a statement would begin there.
    pub statement: usize,
    /// Is it inside the braces of a block?
    pub in_block: bool,
    /// The innermost open bracket of values, if any: its byte.
    pub bracket: Option<usize>,
}

/// The whereabouts of the end of a text.
pub fn whereabouts(text: &str) -> Whereabouts {
    let mut found = Diagnostics::new();
    let mut s = Scanner::new(SourceId(0), text, &mut found);
    s.walk();
    let inside_values = s.inside_values();
    let bracket = s.stack.last().filter(|o| o.bracket != Bracket::Block).map(|o| o.at);
    let in_block = s.frames.len() > 1;
    let frame = s.frames.last();
    let begun = frame.and_then(|f| {
        let ended = f.newline && f.prev != Prev::Open && !inside_values;
        f.current.as_ref().filter(|_| !ended).map(|c| c.start)
    });
    Whereabouts {
        statement: begun.unwrap_or(text.len()),
        in_block,
        bracket,
    }
}
