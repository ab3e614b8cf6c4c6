//! `ravine inspect FILE`: the declarations of a program and a look at its problems, without solving.
//!
//! Invariant: runs declarations only; nothing is printed, solved or asserted.

use crate::base::diagnostic::did_you_mean;
use crate::base::{Code, Diagnostic, Span};
use crate::lang::syntax::{Aspect, Ident, ProblemRef, Stmt, StmtKind};

use super::{Def, Event, Session};

impl Session {
    /// Inspects one problem of a text, or all that can be without arguments. What happened is in `report`.
    pub fn look(&mut self, name: &str, text: &str, subject: Option<&str>, sink: &mut dyn FnMut(Event)) {
        let (id, program, found) = self.check(name, text);
        let wrong = found.iter().any(Diagnostic::is_error);
        for d in found {
            self.tell(d, sink);
        }
        if wrong || !self.settings_fit(&program, sink) {
            return;
        }
        for s in program.statements.iter().filter(|s| declares(s)) {
            if let Err(found) = self.statement(s, sink) {
                self.report.data_failed |= super::reads(s);
                for d in found {
                    self.tell(d, sink);
                }
                return;
            }
        }
        let mut named: Vec<(String, bool)> = Vec::new();
        for (n, def) in &self.defs {
            if let Def::Problem(p) = def {
                named.push((n.clone(), p.params.is_empty()));
            }
        }
        let span = Span::new(id, 0, 0);
        let of = |n: &str| ProblemRef {
            name: Ident { text: n.into(), span },
            args: vec![],
            span,
        };
        let targets: Vec<Option<ProblemRef>> = match subject {
            Some(s) if named.iter().any(|n| n.0 == s) => vec![Some(of(s))],
            Some(s) => {
                let d = Diagnostic::new(Code::UnknownProblem, format!("`{name}` has no problem `{s}`"));
                let near = did_you_mean(s, named.iter().map(|n| n.0.as_str()));
                let d = match near {
                    Some(n) => d.help(format!("did you mean `{n}`?")),
                    None => d,
                };
                return self.tell(d, sink);
            }
            None => {
                let unnamed = self.unnamed.iter().any(|s| matches!(s.kind, StmtKind::Objective(_)));
                let all = named.iter().filter(|n| n.1).map(|n| Some(of(&n.0)));
                unnamed.then_some(None).into_iter().chain(all).collect()
            }
        };
        if targets.is_empty() {
            let d = Diagnostic::new(Code::UnknownProblem, format!("`{name}` has no problem to inspect"));
            return self.tell(d, sink);
        }
        for target in targets {
            let kind = StmtKind::Inspect {
                target,
                what: Aspect::Summary,
            };
            let look = Stmt { kind, span, docs: None };
            if let Err(found) = self.statement(&look, sink) {
                for d in found {
                    self.tell(d, sink);
                }
            }
        }
    }
}

/// Does the statement declare something, without computing an answer?
fn declares(s: &Stmt) -> bool {
    matches!(
        s.kind,
        StmtKind::Set(_)
            | StmtKind::Param(_)
            | StmtKind::Let(_)
            | StmtKind::Var(_)
            | StmtKind::Fn(_)
            | StmtKind::Problem(_)
            | StmtKind::Objective(_)
            | StmtKind::SubjectTo(_)
    )
}
