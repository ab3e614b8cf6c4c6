//! Rows of semidefinite cones from matrices in blocks, and the variables that symmetric matrices share.
//!
//! Invariant: a row of a semidefinite cone is an entry of the upper triangle, column by column, times √2 off the diagonal;
//! the order and the factor are known here and in the adapter, nowhere else.

use std::collections::BTreeMap;
use std::f64::consts::{FRAC_1_SQRT_2, SQRT_2};
use std::sync::Arc;

use ravine_linalg::Csr;
use ravine_linalg::clarabel_adapter::Cone;

use super::rows::{Columns, NoRows, RowSet, RowsBuilder, RowsProgram};
use crate::ir::atom::{Block, Fill};
use crate::ir::{DomainId, InputId, Ir};

/// Relative to the largest entry of two rows, what between them counts as rounding.
const SAME: f64 = 1e-12;

/// The form's variable of each coordinate; the identity where no variable is symmetric.
#[derive(Clone, Debug, Default)]
pub struct Fold {
    /// The variable of each coordinate, and the first coordinate of each variable.
    of: Option<Arc<(Vec<usize>, Vec<usize>)>>,
}

impl Fold {
    /// Brings the entries of symmetric variables together with their mirror images.
    pub fn new(ir: &Ir, columns: &Columns, symmetric: &[InputId]) -> Fold {
        if symmetric.is_empty() {
            return Fold::default();
        }
        let (mut of, mut leaders) = (vec![], vec![]);
        for (input, first, len) in &columns.blocks {
            let n = ir
                .input(*input)
                .dims
                .first()
                .map_or(0, crate::base::value::IndexSet::len);
            for k in 0..*len {
                let mirror = if symmetric.contains(input) {
                    (k % n) * n + k / n
                } else {
                    k
                };
                if mirror < k {
                    of.push(of[first + mirror]);
                } else {
                    of.push(leaders.len());
                    leaders.push(first + k);
                }
            }
        }
        Fold {
            of: Some(Arc::new((of, leaders))),
        }
    }

    /// The form's variable of a coordinate.
    pub fn of(&self, k: usize) -> usize {
        self.of.as_ref().map_or(k, |o| o.0[k])
    }

    /// The first coordinate with the same variable.
    pub fn leader(&self, k: usize) -> usize {
        self.of.as_ref().map_or(k, |o| o.1[o.0[k]])
    }

    /// Number of the form's variables for so many coordinates.
    pub fn width(&self, coordinates: usize) -> usize {
        self.of.as_ref().map_or(coordinates, |o| o.1.len())
    }

    /// Adds up the columns that share a variable.
    pub fn columns(&self, j: Csr) -> Csr {
        let Some(of) = &self.of else { return j };
        let t: Vec<(usize, usize, f64)> = j.triplets().map(|(r, c, v)| (r, of.0[c], v)).collect();
        Csr::from_triplets(j.rows, of.1.len(), &t)
    }

    /// Bounds of the leading coordinates: the tighter ones of all that share a variable.
    pub fn bounds(&self, lower: &[f64], upper: &[f64]) -> (Vec<f64>, Vec<f64>) {
        let (mut l, mut u) = (lower.to_vec(), upper.to_vec());
        for k in 0..l.len() {
            let first = self.leader(k);
            if first != k {
                (l[first], u[first]) = (l[first].max(l[k]), u[first].min(u[k]));
                (l[k], u[k]) = (f64::NEG_INFINITY, f64::INFINITY);
            }
        }
        (l, u)
    }

    /// The first `n` coordinates of a point of the form.
    pub fn coordinates(&self, x: &[f64], n: usize) -> Vec<f64> {
        (0..n).map(|k| x[self.of(k)]).collect()
    }
}

/// Matrices that are semidefinite, as row sets.
#[derive(Clone, Debug)]
pub struct MatrixRows {
    domain: DomainId,
    /// First row of each block, and the order at the end.
    starts: Vec<usize>,
    parts: Vec<(Block, RowSet)>,
    exact: bool,
}

/// Rows and cones of matrices for the bound data.
pub struct Made {
    /// Columns with their coefficients, and the value at the origin.
    pub rows: Vec<(Vec<(usize, f64)>, f64)>,
    /// Their cones.
    pub cones: Vec<Cone>,
    /// For a matrix of one block that the user wrote: (entry, row, factor).
    pub entries: Option<Vec<(usize, usize, f64)>>,
}

/// Entries that a row is a combination of: row set, row there, factor.
type Terms = Vec<(usize, usize, f64)>;

impl MatrixRows {
    /// Row sets of all blocks.
    pub fn new(
        b: &mut RowsBuilder<'_>,
        domain: DomainId,
        orders: &[usize],
        blocks: &[Block],
        exact: bool,
    ) -> Result<MatrixRows, NoRows> {
        let mut starts = vec![0];
        for n in orders {
            starts.push(starts.last().copied().unwrap_or(0) + n);
        }
        let mut parts = vec![];
        for block in blocks {
            let (d, node) = match block.fill {
                Fill::Identity(n) => (domain, n),
                Fill::Entries(d, n) | Fill::Diagonal(d, n) | Fill::StrictlyLower(d, n) => (d, n),
            };
            parts.push((*block, b.rows(d, node)?));
        }
        Ok(MatrixRows {
            domain,
            starts,
            parts,
            exact,
        })
    }

