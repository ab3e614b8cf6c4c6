//! The serving half of ZMTP 3.0 over TCP and local sockets: what a kernel needs of ROUTER, XPUB and REP, no more.
//!
//! Invariant: whatever a peer sends, the memory it costs is bounded before anything is authenticated, and one peer's
//! silence never holds up another: each connection reads and writes in tasks of its own.
//! Source: RFC 23/ZMTP 3.0 and RFC 28/REQREP (ZeroMQ project).

use std::io;
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::time::Duration;

use bytes::{BufMut, Bytes, BytesMut};
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt, BufReader};
use tokio::net::TcpListener;
use tokio::sync::{Notify, mpsc};

/// Parts of one message.
pub type Frames = Vec<Bytes>;

/// Bytes that one message may have; the parts of more are not read.
pub const MESSAGE_LIMIT: usize = 64 << 20;
/// Parts that one message may have.
const PARTS_LIMIT: usize = 1024;
/// Bytes of a greeting's answer before a peer has shown that it speaks the protocol.
const HANDSHAKE_LIMIT: usize = 8 << 10;
/// Time for the handshake.
const HANDSHAKE: Duration = Duration::from_secs(10);
/// Bytes that may wait for a peer that does not read; one with more waiting is cut off.
const WAITING_LIMIT: usize = 64 << 20;
/// Messages that may wait to be taken up, over all peers of a socket.
const INCOMING: usize = 256;
/// Connections that a socket may have at once.
const PEERS: usize = 512;

const MORE: u8 = 1;
const LONG: u8 = 2;
const COMMAND: u8 = 4;

/// What a socket is to its peers.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Role {
    /// Takes requests of many and answers each.
    Router,
    /// Publishes, and hears of subscriptions.
    Xpub,
    /// Answers in turn.
    Rep,
}

impl Role {
    fn name(self) -> &'static [u8] {
        match self {
            Role::Router => b"ROUTER",
            Role::Xpub => b"XPUB",
            Role::Rep => b"REP",
        }
    }
    fn takes(self, other: &[u8]) -> bool {
        match self {
            Role::Router => matches!(other, b"DEALER" | b"REQ" | b"ROUTER"),
            Role::Xpub => matches!(other, b"SUB" | b"XSUB"),
            Role::Rep => matches!(other, b"REQ" | b"DEALER"),
        }
    }
}

/// Where a socket listens.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Address {
    /// Host and port.
    Tcp(String, u16),
    /// Path of a local socket.
    Ipc(PathBuf),
}

/// Something that happened at a socket.
#[derive(Debug)]
pub enum Incoming {
    /// A peer is connected.
    Joined(Peer),
    /// A message.
    Message(Peer, Frames),
    /// A peer is gone.
    Left(Peer),
}

/// A connected peer, as its messages are answered.
#[derive(Clone, Debug)]
pub struct Peer {
    inner: Arc<Inner>,
}

#[derive(Debug)]
struct Inner {
    id: usize,
    queue: mpsc::UnboundedSender<Frames>,
    waiting: AtomicUsize,
    cut: AtomicBool,
    wake: Notify,
    drained: Notify,
}

impl PartialEq for Peer {
    fn eq(&self, other: &Peer) -> bool {
        self.inner.id == other.inner.id
    }
}

impl Peer {
    /// Queues a message. A peer that left more than [`WAITING_LIMIT`] bytes unread is cut off; then the answer is no.
    pub fn send(&self, frames: Frames) -> bool {
        if self.inner.cut.load(Ordering::Acquire) {
            return false;
        }
        let size = size(&frames);
        let waiting = self.inner.waiting.fetch_add(size, Ordering::AcqRel);
        // One message larger than the limit still goes to a peer that has nothing waiting.
        if waiting > 0 && waiting + size > WAITING_LIMIT {
            self.cut();
            return false;
        }
        self.inner.queue.send(frames).is_ok()
    }
    /// Bytes that wait to be read by the peer.
    pub fn waiting(&self) -> usize {
        self.inner.waiting.load(Ordering::Acquire)
    }
    /// Waits until the peer has read something.
    pub async fn drained(&self) {
        self.inner.drained.notified().await;
    }
    /// Ends the connection.
    pub fn cut(&self) {
        self.inner.cut.store(true, Ordering::Release);
        self.inner.wake.notify_waiters();
        // A task that is not waiting yet finds the permit.
        self.inner.wake.notify_one();
        self.inner.drained.notify_waiters();
    }
}

fn size(frames: &[Bytes]) -> usize {
    // A part costs its head and its place in the queue as well.
    frames.iter().map(|f| f.len() + 64).sum()
}

/// A listening socket; what arrives is taken from it in order.
pub struct Socket {
    incoming: mpsc::Receiver<Incoming>,
}

