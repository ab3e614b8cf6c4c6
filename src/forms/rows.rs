//! Rows: scalars over index domains as sparse rows of a Jacobian in the problem's variables.
//!
//! Invariant: structure is found once; binding parameters evaluates programs and compiles nothing. Columns follow the
//! canonical flattening: variables in order, row-major.

use std::collections::BTreeMap;
use std::sync::Arc;

use ravine_linalg::{Csr, Dense};

use crate::atoms::{self, rules};
use crate::exec::{Fault, Machine, Plan};
use crate::ir::atom::Derivative;
use crate::ir::{AtomRef, DomainId, Input, InputId, InputKind, Ir, Node, NodeId, Pos};
use crate::passes::derive::{Depends, Leaf, NoDerivative, partials};

/// Why something has no rows.
#[derive(Clone, Debug, PartialEq)]
pub struct NoRows {
    /// The node.
    pub node: NodeId,
    /// A clause.
    pub why: String,
}

impl From<NoDerivative> for NoRows {
    fn from(n: NoDerivative) -> Self {
        NoRows {
            node: n.node,
            why: format!("`{}` has no derivative: {}", n.atom, n.reason),
        }
    }
}

/// Columns of each variable: input, first column, number of entries.
#[derive(Clone, Debug, Default)]
pub struct Columns {
    /// In order.
    pub blocks: Vec<(InputId, usize, usize)>,
}

impl Columns {
    /// All columns.
    pub fn len(&self) -> usize {
        self.blocks.last().map_or(0, |b| b.1 + b.2)
    }
    /// Is there no column?
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }
    /// Adds a variable; its first column.
    pub fn push(&mut self, ir: &Ir, input: InputId) -> usize {
        let first = self.len();
        let n = ir
            .input(input)
            .dims
            .iter()
            .map(crate::base::value::IndexSet::len)
            .product();
        self.blocks.push((input, first, n));
        first
    }
    fn of(&self, input: InputId) -> Option<(usize, usize)> {
        self.blocks.iter().find(|b| b.0 == input).map(|b| (b.1, b.2))
    }
}

/// A set of rows: one for each instance of a domain.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct RowSet(usize);

/// A list of values: one for each instance of a domain.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct List(usize);

/// A root value.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Root(usize);

/// A list of entries of one array: a flat position for each instance of a region.
#[derive(Clone, Debug)]
pub struct Places {
    region: DomainId,
    array: usize,
    shape: Vec<usize>,
    at: Vec<PosSpec>,
}

#[derive(Clone, Debug)]
enum PosSpec {
    Affine {
        terms: Vec<(crate::ir::IndexId, i64)>,
        offset: i64,
    },
    List(usize),
}

#[derive(Clone, Debug)]
struct LeafSpec {
    places: Places,
    value: usize,
}

#[derive(Clone, Debug)]
struct RowSpec {
    domain: DomainId,
    value: usize,
    leaves: Vec<LeafSpec>,
}

/// The Jacobian of an array, from those of its parts.
#[derive(Clone, Debug)]
enum ArraySpec {
    Var {
        first: usize,
        len: usize,
    },
    /// `A X`, `A` without variables: `m × n` times `n × k`.
    Left {
        a: usize,
        x: usize,
        n: usize,
        k: usize,
    },
    /// `X B`, `B` without variables.
    Right {
        x: usize,
        b: usize,
        m: usize,
        n: usize,
        k: usize,
    },
    Transpose {
        x: usize,
        rows: usize,
        cols: usize,
    },
    Sum {
        parts: Vec<usize>,
        len: usize,
    },
    Scale {
        by: usize,
        x: usize,
    },
    /// `s · A` with a variable scalar and a fixed array.
    Spread {
        s: usize,
        a: usize,
        len: usize,
    },
    Diagonal {
        x: usize,
        n: usize,
    },
    DiagonalPart {
        x: usize,
        n: usize,
    },
    /// Rows of other row sets, below one another.
    Rows {
        sets: Vec<usize>,
    },
    /// Arrays below one another; a part without variables is so many empty rows.
    Stacked {
        parts: Vec<(Option<usize>, usize)>,
    },
    /// `A ⊗ X` or `X ⊗ A` with a fixed `A`: shapes of the left and the right factor.
    Kron {
        x: usize,
        fixed: usize,
        fixed_left: bool,
        left: [usize; 2],
        right: [usize; 2],
    },
    /// Rows of a set added up at places of an array.
    Scatter {
        set: usize,
        places: Places,
        len: usize,
    },
    /// Any other affine atom, by the transposed rule of its row.
    General {
        general: usize,
        arguments: Vec<usize>,
    },
    Outer {
        x: usize,
        fixed: usize,
        fixed_left: bool,
        m: usize,
        n: usize,
    },
}

