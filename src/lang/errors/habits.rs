//! Messages about what is written as other languages write it: R0101, R0201, R0216.
//!
//! Invariant: each says how the same is written here; where it offers an edit, the edit alone repairs the mistake.

use crate::base::{Code, Diagnostic, Span};

fn syntax(message: impl Into<String>, at: Span) -> Diagnostic {
    Diagnostic::new(Code::Syntax, message).at(at, "")
}

/// `x**2`, whose base may be a number or an array; in a step it is mostly an array.
pub fn power(at: Span, in_step: bool) -> Diagnostic {
    let d = syntax("a power is written `^`, and entry by entry `.^`", at);
    let number = |d: Diagnostic| d.help_edit("of a number: `^`", at, "^");
    let array = |d: Diagnostic| d.help_edit("of an array, entry by entry: `.^`", at, ".^");
    if in_step { number(array(d)) } else { array(number(d)) }
}

/// `// text`.
pub fn comment(at: Span, behind_operand: bool) -> Diagnostic {
    let d = syntax("`//` is no operator; a comment begins with `#`", at).help_edit("write `#`", at, "#");
    if behind_operand {
        d.help_edit("to divide integers, write `div`", at, "div")
    } else {
        d
    }
}

/// `if c:` and a line end; `head` is what stands before the `:`.
pub fn block_by_colon(head: &str, at: Span) -> Diagnostic {
    let d = syntax("a block stands in braces, not behind a `:`", at);
    match head.strip_prefix("def ") {
        Some(_) => d.help(function_form(head)),
        None if head.chars().count() <= 60 => d.help(format!("write `{head} {{ … }}`")),
        None => d.help("write `{ … }`"),
    }
}

/// `if c: g <- 0`; `line` is what stands behind the `:`, up to the end of `whole`.
pub fn line_by_colon(head: &str, line: &str, at: Span, whole: Span) -> Diagnostic {
    block_by_colon(head, at).help_edit("put what is done into braces", whole, format!(" {{ {line} }}"))
}

/// How a function is declared that is written `def f(x)`.
fn function_form(head: &str) -> String {
    let rest = head.split_once(' ').map_or("", |(_, r)| r);
    let (name, params) = rest.split_once('(').unwrap_or((rest, ""));
    let params: Vec<String> = params
        .trim_end_matches([')', ' '])
        .split(',')
        .map(str::trim)
        .filter(|p| !p.is_empty())
        .map(|p| {
            if p.contains(':') {
                p.to_string()
            } else {
                format!("{p}: Real")
            }
        })
        .collect();
    format!(
        "a function is written `fn {}({}) -> Real = …`",
        name.trim(),
        params.join(", ")
    )
}

/// `def f(x): return x`.
pub fn def(word: &str, head: &str, at: Span) -> Diagnostic {
    syntax(format!("no statement begins with `{word}`"), at).help(function_form(head))
}

/// `x += e`: what `form` writes in full, in the place of `whole`.
pub fn compound(op: &str, form: &str, at: Span, whole: Span, tail: String) -> Diagnostic {
    syntax(format!("there is no `{op}`"), at).help_edit(format!("write `{form}`"), whole, tail)
}

/// `print`, `return`, `break`, … in a step.
pub fn not_in_a_step(word: &str, rest: &str, at: Span) -> Option<Diagnostic> {
    let d = syntax(format!("no line of a step begins with `{word}`"), at);
    Some(match word {
        "print" => d.help("`record name = …` keeps a number of every step: `print s.trace.name` behind the solve"),
        "return" if rest.is_empty() => d.help("a step hands over by what it changes: `x <- …`"),
        "return" if rest.contains(',') => {
            d.help("a step hands over by what it changes: `x <- …`, and `v <- …` for its states")
        }
        "return" => d.help_edit("the new point is written `x <- …`", at, "x <-"),
        "break" => d.help("a loop ends by its condition, `while c { … }`; a run by `stop when c`"),
        "continue" => d.help("what is left out stands in an `if c { … }`"),
        "pass" => d.help("a block may be empty: `{ }`"),
        _ => return None,
    })
}

/// `optimizer o(lr = 0.1)`, `fn f(x)`: a parameter without its type; `behind` is the place behind its name.
pub fn untyped(name: &str, schedules: bool, at: Span, behind: Span) -> Diagnostic {
    let d = syntax(format!("the parameter `{name}` has no type"), at);
    let d = d.help_edit(format!("a number is `{name}: Real`"), behind, ": Real");
    if schedules {
        d.help(format!(
            "a number for every step, called as `{name}(t)`, is `{name}: Schedule`"
        ))
    } else {
        d
    }
}

