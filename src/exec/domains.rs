//! Instances of filtered domains: what a filter says about one index after the other narrows what is looked at.
//!
//! Invariant: the instances and their order are those of looking at every tuple; what is looked at is counted.
//!
//! A filter is taken apart into conditions. Those that bound an index by what was chosen before (`i <= j`, the ends of a
//! ragged range), and those that ask a column of data for a value (`arcs.1[a] == p`, a row slice), give its candidates;
//! what is left is evaluated for the candidates only.

use super::plan::{DomainShape, SlotId};
use super::{Bound, Fault, Machine, Plan};
use crate::atoms;
use crate::ir::{DomainId, IndexId, Ir, Node, NodeId, Pos};

/// A scalar computed while instances are looked for: of indices chosen before, and of data.
#[derive(Clone, Debug)]
pub enum Known {
    /// A number.
    Const(f64),
    /// The value of an index: its position and the first element of its set.
    Index(IndexId, i64),
    /// A root scalar.
    Uniform(SlotId),
    /// An entry of an array.
    Entry {
        /// The array.
        slot: SlotId,
        /// Its lengths.
        shape: Vec<usize>,
        /// Positions counted from 0.
        at: Vec<Known>,
    },
    /// A sum.
    Add(Box<Known>, Box<Known>),
    /// A product.
    Mul(Box<Known>, Box<Known>),
}

/// What a condition says about one index.
#[derive(Clone, Debug)]
pub enum Cut {
    /// Its value is at least this, or larger.
    From(Known, bool),
    /// Its value is at most this, or smaller.
    Upto(Known, bool),
    /// Its value is this.
    Is(Known),
    /// The entry of a column of data at its position is this.
    Column(SlotId, Known),
}

/// How the instances of a domain are found.
#[derive(Clone, Debug, Default)]
pub struct Search {
    /// By own index.
    pub cuts: Vec<Vec<Cut>>,
}

impl Search {
    /// Does it say anything?
    pub fn narrows(&self) -> bool {
        self.cuts.iter().any(|c| !c.is_empty())
    }
    /// Is an index found through a column of data?
    pub fn by_column(&self, dim: usize) -> bool {
        self.cuts[dim].iter().any(|c| matches!(c, Cut::Column(..) | Cut::Is(_)))
    }
}

/// Takes a filter apart: what narrows the domain's indices, and the conditions that are left.
pub fn search(
    ir: &Ir,
    domain: DomainId,
    filter: NodeId,
    slot: &mut dyn FnMut(NodeId) -> SlotId,
) -> (Search, Vec<NodeId>) {
    let own = ir.domain(domain).indices.clone();
    let mut out = Search {
        cuts: vec![vec![]; own.len()],
    };
    let mut left = vec![];
    let mut todo = vec![filter];
    while let Some(n) = todo.pop() {
        if let Node::Apply { atom, args } = ir.node(n)
            && *atom == atoms::AND
        {
            todo.extend(args.iter().rev());
            continue;
        }
        match cut(ir, &own, n, slot) {
            Some((dim, c)) => out.cuts[dim].push(c),
            None => left.push(n),
        }
    }
    (out, left)
}

fn cut(ir: &Ir, own: &[IndexId], n: NodeId, slot: &mut dyn FnMut(NodeId) -> SlotId) -> Option<(usize, Cut)> {
    let Node::Apply { atom, args } = ir.node(n) else {
        return None;
    };
    let [a, b] = **args else { return None };
    let (equal, less, strict) = match *atom {
        x if x == atoms::EQ => (true, false, false),
        x if x == atoms::LE => (false, true, false),
        x if x == atoms::LT => (false, true, true),
        x if x == atoms::GE => (false, false, false),
        x if x == atoms::GT => (false, false, true),
        _ => return None,
    };
    // The index that is chosen last of all in the condition is the one it narrows.
    let last = own.iter().rposition(|i| uses(ir, a, *i) || uses(ir, b, *i))?;
    let free = &own[last..];
    for (side, other, flipped) in [(a, b, false), (b, a, true)] {
        if free.iter().any(|i| uses(ir, other, *i)) {
            continue;
        }
        let Some((subject, shift)) = shifted(ir, side) else {
            continue;
        };
        let Some(mut value) = known(ir, other, slot) else {
            continue;
        };
        if shift != 0.0 {
            value = Known::Add(Box::new(value), Box::new(Known::Const(-shift)));
        }
        match ir.node(subject) {
            Node::Index(i) if *i == own[last] => {
                return Some((
                    last,
                    match (equal, less != flipped) {
                        (true, _) => Cut::Is(value),
                        (false, true) => Cut::Upto(value, strict),
                        (false, false) => Cut::From(value, strict),
                    },
                ));
            }
            Node::Gather { array, at }
                if equal
                    && matches!(ir.node(*array), Node::Input(_) | Node::Map { .. })
                    && at.len() == 1
                    && at[0].as_index() == Some(own[last]) =>
            {
                return Some((last, Cut::Column(slot(*array), value)));
            }
            _ => {}
        }
    }
    None
}

