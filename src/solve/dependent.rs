//! Equations that follow from others, or contradict them: combinations of rows that add up to nothing.
//!
//! Invariant: every combination that is named was checked: its coefficients times the rows vanish to rounding. Few rows
//! are eliminated with complete pivoting, so that nothing is missed; many are looked at as balances only (columns of two
//! entries, as flows have them, fix all coefficients of a connected part).
//!
//! Source: G. Golub, C. Van Loan, Matrix Computations, 4th ed., section 3.4 (complete pivoting).

use ravine_linalg::Csr;

/// Rows up to which a connected part is eliminated as a whole.
const WHOLE: usize = 400;
/// Entries of its dense copy at most.
const ENTRIES: usize = 4_000_000;
/// Rows of length 1 depend on one another where less than this is left of one.
const LEFT: f64 = 1e-10;
/// Coefficients are whole numbers if they miss them by this.
const NEAR: f64 = 1e-8;
/// Right-hand sides cancel where less than this is left of their sizes.
const OFF: f64 = 1e-9;

/// A combination of equations whose left-hand sides cancel.
#[derive(Clone, Debug, PartialEq)]
pub struct Dependency {
    /// Rows and what each is multiplied by.
    pub terms: Vec<(usize, f64)>,
    /// What the right-hand sides add up to: 0 where one equation follows from the others, else they contradict.
    pub rest: f64,
}

/// Combinations of the rows of `a x = b` that vanish; each row that could go is in one of them. Pairs are left out.
pub fn dependencies(a: &Csr, b: &[f64]) -> Vec<Dependency> {
    let mut out = vec![];
    for part in parts(a) {
        let scaled: Vec<Vec<(usize, f64)>> = part.iter().map(|i| unit(a, *i)).collect();
        let found = match part.len() <= WHOLE {
            true => eliminated(&scaled),
            false => balance(&scaled).into_iter().collect(),
        };
        for y in found {
            out.extend(named(a, b, &part, &y));
        }
    }
    out
}

/// A row over its length.
fn unit(a: &Csr, i: usize) -> Vec<(usize, f64)> {
    let length = ravine_linalg::reduce::norm2(a.row(i).1);
    a.entries(i)
        .filter(|e| e.1 != 0.0)
        .map(|(j, v)| (j, v / length))
        .collect()
}

/// Rows that share columns, by connected part; rows of zeros and single rows are in none.
fn parts(a: &Csr) -> Vec<Vec<usize>> {
    let mut up: Vec<usize> = (0..a.rows).collect();
    fn root(up: &mut [usize], mut i: usize) -> usize {
        while up[i] != i {
            up[i] = up[up[i]];
            i = up[i];
        }
        i
    }
    let mut first = vec![usize::MAX; a.cols];
    for i in 0..a.rows {
        for (j, v) in a.entries(i) {
            if v == 0.0 {
                continue;
            }
            if first[j] == usize::MAX {
                first[j] = i;
            }
            let (p, q) = (root(&mut up, first[j]), root(&mut up, i));
            up[p.max(q)] = p.min(q);
        }
    }
    let mut all = vec![vec![]; a.rows];
    for i in 0..a.rows {
        let r = root(&mut up, i);
        all[r].push(i);
    }
    all.retain(|p| p.len() > 1);
    all
}

