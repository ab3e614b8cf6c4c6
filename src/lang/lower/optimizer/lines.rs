//! The statements of a step: what is asked, drawn, changed and repeated.
//!
//! Invariant: names changed in a branch or a loop live in a register of their own, written at the end of each way through.

use super::super::{Lowered, Val, describe, err};
use super::builder::{Builder, State, Var};
use crate::atoms;
use crate::base::value::{Elem, IndexSet};
use crate::base::{Code, Span};
use crate::ir::script::{Ask, Commit, Law, Of, Op, Reg, StateKind, StateSpec};
use crate::lang::syntax::{Arg, Expr, ExprKind, Ident, OptimizerDecl, StepKind, StepStmt, TypeExpr, show};

impl<'n> Builder<'n> {
    /// Asks the problem.
    pub fn ask(&mut self, name: &str, e: &Expr, args: &[Arg]) -> Lowered<Val> {
        let what = match name {
            "value" => Ask::Value,
            "trial" => Ask::Trial,
            "grad" if args.is_empty() => {
                return match &self.gradient {
                    Some(g) => Ok(g.clone()),
                    None => Err(err(Code::BadStep, "the optimizer asks for no gradient at every step")
                        .at(e.span, "the gradient of this step")
                        .help("`grad(x)` asks for one")
                        .into()),
                };
            }
            "grad" => Ask::Gradient,
            "operator" => Ask::Operator,
            "lmo" => Ask::LinearMinimum,
            "away" => Ask::Away,
            "reach" => Ask::Reach,
            "hvp" => Ask::Product,
            "hessian" => Ask::Hessian,
            "smooth" => Ask::Smooth,
            "prox" => Ask::Prox,
            "constraints" => Ask::Vector(Of::Constraints),
            "residuals" => Ask::Vector(Of::Residuals),
            "jacobian" => Ask::Jacobian(of(args)),
            "jvp" => Ask::Along(of(args)),
            "vjp" => Ask::Against(of(args)),
            "grads" => Ask::Gradients,
            _ => Ask::Project,
        };
        let plain = match what {
            Ask::Product | Ask::Prox | Ask::Away | Ask::Reach | Ask::Along(_) | Ask::Against(_) => 2,
            _ => 1,
        };
        let (mut regs, mut at) = (vec![], None);
        for a in args.iter().take(plain) {
            let v = self.plain(&a.value)?;
            if at.is_none() {
                at = Some(v.clone());
            }
            regs.push(self.reg_of(&v, a.value.span)?);
        }
        let batch = match args.get(plain).filter(|a| a.name.is_none()) {
            Some(a) => {
                self.samples.get_or_insert(e.span);
                Some(self.terms_at(&a.value)?)
            }
            None => None,
        };
        if !self.asks.iter().any(|(a, _)| *a == what) {
            self.asks.push((what, e.span));
        }
        self.projects |= matches!(what, Ask::Project | Ask::Prox | Ask::LinearMinimum);
        let point = self.point.clone();
        let rows = match what {
            Ask::Vector(of) | Ask::Jacobian(of) | Ask::Along(of) | Ask::Against(of) => Some(self.rows_of(of, e.span)?),
            Ask::Gradients => {
                self.samples.get_or_insert(e.span);
                Some(self.term_rows(e.span)?)
            }
            _ => None,
        };
        if let (Ask::Against(_), Some(rows), [_, y]) = (what, &rows, regs.as_slice())
            && self.regs[*y].len != rows.len()
        {
            let what = format!(
                "`vjp` takes {} numbers here, one for each row, not {}",
                rows.len(),
                self.regs[*y].len
            );
            return Err(err(Code::StateShape, what).at(e.span, "here").into());
        }
        let dims = match what {
            Ask::Vector(_) | Ask::Along(_) => rows.into_iter().collect(),
            Ask::Jacobian(_) | Ask::Gradients => rows.into_iter().chain([point]).collect(),
            Ask::Value | Ask::Trial | Ask::Reach | Ask::Smooth => vec![],
            Ask::Hessian => vec![point.clone(), point],
            _ => vec![point],
        };
        let known = self.answered(what, &regs).filter(|_| batch.is_none());
        let out = match known {
            Some(r) => {
                if !self.looking {
                    self.beside.retain(|b| *b != r);
                }
                r
            }
            None => {
                let out = self.register(name, dims.clone());
                if self.looking {
                    self.beside.push(out);
                }
                if batch.is_none() {
                    self.keep(what, &regs, out);
                }
                if !self.together(what, &regs, batch, out) {
                    self.push(Op::Ask {
                        what,
                        args: regs,
                        batch,
                        value: None,
                        out,
                        span: e.span,
                    });
                }
                out
            }
        };
        let mut v = self.read(out, &dims);
        if what == Ask::Gradient {
            if !self.before.is_empty() {
                v = self.gradient_path(v, at, e.span)?;
            }
            if self.ops.len() == 1 && self.part == self.main {
                self.gradient = Some(v.clone());
            }
        }
        Ok(v)
    }

