//! Iterations of the homogeneous embedding of a linear, convex quadratic or semidefinite program.
//!
//! Invariant: what is returned is the iterate with the smallest residuals in the form's own units, and every certificate
//! passed its check; the iterations run on the calling thread.
//!
//! Sources: E. Andersen and Y. Ye, "On a homogeneous algorithm for the monotone complementarity problem", Mathematical
//! Programming 84 (1999), and P. Goulart and Y. Chen, "Clarabel", 2024, section 3, for the embedding of a quadratic
//! objective; S. Mehrotra, SIAM J. Optimization 2 (1992), for predictor and corrector; J. Gondzio, Computational
//! Optimization and Applications 6 (1996), for the further corrections of centrality.

use ravine_linalg::NumericalFault;
use ravine_linalg::clarabel_adapter::{ConicForm, ConicIteration, ConicSettings, ConicSolution, ConicStatus};
use ravine_linalg::reduce::dot;
use ravine_linalg::saddle::Saddle;

use super::matrices::Matrices;
use super::program::{Measures, Program};
use crate::solve::verify;

/// What is added to the diagonals that are factored, of variables and of rows; refinement takes it out again.
const SHIFT: (f64, f64) = (1e-8, 1e-8);
/// The same where the variables are eliminated first, all of them held.
const SHIFT_IN_ROWS: (f64, f64) = (1e-13, 1e-10);
/// Refinements of a solve at most, and the relative residual that is enough.
const REFINEMENTS: usize = 10;
const ENOUGH: f64 = 1e-11;
/// Part of the step to the boundary that is taken.
const INSIDE: f64 = 0.99;
/// The same with matrices, where the predictor gets nowhere; with it all the way, `INSIDE`. Their iterates recover slowly
/// from what is off the centre.
const INSIDE_AT_LEAST: f64 = 0.9;
/// How far inside slacks and multipliers start at least, with matrices.
const START: f64 = 30.0;
/// Corrections of centrality at most, how much longer they try to make a step, and by how much they must.
const CORRECTIONS: usize = 2;
/// The same where a factorization takes hardly longer than a solve.
const CORRECTIONS_IN_ROWS: usize = 0;
const LONGER: f64 = 0.3;
const GAINED: f64 = 0.03;
/// Products of slack and multiplier outside this range of the goal are corrected.
const CENTRAL: (f64, f64) = (0.1, 10.0);
/// Slacks over multipliers stay in this range where they are factored.
const WEIGHT: (f64, f64) = (1e-20, 1e20);
/// Iterations without progress after which it ends.
const PATIENCE: usize = 12;
/// The same with matrices, whose iterations take long and do not recover.
const PATIENCE_WITH_MATRICES: usize = 4;
/// In how many tolerances what has stopped counts as almost solved; there iterations with matrices end as soon as they slow
/// down.
const ALMOST: f64 = 10.0;
/// Refinements of the equations of the active set.
const SETTLING: usize = 12;

/// The point (x, s, z, tau, kappa) of the embedding, or a direction.
#[derive(Clone, Default)]
struct Iterate {
    x: Vec<f64>,
    s: Vec<f64>,
    z: Vec<f64>,
    tau: f64,
    kappa: f64,
}

impl Iterate {
    fn copy_from(&mut self, other: &Iterate) {
        self.x.copy_from_slice(&other.x);
        self.s.copy_from_slice(&other.s);
        self.z.copy_from_slice(&other.z);
        (self.tau, self.kappa) = (other.tau, other.kappa);
    }

    fn advance(&mut self, by: f64, d: &Iterate) {
        for (v, d) in [(&mut self.x, &d.x), (&mut self.s, &d.s), (&mut self.z, &d.z)] {
            v.iter_mut().zip(d).for_each(|(v, d)| *v += by * d);
        }
        self.tau += by * d.tau;
        self.kappa += by * d.kappa;
    }
}

/// The best iterate so far.
struct Best {
    at: Iterate,
    measures: Measures,
}

