//! The thread that owns the session: takes one job after the other, publishes what happens, says how each ended.
//!
//! Invariant: nothing else touches the session; a panic inside it ends the job with R0901 and the session goes on.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::atomic::AtomicBool;
use std::sync::{Arc, Mutex, PoisonError, mpsc};

use ravine::base::view::{Role, View};
use ravine::base::{Code, Diagnostic};
use ravine::session::{CellEnd, CompletionItem, Detail, Event, Progress, Session, Settings, rendered};
use serde_json::{Map, Value as Json, json};
use tokio::sync::mpsc::UnboundedSender;

use crate::assist;
use crate::display;
use crate::iopub::{Iopub, What};
use crate::prompt::{self, What as Asked};
use crate::wire::Parent;

/// Stack of the thread: expressions nest, and recursion over them is the readable way.
const STACK: usize = 256 << 20;

/// Something that needs the session.
pub struct Job {
    /// The request behind it.
    pub parent: Arc<Parent>,
    /// What is wanted.
    pub task: Task,
}

/// What is wanted of the session.
pub enum Task {
    /// Run a cell.
    Execute {
        /// What owns its statements: the front end's own name of the cell, or one for this run.
        cell: String,
        /// Its text.
        code: String,
        /// Its number.
        count: u64,
        /// Is nothing to be published?
        silent: bool,
        /// Expressions whose values go into the reply.
        expressions: Map<String, Json>,
    },
    /// Say what may stand at a byte.
    Complete(String, usize),
    /// Tell about the name at a byte; in full?
    Inspect(String, usize, bool),
}

/// How a job ended.
#[derive(Default)]
pub struct Done {
    /// The reply's content.
    pub content: Json,
    /// The plain text of the cell's result, for the history.
    pub result: Option<String>,
    /// The names after a cell.
    pub names: Option<Vec<CompletionItem>>,
}

impl Done {
    /// Did the cell fail?
    pub fn failed(&self) -> bool {
        self.content["status"] == "error"
    }
}

/// Starts the thread. Errors: the system has no thread to give.
pub fn start(
    settings: Settings,
    interrupt: Arc<AtomicBool>,
    jobs: mpsc::Receiver<Job>,
    iopub: Iopub,
    done: UnboundedSender<Done>,
) -> std::io::Result<()> {
    let panic: Arc<Mutex<String>> = Arc::default();
    let seen = panic.clone();
    std::panic::set_hook(Box::new(move |info| {
        let payload = info.payload();
        let text = match payload.downcast_ref::<&str>() {
            Some(text) => text,
            None => payload.downcast_ref::<String>().map_or("no message", String::as_str),
        };
        let at = info
            .location()
            .map_or(String::new(), |l| format!(", at {}:{}", l.file(), l.line()));
        *seen.lock().unwrap_or_else(PoisonError::into_inner) = format!("{}{at}", text.replace('\n', " "));
    }));
    let worker = move || {
        let mut session = Session::new(settings);
        session.interrupt = interrupt;
        for job in jobs {
            let run = AssertUnwindSafe(|| answer(&mut session, &job, &iopub));
            let ended = catch_unwind(run).unwrap_or_else(|_| {
                let what = panic.lock().unwrap_or_else(PoisonError::into_inner).clone();
                internal(&session, &job.parent, &iopub, &what)
            });
            if done.send(ended).is_err() {
                return;
            }
        }
    };
    std::thread::Builder::new()
        .name("session".into())
        .stack_size(STACK)
        .spawn(worker)?;
    Ok(())
}

fn answer(session: &mut Session, job: &Job, iopub: &Iopub) -> Done {
    match &job.task {
        Task::Execute {
            cell,
            code,
            count,
            silent,
            expressions,
        } => {
            let prompt = prompt::read(code);
            let mut outlet = Outlet {
                parent: &job.parent,
                iopub: (!silent).then_some(iopub),
                count: *count,
                held: None,
                line: None,
                found: vec![],
            };
            if prompt.clear {
                outlet.message("clear_output", json!({ "wait": false }));
            }
            let program = match prompt.what {
                Asked::Program(text) => text,
                Asked::Help { name, full } => {
                    let data = help(session, &name, 0, full);
                    return outlet.told(session, &name, data, expressions);
                }
            };
            let name = format!("cell {count}");
            let end = session.run_cell_as(cell, &name, &program, &mut |e| outlet.take(e));
            let mut done = outlet.finish(session, end, expressions);
            done.names = Some(assist::names(session));
            done
        }
        Task::Complete(code, at) => Done {
            content: assist::completed(code, &session.complete(code, *at)),
            ..Done::default()
        },
        Task::Inspect(code, at, full) => Done {
            content: assist::inspected(help(session, code, *at, *full)),
            ..Done::default()
        },
    }
}

/// Help on the name at a byte, in its forms.
fn help(session: &Session, code: &str, at: usize, full: bool) -> Option<Json> {
    let detail = if full { Detail::Full } else { Detail::Brief };
    let view = session.help_at(code, at, detail)?;
    Some(display::words(&rendered::view(&view)))
}

