//! A smallest set of constraints that cannot hold together, taken out of a certificate of infeasibility.
//!
//! Invariant: what is answered was proved: the whole set by a checked certificate, and for each member a solve without it
//! that found no such proof. Method: the support of the certificate, then the deletion filter (Chinneck and Dravnieks,
//! ORSA J. Computing 3, 1991), each proof shrinking the set to its own support.

use std::sync::Arc;

use ravine_linalg::Csr;
use ravine_linalg::clarabel_adapter::{Cone, ConicForm};

use super::classify::Kind;
use super::compiled::Compiled;
use super::method::{Class, Seed};
use super::methods::{self, clarabel};
use super::oracle::{Form, FormOracle};
use super::run::{Options, Run, Watch};
use super::state::Point;
use super::stop::Status;
use super::verify;
use crate::base::Tensor;
use crate::exec::Fault;
use crate::ir::InputId;

/// Multipliers below this part of the largest one do not count.
const SMALL: f64 = 1e-9;
/// Solves at most; beyond, the set is not claimed to be smallest.
const SOLVES: usize = 1000;

/// One of the constraints that cannot hold together.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Member {
    /// An instance of a constraint.
    Row(usize, usize),
    /// The lower bound of a coordinate.
    Lower(usize),
    /// The upper bound of a coordinate.
    Upper(usize),
    /// A coordinate whose bounds meet.
    Fixed(usize),
}

/// What was found.
#[derive(Clone, Debug, PartialEq)]
pub enum Conflict {
    /// These cannot hold together; is each of them needed for that?
    Found(Vec<Member>, bool),
    /// All constraints can hold together.
    None,
    /// Neither was proved.
    Unknown(Status),
    /// The problem is no cone program.
    NotConic,
}

/// Rows that stand or fall together.
struct Unit {
    member: Option<Member>,
    first: usize,
    cone: Cone,
}

impl Compiled {
    /// Looks for a smallest set of constraints that cannot hold together.
    pub fn conflict(
        &mut self,
        params: &[(InputId, Arc<Tensor>)],
        watch: &Arc<Watch>,
        now: &dyn Fn() -> f64,
    ) -> Result<Conflict, Fault> {
        self.model.bind(params)?;
        let (l, u) = self.model.bounds();
        if let Some(k) = l.iter().zip(&u).position(|(l, u)| l > u) {
            return Ok(Conflict::Found(vec![Member::Lower(k), Member::Upper(k)], true));
        }
        let Kind::Conic(program) = &mut self.kind else {
            return Ok(Conflict::NotConic);
        };
        program.rows.bind(params);
        let bound = program.data(&l, &u)?;
        let (l, u) = bound.fold.bounds(&l, &u);
        let units = units(&bound.form, &bound.spans, &self.origins, &l, &u);
        let solve = |keep: &[bool]| infeasible(&bound.form, &units, keep, self.class, watch, now);
        let mut keep = vec![true; units.len()];
        let (status, proof) = solve(&keep);
        let Some(z) = proof else {
            return Ok(match status {
                Status::Optimal => Conflict::None,
                other => Conflict::Unknown(other),
            });
        };
        let mut solves = 1;
        let narrowed = support(&units, &keep, &z);
        // Multipliers that were left out may have mattered together.
        if let (_, Some(z)) = solve(&narrowed) {
            keep = support(&units, &narrowed, &z);
        }
        for k in (0..units.len()).rev() {
            if !keep[k] || units[k].member.is_none() {
                continue;
            }
            if solves >= SOLVES || watch.interrupt.load(std::sync::atomic::Ordering::Relaxed) {
                return Ok(Conflict::Found(members(&units, &keep), false));
            }
            solves += 1;
            let mut without = keep.clone();
            without[k] = false;
            if let (_, Some(z)) = solve(&without) {
                keep = support(&units, &without, &z);
            }
        }
        Ok(Conflict::Found(members(&units, &keep), true))
    }
}

fn members(units: &[Unit], keep: &[bool]) -> Vec<Member> {
    let mut out: Vec<Member> = vec![];
    for m in units.iter().zip(keep).filter(|k| *k.1).filter_map(|(u, _)| u.member) {
        if !out.contains(&m) {
            out.push(m);
        }
    }
    out
}

