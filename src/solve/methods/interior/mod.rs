//! Interior point for linear, convex quadratic and semidefinite programs: the method of the house, and Clarabel for what it
//! leaves.
//!
//! Invariant: what the iterations say is checked against the form before it is claimed; what does not pass is tried again
//! in other units, then by Clarabel, and the better of the answers is kept.
//!
//! Source: in `embedding` and `program`.

mod embedding;
mod folded;
mod matrices;
mod program;

use ravine_linalg::NumericalFault;
use ravine_linalg::clarabel_adapter::{Cone, ConicForm, ConicIteration, ConicSettings, ConicSolution, ConicStatus};

use super::clarabel::{self, Found, Search};
use crate::solve::method::{Method, MethodCard, Outcome, Refusal, Seed, StepCx};
use crate::solve::oracle::Oracle;
use crate::solve::polish;
use crate::solve::state::{Point, State};
use crate::solve::stop::{Reason, Status};
use crate::solve::verify;

/// The row of `interior_point`.
pub static CARD: MethodCard = MethodCard {
    name: "interior_point",
    aliases: &["interior"],
    title: "interior point",
    accepts: clarabel::CARD.accepts,
    needs: clarabel::CARD.needs,
    granularity: clarabel::CARD.granularity,
    options: clarabel::CARD.options,
    state: clarabel::CARD.state,
    records: clarabel::CARD.records,
    guarantees: "Finds a point and multipliers to the tolerance, or a certificate that there is none, in a number of \
                 iterations that hardly grows with the size; both are checked before they are claimed.",
    doc: "A primal-dual interior-point method for linear, convex quadratic and semidefinite programs: the homogeneous \
          embedding with predictor, corrector and corrections of centrality, its equations factored in the rows alone \
          where these are few and dense, else whole and sparse. Bounds and fixed variables cost nothing. The equations of \
          the active set are then solved once more. Semidefinite matrices are eliminated first, by the Nesterov-Todd \
          direction: those whose entries are variables leave the rows (a Schur complement), the others the variables \
          outside them. What it cannot finish, and other cones, are left to `clarabel`. Runs as one step: it can be \
          interrupted and timed between its iterations, not saved there.",
    source: "Andersen and Ye, Mathematical Programming 84 (1999); Goulart and Chen, arXiv 2405.12762 (2024); Gondzio, \
             Computational Optimization and Applications 6 (1996); Todd, Toh and Tütüncü, SIAM J. Optimization 8 (1998)",
    build: |s| {
        Box::new(Interior {
            iterations: s.count("iterations"),
        })
    },
};

/// How many equations semidefinite matrices leave once they are eliminated, and how many entries each has; `None` where the
/// form has other cones than these iterations take.
pub fn equations(form: &ConicForm) -> Option<(usize, Vec<usize>)> {
    match folded::fold(form) {
        Some(folded) => program::left(&folded.form),
        None => program::left(form),
    }
}

/// The iterations, on the form without the variables that stand for differences where it has such.
fn iterate(
    form: &ConicForm,
    settings: &ConicSettings,
    shorten: bool,
    stop: &mut dyn FnMut() -> bool,
    log: &mut dyn FnMut(&ConicIteration),
) -> Result<Option<embedding::Solved>, NumericalFault> {
    let Some(folded) = folded::fold(form) else {
        return embedding::solve(form, settings, shorten, stop, log);
    };
    let mut with_constant = |i: &ConicIteration| {
        log(&ConicIteration {
            primal: i.primal + folded.constant,
            dual: i.dual + folded.constant,
            ..*i
        });
    };
    let mut solved = embedding::solve(&folded.form, settings, shorten, stop, &mut with_constant)?;
    if let Some(solved) = &mut solved {
        folded.back(&mut solved.solution);
    }
    Ok(solved)
}

/// Settings of the interior-point method.
pub struct Interior {
    iterations: usize,
}

impl Method for Interior {
    fn card(&self) -> &MethodCard {
        &CARD
    }

    fn start(&self, problem: &mut dyn Oracle, from: &Point, _seed: Seed) -> Result<State, Refusal> {
        clarabel::begin(problem, from)
    }

    fn step(&self, problem: &mut dyn Oracle, now: &State, next: &mut State, cx: &mut StepCx<'_>) -> Outcome {
        clarabel::whole(&find, self.iterations, problem, now, next, cx)
    }
}

/// Variables up to which the active set is solved by pivoting too, where there is curvature or the residuals are not down
/// at `SETTLED`: squares of a bad condition come out as well as the problem lets them.
const SMALL: usize = 150;
const SETTLED: f64 = 1e-13;
/// The same where refinement hardly gained: a sign of that condition.
const MIDDLE: usize = 600;

/// By the iterations of the house, in two units; then by Clarabel.
fn find(search: &mut Search<'_>) -> Result<Found, NumericalFault> {
    let cones = &search.form.cones;
    if cones
        .iter()
        .any(|c| !matches!(c, Cone::Zero(_) | Cone::Nonneg(_) | Cone::Semidefinite(_)))
    {
        return search.in_units();
    }
    let mut best: Option<(Found, Vec<f64>)> = None;
    let mut shortened = true;
    for shorten in [true, false] {
        if !shortened {
            break;
        }
        let Some((found, scaled)) = once(search, shorten)? else {
            continue;
        };
        shortened = scaled;
        if found.reason.status != Status::PrecisionLimited {
            return Ok(found);
        }
        let log = std::mem::take(&mut search.log);
        if best
            .as_ref()
            .is_none_or(|(b, _)| worth(search, &found) < worth(search, b))
        {
            best = Some((found, log));
        }
    }
    let (own, log) = match best {
        Some((own, log)) if large(search.form) && worth(search, &own) <= NEAR => {
            search.log = log;
            return Ok(own);
        }
        Some(best) => best,
        None => return search.in_units(),
    };
    let other = search.in_units();
    match other {
        Ok(other) if settles(search, &other) || worth(search, &other) < worth(search, &own) => Ok(other),
        _ => {
            search.log = log;
            Ok(own)
        }
    }
}

