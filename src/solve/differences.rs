//! Derivatives against differences: for the objective and every constraint, by variable.
//!
//! Invariant: a difference is only held against a derivative where it is trusted: extrapolated central differences that
//! agree among themselves (Ridders, Adv. Eng. Software 4, 1982); where they do not, the place is reported as a kink or as
//! an edge of a domain, never as a wrong derivative. What a difference may itself be off, by its own table and by rounding,
//! is no difference from the derivative.

use std::sync::Arc;

use super::classify::comparisons;
use super::complex_step::ComplexStep;
use super::model::Model;
use super::oracle::Oracle;
use super::smooth::Smooth;
use crate::atoms::{self, rules};
use crate::base::Tensor;
use crate::exec::Fault;
use crate::forms::rows::Columns;
use crate::ir::{AtomKind, DomainId, InputId, Ir, NodeId, Problem};

/// Coordinates of one variable that are looked at; with more, as many at equal distances.
const LOOKED_AT: usize = 200;
/// Halvings of the difference.
const ROUNDS: usize = 6;
/// An estimated error may be too small by this.
const SAFETY: f64 = 10.0;
/// Relative difference above which a derivative is called wrong.
pub const WRONG: f64 = 1e-5;

/// A function and a variable.
#[derive(Clone, Debug, PartialEq)]
pub struct Block {
    /// Constraint by number; nothing for the objective.
    pub constraint: Option<usize>,
    /// First or second derivatives.
    pub order: u8,
    /// The variable by number.
    pub variable: usize,
    /// Entries that were looked at.
    pub looked_at: usize,
    /// The largest difference, relative to the derivative, and where.
    pub worst: f64,
    /// Flat coordinate of the worst entry.
    pub at: usize,
    /// The derivative there.
    pub derivative: f64,
    /// The difference there.
    pub difference: f64,
    /// The same by complex steps (of first derivatives), or why there are none.
    pub complex: Result<Worst, String>,
}

/// Where a complex step is farthest from the derivative.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Worst {
    /// The difference, relative to the derivative.
    pub off: f64,
    /// Flat coordinate.
    pub at: usize,
    /// The derivative there.
    pub derivative: f64,
    /// The complex step there.
    pub step: f64,
}

impl Block {
    /// How far off a derivative is for sure: complex steps, where there are any, are exact to rounding.
    pub fn off(&self) -> f64 {
        self.complex.as_ref().map_or(self.worst, |w| w.off)
    }
    /// The entry that is off most: coordinate, derivative, and what it should be.
    pub fn entry(&self) -> (usize, f64, f64) {
        match &self.complex {
            Ok(w) => (w.at, w.derivative, w.step),
            Err(_) => (self.at, self.derivative, self.difference),
        }
    }
}

/// A place where differences say nothing.
#[derive(Clone, Debug, PartialEq)]
pub struct Place {
    /// Constraint by number; nothing for the objective.
    pub constraint: Option<usize>,
    /// The flat coordinate that was moved.
    pub at: usize,
    /// Of the function (1), or of its slope (2).
    pub order: u8,
    /// Slopes to the left and to the right; nothing where the function is not defined beside the point.
    pub kink: Option<(f64, f64)>,
}

/// What was found.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Comparison {
    /// By function, order and variable.
    pub blocks: Vec<Block>,
    /// Kinks and edges.
    pub places: Vec<Place>,
    /// Functions without derivatives, or without values here: constraint by number (nothing for the objective), and why.
    pub without: Vec<(Option<usize>, String)>,
}

/// A problem of any class, as far as values and derivatives go.
pub struct Subject {
    problem: Problem,
    /// Flat coordinates of the variables.
    pub columns: Columns,
    model: Model,
}

impl Subject {
    /// Compiles the model.
    pub fn new(mut problem: Problem) -> Subject {
        let mut columns = Columns::default();
        for v in &problem.vars {
            columns.push(&problem.ir, v.input);
        }
        crate::passes::canonical(&mut problem);
        let model = Model::new(&problem, columns.clone());
        Subject {
            problem,
            columns,
            model,
        }
    }

    /// The declared start, or the point that is given by coordinates.
    pub fn point(&mut self, params: &[(InputId, Arc<Tensor>)], at: &[(usize, Vec<f64>)]) -> Result<Vec<f64>, Fault> {
        self.model.bind(params)?;
        let mut x = self.model.start();
        for (first, values) in at {
            x[*first..first + values.len()].copy_from_slice(values);
        }
        Ok(x)
    }

