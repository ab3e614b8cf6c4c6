//! Diagnostics for people and for tools: the source line with the place underlined, and JSON.
//!
//! Invariant: any span and any text gives an answer: places are moved inside the text and to character boundaries,
//! long lines are cut around the place, and characters that would act on a terminal are shown as `�`.

use std::fmt::Write;

use serde_json::{Value, json};

use super::style::{Paint, char_width, is_unsafe, printable, width};
use crate::base::{Code, Diagnostic, Edit, Label, Level, SourceId, SourceMap, Span};

/// Columns of source text shown of one line.
const LINE_COLUMNS: usize = 110;
/// Columns kept before the first place of a line that is cut.
const LEAD_COLUMNS: usize = 40;

/// Text without colour, for goldens and pipes.
pub fn plain(diagnostics: &[Diagnostic], sources: &SourceMap) -> String {
    render(diagnostics, sources, Paint::PLAIN)
}

/// Text with colours, for a terminal.
pub fn terminal(diagnostics: &[Diagnostic], sources: &SourceMap) -> String {
    render(diagnostics, sources, Paint::COLOUR)
}

/// The diagnostics by place (those without one last), each once.
pub fn sorted(diagnostics: &[Diagnostic]) -> Vec<&Diagnostic> {
    let mut out: Vec<&Diagnostic> = Vec::new();
    for d in diagnostics {
        if !out.contains(&d) {
            out.push(d);
        }
    }
    out.sort_by_key(|d| match d.span() {
        Some(s) => (0, s.source.0, s.start, s.end),
        None => (1, 0, 0, 0),
    });
    out
}

fn render(diagnostics: &[Diagnostic], sources: &SourceMap, paint: Paint) -> String {
    let mut out = String::new();
    let list = sorted(diagnostics);
    for d in &list {
        one(&mut out, d, sources, paint);
        out.push('\n');
    }
    if let Some(line) = closing(&list) {
        out.push_str(&paint.faint(&line));
        out.push('\n');
    }
    out
}

/// `2 errors, 1 warning: `ravine explain R0203` tells more`.
fn closing(list: &[&Diagnostic]) -> Option<String> {
    let first = list.first()?;
    let mut counts = Vec::new();
    for (level, one, many) in [
        (Level::Error, "error", "errors"),
        (Level::Warning, "warning", "warnings"),
    ] {
        match list.iter().filter(|d| d.level == level).count() {
            0 => {}
            1 => counts.push(format!("1 {one}")),
            n => counts.push(format!("{n} {many}")),
        }
    }
    let mut codes: Vec<Code> = Vec::new();
    for d in list {
        if !codes.contains(&d.code) {
            codes.push(d.code);
        }
    }
    let more = match codes.len() {
        1 => format!("`ravine explain {}` tells more", first.code.id()),
        _ => format!(
            "`ravine explain {}` tells more, likewise for the other codes",
            first.code.id()
        ),
    };
    Some(match counts.is_empty() {
        true => more,
        false => format!("{}: {more}", counts.join(", ")),
    })
}

fn one(out: &mut String, d: &Diagnostic, sources: &SourceMap, paint: Paint) {
    let tint = |text: &str| match d.level {
        Level::Error => paint.bad(text),
        Level::Warning => paint.warn(text),
        Level::Advice => paint.calm(text),
    };
    let head = format!("{}[{}]", d.level.word(), d.code.id());
    let _ = writeln!(out, "{}: {}", tint(&head), paint.strong(&printable(&d.message)));

    // One block for each source, the primary place's first.
    let mut order: Vec<SourceId> = Vec::new();
    let mut marks: Vec<Mark> = Vec::new();
    for (k, label) in d.labels.iter().enumerate() {
        if let Some(mark) = Mark::new(label, k == 0, sources) {
            if !order.contains(&mark.span.source) {
                order.push(mark.span.source);
            }
            marks.push(mark);
        }
    }
    let last_line = marks.iter().map(|m| m.line).max().unwrap_or(1);
    let margin = last_line.to_string().len();
    let blank = " ".repeat(margin);
    for source in order {
        let here: Vec<&Mark> = marks.iter().filter(|m| m.span.source == source).collect();
        let name = sources.get(source).map_or("?", |s| s.name.as_str());
        let (line, column) = (here[0].line, here[0].column);
        let place = format!("{}:{line}:{column}", printable(name));
        let _ = writeln!(out, " {blank} {} {place}", paint.faint("╭─"));
        let mut lines: Vec<usize> = here.iter().map(|m| m.line).collect();
        lines.sort_unstable();
        lines.dedup();
        let mut before: Option<usize> = None;
        for line in lines {
            match before {
                Some(b) if line == b + 2 => source_line(out, sources, source, b + 1, &[], margin, paint, &tint),
                Some(b) if line > b + 2 => {
                    let _ = writeln!(out, " {blank} {}", paint.faint("┆"));
                }
                _ => {}
            }
            let on_line: Vec<&Mark> = here.iter().copied().filter(|m| m.line == line).collect();
            source_line(out, sources, source, line, &on_line, margin, paint, &tint);
            before = Some(line);
        }
    }
    let indent = " ".repeat(margin + 2);
    for n in &d.notes {
        let _ = writeln!(out, "{indent}{} note: {}", paint.faint("="), hang(n, margin + 10));
    }
    for h in &d.helps {
        let word = paint.good("help:");
        let _ = writeln!(
            out,
            "{indent}{} {word} {}",
            paint.faint("="),
            hang(&h.text, margin + 10)
        );
        if let Some((line, text)) = h.edit.as_ref().and_then(|e| edited(e, sources)) {
            let number = format!("{line:>margin$}");
            let _ = writeln!(out, " {} {} {text}", paint.faint(&number), paint.good("+"));
        }
    }
}

