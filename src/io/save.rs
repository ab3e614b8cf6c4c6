//! Values to the bytes of data files: tables with labels, Matrix Market, NumPy, JSON, Parquet.
//!
//! Invariant: what is written is read back as the same value by the reader of the same format, numbers to the last bit.

use std::io::Write;

use super::{Format, errors, numpy, parquet};
use crate::base::value::{Column, IndexSet, Storage, Table, Tensor};
use crate::base::{Code, Diagnostic};

/// Sparse matrices of more entries than this, zeros included, go only into files that leave zeros out.
const LARGE: usize = 100_000_000;

const WRITTEN: &str = "`write` makes `.csv`, `.json`, `.mtx`, `.npy` and `.parquet` files, each also as `.gz`";

/// The format of a file to write; R0606 says what can be written.
fn format_of(name: &str) -> Result<Format, Diagnostic> {
    Format::of(name).map_err(|d| match d.code {
        Code::UnknownFormat => Diagnostic::new(
            d.code,
            format!("the ending of `{name}` names no format that can be written"),
        )
        .help(WRITTEN),
        _ => d,
    })
}

/// An array as a file of the format that its name ends with; `.gz` behind it is packed by the caller.
/// Errors: R0606 (no format, or one that arrays are not written in), R0607 (a value that the format cannot hold).
pub fn write_array(name: &str, t: &Tensor) -> Result<Vec<u8>, Diagnostic> {
    let format = format_of(name)?;
    let limit = if format == Format::Json {
        crate::base::json::LARGE
    } else {
        LARGE
    };
    if format != Format::MatrixMarket && t.as_dense().is_none() && t.len() > limit {
        return Err(Diagnostic::new(
            Code::CannotWrite,
            format!(
                "`{name}` would hold all {} entries of a sparse matrix, zeros included",
                t.len()
            ),
        )
        .help("`.mtx` files hold the entries that are stored"));
    }
    match format {
        Format::Csv => csv_of(name, t),
        Format::Npy => Ok(numpy::write_npy(&t.shape(), &t.to_dense())),
        Format::Json => {
            let v = crate::base::value::Value::tensor(t.clone());
            json_of(name, &v)
        }
        Format::MatrixMarket => market_of(name, t),
        Format::Parquet => parquet::write(name, &table_of(name, &csv_of(name, t)?)?),
        Format::Npz | Format::Libsvm => Err(Diagnostic::new(
            Code::UnknownFormat,
            format!("`{name}`: arrays are not written in this format"),
        )
        .help(WRITTEN)),
    }
}

/// A table: its columns with their names.
pub fn write_table(name: &str, t: &Table) -> Result<Vec<u8>, Diagnostic> {
    match format_of(name)? {
        Format::Csv => {}
        Format::Parquet => return parquet::write(name, t),
        _ => {
            return Err(Diagnostic::new(
                Code::UnknownFormat,
                format!("`{name}`: tables are written as `.csv` and `.parquet` files"),
            ));
        }
    }
    let mut out = csv::Writer::from_writer(vec![]);
    let head: Vec<&str> = t.columns.iter().map(|c| c.0.as_str()).collect();
    out.write_record(&head).map_err(|e| cannot(name, &e))?;
    for k in 0..t.rows {
        let row = t.columns.iter().map(|(_, c)| match c {
            Column::Numbers(v) => number(v[k]),
            Column::Texts(v, _) => v[k].clone(),
        });
        out.write_record(row).map_err(|e| cannot(name, &e))?;
    }
    out.into_inner().map_err(|e| cannot(name, &e))
}

/// The elements of a set: a column for each component, or a list.
pub fn write_set(name: &str, s: &IndexSet) -> Result<Vec<u8>, Diagnostic> {
    match format_of(name)? {
        Format::Csv => csv_of_set(name, s),
        Format::Parquet => parquet::write(name, &table_of(name, &csv_of_set(name, s)?)?),
        Format::Json => json_of(name, &crate::base::value::Value::Set(s.clone())),
        _ => Err(Diagnostic::new(
            Code::UnknownFormat,
            format!("`{name}`: sets are not written in this format"),
        )
        .help("`write` makes `.csv`, `.json` and `.parquet` files of sets")),
    }
}

fn csv_of_set(name: &str, s: &IndexSet) -> Result<Vec<u8>, Diagnostic> {
    let mut out = csv::Writer::from_writer(vec![]);
    out.write_record(heads(s)).map_err(|e| cannot(name, &e))?;
    for k in 0..s.len() {
        out.write_record(fields(s, k)).map_err(|e| cannot(name, &e))?;
    }
    out.into_inner().map_err(|e| cannot(name, &e))
}

/// The columns of a text of ours, so that every format of tables lays a value out alike.
fn table_of(name: &str, text: &[u8]) -> Result<Table, Diagnostic> {
    super::table::read_whole(&super::Input {
        name,
        bytes: text,
        budget: u64::MAX,
    })
}

fn cannot(name: &str, e: &dyn std::fmt::Display) -> Diagnostic {
    Diagnostic::new(Code::CannotWrite, format!("`{name}` cannot be written: {e}"))
}

