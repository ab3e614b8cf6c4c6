//! Tables of separated values: columns of numbers or texts by name, plain matrices of numbers.
//!
//! Invariant: every field wanted is a finite number or an error that names its line and column; rows are equally long.
//! The separator is the comma; a first line without a comma may use `;` or a tab instead.

use csv::ByteRecord;

use super::{Input, errors};
use crate::base::Diagnostic;
use crate::base::value::{Column, Table};

/// Which columns to read.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Columns {
    /// All, in the file's order.
    All,
    /// All but these, in the file's order.
    AllExcept(Vec<String>),
    /// These, in this order.
    Names(Vec<String>),
}

/// Columns of numbers.
#[derive(Clone, Debug, PartialEq)]
pub struct NumberTable {
    /// Names of the columns; empty if the file has no header.
    pub names: Vec<String>,
    /// Number of rows.
    pub rows: usize,
    /// Number of columns.
    pub cols: usize,
    /// Entries, row-major.
    pub data: Vec<f64>,
}

/// One row: its fields without surrounding blanks, and its line.
pub(super) struct Row<'r> {
    record: &'r ByteRecord,
    /// One-based line where the row begins.
    pub line: usize,
}

impl<'r> Row<'r> {
    /// The field at a position; empty if there is none.
    pub fn field(&self, k: usize) -> &'r str {
        // The whole input was checked to be UTF-8, and separators are ASCII.
        let raw = std::str::from_utf8(self.record.get(k).unwrap_or(b"")).unwrap_or("");
        let text = raw.trim();
        // Quotes behind a blank, as people write them, are quotes too.
        match text.strip_prefix('"').and_then(|t| t.strip_suffix('"')) {
            Some(inside) if raw.starts_with(' ') => inside,
            _ => text,
        }
    }
    /// Number of fields.
    pub fn len(&self) -> usize {
        self.record.len()
    }
}

/// The rows of a table, one after the other, each as long as the first.
pub(super) struct Rows<'a> {
    input: &'a Input<'a>,
    bytes: &'a [u8],
    reader: csv::Reader<&'a [u8]>,
    record: ByteRecord,
    delimiter: u8,
    /// How far lines are counted, and the line there.
    counted: (usize, usize),
    /// Fields and line of the first row.
    first: Option<(usize, usize)>,
}

impl<'a> Rows<'a> {
    /// Checks the encoding and finds the separator.
    pub fn new(input: &'a Input<'a>) -> Result<Self, Diagnostic> {
        let bytes = input.bytes.strip_prefix(b"\xef\xbb\xbf").unwrap_or(input.bytes);
        if bytes.starts_with(b"\xff\xfe") || bytes.starts_with(b"\xfe\xff") {
            return Err(
                errors::table_line(input.name, 1, "the file is UTF-16; tables are read as UTF-8")
                    .help("save it as UTF-8"),
            );
        }
        if let Err(e) = std::str::from_utf8(bytes) {
            let line = 1 + bytes[..e.valid_up_to()].iter().filter(|&&b| b == b'\n').count();
            return Err(errors::table_line(input.name, line, "the text is not UTF-8").help("save the file as UTF-8"));
        }
        let start = bytes.iter().take_while(|&&b| b == b'\n' || b == b'\r').count();
        let head = &bytes[start..];
        let head = &head[..head
            .iter()
            .position(|&b| b == b'\n' || b == b'\r')
            .unwrap_or(head.len())];
        let delimiter = [b',', b';', b'\t']
            .into_iter()
            .find(|d| head.contains(d))
            .unwrap_or(b',');
        Ok(Rows {
            input,
            bytes,
            reader: csv::ReaderBuilder::new()
                .has_headers(false)
                .flexible(true)
                .delimiter(delimiter)
                .from_reader(bytes),
            record: ByteRecord::new(),
            delimiter,
            counted: (0, 1),
            first: None,
        })
    }
    /// The next row; R0602 if it is ragged, if a quoted field is not closed, or if a line of a one-column table is
    /// blank (which could only be a missing value).
    pub fn next(&mut self) -> Result<Option<Row<'_>>, Diagnostic> {
        let name = self.input.name;
        loop {
            let before = self.reader.position().byte() as usize;
            let more = self
                .reader
                .read_byte_record(&mut self.record)
                .map_err(|e| errors::table(name, format!("is not a table: {e}")))?;
            if !more {
                return Ok(None);
            }
            let is_break = |b: u8| b == b'\n' || b == b'\r';
            let bytes = self.bytes;
            let start = before + bytes[before..].iter().take_while(|&&b| is_break(b)).count();
            let run = bytes[..start].iter().rev().take_while(|&&b| is_break(b)).count();
            let breaks = count_breaks(&bytes[start - run..start]);
            self.counted = (start, self.counted.1 + count_breaks(&bytes[self.counted.0..start]));
            let line = self.counted.1;
            let end = self.reader.position().byte() as usize;
            if end >= bytes.len() && open_quote(&bytes[start..], self.delimiter) {
                return Err(errors::table_line(
                    name,
                    line,
                    "a quoted field that begins here is never closed",
                ));
            }
            let width = self.record.len();
            let blank = width == 1 && self.record[0].iter().all(u8::is_ascii_whitespace);
            let Some((expected, first_line)) = self.first else {
                if blank && bytes[start..end.max(start)].iter().all(|b| b.is_ascii_whitespace()) {
                    continue;
                }
                self.first = Some((width, line));
                break;
            };
            if blank && expected > 1 {
                continue;
            }
            if expected == 1 && breaks > 1 {
                return Err(errors::bad_number(name, line - 1, "", ""));
            }
            if width != expected {
                return Err(errors::ragged(name, line, width, expected, first_line));
            }
            break;
        }
        Ok(Some(Row {
            record: &self.record,
            line: self.counted.1,
        }))
    }
    /// The line of the row read last.
    pub fn line(&self) -> usize {
        self.counted.1
    }
    /// The first row as names; R0602 if there is none.
    pub fn header(&mut self) -> Result<Vec<String>, Diagnostic> {
        let name = self.input.name;
        match self.next()? {
            Some(row) => Ok((0..row.len()).map(|k| row.field(k).to_string()).collect()),
            None => Err(errors::table(name, "is empty")),
        }
    }
}

