//! What a step asks beside value and gradient: constraints, residuals, Jacobians, gradients of all terms; and the library's
//! methods that live on them, against recorded numbers of the reference in numpy and against the built-in methods.
//!
//! Invariant: every number is held to an independent one.

#![allow(clippy::unwrap_used, reason = "tests")]

use ravine::base::Code;
use ravine::base::value::Value;
use ravine::report::ResultEntry;
use ravine::session::Session;
use serde_json::Value as Json;

use super::harness::{last_solve, root, run, session};

fn fixture(name: &str) -> Json {
    let path = root().join("tests/fixtures").join(format!("{name}.json"));
    serde_json::from_str(&std::fs::read_to_string(path).unwrap()).unwrap()
}

fn vector(v: &Json) -> Vec<f64> {
    v.as_array().unwrap().iter().map(|v| v.as_f64().unwrap()).collect()
}

/// `1, 2`, `[1, 2]` or `[1, 2; 3, 4]`, in every bit.
fn text(v: &Json) -> String {
    match v {
        Json::Array(a) if a.first().is_some_and(Json::is_array) => {
            let rows: Vec<String> = a.iter().map(|r| text(r).trim_matches(['[', ']']).to_string()).collect();
            format!("[{}]", rows.join("; "))
        }
        Json::Array(a) => format!("[{}]", a.iter().map(text).collect::<Vec<_>>().join(", ")),
        v => format!("{:?}", v.as_f64().unwrap()),
    }
}

/// Runs a text that is right, and gives what its prints printed.
fn printed(s: &mut Session, text: &str) -> Vec<Vec<f64>> {
    let before = s.report.results.len();
    let r = run(s, "oracles.opt", text);
    assert!(r.codes.is_empty(), "{text}\n{}", r.shown);
    let found = s.report.results[before..].iter().filter_map(|r| match r {
        ResultEntry::Value {
            value: Value::Array { tensor, .. },
            ..
        } => Some(tensor.to_dense()),
        _ => None,
    });
    found.collect()
}

#[track_caller]
fn near(found: &[f64], want: &[f64], relative: f64, what: &str) {
    let scale = want.iter().fold(1.0f64, |m, v| m.max(v.abs()));
    assert_eq!(found.len(), want.len(), "{what}: {found:?}");
    for (a, b) in found.iter().zip(want) {
        assert!(
            (a - b).abs() <= relative * scale,
            "{what}: {found:?}, expected {want:?}"
        );
    }
}

/// A problem whose terms have these gradients.
fn tasks(g: &Json) -> String {
    let (m, n) = (g.as_array().unwrap().len(), g[0].as_array().unwrap().len());
    format!(
        "param rows: Matrix[{m}, {n}] = {}
problem tasks {{
  var w: Vector[{n}]
  minimize mean(k in 1..{m}) sum(j in 1..{n}) rows[k, j]*w[j]
}}
",
        text(g)
    )
}

#[test]
fn directions_from_all_gradients() {
    for (name, method, column) in [
        ("config_combination", "config(1)", "out"),
        ("aligned_mtl", "aligned_mtl", "direction"),
    ] {
        for c in fixture(name)["cases"].as_array().unwrap() {
            let method = match c["mode"].as_str() {
                // Weighted directions and medians are not written.
                _ if c.get("w").is_some() => continue,
                // A sum of one term is no sum.
                _ if c["G"].as_array().unwrap().len() == 1 => continue,
                Some("median") => continue,
                Some("rmse") => format!("{method}(1, scale: rms)"),
                Some(_) => format!("{method}(1)"),
                None => method.to_string(),
            };
            let mut s = session(&root());
            let program = format!(
                "{}s = solve tasks with {method} for 1 steps
r = start tasks with {method} for 2 steps
step r for 2 steps
print s.w, r.evaluations",
                tasks(&c["G"])
            );
            let found = printed(&mut s, &program);
            let want: Vec<f64> = vector(&c[column]).iter().map(|v| -v).collect();
            near(&found[0], &want, 1e-12, &format!("{name} {}", c["case"]));
            // One for each term in each step.
            near(
                &found[1],
                &[2.0 * c["G"].as_array().unwrap().len() as f64],
                0.0,
                "evaluations",
            );
        }
    }
}

