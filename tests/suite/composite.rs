//! Smooth plus simple: proximal points against their definition, the split, its methods against the conic form.

use super::harness::{last_solve, root, run, session};
use ravine::atoms::prox;
use ravine::forms::simple::{Block, Piece, Simple};

/// Numbers in `-1..1` from a counter.
struct Draws(u64);

impl Draws {
    fn next(&mut self) -> f64 {
        self.0 = self
            .0
            .wrapping_mul(6_364_136_223_846_793_005)
            .wrapping_add(1_442_695_040_888_963_407);
        (self.0 >> 11) as f64 / (1u64 << 52) as f64 - 1.0
    }
    fn vector(&mut self, n: usize, size: f64) -> Vec<f64> {
        (0..n).map(|_| size * self.next()).collect()
    }
}

/// `u` minimizes `t·f + |· - v|²/2` over a convex set if and only if every point `y` of the set is worse by at least
/// `|y - u|²/2`; `nearest` puts a point into the set.
fn is_prox(
    u: &[f64],
    v: &[f64],
    t: f64,
    f: &dyn Fn(&[f64]) -> f64,
    nearest: &dyn Fn(&mut [f64]),
    d: &mut Draws,
) -> f64 {
    let square = |a: &[f64], b: &[f64]| a.iter().zip(b).map(|(a, b)| (a - b) * (a - b)).sum::<f64>();
    let at = |y: &[f64]| t * f(y) + square(y, v) / 2.0;
    let mut worst = 0.0f64;
    for k in 0..200 {
        let size = 10f64.powi(-(k % 7));
        let mut y: Vec<f64> = u.iter().zip(d.vector(u.len(), size)).map(|(u, e)| u + e).collect();
        nearest(&mut y);
        worst = worst.max(at(u) + square(&y, u) / 2.0 - at(&y));
    }
    worst
}

fn norm(x: &[f64]) -> f64 {
    x.iter().map(|x| x * x).sum::<f64>().sqrt()
}
fn norm1(x: &[f64]) -> f64 {
    x.iter().map(|x| x.abs()).sum()
}
fn norm_inf(x: &[f64]) -> f64 {
    x.iter().fold(0.0f64, |m, x| m.max(x.abs()))
}
fn largest(x: &[f64]) -> f64 {
    x.iter().fold(f64::NEG_INFINITY, |m, x| m.max(*x))
}
fn variation(x: &[f64]) -> f64 {
    x.windows(2).map(|p| (p[1] - p[0]).abs()).sum()
}

type Prox = fn(&mut [f64], f64);
type Value = fn(&[f64]) -> f64;

#[test]
fn proximal_points_are_what_they_say() {
    let rows: &[(&str, Prox, Value)] = &[
        ("norm1", prox::norm1, norm1),
        ("norm", prox::norm2, norm),
        ("norminf", prox::norm_inf, norm_inf),
        ("max", prox::max, largest),
        ("sum of squares", prox::sum_squares, |x| x.iter().map(|x| x * x).sum()),
        ("total variation", prox::total_variation, variation),
    ];
    let mut d = Draws(1);
    for (name, p, f) in rows {
        for n in [1, 2, 3, 8, 40] {
            for t in [1e-3, 0.3, 2.0, 50.0] {
                let v = d.vector(n, 3.0);
                let mut u = v.clone();
                p(&mut u, t);
                let worst = is_prox(&u, &v, t, f, &|_| {}, &mut d);
                assert!(worst <= 1e-11 * (1.0 + t), "{name}, n = {n}, t = {t}: {worst:e}");
            }
        }
    }
}

