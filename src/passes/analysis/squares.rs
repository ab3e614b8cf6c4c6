//! Sums of squares of affine expressions, term by term.
//!
//! Invariant: the node equals the sum over the terms of `weight · Σ inside²` plus terms without variables, which are
//! listed with no loss: a part that does not fit makes the answer `None`.

use super::curvature::FactsTable;
use crate::atoms::{ADD, DIV, MEAN, MUL, SQUARE, SUB, SUM, SUMSQ};
use crate::ir::{DomainId, Ir, Node, NodeId};

/// `Π weights · Σ_region inside²` over all instances of a region.
#[derive(Clone, Debug, PartialEq)]
pub struct Squares {
    /// The region of `inside`: one residual for each instance.
    pub region: DomainId,
    /// The affine expression that is squared.
    pub inside: NodeId,
    /// Nonnegative factors without variables, in `region` or above; divisors are in `divisors`.
    pub weights: Vec<NodeId>,
    /// Nonnegative divisors without variables.
    pub divisors: Vec<NodeId>,
    /// Domains whose mean is taken instead of the sum: the weight is divided by their number of instances.
    pub means: Vec<DomainId>,
}

/// The terms of a root scalar, if it is such a sum; terms without variables are left out, as they move no minimum.
pub fn squares(ir: &Ir, t: &FactsTable, root: NodeId) -> Option<Vec<Squares>> {
    let mut out = vec![];
    let start = Squares {
        region: DomainId::ROOT,
        inside: root,
        weights: vec![],
        divisors: vec![],
        means: vec![],
    };
    let mut stack = vec![start];
    while let Some(s) = stack.pop() {
        let n = s.inside;
        if !t.has_var(n) {
            continue;
        }
        let at = |m: NodeId| Squares { inside: m, ..s.clone() };
        let nonneg = |m: NodeId| !t.has_var(m) && t.sign(m).is_nonneg();
        match ir.node(n) {
            Node::Apply { atom, args } if *atom == ADD => {
                args.iter().rev().for_each(|a| stack.push(at(*a)));
            }
            Node::Apply { atom, args } if *atom == SUB && !t.has_var(args[1]) => stack.push(at(args[0])),
            Node::Apply { atom, args } if *atom == MUL && args.iter().any(|a| nonneg(*a)) => {
                let k = usize::from(!nonneg(args[0]));
                let mut next = at(args[1 - k]);
                next.weights.push(args[k]);
                stack.push(next);
            }
            Node::Apply { atom, args } if *atom == DIV && nonneg(args[1]) => {
                let mut next = at(args[0]);
                next.divisors.push(args[1]);
                stack.push(next);
            }
            Node::Apply { atom, args } if *atom == SQUARE && t.degree(args[0]) <= 1 => out.push(at(args[0])),
            Node::Fold { atom, domain, body } if ir.domain(*domain).parent == Some(s.region) => {
                let mut next = at(*body);
                next.region = *domain;
                if *atom == SUMSQ && t.degree(*body) <= 1 {
                    out.push(next);
                } else if *atom == SUM {
                    stack.push(next);
                } else if *atom == MEAN {
                    next.means.push(*domain);
                    stack.push(next);
                } else {
                    return None;
                }
            }
            _ => return None,
        }
    }
    (!out.is_empty()).then_some(out)
}
