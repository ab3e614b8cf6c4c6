//! A problem as mathematics: LaTeX from the text as it was written.
//!
//! Invariant: every expression has a form; functions are written by their row's own template.

use crate::atoms;
use crate::ir::{Atom, AtomKind};
use crate::lang::syntax::{
    Arg, BinaryOp, Binders, Check, CompareOp, ConeName, Expr, ExprKind, Sense, Stmt, StmtKind, Subscript, TypeExpr,
    UnaryOp,
};

/// The statements of a problem as an `aligned` environment, without the marks of mathematics around it.
pub fn problem(body: &[Stmt]) -> String {
    let mut lines: Vec<[String; 3]> = vec![];
    let mut variables = vec![];
    let mut derived = vec![];
    let mut first = true;
    for s in body {
        match &s.kind {
            StmtKind::Objective(o) => {
                let word = match o.sense {
                    Sense::Minimize => r"\text{minimize}",
                    Sense::Maximize => r"\text{maximize}",
                    Sense::Saddle => r"\text{min max}",
                };
                let at = lines
                    .iter()
                    .take_while(|l| l[0].contains("mize") || l[0].contains("min max"))
                    .count();
                lines.insert(at, [format!(r"{word}\quad"), expr(&o.expr), String::new()]);
            }
            StmtKind::SubjectTo(list) => {
                for c in list {
                    let lead = if first { r"\text{subject to}\quad" } else { "" };
                    first = false;
                    let over = c
                        .binders
                        .as_ref()
                        .map_or(String::new(), |b| format!(r"\forall\, {}", binders(b)));
                    lines.push([lead.into(), expr(&c.relation), over]);
                }
            }
            StmtKind::Var(v) => {
                let domain = format!("{} \\in {}", name(&v.name.text), space(&v.ty));
                let bounds = v.bounds.iter().map(|b| bound(&v.name.text, b));
                let all: Vec<String> = std::iter::once(domain).chain(bounds).collect();
                variables.push(all.join(r",\; "));
            }
            StmtKind::Let(l) => derived.push(format!("{} = {}", name(&l.name.text), expr(&l.value))),
            _ => {}
        }
    }
    for (word, list) in [(r"\text{over}\quad", variables), (r"\text{where}\quad", derived)] {
        for (k, text) in list.into_iter().enumerate() {
            lines.push([if k == 0 { word.into() } else { String::new() }, text, String::new()]);
        }
    }
    let rows: Vec<String> = lines
        .into_iter()
        .map(|[lead, formula, over]| match over.as_str() {
            "" => format!("{lead} & {formula}"),
            _ => format!(r"{lead} & {formula} && {over}"),
        })
        .collect();
    format!("\\begin{{aligned}}\n{}\n\\end{{aligned}}", rows.join(" \\\\\n"))
}

fn bound(variable: &str, c: &Check) -> String {
    format!("{} {} {}", name(variable), relation(c.op), expr(&c.value))
}

/// `\mathbb{R}^{m \times n}`.
fn space(t: &TypeExpr) -> String {
    let field = match t.name.text.as_str() {
        "Int" => r"\mathbb{Z}",
        "Bool" => r"\{0, 1\}",
        "Symmetric" => r"\mathbb{S}",
        _ => r"\mathbb{R}",
    };
    let dims: Vec<String> = t.dims.iter().map(expr).collect();
    match dims.is_empty() {
        true => field.into(),
        false => format!("{field}^{{{}}}", dims.join(r" \times ")),
    }
}

fn relation(op: CompareOp) -> &'static str {
    match op {
        CompareOp::Le => r"\le",
        CompareOp::Ge => r"\ge",
        CompareOp::Lt => "<",
        CompareOp::Gt => ">",
        CompareOp::Eq => "=",
        CompareOp::Ne => r"\ne",
        CompareOp::In => r"\in",
    }
}

