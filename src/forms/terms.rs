//! An objective taken apart: affine parts, weighted squares, quadratic forms, and what is left.
//!
//! Invariant: the objective is the sum over all terms of `weight · part`, over all instances of the term's region; a
//! weight never depends on a variable.

use crate::atoms::rules;
use crate::atoms::{
    ADD, DIV, MATMUL, MEAN, MUL, NEG, POW, QUAD, QUAD_OVER_LIN, SELECT, SQUARE, SUB, SUM, SUMSQ, TRANSPOSE,
};
use crate::ir::{DomainId, Ir, Node, NodeId, Sign};
use crate::passes::analysis::curvature::FactsTable;

/// One part of a term.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Part {
    /// Affine in the variables.
    Affine(NodeId),
    /// The square of a number that is affine.
    Square(NodeId),
    /// `x' P x` with an affine array and a matrix without variables.
    Quadratic(NodeId, NodeId),
    /// Anything else.
    Other(NodeId),
}

/// A weighted part, summed over a region.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Term {
    /// Where it is summed.
    pub region: DomainId,
    /// In the region or above.
    pub weight: NodeId,
    /// What is known of the weight's sign.
    pub sign: Sign,
    /// The part.
    pub part: Part,
}

/// Takes a root scalar apart. `facts` must cover it.
pub fn split(ir: &mut Ir, facts: &FactsTable, root: NodeId) -> Vec<Term> {
    let one = ir.constant(1.0);
    let mut out = vec![];
    let mut stack = vec![(DomainId::ROOT, one, Sign::Nonneg, root)];
    while let Some((mut region, mut weight, sign, n)) = stack.pop() {
        // A number from further up counts as often as its region has instances here.
        let own = ir.region(n);
        while region != own && ir.encloses(own, region) {
            weight = ir.fold(SUM, region, weight);
            region = ir.domain(region).parent.unwrap_or(DomainId::ROOT);
        }
        let mut emit = |part| {
            out.push(Term {
                region,
                weight,
                sign,
                part,
            });
        };
        if facts.curvature(n).is_affine() {
            emit(Part::Affine(n));
            continue;
        }
        let affine = |a: NodeId| facts.curvature(a).is_affine();
        match ir.node(n).clone() {
            Node::Apply { atom, args } if atom == ADD => {
                args.iter().rev().for_each(|a| stack.push((region, weight, sign, *a)));
            }
            Node::Apply { atom, args } if atom == SUB && args.len() == 2 => {
                let minus = rules::neg(ir, weight);
                stack.push((region, minus, sign.negated(), args[1]));
                stack.push((region, weight, sign, args[0]));
            }
            Node::Apply { atom, args } if atom == NEG => {
                let minus = rules::neg(ir, weight);
                stack.push((region, minus, sign.negated(), args[0]));
            }
            Node::Apply { atom, args } if atom == MUL && args.len() == 2 && args[0] == args[1] && affine(args[0]) => {
                emit(Part::Square(args[0]));
            }
            Node::Apply { atom, args } if atom == MUL && args.len() == 2 && !facts.has_var(args[0]) => {
                let w = rules::mul(ir, weight, args[0]);
                stack.push((region, w, sign.times(facts.sign(args[0])), args[1]));
            }
            Node::Apply { atom, args } if atom == MUL && args.len() == 2 && !facts.has_var(args[1]) => {
                let w = rules::mul(ir, weight, args[1]);
                stack.push((region, w, sign.times(facts.sign(args[1])), args[0]));
            }
            Node::Apply { atom, args } if atom == DIV && args.len() == 2 && !facts.has_var(args[1]) => {
                let w = rules::div(ir, weight, args[1]);
                stack.push((region, w, sign.times(facts.sign(args[1])), args[0]));
            }
            Node::Apply { atom, args } if atom == QUAD_OVER_LIN && !facts.has_var(args[1]) && affine(args[0]) => {
                let weight = rules::div(ir, weight, args[1]);
                out.push(Term {
                    region,
                    weight,
                    sign,
                    part: Part::Square(args[0]),
                });
            }
            Node::Apply { atom, args } if atom == SELECT && !facts.has_var(args[0]) => {
                let zero = ir.constant(0.0);
                let yes = ir.apply(SELECT, &[args[0], weight, zero]);
                let no = ir.apply(SELECT, &[args[0], zero, weight]);
                stack.push((region, no, sign, args[2]));
                stack.push((region, yes, sign, args[1]));
            }
            Node::Apply { atom, args } if atom == SQUARE && affine(args[0]) => emit(Part::Square(args[0])),
            Node::Apply { atom, args } if atom == POW && rules::is(ir, args[1], 2.0) && affine(args[0]) => {
                emit(Part::Square(args[0]));
            }
            Node::Apply { atom, args } if atom == QUAD && affine(args[0]) && !facts.has_var(args[1]) => {
                emit(Part::Quadratic(args[0], args[1]));
            }
            Node::Apply { atom, args } if atom == MATMUL && is_own_square(ir, args[0], args[1]) && affine(args[0]) => {
                let shape = ir.shape(args[1]).to_vec();
                let (domain, own) = rules::plain_domain(ir, &shape);
                let body = rules::entry(ir, args[1], &own);
                out.push(Term {
                    region: domain,
                    weight,
                    sign,
                    part: Part::Square(body),
                });
            }
            Node::Fold { atom, domain, body } if atom == SUM => stack.push((domain, weight, sign, body)),
            Node::Fold { atom, domain, body } if atom == MEAN => {
                let count = ir.constant(1.0);
                let count = ir.fold(SUM, domain, count);
                let w = rules::div(ir, weight, count);
                stack.push((domain, w, sign, body));
            }
            Node::Fold { atom, domain, body } if atom == SUMSQ && affine(body) => out.push(Term {
                region: domain,
                weight,
                sign,
                part: Part::Square(body),
            }),
            _ => emit(Part::Other(n)),
        }
    }
    out
}

/// Is it `v' * v` for a vector?
fn is_own_square(ir: &Ir, a: NodeId, b: NodeId) -> bool {
    ir.shape(b).len() == 1 && (a == b || rules::arg_of(ir, a, TRANSPOSE) == Some(b))
}

/// Sums a scalar of `region` over all instances up to the root.
pub fn total(ir: &mut Ir, region: DomainId, node: NodeId) -> NodeId {
    let mut node = node;
    let mut region = region;
    while region != DomainId::ROOT {
        node = ir.fold(SUM, region, node);
        region = ir.domain(region).parent.unwrap_or(DomainId::ROOT);
    }
    node
}

/// The sum of `weight · node` over all instances of `region`.
pub fn weighted_total(ir: &mut Ir, region: DomainId, weight: NodeId, node: NodeId) -> NodeId {
    let v = rules::mul(ir, weight, node);
    total(ir, region, v)
}
