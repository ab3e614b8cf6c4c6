//! Checks of rows on whole arrays: shapes from the signature's own text, storage, rules of derivatives.

use std::collections::BTreeMap;

use ravine::ir::atom::{
    ArgFacts, ArrayData, ArrayKernel, ArrayOut, ArrayRef, CurvatureRule, Derivative, DomainOf, Eval, MonoRule, SignRule,
};
use ravine::ir::{Atom, AtomRef, Curvature, InputId, Ir, Mono, NodeId, Sign};
use ravine_linalg::Csr;

use super::draw::{Report, Rng, difference, has_sign, number};
use super::scalar::{claimed_degree, vanishes};
use super::{array_input, hessian_checks};
use crate::interp::{Array, eval};

/// Sizes given to the names of dimensions: all different, square, tall and wide where a name pair allows it.
const SIZES: &[&[(&str, usize)]] = &[
    &[("m", 4), ("n", 3), ("k", 5), ("p", 2), ("q", 3), ("r", 2)],
    &[("m", 3), ("n", 3), ("k", 3), ("p", 3), ("q", 3), ("r", 3)],
    &[("m", 2), ("n", 4), ("k", 1), ("p", 1), ("q", 2), ("r", 1)],
];

/// One parameter of a signature: its type's name and the names of its dimensions.
#[derive(Clone, Debug)]
struct Parameter {
    of: String,
    dims: Vec<String>,
}

fn parameter(text: &str) -> Parameter {
    let text = text.trim();
    let (of, dims) = text.split_once('[').unwrap_or((text, ""));
    let mut dims: Vec<String> = dims
        .trim_end_matches(']')
        .split(',')
        .map(|d| d.trim().to_string())
        .filter(|d| !d.is_empty())
        .collect();
    if ["Symmetric", "Diagonal"].contains(&of) {
        dims.push(dims[0].clone());
    }
    Parameter {
        of: of.to_string(),
        dims,
    }
}

/// Parameters and result of a signature's text.
fn signature(text: &str) -> (Vec<Parameter>, Parameter) {
    let (arguments, result) = text.rsplit_once(") -> ").expect("a signature has a result");
    let mut parameters = vec![];
    let mut depth = 0;
    let mut piece = String::new();
    for c in arguments.trim_start_matches('(').chars().chain([',']) {
        depth += i32::from(c == '[') - i32::from(c == ']');
        if c == ',' && depth == 0 {
            if piece.trim() == "..." {
                let last: Parameter = parameters.last().cloned().expect("... follows a parameter");
                parameters.extend([last.clone(), last]);
            } else {
                parameters.push(parameter(piece.split_once(": ").expect("name: type").1));
            }
            piece.clear();
        } else {
            piece.push(c);
        }
    }
    (parameters, parameter(result))
}

fn length(dim: &str, sizes: &[(&str, usize)]) -> usize {
    if let Some(rest) = dim.strip_suffix(" - 1") {
        return length(rest, sizes) - 1;
    }
    if let Some((a, b)) = dim.split_once(" + ") {
        return length(a, sizes) + length(b, sizes);
    }
    if let Some((a, b)) = dim.split_once(" * ") {
        return length(a, sizes) * length(b, sizes);
    }
    sizes.iter().find(|s| s.0 == dim).expect("a known size").1
}

fn shape(p: &Parameter, sizes: &[(&str, usize)], any: &[usize]) -> Vec<usize> {
    if p.dims == ["..d"] {
        return any.to_vec();
    }
    p.dims.iter().map(|d| length(d, sizes)).collect()
}

pub fn check(row: &'static Atom, report: &mut Report) {
    let mut rng = Rng::named(row.name);
    let Eval::Array(kernel) = row.eval else {
        report.check("eval", false, || "an array row has an array kernel".into());
        return;
    };
    for text in row.signature {
        let (parameters, result) = signature(text);
        for sizes in SIZES {
            for any in [&[3][..], &[2, 4], &[2, 3, 2]] {
                let uses_any = parameters.iter().any(|p| p.dims == ["..d"]);
                if !uses_any && any.len() > 1 {
                    continue;
                }
                let shapes: Vec<Vec<usize>> = parameters.iter().map(|p| shape(p, sizes, any)).collect();
                let refs: Vec<&[usize]> = shapes.iter().map(Vec::as_slice).collect();
                let got = (row.shape)(&refs);
                let variadic = text.contains("...");
                let expected = if variadic {
                    vec![parameters.len()]
                } else {
                    shape(&result, sizes, any)
                };
                report.check("shape", got.as_ref() == Ok(&expected), || {
                    format!("{text} with {shapes:?}: {got:?}, the signature says {expected:?}")
                });
                wrong_shapes(row, &parameters, &shapes, report);
                let setting = Setting {
                    row,
                    kernel,
                    parameters: &parameters,
                    shapes: &shapes,
                    result: &expected,
                };
                setting.storage(&mut rng, report);
                setting.facts(&mut rng, report);
                setting.derivative(&mut rng, report);
            }
        }
    }
}

