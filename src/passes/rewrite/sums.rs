//! Sums: constants out, nested ones merged, contractions become products with a matrix, quadratic forms are seen.
//!
//! Invariant: a contraction reads the whole matrix along full index sets; anything partial stays a loop.

use super::products::Product;
use super::{Rewrite, Rewriter};
use crate::atoms::rules;
use crate::atoms::{ADD, MATMUL, MEAN, MUL, QUAD, SUB, SUM, SUMSQ, TRANSPOSE};
use crate::ir::{DomainId, IndexId, Node, NodeId, Pos};
use crate::passes::subst::Subst;

/// The rows of this file.
pub const ROWS: &[Rewrite] = &[
    Rewrite {
        name: "constant factors out of a sum",
        condition: "of a sum or a mean; the factor does not depend on its indices",
        exact: false,
        before: "param c\nvar x [1..3]\nout sum(i in 1..3) mul(mul(2, c), exp(x[i]))",
        after: "param c\nvar x [1..3]\nout mul(mul(2, c), sum(i1 in 1..3) exp(x[i1]))",
        apply: pull,
    },
    Rewrite {
        name: "a sum of ones is a number",
        condition: "the domain is not filtered",
        exact: true,
        before: "var t\nout exp(sum(i in 1..3, j in 1..2) t)",
        after: "var t\nout exp(mul(6, t))",
        apply: count,
    },
    Rewrite {
        name: "nested sums are one",
        condition: "neither is filtered, and what stands beside the inner sum is cheap",
        exact: false,
        before: "param c [1..2]\nvar X [1..2, 1..3]\nout sum(i in 1..2) mul(c[i], sum(j in 1..3) exp(X[i, j]))",
        after: "param c [1..2]\nvar X [1..2, 1..3]\nout sum(i1 in 1..2, i2 in 1..3) mul(c[i1], exp(X[i1, i2]))",
        apply: merge,
    },
    Rewrite {
        name: "contracted product",
        condition: "the matrix holds no variable and is read along two full index sets (or computed over them); the rest depends on the one summed",
        exact: false,
        before: "param A [1..2, 1..3]\nvar x [1..3]\nout max(i in 1..2) exp(sum(j in 1..3) mul(A[i, j], sin(x[j])))",
        after: "param A [1..2, 1..3]\nvar x [1..3]\n%1 = matmul(A, map(i1 in 1..3) sin(x[i1]))\nout max(i2 in 1..2) exp(%1[i2])",
        apply: contract,
    },
    Rewrite {
        name: "quadratic form",
        condition: "the matrix holds no variable",
        exact: false,
        before: "param P [1..3, 1..3]\nvar x [1..3]\nout sum(i in 1..3) mul(x[i], matmul(P, x)[i])",
        after: "param P [1..3, 1..3]\nvar x [1..3]\nout quad(x, P)",
        apply: quadratic,
    },
    Rewrite {
        name: "square of a product",
        condition: "u'*M*w where w is M'*u",
        exact: false,
        before: "param F [1..3, 1..2]\nvar x [1..3]\nout sum(i in 1..3) mul(x[i], matmul(F, matmul(transpose(F), x))[i])",
        after: "param F [1..3, 1..2]\nvar x [1..3]\n%1 = matmul(transpose(F), x)\nout sumsq(i1 in 1..2) %1[i1]",
        apply: gram,
    },
    Rewrite {
        name: "no transpose inside a scalar product",
        condition: "the matrix is a transpose",
        exact: false,
        before: "param A [1..2, 1..3]\nparam u [1..2]\nvar x [1..3]\nout sum(j in 1..3) mul(x[j], matmul(transpose(A), u)[j])",
        after: "param A [1..2, 1..3]\nparam u [1..2]\nvar x [1..3]\n%1 = matmul(A, x)\nout sum(i1 in 1..2) mul(u[i1], %1[i1])",
        apply: flip,
    },
    Rewrite {
        name: "scalar product with a sum of products",
        condition: "both sides and every term hold variables, and one term is a product with a matrix",
        exact: false,
        before: "param P [1..3, 1..3]\nparam d [1..3]\nvar x [1..3]\nout sum(i in 1..3) mul(x[i], add(matmul(P, x)[i], mul(d[i], x[i])))",
        after: "param P [1..3, 1..3]\nparam d [1..3]\nvar x [1..3]\nout add(quad(x, P), sum(i1 in 1..3) mul(d[i1], square(x[i1])))",
        apply: distribute,
    },
];

