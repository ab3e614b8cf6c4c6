//! Test problems as oracles: closures over second-order jets, and a reader for the formulas of the shared sets.
//!
//! Invariant: derivatives come from forward-mode jets written here, independent of the library's own.

#![allow(
    clippy::unwrap_used,
    clippy::disallowed_methods,
    reason = "test oracles are independent of the library's functions"
)]

use std::ops::{Add, Div, Mul, Neg, Sub};
use std::sync::Arc;

use ravine::solve::composite::Parts;
use ravine::solve::{Bounds, Class, Counts, Fault, Needs, Oracle};
use ravine_linalg::Csr;

/// Value, gradient and Hessian carried through arithmetic.
#[derive(Clone, Debug)]
pub struct Jet {
    pub v: f64,
    pub g: Vec<f64>,
    pub h: Vec<f64>,
}

impl Jet {
    pub fn constant(n: usize, v: f64) -> Jet {
        Jet {
            v,
            g: vec![0.0; n],
            h: vec![0.0; n * n],
        }
    }
    pub fn variable(n: usize, i: usize, v: f64) -> Jet {
        let mut j = Jet::constant(n, v);
        j.g[i] = 1.0;
        j
    }
    /// `φ(self)` from φ, φ′, φ″.
    pub fn chain(&self, v: f64, d: f64, dd: f64) -> Jet {
        let n = self.g.len();
        let mut out = Jet::constant(n, v);
        for i in 0..n {
            out.g[i] = d * self.g[i];
            for j in 0..n {
                out.h[i * n + j] = d * self.h[i * n + j] + dd * self.g[i] * self.g[j];
            }
        }
        out
    }
    fn zip(&self, o: &Jet, v: f64, da: f64, db: f64, daa: f64, dab: f64, dbb: f64) -> Jet {
        let n = self.g.len();
        let mut out = Jet::constant(n, v);
        for i in 0..n {
            out.g[i] = da * self.g[i] + db * o.g[i];
            for j in 0..n {
                let k = i * n + j;
                out.h[k] = da * self.h[k]
                    + db * o.h[k]
                    + daa * self.g[i] * self.g[j]
                    + dab * (self.g[i] * o.g[j] + o.g[i] * self.g[j])
                    + dbb * o.g[i] * o.g[j];
            }
        }
        out
    }
    pub fn exp(&self) -> Jet {
        let e = self.v.exp();
        self.chain(e, e, e)
    }
    pub fn ln(&self) -> Jet {
        self.chain(self.v.ln(), 1.0 / self.v, -1.0 / (self.v * self.v))
    }
    pub fn sin(&self) -> Jet {
        self.chain(self.v.sin(), self.v.cos(), -self.v.sin())
    }
    pub fn cos(&self) -> Jet {
        self.chain(self.v.cos(), -self.v.sin(), -self.v.cos())
    }
    pub fn sqrt(&self) -> Jet {
        let r = self.v.sqrt();
        self.chain(r, 0.5 / r, -0.25 / (r * self.v))
    }
    pub fn atan(&self) -> Jet {
        let q = 1.0 + self.v * self.v;
        self.chain(self.v.atan(), 1.0 / q, -2.0 * self.v / (q * q))
    }
    pub fn abs(&self) -> Jet {
        let s = if self.v < 0.0 { -1.0 } else { 1.0 };
        self.chain(self.v.abs(), s, 0.0)
    }
    pub fn powi(&self, k: i32) -> Jet {
        let (v, f) = (self.v, f64::from(k));
        let d = if k == 0 { 0.0 } else { f * v.powi(k - 1) };
        let dd = if k == 0 || k == 1 {
            0.0
        } else {
            f * (f - 1.0) * v.powi(k - 2)
        };
        self.chain(v.powi(k), d, dd)
    }
    pub fn pow(&self, o: &Jet) -> Jet {
        let constant = o.g.iter().chain(&o.h).all(|x| *x == 0.0);
        if constant && o.v.fract() == 0.0 && o.v.abs() < 100.0 {
            return self.powi(o.v as i32);
        }
        if constant {
            let p = o.v;
            return self.chain(
                self.v.powf(p),
                p * self.v.powf(p - 1.0),
                p * (p - 1.0) * self.v.powf(p - 2.0),
            );
        }
        (&self.ln() * o).exp()
    }
}

