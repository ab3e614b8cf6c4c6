//! `diagnose`: what makes a problem or a matrix hard, in the user's names, and what would help.
//!
//! Invariant: shows what `solve::diagnose` found; every sentence rests on a number beside it.

use crate::base::value::{Storage, Tensor, Value};
use crate::base::view::{Cell, Role, View};
use crate::base::{Code, Diagnostic, Diagnostics, Span};
use crate::ir::{InputId, Problem};
use crate::lang::syntax::{Expr, ProblemRef, show as shown};
use crate::solve::Class;
use crate::solve::diagnose::{Diagnosis, INCOMPLETE, Meaning, Number, Parallel, Remedy, Scales, Subject, diagnose};
use crate::solve::examine::{By, Part, Relation, Together};
use ravine_linalg::{Csr, Dense, Matrix};

use super::show::number;
use super::{Def, Event, Session, instance_name};

type Found<T> = Result<T, Diagnostics>;

/// Rows that could go, shown at most.
const SHOWN: usize = 10;

impl Session {
    /// The subject's name and what was found.
    pub(super) fn diagnose(
        &mut self,
        target: Option<&Expr>,
        at: Option<&Expr>,
        measured: bool,
        span: Span,
        sink: &mut dyn FnMut(Event),
    ) -> Found<(String, View)> {
        let named = target.and_then(Expr::as_problem_ref);
        let problem = named.filter(|t| matches!(self.defs.get(&t.name.text), Some(Def::Problem(_))));
        match (target, problem) {
            (Some(e), None) => self.diagnose_matrix(e, measured),
            (_, problem) => self.diagnose_problem(problem.as_ref(), at, measured, span, sink),
        }
    }

    fn diagnose_matrix(&mut self, e: &Expr, measured: bool) -> Found<(String, View)> {
        let value = self.evaluate(e).map_err(|d| vec![*d])?;
        let Value::Array { tensor, .. } = &value else {
            return Err(vec![not_a_matrix(e)]);
        };
        let Some(matrix) = matrix_of(tensor) else {
            return Err(vec![not_a_matrix(e)]);
        };
        let element = |dim: usize, k: usize| {
            let set = &tensor.dims[dim];
            if set.is_plain() {
                format!("{}", k + 1)
            } else {
                set.element(k)
            }
        };
        let symmetric = matrix.rows() == matrix.cols() && matrix.asymmetry() == 0.0;
        let title = shown(e);
        let subject = Subject {
            matrix: &matrix,
            meaning: if symmetric { Meaning::Symmetric } else { Meaning::Rows },
            columns: &|k| format!("column {}", element(1, k)),
            rows: &|k| format!("row {}", element(0, k)),
            blocks: &[],
            measure: measured,
        };
        let d = diagnose(&subject).map_err(|f| vec![fault(&f.what, e.span)])?;
        Ok((title.clone(), view(&title, &d, subject.meaning, Of::Matrix)))
    }

    fn diagnose_problem(
        &mut self,
        target: Option<&ProblemRef>,
        at: Option<&Expr>,
        measured: bool,
        span: Span,
        sink: &mut dyn FnMut(Event),
    ) -> Found<(String, View)> {
        let cached = self.compiled(target, span, sink)?;
        let params: Vec<(InputId, std::sync::Arc<Tensor>)> = self.param_inputs(&self.compiled[cached].lowered.params);
        let point = match at {
            Some(e) => Some(self.solution_point(cached, e)?),
            None => None,
        };
        let form = self.form_of(cached, None)?;
        let c = &mut self.compiled[cached].forms[form].1;
        let parts = c
            .parts(&params, point.as_deref())
            .map_err(|f| vec![fault(&f.what, span)])?;
        let c = &self.compiled[cached].forms[form].1;
        let name = if c.problem.name.is_empty() {
            "the problem".to_string()
        } else {
            c.problem.name.clone()
        };
        let blocks: Vec<(String, usize, usize)> = c
            .problem
            .vars
            .iter()
            .zip(&c.columns.blocks)
            .map(|(v, b)| (v.name.clone(), b.1, b.2))
            .collect();
        let mut views = vec![];
        for p in &parts {
            let row = |k: usize| match p.rows.get(k) {
                Some(r) => {
                    let own = row_name(&c.problem, r.constraint, r.instance);
                    match r.entry {
                        0 => own,
                        k => format!("{own}, entry {k}"),
                    }
                }
                None => format!("term {}", k + 1),
            };
            let subject = Subject {
                matrix: &p.matrix,
                meaning: p.meaning,
                columns: &|k| c.coordinate(p.columns.get(k).copied().unwrap_or(k)),
                rows: &row,
                blocks: &blocks,
                measure: measured,
            };
            let d = diagnose(&subject).map_err(|f| vec![fault(&f.what, span)])?;
            let constraints = p.meaning == Meaning::Rows && c.class != Class::LinearSystem;
            let of = if constraints {
                Of::Constraints(p, &c.problem)
            } else {
                Of::Matrix
            };
            let title = format!("{name}: {}", p.title);
            views.push(view(&title, &d, p.meaning, of));
            if !constraints {
                views.extend(together(p, &c.problem));
            }
        }
        if views.is_empty() {
            views.push(View::text(format!(
                "{name}: no rows of constraints and no second derivatives to look at"
            )));
        }
        Ok((name, View::Stack(views)))
    }

