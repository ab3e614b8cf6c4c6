//! Everything shown: diagnostics, values, results of a run, as text, HTML and JSON.
//!
//! Invariant: nothing here prints; renderers are functions from data to text, the same text for the same data.

pub mod atom;
pub mod contest;
pub mod diagnostic;
pub mod json;
pub mod layout;
pub mod markdown;
pub mod number;
pub mod plot;
pub mod render;
pub mod solve;
pub mod style;
pub mod values;

use crate::base::value::Value;
use crate::base::view::View;
use crate::base::{Code, Diagnostic};
use crate::solve::Status;
use crate::solve::course::Board;

/// What a run of a program came to: everything that is shown or written to JSON.
#[derive(Clone, Debug, Default)]
pub struct Report {
    /// Results in the order of the program.
    pub results: Vec<ResultEntry>,
    /// Errors, warnings, advice.
    pub diagnostics: Vec<Diagnostic>,
    /// Where the results come from.
    pub provenance: Provenance,
    /// Was one of the errors about data that a `read` could not take? (Codes of the R06 range count by themselves.)
    pub data_failed: bool,
}

/// One result.
#[derive(Clone, Debug)]
pub enum ResultEntry {
    /// A solve.
    Solve(Box<SolveEntry>),
    /// Something printed.
    Value {
        /// The expression as written.
        expression: String,
        /// Its value.
        value: Value,
        /// How far it can be trusted, where a linear system was solved for it: relative error and condition.
        trust: Option<(f64, f64)>,
    },
    /// An `inspect` or another command whose result is a view.
    View {
        /// The command: `inspect`.
        command: String,
        /// What it looked at.
        subject: String,
        /// What it shows.
        view: View,
    },
}

/// One solve, as the session fills it in.
#[derive(Clone, Debug)]
pub struct SolveEntry {
    /// Name of the problem; empty for the unnamed one.
    pub problem: String,
    /// What the solve changed of it, as written: `fixing x = 1`; empty for nothing.
    pub changes: String,
    /// The turn of the loop that it is part of: `k = 3`; empty outside of loops.
    pub turn: String,
    /// Its class: `convex QP`.
    pub class: String,
    /// The rules that prove the class, in one sentence; may be empty.
    pub class_why: String,
    /// The method that ran, by the name that `with` takes: `clarabel`.
    pub method: String,
    /// Why it was chosen, in one sentence; may be empty.
    pub method_why: String,
    /// The status that the checker granted.
    pub status: Status,
    /// Why the status is no better, or what was checked, in one sentence; may be empty.
    pub reason: String,
    /// Value of the objective in the user's own sense, where there is a point.
    pub objective: Option<f64>,
    /// Variables by name, in the order of declaration.
    pub variables: Vec<(String, Value)>,
    /// Duals by constraint, in the order of declaration.
    pub duals: Vec<(String, Value)>,
    /// Residuals recomputed from the user's model.
    pub residuals: Vec<Residual>,
    /// The tolerance asked for.
    pub tolerance: f64,
    /// Relative error of the variables: never below the true one, unless it is only an estimate.
    pub error: Option<f64>,
    /// Is the error an estimate, and the condition a lower bound?
    pub estimated: bool,
    /// Estimate of the condition, where the class has one.
    pub condition: Option<f64>,
    /// Steps of the method.
    pub iterations: Option<u64>,
    /// Whether the last answer helped.
    pub warm_start: WarmStart,
    /// Seconds until the method began.
    pub time_compile: f64,
    /// Seconds of the method and the check of its answer.
    pub time_solve: f64,
    /// What proves `infeasible` or `unbounded`: multipliers or a direction, by name.
    pub certificate: Vec<(String, Value)>,
    /// Was the run ended by the clock, an interrupt or memory?
    pub not_reproducible: bool,
    /// Did it end where its author wrote: the `for`, `until` or `within` of its last stage?
    pub as_written: bool,
    /// Tables of races and of optima found from many starts.
    pub boards: Vec<Board>,
    /// Lines of the solve log, shown with `-v`.
    pub log: Vec<String>,
}

/// A quantity that the checker recomputed.
#[derive(Clone, Debug, PartialEq)]
pub struct Residual {
    /// `violation`, `stationarity`, `gap`, `complementarity`.
    pub name: String,
    /// Its size, relative as the tolerance is.
    pub value: f64,
}

/// Did the solve begin at the last answer?
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct WarmStart {
    /// Was a previous answer used?
    pub used: bool,
    /// Why, or why not.
    pub why: String,
}

/// What decides the results.
#[derive(Clone, Debug, Default)]
pub struct Provenance {
    /// The program's file.
    pub program: Option<FileHash>,
    /// Every file that was read.
    pub data: Vec<FileHash>,
    /// Version of Ravine.
    pub version: String,
    /// The seed of all randomness.
    pub seed: u64,
    /// Number of threads.
    pub threads: usize,
}

/// A file and the SHA-256 of its bytes as stored.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct FileHash {
    /// The path as given.
    pub file: String,
    /// Hexadecimal digest.
    pub sha256: String,
}

impl Default for SolveEntry {
    fn default() -> Self {
        SolveEntry {
            changes: String::new(),
            turn: String::new(),
            problem: String::new(),
            class: String::new(),
            class_why: String::new(),
            method: String::new(),
            method_why: String::new(),
            status: Status::Feasible,
            reason: String::new(),
            objective: None,
            variables: vec![],
            duals: vec![],
            residuals: vec![],
            tolerance: 1e-8,
            error: None,
            estimated: false,
            condition: None,
            iterations: None,
            warm_start: WarmStart::default(),
            time_compile: 0.0,
            time_solve: 0.0,
            certificate: vec![],
            not_reproducible: false,
            as_written: false,
            boards: vec![],
            log: vec![],
        }
    }
}

/// Exit codes of the command line.
pub mod exit {
    /// Every solve ended with an answer, or ran to the end its author wrote.
    pub const SUCCESS: u8 = 0;
    /// A solve ended with another status, or an assertion failed.
    pub const UNSOLVED: u8 = 1;
    /// The program is wrong.
    pub const PROGRAM: u8 = 2;
    /// Data cannot be read.
    pub const DATA: u8 = 3;
    /// Bad command line.
    pub const USAGE: u8 = 64;
    /// A mistake of ours.
    pub const INTERNAL: u8 = 70;
    /// Interrupted.
    pub const INTERRUPTED: u8 = 130;
}

impl Report {
    /// The exit code of a run with this report. Errors while running (R08) count as an unfinished solve.
    pub fn exit_code(&self) -> u8 {
        let errors = || self.diagnostics.iter().filter(|d| d.is_error()).map(|d| d.code);
        let statuses = || {
            self.results.iter().filter_map(|r| match r {
                ResultEntry::Solve(s) => Some(s.status),
                _ => None,
            })
        };
        let answered = || {
            self.results.iter().all(|r| match r {
                ResultEntry::Solve(s) => s.as_written || solve::answers(s.status),
                _ => true,
            })
        };
        let running = |c: Code| c.id().starts_with("R08");
        if errors().any(|c| c == Code::Internal) {
            exit::INTERNAL
        } else if statuses().any(|s| s == Status::Interrupted) {
            exit::INTERRUPTED
        } else if errors().any(|c| c.id().starts_with("R06")) || self.data_failed {
            exit::DATA
        } else if errors().any(|c| !running(c)) {
            exit::PROGRAM
        } else if errors().any(running) || !answered() {
            exit::UNSOLVED
        } else {
            exit::SUCCESS
        }
    }
}
