//! Optimizers, transforms and pipelines as parameters of pipelines; batches whose size a run finds; names that a step changes.
//!
//! Invariant: what is given for a parameter runs to the same bits as the pipeline with it written out, and a batch whose size
//! is found in the run is drawn and counted as one of the same size that is known before.

#![allow(clippy::unwrap_used, reason = "tests")]

use ravine::base::Code;

use super::harness::{Ran, last_solve, printed_arrays as printed, ran_arrays as ran, root, run, session};

const VALLEY: &str = "problem valley {
  var a: Real from -1.2
  var b: Real from 1
  minimize (1 - a)^2 + 100*(b - a^2)^2
}
pipeline polished(inner: Optimizer, rate: Schedule = 0.1) = clip(max_norm: 1) |> inner for 100 steps then gd(lr: rate) for 3 steps
pipeline first(rest: Pipeline, k: Int) = heavy_ball(lr: 1e-3) for k steps then rest
pipeline behind(t: Transform, inner: Optimizer) = inner |> t for 50 steps
pipeline ahead(t: Transform, inner: Optimizer) = t |> inner for 50 steps
pipeline clipped(inner: Optimizer = adam(lr: 0.1)) = clip(max_norm: 1) |> inner
pipeline named(nesterov: Optimizer) = nesterov for 10 steps
pipeline tail(k: Int) = gd(lr: 1e-3) for k steps then newton_tr()
";

const FIT: &str = "param X: Matrix[60, 3] = [i in 1..60, j in 1..3] sin(1.7*i*j + j)
problem fit {
  var w: Vector[3]
  minimize mean(i in 1..60) (sum(j in 1..3) X[i,j]*w[j] - cos(i))^2 + sumsq(w)/7
}
";

/// Where a pipeline ends, and after how many steps.
fn end(pipeline: &str) -> Vec<Vec<f64>> {
    printed(&format!(
        "{VALLEY}s = solve valley seed 3 with {pipeline}\nprint s.a, s.b, max(s.trace.step), max(s.trace.evaluations)"
    ))
}

#[test]
fn what_is_given_runs_as_if_it_stood_there() {
    let tail = "for 100 steps then gd(lr: 0.1) for 3 steps";
    for (given, written) in [
        (
            "polished(adam(lr: 0.1))",
            format!("clip(max_norm: 1) |> adam(lr: 0.1) {tail}"),
        ),
        // By name; a schedule beside it.
        (
            "polished(rate: t -> 1e-4/t, inner: heavy_ball(1e-3))",
            "clip(max_norm: 1) |> heavy_ball(1e-3) for 100 steps then gd(lr: t -> 1e-4/t) for 3 steps".into(),
        ),
        // The path of one step goes into another, also with its default.
        (
            "polished(clipped(adam(lr: 0.1)))",
            format!("clip(max_norm: 1) |> clip(max_norm: 1) |> adam(lr: 0.1) {tail}"),
        ),
        ("polished(clipped())", format!("clip(max_norm: 1) |> clip(max_norm: 1) |> adam(lr: 0.1) {tail}")),
        ("weight_decay(0.1) |> clipped() for 9 steps", "weight_decay(0.1) |> clip(max_norm: 1) |> adam(lr: 0.1) for 9 steps".into()),
        // Stages, built-in methods, pipelines of pipelines.
        ("first(lbfgs(), 5)", "heavy_ball(lr: 1e-3) for 5 steps then lbfgs()".into()),
        ("first(rest: tail(2), k: 3)", "heavy_ball(lr: 1e-3) for 3 steps then gd(lr: 1e-3) for 2 steps then newton_tr()".into()),
        ("first(first(tail(2), 4), 3)", "heavy_ball(lr: 1e-3) for 3 steps then heavy_ball(lr: 1e-3) for 4 steps then gd(lr: 1e-3) for 2 steps then newton_tr()".into()),
        ("named(gd(1e-3))", "gd(1e-3) for 10 steps".into()),
        ("behind(projected(), adam(lr: 0.1))", "adam(lr: 0.1) |> projected() for 50 steps".into()),
        ("ahead(clip(max_norm: 1), adam(lr: 0.1))", "clip(max_norm: 1) |> adam(lr: 0.1) for 50 steps".into()),
        ("repeat(2) { polished(adam()) }", format!("repeat(2) {{ clip(max_norm: 1) |> adam() {tail} }}")),
        ("multistart(3) { polished(adam()) }", format!("multistart(3) {{ clip(max_norm: 1) |> adam() {tail} }}")),
        (
            "race { polished(adam()); first(lbfgs(), 5) }",
            format!("race {{ clip(max_norm: 1) |> adam() {tail}; heavy_ball(lr: 1e-3) for 5 steps then lbfgs() }}"),
        ),
    ] {
        assert_eq!(end(given), end(&written), "{given}");
    }
}

