//! Output for everyone: one task owns the publishing socket and keeps listening to it.
//!
//! Invariant: what was published first arrives first; pieces of a stream are put together within [`HOLD`]; a subscriber
//! that stops reading costs the others at most [`PATIENCE`] once, and is cut off when too much waits for it.

use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use serde_json::{Value as Json, json};
use tokio::sync::mpsc;
use tokio::time::Instant;

use crate::wire::{Parent, Writer};
use crate::zmtp::{Incoming, Peer, Socket};

/// How long text of a stream waits for more.
const HOLD: Duration = Duration::from_millis(20);
/// Bytes of text put into one message.
const CHUNK: usize = 256 << 10;
/// Bytes waiting for one subscriber at which output waits for it.
const BEHIND: usize = 8 << 20;
/// How long output waits for a subscriber that does not read.
const PATIENCE: Duration = Duration::from_millis(250);
/// How long output waits for one that reads slowly, at each message.
const SLOW: Duration = Duration::from_secs(1);
/// Outputs on their way from a cell.
const PIPE: usize = 1024;

/// Something to publish.
#[derive(Debug)]
pub struct Output {
    /// The request that it answers.
    pub parent: Option<Arc<Parent>>,
    /// What it is.
    pub what: What,
}

/// Kinds of output.
#[derive(Debug)]
pub enum What {
    /// Text of `stdout` or `stderr`.
    Stream(&'static str, String),
    /// Any other message, with metadata.
    Message(&'static str, Json, Json),
}

/// The way in, for everyone who has something to publish.
#[derive(Clone)]
pub struct Iopub {
    pipe: mpsc::Sender<Output>,
}

impl Iopub {
    /// Starts the task that owns the socket.
    pub fn start(socket: Socket, writer: Writer) -> Iopub {
        let (pipe, outputs) = mpsc::channel(PIPE);
        tokio::spawn(run(socket, writer, outputs));
        Iopub { pipe }
    }
    /// Publishes; waits while the pipe is full.
    pub async fn publish(&self, parent: Option<&Arc<Parent>>, kind: &'static str, content: Json) {
        let what = What::Message(kind, json!({}), content);
        let parent = parent.cloned();
        let _ = self.pipe.send(Output { parent, what }).await;
    }
    /// `busy`, `idle`, `starting`.
    pub async fn status(&self, parent: Option<&Arc<Parent>>, state: &str) {
        self.publish(parent, "status", json!({ "execution_state": state }))
            .await;
    }
    /// Publishes from a thread outside the sockets' runtime.
    pub fn publish_blocking(&self, parent: &Arc<Parent>, what: What) {
        let parent = Some(parent.clone());
        let _ = self.pipe.blocking_send(Output { parent, what });
    }
}

struct Subscriber {
    peer: Peer,
    topics: Vec<Bytes>,
    /// Did it stop reading?
    stuck: bool,
}

/// Text that waits for more.
struct Pending {
    parent: Option<Arc<Parent>>,
    name: &'static str,
    text: String,
    until: Instant,
}

struct Publisher {
    writer: Writer,
    subscribers: Vec<Subscriber>,
    pending: Option<Pending>,
}

async fn run(mut socket: Socket, writer: Writer, mut outputs: mpsc::Receiver<Output>) {
    let mut publisher = Publisher {
        writer,
        subscribers: vec![],
        pending: None,
    };
    loop {
        let until = publisher.pending.as_ref().map(|p| p.until);
        let due = async {
            match until {
                Some(t) => tokio::time::sleep_until(t).await,
                None => std::future::pending().await,
            }
        };
        tokio::select! {
            biased;
            Some(event) = socket.next() => publisher.heard(event),
            () = due => publisher.flush().await,
            output = outputs.recv() => match output {
                Some(output) => publisher.take(output).await,
                None => return publisher.flush().await,
            },
        }
    }
}

impl Publisher {
    fn heard(&mut self, event: Incoming) {
        match event {
            Incoming::Joined(peer) => self.subscribers.push(Subscriber {
                peer,
                topics: vec![],
                stuck: false,
            }),
            Incoming::Left(peer) => self.subscribers.retain(|s| s.peer != peer),
            Incoming::Message(peer, frames) => {
                let ([frame], Some(s)) = (&frames[..], self.subscribers.iter_mut().find(|s| s.peer == peer)) else {
                    return;
                };
                match frame.first() {
                    // Nobody needs many; someone who asks for ever more is not one of us.
                    Some(1) if s.topics.len() < 64 && frame.len() < 1024 => {
                        let topic = frame.slice(1..);
                        s.topics.push(topic.clone());
                        let name = String::from_utf8_lossy(&topic);
                        let content = json!({ "subscription": name });
                        let welcome = self
                            .writer
                            .publish(topic.clone(), "iopub_welcome", None, &json!({}), &content);
                        s.peer.send(welcome);
                    }
                    Some(0) => {
                        if let Some(k) = s.topics.iter().position(|t| t == &frame[1..]) {
                            s.topics.remove(k);
                        }
                    }
                    _ => {}
                }
            }
        }
    }

    async fn take(&mut self, output: Output) {
        let Output { parent, what } = output;
        match what {
            What::Stream(name, text) => {
                let joins = |p: &Pending| p.name == name && same(p.parent.as_ref(), parent.as_ref());
                match &mut self.pending {
                    Some(p) if joins(p) => p.text.push_str(&text),
                    _ => {
                        self.flush().await;
                        let until = Instant::now() + HOLD;
                        self.pending = Some(Pending {
                            parent,
                            name,
                            text,
                            until,
                        });
                    }
                }
                if self.pending.as_ref().is_some_and(|p| p.text.len() >= CHUNK) {
                    self.flush().await;
                }
            }
            What::Message(kind, metadata, content) => {
                self.flush().await;
                self.send(kind, parent.as_deref(), &metadata, &content).await;
            }
        }
    }

    async fn flush(&mut self) {
        if let Some(p) = self.pending.take() {
            let content = json!({ "name": p.name, "text": p.text });
            self.send("stream", p.parent.as_deref(), &json!({}), &content).await;
        }
    }

    async fn send(&mut self, kind: &str, parent: Option<&Parent>, metadata: &Json, content: &Json) {
        if self.subscribers.is_empty() {
            return;
        }
        let topic = Bytes::copy_from_slice(kind.as_bytes());
        let frames = self.writer.publish(topic.clone(), kind, parent, metadata, content);
        for s in &mut self.subscribers {
            if !s.topics.iter().any(|t| topic.starts_with(t)) {
                continue;
            }
            s.peer.send(frames.clone());
            s.stuck &= s.peer.waiting() > BEHIND;
            let begin = Instant::now();
            while !s.stuck && s.peer.waiting() > BEHIND {
                let read = tokio::time::timeout(PATIENCE, s.peer.drained()).await.is_ok();
                s.stuck = !read && s.peer.waiting() > BEHIND || begin.elapsed() > SLOW;
            }
        }
    }
}

fn same(a: Option<&Arc<Parent>>, b: Option<&Arc<Parent>>) -> bool {
    match (a, b) {
        (Some(a), Some(b)) => Arc::ptr_eq(a, b),
        (a, b) => a.is_none() && b.is_none(),
    }
}
