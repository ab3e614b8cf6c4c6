//! Messages of the checker: R02xx and R04xx.
//!
//! Invariant: shapes are spelled in the user's own names, and a declared name is shown where it is declared.

use crate::base::{Code, Diagnostic, Span};

/// An operand of a message.
pub struct Operand {
    /// Where it stands.
    pub span: Span,
    /// As written.
    pub text: String,
    /// Its type in words.
    pub ty: String,
    /// The name it comes from and where that is declared.
    pub declared: Option<(String, Span)>,
}

/// Labels the operands with their types, and the names in them with their declarations.
fn with_operands(mut d: Diagnostic, operands: &[&Operand]) -> Diagnostic {
    for o in operands {
        d = d.at(o.span, o.ty.clone());
    }
    let mut seen: Vec<Span> = vec![];
    for (name, span) in operands.iter().filter_map(|o| o.declared.as_ref()) {
        if !seen.contains(span) && !operands.iter().any(|o| o.span == *span) {
            seen.push(*span);
            d = d.at(*span, format!("`{name}` is declared here"));
        }
    }
    d
}

/// A name that means nothing here.
pub fn unknown_name(name: &str, at: Span, suggestion: Option<&str>) -> Diagnostic {
    let d = Diagnostic::new(Code::UnknownName, format!("`{name}` is not known here")).at(at, "unknown name");
    match suggestion {
        Some(s) => d.help_edit(format!("did you mean `{s}`?"), at, s),
        None => d,
    }
}

/// A name of a step that is used above its line, or behind the block that it stands in.
pub fn named_elsewhere(name: &str, at: Span, declared: Span) -> Diagnostic {
    let d = Diagnostic::new(Code::UnknownName, format!("`{name}` is not known here"));
    if declared.start > at.start {
        d.at(at, "used here")
            .at(declared, "named below")
            .help("lines run from top to bottom: move that line above this one")
    } else {
        d.at(at, "behind the block")
            .at(declared, "named in a block, and known up to its end")
            .help(format!(
                "name it above the block, `let {name} = …`, and change it inside: `{name} <- …`"
            ))
    }
}

/// A function that does not exist.
pub fn unknown_function(name: &str, at: Span, suggestion: Option<&str>) -> Diagnostic {
    let d = Diagnostic::new(Code::UnknownName, format!("there is no function `{name}`")).at(at, "unknown name");
    match suggestion {
        Some(s) => d.help_edit(format!("did you mean `{s}`?"), at, s),
        None => d,
    }
}

/// A second declaration.
pub fn duplicate(name: &str, at: Span, first: Span, word: &str) -> Diagnostic {
    Diagnostic::new(Code::DuplicateName, format!("`{name}` is declared twice"))
        .at(at, "again here")
        .at(
            first,
            if word == "declared" {
                "first here".to_string()
            } else {
                format!("{word} since here")
            },
        )
        .help("choose another name; there is one namespace, so that a name means one thing")
}

/// A mismatch of kinds.
pub fn wrong_type(expected: &str, found: &str, at: Span) -> Diagnostic {
    Diagnostic::new(Code::WrongType, format!("{expected} is expected, found {found}")).at(at, found)
}

/// A value of another type than declared.
pub fn declared_otherwise(name: &str, declared: &str, found: &str, at: Span, name_at: Span) -> Diagnostic {
    Diagnostic::new(
        Code::WrongType,
        format!("`{name}` is declared as {declared}, and its value is {found}"),
    )
    .at(at, found)
    .at(name_at, "declared here")
}

/// Entrywise combination of arrays over different sets.
pub fn no_broadcast(op: &str, left: &Operand, right: &Operand, example: Option<String>) -> Diagnostic {
    let d = Diagnostic::new(
        Code::NoBroadcast,
        format!(
            "`{op}` combines `{}` with `{}` entry by entry, and they are over different sets",
            left.text, right.text
        ),
    );
    let d = with_operands(d, &[left, right]);
    match example {
        Some(e) => d.help(format!("to combine every entry with every other, say so: `{e}`")),
        None => d.help("if two sizes are one, give them one name; to combine over two sets, write a comprehension `[i in I, j in J] …`"),
    }
}

