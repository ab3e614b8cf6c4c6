//! Passes against independent evaluation: derivatives against differences, rewrites by text and by value.

use std::collections::BTreeMap;
use std::sync::Arc;

use ravine::atoms;
use ravine::base::{Span, Tensor};
use ravine::exec::{Machine, Plan};
use ravine::ir::text::{self, Program};
use ravine::ir::verify::{verify, verify_problem};
use ravine::ir::{
    Constraint, Curvature, DomainId, InputId, InputKind, Ir, NodeId, Objective, Pos, Problem, Sense, Sides, Sign,
    Variable,
};
use ravine::passes::analysis::curvature::{analyze, judge, why_lines};
use ravine::passes::derive::{self, Second};
use ravine::passes::rewrite;
use ravine::solve::Class;
use ravine::solve::compiled::Compiled;

use super::interp::{Array, eval};

pub fn parse(t: &str) -> Program {
    text::parse(t, &|name, kind| atoms::find_kind(name, kind)).unwrap_or_else(|e| panic!("{e} in\n{t}"))
}

/// Numbers in (0.2, 1.8), never twice the same.
struct Draw(u64);
impl Draw {
    fn draw(&mut self) -> f64 {
        self.0 = self
            .0
            .wrapping_mul(6364136223846793005)
            .wrapping_add(1442695040888963407);
        0.2 + 1.6 * ((self.0 >> 11) as f64 / (1u64 << 53) as f64)
    }
}

fn values(ir: &Ir, seed: u64) -> BTreeMap<InputId, Array> {
    let mut d = Draw(seed);
    (0..ir.inputs().len() as u32)
        .map(InputId)
        .filter(|i| !matches!(ir.input(*i).kind, InputKind::Data(_)))
        .map(|i| {
            let shape: Vec<usize> = ir.input(i).dims.iter().map(|s| s.len()).collect();
            let data = (0..shape.iter().product()).map(|_| d.draw()).collect();
            (i, Array::new(&shape, data))
        })
        .collect()
}

fn vars(ir: &Ir) -> Vec<InputId> {
    (0..ir.inputs().len() as u32)
        .map(InputId)
        .filter(|i| matches!(ir.input(*i).kind, InputKind::Var))
        .collect()
}

/// All variables in a row.
fn flat(ir: &Ir, at: &BTreeMap<InputId, Array>) -> Vec<f64> {
    vars(ir).iter().flat_map(|v| at[v].data.clone()).collect()
}

fn moved(ir: &Ir, at: &BTreeMap<InputId, Array>, k: usize, h: f64) -> BTreeMap<InputId, Array> {
    let mut at = at.clone();
    let mut k = k;
    for v in vars(ir) {
        let a = at.get_mut(&v).expect("a variable has a value");
        if k < a.data.len() {
            a.data[k] += h;
            break;
        }
        k -= a.data.len();
    }
    at
}

/// Jacobian of a root node by central differences of fourth order; one row per entry.
fn jacobian(ir: &Ir, at: &BTreeMap<InputId, Array>, node: NodeId, h: f64) -> Vec<Vec<f64>> {
    let n = flat(ir, at).len();
    let columns: Vec<Vec<f64>> = (0..n)
        .map(|k| {
            let f = |s: f64| eval(ir, &moved(ir, at, k, s * h), node).data;
            let (a, b, c, d) = (f(-2.0), f(-1.0), f(1.0), f(2.0));
            (0..a.len())
                .map(|i| (a[i] - 8.0 * b[i] + 8.0 * c[i] - d[i]) / (12.0 * h))
                .collect()
        })
        .collect();
    let rows = eval(ir, at, node).data.len();
    (0..rows).map(|r| columns.iter().map(|c| c[r]).collect()).collect()
}

fn gradient(ir: &mut Ir, root: NodeId, at: &BTreeMap<InputId, Array>) -> Vec<f64> {
    let wrt = vars(ir);
    let g = derive::gradient(ir, root, &wrt).expect("every atom has a derivative");
    wrt.iter()
        .zip(g)
        .flat_map(|(v, g)| match g {
            Some(g) => {
                verify(ir, &[g]).expect("a valid gradient");
                let got = eval(ir, at, g);
                assert_eq!(got.shape, at[v].shape, "shape of a gradient");
                got.data
            }
            None => vec![0.0; at[v].data.len()],
        })
        .collect()
}

fn close(name: &str, got: &[f64], want: &[f64], tol: f64) {
    assert_eq!(got.len(), want.len(), "{name}: lengths");
    let size = 1.0 + want.iter().fold(0.0f64, |m, v| m.max(v.abs()));
    for (k, (g, w)) in got.iter().zip(want).enumerate() {
        assert!((g - w).abs() <= tol * size, "{name}: entry {k}: {g} against {w}");
    }
}

/// Adds the blocks of a scatter over a region: entries of `dims` at `at`.
fn sums(ir: &mut Ir, region: DomainId, dims: Vec<usize>, at: Vec<Pos>, value: NodeId) -> NodeId {
    let region = if region == DomainId::ROOT {
        atoms::rules::plain_domain(ir, &[1]).0
    } else {
        region
    };
    let s = ir.scatter(region, dims, at, value);
    verify(ir, &[s]).expect("a valid pattern");
    s
}

