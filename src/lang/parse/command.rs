//! Commands: `solve` with its clauses, `inspect`, `assert`, a parameter's new value.
//!
//! Invariant: a clause stands once, and where it belongs to something.

use pest::iterators::Pair;

use super::classify::token_at;
use super::grammar::Rule;
use super::scan::RawStmt;
use super::stmt::{Parser, Place};
use crate::lang::errors::syntax as errors;
use crate::lang::syntax::{
    Arg, Aspect, Expr, ExprKind, Fixed, Ident, Omitted, ProblemRef, Repeat, Solve, Start, StepRun, StmtKind, TimeUnit,
    Variation,
};

impl<'a> Parser<'a> {
    pub(super) fn call_args(&mut self, p: Pair<'a, Rule>) -> Vec<Arg> {
        self.fold.args(p.into_inner())
    }

    pub(super) fn problem_ref(&mut self, p: Pair<'a, Rule>) -> Option<ProblemRef> {
        let span = self.fold.span(&p);
        let (mut name, mut args) = (None, vec![]);
        for q in p.into_inner() {
            match q.as_rule() {
                Rule::name => name = Some(self.fold.ident(&q)),
                Rule::call_args => args = self.call_args(q),
                _ => {}
            }
        }
        Some(ProblemRef {
            name: name?,
            args,
            span,
        })
    }

    pub(super) fn solve(&mut self, p: Pair<'a, Rule>) -> Option<StmtKind> {
        let whole = self.fold.span(&p);
        let mut s = Solve {
            bind: None,
            target: None,
            from: None,
            to: None,
            within: None,
            seed: None,
            method: None,
            cold: false,
            variation: Variation::default(),
            held: false,
            resume: None,
            stop: None,
            keyword: whole,
        };
        // Was a clause of the whole solve given after `with`?
        let mut late = false;
        for q in p.into_inner() {
            let at = self.fold.span(&q);
            let given = match q.as_rule() {
                Rule::from_clause => ("from", s.from.is_some()),
                Rule::to_clause => ("to", s.to.is_some()),
                Rule::within_clause => ("within", s.within.is_some()),
                Rule::seed_clause => ("seed", s.seed.is_some()),
                Rule::with_clause => ("with", s.method.is_some()),
                Rule::resume_clause => ("resume", s.resume.is_some()),
                Rule::break_clause => ("break", s.stop.is_some()),
                _ => ("", false),
            };
            if given.1 {
                let d = errors::clause(format!("`{}` is given twice", given.0), at, "keep one of them");
                self.fold.report(d);
            }
            if given.0 == "within" && late {
                self.fold.report(errors::clause(
                    "a `within` behind the last clauses belongs to nothing",
                    at,
                    "put it before `with` for the whole solve",
                ));
            }
            late |= s.method.is_some() && matches!(given.0, "from" | "to" | "seed");
            match q.as_rule() {
                Rule::name => s.bind = Some(self.fold.ident(&q)),
                Rule::kw_solve | Rule::kw_start => {
                    s.keyword = at;
                    s.held = q.as_rule() == Rule::kw_start;
                }
                Rule::resume_clause => s.resume = self.one_tight(q),
                Rule::break_clause => s.stop = self.one_expr(q),
                Rule::target => {
                    let r = q.into_inner().next()?;
                    s.target = self.problem_ref(r);
                }
                Rule::from_clause => {
                    let x = q
                        .into_inner()
                        .find(|x| matches!(x.as_rule(), Rule::starts | Rule::expr))?;
                    s.from = Some(self.start(x));
                }
                Rule::to_clause | Rule::seed_clause => {
                    let to = q.as_rule() == Rule::to_clause;
                    let x = q.into_inner().find(|x| x.as_rule() == Rule::tight)?;
                    let e = Some(self.fold.expr(x));
                    *(if to { &mut s.to } else { &mut s.seed }) = e;
                }
                Rule::within_clause => s.within = self.within(q),
                Rule::kw_cold => s.cold = true,
                Rule::with_clause => {
                    let stages = q.into_inner().find(|x| x.as_rule() == Rule::stages)?;
                    s.method = self.stages(stages);
                }
                Rule::fixing_clause => {
                    for f in q.into_inner().filter(|f| f.as_rule() == Rule::fixed) {
                        s.variation.fixing.extend(self.fixed(f));
                    }
                }
                Rule::without_clause => {
                    for o in q.into_inner().filter(|o| o.as_rule() == Rule::operand) {
                        let place = self.fold.operand(o);
                        let example = "`without budget, supply[\"a\"]`";
                        let name = self.entry_of(&place, "`without` takes constraints and rows of them", example);
                        s.variation.without.extend(name.map(|name| Omitted { name, place }));
                    }
                }
                Rule::kw_relaxed => s.variation.relaxed = Some(at),
                _ => {}
            }
        }
        Some(StmtKind::Solve(Box::new(s)))
    }

