//! Declarations: sets and parameters get their values, from literals, expressions, files or the command line.
//!
//! Invariant: a binding that fails leaves the old value in place.

use std::sync::Arc;

use crate::base::value::{Elem, IndexSet, Storage, Tensor, Value};
use crate::base::{Code, Diagnostic, Span};
use crate::io;
use crate::ir::facts::Sign;
use crate::lang::lower::{self, ParamValue};
use crate::lang::syntax::{Arg, Check, CompareOp, Expr, ExprKind, FormalParam, ParamDecl, TypeExpr, show};

use super::{Def, Session};

type Bound<T> = Result<T, Box<Diagnostic>>;

impl Session {
    /// `param NAME: TYPE checks = …`; a value given on the command line replaces the one written.
    pub(super) fn bind_param(&mut self, d: &ParamDecl) -> Bound<()> {
        if d.ty
            .as_ref()
            .is_some_and(|t| t.name.text == "Text" && t.dims.is_empty())
        {
            return self.bind_text(d);
        }
        if d.ty.as_ref().is_some_and(|t| t.name.text == "Table") {
            return self.bind_table(d);
        }
        let given = self.settings.sets.get(&d.name.text).cloned();
        if let Some(text) = given {
            let e = self.parse_setting(&d.name.text, &text)?;
            let value = self.param_from(d, &e)?;
            return self.keep_param(d, value);
        }
        let Some(e) = &d.value else {
            return Err(
                Diagnostic::new(Code::UnboundParam, format!("`{}` has no value", d.name.text))
                    .at(d.name.span, "declared without a value")
                    .help(format!(
                        "give it one here, or on the command line: `--set {}=…`",
                        d.name.text
                    ))
                    .into(),
            );
        };
        let value = self.param_from(d, e)?;
        self.keep_param(d, value)
    }

    /// `param NAME: Table = read("…")`.
    fn bind_table(&mut self, d: &ParamDecl) -> Bound<()> {
        let Some(ExprKind::Call { args, .. }) = d.value.as_ref().map(|v| &v.kind) else {
            return Err(
                Diagnostic::new(Code::UnboundParam, format!("`{}` is read from no file", d.name.text))
                    .at(d.name.span, "declared here")
                    .into(),
            );
        };
        let (file, request, span) = self.read_request(args, d.name.span)?;
        if request.column.is_some() || request.columns.is_some() || request.array.is_some() {
            return Err(
                Diagnostic::new(Code::UnknownArgument, "a table is read with all its columns")
                    .at(span, "only the file is named here")
                    .into(),
            );
        }
        let bytes = self.load(&file, span)?;
        let input = io::Input {
            name: &file,
            bytes: &bytes,
            budget: self.settings.memory,
        };
        let table = io::read_columns_of(&input).map_err(|e| placed(e, span))?;
        self.define(&d.name.text, Def::Table(Arc::new(table)));
        Ok(())
    }

    /// `param NAME: Text = "…"`.
    fn bind_text(&mut self, d: &ParamDecl) -> Bound<()> {
        let given = self.settings.sets.get(&d.name.text).cloned();
        let e = match (given, &d.value) {
            (Some(text), _) => self.parse_setting(&d.name.text, &text)?,
            (None, Some(e)) => e.clone(),
            (None, None) => {
                return Err(
                    Diagnostic::new(Code::UnboundParam, format!("`{}` has no value", d.name.text))
                        .at(d.name.span, "declared without a value")
                        .into(),
                );
            }
        };
        match self.evaluate(&e)? {
            Value::Text(t) => {
                self.define(&d.name.text, Def::Text(t));
                Ok(())
            }
            other => Err(Diagnostic::new(
                Code::WrongType,
                format!("`{}` holds a text, found {}", d.name.text, super::show::kind(&other)),
            )
            .at(e.span, "here")
            .into()),
        }
    }

