//! Which matrices decide how hard a problem is: the design of a least-squares problem, the rows of its constraints, the
//! second derivatives of its objective.
//!
//! Invariant: the matrices are those that methods work on, with the user's variables as columns.

use std::cmp::Ordering;
use std::collections::BTreeSet;
use std::sync::Arc;

use ravine_linalg::clarabel_adapter::{Cone, ConicForm};
use ravine_linalg::{Csr, Dense, Matrix};

use super::classify::Kind;
use super::compiled::Compiled;
use super::dependent::dependencies;
use super::diagnose::Meaning;
use super::oracle::Oracle;
use super::smooth::Smooth;
use super::vectors::Vectors;
use crate::atoms::rules;
use crate::base::Tensor;
use crate::exec::Fault;
use crate::ir::script::Of;
use crate::ir::{InputId, Sides};
use crate::passes::analysis::curvature::degree;

/// Variables up to which second derivatives without a pattern are put together from products.
const PRODUCTS: usize = 800;
/// Two rows are multiples of one another if their entries agree this far.
const SAME: f64 = 1e-12;
/// Bounds contradict a row that they miss by this, relative to its limit.
const OFF: f64 = 1e-9;

/// A matrix of a problem.
pub struct Part {
    /// What it is.
    pub title: String,
    /// The matrix.
    pub matrix: Matrix,
    /// The coordinate that each column is of; empty where column `k` is that of coordinate `k`.
    pub columns: Vec<usize>,
    /// What may be done to it.
    pub meaning: Meaning,
    /// What each row is of, where rows are constraints.
    pub rows: Vec<RowOf>,
    /// Rows that say what another one says.
    pub redundant: Vec<Redundant>,
    /// Equations that add up to nothing, or to a contradiction, by constraint and instance.
    pub dependent: Vec<Together>,
}

/// What a row of a matrix of constraints is of.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct RowOf {
    /// The constraint.
    pub constraint: usize,
    /// Its instance.
    pub instance: usize,
    /// 0 for the row itself; 1, 2, … for what its cones take: the entries of the `norm` that it limits.
    pub entry: usize,
}

/// A combination of equations whose left-hand sides cancel.
#[derive(Clone, Debug, PartialEq)]
pub struct Together {
    /// Constraint, instance, and what the equation is multiplied by.
    pub terms: Vec<(usize, usize, f64)>,
    /// What the right-hand sides add up to: 0, or the equations contradict one another.
    pub rest: f64,
}

/// Rows by constraint and instance; the rows themselves.
fn plain_rows(of: Vec<(usize, usize)>) -> Vec<RowOf> {
    let row = |(constraint, instance)| RowOf {
        constraint,
        instance,
        entry: 0,
    };
    of.into_iter().map(row).collect()
}

/// Dependencies among the rows of `a x = b` that are chosen.
fn together(a: &Csr, b: &[f64], of: &[(usize, usize)], chosen: &[usize]) -> Vec<Together> {
    let rhs: Vec<f64> = chosen.iter().map(|k| b[*k]).collect();
    let term = |(i, v): (usize, f64)| {
        let (constraint, instance) = of[chosen[i]];
        (constraint, instance, v)
    };
    dependencies(&select_rows(a, chosen), &rhs)
        .into_iter()
        .map(|d| Together {
            terms: d.terms.into_iter().map(term).collect(),
            rest: d.rest,
        })
        .collect()
}

/// A row that something else makes superfluous, or contradicts.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Redundant {
    /// The row that could go, or one of two that contradict each other, by constraint and instance.
    pub row: (usize, usize),
    /// What does that.
    pub by: By,
    /// How they relate.
    pub how: Relation,
}

/// What makes a row superfluous.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum By {
    /// A multiple of it, by constraint and instance.
    Row(usize, usize),
    /// The bounds of its variables: no value that they allow comes near its limit.
    Bounds,
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