#[test]
fn projections_are_the_nearest_points() {
    let rows: &[(&str, Prox, fn(&[f64], f64) -> bool)] = &[
        ("simplex", prox::simplex, |x, s| {
            x.iter().all(|v| *v >= 0.0) && (x.iter().sum::<f64>() - s).abs() < 1e-12 * (1.0 + s)
        }),
        ("capped simplex", prox::capped_simplex, |x, s| {
            x.iter().all(|v| *v >= 0.0) && x.iter().sum::<f64>() <= s * (1.0 + 1e-12)
        }),
        ("ball", prox::ball, |x, r| norm(x) <= r * (1.0 + 1e-12)),
        ("l1 ball", prox::ball1, |x, r| norm1(x) <= r * (1.0 + 1e-12)),
    ];
    let mut d = Draws(2);
    for (name, p, inside) in rows {
        for n in [1, 2, 5, 30] {
            for r in [0.1, 1.0, 20.0] {
                let v = d.vector(n, 2.0);
                let mut u = v.clone();
                p(&mut u, r);
                assert!(inside(&u, r), "{name}: {u:?} is outside");
                // Points of the set are projections of others.
                let worst = is_prox(&u, &v, 1.0, &|_| 0.0, &|y| p(y, r), &mut d);
                assert!(worst <= 1e-11, "{name}, n = {n}, r = {r}: {worst:e}");
            }
        }
    }
}

/// Moreau: a point is the sum of the proximal point of a norm and the projection onto the ball of its dual.
#[test]
fn norms_and_their_dual_balls_add_up() {
    let clip: Prox = |x, r| x.iter_mut().for_each(|v| *v = v.clamp(-r, r));
    let pairs: &[(&str, Prox, Prox)] = &[
        ("norm", prox::norm2, prox::ball),
        ("norm1", prox::norm1, clip),
        ("norminf", prox::norm_inf, prox::ball1),
        ("max", prox::max, prox::simplex),
    ];
    let mut d = Draws(3);
    for (name, p, q) in pairs {
        for n in [1, 4, 25] {
            for t in [0.2, 1.0, 7.0] {
                let v = d.vector(n, 3.0);
                let (mut a, mut b) = (v.clone(), v.clone());
                p(&mut a, t);
                q(&mut b, t);
                for k in 0..n {
                    assert!(
                        (a[k] + b[k] - v[k]).abs() <= 1e-13 * (1.0 + t),
                        "{name}, t = {t}, entry {k}"
                    );
                }
            }
        }
    }
}

#[test]
fn total_variation_fuses_and_keeps_the_mean() {
    // Two plateaus: each moves by t over its length, until they meet.
    let mut x = vec![0.0, 0.0, 0.0, 0.0, 10.0, 10.0];
    prox::total_variation(&mut x, 2.0);
    assert_eq!(x, [0.5, 0.5, 0.5, 0.5, 9.0, 9.0]);
    // A large mean costs no digits.
    let mut x: Vec<f64> = vec![1e8, 1e8 + 4.0, 1e8 - 2.0];
    prox::total_variation(&mut x, 100.0);
    x.iter()
        .for_each(|v| assert!((v - (1e8 + 2.0 / 3.0)).abs() < 1e-7, "{v}"));
}

/// Combinations that the split admits: entries first, then the block.
#[test]
fn combined_proximal_points_are_exact() {
    let all = |n: usize| (0..n).collect::<Vec<_>>();
    let inf = f64::INFINITY;
    let mut d = Draws(4);
    for n in [1usize, 3, 12] {
        let make = |l1: f64, lower: f64, upper: f64, piece: Option<Piece>| Simple {
            l1: vec![l1; n],
            lower: vec![lower; n],
            upper: vec![upper; n],
            entries: vec![],
            blocks: piece.map(|piece| Block { at: all(n), piece }).into_iter().collect(),
        };
        for s in [
            make(0.3, -0.5, 1.0, None),
            make(0.3, 0.0, inf, None),
            make(0.2, -inf, inf, Some(Piece::Norm(0.4))),
            make(0.2, 0.0, inf, Some(Piece::Norm(0.4))),
            make(0.0, 0.0, inf, Some(Piece::Ball(1.2))),
            make(0.2, -inf, inf, Some(Piece::Ball(0.7))),
            make(0.0, -inf, inf, Some(Piece::Variation(0.4, 0.3))),
            make(0.0, -inf, inf, Some(Piece::NormInf(0.8))),
        ] {
            for t in [0.1, 1.0, 4.0] {
                let v = d.vector(n, 2.5);
                let mut u = v.clone();
                s.prox(&mut u, t);
                let worst = is_prox(&u, &v, t, &|x| s.value(x), &|y| s.project(y), &mut d);
                assert!(worst <= 1e-11, "{s:?}, t = {t}: {worst:e}");
            }
        }
    }
}

