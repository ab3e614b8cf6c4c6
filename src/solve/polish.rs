//! Second looks at what an interior-point solver returned: the equations of its active set solved to full precision, and
//! certificates sought as problems of their own.
//!
//! Invariant: a second look replaces the first only if every residual recomputed from the form says that it is better.

use ravine_linalg::clarabel_adapter::{Cone, ConicForm, ConicSettings, ConicStatus, solve_conic};
use ravine_linalg::qr::{RFactor, null_space};
use ravine_linalg::solve::{least_squares, solve_linear};
use ravine_linalg::{Csr, Dense, Matrix};

use super::verify;

/// Unknowns up to which the equations of the active set are solved.
const LARGEST: usize = 1_500;
/// Unknowns up to which that is done densely.
const DENSE: usize = 150;

/// The point and multipliers of the same active set, by refined factorization: exact where the active set is right and
/// the equations are regular. `None` for second-order and exponential cones, large systems, or where it is no better.
pub fn polish(form: &ConicForm, constant: f64, x: &[f64], z: &[f64], s: &[f64]) -> Option<(Vec<f64>, Vec<f64>)> {
    let (n, m) = (x.len(), z.len());
    let equations = equations(form)?;
    let active: Vec<usize> = (0..m).filter(|i| equations[*i] || z[*i] > s[*i]).collect();
    let size = n + active.len();
    // Without curvature the active rows must settle the point alone.
    let vertex = form.p.values.is_empty().then_some(active.len() == n);
    if size > LARGEST || size == 0 || vertex == Some(false) {
        return None;
    }
    let mut entries = vec![];
    for i in 0..n {
        for (j, v) in entries_of(&form.p, i) {
            entries.push((i, j, v));
        }
    }
    for (k, row) in active.iter().enumerate() {
        for (j, v) in entries_of(&form.a, *row) {
            entries.push((n + k, j, v));
            entries.push((j, n + k, v));
        }
    }
    let kkt = Csr::from_triplets(size, size, &entries);
    let kkt = if size <= DENSE {
        Matrix::Dense(kkt.to_dense())
    } else {
        Matrix::Sparse(kkt)
    };
    // In differences to the point at hand, so that a singular system moves it as little as it must.
    let (mut px, mut atz) = (vec![0.0; n], vec![0.0; n]);
    form.p.mul_vec(x, &mut px);
    let mut held = vec![0.0; m];
    active.iter().for_each(|i| held[*i] = z[*i]);
    form.a.mul_vec_transposed(&held, &mut atz);
    let mut ax = vec![0.0; m];
    form.a.mul_vec(x, &mut ax);
    let mut rhs: Vec<f64> = (0..n).map(|i| -(px[i] + form.q[i] + atz[i])).collect();
    rhs.extend(active.iter().map(|i| form.b[*i] - ax[*i]));
    let solved = solve_linear(&kkt, &rhs).ok();
    let settled = solved.as_ref().is_some_and(|s| s.condition.value <= TRUSTED);
    let by_squares = if settled {
        None
    } else {
        squares(form, &active, (x, &held), &rhs[n..])
    };
    let by_equations = solved.map(|s| s.x);
    let pair = |moves: Vec<f64>| settle(form, &active, &equations, (x, &held), &moves);
    let judged = |(x, z): (Vec<f64>, Vec<f64>)| {
        let worth = worth(form, constant, &equations, &x, &z);
        let low = verify::value(form, &x);
        Judged { x, z, worth, low }
    };
    let given = judged((x.to_vec(), z.to_vec()));
    let mut best: Option<Judged> = None;
    for found in [by_squares, by_equations].into_iter().flatten().map(pair).map(judged) {
        if found.beats(best.as_ref().unwrap_or(&given)) {
            best = Some(found);
        }
    }
    best.map(|b| (b.x, b.z))
}

/// A pair, its largest residual, and its objective without the constant.
struct Judged {
    x: Vec<f64>,
    z: Vec<f64>,
    worth: f64,
    low: f64,
}

/// Largest residual below which residuals do not tell which of two points is the better one: along directions that hardly
/// bend the objective they are all small. The objective does.
const ALIKE: f64 = 1e-7;

