//! Lines of equal value on a grid: marching squares, the pieces joined to lines.
//!
//! Invariant: every line runs through cells whose four corners are finite; a closed line ends where it begins.
//!
//! Method: Lorensen and Cline, "Marching cubes" (1987), in the plane; a saddle is decided by the mean of its corners.

use std::collections::BTreeMap;

/// A line through the plane.
pub(super) type Line = Vec<(f64, f64)>;

/// An edge of the grid: its lower left corner, and whether it goes up.
type Edge = (usize, usize, bool);

/// Squares that take the place of one, along each side.
const FINER: usize = 3;
/// Places along a side from which a grid is fine enough.
const FINE: usize = 400;

/// A grid with places between those of another, through whose values it goes smoothly (cubic, by Catmull and Rom, 1974): straight
/// pieces cut a narrow valley into islands.
pub(super) fn finer(xs: &[f64], ys: &[f64], values: &[f64]) -> (Vec<f64>, Vec<f64>, Vec<f64>) {
    let (n, m) = (xs.len(), ys.len());
    if n.min(m) < 4 || n.max(m) >= FINE || values.len() != n * m {
        return (xs.to_vec(), ys.to_vec(), values.to_vec());
    }
    let across: Vec<f64> = values.chunks_exact(n).flat_map(through).collect();
    let wide = across.len() / m;
    let columns: Vec<Vec<f64>> = (0..wide)
        .map(|i| through(&(0..m).map(|j| across[j * wide + i]).collect::<Vec<_>>()))
        .collect();
    let rows = (0..=FINER * (m - 1)).flat_map(|j| columns.iter().map(move |c| c[j]));
    let values = rows.collect();
    (through(xs), through(ys), values)
}

/// Values with others between them. Beside a gap, and where they leave the range of numbers, pieces are straight.
fn through(v: &[f64]) -> Vec<f64> {
    let n = v.len();
    let mut out = Vec::with_capacity(FINER * (n - 1) + 1);
    for k in 0..n - 1 {
        let (b, c) = (v[k], v[k + 1]);
        // Beyond an end the values go on as a parabola.
        let a = if k > 0 { v[k - 1] } else { 3.0 * (b - c) + v[k + 2] };
        let d = if k + 2 < n { v[k + 2] } else { 3.0 * (c - b) + v[k - 1] };
        for i in 0..FINER {
            let t = i as f64 / FINER as f64;
            let smooth = b + 0.5 * t * (c - a + t * (2.0 * a - 5.0 * b + 4.0 * c - d + t * (3.0 * (b - c) + d - a)));
            let straight = (1.0 - t) * b + t * c;
            out.push(match (i, smooth.is_finite()) {
                (0, _) => b,
                (_, true) => smooth,
                _ => straight,
            });
        }
    }
    out.push(v[n - 1]);
    out
}

/// The lines at which the values are `level`.
pub(super) fn lines(xs: &[f64], ys: &[f64], values: &[f64], level: f64) -> Vec<Line> {
    let (n, m) = (xs.len(), ys.len());
    if n < 2 || m < 2 || values.len() != n * m {
        return vec![];
    }
    let v = |i: usize, j: usize| values[j * n + i];
    let mut pieces: Vec<(Edge, Edge)> = vec![];
    for j in 0..m - 1 {
        for i in 0..n - 1 {
            let c = [v(i, j), v(i + 1, j), v(i + 1, j + 1), v(i, j + 1)];
            if c.iter().any(|c| !c.is_finite()) {
                continue;
            }
            let above = c.map(|c| c > level);
            let (bottom, right, top, left) = ((i, j, false), (i + 1, j, true), (i, j + 1, false), (i, j, true));
            let edges = [bottom, right, top, left];
            let crossed: Vec<Edge> = (0..4)
                .filter(|k| above[*k] != above[(k + 1) % 4])
                .map(|k| edges[k])
                .collect();
            match crossed.as_slice() {
                [a, b] => pieces.push((*a, *b)),
                [a, b, c, d] => {
                    let middle = (c_mean(&[v(i, j), v(i + 1, j), v(i + 1, j + 1), v(i, j + 1)])) > level;
                    if middle == above[0] {
                        pieces.push((*a, *b));
                        pieces.push((*c, *d));
                    } else {
                        pieces.push((*d, *a));
                        pieces.push((*b, *c));
                    }
                }
                _ => {}
            }
        }
    }
    let place = |e: &Edge| {
        let (i, j, up) = *e;
        let (a, b) = (v(i, j), if up { v(i, j + 1) } else { v(i + 1, j) });
        let t = if a == b {
            0.5
        } else {
            ((level - a) / (b - a)).clamp(0.0, 1.0)
        };
        match up {
            true => (xs[i], ys[j] + t * (ys[j + 1] - ys[j])),
            false => (xs[i] + t * (xs[i + 1] - xs[i]), ys[j]),
        }
    };
    joined(&pieces).iter().map(|l| l.iter().map(place).collect()).collect()
}

fn c_mean(c: &[f64; 4]) -> f64 {
    c.iter().map(|v| v / 4.0).sum()
}

