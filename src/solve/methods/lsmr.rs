//! Least squares and linear systems by products with A and A' alone.
//!
//! Invariant: optimal is claimed for A'r computed afresh, in the measure of the checker.
//!
//! Source: see `linalg::krylov`.

use ravine_linalg::Matrix;
use ravine_linalg::krylov::Lsmr;
use ravine_linalg::operator::{ColumnsScaled, LinearMap};
use ravine_linalg::reduce::norm2;

use super::krylov::{self, EVIDENCE, take};
use crate::solve::method::{
    Class, Events, Fault, Granularity, Method, MethodCard, Needs, OptionKind, OptionSpec, Outcome, Refusal, Seed,
    Settings, SlotSpec, StepCx,
};
use crate::solve::oracle::{Form, Oracle};
use crate::solve::products::OracleMap;
use crate::solve::state::{Point, Slot, SlotKind, State};
use crate::solve::stop::{Reason, Status};
use crate::solve::user_map::UserMap;
use crate::solve::verify;

/// The row of `lsmr`.
pub static CARD: MethodCard = MethodCard {
    name: "lsmr",
    aliases: &[],
    title: "LSMR",
    accepts: &[Class::LinearSystem, Class::LeastSquares],
    needs: Needs::FORM,
    granularity: Granularity::Step,
    options: &[OptionSpec {
        name: "preconditioner",
        kind: OptionKind::Map(&["auto", "columns", "none"]),
        doc: "columns scaled to length 1, or nothing; `auto` scales where the matrix is known; or factors of the columns of \
              your own, a positive vector",
    }],
    state: &[
        EVIDENCE[0],
        EVIDENCE[1],
        EVIDENCE[2],
        SlotSpec {
            name: "left",
            kind: SlotKind::Array,
            doc: "left vector of the bidiagonalization",
        },
        SlotSpec {
            name: "right",
            kind: SlotKind::Array,
            doc: "right vector",
        },
        SlotSpec {
            name: "direction",
            kind: SlotKind::Array,
            doc: "direction of the inner recurrence",
        },
        SlotSpec {
            name: "outer",
            kind: SlotKind::Array,
            doc: "direction of the outer recurrence",
        },
        SlotSpec {
            name: "scalars",
            kind: SlotKind::Array,
            doc: "the running rotations, |A'r| at the start and now, norm, diagonals, steps, the goal, |A'r| when begun anew",
        },
    ],
    records: &["normal"],
    guarantees: "|A'r| falls in every step; from 0 the solution of least norm is found (in scaled columns, where they are \
                 scaled).",
    doc: "Minimizes `‖A x − b‖` and solves `A x = b` for any matrix by products with it and its transpose; `A'A` is never \
          formed.",
    source: "Fong and Saunders, SIAM J. Sci. Comput. 33 (2011)",
    build: |s| Box::new(LeastSquaresByProducts::new(s)),
};

const U: usize = 3;
const V: usize = 4;
const H: usize = 5;
const H_BAR: usize = 6;
const SCALARS: usize = 7;

/// LSMR.
pub struct LeastSquaresByProducts {
    scaled: bool,
    own: Option<UserMap>,
}

impl LeastSquaresByProducts {
    fn new(s: &Settings) -> Self {
        LeastSquaresByProducts {
            scaled: s.choice("preconditioner") != "none",
            own: s.map("preconditioner"),
        }
    }

    /// The user's own factors of `n` columns: what a diagonal makes of ones.
    fn factors(&self, n: usize) -> Option<Vec<f64>> {
        let mut own = self.own.as_ref()?.applicable();
        let mut by = vec![1.0; n];
        own.apply(&vec![1.0; n], &mut by);
        Some(by)
    }
}

/// The iteration, the share of |A'r| it goes for before it looks, and |A'r| when it was begun anew.
fn unpack(s: &mut State) -> Option<(Lsmr, f64, f64)> {
    let v = take(s, SCALARS);
    let [
        a,
        b,
        c,
        d,
        e,
        f,
        g,
        first,
        normal_norm,
        norm,
        top,
        low,
        steps,
        goal,
        renewed,
    ] = <[f64; 15]>::try_from(v).ok()?;
    let it = Lsmr {
        x: std::mem::take(&mut s.x),
        u: take(s, U),
        v: take(s, V),
        h: take(s, H),
        h_bar: take(s, H_BAR),
        scalars: [a, b, c, d, e, f, g],
        first,
        normal_norm,
        norm,
        diagonals: (top, low),
        steps: steps as usize,
    };
    Some((it, goal, renewed))
}

