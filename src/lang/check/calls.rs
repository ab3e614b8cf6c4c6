//! Calls of functions: arguments in order, types that fit a form, the type of the result.
//!
//! Invariant: built-in functions are known through the catalogue only; a call that fits no form says what the forms are.

use std::collections::BTreeMap;
use std::rc::Rc;

use super::expr::join;
use super::operators::set_elem;
use super::scope::{FnInfo, FormalInfo};
use super::types::{Dim, Elem, Kind, Poly, Same, Ty};
use super::{Checker, What};
use crate::base::diagnostic::did_you_mean;
use crate::base::{Code, Diagnostic, Span};
use crate::ir::catalogue::{Form, SigDim, SigElem, SigType, Signature};
use crate::lang::errors::{habits, types as errors};
use crate::lang::syntax::{Arg, Expr, ExprKind, show};

/// Functions of the language that are not built.
const NOT_BUILT: &[&str] = &["jacobian", "randn", "rand", "fft", "piecewise", "minibatch"];

/// Arguments of optimizers as they are called elsewhere, and here.
const ELSEWHERE: &[(&[&str], &str)] = &[
    (
        &["rate", "learning_rate", "step_size", "stepsize", "step", "eta", "alpha"],
        "lr",
    ),
    (&["momentum", "mu"], "beta"),
    (&["weight_decay", "wd", "lambda"], "decay"),
    (&["epsilon"], "eps"),
    (&["batch_size", "batchsize", "minibatch"], "batch"),
];

/// What an argument known elsewhere is called here, if there is one.
fn elsewhere(name: &str, known: impl Fn(&str) -> bool) -> Option<&'static str> {
    let row = ELSEWHERE
        .iter()
        .find(|(names, here)| names.contains(&name) && known(here));
    row.map(|r| r.1)
}

/// The arguments that one name stands for elsewhere: `beta1` and `beta2` for `betas`.
fn numbered<'f>(name: &str, formals: &'f [FormalInfo]) -> Vec<&'f str> {
    let stem = name.strip_suffix('s').unwrap_or(name);
    let is_one = |f: &&FormalInfo| {
        let number = f.name.strip_prefix(stem).unwrap_or("");
        !number.is_empty() && number.bytes().all(|b| b.is_ascii_digit())
    };
    formals.iter().filter(is_one).map(|f| f.name.as_str()).collect()
}

/// Functions that a step may call and nothing else yet.
const STEP_ONLY: &[&str] = &["grad", "hessian", "hvp", "normal", "uniform"];

/// What the dimensions of a form were bound to.
#[derive(Default)]
struct Bound {
    one: BTreeMap<String, Dim>,
    rest: BTreeMap<String, Vec<Dim>>,
}

