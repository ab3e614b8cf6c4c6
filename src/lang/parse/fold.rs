//! From the grammar's flat lists to expressions: precedence climbing by the table of grammar/README.md.
//!
//! Invariant: operators of one level stay one flat node; recursion is bounded by the nesting the scan has allowed plus
//! a counted tower of prefixes and powers.

use std::collections::BTreeSet;
use std::iter::Peekable;

use pest::iterators::{Pair, Pairs};

use super::feature::Feature;
use super::grammar::Rule;
use super::literal::normal;
use super::scan::MAX_MESSAGES;
use crate::base::{Diagnostic, Diagnostics, SourceId, Span};
use crate::lang::errors::syntax as errors;
use crate::lang::syntax::{
    Arg, BinaryOp, Binder, Binders, CompareOp, ConeName, Entry, Expr, ExprId, ExprKind, Ident, Link, MAX_DEPTH,
    MAX_HEIGHT, Subscript, TypeExpr, UnaryOp,
};

/// Levels from loosest to tightest; an operator is taken while its level is at least the one asked for.
mod level {
    pub const OPEN: u8 = 0;
    pub const OR: u8 = 1;
    pub const AND: u8 = 2;
    pub const NOT: u8 = 3;
    pub const COMPLEMENTS: u8 = 4;
    pub const COMPARE: u8 = 5;
    pub const RANGE: u8 = 6;
    pub const SUM: u8 = 7;
    pub const PRODUCT: u8 = 8;
    pub const POWER: u8 = 9;
}

/// An infix operator.
enum Infix {
    Chain(BinaryOp),
    Power(BinaryOp),
    Compare(CompareOp),
    /// `<-`, read as `<` after its message.
    Update,
    Range,
    Complements,
}

fn infix(rule: Rule) -> Option<(u8, Infix)> {
    use BinaryOp as B;
    use CompareOp as C;
    use Infix::{Chain, Compare, Power};
    Some(match rule {
        Rule::op_or => (level::OR, Chain(B::Or)),
        Rule::op_and => (level::AND, Chain(B::And)),
        Rule::op_complements => (level::COMPLEMENTS, Infix::Complements),
        Rule::op_le => (level::COMPARE, Compare(C::Le)),
        Rule::op_ge => (level::COMPARE, Compare(C::Ge)),
        Rule::op_lt => (level::COMPARE, Compare(C::Lt)),
        Rule::op_gt => (level::COMPARE, Compare(C::Gt)),
        Rule::op_eq => (level::COMPARE, Compare(C::Eq)),
        Rule::op_ne => (level::COMPARE, Compare(C::Ne)),
        Rule::op_in => (level::COMPARE, Compare(C::In)),
        Rule::op_update => (level::COMPARE, Infix::Update),
        Rule::op_range => (level::RANGE, Infix::Range),
        Rule::op_add => (level::SUM, Chain(B::Add)),
        Rule::op_sub => (level::SUM, Chain(B::Sub)),
        Rule::op_mul => (level::PRODUCT, Chain(B::Mul)),
        Rule::op_div => (level::PRODUCT, Chain(B::Div)),
        Rule::op_rem => (level::PRODUCT, Chain(B::Rem)),
        Rule::op_int_div => (level::PRODUCT, Chain(B::IntDiv)),
        Rule::op_elem_mul => (level::PRODUCT, Chain(B::ElemMul)),
        Rule::op_elem_div => (level::PRODUCT, Chain(B::ElemDiv)),
        Rule::op_solve => (level::PRODUCT, Chain(B::Solve)),
        Rule::op_pow => (level::POWER, Power(B::Pow)),
        Rule::op_elem_pow => (level::POWER, Power(B::ElemPow)),
        _ => return None,
    })
}

/// The relation of a rule that is one.
pub fn compare_op(rule: Rule) -> CompareOp {
    match infix(rule) {
        Some((_, Infix::Compare(op))) => op,
        _ => CompareOp::Lt,
    }
}

