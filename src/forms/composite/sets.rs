//! Constraints that are sets with a closed projection: bounds, balls, simplices.
//!
//! Invariant: every set keeps which constraint it came from, and its multiplier is read off the gradient of the rest.

use super::{Composite, LinearEntry, NotBound, linear_entry};
use crate::atoms::{self, rules};
use crate::forms::conic::NotConic;
use crate::forms::rows::{List, NoRows, Places, RowsBuilder};
use crate::forms::simple::{Block, Piece, Simple};
use crate::ir::{AtomRef, Constraint, DomainId, Ir, Node, NodeId, Sides};
use crate::passes::derive::Depends;

/// What is held against the limit.
#[derive(Clone, Copy, Debug, PartialEq)]
enum Held {
    /// One entry.
    Entry,
    /// Its absolute value.
    Size,
    /// A reduction over entries.
    Fold(AtomRef),
}

/// Which way.
#[derive(Clone, Copy, Debug, PartialEq)]
enum Way {
    Below,
    Above,
    Equal,
}

/// A constraint as it stands in the program.
#[derive(Clone, Debug)]
pub struct Set {
    constraint: usize,
    held: Held,
    way: Way,
    /// What the dual is of the derivative by the limit: 1 or -1.
    factor: f64,
    outer: DomainId,
    inner: DomainId,
    entry: LinearEntry,
    limit: NodeId,
}

/// The constraints as sets; the error is the first that is none.
pub fn sets(ir: &mut Ir, constraints: &[Constraint]) -> Result<Vec<Set>, (usize, NotConic)> {
    let mut out = vec![];
    for (k, c) in constraints.iter().enumerate() {
        // Held, limit, way, factor of the derivative by the limit.
        let sides: Vec<(NodeId, NodeId, Way, f64)> = {
            let mut depends = Depends::on_vars(ir);
            let mut one = |small: NodeId, large: NodeId, first_is_small: bool| {
                let sign = if first_is_small { 1.0 } else { -1.0 };
                if depends.has(ir, small) {
                    (small, large, Way::Below, sign)
                } else {
                    (large, small, Way::Above, -sign)
                }
            };
            match c.sides {
                Sides::Le(a, b) => vec![one(a, b, true)],
                Sides::Ge(a, b) => vec![one(b, a, false)],
                Sides::Between(l, e, u) => vec![one(l, e, true), one(e, u, true)],
                Sides::In(_) => {
                    let node = ir.constant(0.0);
                    let why = "membership in a cone has no projection here".to_string();
                    return Err((k, NotConic { node, why }));
                }
                Sides::Eq(a, b) => {
                    let (held, limit, _, sign) = one(a, b, true);
                    vec![(held, limit, Way::Equal, sign)]
                }
            }
        };
        for (held, limit, way, factor) in sides {
            let found = set(ir, k, c.domain, held, limit, way, factor);
            out.push(found.map_err(|e| (k, e))?);
        }
    }
    Ok(out)
}

fn set(
    ir: &mut Ir,
    constraint: usize,
    outer: DomainId,
    held: NodeId,
    limit: NodeId,
    way: Way,
    factor: f64,
) -> Result<Set, NotConic> {
    let mut depends = Depends::on_vars(ir);
    let no = |why: &str| {
        Err(NotConic {
            node: held,
            why: why.into(),
        })
    };
    if depends.has(ir, limit) {
        return no("both sides hold variables");
    }
    let (kind, inner, body) = match ir.node(held).clone() {
        Node::Fold { atom, domain, body } if ir.domain(domain).parent == Some(outer) => {
            (Held::Fold(atom), domain, body)
        }
        Node::Apply { atom, args } if atom == atoms::ABS => (Held::Size, outer, args[0]),
        _ => (Held::Entry, outer, held),
    };
    let Some(entry) = linear_entry(ir, &mut depends, body) else {
        return no("it is no set of the variables themselves");
    };
    let plain = rules::is(ir, entry.shift, 0.0) && ir.encloses(ir.region(entry.scale), outer);
    let fits = match (kind, way) {
        (Held::Entry, _) => true,
        (Held::Size, Way::Below) => rules::is(ir, entry.shift, 0.0),
        (Held::Fold(a), Way::Below) => {
            plain && [atoms::NORM, atoms::NORM1, atoms::NORMINF, atoms::SUMSQ, atoms::SUM].contains(&a)
        }
        (Held::Fold(a), Way::Equal) => plain && a == atoms::SUM,
        _ => false,
    };
    if !fits {
        return no("it has no closed projection");
    }
    Ok(Set {
        constraint,
        held: kind,
        way,
        factor,
        outer,
        inner,
        entry,
        limit,
    })
}

