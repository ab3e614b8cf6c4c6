//! First- and second-order conditions at a point, and what rounding allows to be seen there.
//!
//! Invariant: a claim of local optimality rests on a factorization or a converged Lanczos value, never on the
//! gradient alone; every probe is a function of the point.

use crate::solve::method::Fault;
use crate::solve::oracle::{Bounds, Oracle};
use crate::solve::state::Measures;
use crate::solve::stop::{Reason, Status};
use crate::solve::vector::{add_scaled, axpy, dot, norm_inf, norm2};

use super::curvature::Curvature;
use super::subproblem::{CgWork, scrambled, smallest_direction, truncated_cg};

/// Moves `x` into the bounds.
pub fn project(bounds: Option<&Bounds>, x: &mut [f64]) {
    if let Some(b) = bounds {
        for (i, v) in x.iter_mut().enumerate() {
            *v = b.clamp(i, *v);
        }
    }
}

/// `x + s` within the bounds of coordinate `i`, on a bound exactly when it is within rounding of it.
pub fn land(b: &Bounds, i: usize, x: f64, s: f64) -> f64 {
    let at = b.clamp(i, x + s);
    let slack = 4.0 * f64::EPSILON * x.abs().max(at.abs());
    if at - b.lower[i] <= slack {
        b.lower[i]
    } else if b.upper[i] - at <= slack {
        b.upper[i]
    } else {
        at
    }
}

/// Component `i` of `P(x − g) − x`.
pub fn projected_step(bounds: Option<&Bounds>, x: &[f64], g: &[f64], i: usize) -> f64 {
    match bounds {
        Some(b) => b.clamp(i, x[i] - g[i]) - x[i],
        None => -g[i],
    }
}

/// Objective, stationarity and its scale at a point; `change` is left as it was. `unit` is the objective's own size where that
/// is below 1 ([`Oracle::unit`]).
///
/// Where a bound cuts the projected gradient step short, the slope may be large and the step small because the bound is near,
/// not because the point is stationary: there counts how far the bound is, relative to the coordinate, and what going there
/// would gain, relative to the objective.
pub fn measure(bounds: Option<&Bounds>, unit: f64, x: &[f64], f: f64, g: &[f64], measures: &mut Measures) {
    measures.objective = f;
    let slope = |m, i: usize| worse(m, Pushed::at(bounds, i, x[i], g[i]).free());
    let scale = unit + (0..x.len()).fold(0.0, slope);
    let mut stationarity = 0.0f64;
    for i in 0..x.len() {
        let p = Pushed::at(bounds, i, x[i], g[i]);
        stationarity = worse(stationarity, p.left(scale, p.full * p.room / (unit + f.abs())));
    }
    measures.stationarity = stationarity;
    measures.gradient_scale = scale;
    measures.feasibility = 0.0;
    measures.gap = f64::NAN;
}

/// A coordinate and the bound that its slope pushes it to, in the coordinate's unit.
pub struct Pushed {
    /// Size of the slope.
    full: f64,
    /// Distance of the bound.
    room: f64,
    /// The same relative to the coordinate.
    near: f64,
}

impl Pushed {
    /// Coordinate `i` at `x` under `slope`; a fixed one is pushed nowhere.
    pub fn at(bounds: Option<&Bounds>, i: usize, x: f64, slope: f64) -> Pushed {
        let s = bounds.map_or(1.0, |b| b.unit(i));
        if s == 0.0 {
            return Pushed {
                full: 0.0,
                room: 0.0,
                near: 0.0,
            };
        }
        // In the unit `s`, the variable is x / s and the slope s·g.
        let room = match bounds {
            Some(b) if slope > 0.0 => (x - b.lower[i]) / s,
            Some(b) => (b.upper[i] - x) / s,
            None => f64::INFINITY,
        };
        Pushed {
            full: (s * slope).abs(),
            room,
            near: room / (1.0 + x.abs() / s),
        }
    }
    /// Is the slope taken up by the bound?
    pub fn held(&self) -> bool {
        self.room < self.full && self.near <= AT_BOUND
    }
    /// The slope, if no bound takes it up: only those say what is small.
    fn free(&self) -> f64 {
        if self.held() { 0.0 } else { self.full }
    }
    /// What is left to do, where `scale` is the size of slopes and going to the bound would gain so much of the objective.
    pub fn left(&self, scale: f64, gain: f64) -> f64 {
        if self.room < self.full {
            (scale * self.near.max(gain)).max(self.room).min(self.full)
        } else {
            self.full
        }
    }
}

