//! The one place that opens files: reads, decompresses, limits and hashes them, and writes them whole or not at all.
//!
//! Invariant: never holds more than the budget, whatever a file claims to be; every failure is a diagnostic (R0601,
//! R0309) that calls the file what the program calls it.
#![allow(clippy::disallowed_methods, reason = "this is the home of files")]

use std::fs::File;
use std::io::{ErrorKind, Read, Write};
use std::path::{Path, PathBuf};

use flate2::read::MultiGzDecoder;
use sha2::{Digest, Sha256};

use crate::base::diagnostic::did_you_mean;
use crate::base::{Code, Diagnostic};
use crate::io::errors::{bytes_text, too_large};

/// Bytes that a program's text may have; spans count in 32 bits, and nobody writes more by hand.
pub const PROGRAM_LIMIT: u64 = 64 << 20;

/// The content of a file.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Loaded {
    /// The content, decompressed.
    pub bytes: Vec<u8>,
    /// SHA-256 of the file as stored, in hexadecimal.
    pub sha256: String,
}

/// Reads a data file: `name` as the program gives it, relative to `folder`; gzip is recognized by its first bytes.
/// At most `budget` bytes are held, before and after decompression. Errors: R0601, R0309.
pub fn load(folder: &Path, name: &str, budget: u64) -> Result<Loaded, Diagnostic> {
    let path = folder.join(name);
    let stored = read_all(&path, name, budget)?;
    let sha256 = hash(&stored);
    let packed = stored.starts_with(b"\x1f\x8b");
    if !packed && name.to_lowercase().ends_with(".gz") {
        return Err(cannot_read(
            name,
            "its name ends with `.gz`, but its content is not gzip",
        ));
    }
    let bytes = if packed { unpack(&stored, name, budget)? } else { stored };
    Ok(Loaded { bytes, sha256 })
}

/// Writes a file: `name` as the program gives it, relative to `folder`; packed if it ends with `.gz`. The file is there
/// whole or as it was before, whatever happens meanwhile. Errors: R0607.
pub fn save(folder: &Path, name: &str, bytes: &[u8]) -> Result<(), Diagnostic> {
    let path = folder.join(name);
    let failed = |e: &std::io::Error| {
        let d = Diagnostic::new(Code::CannotWrite, format!("`{name}` cannot be written: {}", reason(e)));
        match e.kind() {
            ErrorKind::NotFound => d.help("the folder has to exist; paths start at the program's folder"),
            _ => d,
        }
    };
    let Some(file) = path.file_name() else {
        return Err(failed(&ErrorKind::InvalidInput.into()));
    };
    if path.is_dir() {
        return Err(failed(&ErrorKind::IsADirectory.into()));
    }
    let mut part = std::ffi::OsString::from(".");
    part.push(file);
    part.push(format!(".{}.part", std::process::id()));
    let part = path.with_file_name(part);
    let written = (|| {
        let mut out = File::create(&part)?;
        if name.to_lowercase().ends_with(".gz") {
            // No name and no time in the header: the same values give the same bytes.
            let mut packer = flate2::GzBuilder::new().write(&mut out, flate2::Compression::default());
            packer.write_all(bytes)?;
            packer.finish()?;
        } else {
            out.write_all(bytes)?;
        }
        out.sync_all()?;
        std::fs::rename(&part, &path)
    })();
    written.map_err(|e| {
        let _ = std::fs::remove_file(&part);
        failed(&e)
    })
}

/// As [`save`], into a folder that is made if there is none.
pub fn save_into(folder: &Path, name: &str, bytes: &[u8]) -> Result<(), Diagnostic> {
    if let Err(e) = std::fs::create_dir_all(folder) {
        let at = folder.to_string_lossy();
        return Err(Diagnostic::new(
            Code::CannotWrite,
            format!("the folder `{at}` cannot be made: {}", reason(&e)),
        ));
    }
    save(folder, name, bytes)
}

/// The file that a path leads to, however it is written; the path itself if there is none.
pub fn identity(path: &Path) -> PathBuf {
    std::fs::canonicalize(path).unwrap_or_else(|_| path.to_path_buf())
}

