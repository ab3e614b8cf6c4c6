//! Types of expressions: what the entries are, and the index sets of the dimensions, with symbolic sizes.
//!
//! Invariant: label sets are nominal, integer ranges structural; a size is a polynomial in names, and two sizes are
//! called different if they differ by a number, or are written in different names.

use std::collections::BTreeMap;

use super::scope::Sort;
use crate::lang::syntax::ConeName;

/// A polynomial with integer coefficients in the names of sizes, integer parameters and indices.
#[derive(Clone, Debug, PartialEq, Eq, Default)]
pub struct Poly {
    /// Coefficient by monomial (its names, sorted); none is 0.
    terms: BTreeMap<Vec<String>, i64>,
}

impl Poly {
    /// A number.
    pub fn number(n: i64) -> Poly {
        let mut p = Poly::default();
        if n != 0 {
            p.terms.insert(vec![], n);
        }
        p
    }

    /// A name, or the text of an expression that is no polynomial.
    pub fn symbol(name: impl Into<String>) -> Poly {
        Poly {
            terms: BTreeMap::from([(vec![name.into()], 1)]),
        }
    }

    /// Its value, if no name is in it.
    pub fn constant(&self) -> Option<i64> {
        match self.terms.len() {
            0 => Some(0),
            1 => self.terms.get(&vec![]).copied(),
            _ => None,
        }
    }

    /// The name, if it is nothing else.
    pub fn as_symbol(&self) -> Option<&str> {
        match self.terms.iter().next() {
            Some((m, 1)) if self.terms.len() == 1 && m.len() == 1 => Some(&m[0]),
            _ => None,
        }
    }

    /// The sum; `None` if it grows beyond reason.
    pub fn plus(&self, other: &Poly) -> Option<Poly> {
        if self.terms.len() + other.terms.len() > 64 {
            return None;
        }
        let mut out = self.clone();
        for (m, c) in &other.terms {
            let slot = out.terms.entry(m.clone()).or_insert(0);
            *slot = slot.checked_add(*c)?;
            if *slot == 0 {
                out.terms.remove(m);
            }
        }
        Some(out)
    }

    /// The product by a number; `None` if a coefficient overflows.
    pub fn scaled(&self, by: i64) -> Option<Poly> {
        let mut out = Poly::default();
        if by != 0 {
            for (m, c) in &self.terms {
                out.terms.insert(m.clone(), c.checked_mul(by)?);
            }
        }
        Some(out)
    }

    /// The difference.
    pub fn minus(&self, other: &Poly) -> Option<Poly> {
        self.plus(&other.scaled(-1)?)
    }

    /// The product; `None` if it grows beyond reason.
    pub fn times(&self, other: &Poly) -> Option<Poly> {
        if self.terms.len() * other.terms.len() > 64 {
            return None;
        }
        let mut out = Poly::default();
        for (m, c) in &self.terms {
            for (n, d) in &other.terms {
                let mut k: Vec<String> = m.iter().chain(n).cloned().collect();
                if k.len() > 8 {
                    return None;
                }
                k.sort();
                let one = Poly {
                    terms: BTreeMap::from([(k, c.checked_mul(*d)?)]),
                };
                out = out.plus(&one)?;
            }
        }
        Some(out)
    }

    /// All names in it.
    pub fn symbols(&self) -> impl Iterator<Item = &str> {
        self.terms.keys().flatten().map(String::as_str)
    }

    /// Does it hold the text of an expression that is no polynomial, about which nothing is known?
    pub fn is_opaque(&self) -> bool {
        self.symbols()
            .any(|s| !s.chars().all(|c| c == '_' || c.is_alphanumeric()))
    }

    /// Is it the same number? A name against a number depends on the value of the name; two different names are two
    /// sizes, and whoever means one size gives it one name.
    pub fn same(&self, other: &Poly) -> Same {
        if self == other {
            return Same::Yes;
        }
        if self.is_opaque() || other.is_opaque() {
            return Same::Perhaps;
        }
        match self.minus(other).and_then(|d| d.constant()) {
            Some(_) => Same::No,
            None if self.constant().is_some() || other.constant().is_some() => Same::Perhaps,
            None => Same::No,
        }
    }

