//! Which matrices decide how hard a problem is: the design of a least-squares problem, the rows of its constraints, the
//! second derivatives of its objective.
//!
//! Invariant: the matrices are those that methods work on, with the user's variables as columns.

use std::sync::Arc;

use ravine_linalg::{Csr, Dense, Matrix};

use super::classify::Kind;
use super::compiled::Compiled;
use super::diagnose::Meaning;
use super::oracle::Oracle;
use super::smooth::Smooth;
use crate::atoms::rules;
use crate::base::Tensor;
use crate::exec::Fault;
use crate::ir::InputId;

/// Variables up to which second derivatives without a pattern are put together from products.
const PRODUCTS: usize = 800;
/// Two rows are multiples of one another if their entries agree this far.
const SAME: f64 = 1e-12;

/// A matrix of a problem.
pub struct Part {
    /// What it is.
    pub title: String,
    /// The matrix.
    pub matrix: Matrix,
    /// What may be done to it.
    pub meaning: Meaning,
    /// Constraint and instance of each row, where rows are constraints.
    pub rows: Vec<(usize, usize)>,
    /// Rows that say what another one says.
    pub redundant: Vec<Redundant>,
}

/// Two rows that are multiples of one another, by constraint and instance.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Redundant {
    /// The row that could go, or the first of two that contradict each other.
    pub row: (usize, usize),
    /// The other one.
    pub by: (usize, usize),
    /// How they relate.
    pub how: Relation,
}

/// How two parallel rows relate.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Relation {
    /// They say the same.
    Duplicate,
    /// The other one is stricter.
    Dominated,
    /// They cannot hold together.
    Contradiction,
}

impl Compiled {
    /// The matrices of the problem for these parameters, second derivatives at `at` (without it, at the declared start).
    pub fn parts(&mut self, params: &[(InputId, Arc<Tensor>)], at: Option<&[f64]>) -> Result<Vec<Part>, Fault> {
        self.model.bind(params)?;
        let x = at.map_or_else(|| self.model.start(), <[f64]>::to_vec);
        let place = if at.is_some() { "the solution" } else { "the start" };
        let n = self.columns.len();
        let mut out = vec![];
        match &mut self.kind {
            Kind::LeastSquares(ls) => {
                ls.rows.bind(params);
                let system = self.class == super::Class::LinearSystem;
                let rows = if system { self.model_rows(&x)? } else { vec![] };
                let Kind::LeastSquares(ls) = &mut self.kind else {
                    return Ok(out);
                };
                out.push(Part {
                    title: if system {
                        "the matrix of the system"
                    } else {
                        "the matrix of the least-squares problem"
                    }
                    .into(),
                    matrix: ls.data()?.a,
                    meaning: if system { Meaning::Rows } else { Meaning::LeastSquares },
                    rows,
                    redundant: vec![],
                });
            }
            Kind::Conic(program) => {
                let (l, u) = self.model.bounds();
                program.rows.bind(params);
                let bound = program.data(&l, &u)?;
                let mut of = vec![];
                let mut equations = vec![];
                let mut take = vec![];
                for (group, constraint, _) in &self.origins {
                    let (first, len) = bound.spans[*group];
                    let equation = first < zero_rows(&bound.form.cones);
                    for i in 0..len {
                        of.push((*constraint, i));
                        equations.push(equation);
                        take.push(first + i);
                    }
                }
                let rhs: Vec<f64> = take.iter().map(|k| bound.form.b[*k]).collect();
                let whole = select_rows(&bound.form.a, &take);
                let redundant = redundant(&whole, &rhs, &of, &equations);
                let own = left_columns(&whole, n);
                if own.rows > 0 && own.nnz() > 0 {
                    out.push(Part {
                        title: "the rows of the constraints".into(),
                        matrix: Matrix::Sparse(own),
                        meaning: Meaning::Rows,
                        rows: of,
                        redundant,
                    });
                }
                if let Some(h) = self.objective_hessian(params, &x) {
                    out.push(hessian_part(h, place));
                }
            }
            Kind::Composite(c, _) => {
                let (l, u) = self.model.bounds();
                match c.bind(params, l, u) {
                    Err(crate::forms::composite::NotBound::Fault(f)) => return Err(f),
                    Err(crate::forms::composite::NotBound::Why(_)) => return Ok(out),
                    Ok(()) => {}
                }
                match &c.parts.quadratic {
                    Some(q) if q.columns.cols() > 0 => out.push(Part {
                        title: "the matrix of the squares".into(),
                        matrix: q.columns.transpose(),
                        meaning: Meaning::LeastSquares,
                        rows: vec![],
                        redundant: vec![],
                    }),
                    _ => out.push(hessian_part(second_derivatives(&mut c.smooth, &x)?, place)),
                }
            }
            Kind::Smooth(s) => {
                s.bind(params);
                out.push(hessian_part(second_derivatives(s, &x)?, place));
            }
        }
        Ok(out)
    }

