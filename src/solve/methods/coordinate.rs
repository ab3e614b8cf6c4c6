//! Coordinate descent for sums of squares with l1 and group penalties and bounds.
//!
//! Invariant: the objective never rises; a working set holds every coordinate off its resting place, and the first-order
//! condition is checked on all coordinates before the run may end.
//!
//! Source: Friedman, Hastie and Tibshirani, J. Statistical Software 33 (2010) (cyclic descent, active sets); Massias,
//! Gramfort and Salmon, ICML 2018 (working sets with a duality gap); Tseng and Yun, Math. Program. 117 (2009) (blocks).

use std::cell::RefCell;
use std::sync::Arc;

use ravine_linalg::qr::RFactor;
use ravine_linalg::reduce::{dot, norm_inf, norm2, sumsq};
use ravine_linalg::{Dense, Matrix};

use crate::forms::composite::Quadratic;
use crate::forms::simple::{Piece, Simple, entry_prox};
use crate::solve::composite::{Parts, quadratic_gradient};
use crate::solve::method::{
    Class, Events, Fault, Granularity, Method, MethodCard, Needs, OptionKind, OptionSpec, Outcome, Refusal, Seed,
    SlotSpec, StepCx,
};
use crate::solve::oracle::Oracle;
use crate::solve::state::{Point, Slot, SlotKind, State};
use crate::solve::stop::{Reason, Status};
use crate::solve::vector::axpy;

use super::conditions::diverged;
use super::support::{descend, rests};

/// The row of `coordinate_descent`.
pub static CARD: MethodCard = MethodCard {
    name: "coordinate_descent",
    aliases: &["cd"],
    title: "coordinate descent",
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
        name: "sweeps",
        kind: OptionKind::Count {
            lo: 1,
            hi: 100_000,
            default: 20,
        },
        doc: "passes over the working set between two looks at all coordinates",
    }],
    state: &[
        SlotSpec {
            name: "gradient",
            kind: SlotKind::Array,
            doc: "gradient of the smooth part at the point",
        },
        SlotSpec {
            name: "wanted",
            kind: SlotKind::Count,
            doc: "size that the next working set may have",
        },
        SlotSpec {
            name: "stagnant",
            kind: SlotKind::Count,
            doc: "steps in a row without a smaller residual",
        },
        SlotSpec {
            name: "best",
            kind: SlotKind::Number,
            doc: "smallest stationarity so far",
        },
    ],
    records: &["working", "support", "sweeps"],
    guarantees: "Converges to a minimizer: the squares are convex and the penalties separate over the coordinates or groups.",
    doc: "Minimizes over one coordinate or one group at a time and keeps the residual; works on the coordinates that matter, \
          and ends sweeps that turn slow by a Newton step on the support, from an orthogonal factorization.",
    source: "Friedman, Hastie and Tibshirani, J. Statistical Software 33 (2010); Massias, Gramfort and Salmon, ICML 2018",
    build: |s| {
        Box::new(Coordinate {
            sweeps: s.count("sweeps"),
        })
    },
};

const GRADIENT: usize = 0;
const WANTED: usize = 1;
const STAGNANT: usize = 2;
const BEST: usize = 3;

/// Most coordinates of a face that is minimized by factorization.
const LARGEST_FACE: usize = 3_000;
/// Multiplications that the factorizations of one step may take.
const WORK: usize = 1_000_000_000;

/// Settings of coordinate descent.
pub struct Coordinate {
    sweeps: usize,
}

/// What is the same in all steps: made anew after resuming.
struct Work {
    parts: Arc<Parts>,
    /// Second derivative by coordinate.
    curvature: Vec<f64>,
    /// Block of each coordinate.
    block: Vec<Option<usize>>,
    /// Largest second derivative within each block.
    block_curvature: Vec<f64>,
    residual: Vec<f64>,
    /// The last face that was factored, and its triangle.
    kept: RefCell<Option<(Vec<usize>, RFactor)>>,
}

