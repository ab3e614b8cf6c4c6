//! Runners in turns of equal work, from the same point: the first that reaches the tolerance wins.
//!
//! Invariant: who is advanced, how far, and who wins depends on counted work only, never on the clock; only a deadline
//! ends a race early, between two turns.

use serde::{Deserialize, Serialize};

use super::super::bits;
use super::super::board::{Board, Line, Sort};
use super::allowance::{Left, Quota};
use super::node::{Kept, Node, best, keep_all, restore_all};
use super::{Around, Failed};

/// Work that a runner gets in one turn, in evaluations.
const TURN: f64 = 32.0;

/// Runners, and whose turn it is.
pub(super) struct Race {
    names: Vec<String>,
    pub runners: Vec<Node>,
    /// Work that each may have done by the end of this turn.
    allowance: f64,
    at: usize,
    pub over: bool,
    winner: Option<usize>,
    /// Whose answer is that of the race, once it is over.
    pub kept: usize,
}

/// As written to a file.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub(super) struct KeptRace {
    runners: Vec<Kept>,
    #[serde(with = "bits::number")]
    allowance: f64,
    at: usize,
    over: bool,
    winner: Option<usize>,
    kept: usize,
}

impl Race {
    pub fn new(names: Vec<String>, runners: Vec<Node>) -> Race {
        Race {
            names,
            runners,
            allowance: TURN,
            at: 0,
            over: false,
            winner: None,
            kept: 0,
        }
    }

    /// The runner that shows where the race stands.
    pub fn shown(&self) -> &Node {
        &self.runners[if self.over { self.kept } else { self.at }]
    }

    pub fn go(&mut self, cx: &mut Around<'_>, quota: &mut Quota, left: &Left) -> Result<(), Failed> {
        while !self.over && !quota.is_over() {
            let r = &mut self.runners[self.at];
            let share = self.allowance - r.work();
            if !r.ended() && share > 0.0 {
                let mut own = Quota {
                    steps: quota.steps,
                    work: share.min(quota.work),
                    begin: quota.begin,
                };
                quota.begin = false;
                let before = (own.steps, r.work());
                r.go(cx, &mut own, left, true)?;
                quota.steps -= before.0 - own.steps;
                quota.work -= r.work() - before.1;
                if !r.ended() && r.work() < self.allowance {
                    return Ok(());
                }
            }
            self.at += 1;
            if self.at == self.runners.len() {
                self.end_turn(cx, left)?;
            }
        }
        Ok(())
    }

    /// All had their turn: is it decided?
    fn end_turn(&mut self, cx: &mut Around<'_>, left: &Left) -> Result<(), Failed> {
        self.at = 0;
        self.allowance += TURN;
        let runners = &self.runners;
        let first = |a: &usize, b: &usize| runners[*a].work().total_cmp(&runners[*b].work());
        self.winner = (0..runners.len()).filter(|k| runners[*k].reached()).min_by(first);
        let beaten = |w: usize| runners.iter().all(|r| r.ended() || r.work() >= runners[w].work());
        self.over = runners.iter().all(Node::ended) || self.winner.is_some_and(beaten) || left.late(cx);
        if runners.iter().any(Node::interrupted) {
            // It may be let go on: nobody is sent home.
            (self.over, self.kept) = (true, best(cx, runners));
        } else if self.over {
            for r in &mut self.runners {
                r.stop_here(cx)?;
            }
            self.kept = self.winner.unwrap_or_else(|| best(cx, &self.runners));
            for (k, r) in self.runners.iter_mut().enumerate() {
                if k != self.kept {
                    r.retire();
                }
            }
        }
        Ok(())
    }

    pub fn stop_here(&mut self, cx: &mut Around<'_>) -> Result<(), Failed> {
        self.over = true;
        for r in &mut self.runners {
            r.stop_here(cx)?;
        }
        self.kept = best(cx, &self.runners);
        Ok(())
    }

    pub fn reopen(&mut self) {
        self.over = false;
        self.runners.iter_mut().for_each(Node::reopen);
    }

    /// Why its answer is that of the stage that it is of, once it is over.
    pub fn why(&self) -> Option<String> {
        let n = self.runners.len();
        self.over.then(|| match self.winner {
            Some(_) => format!("won the race of {n}"),
            None => format!("the best of a race of {n} without a winner"),
        })
    }

    pub fn board(&self) -> Board {
        let line = |(k, (name, r)): (usize, (&String, &Node))| {
            let (steps, made, _) = r.counts();
            Line {
                what: name.clone(),
                first: self.over && self.winner == Some(k),
                status: r.leg().and_then(|l| l.status()),
                objective: r.leg().and_then(|l| l.objective()),
                times: 0,
                steps,
                evaluations: made.total(),
                work: r.work(),
                point: vec![],
            }
        };
        Board {
            sort: Sort::Race,
            lines: self.names.iter().zip(&self.runners).enumerate().map(line).collect(),
        }
    }

    pub fn keep(&self) -> KeptRace {
        KeptRace {
            runners: keep_all(&self.runners),
            allowance: self.allowance,
            at: self.at,
            over: self.over,
            winner: self.winner,
            kept: self.kept,
        }
    }

    /// Is it of a race of this shape?
    pub fn fits(&self, kept: &KeptRace) -> bool {
        let n = kept.runners.len();
        self.runners.len() == n && kept.at < n && kept.kept < n && kept.winner.is_none_or(|w| w < n)
    }

    pub fn restore(&mut self, kept: &KeptRace, cx: &mut Around<'_>) -> Result<(), String> {
        (self.allowance, self.at, self.over) = (kept.allowance, kept.at, kept.over);
        (self.winner, self.kept) = (kept.winner, kept.kept);
        restore_all(&mut self.runners, &kept.runners, cx)
    }
}