/// Entries of an operator up to which they are found by products with the columns of the identity.
const MOST_PRODUCTS: usize = 1 << 21;

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
                let data = ls.data()?;
                let dependent = match rows.len() == data.a.rows() && data.b.len() == rows.len() {
                    true => together(
                        &data.a.to_sparse(),
                        &data.b,
                        &rows,
                        &(0..rows.len()).collect::<Vec<usize>>(),
                    ),
                    false => vec![],
                };
                out.push(Part {
                    title: if system {
                        "the matrix of the system"
                    } else {
                        "the matrix of the least-squares problem"
                    }
                    .into(),
                    matrix: data.a,
                    columns: vec![],
                    meaning: if system { Meaning::Rows } else { Meaning::LeastSquares },
                    rows: plain_rows(rows),
                    redundant: vec![],
                    dependent,
                });
            }
            Kind::Products(p) => {
                p.bind(params);
                let system = self.class == super::Class::LinearSystem;
                let formed = p.formed(MOST_PRODUCTS)?;
                out.extend(formed.map(|a| Part {
                    title: "the operator, its columns by products".into(),
                    matrix: Matrix::Dense(a),
                    columns: vec![],
                    meaning: if system { Meaning::Rows } else { Meaning::LeastSquares },
                    rows: vec![],
                    redundant: vec![],
                    dependent: vec![],
                }));
            }
            Kind::Conic(program) => {
                let (l, u) = self.model.bounds();
                program.rows.bind(params);
                let bound = program.data(&l, &u)?;
                let cones = Cones::new(&bound.form);
                let mut of = vec![];
                let mut equations = vec![];
                let mut take = vec![];
                let mut comparisons = 0;
                // Memberships last: their rows are no comparisons.
                let member = |o: &&(usize, usize, f64)| matches!(self.problem.constraints[o.1].sides, Sides::In(_));
                let (last, first): (Vec<&(usize, usize, f64)>, Vec<_>) = self.origins.iter().partition(member);
                for (group, constraint, _) in first.into_iter().chain(last) {
                    let (first, len) = bound.spans[*group];
                    for i in 0..len {
                        of.push((*constraint, i));
                        equations.push(cones.zero[first + i]);
                        take.push(first + i);
                    }
                    if !matches!(self.problem.constraints[*constraint].sides, Sides::In(_)) {
                        comparisons = take.len();
                    }
                }
                let whole = select_rows(&bound.form.a, &take);
                let mut within = vec![(f64::NEG_INFINITY, f64::INFINITY); whole.cols];
                for (k, (l, u)) in l.iter().zip(&u).enumerate() {
                    within[bound.fold.of(k)] = (*l, *u);
                }
                let rows = Comparisons {
                    a: &select_rows(&bound.form.a, &take[..comparisons]),
                    b: &take[..comparisons]
                        .iter()
                        .map(|k| bound.form.b[*k])
                        .collect::<Vec<f64>>(),
                    of: &of,
                    equations: &equations,
                    within: &within,
                };
                let redundant = rows.redundant();
                let chosen: Vec<usize> = (0..comparisons).filter(|k| equations[*k]).collect();
                let dependent = together(&whole, rows.b, &of, &chosen);
                // Both places of a symmetric entry are one variable of the form.
                let mut coordinates: Vec<usize> = vec![];
                for k in 0..n {
                    if bound.fold.of(k) == coordinates.len() {
                        coordinates.push(k);
                    }
                }
                let width = coordinates.len();
                let (shown, rows) = cones.rows_of(&bound.form.a, width, &take, &of);
                let own = left_columns(&select_rows(&bound.form.a, &shown), width);
                if own.rows > 0 && own.nnz() > 0 {
                    out.push(Part {
                        title: "the rows of the constraints".into(),
                        matrix: Matrix::Sparse(own),
                        columns: coordinates,
                        meaning: Meaning::Rows,
                        rows,
                        redundant,
                        dependent,
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
                        columns: vec![],
                        meaning: Meaning::LeastSquares,
                        rows: vec![],
                        redundant: vec![],
                        dependent: vec![],
                    }),
                    _ => out.push(hessian_part(second_derivatives(&mut c.smooth, &x)?, place)),
                }
            }
            Kind::Smooth(s) => {
                s.bind(params);
                out.push(hessian_part(second_derivatives(s, &x)?, place));
            }
        }
        if matches!(self.kind, Kind::Smooth(_) | Kind::Composite(..)) {
            out.extend(self.gradients_of_constraints(params, &x, place));
        }
        Ok(out)
    }

    /// First derivatives of the constraints at a point; none where there are none.
    fn gradients_of_constraints(&self, params: &[(InputId, Arc<Tensor>)], x: &[f64], place: &str) -> Option<Part> {
        let mut p = self.problem.clone();
        let nothing = p.ir.constant(0.0);
        let affine: Vec<bool> = p
            .constraints
            .iter()
            .map(|c| {
                let nodes = c.sides.nodes(c.domain);
                nodes.iter().all(|n| degree(&p.ir, n.1) <= 1)
            })
            .collect();
        let mut v = Vectors::new(&mut p, nothing, &self.columns, false);
        v.bind(params);
        let (of, equations) = v.rows_at(x).ok()?;
        let mut values = vec![0.0; of.len()];
        v.values(Of::Constraints, x, &mut values).ok()?;
        let a = v.jacobian(Of::Constraints, x).ok()?.clone();
        if a.nnz() == 0 {
            return None;
        }
        let mut b = vec![0.0; a.rows];
        a.mul_vec(x, &mut b);
        b.iter_mut().zip(&values).for_each(|(b, v)| *b -= v);
        let chosen: Vec<usize> = (0..of.len()).filter(|k| equations[*k] && affine[of[*k].0]).collect();
        let dependent = together(&a, &b, &of, &chosen);
        let place = if affine.iter().all(|a| *a) {
            String::new()
        } else {
            format!(" at {place}")
        };
        Some(Part {
            title: format!("the rows of the constraints{place}"),
            matrix: Matrix::Sparse(a),
            columns: vec![],
            meaning: Meaning::Rows,
            rows: plain_rows(of),
            redundant: vec![],
            dependent,
        })
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
        columns: vec![],
        meaning: Meaning::Symmetric,
        rows: vec![],
        redundant: vec![],
        dependent: vec![],
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

/// Rows that their constraints' cones may bring in, at most.
const CONE_ROWS: usize = 200_000;

/// Which rows of a form belong together: those of one cone, and single ones.
struct Cones {
    /// Is the row an equation?
    zero: Vec<bool>,
    /// The block that a row is in, and the rows of each block.
    of: Vec<usize>,
    blocks: Vec<(usize, usize)>,
}

impl Cones {
    fn new(form: &ConicForm) -> Cones {
        let mut out = Cones {
            zero: vec![],
            of: vec![],
            blocks: vec![],
        };
        for c in &form.cones {
            let (zero, together) = match c {
                Cone::Zero(_) => (true, false),
                Cone::Nonneg(_) => (false, false),
                _ => (false, true),
            };
            for k in 0..c.rows() {
                if k == 0 || !together {
                    out.blocks.push((out.of.len(), 0));
                }
                let last = out.blocks.len() - 1;
                out.blocks[last].1 += 1;
                out.of.push(last);
                out.zero.push(zero);
            }
        }
        out
    }

    /// The rows that constraints are made of: a constraint's own row, and where that speaks of a cone's height, what
    /// the cone takes. Only rows with variables of the problem, the first `n` columns.
    fn rows_of(&self, a: &Csr, n: usize, take: &[usize], of: &[(usize, usize)]) -> (Vec<usize>, Vec<RowOf>) {
        let mut written = vec![false; a.rows];
        take.iter().for_each(|r| written[*r] = true);
        let mut speaks: Vec<Vec<usize>> = vec![vec![]; a.cols.saturating_sub(n)];
        for (block, (first, len)) in self.blocks.iter().enumerate() {
            for r in (*first..first + len).filter(|r| !written[*r]) {
                for (j, v) in a.entries(r).filter(|e| e.0 >= n) {
                    if v != 0.0 && speaks[j - n].last() != Some(&block) {
                        speaks[j - n].push(block);
                    }
                }
            }
        }
        let has_variables = |r: usize| a.entries(r).any(|(j, v)| j < n && v != 0.0);
        let (mut rows, mut names) = (vec![], vec![]);
        for (r, (constraint, instance)) in take.iter().zip(of) {
            let name = |entry| RowOf {
                constraint: *constraint,
                instance: *instance,
                entry,
            };
            let mut inside: Vec<usize> = vec![];
            let mut blocks: BTreeSet<usize> = BTreeSet::new();
            let mut heights: BTreeSet<usize> = BTreeSet::new();
            let mut todo: Vec<usize> = a.entries(*r).filter(|e| e.0 >= n && e.1 != 0.0).map(|e| e.0).collect();
            while let Some(j) = todo.pop() {
                if !heights.insert(j) || rows.len() + inside.len() > CONE_ROWS {
                    continue;
                }
                for block in &speaks[j - n] {
                    if blocks.insert(*block) {
                        let (first, len) = self.blocks[*block];
                        inside.extend((first..first + len).filter(|r| !written[*r]));
                        let own = (first..first + len).flat_map(|r| a.entries(r));
                        todo.extend(own.filter(|e| e.0 >= n && e.1 != 0.0).map(|e| e.0));
                    }
                }
            }
            inside.retain(|r| has_variables(*r));
            inside.sort_unstable();
            if has_variables(*r) || inside.is_empty() {
                rows.push(*r);
                names.push(name(0));
            }
            let single = inside.len() == 1 && !has_variables(*r);
            for (k, r) in inside.into_iter().enumerate() {
                rows.push(r);
                names.push(name(if single { 0 } else { k + 1 }));
            }
        }
        (rows, names)
    }
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

/// Rows `a x <= b` (equations where marked), by constraint and instance, and the bounds of `x`.
struct Comparisons<'a> {
    a: &'a Csr,
    b: &'a [f64],
    of: &'a [(usize, usize)],
    equations: &'a [bool],
    within: &'a [(f64, f64)],
}

/// A row over its first entry, and that entry: multiples of one another have equal ones.
type Unit = (Vec<(usize, f64)>, f64);

impl Comparisons<'_> {
    /// Rows that another one, or the bounds, make superfluous or contradict; one line each.
    fn redundant(&self) -> Vec<Redundant> {
        let mut out = vec![];
        let unit: Vec<Unit> = (0..self.a.rows)
            .map(|i| {
                let own: Vec<(usize, f64)> = self.a.entries(i).filter(|e| e.1 != 0.0).collect();
                let lead = own.first().map_or(1.0, |e| e.1);
                (own.iter().map(|(j, v)| (*j, v / lead)).collect(), lead)
            })
            .collect();
        let mut order: Vec<usize> = vec![];
        for i in 0..self.a.rows {
            match self.bounded(i) {
                Some(how) => out.push(Redundant {
                    row: self.of[i],
                    by: By::Bounds,
                    how,
                }),
                None if unit[i].0.is_empty() => {}
                None => order.push(i),
            }
        }
        // "Near" is no order, so rows are sorted exactly and compared nearly with their neighbours.
        let compared = |p: &[(usize, f64)], q: &[(usize, f64)], near: f64| {
            let entry =
                |(x, y): (&(usize, f64), &(usize, f64))| match (x.1 - y.1).abs() <= near * x.1.abs().max(y.1.abs()) {
                    true => x.0.cmp(&y.0),
                    false => x.0.cmp(&y.0).then(x.1.total_cmp(&y.1)),
                };
            let first = p.iter().zip(q).map(entry).find(|o| o.is_ne());
            p.len().cmp(&q.len()).then(first.unwrap_or(Ordering::Equal))
        };
        order.sort_by(|p, q| compared(&unit[*p].0, &unit[*q].0, 0.0));
        for group in order.chunk_by(|p, q| compared(&unit[*p].0, &unit[*q].0, SAME).is_eq()) {
            let mut group = group.to_vec();
            group.sort_unstable();
            self.among(&group, &unit, &mut out);
        }
        out.sort_by_key(|r| r.row);
        out
    }

    /// What the bounds alone say of a row.
    fn bounded(&self, i: usize) -> Option<Relation> {
        let (mut least, mut most) = (0.0, 0.0);
        for (j, v) in self.a.entries(i).filter(|e| e.1 != 0.0) {
            let (l, u) = self.within[j];
            let (l, u) = if v > 0.0 { (l, u) } else { (u, l) };
            least += v * l;
            most += v * u;
        }
        let b = self.b[i];
        let size = 1.0 + b.abs();
        let (above, below) = (most <= b + SAME * size, least >= b - SAME * size);
        if least > b + OFF * size || self.equations[i] && most < b - OFF * size {
            return Some(Relation::Contradiction);
        }
        (above && (below || !self.equations[i])).then_some(Relation::Dominated)
    }

    /// Relations among rows that are multiples of one another: each limits the same expression, and the tightest limits are
    /// what counts.
    fn among(&self, group: &[usize], unit: &[Unit], out: &mut Vec<Redundant>) {
        if group.len() < 2 {
            return;
        }
        // What each row says of the common expression e: e <= limit, e >= limit, or both.
        let limit = |i: usize| self.b[i] / unit[i].1;
        let above = |i: usize| self.equations[i] || unit[i].1 > 0.0;
        let below = |i: usize| self.equations[i] || unit[i].1 < 0.0;
        let near = |p: f64, q: f64| (p - q).abs() <= SAME * (1.0 + p.abs().max(q.abs()));
        // Equations first among equal limits: they say more.
        let tightest = |side: &dyn Fn(usize) -> bool, sign: f64| {
            let all = group.iter().copied().filter(|i| side(*i));
            all.reduce(|p, q| {
                let (a, b) = (sign * limit(p), sign * limit(q));
                let better = match near(a, b) {
                    true => self.equations[q] && !self.equations[p],
                    false => b < a,
                };
                if better { q } else { p }
            })
        };
        let (top, low) = (tightest(&above, 1.0), tightest(&below, -1.0));
        let mut push = |row: usize, by: usize, how| {
            out.push(Redundant {
                row: self.of[row],
                by: By::Row(self.of[by].0, self.of[by].1),
                how,
            });
        };
        if let (Some(t), Some(l)) = (top, low)
            && limit(l) > limit(t)
            && !near(limit(l), limit(t))
        {
            push(l.max(t), l.min(t), Relation::Contradiction);
        }
        for &i in group {
            if top == Some(i) || low == Some(i) {
                continue;
            }
            let by = if above(i) { top } else { low };
            let Some(by) = by else { continue };
            let same = near(limit(i), limit(by)) && self.equations[i] == self.equations[by];
            // An equation beside others contradicts them, or says the same.
            match (same, self.equations[i]) {
                (true, _) => push(i, by, Relation::Duplicate),
                (false, true) => push(i, by, Relation::Contradiction),
                (false, false) => push(i, by, Relation::Dominated),
            }
        }
    }
}