    /// The rows for the bound data; `jacobian` gives those of a row set.
    pub fn data(&self, rows: &RowsProgram, jacobian: &mut dyn FnMut(RowSet) -> Csr) -> Made {
        let order = self.starts.last().copied().unwrap_or(0);
        let sets: Vec<(Csr, &[f64])> = self.parts.iter().map(|(_, s)| (jacobian(*s), rows.body(*s))).collect();
        let combined = |terms: &Terms| {
            let mut row: BTreeMap<usize, f64> = BTreeMap::new();
            let (mut body, mut size) = (0.0, 0.0f64);
            for (set, at, factor) in terms {
                let (j, values) = &sets[*set];
                let (c, v) = j.row(*at);
                for (c, v) in c.iter().zip(v) {
                    *row.entry(*c).or_insert(0.0) += factor * v;
                    size = size.max((factor * v).abs());
                }
                body += factor * values[*at];
                size = size.max((factor * values[*at]).abs());
            }
            (row.into_iter().collect::<Vec<_>>(), body, size)
        };
        let mut made = Made {
            rows: vec![],
            cones: vec![],
            entries: self.exact.then(Vec::new),
        };
        let mut mirrored: Vec<(usize, usize, Terms)> = vec![];
        for r in 0..rows.instances(self.domain) {
            let mut upper: BTreeMap<(usize, usize), Terms> = BTreeMap::new();
            for (set, (block, _)) in self.parts.iter().enumerate() {
                self.place(set, block, r, &mut |i, j, at, factor| {
                    upper.entry((j, i)).or_default().push((set, at, factor));
                });
            }
            for j in 0..order {
                for i in 0..=j {
                    let none = vec![];
                    let terms = upper.get(&(j, i)).unwrap_or(&none);
                    let (mut row, mut body, _) = combined(terms);
                    if i != j {
                        row.iter_mut().for_each(|e| e.1 *= SQRT_2);
                        body *= SQRT_2;
                    }
                    if let Some(entries) = &mut made.entries {
                        let (k, first) = (made.rows.len(), r * order * order);
                        if i == j {
                            entries.push((first + i * order + i, k, 1.0));
                        } else {
                            entries.push((first + i * order + j, k, FRAC_1_SQRT_2));
                            entries.push((first + j * order + i, k, FRAC_1_SQRT_2));
                        }
                    }
                    if self.exact && i != j && terms.len() == 2 {
                        let (p, q) = (terms[0], terms[1]);
                        mirrored.push((r, i * order + j, vec![(p.0, p.1, 1.0), (q.0, q.1, -1.0)]));
                    }
                    made.rows.push((row, body));
                }
            }
            made.cones.push(Cone::Semidefinite(order));
        }
        // What is not symmetric by the data is made so by equations.
        let first = made.rows.len();
        for (r, at, terms) in mirrored {
            let (mut row, body, size) = combined(&terms);
            row.retain(|e| e.1.abs() > SAME * size);
            if row.is_empty() && body.abs() <= SAME * size {
                continue;
            }
            if let Some(entries) = &mut made.entries {
                let (i, j) = (at / order, at % order);
                entries.push((r * order * order + at, made.rows.len(), 1.0));
                entries.push((r * order * order + j * order + i, made.rows.len(), -1.0));
            }
            made.rows.push((row, body));
        }
        if made.rows.len() > first {
            made.cones.push(Cone::Zero(made.rows.len() - first));
        }
        made
    }

    /// Calls `put(i, j, row, factor)` for what a block adds to the entry `i <= j` of the matrix of instance `r`.
    fn place(&self, set: usize, block: &Block, r: usize, put: &mut dyn FnMut(usize, usize, usize, f64)) {
        let (top, left) = (self.starts[block.row], self.starts[block.col]);
        let (m, n) = (self.starts[block.row + 1] - top, self.starts[block.col + 1] - left);
        debug_assert!(block.row <= block.col && set < self.parts.len());
        match block.fill {
            Fill::Entries(..) => {
                for a in 0..m {
                    for b in 0..n {
                        let at = (r * m + a) * n + b;
                        if block.row != block.col {
                            put(top + a, left + b, at, 1.0);
                        } else {
                            put(top + a.min(b), left + a.max(b), at, if a == b { 1.0 } else { 0.5 });
                        }
                    }
                }
            }
            Fill::Identity(_) => (0..m).for_each(|a| put(top + a, left + a, r, 1.0)),
            Fill::Diagonal(..) => (0..m).for_each(|a| put(top + a, left + a, r * m + a, 1.0)),
            Fill::StrictlyLower(..) => {
                let count = m * m.saturating_sub(1) / 2;
                for a in 0..m {
                    for b in 0..a {
                        let (i, j) = (top + a, left + b);
                        put(i.min(j), i.max(j), r * count + a * (a - 1) / 2 + b, 1.0);
                    }
                }
            }
        }
    }
}
