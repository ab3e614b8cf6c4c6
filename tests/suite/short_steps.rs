//! Steps with the gradient in them, of few numbers as one straight-line program and on long arrays in the loops that use it:
//! against the same script that asks for the gradient.
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
    problem_of(N, objective)
}

/// An objective of `x[1..n]`.
fn problem_of(n: usize, objective: impl Fn(&mut Ir, InputId) -> NodeId) -> Smooth {
    let mut ir = Ir::new();
    let x = ir.add_input(Input {
        name: "x".into(),
        kind: InputKind::Var,
        dims: vec![IndexSet::upto(n)],
        sparse: false,
        sign: Sign::Unknown,
    });
    let f = objective(&mut ir, x);
    let columns = Columns {
        blocks: vec![(x, 0, n)],
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
    curved_of(N, true)
}

/// `curved`, or with `x_i²/i` in place of the root, which has a domain: defined everywhere.
fn curved_of(n: usize, root: bool) -> Smooth {
    use ravine::atoms::{ADD, DIV, EXP, MUL, SQRT, SQUARE, SUB, SUM};
    use ravine::ir::{DomainId, Pos};
    problem_of(n, |ir, x| {
        let (d, i) = ir.add_domain(DomainId::ROOT, [("i".into(), IndexSet::upto(n))]);
        let i = i[0];
        let x = ir.read(x);
        let v = ir.gather(x, vec![Pos::index(i)]);
        let (one, two) = (ir.constant(1.0), ir.constant(2.0));
        let e = ir.apply(EXP, &[v]);
        let t = ir.apply(MUL, &[two, v]);
        let e = ir.apply(SUB, &[e, t]);
        let mut s = ir.apply(SQUARE, &[v]);
        if root {
            s = ir.apply(ADD, &[one, s]);
            s = ir.apply(SQRT, &[s]);
        }
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
    scripted_of(N, pipeline)
}

fn scripted_of(n: usize, pipeline: &str) -> Scripted {
    let blocks = [PointBlock {
        name: "x".into(),
        dims: vec![IndexSet::upto(n)],
        offset: 0,
        len: n,
    }];
    let mut found = session(&root())
        .methods_of(pipeline, &blocks)
        .unwrap_or_else(|d| panic!("{pipeline}: {d:#?}"));
    found.remove(0)
}

fn begun(m: &Arc<Scripted>, p: &mut dyn Oracle) -> Run {
    let start = [-1.2, 1.0, 0.5, 0.3];
    let start = Point::plain((0..p.dim()).map(|k| start[k % 4]).collect());
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
fn long_steps_with_the_gradient_in_them_are_the_steps_of_the_script() {
    // Beyond one block of lanes, and not a multiple of it.
    let n = 700;
    for pipeline in PIPELINES {
        let m = Arc::new(scripted_of(n, pipeline));
        let (mut open, mut closed) = (curved_of(n, false), Closed(curved_of(n, false)));
        assert!(m.operations(&open).is_none() && !m.weaves(&closed));
        assert!(m.weaves(&open), "{pipeline} asks for its gradient");
        let (mut woven, mut plain) = (begun(&m, &mut open), begun(&m, &mut closed));
        for steps in [1, 2, 40] {
            woven.advance(&mut open, steps, &|| 0.0);
            plain.advance(&mut closed, steps, &|| 0.0);
            assert_eq!(woven.state(), plain.state(), "{pipeline}");
            assert_eq!(woven.counts(), plain.counts(), "{pipeline}");
        }
        let mut again = curved_of(n, false);
        let mut single = begun(&m, &mut again);
        for _ in 0..43 {
            single.advance(&mut again, 1, &|| 0.0);
        }
        assert_eq!(single.state(), woven.state(), "{pipeline}");
    }
    // exp overflows; clipping by value would hide it.
    for pipeline in ["gd(lr: 1e4)", "clip_value(limit: 1) |> gd(lr: 400)"] {
        let m = Arc::new(scripted_of(n, pipeline));
        let (mut open, mut closed) = (curved_of(n, false), Closed(curved_of(n, false)));
        let (mut woven, mut plain) = (begun(&m, &mut open), begun(&m, &mut closed));
        let why = |r: &mut Run, p: &mut dyn Oracle| r.advance(p, 50, &|| 0.0).cloned();
        let (a, b) = (why(&mut woven, &mut open), why(&mut plain, &mut closed));
        assert!(a == b, "{pipeline}: {a:?} against {b:?}");
        assert_eq!(woven.steps(), plain.steps());
        assert_eq!(woven.state().x, plain.state().x, "{pipeline}");
    }
}

#[test]
fn what_a_run_is_told_when_it_begins_holds_in_long_steps() {
    let text = "param n: Int = 700
optimizer share(lr: Schedule) {
  step t {
    let g = grad(x)
    x <- x - lr(t)*fmin*g
  }
}
problem p {
  var x: Vector[n] from 1
  minimize sum(i in 1..n) (x[i] - i/n)^2 + 5
}
a = solve p cold with share(lr: 0.02) for 20 steps
b = solve p cold with gd(lr: 0.1) for 20 steps
assert norm(a.x - b.x) == 0 within 1e-9
";
    let ran = super::harness::run(&mut session(&root()), "told", text);
    assert!(ran.codes.is_empty(), "{}", ran.shown);
}

/// Random formulas of four numbers that take their own results, run as machine code and operation by operation.
#[test]
fn machine_code_has_the_bits_of_the_tape() {
    use ravine::atoms;
    use ravine::exec::native::{Around, Native};
    use ravine::exec::tape::{Source, Writer};
    let mut seed = 7u64;
    let mut draw = |n: usize| {
        seed = seed.wrapping_mul(6364136223846793005).wrapping_add(1442695040888963407);
        (seed >> 33) as usize % n
    };
    let mut native = 0;
    for round in 0..400 {
        let mut ir = Ir::new();
        let inputs: Vec<InputId> = (0..4)
            .map(|k| {
                ir.add_input(Input {
                    name: format!("a{k}"),
                    kind: InputKind::Var,
                    dims: vec![],
                    sparse: false,
                    sign: Sign::Unknown,
                })
            })
            .collect();
        let mut nodes: Vec<NodeId> = inputs.iter().map(|i| ir.read(*i)).collect();
        nodes.push(ir.constant(0.75));
        nodes.push(ir.constant(-1.5));
        for _ in 0..5 + draw(60) {
            let of: Vec<NodeId> = (0..3).map(|_| nodes[draw(nodes.len())]).collect();
            let atom = [
                atoms::ADD,
                atoms::SUB,
                atoms::MUL,
                atoms::DIV,
                atoms::NEG,
                atoms::SQUARE,
                atoms::SQRT,
                atoms::ABS,
                atoms::EXP,
                atoms::SIN,
                atoms::SELECT,
            ][draw(11)];
            let args = match atom {
                a if [atoms::ADD, atoms::SUB, atoms::MUL, atoms::DIV].contains(&a) => 2,
                a if a == atoms::SELECT => 3,
                _ => 1,
            };
            nodes.push(ir.apply(atom, &of[..args]));
        }
        let last: Vec<NodeId> = nodes.iter().rev().take(4).copied().collect();
        let mut w = Writer::default();
        let (free, step): (Vec<_>, _) = ((0..4).map(|_| w.free()).collect(), w.free());
        let read = |i: InputId| Some(vec![Source::Of(free[inputs.iter().position(|j| *j == i)?])]);
        let made = w.unroll(&ir, &last, &read).expect("unrolls").concat();
        let tape = w.finish(&made).expect("fits");
        let at = |v| tape.register(v).expect("a register");
        let mut moves = vec![];
        for (to, from) in free.iter().zip(&made) {
            let (to, from) = (at(*to), at(*from));
            if free.iter().all(|f| at(*f) != from) {
                moves.push((to, from));
            }
        }
        let around = Around {
            step: at(step),
            size: at(made[0]),
            most: 1e6,
            finite: vec![at(made[1])],
            positive: if round % 3 == 0 { vec![at(made[2])] } else { vec![] },
            zero: vec![],
            stops: if round % 2 == 0 { vec![at(made[3])] } else { vec![] },
            moves,
        };
        let mut file = tape.file();
        for (k, f) in free.iter().enumerate() {
            file[usize::from(at(*f))] = [0.3, -1.25, 2.0, 1e-3][k];
        }
        let mut other = file.clone();
        let plain = around.run(&tape, &mut file, 9);
        let Some(code) = Native::new(&tape, &around) else {
            continue;
        };
        native += 1;
        assert_eq!(code.run(&tape, &mut other, 9), plain, "round {round}");
        for (k, (a, b)) in file.iter().zip(other.iter()).enumerate() {
            let same = a.to_bits() == b.to_bits() || a.is_nan() && b.is_nan();
            assert!(same, "round {round}, register {k}: {a} against {b}");
        }
    }
    assert!(native == 400 || !cfg!(all(target_arch = "x86_64", target_os = "linux")));
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
