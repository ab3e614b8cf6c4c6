//! The Jupyter kernel: serves notebooks from the same `Session` as the command line.
//!
//! Invariant: knows `session` and `base` only; everything `ravine run` does works in cells through that façade.
//! The protocol is not built yet; until it is, the binary says so and fails.

use std::io::Write;
use std::process::ExitCode;

fn main() -> ExitCode {
    let _ = writeln!(
        std::io::stderr(),
        "ravine-kernel {}: the Jupyter kernel is not built yet; use `ravine run FILE.opt`",
        env!("CARGO_PKG_VERSION")
    );
    ExitCode::from(64)
}