    /// The coefficient of a name that occurs linearly and alone, and the rest without it.
    pub fn linear_in(&self, name: &str) -> Option<(i64, Poly)> {
        let mut rest = self.clone();
        let c = rest.terms.remove(&vec![name.to_string()])?;
        let elsewhere = rest.symbols().any(|s| s == name);
        (!elsewhere).then_some((c, rest))
    }

    /// Names replaced by polynomials.
    pub fn substituted(&self, by: &BTreeMap<String, Poly>) -> Option<Poly> {
        let mut out = Poly::default();
        for (m, c) in &self.terms {
            let mut t = Poly::number(*c);
            for s in m {
                t = match by.get(s) {
                    Some(p) => t.times(p)?,
                    None => t.times(&Poly::symbol(s))?,
                };
            }
            out = out.plus(&t)?;
        }
        Some(out)
    }

    /// As the user would write it.
    pub fn describe(&self) -> String {
        let mut out = String::new();
        // Names first, the number last: `n - 1`.
        for (m, c) in self
            .terms
            .iter()
            .filter(|(m, _)| !m.is_empty())
            .chain(self.terms.get_key_value(&vec![]))
        {
            let sign = if *c < 0 { "-" } else { "+" };
            if out.is_empty() {
                if *c < 0 {
                    out.push('-');
                }
            } else {
                out.push_str(&format!(" {sign} "));
            }
            let a = c.unsigned_abs();
            if m.is_empty() {
                out.push_str(&a.to_string());
            } else {
                if a != 1 {
                    out.push_str(&format!("{a}*"));
                }
                out.push_str(&m.join("*"));
            }
        }
        if out.is_empty() { "0".into() } else { out }
    }
}

/// Are two things the same?
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Same {
    /// Always.
    Yes,
    /// Not, or not under the names given.
    No,
    /// It depends on values: checked when data are bound.
    Perhaps,
}

/// What a dimension ranges over.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Dim {
    /// A set of labels by name.
    Labels(String),
    /// The integers `lo..hi`.
    Range {
        /// First.
        lo: Poly,
        /// Last.
        hi: Poly,
    },
    /// A set whose elements are listed: tuples, a subset, integers with gaps. Nominal, like labels.
    Listed {
        /// Its name, or the text of the expression.
        name: String,
        /// What each component of an element is drawn from: labels or a range, never another listed set.
        parts: Vec<Dim>,
    },
    /// Unknown after a mistake that was reported: agrees with everything.
    Unknown,
}

impl Dim {
    /// How many indices one element takes as a subscript.
    pub fn arity(&self) -> usize {
        match self {
            Dim::Listed { parts, .. } => parts.len(),
            _ => 1,
        }
    }

    /// What the components of an element are drawn from.
    pub fn parts(&self) -> &[Dim] {
        match self {
            Dim::Listed { parts, .. } => parts,
            d => std::slice::from_ref(d),
        }
    }

    /// What a name bound to an element is.
    pub fn element(&self) -> Kind {
        match self {
            Dim::Labels(s) => Kind::Label(s.clone()),
            Dim::Range { .. } => Ty::scalar(Elem::Int).kind,
            Dim::Listed { parts, .. } => match parts.as_slice() {
                [one] => one.element(),
                many => Kind::Tuple(many.iter().map(|p| Ty::of(p.element())).collect()),
            },
            Dim::Unknown => Kind::Error,
        }
    }

    /// `1..n`.
    pub fn size(n: Poly) -> Dim {
        Dim::Range {
            lo: Poly::number(1),
            hi: n,
        }
    }

    /// `1..n` for a number.
    pub fn fixed(n: usize) -> Dim {
        Dim::size(Poly::number(n as i64))
    }

