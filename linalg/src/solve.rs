//! `A \ b`: linear systems, least squares and least-norm solutions, each with its condition and the error of its answer.
//!
//! Invariant: `error` is never below the true relative error of `x` for the stored A and b, or it is infinite; A'A is
//! never formed.
//!
//! Every route scales by powers of two (exact), factors in working precision and refines with residuals in doubled
//! precision (see `refine`). Sources: Higham, "Accuracy and Stability of Numerical Algorithms", 2002; Bjorck, 1996.

use crate::dense::Dense;
use crate::doubled::{DOUBLED_UNIT, Doubled, residual, residual_terms, transposed_product, transposed_terms};
use crate::factor::{Cholesky, Factor, Lu, SparseCholesky, SparseLu};
use crate::fault::{NumericalFault, check_finite, check_len};
use crate::matrix::Matrix;
use crate::qr::RFactor;
use crate::reduce::{norm_inf, norm2};
use crate::refine::{Refined, refine, sign};
use crate::spectrum::{largest_eigenvalue, singular_values};

/// Columns up to which the condition number is computed from the singular values.
const EXACT_CONDITION: usize = 300;
/// Entries up to which a sparse matrix without full rank is worked on as a dense one.
const DENSE_FALLBACK: usize = 1 << 24;
/// Steps of the power method behind a condition estimate.
const POWER_STEPS: usize = 30;
const SYSTEM: &str = "linear system";

/// How a number relates to the quantity it stands for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum EstimateKind {
    /// The quantity, up to rounding.
    Exact,
    /// Near the quantity, on either side.
    Estimate,
    /// At most the quantity.
    LowerBound,
    /// At least the quantity.
    UpperBound,
}

/// A number and how far it can be trusted.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Estimate {
    /// The number; infinite when nothing finite can be said.
    pub value: f64,
    /// What it is.
    pub kind: EstimateKind,
}

impl Estimate {
    fn new(value: f64, kind: EstimateKind) -> Self {
        Estimate { value, kind }
    }
}

/// A solution with its evidence.
#[derive(Clone, Debug, PartialEq)]
pub struct Solved {
    /// The solution, of length n.
    pub x: Vec<f64>,
    /// |b - A x| in the Euclidean norm, computed in doubled precision.
    pub residual_norm: f64,
    /// Rank of A to working precision.
    pub rank: usize,
    /// 2-norm condition number of A: largest over smallest singular value; infinite below full rank.
    pub condition: Estimate,
    /// |x - x*| / |x*| for the exact solution x* of the stored A and b.
    pub error: Estimate,
    /// The factorization used.
    pub method: &'static str,
    /// What the reader should know, if anything.
    pub note: Option<String>,
}

/// Solves A x = b for a square A.
///
/// A singular matrix is no fault: the least-squares solution of least norm is returned, its rank and a note with it.
/// Sizes that differ and entries that are not finite are faults.
pub fn solve_linear(a: &Matrix, b: &[f64]) -> Result<Solved, NumericalFault> {
    let mut solved = solve_linear_columns(a, &[b])?;
    solved
        .pop()
        .ok_or_else(|| NumericalFault::new("there is no right side", SYSTEM, 0.0))
}

/// Solves A x = b for a square A and each of several right sides, as `solve_linear` does, with one factorization.
pub fn solve_linear_columns(a: &Matrix, columns: &[&[f64]]) -> Result<Vec<Solved>, NumericalFault> {
    let n = a.rows();
    check_len(SYSTEM, "columns of a square matrix", n, a.cols())?;
    for b in columns {
        check(SYSTEM, a, b)?;
    }
    if n == 0 {
        return Ok(columns.iter().map(|_| empty(0, 0.0)).collect());
    }
    let Some(system) = Scaled::new(a) else {
        return columns.iter().map(|b| singular(a, b)).collect();
    };
    let mut condition = None;
    let mut out = vec![];
    for b in columns {
        let unit = power_of_two_below(norm_inf(b));
        let refined = system.refined(b, unit);
        if !refined.error.is_finite() {
            out.push(singular(a, b)?);
            continue;
        }
        let condition = match condition {
            Some(c) => c,
            None => *condition.insert(system.condition(a)?),
        };
        let x = system.unscale(&refined.x, unit);
        out.push(finish(a, b, x, &refined, n, condition, system.method, None)?);
    }
    Ok(out)
}

