//! The kernel as front ends see it: over its sockets, by a front end of our own and by Jupyter's.
//!
//! Invariant: every output of a cell is looked at; one that nobody asked for fails the test.
#![allow(
    clippy::disallowed_methods,
    clippy::unwrap_used,
    clippy::print_stderr,
    reason = "tests start processes and read files"
)]

mod completion;
mod display;
mod execute;
mod frontend;
mod hostile;
mod install;
mod interrupt;
mod jupyter;
mod lifecycle;
