//! Matrix Market exchange format: coordinate (sparse) and array (dense) matrices.
//!
//! Invariant: no allocation is larger than the budget or than what the bytes at hand can fill, whatever the size line
//! says. Entries given twice are an error, not a sum: writers disagree on the meaning.
//! Source: Boisvert, Pozo, Remington, "The Matrix Market exchange formats", NISTIR 5935, 1996.

use ravine_linalg::Csr;

use super::{Input, errors};
use crate::base::Diagnostic;
use crate::base::value::{IndexSet, Storage, Tensor};

#[derive(Clone, Copy, PartialEq, Eq)]
enum Field {
    Real,
    Integer,
    Pattern,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Symmetry {
    General,
    Symmetric,
    Skew,
}

/// The lines of a file that hold something, with their one-based numbers; comments are skipped after the banner.
struct Lines<'a> {
    input: &'a Input<'a>,
    rest: &'a [u8],
    line: usize,
}

impl<'a> Lines<'a> {
    fn new(input: &'a Input<'a>) -> Self {
        Lines {
            input,
            rest: input.bytes.strip_prefix(b"\xef\xbb\xbf").unwrap_or(input.bytes),
            line: 0,
        }
    }
    fn raw(&mut self) -> Result<Option<&'a str>, Diagnostic> {
        if self.rest.is_empty() {
            return Ok(None);
        }
        self.line += 1;
        let end = self.rest.iter().position(|&b| b == b'\n');
        let (line, rest) = match end {
            Some(k) => (&self.rest[..k], &self.rest[k + 1..]),
            None => (self.rest, &self.rest[self.rest.len()..]),
        };
        self.rest = rest;
        match std::str::from_utf8(line) {
            Ok(text) => Ok(Some(text.trim())),
            // Comments in old files are often Latin-1; nothing is read from them.
            Err(_) if line.first() == Some(&b'%') => Ok(Some("%")),
            Err(_) => Err(errors::market(self.input.name, self.line, "the line is not UTF-8 text")),
        }
    }
    fn next(&mut self) -> Result<Option<&'a str>, Diagnostic> {
        while let Some(line) = self.raw()? {
            if !line.is_empty() && !line.starts_with('%') {
                return Ok(Some(line));
            }
        }
        Ok(None)
    }
    fn fault(&self, what: impl std::fmt::Display) -> Diagnostic {
        errors::market(self.input.name, self.line, what)
    }
    fn index(&self, word: &str, limit: usize, what: &str) -> Result<usize, Diagnostic> {
        match word.parse::<usize>() {
            Ok(i) if (1..=limit).contains(&i) => Ok(i - 1),
            Ok(i) => Err(self.fault(format!("{what} {i} lies outside 1..{limit}"))),
            Err(_) => Err(self.fault(format!("`{}` is not a {what} number", errors::excerpt(word)))),
        }
    }
    fn number(&self, word: &str, field: Field) -> Result<f64, Diagnostic> {
        match word.parse::<f64>() {
            Ok(v) if v.is_finite() && (field != Field::Integer || v.fract() == 0.0) => Ok(v),
            Ok(v) if v.is_finite() => Err(self.fault(format!(
                "`{}` is not an integer, and the header promises integers",
                errors::excerpt(word)
            ))),
            _ => Err(errors::bad_number(self.input.name, self.line, "", word)),
        }
    }
}