    /// Value and gradient at one point, on one batch, are asked together: joins the question to an earlier one of its kind
    /// since the last branch or loop, before which registers may have had other values.
    fn together(&mut self, what: Ask, args: &[Reg], batch: Option<Reg>, out: Reg) -> bool {
        if !matches!(what, Ask::Value | Ask::Gradient) {
            return false;
        }
        let Some(list) = self.ops.last_mut() else { return false };
        for op in list.iter_mut().rev() {
            match op {
                Op::If { .. } | Op::While { .. } | Op::For { .. } => return false,
                Op::Ask {
                    what: earlier,
                    args: a,
                    batch: b,
                    value,
                    out: first,
                    ..
                } if a.as_slice() == args && *b == batch && value.is_none() => match (*earlier, what) {
                    (Ask::Gradient, Ask::Value) => {
                        *value = Some(out);
                        self.piece = None;
                        return true;
                    }
                    (Ask::Value, Ask::Gradient) => {
                        *earlier = Ask::Gradient;
                        *value = Some(*first);
                        *first = out;
                        self.piece = None;
                        return true;
                    }
                    _ => {}
                },
                _ => {}
            }
        }
        false
    }

    /// Runs the transforms of the gradient.
    fn gradient_path(&mut self, g: Val, at: Option<Var>, span: Span) -> Lowered<Val> {
        let before = std::mem::take(&mut self.before);
        let home = self.part;
        let mut u = Var { val: g, piece: None };
        let kept_answers = std::mem::take(&mut self.l.answered);
        let each = (std::mem::take(&mut self.each), std::mem::take(&mut self.sizes));
        for (k, d) in &before {
            let own_x = self.vars.get("x").cloned();
            self.leave(home);
            self.enter(*k);
            if let Some(x) = &at {
                self.vars.insert("x".into(), x.clone());
            }
            self.vars.insert("u".into(), u.clone());
            self.lines(&d.step)?;
            u = self.vars.shift_remove("u").unwrap_or(u);
            self.vars.shift_remove("x");
            self.leave(*k);
            if let Some(x) = own_x {
                self.x = x;
            }
            self.enter(home);
        }
        (self.each, self.sizes) = each;
        self.l.answered = kept_answers;
        self.before = before;
        self.settled(&u, span)
    }

    /// Draws random numbers.
    pub fn draw(&mut self, name: &str, e: &Expr, args: &[Arg]) -> Lowered<Val> {
        let law = match name {
            "normal" => Law::Normal,
            "rademacher" => Law::Rademacher,
            "uniform" => Law::Uniform,
            "permutation" => Law::Permutation,
            _ => Law::Batch,
        };
        let first = match args.first() {
            Some(a) => Some((self.plain(&a.value)?, a.value.span)),
            None => None,
        };
        let dims = match (law, &first) {
            (Law::Batch | Law::Permutation, Some((v, span))) => vec![IndexSet::upto(self.constant(v, *span)?)],
            (_, Some((v, _))) => v.val.dims().to_vec(),
            (_, None) => vec![],
        };
        let (mut law, mut taken) = (law, None);
        if law == Law::Batch {
            self.samples.get_or_insert(e.span);
            let named = |w: &str| args.iter().find(|a| a.name.as_ref().is_some_and(|n| n.text == w));
            if let Some(a) = named("replace") {
                let v = self.plain(&a.value)?;
                let known = match v.val {
                    Val::Num(n, _) => self.l.ir.as_const(n),
                    _ => None,
                };
                let Some(v) = known else {
                    return Err(err(Code::WrongType, "`replace:` is known before the run")
                        .at(a.value.span, "here")
                        .into());
                };
                if v == 0.0 {
                    law = Law::Shuffled;
                    taken = Some(self.counter());
                }
            }
            if let Some(a) = named("of") {
                let v = self.plain(&a.value)?;
                let Val::Set(set) = v.val else {
                    return Err(err(Code::WrongType, "`of:` names a set")
                        .at(a.value.span, "here")
                        .into());
                };
                match &self.over {
                    Some((other, at)) if *other != set => {
                        return Err(err(Code::BadStep, "a step samples one sum")
                            .at(a.value.span, "another set")
                            .at(*at, "sampled here")
                            .into());
                    }
                    _ => self.over = Some((set, a.value.span)),
                }
            }
        }
        let out = self.register(name, dims.clone());
        let site = self.draws;
        self.draws += 1;
        self.push(Op::Draw {
            law,
            site,
            taken,
            out,
            span: e.span,
        });
        Ok(self.read(out, &dims))
    }

