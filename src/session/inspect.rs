//! `inspect`: what a problem is, before it is solved.
//!
//! Invariant: shows facts that the compiler has already derived; derives none of its own.

use crate::base::view::View;
use crate::base::{Diagnostics, Span};
use crate::lang::syntax::{Aspect, ProblemRef};

use super::Session;

impl Session {
    /// The subject's name and what it is.
    pub(super) fn inspect(
        &mut self,
        target: Option<&ProblemRef>,
        _what: Aspect,
        span: Span,
    ) -> Result<(String, View), Diagnostics> {
        let (at, _) = self.compiled(target, span)?;
        let p = &self.compiled[at].lowered.problem;
        Ok((p.name.clone(), View::text(format!("{} variables", p.vars.len()))))
    }
}
