//! The `ravine` binary: hands its arguments to `ravine::cli`.
fn main() {}
