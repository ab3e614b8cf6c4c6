//! Linear, convex quadratic and semidefinite programs as the interior-point iterations want them: fixed variables taken
//! out, bounds apart from the other rows, matrices apart from both, everything in units of its own.
//!
//! Invariant: `back` undoes it: point, multipliers and certificates come out in the form's own rows and columns.
//!
//! Source: D. Ruiz, "A scaling algorithm to equilibrate both rows and columns norms in matrices", RAL-TR-2001-034.

use std::ops::Range;

use ravine_linalg::Csr;
use ravine_linalg::clarabel_adapter::{Cone, ConicForm};
use ravine_linalg::semidefinite::{Gram, packed};

/// Rounds of scaling; each takes the square root of what is left.
const ROUNDS: usize = 12;
/// How far curvatures along the entries of a matrix may be apart, in parts of them, to count as one.
const ALIKE: f64 = 1e-14;
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

/// A matrix `b - F x` that is to be semidefinite.
pub struct Block {
    /// Its order.
    pub order: usize,
    /// Its rows among all.
    pub rows: Range<usize>,
    /// Its variables, where each of its entries is one of its own and F is -1; they are eliminated first.
    pub own: Option<Range<usize>>,
    /// F, otherwise, by its rows and by its columns.
    pub f: Csr,
    pub ft: Csr,
    /// Curvature of the objective along each of its own variables, the same for all in units of the matrix.
    pub damping: f64,
    /// What its metric adds to the equations: of the rows of G where it has its own variables, else of the columns of F.
    pub gram: Gram,
}

