//! The library's optimizers against recorded iterates: `tests/fixtures/*.json`, made by a reference of ours in numpy.
//!
//! Invariant: another optimizer needs its `.opt` text and one row of [`ROWS`]; every row is also stepped in bursts, cut,
//! saved and resumed, to the same bits.

#![allow(clippy::unwrap_used, clippy::print_stderr, reason = "tests")]

use std::collections::BTreeMap;
use std::sync::Arc;

use ravine::base::value::IndexSet;
use ravine::forms::simple::{Block, Piece, Simple};
use ravine::lang::lower::PointBlock;
use ravine::solve::composite::Parts;
use ravine::solve::methods::scripted::{Recorded, Scripted};
use ravine::solve::run::Options;
use ravine::solve::{Class, Counts, Fault, Method, Needs, Oracle, Point, Run, Saved};
use ravine_linalg::Csr;
use serde_json::Value as Json;

use super::harness::{report_failures, root, session};

/// A row: fixture, case, pipeline, and what of a state or record equals which column of the trace. `{name}` in the
/// pipeline is the hyperparameter of the case; `@x=w` names another column for the point.
struct Row(
    &'static str,
    &'static str,
    &'static str,
    &'static [(&'static str, &'static str)],
);

const ROWS: &[Row] = &[
    Row("gd", "constant", "gd(lr: {lr})", &[]),
    Row("gd", "inverse_sqrt", "gd(lr: t -> {lr})", &[]),
    Row("gd", "inverse_sqrt", "gd(lr: inverse_sqrt(0.3))", &[]),
    Row(
        "heavy_ball",
        "constant",
        "heavy_ball(lr: {lr}, beta: {beta})",
        &[("v", "v")],
    ),
    Row(
        "heavy_ball",
        "linear_decay",
        "heavy_ball(lr: linear({lr}, steps: 20), beta: {beta})",
        &[("v", "v")],
    ),
    Row("nesterov", "constant", "nesterov(lr: {lr}, beta: {beta})", &[]),
    Row("nesterov", "sequence", "accelerated(lr: {lr})", &[]),
    Row(
        "nesterov",
        "buffer",
        "momentum(lr: {lr}, beta: {beta}, nesterov: true)",
        &[("v", "v")],
    ),
    Row("adagrad", "default", "adagrad(lr: {lr}, eps: {eps})", &[("v", "v")]),
    Row("adagrad_norm", "default", "adagrad_norm(eta: {eta}, b0: {b0})", &[]),
    Row(
        "rmsprop",
        "default",
        "rmsprop(lr: {lr}, beta2: {beta2}, eps: {eps})",
        &[("v", "v")],
    ),
    Row(
        "rmsprop",
        "momentum",
        "rmsprop(lr: {lr}, beta2: {beta2}, eps: {eps}, momentum: {momentum})",
        &[("v", "v"), ("m", "m")],
    ),
    Row(
        "adam",
        "default",
        "adam(lr: {lr}, beta1: {beta1}, beta2: {beta2}, eps: {eps})",
        &[("m", "m"), ("v", "v")],
    ),
    Row(
        "adam",
        "fast",
        "adam(lr: {lr}, beta1: {beta1}, beta2: {beta2}, eps: {eps})",
        &[("m", "m"), ("v", "v")],
    ),
    Row(
        "adam",
        "coupled_decay",
        "weight_decay({weight_decay}) |> adam(lr: {lr}, beta1: {beta1}, beta2: {beta2}, eps: {eps})",
        &[("m", "m"), ("v", "v")],
    ),
    Row(
        "adamw",
        "default",
        "adamw(lr: {lr}, decay: {weight_decay}, beta1: {beta1}, beta2: {beta2}, eps: {eps})",
        &[("m", "m"), ("v", "v")],
    ),
    Row(
        "adamw",
        "default",
        "adam(lr: {lr}, beta1: {beta1}, beta2: {beta2}, eps: {eps}) |> shrink({lr}*{weight_decay})",
        &[("m", "m"), ("v", "v")],
    ),
    Row(
        "nadam",
        "default",
        "nadam(lr: {lr}, beta1: {beta1}, beta2: {beta2}, eps: {eps})",
        &[("m", "m"), ("v", "v")],
    ),
    Row(
        "amsgrad",
        "paper",
        "amsgrad(lr: inverse_sqrt({lr}), beta1: {beta1}, beta2: {beta2}, eps: {eps})",
        &[("m", "m"), ("v", "v"), ("vhat", "vhat")],
    ),
    Row(
        "amsgrad",
        "boxed",
        "amsgrad(lr: inverse_sqrt({lr}), beta1: {beta1}, beta2: {beta2}, eps: {eps}) |> projected()",
        &[("m", "m"), ("vhat", "vhat")],
    ),
    Row(
        "lion",
        "default",
        "lion(lr: {lr}, beta1: {beta1}, beta2: {beta2})",
        &[("m", "m")],
    ),
    Row(
        "lion",
        "decay",
        "lion(lr: {lr}, beta1: {beta1}, beta2: {beta2}, decay: {weight_decay})",
        &[("m", "m")],
    ),
    Row(
        "averaged_sgd",
        "last_half",
        "sgd(lr: {lr}, batch: {batch}) |> averaged(burn: {burn})",
        &[("avg", "avg")],
    ),
    Row(
        "averaged_sgd",
        "all_inverse_sqrt",
        "sgd(lr: t -> {lr}, batch: {batch}) |> averaged()",
        &[("avg", "avg")],
    ),
    Row(
        "averaged_sgd",
        "ema",
        "sgd(lr: {lr}, batch: {batch}) |> ema(decay: {decay})",
        &[("avg", "avg")],
    ),
    Row(
        "barzilai_borwein",
        "long",
        "barzilai_borwein(long, lr: {lr0})",
        &[("a", "lr")],
    ),
    Row(
        "barzilai_borwein",
        "short",
        "barzilai_borwein(short, lr: {lr0})",
        &[("a", "lr")],
    ),
    Row(
        "barzilai_borwein",
        "alternating",
        "barzilai_borwein(alternating, lr: {lr0})",
        &[("a", "lr")],
    ),
    Row(
        "nonlinear_cg",
        "exact_quadratic",
        "nonlinear_cg(polak_ribiere) |> linesearch(exact)",
        &[("d", "d"), ("beta", "beta"), ("a", "step")],
    ),
    Row(
        "nonlinear_cg",
        "armijo_logistic",
        "nonlinear_cg(polak_ribiere) |> linesearch(armijo, c1: {c1}, shrink: {shrink})",
        &[("d", "d"), ("beta", "beta"), ("a", "step")],
    ),
    Row(
        "nonlinear_cg",
        "armijo_quadratic",
        "nonlinear_cg(polak_ribiere) |> linesearch(armijo, c1: {c1}, shrink: {shrink})",
        &[("d", "d"), ("beta", "beta"), ("a", "step")],
    ),
    Row(
        "polyak_gd",
        "default",
        "polyak_gd(fmin: {fstar})",
        &[("gap", "gap"), ("eta", "eta")],
    ),
    // What the problem knows of its least value.
    Row("polyak_gd", "default", "polyak_gd()", &[("eta", "eta")]),
    Row("polyak_gd", "c2", "polyak_gd(c: {c})", &[("eta", "eta")]),
    Row("polyak_gd", "capped", "polyak_gd(cap: {eta_max})", &[("eta", "eta")]),
    Row(
        "mag",
        "beta_0.5",
        "mag(beta: {beta}, fmin: {fstar})",
        &[("d", "d"), ("gap", "gap"), ("eta", "eta")],
    ),
    Row("mag", "beta_0.9", "mag()", &[("d", "d"), ("eta", "eta")]),
    Row("mag", "capped", "mag(cap: {eta_max})", &[("d", "d"), ("eta", "eta")]),
    Row("hb_polyak", "beta_0.5", "hb_polyak(beta: {beta})", &[("eta", "eta")]),
    Row("hb_polyak", "beta_0.9", "hb_polyak(beta: {beta})", &[("eta", "eta")]),
    Row("hb_polyak", "unclipped", "hb_polyak(signed: true)", &[("eta", "eta")]),
    Row("hb_polyak_v2", "beta_0.9", "hb_polyak_v2(L: {L})", &[("eta", "eta")]),
    Row(
        "nag_polyak",
        "beta_0.5",
        "nag_polyak(beta: {beta})",
        &[("eta", "eta"), ("gap", "gap")],
    ),
    Row(
        "nag_polyak",
        "beta_0.9",
        "nag_polyak()",
        &[("eta", "eta"), ("gap", "gap")],
    ),
    Row(
        "sps",
        "uncapped",
        "sps(batch: {batch}, fmin: 0, c: {c})",
        &[("loss", "f_batch"), ("eta", "eta")],
    ),
    Row(
        "sps",
        "capped",
        "sps(batch: {batch}, c: {c}, cap: {eta_max})",
        &[("eta", "eta")],
    ),
    Row(
        "smag",
        "beta_0.9",
        "smag(batch: {batch}, beta: {beta}, c: {c}, cap: {eta_max})",
        &[("d", "d"), ("loss", "f_batch"), ("eta", "eta")],
    ),
    Row(
        "smag",
        "capped",
        "smag(batch: {batch}, beta: {beta}, c: {c}, cap: {eta_max})",
        &[("d", "d"), ("eta", "eta")],
    ),
    Row(
        "shb",
        "clipped",
        "shb(batch: {batch}, beta: {beta}, c: {c}, cap: {eta_max})",
        &[("loss", "f_batch"), ("eta", "eta")],
    ),
    Row(
        "shb",
        "unclipped",
        "shb(batch: {batch}, beta: {beta}, c: {c}, cap: {eta_max}, signed: true)",
        &[("eta", "eta")],
    ),
    Row("svrg", "m6", "svrg(lr: {lr}, every: {m})", &[]),
    Row("saga", "table_at_start", "saga(lr: {lr})", &[("mean", "avg")]),
    Row("saga", "table_zero", "saga(lr: {lr}, fill: false)", &[("mean", "avg")]),
    Row("sarah", "m5", "sarah(lr: {lr}, every: {m})", &[("v", "v")]),
    Row("sam", "quadratic", "sam(lr: {lr}, rho: {rho})", &[]),
    Row(
        "sam",
        "logistic_batches",
        "sam(lr: {lr}, rho: {rho}, batch: {batch})",
        &[],
    ),
    Row(
        "adamnc",
        "beta1_0",
        "adamnc(lr: inverse_sqrt({lr}), beta1: {beta1}, fade: {lam})",
        &[("m", "m"), ("v", "v")],
    ),
    Row(
        "adamnc",
        "beta1_decaying",
        "adamnc(lr: inverse_sqrt({lr}), beta1: {beta1}, fade: {lam})",
        &[("m", "m"), ("v", "v")],
    ),
    Row(
        "upgd",
        "protecting",
        "upgd(lr: {lr}, decay: {wd}, beta: {beta}, sigma: {sigma}, signed: true)",
        &[("u", "u")],
    ),
    Row(
        "upgd",
        "protecting_abs",
        "upgd(lr: {lr}, decay: {wd}, beta: {beta}, sigma: {sigma})",
        &[("u", "u")],
    ),
    Row(
        "upgd",
        "negative_sign_kept",
        "upgd(lr: {lr}, decay: {wd}, beta: {beta}, sigma: {sigma}, signed: true)",
        &[("u", "u")],
    ),
    Row(
        "upgd",
        "negative_abs",
        "upgd(lr: {lr}, decay: {wd}, beta: {beta}, sigma: {sigma})",
        &[("u", "u")],
    ),
    Row(
        "upgd",
        "non_protecting_abs",
        "upgd(lr: {lr}, decay: {wd}, beta: {beta}, sigma: {sigma}, protect: false)",
        &[("u", "u")],
    ),
    Row(
        "upgd",
        "local",
        "upgd_local(lr: {lr}, decay: {wd}, beta: {beta}, sigma: {sigma})",
        &[("u", "u")],
    ),
    Row("psps", "none_none", "sps_slack(batch: {batch})", PSPS),
    Row("psps", "none_L1", "sps_slack(batch: {batch}, slack1: {lam})", PSPS),
    Row("psps", "none_L2", "sps_slack(batch: {batch}, slack2: {lam})", PSPS),
    Row(
        "psps",
        "hutch_none",
        "psps(batch: {batch}, decay: {betaD}, least: {alpha}, probes: {n0})",
        PSPS,
    ),
    Row(
        "psps",
        "hutch_L1",
        "psps(batch: {batch}, decay: {betaD}, least: {alpha}, probes: {n0}, slack1: {lam})",
        PSPS,
    ),
    Row(
        "psps",
        "hutch_L2",
        "psps(batch: {batch}, decay: {betaD}, least: {alpha}, probes: {n0}, slack2: {lam})",
        PSPS,
    ),
    Row(
        "psps",
        "adam_none",
        "psps_adam(batch: {batch}, beta2: {beta2}, eps: {eps})",
        PSPS,
    ),
    Row(
        "psps",
        "adam_L1",
        "psps_adam(batch: {batch}, beta2: {beta2}, eps: {eps}, slack1: {lam})",
        PSPS,
    ),
    Row(
        "psps",
        "adam_L2",
        "psps_adam(batch: {batch}, beta2: {beta2}, eps: {eps}, slack2: {lam})",
        PSPS,
    ),
    Row("psps", "adagrad_none", "psps_adagrad(batch: {batch}, eps: {eps})", PSPS),
    Row(
        "psps",
        "adagrad_L1",
        "psps_adagrad(batch: {batch}, eps: {eps}, slack1: {lam})",
        PSPS,
    ),
    Row(
        "psps",
        "adagrad_L2",
        "psps_adagrad(batch: {batch}, eps: {eps}, slack2: {lam})",
        PSPS,
    ),
    Row(
        "extragradient",
        "rotation_1_0.3",
        "extragradient(lr: {g1}, second: {g2}/{g1})",
        &[("y", "y")],
    ),
    Row(
        "extragradient",
        "rotation_0.4_0.4",
        "extragradient(lr: {g1})",
        &[("y", "y")],
    ),
    Row(
        "extragradient",
        "tanh_saddle_1_0.3",
        "extragradient(lr: {g1}, second: {g2}/{g1})",
        &[("y", "y")],
    ),
    Row(
        "extragradient",
        "tanh_saddle_0.4_0.4",
        "extragradient(lr: {g1})",
        &[("y", "y")],
    ),
    Row(
        "optimistic_gradient",
        "rotation_0.5_0.25",
        "optimistic_gradient(lr: {g1}, second: {g2}/{g1})",
        &[("y", "y")],
    ),
    Row(
        "optimistic_gradient",
        "rotation_0.2_0.2",
        "optimistic_gradient(lr: {g1})",
        &[("y", "y")],
    ),
    Row(
        "optimistic_gradient",
        "tanh_saddle_0.5_0.25",
        "optimistic_gradient(lr: {g1}, second: {g2}/{g1})",
        &[("y", "y")],
    ),
    Row(
        "optimistic_gradient",
        "tanh_saddle_0.2_0.2",
        "optimistic_gradient(lr: {g1})",
        &[("y", "y")],
    ),
    Row("gda_proximal_point", "gda_rotation", "gda(lr: {g})", &[]),
    Row("gda_proximal_point", "gda_rotation", "gd(lr: {g})", &[]),
    Row("gda_proximal_point", "gda_tanh_saddle", "gda(lr: {g})", &[]),
    Row(
        "gda_proximal_point",
        "proximal_point_rotation",
        "proximal_point(lr: {g}, tolerance: 1e-15)",
        &[],
    ),
    Row(
        "subgradient",
        "inverse_sqrt",
        "subgradient(lr: inverse_sqrt(0.2))",
        &[("best", "best")],
    ),
    Row(
        "subgradient",
        "polyak_target",
        "polyak_subgradient(target: {target})",
        &[("best", "best")],
    ),
    Row(
        "exponentiated_gradient",
        "default",
        "exponentiated_gradient(lr: {eta})",
        &[],
    ),
    Row("frank_wolfe", "plain_a", "frank_wolfe()", &[("gap", "gap")]),
    Row("frank_wolfe", "plain_b", "frank_wolfe(toward)", &[("gap", "gap")]),
    Row("frank_wolfe", "away_a", "frank_wolfe(away)", &[("gap", "gap")]),
    Row("frank_wolfe", "away_b", "frank_wolfe(away)", &[("gap", "gap")]),
    Row("frank_wolfe", "pairwise_a", "frank_wolfe(pairwise)", &[("gap", "gap")]),
    Row("frank_wolfe", "pairwise_b", "frank_wolfe(pairwise)", &[("gap", "gap")]),
    Row(
        "shampoo",
        "ema_3x3",
        "shampoo(lr: {lr}, beta: {beta}, eps: {eps}, beta1: {b1}, every: {freq})",
        &[("L.W", "L"), ("R.W", "R")],
    ),
    Row(
        "shampoo",
        "ema_3x2",
        "shampoo(lr: {lr}, beta: {beta}, eps: {eps}, beta1: {b1}, every: {freq})",
        &[("L.W", "L"), ("R.W", "R")],
    ),
    Row(
        "shampoo",
        "sum_3x3",
        "shampoo(lr: {lr}, sums: true, eps: {eps}, beta1: {b1}, every: {freq})",
        &[("L.W", "L"), ("R.W", "R")],
    ),
    Row(
        "shampoo",
        "sum_3x2",
        "shampoo(lr: {lr}, sums: true, eps: {eps}, beta1: {b1}, every: {freq})",
        &[("L.W", "L"), ("R.W", "R")],
    ),
    Row(
        "soap",
        "default_3x3",
        "soap(lr: {lr}, beta1: {b1}, beta2: {b2}, eps: {eps}, decay: {wd}, every: {freq})",
        &[("L.W", "L"), ("R.W", "R"), ("V.W", "V")],
    ),
    Row(
        "soap",
        "every_step_3x3",
        "soap(lr: {lr}, beta1: {b1}, beta2: {b2}, memory: {shampoo_beta}, eps: {eps}, decay: {wd}, every: {freq})",
        &[("L.W", "L"), ("R.W", "R"), ("V.W", "V")],
    ),
    Row(
        "soap",
        "no_skip_3x3",
        "soap(lr: {lr}, beta1: {b1}, beta2: {b2}, wait: false, eps: {eps}, decay: {wd}, every: {freq})",
        &[("L.W", "L"), ("R.W", "R"), ("V.W", "V")],
    ),
    Row(
        "soap",
        "default_3x2",
        "soap(lr: {lr}, beta1: {b1}, beta2: {b2}, eps: {eps}, decay: {wd}, every: {freq})",
        &[("L.W", "L"), ("R.W", "R"), ("V.W", "V")],
    ),
    Row(
        "soap",
        "every_step_3x2",
        "soap(lr: {lr}, beta1: {b1}, beta2: {b2}, memory: {shampoo_beta}, eps: {eps}, decay: {wd}, every: {freq})",
        &[("L.W", "L"), ("R.W", "R"), ("V.W", "V")],
    ),
    Row(
        "scaled_gd",
        "identity_fixed",
        "scaled_gd(lr: {eta}, lambda: {lam}, c: 0)",
        &[],
    ),
    Row("scaled_gd", "identity_residual", "scaled_gd(lr: {eta}, c: 1)", &[]),
    Row(
        "scaled_gd",
        "sensing_fixed",
        "scaled_gd(lr: {eta}, lambda: {lam}, c: 0)",
        &[],
    ),
    Row("scaled_gd", "sensing_residual", "scaled_gd(lr: {eta}, c: 1)", &[]),
    Row("scaled_gd", "identity_none", "gd(lr: {eta})", &[]),
    Row("scaled_gd", "sensing_none", "gd(lr: {eta})", &[]),
    Row("fista", "ista", "proximal_gradient(lr: {step})", &[]),
    Row("fista", "ista", "gd(lr: {step}) |> proximal()", &[]),
    Row("fista", "ista", "gd(lr: {step}) |> proximal({step})", &[]),
    Row(
        "fista",
        "no_restart",
        "fista(lr: {step}, backtracking: false, gradient_restart: false)",
        &[("y", "y"), ("a", "a")],
    ),
    Row(
        "fista",
        "gradient_restart",
        "fista(lr: {step}, backtracking: false)",
        &[("y", "y"), ("a", "a")],
    ),
    Row(
        "fista",
        "value_restart",
        "fista(lr: {step}, backtracking: false, gradient_restart: false, value_restart: true)",
        &[("y", "y"), ("a", "a")],
    ),
];

