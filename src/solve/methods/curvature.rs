//! The Hessian of a step: explicit or by products, restricted to free variables, shifted and factorized.
//!
//! Invariant: fixed variables keep the pattern: their rows and columns are replaced by the identity, so that the
//! symbolic work is done once per problem.

use ravine_linalg::factor::{Cholesky, Factor as _, SparseCholesky, SparseCholeskyFactor};
use ravine_linalg::{Csr, Dense};

use crate::solve::method::Fault;
use crate::solve::oracle::Oracle;

use super::sparse_factor::SparseFactor;

/// Work space for the second derivatives at one point.
pub struct Curvature {
    n: usize,
    /// Lower triangle, where the oracle gives it.
    explicit: bool,
    lower: Csr,
    factor: Factor,
    /// The pattern that `factor` was made for.
    analysed: (Vec<usize>, Vec<usize>),
    work: std::cell::RefCell<Vec<f64>>,
}

enum Factor {
    /// Not decided yet.
    Unset,
    /// Lower triangle by rows.
    Small(Vec<f64>),
    Dense(Dense, Option<Cholesky>),
    /// With so little fill that blocks do not pay.
    Sparse(Box<SparseFactor>),
    Blocks(Box<Blocks>),
    /// The factor would be too large.
    TooLarge,
}

/// A sparse factor by dense blocks, for patterns with much fill.
struct Blocks {
    symbolic: SparseCholesky,
    /// Upper triangle, and where each entry of the lower one goes.
    upper: Csr,
    places: Vec<usize>,
    factor: Option<SparseCholeskyFactor>,
}

impl Blocks {
    fn new(lower: &Csr) -> Option<Blocks> {
        let mut numbered = lower.clone();
        numbered.values.iter_mut().enumerate().for_each(|(k, v)| *v = k as f64);
        let mut upper = numbered.transpose();
        let mut places = vec![0; lower.values.len()];
        upper
            .values
            .iter()
            .enumerate()
            .for_each(|(at, k)| places[*k as usize] = at);
        upper.values.fill(0.0);
        let symbolic = SparseCholesky::symbolic(&upper).ok()?;
        Some(Blocks {
            symbolic,
            upper,
            places,
            factor: None,
        })
    }
    fn factor(&mut self, lower: &Csr, free: &[bool], shift: f64) -> bool {
        for i in 0..lower.rows {
            for k in lower.indptr[i]..lower.indptr[i + 1] {
                let j = lower.indices[k];
                self.upper.values[self.places[k]] = match (free[i] && free[j], i == j) {
                    (true, _) => lower.values[k],
                    // With the shift on top the fixed variable keeps a positive pivot.
                    (false, true) => 1.0,
                    (false, false) => 0.0,
                };
            }
        }
        self.factor = self.symbolic.numeric(&self.upper, shift).ok();
        self.factor.is_some()
    }
}

/// Entries of a Hessian beyond which products are used without asking for it.
const MOST_ENTRIES: usize = 20_000_000;
/// Below this size a dense factor is no slower than a sparse one.
const SMALL: usize = 40;
/// Dense factors up to here are made in place; larger ones by blocks.
const IN_PLACE: usize = 150;
/// Largest dense factor.
const LARGEST_DENSE: usize = 3000;
/// Entries of a sparse factor beyond which blocks pay.
const LITTLE_FILL: usize = 1_000_000;

