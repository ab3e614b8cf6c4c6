//! Conjugate gradients on symmetric positive definite systems and convex quadratics, with the error they leave.
//!
//! Invariant: optimal is claimed for a residual computed afresh; a bound on the error is called one only where it is.
//!
//! Source: see `linalg::krylov`.

use ravine_linalg::krylov::{CgStep, ConjugateGradient, Direction};
use ravine_linalg::reduce::{dot, norm2, sumsq};

use super::krylov::{self, EVIDENCE, Kept, PRECONDITIONER, RIGHT, Wanted, take};
use crate::solve::method::{
    Class, Events, Fault, Granularity, Method, MethodCard, Needs, OptionKind, OptionSpec, Outcome, Refusal, Seed,
    Settings, SlotSpec, StepCx,
};
use crate::solve::oracle::Oracle;
use crate::solve::state::{Point, Slot, SlotKind, State};
use crate::solve::stop::{Reason, Status};
use crate::solve::vector::norm_inf;

/// The row of `cg`.
pub static CARD: MethodCard = MethodCard {
    name: "cg",
    aliases: &["conjugate_gradients", "pcg"],
    title: "conjugate gradients",
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
    options: &[
        PRECONDITIONER,
        OptionSpec {
            name: "window",
            kind: OptionKind::Count {
                lo: 0,
                hi: 1000,
                default: 0,
            },
            doc: "directions that a new one is kept conjugate to, for a preconditioner that is not a fixed linear map; 0 \
                  for the classical method",
        },
        OptionSpec {
            name: "least",
            kind: OptionKind::Real {
                lo: 0.0,
                open: false,
                hi: f64::INFINITY,
                default: 0.0,
            },
            doc: "a number no larger than the smallest eigenvalue of the preconditioned matrix; with it the error that is \
                  reported in the energy norm is a bound; 0 takes an estimate",
        },
    ],
    state: &[
        EVIDENCE[0],
        EVIDENCE[1],
        EVIDENCE[2],
        SlotSpec {
            name: "residual",
            kind: SlotKind::Array,
            doc: "right side minus product",
        },
        SlotSpec {
            name: "direction",
            kind: SlotKind::Array,
            doc: "direction of the next step",
        },
        SlotSpec {
            name: "lengths",
            kind: SlotKind::Array,
            doc: "lengths of the first steps",
        },
        SlotSpec {
            name: "ratios",
            kind: SlotKind::Array,
            doc: "ratios of preconditioned residuals after and before those steps",
        },
        SlotSpec {
            name: "scalars",
            kind: SlotKind::Array,
            doc: "r'Mr now and at the start, residual norm, steps, smallest Rayleigh quotient, drifted residuals in a row, residual when \
                  begun anew",
        },
        SlotSpec {
            name: "kept",
            kind: SlotKind::Array,
            doc: "directions of the window, their products and curvatures",
        },
        SlotSpec {
            name: "energy",
            kind: SlotKind::Array,
            doc: "lower and upper value of the relative error in the energy norm, and the condition of the preconditioned \
                  matrix",
        },
        RIGHT,
    ],
    records: &["residual"],
    guarantees: "The energy norm of the error falls in every step; the residual is within the tolerance when `optimal` is \
                 claimed.",
    doc: "Solves `A x = b` with a symmetric positive definite matrix, and minimizes convex quadratics without constraints, \
          by products with the matrix and a preconditioner. A sparse matrix is never factored with fill.",
    source: "Hestenes and Stiefel (1952); Golub and Meurant, Matrices, Moments and Quadrature (2010); Notay, SIAM J. Sci. \
             Comput. 22 (2000)",
    build: |s| Box::new(Cg::new(s)),
};

/// Slots after the evidence.
const R: usize = 3;
const P: usize = 4;
const GAMMAS: usize = 5;
const DELTAS: usize = 6;
const SCALARS: usize = 7;
const OLDER: usize = 8;
/// Slot of the energy error and the preconditioned condition.
pub const ENERGY: usize = 9;
const LAST: usize = 10;

/// Conjugate gradients.
pub struct Cg {
    preconditioner: Wanted,
    window: usize,
    least: f64,
}

impl Cg {
    fn new(s: &Settings) -> Cg {
        Cg {
            preconditioner: Wanted::of(s),
            window: s.count("window"),
            least: s.real("least"),
        }
    }

