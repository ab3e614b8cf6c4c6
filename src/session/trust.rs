//! Evidence of linear systems, solved for a problem or inside an expression: `A \ b` shows its error and condition, and warns.
//!
//! Invariant: what a statement solved is looked at once, when it ends.

use crate::base::value::Value;
use crate::base::{Code, Diagnostic, Diagnostics, Span};
use crate::ir::atom::Trust;
use crate::lang::syntax::Expr;

use super::Session;
use super::show::number;

/// Relative error above which an answer is warned about.
pub(super) const DOUBTFUL: f64 = 1e-6;

impl Session {
    /// The value of an expression and, where linear systems were solved for it, the trust that the worst one deserves.
    pub(super) fn evaluate_with_trust(&self, e: &Expr) -> Result<(Value, Option<Trust>), Box<Diagnostic>> {
        let before = self.trust.borrow().len();
        let value = self.evaluate(e)?;
        let solved = self.trust.borrow();
        let worst = solved[before..].iter().map(|(_, t)| *t).reduce(|a, b| Trust {
            error: if b.error <= a.error { a.error } else { b.error },
            condition: a.condition.max(b.condition),
            ..if b.rank < b.full { b } else { a }
        });
        Ok((value, worst))
    }

    /// Warnings about the systems of the statement that has just ended, each place once.
    pub(super) fn doubted_systems(&mut self) -> Diagnostics {
        let mut seen: Vec<Option<Span>> = vec![];
        let mut out = vec![];
        for (span, t) in self.trust.take() {
            if seen.contains(&span) {
                continue;
            }
            seen.push(span);
            out.extend(doubt(&t, span));
        }
        out
    }
}

/// A warning where a solution deserves little trust.
pub(super) fn doubt(t: &Trust, span: Option<Span>) -> Option<Diagnostic> {
    let (d, label) = if t.rank < t.full {
        let d = Diagnostic::new(
            Code::SingularSystem,
            format!("the matrix is rank deficient: rank {} of {}", t.rank, t.full),
        );
        (
            d.help("drop columns, or add what decides: `+ 1e-3*sumsq(w)`"),
            "many answers fit equally well; this is the shortest".to_string(),
        )
    } else if t.error <= DOUBTFUL {
        return None;
    } else {
        // An error that is not a number ends here too.
        let d = Diagnostic::new(
            Code::IllConditioned,
            format!("the answer may be off by {} of its size", number(t.error)),
        );
        (
            d.help("scale the columns, or take a basis whose columns are less alike"),
            format!("condition {}", number(t.condition)),
        )
    };
    Some(match span {
        Some(s) => d.at(s, label),
        None => d.note(label),
    })
}
