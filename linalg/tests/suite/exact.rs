//! Oracles in exact integer arithmetic, and seeded families of matrices with a wished condition.

use num_bigint::BigInt;
use ravine_linalg::Matrix;

/// Exact rational numbers p_j / q.
pub struct Exact {
    p: Vec<BigInt>,
    q: BigInt,
}

fn parts(v: f64) -> (i64, i64) {
    let bits = v.to_bits();
    let exponent = ((bits >> 52) & 0x7ff) as i64;
    let fraction = (bits & ((1 << 52) - 1)) as i64;
    let (m, e) = if exponent == 0 {
        (fraction, -1074)
    } else {
        (fraction | (1 << 52), exponent - 1075)
    };
    (if v < 0.0 { -m } else { m }, e)
}

/// The entries times one power of two, which is returned: all integers.
fn integers(v: &[f64]) -> (Vec<BigInt>, i64) {
    let low = v.iter().filter(|x| **x != 0.0).map(|x| parts(*x).1).min().unwrap_or(0);
    let whole = |x: &f64| {
        let (m, e) = parts(*x);
        if m == 0 {
            BigInt::from(0)
        } else {
            BigInt::from(m) << ((e - low) as usize)
        }
    };
    (v.iter().map(whole).collect(), low)
}

/// a / b, whatever their sizes.
fn ratio(a: &BigInt, b: &BigInt) -> f64 {
    let shrink = |v: &BigInt| {
        let bits = v.bits() as i64;
        let shift = (bits - 120).max(0);
        let text = (v >> (shift as usize)).to_string();
        (text.parse::<f64>().expect("a decimal integer"), shift)
    };
    let ((x, s), (y, t)) = (shrink(a), shrink(b));
    if x == 0.0 {
        return 0.0;
    }
    let (mut out, mut k) = (x / y, s - t);
    while k > 0 {
        let step = k.min(1000);
        out *= 2f64.powi(step as i32);
        k -= step;
    }
    while k < 0 {
        let step = (-k).min(1000);
        out /= 2f64.powi(step as i32);
        k += step;
    }
    out
}

/// Solves an integer system by fraction-free elimination (Bareiss); `None` if singular.
fn solve(mut a: Vec<Vec<BigInt>>) -> Option<Exact> {
    let n = a.len();
    let zero = BigInt::from(0);
    let mut last = BigInt::from(1);
    for k in 0..n {
        let p = (k..n).find(|&i| a[i][k] != zero)?;
        a.swap(k, p);
        let row = a[k].clone();
        for i in (0..n).filter(|&i| i != k) {
            let lead = a[i][k].clone();
            for j in 0..=n {
                let v = (&row[k] * &a[i][j] - &lead * &row[j]) / &last;
                a[i][j] = v;
            }
        }
        last = row[k].clone();
    }
    Some(Exact {
        p: a.iter().map(|r| r[n].clone()).collect(),
        q: last,
    })
}

impl Exact {
    /// The least-squares solution (m >= n) or the least-norm solution (m < n) of the stored numbers.
    pub fn of(a: &Matrix, b: &[f64]) -> Option<Exact> {
        let (m, n) = (a.rows(), a.cols());
        let (ai, ea) = integers(&a.to_dense().data);
        let (bi, eb) = integers(b);
        let at = |i: usize, j: usize| &ai[i * n + j];
        let small = m.min(n);
        let dot = |i: usize, j: usize| -> BigInt {
            if m >= n {
                (0..m).map(|k| at(k, i) * at(k, j)).sum()
            } else {
                (0..n).map(|k| at(i, k) * at(j, k)).sum()
            }
        };
        let rows = (0..small)
            .map(|i| {
                let mut row: Vec<BigInt> = (0..small).map(|j| dot(i, j)).collect();
                row.push(if m >= n {
                    (0..m).map(|k| at(k, i) * &bi[k]).sum()
                } else {
                    bi[i].clone()
                });
                row
            })
            .collect();
        let mut x = solve(rows)?;
        if m < n {
            x.p = (0..n).map(|j| (0..m).map(|i| at(i, j) * &x.p[i]).sum()).collect();
        }
        // Both cases: A = 2^ea A_i, b = 2^eb b_i, so x = 2^(eb - ea) x_i.
        let shift = eb - ea;
        if shift >= 0 {
            x.p.iter_mut().for_each(|p| *p <<= shift as usize);
        } else {
            x.q <<= (-shift) as usize;
        }
        Some(x)
    }

    /// |x - x*| / |x*|.
    pub fn relative_error(&self, x: &[f64]) -> f64 {
        let (xi, e) = integers(x);
        let (mut top, mut bottom) = (0.0f64, 0.0f64);
        for (v, p) in xi.iter().zip(&self.p) {
            let (scaled, q) = if e >= 0 {
                ((v << (e as usize)) * &self.q, self.q.clone())
            } else {
                (v * &self.q, &self.q << (-e as usize))
            };
            let wanted = if e >= 0 { p.clone() } else { p << (-e as usize) };
            top = top.hypot(ratio(&(scaled - wanted), &q));
            bottom = bottom.hypot(ratio(p, &self.q));
        }
        if top == 0.0 { 0.0 } else { top / bottom }
    }
}

/// Seeded numbers in [-1, 1).
pub struct Random(u64);

impl Random {
    pub fn new(seed: u64) -> Self {
        Random(seed.wrapping_mul(0x9E37_79B9_7F4A_7C15) ^ 0x1234_5678_9ABC_DEF1)
    }

    pub fn next(&mut self) -> f64 {
        self.0 = self.0.wrapping_add(0x9E37_79B9_7F4A_7C15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
        z ^= z >> 31;
        (z >> 11) as f64 / (1u64 << 52) as f64 - 1.0
    }

    pub fn below(&mut self, n: usize) -> usize {
        (((self.next() + 1.0) / 2.0) * n as f64) as usize % n.max(1)
    }

    pub fn vector(&mut self, n: usize) -> Vec<f64> {
        (0..n).map(|_| self.next()).collect()
    }
}