    /// A number that is kept from step to step, 0 at first: the register that a step counts on in.
    fn counter(&mut self) -> Reg {
        let nought = self.register("nought", vec![]);
        let kept = self.register("taken", vec![]);
        let now = self.register("taken", vec![]);
        self.first.push(Commit { to: kept, from: nought });
        self.specs.push(StateSpec {
            name: format!("taken {}", self.taken.len() + 1),
            kind: StateKind::Number,
            dims: vec![],
            reg: kept,
        });
        self.taken.push((kept, now));
        if let Some(step) = self.ops.first_mut() {
            step.insert(0, Op::Copy { from: kept, to: now });
        }
        now
    }

    /// A register with positions of terms, from 0: those of a batch, or one by its number.
    fn terms_at(&mut self, e: &Expr) -> Lowered<Reg> {
        let v = self.plain(e)?;
        if v.val.dims().is_empty() {
            let val = self.settled(&v, e.span)?;
            let one = Val::Num(self.l.ir.constant(1.0), Elem::Int);
            let val = self.l.elementwise(atoms::SUB, vec![val, one], Elem::Int, e.span)?;
            let piece = Some(self.current());
            return self.reg_of(&Var { val, piece }, e.span);
        }
        self.reg_of(&v, e.span)
    }

    /// A register with the position of an entry of a table.
    fn entry_at(&mut self, e: &Expr) -> Lowered<Reg> {
        let r = self.terms_at(e)?;
        match self.regs[r].len {
            1 => Ok(r),
            n => Err(err(
                Code::WrongType,
                format!("an entry of a table is of one term, and this batch has {n}"),
            )
            .at(e.span, "here")
            .help(format!(
                "take them one at a time: `for k in 1..{n} {{ let i = sample(1) … }}`"
            ))
            .into()),
        }
    }

    /// `table[i]`.
    pub fn lookup(&mut self, state: usize, k: &Expr, span: Span) -> Lowered<Val> {
        let which = self.entry_at(k)?;
        let dims = self
            .states
            .iter()
            .find(|s| s.at == state)
            .map(|s| s.dims.clone())
            .unwrap_or_default();
        let to = self.register("entry", dims.clone());
        self.push(Op::Lookup { state, which, to, span });
        Ok(self.read(to, &dims))
    }

    fn constant(&mut self, v: &Var, span: Span) -> Lowered<usize> {
        let n = match &v.val {
            Val::Num(n, _) => self.l.ir.as_const(*n),
            _ => None,
        };
        match n.filter(|n| n.fract() == 0.0 && (1.0..1e9).contains(n)) {
            Some(n) => Ok(n as usize),
            None => Err(err(
                Code::WrongType,
                "a number of draws is an integer of at least 1 known before the run",
            )
            .at(span, "here")
            .into()),
        }
    }

    /// The value at the start of the step: of the point, of a block of an `each`, of a state.
    pub fn old(&mut self, args: &[Arg]) -> Lowered<Option<Val>> {
        let Some((name, span)) = args.first().and_then(|a| Some((a.value.as_name()?, a.value.span))) else {
            return Ok(None);
        };
        if name == "x" {
            return Ok(Some(self.x_start.clone()));
        }
        if let Some(k) = self.each.iter().rev().find(|(n, _)| n == name).map(|e| e.1) {
            let start = Var {
                val: self.x_start.clone(),
                piece: None,
            };
            let now = self.vars.get(name).map(|v| v.val.dims().to_vec());
            // A block that is not one of the type's is a vector of its entries.
            return match now == Some(self.blocks[k].dims.clone()) {
                true => self.block_of(start.val, k, span).map(Some),
                false => self.flat(k, &start, span).map(Some),
            };
        }
        let at = self.state_named(name);
        let state = at.and_then(|at| self.states.iter().find(|s| s.at == at));
        Ok(state.and_then(|s| s.start.clone()))
    }

    /// Number of values in a history.
    pub fn history_length(&mut self, args: &[Arg]) -> Lowered<Option<Val>> {
        let state = args
            .first()
            .and_then(|a| a.value.as_name())
            .and_then(|n| self.history(n));
        let Some(state) = state else { return Ok(None) };
        let to = self.register("length", vec![]);
        self.push(Op::Recalled { state, to });
        Ok(Some(match self.read(to, &[]) {
            Val::Num(n, _) => Val::Num(n, Elem::Int),
            v => v,
        }))
    }

    /// `h[k]`.
    pub fn recall(&mut self, state: usize, k: &Expr, span: Span) -> Lowered<Val> {
        let v = self.plain(k)?;
        let which = self.reg_of(&v, k.span)?;
        let dims = self
            .states
            .iter()
            .find(|s| s.at == state)
            .map(|s| s.dims.clone())
            .unwrap_or_default();
        let to = self.register("recalled", dims.clone());
        self.push(Op::Recall { state, which, to, span });
        Ok(self.read(to, &dims))
    }

    // ---- states ----------------------------------------------------------------------------------------------------

