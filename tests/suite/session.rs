//! Programs through the session: values, solves, rebinding, statuses, duals against differences, bits.

use ravine::base::value::Value;
use ravine::session::Session;
use ravine::solve::Status;

use super::harness::{files, last_solve, root, run, session};

fn fresh() -> Session {
    session(&root().join("examples"))
}

/// Runs a program that must not fail; what it shows.
fn shown(program: &str) -> String {
    let ran = run(&mut fresh(), "test.opt", program);
    assert!(ran.codes.is_empty(), "{}", ran.shown);
    ran.shown
}

/// Runs a program; status and objective of its last solve.
fn solved(s: &mut Session, program: &str) -> (Status, Option<f64>) {
    let ran = run(s, "test.opt", program);
    let e = last_solve(s).unwrap_or_else(|| panic!("nothing was solved\n{}", ran.shown));
    (e.status, e.objective)
}

fn optimum(program: &str) -> f64 {
    let mut s = fresh();
    match solved(&mut s, program) {
        (Status::Optimal | Status::LocallyOptimal, Some(v)) => v,
        other => panic!("{other:?}\n{program}"),
    }
}

#[test]
fn values_of_expressions() {
    let got = shown(
        r#"
set plants = {"seattle", "san-diego"}
set markets = {"new-york", "chicago", "topeka"}
param d: Real[plants, markets] = {
  ("seattle", "new-york"): 2.5,   ("seattle", "chicago"): 1.7,   ("seattle", "topeka"): 1.8,
  ("san-diego", "new-york"): 2.5, ("san-diego", "chicago"): 1.8, ("san-diego", "topeka"): 1.4,
}
print sum(p in plants, m in markets) d[p, m], d["seattle", "chicago"]
let A = [1, 2; 3, 4]
let x = [1, 1]
print A*x, A'*x, x'*A*x, A*A
print A \ [1, 0]
print sum(i in 1..4) (sum(j in 1..i) i*j)
print mean(i in 1..4) i^2, max([3, 9, 2]), max(1, 2)
fn huber(r: Real, k: Real) -> Real = if abs(r) <= k then r^2/2 else k*(abs(r) - k/2)
print huber(3, 1), huber(0.5, 1)
print trace(A), diag(A), quad(x, A), eye(2)*x
param n: Int = 3
print zeros(n), length(plants), [1, 2, 3, 4][2..3]
"#,
    );
    for line in [
        "sum(p in plants, m in markets) d[p, m] =  11.7",
        "d[\"seattle\", \"chicago\"] =  1.7",
        "A*x =  [3, 7]",
        "A'*x =  [4, 6]",
        "x'*A*x =  10",
        "A \\ [1, 0] =  [-2, 1.5]",
        "= 65",
        "mean(i in 1..4) i^2 =  7.5",
        "max([3, 9, 2]) =  9",
        "huber(3, 1) =  2.5",
        "huber(0.5, 1) =  0.125",
        "diag(A) =  [1, 4]",
        "quad(x, A) =  10",
        "length(plants) =  2",
        "[1, 2, 3, 4][2..3] =  [2, 3]",
    ] {
        let words: Vec<&str> = line.split_whitespace().collect();
        let found = got.lines().any(|l| {
            let l: Vec<&str> = l.split_whitespace().collect();
            l.ends_with(&words)
        });
        assert!(found, "no line `{line}` in\n{got}");
    }
}

#[test]
fn rebinding_compiles_nothing() {
    let mut s = fresh();
    let first = "param c: Real = 1\nparam n: Int = 3\nproblem p {\n  var x: Vector[n] >= 0\n  minimize sum(x) + sumsq(x - c)\n  subject to\n    total: sum(x) >= c\n}\nsolve p\n";
    solved(&mut s, first);
    let once = s.compilations;
    for k in 2..6 {
        let (status, f) = solved(&mut s, &format!("c = {k}\nsolve p\n"));
        assert_eq!(status, Status::Optimal);
        assert!(f.is_some());
        assert_eq!(s.compilations, once, "rebinding a parameter compiled something");
    }
    // Another size is another structure.
    solved(&mut s, "n = 4\nsolve p\n");
    assert!(s.compilations > once);
}

/// A claim of convexity that rests on data is looked at again when the data change.
#[test]
fn definiteness_is_checked_at_each_rebinding() {
    let mut s = fresh();
    let first = "param P: Matrix[2, 2] = [2, 1; 1, 2]\nproblem p {\n  var x: Vector[2] in [-1, 1] from 0.5\n  minimize quad(x, P)\n  subject to\n    c: sum(x) >= -2\n}\nsolve p\n";
    assert_eq!(solved(&mut s, first).0, Status::Optimal);
    let ran = run(&mut s, "next.opt", "P = [1, 3; 3, 1]\nsolve p\n");
    assert_eq!(
        ran.codes.iter().map(|c| c.id()).collect::<Vec<_>>(),
        ["R0704"],
        "{}",
        ran.shown
    );
    let back = run(&mut s, "next.opt", "P = [3, 1; 1, 2]\nsolve p\n");
    assert!(back.codes.is_empty(), "{}", back.shown);
}

#[test]
fn texts_are_parameters_too() {
    assert!(shown("param title: Text = \"wide\"\nprint title\n").contains("wide"));
}

