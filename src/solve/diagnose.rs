//! Conditioning of a matrix in its owner's names: what is badly scaled, what nearly depends on what, what would help, and
//! what that is worth in steps.
//!
//! Invariant: a number that is only a bound is called a bound; nothing is random.
//!
//! Sources: A. van der Sluis, Numerische Mathematik 14, 1969 (diagonal scaling is within a factor √n of the best one);
//! N. Higham, Accuracy and Stability of Numerical Algorithms, 2002; Y. Saad, Iterative Methods for Sparse Linear Systems,
//! 2003 (steps of gradient descent and conjugate gradients from the condition number).

use ravine_linalg::factor::Cholesky;
use ravine_linalg::krylov::{
    CgStep, ConjugateGradient, IncompleteCholesky, Preconditioner, jacobi, lanczos, singular_bounds,
};
use ravine_linalg::reduce::norm2;
use ravine_linalg::scaling::equilibrate;
use ravine_linalg::solve::EstimateKind;
use ravine_linalg::spectrum::{singular_values, svd, symmetric_eigen, symmetric_eigenvalues};
use ravine_linalg::{Csr, Dense, Matrix, NumericalFault};

/// Order up to which spectra are computed as a whole.
const WHOLE: usize = 800;
/// Products up to which all pairs of columns are compared.
const PAIRS: f64 = 2e9;
/// Columns whose angle is below this are near-parallel (radians).
const ANGLE: f64 = 1e-2;
/// Pairs, columns and terms shown at most.
const SHOWN: usize = 5;
/// Name of the remedy that only iterations take.
pub const INCOMPLETE: &str = "incomplete Cholesky (ic0)";
/// The error is to fall by this factor in the predictions of steps.
const REDUCTION: f64 = 1e-8;
/// Steps after which a measurement gives up.
const MEASURED_STEPS: usize = 20_000;

/// Multiplications beyond which a dense matrix is not factored.
const FACTORED: f64 = 2e10;

/// Steps behind a bound on the spectrum of a large matrix.
const BOUND_STEPS: usize = 200;

/// What the matrix stands for, which decides what scaling may do to it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Meaning {
    /// `A x ≈ b` in the least-squares sense: columns may be scaled, rows are weights.
    LeastSquares,
    /// A symmetric matrix, such as a Hessian: rows and columns are scaled alike.
    Symmetric,
    /// Rows of constraints or of a linear system: rows and columns may be scaled.
    Rows,
}

/// A matrix and what its rows and columns are called.
pub struct Subject<'a> {
    /// The matrix.
    pub matrix: &'a Matrix,
    /// What it stands for.
    pub meaning: Meaning,
    /// Names of its columns.
    pub columns: &'a dyn Fn(usize) -> String,
    /// Names of its rows.
    pub rows: &'a dyn Fn(usize) -> String,
    /// Columns of each variable, for the scaling by whole variables; empty where there is none.
    pub blocks: &'a [(String, usize, usize)],
    /// Run conjugate gradients and count the steps, beside predicting them.
    pub measure: bool,
}

/// A number that may be a bound.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Number {
    /// The number.
    pub value: f64,
    /// Is it the number itself (`true`) or only at most that (`false`: the true one is at least this)?
    pub exact: bool,
}

/// Sizes of rows or columns.
#[derive(Clone, Debug, PartialEq)]
pub struct Scales {
    /// The largest ones, largest first.
    pub largest: Vec<(String, f64)>,
    /// The smallest ones that are not zero, smallest first.
    pub smallest: Vec<(String, f64)>,
    /// Those that are zero throughout.
    pub zero: Vec<String>,
    /// Largest over smallest.
    pub ratio: f64,
}

/// Two rows or columns that point almost the same way.
#[derive(Clone, Debug, PartialEq)]
pub struct Parallel {
    /// The first.
    pub a: String,
    /// The second.
    pub b: String,
    /// The second is about this times the first.
    pub factor: f64,
    /// Angle between them in radians; 0 up to rounding where they are multiples.
    pub angle: f64,
}

