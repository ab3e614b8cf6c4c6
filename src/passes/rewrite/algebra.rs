//! Squares, roots and signs around reductions.
//!
//! Invariant: every row holds for all real arguments.

use super::{Rewrite, Rewriter};
use crate::atoms::rules;
use crate::atoms::{ABS, MAX, NEG, NORM, NORM1, NORMINF, SQRT, SQUARE, SUB, SUM, SUMSQ};
use crate::ir::{AtomRef, Node, NodeId};

/// The rows of this file.
pub const ROWS: &[Rewrite] = &[
    Rewrite {
        name: "sum of squares",
        condition: "the body is a square",
        exact: true,
        before: "var x [1..3]\nout sum(i in 1..3) square(exp(x[i]))",
        after: "var x [1..3]\nout sumsq(i1 in 1..3) exp(x[i1])",
        apply: |r, n| same_domain(r, n, SUM, SQUARE, SUMSQ),
    },
    Rewrite {
        name: "sum of absolute values",
        condition: "the body is an absolute value",
        exact: true,
        before: "var x [1..3]\nout sum(i in 1..3) abs(x[i])",
        after: "var x [1..3]\nout norm1(i1 in 1..3) x[i1]",
        apply: |r, n| same_domain(r, n, SUM, ABS, NORM1),
    },
    Rewrite {
        name: "largest absolute value",
        condition: "the body is an absolute value",
        exact: true,
        before: "var x [1..3]\nout max(i in 1..3) abs(x[i])",
        after: "var x [1..3]\nout norminf(i1 in 1..3) x[i1]",
        apply: |r, n| same_domain(r, n, MAX, ABS, NORMINF),
    },
    Rewrite {
        name: "root of a sum of squares",
        condition: "always",
        exact: false,
        before: "var x [1..3]\nout sqrt(sumsq(i in 1..3) x[i])",
        after: "var x [1..3]\nout norm(i1 in 1..3) x[i1]",
        apply: |r, n| {
            let a = r.arg(n, SQRT)?;
            let (d, b) = r.fold_of(a, SUMSQ)?;
            Some(r.ir.fold(NORM, d, b))
        },
    },
    Rewrite {
        name: "square of a norm",
        condition: "always",
        exact: false,
        before: "var x [1..3]\nout square(norm(i in 1..3) x[i])",
        after: "var x [1..3]\nout sumsq(i1 in 1..3) x[i1]",
        apply: |r, n| {
            let a = r.arg(n, SQUARE)?;
            let (d, b) = r.fold_of(a, NORM)?;
            Some(r.ir.fold(SUMSQ, d, b))
        },
    },
    Rewrite {
        name: "one orientation under an even function",
        condition: "what is decided comes first in the difference",
        exact: true,
        before: "param b [1..3]\nvar x [1..3]\nout norm(i in 1..3) sub(b[i], x[i])",
        after: "param b [1..3]\nvar x [1..3]\nout norm(i1 in 1..3) sub(x[i1], b[i1])",
        apply: oriented,
    },
];

/// `outer(D) inner(e)` is `whole(D) e`.
fn same_domain(r: &mut Rewriter<'_>, n: NodeId, outer: AtomRef, inner: AtomRef, whole: AtomRef) -> Option<NodeId> {
    let (d, b) = r.fold_of(n, outer)?;
    let e = r.arg(b, inner)?;
    Some(r.ir.fold(whole, d, e))
}

fn oriented(r: &mut Rewriter<'_>, n: NodeId) -> Option<NodeId> {
    let inside = match r.ir.node(n) {
        Node::Fold { atom, body, .. } if [SUMSQ, NORM, NORM1, NORMINF].contains(atom) => *body,
        Node::Apply { atom, args } if [SQUARE, ABS].contains(atom) => args[0],
        _ => return None,
    };
    let turned = match (r.arg(inside, NEG), r.args(inside, SUB)) {
        (Some(e), _) => e,
        (_, Some((a, b))) => {
            let decided = (!r.has_var(a), r.key(a)) > (!r.has_var(b), r.key(b));
            if !decided {
                return None;
            }
            rules::sub(r.ir, b, a)
        }
        _ => return None,
    };
    Some(match r.ir.node(n).clone() {
        Node::Fold { atom, domain, .. } => r.ir.fold(atom, domain, turned),
        Node::Apply { atom, .. } => r.ir.apply(atom, &[turned]),
        _ => return None,
    })
}
