//! Run-time values: numbers, texts, labelled sets, dense and sparse arrays.
//!
//! Invariant: a dense array is row-major and as long as the product of its shape; sparse storage is for two dimensions.

use std::sync::Arc;

use ravine_linalg::Csr;

/// A set of labels, nominal: two sets with the same labels are different sets unless they are the same object.
#[derive(Debug, PartialEq, Eq)]
pub struct LabelSet {
    /// The name it was declared under.
    pub name: String,
    /// The elements in order, without repetition.
    pub labels: Vec<String>,
}

/// A set whose elements are listed one by one: tuples, a subset, integers with gaps. Nominal like a set of labels.
///
/// Each component of an element is a position in a set of labels or a range; elements keep the order they were given in.
#[derive(Clone, Debug)]
pub struct ListedSet {
    /// The name it was declared under, or the text of the expression.
    pub name: String,
    /// What each component is drawn from: labels or a range, never a listed set.
    pub parts: Vec<IndexSet>,
    /// Positions of the components, one column each, all equally long.
    pub columns: Vec<Vec<u32>>,
    /// The elements' places in lexicographic order of their positions.
    order: Vec<u32>,
}

impl ListedSet {
    /// A set of the given columns; the error is the place of an element that stands twice, and where it stood first.
    pub fn new(name: String, parts: Vec<IndexSet>, columns: Vec<Vec<u32>>) -> Result<Self, (usize, usize)> {
        let n = columns.first().map_or(0, Vec::len);
        let mut order: Vec<u32> = (0..n as u32).collect();
        let key = |k: u32| columns.iter().map(move |c| c[k as usize]);
        // Sets are mostly read in order.
        if !order.windows(2).all(|w| key(w[0]).lt(key(w[1]))) {
            order.sort_by(|a, b| key(*a).cmp(key(*b)));
        }
        match order.windows(2).find(|w| key(w[0]).eq(key(w[1]))) {
            Some(w) => Err((w[0].max(w[1]) as usize, w[0].min(w[1]) as usize)),
            None => Ok(ListedSet {
                name,
                parts,
                columns,
                order,
            }),
        }
    }
    /// Number of elements.
    pub fn len(&self) -> usize {
        self.order.len()
    }
    /// Has it no element?
    pub fn is_empty(&self) -> bool {
        self.order.is_empty()
    }
    /// The place of the element with these component positions.
    pub fn find(&self, key: &[u32]) -> Option<usize> {
        let at = |k: u32| self.columns.iter().map(move |c| c[k as usize]);
        let i = self.order.partition_point(|&k| at(k).lt(key.iter().copied()));
        let k = *self.order.get(i)?;
        at(k).eq(key.iter().copied()).then_some(k as usize)
    }
    /// The places of the elements that begin with these component positions, in lexicographic order.
    pub fn starting(&self, key: &[u32]) -> &[u32] {
        let at = |k: u32| self.columns.iter().take(key.len()).map(move |c| c[k as usize]);
        let from = self.order.partition_point(|&k| at(k).lt(key.iter().copied()));
        let upto = self.order.partition_point(|&k| at(k).le(key.iter().copied()));
        &self.order[from..upto]
    }
    /// The same elements under another name.
    pub fn renamed(&self, name: &str) -> ListedSet {
        ListedSet {
            name: name.into(),
            ..self.clone()
        }
    }
    /// The same elements in lexicographic order.
    pub fn sorted(&self) -> ListedSet {
        let columns = self.columns.iter();
        ListedSet {
            name: self.name.clone(),
            parts: self.parts.clone(),
            columns: columns
                .map(|c| self.order.iter().map(|&k| c[k as usize]).collect())
                .collect(),
            order: (0..self.order.len() as u32).collect(),
        }
    }
    /// Component `part` of the element at a place, as the user writes it.
    pub fn component(&self, place: usize, part: usize) -> String {
        let at = self.columns.get(part).and_then(|c| c.get(place));
        at.map_or(String::new(), |p| self.parts[part].element(*p as usize))
    }
}

impl PartialEq for ListedSet {
    fn eq(&self, other: &Self) -> bool {
        self.name == other.name && self.columns == other.columns && self.parts == other.parts
    }
}

/// An index set with its elements: what a dimension of an array ranges over.
#[derive(Clone, Debug)]
pub enum IndexSet {
    /// The integers `lo, lo+1, …, lo+len-1`.
    Range {
        /// First element.
        lo: i64,
        /// Number of elements.
        len: usize,
    },
    /// Labels.
    Labels(Arc<LabelSet>),
    /// Tuples, a subset, integers with gaps.
    Listed(Arc<ListedSet>),
}