/// Columns of the PSPS cases.
const PSPS: &[(&str, &str)] = &[("s", "s"), ("gamma", "gam"), ("loss", "f_batch")];

// ---- problems of the fixtures ------------------------------------------------------------------------------------------

fn vector(j: &Json) -> Vec<f64> {
    j.as_array().unwrap().iter().map(number).collect()
}

fn number(j: &Json) -> f64 {
    match j {
        Json::Number(n) => n.as_f64().unwrap(),
        Json::Bool(b) => f64::from(u8::from(*b)),
        other => panic!("no number: {other}"),
    }
}

fn matrix(j: &Json) -> Vec<Vec<f64>> {
    j.as_array().unwrap().iter().map(vector).collect()
}

fn dot(a: &[f64], b: &[f64]) -> f64 {
    a.iter().zip(b).map(|(a, b)| a * b).sum()
}

/// What a fixture optimizes.
enum Kind {
    /// `(x − x*)ᵀ A (x − x*)/2`.
    Quadratic { a: Vec<Vec<f64>>, star: Vec<f64> },
    /// `mean log(1 + exp(−yᵢ Xᵢ·w)) + mu |w|²/2`.
    Logistic { x: Vec<Vec<f64>>, y: Vec<f64>, mu: f64 },
    /// `mean (Xᵢ·w − yᵢ)²/2`.
    LeastSquares { x: Vec<Vec<f64>>, y: Vec<f64> },
    /// `|Ax − b|²/2 + lam |x|₁`.
    Lasso { a: Vec<Vec<f64>>, b: Vec<f64>, lam: f64 },
    /// `|A x − b|₁` with a subgradient.
    Absolute { a: Vec<Vec<f64>>, b: Vec<f64> },
    /// `xᵀQx/2 − bᵀx` at `x = Vᵀw`, `w` in the simplex.
    Hull {
        q: Vec<Vec<f64>>,
        b: Vec<f64>,
        v: Vec<Vec<f64>>,
    },
    /// An operator `A x`.
    Linear { a: Vec<Vec<f64>> },
    /// `(tanh x₁ + x₂, −x₁ + tanh x₂)`.
    Tanh,
    /// `<W − W*, A (W − W*) B>/2`.
    Matrices {
        a: Vec<Vec<f64>>,
        b: Vec<Vec<f64>>,
        star: Vec<Vec<f64>>,
    },
    /// `Σ (<A_i, X Xᵀ> − y_i)²/4`, or `|X Xᵀ − Y|²/4` without `A`.
    Sensing {
        a: Vec<Vec<Vec<f64>>>,
        y: Vec<f64>,
        n: usize,
    },
}

