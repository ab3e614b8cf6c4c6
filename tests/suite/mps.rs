//! A reader of MPS and QPS files for the shared sets of linear and quadratic programs: a test's own, and no more than
//! those sets need.
//!
//! Invariant: written apart from the library; what it cannot read is a panic with the line.

#![allow(clippy::unwrap_used, reason = "a test oracle")]

use std::collections::HashMap;
use std::io::Read;
use std::path::Path;

use ravine_linalg::Csr;
use ravine_linalg::clarabel_adapter::{Cone, ConicForm};

/// A program as read: the form (bounds are rows of one variable, after the others) and the constant of the objective.
pub struct Program {
    pub form: ConicForm,
    pub constant: f64,
}

struct Row {
    kind: char,
    right: f64,
    range: Option<f64>,
}

/// Reads `NAME.mps.gz` or `NAME.qps.gz`.
pub fn read(path: &Path) -> Program {
    let mut text = String::new();
    let file = std::fs::File::open(path).unwrap();
    flate2::read::GzDecoder::new(file).read_to_string(&mut text).unwrap();
    let name = path.file_name().unwrap().to_str().unwrap();
    // Names with blanks, or of digits alone: by columns.
    let fixed = name.starts_with("forplan.") || name.starts_with("DPKLO1.");
    let mut rows: Vec<Row> = vec![];
    let mut of_row: HashMap<String, Option<usize>> = HashMap::new();
    let mut objective = String::new();
    let mut of_column: HashMap<String, usize> = HashMap::new();
    let (mut entries, mut costs, mut quadratic) = (vec![], vec![], vec![]);
    let mut bounds: HashMap<usize, (Option<f64>, Option<f64>)> = HashMap::new();
    let mut constant = 0.0;
    let mut section = String::new();
    for line in text.lines() {
        if line.trim().is_empty() || line.starts_with('*') {
            continue;
        }
        if !line.starts_with([' ', '\t']) {
            section = line.split_whitespace().next().unwrap().to_string();
            continue;
        }
        // As six fields: code, name, name, number, name, number.
        let f = fields(line, fixed, &section, &of_column);
        let number = |k: usize| f[k].parse::<f64>().unwrap_or_else(|_| panic!("{name}: {line}"));
        match section.as_str() {
            "ROWS" => {
                let kind = f[0].chars().next().unwrap();
                if kind == 'N' {
                    if objective.is_empty() {
                        objective.clone_from(&f[1]);
                    }
                    of_row.insert(f[1].clone(), None);
                } else {
                    of_row.insert(f[1].clone(), Some(rows.len()));
                    rows.push(Row {
                        kind,
                        right: 0.0,
                        range: None,
                    });
                }
            }
            "COLUMNS" => {
                let next = of_column.len();
                let j = *of_column.entry(f[1].clone()).or_insert(next);
                for k in [2, 4] {
                    if f[k].is_empty() {
                        continue;
                    }
                    match of_row[&f[k]] {
                        Some(i) => entries.push((i, j, number(k + 1))),
                        None if f[k] == objective => costs.push((j, number(k + 1))),
                        None => {}
                    }
                }
            }
            "RHS" | "RANGES" => {
                for k in [2, 4] {
                    if f[k].is_empty() {
                        continue;
                    }
                    match of_row[&f[k]] {
                        Some(i) if section == "RHS" => rows[i].right = number(k + 1),
                        Some(i) => rows[i].range = Some(number(k + 1)),
                        None if f[k] == objective => constant = -number(k + 1),
                        None => {}
                    }
                }
            }
            "BOUNDS" => {
                let b = bounds.entry(of_column[&f[2]]).or_insert((Some(0.0), None));
                match f[0].as_str() {
                    "UP" => {
                        b.1 = Some(number(3));
                        if number(3) < 0.0 && b.0 == Some(0.0) {
                            b.0 = None;
                        }
                    }
                    "LO" => b.0 = Some(number(3)),
                    "FX" => *b = (Some(number(3)), Some(number(3))),
                    "FR" => *b = (None, None),
                    "MI" => b.0 = None,
                    "PL" => b.1 = None,
                    _ => panic!("{name}: {line}"),
                }
            }
            "QUADOBJ" => {
                let (i, j) = (of_column[&f[1]], of_column[&f[2]]);
                quadratic.push((i, j, number(3)));
                if i != j {
                    quadratic.push((j, i, number(3)));
                }
            }
            _ => panic!("{name}: section {section}"),
        }
    }
    let n = of_column.len();
    let mut q = vec![0.0; n];
    costs.iter().for_each(|(j, v)| q[*j] += v);
    let by_rows = Csr::from_triplets(rows.len(), n, &entries);
    let mut out: [(Vec<(usize, usize, f64)>, Vec<f64>); 2] = Default::default();
    let mut push = |kind: usize, entries: &[(usize, f64)], sign: f64, right: f64| {
        let (triplets, b) = &mut out[kind];
        triplets.extend(entries.iter().map(|(j, v)| (b.len(), *j, sign * v)));
        b.push(sign * right);
    };
    for (i, row) in rows.iter().enumerate() {
        let e: Vec<(usize, f64)> = by_rows.entries(i).collect();
        let r = row.range.map(f64::abs);
        let (low, high) = match (row.kind, row.range) {
            ('E', None) => (Some(row.right), Some(row.right)),
            ('E', Some(v)) if v < 0.0 => (Some(row.right + v), Some(row.right)),
            ('E', Some(v)) => (Some(row.right), Some(row.right + v)),
            ('L', _) => (r.map(|r| row.right - r), Some(row.right)),
            _ => (Some(row.right), r.map(|r| row.right + r)),
        };
        if low == high {
            push(0, &e, 1.0, row.right);
            continue;
        }
        if let Some(v) = high {
            push(1, &e, 1.0, v);
        }
        if let Some(v) = low {
            push(1, &e, -1.0, v);
        }
    }
    for j in 0..n {
        let (low, high) = bounds.get(&j).copied().unwrap_or((Some(0.0), None));
        if let Some(v) = low
            && high == low
        {
            push(0, &[(j, 1.0)], 1.0, v);
            continue;
        }
        if let Some(v) = low {
            push(1, &[(j, 1.0)], -1.0, v);
        }
        if let Some(v) = high {
            push(1, &[(j, 1.0)], 1.0, v);
        }
    }
    let [(mut triplets, mut b), (unequal, c)] = out;
    let (equal, m) = (b.len(), b.len() + c.len());
    triplets.extend(unequal.iter().map(|(i, j, v)| (equal + i, *j, *v)));
    b.extend(c);
    Program {
        form: ConicForm {
            p: Csr::from_triplets(n, n, &quadratic),
            q,
            a: Csr::from_triplets(m, n, &triplets),
            b,
            cones: vec![Cone::Zero(equal), Cone::Nonneg(m - equal)],
        },
        constant,
    }
}

fn fields(line: &str, fixed: bool, section: &str, columns: &HashMap<String, usize>) -> [String; 6] {
    let mut out: [String; 6] = Default::default();
    if fixed {
        for (k, (from, to)) in [(1, 3), (4, 12), (14, 22), (24, 36), (39, 47), (49, 61)]
            .into_iter()
            .enumerate()
        {
            let end = to.min(line.len());
            out[k] = line.get(from.min(end)..end).unwrap_or("").trim().to_string();
        }
        return out;
    }
    let t: Vec<&str> = line.split_whitespace().collect();
    let mut set = |from: usize, words: &[&str]| {
        for (k, w) in words.iter().enumerate() {
            out[from + k] = (*w).to_string();
        }
    };
    match section {
        "ROWS" => set(0, &t),
        "RHS" | "RANGES" if t.len().is_multiple_of(2) => set(2, &t),
        "BOUNDS" => {
            set(0, &t[..1]);
            // The name of the set of bounds may be left out.
            let at = t[1..].iter().rposition(|w| columns.contains_key(*w)).unwrap() + 1;
            set(2, &t[at..]);
        }
        _ => set(1, &t),
    }
    out
}