impl Work {
    fn new(parts: Arc<Parts>, q: &Quadratic) -> Work {
        let n = q.q.len();
        let curvature: Vec<f64> = (0..n)
            .map(|j| 2.0 * (q.scale * column_square(&q.columns, j) + q.ridge[j]))
            .collect();
        let mut block = vec![None; n];
        let mut block_curvature = vec![];
        for (k, b) in parts.simple.blocks.iter().enumerate() {
            b.at.iter().for_each(|i| block[*i] = Some(k));
            // The trace bounds the largest eigenvalue; the power method gets closer, and is trusted only with a margin.
            let trace: f64 = b.at.iter().map(|i| curvature[*i]).sum();
            let top = ravine_linalg::spectrum::largest_eigenvalue(b.at.len(), 50, &|v| {
                let mut r = vec![0.0; q.b.len()];
                b.at.iter()
                    .zip(v)
                    .for_each(|(i, v)| add_column(&q.columns, *i, *v, &mut r));
                let product =
                    |(i, v): (&usize, &f64)| 2.0 * (q.scale * column_dot(&q.columns, *i, &r) + q.ridge[*i] * v);
                b.at.iter().zip(v).map(product).collect()
            });
            block_curvature.push((1.05 * top).min(trace));
        }
        Work {
            parts,
            curvature,
            block,
            block_curvature,
            residual: vec![0.0; q.b.len()],
            kept: RefCell::new(None),
        }
    }
}

/// `‖column j‖²`.
fn column_square(columns: &Matrix, j: usize) -> f64 {
    match columns {
        Matrix::Dense(d) => sumsq(d.row(j)),
        Matrix::Sparse(s) => sumsq(s.row(j).1),
    }
}

/// Column `j` times `r`.
pub(super) fn column_dot(columns: &Matrix, j: usize, r: &[f64]) -> f64 {
    match columns {
        Matrix::Dense(d) => dot(d.row(j), r),
        Matrix::Sparse(s) => s.entries(j).map(|(i, v)| v * r[i]).sum(),
    }
}

/// `r += a · column j`.
pub(super) fn add_column(columns: &Matrix, j: usize, a: f64, r: &mut [f64]) {
    match columns {
        Matrix::Dense(d) => axpy(a, d.row(j), r),
        Matrix::Sparse(s) => s.entries(j).for_each(|(i, v)| r[i] += a * v),
    }
}

/// `A x - b` into `r`.
fn residual(q: &Quadratic, x: &[f64], r: &mut [f64]) {
    r.iter_mut().zip(&q.b).for_each(|(r, b)| *r = -b);
    for (j, v) in x.iter().enumerate().filter(|e| *e.1 != 0.0) {
        add_column(&q.columns, j, *v, r);
    }
}

impl Method for Coordinate {
    fn card(&self) -> &MethodCard {
        &CARD
    }

    fn start(&self, problem: &mut dyn Oracle, from: &Point, _seed: Seed) -> Result<State, Refusal> {
        let (parts, n) = (problem.parts().unwrap_or_default(), from.values.len());
        let Some(q) = &parts.quadratic else {
            return Err(Refusal::Start(
                "needs a sum of squares of affine functions as the smooth part".into(),
            ));
        };
        let groups = parts.simple.blocks.iter().all(|b| matches!(b.piece, Piece::Norm(_)));
        if !(groups && parts.simple.entries.is_empty()) {
            return Err(Refusal::Start(
                "needs penalties `norm1` or `norm` of groups, and bounds".into(),
            ));
        }
        let mut x = from.values.clone();
        parts.simple.project(&mut x);
        let mut state = State::new(x, vec![], CARD.records.len());
        let mut r = vec![0.0; q.b.len()];
        residual(q, &state.x, &mut r);
        let mut g = vec![0.0; n];
        measure(&parts, q, &r, &mut state, &mut g);
        state.slots = vec![
            Slot::Array(g),
            Slot::Count(50),
            Slot::Count(0),
            Slot::Number(state.measures.stationarity),
        ];
        state.records.fill(f64::NAN);
        Ok(state)
    }