/// The bound of the gap holds everywhere, and closes at the minimum.
#[test]
fn the_gap_is_an_upper_bound() {
    let mut d = Draws(5);
    let (m, n) = (12, 6);
    let a: Vec<Vec<f64>> = (0..m).map(|_| d.vector(n, 1.0)).collect();
    let b = d.vector(m, 2.0);
    let residual = |x: &[f64]| -> Vec<f64> {
        a.iter()
            .zip(&b)
            .map(|(r, b)| r.iter().zip(x).map(|(a, x)| a * x).sum::<f64>() - b)
            .collect()
    };
    let gradient = |x: &[f64]| -> Vec<f64> {
        let r = residual(x);
        (0..n)
            .map(|j| a.iter().zip(&r).map(|(row, r)| row[j] * r).sum())
            .collect()
    };
    let inf = f64::INFINITY;
    let block = |piece: Piece, l1: f64| Simple {
        l1: vec![l1; n],
        lower: vec![-inf; n],
        upper: vec![inf; n],
        entries: vec![],
        blocks: vec![
            Block {
                at: vec![0, 2, 4],
                piece,
            },
            Block {
                at: vec![1, 3, 5],
                piece,
            },
        ],
    };
    let bounds = |l: f64, u: f64, w: f64| Simple {
        l1: vec![w; n],
        ..Simple::bounds(vec![l; n], vec![u; n])
    };
    for s in [
        bounds(-inf, inf, 0.5),
        bounds(0.0, inf, 0.3),
        bounds(-0.2, 0.4, 0.0),
        block(Piece::Norm(0.6), 0.0),
        block(Piece::Norm(0.6), 0.2),
        block(Piece::NormInf(0.9), 0.0),
        block(Piece::Simplex(1.0), 0.0),
        block(Piece::Ball(0.5), 0.0),
        block(Piece::Ball1(0.5), 0.0),
    ] {
        let s = match s.blocks.first().map(|b| b.piece) {
            Some(Piece::Simplex(_)) => Simple {
                lower: vec![-inf; n],
                ..s
            },
            _ => s,
        };
        let whole = |x: &[f64]| residual(x).iter().map(|r| r * r / 2.0).sum::<f64>() + s.value(x);
        let mut best = vec![0.0; n];
        s.project(&mut best);
        for _ in 0..20_000 {
            let g = gradient(&best);
            best.iter_mut().zip(&g).for_each(|(x, g)| *x -= g / 20.0);
            s.prox(&mut best, 1.0 / 20.0);
        }
        let least = whole(&best);
        let at_best = s.gap(&best, &gradient(&best), Some(least)).unwrap_or(f64::NAN);
        assert!(at_best <= 1e-9, "{s:?}: {at_best:e} at the minimum");
        for _ in 0..50 {
            let mut x = d.vector(n, 1.0);
            s.project(&mut x);
            let gap = s.gap(&x, &gradient(&x), Some(whole(&x))).unwrap_or(f64::NAN);
            assert!(
                gap >= whole(&x) - least - 1e-9,
                "{s:?}: {gap} below {}",
                whole(&x) - least
            );
        }
    }
}

const DATA: &str = "param A: Matrix[m, n] = [1, 2, 0.5; 3, 4, 1; 1, 0, 2; 0.2, 1, 1]
param b: Vector[m] = [1, 2, 3, 4]
param mu: Real >= 0 = 0.1
param c: Vector[3] >= 0 = [1, 2, 3]
param t: Vector[6] = [1, 1.2, 0.9, 3, 3.1, 2.9]
";

