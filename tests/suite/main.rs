//! One test binary for the package.
#![allow(
    clippy::disallowed_methods,
    clippy::unwrap_used,
    clippy::print_stderr,
    reason = "tests read files and start the binary"
)]

mod after;
mod architecture;
mod atoms;
mod book;
mod cells;
mod check;
mod cli;
mod composite;
mod cones;
mod convex;
mod cost;
mod diagnose;
mod diagnostics;
mod exec;
mod format;
mod forms;
mod harness;
mod hostile;
mod interior;
mod interp;
mod interrupt;
mod invariants;
mod io;
mod krylov;
mod large;
mod latex;
mod looking;
mod methods;
mod mps;
mod operators;
mod optimizers;
mod oracles;
mod own;
mod pages;
mod parquet;
mod parse;
mod passes;
mod peers;
mod plugs;
mod problems;
mod programs;
mod race;
mod render;
mod repl;
mod runs;
mod scaling;
mod semidefinite;
mod session;
mod sets;
mod short_steps;
mod steps;
mod uses;
mod verdicts;
mod verify;
