//! Cells: a text is checked, replaces what the same cell declared before, and runs statement by statement.
//!
//! Invariant: a text that does not check changes nothing; a statement that fails has no effect, those before it keep
//! theirs, those after it do not run; checker, definitions and the unnamed problem always tell the same story.

use std::collections::BTreeSet;
use std::rc::Rc;
use std::sync::atomic::Ordering;

use crate::base::{Code, Diagnostic, Diagnostics, SourceId, Span};
use crate::lang::check::{self, Env};
use crate::lang::parse::parse;
use crate::lang::syntax::{Program, Stmt, StmtKind};

use super::graph::called;
use super::uses::{Bring, is_used};
use super::{Event, Session, reads};

/// How a cell ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum CellEnd {
    /// Every statement ran.
    Ok,
    /// A statement failed, or the text does not check.
    Failed,
    /// It was interrupted.
    Interrupted,
}

/// What a cell owns beside its names: its statements of the unnamed problem, each with the number of expression ids of
/// the text it came from.
#[derive(Default)]
pub(super) struct Cell {
    pub unnamed: Vec<(Stmt, u32)>,
}

/// A text that was checked and whose cell's earlier declarations are gone, ready to run.
pub(super) struct Entered {
    pub id: SourceId,
    pub program: Program,
    cell: Rc<str>,
    /// What the checker knew without this text, and with the declarations that the text replaces.
    without: Env,
    before: Env,
}

/// Definitions that may be chained before it is a mistake.
const MAX_CHAIN: usize = 500;

impl Session {
    /// Runs a cell. What the same cell declared before is replaced, and what depended on it is rebuilt when it is used
    /// next, with a message. `report` holds what happened in this cell.
    pub fn run_cell(&mut self, cell: &str, text: &str, sink: &mut dyn FnMut(Event)) -> CellEnd {
        self.interrupt.store(false, Ordering::Relaxed);
        self.run_cell_as(cell, cell, text, sink)
    }

    /// Runs a cell that messages call `name`. Leaves `interrupt` as it is: who sets it from another thread also knows
    /// for which cell, and clears it before.
    pub fn run_cell_as(&mut self, cell: &str, name: &str, text: &str, sink: &mut dyn FnMut(Event)) -> CellEnd {
        self.forget_report();
        self.tell_detached(sink);
        let Some(entered) = self.enter(cell.into(), name, text, sink) else {
            return CellEnd::Failed;
        };
        self.run_entered(&entered, true, &|_| true, sink)
    }

    /// Runs a text: a file, which is a cell of its own. Nothing runs if it does not check; the first statement that
    /// fails ends it. What happened is in `report`.
    pub fn run(&mut self, name: &str, text: &str, sink: &mut dyn FnMut(Event)) {
        let key = self.fresh_cell();
        if let Some(entered) = self.enter(key, name, text, sink) {
            self.run_entered(&entered, false, &|_| true, sink);
        }
    }

    /// The key of a text that no other replaces.
    pub(super) fn fresh_cell(&mut self) -> Rc<str> {
        format!("\u{0}{}", self.graph.tick()).into()
    }

    /// Parses and checks a text without running it. Texts that are only checked build on one another.
    pub fn check(&mut self, name: &str, text: &str) -> (SourceId, Program, Diagnostics) {
        let id = self.sources.add(name, text);
        let (program, mut found) = parse(id, text);
        if let Err(more) = self.bring(&program, Bring::Check, &mut |_| {}) {
            found.extend(more);
            return (id, program, found);
        }
        self.bring_library(&program);
        let (checked, more) = check::check(&program, &self.checker, &self.catalogue);
        found.extend(more);
        // Nothing would run of a text that does not check, so it declares nothing either.
        if !found.iter().any(Diagnostic::is_error) {
            self.checker = checked.env;
        }
        (id, program, found)
    }