/// What came of it.
pub struct Solved {
    /// Point, multipliers or certificate, and why it ended.
    pub solution: ConicSolution,
    /// Were the equations of the active set solved again, to the better?
    pub settled: bool,
    /// The largest residual.
    pub worst: f64,
    /// The iterate that was settled: point, multipliers and slacks.
    pub before: Option<(Vec<f64>, Vec<f64>, Vec<f64>)>,
    /// Did refining the active set make little progress, as where its equations are badly conditioned?
    pub slow: bool,
    /// Were the right-hand sides, or the entries of matrices, scaled down? Otherwise the run without is the same.
    pub shortened: bool,
}

/// Solves the program: `None` where the form has other cones than equations, half lines and semidefinite matrices.
pub fn solve(
    form: &ConicForm,
    settings: &ConicSettings,
    shorten: bool,
    interrupted: &mut dyn FnMut() -> bool,
    log: &mut dyn FnMut(&ConicIteration),
) -> Result<Option<Solved>, NumericalFault> {
    let Some(program) = Program::new(form, shorten) else {
        return Ok(None);
    };
    let kkt = if program.blocks.is_empty() {
        let mut held: Vec<bool> = program.p.diagonal().iter().map(|v| *v > 0.0).collect();
        program.bounds.iter().for_each(|b| held[b.column] = true);
        Saddle::new(&program.p, &program.g, &held)?
    } else {
        let plain = 0..program.plain;
        let g = program.g.part(0..program.general(), plain.clone());
        Saddle::dense(&program.p.part(plain.clone(), plain), &g)?
    };
    let mut run = Run {
        form,
        p: &program,
        kkt,
        matrices: Matrices::new(&program),
        weights: vec![],
        d: vec![],
        exact: false,
    };
    let mut solved = run.solve(settings, interrupted, log)?;
    solved.shortened = program.length != 1.0;
    Ok(Some(solved))
}

struct Run<'a> {
    form: &'a ConicForm,
    p: &'a Program<'a>,
    kkt: Saddle,
    matrices: Matrices<'a>,
    /// Slack over multiplier by row; 0 for equations.
    weights: Vec<f64>,
    /// What the bounds add to the diagonal of P.
    d: Vec<f64>,
    /// Did the first solve with these factors need no refinement? Then the others need none.
    exact: bool,
}

