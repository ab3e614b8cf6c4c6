//! Figures as drawings: places in pixels, colours, words, for the writers of SVG and PNG.
//!
//! Invariant: the same drawing for the same figure, bit for bit; whatever the data, a drawing of the same size results, and
//! nothing of it lies outside of it.

mod canvas;
mod contour;
mod ends;
mod font;
mod png;
mod svg;
mod ticks;
pub mod words;

use crate::base::figure::{Axis, Figure, Hue, Mark};
use canvas::{Anchor, Drawing, Frame, Ink, Shape, Stroke, Text};
use contour::Line;
use ends::{at_ends, end_labels};
use ravine_linalg::math;

pub use contour::levels;
pub use png::png;
pub use svg::svg;

/// Size of a picture.
const WIDTH: f64 = 640.0;
const HEIGHT: f64 = 400.0;
/// Size of the words.
const SIZE: f64 = 12.0;
const TITLE: f64 = 14.0;
const NOTE: f64 = 10.5;
/// Length of a tick.
const TICK: f64 = 4.0;
/// Distance between two names at the ends of lines.
const APART: f64 = 14.0;
/// Height of a line of notes, and of the row of names below the title.
const LINE: f64 = 15.0;

/// Colours that remain apart for the colour-blind (Okabe and Ito, "Color universal design", 2008).
const HUES: [Ink; 7] = [
    Ink(0x00, 0x72, 0xb2),
    Ink(0xd5, 0x5e, 0x00),
    Ink(0x00, 0x9e, 0x73),
    Ink(0xcc, 0x79, 0xa7),
    Ink(0xe6, 0x9f, 0x00),
    Ink(0x56, 0xb4, 0xe9),
    Ink(0x55, 0x55, 0x55),
];
const TEXT: Ink = Ink(0x22, 0x22, 0x22);
const FAINT: Ink = Ink(0x6b, 0x6b, 0x6b);
const GRID: Ink = Ink(0xe4, 0xe4, 0xe4);
const PAPER: Ink = Ink(0xff, 0xff, 0xff);

fn ink(hue: Hue) -> Ink {
    HUES[hue % HUES.len()]
}

/// Lines beyond the number of colours are told apart by their dashes.
fn dash(hue: Hue) -> &'static [f64] {
    match (hue / HUES.len()) % 3 {
        0 => &[],
        // Round ends make each piece longer by the width of the line.
        1 => &[6.0, 5.0],
        _ => &[0.2, 4.5],
    }
}

/// The drawing of a figure.
pub(crate) fn draw(f: &Figure) -> Drawing {
    let mut d = Drawing::new(WIDTH, HEIGHT, PAPER);
    d.title = f.title.clone();
    let plain = f.marks.iter().all(|m| !matches!(m, Mark::Cells { .. }));
    let f = &Figure {
        y: roomy(&f.y),
        ..f.clone()
    };
    let names = name_rows(in_plane(f));
    let notes = wrapped(&f.notes, WIDTH - 24.0);
    let (mut xt, mut yt) = (ticks::ticks(&f.x, 7), ticks::ticks(&f.y, 6));
    for (ticks, axis) in [(&mut xt, &f.x), (&mut yt, &f.y)] {
        if axis.zero.is_some() {
            ticks.retain(|t| canvas::part(axis, t.0) > 0.07);
            ticks.insert(0, (0.0, "0".into()));
        }
    }
    let wide = yt.iter().map(|t| font::width(&t.1, SIZE)).fold(0.0, f64::max);
    let left = (wide + 34.0).clamp(52.0, 150.0);
    let ends = end_labels(f, WIDTH - left - 18.0);
    let outside = ends.iter().filter(|e| !e.inside);
    let right = outside.map(|e| e.wide()).fold(0.0, f64::max);
    let right = if right > 0.0 { right + 26.0 } else { 18.0 };
    let top = 34.0
        + if names.is_empty() {
            0.0
        } else {
            LINE * names.len() as f64 + 2.0
        };
    let bottom = 44.0 + LINE * notes.len() as f64 + if notes.is_empty() { 0.0 } else { 4.0 };
    let frame = Frame {
        left,
        right: WIDTH - right,
        top,
        bottom: HEIGHT - bottom,
        x: f.x.clone(),
        y: f.y.clone(),
    }
    .squared(!plain);
    let title = fitted(&f.title, TITLE, WIDTH - 24.0);
    d.text(Text::new(12.0, 21.0, &title, TITLE, TEXT).bold());
    axes(&mut d, &frame, &xt, &yt, left, plain);
    let over = paths(f, &frame);
    for m in &f.marks {
        mark(&mut d, &frame, m, &over);
    }
    ways(&mut d, &frame, &f.marks);
    d.rect(
        frame.left,
        frame.top,
        frame.right,
        frame.bottom,
        None,
        Some(Stroke::new(FAINT, 1.0)),
    );
    for (k, row) in names.iter().enumerate() {
        name_row(&mut d, row, frame.left, 40.0 + LINE * k as f64);
    }
    at_ends(&mut d, &frame, &f.marks, ends);
    for (k, n) in notes.iter().enumerate() {
        let y = HEIGHT - 8.0 - LINE * (notes.len() - 1 - k) as f64;
        d.text(Text::new(12.0, y, n, NOTE, FAINT));
    }
    d
}

