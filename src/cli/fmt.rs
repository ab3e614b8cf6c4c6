//! `ravine fmt`: reads programs, lays them out, writes them back.
//!
//! Invariant: a file is replaced as a whole by its laid-out text or not touched; one that cannot be read or has mistakes
//! is named and left alone.

use std::io::Read;
use std::path::Path;

use super::args::FmtArgs;
use super::out::Out;
use crate::base::{Code, Diagnostic, Diagnostics};
use crate::report::style::Paint;
use crate::report::{diagnostic, exit};
use crate::session::{Session, Settings, files};

/// Runs the command; the exit code.
pub fn fmt(a: &FmtArgs, out: &Out) -> u8 {
    let mut session = Session::new(Settings {
        sets: Default::default(),
        threads: Some(1),
        memory: files::default_budget(),
        verbose: false,
        folder: Default::default(),
        now: || 0.0,
    });
    let mut code = exit::SUCCESS;
    for file in &a.files {
        let one = match one(file, a.check, &mut session, out) {
            Ok(code) => code,
            Err(found) => {
                out.message(&match out.messages {
                    Paint { on: true } => diagnostic::terminal(&found, &session.sources),
                    Paint { on: false } => diagnostic::plain(&found, &session.sources),
                });
                let data = found
                    .iter()
                    .any(|d| d.code == Code::CannotRead || d.code == Code::TooLarge);
                if data { exit::DATA } else { exit::PROGRAM }
            }
        };
        code = code.max(one);
    }
    code
}

fn one(file: &Path, check: bool, session: &mut Session, out: &Out) -> Result<u8, Diagnostics> {
    let stdin = file.as_os_str() == "-";
    let name = if stdin {
        "standard input".into()
    } else {
        file.to_string_lossy()
    };
    let text = if stdin {
        from_stdin()?
    } else {
        files::load_program(file).map_err(|d| vec![d])?.0
    };
    let new = session.format(&name, &text)?;
    if check {
        if new == text {
            return Ok(exit::SUCCESS);
        }
        out.result(&format!("{name}: not laid out\n"));
        return Ok(exit::UNSOLVED);
    }
    if stdin {
        out.result(&new);
    } else if new != text {
        files::replace(file, &new).map_err(|d| vec![d])?;
        out.result(&format!("{name}: laid out\n"));
    }
    Ok(exit::SUCCESS)
}

fn from_stdin() -> Result<String, Diagnostics> {
    let mut text = String::new();
    match std::io::stdin()
        .lock()
        .take(files::PROGRAM_LIMIT)
        .read_to_string(&mut text)
    {
        Ok(_) => Ok(text),
        Err(e) => Err(vec![Diagnostic::new(
            Code::CannotRead,
            format!("standard input cannot be read: {e}"),
        )]),
    }
}