/// What a scaling or preconditioner makes of the condition number.
#[derive(Clone, Debug, PartialEq)]
pub struct Remedy {
    /// Its name.
    pub name: &'static str,
    /// The condition number that a solver then meets.
    pub condition: Number,
    /// Predicted steps of gradient descent for an error 1e8 times smaller.
    pub descent: f64,
    /// Predicted steps of conjugate gradients.
    pub gradients: f64,
    /// Steps that conjugate gradients took when they were run; `None` where they were not, infinite where they gave up.
    pub measured: Option<f64>,
}

/// What was found.
#[derive(Clone, Debug, PartialEq)]
pub struct Diagnosis {
    /// Rows and columns.
    pub shape: (usize, usize),
    /// Entries that are not zero.
    pub entries: usize,
    /// Condition number as it stands.
    pub condition: Number,
    /// Numerical rank after columns were brought to the same size, and the full one.
    pub rank: Option<(usize, usize)>,
    /// Largest and smallest singular value (eigenvalues where symmetric), where the whole spectrum was computed.
    pub extremes: Option<(f64, f64)>,
    /// Where it was not: the largest is at least, the smallest at most this, in size.
    pub within: Option<(f64, f64)>,
    /// Negative eigenvalues of a symmetric matrix.
    pub negative: usize,
    /// How many singular values (absolute eigenvalues) lie in each decade below the largest.
    pub decades: Vec<usize>,
    /// Sizes of columns.
    pub columns: Scales,
    /// Sizes of rows; none where symmetric.
    pub rows: Option<Scales>,
    /// Near-parallel columns, and how many pairs there are.
    pub near_columns: (Vec<Parallel>, usize),
    /// Near-parallel rows likewise.
    pub near_rows: (Vec<Parallel>, usize),
    /// The combination of scaled columns that comes closest to zero, and its length, where it is short.
    pub weak: Option<(Vec<(String, f64)>, f64)>,
    /// What would help, the matrix as it stands first.
    pub remedies: Vec<Remedy>,
}

/// Looks at a matrix.
pub fn diagnose(s: &Subject<'_>) -> Result<Diagnosis, NumericalFault> {
    let a = s.matrix;
    a.check_finite()?;
    let (m, n) = (a.rows(), a.cols());
    let columns = lengths(&a.transpose());
    let rows = lengths(a);
    let symmetric = s.meaning == Meaning::Symmetric;
    let whole = m.min(n) <= WHOLE && m.saturating_mul(n) <= 40 * WHOLE * WHOLE;
    let scaled = scaled_columns(a, &columns);
    let mut out = Diagnosis {
        shape: (m, n),
        entries: entries(a),
        condition: Number {
            value: 1.0,
            exact: true,
        },
        rank: None,
        extremes: None,
        within: None,
        negative: 0,
        decades: vec![],
        columns: scales(&columns, s.columns),
        rows: (!symmetric).then(|| scales(&rows, s.rows)),
        near_columns: parallel(a, &columns, s.columns),
        near_rows: (vec![], 0),
        weak: None,
        remedies: vec![],
    };
    if m == 0 || n == 0 {
        return Ok(out);
    }
    if s.meaning == Meaning::Rows {
        out.near_rows = parallel(&a.transpose(), &rows, s.rows);
    }
    if whole {
        let sizes = if symmetric {
            let e = symmetric_eigenvalues(&a.to_dense())?;
            let floor = f64::EPSILON * n as f64 * e.iter().fold(0.0f64, |m, v| m.max(v.abs()));
            out.negative = e.iter().filter(|v| **v < -floor).count();
            let mut sizes: Vec<f64> = e.iter().map(|v| v.abs()).collect();
            sizes.sort_by(|a, b| b.total_cmp(a));
            sizes
        } else {
            singular_values(&a.to_dense())?
        };
        let (top, low) = (
            sizes.first().copied().unwrap_or(0.0),
            sizes.last().copied().unwrap_or(0.0),
        );
        out.extremes = Some((top, low));
        out.decades = decades(&sizes);
        weak(s, &scaled, &mut out)?;
    }
    match bounds(a, whole, symmetric) {
        Some((top, low)) => {
            out.within = Some((top, low));
            out.condition = at_least(top, low);
        }
        None => out.condition = condition(a, whole, symmetric)?,
    }
    out.remedies = remedies(s, out.condition, &columns, whole)?;
    Ok(out)
}