#[test]
fn statuses() {
    let cases = [
        (
            "var x: Real\nminimize x\nsubject to\n  a: x >= 1\n  b: x <= 0\nsolve\n",
            Status::Infeasible,
        ),
        (
            "var x: Real\nvar y: Real >= 0\nminimize x + y\nsubject to\n  a: x <= 1\nsolve\n",
            Status::Unbounded,
        ),
        (
            "var x: Real\nminimize (x - 2)^2\nsubject to\n  a: x <= 1\nsolve\n",
            Status::Optimal,
        ),
        ("var x: Real from 3\nminimize cos(x)\nsolve\n", Status::LocallyOptimal),
        ("var x: Real in [2, 1]\nminimize x\nsolve\n", Status::Infeasible),
        (
            "var x: Vector[3]\nminimize exp(sum(x)) + sumsq(x)\nsolve\n",
            Status::Optimal,
        ),
        (
            "var x: Vector[2]\nminimize norm(x - [3, 4]) + norm1(x)\nsolve\n",
            Status::Optimal,
        ),
    ];
    for (program, want) in cases {
        let mut s = fresh();
        let ran = run(&mut s, "test.opt", program);
        let got = last_solve(&s).map(|e| e.status);
        assert_eq!(got, Some(want), "{program}{}", ran.shown);
    }
}

/// `dual(c)` is the derivative of the optimal value by δ where the constraint reads `e1 - e2 <= δ`.
#[test]
fn duals_are_derivatives() {
    let body = |sense: &str, sign: &str, relation: &str, delta: f64| {
        let shift = format!("({delta:e})");
        format!(
            "var x: Vector[2]\n{sense} {sign}(sumsq(x - [3, 1]) + x[1])\nsubject to\n  c: x[1] + 2*x[2] {relation} 1 + {shift}\n  other: x[1] - x[2] == 0.5\ns = solve to 1e-10\n"
        )
    };
    for (sense, sign) in [("minimize", ""), ("maximize", "-")] {
        for relation in ["<=", ">=", "=="] {
            let h = 1e-4;
            let up = optimum(&body(sense, sign, relation, h));
            let down = optimum(&body(sense, sign, relation, -h));
            let slope = (up - down) / (2.0 * h);
            let mut s = fresh();
            solved(&mut s, &body(sense, sign, relation, 0.0));
            let e = last_solve(&s).expect("solved");
            let dual = e.duals.iter().find(|d| d.0 == "c").map(|d| match &d.1 {
                Value::Array { tensor, .. } => tensor.to_dense()[0],
                _ => f64::NAN,
            });
            let dual = dual.expect("a dual");
            assert!(
                (dual - slope).abs() < 1e-5,
                "{sense} {relation}: dual {dual}, difference {slope}"
            );
        }
    }
}

#[test]
fn leaving_a_domain_names_expression_and_index() {
    let ran = run(
        &mut fresh(),
        "test.opt",
        "let v = [1, 2, -3, 4]\nset I = 1..4\nprint sum(i in I) log(v[i])\n",
    );
    assert_eq!(
        ran.codes.iter().map(|c| c.id()).collect::<Vec<_>>(),
        ["R0801"],
        "{}",
        ran.shown
    );
    assert!(
        ran.shown.contains("i = 3") && ran.shown.contains("log"),
        "{}",
        ran.shown
    );
    assert_eq!(ran.exit, 1);
}

#[test]
fn statements_before_a_failure_keep_their_effect() {
    let mut s = fresh();
    let ran = run(
        &mut s,
        "test.opt",
        "param a: Real = 2\nprint a\nparam b: Real >= 0 = -1\nprint a + 1\n",
    );
    assert_eq!(ran.codes.iter().map(|c| c.id()).collect::<Vec<_>>(), ["R0303"]);
    assert!(run(&mut s, "next.opt", "print a\n").shown.contains('2'));
}

/// The same bits for 1 and 4 threads: objective, variables and duals of every solve of every example.
#[test]
fn examples_have_the_same_bits_for_any_number_of_threads() {
    let bits = |threads: usize, text: &str| {
        let pool = rayon::ThreadPoolBuilder::new()
            .num_threads(threads)
            .build()
            .expect("pool");
        let text = text.to_string();
        pool.install(move || {
            let mut s = fresh();
            run(&mut s, "test.opt", &text);
            let mut all: Vec<u64> = vec![];
            for r in &s.report.results {
                if let ravine::report::ResultEntry::Solve(e) = r {
                    all.extend(e.objective.map(f64::to_bits));
                    for (_, v) in e.variables.iter().chain(&e.duals) {
                        if let Value::Array { tensor, .. } = v {
                            all.extend(tensor.to_dense().iter().map(|v| v.to_bits()));
                        }
                    }
                }
            }
            all
        })
    };
    let slow = root().join(super::programs::EXPERIMENTS);
    for p in files(&root().join("examples"), "opt") {
        if p.starts_with(&slow) {
            continue;
        }
        let text = std::fs::read_to_string(&p).expect("text");
        let one = bits(1, &text);
        assert!(!one.is_empty());
        for threads in [2, 4] {
            assert!(bits(threads, &text) == one, "{} with {threads} threads", p.display());
        }
    }
}
