//! `inspect P conflict` and `inspect P derivatives`: what a problem contradicts, and whether its derivatives are right.
//!
//! Invariant: everything is in the user's names; what could not be decided is said, not left out.

use std::sync::Arc;

use crate::base::value::IndexSet;
use crate::base::view::{Cell, Role, View};
use crate::base::{Code, Diagnostic};
use crate::forms::rows::Columns;
use crate::lang::syntax::Start;
use crate::report::number::power_above;
use crate::solve::conflict::{Conflict, Member};
use crate::solve::differences::{Block, Comparison, Subject, WRONG};
use crate::solve::{Watch, methods};

use super::Session;
use super::show::number;
use super::solving::Found;

impl Session {
    /// A smallest set of constraints that cannot hold together.
    pub(super) fn conflict(&mut self, at: usize, name: &str) -> Found<View> {
        // Without a method of its own the problem is still a cone program, if it is one at all.
        let form = match self.form_of(at, None) {
            Ok(k) if self.compiled[at].forms[k].1.is_conic() => k,
            _ => self.form_of(at, Some(&methods::clarabel::CARD))?,
        };
        let params = self.param_inputs(&self.compiled[at].lowered.params);
        let watch = Arc::new(Watch::on(self.interrupt.clone()));
        let now = self.settings.now;
        let found = self.compiled[at].forms[form].1.conflict(&params, &watch, &now);
        let found = found.map_err(|f| {
            let ir = &self.compiled[at].lowered.problem.ir;
            vec![*self.fault_at(ir, &f, None)]
        })?;
        let line = |text: String| Ok(View::styled(text, Role::Strong));
        let (members, smallest) = match found {
            Conflict::None => return line(format!("{name}: no conflict, all constraints can hold together")),
            Conflict::Unknown(s) => {
                return line(format!(
                    "{name}: neither a conflict nor a point was found ({})",
                    s.word()
                ));
            }
            Conflict::NotConic => {
                return Err(vec![
                    Diagnostic::new(
                        Code::NotConvex,
                        format!("{name} is no cone program, so a conflict cannot be proved"),
                    )
                    .help("`inspect … why` shows what breaks convexity"),
                ]);
            }
            Conflict::Found(members, smallest) => (members, smallest),
        };
        let head = match (members.len(), smallest) {
            (1, _) => format!("{name}: this cannot hold"),
            (n, true) => format!("{name}: these {n} cannot hold together, and any {} of them can", n - 1),
            (n, false) => format!("{name}: these {n} cannot hold together; not all of them may be needed for that"),
        };
        let rows = members.iter().map(|m| {
            let (what, written) = self.member(at, form, *m);
            vec![Cell::Text(what), Cell::Text(written)]
        });
        let table = View::Table {
            head: ["constraint", "as written"].map(String::from).to_vec(),
            rows: rows.collect(),
        };
        Ok(View::Stack(vec![View::styled(head, Role::Strong), table]))
    }

    /// A member of a conflict by name, and as it was written.
    fn member(&self, at: usize, form: usize, m: Member) -> (String, String) {
        let p = &self.compiled[at].lowered.problem;
        let compiled = &self.compiled[at].forms[form].1;
        let bound = |k: usize, side: &str| {
            let of = p.vars.iter().zip(&compiled.columns.blocks);
            let mut of = of.filter(|(_, (_, first, len))| k >= *first && k < first + len);
            let line = of.next().map(|(v, _)| self.sources.line_column(v.span).0);
            let line = line.map_or(String::new(), |l| format!(", line {l}"));
            (compiled.coordinate(k), format!("its bound {side}{line}"))
        };
        match m {
            Member::Row(c, i) => {
                let text = self.sources.text(p.constraints[c].span);
                let text = text.split_whitespace().collect::<Vec<_>>().join(" ");
                (super::instance(&p.constraints[c].name, &self.row_sets(at, c), i), text)
            }
            Member::Lower(k) => bound(k, "from below"),
            Member::Upper(k) => bound(k, "from above"),
            Member::Fixed(k) => bound(k, "on both sides"),
        }
    }