fn times(a: &[Vec<f64>], b: &[Vec<f64>]) -> Vec<Vec<f64>> {
    let row = |r: &Vec<f64>| {
        (0..b[0].len())
            .map(|j| (0..b.len()).map(|k| r[k] * b[k][j]).sum())
            .collect()
    };
    a.iter().map(row).collect()
}

struct Problem {
    kind: Kind,
    n: usize,
    counts: Counts,
    bounds: Option<Arc<ravine::solve::Bounds>>,
    simplex: Vec<(usize, usize, f64)>,
    /// Added to the gradients one after the other.
    noise: Vec<Vec<f64>>,
}

/// `Vᵀw`.
fn mixed(v: &[Vec<f64>], w: &[f64]) -> Vec<f64> {
    let mut x = vec![0.0; v[0].len()];
    for (row, w) in v.iter().zip(w) {
        x.iter_mut().zip(row).for_each(|(x, v)| *x += w * v);
    }
    x
}

impl Problem {
    fn read(p: &Json, n: usize) -> Problem {
        let kind = match p["kind"].as_str().unwrap() {
            "quadratic" => Kind::Quadratic {
                a: matrix(&p["A"]),
                star: vector(&p["xstar"]),
            },
            "logistic" => Kind::Logistic {
                x: matrix(&p["X"]),
                y: vector(&p["y"]),
                mu: number(&p["mu"]),
            },
            "least_squares" => Kind::LeastSquares {
                x: matrix(&p["X"]),
                y: vector(&p["y"]),
            },
            "l1_regression" => Kind::Absolute {
                a: matrix(&p["A"]),
                b: vector(&p["b"]),
            },
            "quadratic_over_hull" => Kind::Hull {
                q: matrix(&p["Q"]),
                b: vector(&p["b"]),
                v: matrix(&p["V"]),
            },
            "linear" => Kind::Linear { a: matrix(&p["A"]) },
            "tanh_saddle" => Kind::Tanh,
            "matrix_quadratic" => Kind::Matrices {
                a: matrix(&p["A"]),
                b: matrix(&p["B"]),
                star: matrix(&p["Wstar"]),
            },
            k if k == "sensing" || k.starts_with("identity design") => Kind::Sensing {
                a: p["A"].as_array().map_or(vec![], |all| all.iter().map(matrix).collect()),
                y: flat(&p["y"]),
                n: p["M"].as_array().unwrap().len(),
            },
            "lasso" => Kind::Lasso {
                a: matrix(&p["A"]),
                b: vector(&p["b"]),
                lam: number(&p["lam"]),
            },
            other => panic!("no such kind of problem here yet: {other}"),
        };
        let hull = matches!(kind, Kind::Hull { .. });
        Problem {
            kind,
            n,
            counts: Counts::default(),
            bounds: None,
            simplex: if hull { vec![(0, n, 1.0)] } else { vec![] },
            noise: vec![],
        }
    }
    /// Value and gradient on some terms.
    fn on(&self, w: &[f64], terms: &mut dyn Iterator<Item = usize>, g: &mut [f64]) -> f64 {
        g.fill(0.0);
        match &self.kind {
            Kind::Quadratic { a, star } => {
                let d: Vec<f64> = w.iter().zip(star).map(|(a, b)| a - b).collect();
                for (g, row) in g.iter_mut().zip(a) {
                    *g = dot(row, &d);
                }
                dot(&d, g) / 2.0
            }
            Kind::Absolute { a, b } => {
                let mut f = 0.0;
                for (row, b) in a.iter().zip(b) {
                    let r = dot(row, w) - b;
                    f += r.abs();
                    let sign = if r == 0.0 { 0.0 } else { r.signum() };
                    g.iter_mut().zip(row).for_each(|(g, a)| *g += sign * a);
                }
                f
            }
            Kind::Hull { q, b, v } => {
                let x = mixed(v, w);
                let qx: Vec<f64> = q.iter().map(|r| dot(r, &x)).collect();
                let gx: Vec<f64> = qx.iter().zip(b).map(|(a, b)| a - b).collect();
                g.iter_mut().zip(v).for_each(|(g, v)| *g = dot(v, &gx));
                dot(&x, &qx) / 2.0 - dot(b, &x)
            }
            Kind::Linear { a } => {
                g.iter_mut().zip(a).for_each(|(g, row)| *g = dot(row, w));
                0.0
            }
            Kind::Tanh => {
                (g[0], g[1]) = (w[0].tanh() + w[1], w[1].tanh() - w[0]);
                0.0
            }
            Kind::Logistic { x, y, mu } => {
                let (mut f, mut k) = (0.0, 0.0);
                for i in terms {
                    let z = y[i] * dot(&x[i], w);
                    f += (-z).exp().ln_1p();
                    let s = -y[i] / (1.0 + z.exp());
                    g.iter_mut().zip(&x[i]).for_each(|(g, x)| *g += s * x);
                    k += 1.0;
                }
                g.iter_mut().zip(w).for_each(|(g, w)| *g = *g / k + mu * w);
                f / k + mu * dot(w, w) / 2.0
            }
            Kind::Matrices { a, b, star } => {
                let q = b.len();
                let rows = w.chunks(q).zip(star);
                let d: Vec<Vec<f64>> = rows
                    .map(|(w, s)| w.iter().zip(s).map(|(w, s)| w - s).collect())
                    .collect();
                let all: Vec<f64> = times(&times(a, &d), b).concat();
                g.copy_from_slice(&all);
                dot(&d.concat(), &all) / 2.0
            }
            Kind::Sensing { a, y, n } => {
                let x: Vec<Vec<f64>> = w.chunks(w.len() / n).map(<[f64]>::to_vec).collect();
                let square: Vec<f64> = x
                    .iter()
                    .flat_map(|r| x.iter().map(|s| dot(r, s)).collect::<Vec<_>>())
                    .collect();
                let (f, back) = if a.is_empty() {
                    let r: Vec<f64> = square.iter().zip(y).map(|(s, y)| s - y).collect();
                    (dot(&r, &r) / 4.0, r)
                } else {
                    let r: Vec<f64> = a.iter().zip(y).map(|(a, y)| dot(&a.concat(), &square) - y).collect();
                    let mut back = vec![0.0; n * n];
                    for (a, r) in a.iter().zip(&r) {
                        back.iter_mut().zip(a.concat()).for_each(|(b, a)| *b += r * a);
                    }
                    (dot(&r, &r) / 4.0, back)
                };
                let back: Vec<Vec<f64>> = back.chunks(*n).map(<[f64]>::to_vec).collect();
                g.copy_from_slice(&times(&back, &x).concat());
                f
            }
            Kind::Lasso { a, b, lam } => {
                let mut f = 0.0;
                for (row, b) in a.iter().zip(b) {
                    let r = dot(row, w) - b;
                    f += r * r / 2.0;
                    g.iter_mut().zip(row).for_each(|(g, a)| *g += r * a);
                }
                f + lam * w.iter().map(|w| w.abs()).sum::<f64>()
            }
            Kind::LeastSquares { x, y } => {
                let (mut f, mut k) = (0.0, 0.0);
                for i in terms {
                    let r = dot(&x[i], w) - y[i];
                    f += r * r / 2.0;
                    g.iter_mut().zip(&x[i]).for_each(|(g, x)| *g += r * x);
                    k += 1.0;
                }
                g.iter_mut().for_each(|g| *g /= k);
                f / k
            }
        }
    }
    fn all(&self) -> usize {
        match &self.kind {
            Kind::Quadratic { .. }
            | Kind::Lasso { .. }
            | Kind::Matrices { .. }
            | Kind::Sensing { .. }
            | Kind::Absolute { .. }
            | Kind::Hull { .. }
            | Kind::Linear { .. }
            | Kind::Tanh => 0,
            Kind::Logistic { y, .. } | Kind::LeastSquares { y, .. } => y.len(),
        }
    }
}