impl IndexSet {
    /// `1..n`.
    pub fn upto(n: usize) -> Self {
        IndexSet::Range { lo: 1, len: n }
    }
    /// Number of elements.
    pub fn len(&self) -> usize {
        match self {
            IndexSet::Range { len, .. } => *len,
            IndexSet::Labels(l) => l.labels.len(),
            IndexSet::Listed(l) => l.len(),
        }
    }
    /// Has it no element?
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }
    /// Is it `1..n`, the set of a plain dimension?
    pub fn is_plain(&self) -> bool {
        matches!(self, IndexSet::Range { lo: 1, .. })
    }
    /// First integer element; 0 for labels and listed sets, whose element value is their position.
    pub fn lo(&self) -> i64 {
        match self {
            IndexSet::Range { lo, .. } => *lo,
            IndexSet::Labels(_) | IndexSet::Listed(_) => 0,
        }
    }
    /// What the components of an element are drawn from; itself, if its elements are no tuples and not listed.
    pub fn parts(&self) -> &[IndexSet] {
        match self {
            IndexSet::Listed(l) => &l.parts,
            s => std::slice::from_ref(s),
        }
    }
    /// How many indices one element takes as a subscript.
    pub fn arity(&self) -> usize {
        self.parts().len()
    }
    /// The place of the element with these component positions (counted in [`IndexSet::parts`]).
    pub fn find(&self, key: &[u32]) -> Option<usize> {
        match self {
            IndexSet::Listed(l) => l.find(key),
            s => key.first().map(|k| *k as usize).filter(|k| *k < s.len()),
        }
    }
    /// The position of an integer in a range, or of a label among labels.
    pub fn position_of(&self, element: &str) -> Option<u32> {
        match self {
            IndexSet::Range { lo, len } => {
                let k = element.parse::<i64>().ok()?.checked_sub(*lo)?;
                u32::try_from(k).ok().filter(|k| (*k as usize) < *len)
            }
            IndexSet::Labels(l) => l.labels.iter().position(|x| x == element).map(|k| k as u32),
            IndexSet::Listed(_) => None,
        }
    }
    /// The element at a position as the user writes it; components of a tuple with commas between.
    pub fn element(&self, position: usize) -> String {
        match self {
            IndexSet::Range { lo, .. } => (lo + position as i64).to_string(),
            IndexSet::Labels(l) => l.labels.get(position).cloned().unwrap_or_default(),
            IndexSet::Listed(l) => {
                let parts: Vec<String> = (0..l.parts.len()).map(|k| l.component(position, k)).collect();
                parts.join(", ")
            }
        }
    }
    /// The set as the user would write it: its name, or `1..n`.
    pub fn describe(&self) -> String {
        match self {
            IndexSet::Range { lo, len } => format!("{lo}..{}", lo + *len as i64 - 1),
            IndexSet::Labels(l) => l.name.clone(),
            IndexSet::Listed(l) => l.name.clone(),
        }
    }
}

impl PartialEq for IndexSet {
    /// Label sets are nominal, integer ranges go by their members.
    fn eq(&self, other: &Self) -> bool {
        match (self, other) {
            (IndexSet::Range { lo: a, len: n }, IndexSet::Range { lo: b, len: m }) => n == m && (a == b || *n == 0),
            (IndexSet::Labels(a), IndexSet::Labels(b)) => Arc::ptr_eq(a, b) || a == b,
            (IndexSet::Listed(a), IndexSet::Listed(b)) => Arc::ptr_eq(a, b) || a == b,
            _ => false,
        }
    }
}

/// Entries of an array.
#[derive(Clone, Debug, PartialEq)]
pub enum Storage {
    /// Row-major entries.
    Dense(Vec<f64>),
    /// Compressed rows; only for arrays of two dimensions.
    Sparse(Csr),
}

/// An array of reals over index sets (a scalar has no dimension). Integers and truth values are stored as reals.
#[derive(Clone, Debug, PartialEq)]
pub struct Tensor {
    /// What each dimension ranges over.
    pub dims: Vec<IndexSet>,
    /// The entries.
    pub storage: Storage,
}

