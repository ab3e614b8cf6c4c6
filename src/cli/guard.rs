//! Runs the work on a thread of its own, with a deep stack, so that a panic ends in a message and a code.
//!
//! Invariant: no panic reaches the user as one; the first interrupt ends the run in order, the second at once
//! (but no interrupt ends a prompt).

use std::panic::PanicHookInfo;
use std::sync::atomic::AtomicBool;
use std::sync::{Arc, Mutex};

use super::args::Command;
use super::dispatch::dispatch;
use super::out::Out;
use crate::base::{Code, Diagnostic, SourceMap};
use crate::report::{Report, diagnostic, exit, json};

/// Stack of the working thread: expressions nest, and recursion over them is the readable way.
const STACK: usize = 256 << 20;

/// Runs a command; the exit code.
pub fn run(command: Command, out: Out) -> u8 {
    let as_json = match &command {
        Command::Run(a) => a.json,
        Command::Check(a) => a.json,
        Command::Inspect(a) => a.json,
        _ => false,
    };
    let interrupt = Arc::new(AtomicBool::new(false));
    // Without a signal handler the system's own way to end a process stays.
    let signal = signal_hook::consts::SIGINT;
    let code = i32::from(exit::INTERRUPTED);
    // A prompt outlives any number of interrupts.
    if !matches!(command, Command::Repl(_)) {
        let _ = signal_hook::flag::register_conditional_shutdown(signal, code, interrupt.clone());
    }
    let _ = signal_hook::flag::register(signal, interrupt.clone());
    match protect(move || dispatch(command, out, interrupt)) {
        Ok(code) => code,
        Err(what) => {
            show(internal(&what), as_json, &out);
            exit::INTERNAL
        }
    }
}

/// Runs work on a thread with a deep stack; a sentence if it panics, or if there can be no thread.
fn protect(work: impl FnOnce() -> u8 + Send + 'static) -> Result<u8, String> {
    let what: Arc<Mutex<Option<String>>> = Arc::default();
    let seen = what.clone();
    let backtrace = std::env::var_os("RUST_BACKTRACE").is_some_and(|v| v != "0");
    let before = std::panic::take_hook();
    std::panic::set_hook(Box::new(move |info| {
        if let Ok(mut first) = seen.lock() {
            first.get_or_insert_with(|| sentence(info));
        }
        if backtrace {
            before(info);
        }
    }));
    let worker = std::thread::Builder::new()
        .name("ravine".into())
        .stack_size(STACK)
        .spawn(work);
    let ended = worker.map(std::thread::JoinHandle::join);
    drop(std::panic::take_hook());
    match ended {
        Ok(Ok(code)) => Ok(code),
        Ok(Err(_)) => Err(what.lock().ok().and_then(|mut w| w.take()).unwrap_or_default()),
        Err(e) => Err(format!("no thread can be started: {e}")),
    }
}

/// `index out of bounds, at src/exec/plan.rs:10`.
fn sentence(info: &PanicHookInfo) -> String {
    let payload = info.payload();
    let text = match payload.downcast_ref::<&str>() {
        Some(text) => text,
        None => payload.downcast_ref::<String>().map_or("no message", String::as_str),
    };
    let text = text.replace('\n', " ");
    match info.location() {
        Some(at) => format!("{text}, at {}:{}", at.file().replace('\\', "/"), at.line()),
        None => text,
    }
}

/// R0901 for a panic.
fn internal(what: &str) -> Diagnostic {
    Diagnostic::new(
        Code::Internal,
        format!("a mistake of ours, not of your program: {what}"),
    )
    .note("nothing of the run is lost but its end: what was printed so far stands")
    .help(format!(
        "please report it with the program, its data if they can be shared, and this line: ravine {} on {} {}",
        env!("CARGO_PKG_VERSION"),
        std::env::consts::OS,
        std::env::consts::ARCH
    ))
}

/// Shows a message that belongs to no program.
fn show(d: Diagnostic, as_json: bool, out: &Out) {
    let sources = SourceMap::default();
    if as_json {
        let mut report = Report::default();
        report.provenance.version = env!("CARGO_PKG_VERSION").into();
        report.diagnostics.push(d);
        out.result(&format!("{}\n", json::report(&report, &sources)));
    } else if out.messages.on {
        out.message(&diagnostic::terminal(&[d], &sources));
    } else {
        out.message(&diagnostic::plain(&[d], &sources));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_panic_becomes_a_message() {
        assert_eq!(protect(|| 3), Ok(3));
        let nothing: Vec<u8> = vec![];
        let what = protect(move || nothing[usize::from(line!() == 0)]).expect_err("it panics");
        assert!(
            what.starts_with("index out of bounds") && what.contains("guard.rs:"),
            "{what}"
        );
        let d = internal(&what);
        assert_eq!(d.code, Code::Internal);
        assert!(d.message.contains(&what) && d.helps[0].text.contains(env!("CARGO_PKG_VERSION")));
    }

    #[test]
    fn the_stack_is_deep() {
        fn deep(n: usize) -> u8 {
            let page = std::hint::black_box([1u8; 4096]);
            if n == 0 {
                page[0]
            } else {
                deep(n - 1).max(page[n % 4096])
            }
        }
        assert_eq!(protect(|| deep(20_000)), Ok(1), "80 MB of frames");
    }
}
