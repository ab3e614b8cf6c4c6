//! Linear and convex quadratic programs as the interior-point iterations want them: fixed variables taken out, bounds
//! apart from the other rows, everything in units of its own.
//!
//! Invariant: `back` undoes it: point, multipliers and certificates come out in the form's own rows and columns.
//!
//! Source: D. Ruiz, "A scaling algorithm to equilibrate both rows and columns norms in matrices", RAL-TR-2001-034.

use ravine_linalg::Csr;
use ravine_linalg::clarabel_adapter::ConicForm;

use crate::solve::polish;

/// Rounds of scaling; each takes the square root of what is left.
const ROUNDS: usize = 12;
/// Rounds of taking fixed variables out; each may leave more rows of one variable.
const PASSES: usize = 10;

/// A bound: the sign of its variable in `sign x <= b`.
#[derive(Clone, Copy)]
pub struct Bound {
    /// The variable.
    pub column: usize,
    /// 1 for an upper bound, -1 for a lower one.
    pub sign: f64,
}

/// A variable with one value.
struct Fixed {
    column: usize,
    value: f64,
    /// The row that fixes it; or the two that do together, the second with the opposite sign.
    rows: (usize, Option<usize>),
}

/// min ½x'Px + q'x with G x + s = b, the first `equal` rows with s = 0, then bounds.
pub struct Program<'a> {
    form: &'a ConicForm,
    /// P, symmetric.
    pub p: Csr,
    /// Rows of more than one variable.
    pub g: Csr,
    /// G'.
    gt: Csr,
    /// q.
    pub q: Vec<f64>,
    /// Right-hand sides of the rows of G, then of the bounds.
    pub b: Vec<f64>,
    /// The rows after those of G.
    pub bounds: Vec<Bound>,
    /// Rows of G that are equations; they come first.
    pub equal: usize,
    /// Rows of the form, and their factors.
    rows: Vec<usize>,
    row_by: Vec<f64>,
    /// Columns of the form, and their factors.
    columns: Vec<usize>,
    column_by: Vec<f64>,
    /// Factors of the point and of the objective.
    pub length: f64,
    /// Factor of the objective, beside that of the point.
    pub objective: f64,
    fixed: Vec<Fixed>,
}

/// The residuals of a point and multipliers in the form's own units, each relative, and the objective without constant.
#[derive(Clone, Copy, Debug)]
pub struct Measures {
    /// Largest violation of a row, over 1 + |b|.
    pub violation: f64,
    /// ‖Px + q + A'z‖∞ over 1 + ‖(q, Px)‖∞.
    pub stationarity: f64,
    /// Gap and what the residuals may hide of it, over 1 + |objective|.
    pub gap: f64,
    /// ½x'Px + q'x.
    pub primal: f64,
    /// -½x'Px - b'z.
    pub dual: f64,
}

impl Measures {
    /// The largest.
    pub fn worst(&self) -> f64 {
        let all = [self.violation, self.stationarity, self.gap];
        if all.iter().any(|v| v.is_nan()) {
            return f64::INFINITY;
        }
        all.into_iter().fold(0.0, f64::max)
    }
}