    /// The flat point of a solution of this problem.
    fn solution_point(&self, cached: usize, e: &Expr) -> Found<Vec<f64>> {
        let solution = match e.as_name().and_then(|n| self.defs.get(n)) {
            Some(Def::Solution(s)) => s.clone(),
            _ => {
                return Err(vec![
                    Diagnostic::new(Code::BadStart, format!("`{}` is not a solution", shown(e))).at(e.span, "here"),
                ]);
            }
        };
        let mut x = vec![];
        for v in &self.compiled[cached].lowered.problem.vars {
            let n: usize = v.dims.iter().map(crate::base::value::IndexSet::len).product();
            match solution.fields.get(&v.name) {
                Some(t) if t.dims == v.dims => x.extend(super::evaluate::spread(t, n)),
                _ => {
                    return Err(vec![
                        Diagnostic::new(
                            Code::BadStart,
                            format!(
                                "`{}` has no value for `{}`: it solves another problem",
                                shown(e),
                                v.name
                            ),
                        )
                        .at(e.span, "here"),
                    ]);
                }
            }
        }
        Ok(x)
    }
}

fn not_a_matrix(e: &Expr) -> Diagnostic {
    Diagnostic::new(Code::WrongType, format!("`{}` is not a matrix", shown(e)))
        .at(e.span, "here")
        .help("`diagnose P` looks at a problem, `diagnose A` at a matrix")
}

fn fault(what: &str, span: Span) -> Diagnostic {
    Diagnostic::new(Code::NotFinite, what).at(span, "while this was looked at")
}

fn matrix_of(t: &Tensor) -> Option<Matrix> {
    let [rows, cols] = [t.dims.first()?.len(), t.dims.get(1)?.len()];
    if t.dims.len() != 2 {
        return None;
    }
    Some(match &t.storage {
        Storage::Sparse(c) => Matrix::Sparse(Csr::clone(c)),
        Storage::Dense(_) => Matrix::Dense(Dense {
            rows,
            cols,
            data: t.to_dense(),
        }),
    })
}

fn row_name(p: &Problem, constraint: usize, instance: usize) -> String {
    let c = &p.constraints[constraint];
    let at = instance_name(&c.dims, instance);
    if at.is_empty() {
        c.name.clone()
    } else {
        format!("{}[{at}]", c.name)
    }
}

/// Two digits: orders of magnitude are what matters here.
fn rough(v: f64) -> String {
    if !v.is_finite() || v == 0.0 {
        return number(v);
    }
    if (1e-3..1e4).contains(&v.abs()) {
        let unit = 10f64.powi(ravine_linalg::math::log10(v.abs()).floor() as i32 - 1);
        return number((v / unit).round() * unit);
    }
    format!("{v:.1e}")
}

/// `1e4`, or `at least 1e4` for a bound.
fn bounded(n: Number) -> String {
    if n.exact {
        rough(n.value)
    } else {
        format!("at least {}", rough(n.value))
    }
}

fn steps(v: f64) -> String {
    if v.is_finite() { rough(v) } else { "never".into() }
}

