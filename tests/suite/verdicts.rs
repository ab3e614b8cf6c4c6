//! Verdicts where the objective is steep, small, unbounded or ill-conditioned: what is called optimal has to be.
//!
//! Invariant: references are closed forms, exact rational arithmetic, or another route to the same optimum; texts assert them.

#![allow(clippy::unwrap_used, reason = "tests")]

use super::harness::{last_solve, root, run, session};
use ravine::report::SolveEntry;
use ravine::solve::Status;

/// Runs a text, whose assertions have to hold; the status of its last solve.
fn verdict(text: &str) -> Status {
    let mut s = session(&root());
    let ran = run(&mut s, "verdict", text);
    let status = last_solve(&s)
        .map(|e| e.status)
        .unwrap_or_else(|| panic!("{text}\n{}", ran.shown));
    assert!(ran.codes.is_empty(), "{text}\n{}", ran.shown);
    status
}

/// The last solve of a text, whatever it came to.
fn solved(text: &str) -> SolveEntry {
    let mut s = session(&root());
    let ran = run(&mut s, "verdict", text);
    last_solve(&s)
        .cloned()
        .unwrap_or_else(|| panic!("{text}\n{}", ran.shown))
}

const HILBERT: &str = "let A = [i in 1..20, j in 1..8] 1/(i + j - 1)
let b = [i in 1..20] 1e-3*sin(i*i)
";

#[test]
fn a_bound_nearby_is_no_optimum() {
    // The optimum is 1e-8 from the bound; from the start, a slope of 1e8 leads over it.
    let steep = "problem p {\n var x: Real >= 0 from 1\n minimize 1e8*x - log(x)\n}\ns = solve p
assert s.x == 1e-8 within 1e-13\nassert s.objective == 1 + 8*log(10) within 1e-7";
    assert_eq!(verdict(steep), Status::Optimal);
    let power = "problem p {\n var x: Real >= 0.001 from 1\n minimize 1e8*x^1.5 + 1/x^2\n}\ns = solve p
assert s.x == (4/3e8)^(2/7) within 1e-9";
    assert_eq!(verdict(power), Status::LocallyOptimal);
}

#[test]
fn a_small_objective_is_not_taken_for_zero() {
    let text = "problem p {\n var x: Vector[2]\n minimize 1e-9*(exp(x[1]) - 2*x[1] + (x[2] - 3)^2)\n}\ns = solve p
assert s.x[1] == log(2) within 1e-8\nassert s.x[2] == 3 within 1e-8";
    assert_eq!(verdict(text), Status::Optimal);
    let quadratic = "problem p {\n var x: Vector[3] >= 0\n minimize 1e-9*(x[1]^2 + x[2]^2 + x[3]^2 + x[1]*x[2])
 subject to\n c: x[1] + x[2] + 2*x[3] == 3\n}\ns = solve p
assert s.x[1] == 3/8 within 1e-7\nassert s.x[3] == 9/8 within 1e-7
assert abs(s.dual(c)) == 9/8*1e-9 within 1e-15";
    assert_eq!(verdict(quadratic), Status::Optimal);
}

#[test]
fn without_end_is_said_so() {
    let runs_away = "problem p {\n var x: Vector[60]\n minimize sum(softplus(x)) - 2*sum(x) + 0.1*norm1(x)\n}\nsolve p";
    assert_eq!(verdict(runs_away), Status::Unbounded);
    let no_square = "problem p {\n var x: Vector[20]\n minimize sumsq(x[1..10]) - sum(x) + 0.1*norm1(x)\n}\nsolve p";
    assert_eq!(verdict(no_square), Status::Unbounded);
    // Within bounds the same has an optimum, at the bounds of what no square holds.
    let held =
        "problem p {\n var x: Vector[20] in [-1, 2]\n minimize sumsq(x[1..10]) - sum(x) + 0.1*norm1(x)\n}\ns = solve p
assert s.x[1] == 0.45 within 1e-9\nassert s.x[20] == 2 within 1e-9";
    assert_eq!(verdict(held), Status::Optimal);
}

#[test]
fn a_steep_cost_is_no_proof_of_unboundedness() {
    let text = "problem p {\n var x: Real >= 0\n minimize 1e8*x - log(x)\n}\nsolve p with clarabel()";
    assert_ne!(verdict(text), Status::Unbounded);
    let text = "problem p {\n var Q: Symmetric[2] in PSD\n minimize 1e8*trace(Q) - logdet(Q)\n}\nsolve p";
    assert_ne!(verdict(text), Status::Unbounded);
}