/// Reads a program, and its hash. Errors: R0601 (also if it is not UTF-8).
pub fn load_program(path: &Path) -> Result<(String, String), Diagnostic> {
    let name = path.to_string_lossy();
    let bytes = read_all(path, &name, PROGRAM_LIMIT)?;
    let sha256 = hash(&bytes);
    match String::from_utf8(bytes) {
        Ok(text) => Ok((text, sha256)),
        Err(e) => {
            let good = e.utf8_error().valid_up_to();
            let line = 1 + e.as_bytes()[..good].iter().filter(|&&b| b == b'\n').count();
            Err(cannot_read(&name, &format!("line {line} is not UTF-8 text")))
        }
    }
}

/// Replaces a program's text: written beside it first, then put in its place, so that there is never half a file.
/// A link keeps pointing where it points, permissions stay. Errors: R0601.
pub fn replace(path: &Path, text: &str) -> Result<(), Diagnostic> {
    let name = path.to_string_lossy();
    let failed =
        |e: &std::io::Error| Diagnostic::new(Code::CannotRead, format!("`{name}` cannot be written: {}", reason(e)));
    let path = path.canonicalize().map_err(|e| failed(&e))?;
    let about = std::fs::metadata(&path).map_err(|e| failed(&e))?;
    if about.permissions().readonly() {
        return Err(failed(&ErrorKind::PermissionDenied.into()));
    }
    let mut beside = path.clone().into_os_string();
    beside.push(format!(".{}.tmp", std::process::id()));
    let beside = PathBuf::from(beside);
    let put = || -> std::io::Result<()> {
        let mut f = File::options().write(true).create_new(true).open(&beside)?;
        f.write_all(text.as_bytes())?;
        f.sync_all()?;
        std::fs::set_permissions(&beside, about.permissions())?;
        std::fs::rename(&beside, &path)
    };
    let done = put();
    if done.is_err() {
        // What is left of the attempt is of no use to anybody.
        let _ = std::fs::remove_file(&beside);
    }
    done.map_err(|e| failed(&e))
}

/// SHA-256 in hexadecimal.
pub fn hash(bytes: &[u8]) -> String {
    Sha256::digest(bytes).iter().map(|b| format!("{b:02x}")).collect()
}

fn cannot_read(name: &str, why: &str) -> Diagnostic {
    Diagnostic::new(Code::CannotRead, format!("`{name}` cannot be read: {why}"))
}

fn read_all(path: &Path, name: &str, budget: u64) -> Result<Vec<u8>, Diagnostic> {
    let file = File::open(path).map_err(|e| open_failed(path, name, &e))?;
    let failed = |e: &std::io::Error| cannot_read(name, &reason(e));
    let about = file.metadata().map_err(|e| failed(&e))?;
    if about.is_dir() {
        return Err(cannot_read(name, "it is a folder"));
    }
    if about.len() > budget {
        return Err(too_large(name, "the file", u128::from(about.len()), budget));
    }
    let mut bytes = Vec::new();
    file.take(budget.saturating_add(1))
        .read_to_end(&mut bytes)
        .map_err(|e| failed(&e))?;
    // Pipes and devices do not tell their length.
    if bytes.len() as u64 > budget {
        return Err(endless(name, "it", budget));
    }
    Ok(bytes)
}

fn endless(name: &str, what: &str, budget: u64) -> Diagnostic {
    Diagnostic::new(
        Code::TooLarge,
        format!(
            "`{name}`: {what} holds more than the memory budget of {}",
            bytes_text(u128::from(budget))
        ),
    )
    .help("allow more with `--memory`, for example `--memory 8GB`")
}

fn unpack(stored: &[u8], name: &str, budget: u64) -> Result<Vec<u8>, Diagnostic> {
    let mut bytes = Vec::new();
    let read = MultiGzDecoder::new(stored)
        .take(budget.saturating_add(1))
        .read_to_end(&mut bytes);
    match read {
        Ok(_) if bytes.len() as u64 > budget => Err(endless(name, "its decompressed content", budget)),
        Ok(_) => Ok(bytes),
        Err(e) if e.kind() == ErrorKind::UnexpectedEof => Err(cannot_read(
            name,
            &format!("its gzip stream is truncated after {}", bytes_text(bytes.len() as u128)),
        )
        .help("fetch the file again")),
        Err(e) => Err(cannot_read(name, &format!("its gzip stream is corrupt ({e})")).help("fetch the file again")),
    }
}

