//! Finding the structure of rows: which entries of which arrays they read, and how those arrays come from variables.
//!
//! Invariant: an array is looked at once; a product of variables, or what has no derivative, is refused with its node.

use std::collections::BTreeMap;
use std::sync::Arc;

use super::super::products::NO_ENTRIES;
use super::arrays::{ArraySpec, General};
use super::program::RowsProgram;
use super::{Columns, LeafSpec, List, NoRows, Places, PosSpec, Root, RowSet, RowSpec};
use crate::atoms::{self, rules};
use crate::base::value::IndexSet;
use crate::exec::{Machine, Plan};
use crate::ir::atom::Derivative;
use crate::ir::{AtomRef, DomainId, Input, InputKind, Ir, Node, NodeId, Pos, Sign};
use crate::passes::derive::{Depends, Leaf, partials};

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
            dims: shape.iter().map(|n| IndexSet::upto(*n)).collect(),
            sparse: false,
            sign: Sign::Unknown,
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
            Node::Apply { atom, args } => self.applied(node, atom, &args),
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

    fn applied(&mut self, node: NodeId, atom: AtomRef, args: &[NodeId]) -> Result<ArraySpec, NoRows> {
        let no = |why: &str| Err(NoRows { node, why: why.into() });
        let mut depends = Depends::on_vars(self.ir);
        let len: usize = self.ir.shape(node).iter().product();
        let var: Vec<bool> = args.iter().map(|a| depends.has(self.ir, *a)).collect();
        let shape = |l: &Self, k: usize| l.ir.shape(args[k]).to_vec();
        if atom == atoms::OPAQUE {
            no(NO_ENTRIES)
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
            self.general(node, atom, args, &var)
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
