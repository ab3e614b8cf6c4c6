//! Solves for one value after the other, and how much the value matters.
//!
//! Invariant: a solve that diverged or ended above its start counts as the start, so that no value can hide the others.

use super::super::number::{number, rough};
use super::scale::Scale;
use super::{Contest, Run};
use crate::base::figure::{Axis, Figure, Mark};
use crate::base::value::{Column, Table};
use crate::base::view::{Cell, Role, View};
use crate::solve::Status;

/// Solves for one value after the other.
#[derive(Clone, Debug, Default)]
pub struct Sweep {
    /// What was varied.
    pub name: String,
    /// Its values.
    pub values: Vec<f64>,
    /// The method asked for; empty where it was left to the problem.
    pub method: String,
    /// Was it an argument of a method, not a part of the problem?
    pub of_method: bool,
    /// The solves; the method of each is the place of its value.
    pub runs: Contest,
}

impl Sweep {
    /// What solves are judged by at the start, of the minimized sense.
    fn start(&self) -> Option<f64> {
        let goal = self.runs.goal(0);
        let first = |r: &Run| {
            r.column(goal.column)
                .first()
                .map(|v| goal.sign * v)
                .filter(|v| v.is_finite())
        };
        self.runs.runs.iter().find_map(first)
    }

    /// What counts of the end of each solve: what it is judged by, of the minimized sense, the start's where it is worse or
    /// there is none.
    fn losses(&self) -> Option<Vec<f64>> {
        let (goal, start) = (self.runs.goal(0), self.start()?);
        let loss = |r: &Run| match r.reached(goal).map(|v| goal.sign * v) {
            Some(v) if v.is_finite() => v.min(start),
            _ => start,
        };
        Some(self.runs.runs.iter().map(loss).collect())
    }

    /// The mean of the losses above the least: 0 where every value does equally well.
    pub fn sensitivity(&self) -> Option<f64> {
        if !self.of_method {
            return None;
        }
        let losses = self.losses()?;
        let least = losses.iter().copied().fold(f64::INFINITY, f64::min);
        let n = losses.len();
        (n > 0).then(|| losses.iter().map(|l| l - least).sum::<f64>() / n as f64)
    }

    /// The table: one row for each value.
    pub fn view(&self) -> View {
        let mut head: Vec<String> = [&self.name, "status", "objective"].map(String::from).to_vec();
        if self.runs.saddles() {
            head.push(self.runs.away().into());
        }
        head.extend(["steps", "evaluations"].map(String::from));
        if self.runs.sampled {
            head.push("passes".into());
        }
        head.push("time".into());
        let rows = self.runs.runs.iter().map(|r| {
            let mut row = vec![
                Cell::Number(self.values[r.method]),
                Cell::Text(r.status.map_or("", Status::word).into()),
                Cell::Number(r.objective.unwrap_or(f64::NAN)),
            ];
            if self.runs.saddles() {
                row.push(Cell::Number(r.last(self.runs.away())));
            }
            row.extend([Cell::Number(r.last("step")), Cell::Number(r.last("evaluations"))]);
            if self.runs.sampled {
                row.push(Cell::Number(r.last("passes")));
            }
            row.push(Cell::Seconds(r.seconds));
            row
        });
        let mut parts = vec![View::Table {
            head,
            rows: rows.collect(),
        }];
        if let Some(s) = self.sensitivity() {
            parts.push(View::styled(
                format!("sensitivity {}: {}", number(s), self.meaning()),
                Role::Faint,
            ));
        }
        View::Stack(parts)
    }

    /// Every solve as a row.
    pub fn table(&self) -> Table {
        let mut t = self.runs.table();
        t.file = "sweep".into();
        t.columns
            .retain(|c| c.0 != "problem" && c.0 != "method" && c.0 != "seed" && c.0 != self.name);
        let values = self.runs.runs.iter().map(|r| self.values[r.method]).collect();
        t.columns.insert(0, (self.name.clone(), Column::Numbers(values)));
        t
    }

    /// What the sensitivity is.
    fn meaning(&self) -> String {
        format!(
            "the mean over {} of ({} reached − best reached), where what diverged or ended worse than the start counts as the start",
            self.name,
            self.runs.goal(0).column
        )
    }

    /// What was done, in a few words.
    fn title(&self) -> String {
        let problem = self.runs.problems.first().map_or("", String::as_str);
        let who = match (self.method.as_str(), problem) {
            ("", p) => p.to_string(),
            (m, "") => m.to_string(),
            (m, p) => format!("{m} on {p}"),
        };
        let what = match self.sensitivity() {
            Some(s) => format!("sensitivity to {}: {}", self.name, rough(s, 3)),
            None => format!("{} by {}", self.runs.goal(0).column, self.name),
        };
        match who.as_str() {
            "" => what[..1].to_uppercase() + &what[1..],
            who => format!("{who}, {what}"),
        }
    }

