//! `compare`, `sweep` and `plot`: bits, pictures, files, and what happens to what cannot be drawn.

use std::process::Command;
use std::sync::Arc;

use ravine::base::Code;
use ravine::base::figure::{Axis, Figure, Mark};
use ravine::base::view::View;
use ravine::report::{ResultEntry, plot};
use ravine::session::{Event, Session};

use super::harness::{golden, report_failures, root, run, session};

const VALLEY: &str = "problem valley {\n  var a: Real from -1.2\n  var b: Real from 1\n  \
                      minimize (1 - a)^2 + 100*(b - a^2)^2\n}\n";

/// The figures that a text shows.
fn figures(text: &str) -> Vec<Figure> {
    let mut s = session(&root());
    let mut out = vec![];
    s.run("looking.opt", text, &mut |e| {
        if let Event::Shown(View::Figure(f)) = e {
            out.push(*f);
        }
    });
    let wrong: Vec<String> = s
        .report
        .diagnostics
        .iter()
        .filter(|d| d.is_error())
        .map(|d| d.message.clone())
        .collect();
    assert!(wrong.is_empty(), "{wrong:?}");
    out
}

fn figure(text: &str) -> Figure {
    figures(text).pop().expect("a figure")
}

fn printed(s: &Session, k: usize) -> Vec<f64> {
    let values: Vec<_> = s
        .report
        .results
        .iter()
        .filter_map(|r| match r {
            ResultEntry::Value {
                value: ravine::base::Value::Array { tensor, .. },
                ..
            } => Some(Arc::clone(tensor)),
            _ => None,
        })
        .collect();
    values[k].to_dense()
}

#[test]
fn pictures_of_the_book_are_what_the_program_draws() {
    let folder = root().join("docs/pictures");
    let text = std::fs::read_to_string(folder.join("pictures.opt")).unwrap();
    let mut failures = vec![];
    let all = figures(&text);
    for name in ["methods", "rates", "paths", "batches", "profile"] {
        let f = all
            .iter()
            .find(|f| f.name == name)
            .unwrap_or_else(|| panic!("no picture {name}"));
        golden(&folder.join(format!("{name}.svg")), &plot::svg(f), &mut failures);
    }
    report_failures(failures);
}

#[test]
fn the_same_seeds_give_the_same_bits() {
    let text = format!(
        "param y: Vector[30] = [i in 1..30] sin(3*i)\nproblem fit {{\n  var x: Vector[2]\n  \
         minimize mean(i in 1..30) (x[1] + x[2]*i/30 - y[i])^2\n}}\n\
         c = compare fit with {{ sgd(0.1, batch: 3) for 20 steps }} over seeds {}\nprint c.objective",
        "[3, 3, 4]"
    );
    let values = |threads: usize| {
        let pool = rayon::ThreadPoolBuilder::new().num_threads(threads).build().unwrap();
        pool.install(|| {
            let mut s = session(&root());
            s.run("bits.opt", &text, &mut |_| {});
            printed(&s, 0)
        })
    };
    let (a, b) = (values(1), values(3));
    assert!(a.iter().zip(&b).all(|(a, b)| a.to_bits() == b.to_bits()), "{a:?} {b:?}");
    assert_eq!(a[0].to_bits(), a[1].to_bits());
    assert_ne!(a[0].to_bits(), a[2].to_bits());
}

#[test]
fn a_comparison_leaves_nothing_behind() {
    let text = format!(
        "{VALLEY}compare valley with {{ lbfgs() }}\ns = solve valley with gd(1e-4) for 1 steps\nprint s.path.a"
    );
    let mut s = session(&root());
    s.run("cold.opt", &text, &mut |_| {});
    assert_eq!(printed(&s, 0)[0], -1.2);
    let text = "param mu: Real = 1\nproblem p {\n  var x: Real\n  minimize (x - 1)^2 + mu*x^2\n}\n\
                w = sweep mu in [0, 3] { solve p }\nprint mu, w.objective";
    let mut s = session(&root());
    s.run("sweep.opt", text, &mut |_| {});
    assert_eq!(printed(&s, 0), [1.0]);
    // min (x - 1)^2 + mu x^2 = mu/(1 + mu)
    let w = printed(&s, 1);
    assert!(w[0].abs() < 1e-9 && (w[1] - 0.75).abs() < 1e-9, "{w:?}");
}

