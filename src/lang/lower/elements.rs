//! Elements of listed sets as indices: their components, their places, and what is looked up for them.
//!
//! Invariant: components of one element find their place by a column made when the problem is lowered; anything else
//! looks it up in tables that are as large as the set.

use std::sync::Arc;

use super::{Local, Lower, Lowered, Part, Val, err};
use crate::atoms;
use crate::base::value::{Elem, IndexSet, ListedSet, Storage, Tensor};
use crate::base::{Code, Diagnostic, Span};
use crate::ir::{NodeId, Pos};
use crate::lang::syntax::{BinaryOp, Expr, ExprKind, Ident, show};

/// One index as it is given.
pub(super) enum Given<'e> {
    /// By an expression.
    Expr(&'e Expr),
    /// As a component of an element of a listed set.
    Part(Part, &'e Expr),
}

impl<'e> Given<'e> {
    /// The expression that gives it.
    pub(super) fn expr(&self) -> &'e Expr {
        match self {
            Given::Expr(e) | Given::Part(_, e) => e,
        }
    }
}

impl Lower<'_> {
    /// What the components of a bound element are drawn from, and their positions there.
    pub(super) fn components(&mut self, local: Option<Local>, name: &Ident) -> Lowered<Vec<(IndexSet, Pos)>> {
        Ok(match local {
            Some(Local::Part(p)) => vec![(p.set.parts[p.column].clone(), self.part_position(&p))],
            Some(Local::Index(i)) => match self.ir.index(i).set.clone() {
                IndexSet::Listed(set) => self.all_components(&set, &Pos::index(i)),
                set => vec![(set, Pos::index(i))],
            },
            Some(Local::Whole(set, at)) => self.all_components(&set, &at),
            _ => {
                return Err(err(Code::Internal, format!("`{}` is not an index", name.text))
                    .at(name.span, "here")
                    .into());
            }
        })
    }

    fn all_components(&mut self, set: &Arc<ListedSet>, at: &Pos) -> Vec<(IndexSet, Pos)> {
        (0..set.parts.len())
            .map(|column| {
                let part = Part {
                    set: set.clone(),
                    at: at.clone(),
                    column,
                };
                (set.parts[column].clone(), self.part_position(&part))
            })
            .collect()
    }

    /// A column of a listed set as data.
    pub(super) fn column(&mut self, set: &Arc<ListedSet>, column: usize) -> NodeId {
        if let Some((_, _, n)) = self
            .columns
            .iter()
            .find(|(s, c, _)| *c == column && (Arc::ptr_eq(s, set) || s == set))
        {
            return *n;
        }
        let data = set.columns[column].iter().map(|p| f64::from(*p)).collect();
        let n = self.places(&format!("{}.{}", set.name, column + 1), set, data);
        self.columns.push((set.clone(), column, n));
        n
    }

    /// Positions by element of a listed set, as data.
    fn places(&mut self, name: &str, set: &Arc<ListedSet>, data: Vec<f64>) -> NodeId {
        let t = Tensor {
            dims: vec![IndexSet::Listed(set.clone())],
            storage: Storage::Dense(data),
        };
        self.embed(name, &Arc::new(t))
    }

    /// The position of a component in the set that it is drawn from.
    pub(super) fn part_position(&mut self, p: &Part) -> Pos {
        if let Pos::Affine { terms, offset } = &p.at
            && terms.is_empty()
            && let Some(at) = p.set.columns[p.column].get(*offset as usize)
        {
            return Pos::fixed(*at as usize);
        }
        let column = self.column(&p.set, p.column);
        Pos::Node(self.ir.gather(column, vec![p.at.clone()]))
    }

    /// The value of a component: an integer itself, the position of a label.
    pub(super) fn part_value(&mut self, p: &Part) -> Lowered<NodeId> {
        let pos = self.part_position(p);
        let n = self.position_node(&pos)?;
        let lo = self.ir.constant(p.set.parts[p.column].lo() as f64);
        Ok(self.ir.apply(atoms::ADD, &[n, lo]))
    }

    /// A position as a node, counted from 0.
    pub(super) fn position_node(&mut self, p: &Pos) -> Lowered<NodeId> {
        match self.local_at_value(p, &IndexSet::Range { lo: 0, len: 0 })? {
            Local::Val(Val::Num(n, _)) => Ok(n),
            _ => Ok(self.ir.constant(0.0)),
        }
    }

    /// An index as given: tuples and elements of tuple sets taken apart.
    pub(super) fn givens<'e>(&mut self, e: &'e Expr) -> Vec<Given<'e>> {
        if let ExprKind::Tuple(items) = &e.kind {
            return items.iter().flat_map(|i| self.givens(i)).collect();
        }
        let all = |set: &Arc<ListedSet>, at: &Pos| {
            (0..set.parts.len())
                .map(|column| {
                    let part = Part {
                        set: set.clone(),
                        at: at.clone(),
                        column,
                    };
                    Given::Part(part, e)
                })
                .collect()
        };
        if let Some(n) = e.as_name() {
            match self.scope.get(n) {
                Some(Local::Part(p)) => return vec![Given::Part(p, e)],
                Some(Local::Whole(set, at)) => return all(&set, &at),
                Some(Local::Index(i)) => {
                    if let IndexSet::Listed(set) = self.ir.index(i).set.clone() {
                        return all(&set, &Pos::index(i));
                    }
                }
                _ => {}
            }
        }
        vec![Given::Expr(e)]
    }

    /// The value that a given component has, to be compared with others drawn from `part`.
    pub(super) fn given_value(&mut self, g: &Given<'_>, part: &IndexSet, shown: &str, k: usize) -> Lowered<NodeId> {
        let pos = self.given_position(g, part, shown, k)?;
        let n = self.position_node(&pos)?;
        let lo = self.ir.constant(part.lo() as f64);
        Ok(self.ir.apply(atoms::ADD, &[n, lo]))
    }

    /// The position of a given index in labels or a range.
    pub(super) fn given_position(&mut self, g: &Given<'_>, set: &IndexSet, shown: &str, k: usize) -> Lowered<Pos> {
        match g {
            Given::Expr(e) => self.position(e, set, shown, k),
            Given::Part(p, e) => {
                let own = p.set.parts[p.column].clone();
                match (&own, set) {
                    (IndexSet::Range { lo, .. }, IndexSet::Range { lo: first, .. }) => {
                        let by = lo - first;
                        let pos = self.part_position(p);
                        Ok(self.shift(&pos, by))
                    }
                    (a, b) if a == b => Ok(self.part_position(p)),
                    _ => Err(self.wrong_set(e, &own, set, shown, k)),
                }
            }
        }
    }

    /// The place in a listed set of the element with these components; -1 where a node finds none.
    pub(super) fn place(&mut self, set: &Arc<ListedSet>, given: &[Given<'_>], shown: &str, k: usize) -> Lowered<Pos> {
        // Components of one element: its place is known element by element.
        if let Some((from, at)) = one_element(given) {
            let columns: Vec<usize> = given
                .iter()
                .filter_map(|g| match g {
                    Given::Part(p, _) => Some(p.column),
                    Given::Expr(_) => None,
                })
                .collect();
            if from == *set && columns.iter().copied().eq(0..set.parts.len()) {
                return Ok(at);
            }
            let mut places = Vec::with_capacity(from.len());
            for e in 0..from.len() {
                let mut key = Some(vec![]);
                for (c, part) in columns.iter().zip(&set.parts) {
                    let at = from.columns[*c][e];
                    let moved = match (&from.parts[*c], part) {
                        (IndexSet::Range { lo, .. }, IndexSet::Range { lo: first, len }) => {
                            u32::try_from(lo + i64::from(at) - first)
                                .ok()
                                .filter(|p| (*p as usize) < *len)
                        }
                        (a, b) if a == b => Some(at),
                        (a, b) => {
                            let (a, b) = (a.clone(), b.clone());
                            return Err(self.wrong_set(given[0].expr(), &a, &b, shown, k));
                        }
                    };
                    key = match (key, moved) {
                        (Some(mut v), Some(p)) => {
                            v.push(p);
                            Some(v)
                        }
                        _ => None,
                    };
                }
                places.push(key.and_then(|k| set.find(&k)).map_or(-1.0, |p| p as f64));
            }
            if let Pos::Affine { terms, offset } = &at
                && terms.is_empty()
            {
                let p = places.get(*offset as usize).copied().unwrap_or(-1.0);
                return Ok(match p >= 0.0 {
                    true => Pos::fixed(p as usize),
                    false => Pos::Node(self.ir.constant(-1.0)),
                });
            }
            let map = self.places(&format!("{} in {}", from.name, set.name), &from, places);
            return Ok(Pos::Node(self.ir.gather(map, vec![at])));
        }
        let mut at = vec![];
        for (g, part) in given.iter().zip(&set.parts) {
            at.push(self.given_position(g, part, shown, k)?);
        }
        let fixed: Option<Vec<u32>> = at
            .iter()
            .map(|p| match p {
                Pos::Affine { terms, offset } if terms.is_empty() => u32::try_from(*offset).ok(),
                _ => None,
            })
            .collect();
        if let Some(key) = fixed {
            return match set.find(&key) {
                Some(p) => Ok(Pos::fixed(p)),
                None => Ok(Pos::Node(self.ir.constant(-1.0))),
            };
        }
        self.table(set, &at)
    }

    /// Looks a place up by positions: one table for the first two components, and one for each further one.
    fn table(&mut self, set: &Arc<ListedSet>, at: &[Pos]) -> Lowered<Pos> {
        let minus = self.ir.constant(-1.0);
        if set.parts.len() == 1 {
            let mut data = vec![-1.0; set.parts[0].len()];
            for (k, p) in set.columns[0].iter().enumerate() {
                data[*p as usize] = k as f64;
            }
            let t = Tensor {
                dims: set.parts.clone(),
                storage: Storage::Dense(data),
            };
            let n = self.embed(&format!("place in {}", set.name), &Arc::new(t));
            return Ok(Pos::Node(self.ir.gather(n, vec![at[0].clone()])));
        }
        // Prefixes are numbered from 1 in lexicographic order; 0 is absent and an empty row of the next table.
        let sorted = set.sorted();
        let mut before: Vec<usize> = sorted.columns[0].iter().map(|p| *p as usize).collect();
        let mut rows = set.parts[0].len();
        let mut row = at[0].clone();
        for c in 1..set.parts.len() {
            let last = c + 1 == set.parts.len();
            let (mut indptr, mut indices, mut values) = (vec![0usize; rows + 1], vec![], vec![]);
            let mut number = vec![0usize; sorted.len()];
            let mut count = 0;
            for k in 0..sorted.len() {
                let col = sorted.columns[c][k] as usize;
                let same = k > 0 && before[k] == before[k - 1] && sorted.columns[c][k - 1] as usize == col;
                if !same {
                    count += 1;
                    indptr[before[k] + 1] += 1;
                    indices.push(col);
                    let place = match last {
                        true => {
                            set.find(&sorted.columns.iter().map(|x| x[k]).collect::<Vec<_>>())
                                .unwrap_or_default()
                                + 1
                        }
                        false => count,
                    };
                    values.push(place as f64);
                }
                number[k] = count;
            }
            for r in 0..rows {
                indptr[r + 1] += indptr[r];
            }
            let m = ravine_linalg::Csr {
                rows,
                cols: set.parts[c].len(),
                indptr,
                indices,
                values,
            };
            let row_set = match c {
                1 => set.parts[0].clone(),
                _ => IndexSet::Range { lo: 0, len: rows },
            };
            let t = Tensor {
                dims: vec![row_set, set.parts[c].clone()],
                storage: Storage::Sparse(m),
            };
            let n = self.embed(&format!("places in {}", set.name), &Arc::new(t));
            let found = self.ir.gather(n, vec![row, at[c].clone()]);
            row = Pos::Node(found);
            before = number;
            rows = count + 1;
        }
        let Pos::Node(found) = row else { return Ok(row) };
        Ok(Pos::Node(self.ir.apply(atoms::ADD, &[found, minus])))
    }

    /// The position of an element of a listed set that has to be there.
    pub(super) fn element(
        &mut self,
        set: &Arc<ListedSet>,
        given: &[Given<'_>],
        shown: &str,
        k: usize,
        span: Span,
    ) -> Lowered<Pos> {
        let p = self.place(set, given, shown, k)?;
        let Pos::Node(n) = &p else { return Ok(p) };
        if self.ir.as_const(*n) == Some(-1.0) {
            let mut key = vec![];
            for (g, part) in given.iter().zip(&set.parts) {
                if let Pos::Affine { terms, offset } = self.given_position(g, part, shown, k)?
                    && terms.is_empty()
                {
                    key.push(part.element(offset.max(0) as usize));
                }
            }
            return Err(absent(set, shown, &key, span));
        }
        // Which instances there are is known when all filters are.
        let place = self.guarded(*n);
        let mut key = vec![];
        for (g, part) in given.iter().zip(&set.parts) {
            let pos = self.given_position(g, part, shown, k)?;
            key.push((part.clone(), self.position_node(&pos)?));
        }
        self.lookups.push(Lookup {
            place,
            key,
            set: set.clone(),
            shown: shown.into(),
            span,
        });
        Ok(Pos::Node(place))
    }

    /// A position that need not be inside where a branch of an `if` does not count: 0 there.
    pub(super) fn guarded(&mut self, n: NodeId) -> NodeId {
        let mut n = n;
        for (c, yes) in self.guards.clone() {
            let zero = self.ir.constant(0.0);
            let args = if yes { [c, n, zero] } else { [c, zero, n] };
            n = self.ir.apply(atoms::SELECT, &args);
        }
        n
    }

    /// Does every place that was looked up exist, at every instance that there is?
    pub(super) fn check_lookups(&mut self) -> Lowered<()> {
        for l in std::mem::take(&mut self.lookups) {
            let domain = self.ir.region(l.place);
            let mut nodes = vec![l.place];
            nodes.extend(l.key.iter().map(|k| k.1));
            let params: Vec<_> = self.params.iter().map(|(n, i)| (n.clone(), *i)).collect();
            let lists = self.names.lists(&self.ir, &params, domain, &nodes)?;
            let Some(at) = lists.first().and_then(|v| v.iter().position(|p| !(*p >= 0.0))) else {
                continue;
            };
            let key: Vec<String> = l
                .key
                .iter()
                .zip(&lists[1..])
                .map(|((part, _), v)| part.element(v.get(at).map_or(0, |p| p.max(0.0) as usize)))
                .collect();
            return Err(absent(&l.set, &l.shown, &key, l.span));
        }
        Ok(())
    }

    /// `(p, m) in arcs`, `p in big`: a truth value.
    pub(super) fn in_set(&mut self, e: &Expr, set: &Expr, span: Span) -> Lowered<Val> {
        let truth = |l: &mut Self, b: bool| Val::Num(l.ir.constant(f64::from(u8::from(b))), Elem::Bool);
        if let Some((family, keys, given)) = self.family_index(set)? {
            let mut all = given;
            all.extend(self.givens(e));
            let _ = keys;
            return self.found(&family, &all, span);
        }
        if let ExprKind::Chain { first, rest } = &set.kind
            && rest.iter().all(|l| l.op == BinaryOp::Mul)
            && let ExprKind::Tuple(items) = &e.kind
        {
            // A product holds what its factors hold.
            let factors: Vec<&Expr> = std::iter::once(&**first)
                .chain(rest.iter().map(|l| &l.operand))
                .collect();
            if factors.len() == items.len() {
                let mut acc = truth(self, true);
                for (x, s) in items.iter().zip(factors) {
                    let one = self.in_set(x, s, span)?;
                    acc = self.elementwise(atoms::AND, vec![acc, one], Elem::Bool, span)?;
                }
                return Ok(acc);
            }
        }
        match self.dimension(set)? {
            IndexSet::Listed(l) => {
                let given = self.givens(e);
                self.found(&l, &given, span)
            }
            IndexSet::Labels(l) => {
                if let ExprKind::Text(t) = &e.kind {
                    return Ok(truth(self, l.labels.contains(t)));
                }
                let given = self.givens(e);
                if let [g] = given.as_slice() {
                    // Whatever indexes the set is in it.
                    self.given_position(g, &IndexSet::Labels(l), &show(set), 0)?;
                }
                Ok(truth(self, true))
            }
            IndexSet::Range { lo, len } => {
                let v = self.expr(e)?;
                let l = Val::Num(self.ir.constant(lo as f64), Elem::Int);
                let h = Val::Num(self.ir.constant((lo + len as i64 - 1) as f64), Elem::Int);
                let a = self.elementwise(atoms::GE, vec![v.clone(), l], Elem::Bool, span)?;
                let b = self.elementwise(atoms::LE, vec![v, h], Elem::Bool, span)?;
                self.elementwise(atoms::AND, vec![a, b], Elem::Bool, span)
            }
        }
    }

    pub(super) fn found(&mut self, set: &Arc<ListedSet>, given: &[Given<'_>], span: Span) -> Lowered<Val> {
        if given.len() != set.parts.len() {
            return Err(err(
                Code::WrongIndexCount,
                format!("an element of `{}` has {} components", set.name, set.parts.len()),
            )
            .at(span, format!("{} given", given.len()))
            .into());
        }
        // An integer outside the range of its column is in no element.
        let mut inside = self.ir.constant(1.0);
        let mut clamped = vec![];
        for (k, (g, part)) in given.iter().zip(&set.parts).enumerate() {
            let pos = self.given_position_free(g, part, &set.name, k)?;
            let Pos::Node(n) = pos else {
                clamped.push(pos);
                continue;
            };
            let (zero, last) = (self.ir.constant(0.0), self.ir.constant(part.len() as f64 - 1.0));
            let a = self.ir.apply(atoms::LE, &[zero, n]);
            let b = self.ir.apply(atoms::LE, &[n, last]);
            let both = self.ir.apply(atoms::AND, &[a, b]);
            inside = self.ir.apply(atoms::AND, &[inside, both]);
            let c = self.ir.apply(atoms::SELECT, &[both, n, zero]);
            clamped.push(Pos::Node(c));
        }
        let place = match one_element(given) {
            Some(_) => self.place(set, given, &set.name, 0)?,
            None if set.parts.iter().any(IndexSet::is_empty) => Pos::Node(self.ir.constant(-1.0)),
            None => self.table(set, &clamped)?,
        };
        let inside = match one_element(given) {
            Some(_) => self.ir.constant(1.0),
            None => inside,
        };
        let n = self.position_node(&place)?;
        let zero = self.ir.constant(0.0);
        let there = self.ir.apply(atoms::LE, &[zero, n]);
        Ok(Val::Num(self.ir.apply(atoms::AND, &[inside, there]), Elem::Bool))
    }

    /// The position of an index that need not be there: never refused for leaving a range.
    fn given_position_free(&mut self, g: &Given<'_>, set: &IndexSet, shown: &str, k: usize) -> Lowered<Pos> {
        if let (Given::Expr(e), IndexSet::Range { lo, len }) = (g, set) {
            if let Some(a) = self.affine(e)? {
                let (least, most) = self.extremes(&a);
                if least >= *lo && most < lo + *len as i64 {
                    return self.position(e, set, shown, k);
                }
            }
            let v = self.expr(e)?;
            let n = self.number(&v, e.span)?;
            let by = self.ir.constant(-(*lo as f64));
            return Ok(Pos::Node(self.ir.apply(atoms::ADD, &[n, by])));
        }
        self.given_position(g, set, shown, k)
    }

    /// Conditions that say that the selecting components of an element have the values of indices in force.
    pub(super) fn selected(&mut self, part: &Part, given: &Given<'_>) -> Lowered<NodeId> {
        let own = self.part_value(part)?;
        let set = part.set.parts[part.column].clone();
        let other = match (given, &set) {
            // An integer in force may be any: it need not lie in the range of the column.
            (Given::Expr(e), IndexSet::Range { .. }) => {
                let v = self.expr(e)?;
                self.number(&v, e.span)?
            }
            _ => self.given_value(given, &set, &part.set.name, part.column)?,
        };
        Ok(self.ir.apply(atoms::EQ, &[own, other]))
    }

    /// Where the element of a subset at a position stands in the set that an array is over.
    pub(super) fn restricted(&mut self, set: &Arc<ListedSet>, want: &IndexSet, at: &Pos, e: &Expr) -> Lowered<Pos> {
        let given: Vec<Given<'_>> = (0..set.parts.len())
            .map(|column| {
                let part = Part {
                    set: set.clone(),
                    at: at.clone(),
                    column,
                };
                Given::Part(part, e)
            })
            .collect();
        match want {
            IndexSet::Listed(l) => self.element(l, &given, &l.name.clone(), 0, e.span),
            s => self.given_position(&given[0], s, &set.name, 0),
        }
    }
}

/// A place that was looked up in a listed set.
pub(super) struct Lookup {
    /// The place; negative where there is none.
    place: NodeId,
    /// What was looked for: positions in the sets of the components.
    key: Vec<(IndexSet, NodeId)>,
    set: Arc<ListedSet>,
    shown: String,
    span: Span,
}

fn absent(set: &ListedSet, shown: &str, key: &[String], span: Span) -> Box<Diagnostic> {
    let key = tuple_text(key);
    err(
        Code::UnknownLabel,
        format!("`{shown}` is over `{}`, which has no element {key}", set.name),
    )
    .at(span, format!("reaches {key}"))
    .help(format!(
        "range over `{0}`, or add a condition: `… if (…) in {0}`",
        set.name
    ))
    .into()
}

/// The element that all given components belong to.
fn one_element(given: &[Given<'_>]) -> Option<(Arc<ListedSet>, Pos)> {
    let Given::Part(first, _) = given.first()? else {
        return None;
    };
    let same = given.iter().all(|g| match g {
        Given::Part(p, _) => p.at == first.at && (Arc::ptr_eq(&p.set, &first.set) || p.set == first.set),
        Given::Expr(_) => false,
    });
    same.then(|| (first.set.clone(), first.at.clone()))
}

/// The element with these components, as the user writes it.
pub(super) fn tuple_text(key: &[String]) -> String {
    match key {
        [one] => one.clone(),
        many => format!("({})", many.join(", ")),
    }
}
