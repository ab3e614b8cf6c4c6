//! Every code has a page; its first block raises exactly that code, its second none.

use ravine::base::{Code, Level};

use super::harness::{report_failures, root, run, session};

/// Codes whose page cannot show a program that raises them, and why.
const WITHOUT_PROGRAM: &[(Code, &str)] = &[
    (Code::Internal, "a mistake of ours cannot be raised on purpose"),
    (Code::BadSetting, "raised by the command line, not by a program"),
    (Code::Replaced, "raised between two cells"),
    (Code::Interrupted, "raised by an interrupt"),
    (
        Code::CannotWrite,
        "its repaired program would leave a file; tests/suite/uses.rs writes some",
    ),
];

fn blocks(page: &str) -> Vec<(String, String)> {
    let mut out = vec![];
    let mut lines = page.lines();
    while let Some(l) = lines.next() {
        if let Some(info) = l.strip_prefix("```").filter(|i| i.starts_with("opt")) {
            let text: String = lines
                .by_ref()
                .take_while(|l| *l != "```")
                .map(|l| format!("{l}\n"))
                .collect();
            out.push((info.to_string(), text));
        }
    }
    out
}

#[test]
fn every_code_has_a_page_that_tells_the_truth() {
    let mut failures = vec![];
    for &code in Code::ALL {
        let id = code.id();
        let page = code.page();
        if !page.starts_with(&format!("# {id}: ")) || !page.contains("## What it means") {
            failures.push(format!("{id}: the page lacks its title or `## What it means`"));
            continue;
        }
        if WITHOUT_PROGRAM.iter().any(|w| w.0 == code) {
            continue;
        }
        let blocks = blocks(page);
        let [(_, bad), (_, good), ..] = blocks.as_slice() else {
            failures.push(format!("{id}: the page needs a program that fails and a repaired one"));
            continue;
        };
        let folder = root().join("tests/diagnostics/data");
        let ran = run(&mut session(&folder), "example.opt", bad);
        let mut loud: Vec<&str> = ran.codes.iter().map(|c| c.id()).collect();
        loud.dedup();
        if loud != [id] {
            failures.push(format!("{id}: its first block raises {loud:?}\n{}", ran.shown));
        }
        let ran = run(&mut session(&folder), "example.opt", good);
        let loud: Vec<&str> = ran
            .codes
            .iter()
            .filter(|c| c.level() != Level::Advice)
            .map(|c| c.id())
            .collect();
        if !loud.is_empty() {
            failures.push(format!("{id}: its repaired block raises {loud:?}\n{}", ran.shown));
        }
    }
    report_failures(failures);
}
