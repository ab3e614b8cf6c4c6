//! `compare`, `sweep` and `plot` as written.
//!
//! Invariant: what stands in a block of braces is a pipeline or a `solve` like any other.

use super::{Entrant, Expr, Ident, ProblemRef, Solve, Start, TimeUnit};
use crate::base::Span;

/// `[c =] compare P with { fast: …; slow: … } [over seeds 1..5] [from …] [to …] [within …]`.
#[derive(Clone, Debug, PartialEq)]
pub struct Compare {
    /// The name that keeps the result.
    pub bind: Option<Ident>,
    /// The problems; none for the unnamed one.
    pub targets: Vec<ProblemRef>,
    /// What is compared.
    pub entrants: Vec<Entrant>,
    /// A set of seeds.
    pub seeds: Option<Expr>,
    /// The start of every run.
    pub from: Option<Start>,
    /// The tolerance.
    pub to: Option<Expr>,
    /// The time allowed for each run.
    pub within: Option<(Expr, TimeUnit)>,
    /// The word `compare`.
    pub keyword: Span,
}

/// `[w =] sweep lr in values { solve … }`.
#[derive(Clone, Debug, PartialEq)]
pub struct Sweep {
    /// The name that keeps the result.
    pub bind: Option<Ident>,
    /// What is varied: a parameter, or a name of the block alone.
    pub name: Ident,
    /// Its values.
    pub values: Expr,
    /// What is solved for each.
    pub solve: Solve,
    /// The `solve`.
    pub span: Span,
}

/// `[p =] plot … [over …] [with …]`.
#[derive(Clone, Debug, PartialEq)]
pub struct Plot {
    /// The name that keeps the picture.
    pub bind: Option<Ident>,
    /// What is drawn.
    pub items: Vec<Expr>,
    /// `over x in [-2, 2], y in [-1, 3]`.
    pub ranges: Vec<PlotRange>,
    /// `over seconds`: what counts along the axis.
    pub axis: Option<Ident>,
    /// `with s.path`: what is drawn on top.
    pub with: Vec<Expr>,
    /// The word `plot`.
    pub keyword: Span,
}

/// `x in [lo, hi]`.
#[derive(Clone, Debug, PartialEq)]
pub struct PlotRange {
    /// A name, or an entry of a variable.
    pub what: Expr,
    /// The left end.
    pub lo: Expr,
    /// The right end.
    pub hi: Expr,
    /// All of it.
    pub span: Span,
}
