//! What the Krylov methods share: the symmetric equations they work on, their preconditioners, and when they are done.
//!
//! Invariant: a matrix that the problem has is multiplied, never factored whole; without one, Hessian products do.
//!
//! Sources: see `linalg::krylov`; A. Greenbaum, SIAM J. Matrix Anal. Appl. 18 (1997), for the accuracy that rounding leaves.

use std::cell::{Cell, RefCell};

use ravine_linalg::krylov::{IncompleteCholesky, Preconditioner, jacobi, lanczos};
use ravine_linalg::operator::LinearMap;
use ravine_linalg::reduce::{dot, norm2, sumsq};
use ravine_linalg::{Csr, Matrix};

use crate::solve::method::{Class, Fault, MethodCard, OptionKind, OptionSpec, Refusal, Settings, SlotSpec};
use crate::solve::oracle::{Form, Oracle};
use crate::solve::state::{Point, Slot, SlotKind, State};
use crate::solve::stop::{Reason, Status};
use crate::solve::user_map::{Applicable, UserMap};
use crate::solve::vector::norm_inf;

/// Share of the tolerance that an iteration goes on to where it can: the digits below it cost few steps.
const AIM: f64 = 0.01;
/// Steps of the estimate of the largest eigenvalue.
const TOP_STEPS: usize = 12;

/// Steps beyond which nothing is to be hoped for: exact arithmetic needs no more than `n`, rounding a multiple of that.
pub fn most_steps(n: usize) -> usize {
    20 * n + 1000
}

/// The preconditioner that was asked for.
pub struct Wanted {
    word: &'static str,
    own: Option<UserMap>,
}

impl Wanted {
    /// From the option.
    pub fn of(s: &Settings) -> Wanted {
        Wanted {
            word: s.choice("preconditioner"),
            own: s.map("preconditioner"),
        }
    }
    /// Why a map of the user's does not fit; `fixed` where it has to be symmetric.
    pub fn misfit(&self, n: usize, fixed: bool) -> Option<String> {
        self.own.as_ref().and_then(|m| m.unfit(n, fixed))
    }
}

/// The option that names a preconditioner.
pub const PRECONDITIONER: OptionSpec = OptionSpec {
    name: "preconditioner",
    kind: OptionKind::Map(&["auto", "ic0", "jacobi", "none"]),
    doc: "incomplete Cholesky without fill, the diagonal, or nothing; `auto` takes `ic0` where a sparse matrix is known, \
          the diagonal of a dense one, and nothing where only products are; or an approximate inverse of your own, \
          symmetric positive definite",
};

/// The slots that report what the answer is worth, first in the state of every method for linear equations.
pub const EVIDENCE: [SlotSpec; 3] = [
    SlotSpec {
        name: "condition",
        kind: SlotKind::Number,
        doc: "condition number of the matrix, from below",
    },
    SlotSpec {
        name: "error",
        kind: SlotKind::Number,
        doc: "estimate of the relative error of the point",
    },
    SlotSpec {
        name: "rank",
        kind: SlotKind::Count,
        doc: "number of columns: rank is not determined",
    },
];

/// Where products come from.
enum Source {
    /// The matrix of the form.
    Form,
    /// Products with the operator of a system.
    System,
    /// The Hessian of a quadratic.
    Hessian(Csr),
    /// Hessian products.
    Products,
}

/// The equations of a problem and what is kept between steps; rebuilt after resuming.
pub struct Kept {
    source: Source,
    /// The right side: that of the form, or minus the gradient at 0.
    pub right: Vec<f64>,
    /// The objective of a quadratic at 0.
    pub constant: f64,
    /// The preconditioner.
    pub pre: Preconditioner,
    /// The user's own, which goes before it.
    user: Option<RefCell<Applicable>>,
    /// `r'M r` where the user's gave no positive one.
    bad: Cell<Option<f64>>,
    /// Its name, for the log.
    pub name: String,
    zeros: Vec<f64>,
}