/// One dimension lengthened where its name occurs twice: the shape rule must say no, naming shapes.
fn wrong_shapes(row: &Atom, parameters: &[Parameter], shapes: &[Vec<usize>], report: &mut Report) {
    let names: Vec<&String> = parameters.iter().flat_map(|p| &p.dims).collect();
    for (k, p) in parameters.iter().enumerate() {
        for (j, d) in p.dims.iter().enumerate() {
            if names.iter().filter(|n| **n == d).count() < 2 {
                continue;
            }
            let mut wrong = shapes.to_vec();
            wrong[k][j] += 1;
            let refs: Vec<&[usize]> = wrong.iter().map(Vec::as_slice).collect();
            let got = (row.shape)(&refs);
            report.check(
                "shape",
                got.as_ref().is_err_and(|e| e.contains(char::is_numeric)),
                || format!("{wrong:?} is accepted: {got:?}"),
            );
        }
    }
    let mut more: Vec<&[usize]> = shapes.iter().map(Vec::as_slice).collect();
    if parameters.len() < 3 {
        more.push(&[]);
        report.check("shape", (row.shape)(&more).is_err(), || {
            "one argument too many is accepted".into()
        });
    }
}

struct Setting<'a> {
    row: &'static Atom,
    kernel: ArrayKernel,
    parameters: &'a [Parameter],
    shapes: &'a [Vec<usize>],
    result: &'a [usize],
}