/// An affine atom's matrices by its arguments: the cotangents of the arguments for each entry of the result.
#[derive(Clone, Debug)]
struct General {
    machine: Machine,
    seed: InputId,
    len: usize,
    /// Number of entries of each argument.
    widths: Vec<usize>,
    /// Evaluated for the bound parameters.
    matrices: Vec<Csr>,
}

impl General {
    fn eval(&mut self) -> Result<(), Fault> {
        let mut seed = vec![0.0; self.len];
        let mut triplets = vec![vec![]; self.widths.len()];
        for i in 0..self.len {
            seed[i] = 1.0;
            self.machine.set_point(self.seed, &seed);
            seed[i] = 0.0;
            self.machine.eval()?;
            for (k, (out, n)) in triplets.iter_mut().zip(&self.widths).enumerate() {
                let row = self
                    .machine
                    .tensor(k, vec![crate::base::value::IndexSet::upto(*n)])
                    .to_dense();
                out.extend(row.iter().enumerate().filter(|e| *e.1 != 0.0).map(|(j, v)| (i, j, *v)));
            }
        }
        self.matrices = triplets
            .iter()
            .zip(&self.widths)
            .map(|(t, n)| Csr::from_triplets(self.len, *n, t))
            .collect();
        Ok(())
    }
}

/// Collects row sets, lists and root values, then becomes a program.
pub struct RowsBuilder<'a> {
    /// The problem's program; derivative rules add nodes to it.
    pub ir: &'a mut Ir,
    columns: Columns,
    sets: Vec<RowSpec>,
    arrays: Vec<ArraySpec>,
    generals: Vec<General>,
    known: BTreeMap<NodeId, usize>,
    lists: Vec<(DomainId, NodeId)>,
    roots: Vec<NodeId>,
}

impl<'a> RowsBuilder<'a> {
    /// A builder for the variables of `columns`.
    pub fn new(ir: &'a mut Ir, columns: Columns) -> Self {
        RowsBuilder {
            ir,
            columns,
            sets: vec![],
            arrays: vec![],
            generals: vec![],
            known: BTreeMap::new(),
            lists: vec![],
            roots: vec![],
        }
    }
    /// Values of a scalar at each instance of a domain.
    pub fn list(&mut self, domain: DomainId, node: NodeId) -> List {
        if let Some(k) = self.lists.iter().position(|l| *l == (domain, node)) {
            return List(k);
        }
        self.lists.push((domain, node));
        List(self.lists.len() - 1)
    }
    /// A root value.
    pub fn root(&mut self, node: NodeId) -> Root {
        if let Some(k) = self.roots.iter().position(|n| *n == node) {
            return Root(k);
        }
        self.roots.push(node);
        Root(self.roots.len() - 1)
    }
    /// Rows of `body` over `domain`.
    pub fn rows(&mut self, domain: DomainId, body: NodeId) -> Result<RowSet, NoRows> {
        let leaves = partials(self.ir, body, domain)?;
        let value = self.list(domain, body).0;
        let mut specs = vec![];
        for Leaf {
            region,
            array,
            at,
            value,
        } in leaves
        {
            let places = self.places(region, array, &at)?;
            let value = self.list(region, value).0;
            specs.push(LeafSpec { places, value });
        }
        self.sets.push(RowSpec {
            domain,
            value,
            leaves: specs,
        });
        Ok(RowSet(self.sets.len() - 1))
    }
    /// Entries of an array at the instances of a region.
    pub fn places(&mut self, region: DomainId, array: NodeId, at: &[Pos]) -> Result<Places, NoRows> {
        let shape = self.ir.shape(array).to_vec();
        let array = self.array(array)?;
        let at = self.positions(region, at);
        Ok(Places {
            region,
            array,
            shape,
            at,
        })
    }

