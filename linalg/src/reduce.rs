//! Sums, dot products and norms whose bits depend on the data and its length, never on the number of threads.
//!
//! Invariant: a reduction over `n` terms is cut into blocks of [`BLOCK`] terms; inside a block term `i` goes to
//! lane `i mod 16`, and lanes and blocks are combined in binary trees fixed by `n` alone.

use rayon::join;

use crate::lanes::kernels;

/// Terms in one block of the reduction tree.
pub const BLOCK: usize = 1024;
/// Independent accumulators inside a block.
pub(crate) const WIDTH: usize = 16;
/// Blocks below which a subtree is not offered to another thread (32 768 terms: about 5 µs of work).
const SPLIT: usize = 32;

/// Sum of `x[0..n]`.
pub fn sum(x: &[f64]) -> f64 {
    tree(0, blocks(x.len()), &add, &|b| slice_block(piece(x, b), |v| v))
}

/// Dot product of two vectors of one length.
///
/// # Panics
/// If the lengths differ.
pub fn dot(x: &[f64], y: &[f64]) -> f64 {
    assert_eq!(x.len(), y.len(), "dot: lengths differ");
    tree(0, blocks(x.len()), &add, &|b| dot_block(piece(x, b), piece(y, b)))
}

/// Sum of squares, without protection against overflow (see [`norm2`]).
pub fn sumsq(x: &[f64]) -> f64 {
    tree(0, blocks(x.len()), &add, &|b| slice_block(piece(x, b), |v| v * v))
}

/// Euclidean norm, right wherever the norm itself is representable: where the sum of squares over- or underflows
/// the entries are scaled by a power of two first (Blue, ACM TOMS 4, 1978, in the two-pass form).
pub fn norm2(x: &[f64]) -> f64 {
    // Below this the squares of entries that matter may have lost bits to underflow.
    const SMALL: f64 = f64::from_bits((1023 - 900) << 52);
    let plain = sumsq(x);
    if plain.is_nan() || (SMALL..=f64::MAX).contains(&plain) {
        return plain.sqrt();
    }
    let largest = norm_inf(x);
    if largest == 0.0 || largest.is_infinite() {
        return largest;
    }
    // Powers of two scale without rounding; two factors, because 2^-e alone overflows for subnormal entries.
    let exponent = exponent_of(largest);
    let (first, second) = (exponent / 2, exponent - exponent / 2);
    let (up, down) = (
        (power_of_two(-first), power_of_two(-second)),
        (power_of_two(first), power_of_two(second)),
    );
    let scaled = tree(0, blocks(x.len()), &add, &|b| {
        slice_block(piece(x, b), |v| {
            let w = v * up.0 * up.1;
            w * w
        })
    });
    scaled.sqrt() * down.0 * down.1
}

/// Largest absolute value; 0 for an empty vector, NaN if any entry is NaN.
pub fn norm_inf(x: &[f64]) -> f64 {
    tree(0, blocks(x.len()), &larger, &|b| {
        let mut acc = [0.0f64; WIDTH];
        let (whole, rest) = piece(x, b).as_chunks::<WIDTH>();
        for chunk in whole {
            for l in 0..WIDTH {
                acc[l] = larger(acc[l], chunk[l].abs());
            }
        }
        for (a, v) in acc.iter_mut().zip(rest) {
            *a = larger(*a, v.abs());
        }
        acc.iter().copied().fold(0.0, larger)
    })
}

/// Sum of absolute values.
pub fn norm1(x: &[f64]) -> f64 {
    tree(0, blocks(x.len()), &add, &|b| slice_block(piece(x, b), f64::abs))
}

/// Sum of `f(0) + … + f(n-1)` on the same tree as [`sum`], so that `sum_by(x.len(), |i| x[i])` has the bits of `sum(x)`.
///
/// `f` may be called from several threads, once for each index.
pub fn sum_by(n: usize, f: impl Fn(usize) -> f64 + Sync) -> f64 {
    tree(0, blocks(n), &add, &|b| {
        let (start, end) = (b * BLOCK, ((b + 1) * BLOCK).min(n));
        let mut acc = [0.0f64; WIDTH];
        for i in start..end {
            acc[(i - start) % WIDTH] += f(i);
        }
        fold_lanes(acc)
    })
}

