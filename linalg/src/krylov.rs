//! Conjugate gradients, one step at a time.
//!
//! Invariant: the state is plain values, so that a saved and resumed run continues with the same bits.
//!
//! Source: M. Hestenes and E. Stiefel, 1952; the flexible direction update of Y. Notay, SIAM J. Sci. Comput. 22, 2000,
//! which forgives a preconditioner that changes from step to step and equals the classical one for a fixed linear one.

use crate::fault::{NumericalFault, check_finite};
use crate::reduce::{dot, norm2, sum_by};

/// How often the residual is computed afresh instead of updated.
const FRESH: usize = 50;

/// The state of a solve of A x = b with symmetric positive definite A.
#[derive(Clone, Debug, PartialEq)]
pub struct ConjugateGradient {
    /// The iterate.
    pub x: Vec<f64>,
    /// b - A x, by recurrence between fresh computations.
    pub r: Vec<f64>,
    /// The direction of the next step.
    pub p: Vec<f64>,
    /// r'M(r), with M the preconditioner.
    pub rz: f64,
    /// Steps taken.
    pub steps: usize,
    /// Euclidean norm of r.
    pub residual_norm: f64,
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

impl ConjugateGradient {
    /// Starts from `x` for the right side `b`; `apply` writes A v, `precondition` writes an approximation of A^-1 v.
    pub fn start(
        b: &[f64],
        x: &[f64],
        apply: &mut dyn FnMut(&[f64], &mut [f64]),
        precondition: &mut dyn FnMut(&[f64], &mut [f64]),
    ) -> Result<Self, NumericalFault> {
        check_finite("conjugate gradients", "b", b)?;
        check_finite("conjugate gradients", "the start", x)?;
        let r = fresh_residual(b, x, apply);
        let mut p = vec![0.0; b.len()];
        precondition(&r, &mut p);
        Ok(ConjugateGradient {
            rz: dot(&r, &p),
            residual_norm: norm2(&r),
            x: x.to_vec(),
            r,
            p,
            steps: 0,
        })
    }

    /// One step; values that are not finite are a fault, and leave `x` as it was.
    pub fn step(
        &mut self,
        b: &[f64],
        apply: &mut dyn FnMut(&[f64], &mut [f64]),
        precondition: &mut dyn FnMut(&[f64], &mut [f64]),
    ) -> Result<CgStep, NumericalFault> {
        const PLACE: &str = "conjugate gradients";
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
        let alpha = self.rz / curvature;
        for i in 0..n {
            self.x[i] += alpha * self.p[i];
        }
        self.steps += 1;
        let before = std::mem::take(&mut self.r);
        self.r = if self.steps.is_multiple_of(FRESH) {
            fresh_residual(b, &self.x, apply)
        } else {
            before.iter().zip(&ap).map(|(r, a)| r - alpha * a).collect()
        };
        self.residual_norm = norm2(&self.r);
        let mut z = vec![0.0; n];
        precondition(&self.r, &mut z);
        let r = &self.r;
        let beta = sum_by(n, |i| z[i] * (r[i] - before[i])) / self.rz;
        self.rz = dot(r, &z);
        for i in 0..n {
            self.p[i] = z[i] + beta * self.p[i];
        }
        Ok(CgStep::Proceed)
    }
}

fn fresh_residual(b: &[f64], x: &[f64], apply: &mut dyn FnMut(&[f64], &mut [f64])) -> Vec<f64> {
    let mut r = vec![0.0; b.len()];
    apply(x, &mut r);
    r.iter_mut().zip(b).for_each(|(r, b)| *r = b - *r);
    r
}
