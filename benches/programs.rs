//! Programs that are measured and counted, from their text to a machine, by the way a user's program takes.
//!
//! Invariant: what is measured is what `solve` would evaluate: parsed, checked, lowered, rewritten, differentiated, compiled.

use std::sync::Arc;

use ravine::exec::{Lanes, Machine, Plan};
use ravine::ir::InputId;
use ravine::lang::lower::{Entity, LoweredProblem, Names, lower_problem};
use ravine::lang::parse::parse;
use ravine::lang::syntax::{ProblemDecl, StmtKind};
use ravine::passes::canonical;
use ravine::passes::derive::gradient;
use ravine::session::{Event, Session, Settings};

/// A chain of Rosenbrock's valleys.
pub const ROSENBROCK: &str = "
param n: Int = 1000
problem chained {
  var z: Vector[n]
  minimize sum(i in 1..n-1) (100*(z[i+1] - z[i]^2)^2 + (1 - z[i])^2)
}";

const SAMPLES: &str = "
param X: Matrix[m, n] = [i in 1..1000, j in 1..100] ((i*7919 + j*104729) % 1013/500 - 1)
param y: Vector[m] = [i in 1..1000] (if (i*31) % 7 < 3 then 1 else -1)
";

/// Logistic loss of 1000 samples with 100 features, index by index.
pub fn logistic_by_index() -> String {
    format!(
        "{SAMPLES}
problem logistic {{
  var w: Vector[n]
  minimize sum(i in 1..m) softplus(-y[i]*(sum(j in 1..n) X[i, j]*w[j]))
}}"
    )
}

/// The same loss by matrix algebra.
pub fn logistic_by_matrix() -> String {
    format!(
        "{SAMPLES}
problem logistic {{
  var w: Vector[n]
  minimize sum(softplus(-(y .* (X*w))))
}}"
    )
}

/// About 33 operations of arithmetic at each of a million instances.
pub const RATIONAL: &str = "
param n: Int = 1000000
fn rational(a: Real, b: Real) -> Real =
  (1 + a*(2 + a*(3 + a*(4 + a*(5 + a)))) + b*(6 + b*(7 + b*(8 + b))) + a*b*(9 + a - b))
  /(2 + a^2*(3 + b^2) + b^2*(4 + (a - b)^2) + (a*b - 1)^2)
problem pattern {
  var u: Vector[n]
  var v: Vector[n]
  minimize sum(i in 1..n) rational(u[i], v[i])
}";

/// About 30 operations, six of them exponentials, sines and logarithms.
pub const TRANSCENDENTAL: &str = "
param n: Int = 1000000
fn wave(a: Real, b: Real) -> Real =
  exp(-(a^2 + b^2)/2)*sin(3*a + b) + log(1 + a^2 + 2*b^2)*(a - b) + exp(a - b)/(1 + exp(b))
  + sin(a*b)*(1 + a*(2 + b)) + a*b - 3*a
problem pattern {
  var u: Vector[n]
  var v: Vector[n]
  minimize sum(i in 1..n) wave(u[i], v[i])
}";

/// A transport problem of the given size.
pub fn transport(sources: usize, sinks: usize) -> String {
    format!(
        "
param cost: Matrix[p, q] = [i in 1..{sources}, j in 1..{sinks}] (1 + (i*37 + j*91) % 101/50)
param capacity: Vector[p] = [i in 1..{sources}] (10 + i % 7)
param need: Vector[q] = [j in 1..{sinks}] (5 + j % 4)
problem transport {{
  var ship: Matrix[p, q] >= 0
  minimize freight: sum(i in 1..p, j in 1..q) cost[i, j]*ship[i, j]
  subject to
    supply[i in 1..p]: sum(j in 1..q) ship[i, j] <= capacity[i]
    demand[j in 1..q]: sum(i in 1..p) ship[i, j] >= need[j]
}}"
    )
}

/// A session in which a text was run, and the problems it declares.
pub struct Loaded {
    pub session: Session,
    pub problems: Vec<ProblemDecl>,
}

/// Runs a text's declarations.
pub fn load(text: &str) -> Loaded {
    let mut session = Session::new(Settings {
        sets: Default::default(),
        threads: None,
        memory: 8 << 30,
        verbose: false,
        folder: ".".into(),
        now: || 0.0,
    });
    let mut wrong = String::new();
    session.run("bench.opt", text, &mut |e| {
        if let Event::Diagnostic(d) = e
            && d.is_error()
        {
            wrong += &format!("{d:?}\n");
        }
    });
    assert!(wrong.is_empty(), "{wrong}");
    let id = session.sources.add("again.opt", text);
    let (program, _) = parse(id, text);
    let problems = program
        .statements
        .into_iter()
        .filter_map(|s| match s.kind {
            StmtKind::Problem(p) => Some(p),
            _ => None,
        })
        .collect();
    Loaded { session, problems }
}

impl Loaded {
    /// Lowers the first problem.
    pub fn lower(&self) -> LoweredProblem {
        let p = &self.problems[0];
        match lower_problem(&self.session, &p.name.text, &p.body, &[], &[], &|_| 0) {
            Ok(l) => l,
            Err(d) => panic!("{d:?}"),
        }
    }
    /// Binds the session's parameters.
    pub fn bind(&self, l: &LoweredProblem, m: &mut Machine) {
        for (name, input) in &l.params {
            if let Some(Entity::Param(v)) = self.session.lookup(name) {
                m.set(*input, v.tensor);
            }
        }
    }
}

/// An objective's machine: output 0 is the value, the others the gradient by variable.
pub struct Objective {
    pub machine: Machine,
    pub vars: Vec<(InputId, usize)>,
}

/// Value, and gradient where asked for, in one machine, as `solve` would have them.
pub fn objective(text: &str, with_gradient: bool, lanes: Lanes) -> Objective {
    let loaded = load(text);
    let mut l = loaded.lower();
    canonical(&mut l.problem);
    machine(&loaded, l, with_gradient, lanes)
}

/// The same of the program as it is written: loops stay loops.
pub fn as_written(text: &str, with_gradient: bool, lanes: Lanes) -> Objective {
    let loaded = load(text);
    machine(&loaded, loaded.lower(), with_gradient, lanes)
}

fn machine(loaded: &Loaded, mut l: LoweredProblem, with_gradient: bool, lanes: Lanes) -> Objective {
    let node = l.problem.objective.as_ref().expect("an objective").node;
    let vars: Vec<(InputId, usize)> = l
        .problem
        .vars
        .iter()
        .map(|v| (v.input, v.dims.iter().map(|d| d.len()).product()))
        .collect();
    let mut outputs = vec![node];
    if with_gradient {
        let wrt: Vec<InputId> = vars.iter().map(|v| v.0).collect();
        let g = gradient(&mut l.problem.ir, node, &wrt).expect("a derivative");
        outputs.extend(g.into_iter().flatten());
    }
    let mut machine = Machine::new(Arc::new(Plan::compile_by(&l.problem.ir, &outputs, lanes)));
    loaded.bind(&l, &mut machine);
    Objective { machine, vars }
}

/// Values between -1 and 1 that look like no pattern.
pub fn spread(n: usize, seed: usize) -> Vec<f64> {
    (0..n)
        .map(|k| ((k + seed) * 7919 % 1013) as f64 / 506.5 - 1.0)
        .collect()
}
