//! The summary of a solve: status and what it rests on, before anything else.
//!
//! Invariant: in the golden form no number appears that rounding, the clock or the order of steps could change:
//! no times, no iteration counts, residuals only against the tolerance, the error as a power of ten.

use super::SolveEntry;
use super::number::{duration, number, power_above, rough};
use crate::base::view::{Cell, Role, Run, View};
use crate::solve::Status;
use crate::solve::course::{Board, Line, Sort};

/// How much is told.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Detail {
    /// For goldens and pages whose blocks run as tests.
    Golden,
    /// For people: with residuals, steps and times.
    Full,
}

/// Does the status count as an answer? (`stationary` and `feasible` do not: they claim less than was asked.)
pub fn answers(status: Status) -> bool {
    matches!(
        status,
        Status::Optimal | Status::LocallyOptimal | Status::Infeasible | Status::Unbounded
    )
}

fn role(status: Status) -> Role {
    match status {
        Status::Optimal | Status::LocallyOptimal => Role::Good,
        Status::Stationary | Status::ParetoStationary | Status::Feasible => Role::Strong,
        _ => Role::Bad,
    }
}

fn run(text: impl Into<String>, role: Role) -> Run {
    Run {
        text: text.into(),
        role,
    }
}

fn words(parts: &[(&str, Role)]) -> View {
    View::Line(
        parts
            .iter()
            .filter(|p| !p.0.is_empty())
            .map(|p| run(p.0, p.1))
            .collect(),
    )
}

/// A word and, after a colon, why.
fn because(what: &str, why: &str) -> View {
    let why = if why.is_empty() {
        String::new()
    } else {
        format!(": {why}")
    };
    words(&[(what, Role::Plain), (&why, Role::Faint)])
}

/// The line shown for a solve that is one of a loop's.
fn turn(s: &SolveEntry, full: bool) -> View {
    let objective = s.objective.map_or_else(String::new, number);
    let steps = match s.iterations {
        Some(1) if full => ", 1 step".to_string(),
        Some(n) if full => format!(", {n} steps"),
        _ => String::new(),
    };
    let from = if s.warm_start.used { " from the last answer" } else { "" };
    let answers = answers(s.status) || s.as_written;
    let reason = match (answers, s.reason.as_str()) {
        (false, r) if !r.is_empty() => format!("  {r}"),
        _ => String::new(),
    };
    words(&[
        (&s.turn, Role::Name),
        (": ", Role::Plain),
        (s.status.word(), role(s.status)),
        (if objective.is_empty() { "" } else { ", objective " }, Role::Plain),
        (&objective, Role::Number),
        (&steps, Role::Plain),
        (from, Role::Plain),
        (&reason, Role::Faint),
    ])
}