/// Minimizes |A x - b|; among several minimizers, the one of least norm.
///
/// Columns that depend on each other are no fault: rank and note say so. Sizes that differ and entries that are not
/// finite are faults.
pub fn least_squares(a: &Matrix, b: &[f64]) -> Result<Solved, NumericalFault> {
    const PLACE: &str = "least squares";
    check(PLACE, a, b)?;
    if a.cols() == 0 || a.rows() == 0 || a.norm_1() == 0.0 {
        let mut out = empty(a.cols(), norm2(b));
        if a.cols() > 0 {
            out.condition = Estimate::new(f64::INFINITY, EstimateKind::Exact);
        }
        return Ok(out);
    }
    if a.rows() >= a.cols() { tall(a, b) } else { wide(a, b) }
}

fn check(place: &'static str, a: &Matrix, b: &[f64]) -> Result<(), NumericalFault> {
    check_len(place, "entries of b", a.rows(), b.len())?;
    a.check_finite()?;
    check_finite(place, "b", b)
}

/// The answer where there is nothing to determine: x = 0.
fn empty(n: usize, residual_norm: f64) -> Solved {
    Solved {
        x: vec![0.0; n],
        residual_norm,
        rank: 0,
        condition: Estimate::new(1.0, EstimateKind::Exact),
        error: Estimate::new(0.0, EstimateKind::Exact),
        method: "none needed",
        note: None,
    }
}

fn finish(
    a: &Matrix,
    b: &[f64],
    x: Vec<f64>,
    refined: &Refined,
    rank: usize,
    condition: Estimate,
    method: &'static str,
    note: Option<String>,
) -> Result<Solved, NumericalFault> {
    check_finite(method, "the solution", &x)?;
    let r = residual(a, &Doubled::from_slice(&x), &Doubled::from_slice(b));
    Ok(Solved {
        residual_norm: norm2(&r.hi),
        x,
        rank,
        condition,
        error: Estimate::new(refined.error, EstimateKind::UpperBound),
        method,
        note,
    })
}

/// The power of two nearest above 1/v; 1 for 0. Scaling with it is exact.
fn power_of_two_below(v: f64) -> f64 {
    if v == 0.0 || !v.is_finite() {
        return 1.0;
    }
    let exponent = ((v.to_bits() >> 52) & 0x7ff) as i64 - 1023;
    f64::from_bits(((1023 - exponent.clamp(-1000, 1000)) as u64) << 52)
}

fn scale(a: &Matrix, rows: Option<&[f64]>, cols: Option<&[f64]>) -> Matrix {
    let mut out = a.clone();
    match &mut out {
        Matrix::Dense(a) => {
            if let Some(s) = rows {
                a.scale_rows(s);
            }
            if let Some(s) = cols {
                a.scale_cols(s);
            }
        }
        Matrix::Sparse(a) => {
            if let Some(s) = rows {
                a.scale_rows(s);
            }
            if let Some(s) = cols {
                a.scale_cols(s);
            }
        }
    }
    out
}

/// Largest absolute value in each column.
fn column_sizes(a: &Matrix) -> Vec<f64> {
    let mut out = vec![0.0f64; a.cols()];
    match a {
        Matrix::Dense(a) => {
            for i in 0..a.rows {
                out.iter_mut().zip(a.row(i)).for_each(|(o, v)| *o = o.max(v.abs()));
            }
        }
        Matrix::Sparse(a) => a.triplets().for_each(|(_, j, v)| out[j] = out[j].max(v.abs())),
    }
    out
}

