//! Conjugate gradients, classical and flexible, with bounds on the error in the energy norm.
//!
//! Invariant: the state is plain values, so that a saved and resumed run continues with the same bits.
//!
//! Sources: M. Hestenes and E. Stiefel, 1952; the flexible direction update of Y. Notay, SIAM J. Sci. Comput. 22, 2000,
//! which forgives a preconditioner that changes from step to step and equals the classical one for a fixed linear one;
//! the bounds by Gauss and Gauss-Radau quadrature of G. Golub and G. Meurant (Matrices, Moments and Quadrature, 2010) in
//! the form of G. Meurant and P. Tichy, Numerical Algorithms 62, 2013; Z. Strakos and P. Tichy, ETNA 13, 2002, for why
//! they hold in finite precision.

use super::lanczos::Tridiagonal;
use crate::fault::{NumericalFault, check_finite};
use crate::reduce::{dot, norm2, sum_by, sumsq};

/// How often the residual is computed afresh, to be compared with the updated one.
const FRESH: usize = 50;
/// Coefficients kept for bounds and spectra; beyond these steps the bounds are weaker.
const KEPT: usize = 2000;
/// Share of the residual that rounding may make up before it counts as the limit.
const PARTED: f64 = 0.25;
const PLACE: &str = "conjugate gradients";

/// A direction that later ones are kept conjugate to.
#[derive(Clone, Debug, PartialEq)]
pub struct Direction {
    /// The direction.
    pub p: Vec<f64>,
    /// A p.
    pub ap: Vec<f64>,
    /// p'A p.
    pub curvature: f64,
}

/// The state of a solve of A x = b with symmetric positive definite A.
#[derive(Clone, Debug, PartialEq)]
pub struct ConjugateGradient {
    /// The iterate.
    pub x: Vec<f64>,
    /// b - A x, by recurrence.
    pub r: Vec<f64>,
    /// The direction of the next step.
    pub p: Vec<f64>,
    /// r'M(r), with M the preconditioner.
    pub rz: f64,
    /// The same at the start.
    pub first: f64,
    /// Steps taken.
    pub steps: usize,
    /// Euclidean norm of r.
    pub residual_norm: f64,
    /// Step lengths of the first steps.
    pub gammas: Vec<f64>,
    /// Ratios of r'M(r) after and before those steps.
    pub deltas: Vec<f64>,
    /// Smallest p'A p / p'p met: no smaller than the smallest eigenvalue of A.
    pub rayleigh: f64,
    /// Comparisons in a row in which the computed residual differed from the updated one by more than a quarter of its
    /// length: from two on, rounding allows no more.
    pub parted: usize,
    /// The computed residual norm at which the iteration was begun anew; infinite before.
    pub renewed: f64,
    /// Directions beyond the last that a new one is made conjugate to; 0 for the classical method.
    pub window: usize,
    /// Those directions, oldest first.
    pub older: Vec<Direction>,
}

/// What one step found.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum CgStep {
    /// A step along a direction of positive curvature.
    Proceed,
    /// The residual is zero: nothing left to do.
    Done,
    /// p'A p is not positive, given here: `x` stays, `p` is the direction.
    Curvature(f64),
}

type Action<'a> = &'a mut dyn FnMut(&[f64], &mut [f64]);

impl ConjugateGradient {
    /// Starts from `x` for the right side `b`; `apply` writes A v, `precondition` writes an approximation of A^-1 v.
    pub fn start(b: &[f64], x: &[f64], apply: Action<'_>, precondition: Action<'_>) -> Result<Self, NumericalFault> {
        check_finite(PLACE, "b", b)?;
        check_finite(PLACE, "the start", x)?;
        let r = fresh_residual(b, x, apply);
        let mut p = vec![0.0; b.len()];
        precondition(&r, &mut p);
        let rz = dot(&r, &p);
        Ok(ConjugateGradient {
            rz,
            first: rz,
            residual_norm: norm2(&r),
            x: x.to_vec(),
            r,
            p,
            steps: 0,
            gammas: vec![],
            deltas: vec![],
            rayleigh: f64::INFINITY,
            parted: 0,
            renewed: f64::INFINITY,
            window: 0,
            older: vec![],
        })
    }

    /// Keeps each new direction conjugate to the last `window` ones, for a preconditioner that is not a fixed linear map.
    pub fn flexible(mut self, window: usize) -> Self {
        self.window = window;
        self
    }

