//! Views laid out in lines of a fixed-width font, with the role of every piece kept for colouring.
//!
//! Invariant: long arrays are cut after their first six entries, keep their last, and say how long they are.

use super::number::{at_scale, duration, number, scale};
use super::style::{pad, printable, width};
use crate::base::view::{Cell, Role, Run, View};

/// A line of text in pieces.
pub type Line = Vec<Run>;

/// Vectors up to this length are shown whole.
const WHOLE_VECTOR: usize = 12;
/// Labelled vectors up to this length are shown whole.
const WHOLE_LABELLED: usize = 20;
/// Matrices up to so many rows and columns are shown whole.
const WHOLE_MATRIX: usize = 10;
/// What is shown of the beginning of something longer.
const HEAD: usize = 6;

pub(super) fn run(text: impl Into<String>, role: Role) -> Run {
    Run {
        text: text.into(),
        role,
    }
}

fn blanks(n: usize) -> Run {
    run(" ".repeat(n), Role::Plain)
}

/// The lines of a view.
pub fn lines(view: &View) -> Vec<Line> {
    match view {
        View::Line(runs) => {
            // A run that holds a line end begins a new line.
            let mut out: Vec<Line> = vec![vec![]];
            for r in runs {
                for (k, part) in printable(&r.text).split('\n').enumerate() {
                    if k > 0 {
                        out.push(vec![]);
                    }
                    if let Some(last) = out.last_mut() {
                        last.push(run(part, r.role));
                    }
                }
            }
            out
        }
        View::Stack(views) => views.iter().flat_map(lines).collect(),
        View::Facts(facts) => {
            let column = facts.iter().map(|f| width(&f.0)).max().unwrap_or(0);
            let mut out = Vec::new();
            // `name = value` reads as one phrase.
            let equations = facts.iter().all(|f| f.0.ends_with('='));
            let gap = if equations { 1 } else { 2 };
            for (label, value) in facts {
                let mut first = true;
                for mut line in lines(value) {
                    let lead = if first { label.as_str() } else { "" };
                    first = false;
                    let mut whole = vec![run(pad(&printable(lead), column, false), Role::Faint), blanks(gap)];
                    whole.append(&mut line);
                    out.push(whole);
                }
            }
            out
        }
        View::Table { head, rows } => table(head, rows),
        View::Number(v) => vec![vec![run(number(*v), Role::Number)]],
        View::Array { labels, shape, entries } => array(labels, shape, entries),
        View::Figure(f) => super::plot::words::lines(f),
        View::Verbatim(text) | View::Formula(text) => {
            let text = text.strip_suffix('\n').unwrap_or(text);
            printable(text).split('\n').map(|l| vec![run(l, Role::Plain)]).collect()
        }
    }
}

fn table(head: &[String], rows: &[Vec<Cell>]) -> Vec<Line> {
    let columns = rows.iter().map(Vec::len).max().unwrap_or(0).max(head.len());
    let numbers: Vec<bool> = (0..columns)
        .map(|j| {
            rows.iter()
                .any(|r| matches!(r.get(j), Some(Cell::Number(_) | Cell::Seconds(_))))
        })
        .collect();
    let text = |cell: &Cell| match cell {
        Cell::Number(v) => run(number(*v), Role::Number),
        Cell::Seconds(v) => run(duration(*v), Role::Number),
        Cell::Text(t) => run(printable(t).replace('\n', " "), Role::Plain),
    };
    let mut grid: Vec<Vec<Run>> = Vec::new();
    if !head.is_empty() {
        grid.push(
            head.iter()
                .map(|h| run(printable(h).replace('\n', " "), Role::Strong))
                .collect(),
        );
    }
    grid.extend(rows.iter().map(|r| r.iter().map(text).collect()));
    aligned(grid, &numbers)
}

/// A grid with each column as wide as its widest cell; `right[j]` aligns column `j` to the right.
fn aligned(grid: Vec<Vec<Run>>, right: &[bool]) -> Vec<Line> {
    let columns = grid.iter().map(Vec::len).max().unwrap_or(0);
    let widths: Vec<usize> = (0..columns)
        .map(|j| {
            grid.iter()
                .filter_map(|r| r.get(j))
                .map(|c| width(&c.text))
                .max()
                .unwrap_or(0)
        })
        .collect();
    grid.into_iter()
        .map(|cells| {
            let last = cells.len().saturating_sub(1);
            let mut line = Vec::new();
            for (j, cell) in cells.into_iter().enumerate() {
                if j > 0 {
                    line.push(blanks(2));
                }
                let right = right.get(j).copied().unwrap_or(false);
                // No blanks at the end of a line.
                let columns = if j == last && !right { 0 } else { widths[j] };
                line.push(run(pad(&cell.text, columns, right), cell.role));
            }
            line
        })
        .collect()
}

/// The positions shown of `n`: all, or the first six, a gap (`None`) and the last.
fn shown(n: usize, whole: usize) -> Vec<Option<usize>> {
    if n <= whole {
        (0..n).map(Some).collect()
    } else {
        (0..HEAD).map(Some).chain([None, Some(n - 1)]).collect()
    }
}

