//! Jupyter's own clients: the protocol's test suite, and the example notebooks as nbclient and nbconvert run them.

use std::path::{Path, PathBuf};
use std::process::Command;

use super::frontend::program;

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("..")
}

/// Says `ignored` without `.venv` or what the kernel's tests want in it; fails there where `RAVINE_REQUIRE` names
/// python.
fn python() -> Option<PathBuf> {
    let python = root().join(".venv/bin/python");
    let ready = Command::new(&python)
        .args(["-c", "import jupyter_kernel_test, nbclient, nbconvert"])
        .output()
        .is_ok_and(|o| o.status.success());
    if ready {
        return Some(python);
    }
    let required = std::env::var("RAVINE_REQUIRE").is_ok_and(|r| r.contains("python"));
    assert!(
        !required,
        "no .venv with Jupyter's clients: run scripts/setup-python.sh"
    );
    eprintln!("ignored: no .venv with Jupyter's clients (scripts/setup-python.sh makes one)");
    None
}

/// Runs a script of `tests/jupyter` with the kernel installed in a folder of its own.
fn script(name: &str, args: &[&Path]) {
    let Some(python) = python() else { return };
    let prefix = tempfile::tempdir().unwrap();
    let installed = Command::new(program())
        .args(["install", "--prefix"])
        .arg(prefix.path())
        .output()
        .unwrap();
    assert!(installed.status.success());
    let out = Command::new(python)
        .arg(root().join("kernel/tests/jupyter").join(name))
        .args(args)
        .env("JUPYTER_PATH", prefix.path().join("share/jupyter"))
        // Nothing of the user's own.
        .env("HOME", prefix.path())
        .env("IPYTHONDIR", prefix.path())
        .output()
        .unwrap();
    let (text, errors) = (
        String::from_utf8_lossy(&out.stdout),
        String::from_utf8_lossy(&out.stderr),
    );
    assert!(out.status.success(), "{text}{errors}");
}

#[test]
fn the_protocol_as_jupyter_tests_it() {
    script("protocol.py", &[]);
}

#[test]
fn the_notebooks_run_and_become_pages() {
    let out = tempfile::tempdir().unwrap();
    let mut books: Vec<PathBuf> = std::fs::read_dir(root().join("examples/notebooks"))
        .unwrap()
        .map(|e| e.unwrap().path())
        .filter(|p| p.extension().is_some_and(|e| e == "ipynb"))
        .collect();
    books.sort();
    assert!(books.len() >= 2);
    let mut args = vec![out.path()];
    args.extend(books.iter().map(PathBuf::as_path));
    script("notebooks.py", &args);
}