fn entries(a: &Matrix) -> usize {
    match a {
        Matrix::Dense(d) => d.data.iter().filter(|v| **v != 0.0).count(),
        Matrix::Sparse(c) => c.values.iter().filter(|v| **v != 0.0).count(),
    }
}

/// Lengths of the rows.
fn lengths(a: &Matrix) -> Vec<f64> {
    match a {
        Matrix::Dense(d) => (0..d.rows).map(|i| norm2(d.row(i))).collect(),
        Matrix::Sparse(c) => (0..c.rows).map(|i| norm2(c.row(i).1)).collect(),
    }
}

fn scaled_columns(a: &Matrix, sizes: &[f64]) -> Matrix {
    let by: Vec<f64> = sizes.iter().map(|s| if *s > 0.0 { 1.0 / s } else { 1.0 }).collect();
    let mut out = a.clone();
    match &mut out {
        Matrix::Dense(d) => d.scale_cols(&by),
        Matrix::Sparse(c) => c.scale_cols(&by),
    }
    out
}

fn scales(sizes: &[f64], name: &dyn Fn(usize) -> String) -> Scales {
    let mut order: Vec<usize> = (0..sizes.len()).filter(|k| sizes[*k] > 0.0).collect();
    order.sort_by(|a, b| sizes[*b].total_cmp(&sizes[*a]).then(a.cmp(b)));
    let named = |k: &usize| (name(*k), sizes[*k]);
    let ratio = match (order.first(), order.last()) {
        (Some(a), Some(b)) => sizes[*a] / sizes[*b],
        _ => 1.0,
    };
    Scales {
        largest: order.iter().take(SHOWN).map(named).collect(),
        smallest: order.iter().rev().take(SHOWN).map(named).collect(),
        zero: (0..sizes.len()).filter(|k| sizes[*k] == 0.0).map(name).collect(),
        ratio,
    }
}

