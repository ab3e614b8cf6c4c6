//! Mini-batches: the objective with its outermost sum restricted to drawn terms, value and gradient.
//!
//! Invariant: the estimate is unbiased for terms drawn uniformly with replacement: a mean stays a mean of the terms drawn,
//! a sum is their mean times the number of terms, and what is no part of the sum is evaluated in full. Of matrices in a term
//! (`(X*w)[i]`) the rows drawn are computed.

use std::sync::Arc;

use crate::atoms::{self, rules};
use crate::base::value::IndexSet;
use crate::exec::{Machine, Plan};
use crate::forms::rows::Columns;
use crate::ir::{Input, InputId, InputKind, Ir, Node, NodeId, Pos, Sign};
use crate::passes::derive::{self, Depends, NoDerivative};
use crate::passes::rows::Rows;
use crate::passes::subst::Subst;

/// The sum or mean over one set that an objective is made of.
#[derive(Clone, Debug)]
pub struct FiniteSum {
    folds: Vec<NodeId>,
    /// Number of terms.
    pub terms: usize,
}

/// Value and gradient on so many terms, and products of the Hessian once they were asked for.
#[derive(Clone, Debug)]
pub struct Batch {
    /// Evaluates value and gradient.
    pub machine: Machine,
    /// Takes the positions of the terms.
    pub input: InputId,
    /// Which coordinates each gradient output fills.
    pub parts: Vec<(usize, usize)>,
    /// Evaluates products.
    pub product: Option<Product>,
}

/// Products of the Hessian on so many terms.
#[derive(Clone, Debug)]
pub struct Product {
    /// Evaluates them.
    pub machine: Machine,
    /// Takes the positions of the terms.
    pub input: InputId,
    /// The inputs that take the vector, with first coordinate and length.
    pub seeds: Vec<(InputId, usize, usize)>,
    /// Which coordinates each output fills.
    pub parts: Vec<(usize, usize)>,
}

impl FiniteSum {
    /// The outermost sums or means of an objective over one set: the set given, or else the only one there is. A sum whose
    /// index picks the variables it is about (`sum(j) w[j]^2`) has parts for terms, not samples, and does not count.
    pub fn find(ir: &Ir, objective: NodeId, over: Option<&IndexSet>) -> Option<FiniteSum> {
        let mut vars = Depends::on_vars(ir);
        let mut found: Vec<(NodeId, IndexSet)> = vec![];
        let mut stack = vec![objective];
        while let Some(n) = stack.pop() {
            if !vars.has(ir, n) {
                continue;
            }
            match ir.node(n) {
                Node::Apply { atom, args } if linear(*atom) => stack.extend(args.iter().copied()),
                Node::Apply { atom, args } if *atom == atoms::MUL || *atom == atoms::DIV => {
                    let moving: Vec<NodeId> = args.iter().copied().filter(|a| vars.has(ir, *a)).collect();
                    if let [one] = moving.as_slice()
                        && (*atom == atoms::MUL || args[0] == *one)
                    {
                        stack.push(*one);
                    }
                }
                Node::Fold { atom, domain, body } if [atoms::SUM, atoms::MEAN, atoms::SUMSQ].contains(atom) => {
                    let d = ir.domain(*domain);
                    if let ([i], None) = (d.indices.as_slice(), d.filter)
                        && samples(ir, *body, *i)
                    {
                        found.push((n, ir.index(*i).set.clone()));
                    }
                }
                _ => {}
            }
        }
        if let Some(set) = over {
            found.retain(|(_, s)| s == set);
        }
        let set = found.first()?.1.clone();
        if found.iter().any(|(_, s)| *s != set) || set.is_empty() {
            return None;
        }
        Some(FiniteSum {
            folds: found.into_iter().map(|f| f.0).collect(),
            terms: set.len(),
        })
    }

