//! Sparse Jacobians and Hessians of families of scalars: patterns once, values at each binding or point.
//!
//! Invariant: what is compiled holds no values; a row is an instance of its family's domain, a column an entry of the
//! flattened variables (declaration order, row-major), and computed arrays are chained (`J = S · J_array`), not expanded.

use std::collections::HashMap;
use std::rc::Rc;
use std::sync::Arc;

use ravine_linalg::Csr;

use super::sparse::{assemble, kron_left, kron_right, lower, product, scaled, sum, transposed, triplets};
use crate::atoms::rules;
use crate::atoms::{ARRAY_ADD, ARRAY_SCALE, ARRAY_SUB, CONCAT, DIAG, DIAGPART, MATMUL, OUTER, STACK, TRANSPOSE};
use crate::base::Tensor;
use crate::exec::lists::{ListRef, Lister, Requests};
use crate::exec::{Fault, Machine, Plan};
use crate::ir::atom::Derivative;
use crate::ir::{DomainId, Input, InputId, InputKind, Ir, Node, NodeId, Pos};
use crate::passes::derive::{self, Depends, NoDerivative, Place};
use crate::passes::inline::inline_maps;
use crate::passes::subst::position_value;

/// Where the entries of an input stand among the columns.
#[derive(Clone, Debug)]
enum Columns {
    /// From a fixed column on, row-major.
    From(usize),
    /// One column for each instance of a domain; the list holds the entry of each instance. Where they begin is known
    /// when the domains are bound.
    Instances { domain: DomainId, entries: ListRef },
}

/// Jacobian of a computed array by all columns.
#[derive(Clone, Debug)]
enum ArrayPlan {
    /// Independent of the variables.
    Zero { len: usize },
    /// An input's own entries.
    Input { block: usize, len: usize },
    /// A product of an `m × k` and a `k × p` matrix, either of which may depend on variables.
    Product {
        left: (usize, usize),
        right: (usize, usize),
        m: usize,
        p: usize,
    },
    /// The transpose of a matrix with `cols` columns after it.
    Transpose { of: usize, rows: usize, cols: usize },
    /// A weighted sum.
    Sum { parts: Vec<(f64, usize)> },
    /// A number times an array: output and plan of each.
    Scale { by: (usize, usize), of: (usize, usize) },
    /// A vector on the diagonal.
    Diagonal { of: usize, n: usize },
    /// The diagonal of a square matrix.
    DiagonalOf { of: usize, n: usize },
    /// One array after the other.
    Stack { parts: Vec<usize> },
    /// An outer product.
    Outer {
        left: (usize, usize),
        right: (usize, usize),
        m: usize,
        p: usize,
    },
    /// Scalars by instance, placed in an array of `len` entries in order or where the list says.
    Rows {
        rows: Box<RowsPlan>,
        at: Option<ListRef>,
        len: usize,
    },
    /// Any atom, by its transposed rule, entry by entry.
    General { by: Box<General> },
}

#[derive(Clone, Debug)]
struct General {
    seed: InputId,
    len: usize,
    machine: usize,
    /// Output of the machine and plan of the argument.
    parts: Vec<(usize, usize)>,
}

/// One read of an array by a family.
#[derive(Clone, Debug)]
struct LeafPlan {
    region: DomainId,
    array: usize,
    at: ListRef,
    value: ListRef,
}

/// A family's rows.
#[derive(Clone, Debug)]
pub struct RowsPlan {
    /// One row per instance.
    pub domain: DomainId,
    value: ListRef,
    leaves: Vec<LeafPlan>,
}

#[derive(Clone, Debug)]
struct BlockPlan {
    row: (usize, ListRef),
    col: (usize, ListRef),
    mirror: bool,
    value: ListRef,
}

/// Second derivatives of a root scalar.
#[derive(Clone, Debug)]
pub struct HessianPlan {
    blocks: Vec<BlockPlan>,
}

