//! Labelled tables matched against declared sets: every element once, by its label and not by its place.
//!
//! Invariant: the result has one entry for each combination of elements, in the sets' order; a label that the set
//! lacks, an element without an entry and an entry given twice are errors that name the line.

use std::collections::HashMap;

use super::table::{Row, Rows, column_text, find_column, number};
use super::{Input, errors};
use crate::base::Diagnostic;
use crate::base::value::IndexSet;

/// Positions of a set's elements by label.
struct Positions<'a> {
    set: &'a IndexSet,
    by_label: HashMap<&'a str, usize>,
}

impl<'a> Positions<'a> {
    fn new(set: &'a IndexSet) -> Self {
        let by_label = match set {
            IndexSet::Labels(l) => l.labels.iter().enumerate().map(|(k, s)| (s.as_str(), k)).collect(),
            IndexSet::Range { .. } | IndexSet::Listed(_) => HashMap::new(),
        };
        Positions { set, by_label }
    }
    fn get(&self, label: &str) -> Option<usize> {
        match self.set {
            IndexSet::Labels(_) => self.by_label.get(label).copied(),
            set => set.position_of(label).map(|k| k as usize),
        }
    }
    fn find(&self, file: &str, line: usize, label: &str) -> Result<usize, Diagnostic> {
        self.get(label).ok_or_else(|| {
            let labels: &[String] = match self.set {
                IndexSet::Labels(l) => &l.labels,
                IndexSet::Range { .. } | IndexSet::Listed(_) => &[],
            };
            let names = labels.iter().map(String::as_str);
            errors::unknown_label(file, line, label, &self.set.describe(), names)
        })
    }
}

/// Entries being filled in, with the line each came from (0: none yet).
struct Entries<'a> {
    file: &'a str,
    sets: &'a [IndexSet],
    data: Vec<f64>,
    lines: Vec<u32>,
}

impl<'a> Entries<'a> {
    fn new(input: &'a Input, sets: &'a [IndexSet]) -> Result<Self, Diagnostic> {
        let cells = sets.iter().fold(1u128, |n, s| n.saturating_mul(s.len() as u128));
        input.afford(cells.saturating_mul(12), &format!("an array of {cells} entries"))?;
        Ok(Entries {
            file: input.name,
            sets,
            data: vec![0.0; cells as usize],
            lines: vec![0; cells as usize],
        })
    }
    /// Puts an entry at the positions of its labels, one for each component of the sets' elements.
    fn put(&mut self, at: &[usize], line: usize, v: f64) -> Result<(), Diagnostic> {
        let (mut k, mut rest) = (0, at);
        for s in self.sets {
            let (own, more) = rest.split_at(s.arity().min(rest.len()));
            rest = more;
            let key: Vec<u32> = own.iter().map(|p| *p as u32).collect();
            let Some(p) = s.find(&key) else {
                let label: Vec<String> = own.iter().zip(s.parts()).map(|(p, part)| part.element(*p)).collect();
                return Err(errors::unknown_label(
                    self.file,
                    line,
                    &format!("({})", label.join(", ")),
                    &s.describe(),
                    [],
                ));
            };
            k = k * s.len() + p;
        }
        if self.lines[k] != 0 {
            let label = format!("the entry of {}", self.label(k));
            return Err(errors::duplicate_label(self.file, line, &label, self.lines[k] as usize));
        }
        self.data[k] = v;
        self.lines[k] = u32::try_from(line).unwrap_or(u32::MAX);
        Ok(())
    }
    fn label(&self, mut k: usize) -> String {
        let mut parts: Vec<String> = Vec::new();
        for s in self.sets.iter().rev() {
            parts.push(errors::excerpt(&s.element(k % s.len())));
            k /= s.len();
        }
        parts.reverse();
        match &parts[..] {
            [one] => format!("`{one}`"),
            several => format!("`({})`", several.join(", ")),
        }
    }
    fn finish(self, default: Option<f64>) -> Result<Vec<f64>, Diagnostic> {
        let mut data = self.data.clone();
        match default {
            Some(v) => (0..data.len())
                .filter(|&k| self.lines[k] == 0)
                .for_each(|k| data[k] = v),
            None => {
                let missing: Vec<usize> = (0..data.len()).filter(|&k| self.lines[k] == 0).collect();
                if !missing.is_empty() {
                    let plain = |k: &usize| self.label(*k).trim_matches('`').to_string();
                    let names: Vec<String> = missing.iter().map(plain).collect();
                    let sets: Vec<String> = self.sets.iter().map(IndexSet::describe).collect();
                    return Err(errors::missing_labels(self.file, "entry", &names, &sets.join(" * ")));
                }
            }
        }
        Ok(data)
    }
}

