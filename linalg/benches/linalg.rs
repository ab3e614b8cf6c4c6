//! Products and factorizations, against a loop by hand.

use criterion::{Criterion, Throughput, criterion_group, criterion_main};
use ravine_linalg::{Csr, Dense};
use std::hint::black_box;

/// The five-point Laplacian on a `k` x `k` grid.
fn laplacian(k: usize) -> Csr {
    let mut entries = vec![];
    for i in 0..k * k {
        entries.push((i, i, 4.0));
        let (r, c) = (i / k, i % k);
        for (near, j) in [
            (r > 0, i.wrapping_sub(k)),
            (r + 1 < k, i + k),
            (c > 0, i.wrapping_sub(1)),
            (c + 1 < k, i + 1),
        ] {
            if near {
                entries.push((i, j, -1.0));
            }
        }
    }
    Csr::from_triplets(k * k, k * k, &entries)
}

fn by_hand(a: &Csr, x: &[f64], y: &mut [f64]) {
    for i in 0..a.rows {
        let mut sum = 0.0;
        for k in a.indptr[i]..a.indptr[i + 1] {
            sum += a.values[k] * x[a.indices[k]];
        }
        y[i] = sum;
    }
}

fn products(c: &mut Criterion) {
    for k in [50, 500] {
        let a = laplacian(k);
        let x: Vec<f64> = (0..a.cols).map(|i| (i % 7) as f64).collect();
        let mut y = vec![0.0; a.rows];
        let mut group = c.benchmark_group(format!("A x, {} entries", a.nnz()));
        group.throughput(Throughput::Elements(a.nnz() as u64));
        group.bench_function("by hand", |b| b.iter(|| by_hand(black_box(&a), black_box(&x), &mut y)));
        group.bench_function("linalg", |b| b.iter(|| black_box(&a).mul_vec(black_box(&x), &mut y)));
        group.bench_function("linalg, transposed", |b| {
            b.iter(|| black_box(&a).mul_vec_transposed(black_box(&x), &mut y))
        });
    }
    let d = Dense::from_fn(400, 400, |i, j| ((i * 31 + j * 17) % 13) as f64);
    let mut group = c.benchmark_group("dense 400 x 400");
    group.throughput(Throughput::Elements(400 * 400 * 400));
    group.bench_function("A B", |b| b.iter(|| black_box(&d).mul(black_box(&d))));
}

criterion_group!(benches, products);
criterion_main!(benches);
