//! Checks of scalar rows: every column against the kernel, the kernel against the standard library.

use std::collections::BTreeMap;

use ravine::atoms;
use ravine::ir::atom::{
    ArgFacts, Complex, CurvatureRule, DegreeRule, Derivative, DomainOf, Eval, Graph, MonoRule, Prox, SignRule,
};
use ravine::ir::{Atom, AtomRef, Curvature, InputId, Ir, Mono, NodeId, Sign, Smooth};

use super::draw::{Report, Rng, against_difference, difference, has_sign, inside, number, number_or_tie};
use super::{graph_value, hessian_checks, scalar_input};
use crate::interp::{Array, eval, lane};

pub fn arity(row: &Atom) -> usize {
    match row.eval {
        Eval::Lane1(_) => 1,
        Eval::Lane2(_) => 2,
        _ => 3,
    }
}

fn domain(row: &Atom, k: usize) -> DomainOf {
    row.domain[k.min(row.domain.len() - 1)]
}

/// Where the function is a real number, if the row's own domain column cannot say it.
fn natural(row: &Atom, x: &[f64]) -> bool {
    row.name != "pow" || x[0] > 0.0 || (x[1].fract() == 0.0 && (x[0] < 0.0 || x[1] >= 0.0))
}

/// What is assumed of one argument.
#[derive(Clone, Copy, Debug)]
enum Role {
    Variable,
    Parameter(f64),
    Literal(f64),
}

#[derive(Debug)]
struct Case {
    signs: Vec<Sign>,
    roles: Vec<Role>,
}

impl Case {
    fn facts(&self) -> Vec<ArgFacts> {
        self.roles
            .iter()
            .zip(&self.signs)
            .map(|(r, s)| ArgFacts {
                sign: match r {
                    Role::Literal(v) => Sign::of(*v),
                    _ => *s,
                },
                curvature: match r {
                    Role::Variable => Curvature::Affine,
                    _ => Curvature::Constant,
                },
                constant: match r {
                    Role::Literal(v) => Some(*v),
                    _ => None,
                },
            })
            .collect()
    }
    fn point(&self, row: &Atom, rng: &mut Rng) -> Option<Vec<f64>> {
        self.point_from(row, rng, number)
    }
    fn point_from(
        &self,
        row: &Atom,
        rng: &mut Rng,
        draw: fn(&mut Rng, DomainOf, Sign) -> Option<f64>,
    ) -> Option<Vec<f64>> {
        (0..40).find_map(|_| {
            let x: Option<Vec<f64>> = self
                .roles
                .iter()
                .enumerate()
                .map(|(k, r)| match r {
                    Role::Variable => draw(rng, domain(row, k), self.signs[k]),
                    Role::Parameter(v) | Role::Literal(v) => Some(*v),
                })
                .collect();
            x.filter(|x| natural(row, x))
        })
    }
}

const LITERALS: &[f64] = &[-3.0, -2.0, -1.0, -0.5, 0.0, 0.5, 1.0, 1.5, 2.0, 3.0, 4.0];

/// Every combination of sign and role of the arguments.
fn cases(row: &Atom, rng: &mut Rng) -> Vec<Case> {
    let n = arity(row);
    let mut all = vec![Case {
        signs: vec![],
        roles: vec![],
    }];
    for k in 0..n {
        let mut next = vec![];
        for c in &all {
            for s in [Sign::Unknown, Sign::Nonneg, Sign::Nonpos] {
                let mut roles = vec![Role::Variable];
                roles.extend(number(rng, domain(row, k), s).map(Role::Parameter));
                roles.extend(
                    LITERALS
                        .iter()
                        .filter(|v| has_sign(**v, s) && inside(**v, domain(row, k)))
                        .map(|v| Role::Literal(*v)),
                );
                for r in roles {
                    let mut signs = c.signs.clone();
                    let mut all_roles = c.roles.clone();
                    signs.push(s);
                    all_roles.push(r);
                    next.push(Case {
                        signs,
                        roles: all_roles,
                    });
                }
            }
        }
        all = next;
    }
    all
}

