//! One test binary for the package.
#![allow(
    clippy::disallowed_methods,
    clippy::unwrap_used,
    reason = "tests read files and start the binary"
)]

mod cli;
mod io;
mod peers;
mod render;
mod session;

mod methods;
mod parse;
mod problems;
