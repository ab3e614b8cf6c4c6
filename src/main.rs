//! The `ravine` binary: hands its arguments to `ravine::cli`.

use std::process::ExitCode;

fn main() -> ExitCode {
    ravine::cli::main()
}
