//! Clarabel as a method: a foreign interior-point solver that runs as one step, its answer checked and finished.
//!
//! Invariant: the solver is asked for nothing but its iterates; what it says of them is checked against the form before
//! it is claimed, and its callback polls interrupt and time once an iteration.
//!
//! Source: Goulart and Chen, Clarabel: an interior-point solver for conic programs with quadratic objectives (2024).

use ravine_linalg::Csr;
use ravine_linalg::clarabel_adapter::{
    Cone, ConicForm, ConicIteration, ConicSettings, ConicSolution, ConicStatus, solve_conic,
};

use crate::solve::method::{
    Class, Fault, Granularity, Method, MethodCard, Needs, OptionKind, OptionSpec, Outcome, Refusal, Seed, SlotSpec,
    StepCx,
};
use crate::solve::oracle::{Form, Oracle};
use crate::solve::polish;
use crate::solve::rescale::rescale;
use crate::solve::state::{Point, Slot, SlotKind, State};
use crate::solve::stop::{Reason, Status};
use crate::solve::verify::{self, DualCheck};

/// The row of `clarabel`.
pub static CARD: MethodCard = MethodCard {
    name: "clarabel",
    aliases: &[],
    title: "interior point (Clarabel)",
    accepts: &[
        Class::Linear,
        Class::ConvexQuadratic,
        Class::SecondOrderCone,
        Class::Semidefinite,
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
            name: "ray",
            kind: SlotKind::Array,
            doc: "direction of descent without end, where one was found",
        },
        SlotSpec {
            name: "iterations",
            kind: SlotKind::Count,
            doc: "iterations of the solver",
        },
        SlotSpec {
            name: "finish",
            kind: SlotKind::Count,
            doc: "what was done with the solver's answer: 0 nothing, 1 the active set was solved again, 2 multipliers \
                  that prove it infeasible were sought, 3 a direction of descent was sought",
        },
        SlotSpec {
            name: "log",
            kind: SlotKind::Array,
            doc: "primal, dual, relative gap, primal and dual residual, barrier and step length by iteration, eight \
                  numbers each with the iteration first",
        },
        SlotSpec {
            name: "rescaled",
            kind: SlotKind::Count,
            doc: "1 where rows, columns and objective were rescaled before, since they span many magnitudes",
        },
    ],
    records: &["iterations"],
    guarantees: "Finds a point and multipliers to the tolerance, or a certificate that there is none, in a number of \
                 iterations that hardly grows with the size; both are checked before they are claimed.",
    doc: "A primal-dual interior-point method for linear, quadratic, second-order, semidefinite and exponential cone programs by the \
          Clarabel solver. The equations of the active set of a linear or quadratic program are then solved again to full \
          precision. Runs as one step: it can be interrupted and timed between its iterations, not saved there.",
    source: "Goulart and Chen, arXiv 2405.12762 (2024)",
    build: |s| {
        Box::new(Clarabel {
            iterations: s.count("iterations"),
        })
    },
};

/// Slot of the direction of descent.
pub const RAY: usize = 0;
/// Slot of the solver's iterations.
pub const ITERATIONS: usize = 1;
const FINISH: usize = 2;
const LOG: usize = 3;
/// Slot that says whether the data were taken in units of their own.
pub const RESCALED: usize = 4;
/// Numbers an iteration leaves in the log.
const LOGGED: usize = 8;

/// Rows up to which a third attempt costs less than an answer short of its tolerance.
const SMALL: usize = 2_000;

/// A residual of the rows that is no matter of precision.
const BROKEN: f64 = 1e-6;

/// Settings of Clarabel.
pub struct Clarabel {
    iterations: usize,
}

impl Method for Clarabel {
    fn card(&self) -> &MethodCard {
        &CARD
    }

    fn start(&self, problem: &mut dyn Oracle, from: &Point, _seed: Seed) -> Result<State, Refusal> {
        begin(problem, from)
    }

    fn step(&self, problem: &mut dyn Oracle, now: &State, next: &mut State, cx: &mut StepCx<'_>) -> Outcome {
        whole(&|s| s.in_units(), self.iterations, problem, now, next, cx)
    }
}

/// The state of a method that runs a whole search in one step.
pub(super) fn begin(problem: &mut dyn Oracle, from: &Point) -> Result<State, Refusal> {
    if !matches!(problem.form(), Some(Form::Conic { .. })) {
        return Err(Refusal::Needs(vec!["a cone program as its form"]));
    }
    let mut state = State::new(from.values.clone(), vec![], CARD.records.len());
    state.slots = vec![
        Slot::Array(vec![]),
        Slot::Count(0),
        Slot::Count(0),
        Slot::Array(vec![]),
        Slot::Count(0),
    ];
    Ok(state)
}

