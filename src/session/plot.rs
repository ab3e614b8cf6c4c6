//! `plot`: from what is named to a figure.
//!
//! Invariant: values that are not finite are gaps, never an end; a figure is bounded in size, whatever the data, and says
//! what was left out.

use std::rc::Rc;
use std::sync::Arc;

use ravine_linalg::spectrum::{singular_values, symmetric_eigenvalues};
use ravine_linalg::{Dense, math};

use crate::base::diagnostic::did_you_mean;
use crate::base::figure::{Axis, Figure, Mark};
use crate::base::value::{Column, Storage, Table, Tensor, Value};
use crate::base::view::View;
use crate::base::{Code, Diagnostic, Span};
use crate::ir::Sense;
use crate::lang::lower::SolutionData;
use crate::lang::syntax::{Expr, ExprKind, Plot, show as shown};
use crate::report::contest::{Contest, Run, record};
use crate::report::number::rough;
use crate::report::plot::long;

use super::compare::slug;
use super::solving::{Found, one};
use super::{Def, Event, Session};

/// Points of a line that are drawn; more are thinned.
const POINTS: usize = 2000;
/// Squares along a side of a pattern; larger matrices are shown in blocks.
const SQUARES: usize = 120;
/// Rows of a matrix whose spectrum is computed.
const SPECTRUM: usize = 2000;
/// Columns of a matrix that are drawn as lines.
const LINES: usize = 12;

impl Session {
    /// `[p =] plot …`.
    pub(super) fn plot(&mut self, p: &Plot, span: Span, sink: &mut dyn FnMut(Event)) -> Found<()> {
        let mut figure = self.figure(p, span, sink)?;
        let items: Vec<String> = p.items.iter().map(shown).collect();
        let over: Vec<String> = p.ranges.iter().map(|r| shown(&r.what)).collect();
        let subject = items.join(", ");
        figure.name = match &p.bind {
            Some(b) => b.text.clone(),
            None => slug(&format!("{subject} {}", over.join(" "))),
        };
        let figure = Arc::new(figure);
        self.shows("plot", &subject, View::Figure(Box::new((*figure).clone())), sink);
        if let Some(b) = &p.bind {
            self.define(&b.text, Def::Picture(figure));
        }
        Ok(())
    }

    fn figure(&mut self, p: &Plot, span: Span, sink: &mut dyn FnMut(Event)) -> Found<Figure> {
        if !p.ranges.is_empty() {
            return self.slice(p, span, sink);
        }
        if let Some(e) = p.with.first() {
            let d = Diagnostic::new(
                Code::WrongType,
                "`with` draws a path on contours: say over which ranges",
            )
            .at(e.span, "on nothing")
            .help("`plot P over x in [-2, 2], y in [-1, 3] with s.path`");
            return Err(vec![d]);
        }
        let axis = p.axis.as_ref().map_or("steps", |a| a.text.as_str());
        let kept = |e: &Expr| e.as_name().and_then(|n| self.defs.get(n));
        if let [e] = p.items.as_slice() {
            let figure = match kept(e) {
                Some(Def::Contest(c)) => Some(c.figure(p.axis.as_ref().map_or(c.usual_axis(), |a| a.text.as_str()))),
                Some(Def::Sweep(s)) => Some(s.figure()),
                Some(Def::Picture(f)) => Some(Some((**f).clone())),
                _ => None,
            };
            if let Some(f) = figure {
                return f.ok_or_else(|| vec![empty(e)]);
            }
        }
        let records: Vec<_> = p.items.iter().map(|e| self.recorded(e)).collect();
        if let [Some(s)] = records.as_slice() {
            let (run, name) = (run_of(s, 0), named(&owner(&p.items[0]), s));
            return record(&run, &name, &s.problem, s.sense, axis).ok_or_else(|| vec![empty(&p.items[0])]);
        }
        if !records.is_empty() && records.iter().all(Option::is_some) {
            let found: Vec<_> = records.into_iter().flatten().collect();
            let one = found.iter().all(|s| s.problem == found[0].problem);
            let sense = found.iter().map(|s| s.sense).find(|s| *s != Sense::Minimize);
            let contest = Contest {
                problems: vec![if one { found[0].problem.clone() } else { String::new() }],
                senses: vec![sense.unwrap_or_default()],
                methods: p.items.iter().zip(&found).map(|(e, s)| named(&owner(e), s)).collect(),
                seeds: vec![0],
                runs: found.iter().enumerate().map(|(k, s)| run_of(s, k)).collect(),
                sampled: false,
            };
            return contest.figure(axis).ok_or_else(|| vec![empty(&p.items[0])]);
        }
        if let Some(a) = &p.axis {
            let d = Diagnostic::new(
                Code::WrongType,
                format!("only records of runs are drawn over {}", a.text),
            )
            .at(a.span, "here")
            .help("`plot s.trace over evaluations`, or a comparison kept by name");
            return Err(vec![d]);
        }
        if let [e] = p.items.as_slice()
            && let ExprKind::Call { callee, args } = &e.kind
            && let ([arg], Some(what)) = (args.as_slice(), callee.as_name())
            && !self.defs.contains_key(what)
        {
            match what {
                "spectrum" => return self.spectrum(&arg.value),
                "pattern" => return self.pattern(&arg.value),
                "histogram" => return self.histogram(&arg.value),
                _ => {}
            }
        }
        self.vectors(&p.items)
    }