#[test]
fn a_proof_of_infeasibility_holds_as_far_as_the_bounds_reach() {
    let text = "problem p {\n var x: Vector[2] in [0, 1e13]\n minimize x[1]\n subject to\n u: x[1] - x[2] >= 1
 v: x[1] - (1 + 1e-9)*x[2] <= 0\n}\ns = solve p\nassert s.x[1] == 1e9 within 1e3";
    assert_eq!(verdict(text), Status::Optimal);
    let text = "problem p {\n var x: Vector[2] in [0, 1e13]\n minimize x[1]\n subject to\n u: x[1] - x[2] >= 1
 v: x[1] - x[2] <= 0\n}\nsolve p";
    assert_eq!(verdict(text), Status::Infeasible);
}

#[test]
fn squares_keep_their_condition_under_equations_and_bounds() {
    // Eliminated and solved in rational arithmetic.
    let equation =
        "problem p {\n var x: Vector[8]\n minimize sumsq(A*x - b)\n subject to\n t: sum(x) == 0\n}\ns = solve p
assert s.x[1] == -0.6574270027732756 within 1e-6\nassert s.x[6] == 11509.68017044198 within 1e-2
assert s.objective == 6.990297810410643e-06 within 1e-14";
    assert_eq!(verdict(&format!("{HILBERT}{equation}")), Status::Optimal);
    // A norm is least where its square is.
    let norm = "problem p {\n var x: Vector[8]\n minimize norm(A*x - b)\n}\nproblem q {\n var x: Vector[8]\n minimize sumsq(A*x - b)\n}
s = solve p\nr = solve q\nassert s.objective^2 == r.objective within 1e-16\nassert norm(s.x - r.x) <= 1e-9*norm(r.x)";
    assert_eq!(verdict(&format!("{HILBERT}{norm}")), Status::Optimal);
    let bounds = "problem p {\n var x: Vector[8] in [-1, 1]\n minimize sumsq(A*x - b)\n}\ns = solve p
assert s.objective <= 8.13562e-6";
    assert_eq!(verdict(&format!("{HILBERT}{bounds}")), Status::Optimal);
}

#[test]
fn literals_of_one_shape_are_not_one_literal() {
    let quadratic =
        "problem p {\n var x: Vector[2]\n minimize sumsq(x) - 2*dot([2, 1], x) - dot([1, 3], x)\n}\ns = solve p
assert s.x[1] == 2.5 within 1e-9\nassert s.x[2] == 2.5 within 1e-9";
    assert_eq!(verdict(quadratic), Status::Optimal);
    let linear = "problem p {\n var x: Vector[2]\n minimize x[1] + x[2]\n subject to
 a: dot([2, 1], x) >= 1\n b: dot([1, 3], x) >= 4\n}\ns = solve p\nassert s.objective == 1.2 within 1e-8";
    assert_eq!(verdict(linear), Status::Optimal);
    let squares = "problem p {\n var x: Vector[2]
 minimize sumsq([2, 1; 1, 1]*x - [1, 2]) + sumsq([1, 3; 0, 1]*x - [4, 5])\n}\ns = solve p
assert s.x[1] == -2/3 within 1e-9\nassert s.x[2] == 2 within 1e-9";
    assert_eq!(verdict(squares), Status::Optimal);
}

#[test]
fn a_flat_cost_beside_a_steep_one_is_seen() {
    for text in [
        "problem p {\n var x: Real >= 0\n var y: Real\n minimize 1e9*x - y\n}\nsolve p",
        "problem p {\n var x: Real\n var w: Real\n minimize 1e9*x - w\n subject to\n c: x == 0\n}\nsolve p",
        "problem p {\n var x: Vector[2] >= 0\n minimize (x[1] - x[2])^2 - x[2]\n}\nsolve p",
    ] {
        assert_eq!(verdict(text), Status::Unbounded, "{text}");
    }
    let runs = "problem p {\n var x: Vector[2]\n minimize softplus(x[1]) + 2*x[1] + x[2]^2\n}\nsolve p";
    assert_eq!(verdict(runs), Status::Unbounded);
}

#[test]
fn what_rounding_leaves_of_a_free_variable_proves_nothing() {
    let text = "problem p {\n var w: Real\n var x: Real\n var y: Real\n minimize -0.3*w + 2e8*x - 9e9*y\n subject to
 a: -3e6*x == 2000\n b: 0 <= y <= 0\n}\nsolve p";
    assert_ne!(verdict(text), Status::Infeasible);
}

#[test]
fn both_sides_of_an_equation_share_no_multiplier() {
    let text = "problem p {\n var x: Real\n minimize x\n subject to\n r: 2 <= x <= 2\n}\ns = solve p
assert abs(s.dual(r)) == 1 within 1e-7";
    assert_eq!(verdict(text), Status::Optimal);
}

