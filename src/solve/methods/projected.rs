//! The step of a bounded trust-region method: a Cauchy point along the projected gradient, then subspace steps.
//!
//! Invariant: `x + s` is within the bounds, and the model is at most what the Cauchy point reaches.
//!
//! Source: Lin and Moré, Newton's method for large bound-constrained optimization problems, SIAM J. Optim. 9 (1999).

use crate::solve::method::Fault;
use crate::solve::oracle::{Bounds, Oracle};
use crate::solve::vector::{dot, norm2};

use super::conditions::{land, projected_step};
use super::curvature::Curvature;
use super::subproblem::{BallStep, CgWork, ExactWork, exact, truncated_cg};

/// How subspace steps are found.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Inner {
    /// Shifted Cholesky factors.
    Factor,
    /// Conjugate gradients until the residual is this small.
    Cg(f64),
}

/// Work arrays of a step.
#[derive(Default)]
pub struct StepWork {
    /// Free variables.
    pub free: Vec<bool>,
    /// Positive diagonal that preconditions conjugate gradients.
    pub metric: Vec<f64>,
    w: Vec<f64>,
    exact: ExactWork,
    hs: Vec<f64>,
    r: Vec<f64>,
    trial: Vec<f64>,
    cg: CgWork,
}

impl StepWork {
    fn fit(&mut self, n: usize) {
        self.free.resize(n, true);
        for v in [&mut self.w, &mut self.hs, &mut self.r, &mut self.trial] {
            v.resize(n, 0.0);
        }
        if self.metric.len() != n {
            self.metric = vec![1.0; n];
        }
    }
}

/// A step and its model value.
#[derive(Clone, Copy, Debug)]
pub struct ModelStep {
    /// The last subspace step.
    pub ball: BallStep,
    /// `−(gᵀs + ½ sᵀHs)`.
    pub predicted: f64,
    /// `gᵀs`.
    pub slope: f64,
}

fn inner_step(
    h: &mut Curvature,
    problem: &mut dyn Oracle,
    x: &[f64],
    gradient: &[f64],
    radius: f64,
    inner: Inner,
    work: &mut StepWork,
) -> Result<BallStep, Fault> {
    let n = x.len();
    match inner {
        Inner::Factor => exact(
            h,
            problem,
            x,
            gradient,
            &work.free,
            radius,
            &mut work.w,
            &mut work.exact,
        ),
        Inner::Cg(target) => truncated_cg(
            h,
            problem,
            x,
            gradient,
            &work.free,
            &work.metric,
            radius,
            target,
            2 * n + 20,
            &mut work.w,
            &mut work.cg,
        ),
    }
}

/// The step `s` from `x` within `radius`. `cauchy` is the length of the last projected gradient step.
pub fn model_step(
    h: &mut Curvature,
    problem: &mut dyn Oracle,
    bounds: Option<&Bounds>,
    x: &[f64],
    g: &[f64],
    radius: f64,
    cauchy: &mut f64,
    inner: Inner,
    s: &mut [f64],
    work: &mut StepWork,
) -> Result<ModelStep, Fault> {
    work.fit(x.len());
    let Some(bounds) = bounds else {
        work.free.fill(true);
        let ball = inner_step(h, problem, x, g, radius, inner, work)?;
        s.copy_from_slice(&work.w);
        return finish(h, problem, x, g, s, ball, work);
    };
    cauchy_point(h, problem, bounds, x, g, radius, cauchy, s, work)?;
    let mut ball = BallStep {
        shift: 0.0,
        boundary: false,
        negative: false,
        work: 0,
    };
    let mut first_residual = f64::INFINITY;
    let stationarity = (0..x.len())
        .map(|i| projected_step(Some(bounds), x, g, i).abs())
        .fold(0.0, f64::max);
    for minor in 0..10 {
        let mut any = false;
        for i in 0..x.len() {
            let at = land(bounds, i, x[i], s[i]);
            work.free[i] = at > bounds.lower[i] && at < bounds.upper[i];
            any |= work.free[i];
        }
        if !any {
            break;
        }
        h.apply(problem, x, s, &mut work.hs)?;
        for i in 0..x.len() {
            work.r[i] = if work.free[i] { g[i] + work.hs[i] } else { 0.0 };
        }
        let residual = norm2(&work.r);
        if minor == 0 {
            // Not measured at the Cauchy point, where steep variables can hide what flat ones still have to gain.
            first_residual = residual.min(stationarity);
        } else if residual <= 0.1 * first_residual {
            break;
        }
        let gradient = std::mem::take(&mut work.r);
        let step = inner_step(h, problem, x, &gradient, radius, inner, work);
        let step = step.inspect(|b| {
            ball = BallStep {
                work: ball.work + b.work,
                negative: ball.negative || b.negative,
                ..*b
            };
        });
        let blocked = step.and_then(|_| projected_search(h, problem, bounds, x, &gradient, s, work));
        work.r = gradient;
        if !blocked? || ball.boundary {
            break;
        }
    }
    finish(h, problem, x, g, s, ball, work)
}