    /// What was reached against the value.
    pub fn figure(&self) -> Option<Figure> {
        let goal = self.runs.goal(0);
        let start = self.start().filter(|_| self.of_method);
        // Of the minimized sense; what is worse than the start has a ring.
        let kept = |r: &Run| {
            let v = r.reached(goal).filter(|v| v.is_finite()).map(|v| goal.sign * v);
            v.filter(|v| start.is_none_or(|s| *v <= s))
        };
        let value = |r: &Run| self.values[r.method];
        let reached: Vec<f64> = self.runs.runs.iter().filter_map(kept).collect();
        let worst = start.or_else(|| reached.iter().copied().reduce(f64::max))?;
        let scale = Scale::of(goal, worst, &reached, |v| {
            reached.iter().filter(|r| **r <= v).count() > 2
        });
        let mut points: Vec<(f64, f64)> = vec![];
        for r in &self.runs.runs {
            points.push((value(r), kept(r).map_or(f64::NAN, |v| scale.shown(v))));
        }
        let (lo, hi) = self
            .values
            .iter()
            .fold((f64::INFINITY, f64::NEG_INFINITY), |e, v| (e.0.min(*v), e.1.max(*v)));
        let all: Vec<f64> = points
            .iter()
            .map(|p| p.1)
            .chain(start.map(|s| scale.shown(s)))
            .collect();
        let y = scale.axis(scale.label(" reached"), &all);
        let mut figure = Figure {
            name: "sweep".into(),
            title: self.title(),
            x: Axis::around(
                self.name.clone(),
                self.values.iter().copied(),
                lo > 0.0 && hi >= 30.0 * lo,
            ),
            notes: scale.notes(&y),
            y: y.padded(0.02),
            ..Figure::default()
        };
        if let Some(s) = start {
            figure.marks.push(Mark::Level {
                at: scale.shown(s),
                label: "at the start".into(),
            });
        }
        figure.marks.push(Mark::Line {
            points: points.clone(),
            label: String::new(),
            hue: 0,
            strong: true,
        });
        figure.marks.push(Mark::Dots {
            points: points.into_iter().filter(|p| p.1.is_finite()).collect(),
            label: String::new(),
            hue: 0,
            hollow: false,
        });
        let worse: Vec<(f64, f64)> = self
            .runs
            .runs
            .iter()
            .filter(|r| kept(r).is_none())
            .filter_map(|r| Some((value(r), scale.shown(start?))))
            .collect();
        if !worse.is_empty() {
            figure.marks.push(Mark::Dots {
                points: worse,
                label: String::new(),
                hue: 1,
                hollow: true,
            });
            figure.notes.push("Rings: worse than the start, or diverged.".into());
        }
        if self.sensitivity().is_some() {
            figure.notes.push(format!("Sensitivity: {}.", self.meaning()));
        }
        Some(figure)
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use super::*;
    use crate::ir::Sense;

    fn sweep(objectives: &[Option<f64>], start: f64) -> Sweep {
        let trace = Arc::new(Table {
            file: String::new(),
            rows: 1,
            columns: vec![("objective".into(), Column::Numbers(vec![start]))],
        });
        let runs = objectives.iter().enumerate().map(|(k, o)| Run {
            problem: 0,
            method: k,
            seed: 0,
            status: None,
            objective: *o,
            violation: 0.0,
            trace: trace.clone(),
            path: Arc::default(),
            beyond: Default::default(),
            seconds: 0.0,
        });
        Sweep {
            name: "lr".into(),
            values: (0..objectives.len()).map(|k| k as f64).collect(),
            method: "gd".into(),
            of_method: true,
            runs: Contest {
                problems: vec![String::new()],
                senses: vec![Sense::Minimize],
                methods: objectives.iter().map(|_| String::new()).collect(),
                seeds: vec![0],
                runs: runs.collect(),
                sampled: false,
            },
        }
    }

    #[test]
    fn sensitivity_has_its_closed_forms() {
        // A flat sweep; one that is perfect and one that diverged; a point that diverged more adds at most its share.
        assert_eq!(sweep(&[Some(2.0); 5], 9.0).sensitivity(), Some(0.0));
        assert_eq!(sweep(&[Some(1.0), Some(f64::NAN)], 9.0).sensitivity(), Some(4.0));
        assert_eq!(sweep(&[Some(1.0), Some(1e30)], 9.0).sensitivity(), Some(4.0));
        let few = sweep(&[Some(1.0), Some(2.0), Some(3.0)], 9.0)
            .sensitivity()
            .unwrap_or(f64::NAN);
        let more = sweep(&[Some(1.0), Some(2.0), Some(3.0), None], 9.0)
            .sensitivity()
            .unwrap_or(f64::NAN);
        assert!(more <= few + (9.0 - 1.0) / 4.0 && more > few);
    }
    #[test]
    fn what_matters_near_the_best_is_seen() {
        // Between 0.04 and 0.05 a linear axis up to 4 would show nothing.
        let f = sweep(
            &[Some(3.5), Some(0.05), Some(0.0401), Some(0.0402), Some(0.04), Some(9.0)],
            4.3,
        )
        .figure()
        .expect("a figure");
        assert!(f.y.log && f.y.zero.is_some(), "{:?}", f.y);
        assert_eq!(f.y.label, "objective reached − best found (0.04)");
        assert_eq!(f.title, "gd, sensitivity to lr: 1.29");
        let rings = f.marks.iter().find_map(|m| match m {
            Mark::Dots {
                hollow: true, points, ..
            } => Some(points.len()),
            _ => None,
        });
        assert_eq!(rings, Some(1));
    }
}
