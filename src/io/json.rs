//! JSON: numbers in nested lists by position, in nested objects by label, or a list of records with columns.
//!
//! Invariant: every element of every set has one finite number; a message names the place as `$.seattle[2]`.

use serde_json::{Map, Value as Json};

use super::{Input, Request, errors};
use crate::base::Diagnostic;
use crate::base::value::{IndexSet, Storage, Tensor};

/// Reads an array over `sets`, as [`super::read`] does. Errors: R0609 (form), R0603, R0304, R0305, R0310, R0604, R0309.
pub fn read_json(input: &Input, request: &Request, sets: &[Option<IndexSet>]) -> Result<Tensor, Diagnostic> {
    let value = parsed(input)?;
    if let Json::Array(rows) = &value
        && !rows.is_empty()
        && rows.iter().all(Json::is_object)
    {
        return records(input, request, sets, rows);
    }
    if request.column.is_some() || request.columns.is_some() {
        return Err(errors::json(
            input.name,
            "it is no list of records, so it has no columns",
        ));
    }
    let dims = shape(input, &value, sets)?;
    let mut data = vec![];
    fill(input, &value, &dims, &mut "$".to_string(), &mut data)?;
    Ok(Tensor {
        dims,
        storage: Storage::Dense(data),
    })
}

fn parsed(input: &Input) -> Result<Json, Diagnostic> {
    serde_json::from_slice(input.bytes).map_err(|e| {
        errors::json(
            input.name,
            format!("line {}, column {}: {}", e.line(), e.column(), reason(&e)),
        )
    })
}

fn reason(e: &serde_json::Error) -> String {
    let text = e.to_string();
    text.split(" at line ").next().unwrap_or("unreadable").to_string()
}

/// The sets of the dimensions: those that are known, and the lengths of the lists for the others.
fn shape(input: &Input, value: &Json, sets: &[Option<IndexSet>]) -> Result<Vec<IndexSet>, Diagnostic> {
    let mut out = vec![];
    let mut at = Some(value);
    for (k, s) in sets.iter().enumerate() {
        let n = match (s, at) {
            (Some(s), _) => s.clone(),
            (None, Some(Json::Array(items))) => IndexSet::upto(items.len()),
            (None, _) => {
                return Err(errors::wrong_rank(
                    input.name,
                    &format!("no list in dimension {}", k + 1),
                    sets.len(),
                ));
            }
        };
        // The first element shows what follows.
        for _ in 0..n.arity() {
            at = match at {
                Some(Json::Array(items)) => items.first(),
                Some(Json::Object(map)) => map.values().next(),
                other => other,
            };
        }
        out.push(n);
    }
    let cells = out.iter().fold(1u128, |n, s| n.saturating_mul(s.len() as u128));
    input.afford(cells.saturating_mul(8), &format!("an array of {cells} entries"))?;
    Ok(out)
}

fn fill(
    input: &Input,
    value: &Json,
    dims: &[IndexSet],
    place: &mut String,
    data: &mut Vec<f64>,
) -> Result<(), Diagnostic> {
    let Some((set, rest)) = dims.split_first() else {
        data.push(number(input, value, place)?);
        return Ok(());
    };
    let mut used = 0;
    for k in 0..set.len() {
        let before = place.len();
        match element(value, set, k) {
            Some((v, key)) => {
                used += 1;
                place.push_str(&key);
                fill(input, v, rest, place, data)?;
            }
            None if matches!(value, Json::Object(_) | Json::Array(_)) => {
                return Err(errors::missing_labels(
                    input.name,
                    &format!("entry in `{place}`"),
                    &[set.element(k)],
                    &set.describe(),
                ));
            }
            None => {
                return Err(errors::json(
                    input.name,
                    format!(
                        "`{place}` is {}, and entries of `{}` are wanted",
                        kind(value),
                        set.describe()
                    ),
                ));
            }
        }
        place.truncate(before);
    }
    // Whatever is there beside the set's elements has nowhere to go.
    match (value, set) {
        (Json::Array(items), _) if items.len() > used => Err(errors::json(
            input.name,
            format!(
                "`{place}` has {} entries, and `{}` has {}",
                items.len(),
                set.describe(),
                set.len()
            ),
        )),
        (Json::Object(map), s) if s.arity() == 1 && map.len() > used => {
            let known: Vec<String> = (0..s.len()).map(|k| s.element(k)).collect();
            let stray = map.keys().find(|k| !known.contains(k)).cloned().unwrap_or_default();
            Err(errors::json_label(
                input.name,
                place,
                &stray,
                &s.describe(),
                known.iter().map(String::as_str),
            ))
        }
        _ => Ok(()),
    }
}

