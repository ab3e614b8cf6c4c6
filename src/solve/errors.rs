//! Diagnostics about `solve … with name(options)`.
//!
//! Invariant: each message names what was given, what would fit, and a way out.

use crate::base::diagnostic::did_you_mean;
use crate::base::{Code, Diagnostic, Diagnostics, Span};

use super::method::{MethodCard, OptionKind, OptionSpec, OptionValue, Refusal, Settings};
use super::methods;
use super::user_map::UserMap;

/// An option as the user gave it.
#[derive(Clone, Debug, PartialEq)]
pub enum Given {
    /// A number.
    Number(f64),
    /// A word.
    Word(String),
    /// A truth value.
    Truth(bool),
    /// A linear map, as it is written.
    Map(UserMap, String),
}

impl Given {
    fn show(&self) -> String {
        match self {
            Given::Number(v) => format!("{v}"),
            Given::Word(w) => format!("`{w}`"),
            Given::Truth(b) => format!("{b}"),
            Given::Map(_, text) => format!("`{text}`"),
        }
    }
}

/// R0701: no method of that name.
pub fn unknown_method(name: &str, span: Span) -> Diagnostic {
    let names = methods::CARDS
        .iter()
        .flat_map(|c| std::iter::once(c.name).chain(c.aliases.iter().copied()));
    let d = Diagnostic::new(Code::UnknownMethod, format!("no method is called `{name}`")).at(span, "not a method");
    match did_you_mean(name, names) {
        Some(near) => d.help_edit(format!("did you mean `{near}`?"), span, near),
        None => {
            let all: Vec<String> = methods::CARDS.iter().map(|c| format!("`{}`", c.name)).collect();
            d.note(format!("the methods are {}", all.join(", ")))
        }
    }
}

/// R0702: the method has no such option.
pub fn unknown_option(card: &MethodCard, name: &str, span: Span) -> Diagnostic {
    let d = Diagnostic::new(Code::BadOption, format!("`{}` has no option `{name}`", card.name))
        .at(span, "not an option of this method");
    if card.options.is_empty() {
        return d.note(format!("`{}` has no options", card.name));
    }
    match did_you_mean(name, card.options.iter().map(|o| o.name)) {
        Some(near) => d.help(format!("did you mean `{near}`?")),
        None => {
            let all: Vec<String> = card.options.iter().map(|o| format!("`{}`", o.name)).collect();
            d.note(format!("its options are {}", all.join(", ")))
        }
    }
}

/// R0702: the value does not fit the option.
pub fn bad_option_value(card: &MethodCard, option: &OptionSpec, given: &Given, span: Span) -> Diagnostic {
    Diagnostic::new(
        Code::BadOption,
        format!("option `{}` of `{}` cannot be {}", option.name, card.name, given.show()),
    )
    .at(span, format!("expected {}", describe(&option.kind)))
    .note(format!("{}: {}", option.name, option.doc))
}

/// R0702: the option is given twice.
pub fn repeated_option(card: &MethodCard, name: &str, span: Span) -> Diagnostic {
    Diagnostic::new(
        Code::BadOption,
        format!("option `{name}` of `{}` is given twice", card.name),
    )
    .at(span, "second value")
    .help("keep one of the two")
}

/// What an option takes, in words.
pub fn describe(kind: &OptionKind) -> String {
    match kind {
        OptionKind::Real { lo, open, hi, .. } => {
            let mut text = "a number".to_string();
            if *lo > f64::NEG_INFINITY {
                text += &format!(" {} {lo}", if *open { "above" } else { "of at least" });
            }
            if *hi < f64::INFINITY {
                text += &format!(" up to {hi}");
            }
            text
        }
        OptionKind::Count { lo, hi: u64::MAX, .. } => format!("a whole number of at least {lo}"),
        OptionKind::Count { lo, hi, .. } => format!("a whole number from {lo} to {hi}"),
        OptionKind::Choice(words) => {
            let all: Vec<String> = words.iter().map(|w| format!("`{w}`")).collect();
            format!("one of {}", all.join(", "))
        }
        OptionKind::Map(words) => format!(
            "{}, or a matrix, an operator, or a vector for a diagonal",
            describe(&OptionKind::Choice(words))
        ),
        OptionKind::Flag(_) => "`true` or `false`".to_string(),
    }
}