fn hessian(ir: &mut Ir, root: NodeId, at: &BTreeMap<InputId, Array>) -> Option<Vec<Vec<f64>>> {
    let n = flat(ir, at).len();
    let blocks = match derive::second_partials(ir, root).expect("derivatives") {
        Second::Blocks(b) => b,
        Second::Unstructured(_) => return None,
    };
    let mut h = vec![vec![0.0; n]; n];
    for b in blocks {
        let dims: Vec<usize> = [ir.shape(b.row.array), ir.shape(b.col.array)].concat();
        let places = [b.row.at.clone(), b.col.at.clone()].concat();
        let s = sums(ir, b.region, dims, places, b.value);
        let s = eval(ir, at, s).data;
        let jr = jacobian(ir, at, b.row.array, 0.5);
        let jc = jacobian(ir, at, b.col.array, 0.5);
        for i in 0..n {
            for j in 0..n {
                let mut v = 0.0;
                for (r, jr) in jr.iter().enumerate() {
                    for (c, jc) in jc.iter().enumerate() {
                        v += s[r * len(ir, b.col.array) + c] * jr[i] * jc[j];
                    }
                }
                h[i][j] += v;
                if b.mirror {
                    h[j][i] += v;
                }
            }
        }
    }
    Some(h)
}

fn len(ir: &Ir, n: NodeId) -> usize {
    ir.shape(n).iter().product()
}

/// Structured examples: name, text, and whether the Hessian has structure.
const EXAMPLES: &[(&str, &str, bool)] = &[
    (
        "chained Rosenbrock",
        "var x [1..6]\nout sum(i in 1..5) add(square(sub(1, x[i])), mul(100, square(sub(x[i + 1], square(x[i])))))",
        true,
    ),
    (
        "logistic with a product",
        "param A [1..5, 1..3]\nparam y [1..5]\nvar w [1..3]\nout sum(i in 1..5) softplus(neg(mul(y[i], matmul(A, w)[i])))",
        true,
    ),
    (
        "double sum with a broadcast",
        "param a [1..3]\nparam b [1..3, 1..4]\nvar y\nvar x [1..3]\nout sum(i in 1..3) mul(exp(mul(a[i], x[i])), sum(j in 1..4) mul(b[i, j], y))",
        true,
    ),
    (
        "a sum used inside a loop",
        "var x [1..4]\n%1 = sum(i in 1..4) square(x[i])\nout sum(i in 1..4) exp(mul(x[i], sin(%1)))",
        false,
    ),
    (
        "filtered sum",
        "param c [1..4, 1..4]\nvar x [1..4]\nout sum(i in 1..4, j in 1..4 if and(ne(val(i), val(j)), lt(c[i, j], 1))) mul(c[i, j], exp(mul(x[i], x[j])))",
        true,
    ),
    (
        "ragged inner loop",
        "param c [1..4]\nvar x [1..4]\nout sum(i in 1..4) square(sum(j in 1..4 if le(val(j), val(i))) mul(c[j], sin(x[j])))",
        true,
    ),
    (
        "largest value",
        "param A [1..4, 1..3]\nvar x [1..3]\nout max(i in 1..4) mul(matmul(A, x)[i], exp(x[0]))",
        true,
    ),
    (
        "log-sum-exp of everything",
        "param A [1..4, 1..3]\nvar x [1..3]\nout logsumexp(i in 1..4) matmul(A, x)[i]",
        false,
    ),
    (
        "log-sum-exp by row",
        "param X [1..5, 1..2]\nvar W [1..2, 1..3]\nout sum(i in 1..5) logsumexp(k in 1..3) matmul(X, W)[i, k]",
        true,
    ),
    (
        "quadratic form",
        "param P [1..3, 1..3]\nparam c [1..3]\nvar x [1..3]\nout add(quad(x, P), sum(i in 1..3) mul(c[i], x[i]))",
        true,
    ),
    (
        "matrix variable",
        "param M [1..3, 1..2]\nvar U [1..3, 1..2]\nvar V [1..2, 1..2]\nout sum(i in 1..3, j in 1..2) square(sub(matmul(U, V)[i, j], M[i, j]))",
        false,
    ),
    (
        "matrix variable in index form",
        "param M [1..3, 1..2]\nvar U [1..3, 1..2]\nvar V [1..2, 1..2]\nout sumsq(i in 1..3, j in 1..2) sub(sum(k in 1..2) mul(U[i, k], V[k, j]), M[i, j])",
        true,
    ),
    (
        "a function of a sum",
        "var x [1..4]\nout exp(mean(i in 1..4) square(x[i]))",
        false,
    ),
    ("scalars", "var x\nvar y\nout mul(exp(x), pow(y, 3))", true),
    (
        "a map read at shifted places",
        "var x [1..5]\n%1 = map(i in 1..5) exp(x[i])\nout sum(i in 1..4) mul(%1[i], %1[i + 1])",
        true,
    ),
    (
        "a computed position",
        "data at [1..3] = 2 0 1\nvar x [1..3]\nout mean(i in 1..3) mul(x[@at[i]], square(x[i]))",
        true,
    ),
    (
        "a bilinear product of sums",
        "var x [1..3]\nvar y\nout mul(y, sum(i in 1..3) square(x[i]))",
        true,
    ),
    (
        "product of factors",
        "var x [1..3]\nout prod(i in 1..3) exp(square(x[i]))",
        false,
    ),
    (
        "scaled, stacked, transposed",
        "param A [1..2, 1..3]\nvar x [1..3]\nvar t\n%1 = matmul(A, array_scale(t, x))\nout sum(i in 1..3) square(matmul(transpose(A), stack(mul(t, x[0]), exp(%1[1])))[i])",
        false,
    ),
    (
        "three nested loops",
        "param c [1..2, 1..3, 1..2]\nvar x [1..2, 1..3]\nvar z [1..2]\nout sum(i in 1..2) mul(z[i], sum(j in 1..3) mul(sin(x[i, j]), sum(k in 1..2) mul(c[i, j, k], exp(z[k]))))",
        true,
    ),
];

