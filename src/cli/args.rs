//! The command line's words, and what they mean.
//!
//! Invariant: a bad command line ends here, with exit code 64 and nothing run.

use std::collections::BTreeMap;
use std::ffi::OsString;
use std::path::PathBuf;

use clap::{Args, Parser, Subcommand, ValueEnum};

/// A small typed language for optimization.
#[derive(Debug, Parser)]
#[command(name = "ravine", version, max_term_width = 100, arg_required_else_help = true)]
pub struct Cli {
    /// When to use colours
    #[arg(long, global = true, value_enum, default_value_t = Colour::Auto, value_name = "WHEN")]
    pub color: Colour,
    /// What to do.
    #[command(subcommand)]
    pub command: Command,
}

/// When to use colours.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum Colour {
    /// In a terminal, unless NO_COLOR is set.
    Auto,
    /// Always.
    Always,
    /// Never.
    Never,
}

/// The commands.
#[derive(Debug, Subcommand)]
pub enum Command {
    /// Run a program
    Run(RunArgs),
    /// Look for mistakes without running
    Check(CheckArgs),
    /// Show a problem's class and its proof, sizes, sparsity
    Inspect(InspectArgs),
    /// Write statements and see their results, one session
    Repl(ReplArgs),
    /// Lay programs out; they stay the same programs
    Fmt(FmtArgs),
    /// Tell more about an error code, such as R0203
    Explain {
        /// The code; without it, all codes are listed
        code: Option<String>,
    },
    /// The Jupyter kernel (`ravine kernel --help`)
    #[command(disable_help_flag = true)]
    Kernel {
        /// Handed to `ravine-kernel`
        #[arg(trailing_var_arg = true, allow_hyphen_values = true)]
        args: Vec<OsString>,
    },
}

/// What decides the result of a run.
#[derive(Args, Clone, Debug, Default)]
pub struct Inputs {
    /// Give a parameter its value, in the language's own words: --set lambda=1e-2
    #[arg(long = "set", value_name = "NAME=VALUE", value_parser = setting)]
    pub set: Vec<(String, String)>,
    /// Threads to compute with; the result does not depend on it [default: one for each core]
    #[arg(long, value_name = "N", value_parser = threads)]
    pub threads: Option<usize>,
    /// Memory that data and solvers may take, such as 4GB [default: half of what is available]
    #[arg(long, value_name = "BYTES", value_parser = memory)]
    pub memory: Option<u64>,
}

impl Inputs {
    /// The settings by name; an error names one that is given twice.
    pub fn settings(&self) -> Result<BTreeMap<String, String>, String> {
        let mut map = BTreeMap::new();
        for (name, value) in &self.set {
            if map.insert(name.clone(), value.clone()).is_some() {
                return Err(format!("`--set {name}` is given twice"));
            }
        }
        Ok(map)
    }
}

/// `ravine run`.
#[derive(Args, Debug)]
pub struct RunArgs {
    /// The program
    pub file: PathBuf,
    /// What decides the result.
    #[command(flatten)]
    pub inputs: Inputs,
    /// Show only what the program prints
    #[arg(long, short)]
    pub quiet: bool,
    /// Show the log of each solve
    #[arg(long, short, conflicts_with = "quiet")]
    pub verbose: bool,
    /// Print one JSON object (schema ravine.report/1) instead of text
    #[arg(long)]
    pub json: bool,
    /// Write the pictures into this folder, as SVG and PNG
    #[arg(long, value_name = "DIR")]
    pub plots: Option<PathBuf>,
    /// Leave out times, steps and rounding noise, so that equal runs print equal text
    #[arg(long)]
    pub stable: bool,
    /// Show the compiled problems instead of solving them: ir, or ir:after=PASS
    #[arg(long, value_name = "WHAT", value_parser = emit)]
    pub emit: Option<Emit>,
}

/// `ravine repl`.
#[derive(Args, Debug)]
pub struct ReplArgs {
    /// Threads to compute with; the result does not depend on it [default: one for each core]
    #[arg(long, value_name = "N", value_parser = threads)]
    pub threads: Option<usize>,
    /// Memory that data and solvers may take, such as 4GB [default: half of what is available]
    #[arg(long, value_name = "BYTES", value_parser = memory)]
    pub memory: Option<u64>,
    /// Where entries are remembered [default: ravine/history in the folder for state]
    #[arg(long, value_name = "FILE")]
    pub history: Option<PathBuf>,
}

