//! Speed of optimizers written in the language beside loops written by hand in Rust, as ratios within one run.
//!
//! Invariant: both take the same steps on the same problem; the points they reach agree before they are compared.

#![allow(
    clippy::disallowed_methods,
    reason = "baselines are what one would write by hand, with the platform's functions"
)]

#[allow(dead_code, reason = "the other bench and the tests use the rest")]
mod programs;

use std::collections::BTreeMap;
use std::hint::black_box;
use std::sync::Arc;
use std::time::Duration;

use criterion::{BenchmarkGroup, Criterion, Throughput, criterion_group, measurement::WallTime};
use programs::load;
use ravine::ir::InputId;
use ravine::lang::lower::{Entity, Names, PointBlock};
use ravine::session::{Session, Settings};
use ravine::solve::compiled::{Ask, Begun, Compiled, Going};
use ravine::solve::run::Options;
use ravine::solve::{Method, Watch};

// As in the program itself.
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

fn group<'a>(c: &'a mut Criterion, name: &str) -> BenchmarkGroup<'a, WallTime> {
    let mut g = c.benchmark_group(name);
    g.warm_up_time(Duration::from_millis(300));
    g.measurement_time(Duration::from_millis(1200));
    g.sample_size(15);
    g
}

/// A run of a pipeline on the first problem of a text, as a solve would have it.
struct Running {
    compiled: Compiled,
    going: Box<Going>,
}

impl Running {
    fn new(text: &str, pipeline: &str, measure_every: u64) -> Running {
        let mut loaded = load(text);
        let lowered = loaded.lower();
        let mut blocks = vec![];
        let mut offset = 0;
        for v in &lowered.problem.vars {
            let len = v.dims.iter().map(|d| d.len()).product();
            blocks.push(PointBlock {
                name: v.name.clone(),
                dims: v.dims.clone(),
                offset,
                len,
            });
            offset += len;
        }
        let params: Vec<_> = lowered
            .params
            .iter()
            .filter_map(|(n, i): &(String, InputId)| match loaded.session.lookup(n) {
                Some(Entity::Param(v)) => Some((*i, v.tensor)),
                _ => None,
            })
            .collect();
        let mut methods = loaded.session.methods_of(pipeline, &blocks).expect("a pipeline");
        let method: Arc<dyn Method> = Arc::new(methods.remove(0));
        let mut compiled = Compiled::new(lowered.problem, &params, Some(method.card())).expect("compiles");
        let ask = Ask {
            params: &params,
            options: Options {
                measure_every,
                trace_rows: 16,
                ..Options::default()
            },
            start: &BTreeMap::new(),
            previous: None,
            method: Some(method),
            watch: Arc::new(Watch::default()),
        };
        match compiled.begin(ask, None) {
            Ok(Begun::Going(going)) => Running { compiled, going },
            Ok(Begun::Over(a)) => panic!("{}", a.reason),
            Err(f) => panic!("{}", f.what),
        }
    }
    fn advance(&mut self, n: u64) -> &[f64] {
        let ended = self.compiled.advance(&mut self.going, n, &|| 0.0);
        assert!(!ended, "{:?}", self.going.run.ended());
        self.going.run.answered()
    }
}

fn agree(a: &[f64], b: &[f64]) {
    for (a, b) in a.iter().zip(b) {
        assert!((a - b).abs() <= 1e-9 * (1.0 + b.abs()), "{a} against {b}");
    }
}