impl Oracle for Problem {
    fn dim(&self) -> usize {
        self.n
    }
    fn prox(&mut self, x: &mut [f64], t: f64) -> Result<(), Fault> {
        match &self.kind {
            Kind::Lasso { lam, .. } => {
                x.iter_mut()
                    .for_each(|v| *v = v.signum() * (v.abs() - t * lam).max(0.0));
                Ok(())
            }
            _ => self.project(x),
        }
    }
    fn class(&self) -> Class {
        if matches!(self.kind, Kind::Linear { .. } | Kind::Tanh) {
            Class::Saddle
        } else if let Kind::Lasso { .. } = self.kind {
            Class::Composite
        } else if self.bounds.is_some() {
            Class::SmoothBounds
        } else {
            Class::Smooth
        }
    }
    fn offers(&self) -> Needs {
        Needs {
            hvp: true,
            hessian: true,
            ..Needs::FIRST_ORDER
        }
    }
    fn bounds(&self) -> Option<Arc<ravine::solve::Bounds>> {
        self.bounds.clone()
    }
    fn known_lower_bound(&self) -> Option<f64> {
        Some(0.0)
    }
    fn value(&mut self, x: &[f64]) -> Result<f64, Fault> {
        self.counts.values += 1;
        let mut g = vec![0.0; self.n];
        Ok(self.on(x, &mut (0..self.all()), &mut g))
    }
    fn gradient(&mut self, x: &[f64], g: &mut [f64]) -> Result<(), Fault> {
        let noise = self.noise.get(self.counts.gradients as usize).cloned();
        self.counts.gradients += 1;
        self.on(x, &mut (0..self.all()), g);
        g.iter_mut().zip(noise.iter().flatten()).for_each(|(g, z)| *g += z);
        Ok(())
    }
    fn hvp(&mut self, x: &[f64], v: &[f64], out: &mut [f64]) -> Result<(), Fault> {
        self.counts.products += 1;
        if let Kind::Hull { q, v: corners, .. } = &self.kind {
            let x = mixed(corners, v);
            let qx: Vec<f64> = q.iter().map(|r| dot(r, &x)).collect();
            out.iter_mut().zip(corners).for_each(|(o, v)| *o = dot(v, &qx));
            return Ok(());
        }
        let Kind::Quadratic { a, .. } = &self.kind else {
            return Err(Fault::NotOffered(format!("products at {x:?}")));
        };
        for (o, row) in out.iter_mut().zip(a) {
            *o = dot(row, v);
        }
        Ok(())
    }
    fn hessian(&mut self, _: &[f64], _: &mut Csr) -> Result<(), Fault> {
        Err(Fault::NotOffered("Hessian".into()))
    }
    fn parts(&self) -> Option<Arc<Parts>> {
        let block = |(first, len, sum): &(usize, usize, f64)| Block {
            at: (*first..first + len).collect(),
            piece: Piece::Simplex(*sum),
        };
        let simple = Simple {
            lower: vec![f64::NEG_INFINITY; self.dim()],
            upper: vec![f64::INFINITY; self.dim()],
            l1: vec![0.0; self.dim()],
            blocks: self.simplex.iter().map(block).collect(),
            ..Simple::default()
        };
        (!self.simplex.is_empty()).then(|| {
            Arc::new(Parts {
                simple,
                ..Parts::default()
            })
        })
    }
    fn terms(&self) -> Option<usize> {
        Some(self.all())
    }
    fn value_gradient_on(&mut self, x: &[f64], terms: &[f64], g: &mut [f64]) -> Result<f64, Fault> {
        self.counts.gradients += 1;
        Ok(self.on(x, &mut terms.iter().map(|t| *t as usize), g))
    }
    fn hvp_on(&mut self, w: &[f64], v: &[f64], terms: &[f64], out: &mut [f64]) -> Result<(), Fault> {
        self.counts.products += 1;
        let Kind::Logistic { x, y, mu } = &self.kind else {
            return Err(Fault::NotOffered("products on batches".into()));
        };
        out.fill(0.0);
        for t in terms {
            let i = *t as usize;
            let p = 1.0 / (1.0 + (y[i] * dot(&x[i], w)).exp());
            let c = p * (1.0 - p) * dot(&x[i], v) / terms.len() as f64;
            out.iter_mut().zip(&x[i]).for_each(|(o, x)| *o += c * x);
        }
        out.iter_mut().zip(v).for_each(|(o, v)| *o += mu * v);
        Ok(())
    }
    fn counts(&self) -> Counts {
        self.counts
    }
}

