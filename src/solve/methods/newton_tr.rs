//! Trust-region Newton with exact second derivatives, unconstrained or with bounds.
//!
//! Invariant: the objective never rises beyond its rounding noise; a trial that cannot be evaluated is a rejected
//! trial, not a fault.
//!
//! Source: Moré and Sorensen (1983) for the exact step; Steihaug (1983) for the truncated one; Lin and Moré (1999)
//! for bounds.

use crate::solve::method::{
    Class, Events, Fault, Granularity, Method, MethodCard, Needs, OptionKind, OptionSpec, Outcome, Refusal, Seed,
    SlotSpec, StepCx,
};
use crate::solve::oracle::{Bounds, Oracle};
use crate::solve::state::{Point, Slot, SlotKind, State};
use crate::solve::stop::{Reason, Status};
use crate::solve::vector::{norm_inf, norm2};

use super::conditions::{
    SecondOrder, along_negative, bound_multipliers, diverged, elsewhere, evaluate, far, farther, inactive, land,
    measure, project, projected_step, second_order, trial_value, value_noise,
};
use super::curvature::Curvature;
use super::projected::{Inner, StepWork, model_step};

/// The row of `newton_tr`.
pub static CARD: MethodCard = MethodCard {
    name: "newton_tr",
    aliases: &["newton", "newton_cg", "trust_region"],
    title: "trust-region Newton",
    accepts: &[
        Class::Smooth,
        Class::SmoothBounds,
        Class::LeastSquares,
        Class::ConvexQuadratic,
    ],
    needs: Needs {
        value: true,
        gradient: true,
        hvp: true,
        hessian: false,
        form: false,
        prox: false,
        project: false,
        constraints: false,
        residuals: false,
    },
    granularity: Granularity::Step,
    options: &[
        OptionSpec {
            name: "inner",
            kind: OptionKind::Choice(&["auto", "exact", "cg"]),
            doc: "how the model is minimized: by factors of the Hessian, by products, or by size",
        },
        OptionSpec {
            name: "radius",
            kind: OptionKind::Real {
                lo: 0.0,
                open: false,
                hi: f64::INFINITY,
                default: 0.0,
            },
            doc: "first trust radius; 0 takes it from the start",
        },
    ],
    state: &[
        SlotSpec {
            name: "gradient",
            kind: SlotKind::Array,
            doc: "gradient at the point",
        },
        SlotSpec {
            name: "radius",
            kind: SlotKind::Number,
            doc: "trust radius",
        },
        SlotSpec {
            name: "cauchy",
            kind: SlotKind::Number,
            doc: "length of the last projected gradient step",
        },
        SlotSpec {
            name: "stagnant",
            kind: SlotKind::Count,
            doc: "steps in a row taken for the gradient's sake alone",
        },
    ],
    records: &["radius", "rejected", "inner"],
    guarantees: "Converges to points that satisfy the second-order necessary conditions from any start, where the \
                 objective is bounded below on its level set; quadratically near a minimum with definite Hessian.",
    doc: "Minimizes a quadratic model with the exact Hessian within a trust region, by shifted Cholesky factors for \
          small or sparse Hessians and by truncated conjugate gradients otherwise. Bounds are kept by projection.",
    source: "Moré and Sorensen, SIAM J. Sci. Stat. Comput. 4 (1983); Steihaug, SIAM J. Numer. Anal. 20 (1983); Lin \
             and Moré, SIAM J. Optim. 9 (1999)",
    build: |s| {
        Box::new(NewtonTr {
            inner: s.choice("inner"),
            radius: s.real("radius"),
        })
    },
};

const GRADIENT: usize = 0;
const RADIUS: usize = 1;
const CAUCHY: usize = 2;
const STAGNANT: usize = 3;

/// Settings of trust-region Newton.
pub struct NewtonTr {
    inner: &'static str,
    radius: f64,
}

struct Work {
    h: Curvature,
    step: StepWork,
    s: Vec<f64>,
}

impl Method for NewtonTr {
    fn card(&self) -> &MethodCard {
        &CARD
    }

    fn fits(&self, state: &State) -> bool {
        state.slots.first().is_some_and(|g| g.array().len() == state.x.len())
    }

    fn start(&self, problem: &mut dyn Oracle, from: &Point, _seed: Seed) -> Result<State, Refusal> {
        let mut x = from.values.clone();
        let bounds = problem.bounds();
        project(bounds.as_deref(), &mut x);
        let mut g = vec![0.0; x.len()];
        let f = evaluate(problem, &x, &mut g).map_err(Refusal::Fault)?;
        let radius = if self.radius > 0.0 {
            self.radius
        } else {
            norm2(&x).max(1.0)
        };
        let mut state = State::new(x, vec![], CARD.records.len());
        measure(bounds.as_deref(), problem.unit(), &state.x, f, &g, &mut state.measures);
        state.slots = vec![Slot::Array(g), Slot::Number(radius), Slot::Number(1.0), Slot::Count(0)];
        state.records[0] = radius;
        Ok(state)
    }

