//! The record of a run: measures and a method's own columns by committed step.
//!
//! Invariant: rows are copies, taken in step order; when full, every second row is dropped and the stride doubles, so
//! that memory is bounded and the first and last rows stay.

use serde::{Deserialize, Serialize};

use super::bits;
use super::method::MethodCard;
use super::state::State;

/// Names of the columns every method has, after `step` and `evaluations`.
pub const MEASURES: [&str; 5] = ["objective", "stationarity", "feasibility", "gap", "change"];

/// A table of numbers by step.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Trace {
    /// `step`, `evaluations`, the measures, the card's records.
    pub columns: Vec<String>,
    #[serde(with = "bits::array")]
    cells: Vec<f64>,
    stride: u64,
    /// The newest row, if the stride skipped it.
    #[serde(with = "bits::array")]
    last: Vec<f64>,
    limit: usize,
}

impl PartialEq for Trace {
    /// Equality of every bit, NaN included.
    fn eq(&self, other: &Self) -> bool {
        self.columns == other.columns
            && (self.stride, self.limit) == (other.stride, other.limit)
            && bits::same(&self.cells, &other.cells)
            && bits::same(&self.last, &other.last)
    }
}

impl Trace {
    /// An empty trace for a method, of at most `limit` rows (at least 4).
    pub fn new(card: &MethodCard, limit: usize) -> Self {
        let columns = ["step", "evaluations"]
            .iter()
            .chain(&MEASURES)
            .chain(card.records)
            .map(|c| c.to_string())
            .collect();
        Self {
            columns,
            cells: vec![],
            stride: 1,
            last: vec![],
            limit: limit.max(4),
        }
    }
    /// Could it be a trace of this method?
    pub fn fits(&self, card: &MethodCard) -> bool {
        let w = self.columns.len();
        self.columns == Trace::new(card, self.limit).columns
            && self.cells.len().is_multiple_of(w)
            && [0, w].contains(&self.last.len())
            && self.stride > 0
            && self.limit >= 4
    }
    /// Writes the row of a committed step.
    pub fn push(&mut self, step: u64, evaluations: u64, state: &State) {
        let m = &state.measures;
        self.last.clear();
        self.last.extend([
            step as f64,
            evaluations as f64,
            m.objective,
            m.stationarity,
            m.feasibility,
            m.gap,
            m.change,
        ]);
        self.last.extend_from_slice(&state.records);
        self.last.resize(self.columns.len(), f64::NAN);
        if !step.is_multiple_of(self.stride) {
            return;
        }
        self.cells.extend_from_slice(&self.last);
        self.last.clear();
        let w = self.columns.len();
        if self.cells.len() / w > self.limit {
            self.stride *= 2;
            let (cells, stride) = (&mut self.cells, self.stride);
            let mut kept = 0;
            for row in 0..cells.len() / w {
                if (cells[row * w] as u64).is_multiple_of(stride) {
                    cells.copy_within(row * w..(row + 1) * w, kept * w);
                    kept += 1;
                } else if (row + 1) * w == cells.len() {
                    self.last.extend_from_slice(&cells[row * w..]);
                }
            }
            cells.truncate(kept * w);
        }
    }
    /// Writes the measures of the newest row again, which were not known when it was pushed.
    pub fn amend(&mut self, state: &State) {
        let w = self.columns.len();
        let at = self.cells.len().saturating_sub(w);
        let row = if self.last.is_empty() {
            &mut self.cells[at..]
        } else {
            &mut self.last[..]
        };
        let m = &state.measures;
        let measures = [m.objective, m.stationarity, m.feasibility, m.gap, m.change];
        if row.len() == w {
            row[2..7].copy_from_slice(&measures);
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
        self.cells.len() / self.columns.len() + usize::from(!self.last.is_empty())
    }
    /// Has nothing been written?
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }
    /// A row, oldest first.
    pub fn row(&self, i: usize) -> &[f64] {
        let w = self.columns.len();
        self.cells.get(i * w..(i + 1) * w).unwrap_or(&self.last)
    }
    /// A column by name.
    pub fn column(&self, name: &str) -> Option<Vec<f64>> {
        let c = self.columns.iter().position(|n| n == name)?;
        Some((0..self.len()).map(|i| self.row(i)[c]).collect())
    }
}
