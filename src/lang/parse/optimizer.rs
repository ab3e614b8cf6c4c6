//! Optimizers, transforms and pipelines: their heads, blocks and lines.
//!
//! Invariant: a line that was reported is left out of its block; the definition keeps its name.

use pest::iterators::Pair;

use super::classify::{first_word, keyword_like};
use super::grammar::Rule;
use super::habits;
use super::scan::{RawBlock, RawStmt};
use super::stmt::Parser;
use crate::base::Span;
use crate::lang::errors::{habits as foreign, syntax as errors};
use crate::lang::syntax::{
    CountUnit, Entrant, Expr, Ident, MethodCall, OptimizerDecl, Pipeline, PipelineDecl, Role, Side, Stage, StepKind,
    StepStmt, StmtKind,
};

impl<'a> Parser<'a> {
    pub(super) fn optimizer(&mut self, r: &mut RawStmt, docs: Option<&str>) -> Option<StmtKind> {
        let whole = self.at(r.start, r.end);
        if r.blocks.is_empty() {
            self.read(r, Rule::optimizer_head)?;
            let d = errors::unexpected(
                "",
                "`{` and the body, `state` lines and a `step`",
                self.at(r.end - 1, r.end),
            );
            self.fold.report(d);
            return None;
        }
        let block = r.blocks.remove(0);
        let (said, torn) = (self.fold.diagnostics.len(), torn(&block));
        let head = self.read_range(r.start, block.open, Rule::optimizer_head)?;
        let (mut role, mut name, mut params, mut side) = (Role::Optimizer, None, vec![], None);
        for q in head.into_inner() {
            match q.as_rule() {
                Rule::kw_transform => role = Role::Transform,
                Rule::name => name = Some(self.fold.ident(&q)),
                Rule::formals => params = self.formals(q),
                Rule::side => {
                    side = Some(match q.as_str() {
                        "gradient" => Side::Gradient,
                        _ => Side::Update,
                    });
                }
                _ => {}
            }
        }
        let (mut states, mut t, mut step, mut stepped) = (vec![], None, vec![], false);
        let is_step = |l: &RawStmt| !l.blocks.is_empty() && first_word(&self.masked[l.start..l.end]) == "step";
        if !block.statements.iter().any(is_step) {
            // That its lines stand outside of it is no further mistake.
            if !torn {
                let d = errors::unexpected("", "a `step t { … }`", self.at(block.open, block.open + 1))
                    .help("`state` lines stand before it, what is done in every step stands in it");
                self.fold.report(d);
            }
            return None;
        }
        for mut line in block.statements {
            let text = &self.masked[line.start..line.end];
            let at = self.at(line.start, line.start + first_word(text).len().max(1));
            match first_word(text) {
                "step" if !line.blocks.is_empty() && !stepped => {
                    stepped = true;
                    let inner = line.blocks.remove(0);
                    if let Some(p) = self.read_range(line.start, inner.open, Rule::step_head) {
                        t = p
                            .into_inner()
                            .find(|q| q.as_rule() == Rule::name)
                            .map(|q| self.fold.ident(&q));
                    }
                    self.nothing_after(inner.close, line.end);
                    step = self.step_lines(inner);
                }
                "step" if stepped => {
                    let d = errors::misplaced("a second `step`", "in one definition", at, "put both into one `step`");
                    self.fold.report(d);
                }
                "state" | "each" if stepped => {
                    let d = errors::misplaced("a `state`", "after the step", at, "put it before the `step`");
                    self.fold.report(d);
                }
                _ => states.extend(self.step_line(line, true)),
            }
        }
        self.nothing_after(block.close, r.end)?;
        let name = name?;
        Some(StmtKind::Optimizer(Box::new(OptimizerDecl {
            role,
            name,
            params,
            of: side,
            states,
            t,
            step,
            docs: docs.map(str::to_string),
            broken: torn || self.fold.diagnostics.len() > said,
            span: whole,
        })))
    }