    fn step(&self, problem: &mut dyn Oracle, now: &State, next: &mut State, cx: &mut StepCx<'_>) -> Outcome {
        let mut cache = std::mem::take(cx.cache);
        let n = now.x.len();
        let work = cache.get_or(|| Work {
            h: Curvature::of(problem),
            step: StepWork::default(),
            s: vec![0.0; n],
        });
        let outcome = self.attempt(problem, now, next, cx, work);
        *cx.cache = cache;
        outcome.unwrap_or_else(Outcome::Refuse)
    }
}

/// The point with the free variables off their bounds, if one is on any.
fn inside(bounds: Option<&Bounds>, x: &[f64], free: &[bool]) -> Option<Vec<f64>> {
    let b = bounds?;
    let mut p = x.to_vec();
    let mut moved = false;
    for i in (0..x.len()).filter(|&i| free[i]) {
        let by = (1e-2 * x[i].abs().max(1.0)).min(0.5 * (b.upper[i] - b.lower[i]));
        let sign = f64::from(u8::from(x[i] <= b.lower[i])) - f64::from(u8::from(x[i] >= b.upper[i]));
        p[i] += sign * by;
        moved |= sign != 0.0;
    }
    moved.then_some(p)
}

/// What a trial came to.
enum Trial {
    Accepted,
    Rejected,
}

