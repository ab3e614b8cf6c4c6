//! Completion: what may stand at a place of a text that is being written.
//!
//! Invariant: runs and changes nothing; every name offered is one that checking the text there would know.

use std::collections::BTreeSet;

use crate::base::SourceId;
use crate::lang::check::{self, Dim, Env, ProblemInfo, RUN_NUMBERS, Ty, What};
use crate::lang::parse::{Whereabouts, is_reserved, parse, whereabouts};
use crate::lang::syntax::{Stmt, StmtKind, show_type};
use crate::solve::errors::describe;
use crate::solve::methods;

use super::optimizers::library;
use super::{Session, files, words};

/// What may replace a part of a text.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Completion {
    /// First byte of what is replaced.
    pub start: usize,
    /// One past its last byte.
    pub end: usize,
    /// What may stand there, best first.
    pub items: Vec<CompletionItem>,
}

/// One possibility.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CompletionItem {
    /// The text to insert.
    pub name: String,
    /// `param`, `variable`, `function`, `keyword`, `field`, `constraint`, `method`, `option`, `problem`, `type`, `path`, …
    pub kind: &'static str,
    /// Its type or signature; may be empty.
    pub ty: String,
    /// One sentence; may be empty.
    pub doc: String,
}

/// What the text means so far, beside what the session knows.
pub(super) struct Reading {
    /// Names at the top level after the text.
    pub env: Env,
    /// Its statements.
    pub statements: Vec<Stmt>,
}

impl Session {
    /// What may stand at a byte of a text.
    pub fn complete(&self, text: &str, cursor: usize) -> Completion {
        let cursor = boundary(text, cursor);
        let before = &text[..cursor];
        if let Some(open) = open_text(before) {
            return self.complete_path(text, open, cursor);
        }
        let start = cursor - trailing_name(before).len();
        let prefix = &text[start..cursor];
        let end = cursor + leading_name(&text[cursor..]).len();
        // Nothing continues a number.
        let in_number = prefix.is_empty() && before.ends_with(|c: char| c.is_ascii_digit())
            || prefix.starts_with(|c: char| c.is_ascii_digit());
        if in_number || in_comment(before) {
            return Completion {
                start: cursor,
                end: cursor,
                items: vec![],
            };
        }
        let head = &text[..start];
        let reading = self.reading(text);
        let mut items = self.possible(head, &whereabouts(head), &reading, start);
        let lower = prefix.to_lowercase();
        items.retain(|i| i.name.to_lowercase().starts_with(&lower));
        // Exact case first, then as they came; a name is offered once.
        let mut seen = BTreeSet::new();
        items.retain(|i| seen.insert(i.name.clone()));
        items.sort_by_key(|i| !i.name.starts_with(prefix));
        Completion { start, end, items }
    }

    /// Reads a text against what the session knows.
    pub(super) fn reading(&self, text: &str) -> Reading {
        let (program, _) = parse(SourceId(u32::MAX), text);
        let (checked, _) = check::check(&program, &self.checker, &self.catalogue);
        Reading {
            env: checked.env,
            statements: program.statements,
        }
    }

    fn possible(&self, head: &str, at: &Whereabouts, r: &Reading, cursor: usize) -> Vec<CompletionItem> {
        let trimmed = head.trim_end();
        if let Some(owner) = trimmed.strip_suffix('.') {
            return match r.env.names.get(trailing_name(owner)).map(|e| &e.what) {
                Some(What::Solution(p, _)) => fields(p),
                _ => vec![],
            };
        }
        if let Some(items) = argument_of(head, at, r) {
            return items;
        }
        let statement = &head[at.statement.min(head.len())..];
        if at.bracket.is_none() {
            if statement.trim().is_empty() {
                return self.beginnings(at, r, cursor);
            }
            if let Some(items) = self.clause(statement, r) {
                return items;
            }
        }
        self.expression(r, cursor)
    }

