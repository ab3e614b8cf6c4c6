//! The wording of everything that can be wrong with a data file.
//!
//! Invariant: each message names the file and, where there is one, the line and the column.

use crate::base::diagnostic::did_you_mean;
use crate::base::{Code, Diagnostic};

/// At most 24 characters of a field, for showing in a message.
pub fn excerpt(field: &str) -> String {
    let mut out: String = field
        .chars()
        .take(24)
        .map(|c| if c.is_control() { '\u{fffd}' } else { c })
        .collect();
    if field.chars().nth(24).is_some() {
        out.push('…');
    }
    out
}

/// `1.5 GB`: a number of bytes in the unit that reads best.
pub fn bytes_text(n: u128) -> String {
    const UNITS: [&str; 7] = ["bytes", "KB", "MB", "GB", "TB", "PB", "EB"];
    let (mut v, mut unit) = (n as f64, 0);
    while v >= 1000.0 && unit + 1 < UNITS.len() {
        v /= 1000.0;
        unit += 1;
    }
    match unit {
        0 => format!("{n} bytes"),
        _ if v < 10.0 => format!("{v:.1} {}", UNITS[unit]),
        _ => format!("{v:.0} {}", UNITS[unit]),
    }
}

/// Up to four names, and how many more.
pub fn name_list(names: &[String]) -> String {
    let shown: Vec<String> = names.iter().take(4).map(|n| format!("`{}`", excerpt(n))).collect();
    match names.len() {
        0..=4 => shown.join(", "),
        n => format!("{} and {} more", shown.join(", "), n - 4),
    }
}

/// R0309: a value does not fit into memory.
pub fn too_large(file: &str, what: &str, bytes: u128, budget: u64) -> Diagnostic {
    Diagnostic::new(
        Code::TooLarge,
        format!(
            "`{file}`: {what} would take {}, and the memory budget is {}",
            bytes_text(bytes),
            bytes_text(u128::from(budget))
        ),
    )
    .help("allow more with `--memory`, for example `--memory 8GB`")
}

/// R0606: the ending says nothing.
pub fn unknown_format(name: &str) -> Diagnostic {
    Diagnostic::new(
        Code::UnknownFormat,
        format!("the ending of `{name}` names no format that can be read"),
    )
    .help("`read` takes `.csv` (also `.tsv`, `.txt`), `.mtx`, `.npy`, `.npz`, `.json`, `.svm` and `.parquet` files, each also as `.gz`")
}

/// R0604: columns of a file that has none.
pub fn no_columns(file: &str) -> Diagnostic {
    Diagnostic::new(
        Code::NoSuchColumn,
        format!("`{file}` is no table, so it has no named columns"),
    )
    .help("leave `column:` and `columns:` away")
}

/// R0310: an array of another number of dimensions than the file holds.
pub fn wrong_rank(file: &str, found: &str, rank: usize) -> Diagnostic {
    let wanted = match rank {
        0 => "a number".to_string(),
        1 => "a vector".to_string(),
        2 => "a matrix".to_string(),
        n => format!("an array of {n} dimensions"),
    };
    Diagnostic::new(
        Code::WrongShapeOfData,
        format!("`{file}` holds {found}, and {wanted} is wanted"),
    )
}

/// R0310: a labelled table with a dimension of unknown size.
pub fn unbound_beside_labels(file: &str) -> Diagnostic {
    Diagnostic::new(
        Code::WrongShapeOfData,
        format!("`{file}`: an array over labels needs every one of its sets declared"),
    )
    .help("declare the other dimension as a set before this line")
}

/// A line of a table, as its file counts them: a file that is no text has records, the first one below the names.
fn at_line(file: &str, line: usize) -> String {
    match super::Format::of(file) {
        Ok(super::Format::Json | super::Format::Parquet) if line > 1 => format!("record {}", line - 1),
        _ => format!("line {line}"),
    }
}

/// R0602: a fault of the table as a whole.
pub fn table(file: &str, what: impl std::fmt::Display) -> Diagnostic {
    Diagnostic::new(Code::BadTable, format!("`{file}` {what}"))
}

/// R0602: a fault on one line of a table.
pub fn table_line(file: &str, line: usize, what: impl std::fmt::Display) -> Diagnostic {
    Diagnostic::new(Code::BadTable, format!("`{file}`, {}: {what}", at_line(file, line)))
}

/// R0602: a row of another length than the first.
pub fn ragged(file: &str, line: usize, found: usize, expected: usize, first_line: usize) -> Diagnostic {
    table_line(
        file,
        line,
        format!(
            "{found} field{} where line {first_line} has {expected}",
            if found == 1 { "" } else { "s" }
        ),
    )
}

/// R0603: a field that is not a finite number.
pub fn bad_number(file: &str, line: usize, column: &str, field: &str) -> Diagnostic {
    let place = if column.is_empty() {
        format!("`{file}`, {}", at_line(file, line))
    } else {
        format!("`{file}`, {}, {column}", at_line(file, line))
    };
    let trimmed = field.trim();
    let d = |what: String| Diagnostic::new(Code::BadNumberInFile, format!("{place}: {what}"));
    if trimmed.is_empty() {
        return d("the field is empty".into()).help("a missing value is not zero: fill it in, or leave the row out");
    }
    let shown = excerpt(trimmed);
    match trimmed.parse::<f64>() {
        Ok(v) if v.is_nan() => d(format!("`{shown}` is not a number")),
        Ok(_) => d(format!("`{shown}` is not a finite number")),
        Err(_)
            if matches!(
                trimmed.to_ascii_lowercase().as_str(),
                "na" | "n/a" | "null" | "none" | "?" | "-"
            ) =>
        {
            d(format!("`{shown}` stands for a missing value")).help("fill the value in, or leave the row out")
        }
        Err(_) if trimmed.replacen(',', ".", 1).parse::<f64>().is_ok() => {
            d(format!("`{shown}` is not a number")).help("decimals are written with a point: `1.5`")
        }
        Err(_) => d(format!("`{shown}` is not a number")),
    }
}