fn row_sizes(a: &Matrix) -> Vec<f64> {
    let largest = |v: &[f64]| v.iter().fold(0.0f64, |m, x| m.max(x.abs()));
    match a {
        Matrix::Dense(a) => (0..a.rows).map(|i| largest(a.row(i))).collect(),
        Matrix::Sparse(a) => (0..a.rows).map(|i| largest(a.row(i).1)).collect(),
    }
}

fn scaled_by(v: &[f64], s: &[f64]) -> Vec<f64> {
    v.iter().zip(s).map(|(v, s)| v * s).collect()
}

fn doubled_scaled(v: &Doubled, s: &[f64]) -> Doubled {
    Doubled {
        hi: scaled_by(&v.hi, s),
        lo: scaled_by(&v.lo, s),
    }
}

fn sum(v: &Doubled) -> Vec<f64> {
    v.hi.iter().zip(&v.lo).map(|(h, l)| h + l).collect()
}

/// `terms` times the unit of doubled precision, with the signs of a probe.
fn rounding(terms: &[f64], probe: usize) -> Vec<f64> {
    terms
        .iter()
        .enumerate()
        .map(|(i, t)| sign(i, probe) * DOUBLED_UNIT * t)
        .collect()
}

/// Relative size of a pivot that counts as zero in a matrix of these many rows or columns.
fn rank_tolerance(size: usize) -> f64 {
    5.0 * f64::EPSILON * (size as f64).sqrt()
}

/// R A C y = R b with R, C powers of two, factored.
struct Scaled {
    a: Matrix,
    rows: Vec<f64>,
    cols: Vec<f64>,
    factor: Box<dyn Factor>,
    method: &'static str,
}

impl Scaled {
    /// `None` if no factorization got through or the factor is singular to working precision.
    fn new(a: &Matrix) -> Option<Self> {
        let n = a.rows();
        let diagonal: Vec<f64> = (0..n).map(|i| a.get(i, i)).collect();
        if diagonal.iter().all(|d| *d > 0.0) && a.asymmetry() == 0.0 {
            let s: Vec<f64> = diagonal.iter().map(|d| power_of_two_below(d.sqrt())).collect();
            let scaled = scale(a, Some(&s), Some(&s));
            let factored: Result<(Box<dyn Factor>, _), NumericalFault> = match &scaled {
                Matrix::Dense(m) => Cholesky::new(m, 0.0).map(|f| (Box::new(f) as _, "Cholesky")),
                Matrix::Sparse(m) => SparseCholesky::symbolic(m)
                    .and_then(|f| f.numeric(m, 0.0))
                    .map(|f| (Box::new(f) as _, "sparse Cholesky")),
            };
            if let Ok((factor, method)) = factored {
                let out = Scaled {
                    a: scaled,
                    rows: s.clone(),
                    cols: s,
                    factor,
                    method,
                };
                return out.regular().then_some(out);
            }
        }
        let rows: Vec<f64> = row_sizes(a).into_iter().map(power_of_two_below).collect();
        let half = scale(a, Some(&rows), None);
        let cols: Vec<f64> = column_sizes(&half).into_iter().map(power_of_two_below).collect();
        let scaled = scale(&half, None, Some(&cols));
        let (factor, method): (Box<dyn Factor>, _) = match &scaled {
            Matrix::Dense(m) => (Box::new(Lu::new(m).ok()?), "LU with partial pivoting"),
            Matrix::Sparse(m) => (Box::new(SparseLu::new(m).ok()?), "sparse LU"),
        };
        let out = Scaled {
            a: scaled,
            rows,
            cols,
            factor,
            method,
        };
        out.regular().then_some(out)
    }

    /// Whether the inverse of the scaled matrix is small enough for working precision to tell it from a singular one.
    fn regular(&self) -> bool {
        let inverse = inverse_norm_1(&*self.factor);
        inverse.is_finite() && inverse * self.a.norm_1() * f64::EPSILON < 1.0
    }

