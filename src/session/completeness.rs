//! Is a text ready to run, or does its writer go on?
//!
//! Invariant: a text that is complete parses without a mistake of form; one that is incomplete can be completed.

use crate::base::{Code, SourceId};
use crate::lang::parse::{Ending, ending, parse};

/// What a prompt does with a text when Enter is pressed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Completeness {
    /// It runs it.
    Complete,
    /// It waits for more.
    Incomplete {
        /// Spaces that fit the beginning of the next line.
        indent: usize,
    },
    /// It runs it and shows the mistake: no further line can repair it.
    Invalid,
}

/// By the language's rules about lines: a statement goes on inside brackets and after an operator or a clause word. What
/// the next line would begin with cannot be known.
pub fn completeness(text: &str) -> Completeness {
    match ending(text) {
        Ending::Open(indent) => Completeness::Incomplete { indent },
        Ending::Broken => Completeness::Invalid,
        Ending::Closed => {
            let (_, found) = parse(SourceId(0), text);
            let of_form = |c: Code| c.id().starts_with("R01") && c != Code::NotBuiltYet;
            match found.iter().any(|d| d.is_error() && of_form(d.code)) {
                true => Completeness::Invalid,
                false => Completeness::Complete,
            }
        }
    }
}
