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
        (&["explain", "adam"], "`?adam` in `ravine repl`"),
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

/// A folder with a program and a table.
fn folder(program: &str) -> (tempfile::TempDir, String) {
    let folder = tempfile::tempdir().expect("a folder");
    std::fs::write(folder.path().join("p.opt"), program).expect("written");
    std::fs::write(folder.path().join("t.csv"), "part,count\nbolt,10\nnut,20\n").expect("written");
    let file = folder.path().join("p.opt").to_string_lossy().into_owned();
    (folder, file)
}

#[test]
fn running_printing_and_what_goes_wrong() {
    let good = "param k: Real = 2\nparam b: Vector[n] = read(\"t.csv\", column: count)\nprint k*b, sum(b)\n";
    let (_keep, file) = folder(good);
    let out = ravine(&["run", &file]);
    assert_eq!((out.status.code(), text(&out.stderr)), (Some(0), String::new()));
    assert_eq!(text(&out.stdout), "k*b = [20, 40]\nsum(b) = 30\n");
    let out = ravine(&["run", &file, "--set", "k=0.5", "--json", "--threads", "2"]);
    let report: serde_json::Value = serde_json::from_str(&text(&out.stdout)).expect("one object");
    assert_eq!(report["results"][0]["value"], serde_json::json!([5.0, 10.0]));
    assert_eq!(report["provenance"]["data"][0]["file"], "t.csv");
    assert_eq!(report["provenance"]["threads"], 2);
    assert_eq!(ravine(&["check", &file]).status.code(), Some(0));

    for (args, code, piece) in [
        (&["run", "--set", "q=1"][..], 2, "R0308"),
        (&["run", "--memory", "10"], 3, "R0309"),
        (&["run", "--set", "k=1", "--set", "k=2"], 64, "twice"),
        (&["inspect"], 2, "R0705"),
    ] {
        let out = ravine(&[args, &[&file]].concat());
        assert_eq!(out.status.code(), Some(code), "{args:?}: {}", text(&out.stderr));
        assert!(text(&out.stderr).contains(piece), "{args:?}: {}", text(&out.stderr));
    }
    for (program, code, piece) in [
        ("print b[\n", 2, "R0103"),
        (
            "param b: Vector[n] = read(\"tt.csv\", column: count)\n",
            3,
            "did you mean `t.csv`?",
        ),
        (
            "param b: Vector[n] = read(\"t.csv\", column: part)\n",
            3,
            "line 2, column `part`",
        ),
        ("set s = {\"bolt\"}\nparam b: Real[s] = read(\"t.csv\")\n", 3, "R0304"),
        ("set s = {\"bolt\"}\nparam b: Real[s] = {\"nut\": 1}\n", 2, "R0304"),
        ("assert 1 == 2\n", 1, "R0804"),
    ] {
        let (_keep, file) = folder(program);
        let out = ravine(&["run", &file]);
        assert_eq!(out.status.code(), Some(code), "{program}{}", text(&out.stderr));
        assert!(text(&out.stderr).contains(piece), "{program}{}", text(&out.stderr));
        let json = ravine(&["run", "--json", &file]);
        assert_eq!((json.status.code(), text(&json.stderr)), (Some(code), String::new()));
        let report: serde_json::Value = serde_json::from_str(&text(&json.stdout)).expect("one object");
        assert_eq!(report["diagnostics"].as_array().map(Vec::len), Some(1));
    }
    assert_eq!(ravine(&["run", "no-such-file.opt"]).status.code(), Some(3));
}

#[test]
fn looking_inside() {
    let program = "param n: Int = 3\nproblem p {\n  var x: Vector[n] >= 0\n  minimize f: sum(i in 1..n) i*x[i]^2\n  subject to\n    total: sum(x) == 1\n}\nprint 7\n";
    let (_keep, file) = folder(program);
    let out = ravine(&["run", &file, "--emit", "ir"]);
    assert_eq!((out.status.code(), text(&out.stderr)), (Some(0), String::new()));
    let shown = text(&out.stdout);
    assert!(
        shown.starts_with("problem p, after lower\nminimize f\nvar x [1..3]"),
        "{shown}"
    );
    assert!(
        shown.contains("total: left == right\n") && !shown.contains("print"),
        "{shown}"
    );
    let shown = text(&ravine(&["run", &file, "--emit", "ir:after=derive"]).stdout);
    assert!(shown.contains("by x\n") && shown.contains("out "), "{shown}");
    let out = ravine(&["run", &file, "--emit", "ir:after=polish"]);
    assert_eq!(out.status.code(), Some(2));
    assert!(text(&out.stderr).contains("`derive`"), "{}", text(&out.stderr));
    let out = ravine(&["inspect", &file, "q"]);
    assert_eq!(out.status.code(), Some(2));
    assert!(text(&out.stderr).contains("no problem `q`"));
    assert_eq!(ravine(&["inspect", &file]).status.code(), Some(0));
}

