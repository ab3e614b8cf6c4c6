//! `ravine inspect FILE` and `--emit`: a look at a program's problems, without solving.
//!
//! Invariant: runs declarations only; nothing is printed, solved or asserted.

use crate::base::diagnostic::did_you_mean;
use crate::base::view::{Role, View};
use crate::base::{Code, Diagnostic, Diagnostics, SourceId, Span};
use crate::ir::problem::{Member, Problem, Sense, Sides};
use crate::ir::text;
use crate::lang::syntax::{Aspect, Ident, ProblemRef, Stmt, StmtKind};
use crate::passes::derive::gradient;
use crate::report::ResultEntry;

use super::{CellEnd, Def, Event, Session};

/// Stages of `--emit ir:after=STAGE`, and what is shown.
const STAGES: [(&str, &str); 2] = [
    ("lower", "the problem as compiled from its text"),
    ("derive", "the gradient of its objective"),
];

impl Session {
    /// Inspects one problem of a text, or all that can be without arguments. What happened is in `report`.
    pub fn look(&mut self, name: &str, text: &str, subject: Option<&str>, sink: &mut dyn FnMut(Event)) {
        let Some(id) = self.declare(name, text, sink) else {
            return;
        };
        let span = Span::new(id, 0, 0);
        let targets = match self.targets(name, subject, span) {
            Ok(targets) => targets,
            Err(d) => return self.tell(d, sink),
        };
        for target in targets {
            let kind = StmtKind::Inspect {
                target,
                what: Aspect::Summary,
            };
            let look = Stmt { kind, span, docs: None };
            let done = self.prepared(&look, 0, sink).and_then(|()| self.statement(&look, sink));
            if let Err(found) = done {
                found.into_iter().for_each(|d| self.tell(d, sink));
            }
        }
    }

    /// Shows the IR of all problems of a text that need no arguments, after a stage. What happened is in `report`.
    pub fn emit(&mut self, name: &str, text: &str, after: Option<&str>, sink: &mut dyn FnMut(Event)) {
        let stage = after.unwrap_or("lower");
        if !STAGES.iter().any(|s| s.0 == stage) {
            let names = STAGES.map(|(s, what)| format!("`{s}`, {what}")).join("; ");
            let d = Diagnostic::new(
                Code::BadSetting,
                format!("--emit ir:after={stage}: there is no such pass"),
            );
            return self.tell(d.help(format!("there are {names}")), sink);
        }
        let Some(id) = self.declare(name, text, sink) else {
            return;
        };
        let span = Span::new(id, 0, 0);
        let targets = match self.targets(name, None, span) {
            Ok(targets) => targets,
            Err(d) => return self.tell(d, sink),
        };
        for target in targets {
            match self.emitted(target.as_ref(), stage, span, sink) {
                Ok((subject, view)) => {
                    sink(Event::Shown(view.clone()));
                    self.report.results.push(ResultEntry::View {
                        command: "emit".into(),
                        subject,
                        view,
                    });
                }
                Err(found) => found.into_iter().for_each(|d| self.tell(d, sink)),
            }
        }
    }

    /// Runs the declarations of a text; nothing if one of them fails.
    fn declare(&mut self, name: &str, text: &str, sink: &mut dyn FnMut(Event)) -> Option<SourceId> {
        let key = self.fresh_cell();
        let entered = self.enter(key, name, text, sink)?;
        let end = self.run_entered(&entered, false, &declares, sink);
        (end == CellEnd::Ok).then_some(entered.id)
    }

