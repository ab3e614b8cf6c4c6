//! Run-time values as views and as JSON.
//!
//! Invariant: JSON holds every entry at full precision (arrays nested by dimension, objects where a dimension is a set
//! of labels, non-finite numbers as strings); views may be cut by their renderer, never here below the cut.

use serde_json::{Map, Value as Json};

use crate::base::value::{Elem, IndexSet, Storage, Tensor, Value};
use crate::base::view::{Cell, Role, Run, View};

/// Entries beyond which a sparse matrix is described instead of shown.
const SPARSE_SHOWN: usize = 10_000;

/// A number in JSON; `"inf"`, `"-inf"`, `"nan"` if it is not finite.
pub fn number_json(v: f64) -> Json {
    match serde_json::Number::from_f64(v) {
        Some(n) => Json::Number(n),
        None => super::number::number(v).into(),
    }
}

/// A value in JSON.
pub fn json(value: &Value) -> Json {
    match value {
        Value::Text(t) => t.clone().into(),
        Value::Set(s) => Json::Array((0..s.len()).map(|k| element_json(s, k)).collect()),
        Value::Array { tensor, elem } => {
            let entries = tensor.to_dense();
            let mut at = 0;
            nested(&tensor.dims, &entries, &mut at, *elem)
        }
    }
}

fn element_json(set: &IndexSet, k: usize) -> Json {
    match set {
        IndexSet::Range { lo, .. } => (lo + k as i64).into(),
        IndexSet::Labels(_) => set.element(k).into(),
    }
}

fn nested(dims: &[IndexSet], entries: &[f64], at: &mut usize, elem: Elem) -> Json {
    match dims.split_first() {
        None => {
            let v = entries.get(*at).copied().unwrap_or(f64::NAN);
            *at += 1;
            match elem {
                Elem::Bool => (v != 0.0).into(),
                Elem::Int if v.abs() < 9e15 && v.fract() == 0.0 => (v as i64).into(),
                _ => number_json(v),
            }
        }
        Some((set @ IndexSet::Labels(_), rest)) => {
            let mut map = Map::new();
            for k in 0..set.len() {
                map.insert(set.element(k), nested(rest, entries, at, elem));
            }
            Json::Object(map)
        }
        Some((set, rest)) => Json::Array((0..set.len()).map(|_| nested(rest, entries, at, elem)).collect()),
    }
}

/// A value as a view.
pub fn view(value: &Value) -> View {
    match value {
        Value::Text(t) => View::text(t.clone()),
        Value::Set(set @ IndexSet::Range { .. }) => View::text(set.describe()),
        Value::Set(set) => {
            let n = set.len();
            let mut names: Vec<String> = (0..n.min(12)).map(|k| set.element(k)).collect();
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