/// A problem, and the methods that must agree with the conic form on it.
const PROBLEMS: &[(&str, &[&str])] = &[
    (
        "var x: Vector[3]\nminimize 1/2*sumsq(A*x - b) + mu*norm1(x)",
        &[
            "coordinate_descent()",
            "prox_newton()",
            "apg()",
            "fista()",
            "gd(0.03) |> proximal()",
            "proximal_gradient(0.03)",
        ],
    ),
    (
        "var x: Vector[3]\nmaximize 0 - 1/2*sumsq(A*x - b) - mu*norm1(x)",
        &["coordinate_descent()", "prox_newton()", "apg()", "fista()"],
    ),
    (
        "var x: Vector[3]\nminimize mean(i in 1..m) softplus(-b[i]*dot(A[i, :], x)) + mu*sum(j in 1..3) c[j]*abs(x[j])",
        &["prox_newton()", "apg()", "fista()"],
    ),
    (
        "var x: Vector[3]\nvar free: Real\nminimize sumsq(A*x + free - b) + mu*norm1(x) + 0.3*sumsq(x)",
        &["coordinate_descent()", "prox_newton()", "apg()", "fista()"],
    ),
    (
        "var x: Vector[6]\nminimize 1/2*sumsq(x - t) + mu*norm1(x[2..6] - x[1..5]) + 0.05*norm1(x)",
        &["apg()", "fista()"],
    ),
    (
        "var x: Vector[6]\nminimize 1/2*sumsq(x - t) + mu*sum(i in 2..6) abs(x[i] - x[i-1])",
        &["apg()", "fista()"],
    ),
    (
        "var X: Matrix[3, 2]\nminimize sumsq(A*X - 1) + mu*sum(k in 1..2) norm(X[:, k])",
        &["coordinate_descent()", "apg()", "fista()"],
    ),
    (
        "var X: Matrix[3, 2]\nminimize sumsq(A*X - 1) + sum(k in 1..2) c[k]*norm([j in 1..3] X[j, k]) + 0.05*norm1(X)",
        &["coordinate_descent()", "apg()", "fista()"],
    ),
    (
        "var x: Vector[3]\nminimize sumsq(A*x - b) + mu*norminf(x)",
        &["apg()", "fista()"],
    ),
    (
        "var x: Vector[3] >= 0\nminimize sumsq(A*x - b)",
        &["coordinate_descent()", "prox_newton()", "apg()", "fista()"],
    ),
    (
        "var x: Vector[3] >= 0\nminimize sumsq(A*x - b) + mu*sum(x) + mu*norm1(x)",
        &["coordinate_descent()", "prox_newton()", "apg()", "fista()"],
    ),
    (
        "var x: Vector[3] in [-0.5, 0.8]\nminimize sumsq(A*x - b) + mu*norm1(x)",
        &["coordinate_descent()", "prox_newton()", "apg()", "fista()"],
    ),
    (
        "var x: Vector[3]\nminimize sumsq(A*x - b) + sum(j in 1..3) abs(2*x[j] - c[j])",
        &["apg()", "fista()"],
    ),
    (
        "var x: Vector[3]\nminimize sum(i in 1..m) huber(dot(A[i, :], x) - b[i], 1) + mu*norm1(x)",
        &["prox_newton()", "apg()", "fista()"],
    ),
];

