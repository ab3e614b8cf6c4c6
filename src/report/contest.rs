//! Runs side by side: the tables and pictures of `compare`, `sweep` and `plot s.trace`.
//!
//! Invariant: purely of what the runs recorded; a number that differs between equal runs stands in `Cell::Seconds` or on
//! an axis of seconds and nowhere else.
//!
//! Here are the runs and their tables; the pictures are `convergence` on one problem, the `profile` over several, and the
//! `sweep`.

mod convergence;
mod profile;
mod scale;
mod sweep;

use std::sync::Arc;

use crate::base::figure::Figure;
use crate::base::value::{Column, Table};
use crate::base::view::{Cell, Role, View};
use crate::ir::Sense;
use crate::solve::Status;
use crate::solve::trace::COUNTED;

pub use convergence::record;
pub use sweep::Sweep;

/// One run.
#[derive(Clone, Debug)]
pub struct Run {
    /// Place of its problem among those compared.
    pub problem: usize,
    /// Place of its method, or of the value that was swept.
    pub method: usize,
    /// Its seed.
    pub seed: u64,
    /// How it ended; nothing where only a record is known.
    pub status: Option<Status>,
    /// The objective at its end, in the user's sense.
    pub objective: Option<f64>,
    /// How far the constraints are from holding at its end, relative.
    pub violation: f64,
    /// What it recorded, by step.
    pub trace: Arc<Table>,
    /// Where it went, by step.
    pub path: Arc<Table>,
    /// What runners of a race and other starts took, whose records are not kept, by the columns of [`COUNTED`].
    pub beyond: [f64; COUNTED.len()],
    /// How long it took.
    pub seconds: f64,
}

/// Runs of methods on problems.
#[derive(Clone, Debug, Default)]
pub struct Contest {
    /// The problems; the unnamed one has an empty name.
    pub problems: Vec<String>,
    /// What is wanted of their objectives.
    pub senses: Vec<Sense>,
    /// The methods, by what they are called here.
    pub methods: Vec<String>,
    /// The seeds.
    pub seeds: Vec<u64>,
    /// All runs, problem by problem, method by method, seed by seed.
    pub runs: Vec<Run>,
    /// Does a problem sum terms that mini-batches are drawn from?
    pub sampled: bool,
}

/// What runs on a problem are judged by.
#[derive(Clone, Copy, Debug)]
struct Goal {
    /// A column of the record.
    column: &'static str,
    /// -1 where large is good.
    sign: f64,
}

impl Goal {
    /// Why it is not the objective.
    fn note(self) -> Option<String> {
        (self.column != "objective").then(|| {
            format!(
                "A saddle point: the objective falls and rises on the way to it; shown is the {}.",
                self.column
            )
        })
    }
}

/// A violation above this makes an objective one of another problem.
const ALLOWED: f64 = 1e-6;

/// Quotient of the largest and the smallest value from which an axis is logarithmic.
const DECADES: f64 = 100.0;

impl Run {
    /// A column of the record; empty if there is none of that name.
    pub fn column(&self, name: &str) -> &[f64] {
        match self.trace.column(name) {
            Some(Column::Numbers(v)) => v,
            _ => &[],
        }
    }
    /// Did it end where the constraints do not hold?
    fn strays(&self) -> bool {
        self.violation > ALLOWED
    }
    /// What was counted to the end, by all runners and starts.
    fn last(&self, name: &str) -> f64 {
        self.column(name).last().copied().unwrap_or(f64::NAN) + self.beyond(name)
    }
    fn beyond(&self, name: &str) -> f64 {
        let place = COUNTED.iter().position(|c| *c == name);
        place.map_or(0.0, |k| self.beyond[k])
    }
    /// What was measured of a column, along an axis; what other runners and starts took comes first.
    fn points(&self, axis: &str, column: &str) -> Vec<(f64, f64)> {
        let first = self.beyond(column_of(axis));
        let (xs, ys) = (self.column(column_of(axis)).iter(), self.column(column).iter());
        // Where the objective is unknown nothing was measured: other columns may repeat what they were.
        xs.zip(ys)
            .zip(self.column("objective"))
            .filter(|(_, f)| f.is_finite())
            .map(|((x, y), _)| (first + *x, *y))
            .filter(|p| p.0.is_finite() && p.1.is_finite())
            .collect()
    }
    /// What was measured where the constraints hold, of the minimized sense; `all` for everywhere.
    fn allowed(&self, goal: Goal, all: bool) -> Vec<f64> {
        let misses = self.column("feasibility").iter().chain(std::iter::repeat(&f64::NAN));
        let both = self.column(goal.column).iter().zip(misses);
        both.filter(|(v, miss)| v.is_finite() && (all || !(**miss > ALLOWED)))
            .map(|(v, _)| goal.sign * v)
            .collect()
    }
    /// Where it ended, by what it is judged by.
    fn reached(&self, goal: Goal) -> Option<f64> {
        match goal.column {
            "objective" => self.objective,
            other => self.column(other).last().copied(),
        }
    }
}