#[test]
fn squares_with_bounds_are_measured_in_their_own_units() {
    let small = "param A: Matrix[3, 2] = [1, 2; 2, 1; 1, 1]\nproblem p {\n var x: Vector[2] >= 0
 minimize sumsq(1e-5*(A*x) - [3e-5, 3e-5, 2e-5])\n}\ns = solve p
assert s.x[1] == 1 within 1e-8\nassert s.x[2] == 1 within 1e-8";
    assert_eq!(verdict(small), Status::Optimal);
    let uneven = "param A: Matrix[2, 2] = [1e5, 1e-4; -1e5, 1e-4]\nproblem p {
 var x: Vector[2] in [[0, -inf], [1e-5, inf]]\n minimize 1/2*sumsq(A*x - [1, 3])\n}\ns = solve p
assert s.x[2] == 2e4 within 1e-3\nassert s.objective == 1 within 1e-8";
    assert_eq!(verdict(uneven), Status::Optimal);
}

#[test]
fn a_quadratic_keeps_its_flat_directions() {
    let text = "param Q: Matrix[2, 2] = [1e10, 3; 3, 1e-8]\nproblem p {\n var x: Vector[2]
 minimize 1e5*x[1] + 1e-4*x[2]\n subject to\n a: quad(x, Q) <= 1\n}\ns = solve p
assert s.objective == -1.24034734589 within 1e-7";
    assert_eq!(verdict(text), Status::Optimal);
}

#[test]
fn small_cones_reach_the_tolerance() {
    let shares = "param w: Vector[3] = [2, 1, 5]\nparam v: Vector[3] = [2, 4, 4]\nproblem p {\n var x: Vector[3] >= 0
 maximize sum(i in 1..3) w[i]*log(x[i])\n subject to\n budget: dot(v, x) <= 3\n}\ns = solve p
assert s.x[1] == 3*2/(2*8) within 1e-4";
    assert_eq!(verdict(shares), Status::Optimal);
    let largest = "param A: Matrix[3, 2] = [1, 2; 3, 4; 5, 6]\nproblem p {\n var x: Vector[2]
 minimize sum_largest(A*x, 2) + sumsq(x)\n}\ns = solve p\nassert s.objective == -13 within 1e-7";
    assert_eq!(verdict(largest), Status::Optimal);
    let groups = "param A: Matrix[2, 4] = [2, 0, 1, 1; 1, -3, 0, -2]\nproblem p {\n var x: Vector[4]
 minimize sumsq(A*x - [-1, 3]) + 0.1*norm(x[1..2]) + 0.1*norm(x[3..4])\n}\nsolve p";
    assert_eq!(verdict(groups), Status::Optimal);
}

#[test]
fn where_zero_is_outside_the_domain_the_start_is_inside() {
    let divergence =
        "problem p {\n var x: Vector[2] >= 0\n minimize kl_div(x[1], 2) + kl_div(x[2], 0.5)\n}\ns = solve p
assert s.x[1] == 2 within 1e-6\nassert s.x[2] == 0.5 within 1e-6";
    verdict(divergence);
    let barrier = "problem p {\n var x: Vector[2]\n minimize sum(x) - log(x[1]) - log(x[2])\n}\ns = solve p
assert s.x[1] == 1 within 1e-6\nassert s.x[2] == 1 within 1e-6";
    verdict(barrier);
}

#[test]
fn equations_keep_the_condition_of_squares() {
    // The optimum from rational arithmetic.
    let text = "let A = [i in 1..12, j in 1..8] 1/(i + j)\nlet b = [i in 1..12] i % 3\nproblem p {\n var x: Vector[8]
 minimize sumsq(A*x - b)\n subject to\n e: sum(x) == 1\n}\ns = solve p\nassert s.objective == 5.316781151145 within 1e-4";
    verdict(text);
}

#[test]
fn symmetric_saddles_are_no_minima() {
    // Start and gradient lie in a subspace that products by the Hessian never leave; the minima do not.
    let low_rank = "var U: Matrix[3, 2]START\n  minimize sumsq(U*U' - [2, 1, 0; 1, 2, 1; 0, 1, 2])";
    let least = (2.0 - std::f64::consts::SQRT_2).powi(2);
    for start in ["", " from 0.5", " from -0.3"] {
        for with in ["", " with lbfgs()"] {
            let text = format!(
                "problem p {{\n  {}\n}}\ns = solve p{with}\n",
                low_rank.replace("START", start)
            );
            let e = solved(&text);
            assert_eq!(e.status, Status::LocallyOptimal, "{text}");
            assert!((e.objective.unwrap() - least).abs() < 1e-6, "{text}: {:?}", e.objective);
        }
    }
    let e =
        solved("problem p {\n  var x: Vector[2] from [1, 1]\n  minimize prod(x) + 0.1*sumsq(x)^2\n}\ns = solve p\n");
    assert!(e.objective.unwrap() < -0.62, "{:?}", e.objective);
}