impl Checker<'_> {
    pub(super) fn call(&mut self, e: &Expr, callee: &Expr, args: &[Arg]) -> Ty {
        if let ExprKind::Field { base, name } = &callee.kind {
            return self.method(e, base, name, args);
        }
        let Some(name) = callee.as_name() else {
            let ty = self.expr(callee);
            self.arguments(args);
            if ty.is_error() {
                return ty;
            }
            let d = errors::wrong_type("a function before `(`", &ty.words(), callee.span);
            return self.wrong(d);
        };
        match self.scope.get(name).map(|d| (d.span, d.what.clone())) {
            Some((declared, What::Fn(f))) => return self.call_fn(e, name, declared, &f, args),
            Some((_, What::Error)) => {
                self.arguments(args);
                return Ty::error();
            }
            Some((declared, What::Formal(t) | What::Let(t, _))) if t.kind == Kind::Schedule => {
                return self.call_schedule(e, name, declared, &t, args);
            }
            _ => {}
        }
        if let Some(ty) = self.step_call(e, name, args) {
            return ty;
        }
        if name == "read" {
            let d = Diagnostic::new(Code::WrongType, "`read` stands only after the `=` of a declaration")
                .at(e.span, "not a value here")
                .help("the declared type says what is wanted: `param A: Matrix[m, n] = read(\"A.csv\")`");
            return self.wrong(d);
        }
        if let Some(ty) = self.linear_call(e, name, args) {
            return ty;
        }
        if let ("length", [Arg { name: None, value }]) = (name, args)
            && self.is_table(value)
        {
            self.expr(value);
            return Ty::scalar(Elem::Int);
        }
        if self.catalogue.functions.contains_key(name) {
            return self.call_builtin(e, name, args);
        }
        if let Some((declared, what)) = self.scope.get(name).map(|d| (d.span, d.what.word())) {
            self.arguments(args);
            let d = errors::wrong_type("a function before `(`", what, callee.span)
                .at(declared, format!("`{name}` is declared here"));
            let d = match &self.step {
                _ if self.calls_method(e) => d.help(format!(
                    "it stands in a pipeline: `solve with {name}(…)`, `pipeline mine() = {name}(…) for 100 steps`"
                )),
                Some(_) if args.len() == 1 => d.help(format!(
                    "`{name}: Schedule` is called with the step; multiplication is written `{name}*(…)`"
                )),
                _ => d.help(format!("multiplication is written `{name}*(…)`, an entry `{name}[…]`")),
            };
            return self.wrong(d);
        }
        self.arguments(args);
        if self.defining.iter().any(|(n, _)| n == name) {
            return self.unknown(name, callee.span);
        }
        if STEP_ONLY.contains(&name) {
            let d = Diagnostic::new(
                Code::NotBuiltYet,
                format!("`{name}` outside of an optimizer's step is not built yet"),
            )
            .at(callee.span, "");
            return self.wrong(d);
        }
        if NOT_BUILT.contains(&name) {
            let d = Diagnostic::new(Code::NotBuiltYet, format!("`{name}` is not built yet")).at(callee.span, "");
            return self.wrong(d);
        }
        if self.diagnostics.len() >= super::MAX_MESSAGES {
            return Ty::error();
        }
        if name == "range" {
            let edit = match args {
                [n] if n.name.is_none() => Some(format!("1..{}", show(&n.value))),
                _ => None,
            };
            let d = habits::range_call(e.span, edit);
            return self.wrong(d);
        }
        let functions = self.catalogue.functions.keys().map(String::as_str);
        let mine = self
            .scope
            .names()
            .filter(|(_, d)| matches!(d.what, What::Fn(_)))
            .map(|(n, _)| n);
        let asked = super::optimizer::ORACLES.iter().chain(super::optimizer::DRAWS);
        let asked = asked.copied().filter(|_| self.step.is_some());
        let near = did_you_mean(name, asked.chain(mine).chain(functions)).map(str::to_string);
        let mut d = errors::unknown_function(name, callee.span, near.as_deref());
        if let Some(later) = self.later.get(name).filter(|s| s.start > callee.span.start) {
            d = errors::unknown_function(name, callee.span, None)
                .at(*later, "declared only here")
                .help("declare it before it is used");
        }
        self.wrong(d)
    }

    /// Types of arguments whose function is not known.
    pub(super) fn arguments(&mut self, args: &[Arg]) {
        for a in args {
            self.expr(&a.value);
        }
    }

    /// Puts arguments into the order of the formals. Reports what does not fit and answers nothing then.
    pub(super) fn arrange<'e>(
        &mut self,
        what: &str,
        formals: &[FormalInfo],
        args: &'e [Arg],
        at: Span,
        declared: Option<Span>,
    ) -> Option<Vec<Option<&'e Expr>>> {
        let mut out: Vec<Option<&Expr>> = vec![None; formals.len()];
        for (k, a) in args.iter().enumerate() {
            let slot = match &a.name {
                None if k < formals.len() => k,
                None => {
                    let n = formals.len();
                    let expected = if n == 1 {
                        "1 argument".into()
                    } else {
                        format!("{n} arguments")
                    };
                    let d = errors::arity(what, &expected, args.len(), at, declared);
                    self.report(d);
                    return None;
                }
                Some(n) => match formals.iter().position(|f| f.name == n.text) {
                    Some(p) => p,
                    None => {
                        let near = did_you_mean(&n.text, formals.iter().map(|f| f.name.as_str()));
                        let near = near.or_else(|| elsewhere(&n.text, |w| formals.iter().any(|f| f.name == w)));
                        let mut d =
                            Diagnostic::new(Code::UnknownArgument, format!("`{what}` has no argument `{}`", n.text))
                                .at(n.span, "unknown");
                        let several = numbered(&n.text, formals);
                        if let [_, _, ..] = several.as_slice() {
                            let names: Vec<String> = several.iter().map(|s| format!("`{s}`")).collect();
                            let help = format!("they are arguments of their own: {}", errors::list(&names));
                            d = match &a.value.kind {
                                ExprKind::Vector(items) if items.len() == several.len() => {
                                    let given = several.iter().zip(items).map(|(s, v)| format!("{s}: {}", show(v)));
                                    let given: Vec<String> = given.collect();
                                    d.help_edit(help, n.span.to(a.value.span), given.join(", "))
                                }
                                _ => d.help(help),
                            };
                        } else if let Some(m) = near {
                            d = d.help_edit(format!("did you mean `{m}`?"), n.span, m);
                        } else {
                            let all: Vec<String> = formals.iter().map(|f| format!("`{}`", f.name)).collect();
                            d = match all.as_slice() {
                                [] => d.note("it takes none"),
                                [one] => d.note(format!("its argument is {one}")),
                                _ => d.note(format!("its arguments are {}", errors::list(&all))),
                            };
                        }
                        self.report(d);
                        return None;
                    }
                },
            };
            if out[slot].is_some() {
                let d = Diagnostic::new(
                    Code::UnknownArgument,
                    format!("the argument `{}` of `{what}` is given twice", formals[slot].name),
                )
                .at(a.value.span, "again here");
                self.report(d);
                return None;
            }
            out[slot] = Some(&a.value);
        }
        let missing: Vec<String> = formals
            .iter()
            .zip(&out)
            .filter(|(f, o)| o.is_none() && !f.optional)
            .map(|(f, _)| format!("`{}`", f.name))
            .collect();
        if !missing.is_empty() {
            let needed = formals.iter().filter(|f| !f.optional).count();
            let expected = if needed == 1 {
                "1 argument".into()
            } else {
                format!("{needed} arguments")
            };
            let d = errors::arity(what, &expected, args.len(), at, declared)
                .note(format!("missing: {}", errors::list(&missing)));
            self.report(d);
            return None;
        }
        Some(out)
    }

    fn call_fn(&mut self, e: &Expr, name: &str, declared: Span, f: &Rc<FnInfo>, args: &[Arg]) -> Ty {
        let types: Vec<(Span, Ty)> = args.iter().map(|a| (a.value.span, self.expr(&a.value))).collect();
        let Some(order) = self.arrange(name, &f.params, args, e.span, Some(declared)) else {
            return Ty::error();
        };
        let mut bound: BTreeMap<String, Dim> = BTreeMap::new();
        let mut varies = false;
        for (formal, given) in f.params.iter().zip(order) {
            let Some(given) = given else { continue };
            let Some((_, ty)) = types.iter().find(|(s, _)| *s == given.span) else {
                continue;
            };
            varies |= ty.varies;
            if ty.is_error() || formal.ty.is_error() {
                continue;
            }
            if let Err(d) = self.argument_fits(name, formal, given, ty, &f.generics, &mut bound, declared) {
                return self.wrong(*d);
            }
            // An integer argument may be a size of the result.
            if formal.ty.elem() == Some(Elem::Int)
                && formal.ty.dims().is_empty()
                && let Some(p) = self.poly(given)
            {
                bound.entry(formal.name.clone()).or_insert(Dim::size(p));
            }
        }
        let mut ty = f.result.clone();
        ty.varies |= varies;
        match &mut ty.kind {
            Kind::Array { dims, .. } => dims.iter_mut().for_each(|d| *d = substituted(d, &bound)),
            Kind::Operator { rows, cols } => [rows, cols].into_iter().for_each(|d| *d = substituted(d, &bound)),
            _ => {}
        }
        ty
    }

    /// Does an argument fit its formal? Binds generic sizes.
    #[allow(clippy::too_many_arguments, reason = "everything the message needs")]
    pub(super) fn argument_fits(
        &self,
        name: &str,
        formal: &FormalInfo,
        given: &Expr,
        ty: &Ty,
        generics: &[String],
        bound: &mut BTreeMap<String, Dim>,
        declared: Span,
    ) -> Result<(), Box<Diagnostic>> {
        let wrong = |found: String| {
            Box::new(
                errors::wrong_type(
                    &format!("{} for `{}` of `{name}`", formal.ty.words(), formal.name),
                    &found,
                    given.span,
                )
                .at(declared, format!("`{name}` is declared here")),
            )
        };
        // A matrix is as good as an operator; an operator has no entries to be a matrix.
        if ty.is_operator() && !formal.ty.is_operator() {
            return Err(Box::new(wrong(ty.describe()).help(super::linear::ENTRIES)));
        }
        let (want, have) = (formal.ty.as_array(), ty.as_array());
        let (Kind::Array { elem, dims, .. }, Kind::Array { elem: e, dims: d, .. }) = (&*want, &*have) else {
            return if formal.ty.kind == ty.kind || super::declare::schedule_fits(&formal.ty, ty) {
                Ok(())
            } else {
                Err(wrong(ty.describe()))
            };
        };
        let text = |e: Elem| e == Elem::Text;
        if text(*elem) != text(*e) || *elem == Elem::Int && *e == Elem::Real || *elem == Elem::Bool && *e != Elem::Bool
        {
            return Err(wrong(ty.describe()));
        }
        if dims.len() != d.len() {
            let mut m = wrong(ty.describe());
            if dims.is_empty() && !d.is_empty() {
                let m2 = m.help(format!("entry by entry: `[i in 1..n] {name}({}[i], …)`", show(given)));
                m = Box::new(m2);
            }
            return Err(m);
        }
        for (want, have) in dims.iter().zip(d) {
            let generic = match want {
                Dim::Range { lo, hi } if lo.constant() == Some(1) => {
                    hi.as_symbol().filter(|s| generics.iter().any(|g| g == s))
                }
                _ => None,
            };
            match generic {
                Some(g) => match bound.get(g) {
                    None => {
                        bound.insert(g.to_string(), have.clone());
                    }
                    Some(b) if b.same(have) != Same::No => {}
                    Some(b) => {
                        let d = errors::shape_mismatch(
                            format!(
                                "`{g}` of `{name}` is {} by an argument before, and {} by `{}`",
                                b.describe(),
                                have.describe(),
                                show(given)
                            ),
                            &[&self.operand(given, ty)],
                            None,
                        );
                        return Err(Box::new(d));
                    }
                },
                // How many coordinates the point has is known with the problem only.
                None if *want == Dim::Labels(super::optimizer::POINT.into()) => {}
                None if substituted(want, bound).same(have) == Same::No => return Err(wrong(ty.describe())),
                None => {}
            }
        }
        Ok(())
    }

    fn call_builtin(&mut self, e: &Expr, name: &str, args: &[Arg]) -> Ty {
        let types: Vec<Ty> = args.iter().map(|a| self.expr(&a.value)).collect();
        if let Some(n) = args.iter().find_map(|a| a.name.as_ref()) {
            let d = Diagnostic::new(Code::UnknownArgument, format!("`{name}` takes no named arguments")).at(n.span, "");
            return self.wrong(d);
        }
        let varies = types.iter().any(|t| t.varies);
        if types.iter().any(Ty::is_error) {
            return Ty {
                kind: Kind::Error,
                varies,
            };
        }
        if types.iter().any(Ty::is_operator) {
            return self.linear_builtin(e, name, &types);
        }
        let Some(function) = self.catalogue.functions.get(name) else {
            return Ty::error();
        };
        let forms: Vec<(Form, Signature)> = function.forms.clone();
        let takes = |s: &Signature| args.len() == s.params.len() || s.variadic && args.len() >= s.params.len();
        let fitting: Vec<&(Form, Signature)> = forms.iter().filter(|(_, s)| takes(s)).collect();
        if fitting.is_empty() {
            let mut counts: Vec<usize> = forms.iter().map(|(_, s)| s.params.len()).collect();
            counts.sort_unstable();
            counts.dedup();
            let words: Vec<String> = counts.iter().map(usize::to_string).collect();
            let expected = match counts.as_slice() {
                [1] => "1 argument".to_string(),
                _ => format!("{} arguments", words.join(" or ")),
            };
            let d = errors::arity(name, &expected, args.len(), e.span, None);
            return self.wrong(d);
        }
        // A whole array first: `max(v)` reduces, `max(a, b)` acts entry by entry.
        for (form, s) in &fitting {
            match form {
                Form::Reduction => {
                    if let Some(ty) = self.reduction(s, &types) {
                        return ty;
                    }
                }
                Form::Array => {
                    if let Ok(ty) = self.fit(s, args, &types) {
                        return ty;
                    }
                }
                Form::Elementwise => {}
            }
        }
        if let Some((_, s)) = fitting.iter().find(|(f, _)| *f == Form::Elementwise) {
            return self.elementwise(name, s, args, &types);
        }
        // One form whose dimensions disagree can say which.
        if let [(_, s)] = fitting.as_slice()
            && let Err(Some((dim, a, b))) = self.fit(s, args, &types)
        {
            let operands: Vec<errors::Operand> = args
                .iter()
                .zip(&types)
                .map(|(x, t)| self.operand(&x.value, t))
                .collect();
            let refs: Vec<&errors::Operand> = operands.iter().collect();
            let d = errors::shape_mismatch(
                format!("`{name}` needs `{dim}` to be one size, and it is {a} and {b}"),
                &refs,
                None,
            )
            .note(format!("`{name}{}`", s.text));
            return self.wrong(d);
        }
        let found: Vec<String> = types.iter().map(Ty::describe).collect();
        let texts: Vec<String> = forms.iter().map(|(_, s)| s.text.clone()).collect();
        let d = errors::no_overload(name, &found, &texts, e.span);
        self.wrong(d)
    }

    fn reduction(&self, s: &Signature, types: &[Ty]) -> Option<Ty> {
        let [ty] = types else { return None };
        let elem = ty.elem().filter(|e| *e != Elem::Text)?;
        let mut out = Ty::scalar(match s.result.elem {
            SigElem::Bool => Elem::Bool,
            _ if elem != Elem::Real && matches!(s.text.as_str(), "(x: Int[..d]) -> Int") => Elem::Int,
            _ => Elem::Real,
        });
        out.varies = ty.varies;
        Some(out)
    }

    fn elementwise(&mut self, name: &str, s: &Signature, args: &[Arg], types: &[Ty]) -> Ty {
        let mut out: Option<(usize, Ty)> = None;
        for (k, (a, t)) in args.iter().zip(types).enumerate() {
            let t = self.numeric(&a.value, t.clone());
            if t.is_error() {
                return t;
            }
            out = Some(match out {
                None => (k, t),
                Some((j, before)) => {
                    let joined = self.entrywise(name, (&args[j].value, &before), (&a.value, &t));
                    if joined.is_error() {
                        return joined;
                    }
                    (if t.dims().is_empty() { j } else { k }, joined)
                }
            });
        }
        let Some((_, mut ty)) = out else { return Ty::error() };
        let kept = matches!(name, "max" | "min" | "abs" | "sign" | "mod" | "div");
        let elem = types.iter().filter_map(Ty::elem).reduce(join);
        set_elem(
            &mut ty,
            match s.result.elem {
                SigElem::Bool => Elem::Bool,
                SigElem::Int => Elem::Int,
                _ if kept && elem != Some(Elem::Real) => Elem::Int,
                _ => Elem::Real,
            },
        );
        ty
    }

    /// Fits arguments to a form; the mistake names a dimension and its two meanings, if it is about one.
    fn fit(&self, s: &Signature, args: &[Arg], types: &[Ty]) -> Result<Ty, Option<(String, String, String)>> {
        let mut bound = Bound::default();
        let mut varies = false;
        for (k, (a, t)) in args.iter().zip(types).enumerate() {
            let Some((name, want)) = s.params.get(k).or(s.params.last()) else {
                return Err(None);
            };
            varies |= t.varies;
            match (&t.kind, want.elem) {
                (Kind::Set(d), SigElem::Set) => {
                    bound.one.insert(name.clone(), d.clone());
                    continue;
                }
                (_, SigElem::Set) => return Err(None),
                (Kind::Array { elem, .. }, w) => {
                    let ok = match w {
                        SigElem::Any => true,
                        SigElem::Real => *elem != Elem::Text,
                        SigElem::Int => matches!(elem, Elem::Int | Elem::Bool),
                        SigElem::Bool => *elem == Elem::Bool,
                        SigElem::Set => false,
                    };
                    if !ok {
                        return Err(None);
                    }
                }
                _ => return Err(None),
            }
            bind_dims(&mut bound, &want.dims, t.dims())?;
            if want.elem == SigElem::Int && want.dims.is_empty() {
                if t.varies {
                    return Err(None);
                }
                let dim = self.poly(&a.value).map_or(Dim::Unknown, Dim::size);
                bound.one.insert(name.clone(), dim);
            }
        }
        if s.variadic {
            bound.one.entry("n".into()).or_insert(Dim::fixed(args.len()));
        }
        Ok(result(&s.result, &bound, varies))
    }
}

