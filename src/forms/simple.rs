//! The simple part of a composite problem, bound: penalties with a closed proximal point, and sets with a closed projection.
//!
//! Invariant: a coordinate has at most one penalty of its own and lies in at most one block, so that the proximal point is
//! exact: entry by entry, then block by block.
//!
//! Source: Parikh and Boyd, Proximal Algorithms, 2014; Yu, On decomposing the proximal map, NIPS 2013 (entries before a
//! norm of the block, and a norm before its ball).

use crate::atoms::{prox, rules};
use crate::ir::AtomRef;

/// `weight · φ(scale · x + shift)` of one coordinate.
#[derive(Clone, Copy, Debug)]
pub struct Entry {
    /// The coordinate.
    pub at: usize,
    /// At least 0.
    pub weight: f64,
    /// Not 0.
    pub scale: f64,
    /// Added within.
    pub shift: f64,
    /// `φ`.
    pub atom: AtomRef,
    /// Its proximal operator.
    pub prox: fn(f64, f64) -> f64,
}

/// What a block of coordinates has in common.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Piece {
    /// `weight · ‖x‖₂`.
    Norm(f64),
    /// `weight · ‖x‖∞`.
    NormInf(f64),
    /// `weight · max x`.
    Max(f64),
    /// `weight · Σ |xᵢ₊₁ - xᵢ| + l1 · Σ |xᵢ|`.
    Variation(f64, f64),
    /// `‖x‖₂ <= radius`.
    Ball(f64),
    /// `Σ |x| <= radius`.
    Ball1(f64),
    /// `x >= 0` with this sum.
    Simplex(f64),
    /// `x >= 0` with a sum of at most this.
    Capped(f64),
}

/// Coordinates in order, and what they have in common.
#[derive(Clone, Debug, PartialEq)]
pub struct Block {
    /// Coordinates.
    pub at: Vec<usize>,
    /// What holds for them.
    pub piece: Piece,
}

/// Penalties and sets of all coordinates.
#[derive(Clone, Debug, Default)]
pub struct Simple {
    /// Weight of `|x|` by coordinate.
    pub l1: Vec<f64>,
    /// Lower bounds.
    pub lower: Vec<f64>,
    /// Upper bounds.
    pub upper: Vec<f64>,
    /// Other penalties of single coordinates, which have no weight in `l1`.
    pub entries: Vec<Entry>,
    /// Disjoint blocks.
    pub blocks: Vec<Block>,
}

/// The proximal point of `w·|x|` within bounds, for one number: bounds after the threshold are exact in one dimension.
pub fn entry_prox(v: f64, w: f64, lower: f64, upper: f64) -> f64 {
    prox::abs(v, w).max(lower).min(upper)
}

impl Simple {
    /// Nothing but bounds.
    pub fn bounds(lower: Vec<f64>, upper: Vec<f64>) -> Simple {
        Simple {
            l1: vec![0.0; lower.len()],
            lower,
            upper,
            ..Simple::default()
        }
    }

    /// Is it a sum over coordinates of `w·|x|` and bounds?
    pub fn separable(&self) -> bool {
        self.entries.is_empty() && self.blocks.is_empty()
    }

    /// The proximal point of `t` times the simple part.
    pub fn prox(&self, x: &mut [f64], t: f64) {
        for (v, w) in x.iter_mut().zip(&self.l1) {
            *v = prox::abs(*v, t * w);
        }
        for e in &self.entries {
            let step = t * e.weight * e.scale * e.scale;
            x[e.at] = ((e.prox)(e.scale * x[e.at] + e.shift, step) - e.shift) / e.scale;
        }
        self.finish(x, t);
    }

    /// The nearest point that satisfies bounds and sets.
    pub fn project(&self, x: &mut [f64]) {
        self.finish(x, 0.0);
    }