/// Reads an array over `sets` from a table with labels; entries come out row-major in the sets' order.
///
/// One set: lines `label,value`, with or without a header. Two sets: a table with row labels in its first column and
/// column labels in its header, or lines `label,label,value`. More sets: lines of labels and a value. `column` names the
/// column of values in a table of several; the labels then stand in the columns named like the sets, else in the first
/// others. `default` fills absent entries. Errors: R0304, R0305, R0307, R0602, R0603, R0604, R0309.
pub fn read_labelled(
    input: &Input,
    sets: &[IndexSet],
    column: Option<&str>,
    default: Option<f64>,
) -> Result<Vec<f64>, Diagnostic> {
    let parts: Vec<&IndexSet> = sets.iter().flat_map(IndexSet::parts).collect();
    let positions: Vec<Positions> = parts.iter().map(|s| Positions::new(s)).collect();
    let mut rows = Rows::new(input)?;
    let mut entries = Entries::new(input, sets)?;
    let head = rows.header()?;
    let rank = parts.len();
    // A table of tuples has no field for combinations that do not exist.
    let tuples = sets.len() < rank;
    if rank == 0 {
        return Err(errors::wrong_rank(input.name, "a labelled table", 0));
    }
    let is_label = |d: usize, text: &str| positions[d].get(text).is_some();

    if let Some(column) = column {
        let value = find_column(input.name, &head, column)?;
        let mut keys: Vec<usize> = Vec::new();
        for s in &parts {
            if let Some(k) = head.iter().position(|n| *n == s.describe()) {
                keys.push(k);
            }
        }
        if keys.len() < rank {
            keys = (0..head.len()).filter(|&k| k != value).take(rank).collect();
        }
        if keys.len() < rank {
            let what = format!(
                "has {} columns: {rank} of labels and one of values are needed",
                head.len()
            );
            return Err(errors::table(input.name, what));
        }
        long(input, &mut rows, &mut entries, &positions, &head, &keys, value)?;
        return entries.finish(default);
    }

    let numeric = |k: usize| head[k].parse::<f64>().is_ok();
    let wide = rank == 2 && head.len() >= 2 && !(head.len() == 3 && looks_long(input, &positions)?);
    if wide {
        if !head[1..].iter().any(|h| is_label(1, h)) && head[1..].iter().any(|h| is_label(0, h)) {
            let (a, b) = (parts[0].describe(), parts[1].describe());
            return Err(errors::unknown_label(input.name, rows.line(), &head[1], &b, [])
                .note(format!(
                    "its header holds elements of `{a}`, so the table stands the other way round"
                ))
                .help(format!("declare the array over `[{b}, {a}]`")));
        }
        let line = rows.line();
        let mut columns: Vec<usize> = Vec::new();
        for h in &head[1..] {
            let p = positions[1].find(input.name, line, h)?;
            if columns.contains(&p) {
                let label = format!("column `{}`", errors::excerpt(h));
                return Err(errors::duplicate_label(input.name, line, &label, line));
            }
            columns.push(p);
        }
        let mut seen = vec![false; parts[0].len()];
        while let Some(row) = rows.next()? {
            let i = positions[0].find(input.name, row.line, row.field(0))?;
            seen[i] = true;
            for (k, &j) in columns.iter().enumerate() {
                // An empty field of a sparse table is an absent entry.
                if (default.is_some() || tuples) && row.field(k + 1).is_empty() {
                    continue;
                }
                let v = number(input.name, &row, k + 1, &head)?;
                entries.put(&[i, j], row.line, v)?;
            }
        }
        if default.is_none() && !tuples {
            let absent = |d: usize, has: &dyn Fn(usize) -> bool| -> Vec<String> {
                let out = (0..sets[d].len()).filter(|&p| !has(p));
                out.map(|p| sets[d].element(p)).collect()
            };
            let by_row = absent(0, &|p| seen[p]);
            let by_column = absent(1, &|p| columns.contains(&p));
            for (what, names, set) in [("row", by_row, &sets[0]), ("column", by_column, &sets[1])] {
                if !names.is_empty() {
                    return Err(errors::missing_labels(input.name, what, &names, &set.describe()));
                }
            }
        }
        return entries.finish(default);
    }

    if head.len() != rank + 1 {
        let what = format!(
            "has {} columns, and {} of labels with one of values {} wanted",
            head.len(),
            if rank == 1 { "one".into() } else { rank.to_string() },
            if rank == 1 { "is" } else { "are" },
        );
        let d = errors::table(input.name, what);
        return Err(match head.last() {
            Some(last) if head.len() > rank + 1 => d.help(format!("name the column of values: `column: \"{last}\"`")),
            _ => d,
        });
    }
    let keys: Vec<usize> = (0..rank).collect();
    if numeric(rank) {
        // No header: the first row is data already.
        let line = rows.line();
        let at: Vec<usize> = keys
            .iter()
            .map(|&d| positions[d].find(input.name, line, &head[d]))
            .collect::<Result<_, _>>()?;
        match head[rank].parse::<f64>() {
            Ok(v) if v.is_finite() => entries.put(&at, line, v)?,
            _ => {
                let column = column_text(&[], rank);
                return Err(errors::bad_number(input.name, line, &column, &head[rank]));
            }
        }
        long(input, &mut rows, &mut entries, &positions, &[], &keys, rank)?;
    } else {
        long(input, &mut rows, &mut entries, &positions, &head, &keys, rank)?;
    }
    entries.finish(default)
}

