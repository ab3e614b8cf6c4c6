//! Checks of reductions.

use std::collections::BTreeMap;

use ravine::atoms;
use ravine::base::value::IndexSet;
use ravine::ir::atom::{ArgFacts, CurvatureRule, Derivative, DomainOf, Eval, Graph, MonoRule, Prox, SignRule};
use ravine::ir::{Atom, AtomRef, Curvature, DomainId, InputId, Ir, Mono, NodeId, Pos, Sign};

use super::draw::{Report, Rng, against_difference, difference, has_sign, number};
use super::scalar::{claimed_degree, vanishes};
use super::{array_input, graph_value, hessian_checks};
use crate::interp::{Array, eval, reduce};

const N: usize = 5;

pub fn check(row: &'static Atom, report: &mut Report) {
    let mut rng = Rng::named(row.name);
    kernel(row, &mut rng, report);
    facts(row, &mut rng, report);
    for filtered in [false, true] {
        slope(row, filtered, &mut rng, report);
    }
    prox(row, &mut rng, report);
    graph(row, &mut rng, report);
}

fn draw(row: &Atom, n: usize, sign: Sign, rng: &mut Rng) -> Option<Vec<f64>> {
    (0..n).map(|_| number(rng, row.domain[0], sign)).collect()
}

fn reference(name: &str, v: &[f64]) -> Option<f64> {
    let n = v.len() as f64;
    let big = f64::INFINITY;
    let truth = |c: bool| f64::from(u8::from(c));
    Some(match name {
        "sum" => v.iter().sum(),
        "mean" => v.iter().sum::<f64>() / n,
        "prod" => v.iter().product(),
        "geo_mean" => (v.iter().map(|x| x.ln()).sum::<f64>() / n).exp(),
        "max" => v.iter().fold(-big, |m, x| m.max(*x)),
        "min" => v.iter().fold(big, |m, x| m.min(*x)),
        "norm" => v.iter().map(|x| x * x).sum::<f64>().sqrt(),
        "norm1" => v.iter().map(|x| x.abs()).sum(),
        "norminf" => v.iter().fold(0.0, |m, x| m.max(x.abs())),
        "sumsq" => v.iter().map(|x| x * x).sum(),
        "logsumexp" => v.iter().map(|x| x.exp()).sum::<f64>().ln(),
        "all" => truth(v.iter().all(|x| *x == 1.0)),
        "any" => truth(v.contains(&1.0)),
        _ => return None,
    })
}

/// A value, in one block and in unequal pieces, with empty ones between.
fn kernel(row: &Atom, rng: &mut Rng, report: &mut Report) {
    let Eval::Reduce(r) = row.eval else {
        report.check("eval", false, || "a reduction has a reduction kernel".into());
        return;
    };
    for n in [1, 2, 5, 17, 300, 1024] {
        for _ in 0..8 {
            let Some(mut v) = draw(row, n, Sign::Unknown, rng) else {
                return;
            };
            if row.name == "prod" {
                v.iter_mut().for_each(|x| *x = 1.0 + 0.01 * *x);
            }
            let whole = reduce(row.eval, &v);
            match reference(row.name, &v) {
                Some(y) => report.near("eval", whole, y, 1e-12, || format!("n = {n}")),
                None => report.check("eval", false, || "no reference for this row: add one".into()),
            }
            let cut = rng.below(n + 1);
            let part = |v: &[f64]| if v.is_empty() { r.empty } else { (r.block)(v) };
            let pieces = (r.combine)((r.combine)(part(&v[..cut]), r.empty), part(&v[cut..]));
            report.near("combine", (r.finish)(pieces, n), whole, 1e-12, || {
                format!("n = {n} cut at {cut}")
            });
        }
    }
    if row.signature[0].ends_with("Real") {
        report.check("poison", reduce(row.eval, &[1.0, f64::NAN, 2.0]).is_nan(), || {
            "NaN is lost".into()
        });
        let pieces = (r.combine)((r.block)(&[1.0, f64::NAN]), (r.block)(&[2.0]));
        report.check("poison", (r.finish)(pieces, 3).is_nan(), || {
            "NaN is lost between blocks".into()
        });
    }
    if ["norm", "logsumexp", "norminf", "max"].contains(&row.name) {
        // As large as the result allows, and mixed with small ones across blocks.
        for big in [1e3, 1e200] {
            let pieces = (r.combine)((r.block)(&[big]), (r.block)(&[1e-3]));
            report.near("scale", (r.finish)(pieces, 2), big, 1e-12, || "large entries".into());
        }
    }
    if row.name == "norm" {
        let pieces = (r.combine)((r.block)(&[3e-200]), (r.block)(&[4e-200]));
        report.near("scale", (r.finish)(pieces, 2) * 1e200, 5.0, 1e-12, || {
            "small entries".into()
        });
    }
}