    /// The objective on a batch of a size, and the input for its terms.
    fn restricted(&self, ir: &mut Ir, objective: NodeId, size: usize) -> (NodeId, InputId) {
        let input = ir.add_input(Input {
            name: "batch".into(),
            kind: InputKind::Seed,
            dims: vec![IndexSet::upto(size)],
            sparse: false,
            sign: Sign::Unknown,
        });
        let all = ir.read(input);
        let (domain, k) = ir.add_domain(crate::ir::DomainId::ROOT, [("k".to_string(), IndexSet::upto(size))]);
        let at = ir.gather(all, vec![Pos::index(k[0])]);
        let mut rows = Rows::at(ir, all);
        let mut new = vec![];
        for f in &self.folds {
            let Node::Fold {
                atom,
                domain: old,
                body,
            } = *ir.node(*f)
            else {
                continue;
            };
            let mut s = Subst::at(ir, old, &[Pos::Node(at)], domain);
            let body = s.node(ir, body);
            let body = rows.within(ir, body, k[0]);
            new.push(if atom == atoms::MEAN {
                ir.fold(atoms::MEAN, domain, body)
            } else {
                // A sum of squares stays one.
                let sum = ir.fold(atom, domain, body);
                let n = ir.constant(self.terms as f64 / size as f64);
                ir.apply(atoms::MUL, &[n, sum])
            });
        }
        (self.rebuilt(ir, objective, &new), input)
    }

    /// Compiles value and gradient for batches of a size.
    pub fn batch(&self, ir: &Ir, objective: NodeId, columns: &Columns, size: usize) -> Result<Batch, NoDerivative> {
        let mut ir = ir.clone();
        let (root, input) = self.restricted(&mut ir, objective, size);
        let wrt: Vec<InputId> = columns.blocks.iter().map(|b| b.0).collect();
        let mut outs = vec![root];
        let mut parts = vec![];
        for (g, b) in derive::gradient(&mut ir, root, &wrt)?.iter().zip(&columns.blocks) {
            if let Some(g) = g {
                outs.push(*g);
                parts.push((b.1, b.2));
            }
        }
        Ok(Batch {
            machine: Machine::new(Arc::new(Plan::compile(&ir, &outs))),
            input,
            parts,
            product: None,
        })
    }

    /// Compiles products of the Hessian for batches of a size.
    pub fn product(&self, ir: &Ir, objective: NodeId, columns: &Columns, size: usize) -> Result<Product, NoDerivative> {
        let mut ir = ir.clone();
        let (root, input) = self.restricted(&mut ir, objective, size);
        let wrt: Vec<InputId> = columns.blocks.iter().map(|b| b.0).collect();
        let (mut seeds, mut nodes) = (vec![], vec![]);
        for (of, first, len) in &columns.blocks {
            let source = ir.input(*of).clone();
            let s = ir.add_input(Input {
                name: format!("{}'", source.name),
                kind: InputKind::Seed,
                sign: Sign::Unknown,
                ..source
            });
            seeds.push((s, *first, *len));
            nodes.push(ir.read(s));
        }
        let (mut outs, mut parts) = (vec![], vec![]);
        for (p, b) in derive::hvp(&mut ir, root, &wrt, &nodes)?.iter().zip(&columns.blocks) {
            if let Some(p) = p {
                outs.push(*p);
                parts.push((b.1, b.2));
            }
        }
        Ok(Product {
            machine: Machine::new(Arc::new(Plan::compile(&ir, &outs))),
            input,
            seeds,
            parts,
        })
    }

    /// The objective with its sums replaced; only linear operations stand above them.
    fn rebuilt(&self, ir: &mut Ir, n: NodeId, new: &[NodeId]) -> NodeId {
        if let Some(k) = self.folds.iter().position(|f| *f == n) {
            return new[k];
        }
        let Node::Apply { atom, args } = ir.node(n).clone() else {
            return n;
        };
        if !(linear(atom) || atom == atoms::MUL || atom == atoms::DIV) {
            return n;
        }
        let moved: Vec<NodeId> = args.iter().map(|a| self.rebuilt(ir, *a, new)).collect();
        if moved[..] == args[..] {
            return n;
        }
        if atom == atoms::NEG {
            return rules::neg(ir, moved[0]);
        }
        ir.apply(atom, &moved)
    }
}

fn linear(atom: crate::ir::AtomRef) -> bool {
    atom == atoms::ADD || atom == atoms::SUB || atom == atoms::NEG
}

/// Does no variable's entry depend on the index?
fn samples(ir: &Ir, body: NodeId, index: crate::ir::IndexId) -> bool {
    let mut vars = Depends::on_vars(ir);
    let mut seen = std::collections::HashSet::new();
    let mut stack = vec![body];
    while let Some(n) = stack.pop() {
        if !seen.insert(n) || !vars.has(ir, n) {
            continue;
        }
        if let Node::Gather { array, at } = ir.node(n)
            && ir.is_var(*array)
            && at
                .iter()
                .any(|p| matches!(p, Pos::Affine { terms, .. } if terms.iter().any(|t| t.0 == index)))
        {
            return false;
        }
        ir.for_each_arg(n, |a| stack.push(a));
    }
    true
}
