//! What the library's optimizers keep: closed forms, invariances, games that one method must win and another must lose.
//!
//! Invariant: every number here follows from the method's specification, not from a run of ours.

#![allow(clippy::unwrap_used, reason = "tests")]

use std::sync::Arc;

use ravine::base::value::IndexSet;
use ravine::lang::lower::PointBlock;
use ravine::solve::run::Options;
use ravine::solve::{Bounds, Class, Counts, Fault, Method, Needs, Oracle, Point, Run};
use ravine_linalg::Csr;

use super::harness::{root, session};

/// Value and gradient by step, point and terms.
type Formula = Box<dyn Fn(u64, &[f64], Option<&[f64]>, &mut [f64]) -> f64>;

/// A problem given by a formula.
struct Given {
    n: usize,
    terms: usize,
    formula: Formula,
    bounds: Option<Arc<Bounds>>,
    counts: Counts,
    /// All terms that were asked for.
    asked: Vec<usize>,
}

impl Given {
    fn new(n: usize, formula: impl Fn(u64, &[f64], Option<&[f64]>, &mut [f64]) -> f64 + 'static) -> Given {
        Given {
            n,
            terms: 0,
            formula: Box::new(formula),
            bounds: None,
            counts: Counts::default(),
            asked: vec![],
        }
    }
}

impl Oracle for Given {
    fn dim(&self) -> usize {
        self.n
    }
    fn class(&self) -> Class {
        Class::Smooth
    }
    fn offers(&self) -> Needs {
        Needs::FIRST_ORDER
    }
    fn bounds(&self) -> Option<Arc<Bounds>> {
        self.bounds.clone()
    }
    fn known_lower_bound(&self) -> Option<f64> {
        Some(0.0)
    }
    fn value(&mut self, x: &[f64]) -> Result<f64, Fault> {
        self.counts.values += 1;
        let mut g = vec![0.0; self.n];
        Ok((self.formula)(self.counts.gradients + 1, x, None, &mut g))
    }
    fn gradient(&mut self, x: &[f64], g: &mut [f64]) -> Result<(), Fault> {
        self.counts.gradients += 1;
        (self.formula)(self.counts.gradients, x, None, g);
        Ok(())
    }
    fn value_gradient(&mut self, x: &[f64], g: &mut [f64]) -> Result<f64, Fault> {
        self.counts.values += 1;
        self.counts.gradients += 1;
        Ok((self.formula)(self.counts.gradients, x, None, g))
    }
    fn hvp(&mut self, _: &[f64], _: &[f64], _: &mut [f64]) -> Result<(), Fault> {
        Err(Fault::NotOffered("products".into()))
    }
    fn hessian(&mut self, _: &[f64], _: &mut Csr) -> Result<(), Fault> {
        Err(Fault::NotOffered("Hessian".into()))
    }
    fn terms(&self) -> Option<usize> {
        (self.terms > 0).then_some(self.terms)
    }
    fn value_gradient_on(&mut self, x: &[f64], terms: &[f64], g: &mut [f64]) -> Result<f64, Fault> {
        self.counts.batches += 1;
        self.counts.terms += terms.len() as u64;
        self.asked.extend(terms.iter().map(|t| *t as usize));
        Ok((self.formula)(self.counts.batches, x, Some(terms), g))
    }
    fn counts(&self) -> Counts {
        self.counts
    }
}

/// The points of a run from `start`, the start first.
fn path(text: &str, p: &mut Given, start: &[f64], steps: usize) -> Vec<Vec<f64>> {
    path_of("", text, p, start, steps)
}

fn path_of(definitions: &str, text: &str, p: &mut Given, start: &[f64], steps: usize) -> Vec<Vec<f64>> {
    let block = PointBlock {
        name: "x".into(),
        dims: vec![IndexSet::upto(p.n)],
        offset: 0,
        len: p.n,
    };
    let mut s = session(&root());
    if !definitions.is_empty() {
        s.run("definitions", definitions, &mut |_| {});
    }
    let found = s.methods_of(text, &[block]).map_err(|d| format!("{text}: {d:#?}"));
    let method: Arc<dyn Method> = Arc::new(found.unwrap().pop().unwrap());
    let mut run = Run::new(method, p, &Point::plain(start.to_vec()), Options::default()).unwrap();
    let mut out = vec![start.to_vec()];
    for _ in 0..steps {
        let ended = run.advance(p, 1, &|| 0.0).is_some();
        out.push(run.state().x.clone());
        if ended {
            break;
        }
    }
    out
}

