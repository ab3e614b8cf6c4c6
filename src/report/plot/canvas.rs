//! What a drawing is made of, and the frame that takes values to pixels.
//!
//! Invariant: coordinates are finite; what a frame clips lies inside it.

use ravine_linalg::math;

use crate::base::figure::Axis;

/// A colour.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) struct Ink(pub u8, pub u8, pub u8);

impl Ink {
    /// The colour that lies the part of the way to another.
    pub fn towards(self, other: Ink, part: f64) -> Ink {
        let mix = |a: u8, b: u8| (f64::from(a) + part * (f64::from(b) - f64::from(a))).round() as u8;
        Ink(mix(self.0, other.0), mix(self.1, other.1), mix(self.2, other.2))
    }
}

/// How a line is drawn.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) struct Stroke {
    pub ink: Ink,
    pub width: f64,
    pub dash: &'static [f64],
}

impl Stroke {
    pub fn new(ink: Ink, width: f64) -> Stroke {
        Stroke { ink, width, dash: &[] }
    }
    pub fn dashed(self, dash: &'static [f64]) -> Stroke {
        Stroke { dash, ..self }
    }
}

/// Which part of a text stands at its place.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Anchor {
    Start,
    Middle,
    End,
}

/// Words.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Text {
    pub x: f64,
    pub y: f64,
    pub text: String,
    pub size: f64,
    pub ink: Ink,
    pub anchor: Anchor,
    pub bold: bool,
    /// Written from below upwards.
    pub turned: bool,
    /// With a rim of paper around the letters, over what else is there.
    pub rimmed: bool,
}

impl Text {
    pub fn new(x: f64, y: f64, text: &str, size: f64, ink: Ink) -> Text {
        Text {
            x,
            y,
            text: text.to_string(),
            size,
            ink,
            anchor: Anchor::Start,
            bold: false,
            turned: false,
            rimmed: false,
        }
    }
    pub fn anchored(self, anchor: Anchor) -> Text {
        Text { anchor, ..self }
    }
    pub fn bold(self) -> Text {
        Text { bold: true, ..self }
    }
    pub fn turned(self) -> Text {
        Text { turned: true, ..self }
    }
    pub fn rimmed(self) -> Text {
        Text { rimmed: true, ..self }
    }
}

/// One thing on the paper.
#[derive(Clone, Debug, PartialEq)]
pub(crate) enum Shape {
    Line {
        points: Vec<(f64, f64)>,
        stroke: Stroke,
    },
    Area {
        points: Vec<(f64, f64)>,
        ink: Ink,
        opacity: f64,
    },
    Circle {
        at: (f64, f64),
        radius: f64,
        fill: Ink,
        stroke: Stroke,
    },
    Words(Text),
}

/// Paper with shapes, the lowest first.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Drawing {
    pub width: f64,
    pub height: f64,
    pub paper: Ink,
    pub title: String,
    pub shapes: Vec<Shape>,
}

impl Drawing {
    pub fn new(width: f64, height: f64, paper: Ink) -> Drawing {
        Drawing {
            width,
            height,
            paper,
            title: String::new(),
            shapes: vec![],
        }
    }
    pub fn push(&mut self, s: Shape) {
        let fine = |p: &[(f64, f64)]| p.iter().all(|p| p.0.is_finite() && p.1.is_finite());
        let keep = match &s {
            Shape::Line { points, .. } => points.len() > 1 && fine(points),
            Shape::Area { points, .. } => points.len() > 2 && fine(points),
            Shape::Circle { at, .. } => fine(&[*at]),
            Shape::Words(t) => !t.text.is_empty() && fine(&[(t.x, t.y)]),
        };
        if keep {
            self.shapes.push(s);
        }
    }
    pub fn text(&mut self, t: Text) {
        self.push(Shape::Words(t));
    }
    pub fn dot(&mut self, at: (f64, f64), radius: f64, ink: Ink, hollow: bool) {
        let (fill, stroke) = match hollow {
            true => (self.paper, Stroke::new(ink, 1.6)),
            false => (ink, Stroke::new(self.paper, 0.8)),
        };
        self.push(Shape::Circle {
            at,
            radius,
            fill,
            stroke,
        });
    }
    pub fn rect(&mut self, left: f64, top: f64, right: f64, bottom: f64, fill: Option<Ink>, stroke: Option<Stroke>) {
        let points = vec![(left, top), (right, top), (right, bottom), (left, bottom)];
        if let Some(ink) = fill {
            self.push(Shape::Area {
                points: points.clone(),
                ink,
                opacity: 1.0,
            });
        }
        if let Some(stroke) = stroke {
            let points = [points.clone(), vec![points[0]]].concat();
            self.push(Shape::Line { points, stroke });
        }
    }
}

