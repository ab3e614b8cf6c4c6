//! Derivatives on the structured IR: gradients, forward products, sparse first and second partials of a pattern.
//!
//! Invariant: knows the transposes of the structural nodes and nothing else; every slope comes from a row's
//! `derivative` column, and a loop is differentiated once, as a loop.
//! Source: Griewank and Walther, Evaluating Derivatives, 2nd ed., SIAM 2008, chapters 3 (modes) and 8 (second order).

use std::collections::BTreeMap;

use super::analysis::curvature::degree;
use super::inline::inline_maps;
use super::subst::Subst;
use crate::atoms::rules;
use crate::atoms::{ADD, DIV, MUL, NEG, SELECT, SUB, SUM, SUMSQ};
use crate::ir::atom::{DegreeRule, Derivative};
use crate::ir::{AtomRef, DomainId, InputId, InputKind, Ir, Node, NodeId, Pos};

/// A derivative was asked for through an atom that has none.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct NoDerivative {
    /// The node that applies it.
    pub node: NodeId,
    /// The atom.
    pub atom: &'static str,
    /// Its row's reason.
    pub reason: &'static str,
}

/// Derivative of a region scalar by one entry of a root array, at each instance of a region.
#[derive(Clone, Debug, PartialEq)]
pub struct Leaf {
    /// The region asked about, or a domain below it where the entry is read inside an inner fold.
    pub region: DomainId,
    /// A variable's input, or an array computed from variables.
    pub array: NodeId,
    /// Which entry, in `region`; empty for a scalar input.
    pub at: Vec<Pos>,
    /// The derivative, in `region` or above.
    pub value: NodeId,
}

/// An entry of a root array.
#[derive(Clone, Debug, PartialEq)]
pub struct Place {
    /// A variable's input, or an array that is affine in the variables.
    pub array: NodeId,
    /// Which entry; empty for a scalar input.
    pub at: Vec<Pos>,
}

/// Part of a Hessian: at each instance of `region`, `value` is added at (`row`, `col`), and if `mirror` holds also at
/// (`col`, `row`). Where a place lies in a computed array, the entry stands for a row of that array's Jacobian:
/// `H = Σ value · (J_row)' (J_col) [+ its transpose]`.
#[derive(Clone, Debug, PartialEq)]
pub struct Block {
    /// Where it is summed.
    pub region: DomainId,
    /// Row.
    pub row: Place,
    /// Column.
    pub col: Place,
    /// Adds to the transposed place too?
    pub mirror: bool,
    /// The second derivative, in `region` or above.
    pub value: NodeId,
}

/// The Hessian has no sparse pattern that pays; use [`hvp`].
#[derive(Clone, Debug, PartialEq)]
pub struct Unstructured {
    /// The node that couples everything or bends a computed array.
    pub node: NodeId,
    /// Why, as a clause.
    pub why: String,
}

/// Second partials of a root scalar, or why there are none.
#[derive(Clone, Debug, PartialEq)]
pub enum Second {
    /// Blocks that sum to the Hessian.
    Blocks(Vec<Block>),
    /// No structure.
    Unstructured(Unstructured),
}

/// Which nodes depend on some inputs; grows with the arena.
pub struct Depends {
    on: Vec<bool>,
    flags: Vec<bool>,
}

impl Depends {
    /// On the given inputs.
    pub fn on(ir: &Ir, inputs: &[InputId]) -> Depends {
        let mut on = vec![false; ir.inputs().len()];
        for i in inputs {
            on[i.index()] = true;
        }
        Depends { on, flags: vec![] }
    }
    /// On any decision variable.
    pub fn on_vars(ir: &Ir) -> Depends {
        let on = ir.inputs().iter().map(|i| matches!(i.kind, InputKind::Var)).collect();
        Depends { on, flags: vec![] }
    }
    /// Does the node?
    pub fn has(&mut self, ir: &Ir, n: NodeId) -> bool {
        while self.flags.len() <= n.index() {
            let m = NodeId(self.flags.len() as u32);
            let mut d = match ir.node(m) {
                Node::Input(i) => self.on.get(i.index()).copied().unwrap_or(false),
                _ => false,
            };
            // Arguments precede their users; a filter may be younger, and never depends on a variable.
            ir.for_each_arg(m, |a| d |= self.flags.get(a.index()).copied().unwrap_or(false));
            self.flags.push(d);
        }
        self.flags[n.index()]
    }
}