    /// Number of elements of a range.
    pub fn length(&self) -> Option<Poly> {
        match self {
            Dim::Range { lo, hi } => hi.minus(lo)?.plus(&Poly::number(1)),
            Dim::Labels(s) | Dim::Listed { name: s, .. } => Some(Poly::symbol(format!("length({s})"))),
            Dim::Unknown => None,
        }
    }

    /// Is it the same set?
    pub fn same(&self, other: &Dim) -> Same {
        match (self, other) {
            (Dim::Unknown, _) | (_, Dim::Unknown) => Same::Yes,
            (Dim::Labels(a), Dim::Labels(b)) if a == b => Same::Yes,
            (Dim::Listed { name: a, .. }, Dim::Listed { name: b, .. }) if a == b => Same::Yes,
            (Dim::Range { lo: a, hi: b }, Dim::Range { lo: c, hi: d }) => match (a.same(c), b.same(d)) {
                (Same::No, _) | (_, Same::No) => Same::No,
                (Same::Yes, Same::Yes) => Same::Yes,
                _ => Same::Perhaps,
            },
            _ => Same::No,
        }
    }

    /// As the user would write it in a type: `plants`, `n`, `0..N`.
    pub fn describe(&self) -> String {
        match self {
            Dim::Labels(s) | Dim::Listed { name: s, .. } => s.clone(),
            Dim::Range { lo, hi } if lo.constant() == Some(1) => hi.describe(),
            Dim::Range { lo, hi } => format!("{}..{}", lo.describe(), hi.describe()),
            Dim::Unknown => "?".into(),
        }
    }
}

/// What the entries of an array are.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Elem {
    /// Reals.
    Real,
    /// Integers.
    Int,
    /// Truth values; they count as 0 and 1 in arithmetic.
    Bool,
    /// Texts.
    Text,
}

impl Elem {
    /// The word of the language.
    pub fn word(self) -> &'static str {
        match self {
            Elem::Real => "Real",
            Elem::Int => "Int",
            Elem::Bool => "Bool",
            Elem::Text => "Text",
        }
    }
}

/// What an expression is.
#[derive(Clone, Debug, PartialEq)]
pub enum Kind {
    /// A mistake was reported here: compatible with everything.
    Error,
    /// A scalar (no dimension) or an array.
    Array {
        /// The entries.
        elem: Elem,
        /// The dimensions.
        dims: Vec<Dim>,
        /// A transposed vector.
        covector: bool,
    },
    /// An element of a set of labels.
    Label(String),
    /// `(p, m)`, or an element of a set of tuples.
    Tuple(Vec<Ty>),
    /// A family of sets.
    Family {
        /// Its name.
        name: String,
        /// What the indices that select one of its sets are drawn from.
        keys: Vec<Dim>,
        /// What the elements' components are drawn from.
        parts: Vec<Dim>,
    },
    /// A set.
    Set(Dim),
    /// A table, by the name it was declared under.
    Table(String),
    /// An interval of reals.
    Interval,
    /// A named convex set.
    Cone(ConeName),
    /// A picture.
    Picture,
    /// A solution, of the problem of this key.
    Solution(String),
    /// A problem.
    Problem,
    /// A function.
    Function,
    /// A linear map known by its action and its adjoint's.
    Operator {
        /// What it gives.
        rows: Dim,
        /// What it takes.
        cols: Dim,
    },
    /// A function of the step, with numbers as values.
    Schedule,
    /// A history of values of this kind, newest first.
    History(Box<Ty>),
    /// A table of an optimizer: arrays by number.
    Keyed(Box<Ty>),
    /// A mini-batch.
    Batch,
    /// An optimizer, a transform or a pipeline by its name.
    Method,
    /// A parameter that stands for one.
    Plug(Sort),
}

/// The type of an expression, and whether it depends on decision variables.
#[derive(Clone, Debug, PartialEq)]
pub struct Ty {
    /// What it is.
    pub kind: Kind,
    /// Does its value change with the variables?
    pub varies: bool,
}