#[test]
fn gradients_agree_with_differences() {
    for (name, t, _) in EXAMPLES {
        let mut p = parse(t);
        let root = p.outputs[0].1;
        verify(&p.ir, &[root]).unwrap_or_else(|e| panic!("{name}: {e}"));
        let at = values(&p.ir, 7);
        let want = jacobian(&p.ir, &at, root, 1e-3).remove(0);
        let got = gradient(&mut p.ir, root, &at);
        assert!(
            want.iter().any(|v| v.abs() > 1e-3),
            "{name}: a gradient that tests nothing"
        );
        close(name, &got, &want, 1e-8);
    }
}

#[test]
fn hessian_products_agree_with_differences_of_gradients() {
    for (name, t, _) in EXAMPLES {
        let mut p = parse(t);
        let root = p.outputs[0].1;
        let at = values(&p.ir, 11);
        let wrt = vars(&p.ir);
        let h = numeric_hessian(&mut p.ir, root, &at);
        let n = h.len();
        let direction: Vec<f64> = (0..n).map(|k| 1.0 - 0.3 * k as f64).collect();
        let mut at = at;
        let mut used = 0;
        let seeds: Vec<NodeId> = wrt
            .iter()
            .map(|v| {
                let input = p.ir.input(*v).clone();
                let s = p.ir.add_input(ravine::ir::Input {
                    name: format!("{}'", input.name),
                    kind: InputKind::Seed,
                    ..input
                });
                let len = at[v].data.len();
                let part = Array::new(&at[v].shape.clone(), direction[used..used + len].to_vec());
                used += len;
                at.insert(s, part);
                p.ir.read(s)
            })
            .collect();
        let products = derive::hvp(&mut p.ir, root, &wrt, &seeds).expect("derivatives");
        let got: Vec<f64> = wrt
            .iter()
            .zip(products)
            .flat_map(|(v, g)| match g {
                Some(g) => {
                    verify(&p.ir, &[g]).unwrap_or_else(|e| panic!("{name}: {e}"));
                    eval(&p.ir, &at, g).data
                }
                None => vec![0.0; at[v].data.len()],
            })
            .collect();
        let want: Vec<f64> = h
            .iter()
            .map(|r| r.iter().zip(&direction).map(|(a, b)| a * b).sum())
            .collect();
        close(name, &got, &want, 1e-7);
    }
}

fn numeric_hessian(ir: &mut Ir, root: NodeId, at: &BTreeMap<InputId, Array>) -> Vec<Vec<f64>> {
    let wrt = vars(ir);
    let g = derive::gradient(ir, root, &wrt).expect("derivatives");
    wrt.iter()
        .zip(g)
        .flat_map(|(v, g)| match g {
            Some(g) => jacobian(ir, at, g, 1e-3),
            None => vec![vec![0.0; flat(ir, at).len()]; at[v].data.len()],
        })
        .collect()
}

#[test]
fn sparse_hessians_agree_with_differences_or_say_that_there_is_no_structure() {
    for (name, t, structured) in EXAMPLES {
        let mut p = parse(t);
        let root = p.outputs[0].1;
        let at = values(&p.ir, 23);
        let want = numeric_hessian(&mut p.ir, root, &at);
        let got = hessian(&mut p.ir, root, &at);
        assert_eq!(got.is_some(), *structured, "{name}: structure");
        if let Some(got) = got {
            close(name, &got.concat(), &want.concat(), 1e-7);
        }
    }
}

#[test]
fn hessian_of_a_chain_has_three_blocks() {
    let mut p = parse(EXAMPLES[0].1);
    let root = p.outputs[0].1;
    let Second::Blocks(b) = derive::second_partials(&mut p.ir, root).expect("derivatives") else {
        panic!("a chain has structure");
    };
    // x[i]x[i], x[i]x[i+1] once with its mirror, x[i+1]x[i+1].
    let mut shown: Vec<(bool, bool)> = b.iter().map(|b| (b.row == b.col, b.mirror)).collect();
    shown.sort_unstable();
    assert_eq!(shown, [(false, true), (true, false), (true, false)]);
}

/// Families of constraints: name and text with one output in a region.
const FAMILIES: &[(&str, &str)] = &[
    (
        "transport rows",
        "param c [1..2]\nvar x [1..2, 1..3]\nout (i in 1..2) sub(sum(j in 1..3) x[i, j], c[i])",
    ),
    (
        "product and own entry",
        "param A [1..4, 1..3]\nvar x [1..3]\nvar s [1..4]\nout (i in 1..4) add(matmul(A, x)[i], square(s[i]))",
    ),
    (
        "a sum of the root in every row",
        "param a [1..3]\nvar x [1..4]\nvar t\n%1 = norm(i in 1..4) x[i]\nout (k in 1..3) sub(mul(a[k], %1), exp(t))",
    ),
    (
        "dynamics",
        "param h\nvar x [1..5]\nvar u [1..4]\nout (t in 1..4) sub(x[t + 1], add(x[t], mul(h, mul(u[t], sin(x[t])))))",
    ),
    (
        "a quadratic form in every row",
        "param P [1..3, 1..3]\nvar x [1..3]\nvar y [1..2]\n%1 = quad(x, P)\nout (k in 1..2) mul(y[k], %1)",
    ),
    (
        "filtered inner sum over a map",
        "param c [1..3, 1..3]\nvar x [1..3]\n%1 = map(i in 1..3) mul(2, square(x[i]))\nout (k in 1..3) sum(j in 1..3 if lt(c[k, j], 1)) mul(c[k, j], %1[j])",
    ),
];