const GREEK: &[(&str, &str)] = &[
    ("alpha", "α"),
    ("beta", "β"),
    ("gamma", "γ"),
    ("delta", "δ"),
    ("epsilon", "ε"),
    ("zeta", "ζ"),
    ("eta", "η"),
    ("theta", "θ"),
    ("iota", "ι"),
    ("kappa", "κ"),
    ("lambda", "λ"),
    ("mu", "μ"),
    ("nu", "ν"),
    ("xi", "ξ"),
    ("pi", "π"),
    ("rho", "ρ"),
    ("sigma", "σ"),
    ("tau", "τ"),
    ("phi", "φ"),
    ("chi", "χ"),
    ("psi", "ψ"),
    ("omega", "ω"),
    ("Gamma", "Γ"),
    ("Delta", "Δ"),
    ("Theta", "Θ"),
    ("Lambda", "Λ"),
    ("Xi", "Ξ"),
    ("Pi", "Π"),
    ("Sigma", "Σ"),
    ("Phi", "Φ"),
    ("Psi", "Ψ"),
    ("Omega", "Ω"),
];

/// A name: one letter in italics, a Greek letter as such, a word upright; `x_1` and `x1` with a subscript.
pub fn name(text: &str) -> String {
    if let Some((word, _)) = GREEK.iter().find(|(w, c)| *w == text || *c == text) {
        return format!("\\{word}");
    }
    if let Some((head, tail)) = text.split_once('_')
        && !head.is_empty()
        && !tail.is_empty()
    {
        return format!("{}_{{{}}}", name(head), escaped(tail));
    }
    let head = text.trim_end_matches(|c: char| c.is_ascii_digit());
    if head.chars().count() == 1 && head.len() < text.len() {
        return format!("{}_{{{}}}", name(head), &text[head.len()..]);
    }
    if text.chars().count() == 1 && text.is_ascii() {
        return escaped(text);
    }
    format!("\\mathrm{{{}}}", escaped(text))
}

/// Text with what LaTeX would read as markup escaped.
fn escaped(text: &str) -> String {
    let mut out = String::new();
    for c in text.chars() {
        match c {
            '\\' => out.push_str(r"\backslash "),
            '{' | '}' | '_' | '$' | '%' | '&' | '#' => {
                out.push('\\');
                out.push(c);
            }
            '^' | '~' => {
                out.push('\\');
                out.push(c);
                out.push_str("{}");
            }
            c => out.push(c),
        }
    }
    out
}

fn binders(b: &Binders) -> String {
    let mut parts: Vec<String> = b
        .items
        .iter()
        .map(|i| {
            let names: Vec<String> = i.names.iter().map(|n| name(&n.text)).collect();
            let names = if names.len() == 1 {
                names.join("")
            } else {
                format!("({})", names.join(", "))
            };
            format!("{names} \\in {}", expr(&i.set))
        })
        .collect();
    parts.extend(b.condition.as_ref().map(|c| expr(c)));
    parts.join(r",\, ")
}

/// How tightly an expression holds together.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Tight {
    Loose,
    Sum,
    Product,
    Power,
    Whole,
}

fn tightness(e: &Expr) -> Tight {
    match &e.kind {
        // It begins with its sign.
        ExprKind::Chain { first, rest } => match rest.first().map(|l| l.op) {
            _ if matches!(first.kind, ExprKind::Unary { op: UnaryOp::Neg, .. }) => Tight::Sum,
            Some(BinaryOp::Add | BinaryOp::Sub) => Tight::Sum,
            Some(BinaryOp::And | BinaryOp::Or) | None => Tight::Loose,
            // A fraction stands by itself.
            _ if rest.iter().all(|l| l.op == BinaryOp::Div) => Tight::Whole,
            _ => Tight::Product,
        },
        ExprKind::Unary { op: UnaryOp::Neg, .. } => Tight::Sum,
        ExprKind::Compare { .. } | ExprKind::Unary { .. } | ExprKind::Lambda { .. } | ExprKind::Range { .. } => {
            Tight::Loose
        }
        ExprKind::Comprehension { .. } => Tight::Sum,
        ExprKind::Power { .. } | ExprKind::Transpose(_) => Tight::Power,
        ExprKind::Call { .. } => Tight::Product,
        _ => Tight::Whole,
    }
}

