//! Second derivatives of a root scalar as a sparse matrix over the columns of a row program.
//!
//! Invariant: the pattern is found once; assembling adds up blocks in their order, so the bits do not depend on threads.

use std::collections::BTreeSet;
use std::sync::Arc;

use ravine_linalg::{Csr, Dense, Matrix};

use super::rows::{Columns, List, Memo, NoRows, Places, RowsBuilder, RowsProgram};
use crate::base::Tensor;
use crate::exec::Fault;
use crate::ir::{InputId, Ir, NodeId};
use crate::passes::derive::{self, Second};

/// A block of the Hessian: values at (row, column), mirrored or not.
#[derive(Clone, Debug)]
struct Block {
    row: Places,
    col: Places,
    value: List,
    mirror: bool,
}

/// Where the second derivatives of one scalar stand in a row program.
#[derive(Clone, Debug)]
pub struct Hessian {
    blocks: Vec<Block>,
}

impl Hessian {
    /// Of a root scalar; the error says what has no structure.
    pub fn new(b: &mut RowsBuilder<'_>, root: NodeId) -> Result<Hessian, NoRows> {
        let blocks = match derive::second_partials(b.ir, root)? {
            Second::Blocks(blocks) => blocks,
            Second::Unstructured(u) => {
                return Err(NoRows {
                    node: u.node,
                    why: u.why,
                });
            }
        };
        let mut out = vec![];
        for k in blocks {
            out.push(Block {
                row: b.places(k.region, k.row.array, &k.row.at)?,
                col: b.places(k.region, k.col.array, &k.col.at)?,
                value: b.list(k.region, k.value),
                mirror: k.mirror,
            });
        }
        Ok(Hessian { blocks: out })
    }

    /// Both triangles, after the program was evaluated. The diagonal is always stored, so that a shift never changes the
    /// pattern.
    pub fn assemble(&self, rows: &RowsProgram, memo: &mut Memo) -> Csr {
        let n = rows.width();
        let mut direct: Vec<(usize, usize, f64)> = vec![];
        let mut total: Option<Csr> = None;
        for b in &self.blocks {
            let v = rows.values(b.value);
            match (rows.variable(&b.row), rows.variable(&b.col)) {
                (Some(r0), Some(c0)) => {
                    let (r, c) = (rows.flat(&b.row), rows.flat(&b.col));
                    for ((r, c), v) in r.iter().zip(&c).zip(v) {
                        direct.push((r0 + r, c0 + c, *v));
                        if b.mirror {
                            direct.push((c0 + c, r0 + r, *v));
                        }
                    }
                }
                _ => {
                    let r = rows.place_rows(&b.row, memo);
                    let mut c = rows.place_rows(&b.col, memo);
                    c.scale_rows(v);
                    let part = r.transpose().mul(&c);
                    let part = if b.mirror {
                        part.add(1.0, &part.transpose(), 1.0)
                    } else {
                        part
                    };
                    total = Some(match total {
                        None => part,
                        Some(t) => t.add(1.0, &part, 1.0),
                    });
                }
            }
        }
        direct.extend((0..n).map(|i| (i, i, 0.0)));
        let direct = Csr::from_triplets(n, n, &direct);
        match total {
            None => direct,
            Some(t) => t.add(1.0, &direct, 1.0),
        }
    }
}

/// Which of some root scalars of degree 2 are convex for these parameters: their constant Hessians are positive semidefinite.
pub fn convex_quadratics(
    ir: &mut Ir,
    nodes: &[NodeId],
    columns: &Columns,
    params: &[(InputId, Arc<Tensor>)],
) -> BTreeSet<NodeId> {
    let mut convex = BTreeSet::new();
    for node in nodes {
        let mut b = RowsBuilder::new(ir, columns.clone());
        let Ok(h) = Hessian::new(&mut b, *node) else { continue };
        let mut rows = b.finish();
        rows.bind(params);
        if rows.eval(&vec![0.0; columns.len()]).is_err() {
            continue;
        }
        let h = h.assemble(&rows, &mut Memo::default());
        if ravine_linalg::spectrum::is_psd(&Matrix::Sparse(h), 1e-12).is_ok_and(|r| r.0) {
            convex.insert(*node);
        }
    }
    convex
}

/// Rows `F` with `F'F = H` for a positive semidefinite `H`, one for each eigenvalue above rounding; columns as in `H`.
pub fn factor(h: &Csr) -> Result<Csr, Fault> {
    let used: Vec<usize> = (0..h.rows).filter(|i| h.row(*i).1.iter().any(|v| *v != 0.0)).collect();
    let k = used.len();
    let mut d = Dense {
        rows: k,
        cols: k,
        data: vec![0.0; k * k],
    };
    for (a, i) in used.iter().enumerate() {
        let (c, v) = h.row(*i);
        for (c, v) in c.iter().zip(v) {
            if let Ok(b) = used.binary_search(c) {
                d.data[a * k + b] += 0.5 * v;
                d.data[b * k + a] += 0.5 * v;
            }
        }
    }
    let (values, root) = ravine_linalg::spectrum::semidefinite_root(&d).map_err(|f| Fault {
        what: f.what,
        node: None,
        at: vec![],
    })?;
    let top = values.iter().fold(0.0f64, |m, v| m.max(v.abs()));
    let mut t = vec![];
    let mut rows = 0;
    for (j, _) in values.iter().enumerate().filter(|v| *v.1 > 1e-14 * top) {
        t.extend(used.iter().enumerate().map(|(a, i)| (rows, *i, root.at(j, a))));
        rows += 1;
    }
    Ok(Csr::from_triplets(rows, h.cols, &t))
}