/// Pairs of columns of `a` that point almost the same way, closest first, and how many there are.
fn parallel(a: &Matrix, sizes: &[f64], name: &dyn Fn(usize) -> String) -> (Vec<Parallel>, usize) {
    let t = a.transpose().to_sparse();
    let n = t.rows;
    let compare = |i: usize, j: usize| -> Option<Parallel> {
        let (ai, vi) = t.row(i);
        let (aj, vj) = t.row(j);
        if sizes[i] == 0.0 || sizes[j] == 0.0 {
            return None;
        }
        let (mut p, mut q, mut dot) = (0, 0, 0.0);
        while p < ai.len() && q < aj.len() {
            match ai[p].cmp(&aj[q]) {
                std::cmp::Ordering::Less => p += 1,
                std::cmp::Ordering::Greater => q += 1,
                std::cmp::Ordering::Equal => {
                    dot += vi[p] * vj[q];
                    p += 1;
                    q += 1;
                }
            }
        }
        let sign = if dot < 0.0 { -1.0 } else { 1.0 };
        if dot.abs() < (1.0 - ANGLE * ANGLE) * sizes[i] * sizes[j] {
            return None;
        }
        // The angle from the difference of unit vectors: the cosine has no digits left near 1.
        let (mut p, mut q, mut far) = (0, 0, 0.0f64);
        let (u, w) = (1.0 / sizes[i], sign / sizes[j]);
        while p < ai.len() || q < aj.len() {
            let (ci, cj) = (
                ai.get(p).copied().unwrap_or(usize::MAX),
                aj.get(q).copied().unwrap_or(usize::MAX),
            );
            let d = match ci.cmp(&cj) {
                std::cmp::Ordering::Less => u * vi[p],
                std::cmp::Ordering::Greater => -w * vj[q],
                std::cmp::Ordering::Equal => u * vi[p] - w * vj[q],
            };
            far += d * d;
            p += usize::from(ci <= cj);
            q += usize::from(cj <= ci);
        }
        let angle = far.sqrt();
        (angle < ANGLE).then(|| Parallel {
            a: name(i),
            b: name(j),
            factor: sign * sizes[j] / sizes[i],
            angle,
        })
    };
    let mut found: Vec<(f64, usize, usize, Parallel)> = vec![];
    let mut look = |i: usize, j: usize| {
        if let Some(p) = compare(i.min(j), i.max(j)) {
            found.push((p.angle, i.min(j), i.max(j), p));
        }
    };
    let work = t.nnz() as f64 * n as f64;
    if work <= PAIRS {
        for i in 0..n {
            for j in i + 1..n {
                look(i, j);
            }
        }
    } else {
        // Near-parallel unit vectors have near-equal sizes of any projection: only neighbours in that order are compared.
        let shadow = |i: usize| {
            let (at, v) = t.row(i);
            let p: f64 = at.iter().zip(v).map(|(k, v)| v * direction(*k)).sum();
            if sizes[i] > 0.0 { (p / sizes[i]).abs() } else { -1.0 }
        };
        let mut order: Vec<(f64, usize)> = (0..n).map(|i| (shadow(i), i)).collect();
        order.sort_by(|a, b| a.0.total_cmp(&b.0).then(a.1.cmp(&b.1)));
        for k in 0..n {
            for l in k + 1..n.min(k + 50) {
                // A direction of length about 1 in every coordinate stretches the angle by at most √rows.
                if order[l].0 - order[k].0 > ANGLE * (t.cols as f64).sqrt() {
                    break;
                }
                look(order[k].1, order[l].1);
            }
        }
    }
    found.sort_by(|a, b| a.0.total_cmp(&b.0).then((a.1, a.2).cmp(&(b.1, b.2))));
    let count = found.len();
    (found.into_iter().take(SHOWN).map(|f| f.3).collect(), count)
}

/// A fixed coordinate in [-1, 1] without pattern.
fn direction(k: usize) -> f64 {
    let mut z = (k as u64).wrapping_add(0x9e37_79b9_7f4a_7c15);
    z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    ((z ^ (z >> 31)) >> 11) as f64 / (1u64 << 52) as f64 - 1.0
}

/// Counts by decade below the largest, down to the last one that is not empty.
fn decades(sizes: &[f64]) -> Vec<usize> {
    const LAST: usize = 17;
    let top = sizes.first().copied().unwrap_or(0.0);
    let mut out = vec![0; LAST + 1];
    for s in sizes {
        let d = if *s > 0.0 {
            ravine_linalg::math::log2(top / s) * std::f64::consts::LOG10_2
        } else {
            LAST as f64
        };
        out[(d.max(0.0) as usize).min(LAST)] += 1;
    }
    while out.len() > 1 && out.last() == Some(&0) {
        out.pop();
    }
    out
}

