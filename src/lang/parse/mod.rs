//! Source text to a syntax tree: scan, grammar, folding, statement by statement.
//!
//! Invariant: parsing never fails; any text gives a tree and diagnostics, in time linear in its length, and a statement
//! that cannot be read costs no other statement.

mod classify;
mod command;
mod feature;
mod fold;
mod grammar;
mod habits;
mod lexicon;
mod literal;
mod looking;
mod optimizer;
mod scan;
mod stmt;

pub use lexicon::{OTHER_RESERVED, STATEMENT_WORDS, is_reserved};
pub use literal::normal;
pub use scan::{Ending, RawBlock, RawStmt, Whereabouts, ending, whereabouts};

use crate::base::{Diagnostics, SourceId};
use crate::lang::syntax::Program;

/// Parses a whole source text. Diagnostics are sorted by place.
pub fn parse(source: SourceId, text: &str) -> (Program, Diagnostics) {
    let mut diagnostics = Diagnostics::new();
    let scanned = scan::scan(source, text, &mut diagnostics);
    let mut parser = stmt::Parser::new(source, &scanned.masked, &mut diagnostics);
    let statements = parser.statements(scanned.statements, stmt::Place::Top);
    let exprs = parser.exprs();
    diagnostics.sort_by_key(|d| d.span().map_or(0, |s| s.start));
    (Program { statements, exprs }, diagnostics)
}

/// The statements of a text before the grammar has seen them: where each begins and ends, and its blocks.
pub fn split(source: SourceId, text: &str) -> Vec<RawStmt> {
    scan::scan(source, text, &mut Diagnostics::new()).statements
}