    /// What may begin a statement.
    fn beginnings(&self, at: &Whereabouts, r: &Reading, cursor: usize) -> Vec<CompletionItem> {
        let fits = |w: &str| !at.in_block || words::IN_PROBLEM.contains(&w);
        let mut items: Vec<CompletionItem> = words::STATEMENTS
            .iter()
            .filter(|w| fits(w.word))
            .map(|w| keyword(w, "keyword"))
            .collect();
        if at.in_block {
            // After `subject to`, the lines are constraints.
            items.extend(self.expression(r, cursor));
        } else {
            let params = r.env.names.iter().filter(|(_, e)| matches!(e.what, What::Param(_)));
            items.extend(params.map(|(n, e)| self.named(n, &e.what, r)));
        }
        items
    }

    /// What may follow the words of a command.
    fn clause(&self, statement: &str, r: &Reading) -> Option<Vec<CompletionItem>> {
        let words: Vec<&str> = statement.split_whitespace().collect();
        let problems = || -> Vec<CompletionItem> {
            let all = r.env.names.iter().filter(|(_, e)| matches!(e.what, What::Problem(_)));
            all.map(|(n, e)| self.named(n, &e.what, r)).collect()
        };
        let clauses = || words::CLAUSES.iter().map(|w| keyword(w, "keyword"));
        let last = *words.last()?;
        let solve = words
            .iter()
            .position(|w| matches!(*w, "solve" | "start"))
            .filter(|k| *k == 0 || words.get(k - 1) == Some(&"="));
        if let Some(k) = solve {
            let spaced = statement.ends_with(char::is_whitespace);
            return Some(match last {
                "solve" | "start" => problems().into_iter().chain(clauses()).collect(),
                "with" | "then" | "|>" | "{" => self.methods(r),
                "from" => {
                    let p = self.target_of(words.get(k + 1).copied(), r);
                    let vars = p.iter().flat_map(|p| p.vars.iter());
                    let solutions = r.env.names.iter().filter(|(_, e)| matches!(e.what, What::Solution(..)));
                    vars.map(|(n, (ty, _))| item(&format!("{n} = "), "variable", &ty.describe(), ""))
                        .chain(solutions.map(|(n, e)| self.named(n, &e.what, r)))
                        .collect()
                }
                "to" | "seed" => return None,
                "within" => vec![],
                n if n.parse::<f64>().is_ok() && words.iter().rev().nth(1) == Some(&"within") => {
                    words::UNITS.iter().map(|w| keyword(w, "unit")).collect()
                }
                _ if !spaced || last.ends_with(['=', '+', '-', '*', '/', ',', ':']) => return None,
                _ => clauses().collect(),
            });
        }
        if words == ["diagnose"] {
            return Some(problems());
        }
        match words.as_slice() {
            ["source" | "help"] => return Some(self.definitions(r)),
            ["step" | "rewind"] => return Some(self.run_items(r)),
            ["step", _, ..] if statement.ends_with(char::is_whitespace) && last != "when" => {
                return Some(words::STEPS.iter().map(|w| keyword(w, "keyword")).collect());
            }
            ["pipeline", .., "=" | "then" | "|>" | "{"] => return Some(self.methods(r)),
            _ => {}
        }
        if words.first() == Some(&"inspect") {
            return Some(match words.len() {
                1 => problems(),
                2 => vec![item(
                    "why",
                    "keyword",
                    "inspect p why",
                    "Shows how curvature follows, and where it broke.",
                )],
                _ => vec![],
            });
        }
        let declares = matches!(words.first(), Some(&"param" | &"var" | &"let"));
        if declares && statement.trim_end().ends_with(':') {
            return Some(words::TYPES.iter().map(|w| keyword(w, "type")).collect());
        }
        // A new name is the writer's to choose.
        let names = matches!(words.as_slice(), ["param" | "var" | "let" | "set" | "fn" | "problem"]);
        names.then(Vec::new)
    }

    /// What may stand behind `with`, `then`, `|>`: built-in methods, those of the library, the user's own, and groups.
    fn methods(&self, r: &Reading) -> Vec<CompletionItem> {
        let mut items: Vec<CompletionItem> = methods::CARDS
            .iter()
            .map(|c| item(&format!("{}()", c.name), "method", c.title, &first_sentence(c.doc)))
            .collect();
        let own = r.env.names.iter().filter(|(_, e)| matches!(e.what, What::Method(_)));
        items.extend(own.map(|(n, e)| self.named(n, &e.what, r)));
        items.extend(library::entries().iter().filter(|e| e.is_method()).map(|e| {
            let doc = e.text.trim_start_matches('#').trim_start();
            item(e.name, "method", &e.head(), &first_sentence(doc))
        }));
        items.extend(words::GROUPS.iter().map(|w| keyword(w, "method")));
        items
    }

