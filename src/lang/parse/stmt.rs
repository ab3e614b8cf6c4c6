//! Statements: which rule of the grammar reads one, what it becomes, and what to say if it cannot be read.
//!
//! Invariant: a statement that was reported becomes `Error` or `NotBuilt` and keeps the name it would have declared.

use std::collections::BTreeMap;

use pest::Parser as _;
use pest::error::{ErrorVariant, InputLocation};
use pest::iterators::Pair;

use super::classify::{
    depth_or_relation, first_word, is_assignment, keyword_like, label_like, last_word, lone_command, named_like,
    run_command, saddle_statement, starts_run, token_at,
};
use super::feature::Feature;
use super::fold::{Folder, compare_op};
use super::grammar::{self, Grammar, Rule};
use super::habits;
use super::lexicon::{STATEMENT_WORDS, is_reserved};
use super::scan::{RawBlock, RawStmt};
use crate::base::{Diagnostics, SourceId, Span};
use crate::lang::errors::syntax as errors;
use crate::lang::syntax::{
    Check, Constraint, Expr, ExprKind, FnDecl, FormalParam, Ident, LetDecl, MinimizeFrom, Objective, ParamDecl,
    ProblemDecl, Sense, SetDecl, Stmt, StmtKind, VarDecl,
};

/// Where a list of statements stands.
#[derive(Clone, Copy, PartialEq, Eq)]
pub enum Place {
    /// The file or cell.
    Top,
    /// The body of a problem.
    Problem,
    /// The body of a loop.
    Loop,
}

/// Parses the statements of one source.
pub struct Parser<'a> {
    pub(super) fold: Folder<'a>,
    source: SourceId,
    pub(super) masked: &'a str,
    /// Blocks of the statement being read, by the byte of their `{`: pipelines in braces.
    pub(super) groups: BTreeMap<usize, RawBlock>,
}

/// The constraints after a `subject to`, while they are collected.
struct Section {
    constraints: Vec<Constraint>,
    span: Span,
    docs: Option<String>,
}

impl<'a> Parser<'a> {
    /// A parser of one scanned source.
    pub fn new(source: SourceId, masked: &'a str, diagnostics: &'a mut Diagnostics) -> Self {
        Parser {
            fold: Folder::new(source, diagnostics),
            source,
            masked,
            groups: BTreeMap::new(),
        }
    }

    /// Expression ids given out.
    pub fn exprs(&self) -> u32 {
        self.fold.next_id
    }

    pub(super) fn at(&self, start: usize, end: usize) -> Span {
        Span::new(self.source, start, end)
    }

    /// Parses a list of statements; constraints are gathered under their `subject to`.
    pub fn statements(&mut self, raw: Vec<RawStmt>, place: Place) -> Vec<Stmt> {
        let mut out = vec![];
        let mut section: Option<Section> = None;
        for r in raw {
            let text = &self.masked[r.start..r.end];
            let first = first_word(text);
            let begins = STATEMENT_WORDS.contains(&first) && !named_like(text, first)
                || first == "for"
                || is_assignment(text)
                || lone_command(text)
                || run_command(text)
                || saddle_statement(text);
            if begins {
                close(&mut section, &mut out);
            }
            if first == "subject" && begins && place != Place::Loop {
                section = self.subject(&r);
                if section.is_none() {
                    out.push(self.failed(&r));
                }
                continue;
            }
            match &mut section {
                Some(s) if !begins => {
                    if let Some(c) = self.constraint_line(&r) {
                        s.span = s.span.to(c.span);
                        s.constraints.push(c);
                    }
                }
                _ => out.push(self.statement(r, place)),
            }
        }
        close(&mut section, &mut out);
        out
    }

    fn failed(&self, r: &RawStmt) -> Stmt {
        Stmt {
            kind: StmtKind::Error {
                declares: self.declared_name(r.start, r.end),
            },
            span: self.at(r.start, r.end),
            docs: r.docs.clone(),
        }
    }

