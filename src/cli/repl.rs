//! The prompt: entries are cells of one session.
//!
//! Invariant: Ctrl-C ends what runs or empties the line, Ctrl-D ends the session; an entry is run when the language's
//! own rule says that it is complete.

use std::borrow::Cow;
use std::cell::RefCell;
use std::io::{BufRead, IsTerminal};
use std::path::{Path, PathBuf};
use std::rc::Rc;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use rustyline::completion::{Completer, Pair};
use rustyline::config::Config;
use rustyline::error::ReadlineError;
use rustyline::highlight::Highlighter;
use rustyline::hint::Hinter;
use rustyline::history::FileHistory;
use rustyline::validate::{ValidationContext, ValidationResult, Validator};
use rustyline::{CompletionType, Context, Editor, Helper};

use super::args::{Inputs, ReplArgs};
use super::dispatch::{Show, Sink, start};
use super::out::Out;
use crate::base::Diagnostic;
use crate::report::style::Paint;
use crate::report::{diagnostic, exit, render};
use crate::session::{CellEnd, Completeness, Detail, Event, Session, completeness, is_expression};

/// Entries that are remembered.
const HISTORY: usize = 5000;
/// Widest line of a list of completions.
const WIDE: usize = 78;

/// What `help` alone says.
const HELP: &str = "\
`?name` tells about a name: of the program, of a function, a method or a word of the language, of an error code
`help name` does so in programs, `source adam` shows a definition of the library
an expression is shown, any other line runs; Tab completes, `exit` ends
";
/// How pictures are kept.
const PICTURES: &str = "`p = plot …`, then `write p to \"p.svg\"` keeps a picture";

/// Runs the prompt; the exit code.
pub fn repl(a: &ReplArgs, out: Out, interrupt: Arc<AtomicBool>) -> u8 {
    let inputs = Inputs {
        threads: a.threads,
        memory: a.memory,
        ..Inputs::default()
    };
    // Relative paths start at the working directory.
    let Some(session) = start(Path::new(""), &inputs, false, &out, interrupt) else {
        return exit::USAGE;
    };
    let prompt = Prompt {
        session: Rc::new(RefCell::new(session)),
        out,
        entries: 0,
        code: exit::SUCCESS,
    };
    if std::io::stdin().is_terminal() {
        prompt.edited(a.history.clone().or_else(usual_history))
    } else {
        prompt.piped(std::io::stdin().lock())
    }
}

struct Prompt {
    session: Rc<RefCell<Session>>,
    out: Out,
    entries: usize,
    code: u8,
}

impl Prompt {
    /// With a person at a terminal.
    fn edited(mut self, history: Option<PathBuf>) -> u8 {
        let Ok(mut editor) = editor() else {
            return self.piped(std::io::stdin().lock());
        };
        let helper = Assistant {
            session: self.session.clone(),
            paint: self.out.results,
        };
        editor.set_helper(Some(helper));
        if let Some(h) = &history {
            // A first session has none.
            let _ = editor.load_history(h);
        }
        self.out.result(&format!(
            "Ravine {}: Tab completes, `?name` tells more, Ctrl-D ends\n",
            env!("CARGO_PKG_VERSION")
        ));
        loop {
            match editor.readline("ravine> ") {
                Ok(entry) if ends(&entry) => break,
                Ok(entry) => {
                    if entry.trim().is_empty() {
                        continue;
                    }
                    let _ = editor.add_history_entry(entry.as_str());
                    if let Some(h) = &history {
                        keep(&mut editor, h);
                    }
                    self.entry(&entry);
                }
                Err(ReadlineError::Interrupted) => {}
                Err(_) => break,
            }
        }
        exit::SUCCESS
    }

    /// With a program at the other end: no prompt, the exit code tells of failures.
    fn piped(mut self, input: impl BufRead) -> u8 {
        let mut text = String::new();
        for line in input.lines() {
            let Ok(line) = line else {
                let d = Diagnostic::new(crate::base::Code::CannotRead, "standard input is not UTF-8 text");
                self.messages(&[d]);
                return exit::DATA;
            };
            // The lines under a `subject to` are known to go on while they are indented.
            if text.trim().is_empty() && ends(&line) {
                break;
            }
            let goes_on = line.trim().is_empty() || line.starts_with([' ', '\t']);
            if !text.trim().is_empty() && !goes_on && ends_with_constraints(&text) {
                self.entry(&std::mem::take(&mut text));
            }
            text.push_str(&line);
            text.push('\n');
            match completeness(&text) {
                Completeness::Complete | Completeness::Invalid if !ends_with_constraints(&text) => {
                    self.entry(&std::mem::take(&mut text));
                }
                _ => {}
            }
        }
        self.entry(&text);
        self.code
    }

