//! Performance profiles: the part of all problems that each method solves within a multiple of the least cost.
//!
//! Invariant: a problem counts where some run recorded a start and a value, and a method that does not solve it never does.
//!
//! After Dolan and Moré, "Benchmarking optimization software with performance profiles" (2002), with the test of
//! convergence of Moré and Wild, "Benchmarking derivative-free optimization algorithms" (2009).

use super::super::number::number;
use super::{Contest, Run, axis_label};
use crate::base::figure::{Axis, Figure, Mark};

/// Part of the way from the start to the best value found that counts as solved in a profile: all but this.
const SOLVED: f64 = 1e-4;

impl Contest {
    /// The part of all problems that each method solves within a multiple of the least cost.
    pub(super) fn profile(&self, axis: &str) -> Option<Figure> {
        let mut quotients: Vec<Vec<f64>> = vec![vec![]; self.methods.len()];
        let mut instances = 0usize;
        for p in 0..self.problems.len() {
            for seed in &self.seeds {
                let goal = self.goal(p);
                let sign = goal.sign;
                let runs: Vec<&Run> = self.runs.iter().filter(|r| r.problem == p && r.seed == *seed).collect();
                let points: Vec<Vec<(f64, f64)>> = runs.iter().map(|r| r.points(axis, goal.column)).collect();
                let fair = || runs.iter().filter(|r| !r.strays());
                let all = || fair().flat_map(|r| r.allowed(goal, false));
                let best = all().fold(f64::INFINITY, f64::min);
                let start = points
                    .iter()
                    .filter_map(|q| q.first())
                    .map(|q| sign * q.1)
                    .fold(f64::NEG_INFINITY, f64::max);
                if !(best.is_finite() && start.is_finite()) {
                    continue;
                }
                instances += 1;
                let enough = best + SOLVED * (start - best);
                let least = if axis == "seconds" { f64::MIN_POSITIVE } else { 1.0 };
                let cost = |q: &[(f64, f64)]| {
                    let hit = q.iter().find(|(_, v)| sign * v <= enough);
                    hit.map_or(f64::INFINITY, |h| h.0.max(least))
                };
                let paid = |(r, q): (&&Run, &Vec<(f64, f64)>)| if r.strays() { f64::INFINITY } else { cost(q) };
                let costs: Vec<f64> = runs.iter().zip(&points).map(paid).collect();
                let first = costs.iter().copied().fold(f64::INFINITY, f64::min);
                for (r, c) in runs.iter().zip(&costs) {
                    quotients[r.method].push(c / first);
                }
            }
        }
        let finite = quotients.iter().flatten().copied().filter(|q| q.is_finite());
        let far = finite.fold(1.0, f64::max);
        if instances == 0 {
            return None;
        }
        let hi = (1.3 * far).max(2.0);
        let mut figure = Figure {
            name: "profile".into(),
            title: format!("Performance profile over {instances} problems"),
            x: Axis {
                label: format!("{} as a multiple of the best method's", axis_label(axis)),
                log: hi > 5.0,
                lo: 1.0,
                hi,
                whole: false,
                zero: None,
            },
            y: Axis {
                label: "part of the problems solved".into(),
                log: false,
                lo: -0.02,
                hi: 1.03,
                whole: false,
                zero: None,
            },
            marks: vec![],
            notes: vec![format!(
                "Solved: the objective{} has come all but {} of the way from the start to the best value found.",
                if self.saddles() {
                    format!(" (of a saddle point the {})", self.away())
                } else {
                    String::new()
                },
                number(SOLVED)
            )],
        };
        for (m, q) in quotients.iter_mut().enumerate() {
            q.sort_by(f64::total_cmp);
            let mut points = vec![(1.0, 0.0)];
            for (k, v) in q.iter().enumerate().filter(|(_, v)| v.is_finite()) {
                points.push((*v, k as f64 / instances as f64));
                points.push((*v, (k + 1) as f64 / instances as f64));
            }
            let last = points.last().map_or(0.0, |p| p.1);
            points.push((hi, last));
            figure.marks.push(Mark::Line {
                points,
                label: self.methods[m].clone(),
                hue: m,
                strong: true,
            });
        }
        Some(figure)
    }
}