fn pull(r: &mut Rewriter<'_>, n: NodeId) -> Option<NodeId> {
    let (atom, (domain, body)) = [SUM, MEAN].into_iter().find_map(|a| Some((a, r.fold_of(n, a)?)))?;
    let (factor, rest) = r.split_at(body, domain)?;
    let rest = r.run(rest);
    let sum = r.ir.fold(atom, domain, rest);
    Some(rules::mul(r.ir, factor, sum))
}

fn count(r: &mut Rewriter<'_>, n: NodeId) -> Option<NodeId> {
    let (domain, body) = r.fold_of(n, SUM)?;
    if r.ir.as_const(body) != Some(1.0) || !r.plain(domain) {
        return None;
    }
    let size: usize = r.ir.domain_shape(domain).iter().product();
    Some(r.ir.constant(size as f64))
}

fn parent(r: &Rewriter<'_>, d: DomainId) -> DomainId {
    r.ir.domain(d).parent.unwrap_or(DomainId::ROOT)
}

/// The product without its `k`th factor.
fn without(p: &Product, k: usize) -> Product {
    let mut rest = p.clone();
    rest.factors.remove(k);
    rest
}

/// A domain below `parent` with some of the indices of `of`.
fn domain_of(r: &mut Rewriter<'_>, parent: DomainId, indices: &[IndexId]) -> DomainId {
    let named: Vec<_> = indices
        .iter()
        .map(|i| (r.ir.index(*i).name.clone(), r.ir.index(*i).set.clone()))
        .collect();
    r.ir.add_domain(parent, named).0
}

fn merge(r: &mut Rewriter<'_>, n: NodeId) -> Option<NodeId> {
    let Node::Fold { atom, domain, body } = *r.ir.node(n) else {
        return None;
    };
    // Σ of Σ, of Σ e², of Σ |e|; for a plain sum with cheap factors beside the inner one.
    let p = r.product(body);
    let k = p
        .factors
        .iter()
        .position(|f| matches!(r.ir.node(*f), Node::Fold { .. }))?;
    let Node::Fold {
        atom: inner,
        domain: below,
        body: e,
    } = *r.ir.node(p.factors[k])
    else {
        return None;
    };
    let rest = without(&p, k);
    let alone = rest.is_one();
    let sums = atom == SUM && (inner == SUM || (alone && (inner == SUMSQ || inner == crate::atoms::NORM1)));
    let cheap = rest.factors.iter().chain(&rest.divisors).all(|f| match r.ir.node(*f) {
        Node::Input(_) | Node::Index(_) => true,
        Node::Gather { at, .. } => at.iter().all(|p| matches!(p, Pos::Affine { .. })),
        _ => false,
    });
    if !sums || !cheap || parent(r, below) != domain || !r.plain(domain) || !r.plain(below) {
        return None;
    }
    let indices = [r.ir.domain(domain).indices.clone(), r.ir.domain(below).indices.clone()].concat();
    let up = parent(r, domain);
    let whole = domain_of(r, up, &indices);
    let rest = r.build(rest);
    let e = rules::mul(r.ir, rest, e);
    let mut s = Subst::merged(r.ir, &[domain, below], whole);
    let e = s.node(r.ir, e);
    Some(r.ir.fold(inner, whole, e))
}

/// Is `p` the position of an index that runs over all of a dimension?
fn full(r: &Rewriter<'_>, p: &Pos, len: usize) -> Option<IndexId> {
    let i = p.as_index()?;
    (r.ir.index(i).set.len() == len).then_some(i)
}

/// A matrix entry `A[i, j]` (or `A[j, i]`) along two full index sets: the matrix with `j` along its columns, and `i`.
fn matrix_entry(r: &mut Rewriter<'_>, n: NodeId, j: IndexId) -> Option<(NodeId, IndexId)> {
    let Node::Gather { array, at } = r.ir.node(n).clone() else {
        return None;
    };
    let [rows, cols] = *r.ir.shape(array) else {
        return None;
    };
    if r.has_var(array) {
        return None;
    }
    let (p, q) = (full(r, &at[0], rows)?, full(r, &at[1], cols)?);
    if q == j && p != j {
        Some((array, p))
    } else if p == j && q != j {
        Some((rules::transpose(r.ir, array), q))
    } else {
        None
    }
}

/// What is summed over `j` as matrix times vector: the matrix with `j` along its columns, the index of its rows, the
/// entries of the vector, and what stands beside.
struct Contraction {
    matrix: NodeId,
    row: IndexId,
    vector: Product,
    rest: Product,
}

