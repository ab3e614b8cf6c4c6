//! Past cells of this kernel's life, as front ends ask for them.
//!
//! Invariant: at most [`KEPT`] cells are kept, oldest forgotten first; there is one session, number 1.

use std::collections::VecDeque;

use serde_json::{Value as Json, json};

/// Cells kept.
const KEPT: usize = 10_000;

struct Entry {
    line: u64,
    input: String,
    output: Option<String>,
}

/// Past cells and the number of the last.
#[derive(Default)]
pub struct History {
    count: u64,
    /// Is the last cell kept?
    stored: bool,
    entries: VecDeque<Entry>,
}

impl History {
    /// A cell begins; its number. One that is not stored has the number of the last.
    pub fn begin(&mut self, code: &str, store: bool) -> u64 {
        self.stored = store;
        if store {
            self.count += 1;
            self.entries.push_back(Entry {
                line: self.count,
                input: code.into(),
                output: None,
            });
            if self.entries.len() > KEPT {
                self.entries.pop_front();
            }
        }
        self.count
    }
    /// The last cell's result.
    pub fn result(&mut self, text: &str) {
        if let Some(last) = self.entries.back_mut().filter(|_| self.stored) {
            last.output = Some(text.into());
        }
    }
    /// `history_reply`. Without `n`, everything kept.
    pub fn answer(&self, content: &Json) -> Json {
        let n = content["n"]
            .as_u64()
            .map_or(usize::MAX, |n| usize::try_from(n).unwrap_or(usize::MAX));
        let with_output = content["output"].as_bool().unwrap_or(false);
        let mut found: Vec<&Entry> = match content["hist_access_type"].as_str() {
            Some("range") => {
                // Sessions count back from this one, which is 0 as well as 1.
                let ours = matches!(content["session"].as_i64(), None | Some(0 | 1));
                let start = content["start"].as_u64().unwrap_or(0);
                let stop = content["stop"].as_u64().unwrap_or(u64::MAX);
                let inside = |e: &&Entry| ours && (start..stop).contains(&e.line);
                self.entries.iter().filter(inside).collect()
            }
            Some("search") => {
                let pattern: Vec<char> = content["pattern"].as_str().unwrap_or("*").chars().collect();
                let fits = |e: &&Entry| glob(&pattern, &e.input.chars().collect::<Vec<_>>());
                let mut found: Vec<&Entry> = self.entries.iter().filter(fits).collect();
                if content["unique"].as_bool().unwrap_or(false) {
                    // The last of equals stays.
                    let mut seen = std::collections::BTreeSet::new();
                    found = found.into_iter().rev().filter(|e| seen.insert(&e.input)).collect();
                    found.reverse();
                }
                found
            }
            _ => self.entries.iter().collect(),
        };
        if content["hist_access_type"] != "range" {
            found.drain(..found.len().saturating_sub(n));
        }
        let show = |e: &&Entry| match with_output {
            true => json!([1, e.line, [e.input, e.output]]),
            false => json!([1, e.line, e.input]),
        };
        json!({ "status": "ok", "history": found.iter().map(show).collect::<Vec<_>>() })
    }
}

/// Does a text fit a pattern with `*` and `?`? Steps back to the last `*` only, so the work is bounded by the product
/// of the lengths.
fn glob(pattern: &[char], text: &[char]) -> bool {
    let (mut p, mut t) = (0, 0);
    let mut star: Option<(usize, usize)> = None;
    while t < text.len() {
        match pattern.get(p) {
            Some('*') => {
                star = Some((p, t));
                p += 1;
            }
            Some(&c) if c == '?' || c == text[t] => {
                p += 1;
                t += 1;
            }
            _ => match star {
                Some((at, from)) => {
                    star = Some((at, from + 1));
                    p = at + 1;
                    t = from + 1;
                }
                None => return false,
            },
        }
    }
    pattern[p..].iter().all(|c| *c == '*')
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn patterns() {
        let fits = |p: &str, t: &str| glob(&p.chars().collect::<Vec<_>>(), &t.chars().collect::<Vec<_>>());
        assert!(fits("*", "") && fits("a*c", "abbc") && fits("*b?", "abc") && fits("**a*", "ba"));
        assert!(!fits("", "a") && !fits("a?", "a") && !fits("a*c", "abcd") && !fits("?", ""));
    }

    #[test]
    fn only_so_many_are_kept() {
        let mut h = History::default();
        for k in 0..KEPT + 5 {
            h.begin(&k.to_string(), true);
        }
        let all = h.answer(&json!({ "hist_access_type": "tail" }));
        assert_eq!(all["history"].as_array().map(Vec::len), Some(KEPT));
        assert_eq!(all["history"][0], json!([1, 6, "5"]));
    }
}
