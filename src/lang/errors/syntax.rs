//! Messages of the scan and the parser: R01xx.
//!
//! Invariant: each names the place, what was found, and a way out.

use crate::base::{Code, Diagnostic, Span};

/// `(` without its `)`.
pub fn not_closed(open: char, at: Span) -> Diagnostic {
    let close = match open {
        '(' => ')',
        '[' => ']',
        _ => '}',
    };
    Diagnostic::new(Code::Unbalanced, format!("`{open}` is not closed"))
        .at(at, "opened here")
        .help(format!("add the `{close}` that belongs to it"))
}

/// A text that runs to the end of its line.
pub fn text_not_closed(at: Span) -> Diagnostic {
    Diagnostic::new(Code::Unbalanced, "a text is not closed on its line")
        .at(at, "begins here")
        .help("a text ends with `\"` on the same line; a line end inside it is written `\\n`")
}

/// `)` without its `(`.
pub fn closes_nothing(close: char, at: Span) -> Diagnostic {
    Diagnostic::new(Code::Unbalanced, format!("`{close}` closes nothing"))
        .at(at, "nothing is open here")
        .help_edit("remove it", at, "")
}

/// `( ]`.
pub fn closed_by_another(open: char, opened: Span, close: char, closed: Span) -> Diagnostic {
    Diagnostic::new(
        Code::Unbalanced,
        format!("`{open}` is not closed before the `{close}` around it"),
    )
    .at(opened, "opened here")
    .at(closed, "closes something else")
}

/// More than 200 brackets inside one another.
pub fn too_deep(at: Span) -> Diagnostic {
    Diagnostic::new(Code::Nesting, "nested more than 200 deep")
        .at(at, "too deep")
        .help("name a part of it with `let`")
}

/// A prefix, power, field or call chain longer than 200.
pub fn too_long_a_tower(what: &str, at: Span) -> Diagnostic {
    Diagnostic::new(Code::Nesting, format!("more than 200 {what} inside one another"))
        .at(at, "")
        .help("name a part of it with `let`")
}

/// `−`, `≤`, `²` and the like.
pub fn ascii_form(found: &str, form: &str, at: Span) -> Diagnostic {
    Diagnostic::new(Code::AsciiForm, format!("`{found}` is written `{form}`"))
        .at(at, "this character is not read")
        .help_edit(format!("write `{form}`"), at, form)
}

/// A character of no meaning.
pub fn unknown_character(found: &str, at: Span) -> Diagnostic {
    let shown: String = found
        .chars()
        .map(|c| {
            if c.is_control() {
                format!("U+{:04X}", c as u32)
            } else {
                c.to_string()
            }
        })
        .collect();
    let d = Diagnostic::new(Code::Syntax, format!("the character `{shown}` has no meaning here")).at(at, "");
    match found {
        "&" => d.help_edit("conditions are joined by `and`", at, "and"),
        "|" => d.help_edit("conditions are joined by `or`", at, "or"),
        "~" => d.help_edit("the opposite of a condition is `not`", at, "not "),
        "?" => d.help("a choice is written `if c then a else b`"),
        "$" | "@" | "`" => d.help("remove it; a comment begins with `#`"),
        _ => d,
    }
}

/// An operator of another language.
pub fn foreign_operator(found: &str, form: &str, at: Span) -> Diagnostic {
    Diagnostic::new(Code::Syntax, format!("`{found}` is written `{form}`"))
        .at(at, "not an operator of this language")
        .help_edit(format!("write `{form}`"), at, form)
}

/// A line that begins with `-`.
pub fn begins_with_minus(at: Span, operand: Span, text: &str) -> Diagnostic {
    let d = Diagnostic::new(
        Code::BeginsWithMinus,
        "a line begins with `-`: it could go on with the line above, or stand alone",
    )
    .at(at, "reads both ways")
    .help("to go on with the line above, put the `-` at the end of that line");
    if text.trim().is_empty() {
        d
    } else {
        d.help_edit(
            format!("to begin anew, write `(-{text})`"),
            at.to(operand),
            format!("(-{text})"),
        )
    }
}

