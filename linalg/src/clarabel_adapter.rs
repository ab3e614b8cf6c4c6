//! Cone programs solved by Clarabel: minimize (1/2) x'P x + q'x subject to A x + s = b, s in K.
//!
//! Invariant: the only file that names Clarabel; the solve is single-threaded, so its bits do not depend on the threads
//! of the caller, and it never prints.
//!
//! Source: P. Goulart and Y. Chen, "Clarabel: an interior-point solver for conic programs with quadratic objectives", 2024.

use crate::fault::{NumericalFault, check_finite, check_len};
use crate::sparse::Csr;
use clarabel::algebra::CscMatrix;
use clarabel::solver::{DefaultInfo, DefaultSettingsBuilder, DefaultSolver, IPSolver, SolverStatus, SupportedConeT};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Mutex;
use std::sync::mpsc::channel;

const PLACE: &str = "clarabel";

/// One factor of the cone K, over consecutive rows of A x + s = b.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Cone {
    /// s = 0, over so many rows.
    Zero(usize),
    /// s >= 0, over so many rows.
    Nonneg(usize),
    /// s_1 >= |(s_2, …, s_n)|, over n rows.
    SecondOrder(usize),
    /// The closure of {s_2 exp(s_1 / s_2) <= s_3, s_2 > 0}, over three rows.
    Exp,
    /// {s_1^a s_2^(1-a) >= |s_3|, s_1, s_2 >= 0} with 0 < a < 1, over three rows.
    Power(f64),
    /// The symmetric positive semidefinite matrices of this order, over n (n + 1) / 2 rows: the upper triangle column by
    /// column, entries off the diagonal times √2, so that products of rows are inner products of matrices.
    Semidefinite(usize),
}

impl Cone {
    /// Rows the cone takes.
    pub fn rows(self) -> usize {
        match self {
            Cone::Zero(n) | Cone::Nonneg(n) | Cone::SecondOrder(n) => n,
            Cone::Exp | Cone::Power(_) => 3,
            Cone::Semidefinite(n) => n * (n + 1) / 2,
        }
    }
}

/// A cone program: minimize (1/2) x'P x + q'x subject to A x + s = b, s in K.
#[derive(Clone, Debug, PartialEq)]
pub struct ConicForm {
    /// P, n x n positive semidefinite: symmetric, or its upper triangle alone.
    pub p: Csr,
    /// q, of length n.
    pub q: Vec<f64>,
    /// A, m x n.
    pub a: Csr,
    /// b, of length m.
    pub b: Vec<f64>,
    /// The factors of K in the order of the rows; their rows add up to m.
    pub cones: Vec<Cone>,
}

/// When to stop.
#[derive(Clone, Debug, PartialEq)]
pub struct ConicSettings {
    /// Tolerance on the gap (absolute and relative) and on feasibility.
    pub tol: f64,
    /// Iterations at most.
    pub max_iter: u32,
    /// Seconds at most; infinite for no limit.
    pub time_limit: f64,
}

impl Default for ConicSettings {
    fn default() -> Self {
        ConicSettings {
            tol: 1e-8,
            max_iter: 200,
            time_limit: f64::INFINITY,
        }
    }
}

/// Why the solver stopped, in its own words; nothing here has been verified.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ConicStatus {
    /// Met the tolerance.
    Solved,
    /// Met a looser tolerance.
    AlmostSolved,
    /// `z` is a certificate: A'z = 0, b'z < 0, z in the dual cone.
    PrimalInfeasible,
    /// `x` is a certificate: P x = 0, q'x < 0, -A x in K.
    DualInfeasible,
    /// Ran out of iterations.
    MaxIterations,
    /// Ran out of time.
    MaxTime,
    /// Could not go on.
    NumericalError,
    /// The caller asked to stop.
    Interrupted,
}