/// Collects what is to be evaluated together.
pub struct Builder<'a> {
    /// The program, which grows.
    pub ir: &'a mut Ir,
    requests: Requests,
    arrays: Vec<ArrayPlan>,
    memo: HashMap<NodeId, usize>,
    blocks: Vec<(InputId, Columns)>,
    fixed: usize,
    machines: Vec<Plan>,
}

impl<'a> Builder<'a> {
    /// A builder whose columns are the entries of `vars` in order.
    pub fn new(ir: &'a mut Ir, vars: &[InputId]) -> Self {
        let mut fixed = 0;
        let mut blocks = vec![];
        for v in vars {
            blocks.push((*v, Columns::From(fixed)));
            fixed += len_of(ir, *v);
        }
        Builder {
            ir,
            requests: Requests::default(),
            arrays: vec![],
            memo: HashMap::new(),
            blocks,
            fixed,
            machines: vec![],
        }
    }
    /// Adds columns for an input that is read at the positions of a domain's indices only: one for each instance.
    pub fn instances(&mut self, input: InputId, domain: DomainId) {
        let at = chain_positions(self.ir, domain);
        let shape: Vec<usize> = self.ir.input(input).dims.iter().map(|s| s.len()).collect();
        let entry = flat(self.ir, &shape, &at);
        let entries = self.requests.list(domain, entry);
        self.blocks.push((input, Columns::Instances { domain, entries }));
    }
    /// Asks for a scalar by instance.
    pub fn list(&mut self, domain: DomainId, node: NodeId) -> ListRef {
        self.requests.list(domain, node)
    }
    /// Asks for a root node.
    pub fn output(&mut self, node: NodeId) -> usize {
        self.requests.output(node)
    }
    /// The rows of a family: derivatives of `node` and values of `value` (usually the same node) by instance.
    ///
    /// # Errors
    /// If an atom on the way has no derivative.
    pub fn rows(&mut self, domain: DomainId, node: NodeId, value: NodeId) -> Result<RowsPlan, NoDerivative> {
        let value = self.requests.list(domain, value);
        let mut leaves = vec![];
        for leaf in derive::partials(self.ir, node, domain)? {
            let (array, at) = self.place(
                leaf.region,
                &Place {
                    array: leaf.array,
                    at: leaf.at,
                },
            )?;
            leaves.push(LeafPlan {
                region: leaf.region,
                array,
                at,
                value: self.requests.list(leaf.region, leaf.value),
            });
        }
        Ok(RowsPlan { domain, value, leaves })
    }
    /// The blocks of a root scalar's Hessian.
    ///
    /// # Errors
    /// If an atom on the way has no derivative.
    pub fn hessian(&mut self, blocks: Vec<derive::Block>) -> Result<HessianPlan, NoDerivative> {
        let mut out = vec![];
        for b in blocks {
            out.push(BlockPlan {
                row: self.place(b.region, &b.row)?,
                col: self.place(b.region, &b.col)?,
                mirror: b.mirror,
                value: self.requests.list(b.region, b.value),
            });
        }
        Ok(HessianPlan { blocks: out })
    }
    fn place(&mut self, region: DomainId, p: &Place) -> Result<(usize, ListRef), NoDerivative> {
        let shape = self.ir.shape(p.array).to_vec();
        let at = flat(self.ir, &shape, &p.at);
        Ok((self.array(p.array)?, self.requests.list(region, at)))
    }