    /// `NAME = …` for a parameter that exists.
    pub(super) fn rebind_param(&mut self, name: &str, e: &Expr) -> Bound<()> {
        let Some(Def::Param { decl, .. }) = self.defs.get(name) else {
            return Err(
                Diagnostic::new(Code::BareAssignment, format!("`{name}` is not a parameter"))
                    .at(e.span, "bound here")
                    .help(format!("declare it: `let {name} = …`"))
                    .into(),
            );
        };
        let decl = decl.clone();
        let value = self.param_from(&decl, e)?;
        self.keep_param(&decl, value)
    }

    fn keep_param(&mut self, d: &ParamDecl, (value, sizes): (ParamValue, Vec<(String, usize)>)) -> Bound<()> {
        let value = self.checked(d, value)?;
        let bound: Vec<String> = sizes.iter().map(|s| s.0.clone()).collect();
        self.drop_sizes(&d.name.text, &bound);
        for (n, k) in sizes {
            self.define(&n, Def::Size(k));
            self.graph.set_size(&n, &d.name.text);
        }
        self.set_param(d, value);
        Ok(())
    }

    /// The value of a problem's parameter: of its type, and as its checks want it.
    pub(super) fn argument(&mut self, f: &FormalParam, e: &Expr) -> Bound<ParamValue> {
        let d = ParamDecl {
            name: f.name.clone(),
            ty: Some(f.ty.clone()),
            checks: f.checks.clone(),
            default: None,
            value: None,
        };
        let (value, _) = self.param_from(&d, e)?;
        self.checked(&d, value)
    }

    /// A value as its checks want it, with the sign that they or the data give.
    fn checked(&self, d: &ParamDecl, mut value: ParamValue) -> Bound<ParamValue> {
        for c in &d.checks {
            self.check_value(d, c, &value)?;
            value.sign = match (c.op, &c.value.kind) {
                (CompareOp::Ge | CompareOp::Gt, ExprKind::Number { value, .. }) if *value >= 0.0 => Sign::Nonneg,
                (CompareOp::Le | CompareOp::Lt, ExprKind::Number { value, .. }) if *value <= 0.0 => Sign::Nonpos,
                (CompareOp::In, ExprKind::Interval { lo, .. }) if literal(lo).is_some_and(|v| v >= 0.0) => Sign::Nonneg,
                _ => value.sign,
            };
        }
        // Where the checks promise nothing the data may still have one sign: it is looked at again at each rebinding, and
        // a change of it counts as a change of definition.
        if value.sign == Sign::Unknown {
            value.sign = value.tensor.held().fold(Sign::Zero, |s, (_, v)| s.join(Sign::of(v)));
        }
        Ok(value)
    }