// ---- reverse mode ----------------------------------------------------------------------------------------------------

/// Cotangents on their way down from one scalar.
///
/// A contribution is a value with its *nominal region*: it counts once for each instance of that region, whatever
/// region the value itself happens to need. Contributions from below a node's region are summed up to it.
struct Reverse<'a> {
    ir: &'a mut Ir,
    depends: &'a mut Depends,
    /// Nodes above this region are taken as inside it: its instances are not summed over.
    base: DomainId,
    pending: BTreeMap<NodeId, Vec<(DomainId, NodeId)>>,
    /// Cotangents that arrived at inputs.
    inputs: BTreeMap<NodeId, NodeId>,
    /// Regions whose loops had to be repeated inside `base` because they lie above it.
    repeated: Vec<DomainId>,
    /// `Some`: stop at entries of arrays and list them. `None`: scatter and go on.
    leaves: Option<Vec<Leaf>>,
}

impl Reverse<'_> {
    fn effective(&self, n: NodeId) -> DomainId {
        let r = self.ir.region(n);
        if self.ir.encloses(self.base, r) { r } else { self.base }
    }

    fn give(&mut self, n: NodeId, region: DomainId, value: NodeId) {
        if self.depends.has(self.ir, n) && !rules::is(self.ir, value, 0.0) {
            self.pending.entry(n).or_default().push((region, value));
        }
    }

    /// Sums contributions up to `to`, deepest domains first, so that one domain is folded once.
    fn collect(&mut self, parts: Vec<(DomainId, NodeId)>, to: DomainId) -> NodeId {
        let mut by: BTreeMap<(usize, DomainId), NodeId> = BTreeMap::new();
        let put = |ir: &mut Ir, by: &mut BTreeMap<(usize, DomainId), NodeId>, d: DomainId, v: NodeId| {
            let key = (ir.chain(d).len(), d);
            let sum = match by.get(&key) {
                Some(&s) => rules::plus(ir, s, v),
                None => v,
            };
            by.insert(key, sum);
        };
        for (d, v) in parts {
            put(self.ir, &mut by, d, v);
        }
        while let Some(((_, d), v)) = by.pop_last() {
            if d == to {
                return v;
            }
            let up = self.ir.domain(d).parent.unwrap_or(DomainId::ROOT);
            let v = self.ir.fold(SUM, d, v);
            put(self.ir, &mut by, up, v);
        }
        self.ir.constant(0.0)
    }

    fn run(&mut self) -> Result<(), NoDerivative> {
        while let Some((n, parts)) = self.pending.pop_last() {
            let region = self.effective(n);
            let ct = self.collect(parts, region);
            if rules::is(self.ir, ct, 0.0) {
                continue;
            }
            let previous = self.ir.origins(n).first().copied();
            let previous = self.ir.set_origin(previous);
            let done = self.step(n, region, ct);
            self.ir.set_origin(previous);
            if done? {
                self.inputs.insert(n, ct);
            }
        }
        Ok(())
    }

    /// Passes the cotangent `ct` of `n` on; true if `n` is an input that keeps it.
    fn step(&mut self, n: NodeId, region: DomainId, ct: NodeId) -> Result<bool, NoDerivative> {
        match self.ir.node(n).clone() {
            Node::Const(_) | Node::Index(_) => {}
            Node::Input(_) => return Ok(self.input(n, region, ct)),
            Node::Apply { atom, args } => self.apply(n, atom, &args, region, ct)?,
            Node::Gather { array, at } => {
                if let Some(leaves) = &mut self.leaves {
                    leaves.push(Leaf {
                        region,
                        array,
                        at: at.to_vec(),
                        value: ct,
                    });
                } else {
                    let shape = self.ir.shape(array).to_vec();
                    let s = scatter_or_map(self.ir, region, shape, at.to_vec(), ct);
                    self.give(array, DomainId::ROOT, s);
                }
            }
            Node::Fold { atom, domain, body } => {
                let parent = self.ir.domain(domain).parent.unwrap_or(DomainId::ROOT);
                let (domain, body) = if parent == region {
                    (domain, body)
                } else {
                    self.repeated.push(parent);
                    let (mut s, clone) = Subst::nested(self.ir, domain, region);
                    (clone, s.node(self.ir, body))
                };
                let slope = slope(self.ir, atom, domain, body, n)?;
                let v = chain(self.ir, ct, slope);
                self.give(body, domain, v);
            }
            Node::Map { domain, body } => {
                let own = self.ir.domain(domain).indices.clone();
                let v = rules::entry(self.ir, ct, &own);
                self.give(body, domain, v);
            }
            Node::Scatter { domain, at, body, .. } => {
                let v = self.ir.gather(ct, at.to_vec());
                self.give(body, domain, v);
            }
        }
        Ok(false)
    }

    fn input(&mut self, n: NodeId, region: DomainId, ct: NodeId) -> bool {
        match &mut self.leaves {
            None => true,
            Some(leaves) => {
                leaves.push(Leaf {
                    region,
                    array: n,
                    at: vec![],
                    value: ct,
                });
                false
            }
        }
    }

    fn apply(
        &mut self,
        n: NodeId,
        atom: AtomRef,
        args: &[NodeId],
        region: DomainId,
        ct: NodeId,
    ) -> Result<(), NoDerivative> {
        match atom.derivative {
            Derivative::Zero => {}
            Derivative::None(reason) => return Err(no_derivative(n, atom, reason)),
            Derivative::Slope(_) => return Err(no_derivative(n, atom, "a reduction applied without a domain")),
            // A branch that is not taken gets an exact zero, whatever its slope is there.
            Derivative::Partials(_) if atom == SELECT => {
                let zero = self.ir.constant(0.0);
                for (k, a) in args.iter().enumerate().skip(1) {
                    if self.depends.has(self.ir, *a) {
                        let branches = if k == 1 {
                            [args[0], ct, zero]
                        } else {
                            [args[0], zero, ct]
                        };
                        let v = self.ir.apply(SELECT, &branches);
                        self.give(*a, region, v);
                    }
                }
            }
            Derivative::Partials(f) => {
                let partials = f(self.ir, args, n);
                for (a, p) in args.iter().zip(partials) {
                    if self.depends.has(self.ir, *a) {
                        let v = chain(self.ir, ct, p);
                        self.give(*a, region, v);
                    }
                }
            }
            Derivative::Rule { vjp, .. } => {
                let wanted: Vec<bool> = args.iter().map(|a| self.depends.has(self.ir, *a)).collect();
                if self.leaves.is_none() {
                    for (a, v) in args.iter().zip(vjp(self.ir, args, n, ct, &wanted)) {
                        if let Some(v) = v {
                            self.give(*a, DomainId::ROOT, v);
                        }
                    }
                    return Ok(());
                }
                // An array atom with a scalar result inside a pattern: every entry of its arguments is a leaf.
                self.repeated.push(DomainId::ROOT);
                let one = self.ir.constant(1.0);
                for (a, v) in args.iter().zip(vjp(self.ir, args, n, one, &wanted)) {
                    let Some(v) = v else { continue };
                    let shape = self.ir.shape(*a).to_vec();
                    if shape.is_empty() {
                        let v = chain(self.ir, ct, v);
                        self.give(*a, region, v);
                        continue;
                    }
                    let sets = shape.iter().map(|n| crate::base::value::IndexSet::upto(*n));
                    let names = ["i", "j", "k", "l"].iter().cycle();
                    let named: Vec<_> = names.map(|s| s.to_string()).zip(sets).collect();
                    let (domain, own) = self.ir.add_domain(region, named);
                    let g = rules::entry(self.ir, v, &own);
                    let value = rules::mul(self.ir, ct, g);
                    if let Some(leaves) = &mut self.leaves {
                        leaves.push(Leaf {
                            region: domain,
                            array: *a,
                            at: own.into_iter().map(Pos::index).collect(),
                            value,
                        });
                    }
                }
            }
        }
        Ok(())
    }
}