#[test]
fn parameters_are_passed_on() {
    let through = printed(&format!(
        "{VALLEY}pipeline outer(o: Optimizer, p: Pipeline = newton_tr()) = polished(o, rate: 1e-4) then p\n\
         s = solve valley with outer(adam(lr: 0.1))\nprint s.a, max(s.trace.step)"
    ));
    let written = printed(&format!(
        "{VALLEY}s = solve valley with clip(max_norm: 1) |> adam(lr: 0.1) for 100 steps then gd(lr: 1e-4) for 3 steps then newton_tr()\n\
         print s.a, max(s.trace.step)"
    ));
    assert_eq!(through, written);
    // A loop's number inside what is given, and a name of what is around it.
    let v = printed(&format!(
        "{VALLEY}param speed: Real = 0.1\nfor r in [0.05, 0.1] {{\n  s = solve valley with polished(adam(lr: r))\n  print s.a\n}}\n\
         s = solve valley with polished(adam(lr: speed))\nprint s.a"
    ));
    assert!(v[0] != v[1] && v[1] == v[2], "{v:?}");
}

#[test]
fn a_run_shows_the_states_of_what_it_was_given() {
    let v = printed(&format!(
        "{VALLEY}r = start valley with polished(adam(lr: 0.1))\nstep r for 5 steps\nprint r.m, r.step\n\
         q = start valley with clip(max_norm: 1) |> adam(lr: 0.1)\nstep q for 5 steps\nprint q.m, q.step\n\
         step r break when norm(m) < 0.5\nrewind r to 5\nprint r.m"
    ));
    assert_eq!(v[0], v[2]);
    assert_eq!(v[0], v[4]);
    // And `until` takes what it records.
    let noisy =
        "optimizer noisy() {\n  step t {\n    x <- x - 1e-3*grad(x)\n    record speed = norm(grad(x))\n  }\n}\n";
    let (r, _) = ran(&format!(
        "{VALLEY}{noisy}pipeline alone(o: Optimizer) = o for 50 steps\nr = start valley with alone(noisy())\nstep r\nprint r.speed\nprint r.other"
    ));
    assert_eq!(r.codes, [Code::UnknownField], "{}", r.shown);
    let (r, _) = ran(&format!(
        "{VALLEY}compare valley with {{\n  polished(adam())\n  polished(gd(1e-3))\n  mine: polished(gd(1e-3))\n}}"
    ));
    assert!(
        r.codes.is_empty() && r.shown.contains("polished(adam)") && r.shown.contains("mine"),
        "{}",
        r.shown
    );
    let (r, _) = ran(&format!("{VALLEY}help polished\nsource clipped"));
    assert!(
        r.shown
            .contains("pipeline polished(inner: Optimizer, rate: Schedule = 0.1)")
            && r.shown.contains("= clip(max_norm: 1) |> inner"),
        "{}",
        r.shown
    );
}