/// In parentheses unless it holds together at least so tightly.
fn at_least(e: &Expr, need: Tight) -> String {
    match tightness(e) >= need {
        true => expr(e),
        false => parenthesized(&expr(e)),
    }
}

fn parenthesized(text: &str) -> String {
    format!(r"\left({text}\right)")
}

/// An expression.
pub fn expr(e: &Expr) -> String {
    match &e.kind {
        ExprKind::Number { value, .. } if value.is_infinite() => r"\infty".into(),
        ExprKind::Number { value, .. } => number(*value),
        ExprKind::Text(t) => format!("\\text{{{}}}", escaped(t)),
        ExprKind::Bool(b) => format!("\\text{{{b}}}"),
        ExprKind::Name(n) => name(n),
        ExprKind::Unary { op, operand } => match op {
            UnaryOp::Neg => format!("-{}", at_least(operand, Tight::Product)),
            UnaryOp::Not => format!("\\lnot {}", at_least(operand, Tight::Power)),
        },
        ExprKind::Power { op, base, exponent, .. } => {
            let circ = if *op == BinaryOp::ElemPow { r"\circ " } else { "" };
            format!("{}^{{{circ}{}}}", at_least(base, Tight::Whole), expr(exponent))
        }
        ExprKind::Chain { first, rest } => chain(first, rest),
        ExprKind::Compare { first, rest } => {
            let mut out = at_least(first, Tight::Sum);
            for l in rest {
                out += &format!(" {} {}", relation(l.op), expr(&l.operand));
            }
            out
        }
        ExprKind::Range { lo, hi } => format!(r"\{{{}, \dots, {}\}}", expr(lo), expr(hi)),
        ExprKind::Interval { lo, hi } => format!(r"\left[{}, {}\right]", expr(lo), expr(hi)),
        ExprKind::Index { base, subscripts } => {
            let at: Vec<String> = subscripts
                .iter()
                .map(|s| match s {
                    Subscript::All(_) => ":".into(),
                    Subscript::Range(r) => match &r.kind {
                        ExprKind::Range { lo, hi } => format!("{}:{}", expr(lo), expr(hi)),
                        _ => expr(r),
                    },
                    Subscript::At(e) => expr(e),
                })
                .collect();
            let base = at_least(base, Tight::Whole);
            // A second subscript needs a group around the first.
            let base = if base.contains('_') {
                format!("{{{base}}}")
            } else {
                base
            };
            format!("{base}_{{{}}}", at.join(", "))
        }
        ExprKind::Call { callee, args } => call(callee, args),
        ExprKind::Field { base, name: field } => format!("{}.{}", expr(base), name(&field.text)),
        ExprKind::Transpose(x) => format!(r"{}^\top", at_least(x, Tight::Whole)),
        ExprKind::If {
            condition,
            then,
            otherwise,
        } => format!(
            r"\begin{{cases}} {} & \text{{if }} {} \\ {} & \text{{else}} \end{{cases}}",
            expr(then),
            expr(condition),
            expr(otherwise)
        ),
        ExprKind::Comprehension {
            op, binders: b, body, ..
        } => {
            let sign = match op.text.as_str() {
                "sum" => r"\sum".to_string(),
                "prod" => r"\prod".to_string(),
                "max" => r"\max".to_string(),
                "min" => r"\min".to_string(),
                other => format!(r"\operatorname*{{{}}}", escaped(other)),
            };
            format!("{sign}_{{{}}} {}", binders(b), at_least(body, Tight::Product))
        }
        ExprKind::ArrayComprehension { binders: b, body } => {
            format!(r"\left[{}\right]_{{{}}}", expr(body), binders(b))
        }
        ExprKind::Vector(items) => {
            let items: Vec<String> = items.iter().map(expr).collect();
            format!(r"\begin{{bmatrix}} {} \end{{bmatrix}}", items.join(r" \\ "))
        }
        ExprKind::Matrix(rows) => {
            let rows: Vec<String> = rows
                .iter()
                .map(|r| r.iter().map(expr).collect::<Vec<_>>().join(" & "))
                .collect();
            format!(r"\begin{{bmatrix}} {} \end{{bmatrix}}", rows.join(r" \\ "))
        }
        ExprKind::Set(items) => {
            let items: Vec<String> = items.iter().map(expr).collect();
            format!(r"\{{{}\}}", items.join(", "))
        }
        ExprKind::Cone { cone, arg } => match (cone, arg) {
            (ConeName::Psd, _) => r"\mathbb{S}_+".into(),
            (ConeName::Exp, _) => r"\mathcal{K}_{\exp}".into(),
            (ConeName::Pow, Some(a)) => format!(r"\mathcal{{P}}_{{{}}}", expr(a)),
            (ConeName::Ball, Some(a)) => format!(r"\mathcal{{B}}\left({}\right)", expr(a)),
            (ConeName::Simplex, _) => r"\Delta".into(),
            (c, None) => c.word().into(),
        },
        ExprKind::Tuple(items) => {
            let items: Vec<String> = items.iter().map(expr).collect();
            format!("({})", items.join(", "))
        }
        ExprKind::Subset(b) => format!(r"\{{{}\}}", binders(b)),
        ExprKind::Labelled(entries) => {
            let entries: Vec<String> = entries
                .iter()
                .map(|x| {
                    let key: Vec<String> = x.key.iter().map(expr).collect();
                    format!(r"{} \mapsto {}", key.join(", "), expr(&x.value))
                })
                .collect();
            format!(r"\{{{}\}}", entries.join(", "))
        }
        ExprKind::Lambda { param, body } => format!(r"{} \mapsto {}", name(&param.text), expr(body)),
        ExprKind::AllExcept(_) | ExprKind::Error => r"\dots".into(),
    }
}