#[test]
fn methods_agree_with_the_conic_form() {
    for (problem, methods) in PROBLEMS {
        let mut s = session(&root());
        let text = format!("{DATA}problem p {{\n{problem}\n}}\nsolve p with clarabel()\n");
        let ran = run(&mut s, "t.opt", &text);
        assert_eq!(ran.exit, 0, "{problem}\n{}", ran.shown);
        let want = last_solve(&s).and_then(|e| e.objective).unwrap();
        for m in *methods {
            let ran = run(&mut s, "m.opt", &format!("solve p cold with {m}\n"));
            let e = last_solve(&s).unwrap();
            // Methods of the language end `stationary`, which exits with 1.
            assert!(ran.exit <= 1, "{problem}\n{m}\n{}", ran.shown);
            let got = e.objective.unwrap();
            assert!(
                (got - want).abs() <= 3e-8 * (1.0 + want.abs()),
                "{problem}\n{m}: {got}, not {want}\n{}",
                ran.shown
            );
            let good = if m.contains("lr")
                || m.contains('|')
                || m.starts_with("fista")
                || m.starts_with("proximal_gradient")
            {
                // Optimal where the gap is within the tolerance, too, by the time that the residual is.
                &["optimal", "stationary"][..]
            } else {
                &["optimal"]
            };
            assert!(good.contains(&e.status.word()), "{problem}\n{m}\n{}", ran.shown);
            let plain = problem.contains(">= 0") && !problem.contains("norm1") && m.starts_with("fista");
            let class = if plain {
                "smooth with bounds"
            } else {
                "smooth plus simple nonsmooth"
            };
            assert_eq!(e.class, class, "{problem}\n{m}");
        }
    }
}

/// Columns that are nearly copies of each other: sweeps alone would need millions of passes.
const CORRELATED: &str = "param eps: Real = 1e-3
let m = 60
let n = 40
let A = [i in 1..m, j in 1..n] (sin(0.37*i) + cos(0.11*i*i) + eps*sin(1.3*i*j + j))
let b = [i in 1..m] (sin(0.37*i) + 0.3*cos(0.11*i*i) + 0.2*sin(2.1*i))
problem lasso {
  var x: Vector[40]
  minimize 1/2*sumsq(A*x - b) + 1e-4*norm1(x)
}
problem net {
  var x: Vector[40]
  minimize 1/2*sumsq(A*x - b) + 1e-4*norm1(x) + 1e-6*sumsq(x)
}
problem nonneg {
  var x: Vector[40] >= 0
  minimize 1/2*sumsq(A*x - b)
}
problem logit {
  var x: Vector[40]
  minimize mean(i in 1..m) softplus(0 - (if b[i] > 0 then 1 else 0 - 1)*dot(A[i, :], x)) + 1e-5*norm1(x)
}
";

#[test]
fn nearly_parallel_columns() {
    let mut s = session(&root());
    assert_eq!(run(&mut s, "t.opt", CORRELATED).exit, 0);
    for (problem, methods) in [
        ("lasso", &["coordinate_descent()", "prox_newton()"] as &[&str]),
        ("net", &["coordinate_descent()", "prox_newton()"]),
        ("nonneg", &["coordinate_descent()", "prox_newton()"]),
        ("logit", &["prox_newton()"]),
    ] {
        let ran = run(
            &mut s,
            "c.opt",
            &format!("solve {problem} cold to 1e-9 with clarabel()\n"),
        );
        let want = last_solve(&s).and_then(|e| e.objective).unwrap();
        for m in methods {
            let own = run(&mut s, "m.opt", &format!("solve {problem} cold with {m}\n"));
            let e = last_solve(&s).unwrap();
            let got = e.objective.unwrap();
            // Proximal Newton forms the Hessian, whose condition is the square: the gap may stop short of the tolerance.
            let squared = m.starts_with("prox") && e.status.word() == "precision limited";
            assert!(squared || e.status.word() == "optimal", "{problem}, {m}\n{}", own.shown);
            let near = if problem == "logit" { 2e-5 } else { 1e-7 };
            assert!(
                got - want <= near * (1.0 + want.abs()) && want - got <= near * (1.0 + want.abs()),
                "{problem}, {m}: {got}, not {want}\n{}{}",
                ran.shown,
                own.shown
            );
            assert!(e.iterations.unwrap() < 300, "{problem}, {m}\n{}", own.shown);
        }
    }
}