    fn add(&mut self, plan: ArrayPlan) -> usize {
        self.arrays.push(plan);
        self.arrays.len() - 1
    }
    fn array(&mut self, n: NodeId) -> Result<usize, NoDerivative> {
        if let Some(k) = self.memo.get(&n) {
            return Ok(*k);
        }
        let plan = self.plan_array(n)?;
        let k = self.add(plan);
        self.memo.insert(n, k);
        Ok(k)
    }
    fn plan_array(&mut self, n: NodeId) -> Result<ArrayPlan, NoDerivative> {
        let len = self.ir.shape(n).iter().product();
        if !Depends::on_vars(self.ir).has(self.ir, n) {
            return Ok(ArrayPlan::Zero { len });
        }
        match self.ir.node(n).clone() {
            Node::Input(i) => Ok(match self.blocks.iter().position(|b| b.0 == i) {
                Some(block) => ArrayPlan::Input { block, len },
                None => ArrayPlan::Zero { len },
            }),
            Node::Map { domain, body } => {
                let body = inline_maps(self.ir, body);
                let rows = Box::new(self.rows(domain, body, body)?);
                Ok(ArrayPlan::Rows { rows, at: None, len })
            }
            Node::Scatter {
                domain,
                shape,
                at,
                body,
                ..
            } => {
                let body = inline_maps(self.ir, body);
                let rows = Box::new(self.rows(domain, body, body)?);
                let at = flat(self.ir, &shape, &at);
                let at = Some(self.requests.list(domain, at));
                Ok(ArrayPlan::Rows { rows, at, len })
            }
            Node::Apply { atom, args } => self.plan_apply(n, atom, &args, len),
            // A number at the root.
            _ => {
                let body = inline_maps(self.ir, n);
                let rows = Box::new(self.rows(DomainId::ROOT, body, body)?);
                Ok(ArrayPlan::Rows { rows, at: None, len })
            }
        }
    }
    fn valued(&mut self, n: NodeId) -> Result<(usize, usize), NoDerivative> {
        Ok((self.requests.output(n), self.array(n)?))
    }
    fn plan_apply(
        &mut self,
        n: NodeId,
        atom: crate::ir::AtomRef,
        args: &[NodeId],
        len: usize,
    ) -> Result<ArrayPlan, NoDerivative> {
        let shape = |b: &Self, k: usize| b.ir.shape(args[k]).to_vec();
        if atom == MATMUL {
            let (a, b) = (shape(self, 0), shape(self, 1));
            let m = if a.len() == 2 { a[0] } else { 1 };
            let p = if b.len() == 2 { b[1] } else { 1 };
            return Ok(ArrayPlan::Product {
                left: self.valued(args[0])?,
                right: self.valued(args[1])?,
                m,
                p,
            });
        }
        if atom == TRANSPOSE && shape(self, 0).len() == 2 {
            let s = shape(self, 0);
            return Ok(ArrayPlan::Transpose {
                of: self.array(args[0])?,
                rows: s[0],
                cols: s[1],
            });
        }
        if atom == ARRAY_ADD || atom == ARRAY_SUB {
            let mut parts = vec![];
            for (k, a) in args.iter().enumerate() {
                let sign = if atom == ARRAY_SUB && k > 0 { -1.0 } else { 1.0 };
                parts.push((sign, self.array(*a)?));
            }
            return Ok(ArrayPlan::Sum { parts });
        }
        if atom == ARRAY_SCALE {
            return Ok(ArrayPlan::Scale {
                by: self.valued(args[0])?,
                of: self.valued(args[1])?,
            });
        }
        if atom == DIAG || atom == DIAGPART {
            let n = shape(self, 0)[0];
            let of = self.array(args[0])?;
            return Ok(if atom == DIAG {
                ArrayPlan::Diagonal { of, n }
            } else {
                ArrayPlan::DiagonalOf { of, n }
            });
        }
        if atom == OUTER {
            let (m, p) = (shape(self, 0)[0], shape(self, 1)[0]);
            return Ok(ArrayPlan::Outer {
                left: self.valued(args[0])?,
                right: self.valued(args[1])?,
                m,
                p,
            });
        }
        if atom == STACK || atom == CONCAT {
            let mut parts = vec![];
            for a in args {
                parts.push(self.array(*a)?);
            }
            return Ok(ArrayPlan::Stack { parts });
        }
        if self.ir.shape(n).is_empty() && !matches!(atom.derivative, Derivative::Rule { .. }) {
            let body = inline_maps(self.ir, n);
            let rows = Box::new(self.rows(DomainId::ROOT, body, body)?);
            return Ok(ArrayPlan::Rows { rows, at: None, len });
        }
        self.plan_general(n, atom, args, len)
    }
    fn plan_general(
        &mut self,
        n: NodeId,
        atom: crate::ir::AtomRef,
        args: &[NodeId],
        len: usize,
    ) -> Result<ArrayPlan, NoDerivative> {
        let Derivative::Rule { vjp, .. } = atom.derivative else {
            return Err(NoDerivative {
                node: n,
                atom: atom.0.name,
                reason: "no rule for arrays",
            });
        };
        let dims = self
            .ir
            .shape(n)
            .iter()
            .map(|k| crate::base::value::IndexSet::upto(*k))
            .collect();
        let seed = self.ir.add_input(Input {
            name: "·".into(),
            kind: InputKind::Seed,
            dims,
            sparse: false,
            sign: crate::ir::Sign::Unknown,
        });
        let ct = self.ir.read(seed);
        let mut depends = Depends::on_vars(self.ir);
        let wanted: Vec<bool> = args.iter().map(|a| depends.has(self.ir, *a)).collect();
        let cotangents = vjp(self.ir, args, n, ct, &wanted);
        let mut outputs = vec![];
        let mut parts = vec![];
        for (a, v) in args.iter().zip(cotangents) {
            if let Some(v) = v {
                parts.push((outputs.len(), self.array(*a)?));
                outputs.push(v);
            }
        }
        self.machines.push(Plan::compile(self.ir, &outputs));
        Ok(ArrayPlan::General {
            by: Box::new(General {
                seed,
                len,
                machine: self.machines.len() - 1,
                parts,
            }),
        })
    }

