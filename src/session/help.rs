//! Help on what stands at a place of a text.
//!
//! Invariant: runs and changes nothing; says only what the tables, the checker and the definitions say.

use crate::base::Code;
use crate::base::value::Value;
use crate::base::view::{Role, Run, View};
use crate::ir::Atom;
use crate::lang::check::{ProblemInfo, What};
use crate::lang::syntax::{Stmt, StmtKind};
use crate::report::{atom, values};
use crate::solve::errors::describe;
use crate::solve::methods;

use super::complete::{Reading, boundary, described, first_sentence, leading_name, trailing_name};
use super::optimizers::library;
use super::{Def, Session, words};

/// How much help is wanted.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Detail {
    /// Signature or type, and one sentence.
    Brief,
    /// Everything: formula, examples, curvature, value or shape, options.
    Full,
}

impl Session {
    /// Help on the name at a byte of a text, or just before it.
    pub fn help_at(&self, text: &str, cursor: usize, detail: Detail) -> Option<View> {
        let cursor = boundary(text, cursor);
        let mut before = trailing_name(&text[..cursor]);
        let mut after = leading_name(&text[cursor..]);
        let mut at = cursor;
        if before.is_empty() && after.is_empty() {
            // Behind a bracket, the function before it.
            let open = text[..cursor].trim_end().strip_suffix('(')?;
            (before, after, at) = (trailing_name(open), "", open.len());
        }
        let start = at - before.len();
        let name = format!("{before}{after}");
        let head = text[..start].trim_end();
        let reading = self.reading(text);
        if let Some(owner) = head.strip_suffix('.') {
            let What::Solution(p, _) = &reading.env.names.get(trailing_name(owner))?.what else {
                return None;
            };
            return field(p, &name);
        }
        if head.ends_with("with")
            && let Some(view) = method(&name, detail)
        {
            return Some(view);
        }
        self.local_help(&name, start, &reading)
            .or_else(|| self.name_help(&name, &reading, detail))
            .or_else(|| self.function_help(&name, detail))
            .or_else(|| method(&name, detail))
            .or_else(|| definition(&name, detail))
            .or_else(|| word(&name))
            .or_else(|| Code::parse(&name).map(|c| View::text(format!("{}: {}", c.id(), c.summary()))))
    }

    /// The words of an optimizer's step, as they are written, and what each is.
    pub fn words_of_a_step() -> impl Iterator<Item = (&'static str, &'static str)> {
        words::IN_STEP.iter().map(|w| (w.form, w.doc))
    }

    /// Everything about a name, wherever it is from.
    pub(super) fn help_on(&self, name: &str) -> Option<View> {
        let reading = Reading {
            env: self.checker.clone(),
            statements: vec![],
        };
        let full = Detail::Full;
        self.name_help(name, &reading, full)
            .or_else(|| self.function_help(name, full))
            .or_else(|| method(name, full))
            .or_else(|| word(name))
    }

    /// A name of the problem that is being written.
    fn local_help(&self, name: &str, at: usize, r: &Reading) -> Option<View> {
        let around = |s: &&Stmt| (s.span.start as usize) <= at && at < s.span.end as usize;
        let problem = r.statements.iter().find(around)?;
        let StmtKind::Problem(p) = &problem.kind else {
            return None;
        };
        let declares = |s: &&Stmt| s.kind.declared().is_some_and(|n| n.text == name);
        let s = p.body.iter().find(declares)?;
        let Some(What::Problem(info)) = r.env.names.get(&p.name.text).map(|e| &e.what) else {
            return None;
        };
        let (ty, kind) = match &s.kind {
            StmtKind::Var(_) => (info.vars.get(name)?.0.describe(), "variable"),
            StmtKind::Let(_) => (info.lets.get(name)?.0.describe(), "let"),
            _ => return None,
        };
        Some(stack(vec![
            headline(name, &ty),
            View::styled(format!("{kind} of {}", p.name.text), Role::Faint),
            View::text(s.docs.clone().unwrap_or_default()),
        ]))
    }

    fn name_help(&self, name: &str, r: &Reading, detail: Detail) -> Option<View> {
        let entry = r.env.names.get(name)?;
        if self.library.sources.contains(&entry.span.source) {
            // What was brought in is told about as before it was.
            return definition(name, detail);
        }
        let what = &entry.what;
        let (kind, ty) = described(what);
        let docs = self.docs_of(name, r).unwrap_or_default();
        let mut parts = vec![headline(name, &ty), View::styled(kind, Role::Faint)];
        match detail {
            Detail::Brief => parts.push(View::text(first_sentence(&docs))),
            Detail::Full => {
                parts.push(View::text(docs));
                match what {
                    What::Problem(p) | What::Solution(p, _) => parts.push(contents(p)),
                    _ => {}
                }
                parts.extend(self.value_of(name));
                if let Some(m) = self.graph.mark(name) {
                    let at = super::graph::called(&self.sources, m.stmt.span.source);
                    let line = self.sources.line_column(m.stmt.span).0;
                    parts.push(View::styled(format!("declared in {at}, line {line}"), Role::Faint));
                    if matches!(m.stmt.kind, StmtKind::Let(_) | StmtKind::Fn(_) | StmtKind::Set(_)) {
                        parts.push(View::Verbatim(self.sources.text(m.stmt.span).to_string()));
                    }
                }
            }
        }
        Some(stack(parts))
    }