/// A heavy ball on Rosenbrock's valley: nothing but the cost of a step.
fn valley(c: &mut Criterion) {
    const TEXT: &str = "
problem valley {
  var a: Real from -1.2
  var b: Real from 1
  minimize (1 - a)^2 + 100*(b - a^2)^2
}
optimizer recorded(lr: Schedule, beta: Real = 0.9) {
  state v = zeros(x)
  step t {
    let g = grad(x)
    record f = value(x)
    record slope = norm(g)
    v <- beta*v - lr(t)*g
    x <- x + v
  }
}";
    const STEPS: u64 = 1000;
    let hand = |x: &mut [f64; 2], v: &mut [f64; 2], n: u64| {
        for _ in 0..n {
            let [a, b] = *x;
            let d = b - a * a;
            let g = [-2.0 * (1.0 - a) - 400.0 * a * d, 200.0 * d];
            for k in 0..2 {
                v[k] = 0.9 * v[k] - 1e-4 * g[k];
                x[k] += v[k];
            }
        }
    };
    let mut run = Running::new(TEXT, "heavy_ball(lr: 1e-4, beta: 0.9)", 0);
    let (mut x, mut v) = ([-1.2, 1.0], [0.0, 0.0]);
    hand(&mut x, &mut v, 100);
    agree(run.advance(100), &x);
    let mut g = group(c, "heavy ball on Rosenbrock, n = 2, 1000 steps");
    g.throughput(Throughput::Elements(STEPS));
    g.bench_function("program", |b| b.iter(|| run.advance(STEPS)[0]));
    let mut recorded = Running::new(TEXT, "recorded(lr: 1e-4)", 0);
    g.bench_function("program, value and slope recorded in each step", |b| {
        b.iter(|| recorded.advance(STEPS)[0]);
    });
    let mut measured = Running::new(TEXT, "heavy_ball(lr: 1e-4, beta: 0.9)", 1);
    g.bench_function("program, each point measured apart from the steps", |b| {
        b.iter(|| measured.advance(STEPS)[0]);
    });
    g.bench_function("hand", |b| b.iter(|| hand(black_box(&mut x), black_box(&mut v), STEPS)));
    g.finish();
}

/// Gradient steps on a dense quadratic.
fn quadratic(c: &mut Criterion) {
    const TEXT: &str = "
param A: Matrix[m, n] = [i in 1..100, j in 1..100] ((i*7919 + j*104729) % 1013/5065 - 0.1)
param P: Matrix[n, n] = A'*A
problem bowl {
  var x: Vector[n] from 1
  minimize quad(x, P)/2
}";
    let n = 100;
    let a = |i: usize, j: usize| (((i + 1) * 7919 + (j + 1) * 104_729) % 1013) as f64 / 5065.0 - 0.1;
    let mut p = vec![0.0; n * n];
    for i in 0..n {
        for j in 0..n {
            p[i * n + j] = (0..n).map(|k| a(k, i) * a(k, j)).sum();
        }
    }
    let hand = |x: &mut [f64], g: &mut [f64], steps: u64| {
        for _ in 0..steps {
            for (g, row) in g.iter_mut().zip(p.chunks_exact(n)) {
                *g = row.iter().zip(&*x).map(|(a, b)| a * b).sum();
            }
            x.iter_mut().zip(&*g).for_each(|(x, g)| *x -= 1e-4 * g);
        }
    };
    let mut run = Running::new(TEXT, "gd(lr: 1e-4)", 0);
    let (mut x, mut g) = (vec![1.0; n], vec![0.0; n]);
    hand(&mut x, &mut g, 50);
    agree(run.advance(50), &x);
    let mut b = group(c, "gradient descent on a dense quadratic, n = 100, 100 steps");
    b.bench_function("program", |b| b.iter(|| run.advance(100)[0]));
    b.bench_function("hand", |b| b.iter(|| hand(black_box(&mut x), &mut g, 100)));
    b.finish();
}

/// Gradient steps on a logistic loss.
fn logistic(c: &mut Criterion) {
    let text = programs::logistic_by_matrix();
    let (m, n) = (1000, 100);
    let data: Vec<f64> = (0..m * n)
        .map(|k| (((k / n + 1) * 7919 + (k % n + 1) * 104_729) % 1013) as f64 / 500.0 - 1.0)
        .collect();
    let y: Vec<f64> = (1..=m).map(|i| if i * 31 % 7 < 3 { 1.0 } else { -1.0 }).collect();
    let hand = |w: &mut [f64], g: &mut [f64], steps: u64| {
        for _ in 0..steps {
            g.fill(0.0);
            for (row, y) in data.chunks_exact(n).zip(&y) {
                let z: f64 = y * row.iter().zip(&*w).map(|(a, b)| a * b).sum::<f64>();
                let s = -y / (1.0 + z.exp());
                g.iter_mut().zip(row).for_each(|(g, a)| *g += s * a);
            }
            w.iter_mut().zip(&*g).for_each(|(w, g)| *w -= 1e-5 * g);
        }
    };
    let mut run = Running::new(&text, "gd(lr: 1e-5)", 0);
    let (mut w, mut g) = (vec![0.0; n], vec![0.0; n]);
    hand(&mut w, &mut g, 20);
    agree(run.advance(20), &w);
    let mut b = group(c, "gradient descent on a logistic loss, 1000 by 100, 10 steps");
    b.bench_function("program", |b| b.iter(|| run.advance(10)[0]));
    b.bench_function("hand", |b| b.iter(|| hand(black_box(&mut w), &mut g, 10)));
    b.finish();
}