/// From some size on the choice is coordinate descent or proximal Newton, and says why; the cones are there on request.
#[test]
fn the_choice_goes_by_size_and_says_why() {
    let mut s = session(&root());
    let text = |n: usize| {
        format!(
            "let n = {n}\nlet A = [i in 1..50, j in 1..n] sin(1.7*i*j + j)\nlet b = [i in 1..50] cos(0.3*i)\nproblem lasso {{\n  var x: Vector[n]\n  minimize 1/2*sumsq(A*x - b) + 2*norm1(x)\n}}\nproblem logit {{\n  var x: Vector[n]\n  minimize mean(i in 1..50) softplus(b[i]*dot(A[i, :], x)) + 0.01*norm1(x)\n}}\n"
        )
    };
    assert_eq!(run(&mut s, "t.opt", &text(12)).exit, 0);
    let mut method = |line: &str| {
        let ran = run(&mut s, "m.opt", line);
        let e = last_solve(&s).unwrap();
        assert_eq!(e.status.word(), "optimal", "{}", ran.shown);
        (e.method.clone(), e.method_why.clone(), e.objective.unwrap())
    };
    // Squares keep their condition at any size; of the others small ones go to cones.
    assert_eq!(method("solve lasso\n").0, "coordinate_descent");
    assert_eq!(method("solve logit\n").0, "clarabel");
    let mut s = session(&root());
    assert_eq!(run(&mut s, "t.opt", &text(150)).exit, 0);
    let mut method = |line: &str| {
        let ran = run(&mut s, "m.opt", line);
        let e = last_solve(&s).unwrap();
        assert_eq!(e.status.word(), "optimal", "{}", ran.shown);
        (e.method.clone(), e.method_why.clone(), e.objective.unwrap())
    };
    for (problem, want) in [("lasso", "coordinate_descent"), ("logit", "prox_newton")] {
        let (name, why, own) = method(&format!("solve {problem}\n"));
        assert_eq!(name, want);
        assert_eq!(why.contains("too large for"), problem == "logit", "{why}");
        let (name, _, cones) = method(&format!("solve {problem} cold with clarabel()\n"));
        assert_eq!(name, "clarabel");
        assert!(
            (own - cones).abs() <= 1e-7 * (1.0 + cones.abs()),
            "{problem}: {own}, {cones}"
        );
    }
}

/// Sets with a closed projection: the same point and the same duals as in cones.
#[test]
fn sets_are_heeded_and_their_duals_agree() {
    let cases: &[(&str, &str)] = &[
        (
            "var x: Vector[3]\nminimize sumsq(A*x - b)\nsubject to\n  k: norm(x) <= 1",
            "k",
        ),
        (
            "var x: Vector[3]\nminimize sumsq(A*x - b)\nsubject to\n  k: 1 >= norm(x)",
            "k",
        ),
        (
            "var x: Vector[3]\nminimize sumsq(A*x - b)\nsubject to\n  k: sumsq(2*x) <= 3",
            "k",
        ),
        (
            "var x: Vector[3]\nminimize sumsq(A*x - b)\nsubject to\n  k: norm1(x) <= 0.8",
            "k",
        ),
        (
            "var x: Vector[3]\nminimize sumsq(A*x - b)\nsubject to\n  k: norminf(x) <= 0.4",
            "k",
        ),
        (
            "var x: Vector[3] >= 0\nminimize sumsq(A*x - b)\nsubject to\n  k: sum(x) == 1",
            "k",
        ),
        (
            "var x: Vector[3] >= 0\nminimize sumsq(A*x - b)\nsubject to\n  k: 1 == sum(x)",
            "k",
        ),
        (
            "var x: Vector[3] >= 0\nmaximize 0 - sumsq(A*x - b)\nsubject to\n  k: sum(x) <= 0.7",
            "k",
        ),
        (
            "var x: Vector[3]\nminimize sumsq(A*x - b)\nsubject to\n  k[j in 1..3]: x[j] <= 0.5",
            "k",
        ),
        (
            "var x: Vector[3]\nminimize sumsq(A*x - b)\nsubject to\n  k[j in 1..3]: 0.2*j <= 2*x[j] <= 1",
            "k",
        ),
        (
            "var x: Vector[3]\nminimize sumsq(A*x - b) + 0.4*norm1(x)\nsubject to\n  k: norm(x) <= 0.7",
            "k",
        ),
        (
            "var X: Matrix[3, 2] >= 0\nminimize sumsq(A*X - 1)\nsubject to\n  k[q in 1..2]: sum(j in 1..3) X[j, q] == 1",
            "k",
        ),
    ];
    for (problem, name) in cases {
        let mut s = session(&root());
        let block = "x".to_string();
        let variable = if problem.contains('X') { "X" } else { &block };
        let text = format!(
            "{DATA}problem p {{\n{problem}\n}}\ne = solve p to 1e-9 with clarabel()\ns = solve p cold with fista()\nassert s.objective == e.objective within 1e-7\nassert norminf(s.{variable} - e.{variable}) <= 1e-5\nprint max(abs(s.dual({name}) - e.dual({name}))) <= 1e-5*(1 + max(abs(e.dual({name}))))\nprint max(abs(e.dual({name}))) > 1e-3\n"
        );
        let ran = run(&mut s, "t.opt", &text);
        assert!(ran.exit <= 1, "{problem}\n{}", ran.shown);
        assert!(!ran.shown.contains("false"), "{problem}\n{}", ran.shown);
    }
}

