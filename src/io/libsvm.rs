//! LIBSVM's sparse rows: `label index:value …`.
//!
//! Invariant: indices rise along a row and count from 1; every number is finite; nothing larger than the budget is
//! allocated.
//! Source: Chang, Lin, "LIBSVM: a library for support vector machines", 2011 (its README's format).

use ravine_linalg::Csr;

use super::{Input, errors};
use crate::base::Diagnostic;
use crate::base::value::Tensor;

/// Labels and features of a file.
#[derive(Debug)]
pub struct Rows {
    /// One per row.
    pub labels: Vec<f64>,
    /// Rows × largest index.
    pub features: Csr,
}

/// Reads the rows. `cols` is the number of features where it is known. Errors: R0602 (form), R0603, R0309.
pub fn read_libsvm(input: &Input, cols: Option<usize>) -> Result<Rows, Diagnostic> {
    let mut labels = vec![];
    let (mut indptr, mut indices, mut values) = (vec![0usize], vec![], vec![]);
    let mut most = 0usize;
    for (k, line) in input.bytes.split(|b| *b == b'\n').enumerate() {
        let number = k + 1;
        let text = std::str::from_utf8(line)
            .map_err(|_| errors::table_line(input.name, number, "the line is not UTF-8 text"))?;
        let text = text.split('#').next().unwrap_or("").trim();
        if text.is_empty() {
            continue;
        }
        let mut words = text.split_whitespace();
        let label = words.next().unwrap_or("");
        labels.push(finite(input, number, "the label", label)?);
        let mut before = 0;
        for w in words {
            let Some((index, value)) = w.split_once(':') else {
                return Err(errors::table_line(
                    input.name,
                    number,
                    format!("`{}` is not like `index:value`", errors::excerpt(w)),
                ));
            };
            if index == "qid" {
                continue;
            }
            let index: usize = index.parse().map_err(|_| {
                errors::table_line(input.name, number, format!("`{}` is no index", errors::excerpt(index)))
            })?;
            if index <= before {
                let what = match index {
                    0 => "indices count from 1, and here is a 0".to_string(),
                    i => format!("index {i} does not follow {before}: they rise along a row"),
                };
                return Err(errors::table_line(input.name, number, what));
            }
            if let Some(n) = cols
                && index > n
            {
                return Err(errors::table_line(
                    input.name,
                    number,
                    format!("index {index} lies beyond the {n} columns wanted"),
                ));
            }
            before = index;
            most = most.max(index);
            indices.push(index - 1);
            values.push(finite(input, number, &format!("index {index}"), value)?);
        }
        indptr.push(indices.len());
        if labels.len() % 4096 == 0 {
            input.afford(16 * indices.len() as u128, &format!("{} entries", indices.len()))?;
        }
    }
    input.afford(16 * indices.len() as u128, &format!("{} entries", indices.len()))?;
    if labels.is_empty() {
        return Err(errors::table(input.name, "is empty"));
    }
    Ok(Rows {
        features: Csr {
            rows: labels.len(),
            cols: cols.unwrap_or(most),
            indptr,
            indices,
            values,
        },
        labels,
    })
}

fn finite(input: &Input, line: usize, what: &str, word: &str) -> Result<f64, Diagnostic> {
    match word.parse::<f64>() {
        Ok(v) if v.is_finite() => Ok(v),
        _ => Err(errors::bad_number(input.name, line, what, word)),
    }
}

/// What an array of `rank` dimensions takes of the rows: the features as a matrix, the labels as a vector.
pub fn of_rank(input: &Input, rank: usize, cols: Option<usize>) -> Result<Tensor, Diagnostic> {
    match rank {
        1 => Ok(Tensor::vector(read_libsvm(input, None)?.labels)),
        2 => Ok(Tensor::sparse(read_libsvm(input, cols)?.features)),
        r => Err(errors::wrong_rank(
            input.name,
            "rows of labels and features: a vector takes the labels, a matrix the features",
            r,
        )),
    }
}