    /// Compiles everything asked for.
    pub fn compile(self) -> Program {
        Program {
            lister: self.requests.compile(self.ir),
            arrays: self.arrays,
            blocks: self.blocks,
            fixed: self.fixed,
            machines: self.machines.into_iter().map(|p| Machine::new(Arc::new(p))).collect(),
            jacobians: vec![],
            starts: vec![],
            columns: 0,
        }
    }
}

fn len_of(ir: &Ir, i: InputId) -> usize {
    ir.input(i).dims.iter().map(|s| s.len()).product()
}

/// Positions of all indices of a chain, outermost first.
pub fn chain_positions(ir: &Ir, domain: DomainId) -> Vec<Pos> {
    ir.chain(domain)
        .iter()
        .flat_map(|d| ir.domain(*d).indices.clone())
        .map(Pos::index)
        .collect()
}

/// The row-major number of an entry, as a scalar.
fn flat(ir: &mut Ir, shape: &[usize], at: &[Pos]) -> NodeId {
    let mut stride = 1i64;
    let mut sum = ir.constant(0.0);
    for (p, n) in at.iter().zip(shape).rev() {
        let v = position_value(ir, p, 0);
        let v = if stride == 1 {
            v
        } else {
            rules::times(ir, stride as f64, v)
        };
        sum = rules::add(ir, sum, v);
        stride *= *n as i64;
    }
    sum
}

/// What was compiled, with the values of the current binding and point.
#[derive(Clone)]
pub struct Program {
    lister: Lister,
    arrays: Vec<ArrayPlan>,
    blocks: Vec<(InputId, Columns)>,
    fixed: usize,
    machines: Vec<Machine>,
    jacobians: Vec<Option<Rc<Csr>>>,
    starts: Vec<usize>,
    columns: usize,
}