impl Curvature {
    /// For a problem's variables: by entries where the oracle offers them and they fit, else by products.
    pub fn of(problem: &dyn Oracle) -> Self {
        let n = problem.dim();
        let entries = problem.hessian_entries().unwrap_or(n.saturating_mul(n + 1) / 2);
        let offers = problem.offers();
        Self::new(n, offers.hessian && (entries <= MOST_ENTRIES || !offers.hvp))
    }
    fn new(n: usize, explicit: bool) -> Self {
        Self {
            n,
            explicit,
            lower: Csr {
                rows: n,
                cols: n,
                indptr: vec![0; n + 1],
                indices: vec![],
                values: vec![],
            },
            factor: Factor::Unset,
            analysed: (vec![], vec![]),
            work: std::cell::RefCell::default(),
        }
    }
    /// Are the entries at hand?
    pub fn is_explicit(&self) -> bool {
        self.explicit
    }
    /// Can the Hessian last evaluated be factorized in reasonable space?
    pub fn can_factor(&self) -> bool {
        !matches!(self.factor, Factor::Unset | Factor::TooLarge)
    }
    /// Evaluates the Hessian at `x`, if entries are asked for. Where some are not finite it is there all the same, for
    /// [`Curvature::only_free`].
    pub fn evaluate(&mut self, problem: &mut dyn Oracle, x: &[f64]) -> Result<(), Fault> {
        if !self.explicit {
            return Ok(());
        }
        let evaluated = problem.hessian(x, &mut self.lower);
        if !matches!(evaluated, Ok(()) | Err(Fault::NotFinite { .. })) || self.lower.rows != self.n {
            return evaluated;
        }
        let same = self.analysed.0 == self.lower.indptr && self.analysed.1 == self.lower.indices;
        if matches!(self.factor, Factor::Unset) || !same {
            let n = self.n;
            self.analysed.0.clone_from(&self.lower.indptr);
            self.analysed.1.clone_from(&self.lower.indices);
            let dense = n <= SMALL || 4 * self.lower.values.len() > n * n;
            self.factor = match (dense, n <= LARGEST_DENSE) {
                (true, true) if n <= IN_PLACE => Factor::Small(vec![]),
                (true, true) => Factor::Dense(Dense::zeros(n, n), None),
                (true, false) => Factor::TooLarge,
                _ => match SparseFactor::analyse(&self.lower, LITTLE_FILL.min(n.saturating_mul(60))) {
                    Some(f) => Factor::Sparse(Box::new(f)),
                    None => Blocks::new(&self.lower).map_or(Factor::TooLarge, |b| Factor::Blocks(Box::new(b))),
                },
            };
        }
        evaluated?;
        match self.lower.values.iter().position(|v| !v.is_finite()) {
            Some(k) => {
                let row = self.lower.indptr.partition_point(|&p| p <= k) - 1;
                Err(Fault::not_finite("Hessian", Some(row)))
            }
            None => Ok(()),
        }
    }
    /// Makes entries that are not finite 0 where they belong to a variable that is not free; were those the only ones?
    pub fn only_free(&mut self, free: &[bool]) -> bool {
        let (mut found, mut finite) = (false, true);
        for i in 0..self.lower.rows {
            for k in self.lower.indptr[i]..self.lower.indptr[i + 1] {
                let held = !(free[i] && free[self.lower.indices[k]]);
                let v = &mut self.lower.values[k];
                found |= !v.is_finite();
                if held && !v.is_finite() {
                    *v = 0.0;
                }
                finite &= v.is_finite();
            }
        }
        found && finite
    }
    /// `out = ∇²f(x) v`.
    pub fn apply(&self, problem: &mut dyn Oracle, x: &[f64], v: &[f64], out: &mut [f64]) -> Result<(), Fault> {
        if !self.explicit {
            problem.hvp(x, v, out)?;
            return match out.iter().position(|v| !v.is_finite()) {
                Some(i) => Err(Fault::not_finite("Hessian-vector product", Some(i))),
                None => Ok(()),
            };
        }
        out.fill(0.0);
        for i in 0..self.n {
            let mut sum = 0.0;
            for k in self.lower.indptr[i]..self.lower.indptr[i + 1] {
                let (j, h) = (self.lower.indices[k], self.lower.values[k]);
                sum += h * v[j];
                if j != i {
                    out[j] += h * v[i];
                }
            }
            out[i] += sum;
        }
        Ok(())
    }
    /// `out = |∇²f| |x|`: what rounding `x` does to the gradient, in units of the rounding error.
    pub fn apply_abs(&self, x: &[f64], out: &mut [f64]) {
        out.fill(0.0);
        for i in 0..self.n {
            for k in self.lower.indptr[i]..self.lower.indptr[i + 1] {
                let (j, h) = (self.lower.indices[k], self.lower.values[k].abs());
                out[i] += h * x[j].abs();
                if j != i {
                    out[j] += h * x[i].abs();
                }
            }
        }
    }
    /// The diagonal, zero where no entry is stored.
    pub fn diagonal(&self, out: &mut [f64]) {
        out.fill(0.0);
        for i in 0..self.n {
            for k in self.lower.indptr[i]..self.lower.indptr[i + 1] {
                if self.lower.indices[k] == i {
                    out[i] = self.lower.values[k];
                }
            }
        }
    }
    /// Bounds on the eigenvalues of the free block by Gershgorin's discs: `(lowest, highest)`. The two arrays are
    /// work space.
    pub fn gershgorin(&self, free: &[bool], radius: &mut [f64], centre: &mut [f64]) -> (f64, f64) {
        radius.fill(0.0);
        centre.fill(0.0);
        for i in 0..self.n {
            for k in self.lower.indptr[i]..self.lower.indptr[i + 1] {
                let (j, h) = (self.lower.indices[k], self.lower.values[k]);
                if j == i {
                    centre[i] = h;
                } else if free[i] && free[j] {
                    radius[i] += h.abs();
                    radius[j] += h.abs();
                }
            }
        }
        let (mut lo, mut hi) = (f64::INFINITY, f64::NEG_INFINITY);
        for i in (0..self.n).filter(|&i| free[i]) {
            lo = lo.min(centre[i] - radius[i]);
            hi = hi.max(centre[i] + radius[i]);
        }
        if lo > hi { (0.0, 0.0) } else { (lo, hi) }
    }
    /// Smallest diagonal entry of the free block; 0 without free variables.
    pub fn least_diagonal(&self, free: &[bool]) -> f64 {
        let mut least = f64::INFINITY;
        for i in (0..self.n).filter(|&i| free[i]) {
            let row = self.lower.indptr[i]..self.lower.indptr[i + 1];
            let d = row
                .clone()
                .find(|&k| self.lower.indices[k] == i)
                .map_or(0.0, |k| self.lower.values[k]);
            least = least.min(d);
        }
        if least.is_finite() { least } else { 0.0 }
    }
    /// Cholesky factor of the free block plus `shift` times the identity; `false` if it is not positive definite to
    /// working precision.
    pub fn factor(&mut self, free: &[bool], shift: f64) -> bool {
        let n = self.n;
        match &mut self.factor {
            Factor::Unset | Factor::TooLarge => false,
            Factor::Sparse(f) => f.factor(&self.lower, free, shift),
            Factor::Blocks(b) => b.factor(&self.lower, free, shift),
            Factor::Dense(a, f) => {
                a.data.fill(0.0);
                fill_lower(&self.lower, free, shift, &mut a.data);
                *f = Cholesky::new(a, 0.0).ok();
                f.is_some()
            }
            Factor::Small(l) => {
                l.clear();
                l.resize(n * n, 0.0);
                fill_lower(&self.lower, free, shift, l);
                dense_cholesky(n, l)
            }
        }
    }
    /// Solves with the factor of the last successful `factor`, in place.
    pub fn solve(&self, b: &mut [f64]) {
        match &self.factor {
            Factor::Unset | Factor::TooLarge => b.fill(0.0),
            Factor::Sparse(f) => f.solve(b, &mut self.work.borrow_mut()),
            Factor::Blocks(f) => f.factor.iter().for_each(|f| f.solve(b)),
            Factor::Dense(_, f) => f.iter().for_each(|f| f.solve(b)),
            Factor::Small(l) => {
                let n = self.n;
                for i in 0..n {
                    let s: f64 = l[i * n..i * n + i].iter().zip(&*b).map(|(a, x)| a * x).sum();
                    b[i] = (b[i] - s) / l[i * n + i];
                }
                for i in (0..n).rev() {
                    b[i] /= l[i * n + i];
                    let t = b[i];
                    for j in 0..i {
                        b[j] -= l[i * n + j] * t;
                    }
                }
            }
        }
    }
}