    /// The name that a statement seems to declare: the second word after a declaration's, or `name =`.
    fn declared_name(&self, start: usize, end: usize) -> Option<Ident> {
        let text = &self.masked[start..end];
        let first = first_word(text);
        let (word, at) = if is_assignment(text) {
            (first, start)
        } else if [
            "set",
            "param",
            "let",
            "var",
            "fn",
            "problem",
            "optimizer",
            "transform",
            "pipeline",
        ]
        .contains(&keyword_like(first).unwrap_or(first))
        {
            let rest = &text[first.len()..];
            let skipped = rest.len() - rest.trim_start().len();
            (first_word(rest.trim_start()), start + first.len() + skipped)
        } else {
            return None;
        };
        let is_name = word.chars().next().is_some_and(|c| c == '_' || c.is_alphabetic());
        is_name.then(|| Ident {
            text: super::normal(word),
            span: self.at(at, at + word.len()),
        })
    }

    fn statement(&mut self, mut r: RawStmt, place: Place) -> Stmt {
        if r.broken {
            return self.failed(&r);
        }
        let text = &self.masked[r.start..r.end];
        let first = first_word(text);
        let docs = r.docs.take();
        let span = self.at(r.start, r.end);
        let kind = self.kind(&mut r, text, first, place, docs.as_deref());
        let kind = kind.unwrap_or_else(|| StmtKind::Error {
            declares: self.declared_name(r.start, r.end),
        });
        Stmt { kind, span, docs }
    }

    fn kind(&mut self, r: &mut RawStmt, text: &str, first: &str, place: Place, docs: Option<&str>) -> Option<StmtKind> {
        let word_at = self.at(r.start, r.start + first.len());
        if saddle_statement(text) {
            return if first == "objective" {
                self.read(r, Rule::objective).and_then(|p| self.objective(p, place))
            } else {
                self.read(r, Rule::var_decl).and_then(|p| self.var_decl(p))
            };
        }
        let command = if is_assignment(text) {
            let right = text[text.find('=')? + 1..].trim_start();
            if starts_run(right) { "solve" } else { first_word(right) }
        } else if first == "start" && run_command(text) {
            "solve"
        } else {
            first
        };
        if place == Place::Problem {
            let what = match command {
                "solve" | "inspect" | "print" | "assert" | "compare" | "sweep" | "diagnose" | "plot" | "write"
                | "for" | "use" | "seed" | "problem" | "optimizer" | "transform" | "pipeline" | "extern" => command,
                _ => "",
            };
            if !what.is_empty() {
                let d = errors::misplaced(
                    &format!("`{what}`"),
                    "inside a problem",
                    word_at,
                    "put it after the `}` of the problem",
                );
                self.fold.report(d);
                return None;
            }
        }
        if place == Place::Loop {
            let what = match first {
                "set" | "param" | "var" | "fn" | "problem" | "optimizer" | "transform" | "pipeline" | "extern"
                | "use" | "subject" | "assume" => first,
                "minimize" | "maximize" if !text.contains(" from ") => first,
                _ => "",
            };
            if !what.is_empty() {
                let help = match what {
                    "param" => "declare it before the loop; inside, `name = …` gives it a value and `let` names one",
                    _ => "put it before the loop; inside stand commands, `name = …`, `let` and loops",
                };
                let d = errors::misplaced(&format!("`{what}`"), "inside a loop", word_at, help);
                self.fold.report(d);
                return None;
            }
        }
        match command {
            "for" => return self.repeat(r),
            "extern" => {
                let keyword = NOT_BUILT.iter().copied().find(|k| *k == command)?;
                let at = text
                    .find(command)
                    .map_or(word_at, |p| self.at(r.start + p, r.start + p + command.len()));
                self.fold.not_built(Feature::Statement(keyword), at);
                return Some(StmtKind::NotBuilt {
                    keyword: keyword.to_string(),
                    declares: self.declared_name(r.start, r.end),
                });
            }
            _ => {}
        }
        match first {
            "set" => self.read(r, Rule::set_decl).and_then(|p| self.set_decl(p)),
            "param" => self.read(r, Rule::param_decl).and_then(|p| self.param_decl(p)),
            "let" => self
                .read(r, Rule::let_decl)
                .and_then(|p| self.let_decl(p))
                .map(StmtKind::Let),
            "var" => self.read(r, Rule::var_decl).and_then(|p| self.var_decl(p)),
            "fn" => self.fn_decl(r),
            "problem" => self.problem(r),
            "optimizer" | "transform" => self.optimizer(r, docs),
            "pipeline" => self.pipeline(r, docs),
            "source" | "help" if lone_command(text) => self.about(r, first),
            "step" if run_command(text) => self.read(r, Rule::step_run).and_then(|p| self.step_run(p)),
            "rewind" if run_command(text) => self.read(r, Rule::rewind).and_then(|p| self.rewind(p)),
            "minimize" | "maximize" => self.read(r, Rule::objective).and_then(|p| self.objective(p, place)),
            "print" => self.read(r, Rule::print).map(|p| {
                StmtKind::Print(
                    p.into_inner()
                        .filter(|q| q.as_rule() == Rule::expr)
                        .map(|q| self.fold.expr(q))
                        .collect(),
                )
            }),
            "write" => self.read(r, Rule::write).and_then(|p| {
                let mut exprs = p.into_inner().filter(|q| q.as_rule() == Rule::expr);
                let value = self.fold.expr(exprs.next()?);
                let to = self.fold.expr(exprs.next()?);
                Some(StmtKind::Write { value, to })
            }),
            "use" => self.read(r, Rule::use_decl).and_then(|p| {
                let text = p.into_inner().find(|q| q.as_rule() == Rule::text)?;
                Some(StmtKind::Use {
                    path: self.fold.unescape(&text),
                    at: self.fold.span(&text),
                })
            }),
            "inspect" => self.read(r, Rule::inspect).and_then(|p| self.inspect(p)),
            "diagnose" => self.read(r, Rule::diagnose).map(|p| self.diagnose(p)),
            "assume" => self.read(r, Rule::assume).and_then(|p| self.assume(p)),
            "assert" => self.read(r, Rule::assert).and_then(|p| self.assert(p)),
            "seed" => self
                .read(r, Rule::seed)
                .and_then(|p| self.one_expr(p))
                .map(StmtKind::Seed),
            _ if command == "solve" => self.solve_line(r),
            _ if command == "compare" => self.compare(r),
            _ if command == "sweep" => self.sweep(r),
            _ if command == "plot" => self.plot(r),
            _ if is_assignment(text) => self.read(r, Rule::assign).and_then(|p| self.assign(p)),
            _ => self.lone(r, text, first, place),
        }
    }

