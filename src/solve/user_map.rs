//! A linear map that a user gives to a method: a preconditioner as a program with one input.
//!
//! Invariant: the program is compiled and its parameters bound before a method is built; applying it twice to one vector
//! gives the same bits.

use std::sync::Arc;

use ravine_linalg::reduce::{dot, norm2};

use crate::exec::Machine;
use crate::ir::InputId;

/// The map, shared by all that hold the method.
#[derive(Clone, Debug)]
pub struct UserMap {
    machine: Arc<Machine>,
    input: InputId,
    /// Length of what it gives, and of what it takes.
    pub size: (usize, usize),
}

impl PartialEq for UserMap {
    fn eq(&self, other: &UserMap) -> bool {
        Arc::ptr_eq(&self.machine, &other.machine)
    }
}

impl UserMap {
    /// Of a bound machine whose one output is the map of its one input.
    pub fn new(machine: Machine, input: InputId, size: (usize, usize)) -> UserMap {
        UserMap {
            machine: Arc::new(machine),
            input,
            size,
        }
    }

    /// A copy that can be applied.
    pub fn applicable(&self) -> Applicable {
        Applicable {
            machine: (*self.machine).clone(),
            input: self.input,
        }
    }

    /// Why it is no preconditioner for `n` unknowns; `fixed` where it has to be symmetric.
    pub fn unfit(&self, n: usize, fixed: bool) -> Option<String> {
        let (rows, cols) = self.size;
        if rows != n || cols != n {
            return Some(format!(
                "the preconditioner is {rows} by {cols}, and there are {n} unknowns"
            ));
        }
        let mut m = self.applicable();
        let u: Vec<f64> = (0..n).map(|i| 1.0 + ((i * i + 3 * i) % 11) as f64 / 4.0).collect();
        let v: Vec<f64> = (0..n).map(|i| 2.0 - ((i * i + i) % 7) as f64 / 2.0).collect();
        let (mut mu, mut mv) = (vec![0.0; n], vec![0.0; n]);
        m.apply(&u, &mut mu);
        m.apply(&v, &mut mv);
        if let Some(bad) = mu.iter().chain(&mv).position(|x| !x.is_finite()) {
            return Some(format!(
                "the preconditioner's product with a vector is not a finite number at entry {}",
                bad % n.max(1) + 1
            ));
        }
        let off = (dot(&v, &mu) - dot(&u, &mv)).abs();
        let size = norm2(&v) * norm2(&mu) + norm2(&u) * norm2(&mv);
        if fixed && off > 1e-9 * size {
            return Some(format!(
                "the preconditioner is not symmetric: <v, M u> and <u, M v> differ by {:.1e}, relative",
                off / size
            ));
        }
        let least = dot(&u, &mu).min(dot(&v, &mv));
        if n > 0 && least <= 0.0 {
            return Some(format!(
                "the preconditioner is not positive definite: <u, M u> is {least:.3e} for some u"
            ));
        }
        None
    }
}

/// The map with its work space.
pub struct Applicable {
    machine: Machine,
    input: InputId,
}

impl Applicable {
    /// z = M r; where that fails, `z` is no number.
    pub fn apply(&mut self, r: &[f64], z: &mut [f64]) {
        self.machine.set_point(self.input, r);
        if self.machine.eval().is_err() {
            return z.fill(f64::NAN);
        }
        match self.machine.dense(0) {
            Some(d) if d.len() == z.len() => z.copy_from_slice(d),
            _ => z.fill(f64::NAN),
        }
    }
}
