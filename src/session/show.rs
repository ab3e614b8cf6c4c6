//! Values as views, in the words of messages.
//!
//! Invariant: layout is `report`'s; here is only what is shown.

use crate::base::value::Value;
use crate::base::view::{Role, View};
use crate::ir::atom::Trust;
use crate::report::values;

/// `name = value`; a value of several lines stands below its name. What is known of its error follows.
pub fn named(name: &str, v: &Value, trust: Option<&Trust>) -> View {
    let value = values::view(v);
    let shown = if crate::report::layout::lines(&value).len() > 1 {
        View::Stack(vec![
            View::styled(format!("{name} ="), Role::Faint),
            View::Facts(vec![(String::new(), value)]),
        ])
    } else {
        View::Facts(vec![(format!("{name} ="), value)])
    };
    let Some(t) = trust else { return shown };
    let evidence = if t.rank < t.full {
        format!("rank {} of {}", t.rank, t.full)
    } else {
        format!("error at most {}, condition {}", number(t.error), number(t.condition))
    };
    View::Stack(vec![shown, View::styled(format!("  {evidence}"), Role::Faint)])
}

/// What a value is, for messages.
pub fn kind(v: &Value) -> String {
    match v {
        Value::Array { tensor, .. } => crate::lang::lower::describe_dims(&tensor.dims),
        Value::Text(_) => "a text".into(),
        Value::Table(_) => "a table".into(),
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