    /// Names that `source` and `help` can be asked for.
    fn definitions(&self, r: &Reading) -> Vec<CompletionItem> {
        let mut items = self.methods(r);
        items
            .iter_mut()
            .for_each(|i| i.name = i.name.trim_end_matches("()").to_string());
        let fns = r.env.names.iter().filter(|(_, e)| matches!(e.what, What::Fn(_)));
        items.extend(fns.map(|(n, e)| self.named(n, &e.what, r)));
        let schedules = library::entries().iter().filter(|e| !e.is_method());
        items.extend(schedules.map(|e| item(e.name, "function", &e.head(), "")));
        items.extend(
            self.catalogue
                .functions
                .iter()
                .filter(|(n, _)| !is_reserved(n))
                .map(|(n, f)| {
                    let signature = f.forms.first().map_or("", |f| f.1.text.as_str());
                    item(n, "function", signature, &f.doc)
                }),
        );
        items
    }

    /// Runs that can be stepped.
    fn run_items(&self, r: &Reading) -> Vec<CompletionItem> {
        let runs = r.env.names.iter();
        let runs = runs.filter(|(_, e)| matches!(&e.what, What::Solution(p, _) if p.run.is_some()));
        runs.map(|(n, e)| self.named(n, &e.what, r)).collect()
    }

    fn target_of(&self, name: Option<&str>, r: &Reading) -> Option<ProblemInfo> {
        match name.and_then(|n| r.env.names.get(n)).map(|e| &e.what) {
            Some(What::Problem(p)) => Some((**p).clone()),
            _ => Some(r.env.unnamed.clone()).filter(|u| !u.vars.is_empty()),
        }
    }

    /// What may stand in an expression.
    fn expression(&self, r: &Reading, cursor: usize) -> Vec<CompletionItem> {
        let mut items = vec![];
        for s in &r.statements {
            // The names of the problem that is being written.
            if let StmtKind::Problem(p) = &s.kind
                && (s.span.start as usize) < cursor
                && cursor <= s.span.end as usize
            {
                items.extend(
                    p.params
                        .iter()
                        .map(|f| item(&f.name.text, "param", &show_type(&f.ty), "")),
                );
                items.extend(p.body.iter().filter_map(local));
            }
        }
        items.extend(r.env.names.iter().map(|(n, e)| self.named(n, &e.what, r)));
        // Operators are rows as well; their names are words of the language.
        for (n, f) in self.catalogue.functions.iter().filter(|(n, _)| !is_reserved(n)) {
            let signature = f.forms.first().map_or("", |f| f.1.text.as_str());
            items.push(item(n, "function", signature, &f.doc));
        }
        items.extend(words::EXPRESSIONS.iter().map(|w| keyword(w, "keyword")));
        items
    }

    /// A name of the session with its type and the comment above its declaration.
    pub(super) fn named(&self, name: &str, what: &What, r: &Reading) -> CompletionItem {
        let (kind, ty) = described(what);
        item(
            name,
            kind,
            &ty,
            &first_sentence(&self.docs_of(name, r).unwrap_or_default()),
        )
    }

    /// The documentation comment of a declaration.
    pub(super) fn docs_of(&self, name: &str, r: &Reading) -> Option<String> {
        let declares = |s: &&Stmt| s.kind.declared().is_some_and(|n| n.text == name);
        match r.statements.iter().find(declares) {
            Some(s) => s.docs.clone(),
            None => self.graph.mark(name)?.stmt.docs.clone(),
        }
    }