/// Left null vectors by elimination with complete pivoting: each expresses one row by those that were pivots.
fn eliminated(rows: &[Vec<(usize, f64)>]) -> Vec<Vec<f64>> {
    let m = rows.len();
    let mut columns: Vec<usize> = rows.iter().flatten().map(|e| e.0).collect();
    columns.sort_unstable();
    columns.dedup();
    let n = columns.len();
    if m.saturating_mul(n) > ENTRIES {
        return balance(rows).into_iter().collect();
    }
    let mut left = vec![vec![0.0; n]; m];
    for (row, entries) in left.iter_mut().zip(rows) {
        for (j, v) in entries {
            if let Ok(k) = columns.binary_search(j) {
                row[k] = *v;
            }
        }
    }
    let mut made: Vec<Vec<f64>> = (0..m)
        .map(|i| (0..m).map(|k| f64::from(u8::from(i == k))).collect())
        .collect();
    let mut open: Vec<usize> = (0..m).collect();
    while !open.is_empty() {
        let mut pivot = (0.0, 0, 0);
        for (at, i) in open.iter().enumerate() {
            for (j, v) in left[*i].iter().enumerate() {
                if v.abs() > pivot.0 {
                    pivot = (v.abs(), at, j);
                }
            }
        }
        if pivot.0 <= LEFT {
            break;
        }
        let p = open.swap_remove(pivot.1);
        let (row, own) = (std::mem::take(&mut left[p]), std::mem::take(&mut made[p]));
        for i in &open {
            let factor = left[*i][pivot.2] / row[pivot.2];
            if factor == 0.0 {
                continue;
            }
            left[*i].iter_mut().zip(&row).for_each(|(x, y)| *x -= factor * y);
            left[*i][pivot.2] = 0.0;
            made[*i].iter_mut().zip(&own).for_each(|(x, y)| *x -= factor * y);
        }
    }
    open.sort_unstable();
    open.into_iter().map(|i| std::mem::take(&mut made[i])).collect()
}

/// The coefficients that columns of two entries fix, if they make all columns vanish.
fn balance(rows: &[Vec<(usize, f64)>]) -> Option<Vec<f64>> {
    let width = rows.iter().flatten().map(|e| e.0 + 1).max()?;
    let mut columns: Vec<Vec<(usize, f64)>> = vec![vec![]; width];
    for (i, row) in rows.iter().enumerate() {
        row.iter().for_each(|(j, v)| columns[*j].push((i, *v)));
    }
    let mut y: Vec<Option<f64>> = vec![None; rows.len()];
    y[0] = Some(1.0);
    let mut todo = vec![0];
    while let Some(i) = todo.pop() {
        let own = y[i]?;
        for (j, v) in &rows[i] {
            if let [p, q] = columns[*j][..] {
                let other = if p.0 == i { q } else { p };
                if y[other.0].is_none() {
                    y[other.0] = Some(-own * v / other.1);
                    todo.push(other.0);
                }
            }
        }
    }
    let y: Vec<f64> = y.into_iter().collect::<Option<_>>()?;
    let vanishes = |c: &Vec<(usize, f64)>| {
        let sum: f64 = c.iter().map(|(i, v)| y[*i] * v).sum();
        let size: f64 = c.iter().map(|(i, v)| (y[*i] * v).abs()).sum();
        sum.abs() <= LEFT * size
    };
    columns.iter().all(vanishes).then_some(y)
}

/// A combination in terms of the rows as they are written, in whole numbers where it is one.
fn named(a: &Csr, b: &[f64], part: &[usize], y: &[f64]) -> Option<Dependency> {
    let top = y.iter().fold(0.0f64, |m, v| m.max(v.abs()));
    let mut terms: Vec<(usize, f64)> = part
        .iter()
        .zip(y)
        .filter(|(_, v)| v.abs() > NEAR * top)
        .map(|(i, v)| (*i, v / ravine_linalg::reduce::norm2(a.row(*i).1)))
        .collect();
    if terms.len() < 3 {
        return None;
    }
    let least = terms.iter().fold(f64::INFINITY, |m, t| m.min(t.1.abs()));
    let by = least.copysign(terms[0].1);
    let whole = |v: f64| (v - v.round()).abs() <= NEAR * v.abs() && v.abs() < 1e4;
    if terms.iter().all(|t| whole(t.1 / by)) {
        terms.iter_mut().for_each(|t| t.1 = (t.1 / by).round());
    } else {
        let by = terms.iter().fold(0.0f64, |m, t| m.max(t.1.abs())).copysign(terms[0].1);
        terms.iter_mut().for_each(|t| t.1 /= by);
    }
    let sum: f64 = terms.iter().map(|(i, v)| v * b[*i]).sum();
    let size: f64 = terms.iter().map(|(i, v)| (v * b[*i]).abs()).sum();
    let rest = if sum.abs() <= OFF * (1.0 + size) { 0.0 } else { sum };
    Some(Dependency { terms, rest })
}
