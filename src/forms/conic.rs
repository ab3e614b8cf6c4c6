//! Conic form: linear, quadratic and second-order cone programs (and exponential cones) by the atoms' graph column.
//!
//! Invariant: index structure is kept (an auxiliary variable stands for a whole domain); squares of affine expressions
//! become squares of auxiliary variables, so no product `A'A` is ever formed.
//! Source: Grant, Boyd, Ye, Disciplined convex programming, 2006 (composition and graph implementations).

use std::collections::{BTreeMap, BTreeSet};

use crate::atoms;
use crate::atoms::rules;
use crate::base::value::IndexSet;
use crate::ir::atom::{ArgFacts, Block, Graph, GraphBuilder, MonoRule};
use crate::ir::facts::Sign;
use crate::ir::{AtomRef, DomainId, Input, InputId, InputKind, Ir, Mono, Node, NodeId, Pos};
use crate::passes::analysis::curvature::{FactsTable, degree, extend, own_curvature};
use crate::passes::derive::Depends;

/// Why a problem has no conic form.
#[derive(Clone, Debug, PartialEq)]
pub struct NotConic {
    /// The innermost node that has none.
    pub node: NodeId,
    /// A clause.
    pub why: String,
}

/// Which side of the true value the replaced one may lie on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Side {
    /// At or above: wanted where smaller is better.
    Above,
    /// At or below.
    Below,
}

impl Side {
    fn flipped(self) -> Side {
        match self {
            Side::Above => Side::Below,
            Side::Below => Side::Above,
        }
    }
}

/// Affine scalars that lie in a cone at every instance of a domain.
#[derive(Clone, Debug)]
pub enum ConeRows {
    /// `body = 0`.
    Zero {
        /// One row for each instance.
        domain: DomainId,
        /// Affine.
        body: NodeId,
    },
    /// `body >= 0`.
    Nonneg {
        /// One row for each instance.
        domain: DomainId,
        /// Affine.
        body: NodeId,
    },
    /// `heads[0] >= ‖(heads[1..], tail over the instances of its domain)‖`.
    SecondOrder {
        /// One cone for each instance.
        domain: DomainId,
        /// Affine scalars of the domain.
        heads: Vec<NodeId>,
        /// A domain below it and an affine scalar there.
        tail: Option<(DomainId, NodeId)>,
    },
    /// `y·exp(x/y) <= z`.
    Exponential {
        /// One cone for each instance.
        domain: DomainId,
        /// Affine scalars of the domain.
        xyz: [NodeId; 3],
    },
    /// `x^a · y^(1-a) >= |z|`.
    Power {
        /// One cone for each instance.
        domain: DomainId,
        /// Affine scalars of the domain.
        xyz: [NodeId; 3],
        /// A root number without variables.
        a: NodeId,
    },
    /// A symmetric positive semidefinite matrix.
    Semidefinite {
        /// One cone for each instance.
        domain: DomainId,
        /// Orders of the diagonal blocks.
        orders: Vec<usize>,
        /// What stands in them.
        blocks: Vec<Block>,
        /// Must the entries be symmetric as well? Without it the symmetric part counts.
        exact: bool,
    },
    /// `t >= q`, both at the root: `t` affine, `q` of degree 2 with a positive semidefinite Hessian.
    Quadratic {
        /// Affine.
        t: NodeId,
        /// Quadratic.
        q: NodeId,
    },
}

/// `weight · body²` summed over a domain; `body` is affine.
#[derive(Clone, Debug)]
pub struct SquareTerm {
    /// Where.
    pub domain: DomainId,
    /// No variable in it.
    pub weight: NodeId,
    /// Affine.
    pub body: NodeId,
}

/// `weight · x' P x` at the root; `x` an affine array, `P` without variables.
#[derive(Clone, Debug)]
pub struct QuadTerm {
    /// No variable in it.
    pub weight: NodeId,
    /// The vector.
    pub x: NodeId,
    /// The matrix.
    pub p: NodeId,
}

