//! Solves for one value after the other, and how much the value matters.
//!
//! Invariant: a solve that diverged or ended above its start counts as the start, so that no value can hide the others.

use super::super::number::{number, rough};
use super::{Contest, DECADES, Run};
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
    /// Was it an argument of a method, not a part of the problem?
    pub of_method: bool,
    /// The solves; the method of each is the place of its value.
    pub runs: Contest,
}

impl Sweep {
    /// The objective at the start, of the minimized sense.
    fn start(&self) -> Option<f64> {
        let sign = self.runs.sign(0);
        let first = |r: &Run| {
            r.column("objective")
                .first()
                .map(|v| sign * v)
                .filter(|v| v.is_finite())
        };
        self.runs.runs.iter().find_map(first)
    }

    /// What counts of the end of each solve: its objective of the minimized sense, the start's where it is worse or there
    /// is none.
    fn losses(&self) -> Option<(Vec<f64>, f64)> {
        let (sign, start) = (self.runs.sign(0), self.start()?);
        let loss = |r: &Run| match r.objective.map(|v| sign * v) {
            Some(v) if v.is_finite() => v.min(start),
            _ => start,
        };
        Some((self.runs.runs.iter().map(loss).collect(), start))
    }

    /// The mean of the losses above the least: 0 where every value does equally well.
    pub fn sensitivity(&self) -> Option<f64> {
        if !self.of_method {
            return None;
        }
        let (losses, _) = self.losses()?;
        let least = losses.iter().copied().fold(f64::INFINITY, f64::min);
        let n = losses.len();
        (n > 0).then(|| losses.iter().map(|l| l - least).sum::<f64>() / n as f64)
    }

    /// The table: one row for each value.
    pub fn view(&self) -> View {
        let mut head: Vec<String> = [&self.name, "status", "objective", "steps", "evaluations"]
            .map(String::from)
            .to_vec();
        if self.runs.sampled {
            head.push("passes".into());
        }
        head.push("time".into());
        let rows = self.runs.runs.iter().map(|r| {
            let mut row = vec![
                Cell::Number(self.values[r.method]),
                Cell::Text(r.status.map_or("", Status::word).into()),
                Cell::Number(r.objective.unwrap_or(f64::NAN)),
                Cell::Number(r.last("step")),
                Cell::Number(r.last("evaluations")),
            ];
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
                format!(
                    "sensitivity {}: the mean objective above the best one, no worse than the start's",
                    number(s)
                ),
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

    /// The objective reached against the value.
    pub fn figure(&self) -> Option<Figure> {
        let sign = self.runs.sign(0);
        let known = |r: &Run| r.objective.filter(|v| v.is_finite());
        let start = self.start().filter(|_| self.of_method);
        let kept = |r: &Run| known(r).filter(|v| start.is_none_or(|s| sign * v <= s));
        let value = |r: &Run| self.values[r.method];
        let points: Vec<(f64, f64)> = self
            .runs
            .runs
            .iter()
            .map(|r| (value(r), kept(r).unwrap_or(f64::NAN)))
            .collect();
        let good = || points.iter().map(|p| p.1).filter(|v| v.is_finite());
        if points.is_empty() || (good().next().is_none() && start.is_none()) {
            return None;
        }
        let ends = |v: &mut dyn Iterator<Item = f64>| {
            v.fold((f64::INFINITY, f64::NEG_INFINITY), |e, v| (e.0.min(v), e.1.max(v)))
        };
        let (lo, hi) = ends(&mut self.values.iter().copied());
        let log_x = lo > 0.0 && hi >= 30.0 * lo;
        let (least, most) = ends(&mut good().chain(start.map(|s| sign * s)));
        let log_y = least > 0.0 && most >= DECADES * least;
        let all = good().chain(start.map(|s| sign * s));
        let y = Axis::around("objective reached", all, log_y).padded(0.06);
        let mut figure = Figure {
            name: "sweep".into(),
            title: match self.sensitivity() {
                Some(s) => format!("Sensitivity to {}: {}", self.name, rough(s, 3)),
                None => format!("Objective by {}", self.name),
            },
            x: Axis::around(self.name.clone(), self.values.iter().copied(), log_x),
            y,
            ..Figure::default()
        };
        if let Some(s) = start {
            figure.marks.push(Mark::Level {
                at: sign * s,
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
            .filter_map(|r| Some((value(r), sign * start?)))
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
            figure
                .notes
                .push("Sensitivity is the mean objective above the best, no worse than the start's.".into());
        }
        Some(figure)
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use super::*;

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
            trace: trace.clone(),
            path: Arc::default(),
            beyond: Default::default(),
            seconds: 0.0,
        });
        Sweep {
            name: "lr".into(),
            values: (0..objectives.len()).map(|k| k as f64).collect(),
            of_method: true,
            runs: Contest {
                problems: vec![String::new()],
                maximize: vec![false],
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
}