    pub fn states(&mut self, lines: &[StepStmt]) -> Lowered<()> {
        for s in lines {
            match &s.kind {
                StepKind::State { name, value } => self.state(name, value, None)?,
                StepKind::Each {
                    name,
                    ty,
                    body,
                    otherwise,
                    ..
                } => {
                    for k in 0..self.blocks.len() {
                        let own = self.block_fits(ty.as_ref(), k);
                        self.enter_block(name, ty.as_ref(), k, own)?;
                        for l in if own { body } else { otherwise } {
                            if let StepKind::State { name, value } = &l.kind {
                                self.state(name, value, Some(k))?;
                            }
                        }
                        self.leave_block(name);
                    }
                }
                _ => {}
            }
        }
        Ok(())
    }

    fn state(&mut self, name: &Ident, value: &Expr, block: Option<usize>) -> Lowered<()> {
        let own = match block {
            Some(k) => format!("{}@{k}", name.text),
            None => name.text.clone(),
        };
        let shown = match block {
            Some(k) => format!("{}.{}", name.text, self.blocks[k].name),
            None => name.text.clone(),
        };
        let taken = self.specs.iter().any(|s| s.name == shown);
        let shown = if taken {
            format!("{}.{shown}", self.part_name(self.part))
        } else {
            shown
        };
        if let ExprKind::Call { callee, args } = &value.kind
            && let Some(what @ ("history" | "table")) = callee.as_name()
            && self.is_own(what)
            && let [cap, like] = args.as_slice()
        {
            let all = what == "table" && cap.value.as_name() == Some("terms") && self.is_own("terms");
            let n = if all {
                self.samples.get_or_insert(cap.value.span);
                None
            } else {
                let v = self.expr(&cap.value)?;
                Some(self.constant(&v, cap.value.span)?)
            };
            let first = self.expr(&like.value)?;
            let dims = first.val.dims().to_vec();
            let width: usize = dims.iter().map(IndexSet::len).product();
            let (kind, reg) = match n {
                Some(n) if what == "history" => (StateKind::History(n, width), self.register(&shown, vec![])),
                // The run makes it as long as the problem's sum.
                n => (
                    StateKind::Table(n, width),
                    self.register(&shown, vec![IndexSet::upto(0)]),
                ),
            };
            if what == "table" {
                let from = self.reg_of(&first, like.value.span)?;
                let state = self.specs.len();
                self.push(Op::Tabulate { state, from });
            }
            self.specs.push(StateSpec {
                name: shown,
                kind,
                dims: dims.clone(),
                reg,
            });
            self.states.push(State {
                part: self.part,
                key: own,
                at: self.specs.len() - 1,
                start: None,
                dims,
            });
            return Ok(());
        }
        let v = self.expr(value)?;
        let dims = v.val.dims().to_vec();
        let from = self.own_reg(&v, value.span)?;
        let reg = self.register(&shown, dims.clone());
        self.first.push(Commit { to: reg, from });
        let start = self.read(reg, &dims);
        let kind = if dims.is_empty() {
            StateKind::Number
        } else {
            StateKind::Array(dims.iter().map(IndexSet::len).product())
        };
        self.specs.push(StateSpec {
            name: shown,
            kind,
            dims: dims.clone(),
            reg,
        });
        self.states.push(State {
            part: self.part,
            key: own.clone(),
            at: self.specs.len() - 1,
            start: Some(start.clone()),
            dims,
        });
        // Later states may be made of this one: in `init` it stands in `from`.
        let early = match v.val.dims() {
            [] => self.read(from, &[]),
            d => {
                let d = d.to_vec();
                self.read(from, &d)
            }
        };
        self.vars.insert(
            own,
            Var {
                val: early,
                piece: None,
            },
        );
        Ok(())
    }

    /// A register that holds the value and nothing else.
    fn own_reg(&mut self, v: &Var, span: Span) -> Lowered<Reg> {
        let r = self.reg_of(v, span)?;
        let used = r == self.x_reg || r == self.t_reg || self.first.iter().any(|c| c.from == r);
        if !used {
            return Ok(r);
        }
        let own = self.register("start", v.val.dims().to_vec());
        self.push(Op::Copy { from: r, to: own });
        Ok(own)
    }

    /// Ends the part that makes the states, and begins the step.
    pub fn begin_step(&mut self) {
        let part = self.part;
        self.leave(part);
        self.init = self.close();
        self.open();
        self.x = Var {
            val: self.x_start.clone(),
            piece: None,
        };
        for s in self.states.clone() {
            self.enter(s.part);
            self.vars.shift_remove(&s.key);
            if let Some(start) = s.start {
                self.vars.insert(
                    s.key,
                    Var {
                        val: start,
                        piece: None,
                    },
                );
            }
            self.leave(s.part);
        }
    }

    // ---- statements ------------------------------------------------------------------------------------------------

    pub fn lines(&mut self, lines: &[StepStmt]) -> Lowered<()> {
        let mut own = vec![];
        for s in lines {
            if let StepKind::Let(d) = &s.kind {
                own.push(d.name.text.clone());
            }
            self.line(s)?;
        }
        for n in own {
            self.vars.shift_remove(&n);
        }
        Ok(())
    }