/// An objective taken apart.
#[derive(Clone, Debug, Default)]
pub struct Parts {
    /// Squares of affine scalars.
    pub squares: Vec<SquareTerm>,
    /// Quadratic forms with a data matrix.
    pub quads: Vec<QuadTerm>,
    /// Root scalars of degree 2 that are convex as a whole, not term by term.
    pub whole: Vec<NodeId>,
    /// What is left: root scalars to be added up.
    pub rest: Vec<NodeId>,
}

impl Parts {
    /// Brings everything of degree 2 together in one root scalar, if there is a term of that degree that is no square and no
    /// quadratic form: that scalar and what is left.
    pub fn low_degree(&self, ir: &mut Ir) -> Option<(NodeId, Vec<NodeId>)> {
        let (low, high): (Vec<NodeId>, Vec<NodeId>) = self.rest.iter().partition(|n| degree(ir, **n) <= 2);
        if low.iter().all(|n| degree(ir, *n) <= 1) {
            return None;
        }
        let mut terms = low;
        for s in &self.squares {
            let square = rules::square(ir, s.body);
            let term = rules::mul(ir, s.weight, square);
            terms.push(summed(ir, s.domain, term));
        }
        for q in &self.quads {
            let form = ir.apply(atoms::QUAD, &[q.x, q.p]);
            terms.push(rules::mul(ir, q.weight, form));
        }
        let sum = terms.into_iter().reduce(|a, b| rules::add(ir, a, b))?;
        Some((sum, high))
    }
}

/// Takes a root scalar apart: squares of affine scalars, quadratic forms, and what is neither; scalars in `whole` are left in
/// one piece.
pub fn parts(ir: &mut Ir, root: NodeId, whole: &BTreeSet<NodeId>) -> Parts {
    taken_apart(ir, root, whole, false)
}

/// The same with squares of any scalars.
pub fn squares_and_rest(ir: &mut Ir, root: NodeId) -> Parts {
    taken_apart(ir, root, &BTreeSet::new(), true)
}

fn taken_apart(ir: &mut Ir, root: NodeId, whole: &BTreeSet<NodeId>, any: bool) -> Parts {
    let mut out = Parts::default();
    let mut depends = Depends::on_vars(ir);
    let one = ir.constant(1.0);
    let mut stack = vec![(DomainId::ROOT, one, root)];
    while let Some((region, w, n)) = stack.pop() {
        let affine = !depends.has(ir, n) || degree(ir, n) <= 1;
        match ir.node(n).clone() {
            _ if whole.contains(&n) && region == DomainId::ROOT && rules::is(ir, w, 1.0) => out.whole.push(n),
            _ if affine => {
                let v = rules::mul(ir, w, n);
                out.rest.push(summed(ir, region, v));
            }
            Node::Apply { atom, args } if atom == atoms::SQUARE && (any || degree(ir, args[0]) <= 1) => {
                out.squares.push(SquareTerm {
                    domain: region,
                    weight: w,
                    body: args[0],
                });
            }
            Node::Apply { atom, args }
                if atom == atoms::QUAD && region == DomainId::ROOT && !depends.has(ir, args[1]) =>
            {
                out.quads.push(QuadTerm {
                    weight: w,
                    x: args[0],
                    p: args[1],
                });
            }
            Node::Fold { atom, domain, body }
                if atom == atoms::SUMSQ
                    && ir.domain(domain).parent == Some(region)
                    && (any || degree(ir, body) <= 1) =>
            {
                out.squares.push(SquareTerm {
                    domain,
                    weight: w,
                    body,
                });
            }
            _ => match linear_pieces(ir, &mut depends, (region, w, n)) {
                Some(pieces) => stack.extend(pieces),
                None => {
                    let v = rules::mul(ir, w, n);
                    out.rest.push(summed(ir, region, v));
                }
            },
        }
    }
    out
}

