//! Minimal residuals for symmetric systems that need not be definite.
//!
//! Invariant: the state is plain values; the preconditioner is symmetric positive definite, and the norm that shrinks is
//! the one it defines.
//!
//! Source: C. Paige and M. Saunders, SIAM J. Numer. Anal. 12, 1975.

use crate::fault::{NumericalFault, check_finite};
use crate::math::hypot;
use crate::reduce::dot;

const PLACE: &str = "minimal residuals";

/// The state of a solve of A x = b with symmetric A.
#[derive(Clone, Debug, PartialEq)]
pub struct Minres {
    /// The iterate.
    pub x: Vec<f64>,
    /// The last two Lanczos vectors, before the preconditioner.
    pub before: Vec<f64>,
    /// The newer one.
    pub now: Vec<f64>,
    /// The newer one behind the preconditioner.
    pub y: Vec<f64>,
    /// The last two directions.
    pub w: Vec<f64>,
    /// The older one.
    pub w_before: Vec<f64>,
    /// beta, the one before, dbar, epsilon, phibar, cosine, sine: the running rotation.
    pub scalars: [f64; 7],
    /// Norm of the residual at the start, in the norm of the preconditioner.
    pub first: f64,
    /// Norm of the residual by recurrence, in the same norm.
    pub residual_norm: f64,
    /// Norm of the residual behind A: it vanishes at a least-squares solution of a singular system.
    pub normal_norm: f64,
    /// Largest entry size of the tridiagonal matrix: about the norm of A behind the preconditioner.
    pub size: f64,
    /// Steps taken.
    pub steps: usize,
}

/// What one step found.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum MinresStep {
    /// A step.
    Proceed,
    /// The space is exhausted: `x` is the answer, of a singular system the least-squares one.
    Done,
}

type Action<'a> = &'a mut dyn FnMut(&[f64], &mut [f64]);

impl Minres {
    /// Starts from `x` for the right side `b`; a preconditioner that is not positive definite is a fault.
    pub fn start(b: &[f64], x: &[f64], apply: Action<'_>, precondition: Action<'_>) -> Result<Self, NumericalFault> {
        check_finite(PLACE, "b", b)?;
        check_finite(PLACE, "the start", x)?;
        let n = b.len();
        let mut r = vec![0.0; n];
        apply(x, &mut r);
        r.iter_mut().zip(b).for_each(|(r, b)| *r = b - *r);
        let mut y = vec![0.0; n];
        precondition(&r, &mut y);
        let beta = square_root(dot(&r, &y))?;
        Ok(Minres {
            x: x.to_vec(),
            before: vec![0.0; n],
            now: r,
            y,
            w: vec![0.0; n],
            w_before: vec![0.0; n],
            scalars: [beta, 0.0, 0.0, 0.0, beta, -1.0, 0.0],
            first: beta,
            residual_norm: beta,
            normal_norm: f64::INFINITY,
            size: 0.0,
            steps: 0,
        })
    }

    /// One step; values that are not finite are a fault, and leave `x` as it was.
    pub fn step(&mut self, apply: Action<'_>, precondition: Action<'_>) -> Result<MinresStep, NumericalFault> {
        let [beta, beta_before, dbar, epsilon, phibar, cos, sin] = self.scalars;
        if beta <= f64::EPSILON * self.first.max(f64::MIN_POSITIVE) {
            return Ok(MinresStep::Done);
        }
        let n = self.x.len();
        let v: Vec<f64> = self.y.iter().map(|y| y / beta).collect();
        let mut next = vec![0.0; n];
        apply(&v, &mut next);
        // None at a start, also at one that goes on counting steps.
        if beta_before > 0.0 {
            let share = beta / beta_before;
            next.iter_mut().zip(&self.before).for_each(|(a, b)| *a -= share * b);
        }
        let alpha = dot(&v, &next);
        if !alpha.is_finite() {
            return Err(NumericalFault::new("a product is not finite", PLACE, alpha));
        }
        let share = alpha / beta;
        next.iter_mut().zip(&self.now).for_each(|(a, b)| *a -= share * b);
        let mut y = vec![0.0; n];
        precondition(&next, &mut y);
        let beta_next = square_root(dot(&next, &y))?;
        // The last rotation on the new column, then the one that removes the entry below its diagonal.
        let delta = cos * dbar + sin * alpha;
        let gbar = sin * dbar - cos * alpha;
        let epsilon_next = sin * beta_next;
        let dbar_next = -cos * beta_next;
        self.normal_norm = phibar * hypot(gbar, dbar_next);
        self.size = self.size.max(alpha.abs() + beta_next);
        let gamma = hypot(gbar, beta_next);
        // Below this a direction is that of a null vector, and dividing by it rounding alone.
        if gamma <= 1e-14 * self.size {
            return Ok(MinresStep::Done);
        }
        let (cos, sin) = (gbar / gamma, beta_next / gamma);
        let phi = cos * phibar;
        for i in 0..n {
            let w = (v[i] - epsilon * self.w_before[i] - delta * self.w[i]) / gamma;
            self.w_before[i] = self.w[i];
            self.w[i] = w;
            self.x[i] += phi * w;
        }
        self.before = std::mem::replace(&mut self.now, next);
        self.y = y;
        self.scalars = [beta_next, beta, dbar_next, epsilon_next, sin * phibar, cos, sin];
        self.residual_norm = sin * phibar;
        self.steps += 1;
        Ok(MinresStep::Proceed)
    }

    /// b - A x, computed.
    pub fn true_residual(&self, b: &[f64], apply: Action<'_>) -> Vec<f64> {
        let mut r = vec![0.0; b.len()];
        apply(&self.x, &mut r);
        r.iter_mut().zip(b).for_each(|(r, b)| *r = b - *r);
        r
    }
}

fn square_root(v: f64) -> Result<f64, NumericalFault> {
    if v.is_nan() || v == f64::INFINITY {
        return Err(NumericalFault::new("a product is not finite", PLACE, v));
    }
    if v < 0.0 {
        return Err(NumericalFault::new(
            "the preconditioner is not positive definite",
            PLACE,
            v,
        ));
    }
    Ok(v.sqrt())
}
