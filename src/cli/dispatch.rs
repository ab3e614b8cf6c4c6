//! From a command to the session and back.
//!
//! Invariant: the only caller of `Session` here; results go to standard output, messages to standard error, and with
//! `--json` one object holds both.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, OnceLock};
use std::time::Instant;

use super::args::{CheckArgs, Command, Inputs, InspectArgs, RunArgs};
use super::out::Out;
use super::repl::repl;
use crate::base::Diagnostic;
use crate::base::figure::Figure;
use crate::base::view::View;
use crate::report::solve::{Detail, summary};
use crate::report::style::Paint;
use crate::report::{FileHash, diagnostic, exit, json, plot, render};
use crate::session::{Event, Session, Settings, files};

/// How much of what happens is shown while it happens.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Show {
    /// Nothing: it goes into one object at the end.
    Nothing,
    /// What the program prints.
    Printed,
    /// Solves as well, without what changes between equal runs.
    Stable,
    /// Solves as well.
    All,
}

/// Runs a command; the exit code.
pub fn dispatch(command: Command, out: Out, interrupt: Arc<AtomicBool>) -> u8 {
    match command {
        Command::Run(a) => run(&a, out, interrupt),
        Command::Check(a) => check(&a, out, interrupt),
        Command::Inspect(a) => inspect(&a, out, interrupt),
        Command::Repl(a) => repl(&a, out, interrupt),
        Command::Fmt(a) => super::fmt::fmt(&a, &out),
        // Answered before there is a thread.
        Command::Explain { .. } | Command::Kernel { .. } => exit::USAGE,
    }
}

fn run(a: &RunArgs, out: Out, interrupt: Arc<AtomicBool>) -> u8 {
    let Some(mut session) = start(&a.file, &a.inputs, a.verbose, &out, interrupt) else {
        return exit::USAGE;
    };
    let show = match (a.json, a.quiet, a.stable) {
        (true, _, _) => Show::Nothing,
        (_, true, _) => Show::Printed,
        (_, _, true) => Show::Stable,
        _ => Show::All,
    };
    if let Some(text) = program(&a.file, &mut session) {
        let mut sink = Sink::new(out, show);
        sink.untimed = a.stable;
        sink.plots = a.plots.clone().map(Plots::into);
        let name = name_of(&a.file);
        match &a.emit {
            Some(emit) => session.emit(&name, &text, emit.after.as_deref(), &mut |e| sink.take(e)),
            None => session.run(&name, &text, &mut |e| sink.take(e)),
        }
        session
            .report
            .diagnostics
            .extend(sink.plots.into_iter().flat_map(|p| p.failed));
    }
    finish(&session, &out, a.json)
}

fn check(a: &CheckArgs, out: Out, interrupt: Arc<AtomicBool>) -> u8 {
    let again = interrupt.clone();
    let Some(mut session) = start(&a.file, &Inputs::default(), false, &out, interrupt) else {
        return exit::USAGE;
    };
    if let Some(text) = program(&a.file, &mut session) {
        let (_, _, found) = session.check(&name_of(&a.file), &text);
        session.report.diagnostics.extend(found);
        if !session.report.diagnostics.iter().any(Diagnostic::is_error) {
            // What this session has checked is declared in it; what would run runs in one of its own.
            let inputs = Inputs::default();
            if let Some(mut ahead) = start(&a.file, &inputs, false, &out, again) {
                let found = ahead.foresee(&name_of(&a.file), &text);
                if found.iter().any(Diagnostic::is_error) {
                    ahead.report.diagnostics = found;
                    return finish(&ahead, &out, a.json);
                }
            }
        }
    }
    let code = finish(&session, &out, a.json);
    if code == exit::SUCCESS && !a.json {
        out.result(&format!(
            "{}: {}\n",
            name_of(&a.file),
            out.results.good("no mistakes found")
        ));
    }
    code
}

fn inspect(a: &InspectArgs, out: Out, interrupt: Arc<AtomicBool>) -> u8 {
    let Some(mut session) = start(&a.file, &a.inputs, false, &out, interrupt) else {
        return exit::USAGE;
    };
    if let Some(text) = program(&a.file, &mut session) {
        let mut sink = Sink::new(out, if a.json { Show::Nothing } else { Show::All });
        session.look(&name_of(&a.file), &text, a.name.as_deref(), &mut |e| sink.take(e));
    }
    finish(&session, &out, a.json)
}

/// A session for a program's folder; nothing if a setting is given twice.
pub(super) fn start(
    file: &Path,
    inputs: &Inputs,
    verbose: bool,
    out: &Out,
    interrupt: Arc<AtomicBool>,
) -> Option<Session> {
    let sets = match inputs.settings() {
        Ok(sets) => sets,
        Err(sentence) => {
            out.message(&format!("{}: {sentence}\n", out.messages.bad("error")));
            return None;
        }
    };
    let mut session = Session::new(Settings {
        sets,
        threads: inputs.threads,
        memory: inputs.memory.unwrap_or_else(files::default_budget),
        verbose,
        folder: file.parent().map(Path::to_path_buf).unwrap_or_default(),
        now,
    });
    session.interrupt = interrupt;
    let provenance = &mut session.report.provenance;
    provenance.version = env!("CARGO_PKG_VERSION").into();
    provenance.threads = inputs.threads.unwrap_or_else(cores);
    Some(session)
}