impl Program {
    /// Binds a parameter.
    pub fn set(&mut self, input: InputId, value: &Arc<Tensor>) {
        self.lister.set(input, value.clone());
        self.machines.iter_mut().for_each(|m| m.set(input, value.clone()));
    }
    /// Sets the variables (those with fixed columns) from the flattened point.
    pub fn set_point(&mut self, x: &[f64], vars: &[(InputId, usize)]) {
        let mut at = 0;
        for (input, len) in vars {
            let part = &x[at..at + len];
            self.lister.set_point(*input, part);
            self.machines.iter_mut().for_each(|m| m.set_point(*input, part));
            at += len;
        }
    }
    /// Evaluates lists and outputs; Jacobians follow when asked for.
    ///
    /// # Errors
    /// Where an index leaves its array or a kernel fails.
    pub fn eval(&mut self) -> Result<(), Fault> {
        self.lister.eval()?;
        self.jacobians = vec![None; self.arrays.len()];
        let mut at = self.fixed;
        self.starts.clear();
        for (_, c) in &self.blocks {
            match c {
                Columns::From(k) => self.starts.push(*k),
                Columns::Instances { domain, .. } => {
                    self.starts.push(at);
                    at += self.lister.count(*domain);
                }
            }
        }
        self.columns = at;
        Ok(())
    }
    /// Number of columns under the current binding.
    pub fn columns(&self) -> usize {
        self.columns
    }
    /// First column of an input.
    pub fn start_of(&self, input: InputId) -> Option<usize> {
        let k = self.blocks.iter().position(|b| b.0 == input)?;
        self.starts.get(k).copied()
    }
    /// The lists and outputs.
    pub fn lister(&self) -> &Lister {
        &self.lister
    }
    /// Values of a family.
    pub fn values(&self, rows: &RowsPlan) -> &[f64] {
        self.lister.values(rows.value)
    }
    /// The Jacobian of a family under the current binding and point.
    ///
    /// # Errors
    /// Where a kernel fails.
    pub fn jacobian(&mut self, rows: &RowsPlan) -> Result<Csr, Fault> {
        let count = self.lister.count(rows.domain);
        let mut direct = vec![];
        let mut total: Option<Csr> = None;
        for leaf in &rows.leaves {
            let up = self.lister.ancestors(leaf.region, rows.domain);
            if let Some(cols) = self.direct_columns(leaf.array, leaf.at) {
                let values = self.lister.values(leaf.value);
                direct.extend(up.iter().zip(cols).zip(values).map(|((r, c), v)| (*r, c, *v)));
                continue;
            }
            let inner = self.array_jacobian(leaf.array)?;
            let at = self.lister.values(leaf.at);
            let values = self.lister.values(leaf.value);
            let entries = up
                .iter()
                .zip(at)
                .zip(values)
                .map(|((r, c), v)| (*r, *c as usize, *v))
                .collect();
            let part = product(&assemble(count, inner.rows, entries), &inner);
            total = Some(match total {
                Some(t) => sum(&t, 1.0, &part),
                None => part,
            });
        }
        let own = assemble(count, self.columns, direct);
        Ok(match total {
            Some(t) => sum(&own, 1.0, &t),
            None => own,
        })
    }
    /// The lower triangle of a Hessian under the current binding and point.
    ///
    /// # Errors
    /// Where a kernel fails.
    pub fn hessian(&mut self, plan: &HessianPlan) -> Result<Csr, Fault> {
        let n = self.columns;
        let mut direct = vec![];
        let mut total: Option<Csr> = None;
        for b in &plan.blocks {
            let values = self.lister.values(b.value).to_vec();
            let pair = (
                self.direct_columns(b.row.0, b.row.1),
                self.direct_columns(b.col.0, b.col.1),
            );
            if let (Some(rows), Some(cols)) = pair {
                for ((r, c), v) in rows.into_iter().zip(cols).zip(values) {
                    if r >= c {
                        direct.push((r, c, v));
                    }
                    if b.mirror && c >= r {
                        direct.push((c, r, v));
                    }
                }
                continue;
            }
            let (left, right) = (self.array_jacobian(b.row.0)?, self.array_jacobian(b.col.0)?);
            let at = |l: ListRef| self.lister.values(l).iter().map(|v| *v as usize).collect::<Vec<_>>();
            let entries = at(b.row.1)
                .into_iter()
                .zip(at(b.col.1))
                .zip(values)
                .map(|((r, c), v)| (r, c, v))
                .collect();
            let middle = assemble(left.rows, right.rows, entries);
            let full = product(&transposed(&left), &product(&middle, &right));
            let full = if b.mirror {
                sum(&full, 1.0, &transposed(&full))
            } else {
                full
            };
            total = Some(match total {
                Some(t) => sum(&t, 1.0, &full),
                None => full,
            });
        }
        let own = assemble(n, n, direct);
        Ok(match total {
            Some(t) => sum(&own, 1.0, &lower(&t)),
            None => own,
        })
    }