#[test]
fn races_and_many_starts_are_counted_whole() {
    let text = "problem p {
  var x: Vector[2] from 1
  minimize sumsq(x)
}
c = compare p with {
  race { gd(0.1); gd(0.2) } for 20 steps
  multistart(3) { gd(0.1) for 20 steps }
  gd(0.1) for 20 steps
}
print c.gradients, c.steps";
    let mut s = session(&root());
    s.run("whole.opt", text, &mut |_| {});
    assert_eq!(printed(&s, 0), [40.0, 60.0, 20.0]);
    assert_eq!(printed(&s, 1), [20.0, 20.0, 20.0]);
}

#[test]
fn composite_problems_have_a_path() {
    let text = "problem p {
  var x: Vector[2] in simplex from 1/2
  minimize sumsq(x - [0.2, 0.1])
}
s = solve p with gd(0.1) |> projected() for 5 steps
print s.path.step";
    let mut s = session(&root());
    s.run("path.opt", text, &mut |_| {});
    assert_eq!(printed(&s, 0), [0.0, 1.0, 2.0, 3.0, 4.0, 5.0]);
}

#[test]
fn long_records_are_thinned_and_say_so() {
    let text = format!(
        "{VALLEY}s = solve valley with gd(1e-4) for 20000 steps\nplot valley over a in [-2, 2], b in [-1, 3] with s.path\nprint s.path.step, s.path.a, s.a"
    );
    let mut s = session(&root());
    let mut notes = vec![];
    s.run("long.opt", &text, &mut |e| {
        if let Event::Shown(View::Figure(f)) = e {
            notes = f.notes;
        }
    });
    let steps = printed(&s, 0);
    assert!(
        steps.len() <= 4097 && steps[0] == 0.0 && steps[steps.len() - 1] == 20000.0,
        "{}",
        steps.len()
    );
    assert_eq!(printed(&s, 1).last(), printed(&s, 2).last());
    assert!(notes.iter().any(|n| n.contains("one of")), "{notes:?}");
}

const FIT: &str = "param y: Vector[30] = [i in 1..30] sin(3*i)\nproblem fit {\n  var x: Vector[2] from 3\n  \
                   minimize mean(i in 1..30) (x[1] + x[2]*i/30 - y[i])^2\n}\n";

fn labels(f: &Figure) -> Vec<&str> {
    let mut out = vec![];
    for m in &f.marks {
        if let Mark::Line { label, .. } | Mark::Path { label, .. } = m {
            out.push(label.as_str());
        }
    }
    out
}

#[test]
fn one_run_that_diverges_does_not_change_the_axis() {
    let good = "gd(0.1) for 100 steps; gd(0.3) for 100 steps";
    let alone = figure(&format!("{FIT}compare fit with {{ {good} }}"));
    let beside = figure(&format!("{FIT}compare fit with {{ {good}; bad: gd(30) for 30 steps }}"));
    assert!(alone.y.label.starts_with("objective − best found"), "{}", alone.y.label);
    assert_eq!(alone.y.label, beside.y.label);
    assert!(beside.y.hi < 1e5, "{:?}", beside.y);
}

#[test]
fn more_lines_than_colours_are_told_apart() {
    let methods: Vec<String> = (1..=9)
        .map(|k| format!("m{k}: gd({}) for 40 steps", 0.03 * f64::from(k)))
        .collect();
    let dashes = |n: usize| {
        let f = figure(&format!("{FIT}compare fit with {{ {} }}", methods[..n].join("; ")));
        plot::svg(&f).matches("stroke-dasharray=\"6 5\"").count()
    };
    assert_eq!(dashes(7), 0);
    // Two dashed lines, and a piece of each before its name.
    assert!(dashes(9) >= 4);
}

