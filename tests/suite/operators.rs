//! Operators: products against matrices written out, solves against factorizations, wrong operators refused by name.
#![allow(clippy::disallowed_methods, reason = "a test")]

use nalgebra::{DMatrix, DVector};

use ravine::base::Code;

use super::harness::{last_solve, root, run, session};

fn shown(program: &str) -> (String, Vec<String>) {
    let ran = run(&mut session(&root()), "operators.opt", program);
    (ran.shown, ran.codes.iter().map(|c| c.id().to_string()).collect())
}

fn holds(program: &str) {
    let (text, codes) = shown(program);
    assert!(codes.is_empty(), "{program}\n{text}");
}

/// A matrix as the language writes it.
fn literal(a: &DMatrix<f64>) -> String {
    let rows: Vec<String> = a
        .row_iter()
        .map(|r| r.iter().map(|v| format!("{v:?}")).collect::<Vec<_>>().join(", "))
        .collect();
    format!("[{}]", rows.join("; "))
}

fn list(v: &[f64]) -> String {
    format!("{v:?}")
}

/// Numbers without a pattern.
fn draw(n: usize, salt: usize) -> Vec<f64> {
    (0..n)
        .map(|i| (((i + 1) * (7 * salt + 3) * 37 % 101) as f64 - 50.0) / 16.0)
        .collect()
}

fn toeplitz(c: &[f64], r: &[f64]) -> DMatrix<f64> {
    DMatrix::from_fn(c.len(), r.len(), |i, j| if i >= j { c[i - j] } else { r[j - i] })
}

/// Operators as they are written, beside the matrices they stand for.
fn zoo() -> Vec<(String, DMatrix<f64>)> {
    let (c, mut r) = (draw(5, 1), draw(4, 2));
    r[0] = c[0];
    let t = toeplitz(&c, &r);
    let round = draw(4, 3);
    let circulant = DMatrix::from_fn(4, 4, |i, j| round[(4 + i - j) % 4]);
    let kernel = draw(3, 4);
    let conv = DMatrix::from_fn(6, 4, |i, j| if i >= j && i - j < 3 { kernel[i - j] } else { 0.0 });
    let a = DMatrix::from_row_slice(3, 2, &draw(6, 5));
    let b = DMatrix::from_row_slice(2, 3, &draw(6, 6));
    let d = draw(3, 7);
    let (la, lb, ld) = (literal(&a), literal(&b), list(&d));
    let ct = format!("toeplitz({}, {})", list(&c), list(&r));
    let cc = format!("circulant({})", list(&round));
    let pair = format!("operator(rows: 3, cols: 2, apply: p -> {la}*p, adjoint: q -> {la}'*q)");
    let diagonal = DMatrix::from_diagonal(&DVector::from_row_slice(&d));
    vec![
        (ct.clone(), t.clone()),
        (format!("{ct}'"), t.transpose()),
        (format!("toeplitz({})", list(&c)), toeplitz(&c, &c)),
        (cc.clone(), circulant.clone()),
        (format!("convolution({}, 4)", list(&kernel)), conv.clone()),
        (format!("convolution({}, 4)'", list(&kernel)), conv.transpose()),
        (format!("lowrank({la}) + diag({ld})"), &a * a.transpose() + &diagonal),
        (
            format!("lowrank({la}, {lb}') - 2*diag({ld})"),
            &a * &b - 2.0 * &diagonal,
        ),
        (format!("kronecker({la}, {lb})"), a.kronecker(&b)),
        (format!("kronecker({ct}, {cc}')"), t.kronecker(&circulant.transpose())),
        (format!("kronecker({pair}, {cc})"), a.kronecker(&circulant)),
        (
            format!("kronecker({la}, kronecker({cc}, {lb}))"),
            a.kronecker(&circulant.kronecker(&b)),
        ),
        (pair.clone(), a.clone()),
        (format!("-{pair}"), -&a),
        (format!("{pair}*{lb}"), &a * &b),
        (format!("{pair}'/4 + operator({lb})"), a.transpose() / 4.0 + &b),
        (format!("convolution([2.0], 3)*{la}"), 2.0 * a),
    ]
}