/// Has the three-column table lines `label,label,value` (and not the two columns of a table)?
fn looks_long(input: &Input, positions: &[Positions]) -> Result<bool, Diagnostic> {
    let mut rows = Rows::new(input)?;
    let head = rows.header()?;
    let fits = |row: &dyn Fn(usize) -> String| {
        positions[0].get(&row(0)).is_some() && positions[1].get(&row(1)).is_some() && row(2).parse::<f64>().is_ok()
    };
    if fits(&|k| head[k].clone()) {
        return Ok(true);
    }
    if head[1..].iter().all(|h| positions[1].get(h).is_some()) {
        return Ok(false);
    }
    let second = rows.next()?;
    Ok(second.is_some_and(|row| fits(&|k| row.field(k).to_string()) || row.field(1).parse::<f64>().is_err()))
}

fn long(
    input: &Input,
    rows: &mut Rows,
    entries: &mut Entries,
    positions: &[Positions],
    names: &[String],
    keys: &[usize],
    value: usize,
) -> Result<(), Diagnostic> {
    while let Some(row) = rows.next()? {
        let at = labels_of(input, &row, positions, keys)?;
        let v = number(input.name, &row, value, names)?;
        entries.put(&at, row.line, v)?;
    }
    Ok(())
}

fn labels_of(input: &Input, row: &Row, positions: &[Positions], keys: &[usize]) -> Result<Vec<usize>, Diagnostic> {
    let find = |(p, &k): (&Positions, &usize)| p.find(input.name, row.line, row.field(k));
    positions.iter().zip(keys).map(find).collect()
}

/// Reads a sparse set of tuples over `sets`: one tuple a line, in the first columns, with or without a header.
/// Errors: R0304, R0307, R0602, R0309.
pub fn read_tuples(input: &Input, sets: &[IndexSet]) -> Result<Vec<Vec<usize>>, Diagnostic> {
    let positions: Vec<Positions> = sets.iter().map(Positions::new).collect();
    let keys: Vec<usize> = (0..sets.len()).collect();
    let mut rows = Rows::new(input)?;
    let mut tuples: indexmap::IndexMap<Vec<usize>, usize> = indexmap::IndexMap::new();
    let mut first = true;
    while let Some(row) = rows.next()? {
        if row.len() < sets.len() {
            let what = format!("has {} columns, and {} of labels are needed", row.len(), sets.len());
            return Err(errors::table(input.name, what));
        }
        let header = first && keys.iter().all(|&k| positions[k].get(row.field(k)).is_none());
        first = false;
        if header {
            continue;
        }
        let at = labels_of(input, &row, &positions, &keys)?;
        input.afford(
            (tuples.len() as u128 + 1) * (8 * sets.len() as u128 + 64),
            &format!("{} tuples", tuples.len() + 1),
        )?;
        if let Some(line) = tuples.insert(at, row.line) {
            let label: Vec<&str> = keys.iter().map(|&k| row.field(k)).collect();
            let label = format!("`({})`", errors::excerpt(&label.join(", ")));
            return Err(errors::duplicate_label(input.name, row.line, &label, line));
        }
    }
    if first {
        return Err(errors::table(input.name, "is empty"));
    }
    Ok(tuples.into_keys().collect())
}