    fn positions(&mut self, region: DomainId, at: &[Pos]) -> Vec<PosSpec> {
        at.iter()
            .map(|p| match p {
                Pos::Affine { terms, offset } => PosSpec::Affine {
                    terms: terms.clone(),
                    offset: *offset,
                },
                Pos::Node(n) => PosSpec::List(self.list(region, *n).0),
            })
            .collect()
    }

    /// Any affine atom by the transposed rule of its row.
    fn general(&mut self, node: NodeId, atom: AtomRef, args: &[NodeId], var: &[bool]) -> Result<ArraySpec, NoRows> {
        let no = |why: String| Err(NoRows { node, why });
        let Derivative::Rule { vjp, .. } = atom.derivative else {
            return no(format!("`{}` of variables has no rows", atom.name));
        };
        let shape = self.ir.shape(node).to_vec();
        let seed = self.ir.add_input(Input {
            name: format!("{}'", atom.name),
            kind: InputKind::Seed,
            dims: shape.iter().map(|n| crate::base::value::IndexSet::upto(*n)).collect(),
            sparse: false,
            sign: crate::ir::Sign::Unknown,
        });
        let ct = self.ir.read(seed);
        let cotangents = vjp(self.ir, args, node, ct, var);
        let mut depends = Depends::on_vars(self.ir);
        let (mut outputs, mut widths, mut arguments) = (vec![], vec![], vec![]);
        for (k, a) in args.iter().enumerate().filter(|k| var[k.0]) {
            let Some(c) = cotangents.get(k).copied().flatten() else {
                return no(format!("`{}` has no derivative by its argument {}", atom.name, k + 1));
            };
            if depends.has(self.ir, c) {
                return no(format!("`{}` is not affine in its argument {}", atom.name, k + 1));
            }
            widths.push(self.ir.shape(*a).iter().product());
            arguments.push(if self.ir.shape(*a).is_empty() {
                let set = self.rows(DomainId::ROOT, *a)?.0;
                self.arrays.push(ArraySpec::Rows { sets: vec![set] });
                self.arrays.len() - 1
            } else {
                self.array(*a)?
            });
            outputs.push(c);
        }
        self.generals.push(General {
            machine: Machine::new(Arc::new(Plan::compile(self.ir, &outputs))),
            seed,
            len: shape.iter().product(),
            widths,
            matrices: vec![],
        });
        Ok(ArraySpec::General {
            general: self.generals.len() - 1,
            arguments,
        })
    }

    fn array(&mut self, node: NodeId) -> Result<usize, NoRows> {
        if let Some(k) = self.known.get(&node) {
            return Ok(*k);
        }
        let spec = self.array_spec(node)?;
        self.arrays.push(spec);
        self.known.insert(node, self.arrays.len() - 1);
        Ok(self.arrays.len() - 1)
    }