/// `[a -b]`.
pub fn uneven_spacing(at: Span, space: Span) -> Diagnostic {
    Diagnostic::new(
        Code::AmbiguousSpacing,
        "a space before `-` and none after it: one entry or two?",
    )
    .at(at, "uneven spacing")
    .help_edit("two entries: put a comma before it", space, ", ")
    .help_edit("one entry: space it evenly", at, "- ")
}

/// `x<-1` in an expression.
pub fn update_in_expression(at: Span) -> Diagnostic {
    Diagnostic::new(
        Code::UpdateInExpression,
        "`<-` updates the state of an optimizer; it is no comparison",
    )
    .at(at, "the longest operator is read first")
    .help_edit("to compare with a negative number, write `< -`", at, "< -")
}

/// A reserved word where a name was wanted.
pub fn reserved_word(word: &str, at: Span) -> Diagnostic {
    let other = match word {
        "set" => "group",
        "param" => "parameter",
        "in" => "inside",
        "to" => "target",
        "from" => "origin",
        "for" => "each",
        "unit" => "units",
        "seed" => "seed0",
        "use" => "usage",
        "plot" => "plots",
        "problem" => "model",
        _ => "",
    };
    let d = Diagnostic::new(
        Code::ReservedWord,
        format!("`{word}` is a reserved word and cannot be a name here"),
    )
    .at(at, "reserved");
    if other.is_empty() {
        d.help(format!("choose another name, such as `{word}_`"))
    } else {
        d.help_edit(format!("choose another name, such as `{other}`"), at, other)
    }
}

/// `2x`, `.5`, `5.`, `1_`.
pub fn bad_number(found: &str, at: Span) -> Diagnostic {
    let d = Diagnostic::new(Code::BadNumber, format!("`{found}` is not a number")).at(at, "");
    if let Some(rest) = found.strip_prefix('.') {
        return d.help_edit("a digit stands on both sides of the point", at, format!("0.{rest}"));
    }
    if let Some(rest) = found.strip_suffix('.') {
        return d.help_edit("a digit stands on both sides of the point", at, format!("{rest}.0"));
    }
    let split = found
        .char_indices()
        .find(|(_, c)| !(c.is_ascii_digit() || *c == '.' || *c == '_'))
        .map_or(found.len(), |(i, _)| i);
    let (number, name) = found.split_at(split);
    let number = number.trim_end_matches('_');
    if name.is_empty() {
        return d.help_edit("an underscore stands between two digits", at, number.to_string());
    }
    if matches!(name, "e" | "E") {
        return d.help("an exponent has digits: `1e-3`");
    }
    d.help_edit("multiplication is always written", at, format!("{number}*{name}"))
}

/// `"\q"`.
pub fn bad_escape(found: &str, at: Span) -> Diagnostic {
    Diagnostic::new(Code::BadEscape, format!("`{found}` is no escape"))
        .at(at, "in this text")
        .help("the escapes are `\\\"`, `\\\\`, `\\n`, `\\t` and `\\u{…}` with a code point in hexadecimal digits")
}

/// `a <= b >= c`.
pub fn mixed_chain(first: &str, first_at: Span, other: &str, other_at: Span) -> Diagnostic {
    Diagnostic::new(
        Code::MixedChain,
        format!("`{first}` and `{other}` do not chain: comparisons chain in one direction"),
    )
    .at(other_at, format!("`{other}` here"))
    .at(first_at, format!("`{first}` here"))
    .help("write two comparisons, or turn one round")
}

/// A clause twice, or where it cannot stand.
pub fn clause(message: impl Into<String>, at: Span, help: &str) -> Diagnostic {
    Diagnostic::new(Code::ClauseOrder, message).at(at, "").help(help)
}