/// The step of such a method: the search by `find`.
pub(super) fn whole(
    find: &dyn Fn(&mut Search<'_>) -> Result<Found, ravine_linalg::NumericalFault>,
    iterations: usize,
    problem: &mut dyn Oracle,
    now: &State,
    next: &mut State,
    cx: &mut StepCx<'_>,
) -> Outcome {
    next.copy_from(now);
    let Some(Form::Conic { form, constant }) = problem.form() else {
        return Outcome::Refuse(Fault::NotOffered("cone program".into()));
    };
    let mut stop = || cx.interrupted() || (cx.out_of_time)();
    let mut search = Search {
        form,
        constant: *constant,
        tolerance: cx.tolerance,
        iterations: iterations.min(u32::MAX as usize) as u32,
        log: vec![],
        stop: &mut stop,
    };
    let mut found = match find(&mut search) {
        Ok(f) => f,
        Err(fault) => return Outcome::Refuse(Fault::Numerical(fault.to_string())),
    };
    search.last_look(&mut found);
    let (s, d) = (&found.solution, &found.check);
    next.slots[RESCALED] = Slot::Count(u64::from(found.rescaled));
    next.slots[RAY] = Slot::Array(found.ray.clone());
    next.slots[ITERATIONS] = Slot::Count(u64::from(s.iterations));
    next.slots[FINISH] = Slot::Count(found.finish);
    next.slots[LOG] = Slot::Array(std::mem::take(&mut search.log));
    next.x.clone_from(&s.x);
    next.multipliers.clone_from(&s.z);
    next.records[0] = f64::from(s.iterations);
    next.measures.objective = verify::value(form, &s.x) + constant;
    next.measures.stationarity = d.stationarity.max(d.outside);
    next.measures.gradient_scale = 1.0;
    next.measures.feasibility = s.r_prim;
    next.measures.gap = gap(form, *constant, &s.x, d);
    let mut reason = found.reason;
    if reason.status == Status::Interrupted && !cx.interrupted() {
        reason = Reason::new(Status::TimeLimit, "the time is used up");
    }
    Outcome::Finish(reason)
}

/// Lines of the solver's log and what was done with its answer.
pub fn log_lines(state: &State) -> Vec<String> {
    let mut lines = vec![];
    if let Some(Slot::Array(log)) = state.slots.get(LOG) {
        for i in log.chunks_exact(LOGGED) {
            lines.push(format!(
                "{:3}  primal {:13.6e}  dual {:13.6e}  gap {:8.1e}  feas {:8.1e} {:8.1e}",
                i[0], i[1], i[2], i[3], i[4], i[5]
            ));
        }
    }
    let done = match state.slots.get(FINISH) {
        Some(Slot::Count(1)) => "the equations of the active set were solved again, to full precision",
        Some(Slot::Count(2)) => "multipliers that prove it infeasible were found by a problem of their own",
        Some(Slot::Count(3)) => "a direction of descent without end was found by a problem of its own",
        _ => return lines,
    };
    lines.push(done.into());
    lines
}

/// What was found: the solver's answer after its second look, and what may be claimed of it.
pub(super) struct Found {
    pub(super) solution: ConicSolution,
    pub(super) check: DualCheck,
    pub(super) ray: Vec<f64>,
    pub(super) finish: u64,
    pub(super) reason: Reason,
    pub(super) rescaled: bool,
}

/// One search for an answer whose evidence holds.
pub(super) struct Search<'a> {
    pub(super) form: &'a ConicForm,
    pub(super) constant: f64,
    pub(super) tolerance: f64,
    pub(super) iterations: u32,
    pub(super) log: Vec<f64>,
    pub(super) stop: &'a mut dyn FnMut() -> bool,
}