    fn array_spec(&mut self, node: NodeId) -> Result<ArraySpec, NoRows> {
        let no = |why: &str| Err(NoRows { node, why: why.into() });
        let mut depends = Depends::on_vars(self.ir);
        let len: usize = self.ir.shape(node).iter().product();
        match self.ir.node(node).clone() {
            Node::Input(i) => match self.columns.of(i) {
                Some((first, len)) => Ok(ArraySpec::Var { first, len }),
                None => no("it is not a variable"),
            },
            Node::Map { domain, body } => {
                let set = self.rows(domain, body)?;
                Ok(ArraySpec::Rows { sets: vec![set.0] })
            }
            Node::Apply { atom, args } => {
                let var: Vec<bool> = args.iter().map(|a| depends.has(self.ir, *a)).collect();
                let shape = |l: &Self, k: usize| l.ir.shape(args[k]).to_vec();
                if atom == atoms::OPAQUE {
                    no(super::products::NO_ENTRIES)
                } else if atom == atoms::MATMUL {
                    let (l, r) = (shape(self, 0), shape(self, 1));
                    let (m, n, k) = (l[0], l[l.len() - 1], if r.len() == 2 { r[1] } else { 1 });
                    match (var[0], var[1]) {
                        (false, true) => {
                            let a = self.root(args[0]).0;
                            Ok(ArraySpec::Left {
                                a,
                                x: self.array(args[1])?,
                                n,
                                k,
                            })
                        }
                        (true, false) => {
                            let b = self.root(args[1]).0;
                            Ok(ArraySpec::Right {
                                x: self.array(args[0])?,
                                b,
                                m,
                                n,
                                k,
                            })
                        }
                        _ => no("it is a product of variables"),
                    }
                } else if atom == atoms::TRANSPOSE {
                    let s = shape(self, 0);
                    Ok(ArraySpec::Transpose {
                        x: self.array(args[0])?,
                        rows: s[0],
                        cols: s[1],
                    })
                } else if atom == atoms::ARRAY_ADD {
                    let mut parts = vec![];
                    for (a, v) in args.iter().zip(&var) {
                        if *v {
                            parts.push(self.array(*a)?);
                        }
                    }
                    Ok(ArraySpec::Sum { parts, len })
                } else if atom == atoms::ARRAY_SCALE {
                    match (var[0], var[1]) {
                        (false, true) => {
                            let by = self.root(args[0]).0;
                            Ok(ArraySpec::Scale {
                                by,
                                x: self.array(args[1])?,
                            })
                        }
                        (true, false) => {
                            let a = self.root(args[1]).0;
                            let s = self.rows(DomainId::ROOT, args[0])?.0;
                            Ok(ArraySpec::Spread { s, a, len })
                        }
                        _ => no("it is a product of variables"),
                    }
                } else if atom == atoms::DIAG {
                    Ok(ArraySpec::Diagonal {
                        x: self.array(args[0])?,
                        n: shape(self, 0)[0],
                    })
                } else if atom == atoms::DIAGPART {
                    Ok(ArraySpec::DiagonalPart {
                        x: self.array(args[0])?,
                        n: shape(self, 0)[0],
                    })
                } else if atom == atoms::STACK {
                    let mut sets = vec![];
                    for a in args.iter() {
                        sets.push(self.rows(DomainId::ROOT, *a)?.0);
                    }
                    Ok(ArraySpec::Rows { sets })
                } else if atom == atoms::OUTER && var[0] != var[1] {
                    let (m, n) = (shape(self, 0)[0], shape(self, 1)[0]);
                    let (v, f) = if var[0] { (args[0], args[1]) } else { (args[1], args[0]) };
                    let fixed = self.root(f).0;
                    Ok(ArraySpec::Outer {
                        x: self.array(v)?,
                        fixed,
                        fixed_left: var[1],
                        m,
                        n,
                    })
                } else if atom == atoms::CONCAT {
                    let mut parts = vec![];
                    for (a, v) in args.iter().zip(&var) {
                        let n = self.ir.shape(*a).iter().product();
                        parts.push((if *v { Some(self.array(*a)?) } else { None }, n));
                    }
                    Ok(ArraySpec::Stacked { parts })
                } else if atom == atoms::KRON && var[0] != var[1] {
                    let (l, r) = (shape(self, 0), shape(self, 1));
                    let (v, f) = if var[0] { (args[0], args[1]) } else { (args[1], args[0]) };
                    let fixed = self.root(f).0;
                    Ok(ArraySpec::Kron {
                        x: self.array(v)?,
                        fixed,
                        fixed_left: var[1],
                        left: [l[0], l[1]],
                        right: [r[0], r[1]],
                    })
                } else if atom == atoms::SOLVE && !var[0] {
                    // `A⁺ X`, with the pseudoinverse as the solution for the identity.
                    let (m, r) = (shape(self, 0)[0], shape(self, 1));
                    let one = self.ir.constant(1.0);
                    let (d, _) = rules::plain_domain(self.ir, &[m]);
                    let ones = self.ir.map(d, one);
                    let identity = self.ir.apply(atoms::DIAG, &[ones]);
                    let inverse = rules::solve(self.ir, args[0], identity);
                    let a = self.root(inverse).0;
                    Ok(ArraySpec::Left {
                        a,
                        x: self.array(args[1])?,
                        n: m,
                        k: if r.len() == 2 { r[1] } else { 1 },
                    })
                } else {
                    self.general(node, atom, &args, &var)
                }
            }
            Node::Scatter {
                domain,
                shape,
                at,
                body,
            } => {
                let set = self.rows(domain, body)?.0;
                let at = self.positions(domain, &at);
                Ok(ArraySpec::Scatter {
                    set,
                    places: Places {
                        region: domain,
                        array: 0,
                        shape: shape.to_vec(),
                        at,
                    },
                    len,
                })
            }
            _ => no("it is no array of variables"),
        }
    }