impl Set {
    /// As programs of the parameters.
    pub fn bind(&self, b: &mut RowsBuilder<'_>) -> Result<BoundSet, NoRows> {
        Ok(BoundSet {
            constraint: self.constraint,
            held: self.held,
            way: self.way,
            factor: self.factor,
            outer: self.outer,
            inner: self.inner,
            places: b.places(self.inner, self.entry.array, &self.entry.at)?,
            scale: b.list(self.inner, self.entry.scale),
            shift: b.list(self.inner, self.entry.shift),
            limit: b.list(self.outer, self.limit),
        })
    }
}

/// A set as programs of the parameters.
#[derive(Clone, Debug)]
pub struct BoundSet {
    constraint: usize,
    held: Held,
    way: Way,
    factor: f64,
    outer: DomainId,
    inner: DomainId,
    places: Places,
    scale: List,
    shift: List,
    limit: List,
}

/// One instance: its limit, coordinates, scale and shift of the first.
struct Instance {
    limit: f64,
    at: Vec<usize>,
    scale: f64,
    shift: f64,
}

impl BoundSet {
    /// Does it hold single entries?
    pub fn is_bound(&self) -> bool {
        !matches!(self.held, Held::Fold(f) if f != atoms::NORMINF)
    }

    fn instances(&self, c: &Composite) -> Vec<Instance> {
        let up = c.rows.ancestors(self.inner, self.outer);
        let (scale, shift) = (c.rows.values(self.scale), c.rows.values(self.shift));
        let limits = c.rows.values(self.limit);
        let mut out: Vec<Instance> = limits
            .iter()
            .map(|l| Instance {
                limit: *l,
                at: vec![],
                scale: 1.0,
                shift: 0.0,
            })
            .collect();
        for (k, i) in c.flat(&self.places).into_iter().enumerate() {
            let one = &mut out[up[k]];
            if one.at.is_empty() {
                (one.scale, one.shift) = (scale[k], shift[k]);
            }
            one.at.push(i);
        }
        out
    }

    /// Adds the set to the simple part.
    pub fn apply(&self, c: &Composite, out: &mut Simple) -> Result<(), NotBound> {
        let why = |s: &str| Err(NotBound::Why(s.into()));
        for one in self.instances(c) {
            let (a, limit) = (one.scale, one.limit);
            if a == 0.0 || !limit.is_finite() {
                return why("a set has a factor 0 or a limit that is no number");
            }
            let size = a.abs();
            let mut within = |i: usize, lo: f64, hi: f64| {
                out.lower[i] = out.lower[i].max(lo);
                out.upper[i] = out.upper[i].min(hi);
            };
            let (inf, end) = (f64::INFINITY, (limit - one.shift) / a);
            let piece = match (self.held, self.way) {
                (Held::Entry, way) => {
                    let upper = (way == Way::Below) == (a > 0.0);
                    let (lo, hi) = match way {
                        Way::Equal => (end, end),
                        _ if upper => (-inf, end),
                        _ => (end, inf),
                    };
                    one.at.iter().for_each(|i| within(*i, lo, hi));
                    continue;
                }
                (Held::Size, _) => {
                    one.at.iter().for_each(|i| within(*i, -limit / size, limit / size));
                    continue;
                }
                (Held::Fold(f), _) if f == atoms::NORMINF => {
                    one.at.iter().for_each(|i| within(*i, -limit / size, limit / size));
                    continue;
                }
                (Held::Fold(f), _) if limit < 0.0 && f != atoms::SUM => return why("a ball has a negative radius"),
                (Held::Fold(f), _) if f == atoms::NORM => Piece::Ball(limit / size),
                (Held::Fold(f), _) if f == atoms::SUMSQ => Piece::Ball(limit.sqrt() / size),
                (Held::Fold(f), _) if f == atoms::NORM1 => Piece::Ball1(limit / size),
                (Held::Fold(_), way) => {
                    let nonnegative = one.at.iter().all(|i| out.lower[*i] == 0.0 && out.upper[*i] == inf);
                    if !nonnegative || a < 0.0 || limit <= 0.0 {
                        return why(
                            "a limit of a sum is a simplex where the variables are at least 0 and have no other bound",
                        );
                    }
                    if way == Way::Equal {
                        Piece::Simplex(end)
                    } else {
                        Piece::Capped(end)
                    }
                }
            };
            out.blocks.push(Block { at: one.at, piece });
        }
        if out.lower.iter().zip(&out.upper).any(|(l, u)| l > u) {
            return why("no point satisfies the bounds");
        }
        Ok(())
    }