#[test]
fn one_gradient_a_step_and_the_means_of_all() {
    let f = fixture("m_config_turns");
    let p = &f["problem"];
    let xs = f["trace"]["x"].as_array().unwrap();
    // No move until every task was seen; then all digits of the reference.
    for steps in [1, 2, 3, 10, xs.len() - 1] {
        let program = format!(
            "param a: Matrix[3, 4] = {}
param c: Vector[3] = {}
param centre: Matrix[3, 4] = {}
problem tasks {{
  var z: Vector[4] from {}
  minimize mean(k in 1..3) ((sum(j in 1..4) a[k, j]*z[j] - c[k])^2 + sum(j in 1..4) (z[j] - centre[k, j])^2/10)
}}
s = solve tasks with m_config({}) for {steps} steps
print s.z",
            text(&p["a"]),
            text(&p["c"]),
            text(&p["centre"]),
            text(&f["start"]),
            f["lr"],
        );
        let found = printed(&mut session(&root()), &program);
        near(&found[0], &vector(&xs[steps]), 1e-12, &format!("m_config {steps}"));
    }
}

#[test]
fn error_feedback() {
    let f = fixture("ef21");
    // Without feedback is a method that the reference shows to fail.
    let cases = f["cases"]
        .as_array()
        .unwrap()
        .iter()
        .filter(|c| c["case"] != "no_feedback_top1");
    for c in cases {
        let h = &c["hyper"];
        let weights = match &h["weights"] {
            Json::Null => String::new(),
            w => format!(", weights: {}", text(w)),
        };
        let xs = c["trace"]["x"].as_array().unwrap();
        for steps in [1, 7, xs.len() - 1] {
            let program = format!(
                "param rows: Matrix[3, 3] = {}
problem nodes {{
  var z: Vector[3] from {}
  minimize mean(i in 1..3) ((sum(j in 1..3) rows[i, j]*z[j])^2 + sumsq(z)/4)
}}
s = solve nodes with ef21(lr: {}, k: {}{weights}) for {steps} steps
print s.z",
                text(&f["problem"]["a"]),
                text(&f["start"]),
                text(&h["gamma"]),
                h["k"],
            );
            let found = printed(&mut session(&root()), &program);
            near(
                &found[0],
                &vector(&xs[steps]),
                1e-12,
                &format!("ef21 {} {steps}", c["case"]),
            );
        }
    }
}

#[test]
fn the_largest_entries() {
    for c in fixture("topk")["cases"].as_array().unwrap() {
        let n = c["v"].as_array().unwrap().len();
        let program = format!(
            "problem line {{
  var z: Vector[{n}]
  minimize dot({}, z)
}}
s = solve line with topk({}) |> gd(lr: 1) for 1 steps
print s.z",
            text(&c["v"]),
            c["k"],
        );
        let found = printed(&mut session(&root()), &program);
        let want: Vec<f64> = vector(&c["out"]).iter().map(|v| -v).collect();
        near(&found[0], &want, 0.0, &format!("{}", c["case"]));
    }
}