/// A block of an `each` beside something of the whole point; `only` is its one name, if it has one.
pub fn part_of_point(
    op: &str,
    (left, right): (&Operand, &Operand),
    block: &str,
    only: Option<(&str, Span)>,
) -> Diagnostic {
    let d = Diagnostic::new(
        Code::NoBroadcast,
        format!(
            "`{op}` combines one variable with the whole point: `{}` and `{}`",
            left.text, right.text
        ),
    );
    let d = with_operands(d, &[left, right]);
    match only {
        Some((name, at)) => d.help_edit(
            format!("the part of `{name}` that belongs to `{block}` is `{name}.{block}`"),
            at,
            format!("{name}.{block}"),
        ),
        None => d.help(format!(
            "the part of a point `g` that belongs to `{block}` is `g.{block}`"
        )),
    }
}

/// A product whose inner dimensions differ.
pub fn shape_mismatch(message: String, operands: &[&Operand], help: Option<String>) -> Diagnostic {
    let d = with_operands(Diagnostic::new(Code::ShapeMismatch, message), operands);
    match help {
        Some(h) => d.help(h),
        None => d,
    }
}

/// What a state of one shape takes where a number for all of its entries is meant.
pub fn same_number_everywhere(name: &str) -> String {
    match name {
        "x" => "a state keeps its shape; a number `v` for all entries is `v*ones(x)`".into(),
        _ => format!("it keeps its shape; a number `v` for all entries is `v + 0*{name}`"),
    }
}

/// `u*v` for vectors.
pub fn vector_times_vector(left: &Operand, right: &Operand, whole: Span) -> Diagnostic {
    let (u, v) = (&left.text, &right.text);
    let d = Diagnostic::new(
        Code::VectorTimesVector,
        format!("`{u}*{v}`: a vector times a vector could be three things"),
    );
    with_operands(d, &[left, right])
        .help_edit(format!("a number: `dot({u}, {v})`"), whole, format!("dot({u}, {v})"))
        .help_edit(format!("entry by entry: `{u}.*{v}`"), whole, format!("{u}.*{v}"))
        .help_edit(
            format!("a matrix: `outer({u}, {v})`"),
            whole,
            format!("outer({u}, {v})"),
        )
}

/// Another number of subscripts.
pub fn index_count(base: &Operand, given: usize, dims: usize, at: Span) -> Diagnostic {
    let s = |n: usize| {
        if n == 1 {
            "1 dimension".to_string()
        } else {
            format!("{n} dimensions")
        }
    };
    let message = if dims == 0 {
        format!("`{}` is {}: it has no entries to index", base.text, base.ty)
    } else {
        let i = if given == 1 { "1 index" } else { "indices" };
        let i = if given == 1 {
            i.to_string()
        } else {
            format!("{given} {i}")
        };
        format!(
            "`{}` has {}, and {i} {} given",
            base.text,
            s(dims),
            if given == 1 { "is" } else { "are" }
        )
    };
    let mut d = Diagnostic::new(Code::WrongIndexCount, message).at(at, "");
    if let Some((name, span)) = &base.declared {
        d = d.at(*span, format!("`{name}` is {}", base.ty));
    }
    if dims > given && dims > 0 {
        d.help("a whole dimension is written `:`")
    } else {
        d
    }
}

/// Subscripts in another order.
pub fn swapped(base: &Operand, at: Span, given: &str, wanted: &str, fixed: String) -> Diagnostic {
    let mut d = Diagnostic::new(
        Code::SwappedIndices,
        format!(
            "the indices of `{}` range over [{given}], its dimensions are [{wanted}]",
            base.text
        ),
    )
    .at(at, "another order");
    if let Some((name, span)) = &base.declared {
        d = d.at(*span, format!("`{name}` is {}", base.ty));
    }
    d.help_edit(format!("in the order of the dimensions: `{fixed}`"), at, fixed)
}

/// A subscript from another set.
pub fn wrong_set(base: &Operand, found: &str, wanted: &str, at: Span, declared: &[(String, Span)]) -> Diagnostic {
    let mut d = Diagnostic::new(
        Code::WrongIndexSet,
        format!(
            "this dimension of `{}` is over {wanted}, and the index is {found}",
            base.text
        ),
    )
    .at(at, found);
    if let Some((name, span)) = &base.declared {
        d = d.at(*span, format!("`{name}` is {}", base.ty));
    }
    for (name, span) in declared {
        d = d.at(*span, format!("`{name}` is bound here"));
    }
    match declared {
        [(name, _)] => d.help(format!("let the index range over it: `{name} in {wanted}`")),
        _ => d,
    }
}

/// A subscript that is outside whatever the data.
pub fn out_of_range(base: &str, index: &str, reaches: &str, dim: &str, at: Span) -> Diagnostic {
    Diagnostic::new(
        Code::IndexOutOfRange,
        format!("`{index}` reaches {reaches}, and this dimension of `{base}` is {dim}"),
    )
    .at(at, "outside")
    .help("let the index range over fewer elements, or add a condition after `if`")
}

