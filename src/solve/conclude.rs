//! What a finished run is worth to the user: residuals at the user's own point, the status they allow, duals by constraint.
//!
//! Invariant: a method's claim is taken as a claim; every number here is computed from the user's model or the bound form.

use ravine_linalg::clarabel_adapter::ConicForm;

use super::compiled::{Answer, Compiled};
use super::composite::Composite;
use super::method::Class;
use super::methods::{clarabel, conditions, direct};
use super::model::Model;
use super::oracle::{Bounds, Form, Oracle};
use super::run::Finished;
use super::smooth::Smooth;
use super::state::{Measures, Slot, State};
use super::stop::Status;
use super::vectors::Kkt;
use super::verify;
use crate::exec::Fault;
use crate::forms::matrices::Fold;

/// A finished run with its last state.
pub(super) struct Ended {
    /// The last committed state.
    pub state: State,
    /// The run's own account.
    pub finished: Finished,
}

/// What turns multipliers of the form's rows into duals.
pub(super) struct Dual<'a> {
    /// The bound form.
    pub form: &'a ConicForm,
    /// Constant of its objective.
    pub constant: f64,
    /// The user's objective for one of the form's.
    pub unit: f64,
    /// First row and number of rows of each group.
    pub spans: &'a [(usize, usize)],
    /// What the rows of a group are made of, where they are no scalars of the user.
    pub entries: &'a [Option<Vec<(usize, usize, f64)>>],
    /// The form's variable of each coordinate.
    pub fold: &'a Fold,
    /// Lower bounds of the user's variables.
    pub lower: &'a [f64],
    /// Upper bounds.
    pub upper: &'a [f64],
}

impl Dual<'_> {
    /// Numbers that belong to a group's constraint.
    fn len(&self, group: usize) -> usize {
        match &self.entries[group] {
            None => self.spans[group].1,
            Some(made_of) => made_of.iter().map(|e| e.0 + 1).max().unwrap_or(0),
        }
    }

    /// Adds a group's multipliers, times a factor, to what belongs to its constraint.
    fn add(&self, group: usize, factor: f64, z: &[f64], to: &mut [f64]) {
        let (first, len) = self.spans[group];
        let z = &z[first..first + len];
        match &self.entries[group] {
            None => to.iter_mut().zip(z).for_each(|(d, z)| *d += factor * z),
            Some(made_of) => {
                for (entry, row, f) in made_of {
                    to[*entry] += factor * f * z[*row];
                }
            }
        }
    }
}

impl Answer {
    fn take(&mut self, done: &Finished) {
        self.status = done.claim;
        self.reason.clone_from(&done.reason.why);
        self.iterations = Some(done.iterations);
        self.reproducible = done.reproducible;
    }

    /// Least squares: stationarity recomputed, error and condition of the factorization.
    pub(super) fn conclude_least_squares(
        &mut self,
        done: Ended,
        (rows, cols): (usize, usize),
        worst: impl FnOnce(&[f64]) -> f64,
        class: Class,
        rounded: bool,
        tolerance: f64,
    ) {
        self.take(&done.finished);
        let whole = done.finished.whole;
        if whole {
            self.iterations = None;
        }
        if matches!(done.finished.claim, Status::EvaluationError) {
            return;
        }
        let number = |k: usize| match done.state.slots.get(k) {
            Some(Slot::Number(v)) => *v,
            _ => f64::NAN,
        };
        let rank = match done.state.slots.get(direct::RANK) {
            Some(Slot::Count(r)) => *r as usize,
            _ => 0,
        };
        let x = done.finished.point.values;
        let rank_known = if whole { format!("; rank {rank}") } else { String::new() };
        self.log
            .push(format!("{rows} rows, {cols} columns, {}{rank_known}", self.reason));
        let worst = worst(&x);
        self.residuals.push(("stationarity".into(), worst));
        let condition = number(direct::CONDITION);
        // Scaling rows by unequal weights rounded the entries: a relative change of half an ulp each.
        let rounding = if rounded { f64::EPSILON * condition } else { 0.0 };
        // An iteration that did not get there says nothing of either.
        let said = whole || condition.is_finite();
        self.estimated = said && !whole;
        self.error = said.then(|| number(direct::ERROR) + rounding);
        self.condition = said.then_some(condition);
        // Of a system the equations are looked at instead.
        let system = class == Class::LinearSystem && !whole;
        if !system && self.status == Status::Optimal && (worst.is_nan() || worst > tolerance.max(1e-12)) {
            self.status = Status::PrecisionLimited;
        }
        if rank < cols {
            self.deficient = Some((rank, cols));
        } else if self.status == Status::Optimal {
            self.reason.clear();
        }
        self.x = x;
    }

