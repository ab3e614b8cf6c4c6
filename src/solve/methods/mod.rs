//! The list of methods: one row each.
//!
//! Invariant: a method is reached through this list only; names and aliases are unique.

pub mod apg;
pub mod cg;
pub mod clarabel;
pub mod compact;
pub mod conditions;
pub mod coordinate;
pub mod curvature;
pub mod direct;
pub mod interior;
pub mod krylov;
pub mod lbfgs;
pub mod line_search;
pub mod lsmr;
pub mod minres;
pub mod newton_tr;
pub mod projected;
pub mod prox_newton;
pub mod reference;
pub mod scripted;
pub mod sparse_factor;
pub mod subproblem;
pub mod support;

use std::sync::Arc;

use crate::base::{Diagnostics, Span};

use super::errors::{self, Given};
use super::method::{Method, MethodCard, Settings};

/// All methods, in the order of the reference.
pub const CARDS: &[&MethodCard] = &[
    &newton_tr::CARD,
    &lbfgs::CARD,
    &interior::CARD,
    &clarabel::CARD,
    &direct::CARD,
    &cg::CARD,
    &minres::CARD,
    &lsmr::CARD,
    &coordinate::CARD,
    &prox_newton::CARD,
    &apg::CARD,
];

/// The card of a method by name or alias.
pub fn find(name: &str) -> Option<&'static MethodCard> {
    CARDS
        .iter()
        .find(|c| c.name == name || c.aliases.contains(&name))
        .copied()
}

/// A method with its default settings.
pub fn default(card: &MethodCard) -> Arc<dyn Method> {
    Arc::from((card.build)(&Settings::defaults(card)))
}

/// The method of `with name(options)`: the name and each option are checked.
pub fn build(name: &str, name_span: Span, options: &[(String, Given, Span)]) -> Result<Arc<dyn Method>, Diagnostics> {
    let card = find(name).ok_or_else(|| vec![errors::unknown_method(name, name_span)])?;
    let settings = errors::settle(card, options)?;
    Ok(Arc::from((card.build)(&settings)))
}