impl Setting<'_> {
    fn domain(&self, k: usize) -> DomainOf {
        self.row.domain[k.min(self.row.domain.len() - 1)]
    }

    /// Is it a number of entries, without derivative?
    fn counts(&self, k: usize) -> bool {
        self.parameters[k].of == "Int"
    }

    fn symmetric(&self, k: usize) -> bool {
        self.parameters[k].of == "Symmetric"
    }

    /// An argument of its domain; `None` if the sign excludes it.
    fn draw(&self, k: usize, sign: Sign, rng: &mut Rng) -> Option<Array> {
        let s = &self.shapes[k];
        let n: usize = s.iter().product();
        if self.counts(k) {
            let most = self.shapes[0].first().copied().unwrap_or(1);
            return Some(Array::new(s, vec![1.0 + rng.below(most) as f64])).filter(|_| sign != Sign::Nonpos);
        }
        let of = if s.is_empty() { self.domain(k) } else { DomainOf::Reals };
        let mut data: Vec<f64> = (0..n).map(|_| number(rng, of, sign)).collect::<Option<_>>()?;
        if let [r, c] = **s {
            if self.symmetric(k) {
                for i in 0..r {
                    for j in 0..i {
                        data[i * c + j] = data[j * c + i];
                    }
                }
            }
            match self.domain(k) {
                // Well away from rank loss, so that differences mean something.
                DomainOf::Nonsingular => (0..r.min(c)).for_each(|i| {
                    data[i * c + i] += if rng.unit() < 0.5 { 8.0 } else { -8.0 };
                }),
                DomainOf::PositiveDefinite => {
                    (0..r).for_each(|i| data[i * c + i] = 10.0 + data[i * c + i].abs());
                    // Determinants on both sides of 1.
                    let scale = if rng.unit() < 0.5 { 1.0 } else { 0.05 };
                    data.iter_mut().for_each(|v| *v *= scale);
                }
                _ => {}
            }
        }
        Some(Array::new(s, data))
    }

    fn direction(&self, k: usize, rng: &mut Rng) -> Array {
        let s = &self.shapes[k];
        if self.counts(k) {
            return Array::number(0.0);
        }
        let mut d = rng.vector(s.iter().product());
        if self.symmetric(k) {
            let n = s[0];
            for i in 0..n {
                for j in 0..i {
                    d[i * n + j] = d[j * n + i];
                }
            }
        }
        Array::new(s, d)
    }

    fn call(&self, args: &[Array]) -> Vec<f64> {
        let refs: Vec<ArrayRef<'_>> = args.iter().map(Array::as_ref).collect();
        match (self.kernel)(&refs) {
            Ok(out) => Array::from_out(self.result, out).data,
            Err(_) => vec![f64::NAN; self.result.iter().product()],
        }
    }

    /// Every combination of dense, sparse, plain and transposed storage gives the dense result.
    fn storage(&self, rng: &mut Rng, report: &mut Report) {
        let n = self.shapes.len();
        let drawn: Option<Vec<Array>> = (0..n).map(|k| self.draw(k, Sign::Unknown, rng)).collect();
        let Some(mut args) = drawn else { return };
        // Zeros off the diagonal, so that sparse patterns differ from full ones.
        for a in &mut args {
            if let [r, c] = *a.shape {
                for i in 0..r {
                    for j in 0..c {
                        if (i + 2 * j) % 3 == 1 && i != j {
                            a.data[i * c + j] = 0.0;
                            if r == c {
                                a.data[j * c + i] = 0.0;
                            }
                        }
                    }
                }
            }
        }
        let dense = self.call(&args);
        report.check("eval", dense.iter().all(|v| v.is_finite()), || {
            let refs: Vec<ArrayRef<'_>> = args.iter().map(Array::as_ref).collect();
            format!("{:?}: {:?}", self.shapes, (self.kernel)(&refs))
        });
        if let Some(expected) = reference(self.row.name, &args) {
            for (a, b) in dense.iter().zip(&expected) {
                report.near("eval", *a, *b, 1e-11, || format!("{:?}", self.shapes));
            }
        } else {
            report.check("eval", false, || "no reference for this row: add one".into());
        }
        for mask in 1..4usize.pow(n as u32) {
            let kind = |k: usize| mask / 4usize.pow(k as u32) % 4;
            if (0..n).any(|k| kind(k) > 0 && args[k].shape.len() != 2) {
                continue;
            }
            let stored: Vec<(Array, Option<Csr>)> = (0..n)
                .map(|k| {
                    let a = if kind(k) >= 2 {
                        flipped(&args[k])
                    } else {
                        args[k].clone()
                    };
                    let s = (kind(k) % 2 == 1).then(|| compressed(&a));
                    (a, s)
                })
                .collect();
            let refs: Vec<ArrayRef<'_>> = stored
                .iter()
                .enumerate()
                .map(|(k, (a, s))| ArrayRef {
                    shape: &a.shape,
                    data: match s {
                        Some(s) => ArrayData::Sparse(s),
                        None => ArrayData::Dense(&a.data),
                    },
                    transposed: kind(k) >= 2,
                })
                .collect();
            let out = (self.kernel)(&refs);
            let what = || format!("{:?} stored as {:?}", self.shapes, (0..n).map(kind).collect::<Vec<_>>());
            match out {
                Ok(out) => {
                    if let ArrayOut::Sparse(s) = &out {
                        report.check("sparse", well_formed(s), what);
                    }
                    let got = Array::from_out(self.result, out).data;
                    for (a, b) in got.iter().zip(&dense) {
                        report.near("sparse", *a, *b, 1e-11, what);
                    }
                }
                Err(e) => report.check("sparse", false, || format!("{}: {}", what(), e.what)),
            }
        }
    }

    fn facts(&self, rng: &mut Rng, report: &mut Report) {
        let n = self.shapes.len();
        for mask in 0..9usize.pow(n.min(2) as u32) {
            let of = |k: usize| mask / 9usize.pow(k.min(1) as u32) % 9;
            let sign = |k: usize| [Sign::Unknown, Sign::Nonneg, Sign::Nonpos][of(k) % 3];
            let fixed = |k: usize| of(k) / 3 == 1 || self.counts(k);
            if of(0) / 3 == 2 || of(n - 1) / 3 == 2 || (0..n).all(fixed) {
                continue;
            }
            let facts: Vec<ArgFacts> = (0..n)
                .map(|k| ArgFacts {
                    sign: sign(k),
                    curvature: if fixed(k) {
                        Curvature::Constant
                    } else {
                        Curvature::Affine
                    },
                    constant: None,
                })
                .collect();
            for _ in 0..4 {
                self.fact(&facts, rng, report);
            }
        }
    }

    fn fact(&self, facts: &[ArgFacts], rng: &mut Rng, report: &mut Report) {
        let n = facts.len();
        let signs: Vec<Sign> = facts.iter().map(|f| f.sign).collect();
        let claim = match self.row.sign {
            SignRule::Always(s) => s,
            SignRule::Of(f) => f(&signs),
            SignRule::With(f) => f(facts),
        };
        let curvature = match self.row.curvature {
            CurvatureRule::Always(c) => c,
            CurvatureRule::Of(f) => f(facts),
        };
        let fixed = |k: usize| facts[k].curvature == Curvature::Constant;
        let draw = |rng: &mut Rng| -> Option<Vec<Array>> { (0..n).map(|k| self.draw(k, signs[k], rng)).collect() };
        let (Some(p), Some(mut q)) = (draw(rng), draw(rng)) else {
            return;
        };
        for k in 0..n {
            if fixed(k) {
                q[k] = p[k].clone();
            }
        }
        // Shifted diagonals leave the sign assumed: such a draw says nothing about signs.
        let kept = (0..n).all(|k| p[k].data.iter().chain(&q[k].data).all(|v| has_sign(*v, signs[k])));
        if !kept {
            return;
        }
        let (fp, fq) = (self.call(&p), self.call(&q));
        for v in &fp {
            if claim != Sign::Unknown {
                report.check("sign", has_sign(*v, claim), || {
                    format!("{facts:?}: {v}, claimed {claim:?}")
                });
            }
        }
        if curvature != Curvature::Unknown {
            let l = rng.unit();
            let mix = |a: f64, b: f64| l * a + (1.0 - l) * b;
            let m: Vec<Array> = (0..n)
                .map(|k| {
                    Array::new(
                        &p[k].shape,
                        p[k].data.iter().zip(&q[k].data).map(|(a, b)| mix(*a, *b)).collect(),
                    )
                })
                .collect();
            for (fm, (a, b)) in self.call(&m).iter().zip(fp.iter().zip(&fq)) {
                let (chord, tol) = (mix(*a, *b), 1e-10 * (1.0 + a.abs() + b.abs()));
                let ok = match curvature {
                    Curvature::Affine => (fm - chord).abs() <= tol,
                    Curvature::Convex => *fm <= chord + tol,
                    Curvature::Concave => *fm >= chord - tol,
                    _ => (a - b).abs() <= tol,
                };
                report.check("curvature", ok, || {
                    format!("{facts:?}: claimed {curvature:?}, {fm} against {chord}")
                });
            }
        }
        for k in 0..n {
            let mono = match self.row.monotone {
                MonoRule::Always(m) => m[k.min(m.len() - 1)],
                MonoRule::Of(f) => f(facts, k),
            };
            if !matches!(mono, Mono::Increasing | Mono::Decreasing) || p[k].data.is_empty() {
                continue;
            }
            let j = rng.below(p[k].data.len());
            let mut moved = p.clone();
            moved[k].data[j] = q[k].data[j];
            let up = (moved[k].data[j] - p[k].data[j]) * if mono == Mono::Increasing { 1.0 } else { -1.0 };
            for (a, b) in fp.iter().zip(self.call(&moved)) {
                let ok = (b - a) * up.signum() >= -1e-12 * (1.0 + a.abs());
                report.check("monotone", ok, || format!("{facts:?}, argument {k}: claimed {mono:?}"));
            }
        }
        self.degree(facts, &p, rng, report);
    }

    fn degree(&self, facts: &[ArgFacts], p: &[Array], rng: &mut Rng, report: &mut Report) {
        for of_args in 1..=2u8 {
            let degrees: Vec<u8> = facts
                .iter()
                .map(|f| if f.curvature == Curvature::Constant { 0 } else { of_args })
                .collect();
            let claim = claimed_degree(self.row, &degrees, facts);
            if claim > 2 {
                continue;
            }
            let d: Vec<(Array, Array)> = (0..p.len())
                .map(|k| (self.direction(k, rng), self.direction(k, rng)))
                .collect();
            let along: Vec<Vec<f64>> = (0..5)
                .map(|i| {
                    let s = 0.3 * f64::from(i) - 0.6;
                    let args: Vec<Array> = (0..p.len())
                        .map(|k| {
                            let (b, c) = (f64::from(degrees[k].min(1)) * s, f64::from(degrees[k] / 2) * s * s);
                            let data = (0..p[k].data.len())
                                .map(|j| p[k].data[j] + b * d[k].0.data[j] + c * d[k].1.data[j])
                                .collect();
                            Array::new(&p[k].shape, data)
                        })
                        .collect();
                    self.call(&args)
                })
                .collect();
            for j in 0..along[0].len() {
                let values: [f64; 5] = std::array::from_fn(|i| along[i][j]);
                report.check("degree", vanishes(&values, claim), || {
                    format!("{facts:?}: claimed {claim}: {values:?}")
                });
            }
        }
    }

    fn derivative(&self, rng: &mut Rng, report: &mut Report) {
        let (jvp, vjp) = match self.row.derivative {
            Derivative::Rule { jvp, vjp } => (jvp, vjp),
            Derivative::None(why) => {
                report.check("derivative", why.contains(' '), || {
                    "no derivative, and no reason".into()
                });
                return;
            }
            _ => {
                report.check("derivative", false, || "an array row has rules".into());
                return;
            }
        };
        let n = self.shapes.len();
        let mut ir = Ir::new();
        let named = |ir: &mut Ir, prefix: &str| -> (Vec<InputId>, Vec<NodeId>) {
            (0..n)
                .map(|k| array_input(ir, &format!("{prefix}{k}"), &self.shapes[k]))
                .unzip()
        };
        let (inputs, args) = named(&mut ir, "x");
        let (seeds, tangents) = named(&mut ir, "u");
        let (ct_input, ct) = array_input(&mut ir, "ct", self.result);
        let y = ir.apply(AtomRef(self.row), &args);
        // The rule belongs to the row's own node: where identities took it apart, the rest of the suite looks at them.
        let all: Vec<Option<NodeId>> = tangents.iter().map(|t| Some(*t)).collect();
        let dy = jvp(&mut ir, &args, &all, y);
        let cts = vjp(&mut ir, &args, y, ct, &vec![true; n]);
        report.check("derivative", dy.is_some() && cts.len() == n, || {
            "a rule answers for every argument".into()
        });
        let Some(dy) = dy else { return };
        for _ in 0..3 {
            let drawn: Option<Vec<Array>> = (0..n).map(|k| self.draw(k, Sign::Unknown, rng)).collect();
            let Some(x) = drawn else { return };
            let u: Vec<Array> = (0..n).map(|k| self.direction(k, rng)).collect();
            let c = rng.vector(self.result.iter().product());
            let mut values: BTreeMap<InputId, Array> = BTreeMap::new();
            values.extend(inputs.iter().copied().zip(x.iter().cloned()));
            values.extend(seeds.iter().copied().zip(u.iter().cloned()));
            values.insert(ct_input, Array::new(self.result, c.clone()));
            let forward = eval(&ir, &values, dy).data;
            for (j, slope) in forward.iter().enumerate() {
                let moved = |h: f64| {
                    let z: Vec<Array> = (0..n)
                        .map(|k| {
                            let data = x[k].data.iter().zip(&u[k].data).map(|(a, b)| a + h * b).collect();
                            Array::new(&x[k].shape, data)
                        })
                        .collect();
                    self.call(&z)[j]
                };
                let (coarse, fine) = difference(moved, 4e-3);
                let tol = 1e-8 + (coarse - fine).abs().min(1e-6);
                report.near("difference", *slope, fine, tol, || {
                    format!("entry {j} of {:?}", self.shapes)
                });
            }
            // One tangent at a time sums to all of them; each cotangent has its argument's shape.
            let mut total = 0.0;
            for k in 0..n {
                let one: Vec<Option<NodeId>> = (0..n).map(|j| (j == k).then_some(tangents[j])).collect();
                let part = jvp(&mut ir, &args, &one, y);
                let along: f64 = match part {
                    Some(t) => eval(&ir, &values, t).data.iter().zip(&c).map(|(a, b)| a * b).sum(),
                    None => 0.0,
                };
                total += along;
                let wanted: Vec<bool> = (0..n).map(|j| j == k).collect();
                let back = vjp(&mut ir, &args, y, ct, &wanted);
                for (of, from) in [(&cts, "all wanted"), (&back, "one wanted")] {
                    let Some(w) = of.get(k).copied().flatten() else {
                        report.check("transpose", along == 0.0, || {
                            format!("no cotangent of argument {k}, {from}")
                        });
                        continue;
                    };
                    let g = eval(&ir, &values, w);
                    report.check("transpose", g.shape == self.shapes[k], || {
                        format!("cotangent {k}: {:?}", g.shape)
                    });
                    let dual: f64 = g.data.iter().zip(&u[k].data).map(|(a, b)| a * b).sum();
                    report.near("transpose", along, dual, 1e-10, || {
                        format!("argument {k} of {:?}, {from}", self.shapes)
                    });
                }
            }
            let whole: f64 = forward.iter().zip(&c).map(|(a, b)| a * b).sum();
            report.near("linear", whole, total, 1e-10, || format!("{:?}", self.shapes));
            if super::NO_SECOND_DERIVATIVE.contains(&self.row.name) {
                continue;
            }
            hessian_checks(&ir, &inputs, &vec![false; n], y, &values, rng, report);
        }
    }
}