    /// The problem of that name, or every problem that needs no arguments (`None` is the unnamed one).
    fn targets(&self, file: &str, subject: Option<&str>, span: Span) -> Result<Vec<Option<ProblemRef>>, Diagnostic> {
        let mut named: Vec<(&str, bool)> = Vec::new();
        for (n, def) in &self.defs {
            if let Def::Problem(p) = def {
                named.push((n, p.params.is_empty()));
            }
        }
        let of = |n: &str| ProblemRef {
            name: Ident { text: n.into(), span },
            args: vec![],
            span,
        };
        if let Some(s) = subject {
            if named.iter().any(|n| n.0 == s) {
                return Ok(vec![Some(of(s))]);
            }
            let d = Diagnostic::new(Code::UnknownProblem, format!("`{file}` has no problem `{s}`"));
            return Err(match did_you_mean(s, named.iter().map(|n| n.0)) {
                Some(n) => d.help(format!("did you mean `{n}`?")),
                None => d,
            });
        }
        let unnamed = !self
            .unnamed_where(|s, _| matches!(s.kind, StmtKind::Objective(_)))
            .is_empty();
        let all = named.iter().filter(|n| n.1).map(|n| Some(of(n.0)));
        let targets: Vec<_> = unnamed.then_some(None).into_iter().chain(all).collect();
        match targets.is_empty() {
            true => Err(Diagnostic::new(
                Code::UnknownProblem,
                format!("`{file}` has no problem to look at"),
            )),
            false => Ok(targets),
        }
    }

    fn emitted(
        &mut self,
        target: Option<&ProblemRef>,
        stage: &str,
        span: Span,
        sink: &mut dyn FnMut(Event),
    ) -> Result<(String, View), Diagnostics> {
        let at = self.compiled(target, span, sink)?;
        let problem = &self.compiled[at].lowered.problem;
        let title = match problem.name.as_str() {
            "" => "the unnamed problem".to_string(),
            name => format!("problem {name}"),
        };
        let mut parts = vec![View::styled(format!("{title}, after {stage}"), Role::Strong)];
        match stage {
            "derive" => parts.extend(derived(problem)?),
            _ => parts.extend(lowered(problem)),
        }
        Ok((problem.name.clone(), View::Stack(parts)))
    }
}

fn lowered(p: &Problem) -> Vec<View> {
    let mut parts = Vec::new();
    if let Some(o) = &p.objective {
        let sense = match o.sense {
            Sense::Minimize => "minimize",
            Sense::Maximize => "maximize",
            Sense::Saddle => "objective",
        };
        let label = o.label.as_ref().map_or(String::new(), |l| format!(" {l}"));
        parts.push(View::styled(format!("{sense}{label}"), Role::Faint));
        parts.push(View::Verbatim(text::print_roots(&p.ir, &[o.node])));
    }
    for c in &p.constraints {
        let relation = match c.sides {
            Sides::Le(..) => "left <= right",
            Sides::Ge(..) => "left >= right",
            Sides::Eq(..) => "left == right",
            Sides::Between(..) => "low <= middle <= high",
            Sides::In(Member::Semidefinite { .. }) => "entries of a matrix in PSD",
            Sides::In(Member::Exponential(_)) => "(x, y, z) in ExpCone",
            Sides::In(Member::Power(..)) => "(x, y, z) in PowCone(a)",
        };
        parts.push(View::styled(format!("{}: {relation}", c.name), Role::Faint));
        parts.push(View::Verbatim(text::print(&p.ir, &c.sides.nodes(c.domain))));
    }
    parts
}

fn derived(p: &Problem) -> Result<Vec<View>, Diagnostics> {
    let Some(o) = &p.objective else {
        return Ok(vec![View::styled("no objective", Role::Faint)]);
    };
    let mut ir = p.ir.clone();
    let inputs: Vec<_> = p.vars.iter().map(|v| v.input).collect();
    let partials = gradient(&mut ir, o.node, &inputs).map_err(|_| {
        let what = "the objective has a part without a derivative";
        vec![Diagnostic::new(Code::MethodCannotTake, what).at(o.span, "here")]
    })?;
    let mut parts = Vec::new();
    for (v, g) in p.vars.iter().zip(partials) {
        parts.push(View::styled(format!("by {}", v.name), Role::Faint));
        parts.push(match g {
            Some(g) => View::Verbatim(text::print_roots(&ir, &[g])),
            None => View::text("zero"),
        });
    }
    Ok(parts)
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
