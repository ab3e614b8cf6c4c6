//! Accelerated proximal gradient: extrapolation, backtracking, and restarts where the momentum points uphill.
//!
//! Invariant: every point is a proximal point, so sets hold exactly; a step is taken only where its quadratic bound holds.
//!
//! Source: Beck and Teboulle, SIAM J. Imaging Sciences 2 (2009); O'Donoghue and Candès, Found. Comput. Math. 15 (2015).

use ravine_linalg::reduce::{dot, norm_inf, norm2, sum_by};

use crate::solve::composite::Parts;
use crate::solve::method::{
    Class, Events, Fault, Granularity, Method, MethodCard, Needs, OptionKind, OptionSpec, Outcome, Refusal, Seed,
    SlotSpec, StepCx,
};
use crate::solve::oracle::Oracle;
use crate::solve::state::{Point, Slot, SlotKind, State};
use crate::solve::stop::{Reason, Status};

use super::conditions::diverged;

/// The row of `apg`.
pub static CARD: MethodCard = MethodCard {
    name: "apg",
    aliases: &["accelerated_proximal_gradient"],
    title: "accelerated proximal gradient",
    accepts: &[Class::Composite],
    needs: Needs {
        value: true,
        gradient: true,
        hvp: false,
        hessian: false,
        form: false,
        prox: true,
        project: false,
        constraints: false,
        residuals: false,
    },
    granularity: Granularity::Step,
    options: &[OptionSpec {
        name: "restart",
        kind: OptionKind::Flag(true),
        doc: "drop the momentum where it points uphill",
    }],
    state: &[
        SlotSpec {
            name: "y",
            kind: SlotKind::Array,
            doc: "extrapolated point",
        },
        SlotSpec {
            name: "a",
            kind: SlotKind::Number,
            doc: "number of the momentum sequence",
        },
        SlotSpec {
            name: "curvature",
            kind: SlotKind::Number,
            doc: "inverse step length",
        },
        SlotSpec {
            name: "stagnant",
            kind: SlotKind::Count,
            doc: "looks in a row without a smaller residual",
        },
        SlotSpec {
            name: "best",
            kind: SlotKind::Number,
            doc: "smallest measured residual",
        },
    ],
    records: &["length", "restarts"],
    guarantees: "The objective falls like 1/k² for convex problems, linearly with restarts where it grows away from its minimum.",
    doc: "A gradient step of the smooth part from an extrapolated point, then the proximal point of the simple part.",
    source: "Beck and Teboulle, SIAM J. Imaging Sciences 2 (2009); O'Donoghue and Candès, Found. Comput. Math. 15 (2015)",
    build: |s| {
        Box::new(Apg {
            restart: s.flag("restart"),
        })
    },
};

const Y: usize = 0;
const A: usize = 1;
const CURVATURE: usize = 2;
const STAGNANT: usize = 3;
const BEST: usize = 4;
/// Steps between two measurements of the true residual.
const LOOK: u64 = 20;

/// Settings.
pub struct Apg {
    restart: bool,
}

/// Objective and first-order measures at the state's point.
fn measure(problem: &mut dyn Oracle, parts: &Parts, state: &mut State) -> Result<(), Fault> {
    let mut g = vec![0.0; state.x.len()];
    let f = problem.smooth_value_gradient(&state.x, &mut g)?;
    let whole = f + parts.simple.value(&state.x);
    let o = parts.optimality(&state.x, &g, whole);
    let m = &mut state.measures;
    (m.objective, m.stationarity, m.gradient_scale, m.gap) = (whole, o.stationarity, o.scale, o.gap);
    Ok(())
}

impl Method for Apg {
    fn card(&self) -> &MethodCard {
        &CARD
    }

    fn start(&self, problem: &mut dyn Oracle, from: &Point, _seed: Seed) -> Result<State, Refusal> {
        let parts = problem.parts().unwrap_or_default();
        let mut x = from.values.clone();
        parts.simple.project(&mut x);
        let mut state = State::new(x, vec![], CARD.records.len());
        measure(problem, &parts, &mut state).map_err(Refusal::Fault)?;
        let y = state.x.clone();
        state.slots = vec![
            Slot::Array(y),
            Slot::Number(1.0),
            Slot::Number(1.0),
            Slot::Count(0),
            Slot::Number(f64::INFINITY),
        ];
        state.records.fill(0.0);
        Ok(state)
    }

    fn step(&self, problem: &mut dyn Oracle, now: &State, next: &mut State, cx: &mut StepCx<'_>) -> Outcome {
        next.copy_from(now);
        self.attempt(problem, now, next, cx).unwrap_or_else(Outcome::Refuse)
    }
}