/// Rank and the weakest combination of columns brought to the same size.
fn weak(s: &Subject<'_>, scaled: &Matrix, out: &mut Diagnosis) -> Result<(), NumericalFault> {
    let d = scaled.to_dense();
    // Columns that are 0 are named as such, and hide no combination of the others.
    let some = |j: &usize| (0..d.rows).any(|i| d.at(i, *j) != 0.0);
    let kept: Vec<usize> = (0..d.cols).filter(some).collect();
    let (sizes, last) = if s.meaning == Meaning::Symmetric {
        let both = symmetric_scaled(&s.matrix.to_dense());
        let (e, v) = symmetric_eigen(&both)?;
        let mut order: Vec<usize> = (0..e.len()).collect();
        order.sort_by(|a, b| e[*b].abs().total_cmp(&e[*a].abs()));
        let at = order.last().copied().unwrap_or(0);
        let last: Vec<f64> = (0..v.rows).map(|i| v.at(i, at)).collect();
        (order.iter().map(|k| e[*k].abs()).collect::<Vec<f64>>(), last)
    } else {
        let mut own = Dense::zeros(d.rows, kept.len());
        for i in 0..d.rows {
            for (k, j) in kept.iter().enumerate() {
                own.set(i, k, d.at(i, *j));
            }
        }
        let f = svd(&own)?;
        let at = f.s.len().saturating_sub(1);
        let mut last = vec![0.0; d.cols];
        for (k, j) in kept.iter().enumerate() {
            last[*j] = f.v.at(k, at);
        }
        (f.s, last)
    };
    let top = sizes.first().copied().unwrap_or(0.0);
    let tolerance = f64::EPSILON * top * d.rows.max(d.cols) as f64;
    let full = d.rows.min(d.cols);
    out.rank = Some((sizes.iter().filter(|s| **s > tolerance).count(), full));
    let low = sizes.last().copied().unwrap_or(0.0);
    // A wide matrix has combinations that vanish whatever it is.
    if d.rows >= kept.len() && low < 1e-3 * top {
        let largest = last.iter().fold(0.0f64, |m, v| m.max(v.abs()));
        let mut order: Vec<usize> = (0..last.len()).filter(|k| last[*k].abs() > 0.05 * largest).collect();
        order.sort_by(|a, b| last[*b].abs().total_cmp(&last[*a].abs()).then(a.cmp(b)));
        let sign = order.first().map_or(1.0, |k| last[*k].signum());
        let terms = order
            .iter()
            .take(SHOWN)
            .map(|k| ((s.columns)(*k), sign * last[*k]))
            .collect();
        out.weak = Some((terms, low / top));
    }
    Ok(())
}

/// `D^-1/2 A D^-1/2` with the sizes of the diagonal; zero and tiny diagonals keep their rows.
fn symmetric_scaled(a: &Dense) -> Dense {
    let by: Vec<f64> = (0..a.rows)
        .map(|i| a.at(i, i).abs())
        .map(|v| if v > 0.0 { 1.0 / v.sqrt() } else { 1.0 })
        .collect();
    let mut out = a.clone();
    out.scale_rows(&by);
    out.scale_cols(&by);
    out
}

/// The condition number, or a bound where the whole spectrum costs too much.
fn condition(a: &Matrix, whole: bool, symmetric: bool) -> Result<Number, NumericalFault> {
    if whole {
        let s = if symmetric {
            let mut e: Vec<f64> = symmetric_eigenvalues(&a.to_dense())?.iter().map(|v| v.abs()).collect();
            e.sort_by(|a, b| b.total_cmp(a));
            e
        } else {
            singular_values(&a.to_dense())?
        };
        let (top, low) = (s.first().copied().unwrap_or(1.0), s.last().copied().unwrap_or(1.0));
        // A computed singular value is off by a few units of the largest: below that only a bound is known.
        let floor = 16.0 * f64::EPSILON * top;
        return Ok(Number {
            value: if top == 0.0 {
                f64::INFINITY
            } else {
                top / low.max(floor / 16.0)
            },
            exact: low > floor,
        });
    }
    Ok(match ravine_linalg::solve::condition(a)? {
        Some(c) => Number {
            value: c.value,
            exact: c.kind == EstimateKind::Exact,
        },
        // Singular to working precision: how far beyond that only a spectrum would say.
        None => Number {
            value: 1.0 / f64::EPSILON,
            exact: false,
        },
    })
}