    /// Runs one entry, or answers a question.
    fn entry(&mut self, text: &str) {
        let trimmed = text.trim();
        if trimmed.is_empty() {
            return;
        }
        let told = self.session.borrow().is_told_about(trimmed).then_some(trimmed);
        let asked = trimmed.strip_prefix('?').or_else(|| trimmed.strip_suffix('?'));
        if let Some(name) = asked.or(told) {
            let name = name.trim();
            let help = self.session.borrow().help_at(name, name.len(), Detail::Full);
            match help {
                Some(view) => self.out.result(&render::text(&view, self.out.results)),
                None => self.out.message(&format!("nothing is known of `{name}`\n")),
            }
            return;
        }
        if trimmed == "help" {
            self.out.result(HELP);
            return;
        }
        // A value on its own is shown.
        let printed;
        let text = if is_expression(trimmed) {
            printed = format!("print {trimmed}");
            &printed
        } else {
            text
        };
        self.entries += 1;
        let name = format!("entry {}", self.entries);
        let mut found = vec![];
        let mut sink = Sink::new(self.out, Show::All).tip(PICTURES);
        let session = self.session.clone();
        let mut session = session.borrow_mut();
        let end = session.run_cell(&name, text, &mut |e| match e {
            Event::Diagnostic(d) => found.push(*d),
            e => sink.take(e),
        });
        session.interrupt.store(false, Ordering::Relaxed);
        let code = session.report.exit_code();
        drop(session);
        self.messages(&found);
        self.code = match end {
            CellEnd::Ok if code == exit::SUCCESS => self.code,
            CellEnd::Interrupted => exit::INTERRUPTED,
            _ => code,
        };
    }

    fn messages(&self, found: &[Diagnostic]) {
        if found.is_empty() {
            return;
        }
        let session = self.session.borrow();
        self.out.message(&match self.out.messages {
            Paint { on: true } => diagnostic::terminal(found, &session.sources),
            Paint { on: false } => diagnostic::plain(found, &session.sources),
        });
    }
}

/// Does an entry end the session?
fn ends(entry: &str) -> bool {
    matches!(entry.trim(), "exit" | "quit")
}

/// Is the last statement a list of constraints, to which another line may be added?
fn ends_with_constraints(text: &str) -> bool {
    let last = text.lines().rev().find(|l| !l.trim().is_empty()).unwrap_or("");
    last.starts_with([' ', '\t']) && text.lines().any(|l| l.starts_with("subject to"))
        || last.trim_end() == "subject to"
}

fn editor() -> rustyline::Result<Editor<Assistant, FileHistory>> {
    let config = Config::builder()
        .max_history_size(HISTORY)?
        .history_ignore_space(true)
        .completion_type(CompletionType::List)
        .bracketed_paste(true)
        .build();
    Editor::with_config(config)
}

/// Writes the history; a place that cannot be written is no reason to stop.
fn keep(editor: &mut Editor<Assistant, FileHistory>, file: &Path) {
    #[allow(clippy::disallowed_methods, reason = "the history's folder may have to be made")]
    if let Some(folder) = file.parent() {
        let _ = std::fs::create_dir_all(folder);
    }
    let _ = editor.append_history(file);
}

/// `$XDG_STATE_HOME/ravine/history`, or below the home folder.
#[allow(clippy::disallowed_methods, reason = "the command line reads the environment")]
fn usual_history() -> Option<PathBuf> {
    let folder = |name: &str| std::env::var_os(name).filter(|v| !v.is_empty()).map(PathBuf::from);
    let state = folder("XDG_STATE_HOME")
        .or_else(|| folder("LOCALAPPDATA"))
        .or_else(|| Some(folder("HOME")?.join(".local/state")))?;
    Some(state.join("ravine").join("history"))
}

/// What the editor asks while an entry is written.
struct Assistant {
    session: Rc<RefCell<Session>>,
    paint: Paint,
}

impl Helper for Assistant {}
impl Hinter for Assistant {
    type Hint = String;
}

impl Highlighter for Assistant {
    fn highlight_prompt<'b, 's: 'b, 'p: 'b>(&'s self, prompt: &'p str, _default: bool) -> Cow<'b, str> {
        Cow::Owned(self.paint.name(prompt))
    }
}

impl Validator for Assistant {
    fn validate(&self, context: &mut ValidationContext) -> rustyline::Result<ValidationResult> {
        let text = context.input();
        if text.trim_start().starts_with('?') || text.trim_end().ends_with('?') {
            return Ok(ValidationResult::Valid(None));
        }
        Ok(match completeness(text) {
            // The editor takes the line's end itself; an entry under construction may be left by Ctrl-C.
            Completeness::Incomplete { .. } => ValidationResult::Incomplete,
            _ => ValidationResult::Valid(None),
        })
    }
}

impl Completer for Assistant {
    type Candidate = Pair;

    fn complete(&self, line: &str, cursor: usize, _: &Context<'_>) -> rustyline::Result<(usize, Vec<Pair>)> {
        let Ok(session) = self.session.try_borrow() else {
            return Ok((cursor, vec![]));
        };
        let found = session.complete(line, cursor);
        // One that is left needs no description; of several, each shows what it is.
        let width = found.items.iter().map(|i| i.name.chars().count()).max().unwrap_or(0);
        let shown = found.items.iter().map(|i| {
            let what = if i.ty.is_empty() { i.kind } else { &i.ty };
            let all = format!("{:width$}  {what}  {}", i.name, i.doc);
            let display: String = all.trim_end().chars().take(WIDE).collect();
            Pair {
                display,
                replacement: i.name.clone(),
            }
        });
        Ok((found.start, shown.collect()))
    }
}