/// What a weighted scalar of a region is the sum of: through sums, differences, and factors without variables; nothing where it
/// is of one piece. Pieces are region, weight and scalar again, the last one first.
pub(super) fn linear_pieces(
    ir: &mut Ir,
    depends: &mut Depends,
    (region, w, n): (DomainId, NodeId, NodeId),
) -> Option<Vec<(DomainId, NodeId, NodeId)>> {
    Some(match ir.node(n).clone() {
        Node::Apply { atom, args } if atom == atoms::ADD => args.iter().rev().map(|a| (region, w, *a)).collect(),
        Node::Apply { atom, args } if atom == atoms::SUB => {
            let minus = rules::neg(ir, w);
            vec![(region, minus, args[1]), (region, w, args[0])]
        }
        Node::Apply { atom, args } if atom == atoms::NEG => vec![(region, rules::neg(ir, w), args[0])],
        Node::Apply { atom, args } if atom == atoms::MUL && !depends.has(ir, args[0]) => {
            vec![(region, rules::mul(ir, w, args[0]), args[1])]
        }
        Node::Apply { atom, args } if atom == atoms::MUL && !depends.has(ir, args[1]) => {
            vec![(region, rules::mul(ir, w, args[1]), args[0])]
        }
        Node::Apply { atom, args } if atom == atoms::DIV && !depends.has(ir, args[1]) => {
            vec![(region, rules::div(ir, w, args[1]), args[0])]
        }
        Node::Fold { atom, domain, body } if atom == atoms::SUM && ir.domain(domain).parent == Some(region) => {
            vec![(domain, w, body)]
        }
        Node::Fold { atom, domain, body } if atom == atoms::MEAN && ir.domain(domain).parent == Some(region) => {
            let one = ir.constant(1.0);
            let count = ir.fold(atoms::SUM, domain, one);
            vec![(domain, rules::div(ir, w, count), body)]
        }
        _ => return None,
    })
}

/// The sum of a region scalar over all instances of its region.
pub(super) fn summed(ir: &mut Ir, region: DomainId, v: NodeId) -> NodeId {
    let mut n = v;
    for d in ir.chain(region).into_iter().rev() {
        n = ir.fold(atoms::SUM, d, n);
    }
    n
}

/// Rewrites convex problems into affine scalars in cones, adding auxiliary variables.
pub struct Conic<'a> {
    /// The program; it grows.
    pub ir: &'a mut Ir,
    facts: FactsTable,
    depends: Depends,
    /// Auxiliary variables in order.
    pub aux: Vec<InputId>,
    /// Cone memberships in order.
    pub rows: Vec<ConeRows>,
    done: BTreeMap<NodeId, NodeId>,
    /// Root scalars of degree 2 that are convex as a whole.
    whole: BTreeSet<NodeId>,
    /// Does it need an exponential cone?
    pub exponential: bool,
    /// Does it need a second-order cone?
    pub second_order: bool,
    /// Does it need a semidefinite cone?
    pub semidefinite: bool,
}

impl<'a> Conic<'a> {
    /// Starts with no auxiliary variable; scalars in `whole` are convex quadratics as a whole.
    pub fn new(ir: &'a mut Ir, facts: &FactsTable, whole: &BTreeSet<NodeId>) -> Self {
        let depends = Depends::on_vars(ir);
        Conic {
            ir,
            facts: facts.clone(),
            depends,
            aux: vec![],
            rows: vec![],
            done: BTreeMap::new(),
            whole: whole.clone(),
            exponential: false,
            second_order: false,
            semidefinite: false,
        }
    }

    /// A fresh variable for each instance of a region, read at that instance.
    pub fn auxiliary(&mut self, region: DomainId, name: &str, sign: Sign) -> NodeId {
        let indices: Vec<_> = self
            .ir
            .chain(region)
            .iter()
            .flat_map(|d| self.ir.domain(*d).indices.clone())
            .collect();
        let dims: Vec<IndexSet> = indices.iter().map(|i| self.ir.index(*i).set.clone()).collect();
        let input = self.ir.add_input(Input {
            name: format!("{name}'{}", self.aux.len() + 1),
            kind: InputKind::Var,
            dims,
            sparse: false,
            sign,
        });
        self.aux.push(input);
        self.depends = Depends::on_vars(self.ir);
        let array = self.ir.read(input);
        self.ir.gather(array, indices.into_iter().map(Pos::index).collect())
    }

    fn affine(&mut self, n: NodeId) -> bool {
        !self.depends.has(self.ir, n) || degree(self.ir, n) <= 1
    }