/// `Σ c_i x_i²/2`, times `scale`.
fn bowl(c: Vec<f64>, scale: f64) -> Given {
    Given::new(c.len(), move |_, x, _, g| {
        let mut f = 0.0;
        for ((g, x), c) in g.iter_mut().zip(x).zip(&c) {
            *g = scale * c * x;
            f += scale * c * x * x / 2.0;
        }
        f
    })
}

fn close(a: f64, b: f64, tolerance: f64, what: &str) {
    assert!(
        (a - b).abs() <= tolerance * b.abs().max(1.0),
        "{what}: {a:e}, expected {b:e}"
    );
}

#[test]
fn polyak_steps_in_one_dimension() {
    let one = || bowl(vec![3.0], 1.0);
    for (k, x) in path("polyak_gd()", &mut one(), &[1.0], 20).iter().enumerate() {
        close(x[0], 0.5f64.powi(k as i32), 1e-14, "Polyak's step halves");
    }
    for beta in [0.25, 0.5, 0.9] {
        let p = path(&format!("mag(beta: {beta})"), &mut one(), &[1.0], 2);
        close(p[1][0], 0.5, 1e-14, "first step of MAG");
        close(p[2][0], 0.5 - 1.0 / (8.0 * (0.5 + beta)), 1e-14, "second step of MAG");
    }
    let p = path("hb_polyak(beta: 0.5)", &mut one(), &[1.0], 2);
    close(p[1][0], 0.5, 1e-14, "first step of the heavy ball");
    close(p[2][0], 0.25, 1e-14, "second step of the heavy ball");
}

#[test]
fn polyak_variants_without_momentum_are_one() {
    let start = [1.0, -2.0, 0.5];
    let four = || bowl(vec![1.0, 10.0, 100.0], 1.0);
    let plain = path("polyak_gd()", &mut four(), &start, 30);
    for text in ["mag(beta: 0)", "hb_polyak(beta: 0)", "nag_polyak(beta: 0)"] {
        for (a, b) in path(text, &mut four(), &start, 30).iter().zip(&plain) {
            a.iter().zip(b).for_each(|(a, b)| close(*a, *b, 1e-13, text));
        }
    }
}

#[test]
fn mag_comes_nearer_in_every_step_whatever_the_units() {
    let c: Vec<f64> = (0..20).map(|k| 10f64.powf(-f64::from(k) / 5.0)).collect();
    let start = vec![1.0; 20];
    let points = path("mag(beta: 0.9)", &mut bowl(c.clone(), 1.0), &start, 300);
    let lengths: Vec<f64> = points.iter().map(|x| x.iter().map(|v| v * v).sum::<f64>()).collect();
    assert!(lengths.windows(2).all(|w| w[1] <= w[0] * (1.0 + 1e-14)));
    assert!(lengths.last().unwrap() < &(0.9 * lengths[0]));
    // A power of two changes no bit.
    let scaled = path("mag(beta: 0.9)", &mut bowl(c, 1024.0), &start, 300);
    assert_eq!(points, scaled);
}

#[test]
fn adagrad_norm_does_not_see_units() {
    let c = vec![1.0, 0.1, 0.01];
    let start = [1.0, 1.0, 1.0];
    let a = path("adagrad_norm(eta: 2, b0: 0.01)", &mut bowl(c.clone(), 1.0), &start, 200);
    let b = path("adagrad_norm(eta: 2, b0: 40.96)", &mut bowl(c, 4096.0), &start, 200);
    assert_eq!(a, b);
    let moves = |w: &[Vec<f64>]| {
        w[0].iter()
            .zip(&w[1])
            .map(|(a, b)| (a - b) * (a - b))
            .sum::<f64>()
            .sqrt()
    };
    assert!(a.windows(2).all(|w| moves(w) <= 2.0 + 1e-12));
}

#[test]
fn adamnc_without_momentum_is_adagrad() {
    let c = vec![1.0, 10.0, 0.1];
    let start = [1.0, -1.0, 2.0];
    let a = path(
        "adamnc(lr: inverse_sqrt(0.5), beta1: 0)",
        &mut bowl(c.clone(), 1.0),
        &start,
        100,
    );
    let b = path("adagrad(lr: 0.5, eps: 0)", &mut bowl(c, 1.0), &start, 100);
    for (a, b) in a.iter().zip(&b) {
        a.iter().zip(b).for_each(|(a, b)| close(*a, *b, 1e-12, "AdamNC"));
    }
}