#[test]
fn maxima_along_kinks_are_no_minima() {
    for (text, least) in [
        ("var x: Real\n  minimize abs(x)^2 - 2*abs(x)", -1.0),
        ("var x: Real\n  minimize x^2 - relu(x)", -0.25),
        ("var x: Vector[2]\n  minimize sumsq(x) - norm1(x)", -0.5),
        ("var x: Vector[2]\n  minimize norm(x)^2 - 2*norm(x)", -1.0),
    ] {
        let e = solved(&format!("problem p {{\n  {text}\n}}\ns = solve p\n"));
        assert!(
            (e.objective.unwrap() - least).abs() < 1e-6,
            "{text}: {:?} {:?}",
            e.status,
            e.objective
        );
    }
}

#[test]
fn infinite_limits_of_rows_are_none() {
    let head =
        "param lo = [-inf, 1, -inf]\nparam hi = [2, inf, inf]\nparam A: Matrix[3, 3] = [1, 1, 0; 0, 1, 1; 1, 0, 1]\n";
    for (rows, status, value) in [
        (
            "var x: Vector[3] in [-5, 5]\n  minimize sum(x)\n  subject to\n    c: lo <= A*x <= hi",
            Status::Optimal,
            -4.0,
        ),
        (
            "var x: Vector[3] in [-5, 5]\n  minimize sum(x)\n  subject to\n    a: A*x <= hi\n    b: A*x >= lo",
            Status::Optimal,
            -4.0,
        ),
        (
            "var x: Vector[3] in [-5, 5]\n  minimize sumsq(x) - sum(x)\n  subject to\n    a: A*x <= hi\n    n: norm(x) <= inf",
            Status::Optimal,
            -0.75,
        ),
        (
            "var x: Real >= 0\n  minimize x\n  subject to\n    c: x <= inf",
            Status::Optimal,
            0.0,
        ),
    ] {
        let e = solved(&format!("{head}problem p {{\n  {rows}\n}}\ns = solve p\n"));
        assert_eq!(e.status, status, "{rows}");
        assert!((e.objective.unwrap() - value).abs() < 1e-7, "{rows}: {:?}", e.objective);
    }
    let e = solved("problem p {\n  var x: Real >= 0\n  minimize x\n  subject to\n    c: x >= inf\n}\ns = solve p\n");
    assert_eq!(e.status, Status::Infeasible);
}

#[test]
fn rows_that_cannot_hold_are_told_beside_a_ray() {
    for text in [
        "var x: Vector[2] in [[-inf, -inf], [0, inf]]\n  minimize 2*x[1]\n  subject to\n    a: [0, 1; 0, 0]*x >= [2, 2]",
        "var x: Vector[2] in [[-inf, 1], [2, inf]]\n  minimize x[1] - x[2]\n  subject to\n    a: 2*x[1] == -1\n    b: x[1] == 0",
        "var x: Vector[3] in [[-inf, -inf, 0], [inf, 1, inf]]\n  minimize 2*sum(x)\n  subject to\n    a: -x[1] + x[3] - x[2] == 2\n    \
         b: 2*x[1] + x[2] == 0\n    c: 2*x[3] == 1\n    d: 2*x[1] - x[2] + 2*x[3] == -1",
    ] {
        let e = solved(&format!("problem p {{\n  {text}\n}}\ns = solve p\n"));
        assert_eq!(e.status, Status::Infeasible, "{text}");
    }
}

#[test]
fn smooth_convex_descent_without_end_ends() {
    for text in [
        "-log(x[1] - x[2] + 6) + exp(x[1] + 2*x[2]) - 3*x[1]",
        "exp(x[1] + x[2]) - 3*x[1]",
        "-sqrt(x[1] + 2*x[2] + 3) - x[1] + x[2]",
    ] {
        let e = solved(&format!(
            "problem p {{\n  var x: Vector[2]\n  minimize {text}\n}}\ns = solve p\n"
        ));
        assert!(
            matches!(e.status, Status::Diverged | Status::Unbounded),
            "{text}: {:?}",
            e.status
        );
    }
}

#[test]
fn curvature_without_end_on_a_bound_is_no_error() {
    let e = solved("problem p {\n  var x: Real >= 0\n  minimize x^1.5 - x\n}\ns = solve p\n");
    assert!(
        (e.objective.unwrap() + 4.0 / 27.0).abs() < 1e-9,
        "{:?} {:?}",
        e.status,
        e.objective
    );
    let e = solved("problem p {\n  var x: Real >= 0 from 1\n  minimize x^1.5 + x\n}\ns = solve p\n");
    assert!(
        e.status == Status::Optimal && e.objective.unwrap().abs() < 1e-9,
        "{:?} {:?}",
        e.status,
        e.objective
    );
}

