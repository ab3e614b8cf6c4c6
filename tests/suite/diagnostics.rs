//! The closed loop of diagnostics: every page's programs do what the page says, and every message is shown beside its program.

use std::fs;
use std::path::{Path, PathBuf};

use ravine::base::{Code, Diagnostic};
use ravine::report::diagnostic::plain;
use ravine::session::{Session, Settings};

fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

fn session() -> Session {
    Session::new(Settings {
        sets: Default::default(),
        threads: None,
        memory: 1 << 30,
        verbose: false,
        folder: root().join("tests/diagnostics/data"),
        now: || 0.0,
    })
}

/// The messages of checking a program.
fn messages(name: &str, text: &str) -> (Session, Vec<Diagnostic>) {
    let mut s = session();
    let (_, _, found) = s.check(name, text);
    (s, found)
}

/// The fences of a page that hold programs.
fn programs(page: &str) -> Vec<String> {
    let mut out = vec![];
    let mut open: Option<String> = None;
    for line in page.lines() {
        match &mut open {
            None if line.trim() == "```opt" => open = Some(String::new()),
            None => {}
            Some(text) if line.trim() == "```" => {
                out.push(std::mem::take(text));
                open = None;
            }
            Some(text) => {
                text.push_str(line);
                text.push('\n');
            }
        }
    }
    out
}

/// Codes of syntax, names and problems (and three others), which need nothing but the program.
fn is_front_end(c: Code) -> bool {
    let id = c.id();
    id.starts_with("R01") || id.starts_with("R02") || id.starts_with("R04") || matches!(id, "R0306" | "R0705" | "R0706")
}

#[test]
fn pages_fail_and_are_repaired_as_they_say() {
    let mut wrong = vec![];
    for &c in Code::ALL.iter().filter(|c| is_front_end(**c)) {
        let page = c.page();
        if !page.starts_with(&format!("# {}: {}\n\n## What it means\n", c.id(), c.summary())) {
            wrong.push(format!("{}: the page's head", c.id()));
        }
        let [fails, repaired] = programs(page)
            .try_into()
            .unwrap_or_else(|p: Vec<String>| panic!("{}: {} programs", c.id(), p.len()));
        let (s, found) = messages("page.opt", &fails);
        let mut codes: Vec<&str> = found.iter().map(|d| d.code.id()).collect();
        codes.dedup();
        if codes != [c.id()] {
            wrong.push(format!(
                "{}: fails with {codes:?}\n{}",
                c.id(),
                plain(&found, &s.sources)
            ));
        }
        let (s, found) = messages("page.opt", &repaired);
        if !found.is_empty() {
            wrong.push(format!(
                "{}: the repaired program has\n{}",
                c.id(),
                plain(&found, &s.sources)
            ));
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

fn below(folder: &Path, extension: &str) -> Vec<PathBuf> {
    let mut out: Vec<PathBuf> = fs::read_dir(folder)
        .map(|d| d.filter_map(|e| Some(e.ok()?.path())).collect())
        .unwrap_or_default();
    out.retain(|p| p.extension().is_some_and(|e| e == extension));
    out.sort();
    out
}

/// `tests/diagnostics/CODE/*.opt`: the program and its messages stand together in the `.snap` beside it.
#[test]
fn messages_are_as_they_were() {
    let bless = std::env::var_os("RAVINE_BLESS").is_some();
    let mut wrong = vec![];
    let mut count = 0;
    for &c in Code::ALL {
        for path in below(&root().join("tests/diagnostics").join(c.id()), "opt") {
            count += 1;
            let text = fs::read_to_string(&path).unwrap();
            let name = path.file_name().unwrap().to_string_lossy().into_owned();
            let mut s = session();
            let (_, _, found) = s.check(&name, &text);
            let others: Vec<&str> = found.iter().map(|d| d.code.id()).filter(|id| *id != c.id()).collect();
            if found.is_empty() || !others.is_empty() {
                wrong.push(format!(
                    "{}: its folder says {}, found also {others:?}",
                    path.display(),
                    c.id()
                ));
            }
            let got = format!("{}\n----\n{}", text.trim_end(), plain(&found, &s.sources));
            let snap = path.with_extension("snap");
            let before = fs::read_to_string(&snap).unwrap_or_default();
            if got != before {
                if bless {
                    fs::write(&snap, &got).unwrap();
                } else {
                    wrong.push(format!("{}: RAVINE_BLESS=1 accepts\n{got}", snap.display()));
                }
            }
        }
    }
    assert!(count >= 40, "{count} programs");
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

/// The edits of a message lie in the program and change it. Where a program has one mistake, one of them leaves none.
#[test]
fn edits_repair_the_program() {
    let mut wrong = vec![];
    for &c in Code::ALL {
        for path in below(&root().join("tests/diagnostics").join(c.id()), "opt") {
            let text = fs::read_to_string(&path).unwrap();
            let (_, _, found) = session().check("edit.opt", &text);
            let mut repaired = None;
            for e in found.iter().flat_map(|d| &d.helps).filter_map(|h| h.edit.as_ref()) {
                let (a, b) = (e.span.start as usize, e.span.end as usize);
                assert!(
                    text.get(a..b).is_some_and(|old| old != e.replacement),
                    "{}: {e:?}",
                    path.display()
                );
                let text = format!("{}{}{}", &text[..a], e.replacement, &text[b..]);
                *repaired.get_or_insert(false) |= messages("edit.opt", &text).1.is_empty();
            }
            if found.len() == 1 && repaired == Some(false) {
                wrong.push(path.display().to_string());
            }
        }
    }
    assert!(wrong.is_empty(), "no edit repairs\n{}", wrong.join("\n"));
}

/// Every block of the book passes the checker, or has the mistake that its fence says. Blocks of one heading are one
/// session.
#[test]
fn the_book_checks_without_data() {
    let mut wrong = vec![];
    let mut blocks = 0;
    for path in below(&root().join("docs/book"), "md") {
        let text = fs::read_to_string(&path).unwrap();
        let mut s = session();
        let mut open: Option<(String, String)> = None;
        for line in text.lines() {
            match &mut open {
                None if line.starts_with("## ") => s = session(),
                None if line == "```opt" || line.starts_with("```opt ") => {
                    open = Some((line[6..].trim().to_string(), String::new()));
                }
                None => {}
                Some((info, block)) if line == "```" => {
                    blocks += 1;
                    let (_, _, found) = s.check("block.opt", block);
                    let codes: Vec<&str> = found.iter().filter(|d| d.is_error()).map(|d| d.code.id()).collect();
                    let said = info.strip_prefix("error=").and_then(Code::parse);
                    let fits = match said {
                        Some(c) if is_front_end(c) => codes == [c.id()],
                        _ => codes.is_empty(),
                    };
                    if !fits {
                        wrong.push(format!(
                            "{} ({info})\n{block}{}",
                            path.display(),
                            plain(&found, &s.sources)
                        ));
                    }
                    open = None;
                }
                Some((_, block)) => {
                    block.push_str(line);
                    block.push('\n');
                }
            }
        }
    }
    assert!(blocks >= 20, "{blocks} blocks");
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}
