//! Pictures before they are drawn: axes, marks and words.
//!
//! Invariant: holds data and meaning, no pixels; a mark's coordinates are in the units of the axes; what is not finite is
//! a gap.

/// One picture with a pair of axes.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Figure {
    /// What its file is called, without an ending.
    pub name: String,
    /// What it shows, in a few words.
    pub title: String,
    /// The horizontal axis.
    pub x: Axis,
    /// The vertical axis.
    pub y: Axis,
    /// What is drawn, the lowest first.
    pub marks: Vec<Mark>,
    /// What a reader has to know beside it; each a sentence.
    pub notes: Vec<String>,
}

/// An axis.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Axis {
    /// What is measured, with its unit if it has one.
    pub label: String,
    /// Is it logarithmic? Then both ends are positive.
    pub log: bool,
    /// The left or lower end.
    pub lo: f64,
    /// The right or upper end; below `lo` for an axis that runs down.
    pub hi: f64,
    /// Are its values whole numbers?
    pub whole: bool,
    /// Below this a value counts as 0, which then has a place of its own at the lower end of a logarithmic axis.
    pub zero: Option<f64>,
}

/// A kind of thing, shown by one colour throughout a picture.
pub type Hue = usize;

/// Something drawn.
#[derive(Clone, Debug, PartialEq)]
pub enum Mark {
    /// A line through points.
    Line {
        /// Where it goes; a point that is not finite breaks it.
        points: Vec<(f64, f64)>,
        /// What it is called; nothing for one that belongs to another.
        label: String,
        /// Its colour.
        hue: Hue,
        /// Is it one of the main things?
        strong: bool,
    },
    /// The area between two lines.
    Band {
        /// Place, lower and upper end.
        points: Vec<(f64, f64, f64)>,
        /// Its colour.
        hue: Hue,
    },
    /// Single points.
    Dots {
        /// Where.
        points: Vec<(f64, f64)>,
        /// What they are called.
        label: String,
        /// Their colour.
        hue: Hue,
        /// Rings instead of discs?
        hollow: bool,
    },
    /// A way through the plane, from a ring to a disc.
    Path {
        /// Where it goes.
        points: Vec<(f64, f64)>,
        /// Whose it is.
        label: String,
        /// Its colour.
        hue: Hue,
    },
    /// Lines of equal value of a function on a grid.
    Contours {
        /// Places along the horizontal axis.
        xs: Vec<f64>,
        /// Places along the vertical axis.
        ys: Vec<f64>,
        /// Values, row by row from the first of `ys`.
        values: Vec<f64>,
        /// The values whose lines are drawn, rising.
        levels: Vec<f64>,
    },
    /// Squares of side 1 around whole numbers, each as dark as its part of 1.
    Cells {
        /// Column, row and part.
        cells: Vec<(f64, f64, f64)>,
        /// Side of a square.
        side: f64,
    },
    /// Bars from 0.
    Bars {
        /// Left end, right end, height.
        bars: Vec<(f64, f64, f64)>,
        /// Their colour.
        hue: Hue,
    },
    /// A line across the picture at a value of the vertical axis.
    Level {
        /// The value.
        at: f64,
        /// What it is.
        label: String,
    },
}

impl Axis {
    /// An axis with the ends of the data; logarithmic where asked for and possible.
    pub fn around(label: impl Into<String>, data: impl Iterator<Item = f64>, log: bool) -> Axis {
        let (mut lo, mut hi) = (f64::INFINITY, f64::NEG_INFINITY);
        for v in data.filter(|v| v.is_finite() && (!log || *v > 0.0)) {
            lo = lo.min(v);
            hi = hi.max(v);
        }
        if lo > hi {
            (lo, hi) = if log { (1.0, 10.0) } else { (0.0, 1.0) };
        }
        if lo == hi {
            (lo, hi) = match log {
                true => (lo / 2.0, hi * 2.0),
                false => (lo - 0.5 * lo.abs().max(1.0), hi + 0.5 * hi.abs().max(1.0)),
            };
        }
        Axis {
            label: label.into(),
            log,
            lo,
            hi,
            whole: false,
            zero: None,
        }
    }
    /// The axis with room at both ends, a part of its length.
    pub fn padded(mut self, part: f64) -> Axis {
        if !self.log {
            let room = part * (self.hi - self.lo);
            self.lo -= room;
            self.hi += room;
        }
        self
    }
}