    /// Smooth problems: the gradient recomputed at the point that is reported, with multipliers where there are constraints.
    pub(super) fn conclude_smooth(
        &mut self,
        done: Ended,
        s: &mut Smooth,
        bounds: &Bounds,
        maximize: bool,
        tolerance: f64,
    ) -> Option<Kkt> {
        let evidence = done.state.slots;
        let done = done.finished;
        self.take(&done);
        self.log = done.trace.lines();
        self.x = done.point.values;
        if !matches!(self.status, Status::EvaluationError) {
            self.fault = None;
        }
        let mut g = vec![0.0; self.x.len()];
        let answered = s.value_gradient(&self.x, &mut g).ok();
        let kkt = match answered {
            Some(_) => s.kkt(&self.x, &g).and_then(Result::ok),
            None => None,
        };
        let found = answered.map(|f| {
            if let Some(k) = &kkt {
                return (k.stationarity, k.scale);
            }
            let mut m = Measures::default();
            conditions::measure(Some(bounds), s.unit(), &self.x, f, &g, &mut m);
            (m.stationarity, m.gradient_scale)
        });
        self.slope = found.map(|f| f.0);
        let recomputed = found.map(|f| f.0 / f.1);
        if recomputed.is_some() {
            let mut reduced = vec![];
            let slope = kkt.as_ref().map_or(&g, |k| &k.slope);
            conditions::bound_multipliers(Some(bounds), slope, &self.x, &mut reduced);
            if maximize {
                reduced.iter_mut().for_each(|r| *r = -*r);
            }
            self.reduced = Some(reduced);
        }
        let measured = recomputed.unwrap_or(done.measures.stationarity / done.measures.gradient_scale);
        self.residuals.push(("stationarity".into(), measured));
        // Methods for quadratics report what their answer is worth in the first slots.
        if s.class == Class::ConvexQuadratic
            && let [Slot::Number(condition), Slot::Number(error), ..] = evidence[..]
            && condition.is_finite()
        {
            (self.condition, self.estimated) = (Some(condition), true);
            // Of an answer that no step was needed for nothing is known.
            self.error = error.is_finite().then_some(error);
        }
        let claims = matches!(
            self.status,
            Status::Optimal | Status::LocallyOptimal | Status::Stationary
        );
        if claims && (measured.is_nan() || measured > tolerance * 1.000_001) {
            self.status = self.status.downgrade(Status::PrecisionLimited);
            self.reason = format!("the gradient at the point is {measured:.1e}, relative");
        }
        if s.kinks && matches!(self.status, Status::PrecisionLimited | Status::Stalled) {
            self.reason += "; where the objective has a kink, methods for smooth functions stop short: `subgradient` goes on, `solve` chooses by itself";
        }
        kkt
    }

    /// Constraints that the method heeded itself: their violation at the point that is reported, and multipliers.
    pub(super) fn conclude_constraints(
        &mut self,
        kkt: Option<Kkt>,
        model: &mut Model,
        maximize: bool,
        tolerance: f64,
    ) -> Result<(), Fault> {
        if matches!(self.status, Status::EvaluationError) {
            return Ok(());
        }
        model.eval(&self.x)?;
        let rows = model.rows();
        let (l, u) = model.bounds();
        let found = verify::violation(&rows, &self.x, &l, &u);
        self.residuals.insert(0, ("violation".into(), found.violation));
        self.worst = found.worst;
        let met = found.violation <= tolerance * 1.000_001;
        let claims = [
            Status::Optimal,
            Status::LocallyOptimal,
            Status::Stationary,
            Status::Feasible,
        ];
        if claims.contains(&self.status) && !met {
            self.status = self.status.downgrade(Status::Stalled);
            self.reason = format!("the constraints are violated by {:.1e}, relative", found.violation);
        }
        if let Some(k) = kkt {
            let sense = if maximize { -1.0 } else { 1.0 };
            self.duals = rows.iter().map(|r| vec![0.0; r.slack.len()]).collect();
            for (constraint, instance, dual) in k.duals {
                if let Some(d) = self.duals.get_mut(constraint).and_then(|d| d.get_mut(instance)) {
                    *d += sense * dual;
                }
            }
        }
        Ok(())
    }