/// Why a run is on its way to minus infinity, or to a point infinitely far, if it is. Where both are large a sum of
/// coordinates has hardly a digit left behind the point, and steps that follow a ray get no further.
pub fn diverged(f: f64, x: &[f64]) -> Option<Reason> {
    let size = norm_inf(x);
    (f < -1e20 || size > 1e20 || f < -1e12 && size > 1e12).then(|| {
        Reason::new(
            Status::Diverged,
            format!("the objective reached {f:e} at a point of size {size:e}"),
        )
    })
}

/// Is a small slope of a convex objective no sign of its minimum, because the point is far away? It falls along `-log(x)` or
/// `1/x` as slowly as one likes; what may still be gained is the slope times the distance.
pub fn far(problem: &dyn Oracle, x: &[f64], f: f64, g: &[f64], tolerance: f64) -> bool {
    problem.convex() && norm_inf(x) > FAR_AWAY && dot(g, x).abs() > tolerance.sqrt() * (1.0 + f.abs())
}

/// Where [`far`] begins.
const FAR_AWAY: f64 = 1e4;

/// A point where the objective is lower by more than the tolerance, about as far off again as the coordinates are large: along
/// `1/x` the slope is below any tolerance long before there is nothing left to gain.
pub fn farther(
    problem: &mut dyn Oracle,
    bounds: Option<&Bounds>,
    x: &[f64],
    f: f64,
    g: &[f64],
    tolerance: f64,
) -> Result<Option<Vec<f64>>, Fault> {
    let large = |i: usize| if x[i].abs() > LARGE { x[i].abs() } else { 0.0 };
    along_sizes(problem, bounds, x, f, g, tolerance, &large)
}

/// A point where the objective is far lower, where no step leads on: coordinates that are all but on a bound, where slopes change
/// within no distance, stop the others.
pub fn elsewhere(
    problem: &mut dyn Oracle,
    bounds: &Bounds,
    x: &[f64],
    f: f64,
    g: &[f64],
    tolerance: f64,
) -> Result<Option<Vec<f64>>, Fault> {
    let room = |i: usize| {
        (x[i] - bounds.lower[i])
            .min(bounds.upper[i] - x[i])
            .min(x[i].abs().max(1.0))
    };
    if !(0..x.len()).any(|i| room(i) < NO_ROOM) {
        return Ok(None);
    }
    along_sizes(problem, Some(bounds), x, f, g, tolerance.sqrt(), &room)
}

/// A lower point along the slopes, every coordinate measured by its own size: all of them, or the one that promises most.
fn along_sizes(
    problem: &mut dyn Oracle,
    bounds: Option<&Bounds>,
    x: &[f64],
    f: f64,
    g: &[f64],
    tolerance: f64,
    size: &dyn Fn(usize) -> f64,
) -> Result<Option<Vec<f64>>, Fault> {
    let enough = tolerance * (problem.unit() + f.abs());
    let gain = |i: usize| {
        let room = bounds.map_or(f64::INFINITY, |b| {
            if g[i] > 0.0 {
                x[i] - b.lower[i]
            } else {
                b.upper[i] - x[i]
            }
        });
        g[i].abs() * room.min(size(i))
    };
    let most = (0..x.len()).max_by(|i, j| gain(*i).total_cmp(&gain(*j)));
    let Some(most) = most.filter(|i| gain(*i) > enough) else {
        return Ok(None);
    };
    let noise = value_noise(problem, bounds, x, f, g)?;
    let (mut trial, mut slope) = (x.to_vec(), g.to_vec());
    for all in [true, false] {
        for length in [10.0, 1.0, 0.1, 1e-2] {
            for i in 0..x.len() {
                let share = g[i] * size(i).powi(2) / (g[most].abs() * size(most));
                trial[i] = if all || i == most { x[i] - length * share } else { x[i] };
            }
            project(bounds, &mut trial);
            let ft = trial_value(problem, &trial)?;
            let lower = f - ft > enough + 10.0 * noise && ft.is_finite();
            if lower && evaluate(problem, &trial, &mut slope).is_ok() {
                return Ok(Some(trial));
            }
        }
    }
    Ok(None)
}