impl Kept {
    /// Reads the equations and makes the preconditioner; `right` is what `fresh_state` left in the state.
    pub fn new(problem: &mut dyn Oracle, right: &[f64], wanted: &Wanted, definite: bool) -> Result<Kept, Fault> {
        let n = problem.dim();
        let zeros = vec![0.0; n];
        let (source, right, constant) = if let Some(Form::LeastSquares { b, .. }) = problem.form() {
            (Source::Form, b.clone(), 0.0)
        } else if let Some(b) = problem.right_side() {
            (Source::System, b.to_vec(), 0.0)
        } else {
            let source = if problem.offers().hessian {
                let mut lower = Csr::zeros(0, 0);
                problem.hessian(&zeros, &mut lower)?;
                Source::Hessian(both_triangles(&lower))
            } else {
                Source::Products
            };
            let (right, constant) = right.split_at(n.min(right.len()));
            (source, right.to_vec(), constant.first().copied().unwrap_or(0.0))
        };
        let mut kept = Kept {
            source,
            right,
            constant,
            pre: Preconditioner::Identity,
            user: None,
            bad: Cell::new(None),
            name: "no preconditioner".into(),
            zeros,
        };
        match &wanted.own {
            Some(m) => {
                kept.user = Some(RefCell::new(m.applicable()));
                kept.name = "a preconditioner of your own".into();
            }
            None => kept.make(problem, wanted.word, definite)?,
        }
        Ok(kept)
    }

    /// z = M r.
    pub fn precondition(&self, r: &[f64], z: &mut [f64]) {
        let Some(user) = &self.user else {
            return self.pre.apply(r, z);
        };
        user.borrow_mut().apply(r, z);
        let energy = dot(r, z);
        if (energy <= 0.0 || energy.is_nan()) && r.iter().any(|v| *v != 0.0) {
            self.bad.set(Some(energy));
        }
    }

    /// Is there none?
    pub fn is_plain(&self) -> bool {
        self.user.is_none() && self.pre == Preconditioner::Identity
    }

    /// Why the run ends, if the user's preconditioner turned out not to be one.
    pub fn not_positive(&self) -> Option<Reason> {
        let v = self.bad.get()?;
        let why = match v.is_nan() {
            true => "the preconditioner gave what is not a number".to_string(),
            false => format!("r'M r is {v:.3e} for a residual r: the preconditioner is not positive definite"),
        };
        Some(Reason::new(Status::Stalled, why))
    }

    fn make(&mut self, problem: &dyn Oracle, wanted: &str, definite: bool) -> Result<(), Fault> {
        let of_form = match problem.form() {
            Some(Form::LeastSquares { a, .. }) => Some(a),
            _ => None,
        };
        let (sparse, diagonal) = match (&self.source, of_form) {
            (Source::Form, Some(a)) => (matches!(a, Matrix::Sparse(_)), Some(diagonal(a))),
            (Source::Hessian(h), _) => (true, Some(h.diagonal())),
            _ => (false, None),
        };
        let Some(mut diagonal) = diagonal else {
            if matches!(wanted, "ic0" | "jacobi") {
                let what = format!("matrix, only products, and `preconditioner: {wanted}` reads entries");
                return Err(Fault::NotOffered(what));
            }
            return Ok(());
        };
        let failed = |f: ravine_linalg::NumericalFault| Fault::Numerical(f.to_string());
        let kind = match (wanted, definite) {
            ("auto", true) if sparse => "ic0",
            ("auto", _) => "jacobi",
            (w, _) => w,
        };
        match kind {
            "ic0" => {
                let made = match (&self.source, of_form) {
                    (Source::Hessian(h), _) => IncompleteCholesky::new(h),
                    (_, Some(Matrix::Sparse(a))) => IncompleteCholesky::new(a),
                    (_, Some(a)) => IncompleteCholesky::new(&a.to_sparse()),
                    (_, None) => return Ok(()),
                };
                let made = match (made, wanted) {
                    (Ok(f), _) => f,
                    // A choice of ours gives way, one of the user's does not.
                    (Err(_), "auto") => return Ok(()),
                    (Err(f), _) => return Err(failed(f)),
                };
                self.name = match made.shift {
                    0.0 => "incomplete Cholesky".into(),
                    s => format!("incomplete Cholesky, its diagonal raised by {s:.1e}"),
                };
                self.pre = Preconditioner::Incomplete(made);
            }
            "jacobi" => {
                if !definite {
                    // The size of the diagonal is a positive definite choice for any symmetric matrix.
                    let floor = f64::EPSILON * norm_inf(&diagonal);
                    diagonal
                        .iter_mut()
                        .for_each(|d| *d = if d.abs() > floor { d.abs() } else { 1.0 });
                }
                match (jacobi(&diagonal), wanted) {
                    (Ok(d), _) => {
                        self.pre = Preconditioner::Diagonal(d);
                        self.name = "the diagonal as preconditioner".into();
                    }
                    (Err(_), "auto") => {}
                    (Err(f), _) => return Err(failed(f)),
                }
            }
            _ => {}
        }
        Ok(())
    }