    /// The program.
    pub fn finish(self) -> RowsProgram {
        let plan = Arc::new(Plan::compile_lists(self.ir, &self.roots, &self.lists));
        RowsProgram {
            machine: Machine::new(plan),
            columns: self.columns,
            sets: self.sets,
            arrays: self.arrays,
            generals: self.generals,
            stale: true,
            root_shapes: self.roots.iter().map(|r| self.ir.shape(*r).to_vec()).collect(),
        }
    }
}

/// Row sets as a program of parameters and point.
#[derive(Clone, Debug)]
pub struct RowsProgram {
    machine: Machine,
    columns: Columns,
    sets: Vec<RowSpec>,
    arrays: Vec<ArraySpec>,
    generals: Vec<General>,
    /// Are the matrices of `generals` those of other parameters?
    stale: bool,
    root_shapes: Vec<Vec<usize>>,
}

impl RowsProgram {
    /// Number of columns.
    pub fn width(&self) -> usize {
        self.columns.len()
    }
    /// Bytes that its arrays take.
    pub fn bytes(&self) -> usize {
        self.machine.plan().bytes()
    }
    /// Binds parameters.
    pub fn bind(&mut self, params: &[(InputId, Arc<crate::base::Tensor>)]) {
        for (i, t) in params {
            self.machine.set(*i, t.clone());
            self.generals.iter_mut().for_each(|g| g.machine.set(*i, t.clone()));
        }
        self.stale = true;
    }
    /// Evaluates all programs at a point (flat, by column).
    pub fn eval(&mut self, x: &[f64]) -> Result<(), Fault> {
        for &(input, first, len) in &self.columns.blocks {
            self.machine.set_point(input, &x[first..first + len]);
        }
        if self.stale {
            for g in &mut self.generals {
                g.eval()?;
            }
            self.stale = false;
        }
        self.machine.eval()
    }
    /// The machine, to trace what was not finite.
    pub fn machine(&self) -> &Machine {
        &self.machine
    }
    /// Values of a list after `eval`.
    pub fn values(&self, l: List) -> &[f64] {
        self.machine.list(l.0)
    }
    /// Values of the body of a row set after `eval`.
    pub fn body(&self, s: RowSet) -> &[f64] {
        self.machine.list(self.sets[s.0].value)
    }
    /// Number of rows of a set.
    pub fn count(&self, s: RowSet) -> usize {
        self.machine.instance_count(self.sets[s.0].domain)
    }
    /// For each instance of a domain, the instance of an enclosing one.
    pub fn ancestors(&self, d: DomainId, up: DomainId) -> Vec<usize> {
        self.machine.ancestors(d, up)
    }
    /// Number of instances of a domain.
    pub fn instances(&self, d: DomainId) -> usize {
        self.machine.instance_count(d)
    }
    /// A root value as a dense array.
    pub fn root(&self, r: Root) -> Vec<f64> {
        self.root_tensor(r.0).to_dense()
    }
    /// A root matrix, sparse where its parameters are.
    pub fn matrix(&self, r: Root) -> Csr {
        self.root_csr(r.0)
    }
    fn root_tensor(&self, r: usize) -> crate::base::Tensor {
        let dims = self.root_shapes[r]
            .iter()
            .map(|n| crate::base::value::IndexSet::upto(*n));
        self.machine.tensor(r, dims.collect())
    }
    fn root_csr(&self, r: usize) -> Csr {
        let shape = &self.root_shapes[r];
        let (rows, cols) = (shape.first().copied().unwrap_or(1), shape.get(1).copied().unwrap_or(1));
        match self.root_tensor(r).storage {
            crate::base::value::Storage::Sparse(s) => s,
            crate::base::value::Storage::Dense(data) => Csr::from_dense(&Dense { rows, cols, data }),
        }
    }

