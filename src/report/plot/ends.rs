//! Names of lines: beside their ends, inside the frame or to the right of it.
//!
//! Invariant: no name lies on another one while there is room, nor on a line where a place beside it is free.

use ravine_linalg::math;

use super::canvas::{self, Drawing, Frame, Shape, Stroke, Text};
use super::{APART, FAINT, HUES, PAPER, SIZE, TEXT, dash, finite, fitted, font, ink};
use crate::base::figure::{Figure, Hue, Mark};

/// Length of the piece of its line before a name, and what it takes.
const PIECE: f64 = 20.0;
const KEY: f64 = 26.0;
/// From the frame to the names outside of it.
const GAP: f64 = 14.0;
/// Distance between points at which lines are looked at.
const NEAR: f64 = 4.0;

/// The name of a line, and where its right end is.
pub(super) struct End {
    name: String,
    hue: Hue,
    at: (f64, f64),
    /// Is there a piece of the line before its name, since colours alone do not tell?
    keyed: bool,
    /// Does it end so far from the frame that its name stands beside it?
    pub inside: bool,
    /// Where it leaves the picture for good: part of the horizontal axis, and whether upwards.
    off: Option<(f64, bool)>,
}

impl End {
    /// Pixels that its name takes.
    pub fn wide(&self) -> f64 {
        font::width(&self.name, SIZE) + if self.keyed { KEY } else { 0.0 }
    }

