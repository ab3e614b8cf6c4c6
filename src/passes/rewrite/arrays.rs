//! Whole arrays: products are taken from the vector's side, sums and scalings come out of them.
//!
//! Invariant: no row makes a matrix that was not there, and none turns a sparse product into a dense one.

use super::{Rewrite, Rewriter};
use crate::atoms::rules;
use crate::atoms::{ADD, ARRAY_ADD, ARRAY_SCALE, ARRAY_SUB, DIAG, MATMUL, MUL, OUTER, SUB, SUM, TRANSPOSE};
use crate::ir::{DomainId, Node, NodeId};

/// The rows of this file.
pub const ROWS: &[Rewrite] = &[
    Rewrite {
        name: "elementwise arithmetic as a map",
        condition: "the arrays are vectors, or one is a map",
        exact: true,
        before: "param A [1..2, 1..3]\nvar x [1..3]\nvar y [1..3]\nout max(i in 1..2) exp(matmul(A, array_add(x, y))[i])",
        after: "param A [1..2, 1..3]\nvar x [1..3]\nvar y [1..3]\n%1 = matmul(A, map(i1 in 1..3) add(x[i1], y[i1]))\nout max(i2 in 1..2) exp(%1[i2])",
        apply: as_map,
    },
    Rewrite {
        name: "scaling comes out of a product",
        condition: "always",
        exact: false,
        before: "param c\nparam A [1..2, 1..3]\nvar x [1..3]\nout max(i in 1..2) exp(matmul(array_scale(c, A), x)[i])",
        after: "param c\nparam A [1..2, 1..3]\nvar x [1..3]\n%1 = matmul(A, x)\nout max(i1 in 1..2) exp(mul(c, %1[i1]))",
        apply: scale_out,
    },
    Rewrite {
        name: "products from the vector's side",
        condition: "the product is applied to a vector",
        exact: false,
        before: "param A [1..4, 1..2]\nvar x [1..4]\nout max(i in 1..4) exp(matmul(matmul(A, transpose(A)), x)[i])",
        after: "param A [1..4, 1..2]\nvar x [1..4]\n%1 = matmul(A, matmul(transpose(A), x))\nout max(i1 in 1..4) exp(%1[i1])",
        apply: from_the_right,
    },
    Rewrite {
        name: "a sum of structured matrices times a vector",
        condition: "one term is a product, a diagonal or an outer product",
        exact: false,
        before: "param F [1..3, 1..2]\nparam d [1..3]\nvar x [1..3]\nout max(i in 1..3) exp(matmul(array_add(matmul(F, transpose(F)), diag(d)), x)[i])",
        after: "param F [1..3, 1..2]\nparam d [1..3]\nvar x [1..3]\n%1 = matmul(F, matmul(transpose(F), x))\nout max(i1 in 1..3) exp(add(%1[i1], mul(d[i1], x[i1])))",
        apply: distribute,
    },
    Rewrite {
        name: "a diagonal or an outer product times a vector",
        condition: "always",
        exact: false,
        before: "param u [1..3]\nparam v [1..2]\nvar x [1..2]\nout max(i in 1..3) exp(matmul(outer(u, v), x)[i])",
        after: "param u [1..3]\nparam v [1..2]\nvar x [1..2]\n%1 = sum(i1 in 1..2) mul(v[i1], x[i1])\nout max(i2 in 1..3) exp(mul(u[i2], %1))",
        apply: rank_one,
    },
    Rewrite {
        name: "transpose moves inward",
        condition: "of a product, a sum, a scaling or an outer product",
        exact: true,
        before: "param A [1..2, 1..3]\nparam B [1..3, 1..4]\nvar x [1..2]\nout max(i in 1..4) exp(matmul(transpose(matmul(A, B)), x)[i])",
        after: "param A [1..2, 1..3]\nparam B [1..3, 1..4]\nvar x [1..2]\n%1 = matmul(transpose(B), matmul(transpose(A), x))\nout max(i1 in 1..4) exp(%1[i1])",
        apply: transpose_inward,
    },
];

fn as_map(r: &mut Rewriter<'_>, n: NodeId) -> Option<NodeId> {
    let Node::Apply { atom, args } = r.ir.node(n).clone() else {
        return None;
    };
    let scalar = if atom == ARRAY_ADD {
        ADD
    } else if atom == ARRAY_SUB {
        SUB
    } else if atom == ARRAY_SCALE {
        MUL
    } else {
        return None;
    };
    let shape = r.ir.shape(n).to_vec();
    let is_map = |a: &NodeId| matches!(r.ir.node(*a), Node::Map { .. });
    if shape.len() != 1 && !args.iter().any(is_map) {
        return None;
    }
    let sets = r.dims(n);
    let domain = r.map_domain(&sets);
    let own = r.ir.domain(domain).indices.clone();
    let parts: Vec<NodeId> = args
        .iter()
        .map(|a| {
            if r.ir.shape(*a).is_empty() {
                *a
            } else {
                rules::entry(r.ir, *a, &own)
            }
        })
        .collect();
    let body = r.ir.apply(scalar, &parts);
    let body = r.run(body);
    Some(r.ir.map(domain, body))
}

