//! Reading one entry of a computed array is computing that entry.
//!
//! Invariant: nothing is computed more often than before, except arithmetic too cheap to store.

use super::{Rewrite, Rewriter};
use crate::atoms::rules;
use crate::atoms::{
    ADD, ARRAY_ADD, ARRAY_SCALE, ARRAY_SUB, DIAG, DIAGPART, DIV, MATMUL, MUL, NEG, OUTER, RECIP, SQUARE, STACK, SUB,
    SUM, TRANSPOSE,
};
use crate::ir::{Node, NodeId, Pos};
use crate::passes::inline::gather_inlined;

/// The rows of this file.
pub const ROWS: &[Rewrite] = &[
    Rewrite {
        name: "entry of a map",
        condition: "the body is cheap, or holds variables and is read once an entry",
        exact: true,
        before: "var x [1..4]\n%1 = map(i in 1..4) add(x[i], 1)\nout sum(i in 1..3) mul(%1[i], %1[i + 1])",
        after: "var x [1..4]\nout sum(i1 in 1..3) mul(add(x[i1], 1), add(x[i1 + 1], 1))",
        apply: entry_of_map,
    },
    Rewrite {
        name: "entry of array arithmetic",
        condition: "always",
        exact: true,
        before: "param A [1..2, 1..3]\nvar X [1..2, 1..3]\nvar t\nout max(i in 1..2, j in 1..3) array_add(A, array_scale(t, X))[i, j]",
        after: "param A [1..2, 1..3]\nvar X [1..2, 1..3]\nvar t\nout max(i1 in 1..2, i2 in 1..3) add(A[i1, i2], mul(t, X[i1, i2]))",
        apply: entry_of_arithmetic,
    },
    Rewrite {
        name: "entry of a rearrangement",
        condition: "of a transpose, an outer product, a diagonal, a stack at a fixed place",
        exact: true,
        before: "var X [1..2, 1..3]\nout max(i in 1..3, j in 1..2) exp(transpose(X)[i, j])",
        after: "var X [1..2, 1..3]\nout max(i1 in 1..3, i2 in 1..2) exp(X[i2, i1])",
        apply: entry_of_rearrangement,
    },
    Rewrite {
        name: "entry of a product with a decided matrix",
        condition: "the matrix has variables in it, the other side is a vector",
        exact: false,
        before: "var X [1..2, 1..3]\nparam w [1..3]\nout max(i in 1..2) matmul(X, w)[i]",
        after: "var X [1..2, 1..3]\nparam w [1..3]\nout max(i1 in 1..2) sum(i2 in 1..3) mul(w[i2], X[i1, i2])",
        apply: entry_of_decided_product,
    },
];

fn gather(r: &Rewriter<'_>, n: NodeId) -> Option<(NodeId, Vec<Pos>)> {
    match r.ir.node(n) {
        Node::Gather { array, at } => Some((*array, at.to_vec())),
        _ => None,
    }
}

/// One of the operations that cost less than a read.
pub(super) fn arithmetic(r: &Rewriter<'_>, n: NodeId) -> bool {
    matches!(r.ir.node(n), Node::Apply { atom, .. } if [ADD, SUB, MUL, DIV, NEG, SQUARE, RECIP].contains(atom))
}

/// Arithmetic on entries that is cheaper than storing and reading it.
pub(super) fn cheap(r: &Rewriter<'_>, body: NodeId) -> bool {
    let mut work = 0;
    let mut stack = vec![body];
    while let Some(n) = stack.pop() {
        work += 1;
        if work > 24 {
            return false;
        }
        match r.ir.node(n) {
            Node::Const(_) | Node::Input(_) | Node::Index(_) => {}
            Node::Gather { at, .. } => {
                if at.iter().any(|p| matches!(p, Pos::Node(_))) {
                    return false;
                }
            }
            Node::Apply { args, .. } if arithmetic(r, n) => stack.extend(args.iter().copied()),
            // Computed once outside the map's loop.
            _ if r.ir.region(n) == crate::ir::DomainId::ROOT => {}
            _ => return false,
        }
    }
    true
}

