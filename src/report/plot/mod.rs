//! Figures as drawings: places in pixels, colours, words, for the writers of SVG and PNG.
//!
//! Invariant: the same drawing for the same figure, bit for bit; whatever the data, a drawing of the same size results, and
//! nothing of it lies outside of it.

mod canvas;
mod contour;
mod font;
mod png;
mod svg;
mod ticks;
pub mod words;

use crate::base::figure::{Axis, Figure, Hue, Mark};
use canvas::{Anchor, Drawing, Frame, Ink, Shape, Stroke, Text};
use contour::Line;
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
/// Height of a line of notes, and of the row of names below the title.
const LINE: f64 = 15.0;
/// Distance between two names at the ends of lines.
const APART: f64 = 14.0;

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
        1 => &[6.0, 3.0],
        _ => &[2.0, 2.5],
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
    let names = in_plane(f);
    let notes = wrapped(&f.notes, WIDTH - 24.0);
    let (xt, yt) = (ticks::ticks(&f.x, 7), ticks::ticks(&f.y, 6));
    let wide = yt.iter().map(|t| font::width(&t.1, SIZE)).fold(0.0, f64::max);
    let left = (wide + 34.0).clamp(52.0, 150.0);
    let ends = end_labels(f);
    let outside = ends.iter().filter(|e| !e.inside);
    let right = outside.map(|e| font::width(&e.name, SIZE)).fold(0.0, f64::max);
    let right = if right > 0.0 { (right + 18.0).min(190.0) } else { 18.0 };
    let top = 34.0 + if names.is_empty() { 0.0 } else { LINE + 2.0 };
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
    d.text(Text::new(12.0, 21.0, &f.title, TITLE, TEXT).bold());
    axes(&mut d, &frame, &xt, &yt, left, plain);
    let over = paths(f, &frame);
    for m in &f.marks {
        mark(&mut d, &frame, m, &over);
    }
    d.rect(
        frame.left,
        frame.top,
        frame.right,
        frame.bottom,
        None,
        Some(Stroke::new(FAINT, 1.0)),
    );
    name_row(&mut d, &names, frame.left, 40.0);
    at_ends(&mut d, &frame, ends);
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
        let room = math::exp(0.03 * (math::log(a.hi) - math::log(a.lo)));
        (a.lo, a.hi) = ((a.lo / room).max(f64::MIN_POSITIVE), (a.hi * room).min(f64::MAX));
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
    let label = fitted(&f.y.label, f.bottom - f.top + 40.0);
    d.text(
        Text::new(f.left - margin + 15.0, middle, &label, SIZE, TEXT)
            .anchored(Anchor::Middle)
            .turned(),
    );
}