/// Turns the grammar's pairs into trees; one per source text.
pub struct Folder<'a> {
    /// The source the spans lie in.
    pub source: SourceId,
    /// Byte of the source at which the text given to the grammar begins.
    pub base: usize,
    /// Ids given out.
    pub next_id: u32,
    /// Where messages go.
    pub diagnostics: &'a mut Diagnostics,
    depth: usize,
    /// A tower in this expression has been reported.
    towered: bool,
    seen: BTreeSet<Feature>,
}

type Items<'i> = Peekable<Pairs<'i, Rule>>;

impl<'a> Folder<'a> {
    /// A folder for one source text.
    pub fn new(source: SourceId, diagnostics: &'a mut Diagnostics) -> Self {
        Folder {
            source,
            base: 0,
            next_id: 0,
            diagnostics,
            depth: 0,
            towered: false,
            seen: BTreeSet::new(),
        }
    }

    /// Keeps a message, up to a number that nobody reads on from.
    pub fn report(&mut self, d: Diagnostic) {
        if self.diagnostics.len() < MAX_MESSAGES {
            self.diagnostics.push(d);
        }
    }

    /// Says once per text that a part of the language is not built.
    pub fn not_built(&mut self, feature: Feature, at: Span) {
        if self.seen.insert(feature) {
            let (what, will) = feature.words();
            self.report(errors::not_built(what, will, at));
        }
    }

    /// The place of a pair, without trailing spaces.
    pub fn span(&self, pair: &Pair<'_, Rule>) -> Span {
        let s = pair.as_span();
        let len = s.as_str().trim_end().len();
        Span::new(self.source, self.base + s.start(), self.base + s.start() + len)
    }

    /// A new expression.
    pub fn make(&mut self, span: Span, kind: ExprKind) -> Expr {
        let id = ExprId(self.next_id);
        self.next_id += 1;
        Expr { id, span, kind }
    }

    /// A name.
    pub fn ident(&self, pair: &Pair<'_, Rule>) -> Ident {
        Ident {
            text: normal(pair.as_str()),
            span: self.span(pair),
        }
    }

    /// An `expr` or `tight` pair.
    pub fn expr(&mut self, pair: Pair<'_, Rule>) -> Expr {
        let span = self.span(&pair);
        self.depth += 1;
        let mut items = pair.into_inner().peekable();
        let e = self.climb(&mut items, level::OPEN, span);
        self.depth -= 1;
        if self.depth == 0 {
            let towered = std::mem::take(&mut self.towered);
            if e.height(MAX_HEIGHT + 1) <= MAX_HEIGHT {
                return e;
            }
            if !towered {
                self.report(errors::too_deep(span));
            }
            return self.make(span, ExprKind::Error);
        }
        e
    }

    /// One more prefix or power around what follows; `None` (with a message, and the rest skipped) above the limit.
    fn deeper(&mut self, items: &mut Items<'_>, what: &str, at: Span) -> Option<Expr> {
        self.depth += 1;
        if self.depth <= 2 * MAX_DEPTH {
            return None;
        }
        if !std::mem::replace(&mut self.towered, true) {
            self.report(errors::too_long_a_tower(what, at));
        }
        items.by_ref().for_each(drop);
        Some(self.make(at, ExprKind::Error))
    }

