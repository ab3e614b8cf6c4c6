//! `compare`, `sweep` and `plot`: their heads, blocks and clauses.
//!
//! Invariant: a line of a block that was reported is left out of it.

use pest::iterators::Pair;

use super::grammar::Rule;
use super::scan::{RawBlock, RawStmt};
use super::stmt::Parser;
use crate::lang::errors::syntax as errors;
use crate::lang::syntax::{Compare, Plot, PlotRange, StmtKind, Sweep};

impl<'a> Parser<'a> {
    /// `[c =] compare P with { … } …`.
    pub(super) fn compare(&mut self, r: &mut RawStmt) -> Option<StmtKind> {
        let masked: &'a str = self.masked;
        let head = r.blocks.first().map_or(r.end, |b| b.open);
        let words = |from: usize| masked.get(from..head).unwrap_or("").split_whitespace();
        let form = "`s = compare P with { fast: adam(0.1); slow: gd(1e-3) }` runs methods on a problem";
        let wrong = if !words(r.start).any(|w| w == "with") {
            Some(format!("{form}; solves are drawn together by `plot s.trace, t.trace`"))
        } else if words(r.start).take_while(|w| *w != "with").any(|w| w == "seed") {
            Some("seeds stand behind the braces: `compare P with { … } over seeds 1..5`".to_string())
        } else {
            None
        };
        if let Some(help) = wrong {
            let at = self.at(head.saturating_sub(1).max(r.start), head);
            self.fold.report(errors::unexpected("", "`with { … }`", at).help(help));
            return None;
        }
        let block = self.only_block(
            r,
            Rule::compare_head,
            "`{` and the methods, such as `{ fast: adam(0.1); slow: gd(1e-3) }`",
        )?;
        let mut c = Compare {
            bind: None,
            targets: vec![],
            entrants: vec![],
            seeds: None,
            from: None,
            to: None,
            within: None,
            keyword: self.at(r.start, r.end),
        };
        let head = self.read_range(r.start, block.open, Rule::compare_head)?;
        self.compare_parts(head, &mut c)?;
        let masked: &'a str = self.masked;
        if !masked.get(block.close + 1..r.end).unwrap_or("").trim().is_empty() {
            let tail = self.read_range(block.close + 1, r.end, Rule::compare_tail)?;
            self.compare_parts(tail, &mut c)?;
        }
        let at = self.at(block.open, block.open + 1);
        self.groups.insert(block.open, block);
        c.entrants = self.entrants(at)?;
        Some(StmtKind::Compare(Box::new(c)))
    }

    fn compare_parts(&mut self, p: Pair<'a, Rule>, c: &mut Compare) -> Option<()> {
        for q in p.into_inner() {
            let at = self.fold.span(&q);
            let twice = match q.as_rule() {
                Rule::over_seeds if c.seeds.is_some() => "over seeds",
                Rule::from_clause if c.from.is_some() => "from",
                Rule::to_clause if c.to.is_some() => "to",
                Rule::within_clause if c.within.is_some() => "within",
                _ => "",
            };
            if !twice.is_empty() {
                let d = errors::clause(format!("`{twice}` is given twice"), at, "keep one of them");
                self.fold.report(d);
            }
            match q.as_rule() {
                Rule::name => c.bind = Some(self.fold.ident(&q)),
                Rule::kw_compare => c.keyword = at,
                Rule::problem_ref => c.targets.extend(self.problem_ref(q)),
                Rule::over_seeds => c.seeds = self.inner(q, Rule::tight),
                Rule::to_clause => c.to = self.inner(q, Rule::tight),
                Rule::within_clause => c.within = self.within(q),
                Rule::from_clause => {
                    let x = q
                        .into_inner()
                        .find(|x| matches!(x.as_rule(), Rule::starts | Rule::expr))?;
                    c.from = Some(self.start(x));
                }
                _ => {}
            }
        }
        Some(())
    }

    fn inner(&mut self, p: Pair<'a, Rule>, rule: Rule) -> Option<crate::lang::syntax::Expr> {
        let x = p.into_inner().find(|x| x.as_rule() == rule)?;
        Some(self.fold.expr(x))
    }

