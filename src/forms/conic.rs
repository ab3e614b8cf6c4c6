//! Convex problems as cone programs: epigraphs and hypographs from the atoms' graph column, inside the index structure.
//!
//! Invariant: the cone program is a program of the parameters; auxiliary variables live on the region of what they stand
//! for, and quadratic terms keep their residuals (`P` is diagonal on them), so no normal equations are formed.
//! Source: Grant and Boyd, Graph implementations for nonsmooth convex programs, 2008.

use std::collections::HashMap;
use std::sync::Arc;

use ravine_linalg::Csr;

use super::affine::{Builder, HessianPlan, Program, RowsPlan, chain_positions};
use super::sparse::assemble;
use super::terms::{self, Part, Term};
use crate::atoms::rules;
use crate::atoms::{ADD, DIV, MUL, NEG, SELECT, SUB, SUM};
use crate::base::Tensor;
use crate::exec::Fault;
use crate::ir::atom::{Graph, MonoRule};
use crate::ir::{
    AtomRef, Curvature, DomainId, Input, InputId, InputKind, Ir, Mono, Node, NodeId, Problem, Sense, Sides, Sign,
};
use crate::passes::analysis::curvature::FactsTable;
use crate::passes::derive::{self, Depends, NoDerivative, Place, Second};

/// Why a problem has no conic form.
#[derive(Clone, Debug, PartialEq)]
pub struct NoForm {
    /// The expression that stands in the way.
    pub node: Option<NodeId>,
    /// One clause.
    pub why: String,
}

impl From<NoDerivative> for NoForm {
    fn from(e: NoDerivative) -> Self {
        NoForm {
            node: Some(e.node),
            why: format!("`{}` has no derivative: {}", e.atom, e.reason),
        }
    }
}

/// Which side of a user's constraint a row is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Side {
    /// `e1 - e2 <= 0`.
    Le,
    /// `e2 - e1 <= 0` of `e1 >= e2`.
    Ge,
    /// `e1 - e2 == 0`.
    Eq,
}

/// Where a family of rows comes from.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Origin {
    /// A side of a constraint, by number.
    Constraint(usize, Side),
    /// Ties an auxiliary variable.
    Link,
}

struct Pending {
    domain: DomainId,
    node: NodeId,
    zero: bool,
    origin: Origin,
}

struct PendingCone {
    domain: DomainId,
    exp: bool,
    parts: Vec<(DomainId, NodeId)>,
}

struct Linear {
    plan: RowsPlan,
    zero: bool,
    origin: Origin,
}

struct ConeRows {
    domain: DomainId,
    exp: bool,
    parts: Vec<RowsPlan>,
}

/// The kinds of cones in use, for the name of the class.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Kinds {
    /// A quadratic objective.
    pub quadratic: bool,
    /// Second-order cones.
    pub second_order: bool,
    /// Exponential cones.
    pub exponential: bool,
}

/// The compiled structure of a cone program.
pub struct ConicProgram {
    program: Program,
    vars: Vec<(InputId, usize)>,
    linear: RowsPlan,
    quadratic: Option<HessianPlan>,
    rows: Vec<Linear>,
    cones: Vec<ConeRows>,
    bounds: Vec<(Option<usize>, Option<usize>)>,
    /// What it consists of.
    pub kinds: Kinds,
}

/// A factor of the product cone, over consecutive rows.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Cone {
    /// `s = 0`.
    Zero(usize),
    /// `s >= 0`.
    Nonneg(usize),
    /// `s[0] >= |s[1..]|`.
    SecondOrder(usize),
    /// `s[1] exp(s[0] / s[1]) <= s[2]`, `s[1] > 0`.
    Exp,
}