#[test]
fn a_small_slope_far_away_is_no_minimum() {
    for text in [
        "var x: Real >= 0\n  minimize -log(x)",
        "var x: Vector[2]\n  maximize sum(log(x + 1))",
        "var x: Vector[2]\n  minimize -log(x[1] - x[2] + 1)",
        "var x: Real\n  maximize sqrt(x + 1)",
        "var x: Vector[2] in [[0, 0], [inf, 3]]\n  minimize -log(x[1]) + x[2]^2",
    ] {
        for with in ["", " with lbfgs()"] {
            let e = solved(&format!("problem p {{\n  {text}\n}}\ns = solve p{with}\n"));
            assert_ne!(e.status, Status::Optimal, "{text}{with}: {:?}", e.objective);
        }
    }
}

#[test]
fn a_warm_start_beside_its_bounds_has_reduced_costs() {
    let text = "param A: Matrix[2, 3] = [1, 2, 0; 0, 1, 3]\nproblem p {\n  var x: Vector[3] in [0, 1]\n  \
                minimize 0.1*sum(squared_hinge(A*x - [1, 3])) + 1e-3*x[2]\n  subject to\n    c: sum(x) <= 2.5\n}\n\
                s = solve p\nt = solve p without c\nu = solve p without c cold\n\
                assert t.reduced(x) == u.reduced(x) within 1e-6\nassert max(abs(u.reduced(x))) > 1e-4";
    verdict(text);
}

#[test]
fn what_is_hardly_there_is_seen() {
    // A family without elements, a variable that no square holds, a norm by its exponent.
    let empty = "param n: Int = 0\nproblem p {\n  var y: Vector[2]\n  minimize sumsq(y)\n  subject to\n    c[i in 1..n]: y[1] <= 5\n}\n\
                 s = solve p\nassert s.objective == 0 within 1e-12\nassert norm(s.y) == 0 within 1e-9";
    assert_eq!(verdict(empty), Status::Optimal);
    let e = solved(
        "problem p {\n  var x: Vector[3] in [-1, inf]\n  minimize (0.2415*x[3] - x[2] - 2)^2 - x[3] + 0*x[1]\n}\ns = solve p\n",
    );
    assert_eq!(e.status, Status::Unbounded);
    let one = "problem p {\n  var x: Vector[3]\n  minimize pnorm(x - 1, 1)\n  subject to\n    c: sum(x) == 0\n}\n\
               s = solve p\nassert s.objective == 3 within 1e-7";
    assert_eq!(verdict(one), Status::Optimal);
}

#[test]
fn cones_go_on_where_derivatives_end() {
    // At the optimum an argument of an entropy is 1e-14, where its slope is 30; at the start of the second, entropies are at 0.
    let text = "param A: Matrix[3, 6] = [0.4414, 0, 0, -0.1157, -0.4467, -1.0189; 0, 0, 1.8527, 0.0717, 0, 0.2849; 0, 0.2739, -1.4381, -0.7309, 0, -1.1807]\n\
                param b: Vector[3] = [2, 3, -1]\nparam c: Vector[6] = [-2, -1, -3, -1, -3, -2]\nproblem p {\n  \
                var x: Vector[6] in [[0, -1, 1, -1, -inf, -1], [2, 1, inf, 1, inf, 2]]\n  \
                minimize -0.1*sum(entropy(A*x - b + 5)) + dot(c, x)\n}\ns = solve p\nt = solve p with clarabel() cold\n\
                assert s.objective == t.objective within 1e-6";
    assert_eq!(verdict(text), Status::Optimal);
    let edge = "problem q {\n  var x: Vector[2]\n  minimize -entropy(x[1] - x[2]) - entropy(2 + x[2]) - entropy(x[2] + 3*x[1]) - 5*x[1] - 30*x[2] + sumsq(x)\n}\n\
                s = solve q\nassert s.objective == -53.009 within 1e-3";
    assert_eq!(verdict(edge), Status::Optimal);
}

/// A slope of 1e8 that a bound takes up says nothing about what is small elsewhere.
#[test]
fn a_slope_held_by_a_bound_excuses_no_other() {
    let quartic = "problem p {\n var x: Vector[2] >= 0 from [5, 0]\n minimize (x[1] - 1)^4 + 1e8*x[2]\n}\ns = solve p
assert s.objective <= 1e-9";
    assert_eq!(verdict(quartic), Status::Optimal);
    let row =
        "problem p {\n var x: Vector[2] in [0, 10]\n minimize sumsq(x - 1) + 1e9*x[2]\n subject to\n x[1]^2 <= 5\n}
s = solve p with augmented_lagrangian()\nassert s.x[1] == 1 within 1e-7";
    assert_eq!(verdict(row), Status::Optimal);
    let large = "problem p {\n var x: Vector[2] in [0, 10] from [5, 5]\n minimize 1e9*sumsq(x - 1)\n subject to
 x[1] + x[2] <= 15\n}\ns = solve p with augmented_lagrangian()\nassert s.x == [1, 1] within 1e-7";
    assert_eq!(verdict(large), Status::Optimal);
    let ratio = "problem p {\n var x: Vector[3] >= 0 from [0.7, 1.7, 2]\n minimize sumsq(x) + x[1]/x[3] + x[3]/x[2]\n}\ns = solve p";
    assert_ne!(solved(ratio).status, Status::LocallyOptimal);
}

