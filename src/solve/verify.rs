//! What a point is worth: residuals recomputed from the user's model and the bound form, and the status they allow.
//!
//! Invariant: a status can only be weakened here; no solver's word is taken for a number.

use ravine_linalg::clarabel_adapter::{Cone, ConicForm};
use ravine_linalg::operator::LinearMap;
use ravine_linalg::reduce::norm2;
use ravine_linalg::{Dense, Matrix, math, spectrum};

use super::model::Rows;
use super::stop::Status;

/// Recomputed measures, each relative as the tolerance is.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Residuals {
    /// Largest violation of a constraint or bound, over `1 + |row|`.
    pub violation: f64,
    /// Where it is: constraint and instance.
    pub worst: Option<(usize, usize)>,
    /// Stationarity (dual residual) over `1 + |∇f|`.
    pub stationarity: Option<f64>,
    /// Duality gap over `1 + |f|`.
    pub gap: Option<f64>,
}

/// The largest violation over all constraints and bounds.
pub fn violation(rows: &[Rows], x: &[f64], lower: &[f64], upper: &[f64]) -> Residuals {
    let mut r = Residuals::default();
    for (k, c) in rows.iter().enumerate() {
        for (i, (v, s)) in c.violation.iter().zip(&c.size).enumerate() {
            let rel = v / (1.0 + s);
            // A violation that is not a number is as bad as can be.
            if rel > r.violation || rel.is_nan() {
                r.violation = if rel.is_nan() { f64::INFINITY } else { rel };
                r.worst = Some((k, i));
            }
        }
    }
    for ((x, l), u) in x.iter().zip(lower).zip(upper) {
        let out = (l - x).max(x - u).max(0.0);
        let side = if *x < *l { l.abs() } else { u.abs() };
        let rel = if out > 0.0 { out / (1.0 + side) } else { 0.0 };
        if rel > r.violation {
            r.violation = rel;
            r.worst = None;
        }
    }
    r
}

/// Largest entry of `Aᵀ(A x − b)` over the size of the terms that cancel in it, `|A|ᵀ(|A||x| + |b|)`: rounding alone leaves
/// about the unit roundoff.
pub fn normal_residual(a: &Matrix, b: &[f64], x: &[f64]) -> f64 {
    let product = |a: &Matrix, x: &[f64], b: &[f64], sign: f64| {
        let mut r = vec![0.0; a.rows()];
        a.mul_vec(x, &mut r);
        r.iter_mut().zip(b).for_each(|(r, b)| *r += sign * b);
        let mut g = vec![0.0; a.cols()];
        a.mul_vec_transposed(&r, &mut g);
        g
    };
    let absolute = |v: &[f64]| v.iter().map(|v| v.abs()).collect::<Vec<f64>>();
    let mut sizes = a.clone();
    match &mut sizes {
        Matrix::Dense(d) => d.data.iter_mut().for_each(|v| *v = v.abs()),
        Matrix::Sparse(s) => s.values.iter_mut().for_each(|v| *v = v.abs()),
    }
    let size = product(&sizes, &absolute(x), &absolute(b), 1.0);
    product(a, x, b, -1.0)
        .iter()
        .zip(&size)
        .fold(0.0f64, |w, (g, s)| w.max(g.abs() / (1e-300 + s)))
}

/// The residual `b - A x` of a map, and the length of `A'r` over that of the terms that cancel in it, `s (s |x| + |b|)` with
/// `s` the largest of `|A x|/|x|`, `|A'b|/|b|` and `|A'r|/|r|`, each at most the norm of `A`.
pub fn normal_by_products(map: &mut dyn LinearMap, b: &[f64], x: &[f64]) -> (Vec<f64>, f64) {
    let mut r = vec![0.0; b.len()];
    let (mut back, mut normal) = (vec![0.0; x.len()], vec![0.0; x.len()]);
    map.apply(x, &mut r);
    let image = norm2(&r);
    r.iter_mut().zip(b).for_each(|(r, b)| *r = b - *r);
    map.adjoint(b, &mut back);
    map.adjoint(&r, &mut normal);
    let ratio = |a: f64, b: f64| if b > 0.0 { a / b } else { 0.0 };
    let (size, right, off) = (norm2(x), norm2(b), norm2(&normal));
    let s = ratio(image, size)
        .max(ratio(norm2(&back), right))
        .max(ratio(off, norm2(&r)));
    let measure = off / (1e-300 + s * (s * size + right));
    (r, measure)
}