impl NewtonTr {
    fn attempt(
        &self,
        problem: &mut dyn Oracle,
        now: &State,
        next: &mut State,
        cx: &StepCx<'_>,
        work: &mut Work,
    ) -> Result<Outcome, Fault> {
        next.copy_from(now);
        let bounds = problem.bounds();
        let bounds = bounds.as_deref();
        let (x, g) = (&now.x, now.slots[GRADIENT].array());
        let f = now.measures.objective;
        let stationarity = now.measures.stationarity;
        let threshold = cx.tolerance * now.measures.gradient_scale;
        if let Some(why) = diverged(f, x) {
            return Ok(Outcome::Finish(why));
        }
        if let Err(fault) = work.h.evaluate(problem, x) {
            // On a bound the curvature may be infinite, as that of x^1.5 at 0: a variable that is held there has none, another
            // moves off.
            let mut free = vec![true; x.len()];
            inactive(bounds, x, g, &mut free);
            if !(work.h.is_explicit() && matches!(fault, Fault::NotFinite { .. })) {
                return Err(fault);
            }
            if !work.h.only_free(&free) {
                return match inside(bounds, x, &free) {
                    Some(p) if trial_value(problem, &p)?.is_finite() => {
                        self.jump(problem, now, next, &p, "left a bound where the curvature is infinite")
                    }
                    _ => Err(fault),
                };
            }
        }
        let exact = self.inner != "cg" && work.h.can_factor();
        if stationarity <= threshold && !far(problem, x, f, g, cx.tolerance) {
            if let Some(p) = farther(problem, bounds, x, f, g, cx.tolerance)? {
                return self.jump(problem, now, next, &p, "went on to where the objective is lower");
            }
            let claim = if problem.convex() {
                Ok(Reason::new(
                    Status::Optimal,
                    "stationary to the tolerance, and the problem is convex",
                ))
            } else {
                match second_order(&mut work.h, problem, bounds, x, f, g, threshold)? {
                    SecondOrder::Minimum => Ok(Reason::new(
                        Status::LocallyOptimal,
                        "stationary to the tolerance, and the curvature is positive",
                    )),
                    SecondOrder::Flat => Ok(Reason::new(
                        Status::LocallyOptimal,
                        "stationary to the tolerance; the curvature is nonnegative, and zero to rounding in a direction \
                         along which no descent was found",
                    )),
                    SecondOrder::Unknown(why) => Ok(Reason::new(Status::Stationary, why)),
                    SecondOrder::Descent(p) => Err(p),
                    SecondOrder::Negative(z) => along_negative(problem, bounds, x, f, &z, now.slots[RADIUS].number())?
                        .map_or_else(
                            || {
                                Ok(Reason::new(
                                    Status::Stationary,
                                    "curvature is negative along a direction, but no descent was found along it",
                                ))
                            },
                            Err,
                        ),
                }
            };
            return match claim {
                Ok(reason) => {
                    if exact {
                        self.polish(problem, bounds, now, next, work)?;
                    }
                    bound_multipliers(bounds, next.slots[GRADIENT].array(), &next.x, &mut next.multipliers);
                    Ok(Outcome::Finish(reason))
                }
                Err(p) => self.jump(problem, now, next, &p, "left a stationary point that is not a minimum"),
            };
        }
        let inner = if exact {
            Inner::Factor
        } else {
            if work.h.is_explicit() {
                work.step.metric.resize(x.len(), 1.0);
                work.h.diagonal(&mut work.step.metric);
                jacobi(&mut work.step.metric);
            }
            Inner::Cg(stationarity.sqrt().min(0.1) * stationarity)
        };
        let mut radius = now.slots[RADIUS].number();
        let mut cauchy = now.slots[CAUCHY].number();
        let mut noise = 4.0 * f64::EPSILON * f.abs();
        let mut measured_noise = false;
        let mut rejected = 0u32;
        let mut spent = 0u32;
        loop {
            if cx.interrupted() || (cx.out_of_time)() {
                return Ok(Outcome::Refuse(Fault::Interrupted));
            }
            let model = model_step(
                &mut work.h,
                problem,
                bounds,
                x,
                g,
                radius,
                &mut cauchy,
                inner,
                &mut work.s,
                &mut work.step,
            )?;
            spent += model.ball.work;
            for i in 0..x.len() {
                next.x[i] = match bounds {
                    Some(b) => land(b, i, x[i], work.s[i]),
                    None => x[i] + work.s[i],
                };
            }
            let size = norm2(&work.s);
            let ft = trial_value(problem, &next.x)?;
            let reduction = f - ft;
            let small = model.predicted <= 1e3 * f64::EPSILON * f.abs();
            if !measured_noise && reduction < 0.25 * model.predicted && (small || rejected >= 3) {
                noise = value_noise(problem, bounds, x, f, g)?;
                measured_noise = true;
            }
            let ratio = if model.predicted > 0.0 {
                reduction / model.predicted
            } else {
                f64::NEG_INFINITY
            };
            radius = next_radius(radius, size, ratio, ft - f - model.slope, model.slope, &model);
            let decided = if ratio > 1e-4 && reduction > noise {
                self.commit(problem, bounds, now, next, ft, None)?
            } else if ft.is_finite() && reduction >= -2.0 * noise && !model.ball.boundary {
                // Values no longer tell: the gradient does.
                self.commit(problem, bounds, now, next, ft, Some(0.5 * stationarity))?
            } else {
                Trial::Rejected
            };
            if let Trial::Accepted = decided {
                let only_gradient = !(ratio > 1e-4 && reduction > noise);
                next.slots[STAGNANT] = Slot::Count(if only_gradient {
                    now.slots[STAGNANT].count() + 1
                } else {
                    0
                });
                next.slots[RADIUS] = Slot::Number(radius.max(1e-300));
                next.slots[CAUCHY] = Slot::Number(cauchy);
                next.measures.change = size;
                next.records
                    .copy_from_slice(&[radius, f64::from(rejected), f64::from(spent)]);
                return Ok(Outcome::Proceed(Events { rejected, note: None }));
            }
            rejected += 1;
            let lost = size <= 2.0 * f64::EPSILON * norm2(x) || size == 0.0 || rejected >= 80;
            if model.predicted <= noise || lost {
                next.copy_from(now);
                if let Some(b) = bounds
                    && let Some(p) = elsewhere(problem, b, x, f, g, cx.tolerance)?
                {
                    return self.jump(problem, now, next, &p, "went on from where no step led on");
                }
                return Ok(Outcome::Finish(self.no_progress(
                    work,
                    x,
                    now,
                    model.predicted <= 10.0 * noise,
                )));
            }
            radius = radius.min(0.5 * size.max(f64::MIN_POSITIVE));
        }
    }

    /// Evaluates the gradient at the trial in `next`; with `at_most`, accepts only if stationarity falls to it.
    fn commit(
        &self,
        problem: &mut dyn Oracle,
        bounds: Option<&Bounds>,
        now: &State,
        next: &mut State,
        f: f64,
        at_most: Option<f64>,
    ) -> Result<Trial, Fault> {
        let State { x, slots, measures, .. } = next;
        let g = slots[GRADIENT].array_mut();
        match problem.gradient(x, g) {
            Err(Fault::NotFinite { .. }) => return Ok(Trial::Rejected),
            Err(other) => return Err(other),
            Ok(()) if g.iter().any(|v| !v.is_finite()) => return Ok(Trial::Rejected),
            Ok(()) => {}
        }
        if let Some(limit) = at_most {
            let reached = (0..x.len())
                .map(|i| projected_step(bounds, x, g, i).abs())
                .fold(0.0, f64::max);
            if reached > limit || now.slots[STAGNANT].count() >= 60 {
                return Ok(Trial::Rejected);
            }
        }
        measure(bounds, problem.unit(), x, f, g, measures);
        Ok(Trial::Accepted)
    }

