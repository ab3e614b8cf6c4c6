//! The problems that fixtures optimize, as oracles.
//!
//! Invariant: evaluated by formulas of their own, in the order of operations of the reference that made the fixtures.

use std::sync::Arc;

use ravine::forms::simple::{Block, Piece, Simple};
use ravine::solve::composite::Parts;
use ravine::solve::{Class, Counts, Fault, Needs, Oracle};
use ravine_linalg::Csr;
use serde_json::Value as Json;

pub fn vector(j: &Json) -> Vec<f64> {
    j.as_array().unwrap().iter().map(number).collect()
}

pub fn number(j: &Json) -> f64 {
    match j {
        Json::Number(n) => n.as_f64().unwrap(),
        Json::Bool(b) => f64::from(u8::from(*b)),
        other => panic!("no number: {other}"),
    }
}

fn matrix(j: &Json) -> Vec<Vec<f64>> {
    j.as_array().unwrap().iter().map(vector).collect()
}

pub fn flat(j: &Json) -> Vec<f64> {
    match j {
        Json::Array(a) => a.iter().flat_map(flat).collect(),
        other => vec![number(other)],
    }
}

fn dot(a: &[f64], b: &[f64]) -> f64 {
    a.iter().zip(b).map(|(a, b)| a * b).sum()
}

/// What a fixture optimizes.
enum Kind {
    /// `(x − x*)ᵀ A (x − x*)/2`.
    Quadratic { a: Vec<Vec<f64>>, star: Vec<f64> },
    /// `mean log(1 + exp(−yᵢ Xᵢ·w)) + mu |w|²/2`.
    Logistic { x: Vec<Vec<f64>>, y: Vec<f64>, mu: f64 },
    /// `mean (Xᵢ·w − yᵢ)²/2`.
    LeastSquares { x: Vec<Vec<f64>>, y: Vec<f64> },
    /// `|Ax − b|²/2 + lam |x|₁`.
    Lasso { a: Vec<Vec<f64>>, b: Vec<f64>, lam: f64 },
    /// `|A x − b|₁` with a subgradient.
    Absolute { a: Vec<Vec<f64>>, b: Vec<f64> },
    /// `xᵀQx/2 − bᵀx` at `x = Vᵀw`, `w` in the simplex.
    Hull {
        q: Vec<Vec<f64>>,
        b: Vec<f64>,
        v: Vec<Vec<f64>>,
    },
    /// An operator `A x`.
    Linear { a: Vec<Vec<f64>> },
    /// `(tanh x₁ + x₂, −x₁ + tanh x₂)`.
    Tanh,
    /// `<W − W*, A (W − W*) B>/2`.
    Matrices {
        a: Vec<Vec<f64>>,
        b: Vec<Vec<f64>>,
        star: Vec<Vec<f64>>,
    },
    /// `Σ (<A_i, X Xᵀ> − y_i)²/4`, or `|X Xᵀ − Y|²/4` without `A`.
    Sensing {
        a: Vec<Vec<Vec<f64>>>,
        y: Vec<f64>,
        n: usize,
    },
}

fn times(a: &[Vec<f64>], b: &[Vec<f64>]) -> Vec<Vec<f64>> {
    let row = |r: &Vec<f64>| {
        (0..b[0].len())
            .map(|j| (0..b.len()).map(|k| r[k] * b[k][j]).sum())
            .collect()
    };
    a.iter().map(row).collect()
}

pub struct Problem {
    kind: Kind,
    pub n: usize,
    pub counts: Counts,
    pub bounds: Option<Arc<ravine::solve::Bounds>>,
    pub simplex: Vec<(usize, usize, f64)>,
    /// Added to the gradients one after the other.
    pub noise: Vec<Vec<f64>>,
}

/// `Vᵀw`.
fn mixed(v: &[Vec<f64>], w: &[f64]) -> Vec<f64> {
    let mut x = vec![0.0; v[0].len()];
    for (row, w) in v.iter().zip(w) {
        x.iter_mut().zip(row).for_each(|(x, v)| *x += w * v);
    }
    x
}

