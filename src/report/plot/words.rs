//! Pictures where there are only characters: what a terminal and a golden file show of one.
//!
//! Invariant: at most a dozen lines of at most 72 columns; each line says whose values it shows and from where to where.

use ravine_linalg::math;

use crate::base::figure::{Axis, Figure, Mark};
use crate::base::view::{Role, Run};
use crate::report::layout::{Line, run};
use crate::report::number::{number, rough};
use crate::report::style::{pad, width};

/// Columns of a line of blocks, and rows of a map.
const COLUMNS: usize = 40;
const ROWS: usize = 10;
/// Lines shown of one picture.
const LINES: usize = 10;
const BLOCKS: [char; 8] = ['▁', '▂', '▃', '▄', '▅', '▆', '▇', '█'];
const SHADES: [char; 5] = [' ', '░', '▒', '▓', '█'];

/// The lines of a figure.
pub fn lines(f: &Figure) -> Vec<Line> {
    let mut out = vec![vec![run(&f.title, Role::Strong)]];
    let log = |a: &Axis| if a.log { ", logarithmic" } else { "" };
    let axes = format!("{}{} over {}{}", f.y.label, log(&f.y), f.x.label, log(&f.x));
    out.push(vec![run(format!("  {axes}"), Role::Faint)]);
    out.extend(map(f));
    let lines = f.marks.iter().any(|m| matches!(m, Mark::Line { .. }));
    let mut rows: Vec<Vec<Run>> = f.marks.iter().filter_map(|m| row(f, m, lines)).collect();
    let more = rows.len().saturating_sub(LINES);
    rows.truncate(LINES);
    let names = rows.iter().map(|r| width(&r[0].text)).max().unwrap_or(0);
    for mut r in rows {
        r[0].text = format!("  {}  ", pad(&r[0].text, names, false));
        out.push(r);
    }
    if more > 0 {
        out.push(vec![run(format!("  and {more} more"), Role::Faint)]);
    }
    for n in &f.notes {
        out.push(vec![run(format!("  {n}"), Role::Faint)]);
    }
    out
}

/// The part of an axis at a value, from 0 to 1.
fn part(a: &Axis, v: f64) -> f64 {
    let p = match a.log {
        true => {
            let v = math::log(v.max(f64::MIN_POSITIVE));
            (v - math::log(a.lo)) / (math::log(a.hi) - math::log(a.lo))
        }
        false => (v / 2.0 - a.lo / 2.0) / (a.hi / 2.0 - a.lo / 2.0),
    };
    p.clamp(0.0, 1.0)
}

/// A mark as one line: its name, its course, its first and its last value.
fn row(f: &Figure, m: &Mark, lines: bool) -> Option<Vec<Run>> {
    let span = |first: f64, last: f64| run(format!("  {} → {}", rough(first, 3), rough(last, 3)), Role::Number);
    match m {
        Mark::Dots { .. } if lines => None,
        Mark::Line { points, label, .. } | Mark::Dots { points, label, .. } => {
            let seen: Vec<&(f64, f64)> = points.iter().filter(|p| p.0.is_finite() && p.1.is_finite()).collect();
            let (first, last) = (seen.first()?, seen.last()?);
            Some(vec![
                run(label, Role::Name),
                run(blocks(f, &seen), Role::Plain),
                span(first.1, last.1),
            ])
        }
        Mark::Bars { bars, .. } => {
            let most = bars.iter().map(|b| b.2).fold(0.0, f64::max);
            let text = bars.iter().take(2 * COLUMNS).map(|b| match b.2 {
                0.0 => ' ',
                h => BLOCKS[((h / most * 7.0).round() as usize).min(7)],
            });
            let (first, last) = (bars.first()?, bars.last()?);
            Some(vec![
                run(number(first.0), Role::Number),
                run(text.collect::<String>(), Role::Plain),
                run(format!("  {}, at most {}", number(last.1), number(most)), Role::Number),
            ])
        }
        Mark::Path { points, label, .. } => {
            let seen: Vec<&(f64, f64)> = points.iter().filter(|p| p.0.is_finite() && p.1.is_finite()).collect();
            let at = |p: &(f64, f64)| format!("({}, {})", rough(p.0, 3), rough(p.1, 3));
            let (first, last) = (seen.first()?, seen.last()?);
            Some(vec![
                run(label, Role::Name),
                run(
                    format!("{} → {}, {} points", at(first), at(last), seen.len()),
                    Role::Number,
                ),
            ])
        }
        _ => None,
    }
}