    /// The scaled solution for the right side `unit b`, `unit` a power of two.
    fn refined(&self, b: &[f64], unit: f64) -> Refined {
        let right: Vec<f64> = b.iter().zip(&self.rows).map(|(v, r)| v * unit * r).collect();
        let b = Doubled::from_slice(&right);
        let solved = |mut r: Vec<f64>| {
            self.factor.solve(&mut r);
            r
        };
        refine(
            right.len(),
            &|y| solved(sum(&residual(&self.a, y, &b))),
            &|y, probe| solved(rounding(&residual_terms(&self.a, &y.hi, &right), probe)),
            &|y| doubled_scaled(y, &self.cols),
            &|d| norm2(&scaled_by(d, &self.cols)),
        )
    }

    fn unscale(&self, y: &Doubled, unit: f64) -> Vec<f64> {
        y.hi.iter().zip(&self.cols).map(|(v, c)| v * c / unit).collect()
    }

    /// Condition of the unscaled matrix `a`.
    fn condition(&self, a: &Matrix) -> Result<Estimate, NumericalFault> {
        if a.cols() <= EXACT_CONDITION {
            return exact_condition(&a.to_dense());
        }
        let inverse = largest_eigenvalue(a.cols(), POWER_STEPS, &|v| {
            // A^-1 = C (R A C)^-1 R, and its transpose after it.
            let mut w = scaled_by(v, &self.rows);
            self.factor.solve(&mut w);
            w.iter_mut().zip(&self.cols).for_each(|(w, c)| *w *= c * c);
            self.factor.solve_transposed(&mut w);
            scaled_by(&w, &self.rows)
        });
        Ok(condition_bound(a, inverse))
    }
}

fn exact_condition(a: &Dense) -> Result<Estimate, NumericalFault> {
    let s = singular_values(a)?;
    let (largest, smallest) = (s.first().copied().unwrap_or(1.0), s.last().copied().unwrap_or(1.0));
    // A computed singular value is off by a few units of the largest: below that only a bound is known.
    let floor = f64::EPSILON * largest;
    Ok(if smallest > 16.0 * floor {
        Estimate::new(largest / smallest, EstimateKind::Exact)
    } else {
        Estimate::new(largest / smallest.max(floor), EstimateKind::Estimate)
    })
}

/// From the largest eigenvalue of (A'A)^-1, itself bounded from below.
fn condition_bound(a: &Matrix, inverse: f64) -> Estimate {
    let top = largest_eigenvalue(a.cols(), POWER_STEPS, &|v| {
        let mut w = vec![0.0; a.rows()];
        a.mul_vec(v, &mut w);
        let mut out = vec![0.0; a.cols()];
        a.mul_vec_transposed(&w, &mut out);
        out
    });
    Estimate::new((top * inverse).sqrt().max(1.0), EstimateKind::LowerBound)
}

/// A lower bound, rarely below a third, on the 1-norm of the inverse.
///
/// W. Hager, SIAM J. Sci. Stat. Comput. 5, 1984, with the alternating probe of N. Higham, ACM TOMS 14, 1988.
pub fn inverse_norm_1(f: &dyn Factor) -> f64 {
    let n = f.order();
    if n == 0 {
        return 0.0;
    }
    let norm_1 = |v: &[f64]| crate::reduce::norm1(v);
    let mut x = vec![1.0 / n as f64; n];
    let mut best = 0.0f64;
    for step in 0..5 {
        f.solve(&mut x);
        let now = norm_1(&x);
        if !now.is_finite() {
            return f64::INFINITY;
        }
        if step > 0 && now <= best {
            break;
        }
        best = now;
        let mut z: Vec<f64> = x.iter().map(|v| if *v < 0.0 { -1.0 } else { 1.0 }).collect();
        f.solve_transposed(&mut z);
        let at = (0..n).fold(0, |at, i| if z[i].abs() > z[at].abs() { i } else { at });
        x = vec![0.0; n];
        x[at] = 1.0;
    }
    let mut probe: Vec<f64> = (0..n)
        .map(|i| (if i % 2 == 0 { 1.0 } else { -1.0 }) * (1.0 + i as f64 / (n - 1).max(1) as f64))
        .collect();
    f.solve(&mut probe);
    let alternating = 2.0 * norm_1(&probe) / (3.0 * n as f64);
    if alternating.is_nan() {
        f64::INFINITY
    } else {
        best.max(alternating)
    }
}