fn view(title: &str, d: &Diagnosis, meaning: Meaning, of: Of<'_>) -> View {
    let mut facts = vec![];
    let mut fact = |name: &str, text: String| facts.push((name.to_string(), View::text(text)));
    fact(
        "size",
        format!("{} x {}, {} entries that are not 0", d.shape.0, d.shape.1, d.entries),
    );
    fact("condition", bounded(d.condition));
    if let Some((rank, full)) = d.rank {
        let word = if rank < full { "" } else { ", full" };
        fact("rank", format!("{rank} of {full}{word}"));
    }
    if let Some((top, low)) = d.extremes {
        let what = if meaning == Meaning::Symmetric {
            "eigenvalues"
        } else {
            "singular values"
        };
        let negative = match d.negative {
            0 => String::new(),
            k => format!("; {k} negative"),
        };
        let size = if d.negative > 0 { "in size " } else { "" };
        fact(
            what,
            format!(
                "{size}{} to {}{negative}",
                rough(if low < f64::EPSILON * top { 0.0 } else { low }),
                rough(top)
            ),
        );
        if d.decades.len() > 1 {
            // Beyond this many decades a computed value says nothing.
            let (seen, lost) = d.decades.split_at(d.decades.len().min(16));
            let count = |(k, n): (usize, &usize)| match (*n, k) {
                (0, _) => None,
                (n, 0) => Some(format!("{n} like the largest")),
                (n, k) => Some(format!("{n} about 1e-{k} of it")),
            };
            let mut list: Vec<String> = seen.iter().enumerate().filter_map(count).collect();
            match lost.iter().sum::<usize>() {
                0 => {}
                n => list.push(format!("{n} lost in rounding")),
            }
            fact("by decade", list.join(", "));
        }
    }
    if let Some((top, low)) = d.within {
        let what = if meaning == Meaning::Symmetric {
            "eigenvalues"
        } else {
            "singular values"
        };
        let text = format!("largest at least {}, smallest at most {}", rough(top), rough(low));
        fact(what, format!("{text} (products only, nothing was factored)"));
    }
    fact("columns", sizes(&d.columns));
    if let Some(r) = &d.rows {
        fact("rows", sizes(r));
    }
    if let Some((terms, length)) = &d.weak {
        let free = d.rank.map_or(0, |(rank, full)| full - rank);
        let one_of = if free > 1 {
            format!("one of {free}: ")
        } else {
            String::new()
        };
        fact("weakest", format!("{one_of}{}", weakest(terms, *length, meaning)));
    }
    let mut parts = vec![View::styled(title, Role::Strong), View::Facts(facts)];
    // A single row has nothing but parallel columns.
    if meaning != Meaning::Symmetric && d.shape.0 > 1 {
        parts.extend(pairs("near-parallel columns", &d.near_columns));
    }
    match of {
        Of::Constraints(part, problem) => {
            parts.extend(redundant(part, problem));
            parts.extend(together(part, problem));
            parts.push(scalings(&d.remedies));
            parts.push(View::text(constraint_advice(d, part)));
        }
        Of::Matrix => {
            parts.extend(pairs("near-parallel rows", &d.near_rows));
            parts.push(remedies(&d.remedies));
            parts.push(View::text(advice(d, meaning)));
        }
    }
    View::Stack(parts)
}

/// Scalings without steps: the methods that take constraints factor, they do not iterate on these rows.
fn scalings(all: &[Remedy]) -> View {
    View::Table {
        head: ["", "condition"].map(String::from).to_vec(),
        rows: all
            .iter()
            .map(|r| vec![Cell::Text(r.name.into()), Cell::Text(bounded(r.condition))])
            .collect(),
    }
}

fn constraint_advice(d: &Diagnosis, part: &Part) -> String {
    let apart = part.dependent.iter().any(|d| d.rest != 0.0);
    if apart || part.redundant.iter().any(|r| r.how == Relation::Contradiction) {
        return "constraints contradict one another: the problem is infeasible".into();
    }
    if !part.redundant.is_empty() {
        return "drop the constraints that say nothing new: they make multipliers ambiguous".into();
    }
    if !part.dependent.is_empty() {
        return "one equation of each such sum follows from the others: without it multipliers are unique".into();
    }
    let best = d
        .remedies
        .iter()
        .skip(1)
        .map(|r| r.condition.value)
        .fold(f64::INFINITY, f64::min);
    if d.condition.value > 1e3 && best < 0.1 * d.condition.value {
        return format!(
            "scaling brings the condition to {}: units that make all entries of about the same size are worth it",
            rough(best)
        );
    }
    "nothing stands out".into()
}

/// What a view is of.
#[derive(Clone, Copy)]
enum Of<'a> {
    Matrix,
    Constraints(&'a Part, &'a Problem),
}