    /// The value of a parameter and the sizes that it binds.
    fn param_from(&mut self, d: &ParamDecl, e: &Expr) -> Bound<(ParamValue, Vec<(String, usize)>)> {
        let name = &d.name.text;
        let elem = match d.ty.as_ref().map(|t| t.name.text.as_str()) {
            Some("Int") => Elem::Int,
            Some("Bool") => Elem::Bool,
            _ => Elem::Real,
        };
        // Dimensions that are known; new names wait for the value.
        let mut dims: Vec<Option<IndexSet>> = vec![];
        let mut fresh: Vec<Option<(String, Span)>> = vec![];
        if let Some(t) = &d.ty {
            for x in type_dims(t) {
                match x.as_name() {
                    Some(n) if !self.defs.contains_key(n) || self.graph.binder_of(n) == Some(name) => {
                        dims.push(None);
                        fresh.push(Some((n.to_string(), x.span)));
                    }
                    _ => {
                        dims.push(Some(lower::lower_dimension(self, x)?.0));
                        fresh.push(None);
                    }
                }
            }
        }
        let default = match &d.default {
            Some(x) => Some(self.number(x)?),
            None => None,
        };
        let mut tensor = match &e.kind {
            ExprKind::Call { callee, args } if callee.as_name() == Some("read") => {
                let (file, request, span) = self.read_request(args, e.span)?;
                let bytes = self.load(&file, span)?;
                let input = io::Input {
                    name: &file,
                    bytes: &bytes,
                    budget: self.settings.memory,
                };
                io::read(&input, &request, &dims).map_err(|x| placed(x, span))?
            }
            ExprKind::Labelled(entries) => {
                let known: Option<Vec<IndexSet>> = dims.iter().cloned().collect();
                let Some(known) = known.filter(|k| !k.is_empty()) else {
                    return Err(
                        Diagnostic::new(Code::WrongType, "a labelled array needs index sets in its type")
                            .at(e.span, "which entries there are is not known")
                            .help("declare it: `param a: Real[plants] = {…}`")
                            .into(),
                    );
                };
                lower::lower_labelled(self, entries, &known, default, e.span)?
            }
            _ => match self.evaluate(e)? {
                Value::Array { tensor, .. } => (*tensor).clone(),
                other => {
                    return Err(Diagnostic::new(
                        Code::WrongType,
                        format!("`{name}` holds numbers, found {}", super::show::kind(&other)),
                    )
                    .at(e.span, "here")
                    .into());
                }
            },
        };
        let declared = d.ty.is_some();
        // A single number fills an array whose sizes are known.
        if declared && tensor.dims.is_empty() && !dims.is_empty() {
            let known: Option<Vec<IndexSet>> = dims.iter().cloned().collect();
            if let (Some(known), Some(v)) = (known, tensor.as_scalar()) {
                let n: usize = known.iter().map(IndexSet::len).product();
                if (n as u64).saturating_mul(8) > self.settings.memory {
                    return Err(self.too_large(name, n as u64 * 8, d.name.span));
                }
                tensor = Tensor {
                    dims: known,
                    storage: Storage::Dense(vec![v; n]),
                };
            }
        }
        if declared && tensor.dims.len() != dims.len() {
            let found = lower::describe_dims(&tensor.dims);
            return Err(Diagnostic::new(
                Code::WrongShapeOfData,
                format!(
                    "`{name}` is declared with {} dimensions, its value is {found}",
                    dims.len()
                ),
            )
            .at(e.span, "this value")
            .at(d.ty.as_ref().map_or(d.name.span, |t| t.span), "declared here")
            .into());
        }
        let mut sizes: Vec<(String, usize)> = vec![];
        for (k, want) in dims.iter().enumerate() {
            let have = tensor.dims[k].len();
            let at =
                d.ty.as_ref()
                    .map_or(d.name.span, |t| t.dims.get(k).map_or(t.span, |x| x.span));
            match (want, &fresh[k]) {
                (Some(set), _) => {
                    if set.len() != have {
                        return Err(Diagnostic::new(
                            Code::SizeConflict,
                            format!(
                                "`{name}` should have {} in dimension {}, its value has {have}",
                                set.len(),
                                k + 1
                            ),
                        )
                        .at(e.span, format!("{have} entries here"))
                        .at(at, format!("`{}` has {} elements", shown_dim(d, k), set.len()))
                        .into());
                    }
                    tensor.dims[k] = set.clone();
                }
                (None, Some((n, span))) => {
                    let size = sizes.iter().find(|(m, _)| m == n).map(|s| s.1);
                    if let Some(size) = size
                        && size != have
                    {
                        return Err(Diagnostic::new(
                            Code::SizeConflict,
                            format!("`{n}` is bound to {size} and to {have} by the same value"),
                        )
                        .at(*span, format!("dimension {} has {have}", k + 1))
                        .at(e.span, "this value is not square")
                        .into());
                    }
                    sizes.push((n.clone(), have));
                    tensor.dims[k] = IndexSet::upto(have);
                }
                (None, None) => {}
            }
        }
        let integral = elem != Elem::Int || tensor.held().all(|(_, v)| v.fract() == 0.0);
        if !integral {
            return Err(Diagnostic::new(
                Code::WrongType,
                format!("`{name}` is declared `Int`, its value is not an integer"),
            )
            .at(e.span, "not an integer")
            .into());
        }
        if let Some(t) = &d.ty
            && t.name.text == "Symmetric"
        {
            symmetric(&tensor, name, e.span)?;
        }
        if let Some(t) = &d.ty
            && t.name.text == "Diagonal"
            && tensor.dims.len() == 2
        {
            let n = tensor.dims[0].len();
            if tensor.held().any(|(k, v)| v != 0.0 && k / n != k % n) {
                return Err(Diagnostic::new(
                    Code::CheckFailed,
                    format!("`{name}` is declared `Diagonal` and has an entry off the diagonal"),
                )
                .at(e.span, "this value")
                .into());
            }
        }
        let elem = if declared || !matches!(e.kind, ExprKind::Number { integer: true, .. }) {
            elem
        } else {
            Elem::Int
        };
        Ok((
            ParamValue {
                tensor: Arc::new(tensor),
                elem,
                sign: Sign::Unknown,
                operator: d.ty.as_ref().is_some_and(|t| t.name.text == "Operator"),
            },
            sizes,
        ))
    }