    fn climb(&mut self, items: &mut Items<'_>, least: u8, place: Span) -> Expr {
        let mut left = self.prefixed(items, least, place);
        // The level of the flat node that `left` is, if it was made here.
        let mut made: Option<u8> = None;
        while let Some((l, op)) = items.peek().and_then(|p| infix(p.as_rule())) {
            if l < least {
                break;
            }
            let Some(pair) = items.next() else { break };
            let op_span = self.span(&pair);
            let at = left.span;
            match op {
                Infix::Power(op) => {
                    let exponent = match self.deeper(items, "powers", op_span) {
                        Some(e) => e,
                        None => self.climb(items, level::POWER, op_span),
                    };
                    self.depth -= 1;
                    let span = at.to(exponent.span);
                    let (base, exponent) = (Box::new(left), Box::new(exponent));
                    left = self.make(
                        span,
                        ExprKind::Power {
                            op,
                            op_span,
                            base,
                            exponent,
                        },
                    );
                }
                Infix::Chain(op) => {
                    let operand = self.climb(items, l + 1, op_span);
                    let span = at.to(operand.span);
                    let link = Link { op, op_span, operand };
                    left = match (made == Some(l), left) {
                        (
                            true,
                            Expr {
                                id,
                                kind: ExprKind::Chain { first, mut rest },
                                ..
                            },
                        ) => {
                            rest.push(link);
                            let kind = ExprKind::Chain { first, rest };
                            Expr { id, span, kind }
                        }
                        (_, left) => {
                            let (first, rest) = (Box::new(left), vec![link]);
                            self.make(span, ExprKind::Chain { first, rest })
                        }
                    };
                    made = Some(l);
                }
                Infix::Compare(_) | Infix::Update => {
                    let op = match op {
                        Infix::Compare(op) => op,
                        _ => {
                            self.report(errors::update_in_expression(op_span));
                            CompareOp::Lt
                        }
                    };
                    let operand = self.climb(items, l + 1, op_span);
                    let operand = if op == CompareOp::In {
                        self.member_of(operand)
                    } else {
                        operand
                    };
                    let span = at.to(operand.span);
                    let link = Link { op, op_span, operand };
                    left = match (made == Some(l), left) {
                        (
                            true,
                            Expr {
                                id,
                                kind: ExprKind::Compare { first, mut rest },
                                ..
                            },
                        ) => {
                            self.same_direction(&rest, &link);
                            rest.push(link);
                            let kind = ExprKind::Compare { first, rest };
                            Expr { id, span, kind }
                        }
                        (_, left) => {
                            let (first, rest) = (Box::new(left), vec![link]);
                            self.make(span, ExprKind::Compare { first, rest })
                        }
                    };
                    made = Some(l);
                }
                Infix::Range => {
                    let hi = self.climb(items, l + 1, op_span);
                    if made == Some(l) {
                        self.report(errors::unexpected("..", "a range has two ends", op_span));
                    }
                    let span = at.to(hi.span);
                    let (lo, hi) = (Box::new(left), Box::new(hi));
                    left = self.make(span, ExprKind::Range { lo, hi });
                    // One message for `1..2..3..4`.
                    if made == Some(l) {
                        items.by_ref().for_each(drop);
                        left = self.make(span, ExprKind::Error);
                    }
                    made = Some(l);
                }
                Infix::Complements => {
                    let right = self.climb(items, l + 1, op_span);
                    self.not_built(Feature::Complements, op_span);
                    left = self.make(at.to(right.span), ExprKind::Error);
                    made = None;
                }
            }
        }
        left
    }

    /// Reports a comparison that does not go on in the direction of those before it.
    fn same_direction(&mut self, before: &[Link<CompareOp>], link: &Link<CompareOp>) {
        let direction = |op: CompareOp| match op {
            CompareOp::Le | CompareOp::Lt => 1,
            CompareOp::Ge | CompareOp::Gt => 2,
            CompareOp::Eq => 3,
            // These do not chain at all.
            CompareOp::Ne => 4,
            CompareOp::In => 5,
        };
        let Some(first) = before.first() else { return };
        let (a, b) = (direction(first.op), direction(link.op));
        if (a != b || a > 3) && before.iter().all(|l| direction(l.op) == a) {
            self.report(errors::mixed_chain(
                first.op.symbol(),
                first.op_span,
                link.op.symbol(),
                link.op_span,
            ));
        }
    }