#[test]
fn bounds_behind_rows_have_the_multipliers_of_the_whole_lagrangian() {
    let text = "problem p {
  var x: Vector[3] >= 0 from 1
  minimize sumsq(x - [3, -1, 2])
  subject to
    total: sum(x) <= 2
}
s = solve p with augmented_lagrangian()
let r = s.reduced(x)
assert s.dual(total) == -3 within 1e-6
assert r[2] == 5 within 1e-6
assert r[1] == 0 and r[3] == 0";
    assert_eq!(verdict(text), Status::Optimal);
}

#[test]
fn a_set_is_no_optimum_where_slopes_are_steeper_than_it_is_wide() {
    for (set, scale) in [
        ("simplex", 1e10),
        ("ball(1)", 1e10),
        ("ball(1e-9)", 1.0),
        ("ball(1e-9)", 1e10),
    ] {
        let e = solved(&format!(
            "problem big {{
  var x: Vector[3] in {set}
  minimize {scale}*sumsq(x - [0.3, -0.1, 0.2])
}}
solve big with gd(1e-30) |> projected() until stationarity <= 1e-8 for 10 steps"
        ));
        assert_eq!(e.status, Status::StepLimit, "{set} {scale}");
        let told = e.residuals.iter().find(|r| r.name == "stationarity").map(|r| r.value);
        assert!(told.is_some_and(|v| v > 1e-2), "{set} {scale} {:?}", e.residuals);
    }
    // A coordinate an interval away from its bound, under a penalty.
    let e = solved(
        "problem p {
  var x: Vector[2] in [0, 1] from 0.5
  minimize 1e12*sumsq(x - 2) + norm1(x)
}
solve p with gd(1e-30) |> projected() for 10 steps",
    );
    assert!(
        e.residuals.iter().any(|r| r.name == "stationarity" && r.value > 0.1),
        "{:?}",
        e.residuals
    );
}

/// What `augmented_lagrangian()` comes to on a problem `p`.
fn multipliers_on(problem: &str) -> SolveEntry {
    solved(&format!(
        "problem p {{\n{problem}\n}}\nsolve p with augmented_lagrangian()"
    ))
}

#[test]
fn rows_without_a_point_end_and_say_so() {
    for problem in [
        "var x: Vector[3]\n minimize sumsq(x - [1, 2, 3])\n subject to\n a: sum(x) <= 1\n b: sum(x) >= 2",
        "var x: Vector[2]\n minimize sumsq(x)\n subject to\n a: sumsq(x) <= 1\n b: sumsq(x - [3, 0]) <= 1",
        "var x: Vector[2] from 1\n minimize sumsq(x) - x[1]\n subject to\n a: x[1]*x[2] >= 2\n b: sumsq(x) <= 2",
        "var x: Real from 1\n minimize x\n subject to\n a: sin(x) >= 1.1",
    ] {
        let e = multipliers_on(problem);
        assert_eq!(e.status, Status::Stalled, "{problem} {}", e.reason);
        assert!(e.reason.contains("no point near"), "{problem} {}", e.reason);
        assert!(e.iterations.is_some_and(|k| k < 60), "{problem} {:?}", e.iterations);
    }
    // Without a larger penalty as well.
    let e = solved(
        "problem p {\n var x: Real\n minimize x^2\n subject to\n a: x >= 1\n b: x <= -1\n}
solve p with augmented_lagrangian(grow: 1)",
    );
    assert_eq!(e.status, Status::Stalled, "{}", e.reason);
}

#[test]
fn rows_whose_slope_vanishes_where_they_hold_end() {
    for row in [
        "(sum(x) - 1)^2 == 0",
        "(sum(x) - 1)^2 <= 0",
        "sum(x.^4) <= 0",
        "norm(x)^2 == 0",
    ] {
        let e = multipliers_on(&format!(
            "var x: Vector[3]\n minimize sumsq(x - [1, 2, 3])\n subject to\n a: {row}"
        ));
        assert!(
            matches!(e.status, Status::Stationary | Status::Stalled),
            "{row} {} {}",
            e.status,
            e.reason
        );
        let violation = e.residuals.iter().find(|r| r.name == "violation").map(|r| r.value);
        assert!(violation.is_some_and(|v| v <= 1e-6), "{row} {violation:?}");
        assert!(e.iterations.is_some_and(|k| k < 300), "{row} {:?}", e.iterations);
    }
}