/// Dual residual, dual objective and distance of the multipliers from the dual cone for `min ½x'Px + q'x + constant`.
pub struct DualCheck {
    /// `‖Px + q + A'z‖∞ / (1 + ‖q‖∞)`.
    pub stationarity: f64,
    /// `-½x'Px - b'z + constant`.
    pub objective: f64,
    /// Distance of `z` from the dual cone, over `1 + ‖z‖∞`.
    pub outside: f64,
    /// How much the residuals may hide of the objective: `|Px + q + A'z|'|x|`, by which the dual objective is no bound where
    /// `x` is far from zero, a tenth of it, since not all residuals are at their worst at once; with semidefinite cones all of
    /// it, and what multipliers pay for rows that do not hold, as points and multipliers may grow there without end while the
    /// gap closes.
    pub hidden: f64,
    /// A coordinate with a cost that nothing holds on the side its residual leads to, and whose residual is most of its own slope:
    /// one too flat beside the others to be seen by `stationarity`, which is measured by the steepest.
    pub unseen: Option<usize>,
}

/// `½x'Px + q'x`.
pub fn value(form: &ConicForm, x: &[f64]) -> f64 {
    let mut px = vec![0.0; x.len()];
    form.p.mul_vec(x, &mut px);
    0.5 * ravine_linalg::reduce::dot(x, &px) + ravine_linalg::reduce::dot(&form.q, x)
}

/// Checks multipliers against the form.
pub fn dual(form: &ConicForm, constant: f64, x: &[f64], z: &[f64]) -> DualCheck {
    let n = x.len();
    let (mut px, mut atz) = (vec![0.0; n], vec![0.0; n]);
    form.p.mul_vec(x, &mut px);
    form.a.mul_vec_transposed(z, &mut atz);
    let mut worst = 0.0f64;
    let mut hidden = 0.0;
    let mut unseen = None;
    let (ranges, terms) = (ranges(form), terms(form, z));
    for i in 0..n {
        let r = px[i] + form.q[i] + atz[i];
        let end = if r > 0.0 { ranges[i].0 } else { ranges[i].1 };
        if form.q[i] != 0.0 && end.is_infinite() && r.abs() > 0.5 * (px[i].abs() + form.q[i].abs() + terms[i]) {
            unseen = unseen.or(Some(i));
        }
        worst = worst.max(r.abs());
        hidden += r.abs() * x[i].abs();
    }
    if form.cones.iter().any(|c| matches!(c, Cone::Semidefinite(_))) {
        hidden += paid(form, x, z);
    } else {
        hidden *= 0.1;
    }
    let xpx = ravine_linalg::reduce::dot(x, &px);
    let bz = ravine_linalg::reduce::dot(&form.b, z);
    let size = form.q.iter().chain(&px).fold(0.0f64, |m, v| m.max(v.abs()));
    DualCheck {
        stationarity: worst / (1.0 + size),
        objective: -0.5 * xpx - bz + constant,
        outside: outside(&form.cones, z, true) / (1.0 + z.iter().fold(0.0f64, |m, v| m.max(v.abs()))),
        hidden,
        unseen,
    }
}

/// `|A|'|z|`: the size of the terms of `A'z`.
fn terms(form: &ConicForm, z: &[f64]) -> Vec<f64> {
    let mut out = vec![0.0; form.q.len()];
    for (i, j, v) in form.a.triplets() {
        out[j] += (v * z[i]).abs();
    }
    out
}

/// What the multipliers pay for rows that do not hold: the size of `z` times the distance of `b - Ax` from the cone, cone by cone.
fn paid(form: &ConicForm, x: &[f64], z: &[f64]) -> f64 {
    let mut s = vec![0.0; form.b.len()];
    form.a.mul_vec(x, &mut s);
    s.iter_mut().zip(&form.b).for_each(|(s, b)| *s = b - *s);
    let mut at = 0;
    let mut sum = 0.0;
    for c in &form.cones {
        let (s, z) = (&s[at..at + c.rows()], &z[at..at + c.rows()]);
        at += c.rows();
        sum += match c {
            Cone::Zero(_) => s.iter().zip(z).map(|(s, z)| (s * z).abs()).sum(),
            Cone::Nonneg(_) => s.iter().zip(z).map(|(s, z)| (s.min(0.0) * z).abs()).sum(),
            // The trace of Z times the least eigenvalue bounds the product of Z with the negative part.
            Cone::Semidefinite(n) => {
                let trace: f64 = (0..*n).map(|k| z[k * (k + 3) / 2]).sum();
                trace.abs() * outside(&[*c], s, false)
            }
            _ => norm2(z) * outside(&[*c], s, false),
        };
    }
    sum
}

