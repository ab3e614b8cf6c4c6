//! The command line: `ravine run | check | inspect | fmt | explain | kernel`.
//!
//! Invariant: whatever happens ends in one of the exit codes of `report::exit`; a panic becomes R0901.
#![allow(
    clippy::disallowed_methods,
    reason = "the command line reads the environment and starts the kernel"
)]

mod args;
mod dispatch;
mod explain;
mod fmt;
mod guard;
mod out;
mod repl;

use std::process::ExitCode;

use clap::Parser;
use clap::error::ErrorKind;

use crate::report::{exit, markdown};

use args::{Cli, Colour, Command};
use out::Out;

/// Runs the command line of this process.
pub fn main() -> ExitCode {
    let cli = match Cli::try_parse() {
        Ok(cli) => cli,
        Err(e) => return ExitCode::from(bad_command_line(&e)),
    };
    let out = Out::new(cli.color);
    ExitCode::from(match cli.command {
        Command::Explain { code } => explain_code(code.as_deref(), &out),
        Command::Kernel { args } => kernel(&args, &out),
        command => guard::run(command, out),
    })
}

/// Help and versions go to standard output and are no error; anything else is one.
fn bad_command_line(e: &clap::Error) -> u8 {
    let out = Out::new(Colour::Auto);
    let text = e.render();
    let paint = |on: bool| if on { text.ansi().to_string() } else { text.to_string() };
    match e.kind() {
        ErrorKind::DisplayHelp | ErrorKind::DisplayVersion => {
            out.result(&paint(out.results.on));
            exit::SUCCESS
        }
        kind => {
            out.message(&paint(out.messages.on));
            let program = std::env::args().nth(1).filter(|a| a.ends_with(".opt"));
            if let (ErrorKind::InvalidSubcommand, Some(file)) = (kind, program) {
                out.message(&format!("\nTo run a program: ravine run {file}\n"));
            }
            exit::USAGE
        }
    }
}

fn explain_code(code: Option<&str>, out: &Out) -> u8 {
    match code.map(explain::find) {
        None => out.result(&explain::list()),
        Some(Ok(code)) => out.result(&markdown::page(code.page(), out.results)),
        Some(Err(sentence)) => {
            out.message(&format!("{}: {sentence}\n", out.messages.bad("error")));
            return exit::USAGE;
        }
    }
    exit::SUCCESS
}

/// Hands over to `ravine-kernel`, beside this binary or on the path.
fn kernel(args: &[std::ffi::OsString], out: &Out) -> u8 {
    let name = format!("ravine-kernel{}", std::env::consts::EXE_SUFFIX);
    let beside = std::env::current_exe().ok().and_then(|p| Some(p.parent()?.join(&name)));
    let path = std::env::var_os("PATH").unwrap_or_default();
    let found = beside
        .into_iter()
        .chain(std::env::split_paths(&path).map(|p| p.join(&name)))
        .find(|p| p.is_file());
    let Some(program) = found else {
        out.message(&format!(
            "{}: `{name}` is neither beside `ravine` nor on the path\n  build it with: cargo build --release -p ravine-kernel\n",
            out.messages.bad("error")
        ));
        return exit::USAGE;
    };
    let mut command = std::process::Command::new(&program);
    command.args(args);
    let failed = |e: std::io::Error| {
        let mark = out.messages.bad("error");
        out.message(&format!("{mark}: `{}` cannot be started: {e}\n", program.display()));
        exit::USAGE
    };
    // Becoming the kernel leaves nothing between it and what started it: signals reach it, and it sees its parent end.
    #[cfg(unix)]
    return failed(std::os::unix::process::CommandExt::exec(&mut command));
    #[cfg(not(unix))]
    match command.status() {
        Ok(status) => status
            .code()
            .and_then(|c| u8::try_from(c).ok())
            .unwrap_or(exit::INTERRUPTED),
        Err(e) => failed(e),
    }
}
