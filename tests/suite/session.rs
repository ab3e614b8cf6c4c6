//! Programs through the session: values, sets, data, rebinding.

use ravine::report;
use ravine::session::{Event, Session, Settings};

fn settings() -> Settings {
    Settings {
        sets: Default::default(),
        threads: None,
        memory: 1 << 30,
        verbose: false,
        folder: std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("examples"),
        now: || 0.0,
    }
}

/// Everything a program shows, as plain text.
fn shown(program: &str) -> String {
    let mut s = Session::new(settings());
    let mut events = vec![];
    s.run("test.opt", program, &mut |e| events.push(e));
    let mut out = String::new();
    for e in events {
        match e {
            Event::Shown(v) => out += &report::render::plain(&v),
            Event::Diagnostic(d) => out += &report::diagnostic::plain(&[*d], &s.sources),
            Event::Log(_) | Event::Solved(_) => {}
        }
        if !out.ends_with('\n') {
            out.push('\n');
        }
    }
    out
}

#[test]
fn values_of_expressions() {
    let program = r#"
set plants = {"seattle", "san-diego"}
set markets = {"new-york", "chicago", "topeka"}
param d: Real[plants, markets] = {
  ("seattle", "new-york"): 2.5,   ("seattle", "chicago"): 1.7,   ("seattle", "topeka"): 1.8,
  ("san-diego", "new-york"): 2.5, ("san-diego", "chicago"): 1.8, ("san-diego", "topeka"): 1.4,
}
print sum(p in plants, m in markets) d[p, m]
print [p in plants] (sum(m in markets if d[p, m] < 2) d[p, m])
print d["seattle", "chicago"]
let A = [1, 2; 3, 4]
let x = [1, 1]
print A*x, A'*x, x'*A*x, norm(x), A*A

print sum(i in 1..4) (sum(j in 1..i) i*j)
print mean(i in 1..4) i^2, max([3, 9, 2]), max(1, 2)
fn huber(r: Real, d: Real) -> Real = if abs(r) <= d then r^2/2 else d*(abs(r) - d/2)
print huber(3, 1), huber(0.5, 1)
print [i in 1..5] i^2
print trace(A), diag(A), quad(x, A), eye(2)*x
param n: Int = 3
print zeros(n), length(plants)
print [1, 2, 3, 4][2..3]
"#;
    println!("{}", shown(program));
}