/// `if` as an operand.
pub fn bare_if(at: Span) -> Diagnostic {
    Diagnostic::new(Code::Syntax, "`if` as an operand takes parentheses")
        .at(at, "")
        .help("write `(if … then … else …)`")
}

/// `not` or `->` inside a tighter operator.
pub fn loose_prefix(what: &str, at: Span) -> Diagnostic {
    Diagnostic::new(Code::Syntax, format!("`{what}` as an operand takes parentheses")).at(at, "")
}

/// `i in I and c` as a binder.
pub fn condition_in_binder(at: Span) -> Diagnostic {
    Diagnostic::new(Code::Syntax, "a condition on indices stands after `if`")
        .at(at, "not a set")
        .help("write `i in I if …`")
}

/// `=` where an equation was meant.
pub fn equals_in_expression(at: Span) -> Diagnostic {
    Diagnostic::new(Code::Syntax, "`=` binds a name; an equation is written `==`")
        .at(at, "")
        .help_edit("write `==`", at, "==")
}

/// Two operands beside one another.
pub fn juxtaposed(found: &str, at: Span) -> Diagnostic {
    Diagnostic::new(
        Code::Syntax,
        format!("nothing joins `{found}` to what stands before it"),
    )
    .at(at, "an operator, a comma or a new line was expected before this")
    .help("multiplication is always written: `a*b`")
}

/// What the grammar did not expect.
pub fn unexpected(found: &str, expected: &str, at: Span) -> Diagnostic {
    let message = if found.is_empty() {
        "the statement is not complete".to_string()
    } else {
        format!("`{found}` is not expected here")
    };
    let label = if expected.is_empty() {
        String::new()
    } else {
        format!("expected {expected}")
    };
    let d = Diagnostic::new(Code::Syntax, message).at(at, label);
    match found {
        "|>" => d.help("parts of a step are joined where a pipeline stands; one that is given to another has a name: `pipeline mine() = adam() |> projected()`, then `mine()`"),
        _ => d,
    }
}

/// A statement that begins with a word near one that begins statements.
pub fn unknown_statement(word: &str, suggestion: Option<&str>, at: Span) -> Diagnostic {
    let d = Diagnostic::new(Code::Syntax, format!("no statement begins with `{word}`")).at(at, "");
    match suggestion {
        Some(s) => d.help_edit(format!("did you mean `{s}`?"), at, s.to_string()),
        None => d.help("a name gets a value by `let name = …` or `param name = …`"),
    }
}

/// An expression that is a whole statement.
pub fn lone_expression(at: Span, relation: bool, begin: Span) -> Diagnostic {
    if relation {
        Diagnostic::new(Code::Syntax, "a constraint stands after `subject to`")
            .at(at, "a comparison on its own")
            .help_edit("begin the constraints with `subject to`", begin, "subject to ")
    } else {
        Diagnostic::new(Code::Syntax, "an expression on its own does nothing")
            .at(at, "")
            .help_edit("to see its value, `print` it", begin, "print ")
    }
}

/// A statement in a place where it cannot stand.
pub fn misplaced(what: &str, place: &str, at: Span, help: &str) -> Diagnostic {
    Diagnostic::new(Code::Syntax, format!("{what} cannot stand {place}"))
        .at(at, "")
        .help(help)
}

/// Something after the block of a statement.
pub fn after_block(at: Span) -> Diagnostic {
    Diagnostic::new(Code::Syntax, "nothing may follow the `}` that ends a block")
        .at(at, "")
        .help("begin a new line")
}

/// A part of the language that is not built yet.
pub fn not_built(what: &str, will: &str, at: Span) -> Diagnostic {
    Diagnostic::new(Code::NotBuiltYet, format!("{what} not built yet"))
        .at(at, "")
        .note(format!(
            "{} will {will}",
            if what.ends_with("are") { "they" } else { "it" }
        ))
}