impl Search<'_> {
    /// Searches in the form's own units where its data span many magnitudes, else, or where the answer does not hold in
    /// the units it was given in, as it stands.
    pub(super) fn in_units(&mut self) -> Result<Found, ravine_linalg::NumericalFault> {
        let Some(scaled) = rescale(self.form) else {
            return self.run();
        };
        let (mut found, mut log, mut holds);
        // What passes in these units may miss the tolerance in those that were given: then once more, below it.
        let mut below = 1.0;
        loop {
            let mut inner = Search {
                form: &scaled.form,
                constant: scaled.constant(self.constant),
                tolerance: self.tolerance * below,
                iterations: self.iterations,
                log: vec![],
                stop: &mut *self.stop,
            };
            found = inner.run()?;
            log = inner.log;
            scaled.back(&mut found.solution);
            scaled.point(&mut found.ray);
            found.rescaled = true;
            let s = &found.solution;
            found.check = verify::dual(self.form, self.constant, &s.x, &s.z);
            holds = match found.reason.status {
                Status::Optimal => self.passes(s, &found.check, 1.0),
                Status::Infeasible => verify::proves_infeasible(self.form, &s.z),
                Status::Unbounded => verify::proves_unbounded(self.form, &found.ray),
                Status::Interrupted => true,
                _ => false,
            };
            if holds || found.reason.status != Status::Optimal || below < 1.0 {
                break;
            }
            below = 1e-2;
        }
        if !holds {
            let other = self.run()?;
            let settled = matches!(
                other.reason.status,
                Status::Optimal | Status::Infeasible | Status::Unbounded
            );
            if settled || other.check.stationarity < found.check.stationarity {
                return Ok(other);
            }
        }
        self.log = log;
        Ok(found)
    }

    fn run(&mut self) -> Result<Found, ravine_linalg::NumericalFault> {
        let mut best: Option<(ConicSolution, DualCheck)> = None;
        // A tolerance below the one asked for leaves room for the check, which has its own scaling; what does not pass
        // there is tried once more below that.
        // With curved cones the user's objective and the form's differ by what epigraphs are off, so that the form has to be
        // solved better than is asked for.
        let curved = !self
            .form
            .cones
            .iter()
            .all(|c| matches!(c, Cone::Zero(_) | Cone::Nonneg(_)));
        let attempts: &[f64] = match (self.form.b.len() <= SMALL, curved) {
            (true, true) => &[1e-2, 1e-4],
            (true, false) => &[1e-1, 1e-2, 1e-4],
            (false, _) => &[1e-1, 1e-2],
        };
        for below in attempts {
            let tol = (self.tolerance * below).clamp(1e-12, 1e-4);
            let s = self.solve(self.form, tol)?;
            let d = verify::dual(self.form, self.constant, &s.x, &s.z);
            // With room to spare: the check of the user's own rows and objective rounds in its own way.
            let good = s.status == ConicStatus::Solved && self.passes(&s, &d, 0.3);
            let over = matches!(
                s.status,
                ConicStatus::PrimalInfeasible
                    | ConicStatus::DualInfeasible
                    | ConicStatus::Interrupted
                    | ConicStatus::MaxTime
            );
            let off = self.off(&s, &d);
            let better = best.as_ref().is_none_or(|(s, d)| off < self.off(s, d));
            if better || over || good {
                best = Some((s, d));
            }
            if good || over {
                break;
            }
        }
        let Some((mut s, mut d)) = best else {
            return Err(ravine_linalg::NumericalFault::new(
                "the solver returned no point",
                "clarabel",
                f64::NAN,
            ));
        };
        let finish = self.second_look(&mut s, &mut d);
        let mut ray = vec![];
        let reason = match s.status {
            ConicStatus::PrimalInfeasible if verify::proves_infeasible(self.form, &s.z) => infeasible(),
            ConicStatus::DualInfeasible if verify::proves_unbounded(self.form, &s.x) => {
                ray.clone_from(&s.x);
                self.unbounded(&mut s)?
            }
            ConicStatus::PrimalInfeasible | ConicStatus::DualInfeasible => {
                Reason::new(Status::Stalled, "the solver's certificate did not pass the check")
            }
            ConicStatus::Interrupted | ConicStatus::MaxTime => Reason::new(Status::Interrupted, "stopped by the user"),
            ConicStatus::MaxIterations => Reason::new(Status::StepLimit, "the solver's iterations are used up"),
            ConicStatus::Solved | ConicStatus::AlmostSolved | ConicStatus::NumericalError
                if self.passes(&s, &d, 1.0) =>
            {
                Reason::new(Status::Optimal, "gap and residuals are within the tolerance")
            }
            _ => Reason::new(Status::PrecisionLimited, "rounding lets this method reach no more"),
        };
        Ok(Found {
            solution: s,
            check: d,
            ray,
            finish,
            reason,
            rescaled: false,
        })
    }

    fn solve(&mut self, form: &ConicForm, tol: f64) -> Result<ConicSolution, ravine_linalg::NumericalFault> {
        let settings = ConicSettings {
            tol,
            max_iter: self.iterations,
            time_limit: f64::INFINITY,
        };
        let log = &mut self.log;
        solve_conic(form, &settings, self.stop, &mut |i| record(log, i))
    }

    /// The larger of stationarity and gap.
    pub(super) fn off(&self, s: &ConicSolution, d: &DualCheck) -> f64 {
        d.stationarity.max(gap(self.form, self.constant, &s.x, d))
    }

    /// Are the measures within a share of the tolerance?
    pub(super) fn passes(&self, s: &ConicSolution, d: &DualCheck, share: f64) -> bool {
        d.unseen.is_none() && self.off(s, d) <= share * self.tolerance
    }

    /// Solves the equations of the active set to full precision, and looks for a certificate where the solver's own does
    /// not hold or it returned neither an answer nor a certificate; the number of the slot `finish`.
    fn second_look(&mut self, s: &mut ConicSolution, d: &mut DualCheck) -> u64 {
        let form = self.form;
        match s.status {
            ConicStatus::Interrupted | ConicStatus::MaxTime => return 0,
            ConicStatus::PrimalInfeasible if verify::proves_infeasible(form, &s.z) => return 0,
            ConicStatus::PrimalInfeasible if let Some(z) = polish::sharpened(form, &s.z) => {
                s.z = z;
                return 0;
            }
            ConicStatus::DualInfeasible if verify::proves_unbounded(form, &s.x) => return 0,
            ConicStatus::Solved
            | ConicStatus::AlmostSolved
            | ConicStatus::NumericalError
            | ConicStatus::MaxIterations => {
                if let Some((x, z)) = polish::polish(form, self.constant, &s.x, &s.z, &s.s) {
                    (s.x, s.z) = (x, z);
                    *d = verify::dual(form, self.constant, &s.x, &s.z);
                    if self.passes(s, d, 1.0) {
                        s.status = ConicStatus::Solved;
                    }
                    if d.unseen.is_none() {
                        return 1;
                    }
                }
                if s.status == ConicStatus::Solved && d.unseen.is_none() {
                    return 0;
                }
            }
            _ => {}
        }
        if let Some(ray) = d.unseen.and_then(|i| polish::along(form, i)) {
            s.x = ray;
            s.status = ConicStatus::DualInfeasible;
            return 3;
        }
        if let Some(z) = polish::multipliers(form, self.stop) {
            s.z = z;
            s.status = ConicStatus::PrimalInfeasible;
            return 2;
        }
        if let Some(x) = polish::direction(form, self.stop) {
            s.x = x;
            s.status = ConicStatus::DualInfeasible;
            return 3;
        }
        0
    }

    /// Where nothing was settled and the rows do not hold, they may prove by themselves that they cannot.
    fn last_look(&mut self, found: &mut Found) {
        let open = matches!(
            found.reason.status,
            Status::StepLimit | Status::Stalled | Status::PrecisionLimited
        );
        let broken = !(found.solution.r_prim <= BROKEN) || found.reason.status == Status::Stalled;
        if open
            && broken
            && self.form.b.len() <= SMALL
            && let Some(z) = polish::multipliers(self.form, self.stop)
        {
            found.solution.z = z;
            found.check = verify::dual(self.form, self.constant, &found.solution.x, &found.solution.z);
            (found.reason, found.finish) = (infeasible(), 2);
        }
    }

    /// A direction alone does not tell unbounded from infeasible: is there a feasible point? It replaces the solution.
    pub(super) fn unbounded(&mut self, s: &mut ConicSolution) -> Result<Reason, ravine_linalg::NumericalFault> {
        let kept = self.log.len();
        let p = self.solve(&self.feasibility(), 1e-9)?;
        self.log.truncate(kept);
        Ok(self.unbounded_from(s, p))
    }

    /// The form without its objective.
    pub(super) fn feasibility(&self) -> ConicForm {
        let mut out = self.form.clone();
        out.q.iter_mut().for_each(|v| *v = 0.0);
        out.p = Csr::zeros(out.p.rows, out.p.cols);
        out
    }

    /// The same from what was found of the form without its objective.
    pub(super) fn unbounded_from(&self, s: &mut ConicSolution, p: ConicSolution) -> Reason {
        let reason = if p.status == ConicStatus::Solved {
            Reason::new(
                Status::Unbounded,
                "a feasible point and a direction of descent without end were checked",
            )
        } else if verify::proves_infeasible(self.form, &p.z) {
            infeasible()
        } else {
            Reason::new(
                Status::Stalled,
                "infeasible or unbounded; which of them was not settled",
            )
        };
        (s.x, s.z) = (p.x, p.z);
        reason
    }
}

/// Appends an iteration to a log.
pub(super) fn record(log: &mut Vec<f64>, i: &ConicIteration) {
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
}

pub(super) fn infeasible() -> Reason {
    Reason::new(Status::Infeasible, "multipliers that prove it were checked")
}

/// The relative gap of a conic pair.
pub(super) fn gap(form: &ConicForm, constant: f64, x: &[f64], d: &DualCheck) -> f64 {
    let f = verify::value(form, x) + constant;
    ((f - d.objective).abs() + d.hidden) / (1.0 + f.abs())
}