#[test]
fn adaptation_to_a_stream() {
    let f = fixture("sar");
    let batches = f["problem"]["Z_per_step"].as_array().unwrap();
    let rows: Vec<Json> = batches.iter().flat_map(|b| b.as_array().unwrap().clone()).collect();
    let (n, each) = (rows.len(), batches[0].as_array().unwrap().len());
    // The entropy of a softmax of u is lse(u) - softmax(u).u.
    let u = "(sum(j in 1..3) (Z[i, j]*scale[j] + shift[j])*W[j, k])";
    for c in f["cases"].as_array().unwrap() {
        let h = &c["hyper"];
        for steps in [1, 12, 13, batches.len()] {
            let program = format!(
                "param Z: Matrix[{n}, 3] = {}
param W: Matrix[3, 3] = {}
problem stream {{
  var scale: Vector[3] from 1
  var shift: Vector[3]
  minimize mean(i in 1..{n}) (log(sum(k in 1..3) exp({u})) - (sum(k in 1..3) exp({u})*{u})/(sum(k in 1..3) exp({u})))
}}
s = solve stream with sar({}, threshold: {}, batch: {each}, rho: {}, least: {}) for {steps} steps
print s.scale, s.shift",
                text(&Json::Array(rows.clone())),
                text(&f["problem"]["W"]),
                text(&h["lr"]),
                text(&h["E0"]),
                text(&h["rho"]),
                text(&h["e_m"]),
            );
            let found = printed(&mut session(&root()), &program);
            for (k, name) in ["scale", "shift"].into_iter().enumerate() {
                let want = vector(&c["trace"][name][steps]);
                near(&found[k], &want, 1e-11, &format!("sar {} {name} at {steps}", c["case"]));
            }
        }
    }
}

#[test]
fn refined_steps_and_the_bound() {
    for c in fixture("schedule_refined")["cases"].as_array().unwrap() {
        let h = &c["hyper"];
        let norms = text(&c["gradient_norms"]);
        let window = text(&h["frac"]);
        let power = if h["weights"] == "l1" { 1 } else { 2 };
        let found = printed(
            &mut session(&root()),
            &format!("print refined({norms}, {window}, {power})"),
        );
        let mut want = vector(&c["values"]);
        // Ours are always such that the largest is 1.
        let top = want.iter().fold(0.0f64, |m, v| m.max(*v));
        want.iter_mut().for_each(|v| *v /= top);
        near(&found[0], &want, 1e-12, &format!("{}", c["case"]));
    }
    for c in fixture("schedule_bound")["cases"].as_array().unwrap() {
        let shape = text(&c["shape"]);
        let n = c["shape"].as_array().unwrap().len();
        let norms = match &c["G"] {
            Json::Array(_) => text(&c["G"]),
            g => format!("{}*ones({n})", text(g)),
        };
        let d = text(&c["D"]);
        let program = format!("print last_bound(0.1*{shape}, {d}, {norms}), best_base({shape}, {d}, {norms})");
        let found = printed(&mut session(&root()), &program);
        let case = format!("{}", c["case"]);
        near(&found[0], &[c["omega_at_base_0_1"].as_f64().unwrap()], 1e-12, &case);
        near(&found[1], &[c["optimal_base"].as_f64().unwrap()], 1e-12, &case);
    }
    // A list as a schedule: on f(x) = x the moves are its numbers.
    let program = "problem line {
  var z: Real
  minimize z
}
for k in 1..4 {
  moved = solve line with gd(lr: following([3, 1, 0.5])) for k steps
}
print moved[1].z, moved[2].z, moved[3].z, moved[4].z";
    let found = printed(&mut session(&root()), program).concat();
    near(&found, &[-3.0, -4.0, -4.5, -5.0], 1e-15, "following");
}