pub fn check(row: &'static Atom, report: &mut Report) {
    let mut rng = Rng::named(row.name);
    kernel(row, &mut rng, report);
    for case in cases(row, &mut rng) {
        facts(row, &case, &mut rng, report);
    }
    outside(row, &mut rng, report);
    continuity(row, &mut rng, report);
    derivative(row, &mut rng, report);
    prox(row, &mut rng, report);
    graph(row, &mut rng, report);
    if !row.simplify.is_empty() {
        simplify(row, &mut rng, report);
    }
}

fn all_variable(row: &Atom) -> Case {
    Case {
        signs: vec![Sign::Unknown; arity(row)],
        roles: vec![Role::Variable; arity(row)],
    }
}

/// A point of the row's domain.
pub fn domain_point(row: &Atom, rng: &mut Rng) -> Option<Vec<f64>> {
    all_variable(row).point(row, rng)
}

pub fn value(row: &Atom, x: &[f64]) -> f64 {
    lane(row.eval, x)
}

/// The function by the standard library or its definition.
fn reference(name: &str, x: &[f64]) -> Option<f64> {
    let a = x[0];
    let b = x.get(1).copied().unwrap_or(f64::NAN);
    let t = |c: bool| f64::from(u8::from(c));
    Some(match name {
        "add" => a + b,
        "sub" => a - b,
        "mul" => a * b,
        "divide" => a / b,
        "neg" => -a,
        "pow" => a.powf(b),
        "square" => a * a,
        "recip" | "inv_pos" => 1.0 / a,
        "quad_over_lin" => a * a / b,
        "div" => (a / b).floor(),
        "mod" => a - b * (a / b).floor(),
        "lt" => t(a < b),
        "le" => t(a <= b),
        "gt" => t(a > b),
        "ge" => t(a >= b),
        "eq" => t(a == b),
        "ne" => t(a != b),
        "and" => t(a + b == 2.0),
        "or" => t(a + b > 0.0),
        "not" => 1.0 - a,
        "select" => {
            if a == 1.0 {
                b
            } else {
                x[2]
            }
        }
        "abs" => a.abs(),
        "sqrt" => a.sqrt(),
        "exp" => a.exp(),
        "log" => a.ln(),
        "log1p" => a.ln_1p(),
        "expm1" => a.exp_m1(),
        "sin" => a.sin(),
        "cos" => a.cos(),
        "tan" => a.tan(),
        "tanh" => a.tanh(),
        "sinh" => a.sinh(),
        "cosh" => a.cosh(),
        "asin" => a.asin(),
        "acos" => a.acos(),
        "atan" => a.atan(),
        "log2" => a.log2(),
        "log10" => a.log10(),
        "sigmoid" => 1.0 / (1.0 + (-a).exp()),
        "softplus" => (1.0 + a.exp()).ln(),
        "relu" => a.max(0.0),
        "max" => a.max(b),
        "min" => a.min(b),
        "sign" => {
            if a == 0.0 {
                0.0
            } else {
                a.signum()
            }
        }
        "floor" => a.floor(),
        "ceil" => a.ceil(),
        "round" => a.round_ties_even(),
        "huber" => {
            if a.abs() <= b {
                a * a / 2.0
            } else {
                b * (a.abs() - b / 2.0)
            }
        }
        "entropy" => -a * a.ln(),
        "rel_entropy" => a * (a.ln() - b.ln()),
        "kl_div" => a * (a.ln() - b.ln()) - a + b,
        "hypot" => a.hypot(b),
        "logit" => (a / (1.0 - a)).ln(),
        "asinh" => a.asinh(),
        "atanh" => a.atanh(),
        "hinge" => (1.0 - a).max(0.0),
        "squared_hinge" => (1.0 - a).max(0.0).powi(2),
        "smoothed_hinge" => match a {
            _ if a >= 1.0 => 0.0,
            _ if a >= 0.0 => (1.0 - a).powi(2) / 2.0,
            _ => 0.5 - a,
        },
        "logistic_loss" => (1.0 + (-a).exp()).ln(),
        "exponential_loss" => (-a).exp(),
        "focal_loss" => {
            let p = 1.0 / (1.0 + (-a).exp());
            -(1.0 - p).powf(b) * p.ln()
        }
        "savage_loss" => (1.0 + a.exp()).powi(-2),
        "ramp_loss" => (1.0 - a).clamp(0.0, 1.0),
        "pseudo_huber" => b * b * ((1.0 + (a / b).powi(2)).sqrt() - 1.0),
        "log_cosh" => a.cosh().ln(),
        "pinball" => (b * a).max((b - 1.0) * a),
        "expectile" => (b - t(a < 0.0)).abs() * a * a,
        "eps_insensitive" => (a.abs() - b).max(0.0),
        "tukey" if a.abs() <= b => b * b / 6.0 * (1.0 - (1.0 - (a / b).powi(2)).powi(3)),
        "tukey" => b * b / 6.0,
        "cauchy" => b * b / 2.0 * (1.0 + (a / b).powi(2)).ln(),
        "gaussian_nll" => a * a / (2.0 * b) + b.ln() / 2.0,
        "laplace_nll" => a.abs() / b + (2.0 * b).ln(),
        "poisson_nll" => a.exp() - b * a,
        "gamma_nll" => b / a.exp() + a,
        "bernoulli_nll" => (1.0 + a.exp()).ln() - b * a,
        // 20 000 panels of Simpson's rule on the defining integral.
        "erf" => {
            let n = 2000;
            let h = a / f64::from(n);
            let f = |k: i32| (-(h * f64::from(k)).powi(2)).exp();
            let inner: f64 = (1..n).map(|k| f(k) * if k % 2 == 1 { 4.0 } else { 2.0 }).sum();
            2.0 / std::f64::consts::PI.sqrt() * h / 3.0 * (f(0) + f(n) + inner)
        }
        // Euler's limit, accelerated by the shift to large arguments and Stirling's leading terms.
        "lgamma" => {
            let z = a + 200.0;
            let shift: f64 = (0..200).map(|k| (a + f64::from(k)).ln()).sum();
            (z - 0.5) * z.ln() - z + 0.5 * (2.0 * std::f64::consts::PI).ln() + 1.0 / (12.0 * z)
                - 1.0 / (360.0 * z.powi(3))
                - shift
        }
        "digamma" => {
            let z = a + 200.0;
            let shift: f64 = (0..200).map(|k| 1.0 / (a + f64::from(k))).sum();
            z.ln() - 0.5 / z - 1.0 / (12.0 * z * z) + 1.0 / (120.0 * z.powi(4)) - shift
        }
        "trigamma" => {
            let z = a + 200.0;
            let shift: f64 = (0..200).map(|k| (a + f64::from(k)).powi(-2)).sum();
            1.0 / z + 0.5 / (z * z) + 1.0 / (6.0 * z.powi(3)) - 1.0 / (30.0 * z.powi(5)) + shift
        }
        _ => return None,
    })
}