    /// Files in the place of a text in `read("…`.
    fn complete_path(&self, text: &str, open: usize, cursor: usize) -> Completion {
        let before = text[..open].trim_end();
        let reads = before.ends_with('(') && before[..before.len() - 1].trim_end().ends_with("read");
        let written = &text[open + 1..cursor];
        let start = open + 1 + written.rfind('/').map_or(0, |k| k + 1);
        let items = if reads {
            let found = files::beginning_with(&self.settings.folder, written);
            found.into_iter().map(|n| item(&n, "path", "", "")).collect()
        } else {
            vec![]
        };
        Completion {
            start,
            end: cursor,
            items,
        }
    }
}

/// Arguments that are names of their own: constraints of `s.dual(`, options of a method.
fn argument_of(head: &str, at: &Whereabouts, r: &Reading) -> Option<Vec<CompletionItem>> {
    let open = at.bracket.filter(|b| head[*b..].starts_with('('))?;
    let before = &head[..open];
    let callee = trailing_name(before);
    let owner = before[..before.len() - callee.len()].trim_end();
    if let Some(owner) = owner.strip_suffix('.') {
        let Some(What::Solution(p, _)) = r.env.names.get(trailing_name(owner)).map(|e| &e.what) else {
            return None;
        };
        return Some(match callee {
            "dual" | "slack" => constraints(p),
            "reduced" => p
                .vars
                .iter()
                .map(|(n, (ty, _))| item(n, "variable", &ty.describe(), ""))
                .collect(),
            _ => return None,
        });
    }
    if !owner.ends_with("with") {
        return None;
    }
    let card = methods::find(callee)?;
    // The value of an option is an expression or one of its words.
    let inside = &head[open + 1..];
    let argument = inside.rsplit(',').next().unwrap_or("").trim();
    if let Some(option) = argument.strip_suffix(':') {
        let option = card.options.iter().find(|o| o.name == option.trim());
        if let Some(
            crate::solve::method::OptionKind::Choice(choices) | crate::solve::method::OptionKind::Map(choices),
        ) = option.map(|o| o.kind)
        {
            return Some(choices.iter().map(|c| item(c, "value", "", "")).collect());
        }
        return None;
    }
    let given = |n: &str| {
        inside
            .split(',')
            .any(|a| a.split(':').next().is_some_and(|k| k.trim() == n))
    };
    let left = card.options.iter().filter(|o| !given(o.name));
    Some(
        left.map(|o| item(&format!("{}: ", o.name), "option", &describe(&o.kind), o.doc))
            .collect(),
    )
}

fn item(name: &str, kind: &'static str, ty: &str, doc: &str) -> CompletionItem {
    CompletionItem {
        name: name.into(),
        kind,
        ty: ty.into(),
        doc: doc.into(),
    }
}

fn keyword(w: &words::Word, kind: &'static str) -> CompletionItem {
    item(w.word, kind, w.form.lines().next().unwrap_or(""), w.doc)
}

fn constraints(p: &ProblemInfo) -> Vec<CompletionItem> {
    let all = p.constraints.iter();
    all.map(|(n, (dims, _, _))| {
        let ty = Ty::array(check::Elem::Real, dims.clone(), false).describe();
        item(n, "constraint", &ty, "")
    })
    .collect()
}

fn fields(p: &ProblemInfo) -> Vec<CompletionItem> {
    let vars = p.vars.iter().chain(&p.lets);
    let own = vars.map(|(n, (ty, _))| item(n, "field", &ty.describe(), ""));
    let all = words::FIELDS.iter().filter(|f| !p.vars.contains_key(f.0));
    own.chain(all.map(|(n, ty, doc)| {
        let name = if ty.starts_with('(') {
            format!("{n}(")
        } else {
            (*n).to_string()
        };
        item(&name, "field", ty, doc)
    }))
    .chain(
        p.run
            .iter()
            .flatten()
            .map(|n| item(n, "field", "", "A state or a record of the method.")),
    )
    .chain(
        p.run
            .iter()
            .flat_map(|_| RUN_NUMBERS)
            .map(|n| item(n, "field", "Real", "Where the run stands.")),
    )
    .collect()
}