impl Judged {
    fn beats(&self, other: &Judged) -> bool {
        if self.worth <= ALIKE && other.worth <= ALIKE && self.low.is_finite() {
            let apart = 1e-6 * self.low.abs().max(other.low.abs());
            if (self.low - other.low).abs() > apart {
                return self.low < other.low;
            }
        }
        self.worth < other.worth
    }
}

/// Which rows are equations; `None` where there are other cones than these and half lines.
pub fn equations(form: &ConicForm) -> Option<Vec<bool>> {
    let mut out = Vec::with_capacity(form.b.len());
    for c in &form.cones {
        let equal = match c {
            Cone::Zero(_) => true,
            Cone::Nonneg(_) => false,
            _ => return None,
        };
        out.resize(out.len() + c.rows(), equal);
    }
    Some(out)
}

/// Point and multipliers after the moves of both.
fn settle(
    form: &ConicForm,
    active: &[usize],
    equations: &[bool],
    (x, held): (&[f64], &[f64]),
    moves: &[f64],
) -> (Vec<f64>, Vec<f64>) {
    let n = x.len();
    let mut point: Vec<f64> = x.iter().zip(moves).map(|(a, d)| a + d).collect();
    let mut multipliers = held.to_vec();
    for (i, d) in active.iter().zip(&moves[n..]) {
        multipliers[*i] += d;
    }
    // A bound that is active holds exactly, not to the last bit but one.
    for i in active {
        if let [(j, v)] = entries_of(&form.a, *i).collect::<Vec<_>>()[..]
            && v.abs() == 1.0
        {
            point[j] = form.b[*i] * v;
        }
    }
    // Multipliers of the wrong sign by rounding only.
    let size_z = multipliers.iter().fold(0.0f64, |w, v| w.max(v.abs()));
    for i in active.iter().filter(|i| !equations[**i]) {
        if multipliers[*i] < 0.0 && multipliers[*i] > -1e-13 * (1.0 + size_z) {
            multipliers[*i] = 0.0;
        }
    }
    (point, multipliers)
}

/// Condition of the equations up to which their solution needs no second route.
const TRUSTED: f64 = 1e10;
/// Unknowns up to which a sum of squares is minimized on the active rows as what it is.
const SQUARES: usize = 600;

/// Moves of point and multipliers to the least sum of squares on the active rows, for a diagonal `P`: least squares on their
/// null space, which keeps the condition of the squares where the equations of the optimum square it (A. Bjorck, "Numerical
/// Methods for Least Squares Problems", 1996, section 5.1.3). `off` is what the active rows are off by.
fn squares(form: &ConicForm, active: &[usize], (x, held): (&[f64], &[f64]), off: &[f64]) -> Option<Vec<f64>> {
    let n = x.len();
    if n > SQUARES || active.len() >= n || form.p.values.is_empty() {
        return None;
    }
    let mut weight = vec![0.0; n];
    for (i, j, v) in form.p.triplets() {
        if i != j || v < 0.0 {
            return None;
        }
        weight[i] = v;
    }
    let mut rows = Dense::zeros(active.len(), n);
    for (k, row) in active.iter().enumerate() {
        entries_of(&form.a, *row).for_each(|(j, v)| rows.set(k, j, v));
    }
    let free = null_space(&rows);
    let rows = Matrix::Dense(rows);
    let mut moves = if active.is_empty() {
        vec![0.0; n]
    } else {
        least_squares(&rows, off).ok()?.x
    };
    if free.rows == 0 {
        return None;
    }
    let weighed: Vec<usize> = (0..n).filter(|i| weight[*i] > 0.0).collect();
    let root = |i: usize| weight[i].sqrt();
    let f = Dense::from_fn(weighed.len(), free.rows, |a, j| {
        root(weighed[a]) * free.at(j, weighed[a])
    });
    let goal: Vec<f64> = weighed.iter().map(|i| -root(*i) * (x[*i] + moves[*i])).collect();
    let f = Matrix::Dense(f);
    let mut along = least_squares(&f, &goal).ok()?.x;
    let mut slope = vec![0.0; free.rows];
    free.mul_vec(&form.q, &mut slope);
    let size = form.q.iter().fold(0.0f64, |m, v| m.max(v.abs()));
    if slope.iter().any(|v| v.abs() > 1e-14 * size) {
        RFactor::new(&f).ok()?.gram_solve(&mut slope);
        along.iter_mut().zip(&slope).for_each(|(w, s)| *w -= s);
    }
    let mut by = vec![0.0; n];
    free.mul_vec_transposed(&along, &mut by);
    moves.iter_mut().zip(&by).for_each(|(m, b)| *m += b);
    let slopes: Vec<f64> = (0..n).map(|i| -(weight[i] * (x[i] + moves[i]) + form.q[i])).collect();
    if !active.is_empty() {
        let multipliers = least_squares(&rows.transpose(), &slopes).ok()?.x;
        moves.extend(active.iter().zip(multipliers).map(|(i, v)| v - held[*i]));
    }
    Some(moves)
}