#[test]
fn a_wrong_plug_is_one_message() {
    for (given, code, words) in [
        (
            "polished(3)",
            Code::WrongType,
            "an optimizer for `inner` of `polished` is expected, found an integer",
        ),
        ("polished(adam)", Code::WrongType, "`adam` is only named"),
        ("polished(clip(max_norm: 1))", Code::WrongType, "found a transform"),
        ("polished(tail(3))", Code::WrongType, "found a pipeline"),
        ("polished(first(adam(), 3))", Code::WrongType, "found a pipeline"),
        ("polished(cosine(0.1, period: 10))", Code::WrongType, "found a schedule"),
        ("polished(adma())", Code::UnknownMethod, "no method `adma`"),
        ("polished(adma)", Code::UnknownMethod, "no method `adma`"),
        ("polished(adam(rate: 1))", Code::UnknownArgument, "no argument `rate`"),
        (
            "polished(adam(gd()))",
            Code::WrongType,
            "`lr` of `adam` takes no optimizer",
        ),
        ("polished()", Code::WrongArity, "missing: `inner`"),
        ("polished(lbfgs())", Code::BadPipeline, "`lbfgs` steps as a whole"),
        ("polished(lbfgs(size: 3))", Code::BadOption, "no option `size`"),
        ("polished(valley)", Code::WrongType, "found a problem"),
        ("first(clip(max_norm: 1), 3)", Code::WrongType, "found a transform"),
        ("first(3, 3)", Code::WrongType, "a pipeline or an optimizer for `rest`"),
        ("first(race, 3)", Code::BadPipeline, "runs pipelines in braces"),
        (
            "ahead(projected(), adam())",
            Code::BadPipeline,
            "stands behind the optimizer",
        ),
        (
            "ahead(adam(), adam())",
            Code::WrongType,
            "a transform for `t` of `ahead` is expected",
        ),
        ("polished(adam() |> projected())", Code::Syntax, "pipeline mine()"),
    ] {
        let (r, _) = ran(&format!("{VALLEY}s = solve valley with {given}"));
        assert!(r.codes == [code] && r.shown.contains(words), "{given}: {}", r.shown);
        // Nor does what is asked of the answer add to it.
        let field = if given.contains("lbfgs") { "step" } else { "m" };
        let (r, _) = ran(&format!(
            "{VALLEY}r = start valley with {given}\nstep r\nprint r.{field}"
        ));
        assert_eq!(r.codes, [code], "{given}: {}", r.shown);
    }
    for (line, code, words) in [
        (
            "pipeline p(o: Optimizer) = o(3) for 3 steps",
            Code::BadPipeline,
            "given with its own arguments",
        ),
        (
            "pipeline p(o: Optimizer > 0) = o for 3 steps",
            Code::WrongType,
            "no value that a check compares",
        ),
        (
            "pipeline p(o: Optimizer = 3) = o for 3 steps",
            Code::WrongType,
            "an optimizer for `o` is expected",
        ),
        (
            "pipeline p(o: Optimizer[3]) = o for 3 steps",
            Code::NotBuiltYet,
            "pipeline's parameter",
        ),
        (
            "pipeline p(o: Pipeline) = clip(max_norm: 1) |> o",
            Code::BadPipeline,
            "a pipeline of its own",
        ),
        (
            "pipeline p(o: Pipeline) = polished(o)",
            Code::WrongType,
            "found a pipeline",
        ),
        (
            "pipeline p(o: Optimizer, q: Optimizer) = o |> q",
            Code::BadPipeline,
            "this one has two",
        ),
        (
            "pipeline p(t: Transform) = t for 3 steps",
            Code::BadPipeline,
            "this one has none",
        ),
        (
            "pipeline p(o: Optimizer) = gd(o)",
            Code::WrongType,
            "a schedule for `lr` of `gd`",
        ),
        ("pipeline p(o: Optimizer) = p(o)", Code::Recursion, "`p`"),
        (
            "pipeline p(polished: Optimizer) = polished for 3 steps",
            Code::DuplicateName,
            "declared twice",
        ),
        ("fn f(o: Optimizer) = 3", Code::NotBuiltYet, "pipeline's parameter"),
        ("param o: Optimizer = adam()", Code::NotBuiltYet, "pipeline's parameter"),
        ("let o = adam()", Code::WrongType, "it stands in a pipeline"),
    ] {
        let (r, _) = ran(&format!("{VALLEY}{line}"));
        assert!(r.codes == [code] && r.shown.contains(words), "{line}: {}", r.shown);
    }
}

