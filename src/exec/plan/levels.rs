//! The lane programs of one loop: a level for each domain, inside the level of its parent.
//!
//! Invariant: a value is computed at the level of its own region, and handed down to deeper ones step by step; a nested
//! reduction runs after all that its body reads of the levels around it.

use std::collections::{BTreeMap, HashMap, HashSet};

use super::compile::Compiler;
use super::{Addr, ChildFold, Instr, Level, Reg};
use crate::ir::atom::{Eval, Reduce};
use crate::ir::{DomainId, IndexId, Node, NodeId, Pos};

/// The levels of the loop over an outermost domain that produces `terminals`, the outermost first.
pub fn levels(c: &mut Compiler<'_>, top: DomainId, terminals: Vec<Terminal>) -> Vec<Level> {
    let mut builder = LoopBuilder { c, levels: vec![] };
    builder.level(top, None, terminals);
    builder.levels
}

/// Work of a loop under construction: what one level must produce.
#[derive(Clone)]
pub enum Terminal {
    Fold {
        node: NodeId,
        body: NodeId,
        reduce: Reduce,
    },
    Store {
        body: NodeId,
        out: usize,
    },
    Total {
        body: NodeId,
        out: usize,
    },
    Scatter {
        domain: DomainId,
        body: NodeId,
        array_shape: Vec<usize>,
        at: Vec<Pos>,
        out: usize,
    },
    Collect {
        domain: DomainId,
        body: NodeId,
        out: usize,
    },
    Keep {
        domain: DomainId,
        body: NodeId,
        /// Is every tuple looked at?
        all: bool,
    },
}

impl Terminal {
    fn body(&self) -> NodeId {
        match self {
            Terminal::Fold { body, .. }
            | Terminal::Store { body, .. }
            | Terminal::Total { body, .. }
            | Terminal::Scatter { body, .. }
            | Terminal::Collect { body, .. }
            | Terminal::Keep { body, .. } => *body,
        }
    }
    fn positions(&self) -> &[Pos] {
        match self {
            Terminal::Scatter { at, .. } => at,
            _ => &[],
        }
    }
    /// The domain that it belongs to, where that may be below the level it was asked of.
    fn domain(&self) -> Option<DomainId> {
        match self {
            Terminal::Scatter { domain, .. } | Terminal::Collect { domain, .. } | Terminal::Keep { domain, .. } => {
                Some(*domain)
            }
            _ => None,
        }
    }
}

/// Builds the levels of one loop.
struct LoopBuilder<'b, 'a> {
    c: &'b mut Compiler<'a>,
    levels: Vec<Level>,
}

/// State of one level while it is emitted.
struct Emit {
    level: usize,
    regs: HashMap<NodeId, Reg>,
    next: Reg,
}