impl Apg {
    fn attempt(
        &self,
        problem: &mut dyn Oracle,
        now: &State,
        next: &mut State,
        cx: &StepCx<'_>,
    ) -> Result<Outcome, Fault> {
        let parts = problem.parts().unwrap_or_default();
        let m = &now.measures;
        let small_gap = m.gap.is_nan() || m.gap <= cx.tolerance;
        let looked = cx.step.is_multiple_of(LOOK) || now.slots[BEST].number() == m.stationarity;
        if looked && m.stationarity <= cx.tolerance * m.gradient_scale && small_gap {
            let status = if parts.convex {
                Status::Optimal
            } else {
                Status::Stationary
            };
            let why = match (parts.convex, m.gap.is_nan()) {
                (true, false) => "the gap is within the tolerance",
                (true, true) => "the first-order condition holds, and the problem is convex",
                (false, _) => "the first-order condition holds",
            };
            return Ok(Outcome::Finish(Reason::new(status, why)));
        }
        if let Some(why) = diverged(now.measures.objective, &now.x) {
            return Ok(Outcome::Finish(why));
        }
        if now.slots[STAGNANT].count() >= 200 {
            let why = "the residual stopped falling";
            return Ok(Outcome::Finish(Reason::new(Status::PrecisionLimited, why)));
        }
        let (y, n) = (now.slots[Y].array(), now.x.len());
        let mut g = vec![0.0; n];
        let f = problem.smooth_value_gradient(y, &mut g)?;
        let size = norm_inf(&g);
        let mut l = now.slots[CURVATURE].number();
        if cx.step == 0 && size > 0.0 {
            l = l.max(1e-8 * size);
        }
        let mut tried = 0u32;
        let mut value;
        loop {
            if cx.interrupted() || (cx.out_of_time)() {
                return Ok(Outcome::Refuse(Fault::Interrupted));
            }
            for i in 0..n {
                next.x[i] = y[i] - g[i] / l;
            }
            problem.prox(&mut next.x, 1.0 / l)?;
            let d: Vec<f64> = next.x.iter().zip(y).map(|(x, y)| x - y).collect();
            let found = problem.smooth_value(&next.x);
            tried += 1;
            let noise = 8.0 * f64::EPSILON * f.abs();
            value = *found.as_ref().unwrap_or(&f64::INFINITY);
            if value <= f + dot(&g, &d) + 0.5 * l * dot(&d, &d) + noise {
                break;
            }
            if tried > 60 {
                found?;
                let why = "no step length makes the objective fall";
                next.copy_from(now);
                return Ok(Outcome::Finish(Reason::new(Status::Stalled, why)));
            }
            l *= 2.0;
        }
        let (mut a, mut restarts) = (now.slots[A].number(), now.records[1]);
        let uphill = sum_by(n, |i| (y[i] - next.x[i]) * (next.x[i] - now.x[i])) > 0.0;
        if self.restart && uphill {
            a = 1.0;
            restarts += 1.0;
        }
        let after = (1.0 + (1.0 + 4.0 * a * a).sqrt()) / 2.0;
        let beta = (a - 1.0) / after;
        let moved: Vec<f64> = next.x.iter().zip(&now.x).map(|(x, b)| x - b).collect();
        // The proximal gradient step itself, in units of the gradient: what the residual is near the end.
        let mapping = (0..n).map(|i| l * (next.x[i] - y[i]).abs()).fold(0.0f64, f64::max);
        for i in 0..n {
            let to = next.x[i] + beta * moved[i];
            next.slots[Y].array_mut()[i] = to;
        }
        next.slots[A] = Slot::Number(after);
        // A little longer each time: where the curvature falls, so does its estimate.
        next.slots[CURVATURE] = Slot::Number(if tried == 1 { 0.95 * l } else { l });
        let small = mapping <= cx.tolerance * (1.0 + size);
        if (cx.step + 1).is_multiple_of(LOOK) || small {
            measure(problem, &parts, next)?;
            let best = now.slots[BEST].number();
            let better = next.measures.stationarity < 0.99 * best;
            next.slots[STAGNANT] = Slot::Count(if better { 0 } else { now.slots[STAGNANT].count() + 1 });
            next.slots[BEST] = Slot::Number(best.min(next.measures.stationarity));
        } else {
            next.measures.objective = value + parts.simple.value(&next.x);
            next.measures.stationarity = mapping;
            next.measures.gradient_scale = 1.0 + size;
            next.measures.gap = f64::NAN;
        }
        next.measures.change = norm2(&moved);
        next.records.copy_from_slice(&[1.0 / l, restarts]);
        Ok(Outcome::Proceed(Events {
            rejected: tried - 1,
            note: None,
        }))
    }
}