fn flipped(a: &Array) -> Array {
    let (r, c) = (a.shape[0], a.shape[1]);
    let data = (0..c).flat_map(|j| (0..r).map(move |i| a.data[i * c + j])).collect();
    Array::new(&[c, r], data)
}

fn compressed(a: &Array) -> Csr {
    let (r, c) = (a.shape[0], a.shape[1]);
    let mut s = Csr {
        rows: r,
        cols: c,
        indptr: vec![0],
        indices: vec![],
        values: vec![],
    };
    for i in 0..r {
        for j in 0..c {
            if a.data[i * c + j] != 0.0 {
                s.indices.push(j);
                s.values.push(a.data[i * c + j]);
            }
        }
        s.indptr.push(s.indices.len());
    }
    s
}

fn well_formed(s: &Csr) -> bool {
    s.indptr.len() == s.rows + 1
        && s.indices.len() == s.values.len()
        && s.indptr[s.rows] == s.indices.len()
        && (0..s.rows).all(|i| {
            let row = &s.indices[s.indptr[i]..s.indptr[i + 1]];
            row.windows(2).all(|w| w[0] < w[1]) && row.iter().all(|j| *j < s.cols)
        })
}

fn matrix(a: &Array) -> nalgebra::DMatrix<f64> {
    let (r, c) = if let [r, c] = *a.shape {
        (r, c)
    } else {
        (a.data.len(), 1)
    };
    nalgebra::DMatrix::from_row_slice(r, c, &a.data)
}