impl LoopBuilder<'_, '_> {
    /// Emits the level of `domain` that produces `terminals`; returns its index.
    fn level(
        &mut self,
        domain: DomainId,
        parent: Option<(usize, &HashMap<NodeId, Reg>)>,
        terminals: Vec<Terminal>,
    ) -> (usize, HashMap<NodeId, Reg>) {
        let ir = self.c.ir;
        let level = self.levels.len();
        let unfiltered = terminals
            .iter()
            .any(|t| matches!(t, Terminal::Keep { domain: d, all: true, .. } if *d == domain));
        self.levels.push(Level {
            domain,
            unfiltered,
            parent: parent.map(|p| p.0),
            regs: 0,
            constants: vec![],
            uniforms: vec![],
            indices: vec![],
            positions: true,
            code: vec![],
        });
        let mut e = Emit {
            level,
            regs: HashMap::new(),
            next: 0,
        };
        let wanted = self.wanted(&terminals, domain);
        let (phase, mut nested) = self.phases(&wanted, domain);
        let last = phase.values().copied().max().unwrap_or(0);
        for p in 0..=last {
            for &n in &wanted {
                if phase[&n] == p && !(matches!(ir.node(n), Node::Fold { .. }) && ir.region(n) == domain) {
                    self.emit(&mut e, n, parent.map(|p| p.1));
                }
            }
            let here: Vec<(usize, DomainId)> = nested
                .range((p, DomainId(0))..(p + 1, DomainId(0)))
                .map(|(k, _)| *k)
                .collect();
            for key in here {
                let Some(terms) = nested.remove(&key) else { continue };
                self.c.bind_chain(key.1);
                // Reserve the destinations before the child is built, so that later phases can read them.
                let dsts: Vec<Reg> = terms
                    .iter()
                    .map(|t| match t {
                        Terminal::Fold { node, .. } => e.fresh(*node),
                        _ => 0,
                    })
                    .collect();
                let (child, child_regs) = self.level(key.1, Some((level, &e.regs)), terms.clone());
                let folds = terms
                    .iter()
                    .zip(dsts)
                    .filter_map(|(t, dst)| match t {
                        Terminal::Fold { body, reduce, .. } => Some(ChildFold {
                            reduce: *reduce,
                            body: child_regs[body],
                            dst,
                        }),
                        _ => None,
                    })
                    .collect();
                self.levels[level].code.push(Instr::Child { level: child, folds });
            }
        }
        // Terminals of this level, then those of deeper ones.
        let mut deeper: BTreeMap<DomainId, Vec<Terminal>> = BTreeMap::new();
        for t in &terminals {
            if let Some(d) = t.domain().filter(|d| *d != domain) {
                let chain = ir.chain(d);
                if let Some(k) = chain.iter().position(|x| *x == domain)
                    && let Some(next) = chain.get(k + 1)
                {
                    deeper.entry(*next).or_default().push(t.clone());
                }
                continue;
            }
            let src = self.emit(&mut e, t.body(), parent.map(|p| p.1));
            let instr = match t {
                Terminal::Fold { .. } => continue,
                Terminal::Store { out, .. } => Instr::Store { src, out: *out },
                Terminal::Total { out, .. } => Instr::Total { src, out: *out },
                Terminal::Collect { out, .. } => Instr::Collect { src, out: *out },
                Terminal::Keep { .. } => Instr::Keep { src },
                Terminal::Scatter {
                    array_shape, at, out, ..
                } => {
                    let addr = self.addr(&mut e, array_shape, at, parent.map(|p| p.1));
                    Instr::ScatterAdd { src, addr, out: *out }
                }
            };
            self.levels[level].code.push(instr);
        }
        for (d, terms) in deeper {
            let (child, _) = self.level(d, Some((level, &e.regs)), terms);
            self.levels[level].code.push(Instr::Child {
                level: child,
                folds: vec![],
            });
        }
        self.levels[level].regs = e.next as usize;
        (level, e.regs)
    }

    /// Everything a level must know: nodes of its region, and what deeper terminals read of it.
    fn wanted(&self, terminals: &[Terminal], domain: DomainId) -> Vec<NodeId> {
        let mut wanted: Vec<NodeId> = vec![];
        for t in terminals {
            self.collect(t.body(), domain, &mut wanted);
            for p in t.positions() {
                if let Pos::Node(n) = p {
                    self.collect(*n, domain, &mut wanted);
                }
            }
        }
        wanted.sort();
        wanted.dedup();
        wanted
    }

    /// When each node of a level is computed, and the nested folds by phase: a nested fold is one phase after everything
    /// its body reads of this level.
    fn phases(
        &self,
        wanted: &[NodeId],
        domain: DomainId,
    ) -> (HashMap<NodeId, usize>, BTreeMap<(usize, DomainId), Vec<Terminal>>) {
        let ir = self.c.ir;
        let mut phase: HashMap<NodeId, usize> = HashMap::new();
        let mut nested: BTreeMap<(usize, DomainId), Vec<Terminal>> = BTreeMap::new();
        for &n in wanted {
            let mut p = 0;
            if ir.region(n) != domain {
                phase.insert(n, 0);
                continue;
            }
            if let Node::Fold {
                atom,
                domain: child,
                body,
            } = ir.node(n)
            {
                let mut below = vec![];
                self.collect(*body, domain, &mut below);
                for b in below {
                    p = p.max(phase.get(&b).copied().unwrap_or(0));
                }
                if let Eval::Reduce(reduce) = atom.eval {
                    nested.entry((p, *child)).or_default().push(Terminal::Fold {
                        node: n,
                        body: *body,
                        reduce,
                    });
                }
                p += 1;
            } else {
                ir.for_each_arg(n, |a| p = p.max(phase.get(&a).copied().unwrap_or(0)));
            }
            phase.insert(n, p);
        }
        (phase, nested)
    }

