//! Pipelines: which parts fit where, what stages and braces are told, what a run of one can be asked.
//!
//! Invariant: of a name that is not known nothing is said but that; options of built-in methods are known by name, their
//! values where they are used.

use std::collections::BTreeMap;
use std::rc::Rc;

use super::scope::{FormalInfo, MethodInfo, Sort};
use super::types::{Elem, Kind, Ty};
use super::{Checker, Place, What};
use crate::base::diagnostic::did_you_mean;
use crate::base::{Code, Diagnostic, Span};
use crate::lang::errors::types as errors;
use crate::lang::syntax::{
    BinaryOp, CompareOp, Entrant, Expr, ExprKind, Ident, MethodCall, Pipeline, PipelineDecl, Stage, show,
};

/// What a stage may end by beside the records of its methods.
const QUANTITIES: [&str; 5] = ["objective", "gap", "stationarity", "feasibility", "change"];

/// Does one name hold the other, or do both begin alike?
fn alike(known: &str, name: &str) -> bool {
    let (known, name) = (known.to_lowercase(), name.to_lowercase());
    let least = 3;
    let begin = |n: &str| n.chars().take(least).collect::<String>();
    let long = |n: &str| n.chars().count() >= least;
    long(&known) && long(&name) && (begin(&known) == begin(&name) || known.contains(&name) || name.contains(&known))
}

/// What runs pipelines in braces, and what it is told.
pub const GROUPS: &[(&str, &[&str])] = &[
    ("race", &[]),
    ("multistart", &["count", "spread"]),
    ("repeat", &["count"]),
];