    /// Adds the duals of the constraint at `x`, where the smooth part has the gradient `g`.
    fn duals(&self, c: &Composite, s: &Simple, x: &[f64], g: &[f64], out: &mut [Vec<f64>]) {
        // The slope of all but the set, coordinate by coordinate: where a penalty holds one at 0, what it cannot hold.
        let slope = |i: usize| {
            let v = if x[i] != 0.0 {
                g[i] + s.l1[i] * x[i].signum()
            } else {
                atoms::prox::abs(g[i], s.l1[i])
            };
            if x[i] == 0.0 && s.lower[i] == 0.0 {
                v.min(0.0)
            } else {
                v
            }
        };
        for (k, one) in self.instances(c).into_iter().enumerate() {
            let a = one.scale;
            let active = |value: f64| (one.limit - value).abs() <= 1e-9 * (1.0 + one.limit.abs());
            let part: Vec<f64> = one.at.iter().map(|i| x[*i]).collect();
            let slopes: Vec<f64> = one.at.iter().map(|i| slope(*i)).collect();
            let along = ravine_linalg::reduce::dot(&part, &slopes);
            let own = |i: usize| g[i] + if x[i] < 0.0 { -s.l1[i] } else { s.l1[i] };
            let by_limit = match self.held {
                Held::Entry => {
                    let upper = (self.way == Way::Below) == (a > 0.0);
                    let kept = |i: usize| match self.way {
                        Way::Equal => own(i),
                        _ if !active(a * x[i] + one.shift) => 0.0,
                        _ if upper => own(i).min(0.0),
                        _ => own(i).max(0.0),
                    };
                    one.at.iter().map(|i| kept(*i) / a).sum()
                }
                Held::Size => one
                    .at
                    .iter()
                    .filter(|i| active((a * x[**i]).abs()))
                    .map(|i| own(*i) * x[*i].signum() / a.abs())
                    .sum(),
                Held::Fold(f) if f == atoms::NORMINF => {
                    let ends = one.at.iter().filter(|i| active((a * x[**i]).abs()));
                    ends.map(|i| own(*i) * x[*i].signum() / a.abs()).sum()
                }
                Held::Fold(f) if f == atoms::NORM => {
                    let size = ravine_linalg::reduce::norm2(&part);
                    if active(a.abs() * size) && size > 0.0 {
                        along / size / a.abs()
                    } else {
                        0.0
                    }
                }
                Held::Fold(f) if f == atoms::SUMSQ => {
                    let square = ravine_linalg::reduce::sumsq(&part);
                    if active(a * a * square) && square > 0.0 {
                        along / (2.0 * square * a * a)
                    } else {
                        0.0
                    }
                }
                Held::Fold(f) if f == atoms::NORM1 => {
                    let size = ravine_linalg::reduce::norm1(&part);
                    if active(a.abs() * size) && size > 0.0 {
                        along / size / a.abs()
                    } else {
                        0.0
                    }
                }
                Held::Fold(_) => {
                    let sum: f64 = part.iter().sum();
                    if self.way == Way::Equal || active(a * sum) {
                        along / sum / a
                    } else {
                        0.0
                    }
                }
            };
            if let Some(v) = out.get_mut(self.constraint).and_then(|d| d.get_mut(k)) {
                *v += self.factor * by_limit;
            }
        }
    }
}

impl Composite {
    /// The duals of the constraints (by constraint, by instance; zeros as given) at a minimizer of a minimization.
    pub fn duals(&self, s: &Simple, x: &[f64], g: &[f64], out: &mut [Vec<f64>]) {
        self.sets.iter().for_each(|set| set.duals(self, s, x, g, out));
    }
}
