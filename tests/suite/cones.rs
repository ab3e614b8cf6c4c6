//! Membership in convex sets: optima by closed forms, duals as difference quotients, what ill-posed problems may be called.

use std::fmt::Write as _;
use std::io::Read as _;

use ravine::base::value::Value;
use ravine::report::SolveEntry;
use ravine::solve::Status;

use super::harness::{last_solve, root, run, session};

fn solved(text: &str) -> SolveEntry {
    let mut s = session(&root());
    let ran = run(&mut s, "t.opt", text);
    last_solve(&s)
        .cloned()
        .unwrap_or_else(|| panic!("{text}\n{}", ran.shown))
}

fn numbers(of: &[(String, Value)], name: &str) -> Vec<f64> {
    match of.iter().find(|e| e.0 == name) {
        Some((_, Value::Array { tensor, .. })) => tensor.to_dense(),
        _ => panic!("no {name} among {:?}", of.iter().map(|e| &e.0).collect::<Vec<_>>()),
    }
}

fn optimum(text: &str) -> f64 {
    let e = solved(text);
    assert_eq!(e.status, Status::Optimal, "{text}\n{}", e.reason);
    e.objective.expect("an optimum has a value")
}

#[test]
fn optima_by_hand() {
    for (text, want) in [
        // The projection of (1, 0.5, -1) onto the simplex is (0.75, 0.25, 0).
        (
            "var w: Vector[3] in simplex\nminimize sumsq(w - [1, 0.5, -1])\nsolve\n",
            1.125,
        ),
        (
            "var w: Vector[3]\nminimize sumsq(w - [1, 0.5, -1])\nsubject to\n  w in simplex\nsolve\n",
            1.125,
        ),
        (
            "var x: Vector[2] in ball(2)\nminimize x[1] + x[2]\nsolve\n",
            -8f64.sqrt(),
        ),
        // The radius may be decided, too.
        (
            "var x: Vector[2]\nvar r: Real\nminimize r\nsubject to\n  x in ball(r)\n  x == [3, 4]\nsolve\n",
            5.0,
        ),
        (
            "var x: Real\nvar z: Real\nminimize z - x\nsubject to\n  (x, 1, z) in ExpCone\nsolve\n",
            1.0,
        ),
        // Entry by entry: sqrt(y)·sqrt(k) >= x.
        (
            "var x: Vector[2]\nvar y: Vector[2]\nmaximize sum(x)\nsubject to\n  (y, [1, 2], x) in PowCone(1/2)\n  y <= 4\nsolve\n",
            2.0 + 8f64.sqrt(),
        ),
        // The smallest x with [x, 1; 1, 2] semidefinite.
        (
            "var x: Real\nminimize x\nsubject to\n  [x, 1; 1, 2] in PSD\nsolve\n",
            0.5,
        ),
        // A family of matrices; the tightest decides.
        (
            "param a: Vector[3] = [1, 2, -3]\nvar x: Real\nminimize x\nsubject to\n  [i in 1..3]: [x, a[i]; a[i], x] in PSD\nsolve\n",
            3.0,
        ),
        // The nearest semidefinite matrix drops the negative eigenvalue: [1, 2; 2, 1] has 3 and -1.
        (
            "var X: Symmetric[2] in PSD\nminimize sumsq(X - [1, 2; 2, 1])\nsolve\n",
            1.0,
        ),
        (
            "var X: Matrix[2, 2] in PSD\nminimize X[1, 2]\nsubject to\n  diag(X) == [1, 4]\nsolve\n",
            -2.0,
        ),
        // What is not symmetric by itself becomes so: both off the diagonal are 1.
        (
            "var X: Matrix[2, 2]\nminimize X[2, 1] + trace(X)\nsubject to\n  X in PSD\n  X[1, 2] == 1\nsolve\n",
            3.0,
        ),
        // A symmetric variable without a cone, with bounds.
        (
            "var X: Symmetric[2] >= 0\nminimize sumsq(X - [1, 4; 2, -1])\nsolve\n",
            1.0 + 1.0 + 1.0,
        ),
    ] {
        let got = optimum(text);
        assert!(
            (got - want).abs() <= 1e-6 * (1.0 + want.abs()),
            "{got} instead of {want}\n{text}"
        );
    }
}