    /// Nodes of `domain` that `n` (of that region or deeper) reads, and those of enclosing regions that are read
    /// here or deeper.
    fn collect(&self, n: NodeId, domain: DomainId, into: &mut Vec<NodeId>) {
        let ir = self.c.ir;
        let mut seen: HashSet<NodeId> = into.iter().copied().collect();
        let mut stack = vec![n];
        while let Some(n) = stack.pop() {
            let r = ir.region(n);
            if r == DomainId::ROOT || !seen.insert(n) {
                continue;
            }
            if r == domain {
                into.push(n);
            } else if ir.encloses(r, domain) {
                // A value of a level further up: it is handed down, not computed here.
                into.push(n);
                continue;
            }
            match ir.node(n) {
                Node::Apply { args, .. } => stack.extend(args.iter()),
                Node::Fold { body, .. } => stack.push(*body),
                Node::Gather { at, .. } => {
                    for p in at.iter() {
                        if let Pos::Node(n) = p {
                            stack.push(*n);
                        }
                    }
                }
                _ => {}
            }
        }
    }

    fn addr(&mut self, e: &mut Emit, shape: &[usize], at: &[Pos], parent: Option<&HashMap<NodeId, Reg>>) -> Addr {
        let mut regs = HashMap::new();
        for p in at {
            if let Pos::Node(n) = p {
                regs.insert(*n, self.emit(e, *n, parent));
            }
        }
        let a = self.c.address(shape, at, |_, n| regs[&n]);
        for (i, _) in &a.terms {
            self.need_index(e.level, *i);
        }
        a
    }

    /// Positions of an index are made at its own level and handed down to every level below that needs them.
    fn need_index(&mut self, level: usize, i: IndexId) {
        let home = self.c.ir.index(i).domain;
        let mut at = Some(level);
        while let Some(l) = at {
            if !self.levels[l].indices.contains(&i) {
                self.levels[l].indices.push(i);
            }
            if self.levels[l].domain == home {
                break;
            }
            at = self.levels[l].parent;
        }
    }

    /// Makes sure `n` has a register at this level.
    fn emit(&mut self, e: &mut Emit, n: NodeId, parent: Option<&HashMap<NodeId, Reg>>) -> Reg {
        if let Some(r) = e.regs.get(&n) {
            return *r;
        }
        let ir = self.c.ir;
        let level = e.level;
        let region = ir.region(n);
        if region == DomainId::ROOT {
            let r = e.fresh(n);
            match ir.as_const(n) {
                Some(v) => self.levels[level].constants.push((r, v)),
                None => {
                    let s = self.c.slot(n);
                    self.levels[level].uniforms.push((r, s));
                }
            }
            return r;
        }
        if region != self.levels[level].domain {
            // A value of an enclosing level: repeat it for the child's instances. Values of levels further up are
            // handed down step by step; `parent` knows every value of the next level up.
            let src = parent.and_then(|p| p.get(&n).copied()).unwrap_or_default();
            let r = e.fresh(n);
            self.levels[level].code.push(Instr::Repeat { dst: r, src });
            return r;
        }
        match ir.node(n) {
            Node::Index(i) => {
                self.need_index(level, *i);
                let dst = e.fresh(n);
                let lo = ir.index(*i).set.lo();
                self.levels[level].code.push(Instr::IndexValue { dst, index: *i, lo });
                dst
            }
            Node::Gather { array, at } => {
                let (array, at) = self.c.see_through(*array, at);
                let addr = self.addr(e, ir.shape(array), &at, parent);
                let slot = self.c.slot(array);
                let dst = e.fresh(n);
                self.levels[level].code.push(Instr::Load { dst, slot, addr });
                dst
            }
            Node::Apply { atom, args } => {
                let r: Vec<Reg> = args.iter().map(|a| self.emit(e, *a, parent)).collect();
                let dst = e.fresh(n);
                let instr = match atom.eval {
                    Eval::Lane1(f) => Instr::Op1 {
                        atom: *atom,
                        f,
                        dst,
                        a: r[0],
                    },
                    Eval::Lane2(f) => Instr::Op2 {
                        atom: *atom,
                        f,
                        dst,
                        a: r[0],
                        b: r[1],
                    },
                    Eval::Lane3(f) => Instr::Op3 {
                        atom: *atom,
                        f,
                        dst,
                        a: r[0],
                        b: r[1],
                        c: r[2],
                    },
                    Eval::Reduce(_) | Eval::Array(_) => return dst,
                };
                self.levels[level].code.push(instr);
                dst
            }
            // A nested fold's register is reserved by `level` before anything reads it.
            _ => e.fresh(n),
        }
    }
}

impl Emit {
    fn fresh(&mut self, n: NodeId) -> Reg {
        let r = self.next;
        self.next += 1;
        self.regs.insert(n, r);
        r
    }
}