    /// `[s =] solve …`.
    pub(super) fn solve_line(&mut self, r: &mut RawStmt) -> Option<StmtKind> {
        self.lend_groups(r);
        self.read(r, Rule::solve).and_then(|p| self.solve(p))
    }

    /// A statement that begins with no word of its own: an expression, or nothing.
    fn lone(&mut self, r: &RawStmt, text: &str, first: &str, place: Place) -> Option<StmtKind> {
        if let Some(d) = habits::compound(text, "=", &|a, b| self.at(r.start + a, r.start + b)) {
            self.fold.report(d);
            return None;
        }
        let after = text[first.len()..].trim_start();
        // Two words beside one another: the first was meant to begin a statement.
        let next = after.chars().next();
        let beside = !first.is_empty()
            && !is_reserved(first)
            && next.is_some_and(|c| c.is_alphanumeric() || c == '_' || c == '"')
            && !matches!(first_word(after), "in" | "and" | "or" | "div" | "complements");
        if beside {
            let at = self.at(r.start, r.start + first.len());
            let d = match first {
                "def" | "function" | "func" | "fun" if !self.declares_function(r, first) => {
                    let head = habits::behind_colon(text).map_or(text, |(head, _, _)| head);
                    crate::lang::errors::habits::def(first, head, at)
                }
                _ => errors::unknown_statement(first, keyword_like(first), at),
            };
            self.fold.report(d);
            return None;
        }
        if text.starts_with('{') && !r.blocks.is_empty() {
            let at = self.at(r.start, r.start + 1);
            self.fold.report(errors::unexpected("{", "", at));
            return None;
        }
        let begin = self.at(r.start, r.start);
        if label_like(text) {
            let constraint = self.read(r, Rule::constraint_line)?;
            let at = self.fold.span(&constraint);
            self.fold.report(errors::lone_expression(at, true, begin));
            return None;
        }
        let e = self.read(r, Rule::lone_expr).and_then(|p| self.one_expr(p))?;
        let relation = matches!(e.kind, ExprKind::Compare { .. });
        if !matches!(e.kind, ExprKind::Error) {
            let d = if place == Place::Problem && !relation {
                errors::misplaced(
                    "an expression on its own",
                    "in a problem",
                    e.span,
                    "begin it with `minimize`, or make it a constraint after `subject to`",
                )
            } else {
                errors::lone_expression(e.span, relation, begin)
            };
            self.fold.report(d);
        }
        None
    }