#[test]
fn names_say_what_was_done() {
    let text = format!(
        "{VALLEY}s = solve valley with heavy_ball(1e-3) for 20 steps\nt = solve valley with adam(0.1) for 300 steps cold\n\
         plot valley over a in [-2, 2], b in [-1, 3] with s.path, t.path\nplot s.trace, t.trace\nplot s.trace\n\
         plot s.trace.stationarity\nsweep lr in [1e-4, 1e-3] {{ solve valley with gd(lr) for 5 steps }}"
    );
    let f = figures(&text);
    assert_eq!(labels(&f[0]), ["s: heavy_ball", "t: adam"]);
    assert_eq!(labels(&f[1]), ["s: heavy_ball", "t: adam"]);
    assert_eq!(f[1].title, "Convergence on valley");
    assert_eq!(f[2].title, "Record of s: heavy_ball on valley");
    assert_eq!((f[3].x.label.as_str(), f[3].x.lo, f[3].x.hi), ("step", 0.0, 20.0));
    assert!(
        f[4].title.starts_with("gd on valley, sensitivity to lr: "),
        "{}",
        f[4].title
    );
    // Of 300 steps every third is measured, of 20 all are.
    assert!(
        f[1].notes.iter().any(|n| n.contains("one step in 3")),
        "{:?}",
        f[1].notes
    );
    assert!(
        !f[2].notes.iter().any(|n| n.contains("one step in")),
        "{:?}",
        f[2].notes
    );
    let Some(Mark::Line { points, .. }) = f[1].marks.get(1) else {
        panic!("{:?}", f[1]);
    };
    assert!(points.iter().any(|p| p.0 == 63.0) && points.iter().all(|p| p.0 != 62.0));
}

#[test]
fn saddle_points_are_judged_by_how_near_they_are() {
    let text = "problem circle {\n  min u: Real from 1\n  max v: Real from 1\n  objective u*v\n}\n\
                problem game {\n  min x: Real in [0, 1] from 0.3\n  max y: Real in [0, 1] from 0.3\n  objective x*y - x/2 - y/2\n}\n\
                compare circle with { gda(0.1) for 50 steps; extragradient(lr: 0.5) for 50 steps }\n\
                compare game with { extragradient(lr: 0.5) for 50 steps }\n\
                w = sweep lr in [0.01, 0.1, 0.5] { solve circle with extragradient(lr) for 50 steps }\nprint w.stationarity";
    let f = figures(text);
    assert_eq!((f[0].y.label.as_str(), f[1].y.label.as_str()), ("stationarity", "gap"));
    assert_eq!(f[2].y.label, "stationarity reached");
    assert!(f.iter().all(|f| f.notes.iter().any(|n| n.contains("saddle point"))));
    let mut s = session(&root());
    s.run("saddle.opt", text, &mut |_| {});
    let w = printed(&s, 0);
    assert!(w[0] > w[1] && w[1] > w[2], "{w:?}");
}

#[test]
fn contours_lie_where_the_function_has_their_value() {
    let f = figure("plot x^2 + 4*y^2 over x in [-2, 2], y in [-1, 1]");
    let Some(Mark::Contours { xs, ys, values, levels }) = f.marks.first() else {
        panic!("{f:?}");
    };
    for (k, v) in values.iter().enumerate() {
        let (x, y) = (xs[k % xs.len()], ys[k / xs.len()]);
        assert!((v - (x * x + 4.0 * y * y)).abs() < 1e-12);
    }
    assert!(levels.len() >= 6);
}

#[test]
fn spectra_are_right() {
    let f = figure("param A: Matrix[3, 3] = [2, -1, 0; -1, 2, -1; 0, -1, 2]\nplot spectrum(A)");
    let Some(Mark::Dots { points, .. }) = f.marks.first() else {
        panic!("{f:?}")
    };
    let want = [2.0 + 2f64.sqrt(), 2.0, 2.0 - 2f64.sqrt()];
    assert!(
        points.iter().zip(want).all(|(p, w)| (p.1 - w).abs() < 1e-12),
        "{points:?}"
    );
}

/// Every tag that opens is closed, in order, and no number is `NaN`.
fn well_formed(svg: &str) {
    let mut open: Vec<&str> = vec![];
    for part in svg.split('<').skip(1) {
        let tag = part.split('>').next().unwrap();
        if let Some(name) = tag.strip_prefix('/') {
            assert_eq!(open.pop(), Some(name), "{tag}");
        } else if !tag.ends_with('/') {
            open.push(tag.split(' ').next().unwrap());
        }
    }
    assert!(open.is_empty(), "{open:?}");
    for word in ["NaN", "inf", "-0 "] {
        assert!(
            !svg.contains(&format!("\"{word}")) && !svg.contains(&format!(" {word} ")),
            "{word}"
        );
    }
}