/// `dual(c)` of a membership is the derivative by what is taken from the expression, entry by entry.
#[test]
fn duals_are_difference_quotients() {
    let h = 1e-4;
    for (text, places, symmetric) in [
        // The optimum is 0.5 at D = 0; D is taken from the matrix.
        (
            "var x: Real\nSENSE SIGN*x\nsubject to\n  c: [x, 1; 1, 2] - [D1, D2; D3, D4] in PSD\nsolve\n",
            4,
            true,
        ),
        (
            "var x: Real\nvar z: Real\nSENSE SIGN*(z - 2*x)\nsubject to\n  c: (x - D1, 1 - D2, z - D3) in ExpCone\nsolve\n",
            3,
            false,
        ),
        (
            "var x: Real\nvar y: Real\nSENSE SIGN*(x + 2*y)\nsubject to\n  c: (x - D1, y - D2, 1 - D3) in PowCone(0.3)\nsolve\n",
            3,
            false,
        ),
    ] {
        for (sense, sign) in [("minimize", "1"), ("maximize", "(-1)")] {
            let at = |d: &dyn Fn(usize) -> f64| {
                let mut t = text.replace("SENSE", sense).replace("SIGN", sign);
                for k in 1..=4 {
                    t = t.replace(&format!("D{k}"), &format!("({:e})", d(k)));
                }
                t
            };
            let dual = numbers(&solved(&at(&|_| 0.0)).duals, "c");
            assert_eq!(dual.len(), places);
            for k in 1..=places {
                // Only symmetric changes keep the matrix symmetric.
                let other = if symmetric && k == 2 { 3 } else { k };
                if symmetric && k == 3 {
                    continue;
                }
                let moved = |by: f64| optimum(&at(&|j| if j == k || j == other { by } else { 0.0 }));
                let slope = (moved(h) - moved(-h)) / (2.0 * h);
                let want = if other == k {
                    dual[k - 1]
                } else {
                    dual[k - 1] + dual[other - 1]
                };
                assert!(
                    (slope - want).abs() <= 1e-3 * (1.0 + want.abs()),
                    "{slope} is not {want}\n{}",
                    at(&|_| 0.0)
                );
            }
        }
    }
}

#[test]
fn infeasible_and_unbounded_are_proved() {
    let e = solved(
        "var X: Symmetric[2] in PSD\nminimize trace(X)\nsubject to\n  far: X[1, 2] >= 1\n  mix: diag(X) in simplex\nsolve\n",
    );
    assert_eq!(e.status, Status::Infeasible, "{}", e.reason);
    assert!(!e.certificate.is_empty());
    let e = solved("var X: Symmetric[2] in PSD\nminimize X[1, 2]\nsolve\n");
    assert_eq!(e.status, Status::Unbounded, "{}", e.reason);
}

/// The optimal value, 0, is approached only by matrices without bound: what is called optimal is that close to it.
#[test]
fn what_is_not_attained_is_called_optimal_only_near_its_value() {
    let e = solved("var X: Symmetric[2] in PSD\nminimize X[1, 1]\nsubject to\n  X[1, 2] == 1\nsolve\n");
    assert!(
        e.status != Status::Optimal || e.objective.is_some_and(|v| v.abs() <= 1e-8),
        "{:?} {:?}",
        e.status,
        e.objective
    );
    // No multiplier proves it: x = 0 is forced, but [0, y; y, z] needs y = 0 as well, while the dual is not attained.
    let e = solved(
        "var X: Symmetric[3] in PSD\nminimize X[3, 3]\nsubject to\n  X[1, 1] == 0\n  X[2, 2] + 2*X[1, 3] == 1\n  X[3, 3] + 2*X[1, 2] == 0\nsolve to 1e-10\n",
    );
    assert!(
        e.status != Status::Optimal || e.objective.is_some_and(|v| v.abs() < 1e-8),
        "{:?} {:?}",
        e.status,
        e.objective
    );
}

