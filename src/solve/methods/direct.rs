//! Linear systems and least squares by factorization with refinement, as one step.
//!
//! Invariant: never the normal equations; the answer comes with its rank, an error and a condition number.
//!
//! Source: Björck, Numerical Methods for Least Squares Problems (1996); Higham, Accuracy and Stability of Numerical
//! Algorithms (2002).

use ravine_linalg::solve::{least_squares, solve_linear};

use crate::solve::method::{
    Class, Fault, Granularity, Method, MethodCard, Needs, Outcome, Refusal, Seed, SlotSpec, StepCx,
};
use crate::solve::oracle::{Form, Oracle};
use crate::solve::state::{Point, Slot, SlotKind, State};
use crate::solve::stop::{Reason, Status};
use crate::solve::vector::norm_inf;
use crate::solve::verify;

/// The row of `direct`.
pub static CARD: MethodCard = MethodCard {
    name: "direct",
    aliases: &["factorization"],
    title: "factorization with refinement",
    accepts: &[Class::LinearSystem, Class::LeastSquares],
    needs: Needs::FORM,
    granularity: Granularity::Whole,
    options: &[],
    state: &[
        SlotSpec {
            name: "condition",
            kind: SlotKind::Number,
            doc: "condition number of the matrix, or its estimate",
        },
        SlotSpec {
            name: "error",
            kind: SlotKind::Number,
            doc: "relative forward error, or its bound",
        },
        SlotSpec {
            name: "rank",
            kind: SlotKind::Count,
            doc: "rank to working precision",
        },
    ],
    records: &["condition", "error"],
    guarantees: "The exact minimizer of the stored data up to the error it reports; the shortest one where several \
                 minimize.",
    doc: "Solves `A x = b` and `min ‖A x − b‖` by a factorization of the matrix itself, dense or sparse, refined with \
          residuals in doubled precision. Runs as one step.",
    source: "Björck (1996); Higham (2002)",
    build: |_| Box::new(Direct),
};

/// Slot of the condition number.
pub const CONDITION: usize = 0;
/// Slot of the error.
pub const ERROR: usize = 1;
/// Slot of the rank.
pub const RANK: usize = 2;

/// Factorization: it has no settings.
pub struct Direct;

impl Method for Direct {
    fn card(&self) -> &MethodCard {
        &CARD
    }

    fn start(&self, problem: &mut dyn Oracle, from: &Point, _seed: Seed) -> Result<State, Refusal> {
        if !matches!(problem.form(), Some(Form::LeastSquares { .. })) {
            return Err(Refusal::Needs(vec!["a matrix and right side as its form"]));
        }
        let mut state = State::new(from.values.clone(), vec![], CARD.records.len());
        state.slots = vec![Slot::Number(f64::NAN), Slot::Number(f64::NAN), Slot::Count(0)];
        Ok(state)
    }

    fn step(&self, problem: &mut dyn Oracle, now: &State, next: &mut State, cx: &mut StepCx<'_>) -> Outcome {
        next.copy_from(now);
        let system = problem.class() == Class::LinearSystem;
        let Some(Form::LeastSquares { a, b }) = problem.form() else {
            return Outcome::Refuse(Fault::NotOffered("matrix and right side".into()));
        };
        let solved = if a.rows() == a.cols() {
            solve_linear(a, b)
        } else {
            least_squares(a, b)
        };
        let s = match solved {
            Ok(s) => s,
            Err(fault) => return Outcome::Refuse(Fault::Numerical(fault.to_string())),
        };
        let n = a.cols();
        next.measures.objective = s.residual_norm * s.residual_norm;
        next.measures.stationarity = verify::normal_residual(a, b, &s.x);
        next.measures.gradient_scale = 1.0;
        next.measures.gap = f64::NAN;
        next.slots[CONDITION] = Slot::Number(s.condition.value);
        next.slots[ERROR] = Slot::Number(s.error.value);
        next.slots[RANK] = Slot::Count(s.rank as u64);
        next.records.copy_from_slice(&[s.condition.value, s.error.value]);
        let allowed = cx.tolerance.max(1e-12);
        let stationary = next.measures.stationarity <= allowed;
        let consistent = !system || s.residual_norm <= allowed * (1.0 + norm_inf(b));
        let reason = if !consistent {
            Reason::new(
                Status::Infeasible,
                "the matrix is singular and no vector solves the system",
            )
        } else if !stationary {
            Reason::new(Status::PrecisionLimited, "rounding leaves the residual no smaller")
                .with_floor(next.measures.stationarity)
        } else if s.rank == n && (s.error.value.is_nan() || s.error.value > 1.0) {
            Reason::new(Status::PrecisionLimited, "the condition number leaves no correct digit")
        } else if s.rank < n {
            Reason::new(
                Status::Optimal,
                format!("rank {} of {n}: among many minimizers the shortest", s.rank),
            )
        } else {
            Reason::new(Status::Optimal, format!("{}, refined", s.method))
        };
        next.x = s.x;
        Outcome::Finish(reason)
    }
}
