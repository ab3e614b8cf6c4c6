//! Convolution of two real vectors: directly where one is short, by a fast Fourier transform otherwise.
//!
//! Invariant: the same bits for any number of threads (it runs on one); the error of the transform is a few units of
//! rounding of the largest entries, not of each entry.
//!
//! Source: J. Cooley and J. Tukey, Math. Comp. 19, 1965.

use crate::math;

/// Products up to which the sums are taken directly.
const DIRECT: usize = 1 << 15;

/// `c[k] = sum over i + j = k of a[i] b[j]`, of length `a.len() + b.len() - 1`; empty where either is.
pub fn convolve(a: &[f64], b: &[f64]) -> Vec<f64> {
    if a.is_empty() || b.is_empty() {
        return vec![];
    }
    if a.len().min(b.len()) <= 32 || a.len().saturating_mul(b.len()) <= DIRECT {
        return directly(a, b);
    }
    let n = a.len() + b.len() - 1;
    let size = n.next_power_of_two();
    // Both real vectors in one complex transform: z = a + i b, and z² has 2 a*b as its imaginary part.
    // Sizes are balanced first, so that the smaller vector does not drown in the rounding of the larger.
    let (sa, sb) = (unit(a), unit(b));
    let mut re = vec![0.0; size];
    let mut im = vec![0.0; size];
    re.iter_mut().zip(a).for_each(|(r, v)| *r = v * sa);
    im.iter_mut().zip(b).for_each(|(r, v)| *r = v * sb);
    let roots = roots(size);
    transform(&mut re, &mut im, &roots);
    // The transform of a is the even part of that of z, the transform of b the odd part over i.
    let (mut pr, mut pi) = (vec![0.0; size], vec![0.0; size]);
    for k in 0..size {
        let m = (size - k) % size;
        let (ar, ai) = (0.5 * (re[k] + re[m]), 0.5 * (im[k] - im[m]));
        let (br, bi) = (0.5 * (im[k] + im[m]), 0.5 * (re[m] - re[k]));
        // Conjugated, so that a forward transform serves as the inverse.
        pr[k] = ar * br - ai * bi;
        pi[k] = -(ar * bi + ai * br);
    }
    transform(&mut pr, &mut pi, &roots);
    let back = 1.0 / size as f64 / sa / sb;
    pr.truncate(n);
    pr.iter_mut().for_each(|v| *v *= back);
    pr
}

fn directly(a: &[f64], b: &[f64]) -> Vec<f64> {
    let mut c = vec![0.0; a.len() + b.len() - 1];
    let (short, long) = if a.len() <= b.len() { (a, b) } else { (b, a) };
    for (i, x) in short.iter().enumerate() {
        c[i..].iter_mut().zip(long).for_each(|(c, y)| *c += x * y);
    }
    c
}

/// A power of two near one over the largest entry; 1 for zeros and what is not finite.
fn unit(v: &[f64]) -> f64 {
    let largest = crate::reduce::norm_inf(v);
    if largest == 0.0 || !largest.is_finite() {
        return 1.0;
    }
    let exponent = ((largest.to_bits() >> 52) & 0x7ff) as i64 - 1023;
    f64::from_bits(((1023 - exponent.clamp(-1000, 1000)) as u64) << 52)
}

/// Cosines and minus sines of `2 pi k / size` for the first half of a circle.
fn roots(size: usize) -> (Vec<f64>, Vec<f64>) {
    let angle = |k: usize| 2.0 * std::f64::consts::PI * k as f64 / size as f64;
    (0..size / 2)
        .map(|k| (math::cos(angle(k)), -math::sin(angle(k))))
        .unzip()
}

/// The discrete Fourier transform in place; the length is a power of two.
fn transform(re: &mut [f64], im: &mut [f64], (cos, sin): &(Vec<f64>, Vec<f64>)) {
    let n = re.len();
    if n < 2 {
        return;
    }
    let bits = n.trailing_zeros();
    for i in 0..n {
        let j = i.reverse_bits() >> (usize::BITS - bits);
        if i < j {
            re.swap(i, j);
            im.swap(i, j);
        }
    }
    let mut half = 1;
    while half < n {
        let stride = n / (2 * half);
        for block in (0..n).step_by(2 * half) {
            for k in 0..half {
                let (c, s) = (cos[k * stride], sin[k * stride]);
                let (p, q) = (block + k, block + k + half);
                let (tr, ti) = (c * re[q] - s * im[q], c * im[q] + s * re[q]);
                (re[q], im[q]) = (re[p] - tr, im[p] - ti);
                (re[p], im[p]) = (re[p] + tr, im[p] + ti);
            }
        }
        half *= 2;
    }
}
