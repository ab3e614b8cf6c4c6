//! Expressions as text, for messages.
//!
//! Invariant: what is shown of a well-formed expression parses to an equal tree.

use std::fmt::Write;

use super::{Arg, BinaryOp, Binders, CompareOp, Expr, ExprKind, Subscript, TypeExpr, UnaryOp};

/// Levels of the precedence table, from loosest to tightest.
mod level {
    pub const OPEN: u8 = 0;
    pub const OR: u8 = 1;
    pub const AND: u8 = 2;
    pub const NOT: u8 = 3;
    pub const COMPARE: u8 = 4;
    pub const RANGE: u8 = 5;
    pub const SUM: u8 = 6;
    pub const PRODUCT: u8 = 7;
    pub const NEG: u8 = 8;
    pub const POWER: u8 = 9;
    pub const POSTFIX: u8 = 10;
}

/// The expression as the user would write it, on one line.
pub fn show(expr: &Expr) -> String {
    let mut out = String::new();
    write_at(&mut out, expr, level::OPEN);
    out
}

/// A type as the user would write it.
pub fn show_type(ty: &TypeExpr) -> String {
    let mut out = ty.name.text.clone();
    if !ty.dims.is_empty() {
        out.push('[');
        list(&mut out, &ty.dims);
        out.push(']');
    }
    out
}

fn chain_level(op: BinaryOp) -> u8 {
    match op {
        BinaryOp::Or => level::OR,
        BinaryOp::And => level::AND,
        BinaryOp::Add | BinaryOp::Sub => level::SUM,
        BinaryOp::Pow | BinaryOp::ElemPow => level::POWER,
        _ => level::PRODUCT,
    }
}

fn own_level(expr: &Expr) -> u8 {
    match &expr.kind {
        ExprKind::If { .. } | ExprKind::Lambda { .. } => level::OPEN,
        ExprKind::Chain { rest, .. } => rest.first().map_or(level::POSTFIX, |l| chain_level(l.op)),
        ExprKind::Unary { op: UnaryOp::Not, .. } => level::NOT,
        ExprKind::Unary { op: UnaryOp::Neg, .. } => level::NEG,
        ExprKind::Compare { .. } => level::COMPARE,
        ExprKind::Range { .. } => level::RANGE,
        // A comprehension takes everything up to the end of a product: it may stand last in one, nowhere tighter.
        ExprKind::Comprehension { .. } | ExprKind::ArrayComprehension { .. } => level::PRODUCT,
        ExprKind::Power { .. } => level::POWER,
        ExprKind::Number { value, .. } if *value < 0.0 => level::NEG,
        _ => level::POSTFIX,
    }
}

fn write_at(out: &mut String, expr: &Expr, least: u8) {
    if own_level(expr) < least {
        out.push('(');
        write_bare(out, expr);
        out.push(')');
    } else {
        write_bare(out, expr);
    }
}

/// Does it begin with `name in`, which right after an opening bracket would begin binders?
fn begins_like_binder(e: &Expr) -> bool {
    match &e.kind {
        ExprKind::Compare { first, rest } => {
            first.as_name().is_some() && rest.first().is_some_and(|l| l.op == CompareOp::In)
        }
        ExprKind::Chain { first, rest } => {
            rest.first()
                .is_some_and(|l| matches!(l.op, BinaryOp::And | BinaryOp::Or))
                && begins_like_binder(first)
        }
        _ => false,
    }
}

/// The first expression after an opening bracket.
fn write_first(out: &mut String, e: &Expr) {
    let least = if begins_like_binder(e) {
        level::POSTFIX
    } else {
        level::OPEN
    };
    write_at(out, e, least);
}

fn list(out: &mut String, items: &[Expr]) {
    for (i, e) in items.iter().enumerate() {
        if i > 0 {
            out.push_str(", ");
            write_at(out, e, level::OPEN);
        } else {
            write_first(out, e);
        }
    }
}