    /// Compares derivatives with differences at a point.
    pub fn differences(&self, params: &[(InputId, Arc<Tensor>)], x: &[f64]) -> Comparison {
        let mut out = Comparison::default();
        let mut roots: Vec<(Option<usize>, Ir, NodeId)> = vec![];
        if let Some(o) = &self.problem.objective {
            roots.push((None, self.problem.ir.clone(), o.node));
        }
        for (k, c) in self.problem.constraints.iter().enumerate() {
            let mut ir = self.problem.ir.clone();
            // The two rows of one constraint must not cancel one another either.
            let parts: Vec<NodeId> = comparisons(&c.sides)
                .into_iter()
                .zip([1.0, 0.3])
                .map(|((a, b, ..), by)| {
                    let row = weighted(&mut ir, c.domain, a, b);
                    let by = ir.constant(by);
                    ir.apply(atoms::MUL, &[by, row])
                })
                .collect();
            let Some(root) = parts.into_iter().reduce(|a, b| ir.apply(atoms::ADD, &[a, b])) else {
                continue;
            };
            roots.push((Some(k), ir, root));
        }
        for (constraint, mut ir, root) in roots {
            let plain = ir.clone();
            match Smooth::new(&mut ir, root, self.columns.clone()) {
                Ok(mut s) => {
                    s.bind(params);
                    let mut steps = ComplexStep::new(&plain, root, params);
                    // What is not defined here is an answer too.
                    if let Err(f) = self.one(constraint, &mut s, &mut steps, x, &mut out) {
                        out.without
                            .push((constraint, format!("not defined at this point: {}", f.what)));
                    }
                }
                Err(e) => {
                    let why = format!("no derivative can be formed, `{}`: {}", e.atom, e.reason);
                    out.without.push((constraint, why));
                }
            }
        }
        out
    }

    fn one(
        &self,
        constraint: Option<usize>,
        s: &mut Smooth,
        steps: &mut Result<ComplexStep<'_>, String>,
        x: &[f64],
        out: &mut Comparison,
    ) -> Result<(), Fault> {
        let n = x.len();
        let fault = |s: &mut Smooth, f: super::Fault| {
            s.trace_fault(x).unwrap_or(Fault {
                what: f.to_string(),
                node: None,
                at: vec![],
            })
        };
        let f0 = s.value(x).map_err(|f| fault(s, f))?;
        let mut g = vec![0.0; n];
        s.gradient(x, &mut g).map_err(|f| fault(s, f))?;
        let size = 1.0 + g.iter().fold(0.0f64, |m, v| m.max(v.abs()));
        let second = s.offers().hvp;
        for (variable, (_, first, len)) in self.columns.blocks.iter().enumerate() {
            let stride = len.div_ceil(LOOKED_AT).max(1);
            let empty = |order| Block {
                constraint,
                order,
                variable,
                looked_at: 0,
                worst: 0.0,
                at: *first,
                derivative: 0.0,
                difference: 0.0,
                complex: Err(String::new()),
            };
            let (mut slopes, mut curves) = (empty(1), empty(2));
            let along: Vec<usize> = (*first..first + len).step_by(stride).collect();
            slopes.complex = match steps {
                Err(why) => Err(why.clone()),
                Ok(steps) => match steps.slopes(&self.columns, x, &along) {
                    None => Err("too large".into()),
                    Some(found) => {
                        let mut worst = Worst::default();
                        for (k, (at, step)) in along.iter().copied().zip(found).enumerate() {
                            let (derivative, off) = (g[at], (g[at] - step).abs() / size);
                            if k == 0 || off > worst.off {
                                worst = Worst {
                                    off,
                                    at,
                                    derivative,
                                    step,
                                };
                            }
                        }
                        Ok(worst)
                    }
                },
            };
            for j in (*first..first + len).step_by(stride) {
                match slope(s, x, j, f0) {
                    Slope::Smooth(d, error) => slopes.add(j, g[j], d, error, size),
                    Slope::Kink(left, right) => {
                        out.places.push(Place {
                            constraint,
                            order: 1,
                            at: j,
                            kink: Some((left, right)),
                        });
                        continue;
                    }
                    Slope::Edge => {
                        out.places.push(Place {
                            constraint,
                            order: 1,
                            at: j,
                            kink: None,
                        });
                        continue;
                    }
                }
                match second.then(|| column(s, x, j, &g)).flatten() {
                    Some(Column::Smooth(h, entries)) => {
                        let size = 1.0 + h.iter().fold(0.0f64, |m, v| m.max(v.abs()));
                        let off =
                            |w: &usize| entries[*w].map_or(-1.0, |(d, error)| ((h[*w] - d).abs() - error).max(0.0));
                        let larger = |a: &usize, b: &usize| h[*a].abs().total_cmp(&h[*b].abs());
                        let worst = (0..n).max_by(|a, b| off(a).total_cmp(&off(b)).then(larger(a, b)));
                        if let Some(w) = worst
                            && let Some((d, error)) = entries[w]
                        {
                            curves.add(j, h[w], d, error, size);
                        }
                    }
                    Some(Column::Kink(left, right)) => out.places.push(Place {
                        constraint,
                        order: 2,
                        at: j,
                        kink: Some((left, right)),
                    }),
                    None => {}
                }
            }
            for b in [slopes, curves] {
                // Nothing is said of what is zero all over.
                if b.looked_at > 0 && (b.order == 1 || b.derivative != 0.0 || b.worst > 0.0) {
                    out.blocks.push(b);
                }
            }
        }
        Ok(())
    }
}

