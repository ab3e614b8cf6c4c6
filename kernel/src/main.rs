//! The Jupyter kernel: serves notebooks from the same `Session` as the command line.
//!
//! Invariant: knows `session` and `base` only; everything `ravine run` does works in cells through that façade.
#![allow(
    clippy::disallowed_methods,
    reason = "the kernel is a program of its own: it reads its command line, its environment and the clock"
)]

mod answers;
mod assist;
mod connection;
mod control;
mod display;
mod evaluate;
mod history;
mod install;
mod iopub;
mod prompt;
mod shell;
mod state;
mod wire;
mod zmtp;

use std::collections::{BTreeMap, VecDeque};
use std::io::Write;
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::sync::{Arc, OnceLock};
use std::time::{Duration, Instant};

use clap::{Parser, Subcommand};
use ravine::session::{Settings, files};

use connection::Connection;
use control::Control;
use history::History;
use install::{Place, Which};
use iopub::Iopub;
use shell::Shell;
use state::State;
use wire::{Signer, Writer};
use zmtp::{Incoming, Role, Socket};

/// How often the process that started the kernel is looked for.
const PARENT: Duration = Duration::from_millis(500);
/// Time for the last messages to leave.
const FAREWELL: Duration = Duration::from_millis(50);

/// The Jupyter kernel of Ravine.
#[derive(Debug, Parser)]
#[command(
    name = "ravine-kernel",
    bin_name = "ravine kernel",
    version,
    arg_required_else_help = true
)]
struct Cli {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Make the kernel known to Jupyter
    Install {
        /// Where, and by which name.
        #[command(flatten)]
        which: Which,
    },
    /// Remove it again
    Uninstall {
        /// Where, and by which name.
        #[command(flatten)]
        which: Which,
    },
    /// Show where it is installed
    List,
    /// Serve one front end; Jupyter calls this
    Start {
        /// The connection file
        file: PathBuf,
    },
}

fn main() -> ExitCode {
    let done = match Cli::parse().command {
        Command::Install { which } => Place::of(&which).and_then(|p| install::install(&p)),
        Command::Uninstall { which } => Place::of(&which).and_then(|p| install::uninstall(&p)),
        Command::List => install::list(),
        Command::Start { file } => start(&file).map(|()| String::new()),
    };
    match done {
        Ok(text) => {
            let _ = std::io::stdout().write_all(text.as_bytes());
            ExitCode::SUCCESS
        }
        Err(sentence) => {
            let _ = writeln!(std::io::stderr(), "error: {sentence}");
            ExitCode::FAILURE
        }
    }
}

/// Seconds since the first call.
fn now() -> f64 {
    static START: OnceLock<Instant> = OnceLock::new();
    START.get_or_init(Instant::now).elapsed().as_secs_f64()
}

fn start(file: &Path) -> Result<(), String> {
    let connection = Connection::read(file)?;
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
    let runtime = runtime.map_err(|e| format!("the sockets cannot be served: {e}"))?;
    runtime.block_on(serve(&connection))
}

/// Serves until the front end, a signal or the parent's end says otherwise.
async fn serve(connection: &Connection) -> Result<(), String> {
    let bind = async |role, address: &zmtp::Address| {
        let bound = Socket::bind(role, address).await;
        bound.map_err(|e| format!("{address:?} cannot be opened: {e}"))
    };
    let shell = bind(Role::Router, &connection.shell).await?;
    let control = bind(Role::Router, &connection.control).await?;
    let stdin = bind(Role::Router, &connection.stdin).await?;
    let iopub = bind(Role::Xpub, &connection.iopub).await?;
    let heartbeat = bind(Role::Rep, &connection.heartbeat).await?;

    let signer = Signer::new(&connection.key);
    let writer = Writer::new(signer.clone());
    let iopub = Iopub::start(iopub, writer.clone());
    let state = Arc::new(State::default());
    let (jobs, todo) = std::sync::mpsc::channel();
    let (done, ended) = tokio::sync::mpsc::unbounded_channel();
    let settings = Settings {
        sets: BTreeMap::new(),
        threads: None,
        memory: files::default_budget(),
        verbose: false,
        // Jupyter starts a kernel in the notebook's folder.
        folder: PathBuf::new(),
        now,
    };
    let thread = evaluate::start(settings, state.interrupt.clone(), todo, iopub.clone(), done);
    thread.map_err(|e| format!("no thread can be started: {e}"))?;
    iopub.status(None, "starting").await;

    tokio::spawn(echo(heartbeat));
    tokio::spawn(ignore(stdin));
    tokio::spawn(parent(state.clone()));
    tokio::spawn(signals(state.clone()));
    let control_channel = Control {
        signer: signer.clone(),
        writer: writer.clone(),
        iopub: iopub.clone(),
        state: state.clone(),
    };
    tokio::spawn(control_channel.run(control));
    let shell_channel = Shell {
        signer,
        writer,
        iopub,
        state: state.clone(),
        jobs,
        history: History::default(),
        queue: VecDeque::new(),
        waiting: 0,
        began: tokio::time::Instant::now(),
        runs: 0,
        names: vec![],
        current: None,
    };
    tokio::spawn(shell_channel.run(shell, ended));
    state.ended().await;
    tokio::time::sleep(FAREWELL).await;
    Ok(())
}

/// The heartbeat: what comes goes back.
async fn echo(mut socket: Socket) {
    while let Some(event) = socket.next().await {
        if let Incoming::Message(peer, frames) = event {
            peer.send(frames);
        }
    }
}

/// Nothing here asks the user; front ends connect all the same.
async fn ignore(mut socket: Socket) {
    while socket.next().await.is_some() {}
}

/// Ends the kernel when the process that started it is gone: nobody is left to ask for it.
async fn parent(state: Arc<State>) {
    #[cfg(unix)]
    {
        let first = std::os::unix::process::parent_id();
        while std::os::unix::process::parent_id() == first {
            tokio::time::sleep(PARENT).await;
        }
        state.end();
    }
    #[cfg(not(unix))]
    let _ = (state, PARENT);
}

/// SIGINT interrupts the cell, SIGTERM ends the kernel.
async fn signals(state: Arc<State>) {
    #[cfg(unix)]
    {
        use tokio::signal::unix::{SignalKind, signal};
        let (Ok(mut int), Ok(mut term)) = (signal(SignalKind::interrupt()), signal(SignalKind::terminate())) else {
            return;
        };
        loop {
            tokio::select! {
                _ = int.recv() => state.stop(),
                _ = term.recv() => state.end(),
            }
        }
    }
    #[cfg(not(unix))]
    while tokio::signal::ctrl_c().await.is_ok() {
        state.stop();
    }
}