    /// What a run of a text that checks would refuse before a first step: declarations are taken over, every solve is
    /// prepared and none is run. Data in files are not read, and what hangs on them or on answers is not judged.
    pub fn foresee(&mut self, name: &str, text: &str) -> Diagnostics {
        let key = self.fresh_cell();
        let mut found = vec![];
        let Some(e) = self.enter(key, name, text, &mut |_| {}) else {
            return found;
        };
        for s in &e.program.statements {
            let refused = match &s.kind {
                StmtKind::Solve(c) => self
                    .prepared(s, e.program.exprs, &mut |_| {})
                    .and_then(|()| self.refused(c, s.span)),
                StmtKind::Compare(c) => self
                    .prepared(s, e.program.exprs, &mut |_| {})
                    .and_then(|()| self.refused_of(c, s.span)),
                StmtKind::Assign { .. } | StmtKind::Seed(_) if !reads(s) => {
                    // Another value is no reason to judge by the old one.
                    if self.executed(s, &e.cell, e.program.exprs, &mut |_| {}).is_err() {
                        break;
                    }
                    continue;
                }
                _ if s.kind.declared().is_some() && !s.kind.keeps_a_result() && !reads(s) => {
                    let _ = self.executed(s, &e.cell, e.program.exprs, &mut |_| {});
                    continue;
                }
                StmtKind::Var(_) | StmtKind::SubjectTo(_) | StmtKind::Objective(_) | StmtKind::Assume { .. } => {
                    let _ = self.executed(s, &e.cell, e.program.exprs, &mut |_| {});
                    continue;
                }
                StmtKind::Assign { .. } => break,
                _ => continue,
            };
            let known = [Code::OracleMissing, Code::BadOption, Code::BadPipeline];
            let refused = refused.err().into_iter().flatten();
            found.extend(refused.filter(|d| known.contains(&d.code)));
        }
        self.forget_report();
        found
    }

    /// Checks a text and takes back what its cell declared before; nothing if the text is wrong, and then nothing
    /// changed.
    pub(super) fn enter(
        &mut self,
        cell: Rc<str>,
        name: &str,
        text: &str,
        sink: &mut dyn FnMut(Event),
    ) -> Option<Entered> {
        let id = self.sources.add(name, text);
        let (program, found) = parse(id, text);
        if let Err(more) = self.bring(&program, Bring::Run, sink) {
            found.into_iter().chain(more).for_each(|d| self.tell(d, sink));
            return None;
        }
        self.enter_program(cell, id, program, found, sink)
    }

    /// As [`Session::enter`], for a text that was read already.
    pub(super) fn enter_program(
        &mut self,
        cell: Rc<str>,
        id: SourceId,
        program: Program,
        mut found: Diagnostics,
        sink: &mut dyn FnMut(Event),
    ) -> Option<Entered> {
        self.bring_library(&program);
        let declares = declared(&program.statements);
        let kept = results(&program.statements);
        let mut gone: BTreeSet<String> = self.graph.owned(&cell).into_iter().collect();
        gone.extend(declares.iter().filter(|n| self.graph.mark(n).is_some()).cloned());
        // A result that is kept again under the same name may be used until then.
        gone.retain(|n| !kept.contains(n));
        if !found.iter().any(Diagnostic::is_error) {
            // What the text uses and does not itself change must be known as it is now.
            let changing: BTreeSet<String> = declares.union(&gone).cloned().collect();
            let uses = uses_of(&program.statements);
            if let Err(more) = self.refresh(&uses, &changing, None, false, Span::new(id, 0, 0), sink) {
                found.extend(more);
                found.into_iter().for_each(|d| self.tell(d, sink));
                return None;
            }
        }
        // What the checker knows when this text and what it replaces are taken away.
        let mut without = self.checker.clone();
        for n in &gone {
            without.names.shift_remove(n);
            for s in self.graph.sizes_of(n) {
                without.names.shift_remove(&s);
            }
        }
        let stays =
            |s: &Stmt, owner: &str| owner != &*cell && s.kind.declared().is_none_or(|n| !declares.contains(&n.text));
        let mut all = self
            .cells
            .iter()
            .flat_map(|(o, c)| c.unnamed.iter().map(move |(s, _)| (s, o)));
        if !all.all(|(s, owner)| stays(s, owner)) {
            let rest = self.unnamed_where(stays);
            without.unnamed = self.checked_unnamed(&without, &rest).0;
        }
        let (checked, more) = check::check(&program, &without, &self.catalogue);
        found.extend(more);
        let wrong = found.iter().any(Diagnostic::is_error);
        found.into_iter().for_each(|d| self.tell(d, sink));
        // Settings are for the whole program, of which a used file is a part.
        if wrong || !is_used(&cell) && !self.settings_fit(&program, sink) {
            return None;
        }
        // From here on the cell is this text.
        let before = std::mem::replace(&mut self.checker, checked.env);
        for n in self.graph.owned(&cell) {
            if !declares.contains(&n) && !kept.contains(&n) {
                self.forget(&n);
            }
        }
        if let Some(c) = self.cells.get_mut(&cell) {
            let stays = |s: &Stmt| s.kind.declared().is_some_and(|n| declares.contains(&n.text));
            let had = c.unnamed.len();
            c.unnamed.retain(|(s, _)| stays(s));
            self.unnamed_changed |= c.unnamed.len() != had;
        }
        Some(Entered {
            id,
            program,
            cell,
            without,
            before,
        })
    }