impl Block {
    /// `error` is what the difference itself may be off.
    fn add(&mut self, at: usize, derivative: f64, difference: f64, error: f64, size: f64) {
        let off = ((derivative - difference).abs() - error).max(0.0) / size;
        let off = if derivative.is_nan() { f64::NAN } else { off };
        if self.looked_at == 0 || off > self.worst || off.is_nan() {
            self.worst = if off.is_nan() { f64::INFINITY } else { off };
            (self.at, self.derivative, self.difference) = (at, derivative, difference);
        }
        self.looked_at += 1;
    }
}

/// One number for all instances of a comparison: their differences, weighted so that none cancels another.
fn weighted(ir: &mut Ir, domain: DomainId, a: NodeId, b: NodeId) -> NodeId {
    let d = rules::sub(ir, a, b);
    let mut indices = vec![];
    for d in ir.chain(domain) {
        indices.extend(ir.domain(d).indices.clone());
    }
    let mut phase: Option<NodeId> = None;
    for (k, i) in indices.into_iter().enumerate() {
        let v = ir.index_value(i);
        let by = ir.constant(1.0 + 0.37 * (k + 1) as f64);
        let v = ir.apply(atoms::MUL, &[by, v]);
        phase = Some(phase.map_or(v, |p| ir.apply(atoms::ADD, &[p, v])));
    }
    let Some(phase) = phase else { return d };
    let Some(sin) = atoms::find_kind("sin", AtomKind::Scalar) else {
        return ir.fold(atoms::SUM, domain, d);
    };
    let wave = ir.apply(sin, &[phase]);
    let two = ir.constant(2.0);
    let weight = ir.apply(atoms::ADD, &[two, wave]);
    let body = ir.apply(atoms::MUL, &[weight, d]);
    ir.fold(atoms::SUM, domain, body)
}

enum Slope {
    /// And what it may be off.
    Smooth(f64, f64),
    /// Left and right.
    Kink(f64, f64),
    /// Not defined on one side.
    Edge,
}

fn step_of(x: f64) -> f64 {
    1e-3 * (1.0 + x.abs())
}

/// The slope along a coordinate.
fn slope(s: &mut Smooth, x: &[f64], j: usize, f0: f64) -> Slope {
    let mut at = x.to_vec();
    let mut f = |t: f64| {
        at[j] = x[j] + t;
        s.value(&at).ok().filter(|v| v.is_finite())
    };
    let h = step_of(x[j]);
    // A kink stays when the step shrinks; curvature shrinks with it.
    let gap = |f: &mut dyn FnMut(f64) -> Option<f64>, h: f64| -> Option<(f64, f64)> {
        Some(((f0 - f(-h)?) / h, (f(h)? - f0) / h))
    };
    let (Some(far), Some(near)) = (gap(&mut f, h * 1e-2), gap(&mut f, h * 1e-4)) else {
        return Slope::Edge;
    };
    let size = 1.0 + near.0.abs().max(near.1.abs());
    let rounding = 1e-9 * (1.0 + f0.abs()) / (h * 1e-4);
    let (wide, close) = ((far.1 - far.0).abs(), (near.1 - near.0).abs());
    if close > 1e-4 * size + 1e-6 * rounding && close > 0.3 * wide {
        return Slope::Kink(near.0, near.1);
    }
    let central = |h: f64| Some((f(h)? - f(-h)?) / (2.0 * h));
    match extrapolated(central, h) {
        Some((d, error)) => Slope::Smooth(d, SAFETY * error + rounded(f0, h)),
        None => Slope::Edge,
    }
}

