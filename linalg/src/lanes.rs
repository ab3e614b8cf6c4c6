//! Kernels on blocks of lanes: what a batch machine executes, one call per instruction and block.
//!
//! Invariant: each kernel is one loop over the scalar code of [`crate::math`], compiled for several instruction sets;
//! all of them, and the scalar functions, give the same bits (no fused multiply-add, no reordering; NaNs may differ in
//! their payload). The table is chosen once per process.
//!
//! Shapes: every operand of a call has the length of `dst`, at most [`LANES`] in a machine but any length here; a
//! kernel panics if an operand is shorter.

#![allow(
    unsafe_code,
    reason = "calls into functions compiled for detected instruction sets, gathers after one bounds check"
)]

mod memory;
mod table;

pub use memory::{load, scatter_add, scatter_add_strided, store};
pub use table::{BINARY, Kernels, SCALED, TERNARY, UNARY};

use std::sync::OnceLock;

/// Lanes in one block: 2 KiB an operand, so that a few dozen registers stay in the first-level cache.
pub const LANES: usize = 256;

/// `dst[i] = f(a[i])`.
pub type Unary = fn(dst: &mut [f64], a: &[f64]);
/// `dst[i] = f(a[i], b[i])`.
pub type Binary = fn(dst: &mut [f64], a: &[f64], b: &[f64]);
/// `dst[i] = f(a[i], b[i], c[i])`.
pub type Ternary = fn(dst: &mut [f64], a: &[f64], b: &[f64], c: &[f64]);
/// `dst[i] = f(a[i], b[i], c[i], d[i])`.
pub type Quaternary = fn(dst: &mut [f64], a: &[f64], b: &[f64], c: &[f64], d: &[f64]);
/// `dst[i] = f(a[i], s)` for one number `s`.
pub type Scaled = fn(dst: &mut [f64], a: &[f64], s: f64);
/// `dst[i] = s * a[i] + t` for two numbers.
pub type Affine = fn(dst: &mut [f64], a: &[f64], s: f64, t: f64);
/// `dst[i] = s * a[i] + t * b[i]`.
pub type Combination = fn(dst: &mut [f64], a: &[f64], s: f64, b: &[f64], t: f64);
/// `dst[i] = a[i]^n`.
pub type Power = fn(dst: &mut [f64], a: &[f64], n: i32);
/// `dst[i] = src[index[i]]`; panics if an index is outside `src`.
pub type Gather = fn(dst: &mut [f64], src: &[f64], index: &[i64]);

/// `dst[i] = Σ_j rows[i, j] x[j]` for rows of the length of `x`, which is not 0: each sum one block of the tree of
/// [`crate::reduce`], so that rows of at most [`crate::reduce::BLOCK`] entries have the bits of [`crate::reduce::dot`].
pub type Dots = fn(dst: &mut [f64], rows: &[f64], x: &[f64]);

/// Instruction sets the kernels are compiled for, from the smallest.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Isa {
    /// What the target always has (SSE2 on x86-64).
    Baseline,
    /// 256-bit vectors.
    Avx2,
    /// 512-bit vectors (F, DQ, VL, BW).
    Avx512,
}

/// The kernels for the best instruction set of this processor.
pub fn kernels() -> &'static Kernels {
    static CHOSEN: OnceLock<&'static Kernels> = OnceLock::new();
    CHOSEN.get_or_init(|| {
        [Isa::Avx512, Isa::Avx2]
            .into_iter()
            .find_map(kernels_for)
            .unwrap_or(&table::baseline::KERNELS)
    })
}

/// The kernels compiled for `isa`, if this processor has it.
pub fn kernels_for(isa: Isa) -> Option<&'static Kernels> {
    match isa {
        Isa::Baseline => Some(&table::baseline::KERNELS),
        #[cfg(target_arch = "x86_64")]
        Isa::Avx2 => is_x86_feature_detected!("avx2").then_some(&table::avx2::KERNELS),
        #[cfg(target_arch = "x86_64")]
        Isa::Avx512 => (is_x86_feature_detected!("avx512f")
            && is_x86_feature_detected!("avx512dq")
            && is_x86_feature_detected!("avx512vl")
            && is_x86_feature_detected!("avx512bw"))
        .then_some(&table::avx512::KERNELS),
        #[cfg(not(target_arch = "x86_64"))]
        Isa::Avx2 | Isa::Avx512 => None,
    }
}

/// `x[i] = f(x[i])` for a slice of any length, through a buffer of one block.
pub fn in_place(f: Unary, x: &mut [f64]) {
    let mut buffer = [0.0; LANES];
    for block in x.chunks_mut(LANES) {
        let from = &mut buffer[..block.len()];
        from.copy_from_slice(block);
        f(block, from);
    }
}