    /// Runs the statements of a text that are `wanted`, up to the first that fails.
    pub(super) fn run_entered(
        &mut self,
        e: &Entered,
        in_cell: bool,
        wanted: &dyn Fn(&Stmt) -> bool,
        sink: &mut dyn FnMut(Event),
    ) -> CellEnd {
        for (k, s) in e.program.statements.iter().enumerate() {
            if !wanted(s) {
                continue;
            }
            let left = e.program.statements.len() - k - 1;
            let mark = self.report.diagnostics.len();
            let result = self.executed(s, &e.cell, e.program.exprs, sink);
            let failed = result.is_err();
            match result {
                Ok(()) => {}
                Err(found) => {
                    // What a `read` could not take is a matter of data, not of the program.
                    self.report.data_failed |= reads(s);
                    let last = found.iter().rposition(Diagnostic::is_error);
                    for (i, d) in found.into_iter().enumerate() {
                        let d = match last == Some(i) && in_cell && left > 0 {
                            true => d.note(not_run(k, left)),
                            false => d,
                        };
                        self.tell(d, sink);
                    }
                }
            }
            for d in self.doubted_systems() {
                self.tell(d, sink);
            }
            let wrong = self.report.diagnostics[mark..].iter().any(Diagnostic::is_error);
            let interrupted = self.interrupt.load(Ordering::Relaxed);
            if !wrong && !interrupted {
                continue;
            }
            if failed || left > 0 {
                self.cut(e, if failed { k } else { k + 1 });
            }
            if interrupted && in_cell && left > 0 {
                let d = Diagnostic::new(Code::Interrupted, "the cell was interrupted").at(s.span, "here");
                self.tell(d.note(not_run(k, left)), sink);
            }
            return if interrupted {
                CellEnd::Interrupted
            } else {
                CellEnd::Failed
            };
        }
        CellEnd::Ok
    }

    /// Brings what a statement uses up to date, runs it, and gives its cell what it declares.
    pub(super) fn executed(
        &mut self,
        s: &Stmt,
        cell: &Rc<str>,
        exprs: u32,
        sink: &mut dyn FnMut(Event),
    ) -> Result<(), Diagnostics> {
        if let StmtKind::For(f) = &s.kind {
            return self.repeat(f, cell, exprs, sink);
        }
        self.prepared(s, exprs, sink)?;
        self.statement(s, sink)?;
        self.adopt(s, cell, exprs, sink);
        Ok(())
    }

