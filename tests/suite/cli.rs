//! The command line: words, exit codes, streams.

use std::process::{Command, Output, Stdio};

fn ravine(args: &[&str]) -> Output {
    Command::new(env!("CARGO_BIN_EXE_ravine"))
        .args(args)
        .stdin(Stdio::null())
        .output()
        .expect("the binary runs")
}

fn text(bytes: &[u8]) -> String {
    String::from_utf8(bytes.to_vec()).expect("UTF-8")
}

#[test]
fn a_bad_command_line_is_64_and_says_why() {
    for (args, piece) in [
        (&[][..], "Usage: ravine"),
        (&["rnu", "x.opt"], "unrecognized subcommand"),
        (&["model.opt"], "ravine run model.opt"),
        (&["run"], "<FILE>"),
        (&["run", "x.opt", "--set", "a"], "NAME=VALUE"),
        (&["run", "x.opt", "--threads", "0"], "1 to 1024"),
        (&["run", "x.opt", "--memory", "4XB"], "4GB"),
        (&["run", "x.opt", "--emit", "asm"], "ir:after=PASS"),
        (&["run", "x.opt", "-v", "--quiet"], "cannot be used with"),
        (&["explain", "R9999"], "there is no code `R9999`"),
        (&["explain", "R02O3"], "did you mean `R0203`?"),
    ] {
        let out = ravine(args);
        assert_eq!(out.status.code(), Some(64), "{args:?}");
        assert_eq!(text(&out.stdout), "", "{args:?}");
        assert!(text(&out.stderr).contains(piece), "{args:?}: {}", text(&out.stderr));
    }
}

#[test]
fn help_versions_and_pages() {
    let version = ravine(&["--version"]);
    assert_eq!(version.status.code(), Some(0));
    assert_eq!(text(&version.stdout), format!("ravine {}\n", env!("CARGO_PKG_VERSION")));
    let help = text(&ravine(&["run", "--help"]).stdout);
    for word in [
        "--set",
        "--threads",
        "--memory",
        "--quiet",
        "--verbose",
        "--json",
        "--stable",
        "--emit",
    ] {
        assert!(help.contains(word), "{word}");
    }
    for code in ["R0203", "r0203", "203", "E0203"] {
        let page = ravine(&["explain", code]);
        assert_eq!(page.status.code(), Some(0), "{code}");
        assert!(text(&page.stdout).starts_with("R0203: dimensions of an operation differ\n"));
    }
    let all = text(&ravine(&["explain"]).stdout);
    assert_eq!(all.lines().count(), ravine::base::Code::ALL.len());
}

#[test]
fn a_reader_that_went_away_is_no_error() {
    let mut child = Command::new(env!("CARGO_BIN_EXE_ravine"))
        .arg("explain")
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .expect("the binary runs");
    drop(child.stdout.take());
    let out = child.wait_with_output().expect("it ends");
    assert_eq!((out.status.code(), text(&out.stderr)), (Some(0), String::new()));
}
