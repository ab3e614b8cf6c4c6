//! The object that `--json` prints, schema `ravine.report/1`.
//!
//! Invariant: keys are only ever added; numbers keep full precision, and those that are not finite are strings.

use serde_json::{Map, Value as Json, json};

use super::values::{self, number_json};
use super::{FileHash, Report, ResultEntry, SolveEntry, diagnostic, render};
use crate::base::SourceMap;
use crate::base::value::Value;
use crate::solve::course::{Board, Line, Sort};

/// The name and version of the schema.
pub const SCHEMA: &str = "ravine.report/1";

/// The whole report.
pub fn report(report: &Report, sources: &SourceMap) -> Json {
    let results: Vec<Json> = report.results.iter().map(result).collect();
    let p = &report.provenance;
    json!({
        "schema": SCHEMA,
        "results": results,
        "diagnostics": diagnostic::json(&report.diagnostics, sources),
        "provenance": {
            "program": p.program.as_ref().map(file),
            "data": p.data.iter().map(file).collect::<Vec<_>>(),
            "version": p.version,
            "seed": p.seed,
            "threads": p.threads,
        },
    })
}

fn file(f: &FileHash) -> Json {
    json!({ "file": f.file, "sha256": f.sha256 })
}

fn result(entry: &ResultEntry) -> Json {
    match entry {
        ResultEntry::Solve(s) => solve(s),
        ResultEntry::Value {
            expression,
            value,
            trust,
        } => {
            let mut entry = json!({ "kind": "value", "expression": expression, "value": values::json(value) });
            if let Some((error, condition)) = trust {
                entry["error"] = number_json(*error);
                entry["condition"] = number_json(*condition);
            }
            entry
        }
        ResultEntry::View { command, subject, view } => {
            json!({ "kind": command, "subject": subject, "view": render::json(view) })
        }
    }
}

fn by_name(list: &[(String, Value)]) -> Json {
    let mut map = Map::new();
    for (name, value) in list {
        map.insert(name.clone(), values::json(value));
    }
    Json::Object(map)
}

/// One solve.
pub fn solve(s: &SolveEntry) -> Json {
    let or_null = |v: Option<f64>| v.map_or(Json::Null, number_json);
    let residuals: Map<String, Json> = s
        .residuals
        .iter()
        .map(|r| (r.name.clone(), number_json(r.value)))
        .collect();
    json!({
        "kind": "solve",
        "problem": s.problem,
        "class": s.class,
        "class_why": s.class_why,
        "method": s.method,
        "method_why": s.method_why,
        "status": s.status.word(),
        "reason": s.reason,
        "objective": or_null(s.objective),
        "variables": by_name(&s.variables),
        "duals": by_name(&s.duals),
        "residuals": residuals,
        "tolerance": number_json(s.tolerance),
        "error": or_null(s.error),
        "estimated": s.estimated,
        "condition": or_null(s.condition),
        "iterations": s.iterations,
        "changes": s.changes,
        "turn": s.turn,
        "warm_start": { "used": s.warm_start.used, "why": s.warm_start.why },
        "time": { "compile": number_json(s.time_compile), "solve": number_json(s.time_solve) },
        "certificate": by_name(&s.certificate),
        "reproducible": !s.not_reproducible,
        "boards": s.boards.iter().map(board).collect::<Vec<_>>(),
    })
}

/// The runners of a race, or the optima found from many starts.
fn board(b: &Board) -> Json {
    let line = |l: &Line| {
        let mut o = json!({
            "name": l.what,
            "first": l.first,
            "status": l.status.map(|s| s.word()),
            "objective": l.objective.map_or(Json::Null, number_json),
        });
        match b.sort {
            Sort::Race => {
                o["steps"] = json!(l.steps);
                o["evaluations"] = json!(l.evaluations);
                o["work"] = number_json(l.work);
            }
            Sort::Optima => {
                o["starts"] = json!(l.times);
                o["point"] = l.point.iter().map(|v| number_json(*v)).collect();
            }
        }
        o
    };
    let kind = match b.sort {
        Sort::Race => "race",
        Sort::Optima => "optima",
    };
    json!({ "kind": kind, "lines": b.lines.iter().map(line).collect::<Vec<_>>() })
}
