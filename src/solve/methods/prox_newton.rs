//! Proximal Newton: a quadratic model of the smooth part with the penalties kept, minimized by coordinate descent.
//!
//! Invariant: the objective never rises beyond its rounding noise; a model is minimized to a tolerance tied to the
//! residual, and its support by a Cholesky factorization where sweeps turn slow.
//!
//! Source: Lee, Sun and Saunders, Proximal Newton-type methods, SIAM J. Optim. 24 (2014); Yuan, Ho and Lin, J. Machine
//! Learning Research 13 (2012) (coordinate descent on the model).

use ravine_linalg::factor::{Cholesky, Factor};
use ravine_linalg::reduce::{dot, norm2};
use ravine_linalg::{Csr, Dense};

use crate::forms::simple::{Simple, entry_prox};
use crate::solve::composite::Parts;
use crate::solve::method::{
    Class, Events, Fault, Granularity, Method, MethodCard, Needs, Outcome, Refusal, Seed, SlotSpec, StepCx,
};
use crate::solve::oracle::Oracle;
use crate::solve::state::{Point, Slot, SlotKind, State};
use crate::solve::stop::{Reason, Status};

use super::conditions::diverged;
use super::support::{descend, rests};

/// The row of `prox_newton`.
pub static CARD: MethodCard = MethodCard {
    name: "prox_newton",
    aliases: &["proximal_newton"],
    title: "proximal Newton",
    accepts: &[Class::Composite],
    needs: Needs {
        value: true,
        gradient: true,
        hvp: false,
        hessian: true,
        form: false,
        prox: true,
        project: false,
        constraints: false,
        residuals: false,
    },
    granularity: Granularity::Step,
    options: &[],
    state: &[
        SlotSpec {
            name: "gradient",
            kind: SlotKind::Array,
            doc: "gradient of the smooth part at the point",
        },
        SlotSpec {
            name: "stagnant",
            kind: SlotKind::Count,
            doc: "steps in a row without a smaller residual",
        },
        SlotSpec {
            name: "damping",
            kind: SlotKind::Number,
            doc: "curvature added to the model where it led too far",
        },
    ],
    records: &["length", "sweeps", "support"],
    guarantees: "Converges to a minimizer of a convex problem, fast near it where the Hessian is positive definite on the support.",
    doc: "Forms the Hessian of the smooth part, minimizes the model with penalties and bounds by coordinate descent, and \
          searches along the way there.",
    source: "Lee, Sun and Saunders, SIAM J. Optim. 24 (2014); damping as in Levenberg, 1944",
    build: |_| Box::new(ProxNewton),
};

const GRADIENT: usize = 0;
const STAGNANT: usize = 1;
const DAMPING: usize = 2;

/// Proximal Newton has no settings.
pub struct ProxNewton;

/// Most variables whose Hessian is kept dense.
pub const DENSE: usize = 3_000;

/// Objective and first-order measures at the state's point, the smooth part's gradient into `g`.
fn measure(problem: &mut dyn Oracle, parts: &Parts, state: &mut State, g: &mut [f64]) -> Result<(), Fault> {
    let f = problem.smooth_value_gradient(&state.x, g)?;
    let whole = f + parts.simple.value(&state.x);
    let o = parts.optimality(&state.x, g, whole);
    let m = &mut state.measures;
    (m.objective, m.stationarity, m.gradient_scale, m.gap) = (whole, o.stationarity, o.scale, o.gap);
    Ok(())
}

impl Method for ProxNewton {
    fn card(&self) -> &MethodCard {
        &CARD
    }

    fn start(&self, problem: &mut dyn Oracle, from: &Point, _seed: Seed) -> Result<State, Refusal> {
        let parts = problem.parts().unwrap_or_default();
        if !parts.simple.separable() {
            return Err(Refusal::Start(
                "needs penalties `norm1` or `abs` of single variables, and bounds".into(),
            ));
        }
        let mut x = from.values.clone();
        parts.simple.project(&mut x);
        let mut g = vec![0.0; x.len()];
        let mut state = State::new(x, vec![], CARD.records.len());
        measure(problem, &parts, &mut state, &mut g).map_err(Refusal::Fault)?;
        state.slots = vec![Slot::Array(g), Slot::Count(0), Slot::Number(0.0)];
        state.records.fill(f64::NAN);
        Ok(state)
    }

    fn step(&self, problem: &mut dyn Oracle, now: &State, next: &mut State, cx: &mut StepCx<'_>) -> Outcome {
        next.copy_from(now);
        attempt(problem, now, next, cx).unwrap_or_else(Outcome::Refuse)
    }
}