    /// Bounds, then blocks; a simplex has its bounds in it, and begins from where the point was.
    fn finish(&self, x: &mut [f64], t: f64) {
        for b in &self.blocks {
            if let Piece::Simplex(s) = b.piece {
                let mut part: Vec<f64> = b.at.iter().map(|i| x[*i]).collect();
                prox::simplex(&mut part, s);
                b.at.iter().zip(&part).for_each(|(i, v)| x[*i] = *v);
            }
        }
        for ((v, l), u) in x.iter_mut().zip(&self.lower).zip(&self.upper) {
            *v = v.max(*l).min(*u);
        }
        let mut part = vec![];
        for b in &self.blocks {
            part.clear();
            part.extend(b.at.iter().map(|i| x[*i]));
            match b.piece {
                Piece::Norm(w) => prox::norm2(&mut part, t * w),
                Piece::NormInf(w) => prox::norm_inf(&mut part, t * w),
                Piece::Max(w) if t * w > 0.0 => prox::max(&mut part, t * w),
                Piece::Max(_) => {}
                Piece::Variation(w, l1) => {
                    prox::total_variation(&mut part, t * w);
                    // Exact in this order: Friedman, Hastie, Höfling and Tibshirani, Annals of Applied Statistics 1, 2007.
                    part.iter_mut().for_each(|v| *v = prox::abs(*v, t * l1));
                }
                Piece::Ball(r) => prox::ball(&mut part, r),
                Piece::Ball1(r) => prox::ball1(&mut part, r),
                Piece::Simplex(_) => continue,
                Piece::Capped(s) => prox::capped_simplex(&mut part, s),
            }
            for (i, v) in b.at.iter().zip(&part) {
                x[*i] = *v;
            }
        }
    }

    /// The penalties at a point (sets count nothing).
    pub fn value(&self, x: &[f64]) -> f64 {
        let mut sum = ravine_linalg::reduce::sum_by(x.len(), |i| self.l1[i] * x[i].abs());
        for e in &self.entries {
            sum += e.weight * rules::evaluate(e.atom, &[e.scale * x[e.at] + e.shift]).unwrap_or(f64::NAN);
        }
        for b in &self.blocks {
            let part: Vec<f64> = b.at.iter().map(|i| x[*i]).collect();
            sum += match b.piece {
                Piece::Norm(w) => w * ravine_linalg::reduce::norm2(&part),
                Piece::NormInf(w) => w * ravine_linalg::reduce::norm_inf(&part),
                Piece::Max(w) => w * part.iter().fold(f64::NEG_INFINITY, |m, v| m.max(*v)),
                Piece::Variation(w, l1) => {
                    w * part.windows(2).map(|p| (p[1] - p[0]).abs()).sum::<f64>()
                        + l1 * ravine_linalg::reduce::norm1(&part)
                }
                _ => 0.0,
            };
        }
        sum
    }

    /// How far `x` is from a proximal gradient step of length `t`, over `t`, entry by entry: 0 exactly where the first-order
    /// condition holds, and minus the gradient where nothing stands in the way.
    pub fn residual(&self, x: &[f64], g: &[f64], t: f64) -> Vec<f64> {
        let mut moved: Vec<f64> = x.iter().zip(g).map(|(x, g)| x - t * g).collect();
        if self.separable() {
            // The move itself: far from zero the difference of two points would lose it.
            for (i, m) in moved.iter_mut().enumerate() {
                let w = self.l1[i];
                let by = if *m > t * w {
                    -g[i] - w
                } else if *m < -t * w {
                    w - g[i]
                } else {
                    -x[i] / t
                };
                *m = by.max((self.lower[i] - x[i]) / t).min((self.upper[i] - x[i]) / t);
            }
            return moved;
        }
        self.prox(&mut moved, t);
        moved.iter_mut().zip(x).for_each(|(m, x)| *m = (*m - x) / t);
        moved
    }