    /// Derivatives against differences at a point: the start, a solution, or the values given.
    pub(super) fn derivatives(&mut self, at: usize, from: Option<&Start>, name: &str) -> Found<View> {
        let starts = self.starts(from, at, self.seed)?;
        let params = self.param_inputs(&self.compiled[at].lowered.params);
        let p = &self.compiled[at].lowered.problem;
        let mut c = Subject::new(p.clone());
        let of = p.vars.iter().zip(&c.columns.blocks);
        let given: Vec<(usize, Vec<f64>)> = of
            .filter_map(|(v, (_, first, _))| Some((*first, starts.get(&v.name)?.clone())))
            .collect();
        let x = c
            .point(&params, &given)
            .map_err(|f| vec![*self.fault_at(&p.ir, &f, None)])?;
        let found = c.differences(&params, &x);
        Ok(self.compared(at, &c.columns, &found, from.is_some(), name))
    }

    fn compared(&self, at: usize, columns: &Columns, found: &Comparison, given: bool, name: &str) -> View {
        let p = &self.compiled[at].lowered.problem;
        let coordinate = |k: usize| {
            let of = p.vars.iter().zip(&columns.blocks);
            let mut of = of.filter(|(_, (_, first, len))| k >= *first && k < first + len);
            of.next().map_or(String::new(), |(v, (_, first, _))| {
                super::instance(&v.name, &v.dims, k - first)
            })
        };
        let function = |k: Option<usize>| match k {
            Some(k) => p.constraints[k].name.clone(),
            None => {
                let label = p.objective.as_ref().and_then(|o| o.label.clone());
                label.map_or_else(|| "objective".into(), |l| format!("objective {l}"))
            }
        };
        let wrong: Vec<&Block> = found.blocks.iter().filter(|b| b.off() > WRONG).collect();
        let place = if given { "the point given" } else { "the start" };
        let verdict = match (wrong.len(), found.blocks.len()) {
            (_, 0) => "nothing could be compared".to_string(),
            (0, _) => "derivatives and their oracles agree".to_string(),
            (1, _) => "one block differs".to_string(),
            (n, _) => format!("{n} blocks differ"),
        };
        let mut parts = vec![View::styled(format!("{name} at {place}: {verdict}"), Role::Strong)];
        let rows = found.blocks.iter().map(|b| {
            let all: usize = p.vars[b.variable].dims.iter().map(IndexSet::len).product();
            let looked = match b.looked_at == all {
                true => all.to_string(),
                false => format!("{} of {all}", b.looked_at),
            };
            let power = |off: f64, least: f64| match off <= least {
                true => format!("less than {}", number(least)),
                false => power_above(off),
            };
            let complex = match &b.complex {
                Ok(w) => power(w.off, 1e-12),
                Err(why) => why.clone(),
            };
            let worst = if b.off() > WRONG {
                coordinate(b.entry().0)
            } else {
                String::new()
            };
            let order = if b.order == 1 { "first" } else { "second" };
            let cells = [
                function(b.constraint),
                p.vars[b.variable].name.clone(),
                order.into(),
                looked,
                power(b.worst, 1e-8),
                complex,
                worst,
            ];
            cells.map(Cell::Text).to_vec()
        });
        let rows: Vec<_> = rows.collect();
        if !rows.is_empty() {
            let head = [
                "function",
                "by",
                "derivatives",
                "entries",
                "differences",
                "complex steps",
                "worst at",
            ];
            parts.push(View::Table {
                head: head.map(String::from).to_vec(),
                rows,
            });
        }
        for b in wrong {
            parts.push(View::text(format!(
                "{} by {}: derivative {}, {} {}",
                function(b.constraint),
                coordinate(b.entry().0),
                number(b.entry().1),
                if b.complex.is_ok() {
                    "complex step"
                } else {
                    "difference"
                },
                number(b.entry().2)
            )));
        }
        for x in &found.places {
            let what = match x.kink {
                Some((left, right)) if x.order == 2 => format!(
                    "a kink of its slope: second derivative {} to the left, {} to the right",
                    number(left),
                    number(right)
                ),
                Some((left, right)) => {
                    format!(
                        "a kink: slope {} to the left, {} to the right",
                        number(left),
                        number(right)
                    )
                }
                None => "at the edge of its domain: not defined beside the point".to_string(),
            };
            parts.push(View::text(format!(
                "{} along {}: {what}",
                function(x.constraint),
                coordinate(x.at)
            )));
        }
        for (k, why) in &found.without {
            parts.push(View::text(format!(
                "{}: no derivative can be formed, {why}",
                function(*k)
            )));
        }
        View::Stack(parts)
    }
}
