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
    /// First integer element; 0 for labels, whose element value is their position.
    pub fn lo(&self) -> i64 {
        match self {
            IndexSet::Range { lo, .. } => *lo,
            IndexSet::Labels(_) => 0,
        }
    }
    /// The element at a position as the user writes it.
    pub fn element(&self, position: usize) -> String {
        match self {
            IndexSet::Range { lo, .. } => (lo + position as i64).to_string(),
            IndexSet::Labels(l) => l.labels.get(position).cloned().unwrap_or_default(),
        }
    }
    /// The set as the user would write it: its name, or `1..n`.
    pub fn describe(&self) -> String {
        match self {
            IndexSet::Range { lo, len } => format!("{lo}..{}", lo + *len as i64 - 1),
            IndexSet::Labels(l) => l.name.clone(),
        }
    }
}

impl PartialEq for IndexSet {
    /// Label sets are nominal, integer ranges go by their members.
    fn eq(&self, other: &Self) -> bool {
        match (self, other) {
            (IndexSet::Range { lo: a, len: n }, IndexSet::Range { lo: b, len: m }) => n == m && (a == b || *n == 0),
            (IndexSet::Labels(a), IndexSet::Labels(b)) => Arc::ptr_eq(a, b) || a == b,
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