    /// What the answer is worth: condition from below, relative error, and the log's numbers.
    fn evidence(&self, problem: &mut dyn Oracle, kept: &Kept, cg: &ConjugateGradient, next: &mut State) -> String {
        let x = &cg.x;
        let size = norm2(x);
        let found = cg.tridiagonal().extremes();
        let (low, high) = found.unwrap_or((f64::NAN, f64::NAN));
        let bound = self.least > 0.0;
        let least = if bound { self.least } else { 0.9 * low };
        let above = if cg.residual_norm == 0.0 {
            0.0
        } else if found.is_none() && !bound {
            // A start that solves the equations: nothing was learnt of the spectrum behind the preconditioner.
            f64::NAN
        } else {
            cg.at_most(least)
        };
        // x'Ax = x'(b - r): the energy of the point, and what x says of the smallest eigenvalue.
        let energy = (dot(x, &kept.right) - dot(x, &cg.r)).max(0.0);
        let mut smallest = cg.rayleigh.min(energy / sumsq(x));
        let mut largest = kept.largest(problem);
        if kept.is_plain() && found.is_some() {
            // The iteration's own spectrum is that of the matrix, and knows its ends better.
            smallest = smallest.min(low);
            largest = largest.max(high);
        }
        let relative = above / energy.sqrt();
        let delay = cg.steps.min(10);
        let below = cg.at_least(delay).map_or(f64::NAN, |v| v / energy.sqrt());
        let condition = largest / smallest;
        let error = if size > 0.0 {
            above / smallest.sqrt() / size
        } else {
            above
        };
        next.slots[0] = Slot::Number(condition.max(1.0));
        next.slots[1] = Slot::Number(error);
        next.slots[ENERGY] = Slot::Array(vec![below, relative, high / low]);
        if found.is_none() {
            return kept.name.clone();
        }
        let word = if bound { "at most" } else { "about" };
        let behind = (high / low).max(1.0);
        let behind = if behind < 1e4 {
            format!("{behind:.0}")
        } else {
            format!("{behind:.1e}")
        };
        let error = if relative.is_finite() {
            format!("; error in the energy norm {word} {relative:.1e}")
        } else {
            String::new()
        };
        format!("{}; condition behind it {behind}{error}", kept.name)
    }
}

/// The iteration out of a state, which keeps empty arrays; none before the first step.
fn unpack(s: &mut State, window: usize) -> Option<ConjugateGradient> {
    let n = s.x.len();
    let scalars = take(s, SCALARS);
    let [rz, first, residual_norm, steps, rayleigh, parted, renewed] = <[f64; 7]>::try_from(scalars).ok()?;
    let kept = take(s, OLDER);
    let older = kept
        .chunks_exact(2 * n + 1)
        .map(|c| Direction {
            p: c[..n].to_vec(),
            ap: c[n..2 * n].to_vec(),
            curvature: c[2 * n],
        })
        .collect();
    Some(ConjugateGradient {
        x: std::mem::take(&mut s.x),
        r: take(s, R),
        p: take(s, P),
        rz,
        first,
        steps: steps as usize,
        residual_norm,
        gammas: take(s, GAMMAS),
        deltas: take(s, DELTAS),
        rayleigh,
        parted: parted as usize,
        renewed,
        window,
        older,
    })
}

fn pack(cg: ConjugateGradient, s: &mut State) {
    s.slots[SCALARS] = Slot::Array(vec![
        cg.rz,
        cg.first,
        cg.residual_norm,
        cg.steps as f64,
        cg.rayleigh,
        cg.parted as f64,
        cg.renewed,
    ]);
    let mut older = vec![];
    for d in &cg.older {
        older.extend_from_slice(&d.p);
        older.extend_from_slice(&d.ap);
        older.push(d.curvature);
    }
    s.slots[OLDER] = Slot::Array(older);
    s.x = cg.x;
    s.slots[R] = Slot::Array(cg.r);
    s.slots[P] = Slot::Array(cg.p);
    s.slots[GAMMAS] = Slot::Array(cg.gammas);
    s.slots[DELTAS] = Slot::Array(cg.deltas);
}

impl Method for Cg {
    fn card(&self) -> &MethodCard {
        &CARD
    }

    fn misfit(&self, n: usize) -> Option<String> {
        let why = self.preconditioner.misfit(n, self.window == 0)?;
        Some(match why.contains("not symmetric") {
            true => format!("{why}; with `window: 10`, conjugate gradients forgive that"),
            false => why,
        })
    }

