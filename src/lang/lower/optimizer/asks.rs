//! What a step asks of the problem, and what it draws.
//!
//! Invariant: what was answered at a point is not asked again while its registers keep their values; value and gradient
//! at one point are one question.

use super::super::{Entity, Lowered, Val, err};
use super::builder::{Builder, Var};
use super::expressions::constant_array;
use crate::atoms;
use crate::base::value::{Elem, IndexSet};
use crate::base::{Code, Span};
use crate::ir::script::{Ask, Commit, Law, Of, Op, Reg, Sizes, StateKind, StateSpec};
use crate::ir::{InputId, Node};
use crate::lang::syntax::{Arg, Expr, ExprKind, Ident, show};

impl Builder<'_> {
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
            "diagonal" => Ask::Diagonal,
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
        self.whole_points(what, name, &args[..regs.len()], &regs)?;
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
        self.room_for(what, &dims, e.span)?;
        if what == Ask::Gradient && self.before.first().is_some_and(|(_, d)| d.replaces_gradient()) {
            let none = constant_array(vec![self.point.clone()], 0.0);
            return self.taken_gradient(none, at, e.span);
        }
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
        let v = self.read(out, &dims);
        match what {
            Ask::Gradient => self.taken_gradient(v, at, e.span),
            _ => Ok(v),
        }
    }

    /// The gradient as the optimizer takes it: behind the transforms before it.
    fn taken_gradient(&mut self, mut g: Val, at: Option<Var>, span: Span) -> Lowered<Val> {
        if !self.before.is_empty() {
            g = self.gradient_path(g, at, span)?;
        }
        if self.ops.len() == 1 && self.part == self.main {
            self.gradient = Some(g.clone());
        }
        Ok(g)
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

    /// Does an answer fit into the memory that the program may use, three times: as it is asked, kept and worked with?
    fn room_for(&self, what: Ask, dims: &[IndexSet], span: Span) -> Lowered<()> {
        let numbers: f64 = dims.iter().map(|d| d.len() as f64).product();
        let bytes = 24.0 * numbers;
        if dims.len() < 2 || bytes <= self.l.names.memory() as f64 {
            return Ok(());
        }
        let sizes: Vec<String> = dims.iter().map(|d| d.len().to_string()).collect();
        let help = match what {
            Ask::Hessian => {
                "`hvp(x, v)` is its product with a point, `diag(hessian(x))` takes no more than its diagonal"
            }
            Ask::Jacobian(_) => {
                "`jvp(x, v)` and `vjp(x, y)` are its products with a point and with a number for each row"
            }
            _ => "`grad(x, i)` is the gradient of one term, `grad(x, sample(k))` that of a few",
        };
        Err(err(
            Code::TooLarge,
            format!(
                "`{}` is a matrix of {} numbers here: more than the memory that may be used",
                what.word(),
                sizes.join(" by ")
            ),
        )
        .at(span, "asked for here")
        .help(format!("{help}; `--memory` sets the limit"))
        .into())
    }

    /// What is asked at a point is asked at the whole of it: of `x.b` the checker does not know what it is.
    fn whole_points(&self, what: Ask, name: &str, args: &[Arg], regs: &[Reg]) -> Lowered<()> {
        for (k, (a, r)) in args.iter().zip(regs).enumerate() {
            let (wanted, of) = match (what, k) {
                (Ask::Prox, 1) => (1, "a number"),
                (Ask::Against(_), 1) => continue,
                _ => (self.point.len(), "a point, all variables together"),
            };
            if self.regs[*r].len != wanted {
                let mut d = err(
                    Code::NoOverload,
                    format!("`{name}` takes {of} here, this is a part of one"),
                )
                .at(a.value.span, format!("{} of {wanted} numbers", self.regs[*r].len));
                if let (ExprKind::Field { name: part, .. }, Ask::Gradient) = (&a.value.kind, what) {
                    d = d.help(format!(
                        "`let g = grad(x)` and then `g.{}` is the part for `{}`",
                        part.text, part.text
                    ));
                }
                return Err(d.into());
            }
        }
        Ok(())
    }

    /// The register of an answer that was already given in this step.
    pub fn answered(&mut self, what: Ask, args: &[Reg]) -> Option<Reg> {
        if args.iter().any(|r| self.rewritten.contains(r)) {
            return None;
        }
        let all = self.known.iter().flatten();
        all.rev().find(|(w, a, _)| *w == what && a == args).map(|k| k.2)
    }

    /// Keeps an answer for the rest of this list of operations.
    pub fn keep(&mut self, what: Ask, args: &[Reg], out: Reg) {
        if let Some(list) = self.known.last_mut() {
            list.push((what, args.to_vec(), out));
        }
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
        let mut size = None;
        let dims = match (law, &first) {
            (Law::Batch, Some((v, span))) if self.known(v).is_none() => {
                let text = args.first().map_or(String::new(), |a| show(&a.value));
                size = Some((self.reg_of(v, *span)?, text));
                self.sizes_vary = true;
                // The run makes it as long as the batch.
                vec![IndexSet::upto(0)]
            }
            (Law::Batch | Law::Permutation, Some((v, _))) => vec![IndexSet::upto(self.constant(v, &args[0].value)?)],
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
            size,
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

    /// The number that a value is, whatever the run does: a constant, a parameter of the program.
    fn known(&self, v: &Var) -> Option<f64> {
        let Val::Num(n, _) = v.val else { return None };
        let param = |at: InputId| {
            let (name, _) = self.l.params.iter().find(|p| *p.1 == at)?;
            match self.l.lookup(name) {
                Some(Entity::Param(p)) => p.tensor.to_dense().first().copied(),
                _ => None,
            }
        };
        match self.l.ir.node(n) {
            Node::Input(at) => param(*at),
            _ => self.l.ir.as_const(n),
        }
    }

    /// How many are drawn or kept.
    pub fn constant(&mut self, v: &Var, e: &Expr) -> Lowered<usize> {
        let found = match self.known(v) {
            Some(n) if n.fract() == 0.0 && (1.0..1e9).contains(&n) => return Ok(n as usize),
            Some(n) if matches!(e.kind, ExprKind::Number { .. }) => format!(", and not {n}"),
            Some(n) => format!(", and `{}` is {n}", show(e)),
            None => " that is known before the run".into(),
        };
        let what = format!("how many there are is an integer of at least 1{found}");
        let d = err(Code::WrongType, what).at(e.span, "here");
        Err(d.at(self.parts[self.part].called, "used here").into())
    }

    /// A register with positions of terms, from 0: those of a batch, or one by its number.
    pub fn terms_at(&mut self, e: &Expr) -> Lowered<Reg> {
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

    /// The least value of the objective as the problem knows it.
    pub fn known_minimum(&mut self, at: Span) -> Val {
        let r = match self.fmin {
            Some(r) => r,
            None => {
                let r = self.register("fmin", vec![]);
                self.fmin = Some(r);
                self.fmin_at = Some(at);
                r
            }
        };
        self.read(r, &[])
    }

    /// The number of terms of the problem's sum.
    pub fn term_count(&mut self, at: Span) -> Val {
        self.samples.get_or_insert(at);
        let r = match self.terms {
            Some(r) => r,
            None => {
                let r = self.register("terms", vec![]);
                self.terms = Some(r);
                r
            }
        };
        match self.read(r, &[]) {
            Val::Num(n, _) => Val::Num(n, Elem::Int),
            v => v,
        }
    }

    /// How long what else a problem has is.
    fn sizes(&mut self) -> &Sizes {
        let find = self.find_sizes;
        self.sizes_found.get_or_insert_with(find)
    }

    /// Rows of constraints or residuals, where the problem has them.
    pub fn rows_of(&mut self, of: Of, at: Span) -> Lowered<IndexSet> {
        let sizes = self.sizes();
        let n = match of {
            Of::Constraints => sizes.constraints.as_ref().map(|c| c.iter().map(|c| c.1).sum()),
            Of::Residuals => sizes.residuals.as_ref().copied(),
        };
        match n.map_err(String::clone) {
            Ok(n) => Ok(IndexSet::upto(n)),
            Err(why) => {
                let name = &self.parts[self.part].name;
                let d = err(
                    Code::OracleMissing,
                    format!(
                        "`{name}` asks for {}, which the problem does not answer: {why}",
                        of.word()
                    ),
                );
                Err(d
                    .at(at, "asked for here")
                    .help(match of {
                        Of::Constraints => "a problem with rows under `subject to` answers",
                        Of::Residuals => "an objective that is a sum of squares answers, such as `sumsq(A*x - b)` or `sum(i in S) r(i)^2`",
                    })
                    .into())
            }
        }
    }

    /// Terms of the problem's sum, where it has one.
    pub fn term_rows(&mut self, at: Span) -> Lowered<IndexSet> {
        if let Some((set, _)) = &self.over {
            return Ok(IndexSet::upto(set.len()));
        }
        match self.sizes().terms {
            Some(n) => Ok(IndexSet::upto(n)),
            None => {
                let name = &self.parts[self.part].name;
                let what = format!("`{name}` asks for the gradients of all terms, which the problem does not answer");
                Err(err(Code::OracleMissing, what)
                    .at(at, "asked for here")
                    .help("a finite sum answers them: an objective `mean(k in tasks) …` or `sum(k in tasks) …`")
                    .into())
            }
        }
    }

    /// 1 for the rows of the constraints that are equations, 0 for the others.
    pub fn which_equations(&mut self, at: Span) -> Lowered<Val> {
        let dims = vec![self.rows_of(Of::Constraints, at)?];
        let r = match self.equations {
            Some(r) => r,
            None => {
                let r = self.register("equations", dims.clone());
                self.equations = Some(r);
                // Answering it takes the same programs.
                let asked = Ask::Vector(Of::Constraints);
                if !self.asks.iter().any(|a| a.0 == asked) {
                    self.asks.push((asked, at));
                }
                r
            }
        };
        Ok(self.read(r, &dims))
    }

    /// The rows that belong to a constraint, of a vector of all rows.
    pub fn rows_named(&mut self, v: Val, name: &Ident) -> Lowered<Option<Val>> {
        let Ok(names) = self.sizes().constraints.clone() else {
            return Ok(None);
        };
        let Some(k) = names.iter().position(|c| c.0 == name.text) else {
            return Ok(None);
        };
        let offset: usize = names[..k].iter().map(|c| c.1).sum();
        let all = self.rows_of(Of::Constraints, name.span)?;
        if v.dims() != [all] {
            return Ok(None);
        }
        let from = self.reg_of(
            &Var {
                val: v,
                piece: self.piece,
            },
            name.span,
        )?;
        let dims = vec![IndexSet::upto(names[k].1)];
        let to = self.register(&name.text, dims.clone());
        self.push(Op::Slice { from, offset, to });
        Ok(Some(self.read(to, &dims)))
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