fn flat(m: &nalgebra::DMatrix<f64>) -> Vec<f64> {
    m.transpose().as_slice().to_vec()
}

/// The same by nalgebra.
fn reference(name: &str, x: &[Array]) -> Option<Vec<f64>> {
    let m: Vec<nalgebra::DMatrix<f64>> = x.iter().filter(|a| a.shape.len() <= 2).map(matrix).collect();
    let entrywise = |f: fn(f64, f64) -> f64| x[0].data.iter().zip(&x[1].data).map(|(a, b)| f(*a, *b)).collect();
    let singular = || m[0].clone().svd(false, false).singular_values;
    let spectrum = || m[0].clone().symmetric_eigen().eigenvalues;
    Some(match name {
        "matmul" => flat(&(&m[0] * &m[1])),
        "transpose" => flat(&m[0].transpose()),
        "array_add" => entrywise(|a, b| a + b),
        "array_sub" => entrywise(|a, b| a - b),
        "array_scale" => x[1].data.iter().map(|v| x[0].data[0] * v).collect(),
        "diag" => flat(&nalgebra::DMatrix::from_diagonal(&m[0].column(0).into_owned())),
        "diagpart" => m[0].diagonal().as_slice().to_vec(),
        "outer" => flat(&(&m[0] * m[1].transpose())),
        "solve" => flat(&(m[0].clone().pseudo_inverse(1e-12).ok()? * &m[1])),
        "inv" => flat(&m[0].clone().try_inverse()?),
        "eigvals" => {
            let mut all: Vec<f64> = spectrum().iter().copied().collect();
            all.sort_by(|a, b| b.total_cmp(a));
            all
        }
        "eigvecs" => {
            let e = m[0].clone().symmetric_eigen();
            let mut order: Vec<usize> = (0..e.eigenvalues.len()).collect();
            order.sort_by(|i, j| e.eigenvalues[*j].total_cmp(&e.eigenvalues[*i]));
            let mut columns = vec![];
            for k in order {
                let v = e.eigenvectors.column(k);
                let top = v
                    .iter()
                    .copied()
                    .fold(0.0f64, |m, x| if x.abs() > m.abs() { x } else { m });
                columns.push(v * top.signum());
            }
            flat(&nalgebra::DMatrix::from_columns(&columns))
        }
        "orth" => {
            let f = m[0].clone().qr();
            let (mut q, r) = (f.q(), f.r());
            for j in 0..q.ncols() {
                let s = r[(j, j)].signum();
                q.column_mut(j).scale_mut(s);
            }
            flat(&q)
        }
        "det" => vec![m[0].determinant()],
        "logdet" => vec![spectrum().iter().map(|v| v.ln()).sum()],
        "trace_inv" => vec![spectrum().iter().map(|v| 1.0 / v).sum()],
        "trace" => vec![m[0].trace()],
        "quad" => flat(&(m[0].transpose() * &m[1] * &m[0])),
        "stack" => x.iter().map(|a| a.data[0]).collect(),
        "concat" => x.iter().flat_map(|a| a.data.clone()).collect(),
        "kron" => flat(&m[0].kronecker(&m[1])),
        "conv" => {
            let (a, b) = (&x[0].data, &x[1].data);
            let mut c = vec![0.0; a.len() + b.len() - 1];
            for (i, u) in a.iter().enumerate() {
                for (j, v) in b.iter().enumerate() {
                    c[i + j] += u * v;
                }
            }
            c
        }
        "opaque" => x[0].data.clone(),
        "sum_largest" | "sum_largest_slope" => {
            let k = x[1].data[0] as usize;
            let mut order: Vec<usize> = (0..x[0].data.len()).collect();
            order.sort_by(|i, j| x[0].data[*j].total_cmp(&x[0].data[*i]));
            if name == "sum_largest" {
                vec![order[..k].iter().map(|i| x[0].data[*i]).sum()]
            } else {
                (0..order.len())
                    .map(|i| f64::from(u8::from(order[..k].contains(&i))))
                    .collect()
            }
        }
        "pnorm" => {
            let p = x[1].data[0];
            vec![x[0].data.iter().map(|v| v.abs().powf(p)).sum::<f64>().powf(1.0 / p)]
        }
        "matrix_frac" => flat(&(m[0].transpose() * m[1].clone().try_inverse()? * &m[0])),
        // Unique up to an orthogonal factor: the one along eigenvectors, in the order of the eigenvalues.
        "psd_factor" => {
            let e = m[0].clone().symmetric_eigen();
            let mut order: Vec<usize> = (0..e.eigenvalues.len()).collect();
            order.sort_by(|i, j| e.eigenvalues[*i].total_cmp(&e.eigenvalues[*j]));
            let mut rows = vec![];
            for k in order {
                let v = e.eigenvectors.column(k) * e.eigenvalues[k].max(0.0).sqrt();
                let top = v
                    .iter()
                    .copied()
                    .fold(0.0f64, |m, x| if x.abs() > m.abs() { x } else { m });
                let v = v * top.signum();
                rows.extend(v.iter().copied());
            }
            rows
        }
        "cumsum" => x[0]
            .data
            .iter()
            .scan(0.0, |s, v| {
                *s += v;
                Some(*s)
            })
            .collect(),
        "lambda_max_slope" | "lambda_min_slope" => {
            let e = m[0].clone().symmetric_eigen();
            let k = if name == "lambda_max_slope" {
                e.eigenvalues.imax()
            } else {
                e.eigenvalues.imin()
            };
            flat(&(e.eigenvectors.column(k) * e.eigenvectors.column(k).transpose()))
        }
        "sigma_max_slope" => {
            let f = m[0].clone().svd(true, true);
            let k = f.singular_values.imax();
            flat(&(f.u?.column(k) * f.v_t?.row(k)))
        }
        "nuclear_slope" => {
            let f = m[0].clone().svd(true, true);
            flat(&(f.u? * f.v_t?))
        }
        "lambda_max" => vec![spectrum().max()],
        "lambda_min" => vec![spectrum().min()],
        "sigma_max" => vec![singular().max()],
        "nuclear" => vec![singular().sum()],
        _ => return None,
    })
}