/// A declaration inside a problem.
fn local(s: &Stmt) -> Option<CompletionItem> {
    let docs = s.docs.as_deref().map(first_sentence).unwrap_or_default();
    Some(match &s.kind {
        StmtKind::Var(v) => item(&v.name.text, "variable", &show_type(&v.ty), &docs),
        StmtKind::Let(l) => item(&l.name.text, "let", "", &docs),
        StmtKind::Set(x) => item(&x.name.text, "set", "", &docs),
        _ => return None,
    })
}

/// The kind of a name and its type.
pub(super) fn described(what: &What) -> (&'static str, String) {
    match what {
        What::Set { dim, .. } => ("set", dim.describe()),
        What::Family { keys, parts } => {
            let list = |d: &[Dim]| d.iter().map(|k| k.describe()).collect::<Vec<_>>();
            (
                "family of sets",
                format!("[{}] in {}", list(keys).join(", "), list(parts).join(" * ")),
            )
        }
        What::Size => ("size", "Int".into()),
        What::Param(t) | What::Formal(t) => ("param", t.describe()),
        What::Let(t, _) => ("let", t.describe()),
        What::Var(t) => ("variable", t.describe()),
        What::Index(d) => ("index", d.describe()),
        What::Fn(f) => {
            let params = f.params.iter().map(|p| format!("{}: {}", p.name, p.ty.describe()));
            let params: Vec<String> = params.collect();
            (
                "function",
                format!("({}) -> {}", params.join(", "), f.result.describe()),
            )
        }
        What::Method(m) => {
            let params = m.params.iter().map(|p| format!("{}: {}", p.name, p.ty.describe()));
            let params: Vec<String> = params.collect();
            let kind = m.sort.word().trim_start_matches("an ").trim_start_matches("a ");
            (kind, format!("({})", params.join(", ")))
        }
        What::Kept(k) => (What::Kept(*k).word().trim_start_matches("a "), String::new()),
        What::Problem(p) => {
            let params = p.params.iter().map(|p| format!("{}: {}", p.name, p.ty.describe()));
            let params: Vec<String> = params.collect();
            (
                "problem",
                if params.is_empty() {
                    String::new()
                } else {
                    format!("({})", params.join(", "))
                },
            )
        }
        What::Solution(p, _) => (
            "solution",
            if p.name.is_empty() {
                "of the unnamed problem".into()
            } else {
                format!("of {}", p.name)
            },
        ),
        What::Error => ("name", String::new()),
    }
}

/// Up to the first full stop.
pub(super) fn first_sentence(text: &str) -> String {
    let text = text.lines().next().unwrap_or("");
    match text.find(". ") {
        Some(k) => text[..=k].to_string(),
        None => text.to_string(),
    }
}

/// The nearest character boundary at or before a byte.
pub(super) fn boundary(text: &str, at: usize) -> usize {
    let mut at = at.min(text.len());
    while !text.is_char_boundary(at) {
        at -= 1;
    }
    at
}

fn of_name(c: char) -> bool {
    c == '_' || c.is_alphanumeric()
}

/// The name that a text ends with.
pub(super) fn trailing_name(text: &str) -> &str {
    let start = text.char_indices().rev().take_while(|(_, c)| of_name(*c)).last();
    &text[start.map_or(text.len(), |s| s.0)..]
}

/// The name that a text begins with.
pub(super) fn leading_name(text: &str) -> &str {
    let end = text.find(|c: char| !of_name(c)).unwrap_or(text.len());
    &text[..end]
}

/// The byte of the quote that opens a text which is not closed on its line.
fn open_text(before: &str) -> Option<usize> {
    let line = before.rfind('\n').map_or(0, |k| k + 1);
    let mut open = None;
    let mut escaped = false;
    for (k, c) in before[line..].char_indices() {
        match c {
            _ if escaped => escaped = false,
            '\\' if open.is_some() => escaped = true,
            '"' => open = if open.is_some() { None } else { Some(line + k) },
            '#' if open.is_none() => return None,
            _ => {}
        }
    }
    open
}

fn in_comment(before: &str) -> bool {
    let line = before.rfind('\n').map_or(0, |k| k + 1);
    let mut quoted = false;
    before[line..].chars().any(|c| {
        quoted ^= c == '"';
        c == '#' && !quoted
    })
}