fn column_of(axis: &str) -> &str {
    match axis {
        "steps" => "step",
        other => other,
    }
}

fn axis_label(axis: &str) -> String {
    match axis {
        "steps" => "step".into(),
        "gradients" => "gradient evaluations".into(),
        "passes" => "passes over the data".into(),
        "seconds" => "time (s)".into(),
        other => other.into(),
    }
}

/// The middle one; the mean of the two in the middle of an even number.
fn median(values: &mut [f64]) -> f64 {
    values.sort_by(f64::total_cmp);
    let n = values.len();
    match n {
        0 => f64::NAN,
        n if n % 2 == 1 => values[n / 2],
        n => values[n / 2 - 1] / 2.0 + values[n / 2] / 2.0,
    }
}

impl Contest {
    fn of(&self, problem: usize, method: usize) -> impl Iterator<Item = &Run> {
        self.runs
            .iter()
            .filter(move |r| r.problem == problem && r.method == method)
    }
    /// What runs on a problem are judged by: of a saddle point the objective says nothing.
    fn goal(&self, problem: usize) -> Goal {
        let (column, sign) = match self.senses.get(problem) {
            Some(Sense::Maximize) => ("objective", -1.0),
            Some(Sense::Saddle) => (self.away(), 1.0),
            _ => ("objective", 1.0),
        };
        Goal { column, sign }
    }
    /// How far from a saddle point a run is: the gap where it is known of all, else the stationarity.
    fn away(&self) -> &'static str {
        let known = |r: &Run| r.column("gap").last().is_some_and(|v| v.is_finite());
        if self.runs.iter().all(known) {
            "gap"
        } else {
            "stationarity"
        }
    }
    fn saddles(&self) -> bool {
        self.senses.contains(&Sense::Saddle)
    }

    /// The table: one row for each problem and method, medians over the seeds.
    pub fn view(&self) -> View {
        let (several, many) = (self.seeds.len() > 1, self.problems.len() > 1);
        let mut head: Vec<String> = vec![];
        let mut title = |t: &str, shown: bool| {
            if shown {
                head.push(t.into());
            }
        };
        title("problem", many);
        title("method", true);
        title("status", true);
        title("objective", true);
        title(self.away(), self.saddles());
        let strayed = self.runs.iter().any(Run::strays);
        title("violation", strayed);
        title("from", several);
        title("to", several);
        title("steps", true);
        title("evaluations", true);
        title("gradients", true);
        title("passes", self.sampled);
        let beside = self.runs.iter().any(|r| r.last("beside") > 0.0);
        title("beside", beside);
        title("time", true);
        let mut rows = vec![];
        for (p, problem) in self.problems.iter().enumerate() {
            for (m, method) in self.methods.iter().enumerate() {
                let runs: Vec<&Run> = self.of(p, m).collect();
                if runs.is_empty() {
                    continue;
                }
                let middle = |of: &dyn Fn(&Run) -> f64| {
                    let mut v: Vec<f64> = runs.iter().map(|r| of(r)).filter(|v| !v.is_nan()).collect();
                    median(&mut v)
                };
                let count = |name: &str| Cell::Number(middle(&|r| r.last(name)));
                let goal = self.goal(p);
                let known: Vec<f64> = runs
                    .iter()
                    .filter_map(|r| r.reached(goal))
                    .filter(|v| !v.is_nan())
                    .collect();
                let mut row = vec![];
                if many {
                    row.push(Cell::Text(problem.clone()));
                }
                row.push(Cell::Text(method.clone()));
                row.push(Cell::Text(statuses(&runs)));
                row.push(Cell::Number(middle(&|r| r.objective.unwrap_or(f64::NAN))));
                if self.saddles() {
                    row.push(count(self.away()));
                }
                if strayed {
                    row.push(Cell::Number(middle(&|r| r.violation)));
                }
                if several {
                    let ends = known
                        .iter()
                        .fold((f64::INFINITY, f64::NEG_INFINITY), |e, v| (e.0.min(*v), e.1.max(*v)));
                    row.extend([Cell::Number(ends.0), Cell::Number(ends.1)]);
                }
                row.extend([count("step"), count("evaluations"), count("gradients")]);
                if self.sampled {
                    row.push(count("passes"));
                }
                if beside {
                    row.push(count("beside"));
                }
                row.push(Cell::Seconds(middle(&|r| r.seconds)));
                rows.push(row);
            }
        }
        let mut parts = vec![View::Table { head, rows }];
        if several {
            let n = self.seeds.len();
            let of = match (self.saddles(), self.senses.iter().all(|s| *s == Sense::Saddle)) {
                (false, _) => "objective".to_string(),
                (_, true) => self.away().to_string(),
                _ => format!("objective, of a saddle point the {}", self.away()),
            };
            parts.push(View::styled(
                format!("medians over {n} seeds; `from` and `to` are the smallest and the largest {of}"),
                Role::Faint,
            ));
        }
        View::Stack(parts)
    }

    /// Every run as a row.
    pub fn table(&self) -> Table {
        let texts = |of: &dyn Fn(&Run) -> String| {
            let v: Vec<String> = self.runs.iter().map(of).collect();
            let first = (1, v.first().cloned().unwrap_or_default());
            Column::Texts(v, first)
        };
        let numbers = |of: &dyn Fn(&Run) -> f64| Column::Numbers(self.runs.iter().map(of).collect());
        let mut columns = vec![
            ("problem".to_string(), texts(&|r| self.problems[r.problem].clone())),
            ("method".into(), texts(&|r| self.methods[r.method].clone())),
            ("seed".into(), numbers(&|r| r.seed as f64)),
            (
                "status".into(),
                texts(&|r| r.status.map_or("", Status::word).to_string()),
            ),
            ("objective".into(), numbers(&|r| r.objective.unwrap_or(f64::NAN))),
        ];
        if self.saddles() {
            columns.push((self.away().into(), numbers(&|r| r.last(self.away()))));
        }
        for (name, column) in [
            ("steps", "step"),
            ("evaluations", "evaluations"),
            ("gradients", "gradients"),
            ("passes", "passes"),
        ] {
            columns.push((name.into(), numbers(&|r| r.last(column))));
        }
        columns.push(("seconds".into(), numbers(&|r| r.seconds)));
        Table {
            file: "comparison".into(),
            rows: self.runs.len(),
            columns,
        }
    }

    /// What counts along the axis where nothing is said: steps of one problem; over several, what costs alike for all.
    pub fn usual_axis(&self) -> &'static str {
        if self.problems.len() > 1 {
            "evaluations"
        } else {
            "steps"
        }
    }

    /// The picture: convergence on one problem, a performance profile over several. Nothing where no run recorded
    /// anything.
    pub fn figure(&self, axis: &str) -> Option<Figure> {
        if self.problems.len() > 1 {
            self.profile(axis)
        } else {
            self.convergence(axis)
        }
    }
}

/// `optimal`, or how many of the runs ended as most did.
fn statuses(runs: &[&Run]) -> String {
    let words: Vec<&str> = runs.iter().map(|r| r.status.map_or("", Status::word)).collect();
    let count = |w: &str| words.iter().filter(|o| **o == w).count();
    let most = words.iter().copied().max_by_key(|w| count(w)).unwrap_or("");
    match count(most) {
        n if n == words.len() => most.to_string(),
        n => format!("{most} ({n} of {})", words.len()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn medians() {
        assert_eq!(median(&mut [3.0, 1.0, 2.0]), 2.0);
        assert_eq!(median(&mut [4.0, 1.0, 2.0, 3.0]), 2.5);
        assert!(median(&mut []).is_nan());
    }
}
