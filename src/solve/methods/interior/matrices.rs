//! The semidefinite matrices of a program in the iterations: their scalings, and what is done in the scaled spaces.
//!
//! Invariant: without matrices nothing here does anything; directions are packed, and parts of vectors lie one after the
//! other as the blocks do.
//!
//! Source: M. Todd, K. Toh and R. Tütüncü, "On the Nesterov-Todd direction in semidefinite programming", SIAM J.
//! Optimization 8 (1998).

use ravine_linalg::NumericalFault;
use ravine_linalg::semidefinite::{Damped, Metric, Scaling, least_eigenvalue};

use super::program::{Block, Program};

/// The blocks of a program and the scalings of the iterate at hand.
pub struct Matrices<'a> {
    blocks: &'a [Block],
    scalings: Vec<Scaling>,
    /// Metrics of the blocks whose own variables have curvature.
    damped: Vec<Option<Damped>>,
    /// Rows before the first block.
    first: usize,
    /// Variables before the first block's, and all unknowns that are not eliminated.
    plain: usize,
    order: usize,
}

impl<'a> Matrices<'a> {
    /// At the unit matrices.
    pub fn new(program: &'a Program<'_>) -> Matrices<'a> {
        Matrices {
            blocks: &program.blocks,
            scalings: program.blocks.iter().map(|b| Scaling::identity(b.order)).collect(),
            damped: program
                .blocks
                .iter()
                .map(|b| (b.damping > 0.0).then(|| Damped::identity(b.order, b.damping)))
                .collect(),
            first: program.linear(),
            plain: program.plain,
            order: program.plain + program.general(),
        }
    }

    fn both(&self) -> impl Iterator<Item = (&Block, &Scaling)> {
        self.blocks.iter().zip(&self.scalings)
    }

    /// The sum of the orders.
    pub fn degree(&self) -> f64 {
        self.blocks.iter().map(|b| b.order as f64).sum()
    }

    /// The rows of the diagonal entries.
    pub fn diagonals(&self) -> impl Iterator<Item = usize> {
        self.blocks
            .iter()
            .flat_map(|b| (0..b.order).map(|k| b.rows.start + k * (k + 3) / 2))
    }

    /// The smallest eigenvalue of all.
    pub fn least(&self, v: &[f64]) -> f64 {
        self.blocks
            .iter()
            .map(|b| least_eigenvalue(b.order, &v[b.rows.clone()]))
            .fold(f64::INFINITY, |m, v| if v.is_nan() { v } else { m.min(v) })
    }

    /// Scales for an iterate; a fault where it is not inside.
    pub fn rescale(&mut self, s: &[f64], z: &[f64]) -> Result<(), NumericalFault> {
        for ((b, scaling), damped) in self.blocks.iter().zip(&mut self.scalings).zip(&mut self.damped) {
            *scaling = Scaling::new(b.order, &s[b.rows.clone()], &z[b.rows.clone()])?;
            if let Some(damped) = damped {
                *damped = Damped::new(scaling, b.damping)?;
            }
        }
        Ok(())
    }

    /// What the metrics add to the equations that are factored.
    pub fn add(&self, lower: &mut [f64]) {
        for ((b, scaling), damped) in self.both().zip(&self.damped) {
            match (damped, &b.own) {
                (Some(damped), _) => b.gram.add_damped(damped, -1.0, lower, self.order),
                (None, Some(_)) => b.gram.add(scaling, Metric::Multipliers, -1.0, lower, self.order),
                (None, None) => b.gram.add(scaling, Metric::Slacks, 1.0, lower, self.order),
            }
        }
    }

    /// Fills in the eliminated variables and the multipliers, for `G'y` and right-hand sides of variables and rows, and what is
    /// to be centred: slacks of blocks with variables of their own, multipliers of the others, or nothing.
    pub fn expand(&self, gty: &[f64], (u, v, centre): (&[f64], &[f64], &[f64]), x: &mut [f64], z: &mut [f64]) {
        let (mut product, mut shrunk) = (vec![], vec![]);
        for ((b, scaling), damped) in self.both().zip(&self.damped) {
            let (z, v) = (&mut z[b.rows.clone()], &v[b.rows.clone()]);
            let centre = centre
                .get(b.rows.start - self.first..b.rows.end - self.first)
                .unwrap_or_default();
            product.resize(v.len(), 0.0);
            match &b.own {
                Some(own) => {
                    for (z, j) in z.iter_mut().zip(own.clone()) {
                        *z = gty[j] - u[j];
                    }
                    let x = &mut x[own.clone()];
                    let Some(damped) = damped else {
                        scaling.apply(Metric::Multipliers, z, &mut product);
                        product.iter_mut().zip(centre).for_each(|(p, c)| *p -= c);
                        for ((x, v), s) in x.iter_mut().zip(v).zip(&product) {
                            *x = -v - s;
                        }
                        continue;
                    };
                    damped.apply(z, &mut product);
                    let mut right: Vec<f64> = v.iter().map(|v| -v).collect();
                    right.iter_mut().zip(centre).for_each(|(r, c)| *r += c);
                    shrunk.resize(v.len(), 0.0);
                    damped.shrink(&right, &mut shrunk);
                    for (((x, z), s), p) in x.iter_mut().zip(z).zip(&shrunk).zip(&product) {
                        *x = s - p;
                        *z += b.damping * *x;
                    }
                }
                None => {
                    b.f.mul_vec(&x[..self.plain], &mut product);
                    product.iter_mut().zip(v).for_each(|(f, v)| *f -= v);
                    scaling.apply(Metric::Slacks, &product, z);
                    z.iter_mut().zip(centre).for_each(|(z, c)| *z += c);
                }
            }
        }
    }

    /// `-λ ∘ λ` by blocks.
    pub fn squares(&self) -> Vec<f64> {
        let mut out = vec![0.0; self.blocks.iter().map(|b| b.rows.len()).sum()];
        for (b, scaling) in self.both() {
            let start = b.rows.start - self.first;
            for (k, v) in scaling.lambda().iter().enumerate() {
                out[start + k * (k + 3) / 2] = -v * v;
            }
        }
        out
    }

    /// Adds `goal` times the unit, and takes off the products of a direction.
    pub fn recentre(&self, centre: &mut [f64], goal: f64, ds: &[f64], dz: &[f64]) {
        for (b, scaling) in self.both() {
            let centre = &mut centre[b.rows.start - self.first..b.rows.end - self.first];
            let (s, z) = (
                scaling.slack(&ds[b.rows.clone()]),
                scaling.multiplier(&dz[b.rows.clone()]),
            );
            for (c, v) in centre.iter_mut().zip(scaling.jordan(&s, &z)) {
                *c -= v;
            }
            (0..b.order).for_each(|k| centre[k * (k + 3) / 2] += goal);
        }
    }

    /// The slacks or multipliers that make these products, whichever is eliminated last, by blocks.
    pub fn lift(&self, centre: &[f64]) -> Vec<f64> {
        let mut out = vec![0.0; centre.len()];
        for (b, scaling) in self.both() {
            let rows = b.rows.start - self.first..b.rows.end - self.first;
            let metric = match b.own {
                Some(_) => Metric::Slacks,
                None => Metric::Multipliers,
            };
            scaling.lift(metric, &centre[rows.clone()], &mut out[rows]);
        }
        out
    }

    /// The step to the boundary.
    pub fn longest(&self, ds: &[f64], dz: &[f64]) -> f64 {
        let mut most = f64::INFINITY;
        for (b, scaling) in self.both() {
            let s = scaling.longest(&scaling.slack(&ds[b.rows.clone()]));
            let z = scaling.longest(&scaling.multiplier(&dz[b.rows.clone()]));
            for t in [s, z] {
                if t.is_nan() {
                    return t;
                }
                most = most.min(t);
            }
        }
        most
    }
}