    /// A point: values by variable, a solution, or `random(seed)`.
    pub(super) fn start(&mut self, p: Pair<'a, Rule>) -> Start {
        if p.as_rule() == Rule::starts {
            Start::Values(self.starts(p))
        } else {
            start(self.fold.expr(p))
        }
    }

    /// `assume convex(fit)`.
    pub(super) fn assume(&mut self, p: Pair<'a, Rule>) -> Option<StmtKind> {
        let (mut what, mut of) = (None, None);
        for q in p.into_inner() {
            match q.as_rule() {
                Rule::name => what = Some(self.fold.ident(&q)),
                Rule::expr => of = Some(self.fold.expr(q)),
                _ => {}
            }
        }
        let what = what?;
        if !matches!(what.text.as_str(), "convex" | "concave") {
            let d = errors::unexpected(&what.text, "`convex(…)` or `concave(…)`", what.span);
            self.fold.report(d);
            return None;
        }
        let convex = what.text == "convex";
        Some(StmtKind::Assume { convex, of: of? })
    }

    /// `x = 1`, `ship["a", :] = 0`.
    fn fixed(&mut self, p: Pair<'a, Rule>) -> Option<Fixed> {
        let mut inner = p.into_inner();
        let place = self.fold.operand(inner.next()?);
        let value = self.fold.expr(inner.find(|q| q.as_rule() == Rule::expr)?);
        let example = "`fixing x = 1, ship[\"a\", :] = 0`";
        let name = self.entry_of(&place, "`fixing` takes variables and entries of them", example)?;
        Some(Fixed { name, place, value })
    }

    /// The name in `c` or `c[…]`; anything else is reported as `what`.
    fn entry_of(&mut self, place: &Expr, what: &str, example: &str) -> Option<Ident> {
        let base = match &place.kind {
            ExprKind::Index { base, .. } => base,
            _ => place,
        };
        let Some(name) = base.as_name() else {
            self.fold.report(errors::clause(what, place.span, example));
            return None;
        };
        Some(Ident {
            text: name.to_string(),
            span: base.span,
        })
    }

    /// `within 5 seconds`.
    pub(super) fn within(&mut self, p: Pair<'a, Rule>) -> Option<(Expr, TimeUnit)> {
        let mut inner = p.into_inner().skip(1);
        let e = self.fold.expr(inner.next()?);
        let unit = match inner.next()?.as_str() {
            "minute" | "minutes" => TimeUnit::Minutes,
            "hour" | "hours" => TimeUnit::Hours,
            _ => TimeUnit::Seconds,
        };
        Some((e, unit))
    }

    /// `for k in 1..10 { … }`.
    pub(super) fn repeat(&mut self, r: &mut RawStmt) -> Option<StmtKind> {
        if r.blocks.is_empty() {
            self.read(r, Rule::for_line)?;
            let end = self.at(r.end.saturating_sub(1), r.end);
            self.fold
                .report(errors::unexpected("", "`{` and what is repeated", end));
            return None;
        }
        let block = r.blocks.remove(0);
        let head = self.read_range(r.start, block.open, Rule::for_line);
        let (mut name, mut set) = (None, None);
        for q in head.into_iter().flat_map(Pair::into_inner) {
            match q.as_rule() {
                Rule::name => name = Some(self.fold.ident(&q)),
                Rule::expr => set = Some(self.fold.expr(q)),
                _ => {}
            }
        }
        let body = self.statements(block.statements, Place::Loop);
        self.nothing_after(block.close, r.end)?;
        Some(StmtKind::For(Box::new(Repeat {
            name: name?,
            set: set?,
            body,
        })))
    }

    fn one_tight(&mut self, p: Pair<'a, Rule>) -> Option<Expr> {
        let e = p.into_inner().find(|x| x.as_rule() == Rule::text_expr)?;
        e.into_inner().next().map(|x| self.fold.expr(x))
    }

