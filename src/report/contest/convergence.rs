//! Objectives along an axis: convergence on one problem, and the record of one solve.
//!
//! Invariant: what is shown is the recorded objective, or its distance to the best one recorded, as the axis says.

use ravine_linalg::math;

use super::super::number::number;
use super::{Contest, DECADES, Run, axis_label, column_of, median};
use crate::base::figure::{Axis, Figure, Mark};

/// Places along the axis at which several seeds are taken together.
const PLACES: usize = 240;
/// A logarithmic axis of objectives goes down to this part of its upper end.
const FLOOR: f64 = 1e-20;

impl Contest {
    /// Objectives along an axis, one colour for each method; median and spread over the seeds.
    pub(super) fn convergence(&self, axis: &str) -> Option<Figure> {
        let sign = self.sign(0);
        let runs: Vec<(usize, Vec<(f64, f64)>)> = self.runs.iter().map(|r| (r.method, r.points(axis))).collect();
        let values = || runs.iter().flat_map(|r| r.1.iter().map(|p| sign * p.1));
        let best = values().fold(f64::INFINITY, f64::min);
        if !best.is_finite() {
            return None;
        }
        let scale = Scale::of(values(), best, sign);
        let shown: Vec<(usize, Vec<(f64, f64)>)> = runs
            .into_iter()
            .map(|(m, p)| (m, p.into_iter().map(|(x, v)| (x, scale.shown(sign * v))).collect()))
            .collect();
        // Methods that end orders of magnitude apart need a logarithmic axis to be seen at all.
        let ends: Vec<f64> = shown
            .iter()
            .filter_map(|r| r.1.last().map(|p| p.0))
            .filter(|x| *x > 0.0)
            .collect();
        let (near, far) = ends
            .iter()
            .fold((f64::INFINITY, 0.0f64), |e, x| (e.0.min(*x), e.1.max(*x)));
        let log = far > 30.0 * near;
        let xs = shown.iter().flat_map(|r| r.1.iter().map(|p| p.0));
        let mut x = Axis::around(axis_label(axis), xs, log);
        x.whole = axis != "seconds" && axis != "passes";
        if !log {
            x.lo = x.lo.min(0.0);
        }
        let mut figure = Figure {
            name: "convergence".into(),
            title: match self.problems.first().map(String::as_str) {
                None | Some("") => "Convergence".into(),
                Some(p) => format!("Convergence on {p}"),
            },
            y: scale.axis(&shown),
            x,
            ..Figure::default()
        };
        for (m, method) in self.methods.iter().enumerate() {
            let of: Vec<&[(f64, f64)]> = shown.iter().filter(|r| r.0 == m).map(|r| r.1.as_slice()).collect();
            if let [one] = of.as_slice() {
                figure.marks.push(Mark::Line {
                    points: one.to_vec(),
                    label: method.clone(),
                    hue: m,
                    strong: true,
                });
                continue;
            }
            let together = together(&of, &figure.x);
            figure.marks.insert(
                0,
                Mark::Band {
                    points: together.iter().map(|p| (p.0, p.1, p.3)).collect(),
                    hue: m,
                },
            );
            figure.marks.push(Mark::Line {
                points: together.iter().map(|p| (p.0, p.2)).collect(),
                label: method.clone(),
                hue: m,
                strong: true,
            });
        }
        if self.seeds.len() > 1 {
            figure.notes.push(format!(
                "Lines are medians over {} seeds, bands reach from the best to the worst run.",
                self.seeds.len()
            ));
        }
        if self.runs.iter().any(|r| r.beyond(column_of(axis)) > 0.0) {
            figure
                .notes
                .push("A race or many starts: what the others took comes first.".into());
        }
        let thinned = self.runs.iter().map(every).fold(1.0, f64::max);
        if thinned >= 10.0 {
            figure.notes.push(format!(
                "Of long runs one step in {thinned:.0} is drawn, and steps 1, 2, 4, 8 and so on."
            ));
        }
        Some(figure)
    }
}

/// The record of one solve: its objective and its stationarity.
pub fn record(run: &Run, name: &str, maximize: bool, axis: &str) -> Option<Figure> {
    let one = Contest {
        problems: vec![String::new()],
        maximize: vec![maximize],
        methods: vec!["objective".into()],
        seeds: vec![0],
        runs: vec![run.clone()],
        sampled: false,
    };
    let mut figure = one.convergence(axis)?;
    figure.name = "trace".into();
    figure.title = format!("Record of {name}");
    let all = run.column(column_of(axis)).iter().zip(run.column("stationarity"));
    let points: Vec<(f64, f64)> = all
        .map(|(x, y)| (*x, *y))
        .filter(|p| p.1 > 0.0 && p.1.is_finite())
        .collect();
    if figure.y.log && points.len() > 1 {
        let (lo, hi) = points
            .iter()
            .fold((f64::INFINITY, 0.0f64), |e, p| (e.0.min(p.1), e.1.max(p.1)));
        figure.y.lo = figure.y.lo.min(lo).max(FLOOR * figure.y.hi);
        figure.y.hi = figure.y.hi.max(hi.min(1e4 * figure.y.hi));
        if let Some(Mark::Line { label, .. }) = figure.marks.last_mut() {
            *label = figure.y.label.split(" (").next().unwrap_or_default().to_string();
        }
        figure.y.label = "value".into();
        figure.marks.push(Mark::Line {
            points,
            label: "stationarity".into(),
            hue: 1,
            strong: true,
        });
    }
    Some(figure)
}