/// Seconds since the first call.
fn now() -> f64 {
    static START: OnceLock<Instant> = OnceLock::new();
    START.get_or_init(Instant::now).elapsed().as_secs_f64()
}

/// Threads of the pool when nothing is said.
fn cores() -> usize {
    std::thread::available_parallelism().map_or(1, |n| n.get())
}

fn name_of(file: &Path) -> String {
    file.to_string_lossy().into_owned()
}

/// The program's text; nothing if it cannot be read, which the report then says.
fn program(file: &Path, session: &mut Session) -> Option<String> {
    match files::load_program(file) {
        Ok((text, sha256)) => {
            session.report.provenance.program = Some(FileHash {
                file: name_of(file),
                sha256,
            });
            Some(text)
        }
        Err(d) => {
            session.report.diagnostics.push(d);
            None
        }
    }
}

/// Messages, or everything as one object; the exit code.
fn finish(session: &Session, out: &Out, as_json: bool) -> u8 {
    let report = &session.report;
    if as_json {
        let mut report = report.clone();
        report.provenance.seed = session.seed;
        out.result(&format!("{}\n", json::report(&report, &session.sources)));
    } else if !report.diagnostics.is_empty() {
        let found = &report.diagnostics;
        out.message(&match out.messages {
            Paint { on: true } => diagnostic::terminal(found, &session.sources),
            Paint { on: false } => diagnostic::plain(found, &session.sources),
        });
    }
    match report.exit_code() {
        exit::SUCCESS | exit::UNSOLVED if session.interrupt.load(Ordering::Relaxed) => exit::INTERRUPTED,
        code => code,
    }
}

/// Shows events as they come, with an empty line around what has several lines.
pub(super) struct Sink {
    out: Out,
    show: Show,
    /// Are columns of times left out?
    untimed: bool,
    /// Was something shown, and had it several lines?
    last: Option<bool>,
    /// Where pictures are written to.
    plots: Option<Plots>,
    /// Was it said how to have them written?
    told: bool,
    /// How that is.
    tip: &'static str,
}

/// The folder for pictures.
struct Plots {
    folder: PathBuf,
    /// Names of files so far.
    names: BTreeSet<String>,
    failed: Vec<Diagnostic>,
}

impl Plots {
    fn into(folder: PathBuf) -> Plots {
        Plots {
            folder,
            names: BTreeSet::new(),
            failed: vec![],
        }
    }

    /// Writes a picture in both forms, and says where; a name that was used gets a number.
    fn write(&mut self, f: &Figure) -> Option<String> {
        let named = |k: usize| {
            if k == 1 {
                f.name.clone()
            } else {
                format!("{}-{k}", f.name)
            }
        };
        let name = (1..).map(named).find(|n| !self.names.contains(n))?;
        let mut written = vec![];
        for (ending, bytes) in [("svg", Some(plot::svg(f).into_bytes())), ("png", plot::png(f))] {
            let file = format!("{name}.{ending}");
            match files::save_into(&self.folder, &file, &bytes?) {
                Ok(()) => written.push(self.folder.join(file).to_string_lossy().into_owned()),
                Err(d) => {
                    self.failed.push(d);
                    return None;
                }
            }
        }
        self.names.insert(name);
        Some(format!("written to {}", written.join(" and ")))
    }
}

impl Sink {
    pub(super) fn new(out: Out, show: Show) -> Sink {
        Sink {
            out,
            show,
            untimed: false,
            last: None,
            plots: None,
            told: false,
            tip: "`--plots DIR` writes pictures as SVG and PNG",
        }
    }

    /// With another line about how pictures are kept.
    pub(super) fn tip(mut self, tip: &'static str) -> Sink {
        self.tip = tip;
        self
    }

    pub(super) fn take(&mut self, event: Event) {
        let solves = matches!(self.show, Show::Stable | Show::All);
        let mut written = None;
        if let Event::Shown(View::Figure(f)) = &event {
            written = match &mut self.plots {
                Some(p) => p.write(f),
                None if self.show == Show::All && !std::mem::replace(&mut self.told, true) => Some(self.tip.into()),
                None => None,
            };
        }
        let view = match event {
            Event::Solved(s) if solves => {
                let detail = if self.show == Show::All {
                    Detail::Full
                } else {
                    Detail::Golden
                };
                summary(&s, detail)
            }
            Event::Shown(view) if self.show != Show::Nothing && self.untimed => view.untimed(),
            Event::Shown(view) if self.show != Show::Nothing => view,
            // One line that is written over, where somebody looks at it.
            Event::Progress(p) if self.show == Show::All && self.out.messages.on => {
                let line = if p.ended {
                    String::new()
                } else {
                    self.out.messages.faint(&p.line())
                };
                return self.out.message(&format!("\r\x1b[2K{line}"));
            }
            Event::Log(line) if self.show == Show::All => {
                return self.out.message(&format!("{}\n", self.out.messages.faint(&line)));
            }
            // Messages are shown at the end, sorted, beside their source.
            Event::Diagnostic(_) | Event::Solved(_) | Event::Shown(_) | Event::Log(_) | Event::Progress(_) => return,
        };
        let mut text = render::text(&view, self.out.results);
        if let Some(w) = written {
            text.push_str(&format!("  {}\n", self.out.results.faint(&w)));
        }
        let several = text.lines().count() > 1;
        let gap = if self.last.is_some_and(|before| before || several) {
            "\n"
        } else {
            ""
        };
        self.out.result(&format!("{gap}{text}"));
        self.last = Some(several);
    }
}
