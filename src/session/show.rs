//! Values as views, in the words of messages.
//!
//! Invariant: layout is `report`'s; here is only what is shown.

use crate::base::value::Value;
use crate::base::view::{Role, View};
use crate::report::values;

/// `name = value`; a value of several lines stands below its name.
pub fn named(name: &str, v: &Value) -> View {
    let value = values::view(v);
    if crate::report::layout::lines(&value).len() > 1 {
        return View::Stack(vec![
            View::styled(format!("{name} ="), Role::Faint),
            View::Facts(vec![(String::new(), value)]),
        ]);
    }
    View::Facts(vec![(format!("{name} ="), value)])
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