/// The same batches, held in a state and known before the run.
#[test]
fn a_size_that_changes_draws_and_counts_as_one_that_is_known() {
    let with = |states: &str, sample: &str, end: &str| {
        printed(&format!(
            "{FIT}optimizer o(lr: Real, c: Int) {{\n{states}  step t {{\n    let S = {sample}\n    let g = grad(x, S)\n    \
             record f = value(x, S)\n    record h = norm(hvp(x, ones(x), S))\n    x <- x - lr*g\n  }}\n}}\n\
             r = start fit seed 5 with o(0.1, {end}\nstep r for 1000 steps\n\
             print r.step, r.evaluations, max(r.trace.passes), r.w, r.f, r.h"
        ))
    };
    for (k, how) in [
        (1, ""),
        (7, ""),
        (8, ""),
        (60, ""),
        (100, ""),
        (7, ", replace: false"),
        (60, ", replace: false"),
        (45, ", replace: false"),
    ] {
        for end in [
            format!("{k}) for 5 epochs"),
            format!("{k}) for 11 steps"),
            format!("{k}) for 13 evaluations"),
        ] {
            let known = with("", &format!("sample(c{how})"), &end);
            let found = with("  state b = c\n", &format!("sample(b{how})"), &end);
            assert_eq!(known[..3], found[..3], "{k}{how}, {end}");
            for (a, b) in known[3..].iter().flatten().zip(found[3..].iter().flatten()) {
                assert!((a - b).abs() <= 1e-14 * a.abs().max(1.0), "{k}{how}, {end}: {a} {b}");
            }
        }
    }
}

#[test]
fn passes_are_those_of_the_sizes_there_were() {
    // 1 + 2 + … + 10 of 60 terms, in ten evaluations; all terms in order are the gradient itself.
    let v = printed(&format!(
        "{FIT}optimizer o() {{\n  state k = 0\n  step t {{\n    k <- k + 1\n    x <- x - 0.1*grad(x, sample(k))\n  }}\n}}\n\
         s = solve fit with o() for 10 steps\nprint max(s.trace.evaluations), max(s.trace.passes)\n\
         optimizer whole() {{\n  step t {{\n    let b = sample(terms, replace: false)\n    record off = norm(grad(x, b) - grad(x))\n    \
         x <- x - 0.1*grad(x, b)\n  }}\n}}\nr = start fit with whole() for 5 steps\nstep r\nprint r.off\n\
         a = solve fit seed 9 with dynamic_sgd(0.1, batch: 3, growth: 1.3) for 30 steps\n\
         b = solve fit seed 9 with dynamic_sgd(0.1, batch: 3, growth: 1.3) for 30 steps\nprint a.w - b.w"
    ));
    assert_eq!(v[0], [10.0]);
    assert!((v[1][0] - 55.0 / 60.0).abs() < 1e-12, "{v:?}");
    assert!(v[2][0] < 1e-14, "{v:?}");
}

/// Where sizes vary, rows of a matrix are taken out for small parts, and all of them are multiplied for large ones.
#[test]
fn terms_and_batches_are_of_one_objective() {
    let v = printed(&format!(
        "{FIT}optimizer o() {{\n  step t {{\n    let S = sample(t)\n    let other = grad(x, S)\n    let g = zeros(x)\n    let f: Real = 0\n    let p = zeros(x)\n    for i in 1..terms {{\n      \
         g <- g + grad(x, i)/terms\n      f <- f + value(x, i)/terms\n      p <- p + hvp(x, cos(x), i)/terms\n    }}\n    \
         record slope = norm(g - grad(x))\n    record level = abs(f - value(x))\n    record bend = norm(p - hvp(x, cos(x)))\n    \
         x <- x - 0.1*g\n  }}\n}}\nr = start fit with o() for 3 steps\nstep r for 3 steps\nprint r.slope, r.level, r.bend"
    ));
    assert!(v.iter().all(|v| v[0] < 1e-14), "{v:?}");
    // Least squares written with a matrix product, drawn in order: one pass is the mean of its parts.
    let v = printed(
        "param A: Matrix[40, 3] = [i in 1..40, j in 1..3] cos(i*j + i)\nproblem fit {\n  var w: Vector[3] from 1\n  \
         minimize sum(i in 1..40) (dot(A[i, 1..3], w) - i/40)^2\n}\noptimizer o() {\n  state s = 1\n  step t {\n    let g = zeros(x)\n    for k in 1..10 {\n      \
         g <- g + grad(x, sample(4*s, replace: false))/10\n    }\n    record off = norm(g - grad(x))/norm(g)\n    x <- x - 1e-3*g\n  }\n}\n\
         r = start fit seed 8 with o() for 3 steps\nstep r for 3 steps\nprint r.off",
    );
    assert!(v[0][0] < 1e-14, "{v:?}");
}