    /// The solution of `s`, `s.trace`.
    fn recorded(&self, e: &Expr) -> Option<Rc<SolutionData>> {
        let base = match &e.kind {
            ExprKind::Field { base, name } if name.text == "trace" => base,
            ExprKind::Name(_) => e,
            _ => return None,
        };
        match self.defs.get(base.as_name()?)? {
            Def::Solution(s) => Some(s.clone()),
            _ => None,
        }
    }

    /// The steps of `s.trace.length`, `s.path.a`.
    fn steps_of(&self, e: &Expr) -> Option<Vec<f64>> {
        let ExprKind::Field { base, .. } = &e.kind else {
            return None;
        };
        let ExprKind::Field { base: owner, name } = &base.kind else {
            return None;
        };
        let Some(Def::Solution(s)) = self.defs.get(owner.as_name()?) else {
            return None;
        };
        let table = match name.text.as_str() {
            "trace" => &s.trace,
            "path" => &s.path,
            _ => return None,
        };
        match table.column("step")? {
            Column::Numbers(v) => Some(v.clone()),
            Column::Texts(..) => None,
        }
    }

    /// An array of numbers.
    fn array(&self, e: &Expr) -> Found<Arc<Tensor>> {
        match self.evaluate_holes(e, &[]).map_err(one)? {
            Value::Array { tensor, .. } => Ok(tensor),
            other => {
                let d = Diagnostic::new(
                    Code::WrongType,
                    format!("an array of numbers is drawn, found {}", super::show::kind(&other)),
                );
                Err(vec![d.at(e.span, "here")])
            }
        }
    }

