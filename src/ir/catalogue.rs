//! What programs may call: functions with their signatures, methods with their options.
//!
//! Invariant: filled once from tables (atoms, methods) and the language's own functions; the checker knows no function
//! but through it.

use indexmap::IndexMap;

use super::atom::{Atom, AtomKind};

/// What the entries of an argument or a result are.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum SigElem {
    /// Reals (integers and truth values widen to them).
    Real,
    /// Integers.
    Int,
    /// Truth values.
    Bool,
    /// A set, given by its name or as a literal.
    Set,
    /// Anything.
    Any,
}

/// A dimension in a signature.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum SigDim {
    /// One dimension, the same wherever the name stands; a result may name an integer argument.
    Name(String),
    /// Any number of dimensions, the same wherever the name stands: `..d`.
    Rest(String),
    /// `m + n`.
    Sum(String, String),
    /// `m + n - 1`.
    Overlap(String, String),
    /// `m * n`.
    Product(String, String),
    /// A number.
    Fixed(i64),
}

/// A type in a signature.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SigType {
    /// The entries.
    pub elem: SigElem,
    /// The dimensions.
    pub dims: Vec<SigDim>,
}

/// One form of a function, such as `(x: Vector[n], P: Matrix[n, n]) -> Real`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Signature {
    /// Names and types of the arguments in order.
    pub params: Vec<(String, SigType)>,
    /// May the last argument be repeated?
    pub variadic: bool,
    /// The result.
    pub result: SigType,
    /// As written.
    pub text: String,
}

/// How the arguments of a form are taken.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Form {
    /// Scalars to a scalar; arrays entry by entry.
    Elementwise,
    /// An array to a number; also as a comprehension.
    Reduction,
    /// As the signature says.
    Array,
}

/// A function of the language.
#[derive(Clone, Debug, Default)]
pub struct Function {
    /// Its forms.
    pub forms: Vec<(Form, Signature)>,
    /// One sentence for help.
    pub doc: String,
}

/// A method that `solve … with` may name.
#[derive(Clone, Debug, Default)]
pub struct MethodEntry {
    /// Names of its options.
    pub options: Vec<String>,
    /// Those of them that take one of a list of words.
    pub worded: Vec<String>,
    /// Names of its states and records.
    pub columns: Vec<String>,
    /// One sentence for help.
    pub doc: String,
}

/// Everything that programs may call by name.
#[derive(Clone, Debug, Default)]
pub struct Catalogue {
    /// Functions by name.
    pub functions: IndexMap<String, Function>,
    /// Methods by name; while empty, any method name is taken.
    pub methods: IndexMap<String, MethodEntry>,
    /// Names that the library defines in the language, for suggestions: a program that calls one brings it in.
    pub library: Vec<String>,
}