    /// Writes the name, from `x` on.
    fn write(&self, d: &mut Drawing, x: f64, y: f64) {
        let mut x = x;
        if self.keyed {
            let points = vec![(x, y - 4.0), (x + PIECE, y - 4.0)];
            d.push(Shape::Line {
                points: points.clone(),
                stroke: Stroke::new(PAPER, 5.0),
            });
            d.push(Shape::Line {
                points,
                stroke: Stroke::new(ink(self.hue), 2.0).dashed(dash(self.hue)),
            });
            x += KEY;
        }
        d.text(Text::new(x, y, &self.name, SIZE, ink(self.hue).towards(TEXT, 0.25)).rimmed());
    }
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

/// The names of lines in a frame that is at most so wide.
pub(super) fn end_labels(f: &Figure, width: f64) -> Vec<End> {
    let seen = |p: &&(f64, f64)| {
        let y = p.1 > 0.0 || f.y.zero.is_some() || !f.y.log;
        p.0.is_finite() && p.1.is_finite() && y && (p.0 > 0.0 || f.x.zero.is_some() || !f.x.log)
    };
    let lines = || {
        f.marks.iter().filter_map(|m| match m {
            Mark::Line { points, label, hue, .. } if !label.is_empty() => Some((points, label, *hue)),
            _ => None,
        })
    };
    let keyed = lines().any(|l| l.2 >= HUES.len());
    let of = |(points, label, hue): (&Vec<(f64, f64)>, &String, Hue)| {
        let off = exit(f, points);
        let end = points.iter().rev().find(seen);
        let at = *end.or_else(|| points.last().filter(|_| off.is_some()))?;
        Some(End {
            name: match off {
                Some(_) => format!("{}, off scale", fitted(label, SIZE, 150.0)),
                None => fitted(label, SIZE, 168.0),
            },
            hue,
            at,
            keyed,
            inside: off.is_some(),
            off,
        })
    };
    let mut ends: Vec<End> = lines().filter_map(of).collect();
    let most = ends.iter().filter(|e| !e.inside).map(End::wide).fold(0.0, f64::max);
    for e in &mut ends {
        // Beside its end, if it ends early enough to leave room for the name.
        let free = (1.0 - canvas::part(&f.x, e.at.0)) * (width - most - GAP);
        e.inside |= free > e.wide() + 16.0;
    }
    ends
}

/// Points of all lines, close to one another.
fn course(f: &Frame, marks: &[Mark]) -> Vec<(f64, f64)> {
    let mut out = vec![];
    for m in marks {
        let Mark::Line { points, .. } = m else { continue };
        for piece in finite(points).into_iter().flat_map(|run| f.clipped(&run)) {
            for w in piece.windows(2) {
                let n = (math::hypot(w[1].0 - w[0].0, w[1].1 - w[0].1) / NEAR).ceil().max(1.0);
                let at = |k: usize| {
                    (
                        w[0].0 + k as f64 / n * (w[1].0 - w[0].0),
                        w[0].1 + k as f64 / n * (w[1].1 - w[0].1),
                    )
                };
                out.extend((0..=n as usize).map(at));
            }
        }
    }
    out
}

/// Left, top, right and bottom of a name written from `x` on.
fn area(x: f64, y: f64, wide: f64) -> [f64; 4] {
    [x - 2.0, y - 11.0, x + wide + 2.0, y + 4.0]
}

/// Names beside the ends of their lines, moved apart where they would meet.
pub(super) fn at_ends(d: &mut Drawing, f: &Frame, marks: &[Mark], ends: Vec<End>) {
    let (inside, outside): (Vec<End>, Vec<End>) = ends.into_iter().partition(|e| e.inside);
    let lines = if inside.is_empty() { vec![] } else { course(f, marks) };
    let mut taken: Vec<[f64; 4]> = vec![];
    for e in inside {
        let (x, y) = match e.off {
            None => f.held(f.place(e.at)),
            Some((part, up)) => (f.left + part * (f.right - f.left), if up { f.top } else { f.bottom }),
        };
        match e.off {
            // A disc where the line ends.
            None => d.dot((x, y), 3.0, ink(e.hue), false),
            // An arrow where it goes on.
            Some((_, up)) => {
                let back = if up { y + 9.0 } else { y - 9.0 };
                d.push(Shape::Area {
                    points: vec![(x - 4.5, back), (x + 4.5, back), (x, y)],
                    ink: ink(e.hue),
                    opacity: 1.0,
                });
            }
        }
        let base = match e.off {
            None => y + 4.0,
            Some((_, true)) => f.top + 14.0,
            Some((_, false)) => f.bottom - 7.0,
        };
        let wide = e.wide();
        let cost = |at: (f64, f64)| {
            let [left, top, right, bottom] = area(at.0, at.1, wide);
            if left < f.left || right > f.right || top < f.top || bottom > f.bottom {
                return f64::INFINITY;
            }
            let within = |p: &&(f64, f64)| p.0 >= left && p.0 <= right && p.1 >= top && p.1 <= bottom;
            let meets = |t: &&[f64; 4]| t[0] < right && t[2] > left && t[1] < bottom && t[3] > top;
            let far = (at.1 - base).abs() / APART + if at.0 < x { 1.5 } else { 0.0 };
            lines.iter().filter(within).count() as f64 + 60.0 * taken.iter().filter(meets).count() as f64 + 2.0 * far
        };
        let beside = [x + 8.0, x - 8.0 - wide];
        let places = (0..=40).flat_map(|k| {
            let away = 0.5 * APART * f64::from((k + 1) / 2) * if k % 2 == 0 { 1.0 } else { -1.0 };
            beside.map(|x| (x, base + away))
        });
        let held = (
            beside[0].min(f.right - wide - 2.0).max(f.left + 2.0),
            base.clamp(f.top + 12.0, f.bottom - 5.0),
        );
        let best = places.map(|p| (cost(p), p)).min_by(|a, b| a.0.total_cmp(&b.0));
        let at = best.filter(|b| b.0.is_finite()).map_or(held, |b| b.1);
        taken.push(area(at.0, at.1, wide));
        if (at.1 - base).abs() > 1.5 * APART {
            let near = if at.0 > x { at.0 - 2.0 } else { at.0 + wide + 2.0 };
            d.push(Shape::Line {
                points: vec![(x, y), (near, at.1 - 4.0)],
                stroke: Stroke::new(FAINT, 0.7),
            });
        }
        e.write(d, at.0, at.1);
    }
    let mut rows: Vec<(f64, f64, End)> = outside
        .into_iter()
        .map(|e| {
            let (x, y) = f.held(f.place(e.at));
            (y, x, e)
        })
        .collect();
    rows.sort_by(|a, b| a.0.total_cmp(&b.0).then(a.2.hue.cmp(&b.2.hue)));
    // Down from the top, then up from the bottom.
    let mut at: Vec<f64> = rows.iter().map(|r| r.0).collect();
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
    for ((end, x, e), y) in rows.into_iter().zip(at) {
        // Grey and thin, not to be taken for the line: within the frame from an end that is far from it, beside it to a
        // name that had to move.
        let thread = Stroke::new(FAINT, 0.7);
        if f.right - x > 4.0 {
            d.push(Shape::Line {
                points: vec![(x, end), (f.right, end)],
                stroke: thread.dashed(&[0.7, 3.0]),
            });
            d.dot((x, end), 3.0, ink(e.hue), false);
        }
        if (y - end).abs() > 3.0 {
            d.push(Shape::Line {
                points: vec![(f.right + 1.5, end), (f.right + GAP - 3.0, y)],
                stroke: thread,
            });
        }
        e.write(d, f.right + GAP, y + 4.0);
    }
}