#[test]
fn every_figure_is_drawn() {
    let axis = |log: bool, lo: f64, hi: f64| Axis {
        label: "<&>\"é∑".into(),
        log,
        lo,
        hi,
        whole: false,
        zero: log.then_some(lo),
    };
    let wild = [f64::NAN, f64::INFINITY, -1e308, 1e308, 0.0, 5e-324, 1.0, -3.0];
    let pairs: Vec<(f64, f64)> = wild.iter().flat_map(|a| wild.iter().map(move |b| (*a, *b))).collect();
    let triples: Vec<(f64, f64, f64)> = pairs.iter().map(|p| (p.0, p.1, p.0)).collect();
    for (x, y) in [
        (axis(false, 0.0, 1.0), axis(false, -1e308, 1e308)),
        (axis(true, 1e-300, 1e300), axis(true, 1.0, 2.0)),
        (axis(false, 1.0, 0.0), axis(false, 1.0, 1.0 + 1e-15)),
        (Axis::default(), Axis::default()),
    ] {
        let f = Figure {
            name: "wild".into(),
            title: "a </title> & \"b\"".into(),
            x,
            y,
            marks: vec![
                Mark::Line {
                    points: pairs.clone(),
                    label: "line".repeat(40),
                    hue: 40,
                    strong: true,
                },
                Mark::Band {
                    points: triples.clone(),
                    hue: 1,
                },
                Mark::Dots {
                    points: pairs.clone(),
                    label: "d".into(),
                    hue: 2,
                    hollow: true,
                },
                Mark::Path {
                    points: pairs.clone(),
                    label: "p".into(),
                    hue: 3,
                },
                Mark::Contours {
                    xs: wild.to_vec(),
                    ys: wild.to_vec(),
                    values: vec![1.0; 64],
                    levels: vec![0.5],
                },
                Mark::Cells {
                    cells: triples.clone(),
                    side: 1.0,
                },
                Mark::Bars {
                    bars: triples.clone(),
                    hue: 0,
                },
                Mark::Level {
                    at: f64::NAN,
                    label: "l".into(),
                },
            ],
            notes: vec!["word ".repeat(60)],
        };
        let svg = plot::svg(&f);
        well_formed(&svg);
        assert_eq!(svg, plot::svg(&f));
        assert!(plot::png(&f).unwrap().starts_with(b"\x89PNG"));
        assert!(!ravine::report::render::plain(&View::Figure(Box::new(f))).is_empty());
    }
}

#[test]
fn what_cannot_be_drawn_is_told() {
    let cases = [
        ("plot nothing", Code::UnknownName),
        ("plot 3", Code::WrongType),
        ("plot \"x\"", Code::WrongType),
        ("plot valley", Code::WrongType),
        ("plot valley over c in [0, 1]", Code::UnknownName),
        ("plot valley over a in [1, 1]", Code::BadOption),
        ("plot valley over a in [0, inf]", Code::BadOption),
        (
            "plot valley over a in [0, 1], b in [0, 1], a in [0, 1]",
            Code::WrongType,
        ),
        ("plot sqrt(x) over x in [-2, -1]", Code::NothingToDraw),
        ("plot 0*x + y - y over x in [0, 1], y in [0, 1]", Code::NothingToDraw),
        ("plot [1, 2], [1, 2, 3]", Code::ShapeMismatch),
        ("plot pattern([1, 2])", Code::WrongType),
        ("plot spectrum([0, 0; 0, 0])", Code::NothingToDraw),
        ("plot spectrum(1, 2)", Code::WrongArity),
        ("plot s.trace over time", Code::UnknownArgument),
        ("plot [1, 2] over steps", Code::WrongType),
        ("plot [1, 2] with s.path", Code::WrongType),
        (
            "plot valley over a in [0, 1], b in [0, 1] with s.objective",
            Code::WrongType,
        ),
        ("plot x*y over x in [0, 1], y in [0, 1] with s.path", Code::NoSuchColumn),
        ("compare valley with { }", Code::WrongType),
        (
            "compare valley with { one: gd(1e-4) for 1 steps; one: lbfgs() }",
            Code::DuplicateName,
        ),
        ("compare valley with { gdd(1) }", Code::UnknownMethod),
        ("compare nowhere with { lbfgs() }", Code::UnknownProblem),
        ("compare valley with { lbfgs() } over seeds 2..1", Code::WrongType),
        ("compare valley with { lbfgs() } over seeds [-1]", Code::WrongType),
        ("compare valley with { lbfgs() } over seeds \"a\"", Code::WrongType),
        ("compare valley", Code::Syntax),
        ("sweep lr in [0.1] { print 1 }", Code::Syntax),
        (
            "sweep lr in [0.1] { s2 = solve valley with gd(lr) for 1 steps }",
            Code::Syntax,
        ),
        ("sweep valley in [0.1] { solve valley }", Code::DuplicateName),
        (
            "sweep lr in [0/0] { solve valley with gd(lr) for 1 steps }",
            Code::NotFinite,
        ),
    ];
    let mut wrong = vec![];
    for (text, code) in cases {
        let mut s = session(&root());
        run(
            &mut s,
            "first.opt",
            &format!("{VALLEY}s = solve valley with gd(1e-4) for 3 steps"),
        );
        let ran = run(&mut s, "case.opt", text);
        if !ran.codes.contains(&code) {
            wrong.push(format!("{text}: {:?}, not {code:?}\n{}", ran.codes, ran.shown));
        }
    }
    report_failures(wrong);
}