/// Sentences broken into lines of at most so many pixels.
fn wrapped(notes: &[String], width: f64) -> Vec<String> {
    let mut out: Vec<String> = vec![];
    for n in notes {
        let mut line = String::new();
        for word in n.split(' ') {
            let longer = if line.is_empty() {
                word.to_string()
            } else {
                format!("{line} {word}")
            };
            if !line.is_empty() && font::width(&longer, NOTE) > width {
                out.push(std::mem::replace(&mut line, word.to_string()));
            } else {
                line = longer;
            }
        }
        out.push(line);
    }
    out
}

/// A logarithmic axis with a little room at both ends.
fn roomy(a: &Axis) -> Axis {
    let mut a = a.clone();
    if a.log && a.lo > 0.0 && a.hi > a.lo {
        let room = |part: f64| math::exp(part * (math::log(a.hi) - math::log(a.lo)));
        let below = if a.zero.is_some() { 0.07 } else { 0.03 };
        (a.lo, a.hi) = (
            (a.lo / room(below)).max(f64::MIN_POSITIVE),
            (a.hi * room(0.03)).min(f64::MAX),
        );
    }
    a
}

fn axes(d: &mut Drawing, f: &Frame, xt: &[(f64, String)], yt: &[(f64, String)], margin: f64, grid: bool) {
    let line = |d: &mut Drawing, a: (f64, f64), b: (f64, f64), ink: Ink, w: f64| {
        d.push(Shape::Line {
            points: vec![a, b],
            stroke: Stroke::new(ink, w),
        });
    };
    for (v, _) in xt.iter().filter(|_| grid) {
        let x = f.px(*v);
        line(d, (x, f.top), (x, f.bottom), GRID, 1.0);
    }
    for (v, _) in yt.iter().filter(|_| grid) {
        let y = f.py(*v);
        line(d, (f.left, y), (f.right, y), GRID, 1.0);
    }
    let mut free = f64::NEG_INFINITY;
    for (v, t) in xt {
        let x = f.px(*v);
        line(d, (x, f.bottom), (x, f.bottom + TICK), FAINT, 1.0);
        let half = font::width(t, SIZE) / 2.0;
        if x - half > free {
            d.text(Text::new(x, f.bottom + 17.0, t, SIZE, TEXT).anchored(Anchor::Middle));
            free = x + half + 6.0;
        }
    }
    for (v, t) in yt {
        let y = f.py(*v);
        line(d, (f.left - TICK, y), (f.left, y), FAINT, 1.0);
        d.text(Text::new(f.left - 7.0, y + 4.0, t, SIZE, TEXT).anchored(Anchor::End));
    }
    let middle = (f.left + f.right) / 2.0;
    d.text(Text::new(middle, f.bottom + 35.0, &f.x.label, SIZE, TEXT).anchored(Anchor::Middle));
    let middle = (f.top + f.bottom) / 2.0;
    let label = fitted(&f.y.label, SIZE, f.bottom - f.top + 40.0);
    d.text(
        Text::new(f.left - margin + 15.0, middle, &label, SIZE, TEXT)
            .anchored(Anchor::Middle)
            .turned(),
    );
}

/// A text cut to so many pixels.
fn fitted(text: &str, size: f64, width: f64) -> String {
    if font::width(text, size) <= width {
        return text.to_string();
    }
    let mut out: String = text.to_string();
    while !out.is_empty() && font::width(&out, size) > width - 10.0 {
        out.pop();
    }
    format!("{}…", out.trim_end())
}

