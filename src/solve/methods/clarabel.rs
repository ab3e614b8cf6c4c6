//! Clarabel as a method: a foreign interior-point solver that runs as one step.
//!
//! Invariant: the solver is asked for nothing but its iterates; what it says of them is a claim to be checked, and its
//! callback polls interrupt and time once an iteration.
//!
//! Source: Goulart and Chen, Clarabel: an interior-point solver for conic programs with quadratic objectives (2024).

use ravine_linalg::clarabel_adapter::{ConicSettings, ConicSolution, ConicStatus, solve_conic};

use crate::solve::method::{
    Class, Fault, Granularity, Method, MethodCard, Needs, OptionKind, OptionSpec, Outcome, Refusal, Seed, SlotSpec,
    StepCx,
};
use crate::solve::oracle::{Form, Oracle};
use crate::solve::state::{Point, Slot, SlotKind, State};
use crate::solve::stop::{Reason, Status};

/// The row of `clarabel`.
pub static CARD: MethodCard = MethodCard {
    name: "clarabel",
    aliases: &["interior_point"],
    title: "interior point (Clarabel)",
    accepts: &[
        Class::Linear,
        Class::ConvexQuadratic,
        Class::SecondOrderCone,
        Class::Conic,
    ],
    needs: Needs::FORM,
    granularity: Granularity::Whole,
    options: &[OptionSpec {
        name: "iterations",
        kind: OptionKind::Count {
            lo: 1,
            hi: 100_000,
            default: 200,
        },
        doc: "most iterations of the solver",
    }],
    state: &[
        SlotSpec {
            name: "slack",
            kind: SlotKind::Array,
            doc: "slack by row",
        },
        SlotSpec {
            name: "iterations",
            kind: SlotKind::Count,
            doc: "iterations of the solver",
        },
        SlotSpec {
            name: "log",
            kind: SlotKind::Array,
            doc: "primal, dual, relative gap, primal and dual residual, barrier and step length by iteration, eight \
                  numbers each with the iteration first",
        },
    ],
    records: &["iterations"],
    guarantees: "Finds a point and multipliers to the tolerance, or a certificate that there is none, in a number of \
                 iterations that hardly grows with the size. Stops with less where the problem has no interior.",
    doc: "A primal-dual interior-point method for linear, quadratic, second-order and exponential cone programs by the \
          Clarabel solver. Runs as one step: it can be interrupted and timed between its iterations, not saved there.",
    source: "Goulart and Chen, arXiv 2405.12762 (2024)",
    build: |s| {
        Box::new(Clarabel {
            iterations: s.count("iterations"),
        })
    },
};

const SLACK: usize = 0;
const ITERATIONS: usize = 1;
const LOG: usize = 2;

/// Settings of Clarabel.
pub struct Clarabel {
    iterations: usize,
}

impl Method for Clarabel {
    fn card(&self) -> &MethodCard {
        &CARD
    }

    fn start(&self, problem: &mut dyn Oracle, from: &Point, _seed: Seed) -> Result<State, Refusal> {
        if !matches!(problem.form(), Some(Form::Conic(_))) {
            return Err(Refusal::Needs(vec!["a cone program as its form"]));
        }
        let mut state = State::new(from.values.clone(), vec![], CARD.records.len());
        state.slots = vec![Slot::Array(vec![]), Slot::Count(0), Slot::Array(vec![])];
        Ok(state)
    }

    fn step(&self, problem: &mut dyn Oracle, now: &State, next: &mut State, cx: &mut StepCx<'_>) -> Outcome {
        next.copy_from(now);
        let Some(Form::Conic(form)) = problem.form() else {
            return Outcome::Refuse(Fault::NotOffered("cone program".into()));
        };
        let settings = ConicSettings {
            tol: cx.tolerance,
            max_iter: self.iterations.min(u32::MAX as usize) as u32,
            time_limit: f64::INFINITY,
        };
        let mut log = vec![];
        let mut stop = || cx.interrupted() || (cx.out_of_time)();
        let solved = solve_conic(form, &settings, &mut stop, &mut |i| {
            log.extend([
                f64::from(i.iteration),
                i.primal,
                i.dual,
                i.gap,
                i.r_prim,
                i.r_dual,
                i.mu,
                i.step,
            ]);
        });
        let s = match solved {
            Ok(s) => s,
            Err(fault) => return Outcome::Refuse(Fault::Numerical(fault.to_string())),
        };
        if s.status == ConicStatus::Interrupted {
            return Outcome::Refuse(Fault::Interrupted);
        }
        let gap = (s.objective - s.dual_objective).abs() / (1.0 + s.objective.abs());
        next.x.clone_from(&s.x);
        next.multipliers.clone_from(&s.z);
        next.slots[SLACK] = Slot::Array(s.s.clone());
        next.slots[ITERATIONS] = Slot::Count(u64::from(s.iterations));
        next.slots[LOG] = Slot::Array(log);
        next.records[0] = f64::from(s.iterations);
        next.measures.objective = s.objective;
        next.measures.stationarity = s.r_dual;
        next.measures.gradient_scale = 1.0;
        next.measures.feasibility = s.r_prim;
        next.measures.gap = gap;
        Outcome::Finish(reason(&s))
    }
}

/// The solver's word in the language's.
fn reason(s: &ConicSolution) -> Reason {
    let (status, why) = match s.status {
        ConicStatus::Solved => (Status::Optimal, "gap and residuals are within the tolerance"),
        ConicStatus::AlmostSolved => (Status::PrecisionLimited, "the solver met a looser tolerance only"),
        ConicStatus::PrimalInfeasible if s.almost => (Status::Stalled, "close to a certificate of infeasibility"),
        ConicStatus::PrimalInfeasible => (Status::Infeasible, "the multipliers prove that no point is feasible"),
        ConicStatus::DualInfeasible if s.almost => (Status::Stalled, "close to a certificate of unboundedness"),
        ConicStatus::DualInfeasible => (Status::Unbounded, "the point is a direction of descent without end"),
        ConicStatus::MaxIterations => (Status::StepLimit, "the solver's iterations are used up"),
        ConicStatus::MaxTime => (Status::TimeLimit, "the time is used up"),
        ConicStatus::NumericalError => (Status::Stalled, "the solver made no further progress"),
        ConicStatus::Interrupted => (Status::Interrupted, "stopped by the user"),
    };
    Reason::new(status, why)
}