#[test]
fn projections_and_corners_of_sets() {
    for c in fixture("projections")["cases"].as_array().unwrap() {
        let (v, n, eps) = (text(&c["v"]), c["v"].as_array().unwrap().len(), text(&c["eps"]));
        let sets = [
            ("simplex", "in simplex", String::new()),
            ("l1", "", format!("  subject to\n    ball: norm1(z) <= {eps}\n")),
            ("l2", "", format!("  subject to\n    ball: norm(z) <= {eps}\n")),
            ("linf", "", format!("  subject to\n    ball: norminf(z) <= {eps}\n")),
        ];
        for (name, set, more) in &sets {
            // A gradient step of length 1 goes to `v`, whatever the start.
            let program = format!(
                "problem near {{
  var z: Vector[{n}] {set}
  minimize sumsq(z - {v})/2
{more}}}
s = solve near with gd(lr: 1) |> projected() for 1 steps
print s.z"
            );
            let found = printed(&mut session(&root()), &program);
            near(
                &found[0],
                &vector(&c[*name]),
                1e-12,
                &format!("{name} of {}", c["case"]),
            );
        }
        // The corner is the same for the gradient of a linear objective, which points the other way.
        for (name, set, more) in &sets[1..] {
            let program = format!(
                "problem far {{
  var z: Vector[{n}] {set}
  maximize dot({v}, z)
{more}}}
s = solve far with frank_wolfe(toward, length: open) for 1 steps
print s.z"
            );
            let found = printed(&mut session(&root()), &program);
            let want = vector(&c[&format!("lmo_{name}")]);
            // Where an entry of `v` is 0, every point of an edge is a corner as good.
            let fixed: Vec<usize> = (0..n).filter(|k| *name != "linf" || c["v"][*k] != 0.0).collect();
            let pick = |v: &[f64]| fixed.iter().map(|k| v[*k]).collect::<Vec<_>>();
            near(
                &pick(&found[0]),
                &pick(&want),
                1e-12,
                &format!("corner of {name}, {}", c["case"]),
            );
        }
    }
}

const DECAY: &str = "param n: Int = 20
param y: Vector[n] = [i in 1..n] (2*exp(-0.14*i) + 0.01*sin(7*i))
problem decay {
  var a: Real from 1
  var b: Real from 0.1
  minimize sum(i in 1..n) 3*(a*exp(-0.2*b*i) - y[i])^2 + 5
}
";

#[test]
fn residuals_and_their_jacobian() {
    // J'r is half the gradient, J'J + Σ r ∇²r half the Hessian, and products are those of the matrix.
    let program = format!(
        "{DECAY}
optimizer looks() {{
  step t {{
    let r = residuals(x)
    let J = jacobian(x, of: residuals)
    let v = 0.3*x + 0.1*ones(x)
    record square = sumsq(r) + 5 - value(x)
    record slope = norm(2*J'*r - grad(x))
    record along = norm(J*v - jvp(x, v, of: residuals))
    record back = norm(J'*r - vjp(x, r, of: residuals))
    x <- x - 0.001*grad(x)
  }}
}}
s = solve decay with looks() for 1 steps
print s.trace.square, s.trace.slope, s.trace.along, s.trace.back
g = solve decay with gauss_newton() until stationarity <= 1e-10 for 50 steps
m = solve decay with levenberg_marquardt() until stationarity <= 1e-10 for 50 steps
q = solve decay
print g.a, g.b, m.a, m.b, q.a, q.b"
    );
    let mut s = session(&root());
    let found = printed(&mut s, &program);
    for k in 0..4 {
        near(&found[k][1..], &[0.0], 1e-13, &format!("record {k}"));
    }
    let ends: Vec<f64> = found[4..].concat();
    near(&ends[..2], &ends[4..], 1e-8, "Gauss-Newton");
    near(&ends[2..4], &ends[4..], 1e-8, "Levenberg-Marquardt");
    // Counted: one vector and one Jacobian for each step of Gauss and Newton.
    let counted = printed(
        &mut s,
        "r = start decay with gauss_newton()\nstep r for 3 steps\nprint r.evaluations",
    );
    near(&counted[0], &[6.0], 0.0, "evaluations");
}

const HILL: &str = "problem hill {
  var v: Vector[4] in [1, 5] from [1, 5, 5, 1]
  minimize v[1]*v[4]*(v[1] + v[2] + v[3]) + v[3]
  subject to
    product: v[1]*v[2]*v[3]*v[4] >= 25
    ball: sumsq(v) == 40
}
problem toy {
  var z: Vector[3] from 1
  minimize sumsq(z - [1, 2, 3])
  subject to
    total: sum(z) == 3
    cap: -9 <= z[3] <= 1.2
    pair[i in 1..2]: z[i]^2 <= 4
}
";

#[test]
fn constraints_with_their_multipliers() {
    let mut s = session(&root());
    let program = format!(
        "{HILL}a = solve hill with augmented_lagrangian()
print a.objective, a.v
b = solve toy with augmented_lagrangian()
c = solve toy
print b.z, b.dual(total), b.dual(cap), b.dual(pair), c.z, c.dual(total), c.dual(cap), c.dual(pair)"
    );
    let found = printed(&mut s, &program);
    // Hock and Schittkowski 1981, problem 71.
    near(&found[0], &[17.014_017_289], 1e-8, "objective");
    near(
        &found[1],
        &[1.0, 4.742_999_64, 3.821_149_98, 1.379_408_29],
        1e-7,
        "point",
    );
    for k in 2..6 {
        near(&found[k], &found[k + 4], 1e-6, &format!("what is printed at {k}"));
    }
    let statuses: Vec<String> = s
        .report
        .results
        .iter()
        .filter_map(|r| match r {
            ResultEntry::Solve(e) => Some(e.status.to_string()),
            _ => None,
        })
        .collect();
    assert_eq!(statuses, ["stationary", "optimal", "optimal"]);
    // Names, kinds and orientation of the rows.
    let program = "optimizer looks() {
  step t {
    let all = constraints(x)
    record total = norm(all.total)
    record low = all.cap[1]
    record high = all.cap[2]
    record pairs = all.pair[1] + all.pair[2]
    record kinds = sum(equations)
    record rows = norm(jacobian(x)*x - jvp(x, x))
    x <- x + 0*x
  }
}
l = solve toy with looks() for 1 steps
print l.trace.total, l.trace.low, l.trace.high, l.trace.pairs, l.trace.kinds, l.trace.rows";
    let found = printed(&mut session(&root()), &format!("{HILL}{program}"));
    let last: Vec<f64> = found.iter().map(|v| v[1]).collect();
    near(&last, &[0.0, -10.0, -0.2, -6.0, 1.0, 0.0], 1e-14, "rows at the start");
}