/// Reduces `count` blocks on the fixed tree: `leaf(b)` gives block `b` (0-based), `combine` joins neighbours, left first.
///
/// For reductions with another carrier (a gradient buffer, a pair of sums). `None` if there are no blocks.
pub fn tree_of<T: Send>(
    count: usize,
    combine: impl Fn(T, T) -> T + Sync,
    leaf: impl Fn(usize) -> T + Sync,
) -> Option<T> {
    (count > 0).then(|| branch(0, count, 1, &combine, &leaf))
}

fn tree(
    lo: usize,
    count: usize,
    combine: &(impl Fn(f64, f64) -> f64 + Sync),
    leaf: &(impl Fn(usize) -> f64 + Sync),
) -> f64 {
    if count == 0 {
        return 0.0;
    }
    branch(lo, count, SPLIT, combine, leaf)
}

/// Splits after the largest power of two below `count`, so the shape follows from `count` alone.
fn branch<T: Send>(
    lo: usize,
    count: usize,
    split: usize,
    combine: &(impl Fn(T, T) -> T + Sync),
    leaf: &(impl Fn(usize) -> T + Sync),
) -> T {
    if count == 1 {
        return leaf(lo);
    }
    let left = count.next_power_of_two() / 2;
    let (a, b) = if count > split {
        join(
            || branch(lo, left, split, combine, leaf),
            || branch(lo + left, count - left, split, combine, leaf),
        )
    } else {
        (
            branch(lo, left, split, combine, leaf),
            branch(lo + left, count - left, split, combine, leaf),
        )
    };
    combine(a, b)
}

fn blocks(n: usize) -> usize {
    n.div_ceil(BLOCK)
}

fn piece(x: &[f64], block: usize) -> &[f64] {
    &x[block * BLOCK..((block + 1) * BLOCK).min(x.len())]
}

fn add(a: f64, b: f64) -> f64 {
    a + b
}

/// The larger value, with NaN kept from either side.
#[inline(always)]
fn larger(a: f64, b: f64) -> f64 {
    if a > b || a.is_nan() { a } else { b }
}

#[inline(always)]
fn slice_block(x: &[f64], term: impl Fn(f64) -> f64) -> f64 {
    let mut acc = [0.0f64; WIDTH];
    let (whole, rest) = x.as_chunks::<WIDTH>();
    for chunk in whole {
        for l in 0..WIDTH {
            acc[l] += term(chunk[l]);
        }
    }
    for (a, &v) in acc.iter_mut().zip(rest) {
        *a += term(v);
    }
    fold_lanes(acc)
}

fn dot_block(x: &[f64], y: &[f64]) -> f64 {
    let mut d = [0.0];
    if !x.is_empty() {
        (kernels().dots)(&mut d, x, y);
    }
    d[0]
}

/// Lanes of a block joined.
#[inline(always)]
pub(crate) fn fold_lanes(mut acc: [f64; WIDTH]) -> f64 {
    let mut half = WIDTH / 2;
    while half > 0 {
        for l in 0..half {
            acc[l] += acc[l + half];
        }
        half /= 2;
    }
    acc[0]
}

/// `e` with `2^e <= |x| < 2^(e+1)` for finite nonzero `x`.
fn exponent_of(x: f64) -> i32 {
    let raw = ((x.to_bits() >> 52) & 0x7ff) as i32;
    if raw == 0 {
        // Subnormal: normalize by 2^54 first.
        exponent_of(x * 18_014_398_509_481_984.0) - 54
    } else {
        raw - 1023
    }
}

/// `2^e` for `-1022 <= e <= 1023`.
fn power_of_two(e: i32) -> f64 {
    f64::from_bits(((e + 1023) as u64) << 52)
}
