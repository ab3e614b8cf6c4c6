//! What a race or a run from many starts is told of: who came first, what each spent, which optima were found.
//!
//! Invariant: data only; the order of lines depends on results, never on time.

use super::stop::Status;

/// What a board is of.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Sort {
    /// Runners of a race, in the order written.
    Race,
    /// Distinct optima, the best first.
    Optima,
}

/// A line: a runner, or an optimum.
#[derive(Clone, Debug, PartialEq)]
pub struct Line {
    /// The runner, as it was written or called.
    pub what: String,
    /// Did it win, is it the one that is kept?
    pub first: bool,
    /// How it ended.
    pub status: Option<Status>,
    /// Objective in the user's sense.
    pub objective: Option<f64>,
    /// How many starts led to it.
    pub times: usize,
    /// Steps.
    pub steps: u64,
    /// Evaluations.
    pub evaluations: u64,
    /// Work, in evaluations of the objective.
    pub work: f64,
    /// The point, flat.
    pub point: Vec<f64>,
}

/// A table of lines.
#[derive(Clone, Debug, PartialEq)]
pub struct Board {
    /// What it is of.
    pub sort: Sort,
    /// Its lines.
    pub lines: Vec<Line>,
}

/// Two points within this of one another, relative to their size, are one optimum.
const SAME: f64 = 1e-4;

/// The distinct optima among points with status and objective. `spent` is what all starts took together.
pub fn optima(found: &[(&[f64], Status, f64)], maximize: bool, spent: (u64, u64, f64)) -> Board {
    let mut order: Vec<usize> = (0..found.len()).collect();
    let key = |k: usize| if maximize { -found[k].2 } else { found[k].2 };
    let last = |k: usize| (key(k).is_nan(), found[k].1.is_failure());
    // NaN last, failures before it; equal ones in the order of their starts.
    order.sort_by(|a, b| last(*a).cmp(&last(*b)).then(key(*a).total_cmp(&key(*b))).then(a.cmp(b)));
    let mut lines: Vec<Line> = vec![];
    for k in order {
        let (x, status, objective) = found[k];
        let near = |l: &&mut Line| {
            let scale = x.iter().fold(1.0f64, |m, v| m.max(v.abs()));
            let alike = l.status.is_some_and(|s| s.is_failure() == status.is_failure());
            alike && l.point.len() == x.len() && l.point.iter().zip(x).all(|(a, b)| (a - b).abs() <= SAME * scale)
        };
        match lines.iter_mut().find(near) {
            Some(l) => l.times += 1,
            None => lines.push(Line {
                what: format!("start {}", k + 1),
                first: lines.is_empty(),
                status: Some(status),
                objective: (!objective.is_nan()).then_some(objective),
                times: 1,
                steps: spent.0,
                evaluations: spent.1,
                work: spent.2,
                point: x.to_vec(),
            }),
        }
    }
    Board {
        sort: Sort::Optima,
        lines,
    }
}
