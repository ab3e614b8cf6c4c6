//! Minimal residuals on symmetric systems that need not be definite, and convex quadratics that need not be strictly so.
//!
//! Invariant: optimal is claimed for a residual computed afresh.
//!
//! Source: see `linalg::krylov`.

use ravine_linalg::krylov::{Minres, MinresStep};
use ravine_linalg::reduce::{norm2, sumsq};

use super::krylov::{self, EVIDENCE, Kept, RIGHT, Wanted, take};
use crate::solve::method::{
    Class, Events, Fault, Granularity, Method, MethodCard, Needs, OptionKind, OptionSpec, Outcome, Refusal, Seed,
    Settings, SlotSpec, StepCx,
};
use crate::solve::oracle::Oracle;
use crate::solve::state::{Point, Slot, SlotKind, State};
use crate::solve::stop::{Reason, Status};
use crate::solve::vector::norm_inf;

const fn array(name: &'static str, doc: &'static str) -> SlotSpec {
    SlotSpec {
        name,
        kind: SlotKind::Array,
        doc,
    }
}

/// The row of `minres`.
pub static CARD: MethodCard = MethodCard {
    name: "minres",
    aliases: &["minimal_residuals"],
    title: "minimal residuals",
    accepts: &[Class::LinearSystem, Class::ConvexQuadratic],
    needs: Needs {
        value: false,
        gradient: false,
        hvp: false,
        hessian: false,
        form: false,
        prox: false,
        project: false,
        constraints: false,
        residuals: false,
    },
    granularity: Granularity::Step,
    options: &[OptionSpec {
        name: "preconditioner",
        kind: OptionKind::Map(&["auto", "jacobi", "none"]),
        doc: "the size of the diagonal, or nothing; `auto` takes the diagonal where a matrix is known; or an approximate \
              inverse of your own, symmetric positive definite",
    }],
    state: &[
        EVIDENCE[0],
        EVIDENCE[1],
        EVIDENCE[2],
        array("before", "the last but one Lanczos vector"),
        array("now", "the last one"),
        array("behind", "the last one behind the preconditioner"),
        array("direction", "the last direction"),
        array("direction_before", "the one before"),
        array(
            "scalars",
            "the running rotation, residual norms now and at the start, of A'r, size of the matrix, steps, residual when \
             begun anew",
        ),
        RIGHT,
    ],
    records: &["residual"],
    guarantees: "The residual falls in every step, in the norm of the preconditioner; of a singular system without solution \
                 the least-squares residual is found.",
    doc: "Solves `A x = b` with a symmetric matrix of any signs by products alone, and minimizes convex quadratics without \
          constraints.",
    source: "Paige and Saunders, SIAM J. Numer. Anal. 12 (1975)",
    build: |s| Box::new(MinimalResiduals::new(s)),
};

const BEFORE: usize = 3;
const NOW: usize = 4;
const Y: usize = 5;
const W: usize = 6;
const W_BEFORE: usize = 7;
const SCALARS: usize = 8;
const LAST: usize = 9;

/// MINRES.
pub struct MinimalResiduals {
    preconditioner: Wanted,
}

impl MinimalResiduals {
    fn new(s: &Settings) -> Self {
        MinimalResiduals {
            preconditioner: Wanted::of(s),
        }
    }
}

/// The iteration and the residual at which it was begun anew; none before the first step.
fn unpack(s: &mut State) -> Option<(Minres, f64)> {
    let v = take(s, SCALARS);
    let [
        a,
        b,
        c,
        d,
        e,
        f,
        g,
        first,
        residual_norm,
        normal_norm,
        size,
        steps,
        renewed,
    ] = <[f64; 13]>::try_from(v).ok()?;
    let m = Minres {
        x: std::mem::take(&mut s.x),
        before: take(s, BEFORE),
        now: take(s, NOW),
        y: take(s, Y),
        w: take(s, W),
        w_before: take(s, W_BEFORE),
        scalars: [a, b, c, d, e, f, g],
        first,
        residual_norm,
        normal_norm,
        size,
        steps: steps as usize,
    };
    Some((m, renewed))
}

fn pack(m: Minres, renewed: f64, s: &mut State) {
    let mut scalars = m.scalars.to_vec();
    scalars.extend([m.first, m.residual_norm, m.normal_norm, m.size, m.steps as f64, renewed]);
    s.slots[SCALARS] = Slot::Array(scalars);
    s.x = m.x;
    s.slots[BEFORE] = Slot::Array(m.before);
    s.slots[NOW] = Slot::Array(m.now);
    s.slots[Y] = Slot::Array(m.y);
    s.slots[W] = Slot::Array(m.w);
    s.slots[W_BEFORE] = Slot::Array(m.w_before);
}

impl Method for MinimalResiduals {
    fn card(&self) -> &MethodCard {
        &CARD
    }

    fn misfit(&self, n: usize) -> Option<String> {
        self.preconditioner.misfit(n, true)
    }

    fn start(&self, problem: &mut dyn Oracle, from: &Point, _seed: Seed) -> Result<State, Refusal> {
        krylov::check(problem, from)?;
        krylov::fresh_state(&CARD, problem, from)
    }