    fn step_lines(&mut self, block: RawBlock) -> Vec<StepStmt> {
        block
            .statements
            .into_iter()
            .filter_map(|line| self.step_line(line, false))
            .collect()
    }

    /// A line of a step, or of the part before it.
    fn step_line(&mut self, mut r: RawStmt, outside: bool) -> Option<StepStmt> {
        if r.broken {
            return None;
        }
        let masked: &'a str = self.masked;
        let text = &masked[r.start..r.end];
        let first = first_word(text);
        let span = self.at(r.start, r.end);
        let word = self.at(r.start, r.start + first.len().max(1));
        if outside && !matches!(first, "state" | "each") {
            let d = errors::misplaced(
                "this line",
                "outside of the `step`",
                span,
                "before the `step` stand `state name = value` lines, and `each X: Matrix[p, q] in x { … }` with such lines in it",
            );
            self.fold.report(d);
            return None;
        }
        let kind = match first {
            "if" | "while" | "for" if r.blocks.is_empty() && habits::behind_colon(text).is_some() => {
                let (head, line, colon) = habits::behind_colon(text)?;
                let at = self.at(r.start + colon, r.start + colon + 1);
                let d = foreign::line_by_colon(head, line, at, self.at(r.start + colon, r.end));
                self.fold.report(d);
                return None;
            }
            "if" | "while" | "for" | "each" if r.blocks.is_empty() => {
                let d = errors::unexpected("", "`{` and what is done", self.at(r.end.saturating_sub(1), r.end));
                self.fold.report(d);
                return None;
            }
            "if" => self.if_line(&mut r)?,
            "while" => {
                let b = r.blocks.remove(0);
                let condition = self.head_expr(r.start, b.open, Rule::while_line)?;
                self.nothing_after(b.close, r.end)?;
                let body = self.step_lines(b);
                StepKind::While { condition, body }
            }
            "for" => {
                let b = r.blocks.remove(0);
                let p = self.read_range(r.start, b.open, Rule::for_line)?;
                let (mut name, mut set) = (None, None);
                for q in p.into_inner() {
                    match q.as_rule() {
                        Rule::name => name = Some(self.fold.ident(&q)),
                        Rule::expr => set = Some(self.fold.expr(q)),
                        _ => {}
                    }
                }
                self.nothing_after(b.close, r.end)?;
                let body = self.step_lines(b);
                StepKind::For {
                    name: name?,
                    set: set?,
                    body,
                }
            }
            "each" => self.each_line(&mut r, outside)?,
            "state" if text.find(':').is_some_and(|p| p < text.find('=').unwrap_or(text.len())) => {
                let p = text.find(':').unwrap_or_default();
                let at = self.at(r.start + p, r.start + p + 1);
                let d = errors::unexpected(":", "`=` and the value at the start", at)
                    .help("a state has the type of its first value: `state k = 0`, `state v = zeros(x)`");
                self.fold.report(d);
                return None;
            }
            "state" => {
                let (name, value) = self.named(&r, Rule::state_line)?;
                if !outside {
                    let help = "put it before the `step`; a `let` is a value of this step alone";
                    self.fold
                        .report(errors::misplaced("a `state`", "inside the step", word, help));
                    return None;
                }
                StepKind::State { name, value }
            }
            "let" => {
                let p = self.read(&r, Rule::let_decl)?;
                StepKind::Let(self.let_decl(p)?)
            }
            "record" => {
                let (name, value) = self.named(&r, Rule::record_line)?;
                StepKind::Record { name, value }
            }
            "stop" | "restart" => {
                let e = self.head_expr(r.start, r.end, Rule::when_line)?;
                if first == "stop" {
                    StepKind::Stop(e)
                } else {
                    StepKind::Restart(e)
                }
            }
            "fail" if text[4..].trim_start().starts_with("when") && !text.contains(':') => {
                let at = self.at(r.end.saturating_sub(1), r.end);
                let d = errors::unexpected("", "`:` and the reason", at)
                    .help(format!("`{} : \"why\"`", text.trim_end()).replace(" :", ":"));
                self.fold.report(d);
                return None;
            }
            "fail" if text[4..].trim_start().starts_with("when") => {
                let p = self.read(&r, Rule::fail_line)?;
                let (mut condition, mut why) = (None, None);
                for q in p.into_inner() {
                    match q.as_rule() {
                        Rule::expr => condition = Some(self.fold.expr(q)),
                        Rule::text => why = Some(self.fold.unescape(&q)),
                        _ => {}
                    }
                }
                StepKind::Fail {
                    condition: condition?,
                    why: why?,
                }
            }
            _ if text.contains("<-") => {
                let p = self.read(&r, Rule::update_line)?;
                let (mut name, mut block, mut entry, mut value) = (None, None, None, None);
                for q in p.into_inner() {
                    match q.as_rule() {
                        Rule::place => {
                            for x in q.into_inner() {
                                if x.as_rule() == Rule::place_entry {
                                    entry = x.into_inner().next().map(|e| self.fold.expr(e));
                                    continue;
                                }
                                let id = self.fold.ident(&x);
                                if name.is_none() {
                                    name = Some(id);
                                } else {
                                    block = Some(id);
                                }
                            }
                        }
                        Rule::expr => value = Some(self.fold.expr(q)),
                        _ => {}
                    }
                }
                StepKind::Update {
                    name: name?,
                    block,
                    entry,
                    value: value?,
                }
            }
            _ => {
                self.no_step_line(text, first, &r);
                return None;
            }
        };
        Some(StepStmt { kind, span })
    }