/// Entries of the largest matrix above which Clarabel takes minutes, and is asked only where the largest residual of what is
/// at hand is above `NEAR`.
const LARGE: usize = 1_000;
const NEAR: f64 = 1e-4;

fn large(form: &ConicForm) -> bool {
    form.cones
        .iter()
        .any(|c| matches!(c, Cone::Semidefinite(_)) && c.rows() > LARGE)
}

/// Is the answer final: a certificate, or a point whose rows hold too?
fn settles(search: &Search<'_>, found: &Found) -> bool {
    match found.reason.status {
        Status::Optimal => violation(search, found) <= search.tolerance,
        Status::Infeasible | Status::Unbounded | Status::Interrupted => true,
        _ => false,
    }
}

fn violation(search: &Search<'_>, found: &Found) -> f64 {
    let (form, x) = (search.form, &found.solution.x);
    match polish::equations(form) {
        Some(equations) => polish::off_rows(form, &equations, x),
        None => verify::off_cones(form, x),
    }
}

/// The largest residual of what was found.
fn worth(search: &Search<'_>, found: &Found) -> f64 {
    let (s, d) = (&found.solution, &found.check);
    let gap = clarabel::gap(search.form, search.constant, &s.x, d);
    let all = [violation(search, found), d.stationarity, d.outside, gap];
    if all.iter().any(|v| v.is_nan()) {
        return f64::INFINITY;
    }
    all.into_iter().fold(0.0, f64::max)
}

/// One run of the iterations, and whether there was something to shorten; nothing where they fail altogether.
fn once(search: &mut Search<'_>, shorten: bool) -> Result<Option<(Found, bool)>, NumericalFault> {
    let form = search.form;
    let matrices = form.cones.iter().any(|c| matches!(c, Cone::Semidefinite(_)));
    let settings = ConicSettings {
        // Below the tolerance asked for: what is reported is measured in other units once more.
        tol: (search.tolerance * if matrices { 1e-2 } else { 1e-1 }).clamp(1e-13, 1e-4),
        max_iter: search.iterations,
        time_limit: f64::INFINITY,
    };
    let log = &mut search.log;
    let ended = iterate(form, &settings, shorten, search.stop, &mut |i| clarabel::record(log, i));
    let Ok(Some(mut ended)) = ended else { return Ok(None) };
    if matrices {
        ended.solution.r_prim = verify::off_cones(form, &ended.solution.x);
    }
    let (mut s, mut finish) = (ended.solution, u64::from(ended.settled));
    let reached = matches!(
        s.status,
        ConicStatus::Solved | ConicStatus::AlmostSolved | ConicStatus::NumericalError
    );
    let (n, curved) = (form.q.len(), !form.p.values.is_empty());
    let unsettled = ended.worst > SETTLED && n <= SMALL;
    if reached && !matrices && (unsettled || curved && (n <= SMALL || ended.slow && n <= MIDDLE)) {
        let (x, z, slack) = match &ended.before {
            Some((x, z, s)) => (x, z, s),
            None => (&s.x, &s.z, &s.s),
        };
        if let Some((x, z)) = polish::polish(form, search.constant, x, z, slack)
            && let Some(equations) = polish::equations(form)
            && polish::worth(form, search.constant, &equations, &x, &z) <= ended.worst.max(SETTLED)
        {
            s.r_prim = polish::off_rows(form, &equations, &x);
            (s.x, s.z, finish) = (x, z, 1);
        }
    }
    let d = verify::dual(form, search.constant, &s.x, &s.z);
    let mut ray = vec![];
    let reason = match s.status {
        ConicStatus::PrimalInfeasible => clarabel::infeasible(),
        ConicStatus::DualInfeasible => {
            ray.clone_from(&s.x);
            match feasible(search, matrices) {
                Some(p) => search.unbounded_from(&mut s, p),
                None => search.unbounded(&mut s)?,
            }
        }
        ConicStatus::Interrupted | ConicStatus::MaxTime => Reason::new(Status::Interrupted, "stopped by the user"),
        ConicStatus::MaxIterations => Reason::new(Status::StepLimit, "the iterations are used up"),
        _ if search.passes(&s, &d, 1.0) && d.outside.max(s.r_prim) <= search.tolerance => {
            Reason::new(Status::Optimal, "gap and residuals are within the tolerance")
        }
        _ => Reason::new(Status::PrecisionLimited, "rounding lets this method reach no more"),
    };
    let found = Found {
        check: d,
        solution: s,
        ray,
        finish,
        reason,
        rescaled: false,
    };
    Ok(Some((found, ended.shortened)))
}

/// What these iterations find of a form with matrices without its objective, if they settle it.
fn feasible(search: &mut Search<'_>, matrices: bool) -> Option<ConicSolution> {
    let form = search.feasibility();
    let settings = ConicSettings {
        tol: 1e-9,
        max_iter: search.iterations,
        time_limit: f64::INFINITY,
    };
    let ended = matrices.then(|| iterate(&form, &settings, true, search.stop, &mut |_| {}));
    let s = ended?.ok()??.solution;
    matches!(s.status, ConicStatus::Solved | ConicStatus::PrimalInfeasible).then_some(s)
}
