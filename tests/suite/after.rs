//! After a solve: expressions at the solution, duals against differences of optima, what-if against the same written
//! out, loops against their turns one by one.

use ravine::base::Code;
use ravine::session::{CellEnd, Event};

use super::harness::{Ran, last_solve, root, run, session};

fn ran(text: &str) -> Ran {
    run(&mut session(&root().join("examples")), "t.opt", text)
}

/// Runs a program whose assertions are the test.
fn holds(text: &str) {
    let r = ran(text);
    let wrong: Vec<&Code> = r.codes.iter().filter(|c| c.id() != "R0311").collect();
    assert!(wrong.is_empty() && r.exit == 0, "{wrong:?}\n{}\n{text}", r.shown);
}

fn fails(text: &str, code: Code, says: &str) {
    let r = ran(text);
    assert!(
        r.codes.contains(&code) && r.shown.contains(says),
        "{:?}\n{}\n{text}",
        r.codes,
        r.shown
    );
}

/// A quadratic program with every form of constraint; `@` is where a right-hand side is moved.
const QP: &str = "
param rhs: Vector[k] = [0, 0, 0, 0, 0, 0]
param Q: Matrix[n, n] = [4, 1, 0; 1, 3, 1; 0, 1, 2]
param c: Vector[n] = [-8, -6, -5]
problem qp {
  var x: Vector[n] in [-2, 1.5]
  SENSE SIGN*(1/2*quad(x, Q) + dot(c, x))
  subject to
    le: x[1] + x[2] <= 1.7 + rhs[1]
    ge: x[2] - x[3] >= 0.4 + rhs[2]
    eq: x[1] + x[2] + x[3] == 2 + rhs[3]
    both: 0 <= x[1] - x[3] <= 0.2 + rhs[4]
    fam[i in 1..n if i > 1]: 3*x[i] - x[1] <= [1, 2.3, 0.7][i] + rhs[i + 3]
}
";

#[test]
fn duals_are_derivatives_of_the_optimum() {
    for (sense, sign) in [("minimize", "1"), ("maximize", "-1")] {
        let model = QP.replace("SENSE", sense).replace("SIGN", sign);
        let mut s = session(&root());
        assert_eq!(run(&mut s, "model.opt", &model).exit, 0);
        let value = |s: &mut ravine::session::Session, rhs: [f64; 6]| -> f64 {
            let r = run(s, "at.opt", &format!("rhs = {rhs:?}\nsolve qp to 1e-10"));
            assert_eq!(r.exit, 0, "{}", r.shown);
            last_solve(s).unwrap().objective.unwrap()
        };
        let names = ["le", "ge", "eq", "both", "fam[2]", "fam[3]"];
        let h = 1e-4;
        let mut rows = String::from("rhs = [0, 0, 0, 0, 0, 0]\ns = solve qp to 1e-10\n");
        let mut active = 0;
        for (k, name) in names.iter().enumerate() {
            let mut at = [0.0; 6];
            at[k] = h;
            let up = value(&mut s, at);
            at[k] = -h;
            let down = value(&mut s, at);
            let slope = (up - down) / (2.0 * h);
            active += usize::from(slope.abs() > 1e-3);
            rows += &format!("assert s.dual({name}) == {} within 1e-4\n", slope + 0.0);
        }
        assert!(active >= 3, "too few constraints matter");
        let r = run(&mut s, "duals.opt", &rows);
        assert_eq!(r.exit, 0, "{}\n{rows}", r.shown);
    }
}

#[test]
fn a_fixed_entry_has_the_derivative_of_the_optimum_as_its_reduced_cost() {
    holds(
        "problem p {\n var x: Vector[3]\n minimize sumsq(x - [1, 2, 3]) + x[1]*x[2]\n}
s = solve p fixing x[2] = 0.5
a = solve p fixing x[2] = 0.5001
b = solve p fixing x[2] = 0.4999
assert s.reduced(x)[2] == (a.objective - b.objective)/0.0002 within 1e-5
assert s.x[2] == 0.5",
    );
}