    /// out = A v; what went wrong stays in `fault`, and `out` is then no number.
    pub fn apply(&self, problem: &mut dyn Oracle, v: &[f64], out: &mut [f64], fault: &mut Option<Fault>) {
        match &self.source {
            Source::Hessian(h) => h.mul_vec(v, out),
            Source::Form => match problem.form() {
                Some(Form::LeastSquares { a, .. }) => a.mul_vec(v, out),
                _ => out.fill(f64::NAN),
            },
            Source::System | Source::Products => {
                let done = match self.source {
                    Source::System => problem.product(v, false, out),
                    _ => problem.hvp(&self.zeros, v, out),
                };
                if let Err(f) = done {
                    *fault = Some(f);
                    out.fill(f64::NAN);
                }
            }
        }
    }

    /// Is this residual within the tolerance: relative to the right side as a whole, and row by row as the checker asks?
    pub fn reached(&self, r: &[f64], residual_norm: f64, tolerance: f64) -> bool {
        let rows = self.is_system();
        residual_norm <= tolerance * norm2(&self.right)
            && r.iter().zip(&self.right).all(|(r, b)| {
                let size = if rows { 1.0 + b.abs() } else { 1.0 };
                r.abs() <= 0.5 * tolerance * size
            })
    }

    /// Is this residual as small as the iteration goes for?
    pub fn aimed(&self, r: &[f64], residual_norm: f64, tolerance: f64) -> bool {
        self.reached(r, residual_norm, AIM * tolerance)
    }

    /// Are the equations those of a system, not of a quadratic's gradient?
    pub fn is_system(&self) -> bool {
        matches!(self.source, Source::Form | Source::System)
    }

    /// The objective at `x` with residual `r`: of a quadratic its own, of a system the square of the residual.
    pub fn objective(&self, x: &[f64], r: &[f64]) -> f64 {
        match self.source {
            Source::Form | Source::System => sumsq(r),
            _ => self.constant - 0.5 * (dot(&self.right, x) + dot(r, x)),
        }
    }

    /// A value no larger than the size of the largest eigenvalue, and usually within some per cent.
    pub fn largest(&self, problem: &mut dyn Oracle) -> f64 {
        let mut fault = None;
        let t = lanczos(self.right.len(), TOP_STEPS, &mut |v, out| {
            self.apply(problem, v, out, &mut fault)
        });
        t.extremes().map_or(f64::NAN, |(low, high)| high.abs().max(low.abs()))
    }
}

fn diagonal(a: &Matrix) -> Vec<f64> {
    match a {
        Matrix::Dense(d) => d.diagonal(),
        Matrix::Sparse(c) => c.diagonal(),
    }
}

/// The symmetric matrix of a lower triangle.
fn both_triangles(lower: &Csr) -> Csr {
    let mut strict = lower.transpose();
    for i in 0..strict.rows {
        for k in strict.indptr[i]..strict.indptr[i + 1] {
            if strict.indices[k] == i {
                strict.values[k] = 0.0;
            }
        }
    }
    lower.add(1.0, &strict, 1.0)
}