/// A bound cone program: minimize `x' P x / 2 + q' x + offset` subject to `A x + s = b`, `s` in the cones. The first
/// columns are the user's variables.
#[derive(Clone, Debug)]
pub struct BoundConic {
    /// Lower triangle.
    pub p: Csr,
    /// Linear part.
    pub q: Vec<f64>,
    /// Constant part.
    pub offset: f64,
    /// Matrix.
    pub a: Csr,
    /// Right side.
    pub b: Vec<f64>,
    /// Cones in the order of the rows.
    pub cones: Vec<Cone>,
    /// For each family of linear rows: its origin and the form's row of each instance (`None`: no variable in it).
    pub rows: Vec<(Origin, Vec<Option<usize>>)>,
    /// The row of each variable's lower bound.
    pub lower: Vec<Option<usize>>,
    /// The row of each variable's upper bound.
    pub upper: Vec<Option<usize>>,
    /// A row without variables that does not hold: family, instance and violation.
    pub broken: Option<(usize, usize, f64)>,
    /// Bounds by variable.
    pub bounds: (Vec<f64>, Vec<f64>),
    /// Number of the user's variables.
    pub n: usize,
    /// Sign of the user's sense: 1 to minimize, -1 to maximize.
    pub sense: f64,
}

struct Canon<'a> {
    ir: &'a mut Ir,
    facts: &'a FactsTable,
    rows: Vec<Pending>,
    cones: Vec<PendingCone>,
    aux: Vec<(InputId, DomainId)>,
    memo: HashMap<(NodeId, bool), NodeId>,
    kinds: Kinds,
}