    /// `step r for 10 steps`.
    pub(super) fn step_run(&mut self, p: Pair<'a, Rule>) -> Option<StmtKind> {
        let (mut run, mut count, mut within, mut stop) = (None, None, None, None);
        for q in p.into_inner() {
            let at = self.fold.span(&q);
            let (word, twice) = match q.as_rule() {
                Rule::stage_for => ("for", count.is_some()),
                Rule::within_clause => ("within", within.is_some()),
                Rule::break_clause => ("break", stop.is_some()),
                _ => ("", false),
            };
            if twice {
                self.fold.report(errors::clause(
                    format!("`{word}` is given twice"),
                    at,
                    "keep one of them",
                ));
            }
            match q.as_rule() {
                Rule::name => run = Some(self.fold.ident(&q)),
                Rule::stage_for => {
                    let mut inner = q.into_inner().filter(|x| x.as_rule() != Rule::kw_for);
                    count = Some(self.fold.expr(inner.next()?));
                    if inner.next().is_some_and(|u| !u.as_str().starts_with("step")) {
                        self.fold.report(errors::clause(
                            "a run is advanced in steps",
                            at,
                            "such as `step r for 10 steps`; what a stage may use stands in the pipeline",
                        ));
                    }
                }
                Rule::within_clause => within = self.within(q),
                Rule::break_clause => stop = self.one_expr(q),
                _ => {}
            }
        }
        Some(StmtKind::Step(Box::new(StepRun {
            run: run?,
            count,
            within,
            stop,
        })))
    }

    pub(super) fn rewind(&mut self, p: Pair<'a, Rule>) -> Option<StmtKind> {
        let (mut run, mut to) = (None, None);
        for q in p.into_inner() {
            match q.as_rule() {
                Rule::name => run = Some(self.fold.ident(&q)),
                Rule::expr => to = Some(self.fold.expr(q)),
                _ => {}
            }
        }
        Some(StmtKind::Rewind { run: run?, to: to? })
    }

    pub(super) fn assign(&mut self, p: Pair<'a, Rule>) -> Option<StmtKind> {
        let (mut name, mut value) = (None, None);
        for q in p.into_inner() {
            match q.as_rule() {
                Rule::name => name = Some(self.fold.ident(&q)),
                Rule::expr => value = Some(self.fold.expr(q)),
                _ => {}
            }
        }
        Some(StmtKind::Assign {
            name: name?,
            value: value?,
        })
    }

    pub(super) fn inspect(&mut self, p: Pair<'a, Rule>) -> Option<StmtKind> {
        let (mut target, mut what) = (None, Aspect::Summary);
        for q in p.into_inner() {
            let at = self.fold.span(&q);
            match q.as_rule() {
                Rule::problem_ref => target = self.problem_ref(q),
                Rule::kw_why => what = Aspect::Why,
                Rule::kw_conflict => what = Aspect::Conflict,
                Rule::derivatives => {
                    let at = q
                        .into_inner()
                        .find(|x| matches!(x.as_rule(), Rule::starts | Rule::expr));
                    what = Aspect::Derivatives(at.map(|x| self.start(x)));
                }
                Rule::inspect_rest => {
                    self.fold
                        .report(errors::unexpected(token_at(q.as_str()), "the end of the line", at));
                    return None;
                }
                _ => {}
            }
        }
        Some(StmtKind::Inspect { target, what })
    }

    pub(super) fn diagnose(&mut self, p: Pair<'a, Rule>) -> StmtKind {
        let (mut target, mut at, mut measured) = (None, None, false);
        for q in p.into_inner() {
            match q.as_rule() {
                Rule::expr => target = Some(self.fold.expr(q)),
                Rule::at_clause => {
                    let e = q.into_inner().find(|r| r.as_rule() == Rule::expr);
                    at = e.map(|e| self.fold.expr(e));
                }
                Rule::kw_measured => measured = true,
                _ => {}
            }
        }
        StmtKind::Diagnose { target, at, measured }
    }

    pub(super) fn assert(&mut self, p: Pair<'a, Rule>) -> Option<StmtKind> {
        let mut exprs = p.into_inner().filter(|q| q.as_rule() == Rule::expr);
        let condition = self.fold.expr(exprs.next()?);
        let within = exprs.next().map(|e| self.fold.expr(e));
        Some(StmtKind::Assert { condition, within })
    }
}

/// What `from` is followed by: a solution, or `random(seed)`.
fn start(e: Expr) -> Start {
    if let ExprKind::Call { callee, args } = &e.kind
        && callee.as_name() == Some("random")
        && args.len() <= 1
    {
        return Start::Random(args.first().map(|a| a.value.clone()));
    }
    Start::Solution(e)
}
