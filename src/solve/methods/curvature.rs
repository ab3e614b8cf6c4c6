//! The Hessian of a step: explicit or by products, restricted to free variables, shifted and factorized.
//!
//! Invariant: fixed variables keep the pattern: their rows and columns are replaced by the identity, so that the
//! symbolic work is done once per problem.

use ravine_linalg::Csr;

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
    Dense(Vec<f64>),
    Sparse(Box<SparseFactor>),
    /// The factor would be too large.
    TooLarge,
}

/// Entries of a Hessian beyond which products are used without asking for it.
const MOST_ENTRIES: usize = 20_000_000;
/// Below this size a dense factor is no slower than a sparse one.
const SMALL: usize = 40;
/// Largest dense factor.
const LARGEST_DENSE: usize = 3000;
/// Entries of a sparse factor beyond which products are the better way.
const LARGEST_SPARSE: usize = 20_000_000;

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
        matches!(self.factor, Factor::Dense(_) | Factor::Sparse(_))
    }
    /// Evaluates the Hessian at `x`, if entries are asked for.
    pub fn evaluate(&mut self, problem: &mut dyn Oracle, x: &[f64]) -> Result<(), Fault> {
        if !self.explicit {
            return Ok(());
        }
        problem.hessian(x, &mut self.lower)?;
        let same = self.analysed.0 == self.lower.indptr && self.analysed.1 == self.lower.indices;
        if matches!(self.factor, Factor::Unset) || !same {
            let n = self.n;
            self.analysed.0.clone_from(&self.lower.indptr);
            self.analysed.1.clone_from(&self.lower.indices);
            let dense = n <= SMALL || 4 * self.lower.values.len() > n * n;
            self.factor = match (dense, n <= LARGEST_DENSE) {
                (true, true) => Factor::Dense(vec![]),
                (true, false) => Factor::TooLarge,
                _ => SparseFactor::analyse(&self.lower, LARGEST_SPARSE)
                    .map_or(Factor::TooLarge, |f| Factor::Sparse(Box::new(f))),
            };
        }
        match self.lower.values.iter().position(|v| !v.is_finite()) {
            Some(k) => {
                let row = self.lower.indptr.partition_point(|&p| p <= k) - 1;
                Err(Fault::not_finite("Hessian", Some(row)))
            }
            None => Ok(()),
        }
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
            Factor::Dense(l) => {
                l.clear();
                l.resize(n * n, 0.0);
                for i in 0..n {
                    if !free[i] {
                        l[i * n + i] = 1.0;
                        continue;
                    }
                    for k in self.lower.indptr[i]..self.lower.indptr[i + 1] {
                        let j = self.lower.indices[k];
                        if free[j] {
                            l[i * n + j] = self.lower.values[k];
                        }
                    }
                    l[i * n + i] += shift;
                }
                dense_cholesky(n, l)
            }
        }
    }
    /// Solves with the factor of the last successful `factor`, in place.
    pub fn solve(&self, b: &mut [f64]) {
        match &self.factor {
            Factor::Unset | Factor::TooLarge => b.fill(0.0),
            Factor::Sparse(f) => f.solve(b, &mut self.work.borrow_mut()),
            Factor::Dense(l) => {
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
