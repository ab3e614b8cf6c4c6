//! Evaluation speed of expressions beside hand-written loops, and of the front end, as ratios within one run.
//!
//! Invariant: each group holds a program and its baseline on the same data; every pair is first checked to agree.

#![allow(
    clippy::disallowed_methods,
    reason = "baselines are what one would write by hand, with the platform's functions"
)]

#[allow(dead_code, reason = "tests use the rest")]
mod programs;

use std::hint::black_box;
use std::time::Duration;

use criterion::{BenchmarkGroup, Criterion, criterion_group, measurement::WallTime};
use programs::{Objective, objective, spread};
use ravine::exec::{Lanes, Plan};
use ravine_linalg::Csr;

fn group<'a>(c: &'a mut Criterion, name: &str) -> BenchmarkGroup<'a, WallTime> {
    let mut g = c.benchmark_group(name);
    g.warm_up_time(Duration::from_millis(500));
    g.measurement_time(Duration::from_millis(1200));
    g.sample_size(20);
    g
}

/// Program and baseline must agree before they are compared.
fn agree(a: f64, b: f64) {
    assert!((a - b).abs() <= 1e-9 * (1.0 + a.abs()), "{a} against {b}");
}

fn set(o: &mut Objective, x: &[Vec<f64>]) {
    let vars = o.vars.clone();
    for ((input, _), v) in vars.iter().zip(x) {
        o.machine.set_point(*input, v);
    }
}

fn rosenbrock(z: &[f64], g: &mut [f64]) -> f64 {
    g.fill(0.0);
    let mut f = 0.0;
    for i in 0..z.len() - 1 {
        let d = z[i + 1] - z[i] * z[i];
        let e = 1.0 - z[i];
        f += 100.0 * d * d + e * e;
        g[i] += -400.0 * d * z[i] - 2.0 * e;
        g[i + 1] += 200.0 * d;
    }
    f
}

fn chained(c: &mut Criterion) {
    for n in [1_000, 100_000] {
        let mut o = objective(
            &programs::ROSENBROCK.replace("1000", &n.to_string()),
            true,
            Lanes::best(),
        );
        let z = spread(n, 3);
        let mut grad = vec![0.0; n];
        set(&mut o, std::slice::from_ref(&z));
        o.machine.eval().expect("finite");
        agree(o.machine.scalar(0), rosenbrock(&z, &mut grad));
        for (a, b) in o.machine.dense(1).expect("dense").iter().zip(&grad) {
            agree(*a, *b);
        }
        let mut g = group(c, &format!("rosenbrock value+gradient, n = {n}"));
        g.bench_function("program", |b| b.iter(|| o.machine.eval()));
        g.bench_function("hand", |b| b.iter(|| rosenbrock(black_box(&z), &mut grad)));
        g.finish();
    }
}

fn logistic(c: &mut Criterion) {
    let (m, n) = (1000, 100);
    let x: Vec<f64> = (0..m * n)
        .map(|k| (((k / n + 1) * 7919 + (k % n + 1) * 104_729) % 1013) as f64 / 500.0 - 1.0)
        .collect();
    let y: Vec<f64> = (1..=m).map(|i| if i * 31 % 7 < 3 { 1.0 } else { -1.0 }).collect();
    let w = spread(n, 5);
    let mut grad = vec![0.0; n];
    let hand = |w: &[f64], grad: &mut [f64]| {
        grad.fill(0.0);
        let mut f = 0.0;
        for (row, y) in x.chunks_exact(n).zip(&y) {
            let s = -y * row.iter().zip(w).map(|(a, b)| a * b).sum::<f64>();
            f += s.max(0.0) + (-s.abs()).exp().ln_1p();
            let p = -y / (1.0 + (-s).exp());
            for (g, a) in grad.iter_mut().zip(row) {
                *g += p * a;
            }
        }
        f
    };
    let want = hand(&w, &mut grad);
    let mut g = group(c, "logistic value+gradient, 1000 by 100");
    for (name, text) in [
        ("program, index form", programs::logistic_by_index()),
        ("program, matrix form", programs::logistic_by_matrix()),
    ] {
        let mut o = objective(&text, true, Lanes::best());
        set(&mut o, std::slice::from_ref(&w));
        o.machine.eval().expect("finite");
        agree(o.machine.scalar(0), want);
        for (a, b) in o.machine.dense(1).expect("dense").iter().zip(&grad) {
            agree(*a, *b);
        }
        g.bench_function(name, |b| b.iter(|| o.machine.eval()));
    }
    g.bench_function("hand", |b| b.iter(|| hand(black_box(&w), &mut grad)));
    g.finish();
}

fn rational(a: f64, b: f64) -> f64 {
    (1.0 + a * (2.0 + a * (3.0 + a * (4.0 + a * (5.0 + a))))
        + b * (6.0 + b * (7.0 + b * (8.0 + b)))
        + a * b * (9.0 + a - b))
        / (2.0 + a * a * (3.0 + b * b) + b * b * (4.0 + (a - b) * (a - b)) + (a * b - 1.0) * (a * b - 1.0))
}