/// The answer to A x = b where A is singular to working precision.
fn singular(a: &Matrix, b: &[f64]) -> Result<Solved, NumericalFault> {
    let mut out = least_squares(a, b)?;
    let n = a.cols();
    if out.rank < n {
        out.note = Some(format!(
            "the matrix is singular to working precision (rank {} of {n}): this is the least-squares solution of least norm",
            out.rank
        ));
    }
    Ok(out)
}

/// B D with D powers of two and R of its orthogonal factorization, for B of at least as many rows as columns.
struct TallFactor {
    a: Matrix,
    scales: Vec<f64>,
    r: RFactor,
    rank: usize,
}

impl TallFactor {
    fn new(b: &Matrix) -> Result<Self, NumericalFault> {
        let (m, n) = (b.rows(), b.cols());
        let scales: Vec<f64> = column_sizes(b).into_iter().map(power_of_two_below).collect();
        let a = scale(b, None, Some(&scales));
        let r = RFactor::new(&a)?;
        let tolerance = rank_tolerance(m.max(n));
        let mut rank = r.rank(tolerance);
        if rank == n && matches!(a, Matrix::Sparse(_)) {
            // Without column pivoting a small singular value need not show on the diagonal.
            let inverse = largest_eigenvalue(n, 8, &|v| {
                let mut w = v.to_vec();
                r.gram_solve(&mut w);
                w
            });
            if inverse.sqrt() * tolerance >= 1.0 {
                rank = n - 1;
            }
        }
        Ok(TallFactor { a, scales, r, rank })
    }

    fn full(&self) -> bool {
        self.rank == self.a.cols()
    }

    fn gram_solve(&self, mut g: Vec<f64>) -> Vec<f64> {
        self.r.gram_solve(&mut g);
        g
    }

    /// Condition of the unscaled matrix `b`.
    fn condition(&self, b: &Matrix) -> Result<Estimate, NumericalFault> {
        let n = b.cols();
        if n <= EXACT_CONDITION {
            let mut r = self.r.unpermuted();
            let back: Vec<f64> = self.scales.iter().map(|s| 1.0 / s).collect();
            r.scale_cols(&back);
            return exact_condition(&r);
        }
        let inverse = largest_eigenvalue(n, POWER_STEPS, &|v| {
            scaled_by(&self.gram_solve(scaled_by(v, &self.scales)), &self.scales)
        });
        Ok(condition_bound(b, inverse))
    }

    /// |A d|, A the scaled matrix.
    fn image_norm(&self, d: &[f64]) -> f64 {
        let mut out = vec![0.0; self.a.rows()];
        self.a.mul_vec(d, &mut out);
        norm2(&out)
    }

