//! Runs side by side: the tables and pictures of `compare`, `sweep` and `plot s.trace`.
//!
//! Invariant: purely of what the runs recorded; a number that differs between equal runs stands in `Cell::Seconds` or on
//! an axis of seconds and nowhere else.
//!
//! Performance profiles after Dolan and Moré, "Benchmarking optimization software with performance profiles" (2002), with
//! the test of convergence of Moré and Wild, "Benchmarking derivative-free optimization algorithms" (2009).

use std::sync::Arc;

use ravine_linalg::math;

use super::number::{number, rough};
use crate::base::figure::{Axis, Figure, Mark};
use crate::base::value::{Column, Table};
use crate::base::view::{Cell, Role, View};
use crate::solve::Status;

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
    /// What it recorded, by step.
    pub trace: Arc<Table>,
    /// Where it went, by step.
    pub path: Arc<Table>,
    /// How long it took.
    pub seconds: f64,
}

/// Runs of methods on problems.
#[derive(Clone, Debug, Default)]
pub struct Contest {
    /// The problems; the unnamed one has an empty name.
    pub problems: Vec<String>,
    /// Which of them are maximized.
    pub maximize: Vec<bool>,
    /// The methods, by what they are called here.
    pub methods: Vec<String>,
    /// The seeds.
    pub seeds: Vec<u64>,
    /// All runs, problem by problem, method by method, seed by seed.
    pub runs: Vec<Run>,
    /// Does a problem sum terms that mini-batches are drawn from?
    pub sampled: bool,
}

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

/// Part of the way from the start to the best value found that counts as solved in a profile: all but this.
const SOLVED: f64 = 1e-4;
/// Places along the axis at which several seeds are taken together.
const PLACES: usize = 240;
/// Quotient of the largest and the smallest value from which an axis is logarithmic.
const DECADES: f64 = 100.0;
/// A logarithmic axis of objectives goes down to this part of its upper end.
const FLOOR: f64 = 1e-20;

impl Run {
    /// A column of the record; empty if there is none of that name.
    pub fn column(&self, name: &str) -> &[f64] {
        match self.trace.column(name) {
            Some(Column::Numbers(v)) => v,
            _ => &[],
        }
    }
    fn last(&self, name: &str) -> f64 {
        self.column(name).last().copied().unwrap_or(f64::NAN)
    }
    /// Points of the record where the objective is known, along an axis.
    fn points(&self, axis: &str) -> Vec<(f64, f64)> {
        let both = self.column(column_of(axis)).iter().zip(self.column("objective"));
        both.map(|(x, y)| (*x, *y))
            .filter(|p| p.0.is_finite() && p.1.is_finite())
            .collect()
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
    fn sign(&self, problem: usize) -> f64 {
        if self.maximize.get(problem) == Some(&true) {
            -1.0
        } else {
            1.0
        }
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
        title("from", several);
        title("to", several);
        title("steps", true);
        title("evaluations", true);
        title("gradients", true);
        title("passes", self.sampled);
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
                let known: Vec<f64> = runs
                    .iter()
                    .filter_map(|r| r.objective)
                    .filter(|v| !v.is_nan())
                    .collect();
                let mut row = vec![];
                if many {
                    row.push(Cell::Text(problem.clone()));
                }
                row.push(Cell::Text(method.clone()));
                row.push(Cell::Text(statuses(&runs)));
                row.push(Cell::Number(middle(&|r| r.objective.unwrap_or(f64::NAN))));
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
                row.push(Cell::Seconds(middle(&|r| r.seconds)));
                rows.push(row);
            }
        }
        let mut parts = vec![View::Table { head, rows }];
        if several {
            let n = self.seeds.len();
            parts.push(View::styled(
                format!("medians over {n} seeds; `from` and `to` are the smallest and the largest objective"),
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

    /// Objectives along an axis, one colour for each method; median and spread over the seeds.
    fn convergence(&self, axis: &str) -> Option<Figure> {
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
        let thinned = self.runs.iter().map(every).fold(1.0, f64::max);
        if thinned >= 10.0 {
            figure.notes.push(format!(
                "Of long runs one step in {thinned:.0} is drawn, and steps 1, 2, 4, 8 and so on."
            ));
        }
        Some(figure)
    }

    /// The part of all problems that each method solves within a multiple of the least cost.
    fn profile(&self, axis: &str) -> Option<Figure> {
        let mut quotients: Vec<Vec<f64>> = vec![vec![]; self.methods.len()];
        let mut instances = 0usize;
        for p in 0..self.problems.len() {
            for seed in &self.seeds {
                let sign = self.sign(p);
                let runs: Vec<&Run> = self.runs.iter().filter(|r| r.problem == p && r.seed == *seed).collect();
                let points: Vec<Vec<(f64, f64)>> = runs.iter().map(|r| r.points(axis)).collect();
                let all = || points.iter().flatten().map(|q| sign * q.1);
                let best = all().fold(f64::INFINITY, f64::min);
                let start = points
                    .iter()
                    .filter_map(|q| q.first())
                    .map(|q| sign * q.1)
                    .fold(f64::NEG_INFINITY, f64::max);
                if !(best.is_finite() && start.is_finite()) {
                    continue;
                }
                instances += 1;
                let goal = best + SOLVED * (start - best);
                let least = if axis == "seconds" { f64::MIN_POSITIVE } else { 1.0 };
                let cost = |q: &[(f64, f64)]| {
                    let hit = q.iter().find(|(_, v)| sign * v <= goal);
                    hit.map_or(f64::INFINITY, |h| h.0.max(least))
                };
                let costs: Vec<f64> = points.iter().map(|q| cost(q)).collect();
                let first = costs.iter().copied().fold(f64::INFINITY, f64::min);
                for (r, c) in runs.iter().zip(&costs) {
                    quotients[r.method].push(c / first);
                }
            }
        }
        let finite = quotients.iter().flatten().copied().filter(|q| q.is_finite());
        let far = finite.fold(1.0, f64::max);
        if instances == 0 {
            return None;
        }
        let hi = (1.3 * far).max(2.0);
        let mut figure = Figure {
            name: "profile".into(),
            title: format!("Performance profile over {instances} problems"),
            x: Axis {
                label: format!("{} as a multiple of the best method's", axis_label(axis)),
                log: hi > 5.0,
                lo: 1.0,
                hi,
                whole: false,
            },
            y: Axis {
                label: "part of the problems solved".into(),
                log: false,
                lo: -0.02,
                hi: 1.03,
                whole: false,
            },
            marks: vec![],
            notes: vec![format!(
                "Solved: the objective has come all but {} of the way from the start to the best value found.",
                number(SOLVED)
            )],
        };
        for (m, q) in quotients.iter_mut().enumerate() {
            q.sort_by(f64::total_cmp);
            let mut points = vec![(1.0, 0.0)];
            for (k, v) in q.iter().enumerate().filter(|(_, v)| v.is_finite()) {
                points.push((*v, k as f64 / instances as f64));
                points.push((*v, (k + 1) as f64 / instances as f64));
            }
            let last = points.last().map_or(0.0, |p| p.1);
            points.push((hi, last));
            figure.marks.push(Mark::Line {
                points,
                label: self.methods[m].clone(),
                hue: m,
                strong: true,
            });
        }
        Some(figure)
    }
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

#[cfg(test)]
mod tests {
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

    #[test]
    fn medians() {
        assert_eq!(median(&mut [3.0, 1.0, 2.0]), 2.0);
        assert_eq!(median(&mut [4.0, 1.0, 2.0, 3.0]), 2.5);
        assert!(median(&mut []).is_nan());
    }
}
