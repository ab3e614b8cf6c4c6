//! The library in the language itself: files embedded whole, indexed by the names they define.
//!
//! Invariant: one list of files; a definition is found without reading any other.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::OnceLock;

use crate::base::SourceId;
use crate::lang::check;
use crate::lang::syntax::{Expr, ExprKind, Program, Stmt, StmtKind};
use crate::session::Def;

/// What a session has read of the library, in the library's own names: those of the user mean nothing there, and may be the
/// same.
#[derive(Default)]
pub struct Brought {
    /// Names of definitions.
    pub env: check::Env,
    /// What they are.
    pub defs: BTreeMap<String, Def>,
    /// Texts.
    pub sources: BTreeSet<SourceId>,
}

/// A definition.
pub struct Entry {
    /// Its name.
    pub name: &'static str,
    /// Its file in `src/std`.
    pub file: &'static str,
    /// Its text, the documentation comment first.
    pub text: &'static str,
}

impl Entry {
    /// Does it stand in a pipeline? The others are functions.
    pub fn is_method(&self) -> bool {
        let first = self.text.lines().find(|l| !l.starts_with('#'));
        first.is_some_and(|l| !l.starts_with("fn "))
    }

    /// Kind, name and parameters.
    pub fn head(&self) -> String {
        head(self.text)
    }

    /// The documentation comment.
    pub fn comment(&self) -> String {
        comment(self.text)
    }
}

/// The documentation comment above a definition, without its signs.
pub fn comment(text: &str) -> String {
    let lines = text.lines().take_while(|l| l.starts_with('#'));
    let lines: Vec<&str> = lines.map(|l| l.trim_start_matches('#').trim()).collect();
    lines.join("\n")
}

/// The beginning of a definition as one line, without what opens its body: kind, name and parameters.
pub fn head(text: &str) -> String {
    let mut out: Vec<&str> = vec![];
    for line in text.lines().skip_while(|l| l.starts_with('#')) {
        out.push(line.trim());
        let open = |c: char| out.iter().flat_map(|l| l.chars()).filter(|x| *x == c).count();
        if open('(') <= open(')') {
            break;
        }
    }
    let all = out.join(" ");
    // A function says what it is on the same line.
    let mut depth = 0;
    let body = all.char_indices().find(|(k, c)| {
        depth += i32::from(*c == '(') - i32::from(*c == ')');
        depth == 0
            && (*c == '{' || *c == '=' && all[k + 1..].starts_with([' ', '\n']) || *c == '=' && k + 1 == all.len())
    });
    all[..body.map_or(all.len(), |b| b.0)].trim_end().to_string()
}

macro_rules! files {
    ($($file:literal)*) => {
        &[$(($file, include_str!(concat!("../../std/", $file)))),*]
    };
}

/// The files, in the order of the reference.
pub const FILES: &[(&str, &str)] = files! {
    "gradient.opt"
    "conjugate.opt"
    "line_search.opt"
    "saddle.opt"
    "constrained.opt"
    "adaptive.opt"
    "polyak.opt"
    "stochastic.opt"
    "matrices.opt"
    "composite.opt"
    "least_squares.opt"
    "several.opt"
    "transforms.opt"
    "schedules.opt"
};

/// All definitions, in the order of the files.
pub fn entries() -> &'static [Entry] {
    static INDEX: OnceLock<Vec<Entry>> = OnceLock::new();
    INDEX.get_or_init(|| {
        let mut out = vec![];
        for (file, text) in FILES {
            // A definition begins at its comment, and ends where the next one's begins.
            let mut starts: Vec<usize> = vec![];
            let mut at = 0;
            let mut in_comment = false;
            for line in text.split_inclusive('\n') {
                let comment = line.starts_with("##");
                if comment && !in_comment {
                    starts.push(at);
                }
                in_comment = comment;
                at += line.len();
            }
            starts.push(text.len());
            for w in starts.windows(2) {
                let chunk = text[w[0]..w[1]].trim_end();
                let head = chunk
                    .lines()
                    .find(|l| !l.starts_with('#') && !l.is_empty())
                    .unwrap_or("");
                let mut words = head.split(|c: char| !(c.is_alphanumeric() || c == '_'));
                let _ = words.next();
                if let Some(name) = words.next() {
                    out.push(Entry {
                        name,
                        file,
                        text: chunk,
                    });
                }
            }
        }
        out
    })
}

/// The definition of a name.
pub fn find(name: &str) -> Option<&'static Entry> {
    entries().iter().find(|e| e.name == name)
}