/// `x` and `c` of `x + c`.
fn shifted(ir: &Ir, n: NodeId) -> Option<(NodeId, f64)> {
    match ir.node(n) {
        Node::Index(_) | Node::Gather { .. } => Some((n, 0.0)),
        Node::Apply { atom, args } if *atom == atoms::ADD => match (ir.as_const(args[0]), ir.as_const(args[1])) {
            (None, Some(c)) => Some((args[0], c)),
            (Some(c), None) => Some((args[1], c)),
            _ => None,
        },
        _ => None,
    }
}

fn uses(ir: &Ir, n: NodeId, i: IndexId) -> bool {
    let at = |p: &Pos| match p {
        Pos::Affine { terms, .. } => terms.iter().any(|(j, _)| *j == i),
        Pos::Node(m) => uses(ir, *m, i),
    };
    match ir.node(n) {
        Node::Index(j) => *j == i,
        Node::Apply { args, .. } => args.iter().any(|a| uses(ir, *a, i)),
        Node::Gather { at: p, .. } => p.iter().any(at),
        // A nested reduction may use it anywhere.
        Node::Fold { .. } => ir.encloses(ir.index(i).domain, ir.region(n)),
        _ => false,
    }
}

/// A scalar that can be computed while instances are looked for; `None` for anything but sums and products of indices,
/// numbers and entries.
fn known(ir: &Ir, n: NodeId, slot: &mut dyn FnMut(NodeId) -> SlotId) -> Option<Known> {
    Some(match ir.node(n) {
        Node::Const(b) => Known::Const(f64::from_bits(*b)),
        Node::Index(i) => Known::Index(*i, ir.index(*i).set.lo()),
        Node::Gather { array, at } => {
            // Transposed views and computed arrays are read through their own loops.
            if !matches!(ir.node(*array), Node::Input(_)) {
                return None;
            }
            let mut positions = vec![];
            for p in at {
                positions.push(match p {
                    Pos::Affine { terms, offset } => terms.iter().fold(Known::Const(*offset as f64), |acc, (i, c)| {
                        let t = Known::Mul(Box::new(Known::Const(*c as f64)), Box::new(Known::Index(*i, 0)));
                        Known::Add(Box::new(acc), Box::new(t))
                    }),
                    Pos::Node(m) => known(ir, *m, slot)?,
                });
            }
            Known::Entry {
                slot: slot(*array),
                shape: ir.shape(*array).to_vec(),
                at: positions,
            }
        }
        _ if ir.region(n) == DomainId::ROOT && ir.shape(n).is_empty() => Known::Uniform(slot(n)),
        Node::Apply { atom, args } if *atom == atoms::ADD => {
            Known::Add(Box::new(known(ir, args[0], slot)?), Box::new(known(ir, args[1], slot)?))
        }
        Node::Apply { atom, args } if *atom == atoms::SUB => {
            let minus = Known::Mul(Box::new(Known::Const(-1.0)), Box::new(known(ir, args[1], slot)?));
            Known::Add(Box::new(known(ir, args[0], slot)?), Box::new(minus))
        }
        Node::Apply { atom, args } if *atom == atoms::MUL => {
            Known::Mul(Box::new(known(ir, args[0], slot)?), Box::new(known(ir, args[1], slot)?))
        }
        _ => return None,
    })
}

/// A column of data by value: positions in the order of their values, ascending where values are equal.
struct ByValue {
    values: Vec<f64>,
    positions: Vec<u32>,
}

impl ByValue {
    fn new(column: &[f64]) -> ByValue {
        let mut positions: Vec<u32> = (0..column.len() as u32).collect();
        let at = |k: &u32| column[*k as usize];
        positions.sort_by(|a, b| at(a).total_cmp(&at(b)));
        ByValue {
            values: positions.iter().map(at).collect(),
            positions,
        }
    }
    fn of(&self, v: f64) -> &[u32] {
        let from = self.values.partition_point(|x| *x < v);
        let upto = self.values.partition_point(|x| *x <= v);
        &self.positions[from..upto.max(from)]
    }
}