    /// Constraint and instance of each row of the model.
    fn model_rows(&mut self, x: &[f64]) -> Result<Vec<(usize, usize)>, Fault> {
        self.model.eval(x)?;
        let rows = self.model.rows();
        let of = |(k, r): (usize, &super::model::Rows)| (0..r.slack.len()).map(move |i| (k, i)).collect::<Vec<_>>();
        Ok(rows.iter().enumerate().flat_map(of).collect())
    }

    /// Second derivatives of a conic problem's objective; none where it is affine or has kinks.
    fn objective_hessian(&self, params: &[(InputId, Arc<Tensor>)], x: &[f64]) -> Option<Matrix> {
        let mut ir = self.problem.ir.clone();
        let objective = self.problem.objective.as_ref()?.node;
        let root = if self.maximize {
            rules::neg(&mut ir, objective)
        } else {
            objective
        };
        let mut s = Smooth::new(&mut ir, root, self.columns.clone()).ok()?;
        s.bind(params);
        let h = second_derivatives(&mut s, x).ok()?;
        let zero = match &h {
            Matrix::Dense(d) => d.data.iter().all(|v| *v == 0.0),
            Matrix::Sparse(c) => c.values.iter().all(|v| *v == 0.0),
        };
        (!zero).then_some(h)
    }
}

fn hessian_part(matrix: Matrix, place: &str) -> Part {
    Part {
        title: format!("second derivatives of the objective at {place}"),
        matrix,
        meaning: Meaning::Symmetric,
        rows: vec![],
        redundant: vec![],
    }
}

/// The Hessian by its pattern, or column by column from products.
fn second_derivatives(s: &mut Smooth, x: &[f64]) -> Result<Matrix, Fault> {
    let fault = |s: &mut Smooth, f: super::Fault| {
        s.last_fault.clone().unwrap_or(Fault {
            what: f.to_string(),
            node: None,
            at: vec![],
        })
    };
    if s.unstructured.is_none() {
        return match s.constant_hessian(x) {
            Ok(h) => Ok(Matrix::Sparse(h)),
            Err(f) => Err(fault(s, f)),
        };
    }
    let n = x.len();
    if n > PRODUCTS {
        return Err(Fault {
            what: format!("{n} variables are too many for second derivatives without a sparse pattern"),
            node: None,
            at: vec![],
        });
    }
    let mut h = Dense::zeros(n, n);
    let mut column = vec![0.0; n];
    for j in 0..n {
        let mut e = vec![0.0; n];
        e[j] = 1.0;
        if let Err(f) = s.hvp(x, &e, &mut column) {
            return Err(fault(s, f));
        }
        for i in 0..n {
            h.data[i * n + j] = column[i];
        }
    }
    Ok(Matrix::Dense(h))
}

/// Rows of the zero cones that the form begins with.
fn zero_rows(cones: &[ravine_linalg::clarabel_adapter::Cone]) -> usize {
    use ravine_linalg::clarabel_adapter::Cone;
    cones
        .iter()
        .map_while(|c| match c {
            Cone::Zero(n) => Some(*n),
            _ => None,
        })
        .sum()
}

fn select_rows(a: &Csr, take: &[usize]) -> Csr {
    let t: Vec<(usize, usize, f64)> = take
        .iter()
        .enumerate()
        .flat_map(|(i, k)| a.entries(*k).map(move |(j, v)| (i, j, v)))
        .collect();
    Csr::from_triplets(take.len(), a.cols, &t)
}

fn left_columns(a: &Csr, n: usize) -> Csr {
    let t: Vec<(usize, usize, f64)> = a.triplets().filter(|e| e.1 < n).collect();
    Csr::from_triplets(a.rows, n, &t)
}