/// Where the axes are on the paper.
#[derive(Clone, Debug)]
pub(crate) struct Frame {
    pub left: f64,
    pub right: f64,
    pub top: f64,
    pub bottom: f64,
    pub x: Axis,
    pub y: Axis,
}

/// Where 0 is on an axis that has a place for it: a little inside, so that a line along it is seen.
const ZERO: f64 = 0.02;

/// The part of the axis at which a value lies.
pub(super) fn part(axis: &Axis, v: f64) -> f64 {
    if axis.zero.is_some_and(|z| v < z) {
        ZERO
    } else if axis.log {
        let v = math::log(v.max(f64::MIN_POSITIVE));
        (v - math::log(axis.lo)) / (math::log(axis.hi) - math::log(axis.lo))
    } else {
        // Halves first: the width of the whole range of numbers is none.
        (v / 2.0 - axis.lo / 2.0) / (axis.hi / 2.0 - axis.lo / 2.0)
    }
}

impl Frame {
    /// The frame with equal units on both axes, if so wanted.
    pub fn squared(mut self, wanted: bool) -> Frame {
        if wanted {
            let (units_x, units_y) = ((self.x.hi - self.x.lo).abs(), (self.y.hi - self.y.lo).abs());
            let (w, h) = (self.right - self.left, self.bottom - self.top);
            let unit = (w / units_x).min(h / units_y);
            // Long thin matrices keep a height that can be seen.
            let (nw, nh) = ((unit * units_x).max(60.0).min(w), (unit * units_y).max(40.0).min(h));
            self.left += (w - nw) / 2.0;
            self.right -= (w - nw) / 2.0;
            self.top += (h - nh) / 2.0;
            self.bottom -= (h - nh) / 2.0;
        }
        self
    }
    pub fn px(&self, v: f64) -> f64 {
        // Step 0 of a logarithmic axis is at its edge: a start far to the left of it would look as if it never was.
        let v = if self.x.log && v <= 0.0 { self.x.lo } else { v };
        self.left + part(&self.x, v) * (self.right - self.left)
    }
    pub fn py(&self, v: f64) -> f64 {
        self.bottom - part(&self.y, v) * (self.bottom - self.top)
    }
    pub fn place(&self, p: (f64, f64)) -> (f64, f64) {
        (self.px(p.0), self.py(p.1))
    }
    pub fn holds(&self, p: (f64, f64)) -> bool {
        p.0 >= self.left - 0.5 && p.0 <= self.right + 0.5 && p.1 >= self.top - 0.5 && p.1 <= self.bottom + 0.5
    }
    /// The nearest place inside.
    pub fn held(&self, p: (f64, f64)) -> (f64, f64) {
        (p.0.clamp(self.left, self.right), p.1.clamp(self.top, self.bottom))
    }
    /// The parts of a line through values that lie inside, in pixels; points closer than a fraction of one are left out.
    pub fn clipped(&self, points: &[(f64, f64)]) -> Vec<Vec<(f64, f64)>> {
        let limit = 1e7;
        let at: Vec<(f64, f64)> = points
            .iter()
            .map(|p| self.place(*p))
            .map(|p| (p.0.clamp(-limit, limit), p.1.clamp(-limit, limit)))
            .collect();
        let mut out: Vec<Vec<(f64, f64)>> = vec![];
        for w in at.windows(2) {
            let Some((a, b)) = self.cut(w[0], w[1]) else { continue };
            match out.last_mut().and_then(|l| l.last().copied().map(|e| (l, e))) {
                Some((l, e)) if (e.0 - a.0).abs() < 0.3 && (e.1 - a.1).abs() < 0.3 => {
                    let last = std::ptr::eq(&w[1], &at[at.len() - 1]);
                    if last || (e.0 - b.0).abs() > 0.25 || (e.1 - b.1).abs() > 0.25 {
                        l.push(b);
                    }
                }
                _ => out.push(vec![a, b]),
            }
        }
        out
    }
    /// The part of a segment inside (Liang and Barsky).
    fn cut(&self, a: (f64, f64), b: (f64, f64)) -> Option<((f64, f64), (f64, f64))> {
        let (dx, dy) = (b.0 - a.0, b.1 - a.1);
        let (mut from, mut to) = (0.0f64, 1.0f64);
        for (p, q) in [
            (-dx, a.0 - self.left),
            (dx, self.right - a.0),
            (-dy, a.1 - self.top),
            (dy, self.bottom - a.1),
        ] {
            if p == 0.0 {
                if q < 0.0 {
                    return None;
                }
            } else if p < 0.0 {
                from = from.max(q / p);
            } else {
                to = to.min(q / p);
            }
        }
        (from <= to).then_some(((a.0 + from * dx, a.1 + from * dy), (a.0 + to * dx, a.1 + to * dy)))
    }
}