/// Measures of one iteration.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct ConicIteration {
    /// Iteration number, from 0.
    pub iteration: u32,
    /// Primal objective.
    pub primal: f64,
    /// Dual objective.
    pub dual: f64,
    /// Relative gap between them.
    pub gap: f64,
    /// Relative residual of A x + s = b.
    pub r_prim: f64,
    /// Relative residual of P x + A'z + q = 0.
    pub r_dual: f64,
    /// Barrier parameter.
    pub mu: f64,
    /// Length of the step that led here.
    pub step: f64,
}

/// What the solver returned.
#[derive(Clone, Debug, PartialEq)]
pub struct ConicSolution {
    /// Primal point or certificate of dual infeasibility, of length n.
    pub x: Vec<f64>,
    /// Dual point or certificate of primal infeasibility, of length m; Lagrangian (1/2) x'P x + q'x + z'(A x + s - b).
    pub z: Vec<f64>,
    /// Slack, of length m.
    pub s: Vec<f64>,
    /// Why it stopped.
    pub status: ConicStatus,
    /// Whether a certificate met only the looser tolerance.
    pub almost: bool,
    /// Iterations taken.
    pub iterations: u32,
    /// Relative primal residual by the solver's own report.
    pub r_prim: f64,
    /// Relative dual residual by the solver's own report.
    pub r_dual: f64,
    /// Primal objective; NaN when infeasible or unbounded.
    pub objective: f64,
    /// Dual objective; NaN when infeasible or unbounded.
    pub dual_objective: f64,
}

/// Solves a cone program; `interrupted` is polled and `log` called once an iteration.
///
/// Bad data (sizes, NaN, cones) are a fault; everything else is in the status.
pub fn solve_conic(
    form: &ConicForm,
    settings: &ConicSettings,
    interrupted: &mut dyn FnMut() -> bool,
    log: &mut dyn FnMut(&ConicIteration),
) -> Result<ConicSolution, NumericalFault> {
    check(form)?;
    if form.q.is_empty() {
        // Clarabel wants a variable: one that is 0 and touches nothing.
        let padded = ConicForm {
            p: Csr::identity(1),
            q: vec![0.0],
            a: Csr::zeros(form.a.rows, 1),
            b: form.b.clone(),
            cones: form.cones.clone(),
        };
        let mut found = solve_conic(&padded, settings, interrupted, log)?;
        found.x.clear();
        return Ok(found);
    }
    let cones: Vec<SupportedConeT<f64>> = form.cones.iter().filter(|c| c.rows() > 0).map(cone).collect();
    let options = DefaultSettingsBuilder::default()
        .verbose(false)
        .max_iter(settings.max_iter)
        .time_limit(settings.time_limit)
        .max_threads(1)
        .presolve_enable(false)
        .chordal_decomposition_enable(false)
        .tol_gap_abs(settings.tol)
        .tol_gap_rel(settings.tol)
        .tol_feas(settings.tol)
        .build()
        .map_err(|e| NumericalFault::new(format!("settings refused: {e}"), PLACE, settings.tol))?;
    let p = csc(&form.p.upper_triangle());
    let a = csc(&form.a);

    // Clarabel keeps its callback for ever, ours borrow from the caller: the solve runs on a thread of its own and asks
    // through a pair of channels, one question and one answer an iteration.
    let (ask, questions) = channel::<ConicIteration>();
    let (answer, answers) = channel::<bool>();
    let answers = Mutex::new(answers);
    std::thread::scope(|scope| {
        let worker = scope.spawn(move || {
            // A panic inside the solver is a fault of this solve, not of the process.
            catch_unwind(AssertUnwindSafe(|| {
                let mut solver = DefaultSolver::new(&p, &form.q, &a, &form.b, &cones, options)
                    .map_err(|e| NumericalFault::new(format!("problem refused: {e}"), PLACE, f64::NAN))?;
                solver.set_termination_callback(move |info: &DefaultInfo<f64>| {
                    let stop = |_| true;
                    ask.send(measures(info))
                        .map_or_else(stop, |()| answers.lock().map_or(true, |a| a.recv().unwrap_or(true)))
                });
                solver.solve();
                Ok(solution(&solver))
            }))
        });
        while let Ok(iteration) = questions.recv() {
            log(&iteration);
            if answer.send(interrupted()).is_err() {
                break;
            }
        }
        match worker.join() {
            Ok(Ok(result)) => result,
            _ => Err(NumericalFault::new("the solver broke down", PLACE, f64::NAN)),
        }
    })
}