    /// The value of a name that has one.
    fn value_of(&self, name: &str) -> Option<View> {
        let value = match self.defs.get(name)? {
            Def::Param { value, .. } => Value::Array {
                tensor: value.tensor.clone(),
                elem: value.elem,
            },
            Def::Set(s) => Value::Set(s.clone()),
            Def::Text(t) => Value::Text(t.clone()),
            Def::Size(n) => return Some(View::Number(*n as f64)),
            Def::Solution(s) => {
                let objective = s.fields.get("objective").and_then(|t| t.as_scalar());
                let objective = objective.map_or(String::new(), |v| format!(", objective {}", super::show::number(v)));
                return Some(View::text(format!("{}{objective}", s.status)));
            }
            _ => return None,
        };
        Some(values::view(&value))
    }

    fn function_help(&self, name: &str, detail: Detail) -> Option<View> {
        let f = self.catalogue.functions.get(name)?;
        let mut parts: Vec<View> = f.forms.iter().map(|(_, s)| headline(name, &s.text)).collect();
        if detail == Detail::Brief {
            parts.truncate(1);
            parts.push(View::text(first_sentence(&f.doc)));
            return Some(stack(parts));
        }
        parts.push(View::text(f.doc.clone()));
        let rows: Vec<&'static Atom> = crate::atoms::all().filter(|a| a.name == name).collect();
        if let Some(row) = rows.first() {
            let mut facts = vec![
                ("is".to_string(), View::text(atom::shape(row))),
                ("has".to_string(), View::text(atom::abilities(row))),
                ("formula".to_string(), View::Verbatim(atom::formula(row))),
            ];
            if !row.source.is_empty() {
                facts.push(("source".to_string(), View::text(row.source)));
            }
            parts.push(View::Facts(facts));
        }
        let examples: Vec<String> = rows
            .iter()
            .flat_map(|r| r.examples)
            .map(|(program, shown)| format!("print {program}    # {shown}"))
            .collect();
        if !examples.is_empty() {
            parts.push(View::Verbatim(examples.join("\n")));
        }
        Some(stack(parts))
    }
}

/// `name: type` or `name(signature)`.
fn headline(name: &str, ty: &str) -> View {
    let gap = match ty {
        "" => "",
        t if t.starts_with('(') => "",
        _ => ": ",
    };
    let run = |text: String, role| Run { text, role };
    View::Line(vec![
        run(name.into(), Role::Strong),
        run(format!("{gap}{ty}"), Role::Plain),
    ])
}

/// Parts below one another, those without text left out.
fn stack(parts: Vec<View>) -> View {
    let empty = |v: &View| matches!(v, View::Line(runs) if runs.iter().all(|r| r.text.is_empty()));
    View::Stack(parts.into_iter().filter(|v| !empty(v)).collect())
}

/// Variables and constraints of a problem.
fn contents(p: &ProblemInfo) -> View {
    let vars = p.vars.iter().map(|(n, (ty, _))| (n.clone(), View::text(ty.describe())));
    let constraints = p.constraints.iter().map(|(n, (dims, _, _))| {
        let sets: Vec<String> = dims.iter().map(|d| d.describe()).collect();
        let over = if sets.is_empty() {
            String::new()
        } else {
            format!(" over {}", sets.join(", "))
        };
        (n.clone(), View::text(format!("a constraint{over}")))
    });
    View::Facts(vars.chain(constraints).collect())
}

fn field(p: &ProblemInfo, name: &str) -> Option<View> {
    if let Some((ty, _)) = p.vars.get(name).or_else(|| p.lets.get(name)) {
        return Some(stack(vec![
            headline(name, &ty.describe()),
            View::styled("at the solution", Role::Faint),
        ]));
    }
    let (n, ty, doc) = words::FIELDS.iter().find(|f| f.0 == name)?;
    Some(stack(vec![headline(n, ty), View::text(*doc)]))
}

fn method(name: &str, detail: Detail) -> Option<View> {
    let card = methods::find(name)?;
    let options: Vec<String> = card.options.iter().map(|o| format!("{}: …", o.name)).collect();
    let mut parts = vec![
        headline(card.name, &format!("({})", options.join(", "))),
        View::styled(format!("method: {}", card.title), Role::Faint),
    ];
    if detail == Detail::Brief {
        parts.push(View::text(first_sentence(card.doc)));
        return Some(stack(parts));
    }
    parts.push(View::text(card.doc));
    parts.push(View::text(card.guarantees));
    let options = card.options.iter();
    let options: Vec<(String, View)> = options
        .map(|o| {
            (
                o.name.to_string(),
                View::text(format!("{}: {}", describe(&o.kind), o.doc)),
            )
        })
        .collect();
    if !options.is_empty() {
        parts.push(View::Facts(options));
    }
    parts.push(View::styled(card.source, Role::Faint));
    Some(stack(parts))
}

/// A definition of the library: its head and its comment.
fn definition(name: &str, detail: Detail) -> Option<View> {
    let entry = library::find(name)?;
    let docs = entry.comment();
    let docs = match detail {
        Detail::Brief => first_sentence(&docs),
        Detail::Full => docs,
    };
    Some(stack(vec![View::Verbatim(entry.head()), View::Verbatim(docs)]))
}

fn word(name: &str) -> Option<View> {
    let w = words::find(name)?;
    Some(stack(vec![
        View::styled(w.word, Role::Strong),
        View::text(w.doc),
        View::Verbatim(w.form.to_string()),
    ]))
}
