//! Products in one order: the number, then data, then what is decided; outer loops before inner ones.
//!
//! Invariant: a product is a coefficient, factors and divisors; the same three make the same node.

use super::{Rewrite, Rewriter};
use crate::atoms::rules;
use crate::atoms::{DIV, MUL, NEG, RECIP};
use crate::ir::{DomainId, Node, NodeId};

/// The rows of this file.
pub const ROWS: &[Rewrite] = &[Rewrite {
    name: "products in order",
    condition: "always",
    exact: false,
    before: "param a [1..3]\nparam c\nvar x [1..3]\nout max(i in 1..3) divide(mul(mul(x[i], 3), mul(c, neg(a[i]))), 2)",
    after: "param a [1..3]\nparam c\nvar x [1..3]\n%1 = mul(1.5, c)\nout max(i1 in 1..3) neg(mul(mul(%1, a[i1]), x[i1]))",
    apply: ordered,
}];

/// Products wider than this are taken apart in part only.
const WIDEST: usize = 256;

/// `number · Π factors / (over · Π divisors)`.
#[derive(Clone, Debug)]
pub struct Product {
    pub number: f64,
    pub over: f64,
    pub factors: Vec<NodeId>,
    pub divisors: Vec<NodeId>,
}

impl Product {
    pub fn one() -> Product {
        Product {
            number: 1.0,
            over: 1.0,
            factors: vec![],
            divisors: vec![],
        }
    }

    pub fn is_one(&self) -> bool {
        self.number == 1.0 && self.over == 1.0 && self.factors.is_empty() && self.divisors.is_empty()
    }

    /// A number without factors.
    pub fn is_bare(&self) -> bool {
        self.number == 1.0 && self.over == 1.0 && self.divisors.is_empty()
    }
}

impl Rewriter<'_> {
    /// Takes a product apart.
    pub(super) fn product(&self, n: NodeId) -> Product {
        let mut p = Product::one();
        let mut stack = vec![(n, true)];
        while let Some((n, above)) = stack.pop() {
            // Shared factors of shared factors would otherwise multiply without end.
            let full = p.factors.len() + p.divisors.len() + stack.len() >= WIDEST;
            match self.ir.node(n) {
                Node::Const(b) => {
                    let v = f64::from_bits(*b);
                    if above {
                        p.number *= v;
                    } else {
                        p.over *= v;
                    }
                }
                Node::Apply { atom, args } if *atom == MUL && !full => stack.extend(args.iter().map(|a| (*a, above))),
                Node::Apply { atom, args } if *atom == DIV && !full => {
                    stack.push((args[0], above));
                    stack.push((args[1], !above));
                }
                Node::Apply { atom, args } if *atom == NEG => {
                    p.number = -p.number;
                    stack.push((args[0], above));
                }
                Node::Apply { atom, args } if *atom == RECIP => stack.push((args[0], !above)),
                _ if above => p.factors.push(n),
                _ => p.divisors.push(n),
            }
        }
        p
    }

    /// The canonical node of a product.
    pub(super) fn build(&mut self, mut p: Product) -> NodeId {
        if p.over < 0.0 {
            (p.number, p.over) = (-p.number, -p.over);
        }
        // Dividing by a power of two is exact; two numbers become one.
        let exact = p.over != 0.0 && p.over.to_bits() & ((1 << 52) - 1) == 0;
        if exact || p.number.abs() != 1.0 {
            p.number /= p.over;
            p.over = 1.0;
        }
        let negative = p.number < 0.0;
        let above = self.chain(p.number.abs(), p.factors);
        let below = self.chain(p.over, p.divisors);
        let v = match (above, below) {
            (a, None) => a.unwrap_or_else(|| self.ir.constant(1.0)),
            (None, Some(b)) => rules::call(self.ir, RECIP, b),
            // A number over something decided is a multiple of its reciprocal, which has a cone.
            (Some(a), Some(b)) if self.has_var(b) && !self.has_var(a) => {
                let b = rules::call(self.ir, RECIP, b);
                rules::mul(self.ir, a, b)
            }
            (Some(a), Some(b)) => rules::div(self.ir, a, b),
        };
        if negative { rules::neg(self.ir, v) } else { v }
    }

    /// `number · f1 · f2 …` in canonical order; `None` for 1.
    fn chain(&mut self, number: f64, factors: Vec<NodeId>) -> Option<NodeId> {
        let mut ranked: Vec<_> = factors.into_iter().map(|f| (self.rank(f), f)).collect();
        ranked.sort();
        let mut sorted: Vec<NodeId> = vec![];
        for (_, f) in ranked {
            match sorted.last().copied() {
                Some(l) if l == f => {
                    sorted.pop();
                    sorted.push(rules::square(self.ir, f));
                }
                _ => sorted.push(f),
            }
        }
        let mut product = (number != 1.0).then(|| self.ir.constant(number));
        for f in sorted {
            product = Some(match product {
                Some(p) => rules::mul(self.ir, p, f),
                None => f,
            });
        }
        product
    }

    /// The factors and divisors for which `first` holds, and all others with the number.
    pub(super) fn split_by(&mut self, p: &Product, first: impl Fn(&mut Self, NodeId) -> bool) -> (Product, Product) {
        let (mut yes, mut no) = (Product::one(), Product::one());
        (no.number, no.over) = (p.number, p.over);
        for f in &p.factors {
            let side = if first(self, *f) { &mut yes } else { &mut no };
            side.factors.push(*f);
        }
        for f in &p.divisors {
            let side = if first(self, *f) { &mut yes } else { &mut no };
            side.divisors.push(*f);
        }
        (yes, no)
    }

    /// Splits the factors that live above `domain` off a body; `None` if there are none.
    pub(super) fn split_at(&mut self, body: NodeId, domain: DomainId) -> Option<(NodeId, NodeId)> {
        let p = self.product(body);
        let (rest, out) = self.split_by(&p, |r, f| r.within(f, domain));
        if out.is_one() {
            return None;
        }
        Some((self.build(out), self.build(rest)))
    }
}

fn ordered(r: &mut Rewriter<'_>, n: NodeId) -> Option<NodeId> {
    let Node::Apply { atom, .. } = r.ir.node(n) else {
        return None;
    };
    if ![MUL, DIV, NEG, RECIP].contains(atom) {
        return None;
    }
    let p = r.product(n);
    Some(r.build(p))
}
