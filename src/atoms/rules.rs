//! Short forms for building IR inside rows: derivative rules and identities read like the formulas they are.
//!
//! Invariant: every helper goes through `Ir::apply`, so identities fire on what rules build too.

use super::{ADD, ARRAY_ADD, ARRAY_SCALE, ARRAY_SUB, DIV, MATMUL, MUL, NEG, OUTER, SOLVE, SQUARE, SUB, SUM, TRANSPOSE};
use crate::base::value::IndexSet;
use crate::ir::atom::{Eval, Identity};
use crate::ir::{AtomRef, DomainId, IndexId, Ir, Node, NodeId, Pos};

/// The number `v`.
pub fn num(ir: &mut Ir, v: f64) -> NodeId {
    ir.constant(v)
}
/// `a + b` of numbers.
pub fn add(ir: &mut Ir, a: NodeId, b: NodeId) -> NodeId {
    ir.apply(ADD, &[a, b])
}
/// `a - b` of numbers.
pub fn sub(ir: &mut Ir, a: NodeId, b: NodeId) -> NodeId {
    ir.apply(SUB, &[a, b])
}
/// `a · b` of numbers.
pub fn mul(ir: &mut Ir, a: NodeId, b: NodeId) -> NodeId {
    ir.apply(MUL, &[a, b])
}
/// `a / b` of numbers.
pub fn div(ir: &mut Ir, a: NodeId, b: NodeId) -> NodeId {
    ir.apply(DIV, &[a, b])
}
/// `-a` of a number.
pub fn neg(ir: &mut Ir, a: NodeId) -> NodeId {
    ir.apply(NEG, &[a])
}
/// `a²` of a number.
pub fn square(ir: &mut Ir, a: NodeId) -> NodeId {
    ir.apply(SQUARE, &[a])
}
/// A one-argument atom.
pub fn call(ir: &mut Ir, atom: AtomRef, a: NodeId) -> NodeId {
    ir.apply(atom, &[a])
}
/// `1 - a`.
pub fn one_minus(ir: &mut Ir, a: NodeId) -> NodeId {
    let one = num(ir, 1.0);
    sub(ir, one, a)
}
/// `k · a` with a literal factor.
pub fn times(ir: &mut Ir, k: f64, a: NodeId) -> NodeId {
    let k = num(ir, k);
    mul(ir, k, a)
}
/// The matrix product.
pub fn matmul(ir: &mut Ir, a: NodeId, b: NodeId) -> NodeId {
    ir.apply(MATMUL, &[a, b])
}
/// The transpose.
pub fn transpose(ir: &mut Ir, a: NodeId) -> NodeId {
    ir.apply(TRANSPOSE, &[a])
}
/// Sum of two arrays, or of two numbers.
pub fn plus(ir: &mut Ir, a: NodeId, b: NodeId) -> NodeId {
    let atom = if ir.shape(a).is_empty() { ADD } else { ARRAY_ADD };
    ir.apply(atom, &[a, b])
}
/// Difference of two arrays, or of two numbers.
pub fn minus(ir: &mut Ir, a: NodeId, b: NodeId) -> NodeId {
    let atom = if ir.shape(a).is_empty() { SUB } else { ARRAY_SUB };
    ir.apply(atom, &[a, b])
}
/// A number times an array or a number.
pub fn scale(ir: &mut Ir, k: NodeId, a: NodeId) -> NodeId {
    let atom = if ir.shape(a).is_empty() { MUL } else { ARRAY_SCALE };
    ir.apply(atom, &[k, a])
}
/// `-a` of an array or a number.
pub fn negated(ir: &mut Ir, a: NodeId) -> NodeId {
    if ir.shape(a).is_empty() {
        return neg(ir, a);
    }
    let k = num(ir, -1.0);
    scale(ir, k, a)
}
/// `u v'`.
pub fn outer(ir: &mut Ir, u: NodeId, v: NodeId) -> NodeId {
    ir.apply(OUTER, &[u, v])
}
/// `A \ b`.
pub fn solve(ir: &mut Ir, a: NodeId, b: NodeId) -> NodeId {
    ir.apply(SOLVE, &[a, b])
}
/// Sum of two tangents, either of which may be zero.
pub fn sum_opt(ir: &mut Ir, a: Option<NodeId>, b: Option<NodeId>) -> Option<NodeId> {
    match (a, b) {
        (Some(a), Some(b)) => Some(plus(ir, a, b)),
        (a, b) => a.or(b),
    }
}