/// Where events of one cell go.
struct Outlet<'a> {
    parent: &'a Arc<Parent>,
    /// Nothing for a silent cell.
    iopub: Option<&'a Iopub>,
    count: u64,
    /// The last output with a structure: the cell's result, unless something comes after it.
    held: Option<Json>,
    /// The line that tells how far a solve has come, while it may be rewritten.
    line: Option<String>,
    /// Messages, shown together at the end, sorted.
    found: Vec<Diagnostic>,
}

impl Outlet<'_> {
    fn send(&self, what: What) {
        if let Some(iopub) = self.iopub {
            iopub.publish_blocking(self.parent, what);
        }
    }
    fn message(&self, kind: &'static str, content: Json) {
        self.send(What::Message(kind, json!({}), content));
    }
    /// What is held was not the last.
    fn release(&mut self) {
        if let Some(data) = self.held.take() {
            self.message("display_data", json!({ "data": data, "metadata": {}, "transient": {} }));
        }
    }
    fn take(&mut self, event: Event) {
        match event {
            Event::Diagnostic(d) => self.found.push(*d),
            Event::Progress(p) => self.progress(&p),
            Event::Log(line) => {
                self.release();
                self.send(What::Stream("stdout", format!("{line}\n")));
            }
            Event::Shown(view) if !display::rich(&view) => {
                self.release();
                self.send(What::Stream("stdout", rendered::view(&view).plain));
            }
            event => {
                self.release();
                self.held = rendered::event(&event).as_ref().map(display::bundle);
            }
        }
    }
    /// One line, shown once and then rewritten; the last word stands.
    fn progress(&mut self, p: &Progress) {
        self.release();
        let kind = match self.line {
            Some(_) => "update_display_data",
            None => "display_data",
        };
        let id = self.line.get_or_insert_with(|| uuid::Uuid::new_v4().to_string());
        let content = json!({
            "data": display::words(&rendered::view(&View::styled(p.line(), Role::Faint))),
            "metadata": {},
            "transient": { "display_id": id },
        });
        self.message(kind, content);
        if p.ended {
            self.line = None;
        }
    }
    /// Ends a cell that asked for help: the front end shows it beside its cells.
    fn told(self, session: &mut Session, name: &str, data: Option<Json>, expressions: &Map<String, Json>) -> Done {
        let data = data.unwrap_or_else(|| json!({ "text/plain": format!("there is nothing of the name `{name}`") }));
        let mut done = self.finish(session, CellEnd::Ok, expressions);
        done.content["payload"] = json!([{ "source": "page", "data": data, "start": 0 }]);
        done
    }
    fn finish(mut self, session: &mut Session, end: CellEnd, expressions: &Map<String, Json>) -> Done {
        if end != CellEnd::Ok {
            self.release();
            let text = rendered::messages(&self.found, &session.sources, true);
            let mut content = match end {
                CellEnd::Interrupted => display::failure("Interrupted", "the cell was interrupted", &text),
                _ => display::error(&self.found, &text),
            };
            self.message("error", content.clone());
            content["status"] = "error".into();
            content["execution_count"] = self.count.into();
            return Done {
                content,
                ..Done::default()
            };
        }
        if !self.found.is_empty() {
            let text = rendered::messages(&self.found, &session.sources, true);
            self.send(What::Stream("stderr", text));
        }
        let result = self.held.take().map(|data| {
            let plain = data["text/plain"].as_str().unwrap_or_default().to_string();
            let content = json!({ "execution_count": self.count, "data": data, "metadata": {} });
            self.message("execute_result", content);
            plain
        });
        let values: Map<String, Json> = expressions
            .iter()
            .map(|(name, e)| (name.clone(), value(session, e.as_str().unwrap_or_default())))
            .collect();
        let content = json!({
            "status": "ok",
            "execution_count": self.count,
            "payload": [],
            "user_expressions": values,
        });
        Done {
            content,
            result,
            names: None,
        }
    }
}

/// The value of an expression for a reply.
fn value(session: &mut Session, expression: &str) -> Json {
    // One expression, not a program in disguise.
    if expression.contains(['\n', '\r', ';']) {
        return crate::answers::error("Expression", "one expression is expected", &[]);
    }
    let (mut shown, mut found) = (String::new(), vec![]);
    session.run("expression", &format!("print ({expression})"), &mut |e| match e {
        Event::Shown(view) => shown.push_str(&rendered::view(&view).plain),
        Event::Diagnostic(d) => found.push(*d),
        _ => {}
    });
    if found.iter().any(Diagnostic::is_error) {
        let text = rendered::messages(&found, &session.sources, true);
        let mut content = display::error(&found, &text);
        content["status"] = "error".into();
        return content;
    }
    json!({ "status": "ok", "data": display::text(&shown), "metadata": {} })
}

/// R0901: the mistake is ours.
fn internal(session: &Session, parent: &Arc<Parent>, iopub: &Iopub, what: &str) -> Done {
    let d = Diagnostic::new(
        Code::Internal,
        format!("a mistake of ours, not of your program: {what}"),
    )
    .note("the session goes on with what was defined before")
    .help(format!(
        "please report it with the cell and this line: ravine-kernel {}",
        env!("CARGO_PKG_VERSION")
    ));
    let text = rendered::messages(std::slice::from_ref(&d), &session.sources, true);
    let mut content = display::error(&[d], &text);
    iopub.publish_blocking(parent, What::Message("error", json!({}), content.clone()));
    content["status"] = "error".into();
    Done {
        content,
        ..Done::default()
    }
}
