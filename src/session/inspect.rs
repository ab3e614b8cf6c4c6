//! `inspect`: what a problem is, before it is solved.
//!
//! Invariant: shows facts that the compiler derives anyway; derives none of its own.

use crate::base::value::IndexSet;
use crate::base::view::{Cell, Role, View};
use crate::base::{Diagnostic, Diagnostics, Span};
use crate::ir::facts::Grade;
use crate::ir::{Constraint, Curvature, Member, NodeId, Problem, Sense, Sides};
use crate::lang::lower::describe_dims;
use crate::lang::syntax::{Aspect, ProblemRef};
use crate::passes::analysis::curvature::analyze;
use crate::solve::Class;

use super::{Event, Session};

impl Session {
    /// The subject's name and what it is.
    pub(super) fn inspect(
        &mut self,
        target: Option<&ProblemRef>,
        what: &Aspect,
        span: Span,
        sink: &mut dyn FnMut(Event),
    ) -> Result<(String, View), Diagnostics> {
        let at = self.compiled(target, span, sink)?;
        let mut p = self.compiled[at].lowered.problem.clone();
        crate::passes::canonical(&mut p);
        let name = if p.name.is_empty() {
            "the problem".to_string()
        } else {
            p.name.clone()
        };
        let view = match what {
            Aspect::Why => self.why(&p, &name),
            Aspect::Conflict => self.conflict(at, &name)?,
            Aspect::Derivatives(from) => self.derivatives(at, from.as_ref(), &name)?,
            Aspect::Summary => {
                let body = self.body_of(target, span)?;
                let mut view = self.summary(at, &p, &name);
                if let View::Stack(parts) = &mut view {
                    parts.extend(self.coefficients(at));
                    parts.push(View::styled("in LaTeX", Role::Faint));
                    parts.push(View::Formula(crate::lang::latex::problem(&body.statements)));
                }
                view
            }
        };
        Ok((p.name.clone(), view))
    }

    /// Smallest and largest size of the coefficients, part by part.
    fn coefficients(&mut self, at: usize) -> Option<View> {
        let params = self.param_inputs(&self.compiled[at].lowered.params);
        let form = self.form_of(at, None).ok()?;
        let ranges = self.compiled[at].forms[form].1.ranges(&params).ok()?;
        let rows = ranges
            .iter()
            .map(|r| vec![Cell::Text(r.part.into()), Cell::Number(r.least), Cell::Number(r.most)]);
        let rows: Vec<_> = rows.collect();
        (!rows.is_empty()).then(|| View::Table {
            head: ["coefficients", "smallest", "largest"].map(String::from).to_vec(),
            rows,
        })
    }