/// `1.5 \cdot 10^{-3}` where it has an exponent.
fn number(v: f64) -> String {
    let text = format!("{v}");
    if text.len() <= 7 {
        return text;
    }
    let short = format!("{v:e}");
    match short.split_once('e') {
        Some(("1", e)) => format!("10^{{{e}}}"),
        Some((m, e)) if e != "0" => format!(r"{m} \cdot 10^{{{e}}}"),
        _ => text,
    }
}

fn chain(first: &Expr, rest: &[crate::lang::syntax::Link<BinaryOp>]) -> String {
    let sums = matches!(rest.first().map(|l| l.op), Some(BinaryOp::Add | BinaryOp::Sub));
    let logic = matches!(rest.first().map(|l| l.op), Some(BinaryOp::And | BinaryOp::Or));
    let mut out = match (sums, logic) {
        (true, _) => expr(first),
        (_, true) => at_least(first, Tight::Sum),
        _ if matches!(first.kind, ExprKind::Unary { op: UnaryOp::Neg, .. }) => expr(first),
        _ => at_least(first, Tight::Product),
    };
    let mut last = first;
    for l in rest {
        let right = |need| at_least(&l.operand, need);
        out = match l.op {
            BinaryOp::Add => format!("{out} + {}", right(Tight::Sum)),
            BinaryOp::Sub => format!("{out} - {}", right(Tight::Product)),
            BinaryOp::Mul => {
                let digits = |e: &Expr| matches!(e.kind, ExprKind::Number { .. });
                let sign = if digits(&l.operand) || digits(last) && digits(&l.operand) {
                    r" \cdot "
                } else {
                    r" \, "
                };
                // The last factor may be a comprehension: its body ends with the product.
                format!("{out}{sign}{}", factor(&l.operand))
            }
            BinaryOp::Div => format!(r"\frac{{{out}}}{{{}}}", expr(&l.operand)),
            BinaryOp::Rem => format!(r"{out} \bmod {}", right(Tight::Power)),
            BinaryOp::IntDiv => format!(r"\left\lfloor \frac{{{out}}}{{{}}} \right\rfloor", expr(&l.operand)),
            BinaryOp::ElemMul => format!(r"{out} \odot {}", factor(&l.operand)),
            BinaryOp::ElemDiv => format!(r"{out} \oslash {}", right(Tight::Power)),
            BinaryOp::Solve => format!(r"{}^{{-1}} {}", parenthesized_unless_short(&out), right(Tight::Power)),
            BinaryOp::And => format!(r"{out} \land {}", right(Tight::Sum)),
            BinaryOp::Or => format!(r"{out} \lor {}", right(Tight::Sum)),
            BinaryOp::Pow | BinaryOp::ElemPow => format!("{out}^{{{}}}", expr(&l.operand)),
        };
        last = &l.operand;
    }
    out
}