/// Where paths go: values of contours keep away from them.
fn paths(f: &Figure, frame: &Frame) -> Vec<(f64, f64)> {
    let of = |m: &Mark| match m {
        Mark::Path { points, .. } => finite(points).iter().flat_map(|r| frame.clipped(r)).flatten().collect(),
        _ => vec![],
    };
    f.marks.iter().flat_map(of).collect()
}

fn mark(d: &mut Drawing, f: &Frame, m: &Mark, over: &[(f64, f64)]) {
    match m {
        Mark::Line {
            points, hue, strong, ..
        } => {
            let stroke = Stroke::new(ink(*hue), if *strong { 2.0 } else { 1.2 }).dashed(dash(*hue));
            for run in finite(points) {
                for points in f.clipped(&run) {
                    d.push(Shape::Line { points, stroke });
                }
            }
        }
        Mark::Band { points, hue } => {
            let up = points.iter().map(|p| (p.0, p.1));
            let down = points.iter().rev().map(|p| (p.0, p.2));
            let outline: Vec<(f64, f64)> = up.chain(down).map(|p| f.held(f.place(p))).collect();
            if outline.len() > 2 {
                d.push(Shape::Area {
                    points: outline,
                    ink: ink(*hue),
                    opacity: 0.18,
                });
            }
        }
        Mark::Dots {
            points, hue, hollow, ..
        } => {
            for p in points.iter().map(|p| f.place(*p)).filter(|p| f.holds(*p)) {
                d.dot(p, if *hollow { 4.0 } else { 3.0 }, ink(*hue), *hollow);
            }
        }
        Mark::Path { .. } => {}
        Mark::Contours { xs, ys, values, levels } => contours(d, f, (xs, ys, values), levels, over),
        Mark::Cells { cells, side } => {
            for (i, j, part) in cells {
                let a = f.place((i - side / 2.0, j - side / 2.0));
                let b = f.place((i + side / 2.0, j + side / 2.0));
                // At least one pixel, so that a single entry of a large matrix is seen.
                let (cx, cy) = ((a.0 + b.0) / 2.0, (a.1 + b.1) / 2.0);
                let gap = |w: f64| if w > 6.0 { w - 1.0 } else { w.max(1.0) };
                let (w, h) = (gap((b.0 - a.0).abs()) / 2.0, gap((b.1 - a.1).abs()) / 2.0);
                d.push(Shape::Area {
                    points: vec![(cx - w, cy - h), (cx + w, cy - h), (cx + w, cy + h), (cx - w, cy + h)],
                    ink: ink(0),
                    opacity: 0.25 + 0.75 * part.clamp(0.0, 1.0),
                });
            }
        }
        Mark::Bars { bars, hue } => {
            for (lo, hi, height) in bars.iter().filter(|b| b.2 != 0.0) {
                let base = if f.y.log { f.y.lo } else { 0.0 };
                let (a, b) = (f.held(f.place((*lo, base))), f.held(f.place((*hi, *height))));
                let points = vec![a, (b.0, a.1), b, (a.0, b.1)];
                d.push(Shape::Area {
                    points: points.clone(),
                    ink: ink(*hue),
                    opacity: 0.75,
                });
                d.push(Shape::Line {
                    points: [points.clone(), vec![points[0]]].concat(),
                    stroke: Stroke::new(PAPER, 0.8),
                });
            }
        }
        Mark::Level { at, label } => {
            let y = f.py(*at);
            if y >= f.top && y <= f.bottom {
                d.push(Shape::Line {
                    points: vec![(f.left, y), (f.right, y)],
                    stroke: Stroke::new(FAINT, 1.0).dashed(&[4.0, 3.0]),
                });
                let y = if y - f.top < 18.0 { y + 14.0 } else { y - 5.0 };
                d.text(Text::new(f.right - 6.0, y, label, NOTE + 0.5, FAINT).anchored(Anchor::End));
            }
        }
    }
}