fn no_derivative(node: NodeId, atom: AtomRef, reason: &'static str) -> NoDerivative {
    NoDerivative {
        node,
        atom: atom.0.name,
        reason,
    }
}

/// `ct · slope`; where `ct` is a branch that may not be taken, the product is formed inside the choice, so that an infinite
/// slope of the other branch does not come through as `0 · inf`.
fn chain(ir: &mut Ir, ct: NodeId, slope: NodeId) -> NodeId {
    if let Node::Apply { atom, args } = ir.node(ct).clone()
        && atom == SELECT
    {
        let (c, a, b) = (args[0], args[1], args[2]);
        if rules::is(ir, b, 0.0) {
            let v = chain(ir, a, slope);
            return ir.apply(SELECT, &[c, v, b]);
        }
        if rules::is(ir, a, 0.0) {
            let v = chain(ir, b, slope);
            return ir.apply(SELECT, &[c, a, v]);
        }
    }
    rules::mul(ir, ct, slope)
}

/// Derivative of a fold by its body, in the fold's domain.
fn slope(ir: &mut Ir, atom: AtomRef, domain: DomainId, body: NodeId, y: NodeId) -> Result<NodeId, NoDerivative> {
    match atom.derivative {
        Derivative::Slope(f) => Ok(f(ir, domain, body, y)),
        Derivative::Zero => Ok(ir.constant(0.0)),
        Derivative::None(reason) => Err(no_derivative(y, atom, reason)),
        Derivative::Partials(_) | Derivative::Rule { .. } => Err(no_derivative(y, atom, "not a reduction")),
    }
}