/// Multipliers that prove infeasibility, set right on the rows that carry them: moved as little as lets `A'z` vanish there.
pub fn sharpened(form: &ConicForm, z: &[f64]) -> Option<Vec<f64>> {
    if form.cones.iter().any(|c| !matches!(c, Cone::Zero(_) | Cone::Nonneg(_))) {
        return None;
    }
    let most = z.iter().fold(0.0f64, |m, v| m.max(v.abs()));
    let carry: Vec<usize> = (0..z.len()).filter(|i| z[*i].abs() > 1e-6 * most).collect();
    if carry.is_empty() || carry.len().max(form.q.len()) > LARGEST {
        return None;
    }
    let mut entries = vec![];
    let mut rest = vec![0.0; form.q.len()];
    for (k, i) in carry.iter().enumerate() {
        for (j, v) in entries_of(&form.a, *i) {
            entries.push((j, k, v));
            rest[j] -= v * z[*i];
        }
    }
    let rows = Matrix::Sparse(Csr::from_triplets(form.q.len(), carry.len(), &entries));
    let by = least_squares(&rows, &rest).ok()?.x;
    let mut out = vec![0.0; z.len()];
    carry.iter().zip(by).for_each(|(i, d)| out[*i] = z[*i] + d);
    verify::proves_infeasible(form, &out).then_some(out)
}

/// The largest residual of a pair: rows, stationarity, dual cone and gap, each relative.
pub fn worth(form: &ConicForm, constant: f64, equations: &[bool], x: &[f64], z: &[f64]) -> f64 {
    let worst = off_rows(form, equations, x);
    let d = verify::dual(form, constant, x, z);
    let mut px = vec![0.0; x.len()];
    form.p.mul_vec(x, &mut px);
    let f = 0.5 * ravine_linalg::reduce::dot(x, &px) + ravine_linalg::reduce::dot(&form.q, x) + constant;
    let gap = (f - d.objective).abs() / (1.0 + f.abs());
    let all = [worst, d.stationarity, d.outside, gap];
    if all.iter().any(|v| v.is_nan()) {
        return f64::INFINITY;
    }
    all.into_iter().fold(0.0, f64::max)
}

/// The direction of one coordinate, if that alone proves the problem unbounded (or infeasible).
pub fn along(form: &ConicForm, i: usize) -> Option<Vec<f64>> {
    [1.0, -1.0].into_iter().find_map(|step| {
        let mut ray = vec![0.0; form.q.len()];
        ray[i] = step;
        verify::proves_unbounded(form, &ray).then_some(ray)
    })
}

/// The largest violation of a row, over `1 + |b|`.
pub fn off_rows(form: &ConicForm, equations: &[bool], x: &[f64]) -> f64 {
    let mut ax = vec![0.0; form.b.len()];
    form.a.mul_vec(x, &mut ax);
    let mut worst = 0.0f64;
    for i in 0..ax.len() {
        let off = ax[i] - form.b[i];
        let off = if equations[i] { off.abs() } else { off.max(0.0) };
        worst = worst.max(off / (1.0 + form.b[i].abs()));
    }
    worst
}

