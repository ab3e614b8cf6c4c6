//! Optimizers of a user's own: what first programs of newcomers ran into.
//!
//! Invariant: expectations are closed forms or what the text of the program says, never what an earlier run printed.

#![allow(clippy::unwrap_used, reason = "tests")]

use ravine::base::Code;
use ravine::base::figure::Mark;
use ravine::base::view::View;
use ravine::report::SolveEntry;
use ravine::session::Event;
use ravine::solve::Status;
use ravine::solve::trace::{COUNTED, MEASURES};
use ravine_linalg::math;

use super::harness::{last_solve, printed_arrays as printed, ran_arrays as ran, root, run, session};

fn solved(text: &str) -> SolveEntry {
    let mut s = session(&root());
    let r = run(&mut s, "own.opt", text);
    last_solve(&s)
        .unwrap_or_else(|| panic!("no solve: {}", r.shown))
        .clone()
}

const BLOCKS: &str = "problem blocks {
  var W: Matrix[2, 3] from 1
  var V: Matrix[2, 2] from 2
  var c: Vector[2] from 3
  minimize sumsq(W)/2 + sumsq(V)/2 + sumsq(c)/2
}
";

#[test]
fn a_long_run_and_a_short_one_are_drawn_on_one_another() {
    let text = "problem q {\n  var x: Vector[2] from [1, 1]\n  minimize x[1]^2 + 1e-3*x[2]^2\n}\n\
                s = compare q with {\n  fast: gd(lr: 0.3) for 20000 steps\n  short: gd(lr: 0.3) for 20 steps\n}\nplot s";
    let mut figure = None;
    session(&root()).run("own.opt", text, &mut |e| {
        if let Event::Shown(View::Figure(f)) = e {
            figure = Some(*f);
        }
    });
    let figure = figure.unwrap();
    assert!(figure.x.log);
    let line = |name: &str| -> Vec<(f64, f64)> {
        let mut marks = figure.marks.iter();
        let found = marks.find_map(|m| match m {
            Mark::Line { points, label, .. } if label == name => Some(points.clone()),
            _ => None,
        });
        found.unwrap()
    };
    let (fast, short) = (line("fast"), line("short"));
    for k in [1.0, 2.0, 4.0, 8.0, 16.0] {
        let at = |l: &[(f64, f64)]| l.iter().find(|p| p.0 == k).unwrap_or_else(|| panic!("no step {k}")).1;
        let (rate, slow) = (1.0 - 0.3 * 2.0, 1.0 - 0.3 * 2e-3);
        let exact = math::powi(rate, 2 * k as i32) + 1e-3 * math::powi(slow, 2 * k as i32);
        assert!((at(&short) - exact).abs() < 1e-12 * exact.max(1.0), "{k}");
        assert_eq!(at(&fast).to_bits(), at(&short).to_bits(), "{k}");
    }
    assert!(
        figure.notes.iter().any(|n| n.contains("one step in 200 ")),
        "{:?}",
        figure.notes
    );
}

#[test]
fn a_term_that_the_sum_does_not_have_is_no_number() {
    for (ask, term) in [("grad(x, 5)", 5), ("grad(x, t - 1)", 0), ("hvp(x, x, 5)", 5)] {
        let e = solved(&format!(
            "problem f {{\n  var w: Real from 1\n  minimize mean(i in 1..4) i*sin(w + i)\n}}\n\
             optimizer o() {{\n  step t {{\n    x <- x - {ask}\n  }}\n}}\nsolve f with o() for 3 steps"
        ));
        assert_eq!(e.status, Status::EvaluationError);
        let want = format!("step 1: term {term} is asked for, and the sum has terms 1 to 4");
        assert!(e.reason.starts_with(&want), "{}", e.reason);
    }
    // Times the number of terms: an estimate of the whole, as the page says.
    let v = printed(
        "problem f {\n  var w: Real\n  minimize sum(i in 1..3) (w - i)^2\n}\noptimizer o() {\n  step t {\n    \
         record g = sum(grad(x, 2))\n    record v = value(x, 2)\n    x <- x - 0*grad(x)\n  }\n}\n\
         r = start f with o() for 1 steps\nstep r\nprint r.g, r.v",
    );
    assert_eq!(v, [[3.0 * -4.0], [3.0 * 4.0]]);
}

#[test]
fn a_size_named_twice_is_one_size() {
    let v = printed(&format!(
        "{BLOCKS}optimizer o(p: Int = 3) {{\n  each X: Matrix[r, r] in x {{\n    state n = 1\n  }} else {{\n    state n = 2\n  }}\n  \
         step t {{\n    each X: Matrix[r, r] in x {{\n      X <- 0*X\n    }} else {{\n      n <- n + 1\n    }}\n    \
         each X: Matrix[a, p] in x {{\n      X <- 5*X\n    }}\n  }}\n}}\n\
         r = start blocks with o() for 1 steps\nstep r\nprint r.V, r.W, r.c, r.n.V, r.n.W"
    ));
    assert_eq!(v, [vec![0.0; 4], vec![5.0; 6], vec![3.0; 2], vec![1.0], vec![3.0]]);
}