    fn check_value(&self, d: &ParamDecl, c: &Check, value: &ParamValue) -> Bound<()> {
        let tensor = &value.tensor;
        let mut bounds = 1;
        let fails: Box<dyn Fn(usize, f64) -> bool> = match (c.op, &c.value.kind) {
            (CompareOp::In, ExprKind::Interval { lo, hi }) => {
                let (l, h) = (self.number(lo)?, self.number(hi)?);
                Box::new(move |_, v| !(v >= l && v <= h))
            }
            (CompareOp::In, ExprKind::Set(items)) => {
                let all = items.iter().map(|x| self.number(x)).collect::<Result<Vec<_>, _>>()?;
                Box::new(move |_, v| !all.contains(&v))
            }
            (CompareOp::In, _) => {
                let set = lower::lower_dimension(self, &c.value)?.0;
                let (lo, n) = (set.lo() as f64, set.len() as f64);
                Box::new(move |_, v| !(v.fract() == 0.0 && v >= lo && v < lo + n))
            }
            (op, _) => {
                let bound = match self.evaluate(&c.value)? {
                    Value::Array { tensor, .. } => tensor.to_dense(),
                    _ => vec![f64::NAN],
                };
                bounds = bound.len();
                Box::new(move |k, v| {
                    let b = bound.get(if bounds == 1 { 0 } else { k }).copied().unwrap_or(f64::NAN);
                    !match op {
                        CompareOp::Le => v <= b,
                        CompareOp::Ge => v >= b,
                        CompareOp::Lt => v < b,
                        CompareOp::Gt => v > b,
                        CompareOp::Eq => v == b,
                        CompareOp::Ne => v != b,
                        CompareOp::In => true,
                    }
                })
            }
        };
        // A sparse array's absent entries are zeros like any other; one of them stands for all unless each has its own bound.
        let held = tensor.held().find(|(k, v)| fails(*k, *v));
        let absent = || match (tensor.as_dense(), bounds) {
            (Some(_), _) => None,
            (None, 1) => tensor.first_absent().filter(|k| fails(*k, 0.0)),
            (None, _) => {
                let stored: std::collections::BTreeSet<usize> = tensor.held().map(|e| e.0).collect();
                (0..tensor.len()).find(|k| !stored.contains(k) && fails(*k, 0.0))
            }
        };
        if let Some((k, v)) = held.or_else(|| absent().map(|k| (k, 0.0))) {
            let mut rest = k;
            let mut key = vec![];
            for s in value.tensor.dims.iter().rev() {
                key.push(s.element(rest % s.len().max(1)));
                rest /= s.len().max(1);
            }
            key.reverse();
            let place = if key.is_empty() {
                d.name.text.clone()
            } else {
                format!("{}[{}]", d.name.text, key.join(", "))
            };
            return Err(
                Diagnostic::new(Code::CheckFailed, format!("`{place}` is {v}, which fails its check"))
                    .at(
                        c.span,
                        format!("`{} {} {}`", d.name.text, c.op.symbol(), show(&c.value)),
                    )
                    .into(),
            );
        }
        Ok(())
    }