impl Machine {
    /// Rebuilds the instances of a domain from its cuts alone. Counts what was looked at.
    pub(super) fn bind_searched(&mut self, plan: &Plan, d: DomainId, search: &Search) -> Result<(), Fault> {
        let shape: &DomainShape = &plan.domains[d.index()];
        let parents = shape.parent.map_or(1, |p| self.domains[p.index()].total);
        // Positions of the indices around, instance by instance, where a cut reads them.
        let mut outer: Vec<(IndexId, Vec<usize>)> = vec![];
        for c in search.cuts.iter().flatten() {
            let k = match c {
                Cut::From(k, _) | Cut::Upto(k, _) | Cut::Is(k) | Cut::Column(_, k) => k,
            };
            k.indices(&mut |i| {
                if let Some(p) = shape.parent
                    && !shape.indices.contains(&i)
                    && !outer.iter().any(|(j, _)| *j == i)
                {
                    outer.push((i, self.index_positions(p, i)));
                }
            });
        }
        let columns: Vec<Vec<Option<ByValue>>> = search
            .cuts
            .iter()
            .map(|cuts| {
                cuts.iter()
                    .map(|c| match c {
                        Cut::Column(s, _) => Some(ByValue::new(self.slots[s.0 as usize].entries().unwrap_or(&[]))),
                        _ => None,
                    })
                    .collect()
            })
            .collect();
        let n = shape.lens.len();
        let mut walk = Walk {
            machine: self,
            shape,
            search,
            los: shape.indices.iter().map(|i| plan.indices[i.index()].set.lo()).collect(),
            by_value: columns,
            at: vec![0; plan.indices.len()],
            found: vec![vec![]; n],
            total: 0,
            inspected: 0,
        };
        let mut starts = Vec::with_capacity(parents + 1);
        for p in 0..parents {
            starts.push(walk.total);
            for (i, positions) in &outer {
                walk.at[i.index()] = positions.get(p).copied().unwrap_or_default();
            }
            walk.down(0)?;
        }
        starts.push(walk.total);
        let (total, found, inspected) = (walk.total, walk.found, walk.inspected);
        self.inspected += inspected;
        self.domains[d.index()] = Bound {
            total,
            starts: Some(starts),
            columns: Some(found),
        };
        self.follow(plan, d.index());
        Ok(())
    }

    /// Keeps the instances of a searched domain whose flag is set.
    pub(super) fn keep_flagged(&mut self, plan: &Plan, d: DomainId, flags: &[bool]) {
        let b = &mut self.domains[d.index()];
        let (Some(starts), Some(columns)) = (&mut b.starts, &mut b.columns) else {
            return;
        };
        let mut kept = 0;
        let mut next = 0;
        let mut fresh = Vec::with_capacity(starts.len());
        for w in 0..starts.len() {
            while next < starts[w] {
                if flags.get(next).copied().unwrap_or(false) {
                    for c in columns.iter_mut() {
                        c[kept] = c[next];
                    }
                    kept += 1;
                }
                next += 1;
            }
            fresh.push(kept);
        }
        columns.iter_mut().for_each(|c| c.truncate(kept));
        *starts = fresh;
        b.total = kept;
        self.follow(plan, d.index());
    }

    /// Children of a filtered domain have as many parents as it has instances.
    pub(super) fn follow(&mut self, plan: &Plan, d: usize) {
        for c in d + 1..plan.domains.len() {
            if let Some(p) = plan.domains[c].parent
                && !plan.domains[c].filtered
            {
                let own: usize = plan.domains[c].lens.iter().product();
                self.domains[c].total = self.domains[p.index()].total.saturating_mul(own);
            }
        }
    }
}

impl Known {
    fn indices(&self, f: &mut dyn FnMut(IndexId)) {
        match self {
            Known::Const(_) | Known::Uniform(_) => {}
            Known::Index(i, _) => f(*i),
            Known::Entry { at, .. } => at.iter().for_each(|k| k.indices(f)),
            Known::Add(a, b) | Known::Mul(a, b) => {
                a.indices(f);
                b.indices(f);
            }
        }
    }