// ---- rows --------------------------------------------------------------------------------------------------------------

fn fixture(name: &str) -> Json {
    let path = root().join(format!("tests/fixtures/{name}.json"));
    serde_json::from_str(&std::fs::read_to_string(path).unwrap()).unwrap()
}

fn filled(pipeline: &str, hyper: &Json) -> String {
    let mut text = pipeline.to_string();
    for (k, v) in hyper.as_object().unwrap() {
        let shown = match v {
            Json::String(s) => s.clone(),
            Json::Bool(b) => b.to_string(),
            Json::Number(n) => n.to_string(),
            _ => continue,
        };
        text = text.replace(&format!("{{{k}}}"), &shown);
    }
    text
}

/// Blocks of vectors of such lengths.
fn blocks(lens: &[usize]) -> Vec<PointBlock> {
    let mut offset = 0;
    let block = |(k, n): (usize, &usize)| {
        offset += n;
        PointBlock {
            name: format!("x{k}"),
            dims: vec![IndexSet::upto(*n)],
            offset: offset - n,
            len: *n,
        }
    };
    lens.iter().enumerate().map(block).collect()
}

fn method(pipeline: &str, n: usize) -> Result<Scripted, String> {
    method_on(pipeline, &blocks(&[n]))
}

fn method_on(pipeline: &str, blocks: &[PointBlock]) -> Result<Scripted, String> {
    let mut s = session(&root());
    let mut found = s
        .methods_of(pipeline, blocks)
        .map_err(|d| format!("{pipeline}: {d:#?}"))?;
    found.pop().ok_or_else(|| format!("{pipeline}: no stage"))
}