    fn line(&mut self, s: &StepStmt) -> Lowered<()> {
        self.read_again(s);
        match &s.kind {
            StepKind::State { .. } => {}
            StepKind::Let(d) => {
                let v = self.expr(&d.value)?;
                self.vars.insert(d.name.text.clone(), v);
            }
            StepKind::Update {
                name,
                entry: Some(at),
                value,
                ..
            } => self.enter_entry(name, at, value)?,
            StepKind::Update { name, block, value, .. } => self.update(name, block.as_ref(), value, s.span)?,
            StepKind::If {
                condition,
                then,
                otherwise,
            } => {
                let c = self.expr(condition)?;
                // A choice that parameters have made is no choice of the run.
                if let Val::Num(n, _) = c.val
                    && let Some(v) = self.l.ir.as_const(n)
                {
                    return self.lines(if v != 0.0 { then } else { otherwise });
                }
                let c = self.reg_of(&c, condition.span)?;
                let changed = self.shared(then.iter().chain(otherwise), s.span)?;
                let mut ways = vec![];
                for lines in [then, otherwise] {
                    let before = self.vars.clone();
                    self.open();
                    self.lines(lines)?;
                    self.store(&changed, s.span)?;
                    ways.push(self.close());
                    self.vars = before;
                }
                let otherwise = ways.pop().unwrap_or_default();
                let then = ways.pop().unwrap_or_default();
                self.push(Op::If {
                    condition: c,
                    then,
                    otherwise,
                });
            }
            StepKind::While { condition, body } => {
                let changed = self.shared(body.iter(), s.span)?;
                let before_vars = self.vars.clone();
                self.open();
                let c = self.expr(condition)?;
                let c = self.reg_of(&c, condition.span)?;
                let before = self.close();
                self.open();
                self.lines(body)?;
                self.store(&changed, s.span)?;
                let body = self.close();
                self.vars = before_vars;
                self.push(Op::While {
                    before,
                    condition: c,
                    body,
                    text: format!("while {}", show(condition)),
                    span: s.span,
                });
            }
            StepKind::For { name, set, body } => {
                let ExprKind::Range { lo, hi } = &set.kind else {
                    return Err(err(Code::WrongType, "a loop runs over a range `1..n`")
                        .at(set.span, "here")
                        .into());
                };
                let (a, b) = (self.expr(lo)?, self.expr(hi)?);
                let (lo, hi) = (self.reg_of(&a, lo.span)?, self.reg_of(&b, hi.span)?);
                let counter = self.register(&name.text, vec![]);
                self.rewritten.push(counter);
                let changed = self.shared(body.iter(), s.span)?;
                let before_vars = self.vars.clone();
                let v = match self.read(counter, &[]) {
                    Val::Num(n, _) => Val::Num(n, Elem::Int),
                    v => v,
                };
                self.open();
                self.vars.insert(name.text.clone(), Var { val: v, piece: None });
                self.lines(body)?;
                self.store(&changed, s.span)?;
                let body = self.close();
                self.vars = before_vars;
                self.push(Op::For {
                    lo,
                    hi,
                    counter,
                    body,
                    text: format!("for {} in {}", name.text, show(set)),
                    span: s.span,
                });
            }
            StepKind::Each {
                name,
                ty,
                body,
                otherwise,
                ..
            } => self.each_block(name, ty.as_ref(), body, otherwise, s.span)?,
            StepKind::Record { name, value } => {
                let v = self.looked_at(value)?;
                // Of several blocks each has its own.
                let name = match self.each.last() {
                    Some((_, k)) if self.alike > 1 => format!("{}.{}", name.text, self.blocks[*k].name),
                    _ => name.text.clone(),
                };
                self.record(name, &v, value.span)?;
            }
            StepKind::Stop(e) => {
                let v = self.looked_at(e)?;
                let r = self.flag(&v, e.span)?;
                self.stops.push((r, e.span));
            }
            StepKind::Fail { condition, why } => {
                let v = self.expr(condition)?;
                let condition = self.reg_of(&v, condition.span)?;
                self.push(Op::Fail {
                    condition,
                    why: why.clone(),
                });
            }
            StepKind::Restart(e) => {
                let v = self.expr(e)?;
                let r = self.flag(&v, e.span)?;
                self.restarts.push(r);
            }
        }
        Ok(())
    }

    /// What a record or a stop says: the step does not depend on it.
    fn looked_at(&mut self, e: &Expr) -> Lowered<Var> {
        self.looking = true;
        let v = self.expr(e);
        self.looking = false;
        v
    }

    /// A truth value that is looked at when the step ends.
    fn flag(&mut self, v: &Var, span: Span) -> Lowered<Var> {
        if self.ops.len() <= 1 {
            return Ok(v.clone());
        }
        let r = self.reg_of(v, span)?;
        Ok(Var {
            val: self.read(r, &[]),
            piece: None,
        })
    }