/// Binds the dimensions of a form to those of an argument.
fn bind_dims(bound: &mut Bound, want: &[SigDim], have: &[Dim]) -> Result<(), Option<(String, String, String)>> {
    if let [SigDim::Rest(r)] = want {
        match bound.rest.get(r) {
            None => {
                bound.rest.insert(r.clone(), have.to_vec());
            }
            Some(before) => {
                let words = |d: &[Dim]| format!("[{}]", d.iter().map(Dim::describe).collect::<Vec<_>>().join(", "));
                let same = before.len() == have.len() && before.iter().zip(have).all(|(a, b)| a.same(b) != Same::No);
                if !same {
                    return Err(Some((r.clone(), words(before), words(have))));
                }
            }
        }
        return Ok(());
    }
    if want.len() != have.len() {
        return Err(None);
    }
    for (w, h) in want.iter().zip(have) {
        match w {
            SigDim::Name(n) => match bound.one.get(n) {
                None => {
                    bound.one.insert(n.clone(), h.clone());
                }
                Some(b) if b.same(h) != Same::No => {}
                Some(b) => return Err(Some((n.clone(), b.describe(), h.describe()))),
            },
            SigDim::Fixed(k) if Dim::size(Poly::number(*k)).same(h) == Same::No => return Err(None),
            _ => {}
        }
    }
    Ok(())
}

