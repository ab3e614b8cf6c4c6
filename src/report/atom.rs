//! What a row of the table of atoms says of itself, in words.
//!
//! Invariant: says what the row's columns say, and nothing else.

use crate::ir::atom::{Atom, CurvatureRule, Derivative, Graph, MonoRule, Prox};
use crate::ir::facts::{Curvature, Mono, Smooth};

/// `convex, smooth; increasing`.
pub fn shape(row: &Atom) -> String {
    let curvature = match row.curvature {
        CurvatureRule::Always(Curvature::Unknown) => "neither convex nor concave",
        CurvatureRule::Always(c) => c.word(),
        CurvatureRule::Of(_) => "affine, convex or concave where its arguments make it so",
    };
    let smooth = match row.smooth {
        Smooth::Discontinuous => "with jumps",
        Smooth::Kinks => "continuous, with kinks",
        Smooth::C1 => "continuously differentiable",
        Smooth::Analytic => "smooth",
    };
    let mono = match row.monotone {
        MonoRule::Always(m) if m.iter().all(|m| *m == Mono::Increasing) => "; increasing",
        MonoRule::Always(m) if m.iter().all(|m| *m == Mono::Decreasing) => "; decreasing",
        _ => "",
    };
    format!("{curvature}, {smooth}{mono}")
}

/// `derivatives of every order, a conic form, a proximal operator`.
pub fn abilities(row: &Atom) -> String {
    let mut has = match row.derivative {
        Derivative::None(why) => vec![format!("no derivative ({why})")],
        Derivative::Zero => vec!["derivative zero".into()],
        _ => vec!["derivatives of every order".to_string()],
    };
    if !matches!(row.graph, Graph::None(_)) {
        has.push("a conic form".into());
    }
    if !matches!(row.prox, Prox::None(_)) {
        has.push("a proximal operator".into());
    }
    has.join(", ")
}

/// The formula in LaTeX, with `x`, `y`, `z` for the arguments.
pub fn formula(row: &Atom) -> String {
    row.latex.replace("#1", "x").replace("#2", "y").replace("#3", "z")
}
