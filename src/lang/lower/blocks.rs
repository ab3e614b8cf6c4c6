//! Literals made of blocks: `[x, y]`, `[A, B; C, D]`, running differences, total variation.
//!
//! Invariant: a number is a 1 by 1 block, a vector a column, `x'` a row; blocks of one row have one height, rows one width.

use std::rc::Rc;

use super::{Arr, Lower, Lowered, Src, Val, describe, err};
use crate::atoms::{self, rules};
use crate::base::value::{Elem, IndexSet};
use crate::base::{Code, Diagnostic, Span};
use crate::ir::{DomainId, NodeId, Pos};

impl Lower<'_> {
    /// Rows of blocks; one row of nothing but numbers and vectors, `literal`, is a vector.
    pub(super) fn blocks(&mut self, rows: Vec<Vec<Val>>, literal: bool, span: Span) -> Lowered<Val> {
        let flat = |v: &Val| matches!(v, Val::Num(..)) || matches!(v, Val::Arr(a) if a.dims.len() == 1 && !a.covector);
        let mut below: Option<NodeId> = None;
        let mut width = None;
        if literal && rows.iter().flatten().all(flat) {
            for v in rows.iter().flatten() {
                let column = match v {
                    Val::Arr(a) => self.whole(a, span)?,
                    v => self.single(v, &[1], span)?,
                };
                below = Some(self.above(below, column));
            }
            return self.block_value(below, span);
        }
        for row in &rows {
            // Side by side is the transpose of one above the other.
            let mut beside: Option<NodeId> = None;
            let mut height = None;
            for v in row {
                let block = self.block(v, span)?;
                let (h, t) = (self.ir.shape(block)[0], rules::transpose(&mut self.ir, block));
                if *height.get_or_insert(h) != h {
                    return Err(uneven("blocks side by side have one height", v, span));
                }
                beside = Some(self.above(beside, t));
            }
            let Some(t) = beside else { continue };
            let whole = rules::transpose(&mut self.ir, t);
            let w = self.ir.shape(whole)[1];
            if *width.get_or_insert(w) != w {
                return Err(uneven("rows of blocks have one width", &row[0], span));
            }
            below = Some(self.above(below, whole));
        }
        self.block_value(below, span)
    }

    fn block_value(&mut self, node: Option<NodeId>, span: Span) -> Lowered<Val> {
        let Some(n) = node else {
            return Err(err(Code::ShapeMismatch, "a literal without entries")
                .at(span, "here")
                .into());
        };
        let dims = self.ir.shape(n).iter().map(|n| IndexSet::upto(*n)).collect();
        Ok(Val::Arr(self.node_arr(n, dims)))
    }

    fn above(&mut self, top: Option<NodeId>, bottom: NodeId) -> NodeId {
        match top {
            None => bottom,
            Some(t) => self.ir.apply(atoms::CONCAT, &[t, bottom]),
        }
    }

    /// A number as an array of one entry.
    fn single(&mut self, v: &Val, shape: &[usize], span: Span) -> Lowered<NodeId> {
        let n = self.number(v, span)?;
        if self.ir.region(n) != DomainId::ROOT {
            return Err(
                err(Code::NotBuiltYet, "blocks that change with an index are not built yet")
                    .at(span, "depends on an enclosing index")
                    .help("write the entries out with a comprehension")
                    .into(),
            );
        }
        let (domain, _) = rules::plain_domain(&mut self.ir, shape);
        Ok(self.ir.map(domain, n))
    }

    /// A value as a matrix.
    fn block(&mut self, v: &Val, span: Span) -> Lowered<NodeId> {
        let Val::Arr(a) = v else {
            return self.single(v, &[1, 1], span);
        };
        let n = self.whole(a, span)?;
        match a.dims.as_slice() {
            [_, _] => Ok(n),
            [d] => {
                let shape = if a.covector { [1, d.len()] } else { [d.len(), 1] };
                let (domain, at) = rules::plain_domain(&mut self.ir, &shape);
                let entry = rules::entry(&mut self.ir, n, &[at[usize::from(a.covector)]]);
                Ok(self.ir.map(domain, entry))
            }
            _ => Err(uneven("a block has at most two dimensions", v, span)),
        }
    }

    /// `[x[2] - x[1], x[3] - x[2], …]`.
    pub(super) fn differences(&mut self, x: &Arr, span: Span) -> Lowered<Val> {
        let n = x.dims[0].len();
        let whole = self.whole(x, span)?;
        let pull = Rc::new(move |l: &mut Lower<'_>, at: &[Pos]| {
            let here = l.ir.gather(whole, vec![at[0].clone()]);
            let Some(next) = at[0].shifted(1) else {
                return Err(err(Code::NotBuiltYet, "`diff` at a computed position is not built yet")
                    .at(span, "here")
                    .into());
            };
            let next = l.ir.gather(whole, vec![next]);
            Ok(rules::sub(&mut l.ir, next, here))
        });
        Ok(Val::Arr(Arr {
            dims: vec![IndexSet::upto(n.saturating_sub(1))],
            src: Src::Pull(pull),
            covector: false,
            elem: Elem::Real,
        }))
    }

    /// Total variation: of a vector, the sum of the sizes of its differences; of a matrix, the sum of the lengths of its
    /// differences downwards and to the right.
    pub(super) fn total_variation(&mut self, x: &Arr, span: Span) -> Lowered<Val> {
        let whole = self.whole(x, span)?;
        let short: Vec<IndexSet> = x
            .dims
            .iter()
            .map(|d| IndexSet::upto(d.len().saturating_sub(1)))
            .collect();
        let atom = if short.len() == 1 { atoms::NORM1 } else { atoms::SUM };
        let n = self.fold_over(atom, &short, |l, at| {
            let here = l.ir.gather(whole, at.to_vec());
            let mut steps = vec![];
            for k in 0..at.len() {
                let mut next = at.to_vec();
                if let Some(p) = at[k].shifted(1) {
                    next[k] = p;
                }
                let next = l.ir.gather(whole, next);
                steps.push(rules::sub(&mut l.ir, next, here));
            }
            Ok(match steps.as_slice() {
                [one] => *one,
                more => l.ir.apply(atoms::HYPOT, more),
            })
        })?;
        Ok(Val::Num(n, Elem::Real))
    }
}

fn uneven(what: &str, v: &Val, span: Span) -> Box<Diagnostic> {
    err(Code::ShapeMismatch, what)
        .at(span, format!("one of them is {}", describe(v.dims())))
        .into()
}