#[test]
fn products_are_those_of_the_matrix_written_out() {
    for (text, a) in zoo() {
        let (x, y) = (draw(a.ncols(), 8), draw(a.nrows(), 9));
        let ax = &a * DVector::from_row_slice(&x);
        let aty = a.transpose() * DVector::from_row_slice(&y);
        holds(&format!(
            "let A = {text}\nassert A*{x:?} == {:?} within 1e-9\nassert A'*{y:?} == {:?} within 1e-9\n\
             assert ({y:?}'*A)' == {:?} within 1e-9\nassert matrix(A) == {} within 1e-9\nassert matrix(A') == {} within 1e-9\n",
            ax.as_slice(),
            aty.as_slice(),
            aty.as_slice(),
            literal(&a),
            literal(&a.transpose()),
        ));
    }
}

#[test]
fn one_row_and_one_column_are_enough() {
    holds("let A = toeplitz([3.0])\nassert A*[2] == [6] within 1e-12\nassert A'*[2] == [6] within 1e-12");
    holds("let A = circulant([3.0])\nassert A*[2] == [6] within 1e-12");
    holds(
        "let A = toeplitz([1, 2, 3], [1])\nassert A*[2] == [2, 4, 6] within 1e-12\nassert A'*[1, 1, 1] == [6] within 1e-12",
    );
    holds(
        "let A = toeplitz([1], [1, 2, 3])\nassert A*[1, 1, 1] == [6] within 1e-12\nassert A'*[2] == [2, 4, 6] within 1e-12",
    );
    holds(
        "let A = convolution([2, 1], 1)\nassert A*[3] == [6, 3] within 1e-12\nassert kronecker(A, A)*[1] == [4, 2, 2, 1] within 1e-12",
    );
}

#[test]
fn gradients_and_least_squares_go_through_the_adjoint() {
    for (text, a) in zoo() {
        let (m, n) = a.shape();
        let b = draw(m, 10);
        // Ridge keeps every one of them well posed: (A'A + I/2) x = A'b.
        let normal: DMatrix<f64> = a.transpose() * &a + 0.5 * DMatrix::identity(n, n);
        let x = normal
            .cholesky()
            .expect("positive definite")
            .solve(&(a.transpose() * DVector::from_row_slice(&b)));
        let program = format!(
            "let A = {text}\nproblem p {{\n  var x: Vector[{n}]\n  minimize sumsq(A*x - {b:?}) + 0.5*sumsq(x)\n}}\n"
        );
        let mut s = session(&root());
        let ran = run(
            &mut s,
            "o.opt",
            &format!(
                "{program}s = solve p to 1e-10\nassert s.x == {:?} within 1e-7",
                x.as_slice()
            ),
        );
        assert!(
            ran.codes.is_empty() && ran.shown.contains("optimal"),
            "{text}\n{}",
            ran.shown
        );
        let e = last_solve(&s).expect("solved");
        assert_eq!(e.method, "lsmr", "{text}");
        for with in [
            "lbfgs()",
            "cg()",
            "newton_tr()",
            "nesterov(lr: 1e-4) for 5 steps then lbfgs()",
        ] {
            holds(&format!(
                "{program}s = solve p to 1e-10 with {with}\nassert s.x == {:?} within 1e-6",
                x.as_slice()
            ));
        }
    }
}

#[test]
fn a_long_convolution_is_that_of_its_definition() {
    // Long enough for the transform, against single sums written in the language.
    holds(
        "param n: Int = 3000\nlet k = [i in 1..500] sin(i^2)/i\nlet K = convolution(k, n)\nlet v = [i in 1..n] cos(3*i)\n\
         let y = K*v\nassert y[1] == k[1]*v[1] within 1e-12\n\
         assert y[2000] == (sum(j in 1..500) k[j]*v[2001-j]) within 1e-11\n\
         assert y[3400] == (sum(j in 401..500) k[j]*v[3401-j]) within 1e-11\n\
         let z = K'*y\nassert dot(v, z) == sumsq(y) within 1e-8",
    );
}

