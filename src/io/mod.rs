//! Bytes of data files to values: CSV tables and Matrix Market.
//!
//! Invariant: opens no file and prints nothing (`session::files` does the first); whatever the bytes are, the answer is
//! a value or one diagnostic that names the file and the line, and nothing larger than the input's budget is allocated.

pub mod errors;
pub mod labelled;
pub mod matrix;
pub mod table;

use crate::base::value::{IndexSet, Tensor};
use crate::base::{Code, Diagnostic};

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
            Some(e @ ("npy" | "npz" | "parquet" | "json" | "svm" | "libsvm")) => Err(Diagnostic::new(
                Code::NotBuiltYet,
                format!("`{name}`: reading `.{e}` files is not built yet"),
            )
            .help("`read` takes `.csv` and `.mtx` files today, each also as `.gz`")),
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
}

/// Reads an array of `sets.len()` dimensions: `sets[d]` is the set of dimension `d` where it is known, `None` where the
/// data bind its size. A dimension over labels is matched by label (every dimension must be known then); otherwise
/// entries go by position, and the caller compares sizes. What is sparse in the file stays sparse.
pub fn read(input: &Input, request: &Request, sets: &[Option<IndexSet>]) -> Result<Tensor, Diagnostic> {
    let labelled = sets.iter().flatten().any(|s| matches!(s, IndexSet::Labels(_)));
    match Format::of(input.name)? {
        Format::MatrixMarket => {
            if request.column.is_some() || request.columns.is_some() {
                return Err(errors::no_columns(input.name));
            }
            let t = read_matrix_market(input)?;
            let mut t = matrix::with_rank(input, t, sets.len())?;
            // Positions are the order of a label set's elements; a file without labels can only mean those.
            for (have, want) in t.dims.iter_mut().zip(sets) {
                if let Some(want) = want
                    && want.len() == have.len()
                {
                    *have = want.clone();
                }
            }
            Ok(t)
        }
        Format::Csv if labelled => {
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
        Format::Csv => {
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