    fn no_step_line(&mut self, text: &str, first: &str, r: &RawStmt) {
        let word = self.at(r.start, r.start + first.len());
        let meant = habits::compound(text, "<-", &|a, b| self.at(r.start + a, r.start + b))
            .or_else(|| foreign::not_in_a_step(first, text[first.len()..].trim(), word));
        if let Some(d) = meant {
            self.fold.report(d);
            return;
        }
        let after = text[first.len()..].trim_start();
        let equals = text
            .find('=')
            .filter(|_| after.starts_with('=') && !after.starts_with("=="));
        let d = match equals {
            Some(p) => {
                let at = self.at(r.start + p, r.start + p + 1);
                errors::unexpected("=", "an update `<-`", at).help_edit(
                    format!("`{first} <- …` changes a state; `let {first} = …` names a value of this step"),
                    at,
                    "<-",
                )
            }
            None => {
                let at = self.at(r.start, r.start + first.len().max(1));
                let like = keyword_like(first).filter(|k| matches!(*k, "let"));
                errors::unknown_statement(if first.is_empty() { text } else { first }, like, at).note(
                    "a step is made of `let`, updates `v <- e`, `if`, `for`, `while`, `each`, `record`, `stop when`, `restart when` and `fail when`",
                )
            }
        };
        self.fold.report(d);
    }

    fn if_line(&mut self, r: &mut RawStmt) -> Option<StepKind> {
        let mut blocks = std::mem::take(&mut r.blocks).into_iter();
        let first = blocks.next()?;
        let condition = self.head_expr(r.start, first.open, Rule::if_line)?;
        let mut arms = vec![];
        let mut close = first.close;
        let then = self.step_lines(first);
        let mut last = None;
        for b in blocks {
            let text = self.masked.get(close + 1..b.open).unwrap_or("").trim();
            let inner = text.strip_prefix("else").map(str::trim_start);
            if inner.is_some_and(|t| first_word(t) == "if") {
                let c = self.head_expr(close + 1, b.open, Rule::else_if_line)?;
                let end = b.close;
                let body = self.step_lines(b);
                arms.push((c, body, close + 1, end));
                close = end;
                continue;
            }
            self.read_range(close + 1, b.open, Rule::else_line)?;
            close = b.close;
            last = Some(self.step_lines(b));
            break;
        }
        self.nothing_after(close, r.end)?;
        let mut otherwise = last.unwrap_or_default();
        for (condition, then, start, end) in arms.into_iter().rev() {
            otherwise = vec![StepStmt {
                kind: StepKind::If {
                    condition,
                    then,
                    otherwise,
                },
                span: self.at(start, end + 1),
            }];
        }
        Some(StepKind::If {
            condition,
            then,
            otherwise,
        })
    }