    /// Vectors: one against its places, or the others against the first.
    fn vectors(&self, items: &[Expr]) -> Found<Figure> {
        let mut columns: Vec<(String, Vec<f64>)> = vec![];
        for e in items {
            let t = self.array(e)?;
            match t.shape().as_slice() {
                [_] => {
                    columns.push((shown(e), t.to_dense()));
                }
                [rows, n] if *n <= LINES && items.len() == 1 => {
                    let all = t.to_dense();
                    for j in 0..*n {
                        let name = format!("{}[:, {}]", shown(e), t.dims[1].element(j));
                        columns.push((name, (0..*rows).map(|i| all[i * n + j]).collect()));
                    }
                }
                shape => {
                    let sizes: Vec<String> = shape.iter().map(usize::to_string).collect();
                    let d = Diagnostic::new(
                        Code::WrongType,
                        format!("vectors are drawn, `{}` is {}", shown(e), sizes.join(" × ")),
                    );
                    return Err(vec![
                        d.at(e.span, "here")
                            .help("`plot pattern(A)` and `plot spectrum(A)` show matrices"),
                    ]);
                }
            }
        }
        let several = items.len() > 1;
        if let Some((name, v)) = columns.iter().find(|c| c.1.len() != columns[0].1.len()) {
            let (first, n) = (&columns[0].0, columns[0].1.len());
            let d = Diagnostic::new(
                Code::ShapeMismatch,
                format!("`{first}` has {n} entries, `{name}` {}", v.len()),
            );
            return Err(vec![d.at(
                items[items.len() - 1].span,
                "vectors of equal length are drawn together",
            )]);
        }
        let (x_label, xs) = match several {
            true => columns.remove(0),
            false => {
                let n = columns.first().map_or(0, |c| c.1.len());
                match self.steps_of(&items[0]).filter(|s| s.len() == n) {
                    Some(steps) => ("step".to_string(), steps),
                    None => ("place".to_string(), (1..=n).map(|k| k as f64).collect()),
                }
            }
        };
        if !columns.iter().flat_map(|c| &c.1).any(|v| v.is_finite()) {
            return Err(vec![empty(&items[0])]);
        }
        let rising = xs.windows(2).all(|w| w[0] <= w[1]);
        let positive = |v: &mut dyn Iterator<Item = &f64>| {
            let (lo, hi) = v
                .filter(|v| v.is_finite())
                .fold((f64::INFINITY, 0.0f64), |e, v| (e.0.min(*v), e.1.max(*v)));
            long(&Axis {
                lo,
                hi,
                ..Axis::default()
            })
        };
        let log_y = positive(&mut columns.iter().flat_map(|c| &c.1));
        let log_x = several && positive(&mut xs.iter());
        let one = columns.len() == 1;
        let y_label = if one { columns[0].0.clone() } else { "value".to_string() };
        let mut x = Axis::around(x_label.clone(), xs.iter().copied(), log_x);
        x.whole = !several;
        let y = Axis::around(y_label.clone(), columns.iter().flat_map(|c| c.1.iter().copied()), log_y);
        let mut f = Figure {
            title: if several {
                format!("{y_label} against {x_label}")
            } else {
                items.iter().map(shown).collect()
            },
            x: x.padded(if rising { 0.0 } else { 0.04 }),
            y: y.padded(0.04),
            ..Figure::default()
        };
        let mut thinned = 0;
        for (k, (name, v)) in columns.into_iter().enumerate() {
            let mut points: Vec<(f64, f64)> = xs.iter().copied().zip(v).collect();
            let label = if one { String::new() } else { name };
            let n = points.len();
            if n > POINTS {
                let every = n.div_ceil(POINTS);
                points = points.into_iter().step_by(every).collect();
                thinned = every;
            }
            if rising && n > 1 {
                f.marks.push(Mark::Line {
                    points: points.clone(),
                    label: label.clone(),
                    hue: k,
                    strong: true,
                });
            }
            if !rising || n <= 40 {
                f.marks.push(Mark::Dots {
                    points,
                    label: if rising { String::new() } else { label },
                    hue: k,
                    hollow: false,
                });
            }
        }
        if thinned > 0 {
            f.notes
                .push(format!("One of {thinned} points is drawn, of {} in all.", xs.len()));
        }
        Ok(f)
    }

    /// Eigenvalues of a symmetric matrix, singular values of another.
    fn spectrum(&self, e: &Expr) -> Found<Figure> {
        let t = self.array(e)?;
        let (name, [rows, cols]) = (shown(e), self.sides(&t, e)?);
        if rows.max(cols) > SPECTRUM {
            let d = Diagnostic::new(
                Code::TooLarge,
                format!("`{name}` is {rows} × {cols}: spectra are drawn of up to {SPECTRUM} rows and columns"),
            );
            return Err(vec![
                d.at(e.span, "here")
                    .help("`diagnose` bounds its extreme values at any size"),
            ]);
        }
        let a = Dense {
            rows,
            cols,
            data: t.to_dense(),
        };
        if a.data.iter().any(|v| !v.is_finite()) {
            let d = Diagnostic::new(Code::NotFinite, format!("`{name}` has entries that are not finite"));
            return Err(vec![d.at(e.span, "here")]);
        }
        let symmetric = rows == cols && (0..rows).all(|i| (0..i).all(|j| a.data[i * rows + j] == a.data[j * rows + i]));
        let found = if symmetric {
            symmetric_eigenvalues(&a)
        } else {
            singular_values(&a)
        };
        let mut values = found.map_err(|f| vec![Diagnostic::new(Code::NotFinite, f.to_string()).at(e.span, "here")])?;
        values.sort_by(|a, b| b.abs().total_cmp(&a.abs()));
        let what = if symmetric { "eigenvalue" } else { "singular value" };
        let top = values.first().map_or(0.0, |v| v.abs());
        let noise = top * f64::EPSILON * rows.max(cols) as f64;
        let seen: Vec<(f64, f64)> = values.iter().enumerate().map(|(k, v)| (k as f64 + 1.0, *v)).collect();
        if top == 0.0 {
            return Err(vec![empty(e)]);
        }
        let least = values
            .iter()
            .map(|v| v.abs())
            .filter(|v| *v > noise)
            .fold(top, f64::min);
        let negative = values.iter().any(|v| *v < -noise);
        let log = top >= 100.0 * least;
        let lost = values.iter().filter(|v| v.abs() <= noise).count();
        let label = match (log && negative, symmetric) {
            (true, _) => format!("size of the {what}"),
            _ => what.to_string(),
        };
        let shown_at = |v: f64| if log { v.abs() } else { v };
        let drawn: Vec<(f64, f64)> = seen.iter().copied().filter(|p| !log || p.1.abs() > noise).collect();
        let mut x = Axis::around("rank", seen.iter().map(|p| p.0), false).padded(0.02);
        x.whole = true;
        let mut f = Figure {
            title: format!("Spectrum of {name}"),
            x,
            y: Axis::around(label, drawn.iter().map(|p| shown_at(p.1)), log).padded(0.05),
            ..Figure::default()
        };
        let side = |below: bool| -> Vec<(f64, f64)> {
            let of = drawn.iter().filter(|p| (p.1 < 0.0) == below);
            of.map(|p| (p.0, shown_at(p.1))).collect()
        };
        let names = if log && negative {
            ["positive", "negative"]
        } else {
            ["", ""]
        };
        for (k, below) in [false, true].into_iter().enumerate() {
            let points = side(below);
            if !points.is_empty() {
                f.marks.push(Mark::Dots {
                    points,
                    label: names[k].into(),
                    hue: k,
                    hollow: below,
                });
            }
        }
        let ends = format!("From {} to {} in size", rough(least, 3), rough(top, 3));
        f.notes.push(match lost {
            0 => format!("{ends}: condition {}.", rough(top / least, 3)),
            n => format!("{ends}; {n} of {} are zero to working precision.", values.len()),
        });
        Ok(f)
    }