#[test]
fn sizes_that_no_batch_has_are_named() {
    for (size, words) in [
        ("b - 4", "`sample(b - 4)` asks for 0 terms"),
        ("b - 9", "asks for -5 terms"),
        ("b/3", "a whole number: `ceil(b/3)` is one"),
        ("0/(b - 4)", "asks for NaN terms"),
        ("1e9*b", "at most 100000000"),
    ] {
        let mut s = session(&root());
        let text = format!(
            "{FIT}optimizer o() {{\n  state b = 4\n  step t {{\n    x <- x - 0.1*grad(x, sample({size}))\n  }}\n}}\n\
             solve fit with o() for 3 steps"
        );
        let r = run(&mut s, "plugs.opt", &text);
        let e = last_solve(&s).unwrap_or_else(|| panic!("{size}: {}", r.shown));
        assert!(
            e.reason.contains("step 1") && e.reason.contains(words),
            "{size}: {}",
            e.reason
        );
    }
    // What is known before the run is an error before it, with its value.
    let (r, _) = ran(&format!(
        "{FIT}param k: Int = 0\nsolve fit with sgd(0.1, batch: k) for 3 steps"
    ));
    assert!(
        r.codes.len() == 1 && r.shown.contains(" is 0") && r.shown.contains("batch: k"),
        "{}",
        r.shown
    );
    let known = printed(&format!(
        "{FIT}s = solve fit seed 4 with sgd(0.1, batch: 3) for 9 steps\nprint s.w"
    ));
    let param = printed(&format!(
        "{FIT}param k: Int = 3\ns = solve fit seed 4 with sgd(0.1, batch: k) for 9 steps\nprint s.w"
    ));
    assert_eq!(known, param);
    for (line, words) in [
        ("sample(k)", "`k` is 0"),
        ("sample(k, replace: false)", "`k` is 0"),
        ("sample(0)", "not 0"),
        ("sample(2.5)", "not 2.5"),
    ] {
        let (r, _) = ran(&format!(
            "{FIT}param k: Int = 0\noptimizer o() {{\n  step t {{\n    x <- x - 0.1*grad(x, {line})\n  }}\n}}\nsolve fit with o() for 3 steps"
        ));
        assert!(
            r.codes == [Code::WrongType] && r.shown.contains(words),
            "{line}: {}",
            r.shown
        );
    }
    let (r, _) = ran(&format!(
        "{FIT}optimizer o() {{\n  state phi = table(terms, zeros(x))\n  state b = 1\n  step t {{\n    let i = sample(b)\n    phi[i] <- grad(x, i)\n    x <- x - 0.1*phi[i]\n  }}\n}}\nsolve fit with o() for 3 steps"
    ));
    assert!(
        r.codes == [Code::WrongType] && r.shown.contains("found in the run"),
        "{}",
        r.shown
    );
}

const PLAIN: &str = "problem p {\n  var w: Vector[3] from [1, 2, 3]\n  minimize sumsq(w)/2\n}\n";

/// One step of an optimizer with these lines; what it records as `r`.
fn recorded(lines: &str) -> (Ran, Vec<Vec<f64>>) {
    ran(&format!(
        "{PLAIN}optimizer o() {{\n  state s = 1\n  step t {{\n{lines}\n    x <- 0.5*x\n  }}\n}}\nq = start p with o() for 9 steps\nstep q\nprint q.r"
    ))
}