fn json_of(name: &str, v: &crate::base::value::Value) -> Result<Vec<u8>, Diagnostic> {
    let mut bytes = serde_json::to_vec_pretty(&crate::base::json::value(v)).map_err(|e| cannot(name, &e))?;
    bytes.push(b'\n');
    Ok(bytes)
}

/// Names of the columns that an element's components take.
fn heads(s: &IndexSet) -> Vec<String> {
    let name = |p: &IndexSet, k: usize| match p {
        IndexSet::Labels(l) => l.name.clone(),
        _ => format!("i{}", k + 1),
    };
    let parts = s.parts();
    let mut out: Vec<String> = parts.iter().enumerate().map(|(k, p)| name(p, k)).collect();
    // Two components of one set.
    for k in 1..out.len() {
        if out[..k].contains(&out[k]) {
            out[k] = format!("{}_{}", out[k], k + 1);
        }
    }
    out
}

fn fields(s: &IndexSet, k: usize) -> Vec<String> {
    match s {
        IndexSet::Listed(l) => (0..l.parts.len()).map(|j| l.component(k, j)).collect(),
        s => vec![s.element(k)],
    }
}

fn number(v: f64) -> String {
    format!("{v:?}")
        .strip_suffix(".0")
        .map_or(format!("{v:?}"), str::to_string)
}

/// A table: labels in the first columns and the value in the last; a matrix over plain sizes as its rows, one over two
/// sets of labels with the second set in the header.
fn csv_of(name: &str, t: &Tensor) -> Result<Vec<u8>, Diagnostic> {
    if let Some(v) = t.to_dense().iter().find(|v| !v.is_finite()) {
        return Err(Diagnostic::new(
            Code::CannotWrite,
            format!("`{name}` cannot hold `{v}`: tables hold finite numbers"),
        )
        .help("`.npy` files hold every number"));
    }
    let mut out = csv::Writer::from_writer(vec![]);
    let data = t.to_dense();
    let plain = |s: &IndexSet| s.is_plain();
    let mut row = |fields: Vec<String>| out.write_record(&fields).map_err(|e| cannot(name, &e));
    match t.dims.as_slice() {
        [] => row(vec!["value".into()]).and_then(|()| row(vec![number(data[0])]))?,
        [a] if plain(a) => {
            row(vec!["value".into()])?;
            for v in &data {
                row(vec![number(*v)])?;
            }
        }
        [a, b] if plain(a) && plain(b) => {
            row((1..=b.len()).map(|j| format!("c{j}")).collect())?;
            for r in data.chunks(b.len().max(1)) {
                row(r.iter().map(|v| number(*v)).collect())?;
            }
        }
        [a, b] if a.arity() == 1 && b.arity() == 1 => {
            let mut head = heads(a);
            head.extend((0..b.len()).map(|j| b.element(j)));
            row(head)?;
            for (i, r) in data.chunks(b.len().max(1)).enumerate() {
                let mut f = fields(a, i);
                f.extend(r.iter().map(|v| number(*v)));
                row(f)?;
            }
        }
        dims => {
            let mut head: Vec<String> = dims.iter().flat_map(heads).collect();
            for k in 1..head.len() {
                if head[..k].contains(&head[k]) {
                    head[k] = format!("{}_{}", head[k], k + 1);
                }
            }
            head.push("value".into());
            row(head)?;
            for (k, v) in data.iter().enumerate() {
                let mut rest = k;
                let mut key: Vec<Vec<String>> = vec![];
                for s in dims.iter().rev() {
                    key.push(fields(s, rest % s.len().max(1)));
                    rest /= s.len().max(1);
                }
                key.reverse();
                let mut f: Vec<String> = key.concat();
                f.push(number(*v));
                row(f)?;
            }
        }
    }
    out.into_inner().map_err(|e| cannot(name, &e))
}

fn market_of(name: &str, t: &Tensor) -> Result<Vec<u8>, Diagnostic> {
    let mut out = vec![];
    let shape = t.shape();
    let (rows, cols) = match shape[..] {
        [n] => (n, 1),
        [m, n] => (m, n),
        _ => {
            return Err(errors::wrong_rank(name, "a matrix or a vector only", shape.len()));
        }
    };
    let line = |out: &mut Vec<u8>, text: String| {
        // Writing to memory does not fail.
        let _ = writeln!(out, "{text}");
    };
    match &t.storage {
        Storage::Sparse(m) => {
            line(&mut out, "%%MatrixMarket matrix coordinate real general".into());
            line(&mut out, format!("{rows} {cols} {}", m.values.len()));
            for i in 0..m.rows {
                for k in m.indptr[i]..m.indptr[i + 1] {
                    line(
                        &mut out,
                        format!("{} {} {}", i + 1, m.indices[k] + 1, number(m.values[k])),
                    );
                }
            }
        }
        Storage::Dense(d) => {
            line(&mut out, "%%MatrixMarket matrix array real general".into());
            line(&mut out, format!("{rows} {cols}"));
            for j in 0..cols {
                for i in 0..rows {
                    line(&mut out, number(d[i * cols + j]));
                }
            }
        }
    }
    Ok(out)
}
