//! Corners of the simple sets: where a linear function is least, which corners a point is made of, how far a direction reaches.
//!
//! Invariant: a set comes before the bounds of its own coordinates; among equal corners the first is taken.
//! Source: Jaggi 2013; Garber and Meshi 2016 (away steps without a list of corners).

use ravine_linalg::reduce::{dot, norm2, sum, sumsq};

use super::method::Fault;
use super::oracle::Bounds;
use crate::forms::simple::{Block, Piece, Simple};

/// A coordinate this near to its bound is on it.
const ON: f64 = 1e-14;

/// A product of intervals, simplices and balls.
#[derive(Clone, Debug, Default)]
pub struct Corners<'a> {
    /// Lower bounds of the coordinates; empty where there are none.
    pub lower: &'a [f64],
    /// Upper bounds.
    pub upper: &'a [f64],
    /// Coordinates that have a set in common.
    pub blocks: &'a [Block],
}

impl<'a> Corners<'a> {
    /// Those of bounds alone.
    pub fn of_bounds(b: &'a Bounds) -> Self {
        Corners {
            lower: &b.lower,
            upper: &b.upper,
            blocks: &[],
        }
    }

    /// Those of the sets of a composite problem.
    pub fn of_sets(s: &'a Simple) -> Self {
        Corners {
            lower: &s.lower,
            upper: &s.upper,
            blocks: &s.blocks,
        }
    }

    /// Coordinates that no block holds.
    fn alone(&self, n: usize) -> Vec<usize> {
        let mut held = vec![false; n];
        for i in self.blocks.iter().flat_map(|b| &b.at) {
            held[*i] = true;
        }
        (0..n).filter(|k| !held[*k]).collect()
    }

    /// Are the coordinates of a ball without bounds of their own?
    fn plain(&self, b: &Block) -> bool {
        let free = |i: &usize| {
            self.lower.get(*i).is_none_or(|l| *l == f64::NEG_INFINITY)
                && self.upper.get(*i).is_none_or(|u| *u == f64::INFINITY)
        };
        b.at.iter().all(free)
    }