impl Socket {
    /// Listens. Errors: the address is taken, or not to be had.
    pub async fn bind(role: Role, address: &Address) -> io::Result<Socket> {
        let (to, incoming) = mpsc::channel(INCOMING);
        let gate = Arc::new(Gate::default());
        match address {
            Address::Tcp(host, port) => {
                let listener = TcpListener::bind((host.as_str(), *port)).await?;
                tokio::spawn(async move {
                    loop {
                        match listener.accept().await {
                            Ok((stream, _)) => {
                                let _ = stream.set_nodelay(true);
                                gate.admit(role, stream, &to);
                            }
                            // Out of file handles: those that are open may be closed meanwhile.
                            Err(_) => tokio::time::sleep(Duration::from_millis(50)).await,
                        }
                    }
                });
            }
            #[cfg(unix)]
            Address::Ipc(path) => {
                let listener = tokio::net::UnixListener::bind(path)?;
                tokio::spawn(async move {
                    loop {
                        match listener.accept().await {
                            Ok((stream, _)) => gate.admit(role, stream, &to),
                            Err(_) => tokio::time::sleep(Duration::from_millis(50)).await,
                        }
                    }
                });
            }
            #[cfg(not(unix))]
            Address::Ipc(_) => return Err(io::Error::new(io::ErrorKind::Unsupported, "no local sockets here")),
        }
        Ok(Socket { incoming })
    }
    /// The next thing that happens; never nothing, as the listener keeps the line open.
    pub async fn next(&mut self) -> Option<Incoming> {
        self.incoming.recv().await
    }
}

/// Counts connections and names them.
#[derive(Default)]
struct Gate {
    open: Arc<AtomicUsize>,
    names: AtomicUsize,
}

impl Gate {
    fn admit<S>(&self, role: Role, stream: S, to: &mpsc::Sender<Incoming>)
    where
        S: AsyncRead + AsyncWrite + Send + 'static,
    {
        if self.open.fetch_add(1, Ordering::AcqRel) >= PEERS {
            self.open.fetch_sub(1, Ordering::AcqRel);
            return;
        }
        let id = self.names.fetch_add(1, Ordering::Relaxed);
        let (to, open) = (to.clone(), self.open.clone());
        tokio::spawn(async move {
            serve(role, stream, id, to).await;
            open.fetch_sub(1, Ordering::AcqRel);
        });
    }
}

/// One connection, from greeting to end.
async fn serve<S>(role: Role, stream: S, id: usize, to: mpsc::Sender<Incoming>)
where
    S: AsyncRead + AsyncWrite + Send + 'static,
{
    let (read, mut write) = tokio::io::split(stream);
    let mut read = BufReader::new(read);
    match tokio::time::timeout(HANDSHAKE, greet(role, &mut read, &mut write)).await {
        Ok(Ok(())) => {}
        // Not one of us.
        Ok(Err(_)) | Err(_) => return,
    }
    let (queue, outgoing) = mpsc::unbounded_channel();
    let peer = Peer {
        inner: Arc::new(Inner {
            id,
            queue,
            waiting: AtomicUsize::new(0),
            cut: AtomicBool::new(false),
            wake: Notify::new(),
            drained: Notify::new(),
        }),
    };
    if to.send(Incoming::Joined(peer.clone())).await.is_err() {
        return;
    }
    tokio::select! {
        () = writing(&peer, outgoing, write) => {}
        () = reading(&peer, &mut read, &to) => {}
        () = peer.inner.wake.notified() => {}
    }
    peer.cut();
    let _ = to.send(Incoming::Left(peer)).await;
}

async fn writing<W: AsyncWrite + Unpin>(peer: &Peer, mut queue: mpsc::UnboundedReceiver<Frames>, mut to: W) {
    let mut buffer = BytesMut::new();
    while let Some(first) = queue.recv().await {
        let mut taken = size(&first);
        encode(&first, &mut buffer);
        while buffer.len() < 64 << 10 {
            let Ok(more) = queue.try_recv() else { break };
            taken += size(&more);
            encode(&more, &mut buffer);
        }
        if to.write_all(&buffer).await.is_err() {
            return;
        }
        buffer.clear();
        peer.inner.waiting.fetch_sub(taken, Ordering::AcqRel);
        peer.inner.drained.notify_waiters();
    }
}

async fn reading<R: AsyncRead + Unpin>(peer: &Peer, from: &mut R, to: &mpsc::Sender<Incoming>) {
    while let Ok(frames) = message(from).await {
        if to.send(Incoming::Message(peer.clone(), frames)).await.is_err() {
            return;
        }
    }
}