/// A label cut to so many pixels.
fn fitted(text: &str, width: f64) -> String {
    if font::width(text, SIZE) <= width {
        return text.to_string();
    }
    let mut out: String = text.to_string();
    while !out.is_empty() && font::width(&out, SIZE) > width - 10.0 {
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
        Mark::Path { points, hue, .. } => {
            let stroke = Stroke::new(ink(*hue), 1.6);
            for run in finite(points) {
                for points in f.clipped(&run) {
                    // White around it keeps it apart from the lines below.
                    d.push(Shape::Line {
                        points: points.clone(),
                        stroke: Stroke::new(PAPER, 3.4),
                    });
                    d.push(Shape::Line { points, stroke });
                }
            }
            let at = |p: Option<&(f64, f64)>| p.map(|p| f.place(*p)).filter(|p| f.holds(*p));
            if points.len() <= 60 {
                for p in points.iter().map(|p| f.place(*p)).filter(|p| f.holds(*p)) {
                    d.dot(p, 1.8, ink(*hue), false);
                }
            }
            if let Some(p) = at(points.first()) {
                d.dot(p, 4.5, ink(*hue), true);
            }
            if let Some(p) = at(points.last()) {
                d.dot(p, 4.5, ink(*hue), false);
            }
        }
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
    let mut taken: Vec<(f64, f64)> = vec![];
    let n = levels.len().max(2);
    for (k, level) in levels.iter().enumerate() {
        // From dark blue in the valley to pale on the heights.
        let part = k as f64 / (n - 1) as f64;
        let ink = Ink(0x1f, 0x4e, 0x79).towards(Ink(0xb9, 0xc9, 0xd9), part);
        let lines: Vec<Line> = contour::lines(xs, ys, values, *level);
        let mut placed = 0;
        for line in &lines {
            let points = simpler(&line.iter().map(|p| f.place(*p)).collect::<Vec<_>>());
            // What is no larger than the grid says more of the grid than of the function.
            if extent(&points) < SPECK {
                continue;
            }
            d.push(Shape::Line {
                points: points.clone(),
                stroke: Stroke::new(ink, 1.0),
            });
            let long = points
                .windows(2)
                .map(|w| math::hypot(w[1].0 - w[0].0, w[1].1 - w[0].1))
                .sum::<f64>();
            if placed == 0 && long > 90.0 && k % 2 == 0 {
                placed += usize::from(label_line(
                    d,
                    f,
                    &points,
                    &super::number::rough(*level, 2),
                    &mut taken,
                    over,
                ));
            }
        }
    }
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
    over: &[(f64, f64)],
) -> bool {
    let half = font::width(text, NOTE - 1.0) / 2.0;
    for part in [0.5, 0.3, 0.7, 0.15, 0.85, 0.4, 0.6] {
        let (x, y) = points[((points.len() - 1) as f64 * part) as usize];
        let inside = x - half > f.left + 4.0 && x + half < f.right - 4.0 && y > f.top + 10.0 && y < f.bottom - 10.0;
        let apart = taken.iter().all(|t| (t.0 - x).abs() > 46.0 || (t.1 - y).abs() > 16.0);
        let clear = over
            .iter()
            .all(|t| (t.0 - x).abs() > half + 8.0 || (t.1 - y).abs() > 12.0);
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

/// Names of things that have no end at the right: paths and dots.
fn in_plane(f: &Figure) -> Vec<(String, Hue, bool)> {
    let of = |m: &Mark| match m {
        Mark::Path { label, hue, .. } => Some((label.clone(), *hue, true)),
        Mark::Dots { label, hue, .. } => Some((label.clone(), *hue, false)),
        _ => None,
    };
    f.marks.iter().filter_map(of).filter(|n| !n.0.is_empty()).collect()
}

fn name_row(d: &mut Drawing, names: &[(String, Hue, bool)], left: f64, y: f64) {
    let mut x = left;
    for (name, hue, line) in names {
        let wide = font::width(name, SIZE) + 44.0;
        if x + wide > WIDTH {
            break;
        }
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
        x += wide + 8.0;
    }
}

/// The name of a line, and where its right end is.
struct End {
    name: String,
    hue: Hue,
    at: (f64, f64),
    /// Does it end so far from the frame that its name stands beside it?
    inside: bool,
    /// Where it leaves the picture for good: part of the horizontal axis, and whether upwards.
    off: Option<(f64, bool)>,
}

/// Where a line leaves the picture above or below and does not come back.
fn exit(f: &Figure, points: &[(f64, f64)]) -> Option<(f64, bool)> {
    let parts: Vec<(f64, f64)> = points
        .iter()
        .map(|p| (canvas::part(&f.x, p.0), canvas::part(&f.y, p.1)))
        .filter(|p| p.0.is_finite() && !p.1.is_nan())
        .collect();
    let beyond = |y: f64| !(-0.002..=1.002).contains(&y);
    let last = parts.last().filter(|p| beyond(p.1))?;
    let up = last.1 > 1.0;
    let cut = parts.windows(2).rev().find(|w| !beyond(w[0].1) && beyond(w[1].1));
    let x = match cut {
        Some(w) if w[1].1.is_finite() => {
            let edge = if up { 1.0 } else { 0.0 };
            w[0].0 + (edge - w[0].1) / (w[1].1 - w[0].1) * (w[1].0 - w[0].0)
        }
        Some(w) => w[0].0,
        None => parts.first().map_or(last.0, |p| if p.0 < 0.0 { last.0 } else { p.0 }),
    };
    Some((x.clamp(0.0, 1.0), up))
}

fn end_labels(f: &Figure) -> Vec<End> {
    let seen =
        |p: &&(f64, f64)| p.0.is_finite() && p.1.is_finite() && !(f.y.log && p.1 <= 0.0 || f.x.log && p.0 <= 0.0);
    let of = |m: &Mark| match m {
        Mark::Line { points, label, hue, .. } if !label.is_empty() => {
            let off = exit(f, points);
            let end = points.iter().rev().find(seen);
            let at = *end.or_else(|| points.last().filter(|_| off.is_some()))?;
            Some(End {
                name: match off {
                    Some(_) => format!("{}, off scale", fitted(label, 150.0)),
                    None => fitted(label, 168.0),
                },
                hue: *hue,
                at,
                inside: off.is_some() || canvas::part(&f.x, at.0) < 0.8,
                off,
            })
        }
        _ => None,
    };
    f.marks.iter().filter_map(of).collect()
}

/// Names beside the ends of their lines, moved apart where they would meet.
fn at_ends(d: &mut Drawing, f: &Frame, ends: Vec<End>) {
    let (inside, outside): (Vec<End>, Vec<End>) = ends.into_iter().partition(|e| e.inside);
    let mut taken: Vec<(f64, f64)> = vec![];
    for e in inside {
        let (mut x, mut y) = f.held(f.place(e.at));
        let wide = font::width(&e.name, SIZE);
        let mut away = -APART;
        if let Some((part, up)) = e.off {
            x = f.left + part * (f.right - f.left);
            (y, away) = if up { (f.top, APART) } else { (f.bottom, -APART) };
            // An arrow where the line goes on.
            let back = if up { y + 9.0 } else { y - 9.0 };
            d.push(Shape::Area {
                points: vec![(x - 4.5, back), (x + 4.5, back), (x, y)],
                ink: ink(e.hue),
                opacity: 1.0,
            });
            if x + 8.0 + wide > f.right - 2.0 {
                x -= wide + 16.0;
            }
        }
        let x = x + 8.0;
        let mut y = (y + 4.0).clamp(f.top + 14.0, f.bottom - 7.0);
        let met = |y: f64| {
            taken
                .iter()
                .any(|t| (t.0 - x).abs() < 90.0f64.max(wide) && (t.1 - y).abs() < APART)
        };
        while met(y) && y + away > f.top + APART && y + away < f.bottom - 7.0 {
            y += away;
        }
        taken.push((x, y));
        d.rect(x - 2.0, y - 11.0, x + wide + 2.0, y + 4.0, Some(PAPER), None);
        d.text(Text::new(x, y, &e.name, SIZE, ink(e.hue).towards(TEXT, 0.25)));
    }
    let mut rows: Vec<(f64, f64, String, Hue)> = outside
        .into_iter()
        .map(|e| {
            let (x, y) = f.held(f.place(e.at));
            (y, x, e.name, e.hue)
        })
        .collect();
    rows.sort_by(|a, b| a.0.total_cmp(&b.0).then(a.3.cmp(&b.3)));
    // Down from the top, then up from the bottom.
    let wanted: Vec<f64> = rows.iter().map(|r| r.0).collect();
    let mut at = wanted.clone();
    for k in 1..at.len() {
        at[k] = at[k].max(at[k - 1] + APART);
    }
    if let Some(last) = at.last_mut() {
        // The tick below the corner has its place too.
        *last = last.min(f.bottom - 4.0);
    }
    for k in (1..at.len()).rev() {
        at[k - 1] = at[k - 1].min(at[k] - APART);
    }
    for ((end, x, name, hue), y) in rows.into_iter().zip(at) {
        let right = f.right + 8.0;
        // A thin line leads from an end that is far from its name.
        if right - x > 14.0 || (y - end).abs() > 3.0 {
            d.push(Shape::Line {
                points: vec![(x, end), (f.right, y), (right - 2.0, y)],
                stroke: Stroke::new(ink(hue), 0.6).dashed(&[1.5, 2.0]),
            });
        }
        d.text(Text::new(right, y + 4.0, &name, SIZE, ink(hue).towards(TEXT, 0.25)));
    }
}

/// Is the axis so long that it has to be logarithmic?
pub fn long(axis: &Axis) -> bool {
    axis.lo > 0.0 && axis.hi >= 1000.0 * axis.lo
}
