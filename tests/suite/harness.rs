//! Running programs in the tests: one session, everything it shows as plain text without times and counts.

use std::path::{Path, PathBuf};

use ravine::base::Code;
use ravine::base::value::Value;
use ravine::report::{self, ResultEntry};
use ravine::session::{Event, Session, Settings};

/// The root of the package.
pub fn root() -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR"))
}

/// A session whose relative paths start at `folder`.
pub fn session(folder: &Path) -> Session {
    Session::new(Settings {
        sets: Default::default(),
        threads: None,
        memory: 1 << 30,
        verbose: false,
        folder: folder.to_path_buf(),
        now: || 0.0,
    })
}

/// What a text did in a session.
pub struct Ran {
    /// Everything shown, in the golden form.
    pub shown: String,
    /// Codes of the messages.
    pub codes: Vec<Code>,
    /// Exit code of a run that ends here.
    pub exit: u8,
}

/// Runs a text.
pub fn run(s: &mut Session, name: &str, text: &str) -> Ran {
    let before = s.report.diagnostics.len();
    let mut events = vec![];
    s.run(name, text, &mut |e| events.push(e));
    let mut shown = String::new();
    for e in events {
        let part = match e {
            Event::Shown(v) => report::render::plain(&v.untimed()),
            Event::Solved(e) => report::render::plain(&report::solve::summary(&e, report::solve::Detail::Golden)),
            Event::Diagnostic(d) => report::diagnostic::plain(&[*d], &s.sources),
            Event::Log(_) | Event::Progress(_) => continue,
        };
        shown += part.trim_end();
        shown.push('\n');
    }
    let codes = s.report.diagnostics[before..].iter().map(|d| d.code).collect();
    Ran {
        shown,
        codes,
        exit: s.report.exit_code(),
    }
}

/// The last solve's entry.
pub fn last_solve(s: &Session) -> Option<&report::SolveEntry> {
    s.report.results.iter().rev().find_map(|r| match r {
        ResultEntry::Solve(e) => Some(&**e),
        _ => None,
    })
}

/// Is golden output to be written instead of compared (`RAVINE_BLESS=1`)?
pub fn blessing() -> bool {
    std::env::var_os("RAVINE_BLESS").is_some_and(|v| v == "1")
}

/// Compares with a golden file, or writes it. The message shows the first line that differs.
pub fn golden(path: &Path, got: &str, failures: &mut Vec<String>) {
    let want = std::fs::read_to_string(path).unwrap_or_default();
    if want == got {
        return;
    }
    if blessing() {
        std::fs::write(path, got).expect("golden file can be written");
        return;
    }
    let line = want
        .lines()
        .zip(got.lines())
        .position(|(a, b)| a != b)
        .unwrap_or(want.lines().count().min(got.lines().count()));
    failures.push(format!(
        "{}: line {} differs\n  expected: {}\n  found:    {}",
        path.strip_prefix(root()).unwrap_or(path).display(),
        line + 1,
        want.lines().nth(line).unwrap_or("(nothing)"),
        got.lines().nth(line).unwrap_or("(nothing)"),
    ));
}

/// Files below `folder` with an ending, sorted.
pub fn files(folder: &Path, ending: &str) -> Vec<PathBuf> {
    let mut out = vec![];
    let mut stack = vec![folder.to_path_buf()];
    while let Some(d) = stack.pop() {
        let Ok(entries) = std::fs::read_dir(&d) else { continue };
        for e in entries.flatten() {
            let p = e.path();
            if p.is_dir() {
                stack.push(p);
            } else if p.extension().is_some_and(|x| x == ending) {
                out.push(p);
            }
        }
    }
    out.sort();
    out
}

/// Fails with all of them, if there are any.
pub fn report_failures(failures: Vec<String>) {
    assert!(
        failures.is_empty(),
        "{}\n\nif the new output is right: RAVINE_BLESS=1 cargo test",
        failures.join("\n\n")
    );
}

/// Runs a program; what it shows and the arrays that it prints.
pub fn ran_arrays(text: &str) -> (Ran, Vec<Vec<f64>>) {
    let mut s = session(&root());
    let r = run(&mut s, "program.opt", text);
    let values = s.report.results.iter().filter_map(|r| match r {
        ResultEntry::Value {
            value: Value::Array { tensor, .. },
            ..
        } => Some(tensor.to_dense()),
        _ => None,
    });
    (r, values.collect())
}

/// The arrays that a program prints, which has to run without a word.
pub fn printed_arrays(text: &str) -> Vec<Vec<f64>> {
    let (r, values) = ran_arrays(text);
    assert!(r.codes.is_empty(), "{}", r.shown);
    values
}