/// The array of `body` scattered to `at`; a [`Node::Map`] where each entry is written once, in order.
fn scatter_or_map(ir: &mut Ir, domain: DomainId, shape: Vec<usize>, at: Vec<Pos>, body: NodeId) -> NodeId {
    if domain == DomainId::ROOT {
        // One instance: a domain of one element, so that a scatter always has a loop of its own.
        let (one, _) = rules::plain_domain(ir, &[1]);
        return ir.scatter(one, shape, at, body);
    }
    let d = ir.domain(domain);
    let whole = d.parent == Some(DomainId::ROOT)
        && d.filter.is_none()
        && at.len() == d.indices.len()
        && at.iter().zip(&d.indices).all(|(p, i)| p.as_index() == Some(*i))
        && ir.domain_shape(domain) == shape;
    if whole {
        ir.map(domain, body)
    } else {
        ir.scatter(domain, shape, at, body)
    }
}

/// Gradient of a root scalar by whole inputs: for each of `wrt`, an array of its shape (a scalar for a scalar input), or
/// `None` where the derivative is identically zero.
///
/// # Errors
/// If an atom on the way has no derivative.
pub fn gradient(ir: &mut Ir, root: NodeId, wrt: &[InputId]) -> Result<Vec<Option<NodeId>>, NoDerivative> {
    let mut depends = Depends::on(ir, wrt);
    let one = ir.constant(1.0);
    let mut r = Reverse {
        ir,
        depends: &mut depends,
        base: DomainId::ROOT,
        pending: BTreeMap::new(),
        inputs: BTreeMap::new(),
        repeated: vec![],
        leaves: None,
    };
    r.give(root, DomainId::ROOT, one);
    r.run()?;
    let inputs = r.inputs;
    Ok(wrt
        .iter()
        .map(|i| {
            let n = ir.read(*i);
            inputs.get(&n).copied()
        })
        .collect())
}

/// The vector-Jacobian product of an array at the root: the gradient of `Σ ct · array` for a cotangent `ct` of its
/// shape.
///
/// # Errors
/// If an atom on the way has no derivative.
pub fn vjp(ir: &mut Ir, array: NodeId, ct: NodeId, wrt: &[InputId]) -> Result<Vec<Option<NodeId>>, NoDerivative> {
    let root = rules::inner(ir, array, ct);
    gradient(ir, root, wrt)
}

// ---- forward mode ----------------------------------------------------------------------------------------------------