#[test]
fn states_and_records_of_blocks_are_read_by_their_names() {
    let text = format!(
        "{BLOCKS}optimizer o(lr: Real) {{\n  each X: Matrix[p, q] in x {{\n    state L = eye(p)\n  }} else {{\n    state s = zeros(X)\n  }}\n  \
         step t {{\n    let g = grad(x)\n    each X: Matrix[p, q] in x {{\n      L <- L + g.X*g.X'\n      X <- X - lr*g.X\n      \
         record moved = norm(X - old(X))\n      record grown = norm(L - old(L))\n    }} else {{\n      s <- s + g.X.^2\n      X <- X - lr*g.X\n      \
         record left = norm(old(X))\n    }}\n  }}\n}}\n\
         r = start blocks with o(0.5) for 10 steps\nstep r\n\
         print r.L.W, r.s.c, r.moved.W, r.moved.V, r.grown.V, r.left\n\
         step r break when norm(L.V) > 12 or step >= 9\nprint r.step\n"
    );
    let v = printed(&text);
    let one = |k: usize| v[k][0];
    assert_eq!(v[0], [4.0, 3.0, 3.0, 4.0]);
    assert_eq!(v[1], [9.0, 9.0]);
    assert!((one(2) - 0.5 * 6f64.sqrt()).abs() < 1e-15 && (one(3) - 0.5 * 16f64.sqrt()).abs() < 1e-15);
    // g g' of a matrix of four twos is four eights.
    assert!((one(4) - 16.0).abs() < 1e-12, "{}", one(4));
    assert!((one(5) - 18f64.sqrt()).abs() < 1e-15);
    // L = I + 8(1 + 1/4 + …) 11': norm over 12 from the first step on.
    assert_eq!(one(6), 2.0);
}

#[test]
fn one_term_of_what_is_no_sum_is_refused_beforehand() {
    for ask in ["grad(x, 1)", "value(x, 1)*x"] {
        let (r, _) = ran(&format!(
            "problem q {{\n  var w: Vector[2] from 1\n  minimize exp(w[1] + w[2]) + sumsq(w)\n}}\n\
             optimizer o() {{\n  step t {{\n    x <- x - {ask}\n  }}\n}}\nsolve q with o() for 1 steps"
        ));
        assert_eq!(r.codes, [Code::OracleMissing], "{}", r.shown);
    }
}

#[test]
fn sums_are_found_as_they_are_written() {
    for (sum, term) in [
        ("c[i]*w^2", "2*c[2]*0.5"),
        ("c[i]*w", "c[2]"),
        ("c[i]*exp(w)", "c[2]*exp(0.5)"),
        ("(w - c[i])^2", "2*(0.5 - c[2])"),
    ] {
        let v = printed(&format!(
            "param c: Vector[3] = [1, 10, 100]\nproblem f {{\n  var w: Real from 0.5\n  minimize sum(i in 1..3) {sum}\n}}\n\
             optimizer o(lr: Real) {{\n  step t {{\n    let b = sample(3, replace: false)\n    record g = sum(grad(x, 2))\n    \
             record all = norm(grad(x, b) - grad(x))\n    x <- x - lr*grad(x, b)\n  }}\n}}\n\
             r = start f with o(1e-4) for 4 steps\nstep r\nprint r.g, 3*({term}), r.all"
        ));
        assert!((v[0][0] - v[1][0]).abs() <= 1e-12 * v[1][0].abs(), "{sum}: {v:?}");
        assert!(v[2][0] <= 1e-12 * v[1][0].abs(), "{sum}: {v:?}");
    }
    let (r, _) = ran(
        "problem f {\n  var w: Vector[3] from 1\n  minimize sum(i in 1..3) (w[i] - i)^2\n}\n\
         optimizer o() {\n  step t {\n    x <- x - grad(x, sample(1))\n  }\n}\nsolve f with o() for 1 steps",
    );
    assert_eq!(r.codes, [Code::OracleMissing]);
    assert!(r.shown.contains("they are parts, not samples"), "{}", r.shown);
}

#[test]
fn a_race_begins_at_the_start() {
    let text =
        "problem valley {\n  var a: Real from -1.2\n  var b: Real from 1\n  minimize (1 - a)^2 + 100*(b - a^2)^2\n}\n";
    let race = "solve valley with race {\n  newton_tr()\n  slow: gd(lr: 1e-5)\n}\n";
    let (alone, after) = (
        solved(&format!("{text}{race}")),
        solved(&format!("{text}solve valley with lbfgs()\n{race}")),
    );
    assert_eq!(alone.iterations, after.iterations);
    assert!(alone.iterations.unwrap() > 1);
}

#[test]
fn names_of_an_optimizer_are_its_own() {
    let v = printed(
        "param lr: Real = 3\nparam t: Real = 3\nparam v: Real = 5\nparam p: Int = 7\nparam i: Int = 2\nparam X: Vector[2] = [1, 2]\n\
         problem g {\n  var W: Matrix[2, 3] from 1\n  minimize sumsq(W)/2\n}\nproblem q {\n  var u: Real from 1\n  minimize u^2\n}\n\
         optimizer o(lr: Schedule, d: Vector[n] = X) {\n  each X: Matrix[p, q] in x {\n    state v = zeros(p, q)\n  } else {\n    state v = zeros(X)\n  }\n  \
         step t {\n    let g = grad(x)\n    let s = sum(i in 1..2) i\n    each X: Matrix[p, q] in x {\n      v <- v + g.X\n      X <- X - lr(t)*g.X\n    } else {\n      X <- X - lr(t)*g.X\n    }\n  }\n}\n\
         r = start g with o(t -> 0.5/t) for 2 steps\nstep r for 2 steps\nprint r.W, r.v.W, t\nr = start q with o(0.25) for 1 steps\nstep r\nprint r.u",
    );
    assert_eq!(v[0], vec![0.375; 6]);
    assert_eq!(v[1], vec![1.5; 6]);
    assert_eq!((v[2][0], v[3][0]), (3.0, 0.5));
}

#[test]
fn the_line_that_diverges_is_quoted() {
    let e = solved(&format!(
        "{BLOCKS}optimizer o() {{\n  step t {{\n    each X: Matrix[p, q] in x {{\n      X <- X + 1\n    }} else {{\n      X <- X/(t - 1) - X/(t - 1)\n    }}\n  }}\n}}\n\
         solve blocks with o() for 5 steps"
    ));
    assert_eq!(e.status, Status::Diverged);
    assert!(
        e.reason.contains("`c[1]`") && e.reason.ends_with("`X <- X/(t - 1) - X/(t - 1)`"),
        "{}",
        e.reason
    );
}

