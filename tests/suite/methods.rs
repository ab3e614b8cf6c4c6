//! Methods: conformance of every card, standard problems to the promised accuracy, claims where there is no such promise.
//!
//! Invariant: expected values come from closed forms or published minima; random numbers are the same on every run.

mod conformance;
mod edges;
mod forms;
mod standard;

use std::sync::Arc;

use ravine::solve::run::Options;
use ravine::solve::{Finished, Method, Oracle, Point, Run, methods};

use super::problems::{Fun, Jet};

fn no_clock() -> f64 {
    0.0
}

fn options(tolerance: f64, steps: u64) -> Options {
    let mut options = Options {
        tolerance,
        ..Options::default()
    };
    options.budget.steps = Some(steps);
    options
}

/// Uniform numbers in −1 … 1, the same on every run.
struct Draws(u64);

impl Draws {
    fn next(&mut self) -> f64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        ((z ^ (z >> 31)) >> 11) as f64 / (1u64 << 52) as f64 - 1.0
    }
    fn vector(&mut self, n: usize) -> Vec<f64> {
        (0..n).map(|_| self.next()).collect()
    }
}

fn solve(method: &str, problem: &mut dyn Oracle, x0: Vec<f64>) -> Finished {
    solve_to(method, problem, x0, 1e-8, 20_000)
}

fn solve_to(method: &str, problem: &mut dyn Oracle, x0: Vec<f64>, tolerance: f64, steps: u64) -> Finished {
    let method: Arc<dyn Method> = methods::default(methods::find(method).expect("method"));
    Run::new(method, problem, &Point::plain(x0), options(tolerance, steps))
        .expect("starts")
        .finish(problem, &no_clock)
}

fn rosenbrock() -> Fun {
    Fun::new(2, |x| {
        let a = &x[1] - &x[0].powi(2);
        let b = &(-&x[0]) + 1.0;
        &(100.0 * &a.powi(2)) + &b.powi(2)
    })
}

/// `½ (x − c)ᵀ Q (x − c)` with eigenvalues from 1 down to 1/κ in random directions.
fn quadratic(n: usize, kappa: f64, seed: u64) -> (Fun, Vec<f64>) {
    let mut draws = Draws(seed);
    let raw = nalgebra::DMatrix::from_vec(n, n, draws.vector(n * n));
    let q = raw.qr().q();
    let d = nalgebra::DVector::from_fn(n, |i, _| kappa.powf(-(i as f64) / (n as f64 - 1.0)));
    let m = &q * nalgebra::DMatrix::from_diagonal(&d) * q.transpose();
    let m = 0.5 * (&m + m.transpose());
    let c = draws.vector(n);
    let centre = c.clone();
    let f = Fun::new(n, move |x: &[Jet]| {
        let e: Vec<Jet> = x.iter().zip(&c).map(|(x, c)| x + (-c)).collect();
        let mut sum = Jet::constant(x[0].g.len(), 0.0);
        for i in 0..n {
            for j in 0..=i {
                let w = if i == j { 0.5 * m[(i, i)] } else { m[(i, j)] };
                sum = &sum + &(w * &(&e[i] * &e[j]));
            }
        }
        sum
    });
    (f.convex(), centre)
}