/// Regret game: `C x` in every third step, `−x` in the others, over `[−1, 1]`; −1 is best (Reddi, Kale, Kumar 2018).
#[test]
fn adam_must_lose_the_game_that_amsgrad_must_win() {
    for (c, methods) in [
        (3.0, &["adam", "amsgrad", "adamnc"][..]),
        (10.0, &["adam", "amsgrad"][..]),
    ] {
        for m in methods {
            let beta2 = 1.0 / (1.0 + c * c);
            let options = match *m {
                "adamnc" => "beta1: 0".to_string(),
                "adam" => format!("beta1: 0, beta2: {beta2}, eps: 0"),
                _ => format!("beta1: 0, beta2: {beta2}"),
            };
            let text = format!("{m}(lr: inverse_sqrt(0.5), {options}) |> projected()");
            let mut game = Given::new(1, move |t, x, _, g| {
                g[0] = if t % 3 == 1 { c } else { -1.0 };
                g[0] * x[0]
            });
            game.bounds = Some(Arc::new(Bounds {
                lower: vec![-1.0],
                upper: vec![1.0],
                units: vec![],
            }));
            let points = path(&text, &mut game, &[1.0], 30_000);
            let played = |k: usize| if k.is_multiple_of(3) { c } else { -1.0 };
            let regret: f64 = (0..30_000).map(|k| played(k) * (points[k][0] + 1.0)).sum::<f64>() / 30_000.0;
            let late = points[27_000..].iter().map(|x| x[0]).sum::<f64>() / (points.len() - 27_000) as f64;
            if *m == "adam" {
                close(regret, 2.0 * (c - 2.0) / 3.0, 0.01, "average regret of Adam");
                assert!(late > 0.99, "C = {c}: Adam ends at {late}");
            } else {
                assert!(late < -0.99, "C = {c}: {m} ends at {late}");
                assert!(regret < 0.02, "C = {c}: average regret of {m} is {regret}");
            }
        }
    }
}

/// `mean_i (a_i·x − b_i)²/2`, `b_i` such that all terms, or all but one half each way, are fitted at `x = 1`.
fn regression(spread: f64) -> (Given, usize) {
    let (n, d) = (30usize, 3usize);
    let row = move |i: usize, j: usize| ((1.3 * (i + 1) as f64) * (j + 1) as f64).sin();
    let mut p = Given::new(d, move |_, x, terms, g| {
        let all: Vec<f64> = (0..n).map(|i| i as f64).collect();
        let terms = terms.unwrap_or(&all);
        g.fill(0.0);
        let mut f = 0.0;
        for t in terms {
            let i = *t as usize;
            let r = (0..d).map(|j| row(i, j) * (x[j] - 1.0)).sum::<f64>() - spread * ((i * i) as f64).cos();
            f += r * r / 2.0;
            (0..d).for_each(|j| g[j] += r * row(i, j));
        }
        g.iter_mut().for_each(|g| *g /= terms.len() as f64);
        f / terms.len() as f64
    });
    p.terms = n;
    (p, n)
}

#[test]
fn variance_reduction_converges_at_a_linear_rate_where_sgd_stalls() {
    let best = path("nesterov(lr: 0.4, beta: 0.5)", &mut regression(0.5).0, &[0.0; 3], 2000)
        .pop()
        .unwrap();
    let from = |text: &str, steps: usize| {
        let end = path(text, &mut regression(0.5).0, &[0.0; 3], steps).pop().unwrap();
        end.iter().zip(&best).map(|(a, b)| (a - b).abs()).fold(0.0, f64::max)
    };
    for text in ["svrg(lr: 0.1, every: 60)", "saga(lr: 0.15)"] {
        let (a, b) = (from(text, 100), from(text, 3000));
        assert!(b < 1e-5 && b < 1e-2 * a, "{text}: {a:e}, then {b:e}");
    }
    assert!(from("sgd(lr: 0.1)", 3000) > 1e-4, "with a constant step SGD stalls");
    // At the solution nothing moves, and a snapshot in every step is gradient descent.
    for text in ["svrg(lr: 0.1, every: 60)", "saga(lr: 0.15)"] {
        let end = path(text, &mut regression(0.5).0, &best, 200).pop().unwrap();
        end.iter().zip(&best).for_each(|(a, b)| close(*a, *b, 1e-12, text));
    }
    let a = path("svrg(lr: 0.1, every: 1)", &mut regression(0.5).0, &[0.0; 3], 50);
    let b = path("gd(lr: 0.1)", &mut regression(0.5).0, &[0.0; 3], 50);
    for (a, b) in a.iter().zip(&b) {
        a.iter()
            .zip(b)
            .for_each(|(a, b)| close(*a, *b, 1e-13, "SVRG with a snapshot in every step"));
    }
}