/// Reads a Matrix Market file: coordinate files become sparse matrices with sorted columns, array files dense ones;
/// symmetric and skew-symmetric files are completed. Errors: R0605 (form, indices, entries given twice, truncation),
/// R0603 (an entry that is not a finite number), R0309 (larger than the budget).
pub fn read_matrix_market(input: &Input) -> Result<Tensor, Diagnostic> {
    let mut lines = Lines::new(input);
    let banner = lines.raw()?.unwrap_or("").to_ascii_lowercase();
    let words: Vec<&str> = banner.split_whitespace().collect();
    if words.first() != Some(&"%%matrixmarket") {
        lines.line = 1;
        return Err(lines
            .fault("the file does not begin with `%%MatrixMarket`")
            .help("the first line of a Matrix Market file is like `%%MatrixMarket matrix coordinate real general`"));
    }
    let [_, "matrix", layout, field, symmetry] = words[..] else {
        return Err(lines.fault("the header is not like `%%MatrixMarket matrix coordinate real general`"));
    };
    let sparse = match layout {
        "coordinate" => true,
        "array" => false,
        w => return Err(lines.fault(format!("`{}` is neither `coordinate` nor `array`", errors::excerpt(w)))),
    };
    let field = match field {
        "real" | "double" => Field::Real,
        "integer" => Field::Integer,
        "pattern" if sparse => Field::Pattern,
        "pattern" => return Err(lines.fault("an `array` file cannot hold a `pattern`")),
        "complex" => return Err(lines.fault("complex matrices are not read")),
        w => return Err(lines.fault(format!("`{}` is no kind of entry", errors::excerpt(w)))),
    };
    let symmetry = match symmetry {
        "general" => Symmetry::General,
        "symmetric" => Symmetry::Symmetric,
        "skew-symmetric" if field != Field::Pattern => Symmetry::Skew,
        "skew-symmetric" => return Err(lines.fault("a `pattern` cannot be skew-symmetric")),
        "hermitian" => return Err(lines.fault("complex matrices are not read")),
        w => return Err(lines.fault(format!("`{}` is no kind of symmetry", errors::excerpt(w)))),
    };
    let Some(sizes) = lines.next()? else {
        return Err(lines.fault("the file ends before its size line"));
    };
    let wanted = if sparse { 3 } else { 2 };
    let numbers: Option<Vec<usize>> = sizes.split_whitespace().map(|w| w.parse().ok()).collect();
    let Some(numbers) = numbers.filter(|n| n.len() == wanted) else {
        return Err(lines.fault(if sparse {
            "the size line is not three numbers: rows, columns, entries"
        } else {
            "the size line is not two numbers: rows, columns"
        }));
    };
    let (rows, cols) = (numbers[0], numbers[1]);
    if symmetry != Symmetry::General && rows != cols {
        return Err(lines.fault(format!("a symmetric matrix cannot be {rows} by {cols}")));
    }
    if sparse {
        coordinate(input, lines, rows, cols, numbers[2], field, symmetry)
    } else {
        array(input, lines, rows, cols, field, symmetry)
    }
}

fn coordinate(
    input: &Input,
    mut lines: Lines,
    rows: usize,
    cols: usize,
    entries: usize,
    field: Field,
    symmetry: Symmetry,
) -> Result<Tensor, Diagnostic> {
    let per_entry = if symmetry == Symmetry::General { 1 } else { 2 };
    // The result, its row counters, the entries as read and as sorted.
    let bytes = 16 * (rows as u128 + 1) + (24 + 40 * per_entry) * entries as u128;
    input.afford(bytes, &format!("a sparse matrix of {rows} rows and {entries} entries"))?;
    // "1 1\n" is the shortest entry, so the bytes at hand bound what is worth reserving.
    let mut triples: Vec<(usize, usize, f64)> = Vec::with_capacity(entries.min(lines.rest.len() / 4 + 1));
    while let Some(line) = lines.next()? {
        if triples.len() == entries {
            return Err(lines.fault(format!("an entry beyond the {entries} that the size line promises")));
        }
        let mut words = line.split_whitespace();
        let (i, j) = (words.next().unwrap_or(""), words.next().unwrap_or(""));
        let value = if field == Field::Pattern { None } else { words.next() };
        if words.next().is_some() || j.is_empty() || (field != Field::Pattern && value.is_none()) {
            return Err(lines.fault(match field {
                Field::Pattern => "an entry is two numbers: row, column",
                _ => "an entry is three numbers: row, column, value",
            }));
        }
        let (i, j) = (lines.index(i, rows, "row")?, lines.index(j, cols, "column")?);
        let v = value.map_or(Ok(1.0), |w| lines.number(w, field))?;
        if symmetry == Symmetry::Skew && i == j && v != 0.0 {
            return Err(lines.fault("the diagonal of a skew-symmetric matrix is zero"));
        }
        triples.push((i, j, v));
    }
    if triples.len() < entries {
        return Err(errors::market_truncated(
            input.name,
            triples.len() as u128,
            entries as u128,
        ));
    }

    let mut counts = vec![0usize; rows + 1];
    let mirrored = |i: usize, j: usize| symmetry != Symmetry::General && i != j;
    for &(i, j, _) in &triples {
        counts[i + 1] += 1;
        if mirrored(i, j) {
            counts[j + 1] += 1;
        }
    }
    for i in 0..rows {
        counts[i + 1] += counts[i];
    }
    let indptr = counts.clone();
    let total = indptr[rows];
    // (column, value, ordinal of the entry in the file), row after row.
    let mut slots = vec![(0usize, 0.0f64, 0usize); total];
    let mut next = counts;
    for (k, &(i, j, v)) in triples.iter().enumerate() {
        slots[next[i]] = (j, v, k);
        next[i] += 1;
        if mirrored(i, j) {
            slots[next[j]] = (i, if symmetry == Symmetry::Skew { -v } else { v }, k);
            next[j] += 1;
        }
    }
    for i in 0..rows {
        let row = &mut slots[indptr[i]..indptr[i + 1]];
        row.sort_unstable_by_key(|s| (s.0, s.2));
        if let Some(w) = row.windows(2).find(|w| w[0].0 == w[1].0) {
            let (first, again) = (w[0].2.min(w[1].2), w[0].2.max(w[1].2));
            let (a, b) = (entry_line(input, first), entry_line(input, again));
            let (r, c) = (triples[again].0 + 1, triples[again].1 + 1);
            return Err(
                errors::market(input.name, b, format!("entry ({r}, {c}) already stands in line {a}"))
                    .help("entries given twice are not summed: add them up before writing the file"),
            );
        }
    }
    Ok(Tensor::sparse(Csr {
        rows,
        cols,
        indptr,
        indices: slots.iter().map(|s| s.0).collect(),
        values: slots.iter().map(|s| s.1).collect(),
    }))
}