fn sizes(s: &Scales) -> String {
    let zero = match s.zero.as_slice() {
        [] => String::new(),
        [one] => format!("; {one} is 0"),
        [one, ..] => format!("; {one} and {} more are 0", s.zero.len() - 1),
    };
    let (Some(big), Some(small)) = (s.largest.first(), s.smallest.first()) else {
        return format!("none{zero}");
    };
    if s.ratio < 10.0 {
        return format!("all of about the same length{zero}");
    }
    format!(
        "lengths from {} ({}) to {} ({}){zero}",
        rough(small.1),
        small.0,
        rough(big.1),
        big.0
    )
}

fn weakest(terms: &[(String, f64)], length: f64, meaning: Meaning) -> String {
    let mut sum = String::new();
    for (k, (name, weight)) in terms.iter().enumerate() {
        let sign = match (k, *weight < 0.0) {
            (0, false) => "",
            (0, true) => "-",
            (_, false) => " + ",
            (_, true) => " - ",
        };
        sum += &format!("{sign}{} {name}", number((weight.abs() * 100.0).round() / 100.0));
    }
    let effect = match meaning {
        Meaning::Symmetric => "has almost no curvature",
        _ => "is almost 0",
    };
    format!("{sum} {effect}: {} of the largest, columns scaled", rough(length))
}

fn pairs(title: &str, (found, count): &(Vec<Parallel>, usize)) -> Option<View> {
    if found.is_empty() {
        return None;
    }
    let rows = found
        .iter()
        .map(|p| {
            let angle = if p.angle < 1e-14 { 0.0 } else { p.angle };
            vec![
                Cell::Text(p.b.clone()),
                Cell::Number(p.factor),
                Cell::Text(p.a.clone()),
                Cell::Number(angle),
            ]
        })
        .collect();
    let more = if *count > found.len() {
        format!("{title} ({} of {count} pairs)", found.len())
    } else {
        title.to_string()
    };
    Some(View::Stack(vec![
        View::styled(more, Role::Name),
        View::Table {
            head: ["this", "is about", "times", "angle"].map(String::from).to_vec(),
            rows,
        },
    ]))
}

fn remedies(all: &[Remedy]) -> View {
    let measured = all.iter().any(|r| r.measured.is_some());
    let mut head: Vec<String> = ["", "condition", "gradient descent", "conjugate gradients"]
        .map(String::from)
        .to_vec();
    if measured {
        head.push("measured".into());
    }
    let rows = all
        .iter()
        .map(|r| {
            let mut row = vec![
                Cell::Text(r.name.into()),
                Cell::Text(bounded(r.condition)),
                Cell::Text(steps(r.descent)),
                Cell::Text(steps(r.gradients)),
            ];
            if measured {
                row.push(Cell::Text(r.measured.map_or(String::new(), steps)));
            }
            row
        })
        .collect();
    View::Table { head, rows }
}

/// What to do, in one sentence.
fn advice(d: &Diagnosis, meaning: Meaning) -> String {
    let as_is = d.condition.value;
    let best = d
        .remedies
        .iter()
        .skip(1)
        .filter(|r| r.name != INCOMPLETE)
        .min_by(|a, b| a.condition.value.total_cmp(&b.condition.value));
    if let Some((rank, full)) = d.rank
        && rank < full
    {
        if let [name, ..] = d.columns.zero.as_slice()
            && meaning != Meaning::Symmetric
        {
            return format!(
                "{rank} of {full} directions are determined: {name} has no effect at all; drop it and look again"
            );
        }
        let what = match meaning {
            Meaning::Rows => "rows or columns depend on one another; drop those that do",
            Meaning::Symmetric => "there are directions without curvature: add what decides, such as `+ 1e-3*sumsq(x)`",
            Meaning::LeastSquares => "columns depend on one another: drop one, or add `+ 1e-3*sumsq(w)`",
        };
        return format!("{} of {full} directions are determined: {what}", rank);
    }
    if as_is < 1e3 {
        return "well-conditioned: any method will do".into();
    }
    let factor = d.remedies.iter().find(|r| r.name == INCOMPLETE);
    if let Some(f) = factor
        && f.condition.value < 0.1 * best.map_or(as_is, |b| b.condition.value.min(as_is))
    {
        return format!(
            "an incomplete factor leaves {}: `cg(preconditioner: ic0)` is worth its steps, some {} instead of {}",
            bounded(f.condition),
            steps(f.gradients),
            steps(d.remedies.first().map_or(f64::NAN, |r| r.gradients))
        );
    }
    if let Some(b) = best
        && b.condition.value < 1e3
    {
        return format!(
            "scale is all that is wrong: with {} the condition is {}. Methods that scale for themselves do not suffer; \
             others want variables of about the same size",
            b.name,
            rough(b.condition.value)
        );
    }
    let scaled = best
        .filter(|b| b.condition.value < 0.1 * as_is)
        .map_or(String::new(), |b| {
            format!(" scaling helps ({} leaves {}), but", b.name, rough(b.condition.value))
        });
    if meaning != Meaning::Symmetric && !d.near_columns.0.is_empty() {
        return format!("{scaled} columns that are almost multiples of one another remain: drop or combine them")
            .trim_start()
            .to_string();
    }
    if d.weak.is_some() {
        return format!(
            "{scaled} a combination is hardly determined: see `weakest`; add data or a penalty that decides it"
        )
        .trim_start()
        .to_string();
    }
    format!("{scaled} use second derivatives or a factorization rather than gradients alone")
        .trim_start()
        .to_string()
}