fn attempt(problem: &mut dyn Oracle, now: &State, next: &mut State, cx: &StepCx<'_>) -> Result<Outcome, Fault> {
    let parts = problem.parts().unwrap_or_default();
    let s = &parts.simple;
    let m = &now.measures;
    let small_gap = m.gap.is_nan() || m.gap <= cx.tolerance;
    if m.stationarity <= cx.tolerance * m.gradient_scale && small_gap {
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
    if let Some(why) = diverged(m.objective, &now.x) {
        return Ok(Outcome::Finish(why));
    }
    if now.slots[STAGNANT].count() >= 6 {
        let why = "rounding allows no smaller residual";
        return Ok(Outcome::Finish(Reason::new(Status::PrecisionLimited, why)));
    }
    let g = now.slots[GRADIENT].array();
    let n = now.x.len();
    let mut lower = Csr::zeros(n, n);
    problem.hessian(&now.x, &mut lower)?;
    let mut h = Model::new(&lower, n);
    let forcing = (0.1f64).min(m.stationarity.sqrt());
    let goal = (forcing * m.stationarity).max(0.1 * cx.tolerance * m.gradient_scale);
    let noise = 8.0 * f64::EPSILON * m.objective.abs().max(1e-300);
    let mut damping = now.slots[DAMPING].number();
    h.raise(damping);
    let (mut tried, mut sweeps) = (0u32, 0);
    let mut gradient = vec![0.0; n];
    let mut d = vec![0.0; n];
    let a = loop {
        let mut z = now.x.clone();
        let Some(made) = minimize(s, &h, g, &now.x, &mut z, goal, cx)? else {
            return Ok(Outcome::Refuse(Fault::Interrupted));
        };
        sweeps += made;
        for (d, (z, x)) in d.iter_mut().zip(z.iter().zip(&now.x)) {
            *d = z - x;
        }
        let fall = dot(g, &d) + s.value(&z) - s.value(&now.x);
        let mut found = None;
        for halved in 0..8 {
            if cx.interrupted() || (cx.out_of_time)() {
                return Ok(Outcome::Refuse(Fault::Interrupted));
            }
            let a = 0.5f64.powi(halved);
            for (i, x) in next.x.iter_mut().enumerate() {
                *x = if halved == 0 { z[i] } else { now.x[i] + a * d[i] };
            }
            let r = measure(problem, &parts, next, &mut gradient);
            tried += 1;
            // Where the fall drowns in rounding, the residual decides.
            let fell = next.measures.objective <= m.objective + 1e-4 * a * fall.min(0.0) || {
                next.measures.objective <= m.objective + noise && next.measures.stationarity < m.stationarity
            };
            if r.is_ok() && fell {
                found = Some(a);
                break;
            }
        }
        if let Some(a) = found {
            if a == 1.0 {
                damping *= 0.1;
            }
            break a;
        }
        // The model is too flat for how far it leads: more curvature of its own.
        let least = 1e-3
            * h.diagonal
                .iter()
                .fold(crate::solve::vector::norm_inf(g), |m, v| m.max(*v));
        let more = (9.0 * damping).max(least);
        damping += more;
        h.raise(more);
        if tried > 200 || !damping.is_finite() {
            let why = "rounding allows no further step";
            next.copy_from(now);
            return Ok(Outcome::Finish(Reason::new(Status::PrecisionLimited, why)));
        }
    };
    let least = 1e-6 * h.diagonal.iter().fold(0.0f64, |m, v| m.max(*v));
    next.slots[DAMPING] = Slot::Number(if damping < least { 0.0 } else { damping });
    next.slots[GRADIENT].array_mut().copy_from_slice(&gradient);
    let better =
        next.measures.stationarity < 0.9 * m.stationarity || next.measures.objective < m.objective - 10.0 * noise;
    next.slots[STAGNANT] = Slot::Count(if better { 0 } else { now.slots[STAGNANT].count() + 1 });
    next.measures.change = a * norm2(&d);
    let support = (0..n).filter(|i| !rests(s, *i, next.x[*i])).count();
    next.records.copy_from_slice(&[a, sweeps as f64, support as f64]);
    Ok(Outcome::Proceed(Events {
        rejected: tried - 1,
        note: None,
    }))
}

/// Multiplications that the factorizations of one look may take.
const WORK: usize = 1_000_000_000;

/// The model on a face, by its slopes.
struct Face<'a> {
    h: &'a Model,
    slopes: &'a mut [f64],
    flat: f64,
}