    /// `[w =] sweep lr in values { solve … }`.
    pub(super) fn sweep(&mut self, r: &mut RawStmt) -> Option<StmtKind> {
        let block = self.only_block(r, Rule::sweep_head, "`{` and what is solved for each value")?;
        self.nothing_after(block.close, r.end)?;
        let head = self.read_range(r.start, block.open, Rule::sweep_head)?;
        let (mut names, mut bind, mut values) = (vec![], false, None);
        for q in head.into_inner() {
            match q.as_rule() {
                Rule::name => names.push(self.fold.ident(&q)),
                Rule::eq => bind = true,
                Rule::expr => values = Some(self.fold.expr(q)),
                _ => {}
            }
        }
        let name = names.pop()?;
        let bind = if bind { names.pop() } else { None };
        let at = self.at(block.open, block.open + 1);
        let mut lines = block.statements.into_iter();
        let (Some(mut line), None) = (lines.next(), lines.next()) else {
            let d = errors::unexpected("", "one `solve` in the block", at);
            self.fold.report(d);
            return None;
        };
        if line.broken {
            return None;
        }
        let span = self.at(line.start, line.end);
        let masked: &'a str = self.masked;
        if !masked[line.start..line.end].starts_with("solve") {
            let d = errors::misplaced("this line", "in a sweep", span, "a sweep repeats one `solve …`");
            self.fold.report(d);
            return None;
        }
        let StmtKind::Solve(solve) = self.solve_line(&mut line)? else {
            return None;
        };
        Some(StmtKind::Sweep(Box::new(Sweep {
            bind,
            name,
            values: values?,
            solve: *solve,
            span,
        })))
    }

    /// The one block that a command has; reports if it has none or several.
    fn only_block(&mut self, r: &mut RawStmt, head: Rule, wanted: &str) -> Option<RawBlock> {
        if r.blocks.is_empty() {
            // What is wrong before the place of the block is the better message.
            self.read(r, head)?;
            let d = errors::unexpected("", wanted, self.at(r.end - 1, r.end));
            self.fold.report(d);
            return None;
        }
        Some(r.blocks.remove(0))
    }

    /// `[p =] plot … [over …] [with …]`.
    pub(super) fn plot(&mut self, r: &RawStmt) -> Option<StmtKind> {
        let p = self.read(r, Rule::plot)?;
        let mut out = Plot {
            bind: None,
            items: vec![],
            ranges: vec![],
            axis: None,
            with: vec![],
            keyword: self.at(r.start, r.end),
        };
        for q in p.into_inner() {
            let at = self.fold.span(&q);
            match q.as_rule() {
                Rule::name => out.bind = Some(self.fold.ident(&q)),
                Rule::kw_plot => out.keyword = at,
                Rule::expr => out.items.push(self.fold.expr(q)),
                Rule::plot_over => {
                    for x in q.into_inner() {
                        match x.as_rule() {
                            Rule::name => out.axis = Some(self.fold.ident(&x)),
                            Rule::plot_range => out.ranges.push(self.plot_range(x)?),
                            _ => {}
                        }
                    }
                }
                Rule::plot_with => {
                    let exprs = q.into_inner().filter(|x| x.as_rule() == Rule::expr);
                    out.with.extend(exprs.map(|x| self.fold.expr(x)));
                }
                _ => {}
            }
        }
        Some(StmtKind::Plot(Box::new(out)))
    }

    fn plot_range(&mut self, p: Pair<'a, Rule>) -> Option<PlotRange> {
        let span = self.fold.span(&p);
        let (mut what, mut ends) = (None, vec![]);
        for q in p.into_inner() {
            match q.as_rule() {
                Rule::tight => what = Some(self.fold.expr(q)),
                Rule::expr => ends.push(self.fold.expr(q)),
                _ => {}
            }
        }
        let hi = ends.pop()?;
        Some(PlotRange {
            what: what?,
            lo: ends.pop()?,
            hi,
            span,
        })
    }
}
