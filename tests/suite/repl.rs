//! The prompt: with a program at the other end, and through a pseudo-terminal.

use std::io::Write;
use std::process::{Command, Output, Stdio};

use super::harness::root;

fn piped(input: &[u8]) -> Output {
    let mut child = Command::new(env!("CARGO_BIN_EXE_ravine"))
        .args(["repl", "--color", "never"])
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .expect("the binary runs");
    child.stdin.take().expect("a pipe").write_all(input).expect("it reads");
    child.wait_with_output().expect("it ends")
}

fn text(bytes: &[u8]) -> String {
    String::from_utf8_lossy(bytes).into_owned()
}

#[test]
fn piped_entries_are_cells() {
    let out = piped(
        b"param a: Real = 2\nlet b = a +\n  1\nprint b\n\nvar x: Real\nminimize (x - a)^2\nsubject to\n  low: x >= 1\n  high: x <= 1.5\n\ns = solve\nprint s.x, s.dual(high)\n?a\nprint \"last\"",
    );
    let shown = text(&out.stdout);
    assert_eq!(out.status.code(), Some(0), "{shown}{}", text(&out.stderr));
    for piece in [
        "b = 3",
        "optimal",
        "s.x = 1.5",
        "a: Real",
        "declared in entry 1, line 1",
        "last",
    ] {
        assert!(shown.contains(piece), "{piece}: {shown}");
    }
    assert!(!shown.contains("ravine>"), "{shown}");
}

#[test]
fn an_error_ends_the_entry_and_shows_in_the_exit_code() {
    let out = piped(b"print missing\nprint 1 + 1\nx = )\nprint 5\n");
    let (shown, said) = (text(&out.stdout), text(&out.stderr));
    assert_eq!(out.status.code(), Some(2), "{shown}{said}");
    assert!(shown.contains("1 + 1 = 2") && shown.contains("5 = 5"), "{shown}");
    assert!(said.contains("R0201") && said.contains("entry 1"), "{said}");
    // What is left at the end of the input is run, and what is no text is refused.
    let out = piped(b"print (1 +\n");
    assert_eq!(out.status.code(), Some(2));
    let out = piped(b"print 1\n\xff\xfe\n");
    assert_eq!(out.status.code(), Some(3), "{}", text(&out.stderr));
    assert_eq!(piped(b"").status.code(), Some(0));
}

#[test]
fn questions_and_values_at_the_prompt() {
    let out = piped(
        b"2 + 2\nhelp\n?grad\n?sweep\nproblem p {\n  var a: Real from 3\n  minimize a^2\n}\nr = start p with adam(0.1) for 9 steps\nstep r\nr.objective\np\n?adam\nplot [1, 2, 3]\nquit\nprint 7\n",
    );
    let (shown, said) = (text(&out.stdout), text(&out.stderr));
    assert_eq!(out.status.code(), Some(0), "{shown}{said}");
    for piece in [
        "2 + 2 = 4",
        "`?name` tells",
        "The gradient at a point",
        "Solves for each value",
        "r.objective = ",
        "a  Real",
        // As before it ran.
        "optimizer adam(lr: Schedule = 0.001",
        "write p to \"p.svg\"",
    ] {
        assert!(shown.contains(piece), "{piece}: {shown}");
    }
    assert!(!shown.contains("7 = 7") && !shown.contains("--plots"), "{shown}");
}

/// Through a pseudo-terminal; says `ignored` without Python, fails there where `RAVINE_REQUIRE` names it.
#[test]
fn a_person_at_a_terminal() {
    let folder = tempfile::tempdir().expect("a folder");
    let run = Command::new("python3")
        .arg(root().join("tests/suite/repl.py"))
        .arg(env!("CARGO_BIN_EXE_ravine"))
        .arg(folder.path().join("state/history"))
        .output();
    let Ok(out) = run else {
        let required = std::env::var("RAVINE_REQUIRE").is_ok_and(|r| r.contains("python"));
        assert!(!required, "no python3");
        eprintln!("ignored: no python3");
        return;
    };
    eprintln!("{}", text(&out.stdout));
    assert!(out.status.success(), "{}{}", text(&out.stdout), text(&out.stderr));
}
