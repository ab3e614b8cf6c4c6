//! Where a course begins: starts by variable, or the point where the last stage or solve ended.
//!
//! Invariant: a start is kept in every bit, so that a course taken up again begins where it began.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use super::super::bits;
use super::super::draws::{Key, Purpose};
use super::super::method::Seed;

/// Where a course begins.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Entry {
    /// Starts by variable.
    starts: BTreeMap<String, Bits>,
    /// Where the last stage or solve ended.
    previous: Option<Bits>,
    seed: u64,
    /// Was it drawn, so that it is no warm start?
    drawn: bool,
}

/// Numbers, kept in every bit.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
pub(super) struct Bits(#[serde(with = "bits::array")] pub Vec<f64>);

impl PartialEq for Bits {
    fn eq(&self, other: &Self) -> bool {
        bits::same(&self.0, &other.0)
    }
}

impl Entry {
    /// From starts by variable, or from where the last solve ended.
    pub fn new(starts: BTreeMap<String, Vec<f64>>, previous: Option<Vec<f64>>, seed: u64) -> Entry {
        Entry {
            starts: starts.into_iter().map(|(n, v)| (n, Bits(v))).collect(),
            previous: previous.map(Bits),
            seed,
            drawn: false,
        }
    }

    /// From the drawn start of copy `k > 0`, whose draws are its own.
    pub(super) fn copy(&self, k: u64, x: Vec<f64>) -> Entry {
        let seed = Key::new(Seed(self.seed), Purpose::Copy, k, 0).number();
        Entry {
            drawn: true,
            ..Entry::new(BTreeMap::new(), Some(x), seed)
        }
    }

    pub(super) fn starts(&self) -> BTreeMap<String, Vec<f64>> {
        self.starts.iter().map(|(n, v)| (n.clone(), v.0.clone())).collect()
    }

    pub(super) fn previous(&self) -> Option<&[f64]> {
        self.previous.as_ref().map(|b| b.0.as_slice())
    }

    pub(super) fn seed(&self) -> u64 {
        self.seed
    }

    pub(super) fn drawn(&self) -> bool {
        self.drawn
    }
}
