//! One test binary for the package.
#![allow(
    clippy::disallowed_methods,
    clippy::unwrap_used,
    reason = "tests read files and start the binary"
)]

mod atoms;
mod check;
mod cli;
mod diagnostics;
mod exec;
mod interp;
mod io;
mod methods;
mod parse;
mod passes;
mod peers;
mod problems;
mod render;
mod session;
