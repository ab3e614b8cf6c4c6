//! Limited-memory BFGS, with bounds by the projected-gradient path.
//!
//! Invariant: only pairs of positive curvature enter the memory, so every direction is one of descent; the objective
//! never rises beyond its rounding noise.
//!
//! Source: Liu and Nocedal, Math. Program. 45 (1989); Byrd, Lu, Nocedal and Zhu, SIAM J. Sci. Comput. 16 (1995);
//! Morales and Nocedal, ACM TOMS 38 (2011).

use crate::solve::method::{
    Class, Events, Fault, Granularity, Method, MethodCard, Needs, OptionKind, OptionSpec, Outcome, Refusal, Seed,
    SlotSpec, StepCx,
};
use crate::solve::oracle::{Bounds, Oracle};
use crate::solve::state::{History, Point, Slot, SlotKind, State};
use crate::solve::stop::{Reason, Status};
use crate::solve::vector::{dot, norm2};

use super::compact::{Compact, Path};
use super::conditions::{
    SecondOrder, along_negative, bound_multipliers, diverged, elsewhere, evaluate, far, farther, measure, project,
    second_order, value_noise,
};
use super::curvature::Curvature;
use super::line_search::Line;

/// The row of `lbfgs`.
pub static CARD: MethodCard = MethodCard {
    name: "lbfgs",
    aliases: &["lbfgsb", "l_bfgs"],
    title: "L-BFGS",
    accepts: &[Class::Smooth, Class::SmoothBounds, Class::LeastSquares],
    needs: Needs::FIRST_ORDER,
    granularity: Granularity::Step,
    options: &[OptionSpec {
        name: "memory",
        kind: OptionKind::Count {
            lo: 1,
            hi: 1000,
            default: 10,
        },
        doc: "pairs of steps and gradient changes that are kept",
    }],
    state: &[
        SlotSpec {
            name: "gradient",
            kind: SlotKind::Array,
            doc: "gradient at the point",
        },
        SlotSpec {
            name: "steps",
            kind: SlotKind::History,
            doc: "steps of the kept pairs",
        },
        SlotSpec {
            name: "changes",
            kind: SlotKind::History,
            doc: "gradient changes of the kept pairs",
        },
        SlotSpec {
            name: "products",
            kind: SlotKind::Array,
            doc: "inner products of the kept pairs by place: steps with steps, steps with changes, changes with changes",
        },
        SlotSpec {
            name: "noise",
            kind: SlotKind::Number,
            doc: "measured rounding noise of the objective",
        },
        SlotSpec {
            name: "stagnant",
            kind: SlotKind::Count,
            doc: "steps in a row that lowered neither the objective beyond its noise nor the best stationarity",
        },
        SlotSpec {
            name: "best",
            kind: SlotKind::Number,
            doc: "smallest stationarity so far",
        },
    ],
    records: &["length", "trials", "pairs"],
    guarantees: "Converges to stationary points where the gradient is Lipschitz on the level set; linearly for \
                 strongly convex objectives.",
    doc: "Approximates the Hessian from the last few steps and gradient changes; a few vector operations a step, no \
          second derivatives. Bounds are kept by a path along the projected gradient and a subspace step.",
    source: "Liu and Nocedal, Math. Program. 45 (1989); Byrd, Lu, Nocedal and Zhu, SIAM J. Sci. Comput. 16 (1995); \
             Hager and Zhang, SIAM J. Optim. 16 (2005)",
    build: |s| {
        Box::new(Lbfgs {
            memory: s.count("memory"),
        })
    },
};

const GRADIENT: usize = 0;
const STEPS: usize = 1;
const CHANGES: usize = 2;
const PRODUCTS: usize = 3;
const NOISE: usize = 4;
const STAGNANT: usize = 5;
const BEST: usize = 6;

/// Settings of L-BFGS.
pub struct Lbfgs {
    memory: usize,
}

#[derive(Default)]
struct Work {
    d: Vec<f64>,
    coefficients: Vec<f64>,
    path: Path,
}

impl Method for Lbfgs {
    fn card(&self) -> &MethodCard {
        &CARD
    }

    fn fits(&self, state: &State) -> bool {
        let (m, n) = (self.memory, state.x.len());
        let history = |s: &Slot| s.history().is_some_and(|h| (h.capacity(), h.width()) == (m, n));
        matches!(&state.slots[..], [g, s, y, p, ..] if g.array().len() == n
            && history(s) && history(y) && p.array().len() == 3 * m * m)
            && state.slots.iter().all(Slot::is_sound)
    }