#[test]
fn evaluations_are_counted_as_made() {
    let counted = |text: &str, steps: usize| {
        let (mut p, n) = regression(0.0);
        path(text, &mut p, &[0.0; 3], steps);
        (p.counts, n as u64)
    };
    let (c, _) = counted("sps(batch: 5)", 10);
    assert_eq!(
        (c.batches, c.terms, c.gradients, c.values),
        (10, 50, 0, 0),
        "value and gradient in one"
    );
    let (c, _) = counted("svrg(lr: 0.1, every: 20, batch: 2)", 40);
    assert_eq!((c.batches, c.terms, c.gradients), (80, 160, 2));
    let (c, n) = counted("saga(lr: 0.1)", 25);
    assert_eq!((c.batches, c.terms), (n + 25, n + 25));
    let (c, _) = counted("polyak_gd()", 10);
    assert_eq!((c.values, c.gradients), (10, 10));
}

#[test]
fn without_replacement_every_term_comes_once_in_a_pass() {
    let own = "optimizer shuffled(lr: Real, k: Int) {\n  step t {\n    for j in 1..2 {\n      x <- x - lr*grad(x, sample(k, replace: false))\n    }\n  }\n}";
    let (mut p, n) = regression(0.0);
    // Four terms in each of two turns: a batch reaches over the end of a pass.
    path_of(own, "shuffled(lr: 0.01, k: 4)", &mut p, &[0.0; 3], 15);
    assert_eq!(p.asked.len(), 4 * n);
    let passes: Vec<Vec<usize>> = p.asked.chunks(n).map(<[usize]>::to_vec).collect();
    for pass in &passes {
        let mut sorted = pass.clone();
        sorted.sort_unstable();
        assert_eq!(sorted, (0..n).collect::<Vec<_>>());
    }
    assert!(passes.windows(2).all(|w| w[0] != w[1]), "a new order for every pass");
}

#[test]
fn warm_restarts_come_when_they_should() {
    // f(x) = −x: the moves are the schedule.
    let mut line = Given::new(1, |_, x, _, g| {
        g[0] = -1.0;
        -x[0]
    });
    let points = path("gd(lr: sgdr(0.05, period: 10, factor: 2))", &mut line, &[0.0], 160);
    let lr: Vec<f64> = points.windows(2).map(|w| w[1][0] - w[0][0]).collect();
    for restart in [0, 10, 30, 70, 150] {
        close(lr[restart], 0.05, 1e-12, "the rate at a restart");
    }
    for (begin, length) in [(0, 10), (10, 20), (30, 40), (70, 80)] {
        close(lr[begin + length / 2], 0.025, 1e-12, "the rate half way");
        assert!(lr[begin + length - 1] < 0.05 * 0.03);
    }
}

#[test]
fn utility_gates_as_by_hand() {
    let mut p = Given::new(2, |_, x, _, g| {
        g.copy_from_slice(&[-2.0, -1.0]);
        -2.0 * x[0] - x[1]
    });
    let x = path("upgd(lr: 1, beta: 0, sigma: 0)", &mut p, &[1.0, 1.0], 1)
        .pop()
        .unwrap();
    let gate = |u: f64| 1.0 - 1.0 / (1.0 + (-u).exp());
    close(x[0], 1.0 + 2.0 * gate(1.0), 1e-14, "the first weight");
    close(x[1], 1.0 + gate(0.5), 1e-14, "the second weight");
    let mut flat = Given::new(2, |_, _, _, g| {
        g.fill(0.0);
        0.0
    });
    let still = path("upgd(lr: 1, sigma: 0)", &mut flat, &[1.0, -3.0], 5);
    assert!(still.iter().all(|x| x == &[1.0, -3.0]));
}

/// The slack is never negative, and a heavy one changes nothing.
#[test]
fn slack_of_polyak_steps() {
    let free = path("sps_slack(batch: 3)", &mut regression(0.0).0, &[0.0; 3], 50);
    let heavy = path(
        "sps_slack(batch: 3, slack1: 1e9)",
        &mut regression(0.0).0,
        &[0.0; 3],
        50,
    );
    let sps = path("sps(batch: 3)", &mut regression(0.0).0, &[0.0; 3], 50);
    // Few steps: PSPS stops where the gradient has all but vanished, SPS goes on.
    for ((a, b), c) in free.iter().zip(&heavy).zip(&sps).take(9) {
        for ((a, b), c) in a.iter().zip(b).zip(c) {
            close(*a, *b, 1e-5, "a heavy slack");
            close(*a, *c, 1e-12, "no slack is SPS");
        }
    }
}

/// Every experiment of `examples/methods`, whose own `assert`s say what has to come out, shows what its `.out` file says:
/// `cargo test --release -p ravine --test suite -- --ignored experiments`.
#[test]
#[ignore = "slow: run by name"]
fn experiments() {
    use super::programs::{EXPERIMENTS, all};
    assert!(all(EXPERIMENTS, "") >= 10, "an experiment is missing");
}