/// Functions of the language that are no rows of the table of atoms.
const OWN: &[(&str, Form, &str, &str)] = &[
    (
        "dot",
        Form::Array,
        "(x: Real[..d], y: Real[..d]) -> Real",
        "Sum of the products of corresponding entries.",
    ),
    ("ones", Form::Array, "(n: Int) -> Vector[n]", "Ones."),
    ("ones", Form::Array, "(m: Int, n: Int) -> Matrix[m, n]", "Ones."),
    ("ones", Form::Array, "(I: Set) -> Real[I]", "Ones."),
    ("ones", Form::Array, "(I: Set, J: Set) -> Real[I, J]", "Ones."),
    (
        "linspace",
        Form::Array,
        "(first: Real, last: Real, n: Int) -> Vector[n]",
        "Numbers at equal distances, both ends included.",
    ),
    (
        "logspace",
        Form::Array,
        "(first: Real, last: Real, n: Int) -> Vector[n]",
        "Powers of ten, the exponents at equal distances: from `10^first` to `10^last`.",
    ),
    ("zeros", Form::Array, "(n: Int) -> Vector[n]", "Zeros."),
    ("zeros", Form::Array, "(m: Int, n: Int) -> Matrix[m, n]", "Zeros."),
    ("zeros", Form::Array, "(I: Set) -> Real[I]", "Zeros."),
    ("zeros", Form::Array, "(I: Set, J: Set) -> Real[I, J]", "Zeros."),
    ("eye", Form::Array, "(n: Int) -> Matrix[n, n]", "The identity matrix."),
    ("length", Form::Array, "(I: Set) -> Int", "Number of elements."),
    ("length", Form::Array, "(x: Any[..d]) -> Int", "Number of entries."),
    (
        "standardize",
        Form::Array,
        "(x: Real[I]) -> Real[I]",
        "Centred, and divided by its standard deviation; a constant becomes 0.",
    ),
    (
        "standardize",
        Form::Array,
        "(X: Real[I, J]) -> Real[I, J]",
        "Every column centred, and divided by its standard deviation.",
    ),
    (
        "diff",
        Form::Array,
        "(x: Vector[n]) -> Vector[m]",
        "Differences of neighbouring entries, one fewer than there are entries.",
    ),
    (
        "tv",
        Form::Array,
        "(x: Vector[n]) -> Real",
        "Total variation: the sum of the sizes of the differences.",
    ),
    (
        "tv",
        Form::Array,
        "(X: Matrix[m, n]) -> Real",
        "Total variation: the sum of the lengths of the differences downwards and to the right.",
    ),
    (
        "toeplitz",
        Form::Array,
        "(c: Vector[n]) -> Operator[n, n]",
        "Constant along its diagonals: the first column, and the first row, which is the column again if not given.",
    ),
    (
        "toeplitz",
        Form::Array,
        "(c: Vector[m], r: Vector[n]) -> Operator[m, n]",
        "Constant along its diagonals: the first column, and the first row.",
    ),
    (
        "circulant",
        Form::Array,
        "(c: Vector[n]) -> Operator[n, n]",
        "Every column is the one before it, moved down by one place around.",
    ),
    (
        "convolution",
        Form::Array,
        "(k: Vector[m], n: Int) -> Operator[m + n - 1, n]",
        "The full convolution of a kernel with a vector of `n`.",
    ),
    (
        "kronecker",
        Form::Array,
        "(A: Operator[m, n], B: Operator[p, q]) -> Operator[m * p, n * q]",
        "The Kronecker product of matrices or operators, never formed.",
    ),
    (
        "lowrank",
        Form::Array,
        "(F: Operator[n, k]) -> Operator[n, n]",
        "`F*F'`, or `U*V'`, never formed.",
    ),
    (
        "lowrank",
        Form::Array,
        "(U: Operator[m, k], V: Operator[n, k]) -> Operator[m, n]",
        "`F*F'`, or `U*V'`, never formed.",
    ),
    (
        "operator",
        Form::Array,
        "(A: Matrix[m, n]) -> Operator[m, n]",
        "A matrix by its products, or functions of your own: `operator(rows: m, cols: n, apply: x -> …, adjoint: y -> …)`.",
    ),
    (
        "matrix",
        Form::Array,
        "(A: Operator[m, n]) -> Matrix[m, n]",
        "The entries of an operator, written out.",
    ),
    (
        "diag",
        Form::Array,
        "(d: Vector[n]) -> Matrix[n, n]",
        "A diagonal matrix from its diagonal.",
    ),
    (
        "diag",
        Form::Array,
        "(A: Matrix[n, n]) -> Vector[n]",
        "The diagonal of a matrix.",
    ),
];

impl Catalogue {
    /// The language's own functions and those of a table of atoms.
    pub fn new(atoms: impl Iterator<Item = &'static Atom>) -> Catalogue {
        let mut c = Catalogue::default();
        for (name, form, text, doc) in OWN {
            c.add(name, *form, text, doc);
        }
        for a in atoms {
            let form = match a.kind {
                AtomKind::Scalar => Form::Elementwise,
                AtomKind::Reduction => Form::Reduction,
                AtomKind::Array => Form::Array,
            };
            for text in a.signature {
                c.add(a.name, form, text, a.doc);
            }
        }
        c
    }

    /// Adds a form; one that cannot be read is left out (a test reads every row's).
    pub fn add(&mut self, name: &str, form: Form, signature: &str, doc: &str) {
        let Ok(s) = Signature::parse(signature) else { return };
        let f = self.functions.entry(name.to_string()).or_default();
        if f.doc.is_empty() {
            f.doc = doc.to_string();
        }
        if !f.forms.iter().any(|(k, t)| *k == form && *t == s) {
            f.forms.push((form, s));
        }
    }

    /// Adds a method.
    /// `worded` are the options that take a word, `columns` its states and records.
    pub fn add_method(&mut self, name: &str, options: &[&str], worded: &[&str], columns: &[&str], doc: &str) {
        let own = |names: &[&str]| names.iter().map(|o| (*o).to_string()).collect();
        let entry = MethodEntry {
            options: own(options),
            worded: own(worded),
            columns: own(columns),
            doc: doc.to_string(),
        };
        self.methods.insert(name.to_string(), entry);
    }

    /// Is it the name of a reduction, so that `name(i in I) …` is a comprehension?
    pub fn is_reduction(&self, name: &str) -> bool {
        self.functions
            .get(name)
            .is_some_and(|f| f.forms.iter().any(|(k, _)| *k == Form::Reduction))
    }
}