    fn sign(&self, n: NodeId) -> Sign {
        match self.ir.as_const(n) {
            Some(v) => Sign::of(v),
            None => self.facts.get(n).map_or(Sign::Unknown, |f| f.sign),
        }
    }

    /// An affine scalar on the given side of `n`, tight at the optimum.
    pub fn replace(&mut self, n: NodeId, side: Side) -> Result<NodeId, NotConic> {
        if self.affine(n) {
            return Ok(n);
        }
        if side == Side::Above && self.whole.contains(&n) {
            if let Some(t) = self.done.get(&n) {
                return Ok(*t);
            }
            self.second_order = true;
            let t = self.auxiliary(DomainId::ROOT, "t", Sign::Unknown);
            self.rows.push(ConeRows::Quadratic { t, q: n });
            self.done.insert(n, t);
            return Ok(t);
        }
        let no = |why: String| Err(NotConic { node: n, why });
        match self.ir.node(n).clone() {
            Node::Apply { atom, args } if atom == atoms::ADD => {
                let a = self.replace(args[0], side)?;
                let b = self.replace(args[1], side)?;
                Ok(rules::add(self.ir, a, b))
            }
            Node::Apply { atom, args } if atom == atoms::SUB => {
                let a = self.replace(args[0], side)?;
                let b = self.replace(args[1], side.flipped())?;
                Ok(rules::sub(self.ir, a, b))
            }
            Node::Apply { atom, args } if atom == atoms::NEG => {
                let a = self.replace(args[0], side.flipped())?;
                Ok(rules::neg(self.ir, a))
            }
            Node::Apply { atom, args } if atom == atoms::MUL || atom == atoms::DIV => {
                let (fixed, other) = if !self.depends.has(self.ir, args[1]) {
                    (args[1], args[0])
                } else if atom == atoms::MUL && !self.depends.has(self.ir, args[0]) {
                    (args[0], args[1])
                } else {
                    return no("it is a product or quotient of variables".into());
                };
                // Weights that were put together here, such as one over a count, have no facts yet.
                extend(self.ir, &mut self.facts, fixed);
                let side = match self.sign(fixed) {
                    s if s.is_nonneg() => side,
                    s if s.is_nonpos() => side.flipped(),
                    _ => return no("the sign of its factor is not known".into()),
                };
                let v = self.replace(other, side)?;
                Ok(self
                    .ir
                    .apply(atom, &if fixed == args[1] { [v, fixed] } else { [fixed, v] }))
            }
            Node::Fold { atom, domain, body } if atom == atoms::SUM || atom == atoms::MEAN => {
                let b = self.replace(body, side)?;
                Ok(self.ir.fold(atom, domain, b))
            }
            Node::Apply { atom, args } => self.applied(n, atom, &args, None, side),
            Node::Fold { atom, domain, body } => self.applied(n, atom, &[body], Some(domain), side),
            Node::Gather { array, at } => {
                let a = self.entries(array, side)?;
                Ok(self.ir.gather(a, at.to_vec()))
            }
            _ => no("it reads an array that is not affine in the variables".into()),
        }
    }

    /// An affine array with every entry on the given side of that of `n`: of lists of scalars and of what puts arrays together.
    fn entries(&mut self, n: NodeId, side: Side) -> Result<NodeId, NotConic> {
        if self.affine(n) {
            return Ok(n);
        }
        match self.ir.node(n).clone() {
            Node::Map { domain, body } => {
                let b = self.replace(body, side)?;
                Ok(self.ir.map(domain, b))
            }
            Node::Apply { atom, args } if [atoms::STACK, atoms::CONCAT, atoms::TRANSPOSE].contains(&atom) => {
                let parts = args.iter().map(|a| match self.ir.shape(*a).is_empty() {
                    true => self.replace(*a, side),
                    false => self.entries(*a, side),
                });
                let parts = parts.collect::<Result<Vec<_>, _>>()?;
                Ok(self.ir.apply(atom, &parts))
            }
            _ => Err(NotConic {
                node: n,
                why: "it reads an array that is not affine in the variables".into(),
            }),
        }
    }