fn redundant(p: &Part, problem: &Problem) -> Option<View> {
    if p.redundant.is_empty() {
        return None;
    }
    let rows = p
        .redundant
        .iter()
        .take(SHOWN)
        .map(|r| {
            let how = match r.how {
                Relation::Duplicate => "says the same as",
                Relation::Dominated => "follows from",
                Relation::Contradiction => "contradicts",
            };
            let by = match r.by {
                By::Row(constraint, instance) => row_name(problem, constraint, instance),
                By::Bounds => "the bounds".into(),
            };
            vec![
                Cell::Text(row_name(problem, r.row.0, r.row.1)),
                Cell::Text(how.into()),
                Cell::Text(by),
            ]
        })
        .collect();
    let title = format!(
        "constraints that something else makes superfluous, or contradicts ({})",
        p.redundant.len()
    );
    Some(View::Stack(vec![
        View::styled(title, Role::Name),
        View::Table {
            head: ["constraint", "", "constraint"].map(String::from).to_vec(),
            rows,
        },
    ]))
}

/// Combinations of equations that cancel, in the user's names.
fn together(p: &Part, problem: &Problem) -> Option<View> {
    if p.dependent.is_empty() {
        return None;
    }
    let rows = p.dependent.iter().take(SHOWN).map(|d| {
        let reads = match d.rest {
            0.0 => "0 == 0".to_string(),
            v => format!("0 == {}: a contradiction", number(v)),
        };
        vec![Cell::Text(sum_text(d, problem)), Cell::Text(reads)]
    });
    let title = format!("equations that cancel one another ({})", p.dependent.len());
    Some(View::Stack(vec![
        View::styled(title, Role::Name),
        View::Table {
            head: ["together", "they read"].map(String::from).to_vec(),
            rows: rows.collect(),
        },
    ]))
}

/// `sum(balance) - 2 total`: whole families by their sums.
fn sum_text(d: &Together, problem: &Problem) -> String {
    let mut parts: Vec<(String, f64)> = vec![];
    let mut rest = &d.terms[..];
    while let Some(first) = rest.first() {
        let (own, more) = rest.split_at(rest.iter().take_while(|t| t.0 == first.0).count());
        rest = more;
        let c = &problem.constraints[first.0];
        let all: usize = c.dims.iter().map(crate::base::value::IndexSet::len).product();
        if own.len() > 1 && own.len() == all && own.iter().all(|t| t.2 == first.2) {
            parts.push((format!("sum({})", c.name), first.2));
        } else {
            parts.extend(own.iter().map(|t| (row_name(problem, t.0, t.1), t.2)));
        }
    }
    let mut out = String::new();
    for (k, (name, by)) in parts.iter().take(SHOWN).enumerate() {
        out += match (k, *by < 0.0) {
            (0, false) => "",
            (0, true) => "-",
            (_, false) => " + ",
            (_, true) => " - ",
        };
        if by.abs() != 1.0 {
            out += &format!("{} ", number(by.abs()));
        }
        out += name;
    }
    match parts.len() {
        n if n > SHOWN => format!("{out} and {} more", n - SHOWN),
        _ => out,
    }
}