fn factor(e: &Expr) -> String {
    match &e.kind {
        ExprKind::Comprehension { .. } => expr(e),
        _ => at_least(e, Tight::Product),
    }
}

fn parenthesized_unless_short(text: &str) -> String {
    match text.chars().all(char::is_alphanumeric) {
        true => text.to_string(),
        false => parenthesized(text),
    }
}

/// A call: by the template of the row that takes so many arguments, or as a function of the user's.
fn call(callee: &Expr, args: &[Arg]) -> String {
    let row = callee.as_name().and_then(|n| row_of(n, args.len()));
    if let Some(row) = row {
        return filled(row.latex, args);
    }
    // Functions of the language that are no rows.
    match (callee.as_name(), args) {
        (Some("dot"), [_, _]) => return filled(r"#1^\top #2", args),
        (Some("ones"), _) => return r"\mathbf{1}".into(),
        (Some("zeros"), _) => return r"\mathbf{0}".into(),
        (Some("eye"), _) => return "I".into(),
        (Some("length"), [_]) => return filled(r"\left| #1 \right|", args),
        _ => {}
    }
    let list: Vec<String> = args.iter().map(|a| expr(&a.value)).collect();
    let function = match callee.as_name() {
        Some(n) if n.chars().count() > 1 => format!("\\operatorname{{{}}}", escaped(n)),
        _ => expr(callee),
    };
    format!(r"{function}\left({}\right)", list.join(", "))
}

fn row_of(name: &str, arguments: usize) -> Option<&'static Atom> {
    let fits = |a: &&Atom| a.name == name && atoms::arity(a).is_none_or(|n| n == arguments);
    let mut rows = atoms::all().filter(fits);
    let first = rows.next()?;
    // `max(v)` reduces.
    let reduces = |a: &&'static Atom| a.kind == AtomKind::Reduction;
    let reduction = std::iter::once(first).chain(rows).find(reduces);
    Some(reduction.filter(|_| arguments == 1).unwrap_or(first))
}

/// A template with its arguments, in parentheses where the template does not hold them together.
fn filled(template: &str, args: &[Arg]) -> String {
    let mut out = String::new();
    let mut rest = template;
    while let Some(at) = rest.find('#') {
        let before = &rest[..at];
        let digit = rest[at + 1..].chars().next().and_then(|c| c.to_digit(10));
        let Some(k) = digit.filter(|k| *k >= 1).map(|k| k as usize - 1) else {
            out.push_str(&rest[..=at]);
            rest = &rest[at + 1..];
            continue;
        };
        out.push_str(before);
        let after = &rest[at + 2..];
        let held = before.trim_end().ends_with(['(', '|', '{', '[', '&']) && !after.trim_start().starts_with("}^")
            || before.ends_with(r"\lfloor ")
            || before.ends_with(r"\lceil ");
        out.push_str(&match args.get(k) {
            Some(a) if held => expr(&a.value),
            Some(a) => at_least(&a.value, Tight::Power),
            None => String::new(),
        });
        rest = after;
    }
    out.push_str(rest);
    out
}