    /// Composite problems: proximal residual and gap recomputed at the point that is reported, from the whole objective as
    /// the user wrote it; multipliers of the bounds from the gradient there.
    pub(super) fn conclude_composite(
        &mut self,
        done: Ended,
        c: &mut Composite,
        model: &mut Model,
        maximize: bool,
        tolerance: f64,
    ) -> Result<(), Fault> {
        let done = done.finished;
        self.take(&done);
        self.log = done.trace.lines();
        self.x = done.point.values;
        let parts = c.parts.clone();
        if matches!(self.status, Status::EvaluationError) {
            return Ok(());
        }
        self.fault = None;
        model.eval(&self.x)?;
        let rows = model.rows();
        let (l, u) = model.bounds();
        let found = verify::violation(&rows, &self.x, &l, &u);
        let violation = found.violation;
        let mut g = vec![0.0; self.x.len()];
        let recomputed = match (c.value(&self.x), Oracle::gradient(c, &self.x, &mut g)) {
            (Ok(whole), Ok(())) => Some(parts.optimality(&self.x, &g, whole)),
            _ => None,
        };
        self.slope = recomputed.map(|o| o.stationarity);
        let (stationarity, gap) = match recomputed {
            Some(o) => (o.stationarity / o.scale, Some(o.gap).filter(|v| !v.is_nan())),
            None => (done.measures.stationarity / done.measures.gradient_scale, None),
        };
        if violation > 0.0 || !rows.is_empty() {
            self.residuals.push(("violation".into(), violation));
        }
        self.residuals.push(("stationarity".into(), stationarity));
        if let Some(gap) = gap {
            self.residuals.push(("gap".into(), gap));
        }
        let r = verify::Residuals {
            violation,
            worst: found.worst,
            stationarity: Some(stationarity / 1.000_001),
            gap: gap.map(|v| v / 1.000_001),
        };
        let (status, why) = verify::grant(self.status, &r, tolerance);
        self.status = status;
        if !why.is_empty() {
            self.reason = why;
        }
        if self.status == Status::Stationary && (stationarity.is_nan() || stationarity > tolerance * 1.000_001) {
            self.status = self.status.downgrade(Status::PrecisionLimited);
            self.reason = format!("the proximal residual at the point is {stationarity:.1e}, relative");
        }
        self.worst = found.worst;
        let s = &parts.simple;
        let sense = if maximize { -1.0 } else { 1.0 };
        if recomputed.is_some() && !rows.is_empty() {
            let mut duals: Vec<Vec<f64>> = rows.iter().map(|r| vec![0.0; r.slack.len()]).collect();
            c.form.duals(s, &self.x, &g, &mut duals);
            duals.iter_mut().flatten().for_each(|d| *d *= sense);
            self.duals = duals;
        }
        if recomputed.is_some() && l.iter().chain(&u).any(|b| b.is_finite()) {
            let reduced = (0..g.len()).map(|i| {
                let x = self.x[i];
                let slope = g[i] + if x < 0.0 { -s.l1[i] } else { s.l1[i] };
                match (x <= l[i], x >= u[i]) {
                    (true, true) => sense * slope,
                    (true, false) => sense * slope.max(0.0),
                    (false, true) => sense * slope.min(0.0),
                    _ => 0.0,
                }
            });
            self.reduced = Some(reduced.collect());
        }
        Ok(())
    }
}

