//! Steps of few numbers run as one straight-line program: against the same script run operation by operation.
//!
//! Invariant: both evaluate the same problem; what is hidden from one of them is the formula alone.

use std::sync::Arc;

use super::harness::{root, session};
use ravine::base::value::IndexSet;
use ravine::forms::rows::Columns;
use ravine::ir::{Input, InputId, InputKind, Ir, NodeId, Sign};
use ravine::lang::lower::PointBlock;
use ravine::solve::methods::scripted::Scripted;
use ravine::solve::run::Options;
use ravine::solve::smooth::Smooth;
use ravine::solve::{Class, Counts, Fault, Method, Needs, Oracle, Point, Run, Slot};
use ravine_linalg::Csr;

/// The problem without its formula.
struct Closed(Smooth);

impl Oracle for Closed {
    fn dim(&self) -> usize {
        self.0.dim()
    }
    fn class(&self) -> Class {
        self.0.class()
    }
    fn offers(&self) -> Needs {
        self.0.offers()
    }
    fn value(&mut self, x: &[f64]) -> Result<f64, Fault> {
        self.0.value(x)
    }
    fn gradient(&mut self, x: &[f64], g: &mut [f64]) -> Result<(), Fault> {
        self.0.gradient(x, g)
    }
    fn value_gradient(&mut self, x: &[f64], g: &mut [f64]) -> Result<f64, Fault> {
        self.0.value_gradient(x, g)
    }
    fn hvp(&mut self, x: &[f64], v: &[f64], out: &mut [f64]) -> Result<(), Fault> {
        self.0.hvp(x, v, out)
    }
    fn hessian(&mut self, x: &[f64], out: &mut Csr) -> Result<(), Fault> {
        self.0.hessian(x, out)
    }
    fn counts(&self) -> Counts {
        self.0.counts()
    }
}

const N: usize = 4;

/// An objective of `x[1..4]`, written by hand.
fn problem(objective: impl Fn(&mut Ir, InputId) -> NodeId) -> Smooth {
    let mut ir = Ir::new();
    let x = ir.add_input(Input {
        name: "x".into(),
        kind: InputKind::Var,
        dims: vec![IndexSet::upto(N)],
        sparse: false,
        sign: Sign::Unknown,
    });
    let f = objective(&mut ir, x);
    let columns = Columns {
        blocks: vec![(x, 0, N)],
    };
    Smooth::new(&mut ir, f, columns).unwrap_or_else(|e| panic!("{e:?}"))
}

/// Rosenbrock's chain, as loops over shifted entries.
fn chain() -> Smooth {
    use ravine::atoms::{ADD, MUL, SQUARE, SUB, SUM};
    use ravine::ir::{DomainId, Pos};
    problem(|ir, x| {
        let (d, i) = ir.add_domain(DomainId::ROOT, [("i".into(), IndexSet::upto(N - 1))]);
        let i = i[0];
        let x = ir.read(x);
        let at = Pos::index(i);
        let next = at.shifted(1).expect("a shifted index");
        let (a, b) = (ir.gather(x, vec![at]), ir.gather(x, vec![next]));
        let one = ir.constant(1.0);
        let hundred = ir.constant(100.0);
        let square = ir.apply(SQUARE, &[a]);
        let bend = ir.apply(SUB, &[b, square]);
        let bend = ir.apply(SQUARE, &[bend]);
        let bend = ir.apply(MUL, &[hundred, bend]);
        let off = ir.apply(SUB, &[one, a]);
        let off = ir.apply(SQUARE, &[off]);
        let body = ir.apply(ADD, &[bend, off]);
        ir.fold(SUM, d, body)
    })
}

/// `Σ exp(x_i) - 2 x_i + sqrt(1 + x_i²) / i`: kernels without an operation of their own.
fn curved() -> Smooth {
    use ravine::atoms::{ADD, DIV, EXP, MUL, SQRT, SQUARE, SUB, SUM};
    use ravine::ir::{DomainId, Pos};
    problem(|ir, x| {
        let (d, i) = ir.add_domain(DomainId::ROOT, [("i".into(), IndexSet::upto(N))]);
        let i = i[0];
        let x = ir.read(x);
        let v = ir.gather(x, vec![Pos::index(i)]);
        let (one, two) = (ir.constant(1.0), ir.constant(2.0));
        let e = ir.apply(EXP, &[v]);
        let t = ir.apply(MUL, &[two, v]);
        let e = ir.apply(SUB, &[e, t]);
        let s = ir.apply(SQUARE, &[v]);
        let s = ir.apply(ADD, &[one, s]);
        let s = ir.apply(SQRT, &[s]);
        let k = ir.index_value(i);
        let s = ir.apply(DIV, &[s, k]);
        let body = ir.apply(ADD, &[e, s]);
        ir.fold(SUM, d, body)
    })
}