    fn method(&self) -> &'static str {
        match self.a {
            Matrix::Dense(_) => "column-pivoted QR",
            Matrix::Sparse(_) => "sparse QR",
        }
    }

    /// The y that minimizes |A y - b|, A the scaled matrix.
    fn least_squares(&self, b: &[f64]) -> Refined {
        let b_doubled = Doubled::from_slice(b);
        refine(
            self.a.cols(),
            &|y| {
                let r = residual(&self.a, y, &b_doubled);
                self.gram_solve(sum(&transposed_product(&self.a, &r)))
            },
            &|y, probe| {
                let r = residual(&self.a, y, &b_doubled);
                let mut g = rounding(&transposed_terms(&self.a, &r.hi), probe);
                let mut more = vec![0.0; g.len()];
                let wrong = rounding(&residual_terms(&self.a, &y.hi, b), probe);
                self.a.mul_vec_transposed(&wrong, &mut more);
                g.iter_mut().zip(&more).for_each(|(g, m)| *g += m);
                self.gram_solve(g)
            },
            &|y| doubled_scaled(y, &self.scales),
            &|d| self.image_norm(d),
        )
    }

    /// The x of least norm with A'x = b, A the scaled matrix; `Refined::x` is that x.
    fn least_norm(&self, b: &[f64]) -> Refined {
        let b_doubled = Doubled::from_slice(b);
        let none = Doubled::zeros(self.a.rows());
        let image = |z: &Doubled| {
            let mut x = residual(&self.a, z, &none);
            x.hi.iter_mut().chain(&mut x.lo).for_each(|v| *v = -*v);
            x
        };
        let found = refine(
            self.a.cols(),
            &|z| {
                let g = transposed_product(&self.a, &image(z));
                let r = (0..b.len()).map(|i| {
                    let (s, e) = crate::doubled::two_sum(b_doubled.hi[i], -g.hi[i]);
                    s + (e - g.lo[i])
                });
                self.gram_solve(r.collect())
            },
            &|z, probe| {
                let x = image(z);
                let terms = transposed_terms(&self.a, &x.hi);
                let terms: Vec<f64> = terms.iter().zip(b).map(|(t, b)| t + b.abs()).collect();
                let mut r = rounding(&terms, probe);
                let wrong = rounding(&residual_terms(&self.a, &z.hi, &none.hi), probe);
                let mut more = vec![0.0; r.len()];
                self.a.mul_vec_transposed(&wrong, &mut more);
                r.iter_mut().zip(&more).for_each(|(r, m)| *r += m);
                self.gram_solve(r)
            },
            &image,
            &|d| self.image_norm(d),
        );
        Refined {
            x: image(&found.x),
            error: found.error,
        }
    }
}

fn tall(a: &Matrix, b: &[f64]) -> Result<Solved, NumericalFault> {
    let factor = TallFactor::new(a)?;
    if !factor.full() {
        return deficient(a, b);
    }
    let unit = power_of_two_below(norm_inf(b));
    let refined = factor.least_squares(&b.iter().map(|v| v * unit).collect::<Vec<f64>>());
    let x: Vec<f64> = scaled_by(&refined.x.hi, &factor.scales)
        .iter()
        .map(|v| v / unit)
        .collect();
    let note = (!refined.error.is_finite()).then(|| {
        "the columns are dependent to nearly working precision: no digit of the solution is certain".to_string()
    });
    finish(a, b, x, &refined, a.cols(), factor.condition(a)?, factor.method(), note)
}

fn wide(a: &Matrix, b: &[f64]) -> Result<Solved, NumericalFault> {
    let transposed = a.transpose();
    let factor = TallFactor::new(&transposed)?;
    if !factor.full() {
        return deficient(a, b);
    }
    let unit = power_of_two_below(norm_inf(b));
    let right: Vec<f64> = b.iter().zip(&factor.scales).map(|(v, s)| v * s * unit).collect();
    let refined = factor.least_norm(&right);
    let x: Vec<f64> = refined.x.hi.iter().map(|v| v / unit).collect();
    let note = Some("fewer equations than unknowns: the solution of least norm".to_string());
    finish(
        a,
        b,
        x,
        &refined,
        a.rows(),
        factor.condition(&transposed)?,
        factor.method(),
        note,
    )
}

/// The condition number by a factorization: exact for few columns, else a bound from below; nothing where the rank is below
/// the number of columns (or rows) to working precision.
pub fn condition(a: &Matrix) -> Result<Option<Estimate>, NumericalFault> {
    a.check_finite()?;
    let tall = if a.rows() >= a.cols() { a.clone() } else { a.transpose() };
    let factor = TallFactor::new(&tall)?;
    match factor.full() {
        true => factor.condition(&tall).map(Some),
        false => Ok(None),
    }
}

