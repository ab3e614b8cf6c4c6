//! Bytes of data files to values and back: tables, Matrix Market, NumPy, LIBSVM, JSON, Parquet.
//!
//! Invariant: opens no file and prints nothing (`session::files` does the first); whatever the bytes are, the answer is
//! a value or one diagnostic that names the file and the line, and nothing larger than the input's budget is allocated.

pub mod errors;
pub mod json;
pub mod labelled;
pub mod libsvm;
pub mod matrix;
pub mod numpy;
pub mod parquet;
pub mod save;
pub mod table;

use std::borrow::Cow;

use crate::base::Diagnostic;
use crate::base::value::{IndexSet, Table, Tensor};

pub use labelled::{read_labelled, read_tuples};
pub use matrix::read_matrix_market;
pub use table::{Columns, NumberTable, read_column, read_columns, read_labels, read_plain};

/// The bytes of one file, already decompressed.
#[derive(Clone, Copy, Debug)]
pub struct Input<'a> {
    /// What messages call the file: the path as the program gave it.
    pub name: &'a str,
    /// The whole content.
    pub bytes: &'a [u8],
    /// Bytes that the values read from it may take.
    pub budget: u64,
}

impl<'a> Input<'a> {
    /// An input with a budget of 1 GiB.
    pub fn new(name: &'a str, bytes: &'a [u8]) -> Self {
        Input {
            name,
            bytes,
            budget: 1 << 30,
        }
    }
    /// Other bytes under the same name: the text of a table that the file holds in another form.
    pub(crate) fn with<'b>(&'b self, bytes: &'b [u8]) -> Input<'b> {
        Input {
            name: self.name,
            bytes,
            budget: self.budget,
        }
    }
    /// Refuses (R0309) a value of `bytes` bytes that does not fit; `what` says what it would have been.
    pub(crate) fn afford(&self, bytes: u128, what: &str) -> Result<(), Diagnostic> {
        if bytes <= u128::from(self.budget) {
            Ok(())
        } else {
            Err(errors::too_large(self.name, what, bytes, self.budget))
        }
    }
}

/// A format that `read` understands.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Format {
    /// Comma-, semicolon- or tab-separated values.
    Csv,
    /// Matrix Market exchange format.
    MatrixMarket,
    /// One NumPy array.
    Npy,
    /// An archive of NumPy arrays.
    Npz,
    /// JSON.
    Json,
    /// LIBSVM's sparse rows.
    Libsvm,
    /// Columns of a table (feature `parquet`).
    Parquet,
}

impl Format {
    /// The format by the file name's ending, `.gz` left aside; R0606 if it is not known.
    pub fn of(name: &str) -> Result<Format, Diagnostic> {
        let lower = name.to_lowercase();
        let stem = lower.strip_suffix(".gz").unwrap_or(&lower);
        let ending = stem
            .rsplit(['/', '\\'])
            .next()
            .and_then(|f| f.rsplit_once('.'))
            .map(|p| p.1);
        match ending {
            Some("csv" | "tsv" | "txt") => Ok(Format::Csv),
            Some("mtx" | "mm") => Ok(Format::MatrixMarket),
            Some("npy") => Ok(Format::Npy),
            Some("npz") => Ok(Format::Npz),
            Some("json") => Ok(Format::Json),
            Some("svm" | "libsvm") => Ok(Format::Libsvm),
            Some("parquet") if cfg!(feature = "parquet") => Ok(Format::Parquet),
            Some("parquet") => Err(parquet::not_built_in(name)),
            _ => Err(errors::unknown_format(name)),
        }
    }
}

/// What `read("file", …)` asked for beside the file.
#[derive(Clone, Debug, Default)]
pub struct Request {
    /// `column: "y"`.
    pub column: Option<String>,
    /// `columns: all except "y"`.
    pub columns: Option<Columns>,
    /// `array: "w"`, of an archive.
    pub array: Option<String>,
}

/// Reads an array of `sets.len()` dimensions: `sets[d]` is the set of dimension `d` where it is known, `None` where the
/// data bind its size. A dimension over labels is matched by label (every dimension must be known then); otherwise
/// entries go by position, and the caller compares sizes. What is sparse in the file stays sparse.
pub fn read(input: &Input, request: &Request, sets: &[Option<IndexSet>]) -> Result<Tensor, Diagnostic> {
    let format = Format::of(input.name)?;
    if request.array.is_some() && format != Format::Npz {
        return Err(errors::no_arrays(input.name));
    }
    if !matches!(format, Format::Csv | Format::Json | Format::Parquet)
        && (request.column.is_some() || request.columns.is_some())
    {
        return Err(errors::no_columns(input.name));
    }
    match format {
        Format::MatrixMarket => {
            let t = read_matrix_market(input)?;
            Ok(by_position(matrix::with_rank(input, t, sets.len())?, sets))
        }
        Format::Npy => of_shape(input, numpy::read_npy(input)?, sets),
        Format::Npz => of_shape(input, numpy::read_npz(input, request.array.as_deref())?, sets),
        Format::Libsvm => {
            let cols = sets.get(1).and_then(|s| s.as_ref()).map(IndexSet::len);
            Ok(by_position(libsvm::of_rank(input, sets.len(), cols)?, sets))
        }
        Format::Json => json::read_json(input, request, sets),
        Format::Csv => read_table(input, request, sets),
        Format::Parquet => read_table(&input.with(&parquet::as_csv(input)?), request, sets),
    }
}