/// Rows `a x <= b` (equations where marked) that another row makes superfluous, or contradicts.
fn redundant(a: &Csr, b: &[f64], of: &[(usize, usize)], equations: &[bool]) -> Vec<Redundant> {
    // Each row over its first entry: parallel rows have equal ones, and lie beside one another when sorted.
    let unit: Vec<(Vec<(usize, f64)>, f64)> = (0..a.rows)
        .map(|i| {
            let own: Vec<(usize, f64)> = a.entries(i).filter(|e| e.1 != 0.0).collect();
            let lead = own.first().map_or(1.0, |e| e.1);
            (own.iter().map(|(j, v)| (*j, v / lead)).collect(), lead)
        })
        .collect();
    let before = |p: &[(usize, f64)], q: &[(usize, f64)]| {
        p.len().cmp(&q.len()).then_with(|| {
            p.iter()
                .zip(q)
                .map(|(x, y)| {
                    let near = (x.1 - y.1).abs() <= SAME * x.1.abs().max(y.1.abs());
                    x.0.cmp(&y.0).then_with(|| {
                        if near {
                            std::cmp::Ordering::Equal
                        } else {
                            x.1.total_cmp(&y.1)
                        }
                    })
                })
                .find(|o| o.is_ne())
                .unwrap_or(std::cmp::Ordering::Equal)
        })
    };
    // "Near" is no order, so rows are sorted exactly and compared nearly with their neighbours.
    let mut order: Vec<usize> = (0..a.rows).filter(|i| !unit[*i].0.is_empty()).collect();
    order.sort_by(|p, q| {
        let (p, q) = (&unit[*p].0, &unit[*q].0);
        p.len().cmp(&q.len()).then_with(|| {
            p.iter()
                .zip(q)
                .map(|(x, y)| x.0.cmp(&y.0).then(x.1.total_cmp(&y.1)))
                .find(|o| o.is_ne())
                .unwrap_or(std::cmp::Ordering::Equal)
        })
    });
    let mut out = vec![];
    let mut first = 0;
    while first < order.len() {
        let mut end = first + 1;
        while end < order.len() && before(&unit[order[end - 1]].0, &unit[order[end]].0).is_eq() {
            end += 1;
        }
        let mut group = order[first..end].to_vec();
        group.sort_unstable();
        among(&group, &unit, b, of, equations, &mut out);
        first = end;
    }
    out.sort_by_key(|r| (r.row, r.by));
    out
}

/// Relations among rows that are multiples of one another: each limits the same expression.
fn among(
    group: &[usize],
    unit: &[(Vec<(usize, f64)>, f64)],
    b: &[f64],
    of: &[(usize, usize)],
    equations: &[bool],
    out: &mut Vec<Redundant>,
) {
    if group.len() < 2 {
        return;
    }
    // What each row says of the common expression e: e <= limit, e >= limit, or both.
    let limit = |i: usize| b[i] / unit[i].1;
    let above = |i: usize| equations[i] || unit[i].1 > 0.0;
    let below = |i: usize| equations[i] || unit[i].1 < 0.0;
    let near = |p: f64, q: f64| (p - q).abs() <= SAME * (1.0 + p.abs().max(q.abs()));
    for (k, &i) in group.iter().enumerate() {
        for &j in &group[..k] {
            let (p, q) = (limit(i), limit(j));
            let contradict =
                (above(i) && below(j) && p < q && !near(p, q)) || (below(i) && above(j) && p > q && !near(p, q));
            let mut push = |row: usize, by: usize, how| {
                out.push(Redundant {
                    row: of[row],
                    by: of[by],
                    how,
                });
            };
            if contradict {
                push(i, j, Relation::Contradiction);
            } else if near(p, q) && equations[i] == equations[j] && above(i) == above(j) {
                push(i, j, Relation::Duplicate);
            } else {
                // i says no more than j does: each of its sides is implied by a side of j.
                let implied = |i: usize, j: usize| {
                    let (p, q) = (limit(i), limit(j));
                    (!above(i) || (above(j) && (q <= p || near(p, q))))
                        && (!below(i) || (below(j) && (q >= p || near(p, q))))
                };
                if implied(i, j) {
                    push(i, j, Relation::Dominated);
                } else if implied(j, i) {
                    push(j, i, Relation::Dominated);
                }
            }
        }
    }
}