#[test]
fn what_a_problem_cannot_answer() {
    let head = "problem plain {
  var z: Vector[2]
  minimize sumsq(z) + sum(z)
}
problem round {
  var z: Vector[2]
  minimize sum(z)
  subject to
    c: (z[1], z[2], 1) in ExpCone
}
";
    let ask = |what: &str| {
        format!("optimizer asks() {{\n  step t {{\n    let r = {what}\n    x <- x - 0*norm(r)*x\n  }}\n}}\n")
    };
    for (what, problem) in [
        ("constraints(x)", "plain"),
        ("constraints(x)", "round"),
        ("equations", "plain"),
        ("residuals(x)", "plain"),
        ("jacobian(x, of: residuals)", "plain"),
        ("vjp(x, constraints(x))", "plain"),
        ("grads(x)", "plain"),
    ] {
        let mut s = session(&root());
        let r = run(
            &mut s,
            "asks.opt",
            &format!("{head}{}solve {problem} with asks()", ask(what)),
        );
        assert_eq!(r.codes, [Code::OracleMissing], "{what}: {}", r.shown);
        assert!(last_solve(&s).is_none(), "{what}: nothing runs");
    }
    for what in [
        "jacobian(x, of: rows)",
        "jvp(x, residuals(x))",
        "vjp(x, residuals(x))",
        "constraints()",
        "grads(x, 1)",
    ] {
        let mut s = session(&root());
        let r = run(&mut s, "asks.opt", &ask(what));
        assert_eq!(r.codes, [Code::NoOverload], "{what}: {}", r.shown);
    }
    // A method that heeds constraints is not stopped by a claim: what it leaves violated is said.
    let mut s = session(&root());
    let r = run(
        &mut s,
        "none.opt",
        "problem none {
  var z: Vector[2]
  minimize sumsq(z)
  subject to
    a: z[1] + z[2] >= 1
    b: z[1] + z[2] <= 0
}
solve none with augmented_lagrangian() until change <= 1e-3 for 300 steps",
    );
    let e = last_solve(&s).unwrap();
    assert!(
        !matches!(e.status.to_string().as_str(), "optimal" | "stationary" | "feasible"),
        "{}",
        r.shown
    );
}