    /// Flat positions of places within their array.
    pub fn flat(&self, p: &Places) -> Vec<usize> {
        let n = self.machine.instance_count(p.region);
        let mut flat = vec![0i64; n];
        let mut stride = 1i64;
        for (dim, at) in p.at.iter().enumerate().rev() {
            match at {
                PosSpec::Affine { terms, offset } => {
                    flat.iter_mut().for_each(|f| *f += stride * offset);
                    for (i, c) in terms {
                        for (f, q) in flat.iter_mut().zip(self.machine.index_positions(p.region, *i)) {
                            *f += stride * c * q as i64;
                        }
                    }
                }
                PosSpec::List(l) => {
                    for (f, v) in flat.iter_mut().zip(self.machine.list(*l)) {
                        *f += stride * *v as i64;
                    }
                }
            }
            stride *= p.shape[dim] as i64;
        }
        let len: usize = p.shape.iter().product::<usize>().max(1);
        // Positions were checked when the program ran; the clamp only keeps a stale list from a panic.
        flat.into_iter().map(|f| (f.max(0) as usize).min(len - 1)).collect()
    }

    /// The variable's first column, if the places are entries of a variable itself.
    pub fn variable(&self, p: &Places) -> Option<usize> {
        match self.arrays[p.array] {
            ArraySpec::Var { first, .. } => Some(first),
            _ => None,
        }
    }

    /// Rows of the array's Jacobian at the places: one for each instance of their region.
    pub fn place_rows(&self, p: &Places, memo: &mut Memo) -> Csr {
        let flat = self.flat(p);
        let len: usize = p.shape.iter().product();
        let select = Csr {
            rows: flat.len(),
            cols: len,
            indptr: (0..=flat.len()).collect(),
            values: vec![1.0; flat.len()],
            indices: flat,
        };
        select.mul(&self.array_jacobian(p.array, memo))
    }

    /// The Jacobian of rows that are those of `A·x + b` with a dense `A` and `x` all of the variables, without passing
    /// through compressed rows.
    pub fn dense_rows(&self, s: RowSet) -> Option<Dense> {
        let spec = &self.sets[s.0];
        let [leaf] = spec.leaves.as_slice() else { return None };
        let ArraySpec::Left { a, x, n, k: 1 } = self.arrays[leaf.places.array] else {
            return None;
        };
        let ArraySpec::Var { first: 0, len } = self.arrays[x] else {
            return None;
        };
        let flat = self.flat(&leaf.places);
        let whole = len == self.width() && n == len && flat.iter().enumerate().all(|(k, f)| k == *f);
        if !whole || leaf.places.region != spec.domain || flat.len() != self.root_shapes[a][0] {
            return None;
        }
        let crate::base::value::Storage::Dense(data) = self.root_tensor(a).storage else {
            return None;
        };
        let mut m = Dense {
            rows: flat.len(),
            cols: n,
            data,
        };
        let values = self.machine.list(leaf.value);
        if values.iter().any(|v| *v != 1.0) {
            m.scale_rows(values);
        }
        Some(m)
    }