#[test]
fn expressions_at_a_solution_are_what_their_pieces_say() {
    holds(
        "set I = {\"a\", \"b\", \"c\"}
param w: Real[I] = {\"a\": 1, \"b\": 2, \"c\": 3}
param t: Real = 2
let twice = 2*t
fn cube(z: Real) -> Real = z^3
problem p(q: Real) {
  var x: Real[I] in [0, 5]
  var y: Real
  set heavy = {i in I if w[i] >= 2}
  let dev = [i in I] (x[i] - w[i])
  minimize sum(i in I) (x[i] - q*w[i])^2 + (y - t)^2
}
s = solve p(1.5)
assert s.value(x[\"b\"] + y) == s.x[\"b\"] + s.y
assert s.value(sum(i in heavy) x[i]) == s.x[\"b\"] + s.x[\"c\"]
assert s.dev == [i in I] (s.x[i] - w[i]) within 0
assert s.value(max(dev)) == max(s.dev)
assert s.value(q) == 1.5
assert s.value(cube(y)) == s.y^3
assert s.value(twice*y) == 2*t*s.y
t = 10
w = {\"a\": 0, \"b\": 0, \"c\": 0}
# A snapshot: then, not now.
assert s.value(twice) == 4
assert s.value(sum(w)) == 6
assert s.value([i in I] w[i]*x[i])[\"c\"] == 3*s.x[\"c\"]
assert sum(i in I) s.value(x[i]*w[i]) == s.value(dot(x, w)) within 1e-12
assert twice == 20
s = solve p(1)
assert s.value(q) == 1",
    );
    fails(
        "problem p {\n var x: Real >= 0\n minimize x\n subject to\n c: x <= -1\n}\ns = solve p\nprint s.value(x + 1)",
        Code::UnknownField,
        "it is infeasible",
    );
}

#[test]
fn a_variation_is_the_problem_written_out() {
    let model = "
param A: Matrix[m, n] = [1, 2, 0; 0, 1, 3; 2, 0, 1; 1, 1, 1]
param b: Vector[m] = [1, 2, 3, 4]
problem p {
  var x: Vector[n] >= 0
  var z: Real
  minimize sumsq(A*x - b) + (z - x[1])^2
  subject to
    cap: sum(x) <= 1
    low[i in 1..n]: x[i] <= 0.6 + z
}
problem q {
  var x: Vector[n] >= 0
  var z: Real
  minimize sumsq(A*x - b) + (z - x[1])^2
  subject to
    low[i in 1..n]: x[i] <= 0.6 + z
    pin: x[2] == 0.25
}
problem r {
  var x: Vector[n] >= 0
  minimize sumsq(A*x - b) + (0.3 - x[1])^2
  subject to
    cap: sum(x) <= 1
    low[i in 1..n]: x[i] <= 0.6 + 0.3
}
";
    holds(&format!(
        "{model}
s = solve p without cap fixing x[2] = 0.25 to 1e-10
t = solve q to 1e-10
assert s.objective == t.objective within 1e-7
assert s.x == t.x within 1e-5
s = solve p fixing z = 0.3 to 1e-10
t = solve r to 1e-10
assert s.objective == t.objective within 1e-7
assert s.z == 0.3
# The problem itself stays.
a = solve p
b2 = solve p without cap, low
assert b2.objective <= a.objective - 0.01
c = solve p fixing x[1..2] = [0.1, 0.2], x[3] = 0.3
assert c.x == [0.1, 0.2, 0.3] within 0"
    ));
    holds(
        "problem whole {\n var n: Int[2] >= 0\n var b: Bool\n maximize 3*n[1] + 2*n[2] + 4*b\n subject to\n c: 2*n[1] + n[2] + 3*b <= 4.5\n}
problem real {\n var n: Real[2] >= 0\n var b: Real in [0, 1]\n maximize 3*n[1] + 2*n[2] + 4*b\n subject to\n c: 2*n[1] + n[2] + 3*b <= 4.5\n}
s = solve whole relaxed
t = solve real
assert s.objective == t.objective within 1e-6",
    );
}

/// Rows left out against the same problem written without them; names in subscripts are the program's.
#[test]
fn rows_that_are_left_out() {
    let p = |name: &str, c: &str, d: &str| {
        format!(
            "problem {name} {{\n var x: Vector[5] >= -9\n var y: Real[2, 3] >= 0\n minimize sum(i in 1..5) i*x[i] + sum(y)\n subject to\n c[i in 1..5 if i != 5]: x[i] >= i{c}\n d[i in 1..2, j in 1..3{d}]: y[i, j] >= i + j\n}}\n"
        )
    };
    let both = |without: &str, c: &str, d: &str| {
        let c = format!("\n sum(x) >= -40{c}");
        let (whole, rest) = (p("whole", "\n sum(x) >= -40", ""), p("rest", &c, d));
        format!(
            "{whole}{rest}let q = 2\ns = solve whole without {without}\nt = solve rest\nassert s.x == t.x within 1e-6\nassert s.y == t.y within 1e-6\n"
        )
    };
    holds(&both("d[2, 3]", "", " if not (i == 2 and j == 3)"));
    holds(&both("d[2, :]", "", " if i != 2"));
    holds(&both("d[:, 2..3], d[1, 1]", "", " if i == 2 and j == 1"));
    holds(&both("d[q, q]", "", " if i != 2 or j != 2"));
    let c = p("whole", "", "");
    holds(&format!(
        "{c}s = solve whole without c[2], c[3] fixing y = 9\nassert s.x == [1, -9, -9, 4, -9] within 1e-6\n"
    ));
    // The family itself stays, and all of its rows are the family.
    holds(&format!(
        "{c}for k in 1..4 {{ s = solve whole without c[k] }}\nassert s[2].x[2] == -9 within 1e-6\nassert s[2].x[3] == 3 within 1e-6\nt = solve whole without d[:, :]\nassert t.y == 0 within 1e-6"
    ));
    for (rows, code, says) in [
        ("d[1]", Code::WrongIndexCount, "2 dimensions"),
        ("d[3, 1]", Code::IndexOutOfRange, "1..2"),
        ("d[\"a\", 1]", Code::WrongType, "a text"),
        ("e[1]", Code::UnknownConstraint, "no constraint `e`"),
        ("1", Code::ClauseOrder, "rows of them"),
    ] {
        fails(&format!("{c}solve whole without {rows}"), code, says);
    }
    fails(
        "problem p {\n var x: Vector[3]\n minimize sum(x)\n subject to\n v: x >= [1, 2, 3]\n}\nsolve p without v[2]",
        Code::BadVariation,
        "by name",
    );
}

#[test]
fn variations_that_do_not_fit_say_so() {
    let p = "problem p {\n var x: Vector[2] >= 0\n var y: Real\n minimize sumsq(x - 1) + (y - x[1])^2\n subject to\n c: sum(x) <= 3\n}\n";
    for (line, says) in [
        ("solve p fixing x[1] = -1", "below its bound 0"),
        ("solve p fixing x[1] = 1, x[1] = 2", "fixed twice"),
        ("solve p fixing x = 1, y = 2", "nothing is left to decide"),
        ("solve p fixing w = 1", "no variable `w`"),
        ("solve p fixing x = [1, 2, 3]", "`x` is Vector[2]"),
        ("solve p fixing x[1] = inf", "finite"),
    ] {
        fails(&format!("{p}{line}"), Code::BadVariation, says);
    }
    fails(&format!("{p}solve p without d"), Code::UnknownConstraint, "it has `c`");
    fails(&format!("{p}solve p fixing x[3] = 1"), Code::IndexOutOfRange, "");
    fails(
        "problem p {\n var n: Int\n minimize (n - 0.5)^2\n}\nsolve p",
        Code::NotBuiltYet,
        "solve … relaxed",
    );
    // A rounded answer may be fixed again; a message says that nothing is relaxed.
    holds(&format!("{p}s = solve p\nt = solve p fixing x = s.x"));
    let r = ran(&format!("{p}solve p relaxed"));
    assert!(r.exit == 0 && r.codes == [Code::BadVariation], "{}", r.shown);
}

#[test]
fn random_starts_are_the_seed_s_and_between_the_bounds() {
    holds(
        "problem p {\n var x: Vector[4] in [2, 3]\n var y: Real <= -1\n var z: Real >= 7\n minimize sum(i in 1..4) sin(9*x[i])*y + z^2\n}
a = solve p from random(5) with lbfgs() for 1 steps
b = solve p from random(5) with lbfgs() for 1 steps
c = solve p from random(6) with lbfgs() for 1 steps
d = solve p seed 5 from random() with lbfgs() for 1 steps
assert a.x == b.x and a.y == b.y
assert norm(a.x - c.x) > 0.01
assert a.x == d.x
assert min(a.x) >= 2 and max(a.x) <= 3 and a.y <= -1 and a.z >= 7",
    );
    fails(
        "problem p {\n var x: Real\n minimize x^2\n}\nproblem q {\n var y: Real\n minimize y^2\n}\ns = solve p\nsolve q from s",
        Code::BadStart,
        "no variable in common",
    );
}

#[test]
fn loops_are_their_turns_one_by_one() {
    holds(
        "param a: Real = 0
problem p(m: Real) {\n var x: Vector[2]\n minimize sumsq(x - [a, m]) + sum(x)\n}
for k in 3..5 {
  let sq = k^2
  a = sq
  s = solve p(k/2)
  assert s.value(m) == k/2 within 1e-12
}
assert a == 25
a = 9
t = solve p(1.5)
assert s[3].x == t.x within 1e-9
assert [k in 3..5] s[k].x[1] == [k in 3..5] (k^2 - 0.5) within 1e-7
assert s.objective == s[5].objective
for v in [0.5, -1, 2] {
  for w in linspace(0, 1, 2) {
    g = solve p(v) fixing x[1] = w
  }
}
assert g[:, 1].objective == [g[1, 1].objective, g[2, 1].objective, g[3, 1].objective] within 0
assert g[2, 2].x == [1, -1.5] within 1e-7
assert linspace(1, 2, 3) == [1, 1.5, 2] within 1e-15
assert logspace(-1, 1, 3) == [0.1, 1, 10] within 1e-14",
    );
}

#[test]
fn what_goes_wrong_in_a_loop_names_the_turn() {
    let p = "param a: Real >= 0 = 1\nproblem p {\n var x: Real\n minimize (x - a)^2\n}\n";
    fails(
        &format!("{p}for k in 1..4 {{\n a = 2.5 - k\n s = solve p\n}}"),
        Code::CheckFailed,
        "in the turn k = 3",
    );
    fails(
        &format!("{p}for i in 1..2 {{\n for j in 1..3 {{\n assert i*j < 4\n }}\n}}"),
        Code::AssertFailed,
        "in the turn i = 2, j = 2",
    );
    for (text, code) in [
        ("for k in 1..3 { var y: Real }", Code::Syntax),
        ("for k in 1..3 { param y = 1 }", Code::Syntax),
        ("for k in 1..3\nprint 1", Code::Syntax),
        ("for k in 3 { print k }", Code::WrongType),
        ("for a in 1..3 { print a }", Code::BoundName),
        ("for k in 1..3 { print k }\nprint k", Code::UnknownName),
        ("s = solve p\nprint s[1].x", Code::WrongType),
        ("for k in 1..2 {\n s = solve p\n}\nprint s[3].x", Code::IndexOutOfRange),
        ("for k in 1..2 {\n s = solve p\n}\nprint s[:].status", Code::WrongType),
        ("for k in 1..2 {\n s = solve p\n}\nprint s.y", Code::UnknownField),
    ] {
        fails(&format!("{p}{text}"), code, "");
    }
}

#[test]
fn a_loop_in_a_cell_leaves_what_it_binds_and_keeps() {
    let mut s = session(&root());
    let mut cell = |name: &str, text: &str| -> (CellEnd, Vec<&'static str>, String) {
        let (mut codes, mut shown) = (vec![], String::new());
        let end = s.run_cell(name, text, &mut |e| match e {
            Event::Diagnostic(d) => codes.push(d.code.id()),
            Event::Shown(v) => shown += &ravine::report::render::plain(&v),
            _ => {}
        });
        (end, codes, shown)
    };
    let ok = |r: (CellEnd, Vec<&'static str>, String)| {
        assert!(r.0 == CellEnd::Ok && r.1.is_empty(), "{r:?}");
        r.2
    };
    ok(cell(
        "1",
        "param a: Real = 1\nproblem p {\n var x: Real\n minimize (x - a)^2\n}",
    ));
    ok(cell("2", "for k in 1..3 {\n a = 10*k\n s = solve p\n}"));
    assert!(ok(cell("3", "print s[2].x, a")).contains("20"));
    // Again, and changed: the results are those of now; nothing is said of keeping them anew.
    ok(cell("2", "for k in 1..4 {\n a = k\n s = solve p\n}"));
    ok(cell("3", "print s[4].x, a"));
    // The parameter's cell again: its value is that of its declaration; the solutions are snapshots.
    ok(cell(
        "1",
        "param a: Real = 7\nproblem p {\n var x: Real\n minimize (x - a)^2\n}",
    ));
    assert!(ok(cell("4", "print a")).contains('7'));
    ok(cell("5", "assert s[3].x == 3 within 1e-9"));
    // Another problem makes other results.
    let (end, codes, _) = cell("6", "for k in 1..2 {\n s = solve q\n}");
    assert!(end == CellEnd::Failed && codes == ["R0705"], "{codes:?}");
    ok(cell("5", "assert s[3].x == 3 within 1e-9"));
    // What the loop was goes with its cell.
    ok(cell("2", "print 1"));
    let (end, codes, _) = cell("5", "print s[3].x");
    assert!(end == CellEnd::Failed && codes == ["R0201"], "{codes:?}");
}

#[test]
fn comparisons_within_a_tolerance_go_by_their_sign() {
    holds(
        "assert 1 <= 0.999999 within 1e-5\nassert [1, 2] >= [1.000001, 0] within 1e-5\nassert [1, 2, 3] == 2 within 1\nassert inf == inf within 0",
    );
    fails("assert 2 <= 1 within 0.5", Code::AssertFailed, "off by 1");
    fails(
        "set I = {\"a\", \"b\"}\nparam u: Real[I] = {\"a\": 1, \"b\": 2}\nassert u == 1 within 0.5",
        Code::AssertFailed,
        "at [b]",
    );
    fails(
        "param u: Vector[k] = [1, 2]\nassert u == [1, 2, 3] within 1",
        Code::ShapeMismatch,
        "",
    );
}

/// Random half-spaces and a ball: the set that is named cannot hold, and without any one of its members it can.
#[test]
fn a_conflict_is_smallest() {
    let mut seed = 7u64;
    let mut draw = |lo: f64, hi: f64| {
        seed = seed
            .wrapping_mul(6_364_136_223_846_793_005)
            .wrapping_add(1_442_695_040_888_963_407);
        lo + (hi - lo) * (seed >> 11) as f64 / (1u64 << 53) as f64
    };
    let mut found = 0;
    for _ in 0..12 {
        let mut all: Vec<(String, String)> = (0..8)
            .map(|i| {
                let a = [draw(-1.0, 1.0), draw(-1.0, 1.0), draw(-1.0, 1.0)];
                let row = format!(
                    "{:.3}*x[1] + {:.3}*x[2] + {:.3}*x[3] <= {:.3}",
                    a[0],
                    a[1],
                    a[2],
                    draw(-1.0, 0.3)
                );
                (format!("c{i}"), row)
            })
            .collect();
        all.push(("ball".into(), "norm(x) <= 2".into()));
        let program = |names: &[&str], then: &str| {
            let rows: Vec<String> = all
                .iter()
                .filter(|c| names.contains(&c.0.as_str()))
                .map(|(n, r)| format!(" {n}: {r}\n"))
                .collect();
            format!(
                "problem p {{\n var x: Vector[3]\n minimize x[1]\n subject to\n floor: x >= -1000\n{}}}\n{then}",
                rows.concat()
            )
        };
        let names: Vec<&str> = all.iter().map(|c| c.0.as_str()).collect();
        let shown = ran(&program(&names, "inspect p conflict")).shown;
        let members: Vec<&str> = names
            .iter()
            .copied()
            .filter(|n| shown.lines().any(|l| l.starts_with(&format!("{n} "))))
            .collect();
        if members.is_empty() {
            assert!(shown.contains("no conflict"), "{shown}");
            continue;
        }
        found += 1;
        let infeasible = |names: &[&str]| ran(&program(names, "solve p")).shown.contains("p: infeasible");
        assert!(infeasible(&members), "{members:?} can hold together");
        for m in &members {
            let rest: Vec<&str> = members.iter().copied().filter(|n| n != m).collect();
            assert!(!infeasible(&rest), "{m} is not needed in {members:?}");
        }
    }
    assert!(found >= 6, "too few conflicts were drawn");
}

/// Complex steps answer for every analytic part, to rounding, and say what is in the way elsewhere.
#[test]
fn complex_steps_are_an_oracle_of_their_own() {
    let shown = |objective: &str| {
        ran(&format!(
            "param A: Matrix[n, n] = [2, 1, 0; 1, 3, 1; 0, 1, 2]\nset pairs = {{(1, 2), (3, 1)}}\nproblem p {{\n var x: Vector[n] from [0.3, 0.8, 1.7]\n minimize {objective}\n}}\ninspect p derivatives"
        ))
        .shown
    };
    for analytic in [
        "sum(i in 1..n) exp(x[i])*sin(x[i]^2)/x[i]",
        "logsumexp(A*x) + norm(A*x - 1) + quad(x, A) + sumsq(x)",
        "prod(i in 1..n) x[i] + geo_mean(x) + mean(i in 1..n) log(x[i])",
        "sum(i in 1..n, j in 1..n if j != i) A[i, j]*sqrt(x[i]*x[j]) + trace(x*x') + dot(cumsum(x), A'*x)",
        "sum((i, j) in pairs) tanh(x[i] - x[j])^3 + (if x[1] > 0.1 then x[1]^3 else x[2])",
        "kl_div(x[1], x[2]) + softplus(x[3]) + sum(i in 1..n) max(A[i, 1], 1)*x[i]^1.5",
    ] {
        let text = shown(analytic);
        assert!(
            text.contains("agree") && text.contains("less than 1e-12"),
            "{analytic}:\n{text}"
        );
    }
    for (kinked, why) in [
        ("sum(abs(x)) + x[1]^2", "`norm1`: not analytic"),
        ("huber(x[1], 1)", "`huber`"),
    ] {
        let text = shown(kinked);
        assert!(text.contains("agree") && text.contains(why), "{kinked}:\n{text}");
    }
}

#[test]
fn kinks_edges_and_undefined_points_are_told_apart() {
    let at = |point: &str| {
        ran(&format!(
            "problem p {{\n var x: Real\n var y: Real from 1\n minimize abs(x)*y + y^3\n subject to\n c: log(y) <= x^2\n}}\ninspect p derivatives at {point}"
        ))
        .shown
    };
    let smooth = at("x = 2, y = 3");
    assert!(smooth.contains("agree") && !smooth.contains("kink"), "{smooth}");
    let kink = at("x = 0, y = 3");
    assert!(
        kink.contains("along x: a kink: slope -3 to the left, 3 to the right"),
        "{kink}"
    );
}