#[test]
fn variables_that_stay_where_they_are_are_named() {
    let said = |text: &str| {
        let mut lines = vec![];
        session(&root()).run("own.opt", text, &mut |e| {
            if let Event::Log(l) = e {
                lines.push(l);
            }
        });
        lines
    };
    let each = "optimizer o() {\n  step t {\n    each X: Matrix[p, q] in x {\n      X <- X/2\n    }\n";
    let lines = said(&format!("{BLOCKS}{each}  }}\n}}\nsolve blocks with o() for 2 steps"));
    assert!(
        lines.iter().any(|l| l.contains("leaves `c` where it starts")),
        "{lines:?}"
    );
    let other = "    each X: Vector[n] in x {\n      X <- X/2\n    }\n";
    let lines = said(&format!(
        "{BLOCKS}{each}{other}  }}\n}}\nsolve blocks with o() for 2 steps"
    ));
    assert!(lines.iter().all(|l| !l.contains("where it starts")), "{lines:?}");
    // No variable is a matrix.
    let lines = said(&format!("{BOWL}{each}  }}\n}}\nsolve bowl with o() for 2 steps"));
    assert!(lines.iter().any(|l| l.contains("where it starts")), "{lines:?}");
}

#[test]
fn the_last_point_with_a_value_is_handed_out() {
    let text = |steps: u32| {
        format!(
            "problem q {{\n  var x: Real from 1\n  minimize x - log(x)/1000\n}}\n\
             optimizer o(lr: Real) {{\n  step t {{\n    x <- x - lr*grad(x)\n  }}\n}}\nsolve q with o(0.3) for {steps} steps"
        )
    };
    // x: 1, 0.7003, 0.4007, 0.1015, and then below 0.
    let mut x = 1.0f64;
    (0..3).for_each(|_| x -= 0.3 * (1.0 - 1.0 / (1000.0 * x)));
    let e = solved(&text(20));
    assert_eq!(e.status, Status::EvaluationError);
    assert!(
        (e.objective.unwrap() - (x - math::log(x) / 1000.0)).abs() < 1e-14,
        "{:?}",
        e.objective
    );
    assert!(
        e.reason.starts_with("step 5: ") && e.reason.contains("that of step 3"),
        "{}",
        e.reason
    );
    // Of a long run it is the last one that was looked at.
    let e = solved(&text(2000));
    assert!(
        e.objective.unwrap().is_finite() && e.reason.contains("that of step 2"),
        "{}",
        e.reason
    );
}

/// What is said of a program that is refused: one message, with these words in it.
fn one_message(text: &str, words: &[&str]) {
    let (r, _) = ran(text);
    assert_eq!(r.codes.len(), 1, "{}", r.shown);
    for w in words {
        assert!(r.shown.contains(w), "{w}: {}", r.shown);
    }
}

const BOWL: &str = "problem bowl {\n  var w: Vector[2] from 1\n  minimize sumsq(w)/2\n}\n";

#[test]
fn one_mistake_is_one_message() {
    // Names that are not declared, and everything that is asked of the run afterwards.
    let o = |step: &str| {
        format!(
            "{BOWL}optimizer o(lr: Real) {{\n  step t {{\n{step}\n  }}\n}}\nr = start bowl with o(0.1) for 5 steps\nstep r\nprint r.g, r.v, r.k\n"
        )
    };
    one_message(
        &o("    v <- 0.9*v - grad(x)\n    x <- x + lr*v"),
        &["`v` is no state", "state v = …"],
    );
    one_message(&o("    x <- x - lr*grd(x)"), &["did you mean `grad`?"]);
    one_message(
        &o("    w <- w - lr*grad(w)\n    x <- x"),
        &["the problem's variables together are `x`"],
    );
    one_message(
        &format!(
            "{BOWL}optimizer o() {{
  step t {{
    fail when norm(x) > 1
    x <- 0*x
  }}
}}"
        ),
        &["`fail when norm(x) > 1: \"why\"`"],
    );
    one_message(
        &format!("{BOWL}optimizer o() {{\n  state k: Int = 0\n  step t {{\n    x <- 0*x\n  }}\n}}"),
        &["`state k = 0`"],
    );
    one_message(
        &format!("{BOWL}optimizer o() {{\n  let k = 0\n  step t {{\n    x <- 0*x\n  }}\n}}"),
        &["each X: Matrix[p, q] in x"],
    );
    one_message(
        &format!("{BOWL}solve bowl with adam(rate: 0.1) for 5 steps"),
        &["did you mean `lr`?"],
    );
    one_message(
        &format!("{BOWL}solve bowl with gd(lr: 0.1) for 5 epochs"),
        &["counts passes over a sum"],
    );
    one_message(
        &format!("{BOWL}compare bowl {{\n  gd(lr: 0.1)\n}}"),
        &["`s = compare P with {"],
    );
    one_message(
        &format!("{BOWL}compare bowl seed 3 with {{\n  gd(lr: 0.1)\n}}"),
        &["over seeds"],
    );
    // The call is pointed at, and not only the library's line.
    let (r, _) = ran(&format!("{BOWL}solve bowl with adam(lr: -0.1) for 5 steps"));
    assert_eq!(r.codes, [Code::BadOption]);
    assert!(r.shown.contains("solve bowl with adam(lr: -0.1)"), "{}", r.shown);
}

#[test]
fn advice_after_a_step_is_about_the_step() {
    for (line, advice) in [
        ("x <- x - grad(x)/(t - 1)", "look there with `r = start …`"),
        ("while sumsq(x) >= 0 {\n      x <- x/2\n    }", "let the loop end"),
    ] {
        let (r, _) = ran(&format!(
            "{BOWL}optimizer o() {{\n  step t {{\n    {line}\n  }}\n}}\nsolve bowl with o() for 5 steps"
        ));
        assert!(r.shown.contains(advice), "{}", r.shown);
        assert!(!r.shown.contains("check the sign"), "{}", r.shown);
    }
}

