//! The shell channel: requests in their order, one cell at a time, everything else at once.
//!
//! Invariant: each request is answered exactly once, between `busy` and `idle`; a cell that fails takes those of its
//! client that wait behind it with it.

use std::collections::VecDeque;
use std::sync::{Arc, mpsc};
use std::time::Duration;

use ravine::session::CompletionItem;
use serde_json::{Value as Json, json};
use tokio::sync::mpsc::UnboundedReceiver;
use tokio::time::Instant;

use crate::answers;
use crate::assist;
use crate::evaluate::{Done, Job, Task};
use crate::history::History;
use crate::iopub::Iopub;
use crate::state::State;
use crate::wire::{Parent, Request, Signer, Writer, decode};
use crate::zmtp::{Incoming, Socket};

/// How old a cell must be before its failure is told, so that cells sent with it are here to be aborted.
const HOLD: Duration = Duration::from_millis(30);
/// Bytes of requests that may wait; while there are more, nothing is read.
const WAITING: usize = 256 << 20;

/// The channel and what waits in it.
pub struct Shell {
    /// Checks signatures.
    pub signer: Signer,
    /// Makes replies.
    pub writer: Writer,
    /// Publishes.
    pub iopub: Iopub,
    /// What all channels share.
    pub state: Arc<State>,
    /// To the thread of the session.
    pub jobs: mpsc::Sender<Job>,
    /// Past cells.
    pub history: History,
    /// Requests that wait for the session, and their bytes.
    pub queue: VecDeque<Request>,
    /// Bytes of the requests in the queue.
    pub waiting: usize,
    /// When the session began to work on it.
    pub began: Instant,
    /// Cells run so far, silent ones as well.
    pub runs: u64,
    /// Names after the last cell, for what is asked while the next one runs.
    pub names: Vec<CompletionItem>,
    /// The request that the session works on.
    pub current: Option<Request>,
}

impl Shell {
    /// Serves until the kernel is told to end.
    pub async fn run(mut self, mut socket: Socket, mut done: UnboundedReceiver<Done>) {
        // A failure that is held back.
        let mut held: Option<(Instant, Done)> = None;
        loop {
            let until = held.as_ref().map(|h| h.0);
            let due = async {
                match until {
                    Some(t) => tokio::time::sleep_until(t).await,
                    None => std::future::pending().await,
                }
            };
            tokio::select! {
                biased;
                Some(event) = socket.next(), if self.waiting < WAITING => {
                    if let Incoming::Message(peer, frames) = event {
                        match decode(&self.signer, peer, &frames) {
                            Ok(request) => self.take(request).await,
                            Err(dropped) => self.state.dropped("shell", dropped),
                        }
                    }
                }
                Some(ended) = done.recv() => {
                    if ended.failed() && self.stops() {
                        held = Some((self.began + HOLD, ended));
                    } else {
                        self.finish(ended).await;
                    }
                }
                () = due => {
                    if let Some((_, ended)) = held.take() {
                        self.finish(ended).await;
                    }
                }
            }
        }
    }

    /// Does a failure of the current cell abort those behind it?
    fn stops(&self) -> bool {
        let current = self.current.as_ref();
        current.is_some_and(|r| executes(r) && r.content["stop_on_error"].as_bool().unwrap_or(true))
    }

    async fn take(&mut self, request: Request) {
        let answer = match request.parent.kind() {
            kind if request.malformed => match kind.strip_suffix("_request") {
                Some(stem) => {
                    return self
                        .respond(&request, &format!("{stem}_reply"), &answers::malformed())
                        .await;
                }
                None => return,
            },
            "complete_request" | "inspect_request" if self.state.running().is_some() => {
                let (code, at) = place(&request);
                match request.parent.kind() {
                    "complete_request" => {
                        let c = assist::complete_by(&self.names, code, at);
                        ("complete_reply", assist::completed(code, &c))
                    }
                    _ => {
                        let data = assist::inspect_by(&self.names, code, at);
                        ("inspect_reply", assist::inspected(data))
                    }
                }
            }
            "execute_request" | "complete_request" | "inspect_request" => {
                self.waiting += request.size;
                self.queue.push_back(request);
                return self.next().await;
            }
            "kernel_info_request" => ("kernel_info_reply", answers::kernel_info()),
            "is_complete_request" => ("is_complete_reply", answers::is_complete(code(&request))),
            "history_request" => ("history_reply", self.history.answer(&request.content)),
            "comm_info_request" => ("comm_info_reply", json!({ "status": "ok", "comms": {} })),
            // Nobody here opens comms: whoever tries is told that it is closed.
            "comm_open" => {
                let id = request.content["comm_id"].clone();
                let parent = Some(&request.parent);
                self.iopub.status(parent, "busy").await;
                self.iopub
                    .publish(parent, "comm_close", json!({ "comm_id": id, "data": {} }))
                    .await;
                return self.idle(&request.parent).await;
            }
            "comm_msg" | "comm_close" => {
                self.iopub.status(Some(&request.parent), "busy").await;
                return self.idle(&request.parent).await;
            }
            "shutdown_request" => {
                let content = json!({ "status": "ok", "restart": request.content["restart"] });
                self.respond(&request, "shutdown_reply", &content).await;
                return self.state.end();
            }
            kind => match kind.strip_suffix("_request") {
                Some(stem) => {
                    let (reply, content) = (format!("{stem}_reply"), answers::unknown(kind));
                    return self.respond(&request, &reply, &content).await;
                }
                None => return,
            },
        };
        self.respond(&request, answer.0, &answer.1).await;
    }