#[test]
fn partials_of_a_family_give_its_jacobian() {
    for (name, t) in FAMILIES {
        let mut p = parse(t);
        let (region, body) = p.outputs[0];
        let at = values(&p.ir, 5);
        let whole = p.ir.map(region, body);
        let want = jacobian(&p.ir, &at, whole, 1e-3);
        let rows = want.len();
        let n = flat(&p.ir, &at).len();
        let own: Vec<Pos> = p.ir.domain(region).indices.iter().map(|i| Pos::index(*i)).collect();
        let mut got = vec![vec![0.0; n]; rows];
        for l in derive::partials(&mut p.ir, body, region).expect("derivatives") {
            let mut dims = p.ir.domain_shape(region);
            dims.extend_from_slice(p.ir.shape(l.array));
            let places = [own.clone(), l.at.clone()].concat();
            let s = sums(&mut p.ir, l.region, dims, places, l.value);
            let s = eval(&p.ir, &at, s).data;
            let j = jacobian(&p.ir, &at, l.array, 1e-3);
            for r in 0..rows {
                for (e, row) in j.iter().enumerate() {
                    for k in 0..n {
                        got[r][k] += s[r * j.len() + e] * row[k];
                    }
                }
            }
        }
        close(name, &got.concat(), &want.concat(), 1e-7);
    }
}

#[test]
fn text_prints_what_it_parses() {
    let texts = EXAMPLES.iter().map(|e| e.1).chain(FAMILIES.iter().map(|f| f.1));
    for t in texts {
        let mut p = parse(t);
        let once = text::print(&p.ir, &p.outputs);
        let again = parse(&once);
        assert_eq!(once, text::print(&again.ir, &again.outputs), "from\n{t}");
        // Derivative programs use every kind of node.
        if p.outputs[0].0 == DomainId::ROOT {
            let wrt = vars(&p.ir);
            let g = derive::gradient(&mut p.ir, p.outputs[0].1, &wrt).expect("derivatives");
            let g: Vec<NodeId> = g.into_iter().flatten().collect();
            let once = text::print_roots(&p.ir, &g);
            let q = parse(&once);
            assert_eq!(once, text::print(&q.ir, &q.outputs), "gradient of\n{t}");
            // And the parsed program computes the same.
            let at = values(&p.ir, 3);
            let by_name: BTreeMap<&str, &Array> = at.iter().map(|(i, a)| (p.ir.input(*i).name.as_str(), a)).collect();
            let there: BTreeMap<InputId, Array> = (0..q.ir.inputs().len() as u32)
                .map(InputId)
                .filter(|i| !matches!(q.ir.input(*i).kind, InputKind::Data(_)))
                .map(|i| (i, by_name[q.ir.input(i).name.as_str()].clone()))
                .collect();
            for (a, b) in g.iter().zip(&q.outputs) {
                assert_eq!(eval(&p.ir, &at, *a), eval(&q.ir, &there, b.1), "{once}");
            }
        }
    }
}

/// Rewrites a text and prints the result.
fn rewritten(t: &str) -> String {
    let mut p = parse(t);
    let roots: Vec<NodeId> = p.outputs.iter().map(|o| o.1).collect();
    let new = rewrite::rewrite(&mut p.ir, &roots);
    verify(&p.ir, &new).unwrap_or_else(|e| panic!("{e} after rewriting\n{t}"));
    let outputs: Vec<_> = p.outputs.iter().zip(new).map(|(o, n)| (o.0, n)).collect();
    text::print(&p.ir, &outputs)
}