    /// The Jacobian of a row set.
    pub fn jacobian(&self, s: RowSet, memo: &mut Memo) -> Csr {
        let spec = &self.sets[s.0];
        let rows = self.machine.instance_count(spec.domain);
        let mut direct: Vec<(usize, usize, f64)> = vec![];
        let mut total: Option<Csr> = None;
        for leaf in &spec.leaves {
            let up = self.machine.ancestors(leaf.places.region, spec.domain);
            let flat = self.flat(&leaf.places);
            let values = self.machine.list(leaf.value);
            if let ArraySpec::Var { first, .. } = self.arrays[leaf.places.array] {
                direct.extend(up.iter().zip(&flat).zip(values).map(|((r, f), v)| (*r, first + f, *v)));
                continue;
            }
            let len: usize = leaf.places.shape.iter().product();
            let picks: Vec<(usize, usize, f64)> = up
                .iter()
                .zip(&flat)
                .zip(values)
                .map(|((r, f), v)| (*r, *f, *v))
                .collect();
            let part = Csr::from_triplets(rows, len, &picks).mul(&self.array_jacobian(leaf.places.array, memo));
            total = Some(match total {
                None => part,
                Some(t) => t.add(1.0, &part, 1.0),
            });
        }
        let direct = Csr::from_triplets(rows, self.width(), &direct);
        match total {
            None => direct,
            Some(t) if direct.nnz() == 0 => t,
            Some(t) => t.add(1.0, &direct, 1.0),
        }
    }