/// `ravine check`.
#[derive(Args, Debug)]
pub struct CheckArgs {
    /// The program
    pub file: PathBuf,
    /// Print one JSON object (schema ravine.report/1) instead of text
    #[arg(long)]
    pub json: bool,
}

/// `ravine fmt`.
#[derive(Args, Debug)]
pub struct FmtArgs {
    /// The programs; `-` reads standard input and writes standard output
    #[arg(required = true)]
    pub files: Vec<PathBuf>,
    /// Change nothing; name what is not laid out, and end with 1 if there is any
    #[arg(long)]
    pub check: bool,
}

/// `ravine inspect`.
#[derive(Args, Debug)]
pub struct InspectArgs {
    /// The program
    pub file: PathBuf,
    /// The problem; all of them without it
    pub name: Option<String>,
    /// What decides the result.
    #[command(flatten)]
    pub inputs: Inputs,
    /// Print one JSON object (schema ravine.report/1) instead of text
    #[arg(long)]
    pub json: bool,
}

/// Something of the inside to show.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Emit {
    /// The pass after which; the last one without it.
    pub after: Option<String>,
}

fn setting(text: &str) -> Result<(String, String), String> {
    let Some((name, value)) = text.split_once('=') else {
        return Err("a setting is written NAME=VALUE".into());
    };
    let (name, value) = (name.trim(), value.trim());
    let first = name.chars().next();
    if !first.is_some_and(|c| c.is_alphabetic() || c == '_') || !name.chars().all(|c| c.is_alphanumeric() || c == '_') {
        return Err(format!("`{name}` is not a name"));
    }
    if value.is_empty() {
        return Err(format!("`{name}` is given no value"));
    }
    Ok((name.into(), value.into()))
}

fn threads(text: &str) -> Result<usize, String> {
    match text.parse::<usize>() {
        Ok(n @ 1..=1024) => Ok(n),
        _ => Err("a number from 1 to 1024 is wanted".into()),
    }
}

/// A number of bytes: digits, with a decimal unit (`KB` … `TB`) or a binary one (`KiB` … `TiB`).
pub fn memory(text: &str) -> Result<u64, String> {
    let wrong = || "bytes are written like 4GB, 512MiB or 1000000".to_string();
    let text = text.trim();
    let split = text.find(|c: char| c.is_ascii_alphabetic()).unwrap_or(text.len());
    let (digits, unit) = text.split_at(split);
    let value: f64 = digits.trim().replace('_', "").parse().map_err(|_| wrong())?;
    let factor: u64 = match unit.to_ascii_lowercase().as_str() {
        "" | "b" => 1,
        "k" | "kb" => 1000,
        "m" | "mb" => 1_000_000,
        "g" | "gb" => 1_000_000_000,
        "t" | "tb" => 1_000_000_000_000,
        "kib" => 1 << 10,
        "mib" => 1 << 20,
        "gib" => 1 << 30,
        "tib" => 1 << 40,
        _ => return Err(wrong()),
    };
    let bytes = value * factor as f64;
    match bytes.is_finite() && bytes >= 1.0 && bytes < 2f64.powi(63) {
        true => Ok(bytes as u64),
        false => Err(wrong()),
    }
}

fn emit(text: &str) -> Result<Emit, String> {
    match text.split_once(":after=") {
        None if text == "ir" => Ok(Emit { after: None }),
        Some(("ir", pass)) if !pass.is_empty() => Ok(Emit {
            after: Some(pass.into()),
        }),
        _ => Err("`ir` or `ir:after=PASS` is wanted".into()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sizes() {
        assert_eq!(memory("4GB"), Ok(4_000_000_000));
        assert_eq!(memory("1.5 kib"), Ok(1536));
        assert_eq!(memory("1_000"), Ok(1000));
        for bad in ["", "GB", "-1", "4XB", "nan", "inf", "1e30TB", "0"] {
            assert!(memory(bad).is_err(), "{bad}");
        }
    }

    #[test]
    fn settings() {
        assert_eq!(setting("mu = 1=2"), Ok(("mu".into(), "1=2".into())));
        for bad in ["mu", "=3", "2x=1", "a b=1", "a="] {
            assert!(setting(bad).is_err(), "{bad}");
        }
        assert_eq!(
            emit("ir:after=derive"),
            Ok(Emit {
                after: Some("derive".into())
            })
        );
        assert!(emit("ir:after=").is_err() && emit("asm").is_err());
    }
}