fn wave(a: f64, b: f64) -> f64 {
    (-(a * a + b * b) / 2.0).exp() * (3.0 * a + b).sin()
        + (1.0 + a * a + 2.0 * b * b).ln() * (a - b)
        + (a - b).exp() / (1.0 + b.exp())
        + (a * b).sin() * (1.0 + a * (2.0 + b))
        + a * b
        - 3.0 * a
}

fn patterns(c: &mut Criterion) {
    let n = 1_000_000;
    let (u, v) = (spread(n, 1), spread(n, 400));
    let cases: [(&str, &str, fn(f64, f64) -> f64); 2] = [
        ("rational pattern, 1e6 instances", programs::RATIONAL, rational),
        ("exp, sin, log pattern, 1e6 instances", programs::TRANSCENDENTAL, wave),
    ];
    for (name, text, f) in cases {
        let mut o = objective(text, false, Lanes::best());
        set(&mut o, &[u.clone(), v.clone()]);
        o.machine.eval().expect("finite");
        let hand = |u: &[f64], v: &[f64]| u.iter().zip(v).map(|(a, b)| f(*a, *b)).sum::<f64>();
        agree(o.machine.scalar(0), hand(&u, &v));
        let mut g = group(c, name);
        g.bench_function("program", |b| b.iter(|| o.machine.eval()));
        // Each formula called by name, so that the compiler can make it part of the loop.
        if name.starts_with("rational") {
            g.bench_function("hand", |b| {
                b.iter(|| black_box(&u).iter().zip(&v).map(|(a, b)| rational(*a, *b)).sum::<f64>())
            });
        } else {
            g.bench_function("hand", |b| {
                b.iter(|| black_box(&u).iter().zip(&v).map(|(a, b)| wave(*a, *b)).sum::<f64>())
            });
        }
        g.finish();
    }
}

fn sparse_product(c: &mut Criterion) {
    // A grid's five-point stencil.
    let side = 300usize;
    let n = side * side;
    let (mut indptr, mut indices, mut values) = (vec![0], vec![], vec![]);
    for k in 0..n {
        let (i, j) = (k / side, k % side);
        let mut put = |inside: bool, at: usize, v: f64| {
            if inside {
                indices.push(at);
                values.push(v);
            }
        };
        put(i > 0, k.wrapping_sub(side), -1.0);
        put(j > 0, k.wrapping_sub(1), -1.0);
        put(true, k, 4.0);
        put(j + 1 < side, k + 1, -1.0);
        put(i + 1 < side, k + side, -1.0);
        indptr.push(indices.len());
    }
    let a = Csr {
        rows: n,
        cols: n,
        indptr,
        indices,
        values,
    };
    let x = spread(n, 9);
    let mut y = vec![0.0; n];
    let hand = |x: &[f64], y: &mut [f64]| {
        for i in 0..n {
            let mut s = 0.0;
            for k in a.indptr[i]..a.indptr[i + 1] {
                s += a.values[k] * x[a.indices[k]];
            }
            y[i] = s;
        }
    };
    let mut g = group(c, "sparse product, 9e4 rows of 5");
    g.bench_function("linalg", |b| b.iter(|| a.mul_vec(black_box(&x), &mut y)));
    g.bench_function("hand", |b| b.iter(|| hand(black_box(&x), &mut y)));
    g.finish();
}

fn front_end(c: &mut Criterion) {
    let mut g = group(c, "from text to machine, logistic value+gradient");
    // The data's declarations are not what is compared.
    for (name, text) in [
        ("index form", programs::logistic_by_index()),
        ("matrix form", programs::logistic_by_matrix()),
    ] {
        let loaded = programs::load(&text);
        g.bench_function(name, |b| {
            b.iter(|| {
                let mut l = loaded.lower();
                ravine::passes::canonical(&mut l.problem);
                let node = l.problem.objective.as_ref().map(|o| o.node).expect("an objective");
                let wrt = [l.problem.vars[0].input];
                let grad = ravine::passes::derive::gradient(&mut l.problem.ir, node, &wrt).expect("a derivative");
                let mut outputs = vec![node];
                outputs.extend(grad.into_iter().flatten());
                Plan::compile(&l.problem.ir, &outputs)
            });
        });
    }
    g.finish();
    let loaded = programs::load(&programs::transport(200, 200));
    let mut g = group(c, "transport 200 by 200");
    g.bench_function("lower, rewrite, compile the objective", |b| {
        b.iter(|| {
            let mut l = loaded.lower();
            ravine::passes::canonical(&mut l.problem);
            let node = l.problem.objective.as_ref().map(|o| o.node).expect("an objective");
            Plan::compile(&l.problem.ir, &[node])
        });
    });
    g.finish();
}

criterion_group!(benches, chained, logistic, patterns, sparse_product, front_end);

fn main() {
    // One thread: the baselines have no more.
    rayon::ThreadPoolBuilder::new()
        .num_threads(1)
        .build_global()
        .expect("no pool yet");
    benches();
    Criterion::default().configure_from_args().final_summary();
}
