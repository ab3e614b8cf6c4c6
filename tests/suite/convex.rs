//! Convexity beyond the rules, affine rows of every kind, choices whose other branch has no slope.

use super::harness::{Ran, last_solve, root, run, session};

fn solved(text: &str) -> (f64, String, Ran) {
    let mut s = session(&root());
    let ran = run(&mut s, "t.opt", text);
    let e = last_solve(&s);
    (
        e.and_then(|e| e.objective).unwrap_or(f64::NAN),
        e.map_or_else(String::new, |e| e.class.clone()),
        ran,
    )
}

fn near(text: &str, want: f64) {
    let (v, _, ran) = solved(text);
    assert!(
        (v - want).abs() <= 1e-6 * (1.0 + want.abs()),
        "{v} instead of {want}\n{text}\n{}",
        ran.shown
    );
}

/// Optima by hand: the quadratic is convex as a whole, its terms are not.
#[test]
fn quadratics_that_are_convex_as_a_whole() {
    // Stationary on x + y = 2: 2x + y - 3 = x + 2y, so x - y = 3.
    near(
        "var x: Real\nvar y: Real\nminimize x^2 + x*y + y^2 - 3*x\nsubject to\n  x + y >= 2\nsolve\n",
        -2.25,
    );
    // Along (1, 1) the form is 3t²: t = -1.
    near(
        "var x: Real\nvar y: Real\nminimize x + y\nsubject to\n  x^2 + x*y + y^2 <= 3\nsolve\n",
        -2.0,
    );
    near(
        "var x: Real\nvar y: Real\nminimize x + y\nsubject to\n  3 >= x^2 + x*y + y^2\nsolve\n",
        -2.0,
    );
    // The largest sum on x'Px <= 6 with P = [2, 1; 1, 2] is at (1, 1).
    near(
        "param P: Matrix[2, 2] = [2, 1; 1, 2]\nvar x: Vector[2]\nmaximize sum(x)\nsubject to\n  quad(x, P) <= 6\nsolve\n",
        2.0,
    );
    // Concave to maximize, with a bound.
    near(
        "var x: Real >= 1\nvar y: Real\nmaximize x*y - x^2 - y^2\nsolve\n",
        -0.75,
    );
    // Beside something of higher degree.
    near(
        "var x: Real\nvar y: Real >= 0\nminimize exp(x + y) + x^2 + x*y + y^2 - x - y\nsubject to\n  x + y <= 0\nsolve\n",
        1.0,
    );
    // Pairs over an index set: (Σx)² - Σx² + 2Σx² is twice a sum of squares and more.
    near(
        "param n: Int = 4\nvar x: Vector[n]\nminimize sum(i in 1..n, j in 1..n if j != i) x[i]*x[j] + 2*sumsq(x)\nsubject to\n  sum(x) == 2\nsolve\n",
        4.0 + 1.0,
    );
}

#[test]
fn quadratics_that_bend_both_ways_are_no_convex_programs() {
    let (_, _, ran) = solved("var x: Real\nvar y: Real\nminimize x^2 + 3*x*y + y^2\nsubject to\n  x + y >= 2\nsolve\n");
    assert!(ran.exit != 0, "{}", ran.shown);
}

/// The class follows the data: convex for one parameter, not for another.
#[test]
fn convexity_found_in_the_data_is_looked_at_again() {
    let text = "param a: Real = 1\nproblem p {\n  var x: Real >= 0\n  var y: Real >= 0\n  minimize x^2 + a*x*y + y^2\n  subject to\n    c: x + y == 2\n}\nsolve p\n";
    near(text, 3.0);
    let (_, _, ran) = solved(&format!("{text}a = 3\nsolve p\n"));
    assert!(ran.exit != 0, "{}", ran.shown);
}

/// Every way to write an affine array of variables has rows: the projection onto `[1, 2, 3, 4]` through it is exact.
#[test]
fn affine_arrays_have_rows() {
    for (vars, array) in [
        ("var x: Vector[2]\nvar z: Vector[2]\n", "concat(x, z)"),
        ("var x: Vector[4]\n", "cumsum(x)"),
        (
            "var x: Vector[4]\n",
            "[2, 1, 0, 0; 1, 2, 1, 0; 0, 1, 2, 1; 0, 0, 1, 2] \\ x",
        ),
        (
            "var X: Matrix[2, 1]\nvar y: Vector[2]\n",
            "concat(kron(X, [1; 0])[1..2, 1], y) + concat([0, X[2, 1]], [0, 0])",
        ),
        ("var X: Matrix[2, 2]\n", "concat(X'[:, 1], X[2, :])"),
        ("var x: Vector[4]\n", "diag(x)*[1, 2, 3, 4]"),
        ("var t: Real\nvar y: Vector[3]\n", "concat([t], y) + t*ones(4)"),
        (
            "var X: Matrix[4, 1]\n",
            "kron(X, [3; 4])[1..4, 1]*0 + kron([2; 5], X)[5..8, 1]",
        ),
    ] {
        near(
            &format!(
                "{vars}minimize norm({array} - [1, 2, 3, 4]) + 7\nsubject to\n  norm1({array}) <= 100\nsolve with clarabel()\n"
            ),
            7.0,
        );
    }
}