    fn summary(&mut self, at: usize, p: &Problem, name: &str) -> View {
        // Curvatures that the compiler found in the data, of the objective and of each constraint's sides.
        let mut found: (Known, Vec<Vec<Known>>) = Default::default();
        let class = match self.class_of(at) {
            Ok(c) => {
                let of = |n: NodeId| match c.facts.get(n) {
                    Some(f) if f.grade != Grade::Proved => (f.curvature, f.grade),
                    _ => Known::default(),
                };
                found = (
                    c.problem.objective.as_ref().map_or_else(Known::default, |o| of(o.node)),
                    c.problem
                        .constraints
                        .iter()
                        .map(|c| sides(c).into_iter().map(of).collect())
                        .collect(),
                );
                let choice = c.row();
                let (method, why) = match (choice, c.class) {
                    (Some(m), _) => (m.card.name, m.why),
                    (None, Class::Saddle) => (super::optimizers::SADDLE, super::optimizers::SADDLE_WHY),
                    (None, _) => ("none", ""),
                };
                vec![
                    (
                        "class".to_string(),
                        View::text(format!("{}: {}", c.class_word(), c.proof.join("; "))),
                    ),
                    ("method".to_string(), View::text(format!("{method}: {why}"))),
                ]
            }
            Err(found) => {
                let why: Vec<String> = found.iter().map(|d: &Diagnostic| d.message.clone()).collect();
                vec![("class".to_string(), View::text(why.join("; ")))]
            }
        };
        let mut facts = class;
        if let Some(o) = &p.objective {
            let t = analyze(&p.ir, &[o.node]);
            let word = match o.sense {
                Sense::Minimize => "minimize",
                Sense::Maximize => "maximize",
                Sense::Saddle => "saddle value",
            };
            let label = o.label.as_deref().map_or(String::new(), |l| format!(" {l}"));
            let shown = match o.sense {
                // Its curvature is another one on each side: the class says what is known.
                Sense::Saddle => format!("{word}{label}"),
                _ => format!("{word}{label}: {}", known(t.curvature(o.node), found.0)),
            };
            facts.push(("objective".into(), View::text(shown)));
        }
        let size = |dims: &[IndexSet]| dims.iter().map(IndexSet::len).product::<usize>();
        let n: usize = p.vars.iter().map(|v| size(&v.dims)).sum();
        let counts: Vec<usize> = (0..p.constraints.len()).map(|k| size(&self.row_sets(at, k))).collect();
        let rows: usize = counts.iter().sum();
        facts.push(("size".into(), View::text(format!("{n} variables, {rows} constraints"))));
        let mut parts = vec![View::styled(name, Role::Strong), View::Facts(facts)];
        let text = |s: String| Cell::Text(s);
        let vars = p
            .vars
            .iter()
            .map(|v| {
                let side = |b: Option<NodeId>| match b.map(|b| p.ir.as_const(b)) {
                    None => String::new(),
                    Some(Some(c)) => super::show::number(c),
                    Some(None) => "given".into(),
                };
                vec![
                    text(v.name.clone()),
                    text(if v.symmetric {
                        describe_dims(&v.dims[..1]).replace("Vector", "Symmetric")
                    } else {
                        describe_dims(&v.dims)
                    }),
                    text(side(v.lower)),
                    text(side(v.upper)),
                ]
            })
            .collect();
        parts.push(View::Table {
            head: ["variable", "type", "at least", "at most"].map(String::from).to_vec(),
            rows: vars,
        });
        if !p.constraints.is_empty() {
            let outputs: Vec<NodeId> = p.constraints.iter().flat_map(sides).collect();
            let t = analyze(&p.ir, &outputs);
            let rows = p
                .constraints
                .iter()
                .enumerate()
                .map(|(k, c)| {
                    let s = sides(c);
                    let in_data = |j: usize| found.1.get(k).and_then(|f| f.get(j)).copied().unwrap_or_default();
                    let words: Vec<String> = s
                        .iter()
                        .enumerate()
                        .map(|(j, n)| known(t.curvature(*n), in_data(j)))
                        .collect();
                    let form = match c.sides {
                        Sides::Le(..) | Sides::Between(..) => words.join(" <= "),
                        Sides::Ge(..) => words.join(" >= "),
                        Sides::Eq(..) => words.join(" == "),
                        Sides::In(Member::Semidefinite { .. }) => format!("{} in PSD", words.join(", ")),
                        Sides::In(Member::Exponential(_)) => format!("({}) in ExpCone", words.join(", ")),
                        Sides::In(Member::Power(..)) => format!("({}) in PowCone", words[..3].join(", ")),
                    };
                    vec![text(c.name.clone()), Cell::Number(counts[k] as f64), text(form)]
                })
                .collect();
            parts.push(View::Table {
                head: ["constraint", "rows", "form"].map(String::from).to_vec(),
                rows,
            });
        }
        View::Stack(parts)
    }
}

/// A curvature beyond the rules, and what it rests on.
type Known = (Curvature, Grade);

/// A curvature by the rules, else as it was found in the data or assumed.
fn known(by_rules: Curvature, beyond: Known) -> String {
    match (by_rules, beyond) {
        (Curvature::Unknown, (c, Grade::Asserted)) if c != Curvature::Unknown => format!("{} (assumed)", c.word()),
        (Curvature::Unknown, (c, _)) if c != Curvature::Unknown => format!("{} (checked on the data)", c.word()),
        (Curvature::Unknown, _) => "curvature unknown".into(),
        (c, _) => c.word().into(),
    }
}

fn sides(c: &Constraint) -> Vec<NodeId> {
    c.sides.nodes(c.domain).into_iter().map(|n| n.1).collect()
}