/// One problem of SDPLIB as a program and its data.
fn sdpa(name: &str, folder: &std::path::Path) -> Option<String> {
    let path = root().join(format!("../shared/data/sdp/{name}.dat-s.gz"));
    let mut text = String::new();
    flate2::read::GzDecoder::new(std::fs::File::open(path).ok()?)
        .read_to_string(&mut text)
        .ok()?;
    let clean = |l: &str| l.replace(['{', '}', '(', ')', ','], " ");
    let mut lines = text.lines().filter(|l| !l.starts_with(['"', '*']));
    let first = |l: &str| clean(l).split_whitespace().next().and_then(|w| w.parse::<usize>().ok());
    let (m, blocks) = (first(lines.next()?)?, first(lines.next()?)?);
    let orders: Vec<i64> = clean(lines.next()?)
        .split_whitespace()
        .filter_map(|w| w.parse().ok())
        .take(blocks)
        .collect();
    let costs: Vec<String> = clean(lines.next()?)
        .split_whitespace()
        .map(String::from)
        .take(m)
        .collect();
    let mut entries: Vec<Vec<(usize, usize, f64)>> = vec![vec![]; blocks];
    let mut fixed: Vec<Vec<f64>> = orders
        .iter()
        .map(|n| {
            vec![
                0.0;
                if *n > 0 {
                    (n * n) as usize
                } else {
                    n.unsigned_abs() as usize
                }
            ]
        })
        .collect();
    for l in lines {
        let l = clean(l);
        let w: Vec<&str> = l.split_whitespace().collect();
        let [k, b, i, j, v] = w[..] else { continue };
        let [k, b, i, j] = [k, b, i, j].map(|w| w.parse::<usize>().unwrap_or(0));
        let v: f64 = v.parse().ok()?;
        let n = orders[b - 1];
        let mut put = |row: usize| match k {
            0 => fixed[b - 1][row] = v,
            k => entries[b - 1].push((row + 1, k, v)),
        };
        if n < 0 {
            put(i - 1);
        } else {
            let n = n as usize;
            put((i - 1) * n + j - 1);
            if i != j {
                put((j - 1) * n + i - 1);
            }
        }
    }
    let write = |file: String, text: String| std::fs::write(folder.join(file), text).ok();
    write("c.csv".into(), format!("c\n{}\n", costs.join("\n")))?;
    let mut program = String::from("param c: Vector[m] = read(\"c.csv\", column: \"c\")\n");
    let mut lets = String::new();
    let mut rows = String::new();
    for (b, n) in orders.iter().enumerate() {
        let len = fixed[b].len();
        let mut text = format!(
            "%%MatrixMarket matrix coordinate real general\n{len} {m} {}\n",
            entries[b].len()
        );
        for (i, j, v) in &entries[b] {
            writeln!(text, "{i} {j} {v}").ok()?;
        }
        write(format!("F{b}.mtx"), text)?;
        let column: Vec<String> = fixed[b].iter().map(f64::to_string).collect();
        write(format!("f{b}.csv"), format!("f\n{}\n", column.join("\n")))?;
        writeln!(
            program,
            "param F{b}: Matrix[{len}, m] = read(\"F{b}.mtx\")\nparam f{b}: Vector[{len}] = read(\"f{b}.csv\", column: \"f\")"
        )
        .ok()?;
        writeln!(lets, "  let y{b} = F{b}*x - f{b}").ok()?;
        if *n > 1 {
            writeln!(rows, "    ([i in 1..{n}, j in 1..{n}] y{b}[(i - 1)*{n} + j]) in PSD").ok()?;
        } else {
            writeln!(rows, "    y{b} >= 0").ok()?;
        }
    }
    write!(
        program,
        "problem p {{\n  var x: Vector[m]\n{lets}  minimize dot(c, x)\n  subject to\n{rows}}}\nsolve p to TOL\n"
    )
    .ok()?;
    Some(program)
}

/// SDPLIB up to order 40 against the collection's own values: what is called optimal is right, whatever the solver said.
#[test]
fn sdplib_is_answered_honestly() {
    let reference = root().join("../shared/data/sdp/reference.json");
    let Ok(text) = std::fs::read_to_string(reference) else {
        assert!(std::env::var("RAVINE_REQUIRE").is_err(), "the collection is missing");
        eprintln!("ignored: no ../shared/data/sdp");
        return;
    };
    let reference: serde_json::Value = serde_json::from_str(&text).expect("JSON");
    let mut optimal = 0;
    let mut failures = vec![];
    for name in [
        "truss1", "truss3", "hinf1", "hinf2", "hinf12", "control1", "infp1", "infp2", "infd1",
    ] {
        let folder = tempfile::tempdir().expect("a folder");
        let program = sdpa(name, folder.path())
            .expect("the file reads")
            .replace("TOL", "1e-6");
        let mut s = session(folder.path());
        let ran = run(&mut s, name, &program);
        let Some(e) = last_solve(&s) else {
            failures.push(format!("{name}: {}", ran.shown));
            continue;
        };
        let r = &reference[name];
        eprintln!("{name}: {:?} {:?} {:?} {}", e.status, e.objective, r["f_ref"], e.reason);
        match (r["f_ref"].as_f64(), r["f_ref"].as_str()) {
            (Some(want), _) => {
                let tol = r["rel_tol"].as_f64().unwrap_or(1e-4);
                let off = e
                    .objective
                    .map_or(f64::INFINITY, |v| (v - want).abs() / want.abs().max(1.0));
                if e.status == Status::Optimal {
                    optimal += 1;
                    if off > tol.max(3e-6) {
                        failures.push(format!("{name}: called optimal at {:?}, which is {want}", e.objective));
                    }
                }
            }
            // In the form solved here the collection's dual is the primal.
            (_, Some("primal infeasible")) if e.status != Status::Infeasible => {
                failures.push(format!("{name}: {:?}", e.status));
            }
            (_, Some("dual infeasible")) if e.status != Status::Unbounded => {
                failures.push(format!("{name}: {:?}", e.status));
            }
            _ => {}
        }
    }
    assert!(failures.is_empty(), "{}", failures.join("\n"));
    assert!(optimal >= 3, "{optimal} are optimal");
}
