//! Corners of the simple sets: where a linear function is least, which corners a point is made of, how far a direction reaches.
//!
//! Invariant: a simplex comes before the bounds of its own coordinates; among equal corners the first is taken.
//! Source: Jaggi 2013; Garber and Meshi 2016 (away steps without a list of corners).

use super::method::Fault;
use super::oracle::Bounds;

/// A coordinate this near to its bound is on it.
const ON: f64 = 1e-14;

/// A product of intervals and simplices.
#[derive(Clone, Debug)]
pub struct Corners<'a> {
    /// Intervals by coordinate.
    pub bounds: Option<&'a Bounds>,
    /// First coordinate, number and sum of the coordinates of simplices.
    pub simplices: &'a [(usize, usize, f64)],
}

impl Corners<'_> {
    fn in_simplex(&self, k: usize) -> bool {
        self.simplices
            .iter()
            .any(|(first, len, _)| (*first..first + len).contains(&k))
    }

    /// The corner where `g·s` is least.
    pub fn least(&self, g: &[f64], s: &mut [f64]) -> Result<(), Fault> {
        for (first, len, total) in self.simplices {
            let own = &g[*first..first + len];
            let best = (0..*len).reduce(|a, b| if own[b] < own[a] { b } else { a });
            s[*first..first + len].fill(0.0);
            if let Some(k) = best {
                s[first + k] = *total;
            }
        }
        for k in (0..g.len()).filter(|k| !self.in_simplex(*k)) {
            s[k] = match self.bounds {
                Some(b) if g[k] < 0.0 => b.upper[k],
                Some(b) => b.lower[k],
                None => f64::INFINITY,
            };
            if !s[k].is_finite() {
                return Err(Fault::NotOffered(
                    "least value of a linear function: some variable is not bounded on both sides".into(),
                ));
            }
        }
        Ok(())
    }

    /// The corner where `g·s` is largest among those that `x` is made of.
    pub fn away(&self, x: &[f64], g: &[f64], s: &mut [f64]) -> Result<(), Fault> {
        let turned: Vec<f64> = g.iter().map(|v| -v).collect();
        self.least(&turned, s)?;
        for (first, len, total) in self.simplices {
            let held = (*first..first + len).filter(|k| x[*k] > ON * total);
            let worst = held.reduce(|a, b| if g[b] > g[a] { b } else { a });
            s[*first..first + len].fill(0.0);
            if let Some(k) = worst {
                s[k] = *total;
            }
        }
        if let Some(b) = self.bounds {
            for k in (0..x.len()).filter(|k| !self.in_simplex(*k)) {
                let room = ON * (b.upper[k] - b.lower[k]);
                if x[k] - b.lower[k] <= room {
                    s[k] = b.lower[k];
                } else if b.upper[k] - x[k] <= room {
                    s[k] = b.upper[k];
                }
            }
        }
        Ok(())
    }

    /// The largest `a` for which `x + a d` stays in the set, for directions that keep the sums of simplices.
    pub fn reach(&self, x: &[f64], d: &[f64]) -> f64 {
        let mut a = f64::INFINITY;
        for k in 0..x.len() {
            let (low, high) = match self.bounds {
                _ if self.in_simplex(k) => (0.0, f64::INFINITY),
                Some(b) => (b.lower[k], b.upper[k]),
                None => continue,
            };
            if d[k] < 0.0 {
                a = a.min((x[k] - low).max(0.0) / -d[k]);
            } else if d[k] > 0.0 {
                a = a.min((high - x[k]).max(0.0) / d[k]);
            }
        }
        a
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn corners_of_a_product() {
        let b = Bounds {
            lower: vec![0.0, 0.0, 0.0, -1.0],
            upper: vec![9.0, 9.0, 9.0, 2.0],
            units: vec![],
        };
        let c = Corners {
            bounds: Some(&b),
            simplices: &[(0, 3, 2.0)],
        };
        let mut s = [0.0; 4];
        c.least(&[1.0, -3.0, -3.0, -1.0], &mut s).expect("bounded");
        assert_eq!(s, [0.0, 2.0, 0.0, 2.0]);
        let x = [0.5, 0.0, 1.5, -1.0];
        c.away(&x, &[1.0, 5.0, -3.0, 4.0], &mut s).expect("bounded");
        // The second corner has the largest value, but the point has no part in it; the last coordinate is on its bound.
        assert_eq!(s, [2.0, 0.0, 0.0, -1.0]);
        assert_eq!(c.reach(&x, &[-1.0, 1.0, 0.0, 1.0]), 0.5);
        let free = Corners {
            bounds: None,
            simplices: &[],
        };
        assert!(free.least(&[1.0], &mut [0.0]).is_err());
    }
}