/// The slot, last in the state, that keeps the right side of a quadratic.
pub const RIGHT: SlotSpec = SlotSpec {
    name: "right",
    kind: SlotKind::Array,
    doc: "minus the gradient of a quadratic at 0, and its value there; empty where there is a form",
};

/// The state before the first step: with the right side of a quadratic, everything else empty.
pub fn fresh_state(card: &MethodCard, problem: &mut dyn Oracle, from: &Point) -> Result<State, Refusal> {
    let mut state = State::new(from.values.clone(), vec![], card.records.len());
    state.slots = card
        .state
        .iter()
        .map(|s| match s.kind {
            SlotKind::Number => Slot::Number(f64::NAN),
            SlotKind::Count => Slot::Count(from.values.len() as u64),
            _ => Slot::Array(vec![]),
        })
        .collect();
    state.measures.stationarity = f64::INFINITY;
    if problem.form().is_none() && problem.right_side().is_none() {
        let mut right = vec![0.0; from.values.len()];
        let constant = problem
            .value_gradient(&vec![0.0; from.values.len()], &mut right)
            .map_err(Refusal::Fault)?;
        right.iter_mut().for_each(|v| *v = -*v);
        right.push(constant);
        if let Some(last) = state.slots.last_mut() {
            *last = Slot::Array(right);
        }
    }
    Ok(state)
}

/// An array out of a state, which keeps an empty one.
pub fn take(s: &mut State, slot: usize) -> Vec<f64> {
    match &mut s.slots[slot] {
        Slot::Array(a) => std::mem::take(a),
        _ => vec![],
    }
}

/// Refuses a problem that offers neither a form nor products, before anything is evaluated.
pub fn check(problem: &dyn Oracle, from: &Point) -> Result<(), Refusal> {
    let form = matches!(problem.form(), Some(Form::LeastSquares { .. })) || problem.right_side().is_some();
    if !form && !problem.offers().hvp {
        return Err(Refusal::Needs(vec!["a matrix or Hessian products"]));
    }
    if problem.dim() != from.values.len() {
        return Err(Refusal::Start("the start has another length".into()));
    }
    Ok(())
}

/// Why the method of this name cannot take the operator of a system, and which can: products with it and with its transpose
/// are compared for two vectors.
pub fn unfit_operator(method: &str, map: &mut dyn LinearMap) -> Option<(String, &'static str)> {
    if !matches!(method, "cg" | "minres") {
        return None;
    }
    let n = map.cols();
    let (mut there, mut back) = (vec![0.0; n], vec![0.0; n]);
    for k in 0..2 {
        let v: Vec<f64> = (0..n)
            .map(|i| 1.0 + ((i * (i + 3 + k)) % 17) as f64 / 8.0 - (i % 3) as f64)
            .collect();
        map.apply(&v, &mut there);
        map.adjoint(&v, &mut back);
        let off: Vec<f64> = there.iter().zip(&back).map(|(a, b)| a - b).collect();
        let (off, size) = (norm2(&off), norm2(&there));
        if off > 1e-9 * size {
            return Some((
                format!(
                    "`{method}` needs a symmetric operator; for this one, `A*v` and `A'*v` differ by {:.1e}, relative",
                    off / size
                ),
                "`lsmr()` takes any operator",
            ));
        }
    }
    None
}

/// Why the method of this name cannot take the matrix of a system, and which can; read off the entries, before a run.
pub fn unfit(method: &str, class: Class, a: &Matrix) -> Option<(String, &'static str)> {
    if class != Class::LinearSystem || !matches!(method, "cg" | "minres") {
        return None;
    }
    let off = a.asymmetry();
    if off > 1e-13 * a.norm_1() {
        return Some((
            format!(
                "`{method}` needs a symmetric matrix; entries across the diagonal of this one differ by up to {off:.1e}"
            ),
            "`lsmr()` takes any matrix",
        ));
    }
    let found = diagonal(a).iter().position(|d| *d <= 0.0).filter(|_| method == "cg")?;
    Some((
        format!(
            "`cg` needs a positive definite matrix; entry {0} of this one's diagonal is not positive",
            found + 1
        ),
        "`minres()` takes any symmetric matrix",
    ))
}