/// Is the result of sparse arguments stored sparsely?
pub fn stays_sparse(row: &'static Atom) -> bool {
    let Eval::Array(kernel) = row.eval else { return false };
    let (parameters, _) = row
        .signature
        .iter()
        .map(|s| signature(s))
        .max_by_key(|s| s.0.iter().map(|p| p.dims.len()).sum::<usize>())
        .expect("a signature");
    let arrays: Vec<Array> = parameters
        .iter()
        .map(|p| {
            let s = shape(p, SIZES[1], &[3, 3]);
            let n = s.iter().product();
            Array::new(&s, (0..n).map(|i| f64::from(u8::from(i % 4 == 0))).collect())
        })
        .collect();
    let stored: Vec<Csr> = arrays
        .iter()
        .map(|a| {
            if a.shape.len() == 2 {
                compressed(a)
            } else {
                compressed(&Array::new(&[1, a.data.len()], a.data.clone()))
            }
        })
        .collect();
    let refs: Vec<ArrayRef<'_>> = arrays
        .iter()
        .zip(&stored)
        .map(|(a, s)| ArrayRef {
            shape: &a.shape,
            data: if a.shape.len() == 2 {
                ArrayData::Sparse(s)
            } else {
                ArrayData::Dense(&a.data)
            },
            transposed: false,
        })
        .collect();
    matches!(kernel(&refs), Ok(ArrayOut::Sparse(_)))
}

