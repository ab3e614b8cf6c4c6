//! Verdicts where the objective is steep, small, unbounded or ill-conditioned: what is called optimal has to be.
//!
//! Invariant: references are closed forms, exact rational arithmetic, or another route to the same optimum; texts assert them.

use super::harness::{last_solve, root, run, session};
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
    assert_eq!(verdict(runs_away), Status::Diverged);
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
