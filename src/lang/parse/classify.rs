//! What kind of statement a text is, by its first words.
//!
//! Invariant: looks at words only; never decides what the grammar decides.

use super::grammar::Rule;
use super::lexicon::{STATEMENT_WORDS, is_reserved};
use crate::base::diagnostic::did_you_mean;

/// The word a text begins with; empty if it begins with something else.
pub(super) fn first_word(text: &str) -> &str {
    let end = text
        .char_indices()
        .find(|(i, c)| !(*c == '_' || c.is_alphabetic() || *i > 0 && c.is_alphanumeric()))
        .map_or(text.len(), |(i, _)| i);
    &text[..end]
}

/// The word a text ends with; empty if it ends with something else.
pub(super) fn last_word(text: &str) -> &str {
    let start = text
        .char_indices()
        .rev()
        .take_while(|(_, c)| *c == '_' || c.is_alphanumeric())
        .last()
        .map_or(text.len(), |(i, _)| i);
    &text[start..]
}

/// The token a text begins with.
pub(super) fn token_at(text: &str) -> &str {
    let Some(c) = text.chars().next() else { return "" };
    if c == '_' || c.is_alphanumeric() {
        let end = text
            .char_indices()
            .find(|(_, c)| !(*c == '_' || c.is_alphanumeric()))
            .map_or(text.len(), |(i, _)| i);
        return &text[..end];
    }
    if c == '"' {
        let end = text[1..].find('"').map_or(text.len(), |p| p + 2);
        return &text[..end];
    }
    for two in ["<=", ">=", "==", "!=", "<-", "->", "|>", "..", ".*", "./", ".^"] {
        if text.starts_with(two) {
            return &text[..2];
        }
    }
    &text[..c.len_utf8()]
}

/// `name = …`, but not `name == …`.
pub(super) fn is_assignment(text: &str) -> bool {
    let first = first_word(text);
    if first.is_empty() || is_reserved(first) {
        return false;
    }
    let rest = text[first.len()..].trim_start();
    rest.starts_with('=') && !rest.starts_with("==")
}

/// `s = solve …` and its like, which stand outside of problems and optimizers.
pub(super) fn keeps_answer(text: &str) -> bool {
    let right = text.split_once('=').map_or("", |(_, r)| r.trim_start());
    is_assignment(text) && (matches!(first_word(right), "solve" | "compare" | "sweep" | "plot") || starts_run(right))
}

/// Is the reserved word that begins a text used as a label there, `seed: …`?
pub(super) fn named_like(text: &str, first: &str) -> bool {
    text[first.len()..].trim_start().starts_with(':')
}

/// `name: …`, `name[i in I]: …`, `[i in I]: …`.
pub(super) fn label_like(text: &str) -> bool {
    let rest = text[first_word(text).len()..].trim_start();
    if rest.starts_with(':') {
        return true;
    }
    let mut depth = 0usize;
    for (i, c) in rest.char_indices() {
        match c {
            '[' | '(' | '{' => depth += 1,
            ']' | ')' | '}' => {
                depth = depth.saturating_sub(1);
                if depth == 0 {
                    return rest[i + 1..].trim_start().starts_with(':');
                }
            }
            _ if depth == 0 => return false,
            _ => {}
        }
    }
    false
}

/// Statements that begin with words that are names elsewhere: `min x: T`, `max y: T`, `objective value: …`.
pub(super) fn saddle_statement(text: &str) -> bool {
    let first = first_word(text);
    let Some(rest) = text.get(first.len()..).map(str::trim_start) else {
        return false;
    };
    let next = first_word(rest);
    if next.is_empty() || matches!(next, "in" | "and" | "or" | "complements" | "div") {
        return false;
    }
    match first {
        "min" | "max" => rest[next.len()..].trim_start().starts_with(':'),
        "objective" => true,
        _ => false,
    }
}

/// `source NAME`, `help NAME`: commands whose words are names as well.
pub(super) fn lone_command(text: &str) -> bool {
    let first = first_word(text);
    let rest = text[first.len()..].trim();
    matches!(first, "source" | "help")
        && text.len() > first.len()
        && !rest.is_empty()
        && first_word(rest) == rest
        && !matches!(rest, "in" | "and" | "or" | "complements" | "div")
}

/// `step r …`, `rewind r …`, `start p …`: commands about runs, whose words are names as well.
pub(super) fn run_command(text: &str) -> bool {
    let first = first_word(text);
    matches!(first, "step" | "rewind" | "start") && followed_by_name(text, first)
}

/// Does a name stand behind the first word, so that it is a word of a command there?
fn followed_by_name(text: &str, first: &str) -> bool {
    let rest = text[first.len()..].trim_start();
    let next = first_word(rest);
    rest.len() < text.len() - first.len()
        && !next.is_empty()
        && !matches!(
            next,
            "in" | "and" | "or" | "complements" | "div" | "then" | "else" | "if"
        )
}

/// `start p with …` behind `r =`, where `start` alone would be a name.
pub(super) fn starts_run(right: &str) -> bool {
    first_word(right) == "start" && followed_by_name(right, "start")
}

/// Could an equation have been meant by a `=` of this statement?
pub(super) fn depth_or_relation(rule: Rule, before: &str) -> bool {
    let open = before.chars().fold(0i64, |d, c| match c {
        '(' | '[' => d + 1,
        ')' | ']' => d - 1,
        _ => d,
    });
    open > 0
        || !matches!(
            rule,
            Rule::set_decl | Rule::param_decl | Rule::var_decl | Rule::solve | Rule::inspect
        )
}

/// The keyword that a word was probably meant to be.
pub(super) fn keyword_like(word: &str) -> Option<&'static str> {
    Some(match word {
        "maximise" => "maximize",
        "minimise" => "minimize",
        "variable" | "variables" | "vars" => "var",
        "parameter" | "parameters" | "input" | "data" => "param",
        "const" | "constant" | "define" => "let",
        "def" | "function" | "func" | "fun" => "fn",
        "model" => "problem",
        "such" | "st" | "constraint" | "constraints" | "s" => "subject to",
        "import" | "include" => "use",
        "show" | "display" => "print",
        "optimize" | "optimise" => "solve",
        "sets" | "index" => "set",
        "check" => "assert",
        other => return did_you_mean(other, STATEMENT_WORDS.iter().copied()),
    })
}