    fn step(&self, problem: &mut dyn Oracle, now: &State, next: &mut State, cx: &mut StepCx<'_>) -> Outcome {
        let parts = problem.parts().unwrap_or_default();
        let Some(q) = &parts.quadratic else {
            return Outcome::Refuse(Fault::NotOffered("sum of squares".into()));
        };
        next.copy_from(now);
        let mut cache = std::mem::take(cx.cache);
        let work = cache.get_or(|| None::<Work>);
        if work.as_ref().is_none_or(|w| !Arc::ptr_eq(&w.parts, &parts)) {
            *work = Some(Work::new(parts.clone(), q));
        }
        if let Some(reason) = work.as_ref().and_then(|w| over(&parts, now, cx.tolerance, w)) {
            *cx.cache = cache;
            return Outcome::Finish(reason);
        }
        let outcome = match work {
            Some(w) => self.attempt(&parts, q, now, next, cx, w),
            None => Ok(Outcome::Proceed(Events::default())),
        };
        *cx.cache = cache;
        outcome.unwrap_or_else(Outcome::Refuse)
    }
}

/// Why there is nothing more to do at a point.
fn over(parts: &Parts, now: &State, tolerance: f64, w: &Work) -> Option<Reason> {
    let (s, m) = (&parts.simple, &now.measures);
    if s.blocks.is_empty() && endless(s, &w.curvature, now.slots[GRADIENT].array()) {
        let why = "the objective falls without end along a variable that occurs in no square";
        return Some(Reason::new(Status::Unbounded, why));
    }
    let small_gap = m.gap.is_nan() || m.gap <= tolerance;
    if m.stationarity <= tolerance * m.gradient_scale && small_gap {
        let why = if m.gap.is_nan() {
            "the first-order condition holds, and the problem is convex"
        } else {
            "the duality gap is within the tolerance"
        };
        return Some(Reason::new(Status::Optimal, why));
    }
    let stagnant = now.slots[STAGNANT].count() >= 12;
    diverged(m.objective, &now.x)
        .or_else(|| stagnant.then(|| Reason::new(Status::PrecisionLimited, "rounding allows no smaller residual")))
}

/// Objective and first-order measures at the state's point.
fn measure(parts: &Parts, q: &Quadratic, r: &[f64], state: &mut State, g: &mut [f64]) {
    let f = quadratic_gradient(q, &state.x, r, g);
    let whole = f + parts.simple.value(&state.x);
    let mut o = parts.optimality(&state.x, g, whole);
    if o.stationarity <= 1e-6 * o.scale {
        // The steepest column sets the scale; a flat one may still have far to go. What a step along it alone would gain
        // tells, relative to the objective.
        let moves = parts.simple.residual(&state.x, g, 1.0);
        let gain = (0..g.len()).fold(0.0f64, |most, j| {
            let bent = 2.0 * (q.scale * column_square(&q.columns, j) + q.ridge[j]);
            let free = moves[j] != 0.0 && (moves[j] + g[j]).abs() <= 1e-6 * g[j].abs();
            if free && bent > 0.0 {
                most.max(0.5 * g[j] * g[j] / bent)
            } else {
                most
            }
        });
        o.stationarity = o.stationarity.max(o.scale * gain / (parts.unit() + whole.abs()));
    }
    let m = &mut state.measures;
    (m.objective, m.stationarity, m.gradient_scale, m.gap) = (whole, o.stationarity, o.scale, o.gap);
}