    /// The square of a scalar that bends away from 0 as that of an affine scalar beyond it; nothing where it does not, or where
    /// the weight may be negative.
    pub fn square_beyond(&mut self, t: &SquareTerm) -> Result<Option<SquareTerm>, NotConic> {
        extend(self.ir, &mut self.facts, t.weight);
        extend(self.ir, &mut self.facts, t.body);
        let (sign, bends) = (self.sign(t.body), self.arg_facts(t.body).curvature);
        let side = match self.sign(t.weight).is_nonneg() {
            true if sign.is_nonneg() && bends.is_convex() => Side::Above,
            true if sign.is_nonpos() && bends.is_concave() => Side::Below,
            _ => return Ok(None),
        };
        Ok(Some(SquareTerm {
            body: self.replace(t.body, side)?,
            ..t.clone()
        }))
    }

    /// The graph of an atom, of a reduction over `fold` if there is one.
    fn applied(
        &mut self,
        n: NodeId,
        atom: AtomRef,
        args: &[NodeId],
        fold: Option<DomainId>,
        side: Side,
    ) -> Result<NodeId, NotConic> {
        let no = |why: String| Err(NotConic { node: n, why });
        if let Graph::None(why) = atom.graph {
            return no(format!("`{}` has no cone: {why}", atom.name));
        }
        extend(self.ir, &mut self.facts, n);
        let bends = own_curvature(self.ir, &self.facts, n);
        if !(if side == Side::Above {
            bends.is_convex()
        } else {
            bends.is_concave()
        }) {
            return no(format!("`{}` bends the wrong way here", atom.name));
        }
        let facts: Vec<ArgFacts> = args.iter().map(|a| self.arg_facts(*a)).collect();
        let mut replaced = vec![];
        for (k, a) in args.iter().enumerate() {
            replaced.push(self.argument(*a, mono(&atom.monotone, &facts, k), &facts[k], side)?);
        }
        if let Some(t) = self.done.get(&n) {
            return Ok(*t);
        }
        let region = self.ir.region(n);
        let t = match atom.graph {
            Graph::Rewrite(f) => {
                let e = f(self.ir, &replaced);
                extend(self.ir, &mut self.facts, e);
                self.replace(e, side)?
            }
            Graph::Cones(_, build) => build(self, region, &replaced, &facts, fold),
            graph => {
                let fold = fold.map(|d| (d, replaced[0]));
                self.graph(n, graph, &replaced, fold)?
            }
        };
        self.done.insert(n, t);
        Ok(t)
    }

    fn arg_facts(&self, n: NodeId) -> ArgFacts {
        ArgFacts {
            sign: self.sign(n),
            curvature: self.facts.get(n).map(|f| f.curvature).unwrap_or_default(),
            constant: self.ir.as_const(n),
        }
    }

    fn argument(&mut self, a: NodeId, m: Mono, facts: &ArgFacts, side: Side) -> Result<NodeId, NotConic> {
        if self.affine(a) {
            return Ok(a);
        }
        // An array entry by entry.
        if let Node::Map { domain, body } = *self.ir.node(a) {
            let f = self.arg_facts(body);
            let b = self.argument(body, m, &f, side)?;
            return Ok(self.ir.map(domain, b));
        }
        match m {
            Mono::Increasing => self.replace(a, side),
            Mono::Decreasing => self.replace(a, side.flipped()),
            Mono::AwayFromZero if facts.sign.is_nonneg() => self.replace(a, side),
            Mono::AwayFromZero if facts.sign.is_nonpos() => self.replace(a, side.flipped()),
            _ => Err(NotConic {
                node: a,
                why: "it is curved where the function around it is not monotone".into(),
            }),
        }
    }