impl Add for &Jet {
    type Output = Jet;
    fn add(self, o: &Jet) -> Jet {
        self.zip(o, self.v + o.v, 1.0, 1.0, 0.0, 0.0, 0.0)
    }
}
impl Sub for &Jet {
    type Output = Jet;
    fn sub(self, o: &Jet) -> Jet {
        self.zip(o, self.v - o.v, 1.0, -1.0, 0.0, 0.0, 0.0)
    }
}
impl Mul for &Jet {
    type Output = Jet;
    fn mul(self, o: &Jet) -> Jet {
        self.zip(o, self.v * o.v, o.v, self.v, 0.0, 1.0, 0.0)
    }
}
impl Div for &Jet {
    type Output = Jet;
    fn div(self, o: &Jet) -> Jet {
        let q = o.v;
        self.zip(
            o,
            self.v / q,
            1.0 / q,
            -self.v / (q * q),
            0.0,
            -1.0 / (q * q),
            2.0 * self.v / (q * q * q),
        )
    }
}
impl Neg for &Jet {
    type Output = Jet;
    fn neg(self) -> Jet {
        self.chain(-self.v, -1.0, 0.0)
    }
}
impl Mul<&Jet> for f64 {
    type Output = Jet;
    fn mul(self, o: &Jet) -> Jet {
        o.chain(self * o.v, self, 0.0)
    }
}
impl Add<f64> for &Jet {
    type Output = Jet;
    fn add(self, c: f64) -> Jet {
        self.chain(self.v + c, 1.0, 0.0)
    }
}

/// A formula of the shared sets.
#[derive(Debug)]
pub enum Expr {
    Number(f64),
    Var(usize),
    Theta,
    Neg(Box<Expr>),
    Bin(char, Box<Expr>, Box<Expr>),
    Call(String, Box<Expr>),
}

impl Expr {
    pub fn parse(text: &str) -> Expr {
        let mut p = Reader {
            text: text.as_bytes(),
            at: 0,
        };
        let e = p.sum();
        p.space();
        assert_eq!(p.at, text.len(), "rest of `{text}` not read");
        e
    }
    pub fn eval(&self, x: &[Jet]) -> Jet {
        match self {
            Expr::Number(v) => Jet::constant(x[0].g.len(), *v),
            Expr::Var(i) => x[*i].clone(),
            Expr::Theta => {
                // Helical valley: the angle in turns, cut along the negative second axis.
                let angle = (&x[1] / &x[0]).atan();
                let turns = (1.0 / std::f64::consts::TAU) * &angle;
                if x[0].v < 0.0 { &turns + 0.5 } else { turns }
            }
            Expr::Neg(a) => -&a.eval(x),
            Expr::Bin(op, a, b) => {
                let (a, b) = (a.eval(x), b.eval(x));
                match op {
                    '+' => &a + &b,
                    '-' => &a - &b,
                    '*' => &a * &b,
                    '/' => &a / &b,
                    _ => a.pow(&b),
                }
            }
            Expr::Call(name, a) => {
                let a = a.eval(x);
                match name.as_str() {
                    "sin" => a.sin(),
                    "cos" => a.cos(),
                    "tan" => &a.sin() / &a.cos(),
                    "atan" => a.atan(),
                    "exp" => a.exp(),
                    "log" => a.ln(),
                    "sqrt" => a.sqrt(),
                    "abs" => a.abs(),
                    other => panic!("function {other}"),
                }
            }
        }
    }
}

struct Reader<'a> {
    text: &'a [u8],
    at: usize,
}

impl Reader<'_> {
    fn space(&mut self) {
        while self.text.get(self.at).is_some_and(u8::is_ascii_whitespace) {
            self.at += 1;
        }
    }
    fn eat(&mut self, c: u8) -> bool {
        self.space();
        let hit = self.text.get(self.at) == Some(&c);
        self.at += usize::from(hit);
        hit
    }
    fn sum(&mut self) -> Expr {
        let mut e = self.product();
        loop {
            let op = if self.eat(b'+') {
                '+'
            } else if self.eat(b'-') {
                '-'
            } else {
                return e;
            };
            e = Expr::Bin(op, Box::new(e), Box::new(self.product()));
        }
    }
    fn product(&mut self) -> Expr {
        let mut e = self.unary();
        loop {
            let op = if self.eat(b'*') {
                '*'
            } else if self.eat(b'/') {
                '/'
            } else {
                return e;
            };
            e = Expr::Bin(op, Box::new(e), Box::new(self.unary()));
        }
    }
    fn unary(&mut self) -> Expr {
        if self.eat(b'-') {
            return Expr::Neg(Box::new(self.unary()));
        }
        if self.eat(b'+') {
            return self.unary();
        }
        let base = self.primary();
        if self.eat(b'^') {
            return Expr::Bin('^', Box::new(base), Box::new(self.unary()));
        }
        base
    }
    fn primary(&mut self) -> Expr {
        if self.eat(b'(') {
            let e = self.sum();
            assert!(self.eat(b')'), "missing parenthesis");
            return e;
        }
        self.space();
        let start = self.at;
        let c = self.text[self.at];
        if c.is_ascii_digit() || c == b'.' {
            while self.at < self.text.len() {
                let c = self.text[self.at];
                let signed = matches!(c, b'+' | b'-') && matches!(self.text[self.at - 1], b'e' | b'E');
                if !(c.is_ascii_digit() || matches!(c, b'.' | b'e' | b'E') || signed) {
                    break;
                }
                self.at += 1;
            }
            return Expr::Number(self.word(start).parse().unwrap());
        }
        while self.text.get(self.at).is_some_and(u8::is_ascii_alphanumeric) {
            self.at += 1;
        }
        let name = self.word(start).to_string();
        if self.eat(b'(') {
            let e = self.sum();
            assert!(self.eat(b')'), "missing parenthesis");
            return Expr::Call(name, Box::new(e));
        }
        if name == "theta" {
            return Expr::Theta;
        }
        Expr::Var(name.strip_prefix('x').unwrap().parse::<usize>().unwrap() - 1)
    }
    fn word(&self, start: usize) -> &str {
        std::str::from_utf8(&self.text[start..self.at]).unwrap()
    }
}