/// Reads a table with all its columns: CSV, JSON records, or Parquet.
pub fn read_columns_of(input: &Input) -> Result<Table, Diagnostic> {
    table::read_whole(&input.with(&text_of(input)?))
}

/// The elements of a set: the texts of a column, of any file that is a table. Errors: as [`read_labels`], R0604.
pub fn read_elements(input: &Input, column: Option<&str>) -> Result<Vec<String>, Diagnostic> {
    read_labels(&input.with(&text_of(input)?), column)
}

/// As [`read_tuples`], of any file that is a table.
pub fn read_pairs(input: &Input, sets: &[IndexSet]) -> Result<Vec<Vec<usize>>, Diagnostic> {
    read_tuples(&input.with(&text_of(input)?), sets)
}

/// The text of a table, whatever holds it. Errors: R0604 (the file is no table).
fn text_of<'a>(input: &Input<'a>) -> Result<Cow<'a, [u8]>, Diagnostic> {
    match Format::of(input.name)? {
        Format::Csv => Ok(Cow::Borrowed(input.bytes)),
        Format::Json => Ok(Cow::Owned(json::table_text(input)?.into_bytes())),
        Format::Parquet => Ok(Cow::Owned(parquet::as_csv(input)?)),
        _ => Err(errors::no_columns(input.name).help("a table is read from a `.csv`, a `.json` or a `.parquet` file")),
    }
}

/// Positions are the order of a set's elements; a file without labels can only mean those.
fn by_position(mut t: Tensor, sets: &[Option<IndexSet>]) -> Tensor {
    for (have, want) in t.dims.iter_mut().zip(sets) {
        if let Some(want) = want
            && want.len() == have.len()
        {
            *have = want.clone();
        }
    }
    t
}

/// An array of the wanted number of dimensions; an n×1 or 1×n one is a vector too, and a single number a scalar.
fn of_shape(input: &Input, t: Tensor, sets: &[Option<IndexSet>]) -> Result<Tensor, Diagnostic> {
    let shape = t.shape();
    let t = match (sets.len(), shape.as_slice()) {
        (r, s) if r == s.len() => t,
        (1, [n, 1] | [1, n]) => {
            let n = *n;
            Tensor {
                dims: vec![IndexSet::upto(n)],
                storage: crate::base::value::Storage::Dense(t.to_dense()),
            }
        }
        (0, _) if t.len() == 1 => Tensor::scalar(t.to_dense()[0]),
        (rank, s) => {
            let lens: Vec<String> = s.iter().map(usize::to_string).collect();
            let found = match s.len() {
                0 => "a number".to_string(),
                _ => format!("an array of {}", lens.join(" by ")),
            };
            return Err(errors::wrong_rank(input.name, &found, rank));
        }
    };
    Ok(by_position(t, sets))
}

/// As [`read`], for tables.
pub(crate) fn read_table(input: &Input, request: &Request, sets: &[Option<IndexSet>]) -> Result<Tensor, Diagnostic> {
    let labelled = sets
        .iter()
        .flatten()
        .any(|s| matches!(s, IndexSet::Labels(_) | IndexSet::Listed(_)));
    match labelled {
        true => {
            let known: Option<Vec<IndexSet>> = sets.iter().cloned().collect();
            let Some(known) = known else {
                return Err(errors::unbound_beside_labels(input.name));
            };
            let data = read_labelled(input, &known, request.column.as_deref(), None)?;
            Ok(Tensor {
                dims: known,
                storage: crate::base::value::Storage::Dense(data),
            })
        }
        false => {
            if let Some(column) = &request.column {
                let v = read_column(input, column)?;
                return match sets.len() {
                    0 if v.len() == 1 => Ok(Tensor::scalar(v[0])),
                    1 => Ok(Tensor::vector(v)),
                    rank => Err(errors::wrong_rank(
                        input.name,
                        &format!("a column of {} numbers", v.len()),
                        rank,
                    )),
                };
            }
            let table = match &request.columns {
                Some(columns) => read_columns(input, columns)?,
                None => read_plain(input)?,
            };
            let (rows, cols) = (table.rows, table.cols);
            match sets.len() {
                0 if rows * cols == 1 => Ok(Tensor::scalar(table.data[0])),
                1 if cols == 1 || rows == 1 && request.columns.is_none() => Ok(Tensor::vector(table.data)),
                2 => Ok(Tensor {
                    dims: vec![IndexSet::upto(rows), IndexSet::upto(cols)],
                    storage: crate::base::value::Storage::Dense(table.data),
                }),
                rank => {
                    let d = errors::wrong_rank(input.name, &format!("a table of {rows} rows and {cols} columns"), rank);
                    Err(match (&table.names[..], rank) {
                        ([first, ..], 1) => d.help(format!("name the column wanted: `column: \"{first}\"`")),
                        _ => d,
                    })
                }
            }
        }
    }
}