/// A domain below the root, one index `1..n` per length in `shape`, without filter, for code that builds loops of its
/// own. Equal shapes share one domain, so that equal loops are one node.
pub fn plain_domain(ir: &mut Ir, shape: &[usize]) -> (DomainId, Vec<IndexId>) {
    // The index name cannot be typed by a user, so lowering never filters one of these.
    const NAME: &str = "·";
    for d in 1..ir.domain_count() {
        let id = DomainId(d as u32);
        let domain = ir.domain(id);
        if domain.parent == Some(DomainId::ROOT)
            && domain.filter.is_none()
            && domain.indices.len() == shape.len()
            && domain.indices.iter().zip(shape).all(|(i, n)| {
                let index = ir.index(*i);
                index.name == NAME && index.set == IndexSet::upto(*n)
            })
        {
            return (id, domain.indices.clone());
        }
    }
    ir.add_domain(
        DomainId::ROOT,
        shape.iter().map(|n| (NAME.to_string(), IndexSet::upto(*n))),
    )
}

/// The entry of `array` at the indices of a domain over its shape.
pub fn entry(ir: &mut Ir, array: NodeId, indices: &[IndexId]) -> NodeId {
    ir.gather(array, indices.iter().map(|i| Pos::index(*i)).collect())
}

/// `Σ aᵢ bᵢ` over all entries of two arrays of one shape.
pub fn inner(ir: &mut Ir, a: NodeId, b: NodeId) -> NodeId {
    let shape = ir.shape(a).to_vec();
    if shape.is_empty() {
        return mul(ir, a, b);
    }
    let (domain, indices) = plain_domain(ir, &shape);
    let (p, q) = (entry(ir, a, &indices), entry(ir, b, &indices));
    let body = mul(ir, p, q);
    ir.fold(SUM, domain, body)
}

/// The array of `body(entry of a, entry of b)` for two arrays of one shape.
pub fn zip(ir: &mut Ir, a: NodeId, b: NodeId, body: impl FnOnce(&mut Ir, NodeId, NodeId) -> NodeId) -> NodeId {
    let shape = ir.shape(a).to_vec();
    let (domain, indices) = plain_domain(ir, &shape);
    let (p, q) = (entry(ir, a, &indices), entry(ir, b, &indices));
    let e = body(ir, p, q);
    ir.map(domain, e)
}

/// Is the node this very literal?
pub fn is(ir: &Ir, n: NodeId, v: f64) -> bool {
    ir.as_const(n) == Some(v)
}

/// The argument, if the node applies this one-argument atom.
pub fn arg_of(ir: &Ir, n: NodeId, of: AtomRef) -> Option<NodeId> {
    match ir.node(n) {
        Node::Apply { atom, args } if *atom == of && args.len() == 1 => Some(args[0]),
        _ => None,
    }
}

/// The arguments, if the node applies this two-argument atom.
pub fn args_of(ir: &Ir, n: NodeId, of: AtomRef) -> Option<(NodeId, NodeId)> {
    match ir.node(n) {
        Node::Apply { atom, args } if *atom == of && args.len() == 2 => Some((args[0], args[1])),
        _ => None,
    }
}

/// The value of a scalar atom on numbers, by its own kernel.
pub fn evaluate(atom: AtomRef, x: &[f64]) -> Option<f64> {
    let mut y = [0.0];
    match (atom.eval, x) {
        (Eval::Lane1(f), [a]) => f(&mut y, &[*a]),
        (Eval::Lane2(f), [a, b]) => f(&mut y, &[*a], &[*b]),
        (Eval::Lane3(f), [a, b, c]) => f(&mut y, &[*a], &[*b], &[*c]),
        _ => return None,
    }
    Some(y[0])
}

/// The result as a literal, if all arguments are literals and the result is finite (a literal outside the domain
/// stays, so that running the program names it).
pub fn fold_literals(ir: &mut Ir, atom: AtomRef, args: &[NodeId]) -> Option<NodeId> {
    let mut values = [0.0; 3];
    let values = values.get_mut(..args.len())?;
    for (v, a) in values.iter_mut().zip(args) {
        *v = ir.as_const(*a)?;
    }
    let y = evaluate(atom, values)?;
    y.is_finite().then(|| ir.constant(y))
}

/// The identity that evaluates a scalar atom on literals.
macro_rules! literals {
    ($atom:ident) => {
        $crate::ir::atom::Identity {
            name: "literals",
            condition: "all arguments are numbers and the result is finite",
            apply: |ir, args| $crate::atoms::rules::fold_literals(ir, $atom, args),
        }
    };
}
pub(crate) use literals;

/// An identity that holds without condition.
pub const fn always(name: &'static str, apply: fn(&mut Ir, &[NodeId]) -> Option<NodeId>) -> Identity {
    Identity {
        name,
        condition: "always, exactly in floating point",
        apply,
    }
}