/// Forward-mode tangents of `outputs`, given tangents of inputs (nodes of the inputs' shapes); `None` is zero.
///
/// # Errors
/// If an atom on the way has no derivative.
pub fn jvp(
    ir: &mut Ir,
    outputs: &[NodeId],
    tangents: &BTreeMap<InputId, NodeId>,
) -> Result<Vec<Option<NodeId>>, NoDerivative> {
    let inputs: Vec<InputId> = tangents.keys().copied().collect();
    let mut depends = Depends::on(ir, &inputs);
    let mut t: BTreeMap<NodeId, NodeId> = BTreeMap::new();
    for n in ir.reachable(outputs) {
        if !depends.has(ir, n) {
            continue;
        }
        let origin = ir.origins(n).first().copied();
        let previous = ir.set_origin(origin);
        let tangent = forward(ir, n, tangents, &t);
        ir.set_origin(previous);
        if let Some(v) = tangent?
            && !rules::is(ir, v, 0.0)
        {
            t.insert(n, v);
        }
    }
    Ok(outputs.iter().map(|o| t.get(o).copied()).collect())
}

fn forward(
    ir: &mut Ir,
    n: NodeId,
    seeds: &BTreeMap<InputId, NodeId>,
    t: &BTreeMap<NodeId, NodeId>,
) -> Result<Option<NodeId>, NoDerivative> {
    Ok(match ir.node(n).clone() {
        Node::Const(_) | Node::Index(_) => None,
        Node::Input(i) => seeds.get(&i).copied(),
        Node::Gather { array, at } => t.get(&array).map(|a| ir.gather(*a, at.to_vec())),
        Node::Map { domain, body } => t.get(&body).map(|b| ir.map(domain, *b)),
        Node::Scatter {
            domain,
            shape,
            at,
            body,
        } => t
            .get(&body)
            .map(|b| scatter_or_map(ir, domain, shape.to_vec(), at.to_vec(), *b)),
        Node::Fold { atom, domain, body } => match t.get(&body) {
            None => None,
            // A linear reduction of the tangents is the tangent of the reduction.
            Some(&b) if matches!(atom.degree, DegreeRule::Linear) => Some(ir.fold(atom, domain, b)),
            Some(&b) => {
                let s = slope(ir, atom, domain, body, n)?;
                let v = rules::mul(ir, s, b);
                (!rules::is(ir, v, 0.0)).then(|| ir.fold(SUM, domain, v))
            }
        },
        Node::Apply { atom, args } => match atom.derivative {
            Derivative::Zero => None,
            Derivative::None(reason) => return Err(no_derivative(n, atom, reason)),
            Derivative::Slope(_) => return Err(no_derivative(n, atom, "a reduction applied without a domain")),
            Derivative::Rule { jvp, .. } => {
                let tangents: Vec<Option<NodeId>> = args.iter().map(|a| t.get(a).copied()).collect();
                jvp(ir, &args, &tangents, n)
            }
            Derivative::Partials(_) if atom == SELECT => {
                let zero = ir.constant(0.0);
                let tangents: Vec<Option<NodeId>> = args.iter().map(|a| t.get(a).copied()).collect();
                (tangents[1].is_some() || tangents[2].is_some()).then(|| {
                    ir.apply(
                        SELECT,
                        &[args[0], tangents[1].unwrap_or(zero), tangents[2].unwrap_or(zero)],
                    )
                })
            }
            Derivative::Partials(f) => {
                let partials = f(ir, &args, n);
                let mut sum = None;
                for (a, p) in args.iter().zip(partials) {
                    if let Some(&v) = t.get(a) {
                        let v = rules::mul(ir, p, v);
                        if !rules::is(ir, v, 0.0) {
                            sum = rules::sum_opt(ir, sum, Some(v));
                        }
                    }
                }
                sum
            }
        },
    })
}

/// Hessian-vector product of a root scalar: forward over reverse. `seeds[k]` is the direction's part for `wrt[k]`.
///
/// # Errors
/// If an atom on the way has no derivative.
pub fn hvp(ir: &mut Ir, root: NodeId, wrt: &[InputId], seeds: &[NodeId]) -> Result<Vec<Option<NodeId>>, NoDerivative> {
    let gradient = gradient(ir, root, wrt)?;
    let tangents: BTreeMap<InputId, NodeId> = wrt.iter().copied().zip(seeds.iter().copied()).collect();
    let outputs: Vec<NodeId> = gradient.iter().flatten().copied().collect();
    let mut products = jvp(ir, &outputs, &tangents)?.into_iter();
    Ok(gradient
        .into_iter()
        .map(|g| g.and_then(|_| products.next().flatten()))
        .collect())
}

// ---- patterns --------------------------------------------------------------------------------------------------------

