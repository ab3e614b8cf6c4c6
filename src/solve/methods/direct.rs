//! Linear systems and least squares by factorization with refinement, as one step.
//!
//! Invariant: never the normal equations; the answer comes with its rank, an error and a condition number.
//!
//! Source: Björck, Numerical Methods for Least Squares Problems (1996); Higham, Accuracy and Stability of Numerical
//! Algorithms (2002).

use ravine_linalg::Matrix;
use ravine_linalg::solve::{least_squares, solve_linear};

use crate::solve::method::{
    Class, Fault, Granularity, Method, MethodCard, Needs, Outcome, Refusal, Seed, SlotSpec, StepCx,
};
use crate::solve::oracle::{Form, Oracle};
use crate::solve::state::{Point, Slot, SlotKind, State};
use crate::solve::stop::{Reason, Status};
use crate::solve::vector::norm_inf;

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

const CONDITION: usize = 0;
const ERROR: usize = 1;
const RANK: usize = 2;

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
        let square = problem.class() == Class::LinearSystem;
        let Some(Form::LeastSquares { a, b }) = problem.form() else {
            return Outcome::Refuse(Fault::NotOffered("matrix and right side".into()));
        };
        let solved = if square {
            solve_linear(a, b)
        } else {
            least_squares(a, b)
        };
        let s = match solved {
            Ok(s) => s,
            Err(fault) => return Outcome::Refuse(Fault::Numerical(fault.to_string())),
        };
        let n = a.cols();
        let mut r = vec![0.0; a.rows()];
        a.mul_vec(&s.x, &mut r);
        r.iter_mut().zip(b).for_each(|(r, b)| *r -= b);
        let mut g = vec![0.0; n];
        a.mul_vec_transposed(&r, &mut g);
        next.measures.objective = s.residual_norm * s.residual_norm;
        next.measures.stationarity = 2.0 * norm_inf(&g);
        next.measures.gradient_scale = 1.0 + 2.0 * rounding_scale(a, b, &s.x);
        next.measures.gap = f64::NAN;
        next.slots[CONDITION] = Slot::Number(s.condition.value);
        next.slots[ERROR] = Slot::Number(s.error.value);
        next.slots[RANK] = Slot::Count(s.rank as u64);
        next.records.copy_from_slice(&[s.condition.value, s.error.value]);
        next.x = s.x;
        let stationary = next.measures.stationarity <= cx.tolerance.max(1e-12) * next.measures.gradient_scale;
        let consistent = !square || s.residual_norm <= cx.tolerance.max(1e-12) * (1.0 + norm_inf(b));
        let reason = if square && !consistent {
            Reason::new(
                Status::Infeasible,
                "the matrix is singular and no vector solves the system",
            )
        } else if !stationary || s.rank == n && s.error.value.is_nan() || s.rank == n && s.error.value > 1.0 {
            Reason::new(Status::PrecisionLimited, "the condition number leaves no correct digit")
                .with_floor(next.measures.stationarity)
        } else if s.rank < n {
            Reason::new(
                Status::Optimal,
                format!("rank {} of {n}: among many minimizers the shortest", s.rank),
            )
        } else {
            Reason::new(Status::Optimal, format!("{}, refined", s.method))
        };
        Outcome::Finish(reason)
    }
}

/// Largest entry of `|A|ᵀ(|A||x| + |b|)`: what the gradient is a cancelling sum of.
fn rounding_scale(a: &Matrix, b: &[f64], x: &[f64]) -> f64 {
    let absolute = match a {
        Matrix::Dense(d) => {
            let mut d = d.clone();
            d.data.iter_mut().for_each(|v| *v = v.abs());
            Matrix::Dense(d)
        }
        Matrix::Sparse(s) => {
            let mut s = s.clone();
            s.values.iter_mut().for_each(|v| *v = v.abs());
            Matrix::Sparse(s)
        }
    };
    let size: Vec<f64> = x.iter().map(|v| v.abs()).collect();
    let mut ax = vec![0.0; a.rows()];
    absolute.mul_vec(&size, &mut ax);
    ax.iter_mut().zip(b).for_each(|(v, b)| *v += b.abs());
    let mut out = vec![0.0; a.cols()];
    absolute.mul_vec_transposed(&ax, &mut out);
    norm_inf(&out)
}
