//! A line search that keeps working where values no longer differ: Wolfe conditions, or slopes alone near the floor.
//!
//! Invariant: the accepted value is at most the first one plus the noise; a trial that cannot be evaluated only
//! shortens the interval.
//!
//! Source: Hager and Zhang, A new conjugate gradient method with guaranteed descent and an efficient line search,
//! SIAM J. Optim. 16 (2005), for the approximate Wolfe condition and the interval update.

use crate::solve::method::Fault;
use crate::solve::oracle::{Bounds, Oracle};
use crate::solve::vector::dot;

use super::conditions::land;

/// A line: where it starts, where it goes, and what is known at its start.
pub struct Line<'a> {
    /// The start.
    pub x: &'a [f64],
    /// The direction.
    pub d: &'a [f64],
    /// Value at the start.
    pub f: f64,
    /// Slope at the start, negative.
    pub slope: f64,
    /// First length tried.
    pub first: f64,
    /// Longest length allowed, at least `first`.
    pub longest: f64,
    /// Rise of the value that rounding explains.
    pub noise: f64,
    /// Bounds that trial points are landed on.
    pub bounds: Option<&'a Bounds>,
}

/// How a search ended.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Found {
    /// Accepted length; 0 if none.
    pub length: f64,
    /// Value there.
    pub value: f64,
    /// Trials made.
    pub trials: u32,
}

#[derive(Clone, Copy, Debug)]
struct Trial {
    a: f64,
    f: f64,
    slope: f64,
}

const DECREASE: f64 = 1e-4;
const CURVATURE: f64 = 0.9;
/// Decrease constant of the approximate condition, which reads it off the slopes.
const BY_SLOPE: f64 = 0.1;
const MOST_TRIALS: u32 = 50;

impl Line<'_> {
    fn good(&self, t: &Trial) -> bool {
        let curved = t.slope >= CURVATURE * self.slope;
        let decreased = t.f <= self.f + DECREASE * t.a * self.slope;
        let by_slope = t.f <= self.f + self.noise && t.slope <= (2.0 * BY_SLOPE - 1.0) * self.slope;
        curved && (decreased || by_slope) || decreased && t.a >= self.longest
    }
    fn low(&self, t: &Trial) -> bool {
        t.f <= self.f + self.noise
    }
    /// The point at length `a`.
    pub fn point(&self, a: f64, x: &mut [f64]) {
        for i in 0..x.len() {
            x[i] = match self.bounds {
                Some(b) => land(b, i, self.x[i], a * self.d[i]),
                None => self.x[i] + a * self.d[i],
            };
        }
    }
    fn trial(&self, problem: &mut dyn Oracle, a: f64, x: &mut [f64], g: &mut [f64]) -> Result<Trial, Fault> {
        self.point(a, x);
        let failed = Trial {
            a,
            f: f64::INFINITY,
            slope: f64::INFINITY,
        };
        match problem.value_gradient(x, g) {
            Ok(f) if f.is_finite() => {
                let slope = dot(g, self.d);
                Ok(if slope.is_finite() {
                    Trial { a, f, slope }
                } else {
                    failed
                })
            }
            Ok(_) | Err(Fault::NotFinite { .. }) => Ok(failed),
            Err(other) => Err(other),
        }
    }

    /// Searches; on success `x` and `g` hold the accepted point and its gradient.
    pub fn search(&self, problem: &mut dyn Oracle, x: &mut [f64], g: &mut [f64]) -> Result<Found, Fault> {
        let mut trials = 0;
        let mut low = Trial {
            a: 0.0,
            f: self.f,
            slope: self.slope,
        };
        let mut high: Option<Trial> = None;
        let mut a = self.first.min(self.longest);
        let (mut last_width, mut width_before) = (f64::INFINITY, f64::INFINITY);
        while trials < MOST_TRIALS {
            let t = self.trial(problem, a, x, g)?;
            trials += 1;
            if self.good(&t) {
                return Ok(Found {
                    length: a,
                    value: t.f,
                    trials,
                });
            }
            if t.slope < 0.0 && self.low(&t) {
                low = t;
            } else {
                high = Some(t);
            }
            a = match &high {
                // Still going down: longer, by the secant of the slopes where that looks ahead.
                None => {
                    if low.a >= self.longest {
                        break;
                    }
                    let secant = low.a * self.slope / (self.slope - low.slope);
                    let ahead = if secant > 2.0 * low.a && secant < 10.0 * low.a {
                        secant
                    } else {
                        4.0 * low.a
                    };
                    ahead.min(self.longest)
                }
                Some(h) => {
                    let width = h.a - low.a;
                    if width <= 4.0 * f64::EPSILON * h.a {
                        break;
                    }
                    let slow = width > 0.66 * width_before;
                    (width_before, last_width) = (last_width, width);
                    if !h.f.is_finite() {
                        low.a + if low.a > 0.0 { 0.5 } else { 0.1 } * width
                    } else if slow {
                        low.a + 0.5 * width
                    } else {
                        let inside = interpolate(&low, h).clamp(low.a + 0.05 * width, h.a - 0.05 * width);
                        if inside.is_finite() {
                            inside
                        } else {
                            low.a + 0.5 * width
                        }
                    }
                }
            };
        }
        // No point meets the curvature condition: take real descent where there was some.
        if low.a > 0.0 && low.f < self.f {
            let t = self.trial(problem, low.a, x, g)?;
            if t.f < self.f {
                return Ok(Found {
                    length: low.a,
                    value: t.f,
                    trials: trials + 1,
                });
            }
        }
        Ok(Found {
            length: 0.0,
            value: self.f,
            trials,
        })
    }
}

/// Minimizer of the cubic through values and slopes, or of the slopes' secant where values say nothing.
fn interpolate(l: &Trial, h: &Trial) -> f64 {
    let width = h.a - l.a;
    let z = 3.0 * (l.f - h.f) / width + l.slope + h.slope;
    let root = (z * z - l.slope * h.slope).sqrt();
    let cubic = h.a - width * (h.slope + root - z) / (h.slope - l.slope + 2.0 * root);
    let telling = (l.f - h.f).abs() > 1e3 * f64::EPSILON * l.f.abs().max(h.f.abs());
    if cubic.is_finite() && telling {
        cubic
    } else if h.slope > 0.0 {
        l.a - l.slope * width / (h.slope - l.slope)
    } else {
        l.a + 0.5 * width
    }
}