#[test]
fn lines_that_leave_the_picture_say_so() {
    // Newton's step is exact: 0 has a place of its own on a logarithmic axis. What runs away leaves the picture.
    let text = format!(
        "{BOWL}s = compare bowl with {{\n  a: gd(lr: 0.1) for 200 steps\n  b: newton_tr()\n  up: gd(lr: 3) for 200 steps\n}}\nplot s"
    );
    let mut figure = None;
    session(&root()).run("own.opt", &text, &mut |e| {
        if let Event::Shown(View::Figure(f)) = e {
            figure = Some(*f);
        }
    });
    let svg = ravine::report::plot::svg(&figure.unwrap());
    assert!(svg.contains(">b<") && svg.contains(">up, off scale<"), "{svg}");
    assert!(svg.contains(">a<"), "{svg}");
}

const BALL: &str = "problem ball {\n  var w: Real from 1\n  minimize w^2\n}\n";

#[test]
fn what_is_recorded_is_a_copy() {
    let with = |lines: &str| {
        let text = format!(
            "{BALL}optimizer watched(lr: Real) {{\n  state h = lr\n  state k = 0\n  step t {{\n    k <- k + 1\n{lines}\n    x <- x - h*grad(x)\n  }}\n}}\n\
             s = solve ball with watched(0.1) for 5 steps\nprint s.path.w"
        );
        printed(&text).remove(0)
    };
    let plain = with("");
    for lines in [
        "    if t % 2 == 0 { record q = h } else { record q = 0 }",
        "    record q = h\n    if t > 2 { record q = 0 }",
        "    for j in 1..3 {\n      record q = h\n      record q = j\n    }",
        "    record q = k\n    record q = k + 1\n    record r = t\n    record r = h",
    ] {
        assert_eq!(with(lines), plain, "{lines}");
    }
    // The value at the line; the last one, or the first, where the line is not reached.
    let text = format!(
        "{BALL}optimizer watched(lr: Real) {{\n  state h = lr\n  step t {{\n    record before = h\n    h <- h/2\n    record after = h\n    \
         if t % 2 == 0 {{ record even = t }}\n    x <- x - h*grad(x)\n  }}\n}}\n\
         s = solve ball with watched(0.5) for 4 steps\nprint s.trace.before[2..5], s.trace.after[2..5], s.trace.even[2..5]"
    );
    let values = printed(&text);
    assert_eq!(values[0], [0.5, 0.25, 0.125, 0.0625]);
    assert_eq!(values[1], [0.25, 0.125, 0.0625, 0.03125]);
    assert_eq!(values[2], [2.0, 2.0, 2.0, 4.0]);
}

#[test]
fn a_copy_stays_as_it_was() {
    let path = |lines: &str| {
        let text = format!(
            "{BALL}optimizer o(lr: Real) {{\n  state v = 0\n  state p = 0\n  step t {{\n{lines}\n  }}\n}}\n\
             s = solve ball with o(0.1) for 4 steps\nprint s.path.w, s.w"
        );
        printed(&text)
    };
    // By hand: what `let d = v` and `p <- v` keep is the value at that line.
    let (mut x, mut v, mut byhand) = (1.0, 0.0, vec![1.0]);
    for t in 1..=4 {
        v = 0.5 * v + 2.0 * x;
        let d: f64 = v;
        if t % 2 == 0 {
            v = 0.0;
        }
        x -= 0.1 * d;
        byhand.push(x);
    }
    for lines in [
        "    v <- 0.5*v + sum(grad(x))\n    let d = v\n    if t % 2 == 0 { v <- 0 }\n    x <- x - lr*d*ones(x)",
        "    v <- 0.5*v + sum(grad(x))\n    p <- v\n    if t % 2 == 0 { v <- 0 }\n    x <- x - lr*p*ones(x)",
        "    v <- 0.5*v + sum(grad(x))\n    p <- v\n    for k in 1..2 { p <- p + 1 }\n    p <- p - 2\n    x <- x - lr*p*ones(x)\n    if t % 2 == 0 { v <- 0 }",
    ] {
        let got = path(lines).remove(0);
        assert!(
            got.iter().zip(&byhand).all(|(a, b)| (a - b).abs() < 1e-14),
            "{lines}: {got:?}, by hand {byhand:?}"
        );
    }
    // The answer is what it was told.
    let answer = path("    x <- x - lr*grad(x)\n    answer <- x\n    if t > 0 { x <- x - lr*grad(x) }");
    let (mut x, mut told) = (1.0, 0.0);
    for _ in 0..4 {
        x -= 0.1 * 2.0 * x;
        told = x;
        x -= 0.1 * 2.0 * x;
    }
    assert!((answer[1][0] - told).abs() < 1e-14, "{:?} for {told}", answer[1]);
}

#[test]
fn names_of_the_library_are_its_own() {
    let path = |name: &str| {
        printed(&format!(
            "param {name}: Int = 2\n{BALL}s = solve ball with gd(following([0.1, 0.2, 0.3, 0.4])) for 4 steps\nprint s.path.w"
        ))
        .remove(0)
    };
    let mut byhand = vec![1.0];
    for lr in [0.1, 0.2, 0.3, 0.4] {
        byhand.push(byhand[byhand.len() - 1] * (1.0 - 2.0 * lr));
    }
    for name in ["n", "k", "v", "unrelated"] {
        let got = path(name);
        assert!(
            got.iter().zip(&byhand).all(|(a, b)| (a - b).abs() < 1e-14),
            "{name}: {got:?}"
        );
    }
    // A user's own value stays his own within what he hands over.
    let own = printed(&format!(
        "param n: Real = 0.3\n{BALL}s = solve ball with gd(t -> n/t) for 2 steps\nprint s.path.w"
    ));
    assert!((own[0][2] - 0.4 * 0.7).abs() < 1e-14, "{:?}", own[0]);
    let soap = "param n: Int = 5\nproblem blocks {\n  var W: Matrix[3, 2] from 1\n  minimize sumsq(W)\n}\n\
                s = solve blocks with soap(0.01) for 3 steps\nprint s.W";
    assert!(printed(soap)[0].iter().all(|v| *v < 1.0));
}