/// How far `v` is outside the cones, or their duals: the largest over the cones, none below 0.
pub fn outside(cones: &[Cone], v: &[f64], dual: bool) -> f64 {
    let mut at = 0;
    let mut worst = 0.0f64;
    for c in cones {
        let part = &v[at..at + c.rows()];
        at += c.rows();
        let own = match c {
            Cone::Zero(_) if dual => 0.0,
            Cone::Zero(_) => largest(part.iter().map(|v| v.abs())),
            Cone::Nonneg(_) => largest(part.iter().map(|v| -v)),
            Cone::SecondOrder(0) => 0.0,
            Cone::SecondOrder(_) => norm2(&part[1..]) - part[0],
            Cone::Semidefinite(n) => match spectrum::symmetric_eigenvalues(&matrix(part, *n)) {
                Ok(e) => largest(e.first().map(|v| -v).into_iter()),
                Err(_) => f64::INFINITY,
            },
            Cone::Exp => along([-1.0, 1.0, 1.0], part, |[x, y, z]| {
                if dual {
                    // Its dual: -x exp(y/x) <= e z with x < 0, and the face x = 0, y, z >= 0.
                    z >= 0.0 && ((x < 0.0 && math::log(-x) + y / x <= 1.0 + math::log(z)) || (x == 0.0 && y >= 0.0))
                } else {
                    z >= 0.0 && ((y > 0.0 && math::log(y) + x / y <= math::log(z)) || (y == 0.0 && x <= 0.0))
                }
            }),
            Cone::Power(a) => along([1.0, 1.0, 0.0], part, |[x, y, z]| {
                let (p, q) = if dual { (*a, 1.0 - a) } else { (1.0, 1.0) };
                x >= 0.0 && y >= 0.0 && math::pow(x / p, *a) * math::pow(y / q, 1.0 - a) >= z.abs()
            }),
        };
        worst = largest([worst, own].into_iter());
    }
    worst
}

/// How far `b - A x` is outside the cones, each relative to its own right-hand sides; rows by themselves where their cone is.
pub fn off_cones(form: &ConicForm, x: &[f64]) -> f64 {
    let mut s = vec![0.0; form.b.len()];
    form.a.mul_vec(x, &mut s);
    s.iter_mut().zip(&form.b).for_each(|(s, b)| *s = b - *s);
    let mut at = 0;
    let mut worst = 0.0f64;
    for c in &form.cones {
        let rows = at..at + c.rows();
        at = rows.end;
        let (s, b) = (&s[rows.clone()], &form.b[rows]);
        let each = |off: &dyn Fn(f64) -> f64| largest(s.iter().zip(b).map(|(s, b)| off(*s) / (1.0 + b.abs())));
        worst = worst.max(match c {
            Cone::Zero(_) => each(&|s| s.abs()),
            Cone::Nonneg(_) => each(&|s| -s),
            _ => outside(&[*c], s, false) / (1.0 + size(b)),
        });
    }
    worst
}

/// The symmetric matrix that the rows of a semidefinite cone stand for.
fn matrix(v: &[f64], n: usize) -> Dense {
    Dense::from_fn(n, n, |i, j| {
        let (i, j) = (i.min(j), i.max(j));
        v[j * (j + 1) / 2 + i] * if i == j { 1.0 } else { std::f64::consts::FRAC_1_SQRT_2 }
    })
}

/// The largest of 0 and these; infinite where one is not a number.
fn largest(v: impl Iterator<Item = f64>) -> f64 {
    v.fold(0.0, |m, v| if v.is_nan() { f64::INFINITY } else { m.max(v) })
}

/// The least step along `inward`, a direction from the cone's interior, that leads into it: the distance up to a factor,
/// and unlike the violation of the defining inequality no larger near the cone's faces.
fn along(inward: [f64; 3], v: &[f64], inside: impl Fn([f64; 3]) -> bool) -> f64 {
    let moved = |t: f64| [0, 1, 2].map(|k| v[k] + t * inward[k]);
    if inside(moved(0.0)) {
        return 0.0;
    }
    let size = v.iter().fold(f64::MIN_POSITIVE, |m, v| m.max(v.abs()));
    let (mut low, mut high) = (0.0, size * f64::EPSILON);
    while !inside(moved(high)) {
        low = high;
        high *= 2.0;
        if high.is_nan() || high > 1e3 * size {
            return f64::INFINITY;
        }
    }
    for _ in 0..20 {
        let middle = 0.5 * (low + high);
        if inside(moved(middle)) {
            high = middle;
        } else {
            low = middle;
        }
    }
    high
}

