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