fn finish(
    h: &Curvature,
    problem: &mut dyn Oracle,
    x: &[f64],
    g: &[f64],
    s: &[f64],
    ball: BallStep,
    work: &mut StepWork,
) -> Result<ModelStep, Fault> {
    h.apply(problem, x, s, &mut work.hs)?;
    let slope = dot(g, s);
    Ok(ModelStep {
        ball,
        predicted: -(slope + 0.5 * dot(s, &work.hs)),
        slope,
    })
}

/// `s = P(x − a g) − x` with `a` such that the model falls enough within the radius; starts from the last `a`.
fn cauchy_point(
    h: &Curvature,
    problem: &mut dyn Oracle,
    bounds: &Bounds,
    x: &[f64],
    g: &[f64],
    radius: f64,
    cauchy: &mut f64,
    s: &mut [f64],
    work: &mut StepWork,
) -> Result<(), Fault> {
    const ENOUGH: f64 = 0.01;
    let n = x.len();
    let mut last_break = 0.0f64;
    for i in 0..n {
        let room = if g[i] > 0.0 {
            x[i] - bounds.lower[i]
        } else {
            bounds.upper[i] - x[i]
        };
        if g[i] != 0.0 {
            last_break = last_break.max(room / g[i].abs());
        }
    }
    let mut good = |a: f64, s: &mut [f64], work: &mut StepWork| -> Result<bool, Fault> {
        for i in 0..n {
            s[i] = bounds.clamp(i, x[i] - a * g[i]) - x[i];
        }
        if norm2(s) > radius {
            return Ok(false);
        }
        h.apply(problem, x, s, &mut work.hs)?;
        let slope = dot(g, s);
        Ok(slope + 0.5 * dot(s, &work.hs) <= ENOUGH * slope)
    };
    let mut a = if *cauchy > 0.0 && cauchy.is_finite() {
        *cauchy
    } else {
        1.0
    };
    if good(a, s, work)? {
        let mut best = a;
        // Longer steps stop changing anything beyond the last breakpoint.
        while a <= last_break && a < 1e30 {
            a *= 10.0;
            if !good(a, s, work)? {
                break;
            }
            best = a;
        }
        a = best;
    } else {
        for _ in 0..80 {
            a *= 0.1;
            if good(a, s, work)? {
                break;
            }
        }
    }
    *cauchy = a;
    for i in 0..n {
        s[i] = bounds.clamp(i, x[i] - a * g[i]) - x[i];
    }
    Ok(())
}

/// Adds a projected multiple of `work.w` to `s`, with enough decrease of the model whose gradient at `s` on the free
/// variables is `r`. Was a bound met?
fn projected_search(
    h: &Curvature,
    problem: &mut dyn Oracle,
    bounds: &Bounds,
    x: &[f64],
    r: &[f64],
    s: &mut [f64],
    work: &mut StepWork,
) -> Result<bool, Fault> {
    const ENOUGH: f64 = 0.01;
    let n = x.len();
    let mut first_break = f64::INFINITY;
    for i in (0..n).filter(|&i| work.free[i] && work.w[i] != 0.0) {
        let at = x[i] + s[i];
        let room = if work.w[i] > 0.0 {
            bounds.upper[i] - at
        } else {
            at - bounds.lower[i]
        };
        first_break = first_break.min(room / work.w[i].abs());
    }
    let mut a = 1.0;
    while a > first_break {
        for i in 0..n {
            let at = x[i] + s[i];
            work.trial[i] = if work.free[i] {
                bounds.clamp(i, at + a * work.w[i]) - at
            } else {
                0.0
            };
        }
        h.apply(problem, x, &work.trial, &mut work.hs)?;
        let slope = dot(r, &work.trial);
        if slope + 0.5 * dot(&work.trial, &work.hs) <= ENOUGH * slope.min(0.0) {
            break;
        }
        a *= 0.5;
    }
    if a < 1.0 && a < first_break {
        a = first_break.min(1.0);
    }
    for i in (0..n).filter(|&i| work.free[i]) {
        s[i] = bounds.clamp(i, x[i] + s[i] + a * work.w[i]) - x[i];
    }
    Ok(a >= first_break)
}