fn contract(r: &mut Rewriter<'_>, n: NodeId) -> Option<NodeId> {
    let (domain, body) = r.fold_of(n, SUM)?;
    if !r.plain(domain) {
        return None;
    }
    let indices = r.ir.domain(domain).indices.clone();
    let p = r.product(body);
    for &j in indices.iter().rev() {
        let stored = (0..p.factors.len()).find_map(|k| by_stored_matrix(r, &p, k, j));
        let Some(c) = stored.or_else(|| by_computed_matrix(r, &p, j)) else {
            continue;
        };
        let v = r.build(c.vector);
        let v = r.vector_over(j, v);
        let product = rules::matmul(r.ir, c.matrix, v);
        let product = r.run(product);
        let entry = r.ir.gather(product, vec![Pos::index(c.row)]);
        let rest = r.build(c.rest);
        let e = rules::mul(r.ir, rest, entry);
        return Some(sum_over_rest(r, domain, j, e));
    }
    None
}

/// The `k`th factor is an entry of a stored matrix, and all else with `j` in it depends on `j` alone.
fn by_stored_matrix(r: &mut Rewriter<'_>, p: &Product, k: usize, j: IndexId) -> Option<Contraction> {
    let (matrix, row) = matrix_entry(r, p.factors[k], j)?;
    let (vector, rest) = r.split_by(&without(p, k), |r, f| r.free(f).contains(&j));
    let alone = parts(&vector).all(|f| r.free(f).len() == 1);
    (alone && !vector.is_one()).then_some(Contraction {
        matrix,
        row,
        vector,
        rest,
    })
}

/// Everything with `j` in it that holds no variable makes a matrix over `j` and one other index.
fn by_computed_matrix(r: &mut Rewriter<'_>, p: &Product, j: IndexId) -> Option<Contraction> {
    let (with_j, rest) = r.split_by(p, |r, f| r.free(f).contains(&j));
    let (vector, entry) = r.split_by(&with_j, |r, f| r.has_var(f));
    if vector.is_one() || parts(&vector).any(|f| r.free(f).len() != 1) || parts(&entry).next().is_none() {
        return None;
    }
    let mut free: Vec<IndexId> = parts(&entry).flat_map(|f| r.free(f)).collect();
    free.sort_unstable();
    free.dedup();
    let row = *free.iter().find(|i| **i != j)?;
    let sparse = parts(&entry).any(|f| reads_sparse(r, f));
    let size = r.ir.index(row).set.len().checked_mul(r.ir.index(j).set.len())?;
    let filtered = |i: IndexId| r.ir.chain(r.ir.index(i).domain).iter().any(|d| !r.plain(*d));
    if free.len() != 2 || sparse || size > super::hoist::LARGEST || filtered(row) || filtered(j) {
        return None;
    }
    let e = r.build(entry);
    let e = r.materialized(e)?;
    let (matrix, row) = matrix_entry(r, e, j)?;
    Some(Contraction {
        matrix,
        row,
        vector,
        rest,
    })
}

fn parts(p: &Product) -> impl Iterator<Item = NodeId> {
    p.factors.iter().chain(&p.divisors).copied()
}

/// Does the expression read an array stored sparsely, which no dense map should replace?
fn reads_sparse(r: &Rewriter<'_>, n: NodeId) -> bool {
    r.ir.reachable(&[n])
        .iter()
        .any(|m| matches!(r.ir.node(*m), Node::Input(i) if r.ir.input(*i).sparse))
}

/// `Σ` of `e`, free of `j`, over the other indices of `domain`.
fn sum_over_rest(r: &mut Rewriter<'_>, domain: DomainId, j: IndexId, e: NodeId) -> NodeId {
    let indices = r.ir.domain(domain).indices.clone();
    let others: Vec<IndexId> = indices.iter().copied().filter(|i| *i != j).collect();
    let up = parent(r, domain);
    let into = if others.is_empty() {
        up
    } else {
        domain_of(r, up, &others)
    };
    let mut new = r.ir.domain(into).indices.clone().into_iter();
    let at: Vec<Pos> = indices
        .iter()
        .map(|i| {
            // The position of `j` is read by nothing.
            if *i == j {
                Pos::fixed(0)
            } else {
                new.next().map_or(Pos::fixed(0), Pos::index)
            }
        })
        .collect();
    let e = Subst::at(r.ir, domain, &at, into).node(r.ir, e);
    if others.is_empty() { e } else { r.ir.fold(SUM, into, e) }
}