fn check(form: &ConicForm) -> Result<(), NumericalFault> {
    let (n, m) = (form.q.len(), form.b.len());
    check_len(PLACE, "rows of P", n, form.p.rows)?;
    check_len(PLACE, "columns of P", n, form.p.cols)?;
    check_len(PLACE, "rows of A", m, form.a.rows)?;
    check_len(PLACE, "columns of A", n, form.a.cols)?;
    check_len(PLACE, "rows of the cones", m, form.cones.iter().map(|c| c.rows()).sum())?;
    check_finite(PLACE, "P", &form.p.values)?;
    check_finite(PLACE, "q", &form.q)?;
    check_finite(PLACE, "A", &form.a.values)?;
    check_finite(PLACE, "b", &form.b)?;
    match form
        .cones
        .iter()
        .find(|c| matches!(c, Cone::Power(a) if !(*a > 0.0 && *a < 1.0)))
    {
        Some(Cone::Power(a)) => Err(NumericalFault::new("power outside (0, 1)", PLACE, *a)),
        _ => Ok(()),
    }
}

fn cone(c: &Cone) -> SupportedConeT<f64> {
    match *c {
        Cone::Zero(n) => SupportedConeT::ZeroConeT(n),
        Cone::Nonneg(n) => SupportedConeT::NonnegativeConeT(n),
        // A cone of one row is the half line; Clarabel wants at least two.
        Cone::SecondOrder(1) => SupportedConeT::NonnegativeConeT(1),
        Cone::SecondOrder(n) => SupportedConeT::SecondOrderConeT(n),
        Cone::Exp => SupportedConeT::ExponentialConeT(),
        Cone::Power(a) => SupportedConeT::PowerConeT(a),
        Cone::Semidefinite(n) => SupportedConeT::PSDTriangleConeT(n),
    }
}

fn csc(a: &Csr) -> CscMatrix<f64> {
    let t = a.transpose();
    CscMatrix::new(a.rows, a.cols, t.indptr, t.indices, t.values)
}

fn measures(info: &DefaultInfo<f64>) -> ConicIteration {
    ConicIteration {
        iteration: info.iterations,
        primal: info.cost_primal,
        dual: info.cost_dual,
        gap: info.gap_rel,
        r_prim: info.res_primal,
        r_dual: info.res_dual,
        mu: info.mu,
        step: info.step_length,
    }
}

fn solution(solver: &DefaultSolver<f64>) -> ConicSolution {
    let found = &solver.solution;
    let (status, almost) = match found.status {
        SolverStatus::Solved => (ConicStatus::Solved, false),
        SolverStatus::AlmostSolved => (ConicStatus::AlmostSolved, true),
        SolverStatus::PrimalInfeasible => (ConicStatus::PrimalInfeasible, false),
        SolverStatus::AlmostPrimalInfeasible => (ConicStatus::PrimalInfeasible, true),
        SolverStatus::DualInfeasible => (ConicStatus::DualInfeasible, false),
        SolverStatus::AlmostDualInfeasible => (ConicStatus::DualInfeasible, true),
        SolverStatus::MaxIterations => (ConicStatus::MaxIterations, false),
        SolverStatus::MaxTime => (ConicStatus::MaxTime, false),
        SolverStatus::CallbackTerminated => (ConicStatus::Interrupted, false),
        SolverStatus::Unsolved | SolverStatus::NumericalError | SolverStatus::InsufficientProgress => {
            (ConicStatus::NumericalError, false)
        }
    };
    ConicSolution {
        x: found.x.clone(),
        z: found.z.clone(),
        s: found.s.clone(),
        status,
        almost,
        iterations: found.iterations,
        r_prim: found.r_prim,
        r_dual: found.r_dual,
        objective: found.obj_val,
        dual_objective: found.obj_val_dual,
    }
}