/// What is not simple is refused before anything runs, with the place.
#[test]
fn what_is_not_simple_is_named() {
    for (problem, method, what) in [
        (
            "var x: Vector[3]\nminimize sumsq(x) + norm1(A*x - b)",
            "fista()",
            "no closed proximal point",
        ),
        (
            "var x: Vector[3]\nminimize sumsq(x) + norm(x[1..2]) + norm(x[2..3])",
            "fista()",
            "share a coordinate",
        ),
        (
            "var x: Vector[3]\nminimize sumsq(x)\nsubject to\n  k: x[1] + x[2] <= 1",
            "fista()",
            "`k`",
        ),
        (
            "var x: Vector[3]\nminimize sumsq(x)\nsubject to\n  k: sum(x) == 1",
            "gd(0.1) |> projected()",
            "simplex",
        ),
        (
            "var x: Vector[3] in [-1, 1]\nminimize sumsq(x) + norm(x)",
            "apg()",
            "beside bounds",
        ),
        (
            "var x: Vector[6]\nminimize sumsq(x) + tv(x)",
            "coordinate_descent()",
            "norms of groups",
        ),
        (
            "var x: Vector[3]\nminimize sumsq(x)\nsubject to\n  k: norm(x) >= 1",
            "fista()",
            "`k`",
        ),
    ] {
        let mut s = session(&root());
        let ran = run(
            &mut s,
            "t.opt",
            &format!("{DATA}problem p {{\n{problem}\n}}\nsolve p with {method}\n"),
        );
        assert!(
            ran.exit != 0 && ran.shown.contains(what),
            "{problem}\n{method}\n{}",
            ran.shown
        );
    }
}

/// A penalty parameter is rebound without compiling again; a weight that turns negative is no penalty any more.
#[test]
fn rebinding_keeps_the_form() {
    let mut s = session(&root());
    let text = format!(
        "{DATA}problem p {{\n  var x: Vector[3]\n  minimize 1/2*sumsq(A*x - b) + mu*norm1(x)\n}}\nsolve p with coordinate_descent()\n"
    );
    assert_eq!(run(&mut s, "t.opt", &text).exit, 0);
    let before = last_solve(&s).and_then(|e| e.objective).unwrap();
    let ran = run(
        &mut s,
        "u.opt",
        "mu = 100\ns = solve p with coordinate_descent()\nprint norm1(s.x) == 0\n",
    );
    assert!(ran.shown.contains("true"), "{}", ran.shown);
    assert!(last_solve(&s).and_then(|e| e.objective).unwrap() > before);
}