    /// Answers at once, between `busy` and `idle`.
    async fn respond(&self, request: &Request, kind: &str, content: &Json) {
        self.iopub.status(Some(&request.parent), "busy").await;
        request.peer.send(self.writer.reply(&request.parent, kind, content));
        self.idle(&request.parent).await;
    }

    /// `idle`; while a cell runs, `busy` again in its name, as front ends show the last status they hear.
    async fn idle(&self, parent: &Arc<Parent>) {
        self.iopub.status(Some(parent), "idle").await;
        if let Some(running) = self.state.running() {
            self.iopub.status(Some(&running), "busy").await;
        }
    }

    /// Begins the next request that needs the session, if it is free.
    async fn next(&mut self) {
        if self.current.is_some() {
            return;
        }
        let Some(request) = self.queue.pop_front() else { return };
        self.waiting -= request.size;
        let parent = request.parent.clone();
        self.iopub.status(Some(&parent), "busy").await;
        let (code, at) = place(&request);
        let task = match parent.kind() {
            "complete_request" => Task::Complete(code.into(), at),
            "inspect_request" => {
                let full = request.content["detail_level"].as_u64().unwrap_or(0) > 0;
                Task::Inspect(code.into(), at, full)
            }
            _ => {
                let task = self.execute(&request).await;
                self.state.begin(&parent);
                task
            }
        };
        self.current = Some(request);
        self.began = Instant::now();
        if self.jobs.send(Job { parent, task }).is_err() {
            self.state.end();
        }
    }

    async fn execute(&mut self, request: &Request) -> Task {
        let content = &request.content;
        let silent = content["silent"].as_bool().unwrap_or(false);
        let store = content["store_history"].as_bool().unwrap_or(true) && !silent;
        let code = code(request).to_string();
        let count = self.history.begin(&code, store);
        self.runs += 1;
        if !silent {
            let input = json!({ "code": code, "execution_count": count });
            self.iopub.publish(Some(&request.parent), "execute_input", input).await;
        }
        Task::Execute {
            // Without a name of the front end's, each run is a cell of its own.
            cell: match request.metadata["cellId"].as_str() {
                Some(name) => name.into(),
                None => format!("run {}", self.runs),
            },
            code,
            count,
            silent,
            expressions: content["user_expressions"].as_object().cloned().unwrap_or_default(),
        }
    }

    /// Tells how the current request ended; aborts those behind it if it took them along; begins the next.
    async fn finish(&mut self, ended: Done) {
        self.state.finish();
        let stops = ended.failed() && self.stops();
        let Some(request) = self.current.take() else { return };
        if let Some(result) = &ended.result {
            self.history.result(result);
        }
        if let Some(names) = ended.names {
            self.names = names;
        }
        let reply = match request.parent.kind() {
            "complete_request" => "complete_reply",
            "inspect_request" => "inspect_reply",
            _ => "execute_reply",
        };
        let frames = self.writer.reply(&request.parent, reply, &ended.content);
        request.peer.send(frames);
        self.iopub.status(Some(&request.parent), "idle").await;
        if stops {
            let client = request.parent.session().to_string();
            let (aborted, kept) = std::mem::take(&mut self.queue)
                .into_iter()
                .partition(|r| executes(r) && r.parent.session() == client);
            self.queue = kept;
            for r in Vec::from(aborted) {
                self.waiting -= r.size;
                self.respond(&r, "execute_reply", &json!({ "status": "aborted" })).await;
            }
        }
        self.next().await;
    }
}

fn executes(r: &Request) -> bool {
    r.parent.kind() == "execute_request"
}

/// The text of a request and the byte at which its cursor stands.
fn place(r: &Request) -> (&str, usize) {
    let code = code(r);
    let at = r.content["cursor_pos"].as_u64().unwrap_or(u64::MAX);
    (code, assist::byte(code, at))
}

/// The program text of a request.
fn code(r: &Request) -> &str {
    r.content["code"].as_str().unwrap_or_default()
}