impl Coordinate {
    fn attempt(
        &self,
        parts: &Parts,
        q: &Quadratic,
        now: &State,
        next: &mut State,
        cx: &StepCx<'_>,
        w: &mut Work,
    ) -> Result<Outcome, Fault> {
        let s = &parts.simple;
        let gradient = now.slots[GRADIENT].array();
        let moves = s.residual(&now.x, gradient, 1.0);
        let wanted = now.slots[WANTED].count() as usize;
        let (single, blocks) = working_set(s, &w.block, &now.x, &moves, wanted);
        let State { x, .. } = next;
        residual(q, x, &mut w.residual);
        let goal = (0.1 * now.measures.stationarity).max(0.3 * cx.tolerance * now.measures.gradient_scale);
        let mut made = 0usize;
        let mut first = f64::INFINITY;
        for sweep in 0..self.sweeps {
            if cx.interrupted() || (cx.out_of_time)() {
                return Ok(Outcome::Refuse(Fault::Interrupted));
            }
            let moved = sweep_once(s, q, w, &single, &blocks, x);
            made += 1;
            if sweep == 0 {
                first = moved;
            }
            if moved <= goal {
                break;
            }
            // Sweeps that gain little are ended on the face, where the problem is least squares.
            if sweep >= 4 && moved > 0.05 * first && blocks.is_empty() {
                let free = single.iter().filter(|i| !rests(s, **i, x[**i])).count();
                if free <= LARGEST_FACE {
                    // As many factorizations as cost about as much as a few hundred sweeps.
                    let cost = (q.b.len() * free * free).max(1);
                    let rounds = (WORK / cost).clamp(2, 400);
                    let mut face = Face {
                        q,
                        residual: &mut w.residual,
                        kept: &w.kept,
                    };
                    descend(&mut face, s, &single, x, rounds)?;
                    break;
                }
            }
        }
        // Afresh: what the sweeps added up carries their rounding.
        residual(q, x, &mut w.residual);
        // In one long step, or in many.
        let falls = falls_along(parts, q, gradient, &now.x, x)
            || norm_inf(x) > FAR && falls_along(parts, q, gradient, &vec![0.0; x.len()], x);
        if falls {
            let why = "a direction along which the objective falls without end was checked";
            return Ok(Outcome::Finish(Reason::new(Status::Unbounded, why)));
        }
        let mut g = std::mem::replace(&mut next.slots[GRADIENT], Slot::Count(0));
        let before = now.measures.stationarity;
        measure(parts, q, &w.residual, next, g.array_mut());
        next.slots[GRADIENT] = g;
        let best = now.slots[BEST].number();
        let better = next.measures.stationarity < 0.9 * best
            || next.measures.objective < now.measures.objective * (1.0 - 1e-12) - 1e-300;
        next.slots[STAGNANT] = Slot::Count(if better { 0 } else { now.slots[STAGNANT].count() + 1 });
        next.slots[BEST] = Slot::Number(best.min(next.measures.stationarity));
        let support = (0..next.x.len()).filter(|i| !rests(s, *i, next.x[*i])).count();
        let size = single.len() + blocks.iter().map(|b| s.blocks[*b].at.len()).sum::<usize>();
        // The set grows where the residual outside it still decides.
        let grow = if next.measures.stationarity > 0.5 * before {
            2 * wanted
        } else {
            wanted
        };
        next.slots[WANTED] = Slot::Count(grow.max(2 * support).min(2 * next.x.len()) as u64);
        next.measures.change = distance(&now.x, &next.x);
        next.records
            .copy_from_slice(&[size as f64, support as f64, made as f64]);
        Ok(Outcome::Proceed(Events::default()))
    }
}

fn distance(a: &[f64], b: &[f64]) -> f64 {
    ravine_linalg::reduce::sum_by(a.len(), |i| (a[i] - b[i]) * (a[i] - b[i])).sqrt()
}

/// Single coordinates and blocks to work on: all that are off their resting place, and up to `wanted` of those that the
/// first-order condition would move most.
fn working_set(
    s: &Simple,
    block: &[Option<usize>],
    x: &[f64],
    moves: &[f64],
    wanted: usize,
) -> (Vec<usize>, Vec<usize>) {
    let mut score: Vec<(f64, usize)> = vec![];
    let mut single: Vec<usize> = vec![];
    let mut by_block = vec![(0.0f64, false); s.blocks.len()];
    for i in 0..x.len() {
        match block[i] {
            Some(b) => {
                let e = &mut by_block[b];
                *e = (e.0.max(moves[i].abs()), e.1 || x[i] != 0.0);
            }
            None if !rests(s, i, x[i]) => single.push(i),
            None if moves[i] != 0.0 => score.push((moves[i].abs(), i)),
            None => {}
        }
    }
    score.sort_by(|a, b| b.0.total_cmp(&a.0).then(a.1.cmp(&b.1)));
    single.extend(score.iter().take(wanted).map(|e| e.1));
    single.sort_unstable();
    let mut blocks: Vec<usize> = (0..by_block.len()).filter(|b| by_block[*b].1).collect();
    let mut rest: Vec<usize> = (0..by_block.len())
        .filter(|b| !by_block[*b].1 && by_block[*b].0 > 0.0)
        .collect();
    rest.sort_by(|a, b| by_block[*b].0.total_cmp(&by_block[*a].0).then(a.cmp(b)));
    blocks.extend(rest.into_iter().take(wanted));
    blocks.sort_unstable();
    (single, blocks)
}

