//! Status words, reasons for ending, stopping rules and budgets.
//!
//! Invariant: the words are those of the language, and a claim can only be weakened after the method made it.

use serde::{Deserialize, Serialize};

use super::bits;
use super::state::Measures;

/// How a solve ended, in the language's words.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Status {
    /// Proved to the tolerance.
    Optimal,
    /// First- and second-order conditions checked.
    LocallyOptimal,
    /// First-order conditions only.
    Stationary,
    /// First-order conditions with several objectives.
    ParetoStationary,
    /// The best point found; no claim.
    Feasible,
    /// No point satisfies the constraints; certificate checked.
    Infeasible,
    /// The objective has no bound; certificate checked.
    Unbounded,
    /// The violation cannot be reduced near the point.
    LocallyInfeasible,
    /// Rounding allows no more.
    PrecisionLimited,
    /// The counted steps are used up.
    StepLimit,
    /// The time is used up.
    TimeLimit,
    /// The counted evaluations are used up.
    EvaluationLimit,
    /// No further progress, and not by rounding.
    Stalled,
    /// The iterates or the objective run away.
    Diverged,
    /// A function could not be evaluated.
    EvaluationError,
    /// Stopped by the user.
    Interrupted,
}

impl Status {
    /// All words, strongest claim first.
    pub const ALL: [Status; 16] = [
        Status::Optimal,
        Status::LocallyOptimal,
        Status::Stationary,
        Status::ParetoStationary,
        Status::Feasible,
        Status::Infeasible,
        Status::Unbounded,
        Status::LocallyInfeasible,
        Status::PrecisionLimited,
        Status::StepLimit,
        Status::TimeLimit,
        Status::EvaluationLimit,
        Status::Stalled,
        Status::Diverged,
        Status::EvaluationError,
        Status::Interrupted,
    ];

    /// The word shown and written to JSON.
    pub fn word(self) -> &'static str {
        match self {
            Status::Optimal => "optimal",
            Status::LocallyOptimal => "locally optimal",
            Status::Stationary => "stationary",
            Status::ParetoStationary => "pareto stationary",
            Status::Feasible => "feasible",
            Status::Infeasible => "infeasible",
            Status::Unbounded => "unbounded",
            Status::LocallyInfeasible => "locally infeasible",
            Status::PrecisionLimited => "precision limited",
            Status::StepLimit => "step limit",
            Status::TimeLimit => "time limit",
            Status::EvaluationLimit => "evaluation limit",
            Status::Stalled => "stalled",
            Status::Diverged => "diverged",
            Status::EvaluationError => "evaluation error",
            Status::Interrupted => "interrupted",
        }
    }

    /// What to try next.
    pub fn advice(self) -> &'static str {
        match self {
            Status::Optimal | Status::LocallyOptimal => "nothing is left to do",
            Status::Stationary | Status::ParetoStationary => {
                "check curvature with another start or a second-order method"
            }
            Status::Feasible => "give it more time, or another method",
            Status::Infeasible | Status::LocallyInfeasible => "relax a constraint that the certificate names",
            Status::Unbounded => "add the bound that is missing",
            Status::PrecisionLimited => "rescale the problem, or accept the tolerance that was reached",
            Status::StepLimit => "allow more steps, or continue from this point",
            Status::TimeLimit => "allow more time, or continue from this point",
            Status::EvaluationLimit => "allow more evaluations, or continue from this point",
            Status::Stalled => "try another start or method; check the model for kinks",
            Status::Diverged => "check the sign of the objective, or add bounds",
            Status::EvaluationError => "bound the variables to where every function is defined, or start elsewhere",
            Status::Interrupted => "continue from this point",
        }
    }

    /// May a checker turn this claim into `to`? Every claim may become one that promises less; none may gain.
    pub fn may_become(self, to: Status) -> bool {
        use Status::*;
        if self == to {
            return true;
        }
        match self {
            Optimal => matches!(
                to,
                LocallyOptimal
                    | Stationary
                    | Feasible
                    | LocallyInfeasible
                    | PrecisionLimited
                    | Stalled
                    | EvaluationError
            ),
            LocallyOptimal => matches!(
                to,
                Stationary | Feasible | LocallyInfeasible | PrecisionLimited | Stalled | EvaluationError
            ),
            Stationary | ParetoStationary => {
                matches!(
                    to,
                    Feasible | LocallyInfeasible | PrecisionLimited | Stalled | EvaluationError
                )
            }
            Feasible => matches!(to, LocallyInfeasible | Stalled | EvaluationError),
            Infeasible => matches!(to, LocallyInfeasible | Stalled | EvaluationError),
            Unbounded => matches!(to, Feasible | Diverged | Stalled | EvaluationError),
            PrecisionLimited => matches!(to, Feasible | Stalled | EvaluationError),
            _ => false,
        }
    }

    /// The weaker of this claim and what a checker found; the claim itself where the finding would strengthen it.
    pub fn downgrade(self, found: Status) -> Status {
        if self.may_become(found) { found } else { self }
    }

    /// Did it end without a point to speak of?
    pub fn is_failure(self) -> bool {
        matches!(
            self,
            Status::Diverged | Status::EvaluationError | Status::Infeasible | Status::LocallyInfeasible
        )
    }

    /// Did the solve end as its author would wish (exit code 0)?
    pub fn is_success(self) -> bool {
        matches!(
            self,
            Status::Optimal | Status::LocallyOptimal | Status::Infeasible | Status::Unbounded
        )
    }
}