/// Rank below the number of columns (or rows): a complete orthogonal factorization in two least-squares steps.
///
/// With P' (A D)' rows r first independent, A D = A_1 [I N] P' up to what was judged zero; y solves the full-rank problem
/// in A_1, then x is the vector of least norm with [I N] P' D^-1 x = y.
fn deficient(a: &Matrix, b: &[f64]) -> Result<Solved, NumericalFault> {
    let (m, n) = (a.rows(), a.cols());
    if m.saturating_mul(n) > DENSE_FALLBACK {
        return regularized(a, b);
    }
    if let Matrix::Sparse(a) = a {
        // Column pivoting judges the rank better than the pivots of an ordering made for sparsity.
        return least_squares(&Matrix::Dense(a.to_dense()), b);
    }
    let scales: Vec<f64> = column_sizes(a).into_iter().map(power_of_two_below).collect();
    let scaled = scale(a, None, Some(&scales));
    let r = RFactor::new(&scaled)?;
    let rank = r.rank(rank_tolerance(m.max(n)));
    if rank == 0 {
        return Ok(empty(n, norm2(b)));
    }
    let independent = Matrix::Dense(Dense::from_fn(m, rank, |i, k| scaled.get(i, r.perm[k])));
    let factor = TallFactor::new(&independent)?;
    let unit = power_of_two_below(norm_inf(b));
    let y = factor.least_squares(&b.iter().map(|v| v * unit).collect::<Vec<f64>>());
    let y = scaled_by(&y.x.hi, &factor.scales);

    // [I N] P' D^-1, transposed: n x rank.
    let mut w = Dense::zeros(n, rank);
    for k in 0..rank {
        w.set(r.perm[k], k, 1.0 / scales[r.perm[k]]);
    }
    for l in rank..n {
        let mut c: Vec<f64> = (0..rank).map(|k| r.at(k, l)).collect();
        for k in (0..rank).rev() {
            let s: f64 = (k + 1..rank).map(|q| r.at(k, q) * c[q]).sum();
            c[k] = (c[k] - s) / r.at(k, k);
        }
        c.iter()
            .enumerate()
            .for_each(|(k, v)| w.set(r.perm[l], k, v / scales[r.perm[l]]));
    }
    let factor = TallFactor::new(&Matrix::Dense(w))?;
    let found = factor.least_norm(&scaled_by(&y, &factor.scales));
    let refined = Refined {
        // The solution moves with the entries that were judged zero: no bound holds for the stored matrix.
        error: f64::INFINITY,
        ..found
    };
    let x: Vec<f64> = refined.x.hi.iter().map(|v| v / unit).collect();
    let condition = Estimate::new(f64::INFINITY, EstimateKind::Estimate);
    let note = format!("rank {rank} of {}: the least-squares solution of least norm", m.min(n));
    finish(
        a,
        b,
        x,
        &refined,
        rank,
        condition,
        "complete orthogonal factorization",
        Some(note),
    )
}

/// Large, sparse and without full rank: minimizes |A x - b|^2 + (1e-8 |x|)^2 in scaled columns, and says so.
fn regularized(a: &Matrix, b: &[f64]) -> Result<Solved, NumericalFault> {
    const DAMPING: f64 = 1e-8;
    let n = a.cols();
    let scales: Vec<f64> = column_sizes(a).into_iter().map(power_of_two_below).collect();
    let mut damping = crate::sparse::Csr::identity(n);
    damping.values.fill(DAMPING);
    let stacked = scale(a, None, Some(&scales)).to_sparse().stack(&damping);
    let factor = TallFactor::new(&Matrix::Sparse(stacked))?;
    let unit = power_of_two_below(norm_inf(b));
    let mut right: Vec<f64> = b.iter().map(|v| v * unit).collect();
    right.resize(a.rows() + n, 0.0);
    let found = factor.least_squares(&right);
    let y = scaled_by(&found.x.hi, &factor.scales);
    let x: Vec<f64> = scaled_by(&y, &scales).iter().map(|v| v / unit).collect();
    let refined = Refined {
        x: found.x,
        error: f64::INFINITY,
    };
    let rank = factor.r.rank(10.0 * DAMPING);
    let condition = Estimate::new(f64::INFINITY, EstimateKind::Estimate);
    let note = format!("the columns are dependent (rank about {rank} of {n}): a slightly damped solution");
    finish(a, b, x, &refined, rank, condition, "damped sparse QR", Some(note))
}