impl Checker<'_> {
    pub(super) fn pipeline_decl(&mut self, d: &PipelineDecl) {
        let before = self.diagnostics.len();
        self.place = Place::Function;
        let mark = self.scope.mark();
        self.defining.push((d.name.text.clone(), d.name.span));
        self.plugs = true;
        let (params, generics) = self.formals(&d.params);
        self.plugs = false;
        let records = self.pipeline(&d.body);
        let sort = self.sort_of(&d.body);
        self.defining.pop();
        self.scope.release(mark);
        self.place = Place::Top;
        let what = if self.diagnostics[before..].iter().any(Diagnostic::is_error) {
            What::Error
        } else {
            What::Method(Rc::new(MethodInfo {
                sort,
                params,
                generics,
                records,
                states: self.columns_of(d),
            }))
        };
        self.declare(&d.name, what);
    }

    /// Checks a pipeline; answers the names that its steps record.
    pub(super) fn pipeline(&mut self, p: &Pipeline) -> Vec<String> {
        let mut all = vec![];
        for s in &p.stages {
            let mut sorts = vec![];
            let mut records = vec![];
            for m in &s.parts {
                if let Some(entrants) = &m.group {
                    records.extend(self.group(m, entrants, s));
                    continue;
                }
                let info = self.part(m);
                if let Some(i) = &info {
                    records.extend(i.records.iter().cloned());
                }
                sorts.push((m, info.map(|i| i.sort)));
            }
            if !s.parts.iter().any(|m| m.group.is_some()) {
                self.one_step(s, &sorts);
            }
            if let Some((e, _)) = &s.count {
                self.integer(e, "a number of steps");
            }
            if let Some((e, _)) = &s.within {
                self.constant_scalar(e, "a time");
            }
            if let Some(e) = &s.until {
                self.predicate(e, &records);
            }
            all.extend(records);
        }
        all
    }

    /// One word of several, with or without quotes; a name in force stands for its value.
    fn word(&mut self, formal: &FormalInfo, e: &Expr) -> Ty {
        let word = match &e.kind {
            ExprKind::Text(t) => t.as_str(),
            ExprKind::Name(n) if self.scope.get(n).is_none() => n.as_str(),
            _ => return self.expr(e),
        };
        if formal.words.iter().any(|w| w == word) {
            return Ty::scalar(Elem::Text);
        }
        let known: Vec<String> = formal.words.iter().map(|w| format!("`{w}`")).collect();
        let mut d = Diagnostic::new(Code::BadOption, format!("`{}` cannot be `{word}`", formal.name))
            .at(e.span, "")
            .note(format!("it is one of {}", errors::list(&known)));
        if let Some(n) = did_you_mean(word, formal.words.iter().map(String::as_str)) {
            d = d.help_edit(format!("did you mean `{n}`?"), e.span, n.to_string());
        }
        self.wrong(d)
    }

    /// `race { a; b }`, `multistart(20) { a }`, `repeat(3) { a }`; answers what its pipelines record.
    fn group(&mut self, m: &MethodCall, entrants: &[Entrant], stage: &Stage) -> Vec<String> {
        let name = m.name.text.as_str();
        let Some((_, options)) = GROUPS.iter().find(|g| g.0 == name) else {
            let near = did_you_mean(name, GROUPS.iter().map(|g| g.0));
            let mut d =
                Diagnostic::new(Code::BadPipeline, format!("`{name}` takes no pipelines in braces")).at(m.span, "");
            d = match near {
                Some(n) => d.help_edit(format!("did you mean `{n}`?"), m.name.span, n),
                None => d.help("`race { … }`, `multistart(20) { … }` and `repeat(3) { … }` do"),
            };
            self.report(d);
            return vec![];
        };
        if let [_, _, ..] = stage.parts.as_slice() {
            let d = Diagnostic::new(
                Code::BadPipeline,
                format!("`{name}` runs whole pipelines: transforms do not reach into their steps"),
            )
            .at(m.span, "")
            .help("put the transforms inside the braces");
            self.report(d);
        }
        for (k, a) in m.args.iter().enumerate() {
            match (k, &a.name) {
                (0, None) if options.contains(&"count") => self.integer(&a.value, "how often"),
                (_, Some(n)) if n.text == "spread" && options.contains(&"spread") => {
                    self.constant_scalar(&a.value, "a spread");
                }
                (_, n) => {
                    let at = n.as_ref().map_or(a.value.span, |n| n.span);
                    let takes = match name {
                        "race" => "it takes none: `race { lbfgs(); newton_tr() }`",
                        "multistart" => "it takes how often, and `spread:`, how far from the start",
                        _ => "it takes how often: `repeat(3) { … }`",
                    };
                    self.report(
                        Diagnostic::new(Code::BadOption, format!("`{name}` has no such argument"))
                            .at(at, "")
                            .help(takes),
                    );
                }
            }
        }
        if options.contains(&"count") && m.args.first().is_none_or(|a| a.name.is_some()) {
            let d = Diagnostic::new(Code::BadOption, format!("`{name}` needs to know how often"))
                .at(m.name.span, "")
                .help(format!("such as `{name}(20) {{ … }}`"));
            self.report(d);
        }
        let wrong = match (name, entrants) {
            (_, []) => Some(("there is nothing in the braces".to_string(), "put a pipeline there")),
            ("race", [_]) => Some((
                "a race has at least two runners, this one has one".into(),
                "`race { lbfgs(); newton_tr() }`",
            )),
            ("race", _) | (_, [_]) => None,
            _ => Some((
                format!("`{name}` runs one pipeline, there are {}", entrants.len()),
                "`then` makes one of them, `race { … }` runs them against one another",
            )),
        };
        if let Some((what, help)) = wrong {
            self.report(Diagnostic::new(Code::BadPipeline, what).at(m.span, "").help(help));
        }
        let mut labels: Vec<&Ident> = vec![];
        let mut records = vec![];
        for e in entrants {
            if let Some(l) = &e.label {
                if let Some(first) = labels.iter().find(|k| k.text == l.text) {
                    let d = Diagnostic::new(Code::DuplicateName, format!("two runners are called `{}`", l.text))
                        .at(l.span, "again here")
                        .at(first.span, "first here");
                    self.report(d);
                }
                labels.push(l);
            }
            records.extend(self.pipeline(&e.pipeline));
        }
        records
    }

    /// One call of a pipeline; nothing is known of methods that are not written in the language.
    pub(super) fn part(&mut self, m: &MethodCall) -> Option<Rc<MethodInfo>> {
        let name = &m.name.text;
        if let Some(sort) = self.plugged(name) {
            return Some(self.stands_for(m, sort));
        }
        let formals = match self.scope.get(name).map(|e| &e.what) {
            Some(What::Method(i)) => Some(i.clone()),
            _ => None,
        };
        let mistaken = matches!(self.scope.get(name).map(|e| &e.what), Some(What::Error));
        let mut types = vec![];
        let mut records = vec![];
        for (k, a) in m.args.iter().enumerate() {
            let formal = formals.as_ref().and_then(|i| match &a.name {
                Some(n) => i.params.iter().find(|p| p.name == n.text),
                None => i.params.get(k),
            });
            if let Some((f, Kind::Plug(sort))) = formal.map(|f| (f, &f.ty.kind)) {
                records.extend(self.plug((name, &f.name), *sort, &a.value));
                types.push(Ty::error());
                continue;
            }
            let ty = match formal.filter(|f| !f.words.is_empty()) {
                Some(f) => self.word(f, &a.value),
                // Perhaps a word of a definition that was refused.
                None if mistaken && (a.value.as_name().is_some() || self.calls_method(&a.value)) => Ty::error(),
                // Where a number or a schedule is asked for, or nothing.
                None if self.calls_method(&a.value) => {
                    let of = formal.map_or_else(|| format!("`{name}`"), |f| format!("`{}` of `{name}`", f.name));
                    self.no_plug(&of, &a.value)
                }
                // A word of a built-in method's option; which there are is checked with its value.
                None if a.value.as_name().is_some()
                    && a.name.as_ref().is_some_and(|n| {
                        let entry = self.catalogue.methods.get(name);
                        entry.is_some_and(|e| !e.options.contains(&n.text) || e.worded.contains(&n.text))
                    }) =>
                {
                    Ty::error()
                }
                None => match formal.and_then(|f| self.schedule_meant(&f.ty, &a.value)) {
                    Some(d) => self.wrong(d),
                    None => self.expr(&a.value),
                },
            };
            types.push(self.no_variables(&a.value, &ty));
        }
        match self.scope.get(name).map(|e| (e.span, e.what.clone())) {
            Some((declared, What::Method(i))) => {
                let order = self.arrange(name, &i.params, &m.args, m.span, Some(declared))?;
                let mut bound = BTreeMap::new();
                for (formal, given) in i.params.iter().zip(order) {
                    let Some(given) = given else { continue };
                    let at = m.args.iter().position(|a| std::ptr::eq(&a.value, given));
                    let Some(ty) = at.map(|k| types[k].clone()) else {
                        continue;
                    };
                    if ty.is_error() || formal.ty.is_error() {
                        continue;
                    }
                    if let Err(d) = self.argument_fits(name, formal, given, &ty, &i.generics, &mut bound, declared) {
                        self.report(*d);
                    }
                }
                if !records.is_empty() {
                    let mut more = (*i).clone();
                    more.records.extend(records);
                    return Some(Rc::new(more));
                }
                Some(i)
            }
            Some((_, What::Error)) => None,
            // Its type was refused.
            Some((_, What::Formal(t))) if t.is_error() => None,
            Some((declared, what)) => {
                let d = Diagnostic::new(
                    Code::UnknownMethod,
                    format!("`{name}` is {}, not a method", what.word()),
                )
                .at(m.name.span, "")
                .at(declared, "declared here");
                self.report(d);
                None
            }
            None if self.defining.iter().any(|(n, _)| n == name) => {
                self.unknown(name, m.name.span);
                None
            }
            None => {
                self.method_known(m);
                None
            }
        }
    }

    /// A method that is not written in the language: is it there, and has it these options?
    fn method_known(&mut self, m: &MethodCall) {
        if self.catalogue.methods.is_empty() {
            return;
        }
        let name = &m.name.text;
        if let Some((group, options)) = GROUPS.iter().find(|g| g.0 == name) {
            let args = if options.is_empty() { "" } else { "(20)" };
            let d = Diagnostic::new(
                Code::BadPipeline,
                format!("`{name}` runs pipelines in braces, there are none"),
            )
            .at(m.span, "")
            .help(format!(
                "such as `{group}{args} {{ lbfgs(){} }}`",
                if args.is_empty() { "; newton_tr()" } else { "" }
            ));
            self.report(d);
            return;
        }
        let Some(entry) = self.catalogue.methods.get(name) else {
            let own = self.scope.names().filter(|(_, e)| matches!(e.what, What::Method(_)));
            let all = self.catalogue.methods.keys().chain(&self.catalogue.library);
            let near = did_you_mean(name, all.map(String::as_str).chain(own.map(|(n, _)| n))).map(str::to_string);
            let d =
                Diagnostic::new(Code::UnknownMethod, format!("there is no method `{name}`")).at(m.name.span, "unknown");
            let d = match near {
                Some(n) => d.help_edit(format!("did you mean `{n}`?"), m.name.span, n),
                None => {
                    let known = self.catalogue.methods.keys().chain(&self.catalogue.library);
                    let like: Vec<String> = known
                        .filter(|n| alike(n, name))
                        .take(5)
                        .map(|n| format!("`{n}`"))
                        .collect();
                    let d = match like.as_slice() {
                        [] => d,
                        like => d.note(format!("of like names there are {}", errors::list(like))),
                    };
                    d.help("all methods are listed in docs/reference/optimizers.md and docs/reference/methods.md; without `with`, one is chosen by the problem's class")
                }
            };
            // One mistake, however often the name is called.
            if self.missed.insert(name.clone()) {
                self.report(d);
            }
            return;
        };
        let options = entry.options.clone();
        for n in m.args.iter().filter_map(|a| a.name.as_ref()) {
            if !options.contains(&n.text) {
                let mut d = Diagnostic::new(Code::BadOption, format!("`{name}` has no option `{}`", n.text))
                    .at(n.span, "unknown");
                if let Some(near) = did_you_mean(&n.text, options.iter().map(String::as_str)) {
                    d = d.help_edit(format!("did you mean `{near}`?"), n.span, near);
                } else if options.is_empty() {
                    d = d.note(format!("`{name}` takes no options"));
                } else {
                    let known: Vec<String> = options.iter().map(|o| format!("`{o}`")).collect();
                    d = d.note(format!("its options are {}", errors::list(&known)));
                }
                self.report(d);
            }
        }
    }

    /// The parts of one step: transforms of the gradient, one optimizer, transforms of update and point.
    fn one_step(&mut self, s: &Stage, sorts: &[(&MethodCall, Option<Sort>)]) {
        if sorts.len() > 1 && sorts.iter().any(|(_, s)| s.is_none()) {
            // Of a name that is not known nothing can be said.
            return;
        }
        let mains: Vec<usize> = sorts
            .iter()
            .enumerate()
            .filter(|(_, (_, s))| !s.is_some_and(Sort::is_transform))
            .map(|(k, _)| k)
            .collect();
        let d = match mains.as_slice() {
            [] => Diagnostic::new(Code::BadPipeline, "a step has one optimizer, this one has none")
                .at(s.span, "transforms only")
                .help("put one between them: `clip(max_norm: 1) |> adam(lr: 0.1) |> projected()`"),
            [main] => {
                let misplaced = |(k, (_, s)): &(usize, &(&MethodCall, Option<Sort>))| match s {
                    Some(Sort::Point | Sort::Update) => k < main,
                    Some(Sort::Gradient) => k > main,
                    _ => false,
                };
                if let Some((k, (m, sort))) = sorts.iter().enumerate().find(misplaced) {
                    let line = self.reordered(s, sorts, *main);
                    let (what, side) = match sort {
                        Some(Sort::Point) => ("the point", "behind"),
                        Some(Sort::Update) => ("the update", "behind"),
                        _ => ("the gradient", "before"),
                    };
                    Diagnostic::new(
                        Code::BadPipeline,
                        format!("`{}` changes {what}, so it stands {side} the optimizer", m.name.text),
                    )
                    .at(
                        m.span,
                        if k < *main {
                            "before the optimizer"
                        } else {
                            "behind the optimizer"
                        },
                    )
                    .help_edit(
                        format!("`{line}`"),
                        s.parts[0].span.to(s.parts[s.parts.len() - 1].span),
                        line,
                    )
                } else if sorts.len() > 1 && sorts[*main].1 != Some(Sort::Optimizer) {
                    let m = sorts[*main].0;
                    let what = match sorts[*main].1 {
                        Some(Sort::Pipeline) => "is a pipeline of its own",
                        _ => "steps as a whole",
                    };
                    Diagnostic::new(
                        Code::BadPipeline,
                        format!("`{}` {what}: transforms do not reach into its steps", m.name.text),
                    )
                    .at(m.span, "")
                    .help("transforms combine with optimizers written in the language; `then` runs stages one after the other")
                } else {
                    return;
                }
            }
            [first, second, ..] => Diagnostic::new(Code::BadPipeline, "a step has one optimizer, this one has two")
                .at(sorts[*second].0.span, "the second")
                .at(sorts[*first].0.span, "the first")
                .help("`then` runs one after the other: `adam(lr: 0.1) for 100 steps then lbfgs()`"),
        };
        self.report(d);
    }

    /// The line with every transform on its side of the optimizer.
    fn reordered(&self, s: &Stage, sorts: &[(&MethodCall, Option<Sort>)], main: usize) -> String {
        let behind = |k: &usize| matches!(sorts[*k].1, Some(Sort::Point | Sort::Update));
        let before = |k: &usize| sorts[*k].1 == Some(Sort::Gradient);
        let (back, front): (Vec<usize>, Vec<usize>) = (0..main).partition(behind);
        let (early, late): (Vec<usize>, Vec<usize>) = (main + 1..sorts.len()).partition(before);
        let order = front.into_iter().chain(early).chain([main]).chain(back).chain(late);
        let text = |m: &MethodCall| {
            let args: Vec<String> = m
                .args
                .iter()
                .map(|a| match &a.name {
                    Some(n) => format!("{}: {}", n.text, show(&a.value)),
                    None => show(&a.value),
                })
                .collect();
            format!("{}({})", m.name.text, args.join(", "))
        };
        order.map(|k| text(&s.parts[k])).collect::<Vec<_>>().join(" |> ")
    }

    /// `stationarity <= 1e-10`, `relative(gap) <= 1e-3 or change <= 1e-12`.
    fn predicate(&mut self, e: &Expr, records: &[String]) {
        let mark = self.scope.mark();
        let known: Vec<&str> = QUANTITIES
            .into_iter()
            .chain(records.iter().map(String::as_str))
            .collect();
        for n in &known {
            self.scope.add_formal(n, e.span, Ty::scalar(Elem::Real));
        }
        self.predicate_part(e, &known);
        self.scope.release(mark);
    }

    fn predicate_part(&mut self, e: &Expr, known: &[&str]) {
        if let ExprKind::Chain { first, rest } = &e.kind
            && rest.iter().all(|l| l.op == BinaryOp::Or)
        {
            self.predicate_part(first, known);
            rest.iter().for_each(|l| self.predicate_part(&l.operand, known));
            return;
        }
        let relative = |x: &Expr| match &x.kind {
            ExprKind::Call { callee, args } if callee.as_name() == Some("relative") && args.len() == 1 => {
                Some(args[0].value.clone())
            }
            _ => None,
        };
        let shape = match &e.kind {
            ExprKind::Compare { first, rest } if rest.len() == 1 && rest[0].op == CompareOp::Le => {
                let inner = relative(first).unwrap_or((**first).clone());
                match inner.as_name() {
                    Some(n) if self.scope.get(n).is_none() => self.no_quantity(n, inner.span, known),
                    _ => drop(self.expr(&inner)),
                }
                self.constant_scalar(&rest[0].operand, "a limit");
                inner.as_name().is_some() || matches!(inner.kind, ExprKind::Error)
            }
            ExprKind::Error => true,
            _ => false,
        };
        if !shape {
            let d = Diagnostic::new(Code::BadPipeline, "a stage ends when a named quantity falls to a limit")
                .at(e.span, "");
            let d = match &e.kind {
                ExprKind::Compare { rest, .. } if rest.len() == 1 && rest[0].op == CompareOp::Lt => {
                    d.help_edit("write `<=`", rest[0].op_span, "<=")
                }
                _ => d.help(
                    "such as `until stationarity <= 1e-8`, `until relative(objective) <= 1e-3 or change <= 1e-12`",
                ),
            };
            self.report(d);
        }
    }

    /// The message for a name in an `until` that is nothing there.
    fn no_quantity(&mut self, name: &str, at: Span, known: &[&str]) {
        let d = Diagnostic::new(
            Code::UnknownName,
            format!("`{name}` is no quantity that a stage ends by"),
        )
        .at(at, "");
        let gradient = name.contains("grad") || name.contains("norm");
        let near = did_you_mean(name, known.iter().copied()).or(gradient.then_some("stationarity"));
        let d = match near {
            Some(n) => d.help_edit(format!("did you mean `{n}`?"), at, n),
            None => d,
        };
        let names: Vec<String> = known.iter().map(|n| format!("`{n}`")).collect();
        self.report(d.note(format!(
            "it is one of {}; what a step gives by `record` is one, too",
            errors::list(&names)
        )));
    }

    /// Is something in a pipeline not known, or was it reported where it is declared?
    pub(super) fn mistaken(&self, p: &Pipeline) -> bool {
        let mut found = false;
        p.for_each_stage(&mut |s| {
            found |= s
                .parts
                .iter()
                .any(|m| match self.scope.get(&m.name.text).map(|e| &e.what) {
                    Some(What::Error) => true,
                    Some(_) => m.args.iter().any(|a| self.mistaken_plug(&a.value)),
                    None => m.group.is_none() && !self.catalogue.methods.contains_key(&m.name.text),
                });
        });
        found
    }

    /// States and records of the methods of a pipeline: what a run of it can be asked. Without a pipeline, those of all
    /// methods that may be chosen.
    pub(super) fn columns(&self, p: Option<&Pipeline>) -> Vec<String> {
        let mut out: Vec<String> = vec![];
        let mut add = |names: &[String]| out.extend(names.iter().cloned());
        match p {
            None => self.catalogue.methods.values().for_each(|m| add(&m.columns)),
            Some(p) => p.for_each_stage(&mut |s| {
                s.parts
                    .iter()
                    .for_each(|m| self.columns_in(&m.name.text, &m.args, &mut add))
            }),
        }
        out
    }
}
