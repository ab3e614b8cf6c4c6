//! A front end of our own: starts a kernel, speaks its protocol over an independent ZeroMQ (the crate `zeromq`), and
//! keeps what it hears in order.

use std::collections::VecDeque;
use std::path::PathBuf;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use bytes::Bytes;
use hmac::{Hmac, KeyInit, Mac};
use serde_json::{Value as Json, json};
use sha2::Sha256;
use zeromq::{DealerSocket, ReqSocket, Socket, SocketRecv, SocketSend, SubSocket, ZmqMessage};

/// Nothing here takes as long, however busy the machine is.
pub const PATIENCE: Duration = Duration::from_secs(60);

pub const KEY: &str = "a key of the tests";

/// A message as it came.
#[derive(Clone, Debug)]
pub struct Message {
    pub kind: String,
    pub parent: Json,
    pub content: Json,
}

impl Message {
    /// The request that it answers.
    pub fn parent_id(&self) -> &str {
        self.parent["msg_id"].as_str().unwrap_or_default()
    }
    pub fn state(&self) -> &str {
        self.content["execution_state"].as_str().unwrap_or_default()
    }
}

/// A running kernel, killed when it goes out of scope.
pub struct Kernel {
    pub child: Child,
    pub connection: Json,
    /// Where it runs; gone with it.
    _folder: tempfile::TempDir,
}