    fn array_jacobian(&self, a: usize, memo: &mut Memo) -> Arc<Csr> {
        if let Some(j) = memo.0.get(&a) {
            return j.clone();
        }
        let width = self.width();
        let j = match &self.arrays[a] {
            ArraySpec::Var { first, len } => Csr {
                rows: *len,
                cols: width,
                indptr: (0..=*len).collect(),
                indices: (*first..first + len).collect(),
                values: vec![1.0; *len],
            },
            ArraySpec::Left { a, x, n, k } => {
                // vec(A X), row-major, is (A ⊗ I_k) vec(X).
                kron_identity(&self.root_csr(*a), *k, *n).mul(&self.array_jacobian(*x, memo))
            }
            ArraySpec::Right { x, b, m, n, k } => {
                // vec(X B), row-major, is (I_m ⊗ B') vec(X).
                let bt = self.root_csr(*b).transpose();
                let mut t = vec![];
                for i in 0..*m {
                    for l in 0..*k {
                        let (c, v) = bt.row(l);
                        t.extend(c.iter().zip(v).map(|(j, v)| (i * k + l, i * n + j, *v)));
                    }
                }
                Csr::from_triplets(m * k, m * n, &t).mul(&self.array_jacobian(*x, memo))
            }
            ArraySpec::Transpose { x, rows, cols } => {
                let j = self.array_jacobian(*x, memo);
                pick(&j, (0..rows * cols).map(|k| (k % rows) * cols + k / rows), 1.0)
            }
            ArraySpec::Sum { parts, len } => {
                let mut acc = Csr::zeros(*len, width);
                for p in parts {
                    acc = acc.add(1.0, &self.array_jacobian(*p, memo), 1.0);
                }
                acc
            }
            ArraySpec::Scale { by, x } => {
                let mut j = (*self.array_jacobian(*x, memo)).clone();
                let s = self.root(Root(*by))[0];
                j.values.iter_mut().for_each(|v| *v *= s);
                j
            }
            ArraySpec::Spread { s, a, len } => {
                let row = self.jacobian(RowSet(*s), memo);
                let a = self.root(Root(*a));
                let (c, v) = row.row(0);
                let mut t = vec![];
                for (k, a) in a.iter().enumerate().take(*len) {
                    t.extend(c.iter().zip(v).map(|(j, v)| (k, *j, a * v)));
                }
                Csr::from_triplets(*len, width, &t)
            }
            ArraySpec::Diagonal { x, n } => {
                let j = self.array_jacobian(*x, memo);
                let mut t = vec![];
                for i in 0..*n {
                    let (c, v) = j.row(i);
                    t.extend(c.iter().zip(v).map(|(c, v)| (i * n + i, *c, *v)));
                }
                Csr::from_triplets(n * n, width, &t)
            }
            ArraySpec::DiagonalPart { x, n } => pick(&self.array_jacobian(*x, memo), (0..*n).map(|i| i * n + i), 1.0),
            ArraySpec::Rows { sets } => {
                let mut acc: Option<Csr> = None;
                for s in sets {
                    let j = self.jacobian(RowSet(*s), memo);
                    acc = Some(match acc {
                        None => j,
                        Some(a) => a.stack(&j),
                    });
                }
                acc.unwrap_or_else(|| Csr::zeros(0, width))
            }
            ArraySpec::Stacked { parts } => {
                let mut acc = Csr::zeros(0, width);
                for (part, n) in parts {
                    acc = match part {
                        Some(p) => acc.stack(&self.array_jacobian(*p, memo)),
                        None => acc.stack(&Csr::zeros(*n, width)),
                    };
                }
                acc
            }
            ArraySpec::Kron {
                x,
                fixed,
                fixed_left,
                left,
                right,
            } => {
                let j = self.array_jacobian(*x, memo);
                let f = self.root(Root(*fixed));
                let ([lr, lc], [rr, rc]) = (*left, *right);
                let mut t = vec![];
                for row in 0..lr * rr {
                    for col in 0..lc * rc {
                        let (l, r) = ((row / rr) * lc + col / rc, (row % rr) * rc + col % rc);
                        let (w, of) = if *fixed_left { (f[l], r) } else { (f[r], l) };
                        if w != 0.0 {
                            let (c, v) = j.row(of);
                            t.extend(c.iter().zip(v).map(|(c, v)| (row * lc * rc + col, *c, w * v)));
                        }
                    }
                }
                Csr::from_triplets(lr * rr * lc * rc, width, &t)
            }
            ArraySpec::Scatter { set, places, len } => {
                let j = self.jacobian(RowSet(*set), memo);
                let to = self.flat(places);
                let mut t = vec![];
                for (r, to) in to.iter().enumerate() {
                    let (c, v) = j.row(r);
                    t.extend(c.iter().zip(v).map(|(c, v)| (*to, *c, *v)));
                }
                Csr::from_triplets(*len, width, &t)
            }
            ArraySpec::General { general, arguments } => {
                let g = &self.generals[*general];
                let mut acc = Csr::zeros(g.len, width);
                for (m, a) in g.matrices.iter().zip(arguments) {
                    acc = acc.add(1.0, &m.mul(&self.array_jacobian(*a, memo)), 1.0);
                }
                acc
            }
            ArraySpec::Outer {
                x,
                fixed,
                fixed_left,
                m,
                n,
            } => {
                let j = self.array_jacobian(*x, memo);
                let f = self.root(Root(*fixed));
                let mut t = vec![];
                for i in 0..*m {
                    for k in 0..*n {
                        let (row, w) = if *fixed_left { (k, f[i]) } else { (i, f[k]) };
                        let (c, v) = j.row(row);
                        t.extend(c.iter().zip(v).map(|(c, v)| (i * n + k, *c, w * v)));
                    }
                }
                Csr::from_triplets(m * n, width, &t)
            }
        };
        let j = Arc::new(j);
        memo.0.insert(a, j.clone());
        j
    }
}

/// Jacobians of arrays computed since the last evaluation.
#[derive(Default)]
pub struct Memo(BTreeMap<usize, Arc<Csr>>);

/// Rows of `j` in another order.
fn pick(j: &Csr, rows: impl Iterator<Item = usize>, scale: f64) -> Csr {
    let mut out = Csr::zeros(0, j.cols);
    for r in rows {
        let (c, v) = j.row(r);
        out.indices.extend_from_slice(c);
        out.values.extend(v.iter().map(|v| scale * v));
        out.indptr.push(out.indices.len());
        out.rows += 1;
    }
    out
}

/// `A ⊗ I_k` for an `m × n` matrix.
fn kron_identity(a: &Csr, k: usize, n: usize) -> Csr {
    if k == 1 {
        return a.clone();
    }
    let mut out = Csr::zeros(0, n * k);
    for i in 0..a.rows {
        let (c, v) = a.row(i);
        for l in 0..k {
            out.indices.extend(c.iter().map(|j| j * k + l));
            out.values.extend_from_slice(v);
            out.indptr.push(out.indices.len());
            out.rows += 1;
        }
    }
    out
}