    /// File and selection of `read("file", column: …, columns: …)`.
    pub(super) fn read_request(&self, args: &[Arg], span: Span) -> Bound<(String, io::Request, Span)> {
        let mut file = None;
        let mut request = io::Request::default();
        for a in args {
            let text = |e: &Expr| match &e.kind {
                ExprKind::Text(t) => Some(t.clone()),
                ExprKind::Name(n) => Some(n.clone()),
                _ => None,
            };
            match a.name.as_ref().map(|n| n.text.as_str()) {
                None => match &a.value.kind {
                    ExprKind::Text(t) => file = Some((t.clone(), a.value.span)),
                    _ => {
                        return Err(
                            Diagnostic::new(Code::WrongType, "`read` takes the name of a file as a text")
                                .at(a.value.span, "here")
                                .into(),
                        );
                    }
                },
                Some("column") => request.column = text(&a.value),
                Some("array") => request.array = text(&a.value),
                Some("columns") => {
                    request.columns = Some(match &a.value.kind {
                        ExprKind::AllExcept(names) => {
                            io::Columns::AllExcept(names.iter().map(|n| n.text.clone()).collect())
                        }
                        ExprKind::Name(n) if n == "all" => io::Columns::All,
                        ExprKind::Set(items) | ExprKind::Vector(items) => {
                            io::Columns::Names(items.iter().filter_map(text).collect())
                        }
                        _ => {
                            return Err(Diagnostic::new(Code::WrongType, "`columns:` takes names of columns")
                                .at(a.value.span, "here")
                                .help("`columns: all`, `columns: all except y`, `columns: {a, b}`")
                                .into());
                        }
                    });
                }
                Some(other) => {
                    return Err(
                        Diagnostic::new(Code::UnknownArgument, format!("`read` has no argument `{other}`"))
                            .at(a.value.span, "here")
                            .help("it takes `column:`, `columns:` and `array:`")
                            .into(),
                    );
                }
            }
        }
        file.map(|(f, s)| (f, request, s)).ok_or_else(|| {
            Box::new(Diagnostic::new(Code::WrongArity, "`read` needs the name of a file").at(span, "here"))
        })
    }

    pub(super) fn too_large(&self, what: &str, bytes: u64, span: Span) -> Box<Diagnostic> {
        Box::new(
            Diagnostic::new(
                Code::TooLarge,
                format!(
                    "`{what}` would take {}, the memory budget is {}",
                    super::show::bytes(bytes),
                    super::show::bytes(self.settings.memory)
                ),
            )
            .at(span, "declared here")
            .help("allow more with `--memory 8GB`"),
        )
    }
}

/// The dimensions a type names.
fn type_dims(t: &TypeExpr) -> Vec<&Expr> {
    match (t.name.text.as_str(), t.dims.as_slice()) {
        ("Symmetric" | "Diagonal", [n]) => vec![n, n],
        _ => t.dims.iter().collect(),
    }
}

fn shown_dim(d: &ParamDecl, k: usize) -> String {
    d.ty.as_ref()
        .and_then(|t| type_dims(t).get(k).map(|e| show(e)))
        .unwrap_or_default()
}

fn symmetric(t: &Tensor, name: &str, span: Span) -> Bound<()> {
    let n = t.dims[0].len();
    let mirrored = |k: usize| match &t.storage {
        Storage::Dense(d) => d[k % n * n + k / n],
        Storage::Sparse(s) => s.get(k % n, k / n),
    };
    for (k, v) in t.held() {
        let (i, j) = (k / n + 1, k % n + 1);
        if v != mirrored(k) {
            return Err(Diagnostic::new(
                Code::CheckFailed,
                format!("`{name}` is declared `Symmetric`, but entries ({i}, {j}) and ({j}, {i}) differ"),
            )
            .at(span, format!("{v} against {}", mirrored(k)))
            .into());
        }
    }
    Ok(())
}

/// A reader's diagnostic has no place in the program yet.
pub(super) fn placed(mut d: Diagnostic, span: Span) -> Box<Diagnostic> {
    if d.labels.is_empty() {
        d = d.at(span, "read here");
    }
    Box::new(d)
}

fn literal(e: &Expr) -> Option<f64> {
    match e.kind {
        ExprKind::Number { value, .. } => Some(value),
        _ => None,
    }
}