/// The line of the `k`-th entry (from 0).
fn entry_line(input: &Input, k: usize) -> usize {
    let mut lines = Lines::new(input);
    // The first line that is no comment is the size line.
    for _ in 0..k + 2 {
        if !matches!(lines.next(), Ok(Some(_))) {
            break;
        }
    }
    lines.line
}

fn array(
    input: &Input,
    mut lines: Lines,
    rows: usize,
    cols: usize,
    field: Field,
    symmetry: Symmetry,
) -> Result<Tensor, Diagnostic> {
    let (r, c) = (rows as u128, cols as u128);
    let cells = r.saturating_mul(c);
    input.afford(cells.saturating_mul(8), &format!("a dense matrix of {rows} by {cols}"))?;
    let promised = match symmetry {
        Symmetry::General => cells,
        Symmetry::Symmetric => r * (r + 1) / 2,
        Symmetry::Skew => r * r.saturating_sub(1) / 2,
    };
    // "1\n" is the shortest entry: a size line that promises more than the file can hold must not allocate.
    if promised > lines.rest.len() as u128 {
        let mut found = 0;
        while let Some(line) = lines.next()? {
            found += line.split_whitespace().count() as u128;
        }
        return Err(errors::market_truncated(input.name, found, promised));
    }
    let mut data = vec![0.0; rows * cols];
    let first_row = |j: usize| match symmetry {
        Symmetry::General => 0,
        Symmetry::Symmetric => j,
        Symmetry::Skew => j + 1,
    };
    let (mut i, mut j) = (first_row(0), 0);
    let mut found: u128 = 0;
    while let Some(line) = lines.next()? {
        for word in line.split_whitespace() {
            if found == promised {
                return Err(lines.fault(format!("an entry beyond the {promised} that the size line promises")));
            }
            let v = lines.number(word, field)?;
            data[i * cols + j] = v;
            match symmetry {
                Symmetry::General => {}
                Symmetry::Symmetric => data[j * cols + i] = v,
                Symmetry::Skew => data[j * cols + i] = -v,
            }
            found += 1;
            i += 1;
            if i == rows {
                j += 1;
                i = first_row(j);
            }
        }
    }
    if found < promised {
        return Err(errors::market_truncated(input.name, found, promised));
    }
    Ok(Tensor {
        dims: vec![IndexSet::upto(rows), IndexSet::upto(cols)],
        storage: Storage::Dense(data),
    })
}

/// The matrix as an array of `rank` dimensions: itself, the entries of an n×1 or 1×n matrix as a vector, the entry of
/// a 1×1 matrix as a number; R0310 otherwise.
pub fn with_rank(input: &Input, t: Tensor, rank: usize) -> Result<Tensor, Diagnostic> {
    let shape = t.shape();
    match (rank, &shape[..]) {
        (2, _) => Ok(t),
        (1, [_, 1] | [1, _]) => {
            input.afford(8 * t.len() as u128, &format!("a vector of {} entries", t.len()))?;
            Ok(Tensor::vector(t.to_dense()))
        }
        (0, [1, 1]) => Ok(Tensor::scalar(t.to_dense()[0])),
        _ => Err(errors::wrong_rank(
            input.name,
            &format!("a matrix of {} by {}", shape[0], shape[1]),
            rank,
        )),
    }
}