    /// The auxiliary variable of an atom with affine arguments, and its cone.
    fn graph(
        &mut self,
        n: NodeId,
        graph: Graph,
        args: &[NodeId],
        fold: Option<(DomainId, NodeId)>,
    ) -> Result<NodeId, NotConic> {
        let region = self.ir.region(n);
        let sign = self.sign(n);
        let t = self.auxiliary(region, "t", sign);
        let one = self.ir.constant(1.0);
        let two = self.ir.constant(2.0);
        match (graph, fold) {
            (Graph::MaxOf(list) | Graph::MinOf(list), None) => {
                for (k, factor) in list {
                    let f = self.ir.constant(*factor);
                    let v = rules::mul(self.ir, f, args[*k]);
                    let body = if matches!(graph, Graph::MaxOf(_)) {
                        rules::sub(self.ir, t, v)
                    } else {
                        rules::sub(self.ir, v, t)
                    };
                    self.rows.push(ConeRows::Nonneg { domain: region, body });
                }
            }
            (Graph::MaxFold | Graph::MinFold, Some((domain, b))) => {
                let body = if matches!(graph, Graph::MaxFold) {
                    rules::sub(self.ir, t, b)
                } else {
                    rules::sub(self.ir, b, t)
                };
                self.rows.push(ConeRows::Nonneg { domain, body });
            }
            (Graph::AbsSum, Some((domain, b))) => {
                let s = self.auxiliary(domain, "s", Sign::Nonneg);
                let up = rules::sub(self.ir, s, b);
                let down = rules::add(self.ir, s, b);
                self.rows.push(ConeRows::Nonneg { domain, body: up });
                self.rows.push(ConeRows::Nonneg { domain, body: down });
                let sum = self.ir.fold(atoms::SUM, domain, s);
                let body = rules::sub(self.ir, t, sum);
                self.rows.push(ConeRows::Nonneg { domain: region, body });
            }
            (Graph::AbsMax, Some((domain, b))) => {
                let up = rules::sub(self.ir, t, b);
                let down = rules::add(self.ir, t, b);
                self.rows.push(ConeRows::Nonneg { domain, body: up });
                self.rows.push(ConeRows::Nonneg { domain, body: down });
            }
            (Graph::Norm, Some(tail)) => {
                self.second_order = true;
                self.rows.push(ConeRows::SecondOrder {
                    domain: region,
                    heads: vec![t],
                    tail: Some(tail),
                });
            }
            (Graph::SumSquares, Some((domain, b))) => {
                self.second_order = true;
                let heads = vec![rules::add(self.ir, t, one), rules::sub(self.ir, t, one)];
                let twice = rules::mul(self.ir, two, b);
                self.rows.push(ConeRows::SecondOrder {
                    domain: region,
                    heads,
                    tail: Some((domain, twice)),
                });
            }
            (Graph::Square, None) => {
                self.second_order = true;
                let twice = rules::mul(self.ir, two, args[0]);
                let heads = vec![rules::add(self.ir, t, one), rules::sub(self.ir, t, one), twice];
                self.rows.push(ConeRows::SecondOrder {
                    domain: region,
                    heads,
                    tail: None,
                });
            }
            (Graph::QuadOverLin, None) => {
                self.second_order = true;
                let twice = rules::mul(self.ir, two, args[0]);
                let heads = vec![rules::add(self.ir, t, args[1]), rules::sub(self.ir, t, args[1]), twice];
                self.rows.push(ConeRows::SecondOrder {
                    domain: region,
                    heads,
                    tail: None,
                });
            }
            (Graph::Sqrt, None) => {
                self.second_order = true;
                let twice = rules::mul(self.ir, two, t);
                let heads = vec![
                    rules::add(self.ir, args[0], one),
                    rules::sub(self.ir, args[0], one),
                    twice,
                ];
                self.rows.push(ConeRows::SecondOrder {
                    domain: region,
                    heads,
                    tail: None,
                });
            }
            (Graph::Inverse, None) => {
                self.second_order = true;
                let heads = vec![rules::add(self.ir, t, args[0]), rules::sub(self.ir, t, args[0]), two];
                self.rows.push(ConeRows::SecondOrder {
                    domain: region,
                    heads,
                    tail: None,
                });
            }
            (Graph::Exp, None) => {
                self.exponential = true;
                self.rows.push(ConeRows::Exponential {
                    domain: region,
                    xyz: [args[0], one, t],
                });
            }
            (Graph::Log, None) => {
                self.exponential = true;
                self.rows.push(ConeRows::Exponential {
                    domain: region,
                    xyz: [t, one, args[0]],
                });
            }
            (Graph::LogSumExp, Some((domain, b))) => {
                self.exponential = true;
                let u = self.auxiliary(domain, "u", Sign::Nonneg);
                let x = rules::sub(self.ir, b, t);
                self.rows.push(ConeRows::Exponential {
                    domain,
                    xyz: [x, one, u],
                });
                let sum = self.ir.fold(atoms::SUM, domain, u);
                let body = rules::sub(self.ir, one, sum);
                self.rows.push(ConeRows::Nonneg { domain: region, body });
            }
            (Graph::Quad, None) => {
                // `x'Px = ‖Fx‖²` with `F'F = P`, found from the data.
                self.second_order = true;
                let convex = own_curvature(self.ir, &self.facts, n).is_convex();
                let (p, t) = if convex {
                    (args[1], t)
                } else {
                    (rules::negated(self.ir, args[1]), rules::neg(self.ir, t))
                };
                let f = self.ir.apply(atoms::PSD_FACTOR, &[p]);
                let fx = rules::matmul(self.ir, f, args[0]);
                let shape = self.ir.shape(fx).to_vec();
                let (domain, at) = rules::plain_domain(self.ir, &shape);
                let entry = rules::entry(self.ir, fx, &at);
                let twice = rules::mul(self.ir, two, entry);
                let heads = vec![rules::add(self.ir, t, one), rules::sub(self.ir, t, one)];
                self.rows.push(ConeRows::SecondOrder {
                    domain: region,
                    heads,
                    tail: Some((domain, twice)),
                });
            }
            (Graph::Softplus, None) => {
                self.exponential = true;
                let (u, v) = (
                    self.auxiliary(region, "u", Sign::Nonneg),
                    self.auxiliary(region, "u", Sign::Nonneg),
                );
                let x = rules::sub(self.ir, args[0], t);
                let y = rules::neg(self.ir, t);
                self.rows.push(ConeRows::Exponential {
                    domain: region,
                    xyz: [x, one, u],
                });
                self.rows.push(ConeRows::Exponential {
                    domain: region,
                    xyz: [y, one, v],
                });
                let sum = rules::add(self.ir, u, v);
                let body = rules::sub(self.ir, one, sum);
                self.rows.push(ConeRows::Nonneg { domain: region, body });
            }
            _ => {
                return Err(NotConic {
                    node: n,
                    why: "its cone is not built yet".into(),
                });
            }
        }
        Ok(t)
    }
}