impl Problem {
    pub fn read(p: &Json, n: usize) -> Problem {
        let kind = match p["kind"].as_str().unwrap() {
            "quadratic" => Kind::Quadratic {
                a: matrix(&p["A"]),
                star: vector(&p["xstar"]),
            },
            "logistic" => Kind::Logistic {
                x: matrix(&p["X"]),
                y: vector(&p["y"]),
                mu: number(&p["mu"]),
            },
            "least_squares" => Kind::LeastSquares {
                x: matrix(&p["X"]),
                y: vector(&p["y"]),
            },
            "l1_regression" => Kind::Absolute {
                a: matrix(&p["A"]),
                b: vector(&p["b"]),
            },
            "quadratic_over_hull" => Kind::Hull {
                q: matrix(&p["Q"]),
                b: vector(&p["b"]),
                v: matrix(&p["V"]),
            },
            "linear" => Kind::Linear { a: matrix(&p["A"]) },
            "tanh_saddle" => Kind::Tanh,
            "matrix_quadratic" => Kind::Matrices {
                a: matrix(&p["A"]),
                b: matrix(&p["B"]),
                star: matrix(&p["Wstar"]),
            },
            k if k == "sensing" || k.starts_with("identity design") => Kind::Sensing {
                a: p["A"].as_array().map_or(vec![], |all| all.iter().map(matrix).collect()),
                y: flat(&p["y"]),
                n: p["M"].as_array().unwrap().len(),
            },
            "lasso" => Kind::Lasso {
                a: matrix(&p["A"]),
                b: vector(&p["b"]),
                lam: number(&p["lam"]),
            },
            other => panic!("no such kind of problem here yet: {other}"),
        };
        let hull = matches!(kind, Kind::Hull { .. });
        Problem {
            kind,
            n,
            counts: Counts::default(),
            bounds: None,
            simplex: if hull { vec![(0, n, 1.0)] } else { vec![] },
            noise: vec![],
        }
    }
    /// Value and gradient on some terms.
    pub fn on(&self, w: &[f64], terms: &mut dyn Iterator<Item = usize>, g: &mut [f64]) -> f64 {
        g.fill(0.0);
        match &self.kind {
            Kind::Quadratic { a, star } => {
                let d: Vec<f64> = w.iter().zip(star).map(|(a, b)| a - b).collect();
                for (g, row) in g.iter_mut().zip(a) {
                    *g = dot(row, &d);
                }
                dot(&d, g) / 2.0
            }
            Kind::Absolute { a, b } => {
                let mut f = 0.0;
                for (row, b) in a.iter().zip(b) {
                    let r = dot(row, w) - b;
                    f += r.abs();
                    let sign = if r == 0.0 { 0.0 } else { r.signum() };
                    g.iter_mut().zip(row).for_each(|(g, a)| *g += sign * a);
                }
                f
            }
            Kind::Hull { q, b, v } => {
                let x = mixed(v, w);
                let qx: Vec<f64> = q.iter().map(|r| dot(r, &x)).collect();
                let gx: Vec<f64> = qx.iter().zip(b).map(|(a, b)| a - b).collect();
                g.iter_mut().zip(v).for_each(|(g, v)| *g = dot(v, &gx));
                dot(&x, &qx) / 2.0 - dot(b, &x)
            }
            Kind::Linear { a } => {
                g.iter_mut().zip(a).for_each(|(g, row)| *g = dot(row, w));
                0.0
            }
            Kind::Tanh => {
                (g[0], g[1]) = (w[0].tanh() + w[1], w[1].tanh() - w[0]);
                0.0
            }
            Kind::Logistic { x, y, mu } => {
                let (mut f, mut k) = (0.0, 0.0);
                for i in terms {
                    let z = y[i] * dot(&x[i], w);
                    f += (-z).exp().ln_1p();
                    let s = -y[i] / (1.0 + z.exp());
                    g.iter_mut().zip(&x[i]).for_each(|(g, x)| *g += s * x);
                    k += 1.0;
                }
                g.iter_mut().zip(w).for_each(|(g, w)| *g = *g / k + mu * w);
                f / k + mu * dot(w, w) / 2.0
            }
            Kind::Matrices { a, b, star } => {
                let q = b.len();
                let rows = w.chunks(q).zip(star);
                let d: Vec<Vec<f64>> = rows
                    .map(|(w, s)| w.iter().zip(s).map(|(w, s)| w - s).collect())
                    .collect();
                let all: Vec<f64> = times(&times(a, &d), b).concat();
                g.copy_from_slice(&all);
                dot(&d.concat(), &all) / 2.0
            }
            Kind::Sensing { a, y, n } => {
                let x: Vec<Vec<f64>> = w.chunks(w.len() / n).map(<[f64]>::to_vec).collect();
                let square: Vec<f64> = x
                    .iter()
                    .flat_map(|r| x.iter().map(|s| dot(r, s)).collect::<Vec<_>>())
                    .collect();
                let (f, back) = if a.is_empty() {
                    let r: Vec<f64> = square.iter().zip(y).map(|(s, y)| s - y).collect();
                    (dot(&r, &r) / 4.0, r)
                } else {
                    let r: Vec<f64> = a.iter().zip(y).map(|(a, y)| dot(&a.concat(), &square) - y).collect();
                    let mut back = vec![0.0; n * n];
                    for (a, r) in a.iter().zip(&r) {
                        back.iter_mut().zip(a.concat()).for_each(|(b, a)| *b += r * a);
                    }
                    (dot(&r, &r) / 4.0, back)
                };
                let back: Vec<Vec<f64>> = back.chunks(*n).map(<[f64]>::to_vec).collect();
                g.copy_from_slice(&times(&back, &x).concat());
                f
            }
            Kind::Lasso { a, b, lam } => {
                let mut f = 0.0;
                for (row, b) in a.iter().zip(b) {
                    let r = dot(row, w) - b;
                    f += r * r / 2.0;
                    g.iter_mut().zip(row).for_each(|(g, a)| *g += r * a);
                }
                f + lam * w.iter().map(|w| w.abs()).sum::<f64>()
            }
            Kind::LeastSquares { x, y } => {
                let (mut f, mut k) = (0.0, 0.0);
                for i in terms {
                    let r = dot(&x[i], w) - y[i];
                    f += r * r / 2.0;
                    g.iter_mut().zip(&x[i]).for_each(|(g, x)| *g += r * x);
                    k += 1.0;
                }
                g.iter_mut().for_each(|g| *g /= k);
                f / k
            }
        }
    }
    pub fn all(&self) -> usize {
        match &self.kind {
            Kind::Quadratic { .. }
            | Kind::Lasso { .. }
            | Kind::Matrices { .. }
            | Kind::Sensing { .. }
            | Kind::Absolute { .. }
            | Kind::Hull { .. }
            | Kind::Linear { .. }
            | Kind::Tanh => 0,
            Kind::Logistic { y, .. } | Kind::LeastSquares { y, .. } => y.len(),
        }
    }
}

