//! The reference page of the library: every optimizer, transform and schedule with its parameters and its comment.
//!
//! Invariant: nothing is said here that a definition does not say.

use super::library;

/// What the definitions of a file are about.
fn title(file: &str) -> &str {
    match file {
        "gradient.opt" => "Gradients and momentum",
        "conjugate.opt" => "Directions and lengths from earlier gradients",
        "line_search.opt" => "Line searches",
        "saddle.opt" => "Saddle points",
        "constrained.opt" => "Kinks, simple sets and constraints",
        "adaptive.opt" => "A step length for each entry",
        "polyak.opt" => "Polyak's step",
        "stochastic.opt" => "Mini-batches and noise",
        "matrices.opt" => "Matrices",
        "composite.opt" => "A smooth part and a simple one",
        "least_squares.opt" => "Sums of squares",
        "several.opt" => "Several terms, compressed and streamed gradients",
        "transforms.opt" => "Transforms",
        "schedules.opt" => "Schedules",
        other => other,
    }
}

/// The whole page in Markdown.
pub fn page() -> String {
    let mut out = String::from(
        "# Optimizers, transforms and schedules\n\nThe library that is written in the language, from `src/std/`: parameters with their defaults, and the comment of each \
         definition. `x+` is the next point, `g` the gradient, `u` the update. At the prompt `?adam` says the same; `help adam` and `source adam` do so in a program, the latter \
         with all its lines. Built-in methods are in [methods](methods.md), functions in [atoms](atoms.md). Written by the test suite from the definitions; edit those.\n",
    );
    for (file, _) in library::FILES {
        out += &format!("\n## {}\n", title(file));
        for e in library::entries().iter().filter(|e| e.file == *file) {
            out += &format!("\n### `{}`\n\n```text\n{}\n\n{}\n```\n", e.name, e.head(), e.comment());
        }
    }
    out
}