impl<'a> Program<'a> {
    /// The program in units of its own; with `shorten` the point too, so that no right-hand side is above 1. `None` where
    /// the form has other cones.
    pub fn new(form: &'a ConicForm, shorten: bool) -> Option<Program<'a>> {
        let equations = polish::equations(form)?;
        let (fixed, kept, b) = take_fixed(form, &equations);
        let n = kept.iter().filter(|k| k.is_some()).count();
        let mut columns = vec![0; n];
        let mut q = vec![0.0; n];
        for (j, k) in kept.iter().enumerate() {
            if let Some(k) = k {
                (columns[*k], q[*k]) = (j, form.q[j]);
            }
        }
        let mut entries = vec![];
        for (k, j) in columns.iter().enumerate() {
            for (i, v) in form.p.entries(*j) {
                if let Some(i) = kept[i] {
                    entries.push((k, i, v));
                }
            }
        }
        for f in &fixed {
            for (i, v) in form.p.entries(f.column) {
                if let Some(i) = kept[i] {
                    q[i] += v * f.value;
                }
            }
        }
        let p = Csr::from_triplets(n, n, &entries);
        // Rows by kind: equations, inequalities, bounds; rows that only hold fixed variables are dropped where they hold.
        let mut of_kind = [vec![], vec![], vec![]];
        for i in 0..form.b.len() {
            let left = form
                .a
                .entries(i)
                .filter(|(j, v)| kept[*j].is_some() && *v != 0.0)
                .count();
            let had = form.a.entries(i).any(|(_, v)| v != 0.0);
            let off = if equations[i] { b[i].abs() } else { -b[i] };
            if left == 0 && had && off <= 1e-12 * (1.0 + form.b[i].abs()) {
                continue;
            }
            of_kind[if equations[i] {
                0
            } else if left == 1 {
                2
            } else {
                1
            }]
            .push(i);
        }
        let [equal, unequal, single] = &of_kind;
        let rows: Vec<usize> = equal.iter().chain(unequal).chain(single).copied().collect();
        let (general, m) = (equal.len() + unequal.len(), rows.len());
        let of_row = |i: usize| {
            form.a
                .entries(i)
                .filter(|e| e.1 != 0.0)
                .filter_map(|(j, v)| Some((kept[j]?, v)))
        };
        let mut entries = vec![];
        for (k, i) in rows[..general].iter().enumerate() {
            entries.extend(of_row(*i).map(|(j, v)| (k, j, v)));
        }
        let mut g = Csr::from_triplets(general, n, &entries);
        let (mut row_by, column_by) = equilibrate(&p, &g);
        row_by.resize(m, 1.0);
        let mut bounds = Vec::with_capacity(m - general);
        for (k, i) in rows.iter().enumerate().skip(general) {
            if let Some((column, v)) = of_row(*i).next() {
                row_by[k] = 1.0 / (v.abs() * column_by[column]);
                bounds.push(Bound {
                    column,
                    sign: v.signum(),
                });
            }
        }
        g.scale_rows(&row_by[..general]);
        g.scale_cols(&column_by);
        let mut p = p;
        p.scale_rows(&column_by);
        p.scale_cols(&column_by);
        let mut b: Vec<f64> = rows.iter().zip(&row_by).map(|(i, r)| b[*i] * r).collect();
        q.iter_mut().zip(&column_by).for_each(|(q, c)| *q *= c);
        let most = |v: &[f64]| v.iter().fold(0.0f64, |m, v| m.max(v.abs()));
        let length = if shorten {
            power_of_two(1.0 / most(&b).max(1.0))
        } else {
            1.0
        };
        b.iter_mut().for_each(|b| *b *= length);
        q.iter_mut().for_each(|q| *q *= length);
        let mean = (0..n).map(|j| most(p.row(j).1)).sum::<f64>() / (n.max(1) as f64);
        let size = most(&q).max(mean);
        let objective = if size > 0.0 { power_of_two(1.0 / size) } else { 1.0 };
        q.iter_mut().for_each(|q| *q *= objective);
        p.values.iter_mut().for_each(|v| *v *= objective);
        Some(Program {
            form,
            gt: g.transpose(),
            p,
            g,
            q,
            b,
            bounds,
            equal: equal.len(),
            rows,
            row_by,
            columns,
            column_by,
            length,
            objective,
            fixed,
        })
    }

    /// Variables left.
    pub fn n(&self) -> usize {
        self.q.len()
    }

    /// Rows and bounds left.
    pub fn m(&self) -> usize {
        self.b.len()
    }

    /// Rows that are no bounds.
    pub fn general(&self) -> usize {
        self.g.rows
    }

    /// A x, over rows and bounds.
    pub fn apply(&self, x: &[f64], out: &mut [f64]) {
        let (rows, bounds) = out.split_at_mut(self.general());
        self.g.mul_vec(x, rows);
        for (o, b) in bounds.iter_mut().zip(&self.bounds) {
            *o = b.sign * x[b.column];
        }
    }

    /// A'z.
    pub fn adjoint(&self, z: &[f64], out: &mut [f64]) {
        let (rows, bounds) = z.split_at(self.general());
        self.back(rows, out);
        for (z, b) in bounds.iter().zip(&self.bounds) {
            out[b.column] += b.sign * z;
        }
    }

    /// G'y, along whichever of rows and columns are longer.
    pub fn back(&self, y: &[f64], out: &mut [f64]) {
        if self.g.rows < self.g.cols {
            self.g.mul_vec_transposed(y, out);
        } else {
            self.gt.mul_vec(y, out);
        }
    }

    /// What `x / tau`, `z / tau` are worth, from products already made: Px, A'z and Ax, none divided.
    pub fn measure(&self, (x, z, tau): (&[f64], &[f64], f64), px: &[f64], atz: &[f64], ax: &[f64]) -> Measures {
        let mut violation = 0.0f64;
        for i in 0..self.m() {
            let off = ax[i] / tau - self.b[i];
            let off = if i < self.equal { off.abs() } else { off.max(0.0) };
            let by = self.row_by[i] * self.length;
            violation = largest(violation, off / by / (1.0 + self.b[i].abs() / by));
        }
        let (mut worst, mut size, mut hidden) = (0.0f64, 0.0f64, 0.0);
        let (mut xpx, mut qx) = (0.0, 0.0);
        for j in 0..self.n() {
            let by = self.column_by[j] * self.length * self.objective;
            let off = ((px[j] + atz[j]) / tau + self.q[j]).abs();
            worst = largest(worst, off / by);
            size = size.max(self.q[j].abs() / by).max((px[j] / tau).abs() / by);
            hidden += off * (x[j] / tau).abs();
            xpx += x[j] / tau * (px[j] / tau);
            qx += self.q[j] * (x[j] / tau);
        }
        let bz = ravine_linalg::reduce::dot(&self.b, z) / tau;
        let by = self.objective * self.length * self.length;
        let (primal, dual) = ((0.5 * xpx + qx) / by, (-0.5 * xpx - bz) / by);
        Measures {
            violation,
            stationarity: worst / (1.0 + size),
            gap: ((primal - dual).abs() + 0.1 * hidden / by) / (1.0 + primal.abs()),
            primal,
            dual,
        }
    }

    /// A point of the form from one of these units; as a direction, fixed variables stay where they are.
    pub fn point(&self, x: &[f64], tau: f64, direction: bool) -> Vec<f64> {
        let mut out = vec![0.0; self.form.q.len()];
        for (k, j) in self.columns.iter().enumerate() {
            out[*j] = x[k] * self.column_by[k] / (self.length * tau);
        }
        if !direction {
            self.fixed.iter().for_each(|f| out[f.column] = f.value);
        }
        out
    }

    /// Slacks of the form from ones of these units.
    pub fn slacks(&self, s: &[f64], tau: f64) -> Vec<f64> {
        let mut out = vec![0.0; self.form.b.len()];
        for (k, i) in self.rows.iter().enumerate() {
            out[*i] = s[k] / (self.row_by[k] * self.length * tau);
        }
        out
    }

    /// Multipliers of the form from ones of these units. What fixes a variable has the multiplier that makes it
    /// stationary: at `x`, or in a certificate of infeasibility, where only A'z counts.
    pub fn multipliers(&self, z: &[f64], tau: f64, x: Option<&[f64]>) -> Vec<f64> {
        let mut out = vec![0.0; self.form.b.len()];
        for (k, i) in self.rows.iter().enumerate() {
            out[*i] = z[k] * self.row_by[k] / (self.objective * self.length * tau);
        }
        if self.fixed.is_empty() {
            return out;
        }
        let n = self.form.q.len();
        let mut slope = vec![0.0; n];
        if let Some(x) = x {
            self.form.p.mul_vec(x, &mut slope);
            slope.iter_mut().zip(&self.form.q).for_each(|(s, q)| *s += q);
        }
        let mut atz = vec![0.0; n];
        self.form.a.mul_vec_transposed(&out, &mut atz);
        slope.iter_mut().zip(&atz).for_each(|(s, a)| *s += a);
        // Rows of one variable in the order they became so: the last were left alone by fixing the others.
        for f in self.fixed.iter().rev() {
            let entry = |i: usize| self.form.a.get(i, f.column);
            let by = -slope[f.column] / entry(f.rows.0);
            let (row, by) = match f.rows.1 {
                Some(other) if by < 0.0 => (other, -slope[f.column] / entry(other)),
                _ => (f.rows.0, by),
            };
            out[row] += by;
            self.form.a.entries(row).for_each(|(j, v)| slope[j] += v * by);
        }
        out
    }

    /// Puts the bounds that hold with equality at the form's own numbers, where their coefficient is 1 or -1.
    pub fn exactly(&self, active: &[bool], x: &mut [f64]) {
        for k in self.general()..self.m() {
            if active[k]
                && let [(j, v)] = self
                    .form
                    .a
                    .entries(self.rows[k])
                    .filter(|e| e.1 != 0.0)
                    .collect::<Vec<_>>()[..]
                && v.abs() == 1.0
            {
                x[j] = self.form.b[self.rows[k]] * v;
            }
        }
    }
}

/// The fixed variables, the place of the others among those kept, and what is left of the right-hand sides.
fn take_fixed(form: &ConicForm, equations: &[bool]) -> (Vec<Fixed>, Vec<Option<usize>>, Vec<f64>) {
    let n = form.q.len();
    let mut free = vec![true; n];
    let mut b = form.b.clone();
    let mut fixed: Vec<Fixed> = vec![];
    let columns = form.a.transpose();
    let mut used = vec![false; form.b.len()];
    for _ in 0..PASSES {
        let before = fixed.len();
        let mut upper: Vec<Option<(f64, usize)>> = vec![None; n];
        let mut lower = upper.clone();
        let mut found = vec![];
        for i in 0..form.b.len() {
            let mut left = form.a.entries(i).filter(|(j, v)| free[*j] && *v != 0.0);
            let (Some((j, a)), None) = (left.next(), left.next()) else {
                continue;
            };
            if used[i] {
                continue;
            }
            let v = b[i] / a;
            if equations[i] {
                found.push(Fixed {
                    column: j,
                    value: v,
                    rows: (i, None),
                });
            } else if a > 0.0 {
                upper[j] = Some(upper[j].filter(|u| u.0 <= v).unwrap_or((v, i)));
            } else {
                lower[j] = Some(lower[j].filter(|l| l.0 >= v).unwrap_or((v, i)));
            }
        }
        for j in 0..n {
            if let (Some((u, above)), Some((l, below))) = (upper[j], lower[j])
                && u == l
            {
                found.push(Fixed {
                    column: j,
                    value: u,
                    rows: (above, Some(below)),
                });
            }
        }
        for f in found {
            if !std::mem::replace(&mut free[f.column], false) {
                continue;
            }
            for (i, a) in columns.entries(f.column) {
                b[i] -= a * f.value;
            }
            used[f.rows.0] = true;
            b[f.rows.0] = 0.0;
            if let Some(other) = f.rows.1 {
                used[other] = true;
                b[other] = 0.0;
            }
            fixed.push(f);
        }
        if fixed.len() == before {
            break;
        }
    }
    let mut kept = vec![None; n];
    for (place, j) in (0..n).filter(|j| free[*j]).enumerate() {
        kept[j] = Some(place);
    }
    (fixed, kept, b)
}

/// Factors of rows and columns that bring the entries of [P G'; G 0] near 1.
fn equilibrate(p: &Csr, g: &Csr) -> (Vec<f64>, Vec<f64>) {
    let (mut rows, mut columns) = (vec![1.0f64; g.rows], vec![1.0f64; g.cols]);
    for _ in 0..ROUNDS {
        let (mut r, mut c) = (vec![0.0f64; g.rows], vec![0.0f64; g.cols]);
        for i in 0..g.rows {
            for (j, v) in g.entries(i) {
                let v = (v * rows[i] * columns[j]).abs();
                r[i] = r[i].max(v);
                c[j] = c[j].max(v);
            }
        }
        for i in 0..p.rows {
            for (j, v) in p.entries(i) {
                c[j] = c[j].max((v * columns[i] * columns[j]).abs());
            }
        }
        let even = |v: &f64| *v == 0.0 || (*v > 0.99 && *v < 1.01);
        if r.iter().chain(&c).all(even) {
            break;
        }
        let ease = |by: &mut [f64], size: &[f64]| {
            by.iter_mut()
                .zip(size)
                .filter(|e| *e.1 > 0.0)
                .for_each(|(b, s)| *b /= s.sqrt());
        };
        ease(&mut rows, &r);
        ease(&mut columns, &c);
    }
    rows.iter_mut().chain(&mut columns).for_each(|v| *v = power_of_two(*v));
    (rows, columns)
}

fn power_of_two(v: f64) -> f64 {
    let e = ravine_linalg::math::log2(v).round().clamp(-300.0, 300.0);
    2f64.powi(e as i32)
}

/// The larger; infinite where one is not a number.
fn largest(a: f64, b: f64) -> f64 {
    if b.is_nan() { f64::INFINITY } else { a.max(b) }
}