fn array(labels: &[Option<Vec<String>>], shape: &[usize], entries: &[f64]) -> Vec<Line> {
    let size = scale(entries);
    let entry = |k: usize| entries.get(k).map_or_else(|| "?".into(), |&v| at_scale(v, size));
    let name = |d: usize, k: usize| match labels.get(d) {
        Some(Some(l)) => l.get(k).map_or_else(|| "?".into(), |l| printable(l).replace('\n', " ")),
        _ => (k + 1).to_string(),
    };
    let labelled = labels.iter().any(Option::is_some);
    match *shape {
        [] => vec![vec![run(entry(0), Role::Number)]],
        _ if shape.contains(&0) => {
            let sizes: Vec<String> = shape.iter().map(usize::to_string).collect();
            vec![vec![
                run("[]", Role::Number),
                run(format!("  ({})", sizes.join(" x ")), Role::Faint),
            ]]
        }
        [n] if !labelled => {
            let positions = shown(n, WHOLE_VECTOR);
            let parts: Vec<String> = positions.iter().map(|p| p.map_or_else(|| "…".into(), entry)).collect();
            let mut line = vec![run(format!("[{}]", parts.join(", ")), Role::Number)];
            if positions.contains(&None) {
                line.push(run(format!("  ({n} entries)"), Role::Faint));
            }
            vec![line]
        }
        [n] => {
            let mut grid = Vec::new();
            for p in shown(n, WHOLE_LABELLED) {
                grid.push(match p {
                    Some(k) => vec![run(name(0, k), Role::Name), run(entry(k), Role::Number)],
                    None => vec![run("…", Role::Faint), run(format!("({n} entries)"), Role::Faint)],
                });
            }
            aligned(grid, &[false, true])
        }
        [n, m] => {
            let (down, across) = (shown(n, WHOLE_MATRIX), shown(m, WHOLE_MATRIX));
            let cut = down.contains(&None) || across.contains(&None);
            let size_line = vec![run(format!("({n} x {m})"), Role::Faint)];
            let mut out = if labelled {
                let mut grid = vec![vec![run("", Role::Plain)]];
                let title = |p: &Option<usize>| match p {
                    Some(j) => run(name(1, *j), Role::Name),
                    None => run("…", Role::Faint),
                };
                grid[0].extend(across.iter().map(title));
                for p in &down {
                    let mut row = vec![match p {
                        Some(i) => run(name(0, *i), Role::Name),
                        None => run("…", Role::Faint),
                    }];
                    row.extend(across.iter().map(|q| match (p, q) {
                        (Some(i), Some(j)) => run(entry(i * m + j), Role::Number),
                        (None, None) => run("", Role::Plain),
                        _ => run("…", Role::Faint),
                    }));
                    grid.push(row);
                }
                let mut right = vec![true; across.len() + 1];
                right[0] = false;
                aligned(grid, &right)
            } else {
                bracketed(&down, &across, |i, j| entry(i * m + j))
            };
            if cut {
                out.push(size_line);
            }
            out
        }
        _ => {
            // More dimensions: one line for each entry.
            let total = entries.len();
            let mut grid = Vec::new();
            for p in shown(total, WHOLE_LABELLED) {
                let Some(k) = p else {
                    grid.push(vec![
                        run("…", Role::Faint),
                        run(format!("({total} entries)"), Role::Faint),
                    ]);
                    continue;
                };
                let mut rest = k;
                let mut names: Vec<String> = Vec::new();
                for (d, &n) in shape.iter().enumerate().rev() {
                    names.push(name(d, rest % n));
                    rest /= n;
                }
                names.reverse();
                grid.push(vec![run(names.join(", "), Role::Name), run(entry(k), Role::Number)]);
            }
            aligned(grid, &[false, true])
        }
    }
}

/// A matrix as the language writes it, columns aligned: `[1, 2;` and below it ` 3, 4]`.
fn bracketed(down: &[Option<usize>], across: &[Option<usize>], entry: impl Fn(usize, usize) -> String) -> Vec<Line> {
    let cells: Vec<Vec<String>> = down
        .iter()
        .map(|p| {
            let cell = |q: &Option<usize>| match (p, q) {
                (Some(i), Some(j)) => entry(*i, *j),
                _ => "…".into(),
            };
            across.iter().map(cell).collect()
        })
        .collect();
    let widths: Vec<usize> = (0..across.len())
        .map(|j| cells.iter().map(|r| width(&r[j])).max().unwrap_or(0))
        .collect();
    let last = cells.len().saturating_sub(1);
    cells
        .iter()
        .enumerate()
        .map(|(i, row)| {
            let parts: Vec<String> = row.iter().zip(&widths).map(|(c, &w)| pad(c, w, true)).collect();
            let (open, close) = (if i == 0 { "[" } else { " " }, if i == last { "]" } else { ";" });
            vec![run(format!("{open}{}{close}", parts.join(", ")), Role::Number)]
        })
        .collect()
}