/// A scalar product `Σ_j (M w)[j] · u[j]` with `u` free of everything but `j`, over all of `j`.
struct Scalar {
    matrix: NodeId,
    vector: NodeId,
    other: NodeId,
}

/// All ways to read a sum as a scalar product with a matrix in it.
fn scalar_products(r: &mut Rewriter<'_>, n: NodeId) -> Vec<Scalar> {
    let mut found = vec![];
    let Some((domain, body)) = r.fold_of(n, SUM) else {
        return found;
    };
    let [j] = *r.ir.domain(domain).indices.as_slice() else {
        return found;
    };
    let p = r.product(body);
    if !r.plain(domain) || !p.is_bare() {
        return found;
    }
    for k in 0..p.factors.len() {
        let Node::Gather { array, at } = r.ir.node(p.factors[k]).clone() else {
            continue;
        };
        let Some((matrix, vector)) = r.args(array, MATMUL) else {
            continue;
        };
        let whole = at.len() == 1 && full(r, &at[0], r.ir.shape(array)[0]) == Some(j);
        let rest = without(&p, k);
        let alone = rest.factors.iter().all(|f| r.free(*f).iter().all(|i| *i == j));
        if whole && alone && !rest.factors.is_empty() {
            let rest = r.build(rest);
            let other = r.vector_over(j, rest);
            found.push(Scalar { matrix, vector, other });
        }
    }
    found
}

fn quadratic(r: &mut Rewriter<'_>, n: NodeId) -> Option<NodeId> {
    for s in scalar_products(r, n) {
        if !r.has_var(s.matrix) && r.has_var(s.vector) && r.same(s.vector, s.other) {
            // x'P'x is x'Px.
            let p = r.arg(s.matrix, TRANSPOSE).unwrap_or(s.matrix);
            return Some(r.ir.apply(QUAD, &[s.vector, p]));
        }
    }
    None
}

fn gram(r: &mut Rewriter<'_>, n: NodeId) -> Option<NodeId> {
    for s in scalar_products(r, n) {
        if r.args(s.vector, MATMUL).is_none() {
            continue;
        }
        let t = rules::transpose(r.ir, s.matrix);
        let t = rules::matmul(r.ir, t, s.other);
        let t = r.run(t);
        if r.same(t, s.vector) {
            let set = r.dims(s.vector).remove(0);
            let domain = r.map_domain(&[set]);
            let own = r.ir.domain(domain).indices.clone();
            let e = rules::entry(r.ir, s.vector, &own);
            return Some(r.ir.fold(SUMSQ, domain, e));
        }
    }
    None
}

fn flip(r: &mut Rewriter<'_>, n: NodeId) -> Option<NodeId> {
    for s in scalar_products(r, n) {
        if let Some(a) = r.arg(s.matrix, TRANSPOSE) {
            let product = rules::matmul(r.ir, a, s.other);
            let set = r.dims(s.vector).remove(0);
            let domain = r.map_domain(&[set]);
            let own = r.ir.domain(domain).indices.clone();
            let (p, w) = (rules::entry(r.ir, product, &own), rules::entry(r.ir, s.vector, &own));
            let e = rules::mul(r.ir, w, p);
            return Some(r.ir.fold(SUM, domain, e));
        }
    }
    None
}

fn distribute(r: &mut Rewriter<'_>, n: NodeId) -> Option<NodeId> {
    let (domain, body) = r.fold_of(n, SUM)?;
    let p = r.product(body);
    let reads_product = |r: &Rewriter<'_>, t: NodeId| {
        r.product(t).factors.iter().any(|f| match r.ir.node(*f) {
            Node::Gather { array, .. } => r.args(*array, MATMUL).is_some(),
            _ => false,
        })
    };
    for k in 0..p.factors.len() {
        let rest = without(&p, k);
        if !rest.factors.iter().any(|f| r.has_var(*f)) {
            continue;
        }
        for of in [ADD, SUB] {
            let Some((a, b)) = r.args(p.factors[k], of) else {
                continue;
            };
            if !r.has_var(a) || !r.has_var(b) || !(reads_product(r, a) || reads_product(r, b)) {
                continue;
            }
            let rest = r.build(rest.clone());
            let (a, b) = (r.ir.apply(MUL, &[rest, a]), r.ir.apply(MUL, &[rest, b]));
            let (a, b) = (r.ir.fold(SUM, domain, a), r.ir.fold(SUM, domain, b));
            return Some(r.ir.apply(of, &[a, b]));
        }
    }
    None
}