impl Signature {
    /// Reads a signature; the sentence says what is wrong with it.
    pub fn parse(text: &str) -> Result<Signature, String> {
        let mut r = Reader { rest: text.trim() };
        r.expect("(")?;
        let (mut params, mut variadic) = (vec![], false);
        if !r.take(")") {
            loop {
                if r.take("...") {
                    variadic = true;
                } else {
                    let name = r.word()?;
                    r.expect(":")?;
                    params.push((name, r.ty()?));
                }
                if !r.take(",") {
                    break;
                }
            }
            r.expect(")")?;
        }
        r.expect("->")?;
        let result = r.ty()?;
        if !r.rest.is_empty() {
            return Err(format!("`{}` is left over", r.rest));
        }
        Ok(Signature {
            params,
            variadic,
            result,
            text: text.trim().to_string(),
        })
    }
}

struct Reader<'a> {
    rest: &'a str,
}

impl Reader<'_> {
    fn take(&mut self, token: &str) -> bool {
        self.rest = self.rest.trim_start();
        match self.rest.strip_prefix(token) {
            Some(r) => {
                self.rest = r.trim_start();
                true
            }
            None => false,
        }
    }

    fn expect(&mut self, token: &str) -> Result<(), String> {
        if self.take(token) {
            Ok(())
        } else {
            Err(format!("`{token}` expected before `{}`", self.rest))
        }
    }

    fn word(&mut self) -> Result<String, String> {
        self.rest = self.rest.trim_start();
        let end = self
            .rest
            .find(|c: char| !(c == '_' || c.is_alphanumeric()))
            .unwrap_or(self.rest.len());
        let (w, r) = self.rest.split_at(end);
        self.rest = r.trim_start();
        if w.is_empty() {
            return Err(format!("a name expected before `{}`", self.rest));
        }
        Ok(w.to_string())
    }

    fn ty(&mut self) -> Result<SigType, String> {
        let name = self.word()?;
        let mut dims = vec![];
        if self.take("[") {
            loop {
                dims.push(self.dim()?);
                if !self.take(",") {
                    break;
                }
            }
            self.expect("]")?;
        }
        let (elem, rank) = match name.as_str() {
            "Real" => (SigElem::Real, None),
            "Int" => (SigElem::Int, None),
            "Bool" => (SigElem::Bool, None),
            "Any" => (SigElem::Any, None),
            "Set" => (SigElem::Set, Some(0)),
            "Vector" => (SigElem::Real, Some(1)),
            "Matrix" | "Operator" => (SigElem::Real, Some(2)),
            "Symmetric" | "Diagonal" => (SigElem::Real, Some(1)),
            other => return Err(format!("`{other}` is not a type")),
        };
        if rank.is_some_and(|r| r != dims.len()) {
            return Err(format!("`{name}` has {} dimensions", dims.len()));
        }
        if matches!(name.as_str(), "Symmetric" | "Diagonal") {
            dims.push(dims[0].clone());
        }
        Ok(SigType { elem, dims })
    }

    fn dim(&mut self) -> Result<SigDim, String> {
        if self.take("..") {
            return Ok(SigDim::Rest(self.word()?));
        }
        let first = self.word()?;
        if let Ok(n) = first.parse() {
            return Ok(SigDim::Fixed(n));
        }
        if self.take("+") {
            let second = self.word()?;
            if self.take("-") {
                self.expect("1")?;
                return Ok(SigDim::Overlap(first, second));
            }
            return Ok(SigDim::Sum(first, second));
        }
        if self.take("*") {
            return Ok(SigDim::Product(first, self.word()?));
        }
        Ok(SigDim::Name(first))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn signatures() {
        let s = Signature::parse("(x: Vector[n], P: Symmetric[n]) -> Real").expect("reads");
        assert_eq!(s.params[1].1.dims, [SigDim::Name("n".into()), SigDim::Name("n".into())]);
        assert!(Signature::parse("(x: Real, ...) -> Vector[n]").expect("reads").variadic);
        assert!(Signature::parse("(x: Real[..d]) -> Real").is_ok());
        assert!(Signature::parse("(a: Matrix[m, n]) -> Matrix[m * n, m + n]").is_ok());
        for bad in [
            "",
            "(x)",
            "(x: Foo) -> Real",
            "(x: Real) -> Real]",
            "(x: Matrix[n]) -> Real",
        ] {
            assert!(Signature::parse(bad).is_err(), "{bad}");
        }
    }
}