    /// The checker forgets the statements from `k` on; names that they would have replaced stay what they were.
    fn cut(&mut self, e: &Entered, k: usize) {
        let ran = Program {
            statements: e.program.statements[..k].to_vec(),
            exprs: e.program.exprs,
        };
        let mut env = check::check(&ran, &e.without, &self.catalogue).0.env;
        for (n, entry) in &e.before.names {
            let size = self.graph.binder_of(n).is_some();
            if !env.names.contains_key(n) && (size || self.graph.mark(n).is_some()) {
                env.names.insert(n.clone(), entry.clone());
            }
        }
        self.checker = env;
        let all = self.unnamed_where(|_, _| true);
        self.checker.unnamed = self.checked_unnamed(&self.checker, &all).0;
    }

    /// Brings what a statement uses up to date; if that changed a type, the statement is checked once more.
    pub(super) fn prepared(&mut self, s: &Stmt, exprs: u32, sink: &mut dyn FnMut(Event)) -> Result<(), Diagnostics> {
        let mut uses = s.uses();
        let unnamed = match &s.kind {
            StmtKind::Solve(c) => c.target.is_none(),
            StmtKind::Compare(c) => c.targets.is_empty(),
            StmtKind::Sweep(w) => w.solve.target.is_none(),
            StmtKind::Inspect { target, .. } => target.is_none(),
            StmtKind::Diagnose { target, .. } => target.is_none(),
            _ => false,
        };
        if unnamed {
            for (t, _) in self.unnamed_where(|_, _| true) {
                uses.extend(t.uses());
                uses.extend(t.kind.declared().map(|n| n.text.clone()));
            }
        }
        // A declaration is not what it replaces, and must not stand on itself.
        let (own, from) = match &s.kind {
            StmtKind::Assign { name, .. } => (Some(name), None),
            kind if kind.keeps_a_result() => (None, None),
            kind => (kind.declared(), kind.declared()),
        };
        let own: BTreeSet<String> = own.map(|n| n.text.clone()).into_iter().collect();
        // Sizes that it binds are its own.
        uses.retain(|u| !self.graph.binder_of(u).is_some_and(|p| own.contains(p)));
        let changed = self.refresh(&uses, &own, from.map(|n| n.text.as_str()), true, s.span, sink)?;
        if !changed {
            return Ok(());
        }
        let mut wrong: Diagnostics = vec![];
        if unnamed {
            let all = self.unnamed_where(|_, _| true);
            let (info, found) = self.checked_unnamed(&self.checker, &all);
            self.checker.unnamed = info;
            wrong.extend(found);
        }
        let mut env = self.checker.clone();
        for n in &own {
            if !matches!(s.kind, StmtKind::Assign { .. }) {
                env.names.shift_remove(n);
            }
        }
        let one = Program {
            statements: vec![s.clone()],
            exprs,
        };
        wrong.extend(check::check(&one, &env, &self.catalogue).1);
        wrong.retain(Diagnostic::is_error);
        if wrong.is_empty() { Ok(()) } else { Err(wrong) }
    }

    /// Statements of the unnamed problem, cell by cell; the filter sees a statement and its cell.
    pub(super) fn unnamed_where(&self, keep: impl Fn(&Stmt, &str) -> bool) -> Vec<(Stmt, u32)> {
        let all = self
            .cells
            .iter()
            .flat_map(|(n, c)| c.unnamed.iter().map(move |s| (n, s)));
        all.filter(|(n, s)| keep(&s.0, n)).map(|(_, s)| s.clone()).collect()
    }

    /// What the checker makes of the statements of the unnamed problem.
    fn checked_unnamed(&self, env: &Env, statements: &[(Stmt, u32)]) -> (check::ProblemInfo, Diagnostics) {
        let mut bare = env.clone();
        bare.unnamed = check::ProblemInfo::default();
        for (s, _) in statements {
            if let Some(n) = s.kind.declared() {
                bare.names.shift_remove(&n.text);
            }
        }
        let program = Program {
            exprs: statements.iter().map(|s| s.1).max().unwrap_or(0),
            statements: statements.iter().map(|s| s.0.clone()).collect(),
        };
        let (checked, found) = check::check(&program, &bare, &self.catalogue);
        (checked.env.unnamed, found)
    }