fn pack(it: Lsmr, goal: f64, renewed: f64, s: &mut State) {
    let mut scalars = it.scalars.to_vec();
    let (top, low) = it.diagonals;
    scalars.extend([
        it.first,
        it.normal_norm,
        it.norm,
        top,
        low,
        it.steps as f64,
        goal,
        renewed,
    ]);
    s.slots[SCALARS] = Slot::Array(scalars);
    s.x = it.x;
    s.slots[U] = Slot::Array(it.u);
    s.slots[V] = Slot::Array(it.v);
    s.slots[H] = Slot::Array(it.h);
    s.slots[H_BAR] = Slot::Array(it.h_bar);
}

/// One over the lengths of the columns.
fn column_scales(a: &Matrix) -> Vec<f64> {
    let mut sums = vec![0.0f64; a.cols()];
    match a {
        Matrix::Dense(d) => {
            for i in 0..d.rows {
                sums.iter_mut().zip(d.row(i)).for_each(|(s, v)| *s += v * v);
            }
        }
        Matrix::Sparse(c) => c.triplets().for_each(|(_, j, v)| sums[j] += v * v),
    }
    sums.iter()
        .map(|s| if *s > 0.0 { 1.0 / s.sqrt() } else { 1.0 })
        .collect()
}

impl Method for LeastSquaresByProducts {
    fn card(&self) -> &MethodCard {
        &CARD
    }

    fn misfit(&self, n: usize) -> Option<String> {
        let own = self.own.as_ref()?;
        if let Some(why) = own.unfit(n, true) {
            return Some(why);
        }
        let by = self.factors(n)?;
        let probe: Vec<f64> = (0..n).map(|i| 1.0 + ((i * i + 3 * i) % 11) as f64 / 4.0).collect();
        let mut seen = vec![0.0; n];
        own.applicable().apply(&probe, &mut seen);
        let same =
            (0..n).all(|i| by[i] > 0.0 && (seen[i] - by[i] * probe[i]).abs() <= 1e-12 * (by[i] * probe[i]).abs());
        (!same).then(|| "`lsmr` takes factors of the columns: a vector of positive numbers".into())
    }

    fn start(&self, problem: &mut dyn Oracle, from: &Point, _seed: Seed) -> Result<State, Refusal> {
        krylov::check(problem, from)?;
        krylov::fresh_state(&CARD, problem, from)
    }

    fn step(&self, problem: &mut dyn Oracle, now: &State, next: &mut State, cx: &mut StepCx<'_>) -> Outcome {
        next.copy_from(now);
        let system = problem.class() == Class::LinearSystem;
        let tolerance = cx.tolerance;
        if let Some(b) = problem.right_side().map(<[f64]>::to_vec) {
            let n = problem.dim();
            let by: &Vec<f64> = cx.cache.get_or(|| self.factors(n).unwrap_or_else(|| vec![1.0; n]));
            let mut map = OracleMap::new(problem, b.len());
            let equations = Equations {
                map: &mut map,
                matrix: None,
                b: &b,
                by,
                system,
            };
            let outcome = advance(equations, now, next, tolerance);
            return match map.fault {
                Some(f) => Outcome::Refuse(f),
                None => outcome,
            };
        }
        let Some(Form::LeastSquares { a, b }) = problem.form() else {
            return Outcome::Refuse(Fault::NotOffered("matrix and right side".into()));
        };
        let scaled = self.scaled;
        let by: &Vec<f64> = cx.cache.get_or(|| match self.factors(a.cols()) {
            Some(by) => by,
            None if scaled => column_scales(a),
            None => vec![1.0; a.cols()],
        });
        let mut plain = a;
        let equations = Equations {
            map: &mut plain,
            matrix: Some((a, scaled)),
            b,
            by,
            system,
        };
        advance(equations, now, next, tolerance)
    }
}

/// What a step works on.
struct Equations<'a> {
    map: &'a mut dyn LinearMap,
    /// The matrix, if it is known, and whether its columns are scaled.
    matrix: Option<(&'a Matrix, bool)>,
    b: &'a [f64],
    /// Factors of the columns.
    by: &'a [f64],
    system: bool,
}

