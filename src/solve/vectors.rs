//! What a problem has as vectors of the point beside its objective: constraints, and residuals of a sum of squares.
//!
//! Invariant: a row of constraints is at most 0 where an inequality holds, and 0 where an equation holds; the squares of the
//! residuals add up to the objective but for a constant. Values and Jacobian at one point come of one evaluation.

use std::sync::Arc;

use ravine_linalg::{Csr, Dense, Matrix, solve};

use super::batches::FiniteSum;
use super::classify::comparisons;
use super::method::Fault;
use super::methods::conditions::Pushed;
use super::oracle::Bounds;
use crate::atoms::rules;
use crate::base::Tensor;
use crate::forms::conic::squares_and_rest;
use crate::forms::rows::{Columns, List, Memo, RowSet, RowsBuilder, RowsProgram};
use crate::ir::script::{Of, Sizes};
use crate::ir::{InputId, NodeId, Problem, Sense, Sides};
use crate::passes::derive::Depends;

/// An inequality this near to its limit may carry a multiplier.
const ACTIVE: f64 = 1e-6;

/// Rows of one kind.
#[derive(Clone, Debug)]
struct Group {
    set: RowSet,
    /// The constraint that they are of.
    constraint: usize,
    equation: bool,
    /// What turns a multiplier into the dual.
    sign: f64,
    /// Weights of the squares, for residuals.
    weight: Option<List>,
}

/// The vectors as programs.
#[derive(Clone, Debug)]
pub struct Vectors {
    rows: RowsProgram,
    constraints: Result<Vec<Group>, String>,
    residuals: Result<Vec<Group>, String>,
    /// Are the feasible points known to be a convex set?
    pub(super) convex: bool,
    /// Where the programs were evaluated last.
    at: Vec<f64>,
    jacobians: [Option<Csr>; 2],
}

/// How far a point is from the first-order conditions of a problem with constraints.
#[derive(Clone, Debug, Default)]
pub struct Kkt {
    /// Largest entry of the projected gradient of the Lagrangian, and of a multiplier times its row.
    pub stationarity: f64,
    /// What `stationarity` is judged against: `1 + ‖∇f‖∞`.
    pub scale: f64,
    /// Largest violation of a row.
    pub feasibility: f64,
    /// Duals of a minimization: constraint, instance, value; a two-sided one stands twice.
    pub duals: Vec<(usize, usize, f64)>,
    /// The gradient of the Lagrangian, without the multipliers of bounds.
    pub slope: Vec<f64>,
}

impl Vectors {
    /// Compiles them, for an objective `root` to be minimized.
    pub fn new(problem: &mut Problem, root: NodeId, columns: &Columns, convex: bool) -> Vectors {
        let all = problem.constraints.clone();
        let squares = squares_and_rest(&mut problem.ir, root);
        let mut depends = Depends::on_vars(&problem.ir);
        let mut b = RowsBuilder::new(&mut problem.ir, columns.clone());
        let mut constraints = Ok(vec![]);
        for (constraint, c) in all.iter().enumerate() {
            if matches!(c.sides, Sides::In(_)) {
                constraints = Err(format!("`{}` is membership in a cone, and no row of numbers", c.name));
            }
            for (small, large, equation, sign) in comparisons(&c.sides) {
                let Ok(groups) = &mut constraints else { break };
                let body = rules::sub(b.ir, small, large);
                match b.rows(c.domain, body) {
                    Ok(set) => groups.push(Group {
                        set,
                        constraint,
                        equation,
                        sign,
                        weight: None,
                    }),
                    Err(e) => constraints = Err(format!("`{}` has no derivative here: {}", c.name, e.why)),
                }
            }
        }
        let else_constant = squares.quads.is_empty() && squares.rest.iter().all(|n| !depends.has(b.ir, *n));
        let mut residuals = match squares.squares.is_empty() || !else_constant {
            true => Err("the objective is no sum of squares".to_string()),
            false => Ok(vec![]),
        };
        for t in &squares.squares {
            let Ok(groups) = &mut residuals else { break };
            match b.rows(t.domain, t.body) {
                Ok(set) => {
                    let weight = Some(b.list(t.domain, t.weight));
                    groups.push(Group {
                        set,
                        constraint: 0,
                        equation: false,
                        sign: 1.0,
                        weight,
                    });
                }
                Err(e) => residuals = Err(format!("a residual has no derivative here: {}", e.why)),
            }
        }
        Vectors {
            rows: b.finish(),
            constraints,
            residuals,
            convex,
            at: vec![],
            jacobians: [None, None],
        }
    }

    /// Binds parameters.
    pub fn bind(&mut self, params: &[(InputId, Arc<Tensor>)]) {
        self.rows.bind(params);
        self.at.clear();
        self.jacobians = [None, None];
    }

    /// Bytes that the programs' arrays take.
    pub fn bytes(&self) -> usize {
        self.rows.bytes()
    }

