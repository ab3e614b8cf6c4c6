//! `use "model.opt"`: the names of another file; `write x to "x.csv"`: values to files.
//!
//! Invariant: a used file is a cell of its own that only declares, before the text that uses it is checked.

use std::path::{Path, PathBuf};
use std::rc::Rc;

use crate::base::value::Value;
use crate::base::{Code, Diagnostic, Diagnostics, Span};
use crate::io;
use crate::lang::check;
use crate::lang::errors::types as errors;
use crate::lang::parse::parse;
use crate::lang::syntax::{Expr, ExprKind, Program, Stmt, StmtKind};
use crate::report::{FileHash, plot};

use super::{CellEnd, Def, Event, Session, files};

/// How the keys of cells begin that are used files.
const USED: &str = "\u{0}use ";

/// Is it the cell of a used file?
pub(super) fn is_used(cell: &str) -> bool {
    cell.starts_with(USED)
}

/// What to do with a used file.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Bring {
    /// Check it, as the text that uses it is only checked.
    Check,
    /// Let it declare.
    Run,
}

impl Session {
    /// Reads the files that a text uses, in order, and lets them declare; false if one of them could not be brought.
    pub(super) fn bring(
        &mut self,
        program: &Program,
        what: Bring,
        sink: &mut dyn FnMut(Event),
    ) -> Result<(), Diagnostics> {
        let mut ring = vec![];
        self.bring_all(program, Path::new(""), &mut ring, what, sink)
    }

    fn bring_all(
        &mut self,
        program: &Program,
        dir: &Path,
        ring: &mut Vec<PathBuf>,
        what: Bring,
        sink: &mut dyn FnMut(Event),
    ) -> Result<(), Diagnostics> {
        let mut brought = false;
        for s in &program.statements {
            if let StmtKind::Use { path, at } = &s.kind {
                self.bring_one(path, *at, dir, ring, what, sink)?;
                brought = true;
            }
        }
        // A name of its own beside a brought one would make two of it.
        let clash = |n: &crate::lang::syntax::Ident| -> Option<Span> {
            let m = self.graph.mark(&n.text).filter(|m| is_used(&m.cell))?;
            m.stmt.kind.declared().map(|d| d.span)
        };
        let twice: Diagnostics = program
            .statements
            .iter()
            .filter(|_| brought)
            .filter_map(|s| s.kind.declared())
            .filter_map(|n| {
                Some(errors::duplicate(
                    &n.text,
                    n.span,
                    clash(n)?,
                    "declared in a file that is used",
                ))
            })
            .collect();
        if twice.is_empty() { Ok(()) } else { Err(twice) }
    }

    fn bring_one(
        &mut self,
        path: &str,
        at: Span,
        dir: &Path,
        ring: &mut Vec<PathBuf>,
        what: Bring,
        sink: &mut dyn FnMut(Event),
    ) -> Result<(), Diagnostics> {
        let shown = dir.join(path);
        let name = shown.to_string_lossy().into_owned();
        let file = self.settings.folder.join(&shown);
        let identity = files::identity(&file);
        if let Some(k) = ring.iter().position(|f| *f == identity) {
            let names: Vec<String> = ring[k..]
                .iter()
                .chain([&identity])
                .map(|f| {
                    f.file_name()
                        .map_or(String::new(), |n| n.to_string_lossy().into_owned())
                })
                .collect();
            return Err(vec![
                Diagnostic::new(
                    Code::CircularUse,
                    format!("`{path}` uses itself: {}", names.join(" -> ")),
                )
                .at(at, "used again here")
                .help("move what both need into a third file"),
            ]);
        }
        let (text, hash) = files::load_program(&file).map_err(|mut d| {
            d.message = d.message.replace(&*file.to_string_lossy(), &name);
            vec![if d.labels.is_empty() { d.at(at, "used here") } else { d }]
        })?;
        let id = self.sources.add(&*name, &*text);
        let (mut program, mut found) = parse(id, &text);
        let inner = shown.parent().map(Path::to_path_buf).unwrap_or_default();
        ring.push(identity.clone());
        let below = self.bring_all(&program, &inner, ring, what, sink);
        ring.pop();
        below?;
        let cell: Rc<str> = format!("{USED}{}", identity.display()).into();
        let known = self.used.get(&identity) == Some(&hash);
        if known && (what == Bring::Check || !self.graph.owned(&cell).is_empty()) {
            return Ok(());
        }
        program.statements.retain(declares);
        for s in &mut program.statements {
            if let StmtKind::Var(_) | StmtKind::Objective(_) | StmtKind::SubjectTo(_) = s.kind {
                found.push(
                    Diagnostic::new(
                        Code::Syntax,
                        "a problem without a name cannot be used from another file",
                    )
                    .at(s.span, "outside of a problem")
                    .at(at, "used here")
                    .help("give it a name: `problem p { … }`"),
                );
            }
            relative_to(s, &inner);
            let Some(n) = s.kind.declared() else { continue };
            if let Some(m) = self.graph.mark(&n.text).filter(|m| m.cell != cell) {
                let first = m.stmt.kind.declared().map_or(m.stmt.span, |d| d.span);
                found.push(errors::duplicate(&n.text, n.span, first, "declared").at(at, "used here"));
            }
        }
        if found.iter().any(Diagnostic::is_error) {
            return Err(found);
        }
        match what {
            Bring::Check => {
                let (checked, more) = check::check(&program, &self.checker, &self.catalogue);
                found.extend(more);
                if found.iter().any(Diagnostic::is_error) {
                    return Err(found);
                }
                self.checker = checked.env;
            }
            Bring::Run => {
                // What is wrong was said there.
                let entered = self
                    .enter_program(cell, id, program, found, sink)
                    .ok_or_else(Vec::new)?;
                if self.run_entered(&entered, false, &|_| true, sink) != CellEnd::Ok {
                    return Err(vec![]);
                }
                self.report.provenance.data.push(FileHash {
                    file: name,
                    sha256: hash.clone(),
                });
            }
        }
        self.used.insert(identity, hash);
        Ok(())
    }

