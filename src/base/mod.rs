//! What every layer shares: places in source text, diagnostics, run-time values, the view tree.
//!
//! Invariant: imports nothing of ours but the storage types of `ravine_linalg`.

pub mod codes;
pub mod diagnostic;
pub mod figure;
pub mod json;
pub mod span;
pub mod value;
pub mod view;

pub use codes::Code;
pub use diagnostic::{Diagnostic, Diagnostics, Edit, Help, Label, Level};
pub use span::{SourceId, SourceMap, Span};
pub use value::{LabelSet, Tensor, Value};
