//! Parts one after the other, each from where the last one ended.
//!
//! Invariant: the parts before the one that runs are over, and their runs are let go.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use super::super::compiled::Compiled;
use super::super::oracle::Counts;
use super::allowance::{Left, Quota};
use super::node::{Kept, Node, keep_all, restore_all};
use super::{Around, Entry, Failed};

/// Parts whose records are all kept.
const RECORDS: usize = 32;

/// Parts, and which of them runs.
pub(super) struct Chain {
    pub parts: Vec<Node>,
    pub at: usize,
    pub over: bool,
}

/// As written to a file.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub(super) struct KeptChain {
    parts: Vec<Kept>,
    at: usize,
    over: bool,
}

impl Chain {
    pub fn new(parts: Vec<Node>) -> Chain {
        Chain {
            parts,
            at: 0,
            over: false,
        }
    }

    pub fn go(&mut self, cx: &mut Around<'_>, quota: &mut Quota, left: &Left, lone: bool) -> Result<(), Failed> {
        while !self.over && !quota.is_over() {
            let at = self.at;
            let terms = cx.forms.get(self.parts[at].first_form()).and_then(Compiled::terms);
            let inside = left.after(spent(&self.parts[..at]), terms);
            self.parts[at].go(cx, quota, &inside, lone)?;
            if !self.parts[at].ended() {
                break;
            }
            let used_up = left.after(spent(&self.parts[..=at]), terms).used_up();
            let Some(leg) = self.parts[at].leg() else { break };
            if at + 1 == self.parts.len() || leg.fatal() || leg.whole || used_up || left.late(cx) {
                self.over = true;
                break;
            }
            let seed = leg.entry.as_ref().map_or(0, Entry::seed);
            let previous = leg.answer.as_ref().map(|a| a.x.clone()).filter(|x| !x.is_empty());
            if self.parts.len() <= RECORDS {
                self.parts[at].remember();
            }
            self.parts[at].retire();
            self.at += 1;
            self.parts[self.at].enter(Entry::new(BTreeMap::new(), previous, seed));
        }
        Ok(())
    }

    pub fn stop_here(&mut self, cx: &mut Around<'_>) -> Result<(), Failed> {
        self.over = true;
        self.parts[self.at].stop_here(cx)
    }

    pub fn reopen(&mut self) {
        self.over = false;
        self.parts[self.at].reopen();
    }

    pub fn keep(&self) -> KeptChain {
        KeptChain {
            parts: keep_all(&self.parts),
            at: self.at,
            over: self.over,
        }
    }

    /// Is it of a chain of this shape?
    pub fn fits(&self, kept: &KeptChain) -> bool {
        self.parts.len() == kept.parts.len() && kept.at < kept.parts.len()
    }

    pub fn restore(&mut self, kept: &KeptChain, cx: &mut Around<'_>) -> Result<(), String> {
        (self.at, self.over) = (kept.at, kept.over);
        restore_all(&mut self.parts, &kept.parts, cx)
    }
}

/// Steps and evaluations of some parts.
fn spent(parts: &[Node]) -> (u64, Counts) {
    parts
        .iter()
        .map(Node::counts)
        .fold(Default::default(), |a, b| (a.0 + b.0, a.1.plus(&b.1)))
}