    /// The corner where `g·s` is least.
    pub fn least(&self, g: &[f64], s: &mut [f64]) -> Result<(), Fault> {
        for b in self.blocks {
            let own: Vec<f64> = b.at.iter().map(|i| g[*i]).collect();
            let best = |size: &dyn Fn(f64) -> f64| {
                (0..own.len()).reduce(|p, q| if size(own[q]) < size(own[p]) { q } else { p })
            };
            b.at.iter().for_each(|i| s[*i] = 0.0);
            match b.piece {
                Piece::Simplex(total) | Piece::Capped(total) => {
                    let corner = best(&|v| v);
                    let worth = matches!(b.piece, Piece::Simplex(_));
                    if let Some(k) = corner.filter(|k| worth || own[*k] < 0.0) {
                        s[b.at[k]] = total;
                    }
                }
                Piece::Ball1(r) if self.plain(b) => {
                    if let Some(k) = best(&|v| -v.abs()).filter(|k| own[*k] != 0.0) {
                        s[b.at[k]] = -r * own[k].signum();
                    }
                }
                Piece::Ball(r) if self.plain(b) => {
                    let size = norm2(&own);
                    if size > 0.0 {
                        b.at.iter().zip(&own).for_each(|(i, v)| s[*i] = -r * v / size);
                    }
                }
                _ => {
                    return Err(Fault::NotOffered(
                        "least value of a linear function over this set".into(),
                    ));
                }
            }
        }
        for k in self.alone(g.len()) {
            s[k] = match (self.lower.get(k), self.upper.get(k)) {
                (_, Some(u)) if g[k] < 0.0 => *u,
                (Some(l), _) => *l,
                _ => f64::INFINITY,
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
        for b in self.blocks {
            let Piece::Simplex(total) = b.piece else {
                let why = "corners that a point of a ball is made of: they are known for intervals and simplices";
                return Err(Fault::NotOffered(why.into()));
            };
            let held = b.at.iter().copied().filter(|k| x[*k] > ON * total);
            let worst = held.reduce(|p, q| if g[q] > g[p] { q } else { p });
            b.at.iter().for_each(|i| s[*i] = 0.0);
            if let Some(k) = worst {
                s[k] = total;
            }
        }
        for k in self.alone(x.len()) {
            let (l, u) = (self.lower[k], self.upper[k]);
            let room = ON * (u - l);
            if x[k] - l <= room {
                s[k] = l;
            } else if u - x[k] <= room {
                s[k] = u;
            }
        }
        Ok(())
    }

    /// The largest `a` for which `x + a d` stays in the set, for directions that keep the sums of simplices.
    pub fn reach(&self, x: &[f64], d: &[f64]) -> f64 {
        let within = |k: usize, low: f64, high: f64| {
            if d[k] < 0.0 {
                (x[k] - low).max(0.0) / -d[k]
            } else if d[k] > 0.0 {
                (high - x[k]).max(0.0) / d[k]
            } else {
                f64::INFINITY
            }
        };
        let mut a = f64::INFINITY;
        for b in self.blocks {
            let p: Vec<f64> = b.at.iter().map(|i| x[*i]).collect();
            let q: Vec<f64> = b.at.iter().map(|i| d[*i]).collect();
            match b.piece {
                Piece::Simplex(_) | Piece::Capped(_) => {
                    for k in &b.at {
                        a = a.min(within(*k, 0.0, f64::INFINITY));
                    }
                    if let Piece::Capped(total) = b.piece
                        && sum(&q) > 0.0
                    {
                        a = a.min((total - sum(&p)).max(0.0) / sum(&q));
                    }
                }
                Piece::Ball(r) if sumsq(&q) > 0.0 => {
                    let (along, square) = (dot(&p, &q), sumsq(&q));
                    let room = (along * along + square * (r * r - sumsq(&p))).max(0.0);
                    a = a.min(((room.sqrt() - along) / square).max(0.0));
                }
                Piece::Ball1(r) => a = a.min(reach_of_norm1(&p, &q, r)),
                _ => {}
            }
        }
        for k in self.alone(x.len()) {
            if let (Some(l), Some(u)) = (self.lower.get(k), self.upper.get(k)) {
                a = a.min(within(k, *l, *u));
            }
        }
        a
    }
}

/// The largest `a` with `Σ |p + a q| <= r`: the sum is convex and bends where an entry changes its sign.
fn reach_of_norm1(p: &[f64], q: &[f64], r: f64) -> f64 {
    let mut slope = 0.0;
    let mut bends: Vec<(f64, f64)> = vec![];
    for (p, q) in p.iter().zip(q) {
        slope += if *p == 0.0 { q.abs() } else { p.signum() * q };
        if p * q < 0.0 {
            bends.push((-p / q, 2.0 * q.abs()));
        }
    }
    bends.sort_by(|a, b| a.0.total_cmp(&b.0));
    let (mut at, mut size) = (0.0, ravine_linalg::reduce::norm1(p));
    for (bend, more) in bends {
        let end = size + slope * (bend - at);
        if end > r {
            break;
        }
        (at, size) = (bend, end);
        slope += more;
    }
    if slope > 0.0 {
        at + (r - size).max(0.0) / slope
    } else {
        f64::INFINITY
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
        let block = Block {
            at: vec![0, 1, 2],
            piece: Piece::Simplex(2.0),
        };
        let c = Corners {
            blocks: std::slice::from_ref(&block),
            ..Corners::of_bounds(&b)
        };
        let mut s = [0.0; 4];
        c.least(&[1.0, -3.0, -3.0, -1.0], &mut s).expect("bounded");
        assert_eq!(s, [0.0, 2.0, 0.0, 2.0]);
        let x = [0.5, 0.0, 1.5, -1.0];
        c.away(&x, &[1.0, 5.0, -3.0, 4.0], &mut s).expect("bounded");
        // The second corner has the largest value, but the point has no part in it; the last coordinate is on its bound.
        assert_eq!(s, [2.0, 0.0, 0.0, -1.0]);
        assert_eq!(c.reach(&x, &[-1.0, 1.0, 0.0, 1.0]), 0.5);
        assert!(Corners::default().least(&[1.0], &mut [0.0]).is_err());
    }

    #[test]
    fn corners_of_balls() {
        let block = |piece| Block { at: vec![0, 1], piece };
        let (one, two) = (block(Piece::Ball1(2.0)), block(Piece::Ball(2.0)));
        let of = |b| Corners {
            blocks: std::slice::from_ref(b),
            ..Corners::default()
        };
        let mut s = [9.0; 2];
        of(&one).least(&[1.0, -3.0], &mut s).expect("bounded");
        assert_eq!(s, [0.0, 2.0]);
        of(&two).least(&[3.0, -4.0], &mut s).expect("bounded");
        assert_eq!(s, [-1.2, 1.6]);
        // From (1, 0) along (-1, 1/2): the first entry turns at a = 1, and |x|_1 = 2 at a = 2.
        assert_eq!(of(&one).reach(&[1.0, 0.0], &[-1.0, 0.5]), 2.0);
        assert_eq!(of(&two).reach(&[0.0, 0.0], &[0.0, 4.0]), 0.5);
        assert!(of(&one).away(&[1.0, 0.0], &[1.0, 0.0], &mut s).is_err());
        let capped = block(Piece::Capped(1.0));
        of(&capped).least(&[1.0, 3.0], &mut s).expect("bounded");
        assert_eq!(s, [0.0, 0.0]);
        assert_eq!(of(&capped).reach(&[0.25, 0.25], &[1.0, 0.0]), 0.5);
    }
}