impl Tensor {
    /// A number.
    pub fn scalar(v: f64) -> Self {
        Tensor {
            dims: vec![],
            storage: Storage::Dense(vec![v]),
        }
    }
    /// A vector over `1..n`.
    pub fn vector(v: Vec<f64>) -> Self {
        Tensor {
            dims: vec![IndexSet::upto(v.len())],
            storage: Storage::Dense(v),
        }
    }
    /// A dense array; `None` if the number of entries does not fit.
    pub fn dense(dims: Vec<IndexSet>, data: Vec<f64>) -> Option<Self> {
        (dims.iter().map(IndexSet::len).product::<usize>() == data.len()).then_some(Tensor {
            dims,
            storage: Storage::Dense(data),
        })
    }
    /// A sparse matrix over `1..rows` and `1..cols`.
    pub fn sparse(m: Csr) -> Self {
        Tensor {
            dims: vec![IndexSet::upto(m.rows), IndexSet::upto(m.cols)],
            storage: Storage::Sparse(m),
        }
    }
    /// The lengths of the dimensions.
    pub fn shape(&self) -> Vec<usize> {
        self.dims.iter().map(IndexSet::len).collect()
    }
    /// Number of entries, zeros included.
    pub fn len(&self) -> usize {
        self.dims.iter().map(IndexSet::len).product()
    }
    /// Has it no entry?
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }
    /// The number, if it has no dimension.
    pub fn as_scalar(&self) -> Option<f64> {
        match &self.storage {
            Storage::Dense(d) if self.dims.is_empty() => d.first().copied(),
            _ => None,
        }
    }
    /// All entries in row-major order, zeros included.
    pub fn to_dense(&self) -> Vec<f64> {
        match &self.storage {
            Storage::Dense(d) => d.clone(),
            Storage::Sparse(s) => s.to_dense().data,
        }
    }
    /// The entries that are held and their row-major positions, in order: all of a dense array, the stored ones of a sparse
    /// one, whose other entries are zeros.
    pub fn held(&self) -> Box<dyn Iterator<Item = (usize, f64)> + '_> {
        match &self.storage {
            Storage::Dense(d) => Box::new(d.iter().copied().enumerate()),
            Storage::Sparse(s) => Box::new(s.triplets().map(|(i, j, v)| (i * s.cols + j, v))),
        }
    }
    /// The first position that is not held, and so a zero.
    pub fn first_absent(&self) -> Option<usize> {
        let mut next = 0;
        for (k, _) in self.held() {
            if k != next {
                break;
            }
            next += 1;
        }
        (next < self.len()).then_some(next)
    }
    /// The entries if stored densely.
    pub fn as_dense(&self) -> Option<&[f64]> {
        match &self.storage {
            Storage::Dense(d) => Some(d),
            Storage::Sparse(_) => None,
        }
    }
    /// Bytes held.
    pub fn bytes(&self) -> usize {
        match &self.storage {
            Storage::Dense(d) => 8 * d.len(),
            Storage::Sparse(s) => 16 * s.values.len() + 8 * s.indptr.len(),
        }
    }
}

/// What kind of number an array holds, for display and checking.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Elem {
    /// Real numbers.
    Real,
    /// Integers.
    Int,
    /// Truth values, stored as 0 and 1.
    Bool,
}

/// A column of a table.
#[derive(Clone, Debug, PartialEq)]
pub enum Column {
    /// Every field is a number, finite where it was read from a file.
    Numbers(Vec<f64>),
    /// The fields as texts, and the first that is no number: its line and what it holds.
    Texts(Vec<String>, (usize, String)),
}

/// A table: columns of equal length by name.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Table {
    /// The file it came from, as the program calls it.
    pub file: String,
    /// Number of rows.
    pub rows: usize,
    /// Columns in the file's order.
    pub columns: Vec<(String, Column)>,
}

impl Table {
    /// The column of that name, if there is just one.
    pub fn column(&self, name: &str) -> Option<&Column> {
        let mut hits = self.columns.iter().filter(|c| c.0 == name);
        match (hits.next(), hits.next()) {
            (Some(c), None) => Some(&c.1),
            _ => None,
        }
    }
}

impl Table {
    /// The table where what is unknown between two rows is what it was in the row before; before the first that is known,
    /// what it is there.
    pub fn filled(&self) -> Table {
        let mut out = self.clone();
        for (_, c) in &mut out.columns {
            let Column::Numbers(v) = c else { continue };
            let mut last = v.iter().copied().find(|v| !v.is_nan()).unwrap_or(f64::NAN);
            for x in v {
                if x.is_nan() {
                    *x = last;
                }
                last = *x;
            }
        }
        out
    }
}

/// Anything a name may stand for at run time and a command may print.
#[derive(Clone, Debug)]
pub enum Value {
    /// An array of numbers; a scalar has no dimension.
    Array {
        /// Entries and dimensions.
        tensor: Arc<Tensor>,
        /// What the entries mean.
        elem: Elem,
    },
    /// A text.
    Text(String),
    /// An index set.
    Set(IndexSet),
    /// A table.
    Table(Arc<Table>),
}

impl Value {
    /// A real number.
    pub fn real(v: f64) -> Self {
        Value::Array {
            tensor: Arc::new(Tensor::scalar(v)),
            elem: Elem::Real,
        }
    }
    /// A real array.
    pub fn tensor(t: Tensor) -> Self {
        Value::Array {
            tensor: Arc::new(t),
            elem: Elem::Real,
        }
    }
}