/// Names that a text calls: functions, and methods of pipelines.
pub fn called(program: &Program, out: &mut Vec<String>) {
    let mut add = |n: &str| {
        if !out.iter().any(|m| m == n) {
            out.push(n.to_string());
        }
    };
    for s in &program.statements {
        statement(s, &mut add);
    }
}

fn statement(s: &Stmt, add: &mut dyn FnMut(&str)) {
    let pipeline = |p: &crate::lang::syntax::Pipeline, add: &mut dyn FnMut(&str)| {
        p.for_each_stage(&mut |s| s.parts.iter().for_each(|m| add(&m.name.text)));
        p.for_each_expr(&mut |e| calls(e, add));
    };
    match &s.kind {
        StmtKind::Let(d) => calls(&d.value, add),
        StmtKind::Param(d) => d.value.iter().for_each(|e| calls(e, add)),
        StmtKind::Fn(d) => {
            d.lets.iter().for_each(|l| calls(&l.value, add));
            calls(&d.body, add);
        }
        StmtKind::Problem(d) => d.body.iter().for_each(|s| statement(s, add)),
        StmtKind::Objective(o) => calls(&o.expr, add),
        StmtKind::SubjectTo(list) => list.iter().for_each(|c| calls(&c.relation, add)),
        StmtKind::MinimizeFrom(m) => calls(&m.objective.expr, add),
        StmtKind::Solve(c) => {
            c.method.iter().for_each(|p| pipeline(p, add));
            c.stop.iter().for_each(|e| calls(e, add));
        }
        StmtKind::Step(c) => c.stop.iter().for_each(|e| calls(e, add)),
        StmtKind::Compare(c) => c.entrants.iter().for_each(|e| pipeline(&e.pipeline, add)),
        StmtKind::Sweep(w) => w.solve.method.iter().for_each(|p| pipeline(p, add)),
        StmtKind::Plot(p) => p.items.iter().for_each(|e| calls(e, add)),
        StmtKind::Pipeline(d) => {
            d.params.iter().flat_map(|p| &p.default).for_each(|e| calls(e, add));
            // What it is given has its own names.
            pipeline(&d.body, &mut |n| {
                if d.params.iter().all(|p| p.name.text != n) {
                    add(n);
                }
            });
        }
        StmtKind::Optimizer(d) => {
            d.params.iter().flat_map(|p| &p.default).for_each(|e| calls(e, add));
            d.states
                .iter()
                .chain(&d.step)
                .for_each(|s| s.for_each_expr(&mut |e| calls(e, add)));
        }
        StmtKind::Source(n) | StmtKind::Help(n) => add(&n.text),
        StmtKind::For(r) => r.body.iter().for_each(|s| statement(s, add)),
        StmtKind::Print(items) => items.iter().for_each(|e| calls(e, add)),
        StmtKind::Assign { value, .. } => calls(value, add),
        StmtKind::Assert { condition, .. } => calls(condition, add),
        _ => {}
    }
}

fn calls(e: &Expr, add: &mut dyn FnMut(&str)) {
    if let ExprKind::Call { callee, .. } = &e.kind
        && let Some(n) = callee.as_name()
    {
        add(n);
    }
    e.for_each_child(&mut |c| calls(c, add));
}

/// Names that a text declares, at the top level or in a problem.
pub fn declared(program: &Program) -> Vec<String> {
    let mut out = vec![];
    fn of(s: &Stmt, out: &mut Vec<String>) {
        let name = match &s.kind {
            StmtKind::Set(d) => &d.name,
            StmtKind::Param(d) => &d.name,
            StmtKind::Let(d) => &d.name,
            StmtKind::Var(d) => &d.name,
            StmtKind::Fn(d) => &d.name,
            StmtKind::Optimizer(d) => &d.name,
            StmtKind::Pipeline(d) => &d.name,
            StmtKind::Problem(d) => {
                d.body.iter().for_each(|s| of(s, out));
                &d.name
            }
            _ => return,
        };
        out.push(name.text.clone());
    }
    program.statements.iter().for_each(|s| of(s, &mut out));
    out
}

/// The lines of a definition and the comment above it.
pub fn around(text: &str, start: usize, end: usize) -> String {
    let first = text[..start].rfind('\n').map_or(0, |p| p + 1);
    let mut from = first;
    for line in text[..first].lines().rev() {
        if !line.trim_start().starts_with("##") {
            break;
        }
        from -= line.len() + 1;
    }
    let last = text[end..].find('\n').map_or(text.len(), |p| end + p);
    text[from..last].trim_end().to_string()
}