    fn each_line(&mut self, r: &mut RawStmt, outside: bool) -> Option<StepKind> {
        let mut blocks = std::mem::take(&mut r.blocks).into_iter();
        let first = blocks.next()?;
        let p = self.read_range(r.start, first.open, Rule::each_line)?;
        let (mut names, mut ty) = (vec![], None);
        for q in p.into_inner() {
            match q.as_rule() {
                Rule::name => names.push(self.fold.ident(&q)),
                Rule::type_expr => ty = Some(self.fold.type_expr(q)),
                _ => {}
            }
        }
        let mut close = first.close;
        let lines = |p: &mut Self, b: RawBlock| -> Vec<StepStmt> {
            b.statements
                .into_iter()
                .filter_map(|l| p.step_line(l, outside))
                .collect()
        };
        let body = lines(self, first);
        let mut otherwise = vec![];
        if let Some(b) = blocks.next() {
            self.read_range(close + 1, b.open, Rule::else_line)?;
            close = b.close;
            otherwise = lines(self, b);
        }
        self.nothing_after(close, r.end)?;
        let of = names.pop()?;
        Some(StepKind::Each {
            name: names.pop()?,
            ty,
            of,
            body,
            otherwise,
        })
    }

    /// The expression of a line that is a word and an expression.
    fn head_expr(&mut self, start: usize, end: usize, rule: Rule) -> Option<Expr> {
        let p = self.read_range(start, end, rule)?;
        self.one_expr(p)
    }

    /// `word name = value`.
    fn named(&mut self, r: &RawStmt, rule: Rule) -> Option<(Ident, Expr)> {
        let p = self.read(r, rule)?;
        let (mut name, mut value) = (None, None);
        for q in p.into_inner() {
            match q.as_rule() {
                Rule::name => name = Some(self.fold.ident(&q)),
                Rule::expr => value = Some(self.fold.expr(q)),
                _ => {}
            }
        }
        Some((name?, value?))
    }

    pub(super) fn pipeline(&mut self, r: &mut RawStmt, docs: Option<&str>) -> Option<StmtKind> {
        self.lend_groups(r);
        let p = self.read(r, Rule::pipeline_decl)?;
        let (mut name, mut params, mut body) = (None, vec![], None);
        for q in p.into_inner() {
            match q.as_rule() {
                Rule::name => name = Some(self.fold.ident(&q)),
                Rule::formals => params = self.formals(q),
                Rule::stages => body = self.stages(q),
                _ => {}
            }
        }
        Some(StmtKind::Pipeline(Box::new(PipelineDecl {
            name: name?,
            params,
            body: body?,
            docs: docs.map(str::to_string),
        })))
    }

    pub(super) fn stages(&mut self, p: Pair<'a, Rule>) -> Option<Pipeline> {
        let span = self.fold.span(&p);
        let mut stages = vec![];
        for q in p.into_inner().filter(|q| q.as_rule() == Rule::stage) {
            stages.push(self.stage(q)?);
        }
        Some(Pipeline { stages, span })
    }

    /// Keeps the blocks of a statement at hand for the parts that they stand behind.
    pub(super) fn lend_groups(&mut self, r: &mut RawStmt) {
        self.groups.extend(r.blocks.drain(..).map(|b| (b.open, b)));
    }