impl super::support::Quadratic for Face<'_> {
    fn slope(&self, i: usize, _x: f64) -> f64 {
        self.slopes[i]
    }
    fn solve(&self, free: &[usize], right: &mut [f64]) -> Result<bool, Fault> {
        let part = Dense::from_fn(free.len(), free.len(), |a, b| self.h.at(free[a], free[b]));
        for raise in [0.0, self.flat, 1e3 * self.flat] {
            if let Ok(factor) = Cholesky::new(&part, raise) {
                factor.solve(right);
                return Ok(true);
            }
        }
        Ok(false)
    }
    fn bend(&self, free: &[usize], d: &[f64]) -> f64 {
        let row = |(a, i): (usize, &usize)| d[a] * free.iter().zip(d).map(|(j, d)| self.h.at(*i, *j) * d).sum::<f64>();
        free.iter().enumerate().map(row).sum()
    }
    fn moved(&mut self, i: usize, by: f64) {
        self.h.add_row(i, by, self.slopes);
    }
}

/// The Hessian by rows, both triangles.
struct Model {
    dense: Option<Dense>,
    sparse: Csr,
    diagonal: Vec<f64>,
}

impl Model {
    fn new(lower: &Csr, n: usize) -> Model {
        let mut t: Vec<(usize, usize, f64)> = lower.triplets().collect();
        let off: Vec<_> = t.iter().filter(|e| e.0 != e.1).map(|e| (e.1, e.0, e.2)).collect();
        t.extend(off);
        let dense = n <= DENSE && t.len() * 5 > n * n;
        let mut d = dense.then(|| Dense::zeros(n, n));
        if let Some(d) = &mut d {
            t.iter().for_each(|(i, j, v)| d.set(*i, *j, d.at(*i, *j) + v));
        }
        let sparse = if dense {
            Csr::zeros(0, n)
        } else {
            Csr::from_triplets(n, n, &t)
        };
        let mut diagonal = vec![0.0; n];
        t.iter().filter(|e| e.0 == e.1).for_each(|(i, _, v)| diagonal[*i] += v);
        Model {
            dense: d,
            sparse,
            diagonal,
        }
    }
    /// Adds to the diagonal.
    fn raise(&mut self, by: f64) {
        if by == 0.0 {
            return;
        }
        let n = self.diagonal.len();
        self.diagonal.iter_mut().for_each(|v| *v += by);
        match &mut self.dense {
            Some(d) => (0..n).for_each(|i| d.set(i, i, d.at(i, i) + by)),
            None => self.sparse = self.sparse.add(1.0, &Csr::identity(n), by),
        }
    }
    fn at(&self, i: usize, j: usize) -> f64 {
        match &self.dense {
            Some(d) => d.at(i, j),
            None => self.sparse.get(i, j),
        }
    }
    /// `r += a · row i`.
    fn add_row(&self, i: usize, a: f64, r: &mut [f64]) {
        match &self.dense {
            Some(d) => crate::solve::vector::axpy(a, d.row(i), r),
            None => self.sparse.entries(i).for_each(|(j, v)| r[j] += a * v),
        }
    }
}

/// Minimizes `g·(z - x) + (z - x)'H(z - x)/2` with penalties and bounds; answers the sweeps made, nothing when interrupted.
fn minimize(
    s: &Simple,
    h: &Model,
    g: &[f64],
    x: &[f64],
    z: &mut [f64],
    goal: f64,
    cx: &StepCx<'_>,
) -> Result<Option<usize>, Fault> {
    const SWEEPS: usize = 200;
    let n = x.len();
    let mut slopes = g.to_vec();
    let mut active: Vec<usize> = (0..n).collect();
    let mut whole_pass = true;
    let mut first = f64::INFINITY;
    let largest_curvature = h.diagonal.iter().fold(0.0f64, |m, v| m.max(*v));
    // A flat coordinate is held by a little curvature of the model's own.
    let flat = 1e-12 * largest_curvature.max(f64::MIN_POSITIVE);
    for sweep in 0..SWEEPS {
        if cx.interrupted() {
            return Ok(None);
        }
        let mut moved = 0.0f64;
        for &i in &active {
            let c = h.diagonal[i].max(flat);
            let to = entry_prox(z[i] - slopes[i] / c, s.l1[i] / c, s.lower[i], s.upper[i]);
            let d = to - z[i];
            if d != 0.0 {
                h.add_row(i, d, &mut slopes);
                z[i] = to;
                moved = moved.max(d.abs() * c);
            }
        }
        if moved <= goal {
            if whole_pass {
                return Ok(Some(sweep + 1));
            }
            (active, whole_pass) = ((0..n).collect(), true);
            continue;
        }
        if whole_pass {
            active = (0..n).filter(|i| !rests(s, *i, z[*i])).collect();
            whole_pass = false;
            first = moved;
            continue;
        }
        if moved > 0.1 * first && active.len() <= DENSE {
            let rounds = (WORK / active.len().pow(3).max(1)).clamp(2, 400);
            let mut face = Face {
                h,
                slopes: &mut slopes,
                flat,
            };
            descend(&mut face, s, &active, z, rounds)?;
            (active, whole_pass) = ((0..n).collect(), true);
            continue;
        }
        first = moved;
    }
    Ok(Some(SWEEPS))
}
