//! Least squares by products with A and A' alone.
//!
//! Invariant: the state is plain values; |A'r| falls in every step, and A'A is never formed.
//!
//! Source: D. Fong and M. Saunders, SIAM J. Sci. Comput. 33, 2011, on the bidiagonalization of G. Golub and W. Kahan, 1965.

use crate::fault::{NumericalFault, check_finite};
use crate::math::hypot;
use crate::operator::LinearMap;
use crate::reduce::norm2;

const PLACE: &str = "LSMR";

/// The state of min |A x - b|; from x = 0 it ends at the solution of least norm.
#[derive(Clone, Debug, PartialEq)]
pub struct Lsmr {
    /// The iterate.
    pub x: Vec<f64>,
    /// Left vector of the bidiagonalization.
    pub u: Vec<f64>,
    /// Right vector.
    pub v: Vec<f64>,
    /// Direction.
    pub h: Vec<f64>,
    /// Direction of the outer recurrence.
    pub h_bar: Vec<f64>,
    /// alpha, alphabar, rho, rhobar, cbar, sbar, zetabar.
    pub scalars: [f64; 7],
    /// |A'r| at the start.
    pub first: f64,
    /// |A'r| by recurrence.
    pub normal_norm: f64,
    /// Frobenius norm of the bidiagonal matrix: from below that of A.
    pub norm: f64,
    /// Largest and smallest diagonal of R met: their ratio estimates the condition number from below.
    pub diagonals: (f64, f64),
    /// Steps taken.
    pub steps: usize,
}

impl Lsmr {
    /// Starts from `x` for the right side `b`.
    pub fn start(map: &mut dyn LinearMap, b: &[f64], x: &[f64]) -> Result<Self, NumericalFault> {
        check_finite(PLACE, "b", b)?;
        check_finite(PLACE, "the start", x)?;
        let (m, n) = (map.rows(), map.cols());
        let mut u = vec![0.0; m];
        map.apply(x, &mut u);
        u.iter_mut().zip(b).for_each(|(u, b)| *u = b - *u);
        let beta = norm2(&u);
        scale_to_unit(&mut u, beta);
        let mut v = vec![0.0; n];
        map.adjoint(&u, &mut v);
        let alpha = norm2(&v);
        if !(alpha.is_finite() && beta.is_finite()) {
            return Err(NumericalFault::new("a product is not finite", PLACE, alpha));
        }
        scale_to_unit(&mut v, alpha);
        Ok(Lsmr {
            x: x.to_vec(),
            u,
            h: v.clone(),
            v,
            h_bar: vec![0.0; n],
            scalars: [alpha, alpha, 1.0, 1.0, 1.0, 0.0, alpha * beta],
            first: alpha * beta,
            normal_norm: alpha * beta,
            norm: alpha,
            diagonals: (0.0, f64::INFINITY),
            steps: 0,
        })
    }

    /// One step; `false` if there is none left to take. Values that are not finite are a fault, and leave `x` as it was.
    pub fn step(&mut self, map: &mut dyn LinearMap) -> Result<bool, NumericalFault> {
        let [alpha, alpha_bar, rho, rho_bar, c_bar, s_bar, zeta_bar] = self.scalars;
        if self.normal_norm == 0.0 || alpha == 0.0 {
            return Ok(false);
        }
        let (m, n) = (map.rows(), map.cols());
        let mut next = vec![0.0; m];
        map.apply(&self.v, &mut next);
        next.iter_mut().zip(&self.u).for_each(|(a, u)| *a -= alpha * u);
        let beta = norm2(&next);
        scale_to_unit(&mut next, beta);
        let mut right = vec![0.0; n];
        map.adjoint(&next, &mut right);
        right.iter_mut().zip(&self.v).for_each(|(a, v)| *a -= beta * v);
        let alpha_next = norm2(&right);
        if !(alpha_next.is_finite() && beta.is_finite()) {
            return Err(NumericalFault::new("a product is not finite", PLACE, alpha_next));
        }
        scale_to_unit(&mut right, alpha_next);
        // Two sequences of rotations: R of the bidiagonal matrix, then that of R'.
        let rho_next = hypot(alpha_bar, beta);
        if rho_next == 0.0 {
            return Ok(false);
        }
        let (c, s) = (alpha_bar / rho_next, beta / rho_next);
        let theta_next = s * alpha_next;
        let theta_bar = s_bar * rho_next;
        let rho_turned = c_bar * rho_next;
        let rho_bar_next = hypot(rho_turned, theta_next);
        if rho_bar_next == 0.0 {
            return Ok(false);
        }
        let (c_bar_next, s_bar_next) = (rho_turned / rho_bar_next, theta_next / rho_bar_next);
        let zeta = c_bar_next * zeta_bar;
        let outer = theta_bar * rho_next / (rho * rho_bar);
        let length = zeta / (rho_next * rho_bar_next);
        let inner = theta_next / rho_next;
        for i in 0..n {
            self.h_bar[i] = self.h[i] - outer * self.h_bar[i];
            self.x[i] += length * self.h_bar[i];
            self.h[i] = right[i] - inner * self.h[i];
        }
        self.u = next;
        self.v = right;
        self.norm = hypot(hypot(self.norm, beta), alpha_next);
        if self.steps > 0 {
            self.diagonals.0 = self.diagonals.0.max(rho_bar);
            self.diagonals.1 = self.diagonals.1.min(rho_bar);
        }
        self.scalars = [
            alpha_next,
            c * alpha_next,
            rho_next,
            rho_bar_next,
            c_bar_next,
            s_bar_next,
            -s_bar_next * zeta_bar,
        ];
        self.normal_norm = (s_bar_next * zeta_bar).abs();
        self.steps += 1;
        Ok(true)
    }

    /// An estimate, from below, of the condition number of A.
    pub fn condition(&self) -> f64 {
        let now = self.scalars[4] * self.scalars[2];
        let (top, low) = (self.diagonals.0.max(now.abs()), self.diagonals.1.min(now.abs()));
        if self.steps == 0 { 1.0 } else { (top / low).max(1.0) }
    }
}

fn scale_to_unit(v: &mut [f64], length: f64) {
    if length > 0.0 {
        v.iter_mut().for_each(|x| *x /= length);
    }
}