fn facts(row: &Atom, rng: &mut Rng, report: &mut Report) {
    let f = |v: &[f64]| reduce(row.eval, v);
    for sign in [Sign::Unknown, Sign::Nonneg, Sign::Nonpos] {
        let facts = [ArgFacts {
            sign,
            curvature: Curvature::Affine,
            constant: None,
        }];
        let claim = match row.sign {
            SignRule::Always(s) => s,
            SignRule::Of(f) => f(&[sign]),
            SignRule::With(f) => f(&facts),
        };
        let curvature = match row.curvature {
            CurvatureRule::Always(c) => c,
            CurvatureRule::Of(f) => f(&facts),
        };
        let mono = match row.monotone {
            MonoRule::Always(m) => m[0],
            MonoRule::Of(f) => f(&facts, 0),
        };
        for _ in 0..120 {
            let (Some(p), Some(q)) = (draw(row, N, sign, rng), draw(row, N, sign, rng)) else {
                break;
            };
            let (fp, fq) = (f(&p), f(&q));
            if claim != Sign::Unknown {
                report.check("sign", has_sign(fp, claim), || {
                    format!("{p:?}: {fp}, claimed {claim:?}")
                });
            }
            if curvature != Curvature::Unknown {
                let l = rng.unit();
                let m: Vec<f64> = p.iter().zip(&q).map(|(a, b)| l * a + (1.0 - l) * b).collect();
                let (fm, chord) = (f(&m), l * fp + (1.0 - l) * fq);
                let tol = 1e-11 * (1.0 + fp.abs() + fq.abs());
                let ok = match curvature {
                    Curvature::Affine => (fm - chord).abs() <= tol,
                    Curvature::Convex => fm <= chord + tol,
                    Curvature::Concave => fm >= chord - tol,
                    _ => (fp - fq).abs() <= tol,
                };
                report.check("curvature", ok, || {
                    format!("claimed {curvature:?} between {p:?} and {q:?}")
                });
            }
            let k = rng.below(N);
            let mut other = p.clone();
            other[k] = q[k];
            let (fo, tol) = (f(&other), 1e-12 * (1.0 + fp.abs()));
            let rise = (fo - fp) * (q[k] - p[k]).signum();
            let ok = match mono {
                Mono::Increasing => rise >= -tol,
                Mono::Decreasing => rise <= tol,
                Mono::AwayFromZero if p[k] >= 0.0 && q[k] >= 0.0 => rise >= -tol,
                Mono::AwayFromZero if p[k] <= 0.0 && q[k] <= 0.0 => rise <= tol,
                _ => continue,
            };
            report.check("monotone", ok, || {
                format!("claimed {mono:?}, {fp} at {p:?}, {fo} at {other:?}")
            });
        }
        for of_arg in 1..=2u8 {
            let claim = claimed_degree(row, &[of_arg], &facts);
            if claim > 2 || row.domain[0] == DomainOf::Truth {
                continue;
            }
            let (a, b, c) = (rng.vector(N), rng.vector(N), rng.vector(N));
            let values: [f64; 5] = std::array::from_fn(|i| {
                let s = 0.3 * i as f64 - 0.6;
                let quadratic = f64::from(of_arg - 1);
                let v: Vec<f64> = (0..N).map(|j| a[j] + s * b[j] + quadratic * s * s * c[j]).collect();
                f(&v)
            });
            report.check("degree", vanishes(&values, claim), || {
                format!("claimed {claim}, values {values:?}")
            });
        }
    }
}

/// `y = row(x[i] for i)`, all entries or all but the second.
fn program(row: &'static Atom, filtered: bool) -> (Ir, InputId, DomainId, NodeId, NodeId) {
    let mut ir = Ir::new();
    let (input, x) = array_input(&mut ir, "x", &[N]);
    let (domain, indices) = ir.add_domain(DomainId::ROOT, [("i".to_string(), IndexSet::upto(N))]);
    if filtered {
        let (i, two) = (ir.index_value(indices[0]), ir.constant(2.0));
        let keep = ir.apply(atoms::NE, &[i, two]);
        ir.set_filter(domain, keep);
    }
    let body = ir.gather(x, vec![Pos::index(indices[0])]);
    let y = ir.fold(AtomRef(row), domain, body);
    (ir, input, domain, body, y)
}