/// One pass; answers the largest move in units of the gradient.
fn sweep_once(s: &Simple, q: &Quadratic, w: &mut Work, single: &[usize], blocks: &[usize], x: &mut [f64]) -> f64 {
    let mut largest = 0.0f64;
    for &j in single {
        let h = w.curvature[j];
        let g = 2.0 * (q.scale * column_dot(&q.columns, j, &w.residual) + q.ridge[j] * x[j]) + q.q[j];
        let to = if h > 0.0 {
            entry_prox(x[j] - g / h, s.l1[j] / h, s.lower[j], s.upper[j])
        } else if g.abs() <= s.l1[j] {
            0.0f64.max(s.lower[j]).min(s.upper[j])
        } else {
            // No square holds it: the end that the slope leads to. Where there is none, [`endless`] has ended the run.
            if g > 0.0 { s.lower[j] } else { s.upper[j] }
        };
        if !to.is_finite() {
            continue;
        }
        let d = to - x[j];
        if d != 0.0 {
            add_column(&q.columns, j, d, &mut w.residual);
            x[j] = to;
            largest = largest.max(d.abs() * h);
        }
    }
    for &k in blocks {
        let (b, h) = (&s.blocks[k], w.block_curvature[k]);
        let Piece::Norm(weight) = b.piece else { continue };
        if h <= 0.0 {
            continue;
        }
        let mut to: Vec<f64> =
            b.at.iter()
                .map(|i| {
                    let g = 2.0 * (q.scale * column_dot(&q.columns, *i, &w.residual) + q.ridge[*i] * x[*i]) + q.q[*i];
                    entry_prox(x[*i] - g / h, s.l1[*i] / h, s.lower[*i], s.upper[*i])
                })
                .collect();
        crate::atoms::prox::norm2(&mut to, weight / h);
        for (i, to) in b.at.iter().zip(to) {
            let d = to - x[*i];
            if d != 0.0 {
                add_column(&q.columns, *i, d, &mut w.residual);
                x[*i] = to;
                largest = largest.max(d.abs() * h);
            }
        }
    }
    largest
}

/// Is there a coordinate that no square holds, and along which the objective falls without end?
fn endless(s: &Simple, curvature: &[f64], g: &[f64]) -> bool {
    (0..g.len()).any(|j| {
        let end = if g[j] > 0.0 { s.lower[j] } else { s.upper[j] };
        curvature[j] == 0.0 && g[j].abs() > s.l1[j] && end.is_infinite()
    })
}

/// How far a step goes, beside the point, before its direction is looked at.
const FAR: f64 = 1e6;

/// Is the way from one point to another, a long one, a direction that squares do not see, bounds do not end, and along which
/// slope and penalties fall?
fn falls_along(parts: &Parts, q: &Quadratic, gradient: &[f64], from: &[f64], to: &[f64]) -> bool {
    let s = &parts.simple;
    let d: Vec<f64> = from.iter().zip(to).map(|(a, b)| b - a).collect();
    let length = norm_inf(&d);
    if !(length > FAR * (1.0 + norm_inf(from)) && length.is_finite()) {
        return false;
    }
    let free = |j: usize| match d[j] > 0.0 {
        true => s.upper[j] == f64::INFINITY,
        false => s.lower[j] == f64::NEG_INFINITY,
    };
    // What is small beside the longest entry is the point settling, not the direction.
    let d: Vec<f64> = d
        .iter()
        .map(|v| if v.abs() > 1e-6 * length { v / length } else { 0.0 })
        .collect();
    let (mut image, mut terms, mut slope) = (vec![0.0; q.b.len()], vec![0.0; q.b.len()], 0.0);
    for (j, v) in d.iter().enumerate().filter(|e| *e.1 != 0.0) {
        if !free(j) || q.ridge[j] > 0.0 {
            return false;
        }
        let mut own = vec![0.0; q.b.len()];
        add_column(&q.columns, j, *v, &mut own);
        for ((i, t), o) in image.iter_mut().zip(&mut terms).zip(own) {
            *i += o;
            *t += o.abs();
        }
        slope += gradient[j] * v + s.l1[j] * v.abs();
    }
    for b in &s.blocks {
        let own: Vec<f64> = b.at.iter().map(|i| d[*i]).collect();
        if let Piece::Norm(weight) = b.piece {
            slope += weight * norm2(&own);
        }
    }
    let unseen = image.iter().zip(&terms).all(|(v, t)| v.abs() <= 1e-6 * t);
    unseen && slope < -1e-9 * (1.0 + norm_inf(gradient))
}