/// Checks the options given to a method against its card; each mistake is reported.
pub fn settle(card: &MethodCard, given: &[(String, Given, Span)]) -> Result<Settings, Diagnostics> {
    let mut settings = Settings::defaults(card);
    let mut seen: Vec<&str> = vec![];
    let mut errors = vec![];
    for (name, value, span) in given {
        let Some((slot, option)) = card.options.iter().enumerate().find(|(_, o)| o.name == name) else {
            errors.push(unknown_option(card, name, *span));
            continue;
        };
        if seen.contains(&name.as_str()) {
            errors.push(repeated_option(card, name, *span));
            continue;
        }
        seen.push(name);
        match fit(&option.kind, value) {
            Some(v) => settings.values[slot].1 = v,
            None => errors.push(bad_option_value(card, option, value, *span)),
        }
    }
    if errors.is_empty() { Ok(settings) } else { Err(errors) }
}

fn fit(kind: &OptionKind, given: &Given) -> Option<OptionValue> {
    match (kind, given) {
        (OptionKind::Real { lo, open, hi, .. }, Given::Number(v)) => {
            let above = if *open { v > lo } else { v >= lo };
            (above && v <= hi).then_some(OptionValue::Real(*v))
        }
        (OptionKind::Count { lo, hi, .. }, Given::Number(v)) => {
            // Whole and exactly representable, so that the conversion is exact.
            let whole = v.trunc() == *v && (0.0..9.0e15).contains(v);
            let k = *v as u64;
            (whole && k >= *lo && k <= *hi).then_some(OptionValue::Count(k))
        }
        (OptionKind::Map(_), Given::Map(m, _)) => Some(OptionValue::Map(m.clone())),
        (OptionKind::Choice(words) | OptionKind::Map(words), Given::Word(w)) => {
            words.iter().find(|x| *x == w).map(|x| OptionValue::Choice(x))
        }
        (OptionKind::Flag(_), Given::Truth(b)) => Some(OptionValue::Flag(*b)),
        _ => None,
    }
}

/// R0703, R0706 or R0801: a method refused to start on the problem called `problem`.
pub fn refused(card: &MethodCard, problem: &str, refusal: &Refusal, span: Span) -> Diagnostic {
    match refusal {
        Refusal::Class(class) => {
            let takes: Vec<&str> = card.accepts.iter().map(|c| c.word()).collect();
            Diagnostic::new(
                Code::MethodCannotTake,
                format!("`{}` cannot take `{problem}`: {}", card.name, class.word()),
            )
            .at(span, "not a method for this class")
            .note(format!("`{}` takes: {}", card.name, takes.join("; ")))
            .help("leave the choice to `solve`: drop the `with` clause")
        }
        Refusal::Needs(_) => Diagnostic::new(Code::MethodCannotTake, format!("`{}` {refusal}", card.name))
            .at(span, format!("asked for by `{problem}`"))
            .help("leave the choice to `solve`: drop the `with` clause"),
        Refusal::Start(why) => Diagnostic::new(Code::BadStart, why.clone()).at(span, "this start"),
        Refusal::Bounds(why) => Diagnostic::new(Code::BadStart, why.clone())
            .at(span, format!("`{problem}` has no feasible point"))
            .help("widen one of the two bounds"),
        Refusal::Fault(fault) => Diagnostic::new(Code::NotFinite, format!("at the start of `{problem}`, {fault}"))
            .at(span, "starts here")
            .help("start elsewhere with `from`, or bound the variables to where every function is defined"),
    }
}
