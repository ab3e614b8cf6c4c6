//! Every example and every program under `tests/programs` shows what its `.out` file says.

use super::harness::{files, golden, report_failures, root, run, session};

/// Programs that take long, run by name.
pub const EXPERIMENTS: &str = "examples/methods";

/// Runs all programs of a folder but those in the folder `but`; how many there are.
pub fn all(folder: &str, but: &str) -> usize {
    let folder = root().join(folder);
    let mut failures = vec![];
    let mut programs = files(&folder, "opt");
    programs.retain(|p| but.is_empty() || !p.starts_with(root().join(but)));
    for p in &programs {
        let text = std::fs::read_to_string(p).expect("a program is UTF-8 text");
        let mut s = session(p.parent().expect("in a folder"));
        let name = p.file_name().expect("a file").to_string_lossy().into_owned();
        let ran = run(&mut s, &name, &text);
        golden(&p.with_extension("out"), &ran.shown, &mut failures);
        // The first line may say how the program ends; without it, well.
        let want = text
            .lines()
            .next()
            .and_then(|l| l.strip_prefix("# exit "))
            .map_or(0, |n| n.trim().parse().expect("a code"));
        if ran.exit != want {
            failures.push(format!(
                "{name}: ends with {}, expected {want}\n{}",
                ran.exit, ran.shown
            ));
        }
    }
    report_failures(failures);
    programs.len()
}

#[test]
fn examples_show_what_they_should() {
    assert!(all("examples", EXPERIMENTS) >= 12, "an example is missing");
}

#[test]
fn programs_show_what_they_should() {
    assert!(all("tests/programs", "") >= 5, "a program is missing");
}
