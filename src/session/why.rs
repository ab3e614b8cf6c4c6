//! `inspect P why`: what breaks convexity, where, and what would repair it; then how every curvature follows.
//!
//! Invariant: names the innermost expression that the rules stop at; a repair is only offered where it keeps the rules.

use crate::base::view::{Role, View};
use crate::ir::problem::Variable;
use crate::ir::{Curvature, Node, NodeId, Problem, Sense, Sides};
use crate::passes::analysis::curvature::{FactsTable, analyze, why, why_lines};

use super::Session;

/// What a side of the problem has to be, so that the whole is convex.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Need {
    Convex,
    Concave,
    Affine,
}

impl Need {
    fn word(self) -> &'static str {
        match self {
            Need::Convex => "convex",
            Need::Concave => "concave",
            Need::Affine => "affine",
        }
    }
    fn met(self, c: Curvature) -> bool {
        match self {
            Need::Convex => c.is_convex(),
            Need::Concave => c.is_concave(),
            Need::Affine => c.is_affine(),
        }
    }
}

/// A side of the objective or of a constraint.
struct Side {
    label: String,
    node: NodeId,
    need: Need,
    place: Place,
}

/// Where a side stands.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Place {
    Minimized,
    Maximized,
    Bounded,
    Member,
    Equated,
}

impl Session {
    /// The parts that break convexity, then the derivation of every curvature.
    pub(super) fn why(&self, p: &Problem, name: &str) -> View {
        let sides = sides(p);
        let nodes: Vec<NodeId> = sides.iter().map(|s| s.node).collect();
        let t = analyze(&p.ir, &nodes);
        let broken: Vec<&Side> = sides.iter().filter(|s| !s.need.met(t.curvature(s.node))).collect();
        let head = match broken.len() {
            0 => format!("{name}: convex by the rules"),
            1 => format!("{name}: one part breaks convexity"),
            n => format!("{name}: {n} parts break convexity"),
        };
        let mut out = vec![View::styled(head, Role::Strong)];
        for side in broken {
            let steps = why(&p.ir, &t, side.node);
            let innermost = steps.iter().rev().find(|s| s.curvature == Curvature::Unknown);
            let (culprit, rule) = match innermost {
                Some(s) => (s.node, s.rule.trim_start_matches("unknown: ").to_string()),
                None => (side.node, format!("it is {}", t.curvature(side.node).word())),
            };
            let line = p.ir.origins(culprit).first().map(|s| self.sources.line_column(*s).0);
            let line = line.map_or_else(String::new, |l| format!(" (line {l})"));
            let facts = [
                ("needs", format!("to be {}", side.need.word())),
                ("breaks at", format!("{}{line}", crate::ir::show::short(&p.ir, culprit))),
                ("since", rule),
                ("repair", repair(p, &t, culprit, side)),
            ];
            out.push(View::styled(side.label.clone(), Role::Name));
            let facts = facts.into_iter().map(|(k, v)| (format!("  {k}"), View::text(v)));
            out.push(View::Facts(facts.collect()));
        }
        out.push(View::styled("how curvature follows", Role::Faint));
        for s in &sides {
            out.push(View::styled(s.label.clone(), Role::Name));
            out.push(View::Verbatim(why_lines(&p.ir, &t, s.node).join("\n")));
        }
        View::Stack(out)
    }
}

/// The sides of objective and constraints, and what each has to be.
fn sides(p: &Problem) -> Vec<Side> {
    let mut out = vec![];
    // A saddle point has no one curvature to prove.
    let objective = p.objective.as_ref().filter(|o| o.sense != Sense::Saddle);
    if let Some(o) = objective {
        let (need, place) = match o.sense {
            Sense::Maximize => (Need::Concave, Place::Maximized),
            _ => (Need::Convex, Place::Minimized),
        };
        let label = o.label.as_ref().map_or_else(String::new, |l| format!(" {l}"));
        out.push(Side {
            label: format!("objective{label}"),
            node: o.node,
            need,
            place,
        });
    }
    for c in &p.constraints {
        let (place, sides) = match c.sides {
            Sides::Le(a, b) => (Place::Bounded, vec![(a, Need::Convex), (b, Need::Concave)]),
            Sides::Ge(a, b) => (Place::Bounded, vec![(a, Need::Concave), (b, Need::Convex)]),
            Sides::Eq(a, b) => (Place::Equated, vec![(a, Need::Affine), (b, Need::Affine)]),
            Sides::Between(l, e, u) => (
                Place::Bounded,
                vec![(l, Need::Convex), (e, Need::Affine), (u, Need::Concave)],
            ),
            Sides::In(_) => (
                Place::Member,
                c.sides
                    .nodes(c.domain)
                    .into_iter()
                    .map(|n| (n.1, Need::Affine))
                    .collect(),
            ),
        };
        out.extend(sides.into_iter().map(|(node, need)| Side {
            label: c.name.clone(),
            node,
            need,
            place,
        }));
    }
    out
}

/// What would let the rules go on.
fn repair(p: &Problem, t: &FactsTable, culprit: NodeId, side: &Side) -> String {
    let known = t.curvature(culprit);
    if known != Curvature::Unknown {
        return match (side.place, known.is_convex()) {
            (Place::Minimized, _) => "is `maximize` meant? Otherwise only a local solution can be asked for".into(),
            (Place::Maximized, _) => "is `minimize` meant? Otherwise only a local solution can be asked for".into(),
            (Place::Equated, convex) => format!(
                "an equation has affine sides; `{}` keeps this one, and holds with equality where the objective pushes \
                 against it",
                if convex { "<=" } else { ">=" }
            ),
            (Place::Member, _) => {
                "what lies in a cone is affine; a variable that equals or bounds this may stand there".into()
            }
            (Place::Bounded, true) => "a convex expression may be bounded from above only, `… <= …`".into(),
            (Place::Bounded, false) => "a concave expression may be bounded from below only, `… >= …`".into(),
        };
    }
    let rule = t.get(culprit).map_or("", |f| f.rule.text.as_str());
    let names = variables(p, culprit);
    if rule.contains("several expressions with variables") {
        let all: Vec<String> = names.iter().map(|n| format!("`{n}`")).collect();
        let first = names.first().map_or("x", String::as_str);
        return match names.len() {
            0 | 1 => "a square of one expression is convex: `(…)^2`, `sumsq(…)`, `quad(x, P)`".into(),
            _ => format!(
                "one factor has to be known: `solve … fixing {first} = …`, in turn for {}",
                all.join(" and ")
            ),
        };
    }
    if rule.contains("may take both signs") {
        return "show that its argument is not negative: bounds `>= 0` of the variables, or `max(0, …)` around it"
            .into();
    }
    let what = if side.need == Need::Concave {
        "concave"
    } else {
        "convex"
    };
    format!("write it by functions whose curvature the rules know, or, knowing better: `assume {what}(…)`")
}

/// Variables in an expression, in the order of declaration.
fn variables(p: &Problem, n: NodeId) -> Vec<String> {
    let inside = p.ir.reachable(&[n]);
    let reads = |v: &Variable| {
        let mut nodes = inside.iter();
        nodes.any(|m| matches!(p.ir.node(*m), Node::Input(i) if *i == v.input))
    };
    p.vars.iter().filter(|v| reads(v)).map(|v| v.name.clone()).collect()
}
