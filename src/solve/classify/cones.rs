//! The conic form of a problem: squares and quadratics of variables, affine rows in cones.
//!
//! Invariant: every constraint of the problem is one group of rows, remembered with the factor of its dual.

use std::collections::BTreeSet;

use super::super::method::Class;
use super::comparisons;
use crate::atoms::rules;
use crate::forms::conic::{ConeRows, Conic, NotConic, Parts, QuadTerm, Side, SquareTerm, squares_and_rest};
use crate::forms::matrices::Fold;
use crate::forms::program::ConicProgram;
use crate::forms::rows::{Columns, RowsBuilder};
use crate::ir::atom::{Block, Fill};
use crate::ir::{Constraint, InputId, Member, Node, NodeId, Problem, Sides, Sign};
use crate::passes::analysis::curvature::{FactsTable, degree};
use crate::passes::inline::inline_maps;

/// The form, its class, and which group of rows came from which constraint, with the factor of its dual.
pub(super) type Built = (ConicProgram, Class, Vec<(usize, usize, f64)>);

/// The conic form of a problem.
pub(super) fn conic(
    problem: &mut Problem,
    root: NodeId,
    taken: &Parts,
    facts: &FactsTable,
    columns: &Columns,
    whole: &BTreeSet<NodeId>,
) -> Result<Built, NotConic> {
    let constraints = problem.constraints.clone();
    let mut c = Conic::new(&mut problem.ir, facts, whole);
    let convex = facts.get(root).is_none_or(|f| f.curvature.is_convex());
    if !convex {
        let node = facts.get(root).and_then(|f| f.rule.culprit).unwrap_or(root);
        return Err(NotConic {
            node,
            why: "the objective is not convex by the rules".into(),
        });
    }
    let mut rows: Vec<ConeRows> = vec![];
    let mut linear = vec![];
    let mut squares: Vec<SquareTerm> = taken.squares.iter().map(|t| square(&mut c, t, &mut rows)).collect();
    for n in &taken.rest {
        let Some((beyond, rest)) = squares_beyond(&mut c, *n)? else {
            linear.push(c.replace(*n, Side::Above)?);
            continue;
        };
        squares.extend(beyond.iter().map(|t| square(&mut c, t, &mut rows)));
        for n in rest {
            linear.push(c.replace(n, Side::Above)?);
        }
    }
    let quads: Vec<QuadTerm> = taken.quads.iter().map(|q| quadratic(&mut c, q, &mut rows)).collect();
    let mut origins = vec![];
    for (k, con) in constraints.iter().enumerate() {
        constraint(&mut c, (k, con), whole, &mut rows, &mut origins)?;
    }
    let class = if c.semidefinite {
        Class::Semidefinite
    } else if c.exponential {
        Class::Conic
    } else if c.second_order {
        Class::SecondOrderCone
    } else if squares.is_empty() && quads.is_empty() && taken.whole.is_empty() {
        Class::Linear
    } else {
        Class::ConvexQuadratic
    };
    rows.append(&mut c.rows);
    let mut all = columns.clone();
    for a in c.aux.clone() {
        all.push(c.ir, a);
    }
    let symmetric: Vec<InputId> = problem.vars.iter().filter(|v| v.symmetric).map(|v| v.input).collect();
    let fold = Fold::new(&problem.ir, &all, &symmetric);
    let b = RowsBuilder::new(&mut problem.ir, all);
    let program = ConicProgram::new(b, &rows, &linear, &squares, &quads, &taken.whole, fold).map_err(|e| NotConic {
        node: e.node,
        why: e.why,
    })?;
    Ok((program, class, origins))
}

/// Squares such as `max(x, 0)^2` that a root scalar adds up, as squares of affine expressions, and the scalars that are left;
/// nothing where one of them bends another way.
fn squares_beyond(c: &mut Conic<'_>, n: NodeId) -> Result<Option<(Vec<SquareTerm>, Vec<NodeId>)>, NotConic> {
    let found = squares_and_rest(c.ir, n);
    if found.squares.is_empty() || !found.quads.is_empty() {
        return Ok(None);
    }
    let mut beyond = vec![];
    for t in &found.squares {
        let Some(t) = c.square_beyond(t)? else { return Ok(None) };
        beyond.push(t);
    }
    Ok(Some((beyond, found.rest)))
}

