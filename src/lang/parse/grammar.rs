//! The generated parser and what its failures mean in words.
//!
//! Invariant: no rule name of the grammar reaches a user.
#![allow(
    missing_docs,
    reason = "the derive makes an enum of rules; grammar/ravine.pest documents them"
)]

use pest_derive::Parser;

/// The parser of one statement.
#[derive(Parser)]
#[grammar = "../grammar/ravine.pest"]
pub struct Grammar;

/// What a rule looks like to the user; empty for those that are not worth naming.
fn words(rule: Rule) -> &'static str {
    match rule {
        Rule::name | Rule::binder_names => "a name",
        Rule::word => "a name",
        Rule::operand | Rule::expr | Rule::tight | Rule::row | Rule::entry | Rule::number | Rule::text => {
            "an expression"
        }
        Rule::type_expr => "a type",
        Rule::colon | Rule::label => "`:`",
        Rule::eq => "`=`",
        Rule::arrow => "`->`",
        Rule::kw_then => "`then`",
        Rule::kw_else => "`else`",
        Rule::kw_to => "`to`",
        Rule::kw_if | Rule::condition => "`if`",
        Rule::op_in => "`in`",
        Rule::formals => "`(`",
        Rule::time_unit => "`seconds`, `minutes` or `hours`",
        Rule::count_unit => "`steps`, `evaluations` or `epochs`",
        Rule::part | Rule::stage | Rule::stages => "the name of a method",
        Rule::op_update => "`<-`",
        Rule::kw_when => "`when`",
        Rule::kw_of => "`of`",
        Rule::side => "`gradient` or `update`",
        Rule::kw_break => "`break when`",
        Rule::start => "`name = value`",
        Rule::op_add => "an operator",
        Rule::problem_ref | Rule::target => "the name of a problem",
        Rule::EOI => "the end of the line",
        _ => "",
    }
}

/// The rules that would have gone on, as a phrase.
pub fn expected(positives: &[Rule]) -> String {
    let mut parts: Vec<&str> = vec![];
    for &r in positives {
        let w = words(r);
        if !w.is_empty() && !parts.contains(&w) {
            parts.push(w);
        }
    }
    // An expression subsumes a name; where an operator would do, almost anything would.
    if parts.contains(&"an expression") {
        parts.retain(|p| !matches!(*p, "a name" | "`if`"));
    }
    if parts.len() > 4 {
        parts.retain(|p| *p != "the end of the line" && *p != "`if`");
    }
    match parts.as_slice() {
        [] => String::new(),
        [one] => (*one).to_string(),
        [init @ .., last] => format!("{} or {last}", init.join(", ")),
    }
}

/// Would an operand have been read at the place of the failure?
pub fn wants_operand(positives: &[Rule]) -> bool {
    positives
        .iter()
        .any(|r| matches!(r, Rule::operand | Rule::expr | Rule::tight | Rule::number | Rule::text))
}

/// Would a name have been read at the place of the failure?
pub fn wants_name(positives: &[Rule]) -> bool {
    wants_operand(positives) || positives.iter().any(|r| matches!(r, Rule::name | Rule::binder_names))
}