#[test]
fn systems_quadratics_and_penalties_take_operators() {
    let base = "param n: Int = 40\nlet c = [i in 1..n] (if i == 1 then 2.1 else if i == 2 then -1 else 0)\nlet T = toeplitz(c)\n\
                let M = matrix(T)\n";
    for (body, method, others) in [
        ("subject to T*x == ones(n)", "lsmr", &["cg()", "minres()"][..]),
        ("minimize quad(x, T'*T)/2 - sum(x)", "cg", &["lbfgs()"]),
        (
            "minimize quad(x, T'*T + 0.5*diag(ones(n))) - sum(x)",
            "cg",
            &["lbfgs()"],
        ),
        ("minimize sumsq(T*x - ones(n)) + 0.5*norm1(x)", "apg", &[]),
        (
            "minimize sum(i in 1..n) log(1 + exp((T*x)[i] - i/10)) + sumsq(x)",
            "newton_tr",
            &["lbfgs()"],
        ),
    ] {
        let dense = body.replace('T', "M");
        let mut s = session(&root());
        let text = format!(
            "{base}problem p {{\n var x: Vector[n]\n {body}\n}}\nproblem q {{\n var x: Vector[n]\n {dense}\n}}\n\
             t = solve q to 1e-9\ns = solve p to 1e-9\nassert s.x == t.x within 1e-5\n"
        );
        let ran = run(&mut s, "o.opt", &text);
        assert!(ran.codes.is_empty(), "{body}\n{}", ran.shown);
        assert_eq!(last_solve(&s).expect("solved").method, method, "{body}");
        for with in others {
            holds(&format!(
                "{text}r = solve p to 1e-9 with {with}\nassert r.x == t.x within 1e-5"
            ));
        }
    }
    // A quadratic with an operator of which nothing is proved: conjugate gradients are asked for, and notice.
    let text = format!("{base}problem p {{\n var x: Vector[n]\n minimize quad(x, T)/2 - sum(x)\n}}\n");
    holds(&format!(
        "{text}s = solve p to 1e-10 with cg()\nassert T*s.x == ones(n) within 1e-7"
    ));
    let (said, _) = shown(&format!("{}solve p with cg()", text.replace("2.1", "0.5")));
    assert!(said.contains("not positive definite"), "{said}");
}

#[test]
fn a_wrong_adjoint_is_named_with_both_numbers() {
    let a = "param D = [1, 2; 3, 4; 5, 6]\n";
    for (apply, adjoint, say) in [
        ("D*p", "2*(D'*q)", "do not belong together"),
        ("D*p", "D'*q + 1e-6*sum(q)*ones(2)", "do not belong together"),
        ("D*p", "-(D'*q)", "do not belong together"),
        ("D*p + ones(3)", "D'*q", "not linear"),
        ("D*(p .* p)", "D'*q", "not linear"),
        ("D*p/(sum(p) - sum(p))", "D'*q", "R0"),
    ] {
        let (text, codes) = shown(&format!(
            "{a}let blur = operator(rows: 3, cols: 2, apply: p -> {apply}, adjoint: q -> {adjoint})\nprint blur*[1, 1]"
        ));
        assert!(!codes.is_empty() && text.contains(say), "{apply}, {adjoint}\n{text}");
        if say != "R0" {
            assert_eq!(codes, [Code::NotAdjoint.id()], "{text}");
            assert!(text.contains("`blur`"), "{text}");
        }
    }
    let (text, _) = shown(&format!(
        "{a}let blur = operator(rows: 3, cols: 2, apply: p -> D*p, adjoint: q -> 2*(D'*q))\nprint blur*[1, 1]"
    ));
    assert!(text.contains("<A x, y> = ") && text.contains("<x, A'y> = "), "{text}");
    // Rebound data are tested again.
    let (text, codes) = shown(
        "param w = [1, 1]\nlet W = operator(rows: 2, cols: 2, apply: p -> w .* p, adjoint: q -> q)\n\
         problem p {\n var x: Vector[2]\n minimize sumsq(W*x - ones(2))\n}\nsolve p\nw = [1, 2]\nsolve p",
    );
    assert_eq!(codes.last().map(String::as_str), Some("R0313"), "{text}");
}

