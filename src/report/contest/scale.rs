//! How values are shown: as they are, or as the distance to the best.
//!
//! Invariant: the starts set the upper end and rounding the lower one: a run that diverges moves neither, and does not decide
//! what is shown.

use super::super::number::number;
use super::{DECADES, Goal};
use crate::base::figure::Axis;

/// A logarithmic axis goes down to this part of its upper end.
pub(super) const FLOOR: f64 = 1e-20;
/// Objectives that differ by less than this part of the best are equal to rounding.
const ROUNDING: f64 = 16.0 * f64::EPSILON;
/// What is nearer to the best than this part of it does not get closer to 0.
const SETTLED: f64 = 0.01;

/// How values are shown.
pub(super) struct Scale {
    goal: Goal,
    /// What is taken away, of the minimized sense.
    best: Option<f64>,
    /// The value at the start, as it is shown.
    start: f64,
    log: bool,
}

impl Scale {
    /// `values` are what runs went through and `start` the worst of where they began, of the minimized sense. `stays` says
    /// whether some of them stay below a value, where the best is little less.
    pub fn of(goal: Goal, start: f64, values: &[f64], stays: impl Fn(f64) -> bool) -> Scale {
        let values = || values.iter().copied();
        let best = values().fold(start, f64::min);
        let least = values().filter(|v| *v > 0.0).fold(f64::INFINITY, f64::min);
        let gap = values()
            .filter(|v| *v > best)
            .fold(f64::INFINITY, |g, v| g.min(v - best));
        // Who stays at a positive value has found what there is; how lines come down to it is what differs.
        let settled = best > ROUNDING * start && stays((1.0 + SETTLED) * best);
        let falls = goal.sign > 0.0 && best >= 0.0 && start >= DECADES * least;
        // Nothing is known of the best that a stationarity or a gap can have but that it is 0.
        let plain = goal.column != "objective" || falls && !settled;
        let scale = Scale {
            goal,
            best: None,
            start: goal.sign * start,
            log: falls,
        };
        match gap.is_finite() && start - best >= DECADES * gap {
            true if !plain => Scale {
                best: Some(best),
                start: start - best,
                log: true,
                ..scale
            },
            _ => scale,
        }
    }

    /// What is shown of a value of the minimized sense.
    pub fn shown(&self, v: f64) -> f64 {
        match self.best {
            Some(b) => v - b,
            None => self.goal.sign * v,
        }
    }

    /// What is shown, in words; `reached` follows what is measured.
    pub fn label(&self, reached: &str) -> String {
        let what = format!("{}{reached}", self.goal.column);
        match self.best {
            Some(b) if self.goal.sign > 0.0 => format!("{what} − best found ({})", number(b)),
            Some(b) => format!("best found ({}) − {what}", number(-b)),
            None => what,
        }
    }

    /// The axis of values that are shown.
    pub fn axis(&self, label: String, shown: &[f64]) -> Axis {
        let values = || shown.iter().copied().filter(|v| v.is_finite());
        if !self.log {
            let (least, most) = values().fold((f64::INFINITY, f64::NEG_INFINITY), |e, v| (e.0.min(v), e.1.max(v)));
            let (bottom, top) = match self.goal.sign > 0.0 {
                true => (f64::NEG_INFINITY, self.start + 0.5 * (self.start - least).abs()),
                false => (self.start - 0.5 * (most - self.start).abs(), f64::INFINITY),
            };
            return Axis::around(label, values().map(|v| v.clamp(bottom, top)), false).padded(0.04);
        }
        let cap = if self.start > 0.0 {
            100.0 * self.start
        } else {
            f64::INFINITY
        };
        let floor = ROUNDING * self.best.map_or(0.0, f64::abs);
        let above = values().filter(|v| *v > floor).map(|v| v.min(cap));
        let mut axis = Axis::around(label, above, true);
        axis.lo = axis.lo.max(FLOOR * axis.hi);
        axis.zero = values().any(|v| v < axis.lo).then_some(axis.lo);
        axis
    }

    /// What a reader has to know of an axis of this scale.
    pub fn notes(&self, axis: &Axis) -> Vec<String> {
        let mut notes = vec![];
        if axis.zero.is_some() {
            notes.push(match self.best {
                Some(_) => "0 at the lower edge: the best found, or no further from it than rounding.".into(),
                None => "0 at the lower edge: less than the axis shows.".into(),
            });
        }
        notes.extend(self.goal.note());
        notes
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const OBJECTIVE: Goal = Goal {
        column: "objective",
        sign: 1.0,
    };

    fn scale(values: &[f64]) -> Scale {
        let late = &values[values.len() / 2..];
        Scale::of(OBJECTIVE, values[0], values, |v| late.iter().all(|l| *l <= v))
    }

    #[test]
    fn a_run_that_diverges_does_not_decide_what_is_shown() {
        let good: Vec<f64> = (0..30).map(|k| 0.04 + 0.96 * 0.5f64.powi(k)).collect();
        let bad: Vec<f64> = (0..30).map(|k| 10f64.powi(k)).collect();
        let alone = scale(&good).label("");
        assert!(alone.starts_with("objective − best found (0.04"), "{alone}");
        let both: Vec<f64> = good.iter().chain(&bad).copied().collect();
        assert_eq!(scale(&both).label(""), alone);
        let all: Vec<f64> = both.iter().map(|v| scale(&both).shown(*v)).collect();
        assert!(scale(&both).axis(String::new(), &all).hi <= 100.0);
    }

    #[test]
    fn who_stays_above_zero_is_seen_by_its_distance() {
        // From far above, and settled at 0.04: not the objective itself, on which all lines lie on one another.
        let settled: Vec<f64> = (0..60).map(|k| 0.04 + 100.0 * 0.5f64.powi(k)).collect();
        assert!(scale(&settled).label("").contains("best found"));
        let falling: Vec<f64> = (0..30).map(|k| 100.0 * 0.5f64.powi(k)).collect();
        assert_eq!(scale(&falling).label(""), "objective");
    }

    #[test]
    fn what_rounding_hides_is_zero() {
        let values = [1.0, 0.6, 0.5 + 1e-3, 0.5 + 2e-16, 0.5];
        let scale = scale(&values);
        let shown = values.map(|v| scale.shown(v));
        let axis = scale.axis(String::new(), &shown);
        assert!(axis.log && axis.zero.is_some() && axis.lo > 5e-4, "{axis:?}");
    }
}