#[test]
fn what_is_named_in_a_step_changes() {
    for (lines, want) in [
        ("let y = 1\n for k in 1..4 {\n y <- 2*y + k\n }\n record r = y", 42.0),
        ("let y = 1\n y <- y + 1\n y <- 3*y\n record r = y", 6.0),
        (
            "let y: Real = 1\n while y > 0.1 {\n y <- y/2\n }\n record r = y",
            0.0625,
        ),
        (
            "let y = x\n for k in 1..3 {\n y <- y - x/4\n }\n record r = sum(y)",
            1.5,
        ),
        // An integer stays one, as an index has to be.
        ("let k = 0\n while k < 2 {\n k <- k + 1\n }\n record r = k % 2", 0.0),
        (
            "let k = 5\n if s > 0 {\n k <- k - 2\n } else {\n k <- 7\n }\n record r = k % 2 + 10*k",
            31.0,
        ),
        (
            "let more = true\n let n = 0\n while more {\n n <- n + 1\n more <- n < 5\n }\n record r = n",
            5.0,
        ),
        // Each block its own; what is outer is seen.
        (
            "let y = 0\n for i in 1..2 {\n let z = i\n z <- z*10\n y <- y + z\n }\n record r = y",
            30.0,
        ),
        (
            "let a = 1\n let b = 2\n for i in 1..3 {\n let c = a\n a <- b\n b <- c\n }\n record r = 10*a + b",
            21.0,
        ),
        (
            "let y = [1, 2; 3, 4]\n for i in 1..2 {\n y <- y*y\n }\n record r = y[1, 1]",
            199.0,
        ),
        ("record r = mod(s, 2) + 4*(t % 2) + 2*(s % 2)", 7.0),
        ("record r = (s + 4) % 3 + (s/2 + 1) % 1", 2.5),
        ("let y = x'\n for i in 1..2 {\n y <- 2*y\n }\n record r = y*x", 56.0),
    ] {
        let (r, v) = recorded(lines);
        assert!(r.codes.is_empty(), "{lines}: {}", r.shown);
        assert_eq!(v, [[want]], "{lines}");
    }
    for (lines, code, words) in [
        (
            "let k = 0\n k <- k + 0.5\n record r = k",
            Code::StateShape,
            "`let k: Real = …`",
        ),
        ("let y = x\n y <- 3\n record r = 1", Code::StateShape, "holds"),
        (
            "if s > 0 {\n let y = 1\n }\n y <- 2\n record r = 1",
            Code::BadStep,
            "let y",
        ),
        ("y <- 2\n record r = 1", Code::BadStep, "in it, for this step alone"),
        ("let S = 1..3\n S <- 1..4\n record r = 1", Code::BadStep, "`S`"),
        ("record r = (3*s) div 2", Code::WrongType, "`floor("),
        ("let c: Int = 1.5\n record r = c", Code::WrongType, "an integer for `c`"),
        ("let y = 1\n record r = old(y)", Code::NoOverload, "of a state"),
    ] {
        let (r, _) = recorded(lines);
        assert!(r.codes == [code] && r.shown.contains(words), "{lines}: {}", r.shown);
    }
}

#[test]
fn transforms_stand_on_their_side() {
    let own = "transform turned() {\n step t {\n u <- -grad()\n }\n}\ntransform drawn() {\n step t {\n u <- grad(x) + normal(x)\n }\n}
transform kept() of update {\n step t {\n u <- 0.5*u\n }\n}\n";
    let problem = "problem p {\n var x: Vector[2] from [1, 2]\n minimize sumsq(x)\n}\n";
    let cases = [
        ("gd(0.1) |> weight_decay(0.5)", "weight_decay(0.5) |> gd(0.1)"),
        ("shrink(0.5) |> gd(0.1)", "gd(0.1) |> shrink(0.5)"),
        ("linesearch(armijo) |> gd(0.1)", "gd(0.1) |> linesearch(armijo)"),
        (
            "restarted(gradient) |> heavy_ball(0.01)",
            "heavy_ball(0.01) |> restarted(gradient)",
        ),
        ("gd(0.1) |> scaled([1, 2])", "scaled([1, 2]) |> gd(0.1)"),
        ("turned() |> gd(0.1)", "gd(0.1) |> turned()"),
        ("gd(0.1) |> drawn()", "drawn() |> gd(0.1)"),
        ("clip(1) |> kept() |> gd(0.1)", "clip(1) |> gd(0.1) |> kept()"),
    ];
    for (wrong, right) in cases {
        let (r, _) = ran(&format!("{own}{problem}solve p with {wrong} for 2 steps"));
        assert_eq!(r.codes, [Code::BadPipeline], "{wrong} {}", r.shown);
        assert!(r.shown.contains(right), "{wrong} {}", r.shown);
        let (r, _) = ran(&format!("{own}{problem}solve p with {right} for 2 steps"));
        assert!(r.codes.is_empty(), "{right} {}", r.shown);
    }
    // Where the place of a transform is known only when the pipeline is used.
    let (r, _) = ran(&format!(
        "{problem}pipeline behind(t: Transform) = gd(0.1) |> t for 2 steps\nsolve p with behind(weight_decay(0.5))"
    ));
    assert_eq!(r.codes, [Code::BadPipeline], "{}", r.shown);
}