/// Derivative of a scalar in `region` (or above) by every entry of a root array it reads, once per pattern.
///
/// Maps are inlined first, so an array is a variable's input, an array atom, or a scatter; a leaf read inside an inner
/// fold has that fold's domain (or a copy of it) as region.
///
/// # Errors
/// If an atom on the way has no derivative.
pub fn partials(ir: &mut Ir, body: NodeId, region: DomainId) -> Result<Vec<Leaf>, NoDerivative> {
    let body = inline_maps(ir, body);
    partials_by(ir, &mut Depends::on_vars(ir), body, region).map(|p| p.0)
}

/// Leaves in the order of reading, and the regions above `region` whose loops they repeat inside it.
fn partials_by(
    ir: &mut Ir,
    depends: &mut Depends,
    body: NodeId,
    region: DomainId,
) -> Result<(Vec<Leaf>, Vec<DomainId>), NoDerivative> {
    let one = ir.constant(1.0);
    let mut r = Reverse {
        ir,
        depends,
        base: region,
        pending: BTreeMap::new(),
        inputs: BTreeMap::new(),
        repeated: vec![],
        leaves: Some(vec![]),
    };
    r.give(body, region, one);
    r.run()?;
    let (leaves, repeated) = (r.leaves.unwrap_or_default(), r.repeated);
    let mut merged: Vec<Leaf> = vec![];
    // Leaves arrive from the last node to the first; users expect the order of reading.
    for l in leaves.into_iter().rev() {
        match merged
            .iter_mut()
            .find(|m| m.region == l.region && m.array == l.array && m.at == l.at)
        {
            Some(m) => m.value = rules::add(ir, m.value, l.value),
            None => merged.push(l),
        }
    }
    Ok((merged, repeated))
}

/// A term of a sum: `weight · value` summed over all instances of `region`.
struct Term {
    region: DomainId,
    weight: NodeId,
    value: NodeId,
}

/// Takes a root scalar apart into weighted sums of region scalars that are not sums themselves.
fn terms(ir: &mut Ir, depends: &mut Depends, root: NodeId) -> Result<Vec<Term>, NoDerivative> {
    let one = ir.constant(1.0);
    let mut out = vec![];
    let mut stack = vec![(DomainId::ROOT, one, root)];
    while let Some((region, weight, n)) = stack.pop() {
        if !depends.has(ir, n) {
            continue;
        }
        match ir.node(n).clone() {
            Node::Apply { atom, args } if atom == ADD => {
                args.iter().rev().for_each(|a| stack.push((region, weight, *a)));
            }
            Node::Apply { atom, args } if atom == SUB && args.len() == 2 => {
                let minus = rules::neg(ir, weight);
                stack.push((region, minus, args[1]));
                stack.push((region, weight, args[0]));
            }
            Node::Apply { atom, args } if atom == NEG => {
                let minus = rules::neg(ir, weight);
                stack.push((region, minus, args[0]));
            }
            Node::Apply { atom, args } if atom == MUL && args.len() == 2 && !depends.has(ir, args[0]) => {
                let w = rules::mul(ir, weight, args[0]);
                stack.push((region, w, args[1]));
            }
            Node::Apply { atom, args } if atom == MUL && args.len() == 2 && !depends.has(ir, args[1]) => {
                let w = rules::mul(ir, weight, args[1]);
                stack.push((region, w, args[0]));
            }
            Node::Apply { atom, args } if atom == DIV && args.len() == 2 && !depends.has(ir, args[1]) => {
                let w = rules::div(ir, weight, args[1]);
                stack.push((region, w, args[0]));
            }
            Node::Fold { atom, domain, body } if atom == SUMSQ || matches!(atom.degree, DegreeRule::Linear) => {
                let parent = ir.domain(domain).parent.unwrap_or(DomainId::ROOT);
                let (domain, body) = if parent == region {
                    (domain, body)
                } else {
                    let (mut s, clone) = Subst::nested(ir, domain, region);
                    (clone, s.node(ir, body))
                };
                if atom == SUMSQ {
                    let sq = rules::square(ir, body);
                    stack.push((domain, weight, sq));
                } else {
                    let s = slope(ir, atom, domain, body, n)?;
                    let w = rules::mul(ir, weight, s);
                    stack.push((domain, w, body));
                }
            }
            _ => out.push(Term {
                region,
                weight,
                value: n,
            }),
        }
    }
    Ok(out)
}

