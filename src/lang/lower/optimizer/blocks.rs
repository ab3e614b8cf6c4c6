//! Blocks of the point: which fit an `each`, their parts of a point, and points with blocks exchanged.
//!
//! Invariant: the lines of an `each` are lowered once for each block, each time with the names and sizes of that block.

use std::collections::BTreeMap;
use std::rc::Rc;

use super::super::{Arr, Lower, Lowered, Src, Val, err};
use super::builder::{Builder, Turn, Var};
use super::lines::changes;
use crate::base::value::{Elem, IndexSet};
use crate::base::{Code, Span};
use crate::ir::Pos;
use crate::ir::script::Op;
use crate::lang::syntax::{Ident, StepStmt, TypeExpr};

impl Builder<'_> {
    pub fn block_fits(&self, ty: Option<&TypeExpr>, k: usize) -> bool {
        match ty {
            Some(t) => {
                let rank = match t.name.text.as_str() {
                    "Symmetric" | "Diagonal" => 2,
                    _ => t.dims.len(),
                };
                let lens: Vec<usize> = self.blocks[k].dims.iter().map(IndexSet::len).collect();
                if lens.len() != rank {
                    return false;
                }
                if t.dims.len() < rank {
                    return lens.iter().all(|n| *n == lens[0]);
                }
                // A size is the same wherever it stands.
                let mut bound: Vec<(&str, usize)> = vec![];
                t.dims.iter().zip(lens).all(|(d, n)| match d.as_name() {
                    Some(name) => {
                        let known = bound.iter().find(|b| b.0 == name).map(|b| b.1);
                        bound.push((name, n));
                        known.or(self.size_given(name)).is_none_or(|m| m == n)
                    }
                    None => d.as_integer().is_none_or(|m| m == n as i64),
                })
            }
            None => true,
        }
    }

    /// The index sets of a block within the lines of an `each`: sizes of its type count from 1 whatever the variable's own
    /// sets are, sets of the session stay, and what is not of the type is a vector.
    fn seen(&self, ty: Option<&TypeExpr>, k: usize, own: bool) -> Vec<IndexSet> {
        let b = &self.blocks[k];
        let Some(t) = ty.filter(|_| own) else {
            return vec![IndexSet::upto(b.len)];
        };
        let named = |place: usize| t.dims.get(place).or(t.dims.first()).and_then(|d| d.as_name());
        let seen = |(place, d): (usize, &IndexSet)| match named(place).and_then(|n| self.session_set(n)) {
            Some(_) => d.clone(),
            None => IndexSet::upto(d.len()),
        };
        b.dims.iter().enumerate().map(seen).collect()
    }

    pub fn enter_block(&mut self, name: &Ident, ty: Option<&TypeExpr>, k: usize, own: bool) -> Lowered<()> {
        let dims = self.seen(ty, k, own);
        self.each.push(Turn {
            name: name.text.clone(),
            block: k,
            dims,
        });
        if let (Some(t), true) = (ty, own) {
            let lens: Vec<usize> = self.blocks[k].dims.iter().map(IndexSet::len).collect();
            for (d, n) in t.dims.iter().zip(lens) {
                // A set stays one.
                if let Some(s) = d.as_name()
                    && self.session_set(s).is_none()
                {
                    self.sizes.push((s.to_string(), n));
                }
            }
        }
        let x = match self.vars.get("x").cloned() {
            Some(x) => x,
            None => self.x.clone(),
        };
        let block = self.seen_block(&x, &name.text, name.span)?;
        let piece = Some(self.current());
        self.vars.insert(name.text.clone(), Var { val: block, piece });
        Ok(())
    }

    pub fn leave_block(&mut self, name: &Ident) {
        self.each.pop();
        self.sizes.clear();
        self.vars.shift_remove(&name.text);
    }

    pub fn each_block(
        &mut self,
        name: &Ident,
        ty: Option<&TypeExpr>,
        body: &[StepStmt],
        otherwise: &[StepStmt],
        span: Span,
    ) -> Lowered<()> {
        let mut parts = vec![];
        let fit: Vec<bool> = (0..self.blocks.len()).map(|k| self.block_fits(ty, k)).collect();
        for k in 0..fit.len() {
            let own = fit[k];
            self.alike = fit.iter().filter(|f| **f == own).count();
            self.enter_block(name, ty, k, own)?;
            let start = self.vars.get(&name.text).map(|v| v.val.clone());
            let inside: Vec<(String, String)> = self
                .states
                .iter()
                .filter(|s| s.part == self.part)
                .filter_map(|s| {
                    s.key
                        .strip_suffix(&format!("@{k}"))
                        .map(|n| (n.to_string(), s.key.clone()))
                })
                .collect();
            for (n, key) in &inside {
                if let Some(v) = self.vars.get(key).cloned() {
                    self.vars.insert(n.clone(), v);
                }
            }
            let changed = changes(if own { body } else { otherwise }).contains(&name.text);
            self.lines(if own { body } else { otherwise })?;
            for (n, key) in &inside {
                if let Some(v) = self.vars.shift_remove(n) {
                    self.vars.insert(key.clone(), v);
                }
            }
            if changed && let Some(v) = self.vars.get(&name.text).cloned() {
                if let Some(s) = start {
                    self.same_shape(&name.text, s.dims(), &v.val, span)?;
                }
                parts.push((k, v));
            }
            self.leave_block(name);
        }
        if !parts.is_empty() {
            let x = self.splice("x", &parts, span)?;
            self.vars.insert("x".into(), x);
        }
        Ok(())
    }

    /// The block that an `each` runs for under this name.
    pub fn turn(&self, name: &str) -> Option<&Turn> {
        self.each.iter().rev().find(|t| t.name == name)
    }

    /// The part of a point that belongs to the block of that name, as the lines of its `each` see it.
    pub fn seen_block(&mut self, point: &Var, name: &str, span: Span) -> Lowered<Val> {
        let Some(Turn { block, dims, .. }) = self.turn(name).cloned() else {
            return Err(err(Code::UnknownName, format!("`{name}` is no block here"))
                .at(span, "here")
                .into());
        };
        if dims.len() != self.blocks[block].dims.len() {
            return self.flat(block, point, span);
        }
        let v = self.settled(point, span)?;
        self.block_of(v, block, dims, span)
    }

    /// The part of a point that belongs to a block, over these index sets.
    pub fn block_of(&mut self, v: Val, k: usize, dims: Vec<IndexSet>, span: Span) -> Lowered<Val> {
        let Val::Arr(a) = v else {
            return Err(err(Code::WrongType, "only a point has blocks").at(span, "here").into());
        };
        if a.dims != [self.point.clone()] {
            return Err(err(Code::WrongType, "only a point has blocks").at(span, "here").into());
        }
        let offset = self.blocks[k].offset;
        let lens: Vec<usize> = dims.iter().map(IndexSet::len).collect();
        let pull = Rc::new(move |l: &mut Lower<'_>, at: &[Pos]| {
            let (mut terms, mut first, mut stride): (BTreeMap<_, i64>, i64, i64) =
                (Default::default(), offset as i64, 1);
            for (p, n) in at.iter().zip(&lens).rev() {
                match p {
                    Pos::Affine { terms: t, offset } => {
                        first += stride * offset;
                        for (i, c) in t {
                            *terms.entry(*i).or_insert(0) += stride * c;
                        }
                    }
                    Pos::Node(_) => {
                        return Err(err(
                            Code::NotBuiltYet,
                            "entries of a block at computed places are not built yet",
                        )
                        .at(span, "here")
                        .into());
                    }
                }
                stride *= *n as i64;
            }
            let terms = terms.into_iter().filter(|(_, c)| *c != 0).collect();
            l.entry(&a, &[Pos::Affine { terms, offset: first }])
        });
        if dims.is_empty() {
            let n = pull(&mut self.l, &[])?;
            return Ok(Val::Num(n, Elem::Real));
        }
        Ok(Val::Arr(Arr {
            dims,
            src: Src::Pull(pull),
            covector: false,
            elem: Elem::Real,
        }))
    }

    fn flat(&mut self, k: usize, x: &Var, span: Span) -> Lowered<Val> {
        let from = self.reg_of(x, span)?;
        let dims = vec![IndexSet::upto(self.blocks[k].len)];
        let to = self.register("block", dims.clone());
        self.push(Op::Slice {
            from,
            offset: self.blocks[k].offset,
            to,
        });
        Ok(self.read(to, &dims))
    }

    /// A point with some of its blocks exchanged.
    pub fn splice(&mut self, name: &str, parts: &[(usize, Var)], span: Span) -> Lowered<Var> {
        let old = match self.vars.get(name).cloned() {
            Some(v) => v,
            None => {
                return Err(err(Code::UnknownName, format!("`{name}` is not known here"))
                    .at(span, "here")
                    .into());
            }
        };
        let dims = vec![self.point.clone()];
        let to = self.register(name, dims.clone());
        let mut regs = vec![];
        for (k, v) in parts {
            regs.push((self.blocks[*k].offset, self.reg_of(v, span)?));
        }
        let from = self.reg_of(&old, span)?;
        self.push(Op::Copy { from, to });
        for (offset, from) in regs {
            self.push(Op::Splice { from, offset, to });
        }
        Ok(Var::free(self.read(to, &dims)))
    }
}