/// A direction that proves the problem unbounded (or infeasible), found as the solution of a problem that is itself
/// bounded: `min q'd` with `P d = 0`, `-A d` in the cone, `q'd >= -1`.
pub fn direction(form: &ConicForm, interrupted: &mut dyn FnMut() -> bool) -> Option<Vec<f64>> {
    let n = form.q.len();
    let mut entries = vec![];
    let mut rows = 0;
    for i in 0..n {
        if entries_of(&form.p, i).any(|e| e.1 != 0.0) {
            entries.extend(entries_of(&form.p, i).map(|(j, v)| (rows, j, v)));
            rows += 1;
        }
    }
    let mut cones = vec![Cone::Zero(rows)];
    for i in 0..form.a.rows {
        entries.extend(entries_of(&form.a, i).map(|(j, v)| (rows + i, j, v)));
    }
    rows += form.a.rows;
    cones.extend(&form.cones);
    entries.extend(
        form.q
            .iter()
            .enumerate()
            .filter(|e| *e.1 != 0.0)
            .map(|(j, v)| (rows, j, -v)),
    );
    cones.push(Cone::Nonneg(1));
    let mut b = vec![0.0; rows];
    b.push(1.0);
    let ray = ConicForm {
        p: Csr::zeros(n, n),
        q: form.q.clone(),
        a: Csr::from_triplets(rows + 1, n, &entries),
        b,
        cones,
    };
    let found = settled(&ray, interrupted)?;
    verify::proves_unbounded(form, &found).then_some(found)
}

/// Multipliers that prove the constraints infeasible: `min b'z` with `A'z = 0`, `z` in the dual cone, `b'z >= -1`.
/// `None` with exponential cones.
pub fn multipliers(form: &ConicForm, interrupted: &mut dyn FnMut() -> bool) -> Option<Vec<f64>> {
    let (n, m) = (form.q.len(), form.b.len());
    let mut entries = vec![];
    for i in 0..m {
        entries.extend(entries_of(&form.a, i).map(|(j, v)| (j, i, v)));
    }
    let mut cones = vec![Cone::Zero(n)];
    let (mut rows, mut at) = (n, 0);
    for c in &form.cones {
        match c {
            Cone::Zero(_) => {}
            Cone::Nonneg(k) | Cone::SecondOrder(k) => {
                entries.extend((0..*k).map(|i| (rows + i, at + i, -1.0)));
                rows += k;
                cones.push(*c);
            }
            Cone::Semidefinite(_) => {
                entries.extend((0..c.rows()).map(|i| (rows + i, at + i, -1.0)));
                rows += c.rows();
                cones.push(*c);
            }
            Cone::Exp | Cone::Power(_) => return None,
        }
        at += c.rows();
    }
    entries.extend(
        form.b
            .iter()
            .enumerate()
            .filter(|e| *e.1 != 0.0)
            .map(|(i, v)| (rows, i, -v)),
    );
    cones.push(Cone::Nonneg(1));
    let mut b = vec![0.0; rows];
    b.push(1.0);
    let farkas = ConicForm {
        p: Csr::zeros(m, m),
        q: form.b.clone(),
        a: Csr::from_triplets(rows + 1, m, &entries),
        b,
        cones,
    };
    let mut found = settled(&farkas, interrupted)?;
    // Rounding outside the cone is moved inside, where that is possible coordinate by coordinate.
    let mut at = 0;
    for c in &form.cones {
        if let Cone::Nonneg(k) = c {
            found[at..at + k].iter_mut().for_each(|v| *v = v.max(0.0));
        }
        at += c.rows();
    }
    verify::proves_infeasible(form, &found).then_some(found)
}

fn settled(form: &ConicForm, interrupted: &mut dyn FnMut() -> bool) -> Option<Vec<f64>> {
    let settings = ConicSettings {
        tol: 1e-10,
        ..ConicSettings::default()
    };
    let found = solve_conic(form, &settings, interrupted, &mut |_| {}).ok()?;
    matches!(found.status, ConicStatus::Solved | ConicStatus::AlmostSolved).then_some(found.x)
}

fn entries_of(a: &Csr, i: usize) -> impl Iterator<Item = (usize, f64)> + '_ {
    let (c, v) = a.row(i);
    c.iter().copied().zip(v.iter().copied())
}