#[test]
fn every_definition_of_the_library_is_known() {
    let names: Vec<&str> = ravine::session::Session::library().collect();
    assert!(names.len() > 80);
    for name in names {
        let text = format!("{BALL}solve ball with {name}() for 1 steps\nprint {name}(1, 1, 1, 1, 1, 1)");
        let r = run(&mut session(&root()), "own.opt", &text);
        let unknown =
            r.shown.contains(&format!("no method `{name}`")) && r.shown.contains(&format!("no function `{name}`"));
        assert!(!unknown, "{}", r.shown);
    }
}

#[test]
fn what_looks_is_not_counted_with_the_steps() {
    let with = |lines: &str, end: &str| {
        printed(&format!(
            "param X: Matrix[12, 2] = [i in 1..12, j in 1..2] sin(i*j)\nproblem fit {{\n  var w: Vector[2]\n  \
             minimize mean(i in 1..12) (sum(j in 1..2) X[i,j]*w[j] - i)^2\n}}\n\
             optimizer o(lr: Real) {{\n  step t {{\n    let b = sample(4)\n    x <- x - lr*grad(x, b)\n{lines}  }}\n}}\n\
             s = solve fit seed 4 with o(0.05) for {end}\n\
             print s.w, max(s.trace.step), max(s.trace.evaluations), max(s.trace.passes), max(s.trace.beside)"
        ))
    };
    for end in ["2 epochs", "6 evaluations"] {
        let plain = with("", end);
        assert_eq!(plain[1], [6.0], "{end}");
        for lines in ["    record f = value(x)\n", "    stop when value(x) < 0\n"] {
            let looked = with(lines, end);
            assert_eq!(looked[..4], plain[..4], "{end}: {lines}");
            assert_eq!(looked[4][0] - plain[4][0], 6.0, "{end}: {lines}");
        }
    }
    // What the step needs too is the step's.
    let text = |record: &str| {
        format!(
            "{BALL}optimizer o() {{\n  step t {{\n{record}    let f = value(x)\n    x <- x - 0.1*f*grad(x)\n  }}\n}}\n\
             s = solve ball with o() for 3 steps\nprint max(s.trace.evaluations)"
        )
    };
    assert_eq!(printed(&text("    record g = value(x)\n")), printed(&text("")));
}

#[test]
fn a_run_that_is_stepped_has_its_trace_and_its_path() {
    let head =
        "problem valley {\n  var a: Real from -1.2\n  var b: Real from 1\n  minimize 100*(b - a^2)^2 + (1 - a)^2\n}\n";
    let shown = "print r.trace.step, r.trace.objective, r.path.a, r.path.b";
    let whole = printed(&format!(
        "{head}r = solve valley with heavy_ball(1e-3) for 20 steps\n{shown}"
    ));
    let stepped = printed(&format!(
        "{head}r = start valley with heavy_ball(1e-3) for 20 steps\nstep r for 8 steps\nstep r for 12 steps\n{shown}"
    ));
    assert_eq!(stepped, whole);
    assert_eq!(whole[2].len(), 21);
}

#[test]
fn schedules_with_a_name_are_functions() {
    let v = printed("let rate = t -> 1/t\nlet steps = inverse_sqrt(2)\nprint rate(4), steps(4), [t in 1..3] rate(t)\n");
    assert_eq!(v[0], [0.25]);
    assert_eq!(v[1], [1.0]);
    assert_eq!(v[2], [1.0, 0.5, 1.0 / 3.0]);
}

/// On the square of a number steps of 1.2 times the slope move away: what is handed out is where they began.
#[test]
fn subgradients_hand_out_the_best_point() {
    let x = printed(
        "problem m { var x: Real from 1\n minimize x^2 }\ns = solve m with subgradient(1.2) for 6 steps\nprint s.x",
    );
    assert_eq!(x, [[1.0]]);
}

/// Rows of matrices in a term, through products, sums, outer products and functions of entries: the steps of the sum over indices.
#[test]
fn batches_of_rows_take_the_steps_of_batches_of_terms() {
    let text = "
param n: Int = 30
param X: Matrix[n, 3] = [i in 1..n, j in 1..3] sin(i*j)
param y: Vector[n] = [i in 1..n] cos(3*i)
problem rows {
  var W: Matrix[2, 3] from 0.1
  var b: Vector[2] from 0.2
  let Z = tanh(X*W' + ones(n)*b')
  minimize mean(i in 1..n) (Z[i, 1] - 2*Z[i, 2] - y[i])^2
}
problem terms {
  var W: Matrix[2, 3] from 0.1
  var b: Vector[2] from 0.2
  minimize mean(i in 1..n) (tanh(sum(j in 1..3) X[i, j]*W[1, j] + b[1]) - 2*tanh(sum(j in 1..3) X[i, j]*W[2, j] + b[2]) - y[i])^2
}
a = solve rows seed 3 with sgd(0.1, batch: 4) for 25 steps
c = solve terms seed 3 with sgd(0.1, batch: 4) for 25 steps
print max(abs(a.W - c.W)) + max(abs(a.b - c.b)), norm(a.b - [0.2, 0.2])
";
    let out = printed(text);
    assert!(out[0][0] <= 1e-13 && out[1][0] > 0.01, "{out:?}");
}

