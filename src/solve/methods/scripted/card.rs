//! Cards of scripts: what a definition asks for and keeps, as every method says it.
//!
//! Invariant: equal schemas share one card, so that there are as many as there are different definitions.

use std::sync::{Mutex, PoisonError};

use super::super::super::method::{Class, Granularity, MethodCard, Needs, Settings, SlotSpec};
use super::super::super::state::SlotKind;
use super::Scripted;
use crate::ir::script::{Ask, Of, Script, StateKind};

/// Cards of scripts, kept for the process: as many as there are different schemas.
static CARDS: Mutex<Vec<&'static MethodCard>> = Mutex::new(vec![]);

pub(super) fn card_of(s: &Script) -> &'static MethodCard {
    let asked = |a: Ask| s.asks.iter().any(|(b, _)| *b == a);
    let about = |of: Of| {
        [Ask::Vector(of), Ask::Jacobian(of), Ask::Along(of), Ask::Against(of)]
            .into_iter()
            .any(asked)
    };
    let needs = Needs {
        value: asked(Ask::Value) || asked(Ask::Trial),
        gradient: asked(Ask::Gradient) || asked(Ask::Operator) || s.samples.is_some(),
        // Where a Hessian has no structure of its own it is made of products.
        hvp: asked(Ask::Product) || asked(Ask::Hessian) || asked(Ask::Diagonal),
        hessian: false,
        form: false,
        prox: asked(Ask::Prox) || asked(Ask::Smooth),
        project: asked(Ask::Project) || asked(Ask::LinearMinimum),
        constraints: about(Of::Constraints),
        residuals: about(Of::Residuals),
    };
    let accepts: &'static [Class] = if asked(Ask::Operator) {
        &[Class::Saddle]
    } else if s.projects {
        &[Class::Smooth, Class::SmoothBounds, Class::Saddle, Class::Composite]
    } else {
        &[Class::Smooth, Class::Saddle]
    };
    let kind = |k: StateKind| match k {
        StateKind::Number => SlotKind::Number,
        StateKind::Array(_) | StateKind::Table(..) => SlotKind::Array,
        StateKind::History(..) => SlotKind::History,
    };
    let mut cards = CARDS.lock().unwrap_or_else(PoisonError::into_inner);
    let found = cards.iter().find(|c| {
        c.name == s.name
            && c.needs == needs
            && c.accepts == accepts
            && c.state.len() == s.states.len()
            && c.state
                .iter()
                .zip(&s.states)
                .all(|(a, b)| a.name == b.name && a.kind == kind(b.kind))
            && c.records.len() == s.records.len()
            && c.records.iter().zip(&s.records).all(|(a, b)| *a == b.0)
    });
    if let Some(c) = found {
        return c;
    }
    let text = |t: &str| -> &'static str { Box::leak(t.to_string().into_boxed_str()) };
    let state: Vec<SlotSpec> = s
        .states
        .iter()
        .map(|v| SlotSpec {
            name: text(&v.name),
            kind: kind(v.kind),
            doc: "a state of the definition",
        })
        .collect();
    let records: Vec<&'static str> = s.records.iter().map(|r| text(&r.0)).collect();
    let name = text(&s.name);
    let card: &'static MethodCard = Box::leak(Box::new(MethodCard {
        name,
        aliases: &[],
        title: name,
        accepts,
        needs,
        granularity: Granularity::Step,
        options: &[],
        state: Box::leak(state.into_boxed_slice()),
        records: Box::leak(records.into_boxed_slice()),
        guarantees: "none beyond what its definition says",
        doc: "a definition of the language; `source` prints it",
        source: "",
        build: |_: &Settings| Box::new(Scripted::new(Script::empty())),
    }));
    cards.push(card);
    card
}