#[test]
fn rows_that_bound_nothing_diverge() {
    for problem in [
        "var x: Vector[2]\n minimize sum(x)\n subject to\n a: x[1] - x[2] == 1",
        "var x: Vector[2] from [1, 0.5]\n minimize -sumsq(x)\n subject to\n a: x[1] == 2*x[2]",
        "var x: Vector[2] from [1, 2]\n minimize x[1]*x[2]\n subject to\n a: x[1] + x[2] == 1",
    ] {
        let e = multipliers_on(problem);
        assert_eq!(e.status, Status::Diverged, "{problem} {}", e.reason);
    }
}

#[test]
fn steps_stay_where_rows_have_values() {
    for text in [
        "problem p {\n var x: Real from 1\n var y: Real from 0.01\n minimize (y - 1)^2 - x\n subject to\n a: sqrt(y) + x <= 3\n}
s = solve p with augmented_lagrangian()
assert s.x + sqrt(s.y) == 3 within 1e-7
assert 4*(s.y - 1)*sqrt(s.y) == -1 within 1e-6",
        "problem p {\n var x: Real from 1\n var y: Real >= 0 from 0.01\n minimize y^2 + y - x\n subject to\n a: sqrt(y) + x <= 3\n}
s = solve p with augmented_lagrangian()
assert s.x == 3 within 1e-6",
        "problem p {\n var x: Vector[2] from [1, 1]\n minimize sumsq(x - [1, 2])\n subject to\n a: log(x[1]) >= 1\n}
s = solve p with augmented_lagrangian()
assert s.x[1] == exp(1) within 1e-6",
        "problem p {\n var x: Vector[2] from [0.1, 5]\n minimize sumsq(x - [-3, 2])\n subject to\n a: log(x[1]) + x[2] >= 1\n}
s = solve p with augmented_lagrangian()
assert log(s.x[1]) + s.x[2] == 1 within 1e-6",
        "problem p {\n var x: Vector[2] from [1.8, 0.3]\n minimize -x[1]*x[2]\n subject to\n a: sqrt(4 - sumsq(x)) >= 0.5\n}
s = solve p with augmented_lagrangian()
assert s.x == [sqrt(1.875), sqrt(1.875)] within 1e-5",
    ] {
        let status = verdict(text);
        assert!(matches!(status, Status::Stationary | Status::Optimal), "{text} {status}");
    }
}

#[test]
fn the_largest_of_a_list_of_curved_expressions_has_a_cone() {
    let text = "problem p {
  var x: Vector[2]
  minimize max([(x[1] - 1)^2, (x[1] + 1)^2, x[2]^2 - 3])
}
s = solve p
assert s.objective == 1 within 1e-7
assert s.x[1] == 0 within 1e-6";
    assert_eq!(verdict(text), Status::Optimal);
    // The same rows written out.
    let mixed = "problem p {
  var x: Vector[2]
  minimize sum(x) + norm([exp(x[1]), abs(x[2] - 1), 0])
  subject to
    a: max([abs(x[1]), x[2], 1]) <= 3
    b: min([sqrt(x[2] + 1), x[1] + 2]) >= 1
}
problem e {
  var x: Vector[2]
  var t: Vector[2]
  minimize sum(x) + norm(t)
  subject to
    u: exp(x[1]) <= t[1]
    v: abs(x[2] - 1) <= t[2]
    l[i in 1..2]: -3 <= x[i] <= 3
    w: x[1] >= -1
    z: x[2] >= 0
}
r = solve e
s = solve p
assert s.objective == r.objective within 1e-6
assert s.x == r.x within 1e-4";
    assert_eq!(verdict(mixed), Status::Optimal);
    // Below the largest nothing is convex.
    let wrong = "problem p {\n var x: Vector[2] in [-1, 1]\n minimize x[2]\n subject to\n a: max([x[1]^2, x[2]]) >= 0.5\n}\nsolve p with clarabel()";
    let ran = run(&mut session(&root()), "verdict", wrong);
    assert!(!ran.codes.is_empty(), "{}", ran.shown);
}