#[test]
fn a_record_leaves_the_columns_of_the_trace_alone() {
    let problem = "problem m {\n var x: Vector[2] from 1\n minimize x[1]^2 + 9*x[2]^2 }\n";
    let steps = printed(&format!(
        "{problem}s = solve m with nonlinear_cg() |> linesearch(wolfe) for 4 steps\nprint s.trace.step, s.trace.length"
    ));
    assert!(steps[0].iter().enumerate().all(|(k, t)| *t == k as f64), "{steps:?}");
    assert!(steps[1][1..].iter().all(|a| *a > 0.0), "{steps:?}");
    for name in COUNTED.iter().chain(&MEASURES) {
        let named = format!("optimizer o(lr: Real) {{ step t {{\n x <- x - lr*grad(x)\n record {name} = 3 }} }}\n");
        let (r, _) = ran(&format!("{problem}{named}solve m with o(0.1) for 2 steps"));
        assert_eq!(r.codes, [Code::DuplicateName], "{name} {}", r.shown);
    }
}

/// The same lines on a problem small enough for one straight program, and on one that is not.
const SIZES: [usize; 2] = [3, 200];

#[test]
fn rules_in_branches_and_loops_hold_where_they_are_reached() {
    for n in SIZES {
        let problem = format!("problem p {{\n var x: Vector[{n}] from 1\n minimize sumsq(x) }}\n");
        let steps = |rule: &str| {
            let text = format!(
                "{problem}optimizer o(lr: Real) {{\n state k = 0\n step t {{\n x <- x - lr*grad(x)\n k <- k + 1\n {rule}\n record kk = k\n }} }}
s = solve p with o(0.01) for 12 steps\nprint s.trace.kk"
            );
            printed(&text).remove(0)
        };
        assert_eq!(steps("if t > 10 {\n stop when t > 5\n }").len(), 12, "{n}");
        assert_eq!(steps("if t > 4 {\n stop when true\n }").len(), 6, "{n}");
        assert_eq!(
            steps("for j in 1..3 {\n stop when j == 2 and t == 4\n }").len(),
            5,
            "{n}"
        );
        let anew = steps("if k > 3 {\n restart when true\n }");
        assert_eq!(
            anew,
            [1.0, 1.0, 2.0, 3.0, 4.0, 1.0, 2.0, 3.0, 4.0, 1.0, 2.0, 3.0, 4.0],
            "{n}"
        );
    }
}

#[test]
fn a_rule_that_holds_ends_the_run_before_a_line_behind_it_fails() {
    let text = "problem bowl {
  var x: Vector[2] from [1, 2]
  minimize sumsq(x)/2
}
optimizer steepest() {
  step t {
    let g = grad(x)
    stop when norm(g) == 0
    x <- x - dot(g, g)/dot(g, hvp(x, g))*g
  }
}
s = solve bowl with steepest() for 10 steps
print s.x, s.objective";
    assert_eq!(printed(text), [vec![0.0, 0.0], vec![0.0]]);
}

#[test]
fn values_and_gradients_on_batches_are_counted_as_what_they_are() {
    let text = "param X: Matrix[20, 2] = [i in 1..20, j in 1..2] sin(i*j)
problem fit {
  var w: Vector[2]
  minimize mean(i in 1..20) (sum(j in 1..2) X[i,j]*w[j] - cos(i))^2
}
optimizer both() { step t {\n let B = sample(2)\n let g = grad(x, B)\n let v = value(x, B)\n x <- x - 0.01*v*g } }
optimizer values() { step t {\n let B = sample(2)\n let v = value(x, B)\n x <- x - 0.01*v*ones(x) } }
optimizer apart() { step t {\n let v = value(x, sample(2))\n let g = grad(x, sample(2))\n x <- x - 0.01*v*g } }
c = compare fit with {\n both() for 10 steps\n values() for 10 steps\n apart() for 10 steps\n}
print c.evaluations, c.gradients, c.passes";
    assert_eq!(
        printed(text),
        [vec![20.0, 10.0, 20.0], vec![10.0, 0.0, 10.0], vec![1.0, 1.0, 2.0]]
    );
}

#[test]
fn blocks_over_label_sets_and_what_is_no_matrix_are_seen_alike() {
    let text = "set rows = {\"a\", \"b\", \"c\"}
set cols = {\"u\", \"v\"}
problem p {
  var W: Real[rows, cols] from 1
  var V: Matrix[2, 3] from 1
  var c: Real from 2
  var d: Real[rows] from 1
  minimize sum(r in rows, k in cols) (W[r, k] - 1/2)^2 + sumsq(V) + (c - 1)^2 + sumsq(d)
}
optimizer squares(lr: Real = 0.1) {
  step t {
    let g = grad(x)
    each X: Matrix[q, q] in x {
      X <- X - 0*g.X
    } else {
      X <- X - lr*(g.X + old(X) - X)
    }
  }
}
optimizer balls(lr: Real = 0.1) {
  each X: Matrix[p, q] in x {
    state m = zeros(p, q)
  }
  step t {
    let g = grad(x)
    each X: Matrix[p, q] in x {
      m <- 0.9*m + g.X
      X <- X - lr*m
    } else {
      X <- X - lr*g.X
    }
  }
}
problem q {
  var W: Matrix[3, 2] from 1
  var V: Matrix[2, 3] from 1
  var c: Real from 2
  var d: Vector[3] from 1
  minimize sumsq(W - 1/2) + sumsq(V) + (c - 1)^2 + sumsq(d)
}
a = solve p with squares() for 200 steps
b = solve p cold with balls() for 400 steps
print a.objective, b.objective";
    let out = printed(text);
    assert!(out[0][0] < 1e-12 && out[1][0] < 1e-12, "{out:?}");
    for method in ["shampoo(0.01)", "soap(0.01)", "upgd_local(0.01)", "scaled_gd(0.01)"] {
        let both = format!(
            "{text}\ns = solve p cold with {method} for 12 steps\nt = solve q with {method} for 12 steps\nprint s.objective - t.objective, t.objective"
        );
        let out = printed(&both);
        assert!(out[2][0].abs() <= 1e-12 && out[3][0] < 11.0, "{method} {out:?}");
    }
}

#[test]
fn a_block_is_no_point_to_ask_at() {
    let problem = "problem net {
  var a: Vector[2] from 1
  var b: Vector[3] from 2
  minimize sumsq(a) + 10*sumsq(b)
}
";
    for asked in [
        "grad(x.b)",
        "hvp(x.a, x)",
        "hvp(x, x.b)",
        "project(x.b)",
        "prox(x.b, 0.1)",
        "value(x.b)*x",
        "trial(x.a)*x",
    ] {
        let (r, _) = ran(&format!(
            "{problem}optimizer o() {{ step t {{\n let g = {asked}\n x <- x - 0.1*g\n }} }}\nsolve net with o() for 2 steps"
        ));
        assert_eq!(r.codes, [Code::NoOverload], "{asked} {}", r.shown);
    }
}