/// The block of lines shown for a solve.
pub fn summary(s: &SolveEntry, detail: Detail) -> View {
    let full = detail == Detail::Full;
    let name = if s.problem.is_empty() {
        "the problem"
    } else {
        s.problem.as_str()
    };
    let reason = if s.reason.is_empty() {
        String::new()
    } else {
        format!("  {}", s.reason)
    };
    let changes = match s.changes.as_str() {
        "" => String::new(),
        c => format!(" {c}"),
    };
    let head = words(&[
        (name, Role::Name),
        (&changes, Role::Plain),
        (": ", Role::Plain),
        (s.status.word(), role(s.status)),
        (&reason, Role::Faint),
    ]);

    if !s.turn.is_empty() {
        return turn(s, full);
    }

    let mut facts: Vec<(String, View)> = Vec::new();
    let mut fact = |label: &str, view: View| facts.push((format!("  {label}"), view));
    if let Some(v) = s.objective {
        fact("objective", words(&[(&number(v), Role::Number)]));
    }
    if !s.class.is_empty() {
        fact("class", because(&s.class, &s.class_why));
    }
    if !s.method.is_empty() {
        let steps = match s.iterations {
            Some(1) if full => ", 1 step".to_string(),
            Some(n) if full => format!(", {n} steps"),
            _ => String::new(),
        };
        fact("method", because(&format!("{}{steps}", s.method), &s.method_why));
    }
    if !s.residuals.is_empty() {
        fact("checked", evidence(s, full));
    }
    match (s.error, s.condition) {
        (None, None) => {}
        (Some(e), condition) => {
            let bound = if full { rough(e, 2) } else { power_above(e) };
            let (word, least) = if s.estimated {
                ("about", "at least ")
            } else {
                ("at most", "")
            };
            let kappa = condition.map_or_else(String::new, |k| format!("  (condition {least}{})", rough(k, 2)));
            let digits = if e >= 0.1 { ": no digit is certain" } else { "" };
            fact(
                "error",
                words(&[
                    (&format!("{word} {bound} of the variables"), Role::Plain),
                    (digits, Role::Bad),
                    (&kappa, Role::Faint),
                ]),
            );
        }
        (None, Some(k)) => fact("condition", words(&[(&rough(k, 2), Role::Number)])),
    }
    if s.warm_start.used || (full && !s.warm_start.why.is_empty()) {
        let how = if s.warm_start.used { "the last answer" } else { "afresh" };
        fact("start", because(how, &s.warm_start.why));
    }
    if !s.certificate.is_empty() {
        let names: Vec<&str> = s.certificate.iter().map(|c| c.0.as_str()).collect();
        fact(
            "proof",
            because("a certificate, checked", &format!("over {}", names.join(", "))),
        );
    }
    if full {
        let (compile, solve) = (duration(s.time_compile), duration(s.time_solve));
        let note = if s.not_reproducible { "  (not reproducible)" } else { "" };
        fact(
            "time",
            words(&[
                (&format!("{compile} compiling, {solve} solving"), Role::Plain),
                (note, Role::Faint),
            ]),
        );
    }
    if !answers(s.status) && !s.as_written {
        // A step of a method of the language says where it failed, and that is seldom the model.
        let of_step = matches!(s.status, Status::Diverged | Status::EvaluationError) && s.reason.starts_with("step ");
        let advice = match s.reason.as_str() {
            _ if !of_step => s.status.advice(),
            r if r.contains("a schedule gives a number") => SCHEDULE,
            r if r.contains("did not end within") => LOOP,
            r if s.status == Status::EvaluationError && (r.ends_with('`') || r.contains(" is asked for")) => IN_A_STEP,
            _ => AFTER_A_STEP,
        };
        fact("next", words(&[(advice, Role::Plain)]));
    }
    let mut parts = vec![head, View::Facts(facts)];
    parts.extend(s.boards.iter().flat_map(|b| board(b, full)));
    if full {
        parts.extend(s.log.iter().map(|l| View::styled(format!("  {l}"), Role::Faint)));
    }
    View::Stack(parts)
}

/// What to try after a step of a method of the language failed.
const AFTER_A_STEP: &str =
    "look there with `r = start …` and `step r`; shorter steps, bounds or another start avoid it";
/// What to try after a step failed for what it computes itself.
const IN_A_STEP: &str = "look there with `r = start …` and `step r`: it is this line that fails, and not the model";
const LOOP: &str = "let the loop end: count its turns, or keep what it divides above a least value";
const SCHEDULE: &str = "write a schedule that stays at 0 or above: `t -> max(…, 0)`";
/// Optima that are shown; the others are counted.
const OPTIMA_SHOWN: usize = 10;
/// Coordinates of a point that are shown.
const COORDINATES_SHOWN: usize = 4;