    /// Columns of a list of entries, where the array is an input.
    fn direct_columns(&self, array: usize, at: ListRef) -> Option<Vec<usize>> {
        let ArrayPlan::Input { block, .. } = self.arrays[array] else {
            return None;
        };
        let at = self.lister.values(at);
        let start = self.starts[block];
        Some(match &self.blocks[block].1 {
            Columns::From(_) => at.iter().map(|v| start + *v as usize).collect(),
            Columns::Instances { entries, .. } => {
                let entries = self.lister.values(*entries);
                at.iter().map(|v| start + entries.partition_point(|e| e < v)).collect()
            }
        })
    }

    fn array_jacobian(&mut self, k: usize) -> Result<Rc<Csr>, Fault> {
        if let Some(j) = &self.jacobians[k] {
            return Ok(j.clone());
        }
        let plan = self.arrays[k].clone();
        let n = self.columns;
        let j = match plan {
            ArrayPlan::Zero { len } => Csr::zeros(len, n),
            ArrayPlan::Input { block, len } => {
                let start = self.starts[block];
                let entries = match &self.blocks[block].1 {
                    Columns::From(_) => (0..len).map(|i| (i, start + i, 1.0)).collect(),
                    Columns::Instances { entries, .. } => {
                        let at = self.lister.values(*entries);
                        at.iter()
                            .enumerate()
                            .map(|(i, e)| (*e as usize, start + i, 1.0))
                            .collect()
                    }
                };
                assemble(len, n, entries)
            }
            ArrayPlan::Product { left, right, m, p } => {
                let (by_left, by_right) = (self.array_jacobian(left.1)?, self.array_jacobian(right.1)?);
                let inner = if p == 0 { 0 } else { by_right.rows / p };
                let mut out = Csr::zeros(m * p, n);
                if !by_right.values.is_empty() {
                    let a = self.shaped(left.0, m, inner);
                    out = product(&kron_left(&a, p), &by_right);
                }
                if !by_left.values.is_empty() {
                    let b = self.shaped(right.0, inner, p);
                    out = sum(&out, 1.0, &product(&kron_right(&transposed(&b), m), &by_left));
                }
                out
            }
            ArrayPlan::Transpose { of, rows, cols } => {
                let j = self.array_jacobian(of)?;
                let entries = triplets(&j)
                    .map(|(r, c, v)| ((r % cols) * rows + r / cols, c, v))
                    .collect();
                assemble(rows * cols, n, entries)
            }
            ArrayPlan::Sum { parts } => {
                let mut out: Option<Csr> = None;
                for (s, k) in parts {
                    let j = self.array_jacobian(k)?;
                    out = Some(match out {
                        None => scaled(&j, s),
                        Some(o) => sum(&o, s, &j),
                    });
                }
                out.unwrap_or_else(|| Csr::zeros(0, n))
            }
            ArrayPlan::Scale { by, of } => {
                let factor = self.lister.entries(by.0).first().copied().unwrap_or(f64::NAN);
                let mut out = scaled(&*self.array_jacobian(of.1)?, factor);
                let by = self.array_jacobian(by.1)?;
                if !by.values.is_empty() {
                    let v = self.lister.entries(of.0);
                    let column = assemble(v.len(), 1, v.iter().enumerate().map(|(i, v)| (i, 0, *v)).collect());
                    out = sum(&out, 1.0, &product(&column, &by));
                }
                out
            }
            ArrayPlan::Diagonal { of, n: k } => {
                let j = self.array_jacobian(of)?;
                assemble(k * k, n, triplets(&j).map(|(r, c, v)| (r * k + r, c, v)).collect())
            }
            ArrayPlan::DiagonalOf { of, n: k } => {
                let j = self.array_jacobian(of)?;
                let entries = triplets(&j).filter(|t| t.0 / k == t.0 % k);
                assemble(k, n, entries.map(|(r, c, v)| (r / k, c, v)).collect())
            }
            ArrayPlan::Stack { parts } => {
                let mut rows = 0;
                let mut entries = vec![];
                for k in parts {
                    let j = self.array_jacobian(k)?;
                    entries.extend(triplets(&j).map(|(r, c, v)| (rows + r, c, v)));
                    rows += j.rows;
                }
                assemble(rows, n, entries)
            }
            ArrayPlan::Outer { left, right, m, p } => {
                let (u, v) = (self.lister.entries(left.0), self.lister.entries(right.0));
                let (ju, jv) = (self.array_jacobian(left.1)?, self.array_jacobian(right.1)?);
                let mut entries = vec![];
                for (r, c, d) in triplets(&ju) {
                    entries.extend((0..p).map(|j| (r * p + j, c, d * v[j])));
                }
                for (r, c, d) in triplets(&jv) {
                    entries.extend((0..m).map(|i| (i * p + r, c, d * u[i])));
                }
                assemble(m * p, n, entries)
            }
            ArrayPlan::Rows { rows, at, len } => {
                let j = self.jacobian(&rows)?;
                match at {
                    None => j,
                    Some(at) => {
                        let at = self.lister.values(at);
                        let entries = triplets(&j).map(|(r, c, v)| (at[r] as usize, c, v)).collect();
                        assemble(len, n, entries)
                    }
                }
            }
            ArrayPlan::General { by } => self.general(&by)?,
        };
        let j = Rc::new(j);
        self.jacobians[k] = Some(j.clone());
        Ok(j)
    }