    /// A statement ran: what it declares belongs to its cell, and what it replaces is gone.
    fn adopt(&mut self, s: &Stmt, cell: &Rc<str>, exprs: u32, sink: &mut dyn FnMut(Event)) {
        if let StmtKind::Assign { name, value } = &s.kind {
            return self.graph.computed(&name.text, Some(value));
        }
        if let Some(name) = s.kind.declared() {
            let old = self.graph.declare(&name.text, cell, s, exprs, &self.sources);
            if !matches!(s.kind, StmtKind::Param(_)) {
                self.drop_sizes(&name.text, &[]);
            }
            self.graph.computed(&name.text, None);
            if let Some(old) = old {
                self.take_unnamed(&name.text);
                let again = old.stmt.kind.keeps_a_result() && s.kind.keeps_a_result();
                if old.cell != *cell && !again {
                    let first = old.stmt.kind.declared().map_or(old.stmt.span, |n| n.span);
                    let d = Diagnostic::new(
                        Code::Replaced,
                        format!(
                            "`{}` replaces the one of {}",
                            name.text,
                            called(&self.sources, first.source)
                        ),
                    );
                    self.tell(d.at(name.span, "declared anew").at(first, "declared first"), sink);
                }
            }
            if matches!(s.kind, StmtKind::Var(_)) {
                self.defs.shift_remove(&name.text);
            }
        }
        if !s.kind.belongs_to_a_problem() {
            return;
        }
        match &s.kind {
            StmtKind::Objective(_) => self.replace_objective(s, cell, sink),
            StmtKind::SubjectTo(_) => self.replace_constraints(s, cell, sink),
            _ => {}
        }
        self.cells
            .entry(cell.clone())
            .or_default()
            .unnamed
            .push((s.clone(), exprs));
        self.unnamed_changed = true;
    }

    /// An objective in force ends where another one is given.
    fn replace_objective(&mut self, s: &Stmt, cell: &Rc<str>, sink: &mut dyn FnMut(Event)) {
        let mut replaced = vec![];
        for (owner, c) in &mut self.cells {
            c.unnamed.retain(|(t, _)| {
                let is = matches!(t.kind, StmtKind::Objective(_));
                if is && owner != cell {
                    replaced.push(t.span);
                }
                !is
            });
        }
        for first in replaced {
            let d = Diagnostic::new(
                Code::Replaced,
                format!(
                    "this objective replaces the one of {}",
                    called(&self.sources, first.source)
                ),
            );
            self.tell(d.at(s.span, "the objective now").at(first, "the one before"), sink);
        }
    }

    /// A constraint ends where another cell gives one of the same name.
    fn replace_constraints(&mut self, s: &Stmt, cell: &Rc<str>, sink: &mut dyn FnMut(Event)) {
        let StmtKind::SubjectTo(new) = &s.kind else { return };
        let mut replaced = vec![];
        for (_, c) in self.cells.iter_mut().filter(|(o, _)| *o != cell) {
            for (t, _) in &mut c.unnamed {
                let StmtKind::SubjectTo(old) = &mut t.kind else {
                    continue;
                };
                old.retain(|o| {
                    let label = o.label.as_ref();
                    let twin =
                        label.and_then(|l| new.iter().filter_map(|n| n.label.as_ref()).find(|m| m.text == l.text));
                    if let (Some(l), Some(m)) = (label, twin) {
                        replaced.push((m.clone(), l.span));
                    }
                    twin.is_none()
                });
            }
        }
        for (m, first) in replaced {
            let d = Diagnostic::new(
                Code::Replaced,
                format!(
                    "`{}` replaces the one of {}",
                    m.text,
                    called(&self.sources, first.source)
                ),
            );
            self.tell(d.at(m.span, "declared anew").at(first, "declared first"), sink);
        }
    }

    /// Takes a name out of the unnamed problem.
    fn take_unnamed(&mut self, name: &str) {
        for c in self.cells.values_mut() {
            let had = c.unnamed.len();
            c.unnamed
                .retain(|(s, _)| s.kind.declared().is_none_or(|n| n.text != name));
            self.unnamed_changed |= c.unnamed.len() != had;
        }
    }

