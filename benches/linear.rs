//! Linear and quadratic programs of the shared sets by each interior-point method: how many are solved, and how fast.
//!
//!     cargo bench --bench linear [-- NAME..]
//!
//! Invariant: residuals are recomputed from the form; a problem counts as solved where all are within 1e-8, or its
//! certificate of infeasibility passes its check.

#![allow(
    clippy::unwrap_used,
    clippy::disallowed_methods,
    clippy::print_stdout,
    reason = "a measurement"
)]

#[path = "../tests/suite/mps.rs"]
mod mps;

use std::path::PathBuf;
use std::time::Instant;

use ravine::solve::run::Options;
use ravine::solve::{Class, Form, FormOracle, Point, Run, Seed, Status, methods, polish, verify};

fn main() {
    let names: Vec<String> = std::env::args().skip(1).filter(|a| !a.starts_with('-')).collect();
    let root =
        std::env::var("RAVINE_DATA").unwrap_or_else(|_| format!("{}/../shared/data", env!("CARGO_MANIFEST_DIR")));
    let mut total = [(0usize, 0.0f64); 2];
    let mut count = 0;
    for set in ["lp", "qp"] {
        let Ok(folder) = std::fs::read_dir(PathBuf::from(&root).join(set)) else {
            println!("{set}: ignored, no data");
            continue;
        };
        let mut files: Vec<PathBuf> = folder
            .map(|f| f.unwrap().path())
            .filter(|p| p.extension().is_some_and(|e| e == "gz"))
            .collect();
        files.sort();
        for file in files {
            let name = file
                .file_name()
                .unwrap()
                .to_str()
                .unwrap()
                .split('.')
                .next()
                .unwrap()
                .to_string();
            if !names.is_empty() && !names.contains(&name) {
                continue;
            }
            count += 1;
            let read = mps::read(&file);
            let mut line = format!("{name:11}");
            for (k, method) in ["interior_point", "clarabel"].into_iter().enumerate() {
                let form = read.form.clone();
                let mut oracle = FormOracle {
                    class: if form.p.values.is_empty() {
                        Class::Linear
                    } else {
                        Class::ConvexQuadratic
                    },
                    form: Form::Conic {
                        form: form.into(),
                        constant: read.constant,
                    },
                };
                let start = Point::plain(vec![0.0; read.form.q.len()]);
                let clock = Instant::now();
                let options = Options {
                    seed: Seed(0),
                    ..Options::default()
                };
                let mut run = Run::new(
                    methods::default(methods::find(method).unwrap()),
                    &mut oracle,
                    &start,
                    options,
                )
                .ok()
                .unwrap();
                while run.advance(&mut oracle, u64::MAX, &|| 0.0).is_none() {}
                let seconds = clock.elapsed().as_secs_f64();
                let done = run.finished();
                let (x, z) = (&done.point.values, &done.multipliers);
                let d = verify::dual(&read.form, read.constant, x, z);
                let rows = polish::off_rows(&read.form, &polish::equations(&read.form).unwrap(), x);
                let off = rows.max(d.stationarity).max(d.outside);
                let solved = match done.claim {
                    Status::Optimal => off <= 1e-8,
                    Status::Infeasible => verify::proves_infeasible(&read.form, z),
                    _ => false,
                };
                total[k].0 += usize::from(solved);
                total[k].1 += seconds;
                let steps = match run.state().slots.get(methods::clarabel::ITERATIONS) {
                    Some(ravine::solve::Slot::Count(k)) => *k,
                    _ => 0,
                };
                line += &format!(
                    " | {:17} {:3} {:8.2} ms {:7.1e} {:16.9e}",
                    done.claim.word(),
                    steps,
                    seconds * 1e3,
                    off,
                    d.objective
                );
            }
            println!("{line}");
        }
    }
    for (k, method) in ["interior_point", "clarabel"].into_iter().enumerate() {
        println!("{method}: {} of {count} in {:.3} s", total[k].0, total[k].1);
    }
}
