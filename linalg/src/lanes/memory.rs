//! Moving lanes from and to arrays with a stride or a list of positions.
//!
//! Invariant: scatters run through the lanes in order, so repeated positions are added in that order.

/// Position of the last of `n` elements at `start`, `start + stride`, …, checked against an array of `len`.
fn check(n: usize, start: usize, stride: isize, len: usize) {
    if n == 0 {
        return;
    }
    let last = (n as isize - 1)
        .checked_mul(stride)
        .and_then(|d| start.checked_add_signed(d));
    assert!(
        start < len && last.is_some_and(|l| l < len),
        "strided access leaves the array"
    );
}

/// `dst[i] = src[start + i * stride]`; stride 1 copies, stride 0 spreads one value.
///
/// # Panics
/// If a position is outside `src`.
pub fn load(dst: &mut [f64], src: &[f64], start: usize, stride: isize) {
    check(dst.len(), start, stride, src.len());
    match stride {
        1 => dst.copy_from_slice(&src[start..start + dst.len()]),
        0 => dst.fill(src.get(start).copied().unwrap_or(0.0)),
        _ => {
            let mut at = start;
            for d in dst {
                *d = src[at];
                at = at.wrapping_add_signed(stride);
            }
        }
    }
}

/// `dst[start + i * stride] = a[i]`.
///
/// # Panics
/// If a position is outside `dst`.
pub fn store(dst: &mut [f64], start: usize, stride: isize, a: &[f64]) {
    check(a.len(), start, stride, dst.len());
    if stride == 1 {
        dst[start..start + a.len()].copy_from_slice(a);
        return;
    }
    let mut at = start;
    for &v in a {
        dst[at] = v;
        at = at.wrapping_add_signed(stride);
    }
}

/// Entries from which an array is better written past the caches: several of that length do not stay there from one pass to
/// the next, and a store that does not read the line first saves a third of the traffic.
pub const LONG: usize = 1 << 19;

/// Has the processor fetch what will be read soon.
pub fn fetch(soon: &[f64]) {
    #[cfg(target_arch = "x86_64")]
    for line in soon.chunks(8) {
        use std::arch::x86_64::{_MM_HINT_T0, _mm_prefetch};
        // SAFETY: SSE is part of the target; a prefetch reads nothing that the program sees.
        unsafe { _mm_prefetch::<_MM_HINT_T0>(line.as_ptr().cast()) };
    }
    #[cfg(not(target_arch = "x86_64"))]
    let _ = soon;
}

/// Stores past the caches, in order with later reads from when this is dropped.
#[derive(Default)]
pub struct Past(());

impl Past {
    /// `dst[i] = a[i]`.
    ///
    /// # Panics
    /// If the lengths differ.
    pub fn store(&self, dst: &mut [f64], a: &[f64]) {
        assert_eq!(dst.len(), a.len(), "store: lengths differ");
        #[cfg(target_arch = "x86_64")]
        {
            use std::arch::x86_64::{_mm_loadu_pd, _mm_stream_pd};
            let head = (dst.as_ptr() as usize % 16 / 8).min(dst.len());
            dst[..head].copy_from_slice(&a[..head]);
            let (mut pairs, mut from) = (dst[head..].chunks_exact_mut(2), a[head..].chunks_exact(2));
            for (d, v) in (&mut pairs).zip(&mut from) {
                // SAFETY: SSE2 is part of the target; `d` has 16 bytes at an address that is a multiple of 16.
                unsafe { _mm_stream_pd(d.as_mut_ptr(), _mm_loadu_pd(v.as_ptr())) };
            }
            pairs.into_remainder().copy_from_slice(from.remainder());
        }
        #[cfg(not(target_arch = "x86_64"))]
        dst.copy_from_slice(a);
    }
}

impl Drop for Past {
    fn drop(&mut self) {
        // SAFETY: SSE is part of the target.
        #[cfg(target_arch = "x86_64")]
        unsafe {
            std::arch::x86_64::_mm_sfence();
        }
    }
}

/// `dst[index[i]] += a[i]`, in order of `i`.
///
/// # Panics
/// If an index is outside `dst` or the lengths of `index` and `a` differ.
pub fn scatter_add(dst: &mut [f64], index: &[i64], a: &[f64]) {
    assert_eq!(index.len(), a.len(), "scatter: lengths differ");
    for (&i, &v) in index.iter().zip(a) {
        dst[i as usize] += v;
    }
}

/// `dst[start + i * stride] += a[i]`, in order of `i`; stride 0 sums the lanes into one element.
///
/// # Panics
/// If a position is outside `dst`.
pub fn scatter_add_strided(dst: &mut [f64], start: usize, stride: isize, a: &[f64]) {
    check(a.len(), start, stride, dst.len());
    if stride == 1 {
        for (d, &v) in dst[start..start + a.len()].iter_mut().zip(a) {
            *d += v;
        }
        return;
    }
    let mut at = start;
    for &v in a {
        dst[at] += v;
        at = at.wrapping_add_signed(stride);
    }
}