/// Paths, above all else: the longest lowest, so that none hides the others, and their ends on top.
fn ways(d: &mut Drawing, f: &Frame, marks: &[Mark]) {
    let mut all: Vec<(f64, &[(f64, f64)], Hue)> = vec![];
    for m in marks {
        if let Mark::Path { points, hue, .. } = m {
            let pieces = finite(points).into_iter().flat_map(|run| f.clipped(&run));
            all.push((pieces.map(|p| length(&p)).sum(), points.as_slice(), *hue));
        }
    }
    all.sort_by(|a, b| b.0.total_cmp(&a.0));
    for (_, points, hue) in &all {
        for run in finite(points) {
            for points in f.clipped(&run) {
                // White around it keeps it apart from the lines below.
                d.push(Shape::Line {
                    points: points.clone(),
                    stroke: Stroke::new(PAPER, 2.8),
                });
                d.push(Shape::Line {
                    points,
                    stroke: Stroke::new(ink(*hue), 1.3),
                });
            }
        }
        if points.len() <= 60 {
            for p in points.iter().map(|p| f.place(*p)).filter(|p| f.holds(*p)) {
                d.dot(p, 1.8, ink(*hue), false);
            }
        }
    }
    // Where several begin or end at one place, each has a wider mark than the next.
    for hollow in [true, false] {
        let end = |points: &[(f64, f64)]| {
            if hollow {
                points.first().copied()
            } else {
                points.last().copied()
            }
        };
        let at: Vec<Option<(f64, f64)>> = all
            .iter()
            .map(|a| end(a.1).map(|p| f.place(p)).filter(|p| f.holds(*p)))
            .collect();
        for (k, (p, a)) in at.iter().zip(&all).enumerate() {
            let Some(p) = p else { continue };
            let near = |q: &&Option<(f64, f64)>| q.is_some_and(|q| math::hypot(q.0 - p.0, q.1 - p.1) < 4.0);
            let above = at[k + 1..].iter().filter(near).count();
            d.dot(*p, 4.5 + 2.6 * above as f64, ink(a.2), hollow);
        }
    }
}

/// The runs of finite points.
fn finite(points: &[(f64, f64)]) -> Vec<Vec<(f64, f64)>> {
    points
        .split(|p| !(p.0.is_finite() && p.1.is_finite()))
        .filter(|r| !r.is_empty())
        .map(<[_]>::to_vec)
        .collect()
}

fn contours(
    d: &mut Drawing,
    f: &Frame,
    (xs, ys, values): (&[f64], &[f64], &[f64]),
    levels: &[f64],
    over: &[(f64, f64)],
) {
    let n = levels.len().max(2);
    let (xs, ys, values) = contour::finer(xs, ys, values);
    let mut all: Vec<(usize, Line)> = vec![];
    for (k, level) in levels.iter().enumerate() {
        // From dark blue in the valley to pale on the heights.
        let part = k as f64 / (n - 1) as f64;
        let ink = Ink(0x1f, 0x4e, 0x79).towards(Ink(0xb9, 0xc9, 0xd9), part);
        for line in contour::lines(&xs, &ys, &values, *level) {
            let points = simpler(&line.iter().map(|p| f.place(*p)).collect::<Vec<_>>());
            // What is no larger than the grid says more of the grid than of the function.
            if extent(&points) < SPECK {
                continue;
            }
            d.push(Shape::Line {
                points: points.clone(),
                stroke: Stroke::new(ink, 1.0),
            });
            all.push((k, points));
        }
    }
    // Every second line has its value, written where no other line and no path is.
    let mut taken: Vec<(f64, f64)> = vec![];
    for k in (0..levels.len()).step_by(2) {
        let others: Vec<(f64, f64)> = all
            .iter()
            .filter(|l| l.0 != k)
            .flat_map(|l| l.1.iter().copied())
            .collect();
        let text = super::number::rough(levels[k], 2);
        let mut long = all.iter().filter(|l| l.0 == k && length(&l.1) > 90.0);
        long.any(|l| label_line(d, f, &l.1, &text, &mut taken, [&others, over]));
    }
}

/// Length of a line in pixels.
fn length(points: &[(f64, f64)]) -> f64 {
    points
        .windows(2)
        .map(|w| math::hypot(w[1].0 - w[0].0, w[1].1 - w[0].1))
        .sum()
}

/// Size of a contour below which it is left out.
const SPECK: f64 = 9.0;

fn extent(points: &[(f64, f64)]) -> f64 {
    let of = |k: fn(&(f64, f64)) -> f64| {
        let ends = points
            .iter()
            .map(k)
            .fold((f64::INFINITY, f64::NEG_INFINITY), |e, v| (e.0.min(v), e.1.max(v)));
        ends.1 - ends.0
    };
    of(|p| p.0).max(of(|p| p.1))
}