/// Draws of a case: the k-th draw of a step takes the k-th column that the case has, behind those of its start.
fn draws(case: &Json) -> Option<Recorded> {
    let d = case.get("draws")?.as_object()?;
    let mut out: Recorded = BTreeMap::new();
    // Taken in the first step, in pairs.
    let mut early = 0;
    if let (Some(probes), Some(batches)) = (d.get("initial_probes"), d.get("initial_batches")) {
        for (p, b) in probes.as_array().unwrap().iter().zip(batches.as_array().unwrap()) {
            out.insert((1, early), vector(p));
            out.insert((1, early + 1), vector(b));
            early += 2;
        }
    }
    // Steps with a full gradient draw nothing.
    let full = d.get("note").and(case["hyper"]["m"].as_u64());
    let step = |k: u64| full.map_or(k + 1, |m| k + 2 + k / (m - 1));
    for (draw, name) in ["batches", "index", "probes", "normal"]
        .iter()
        .filter(|n| d.contains_key(**n))
        .enumerate()
    {
        for (k, v) in d[*name].as_array().unwrap().iter().enumerate() {
            let t = step(k as u64);
            let before = if t == 1 { early } else { 0 };
            out.insert((t, before + draw as u64), flat(v));
        }
    }
    Some(out)
}

fn close(a: &[f64], b: &[f64]) -> Option<String> {
    if a.len() != b.len() {
        return Some(format!("{} entries, expected {}", a.len(), b.len()));
    }
    a.iter()
        .zip(b)
        .position(|(a, b)| (a - b).abs() > 1e-12 * b.abs().max(1.0) || a.is_nan())
        .map(|k| format!("entry {}: {:e}, expected {:e}", k + 1, a[k], b[k]))
}