/// Hessian of a root scalar as blocks, once per pattern.
///
/// Sums, means and sums of squares (nested, weighted, filtered) are taken apart; inner folds inside a pattern give
/// blocks over pairs of their instances. [`Second::Unstructured`] where a function of the root couples all instances of
/// a loop (a norm, a log-sum-exp, a function of a sum), or where a computed array is not affine in the variables.
///
/// # Errors
/// If an atom on the way has no derivative.
pub fn second_partials(ir: &mut Ir, root: NodeId) -> Result<Second, NoDerivative> {
    let root = inline_maps(ir, root);
    let mut depends = Depends::on_vars(ir);
    let mut blocks: Vec<Block> = vec![];
    for term in terms(ir, &mut depends, root)? {
        if let Some(u) = term_blocks(ir, &mut depends, &term, &mut blocks)? {
            return Ok(Second::Unstructured(u));
        }
    }
    Ok(Second::Blocks(blocks))
}

/// Adds the blocks of one term, or says why it has none.
fn term_blocks(
    ir: &mut Ir,
    depends: &mut Depends,
    term: &Term,
    blocks: &mut Vec<Block>,
) -> Result<Option<Unstructured>, NoDerivative> {
    let bent = |ir: &Ir, leaves: &[Leaf]| {
        leaves
            .iter()
            .find(|l| !ir.is_var(l.array) && degree(ir, l.array) > 1)
            .map(|l| Unstructured {
                node: l.array,
                why: "a computed array in it is not affine in the variables".into(),
            })
    };
    let coupled = || Unstructured {
        node: term.value,
        why: "it couples all instances of a loop".into(),
    };
    // A loop of a region above the term's runs over everything for each of the term's instances.
    let above = |ir: &Ir, repeated: &[DomainId]| {
        repeated
            .iter()
            .any(|p| *p != term.region && ir.encloses(*p, term.region))
    };
    let (leaves, repeated) = partials_by(ir, depends, term.value, term.region)?;
    if let Some(u) = bent(ir, &leaves) {
        return Ok(Some(u));
    }
    let curved: Vec<usize> = (0..leaves.len())
        .filter(|k| depends.has(ir, leaves[*k].value))
        .collect();
    if !curved.is_empty() && above(ir, &repeated) {
        return Ok(Some(coupled()));
    }
    let mut seen: Vec<(usize, usize)> = vec![];
    for k in curved {
        let a = &leaves[k];
        let (seconds, repeated) = partials_by(ir, depends, a.value, a.region)?;
        if let Some(u) = bent(ir, &seconds) {
            return Ok(Some(u));
        }
        if above(ir, &repeated) {
            return Ok(Some(coupled()));
        }
        for b in seconds {
            let same = |m: &Leaf| m.array == b.array && m.at == b.at && b.region == ir.deeper(a.region, m.region);
            let mirror = match leaves.iter().position(same) {
                // Pairs of instances of an inner loop, both ways round; of all instances there are too many.
                None if term.region == DomainId::ROOT && b.region != a.region => return Ok(Some(coupled())),
                None => false,
                Some(m) => {
                    let pair = (k.min(m), k.max(m));
                    if m != k && seen.contains(&pair) {
                        continue;
                    }
                    seen.push(pair);
                    m != k
                }
            };
            let value = rules::mul(ir, term.weight, b.value);
            push_block(ir, blocks, a, &b, mirror, value);
        }
    }
    Ok(None)
}

fn push_block(ir: &mut Ir, blocks: &mut Vec<Block>, a: &Leaf, b: &Leaf, mirror: bool, value: NodeId) {
    let place = |l: &Leaf| Place {
        array: l.array,
        at: l.at.clone(),
    };
    let (row, col, region) = (place(a), place(b), b.region);
    match blocks
        .iter_mut()
        .find(|k| k.region == region && k.row == row && k.col == col && k.mirror == mirror)
    {
        Some(k) => k.value = rules::add(ir, k.value, value),
        None => blocks.push(Block {
            region,
            row,
            col,
            mirror,
            value,
        }),
    }
}