/// `lambda t: e`.
pub fn lambda(name: &str, at: Span) -> Diagnostic {
    syntax(format!("a function of the step is written `{name} -> …`"), at).help_edit(
        format!("write `{name} ->`"),
        at,
        format!("{name} ->"),
    )
}

/// `a if c else b`; the edit writes the whole of it anew.
pub fn choice(at: Span, edit: Option<(Span, String)>) -> Diagnostic {
    let d = syntax("a choice begins with its condition: `if c then a else b`", at);
    match edit {
        Some((whole, text)) => d.help_edit(format!("write `{text}`"), whole, text),
        None => d,
    }
}

/// `v[1:2]`; `ends` are what stands before and behind the `:`.
pub fn slice(ends: (bool, bool), at: Span) -> Diagnostic {
    let d = syntax("a range is written `1..2`", at);
    match ends {
        (true, true) => d.help_edit("write `..`", at, ".."),
        (false, true) => d.help_edit("the first entry has the number 1", at, "1.."),
        _ => d.help("up to the last entry it is `2..n` or `2..length(v)`; all entries are `v[:]`"),
    }
}

/// `{ adam(), sgd() }`.
pub fn comma_between_methods(at: Span) -> Diagnostic {
    syntax("methods stand on lines of their own, or behind a `;`", at).help_edit("write `;`", at, ";")
}

/// `{ one = adam() }`; `behind` is what stands behind the label, up to the `=`.
pub fn label_by_equals(at: Span, behind: Span) -> Diagnostic {
    syntax("the label of a method ends with `:`", at).help_edit("write `:`", behind, ":")
}

/// `over 5 seeds`.
pub fn number_of_seeds(count: &str, at: Span) -> Diagnostic {
    syntax("seeds are a range or a list: `over seeds 1..5`", at).help_edit(
        format!("write `seeds 1..{count}`"),
        at,
        format!("seeds 1..{count}"),
    )
}

/// `plot f over x in 0..1`; the edit replaces the range.
pub fn interval(at: Span, edit: Option<(Span, String)>) -> Diagnostic {
    let d = syntax("an axis runs over an interval, such as `[0, 1]`", at);
    match edit {
        Some((range, text)) => d.help_edit(format!("write `{text}`"), range, text),
        None => d,
    }
}

/// `adam() for 3 steps` as an argument; `call` is what stands before the limit.
pub fn limit_in_argument(word: &str, call: &str, at: Span) -> Diagnostic {
    syntax(format!("`{word}` cannot stand in an argument"), at).help(format!(
        "name the stage before: `pipeline part() = {call} {word} …`, and give `part()`"
    ))
}

/// `x[1] <- e`, `x.w[1] <- e` of something that changes as a whole.
pub fn entry_of_whole(place: &str, of_point: bool, at: Span) -> Diagnostic {
    let d = Diagnostic::new(
        Code::BadStep,
        format!("`{place}` changes as a whole, not entry by entry"),
    )
    .at(at, "");
    if of_point {
        d.help("entries of one variable: `each X: Vector[n] in x { X <- [i in 1..n] (if i == 1 then … else X[i]) }`")
    } else {
        d.help(format!(
            "write all entries, `{place} <- [i in 1..n] (if i == 1 then … else {place}[i])`; a table changes one by one: `state {place} = table(n, 0)`"
        ))
    }
}

/// `range(3)`: `edit` is the same as a range of this language.
pub fn range_call(at: Span, edit: Option<String>) -> Diagnostic {
    let d = Diagnostic::new(Code::UnknownName, "a range is written `1..3`, both ends included").at(at, "");
    match edit {
        Some(text) => d.help_edit(format!("write `{text}`"), at, text),
        None => d,
    }
}

/// `X.T`; `at` is what stands behind the matrix.
pub fn transpose(matrix: &str, at: Span) -> Diagnostic {
    Diagnostic::new(Code::UnknownField, format!("the transpose is written `{matrix}'`"))
        .at(at, "no such field")
        .help_edit("write `'`", at, "'")
}

/// `0.1/t` where a schedule is wanted.
pub fn schedule_of(step: &str, at: Span, begin: Span) -> Diagnostic {
    Diagnostic::new(
        Code::UnknownName,
        format!("`{step}` is the step only in a function of it: `{step} -> …`"),
    )
    .at(at, format!("nothing is called `{step}` here"))
    .help_edit(
        format!("a schedule is written `{step} -> …`"),
        begin,
        format!("{step} -> "),
    )
}
