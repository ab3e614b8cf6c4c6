//! Objectives along an axis: convergence on one problem, and the record of one solve.
//!
//! Invariant: what is shown is what was measured of the runs, or its distance to the best one, as the axis says.

use ravine_linalg::math;

use super::scale::{FLOOR, Scale};
use super::{Contest, Run, axis_label, column_of, median};
use crate::base::figure::{Axis, Figure, Mark};
use crate::ir::Sense;

/// Places along the axis at which several seeds are taken together.
const PLACES: usize = 240;

impl Contest {
    /// Objectives along an axis, one colour for each method; median and spread over the seeds.
    pub(super) fn convergence(&self, axis: &str) -> Option<Figure> {
        let goal = self.goal(0);
        let of = |r: &Run| {
            let points = r.points(axis, goal.column).into_iter();
            points.map(|(x, v)| (x, goal.sign * v)).collect::<Vec<_>>()
        };
        let runs: Vec<(usize, Vec<(f64, f64)>)> = self.runs.iter().map(|r| (r.method, of(r))).collect();
        // Where constraints do not hold nothing is known of the best.
        let all_stray = self.runs.iter().all(Run::strays);
        let judged = self.runs.iter().filter(|r| all_stray || !r.strays());
        let records: Vec<Vec<f64>> = judged.map(|r| r.allowed(goal, all_stray)).collect();
        let begun = runs.iter().filter_map(|r| r.1.first()).map(|p| p.1).reduce(f64::max)?;
        let least = records.iter().flatten().copied().fold(f64::INFINITY, f64::min);
        let start = if least.is_finite() { begun.max(least) } else { begun };
        let all: Vec<f64> = records.iter().flatten().copied().collect();
        let scale = Scale::of(goal, start, &all, |v| {
            let late = |r: &Vec<f64>| r.len() > 4 && r[r.len() / 2..].iter().all(|l| *l <= v);
            records.iter().any(late)
        });
        let shown: Vec<(usize, Vec<(f64, f64)>)> = runs
            .into_iter()
            .map(|(m, p)| (m, p.into_iter().map(|(x, v)| (x, scale.shown(v))).collect()))
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
        } else if shown.iter().flat_map(|r| &r.1).any(|p| p.0 <= 0.0) {
            // The start has a place of its own, to the left of the first step.
            (x.zero, x.lo) = (Some(x.lo), x.lo / 2.0);
        }
        let values: Vec<f64> = shown.iter().flat_map(|r| r.1.iter().map(|p| p.1)).collect();
        let y = scale.axis(scale.label(""), &values);
        let mut figure = Figure {
            name: "convergence".into(),
            title: match self.problems.first().map(String::as_str) {
                None | Some("") => "Convergence".into(),
                Some(p) => format!("Convergence on {p}"),
            },
            notes: scale.notes(&y),
            y,
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
        let strayed: Vec<String> = (0..self.methods.len())
            .filter(|m| self.of(0, *m).any(Run::strays))
            .map(|m| self.methods[m].clone())
            .collect();
        if !strayed.is_empty() {
            figure.notes.push(format!(
                "Of no account for the best: {} ended where the constraints do not hold.",
                strayed.join(", ")
            ));
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
        let thinned = self.runs.iter().map(|r| every(r, goal.column)).fold(1.0, f64::max);
        if thinned > 1.0 {
            figure.notes.push(format!(
                "Of long runs one step in {thinned:.0} is measured and drawn, and steps 1, 2, 4, 8 and so on."
            ));
        }
        Some(figure)
    }
}

/// The record of one solve: what it is judged by, and its stationarity. `name` says of which solve, `problem` of what.
pub fn record(run: &Run, name: &str, problem: &str, sense: Sense, axis: &str) -> Option<Figure> {
    let mut one = Contest {
        problems: vec![String::new()],
        senses: vec![sense],
        methods: vec![String::new()],
        seeds: vec![0],
        runs: vec![run.clone()],
        sampled: false,
    };
    let column = one.goal(0).column;
    one.methods = vec![column.into()];
    let mut figure = one.convergence(axis)?;
    figure.name = "trace".into();
    figure.title = match problem {
        "" => format!("Record of {name}"),
        p => format!("Record of {name} on {p}"),
    };
    let points: Vec<(f64, f64)> = run
        .points(axis, "stationarity")
        .into_iter()
        .filter(|p| p.1 >= 0.0)
        .collect();
    let (lo, hi) = points
        .iter()
        .filter(|p| p.1 > 0.0)
        .fold((f64::INFINITY, 0.0f64), |e, p| (e.0.min(p.1), e.1.max(p.1)));
    if figure.y.log && points.len() > 1 && lo <= hi && column != "stationarity" {
        figure.y.lo = figure.y.lo.min(lo).max(FLOOR * figure.y.hi);
        figure.y.hi = figure.y.hi.max(hi.min(1e4 * figure.y.hi));
        // Where it was 0 as it was seen before, it is still.
        let below = points.iter().any(|p| p.1 < figure.y.lo).then_some(figure.y.lo);
        figure.y.zero = figure.y.zero.map(|v| v.min(figure.y.lo)).or(below);
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

/// Every how many steps a long run was measured, powers of two and its end apart.
fn every(run: &Run, column: &str) -> f64 {
    let strided: Vec<f64> = run
        .points("steps", column)
        .iter()
        .map(|p| p.0)
        .filter(|s| *s >= 1.0 && !(*s as u64).is_power_of_two())
        .collect();
    let inner = &strided[..strided.len().saturating_sub(1)];
    inner.windows(2).map(|w| w[1] - w[0]).reduce(f64::min).unwrap_or(1.0)
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
        // Where the runs begin stays a place of its own.
        let first = places[0];
        places = (0..PLACES).map(at).collect();
        places.insert(0, first);
        places.dedup();
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
