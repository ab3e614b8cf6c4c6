//! `for k in 1..10 { … }`: statements repeated, each turn as if its value stood in the text.
//!
//! Invariant: a turn is the statements with the value in the place of the name, run one by one like any others: what they
//! bind, use and keep is known to the graph of definitions, and nothing of the loop stays behind but its results.

use std::collections::BTreeMap;
use std::rc::Rc;
use std::sync::atomic::Ordering;

use indexmap::IndexMap;

use crate::base::value::{Elem, IndexSet, ListedSet, Value};
use crate::base::{Code, Diagnostic, Diagnostics, Level};
use crate::lang::lower::{SolutionData, Turns};
use crate::lang::syntax::{Expr, ExprId, ExprKind, Repeat, Stmt, StmtKind, show as shown};
use crate::report::ResultEntry;

use super::{Def, Event, Session, show};

/// Solutions that the running loops keep, by name; and where the loops are.
#[derive(Default)]
pub(super) struct Kept {
    /// What each loop ranges over, outermost first, and which turn is running.
    at: Vec<(IndexSet, usize)>,
    all: IndexMap<String, BTreeMap<usize, Rc<SolutionData>>>,
    /// Do the inner loops range over the same in every turn of the outer ones?
    ragged: bool,
    /// Loops around each result.
    dims: IndexMap<String, Vec<IndexSet>>,
}

impl Kept {
    /// Keeps a solution of the running turn.
    pub fn keep(&mut self, name: &str, s: &Rc<SolutionData>) {
        if self.at.is_empty() {
            return;
        }
        let dims: Vec<IndexSet> = self.at.iter().map(|a| a.0.clone()).collect();
        if self.dims.get(name).is_some_and(|d| *d != dims) {
            self.ragged = true;
        }
        self.dims.insert(name.to_string(), dims);
        let flat = self.at.iter().fold(0, |k, (set, at)| k * set.len() + at);
        self.all.entry(name.to_string()).or_default().insert(flat, s.clone());
    }
}

impl Session {
    /// Runs a loop. What it keeps under a name is the last turn's, with all of them by index.
    pub(super) fn repeat(
        &mut self,
        f: &Repeat,
        cell: &Rc<str>,
        exprs: u32,
        sink: &mut dyn FnMut(Event),
    ) -> Result<(), Diagnostics> {
        let look = Stmt {
            kind: StmtKind::Print(vec![f.set.clone()]),
            span: f.set.span,
            docs: None,
        };
        self.prepared(&look, exprs, sink)?;
        let (set, values) = self.values_of(&f.set)?;
        let outermost = self.turn.is_empty();
        if outermost {
            self.told.clear();
            self.kept = Kept::default();
        }
        let mut done = Ok(());
        for (k, kind) in values.into_iter().enumerate() {
            let value = Expr {
                id: ExprId(0),
                span: f.name.span,
                kind,
            };
            let text = match &value.kind {
                ExprKind::Number { value, .. } => show::number(*value),
                _ => shown(&value),
            };
            self.turn.push(format!("{} = {text}", f.name.text));
            self.kept.at.push((set.clone(), k));
            done = self.one_turn(f, value, cell, exprs, sink);
            self.kept.at.pop();
            self.turn.pop();
            if done.is_err() || self.interrupt.load(Ordering::Relaxed) {
                break;
            }
        }
        if outermost {
            self.keep_turns();
        }
        done
    }

    fn one_turn(
        &mut self,
        f: &Repeat,
        value: Expr,
        cell: &Rc<str>,
        exprs: u32,
        sink: &mut dyn FnMut(Event),
    ) -> Result<(), Diagnostics> {
        let mut by = vec![(f.name.text.clone(), value)];
        for s in &f.body {
            let now = s.put(&by);
            let ran = match (&now.kind, &s.kind) {
                (StmtKind::Let(d), _) => {
                    by.push((d.name.text.clone(), d.value.clone()));
                    Ok(())
                }
                (StmtKind::Print(items), StmtKind::Print(written)) => self
                    .prepared(&now, exprs, sink)
                    .and_then(|()| self.print(items, written, sink).map_err(|d| vec![*d])),
                _ => self.executed(&now, cell, exprs, sink),
            };
            for d in self.doubted_systems() {
                self.tell(d, sink);
            }
            if let Err(found) = ran {
                // An inner loop has said where it was already.
                let inner = matches!(s.kind, StmtKind::For(_));
                let turn = format!("in the turn {}", self.turn.join(", "));
                let named = |d: Diagnostic| {
                    if inner || !d.is_error() {
                        d
                    } else {
                        d.note(turn.clone())
                    }
                };
                return Err(found.into_iter().map(named).collect());
            }
            if self.interrupt.load(Ordering::Relaxed) {
                break;
            }
        }
        Ok(())
    }