fn flat(j: &Json) -> Vec<f64> {
    match j {
        Json::Array(a) => a.iter().flat_map(flat).collect(),
        other => vec![number(other)],
    }
}

fn check(row: &Row) -> Result<usize, String> {
    let Row(name, case_name, pipeline, columns) = row;
    let f = fixture(name);
    let case = f["cases"]
        .as_array()
        .unwrap()
        .iter()
        .find(|c| c["case"] == *case_name)
        .ok_or(format!("{name} has no case {case_name}"))?;
    let pick = |k: &str| case.get(k).or_else(|| f.get(k)).filter(|v| !v.is_null());
    let start = match pick("start").ok_or("no start")? {
        // "w[0] of the trace"
        Json::String(_) => flat(&case["trace"]["w"][0]),
        s => flat(s),
    };
    let n = start.len();
    let mut hyper = case["hyper"].clone();
    if let Some(first) = case["draws"]["batches"].get(0).and_then(Json::as_array) {
        hyper["batch"] = first.len().into();
    }
    let text = filled(pipeline, &hyper);
    let rows = pick("start").and_then(|s| s.as_array().filter(|s| s[0].is_array()).map(Vec::len));
    let blocks = match rows {
        Some(r) => vec![PointBlock {
            name: "W".into(),
            dims: vec![IndexSet::upto(r), IndexSet::upto(n / r)],
            offset: 0,
            len: n,
        }],
        None if *name == "upgd" => blocks(&[2, n - 2]),
        None => blocks(&[n]),
    };
    let make = || -> Result<Arc<dyn Method>, String> {
        let m = method_on(&text, &blocks)?;
        Ok(match draws(case) {
            Some(d) => Arc::new(m.with_recorded(d)),
            None => Arc::new(m),
        })
    };
    let problem = || {
        let mut p = Problem::read(pick("problem").unwrap(), n);
        if let (Some(lo), Some(hi)) = (case["hyper"].get("lo"), case["hyper"].get("hi")) {
            p.bounds = Some(Arc::new(ravine::solve::Bounds {
                lower: vec![number(lo); n],
                upper: vec![number(hi); n],
                units: vec![],
            }));
        }
        if let Some(noise) = case["draws"].get("gradient_noise").and_then(Json::as_array) {
            p.noise = noise.iter().map(flat).collect();
        }
        p
    };
    let columns_of_points = if f["fixture"] == "frank_wolfe" {
        ["w", "W", "x", "X"]
    } else {
        ["x", "W", "w", "X"]
    };
    let points = columns_of_points
        .iter()
        .find_map(|c| case["trace"].get(c))
        .ok_or("no points")?;
    let points = points.as_array().unwrap();
    let mut p = problem();
    let method = make()?;
    let mut run = Run::new(method.clone(), &mut p, &Point::plain(start.clone()), Options::default())
        .map_err(|e| e.to_string())?;
    for (t, want) in points.iter().enumerate().skip(1) {
        if let Some(why) = run.advance(&mut p, 1, &|| 0.0) {
            return Err(format!("{text}, step {t}: {why:?}"));
        }
        let state = run.state();
        if let Some(e) = close(&state.x, &flat(want)) {
            return Err(format!("{text}, step {t}, x: {e}"));
        }
        for (slot, column) in *columns {
            let Some(all) = case["trace"].get(column).and_then(Json::as_array) else {
                return Err(format!("{name}/{case_name} has no column {column}"));
            };
            // A column is shorter where it begins later.
            let Some(at) = (t + all.len()).checked_sub(points.len()) else {
                continue;
            };
            if points.len() - all.len() > t {
                continue;
            }
            let card = method.card();
            let have = match card.state.iter().position(|s| s.name == *slot) {
                Some(k) => match &state.slots[k] {
                    ravine::solve::Slot::Number(v) => vec![*v],
                    s => s.array().to_vec(),
                },
                None => match card.records.iter().position(|r| r == slot) {
                    Some(k) => vec![state.records[k]],
                    None => return Err(format!("{text} has no state or record `{slot}`")),
                },
            };
            if let Some(e) = close(&have, &flat(&all[at])) {
                return Err(format!("{text}, step {t}, {slot}: {e}"));
            }
        }
    }
    // The same in bursts, and cut in the middle, saved, read back.
    let steps = points.len() as u64 - 1;
    let mut q = problem();
    let mut burst =
        Run::new(make()?, &mut q, &Point::plain(start.clone()), Options::default()).map_err(|e| e.to_string())?;
    burst.advance(&mut q, steps, &|| 0.0);
    if burst.state() != run.state() || burst.counts() != run.counts() {
        return Err(format!("{text}: a burst ends elsewhere than steps do"));
    }
    let mut q = problem();
    let mut cut = Run::new(make()?, &mut q, &Point::plain(start), Options::default()).map_err(|e| e.to_string())?;
    cut.advance(&mut q, steps / 2, &|| 0.0);
    let saved = serde_json::to_string(&cut.save()).unwrap();
    let saved: Saved = serde_json::from_str(&saved).unwrap();
    let mut q = problem();
    q.noise.drain(..(steps as usize / 2).min(q.noise.len()));
    let mut resumed = Run::resume(make()?, &q, saved).map_err(|e| e.to_string())?;
    resumed.advance(&mut q, steps - steps / 2, &|| 0.0);
    if resumed.state() != run.state() || resumed.counts() != run.counts() {
        return Err(format!("{text}: a run that was cut ends elsewhere"));
    }
    Ok(points.len() - 1)
}

#[test]
fn recorded_iterates() {
    let mut failures = vec![];
    let mut steps = 0;
    for row in ROWS {
        match check(row) {
            Ok(k) => steps += k,
            Err(e) => failures.push(format!("{} {}: {e}", row.0, row.1)),
        }
    }
    eprintln!("{} rows, {steps} recorded steps", ROWS.len());
    report_failures(failures);
    assert!(steps >= 16 * ROWS.len());
}

