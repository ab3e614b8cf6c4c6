//! What a solve recorded, its stages one after the other: the tables behind `s.trace` and `s.path`.
//!
//! Invariant: rows are in step order; counts, passes and seconds go on from stage to stage; the objective is in the user's
//! sense.

use std::sync::Arc;

use crate::base::value::{Column, Table};
use crate::solve::compiled::Compiled;
use crate::solve::oracle::Counts;
use crate::solve::trace::{COUNTED, Trace};

/// Coordinates that have a column of their own in `s.path`.
const COLUMNS: usize = 64;

/// The records of the stages so far.
#[derive(Default)]
pub(super) struct History {
    names: Vec<String>,
    columns: Vec<Vec<f64>>,
    /// Where the counts of the next stage begin.
    counted: [f64; COUNTED.len()],
    stages: f64,
    coordinates: Vec<String>,
    steps: Vec<f64>,
    points: Vec<Vec<f64>>,
}

impl History {
    /// Takes what a stage recorded.
    pub fn push(&mut self, t: &Trace, c: &Compiled) {
        self.stages += 1.0;
        let begin = self.counted[0];
        {
            let sign = if c.maximizes() { -1.0 } else { 1.0 };
            let had = self.columns.first().map_or(0, Vec::len);
            // The first row of a later stage is the last one of the stage before.
            let first = usize::from(had > 0);
            let places: Vec<usize> = ["stage"]
                .into_iter()
                .chain(t.columns.iter().map(String::as_str))
                .map(|n| self.column(n, had))
                .collect();
            for k in first..t.len() {
                let row = t.row(k);
                self.columns.iter_mut().for_each(|c| c.push(f64::NAN));
                let mut put = |place: usize, v: f64| {
                    if let Some(last) = self.columns[places[place]].last_mut() {
                        *last = v;
                    }
                };
                put(0, self.stages);
                for (j, v) in row.iter().enumerate() {
                    let v = match j {
                        j if j < COUNTED.len() => v + self.counted[j],
                        j if j == COUNTED.len() => sign * v,
                        _ => *v,
                    };
                    put(j + 1, v);
                }
            }
            if let Some(last) = t.len().checked_sub(1) {
                for (sum, v) in self.counted.iter_mut().zip(t.row(last)) {
                    *sum += v;
                }
            }
        }
        if !c.moves_variables() {
            return;
        }
        let path = t.path();
        let n = c.columns.len();
        if n == 0 || path.points.len() != path.steps.len() * n {
            return;
        }
        let shown = n.min(COLUMNS);
        if self.coordinates.is_empty() {
            self.coordinates = (0..shown).map(|k| c.coordinate(k)).collect();
            self.points = vec![vec![]; shown];
        }
        let first = usize::from(!self.steps.is_empty());
        for (step, x) in path.steps.iter().zip(path.points.chunks_exact(n)).skip(first) {
            self.steps.push(begin + *step as f64);
            self.points.iter_mut().zip(x).for_each(|(c, v)| c.push(*v));
        }
    }

    /// What the runners of a race and the starts of `multistart` took whose records are not kept, by [`COUNTED`]; `made` and
    /// `extra` are what all took in the steps and beyond them.
    pub fn beyond(&self, made: &Counts, extra: &Counts, terms: Option<usize>) -> [f64; COUNTED.len()] {
        let gradients = (made.gradients + made.batches) as f64;
        let beside = (made.beside + extra.total()) as f64;
        let all = [0.0, made.total() as f64, gradients, made.passes(terms), 0.0, beside];
        std::array::from_fn(|k| (all[k] - self.counted[k]).max(0.0))
    }

    /// Objective and stationarity where the run stands now: the last row may repeat what was measured before.
    pub fn reached(&mut self, objective: Option<f64>, stationarity: Option<f64>) {
        for (name, value) in [("objective", objective), ("stationarity", stationarity)] {
            let place = self.names.iter().position(|n| n == name);
            if let (Some(k), Some(v)) = (place, value)
                && let Some(last) = self.columns[k].last_mut()
            {
                *last = v;
            }
        }
    }

    /// The column of that name; a new one is unknown in the rows so far.
    fn column(&mut self, name: &str, rows: usize) -> usize {
        if let Some(k) = self.names.iter().position(|n| n == name) {
            return k;
        }
        self.names.push(name.into());
        self.columns.push(vec![f64::NAN; rows]);
        self.names.len() - 1
    }

    /// The tables: what was recorded, and the path.
    pub fn tables(&mut self) -> (Arc<Table>, Arc<Table>) {
        let table = |what: &str, rows: usize, columns: Vec<(String, Vec<f64>)>| {
            Arc::new(Table {
                file: what.into(),
                rows,
                columns: columns.into_iter().map(|(n, c)| (n, Column::Numbers(c))).collect(),
            })
        };
        let names = std::mem::take(&mut self.names);
        let columns = std::mem::take(&mut self.columns);
        let trace = table(
            "trace",
            columns.first().map_or(0, Vec::len),
            names.into_iter().zip(columns).collect(),
        );
        let steps = std::mem::take(&mut self.steps);
        let rows = steps.len();
        let mut columns = vec![("step".to_string(), steps)];
        columns.extend(
            std::mem::take(&mut self.coordinates)
                .into_iter()
                .zip(std::mem::take(&mut self.points)),
        );
        (trace, table("path", rows, columns))
    }
}