/// The next message; commands between messages mean nothing here.
async fn message<R: AsyncRead + Unpin>(from: &mut R) -> io::Result<Frames> {
    let mut frames = Vec::new();
    let mut left = MESSAGE_LIMIT;
    loop {
        let (flags, body) = frame(from, left).await?;
        if flags & COMMAND != 0 {
            continue;
        }
        left -= body.len();
        frames.push(body);
        if flags & MORE == 0 {
            return Ok(frames);
        }
        if frames.len() == PARTS_LIMIT {
            return Err(refused("too many parts"));
        }
    }
}

async fn frame<R: AsyncRead + Unpin>(from: &mut R, limit: usize) -> io::Result<(u8, Bytes)> {
    let flags = from.read_u8().await?;
    if flags & !(MORE | LONG | COMMAND) != 0 {
        return Err(refused("reserved bits"));
    }
    let length = match flags & LONG {
        0 => u64::from(from.read_u8().await?),
        _ => from.read_u64().await?,
    };
    if length > limit as u64 {
        return Err(refused("too long"));
    }
    // Memory is taken as bytes arrive, not as they are announced.
    let mut body = Vec::with_capacity(length.min(64 << 10) as usize);
    let mut rest = from.take(length);
    rest.read_to_end(&mut body).await?;
    match body.len() as u64 == length {
        true => Ok((flags, body.into())),
        false => Err(io::ErrorKind::UnexpectedEof.into()),
    }
}

fn refused(why: &'static str) -> io::Error {
    io::Error::new(io::ErrorKind::InvalidData, why)
}

fn encode(frames: &[Bytes], to: &mut BytesMut) {
    for (k, f) in frames.iter().enumerate() {
        let more = if k + 1 < frames.len() { MORE } else { 0 };
        match u8::try_from(f.len()) {
            Ok(n) => {
                to.put_u8(more);
                to.put_u8(n);
            }
            Err(_) => {
                to.put_u8(more | LONG);
                to.put_u64(f.len() as u64);
            }
        }
        to.extend_from_slice(f);
    }
}

/// Greeting and READY of both sides, without encryption (`NULL`): messages are signed one level up.
async fn greet<R, W>(role: Role, read: &mut R, write: &mut W) -> io::Result<()>
where
    R: AsyncRead + Unpin,
    W: AsyncWrite + Unpin,
{
    let mut ours = [0u8; 64];
    ours[0] = 0xff;
    ours[9] = 0x7f;
    ours[10] = 3;
    ours[12..16].copy_from_slice(b"NULL");
    write.write_all(&ours).await?;
    let mut theirs = [0u8; 64];
    // An older peer sends less than 64 bytes and waits; its first ones tell.
    read.read_exact(&mut theirs[..11]).await?;
    if theirs[0] != 0xff || theirs[9] & 1 == 0 || theirs[10] < 3 {
        return Err(refused("no greeting"));
    }
    read.read_exact(&mut theirs[11..]).await?;
    if &theirs[12..17] != b"NULL\0" {
        return Err(refused("another mechanism"));
    }
    let mut ready = BytesMut::new();
    ready.put_slice(b"\x05READY");
    property(&mut ready, b"Socket-Type", role.name());
    property(&mut ready, b"Identity", b"");
    let mut out = BytesMut::new();
    out.put_u8(COMMAND);
    out.put_u8(ready.len() as u8);
    out.extend_from_slice(&ready);
    write.write_all(&out).await?;

    let (flags, body) = frame(read, HANDSHAKE_LIMIT).await?;
    let kind = body.strip_prefix(b"\x05READY").and_then(socket_type);
    match kind {
        Some(kind) if flags & COMMAND != 0 && role.takes(kind) => Ok(()),
        _ => Err(refused("no fitting peer")),
    }
}

fn property(to: &mut BytesMut, name: &[u8], value: &[u8]) {
    to.put_u8(name.len() as u8);
    to.put_slice(name);
    to.put_u32(value.len() as u32);
    to.put_slice(value);
}

/// The value of `Socket-Type` in a list of properties.
fn socket_type(mut list: &[u8]) -> Option<&[u8]> {
    loop {
        let (&n, rest) = list.split_first()?;
        let (name, rest) = rest.split_at_checked(usize::from(n))?;
        let (length, rest) = rest.split_first_chunk::<4>()?;
        let (value, rest) = rest.split_at_checked(u32::from_be_bytes(*length) as usize)?;
        if name.eq_ignore_ascii_case(b"socket-type") {
            return Some(value);
        }
        list = rest;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn properties_are_read_with_care() {
        let mut list = BytesMut::new();
        property(&mut list, b"Identity", b"me");
        property(&mut list, b"Socket-Type", b"DEALER");
        assert_eq!(socket_type(&list), Some(&b"DEALER"[..]));
        for cut in 0..list.len() {
            assert_eq!(socket_type(&list[..cut]), None);
        }
        assert_eq!(socket_type(b"\x01a\xff\xff\xff\xff"), None);
    }
}