/// A function of jets as an oracle.
pub struct Fun {
    n: usize,
    f: Box<dyn Fn(&[Jet]) -> Jet>,
    bounds: Option<Arc<Bounds>>,
    /// A simple part beside the function.
    pub parts: Option<Arc<Parts>>,
    pub class: Class,
    pub convex: bool,
    pub offers: Needs,
    counts: Counts,
}

pub const SECOND_ORDER: Needs = Needs {
    value: true,
    gradient: true,
    hvp: true,
    hessian: true,
    form: false,
    prox: false,
    project: false,
    constraints: false,
    residuals: false,
};

impl Fun {
    pub fn new(n: usize, f: impl Fn(&[Jet]) -> Jet + 'static) -> Fun {
        Fun {
            n,
            f: Box::new(f),
            bounds: None,
            parts: None,
            class: Class::Smooth,
            convex: false,
            offers: SECOND_ORDER,
            counts: Counts::default(),
        }
    }
    pub fn bounded(mut self, lower: Vec<f64>, upper: Vec<f64>) -> Fun {
        self.bounds = Some(Arc::new(Bounds {
            lower,
            upper,
            units: vec![],
        }));
        self.class = Class::SmoothBounds;
        self
    }
    pub fn convex(mut self) -> Fun {
        self.convex = true;
        self
    }
    /// Without explicit Hessians.
    pub fn products_only(mut self) -> Fun {
        self.offers.hessian = false;
        self
    }
    /// Without second derivatives.
    pub fn first_order(mut self) -> Fun {
        self.offers = Needs::FIRST_ORDER;
        self
    }
    pub fn jet(&self, x: &[f64]) -> Jet {
        let jets: Vec<Jet> = (0..self.n).map(|i| Jet::variable(self.n, i, x[i])).collect();
        (self.f)(&jets)
    }
}

impl Oracle for Fun {
    fn dim(&self) -> usize {
        self.n
    }
    fn class(&self) -> Class {
        self.class
    }
    fn offers(&self) -> Needs {
        self.offers
    }
    fn convex(&self) -> bool {
        self.convex
    }
    fn bounds(&self) -> Option<Arc<Bounds>> {
        self.bounds.clone()
    }
    fn value(&mut self, x: &[f64]) -> Result<f64, Fault> {
        self.counts.values += 1;
        let v = (self.f)(&x.iter().map(|&v| Jet::constant(0, v)).collect::<Vec<_>>()).v;
        if v.is_finite() {
            Ok(v)
        } else {
            Err(Fault::not_finite("objective", None))
        }
    }
    fn gradient(&mut self, x: &[f64], g: &mut [f64]) -> Result<(), Fault> {
        self.counts.gradients += 1;
        g.copy_from_slice(&self.jet(x).g);
        match g.iter().position(|v| !v.is_finite()) {
            Some(i) => Err(Fault::not_finite("gradient", Some(i))),
            None => Ok(()),
        }
    }
    fn hvp(&mut self, x: &[f64], v: &[f64], out: &mut [f64]) -> Result<(), Fault> {
        self.counts.products += 1;
        let h = self.jet(x).h;
        for i in 0..self.n {
            out[i] = (0..self.n).map(|j| h[i * self.n + j] * v[j]).sum();
        }
        Ok(())
    }
    fn hessian(&mut self, x: &[f64], out: &mut Csr) -> Result<(), Fault> {
        self.counts.hessians += 1;
        let h = self.jet(x).h;
        out.indptr = (0..=self.n).map(|i| i * (i + 1) / 2).collect();
        out.indices = (0..self.n).flat_map(|i| 0..=i).collect();
        out.values = (0..self.n)
            .flat_map(|i| (0..=i).map(move |j| (i, j)))
            .map(|(i, j)| h[i * self.n + j])
            .collect();
        Ok(())
    }
    fn prox(&mut self, x: &mut [f64], t: f64) -> Result<(), Fault> {
        match &self.parts {
            Some(p) => p.simple.prox(x, t),
            None => self.project(x)?,
        }
        Ok(())
    }
    fn parts(&self) -> Option<Arc<Parts>> {
        self.parts.clone()
    }
    fn counts(&self) -> Counts {
        self.counts
    }
}