    fn groups(&self, of: Of) -> Result<&[Group], Fault> {
        let groups = match of {
            Of::Constraints => &self.constraints,
            Of::Residuals => &self.residuals,
        };
        groups.as_deref().map_err(|why| Fault::NotOffered(why.clone()))
    }

    /// Number of rows, once a point was evaluated.
    fn len(&self, of: Of) -> usize {
        self.groups(of)
            .map_or(0, |g| g.iter().map(|g| self.rows.count(g.set)).sum())
    }

    /// Is a row an equation? Known once a point was evaluated.
    fn equations(&self) -> Vec<bool> {
        let groups = self.groups(Of::Constraints).unwrap_or_default();
        let of = |g: &Group| vec![g.equation; self.rows.count(g.set)];
        groups.iter().flat_map(of).collect()
    }

    /// Constraint and instance of each row of the constraints, and whether it is an equation.
    pub fn rows_at(&mut self, x: &[f64]) -> Result<(Vec<(usize, usize)>, Vec<bool>), Fault> {
        self.reach(x)?;
        let groups = self.groups(Of::Constraints)?;
        let of = groups
            .iter()
            .flat_map(|g| (0..self.rows.count(g.set)).map(|i| (g.constraint, i)))
            .collect();
        Ok((of, self.equations()))
    }

    fn reach(&mut self, x: &[f64]) -> Result<(), Fault> {
        let same = self.at.len() == x.len() && self.at.iter().zip(x).all(|(a, b)| a.to_bits() == b.to_bits());
        if same {
            return Ok(());
        }
        self.at.clear();
        self.jacobians = [None, None];
        self.rows
            .eval(x)
            .map_err(|f| not_finite("constraints or residuals", f.what))?;
        self.at.extend_from_slice(x);
        Ok(())
    }

    /// Square roots of the weights of a group's rows, 1 each for constraints.
    fn factors(&self, g: &Group) -> Result<Vec<f64>, Fault> {
        let n = self.rows.count(g.set);
        let Some(w) = g.weight else { return Ok(vec![1.0; n]) };
        let w = self.rows.values(w);
        if w.iter().any(|w| !(*w >= 0.0)) {
            return Err(Fault::Numerical(
                "a square has a negative weight, and no residual".into(),
            ));
        }
        // A weight of an enclosing region stands once.
        Ok((0..n).map(|k| w[if w.len() == n { k } else { 0 }].sqrt()).collect())
    }

    /// The values at `x` into `out`.
    pub fn values(&mut self, of: Of, x: &[f64], out: &mut [f64]) -> Result<(), Fault> {
        self.reach(x)?;
        let mut at = 0;
        for g in self.groups(of)? {
            let f = self.factors(g)?;
            let v = self.rows.body(g.set);
            for k in 0..f.len() {
                // A body that is the same in all rows stands once.
                let v = v[if v.len() == f.len() { k } else { 0 }] * f[k];
                let Some(to) = out.get_mut(at) else {
                    return Err(changed());
                };
                *to = v;
                at += 1;
            }
        }
        if at != out.len() {
            return Err(changed());
        }
        match out.iter().all(|v| v.is_finite()) {
            true => Ok(()),
            false => Err(not_finite(word(of), String::new())),
        }
    }

    /// The Jacobian at `x`: one row for each value, one column for each coordinate.
    pub fn jacobian(&mut self, of: Of, x: &[f64]) -> Result<&Csr, Fault> {
        self.reach(x)?;
        let slot = usize::from(of == Of::Residuals);
        if self.jacobians[slot].is_none() {
            let mut memo = Memo::default();
            let mut out = Csr::zeros(0, self.rows.width());
            for g in self.groups(of)? {
                // What has no value has no slope, whatever its rule gives there.
                if self.rows.body(g.set).iter().any(|v| !v.is_finite()) {
                    return Err(not_finite(word(of), String::new()));
                }
                let mut part = self.rows.jacobian(g.set, &mut memo);
                if g.weight.is_some() {
                    part.scale_rows(&self.factors(g)?);
                }
                out = out.stack(&part);
            }
            if out.values.iter().any(|v| !v.is_finite()) {
                return Err(not_finite("Jacobian", String::new()));
            }
            self.jacobians[slot] = Some(out);
        }
        Ok(self.jacobians[slot].get_or_insert_with(|| Csr::zeros(0, 0)))
    }