/// The result of a form whose dimensions are bound.
fn result(want: &SigType, bound: &Bound, varies: bool) -> Ty {
    let elem = match want.elem {
        SigElem::Int => Elem::Int,
        SigElem::Bool => Elem::Bool,
        _ => Elem::Real,
    };
    let get = |n: &String| bound.one.get(n).cloned().unwrap_or(Dim::Unknown);
    let mut dims = vec![];
    for d in &want.dims {
        let combined = |a: &String, b: &String, f: fn(&Poly, &Poly) -> Option<Poly>| {
            let (a, b) = (get(a).length(), get(b).length());
            match (a, b) {
                (Some(a), Some(b)) => f(&a, &b).map_or(Dim::Unknown, Dim::size),
                _ => Dim::Unknown,
            }
        };
        match d {
            SigDim::Name(n) => dims.push(get(n)),
            SigDim::Rest(r) => dims.extend(bound.rest.get(r).cloned().unwrap_or_default()),
            SigDim::Sum(a, b) => dims.push(combined(a, b, Poly::plus)),
            SigDim::Overlap(a, b) => {
                dims.push(combined(a, b, |a, b| a.plus(b)?.plus(&Poly::number(-1))));
            }
            SigDim::Product(a, b) => dims.push(combined(a, b, Poly::times)),
            SigDim::Fixed(k) => dims.push(Dim::size(Poly::number(*k))),
        }
    }
    Ty::array(elem, dims, varies)
}

/// A dimension of a generic function's result with its sizes bound.
pub(super) fn substituted(d: &Dim, bound: &BTreeMap<String, Dim>) -> Dim {
    let Dim::Range { lo, hi } = d else { return d.clone() };
    if lo.constant() == Some(1)
        && let Some(b) = hi.as_symbol().and_then(|s| bound.get(s))
    {
        return b.clone();
    }
    let by: BTreeMap<String, Poly> = bound
        .iter()
        .filter_map(|(n, d)| match d {
            Dim::Range { lo, hi } if lo.constant() == Some(1) => Some((n.clone(), hi.clone())),
            _ => None,
        })
        .collect();
    if lo
        .symbols()
        .chain(hi.symbols())
        .any(|s| bound.contains_key(s) && !by.contains_key(s))
    {
        return Dim::Unknown;
    }
    match (lo.substituted(&by), hi.substituted(&by)) {
        (Some(lo), Some(hi)) => Dim::Range { lo, hi },
        _ => Dim::Unknown,
    }
}