fn advance(equations: Equations<'_>, now: &State, next: &mut State, tolerance: f64) -> Outcome {
    let Equations {
        map,
        matrix,
        b,
        by,
        system,
    } = equations;
    let failed = |f: ravine_linalg::NumericalFault| Outcome::Refuse(Fault::Numerical(f.to_string()));
    let mut map = ColumnsScaled::new(map, by);
    let (mut it, mut goal, mut renewed) = match unpack(next) {
        Some(v) => v,
        None => {
            // The iteration runs in scaled columns, x = diag(by) y.
            let y: Vec<f64> = now.x.iter().zip(by).map(|(x, s)| x / s).collect();
            match Lsmr::start(&mut map, b, &y) {
                Ok(it) => (it, tolerance, f64::INFINITY),
                Err(f) => return failed(f),
            }
        }
    };
    // Between steps the state's point is the user's; the iteration's own is scaled.
    if it.steps > 0 {
        it.x.iter_mut().zip(by).for_each(|(x, s)| *x /= s);
    }
    let moved = match it.step(&mut map) {
        Ok(v) => v,
        Err(f) => return failed(f),
    };
    let right = norm2(b);
    let unit = if right > 0.0 { right } else { 1.0 };
    let claimed = !moved || it.normal_norm <= goal * it.first || it.steps.is_multiple_of(50);
    let mut reason = None;
    if claimed {
        let x: Vec<f64> = it.x.iter().zip(by).map(|(y, s)| y * s).collect();
        let mut r = vec![0.0; b.len()];
        map.apply(&it.x, &mut r);
        r.iter_mut().zip(b).for_each(|(r, b)| *r = b - *r);
        let mut g = vec![0.0; x.len()];
        map.adjoint(&r, &mut g);
        let (residual, normal) = (norm2(&r), norm2(&g));
        let stationary = match matrix {
            Some((a, _)) => verify::normal_residual(a, b, &x),
            None => verify::normal_by_products(&mut *map.map, b, &x).1,
        };
        next.measures.stationarity = stationary;
        next.measures.objective = residual * residual;
        // Both |A'r| / σ² and, where the system has a solution, |r| / σ bound the error; σ is an estimate.
        let size = norm2(&it.x);
        // |A y| / |y| is no smaller than the smallest one.
        let image: Vec<f64> = b.iter().zip(&r).map(|(b, r)| b - r).collect();
        let low = it.diagonals.1.min(norm2(&image) / size);
        let low = if low.is_finite() { low } else { it.norm };
        let error = (normal / (low * low)).min(if system { residual / low } else { f64::INFINITY });
        next.slots[0] = Slot::Number((it.diagonals.0 / low).max(it.condition()));
        next.slots[1] = Slot::Number(if size > 0.0 { error / size } else { error });
        let solved = residual <= tolerance * right
            && r.iter()
                .zip(b)
                .all(|(r, b)| r.abs() <= 0.5 * tolerance * (1.0 + b.abs()));
        // Steps beyond the tolerance cost little and are worth digits; with a matrix the measure is by entries, and stricter.
        let aim = if matrix.is_some() { 0.5 } else { 0.02 };
        let done = if system {
            solved
        } else {
            stationary <= aim * tolerance.max(1e-12) || residual == 0.0
        };
        // Of a system without solution A'r vanishes and r does not.
        let none = system && !solved && (stationary <= 1e-13 || (!moved && stationary <= tolerance));
        if done {
            let name = match matrix {
                Some((_, true)) => "columns scaled",
                Some((_, false)) => "no preconditioner",
                None => "by products",
            };
            reason = Some(Reason::new(Status::Optimal, format!("{name}, {} steps", it.steps)));
        } else if none && residual > 1e-6 * right {
            reason = Some(Reason::new(
                Status::Infeasible,
                "the matrix is singular and no vector solves the system",
            ));
        } else if it.normal_norm <= goal * it.first || !moved {
            if moved && goal > 1e-14 {
                goal *= 0.1;
            } else if normal > 0.5 * renewed && !system && stationary <= 0.5 * tolerance {
                reason = Some(Reason::new(Status::Optimal, format!("by products, {} steps", it.steps)));
            } else if normal > 0.5 * renewed {
                let relative = if system { residual / unit } else { stationary };
                let what = if system {
                    "the residual fall to"
                } else {
                    "the normal residual fall to"
                };
                let why = format!(
                    "rounding lets {what} {relative:.1e}, relative, and no further; the tolerance is {tolerance:.0e}"
                );
                reason = Some(Reason::new(Status::PrecisionLimited, why).with_floor(relative));
            } else {
                renewed = normal;
                goal = tolerance;
                let (steps, diagonals) = (it.steps, it.diagonals);
                it = match Lsmr::start(&mut map, b, &it.x) {
                    Ok(i) => i,
                    Err(f) => return failed(f),
                };
                (it.steps, it.diagonals) = (steps, diagonals);
            }
        }
    } else {
        next.measures.stationarity = it.normal_norm / (it.norm * right).max(f64::MIN_POSITIVE);
    }
    next.measures.gradient_scale = 1.0;
    next.measures.gap = f64::NAN;
    next.records[0] = it.normal_norm / it.first.max(f64::MIN_POSITIVE);
    it.x.iter_mut().zip(by).for_each(|(x, s)| *x *= s);
    let steps = it.steps;
    pack(it, goal, renewed, next);
    match reason {
        None if steps >= krylov::most_steps(now.x.len()) => Outcome::Finish(Reason::new(
            Status::StepLimit,
            format!("{steps} steps did not bring the residual to the tolerance; a preconditioner or `direct()` may"),
        )),
        Some(r) => Outcome::Finish(r),
        None => Outcome::Proceed(Events::default()),
    }
}