/// `Σ 100 (x[i+1] − x[i]²)² + (1 − x[i])²`, written out by hand with its tridiagonal Hessian.
pub struct Chained {
    pub n: usize,
    pub hessians: bool,
    counts: Counts,
}

impl Chained {
    pub fn new(n: usize) -> Chained {
        Chained {
            n,
            hessians: true,
            counts: Counts::default(),
        }
    }
    /// −1.2, 1, −1.2, 1, …
    pub fn start(&self) -> Vec<f64> {
        (0..self.n).map(|i| if i % 2 == 0 { -1.2 } else { 1.0 }).collect()
    }
    fn tridiagonal(&self, x: &[f64]) -> (Vec<f64>, Vec<f64>) {
        let n = self.n;
        let (mut d, mut e) = (vec![0.0; n], vec![0.0; n - 1]);
        for i in 0..n - 1 {
            d[i] += 1200.0 * x[i] * x[i] - 400.0 * x[i + 1] + 2.0;
            d[i + 1] += 200.0;
            e[i] -= 400.0 * x[i];
        }
        (d, e)
    }
}

impl Oracle for Chained {
    fn dim(&self) -> usize {
        self.n
    }
    fn class(&self) -> Class {
        Class::Smooth
    }
    fn offers(&self) -> Needs {
        Needs {
            hessian: self.hessians,
            ..SECOND_ORDER
        }
    }
    fn value(&mut self, x: &[f64]) -> Result<f64, Fault> {
        self.counts.values += 1;
        Ok(x.windows(2)
            .map(|w| 100.0 * (w[1] - w[0] * w[0]).powi(2) + (1.0 - w[0]).powi(2))
            .sum())
    }
    fn gradient(&mut self, x: &[f64], g: &mut [f64]) -> Result<(), Fault> {
        self.counts.gradients += 1;
        g.fill(0.0);
        for i in 0..self.n - 1 {
            let r = x[i + 1] - x[i] * x[i];
            g[i] += -400.0 * x[i] * r - 2.0 * (1.0 - x[i]);
            g[i + 1] += 200.0 * r;
        }
        Ok(())
    }
    fn hvp(&mut self, x: &[f64], v: &[f64], out: &mut [f64]) -> Result<(), Fault> {
        self.counts.products += 1;
        let (d, e) = self.tridiagonal(x);
        for i in 0..self.n {
            out[i] = d[i] * v[i];
            if i > 0 {
                out[i] += e[i - 1] * v[i - 1];
            }
            if i + 1 < self.n {
                out[i] += e[i] * v[i + 1];
            }
        }
        Ok(())
    }
    fn hessian(&mut self, x: &[f64], out: &mut Csr) -> Result<(), Fault> {
        self.counts.hessians += 1;
        let (d, e) = self.tridiagonal(x);
        out.indptr.clear();
        out.indices.clear();
        out.values.clear();
        for i in 0..self.n {
            out.indptr.push(out.indices.len());
            if i > 0 {
                out.indices.push(i - 1);
                out.values.push(e[i - 1]);
            }
            out.indices.push(i);
            out.values.push(d[i]);
        }
        out.indptr.push(out.indices.len());
        Ok(())
    }
    fn hessian_entries(&self) -> Option<usize> {
        Some(2 * self.n - 1)
    }
    fn counts(&self) -> Counts {
        self.counts
    }
}

/// The folder of a shared data set; none where the data are missing and not required.
pub fn data(set: &str) -> Option<std::path::PathBuf> {
    let root =
        std::env::var("RAVINE_DATA").unwrap_or_else(|_| format!("{}/../shared/data", env!("CARGO_MANIFEST_DIR")));
    let folder = std::path::Path::new(&root).join(set);
    if folder.is_dir() {
        return Some(folder);
    }
    let required = std::env::var("RAVINE_REQUIRE").unwrap_or_default();
    assert!(
        !required.split(',').any(|w| w == "data"),
        "data set {set} is required and missing"
    );
    None
}

/// Reads `FILE` of a set as JSON.
pub fn json(set: &str, file: &str) -> Option<serde_json::Value> {
    let text = std::fs::read_to_string(data(set)?.join(file)).expect("data file");
    Some(serde_json::from_str(&text).expect("JSON"))
}
