//! The same part from many starts: the given one first, then drawn ones; the best answer is kept.
//!
//! Invariant: start `k` depends on the seed and on `k` only, so that it is the same after a cut.

use serde::{Deserialize, Serialize};

use super::super::bits;
use super::super::board::{self, Board};
use super::super::stop::Status;
use super::allowance::{Left, Quota};
use super::entry::Bits;
use super::node::{Kept, Node, best, keep_all, restore_all};
use super::{Around, Course, Entry, Failed, Stage};

/// What runs, from how many starts, and what they led to so far.
pub(super) struct Many {
    pub body: Course<Stage>,
    count: u64,
    spread: f64,
    pub entry: Entry,
    /// Those that ended, and at most one that runs.
    pub tries: Vec<Node>,
    /// Where those that ended led.
    found: Vec<Found>,
    pub over: bool,
    /// The best of those that ended.
    pub kept: usize,
}

/// Where one start led.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
struct Found {
    point: Bits,
    status: Status,
    #[serde(with = "bits::number")]
    objective: f64,
}

/// As written to a file.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub(super) struct KeptMany {
    entry: Entry,
    tries: Vec<Kept>,
    found: Vec<Found>,
    over: bool,
    kept: usize,
}

impl Many {
    pub fn new(body: Course<Stage>, count: u64, spread: f64) -> Many {
        Many {
            body,
            count,
            spread,
            entry: Entry::default(),
            tries: vec![],
            found: vec![],
            over: false,
            kept: 0,
        }
    }

    /// The start that runs, or the best once it is over.
    pub fn shown(&self) -> Option<&Node> {
        if self.over {
            self.tries.get(self.kept)
        } else {
            self.tries.last()
        }
    }

    pub fn go(&mut self, cx: &mut Around<'_>, quota: &mut Quota, left: &Left) -> Result<(), Failed> {
        while !self.over && !quota.is_over() {
            if self.tries.len() == self.found.len() {
                let entry = self.next_start(cx)?;
                self.tries.push(self.body.enter(entry));
            }
            let k = self.tries.len() - 1;
            let now = &mut self.tries[k];
            now.go(cx, quota, left, true)?;
            if !now.ended() {
                break;
            }
            let interrupted = now.interrupted();
            let answer = now.leg().and_then(|l| l.answer.as_deref());
            self.found.push(Found {
                point: Bits(answer.map(|a| a.x.clone()).unwrap_or_default()),
                status: answer.map_or(Status::EvaluationError, |a| a.status),
                objective: answer.and_then(|a| a.objective).unwrap_or(f64::NAN),
            });
            let better = self.tries[k].better(&self.tries[self.kept], cx);
            if interrupted {
                // It may be let go on: no run is let go.
                self.over = true;
                if better {
                    self.kept = k;
                }
                break;
            }
            if better {
                self.tries[self.kept].retire();
                self.kept = k;
            } else if k > 0 {
                self.tries[k].retire();
            }
            self.over = self.found.len() as u64 >= self.count || left.late(cx);
        }
        Ok(())
    }

    fn next_start(&self, cx: &mut Around<'_>) -> Result<Entry, Failed> {
        let k = self.tries.len() as u64;
        if k == 0 {
            return Ok(self.entry.clone());
        }
        let form = self.body.first_form();
        let of = (self.entry.seed(), k, self.spread);
        let drawn = cx.forms[form].drawn_start(cx.params, &self.entry.starts(), self.entry.previous(), of);
        Ok(self.entry.copy(k, drawn.map_err(|f| (form, f))?))
    }

    pub fn stop_here(&mut self, cx: &mut Around<'_>) -> Result<(), Failed> {
        self.over = true;
        if let (true, Some(t)) = (self.tries.len() > self.found.len(), self.tries.last_mut()) {
            t.stop_here(cx)?;
        }
        self.kept = best(cx, &self.tries);
        Ok(())
    }

    pub fn reopen(&mut self) {
        self.over = false;
        self.found.pop();
        if let Some(t) = self.tries.last_mut() {
            t.reopen();
        }
    }

    /// Why its answer is that of the stage that it is of, once it is over.
    pub fn why(&self) -> Option<String> {
        let n = self.found.len();
        self.over.then(|| format!("the best of {n} starts"))
    }

    /// The distinct optima. `spent` is what all starts took together: steps, evaluations, work.
    pub fn board(&self, maximize: bool, spent: (u64, u64, f64)) -> Board {
        let rows: Vec<(&[f64], Status, f64)> = self
            .found
            .iter()
            .map(|f| (f.point.0.as_slice(), f.status, f.objective))
            .collect();
        board::optima(&rows, maximize, spent)
    }

    pub fn keep(&self) -> KeptMany {
        KeptMany {
            entry: self.entry.clone(),
            tries: keep_all(&self.tries),
            found: self.found.clone(),
            over: self.over,
            kept: self.kept,
        }
    }

    /// Can it be of such a run?
    pub fn fits(&self, kept: &KeptMany) -> bool {
        let (tries, found) = (kept.tries.len(), kept.found.len());
        let counted = found <= tries && tries <= found + 1 && tries as u64 <= self.count;
        counted && kept.kept < tries.max(1)
    }

    pub fn restore(&mut self, kept: &KeptMany, cx: &mut Around<'_>) -> Result<(), String> {
        (self.entry, self.found) = (kept.entry.clone(), kept.found.clone());
        (self.over, self.kept) = (kept.over, kept.kept);
        self.tries = kept.tries.iter().map(|_| Node::new(&self.body)).collect();
        restore_all(&mut self.tries, &kept.tries, cx)
    }
}