/// Is every index of the reading loops one of the positions, so that each entry is read by one instance?
fn read_once(r: &Rewriter<'_>, n: NodeId, at: &[Pos]) -> bool {
    let mut own: Vec<_> = at.iter().filter_map(Pos::as_index).collect();
    let all: usize =
        r.ir.chain(r.ir.region(n))
            .iter()
            .map(|d| r.ir.domain(*d).indices.len())
            .sum();
    let plain = own.len() == at.len();
    own.sort_unstable();
    own.dedup();
    plain && own.len() == at.len() && own.len() == all
}

fn entry_of_map(r: &mut Rewriter<'_>, n: NodeId) -> Option<NodeId> {
    let (array, at) = gather(r, n)?;
    let Node::Map { body, .. } = *r.ir.node(array) else {
        return None;
    };
    let fixed = r.ir.region(n) == crate::ir::DomainId::ROOT;
    // What holds no variable is computed once and read many times.
    let once = r.has_var(body) && read_once(r, n, &at);
    (fixed || once || cheap(r, body)).then(|| gather_inlined(r.ir, array, &at))
}

fn entry_of_arithmetic(r: &mut Rewriter<'_>, n: NodeId) -> Option<NodeId> {
    let (array, at) = gather(r, n)?;
    for (of, scalar) in [(ARRAY_ADD, ADD), (ARRAY_SUB, SUB)] {
        if let Some((a, b)) = r.args(array, of) {
            let (a, b) = (r.ir.gather(a, at.clone()), r.ir.gather(b, at));
            return Some(r.ir.apply(scalar, &[a, b]));
        }
    }
    let (k, a) = r.args(array, ARRAY_SCALE)?;
    let a = r.ir.gather(a, at);
    Some(rules::mul(r.ir, k, a))
}

fn entry_of_rearrangement(r: &mut Rewriter<'_>, n: NodeId) -> Option<NodeId> {
    let (array, mut at) = gather(r, n)?;
    if let Some(a) = r.arg(array, TRANSPOSE) {
        at.reverse();
        return Some(r.ir.gather(a, at));
    }
    if let Some((u, v)) = r.args(array, OUTER) {
        let b = at.pop()?;
        let (u, v) = (r.ir.gather(u, at), r.ir.gather(v, vec![b]));
        return Some(rules::mul(r.ir, u, v));
    }
    if let Some(a) = r.arg(array, DIAGPART) {
        let p = at.pop()?;
        return Some(r.ir.gather(a, vec![p.clone(), p]));
    }
    if let Some(d) = r.arg(array, DIAG)
        && at[0] == at[1]
    {
        at.pop();
        return Some(r.ir.gather(d, at));
    }
    if let (Node::Apply { atom, args }, [Pos::Affine { terms, offset }]) = (r.ir.node(array), at.as_slice())
        && *atom == STACK
        && terms.is_empty()
    {
        return args.get(usize::try_from(*offset).ok()?).copied();
    }
    None
}

/// A decided matrix is read entry by entry: derivatives then fall on the variable itself.
fn entry_of_decided_product(r: &mut Rewriter<'_>, n: NodeId) -> Option<NodeId> {
    let (array, at) = gather(r, n)?;
    let (m, v) = r.args(array, MATMUL)?;
    if !r.has_var(m) || r.ir.shape(v).len() != 1 {
        return None;
    }
    let region = r.ir.region(n);
    let set = r.dims(v).remove(0);
    let (domain, own) = r.ir.add_domain(region, [("k".to_string(), set)]);
    let left = r.ir.gather(m, vec![at[0].clone(), Pos::index(own[0])]);
    let right = rules::entry(r.ir, v, &own);
    let body = rules::mul(r.ir, left, right);
    Some(r.ir.fold(SUM, domain, body))
}