/// Bounds on the spectrum of a matrix that is too large for all of it and for a factorization; nothing of another one.
fn bounds(a: &Matrix, whole: bool, symmetric: bool) -> Option<(f64, f64)> {
    match a {
        _ if whole => None,
        Matrix::Sparse(c) => (symmetric || super::choose::fills(c)).then(|| spectrum_bounds(c, symmetric)),
        Matrix::Dense(d) => {
            let (m, n) = (d.rows as f64, d.cols as f64);
            let map: &Dense = d;
            (m * n * m.min(n) > FACTORED).then(|| match d.rows >= d.cols {
                true => singular_bounds(&mut &*map, BOUND_STEPS),
                false => singular_bounds(&mut &map.transpose(), BOUND_STEPS),
            })
        }
    }
}

/// A value below the largest singular value (eigenvalue, in size) and one above the smallest, without a factorization that
/// fills in: from Krylov spaces, and from a solve with an incomplete factor where there is one.
fn spectrum_bounds(a: &Csr, symmetric: bool) -> (f64, f64) {
    if symmetric && a.diagonal().iter().all(|d| *d > 0.0) {
        let t = lanczos(a.rows, BOUND_STEPS, &mut |v, out| a.mul_vec(v, out));
        let (mut low, top) = t.extremes().unwrap_or((0.0, 0.0));
        if low > 0.0 {
            if let Some(cg) = solved_roughly(a) {
                low = low.min(cg.rayleigh);
                let mut ax = vec![0.0; a.rows];
                a.mul_vec(&cg.x, &mut ax);
                let at = ravine_linalg::reduce::dot(&cg.x, &ax) / ravine_linalg::reduce::sumsq(&cg.x);
                if at > 0.0 {
                    low = low.min(at);
                }
            }
            return (top, low);
        }
    }
    if a.rows >= a.cols {
        singular_bounds(&mut &*a, BOUND_STEPS)
    } else {
        singular_bounds(&mut &a.transpose(), BOUND_STEPS)
    }
}

/// Some steps of conjugate gradients behind an incomplete factor, which see small eigenvalues early.
fn solved_roughly(a: &Csr) -> Option<ConjugateGradient> {
    let pre = Preconditioner::Incomplete(IncompleteCholesky::new(a).ok()?);
    let b: Vec<f64> = (0..a.rows).map(direction).collect();
    let mut apply = |v: &[f64], out: &mut [f64]| a.mul_vec(v, out);
    let mut behind = |r: &[f64], z: &mut [f64]| pre.apply(r, z);
    let mut cg = ConjugateGradient::start(&b, &vec![0.0; a.rows], &mut apply, &mut behind).ok()?;
    while cg.steps < BOUND_STEPS && cg.residual_norm > REDUCTION * norm2(&b) {
        if cg.step(&b, &mut apply, &mut behind) != Ok(CgStep::Proceed) {
            break;
        }
    }
    (cg.steps > 0).then_some(cg)
}

/// A condition number of which only this is known.
fn at_least(top: f64, low: f64) -> Number {
    let value = if low > 0.0 { (top / low).max(1.0) } else { f64::INFINITY };
    Number { value, exact: false }
}