/// Adam on a million parameters, and with a clip before it and decay behind it.
fn adam(c: &mut Criterion) {
    const TEXT: &str = "
param n: Int = 1000000
problem bowl {
  var x: Vector[n] from 1
  minimize sum(i in 1..n) (x[i] - 0.25)^2
}";
    let n = 1_000_000;
    struct Hand {
        x: Vec<f64>,
        m: Vec<f64>,
        v: Vec<f64>,
        t: i32,
    }
    let hand = |h: &mut Hand, steps: u64| {
        for _ in 0..steps {
            h.t += 1;
            let (c1, c2) = (1.0 - 0.9f64.powi(h.t), 1.0 - 0.999f64.powi(h.t));
            for ((x, m), v) in h.x.iter_mut().zip(&mut h.m).zip(&mut h.v) {
                let g = 2.0 * (*x - 0.25);
                *m = 0.9 * *m + 0.1 * g;
                *v = 0.999 * *v + 0.001 * g * g;
                *x -= 1e-3 * (*m / c1) / ((*v / c2).sqrt() + 1e-8);
            }
        }
    };
    let mut h = Hand {
        x: vec![1.0; n],
        m: vec![0.0; n],
        v: vec![0.0; n],
        t: 0,
    };
    let mut run = Running::new(TEXT, "adam(lr: 1e-3)", 0);
    hand(&mut h, 5);
    agree(run.advance(5), &h.x);
    let mut g = group(c, "Adam, 1e6 parameters, one step");
    g.bench_function("program", |b| b.iter(|| run.advance(1)[0]));
    let mut chain = Running::new(TEXT, "clip(max_norm: 1) |> adam(lr: 1e-3) |> shrink(1e-5)", 0);
    g.bench_function("clip, Adam, decay", |b| b.iter(|| chain.advance(1)[0]));
    g.bench_function("hand", |b| b.iter(|| hand(black_box(&mut h), 1)));
    g.finish();
}

/// From a changed text to the end of its first step.
fn edited(c: &mut Criterion) {
    let mut session = Session::new(Settings {
        sets: Default::default(),
        threads: None,
        memory: 1 << 30,
        verbose: false,
        folder: ".".into(),
        now: || 0.0,
    });
    let problem = programs::logistic_by_index();
    session.run_cell("problem", &problem, &mut |_| {});
    let mut k = 0u64;
    let mut g = group(c, "from edited text to the first step");
    g.bench_function("optimizer and solve", |b| {
        b.iter(|| {
            k += 1;
            let text = format!(
                "optimizer own(lr: Schedule, beta: Real = 0.9) {{
  state v = zeros(x)
  step t {{
    let g = grad(x)
    v <- beta*v - lr(t)*g
    x <- x + v + {k}e-12*g
    record speed = norm(v)
  }}
}}
s = solve logistic cold with clip(1) |> own(1e-5) for 1 steps"
            );
            let end = session.run_cell("own", &text, &mut |_| {});
            assert_eq!(end, ravine::session::CellEnd::Ok);
        });
    });
    g.finish();
}

criterion_group!(benches, valley, quadratic, logistic, adam, edited);

fn main() {
    // One thread, as the loops beside it; what is shared out stays on it.
    let _ = rayon::ThreadPoolBuilder::new().num_threads(1).build_global();
    rayon::scope(|_| benches());
    Criterion::default().configure_from_args().final_summary();
}