#[test]
fn saddle_points_on_simplices() {
    // The value of a game by a linear program, and by its saddle point.
    let program = "param A: Matrix[3, 3] = [1, -2, 0.5; -1, 3, 0; 0.2, -0.4, 1]
problem game {
  min p: Vector[3] in simplex from 1/3
  max q: Vector[3] in simplex from 1/3
  objective value: dot(p, A*q)
}
problem program {
  var p: Vector[3] in simplex
  var v: Real
  minimize v
  subject to
    worst[j in 1..3]: sum(i in 1..3) A[i, j]*p[i] <= v
}
s = solve game
l = solve program
print s.objective, l.objective, s.p, l.p
e = solve game with extragradient(lr: 0.5/sigma_max(A)) |> projected() until gap <= 1e-8
print e.objective
problem bowl {
  min u: Real
  max w: Real
  objective value: (u - 1)^2 + u*w - 2*w^2
}
b = solve bowl
print b.u, b.w";
    let mut s = session(&root());
    let found = printed(&mut s, program);
    near(&found[0], &found[1], 1e-7, "the value");
    near(&found[2], &found[3], 1e-6, "the mixed strategy");
    near(&found[4], &found[1], 1e-7, "the value, with a method asked for");
    // 2(u - 1) + w = 0 and u = 4 w.
    near(
        &[found[5][0], found[6][0]],
        &[8.0 / 9.0, 2.0 / 9.0],
        1e-7,
        "the saddle of the bowl",
    );
    let ends: Vec<(String, bool)> = s
        .report
        .results
        .iter()
        .filter_map(|r| match r {
            ResultEntry::Solve(e) => Some((e.status.to_string(), e.residuals.iter().any(|r| r.name == "gap"))),
            _ => None,
        })
        .collect();
    assert_eq!(ends[0], ("optimal".to_string(), true), "a verified gap");
    assert_eq!(ends[3], ("optimal".to_string(), false));
    // What is not proved convex and concave stays stationary.
    let program = "problem bent {
  min u: Real from 0.1
  max w: Real from 0.1
  objective sin(u) - sin(w)
}
solve bent with extragradient(lr: 0.5)";
    run(&mut s, "bent.opt", program);
    assert_eq!(last_solve(&s).unwrap().status.to_string(), "stationary");
}

#[test]
fn frank_wolfe_on_sets() {
    let mut s = session(&root());
    let program = "param c: Vector[4] = [2, 0.3, -1, 0.4]
problem simplex_of {
  var z: Vector[4] in simplex from 1/4
  minimize sumsq(z - c)/2 + z[1]*z[2] + z[2]^2
}
problem ball_of {
  var z: Vector[4]
  minimize sumsq(z - c)/2
  subject to
    ball: norm1(z) <= 1.5
}
a = solve simplex_of with corrective_frank_wolfe() until gap <= 1e-10 for 100 steps
b = solve simplex_of
d = solve ball_of with corrective_frank_wolfe() until gap <= 1e-10 for 100 steps
e = solve ball_of
f = solve simplex_of with frank_wolfe(pairwise) until gap <= 1e-10 for 1000 steps
print a.z, b.z, d.z, e.z, f.z";
    let found = printed(&mut s, program);
    near(&found[0], &found[1], 1e-6, "corrective, simplex");
    near(&found[2], &found[3], 1e-6, "corrective, ball");
    near(&found[4], &found[1], 1e-6, "pairwise");
}