fn kernel(row: &Atom, rng: &mut Rng, report: &mut Report) {
    let n = arity(row);
    let case = all_variable(row);
    let points: Vec<Vec<f64>> = (0..300).filter_map(|_| case.point(row, rng)).collect();
    for x in points.iter().take(60) {
        let y = value(row, x);
        match reference(row.name, x) {
            Some(r) => report.near("eval", y, r, 1e-12, || format!("{x:?}")),
            None => report.check("eval", false, || "no reference for this row: add one".into()),
        }
        if let Complex::Scalar(f) = row.complex {
            let z: Vec<(f64, f64)> = x.iter().map(|v| (*v, 0.0)).collect();
            // log of a negative number leaves the real line.
            if row.name != "pow" || x[0] > 0.0 {
                report.near("complex", f(&z).0, y, 1e-12, || format!("{x:?}"));
            }
        }
    }
    // Many lanes at once give the bits of one lane.
    let columns: Vec<Vec<f64>> = (0..n).map(|k| points.iter().map(|x| x[k]).collect()).collect();
    let mut y = vec![0.0; points.len()];
    match row.eval {
        Eval::Lane1(f) => f(&mut y, &columns[0]),
        Eval::Lane2(f) => f(&mut y, &columns[0], &columns[1]),
        Eval::Lane3(f) => f(&mut y, &columns[0], &columns[1], &columns[2]),
        _ => {}
    }
    for (x, y) in points.iter().zip(y) {
        report.check("lanes", y.to_bits() == value(row, x).to_bits(), || format!("{x:?}"));
    }
    let real = row.signature[0].ends_with("Real") && !["select", "pow"].contains(&row.name);
    for k in 0..if real { n } else { 0 } {
        if let Some(mut x) = case.point(row, rng) {
            x[k] = f64::NAN;
            report.check("poison", value(row, &x).is_nan(), || format!("{x:?} gives a number"));
        }
    }
}