/// R0604: no such column, with the nearest name and the names there are.
pub fn no_such_column(file: &str, wanted: &str, names: &[String]) -> Diagnostic {
    let d = Diagnostic::new(
        Code::NoSuchColumn,
        format!("`{file}` has no column `{}`", excerpt(wanted)),
    );
    if !names.is_empty() && names.iter().all(|n| n.trim().parse::<f64>().is_ok()) {
        return d.note("its first line is all numbers, so it seems to have no header with column names");
    }
    let d = d.note(format!("its columns are {}", name_list(names)));
    match did_you_mean(wanted, names.iter().map(String::as_str)) {
        Some(near) => d.help(format!("did you mean `{near}`?")),
        None => d,
    }
}

/// R0604: a name that several columns carry.
pub fn ambiguous_column(file: &str, wanted: &str) -> Diagnostic {
    Diagnostic::new(
        Code::NoSuchColumn,
        format!("`{file}` has several columns named `{}`", excerpt(wanted)),
    )
}

/// R0304: a label of the file that the set lacks.
pub fn unknown_label<'a>(
    file: &str,
    line: usize,
    label: &str,
    set: &str,
    labels: impl IntoIterator<Item = &'a str>,
) -> Diagnostic {
    let d = Diagnostic::new(
        Code::UnknownLabel,
        format!(
            "`{file}`, {}: `{}` is not an element of `{set}`",
            at_line(file, line),
            excerpt(label)
        ),
    );
    match did_you_mean(label, labels) {
        Some(near) => d.help(format!("did you mean `{near}`?")),
        None => d,
    }
}

/// R0305: elements of the sets without an entry (or row, or column: `what`).
pub fn missing_labels(file: &str, what: &str, missing: &[String], set: &str) -> Diagnostic {
    Diagnostic::new(
        Code::MissingLabel,
        format!("`{file}` has no {what} for {} of `{set}`", name_list(missing)),
    )
    .help("every element needs an entry; absent is not zero")
}

/// R0307: a label or a combination of labels that stands twice.
pub fn duplicate_label(file: &str, line: usize, label: &str, first_line: usize) -> Diagnostic {
    Diagnostic::new(
        Code::DuplicateLabel,
        format!(
            "`{file}`, {}: {label} already stands in {}",
            at_line(file, line),
            at_line(file, first_line)
        ),
    )
}

/// R0605: a fault on one line of a Matrix Market file.
pub fn market(file: &str, line: usize, what: impl std::fmt::Display) -> Diagnostic {
    Diagnostic::new(Code::BadMatrixMarket, format!("`{file}`, line {line}: {what}"))
}

/// R0605: the file ends before all entries were read.
pub fn market_truncated(file: &str, found: u128, promised: u128) -> Diagnostic {
    Diagnostic::new(
        Code::BadMatrixMarket,
        format!("`{file}` ends after {found} of the {promised} entries that its size line promises"),
    )
    .help("the file seems to be truncated: fetch it again")
}

/// R0608: a fault of a NumPy file.
pub fn numpy(file: &str, what: impl std::fmt::Display) -> Diagnostic {
    Diagnostic::new(Code::BadArrayFile, format!("`{file}`: {what}"))
}

/// R0604: an array that an archive does not hold.
pub fn no_such_array(file: &str, wanted: &str, names: &[String]) -> Diagnostic {
    let d = Diagnostic::new(
        Code::NoSuchColumn,
        format!("`{file}` holds no array `{}`", excerpt(wanted)),
    )
    .note(format!("it holds {}", name_list(names)));
    match did_you_mean(wanted, names.iter().map(String::as_str)) {
        Some(near) => d.help(format!("did you mean `{near}`?")),
        None => d,
    }
}

/// R0604: an array's name for a file that holds one array.
pub fn no_arrays(file: &str) -> Diagnostic {
    Diagnostic::new(Code::NoSuchColumn, format!("`{file}` holds no named arrays"))
        .help("`array:` names an array of a `.npz` archive; a column of a table is `column: …`")
}

/// R0603: a number that is not finite, at a place of a file without lines.
pub fn not_finite(file: &str, place: &str, v: f64) -> Diagnostic {
    Diagnostic::new(
        Code::BadNumberInFile,
        format!("`{file}`, {place}: `{v}` is not a finite number"),
    )
}

/// R0609: a fault of a JSON file.
pub fn json(file: &str, what: impl std::fmt::Display) -> Diagnostic {
    Diagnostic::new(Code::BadJson, format!("`{file}`: {what}"))
}

/// R0304: a key of a JSON file that the set lacks.
pub fn json_label<'a>(
    file: &str,
    place: &str,
    label: &str,
    set: &str,
    labels: impl IntoIterator<Item = &'a str>,
) -> Diagnostic {
    let d = Diagnostic::new(
        Code::UnknownLabel,
        format!("`{file}`, `{place}`: `{}` is not an element of `{set}`", excerpt(label)),
    );
    match did_you_mean(label, labels) {
        Some(near) => d.help(format!("did you mean `{near}`?")),
        None => d,
    }
}