    fn step(&self, problem: &mut dyn Oracle, now: &State, next: &mut State, cx: &mut StepCx<'_>) -> Outcome {
        /// Steps between two looks at the computed residual, which a preconditioner keeps from the recurrence.
        const LOOK: usize = 10;
        next.copy_from(now);
        let made = cx
            .cache
            .get_or(|| Kept::new(problem, now.slots[LAST].array(), &self.preconditioner, false));
        let kept: &Kept = match made {
            Ok(k) => k,
            Err(f) => return Outcome::Refuse(f.clone()),
        };
        let tolerance = cx.tolerance;
        let b = &kept.right;
        let right = norm2(b);
        let unit = if right > 0.0 { right } else { 1.0 };
        let mut fault: Option<Fault> = None;
        let state = unpack(next);
        let mut pre = |r: &[f64], z: &mut [f64]| kept.precondition(r, z);
        let mut seen: Option<Vec<f64>> = None;
        let mut limited = false;
        let stepped = {
            let mut apply = |v: &[f64], out: &mut [f64]| kept.apply(problem, v, out, &mut fault);
            let begun = match state {
                Some(v) => Ok(v),
                None => Minres::start(b, &now.x, &mut apply, &mut pre).map(|m| (m, f64::INFINITY)),
            };
            begun.and_then(|(mut m, mut renewed)| {
                let mut found = MinresStep::Proceed;
                if m.steps > 0 || right > 0.0 {
                    found = m.step(&mut apply, &mut pre)?;
                }
                let claimed = m.residual_norm <= 0.01 * tolerance * m.first;
                if found == MinresStep::Done || claimed || m.steps.is_multiple_of(LOOK) || m.steps == 1 {
                    let r = m.true_residual(b, &mut apply);
                    let norm = norm2(&r);
                    let exhausted = m.normal_norm <= 1e-14 * m.size * m.residual_norm;
                    if !kept.aimed(&r, norm, tolerance) && (claimed || found == MinresStep::Done) && !exhausted {
                        // The recurrence says more than the computed residual confirms.
                        if norm > 0.5 * renewed {
                            limited = true;
                        } else {
                            let steps = m.steps;
                            renewed = norm;
                            m = Minres::start(b, &m.x, &mut apply, &mut pre)?;
                            m.steps = steps;
                        }
                    }
                    seen = Some(r);
                }
                Ok((m, renewed, found))
            })
        };
        if let Some(reason) = kept.not_positive() {
            next.copy_from(now);
            return Outcome::Finish(reason);
        }
        let (m, renewed, found) = match (stepped, fault.take()) {
            (_, Some(f)) => return Outcome::Refuse(f),
            (Err(f), None) => return Outcome::Refuse(Fault::Numerical(f.to_string())),
            (Ok(v), None) => v,
        };
        let mut reason = None;
        if let Some(r) = &seen {
            let norm = norm2(r);
            let relative = norm / unit;
            next.measures.stationarity = norm_inf(r);
            next.measures.objective = kept.objective(&m.x, r);
            // A'r small beside r: no vector solves the system, or this point does as well as any.
            let stuck = m.steps > 0 && m.normal_norm <= 1e-12 * m.size * m.residual_norm;
            let near = kept.reached(r, norm, tolerance) && (limited || stuck || found == MinresStep::Done);
            if near || kept.aimed(r, norm, tolerance) {
                let top = kept.largest(problem);
                // |A x| / |x| is no smaller than the smallest eigenvalue, in size.
                let mut ax = vec![0.0; b.len()];
                kept.apply(problem, &m.x, &mut ax, &mut fault);
                let low = (sumsq(&ax) / sumsq(&m.x)).sqrt();
                next.slots[0] = Slot::Number((top / low).max(1.0));
                next.slots[1] = Slot::Number(norm / low / norm2(&m.x).max(f64::MIN_POSITIVE));
                reason = Some(Reason::new(Status::Optimal, kept.name.clone()));
            } else if stuck || (found == MinresStep::Done && !limited) {
                reason = Some(if kept.is_system() {
                    Reason::new(
                        Status::Infeasible,
                        "the matrix is singular and no vector solves the system",
                    )
                } else {
                    Reason::new(
                        Status::Stalled,
                        "the gradient has a part in directions without curvature: the objective has no minimum",
                    )
                });
            } else if limited {
                let why = format!(
                    "rounding lets the residual fall to {relative:.1e} of the right side and no further; the tolerance is \
                     {tolerance:.0e}"
                );
                reason = Some(Reason::new(Status::PrecisionLimited, why).with_floor(relative));
            }
        } else {
            next.measures.stationarity = m.residual_norm;
        }
        next.records[0] = m.residual_norm / m.first.max(f64::MIN_POSITIVE);
        next.measures.gradient_scale = 1.0 + norm_inf(b);
        next.measures.gap = f64::NAN;
        let steps = m.steps;
        pack(m, renewed, next);
        match reason {
            None if steps >= krylov::most_steps(now.x.len()) => Outcome::Finish(Reason::new(
                Status::StepLimit,
                format!(
                    "{steps} steps did not bring the residual to the tolerance; a preconditioner or `direct()` may"
                ),
            )),
            Some(r) => Outcome::Finish(r),
            None => Outcome::Proceed(Events::default()),
        }
    }
}