impl Oracle for Problem {
    fn dim(&self) -> usize {
        self.n
    }
    fn prox(&mut self, x: &mut [f64], t: f64) -> Result<(), Fault> {
        match &self.kind {
            Kind::Lasso { lam, .. } => {
                x.iter_mut()
                    .for_each(|v| *v = v.signum() * (v.abs() - t * lam).max(0.0));
                Ok(())
            }
            _ => self.project(x),
        }
    }
    fn class(&self) -> Class {
        if matches!(self.kind, Kind::Linear { .. } | Kind::Tanh) {
            Class::Saddle
        } else if let Kind::Lasso { .. } = self.kind {
            Class::Composite
        } else if self.bounds.is_some() {
            Class::SmoothBounds
        } else {
            Class::Smooth
        }
    }
    fn offers(&self) -> Needs {
        Needs {
            hvp: true,
            hessian: true,
            ..Needs::FIRST_ORDER
        }
    }
    fn bounds(&self) -> Option<Arc<ravine::solve::Bounds>> {
        self.bounds.clone()
    }
    fn known_lower_bound(&self) -> Option<f64> {
        Some(0.0)
    }
    fn value(&mut self, x: &[f64]) -> Result<f64, Fault> {
        self.counts.values += 1;
        let mut g = vec![0.0; self.n];
        Ok(self.on(x, &mut (0..self.all()), &mut g))
    }
    fn gradient(&mut self, x: &[f64], g: &mut [f64]) -> Result<(), Fault> {
        let noise = self.noise.get(self.counts.gradients as usize).cloned();
        self.counts.gradients += 1;
        self.on(x, &mut (0..self.all()), g);
        g.iter_mut().zip(noise.iter().flatten()).for_each(|(g, z)| *g += z);
        Ok(())
    }
    fn hvp(&mut self, x: &[f64], v: &[f64], out: &mut [f64]) -> Result<(), Fault> {
        self.counts.products += 1;
        if let Kind::Hull { q, v: corners, .. } = &self.kind {
            let x = mixed(corners, v);
            let qx: Vec<f64> = q.iter().map(|r| dot(r, &x)).collect();
            out.iter_mut().zip(corners).for_each(|(o, v)| *o = dot(v, &qx));
            return Ok(());
        }
        let Kind::Quadratic { a, .. } = &self.kind else {
            return Err(Fault::NotOffered(format!("products at {x:?}")));
        };
        for (o, row) in out.iter_mut().zip(a) {
            *o = dot(row, v);
        }
        Ok(())
    }
    fn hessian(&mut self, _: &[f64], _: &mut Csr) -> Result<(), Fault> {
        Err(Fault::NotOffered("Hessian".into()))
    }
    fn parts(&self) -> Option<Arc<Parts>> {
        let block = |(first, len, sum): &(usize, usize, f64)| Block {
            at: (*first..first + len).collect(),
            piece: Piece::Simplex(*sum),
        };
        let simple = Simple {
            lower: vec![f64::NEG_INFINITY; self.dim()],
            upper: vec![f64::INFINITY; self.dim()],
            l1: vec![0.0; self.dim()],
            blocks: self.simplex.iter().map(block).collect(),
            ..Simple::default()
        };
        (!self.simplex.is_empty()).then(|| {
            Arc::new(Parts {
                simple,
                ..Parts::default()
            })
        })
    }
    fn terms(&self) -> Option<usize> {
        Some(self.all())
    }
    fn value_gradient_on(&mut self, x: &[f64], terms: &[f64], g: &mut [f64]) -> Result<f64, Fault> {
        self.counts.gradients += 1;
        Ok(self.on(x, &mut terms.iter().map(|t| *t as usize), g))
    }
    fn hvp_on(&mut self, w: &[f64], v: &[f64], terms: &[f64], out: &mut [f64]) -> Result<(), Fault> {
        self.counts.products += 1;
        let Kind::Logistic { x, y, mu } = &self.kind else {
            return Err(Fault::NotOffered("products on batches".into()));
        };
        out.fill(0.0);
        for t in terms {
            let i = *t as usize;
            let p = 1.0 / (1.0 + (y[i] * dot(&x[i], w)).exp());
            let c = p * (1.0 - p) * dot(&x[i], v) / terms.len() as f64;
            out.iter_mut().zip(&x[i]).for_each(|(o, x)| *o += c * x);
        }
        out.iter_mut().zip(v).for_each(|(o, v)| *o += mu * v);
        Ok(())
    }
    fn counts(&self) -> Counts {
        self.counts
    }
}