impl std::fmt::Display for Status {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(self.word())
    }
}

/// Why a run ended.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Reason {
    /// The claim.
    pub status: Status,
    /// One clause that says why, for the report.
    pub why: String,
    /// The smallest stationarity that rounding allows, where that is what stopped it.
    pub floor: Option<f64>,
}

impl Reason {
    /// A reason without a rounding floor.
    pub fn new(status: Status, why: impl Into<String>) -> Self {
        Self {
            status,
            why: why.into(),
            floor: None,
        }
    }
    /// With the smallest stationarity that rounding allows.
    pub fn with_floor(mut self, floor: f64) -> Self {
        self.floor = Some(floor);
        self
    }
}

/// What a run may use up.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Budget {
    /// Committed steps.
    pub steps: Option<u64>,
    /// Weighted evaluations of the oracle: value, gradient, Hessian and product each count one.
    pub evaluations: Option<u64>,
    /// Passes over the terms of a finite sum, by mini-batches or as a whole.
    #[serde(default)]
    pub epochs: Option<u64>,
    /// Seconds on the session's clock. A run ended by it is marked not reproducible.
    pub seconds: Option<f64>,
}

/// A stopping rule of the user: a named quantity falls to a limit.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Stop {
    /// `objective`, `stationarity`, `feasibility`, `gap`, `change`, or a record of the method.
    pub quantity: String,
    /// Compared with `<=`.
    #[serde(with = "bits::number")]
    pub limit: f64,
    /// Compare with `limit · max(1, |value at the start|)`.
    pub relative: bool,
}

impl Stop {
    /// `quantity <= limit`.
    pub fn below(quantity: &str, limit: f64) -> Self {
        Self {
            quantity: quantity.to_string(),
            limit,
            relative: false,
        }
    }
    /// Does it hold? A quantity the method does not measure never does.
    pub fn holds(&self, measures: &Measures, record: Option<f64>, at_start: f64) -> bool {
        let Some(value) = measures.get(&self.quantity).or(record) else {
            return false;
        };
        let scale = if self.relative { at_start.abs().max(1.0) } else { 1.0 };
        value <= self.limit * scale
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_claim_never_gains() {
        for from in Status::ALL {
            for to in Status::ALL {
                if from != to {
                    assert!(
                        !(from.may_become(to) && to.may_become(from)),
                        "{from} and {to} turn into each other"
                    );
                }
                // Only a success may leave the successes, nothing else may join them.
                assert!(!(from.may_become(to) && to.is_success() && !from.is_success()));
            }
        }
        assert_eq!(Status::Stationary.downgrade(Status::Optimal), Status::Stationary);
        assert_eq!(Status::Optimal.downgrade(Status::Stationary), Status::Stationary);
    }
}
