//! A node as a short formula in the user's names, for messages and derivations.
//!
//! Invariant: at most about [`WIDEST`] characters, whatever the node; for reading only, never parsed.

use super::build::Ir;
use super::node::{DomainId, IndexId, Node, NodeId, Pos};

/// Where a formula is cut.
pub const WIDEST: usize = 72;

/// The node as a formula, cut with `…` where it is long.
pub fn short(ir: &Ir, n: NodeId) -> String {
    let mut s = String::new();
    write(ir, n, 0, 0, &mut s);
    if s.chars().count() <= WIDEST {
        return s;
    }
    s.chars().take(WIDEST - 1).chain(['…']).collect()
}

fn strength(symbol: &str) -> Option<u8> {
    Some(match symbol {
        "or" => 1,
        "and" => 2,
        "<" | "<=" | ">" | ">=" | "==" | "!=" => 3,
        "+" | "-" => 4,
        "*" | "/" | "%" | "div" => 5,
        "^" => 7,
        _ => return None,
    })
}

fn write(ir: &Ir, n: NodeId, outer: u8, depth: usize, s: &mut String) {
    if depth > 40 || s.len() > 4 * WIDEST {
        s.push('…');
        return;
    }
    let inside = |m: NodeId, outer: u8, s: &mut String| write(ir, m, outer, depth + 1, s);
    match ir.node(n) {
        Node::Const(b) => s.push_str(&f64::from_bits(*b).to_string()),
        Node::Input(i) => s.push_str(&ir.input(*i).name),
        Node::Index(i) => s.push_str(&name(ir, *i)),
        Node::Apply { atom, args } => {
            let infix = atom
                .symbol
                .filter(|_| args.len() == 2)
                .and_then(|y| Some((y, strength(y)?)));
            // Arrays have no infix of their own; these are written like the numbers'.
            let infix = infix.or(match atom.0.name {
                "array_add" => Some(("+", 4)),
                "array_sub" => Some(("-", 4)),
                "array_scale" => Some(("*", 5)),
                _ => None,
            });
            match (infix, &**args) {
                (Some((symbol, own)), [a, b]) => {
                    let wrap = own < outer;
                    if wrap {
                        s.push('(');
                    }
                    let right = own + u8::from(matches!(symbol, "-" | "/" | "%" | "div"));
                    inside(*a, own + u8::from(symbol == "^"), s);
                    if own >= 5 {
                        s.push_str(symbol);
                    } else {
                        s.push_str(&format!(" {symbol} "));
                    }
                    inside(*b, right, s);
                    if wrap {
                        s.push(')');
                    }
                }
                (_, [a]) if atom.symbol == Some("-") => {
                    s.push('-');
                    inside(*a, 6, s);
                }
                (_, [a]) if atom.symbol == Some("'") => {
                    inside(*a, 8, s);
                    s.push('\'');
                }
                (_, [a]) if atom.0.name == "square" => {
                    inside(*a, 8, s);
                    s.push_str("^2");
                }
                _ => {
                    s.push_str(atom.0.name);
                    s.push('(');
                    for (k, a) in args.iter().enumerate() {
                        if k > 0 {
                            s.push_str(", ");
                        }
                        inside(*a, 0, s);
                    }
                    s.push(')');
                }
            }
        }
        Node::Gather { array, at } => {
            inside(*array, 8, s);
            s.push('[');
            for (k, p) in at.iter().enumerate() {
                if k > 0 {
                    s.push_str(", ");
                }
                position(ir, p, k, *array, depth, s);
            }
            s.push(']');
        }
        Node::Fold { atom, domain, body } => {
            s.push_str(atom.0.name);
            s.push('(');
            binder(ir, *domain, depth, s);
            s.push_str(") ");
            inside(*body, 5, s);
        }
        Node::Map { domain, body } => {
            s.push('[');
            binder(ir, *domain, depth, s);
            s.push_str("] ");
            inside(*body, 5, s);
        }
        Node::Scatter { body, .. } => {
            s.push_str("scatter(");
            inside(*body, 0, s);
            s.push(')');
        }
    }
}

fn binder(ir: &Ir, d: DomainId, depth: usize, s: &mut String) {
    let domain = ir.domain(d);
    for (k, i) in domain.indices.iter().enumerate() {
        if k > 0 {
            s.push_str(", ");
        }
        let index = ir.index(*i);
        s.push_str(&format!("{} in {}", name(ir, *i), index.set.describe()));
    }
    if let Some(f) = domain.filter {
        s.push_str(" if ");
        write(ir, f, 0, depth + 1, s);
    }
}

/// The name of an index; indices that lowering made are told apart from those of the same name around them.
fn name(ir: &Ir, i: IndexId) -> String {
    let index = ir.index(i);
    let above = ir.domain(index.domain).parent.map_or(vec![], |p| ir.chain(p));
    let mut around = above.iter().flat_map(|d| &ir.domain(*d).indices);
    if !around.any(|o| ir.index(*o).name == index.name) {
        return index.name.clone();
    }
    let depth: usize = above.iter().map(|d| ir.domain(*d).indices.len()).sum();
    let base = index.name.trim_end_matches(|c: char| c.is_ascii_digit());
    let own = ir
        .domain(index.domain)
        .indices
        .iter()
        .position(|o| *o == i)
        .unwrap_or(0);
    format!("{base}{}", depth + own + 1)
}

/// A position as the element the user would write there, where the sets allow.
fn position(ir: &Ir, p: &Pos, dimension: usize, array: NodeId, depth: usize, s: &mut String) {
    let set = match ir.node(array) {
        Node::Input(i) => ir.input(*i).dims.get(dimension).cloned(),
        _ => None,
    };
    match p {
        Pos::Node(n) => write(ir, *n, 0, depth + 1, s),
        Pos::Affine { terms, offset } if terms.is_empty() => match set {
            Some(set) => s.push_str(&set.element((*offset).max(0) as usize)),
            None => s.push_str(&(offset + 1).to_string()),
        },
        Pos::Affine { terms, offset } => {
            let lo = set.map_or(1, |x| x.lo());
            let mut shift = offset + lo;
            for (k, (i, stride)) in terms.iter().enumerate() {
                let index = ir.index(*i);
                shift -= stride * index.set.lo();
                let name = name(ir, *i);
                match (k, *stride) {
                    (0, 1) => s.push_str(&name),
                    (0, c) => s.push_str(&format!("{c}*{name}")),
                    (_, 1) => s.push_str(&format!(" + {name}")),
                    (_, c) => s.push_str(&format!(" + {c}*{name}")),
                }
            }
            match shift {
                0 => {}
                c if c > 0 => s.push_str(&format!("+{c}")),
                c => s.push_str(&c.to_string()),
            }
        }
    }
}