/// Outside the domain column there is no number: what is claimed holds inside only.
fn outside(row: &Atom, rng: &mut Rng, report: &mut Report) {
    let case = all_variable(row);
    for k in 0..arity(row) {
        let d = domain(row, k);
        for _ in 0..30 {
            let Some(mut x) = case.point(row, rng) else { return };
            x[k] = if d == DomainOf::NonZero {
                0.0
            } else {
                rng.between(-5.0, 5.0)
            };
            if inside(x[k], d) || matches!(d, DomainOf::Truth | DomainOf::Integer) {
                continue;
            }
            let y = value(row, &x);
            report.check("domain", !y.is_finite(), || format!("{x:?} is outside, but gives {y}"));
        }
    }
}

fn facts(row: &Atom, case: &Case, rng: &mut Rng, report: &mut Report) {
    let facts = case.facts();
    let signs: Vec<Sign> = facts.iter().map(|f| f.sign).collect();
    let sign = match row.sign {
        SignRule::Always(s) => s,
        SignRule::Of(f) => f(&signs),
        SignRule::With(f) => f(&facts),
    };
    let curvature = match row.curvature {
        CurvatureRule::Always(c) => c,
        CurvatureRule::Of(f) => f(&facts),
    };
    let variables: Vec<usize> = (0..case.roles.len())
        .filter(|k| matches!(case.roles[*k], Role::Variable))
        .collect();
    let samples = if case.roles.len() == 1 { 60 } else { 12 };
    for _ in 0..samples {
        let Some(p) = case.point_from(row, rng, number_or_tie) else {
            return;
        };
        let fp = value(row, &p);
        if sign != Sign::Unknown {
            report.check("sign", has_sign(fp, sign), || {
                format!("{case:?} at {p:?}: {fp}, claimed {sign:?}")
            });
        }
        let Some(q) = case.point_from(row, rng, number_or_tie) else {
            return;
        };
        if !variables.is_empty() && curvature != Curvature::Unknown {
            let fq = value(row, &q);
            for l in [0.5, rng.unit()] {
                let m: Vec<f64> = p.iter().zip(&q).map(|(a, b)| l * a + (1.0 - l) * b).collect();
                if !natural(row, &m) {
                    continue;
                }
                let (fm, chord) = (value(row, &m), l * fp + (1.0 - l) * fq);
                let tol = 1e-11 * (1.0 + fm.abs() + fp.abs() + fq.abs());
                let ok = match curvature {
                    Curvature::Constant => (fp - fq).abs() <= tol,
                    Curvature::Affine => (fm - chord).abs() <= tol,
                    Curvature::Convex => fm <= chord + tol,
                    Curvature::Concave => fm >= chord - tol,
                    Curvature::Unknown => true,
                };
                report.check("curvature", ok, || {
                    format!("{case:?}: claimed {curvature:?}, f = {fm} against chord {chord} between {p:?} and {q:?}")
                });
            }
        }
        for &k in &variables {
            let mono = match row.monotone {
                MonoRule::Always(m) => m[k.min(m.len() - 1)],
                MonoRule::Of(f) => f(&facts, k),
            };
            let mut other = p.clone();
            other[k] = q[k];
            if !natural(row, &other) || mono == Mono::Unknown {
                continue;
            }
            let fo = value(row, &other);
            let rise = (fo - fp) * (q[k] - p[k]).signum();
            let tol = 1e-12 * (1.0 + fp.abs() + fo.abs());
            // At an end of the domain both may be the same infinity.
            let rise = if fp == fo { 0.0 } else { rise };
            let ok = match mono {
                Mono::Increasing => rise >= -tol,
                Mono::Decreasing => rise <= tol,
                Mono::AwayFromZero if p[k] >= 0.0 && q[k] >= 0.0 => rise >= -tol,
                Mono::AwayFromZero if p[k] <= 0.0 && q[k] <= 0.0 => rise <= tol,
                _ => continue,
            };
            report.check("monotone", ok, || {
                format!("{case:?}, argument {k}: claimed {mono:?}, {fp} at {p:?} and {fo} at {other:?}")
            });
        }
    }
    if !variables.is_empty() {
        degree(row, case, &facts, &variables, rng, report);
    }
}