/// The runners of a race and what each spent, or the optima that were found.
fn board(b: &Board, full: bool) -> Vec<View> {
    let objective = |l: &Line| l.objective.map_or(Cell::Text("none".into()), Cell::Number);
    let count = |k: u64| Cell::Number(k as f64);
    match b.sort {
        Sort::Race => {
            let outcome = |l: &Line| match (l.first, l.status) {
                (true, Some(s)) => format!("won: {s}"),
                (_, Some(Status::Feasible)) => "beaten".into(),
                (_, Some(s)) => s.to_string(),
                (_, None) => "on its way".into(),
            };
            let row = |l: &Line| {
                let mut cells = vec![Cell::Text(l.what.clone()), Cell::Text(outcome(l))];
                if full {
                    cells.extend([
                        objective(l),
                        count(l.steps),
                        count(l.evaluations),
                        Cell::Number(l.work.round()),
                    ]);
                }
                cells
            };
            let head: &[&str] = match full {
                true => &["runner", "outcome", "objective", "steps", "evaluations", "work"],
                false => &["runner", "outcome"],
            };
            vec![View::Table {
                head: head.iter().map(|h| h.to_string()).collect(),
                rows: b.lines.iter().map(row).collect(),
            }]
        }
        Sort::Optima => {
            let point = |l: &Line| {
                let mut shown: Vec<String> = l.point.iter().take(COORDINATES_SHOWN).map(|v| number(*v)).collect();
                if l.point.len() > COORDINATES_SHOWN {
                    shown.push("…".into());
                }
                shown.join(", ")
            };
            let row = |l: &Line| {
                let status = l.status.map_or(String::new(), |s| s.to_string());
                let mut cells = vec![objective(l), Cell::Number(l.times as f64), Cell::Text(status)];
                if full {
                    cells.extend([Cell::Text(l.what.clone()), Cell::Text(point(l))]);
                }
                cells
            };
            let head: &[&str] = match full {
                true => &["objective", "starts", "outcome", "first from", "point"],
                false => &["objective", "starts", "outcome"],
            };
            let starts: usize = b.lines.iter().map(|l| l.times).sum();
            let failed = |l: &&Line| l.status.is_some_and(Status::is_failure);
            let lost: usize = b.lines.iter().filter(failed).map(|l| l.times).sum();
            // What a limit ended is no optimum yet.
            let claims = |s: Status| {
                let claim = [Status::Optimal, Status::LocallyOptimal, Status::Stationary];
                claim.contains(&s) || s.is_failure()
            };
            let claimed = b.lines.iter().all(|l| l.status.is_some_and(claims));
            let optima = match b.lines.len() - b.lines.iter().filter(failed).count() {
                0 => "no optimum".to_string(),
                1 if claimed => "one optimum".into(),
                n if claimed => format!("{n} distinct optima"),
                1 => "one end".into(),
                n => format!("{n} distinct ends"),
            };
            let title = match lost {
                0 => format!("  {optima} from {starts} starts"),
                k => format!("  {optima} from {starts} starts, {k} of which failed"),
            };
            let mut out = vec![
                View::styled(title, Role::Strong),
                View::Table {
                    head: head.iter().map(|h| h.to_string()).collect(),
                    rows: b.lines.iter().take(OPTIMA_SHOWN).map(row).collect(),
                },
            ];
            if b.lines.len() > OPTIMA_SHOWN {
                let more = b.lines.len() - OPTIMA_SHOWN;
                out.push(View::styled(format!("  and {more} more"), Role::Faint));
            }
            out
        }
    }
}

/// Residuals against the tolerance; those above it are named.
fn evidence(s: &SolveEntry, full: bool) -> View {
    let tolerance = rough(s.tolerance, 2);
    let mut runs = Vec::new();
    if full {
        for (k, r) in s.residuals.iter().enumerate() {
            let lead = if k == 0 { "" } else { ", " };
            let bad = r.value.is_nan() || r.value > s.tolerance;
            let text = format!("{} {}", r.name, rough(r.value, 2));
            runs.push(run(lead, Role::Plain));
            runs.push(run(text, if bad { Role::Bad } else { Role::Plain }));
        }
        runs.push(run(format!("  (tolerance {tolerance})"), Role::Faint));
        return View::Line(runs);
    }
    let names = |good: bool| -> Vec<&str> {
        let of = s.residuals.iter().filter(|r| (r.value <= s.tolerance) == good);
        of.map(|r| r.name.as_str()).collect()
    };
    let (good, bad) = (names(true), names(false));
    if !good.is_empty() {
        runs.push(run(format!("{} within {tolerance}", and(&good)), Role::Plain));
    }
    if !bad.is_empty() {
        let lead = if good.is_empty() { "" } else { "; " };
        runs.push(run(lead, Role::Plain));
        runs.push(run(format!("{} above {tolerance}", and(&bad)), Role::Bad));
    }
    View::Line(runs)
}

/// `a`, `a and b`, `a, b and c`.
pub fn and(words: &[&str]) -> String {
    match words {
        [] => String::new(),
        [one] => (*one).into(),
        [first @ .., last] => format!("{} and {last}", first.join(", ")),
    }
}