/// The squares on a face, by their residual.
struct Face<'a> {
    q: &'a Quadratic,
    residual: &'a mut [f64],
    /// The last face that was factored.
    kept: &'a RefCell<Option<(Vec<usize>, RFactor)>>,
}

impl Face<'_> {
    /// `[√s A, √ridge]` on the face.
    fn rows(&self, free: &[usize], ridge: &[f64]) -> Dense {
        let (q, m, k) = (self.q, self.q.b.len(), free.len());
        let ridged = ridge.iter().any(|v| *v > 0.0);
        let mut a = Dense::zeros(if ridged { m + k } else { m }, k);
        let root = q.scale.sqrt();
        for (c, j) in free.iter().enumerate() {
            match &q.columns {
                Matrix::Dense(d) => d.row(*j).iter().enumerate().for_each(|(i, v)| a.set(i, c, root * v)),
                Matrix::Sparse(t) => t.entries(*j).for_each(|(i, v)| a.set(i, c, root * v)),
            }
            if ridged {
                a.set(m + c, c, ridge[c].sqrt());
            }
        }
        a
    }
}

/// Where the members of one increasing list stand in another; nothing if one is missing.
fn within(all: &[usize], some: &[usize]) -> Option<Vec<usize>> {
    some.iter().map(|j| all.binary_search(j).ok()).collect()
}

impl super::support::Quadratic for Face<'_> {
    fn slope(&self, j: usize, x: f64) -> f64 {
        let q = self.q;
        2.0 * (q.scale * column_dot(&q.columns, j, self.residual) + q.ridge[j] * x) + q.q[j]
    }
    fn solve(&self, free: &[usize], right: &mut [f64]) -> Result<bool, Fault> {
        let q = self.q;
        let mut kept = self.kept.borrow_mut();
        let least = |r: &RFactor, right: &mut [f64]| {
            right.iter_mut().for_each(|v| *v *= 0.5);
            r.gram_solve(right);
        };
        // A face within the last one: the columns that are left of its triangle have the same products.
        let mut a = match &*kept {
            Some((old, r)) if old == free => {
                least(r, right);
                return Ok(true);
            }
            Some((old, r)) => within(old, free).map(|at| {
                let r = r.unpermuted();
                Dense::from_fn(r.rows, at.len(), |i, c| r.at(i, at[c]))
            }),
            None => None,
        };
        let mut raised: Vec<f64> = free.iter().map(|j| q.ridge[*j]).collect();
        for again in [false, true] {
            let a = a.take().unwrap_or_else(|| self.rows(free, &raised));
            let r = RFactor::new(&Matrix::Dense(a)).map_err(|e| Fault::Numerical(e.to_string()))?;
            if r.rank(1e-12) == free.len() {
                least(&r, right);
                *kept = (!again).then(|| (free.to_vec(), r));
                return Ok(true);
            }
            if again {
                break;
            }
            // Columns that depend on each other: a little curvature of its own turns the step into one of descent.
            for (v, j) in raised.iter_mut().zip(free) {
                *v += 1e-10 * (q.scale * column_square(&q.columns, *j)).max(f64::MIN_POSITIVE);
            }
        }
        Ok(false)
    }
    fn bend(&self, free: &[usize], d: &[f64]) -> f64 {
        let q = self.q;
        let mut r = vec![0.0; q.b.len()];
        free.iter()
            .zip(d)
            .for_each(|(j, d)| add_column(&q.columns, *j, *d, &mut r));
        let own: f64 = free.iter().zip(d).map(|(j, d)| q.ridge[*j] * d * d).sum();
        2.0 * (q.scale * sumsq(&r) + own)
    }
    fn moved(&mut self, j: usize, by: f64) {
        add_column(&self.q.columns, j, by, self.residual);
    }
}