/// Further lines of a text, moved under the first.
fn hang(text: &str, columns: usize) -> String {
    printable(text).replace('\n', &format!("\n{}", " ".repeat(columns)))
}

/// The line of an edit with the edit applied, if both are short and on one line.
fn edited(edit: &Edit, sources: &SourceMap) -> Option<(usize, String)> {
    let span = sources.fit(edit.span)?;
    let (line, _) = sources.line_column(span);
    let (text, begin) = sources.line(span.source, line)?;
    let (a, b) = (span.start as usize - begin, span.end as usize - begin);
    let new = format!("{}{}{}", text.get(..a)?, edit.replacement, text.get(b..)?);
    (!new.contains('\n') && width(&new) <= LINE_COLUMNS).then(|| (line, printable(&new.replace('\t', "    "))))
}

/// A label brought to a line: characters `from..to` of it are underlined.
struct Mark<'a> {
    span: Span,
    label: &'a Label,
    primary: bool,
    line: usize,
    column: usize,
    from: usize,
    to: usize,
    /// The last line, if the span goes on.
    through: Option<usize>,
}

impl<'a> Mark<'a> {
    fn new(label: &'a Label, primary: bool, sources: &SourceMap) -> Option<Self> {
        let span = sources.fit(label.span)?;
        let (line, column) = sources.line_column(span);
        let (text, begin) = sources.line(span.source, line)?;
        let count = |to: usize| text.get(..to.min(text.len())).map_or(0, |t| t.chars().count());
        let from = count(span.start as usize - begin);
        let last = Span::new(
            span.source,
            (span.end.max(span.start + 1) - 1) as usize,
            span.end as usize,
        );
        let (end_line, _) = sources.fit(last).map_or((line, 0), |l| sources.line_column(l));
        let to = match end_line > line {
            true => text.chars().count(),
            false => count(span.end as usize - begin),
        };
        Some(Mark {
            span,
            label,
            primary,
            line,
            column,
            from,
            to: to.max(from + 1),
            through: (end_line > line).then_some(end_line),
        })
    }
    fn text(&self) -> String {
        let text = printable(&self.label.text).replace('\n', " ");
        match (self.through, text.is_empty()) {
            (None, _) => text,
            (Some(l), true) => format!("through line {l}"),
            (Some(l), false) => format!("{text} (through line {l})"),
        }
    }
}

/// A source line with its marks underneath.
fn source_line(
    out: &mut String,
    sources: &SourceMap,
    source: SourceId,
    line: usize,
    marks: &[&Mark],
    margin: usize,
    paint: Paint,
    tint: &dyn Fn(&str) -> String,
) {
    let text = sources.line(source, line).map_or("", |l| l.0);
    let window = Window::around(text, marks);
    let number = format!("{line:>margin$}");
    let bar = paint.faint("│");
    let shown = format!(" {} {bar} {}", paint.faint(&number), window.text);
    let _ = writeln!(out, "{}", shown.trim_end());
    if marks.is_empty() {
        return;
    }
    // Left to right; the underline of the primary place lies on top.
    let mut places: Vec<(usize, usize, &Mark)> = marks
        .iter()
        .map(|m| {
            let (a, b) = (window.column(m.from), window.column(m.to));
            (a, b.max(a + 1), *m)
        })
        .collect();
    places.sort_by_key(|p| (p.0, p.1));
    let end = places.iter().map(|p| p.1).max().unwrap_or(0);
    let mut cells: Vec<(char, bool)> = vec![(' ', false); end];
    for primary in [false, true] {
        for (a, b, m) in places.iter().filter(|p| p.2.primary == primary) {
            cells[*a..*b].fill((if m.primary { '^' } else { '-' }, m.primary));
        }
    }
    let mut under = String::new();
    for run in cells.chunk_by(|x, y| x == y) {
        let text: String = run.iter().map(|c| c.0).collect();
        match run[0] {
            (' ', _) => under.push_str(&text),
            (_, true) => under.push_str(&tint(&text)),
            (_, false) => under.push_str(&paint.calm(&text)),
        }
    }
    let colour = |m: &Mark, text: &str| if m.primary { tint(text) } else { paint.calm(text) };
    // The rightmost text stands behind its underline if nothing else reaches as far.
    let mut rest: Vec<(usize, &Mark)> = Vec::new();
    let last = places.len() - 1;
    for (k, (a, b, m)) in places.iter().enumerate() {
        let alone = places[..last].iter().all(|p| p.1 <= *a);
        if k == last && alone && *b == end {
            let text = m.text();
            if !text.is_empty() {
                under.push(' ');
                under.push_str(&colour(m, &text));
            }
        } else if !m.text().is_empty() {
            rest.push((*a, *m));
        }
    }
    let blank = " ".repeat(margin);
    let _ = writeln!(out, " {blank} {bar} {under}");
    while let Some((column, m)) = rest.pop() {
        for with_text in [false, true] {
            let mut row = String::new();
            let mut at = 0;
            for (a, other) in rest.iter().filter(|p| p.0 < column) {
                if *a >= at {
                    row.push_str(&" ".repeat(a - at));
                    row.push_str(&colour(other, "|"));
                    at = a + 1;
                }
            }
            row.push_str(&" ".repeat(column.saturating_sub(at)));
            row.push_str(&if with_text {
                colour(m, &m.text())
            } else {
                colour(m, "|")
            });
            let _ = writeln!(out, " {blank} {bar} {row}");
        }
    }
}

