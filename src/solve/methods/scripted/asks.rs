//! What a script asks of the problem, answered into its registers.
//!
//! Invariant: the last gradient at the same point, bit for bit, is not asked for again where the script keeps it.

use super::super::super::corners::Corners;
use super::super::super::method::Fault;
use super::super::super::oracle::{Counts, Oracle};
use super::{Frame, Scripted};
use crate::ir::script::{Ask, Of, Reg, Script};

/// Of the evaluations that an answer took, those that only a record or a stop asked for.
pub(super) fn aside(script: &Script, out: Reg, value: Option<Reg>, made: &Counts) -> Counts {
    let looks = |r: Reg| script.beside.contains(&r);
    match (looks(out), value.map(looks)) {
        (true, None | Some(true)) => *made,
        (true, Some(false)) => Counts {
            gradients: made.gradients,
            batches: made.batches,
            ..Counts::default()
        },
        (false, Some(true)) => Counts {
            values: made.values,
            batch_values: made.batch_values,
            ..Counts::default()
        },
        (false, _) => Counts::default(),
    }
}

/// A value for points that may be refused: infinite where there is none.
fn finite_or_infinite(found: Result<f64, Fault>) -> Result<f64, Fault> {
    match found {
        Err(Fault::NotFinite { .. }) => Ok(f64::INFINITY),
        Ok(y) if y.is_nan() => Ok(f64::INFINITY),
        found => found,
    }
}

/// The columns of the Hessian one by one, by products, where it has no structure of its own.
fn columns(problem: &mut dyn Oracle, x: &[f64], take: &mut dyn FnMut(usize, &[f64])) -> Result<(), Fault> {
    let mut e = vec![0.0; x.len()];
    let mut h = vec![0.0; x.len()];
    for j in 0..x.len() {
        e[j] = 1.0;
        problem.hvp(x, &e, &mut h)?;
        e[j] = 0.0;
        take(j, &h);
    }
    Ok(())
}

