//! The record of a run: counts, measures, a method's own columns and the point by committed step.
//!
//! Invariant: rows are copies, taken in step order; when full, every second row is dropped and the stride doubles, so
//! that memory is bounded; the first and last rows and those of steps 1, 2, 4, 8, … stay; the clock has one column, which
//! equality leaves out.

use serde::{Deserialize, Serialize};

use super::bits;
use super::method::MethodCard;
use super::oracle::Counts;
use super::state::State;

/// Names of the columns every method has, after [`COUNTED`].
pub const MEASURES: [&str; 5] = ["objective", "stationarity", "feasibility", "gap", "change"];
/// Names of the first columns: the step and what was evaluated up to it. `passes` are passes over the data: a value and
/// a gradient at one point share one, a mini-batch is its part of one. `beside` are evaluations that only stops, records and
/// measures asked for.
pub const COUNTED: [&str; 6] = ["step", "evaluations", "gradients", "passes", "seconds", "beside"];
/// Numbers kept of the points that a run went through.
const PATH_NUMBERS: usize = 1 << 18;
/// A path of fewer points than these tells nothing, and is not kept.
const PATH_POINTS: usize = 16;
/// Where the clock's column stands: the only one that differs between equal runs.
const SECONDS: usize = 4;
/// Where evaluations beyond the steps stand.
const BESIDE: usize = 5;

/// Rows by step, of bounded number: when full, every second row is dropped and the stride doubles. Where that is asked for,
/// those of powers of two stay whatever the stride, so that the first steps of a long run can be seen on a logarithmic axis.
#[derive(Clone, Debug, Serialize, Deserialize)]
struct Thinned {
    width: usize,
    #[serde(with = "bits::array")]
    cells: Vec<f64>,
    steps: Vec<u64>,
    stride: u64,
    limit: usize,
    powers: bool,
}

impl Thinned {
    fn new(width: usize, limit: usize, powers: bool) -> Thinned {
        Thinned {
            width,
            cells: vec![],
            steps: vec![],
            stride: 1,
            limit,
            powers,
        }
    }
    /// Is a row of this step kept?
    fn keeps(&self, step: u64) -> bool {
        step.is_multiple_of(self.stride) || self.powers && step.is_power_of_two()
    }
    /// Keeps a row if its step is one of those kept; says whether it is there now.
    fn push(&mut self, step: u64, row: &[f64]) -> bool {
        if !self.keeps(step) {
            return false;
        }
        self.cells.extend_from_slice(row);
        self.steps.push(step);
        // Powers of two below the stride are no multiples of it, and do not count.
        let beside = if self.powers { self.stride.trailing_zeros() } else { 0 };
        if self.steps.len() > self.limit + beside as usize {
            if self.powers && self.stride == 1 {
                // Room for all powers there are, so that steps allocate nothing.
                self.cells.reserve_exact(64 * self.width);
                self.steps.reserve_exact(64);
            }
            self.stride *= 2;
            let (w, mut kept) = (self.width, 0);
            for k in 0..self.steps.len() {
                if self.keeps(self.steps[k]) {
                    self.cells.copy_within(k * w..(k + 1) * w, kept * w);
                    self.steps[kept] = self.steps[k];
                    kept += 1;
                }
            }
            self.cells.truncate(kept * w);
            self.steps.truncate(kept);
        }
        self.steps.last() == Some(&step)
    }
    fn row(&self, k: usize) -> Option<&[f64]> {
        self.cells.get(k * self.width..(k + 1) * self.width)
    }
}

/// The points that a run went through.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Path {
    /// The step of each point.
    pub steps: Vec<u64>,
    /// The points, one after the other.
    pub points: Vec<f64>,
    /// Every how many steps one was kept; 0 if none was, for the size of the problem.
    pub stride: u64,
}

/// A table of numbers by step, and the path.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Trace {
    /// [`COUNTED`], the measures, the card's records.
    pub columns: Vec<String>,
    rows: Thinned,
    /// The newest row, if the stride skipped it.
    #[serde(with = "bits::array")]
    last: Vec<f64>,
    path: Thinned,
    /// The newest point, once the run is over and if the stride skipped it.
    #[serde(with = "bits::array")]
    end: Vec<f64>,
    step: u64,
}

impl PartialEq for Trace {
    /// Equality of every bit, NaN included, the clock left out.
    fn eq(&self, other: &Self) -> bool {
        let untimed = |t: &Trace| -> Vec<f64> {
            let all = (0..t.len()).flat_map(|k| t.row(k).iter().enumerate());
            all.filter(|(k, _)| *k != SECONDS).map(|(_, v)| *v).collect()
        };
        self.columns == other.columns
            && (self.rows.stride, self.rows.limit) == (other.rows.stride, other.rows.limit)
            && bits::same(&untimed(self), &untimed(other))
            && self.path.steps == other.path.steps
            && bits::same(&self.path.cells, &other.path.cells)
    }
}