#[test]
fn a_branch_that_is_not_taken_has_no_slope() {
    // The slope of the logarithm at 0 and of the root below 0 must not come through.
    for (f, want) in [
        ("(x + 1)^2 + (if x > 0 then log(x) else 0)", 0.0),
        ("(x + 1)^2 + (if x > 0 then sqrt(x) else 0)", 0.0),
        ("(x + 1)^2 + (if x <= 0 then 0 else x*log(x))", 0.0),
        ("2*(x + 1)^2 + (if x > 0 then sum(k in 1..2) sqrt(k*x) else 0)", 0.0),
    ] {
        let (v, _, ran) = solved(&format!("var x: Real from -0.5\nminimize {f}\nsolve\n"));
        assert!((v - want).abs() < 1e-6, "{f}: {v}\n{}", ran.shown);
    }
}

#[test]
fn small_whole_powers_are_products() {
    for x in ["0.1", "-1.7", "3.3", "1e-3"] {
        let text = format!(
            "param x: Real = {x}\nparam p: Int = 3\nprint x^p - x*x*x, x^3 - x*x*x, x^5 - x*x*x*x*x, x^-3 - 1/(x*x*x)\n"
        );
        let ran = run(&mut session(&root()), "t.opt", &text);
        assert_eq!(ran.shown.matches("= 0\n").count(), 4, "{}", ran.shown);
    }
}

#[test]
fn literals_made_of_blocks() {
    let text = "param A: Matrix[2, 2] = [1, 2; 3, 4]\nlet x = [5, 6]\n\
                print [x, 7, x]\nprint [A, x]\nprint [A, A; x', x']\nprint [A, x; 0, 0, 9]\nprint [x; 7]\nprint diff([1, 4, 9]), tv([1, 4, 2]), tv([0, 3; 4, 9])\n";
    let ran = run(&mut session(&root()), "t.opt", text);
    let words: Vec<&str> = ran.shown.split_whitespace().collect();
    let shown = words.join(" ");
    for want in [
        "[x, 7, x] = [5, 6, 7, 5, 6]",
        "[A, x] = [1, 2, 5; 3, 4, 6]",
        "[A, A; x', x'] = [1, 2, 1, 2; 3, 4, 3, 4; 5, 6, 5, 6]",
        "[A, x; 0, 0, 9] = [1, 2, 5; 3, 4, 6; 0, 0, 9]",
        "[x; 7] = [5; 6; 7]",
        "= [3, 5]",
        "tv([1, 4, 2]) = 5",
        "tv([0, 3; 4, 9]) = 5",
    ] {
        assert!(shown.contains(want), "{want} is not in\n{}", ran.shown);
    }
    // Of variables, in cones.
    near(
        "var x: Vector[2]\nvar t: Real\nminimize norm([x, t] - [1, 2, 3]) + 1\nsubject to\n  norm1(x) <= 10\nsolve\n",
        1.0,
    );
    near(
        "var X: Matrix[2, 2]\nvar t: Real\nminimize norm([X, [1; 2]; t, t, 3] - [1, 2, 1; 3, 4, 2; 5, 5, 3]) + 1\nsubject to\n  t <= 10\nsolve with clarabel()\n",
        1.0,
    );
    for (wrong, code) in [
        ("[[1, 2; 3, 4], [1; 2; 3]]", "R0203"),
        ("[[1, 2; 3, 4]; 1, 2, 3]", "R0203"),
        ("[[1, 2], \"a\"]", "R0202"),
    ] {
        let ran = run(&mut session(&root()), "t.opt", &format!("print {wrong}\n"));
        assert_eq!(
            ran.codes.iter().map(|c| c.id()).collect::<Vec<_>>(),
            [code],
            "{wrong}\n{}",
            ran.shown
        );
    }
}