/// The degree that a rule claims: 3 for "more than 2".
pub fn claimed_degree(row: &Atom, degrees: &[u8], facts: &[ArgFacts]) -> u8 {
    match row.degree {
        DegreeRule::NotPolynomial => 3 * u8::from(degrees.iter().any(|d| *d > 0)),
        DegreeRule::Linear => degrees.iter().copied().max().unwrap_or(0),
        DegreeRule::Of(f) => f(degrees, facts),
    }
}

/// Is the (degree + 1)-th difference of five equidistant values zero?
pub fn vanishes(values: &[f64; 5], degree: u8) -> bool {
    let mut d = values.to_vec();
    for _ in 0..=degree {
        d = d.windows(2).map(|w| w[1] - w[0]).collect();
    }
    let scale = values.iter().fold(1.0, |m: f64, v| m.max(v.abs()));
    d.iter().all(|v| v.abs() <= 1e-12 * scale)
}

fn degree(row: &Atom, case: &Case, facts: &[ArgFacts], variables: &[usize], rng: &mut Rng, report: &mut Report) {
    for round in 0..12 {
        let of_args = 1 + round % 2;
        let degrees: Vec<u8> = (0..case.roles.len())
            .map(|k| if variables.contains(&k) { of_args } else { 0 })
            .collect();
        let claim = claimed_degree(row, &degrees, facts);
        if claim > 2 {
            continue;
        }
        let Some(base) = case.point_from(row, rng, number_or_tie) else {
            return;
        };
        // A short path stays in narrow domains; a long one over whole numbers meets kinks, steps and ties.
        let long = rng.unit() < 0.7;
        let mut slope = || {
            if long {
                (rng.below(3) as f64 - 1.0) / 0.3
            } else {
                rng.between(-0.1, 0.1)
            }
        };
        let slopes: Vec<(f64, f64)> = base.iter().map(|_| (slope(), slope())).collect();
        let along: Vec<Vec<f64>> = (0..5)
            .map(|i| {
                let s = 0.3 * f64::from(i) - 0.6;
                (0..base.len())
                    .map(|k| match degrees[k] {
                        0 => base[k],
                        1 => base[k] + slopes[k].0 * s,
                        _ => base[k] + slopes[k].0 * s + slopes[k].1 * s * s,
                    })
                    .collect()
            })
            .collect();
        let fits = |x: &Vec<f64>| natural(row, x) && (0..x.len()).all(|k| inside(x[k], domain(row, k)));
        if !along.iter().all(fits) {
            continue;
        }
        let values: [f64; 5] = std::array::from_fn(|i| value(row, &along[i]));
        report.check("degree", vanishes(&values, claim), || {
            format!("{case:?}: claimed {claim} for arguments of degree {degrees:?}, values {values:?}")
        });
    }
}

/// Claimed continuity and differentiability at the usual places of trouble.
fn continuity(row: &Atom, rng: &mut Rng, report: &mut Report) {
    if row.smooth == Smooth::Discontinuous {
        return;
    }
    let n = arity(row);
    let case = all_variable(row);
    for special in [-1.0, 0.0, 0.5, 1.0, 2.0] {
        for k in 0..n {
            let Some(mut x) = case.point(row, rng) else { return };
            // At a tie, at the threshold, and at the plain number.
            let partner = if n > 1 { x[1 - k.min(1)] } else { special };
            for place in [special, partner, -partner] {
                x[k] = place;
                let at = |h: f64| {
                    let mut z = x.clone();
                    z[k] += h;
                    (inside(z[k], domain(row, k)) && natural(row, &z)).then(|| value(row, &z))
                };
                let (Some(l), Some(m), Some(r)) = (at(-1e-6), at(0.0), at(1e-6)) else {
                    continue;
                };
                if !m.is_finite()
                    || !l.is_finite()
                    || !r.is_finite()
                    || domain(row, k) == DomainOf::NonZero && place == 0.0
                {
                    continue;
                }
                let scale = 1.0 + m.abs();
                report.check(
                    "smooth",
                    (l - m).abs() <= 1e-2 * scale && (r - m).abs() <= 1e-2 * scale,
                    || format!("claimed continuous, jumps at {x:?}"),
                );
                if row.smooth >= Smooth::C1 {
                    let (left, right) = ((m - l) * 1e6, (r - m) * 1e6);
                    report.near("smooth", left, right, 1e-3, || {
                        format!("one-sided slopes in argument {k} at {x:?}")
                    });
                }
            }
        }
    }
}