#[test]
fn pictures_are_written_where_asked() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("p.opt");
    std::fs::write(&file, format!("{VALLEY}c = compare valley with {{ gd(1e-4) for 5 steps }}\nplot [1, 2]\nplot [1, 2]\np = plot [3, 4]\nwrite p to \"kept.svg\"")).unwrap();
    let out = Command::new(env!("CARGO_BIN_EXE_ravine"))
        .args(["run", "--stable", "--plots"])
        .arg(folder.path().join("new/out"))
        .arg(&file)
        .output()
        .unwrap();
    assert!(out.status.success(), "{}", String::from_utf8_lossy(&out.stderr));
    for name in ["c", "1-2", "1-2-2", "p"] {
        let svg = std::fs::read_to_string(folder.path().join(format!("new/out/{name}.svg"))).unwrap();
        well_formed(&svg);
        let png = std::fs::read(folder.path().join(format!("new/out/{name}.png"))).unwrap();
        assert!(png.starts_with(b"\x89PNG"));
    }
    assert!(folder.path().join("kept.svg").exists());
    let text = String::from_utf8_lossy(&out.stdout);
    assert!(!text.contains("time") && text.contains("written to"), "{text}");
    let quiet = Command::new(env!("CARGO_BIN_EXE_ravine"))
        .args(["run", "-q", "--stable"])
        .arg(&file)
        .output()
        .unwrap();
    let text = String::from_utf8_lossy(&quiet.stdout);
    assert!(text.contains("step limit") && !text.contains("time"), "{text}");
    let out = Command::new(env!("CARGO_BIN_EXE_ravine"))
        .args(["run", "--json"])
        .arg(&file)
        .output()
        .unwrap();
    let json: serde_json::Value = serde_json::from_slice(&out.stdout).unwrap();
    let kinds: Vec<&str> = json["results"]
        .as_array()
        .unwrap()
        .iter()
        .map(|r| r["kind"].as_str().unwrap())
        .collect();
    assert_eq!(kinds, ["compare", "plot", "plot", "plot", "plot"]);
    assert_eq!(json["results"][1]["view"]["kind"], "figure");
}

#[test]
fn a_point_outside_of_the_constraints_is_no_best_one() {
    let text = "problem p {
  var x: Vector[2] from 1
  minimize sumsq(x - [3, 1])
  subject to
    total: sum(x) == 2
}
optimizer soft(lr: Real) { step t {
 let c = constraints(x)
 x <- x - lr*(grad(x) + vjp(x, c))
} }
c = compare p with {
  soft: soft(0.1) for 200 steps
  right: augmented_lagrangian()
}
";
    let mut s = session(&root());
    let (mut told, mut notes) = (String::new(), vec![]);
    s.run("outside.opt", text, &mut |e| {
        if let Event::Shown(v) = e {
            if let View::Figure(f) = &v {
                notes.clone_from(&f.notes);
                told += &f.y.label;
            }
            told += &format!("{v:?}");
        }
    });
    // The right answer is 2; the soft one is below it.
    assert!(
        told.contains("\"violation\"") && told.contains("best found (2)"),
        "{told}"
    );
    assert!(
        notes
            .iter()
            .any(|n| n.contains("soft ended where the constraints do not hold")),
        "{notes:?}"
    );
}

#[test]
fn methods_that_differ_in_arguments_are_told_apart() {
    let text = format!(
        "{VALLEY}c = compare valley with {{\n gd(1e-4) for 3 steps\n gd(2e-4) for 3 steps\n gd(2e-4) for 3 steps\n lbfgs()\n own: gd(1e-4) for 2 steps\n}}\nset names = c.method\nprint names"
    );
    let r = run(&mut session(&root()), "names.opt", &text);
    let names = "names = {gd(1e-4), gd(2e-4), gd(2e-4) (2), lbfgs, own}";
    assert!(r.shown.contains(names), "{}", r.shown);
}