    /// The smallest extent of a ball or simplex; infinite where there is none.
    pub fn extent(&self) -> f64 {
        let extents = self.blocks.iter().map(|b| match b.piece {
            Piece::Ball(r) | Piece::Ball1(r) | Piece::Simplex(r) | Piece::Capped(r) => r,
            Piece::Norm(_) | Piece::NormInf(_) | Piece::Max(_) | Piece::Variation(..) => f64::INFINITY,
        });
        extents.filter(|r| *r > 0.0).fold(f64::INFINITY, f64::min)
    }

    /// An upper bound of `F(x) - min F` for `F = f + simple` with `f` convex, `g` its gradient at `x`, and `room` at least
    /// `F(x) - inf f`; `None` where these data bound nothing.
    ///
    /// By convexity `F(y) >= f(x) + g·(y - x) + simple(y)`. Where `-g` leaves the domain of the conjugate by a factor
    /// `1 + e`, the minimizers are still bounded: their penalty is at most `room`, which costs `e·room`.
    pub fn gap(&self, x: &[f64], g: &[f64], room: Option<f64>) -> Option<f64> {
        let mut linear = ravine_linalg::reduce::dot(g, x) + self.value(x);
        let mut excess = 0.0f64;
        let mut blocked = vec![false; x.len()];
        let cone =
            |i: usize| self.upper[i] == f64::INFINITY && (self.lower[i] == 0.0 || self.lower[i] == f64::NEG_INFINITY);
        for b in &self.blocks {
            let part: Vec<f64> = b.at.iter().map(|i| g[*i]).collect();
            let plain = b
                .at
                .iter()
                .all(|i| self.l1[*i] == 0.0 && self.lower[*i] == f64::NEG_INFINITY && self.upper[*i] == f64::INFINITY);
            let mut over = |dual: f64, w: f64| excess = excess.max((dual - w) / w.max(f64::MIN_POSITIVE));
            let least = part.iter().fold(f64::INFINITY, |m, v| m.min(*v));
            match b.piece {
                Piece::Norm(w) if plain => over(ravine_linalg::reduce::norm2(&part), w),
                // The threshold of the entries and the cone of the bounds first: what of `-g` lies beyond them.
                Piece::Norm(w) if b.at.iter().all(|i| cone(*i)) => {
                    let beyond = |i: &usize| {
                        if self.lower[*i] == 0.0 {
                            (-g[*i] - self.l1[*i]).max(0.0)
                        } else {
                            prox::abs(g[*i], self.l1[*i])
                        }
                    };
                    let beyond: Vec<f64> = b.at.iter().map(beyond).collect();
                    over(ravine_linalg::reduce::norm2(&beyond), w);
                }
                Piece::NormInf(w) if plain => over(ravine_linalg::reduce::norm1(&part), w),
                Piece::Simplex(s) => linear -= s * least,
                Piece::Capped(s) => linear -= s * least.min(0.0),
                Piece::Ball(r) if plain => linear += r * ravine_linalg::reduce::norm2(&part),
                Piece::Ball1(r) if plain => linear += r * ravine_linalg::reduce::norm_inf(&part),
                _ => return None,
            }
            b.at.iter().for_each(|i| blocked[*i] = true);
        }
        if !self.entries.is_empty() {
            return None;
        }
        for i in (0..x.len()).filter(|i| !blocked[*i]) {
            let (g, w, l, u) = (g[i], self.l1[i], self.lower[i], self.upper[i]);
            // The minimum of g·y + w·|y| within the bounds is at an end or at 0.
            let at = |y: f64| g * y + w * y.abs();
            let start = 0.0f64.max(l).min(u);
            let mut best = at(start);
            for (end, falls) in [(l, -g + w), (u, g + w)] {
                if end.is_finite() {
                    best = best.min(at(end));
                } else if falls < 0.0 {
                    if w <= 0.0 {
                        return None;
                    }
                    excess = excess.max(-falls / w);
                }
            }
            linear -= best;
        }
        let extra = match room {
            _ if excess <= 0.0 => 0.0,
            Some(r) => excess * r.max(0.0),
            None => return None,
        };
        Some((linear + extra).max(0.0))
    }
}
