//! Kernelspecs: how Jupyter learns of the kernel, and how it forgets it.
//!
//! Invariant: removes only folders whose `kernel.json` starts this program; writes `kernel.json` last, so that a
//! half-written spec is never found.
//! Source: "Kernel specs" (jupyter_client) for the folders that are searched.
#![allow(
    clippy::disallowed_methods,
    reason = "kernelspecs are files that the environment places"
)]

use std::fmt::Write;
use std::path::{Path, PathBuf};

use clap::Args;
use serde_json::{Value as Json, json};

/// Where a kernelspec goes, as asked for.
#[derive(Args, Clone, Debug, Default)]
pub struct Which {
    /// Into the user's own folder (this is what happens without a choice)
    #[arg(long, group = "place")]
    pub user: bool,
    /// Into the Python environment that is active
    #[arg(long, group = "place")]
    pub sys_prefix: bool,
    /// Into PREFIX/share/jupyter/kernels
    #[arg(long, group = "place", value_name = "PREFIX")]
    pub prefix: Option<PathBuf>,
    /// The name that Jupyter calls it by
    #[arg(long, default_value = "ravine", value_name = "NAME", value_parser = name)]
    pub name: String,
}

/// Jupyter takes letters, digits, `.`, `_` and `-`.
fn name(text: &str) -> Result<String, String> {
    let fits = |c: char| c.is_ascii_alphanumeric() || matches!(c, '.' | '_' | '-');
    match !text.is_empty() && !text.starts_with('.') && text.chars().all(fits) {
        // Kernel names are compared without regard to case.
        true => Ok(text.to_lowercase()),
        false => Err("a name has letters, digits, `.`, `_` and `-` only".into()),
    }
}

/// A folder of kernelspecs and a name in it.
#[derive(Debug)]
pub struct Place {
    kernels: PathBuf,
    name: String,
}

impl Place {
    /// The folder asked for; a sentence if it cannot be told.
    pub fn of(which: &Which) -> Result<Place, String> {
        let kernels = match &which.prefix {
            Some(prefix) => shared(prefix),
            None if which.sys_prefix => shared(&environment()?),
            None => user().ok_or("there is no home folder: use --prefix PREFIX")?,
        };
        Ok(Place {
            kernels,
            name: which.name.clone(),
        })
    }
    fn folder(&self) -> PathBuf {
        self.kernels.join(&self.name)
    }
}

fn shared(prefix: &Path) -> PathBuf {
    prefix.join("share/jupyter/kernels")
}

fn variable(name: &str) -> Option<PathBuf> {
    std::env::var_os(name).filter(|v| !v.is_empty()).map(PathBuf::from)
}

/// The user's own folder of kernelspecs.
fn user() -> Option<PathBuf> {
    let home = || variable(if cfg!(windows) { "USERPROFILE" } else { "HOME" });
    let data = variable("JUPYTER_DATA_DIR").or_else(|| match std::env::consts::OS {
        "macos" => Some(home()?.join("Library/Jupyter")),
        "windows" => Some(variable("APPDATA")?.join("jupyter")),
        _ => Some(
            variable("XDG_DATA_HOME")
                .or_else(|| Some(home()?.join(".local/share")))?
                .join("jupyter"),
        ),
    })?;
    Some(data.join("kernels"))
}

/// The prefix of the active Python environment.
fn environment() -> Result<PathBuf, String> {
    if let Some(prefix) = variable("VIRTUAL_ENV").or_else(|| variable("CONDA_PREFIX")) {
        return Ok(prefix);
    }
    let ask = |python: &str| {
        let out = std::process::Command::new(python)
            .args(["-c", "import sys; print(sys.prefix)"])
            .output()
            .ok()
            .filter(|o| o.status.success())?;
        let text = String::from_utf8(out.stdout).ok()?;
        Some(PathBuf::from(text.trim_end()))
    };
    ask("python3")
        .or_else(|| ask("python"))
        .ok_or_else(|| "no Python environment is active and no `python3` is on the path: use --prefix PREFIX".into())
}