/// Does `z` prove that no point satisfies the constraints: `A'z = 0`, `b'z < 0`, `z` in the dual cone?
pub fn proves_infeasible(form: &ConicForm, z: &[f64]) -> bool {
    let linear = form.cones.iter().all(|c| matches!(c, Cone::Zero(_) | Cone::Nonneg(_)));
    let z = &if linear { carried(form, z) } else { z.to_vec() }[..];
    let bz = ravine_linalg::reduce::dot(&form.b, z);
    if bz.is_nan() || bz >= 0.0 {
        return false;
    }
    let mut atz = vec![0.0; form.q.len()];
    form.a.mul_vec_transposed(z, &mut atz);
    let (scale, worst) = (size(&form.a.values) * size(z), size(&atz));
    let out = outside(&form.cones, z, true);
    // Every feasible point has `(A'z)'x <= b'z`. What is left of `A'z` is harmless only as far as bounds hold `x` in.
    // Where none do, it has to be what rounding leaves of its own terms; what cones of other kinds leave there cannot be told
    // from that as sharply.
    let mut reach = 0.0f64;
    for ((r, (low, high)), terms) in atz.iter().zip(ranges(form)).zip(terms(form, z)) {
        let far = if *r > 0.0 { -low } else { high };
        if far.is_finite() {
            reach += r.abs() * far.max(0.0);
        } else if linear && r.abs() > 0.05 * terms {
            return false;
        }
    }
    worst <= 1e-6 * scale.min(-bz).max(1e-9 * scale)
        && reach < -bz
        && out <= 1e-7 * -bz
        && out * size(&form.b) <= 1e-3 * -bz
}

/// Multipliers without those whose rows weigh next to nothing beside the others.
fn carried(form: &ConicForm, z: &[f64]) -> Vec<f64> {
    let weight = |i: usize| z[i].abs() * size(form.a.row(i).1).max(form.b[i].abs());
    let weight: Vec<f64> = (0..z.len()).map(weight).collect();
    let least = 1e-9 * size(&weight);
    z.iter()
        .zip(weight)
        .map(|(z, w)| if w > least { *z } else { 0.0 })
        .collect()
}

fn size(v: &[f64]) -> f64 {
    v.iter().fold(0.0f64, |m, v| m.max(v.abs()))
}

/// What the rows that hold a single variable let it range over.
fn ranges(form: &ConicForm) -> Vec<(f64, f64)> {
    let mut out = vec![(f64::NEG_INFINITY, f64::INFINITY); form.q.len()];
    let mut at = 0;
    for c in &form.cones {
        let rows = at..at + c.rows();
        at = rows.end;
        if !matches!(c, Cone::Nonneg(_) | Cone::Zero(_)) {
            continue;
        }
        for i in rows {
            let ([j], [a]) = form.a.row(i) else { continue };
            let (v, both) = (form.b[i] / a, matches!(c, Cone::Zero(_)));
            if *a > 0.0 || both {
                out[*j].1 = out[*j].1.min(v);
            }
            if *a < 0.0 || both {
                out[*j].0 = out[*j].0.max(v);
            }
        }
    }
    out
}

/// Does `x` prove that the objective falls without end: `Px = 0`, `q'x < 0`, `-Ax` in the cone?
pub fn proves_unbounded(form: &ConicForm, x: &[f64]) -> bool {
    let qx = ravine_linalg::reduce::dot(&form.q, x);
    if qx.is_nan() || qx >= 0.0 {
        return false;
    }
    let mut px = vec![0.0; x.len()];
    form.p.mul_vec(x, &mut px);
    let mut s = vec![0.0; form.b.len()];
    form.a.mul_vec(x, &mut s);
    s.iter_mut().for_each(|v| *v = -*v);
    let worst = size(&px);
    let outside = outside(&form.cones, &s, false);
    // The ray is only nearly feasible: setting it right moves `x` by about `outside` over the least row's entries, and with
    // steep costs even a little of that may be all that the objective falls by.
    let least = (0..form.b.len())
        .map(|i| size(form.a.row(i).1))
        .filter(|v| *v > 0.0)
        .fold(f64::INFINITY, f64::min);
    let moved = if least.is_finite() { outside / least } else { 0.0 };
    worst.max(outside) <= 1e-6 * -qx && moved * size(&form.q) <= 1e-3 * -qx
}

/// The status that recomputed residuals allow a claim of `optimal`, or of `precision limited`, and why it is no better.
pub fn grant(claim: Status, r: &Residuals, tolerance: f64) -> (Status, String) {
    let good = |v: Option<f64>| v.is_none_or(|v| v <= tolerance);
    if !matches!(claim, Status::Optimal | Status::PrecisionLimited) {
        return (claim, String::new());
    }
    if claim == Status::Optimal && r.violation <= tolerance && good(r.stationarity) && good(r.gap) {
        return (claim, String::new());
    }
    let reached = r.violation.max(r.stationarity.unwrap_or(0.0)).max(r.gap.unwrap_or(0.0));
    let why = format!("{reached:.1e} is what rounding lets this method reach; the tolerance is {tolerance:e}");
    if r.violation <= tolerance.max(1e-6) && reached <= 1e-4 {
        (claim.downgrade(Status::PrecisionLimited), why)
    } else if r.violation <= tolerance.max(1e-6) {
        (
            claim.downgrade(Status::Feasible),
            "the point is feasible, its optimality is not confirmed".into(),
        )
    } else {
        (claim.downgrade(Status::Stalled), "the constraints are not met".into())
    }
}