impl Scripted {
    pub(super) fn ask(
        &self,
        what: Ask,
        args: &[Reg],
        (batch, value): (Option<Reg>, Option<Reg>),
        out: Reg,
        problem: &mut dyn Oracle,
        f: &mut Frame,
    ) -> Result<(), Fault> {
        if batch.is_none() && self.recalled(what, args[0], value, out, f) {
            return Ok(());
        }
        let mut objective = None;
        let mut v = std::mem::take(&mut f.regs[out]);
        let x = &f.regs[args[0]];
        let r = match (what, batch) {
            (Ask::Value, None) => problem.value(x).map(|y| v[0] = y),
            (Ask::Value, Some(b)) => problem.value_on(x, &f.regs[b]).map(|y| v[0] = y),
            (Ask::Trial, None) => finite_or_infinite(self.trial(problem, x)).map(|y| v[0] = y),
            (Ask::Gradient | Ask::Operator, None) if value.is_none() => {
                let mut x = std::mem::take(&mut f.regs[args[0]]);
                let r = problem.gradient_between(&mut x, &mut v);
                f.regs[args[0]] = x;
                r
            }
            (Ask::Gradient, b) => match b {
                None => problem.value_gradient(x, &mut v),
                Some(b) => problem.value_gradient_on(x, &f.regs[b], &mut v),
            }
            .map(|y| objective = Some(y)),
            (Ask::Product, Some(b)) => problem.hvp_on(x, &f.regs[args[1]], &f.regs[b], &mut v),
            (Ask::Product, None) => problem.hvp(x, &f.regs[args[1]], &mut v),
            (Ask::Hessian, None) => match problem.hessian(x, &mut f.hessian) {
                Err(Fault::NotOffered(_)) => {
                    let n = x.len();
                    columns(problem, x, &mut |j, h| (0..n).for_each(|i| v[i * n + j] = h[i]))
                }
                found => found.map(|()| {
                    let n = x.len();
                    v.fill(0.0);
                    for i in 0..n {
                        let (c, w) = f.hessian.row(i);
                        for (j, a) in c.iter().zip(w) {
                            v[i * n + j] = *a;
                            v[j * n + i] = *a;
                        }
                    }
                }),
            },
            (Ask::Diagonal, None) => match problem.hessian(x, &mut f.hessian) {
                Err(Fault::NotOffered(_)) => columns(problem, x, &mut |j, h| v[j] = h[j]),
                found => found.map(|()| {
                    v.fill(0.0);
                    for i in 0..x.len() {
                        let (c, w) = f.hessian.row(i);
                        c.iter().zip(w).filter(|(j, _)| **j == i).for_each(|(_, a)| v[i] += *a);
                    }
                }),
            },
            (Ask::LinearMinimum | Ask::Away | Ask::Reach, None) => {
                let (parts, bounds) = (problem.parts(), problem.bounds());
                let corners = match (&parts, &bounds) {
                    (Some(p), _) => Corners::of_sets(&p.simple),
                    (None, Some(b)) => Corners::of_bounds(b),
                    (None, None) => Corners::default(),
                };
                match what {
                    Ask::LinearMinimum => corners.least(x, &mut v),
                    Ask::Away => corners.away(x, &f.regs[args[1]], &mut v),
                    _ => {
                        v[0] = corners.reach(x, &f.regs[args[1]]);
                        Ok(())
                    }
                }
            }
            (Ask::Project, None) => {
                v.copy_from_slice(x);
                problem.project(&mut v)
            }
            (Ask::Prox, None) => {
                v.copy_from_slice(x);
                problem.prox(&mut v, f.regs[args[1]][0])
            }
            (Ask::Vector(of), None) => problem.vector(of, x, &mut v),
            (Ask::Jacobian(of), None) => problem.jacobian(of, x).map(|j| {
                v.fill(0.0);
                let n = x.len();
                for (i, k, a) in j.triplets() {
                    v[i * n + k] += a;
                }
            }),
            (Ask::Along(of), None) => problem.jacobian_product(of, x, &f.regs[args[1]], false, &mut v),
            (Ask::Against(of), None) => problem.jacobian_product(of, x, &f.regs[args[1]], true, &mut v),
            (Ask::Gradients, None) => {
                let mut rows = v.chunks_exact_mut(x.len().max(1)).enumerate();
                rows.try_for_each(|(k, row)| problem.value_gradient_on(x, &[k as f64], row).map(drop))
            }
            (Ask::Smooth, None) => finite_or_infinite(problem.smooth_value(x)).map(|y| v[0] = y),
            _ => Err(Fault::NotOffered(what.word().into())),
        };
        f.regs[out] = v;
        if let (Some(to), Some(y)) = (value, objective) {
            f.regs[to][0] = y;
            if batch.is_some() {
                problem.tally(&Counts {
                    batch_values: 1,
                    ..Counts::default()
                });
            }
        }
        if let (Some(k), Ask::Gradient, None, Ok(())) = (self.script.known, what, batch, &r) {
            for (to, from) in [(k.point, args[0]), (k.gradient, out)] {
                let mut v = std::mem::take(&mut f.regs[to]);
                v.copy_from_slice(&f.regs[from]);
                f.regs[to] = v;
            }
            f.regs[k.value][0] = objective.unwrap_or(0.0);
            f.regs[k.what][0] = if objective.is_some() { 2.0 } else { 1.0 };
        }
        r
    }

    /// The objective at a point where the constraints that a step asks for have values and slopes, too.
    fn trial(&self, problem: &mut dyn Oracle, x: &[f64]) -> Result<f64, Fault> {
        let y = problem.value(x)?;
        if self.card.needs.constraints {
            problem.jacobian(Of::Constraints, x)?;
        }
        Ok(y)
    }

    /// Answers from the last gradient, where it was at the same point: the one at which a line search ended is not
    /// evaluated again.
    fn recalled(&self, what: Ask, at: Reg, value: Option<Reg>, out: Reg, f: &mut Frame) -> bool {
        let Some(k) = self.script.known else { return false };
        let least = match what {
            Ask::Gradient if value.is_none() => 1.0,
            Ask::Gradient | Ask::Value => 2.0,
            _ => return false,
        };
        let same = |a: &[f64], b: &[f64]| a.iter().zip(b).all(|(a, b)| a.to_bits() == b.to_bits());
        if f.regs[k.what][0] < least || !same(&f.regs[k.point], &f.regs[at]) {
            return false;
        }
        let y = f.regs[k.value][0];
        if what == Ask::Value {
            f.regs[out][0] = y;
            return true;
        }
        let mut v = std::mem::take(&mut f.regs[out]);
        v.copy_from_slice(&f.regs[k.gradient]);
        f.regs[out] = v;
        if let Some(to) = value {
            f.regs[to][0] = y;
        }
        true
    }
}