fn args(out: &mut String, args: &[Arg]) {
    for (i, a) in args.iter().enumerate() {
        if i > 0 {
            out.push_str(", ");
        }
        if let Some(n) = &a.name {
            out.push_str(&n.text);
            out.push_str(": ");
        }
        if i == 0 && a.name.is_none() {
            write_first(out, &a.value);
        } else {
            write_at(out, &a.value, level::OPEN);
        }
    }
}

fn binders(out: &mut String, b: &Binders) {
    for (i, item) in b.items.iter().enumerate() {
        if i > 0 {
            out.push_str(", ");
        }
        let names: Vec<&str> = item.names.iter().map(|n| n.text.as_str()).collect();
        match names.as_slice() {
            [one] => out.push_str(one),
            many => {
                let _ = write!(out, "({})", many.join(", "));
            }
        }
        out.push_str(" in ");
        write_at(out, &item.set, level::RANGE);
    }
    if let Some(c) = &b.condition {
        out.push_str(" if ");
        write_at(out, c, level::OPEN);
    }
}

/// A text literal with its escapes.
fn text(out: &mut String, t: &str) {
    out.push('"');
    for c in t.chars() {
        match c {
            '"' => out.push_str("\\\""),
            '\\' => out.push_str("\\\\"),
            '\n' => out.push_str("\\n"),
            '\t' => out.push_str("\\t"),
            c if c.is_control() => {
                let _ = write!(out, "\\u{{{:x}}}", c as u32);
            }
            c => out.push(c),
        }
    }
    out.push('"');
}

fn number(out: &mut String, value: f64, integer: bool) {
    let a = value.abs();
    let _ = if value.is_infinite() {
        write!(out, "{}inf", if value < 0.0 { "-" } else { "" })
    } else if integer || ((1e-4..1e7).contains(&a)) || a == 0.0 {
        let s = format!("{value}");
        if integer || s.contains('.') {
            write!(out, "{s}")
        } else {
            write!(out, "{s}.0")
        }
    } else {
        write!(out, "{value:e}")
    };
}