    fn sides(&self, t: &Tensor, e: &Expr) -> Found<[usize; 2]> {
        match t.shape().as_slice() {
            [r, c] if *r > 0 && *c > 0 => Ok([*r, *c]),
            [_, _] => Err(vec![empty(e)]),
            _ => {
                let d = Diagnostic::new(Code::WrongType, format!("`{}` is not a matrix", shown(e)));
                Err(vec![d.at(e.span, "here")])
            }
        }
    }

    /// Where a matrix has entries.
    fn pattern(&self, e: &Expr) -> Found<Figure> {
        let t = self.array(e)?;
        let (name, [rows, cols]) = (shown(e), self.sides(&t, e)?);
        let side = rows.max(cols).div_ceil(SQUARES).max(1);
        let (down, across) = (rows.div_ceil(side), cols.div_ceil(side));
        let mut counts = vec![0usize; down * across];
        let mut entries = 0usize;
        let mut count = |i: usize, j: usize| {
            entries += 1;
            counts[i / side * across + j / side] += 1;
        };
        match &t.storage {
            Storage::Sparse(m) => {
                for i in 0..rows {
                    for k in m.indptr[i]..m.indptr[i + 1] {
                        if m.values[k] != 0.0 {
                            count(i, m.indices[k]);
                        }
                    }
                }
            }
            Storage::Dense(d) => {
                for (k, _) in d.iter().enumerate().filter(|(_, v)| **v != 0.0) {
                    count(k / cols, k % cols);
                }
            }
        }
        let full = (side * side) as f64;
        let middle = |k: usize| (k * side) as f64 + side as f64 / 2.0 + 0.5;
        let cells = counts.iter().enumerate().filter(|(_, n)| **n > 0);
        let cells = cells
            .map(|(k, n)| (middle(k % across), middle(k / across), *n as f64 / full))
            .collect();
        let mut f = Figure {
            title: format!("Pattern of {name}"),
            x: Axis {
                label: "column".into(),
                lo: 0.5,
                hi: (across * side) as f64 + 0.5,
                whole: true,
                log: false,
                zero: None,
            },
            y: Axis {
                label: "row".into(),
                lo: (down * side) as f64 + 0.5,
                hi: 0.5,
                whole: true,
                log: false,
                zero: None,
            },
            marks: vec![Mark::Cells {
                cells,
                side: side as f64,
            }],
            ..Figure::default()
        };
        let part = entries as f64 / (rows as f64 * cols as f64);
        f.notes.push(format!(
            "{rows} × {cols}, {entries} entries that are not 0 ({} %).",
            rough(100.0 * part, 2)
        ));
        if side > 1 {
            f.notes.push(format!(
                "Each square stands for {side} × {side} entries, darker where more are not 0."
            ));
        }
        Ok(f)
    }

