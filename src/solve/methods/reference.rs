//! The reference page of methods, written from their cards.
//!
//! Invariant: every column of a card appears; nothing is said here that a card does not say.

use crate::solve::errors::describe;
use crate::solve::method::{Granularity, MethodCard, OptionKind};

/// The whole page in Markdown.
pub fn page(cards: &[&MethodCard]) -> String {
    let mut out = String::from(
        "# Methods\n\nWritten from the table of methods; `solve … with name(option: value)` picks one. Without `with` \
         the class of the problem picks it.\n",
    );
    for card in cards {
        out.push_str(&entry(card));
    }
    out
}

/// The entry of one method in Markdown.
pub fn entry(card: &MethodCard) -> String {
    let mut out = format!("\n## `{}`: {}\n\n{}\n\n", card.name, card.title, card.doc);
    if !card.aliases.is_empty() {
        let names: Vec<String> = card.aliases.iter().map(|a| format!("`{a}`")).collect();
        out += &format!("Also called {}.\n\n", names.join(", "));
    }
    let classes: Vec<&str> = card.accepts.iter().map(|c| c.word()).collect();
    out += &format!("- takes: {}\n", classes.join("; "));
    let asks = card.needs.missing_from(Default::default()).join(", ");
    let asks = if asks.is_empty() {
        "whichever the problem has, a form or products"
    } else {
        &asks
    };
    out += &format!("- asks for: {asks}\n");
    let steps = match card.granularity {
        Granularity::Step => "one iteration at a time; interrupted, saved and resumed between any two",
        Granularity::Whole => "runs as a whole; interrupted and timed inside, not saved in the middle",
    };
    out += &format!(
        "- steps: {steps}\n- promises: {}\n- source: {}\n",
        card.guarantees, card.source
    );
    if !card.records.is_empty() {
        out += &format!("- records: {}\n", card.records.join(", "));
    }
    if !card.options.is_empty() {
        out += "\n| option | takes | default | |\n|---|---|---|---|\n";
        for o in card.options {
            let default = match o.kind {
                OptionKind::Real { default, .. } => format!("{default}"),
                OptionKind::Count { default, .. } => format!("{default}"),
                OptionKind::Choice(words) | OptionKind::Map(words) => {
                    words.first().map_or(String::new(), |w| format!("`{w}`"))
                }
                OptionKind::Flag(default) => format!("{default}"),
            };
            out += &format!("| `{}` | {} | {default} | {} |\n", o.name, describe(&o.kind), o.doc);
        }
    }
    if !card.state.is_empty() {
        out += "\nState: ";
        let slots: Vec<String> = card.state.iter().map(|s| format!("`{}` ({})", s.name, s.doc)).collect();
        out += &format!("{}.\n", slots.join("; "));
    }
    out
}