/// The entry of an element, and its place in the file.
fn element<'j>(value: &'j Json, set: &IndexSet, k: usize) -> Option<(&'j Json, String)> {
    match (value, set) {
        (Json::Array(items), _) => items.get(k).map(|v| (v, format!("[{k}]"))),
        (Json::Object(map), IndexSet::Listed(l)) if l.parts.len() > 1 => {
            let whole = set.element(k);
            if let Some(v) = map.get(&whole) {
                return Some((v, format!(".{whole}")));
            }
            let mut at = value;
            let mut place = String::new();
            for j in 0..l.parts.len() {
                let key = l.component(k, j);
                at = at.as_object()?.get(&key)?;
                place.push('.');
                place.push_str(&key);
            }
            Some((at, place))
        }
        (Json::Object(map), _) => {
            let key = set.element(k);
            map.get(&key).map(|v| (v, format!(".{key}")))
        }
        _ => None,
    }
}

fn number(input: &Input, value: &Json, place: &str) -> Result<f64, Diagnostic> {
    match value {
        Json::Number(n) => match n.as_f64() {
            Some(v) if v.is_finite() => Ok(v),
            _ => Err(errors::not_finite(input.name, &format!("`{place}`"), f64::INFINITY)),
        },
        Json::Bool(b) => Ok(f64::from(u8::from(*b))),
        Json::String(t) if matches!(t.as_str(), "inf" | "-inf" | "nan") => Err(errors::not_finite(
            input.name,
            &format!("`{place}`"),
            t.parse().unwrap_or(f64::NAN),
        )),
        v => Err(errors::json(
            input.name,
            format!("`{place}` is {}, and a number is wanted", kind(v)),
        )),
    }
}

fn kind(v: &Json) -> &'static str {
    match v {
        Json::Null => "`null`",
        Json::Bool(_) => "a truth value",
        Json::Number(_) => "a number",
        Json::String(_) => "a text",
        Json::Array(_) => "a list",
        Json::Object(_) => "an object",
    }
}

/// A list of records as the text of a table. Errors: R0609.
pub(super) fn table_text(input: &Input) -> Result<String, Diagnostic> {
    match parsed(input)? {
        Json::Array(rows) if !rows.is_empty() && rows.iter().all(Json::is_object) => as_csv(input, &rows),
        _ => Err(errors::json(
            input.name,
            "it is no list of records, so it has no columns",
        )),
    }
}

/// A list of records: columns by name. They are read as a table is.
fn records(input: &Input, request: &Request, sets: &[Option<IndexSet>], rows: &[Json]) -> Result<Tensor, Diagnostic> {
    let text = as_csv(input, rows)?;
    super::read_table(&input.with(text.as_bytes()), request, sets)
}

/// Records as the text of a table, so that one reader knows what tables mean.
pub(super) fn as_csv(input: &Input, rows: &[Json]) -> Result<String, Diagnostic> {
    let empty = Map::new();
    let head: Vec<&String> = rows
        .first()
        .and_then(Json::as_object)
        .unwrap_or(&empty)
        .keys()
        .collect();
    let mut out = csv::Writer::from_writer(vec![]);
    let wrong = |e: csv::Error| errors::json(input.name, e.to_string());
    out.write_record(&head).map_err(wrong)?;
    for (k, row) in rows.iter().enumerate() {
        let row = row.as_object().unwrap_or(&empty);
        if let Some(stray) = row.keys().find(|n| !head.contains(n)) {
            return Err(errors::json(
                input.name,
                format!(
                    "record {} has a field `{}`, which the first one lacks",
                    k + 1,
                    errors::excerpt(stray)
                ),
            ));
        }
        let mut fields = vec![];
        for n in &head {
            fields.push(match row.get(*n) {
                Some(Json::String(t)) => t.clone(),
                Some(Json::Bool(b)) => u8::from(*b).to_string(),
                Some(v @ Json::Number(_)) => v.to_string(),
                Some(Json::Null) | None => String::new(),
                Some(v) => {
                    return Err(errors::json(
                        input.name,
                        format!(
                            "record {}, field `{}`: {} in a table",
                            k + 1,
                            errors::excerpt(n),
                            kind(v)
                        ),
                    ));
                }
            });
        }
        out.write_record(&fields).map_err(wrong)?;
    }
    let bytes = out.into_inner().map_err(|e| errors::json(input.name, e.to_string()))?;
    String::from_utf8(bytes).map_err(|e| errors::json(input.name, e.to_string()))
}