impl Canon<'_> {
    /// A new variable on each instance of a domain.
    fn variable(&mut self, domain: DomainId) -> NodeId {
        let chain = self.ir.chain(domain);
        let dims = chain
            .iter()
            .flat_map(|d| self.ir.domain(*d).indices.clone())
            .map(|i| self.ir.index(i).set.clone())
            .collect();
        let input = self.ir.add_input(Input {
            name: format!("·{}", self.aux.len()),
            kind: InputKind::Var,
            dims,
            sparse: false,
            sign: Sign::Unknown,
        });
        self.aux.push((input, domain));
        let array = self.ir.read(input);
        let at = chain_positions(self.ir, domain);
        self.ir.gather(array, at)
    }
    fn below_zero(&mut self, domain: DomainId, node: NodeId) {
        self.rows.push(Pending {
            domain,
            node,
            zero: false,
            origin: Origin::Link,
        });
    }
    /// `a <= b` on each instance of a domain.
    fn le(&mut self, domain: DomainId, a: NodeId, b: NodeId) {
        let d = rules::sub(self.ir, a, b);
        self.below_zero(domain, d);
    }
    fn second_order(&mut self, domain: DomainId, parts: Vec<(DomainId, NodeId)>) {
        self.kinds.second_order = true;
        self.cones.push(PendingCone {
            domain,
            exp: false,
            parts,
        });
    }
    /// `tail · tail <= u · v` with `u, v >= 0`.
    fn rotated(&mut self, domain: DomainId, u: NodeId, v: NodeId, tail: (DomainId, NodeId)) {
        let plus = rules::add(self.ir, u, v);
        let plus = rules::times(self.ir, 0.5, plus);
        let minus = rules::sub(self.ir, u, v);
        let minus = rules::times(self.ir, 0.5, minus);
        self.second_order(domain, vec![(domain, plus), (domain, minus), tail]);
    }
    fn exponential(&mut self, domain: DomainId, a: NodeId, b: NodeId, c: NodeId) {
        self.kinds.exponential = true;
        self.cones.push(PendingCone {
            domain,
            exp: true,
            parts: vec![(domain, a), (domain, b), (domain, c)],
        });
    }

    /// An affine stand-in that is at least (`up`) or at most the node, and may be pressed against it.
    fn graph(&mut self, n: NodeId, up: bool) -> Result<NodeId, NoForm> {
        if self.facts.curvature(n).is_affine() {
            return Ok(n);
        }
        if let Some(v) = self.memo.get(&(n, up)) {
            return Ok(*v);
        }
        let curvature = self.facts.curvature(n);
        let fits = if up {
            curvature.is_convex()
        } else {
            curvature.is_concave()
        };
        if !fits {
            return Err(NoForm {
                node: Some(n),
                why: format!(
                    "it is {}, where {} is needed",
                    curvature.word(),
                    if up { "convex" } else { "concave" }
                ),
            });
        }
        let v = match self.ir.node(n).clone() {
            Node::Apply { atom, args } => self.apply(n, atom, &args, up)?,
            Node::Fold { atom, domain, body } => self.fold(n, atom, domain, body, up)?,
            _ => {
                return Err(NoForm {
                    node: Some(n),
                    why: "entries of a computed array that is not affine".into(),
                });
            }
        };
        self.memo.insert((n, up), v);
        Ok(v)
    }

    /// The stand-in for argument `k` of an atom whose own curvature bends `up`.
    fn argument(&mut self, row: AtomRef, args: &[NodeId], k: usize, up: bool) -> Result<NodeId, NoForm> {
        let a = args[k];
        if self.facts.curvature(a).is_affine() {
            return Ok(a);
        }
        let mono = match row.monotone {
            MonoRule::Always(list) => list.get(k).or(list.last()).copied().unwrap_or(Mono::Unknown),
            MonoRule::Of(_) => Mono::Unknown,
        };
        let sign = self.facts.sign(a);
        let along = match mono {
            Mono::Increasing => up,
            Mono::Decreasing => !up,
            Mono::AwayFromZero if sign.is_nonneg() => up,
            Mono::AwayFromZero if sign.is_nonpos() => !up,
            // Known to be of the needed curvature, so one of the two directions fits.
            _ => self.facts.curvature(a) == Curvature::Convex,
        };
        self.graph(a, along)
    }

    fn apply(&mut self, n: NodeId, atom: AtomRef, args: &[NodeId], up: bool) -> Result<NodeId, NoForm> {
        if atom == ADD || atom == SUB || atom == NEG {
            let mut parts = vec![];
            for (k, a) in args.iter().enumerate() {
                let flip = atom == NEG || (atom == SUB && k > 0);
                parts.push(self.graph(*a, up != flip)?);
            }
            return Ok(self.ir.apply(atom, &parts));
        }
        if (atom == MUL || atom == DIV) && args.len() == 2 {
            let (c, e) = if self.facts.has_var(args[1]) { (0, 1) } else { (1, 0) };
            if !self.facts.has_var(args[c]) {
                let flip = self.facts.sign(args[c]).is_nonpos();
                let mut parts = [args[0], args[1]];
                parts[e] = self.graph(args[e], up != flip)?;
                return Ok(self.ir.apply(atom, &parts));
            }
        }
        if atom == SELECT && !self.facts.has_var(args[0]) {
            let a = self.graph(args[1], up)?;
            let b = self.graph(args[2], up)?;
            return Ok(self.ir.apply(SELECT, &[args[0], a, b]));
        }
        let region = self.ir.region(n);
        let arg = |c: &mut Self, k: usize| c.argument(atom, args, k, up);
        let one = self.ir.constant(1.0);
        let refused = |why: &str| {
            Err(NoForm {
                node: Some(n),
                why: why.into(),
            })
        };
        Ok(match atom.graph {
            Graph::MaxOf(list) | Graph::MinOf(list) => {
                let t = self.variable(region);
                for (k, factor) in list {
                    let v = if *factor == 0.0 {
                        self.ir.constant(0.0)
                    } else {
                        let a = arg(self, *k)?;
                        rules::times(self.ir, *factor, a)
                    };
                    if matches!(atom.graph, Graph::MaxOf(_)) {
                        self.le(region, v, t);
                    } else {
                        self.le(region, t, v);
                    }
                }
                t
            }
            Graph::Square => {
                let a = arg(self, 0)?;
                let t = self.variable(region);
                self.rotated(region, t, one, (region, a));
                t
            }
            Graph::QuadOverLin => {
                let a = arg(self, 0)?;
                let b = arg(self, 1)?;
                let t = self.variable(region);
                self.rotated(region, b, t, (region, a));
                t
            }
            Graph::Sqrt => {
                let a = arg(self, 0)?;
                let t = self.variable(region);
                self.rotated(region, a, one, (region, t));
                t
            }
            Graph::Inverse => {
                let a = arg(self, 0)?;
                let t = self.variable(region);
                self.rotated(region, a, t, (region, one));
                t
            }
            Graph::Exp => {
                let a = arg(self, 0)?;
                let t = self.variable(region);
                self.exponential(region, a, one, t);
                t
            }
            Graph::Log => {
                let a = arg(self, 0)?;
                let t = self.variable(region);
                self.exponential(region, t, one, a);
                t
            }
            Graph::Softplus => {
                let a = arg(self, 0)?;
                let (t, u, v) = (self.variable(region), self.variable(region), self.variable(region));
                let below = rules::sub(self.ir, a, t);
                self.exponential(region, below, one, u);
                let minus = rules::neg(self.ir, t);
                self.exponential(region, minus, one, v);
                let both = rules::add(self.ir, u, v);
                self.le(region, both, one);
                t
            }
            Graph::Quad => return refused("a quadratic form with a matrix given as data, outside the objective"),
            Graph::None(why) => return refused(why),
            _ => return refused("a reduction without a domain"),
        })
    }

    fn fold(&mut self, n: NodeId, atom: AtomRef, domain: DomainId, body: NodeId, up: bool) -> Result<NodeId, NoForm> {
        let region = self.ir.region(n);
        if matches!(atom.degree, crate::ir::atom::DegreeRule::Linear) {
            let b = self.graph(body, up)?;
            return Ok(self.ir.fold(atom, domain, b));
        }
        if let Graph::None(why) = atom.graph {
            return Err(NoForm {
                node: Some(n),
                why: why.into(),
            });
        }
        let b = self.argument(atom, &[body], 0, up)?;
        let one = self.ir.constant(1.0);
        Ok(match atom.graph {
            Graph::MaxFold => {
                let t = self.variable(region);
                self.le(domain, b, t);
                t
            }
            Graph::MinFold => {
                let t = self.variable(region);
                self.le(domain, t, b);
                t
            }
            Graph::AbsSum => {
                let s = self.variable(domain);
                let minus = rules::neg(self.ir, b);
                self.le(domain, b, s);
                self.le(domain, minus, s);
                self.ir.fold(SUM, domain, s)
            }
            Graph::AbsMax => {
                let t = self.variable(region);
                let minus = rules::neg(self.ir, b);
                self.le(domain, b, t);
                self.le(domain, minus, t);
                t
            }
            Graph::Norm => {
                let t = self.variable(region);
                self.second_order(region, vec![(region, t), (domain, b)]);
                t
            }
            Graph::SumSquares => {
                let t = self.variable(region);
                self.rotated(region, t, one, (domain, b));
                t
            }
            Graph::LogSumExp => {
                let t = self.variable(region);
                let u = self.variable(domain);
                let below = rules::sub(self.ir, b, t);
                self.exponential(domain, below, one, u);
                let total = self.ir.fold(SUM, domain, u);
                self.le(region, total, one);
                t
            }
            _ => {
                return Err(NoForm {
                    node: Some(n),
                    why: "not a reduction".into(),
                });
            }
        })
    }

    /// Linear part and blocks of the second derivatives of the objective.
    fn objective(&mut self, terms: &[Term], sense: f64) -> Result<(NodeId, Vec<derive::Block>), NoForm> {
        let mut linear = self.ir.constant(0.0);
        let mut blocks = vec![];
        for t in terms {
            let sign = if sense < 0.0 { t.sign.negated() } else { t.sign };
            let weight = rules::times(self.ir, sense, t.weight);
            match t.part {
                Part::Affine(n) => {
                    let v = terms::weighted_total(self.ir, t.region, weight, n);
                    linear = rules::add(self.ir, linear, v);
                }
                Part::Square(n) if sign.is_nonneg() => {
                    self.kinds.quadratic = true;
                    let place = self.column_of(t.region, n);
                    let value = rules::times(self.ir, 2.0, weight);
                    blocks.push(derive::Block {
                        region: t.region,
                        row: place.clone(),
                        col: place,
                        mirror: false,
                        value,
                    });
                }
                Part::Quadratic(x, p) => {
                    self.kinds.quadratic = true;
                    self.quadratic_form(t.region, weight, x, p, &mut blocks);
                }
                Part::Square(n) => {
                    return Err(NoForm {
                        node: Some(n),
                        why: "a square with a weight that is not known to be of the right sign".into(),
                    });
                }
                Part::Other(n) => {
                    let up = if sign.is_nonneg() {
                        true
                    } else if sign.is_nonpos() {
                        false
                    } else {
                        return Err(NoForm {
                            node: Some(n),
                            why: "its weight may have either sign".into(),
                        });
                    };
                    let v = self.graph(n, up)?;
                    let v = terms::weighted_total(self.ir, t.region, weight, v);
                    linear = rules::add(self.ir, linear, v);
                }
            }
        }
        Ok((linear, blocks))
    }

    /// The column that holds an affine number: a variable's own, or a new one tied to it.
    fn column_of(&mut self, region: DomainId, n: NodeId) -> Place {
        if self.ir.is_var(n) {
            return Place { array: n, at: vec![] };
        }
        if let Node::Gather { array, at } = self.ir.node(n)
            && self.ir.is_var(*array)
        {
            return Place {
                array: *array,
                at: at.to_vec(),
            };
        }
        let r = self.variable(region);
        let tie = rules::sub(self.ir, n, r);
        self.rows.push(Pending {
            domain: region,
            node: tie,
            zero: true,
            origin: Origin::Link,
        });
        let array = match self.ir.node(r) {
            Node::Gather { array, .. } => *array,
            _ => r,
        };
        Place {
            array,
            at: chain_positions(self.ir, region),
        }
    }

    /// `weight · x' P x`, on the entries of `x` where that is a variable, on tied ones otherwise.
    fn quadratic_form(
        &mut self,
        region: DomainId,
        weight: NodeId,
        x: NodeId,
        p: NodeId,
        blocks: &mut Vec<derive::Block>,
    ) {
        let n = self.ir.shape(x).first().copied().unwrap_or(1);
        let weight = terms::total(self.ir, region, weight);
        let array = if self.ir.is_var(x) {
            x
        } else {
            let (one, own) = rules::plain_domain(self.ir, &[n]);
            let entry = rules::entry(self.ir, x, &own);
            self.column_of(one, entry).array
        };
        let (pairs, own) = rules::plain_domain(self.ir, &[n, n]);
        let entry = rules::entry(self.ir, p, &own);
        let back = rules::entry(self.ir, p, &[own[1], own[0]]);
        let both = rules::add(self.ir, entry, back);
        let value = rules::mul(self.ir, weight, both);
        let place = |i| Place {
            array,
            at: vec![crate::ir::Pos::index(i)],
        };
        blocks.push(derive::Block {
            region: pairs,
            row: place(own[0]),
            col: place(own[1]),
            mirror: false,
            value,
        });
    }

    fn constraint(&mut self, k: usize, domain: DomainId, sides: Sides) -> Result<(), NoForm> {
        let mut row = |c: &mut Self, a: NodeId, b: NodeId, side: Side| -> Result<(), NoForm> {
            let zero = side == Side::Eq;
            if zero && !(c.facts.curvature(a).is_affine() && c.facts.curvature(b).is_affine()) {
                let bent = if c.facts.curvature(a).is_affine() { b } else { a };
                return Err(NoForm {
                    node: Some(bent),
                    why: "an equation of something that is not affine".into(),
                });
            }
            let low = c.graph(a, true)?;
            let high = c.graph(b, false)?;
            let node = rules::sub(c.ir, low, high);
            c.rows.push(Pending {
                domain,
                node,
                zero,
                origin: Origin::Constraint(k, side),
            });
            Ok(())
        };
        match sides {
            Sides::Le(a, b) => row(self, a, b, Side::Le),
            Sides::Ge(a, b) => row(self, b, a, Side::Ge),
            Sides::Eq(a, b) => row(self, a, b, Side::Eq),
            Sides::Between(l, e, u) => {
                row(self, l, e, Side::Ge)?;
                row(self, e, u, Side::Le)
            }
        }
    }
}

