//! Lines to text: breaks what is too wide where the language goes on over a line end, and keeps columns aligned.
//!
//! Invariant: a break stands inside brackets or behind something that needs a right-hand side (language, section 12), and
//! never before a `-`.

use super::layout::{Line, STEP};
use super::spacing::{blank, joins};
use super::token::{Kind, Token};
use super::{Structure, WIDTH};

/// Is a line wider than lines are, without the comment behind it?
pub fn wide(tokens: &[Token<'_>], structure: &Structure, indent: usize, line: &[usize]) -> bool {
    let mut w = indent;
    for (n, k) in line.iter().enumerate() {
        if tokens[*k].kind == Kind::Comment || w > WIDTH {
            break;
        }
        w += tokens[*k].width() + gap(tokens, structure, line, n).len();
    }
    w > WIDTH
}

/// What stands before token `n` of a line.
fn gap(tokens: &[Token<'_>], structure: &Structure, line: &[usize], n: usize) -> &'static str {
    let k = line[n];
    if n == 0 {
        ""
    } else if structure.starts.contains(&k) && !structure.opens.contains(&(k - 1)) {
        "; "
    } else if blank(tokens, structure, k) {
        " "
    } else {
        ""
    }
}

/// The text.
pub fn render(tokens: &[Token<'_>], structure: &Structure, lines: &[Line]) -> String {
    let anchors: Vec<Option<usize>> = lines.iter().map(|l| anchor(tokens, l)).collect();
    let mut texts: Vec<(String, Option<String>)> = vec![];
    let mut at = 0;
    while at < lines.len() {
        let n = aligned(tokens, lines, &anchors, at);
        let group = &lines[at..at + n];
        let place = |l: &Line, a: usize| {
            let width = |n: usize| tokens[l.tokens[n]].width() + gap(tokens, structure, &l.tokens, n).len();
            l.indent + (0..a).map(width).sum::<usize>() + gap(tokens, structure, &l.tokens, a).len()
        };
        let column = (n > 1)
            .then(|| {
                group
                    .iter()
                    .zip(&anchors[at..])
                    .filter_map(|(l, a)| a.map(|a| place(l, a)))
                    .max()
            })
            .flatten();
        for (l, a) in group.iter().zip(&anchors[at..]) {
            let mut text = " ".repeat(l.indent);
            let mut comment = None;
            for (k, t) in l.tokens.iter().enumerate() {
                if tokens[*t].kind == Kind::Comment && k > 0 {
                    comment = Some(tokens[*t].text.to_string());
                    break;
                }
                text += gap(tokens, structure, &l.tokens, k);
                if let (Some(c), true) = (column, *a == Some(k)) {
                    text += &" ".repeat(c.saturating_sub(text.chars().count()));
                }
                text += tokens[*t].text;
            }
            texts.push((text, comment));
        }
        at += n;
    }
    let mut out = String::new();
    let mut at = 0;
    while at < texts.len() {
        // Comments behind neighbouring lines stand below one another: where they were, if there is room, else further on.
        let run = texts[at..]
            .iter()
            .enumerate()
            .take_while(|(k, t)| t.1.is_some() && (*k == 0 || !lines[at + k].blank))
            .count();
        let column = texts[at..at + run]
            .iter()
            .map(|t| t.0.chars().count() + STEP)
            .max()
            .unwrap_or(0);
        let chosen: Vec<usize> = lines[at..at + run]
            .iter()
            .filter_map(|l| chosen_column(tokens, l))
            .collect();
        let column = match chosen.first() {
            Some(c) if chosen.len() == run && chosen.iter().all(|o| o == c) => column.max(*c),
            _ => column,
        };
        for (k, (text, comment)) in texts[at..at + run.max(1)].iter().enumerate() {
            if lines[at + k].blank {
                out.push('\n');
            }
            out += text;
            if let Some(c) = comment {
                out += &" ".repeat(column - text.chars().count());
                out += c;
            }
            out.push('\n');
        }
        at += run.max(1);
    }
    out
}

/// The column that was chosen for the comment behind a line, counted from where the line begins now.
fn chosen_column(tokens: &[Token<'_>], line: &Line) -> Option<usize> {
    let (first, comment) = (line.tokens.first()?, line.tokens.last()?);
    let comment = &tokens[*comment];
    (comment.gap > 1).then(|| (comment.column + line.indent).saturating_sub(tokens[*first].column))
}

/// The token of a line that may stand below that of its neighbours: the first `=`, or what follows a label.
fn anchor(tokens: &[Token<'_>], line: &Line) -> Option<usize> {
    if !line.statement {
        return None;
    }
    let mut depth = 0usize;
    let declares = line.tokens.first().is_some_and(|t| joins(tokens[*t].text));
    for (n, k) in line.tokens.iter().enumerate() {
        let t = &tokens[*k];
        match (t.kind, t.text) {
            (Kind::Open, _) => depth += 1,
            (Kind::Close, _) => depth = depth.saturating_sub(1),
            (Kind::Sign, "=") if depth == 0 => return Some(n),
            (Kind::Sign, ":") if depth == 0 && !declares => {
                return line
                    .tokens
                    .get(n + 1)
                    .filter(|t| tokens[**t].kind != Kind::Comment)
                    .map(|_| n + 1);
            }
            _ => {}
        }
    }
    None
}

/// How many lines from here on have their anchors in one column of the source, at least one of them moved there by hand.
fn aligned(tokens: &[Token<'_>], lines: &[Line], anchors: &[Option<usize>], at: usize) -> usize {
    let token = |k: usize| anchors[k].map(|a| &tokens[lines[k].tokens[a]]);
    let Some(first) = token(at) else { return 1 };
    let n = (at..lines.len())
        .take_while(|k| {
            let fits =
                |t: &Token<'_>| t.lines == 0 && t.column == first.column && (t.text == "=") == (first.text == "=");
            (*k == at || !lines[*k].blank) && token(*k).is_some_and(fits)
        })
        .count();
    let by_hand = (at..at + n).any(|k| token(k).is_some_and(|t| t.gap > 1));
    if by_hand { n.max(1) } else { 1 }
}

/// The tokens of a line that is too wide that had better begin lines of their own.
pub fn breaks(tokens: &[Token<'_>], structure: &Structure, line: &Line) -> Vec<usize> {
    let mut out = vec![];
    let mut rest = line.tokens.as_slice();
    let mut indent = line.indent;
    while wide(tokens, structure, indent, rest) {
        let Some(n) = place(tokens, structure, indent, rest) else {
            break;
        };
        rest = &rest[n..];
        out.extend(rest.first());
        // About: the next round sees the brackets.
        indent = line.indent + if line.statement { STEP } else { 0 };
    }
    out
}

/// Where to break: the loosest place that leaves a line that fits, else the first.
fn place(tokens: &[Token<'_>], structure: &Structure, indent: usize, line: &[usize]) -> Option<usize> {
    let mut depth = 0usize;
    let mut w = indent;
    let mut best: Option<(usize, usize)> = None;
    for (n, k) in line.iter().enumerate() {
        let t = &tokens[*k];
        if t.kind == Kind::Comment || w > WIDTH && best.is_some() {
            break;
        }
        if t.kind == Kind::Close {
            depth = depth.saturating_sub(1);
        }
        if n > 0
            && let Some(class) = looseness(&tokens[line[n - 1]], t, depth)
        {
            let cost = depth * 10 + class;
            if best.is_none_or(|b| cost <= b.0) {
                best = Some((cost, n));
            }
        }
        w += t.width() + gap(tokens, structure, line, n).len();
        if t.kind == Kind::Open {
            depth += 1;
        }
    }
    best.map(|b| b.1)
}

/// How loosely two tokens hang together, if a line may end between them.
fn looseness(prev: &Token<'_>, next: &Token<'_>, depth: usize) -> Option<usize> {
    if next.text == "-" || prev.prefix || next.kind == Kind::Close || matches!(next.text, "," | ";" | ":") {
        return None;
    }
    if next.kind == Kind::Word && matches!(next.text, "then" | "with" | "else") {
        return Some(if next.text == "with" { 0 } else { 1 });
    }
    match prev.text {
        "," | ";" => Some(1),
        "and" | "or" => Some(2),
        "<=" | ">=" | "==" | "!=" | "=" | "->" | "|>" => Some(3),
        ":" if depth == 0 => Some(3),
        "+" | "-" => Some(4),
        "*" | "/" | ".*" | "./" | "\\" => Some(6),
        _ => None,
    }
}
