//! Declarations and commands outside of problems.
//!
//! Invariant: a declaration that failed still declares its name, as `Error`.

use super::operators::set_elem;
use super::scope::{FnInfo, FormalInfo, Sort};
use super::types::{Dim, Elem, Kind, Poly, Same, Ty};
use super::{Checker, Place, What};
use crate::base::diagnostic::did_you_mean;
use crate::base::{Code, Diagnostic, Span};
use crate::lang::errors::{habits, types as errors};
use crate::lang::syntax::{
    Arg, Check, CompareOp, Entry as Labelled, Expr, ExprKind, FnDecl, FormalParam, Ident, LetDecl, ParamDecl, Stmt,
    StmtKind, TypeExpr, show_type,
};
use std::rc::Rc;

/// What a new name in a dimension does.
pub(super) enum Sizes<'a> {
    /// It is a mistake.
    Known,
    /// It is a size that the parameter's value binds.
    Bind(&'a mut Vec<String>),
}

impl Checker<'_> {
    pub(super) fn statements(&mut self, statements: &[Stmt]) {
        let mut objectives = 0;
        for s in statements {
            self.gone.clear();
            self.place = Place::Top;
            if matches!(
                s.kind,
                StmtKind::Let(_) | StmtKind::Var(_) | StmtKind::Objective(_) | StmtKind::SubjectTo(_)
            ) {
                self.shared = None;
            }
            match &s.kind {
                StmtKind::Set(d) => self.set_decl(d),
                StmtKind::Param(d) => self.param_decl(d),
                StmtKind::Let(d) => {
                    let ty = self.let_decl(d);
                    self.unnamed.lets.insert(d.name.text.clone(), (ty, d.name.span));
                }
                StmtKind::Var(d) => {
                    let ty = self.var_decl(d);
                    self.unnamed.vars.insert(d.name.text.clone(), (ty, d.name.span));
                }
                StmtKind::Fn(d) => self.fn_decl(d),
                StmtKind::Problem(d) => self.problem_decl(d),
                StmtKind::Optimizer(d) => self.optimizer_decl(d),
                StmtKind::Pipeline(d) => self.pipeline_decl(d),
                StmtKind::Source(n) | StmtKind::Help(n) => self.about(n),
                StmtKind::Objective(o) => {
                    objectives += 1;
                    if objectives == 1 {
                        self.unnamed.objectives.clear();
                    }
                    let mut p = std::mem::take(&mut self.unnamed);
                    self.objective(&mut p, o);
                    self.unnamed = p;
                }
                StmtKind::SubjectTo(list) => {
                    let mut p = std::mem::take(&mut self.unnamed);
                    self.constraints(&mut p, list);
                    self.unnamed = p;
                }
                StmtKind::MinimizeFrom(m) => self.minimize_from(m),
                StmtKind::Solve(c) => self.solve(c),
                StmtKind::Step(c) => self.step_run(c),
                StmtKind::Rewind { run, to } => self.rewind(run, to),
                StmtKind::Compare(c) => self.compare_command(c),
                StmtKind::Sweep(w) => self.sweep(w),
                StmtKind::Plot(p) => self.plot(p),
                StmtKind::Assign { name, value } => self.assign(name, value),
                StmtKind::Print(items) => items.iter().for_each(|e| self.printed(e)),
                StmtKind::Write { value, to } => self.written(value, to),
                // The session has brought its names.
                StmtKind::Use { .. } => {}
                StmtKind::Inspect { target, what } => self.inspect(target.as_ref(), what, s.span),
                StmtKind::Assume { of, .. } => {
                    let labels: Vec<String> = self.unnamed.objectives.iter().filter_map(|o| o.0.clone()).collect();
                    self.assumption(of, &labels);
                }
                StmtKind::Diagnose { target, at, .. } => self.diagnose(target.as_ref(), at.as_ref(), s.span),
                StmtKind::Assert { condition, within } => self.assert(condition, within.as_ref()),
                StmtKind::Seed(e) => {
                    self.integer(e, "a seed");
                }
                StmtKind::For(f) => self.repeat(f),
                StmtKind::NotBuilt { declares, .. } | StmtKind::Error { declares } => {
                    self.declare_error(declares.as_ref())
                }
            }
        }
    }

    /// A name whose declaration was reported.
    pub(super) fn declare_error(&mut self, name: Option<&Ident>) {
        let Some(n) = name else { return };
        if self.scope.get(&n.text).is_none() {
            self.declare(n, What::Error);
        }
    }

    pub(super) fn integer(&mut self, e: &Expr, what: &str) {
        let ty = self.constant_scalar(e, what);
        if ty.elem() == Some(Elem::Real) {
            let d = errors::wrong_type(&format!("{what}, an integer,"), &ty.words(), e.span);
            self.report(d);
        }
    }

    /// A type as declared. New names in its dimensions bind sizes where `sizes` allows it.
    pub(super) fn declared_type(&mut self, t: &TypeExpr, mut sizes: Sizes<'_>) -> Ty {
        let sort = Sort::of_type(&t.name.text);
        if let (Some(s), true, []) = (sort, self.plugs, t.dims.as_slice()) {
            return Ty::of(Kind::Plug(s));
        }
        let (elem, rank) = match t.name.text.as_str() {
            "Real" => (Elem::Real, None),
            "Int" => (Elem::Int, None),
            "Bool" => (Elem::Bool, None),
            "Text" => (Elem::Text, None),
            "Vector" => (Elem::Real, Some(1)),
            "Matrix" => (Elem::Real, Some(2)),
            "Symmetric" | "Diagonal" => (Elem::Real, Some(1)),
            "Operator" => (Elem::Real, Some(2)),
            "Schedule" if t.dims.is_empty() => return Ty::of(Kind::Schedule),
            "Table" => {
                let d = Diagnostic::new(Code::WrongType, "a table is a `param` that is read from a file")
                    .at(t.span, "")
                    .help("`param t: Table = read(\"t.csv\")`");
                return self.wrong(d);
            }
            other => {
                let d = if sort.is_some() {
                    Diagnostic::new(
                        Code::NotBuiltYet,
                        format!("`{other}` as anything but the type of a pipeline's parameter is not built yet"),
                    )
                    .at(t.span, "")
                    .help("a pipeline takes it: `pipeline mine(inner: Optimizer) = clip(max_norm: 1) |> inner for 100 steps`")
                } else if matches!(other, "Problem" | "Solution" | "Plot") {
                    Diagnostic::new(Code::NotBuiltYet, format!("the type `{other}` is not built yet"))
                        .at(t.name.span, "")
                } else {
                    let types = [
                        "Real",
                        "Int",
                        "Bool",
                        "Text",
                        "Vector",
                        "Matrix",
                        "Symmetric",
                        "Diagonal",
                        "Operator",
                    ];
                    let near = match other {
                        "Float" | "Double" | "Number" | "real" | "float" => Some("Real"),
                        "Integer" | "Integers" => Some("Int"),
                        "Boolean" | "Binary" => Some("Bool"),
                        "String" => Some("Text"),
                        _ => did_you_mean(
                            other,
                            types
                                .into_iter()
                                .chain(["Schedule", "Optimizer", "Transform", "Pipeline"]),
                        ),
                    };
                    let d = Diagnostic::new(Code::UnknownName, format!("there is no type `{other}`"))
                        .at(t.name.span, "unknown type");
                    match near {
                        Some(n) => d.help_edit(format!("did you mean `{n}`?"), t.name.span, n),
                        None => d.help("an array over sets is `Real[I, J]`, a number `Real` or `Int`"),
                    }
                };
                // Its sizes are names all the same.
                self.bind_sizes(t, &mut sizes);
                return self.wrong(d);
            }
        };
        let mut dims: Vec<Dim> = vec![];
        for e in &t.dims {
            dims.push(self.dimension(e, &mut sizes));
        }
        if let Some(r) = rank.filter(|r| *r != dims.len()) {
            let n = &t.name.text;
            let wanted = if r == 1 {
                format!("{n}[n]")
            } else {
                format!("{n}[m, n]")
            };
            let d = Diagnostic::new(
                Code::WrongType,
                format!("`{}`: a {n} is written `{wanted}`", show_type(t)),
            )
            .at(t.span, "");
            return self.wrong(d);
        }
        if matches!(t.name.text.as_str(), "Symmetric" | "Diagonal")
            && let Some(d) = dims.first().cloned()
        {
            dims.push(d);
        }
        if dims.contains(&Dim::Unknown) {
            return Ty::error();
        }
        if let ("Operator", [rows, cols]) = (t.name.text.as_str(), dims.as_slice()) {
            return Ty::of(Kind::Operator {
                rows: rows.clone(),
                cols: cols.clone(),
            });
        }
        Ty::array(elem, dims, false)
    }

    /// A declared type of a variable, which has entries of its own: no operator.
    pub(super) fn decided_type(&mut self, t: &TypeExpr) -> Ty {
        let ty = self.declared_type(t, Sizes::Known);
        if !ty.is_operator() {
            return ty;
        }
        let d = errors::wrong_type("a variable of numbers", "an operator", t.span)
            .help("an operator is made of data: `let A = toeplitz(c, r)`");
        self.wrong(d)
    }

    /// A declared type of a parameter.
    fn param_type(&mut self, t: &TypeExpr, fresh: &mut Vec<String>) -> Ty {
        let mut sizes = Sizes::Bind(fresh);
        let of_arrays = t.dims.iter().any(|e| matches!(e.kind, ExprKind::Tuple(_)));
        if t.name.text != "Operator" || !of_arrays {
            return self.declared_type(t, sizes);
        }
        self.bind_sizes(t, &mut sizes);
        let d = Diagnostic::new(
            Code::NotBuiltYet,
            "an operator on matrices as a parameter is not built yet",
        )
        .at(t.span, "")
        .help("one on vectors is `param A: Operator[m, n] = read(…)`");
        self.wrong(d)
    }

    /// Binds the sizes that a type names, whatever becomes of it.
    fn bind_sizes(&mut self, t: &TypeExpr, sizes: &mut Sizes<'_>) {
        for e in &t.dims {
            let parts = match &e.kind {
                ExprKind::Tuple(parts) => parts.as_slice(),
                _ => std::slice::from_ref(e),
            };
            parts.iter().for_each(|p| drop(self.dimension(p, sizes)));
        }
    }

    /// May the name of a dimension be a new size? In an optimizer only sets of the session keep their meaning.
    fn is_free(&self, name: &str) -> bool {
        match self.scope.get(name) {
            None => true,
            Some(e) => {
                self.step.is_some()
                    && self.scope.local(name).is_none()
                    && !matches!(e.what, What::Set { .. } | What::Family { .. })
            }
        }
    }

    fn dimension(&mut self, e: &Expr, sizes: &mut Sizes<'_>) -> Dim {
        if let (Some(n), Sizes::Bind(fresh)) = (e.as_name(), &mut *sizes)
            && self.is_free(n)
        {
            let near = did_you_mean(
                n,
                self.scope
                    .names()
                    .filter(|(_, d)| matches!(d.what, What::Set { .. }))
                    .map(|(n, _)| n),
            );
            if let Some(near) = near.filter(|_| n.chars().count() >= 4).map(str::to_string) {
                let d = errors::unknown_name(n, e.span, Some(&near))
                    .note(format!("a new name here would be a size, and `{near}` is a set"));
                self.report(d);
                return Dim::Unknown;
            }
            fresh.push(n.to_string());
            let ident = Ident {
                text: n.to_string(),
                span: e.span,
            };
            self.declare(&ident, What::Size);
            self.expr(e);
            return Dim::size(Poly::symbol(n));
        }
        let ty = self.expr(e);
        match &ty.kind {
            Kind::Error => Dim::Unknown,
            Kind::Set(d) => d.clone(),
            Kind::Array {
                elem: Elem::Int, dims, ..
            } if dims.is_empty() && !ty.varies => {
                if e.as_integer().is_some_and(|n| n < 0) {
                    let d = Diagnostic::new(Code::WrongType, "a dimension has no fewer than 0 elements")
                        .at(e.span, "negative");
                    self.report(d);
                    return Dim::Unknown;
                }
                self.poly(e).map_or(Dim::Unknown, Dim::size)
            }
            _ => {
                let d = errors::wrong_type("a dimension, a set or an integer,", &ty.words(), e.span);
                self.report(d);
                Dim::Unknown
            }
        }
    }

    /// `param t: Table = read("t.csv")`: says whether it was one.
    fn table_decl(&mut self, name: &Ident, ty: Option<&TypeExpr>, value: Option<&Expr>, more: Option<Span>) -> bool {
        let Some(t) = ty.filter(|t| t.name.text == "Table") else {
            return false;
        };
        if let Some(e) = t.dims.first() {
            let d = Diagnostic::new(Code::WrongType, "a table's columns and rows come with its file")
                .at(e.span, "")
                .help(format!("`param {}: Table = read(\"{}.csv\")`", name.text, name.text));
            self.report(d);
        }
        if let Some(at) = more {
            let d = Diagnostic::new(Code::WrongType, "a table takes no checks and no default").at(at, "");
            self.report(d);
        }
        match value.map(|v| (v, &v.kind)) {
            Some((v, ExprKind::Call { args, .. })) if is_read(v) => self.read_args(args, v.span),
            Some((_, ExprKind::Error)) => {}
            other => {
                let at = other.map_or(name.span, |(v, _)| v.span);
                let d = Diagnostic::new(Code::WrongType, "a table comes from a file")
                    .at(at, "")
                    .help(format!("`param {}: Table = read(\"{}.csv\")`", name.text, name.text));
                self.report(d);
            }
        }
        self.declare(name, What::Param(Ty::of(Kind::Table(name.text.clone()))));
        true
    }

    fn param_decl(&mut self, d: &ParamDecl) {
        let more = d.checks.first().map(|c| c.span).or(d.default.as_ref().map(|e| e.span));
        if self.table_decl(&d.name, d.ty.as_ref(), d.value.as_ref(), more) {
            return;
        }
        let mut fresh = vec![];
        let declared = d.ty.as_ref().map(|t| self.param_type(t, &mut fresh));
        self.defining.push((d.name.text.clone(), d.name.span));
        let ty = match declared {
            Some(ty) => {
                if let Some(v) = &d.value {
                    self.value_fits(&d.name, &ty, v, &fresh);
                }
                ty
            }
            None => match &d.value {
                Some(v) if is_read(v) => {
                    let m = Diagnostic::new(Code::WrongType, "`read` needs to know what is wanted")
                        .at(d.name.span, "no type")
                        .help(format!(
                            "declare its type: `param {}: Matrix[m, n] = read(…)`",
                            d.name.text
                        ));
                    self.wrong(m)
                }
                Some(v) => {
                    let ty = self.expr(v);
                    self.no_variables(v, &ty)
                }
                None => {
                    let m = Diagnostic::new(
                        Code::WrongType,
                        format!("the parameter `{}` has neither a type nor a value", d.name.text),
                    )
                    .at(d.name.span, "")
                    .help(format!("`param {}: Real`, or `param {} = 1`", d.name.text, d.name.text));
                    self.wrong(m)
                }
            },
        };
        if let Some(v) = &d.default {
            self.constant_scalar(v, "a default");
        }
        self.checks(&d.checks, &ty);
        self.defining.pop();
        self.declare(&d.name, What::Param(ty));
    }

    /// Checks of a parameter: constants of its shape, or single ones.
    fn checks(&mut self, checks: &[Check], ty: &Ty) {
        for c in checks {
            let v = self.expr(&c.value);
            if c.op == CompareOp::In {
                if let Kind::Cone(k) = v.kind {
                    let what = format!("`in {}` is not built yet for data", k.word());
                    let d = Diagnostic::new(Code::NotBuiltYet, what)
                        .at(c.value.span, "")
                        .help("it constrains variables");
                    self.report(d);
                } else if !matches!(v.kind, Kind::Set(_) | Kind::Interval | Kind::Error) {
                    let d = errors::wrong_type("a set or an interval after `in`", &v.words(), c.value.span);
                    self.report(d);
                }
                continue;
            }
            let v = self.numeric(&c.value, v);
            self.no_variables(&c.value, &v);
            if !v.dims().is_empty() && !ty.is_error() && v.dims() != ty.dims() {
                let d = errors::wrong_type(
                    &format!("a number or {} in a check", ty.words()),
                    &v.words(),
                    c.value.span,
                );
                self.report(d);
            }
        }
    }

    /// Reports a value that depends on variables.
    pub(super) fn no_variables(&mut self, e: &Expr, ty: &Ty) -> Ty {
        if !ty.varies || ty.is_error() {
            return ty.clone();
        }
        let d = errors::wrong_type("a value", "an expression of variables", e.span)
            .help("a variable has a value only in a solution: `s = solve …`, then `s.x`");
        self.wrong(d)
    }

    /// Does a value fit a declared type? Dimensions whose sizes this value binds are not compared.
    pub(super) fn value_fits(&mut self, name: &Ident, ty: &Ty, value: &Expr, fresh: &[String]) {
        // An operator is given by its matrix, of which only products are used.
        let matrix = match &ty.kind {
            Kind::Operator { rows, cols } => Some(Ty::array(Elem::Real, vec![rows.clone(), cols.clone()], false)),
            _ => None,
        };
        let ty = matrix.as_ref().unwrap_or(ty);
        match &value.kind {
            _ if is_read(value) => {
                if let ExprKind::Call { args, .. } = &value.kind {
                    self.read_args(args, value.span);
                }
                if ty.elem() == Some(Elem::Text) && !ty.is_error() {
                    let d = Diagnostic::new(Code::NotBuiltYet, "reading texts is not built yet").at(value.span, "");
                    self.report(d);
                }
            }
            ExprKind::Labelled(entries) => self.labelled(name, ty, entries, value.span),
            _ if ty.is_error() && self.calls_method(value) => {}
            _ => {
                let v = self.expr(value);
                let v = self.no_variables(value, &v);
                if v.is_error() || ty.is_error() || schedule_fits(ty, &v) {
                    return;
                }
                let wrong = |c: &mut Self| {
                    let mut d =
                        errors::declared_otherwise(&name.text, &ty.describe(), &v.words(), value.span, name.span);
                    if v.is_operator() {
                        d = d.help(format!(
                            "what is made of other data is derived: `let {} = …`",
                            name.text
                        ));
                    }
                    c.report(d);
                };
                let (Some(want), Some(have)) = (ty.elem(), v.elem()) else {
                    return wrong(self);
                };
                let text = |e| e == Elem::Text;
                let fits = text(want) == text(have)
                    && !(want == Elem::Int && have == Elem::Real)
                    && !(want == Elem::Bool && have != Elem::Bool);
                let (a, b) = (ty.dims(), v.dims());
                let free = |d: &Dim| match d {
                    Dim::Range { lo, hi } => lo.symbols().chain(hi.symbols()).any(|s| fresh.iter().any(|f| f == s)),
                    _ => false,
                };
                // A single number fills an array.
                let shape = b.is_empty()
                    || a.len() == b.len() && a.iter().zip(b).all(|(p, q)| free(p) || p.same(q) != Same::No);
                if !fits || !shape {
                    wrong(self);
                }
            }
        }
    }

    fn labelled(&mut self, name: &Ident, ty: &Ty, entries: &[Labelled], at: Span) {
        let n = ty.dims().len();
        for entry in entries {
            let v = self.expr(&entry.value);
            let v = self.no_variables(&entry.value, &v);
            let number = v.is_error() || v.dims().is_empty() && v.elem().is_some();
            if !number {
                let d = errors::wrong_type("a single value", &v.words(), entry.value.span);
                self.report(d);
            }
            if ty.is_error() {
                continue;
            }
            let n = n.max(ty.dims().iter().map(Dim::arity).sum());
            if entry.key.len() != n {
                let place = entry.key.first().map_or(at, |k| k.span);
                let d = Diagnostic::new(
                    Code::WrongIndexCount,
                    format!(
                        "`{}` is {}: an entry has {n} labels, this one {}",
                        name.text,
                        ty.describe(),
                        entry.key.len()
                    ),
                )
                .at(place, "")
                .at(name.span, "declared here");
                return self.report(d);
            }
            for (k, dim) in entry.key.iter().zip(ty.dims().iter().flat_map(Dim::parts)) {
                let t = self.expr(k);
                match (dim, &k.kind) {
                    (Dim::Labels(s), ExprKind::Text(_)) => {
                        let s = s.clone();
                        if !self.known_label(&s, k) {
                            return;
                        }
                    }
                    (Dim::Labels(s), _) if !t.is_error() => {
                        let d = errors::wrong_type(&format!("a label of {s}"), &t.words(), k.span);
                        return self.report(d);
                    }
                    (Dim::Range { .. }, _) if !t.is_error() && t.elem() != Some(Elem::Int) => {
                        let d = errors::wrong_type("an integer of the range", &t.words(), k.span);
                        return self.report(d);
                    }
                    _ => {}
                }
            }
        }
    }

    /// `read("file", column: y)`: column names are names of the file, not of the program.
    pub(super) fn read_args(&mut self, args: &[Arg], at: Span) {
        match args.first() {
            Some(a) if a.name.is_none() => {
                let ty = self.expr(&a.value);
                if !ty.is_error() && ty.elem() != Some(Elem::Text) {
                    let d = errors::wrong_type("a file's path, a text,", &ty.words(), a.value.span);
                    self.report(d);
                }
            }
            _ => {
                let d = errors::arity("read", "a file's path", 0, at, None).help("`read(\"data.csv\")`");
                self.report(d);
            }
        }
        let mut seen: Vec<&str> = vec![];
        for a in args.iter().skip(1) {
            let Some(n) = &a.name else {
                let d = errors::arity("read", "one file's path", args.len(), a.value.span, None)
                    .help("name the argument: `column: y`");
                self.report(d);
                continue;
            };
            if !matches!(n.text.as_str(), "column" | "columns" | "array") {
                let mut d = Diagnostic::new(Code::UnknownArgument, format!("`read` has no argument `{}`", n.text))
                    .at(n.span, "unknown");
                d = match did_you_mean(&n.text, ["column", "columns", "array"]) {
                    Some(m) => d.help_edit(format!("did you mean `{m}`?"), n.span, m),
                    None => d.help("it takes `column: y`, `columns: all except y`, and `array: w` for an archive"),
                };
                self.report(d);
            } else if seen.contains(&n.text.as_str()) {
                let d = Diagnostic::new(Code::UnknownArgument, format!("`{}` is given twice", n.text))
                    .at(n.span, "again here");
                self.report(d);
            }
            seen.push(&n.text);
        }
    }

    /// The type of a named value that may have been declared, where it fits.
    pub(super) fn let_fits(&mut self, d: &LetDecl, declared: Option<Ty>, mut ty: Ty) -> Ty {
        if let Some(t) = declared
            && !t.is_error()
            && !ty.is_error()
        {
            let fits =
                t.dims().len() == ty.dims().len() && t.dims().iter().zip(ty.dims()).all(|(a, b)| a.same(b) != Same::No);
            let operators = t.is_operator() || ty.is_operator();
            let wrong = match operators {
                true => !t.is_operator() || !t.same_map(&ty),
                false => !fits || ty.elem().is_none(),
            };
            if wrong || t.elem() == Some(Elem::Int) && ty.elem() == Some(Elem::Real) {
                let m = errors::wrong_type(
                    &format!("{} for `{}`", t.words(), d.name.text),
                    &ty.words(),
                    d.value.span,
                );
                ty = self.wrong(m);
            } else if let Some(e) = t.elem() {
                set_elem(&mut ty, e);
            }
        }
        ty
    }

    pub(super) fn let_decl(&mut self, d: &LetDecl) -> Ty {
        self.defining.push((d.name.text.clone(), d.name.span));
        let declared = d.ty.as_ref().map(|t| self.declared_type(t, Sizes::Known));
        let mut ty = match (&declared, &d.value.kind) {
            (_, ExprKind::Call { .. }) if is_read(&d.value) => {
                let m = Diagnostic::new(Code::WrongType, "data are read by a `param`")
                    .at(d.value.span, "")
                    .help(format!("`param {}: Matrix[m, n] = read(…)`", d.name.text));
                self.wrong(m)
            }
            (Some(t), ExprKind::Labelled(entries)) => {
                self.labelled(&d.name, t, entries, d.value.span);
                t.clone()
            }
            _ => self.expr(&d.value),
        };
        ty = self.let_fits(d, declared, ty);
        self.defining.pop();
        let integer = ty.elem() == Some(Elem::Int) && ty.dims().is_empty() && !ty.varies;
        let poly = if integer { self.poly(&d.value) } else { None };
        let what = match &ty.kind {
            Kind::Error => What::Error,
            Kind::Set(dim) => What::Set {
                dim: dim.clone(),
                labels: None,
            },
            Kind::Array { .. } | Kind::Schedule | Kind::Operator { .. } => What::Let(ty.clone(), poly),
            _ => {
                let m = errors::wrong_type("a value", &ty.words(), d.value.span);
                self.report(m);
                What::Error
            }
        };
        self.declare(&d.name, what);
        ty
    }

    /// Parameters of a function or a problem, declared in the current scope; the names of the sizes they bind.
    pub(super) fn formals(&mut self, params: &[FormalParam]) -> (Vec<FormalInfo>, Vec<String>) {
        let (mut out, mut generics) = (vec![], vec![]);
        for p in params {
            let ty = self.declared_type(&p.ty, Sizes::Bind(&mut generics));
            if let Kind::Plug(sort) = ty.kind {
                self.plug_declared(p, sort);
                self.declare(&p.name, What::Formal(ty.clone()));
                // Where another thing has its name, that was said.
                self.scope.add_formal(&p.name.text, p.name.span, ty.clone());
                out.push(FormalInfo {
                    name: p.name.text.clone(),
                    ty,
                    optional: p.default.is_some(),
                    words: vec![],
                });
                continue;
            }
            self.checks(&p.checks, &ty);
            // The least value of the objective, where it is known, may stand in for an argument.
            let known = self.step.is_some() && p.default.as_ref().and_then(|v| v.as_name()) == Some("fmin");
            if let Some(v) = p.default.as_ref().filter(|_| !known) {
                match self.schedule_meant(&ty, v) {
                    Some(d) => self.report(d),
                    None => {
                        let fresh = generics.clone();
                        self.value_fits(&p.name, &ty, v, &fresh);
                    }
                }
            }
            self.declare(&p.name, What::Formal(ty.clone()));
            out.push(FormalInfo {
                name: p.name.text.clone(),
                ty,
                optional: p.default.is_some(),
                words: p.words().into_iter().map(str::to_string).collect(),
            });
        }
        (out, generics)
    }

    /// The message for `0.1/t` where a schedule is wanted and nothing is called `t`.
    pub(super) fn schedule_meant(&self, want: &Ty, e: &Expr) -> Option<Diagnostic> {
        const STEP: &str = "t";
        if want.kind != Kind::Schedule || matches!(e.kind, ExprKind::Lambda { .. }) || self.scope.get(STEP).is_some() {
            return None;
        }
        let at = place_of(STEP, e)?;
        let begin = Span {
            end: e.span.start,
            ..e.span
        };
        Some(habits::schedule_of(STEP, at, begin))
    }

    fn fn_decl(&mut self, d: &FnDecl) {
        let before = self.diagnostics.len();
        self.place = Place::Function;
        let mark = self.scope.mark();
        self.defining.push((d.name.text.clone(), d.name.span));
        let (params, generics) = self.formals(&d.params);
        let declared = d.result.as_ref().map(|t| self.declared_type(t, Sizes::Known));
        for l in &d.lets {
            self.let_decl(l);
        }
        let body = self.expr(&d.body);
        self.defining.pop();
        let result = match declared {
            Some(t) => {
                if !t.is_error() && !body.is_error() {
                    let fits = schedule_fits(&t, &body)
                        || t.is_operator() && t.same_map(&body)
                        || body.elem().is_some()
                            && !t.is_operator()
                            && t.kind != Kind::Schedule
                            && t.dims().len() == body.dims().len()
                            && t.dims().iter().zip(body.dims()).all(|(a, b)| a.same(b) != Same::No)
                            && !(t.elem() == Some(Elem::Int) && body.elem() == Some(Elem::Real));
                    if !fits {
                        let at = d.result.as_ref().map_or(d.name.span, |r| r.span);
                        let m = errors::wrong_type(
                            &format!("{} as the value of `{}`", t.words(), d.name.text),
                            &body.words(),
                            d.body.span,
                        )
                        .at(at, "declared here");
                        self.report(m);
                    }
                }
                t
            }
            None => body,
        };
        self.scope.release(mark);
        self.place = Place::Top;
        let what = if self.diagnostics[before..].iter().any(Diagnostic::is_error) {
            What::Error
        } else {
            What::Fn(Rc::new(FnInfo {
                params,
                generics,
                result,
            }))
        };
        self.declare(&d.name, what);
    }
}

/// Does a value stand for a schedule that is wanted? A number is the constant one.
pub(super) fn schedule_fits(want: &Ty, have: &Ty) -> bool {
    let number = have.dims().is_empty() && matches!(have.elem(), Some(Elem::Real | Elem::Int));
    want.kind == Kind::Schedule && (have.kind == Kind::Schedule || number)
}

/// Where a name stands first in an expression, but for functions in it.
fn place_of(name: &str, e: &Expr) -> Option<Span> {
    if e.as_name() == Some(name) {
        return Some(e.span);
    }
    let mut found = None;
    if !matches!(e.kind, ExprKind::Lambda { .. }) {
        e.for_each_child(&mut |c| found = found.or_else(|| place_of(name, c)));
    }
    found
}

/// Is it `read(…)`?
pub(super) fn is_read(e: &Expr) -> bool {
    matches!(&e.kind, ExprKind::Call { callee, .. } if callee.as_name() == Some("read"))
}
