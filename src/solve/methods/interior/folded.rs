//! Semidefinite programs without the variables that stand for differences: `sumsq(X - C)` makes each entry of `X - C` a
//! variable with curvature and an equation of two variables, which hide that the curvature is X's own.
//!
//! Invariant: `back` gives the point and the multipliers of the form it came from; what was left out satisfies its equation
//! and its stationarity exactly.

use ravine_linalg::Csr;
use ravine_linalg::clarabel_adapter::{Cone, ConicForm, ConicSolution, ConicStatus};

/// A variable `shift + slope x_of` with curvature and cost of its own.
struct Left {
    column: usize,
    row: usize,
    of: usize,
    shift: f64,
    slope: f64,
    curvature: f64,
    cost: f64,
    coefficient: f64,
}

/// A form without them.
pub struct Folded {
    /// What is left.
    pub form: ConicForm,
    /// What is left out of the objective.
    pub constant: f64,
    left: Vec<Left>,
    rows: Vec<usize>,
    columns: Vec<usize>,
    size: (usize, usize),
}

/// Leaves out the variables that stand for differences to entries of matrices; nothing where there are none.
pub fn fold(form: &ConicForm) -> Option<Folded> {
    let (n, m) = (form.q.len(), form.b.len());
    if form.p.values.is_empty() || !form.cones.iter().any(|c| matches!(c, Cone::Semidefinite(_))) {
        return None;
    }
    let (mut within, mut equal) = (vec![false; n], vec![false; m]);
    let mut first = 0;
    for c in &form.cones {
        let rows = first..first + c.rows();
        first = rows.end;
        match c {
            Cone::Zero(_) => equal[rows].fill(true),
            Cone::Semidefinite(_) => rows.for_each(|i| form.a.entries(i).for_each(|e| within[e.0] = true)),
            _ => {}
        }
    }
    let mut joined = vec![false; n];
    for (i, j, v) in form.p.triplets() {
        if i != j && v != 0.0 {
            (joined[i], joined[j]) = (true, true);
        }
    }
    let (columns, curvature) = (form.a.transpose(), form.p.diagonal());
    let mut left = vec![];
    for j in (0..n).filter(|j| curvature[*j] > 0.0 && !joined[*j] && !within[*j]) {
        let [(row, coefficient)] = columns.entries(j).filter(|e| e.1 != 0.0).collect::<Vec<_>>()[..] else {
            continue;
        };
        let others = form.a.entries(row).filter(|e| e.0 != j && e.1 != 0.0);
        let [(of, other)] = others.collect::<Vec<_>>()[..] else {
            continue;
        };
        if equal[row] && within[of] && !joined[of] {
            left.push(Left {
                column: j,
                row,
                of,
                shift: form.b[row] / coefficient,
                slope: -other / coefficient,
                curvature: curvature[j],
                cost: form.q[j],
                coefficient,
            });
        }
    }
    if left.is_empty() {
        return None;
    }
    let (mut keep_row, mut keep) = (vec![true; m], vec![true; n]);
    let (mut q, mut constant) = (form.q.clone(), 0.0);
    let mut p: Vec<(usize, usize, f64)> = form.p.triplets().collect();
    for l in &left {
        (keep_row[l.row], keep[l.column]) = (false, false);
        p.push((l.of, l.of, l.curvature * l.slope * l.slope));
        q[l.of] += l.slope * (l.curvature * l.shift + l.cost);
        constant += l.shift * (0.5 * l.curvature * l.shift + l.cost);
    }
    let rows: Vec<usize> = (0..m).filter(|i| keep_row[*i]).collect();
    let columns: Vec<usize> = (0..n).filter(|j| keep[*j]).collect();
    let mut place = vec![usize::MAX; n];
    columns.iter().enumerate().for_each(|(k, j)| place[*j] = k);
    p.retain(|e| keep[e.0] && keep[e.1]);
    p.iter_mut().for_each(|e| (e.0, e.1) = (place[e.0], place[e.1]));
    let mut a = vec![];
    for (k, i) in rows.iter().enumerate() {
        a.extend(form.a.entries(*i).map(|(j, v)| (k, place[j], v)));
    }
    let mut first = 0;
    let cones = form.cones.iter().map(|c| {
        let rows = first..first + c.rows();
        first = rows.end;
        match c {
            Cone::Zero(_) => Cone::Zero(rows.filter(|i| keep_row[*i]).count()),
            other => *other,
        }
    });
    let cones = cones.collect();
    let size = columns.len();
    Some(Folded {
        form: ConicForm {
            p: Csr::from_triplets(size, size, &p),
            q: columns.iter().map(|j| q[*j]).collect(),
            a: Csr::from_triplets(rows.len(), size, &a),
            b: rows.iter().map(|i| form.b[*i]).collect(),
            cones,
        },
        constant,
        left,
        rows,
        columns,
        size: (n, m),
    })
}

impl Folded {
    /// A solution, or a certificate, of the form it came from.
    pub fn back(&self, s: &mut ConicSolution) {
        let certificate = matches!(s.status, ConicStatus::PrimalInfeasible | ConicStatus::DualInfeasible);
        let (x, z, slack) = (self.point(&s.x, certificate), self.spread(&s.z), self.spread(&s.s));
        (s.x, s.z, s.s) = (x, z, slack);
        if certificate {
            return;
        }
        for l in &self.left {
            s.z[l.row] = -(l.curvature * s.x[l.column] + l.cost) / l.coefficient;
        }
    }

    fn point(&self, x: &[f64], direction: bool) -> Vec<f64> {
        let mut out = vec![0.0; self.size.0];
        self.columns.iter().zip(x).for_each(|(j, v)| out[*j] = *v);
        for l in &self.left {
            out[l.column] = l.slope * out[l.of] + if direction { 0.0 } else { l.shift };
        }
        out
    }

    fn spread(&self, rows: &[f64]) -> Vec<f64> {
        let mut out = vec![0.0; self.size.1];
        self.rows.iter().zip(rows).for_each(|(i, v)| out[*i] = *v);
        out
    }
}