    /// Writes a value into the register that a record has for itself, so that what is recorded stays as it was.
    fn record(&mut self, name: String, v: &Var, span: Span) -> Lowered<()> {
        if let Some(to) = self.records.iter().find(|r| r.0 == name).map(|r| r.1) {
            let from = self.reg_of(v, span)?;
            self.push(Op::Copy { from, to });
            return Ok(());
        }
        let to = self.register(&name, vec![]);
        self.rewritten.push(to);
        self.records.push((name, to));
        if self.ops.len() > 1 {
            self.gaps.push(to);
        }
        self.write(v, to, span)
    }

    /// Keeps what a line computes as it is written, for a run that fails there.
    fn read_again(&mut self, s: &StepStmt) {
        let (value, text) = match &s.kind {
            StepKind::Let(d) => (&d.value, format!("let {} = {}", d.name.text, show(&d.value))),
            StepKind::Record { name, value } => (value, format!("record {} = {}", name.text, show(value))),
            StepKind::Update { name, block, value, .. } => {
                let of = block.as_ref().map_or(String::new(), |b| format!(".{}", b.text));
                (value, format!("{}{of} <- {}", name.text, show(value)))
            }
            _ => return,
        };
        if self.read.iter().all(|(at, _)| *at != value.span) {
            self.read.push((value.span, text));
        }
    }

    /// Keeps the line that changes the point, or a block of it.
    fn moves(&mut self, name: &Ident, block: Option<&Ident>, value: &Expr) {
        let of = block.unwrap_or(name);
        let known = self.each.iter().rev().find(|(n, _)| *n == of.text).map(|(_, k)| *k);
        let one = known.or_else(|| block.and_then(|b| self.blocks.iter().position(|p| p.name == b.text)));
        let shown = match block {
            Some(b) => format!("{}.{}", name.text, b.text),
            None => name.text.clone(),
        };
        let text = format!("{shown} <- {}", show(value));
        match one {
            _ if self.part != self.main => {}
            Some(k) if block.is_none() || name.text == "x" => self.moves[k] = Some(text),
            None if name.text == "x" => self.moves.fill(Some(text)),
            _ => {}
        }
    }

    fn update(&mut self, name: &Ident, block: Option<&Ident>, value: &Expr, span: Span) -> Lowered<()> {
        self.moves(name, block, value);
        let v = self.expr(value)?;
        if let Some(state) = self.history(&name.text) {
            let width = match self.specs[state].kind {
                StateKind::History(_, w) => w,
                _ => 0,
            };
            let from = self.reg_of(&v, value.span)?;
            if self.regs[from].len != width {
                return Err(err(
                    Code::StateShape,
                    format!(
                        "`{}` keeps arrays of {width} entries, this value has {}",
                        name.text, self.regs[from].len
                    ),
                )
                .at(value.span, "here")
                .into());
            }
            self.push(Op::Push { state, from });
            return Ok(());
        }
        if let Some(b) = block {
            let known = self.each.iter().rev().find(|(n, _)| *n == b.text).map(|(_, k)| *k);
            let Some(k) = known.or_else(|| self.blocks.iter().position(|p| p.name == b.text)) else {
                return Err(
                    err(Code::UnknownName, format!("the problem has no variable `{}`", b.text))
                        .at(b.span, "here")
                        .into(),
                );
            };
            self.same_shape(&b.text, &self.blocks[k].dims.clone(), &v.val, value.span)?;
            let v = self.splice(&name.text, &[(k, v)], span)?;
            self.vars.insert(name.text.clone(), v);
            return Ok(());
        }
        let old = match self.vars.get(&name.text) {
            Some(v) => v.val.dims().to_vec(),
            // `answer` before anything was said of it.
            None => vec![self.point.clone()],
        };
        self.same_shape(&name.text, &old, &v.val, value.span)?;
        self.vars.insert(name.text.clone(), v);
        Ok(())
    }

    /// `table[i] <- value`.
    fn enter_entry(&mut self, name: &Ident, at: &Expr, value: &Expr) -> Lowered<()> {
        let v = self.expr(value)?;
        let from = self.reg_of(&v, value.span)?;
        self.ask_all(at)?;
        let which = self.entry_at(at)?;
        self.l.answered.clear();
        let Some(state) = self.table(&name.text) else {
            return Err(err(Code::BadStep, format!("`{}` is no table", name.text))
                .at(name.span, "here")
                .into());
        };
        let dims = self.states.iter().find(|s| s.at == state).map(|s| s.dims.clone());
        self.same_shape(&name.text, &dims.unwrap_or_default(), &v.val, value.span)?;
        self.push(Op::Enter {
            state,
            which,
            from,
            span: at.span,
        });
        Ok(())
    }