/// min ½x'Px + q'x with G x + s = b, the first `equal` rows with s = 0, then bounds, then matrices.
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
    /// The rows after the bounds.
    pub blocks: Vec<Block>,
    /// Variables that no matrix has for its own; these come first.
    pub plain: usize,
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
    /// the form has other cones than equations, half lines and semidefinite matrices.
    pub fn new(form: &'a ConicForm, shorten: bool) -> Option<Program<'a>> {
        let kinds = kinds(form)?;
        let (fixed, free, b) = take_fixed(form, &kinds);
        let (blocks, columns, plain) = matrices(form, &free);
        let n = columns.len();
        let mut kept = vec![None; form.q.len()];
        let mut q = vec![0.0; n];
        for (k, j) in columns.iter().enumerate() {
            kept[*j] = Some(k);
            q[k] = form.q[*j];
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
        let of_row = |i: usize| {
            form.a
                .entries(i)
                .filter(|e| e.1 != 0.0)
                .filter_map(|(j, v)| Some((kept[j]?, v)))
        };
        // Rows by kind: equations, inequalities, bounds; rows that only hold fixed variables are dropped where they hold.
        let mut of_kind = [vec![], vec![], vec![]];
        for i in (0..form.b.len()).filter(|i| kinds[*i] != Kind::Matrix) {
            let left = of_row(i).count();
            let had = form.a.entries(i).any(|(_, v)| v != 0.0);
            let equal = kinds[i] == Kind::Equal;
            let off = if equal { b[i].abs() } else { -b[i] };
            if left == 0 && had && off <= 1e-12 * (1.0 + form.b[i].abs()) {
                continue;
            }
            let single = left == 1 && of_row(i).all(|e| e.0 < plain);
            of_kind[if equal {
                0
            } else if single {
                2
            } else {
                1
            }]
            .push(i);
        }
        let [equal, unequal, single] = &of_kind;
        let mut rows: Vec<usize> = equal.iter().chain(unequal).chain(single).copied().collect();
        let (general, linear) = (equal.len() + unequal.len(), rows.len());
        rows.extend(blocks.iter().flat_map(|b| b.rows.clone()));
        let m = rows.len();
        // Rows of matrices that have no variables of their own are scaled with the others, each matrix by one factor.
        let shared: Vec<&Found> = blocks.iter().filter(|b| b.own.is_none()).collect();
        let mut entries = vec![];
        let all = rows[..general]
            .iter()
            .copied()
            .chain(shared.iter().flat_map(|b| b.rows.clone()));
        let mut count = 0;
        for (k, i) in all.enumerate() {
            entries.extend(of_row(i).map(|(j, v)| (k, j, v)));
            count = k + 1;
        }
        let mut g = Csr::from_triplets(count, n, &entries);
        let mut column_by = vec![1.0; n];
        for b in &blocks {
            for (k, i) in b.own.iter().flat_map(|own| own.clone().zip(b.rows.clone())) {
                // The row becomes -1.
                of_row(i).for_each(|(_, v)| column_by[k] = -1.0 / v);
            }
        }
        let mut groups = vec![];
        let mut next = general;
        for b in &shared {
            groups.push(next..next + b.rows.len());
            next += b.rows.len();
        }
        let mut row_by = equilibrate(&p, &g, &groups, plain, &mut column_by);
        g.scale_rows(&row_by);
        g.scale_cols(&column_by);
        let of_groups: Vec<f64> = groups.iter().map(|r| row_by[r.start]).collect();
        row_by.truncate(general);
        row_by.resize(m, 1.0);
        let mut bounds = Vec::with_capacity(linear - general);
        for (k, i) in rows[..linear].iter().enumerate().skip(general) {
            if let Some((column, v)) = of_row(*i).next() {
                row_by[k] = 1.0 / (v.abs() * column_by[column]);
                bounds.push(Bound {
                    column,
                    sign: v.signum(),
                });
            }
        }
        let (whole, mut next, mut of_group) = (g, linear, of_groups.iter());
        let mut made = Vec::with_capacity(blocks.len());
        let g = whole.part(0..general, 0..n);
        let mut at = general;
        for found in &blocks {
            let of = next..next + found.rows.len();
            next = of.end;
            let (order, own) = (found.order, found.own.clone());
            let (f, gram) = match &own {
                Some(own) => {
                    let part = g.part(0..general, own.clone());
                    let to: Vec<usize> = (0..general).map(|i| plain + i).collect();
                    (Csr::zeros(0, plain), Gram::new(order, &part, &to))
                }
                None => {
                    let by = of_group.next().copied().unwrap_or(1.0);
                    row_by[of.clone()].fill(by);
                    let f = whole.part(at..at + of.len(), 0..plain);
                    at += of.len();
                    let to: Vec<usize> = (0..plain).collect();
                    let gram = Gram::new(order, &f.transpose(), &to);
                    (f, gram)
                }
            };
            made.push(Block {
                order,
                rows: of,
                own,
                damping: 0.0,
                ft: f.transpose(),
                f,
                gram: gram.ok()?,
            });
        }
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
        for b in &mut made {
            b.damping = b.own.as_ref().map_or(0.0, |own| p.get(own.start, own.start));
        }
        Some(Program {
            form,
            gt: g.transpose(),
            p,
            g,
            q,
            b,
            bounds,
            blocks: made,
            plain,
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

    /// Rows and bounds left, and entries of matrices.
    pub fn m(&self) -> usize {
        self.b.len()
    }

    /// Rows and bounds left.
    pub fn linear(&self) -> usize {
        self.general() + self.bounds.len()
    }

    /// Rows that are no bounds.
    pub fn general(&self) -> usize {
        self.g.rows
    }

    /// A x, over rows, bounds and matrices.
    pub fn apply(&self, x: &[f64], out: &mut [f64]) {
        let (rows, rest) = out.split_at_mut(self.general());
        self.g.mul_vec(x, rows);
        for (o, b) in rest.iter_mut().zip(&self.bounds) {
            *o = b.sign * x[b.column];
        }
        for b in &self.blocks {
            let out = &mut out[b.rows.clone()];
            match &b.own {
                Some(own) => out.iter_mut().zip(&x[own.clone()]).for_each(|(o, x)| *o = -x),
                None => b.f.mul_vec(&x[..self.plain], out),
            }
        }
    }

    /// A'z.
    pub fn adjoint(&self, z: &[f64], out: &mut [f64]) {
        let (rows, bounds) = z.split_at(self.general());
        self.back(rows, out);
        for (z, b) in bounds.iter().zip(&self.bounds) {
            out[b.column] += b.sign * z;
        }
        let mut product = vec![0.0; self.plain];
        for b in &self.blocks {
            let z = &z[b.rows.clone()];
            match &b.own {
                Some(own) => out[own.clone()].iter_mut().zip(z).for_each(|(o, z)| *o -= z),
                None => {
                    b.ft.mul_vec(z, &mut product);
                    out.iter_mut().zip(&product).for_each(|(o, v)| *o += v);
                }
            }
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

    /// What `x / tau`, `s / tau`, `z / tau` are worth, from products already made: Px, A'z and Ax, none divided.
    pub fn measure(
        &self,
        (x, s, z, tau): (&[f64], &[f64], &[f64], f64),
        px: &[f64],
        atz: &[f64],
        ax: &[f64],
    ) -> Measures {
        let mut violation = 0.0f64;
        for i in 0..self.linear() {
            let off = ax[i] / tau - self.b[i];
            let off = if i < self.equal { off.abs() } else { off.max(0.0) };
            let by = self.row_by[i] * self.length;
            violation = largest(violation, off / by / (1.0 + self.b[i].abs() / by));
        }
        // What multipliers pay for rows that do not hold; only where matrices let both grow without end.
        let mut paid = 0.0;
        for block in &self.blocks {
            let by = self.row_by[block.rows.start] * self.length;
            let (mut sum, mut size, mut trace, mut k) = (0.0, 0.0f64, 0.0, block.rows.start);
            for j in 0..block.order {
                for i in 0..=j {
                    let off = (ax[k] + s[k]) / tau - self.b[k];
                    sum += off * off;
                    size = size.max(self.b[k].abs());
                    if i == j {
                        trace += z[k] / tau;
                    }
                    k += 1;
                }
            }
            paid += trace.abs() * sum.sqrt();
            violation = largest(violation, sum.sqrt() / by / (1.0 + size / by));
        }
        let share = if self.blocks.is_empty() {
            0.1
        } else {
            for i in 0..self.linear() {
                let off = ax[i] / tau - self.b[i];
                let off = if i < self.equal { off.abs() } else { off.max(0.0) };
                paid += off * (z[i] / tau).abs();
            }
            1.0
        };
        let (mut worst, mut size, mut hidden) = (0.0f64, 0.0f64, 0.0);
        let (mut xpx, mut qx) = (0.0, 0.0);
        for j in 0..self.n() {
            let by = self.column_by[j].abs() * self.length * self.objective;
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
            gap: ((primal - dual).abs() + (share * hidden + paid) / by) / (1.0 + primal.abs()),
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
        for k in self.general()..self.linear() {
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

/// Variables and rows that stay when matrices are eliminated, and the entries of each matrix; `None` where there are other
/// cones.
pub fn left(form: &ConicForm) -> Option<(usize, Vec<usize>)> {
    let kinds = kinds(form)?;
    let (_, free, _) = take_fixed(form, &kinds);
    let (blocks, columns, plain) = matrices(form, &free);
    let mut stays = vec![false; free.len()];
    columns[..plain].iter().for_each(|j| stays[*j] = true);
    let is_row = |i: usize| {
        let mut left = form.a.entries(i).filter(|(j, v)| free[*j] && *v != 0.0);
        match (left.next(), left.next()) {
            (None, _) => false,
            (Some((j, _)), None) => kinds[i] == Kind::Equal || !stays[j],
            _ => true,
        }
    };
    let rows = (0..form.b.len())
        .filter(|i| kinds[*i] != Kind::Matrix && is_row(*i))
        .count();
    Some((plain + rows, blocks.iter().map(|b| b.rows.len()).collect()))
}

/// What a row belongs to.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Kind {
    Equal,
    Unequal,
    Matrix,
}

/// The kinds of the rows; `None` where there are other cones.
fn kinds(form: &ConicForm) -> Option<Vec<Kind>> {
    let mut out = Vec::with_capacity(form.b.len());
    for c in &form.cones {
        let kind = match c {
            Cone::Zero(_) => Kind::Equal,
            Cone::Nonneg(_) => Kind::Unequal,
            Cone::Semidefinite(_) => Kind::Matrix,
            _ => return None,
        };
        out.resize(out.len() + c.rows(), kind);
    }
    Some(out)
}

/// A matrix of the form.
struct Found {
    order: usize,
    /// Rows of the form.
    rows: Range<usize>,
    /// Variables of its own, by their new places.
    own: Option<Range<usize>>,
}

/// The matrices of a form, the variables in their new order, and how many of them no matrix has for its own.
///
/// A matrix has its entries for its own where each is one variable that no other matrix touches, where the objective has no
/// curvature in them or the same in all directions, and where bounds on them do not make more rows than they are.
fn matrices(form: &ConicForm, free: &[bool]) -> (Vec<Found>, Vec<usize>, usize) {
    let mut found = vec![];
    let mut first = 0;
    let mut uses = vec![0usize; form.q.len()];
    for c in &form.cones {
        let rows = first..first + c.rows();
        first = rows.end;
        if let Cone::Semidefinite(order) = c
            && *order > 0
        {
            rows.clone()
                .for_each(|i| form.a.entries(i).filter(|e| e.1 != 0.0).for_each(|e| uses[e.0] += 1));
            found.push(Found {
                order: *order,
                rows,
                own: None,
            });
        }
    }
    if found.is_empty() {
        let columns: Vec<usize> = (0..free.len()).filter(|j| free[*j]).collect();
        let plain = columns.len();
        return (found, columns, plain);
    }
    let (mut curved, curvature) = (vec![false; form.q.len()], form.p.diagonal());
    for (i, j, v) in form.p.triplets() {
        if v != 0.0 && i != j {
            (curved[i], curved[j]) = (true, true);
        }
    }
    let mut bounded = vec![0usize; form.q.len()];
    let mut first = 0;
    for c in &form.cones {
        for i in first..first + c.rows() {
            if matches!(c, Cone::Nonneg(_))
                && let [(j, _)] = form.a.entries(i).filter(|e| e.1 != 0.0).collect::<Vec<_>>()[..]
            {
                bounded[j] += 1;
            }
        }
        first += c.rows();
    }
    let mut taken: Vec<Vec<usize>> = vec![];
    let mut is_taken = vec![false; form.q.len()];
    for f in &found {
        let own: Option<Vec<usize>> = f
            .rows
            .clone()
            .map(
                |i| match form.a.entries(i).filter(|e| e.1 != 0.0).collect::<Vec<_>>()[..] {
                    [(j, _)] if uses[j] == 1 && !curved[j] => Some(j),
                    _ => None,
                },
            )
            .collect();
        // In units of the matrix, where the coefficients of its rows are 1.
        let along = |i: usize| {
            let entries = form.a.entries(i).filter(|e| e.1 != 0.0);
            entries.map(|(j, v)| curvature[j] / (v * v)).sum::<f64>()
        };
        let first = along(f.rows.start);
        let alike = own.is_some() && f.rows.clone().all(|i| (along(i) - first).abs() <= ALIKE * first.abs());
        let own = own.filter(|own| alike && own.iter().map(|j| bounded[*j]).sum::<usize>() <= packed(f.order));
        let own = own.unwrap_or_default();
        own.iter().for_each(|j| is_taken[*j] = true);
        taken.push(own);
    }
    let mut columns: Vec<usize> = (0..free.len()).filter(|j| free[*j] && !is_taken[*j]).collect();
    let plain = columns.len();
    for (f, own) in found.iter_mut().zip(&taken) {
        if !own.is_empty() {
            f.own = Some(columns.len()..columns.len() + own.len());
            columns.extend(own);
        }
    }
    (found, columns, plain)
}

/// The fixed variables, which of the others are left, and what is left of the right-hand sides. Entries of matrices are left.
fn take_fixed(form: &ConicForm, kinds: &[Kind]) -> (Vec<Fixed>, Vec<bool>, Vec<f64>) {
    let n = form.q.len();
    let mut free = vec![true; n];
    let mut b = form.b.clone();
    let mut fixed: Vec<Fixed> = vec![];
    let columns = form.a.transpose();
    let mut used: Vec<bool> = kinds.iter().map(|k| *k == Kind::Matrix).collect();
    let within: Vec<bool> = (0..n).map(|j| columns.entries(j).any(|e| used[e.0])).collect();
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
            if used[i] || within[j] {
                continue;
            }
            let v = b[i] / a;
            if kinds[i] == Kind::Equal {
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
    (fixed, free, b)
}

/// Factors of rows and columns that bring the entries of [P G'; G 0] near 1: the rows of a group keep one factor, columns
/// from `plain` on the one they have.
fn equilibrate(p: &Csr, g: &Csr, groups: &[Range<usize>], plain: usize, columns: &mut [f64]) -> Vec<f64> {
    let mut rows = vec![1.0f64; g.rows];
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
        for of in groups {
            let most = r[of.clone()].iter().fold(0.0f64, |m, v| m.max(*v));
            r[of.clone()].fill(most);
        }
        c.truncate(plain);
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
        ease(columns, &c);
    }
    rows.iter_mut()
        .chain(&mut columns[..plain])
        .for_each(|v| *v = power_of_two(*v));
    rows
}

fn power_of_two(v: f64) -> f64 {
    let e = ravine_linalg::math::log2(v).round().clamp(-300.0, 300.0);
    2f64.powi(e as i32)
}

/// The larger; infinite where one is not a number.
fn largest(a: f64, b: f64) -> f64 {
    if b.is_nan() { f64::INFINITY } else { a.max(b) }
}