    /// A name is declared no more.
    fn forget(&mut self, name: &str) {
        self.graph.remove(name);
        self.defs.shift_remove(name);
        self.runs.shift_remove(name);
        self.drop_sizes(name, &[]);
        self.take_unnamed(name);
    }

    /// Sizes that a parameter bound and binds no more.
    pub(super) fn drop_sizes(&mut self, param: &str, keep: &[String]) {
        for s in self.graph.sizes_of(param) {
            if !keep.contains(&s) {
                self.graph.forget_size(&s);
                self.defs.shift_remove(&s);
            }
        }
    }

    /// Brings names and everything behind them up to date: declarations are checked again, and with `values` sets and
    /// parameters are computed again. Names in `changing` are left alone, and what depends on them; none of it
    /// may stand on `from`, which is being declared. Says whether a declaration was checked again.
    pub(super) fn refresh(
        &mut self,
        names: &BTreeSet<String>,
        changing: &BTreeSet<String>,
        from: Option<&str>,
        values: bool,
        used: Span,
        sink: &mut dyn FnMut(Event),
    ) -> Result<bool, Diagnostics> {
        let mut order: Vec<String> = vec![];
        let mut seen = BTreeSet::new();
        let mut path: Vec<String> = from.map(str::to_string).into_iter().collect();
        for n in names {
            self.order(n, changing, &mut path, &mut seen, &mut order, used)?;
        }
        let mut checked = false;
        let mut left: BTreeSet<String> = changing.clone();
        for n in order {
            let Some(m) = self.graph.mark(&n) else { continue };
            if m.uses.iter().any(|u| left.contains(u)) {
                left.insert(n);
                continue;
            }
            let types = self.graph.stale_types(&n);
            if !types.is_empty() {
                self.check_again(&n, &types)?;
                checked = true;
            }
            let stale = self.graph.stale_value(&n);
            if values && !stale.is_empty() {
                self.compute_again(&n, &stale, used, sink)?;
            }
        }
        Ok(checked)
    }

    /// The names behind `name`, each before those that use it.
    fn order(
        &self,
        name: &str,
        changing: &BTreeSet<String>,
        path: &mut Vec<String>,
        seen: &mut BTreeSet<String>,
        out: &mut Vec<String>,
        used: Span,
    ) -> Result<(), Diagnostics> {
        let name = self.graph.binder_of(name).unwrap_or(name);
        let mark = self.graph.mark(name);
        let place = mark.map_or(used, |m| m.stmt.kind.declared().map_or(m.stmt.span, |n| n.span));
        if path.iter().any(|p| p == name) {
            let d = Diagnostic::new(Code::Recursion, format!("`{name}` depends on itself by now"));
            let way = path.iter().skip_while(|p| *p != name).map(|p| format!("`{p}`"));
            let way: Vec<String> = way.chain([format!("`{name}`")]).collect();
            return Err(vec![
                d.at(place, "declared here")
                    .note(format!("{} (each uses the next)", way.join(", ")))
                    .help("change one of these declarations so that the circle is open"),
            ]);
        }
        let Some(mark) = mark else { return Ok(()) };
        // A result is what it was when it was found.
        if changing.contains(name) || mark.stmt.kind.keeps_a_result() {
            return Ok(());
        }
        if !seen.insert(name.to_string()) {
            return Ok(());
        }
        if path.len() >= MAX_CHAIN {
            let d = Diagnostic::new(
                Code::Nesting,
                format!("more than {MAX_CHAIN} definitions stand on one another"),
            );
            return Err(vec![d.at(used, "used here").at(place, "the innermost one looked at")]);
        }
        path.push(name.to_string());
        for u in &mark.uses {
            if self.graph.binder_of(u) != Some(name) {
                self.order(u, changing, path, seen, out, used)?;
            }
        }
        path.pop();
        out.push(name.to_string());
        Ok(())
    }

