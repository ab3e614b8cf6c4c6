//! Cone programs whose data span many magnitudes, in units of their own: rows, columns, objective and length.
//!
//! Invariant: every factor is a power of two, so that nothing is rounded on the way there and back; rows of one cone keep
//! one factor. Rows and columns: D. Ruiz, RAL-TR-2001-034, on the matrix [P A'; A 0].

use ravine_linalg::Csr;
use ravine_linalg::clarabel_adapter::{Cone, ConicForm, ConicSolution};

/// Rounds of scaling; each takes the square root of what is left.
const ROUNDS: usize = 12;
/// Factors within this of 1 are left to the solver, which scales for itself.
const MILD: f64 = 1024.0;

/// A form in its own units.
pub struct Rescaled {
    /// The form.
    pub form: ConicForm,
    columns: Vec<f64>,
    rows: Vec<f64>,
    length: f64,
    objective: f64,
}

/// The form in its own units; nothing where its own units are mild already.
pub fn rescale(form: &ConicForm) -> Option<Rescaled> {
    let (mut columns, mut rows) = (vec![1.0; form.q.len()], vec![1.0; form.b.len()]);
    let units = units(&form.cones);
    for _ in 0..ROUNDS {
        let (mut c, mut r) = (vec![0.0f64; columns.len()], vec![0.0f64; rows.len()]);
        for i in 0..form.a.rows {
            for (j, v) in form.a.entries(i) {
                let v = (v * rows[i] * columns[j]).abs();
                c[j] = c[j].max(v);
                r[i] = r[i].max(v);
            }
        }
        for (i, j, v) in form.p.triplets() {
            // The upper triangle alone stands for both.
            let v = (v * columns[i] * columns[j]).abs();
            c[i] = c[i].max(v);
            c[j] = c[j].max(v);
        }
        for (first, n) in &units {
            let most = r[*first..first + n].iter().copied().fold(0.0, f64::max);
            r[*first..first + n].fill(most);
        }
        for (f, most) in columns.iter_mut().zip(&c).chain(rows.iter_mut().zip(&r)) {
            if *most > 0.0 && most.is_finite() {
                *f /= most.sqrt();
            }
        }
    }
    columns.iter_mut().chain(&mut rows).for_each(|f| *f = power(*f));
    let most = |v: &mut dyn Iterator<Item = f64>| v.map(f64::abs).fold(0.0, f64::max);
    let b = most(&mut form.b.iter().zip(&rows).map(|(b, r)| b * r));
    let q = most(&mut form.q.iter().zip(&columns).map(|(q, c)| q * c));
    let p = most(&mut form.p.triplets().map(|(i, j, v)| v * columns[i] * columns[j]));
    // How long solutions are: as the right-hand sides, or as what the objective alone would make them.
    let length = power(if p > 0.0 { b.max(q / p) } else { b });
    let objective = 1.0 / power(q.max(length * p));
    let mild = |f: f64| (1.0 / MILD..=MILD).contains(&f);
    if columns.iter().chain(&rows).all(|f| mild(*f)) && mild(length) && mild(objective) {
        return None;
    }
    let mut out = form.clone();
    out.a.scale_rows(&rows);
    out.a.scale_cols(&columns);
    out.b.iter_mut().zip(&rows).for_each(|(b, r)| *b *= r / length);
    let by: Vec<f64> = columns.iter().map(|c| c * objective).collect();
    out.q.iter_mut().zip(&by).for_each(|(q, c)| *q *= c);
    scale_both(&mut out.p, &columns, objective * length);
    let finite = |v: &[f64]| v.iter().all(|v| v.is_finite());
    (finite(&out.q) && finite(&out.b) && finite(&out.a.values) && finite(&out.p.values)).then_some(Rescaled {
        form: out,
        columns,
        rows,
        length,
        objective,
    })
}

impl Rescaled {
    /// A constant of the objective in these units.
    pub fn constant(&self, c: f64) -> f64 {
        c * self.objective / self.length
    }
    /// A solution, or a certificate, in the units of the form it came from.
    pub fn back(&self, s: &mut ConicSolution) {
        self.point(&mut s.x);
        for ((z, s), r) in s.z.iter_mut().zip(&mut s.s).zip(&self.rows) {
            *z *= r / self.objective;
            *s *= self.length / r;
        }
    }
    /// A point or a direction likewise.
    pub fn point(&self, x: &mut [f64]) {
        x.iter_mut().zip(&self.columns).for_each(|(x, c)| *x *= c * self.length);
    }
}

/// The nearest power of two; 1 for what has none.
fn power(v: f64) -> f64 {
    if v > 0.0 && v.is_finite() {
        let e = ravine_linalg::math::log2(v).round().clamp(-300.0, 300.0);
        2f64.powi(e as i32)
    } else {
        1.0
    }
}

/// First row and number of rows of what keeps one factor.
fn units(cones: &[Cone]) -> Vec<(usize, usize)> {
    let mut out = vec![];
    let mut first = 0;
    for c in cones {
        match *c {
            Cone::Zero(n) | Cone::Nonneg(n) => out.extend((first..first + n).map(|r| (r, 1))),
            whole => out.push((first, whole.rows())),
        }
        first += c.rows();
    }
    out
}

fn scale_both(p: &mut Csr, by: &[f64], all: f64) {
    p.scale_rows(by);
    p.scale_cols(by);
    p.values.iter_mut().for_each(|v| *v *= all);
}