    fn prefixed(&mut self, items: &mut Items<'_>, least: u8, place: Span) -> Expr {
        let Some(pair) = items.next() else {
            return self.make(place, ExprKind::Error);
        };
        let at = self.span(&pair);
        let e = match pair.as_rule() {
            Rule::op_sub => self.unary(items, UnaryOp::Neg, level::POWER, at),
            Rule::op_not => {
                if least > level::NOT {
                    self.report(errors::loose_prefix("not", at));
                }
                self.unary(items, UnaryOp::Not, level::NOT, at)
            }
            Rule::if_head => {
                if least > level::OPEN {
                    self.report(errors::bare_if(at));
                }
                self.if_expr(items, pair, at)
            }
            Rule::lambda_head => self.lambda(items, pair, at),
            Rule::comprehension_head => self.comprehension(items, pair, at),
            Rule::array_head => self.array_comprehension(items, pair, at),
            _ => return self.operand(pair),
        };
        self.depth -= 1;
        e
    }

    fn unary(&mut self, items: &mut Items<'_>, op: UnaryOp, least: u8, at: Span) -> Expr {
        if let Some(e) = self.deeper(items, "prefix operators", at) {
            return e;
        }
        let operand = Box::new(self.climb(items, least, at));
        let span = at.to(operand.span);
        self.make(span, ExprKind::Unary { op, operand })
    }

    fn if_expr(&mut self, items: &mut Items<'_>, head: Pair<'_, Rule>, at: Span) -> Expr {
        if let Some(e) = self.deeper(items, "`if`s", at) {
            return e;
        }
        let mut parts = head.into_inner().filter(|p| p.as_rule() == Rule::expr);
        let condition = self.next_expr(&mut parts, at);
        let then = self.next_expr(&mut parts, at);
        let otherwise = self.climb(items, level::OPEN, at);
        let span = at.to(otherwise.span);
        self.make(
            span,
            ExprKind::If {
                condition: Box::new(condition),
                then: Box::new(then),
                otherwise: Box::new(otherwise),
            },
        )
    }