    fn same_shape(&self, name: &str, old: &[IndexSet], new: &Val, span: Span) -> Lowered<()> {
        if new.dims() == old {
            return Ok(());
        }
        Err(err(
            Code::StateShape,
            format!("`{name}` is {}, its new value {}", describe(old), describe(new.dims())),
        )
        .at(span, "another shape")
        .help("a state keeps its shape; a number for all entries is `v*ones(x)`")
        .into())
    }

    /// A point with some of its blocks exchanged.
    fn splice(&mut self, name: &str, parts: &[(usize, Var)], span: Span) -> Lowered<Var> {
        let old = match self.vars.get(name).cloned() {
            Some(v) => v,
            None => {
                return Err(err(Code::UnknownName, format!("`{name}` is not known here"))
                    .at(span, "here")
                    .into());
            }
        };
        let dims = vec![self.point.clone()];
        let to = self.register(name, dims.clone());
        let mut regs = vec![];
        for (k, v) in parts {
            regs.push((self.blocks[*k].offset, self.reg_of(v, span)?));
        }
        let from = self.reg_of(&old, span)?;
        self.push(Op::Copy { from, to });
        for (offset, from) in regs {
            self.push(Op::Splice { from, offset, to });
        }
        Ok(Var {
            val: self.read(to, &dims),
            piece: None,
        })
    }

    // ---- blocks ----------------------------------------------------------------------------------------------------

    fn block_fits(&self, ty: Option<&TypeExpr>, k: usize) -> bool {
        match ty {
            Some(t) => {
                let rank = match t.name.text.as_str() {
                    "Symmetric" | "Diagonal" => 2,
                    _ => t.dims.len(),
                };
                let lens: Vec<usize> = self.blocks[k].dims.iter().map(IndexSet::len).collect();
                if lens.len() != rank {
                    return false;
                }
                if t.dims.len() < rank {
                    return lens.iter().all(|n| *n == lens[0]);
                }
                // A size is the same wherever it stands.
                let mut bound: Vec<(&str, usize)> = vec![];
                t.dims.iter().zip(lens).all(|(d, n)| match d.as_name() {
                    Some(name) => {
                        let known = bound.iter().find(|b| b.0 == name).map(|b| b.1);
                        bound.push((name, n));
                        known.or(self.size_given(name)).is_none_or(|m| m == n)
                    }
                    None => d.as_integer().is_none_or(|m| m == n as i64),
                })
            }
            None => true,
        }
    }

    fn enter_block(&mut self, name: &Ident, ty: Option<&TypeExpr>, k: usize, own: bool) -> Lowered<()> {
        self.each.push((name.text.clone(), k));
        if let (Some(t), true) = (ty, own) {
            let lens: Vec<usize> = self.blocks[k].dims.iter().map(IndexSet::len).collect();
            for (d, n) in t.dims.iter().zip(lens) {
                // A set stays one.
                if let Some(s) = d.as_name()
                    && self.session_set(s).is_none()
                {
                    self.sizes.push((s.to_string(), n));
                }
            }
        }
        let x = match self.vars.get("x").cloned() {
            Some(x) => x,
            None => self.x.clone(),
        };
        let val = self.settled(&x, name.span)?;
        let mut block = self.block_of(val, k, name.span)?;
        // A block that is not one of the type's is a vector of its entries.
        if !own && block.dims().len() != 1 {
            block = self.flat(k, &x, name.span)?;
        }
        let piece = Some(self.current());
        self.vars.insert(name.text.clone(), Var { val: block, piece });
        Ok(())
    }

    fn flat(&mut self, k: usize, x: &Var, span: Span) -> Lowered<Val> {
        let from = self.reg_of(x, span)?;
        let dims = vec![IndexSet::upto(self.blocks[k].len)];
        let to = self.register("block", dims.clone());
        self.push(Op::Slice {
            from,
            offset: self.blocks[k].offset,
            to,
        });
        Ok(self.read(to, &dims))
    }

    fn leave_block(&mut self, name: &Ident) {
        self.each.pop();
        self.sizes.clear();
        self.vars.shift_remove(&name.text);
    }

    fn each_block(
        &mut self,
        name: &Ident,
        ty: Option<&TypeExpr>,
        body: &[StepStmt],
        otherwise: &[StepStmt],
        span: Span,
    ) -> Lowered<()> {
        let mut parts = vec![];
        let fit: Vec<bool> = (0..self.blocks.len()).map(|k| self.block_fits(ty, k)).collect();
        for k in 0..fit.len() {
            let own = fit[k];
            self.alike = fit.iter().filter(|f| **f == own).count();
            self.enter_block(name, ty, k, own)?;
            let start = self.vars.get(&name.text).map(|v| v.val.clone());
            let inside: Vec<(String, String)> = self
                .states
                .iter()
                .filter(|s| s.part == self.part)
                .filter_map(|s| {
                    s.key
                        .strip_suffix(&format!("@{k}"))
                        .map(|n| (n.to_string(), s.key.clone()))
                })
                .collect();
            for (n, key) in &inside {
                if let Some(v) = self.vars.get(key).cloned() {
                    self.vars.insert(n.clone(), v);
                }
            }
            let changed = changes(if own { body } else { otherwise }).contains(&name.text);
            self.lines(if own { body } else { otherwise })?;
            for (n, key) in &inside {
                if let Some(v) = self.vars.shift_remove(n) {
                    self.vars.insert(key.clone(), v);
                }
            }
            if changed && let Some(v) = self.vars.get(&name.text).cloned() {
                if let Some(s) = start {
                    self.same_shape(&name.text, s.dims(), &v.val, span)?;
                }
                parts.push((k, v));
            }
            self.leave_block(name);
        }
        if !parts.is_empty() {
            let x = self.splice("x", &parts, span)?;
            self.vars.insert("x".into(), x);
        }
        Ok(())
    }