#[test]
fn powers_take_the_simplest_cone() {
    // In each, x is where the slope of the power is 2*(5 - x).
    for (power, slope, class) in [
        ("max(x - 3, 0)^2", "2*(s.x - 3)", "quadratic"),
        ("2*sumsq(max([x - 3, -7], 0))", "4*(s.x - 3)", "quadratic"),
        ("relu(x - 3)^3", "3*(s.x - 3)^2", "second-order"),
        ("relu(x - 3)^1.5", "1.5*(s.x - 3)^0.5", "second-order"),
        ("(x - 3)^4", "4*(s.x - 3)^3", "second-order"),
        ("(x - 7)^6/100", "0.06*(s.x - 7)^5", "second-order"),
        ("abs(x - 3)^2.5", "2.5*(s.x - 3)^1.5", "second-order"),
        ("(x + 1)^(4/3)", "4/3*(s.x + 1)^(1/3)", "second-order"),
        ("-(x + 1)^0.3", "-0.3*(s.x + 1)^(-0.7)", "second-order"),
        ("(x + 1)^(-3)", "-3*(s.x + 1)^(-4)", "second-order"),
        ("(x + 1)^(-0.5)", "-0.5*(s.x + 1)^(-1.5)", "second-order"),
        ("(x + 1)^pi", "pi*(s.x + 1)^(pi - 1)", "exponential"),
    ] {
        // A row that does not hold it, so that cones are asked for.
        let text = format!(
            "problem p {{\n var x: Real >= 0\n minimize {power} + (x - 5)^2\n subject to\n a: x <= 100\n}}
s = solve p\nassert {slope} == 2*(5 - s.x) within 1e-3"
        );
        assert_eq!(verdict(&text), Status::Optimal, "{power}");
        let e = solved(&text);
        let said = format!("{}: {}", e.class, e.class_why);
        assert!(said.contains(class), "{power}: {said}");
    }
    // A cube that power cones stop short on.
    let cubes = "problem p {\n var x: Vector[3] from 1\n minimize sum(i in 1..3) relu(x[i] - i)^3 - 1e-3*sum(x)\n subject to\n a: sum(x) <= 9\n}
s = solve p\nassert s.x == [1, 2, 3] + sqrt(1e-3/3) within 1e-4";
    assert_eq!(verdict(cubes), Status::Optimal);
}

#[test]
fn a_tail_far_out_is_followed_to_its_end() {
    // Slopes of 1e-8 are met at 1e2 to 1e4; to the bound there is more to gain than the tolerance.
    for (objective, bounds, best) in [
        ("1/x[3] + 0*x[1]", "in [1e-3, 1e6]", 1e-6),
        ("x[1]/x[3]", "in [1e-3, 1e6]", 1e-9),
        ("x[1]*x[2]/x[3]^2", "in [0.1, 1000]", 1e-8),
        ("x[1]/(x[2]*x[3])", "in [0.1, 1000]", 1e-7),
        ("sqrt(x[1]/x[3])", "in [1e-3, 1e6]", 1e-9_f64.sqrt()),
        ("x[1]/x[3] + (x[2] - 1)^2", ">= 0.1", 0.0),
        ("1e-3*(x[1]/x[3]) + sumsq(x[1..2] - 100)", "in [0.1, 1e9]", 1e-10),
    ] {
        for with in ["", " with lbfgs()", " with newton_tr()"] {
            let e = solved(&format!(
                "problem p {{\n var x: Vector[3] {bounds} from 1\n minimize {objective}\n}}\ns = solve p{with}"
            ));
            assert!(
                matches!(e.status, Status::Optimal | Status::LocallyOptimal | Status::Stationary),
                "{objective}{with}: {} {}",
                e.status,
                e.reason
            );
            let f = e.objective.unwrap();
            assert!(f - best <= 2.1e-8, "{objective} {bounds}{with}: {f:e}, not {best:e}");
        }
    }
}

#[test]
fn variables_all_but_on_a_bound_do_not_stop_the_others() {
    // The first two go to 0 together, where their slopes change within no distance; the third has a slope of its own size.
    let e = solved(
        "problem p {
  var x: Vector[3] >= 0 from [1.4, 0.81, 1.21]
  minimize 0.5*sumsq(x) + 0.5*(x[2]/x[3]) + 2*(x[2]^2/x[1]) + 0.5*(x[1]^2/x[2]) + 1*(x[1]^2/x[3])
}
solve p",
    );
    assert!(e.objective.unwrap() < 1e-6, "{} {:?}", e.status, e.objective);
    // Without second derivatives at the end there is no claim about them.
    let e = solved(
        "problem p {
  var x: Vector[3] >= 0 from [0.56, 1.52, 0.27]
  minimize 0.5*sumsq(x) + 0.5*(1/x[2]) + 1*(-sqrt(x[2]*x[3])) + 1*(x[1]^2/x[2]) + 1*(x[1]^1.5)
}
solve p with lbfgs()",
    );
    assert!(
        matches!(e.status, Status::Stationary | Status::LocallyOptimal),
        "{} {}",
        e.status,
        e.reason
    );
    assert!(
        (e.objective.unwrap() - 0.402_289_144_9).abs() < 1e-8,
        "{:?}",
        e.objective
    );
}