#[test]
fn every_rewrite_turns_its_before_into_its_after() {
    let mut wrong = vec![];
    for row in rewrite::rewrites() {
        let got = rewritten(row.before);
        if got.trim() != row.after {
            wrong.push(format!(
                "{}:\n  want {:?}\n  got  {:?}",
                row.name,
                row.after,
                got.trim()
            ));
        }
        // The row itself fires, not only others.
        let mut p = parse(row.before);
        let mut r = rewrite::Rewriter::new(&mut p.ir, rewrite::Level::All);
        r.run(p.outputs[0].1);
        if !r.applied.contains_key(row.name) {
            wrong.push(format!(
                "{} is not applied to its own text, only {:?}",
                row.name, r.applied
            ));
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

#[test]
fn rewriting_keeps_values_and_derivatives() {
    let texts = EXAMPLES
        .iter()
        .map(|e| (e.0, e.1))
        .chain(rewrite::rewrites().map(|r| (r.name, r.before)));
    for (name, t) in texts {
        let mut p = parse(t);
        let root = p.outputs[0].1;
        let new = rewrite::rewrite(&mut p.ir, &[root])[0];
        verify(&p.ir, &[new]).unwrap_or_else(|e| panic!("{name}: {e}"));
        let at = values(&p.ir, 31);
        close(name, &eval(&p.ir, &at, new).data, &eval(&p.ir, &at, root).data, 1e-13);
        let want = gradient(&mut p.ir, root, &at);
        let got = gradient(&mut p.ir, new, &at);
        close(name, &got, &want, 1e-12);
        let h = numeric_hessian(&mut p.ir, root, &at);
        if let Some(got) = hessian(&mut p.ir, new, &at) {
            close(name, &got.concat(), &h.concat(), 1e-7);
        }
        // A canonical form is its own canonical form.
        assert_eq!(rewrite::rewrite(&mut p.ir, &[new]), [new], "{name}: twice");
    }
}

#[test]
fn families_keep_their_rows() {
    for (name, t) in FAMILIES {
        let mut p = parse(t);
        let (region, body) = p.outputs[0];
        let new = rewrite::rewrite(&mut p.ir, &[body])[0];
        let (before, after) = (p.ir.map(region, body), p.ir.map(region, new));
        verify(&p.ir, &[after]).unwrap_or_else(|e| panic!("{name}: {e}"));
        let at = values(&p.ir, 13);
        close(
            name,
            &eval(&p.ir, &at, after).data,
            &eval(&p.ir, &at, before).data,
            1e-13,
        );
    }
}

/// One model in index form and in matrix form.
const PAIRS: &[(&str, &str, &str)] = &[
    (
        "transport",
        "param cost [1..2, 1..3]\nparam cap [1..2]\nparam need [1..3]\nvar ship [1..2, 1..3] nonneg
         out sum(p in 1..2) sum(m in 1..3) mul(cost[p, m], ship[p, m])
         out (p in 1..2) sub(sum(m in 1..3) ship[p, m], cap[p])
         out (m in 1..3) sub(sum(p in 1..2) ship[p, m], need[m])",
        "param cost [1..2, 1..3]\nparam cap [1..2]\nparam need [1..3]\nvar ship [1..2, 1..3] nonneg
         %1 = map(i in 1..2, j in 1..3) mul(ship[i, j], cost[i, j])
         %2 = map(i in 1..3) 1
         %3 = map(i in 1..2) 1
         out sum(i in 1..2, j in 1..3) %1[i, j]
         out (i in 1..2) sub(matmul(ship, %2)[i], cap[i])
         out (i in 1..3) sub(matmul(transpose(ship), %3)[i], need[i])",
    ),
    (
        "ridge",
        "param A [1..4, 1..3]\nparam b [1..4]\nparam lambda nonneg\nvar w [1..3]
         out add(mul(divide(1, 2), sum(i in 1..4) pow(sub(sum(j in 1..3) mul(A[i, j], w[j]), b[i]), 2)), mul(divide(lambda, 2), sum(j in 1..3) pow(w[j], 2)))",
        "param A [1..4, 1..3]\nparam b [1..4]\nparam lambda nonneg\nvar w [1..3]
         %1 = map(i in 1..4) sub(matmul(A, w)[i], b[i])
         out add(mul(0.5, sumsq(i in 1..4) %1[i]), divide(mul(lambda, sumsq(j in 1..3) w[j]), 2))",
    ),
    (
        "lasso",
        "param A [1..4, 1..3]\nparam b [1..4]\nparam lambda nonneg\nvar w [1..3]
         out add(divide(sum(i in 1..4) square(sub(b[i], sum(j in 1..3) mul(w[j], A[i, j]))), 2), sum(j in 1..3) mul(lambda, abs(w[j])))",
        "param A [1..4, 1..3]\nparam b [1..4]\nparam lambda nonneg\nvar w [1..3]
         out add(mul(0.5, square(norm(i in 1..4) array_sub(matmul(A, w), b)[i])), mul(lambda, norm1(j in 1..3) w[j]))",
    ),
    (
        "portfolio",
        "param F [1..4, 1..2]\nparam d [1..4] nonneg\nparam mu [1..4]\nparam gamma nonneg\nvar x [1..4] nonneg
         out sub(sum(i in 1..4) mul(mu[i], x[i]), mul(gamma, add(sum(k in 1..2) square(sum(i in 1..4) mul(F[i, k], x[i])), sum(i in 1..4) mul(d[i], square(x[i])))))
         out sub(sum(i in 1..4) x[i], 1)",
        "param F [1..4, 1..2]\nparam d [1..4] nonneg\nparam mu [1..4]\nparam gamma nonneg\nvar x [1..4] nonneg
         %1 = array_add(matmul(F, transpose(F)), diag(d))
         out sub(sum(i in 1..4) mul(mu[i], x[i]), mul(gamma, quad(x, %1)))
         out sub(sum(i in 1..4) x[i], 1)",
    ),
    (
        "portfolio by a covector",
        "param P [1..4, 1..4]\nparam F [1..4, 1..2]\nparam d [1..4]\nvar x [1..4]
         out sum(i in 1..4) sum(j in 1..4) mul(mul(x[i], P[i, j]), x[j])
         out add(sumsq(k in 1..2) sum(i in 1..4) mul(F[i, k], x[i]), sum(i in 1..4) mul(d[i], square(x[i])))",
        "param P [1..4, 1..4]\nparam F [1..4, 1..2]\nparam d [1..4]\nvar x [1..4]
         %1 = array_add(matmul(F, transpose(F)), diag(d))
         out sum(j in 1..4) mul(matmul(transpose(P), x)[j], x[j])
         out sum(j in 1..4) mul(matmul(transpose(%1), x)[j], x[j])",
    ),
    (
        "logistic",
        "param X [1..5, 1..3]\nparam y [1..5]\nparam mu nonneg\nvar w [1..3]
         out add(mean(i in 1..5) softplus(neg(mul(y[i], sum(j in 1..3) mul(X[i, j], w[j])))), mul(mu, sum(j in 1..3) mul(w[j], w[j])))",
        "param X [1..5, 1..3]\nparam y [1..5]\nparam mu nonneg\nvar w [1..3]
         %1 = map(i in 1..5) mul(neg(y[i]), matmul(X, w)[i])
         %2 = map(i in 1..5) softplus(%1[i])
         out add(mean(i in 1..5) %2[i], mul(mu, sumsq(j in 1..3) w[j]))",
    ),
    (
        "logistic on a standardized design",
        "param X [1..5, 1..3]\nparam y [1..5]\nvar w [1..3]
         out mean(i in 1..5) softplus(mul(y[i], sum(j in 1..3) mul(divide(sub(X[i, j], mean(k in 1..5) X[k, j]), sqrt(mean(k in 1..5) square(sub(X[k, j], mean(l in 1..5) X[l, j])))), w[j])))",
        "param X [1..5, 1..3]\nparam y [1..5]\nvar w [1..3]
         %1 = map(j in 1..3) mean(k in 1..5) X[k, j]
         %2 = map(j in 1..3) sqrt(mean(k in 1..5) square(sub(X[k, j], %1[j])))
         %3 = map(i in 1..5, j in 1..3) divide(sub(X[i, j], %1[j]), %2[j])
         out mean(i in 1..5) softplus(mul(y[i], matmul(%3, w)[i]))",
    ),
    (
        "weighted least squares",
        "param A [1..4, 1..3]\nparam b [1..4]\nparam q [1..4] nonneg\nvar x [1..3]
         out sum(i in 1..4) mul(q[i], square(sub(sum(j in 1..3) mul(A[i, j], x[j]), b[i])))",
        "param A [1..4, 1..3]\nparam b [1..4]\nparam q [1..4] nonneg\nvar x [1..3]
         %1 = map(i in 1..4) sub(matmul(A, x)[i], b[i])
         out quad(%1, diag(q))",
    ),
    (
        "weighted least squares by a product",
        "param A [1..4, 1..3]\nparam b [1..4]\nparam q [1..4] nonneg\nvar x [1..3]
         out sum(i in 1..4) mul(q[i], square(sub(sum(j in 1..3) mul(A[i, j], x[j]), b[i])))",
        "param A [1..4, 1..3]\nparam b [1..4]\nparam q [1..4] nonneg\nvar x [1..3]
         %1 = map(i in 1..4) sub(b[i], matmul(A, x)[i])
         out sum(i in 1..4) mul(%1[i], matmul(diag(q), %1)[i])",
    ),
];

#[test]
fn a_standardized_design_is_computed_once() {
    let (_, index, _) = PAIRS.iter().find(|p| p.0.contains("standardized")).expect("the pair");
    let got = rewritten(index);
    // Means by column, deviations by column, the design, one product: nothing loops inside the loop over the samples.
    assert_eq!(
        got,
        "param X [1..5, 1..3]\nparam y [1..5]\nvar w [1..3]\n\
         %1 = map(i1 in 1..3) mean(i2 in 1..5) X[i2, i1]\n\
         %3 = map(i3 in 1..3; %2 = mean(i4 in 1..5) X[i4, i3]) sqrt(mean(i5 in 1..5) square(sub(%2, X[i5, i3])))\n\
         %4 = matmul(map(i6 in 1..5, i7 in 1..3) divide(sub(X[i6, i7], %1[i7]), %3[i7]), w)\n\
         out mean(i8 in 1..5) softplus(mul(y[i8], %4[i8]))\n"
    );
}

#[test]
fn a_sparse_matrix_is_never_replaced_by_a_dense_one() {
    let dense = "param A [1..3, 1..3]\nparam s [1..3]\nvar x [1..3]\nout max(i in 1..3) sum(j in 1..3) mul(sub(A[i, j], s[j]), x[j])";
    assert!(rewritten(dense).contains("matmul(map"), "{}", rewritten(dense));
    let sparse = dense.replace("param A", "param A sparse");
    assert!(!rewritten(&sparse).contains("map"), "{}", rewritten(&sparse));
}

#[test]
fn index_form_and_matrix_form_become_one_text() {
    let mut wrong = vec![];
    for (name, index, matrix) in PAIRS {
        let (a, b) = (rewritten(index), rewritten(matrix));
        if a != b {
            wrong.push(format!("{name}:\n{a}\nagainst\n{b}"));
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

/// A problem from a text: its outputs are, in order, what `roles` says (`min`, `max`, `le`, `eq`: against 0). A
/// variable declared `nonneg` gets that bound.
fn problem(roles: &[&str], t: &str) -> Problem {
    let Program { mut ir, outputs } = parse(t);
    let zero = ir.constant(0.0);
    let span = Span::new(ravine::base::SourceId(0), 0, 0);
    let vars = vars(&ir)
        .into_iter()
        .map(|input| Variable {
            name: ir.input(input).name.clone(),
            input,
            dims: ir.input(input).dims.clone(),
            symmetric: false,
            lower: (ir.input(input).sign == Sign::Nonneg).then_some(zero),
            upper: None,
            start: None,
            scale: None,
            maximized: false,
            span,
        })
        .collect();
    let mut p = Problem {
        name: String::new(),
        ir,
        vars,
        objective: None,
        constraints: vec![],
        assumed: vec![],
    };
    for (role, (domain, node)) in roles.iter().zip(outputs) {
        let sides = match *role {
            "min" | "max" => {
                p.objective = Some(Objective {
                    sense: if *role == "min" {
                        Sense::Minimize
                    } else {
                        Sense::Maximize
                    },
                    label: None,
                    node,
                    span,
                });
                continue;
            }
            "le" => Sides::Le(node, zero),
            _ => Sides::Eq(node, zero),
        };
        p.constraints.push(Constraint {
            name: role.to_string(),
            domain,
            dims: vec![],
            sides,
            span,
        });
    }
    verify_problem(&p).expect("a valid problem");
    p
}

const CLASSES: &[(&str, Option<Class>, &[&str], &str)] = &[
    (
        "linear system",
        Some(Class::LinearSystem),
        &["eq"],
        "param A [1..3, 1..3]\nparam b [1..3]\nvar x [1..3]\nout (i in 1..3) sub(matmul(A, x)[i], b[i])",
    ),
    (
        "least squares",
        Some(Class::LeastSquares),
        &["min"],
        "param A [1..4, 1..3]\nparam b [1..4]\nvar x [1..3]\nout sumsq(i in 1..4) sub(matmul(A, x)[i], b[i])",
    ),
    (
        "ridge in index form",
        Some(Class::LeastSquares),
        &["min"],
        "param A [1..4, 1..3]\nparam lambda nonneg\nvar x [1..3]\nout add(mean(i in 1..4) square(sum(j in 1..3) mul(A[i, j], x[j])), mul(lambda, sum(j in 1..3) mul(x[j], x[j])))",
    ),
    (
        "ridge with a weight of unknown sign",
        Some(Class::Smooth),
        &["min"],
        "param A [1..4, 1..3]\nparam lambda\nvar x [1..3]\nout add(sumsq(i in 1..4) matmul(A, x)[i], mul(lambda, sumsq(j in 1..3) x[j]))",
    ),
    (
        "nonnegative least squares",
        Some(Class::Composite),
        &["min"],
        "param A [1..4, 1..3]\nparam b [1..4]\nvar x [1..3] nonneg\nout sumsq(i in 1..4) sub(matmul(A, x)[i], b[i])",
    ),
    (
        "transport",
        Some(Class::Linear),
        &["min", "le"],
        "param c [1..2, 1..3]\nparam s [1..2]\nvar x [1..2, 1..3] nonneg\nout sum(i in 1..2, j in 1..3) mul(c[i, j], x[i, j])\nout (i in 1..2) sub(sum(j in 1..3) x[i, j], s[i])",
    ),
    (
        "least absolute deviations",
        Some(Class::Linear),
        &["min"],
        "param A [1..4, 1..3]\nparam b [1..4]\nvar x [1..3]\nout norm1(i in 1..4) sub(matmul(A, x)[i], b[i])",
    ),
    (
        "lasso",
        Some(Class::ConvexQuadratic),
        &["min"],
        "param A [1..4, 1..3]\nparam b [1..4]\nparam lambda nonneg\nvar x [1..3]\nout add(mul(0.5, sumsq(i in 1..4) sub(matmul(A, x)[i], b[i])), mul(lambda, norm1(j in 1..3) x[j]))",
    ),
    (
        "portfolio",
        Some(Class::ConvexQuadratic),
        &["max", "eq"],
        "param F [1..4, 1..2]\nparam d [1..4] nonneg\nparam mu [1..4]\nparam gamma nonneg\nvar x [1..4] nonneg
         out sub(sum(i in 1..4) mul(mu[i], x[i]), mul(gamma, quad(x, array_add(matmul(F, transpose(F)), diag(d)))))
         out sub(sum(i in 1..4) x[i], 1)",
    ),
    (
        "least norm under a norm constraint",
        Some(Class::SecondOrderCone),
        &["min", "le"],
        "param A [1..4, 1..3]\nvar x [1..3]\nvar t\nout t\nout sub(norm(i in 1..4) matmul(A, x)[i], t)",
    ),
    (
        "quadratic constraint",
        Some(Class::SecondOrderCone),
        &["min", "le"],
        "param c [1..3]\nvar x [1..3]\nout sum(i in 1..3) mul(c[i], x[i])\nout sub(sumsq(i in 1..3) x[i], 1)",
    ),
    (
        "entropy-like constraint",
        Some(Class::Conic),
        &["min", "le"],
        "param c [1..3]\nvar x [1..3]\nout sum(i in 1..3) mul(c[i], x[i])\nout sub(logsumexp(i in 1..3) x[i], 1)",
    ),
    (
        "logistic regression",
        Some(Class::Smooth),
        &["min"],
        "param A [1..4, 1..3]\nvar x [1..3]\nout sum(i in 1..4) softplus(matmul(A, x)[i])",
    ),
    (
        "Rosenbrock",
        Some(Class::Smooth),
        &["min"],
        "var x\nvar y\nout add(square(sub(1, x)), mul(100, square(sub(y, square(x)))))",
    ),
    (
        "smooth with bounds",
        Some(Class::SmoothBounds),
        &["min"],
        "var x [1..3] nonneg\nout sum(i in 1..3) exp(mul(x[i], sin(x[i])))",
    ),
    (
        "nonlinear program",
        None,
        &["min", "eq"],
        "var x [1..3]\nout sum(i in 1..3) square(x[i])\nout sub(mul(x[0], x[1]), 1)",
    ),
    (
        // Pieces put together are tried as smooth, and the proof says that smoothness is not proved.
        "neither convex nor smooth",
        Some(Class::Smooth),
        &["min"],
        "var x [1..3]\nout sum(i in 1..3) mul(abs(x[i]), sin(x[i]))",
    ),
    (
        "concave maximization of a square is not convex",
        Some(Class::Smooth),
        &["max"],
        "var x [1..3]\nout sumsq(i in 1..3) x[i]",
    ),
];

#[test]
fn problems_are_classified_with_a_proof() {
    for (name, class, roles, t) in CLASSES {
        let p = problem(roles, t);
        match (Compiled::new(p, &[], None), class) {
            (Ok(c), Some(class)) => {
                assert_eq!(c.class, *class, "{name}: {:?}", c.proof);
                assert!(!c.proof.is_empty(), "{name}: a class without proof");
            }
            (Err(d), None) => assert!(!d.message.is_empty(), "{name}"),
            (Ok(c), None) => panic!("{name}: no method is built for it, found {}", c.class.word()),
            (Err(d), Some(_)) => panic!("{name}: {}", d.message),
        }
    }
}

/// Curvature and sign by the rules, and the last line of the derivation where it breaks.
const CURVATURES: &[(&str, Curvature, Sign)] = &[
    ("var x\nout exp(square(x))", Curvature::Convex, Sign::Nonneg),
    ("var x\nout square(exp(x))", Curvature::Convex, Sign::Nonneg),
    ("var x\nout square(log(x))", Curvature::Unknown, Sign::Nonneg),
    ("var x\nout sqrt(square(x))", Curvature::Unknown, Sign::Nonneg),
    ("var x nonneg\nout neg(sqrt(x))", Curvature::Convex, Sign::Nonpos),
    (
        "var x [1..3]\nout max(i in 1..3) abs(x[i])",
        Curvature::Convex,
        Sign::Nonneg,
    ),
    (
        "var x [1..3]\nout min(i in 1..3) mul(-2, square(x[i]))",
        Curvature::Concave,
        Sign::Nonpos,
    ),
    (
        "param a nonneg\nvar x\nout mul(a, exp(x))",
        Curvature::Convex,
        Sign::Nonneg,
    ),
    ("param a\nvar x\nout mul(a, exp(x))", Curvature::Unknown, Sign::Unknown),
    ("param a\nvar x\nout mul(a, x)", Curvature::Affine, Sign::Unknown),
    ("var x\nvar y\nout mul(x, y)", Curvature::Unknown, Sign::Unknown),
    (
        "param A [1..2, 1..2]\nvar x [1..2]\nout norm(i in 1..2) matmul(A, x)[i]",
        Curvature::Convex,
        Sign::Nonneg,
    ),
    (
        "param a [1..2]\nvar x\nout sum(i in 1..2) square(sub(x, a[i]))",
        Curvature::Convex,
        Sign::Nonneg,
    ),
    (
        "data a [1..2] = 1 3\nvar x\nout sum(i in 1..2) mul(a[i], exp(x))",
        Curvature::Convex,
        Sign::Nonneg,
    ),
    ("param p\nout exp(p)", Curvature::Constant, Sign::Nonneg),
    ("var x nonneg\nout divide(-1, x)", Curvature::Concave, Sign::Nonpos),
    ("var x\nout sub(square(x), sqrt(x))", Curvature::Convex, Sign::Unknown),
    (
        "param P [1..2, 1..2]\nvar x [1..2]\nout quad(x, P)",
        Curvature::Unknown,
        Sign::Unknown,
    ),
];

#[test]
fn curvature_and_sign_follow_the_rules() {
    for (t, curvature, sign) in CURVATURES {
        let p = parse(t);
        let root = p.outputs[0].1;
        let facts = analyze(&p.ir, &[root]);
        assert_eq!(facts.curvature(root), *curvature, "{t}: {:?}", facts.get(root));
        assert_eq!(facts.sign(root), *sign, "{t}");
        let lines = why_lines(&p.ir, &facts, root);
        assert!(lines[0].contains(curvature.word()), "{t}: {lines:?}");
    }
}

#[test]
fn the_derivation_stops_at_the_innermost_culprit() {
    let p = parse(
        "param a [1..3]\nvar x [1..3]\nout add(exp(sum(i in 1..3) mul(a[i], square(log(x[i])))), sumsq(i in 1..3) x[i])",
    );
    let root = p.outputs[0].1;
    let facts = analyze(&p.ir, &[root]);
    let lines = why_lines(&p.ir, &facts, root);
    let last = lines.last().expect("a derivation");
    assert!(last.trim_start().starts_with("log(x[i])^2 is unknown"), "{lines:#?}");
    assert!(last.contains("may take both signs"), "{last}");
    // What is known beside the culprit is not part of the answer.
    assert!(
        !lines.iter().any(|l| l.contains("sumsq") && l.starts_with("  ")),
        "{lines:#?}"
    );
}

#[test]
fn one_rule_judges_every_row() {
    use ravine::ir::atom::ArgFacts;
    // A row that claims what it does not have is refused: an unknown argument never gives a known result.
    for atom in atoms::all() {
        let facts = ArgFacts {
            sign: Sign::Unknown,
            curvature: Curvature::Unknown,
            constant: None,
        };
        let args = [(NodeId(0), facts), (NodeId(1), facts), (NodeId(2), facts)];
        let n = atoms::arity(atom).unwrap_or(1).clamp(1, 3);
        let (c, rule) = judge(ravine::ir::AtomRef(atom), &args[..n]);
        assert_eq!(c, Curvature::Unknown, "{}: {}", atom.name, rule.text);
    }
}

/// The value by the batch machine.
fn by_machine(ir: &Ir, at: &BTreeMap<InputId, Array>, outputs: &[NodeId]) -> Vec<Vec<f64>> {
    let mut m = Machine::new(Arc::new(Plan::compile(ir, outputs)));
    for (i, a) in at {
        let dims = ir.input(*i).dims.clone();
        let t = Tensor::dense(dims, a.data.clone()).expect("as many entries as the shape has");
        m.set(*i, Arc::new(t));
    }
    m.eval().expect("an evaluation");
    (0..outputs.len())
        .map(|k| m.dense(k).map_or_else(|| vec![m.scalar(k)], <[f64]>::to_vec))
        .collect()
}

#[test]
fn derivative_programs_run_on_the_machine() {
    for (name, t, _) in EXAMPLES {
        let mut p = parse(t);
        let root = p.outputs[0].1;
        let wrt = vars(&p.ir);
        let at = values(&p.ir, 17);
        let mut outputs = vec![root, rewrite::rewrite(&mut p.ir, &[root])[0]];
        for r in outputs.clone() {
            outputs.extend(
                derive::gradient(&mut p.ir, r, &wrt)
                    .expect("derivatives")
                    .into_iter()
                    .flatten(),
            );
        }
        if let Second::Blocks(blocks) = derive::second_partials(&mut p.ir, root).expect("derivatives") {
            for b in blocks {
                let dims: Vec<usize> = [p.ir.shape(b.row.array), p.ir.shape(b.col.array)].concat();
                let places = [b.row.at.clone(), b.col.at.clone()].concat();
                outputs.push(sums(&mut p.ir, b.region, dims, places, b.value));
            }
        }
        for (k, (o, got)) in outputs.iter().zip(by_machine(&p.ir, &at, &outputs)).enumerate() {
            close(&format!("{name}, output {k}"), &got, &eval(&p.ir, &at, *o).data, 1e-12);
        }
    }
}

#[test]
fn shared_products_do_not_multiply_without_end() {
    let mut t = "param c\nparam d\nvar x\n%0 = add(x, 1)\n".to_string();
    for k in 0..30 {
        t += &format!("%{} = mul(mul(%{k}, c), mul(%{k}, d))\n", k + 1);
    }
    let mut p = parse(&format!("{t}out %30"));
    let before = p.ir.len();
    rewrite::rewrite(&mut p.ir, &[p.outputs[0].1]);
    // Flattened to the end this would be 2^30 factors.
    assert!(p.ir.len() - before < 1_000_000, "{} nodes", p.ir.len() - before);
}