    /// One more Newton step from a point that already passed, kept if the gradient falls and the value does not rise
    /// beyond rounding: where convergence is quadratic it doubles the correct digits for one evaluation.
    fn polish(
        &self,
        problem: &mut dyn Oracle,
        bounds: Option<&Bounds>,
        now: &State,
        next: &mut State,
        work: &mut Work,
    ) -> Result<(), Fault> {
        let (x, g, f) = (&now.x, now.slots[GRADIENT].array(), now.measures.objective);
        if now.measures.stationarity == 0.0 {
            return Ok(());
        }
        let radius = now.slots[RADIUS].number();
        let mut cauchy = now.slots[CAUCHY].number();
        let (h, s, step) = (&mut work.h, &mut work.s, &mut work.step);
        let model = model_step(h, problem, bounds, x, g, radius, &mut cauchy, Inner::Factor, s, step)?;
        if model.ball.boundary || model.ball.negative {
            return Ok(());
        }
        for i in 0..x.len() {
            next.x[i] = bounds.map_or(x[i] + s[i], |b| land(b, i, x[i], s[i]));
        }
        let ft = trial_value(problem, &next.x)?;
        let kept = ft <= f + 4.0 * f64::EPSILON * f.abs()
            && matches!(
                self.commit(problem, bounds, now, next, ft, Some(0.9 * now.measures.stationarity))?,
                Trial::Accepted
            );
        if kept {
            next.measures.change = norm2(&work.s);
        } else {
            next.copy_from(now);
        }
        Ok(())
    }

    /// Moves to a point of smaller value that a probe found.
    fn jump(
        &self,
        problem: &mut dyn Oracle,
        now: &State,
        next: &mut State,
        to: &[f64],
        note: &'static str,
    ) -> Result<Outcome, Fault> {
        next.x.copy_from_slice(to);
        let State { x, slots, measures, .. } = next;
        let g = slots[GRADIENT].array_mut();
        let f = evaluate(problem, x, g)?;
        measure(problem.bounds().as_deref(), problem.unit(), x, f, g, measures);
        let moved: Vec<f64> = to.iter().zip(&now.x).map(|(a, b)| a - b).collect();
        next.measures.change = norm2(&moved);
        next.slots[RADIUS] = Slot::Number(now.slots[RADIUS].number().max(next.measures.change));
        next.slots[STAGNANT] = Slot::Count(0);
        Ok(Outcome::Proceed(Events {
            rejected: 0,
            note: Some(note),
        }))
    }

    fn no_progress(&self, work: &Work, x: &[f64], now: &State, rounding: bool) -> Reason {
        let floor = if work.h.is_explicit() {
            let mut shaken = vec![0.0; x.len()];
            work.h.apply_abs(x, &mut shaken);
            f64::EPSILON * norm_inf(&shaken)
        } else {
            0.0
        };
        let reached = now.measures.stationarity;
        if rounding || reached <= 16.0 * floor {
            Reason::new(
                Status::PrecisionLimited,
                format!("values differ by rounding only; stationarity {reached:.1e} was reached"),
            )
            .with_floor(floor.max(reached))
        } else {
            Reason::new(
                Status::Stalled,
                "no step within the trust region lowers the objective as its derivatives promise",
            )
        }
    }
}

/// A positive diagonal from that of the Hessian, with geometric mean near one so that radii keep their meaning.
fn jacobi(d: &mut [f64]) {
    let largest = norm_inf(d);
    if largest == 0.0 || !largest.is_finite() {
        d.fill(1.0);
        return;
    }
    let floor = 1e-8 * largest;
    for v in d.iter_mut() {
        *v = v.abs().max(floor);
    }
    let mean = ravine_linalg::reduce::sum(d) / d.len() as f64;
    d.iter_mut().for_each(|v| *v /= mean);
}

/// The radius after a trial (the rules of TRON): by the ratio of reductions, and by interpolation along the step.
fn next_radius(
    radius: f64,
    size: f64,
    ratio: f64,
    excess: f64,
    slope: f64,
    model: &super::projected::ModelStep,
) -> f64 {
    const SHRINK: f64 = 0.25;
    const GROW: f64 = 2.0;
    let a = if !excess.is_finite() {
        SHRINK
    } else if excess <= 0.0 {
        GROW
    } else {
        (-0.5 * slope / excess).max(SHRINK)
    };
    if ratio.is_nan() || ratio < 1e-4 {
        (a.max(SHRINK) * size).min(0.5 * radius)
    } else if ratio < 0.25 {
        (SHRINK * radius).max((a * size).min(0.5 * radius))
    } else if ratio < 0.75 {
        (SHRINK * radius).max((a * size).min(GROW * radius))
    } else if model.ball.boundary && (ratio - 1.0).abs() < 0.01 {
        // The model is all but exact: the ball is what holds the step back.
        radius.max(8.0 * size)
    } else {
        radius.max((a * size).min(GROW * radius))
    }
}
