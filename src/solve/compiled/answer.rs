//! What a solve came to, in the user's own numbers.
//!
//! Invariant: data only; what is not known is absent, never made up.

use super::super::oracle::Counts;
use super::super::stop::Status;
use super::super::trace::Trace;
use crate::exec::Fault;

/// How a solve ended.
#[derive(Clone, Debug)]
pub struct Answer {
    /// The granted status.
    pub status: Status,
    /// Why it is no better, or what was checked.
    pub reason: String,
    /// Objective in the user's sense.
    pub objective: Option<f64>,
    /// The point, flat.
    pub x: Vec<f64>,
    /// Duals by constraint, by instance.
    pub duals: Vec<Vec<f64>>,
    /// Slacks likewise.
    pub slacks: Vec<Vec<f64>>,
    /// Reduced costs, flat.
    pub reduced: Option<Vec<f64>>,
    /// Recomputed residuals by name.
    pub residuals: Vec<(String, f64)>,
    /// Stationarity as `until` and the trace count it, not relative to anything; absent where the class has only the residual.
    pub slope: Option<f64>,
    /// The worst row: constraint and instance.
    pub worst: Option<(usize, usize)>,
    /// Estimate of the relative error of the variables.
    pub error: Option<f64>,
    /// Condition, where the class has one.
    pub condition: Option<f64>,
    /// Is the error an estimate, and the condition a lower bound?
    pub estimated: bool,
    /// Steps.
    pub iterations: Option<u64>,
    /// The method's name.
    pub method: String,
    /// Why it was chosen.
    pub method_why: String,
    /// Was the last answer used, and why or why not?
    pub warm: (bool, String),
    /// What proves the status: multipliers by constraint, or a direction by variable.
    pub certificate: Vec<(String, Vec<f64>)>,
    /// Lines of the log.
    pub log: Vec<String>,
    /// Same bits next time?
    pub reproducible: bool,
    /// What was not finite.
    pub fault: Option<Fault>,
    /// Measures by step.
    pub trace: Option<Trace>,
    /// Evaluations of the steps, and those that stops and trace asked for beyond them.
    pub counts: (Counts, Counts),
    /// Rank of a least-squares matrix below its number of columns, and that number.
    pub deficient: Option<(usize, usize)>,
}

impl Default for Answer {
    /// No answer yet.
    fn default() -> Answer {
        Answer {
            status: Status::Stalled,
            reason: String::new(),
            objective: None,
            x: vec![],
            duals: vec![],
            slacks: vec![],
            reduced: None,
            residuals: vec![],
            slope: None,
            worst: None,
            error: None,
            condition: None,
            estimated: false,
            iterations: None,
            method: String::new(),
            method_why: String::new(),
            warm: (false, String::new()),
            certificate: vec![],
            log: vec![],
            reproducible: true,
            fault: None,
            trace: None,
            counts: (Counts::default(), Counts::default()),
            deficient: None,
        }
    }
}