    /// The pipelines in the braces at a place, one a line; those that cannot be read are reported and left out. Nothing if
    /// that is all of them.
    pub(super) fn entrants(&mut self, at: Span) -> Option<Vec<Entrant>> {
        let Some(block) = self.groups.remove(&(at.start as usize)) else {
            return Some(vec![]);
        };
        let base = self.fold.base;
        let mut out = vec![];
        let empty = block.statements.is_empty();
        for mut line in block.statements {
            if line.broken {
                continue;
            }
            self.lend_groups(&mut line);
            let Some(p) = self.read(&line, Rule::entrant) else {
                continue;
            };
            let (mut label, mut pipeline) = (None, None);
            for q in p.into_inner() {
                match q.as_rule() {
                    Rule::name => label = Some(self.fold.ident(&q)),
                    Rule::stages => pipeline = self.stages(q),
                    _ => {}
                }
            }
            out.extend(pipeline.map(|pipeline| Entrant { label, pipeline }));
        }
        self.fold.base = base;
        (empty || !out.is_empty()).then_some(out)
    }

    fn stage(&mut self, p: Pair<'a, Rule>) -> Option<Stage> {
        let mut s = Stage {
            parts: vec![],
            count: None,
            until: None,
            within: None,
            span: self.fold.span(&p),
        };
        for q in p.into_inner() {
            let at = self.fold.span(&q);
            let twice = match q.as_rule() {
                Rule::stage_for if s.count.is_some() => "for",
                Rule::stage_until if s.until.is_some() => "until",
                Rule::within_clause if s.within.is_some() => "within",
                _ => "",
            };
            if !twice.is_empty() {
                let d = errors::clause(format!("`{twice}` is given twice"), at, "keep one of them");
                self.fold.report(d);
            }
            match q.as_rule() {
                Rule::part => {
                    let (mut name, mut args, mut group) = (None, vec![], None);
                    for x in q.into_inner() {
                        match x.as_rule() {
                            Rule::name => name = Some(self.fold.ident(&x)),
                            Rule::call_args => args = self.call_args(x),
                            Rule::group => group = Some(self.entrants(self.fold.span(&x))?),
                            _ => {}
                        }
                    }
                    s.parts.push(MethodCall {
                        name: name?,
                        args,
                        group,
                        span: at,
                    });
                }
                Rule::stage_for => {
                    let (mut e, mut unit) = (None, CountUnit::Steps);
                    for x in q.into_inner() {
                        match x.as_rule() {
                            Rule::tight => e = Some(self.fold.expr(x)),
                            Rule::count_unit => {
                                unit = match x.as_str() {
                                    "evaluation" | "evaluations" => CountUnit::Evaluations,
                                    "epoch" | "epochs" => CountUnit::Epochs,
                                    _ => CountUnit::Steps,
                                }
                            }
                            _ => {}
                        }
                    }
                    s.count = Some((e?, unit));
                }
                Rule::stage_until => s.until = self.one_expr(q),
                Rule::within_clause => s.within = self.within(q),
                _ => {}
            }
        }
        Some(s)
    }

    /// `source NAME`, `help NAME`.
    pub(super) fn about(&mut self, r: &RawStmt, word: &str) -> Option<StmtKind> {
        let rule = if word == "source" {
            Rule::source_line
        } else {
            Rule::help_line
        };
        let p = self.read(r, rule)?;
        let name = p
            .into_inner()
            .find(|q| matches!(q.as_rule(), Rule::name | Rule::word))?;
        let name = self.fold.ident(&name);
        Some(if word == "source" {
            StmtKind::Source(name)
        } else {
            StmtKind::Help(name)
        })
    }
}

/// Has a block, or one in it, a line that could not be scanned?
fn torn(b: &RawBlock) -> bool {
    b.statements.iter().any(|s| s.broken || s.blocks.iter().any(torn))
}