/// Line ends of the text: `\n`, `\r\n`, or `\r` alone.
fn count_breaks(bytes: &[u8]) -> usize {
    let newlines = bytes.iter().filter(|&&b| b == b'\n').count();
    let lone = (0..bytes.len())
        .filter(|&k| bytes[k] == b'\r' && bytes.get(k + 1) != Some(&b'\n'))
        .count();
    newlines + lone
}

/// Does the text end inside a quoted field? (Quotes open at the start of a field only; doubled ones stay inside.)
fn open_quote(bytes: &[u8], delimiter: u8) -> bool {
    let (mut inside, mut at_start) = (false, true);
    let mut k = 0;
    while k < bytes.len() {
        let b = bytes[k];
        if inside {
            if b == b'"' {
                if bytes.get(k + 1) == Some(&b'"') {
                    k += 1;
                } else {
                    inside = false;
                }
            }
        } else if b == b'"' && at_start {
            inside = true;
        }
        at_start = !inside && (b == delimiter || b == b'\n' || b == b'\r');
        k += 1;
    }
    inside
}

/// What messages call a column.
pub(super) fn column_text(names: &[String], k: usize) -> String {
    match names.get(k) {
        Some(n) if !n.is_empty() => format!("column `{}`", errors::excerpt(n)),
        _ => format!("column {}", k + 1),
    }
}

/// The position of a column by name; R0604 with the nearest name if there is none or several.
pub(super) fn find_column(file: &str, names: &[String], wanted: &str) -> Result<usize, Diagnostic> {
    let mut hits = names.iter().enumerate().filter(|(_, n)| n.as_str() == wanted.trim());
    match (hits.next(), hits.next()) {
        (Some((k, _)), None) => Ok(k),
        (Some(_), Some(_)) => Err(errors::ambiguous_column(file, wanted)),
        (None, _) => Err(errors::no_such_column(file, wanted, names)),
    }
}

/// The finite number in a field; R0603 otherwise.
pub(super) fn number(file: &str, row: &Row, k: usize, names: &[String]) -> Result<f64, Diagnostic> {
    let field = row.field(k);
    match field.parse::<f64>() {
        Ok(v) if v.is_finite() => Ok(v),
        _ => Err(errors::bad_number(file, row.line, &column_text(names, k), field)),
    }
}

/// The numbers of the rest of the table in the chosen columns, row-major. `first` is a row already read.
fn collect(
    input: &Input,
    rows: &mut Rows,
    names: &[String],
    chosen: &[usize],
    mut data: Vec<f64>,
) -> Result<Vec<f64>, Diagnostic> {
    while let Some(row) = rows.next()? {
        for &k in chosen {
            data.push(number(input.name, &row, k, names)?);
        }
        if data.len() % 4096 < chosen.len() {
            input.afford(
                8 * data.len() as u128,
                &format!("{} numbers up to line {}", data.len(), row.line),
            )?;
        }
    }
    input.afford(8 * data.len() as u128, &format!("{} numbers", data.len()))?;
    Ok(data)
}

/// The numbers of one column, named by the header. Errors: R0602, R0603, R0604, R0309.
pub fn read_column(input: &Input, column: &str) -> Result<Vec<f64>, Diagnostic> {
    let mut rows = Rows::new(input)?;
    let names = rows.header()?;
    let k = find_column(input.name, &names, column)?;
    collect(input, &mut rows, &names, &[k], Vec::new())
}