    fn start(&self, problem: &mut dyn Oracle, from: &Point, _seed: Seed) -> Result<State, Refusal> {
        let mut x = from.values.clone();
        let n = x.len();
        let bounds = problem.bounds();
        project(bounds.as_deref(), &mut x);
        let mut g = vec![0.0; n];
        let f = evaluate(problem, &x, &mut g).map_err(Refusal::Fault)?;
        let mut state = State::new(x, vec![], CARD.records.len());
        measure(bounds.as_deref(), problem.unit(), &state.x, f, &g, &mut state.measures);
        let m = self.memory;
        state.slots = vec![
            Slot::Array(g),
            Slot::History(History::new(m, n)),
            Slot::History(History::new(m, n)),
            Slot::Array(vec![0.0; 3 * m * m]),
            Slot::Number(0.0),
            Slot::Count(0),
            Slot::Number(state.measures.stationarity),
        ];
        Ok(state)
    }

    fn step(&self, problem: &mut dyn Oracle, now: &State, next: &mut State, cx: &mut StepCx<'_>) -> Outcome {
        let mut cache = std::mem::take(cx.cache);
        let outcome = self.attempt(problem, now, next, cx, cache.get_or(Work::default));
        *cx.cache = cache;
        outcome.unwrap_or_else(Outcome::Refuse)
    }
}