const PIPELINES: &[&str] = &[
    "gd(lr: 1e-3)",
    "heavy_ball(lr: 1e-4, beta: 0.9)",
    "nesterov(lr: 1e-4, beta: 0.9)",
    "accelerated(lr: 1e-4)",
    "adagrad(lr: 0.1)",
    "rmsprop(lr: 1e-2)",
    "adam(lr: 1e-2)",
    "adamw(lr: 1e-2)",
    "amsgrad(lr: 1e-2)",
    "nadam(lr: 1e-2)",
    "lion(lr: 1e-3)",
    "clip(max_norm: 1) |> adam(lr: 1e-2) |> shrink(1e-5)",
    "adam(lr: cosine(1e-2, 100))",
];

fn scripted(pipeline: &str) -> Scripted {
    let blocks = [PointBlock {
        name: "x".into(),
        dims: vec![IndexSet::upto(N)],
        offset: 0,
        len: N,
    }];
    let mut found = session(&root())
        .methods_of(pipeline, &blocks)
        .unwrap_or_else(|d| panic!("{pipeline}: {d:#?}"));
    found.remove(0)
}

fn begun(m: &Arc<Scripted>, p: &mut dyn Oracle) -> Run {
    let start = Point::plain(vec![-1.2, 1.0, 0.5, 0.3]);
    let m: Arc<dyn Method> = m.clone();
    Run::new(m, p, &start, Options::default()).unwrap_or_else(|e| panic!("{e}"))
}

fn numbers(s: &Slot) -> Vec<f64> {
    match s {
        Slot::Number(v) => vec![*v],
        s => s.array().to_vec(),
    }
}

fn near(a: &[f64], b: &[f64], what: &str) {
    for (a, b) in a.iter().zip(b) {
        assert!((a - b).abs() <= 1e-11 * (1.0 + b.abs()), "{what}: {a} against {b}");
    }
}

#[test]
fn short_steps_are_the_steps_of_the_script() {
    for make in [chain, curved] {
        for pipeline in PIPELINES {
            let m = Arc::new(scripted(pipeline));
            let (mut open, mut closed) = (make(), Closed(make()));
            assert!(m.operations(&open).is_some(), "{pipeline} is not taken as one program");
            assert!(m.operations(&closed).is_none());
            let (mut short, mut long) = (begun(&m, &mut open), begun(&m, &mut closed));
            for steps in [1, 2, 7, 90] {
                short.advance(&mut open, steps, &|| 0.0);
                long.advance(&mut closed, steps, &|| 0.0);
                near(&short.state().x, &long.state().x, pipeline);
                for (a, b) in short.state().slots.iter().zip(&long.state().slots) {
                    near(&numbers(a), &numbers(b), pipeline);
                }
                near(
                    &[short.state().measures.change],
                    &[long.state().measures.change],
                    pipeline,
                );
                assert_eq!(short.counts(), long.counts(), "{pipeline}");
            }
            // One by one: the same bits.
            let mut again = make();
            let mut single = begun(&m, &mut again);
            for _ in 0..100 {
                single.advance(&mut again, 1, &|| 0.0);
            }
            assert_eq!(single.state(), short.state(), "{pipeline}");
            assert_eq!(single.trace(), short.trace(), "{pipeline}");
        }
    }
}

#[test]
fn a_short_step_that_fails_ends_as_the_script_says() {
    for pipeline in ["gd(lr: 10)", "heavy_ball(lr: 1)"] {
        let m = Arc::new(scripted(pipeline));
        let (mut open, mut closed) = (chain(), Closed(chain()));
        let (mut short, mut long) = (begun(&m, &mut open), begun(&m, &mut closed));
        let why = |r: &mut Run, p: &mut dyn Oracle| r.advance(p, 1000, &|| 0.0).cloned();
        let (a, b) = (why(&mut short, &mut open), why(&mut long, &mut closed));
        assert!(a.is_some() && a == b, "{pipeline}: {a:?} against {b:?}");
        assert_eq!(short.steps(), long.steps());
        near(&short.state().x, &long.state().x, pipeline);
    }
}

#[test]
fn a_step_on_the_valley_takes_few_operations() {
    let m = scripted("heavy_ball(lr: 1e-4, beta: 0.9)");
    let operations = m.operations(&chain()).unwrap_or_default();
    assert!((20..=60).contains(&operations), "{operations} operations");
}