/// A line without points that lie within a pixel and a half of the one before; its ends stay.
fn simpler(points: &[(f64, f64)]) -> Vec<(f64, f64)> {
    let mut out: Vec<(f64, f64)> = vec![];
    for (k, p) in points.iter().enumerate() {
        let near = out.last().is_some_and(|l| math::hypot(l.0 - p.0, l.1 - p.1) < 1.5);
        if !near || k + 1 == points.len() {
            out.push(*p);
        }
    }
    out
}

/// Writes a value on its line where there is room; says whether there was.
fn label_line(
    d: &mut Drawing,
    f: &Frame,
    points: &[(f64, f64)],
    text: &str,
    taken: &mut Vec<(f64, f64)>,
    [others, over]: [&[(f64, f64)]; 2],
) -> bool {
    let half = font::width(text, NOTE - 1.0) / 2.0;
    for part in [0.5, 0.4, 0.6, 0.3, 0.7, 0.2, 0.8, 0.15, 0.85, 0.1, 0.9, 0.05, 0.95] {
        let (x, y) = points[((points.len() - 1) as f64 * part) as usize];
        let inside = x - half > f.left + 4.0 && x + half < f.right - 4.0 && y > f.top + 10.0 && y < f.bottom - 10.0;
        let apart = taken.iter().all(|t| (t.0 - x).abs() > 46.0 || (t.1 - y).abs() > 16.0);
        let off = |list: &[(f64, f64)], wide: f64, high: f64| {
            list.iter()
                .all(|t| (t.0 - x).abs() > half + wide || (t.1 - y).abs() > high)
        };
        let clear = off(others, 0.0, 5.0) && off(over, 8.0, 12.0);
        if inside && apart && clear {
            taken.push((x, y));
            d.push(Shape::Area {
                points: vec![
                    (x - half - 1.5, y - 6.0),
                    (x + half + 1.5, y - 6.0),
                    (x + half + 1.5, y + 6.0),
                    (x - half - 1.5, y + 6.0),
                ],
                ink: PAPER,
                opacity: 1.0,
            });
            d.text(Text::new(x, y + 3.5, text, NOTE - 1.0, FAINT).anchored(Anchor::Middle));
            return true;
        }
    }
    false
}

/// The name of a thing, its colour, and whether it is a path.
type Name = (String, Hue, bool);

/// Names of things that have no end at the right: paths and dots.
fn in_plane(f: &Figure) -> Vec<Name> {
    let of = |m: &Mark| match m {
        Mark::Path { label, hue, .. } => Some((label.clone(), *hue, true)),
        Mark::Dots { label, hue, .. } => Some((label.clone(), *hue, false)),
        _ => None,
    };
    let names = f.marks.iter().filter_map(of).filter(|n| !n.0.is_empty());
    names.map(|n| (fitted(&n.0, SIZE, 240.0), n.1, n.2)).collect()
}

/// Pixels that a name takes with the sign before it and the gap behind it.
fn takes(n: &Name) -> f64 {
    font::width(&n.0, SIZE) + 52.0
}

/// Names in rows as long as the picture is wide; of very many the last are left out.
fn name_rows(names: Vec<Name>) -> Vec<Vec<Name>> {
    let mut rows: Vec<Vec<Name>> = vec![];
    let mut free = 0.0;
    for n in names {
        let wide = takes(&n);
        if wide > free {
            rows.push(vec![]);
            free = WIDTH - 100.0;
        }
        free -= wide;
        if let Some(row) = rows.last_mut() {
            row.push(n);
        }
    }
    rows.truncate(4);
    rows
}

fn name_row(d: &mut Drawing, names: &[Name], left: f64, y: f64) {
    let mut x = left;
    for n in names {
        let (name, hue, line) = n;
        if *line {
            d.push(Shape::Line {
                points: vec![(x, y - 4.0), (x + 20.0, y - 4.0)],
                stroke: Stroke::new(ink(*hue), 2.0),
            });
            d.dot((x, y - 4.0), 3.5, ink(*hue), true);
            d.dot((x + 20.0, y - 4.0), 3.5, ink(*hue), false);
        } else {
            d.dot((x + 12.0, y - 4.0), 3.5, ink(*hue), false);
        }
        d.text(Text::new(x + 28.0, y, name, SIZE, TEXT));
        x += takes(n);
    }
}

/// Is the axis so long that it has to be logarithmic?
pub fn long(axis: &Axis) -> bool {
    axis.lo > 0.0 && axis.hi >= 1000.0 * axis.lo
}