/// `y = row(x…)` with its partial derivatives.
struct Program {
    ir: Ir,
    inputs: Vec<InputId>,
    y: NodeId,
}

fn program(row: &'static Atom) -> Program {
    let mut ir = Ir::new();
    let (mut inputs, mut args) = (vec![], vec![]);
    for k in 0..arity(row) {
        let (input, node) = scalar_input(&mut ir, &format!("x{k}"));
        inputs.push(input);
        args.push(node);
    }
    let y = ir.apply(AtomRef(row), &args);
    Program { ir, inputs, y }
}

fn derivative(row: &'static Atom, rng: &mut Rng, report: &mut Report) {
    let mut p = program(row);
    let args: Vec<NodeId> = p.inputs.iter().map(|i| p.ir.read(*i)).collect();
    let n = args.len();
    let partials = match row.derivative {
        Derivative::Partials(f) => f(&mut p.ir, &args, p.y),
        Derivative::Zero => vec![p.ir.constant(0.0); n],
        Derivative::None(why) => {
            report.check("derivative", why.contains(' '), || {
                "no derivative, and no reason".into()
            });
            return;
        }
        _ => {
            report.check("derivative", false, || "a scalar row has partials".into());
            return;
        }
    };
    report.check("derivative", partials.len() == n, || {
        format!("{} partials", partials.len())
    });
    let case = all_variable(row);
    for _ in 0..40 {
        let Some(x) = case.point(row, rng) else { return };
        let inputs: BTreeMap<InputId, Array> = p.inputs.iter().zip(&x).map(|(i, v)| (*i, Array::number(*v))).collect();
        for k in 0..n {
            if matches!(domain(row, k), DomainOf::Truth | DomainOf::Integer) {
                continue;
            }
            // A base of either sign is differentiated by the base only.
            if row.name == "pow" && x[0] < 0.0 && k == 1 {
                continue;
            }
            let slope = eval(&p.ir, &inputs, partials[k]).data[0];
            if let Complex::Scalar(f) = row.complex
                && (row.name != "pow" || x[0] > 0.0)
            {
                let z: Vec<(f64, f64)> = (0..n).map(|j| (x[j], if j == k { 1e-30 } else { 0.0 })).collect();
                report.near("complex step", slope, f(&z).1 * 1e30, 1e-12, || {
                    format!("d/d{k} at {x:?}")
                });
            }
            let moved = |h: f64| {
                let mut z = x.clone();
                z[k] += h;
                value(row, &z)
            };
            against_difference(report, "difference", slope, difference(moved, 2e-3), || {
                format!("d/d{k} at {x:?}")
            });
        }
        if !super::NO_SECOND_DERIVATIVE.contains(&row.name) && (row.name != "pow" || x[0] >= 0.0) {
            let frozen: Vec<bool> = (0..n)
                .map(|k| matches!(domain(row, k), DomainOf::Truth | DomainOf::Integer))
                .collect();
            hessian_checks(&p.ir, &p.inputs, &frozen, p.y, &inputs, rng, report);
        }
    }
}