    /// What a loop ranges over, and its values as they would stand in the text.
    fn values_of(&self, e: &Expr) -> Result<(IndexSet, Vec<ExprKind>), Diagnostics> {
        let number = |value: f64, integer: bool| ExprKind::Number { value, integer };
        let element = |set: &IndexSet, k: usize| match set {
            IndexSet::Labels(_) => ExprKind::Text(set.element(k)),
            _ => number((set.lo() + k as i64) as f64, true),
        };
        let wrong = |what: String| {
            let d = Diagnostic::new(Code::WrongType, what).at(e.span, "looped over here");
            vec![d.help("a loop takes a set of single elements, or a vector of numbers")]
        };
        match self.evaluate(e).map_err(|d| vec![*d])? {
            Value::Set(IndexSet::Listed(l)) if l.parts.len() == 1 => {
                let all = (0..l.len()).map(|k| element(&l.parts[0], part(&l, k)));
                let all = all.collect();
                Ok((IndexSet::Listed(l), all))
            }
            Value::Set(IndexSet::Listed(_)) => Err(wrong("a loop over tuples".into())),
            Value::Set(s) => {
                let all = (0..s.len()).map(|k| element(&s, k)).collect();
                Ok((s, all))
            }
            Value::Array { tensor, elem } if tensor.dims.len() == 1 => {
                let whole = elem == Elem::Int;
                let data = tensor.to_dense();
                if data.iter().any(|v| v.is_nan()) {
                    return Err(wrong("a value to loop over is not a number".into()));
                }
                let all = data.into_iter().map(|v| number(v, whole)).collect();
                Ok((tensor.dims[0].clone(), all))
            }
            other => Err(wrong(format!("{} to loop over", show::kind(&other)))),
        }
    }

    /// Puts the solutions of all turns beside the last one of each name.
    fn keep_turns(&mut self) {
        let kept = std::mem::take(&mut self.kept);
        if kept.ragged {
            return;
        }
        for (name, all) in kept.all {
            let (Some(Def::Solution(last)), Some(dims)) = (self.defs.get(&name), kept.dims.get(&name)) else {
                continue;
            };
            let mut last = (**last).clone();
            last.turns = Some(Rc::new(Turns {
                dims: dims.clone(),
                all,
            }));
            self.define(&name, Def::Solution(Rc::new(last)));
        }
    }

    /// A message of a loop: nothing if an earlier turn has said the same; else with its turn.
    pub(super) fn in_turn(&mut self, d: Diagnostic) -> Option<Diagnostic> {
        if self.turn.is_empty() || d.is_error() {
            return Some(d);
        }
        if !self.told.insert((d.code, d.span())) {
            return None;
        }
        Some(match d.level {
            Level::Advice => d,
            _ => d.note(format!("in the turn {}", self.turn.join(", "))),
        })
    }

    /// `print`: values, under what was written.
    pub(super) fn print(
        &mut self,
        items: &[Expr],
        written: &[Expr],
        sink: &mut dyn FnMut(Event),
    ) -> Result<(), Box<Diagnostic>> {
        for (e, w) in items.iter().zip(written) {
            let (v, trust) = self.evaluate_with_trust(e)?;
            sink(Event::Shown(show::named(&shown(w), &v, trust.as_ref())));
            self.report.results.push(ResultEntry::Value {
                expression: shown(w),
                value: v,
                trust: trust.map(|t| (t.error, t.condition)),
            });
        }
        Ok(())
    }
}

/// The position of an element of a subset in the set that it is drawn from.
fn part(l: &ListedSet, k: usize) -> usize {
    l.columns[0][k] as usize
}