/// The square of an affine expression is the square of a variable that equals it.
fn square(c: &mut Conic<'_>, t: &SquareTerm, rows: &mut Vec<ConeRows>) -> SquareTerm {
    let plain = matches!(c.ir.node(t.body), Node::Gather { array, .. } if c.ir.is_var(*array)) || c.ir.is_var(t.body);
    if plain {
        return t.clone();
    }
    let r = c.auxiliary(t.domain, "r", Sign::Unknown);
    let body = rules::sub(c.ir, r, t.body);
    rows.push(ConeRows::Zero { domain: t.domain, body });
    SquareTerm {
        domain: t.domain,
        weight: t.weight,
        body: r,
    }
}

/// Likewise the quadratic of an affine expression.
fn quadratic(c: &mut Conic<'_>, q: &QuadTerm, rows: &mut Vec<ConeRows>) -> QuadTerm {
    if c.ir.is_var(q.x) {
        return q.clone();
    }
    let n = c.ir.shape(q.x).to_vec();
    let (d, ix) = rules::plain_domain(c.ir, &n);
    let y = c.auxiliary(d, "y", Sign::Unknown);
    let x = rules::entry(c.ir, q.x, &ix);
    let x = inline_maps(c.ir, x);
    let body = rules::sub(c.ir, y, x);
    rows.push(ConeRows::Zero { domain: d, body });
    let array = match c.ir.node(y) {
        Node::Gather { array, .. } => *array,
        _ => y,
    };
    QuadTerm {
        weight: q.weight,
        x: array,
        p: q.p,
    }
}

/// The rows of the `k`-th constraint.
fn constraint(
    c: &mut Conic<'_>,
    (k, con): (usize, &Constraint),
    whole: &BTreeSet<NodeId>,
    rows: &mut Vec<ConeRows>,
    origins: &mut Vec<(usize, usize, f64)>,
) -> Result<(), NotConic> {
    if let Sides::In(member) = con.sides {
        origins.push((rows.len(), k, 1.0));
        rows.push(membership(c, con, member)?);
    }
    for (small, large, equation, sign) in comparisons(&con.sides) {
        let (s, l) = if equation {
            for n in [small, large] {
                if degree(c.ir, n) > 1 {
                    return Err(NotConic {
                        node: n,
                        why: "an equation is not affine".into(),
                    });
                }
            }
            (small, large)
        } else {
            let difference = rules::sub(c.ir, small, large);
            if whole.contains(&difference) {
                (c.replace(difference, Side::Above)?, c.ir.constant(0.0))
            } else {
                (c.replace(small, Side::Above)?, c.replace(large, Side::Below)?)
            }
        };
        let body = rules::sub(c.ir, l, s);
        origins.push((rows.len(), k, sign));
        rows.push(if equation {
            ConeRows::Zero {
                domain: con.domain,
                body,
            }
        } else {
            ConeRows::Nonneg {
                domain: con.domain,
                body,
            }
        });
    }
    Ok(())
}

/// The rows of a cone that the user wrote.
fn membership(c: &mut Conic<'_>, con: &Constraint, member: Member) -> Result<ConeRows, NotConic> {
    for (_, node) in con.sides.nodes(con.domain) {
        if degree(c.ir, node) > 1 {
            return Err(NotConic {
                node,
                why: "what lies in a cone is not affine".into(),
            });
        }
    }
    Ok(match member {
        Member::Semidefinite { entries, entry } => {
            c.semidefinite = true;
            ConeRows::Semidefinite {
                domain: con.domain,
                orders: vec![c.ir.domain_shape(entries).first().copied().unwrap_or(0)],
                blocks: vec![Block {
                    row: 0,
                    col: 0,
                    fill: Fill::Entries(entries, entry),
                }],
                exact: true,
            }
        }
        Member::Exponential(xyz) => {
            c.exponential = true;
            ConeRows::Exponential {
                domain: con.domain,
                xyz,
            }
        }
        Member::Power(xyz, a) => {
            c.exponential = true;
            ConeRows::Power {
                domain: con.domain,
                xyz,
                a,
            }
        }
    })
}