/// A strict inequality in a constraint or a bound.
pub fn strict(op: &str, at: Span) -> Diagnostic {
    Diagnostic::new(
        Code::StrictInequality,
        format!("`{op}` in a constraint: a least value over an open set need not be attained"),
    )
    .at(at, "strict")
    .help_edit(format!("write `{op}=`"), at, format!("{op}="))
}

/// A problem without objective and constraints.
pub fn nothing_to_solve(problem: &str, at: Span) -> Diagnostic {
    Diagnostic::new(
        Code::NoObjective,
        format!("{problem} has neither an objective nor a constraint: every point is an answer"),
    )
    .at(at, "nothing to solve")
    .help("say what is wanted: `minimize …`, `maximize …`, or constraints after `subject to`")
}

/// `x = 3` for something that is not a parameter.
pub fn bare_assignment(
    name: &str,
    at: Span,
    equals: Option<Span>,
    word: Option<&str>,
    declared: Option<Span>,
    near: Option<&str>,
) -> Diagnostic {
    let message = match word {
        Some(w) => format!("`{name}` is {w}: `=` gives a new value to a `param` only"),
        None => format!("`=` to `{name}`, which is not declared"),
    };
    let mut d = Diagnostic::new(Code::BareAssignment, message).at(at, "");
    if let Some(s) = declared {
        d = d.at(s, "declared here");
    }
    if let Some(n) = near {
        d = d.help_edit(format!("did you mean the parameter `{n}`?"), at, n);
    }
    if let Some(e) = equals {
        d = d.help_edit("an equation is written `==`", e, "==");
    }
    if word.is_none() {
        let begin = Span { end: at.start, ..at };
        d = d.help_edit(format!("a new name is declared: `let {name} = …`"), begin, "let ");
    }
    d
}

/// No form of a function fits.
pub fn no_overload(name: &str, found: &[String], forms: &[String], at: Span) -> Diagnostic {
    let mut d =
        Diagnostic::new(Code::NoOverload, format!("no form of `{name}` takes {}", list(found))).at(at, "called here");
    for f in forms {
        d = d.note(format!("`{name}{f}`"));
    }
    d
}

/// Another number of arguments.
pub fn arity(name: &str, expected: &str, given: usize, at: Span, declared: Option<Span>) -> Diagnostic {
    let d = Diagnostic::new(
        Code::WrongArity,
        format!(
            "`{name}` takes {expected}, {given} {} given",
            if given == 1 { "is" } else { "are" }
        ),
    )
    .at(at, "called here");
    match declared {
        Some(s) => d.at(s, "declared here"),
        None => d,
    }
}

/// Words joined by commas and `and`.
pub fn list(items: &[String]) -> String {
    match items {
        [] => "nothing".into(),
        [one] => one.clone(),
        [init @ .., last] => format!("{} and {last}", init.join(", ")),
    }
}

/// An index outside its body.
pub fn index_behind_body(name: &str, at: Span, bound: Span, whole: &str) -> Diagnostic {
    Diagnostic::new(
        Code::BoundName,
        format!("the index `{name}` is used behind the end of its body"),
    )
    .at(at, "not bound here")
    .at(bound, "the body of this ends before the `+`, `-` or comparison")
    .help(format!("put the whole body into parentheses: `{whole}`"))
}

/// An index with the name of something else.
pub fn index_shadows(name: &str, at: Span, first: Span, word: &str) -> Diagnostic {
    Diagnostic::new(Code::BoundName, format!("the index `{name}` has the name of {word}"))
        .at(at, "bound here")
        .at(first, "declared here")
        .help("choose another name for the index: a name means one thing")
}

/// A field that does not exist.
pub fn unknown_field(of: &str, name: &str, at: Span, suggestion: Option<&str>, fields: &str) -> Diagnostic {
    let d = Diagnostic::new(Code::UnknownField, format!("{of} has no `{name}`")).at(at, "no such field");
    let d = match suggestion {
        Some(s) => d.help_edit(format!("did you mean `{s}`?"), at, s),
        None => d,
    };
    d.note(format!("it has {fields}"))
}

/// A definition in terms of itself.
pub fn recursion(name: &str, at: Span, declared: Span) -> Diagnostic {
    Diagnostic::new(Code::Recursion, format!("`{name}` is defined by itself"))
        .at(at, "used here")
        .at(declared, "inside its own definition")
        .help("there is no recursion; a sum or a comprehension says repetition")
}