/// What Jupyter is told.
fn spec(program: &Path, name: &str) -> Json {
    let title = match name {
        "ravine" => "Ravine".to_string(),
        other => format!("Ravine ({other})"),
    };
    json!({
        "argv": [program.to_string_lossy(), "start", "{connection_file}"],
        "display_name": title,
        "language": "ravine",
        "interrupt_mode": "message",
        "metadata": { "debugger": false },
    })
}

/// Writes the kernelspec; what was done, in a line.
pub fn install(place: &Place) -> Result<String, String> {
    let program = std::env::current_exe().map_err(|e| format!("this program's own path cannot be told: {e}"))?;
    let folder = place.folder();
    let at = |e: std::io::Error| format!("`{}`: {e}", folder.display());
    if folder.join("kernel.json").exists() && !ours(&folder) {
        return Err(format!(
            "`{}` holds the kernelspec of another kernel: choose another --name",
            folder.display()
        ));
    }
    std::fs::create_dir_all(&folder).map_err(at)?;
    let text = format!("{:#}\n", spec(&program, &place.name));
    let files: [(&str, &[u8]); 4] = [
        ("logo-svg.svg", include_bytes!("../assets/logo.svg")),
        ("logo-32x32.png", include_bytes!("../assets/logo-32.png")),
        ("logo-64x64.png", include_bytes!("../assets/logo-64.png")),
        ("kernel.json", text.as_bytes()),
    ];
    for (name, bytes) in files {
        std::fs::write(folder.join(name), bytes).map_err(at)?;
    }
    Ok(format!(
        "installed the kernel `{}` in {}\n",
        place.name,
        folder.display()
    ))
}

/// Removes the kernelspec; what was done, in a line.
pub fn uninstall(place: &Place) -> Result<String, String> {
    let folder = place.folder();
    if !folder.join("kernel.json").exists() {
        return Err(format!(
            "there is no kernel `{}` in {}",
            place.name,
            place.kernels.display()
        ));
    }
    if !ours(&folder) {
        return Err(format!("`{}` holds the kernelspec of another kernel", folder.display()));
    }
    std::fs::remove_dir_all(&folder).map_err(|e| format!("`{}`: {e}", folder.display()))?;
    Ok(format!(
        "removed the kernel `{}` from {}\n",
        place.name,
        place.kernels.display()
    ))
}

/// The program that a kernelspec starts.
fn program(folder: &Path) -> Option<String> {
    let text = std::fs::read_to_string(folder.join("kernel.json")).ok()?;
    let json: Json = serde_json::from_str(&text).ok()?;
    json["argv"][0].as_str().map(Into::into)
}

fn ours(folder: &Path) -> bool {
    program(folder).is_some_and(|p| Path::new(&p).file_stem().is_some_and(|s| s == "ravine-kernel"))
}

/// The kernelspecs of this program where Jupyter looks for them.
pub fn list() -> Result<String, String> {
    let mut places: Vec<PathBuf> = Vec::new();
    let path = std::env::var_os("JUPYTER_PATH").unwrap_or_default();
    places.extend(
        std::env::split_paths(&path)
            .filter(|p| !p.as_os_str().is_empty())
            .map(|p| p.join("kernels")),
    );
    places.extend(user());
    places.extend(environment().ok().map(|p| shared(&p)));
    places.extend(["/usr/local", "/usr"].map(|p| shared(Path::new(p))));
    let mut seen: Vec<PathBuf> = Vec::new();
    let mut out = String::new();
    for kernels in places {
        if seen.contains(&kernels) {
            continue;
        }
        let Ok(entries) = std::fs::read_dir(&kernels) else {
            continue;
        };
        let mut folders: Vec<PathBuf> = entries.flatten().map(|e| e.path()).filter(|p| ours(p)).collect();
        folders.sort();
        for f in folders {
            let name = f.file_name().unwrap_or_default().to_string_lossy().into_owned();
            let program = program(&f).unwrap_or_default();
            let lost = if Path::new(&program).is_file() {
                ""
            } else {
                "  (which is gone: install again)"
            };
            let _ = writeln!(out, "{name}  {}  starts {program}{lost}", f.display());
        }
        seen.push(kernels);
    }
    if out.is_empty() {
        out = "not installed: `ravine kernel install` makes the kernel known to Jupyter\n".into();
    }
    Ok(out)
}
