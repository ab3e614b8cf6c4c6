//! Is a text ready to run, or does its writer go on?
//!
//! Invariant: a text that is complete parses without a mistake of form; one that is incomplete can be completed, a list of
//! constraints by an empty line.

use crate::base::{Code, SourceId};
use crate::lang::parse::{Ending, ending, parse};
use crate::lang::syntax::StmtKind;

use super::{Def, Session};

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

/// What follows a byte, without comments and spaces.
fn after(text: &str, at: usize) -> String {
    let lines = text.get(at..).unwrap_or("").split('\n');
    let lines: Vec<&str> = lines.map(|l| l.split('#').next().unwrap_or("").trim()).collect();
    lines.join("\n")
}

/// By the language's rules about lines: a statement goes on inside brackets and after an operator or a clause word. What
/// the next line would begin with cannot be known.
pub fn completeness(text: &str) -> Completeness {
    match ending(text) {
        Ending::Open(indent) => Completeness::Incomplete { indent },
        Ending::Broken => Completeness::Invalid,
        Ending::Closed => {
            let (program, found) = parse(SourceId(0), text);
            // Constraints go on, one a line, until an empty line: what follows a `subject to` belongs to it.
            let section = program
                .statements
                .last()
                .filter(|s| matches!(s.kind, StmtKind::SubjectTo(_)));
            if let Some(s) = section
                && found.is_empty()
                && !after(text, s.span.end as usize).contains('\n')
            {
                let last = text[..s.span.end as usize].lines().last().unwrap_or("");
                let own = last.len() - last.trim_start().len();
                return Completeness::Incomplete { indent: own.max(2) };
            }
            let of_form = |c: Code| c.id().starts_with("R01") && c != Code::NotBuiltYet;
            match found.iter().any(|d| d.is_error() && of_form(d.code)) {
                true => Completeness::Invalid,
                false => Completeness::Complete,
            }
        }
    }
}

impl Session {
    /// Is it the name of something that is told about and not printed: a solution, a problem, a definition?
    pub fn is_told_about(&self, name: &str) -> bool {
        matches!(
            self.defs.get(name),
            Some(Def::Solution(_) | Def::Problem(_) | Def::Optimizer(_) | Def::Pipeline(_) | Def::Fn(_))
        )
    }
}

/// Is a text one expression, which does nothing as a statement and could be printed?
pub fn is_expression(text: &str) -> bool {
    let clean = |t: &str| {
        let (program, found) = parse(SourceId(0), t);
        (program.statements.len() == 1 && found.is_empty()).then_some(program)
    };
    let printed = clean(&format!("print {text}"));
    printed.is_some_and(|p| matches!(p.statements[0].kind, StmtKind::Print(_))) && clean(text).is_none()
}