    /// One step; values that are not finite are a fault, and leave `x` as it was.
    pub fn step(&mut self, b: &[f64], apply: Action<'_>, precondition: Action<'_>) -> Result<CgStep, NumericalFault> {
        if self.residual_norm == 0.0 {
            return Ok(CgStep::Done);
        }
        let n = self.x.len();
        let mut ap = vec![0.0; n];
        apply(&self.p, &mut ap);
        let curvature = dot(&self.p, &ap);
        if !curvature.is_finite() || !self.rz.is_finite() {
            return Err(NumericalFault::new("a product is not finite", PLACE, curvature));
        }
        if curvature <= 0.0 {
            return Ok(CgStep::Curvature(curvature));
        }
        // A direction that is conjugate to several needs its own slope; for the classical one it is r'M(r).
        let slope = if self.window > 0 {
            dot(&self.r, &self.p)
        } else {
            self.rz
        };
        let alpha = slope / curvature;
        self.rayleigh = self.rayleigh.min(curvature / sumsq(&self.p));
        for (x, p) in self.x.iter_mut().zip(&self.p) {
            *x += alpha * p;
        }
        self.steps += 1;
        let before = std::mem::take(&mut self.r);
        self.r = before.iter().zip(&ap).map(|(r, a)| r - alpha * a).collect();
        self.residual_norm = norm2(&self.r);
        if self.steps.is_multiple_of(FRESH) {
            let fresh = fresh_residual(b, &self.x, apply);
            let r = &self.r;
            let drift = sum_by(n, |i| (fresh[i] - r[i]) * (fresh[i] - r[i])).sqrt();
            let apart = drift > PARTED * norm2(&fresh);
            self.parted = if apart { self.parted + 1 } else { 0 };
        }
        let mut z = vec![0.0; n];
        precondition(&self.r, &mut z);
        let rz = dot(&self.r, &z);
        if self.gammas.len() < KEPT && self.gammas.len() + 1 == self.steps {
            self.gammas.push(alpha);
            self.deltas.push(rz / self.rz);
        }
        if self.window > 0 {
            self.older.push(Direction {
                p: std::mem::take(&mut self.p),
                ap,
                curvature,
            });
            if self.older.len() > self.window {
                self.older.remove(0);
            }
            for d in &self.older {
                let share = dot(&d.ap, &z) / d.curvature;
                z.iter_mut().zip(&d.p).for_each(|(z, p)| *z -= share * p);
            }
            self.p = z;
        } else {
            let r = &self.r;
            let beta = sum_by(n, |i| z[i] * (r[i] - before[i])) / self.rz;
            for (p, z) in self.p.iter_mut().zip(&z) {
                *p = z + beta * *p;
            }
        }
        self.rz = rz;
        Ok(CgStep::Proceed)
    }

    /// The residual computed at the iterate.
    pub fn true_residual(&self, b: &[f64], apply: Action<'_>) -> Vec<f64> {
        fresh_residual(b, &self.x, apply)
    }

    /// Begins anew from the iterate with its computed residual, which has to be less than half of what it was when that
    /// was done before: otherwise rounding allows no more, and `parted` says so.
    pub fn renew(&mut self, b: &[f64], apply: Action<'_>, precondition: Action<'_>) {
        self.r = fresh_residual(b, &self.x, apply);
        self.residual_norm = norm2(&self.r);
        if self.residual_norm > 0.5 * self.renewed {
            self.parted = self.parted.max(2);
        }
        self.renewed = self.residual_norm;
        precondition(&self.r, &mut self.p);
        self.rz = dot(&self.r, &self.p);
        self.older.clear();
        // Coefficients from here on belong to another process: with one fewer than steps, none are added.
        self.gammas.pop();
        self.deltas.pop();
    }

    /// The tridiagonal matrix of the Lanczos process that the kept steps carried out: its eigenvalues lie within those of
    /// M A, M the preconditioner (fixed and linear).
    pub fn tridiagonal(&self) -> Tridiagonal {
        let k = self.gammas.len();
        let mut t = Tridiagonal {
            diagonal: vec![0.0; k],
            beside: vec![0.0; k.saturating_sub(1)],
        };
        for j in 0..k {
            t.diagonal[j] = 1.0 / self.gammas[j];
            if j > 0 {
                t.diagonal[j] += self.deltas[j - 1] / self.gammas[j - 1];
                t.beside[j - 1] = self.deltas[j - 1].max(0.0).sqrt() / self.gammas[j - 1];
            }
        }
        t
    }

    /// A lower bound on the energy norm of the error at step `steps - delay` (Gauss quadrature); none before, or where
    /// coefficients of those steps were not kept.
    pub fn at_least(&self, delay: usize) -> Option<f64> {
        if delay == 0 || delay > self.steps || self.steps != self.gammas.len() {
            return None;
        }
        let mut rz = self.first;
        let mut sum = 0.0;
        for (j, (gamma, delta)) in self.gammas.iter().zip(&self.deltas).enumerate() {
            if j >= self.steps - delay {
                sum += gamma * rz;
            }
            rz *= delta;
        }
        Some(sum.max(0.0).sqrt())
    }

    /// An upper bound on the energy norm of the error now, if `least` is positive and no larger than the smallest
    /// eigenvalue of M A (Gauss-Radau quadrature); an estimate if `least` is one.
    pub fn at_most(&self, least: f64) -> f64 {
        let plain = (self.rz.max(0.0) / least).sqrt();
        if self.steps != self.gammas.len() {
            return plain;
        }
        let mut g = 1.0 / least;
        for (gamma, delta) in self.gammas.iter().zip(&self.deltas) {
            let d = g - gamma;
            // Rounding, or `least` is no bound: what holds without the history remains.
            if d.is_nan() || d <= 0.0 {
                return plain;
            }
            g = d / (least * d + delta);
        }
        (g * self.rz.max(0.0)).sqrt().min(plain)
    }
}

fn fresh_residual(b: &[f64], x: &[f64], apply: Action<'_>) -> Vec<f64> {
    let mut r = vec![0.0; b.len()];
    apply(x, &mut r);
    r.iter_mut().zip(b).for_each(|(r, b)| *r = b - *r);
    r
}