/// The rows of a form as units that can be left out, definitions of auxiliary variables as ones that cannot.
fn units(
    form: &ConicForm,
    spans: &[(usize, usize)],
    origins: &[(usize, usize, f64)],
    l: &[f64],
    u: &[f64],
) -> Vec<Unit> {
    let rows_of_groups = spans.last().map_or(0, |s| s.0 + s.1);
    let mut out = vec![];
    let mut first = 0;
    let mut instance = (usize::MAX, 0);
    let mut bounds = bounds_in_order(l, u).into_iter();
    for cone in &form.cones {
        let pieces = match *cone {
            Cone::Zero(n) => vec![Cone::Zero(1); n],
            Cone::Nonneg(n) => vec![Cone::Nonneg(1); n],
            whole => vec![whole],
        };
        for cone in pieces {
            let member = if first >= rows_of_groups {
                bounds.next()
            } else {
                // Of a matrix or a triple, its first entry stands for all.
                let own = match cone {
                    Cone::Semidefinite(n) => n * n,
                    Cone::Exp | Cone::Power(_) => 3,
                    _ => 1,
                };
                let group = spans.partition_point(|s| s.0 <= first).saturating_sub(1);
                instance = match instance {
                    // Equations behind matrices say that those are symmetric.
                    (g, k) if g == group && out.last().is_some_and(|u: &Unit| same(u.cone, cone)) => (g, k + 1),
                    (g, k) if g == group => (g, k),
                    _ => (group, 0),
                };
                let origin = origins.iter().find(|o| o.0 == group);
                origin.map(|o| Member::Row(o.1, instance.1 * own))
            };
            out.push(Unit { member, first, cone });
            first += cone.rows();
        }
    }
    out
}

fn same(a: Cone, b: Cone) -> bool {
    std::mem::discriminant(&a) == std::mem::discriminant(&b)
}

/// Bounds in the order of a form's last rows.
fn bounds_in_order(l: &[f64], u: &[f64]) -> Vec<Member> {
    let mut out = vec![];
    for (k, (l, u)) in l.iter().zip(u).enumerate() {
        if l == u {
            out.push(Member::Fixed(k));
            continue;
        }
        if l.is_finite() {
            out.push(Member::Lower(k));
        }
        if u.is_finite() {
            out.push(Member::Upper(k));
        }
    }
    out
}

/// Units that a certificate rests on, and those that cannot be left out.
fn support(units: &[Unit], keep: &[bool], z: &[f64]) -> Vec<bool> {
    let most = z.iter().fold(0.0f64, |m, v| m.max(v.abs()));
    let mut at = 0;
    let mut out = vec![false; units.len()];
    for (k, unit) in units.iter().enumerate().filter(|(k, _)| keep[*k]) {
        let n = unit.cone.rows();
        let used = z[at..at + n].iter().any(|v| v.abs() > SMALL * most);
        out[k] = unit.member.is_none() || used;
        at += n;
    }
    out
}

/// Solves for any point that satisfies the kept units; multipliers that prove there is none, if they do.
fn infeasible(
    form: &ConicForm,
    units: &[Unit],
    keep: &[bool],
    class: Class,
    watch: &Arc<Watch>,
    now: &dyn Fn() -> f64,
) -> (Status, Option<Vec<f64>>) {
    let n = form.q.len();
    let mut a = Csr::zeros(0, n);
    let mut b = vec![];
    let mut cones = vec![];
    for unit in units.iter().zip(keep).filter(|k| *k.1).map(|k| k.0) {
        for r in unit.first..unit.first + unit.cone.rows() {
            let (c, v) = form.a.row(r);
            a.indices.extend_from_slice(c);
            a.values.extend_from_slice(v);
            a.indptr.push(a.indices.len());
            a.rows += 1;
            b.push(form.b[r]);
        }
        cones.push(unit.cone);
    }
    let sub = ConicForm {
        p: Csr::zeros(n, n),
        q: vec![0.0; n],
        a,
        b,
        cones,
    };
    let mut oracle = FormOracle {
        class,
        form: Form::Conic {
            form: sub,
            constant: 0.0,
        },
    };
    let options = Options {
        seed: Seed(0),
        ..Options::default()
    };
    let method = methods::default(&clarabel::CARD);
    let Ok(mut run) = Run::new(method, &mut oracle, &Point::plain(vec![0.0; n]), options) else {
        return (Status::EvaluationError, None);
    };
    run.set_watch(watch.clone());
    while run.advance(&mut oracle, u64::MAX, now).is_none() {}
    let done = run.finished();
    let Form::Conic { form, .. } = &oracle.form else {
        return (done.claim, None);
    };
    let proved = done.claim == Status::Infeasible && verify::proves_infeasible(form, &done.multipliers);
    (done.claim, proved.then_some(done.multipliers))
}