/// Schedules: case and expression.
const SCHEDULES: &[(&str, &str)] = &[
    ("constant", "constant({base})"),
    ("inverse", "inverse({base})"),
    ("inverse_offset", "inverse_time({base}, tau: {tau})"),
    ("inverse_sqrt", "inverse_sqrt({base})"),
    ("step", "step_decay({base}, factor: {gamma}, every: {every})"),
    ("exponential", "exponential({base}, factor: {gamma})"),
    (
        "polynomial",
        "polynomial({base}, steps: {T}, last: {end}, power: {power})",
    ),
    (
        "polynomial_short",
        "polynomial({base}, steps: {T}, last: {end}, power: {power})",
    ),
    ("linear", "linear({base}, steps: {T})"),
    ("linear_theory", "t -> {base}*(1 - t/{T})"),
    ("cosine", "cosine({base}, period: {T}, last: {end})"),
    (
        "sgdr_8_2",
        "sgdr({lr_max}, period: {T_0}, factor: {T_mult}, last: {lr_min})",
    ),
    (
        "sgdr_15_1",
        "sgdr({lr_max}, period: {T_0}, factor: {T_mult}, last: {lr_min})",
    ),
    (
        "sgdr_5_3",
        "sgdr({lr_max}, period: {T_0}, factor: {T_mult}, last: {lr_min})",
    ),
    (
        "sgdr_epochs",
        "sgdr({lr_max}, period: {T_0}*{steps_per_epoch}, factor: {T_mult}, last: {lr_min})",
    ),
    ("wsd_linear", "wsd({base}, steps: {T}, cooldown: {cooldown})"),
    ("wsd_sqrt", "wsd_sqrt({base}, steps: {T}, cooldown: {cooldown})"),
    ("warmup_constant", "warmup(constant({base}), steps: {W})"),
    ("warmup_inverse_sqrt", "t -> {base}*min(t/{W}, sqrt({W}/t))"),
    (
        "warmup_then_linear",
        "warmup_then(linear({base}, steps: {T} - {W}), steps: {W})",
    ),
];

#[test]
fn recorded_schedules() {
    let f = fixture("schedules");
    let mut failures = vec![];
    for (name, text) in SCHEDULES {
        let Some(case) = f["cases"].as_array().unwrap().iter().find(|c| c["case"] == *name) else {
            failures.push(format!("no case {name}"));
            continue;
        };
        let text = filled(text, &case["hyper"]);
        let values = vector(&case["values"]);
        // On f(x) = x the gradient is 1: the moves are the schedule.
        let made = match method(&format!("gd(lr: {text})"), 1) {
            Ok(m) => m,
            Err(e) => {
                failures.push(format!("{name}: {e}"));
                continue;
            }
        };
        let mut line = Line(Counts::default());
        let mut run = Run::new(Arc::new(made), &mut line, &Point::plain(vec![0.0]), Options::default()).unwrap();
        let mut before = 0.0;
        for (t, want) in values.iter().enumerate() {
            if let Some(why) = run.advance(&mut line, 1, &|| 0.0) {
                failures.push(format!("{name} at {}: {why:?}", t + 1));
                break;
            }
            let x = run.state().x[0];
            let have = before - x;
            before = x;
            if (have - want).abs() > 1e-12 * (1.0 + x.abs()) {
                failures.push(format!("{name} ({text}) at {}: {have}, expected {want}", t + 1));
                break;
            }
        }
    }
    report_failures(failures);
}

/// `f(x) = x`.
struct Line(Counts);

impl Oracle for Line {
    fn dim(&self) -> usize {
        1
    }
    fn class(&self) -> Class {
        Class::Smooth
    }
    fn offers(&self) -> Needs {
        Needs::FIRST_ORDER
    }
    fn value(&mut self, x: &[f64]) -> Result<f64, Fault> {
        self.0.values += 1;
        Ok(x[0])
    }
    fn gradient(&mut self, _: &[f64], g: &mut [f64]) -> Result<(), Fault> {
        self.0.gradients += 1;
        g[0] = 1.0;
        Ok(())
    }
    fn hvp(&mut self, _: &[f64], _: &[f64], _: &mut [f64]) -> Result<(), Fault> {
        Err(Fault::NotOffered("products".into()))
    }
    fn hessian(&mut self, _: &[f64], _: &mut Csr) -> Result<(), Fault> {
        Err(Fault::NotOffered("Hessian".into()))
    }
    fn counts(&self) -> Counts {
        self.0
    }
}

/// `f(x) = Σ (x_i − 1)²/2`, evaluated in place.
struct Bowl(usize, Counts);

impl Oracle for Bowl {
    fn dim(&self) -> usize {
        self.0
    }
    fn class(&self) -> Class {
        Class::Smooth
    }
    fn offers(&self) -> Needs {
        Needs::FIRST_ORDER
    }
    fn value(&mut self, x: &[f64]) -> Result<f64, Fault> {
        self.1.values += 1;
        Ok(x.iter().map(|v| (v - 1.0) * (v - 1.0) / 2.0).sum())
    }
    fn gradient(&mut self, x: &[f64], g: &mut [f64]) -> Result<(), Fault> {
        self.1.gradients += 1;
        g.iter_mut().zip(x).for_each(|(g, x)| *g = x - 1.0);
        Ok(())
    }
    fn hvp(&mut self, _: &[f64], v: &[f64], out: &mut [f64]) -> Result<(), Fault> {
        self.1.products += 1;
        out.copy_from_slice(v);
        Ok(())
    }
    fn hessian(&mut self, _: &[f64], _: &mut Csr) -> Result<(), Fault> {
        Err(Fault::NotOffered("Hessian".into()))
    }
    fn counts(&self) -> Counts {
        self.1
    }
}

#[test]
fn steps_allocate_nothing_and_pass_once() {
    for (pipeline, passes) in [
        ("gd(lr: 0.1)", 1),
        ("heavy_ball(lr: inverse_sqrt(0.1))", 1),
        ("adam(lr: 0.1)", 1),
        ("adamw(lr: cosine(0.1, period: 100)) |> ema()", 1),
        // A norm is known only when all entries have been seen.
        ("clip(max_norm: 1) |> adam(lr: 0.1)", 2),
    ] {
        let m = method(pipeline, 600).unwrap();
        assert_eq!(m.passes(), passes, "{pipeline}");
        let mut p = Bowl(600, Counts::default());
        let mut run = Run::new(
            Arc::new(m),
            &mut p,
            &Point::plain(vec![0.0; 600]),
            Options {
                trace_rows: 4,
                ..Options::default()
            },
        )
        .unwrap();
        run.advance(&mut p, 8, &|| 0.0);
        let before = super::cost::allocations();
        run.advance(&mut p, 92, &|| 0.0);
        let made = super::cost::allocations() - before;
        assert!(made <= 2, "{pipeline}: {made} allocations in steps 9 to 100");
        assert_eq!(run.steps(), 100);
        assert_eq!(run.counts().gradients, 100);
        assert_eq!(run.counts().total(), 100, "{pipeline}: nothing but gradients");
        assert_eq!(run.extra(), Counts::default());
    }
}