fn scale_out(r: &mut Rewriter<'_>, n: NodeId) -> Option<NodeId> {
    let (a, b) = r.args(n, MATMUL)?;
    if let Some((k, a)) = r.args(a, ARRAY_SCALE) {
        let p = rules::matmul(r.ir, a, b);
        return Some(rules::scale(r.ir, k, p));
    }
    if let Some((k, b)) = r.args(b, ARRAY_SCALE) {
        let p = rules::matmul(r.ir, a, b);
        return Some(rules::scale(r.ir, k, p));
    }
    let Node::Map { domain, body } = *r.ir.node(b) else {
        return None;
    };
    let (factor, rest) = r.split_at(body, domain)?;
    let b = r.ir.map(domain, rest);
    let p = rules::matmul(r.ir, a, b);
    Some(rules::scale(r.ir, factor, p))
}

fn is_vector(r: &Rewriter<'_>, n: NodeId) -> bool {
    r.ir.shape(n).len() == 1
}

fn from_the_right(r: &mut Rewriter<'_>, n: NodeId) -> Option<NodeId> {
    let (ab, v) = r.args(n, MATMUL)?;
    let (a, b) = r.args(ab, MATMUL)?;
    is_vector(r, v).then(|| {
        let bv = rules::matmul(r.ir, b, v);
        rules::matmul(r.ir, a, bv)
    })
}

/// A matrix that is cheaper to apply than to form.
fn structured(r: &Rewriter<'_>, n: NodeId) -> bool {
    match r.ir.node(n) {
        Node::Apply { atom, args } if *atom == TRANSPOSE || *atom == ARRAY_SCALE || *atom == ARRAY_ADD => {
            args.iter().any(|a| structured(r, *a))
        }
        Node::Apply { atom, .. } => *atom == MATMUL || *atom == DIAG || *atom == OUTER,
        _ => false,
    }
}

fn distribute(r: &mut Rewriter<'_>, n: NodeId) -> Option<NodeId> {
    let (m, v) = r.args(n, MATMUL)?;
    if !is_vector(r, v) {
        return None;
    }
    for of in [ARRAY_ADD, ARRAY_SUB] {
        if let Some((a, b)) = r.args(m, of)
            && (structured(r, a) || structured(r, b))
        {
            let (p, q) = (rules::matmul(r.ir, a, v), rules::matmul(r.ir, b, v));
            return Some(r.ir.apply(of, &[p, q]));
        }
    }
    None
}

fn rank_one(r: &mut Rewriter<'_>, n: NodeId) -> Option<NodeId> {
    let (m, x) = r.args(n, MATMUL)?;
    if !is_vector(r, x) {
        return None;
    }
    if let Some(d) = r.arg(m, DIAG) {
        let sets = r.dims(d);
        let domain = r.map_domain(&sets);
        let own = r.ir.domain(domain).indices.clone();
        let (a, b) = (rules::entry(r.ir, d, &own), rules::entry(r.ir, x, &own));
        let body = rules::mul(r.ir, a, b);
        let body = r.run(body);
        return Some(r.ir.map(domain, body));
    }
    let (u, v) = r.args(m, OUTER)?;
    let set = r.dims(v).remove(0);
    let (domain, own) = r.ir.add_domain(DomainId::ROOT, [("i".to_string(), set)]);
    let (a, b) = (rules::entry(r.ir, v, &own), rules::entry(r.ir, x, &own));
    let body = rules::mul(r.ir, a, b);
    let k = r.ir.fold(SUM, domain, body);
    Some(rules::scale(r.ir, k, u))
}

fn transpose_inward(r: &mut Rewriter<'_>, n: NodeId) -> Option<NodeId> {
    let a = r.arg(n, TRANSPOSE)?;
    if let Some((p, q)) = r.args(a, MATMUL) {
        let (p, q) = (rules::transpose(r.ir, p), rules::transpose(r.ir, q));
        return Some(rules::matmul(r.ir, q, p));
    }
    if let Some((u, v)) = r.args(a, OUTER) {
        return Some(rules::outer(r.ir, v, u));
    }
    for of in [ARRAY_ADD, ARRAY_SUB] {
        if let Some((p, q)) = r.args(a, of) {
            let (p, q) = (rules::transpose(r.ir, p), rules::transpose(r.ir, q));
            return Some(r.ir.apply(of, &[p, q]));
        }
    }
    let (k, p) = r.args(a, ARRAY_SCALE)?;
    let p = rules::transpose(r.ir, p);
    Some(rules::scale(r.ir, k, p))
}
