//! Run-time values as views and as JSON.
//!
//! Invariant: JSON holds every entry at full precision (arrays nested by dimension, objects where a dimension is a set
//! of labels, non-finite numbers as strings); views may be cut by their renderer, never here below the cut.

use crate::base::value::{Column, Elem, IndexSet, Storage, Table, Tensor, Value};
use crate::base::view::{Cell, Role, Run, View};

pub use crate::base::json::{number_json, value as json};

/// Entries beyond which a sparse matrix is described instead of shown.
const SPARSE_SHOWN: usize = 10_000;

/// A value as a view.
pub fn view(value: &Value) -> View {
    match value {
        Value::Text(t) => View::text(t.clone()),
        Value::Table(t) => table(t),
        Value::Set(set @ IndexSet::Range { .. }) => View::text(set.describe()),
        Value::Set(set) => {
            let n = set.len();
            let name = |k: usize| match set.arity() {
                1 => set.element(k),
                _ => format!("({})", set.element(k)),
            };
            let mut names: Vec<String> = (0..n.min(12)).map(name).collect();
            if n > 12 {
                names.push("…".into());
            }
            let count = if n > 12 {
                format!("  ({n} elements)")
            } else {
                String::new()
            };
            View::text(format!("{{{}}}{count}", names.join(", ")))
        }
        Value::Array { tensor, elem } => match (elem, tensor.as_scalar()) {
            (Elem::Bool, Some(v)) => View::text(if v != 0.0 { "true" } else { "false" }),
            (Elem::Int, Some(v)) if v.abs() < 9e15 && v.fract() == 0.0 => View::Line(vec![Run {
                text: format!("{v:.0}"),
                role: Role::Number,
            }]),
            (_, Some(v)) => View::Number(v),
            (_, None) => array(tensor),
        },
    }
}

/// Rows of a table that are shown.
const ROWS_SHOWN: usize = 6;

fn table(t: &Table) -> View {
    let cell = |c: &Column, k: usize| match c {
        Column::Numbers(v) => Cell::Number(v[k]),
        Column::Texts(v, _) => Cell::Text(v[k].clone()),
    };
    let rows = (0..t.rows.min(ROWS_SHOWN)).map(|k| t.columns.iter().map(|(_, c)| cell(c, k)).collect());
    let mut parts = vec![View::Table {
        head: t.columns.iter().map(|c| c.0.clone()).collect(),
        rows: rows.collect(),
    }];
    if t.rows > ROWS_SHOWN {
        parts.push(View::styled(format!("… ({} rows)", t.rows), Role::Faint));
    }
    View::Stack(parts)
}

fn array(tensor: &Tensor) -> View {
    if let Storage::Sparse(m) = &tensor.storage
        && m.rows.saturating_mul(m.cols) > SPARSE_SHOWN
    {
        let mut rows: Vec<Vec<Cell>> = Vec::new();
        'entries: for i in 0..m.rows {
            for k in m.indptr[i]..m.indptr[i + 1] {
                if rows.len() == 6 {
                    break 'entries;
                }
                let name = |d: usize, p: usize| tensor.dims[d].element(p);
                rows.push(vec![
                    Cell::Text(format!("[{}, {}]", name(0, i), name(1, m.indices[k]))),
                    Cell::Number(m.values[k]),
                ]);
            }
        }
        let more = m.values.len() > rows.len();
        let mut parts = vec![View::text(format!(
            "sparse {} x {}, {} entries{}",
            m.rows,
            m.cols,
            m.values.len(),
            if more { ", the first of them:" } else { ":" }
        ))];
        parts.push(View::Table { head: vec![], rows });
        return View::Stack(parts);
    }
    View::Array {
        labels: tensor
            .dims
            .iter()
            .map(|d| match d.is_plain() || d.is_empty() && d.lo() == 1 {
                true => None,
                false => Some((0..d.len()).map(|k| d.element(k)).collect()),
            })
            .collect(),
        shape: tensor.shape(),
        entries: tensor.to_dense(),
    }
}