    fn start(&self, problem: &mut dyn Oracle, from: &Point, _seed: Seed) -> Result<State, Refusal> {
        krylov::check(problem, from)?;
        krylov::fresh_state(&CARD, problem, from)
    }

    fn step(&self, problem: &mut dyn Oracle, now: &State, next: &mut State, cx: &mut StepCx<'_>) -> Outcome {
        next.copy_from(now);
        let made = cx
            .cache
            .get_or(|| Kept::new(problem, now.slots[LAST].array(), &self.preconditioner, true));
        let kept: &Kept = match made {
            Ok(k) => k,
            Err(f) => return Outcome::Refuse(f.clone()),
        };
        let tolerance = cx.tolerance;
        let mut fault: Option<Fault> = None;
        let state = unpack(next, self.window);
        let mut pre = |r: &[f64], z: &mut [f64]| kept.precondition(r, z);
        let stepped = {
            let mut apply = |v: &[f64], out: &mut [f64]| kept.apply(problem, v, out, &mut fault);
            let begun = match state {
                Some(cg) => Ok(cg),
                None => ConjugateGradient::start(&kept.right, &now.x, &mut apply, &mut pre)
                    .map(|cg| cg.flexible(self.window)),
            };
            begun.and_then(|mut cg| {
                // A start that solves the equations is an answer.
                if cg.steps == 0 && kept.aimed(&cg.r, cg.residual_norm, tolerance) {
                    return Ok((cg, CgStep::Done));
                }
                let found = cg.step(&kept.right, &mut apply, &mut pre)?;
                if found == CgStep::Proceed && kept.aimed(&cg.r, cg.residual_norm, tolerance) {
                    // Claimed by an updated residual: what counts is one that is computed.
                    let r = cg.true_residual(&kept.right, &mut apply);
                    let norm = norm2(&r);
                    if kept.aimed(&r, norm, tolerance) {
                        (cg.r, cg.residual_norm) = (r, norm);
                    } else {
                        cg.renew(&kept.right, &mut apply, &mut pre);
                    }
                }
                Ok((cg, found))
            })
        };
        if let Some(reason) = kept.not_positive() {
            next.copy_from(now);
            return Outcome::Finish(reason);
        }
        let (cg, found) = match (stepped, fault) {
            (_, Some(f)) => return Outcome::Refuse(f),
            (Err(f), None) => return Outcome::Refuse(Fault::Numerical(f.to_string())),
            (Ok(v), None) => v,
        };
        let right = norm2(&kept.right);
        let relative = cg.residual_norm / if right > 0.0 { right } else { 1.0 };
        next.records[0] = relative;
        next.measures.stationarity = norm_inf(&cg.r);
        next.measures.gradient_scale = 1.0 + norm_inf(&kept.right);
        next.measures.objective = kept.objective(&cg.x, &cg.r);
        next.measures.gap = f64::NAN;
        let reached = kept.aimed(&cg.r, cg.residual_norm, tolerance);
        let reason = match found {
            _ if reached => Some(Reason::new(Status::Optimal, self.evidence(problem, kept, &cg, next))),
            CgStep::Curvature(c) => Some(Reason::new(
                Status::Stalled,
                format!(
                    "the curvature along a direction is {c:.1e}: the matrix is not positive definite; `minres()` takes \
                     such a system"
                ),
            )),
            CgStep::Done => Some(Reason::new(Status::Optimal, self.evidence(problem, kept, &cg, next))),
            CgStep::Proceed if cg.parted >= 2 => {
                let mut ignored = None;
                let r = cg.true_residual(&kept.right, &mut |v, out| kept.apply(problem, v, out, &mut ignored));
                let relative = norm2(&r) / if right > 0.0 { right } else { 1.0 };
                next.measures.stationarity = norm_inf(&r);
                let worth = self.evidence(problem, kept, &cg, next);
                if kept.reached(&r, norm2(&r), tolerance) {
                    Some(Reason::new(Status::Optimal, worth))
                } else {
                    let why = format!(
                        "rounding lets the residual fall to {relative:.1e} of the right side and no further; the tolerance is \
                     {tolerance:.0e}"
                    );
                    Some(Reason::new(Status::PrecisionLimited, why).with_floor(relative))
                }
            }
            CgStep::Proceed => None,
        };
        let steps = cg.steps;
        pack(cg, next);
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