/// The system's reason in words that do not differ between systems, where there are such.
fn reason(e: &std::io::Error) -> String {
    match e.kind() {
        ErrorKind::NotFound => "there is no such file".into(),
        ErrorKind::PermissionDenied => "permission denied".into(),
        ErrorKind::IsADirectory => "it is a folder".into(),
        ErrorKind::NotADirectory => "part of its path is a file, not a folder".into(),
        ErrorKind::InvalidInput => "its name is not a path".into(),
        _ => e.to_string(),
    }
}

fn open_failed(path: &Path, name: &str, e: &std::io::Error) -> Diagnostic {
    let d = cannot_read(name, &reason(e));
    if e.kind() != ErrorKind::NotFound {
        return d;
    }
    match nearest(path) {
        Some(near) => {
            let shown = Path::new(name).with_file_name(near);
            d.help(format!("did you mean `{}`?", shown.display()))
        }
        None if Path::new(name).is_absolute() => d,
        None => d.help("paths start at the program's folder"),
    }
}

/// The file in the same folder whose name is nearest.
fn nearest(path: &Path) -> Option<String> {
    let wanted = path.file_name()?.to_str()?;
    let folder: PathBuf = match path.parent() {
        Some(p) if p.as_os_str().is_empty() => PathBuf::from("."),
        Some(p) => p.into(),
        None => return None,
    };
    // Folders of data sets can be huge; the first thousand names are enough for a suggestion.
    let entries = std::fs::read_dir(folder).ok()?.take(1000).flatten();
    let mut names: Vec<String> = entries.filter_map(|e| e.file_name().into_string().ok()).collect();
    names.sort_unstable();
    let packed = [format!("{wanted}.gz"), wanted.trim_end_matches(".gz").to_string()];
    if let Some(twin) = packed.iter().find(|p| *p != wanted && names.contains(p)) {
        return Some(twin.clone());
    }
    // An ending in common does not make two names alike.
    let (stem, ending) = wanted.split_once('.').unwrap_or((wanted, ""));
    let stems = names
        .iter()
        .filter_map(|n| n.split_once('.').filter(|p| p.1 == ending).map(|p| p.0));
    match did_you_mean(stem, stems) {
        Some(near) => Some(format!("{near}.{ending}")),
        None => did_you_mean(
            wanted,
            names.iter().map(String::as_str).filter(|n| !n.ends_with(ending)),
        )
        .map(str::to_string),
    }
}

/// The default budget: half of the memory that is available to this process.
pub fn default_budget() -> u64 {
    available_memory() / 2
}

/// Bytes available to this process: the system's figure, and the control group's if it is less; 4 GiB if neither is
/// known.
pub fn available_memory() -> u64 {
    let read = |path: &str| std::fs::read_to_string(path).ok();
    let system = read("/proc/meminfo").and_then(|t| {
        let line = t.lines().find(|l| l.starts_with("MemAvailable:"))?;
        line.split_whitespace().nth(1)?.parse::<u64>().ok()?.checked_mul(1024)
    });
    let number = |path: &str| read(path)?.trim().parse::<u64>().ok();
    let group = number("/sys/fs/cgroup/memory.max")
        .map(|most| most.saturating_sub(number("/sys/fs/cgroup/memory.current").unwrap_or(0)));
    [system, group].into_iter().flatten().min().unwrap_or(4 << 30)
}

/// Names of files and folders (these with a `/`) whose path, as a program would write it, begins with `written`; only
/// the part after its last `/`. At most 200, sorted.
pub fn beginning_with(folder: &Path, written: &str) -> Vec<String> {
    let (place, stem) = written.rsplit_once('/').map_or(("", written), |(p, s)| (p, s));
    let inside = match (place, written.starts_with('/')) {
        ("", true) => PathBuf::from("/"),
        ("", false) if folder.as_os_str().is_empty() => PathBuf::from("."),
        (place, _) => folder.join(place),
    };
    let Ok(entries) = std::fs::read_dir(inside) else {
        return vec![];
    };
    let mut names: Vec<String> = entries
        .take(2000)
        .flatten()
        .filter_map(|e| {
            let name = e.file_name().into_string().ok()?;
            let hidden = name.starts_with('.') && !stem.starts_with('.');
            let fits = name.starts_with(stem) && !hidden && !name.contains(['"', '\\', '\n']);
            let end = if e.path().is_dir() { "/" } else { "" };
            fits.then(|| format!("{name}{end}"))
        })
        .collect();
    names.sort_unstable();
    names.truncate(200);
    names
}
