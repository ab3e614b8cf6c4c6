//! The graph of definitions: which cell declared a name, from which other names, and what has changed since.
//!
//! Invariant: a stamp changes exactly when what others see of a definition may have changed, so running an unchanged
//! cell again makes nothing stale.

use std::collections::{BTreeMap, BTreeSet};
use std::rc::Rc;

use indexmap::IndexMap;

use crate::base::{SourceId, SourceMap};
use crate::lang::syntax::{Expr, ExprKind, ParamDecl, Stmt, StmtKind, show, show_type};

/// What others see of a name: its declaration, the form of its value (what problems are compiled from), its value.
/// Zero for a name that is not declared.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Stamps {
    pub declared: u64,
    pub form: u64,
    pub value: u64,
}

/// A declared name.
pub(super) struct Mark {
    /// The cell that owns it.
    pub cell: Rc<str>,
    /// Its declaration.
    pub stmt: Rc<Stmt>,
    /// Expression ids of the text it stands in.
    pub exprs: u32,
    /// The expression of the last `name = …`, if a parameter was rebound since its declaration.
    pub rebound: Option<Rc<Expr>>,
    /// Names it uses.
    pub uses: BTreeSet<String>,
    /// Changes when the declaration says something else.
    declared: u64,
    /// Declarations it was checked with.
    typed: Vec<(String, u64)>,
    /// What its value was computed from.
    pub computed: Vec<(String, Watched, u64)>,
}

/// What of another name a value follows.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Watched {
    /// Its declaration only: the values that sizes and sets do not depend on.
    Declaration,
    /// Every new value.
    Value,
}

/// All declared names.
#[derive(Default)]
pub(super) struct Graph {
    marks: IndexMap<String, Mark>,
    /// Form and value by name, sizes included.
    values: BTreeMap<String, (u64, u64)>,
    /// The parameter whose value binds a size.
    sizes: BTreeMap<String, String>,
    clock: u64,
}

impl Graph {
    pub fn tick(&mut self) -> u64 {
        self.clock += 1;
        self.clock
    }

    pub fn mark(&self, name: &str) -> Option<&Mark> {
        self.marks.get(name)
    }

    /// Names that a cell owns.
    pub fn owned(&self, cell: &str) -> Vec<String> {
        let own = self.marks.iter().filter(|(_, m)| &*m.cell == cell);
        own.map(|(n, _)| n.clone()).collect()
    }

    /// Sizes that a parameter's value binds.
    pub fn sizes_of(&self, param: &str) -> Vec<String> {
        let own = self.sizes.iter().filter(|(_, p)| *p == param);
        own.map(|(n, _)| n.clone()).collect()
    }

    /// The parameter that binds a size.
    pub fn binder_of(&self, size: &str) -> Option<&str> {
        self.sizes.get(size).map(String::as_str)
    }

    pub fn set_size(&mut self, size: &str, param: &str) {
        self.sizes.insert(size.into(), param.into());
    }

    pub fn forget_size(&mut self, size: &str) {
        self.sizes.remove(size);
        self.values.remove(size);
    }

    /// A new value; a new form too if problems compiled from the old one have to be compiled again.
    pub fn new_value(&mut self, name: &str, form: bool) {
        let now = self.tick();
        let v = self.values.entry(name.into()).or_default();
        v.1 = now;
        if form || v.0 == 0 {
            v.0 = now;
        }
    }

    pub fn stamps(&self, name: &str) -> Stamps {
        let of = |n: &str| self.marks.get(n).map_or(0, |m| m.declared);
        let declared = self.sizes.get(name).map_or_else(|| of(name), |p| of(p));
        let (form, value) = self.values.get(name).copied().unwrap_or((0, 0));
        Stamps {
            declared,
            form: form.max(declared),
            value: value.max(declared),
        }
    }

    /// Declares a name, or again; answers the mark that it replaces.
    pub fn declare(
        &mut self,
        name: &str,
        cell: &Rc<str>,
        stmt: &Stmt,
        exprs: u32,
        sources: &SourceMap,
    ) -> Option<Mark> {
        let now = self.tick();
        let old = self.marks.get(name);
        let declared = match old {
            Some(o) if same(&o.stmt, stmt, sources) => o.declared,
            _ => now,
        };
        let mark = Mark {
            cell: cell.clone(),
            stmt: Rc::new(stmt.clone()),
            exprs,
            rebound: None,
            uses: stmt.uses(),
            declared,
            typed: vec![],
            computed: vec![],
        };
        let old = self.marks.insert(name.into(), mark);
        self.settle(name);
        old
    }

    /// The declaration was checked with what it uses as it is now.
    fn settle(&mut self, name: &str) {
        let typed = self.declarations(name);
        if let Some(m) = self.marks.get_mut(name) {
            m.typed = typed;
        }
    }

    /// The declaration was checked again and may mean something else now.
    pub fn rechecked(&mut self, name: &str) {
        let now = self.tick();
        if let Some(m) = self.marks.get_mut(name) {
            m.declared = now;
        }
        self.settle(name);
    }