    fn shaped(&self, output: usize, rows: usize, cols: usize) -> Csr {
        let m = self.lister.matrix(output);
        if (m.rows, m.cols) == (rows, cols) {
            return m;
        }
        // A vector that is read as one row.
        assemble(
            rows,
            cols,
            triplets(&m)
                .map(|(r, c, v)| {
                    let k = r * m.cols + c;
                    (k / cols.max(1), k % cols.max(1), v)
                })
                .collect(),
        )
    }

    /// Row by row: the cotangents of the arguments for each entry of the result.
    fn general(&mut self, by: &General) -> Result<Csr, Fault> {
        let mut seed = vec![0.0; by.len];
        let mut total = Csr::zeros(by.len, self.columns);
        let mut entries: Vec<Vec<(usize, usize, f64)>> = vec![vec![]; by.parts.len()];
        for i in 0..by.len {
            seed[i] = 1.0;
            let m = &mut self.machines[by.machine];
            m.set_point(by.seed, &seed);
            m.eval()?;
            for (part, (output, _)) in entries.iter_mut().zip(&by.parts) {
                let t = m.tensor(*output, vec![]);
                let dense = match &t.storage {
                    crate::base::value::Storage::Dense(d) => d.clone(),
                    crate::base::value::Storage::Sparse(s) => s.to_dense().data,
                };
                part.extend(
                    dense
                        .iter()
                        .enumerate()
                        .filter(|e| *e.1 != 0.0)
                        .map(|(c, v)| (i, c, *v)),
                );
            }
            seed[i] = 0.0;
        }
        for (part, (_, array)) in entries.into_iter().zip(&by.parts) {
            let j = self.array_jacobian(*array)?;
            total = sum(&total, 1.0, &product(&assemble(by.len, j.rows, part), &j));
        }
        Ok(total)
    }
}