impl Compiled {
    /// Quadratics solved by the system of their gradient: the gradient recomputed at the point that is reported; where the
    /// system has no solution, the direction that proves there is no minimum.
    pub(super) fn conclude_quadratic(&mut self, a: &mut Answer, form: &Form, tolerance: f64) {
        let Form::LeastSquares { a: matrix, b } = form else {
            return;
        };
        if a.x.is_empty() {
            return;
        }
        if a.status == Status::Infeasible {
            // A residual that the matrix maps to nothing, and along which the linear term falls.
            let mut r = vec![0.0; b.len()];
            matrix.mul_vec(&a.x, &mut r);
            r.iter_mut().zip(b).for_each(|(r, b)| *r = b - *r);
            a.residuals.clear();
            a.error = None;
            a.status = Status::Unbounded;
            a.reason = "no curvature along a direction in which the objective falls".into();
            a.certificate = self.direction(&r);
            return;
        }
        let super::classify::Kind::Smooth(s) = &mut self.kind else {
            return;
        };
        let mut g = vec![0.0; a.x.len()];
        if Oracle::gradient(s.as_mut(), &a.x, &mut g).is_err() {
            a.status = a.status.downgrade(Status::EvaluationError);
            a.fault.clone_from(&s.last_fault);
            return;
        }
        let mut m = Measures::default();
        conditions::measure(None, s.unit(), &a.x, 0.0, &g, &mut m);
        let measured = m.stationarity / m.gradient_scale;
        a.residuals = vec![("stationarity".into(), measured)];
        if a.status == Status::Optimal && !(measured <= tolerance) {
            a.status = a.status.downgrade(Status::PrecisionLimited);
            a.reason = format!("the gradient at the point is {measured:.1e}, relative: rounding allows no less");
        }
    }

    /// Linear systems: the violation of the user's equations; of a system without solution, the combination of equations
    /// that proves it. `residual` is that of the point, `normal` how far it is from orthogonal to all columns.
    pub(super) fn conclude_system(
        &mut self,
        a: &mut Answer,
        residual: &[f64],
        normal: f64,
        tolerance: f64,
    ) -> Result<(), Fault> {
        self.model.eval(&a.x)?;
        let rows = self.model.rows();
        let everywhere = vec![f64::INFINITY; a.x.len()];
        let nowhere = vec![f64::NEG_INFINITY; a.x.len()];
        let r = verify::violation(&rows, &a.x, &nowhere, &everywhere);
        if a.status == Status::Infeasible {
            a.residuals.clear();
            if normal > tolerance {
                a.status = a.status.downgrade(Status::Stalled);
                a.reason = "the combination of equations that should prove it did not pass the check".into();
                return Ok(());
            }
            // The residual of a least-squares solution is orthogonal to all columns, but not to the right side.
            let mut first = 0;
            for (c, rows) in self.problem.constraints.iter().zip(&rows) {
                let part = residual[first..first + rows.slack.len()].to_vec();
                first += part.len();
                if part.iter().any(|v| *v != 0.0) {
                    a.certificate.push((c.name.clone(), part));
                }
            }
            a.x.clear();
            a.error = None;
            return Ok(());
        }
        a.residuals = vec![("violation".into(), r.violation)];
        a.worst = r.worst;
        let (status, why) = verify::grant(a.status, &r, tolerance);
        a.status = status;
        if !why.is_empty() {
            a.reason = why;
        }
        // The optimal value is 0 whatever the right sides are.
        a.duals = rows.iter().map(|r| vec![0.0; r.slack.len()]).collect();
        Ok(())
    }

