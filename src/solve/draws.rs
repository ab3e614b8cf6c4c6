//! Random draws by key: the same numbers whatever was drawn before, so that resuming needs no generator.
//!
//! Invariant: a number is a function of (seed, purpose, step, draw, entry) alone. Mixing: the finalizer of SplitMix64
//! (Steele, Lea, Flood 2014), applied after each part of the key.

use crate::ir::script::Law;

use super::method::Seed;

/// What draws are for: draws of one purpose change no draw of another.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Purpose {
    /// Steps of an optimizer.
    Step = 1,
    /// The values before the first step.
    Init = 2,
    /// Starts of `multistart` and `from random`.
    Start = 3,
    /// Seeds of copies of a pipeline.
    Copy = 4,
    /// Orders that mini-batches without replacement go through.
    Shuffle = 5,
}

/// The `k`-th random start, by flat coordinate: uniform between two finite bounds, else normal around `center` with the
/// deviation `unit`, mirrored at the bound there is.
pub fn start(seed: Seed, k: u64, (lower, upper): (&[f64], &[f64]), center: &[f64], unit: &[f64]) -> Vec<f64> {
    let key = Key::new(seed, Purpose::Start, k, 0);
    let one = |i: usize| {
        let (l, u) = (lower[i], upper[i]);
        if l.is_finite() && u.is_finite() {
            return l + (u - l) * key.uniform(i as u64);
        }
        let v = center[i] + unit[i] * key.normal(i as u64);
        match (v < l, v > u) {
            (true, _) => l + (l - v),
            (_, true) => u - (v - u),
            _ => v,
        }
    };
    (0..center.len()).map(one).collect()
}

/// The draws of one place in one step.
#[derive(Clone, Copy, Debug)]
pub struct Key(u64);

fn mix(mut z: u64) -> u64 {
    z = z.wrapping_add(0x9e37_79b9_7f4a_7c15);
    z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    z ^ (z >> 31)
}

impl Key {
    /// The key of one place.
    pub fn new(seed: Seed, purpose: Purpose, step: u64, draw: u64) -> Key {
        let parts = [purpose as u64, step, draw];
        Key(parts.into_iter().fold(mix(seed.0), |k, p| mix(k ^ mix(p))))
    }
    fn bits(self, entry: u64) -> u64 {
        mix(self.0 ^ mix(entry))
    }
    /// Any 64 bits.
    pub fn number(self) -> u64 {
        self.bits(0)
    }
    /// Strictly between 0 and 1.
    pub fn uniform(self, entry: u64) -> f64 {
        ((self.bits(entry) >> 12) as f64 + 0.5) / (1u64 << 52) as f64
    }
    /// Standard normal (Box and Muller 1958).
    pub fn normal(self, entry: u64) -> f64 {
        let (a, b) = (self.uniform(2 * entry), self.uniform(2 * entry + 1));
        let r = (-2.0 * ravine_linalg::math::log(a)).sqrt();
        r * ravine_linalg::math::cos(2.0 * std::f64::consts::PI * b)
    }
    /// An integer below `n`.
    pub fn below(self, entry: u64, n: u64) -> u64 {
        // Multiply and shift: the bias is below n / 2^64.
        ((u128::from(self.bits(entry)) * u128::from(n)) >> 64) as u64
    }
    /// Fills an array; `terms` is the number of terms that batches are drawn from.
    pub fn fill(self, law: Law, terms: usize, out: &mut [f64]) {
        match law {
            Law::Normal => out.iter_mut().zip(0..).for_each(|(v, k)| *v = self.normal(k)),
            Law::Uniform => out.iter_mut().zip(0..).for_each(|(v, k)| *v = self.uniform(k)),
            Law::Rademacher => {
                for (v, k) in out.iter_mut().zip(0..) {
                    *v = if self.bits(k) >> 63 == 0 { 1.0 } else { -1.0 };
                }
            }
            Law::Batch | Law::Shuffled => {
                for (v, k) in out.iter_mut().zip(0..) {
                    *v = self.below(k, terms.max(1) as u64) as f64;
                }
            }
            Law::Permutation => {
                for (v, k) in out.iter_mut().zip(1..) {
                    *v = f64::from(k);
                }
                for k in (1..out.len()).rev() {
                    let j = self.below(k as u64, k as u64 + 1) as usize;
                    out.swap(k, j);
                }
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn moments_and_keys() {
        let k = Key::new(Seed(7), Purpose::Step, 3, 0);
        let mut v = vec![0.0; 20_000];
        k.fill(Law::Normal, 0, &mut v);
        let mean = v.iter().sum::<f64>() / 2e4;
        let var = v.iter().map(|x| x * x).sum::<f64>() / 2e4;
        let kurt = v.iter().map(|x| x.powi(4)).sum::<f64>() / 2e4;
        assert!(mean.abs() < 0.03 && (var - 1.0).abs() < 0.04 && (kurt - 3.0).abs() < 0.25);
        k.fill(Law::Uniform, 0, &mut v);
        assert!(v.iter().all(|u| *u > 0.0 && *u < 1.0));
        let mut p = vec![0.0; 10];
        k.fill(Law::Permutation, 0, &mut p);
        let mut sorted = p.clone();
        sorted.sort_by(f64::total_cmp);
        assert_eq!(sorted, (1..=10).map(f64::from).collect::<Vec<_>>());
        k.fill(Law::Batch, 4, &mut v);
        for j in 0..4 {
            let share = v.iter().filter(|x| **x == f64::from(j)).count();
            assert!((4700..5300).contains(&share), "{share}");
        }
        let other = Key::new(Seed(7), Purpose::Step, 4, 0);
        assert_ne!(k.uniform(0), other.uniform(0));
        assert_eq!(k.uniform(5), Key::new(Seed(7), Purpose::Step, 3, 0).uniform(5));
    }
}