impl Lbfgs {
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
        let (x, g, f) = (&now.x, now.slots[GRADIENT].array(), now.measures.objective);
        let threshold = cx.tolerance * now.measures.gradient_scale;
        if let Some(why) = diverged(f, x) {
            return Ok(Outcome::Finish(why));
        }
        if now.measures.stationarity <= threshold && !far(problem, x, f, g, cx.tolerance) {
            return match farther(problem, bounds, x, f, g, cx.tolerance)? {
                Some(p) => self.begin_at(
                    problem,
                    bounds,
                    now,
                    next,
                    &p,
                    "went on to where the objective is lower",
                ),
                None => self.conclude(problem, bounds, now, next, threshold),
            };
        }
        if now.slots[STAGNANT].count() >= 30 {
            return match bounds {
                Some(b) => elsewhere(problem, b, x, f, g, cx.tolerance)?,
                None => None,
            }
            .map_or_else(
                || Ok(Outcome::Finish(rounding_reached(now))),
                |p| self.begin_at(problem, bounds, now, next, &p, "went on from where no step led on"),
            );
        }
        let (Some(steps), Some(changes)) = (now.slots[STEPS].history(), now.slots[CHANGES].history()) else {
            return Err(Fault::Numerical("the state has lost its history".into()));
        };
        let mut memory = Compact::new(steps, changes, now.slots[PRODUCTS].array());
        let mut noise = now.slots[NOISE].number().max(4.0 * f64::EPSILON * f.abs());
        let mut rejected = 0;
        work.d.resize(x.len(), 0.0);
        loop {
            if cx.interrupted() || (cx.out_of_time)() {
                return Ok(Outcome::Refuse(Fault::Interrupted));
            }
            match bounds {
                Some(b) => memory.bounded_direction(b, x, g, &mut work.d, &mut work.path),
                None => memory.direction(g, &mut work.d, &mut work.coefficients),
            }
            let slope = dot(g, &work.d);
            let size = norm2(&work.d);
            let descent = slope < 0.0 && size.is_finite() && slope < -1e-14 * norm2(g) * size;
            let longest = match bounds {
                Some(b) => longest_feasible(b, x, &work.d),
                None => f64::INFINITY,
            };
            let first = if memory.is_empty() { (1.0 / size).min(1.0) } else { 1.0 };
            let State { x: next_x, slots, .. } = next;
            let line = Line {
                x,
                d: &work.d,
                f,
                slope,
                first,
                longest,
                noise,
                bounds,
            };
            let found = if descent {
                Some(line.search(problem, next_x, slots[GRADIENT].array_mut())?)
            } else {
                None
            };
            if let Some(found) = found.filter(|t| t.length > 0.0) {
                rejected += found.trials - 1;
                measure(
                    bounds,
                    problem.unit(),
                    &next.x,
                    found.value,
                    next.slots[GRADIENT].array(),
                    &mut next.measures,
                );
                next.measures.change = found.length * size;
                let pairs = self.remember(now, next, memory.is_empty(), bounds.is_some());
                let best = now.slots[BEST].number();
                let reached = next.measures.stationarity;
                let progress = f - found.value > noise || reached < 0.5 * best;
                next.slots[STAGNANT] = Slot::Count(if progress { 0 } else { now.slots[STAGNANT].count() + 1 });
                next.slots[BEST] = Slot::Number(best.min(reached));
                next.slots[NOISE] = Slot::Number(if noise > 4.0 * f64::EPSILON * f.abs() {
                    noise
                } else {
                    0.0
                });
                next.records
                    .copy_from_slice(&[found.length, f64::from(found.trials), pairs as f64]);
                return Ok(Outcome::Proceed(Events { rejected, note: None }));
            }
            rejected += found.map_or(0, |t| t.trials);
            // First the noise is measured, then the memory is dropped, then nothing is left to try.
            let measured = value_noise(problem, bounds, x, f, g)?;
            if measured > noise && descent {
                noise = measured;
            } else if !memory.is_empty() {
                memory.forget();
            } else {
                if let Some(b) = bounds
                    && let Some(p) = elsewhere(problem, b, x, f, g, cx.tolerance)?
                {
                    return self.begin_at(problem, bounds, now, next, &p, "went on from where no step led on");
                }
                next.copy_from(now);
                let expected = -0.5 * slope * now.records[0].clamp(1e-12, 1.0);
                let rounding = !slope.is_finite() || expected <= 100.0 * measured;
                return Ok(Outcome::Finish(if rounding {
                    rounding_reached(now)
                } else {
                    Reason::new(
                        Status::Stalled,
                        "no point along the steepest descent lowers the objective as its gradient promises",
                    )
                }));
            }
        }
    }

    /// Adds the pair of this step, if its curvature is positive beyond rounding; returns how many are kept.
    /// The compact form alone needs the products between different pairs.
    fn remember(&self, now: &State, next: &mut State, restart: bool, compact: bool) -> usize {
        let m = self.memory;
        let State { x, slots, .. } = next;
        let (head, tail) = slots.split_at_mut(STEPS);
        let (g, g_old) = (head[GRADIENT].array(), now.slots[GRADIENT].array());
        let (steps, tail) = tail.split_at_mut(1);
        let (changes, tail) = tail.split_at_mut(1);
        let products = tail[0].array_mut();
        let (Some(steps), Some(changes)) = (steps[0].history_mut(), changes[0].history_mut()) else {
            return 0;
        };
        if restart && !steps.is_empty() {
            steps.clear();
            changes.clear();
        }
        let n = x.len();
        let sum = |f: &(dyn Fn(usize) -> f64 + Sync)| ravine_linalg::reduce::sum_by(n, f);
        let sy = sum(&|i| (x[i] - now.x[i]) * (g[i] - g_old[i]));
        let yy = sum(&|i| (g[i] - g_old[i]) * (g[i] - g_old[i]));
        let ss = sum(&|i| (x[i] - now.x[i]) * (x[i] - now.x[i]));
        if !(sy > 1e-10 * (ss * yy).sqrt() && sy > f64::EPSILON * yy && sy.is_finite() && yy.is_finite()) {
            return steps.len();
        }
        for (v, i) in steps.push().iter_mut().zip(0..n) {
            *v = x[i] - now.x[i];
        }
        for (v, i) in changes.push().iter_mut().zip(0..n) {
            *v = g[i] - g_old[i];
        }
        let k = steps.len();
        let p = steps.place(k - 1);
        products[p * m + p] = ss;
        products[m * m + p * m + p] = sy;
        products[2 * m * m + p * m + p] = yy;
        for j in (0..k - 1).filter(|_| compact) {
            let q = steps.place(j);
            let (sj, yj) = (steps.get(j), changes.get(j));
            let (s, y) = (steps.get(k - 1), changes.get(k - 1));
            products[p * m + q] = dot(s, sj);
            products[q * m + p] = products[p * m + q];
            products[m * m + p * m + q] = dot(s, yj);
            products[m * m + q * m + p] = dot(sj, y);
            products[2 * m * m + p * m + q] = dot(y, yj);
            products[2 * m * m + q * m + p] = products[2 * m * m + p * m + q];
        }
        k
    }

    /// What can be claimed at a stationary point, or a way down from it.
    fn conclude(
        &self,
        problem: &mut dyn Oracle,
        bounds: Option<&Bounds>,
        now: &State,
        next: &mut State,
        threshold: f64,
    ) -> Result<Outcome, Fault> {
        bound_multipliers(bounds, now.slots[GRADIENT].array(), &now.x, &mut next.multipliers);
        if problem.convex() {
            return Ok(Outcome::Finish(Reason::new(
                Status::Optimal,
                "stationary to the tolerance, and the problem is convex",
            )));
        }
        let offers = problem.offers();
        if !offers.hvp && !offers.hessian {
            return Ok(Outcome::Finish(Reason::new(
                Status::Stationary,
                "stationary to the tolerance; there are no second derivatives to check curvature with",
            )));
        }
        let (x, g, f) = (&now.x, now.slots[GRADIENT].array(), now.measures.objective);
        let mut h = Curvature::of(problem);
        match h.evaluate(problem, x) {
            Err(Fault::NotFinite { .. }) => {
                return Ok(Outcome::Finish(Reason::new(
                    Status::Stationary,
                    "stationary to the tolerance; there are no finite second derivatives to check curvature with",
                )));
            }
            r => r?,
        }
        let found = match second_order(&mut h, problem, bounds, x, f, g, threshold)? {
            SecondOrder::Minimum => Err((
                Status::LocallyOptimal,
                "stationary to the tolerance, and the curvature is positive",
            )),
            SecondOrder::Flat => Err((
                Status::LocallyOptimal,
                "stationary to the tolerance; the curvature is nonnegative, and zero to rounding in a direction along \
                 which no descent was found",
            )),
            SecondOrder::Unknown(why) => Err((Status::Stationary, why)),
            SecondOrder::Descent(p) => Ok(p),
            SecondOrder::Negative(z) => along_negative(problem, bounds, x, f, &z, norm2(x).max(1.0))?.ok_or((
                Status::Stationary,
                "curvature is negative along a direction, but no descent was found along it",
            )),
        };
        match found {
            Ok(p) => self.begin_at(
                problem,
                bounds,
                now,
                next,
                &p,
                "left a stationary point that is not a minimum",
            ),
            Err((status, why)) => Ok(Outcome::Finish(Reason::new(status, why))),
        }
    }

    /// Goes on from another point, where what is known of the curvature does not hold.
    fn begin_at(
        &self,
        problem: &mut dyn Oracle,
        bounds: Option<&Bounds>,
        now: &State,
        next: &mut State,
        p: &[f64],
        note: &'static str,
    ) -> Result<Outcome, Fault> {
        next.multipliers.clear();
        next.x.copy_from_slice(p);
        let State { x, slots, measures, .. } = next;
        let f = evaluate(problem, x, slots[GRADIENT].array_mut())?;
        measure(bounds, problem.unit(), x, f, slots[GRADIENT].array(), measures);
        measures.change = norm2(&p.iter().zip(&now.x).map(|(a, b)| a - b).collect::<Vec<_>>());
        slots[STEPS].history_mut().into_iter().for_each(History::clear);
        slots[CHANGES].history_mut().into_iter().for_each(History::clear);
        slots[BEST] = Slot::Number(measures.stationarity);
        slots[STAGNANT] = Slot::Count(0);
        Ok(Outcome::Proceed(Events {
            rejected: 0,
            note: Some(note),
        }))
    }
}

fn rounding_reached(now: &State) -> Reason {
    let reached = now.measures.stationarity;
    Reason::new(
        Status::PrecisionLimited,
        format!("values differ by rounding only; stationarity {reached:.1e} was reached"),
    )
    .with_floor(reached)
}

/// Largest multiple of `d` that stays within the bounds, at least 1 for a direction between feasible points.
fn longest_feasible(b: &Bounds, x: &[f64], d: &[f64]) -> f64 {
    let mut longest = f64::INFINITY;
    for i in 0..x.len() {
        if d[i] > 0.0 {
            longest = longest.min((b.upper[i] - x[i]) / d[i]);
        } else if d[i] < 0.0 {
            longest = longest.min((b.lower[i] - x[i]) / d[i]);
        }
    }
    longest.max(1.0)
}