    /// `write s.w to "w.csv"`.
    pub(super) fn write(&mut self, value: &Expr, to: &Expr) -> Result<(), Box<Diagnostic>> {
        let Value::Text(name) = self.evaluate(to)? else {
            return Err(Diagnostic::new(Code::WrongType, "a file's path is a text")
                .at(to.span, "here")
                .into());
        };
        let placed = |d: Diagnostic| match d.labels.is_empty() {
            true => Box::new(d.at(to.span, "written here")),
            false => Box::new(d),
        };
        if let Some(bytes) = self.saved_run(value) {
            if !name.to_lowercase().ends_with(".json") {
                return Err(Diagnostic::new(
                    Code::UnknownFormat,
                    format!("`{name}`: runs are written as `.json` files"),
                )
                .at(to.span, "here")
                .into());
            }
            return files::save(&self.settings.folder, &name, &bytes).map_err(placed);
        }
        if let Some(Def::Picture(f)) = value.as_name().and_then(|n| self.defs.get(n)) {
            let bytes = match name.rsplit('.').next() {
                Some("svg") => Some(plot::svg(f).into_bytes()),
                Some("png") => plot::png(f),
                _ => None,
            };
            let Some(bytes) = bytes else {
                let d = Diagnostic::new(Code::UnknownFormat, "a picture is written as `.svg` or `.png`");
                return Err(d.at(to.span, "here").into());
            };
            return files::save(&self.settings.folder, &name, &bytes).map_err(placed);
        }
        let bytes = match self.evaluate(value)? {
            Value::Array { tensor, .. } => io::save::write_array(&name, &tensor).map_err(placed)?,
            Value::Set(s) => io::save::write_set(&name, &s).map_err(placed)?,
            Value::Text(t) => format!("{t}\n").into_bytes(),
            Value::Table(t) => io::save::write_table(&name, &t).map_err(placed)?,
        };
        files::save(&self.settings.folder, &name, &bytes).map_err(placed)
    }
}

/// Does the statement belong to what another file can use?
fn declares(s: &Stmt) -> bool {
    match &s.kind {
        StmtKind::Set(_)
        | StmtKind::Param(_)
        | StmtKind::Let(_)
        | StmtKind::Fn(_)
        | StmtKind::Problem(_)
        | StmtKind::Optimizer(_)
        | StmtKind::Pipeline(_)
        | StmtKind::Var(_)
        | StmtKind::Objective(_)
        | StmtKind::SubjectTo(_) => true,
        // Commands are the other file's own; a statement that failed has been reported.
        _ => false,
    }
}

/// Files that a brought declaration reads lie where its own file lies.
fn relative_to(s: &mut Stmt, dir: &Path) {
    let value = match &mut s.kind {
        StmtKind::Set(d) => Some(&mut d.value),
        StmtKind::Param(d) => d.value.as_mut(),
        StmtKind::Problem(p) => {
            p.body.iter_mut().for_each(|s| relative_to(s, dir));
            None
        }
        _ => None,
    };
    if let Some(Expr {
        kind: ExprKind::Call { callee, args },
        ..
    }) = value
        && callee.as_name() == Some("read")
        && let Some(first) = args.first_mut()
        && let ExprKind::Text(t) = &mut first.value.kind
    {
        *t = dir.join(&*t).to_string_lossy().into_owned();
    }
}