    // ---- branches and loops ----------------------------------------------------------------------------------------

    /// Gives every name that the lines change a register of its own.
    fn shared<'s>(&mut self, lines: impl Iterator<Item = &'s StepStmt>, span: Span) -> Lowered<Vec<(String, Reg)>> {
        let mut names: Vec<String> = vec![];
        for l in lines {
            for n in changes(std::slice::from_ref(l)) {
                if !names.contains(&n) {
                    names.push(n);
                }
            }
        }
        let mut out = vec![];
        for n in names {
            let Some(v) = self.vars.get(&n).cloned() else { continue };
            if self.history(&n).is_some() {
                continue;
            }
            let dims = v.val.dims().to_vec();
            let r = self.register(&n, dims.clone());
            self.write(&v, r, span)?;
            self.rewritten.push(r);
            out.push((n, r, dims));
        }
        // Only now are the old values out of use.
        let mut shared = vec![];
        for (n, r, dims) in out {
            let val = self.read(r, &dims);
            self.vars.insert(n.clone(), Var { val, piece: None });
            shared.push((n, r));
        }
        Ok(shared)
    }

    /// Writes the names into their registers at the end of a way.
    fn store(&mut self, shared: &[(String, Reg)], span: Span) -> Lowered<()> {
        // What is another shared register must be saved before that one is written.
        let mut late = vec![];
        for (n, r) in shared {
            let Some(v) = self.vars.get(n).cloned() else { continue };
            let val = self.settled(&v, span)?;
            match self.alias(&val) {
                Some(a) if a == *r => {}
                Some(a) if shared.iter().any(|(_, s)| *s == a) => {
                    let dims = val.dims().to_vec();
                    let saved = self.register(n, dims);
                    self.push(Op::Copy { from: a, to: saved });
                    late.push((saved, *r));
                }
                Some(a) => late.push((a, *r)),
                None => {
                    let from = self.reg_of(&v, span)?;
                    late.push((from, *r));
                }
            }
        }
        for (from, to) in late {
            self.push(Op::Copy { from, to });
        }
        Ok(())
    }

    // ---- transforms behind the optimizer ---------------------------------------------------------------------------

    /// Runs a transform of the update (`direction`) or of the point.
    pub fn transform(&mut self, k: usize, d: &OptimizerDecl, direction: bool) -> Lowered<()> {
        if direction {
            let (x, start) = (self.x.clone(), self.x_start.clone());
            let x_val = self.settled(&x, d.span)?;
            let u = self
                .l
                .elementwise(atoms::SUB, vec![x_val, start.clone()], Elem::Real, d.span)?;
            let piece = Some(self.current());
            self.x = Var {
                val: start,
                piece: None,
            };
            self.enter(k);
            self.vars.insert("u".into(), Var { val: u, piece });
            self.lines(&d.step)?;
            let u = self.vars.shift_remove("u");
            self.leave(k);
            if let Some(u) = u {
                let u = self.settled(&u, d.span)?;
                let x = self
                    .l
                    .elementwise(atoms::ADD, vec![self.x_start.clone(), u], Elem::Real, d.span)?;
                let piece = Some(self.current());
                self.x = Var {
                    val: super::remembered(x),
                    piece,
                };
            }
        } else {
            self.enter(k);
            self.lines(&d.step)?;
            self.leave(k);
        }
        Ok(())
    }
}

/// What `of:` names: constraints where nothing is said.
fn of(args: &[Arg]) -> Of {
    let named = args.iter().find(|a| a.name.as_ref().is_some_and(|n| n.text == "of"));
    match named.and_then(|a| a.value.as_name()) {
        Some("residuals") => Of::Residuals,
        _ => Of::Constraints,
    }
}

/// Names that lines change.
fn changes(lines: &[StepStmt]) -> Vec<String> {
    let mut out: Vec<String> = vec![];
    for s in lines {
        s.for_each_stmt(&mut |s| {
            let n = match &s.kind {
                StepKind::Update { name, .. } => name.text.clone(),
                // The blocks of an `each` are parts of the point.
                StepKind::Each { .. } => "x".to_string(),
                _ => return,
            };
            if !out.contains(&n) {
                out.push(n);
            }
        });
    }
    out
}