#[cfg(unix)]
#[test]
fn the_kernel_is_found_beside_the_binary() {
    use std::os::unix::fs::PermissionsExt;
    let exe = std::path::Path::new(env!("CARGO_BIN_EXE_ravine"));
    // Beside the binary, so that a hard link is possible; elsewhere, so that no real kernel is found.
    let folder = tempfile::tempdir_in(exe.parent().expect("a folder")).expect("a folder");
    let ravine = folder.path().join("ravine");
    std::fs::hard_link(exe, &ravine).expect("linked");
    let run = || {
        let mut command = Command::new(&ravine);
        command
            .args(["kernel", "--install", "-x"])
            .env("PATH", "")
            .stdin(Stdio::null());
        command.output().expect("the binary runs")
    };
    let out = run();
    assert_eq!(out.status.code(), Some(64));
    assert!(text(&out.stderr).contains("cargo build --release -p ravine-kernel"));
    let kernel = folder.path().join("ravine-kernel");
    std::fs::write(&kernel, "#!/bin/sh\necho \"$@\"\nexit 7\n").expect("written");
    std::fs::set_permissions(&kernel, std::fs::Permissions::from_mode(0o755)).expect("made executable");
    let out = run();
    assert_eq!(
        (out.status.code(), text(&out.stdout)),
        (Some(7), "--install -x\n".into())
    );
}

/// What a run would refuse before its first step, a check refuses; what hangs on data or answers it leaves alone.
#[test]
fn check_foresees_what_a_run_refuses() {
    let dir = std::env::temp_dir().join(format!("ravine-foresee-{}", std::process::id()));
    std::fs::create_dir_all(&dir).unwrap();
    let bowl = "problem bowl {\n  var x: Vector[3] from 1\n  minimize sumsq(x)/2\n}\n";
    let sampled =
        "optimizer o(lr: Schedule) {\n  step t {\n    let b = sample(2)\n    x <- x - lr(t)*grad(x, b)\n  }\n}\n";
    let open = "problem open {\n  var w: Vector[3] in simplex\n  var z: Vector[2] from 1\n  minimize sumsq(w - 1) + sumsq(z)\n}\n";
    let cases = [
        (format!("{bowl}{sampled}solve bowl with o(0.1) for 5 steps\n"), "R0712"),
        (format!("{bowl}solve bowl with adam(lr: -0.1) for 5 steps\n"), "R0702"),
        (
            format!("{bowl}c = compare bowl with {{ a: gd(0.1) for 3 steps; b: gd(-1) for 3 steps }}\n"),
            "R0702",
        ),
        (
            format!("{open}solve open with frank_wolfe(toward) for 5 steps\n"),
            "R0712",
        ),
        // Not known before the run: data of a file, an answer.
        (
            format!("param n: Real = read(\"none.csv\")\n{bowl}solve bowl with gd(n) for 5 steps\n"),
            "",
        ),
        (
            format!("{bowl}s = solve bowl\nsolve bowl with gd(s.objective - 1) for 5 steps\n"),
            "",
        ),
        (
            format!("{bowl}s = solve bowl with adam(0.1) for 5 steps\nprint s.x\nassert s.objective < 1\n"),
            "",
        ),
    ];
    for (k, (program, code)) in cases.iter().enumerate() {
        let file = dir.join(format!("{k}.opt"));
        std::fs::write(&file, program).unwrap();
        let out = ravine(&["check", &file.display().to_string()]);
        let all = format!("{}{}", text(&out.stdout), text(&out.stderr));
        if code.is_empty() {
            assert_eq!(out.status.code(), Some(0), "{program}{all}");
            assert!(all.contains("no mistakes found"), "{program}{all}");
        } else {
            assert_ne!(out.status.code(), Some(0), "{program}{all}");
            assert!(all.contains(&format!("error[{code}]")), "{program}{all}");
            assert_eq!(all.matches("error[").count(), 1, "{program}{all}");
        }
    }
    std::fs::remove_dir_all(&dir).unwrap();
}