/// What rounding makes of the difference of two numbers of this size over a step.
fn rounded(f: f64, h: f64) -> f64 {
    16.0 * f64::EPSILON * f.abs() / h
}

/// Ridders' table of central differences with halved steps; the entry with the least estimated error, and that.
fn extrapolated(mut central: impl FnMut(f64) -> Option<f64>, h: f64) -> Option<(f64, f64)> {
    let mut row: Vec<f64> = vec![];
    let (mut best, mut error) = (None, f64::INFINITY);
    let mut h = h;
    for _ in 0..ROUNDS {
        // Too wide a step may leave the domain; a narrower one need not.
        let Some(d) = central(h) else {
            row.clear();
            h *= 0.25;
            continue;
        };
        let mut next = vec![d];
        let mut factor = 4.0;
        for old in &row {
            let Some(last) = next.last().copied() else { break };
            next.push((factor * last - old) / (factor - 1.0));
            factor *= 4.0;
        }
        for w in 1..next.len() {
            let e = (next[w] - next[w - 1]).abs().max((next[w] - row[w - 1]).abs());
            if e <= error {
                (best, error) = (Some(next[w]), e);
            }
        }
        row = next;
        h *= 0.5;
    }
    best.map(|d| (d, error))
}

/// A column of the Hessian beside differences of gradients.
enum Column {
    /// The column; entry by entry the difference and what it may be off, nothing where it says nothing.
    Smooth(Vec<f64>, Vec<Option<(f64, f64)>>),
    /// The slope's own slope along the coordinate jumps: to the left and to the right.
    Kink(f64, f64),
}

/// Column `j` where the gradient is `g`; nothing where it is not defined beside the point.
fn column(s: &mut Smooth, x: &[f64], j: usize, g: &[f64]) -> Option<Column> {
    let n = x.len();
    let mut e = vec![0.0; n];
    e[j] = 1.0;
    let mut h = vec![0.0; n];
    s.hvp(x, &e, &mut h).ok()?;
    let first = step_of(x[j]);
    let mut at = x.to_vec();
    let mut beside: Vec<(f64, Option<Vec<f64>>)> = vec![];
    for k in 0..ROUNDS as i32 {
        let t = first * 0.5f64.powi(k);
        for t in [t, -t] {
            at[j] = x[j] + t;
            let mut g = vec![0.0; n];
            let found = s
                .gradient(&at, &mut g)
                .ok()
                .filter(|()| g.iter().all(|v| v.is_finite()));
            beside.push((t, found.map(|()| g)));
        }
    }
    let gradient = |t: f64| beside.iter().find(|b| b.0 == t).and_then(|b| b.1.as_ref());
    // A jump stays when the step shrinks; what a third derivative makes shrinks with it.
    let near = first * 0.5f64.powi(ROUNDS as i32 - 1);
    let sides = |t: f64, i: usize| Some(((g[i] - gradient(-t)?[i]) / t, (gradient(t)?[i] - g[i]) / t));
    for i in 0..n {
        let (far, close) = (sides(4.0 * near, i), sides(near, i)?);
        let gap = (close.1 - close.0).abs();
        let size = 1.0 + close.0.abs().max(close.1.abs());
        if let Some(far) = far
            && gap > 1e-4 * size + rounded(g[i], near)
            && gap > 0.7 * (far.1 - far.0).abs()
        {
            return Some(Column::Kink(close.0, close.1));
        }
    }
    let entries = (0..n).map(|i| {
        let central = |t: f64| Some((gradient(t)?[i] - gradient(-t)?[i]) / (2.0 * t));
        let (d, error) = extrapolated(central, first)?;
        let error = SAFETY * error + rounded(g[i], near);
        (error <= WRONG * (1.0 + d.abs())).then_some((d, error))
    });
    let entries = entries.collect();
    Some(Column::Smooth(h, entries))
}