/// A coordinate this near to its bound is all but on it.
const NO_ROOM: f64 = 1e-6;

/// Coordinates up to this are measured by their slopes alone.
const LARGE: f64 = 10.0;

/// The larger one; what is no number is worse than all.
fn worse(a: f64, b: f64) -> f64 {
    if a.is_nan() || b.is_nan() { f64::NAN } else { a.max(b) }
}

/// Distance from a bound, relative to it, of a variable that is held there.
const AT_BOUND: f64 = 1e-8;

/// How the objective changes with each bound: the gradient where a variable sits on one, or as near as a tolerance brings it
/// and is pushed there; 0 elsewhere; empty without bounds.
pub fn bound_multipliers(bounds: Option<&Bounds>, g: &[f64], x: &[f64], out: &mut Vec<f64>) {
    out.clear();
    if let Some(b) = bounds {
        out.extend((0..x.len()).map(|i| {
            let near = |end: f64| end.is_finite() && (x[i] - end).abs() <= AT_BOUND * (1.0 + end.abs());
            let low = near(b.lower[i]) && g[i] > 0.0;
            let high = near(b.upper[i]) && g[i] < 0.0;
            if x[i] <= b.lower[i] || x[i] >= b.upper[i] || low || high {
                g[i]
            } else {
                0.0
            }
        }));
    }
}

/// Objective and gradient at `x`, both finite.
pub fn evaluate(problem: &mut dyn Oracle, x: &[f64], g: &mut [f64]) -> Result<f64, Fault> {
    let f = problem.value_gradient(x, g)?;
    if !f.is_finite() {
        return Err(Fault::not_finite("objective", None));
    }
    match g.iter().position(|v| !v.is_finite()) {
        Some(i) => Err(Fault::not_finite("gradient", Some(i))),
        None => Ok(f),
    }
}

/// The objective, or `+∞` where it cannot be evaluated: a trial to be rejected.
pub fn trial_value(problem: &mut dyn Oracle, x: &[f64]) -> Result<f64, Fault> {
    match problem.value(x) {
        Ok(f) if f.is_nan() => Ok(f64::INFINITY),
        Ok(f) => Ok(f),
        Err(Fault::NotFinite { .. }) => Ok(f64::INFINITY),
        Err(other) => Err(other),
    }
}

/// Variables that the projected gradient step leaves inside their bounds.
pub fn inactive(bounds: Option<&Bounds>, x: &[f64], g: &[f64], free: &mut [bool]) {
    for i in 0..x.len() {
        free[i] = match bounds {
            Some(b) => {
                let v = x[i] - g[i];
                let low = x[i] <= b.lower[i] || v <= b.lower[i];
                let high = x[i] >= b.upper[i] || v >= b.upper[i];
                !(low && g[i] >= 0.0 || high && g[i] <= 0.0)
            }
            None => true,
        };
    }
}

/// How far values of the objective scatter at `x` by rounding: the largest deviation from the linear model over a
/// few points within rounding distance, at least two units in the last place.
pub fn value_noise(
    problem: &mut dyn Oracle,
    bounds: Option<&Bounds>,
    x: &[f64],
    f: f64,
    g: &[f64],
) -> Result<f64, Fault> {
    let mut noise = 2.0 * f64::EPSILON * f.abs();
    let mut trial = x.to_vec();
    for k in 0..6u64 {
        let size = [2.0, 5.0, 11.0][(k % 3) as usize] * f64::EPSILON;
        for i in 0..x.len() {
            trial[i] = x[i] + size * scrambled(i, 100 + k) * x[i].abs();
        }
        project(bounds, &mut trial);
        let ft = trial_value(problem, &trial)?;
        if ft.is_finite() {
            let linear: f64 = ravine_linalg::reduce::sum_by(x.len(), |i| g[i] * (trial[i] - x[i]));
            noise = noise.max((ft - f - linear).abs());
        }
    }
    Ok(noise)
}