    /// Violations by constraint and the first-order conditions at `x`, where the objective has the gradient `g`: with the
    /// multipliers of rows near their limit that fit best, those of inequalities not negative.
    pub fn kkt(&mut self, x: &[f64], g: &[f64], bounds: Option<&Bounds>) -> Result<Kkt, Fault> {
        self.reach(x)?;
        let mut c = vec![0.0; self.len(Of::Constraints)];
        self.values(Of::Constraints, x, &mut c)?;
        let equations = self.equations();
        let far = |i: usize| if equations[i] { c[i].abs() } else { c[i].max(0.0) };
        let feasibility = (0..c.len()).map(far).fold(0.0, f64::max);
        let j = self.jacobian(Of::Constraints, x)?;
        // A coordinate within rounding of its bound is on it.
        let off = |v: f64, end: f64| end.is_infinite() || (v - end).abs() > 1e-12 * (1.0 + end.abs());
        let inside = |k: usize| bounds.is_none_or(|b| off(x[k], b.lower[k]) && off(x[k], b.upper[k]));
        let free: Vec<usize> = (0..x.len()).filter(|k| inside(*k)).collect();
        let mut active: Vec<usize> = (0..c.len()).filter(|i| equations[*i] || c[*i] >= -ACTIVE).collect();
        let mut y = vec![0.0; c.len()];
        while !active.is_empty() {
            let mut a = Dense::zeros(free.len(), active.len());
            for (q, i) in active.iter().enumerate() {
                for (p, k) in free.iter().enumerate() {
                    a.data[p * active.len() + q] = j.get(*i, *k);
                }
            }
            let rest: Vec<f64> = free.iter().map(|k| -g[*k]).collect();
            let Ok(found) = solve::least_squares(&Matrix::Dense(a), &rest) else {
                break;
            };
            let worst = (0..active.len())
                .filter(|q| !equations[active[*q]] && found.x[*q] < 0.0)
                .min_by(|a, b| found.x[*a].total_cmp(&found.x[*b]));
            match worst {
                Some(q) => {
                    active.remove(q);
                }
                None => {
                    active.iter().zip(&found.x).for_each(|(i, v)| y[*i] = *v);
                    break;
                }
            }
        }
        let mut slope = vec![0.0; x.len()];
        j.mul_vec_transposed(&y, &mut slope);
        slope.iter_mut().zip(g).for_each(|(s, g)| *s += g);
        let pushed = |k: usize| Pushed::at(bounds, k, x[k], slope[k]);
        let free = (0..x.len()).filter(|k| !pushed(*k).held());
        let scale = 1.0 + free.map(|k| g[k].abs()).fold(0.0, f64::max);
        let mut stationarity = (0..x.len()).map(|k| pushed(k).left(scale, 0.0)).fold(0.0, f64::max);
        for i in (0..c.len()).filter(|i| !equations[*i]) {
            stationarity = stationarity.max((y[i] * c[i]).abs());
        }
        let (mut duals, mut row) = (vec![], 0);
        for group in self.groups(Of::Constraints)? {
            for k in 0..self.rows.count(group.set) {
                duals.push((group.constraint, k, group.sign * y[row]));
                row += 1;
            }
        }
        Ok(Kkt {
            duals,
            stationarity,
            scale,
            feasibility,
            slope,
        })
    }

    /// Which rows are equations, as numbers, into `out`.
    pub fn mark_equations(&mut self, x: &[f64], out: &mut [f64]) -> Result<(), Fault> {
        if self.at.is_empty() {
            // How many rows there are is known even where they are not finite.
            let _ = self.rows.eval(x);
        }
        let marks = self.equations();
        if marks.len() != out.len() {
            return Err(changed());
        }
        out.iter_mut().zip(marks).for_each(|(o, e)| *o = f64::from(u8::from(e)));
        Ok(())
    }
}

/// How long the vectors of a problem are for these parameters.
pub fn sizes(problem: &Problem, params: &[(InputId, Arc<Tensor>)]) -> Sizes {
    let mut p = problem.clone();
    let mut columns = Columns::default();
    for v in &p.vars {
        columns.push(&p.ir, v.input);
    }
    crate::passes::canonical(&mut p);
    let root = match &p.objective {
        Some(o) if o.sense == Sense::Maximize => rules::neg(&mut p.ir, o.node),
        Some(o) => o.node,
        None => p.ir.constant(0.0),
    };
    let terms = FiniteSum::find(&p.ir, root, None).map(|s| s.terms);
    let mut v = Vectors::new(&mut p, root, &columns, false);
    v.bind(params);
    // A point where something is not finite has as many rows.
    let _ = v.rows.eval(&vec![0.0; columns.len()]);
    let counted = |g: &Group| (p.constraints[g.constraint].name.clone(), v.rows.count(g.set));
    Sizes {
        constraints: match &v.constraints {
            Ok(g) if g.is_empty() => Err("it has no constraints beyond bounds".into()),
            Ok(g) => Ok(g.iter().map(counted).fold(vec![], |mut all, (name, n)| {
                match all.last_mut() {
                    Some((last, m)) if *last == name => *m += n,
                    _ => all.push((name, n)),
                }
                all
            })),
            Err(why) => Err(why.clone()),
        },
        residuals: v
            .residuals
            .as_ref()
            .map_err(String::clone)
            .map(|_| v.len(Of::Residuals)),
        terms,
    }
}

fn word(of: Of) -> &'static str {
    match of {
        Of::Constraints => "constraints",
        Of::Residuals => "residuals",
    }
}

fn not_finite(what: &str, message: String) -> Fault {
    Fault::NotFinite {
        what: what.into(),
        index: None,
        node: None,
        message,
    }
}

fn changed() -> Fault {
    Fault::Numerical("the number of rows is another than when the step was compiled".into())
}
