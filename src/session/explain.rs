//! `ravine explain CODE`: the page of a code.
//!
//! Invariant: the pages are the files of `docs/errors`, embedded.

use crate::base::Code;
use crate::base::diagnostic::did_you_mean;

/// The page of a code, or the nearest code there is.
pub fn explain(code: &str) -> Result<&'static str, Option<&'static str>> {
    match Code::parse(code) {
        Some(c) => Ok(c.page()),
        None => {
            let upper = code.trim().to_uppercase();
            Err(did_you_mean(&upper, Code::ALL.iter().map(|c| c.id())))
        }
    }
}