/// What the second derivatives say at a stationary point.
pub enum SecondOrder {
    /// Positive definite on the free variables and on those whose bound does not push.
    Minimum,
    /// Nonnegative to rounding, and no descent was found along the flat directions.
    Flat,
    /// A point of smaller value was found along a direction without curvature.
    Descent(Vec<f64>),
    /// A direction of negative curvature.
    Negative(Vec<f64>),
    /// Not decided.
    Unknown(&'static str),
}

/// Examines a stationary point: by its curvature, and, where the objective may have kinks that curvature says nothing of, by
/// values around it.
///
/// `threshold` is the stationarity the point was accepted with.
pub fn second_order(
    h: &mut Curvature,
    problem: &mut dyn Oracle,
    bounds: Option<&Bounds>,
    x: &[f64],
    f: f64,
    g: &[f64],
    threshold: f64,
) -> Result<SecondOrder, Fault> {
    let found = by_curvature(h, problem, bounds, x, f, g, threshold)?;
    if !problem.kinks() || !matches!(found, SecondOrder::Minimum | SecondOrder::Flat) {
        return Ok(found);
    }
    Ok(around(problem, bounds, x, f, g, threshold)?.map_or(found, SecondOrder::Descent))
}

/// A feasible point of smaller value near `x`, along axes and along directions without a pattern.
fn around(
    problem: &mut dyn Oracle,
    bounds: Option<&Bounds>,
    x: &[f64],
    f: f64,
    g: &[f64],
    threshold: f64,
) -> Result<Option<Vec<f64>>, Fault> {
    let n = x.len();
    let noise = value_noise(problem, bounds, x, f, g)?;
    let mut z = vec![0.0; n];
    let axes = n.min(MOST_AXES);
    for k in 0..axes + DIRECTIONS {
        z.fill(0.0);
        if k < axes {
            z[k * n / axes] = 1.0;
        } else {
            (0..n).for_each(|i| z[i] = scrambled(i, 200 + k as u64));
            let size = norm2(&z);
            z.iter_mut().for_each(|v| *v /= size);
        }
        if let Some(p) = probe(problem, bounds, x, f, &z, threshold, noise)? {
            return Ok(Some(p));
        }
    }
    Ok(None)
}

/// Axes and other directions that are looked along where there may be kinks.
const MOST_AXES: usize = 64;
const DIRECTIONS: usize = 32;

/// By factorization, or by Lanczos where only products are at hand.
fn by_curvature(
    h: &mut Curvature,
    problem: &mut dyn Oracle,
    bounds: Option<&Bounds>,
    x: &[f64],
    f: f64,
    g: &[f64],
    threshold: f64,
) -> Result<SecondOrder, Fault> {
    let n = x.len();
    let mut free = vec![true; n];
    inactive(bounds, x, g, &mut free);
    let weak: Vec<usize> = (0..n).filter(|&i| !free[i] && g[i].abs() <= threshold).collect();
    let mut all = free.clone();
    weak.iter().for_each(|&i| all[i] = true);
    if !all.contains(&true) {
        return Ok(SecondOrder::Minimum);
    }
    let mut z = vec![0.0; n];
    if !h.can_factor() {
        let found = by_products(h, problem, bounds, x, f, g, threshold, &all)?;
        if weak.is_empty()
            || matches!(
                found,
                SecondOrder::Minimum | SecondOrder::Flat | SecondOrder::Descent(_)
            )
        {
            return Ok(found);
        }
        let found = by_products(h, problem, bounds, x, f, g, threshold, &free)?;
        if let SecondOrder::Negative(_) = found {
            return Ok(found);
        }
        return by_weak_bounds(problem, bounds, x, f, g, &weak, threshold);
    }
    if h.factor(&all, 0.0) {
        // The Newton step lands much closer to a true minimum; where it does not, the curvature is about to vanish.
        for i in 0..n {
            z[i] = if all[i] { -g[i] } else { 0.0 };
        }
        h.solve(&mut z);
        if !suspicious(h, problem, bounds, x, g, &z)? {
            return Ok(SecondOrder::Minimum);
        }
        let noise = value_noise(problem, bounds, x, f, g)?;
        smallest_direction(h, &all, 1, &mut z);
        return Ok(match probe(problem, bounds, x, f, &z, threshold, noise)? {
            Some(p) => SecondOrder::Descent(p),
            None => SecondOrder::Minimum,
        });
    }
    let (lo, hi) = h.gershgorin(&all, &mut z, &mut vec![0.0; n]);
    let spread = lo.abs().max(hi.abs());
    let shift = 1e-10 * spread + f64::MIN_POSITIVE;
    let definite = h.factor(&all, shift);
    if definite {
        let noise = value_noise(problem, bounds, x, f, g)?;
        // First into the feasible set from the bounds that do not push.
        if !weak.is_empty() {
            for &i in &weak {
                z[i] = if bounds.is_some_and(|b| x[i] <= b.lower[i]) {
                    1.0
                } else {
                    -1.0
                };
            }
            let size = norm2(&z);
            z.iter_mut().for_each(|v| *v /= size);
            if let Some(p) = probe(problem, bounds, x, f, &z, threshold, noise)? {
                return Ok(SecondOrder::Descent(p));
            }
        }
        for salt in 1..=4 {
            if spread > 0.0 {
                smallest_direction(h, &all, salt, &mut z);
            } else {
                // No curvature at all: every direction is as flat as another.
                for i in 0..n {
                    z[i] = if all[i] { scrambled(i, salt) } else { 0.0 };
                }
                let size = norm2(&z);
                z.iter_mut().for_each(|v| *v /= size);
            }
            if let Some(p) = probe(problem, bounds, x, f, &z, threshold, noise)? {
                return Ok(SecondOrder::Descent(p));
            }
        }
        return Ok(SecondOrder::Flat);
    }
    if !h.factor(&free, shift) {
        // Enough shift to be definite gives the direction.
        if h.factor(&free, (-lo).max(shift) * 1.01 + shift) {
            smallest_direction(h, &free, 1, &mut z);
        }
        return Ok(SecondOrder::Negative(z));
    }
    by_weak_bounds(problem, bounds, x, f, g, &weak, threshold)
}

/// Only variables whose bound does not push can descend: tries each of them, then gives no claim.
fn by_weak_bounds(
    problem: &mut dyn Oracle,
    bounds: Option<&Bounds>,
    x: &[f64],
    f: f64,
    g: &[f64],
    weak: &[usize],
    threshold: f64,
) -> Result<SecondOrder, Fault> {
    let mut z = vec![0.0; x.len()];
    let noise = value_noise(problem, bounds, x, f, g)?;
    for &i in weak {
        z.fill(0.0);
        z[i] = 1.0;
        if let Some(p) = probe(problem, bounds, x, f, &z, threshold, noise)? {
            return Ok(SecondOrder::Descent(p));
        }
    }
    Ok(SecondOrder::Unknown(
        "variables whose bound does not push have no definite curvature",
    ))
}

/// Does the Newton step `s` fail to shrink the gradient, although rounding would let it?
fn suspicious(
    h: &Curvature,
    problem: &mut dyn Oracle,
    bounds: Option<&Bounds>,
    x: &[f64],
    g: &[f64],
    s: &[f64],
) -> Result<bool, Fault> {
    let n = x.len();
    let mut trial = vec![0.0; n];
    add_scaled(x, 1.0, s, &mut trial);
    project(bounds, &mut trial);
    let mut after = vec![0.0; n];
    match problem.gradient(&trial, &mut after) {
        Err(Fault::NotFinite { .. }) => return Ok(true),
        Err(other) => return Err(other),
        Ok(()) => {}
    }
    let size = |x: &[f64], g: &[f64]| {
        (0..n)
            .map(|i| projected_step(bounds, x, g, i).abs())
            .fold(0.0, f64::max)
    };
    let (before, after) = (size(x, g), size(&trial, &after));
    let mut shaken = vec![0.0; n];
    if h.is_explicit() {
        h.apply_abs(x, &mut shaken);
    }
    let floor = 16.0 * f64::EPSILON * (norm_inf(&shaken) + norm_inf(g));
    Ok(!(after <= 0.2 * before || after <= floor))
}

/// A feasible point along ±z whose value is smaller by more than the gradient and rounding explain.
fn probe(
    problem: &mut dyn Oracle,
    bounds: Option<&Bounds>,
    x: &[f64],
    f: f64,
    z: &[f64],
    threshold: f64,
    noise: f64,
) -> Result<Option<Vec<f64>>, Fault> {
    let size = norm2(x).max(1.0);
    let mut trial = vec![0.0; x.len()];
    for length in [1e-3, 1e-2, 1e-1, 1.0] {
        for sign in [1.0, -1.0] {
            add_scaled(x, sign * length * size, z, &mut trial);
            project(bounds, &mut trial);
            let moved: f64 = trial.iter().zip(x).map(|(a, b)| (a - b).abs()).sum();
            let ft = trial_value(problem, &trial)?;
            if f - ft > 4.0 * moved * threshold + 10.0 * noise && ft.is_finite() {
                return Ok(Some(trial));
            }
        }
    }
    Ok(None)
}

/// A feasible point of smaller value along a direction of negative curvature.
pub fn along_negative(
    problem: &mut dyn Oracle,
    bounds: Option<&Bounds>,
    x: &[f64],
    f: f64,
    z: &[f64],
    radius: f64,
) -> Result<Option<Vec<f64>>, Fault> {
    let mut trial = vec![0.0; x.len()];
    let mut length = radius.min(norm2(x).max(1.0));
    while length > 1e-9 * norm2(x).max(1.0) {
        let mut best: Option<(f64, f64)> = None;
        for sign in [1.0, -1.0] {
            add_scaled(x, sign * length, z, &mut trial);
            project(bounds, &mut trial);
            let ft = trial_value(problem, &trial)?;
            if ft < f && best.is_none_or(|(b, _)| ft < b) {
                best = Some((ft, sign));
            }
        }
        if let Some((_, sign)) = best {
            add_scaled(x, sign * length, z, &mut trial);
            project(bounds, &mut trial);
            return Ok(Some(trial));
        }
        length *= 0.25;
    }
    Ok(None)
}

/// Lowest curvature over the free variables by Lanczos with full reorthogonalization.
fn by_products(
    h: &Curvature,
    problem: &mut dyn Oracle,
    bounds: Option<&Bounds>,
    x: &[f64],
    f: f64,
    g: &[f64],
    threshold: f64,
    free: &[bool],
) -> Result<SecondOrder, Fault> {
    let n = x.len();
    let dimension = free.iter().filter(|f| **f).count();
    // Fewer where the vectors would fill more than 160 MB.
    let steps = dimension.min(80).min((20_000_000 / n.max(1)).max(10));
    let mut basis: Vec<Vec<f64>> = vec![];
    let mut v: Vec<f64> = (0..n).map(|i| if free[i] { scrambled(i, 7) } else { 0.0 }).collect();
    let (mut alpha, mut beta): (Vec<f64>, Vec<f64>) = (vec![], vec![]);
    let mut residual = 0.0;
    for k in 0..steps {
        let size = norm2(&v);
        if size == 0.0 {
            break;
        }
        v.iter_mut().for_each(|e| *e /= size);
        let mut w = vec![0.0; n];
        h.apply(problem, x, &v, &mut w)?;
        (0..n).filter(|&i| !free[i]).for_each(|i| w[i] = 0.0);
        alpha.push(dot(&v, &w));
        basis.push(std::mem::take(&mut v));
        for _ in 0..2 {
            for b in &basis {
                let c = dot(b, &w);
                axpy(-c, b, &mut w);
            }
        }
        residual = norm2(&w);
        let scale = alpha.iter().chain(&beta).fold(0.0f64, |m, a| m.max(a.abs()));
        if residual <= 1e-13 * scale {
            // An invariant subspace tells nothing of what lies beside it.
            residual = 0.0;
            w = (0..n)
                .map(|i| if free[i] { scrambled(i, 8 + k as u64) } else { 0.0 })
                .collect();
            for _ in 0..2 {
                for b in &basis {
                    let c = dot(b, &w);
                    axpy(-c, b, &mut w);
                }
            }
            if basis.len() == dimension || norm2(&w) <= 1e-8 * (dimension as f64).sqrt() {
                break;
            }
        }
        beta.push(residual);
        v = w;
    }
    let (value, ritz) = lowest_of_tridiagonal(&alpha, &beta);
    let error = if basis.len() == dimension {
        0.0
    } else {
        residual * ritz.last().map_or(0.0, |r| r.abs())
    };
    let scale = alpha.iter().fold(0.0f64, |m, a| m.max(a.abs()));
    let mut z = vec![0.0; n];
    for (b, c) in basis.iter().zip(&ritz) {
        axpy(*c, b, &mut z);
    }
    if value < -1e-10 * scale {
        return Ok(SecondOrder::Negative(z));
    }
    let definite = value - error > 0.0;
    if !definite && error > 1e-10 * scale {
        return Ok(SecondOrder::Unknown(
            "the lowest curvature was not resolved by products",
        ));
    }
    let ones = vec![1.0; n];
    let mut s = vec![0.0; n];
    truncated_cg(
        h,
        problem,
        x,
        g,
        free,
        &ones,
        f64::MAX.sqrt(),
        1e-3,
        100,
        &mut s,
        &mut CgWork::default(),
    )?;
    if definite && !suspicious(h, problem, bounds, x, g, &s)? {
        return Ok(SecondOrder::Minimum);
    }
    let noise = value_noise(problem, bounds, x, f, g)?;
    Ok(match probe(problem, bounds, x, f, &z, threshold, noise)? {
        Some(p) => SecondOrder::Descent(p),
        None if definite => SecondOrder::Minimum,
        None => SecondOrder::Flat,
    })
}

/// Lowest eigenvalue and unit eigenvector of a symmetric tridiagonal matrix: bisection on Sturm counts, then
/// inverse iteration.
fn lowest_of_tridiagonal(a: &[f64], b: &[f64]) -> (f64, Vec<f64>) {
    let k = a.len();
    if k == 0 {
        return (0.0, vec![]);
    }
    let off = |i: usize| b.get(i).copied().unwrap_or(0.0);
    let (mut lo, mut hi) = (f64::INFINITY, f64::INFINITY);
    for i in 0..k {
        let left = if i > 0 { off(i - 1).abs() } else { 0.0 };
        let r = left + if i + 1 < k { off(i).abs() } else { 0.0 };
        lo = lo.min(a[i] - r);
        hi = hi.min(a[i]);
    }
    let tiny = f64::EPSILON * lo.abs().max(hi.abs()).max(f64::MIN_POSITIVE);
    hi += tiny;
    lo -= tiny;
    let below = |t: f64| {
        let mut d = a[0] - t;
        let mut any = d < 0.0;
        for i in 1..k {
            let q = if d == 0.0 { tiny } else { d };
            d = a[i] - t - off(i - 1) * off(i - 1) / q;
            any |= d < 0.0;
        }
        any
    };
    for _ in 0..200 {
        let mid = 0.5 * (lo + hi);
        if mid <= lo || mid >= hi {
            break;
        }
        if below(mid) { hi = mid } else { lo = mid }
    }
    // T − lo is positive definite up to rounding: two solves by elimination give the vector.
    let mut z = vec![1.0; k];
    for _ in 0..3 {
        let mut d = vec![0.0; k];
        d[0] = (a[0] - lo).max(tiny);
        for i in 1..k {
            let m = off(i - 1) / d[i - 1];
            d[i] = (a[i] - lo - m * off(i - 1)).max(tiny);
            z[i] -= m * z[i - 1];
        }
        z[k - 1] /= d[k - 1];
        for i in (0..k - 1).rev() {
            z[i] = (z[i] - off(i) * z[i + 1]) / d[i];
        }
        let size = norm2(&z);
        z.iter_mut().for_each(|e| *e /= size);
    }
    (lo, z)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lowest_of_a_tridiagonal_matrix() {
        // Second difference matrix: 2 − 2 cos(π/(k+1)).
        let k = 12;
        let (value, z) = lowest_of_tridiagonal(&vec![2.0; k], &vec![-1.0; k - 1]);
        let nearest = nalgebra::DMatrix::<f64>::from_fn(k, k, |i, j| match i.abs_diff(j) {
            0 => 2.0,
            1 => -1.0,
            _ => 0.0,
        })
        .symmetric_eigen();
        assert!((value - nearest.eigenvalues.min()).abs() < 1e-13);
        let m = |i: usize| 2.0 * z[i] - if i > 0 { z[i - 1] } else { 0.0 } - if i + 1 < k { z[i + 1] } else { 0.0 };
        assert!((0..k).all(|i| (m(i) - value * z[i]).abs() < 1e-12));
        assert_eq!(lowest_of_tridiagonal(&[-3.0], &[]).1.len(), 1);
    }
}