/// What an incomplete factor makes of the condition of a symmetric positive definite matrix: the eigenvalues of
/// `L^-1 A L^-T`, or bounds on them.
fn incomplete(a: &Csr, whole: bool) -> Option<(Number, Preconditioner)> {
    /// Below this a factorization is as cheap as an approximation of one.
    const LEAST: usize = 50;
    if a.rows < LEAST {
        return None;
    }
    if !whole {
        let cg = solved_roughly(a)?;
        let (low, top) = cg.tridiagonal().extremes()?;
        let pre = Preconditioner::Incomplete(IncompleteCholesky::new(a).ok()?);
        return Some((at_least(top, low), pre));
    }
    let factor = IncompleteCholesky::new(a).ok()?;
    let l = factor.factor();
    let n = a.rows;
    let mut both = a.to_dense();
    // L^-1 from the left, transpose, and again.
    for _ in 0..2 {
        for j in 0..n {
            for i in 0..n {
                let (at, v) = l.row(i);
                let last = at.len() - 1;
                let known: f64 = (0..last).map(|k| v[k] * both.at(at[k], j)).sum();
                both.set(i, j, (both.at(i, j) - known) / v[last]);
            }
        }
        both = both.transpose();
    }
    let e = symmetric_eigenvalues(&both).ok()?;
    let (low, top) = (*e.first()?, *e.last()?);
    // An indefinite matrix has no such preconditioner, whatever shift made the pivots positive.
    let number = Number {
        value: top / low,
        exact: low > 16.0 * f64::EPSILON * top,
    };
    (low > 0.0).then_some((number, Preconditioner::Incomplete(factor)))
}

fn remedies(s: &Subject<'_>, as_is: Number, columns: &[f64], whole: bool) -> Result<Vec<Remedy>, NumericalFault> {
    let a = s.matrix;
    let mut out = vec![];
    let plain = Preconditioner::Identity;
    let mut add = |name: &'static str, c: Number, m: &Matrix, pre: &Preconditioner| -> Result<(), NumericalFault> {
        // Gradient methods on ‖Ax − b‖² see the square.
        let seen = if s.meaning == Meaning::Symmetric {
            c.value
        } else {
            c.value * c.value
        };
        let measured = if s.measure {
            Some(conjugate_gradients(m, s.meaning, pre)?)
        } else {
            None
        };
        out.push(Remedy {
            name,
            condition: c,
            descent: (seen / 2.0 * ravine_linalg::math::log(1.0 / REDUCTION)).max(1.0).ceil(),
            gradients: (seen.sqrt() / 2.0 * ravine_linalg::math::log(2.0 / REDUCTION))
                .max(1.0)
                .ceil(),
            measured,
        });
        Ok(())
    };
    add("as it stands", as_is, a, &plain)?;
    let looked = |m: &Matrix| match bounds(m, whole, s.meaning == Meaning::Symmetric) {
        Some((top, low)) => Ok(at_least(top, low)),
        None => condition(m, whole, false),
    };
    match s.meaning {
        Meaning::Symmetric if whole => {
            let d = a.to_dense();
            let jacobi = Matrix::Dense(symmetric_scaled(&d));
            add(
                "diagonal scaling (Jacobi)",
                condition(&jacobi, true, true)?,
                &jacobi,
                &plain,
            )?;
            if s.blocks.len() > 1
                && let Some(b) = block_scaled(&d, s.blocks)
            {
                let b = Matrix::Dense(b);
                add("each variable's own block", condition(&b, true, true)?, &b, &plain)?;
            }
            if let Matrix::Sparse(c) = a
                && let Some((number, pre)) = incomplete(c, true)
            {
                add(INCOMPLETE, number, a, &pre)?;
            }
        }
        Meaning::Symmetric => {
            if let Matrix::Sparse(c) = a
                && let Ok(d) = jacobi(&c.diagonal())
            {
                let by: Vec<f64> = d.iter().map(|d| d.sqrt()).collect();
                let mut scaled = c.clone();
                scaled.scale_rows(&by);
                scaled.scale_cols(&by);
                let scaled = Matrix::Sparse(scaled);
                add("diagonal scaling (Jacobi)", looked(&scaled)?, &scaled, &plain)?;
                if let Some((number, pre)) = incomplete(c, false) {
                    add(INCOMPLETE, number, a, &pre)?;
                }
            }
        }
        Meaning::LeastSquares => {
            let scaled = scaled_columns(a, columns);
            add("columns scaled to length 1", looked(&scaled)?, &scaled, &plain)?;
        }
        Meaning::Rows => {
            let scaled = scaled_columns(a, columns);
            add("columns scaled to length 1", looked(&scaled)?, &scaled, &plain)?;
            let e = equilibrate(a)?;
            let mut both = a.clone();
            match &mut both {
                Matrix::Dense(d) => {
                    d.scale_rows(&e.rows);
                    d.scale_cols(&e.cols);
                }
                Matrix::Sparse(c) => {
                    c.scale_rows(&e.rows);
                    c.scale_cols(&e.cols);
                }
            }
            add("rows and columns equilibrated (Ruiz)", looked(&both)?, &both, &plain)?;
        }
    }
    Ok(out)
}