fn write_bare(out: &mut String, expr: &Expr) {
    match &expr.kind {
        ExprKind::Number { value, integer } => number(out, *value, *integer),
        ExprKind::Text(t) => text(out, t),
        ExprKind::Bool(b) => out.push_str(if *b { "true" } else { "false" }),
        ExprKind::Name(n) => out.push_str(n),
        ExprKind::Unary {
            op: UnaryOp::Neg,
            operand,
        } => {
            out.push('-');
            // `- -x` would be fine, `--x` reads badly.
            write_at(out, operand, level::POWER);
        }
        ExprKind::Unary {
            op: UnaryOp::Not,
            operand,
        } => {
            out.push_str("not ");
            write_at(out, operand, level::NOT);
        }
        ExprKind::Power { op, base, exponent, .. } => {
            write_at(out, base, level::POSTFIX);
            out.push_str(op.symbol());
            let bare = matches!(exponent.kind, ExprKind::Unary { op: UnaryOp::Neg, .. });
            write_at(out, exponent, if bare { level::NEG } else { level::POWER });
        }
        ExprKind::Chain { first, rest } => {
            let l = rest.first().map_or(level::OPEN, |l| chain_level(l.op));
            // A comprehension swallows the rest of a product, so it may stand bare only in the last place.
            let tight = if l == level::PRODUCT { level::NEG } else { l };
            write_at(out, first, tight);
            for (i, link) in rest.iter().enumerate() {
                match link.op {
                    BinaryOp::Mul | BinaryOp::Div | BinaryOp::ElemMul | BinaryOp::ElemDiv => {
                        out.push_str(link.op.symbol());
                    }
                    op => {
                        let _ = write!(out, " {} ", op.symbol());
                    }
                }
                let comprehension =
                    own_level(&link.operand) == level::PRODUCT && !matches!(link.operand.kind, ExprKind::Chain { .. });
                let last = i + 1 == rest.len();
                write_at(out, &link.operand, if comprehension && last { l } else { l + 1 });
            }
        }
        ExprKind::Compare { first, rest } => {
            write_at(out, first, level::RANGE);
            for link in rest {
                let _ = write!(out, " {} ", link.op.symbol());
                write_at(out, &link.operand, level::RANGE);
            }
        }
        ExprKind::Range { lo, hi } => {
            write_at(out, lo, level::SUM);
            out.push_str("..");
            write_at(out, hi, level::SUM);
        }
        ExprKind::Index { base, subscripts } => {
            write_at(out, base, level::POSTFIX);
            out.push('[');
            for (i, s) in subscripts.iter().enumerate() {
                if i > 0 {
                    out.push_str(", ");
                }
                match s {
                    Subscript::All(_) => out.push(':'),
                    Subscript::Range(e) | Subscript::At(e) if i == 0 => write_first(out, e),
                    Subscript::Range(e) | Subscript::At(e) => write_at(out, e, level::OPEN),
                }
            }
            out.push(']');
        }
        ExprKind::Call { callee, args: a } => {
            write_at(out, callee, level::POSTFIX);
            out.push('(');
            args(out, a);
            out.push(')');
        }
        ExprKind::Field { base, name } => {
            write_at(out, base, level::POSTFIX);
            out.push('.');
            out.push_str(&name.text);
        }
        ExprKind::Transpose(e) => {
            write_at(out, e, level::POSTFIX);
            out.push('\'');
        }
        ExprKind::If {
            condition,
            then,
            otherwise,
        } => {
            out.push_str("if ");
            write_at(out, condition, level::OR);
            out.push_str(" then ");
            write_at(out, then, level::OR);
            out.push_str(" else ");
            write_at(out, otherwise, level::OPEN);
        }
        ExprKind::Comprehension {
            op,
            binders: b,
            args: a,
            body,
        } => {
            out.push_str(&op.text);
            out.push('(');
            binders(out, b);
            if !a.is_empty() {
                out.push_str(", ");
                args(out, a);
            }
            out.push_str(") ");
            write_at(out, body, level::PRODUCT);
        }
        ExprKind::ArrayComprehension { binders: b, body } => {
            out.push('[');
            binders(out, b);
            out.push_str("] ");
            write_at(out, body, level::PRODUCT);
        }
        ExprKind::Vector(items) => {
            out.push('[');
            list(out, items);
            out.push(']');
        }
        ExprKind::Matrix(rows) => {
            out.push('[');
            for (i, r) in rows.iter().enumerate() {
                if i > 0 {
                    out.push_str("; ");
                }
                list(out, r);
            }
            out.push(']');
        }
        ExprKind::Set(items) => {
            out.push('{');
            list(out, items);
            out.push('}');
        }
        ExprKind::Subset(b) => {
            out.push('{');
            binders(out, b);
            out.push('}');
        }
        ExprKind::Labelled(entries) => {
            out.push('{');
            for (i, e) in entries.iter().enumerate() {
                if i > 0 {
                    out.push_str(", ");
                }
                if e.key.len() == 1 {
                    list(out, &e.key);
                } else {
                    out.push('(');
                    list(out, &e.key);
                    out.push(')');
                }
                out.push_str(": ");
                write_at(out, &e.value, level::OPEN);
            }
            out.push('}');
        }
        ExprKind::Interval { lo, hi } => {
            out.push('[');
            write_at(out, lo, level::OPEN);
            out.push_str(", ");
            write_at(out, hi, level::OPEN);
            out.push(']');
        }
        ExprKind::Cone { cone, arg } => {
            out.push_str(cone.word());
            if let Some(a) = arg {
                out.push('(');
                write_at(out, a, level::OPEN);
                out.push(')');
            }
        }
        ExprKind::Tuple(items) => {
            out.push('(');
            list(out, items);
            out.push(')');
        }
        ExprKind::Lambda { param, body } => {
            out.push_str(&param.text);
            out.push_str(" -> ");
            write_at(out, body, level::OPEN);
        }
        ExprKind::AllExcept(names) => {
            let names: Vec<&str> = names.iter().map(|n| n.text.as_str()).collect();
            let _ = match names.as_slice() {
                [one] => write!(out, "all except {one}"),
                many => write!(out, "all except ({})", many.join(", ")),
            };
        }
        ExprKind::Error => out.push('…'),
    }
}