impl Drop for Kernel {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

pub fn program() -> PathBuf {
    PathBuf::from(env!("CARGO_BIN_EXE_ravine-kernel"))
}

/// Ports that are free now.
fn ports() -> Vec<u16> {
    let held: Vec<_> = (0..5)
        .map(|_| std::net::TcpListener::bind("127.0.0.1:0").unwrap())
        .collect();
    held.iter().map(|l| l.local_addr().unwrap().port()).collect()
}

/// A connection file's content for free ports.
pub fn connection() -> Json {
    let p = ports();
    json!({
        "shell_port": p[0], "iopub_port": p[1], "stdin_port": p[2], "control_port": p[3], "hb_port": p[4],
        "ip": "127.0.0.1", "key": KEY, "transport": "tcp", "signature_scheme": "hmac-sha256", "kernel_name": "ravine",
    })
}

impl Kernel {
    pub fn start() -> Kernel {
        Kernel::with(connection())
    }
    pub fn with(connection: Json) -> Kernel {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("connection.json");
        std::fs::write(&file, connection.to_string()).unwrap();
        let child = Command::new(program())
            .arg("start")
            .arg(&file)
            .current_dir(folder.path())
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()
            .unwrap();
        Kernel {
            child,
            connection,
            _folder: folder,
        }
    }
    /// Waits for the end of the process; its exit code.
    pub fn ended(&mut self) -> Option<i32> {
        let begin = Instant::now();
        loop {
            if let Some(status) = self.child.try_wait().unwrap() {
                return status.code();
            }
            assert!(begin.elapsed() < PATIENCE, "the kernel does not end");
            std::thread::sleep(Duration::from_millis(10));
        }
    }
    /// Bytes of memory that the process holds.
    pub fn memory(&self) -> u64 {
        let text = std::fs::read_to_string(format!("/proc/{}/status", self.child.id())).unwrap();
        let line = text.lines().find(|l| l.starts_with("VmRSS")).unwrap();
        line.split_whitespace().nth(1).unwrap().parse::<u64>().unwrap() * 1024
    }
}

/// The address of one of the kernel's sockets.
pub fn address(connection: &Json, port: &str) -> String {
    let ip = connection["ip"].as_str().unwrap();
    match connection["transport"].as_str() {
        Some("ipc") => format!("ipc://{ip}-{}", connection[port]),
        _ => format!("tcp://{ip}:{}", connection[port]),
    }
}

/// A front end that is connected.
pub struct Client {
    pub shell: DealerSocket,
    pub control: DealerSocket,
    pub iopub: SubSocket,
    pub heartbeat: ReqSocket,
    pub key: String,
    pub session: String,
    connection: Json,
    /// Heard, but not asked for yet.
    heard: VecDeque<Message>,
}

/// What a cell brought.
#[derive(Debug)]
pub struct Cell {
    pub reply: Json,
    /// Everything published for it, without the frame of `busy` and `idle`.
    pub outputs: Vec<Message>,
}

impl Cell {
    /// Kinds of the outputs, in order.
    pub fn kinds(&self) -> Vec<&str> {
        self.outputs.iter().map(|m| m.kind.as_str()).collect()
    }
    /// Text of a stream, put together.
    pub fn stream(&self, name: &str) -> String {
        let of = self
            .outputs
            .iter()
            .filter(|m| m.kind == "stream" && m.content["name"] == name);
        of.map(|m| m.content["text"].as_str().unwrap()).collect()
    }
    pub fn status(&self) -> &str {
        self.reply["status"].as_str().unwrap()
    }
    #[track_caller]
    pub fn ok(self) -> Cell {
        assert_eq!(self.status(), "ok", "{self:#?}");
        self
    }
}

impl Client {
    /// Connects, and waits until the subscription is confirmed.
    pub async fn connect(kernel: &Kernel) -> Client {
        let mut client = Client::quiet(&kernel.connection).await;
        client.iopub.subscribe("").await.unwrap();
        loop {
            let m = client.next_output().await;
            if m.kind == "iopub_welcome" {
                assert_eq!(m.content, json!({ "subscription": "" }));
                return client;
            }
        }
    }
    /// Connects without a subscription.
    pub async fn quiet(connection: &Json) -> Client {
        let mut client = Client {
            shell: DealerSocket::new(),
            control: DealerSocket::new(),
            iopub: SubSocket::new(),
            heartbeat: ReqSocket::new(),
            key: KEY.into(),
            session: uuid::Uuid::new_v4().to_string(),
            connection: connection.clone(),
            heard: VecDeque::new(),
        };
        let at = |port| address(connection, port);
        // The kernel is still opening its sockets.
        let begin = Instant::now();
        while client.heartbeat.connect(&at("hb_port")).await.is_err() {
            assert!(begin.elapsed() < PATIENCE, "the kernel does not start");
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
        client.shell.connect(&at("shell_port")).await.unwrap();
        client.control.connect(&at("control_port")).await.unwrap();
        client.iopub.connect(&at("iopub_port")).await.unwrap();
        client
    }
    pub fn connection(&self) -> &Json {
        &self.connection
    }

    /// The parts of a request, and its id.
    pub fn request(&self, kind: &str, metadata: Json, content: Json) -> (Vec<Bytes>, String) {
        let id = uuid::Uuid::new_v4().to_string();
        let header = json!({
            "msg_id": id, "session": self.session, "username": "tester", "date": "2026-11-26T00:00:00Z",
            "msg_type": kind, "version": "5.5",
        });
        let texts = [
            header.to_string(),
            "{}".into(),
            metadata.to_string(),
            content.to_string(),
        ];
        (signed(&self.key, &texts.map(Bytes::from)), id)
    }
    /// Sends a request on the shell channel; its id.
    pub async fn ask(&mut self, kind: &str, content: Json) -> String {
        let (frames, id) = self.request(kind, json!({}), content);
        self.shell.send(message(frames)).await.unwrap();
        id
    }
    /// The next answer on the shell channel.
    pub async fn answer(&mut self) -> Message {
        let m = tokio::time::timeout(PATIENCE, self.shell.recv())
            .await
            .expect("an answer")
            .unwrap();
        read(&m, &self.key)
    }
    /// Asks on the control channel; the answer.
    pub async fn command(&mut self, kind: &str, content: Json) -> Message {
        let (frames, id) = self.request(kind, json!({}), content);
        self.control.send(message(frames)).await.unwrap();
        let m = tokio::time::timeout(PATIENCE, self.control.recv())
            .await
            .expect("an answer")
            .unwrap();
        let m = read(&m, &self.key);
        assert_eq!(m.parent_id(), id);
        m
    }
    /// The next thing published.
    pub async fn next_output(&mut self) -> Message {
        if let Some(m) = self.heard.pop_front() {
            return m;
        }
        let m = tokio::time::timeout(PATIENCE, self.iopub.recv())
            .await
            .expect("an output")
            .unwrap();
        read(&m, &self.key)
    }
    /// Everything published for a request, from `busy` to `idle`; the rest is kept.
    pub async fn outputs(&mut self, id: &str) -> Vec<Message> {
        let (mut mine, mut others) = (vec![], VecDeque::new());
        loop {
            let m = self.next_output().await;
            if m.parent_id() != id {
                others.push_back(m);
                continue;
            }
            let last = m.kind == "status" && m.state() == "idle";
            mine.push(m);
            if last {
                break;
            }
        }
        self.heard.extend(others);
        // In its own order, what a request brings begins with `busy`.
        let first = mine.remove(0);
        assert_eq!((first.kind.as_str(), first.state()), ("status", "busy"));
        mine.pop();
        mine
    }
    /// Runs a cell to its end.
    pub async fn run(&mut self, code: &str) -> Cell {
        self.execute(json!({ "code": code })).await
    }
    /// Runs a cell with all its options.
    pub async fn execute(&mut self, content: Json) -> Cell {
        let id = self.ask("execute_request", content).await;
        let reply = self.answer().await;
        assert_eq!((reply.kind.as_str(), reply.parent_id()), ("execute_reply", id.as_str()));
        let outputs = self.outputs(&id).await;
        Cell {
            reply: reply.content,
            outputs,
        }
    }
    /// Asks something that is answered at once; the content of the answer.
    pub async fn question(&mut self, kind: &str, content: Json) -> Json {
        let id = self.ask(&format!("{kind}_request"), content).await;
        let reply = self.answer().await;
        assert_eq!(
            (reply.kind, reply.parent["msg_id"].as_str()),
            (format!("{kind}_reply"), Some(id.as_str()))
        );
        let between = self.outputs(&id).await;
        assert!(between.iter().all(|m| m.kind == "status"), "{between:?}");
        reply.content
    }
    /// Fails if something was heard that nobody asked for.
    #[track_caller]
    pub fn nothing_left(&self) {
        assert!(self.heard.is_empty(), "{:#?}", self.heard);
    }
}

/// Delimiter, signature and texts.
pub fn signed(key: &str, texts: &[Bytes]) -> Vec<Bytes> {
    let mut mac = Hmac::<Sha256>::new_from_slice(key.as_bytes()).unwrap();
    texts.iter().for_each(|t| mac.update(t));
    let hex: String = mac.finalize().into_bytes().iter().map(|b| format!("{b:02x}")).collect();
    let mut frames = vec![Bytes::from_static(b"<IDS|MSG>"), hex.into()];
    frames.extend(texts.iter().cloned());
    frames
}

pub fn message(frames: Vec<Bytes>) -> ZmqMessage {
    ZmqMessage::try_from(frames).unwrap()
}

/// Reads a message and checks all that the protocol asks of it.
fn read(m: &ZmqMessage, key: &str) -> Message {
    let frames: Vec<Bytes> = m.iter().cloned().collect();
    let at = frames.iter().position(|f| &f[..] == b"<IDS|MSG>").expect("a delimiter");
    let texts = &frames[at + 2..];
    assert_eq!(texts.len(), 4);
    assert_eq!(signed(key, texts)[1], frames[at + 1], "the signature");
    let json = |k: usize| serde_json::from_slice::<Json>(&texts[k]).expect("JSON");
    let header = json(0);
    for field in ["msg_id", "session", "username", "date", "msg_type", "version"] {
        assert!(header[field].is_string(), "{field} of {header}");
    }
    Message {
        kind: header["msg_type"].as_str().unwrap().into(),
        parent: json(1),
        content: json(3),
    }
}
