//! What happened, as the texts that a front end without a terminal shows: plain, coloured, HTML, JSON.
//!
//! Invariant: layout is `report`'s; here is only the choice of what goes with what, in the façade's own words.

use serde_json::Value as Json;

use super::{Event, Session};
use crate::base::view::View;
use crate::base::{Diagnostic, SourceMap};
use crate::report::solve::{Detail, summary};
use crate::report::{SolveEntry, diagnostic, json, plot, render};

/// Rules for the classes that the HTML of [`Rendered`] uses; a notebook shows them with each piece.
pub use crate::report::render::STYLE;

/// One thing in every form it has.
#[derive(Clone, Debug, PartialEq)]
pub struct Rendered {
    /// Text without colours, with a line end.
    pub plain: String,
    /// HTML of class `ravine`.
    pub html: String,
    /// SVG, where it is a picture.
    pub svg: Option<String>,
    /// LaTeX between marks of mathematics, where it holds a formula.
    pub latex: Option<String>,
    /// The entry of schema `ravine.report/1`.
    pub json: Json,
}

/// A view.
pub fn view(v: &View) -> Rendered {
    Rendered {
        plain: render::plain(v),
        html: render::html(v),
        svg: match v {
            View::Figure(f) => Some(plot::svg(f)),
            _ => None,
        },
        latex: render::latex(v).map(|l| format!("$$\n{l}\n$$")),
        json: render::json(v),
    }
}

/// The summary of a solve, in full.
pub fn solved(s: &SolveEntry) -> Rendered {
    let v = summary(s, Detail::Full);
    Rendered {
        plain: render::plain(&v),
        html: render::html(&v),
        svg: None,
        latex: None,
        json: json::solve(s),
    }
}

/// What an event shows; nothing for progress, lines of a log and messages.
pub fn event(e: &Event) -> Option<Rendered> {
    match e {
        Event::Solved(s) => Some(solved(s)),
        Event::Shown(v) => Some(view(v)),
        Event::Progress(_) | Event::Log(_) | Event::Diagnostic(_) => None,
    }
}

/// Messages beside their source, with or without colours; empty for none.
pub fn messages(found: &[Diagnostic], sources: &SourceMap, colour: bool) -> String {
    match colour {
        true => diagnostic::terminal(found, sources),
        false => diagnostic::plain(found, sources),
    }
}

impl Session {
    /// Forgets what was reported, not what was defined: a session that goes on does not keep every answer for ever.
    pub fn forget_report(&mut self) {
        self.report.results.clear();
        self.report.diagnostics.clear();
        self.report.data_failed = false;
    }
}