impl Run<'_> {
    fn solve(
        &mut self,
        settings: &ConicSettings,
        interrupted: &mut dyn FnMut() -> bool,
        log: &mut dyn FnMut(&ConicIteration),
    ) -> Result<Solved, NumericalFault> {
        let p = self.p;
        let (n, m) = (p.n(), p.m());
        let (slacks, cones) = (p.equal..p.linear(), p.equal..m);
        let count = slacks.len() as f64 + self.matrices.degree() + 1.0;
        let patience = if p.blocks.is_empty() {
            PATIENCE
        } else {
            PATIENCE_WITH_MATRICES
        };
        let mut at = self.start()?;
        let mut best: Option<Best> = None;
        let (mut px, mut atz, mut ax) = (vec![0.0; n], vec![0.0; n], vec![0.0; m]);
        let (mut least_mu, mut least, mut last, mut step) = (f64::INFINITY, f64::INFINITY, 0, 0.0);
        let mut before = f64::INFINITY;
        let mut status = ConicStatus::MaxIterations;
        let mut iteration = 0u32;
        let negative_q: Vec<f64> = p.q.iter().map(|q| -q).collect();
        let corrections = if self.kkt.in_rows() || !p.blocks.is_empty() {
            CORRECTIONS_IN_ROWS
        } else {
            CORRECTIONS
        };
        loop {
            p.p.mul_vec(&at.x, &mut px);
            p.adjoint(&at.z, &mut atz);
            p.apply(&at.x, &mut ax);
            let now = p.measure((&at.x, &at.s, &at.z, at.tau), &px, &atz, &ax);
            let mu = (dot(&at.s[cones.clone()], &at.z[cones.clone()]) + at.tau * at.kappa) / count;
            log(&ConicIteration {
                iteration,
                primal: now.primal,
                dual: now.dual,
                gap: now.gap,
                r_prim: now.violation,
                r_dual: now.stationarity,
                mu,
                step,
            });
            let worst = now.worst();
            match &mut best {
                None => {
                    best = Some(Best {
                        at: at.clone(),
                        measures: now,
                    });
                }
                Some(b) if worst < b.measures.worst() => {
                    b.at.copy_from(&at);
                    b.measures = now;
                }
                Some(_) => {}
            }
            let slow = !p.blocks.is_empty() && worst > 0.5 * before && worst.min(before) <= ALMOST * settings.tol;
            if worst <= settings.tol || slow {
                status = ConicStatus::Solved;
                break;
            }
            before = worst;
            if !mu.is_finite() || !at.tau.is_finite() || at.tau <= 0.0 {
                status = ConicStatus::NumericalError;
                break;
            }
            if at.kappa > at.tau
                && let Some(found) = self.certificate(&at, iteration)
            {
                return Ok(Solved {
                    solution: found,
                    settled: false,
                    worst: 0.0,
                    before: None,
                    slow: false,
                    shortened: false,
                });
            }
            if worst < 0.9 * least || mu < 0.5 * least_mu {
                last = iteration;
                least = least.min(worst);
                least_mu = least_mu.min(mu);
            }
            if (iteration - last) as usize > patience {
                status = ConicStatus::NumericalError;
                break;
            }
            if iteration >= settings.max_iter {
                break;
            }
            if interrupted() {
                status = ConicStatus::Interrupted;
                break;
            }
            // Residuals of the embedding.
            let mut rx = px.clone();
            for j in 0..n {
                rx[j] += atz[j] + p.q[j] * at.tau;
            }
            let mut rz = ax.clone();
            for i in 0..m {
                rz[i] += at.s[i] - p.b[i] * at.tau;
            }
            let xpx = dot(&at.x, &px);
            let rt = at.kappa + dot(&p.q, &at.x) + dot(&p.b, &at.z) + xpx / at.tau;
            for i in slacks.clone() {
                self.weights[i] = (at.s[i] / at.z[i]).clamp(WEIGHT.0, WEIGHT.1);
            }
            if self.matrices.rescale(&at.s, &at.z).is_err() || self.factor().is_err() {
                status = ConicStatus::NumericalError;
                break;
            }
            self.exact = false;
            let (x2, z2) = self.refined(&negative_q, &p.b);
            let mut slope = p.q.clone();
            slope.iter_mut().zip(&px).for_each(|(g, v)| *g += 2.0 * v / at.tau);
            let pivot = -at.kappa / at.tau + dot(&slope, &x2) + dot(&p.b, &z2) - xpx / (at.tau * at.tau);
            let newton = Newton {
                at: &at,
                residuals: (&rx, &rz, rt),
                tau: (&x2, &z2),
                slope: &slope,
                pivot,
            };
            let mut centre: Vec<f64> = slacks.clone().map(|i| -at.s[i] * at.z[i]).collect();
            centre.extend(self.matrices.squares());
            let mut centre_tau = -at.kappa * at.tau;
            let mut d = self.direction(&newton, 0.0, &centre, centre_tau);
            let mut length = self.longest(&at, &d).min(1.0);
            let short = 1.0 - length;
            let (sigma, inside) = if p.blocks.is_empty() {
                ((short * short * short).max(1e-8), INSIDE)
            } else {
                let inside = INSIDE_AT_LEAST + (INSIDE - INSIDE_AT_LEAST) * length;
                ((short * short).max(1e-6), inside)
            };
            let goal = sigma * mu;
            for (k, i) in slacks.clone().enumerate() {
                centre[k] += goal - d.s[i] * d.z[i];
            }
            self.matrices.recentre(&mut centre[slacks.len()..], goal, &d.s, &d.z);
            centre_tau += goal - d.tau * d.kappa;
            d = self.direction(&newton, sigma, &centre, centre_tau);
            let mut most = self.longest(&at, &d);
            length = most.min(1.0);
            for _ in 0..corrections {
                if length > 0.9 {
                    break;
                }
                let t = (length + LONGER).min(1.0);
                let off = |v: f64| {
                    let (low, high) = (CENTRAL.0 * goal, CENTRAL.1 * goal);
                    if v < low {
                        low - v
                    } else if v > high {
                        (high - v).max(-high)
                    } else {
                        0.0
                    }
                };
                let mut further = centre.clone();
                for (k, i) in slacks.clone().enumerate() {
                    further[k] += off((at.s[i] + t * d.s[i]) * (at.z[i] + t * d.z[i]));
                }
                let further_tau = centre_tau + off((at.tau + t * d.tau) * (at.kappa + t * d.kappa));
                let other = self.direction(&newton, sigma, &further, further_tau);
                let further_most = self.longest(&at, &other);
                let reached = further_most.min(1.0);
                if reached < length + GAINED {
                    break;
                }
                most = further_most;
                (d, length, centre, centre_tau) = (other, reached, further, further_tau);
            }
            step = (inside * most).min(1.0);
            if !step.is_finite() {
                status = ConicStatus::NumericalError;
                break;
            }
            at.advance(step, &d);
            iteration += 1;
        }
        let Some(best) = best else {
            return Err(NumericalFault::new("no iterate is finite", "interior point", f64::NAN));
        };
        if status == ConicStatus::NumericalError && best.measures.worst() <= settings.tol * ALMOST {
            status = ConicStatus::AlmostSolved;
        }
        Ok(self.finish(best, status, iteration))
    }

    /// The start: least slacks and multipliers of the rows, moved inside.
    fn start(&mut self) -> Result<Iterate, NumericalFault> {
        let p = self.p;
        let (n, m) = (p.n(), p.m());
        self.weights = (0..m).map(|i| if i < p.equal { 0.0 } else { 1.0 }).collect();
        self.factor()?;
        let negative_q: Vec<f64> = p.q.iter().map(|q| -q).collect();
        let (mut x, mut z) = self.refined(&negative_q, &p.b);
        let mut s: Vec<f64> = z.iter().map(|z| -z).collect();
        if p.p.values.iter().all(|v| *v == 0.0) {
            // Without curvature point and multipliers have nothing to do with each other.
            let (apart, slack) = self.refined(&vec![0.0; n], &p.b);
            s = slack.iter().map(|v| -v).collect();
            x = apart;
            z = self.refined(&negative_q, &vec![0.0; m]).1;
        }
        s[..p.equal].fill(0.0);
        // With matrices far from the boundary, so that residuals fall before rounding stops the centre.
        let (start, kappa) = if p.blocks.is_empty() {
            (1.0, 1.0)
        } else {
            (START, START * START)
        };
        for v in [&mut s, &mut z] {
            // The diagonals of matrices stand for them.
            let inside: Vec<usize> = (p.equal..p.linear()).chain(self.matrices.diagonals()).collect();
            let least = v[p.equal..p.linear()].iter().fold(f64::INFINITY, |m, v| m.min(*v));
            let least = least.min(self.matrices.least(v));
            if least < 1e-8 {
                let mean = inside.iter().map(|i| v[*i].max(0.0)).sum::<f64>() / inside.len() as f64;
                let by = -least + (0.1 * mean).max(start);
                inside.iter().for_each(|i| v[*i] += by);
            }
        }
        Ok(Iterate {
            x,
            s,
            z,
            tau: 1.0,
            kappa,
        })
    }

    fn shift(&self) -> (f64, f64) {
        if self.kkt.in_rows() { SHIFT_IN_ROWS } else { SHIFT }
    }

    /// Factors the equations for the weights at hand.
    fn factor(&mut self) -> Result<(), NumericalFault> {
        let p = self.p;
        self.d.clear();
        self.d.resize(p.n(), 0.0);
        for (b, w) in p.bounds.iter().zip(&self.weights[p.general()..p.linear()]) {
            self.d[b.column] += 1.0 / w;
        }
        let (of_variables, of_rows) = self.shift();
        let d: Vec<f64> = self.d[..p.plain].iter().map(|d| d + of_variables).collect();
        let e: Vec<f64> = self.weights[..p.general()].iter().map(|w| w + of_rows).collect();
        let matrices = &self.matrices;
        self.kkt.factor_with(&d, &e, &mut |lower| matrices.add(lower))
    }

    /// The solution of `P x + A'z = u`, `A x - W z = v`, refined: the bounds are eliminated.
    fn refined(&mut self, u: &[f64], v: &[f64]) -> (Vec<f64>, Vec<f64>) {
        let p = self.p;
        if !p.blocks.is_empty() {
            return self.refined_with_matrices(u, v, &[]);
        }
        let (n, general) = (p.n(), p.general());
        let mut right = u.to_vec();
        for (k, b) in p.bounds.iter().enumerate() {
            right[b.column] += b.sign * v[general + k] / self.weights[general + k];
        }
        let size = largest(&right).max(largest(&v[..general]));
        let (mut x, mut y) = (right.clone(), v[..general].to_vec());
        self.kkt.solve(&mut x, &mut y);
        if self.exact {
            return self.with_bounds(x, y, v);
        }
        let (mut off_x, mut off_y, mut product) = (vec![0.0; n], vec![0.0; general], vec![0.0; n]);
        let mut kept: Option<(f64, Vec<f64>, Vec<f64>)> = None;
        for k in 0..=REFINEMENTS {
            p.back(&y, &mut off_x);
            for j in 0..n {
                off_x[j] = right[j] - (self.d[j] * x[j] + off_x[j]);
            }
            if !p.p.values.is_empty() {
                p.p.mul_vec(&x, &mut product);
                off_x.iter_mut().zip(&product).for_each(|(o, v)| *o -= v);
            }
            p.g.mul_vec(&x, &mut off_y);
            for i in 0..general {
                off_y[i] = v[i] - (off_y[i] - self.weights[i] * y[i]);
            }
            let off = largest(&off_x).max(largest(&off_y));
            let before = kept.as_ref().map_or(f64::INFINITY, |k| k.0);
            // NaN is no improvement.
            if k > 0 && (off.is_nan() || off >= before) {
                break;
            }
            let done = off <= ENOUGH * size || off > 0.5 * before || k == REFINEMENTS || off.is_nan();
            if done {
                self.exact = k == 0 && self.kkt.in_rows() && off <= ENOUGH * size;
                kept = None;
                break;
            }
            kept = Some((off, x.clone(), y.clone()));
            self.kkt.solve(&mut off_x, &mut off_y);
            x.iter_mut().zip(&off_x).for_each(|(x, d)| *x += d);
            y.iter_mut().zip(&off_y).for_each(|(y, d)| *y += d);
        }
        if let Some((_, before_x, before_y)) = kept {
            (x, y) = (before_x, before_y);
        }
        self.with_bounds(x, y, v)
    }

    /// The same with matrices, which are eliminated as well: refined in what is left of the rows and variables that stay.
    /// What is to be centred, by blocks, is added where each is eliminated, so that no metric meets what is large and cancels.
    fn refined_with_matrices(&mut self, u: &[f64], v: &[f64], centre: &[f64]) -> (Vec<f64>, Vec<f64>) {
        let p = self.p;
        let (n, general) = (p.n(), p.general());
        let size = largest(u).max(largest(v));
        let (mut x, mut y) = (vec![0.0; p.plain], vec![0.0; general]);
        let (mut kept, mut kept_off): (Option<(Vec<f64>, Vec<f64>)>, f64) = (None, f64::INFINITY);
        let (mut atz, mut product, mut along) = (vec![0.0; n], vec![0.0; n], vec![0.0; general]);
        for k in 0..=REFINEMENTS + 1 {
            // The first round starts from nothing, so that its residuals are the right-hand side.
            p.back(&y, &mut atz);
            let (all, z) = self.expanded(&x, &y, &atz, (u, v, centre));
            p.adjoint(&z, &mut atz);
            p.p.mul_vec(&all, &mut product);
            p.g.mul_vec(&all, &mut along);
            let mut off_x: Vec<f64> = (0..p.plain).map(|j| u[j] - (product[j] + atz[j])).collect();
            let mut off_y: Vec<f64> = (0..general)
                .map(|i| v[i] - (along[i] - self.weights[i] * y[i]))
                .collect();
            let off = largest(&off_x).max(largest(&off_y));
            if k > 0 && (off.is_nan() || off >= kept_off) {
                break;
            }
            let done = k > 0 && (off <= ENOUGH * size || off > 0.5 * kept_off || k > REFINEMENTS);
            kept = Some((all, z));
            if done || off.is_nan() {
                break;
            }
            if k > 0 {
                kept_off = off;
            }
            self.kkt.solve(&mut off_x, &mut off_y);
            x.iter_mut().zip(&off_x).for_each(|(x, d)| *x += d);
            y.iter_mut().zip(&off_y).for_each(|(y, d)| *y += d);
        }
        kept.unwrap_or_else(|| (vec![f64::NAN; n], vec![f64::NAN; p.m()]))
    }

    /// Point and multipliers from the variables and rows that were not eliminated, and G'y.
    fn expanded(&self, x: &[f64], y: &[f64], gty: &[f64], right: (&[f64], &[f64], &[f64])) -> (Vec<f64>, Vec<f64>) {
        let (p, v) = (self.p, right.1);
        let mut all = x.to_vec();
        all.resize(p.n(), 0.0);
        let mut z = y.to_vec();
        for (b, k) in p.bounds.iter().zip(p.general()..) {
            z.push((b.sign * x[b.column] - v[k]) / self.weights[k]);
        }
        z.resize(p.m(), 0.0);
        self.matrices.expand(gty, right, &mut all, &mut z);
        (all, z)
    }

    /// The solution with the multipliers of the bounds.
    fn with_bounds(&self, x: Vec<f64>, mut y: Vec<f64>, v: &[f64]) -> (Vec<f64>, Vec<f64>) {
        let p = self.p;
        let general = p.general();
        y.reserve(p.m() - general);
        for (k, b) in p.bounds.iter().enumerate() {
            let z = (b.sign * x[b.column] - v[general + k]) / self.weights[general + k];
            y.push(z);
        }
        (x, y)
    }

    /// The direction towards `sigma` of the residuals with these products of slack and multiplier.
    fn direction(&mut self, newton: &Newton<'_>, sigma: f64, centre: &[f64], centre_tau: f64) -> Iterate {
        let p = self.p;
        let at = newton.at;
        let (rx, rz, rt) = newton.residuals;
        let u: Vec<f64> = rx.iter().map(|r| -(1.0 - sigma) * r).collect();
        let mut v: Vec<f64> = rz.iter().map(|r| -(1.0 - sigma) * r).collect();
        let linear = p.equal..p.linear();
        for (k, i) in linear.clone().enumerate() {
            v[i] -= centre[k] / at.z[i];
        }
        let (mut x, mut z) = if p.blocks.is_empty() {
            self.refined(&u, &v)
        } else {
            let centre = self.matrices.lift(&centre[linear.len()..]);
            self.refined_with_matrices(&u, &v, &centre)
        };
        let tau = (-(1.0 - sigma) * rt - centre_tau / at.tau - dot(newton.slope, &x) - dot(&p.b, &z)) / newton.pivot;
        let (x2, z2) = newton.tau;
        x.iter_mut().zip(x2).for_each(|(x, d)| *x += tau * d);
        z.iter_mut().zip(z2).for_each(|(z, d)| *z += tau * d);
        let mut s = vec![0.0; p.m()];
        if !p.blocks.is_empty() {
            // By the rows, so that these hold; what rounding leaves is off the centre.
            p.apply(&x, &mut s);
            for i in p.linear()..p.m() {
                s[i] = -(1.0 - sigma) * rz[i] - s[i] + p.b[i] * tau;
            }
            s[..p.equal].fill(0.0);
        }
        for (k, i) in linear.enumerate() {
            s[i] = (centre[k] - at.s[i] * z[i]) / at.z[i];
        }
        Iterate {
            x,
            s,
            z,
            tau,
            kappa: (centre_tau - at.kappa * tau) / at.tau,
        }
    }

    /// The step to the boundary.
    fn longest(&self, at: &Iterate, d: &Iterate) -> f64 {
        let mut most = 1e10f64;
        let mut limit = |v: f64, d: f64| {
            if d < 0.0 {
                most = most.min(-v / d);
            } else if d.is_nan() {
                most = f64::NAN;
            }
        };
        for i in self.p.equal..self.p.linear() {
            limit(at.s[i], d.s[i]);
            limit(at.z[i], d.z[i]);
        }
        limit(at.tau, d.tau);
        limit(at.kappa, d.kappa);
        let matrices = self.matrices.longest(&d.s, &d.z);
        if matrices.is_nan() || matrices < most {
            most = matrices;
        }
        most
    }

    /// A certificate that passes its check, if this iterate holds one.
    fn certificate(&self, at: &Iterate, iteration: u32) -> Option<ConicSolution> {
        let p = self.p;
        let found = |x: Vec<f64>, z: Vec<f64>, status| ConicSolution {
            s: vec![0.0; z.len()],
            x,
            z,
            status,
            almost: false,
            iterations: iteration,
            r_prim: f64::NAN,
            r_dual: f64::NAN,
            objective: f64::NAN,
            dual_objective: f64::NAN,
        };
        if dot(&p.b, &at.z) < 0.0 {
            let z = p.multipliers(&at.z, 1.0, None);
            let by = -1.0 / dot(&self.form.b, &z);
            let z: Vec<f64> = z.iter().map(|v| v * by).collect();
            let mut atz = vec![0.0; self.form.q.len()];
            self.form.a.mul_vec_transposed(&z, &mut atz);
            if by > 0.0 && largest(&atz) <= CLEAN && verify::proves_infeasible(self.form, &z) {
                return Some(found(vec![0.0; atz.len()], z, ConicStatus::PrimalInfeasible));
            }
        }
        if dot(&p.q, &at.x) < 0.0 {
            let x = p.point(&at.x, 1.0, true);
            let by = -1.0 / dot(&self.form.q, &x);
            let x: Vec<f64> = x.iter().map(|v| v * by).collect();
            let (mut px, mut s) = (vec![0.0; x.len()], vec![0.0; self.form.b.len()]);
            self.form.p.mul_vec(&x, &mut px);
            self.form.a.mul_vec(&x, &mut s);
            s.iter_mut().for_each(|v| *v = -*v);
            let off = largest(&px).max(verify::outside(&self.form.cones, &s, false));
            if by > 0.0 && off <= CLEAN && verify::proves_unbounded(self.form, &x) {
                return Some(found(x, vec![0.0; s.len()], ConicStatus::DualInfeasible));
            }
        }
        None
    }

    /// The best iterate, and the equations of its active set solved where that is better.
    fn finish(&mut self, best: Best, status: ConicStatus, iterations: u32) -> Solved {
        let p = self.p;
        let Best { at, measures } = best;
        let (mut measures, mut status) = (measures, status);
        let by = 1.0 / at.tau;
        let mut x: Vec<f64> = at.x.iter().map(|v| v * by).collect();
        let mut z: Vec<f64> = at.z.iter().map(|v| v * by).collect();
        let s: Vec<f64> = at.s.iter().map(|v| v * by).collect();
        let mut active: Vec<bool> = (0..p.m()).map(|i| i < p.equal || z[i] > s[i]).collect();
        let (mut settled, mut slow, mut before) = (false, true, None);
        if !matches!(status, ConicStatus::Interrupted)
            && p.blocks.is_empty()
            && let Some((other_x, other_z, found, slowly)) = self.settle(&x, &z, &mut active)
            && found.worst() < measures.worst()
        {
            let point = p.point(&x, 1.0, false);
            let multipliers = p.multipliers(&z, 1.0, Some(&point));
            before = Some((point, multipliers, p.slacks(&s, 1.0)));
            (x, z, measures, settled, slow) = (other_x, other_z, found, true, slowly);
        }
        if settled && status == ConicStatus::NumericalError && measures.worst() <= 1e-9 {
            status = ConicStatus::Solved;
        }
        let mut point = p.point(&x, 1.0, false);
        if settled {
            p.exactly(&active, &mut point);
        }
        let multipliers = p.multipliers(&z, 1.0, Some(&point));
        let solution = ConicSolution {
            z: multipliers,
            s: p.slacks(&s, 1.0),
            x: point,
            status,
            almost: status == ConicStatus::AlmostSolved,
            iterations,
            r_prim: measures.violation,
            r_dual: measures.stationarity,
            objective: measures.primal,
            dual_objective: measures.dual,
        };
        Solved {
            solution,
            settled,
            worst: measures.worst(),
            before,
            slow,
            shortened: false,
        }
    }

    /// Point and multipliers of the active set, by one factorization and refinement in their own residuals: variables at
    /// active bounds stay there, the other bounds and rows are left out.
    fn settle(&mut self, x: &[f64], z: &[f64], active: &mut [bool]) -> Option<(Vec<f64>, Vec<f64>, Measures, bool)> {
        let p = self.p;
        let (n, m, general) = (p.n(), p.m(), p.general());
        let mut holds: Vec<Option<usize>> = vec![None; n];
        for (k, b) in p.bounds.iter().enumerate() {
            if !active[general + k] {
                continue;
            }
            let better = holds[b.column].is_none_or(|o| z[general + k] > z[general + o]);
            if better && let Some(o) = holds[b.column].replace(k) {
                active[general + o] = false;
            } else if !better {
                active[general + k] = false;
            }
        }
        // Nothing else keeps the free variables of the active set in place.
        let (of_variables, of_rows) = SHIFT;
        const APART: f64 = 1e30;
        let d: Vec<f64> = holds
            .iter()
            .map(|h| if h.is_some() { APART } else { of_variables })
            .collect();
        let e: Vec<f64> = active[..general]
            .iter()
            .map(|a| if *a { of_rows } else { APART })
            .collect();
        self.kkt.factor(&d, &e).ok()?;
        let (mut x, mut z) = (x.to_vec(), z.to_vec());
        for (x, h) in x.iter_mut().zip(&holds) {
            if let Some(k) = h {
                *x = p.bounds[*k].sign * p.b[general + k];
            }
        }
        z.iter_mut().zip(&*active).filter(|e| !e.1).for_each(|(z, _)| *z = 0.0);
        let (mut px, mut off_x, mut off_y) = (vec![0.0; n], vec![0.0; n], vec![0.0; general]);
        let mut kept: Option<(f64, Vec<f64>, Vec<f64>)> = None;
        let mut slow = true;
        for _ in 0..SETTLING {
            p.p.mul_vec(&x, &mut px);
            p.back(&z[..general], &mut off_x);
            p.g.mul_vec(&x, &mut off_y);
            let mut size = 0.0f64;
            for j in 0..n {
                let r = -(px[j] + p.q[j] + off_x[j]);
                size = size.max(px[j].abs()).max(p.q[j].abs());
                off_x[j] = r;
                if let Some(k) = holds[j] {
                    // The multiplier of the bound takes what is left.
                    z[general + k] = p.bounds[k].sign * r;
                    off_x[j] = 0.0;
                }
            }
            for i in 0..general {
                off_y[i] = if active[i] { p.b[i] - off_y[i] } else { 0.0 };
                size = size.max(p.b[i].abs());
            }
            let off = largest(&off_x).max(largest(&off_y));
            let before = kept.as_ref().map_or(f64::INFINITY, |k| k.0);
            if off.is_nan() || off >= before {
                break;
            }
            kept = Some((off, x.clone(), z.clone()));
            if off <= 1e-15 * size || off > 0.5 * before {
                slow = off > 1e-15 * size;
                break;
            }
            self.kkt.solve(&mut off_x, &mut off_y);
            x.iter_mut()
                .zip(&off_x)
                .zip(&holds)
                .filter(|e| e.1.is_none())
                .for_each(|((x, d), _)| *x += d);
            z[..general]
                .iter_mut()
                .zip(&off_y)
                .zip(&*active)
                .filter(|e| *e.1)
                .for_each(|((z, d), _)| *z += d);
        }
        let (_, x, mut z) = kept?;
        // Multipliers of the wrong sign by rounding only.
        let most = largest(&z);
        for z in &mut z[p.equal..] {
            if *z < 0.0 {
                if *z < -1e-12 * (1.0 + most) {
                    return None;
                }
                *z = 0.0;
            }
        }
        let (mut atz, mut ax) = (vec![0.0; n], vec![0.0; m]);
        p.p.mul_vec(&x, &mut px);
        p.adjoint(&z, &mut atz);
        p.apply(&x, &mut ax);
        let found = p.measure((&x, &[], &z, 1.0), &px, &atz, &ax);
        Some((x, z, found, slow))
    }
}

/// Largest residual of a certificate, in parts of what it proves.
const CLEAN: f64 = 1e-8;

/// What all directions of an iteration share.
struct Newton<'a> {
    at: &'a Iterate,
    /// Of stationarity, rows and gap.
    residuals: (&'a [f64], &'a [f64], f64),
    /// The move of point and multipliers with tau.
    tau: (&'a [f64], &'a [f64]),
    /// q + 2 P x / tau.
    slope: &'a [f64],
    /// What tau is divided by.
    pivot: f64,
}

fn largest(v: &[f64]) -> f64 {
    v.iter().fold(0.0f64, |m, v| {
        if m.is_nan() || v.is_nan() {
            f64::NAN
        } else {
            m.max(v.abs())
        }
    })
}