    /// Is it a function but for its first word?
    fn declares_function(&self, r: &RawStmt, first: &str) -> bool {
        let end = r.blocks.first().map_or(r.end, |b| b.open);
        let text = format!("fn{}", self.masked.get(r.start + first.len()..end).unwrap_or(""));
        let rule = if r.blocks.is_empty() {
            Rule::fn_decl
        } else {
            Rule::fn_block
        };
        Grammar::parse(rule, &text).is_ok()
    }

    /// Runs one rule over a statement; reports and answers nothing if it does not match.
    pub(super) fn read(&mut self, r: &RawStmt, rule: Rule) -> Option<Pair<'a, Rule>> {
        self.read_range(r.start, r.end, rule)
    }

    pub(super) fn read_range(&mut self, start: usize, end: usize, rule: Rule) -> Option<Pair<'a, Rule>> {
        let masked: &'a str = self.masked;
        let text = masked.get(start..end)?;
        self.fold.base = start;
        match Grammar::parse(rule, text) {
            Ok(mut pairs) => pairs.next(),
            Err(e) => {
                let at = match e.location {
                    InputLocation::Pos(p) | InputLocation::Span((p, _)) => p,
                };
                match &e.variant {
                    ErrorVariant::ParsingError { positives, .. } => self.explain(start, text, at, positives, rule),
                    ErrorVariant::CustomError { .. } => {
                        let d = errors::too_deep(self.at(start + at, start + at + 1));
                        self.fold.report(d);
                    }
                }
                None
            }
        }
    }

    /// Says why the grammar stopped at a byte of a statement.
    fn explain(&mut self, start: usize, text: &str, at: usize, positives: &[Rule], rule: Rule) {
        let rest = text.get(at..).unwrap_or("");
        let skipped = rest.len() - rest.trim_start().len();
        let token = token_at(rest.trim_start());
        let from = start + at + skipped;
        let place = self.at(from, from + token.len());
        let before = text.get(..at).unwrap_or("").trim_end();
        let declares = matches!(
            rule,
            Rule::set_decl
                | Rule::param_decl
                | Rule::let_decl
                | Rule::var_decl
                | Rule::fn_decl
                | Rule::assign
                | Rule::solve
        );
        let ends_operand = before
            .chars()
            .last()
            .is_some_and(|c| c.is_alphanumeric() || matches!(c, '_' | ')' | ']' | '}' | '\'' | '"'))
            && !is_reserved(last_word(before));
        let begins_operand = token
            .chars()
            .next()
            .is_some_and(|c| c.is_alphanumeric() || matches!(c, '_' | '"'));
        let stop = habits::Stop {
            text,
            at: at + skipped,
            token,
            rule,
            positives,
        };
        let d = if let Some(d) = stop.meant(&|a, b| self.at(start + a, start + b)) {
            d
        } else if token.is_empty() {
            let end = self.at(start + before.len().saturating_sub(1), start + before.len());
            errors::unexpected("", &grammar::expected(positives), end)
        } else if is_reserved(token) && grammar::wants_name(positives) && !STATEMENT_WORDS.contains(&token)
            || is_reserved(token) && positives.iter().all(|p| *p == Rule::name)
        {
            errors::reserved_word(token, place)
        } else if token == "="
            && ends_operand
            && !(declares && positives.contains(&Rule::eq))
            && depth_or_relation(rule, before)
        {
            errors::equals_in_expression(place)
        } else if ends_operand && begins_operand && !grammar::wants_operand(positives) && !is_reserved(token) {
            errors::juxtaposed(token, place)
        } else {
            errors::unexpected(token, &grammar::expected(positives), place)
        };
        self.fold.report(d);
    }

    pub(super) fn one_expr(&mut self, p: Pair<'a, Rule>) -> Option<Expr> {
        let e = p.into_inner().find(|q| q.as_rule() == Rule::expr)?;
        Some(self.fold.expr(e))
    }

    fn set_decl(&mut self, p: Pair<'a, Rule>) -> Option<StmtKind> {
        let (mut name, mut within, mut value) = (None, None, None);
        let mut family = None;
        for q in p.into_inner() {
            match q.as_rule() {
                Rule::name => name = Some(self.fold.ident(&q)),
                Rule::family => family = self.family(q),
                Rule::tight => within = Some(self.fold.expr(q)),
                Rule::expr => value = Some(self.fold.expr(q)),
                _ => {}
            }
        }
        Some(StmtKind::Set(SetDecl {
            name: name?,
            family,
            within,
            value: value?,
        }))
    }

    fn check(&mut self, p: Pair<'a, Rule>) -> Option<Check> {
        let span = self.fold.span(&p);
        let mut inner = p.into_inner();
        let op = compare_op(inner.next()?.as_rule());
        let value = self.fold.expr(inner.next()?);
        let value = if op == crate::lang::syntax::CompareOp::In {
            self.fold.member_of(value)
        } else {
            value
        };
        Some(Check { op, value, span })
    }

    fn checks(&mut self, p: Pair<'a, Rule>) -> Vec<Check> {
        p.into_inner().filter_map(|c| self.check(c)).collect()
    }

    fn param_decl(&mut self, p: Pair<'a, Rule>) -> Option<StmtKind> {
        let (mut name, mut ty, mut checks, mut default, mut value) = (None, None, vec![], None, None);
        for q in p.into_inner() {
            match q.as_rule() {
                Rule::name => name = Some(self.fold.ident(&q)),
                Rule::type_expr => ty = Some(self.fold.type_expr(q)),
                Rule::checks => checks = self.checks(q),
                Rule::default_clause => {
                    let e = q.into_inner().find(|x| x.as_rule() == Rule::tight)?;
                    default = Some(self.fold.expr(e));
                }
                Rule::expr => value = Some(self.fold.expr(q)),
                _ => {}
            }
        }
        Some(StmtKind::Param(ParamDecl {
            name: name?,
            ty,
            checks,
            default,
            value,
        }))
    }

    pub(super) fn let_decl(&mut self, p: Pair<'a, Rule>) -> Option<LetDecl> {
        let span = self.fold.span(&p);
        let (mut name, mut ty, mut value) = (None, None, None);
        for q in p.into_inner() {
            match q.as_rule() {
                Rule::name => name = Some(self.fold.ident(&q)),
                Rule::type_expr => ty = Some(self.fold.type_expr(q)),
                Rule::expr => value = Some(self.fold.expr(q)),
                _ => {}
            }
        }
        Some(LetDecl {
            name: name?,
            ty,
            value: value?,
            span,
        })
    }

    fn var_decl(&mut self, p: Pair<'a, Rule>) -> Option<StmtKind> {
        let (mut name, mut ty, mut bounds, mut start, mut scale) = (None, None, vec![], None, None);
        let mut side = None;
        for q in p.into_inner() {
            let at = self.fold.span(&q);
            match q.as_rule() {
                Rule::kw_min => side = Some(Sense::Minimize),
                Rule::kw_max => side = Some(Sense::Maximize),
                Rule::name => name = Some(self.fold.ident(&q)),
                Rule::type_expr => ty = Some(self.fold.type_expr(q)),
                Rule::checks => bounds = self.checks(q),
                Rule::start_clause | Rule::scale_clause => {
                    let (slot, word) = if q.as_rule() == Rule::start_clause {
                        (&mut start, "from")
                    } else {
                        (&mut scale, "scale")
                    };
                    if slot.is_some() {
                        self.fold.report(errors::clause(
                            format!("`{word}` is given twice"),
                            at,
                            "keep one of them",
                        ));
                    }
                    *slot = q
                        .into_inner()
                        .find(|x| x.as_rule() == Rule::expr)
                        .map(|x| self.fold.expr(x));
                }
                _ => {}
            }
        }
        Some(StmtKind::Var(VarDecl {
            side,
            name: name?,
            ty: ty?,
            bounds,
            start,
            scale,
        }))
    }

    pub(super) fn formals(&mut self, p: Pair<'a, Rule>) -> Vec<FormalParam> {
        let mut out = vec![];
        for f in p.into_inner() {
            let (mut name, mut ty, mut checks, mut default) = (None, None, vec![], None);
            for q in f.into_inner() {
                match q.as_rule() {
                    Rule::name => name = Some(self.fold.ident(&q)),
                    Rule::type_expr => ty = Some(self.fold.type_expr(q)),
                    Rule::formal_checks => checks = self.checks(q),
                    Rule::expr => default = Some(self.fold.expr(q)),
                    _ => {}
                }
            }
            if let (Some(name), Some(ty)) = (name, ty) {
                out.push(FormalParam {
                    name,
                    ty,
                    checks,
                    default,
                });
            }
        }
        out
    }

    fn fn_decl(&mut self, r: &mut RawStmt) -> Option<StmtKind> {
        let block = (!r.blocks.is_empty()).then(|| r.blocks.remove(0));
        let pair = match &block {
            Some(b) => self.read_range(r.start, b.open, Rule::fn_block)?,
            None => self.read(r, Rule::fn_decl)?,
        };
        let (mut name, mut params, mut result, mut body) = (None, vec![], None, None);
        for q in pair.into_inner() {
            match q.as_rule() {
                Rule::name => name = Some(self.fold.ident(&q)),
                Rule::formals => params = self.formals(q),
                Rule::type_expr => result = Some(self.fold.type_expr(q)),
                Rule::expr => body = Some(self.fold.expr(q)),
                _ => {}
            }
        }
        let mut lets = vec![];
        if let Some(b) = block {
            self.nothing_after(b.close, r.end)?;
            let mut lines = b.statements;
            let last = lines.pop();
            for line in &lines {
                if line.broken {
                    return None;
                }
                let text = &self.masked[line.start..line.end];
                if first_word(text) != "let" {
                    let d = errors::misplaced(
                        "this line",
                        "in the body of a function",
                        self.at(line.start, line.end),
                        "a body is `let` lines and a last line, its value",
                    );
                    self.fold.report(d);
                    return None;
                }
                let p = self.read(line, Rule::let_decl)?;
                lets.push(self.let_decl(p)?);
            }
            match last {
                Some(line) if line.broken => return None,
                Some(line) if first_word(&self.masked[line.start..line.end]) == "let" => {
                    let d = errors::misplaced(
                        "a `let`",
                        "last in the body of a function",
                        self.at(line.start, line.end),
                        "the last line is the function's value",
                    );
                    self.fold.report(d);
                    return None;
                }
                Some(line) => body = self.read(&line, Rule::lone_expr).and_then(|p| self.one_expr(p)),
                None => {
                    let at = self.at(b.open, b.close.max(b.open + 1));
                    self.fold.report(errors::unexpected(
                        "",
                        "the function's value as the last line of its body",
                        at,
                    ));
                    return None;
                }
            }
        }
        Some(StmtKind::Fn(FnDecl {
            name: name?,
            params,
            result,
            lets,
            body: body?,
        }))
    }

    /// Reports what stands between the `}` of a block and the end of its statement.
    pub(super) fn nothing_after(&mut self, close: usize, end: usize) -> Option<()> {
        let tail = self.masked.get(close + 1..end).unwrap_or("");
        if tail.trim().is_empty() {
            return Some(());
        }
        let skipped = tail.len() - tail.trim_start().len();
        let d = errors::after_block(self.at(close + 1 + skipped, end));
        self.fold.report(d);
        None
    }

    fn problem(&mut self, r: &mut RawStmt) -> Option<StmtKind> {
        if r.blocks.is_empty() {
            let text = &self.masked[r.start..r.end];
            if text.contains('=') && Grammar::parse(Rule::problem_read, text).is_ok() {
                let at = self.at(r.start, r.end);
                self.fold.not_built(Feature::Statement("read model"), at);
                return Some(StmtKind::NotBuilt {
                    keyword: "problem".to_string(),
                    declares: self.declared_name(r.start, r.end),
                });
            }
            self.read(r, Rule::problem_head)?;
            let d = errors::unexpected("", "`{` and the body of the problem", self.at(r.end - 1, r.end));
            self.fold.report(d);
            return None;
        }
        let block = r.blocks.remove(0);
        let head = self.read_range(r.start, block.open, Rule::problem_head);
        let (mut name, mut params) = (None, vec![]);
        if let Some(head) = head {
            for q in head.into_inner() {
                match q.as_rule() {
                    Rule::name => name = Some(self.fold.ident(&q)),
                    Rule::formals => params = self.formals(q),
                    _ => {}
                }
            }
        }
        let body = self.statements(block.statements, Place::Problem);
        self.nothing_after(block.close, r.end)?;
        Some(StmtKind::Problem(ProblemDecl {
            name: name?,
            params,
            body,
        }))
    }

    fn objective(&mut self, p: Pair<'a, Rule>, place: Place) -> Option<StmtKind> {
        let (mut sense, mut label, mut expr, mut starts) = (Sense::Minimize, None, None, None);
        for q in p.into_inner() {
            let at = self.fold.span(&q);
            match q.as_rule() {
                Rule::kw_maximize => sense = Sense::Maximize,
                Rule::kw_objective => sense = Sense::Saddle,
                Rule::label => label = q.into_inner().next().map(|n| self.fold.ident(&n)),
                Rule::expr => expr = Some(self.fold.expr(q)),
                Rule::starts => starts = Some((self.starts(q), at)),
                _ => {}
            }
        }
        let objective = Objective {
            sense,
            label,
            expr: expr?,
        };
        match starts {
            None => Some(StmtKind::Objective(objective)),
            Some((_, at)) if place == Place::Problem => {
                self.fold.report(errors::clause(
                    "`from` after an objective stands outside of problems",
                    at,
                    "a variable's start stands in its declaration: `var x: Real from 1`",
                ));
                None
            }
            Some((starts, _)) => Some(StmtKind::MinimizeFrom(MinimizeFrom { objective, starts })),
        }
    }

    pub(super) fn starts(&mut self, p: Pair<'a, Rule>) -> Vec<(Ident, Expr)> {
        let mut out = vec![];
        for s in p.into_inner() {
            let (mut name, mut value) = (None, None);
            for q in s.into_inner() {
                match q.as_rule() {
                    Rule::name => name = Some(self.fold.ident(&q)),
                    Rule::expr => value = Some(self.fold.expr(q)),
                    _ => {}
                }
            }
            if let (Some(n), Some(v)) = (name, value) {
                out.push((n, v));
            }
        }
        out
    }

    fn subject(&mut self, r: &RawStmt) -> Option<Section> {
        if r.broken {
            // Its constraint was reported; the lines after it are constraints all the same.
            return Some(Section {
                constraints: vec![],
                span: self.at(r.start, r.end),
                docs: r.docs.clone(),
            });
        }
        let text = &self.masked[r.start..r.end];
        let rest = text["subject".len()..]
            .trim_start()
            .strip_prefix("to")
            .map(str::trim_start);
        if rest.is_some_and(|t| t.starts_with(':')) {
            let colon = r.start + text.find(':').unwrap_or(0);
            let at = self.at(colon, colon + 1);
            let d = errors::unexpected(":", "the constraints", at).help_edit("`subject to` takes no colon", at, "");
            self.fold.report(d);
            return Some(Section {
                constraints: vec![],
                span: self.at(r.start, r.end),
                docs: r.docs.clone(),
            });
        }
        let mut constraints = vec![];
        if let Some(p) = self.read(r, Rule::subject)
            && let Some(c) = p.into_inner().find(|q| q.as_rule() == Rule::constraint)
        {
            constraints.extend(self.constraint(c, None));
        }
        Some(Section {
            constraints,
            span: self.at(r.start, r.end),
            docs: r.docs.clone(),
        })
    }

    fn constraint_line(&mut self, r: &RawStmt) -> Option<Constraint> {
        if r.broken {
            return None;
        }
        let p = self.read(r, Rule::constraint_line)?;
        let c = p.into_inner().find(|q| q.as_rule() == Rule::constraint)?;
        self.constraint(c, r.docs.clone())
    }

    fn constraint(&mut self, p: Pair<'a, Rule>, docs: Option<String>) -> Option<Constraint> {
        let span = self.fold.span(&p);
        let (mut label, mut binders, mut relation) = (None, None, None);
        for q in p.into_inner() {
            match q.as_rule() {
                Rule::named_family => {
                    for x in q.into_inner() {
                        match x.as_rule() {
                            Rule::name => label = Some(self.fold.ident(&x)),
                            Rule::family => binders = self.family(x),
                            _ => {}
                        }
                    }
                }
                Rule::family => binders = self.family(q),
                Rule::expr => relation = Some(self.fold.expr(q)),
                _ => {}
            }
        }
        Some(Constraint {
            label,
            binders,
            relation: relation?,
            span,
            docs,
        })
    }

    fn family(&mut self, p: Pair<'a, Rule>) -> Option<crate::lang::syntax::Binders> {
        p.into_inner().next().map(|b| self.fold.binders(b))
    }
}

/// Words that begin statements of parts that are not built.
const NOT_BUILT: &[&str] = &["extern"];

/// Ends a `subject to` and keeps it.
fn close(section: &mut Option<Section>, out: &mut Vec<Stmt>) {
    if let Some(s) = section.take() {
        out.push(Stmt {
            kind: StmtKind::SubjectTo(s.constraints),
            span: s.span,
            docs: s.docs,
        });
    }
}