    /// How often which values occur.
    fn histogram(&self, e: &Expr) -> Found<Figure> {
        let t = self.array(e)?;
        let all = t.to_dense();
        let mut values: Vec<f64> = all.iter().copied().filter(|v| v.is_finite()).collect();
        values.sort_by(f64::total_cmp);
        let (Some(&lo), Some(&hi)) = (values.first(), values.last()) else {
            return Err(vec![empty(e)]);
        };
        // The rule of Freedman and Diaconis, "On the histogram as a density estimator" (1981), within reason.
        let n = values.len();
        let spread = values[3 * (n - 1) / 4] - values[(n - 1) / 4];
        let width = 2.0 * spread / math::pow(n as f64, 1.0 / 3.0);
        let wanted = if width > 0.0 { ((hi - lo) / width).ceil() } else { 1.0 };
        let bins = (wanted.min(60.0) as usize).max(if lo < hi { 5 } else { 1 });
        let (lo, hi) = if lo < hi { (lo, hi) } else { (lo - 0.5, hi + 0.5) };
        let mut counts = vec![0.0; bins];
        for v in &values {
            let k = ((v / 2.0 - lo / 2.0) / (hi / 2.0 - lo / 2.0) * bins as f64) as usize;
            counts[k.min(bins - 1)] += 1.0;
        }
        let edge = |k: usize| lo + (hi - lo) * (k as f64 / bins as f64);
        let most = counts.iter().copied().fold(1.0, f64::max);
        let mut f = Figure {
            title: format!("Distribution of {}", shown(e)),
            x: Axis::around(shown(e), [lo, hi].into_iter(), false),
            y: Axis {
                label: "number of entries".into(),
                log: false,
                lo: 0.0,
                hi: 1.05 * most,
                whole: true,
                zero: None,
            },
            marks: vec![Mark::Bars {
                bars: counts
                    .iter()
                    .enumerate()
                    .map(|(k, c)| (edge(k), edge(k + 1), *c))
                    .collect(),
                hue: 0,
            }],
            ..Figure::default()
        };
        if n < all.len() {
            f.notes
                .push(format!("{} entries that are not finite are left out.", all.len() - n));
        }
        Ok(f)
    }
}

/// The record of a solution as a run.
fn run_of(s: &SolutionData, method: usize) -> Run {
    Run {
        problem: 0,
        method,
        seed: 0,
        status: None,
        objective: s.fields.get("objective").and_then(|t| t.as_scalar()),
        violation: 0.0,
        trace: s.trace.clone(),
        path: s.path.clone(),
        beyond: Default::default(),
        seconds: 0.0,
    }
}

/// A solution with its method: `s: gd`.
pub(super) fn named(name: &str, s: &SolutionData) -> String {
    match s.method.as_str() {
        "" => name.to_string(),
        m => format!("{name}: {m}"),
    }
}

/// `s` of `s.trace`.
pub(super) fn owner(e: &Expr) -> String {
    match &e.kind {
        ExprKind::Field { base, .. } => shown(base),
        _ => shown(e),
    }
}

fn empty(e: &Expr) -> Diagnostic {
    Diagnostic::new(
        Code::NothingToDraw,
        format!("`{}` holds nothing that can be drawn", shown(e)),
    )
    .at(e.span, "no finite number")
}

/// Points thinned to what is drawn, and every how many one was kept.
pub(super) fn thinned(points: Vec<(f64, f64)>) -> (Vec<(f64, f64)>, usize) {
    let every = points.len().div_ceil(POINTS).max(1);
    if every == 1 {
        return (points, 1);
    }
    let last = points.last().copied();
    let mut kept: Vec<(f64, f64)> = points.into_iter().step_by(every).collect();
    if kept.last() != last.as_ref() {
        kept.extend(last);
    }
    (kept, every)
}

/// The columns of a path, by name.
pub(super) fn path_column<'t>(t: &'t Table, name: &str, of: &str, at: Span) -> Found<&'t [f64]> {
    match t.column(name) {
        Some(Column::Numbers(v)) => Ok(v),
        _ => {
            let names = || t.columns.iter().map(|c| c.0.as_str()).filter(|n| *n != "step");
            let known: Vec<String> = names().take(8).map(|n| format!("`{n}`")).collect();
            let mut d = Diagnostic::new(
                Code::NoSuchColumn,
                format!("the path of `{of}` has no coordinate `{name}`"),
            )
            .at(at, "not there");
            d = match known.is_empty() {
                true => d.note("its method recorded no points: it ran as a whole, or the problem is too large"),
                false => d.note(format!("it has {}", known.join(", "))),
            };
            if let Some(n) = did_you_mean(name, names()) {
                d = d.help(format!("did you mean `{n}`?"));
            }
            Err(vec![d])
        }
    }
}
