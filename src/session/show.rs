//! Values as views, in the words of messages.
//!
//! Invariant: layout is `report`'s; here is only what is shown.

use crate::base::value::Value;
use crate::base::view::View;
use crate::report::values;

/// `name = value`; values of several lines stand to the right of the name.
pub fn named(name: &str, v: &Value) -> View {
    View::Facts(vec![(format!("{name} ="), values::view(v))])
}

/// What a value is, for messages.
pub fn kind(v: &Value) -> String {
    match v {
        Value::Array { tensor, .. } => crate::lang::lower::describe_dims(&tensor.dims),
        Value::Text(_) => "a text".into(),
        Value::Set(_) => "a set".into(),
    }
}

/// A number as messages show it.
pub fn number(v: f64) -> String {
    crate::report::number::number(v)
}

/// A number of bytes.
pub fn bytes(n: u64) -> String {
    crate::io::errors::bytes_text(u128::from(n))
}