    /// Checks a declaration against what it uses as that is now.
    fn check_again(&mut self, name: &str, changed: &[String]) -> Result<(), Diagnostics> {
        let Some(m) = self.graph.mark(name) else { return Ok(()) };
        let program = Program {
            statements: vec![(*m.stmt).clone()],
            exprs: m.exprs,
        };
        let mut env = self.checker.clone();
        env.names.shift_remove(name);
        for s in self.graph.sizes_of(name) {
            env.names.shift_remove(&s);
        }
        let (checked, found) = check::check(&program, &env, &self.catalogue);
        let mut wrong: Diagnostics = found.into_iter().filter(Diagnostic::is_error).collect();
        if let Some(d) = wrong.pop() {
            wrong.push(d.note(format!(
                "`{name}` was checked again because {} changed",
                listed(changed)
            )));
            return Err(wrong);
        }
        self.checker = checked.env;
        self.graph.rechecked(name);
        Ok(())
    }

    /// Computes a set or a parameter anew from what it depends on.
    fn compute_again(
        &mut self,
        name: &str,
        changed: &[String],
        used: Span,
        sink: &mut dyn FnMut(Event),
    ) -> Result<(), Diagnostics> {
        let Some(m) = self.graph.mark(name) else { return Ok(()) };
        let (stmt, rebound) = (m.stmt.clone(), m.rebound.clone());
        let done = match (&stmt.kind, &rebound) {
            (StmtKind::Set(d), _) => self.bind_set(d),
            (StmtKind::Param(_), Some(e)) => self.rebind_param(name, e),
            (StmtKind::Param(d), None) => self.bind_param(d),
            _ => Ok(()),
        };
        let why = format!("`{name}` was computed again because {} changed", listed(changed));
        if let Err(d) = done {
            return Err(vec![d.note(why)]);
        }
        self.graph.computed(name, rebound.as_deref());
        let place = stmt.kind.declared().map_or(stmt.span, |n| n.span);
        let d = Diagnostic::new(Code::Rebuilt, why)
            .at(used, "used here")
            .at(place, "declared here");
        self.tell(d, sink);
        Ok(())
    }

    /// Says that a problem was compiled again, and why.
    pub(super) fn tell_rebuilt(&mut self, problem: &str, changed: &[String], used: Span, sink: &mut dyn FnMut(Event)) {
        let what = match problem {
            "" => "the problem".to_string(),
            p => format!("`{p}`"),
        };
        let why = format!("{what} was built again because {} changed", listed(changed));
        let d = Diagnostic::new(Code::Rebuilt, why).at(used, "used here");
        self.tell(d, sink);
    }
}

fn not_run(before: usize, left: usize) -> String {
    let after = match left {
        1 => "the statement after this one did not run".to_string(),
        n => format!("the {n} statements after this one did not run"),
    };
    match before {
        0 => after,
        1 => format!("{after}; the one before it keeps its effect"),
        n => format!("{after}; the {n} before it keep their effect"),
    }
}

/// Names as a phrase.
fn listed(names: &[String]) -> String {
    let quoted: Vec<String> = names.iter().map(|n| format!("`{n}`")).collect();
    match quoted.as_slice() {
        [] => "something it uses".into(),
        [one] => one.clone(),
        [init @ .., last] => format!("{} and {last}", init.join(", ")),
    }
}

/// Names that the statements declare, results of commands left out.
fn declared(statements: &[Stmt]) -> BTreeSet<String> {
    let names = statements.iter().filter(|s| !s.kind.keeps_a_result());
    names
        .filter_map(|s| s.kind.declared())
        .map(|n| n.text.clone())
        .collect()
}

/// Names of results.
fn results(statements: &[Stmt]) -> BTreeSet<String> {
    let names = statements.iter().flat_map(|s| s.kind.keeps());
    names.map(|n| n.text.clone()).collect()
}

fn uses_of(statements: &[Stmt]) -> BTreeSet<String> {
    statements.iter().flat_map(Stmt::uses).collect()
}
