//! Tokens to lines: where a line ends, and how far it is indented.
//!
//! Invariant: the user's line ends stay, blank lines at most one at a time; a block in braces is either on one line or
//! has a line for each of its statements.

use std::collections::BTreeSet;

use super::token::{Kind, Token};
use super::{Structure, fit};

/// Columns of a level.
pub const STEP: usize = 2;

/// A line: tokens `from..to`, separators included, and a comment behind them.
#[derive(Clone, Debug, PartialEq)]
pub struct Line {
    /// Is there an empty line above?
    pub blank: bool,
    /// Columns before the first token.
    pub indent: usize,
    /// Its tokens.
    pub tokens: Vec<usize>,
    /// Does a new statement begin here (else an old one goes on, or it is a comment)?
    pub statement: bool,
}

/// The text in the house's layout.
pub fn layout(tokens: &[Token<'_>], structure: &Structure) -> String {
    // Because one line does not hold them: blocks that get a line for each statement, tokens that begin a line.
    let mut apart: BTreeSet<usize> = BTreeSet::new();
    loop {
        let lines = lines(tokens, structure, &apart);
        let before = apart.len();
        for l in lines
            .iter()
            .filter(|l| fit::wide(tokens, structure, l.indent, &l.tokens))
        {
            // Statements beside one another first, then the blocks of one statement, then the statement itself.
            let (mut joined, mut blocks) = (vec![], vec![]);
            let mut inside = 0;
            for (n, t) in l.tokens.iter().enumerate() {
                if *t < inside {
                    continue;
                }
                if structure.starts.contains(t) && n > 0 {
                    joined.push(*t);
                } else if let Some(p) = tokens[*t].partner.filter(|_| structure.opens.contains(t))
                    && l.tokens.binary_search(&p).is_ok()
                {
                    blocks.push(*t);
                    inside = p;
                }
            }
            match (joined.is_empty(), blocks.is_empty()) {
                (false, _) => apart.extend(joined),
                (true, false) => apart.extend(blocks),
                (true, true) => apart.extend(fit::breaks(tokens, structure, l)),
            }
        }
        if apart.len() == before {
            return fit::render(tokens, structure, &lines);
        }
    }
}

/// Is the block that opens at `k` written on one line?
fn on_one_line(tokens: &[Token<'_>], k: usize, apart: &BTreeSet<usize>) -> bool {
    let Some(close) = tokens[k].partner else { return false };
    !apart.contains(&k) && tokens[k + 1..=close].iter().all(|t| t.lines == 0) && !apart.range(k..close).any(|_| true)
}

fn lines(tokens: &[Token<'_>], structure: &Structure, apart: &BTreeSet<usize>) -> Vec<Line> {
    let mut out: Vec<Line> = vec![];
    // Open brackets: number, is it a block of several lines, indentation of its line, indentation of the statement.
    let mut open: Vec<(usize, bool, usize, usize)> = vec![];
    let mut level = 0;
    let mut statement = 0;
    let mut force = false;
    // An empty line above something that is left out goes to what follows.
    let mut owed = false;
    for k in 0..tokens.len() {
        let t = &tokens[k];
        let starts = structure.starts.contains(&k);
        let closes = structure.closes.contains(&k);
        if t.kind == Kind::Separator {
            owed |= t.lines > 1;
            continue;
        }
        let mut closed = None;
        if t.kind == Kind::Close {
            closed = open.pop();
        }
        let several = closed.is_some_and(|c| closes && c.1);
        let before = tokens[..k].iter().rev().find(|p| p.kind != Kind::Separator);
        let apart_in_source = t.lines > 0
            || tokens[..k]
                .last()
                .is_some_and(|p| p.kind == Kind::Separator && p.lines > 0);
        let apart_here = apart.contains(&k) && !structure.opens.contains(&k);
        let mut breaks = out.is_empty() || force || apart_in_source || several || apart_here;
        if t.kind == Kind::Comment {
            // What stands behind a brace stays there.
            breaks = out.is_empty() || t.lines > 0;
        }
        if starts && t.text == "-" && !force {
            // No line begins with a minus; behind `;` it may stand.
            breaks = out.is_empty();
        }
        force = false;
        if several {
            level = closed.map_or(0, |c| c.3);
        }
        if starts {
            statement = STEP * open.iter().filter(|o| o.1).count();
            if structure.constraints.contains(&k) {
                statement += STEP;
            }
        } else if several {
            statement = level;
        }
        if breaks {
            let own = t.kind == Kind::Comment;
            let indent = if own {
                comment_indent(tokens, structure, k, &open, statement)
            } else if starts || several {
                statement
            } else {
                match (closed, open.last()) {
                    (Some(c), _) if !closes => c.2,
                    (_, Some(o)) if !o.1 => o.2 + STEP,
                    _ => statement + STEP,
                }
            };
            let opened = before.is_some()
                && out
                    .last()
                    .and_then(|l| l.tokens.last())
                    .is_some_and(|l| structure.opens.contains(l));
            let blank = !out.is_empty() && !opened && !several && (t.lines > 1 || owed);
            out.push(Line {
                blank,
                indent,
                tokens: vec![],
                statement: starts,
            });
            owed = false;
        }
        let indent = out.last().map_or(0, |l| l.indent);
        if let Some(l) = out.last_mut() {
            l.tokens.push(k);
        }
        if t.kind == Kind::Open {
            let block = structure.opens.contains(&k);
            let several = block && !on_one_line(tokens, k, apart);
            open.push((k, several, indent, statement));
            force = several;
        } else if t.kind == Kind::Comment {
            force = true;
        }
    }
    out
}

/// A comment on a line of its own stands like what follows it; at the end of a block, like what is above.
fn comment_indent(
    tokens: &[Token<'_>],
    structure: &Structure,
    k: usize,
    open: &[(usize, bool, usize, usize)],
    statement: usize,
) -> usize {
    let base = STEP * open.iter().filter(|o| o.1).count();
    let next = (k + 1..tokens.len()).find(|n| !matches!(tokens[*n].kind, Kind::Comment | Kind::Separator));
    match next {
        None if tokens[k].column == 0 => 0,
        None => statement,
        Some(n) if structure.constraints.contains(&n) => base + STEP,
        Some(n) if structure.starts.contains(&n) => base,
        Some(n) if structure.closes.contains(&n) => {
            let opened = open.last().map_or(0, |o| o.0);
            let empty = !structure.starts.range(opened..k).any(|_| true);
            if empty { base } else { statement.max(base) }
        }
        Some(_) => match open.last() {
            Some(o) if !o.1 => o.2 + STEP,
            _ => statement + STEP,
        },
    }
}
