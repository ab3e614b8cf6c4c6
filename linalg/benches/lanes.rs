//! Lane kernels in nanoseconds an element, against a loop over the platform's library.

#![allow(clippy::disallowed_methods, reason = "the library is the baseline")]

use criterion::{BenchmarkId, Criterion, Throughput, criterion_group, criterion_main};
use ravine_linalg::lanes::{Isa, LANES, kernels, kernels_for};
use ravine_linalg::reduce;
use std::hint::black_box;

type Scalar = fn(f64) -> f64;

fn arguments() -> Vec<f64> {
    (0..LANES).map(|i| 0.01 + i as f64 * 0.037).collect()
}

fn unary(c: &mut Criterion) {
    let library: [(&str, Scalar); 9] = [
        ("exp", f64::exp),
        ("log", f64::ln),
        ("sin", f64::sin),
        ("cos", f64::cos),
        ("tanh", f64::tanh),
        ("log1p", f64::ln_1p),
        ("expm1", f64::exp_m1),
        ("atan", f64::atan),
        ("sqrt", f64::sqrt),
    ];
    let a = arguments();
    let mut y = vec![0.0; LANES];
    for (name, f) in library {
        let mut group = c.benchmark_group(name);
        group.throughput(Throughput::Elements(LANES as u64));
        group.bench_function("library", |b| {
            b.iter(|| {
                for (y, &x) in y.iter_mut().zip(black_box(&a)) {
                    *y = f(x);
                }
                black_box(&mut y);
            });
        });
        for table in [Isa::Baseline, Isa::Avx2, Isa::Avx512]
            .into_iter()
            .filter_map(kernels_for)
        {
            let kernel = ravine_linalg::lanes::UNARY
                .iter()
                .find(|row| row.0 == name)
                .map(|row| (row.1)(table));
            let Some(kernel) = kernel else { continue };
            group.bench_function(BenchmarkId::new("lanes", format!("{:?}", table.isa)), |b| {
                b.iter(|| kernel(black_box(&mut y), black_box(&a)));
            });
        }
        group.finish();
    }
}

fn binary(c: &mut Criterion) {
    let (a, s) = (arguments(), 1.7);
    let mut y = vec![0.0; LANES];
    let mut group = c.benchmark_group("pow");
    group.throughput(Throughput::Elements(LANES as u64));
    group.bench_function("library", |b| {
        b.iter(|| {
            for (y, &x) in y.iter_mut().zip(black_box(&a)) {
                *y = x.powf(black_box(s));
            }
            black_box(&mut y);
        });
    });
    for table in [Isa::Baseline, Isa::Avx2, Isa::Avx512]
        .into_iter()
        .filter_map(kernels_for)
    {
        group.bench_function(BenchmarkId::new("lanes", format!("{:?}", table.isa)), |b| {
            b.iter(|| (table.pow_scalar)(black_box(&mut y), black_box(&a), black_box(s)));
        });
    }
    group.finish();
    let mut group = c.benchmark_group("mul_add");
    group.throughput(Throughput::Elements(LANES as u64));
    group.bench_function("lanes", |b| {
        b.iter(|| (kernels().mul_add)(black_box(&mut y), black_box(&a), black_box(&a), black_box(&a)));
    });
    group.finish();
}

fn reductions(c: &mut Criterion) {
    let mut group = c.benchmark_group("reductions");
    for n in [LANES, 1 << 20] {
        let x: Vec<f64> = (0..n).map(|i| 1.0 / (1.0 + i as f64)).collect();
        group.throughput(Throughput::Elements(n as u64));
        group.bench_function(BenchmarkId::new("sum", n), |b| b.iter(|| reduce::sum(black_box(&x))));
        group.bench_function(BenchmarkId::new("dot", n), |b| {
            b.iter(|| reduce::dot(black_box(&x), black_box(&x)));
        });
        group.bench_function(BenchmarkId::new("plain loop", n), |b| {
            b.iter(|| black_box(&x).iter().sum::<f64>());
        });
    }
    group.finish();
}

criterion_group!(benches, unary, binary, reductions);
criterion_main!(benches);