impl GraphBuilder for Conic<'_> {
    fn ir(&mut self) -> &mut Ir {
        self.ir
    }
    fn variable(&mut self, region: DomainId, sign: Sign) -> NodeId {
        self.auxiliary(region, "v", sign)
    }
    fn nonneg(&mut self, domain: DomainId, body: NodeId) {
        self.rows.push(ConeRows::Nonneg { domain, body });
    }
    fn second_order(&mut self, domain: DomainId, heads: Vec<NodeId>, tail: Option<(DomainId, NodeId)>) {
        self.second_order = true;
        self.rows.push(ConeRows::SecondOrder { domain, heads, tail });
    }
    fn exponential(&mut self, domain: DomainId, xyz: [NodeId; 3]) {
        self.exponential = true;
        self.rows.push(ConeRows::Exponential { domain, xyz });
    }
    fn power(&mut self, domain: DomainId, xyz: [NodeId; 3], a: NodeId) {
        self.exponential = true;
        self.rows.push(ConeRows::Power { domain, xyz, a });
    }
    fn semidefinite(&mut self, domain: DomainId, orders: Vec<usize>, blocks: Vec<Block>) {
        self.semidefinite = true;
        self.rows.push(ConeRows::Semidefinite {
            domain,
            orders,
            blocks,
            exact: false,
        });
    }
}

fn mono(rule: &MonoRule, facts: &[ArgFacts], k: usize) -> Mono {
    match rule {
        MonoRule::Always(list) => list.get(k).or(list.last()).copied().unwrap_or(Mono::Unknown),
        MonoRule::Of(f) => f(facts, k),
    }
}