/// The free block plus `shift` times the identity, and the identity elsewhere, into zeros.
fn fill_lower(lower: &Csr, free: &[bool], shift: f64, out: &mut [f64]) {
    let n = lower.rows;
    for i in 0..n {
        if !free[i] {
            out[i * n + i] = 1.0;
            continue;
        }
        for k in lower.indptr[i]..lower.indptr[i + 1] {
            let j = lower.indices[k];
            if free[j] {
                out[i * n + j] = lower.values[k];
            }
        }
        out[i * n + i] += shift;
    }
}

/// In-place `A = L Lᵀ` by rows of the lower triangle; `false` at a pivot that is not positive beyond rounding.
fn dense_cholesky(n: usize, a: &mut [f64]) -> bool {
    for i in 0..n {
        let (above, rest) = a.split_at_mut(i * n);
        let row = &mut rest[..=i];
        let scale = row[i].abs();
        for j in 0..i {
            let lj = &above[j * n..=j * n + j];
            let s: f64 = row[..j].iter().zip(lj).map(|(x, y)| x * y).sum();
            row[j] = (row[j] - s) / lj[j];
        }
        let s: f64 = row[..i].iter().map(|x| x * x).sum();
        let d = row[i] - s;
        if !(d > f64::EPSILON * scale && d.is_finite()) {
            return false;
        }
        row[i] = d.sqrt();
    }
    true
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Every kind of factor solves the same systems, fixed variables included.
    #[test]
    fn all_kinds_agree() {
        // A five-point star on a grid, lower triangle.
        let side = 14;
        let n = side * side;
        let mut entries = vec![];
        for i in 0..n {
            entries.push((i, i, 4.0 + (i % 3) as f64));
            if i % side > 0 {
                entries.push((i, i - 1, -1.0));
            }
            if i >= side {
                entries.push((i, i - side, -1.5));
            }
        }
        let lower = Csr::from_triplets(n, n, &entries);
        let free: Vec<bool> = (0..n).map(|i| i % 7 != 3).collect();
        let b: Vec<f64> = (0..n).map(|i| f64::from(i as u32 % 11) - 5.0).collect();
        let mut answers: Vec<Vec<f64>> = vec![];
        for factor in [
            Factor::Small(vec![]),
            Factor::Dense(Dense::zeros(n, n), None),
            Factor::Sparse(Box::new(SparseFactor::analyse(&lower, usize::MAX).expect("fits"))),
            Factor::Blocks(Box::new(Blocks::new(&lower).expect("analysed"))),
        ] {
            let mut h = Curvature::new(n, true);
            h.lower = lower.clone();
            h.factor = factor;
            assert!(h.factor(&free, 0.25));
            let mut x = b.clone();
            h.solve(&mut x);
            answers.push(x);
            assert!(!h.factor(&free, -30.0), "indefinite");
        }
        let mut residual: Vec<f64> = b.iter().map(|v| -v).collect();
        for &(i, j, v) in &entries {
            let x = &answers[0];
            if free[i] && free[j] {
                residual[i] += v * x[j];
                if i != j {
                    residual[j] += v * x[i];
                }
            }
        }
        for i in 0..n {
            let own = if free[i] { 0.25 * answers[0][i] } else { answers[0][i] };
            // A fixed variable keeps its own entry of the right side, up to the shift.
            assert!((residual[i] + own).abs() < 1e-12);
            for other in &answers[1..] {
                let close = (other[i] - answers[0][i]).abs() < 1e-12;
                assert!(close || !free[i]);
            }
        }
    }
}