/// Several columns, named by the header, as a matrix of rows × columns. Errors: R0602, R0603, R0604, R0309.
pub fn read_columns(input: &Input, selection: &Columns) -> Result<NumberTable, Diagnostic> {
    let mut rows = Rows::new(input)?;
    let names = rows.header()?;
    let find = |wanted: &String| find_column(input.name, &names, wanted);
    let chosen: Vec<usize> = match selection {
        Columns::All => (0..names.len()).collect(),
        Columns::Names(wanted) => wanted.iter().map(find).collect::<Result<_, _>>()?,
        Columns::AllExcept(left_out) => {
            let out: Vec<usize> = left_out.iter().map(find).collect::<Result<_, _>>()?;
            (0..names.len()).filter(|k| !out.contains(k)).collect()
        }
    };
    if chosen.is_empty() {
        return Err(errors::table(input.name, "has no column left to read"));
    }
    let data = collect(input, &mut rows, &names, &chosen, Vec::new())?;
    Ok(NumberTable {
        names: chosen.iter().map(|&k| names[k].clone()).collect(),
        rows: data.len() / chosen.len(),
        cols: chosen.len(),
        data,
    })
}

/// The whole table as a matrix. A first row that is all numbers is data; otherwise it is a header.
/// Errors: R0602, R0603, R0309.
pub fn read_plain(input: &Input) -> Result<NumberTable, Diagnostic> {
    let mut rows = Rows::new(input)?;
    let first = rows.header()?;
    let numbers: Vec<f64> = first.iter().map_while(|f| f.parse::<f64>().ok()).collect();
    let headless = numbers.len() == first.len();
    if headless && let Some(k) = numbers.iter().position(|v| !v.is_finite()) {
        let (line, column) = (rows.line(), column_text(&[], k));
        return Err(errors::bad_number(input.name, line, &column, &first[k]));
    }
    let cols = first.len();
    let chosen: Vec<usize> = (0..cols).collect();
    let (names, start) = if headless { (vec![], numbers) } else { (first, vec![]) };
    let data = collect(input, &mut rows, &names, &chosen, start)?;
    Ok(NumberTable {
        rows: data.len() / cols,
        names,
        cols,
        data,
    })
}

/// The texts of a column (the first one without a name), below the header: the elements of a set.
/// Errors: R0602 (also an empty label), R0604, R0307 (an element that stands twice), R0309.
pub fn read_labels(input: &Input, column: Option<&str>) -> Result<Vec<String>, Diagnostic> {
    let mut rows = Rows::new(input)?;
    let names = rows.header()?;
    let k = column.map_or(Ok(0), |c| find_column(input.name, &names, c))?;
    let mut seen: indexmap::IndexMap<String, usize> = indexmap::IndexMap::new();
    let mut bytes: u128 = 0;
    while let Some(row) = rows.next()? {
        let label = row.field(k);
        if label.is_empty() {
            let what = format!("{}: the label is empty", column_text(&names, k));
            return Err(errors::table_line(input.name, row.line, what));
        }
        // Two headers of a string and its place in the map's tables.
        bytes += label.len() as u128 + 72;
        input.afford(bytes, &format!("{} labels up to line {}", seen.len() + 1, row.line))?;
        if let Some(first) = seen.insert(label.to_string(), row.line) {
            return Err(errors::duplicate_label(
                input.name,
                row.line,
                &format!("`{}`", errors::excerpt(label)),
                first,
            ));
        }
    }
    Ok(seen.into_keys().collect())
}

/// A whole table by columns. Fields may be texts; a column whose fields are all finite numbers is one of numbers.
/// Errors: R0602, R0309.
pub fn read_whole(input: &Input) -> Result<Table, Diagnostic> {
    let mut rows = Rows::new(input)?;
    let names = rows.header()?;
    let mut texts: Vec<Vec<String>> = vec![vec![]; names.len()];
    let mut numbers: Vec<Result<Vec<f64>, (usize, String)>> = vec![Ok(vec![]); names.len()];
    let mut bytes: u128 = 0;
    let mut count = 0;
    while let Some(row) = rows.next()? {
        for k in 0..names.len() {
            let field = row.field(k);
            bytes += field.len() as u128 + 32;
            if let Ok(v) = &mut numbers[k] {
                match field.parse::<f64>() {
                    Ok(x) if x.is_finite() => v.push(x),
                    _ => numbers[k] = Err((row.line, field.to_string())),
                }
            }
            texts[k].push(field.to_string());
        }
        count += 1;
        if count % 1024 == 0 {
            input.afford(bytes, &format!("{count} rows"))?;
        }
    }
    input.afford(bytes, &format!("{count} rows"))?;
    let columns = numbers.into_iter().zip(texts).map(|(n, t)| match n {
        Ok(v) => Column::Numbers(v),
        Err(first) => Column::Texts(t, first),
    });
    Ok(Table {
        file: input.name.into(),
        rows: count,
        columns: names.into_iter().zip(columns).collect(),
    })
}
