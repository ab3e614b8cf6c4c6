//! From a command to the session and back.
//!
//! Invariant: the only caller of `Session` here; results go to standard output, messages to standard error, and with
//! `--json` one object holds both.

use std::sync::Arc;
use std::sync::atomic::AtomicBool;

use super::args::Command;
use super::out::Out;
use crate::base::{Code, Diagnostic, SourceMap};
use crate::report::{diagnostic, exit};

/// Runs a command; the exit code.
pub fn dispatch(command: Command, out: Out, interrupt: Arc<AtomicBool>) -> u8 {
    let _ = (command, interrupt);
    let d = Diagnostic::new(Code::NotBuiltYet, "programs cannot run yet");
    out.message(&diagnostic::plain(&[d], &SourceMap::default()));
    exit::PROGRAM
}
