//! Kernelspecs: installed where asked, listed, removed, and nothing of others touched.

use std::path::Path;
use std::process::{Command, Output};

use serde_json::{Value as Json, json};

use super::frontend::program;

fn ask(home: &Path, args: &[&str]) -> Output {
    Command::new(program())
        .args(args)
        .env_clear()
        .env("HOME", home)
        .output()
        .unwrap()
}

fn said(o: &Output) -> String {
    format!(
        "{}{}",
        String::from_utf8_lossy(&o.stdout),
        String::from_utf8_lossy(&o.stderr)
    )
}

fn spec(folder: &Path) -> Json {
    serde_json::from_str(&std::fs::read_to_string(folder.join("kernel.json")).unwrap()).unwrap()
}

#[test]
fn installed_listed_removed() {
    let home = tempfile::tempdir().unwrap();
    let prefix = home.path().join("some prefix");
    let user = home.path().join(if cfg!(target_os = "macos") {
        "Library/Jupyter/kernels"
    } else {
        ".local/share/jupyter/kernels"
    });
    let there = prefix.to_str().unwrap();
    assert!(said(&ask(home.path(), &["list"])).contains("not installed"));
    for (args, folder) in [
        (vec![], user.join("ravine")),
        (vec!["--user", "--name", "Mine"], user.join("mine")),
        (vec!["--prefix", there], prefix.join("share/jupyter/kernels/ravine")),
    ] {
        let with = |verb: &'static str| [&[verb][..], &args[..]].concat();
        for _ in 0..2 {
            // The second time replaces the first.
            let out = ask(home.path(), &with("install"));
            assert!(out.status.success(), "{}", said(&out));
        }
        let told = spec(&folder);
        assert_eq!(
            told["argv"],
            json!([program().to_str().unwrap(), "start", "{connection_file}"])
        );
        assert_eq!(
            (&told["language"], &told["interrupt_mode"]),
            (&json!("ravine"), &json!("message"))
        );
        for (logo, size) in [("logo-32x32.png", 32u32), ("logo-64x64.png", 64)] {
            let bytes = std::fs::read(folder.join(logo)).unwrap();
            assert_eq!(&bytes[1..4], b"PNG");
            assert_eq!(bytes[16..24], [size.to_be_bytes(), size.to_be_bytes()].concat());
        }
        assert!(
            std::fs::read_to_string(folder.join("logo-svg.svg"))
                .unwrap()
                .starts_with("<svg")
        );
        if !args.contains(&"--prefix") {
            assert!(said(&ask(home.path(), &["list"])).contains(folder.to_str().unwrap()));
        }
        assert!(ask(home.path(), &with("uninstall")).status.success());
        assert!(!folder.exists());
        let again = ask(home.path(), &with("uninstall"));
        assert!(
            !again.status.success() && said(&again).contains("there is no kernel"),
            "{}",
            said(&again)
        );
    }
}

#[test]
fn an_environment_is_found() {
    let home = tempfile::tempdir().unwrap();
    let env = home.path().join("venv");
    let out = Command::new(program())
        .args(["install", "--sys-prefix"])
        .env_clear()
        .env("HOME", home.path())
        .env("VIRTUAL_ENV", &env)
        .output()
        .unwrap();
    assert!(out.status.success(), "{}", said(&out));
    spec(&env.join("share/jupyter/kernels/ravine"));
}

#[test]
fn kernels_of_others_are_left_alone() {
    let home = tempfile::tempdir().unwrap();
    let folder = home.path().join("share/jupyter/kernels/ravine");
    std::fs::create_dir_all(&folder).unwrap();
    let prefix = home.path().to_str().unwrap();
    for text in [r#"{"argv": ["python3", "-m", "other"]}"#, "not JSON", "{}"] {
        std::fs::write(folder.join("kernel.json"), text).unwrap();
        for verb in ["install", "uninstall"] {
            let out = ask(home.path(), &[verb, "--prefix", prefix]);
            assert!(
                !out.status.success() && said(&out).contains("another kernel"),
                "{}",
                said(&out)
            );
        }
        assert_eq!(std::fs::read_to_string(folder.join("kernel.json")).unwrap(), text);
    }
    for name in ["", "../up", "a/b", ".hidden", "a b"] {
        let out = ask(home.path(), &["install", "--prefix", prefix, "--name", name]);
        assert_eq!(out.status.code(), Some(2), "{name}: {}", said(&out));
    }
    let both = ask(home.path(), &["install", "--user", "--sys-prefix"]);
    assert_eq!(both.status.code(), Some(2));
}