/// The course of a line: the last value of each column.
fn blocks(f: &Figure, points: &[&(f64, f64)]) -> String {
    let mut columns = [f64::NAN; COLUMNS];
    for p in points {
        let at = (part(&f.x, p.0) * COLUMNS as f64) as usize;
        columns[at.min(COLUMNS - 1)] = part(&f.y, p.1);
    }
    // A column between two others that has no point of its own has the value before it.
    let last = columns.iter().rposition(|v| !v.is_nan()).unwrap_or(0);
    let mut now = f64::NAN;
    let mut out = String::new();
    for (k, v) in columns.iter().enumerate() {
        if !v.is_nan() {
            now = *v;
        }
        out.push(match now {
            v if v.is_nan() || k > last => ' ',
            v => BLOCKS[((v * 7.0).round() as usize).min(7)],
        });
    }
    out
}

/// What fills the plane: contours as shades, entries of a matrix.
fn map(f: &Figure) -> Vec<Line> {
    let mut grid = vec![vec![' '; COLUMNS]; ROWS];
    let mut filled = false;
    for m in &f.marks {
        match m {
            Mark::Contours { xs, ys, values, levels } => {
                filled = true;
                for (r, line) in grid.iter_mut().enumerate() {
                    for (c, cell) in line.iter_mut().enumerate() {
                        let i = (2 * c + 1) * (xs.len() - 1) / (2 * COLUMNS);
                        let j = (ys.len() - 1) - (2 * r + 1) * (ys.len() - 1) / (2 * ROWS);
                        let v = values.get(j * xs.len() + i).copied().unwrap_or(f64::NAN);
                        let above = levels.partition_point(|l| *l < v);
                        *cell = match v.is_nan() {
                            true => '?',
                            false => SHADES[above * (SHADES.len() - 1) / levels.len().max(1)],
                        };
                    }
                }
            }
            Mark::Cells { cells, .. } => {
                filled = true;
                for (i, j, _) in cells {
                    let c = (part(&f.x, *i) * COLUMNS as f64) as usize;
                    let r = ((1.0 - part(&f.y, *j)) * ROWS as f64) as usize;
                    grid[r.min(ROWS - 1)][c.min(COLUMNS - 1)] = '▪';
                }
            }
            Mark::Path { points, .. } if filled => {
                for p in points.iter().filter(|p| p.0.is_finite() && p.1.is_finite()) {
                    let (px, py) = (part(&f.x, p.0), part(&f.y, p.1));
                    if px > 0.0 && px < 1.0 && py > 0.0 && py < 1.0 {
                        grid[((1.0 - py) * ROWS as f64) as usize][(px * COLUMNS as f64) as usize] = '•';
                    }
                }
            }
            _ => {}
        }
    }
    if !filled {
        return vec![];
    }
    let edge = |r: usize| match r {
        0 => rough(f.y.hi, 3),
        r if r == ROWS - 1 => rough(f.y.lo, 3),
        _ => String::new(),
    };
    let margin = (0..ROWS).map(|r| width(&edge(r))).max().unwrap_or(0);
    let mut out: Vec<Line> = grid
        .into_iter()
        .enumerate()
        .map(|(r, line)| {
            vec![
                run(format!("  {} ", pad(&edge(r), margin, true)), Role::Faint),
                run(format!("│{}│", line.into_iter().collect::<String>()), Role::Plain),
            ]
        })
        .collect();
    let (lo, hi) = (rough(f.x.lo, 3), rough(f.x.hi, 3));
    let gap = (COLUMNS + 2).saturating_sub(width(&lo) + width(&hi));
    let foot = format!("  {} {lo}{}{hi}", " ".repeat(margin), " ".repeat(gap));
    out.push(vec![run(foot, Role::Faint)]);
    out
}