impl Trace {
    /// An empty trace for a method on a problem of `dim` coordinates, of at most `limit` rows (at least 4).
    pub fn new(card: &MethodCard, dim: usize, limit: usize) -> Self {
        let columns: Vec<String> = COUNTED
            .iter()
            .chain(&MEASURES)
            .chain(card.records)
            .map(|c| c.to_string())
            .collect();
        let limit = limit.max(4);
        let points = PATH_NUMBERS / dim.max(1);
        Self {
            rows: Thinned::new(columns.len(), limit, true),
            columns,
            last: vec![],
            path: Thinned::new(dim, if points < PATH_POINTS { 0 } else { points.min(limit) }, false),
            end: vec![],
            step: 0,
        }
    }
    /// Could it be a trace of this method?
    pub fn fits(&self, card: &MethodCard) -> bool {
        let w = self.columns.len();
        self.columns == Trace::new(card, self.path.width, self.rows.limit).columns
            && self.rows.width == w
            && self.rows.cells.len() == self.rows.steps.len() * w
            && self.path.cells.len() == self.path.steps.len() * self.path.width
            && [0, w].contains(&self.last.len())
            && [0, self.path.width].contains(&self.end.len())
            && self.rows.stride > 0
            && self.path.stride > 0
            && self.rows.limit >= 4
    }
    /// Writes the row of a committed step. `terms` is how many terms the problem sums, where it is a finite sum.
    /// `extra` are those beyond the steps that `counts` does not know of.
    pub fn push(
        &mut self,
        step: u64,
        (counts, extra): (&Counts, u64),
        terms: Option<usize>,
        seconds: f64,
        state: &State,
    ) {
        let m = &state.measures;
        self.last.clear();
        self.last.extend([
            step as f64,
            counts.total() as f64,
            (counts.gradients + counts.batches) as f64,
            counts.passes(terms),
            seconds,
            (counts.beside + extra) as f64,
            m.objective,
            m.stationarity,
            m.feasibility,
            m.gap,
            m.change,
        ]);
        self.last.extend_from_slice(&state.records);
        self.last.resize(self.columns.len(), f64::NAN);
        self.step = step;
        if self.rows.push(step, &self.last) {
            self.last.clear();
        }
        if self.path.limit > 0 {
            self.path.push(step, &state.x);
        }
    }
    /// Steps after `step` up to the next that is kept, itself included.
    pub fn skips(&self, step: u64) -> u64 {
        let next = |t: &Thinned| match (t.stride - step % t.stride, t.powers) {
            (next, true) => next.min((step + 1).next_power_of_two() - step),
            (next, false) => next,
        };
        let rows = next(&self.rows);
        if self.path.limit > 0 {
            rows.min(next(&self.path))
        } else {
            rows
        }
    }
    /// A copy with the point at which the run stands.
    pub fn ending(&self, x: &[f64]) -> Trace {
        let mut t = self.clone();
        t.end.clear();
        if t.path.limit > 0 && t.path.steps.last() != Some(&t.step) {
            t.end.extend_from_slice(x);
        }
        t
    }
    /// Writes the measures of the newest row again, which were not known when it was pushed, and what they cost.
    pub fn amend(&mut self, state: &State, beside: u64) {
        let w = self.columns.len();
        let at = self.rows.cells.len().saturating_sub(w);
        let row = if self.last.is_empty() {
            &mut self.rows.cells[at..]
        } else {
            &mut self.last[..]
        };
        let m = &state.measures;
        let measures = [m.objective, m.stationarity, m.feasibility, m.gap, m.change];
        if row.len() == w {
            row[BESIDE] = beside as f64;
            row[COUNTED.len()..COUNTED.len() + MEASURES.len()].copy_from_slice(&measures);
        }
    }
    /// The rows as lines of a log.
    pub fn lines(&self) -> Vec<String> {
        (0..self.len())
            .map(|k| {
                let r = self.row(k);
                let cell = |name: &str| self.columns.iter().position(|c| c == name).map_or(f64::NAN, |c| r[c]);
                format!(
                    "{:4}  objective {:15.8e}  stationarity {:8.1e}  change {:8.1e}  evaluations {}",
                    cell("step"),
                    cell("objective"),
                    cell("stationarity"),
                    cell("change"),
                    cell("evaluations")
                )
            })
            .collect()
    }
    /// Number of rows.
    pub fn len(&self) -> usize {
        self.rows.steps.len() + usize::from(!self.last.is_empty())
    }
    /// Has nothing been written?
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }
    /// Every how many steps a row was kept.
    pub fn stride(&self) -> u64 {
        self.rows.stride
    }
    /// A row, oldest first.
    pub fn row(&self, i: usize) -> &[f64] {
        self.rows.row(i).unwrap_or(&self.last)
    }
    /// A column by name.
    pub fn column(&self, name: &str) -> Option<Vec<f64>> {
        let c = self.columns.iter().position(|n| n == name)?;
        Some((0..self.len()).map(|i| self.row(i)[c]).collect())
    }
    /// The points, oldest first.
    pub fn path(&self) -> Path {
        let (mut steps, mut points) = (self.path.steps.clone(), self.path.cells.clone());
        if !self.end.is_empty() {
            steps.push(self.step);
            points.extend_from_slice(&self.end);
        }
        let stride = if self.path.limit == 0 { 0 } else { self.path.stride };
        Path { steps, points, stride }
    }
}