#[test]
fn what_does_not_fit_is_refused() {
    for (program, code, say) in [
        ("print toeplitz([1, 2])*[1, 2, 3]", "R0203", "does not fit"),
        ("print toeplitz([1, 2]) + circulant([1, 2, 3])", "R0203", "does not fit"),
        ("print toeplitz([1, 2; 3, 4])", "R0210", "first column"),
        ("print toeplitz(zeros(0))*zeros(0)", "R0203", "a row and a column"),
        ("print toeplitz([1, 2])[1, 1]", "R02", "matrix(A)"),
        ("print toeplitz([1, 2])", "R0202", "matrix(A)"),
        ("print exp(toeplitz([1, 2]))", "R0210", "matrix(A)"),
        ("print toeplitz([1, 2]) .* 2", "R0203", "matrix(A)"),
        ("print toeplitz([1, 2]) \\ [1, 2, 3]", "R0203", "does not fit"),
        (
            "let T = toeplitz([2, 1])\nproblem p {\n var x: Vector[2]\n minimize sumsq(T \\ x)\n}\nsolve p",
            "R0190",
            "A*x == b",
        ),
        ("print trace(circulant([1, 2]))", "R0210", "matrix(A)"),
        ("param A: Operator[2, 2] = toeplitz([1, 2])", "R0202", "let A"),
        ("problem p {\n var A: Operator[2, 2]\n minimize 1\n}", "R0202", "let A"),
        ("let A: Operator[3, 3] = toeplitz([1, 2])", "R0202", "Operator[3, 3]"),
        ("let A: Matrix[2, 2] = toeplitz([1, 2])", "R0202", "Operator"),
        (
            "print operator(rows: 2, apply: p -> p, adjoint: q -> q)*[1, 2]",
            "R0211",
            "`cols`",
        ),
        (
            "print operator(rows: 2, cols: 2, apply: 1, adjoint: q -> q)*[1, 2]",
            "R0202",
            "function",
        ),
        (
            "print operator(rows: 3, cols: 2, apply: p -> p, adjoint: q -> q)*[1, 2]",
            "R0202",
            "Vector[3]",
        ),
        (
            "print lowrank([1, 2; 3, 4], [1, 2, 3; 4, 5, 6])*[1, 2]",
            "R0210",
            "lowrank",
        ),
        ("print kronecker([1, 2], toeplitz([1]))*[1]", "R0210", "kronecker"),
        (
            "let T = toeplitz([2, 1, 0])\nproblem p {\n var x: Vector[3]\n minimize sum(x)\n subject to T*x >= ones(3)\n}\nsolve p",
            "R0704",
            "matrix(A)",
        ),
        (
            "let T = toeplitz([2, 1, 0])\nproblem p {\n var x: Vector[3]\n minimize norm1(T*x - ones(3))\n}\nsolve p",
            "R0704",
            "matrix(A)",
        ),
        (
            "let T = toeplitz([2, 1, 0])\nproblem p {\n var x: Vector[3]\n minimize sumsq(T*x - ones(3))\n}\nsolve p with direct()",
            "R0703",
            "matrix(A)",
        ),
        (
            "let T = toeplitz([2, 1, 0], [2, 0, 0])\nproblem p {\n var x: Vector[3]\n subject to T*x == ones(3)\n}\nsolve p with cg()",
            "R0703",
            "lsmr()",
        ),
    ] {
        let (text, codes) = shown(program);
        assert!(
            codes.iter().any(|c| c.starts_with(code)) && text.contains(say),
            "{program}\n{codes:?}\n{text}"
        );
    }
}

/// A chain with a diagonal that grows: badly conditioned, and mended by the diagonal.
const GROWING: &str = "param n: Int = 60\nparam d = [i in 1..n] i^2\n\
    let T = toeplitz([i in 1..n] (if i == 1 then 2.1 else if i == 2 then -1 else 0))\n\
    problem p {\n var x: Vector[n]\n subject to T*x + d .* x == ones(n)\n}\n";

#[test]
fn preconditioners_of_the_users_own_save_steps() {
    let with = |m: &str| {
        let mut s = session(&root());
        let ran = run(
            &mut s,
            "o.opt",
            &format!(
                "{GROWING}let M = {m}\ns = solve p to 1e-10 with cg(preconditioner: M)\nassert (matrix(T) + diag(d))*s.x == ones(n) within 1e-8"
            ),
        );
        assert!(ran.codes.is_empty(), "{m}\n{}", ran.shown);
        last_solve(&s).and_then(|e| e.iterations).expect("steps")
    };
    let mut s = session(&root());
    run(
        &mut s,
        "o.opt",
        &format!("{GROWING}solve p to 1e-10 with cg(preconditioner: none)"),
    );
    let plain = last_solve(&s).and_then(|e| e.iterations).expect("steps");
    let forms = [
        "1 ./ (d + 2.1)",
        "diag(1 ./ (d + 2.1))",
        "operator(rows: n, cols: n, apply: u -> u ./ (d + 2.1), adjoint: v -> v ./ (d + 2.1))",
        "2*operator(diag(1 ./ (d + 2.1)))",
    ];
    let steps: Vec<u64> = forms.iter().map(|m| with(m)).collect();
    assert!(
        steps.iter().all(|k| *k == steps[0]),
        "one map, however it is written: {steps:?}"
    );
    assert!(3 * steps[0] < plain, "{} steps with it, {plain} without", steps[0]);
    // The exact inverse ends at once.
    assert!(with("inv(matrix(T) + diag(d))") <= 2);
    let (text, codes) = shown(&format!(
        "{GROWING}s = solve p to 1e-10 with minres(preconditioner: diag(1 ./ (d + 2.1)))\n\
         assert s.x == inv(matrix(T) + diag(d))*ones(n) within 1e-8"
    ));
    assert!(codes.is_empty(), "{text}");
}