/// `L^-1 A L^-T` with `L L^T` the diagonal blocks; none where a block is not positive definite.
fn block_scaled(a: &Dense, blocks: &[(String, usize, usize)]) -> Option<Dense> {
    let mut out = a.clone();
    for (_, first, len) in blocks {
        let mut own = Dense::zeros(*len, *len);
        for i in 0..*len {
            for j in 0..*len {
                own.data[i * len + j] = a.at(first + i, first + j);
            }
        }
        let l = Cholesky::new(&own, 0.0).ok()?.lower();
        let solve = |v: &mut [f64]| {
            for i in 0..*len {
                let known: f64 = (0..i).map(|j| l.at(i, j) * v[j]).sum();
                v[i] = (v[i] - known) / l.at(i, i);
            }
        };
        // Rows of the block, then its columns.
        for j in 0..out.cols {
            let mut v: Vec<f64> = (0..*len).map(|i| out.at(first + i, j)).collect();
            solve(&mut v);
            for (i, v) in v.iter().enumerate() {
                out.data[(first + i) * a.cols + j] = *v;
            }
        }
        for i in 0..out.rows {
            let row = &mut out.data[i * a.cols + first..i * a.cols + first + len];
            solve(row);
        }
    }
    Some(out)
}

/// Steps of conjugate gradients, behind a preconditioner, until the error of a known solution has fallen as far as predictions ask, in the norm
/// that the predictions are about; infinite where it does not get there.
fn conjugate_gradients(a: &Matrix, meaning: Meaning, pre: &Preconditioner) -> Result<f64, NumericalFault> {
    let n = a.cols();
    let mut middle = vec![0.0; a.rows()];
    let mut apply = |v: &[f64], out: &mut [f64]| {
        if meaning == Meaning::Symmetric {
            a.mul_vec(v, out);
        } else {
            a.mul_vec(v, &mut middle);
            a.mul_vec_transposed(&middle, out);
        }
    };
    let truth: Vec<f64> = (0..n).map(|k| 1.0 + direction(k)).collect();
    let mut b = vec![0.0; n];
    apply(&truth, &mut b);
    // ‖e‖ in the norm of the operator.
    let mut scratch = vec![0.0; n];
    let mut size = |x: &[f64], apply: &mut dyn FnMut(&[f64], &mut [f64])| -> f64 {
        let e: Vec<f64> = x.iter().zip(&truth).map(|(x, t)| x - t).collect();
        apply(&e, &mut scratch);
        ravine_linalg::reduce::dot(&e, &scratch).abs().sqrt()
    };
    let first = size(&vec![0.0; n], &mut apply);
    let mut behind = |r: &[f64], z: &mut [f64]| pre.apply(r, z);
    let mut cg = ConjugateGradient::start(&b, &vec![0.0; n], &mut apply, &mut behind)?;
    while cg.steps < MEASURED_STEPS {
        if size(&cg.x, &mut apply) <= REDUCTION * first {
            return Ok(cg.steps as f64);
        }
        match cg.step(&b, &mut apply, &mut behind)? {
            CgStep::Proceed => {}
            CgStep::Done => return Ok(cg.steps as f64),
            CgStep::Curvature(_) => break,
        }
    }
    Ok(f64::INFINITY)
}