#[test]
fn proximal_steps_take_lengths_from_gradient_steps_alone() {
    let problem = "problem p {
  var x: Vector[3] from [1.7, -2.3, 0.4]
  minimize 5*sumsq(x - [0.3, 0.02, 1]) + norm1(x)
}
optimizer own(lr: Real) { step t {\n let g = grad(x)\n x <- x - lr*g\n } }
";
    // The minimizer is [0.2, 0, 0.9].
    for path in ["gd(0.05)", "nesterov(0.05)", "accelerated(0.05)", "own(0.05)"] {
        let out = printed(&format!(
            "{problem}s = solve p with {path} |> proximal() for 600 steps\nprint norm(s.x - [0.2, 0, 0.9])"
        ));
        assert!(out[0][0] < 1e-8, "{path} {out:?}");
    }
    for path in [
        "momentum(0.005)",
        "heavy_ball(0.01)",
        "adam(0.01)",
        "barzilai_borwein()",
        "clip(0.01) |> gd(0.05)",
        "gd(0.05) |> linesearch(armijo)",
    ] {
        let (r, _) = ran(&format!("{problem}solve p with {path} |> proximal() for 100 steps"));
        assert_eq!(r.codes, [Code::BadOption], "{path} {}", r.shown);
    }
    let given = "solve p with momentum(0.005) |> proximal(lr: 0.05) for 600 steps";
    assert!(ran(&format!("{problem}{given}")).0.codes.is_empty());
}

#[test]
fn hessians_without_structure_are_made_of_products() {
    let text = "optimizer newton() { step t {\n x <- x - hessian(x) \\ grad(x)\n } }
problem q {
  var w: Vector[3] from 2
  minimize sumsq(w)^2
}
s = solve q with newton() for 20 steps
d = solve q cold with jacobi() |> gd(0.3) for 3 steps
param n: Int = 200000
problem big {
  var x: Vector[n]
  minimize sum(i in 1..n) (x[i] - sin(i))^2
}
b = solve big with jacobi() |> gd(1) for 3 steps
print norm(s.w), d.objective, b.objective";
    let out = printed(text);
    // Newton's method on |w|^4 goes by 2/3; the diagonal of its Hessian at (a, a, a) is 20 a^2, the gradient 12 a^3.
    let near = |a: f64, b: f64| (a - b).abs() <= 1e-9 * b.abs();
    assert!(near(out[0][0], 12f64.sqrt() * (2f64 / 3.0).powi(20)), "{out:?}");
    assert!(near(out[1][0], 144.0 * (1.0 - 0.3 * 0.6f64).powi(12)), "{out:?}");
    assert!(out[2][0] < 1e-20, "{out:?}");
    let (r, _) = ran(&format!("{text}\nsolve big with newton() for 3 steps"));
    assert_eq!(r.codes, [Code::TooLarge], "{}", r.shown);
}

#[test]
fn what_a_history_holds_is_seen_from_outside() {
    let text = "problem p {
  var x: Vector[2] from [1, 2]
  minimize sumsq(x)/2
}
optimizer o(lr: Real) {
  state S = history(3, zeros(x))
  state f = history(2, 0)
  step t {
    S <- x
    f <- t
    x <- x - lr*grad(x)
  }
}
r = start p with o(0.5)
step r for 2 steps
print r.S, r.f
step r for 5 steps
print r.f";
    assert_eq!(
        printed(text),
        [vec![0.5, 1.0, 1.0, 2.0], vec![2.0, 1.0], vec![7.0, 6.0]]
    );
}

#[test]
fn stationarity_is_one_number_in_runs_traces_and_stops() {
    let text = "problem bowl {
  var x: Vector[2] from [3, 4]
  minimize sumsq(x)
}
r = start bowl with gd(0.1)
step r for 3 steps
s = solve bowl cold with gd(0.1) until stationarity <= 5 for 50 steps
q = start bowl with gd(0.1)
step q for 50 steps break when stationarity <= 5
print r.stationarity, r.trace.stationarity, s.trace.step, q.step";
    let out = printed(text);
    let slope = |k: i32| 8.0 * 0.8f64.powi(k);
    assert!(
        (out[0][0] - slope(3)).abs() < 1e-12 && (out[1][3] - slope(3)).abs() < 1e-12,
        "{out:?}"
    );
    assert_eq!((out[2].last(), out[3][0]), (Some(&3.0), 3.0));
}