#[test]
fn what_is_no_preconditioner_is_refused() {
    for (m, say) in [
        ("-1 ./ d", "not positive definite"),
        ("0*d", "not positive definite"),
        ("[1, 2, 3]", "3 by 3"),
        ("matrix(T)[1..3, :]", "3 by 60"),
        ("toeplitz(d, [j in 1..n] 1/j)", "not symmetric"),
        ("7", "cannot be"),
    ] {
        let (text, codes) = shown(&format!("{GROWING}let M = {m}\nsolve p with cg(preconditioner: M)"));
        assert!(codes == ["R0702"] && text.contains(say), "{m}\n{codes:?}\n{text}");
    }
    // Found on the way only: positive for the probes, negative for what the iteration meets.
    let (text, _) = shown(&format!(
        "{GROWING}let M = [i in 1..n] (if i == 50 then -1e-6 else 1/d[i])\nsolve p from x = [i in 1..n] (if i == 50 then 1 else 0) with cg(preconditioner: M)"
    ));
    assert!(
        text.contains("not positive definite") && !text.contains("optimal"),
        "{text}"
    );
    // A map that is not symmetric, forgiven by a window.
    let (text, codes) = shown(&format!(
        "{GROWING}let M = [i in 1..n, j in 1..n] (if i == j then 1/d[i] else if j == i + 1 then 0.1/d[i] else 0)\n\
         s = solve p to 1e-10 with cg(preconditioner: M, window: 20)\nassert s.x == inv(matrix(T) + diag(d))*ones(n) within 1e-8"
    ));
    assert!(codes.is_empty(), "{text}");
}

#[test]
fn the_reference_iterations_of_the_fixture_are_those_of_programs() {
    // The matrix of the fixtures pcg and flexible_cg, whose traces `linalg` is held to: here the door is the language's.
    let text = std::fs::read_to_string(root().join("tests/fixtures/pcg.json")).expect("fixture");
    let fixture: serde_json::Value = serde_json::from_str(&text).expect("json");
    let numbers = |v: &serde_json::Value| -> Vec<f64> {
        v.as_array()
            .expect("array")
            .iter()
            .map(|x| x.as_f64().expect("number"))
            .collect()
    };
    let rows: Vec<Vec<f64>> = fixture["problem"]["A"]
        .as_array()
        .expect("rows")
        .iter()
        .map(&numbers)
        .collect();
    let b = numbers(&fixture["problem"]["b"]);
    let n = b.len();
    let a = DMatrix::from_fn(n, n, |i, j| rows[i][j]);
    for case in fixture["cases"].as_array().expect("cases") {
        let own = match case["case"].as_str() {
            Some("none") => format!("{:?}", vec![1.0; n]),
            _ => format!("{:?}", (0..n).map(|i| 1.0 / a[(i, i)]).collect::<Vec<f64>>()),
        };
        let last = case["trace"]["x"].as_array().and_then(|x| x.last()).expect("points");
        for window in [0, 3] {
            holds(&format!(
                "let A = operator({})\nlet M = {own}\nproblem p {{\n var x: Vector[{n}]\n subject to A*x == {b:?}\n}}\n\
                 s = solve p to 1e-10 with cg(preconditioner: M, window: {window})\nassert s.x == {:?} within 1e-8\n\
                 assert s.iterations <= {}",
                literal(&a),
                numbers(last),
                n + 1,
            ));
        }
    }
}