/// Pieces put together at the edges they share.
fn joined(pieces: &[(Edge, Edge)]) -> Vec<Vec<Edge>> {
    let mut at: BTreeMap<Edge, Vec<usize>> = BTreeMap::new();
    for (k, (a, b)) in pieces.iter().enumerate() {
        at.entry(*a).or_default().push(k);
        at.entry(*b).or_default().push(k);
    }
    let mut used = vec![false; pieces.len()];
    let mut out = vec![];
    // Open lines begin at an edge that only one piece has; what is left is closed.
    let ends = at.iter().filter(|(_, p)| p.len() == 1).map(|(e, p)| (*e, p[0]));
    let rest = pieces.iter().enumerate().map(|(k, p)| (p.0, k));
    for (start, first) in ends.chain(rest) {
        if used[first] {
            continue;
        }
        let mut line = vec![start];
        let (mut here, mut piece) = (start, Some(first));
        while let Some(k) = piece {
            used[k] = true;
            let (a, b) = pieces[k];
            here = if a == here { b } else { a };
            line.push(here);
            piece = at.get(&here).and_then(|p| p.iter().copied().find(|k| !used[*k]));
        }
        out.push(line);
    }
    out
}

/// Values for so many lines: round numbers at even parts of the values in order, closer together where the function is
/// low.
pub fn levels(values: &[f64], wanted: usize) -> Vec<f64> {
    let mut sorted: Vec<f64> = values.iter().copied().filter(|v| v.is_finite()).collect();
    sorted.sort_by(f64::total_cmp);
    let (Some(&lo), Some(&hi)) = (sorted.first(), sorted.last()) else {
        return vec![];
    };
    let mut out: Vec<f64> = vec![];
    for k in 0..wanted {
        let part = (k as f64 + 0.6) / (wanted as f64 + 0.2);
        let at = (part * part * (sorted.len() - 1) as f64) as usize;
        let v = rounded(sorted[at]);
        if v > lo && v < hi && out.last().is_none_or(|l| v > *l) {
            out.push(v);
        }
    }
    if out.is_empty() && lo < hi {
        out.push(lo / 2.0 + hi / 2.0);
    }
    out
}

/// To two digits, the second of them 0 or 5 where the first is small.
fn rounded(v: f64) -> f64 {
    format!("{v:.1e}").parse().unwrap_or(v)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_circle_is_one_closed_line() {
        let xs: Vec<f64> = (0..41).map(|k| -2.0 + 0.1 * f64::from(k)).collect();
        let values: Vec<f64> = xs.iter().flat_map(|y| xs.iter().map(move |x| x * x + y * y)).collect();
        let lines = lines(&xs, &xs, &values, 2.0);
        assert_eq!(lines.len(), 1);
        assert_eq!(lines[0].first(), lines[0].last());
        for (x, y) in &lines[0] {
            assert!(((x * x + y * y).sqrt() - 2f64.sqrt()).abs() < 2e-3);
        }
    }

    #[test]
    fn the_floor_of_a_narrow_valley_is_one_line() {
        let xs: Vec<f64> = (0..17).map(|k| -2.0 + 0.25 * f64::from(k)).collect();
        let valley = |x: f64, y: f64| 25.0 * (x - y) * (x - y) + 0.1 * (x + y) * (x + y);
        let values: Vec<f64> = xs.iter().flat_map(|y| xs.iter().map(move |x| valley(*x, *y))).collect();
        let (fx, fy, fv) = finer(&xs, &xs, &values);
        assert_eq!((fx.len(), fv.len()), (49, 49 * 49));
        // What is quadratic stays so.
        for (k, v) in fv.iter().enumerate() {
            assert!((v - valley(fx[k % 49], fy[k / 49])).abs() < 1e-10);
        }
        assert!(lines(&xs, &xs, &values, 1.0).len() > 1);
        assert_eq!(lines(&fx, &fy, &fv, 1.0).len(), 1);
        let (_, _, gap) = finer(&xs[..4], &xs[..4], &[f64::NAN; 16]);
        assert!(gap.iter().all(|v| v.is_nan()));
    }

    #[test]
    fn gaps_and_saddles() {
        let xs = [0.0, 1.0, 2.0];
        let saddle = [1.0, 0.0, 1.0, 0.0, 1.0, 0.0, 1.0, 0.0, 1.0];
        assert!(!lines(&xs, &xs, &saddle, 0.5).is_empty());
        let gap = [f64::NAN, 0.0, 1.0, 0.0, 0.0, 1.0, 0.0, 0.0, 1.0];
        let found = lines(&xs, &xs, &gap, 0.5);
        assert_eq!(found.len(), 1);
        assert!(found[0].iter().all(|p| p.0 == 1.5));
        assert!(lines(&xs, &xs, &[f64::NAN; 9], 0.5).is_empty());
        assert!(levels(&[f64::NAN], 5).is_empty() && levels(&[1.0; 9], 5).is_empty());
    }

    #[test]
    fn levels_rise_and_lie_inside() {
        let values: Vec<f64> = (0..1000).map(|k| f64::from(k).powi(3)).collect();
        let l = levels(&values, 12);
        assert!(l.len() >= 8 && l.windows(2).all(|w| w[0] < w[1]));
    }
}