/// `quad` of sums, multiples, products and diagonals: the same value without the matrix.
pub fn quadratic_forms() {
    use ravine::atoms::{ARRAY_ADD, ARRAY_SCALE, ARRAY_SUB, DIAG, MATMUL, QUAD, TRANSPOSE};
    let mut rng = Rng::named("quadratic forms");
    let mut ir = Ir::new();
    let mut values = BTreeMap::new();
    let mut input = |ir: &mut Ir, name: &str, shape: &[usize]| {
        let (id, node) = array_input(ir, name, shape);
        values.insert(id, Array::new(shape, rng.vector(shape.iter().product())));
        node
    };
    let x = input(&mut ir, "x", &[4]);
    let f = input(&mut ir, "F", &[4, 2]);
    let g = input(&mut ir, "G", &[3, 4]);
    let d = input(&mut ir, "d", &[4]);
    let e = input(&mut ir, "e", &[2]);
    let p = input(&mut ir, "P", &[4, 4]);
    let k = input(&mut ir, "k", &[]);
    let m = input(&mut ir, "M", &[3, 3]);
    let (ft, gt) = (ir.apply(TRANSPOSE, &[f]), ir.apply(TRANSPOSE, &[g]));
    let (dd, de) = (ir.apply(DIAG, &[d]), ir.apply(DIAG, &[e]));
    let factor = ir.apply(MATMUL, &[f, ft]);
    let fe = ir.apply(MATMUL, &[f, de]);
    let weighted = ir.apply(MATMUL, &[fe, ft]);
    let gram = ir.apply(MATMUL, &[gt, g]);
    let mg = ir.apply(MATMUL, &[m, g]);
    let middle = ir.apply(MATMUL, &[gt, mg]);
    let portfolio = ir.apply(ARRAY_ADD, &[weighted, dd]);
    let scaled = ir.apply(ARRAY_SCALE, &[k, portfolio]);
    let difference = ir.apply(ARRAY_SUB, &[scaled, p]);
    let flipped = ir.apply(TRANSPOSE, &[p]);
    for (matrix, stays) in [
        (factor, false),
        (weighted, false),
        (gram, false),
        (middle, true),
        (dd, false),
        (portfolio, false),
        (scaled, false),
        (difference, true),
        (flipped, true),
        (p, true),
    ] {
        let direct = {
            let (x, p) = (eval(&ir, &values, x), eval(&ir, &values, matrix));
            matrix_form(&x.data, &p.data)
        };
        let q = ir.apply(QUAD, &[x, matrix]);
        let through = eval(&ir, &values, q).data[0];
        assert!(
            (direct - through).abs() <= 1e-12 * (1.0 + direct.abs()),
            "{direct} against {through}"
        );
        let reads = ir.reachable(&[q]);
        assert!(matrix == p || !reads.contains(&matrix), "the matrix is still formed");
        let has_quad = reads
            .iter()
            .any(|n| matches!(ir.node(*n), ravine::ir::Node::Apply { atom, .. } if *atom == QUAD));
        assert_eq!(has_quad, stays, "a form of unknown definiteness where none is needed");
    }
}

fn matrix_form(x: &[f64], p: &[f64]) -> f64 {
    let n = x.len();
    (0..n * n).map(|k| x[k / n] * p[k] * x[k % n]).sum()
}