#[test]
fn minibatches_stand_before_any_optimizer() {
    let text = "param X: Matrix[20, 2] = [i in 1..20, j in 1..2] sin(i*j)
problem fit {
  var w: Vector[2]
  minimize mean(i in 1..20) (sum(j in 1..2) X[i,j]*w[j] - cos(i))^2
}
optimizer own(lr: Real) {
  state m = zeros(x)
  state v = zeros(x)
  step t {
    let g = grad(x, sample(4))
    m <- 0.9*m + (1 - 0.9)*g
    v <- 0.999*v + (1 - 0.999)*g.^2
    let rate = lr/(1 - 0.9^t)
    x <- x - rate*m./(sqrt(v/(1 - 0.999^t)) + 1e-8)
  }
}
a = solve fit seed 3 with minibatch(4) |> adam(0.1) for 10 steps
b = solve fit cold seed 3 with own(0.1) for 10 steps
c = compare fit with {\n minibatch(4) |> adam(0.1) for 10 steps\n minibatch(4) |> nesterov(0.1) for 10 steps\n}
print a.w - b.w, c.gradients, c.passes";
    let out = printed(text);
    assert!(out[0].iter().all(|d| d.abs() < 1e-14), "{out:?}");
    assert_eq!(out[1..], [vec![10.0, 10.0], vec![2.0, 2.0]]);
}

#[test]
fn fista_shortens_steps_that_leave_the_domain() {
    let text = "problem p {
  var x: Vector[2] from 3
  minimize sum(i in 1..2) (i*x[i] - log(x[i])) + 0.5*norm1(x)
}
s = solve p with fista(lr: 100) until stationarity <= 1e-9
print s.x";
    let out = printed(text);
    assert!(
        (out[0][0] - 1.0 / 1.5).abs() < 1e-8 && (out[0][1] - 1.0 / 2.5).abs() < 1e-8,
        "{out:?}"
    );
}

#[test]
fn a_stage_goes_as_far_as_it_is_asked() {
    let problem = "problem p {\n var x: Vector[2] from [3, -2]\n minimize x[1]^2 + 5*x[2]^2 + x[1]^4\n}\n";
    for method in ["lbfgs()", "newton_tr()", "gd(0.02)"] {
        let text = format!("{problem}s = solve p with {method} until stationarity <= 1e-12\n");
        let mut s = session(&root());
        let r = run(&mut s, "far.opt", &text);
        let e = last_solve(&s).unwrap();
        assert_eq!(e.status, Status::Optimal, "{method} {}", r.shown);
        let told = e.residuals.iter().find(|r| r.name == "stationarity").unwrap().value;
        assert!(told <= 1e-12, "{method} {told}");
    }
}

#[test]
fn solutions_tell_what_was_checked_and_what_they_took() {
    let text = "problem bowl {
  var x: Vector[2] >= 0
  minimize sumsq(x - [1, -2])
}
s = solve bowl
r = solve bowl cold with gd(0.1) |> projected() for 3 steps
print s.residuals[\"stationarity\"] <= 1e-8, r.stationarity, r.evaluations, r.iterations";
    let out = printed(text);
    // From 0 the first coordinate comes a fifth nearer to 1 in each step.
    let slope = 2.0 * 0.8f64.powi(3);
    assert!(out[0][0] == 1.0 && (out[1][0] - slope).abs() < 1e-12, "{out:?}");
    assert_eq!((out[2][0], out[3][0]), (3.0, 3.0));
}

#[test]
fn what_is_not_finite_is_named_in_the_model() {
    let problem = "problem p {\n  var x: Real from 2\n  minimize log(x)^2\n}\n";
    let own = "optimizer o() { step t {\n let f = value(x - 5)\n x <- x - 0.1*f\n } }\n";
    for (method, named) in [("gd(20)", "log(-"), ("o()", "log(-3)")] {
        let (r, _) = ran(&format!("{problem}{own}solve p with {method} for 10 steps"));
        assert!(r.shown.contains("evaluation error"), "{method} {}", r.shown);
        assert_eq!(r.codes, [Code::NotFinite], "{method} {}", r.shown);
        assert!(r.shown.contains(named), "{method} {}", r.shown);
    }
}

#[test]
fn states_that_do_not_fit_are_told_before_the_run() {
    for state in ["state H = diag(ones(x))", "state h = history(1000000, zeros(x))"] {
        let (r, _) = ran(&format!(
            "param n: Int = 200000
problem big {{
  var x: Vector[n]
  minimize sum(i in 1..n) (x[i] - sin(i))^2
}}
optimizer o(lr: Real) {{
  {state}
  step t {{
    x <- x - lr*grad(x)
  }}
}}
solve big with o(0.1) for 2 steps"
        ));
        assert_eq!(r.codes, [Code::TooLarge], "{state} {}", r.shown);
    }
}

#[test]
fn a_smooth_method_at_a_kink_says_so() {
    let text = "problem p {
  var x: Vector[2] from [1.3, 2]
  minimize abs(x[1]) + 3*abs(x[2] - x[1])
}
solve p with newton_tr()";
    let mut s = session(&root());
    let r = run(&mut s, "kink.opt", text);
    let e = last_solve(&s).unwrap();
    assert_eq!(e.status, Status::PrecisionLimited, "{}", r.shown);
    assert!(
        e.reason.contains("kink") && e.class.contains("not proved smooth"),
        "{}",
        r.shown
    );
}

#[test]
fn ends_of_limits_are_no_optima() {
    let problem = "problem waves {\n  var x: Real >= -10 <= 10 from 3\n  minimize x^2/10 + 3*sin(2*x)\n}\n";
    let told = |method: &str| {
        ran(&format!(
            "{problem}solve waves seed 7 with multistart(5) {{ {method} }}"
        ))
        .0
        .shown
    };
    assert!(told("lbfgs()").contains("optim"), "{}", told("lbfgs()"));
    let short = told("gd(1e-6) |> projected() for 2 steps");
    assert!(short.contains("5 distinct ends from 5 starts"), "{short}");
}