/// The part of a line that is shown, with the column of each of its characters.
struct Window {
    text: String,
    /// First character shown, and the columns of the characters from there on (one more than there are).
    first: usize,
    columns: Vec<usize>,
}

impl Window {
    fn around(text: &str, marks: &[&Mark]) -> Window {
        let chars: Vec<char> = text.chars().collect();
        let columns_of = |c: char| match c {
            '\t' => 4,
            c if is_unsafe(c) => 1,
            c => char_width(c),
        };
        let total: usize = chars.iter().map(|&c| columns_of(c)).sum();
        let first_mark = marks.iter().map(|m| m.from).min().unwrap_or(0).min(chars.len());
        let first = if total <= LINE_COLUMNS || first_mark <= LEAD_COLUMNS {
            0
        } else {
            first_mark - LEAD_COLUMNS
        };
        let mut shown = String::new();
        let mut columns = vec![];
        let mut at = 0;
        if first > 0 {
            shown.push('…');
            at = 1;
        }
        for (k, &c) in chars.iter().enumerate().skip(first) {
            if at >= LINE_COLUMNS && total > LINE_COLUMNS && k + 1 < chars.len() {
                shown.push('…');
                break;
            }
            columns.push(at);
            match c {
                '\t' => shown.push_str("    "),
                c if is_unsafe(c) => shown.push('\u{fffd}'),
                c => shown.push(c),
            }
            at += columns_of(c);
        }
        columns.push(at);
        Window {
            text: shown,
            first,
            columns,
        }
    }
    fn column(&self, char: usize) -> usize {
        let last = self.columns.len() - 1;
        self.columns[char.saturating_sub(self.first).min(last)]
    }
}

/// The JSON objects of `ravine.report/1`: `code`, `level`, `message`, `spans` (`file`, `line`, `column`, `label`, and
/// the end as `end_line`, `end_column`), `help` (the texts, one a line, or null), and beyond the contract `notes` and
/// `edits`. Lines and columns count from 1, columns in characters.
pub fn json(diagnostics: &[Diagnostic], sources: &SourceMap) -> Vec<Value> {
    sorted(diagnostics).into_iter().map(|d| json_one(d, sources)).collect()
}

fn json_span(span: Span, sources: &SourceMap) -> Option<serde_json::Map<String, Value>> {
    let span = sources.fit(span)?;
    let (line, column) = sources.line_column(span);
    let end = Span::new(span.source, span.end as usize, span.end as usize);
    let (end_line, end_column) = sources.line_column(end);
    let file = sources.get(span.source).map_or("", |s| s.name.as_str());
    let Value::Object(map) = json!({
        "file": file, "line": line, "column": column, "end_line": end_line, "end_column": end_column,
    }) else {
        return None;
    };
    Some(map)
}

fn json_one(d: &Diagnostic, sources: &SourceMap) -> Value {
    let mut spans: Vec<Value> = Vec::new();
    for label in &d.labels {
        if let Some(mut span) = json_span(label.span, sources) {
            span.insert("label".into(), label.text.clone().into());
            spans.push(Value::Object(span));
        }
    }
    let helps: Vec<&str> = d.helps.iter().map(|h| h.text.as_str()).collect();
    let mut edits: Vec<Value> = Vec::new();
    for edit in d.helps.iter().filter_map(|h| h.edit.as_ref()) {
        if let Some(mut span) = json_span(edit.span, sources) {
            span.insert("replacement".into(), edit.replacement.clone().into());
            edits.push(Value::Object(span));
        }
    }
    json!({
        "code": d.code.id(),
        "level": d.level.word(),
        "message": d.message,
        "spans": spans,
        "help": if helps.is_empty() { Value::Null } else { helps.join("\n").into() },
        "notes": d.notes,
        "edits": edits,
    })
}
