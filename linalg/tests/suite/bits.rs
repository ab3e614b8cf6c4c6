//! The same bits from 1, 2, 3 and 4 threads, for everything that may run on several.

use crate::exact::Random;
use ravine_linalg::factor::{Cholesky, Factor, Lu, SparseCholesky, SparseLu};
use ravine_linalg::solve::{least_squares, solve_linear};
use ravine_linalg::spectrum::{svd, symmetric_eigen};
use ravine_linalg::{Csr, Dense, Matrix};

fn same_bits(what: &str, run: impl Fn() -> Vec<f64> + Sync) {
    let on = |threads: usize| {
        let pool = rayon::ThreadPoolBuilder::new()
            .num_threads(threads)
            .build()
            .expect("a pool");
        pool.install(&run).iter().map(|v| v.to_bits()).collect::<Vec<u64>>()
    };
    let one = on(1);
    for threads in [2, 3, 4] {
        assert!(one == on(threads), "{what}: {threads} threads differ from one");
    }
}

fn laplacian(k: usize) -> Csr {
    let at = |i: usize, j: usize| i * k + j;
    let mut t = Vec::new();
    for i in 0..k {
        for j in 0..k {
            t.push((at(i, j), at(i, j), 4.0 + ((i * 7 + j) % 5) as f64 * 0.01));
            if i + 1 < k {
                t.push((at(i, j), at(i + 1, j), -1.0));
                t.push((at(i + 1, j), at(i, j), -1.0));
            }
            if j + 1 < k {
                t.push((at(i, j), at(i, j + 1), -1.0));
                t.push((at(i, j + 1), at(i, j), -1.0));
            }
        }
    }
    Csr::from_triplets(k * k, k * k, &t)
}

#[test]
fn dense_kernels() {
    for n in [3, 65, 150, 400, 600] {
        let mut random = Random::new(n as u64);
        let a = Dense::from_fn(n, n, |_, _| random.next());
        let b = Dense::from_fn(n, 2 * n / 3 + 1, |_, _| random.next());
        let x = random.vector(n);
        same_bits("products", || {
            let mut out = a.mul(&b).data;
            out.extend(a.transposed_mul(&b).data);
            let mut y = vec![0.0; n];
            a.mul_vec(&x, &mut y);
            out.extend_from_slice(&y);
            a.mul_vec_transposed(&x, &mut y);
            out.extend(y);
            out
        });
        let spd = a.gram_weighted(&vec![1.0; n]).add(1.0, &Dense::identity(n), 1.0);
        same_bits("Cholesky and LU", || {
            let (mut c, mut l) = (x.clone(), x.clone());
            Cholesky::new(&spd, 0.0).expect("definite").solve(&mut c);
            Lu::new(&a).expect("regular").solve(&mut l);
            c.extend(l);
            c
        });
        if n <= 400 {
            same_bits("A \\ b", || {
                let mut out = solve_linear(&Matrix::Dense(a.clone()), &x).expect("regular").x;
                let got = least_squares(&Matrix::Dense(a.clone()), &x).expect("regular");
                out.extend([got.residual_norm, got.condition.value, got.error.value]);
                out.extend(got.x);
                out
            });
        }
        if n <= 150 {
            same_bits("spectra", || {
                let f = svd(&a).expect("converges");
                let (values, q) = symmetric_eigen(&spd).expect("converges");
                [f.u.data, f.s, f.v.data, values, q.data].concat()
            });
        }
    }
}

#[test]
fn sparse_kernels() {
    for k in [4, 40, 120] {
        let a = laplacian(k);
        let n = a.rows;
        let mut random = Random::new(k as u64);
        let x = random.vector(n);
        same_bits("products", || {
            let (mut y, mut z) = (vec![0.0; n], vec![0.0; n]);
            a.mul_vec(&x, &mut y);
            a.mul_vec_transposed(&x, &mut z);
            y.extend(z);
            y.extend(a.mul_dense(&Dense::from_fn(n, 3, |i, j| x[(i + j) % n])).data);
            y
        });
        same_bits("Cholesky and LU", || {
            let (mut c, mut l) = (x.clone(), x.clone());
            SparseCholesky::symbolic(&a)
                .expect("pattern")
                .numeric(&a, 0.0)
                .expect("definite")
                .solve(&mut c);
            SparseLu::new(&a).expect("regular").solve(&mut l);
            c.extend(l);
            c
        });
        if k <= 40 {
            same_bits("A \\ b", || {
                let got = solve_linear(&Matrix::Sparse(a.clone()), &x).expect("regular");
                [got.x, vec![got.error.value, got.condition.value]].concat()
            });
        }
    }
    // Tall, so that the transposed product is shared too.
    let mut random = Random::new(77);
    let t: Vec<_> = (0..60_000).map(|k| (k / 3, random.below(40), random.next())).collect();
    let a = Csr::from_triplets(20_000, 40, &t);
    let x = random.vector(20_000);
    same_bits("tall transposed product", || {
        let mut y = vec![0.0; 40];
        a.mul_vec_transposed(&x, &mut y);
        y
    });
    let b = x.clone();
    same_bits("sparse least squares", || {
        least_squares(&Matrix::Sparse(a.clone()), &b).expect("full rank").x
    });
}