/// The node with every auxiliary variable put to 0.
fn without_aux(ir: &mut Ir, aux: &[(InputId, DomainId)], n: NodeId, done: &mut HashMap<NodeId, NodeId>) -> NodeId {
    let inputs: Vec<InputId> = aux.iter().map(|a| a.0).collect();
    let mut depends = Depends::on(ir, &inputs);
    let zero = ir.constant(0.0);
    for m in ir.reachable(&[n]) {
        if done.contains_key(&m) || !depends.has(ir, m) {
            continue;
        }
        let get = |done: &HashMap<NodeId, NodeId>, a: &NodeId| done.get(a).copied().unwrap_or(*a);
        let new = match ir.node(m).clone() {
            Node::Apply { atom, args } => {
                let args: Vec<NodeId> = args.iter().map(|a| get(done, a)).collect();
                ir.apply(atom, &args)
            }
            Node::Fold { atom, domain, body } => {
                let body = get(done, &body);
                ir.fold(atom, domain, body)
            }
            // Auxiliary arrays are read entry by entry only.
            _ => zero,
        };
        done.insert(m, new);
    }
    done.get(&n).copied().unwrap_or(n)
}

impl ConicProgram {
    /// Compiles a problem whose objective and constraints fit. Maps must have been inlined in them; `facts` covers them.
    ///
    /// # Errors
    /// The expression that is not convex in the direction needed, or has no cone here.
    pub fn compile(problem: &Problem, facts: &FactsTable) -> Result<ConicProgram, NoForm> {
        let mut ir = problem.ir.clone();
        let sense = sense_of(problem);
        let vars: Vec<(InputId, usize)> = problem
            .vars
            .iter()
            .map(|v| (v.input, v.dims.iter().map(|d| d.len()).product()))
            .collect();
        let inputs: Vec<InputId> = vars.iter().map(|v| v.0).collect();
        let mut c = Canon {
            ir: &mut ir,
            facts,
            rows: vec![],
            cones: vec![],
            aux: vec![],
            memo: HashMap::new(),
            kinds: Kinds::default(),
        };
        let (linear, blocks) = match &problem.objective {
            None => (c.ir.constant(0.0), vec![]),
            Some(o) => {
                let parts = terms::split(c.ir, facts, o.node);
                match c.objective(&parts, sense) {
                    Ok(found) => found,
                    Err(no) => c.by_second_partials(o.node, sense).map_err(|_| no)?,
                }
            }
        };
        for (k, con) in problem.constraints.iter().enumerate() {
            c.constraint(k, con.domain, con.sides)?;
        }
        let Canon {
            rows,
            cones,
            aux,
            kinds,
            ..
        } = c;
        let mut b = Builder::new(&mut ir, &inputs);
        for (input, domain) in &aux {
            b.instances(*input, *domain);
        }
        let mut done = HashMap::new();
        let mut plan = |b: &mut Builder<'_>, domain: DomainId, node: NodeId| {
            let value = without_aux(b.ir, &aux, node, &mut done);
            b.rows(domain, node, value)
        };
        let linear = plan(&mut b, DomainId::ROOT, linear)?;
        let mut planned = vec![];
        for r in rows {
            planned.push(Linear {
                plan: plan(&mut b, r.domain, r.node)?,
                zero: r.zero,
                origin: r.origin,
            });
        }
        let mut cone_rows = vec![];
        for k in cones {
            let mut parts = vec![];
            for (domain, node) in k.parts {
                parts.push(plan(&mut b, domain, node)?);
            }
            cone_rows.push(ConeRows {
                domain: k.domain,
                exp: k.exp,
                parts,
            });
        }
        let quadratic = if blocks.is_empty() {
            None
        } else {
            Some(b.hessian(blocks)?)
        };
        let bounds = problem
            .vars
            .iter()
            .map(|v| (v.lower.map(|n| b.output(n)), v.upper.map(|n| b.output(n))))
            .collect();
        Ok(ConicProgram {
            program: b.compile(),
            vars,
            linear,
            quadratic,
            rows: planned,
            cones: cone_rows,
            bounds,
            kinds,
        })
    }

    /// Evaluates the program for the given parameters.
    ///
    /// # Errors
    /// Where the evaluation fails.
    pub fn bind(&mut self, params: &[(InputId, Arc<Tensor>)], sense: f64) -> Result<BoundConic, Fault> {
        for (i, t) in params {
            self.program.set(*i, t);
        }
        let n = self.vars.iter().map(|v| v.1).sum();
        self.program.set_point(&vec![0.0; n], &self.vars);
        self.program.eval()?;
        let columns = self.program.columns();
        let bounds = bounds_of(&self.program, &self.bounds, &self.vars);
        let mut q = vec![0.0; columns];
        for (_, c, v) in super::sparse::triplets(&self.program.jacobian(&self.linear)?) {
            q[c] += v;
        }
        let offset = self.program.values(&self.linear).first().copied().unwrap_or(0.0);
        let p = match &self.quadratic {
            Some(h) => self.program.hessian(h)?,
            None => Csr::zeros(columns, columns),
        };
        let mut form = Rows::default();
        let mut placed: Vec<(Origin, Vec<Option<usize>>)> = vec![];
        let mut broken = None;
        let mut lower = vec![None; n];
        let mut upper = vec![None; n];
        let mut cones = vec![];
        for zero in [true, false] {
            let first = form.b.len();
            for k in 0..self.rows.len() {
                let row = &self.rows[k];
                if placed.len() <= k {
                    placed.push((row.origin, vec![]));
                }
                if row.zero != zero {
                    continue;
                }
                let j = self.program.jacobian(&row.plan)?;
                let r = self.program.values(&row.plan);
                for i in 0..j.rows {
                    if j.indptr[i] == j.indptr[i + 1] {
                        let off = if zero { r[i].abs() } else { r[i] };
                        if off > 1e-9 * (1.0 + r[i].abs()) && broken.is_none() {
                            broken = Some((k, i, r[i]));
                        }
                        placed[k].1.push(None);
                        continue;
                    }
                    placed[k].1.push(Some(form.b.len()));
                    form.push(&j, i, 1.0, -r[i]);
                }
            }
            for i in 0..n {
                let (l, u) = (bounds.0[i], bounds.1[i]);
                let fixed = l == u;
                if zero && fixed {
                    lower[i] = Some(form.b.len());
                    upper[i] = lower[i];
                    form.unit(i, 1.0, u);
                }
                if !zero && !fixed {
                    if l > f64::NEG_INFINITY {
                        lower[i] = Some(form.b.len());
                        form.unit(i, -1.0, -l);
                    }
                    if u < f64::INFINITY {
                        upper[i] = Some(form.b.len());
                        form.unit(i, 1.0, u);
                    }
                }
            }
            let count = form.b.len() - first;
            if count > 0 {
                cones.push(if zero { Cone::Zero(count) } else { Cone::Nonneg(count) });
            }
        }
        for k in 0..self.cones.len() {
            self.cone(k, &mut form, &mut cones)?;
        }
        let rows = form.b.len();
        Ok(BoundConic {
            p,
            q,
            offset,
            a: assemble(rows, columns, form.entries),
            b: form.b,
            cones,
            rows: placed,
            lower,
            upper,
            broken,
            bounds,
            n,
            sense,
        })
    }

    fn cone(&mut self, k: usize, form: &mut Rows, cones: &mut Vec<Cone>) -> Result<(), Fault> {
        let family = &self.cones[k];
        let count = self.program.lister().count(family.domain);
        let mut members: Vec<Vec<(usize, usize)>> = vec![vec![]; count];
        let mut parts = vec![];
        for (p, plan) in family.parts.iter().enumerate() {
            let j = self.program.jacobian(plan)?;
            let r = self.program.values(plan).to_vec();
            let up = self.program.lister().ancestors(plan.domain, family.domain);
            for (i, owner) in up.into_iter().enumerate() {
                members[owner].push((p, i));
            }
            parts.push((j, r));
        }
        for rows in members {
            cones.push(if family.exp {
                Cone::Exp
            } else {
                Cone::SecondOrder(rows.len())
            });
            for (p, i) in rows {
                let (j, r) = &parts[p];
                form.push(j, i, -1.0, r[i]);
            }
        }
        Ok(())
    }

    /// Index names and elements of one instance of a constraint family.
    pub fn labels(&self, domain: DomainId, instance: usize) -> Vec<(String, String)> {
        self.program.lister().labels(domain, instance)
    }
}

