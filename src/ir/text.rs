//! The textual form of the IR: prints, and parses what it prints.
//!
//! Invariant: `print(parse(t)) == t` for every `t` that `print` yields. Index names are canonical (`i1`, `i2`, … in the
//! order of printing), so equal programs print equal text whatever their indices are called.
//!
//! ```text
//! param A [1..2, 1..3]
//! var x [1..3] nonneg
//! %1 = matmul(A, x)
//! out sum(i1 in 1..2) square(%1[i1])
//! ```
//! Positions in `[ ]` count from 0: `x[2*i1 + 1]`, or `x[@e]` for a computed one; `val(i1)` is an index's value. A binder
//! may filter, and name shared parts of its body: `sum(i1 in S if c; %2 = e) …`. `map(i1 in S) e`;
//! `scatter(i1 in S)(i2 in T) [shape] [positions] e` lists all enclosing domains; `out (i1 in S) e` is an output in a
//! region.

mod parse;
mod print;
mod tokens;

pub use parse::{Program, parse};
pub use print::{print, print_roots};