/// Every how many steps the objective of a long run is known, powers of two and its end apart.
fn every(run: &Run) -> f64 {
    let steps: Vec<f64> = run.points("steps").iter().map(|p| p.0).collect();
    let strided: Vec<f64> = steps
        .iter()
        .copied()
        .filter(|s| *s >= 1.0 && !(*s as u64).is_power_of_two())
        .collect();
    let inner = &strided[..strided.len().saturating_sub(1)];
    if steps.len() < 50 {
        return 1.0;
    }
    inner.windows(2).map(|w| w[1] - w[0]).reduce(f64::min).unwrap_or(1.0)
}

/// How objectives are shown: as they are, or as the distance to the best.
struct Scale {
    /// What is taken away, of the minimized sense.
    best: Option<f64>,
    sign: f64,
    log: bool,
}

impl Scale {
    fn of(values: impl Iterator<Item = f64> + Clone, best: f64, sign: f64) -> Scale {
        let most = values
            .clone()
            .filter(|v| v.is_finite())
            .fold(f64::NEG_INFINITY, f64::max);
        let (mut least, mut gap) = (f64::INFINITY, f64::INFINITY);
        for v in values {
            if v > 0.0 {
                least = least.min(v);
            }
            if v > best {
                gap = gap.min(v - best);
            }
        }
        if sign > 0.0 && best >= 0.0 && most >= DECADES * least {
            return Scale {
                best: None,
                sign,
                log: true,
            };
        }
        if gap.is_finite() && most - best >= DECADES * gap {
            return Scale {
                best: Some(best),
                sign,
                log: true,
            };
        }
        Scale {
            best: None,
            sign,
            log: false,
        }
    }
    /// What is shown of a value of the minimized sense.
    fn shown(&self, v: f64) -> f64 {
        match self.best {
            Some(b) => v - b,
            None => self.sign * v,
        }
    }
    fn axis(&self, shown: &[(usize, Vec<(f64, f64)>)]) -> Axis {
        let label = match self.best {
            Some(b) if self.sign > 0.0 => format!("objective − best found ({})", number(b)),
            Some(b) => format!("best found ({}) − objective", number(-b)),
            None => "objective".into(),
        };
        // A run that diverges does not set the axis.
        let starts = shown.iter().filter_map(|r| r.1.first()).map(|p| p.1);
        let (low, high) = starts.fold((f64::INFINITY, f64::NEG_INFINITY), |e, v| (e.0.min(v), e.1.max(v)));
        let values = || shown.iter().flat_map(|r| r.1.iter().map(|p| p.1));
        if self.log {
            let cap = if high > 0.0 { 100.0 * high } else { f64::INFINITY };
            let mut axis = Axis::around(label, values().map(|v| v.min(cap)), true);
            axis.lo = axis.lo.max(FLOOR * axis.hi);
            return axis;
        }
        let mut sorted: Vec<f64> = values().filter(|v| v.is_finite()).collect();
        sorted.sort_by(f64::total_cmp);
        let least = sorted.first().copied().unwrap_or(0.0);
        let most = sorted.last().copied().unwrap_or(1.0);
        let (bottom, top) = match self.sign > 0.0 {
            true => (f64::NEG_INFINITY, high + 0.5 * (high - least).abs()),
            false => (low - 0.5 * (most - low).abs(), f64::INFINITY),
        };
        Axis::around(label, values().map(|v| v.clamp(bottom, top)), false).padded(0.04)
    }
}

/// Several runs at common places: place, least, median and greatest value. A run that has ended keeps its last value.
fn together(runs: &[&[(f64, f64)]], x: &Axis) -> Vec<(f64, f64, f64, f64)> {
    let mut places: Vec<f64> = runs.iter().flat_map(|r| r.iter().map(|p| p.0)).collect();
    places.sort_by(f64::total_cmp);
    places.dedup();
    if places.len() > PLACES {
        let at = |k: usize| {
            let part = k as f64 / (PLACES - 1) as f64;
            match x.log {
                true => math::exp(math::log(x.lo) + part * (math::log(x.hi) - math::log(x.lo))),
                false => x.lo + part * (x.hi - x.lo),
            }
        };
        places = (0..PLACES).map(at).collect();
    }
    let mut out = vec![];
    for place in places {
        let value = |r: &&[(f64, f64)]| {
            let k = r.partition_point(|p| p.0 <= place);
            k.checked_sub(1).map(|k| r[k].1)
        };
        let mut now: Vec<f64> = runs.iter().filter_map(value).filter(|v| !v.is_nan()).collect();
        if now.is_empty() {
            continue;
        }
        let middle = median(&mut now);
        out.push((place, now[0], middle, now[now.len() - 1]));
    }
    out
}