impl Ty {
    /// A constant of this kind.
    pub fn of(kind: Kind) -> Ty {
        Ty { kind, varies: false }
    }

    /// The type of what could not be typed.
    pub fn error() -> Ty {
        Ty::of(Kind::Error)
    }

    /// A column of a table: numbers, one for each row.
    pub fn column(table: &str) -> Ty {
        Ty::array(
            Elem::Real,
            vec![Dim::size(Poly::symbol(format!("length({table})")))],
            false,
        )
    }

    /// A constant scalar.
    pub fn scalar(elem: Elem) -> Ty {
        Ty::array(elem, vec![], false)
    }

    /// An array.
    pub fn array(elem: Elem, dims: Vec<Dim>, varies: bool) -> Ty {
        Ty {
            kind: Kind::Array {
                elem,
                dims,
                covector: false,
            },
            varies,
        }
    }

    /// Was a mistake reported here?
    pub fn is_error(&self) -> bool {
        self.kind == Kind::Error
    }

    /// The dimensions of an array; none for everything else.
    pub fn dims(&self) -> &[Dim] {
        match &self.kind {
            Kind::Array { dims, .. } => dims,
            _ => &[],
        }
    }

    /// The entries, if it is an array or a scalar.
    pub fn elem(&self) -> Option<Elem> {
        match &self.kind {
            Kind::Array { elem, .. } => Some(*elem),
            _ => None,
        }
    }

    /// As a phrase: `a number`, `an integer`, `Vector[n]`.
    pub fn words(&self) -> String {
        match &self.kind {
            Kind::Array { elem, dims, .. } if dims.is_empty() => match elem {
                Elem::Real => "a number",
                Elem::Int => "an integer",
                Elem::Bool => "a truth value",
                Elem::Text => "a text",
            }
            .into(),
            _ => self.describe(),
        }
    }

    /// As the user would write it: `Real`, `Vector[n]`, `Real[plants, markets]`, `a set`.
    pub fn describe(&self) -> String {
        match &self.kind {
            Kind::Error => "?".into(),
            Kind::Array { elem, dims, covector } => {
                let list = dims.iter().map(Dim::describe).collect::<Vec<_>>().join(", ");
                let plain = dims
                    .iter()
                    .all(|d| matches!(d, Dim::Range { lo, .. } if lo.constant() == Some(1)));
                let text = match (elem, dims.len()) {
                    (e, 0) => e.word().to_string(),
                    (Elem::Real, 1) if plain => format!("Vector[{list}]"),
                    (Elem::Real, 2) if plain => format!("Matrix[{list}]"),
                    (e, _) => format!("{}[{list}]", e.word()),
                };
                if *covector { format!("transposed {text}") } else { text }
            }
            Kind::Label(s) => format!("an element of {s}"),
            Kind::Tuple(parts) => format!("a tuple of {}", parts.len()),
            Kind::Family { name, .. } => format!("the family of sets {name}"),
            Kind::Set(Dim::Range { lo, hi }) => format!("the set {}..{}", lo.describe(), hi.describe()),
            Kind::Set(d) => format!("the set {}", d.describe()),
            Kind::Table(_) => "a table".into(),
            Kind::Interval => "an interval".into(),
            Kind::Cone(c) => format!("the set `{}`", c.word()),
            Kind::Solution(_) => "a solution".into(),
            Kind::Picture => "a picture".into(),
            Kind::Problem => "a problem".into(),
            Kind::Function => "a function".into(),
            Kind::Operator { rows, cols } => format!("Operator[{}, {}]", rows.describe(), cols.describe()),
            Kind::Schedule => "a schedule".into(),
            Kind::History(t) => format!("a history of {}", t.describe()),
            Kind::Keyed(t) => format!("a table of {}", t.describe()),
            Kind::Batch => "a batch".into(),
            Kind::Method => "a method".into(),
            Kind::Plug(s) => s.word().into(),
        }
    }
}
