//! Passes over the IR: canonical rewrites, derivatives, and what is known of nodes and problems.
//!
//! Invariant: a pass changes no value except by rounding where its row says so; nothing here knows solvers or syntax.

pub mod analysis;
pub mod derive;
pub mod graft;
pub mod inline;
pub mod rewrite;
pub mod rows;
pub mod subst;

use rewrite::{Level, Rewriter};

use crate::ir::verify::verify_problem;
use crate::ir::{Member, Problem, Sides};

/// One pass over a problem.
pub struct Pass {
    /// Name for `--emit ir:after=NAME` and for switching it off.
    pub name: &'static str,
    /// What it does.
    pub what: &'static str,
    /// Passes that come before it if they run at all, and why.
    pub after: &'static [(&'static str, &'static str)],
    /// Keeps every bit of every value?
    pub exact: bool,
    /// What it leaves true.
    pub preserves: &'static str,
    /// The pass.
    pub run: fn(&mut Problem),
}

/// The passes in order. Analyses and derivatives are asked for, not run: they read what these leave.
pub static PASSES: &[Pass] = &[
    Pass {
        name: "fuse",
        what: "reads entries of computed arrays as the expressions they are, and moves transposes inward",
        after: &[],
        exact: true,
        preserves: "variables, constraints and their order, signs and curvature",
        run: |p| rewrite_problem(p, Level::Exact),
    },
    Pass {
        name: "canonical",
        what: "gives index form and matrix form one form: contractions, sums of squares, quadratic forms, ordered products",
        after: &[(
            "fuse",
            "contractions are seen in scalar products of entries, not in maps of them",
        )],
        exact: false,
        preserves: "variables, constraints and their order; curvature can only become known",
        run: |p| rewrite_problem(p, Level::All),
    },
];

/// Runs the passes that `wanted` admits, in order.
pub fn run_passes(problem: &mut Problem, wanted: impl Fn(&Pass) -> bool) {
    for pass in PASSES.iter().filter(|p| wanted(p)) {
        (pass.run)(problem);
        debug_assert!(
            verify_problem(problem).is_ok(),
            "after {}: {:?}",
            pass.name,
            verify_problem(problem)
        );
    }
}

/// The canonical form of a problem: all passes.
pub fn canonical(problem: &mut Problem) {
    run_passes(problem, |_| true);
}

fn rewrite_problem(problem: &mut Problem, level: Level) {
    let mut r = Rewriter::new(&mut problem.ir, level);
    for v in &mut problem.vars {
        for n in [&mut v.lower, &mut v.upper, &mut v.start, &mut v.scale]
            .into_iter()
            .flatten()
        {
            *n = r.run(*n);
        }
    }
    if let Some(o) = &mut problem.objective {
        o.node = r.run(o.node);
    }
    for a in &mut problem.assumed {
        a.0 = r.run(a.0);
    }
    for c in &mut problem.constraints {
        c.sides = match c.sides {
            Sides::Le(a, b) => Sides::Le(r.run(a), r.run(b)),
            Sides::Ge(a, b) => Sides::Ge(r.run(a), r.run(b)),
            Sides::Eq(a, b) => Sides::Eq(r.run(a), r.run(b)),
            Sides::Between(a, b, c) => Sides::Between(r.run(a), r.run(b), r.run(c)),
            Sides::In(Member::Semidefinite { entries, entry }) => Sides::In(Member::Semidefinite {
                entries,
                entry: r.run(entry),
            }),
            Sides::In(Member::Exponential(xyz)) => Sides::In(Member::Exponential(xyz.map(|n| r.run(n)))),
            Sides::In(Member::Power(xyz, a)) => Sides::In(Member::Power(xyz.map(|n| r.run(n)), r.run(a))),
        };
    }
}