    /// Cone programs: violation, stationarity and gap in the user's terms, duals by constraint, certificates by name.
    pub(super) fn conclude_conic(
        &mut self,
        a: &mut Answer,
        done: Ended,
        dual: &Dual<'_>,
        tolerance: f64,
    ) -> Result<(), Fault> {
        let done_state = done.state;
        let done = done.finished;
        a.take(&done);
        a.log = clarabel::log_lines(&done_state);
        if let Some(Slot::Count(1)) = done_state.slots.get(clarabel::RESCALED) {
            a.method_why += "; rescaled, since the data span many magnitudes";
        }
        a.iterations = match done_state.slots.get(clarabel::ITERATIONS) {
            Some(Slot::Count(k)) => Some(*k),
            _ => None,
        };
        let n = self.columns.len();
        let z = &done.multipliers;
        if z.len() != dual.form.b.len() {
            // It ended before the first point: there is nothing to measure.
            return Ok(());
        }
        match a.status {
            Status::Infeasible => {
                a.certificate = self.multipliers(dual, z);
                return Ok(());
            }
            Status::Unbounded | Status::Stalled => {
                if let Some(Slot::Array(ray)) = done_state.slots.get(clarabel::RAY)
                    && !ray.is_empty()
                {
                    a.certificate = self.direction(&dual.fold.coordinates(ray, n));
                    if a.status == Status::Unbounded {
                        a.x = dual.fold.coordinates(&done.point.values, n);
                    }
                    return Ok(());
                }
            }
            _ => {}
        }
        // The point the user gets satisfies the bounds exactly; everything is measured there.
        let (l, u) = (dual.lower, dual.upper);
        let mut x = dual.fold.coordinates(&done.point.values, n);
        for ((x, l), u) in x.iter_mut().zip(l).zip(u) {
            *x = x.max(*l).min(*u);
        }
        self.model.eval(&x)?;
        let rows = self.model.rows();
        let mut r = verify::violation(&rows, &x, l, u);
        let f = if self.maximize {
            -self.model.objective()
        } else {
            self.model.objective()
        } / dual.unit;
        let d = verify::dual(dual.form, dual.constant, &done.point.values, z);
        r.stationarity = Some(d.stationarity.max(d.outside));
        r.gap = Some(((f - d.objective).abs() + d.hidden) / (1.0 + f.abs()));
        let (status, why) = verify::grant(a.status, &r, tolerance);
        a.status = status;
        if status == Status::Optimal || !why.is_empty() {
            a.reason = why;
        }
        a.residuals.push(("violation".into(), r.violation));
        a.residuals
            .push(("stationarity".into(), r.stationarity.unwrap_or(f64::NAN)));
        a.residuals.push(("gap".into(), r.gap.unwrap_or(f64::NAN)));
        a.worst = r.worst;
        // Multipliers to duals, in one place.
        let sense = if self.maximize { -dual.unit } else { dual.unit };
        a.duals = rows.iter().map(|r| vec![0.0; r.slack.len()]).collect();
        for (group, constraint, sign) in &self.origins {
            let out = &mut a.duals[*constraint];
            let mut own = vec![0.0; out.len()];
            dual.add(*group, sense * sign, z, &mut own);
            for (o, v) in out.iter_mut().zip(own) {
                // One side of a row holds it. Where both sides are one number, the multipliers of the two are known only up to
                // what they have in common.
                *o = match *o * v > 0.0 {
                    true if o.abs() < v.abs() => v - *o,
                    true => *o - v,
                    false => *o + v,
                };
            }
        }
        let mut reduced = vec![0.0; n];
        let (l, u) = dual.fold.bounds(l, u);
        let mut at = dual.spans.last().map_or(0, |s| s.0 + s.1);
        for (k, r) in reduced.iter_mut().enumerate() {
            if l[k] == u[k] {
                *r += sense * z[at];
                at += 1;
                continue;
            }
            if l[k].is_finite() {
                *r += sense * z[at];
                at += 1;
            }
            if u[k].is_finite() {
                *r -= sense * z[at];
                at += 1;
            }
        }
        // The two entries of a symmetric matrix share what their bound is worth.
        for k in 0..n {
            let first = dual.fold.leader(k);
            if first != k {
                reduced[first] *= 0.5;
                reduced[k] = reduced[first];
            }
        }
        a.reduced = Some(reduced);
        a.x = x;
        Ok(())
    }

    /// Multipliers of the user's constraints that are not all zero, by constraint (bounds are left out).
    fn multipliers(&self, dual: &Dual<'_>, z: &[f64]) -> Vec<(String, Vec<f64>)> {
        let mut out: Vec<(String, Vec<f64>)> = vec![];
        for (group, constraint, sign) in &self.origins {
            let name = &self.problem.constraints[*constraint].name;
            let k = out.iter().position(|o| o.0 == *name).unwrap_or_else(|| {
                out.push((name.clone(), vec![0.0; dual.len(*group)]));
                out.len() - 1
            });
            dual.add(*group, -sign, z, &mut out[k].1);
        }
        out.retain(|o| o.1.iter().any(|v| *v != 0.0));
        out
    }

    /// A direction by variable.
    fn direction(&self, x: &[f64]) -> Vec<(String, Vec<f64>)> {
        let blocks = self.problem.vars.iter().zip(&self.columns.blocks);
        blocks
            .map(|(v, (_, first, len))| (v.name.clone(), x[*first..first + len].to_vec()))
            .collect()
    }
}
