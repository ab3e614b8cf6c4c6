//! Run-time values as JSON.
//!
//! Invariant: every entry at full precision: arrays nested by dimension, objects where a dimension is a set of labels or a
//! listed set, non-finite numbers as strings.

use serde_json::{Map, Value as Json};

use super::value::{Column, Elem, IndexSet, Value};

/// A number in JSON; `"inf"`, `"-inf"`, `"nan"` if it is not finite.
pub fn number_json(v: f64) -> Json {
    match serde_json::Number::from_f64(v) {
        Some(n) => Json::Number(n),
        None if v.is_nan() => "nan".into(),
        None => if v > 0.0 { "inf" } else { "-inf" }.into(),
    }
}

/// Sparse matrices of more entries than this, zeros included, are shown by their stored entries.
pub(crate) const LARGE: usize = 1_000_000;

/// A value in JSON: numbers and texts as they are, arrays nested row by row, over labels as objects; a sparse matrix of more than a
/// million entries as its shape and its stored entries `[row, column, value]`, counted from 1.
pub fn value(value: &Value) -> Json {
    match value {
        Value::Text(t) => t.clone().into(),
        Value::Table(t) => {
            let column = |c: &Column| match c {
                Column::Numbers(v) => Json::Array(v.iter().map(|x| number_json(*x)).collect()),
                Column::Texts(v, _) => v.clone().into(),
            };
            Json::Object(t.columns.iter().map(|(n, c)| (n.clone(), column(c))).collect())
        }
        Value::Set(s) => Json::Array((0..s.len()).map(|k| element_json(s, k)).collect()),
        // Written out, a large sparse matrix would be zeros by the billion.
        Value::Array { tensor, .. } if tensor.as_dense().is_none() && tensor.len() > LARGE => {
            let cols = tensor.shape().get(1).copied().unwrap_or(1).max(1);
            let entry =
                |(k, v): (usize, f64)| Json::from(vec![(k / cols + 1).into(), (k % cols + 1).into(), number_json(v)]);
            serde_json::json!({"shape": tensor.shape(), "entries": tensor.held().map(entry).collect::<Vec<Json>>()})
        }
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
        IndexSet::Listed(l) => {
            let one = |j: usize| {
                l.columns[j]
                    .get(k)
                    .map_or(Json::Null, |p| element_json(&l.parts[j], *p as usize))
            };
            match l.parts.len() {
                1 => one(0),
                n => Json::Array((0..n).map(one).collect()),
            }
        }
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
        Some((set @ (IndexSet::Labels(_) | IndexSet::Listed(_)), rest)) => {
            let mut map = Map::new();
            for k in 0..set.len() {
                map.insert(set.element(k), nested(rest, entries, at, elem));
            }
            Json::Object(map)
        }
        Some((set, rest)) => Json::Array((0..set.len()).map(|_| nested(rest, entries, at, elem)).collect()),
    }
}