    fn next_expr<'i>(&mut self, parts: &mut impl Iterator<Item = Pair<'i, Rule>>, at: Span) -> Expr {
        match parts.next() {
            Some(p) => self.expr(p),
            None => self.make(at, ExprKind::Error),
        }
    }

    fn lambda(&mut self, items: &mut Items<'_>, head: Pair<'_, Rule>, at: Span) -> Expr {
        if let Some(e) = self.deeper(items, "functions", at) {
            return e;
        }
        let body = Box::new(self.climb(items, level::OPEN, at));
        let span = at.to(body.span);
        let name = head.into_inner().next();
        let param = match name {
            Some(n) => self.ident(&n),
            None => return self.make(span, ExprKind::Error),
        };
        self.make(span, ExprKind::Lambda { param, body })
    }

    fn comprehension(&mut self, items: &mut Items<'_>, head: Pair<'_, Rule>, at: Span) -> Expr {
        if let Some(e) = self.deeper(items, "sums", at) {
            return e;
        }
        let mut parts = head.into_inner();
        let op = parts.next().map(|p| self.ident(&p));
        let binders = parts.next().map(|p| self.binders(p));
        let mut args = vec![];
        for p in parts {
            args.extend(self.arg(p));
        }
        let body = Box::new(self.climb(items, level::PRODUCT, at));
        let span = at.to(body.span);
        match (op, binders) {
            (Some(op), Some(binders)) => {
                if matches!(op.text.as_str(), "cvar" | "worst" | "entropic" | "expectile" | "mad") {
                    self.not_built(Feature::Risk, op.span);
                    return self.make(span, ExprKind::Error);
                }
                self.make(
                    span,
                    ExprKind::Comprehension {
                        op,
                        binders,
                        args,
                        body,
                    },
                )
            }
            _ => self.make(span, ExprKind::Error),
        }
    }

    fn array_comprehension(&mut self, items: &mut Items<'_>, head: Pair<'_, Rule>, at: Span) -> Expr {
        if let Some(e) = self.deeper(items, "arrays", at) {
            return e;
        }
        let binders = head.into_inner().next().map(|p| self.binders(p));
        let body = Box::new(self.climb(items, level::PRODUCT, at));
        let span = at.to(body.span);
        match binders {
            Some(binders) => self.make(span, ExprKind::ArrayComprehension { binders, body }),
            None => self.make(span, ExprKind::Error),
        }
    }

    /// A `binders` pair.
    pub fn binders(&mut self, pair: Pair<'_, Rule>) -> Binders {
        let span = self.span(&pair);
        let (mut items, mut condition) = (vec![], None);
        for p in pair.into_inner() {
            let at = self.span(&p);
            if p.as_rule() == Rule::condition {
                let mut parts = p.into_inner().filter(|q| q.as_rule() == Rule::expr);
                condition = Some(Box::new(self.next_expr(&mut parts, at)));
                continue;
            }
            let mut names = vec![];
            let mut set = None;
            for q in p.into_inner() {
                match q.as_rule() {
                    Rule::binder_names => {
                        names = q.into_inner().map(|n| self.ident(&n)).collect();
                    }
                    Rule::expr => set = Some(self.expr(q)),
                    _ => {}
                }
            }
            let mut set = match set {
                Some(s) => s,
                None => self.make(at, ExprKind::Error),
            };
            let condition_meant = match &set.kind {
                ExprKind::Compare { .. } => true,
                ExprKind::Chain { rest, .. } => rest.iter().any(|l| matches!(l.op, BinaryOp::And | BinaryOp::Or)),
                _ => false,
            };
            if condition_meant {
                self.report(errors::condition_in_binder(set.span));
                set = self.make(set.span, ExprKind::Error);
            }
            items.push(Binder { names, set, span: at });
        }
        Binders { items, condition, span }
    }

    pub fn operand(&mut self, pair: Pair<'_, Rule>) -> Expr {
        let span = self.span(&pair);
        let mut inner = pair.into_inner();
        let mut e = match inner.next() {
            Some(p) => self.primary(p),
            None => self.make(span, ExprKind::Error),
        };
        let begin = e.span;
        for (i, p) in inner.enumerate() {
            let at = self.span(&p);
            let span = begin.to(at);
            if i == MAX_DEPTH {
                self.report(errors::too_long_a_tower("calls, indices and fields", at));
                return self.make(span, ExprKind::Error);
            }
            e = self.postfix(e, p, span);
        }
        e
    }

    fn postfix(&mut self, base: Expr, p: Pair<'_, Rule>, span: Span) -> Expr {
        let base = Box::new(base);
        let kind = match p.as_rule() {
            Rule::transpose => ExprKind::Transpose(base),
            Rule::field => match p.into_inner().next() {
                Some(w) => {
                    let name = self.ident(&w);
                    ExprKind::Field { base, name }
                }
                None => ExprKind::Error,
            },
            Rule::call => {
                let args = self.args(p.into_inner());
                ExprKind::Call { callee: base, args }
            }
            Rule::index => {
                let subscripts = p.into_inner().map(|s| self.subscript(s)).collect();
                ExprKind::Index { base, subscripts }
            }
            _ => ExprKind::Error,
        };
        self.make(span, kind)
    }

    fn subscript(&mut self, pair: Pair<'_, Rule>) -> Subscript {
        let at = self.span(&pair);
        match pair.into_inner().next() {
            Some(p) if p.as_rule() == Rule::expr => {
                let e = self.expr(p);
                if matches!(e.kind, ExprKind::Range { .. }) {
                    Subscript::Range(e)
                } else {
                    Subscript::At(e)
                }
            }
            _ => Subscript::All(at),
        }
    }

    /// Arguments of a call; positional ones after named ones are reported.
    pub fn args(&mut self, pairs: Pairs<'_, Rule>) -> Vec<Arg> {
        let mut args: Vec<Arg> = vec![];
        for p in pairs {
            let at = self.span(&p);
            if p.as_rule() == Rule::expr && args.iter().any(|a| a.name.is_some()) {
                self.report(errors::clause(
                    "an argument without a name follows one with a name",
                    at,
                    "put it before the named ones, or name it",
                ));
            }
            args.extend(self.arg(p));
        }
        args
    }

    fn arg(&mut self, p: Pair<'_, Rule>) -> Option<Arg> {
        match p.as_rule() {
            Rule::expr => Some(Arg {
                name: None,
                value: self.expr(p),
            }),
            Rule::named_arg => {
                let (mut name, mut value) = (None, None);
                for q in p.into_inner() {
                    let at = self.span(&q);
                    match q.as_rule() {
                        Rule::word => name = Some(self.ident(&q)),
                        Rule::expr => value = Some(self.expr(q)),
                        Rule::all_except => {
                            let names = q
                                .into_inner()
                                .filter(|c| matches!(c.as_rule(), Rule::name | Rule::text))
                                .map(|c| Ident {
                                    text: if c.as_rule() == Rule::text {
                                        self.unescape(&c)
                                    } else {
                                        normal(c.as_str())
                                    },
                                    span: self.span(&c),
                                })
                                .collect();
                            value = Some(self.make(at, ExprKind::AllExcept(names)));
                        }
                        _ => {}
                    }
                }
                value.map(|value| Arg { name, value })
            }
            _ => None,
        }
    }

    fn primary(&mut self, p: Pair<'_, Rule>) -> Expr {
        let span = self.span(&p);
        let kind = match p.as_rule() {
            Rule::number => self.number(p.as_str(), span),
            Rule::bad_number => {
                self.report(errors::bad_number(p.as_str(), span));
                ExprKind::Error
            }
            Rule::text => ExprKind::Text(self.unescape(&p)),
            Rule::kw_true => ExprKind::Bool(true),
            Rule::kw_false => ExprKind::Bool(false),
            Rule::kw_inf => ExprKind::Number {
                value: f64::INFINITY,
                integer: false,
            },
            Rule::name => ExprKind::Name(normal(p.as_str())),
            Rule::paren => return self.paren(p, span),
            Rule::brackets => self.brackets(p),
            Rule::braces => self.braces(p),
            _ => ExprKind::Error,
        };
        self.make(span, kind)
    }

    fn paren(&mut self, p: Pair<'_, Rule>, span: Span) -> Expr {
        let mut items: Vec<Expr> = p.into_inner().map(|e| self.expr(e)).collect();
        match (items.len(), items.pop()) {
            (1, Some(only)) => Expr { span, ..only },
            (_, last) => {
                items.extend(last);
                self.make(span, ExprKind::Tuple(items))
            }
        }
    }

    fn brackets(&mut self, p: Pair<'_, Rule>) -> ExprKind {
        let mut rows: Vec<Vec<Expr>> = p
            .into_inner()
            .map(|row| row.into_inner().map(|e| self.expr(e)).collect())
            .collect();
        if rows.len() <= 1 {
            ExprKind::Vector(rows.pop().unwrap_or_default())
        } else {
            ExprKind::Matrix(rows)
        }
    }

    fn braces(&mut self, p: Pair<'_, Rule>) -> ExprKind {
        let mut inner = p.into_inner().peekable();
        if inner.peek().is_some_and(|q| q.as_rule() == Rule::binders) {
            let Some(q) = inner.next() else {
                return ExprKind::Error;
            };
            return ExprKind::Subset(self.binders(q));
        }
        let (mut elements, mut entries) = (vec![], vec![]);
        for entry in inner {
            let at = self.span(&entry);
            let mut parts: Vec<Pair<'_, Rule>> = entry.into_inner().filter(|q| q.as_rule() == Rule::expr).collect();
            let value = parts.pop();
            match (parts.pop(), value) {
                (Some(key), Some(value)) => {
                    let key = self.key(key);
                    let value = self.expr(value);
                    entries.push(Entry { key, value });
                }
                (None, Some(element)) => {
                    let e = self.expr(element);
                    elements.push(e);
                }
                _ => {}
            }
            if !elements.is_empty() && !entries.is_empty() {
                self.report(errors::unexpected(
                    "{",
                    "either elements `{a, b}` or entries `{k: v}`, not both",
                    at,
                ));
                return ExprKind::Error;
            }
        }
        if entries.is_empty() {
            ExprKind::Set(elements)
        } else {
            ExprKind::Labelled(entries)
        }
    }

    /// The key of an entry: one expression, or a tuple of them.
    fn key(&mut self, pair: Pair<'_, Rule>) -> Vec<Expr> {
        let mut probe = pair.clone().into_inner();
        if let (Some(operand), None) = (probe.next(), probe.next()) {
            let mut inner = operand.into_inner();
            if let (Some(paren), None) = (inner.next(), inner.next())
                && paren.as_rule() == Rule::paren
            {
                return paren.into_inner().map(|e| self.expr(e)).collect();
            }
        }
        vec![self.expr(pair)]
    }

    /// What stands after `in`: `[l, u]` is an interval, `PSD` and its like are convex sets; manifolds and `argmin` are not built.
    pub fn member_of(&mut self, mut e: Expr) -> Expr {
        const NOT_BUILT: &[&str] = &["sphere", "stiefel", "spd", "argmin", "kl_ball"];
        let name = match &e.kind {
            ExprKind::Call { callee, .. } => callee.as_name(),
            _ => e.as_name(),
        };
        if name.is_some_and(|n| NOT_BUILT.contains(&n)) {
            self.not_built(Feature::Membership, e.span);
            e.kind = ExprKind::Error;
        } else if let Some(cone) = name.and_then(|n| ConeName::ALL.into_iter().find(|c| c.word() == n)) {
            e.kind = self.cone(cone, e.kind, e.span);
        }
        e.kind = match e.kind {
            ExprKind::Vector(mut items) if items.len() == 2 => match (items.pop(), items.pop()) {
                (Some(hi), Some(lo)) => ExprKind::Interval {
                    lo: Box::new(lo),
                    hi: Box::new(hi),
                },
                _ => ExprKind::Error,
            },
            kind => kind,
        };
        e
    }

    /// A convex set with its parameter, if it has one.
    fn cone(&mut self, cone: ConeName, written: ExprKind, span: Span) -> ExprKind {
        let mut args = match written {
            ExprKind::Call { args, .. } => args,
            _ => vec![],
        };
        let word = cone.word();
        let named = args.first().is_some_and(|a| {
            a.name
                .as_ref()
                .is_some_and(|n| Some(n.text.as_str()) != cone.parameter())
        });
        let arg = args.pop().map(|a| Box::new(a.value));
        let expected = match (cone.parameter(), &arg) {
            (Some(p), None) => format!("`{word}({p})`, with a number"),
            (None, Some(_)) => format!("`{word}` without arguments"),
            (Some(p), Some(_)) if named || !args.is_empty() => format!("`{word}({p})`, with one number"),
            _ => return ExprKind::Cone { cone, arg },
        };
        self.report(errors::unexpected(word, &expected, span));
        ExprKind::Error
    }

    /// A `type_expr` pair.
    pub fn type_expr(&mut self, pair: Pair<'_, Rule>) -> TypeExpr {
        let span = self.span(&pair);
        let mut name = Ident {
            text: String::new(),
            span,
        };
        let mut dims = vec![];
        for p in pair.into_inner() {
            match p.as_rule() {
                Rule::name => name = self.ident(&p),
                Rule::expr => dims.push(self.expr(p)),
                _ => {}
            }
        }
        TypeExpr { name, dims, span }
    }
}