    fn value(&self, m: &Machine, position: &[usize]) -> Result<f64, Fault> {
        Ok(match self {
            Known::Const(v) => *v,
            Known::Index(i, lo) => (position[i.index()] as i64 + lo) as f64,
            Known::Uniform(s) => m.slots[s.0 as usize].scalar(),
            Known::Add(a, b) => a.value(m, position)? + b.value(m, position)?,
            Known::Mul(a, b) => a.value(m, position)? * b.value(m, position)?,
            Known::Entry { slot, shape, at } => {
                let mut flat = 0;
                for (k, n) in at.iter().zip(shape) {
                    let p = k.value(m, position)?;
                    if !(p >= 0.0 && p < *n as f64 && p.fract() == 0.0) {
                        return Err(Fault {
                            what: "an index leaves its array".into(),
                            node: None,
                            at: vec![],
                        });
                    }
                    flat = flat * n + p as usize;
                }
                let s = &m.slots[slot.0 as usize];
                let cols = shape.last().copied().unwrap_or(1).max(1);
                match s.entries() {
                    Some(e) => e.get(flat).copied().unwrap_or(f64::NAN),
                    None => s.sparse_entry(flat / cols, flat % cols),
                }
            }
        })
    }
}

/// One walk over the own indices of a domain, below each instance of its parent.
struct Walk<'m> {
    machine: &'m Machine,
    shape: &'m DomainShape,
    search: &'m Search,
    /// First elements of the own indices' sets.
    los: Vec<i64>,
    by_value: Vec<Vec<Option<ByValue>>>,
    /// Positions of indices, by id.
    at: Vec<usize>,
    found: Vec<Vec<u32>>,
    total: usize,
    inspected: usize,
}

impl Walk<'_> {
    /// Chooses the index of dimension `dim` in every way that its cuts allow.
    fn down(&mut self, dim: usize) -> Result<(), Fault> {
        if dim == self.shape.lens.len() {
            for (column, i) in self.found.iter_mut().zip(&self.shape.indices) {
                column.push(self.at[i.index()] as u32);
            }
            self.total += 1;
            return Ok(());
        }
        let (search, shape) = (self.search, self.shape);
        let lo = self.los[dim] as f64;
        // Least and greatest position, inclusive.
        let (mut from, mut upto) = (0.0f64, shape.lens[dim] as f64 - 1.0);
        let mut asked: Vec<(usize, f64)> = vec![];
        for (k, c) in search.cuts[dim].iter().enumerate() {
            match c {
                Cut::From(v, strict) => {
                    let v = v.value(self.machine, &self.at)? - lo;
                    from = from.max(if *strict { v.floor() + 1.0 } else { v.ceil() });
                }
                Cut::Upto(v, strict) => {
                    let v = v.value(self.machine, &self.at)? - lo;
                    upto = upto.min(if *strict { v.ceil() - 1.0 } else { v.floor() });
                }
                Cut::Is(v) => {
                    let v = v.value(self.machine, &self.at)? - lo;
                    (from, upto) = match v.fract() == 0.0 {
                        true => (from.max(v), upto.min(v)),
                        false => (1.0, 0.0),
                    };
                }
                Cut::Column(_, v) => asked.push((k, v.value(self.machine, &self.at)?)),
            }
        }
        let i = shape.indices[dim].index();
        // The shortest of the slices asked for; the others are looked up in it.
        let slices = asked
            .iter()
            .map(|(k, v)| self.by_value[dim][*k].as_ref().map_or(&[] as &[u32], |b| b.of(*v)));
        let Some(slice) = slices.min_by_key(|s| s.len()).map(<[u32]>::to_vec) else {
            self.inspected += (upto - from + 1.0).max(0.0) as usize;
            let mut p = from;
            while p <= upto {
                self.at[i] = p as usize;
                self.down(dim + 1)?;
                p += 1.0;
            }
            return Ok(());
        };
        self.inspected += slice.len();
        for p in slice {
            let inside = f64::from(p) >= from && f64::from(p) <= upto;
            let everywhere = asked.iter().all(|(k, v)| match &search.cuts[dim][*k] {
                Cut::Column(s, _) => {
                    let column = self.machine.slots[s.0 as usize].entries().unwrap_or(&[]);
                    column.get(p as usize) == Some(v)
                }
                _ => true,
            });
            if inside && everywhere {
                self.at[i] = p as usize;
                self.down(dim + 1)?;
            }
        }
        Ok(())
    }
}