impl Canon<'_> {
    /// A quadratic objective by its second partials; whether it is convex shows when it is bound.
    fn by_second_partials(&mut self, n: NodeId, sense: f64) -> Result<(NodeId, Vec<derive::Block>), NoForm> {
        let no = |node, why: &str| NoForm {
            node: Some(node),
            why: why.into(),
        };
        let curvature = self.facts.curvature(n);
        let known = if sense > 0.0 {
            curvature.is_convex()
        } else {
            curvature.is_concave()
        };
        if self.facts.degree(n) > 2 || !known {
            return Err(no(n, "not a convex quadratic"));
        }
        let Second::Blocks(mut blocks) = derive::second_partials(self.ir, n)? else {
            return Err(no(n, "no pattern of second derivatives"));
        };
        for b in &mut blocks {
            b.value = rules::times(self.ir, sense, b.value);
        }
        self.kinds.quadratic = true;
        Ok((rules::times(self.ir, sense, n), blocks))
    }
}

/// 1 to minimize, -1 to maximize.
pub fn sense_of(problem: &Problem) -> f64 {
    match problem.objective.as_ref().map(|o| o.sense) {
        Some(Sense::Maximize) => -1.0,
        _ => 1.0,
    }
}

/// Bounds by variable, scalars spread.
pub fn bounds_of(
    program: &Program,
    outputs: &[(Option<usize>, Option<usize>)],
    vars: &[(InputId, usize)],
) -> (Vec<f64>, Vec<f64>) {
    let mut out = (vec![], vec![]);
    for ((l, u), (_, len)) in outputs.iter().zip(vars) {
        let spread = |k: &Option<usize>, none: f64| match k {
            None => vec![none; *len],
            Some(k) => {
                let e = program.lister().entries(*k);
                if e.len() == *len {
                    e
                } else {
                    vec![e.first().copied().unwrap_or(none); *len]
                }
            }
        };
        out.0.extend(spread(l, f64::NEG_INFINITY));
        out.1.extend(spread(u, f64::INFINITY));
    }
    out
}

#[derive(Default)]
struct Rows {
    entries: Vec<(usize, usize, f64)>,
    b: Vec<f64>,
}

impl Rows {
    fn push(&mut self, j: &Csr, i: usize, sign: f64, b: f64) {
        let row = self.b.len();
        let range = j.indptr[i]..j.indptr[i + 1];
        self.entries
            .extend(range.map(|k| (row, j.indices[k], sign * j.values[k])));
        self.b.push(b);
    }
    fn unit(&mut self, column: usize, v: f64, b: f64) {
        self.entries.push((self.b.len(), column, v));
        self.b.push(b);
    }
}