/// `t f(w) + (w-v)²/2 >= t f(u) + (u-v)²/2 + (w-u)²/2` for every `w` exactly if `u` is the prox of a convex `f`.
fn prox(row: &Atom, rng: &mut Rng, report: &mut Report) {
    let Prox::Scalar(prox) = row.prox else { return };
    for _ in 0..100 {
        let (v, t) = (rng.between(-4.0, 4.0), rng.between(0.01, 3.0));
        let u = prox(v, t);
        let cost = |w: f64| t * value(row, &[w]) + 0.5 * (w - v) * (w - v);
        for spread in [1e-3, 0.1, 3.0] {
            let w = u + rng.between(-spread, spread);
            let gap = cost(w) - cost(u) - 0.5 * (w - u) * (w - u);
            report.check("prox", gap >= -1e-12 * (1.0 + cost(u).abs()), || {
                format!("prox({v}, {t}) = {u}, but {w} is better by {}", -gap)
            });
        }
    }
}

fn graph(row: &Atom, rng: &mut Rng, report: &mut Report) {
    // Cones and rewritten rows are solved, in `graphs`.
    if matches!(row.graph, Graph::None(_) | Graph::Rewrite(_) | Graph::Cones(..)) {
        return;
    }
    let case = all_variable(row);
    for _ in 0..50 {
        let Some(x) = case.point(row, rng) else { return };
        if matches!(row.graph, Graph::Inverse) && x[0] < 0.0 {
            continue;
        }
        let (t, curved) = graph_value(row.graph, &x);
        report.near("graph", value(row, &x), t, 1e-12, || format!("optimal t at {x:?}"));
        // An inverse is convex on the side where its graph is.
        let of = match row.curvature {
            CurvatureRule::Always(c) => c,
            CurvatureRule::Of(f) => f(&vec![
                ArgFacts {
                    sign: Sign::Nonneg,
                    curvature: Curvature::Affine,
                    constant: None,
                };
                arity(row)
            ]),
        };
        report.check("graph", !super::reduces(row.graph), || "a graph of reductions".into());
        report.check("graph", of == curved, || {
            format!("{curved:?} set for a {of:?} function")
        });
    }
}

/// Whatever the arguments' form, applying the row gives a node of the kernel's value.
fn simplify(row: &'static Atom, rng: &mut Rng, report: &mut Report) {
    let n = arity(row);
    for _ in 0..400 {
        let mut ir = Ir::new();
        let (mut inputs, mut leaves) = (BTreeMap::new(), vec![]);
        for k in 0..2 {
            let (input, node) = scalar_input(&mut ir, &format!("x{k}"));
            inputs.insert(
                input,
                Array::number(rng.between(0.3, 2.5) * if rng.unit() < 0.3 { -1.0 } else { 1.0 }),
            );
            leaves.push(node);
        }
        let args: Vec<NodeId> = (0..n)
            .map(|_| {
                let (x, y) = (leaves[rng.below(2)], leaves[rng.below(2)]);
                match rng.below(12) {
                    0 | 1 => {
                        let v = LITERALS[rng.below(LITERALS.len())];
                        ir.constant(v)
                    }
                    2 => ir.apply(atoms::NEG, &[x]),
                    3 => ir.apply(atoms::ABS, &[x]),
                    4 => ir.apply(atoms::SQUARE, &[x]),
                    5 => ir.apply(atoms::EXP, &[x]),
                    6 => ir.apply(atoms::SUB, &[x, y]),
                    7 => ir.apply(atoms::LT, &[x, y]),
                    8 => {
                        let c = ir.apply(atoms::EQ, &[x, y]);
                        ir.apply(atoms::NOT, &[c])
                    }
                    9 => ir.apply(atoms::RELU, &[x]),
                    _ => x,
                }
            })
            .collect();
        let values: Vec<f64> = args.iter().map(|a| eval(&ir, &inputs, *a).data[0]).collect();
        let direct = value(row, &values);
        let before = ir.len();
        let node = ir.apply(AtomRef(row), &args);
        let through = eval(&ir, &inputs, node).data[0];
        let rewritten = !matches!(ir.node(node), ravine::ir::Node::Apply { atom, args: a } if atom.name == row.name && **a == *args);
        // Equal up to the sign of zero; NaN stays NaN.
        let ok = direct == through || (direct.is_nan() && through.is_nan());
        // A power by repeated use of its identities rounds differently from `pow` in the last bit.
        let ok = ok || (row.name == "pow" && (direct - through).abs() <= 1e-15 * direct.abs());
        if rewritten || ir.len() > before {
            report.check("simplify", ok, || format!("{values:?}: {direct} became {through}"));
        }
    }
}