    fn declarations(&self, name: &str) -> Vec<(String, u64)> {
        let uses = self.marks.get(name).map(|m| &m.uses);
        let uses = uses.into_iter().flatten().filter(|u| self.binder_of(u) != Some(name));
        uses.map(|u| (u.clone(), self.stamps(u).declared)).collect()
    }

    /// Names whose declarations changed since this one was checked.
    pub fn stale_types(&self, name: &str) -> Vec<String> {
        let Some(m) = self.marks.get(name) else { return vec![] };
        let now = self.declarations(name);
        let changed = now.iter().filter(|u| !m.typed.contains(u));
        changed.map(|u| u.0.clone()).collect()
    }

    /// Keeps what a value was computed from. A value given by `name = …` follows only what its sizes and sets are made of.
    pub fn computed(&mut self, name: &str, rebound: Option<&Expr>) {
        let Some(m) = self.marks.get(name) else { return };
        let mut from: Vec<(String, Watched)> = vec![];
        match &m.stmt.kind {
            StmtKind::Set(_) => from.extend(self.ground(&m.uses).into_iter().map(|n| (n, Watched::Value))),
            StmtKind::Param(d) => {
                let mut sizes = BTreeSet::new();
                d.ty.iter().flat_map(|t| &t.dims).for_each(|e| e.names_into(&mut sizes));
                let sizes = self.ground(&sizes);
                let all = if rebound.is_some() {
                    BTreeSet::new()
                } else {
                    self.ground(&m.uses)
                };
                let rest = all.difference(&sizes).map(|n| (n.clone(), Watched::Declaration));
                from.extend(rest);
                from.extend(sizes.into_iter().map(|n| (n, Watched::Value)));
            }
            _ => {}
        }
        // A solution is a snapshot: what was computed from it stays. A value's own sizes come from it.
        from.retain(|(n, _)| {
            let solution = self.marks.get(n).is_some_and(|m| m.stmt.kind.keeps_a_result());
            !solution && self.binder_of(n) != Some(name)
        });
        let stamped = from.into_iter().map(|(n, w)| {
            let at = self.watched(&n, w);
            (n, w, at)
        });
        let stamped = stamped.collect();
        if let Some(m) = self.marks.get_mut(name) {
            m.computed = stamped;
            m.rebound = rebound.map(|e| Rc::new(e.clone()));
        }
    }

    fn watched(&self, name: &str, w: Watched) -> u64 {
        let s = self.stamps(name);
        match w {
            Watched::Declaration => s.declared,
            Watched::Value => s.value,
        }
    }

    /// Names whose change makes the value out of date.
    pub fn stale_value(&self, name: &str) -> Vec<String> {
        let from = self.marks.get(name).map(|m| &m.computed).into_iter().flatten();
        let changed = from.filter(|(n, w, at)| self.watched(n, *w) != *at);
        changed.map(|c| c.0.clone()).collect()
    }

    /// The names, and those behind derived values and functions: everything that lowering will ask for.
    pub fn ground(&self, names: &BTreeSet<String>) -> BTreeSet<String> {
        let mut out = BTreeSet::new();
        let mut todo: Vec<String> = names.iter().cloned().collect();
        while let Some(n) = todo.pop() {
            if let Some(m) = self.marks.get(&n)
                && matches!(m.stmt.kind, StmtKind::Let(_) | StmtKind::Fn(_) | StmtKind::Var(_))
                && !out.contains(&n)
            {
                todo.extend(m.uses.iter().cloned());
            }
            out.insert(n);
        }
        out
    }

    pub fn remove(&mut self, name: &str) -> Option<Mark> {
        self.values.remove(name);
        self.marks.shift_remove(name)
    }
}

/// What a user calls the cell or file of a source.
pub(super) fn called(sources: &SourceMap, source: SourceId) -> String {
    sources
        .get(source)
        .map_or_else(|| "an earlier text".into(), |s| s.name.clone())
}

/// Do two declarations say the same, but for the value of a parameter?
fn same(old: &Stmt, new: &Stmt, sources: &SourceMap) -> bool {
    if let (StmtKind::Param(a), StmtKind::Param(b)) = (&old.kind, &new.kind)
        && heads_agree(a, b)
    {
        return true;
    }
    let solves = old.kind.keeps_a_result() && new.kind.keeps_a_result();
    !solves && sources.text(old.span) == sources.text(new.span)
}

fn heads_agree(a: &ParamDecl, b: &ParamDecl) -> bool {
    let checks = |d: &ParamDecl| -> Vec<String> {
        let checks = d.checks.iter();
        checks
            .map(|c| format!("{} {}", c.op.symbol(), show(&c.value)))
            .collect()
    };
    let integer = |d: &ParamDecl| match &d.value.as_ref().map(|e| &e.kind) {
        Some(ExprKind::Number { integer, .. }) => Some(*integer),
        _ => None,
    };
    // Without a type, the value is the type.
    let types = match (&a.ty, &b.ty) {
        (Some(s), Some(t)) => show_type(s) == show_type(t),
        (None, None) => integer(a).is_some() && integer(a) == integer(b),
        _ => false,
    };
    types && checks(a) == checks(b) && a.default.as_ref().map(show) == b.default.as_ref().map(show)
}