fn slope(row: &'static Atom, filtered: bool, rng: &mut Rng, report: &mut Report) {
    let (mut ir, input, domain, body, y) = program(row, filtered);
    let slope = match row.derivative {
        Derivative::Slope(f) => f(&mut ir, domain, body, y),
        Derivative::Zero if row.domain[0] == DomainOf::Truth => return,
        Derivative::Zero => ir.constant(0.0),
        _ => {
            report.check("derivative", false, || "a reduction has a slope".into());
            return;
        }
    };
    let (inner, indices) = (domain, ir.domain(domain).indices.clone());
    let gradient = ir.scatter(inner, vec![N], vec![Pos::index(indices[0])], slope);
    for _ in 0..20 {
        let Some(x) = draw(row, N, Sign::Unknown, rng) else {
            return;
        };
        let at = |v: Vec<f64>| BTreeMap::from([(input, Array::new(&[N], v))]);
        let g = eval(&ir, &at(x.clone()), gradient).data;
        for k in 0..N {
            let moved = |h: f64| {
                let mut z = x.clone();
                z[k] += h;
                eval(&ir, &at(z), y).data[0]
            };
            against_difference(report, "difference", g[k], difference(moved, 2e-3), || {
                format!("entry {k} at {x:?}")
            });
        }
        hessian_checks(&ir, &[input], &[false], y, &at(x), rng, report);
    }
    // At a tie or at the kink a convex function's slope must still be a subgradient.
    if row.curvature_is(Curvature::Convex) {
        for x in [vec![0.0; N], vec![1.0; N], vec![1.0, -1.0, 1.0, -1.0, 0.5]] {
            let at = |v: Vec<f64>| BTreeMap::from([(input, Array::new(&[N], v))]);
            let g = eval(&ir, &at(x.clone()), gradient).data;
            let fx = eval(&ir, &at(x.clone()), y).data[0];
            for _ in 0..20 {
                let z: Vec<f64> = x.iter().map(|v| v + rng.between(-1.0, 1.0)).collect();
                let line = fx + (0..N).map(|k| g[k] * (z[k] - x[k])).sum::<f64>();
                let fz = eval(&ir, &at(z.clone()), y).data[0];
                report.check("subgradient", fz >= line - 1e-12, || {
                    format!("at {x:?}: {fz} below {line}")
                });
            }
        }
    }
}

trait Curved {
    fn curvature_is(&self, c: Curvature) -> bool;
}
impl Curved for Atom {
    fn curvature_is(&self, c: Curvature) -> bool {
        matches!(self.curvature, CurvatureRule::Always(d) if d == c)
    }
}

fn prox(row: &Atom, rng: &mut Rng, report: &mut Report) {
    let Prox::Vector(prox) = row.prox else { return };
    for n in [1, 2, N, 40] {
        for _ in 0..40 {
            let t = rng.between(0.01, 3.0);
            let mut v: Vec<f64> = (0..n).map(|_| rng.between(-4.0, 4.0)).collect();
            if rng.unit() < 0.2 {
                v.fill(1.0);
            }
            let mut u = v.clone();
            prox(&mut u, t);
            let cost = |w: &[f64]| {
                t * reduce(row.eval, w) + 0.5 * w.iter().zip(&v).map(|(a, b)| (a - b) * (a - b)).sum::<f64>()
            };
            for spread in [1e-3, 0.1, 3.0] {
                let w: Vec<f64> = u.iter().map(|a| a + rng.between(-spread, spread)).collect();
                let away: f64 = w.iter().zip(&u).map(|(a, b)| (a - b) * (a - b)).sum();
                let gap = cost(&w) - cost(&u) - 0.5 * away;
                report.check("prox", gap >= -1e-11 * (1.0 + cost(&u).abs()), || {
                    format!("n = {n}, t = {t}: {u:?} is beaten by {w:?} by {}", -gap)
                });
            }
        }
    }
}

fn graph(row: &Atom, rng: &mut Rng, report: &mut Report) {
    if matches!(row.graph, Graph::None(_) | Graph::Rewrite(_) | Graph::Cones(..)) {
        return;
    }
    for _ in 0..50 {
        let Some(x) = draw(row, N, Sign::Unknown, rng) else {
            return;
        };
        let (t, curved) = graph_value(row.graph, &x);
        report.near("graph", reduce(row.eval, &x), t, 1e-12, || {
            format!("optimal t at {x:?}")
        });
        report.check("graph", row.curvature_is(curved), || format!("{curved:?} set"));
        report.check("graph", super::reduces(row.graph), || "a graph of numbers".into());
    }
}
