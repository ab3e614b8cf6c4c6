//! Which method a class is given, and the sentence that says why.
//!
//! Invariant: one row per class; nothing else chooses.

use super::method::{Class, MethodCard};
use super::methods::{apg, cg, clarabel, coordinate, direct, interior, lbfgs, lsmr, minres, newton_tr, prox_newton};
use ravine_linalg::clarabel_adapter::ConicForm;
use ravine_linalg::{Csr, Matrix};

/// A row: class, its method, why.
pub struct Choice {
    /// The class.
    pub class: Class,
    /// The method.
    pub card: &'static MethodCard,
    /// Why this one.
    pub why: &'static str,
}

/// Second derivatives are factorized up to this many entries per variable; beyond it, L-BFGS.
const HESSIAN_ENTRIES_PER_VARIABLE: usize = 2_000;
/// Up to this many variables a Hessian without pattern is still formed or multiplied.
const DENSE_VARIABLES: usize = 2_000;

/// The table.
pub const CHOICES: &[Choice] = &[
    Choice {
        class: Class::LinearSystem,
        card: &direct::CARD,
        why: "a square linear system: factorization with refinement",
    },
    Choice {
        class: Class::LeastSquares,
        card: &direct::CARD,
        why: "least squares: orthogonal factorization with refinement, never A'A",
    },
    Choice {
        class: Class::Linear,
        card: &interior::CARD,
        why: "interior point for a linear program",
    },
    Choice {
        class: Class::ConvexQuadratic,
        card: &interior::CARD,
        why: "interior point for a convex quadratic program",
    },
    Choice {
        class: Class::SecondOrderCone,
        card: &clarabel::CARD,
        why: "interior point for a convex problem with second-order cones",
    },
    Choice {
        class: Class::Semidefinite,
        card: &interior::CARD,
        why: "interior point for a convex problem with semidefinite cones",
    },
    Choice {
        class: Class::Conic,
        card: &clarabel::CARD,
        why: "interior point for a convex problem with exponential cones",
    },
    Choice {
        class: Class::Smooth,
        card: &newton_tr::CARD,
        why: "smooth and unconstrained, with second derivatives that can be formed",
    },
    Choice {
        class: Class::SmoothBounds,
        card: &newton_tr::CARD,
        why: "smooth with bounds, with second derivatives that can be formed",
    },
    Choice {
        class: Class::Composite,
        card: &apg::CARD,
        why: "smooth with penalties that have a proximal point",
    },
];

/// For semidefinite programs by shape: matrices first, cones of other kinds, matrices small beside the equations.
pub const SEMIDEFINITE: [Choice; 3] = [
    Choice {
        class: Class::Semidefinite,
        card: &interior::CARD,
        why: "interior point with a Schur complement: the equations that semidefinite cones leave are few beside their entries",
    },
    Choice {
        class: Class::Semidefinite,
        card: &clarabel::CARD,
        why: "interior point for semidefinite cones beside cones of other kinds",
    },
    Choice {
        class: Class::Semidefinite,
        card: &clarabel::CARD,
        why: "interior point with sparse factors: the semidefinite cones are small beside the other equations",
    },
];

/// Equations left by semidefinite cones, dense, up to which their size does not matter.
const FEW_EQUATIONS: f64 = 150.0;
/// Work on them, in that of cones taken whole, beyond which that is the faster way. Measured crossovers are in
/// `docs/speed.md`.
const SCHUR_WORK: f64 = 300.0;

/// The row for a semidefinite program.
pub fn semidefinite(form: &ConicForm) -> &'static Choice {
    let [schur, others, sparse] = &SEMIDEFINITE;
    match interior::equations(form) {
        None => others,
        Some((left, entries)) => {
            let left = left as f64;
            let whole: f64 = entries.iter().map(|k| *k as f64).map(|k| k * k * k).sum();
            if left <= FEW_EQUATIONS || left * left * left <= SCHUR_WORK * whole {
                schur
            } else {
                sparse
            }
        }
    }
}

/// Composite problems by shape, the first row that fits; the class's own row is the last.
pub const COMPOSITE: &[Choice] = &[
    Choice {
        class: Class::Composite,
        card: &coordinate::CARD,
        why: "least squares with penalties and bounds by coordinate or group",
    },
    Choice {
        class: Class::Composite,
        card: &prox_newton::CARD,
        why: "smooth with penalties and bounds by coordinate, its Hessian can be formed, too large for cones to pay",
    },
    Choice {
        class: Class::Composite,
        card: &apg::CARD,
        why: "smooth with penalties that have a proximal point, too large for cones to pay",
    },
];

/// What a composite problem looks like.
#[derive(Clone, Copy, Debug)]
pub struct Shape {
    /// Variables.
    pub n: usize,
    /// Rows of the squares, if the smooth part is a quadratic.
    pub squares: Option<usize>,
    /// Penalties and bounds by coordinate only.
    pub separable: bool,
    /// Penalties of groups by their norm, at most.
    pub groups: bool,
    /// Are there groups of several variables?
    pub blocks: bool,
    /// Are there penalties at all (not bounds alone)?
    pub penalties: bool,
    /// Is the smooth part known to be convex?
    pub convex: bool,
    /// Can its second derivatives be formed?
    pub hessian: bool,
    /// Is it defined everywhere?
    pub total: bool,
    /// Is it known by products with operators only?
    pub products: bool,
}

impl Shape {
    /// The shape of so many variables that most methods take.
    pub fn any(n: usize) -> Shape {
        Shape {
            n,
            squares: Some(1),
            separable: true,
            groups: true,
            blocks: false,
            penalties: true,
            convex: true,
            hessian: true,
            total: true,
            products: false,
        }
    }
}

/// Variables from which each row of [`COMPOSITE`] is taken before the conic form. Squares at any size: on the face of its
/// bounds coordinate descent solves a least-squares problem by QR, without squaring its condition as cones do. The others
/// are measured (debug build, shared cores) on sparse logistic regression with twice as many rows as variables: with 30, 100
/// and 200 variables the cones took 1.7, 2.2 and 2.2 times as long as proximal Newton. Below, either takes milliseconds, and
/// the cones have the tighter certificate.
const COMPOSITE_VARIABLES: [usize; 3] = [1, 50, 100];

/// Why a method cannot take a composite problem of this shape, if it cannot.
pub fn misfit(card: &MethodCard, s: Shape) -> Option<&'static str> {
    if card.name == coordinate::CARD.name && !(s.squares.is_some() && s.groups) {
        return Some("needs sums of squares with `norm1`, norms of groups and bounds");
    }
    if card.name == prox_newton::CARD.name && !s.separable {
        return Some("needs penalties and bounds by single variables");
    }
    if card.name == prox_newton::CARD.name && !s.hessian {
        return Some("needs second derivatives, which cannot be formed here");
    }
    None
}

/// Variables up to which squares of fewer rows with penalties of groups go to the cones: a group has no face on which to end
/// what sweeps leave of directions that no row sees.
const WIDE_GROUPS: usize = 300;

/// The row for a composite problem, or `None` where the conic form is taken.
pub fn composite(s: Shape) -> Option<&'static Choice> {
    let k = row_of(s)?;
    if s.blocks && s.n <= WIDE_GROUPS && s.squares.is_some_and(|rows| rows < s.n) {
        return None;
    }
    // First-order steps have no start where the objective is not defined at the declared one; cones need none.
    let inside = k < 2 || s.hessian || s.total;
    (s.n >= COMPOSITE_VARIABLES[k] && inside).then(|| &COMPOSITE[k])
}

/// The row for a composite problem whatever its size.
pub fn by_shape(s: Shape) -> Option<&'static Choice> {
    if s.products {
        return s.penalties.then_some(&COMPOSITE_BY_PRODUCTS);
    }
    row_of(s).map(|k| &COMPOSITE[k])
}

fn row_of(s: Shape) -> Option<usize> {
    match s.squares {
        Some(_) if s.groups && s.convex => Some(0),
        None if s.separable && s.hessian && s.n <= prox_newton::DENSE && s.penalties && s.convex => Some(1),
        _ if s.penalties => Some(2),
        _ => None,
    }
}

/// For smooth problems whose second derivatives are too many.
const LARGE: Choice = Choice {
    class: Class::Smooth,
    card: &lbfgs::CARD,
    why: "smooth and large, its second derivatives have no sparse pattern",
};

/// For smooth problems whose second derivatives are known by products.
const SECOND_BY_PRODUCTS: Choice = Choice {
    class: Class::Smooth,
    card: &newton_tr::CARD,
    why: "smooth, with second derivatives by products",
};

/// For composite problems with operators.
const COMPOSITE_BY_PRODUCTS: Choice = Choice {
    class: Class::Composite,
    card: &apg::CARD,
    why: "smooth with penalties that have a proximal point, its matrix known by products",
};

/// For large quadratics without constraints.
pub const QUADRATIC: Choice = Choice {
    class: Class::ConvexQuadratic,
    card: &cg::CARD,
    why: "a large convex quadratic without constraints: conjugate gradients on its gradient",
};

/// For least squares and linear systems with operators.
pub const BY_PRODUCTS: Choice = Choice {
    class: Class::LeastSquares,
    card: &lsmr::CARD,
    why: "an operator is known by its products: LSMR",
};

/// For quadratics without constraints whose Hessian is not formed, operators among them.
pub const QUADRATIC_BY_PRODUCTS: Choice = Choice {
    class: Class::ConvexQuadratic,
    card: &cg::CARD,
    why: "a convex quadratic without constraints, known by its products: conjugate gradients on its gradient",
};

/// For large quadratics without constraints whose Hessian factors without much fill.
pub const QUADRATIC_FACTORED: Choice = Choice {
    class: Class::ConvexQuadratic,
    card: &direct::CARD,
    why: "a large convex quadratic without constraints: its gradient is a linear system, factored with refinement",
};

/// Work of a factorization, in multiplications, beyond which products are the faster way. Measured crossovers are in
/// `docs/speed.md`.
const FACTOR_WORK_DEFINITE: f64 = 1e10;
/// The same where the steps of a Krylov method cannot be foreseen.
const FACTOR_WORK: f64 = 1e12;

/// For equations whose factors would fill in, the most likely matrix first.
const FILLED: [Choice; 3] = [
    Choice {
        class: Class::LinearSystem,
        card: &cg::CARD,
        why: "a large sparse system whose factor would fill in: conjugate gradients with incomplete Cholesky",
    },
    Choice {
        class: Class::LinearSystem,
        card: &minres::CARD,
        why: "a large sparse symmetric system whose factors would fill in: minimal residuals",
    },
    Choice {
        class: Class::LeastSquares,
        card: &lsmr::CARD,
        why: "large and sparse, with factors that would fill in: LSMR",
    },
];

/// The row for equations that are better not factored; none where a factorization is the way.
///
/// The work is foreseen from the graph of the matrix: breadth-first levels of at most w columns mean separators of about
/// that size, and a factorization by nested dissection takes some 10 w^3 multiplications (George and Liu, Computer Solution
/// of Large Sparse Positive Definite Systems, 1981).
pub fn equations(class: Class, a: &Matrix) -> Option<&'static Choice> {
    let Matrix::Sparse(a) = a else { return None };
    let square = class == Class::LinearSystem;
    let work = factor_work(a, square);
    if work <= FACTOR_WORK_DEFINITE {
        return None;
    }
    let symmetric = square && a.asymmetry() == 0.0;
    let definite = symmetric && a.diagonal().iter().all(|d| *d > 0.0);
    match (definite, symmetric) {
        (true, _) => Some(&FILLED[0]),
        _ if work <= FACTOR_WORK => None,
        (false, true) => Some(&FILLED[1]),
        (false, false) => Some(&FILLED[2]),
    }
}

/// Would the factors of this matrix fill in so far that products are the better way to look at it?
pub fn fills(a: &Csr) -> bool {
    factor_work(a, a.rows == a.cols) > FACTOR_WORK_DEFINITE
}

/// Multiplications that a factorization is foreseen to take.
fn factor_work(a: &Csr, square: bool) -> f64 {
    let w = if square {
        level_width(a)
    } else {
        level_width_of_columns(a)
    } as f64;
    10.0 * w * w * w
}

/// Largest breadth-first level of the graph of A + A'.
fn level_width(a: &Csr) -> usize {
    let t = a.transpose();
    widest(a.rows, &|i, visit| {
        a.row(i).0.iter().chain(t.row(i).0).for_each(|j| visit(*j));
    })
}

/// Largest breadth-first level of the graph of A'A, by way of the rows.
fn level_width_of_columns(a: &Csr) -> usize {
    let t = a.transpose();
    // A row joins all its columns: once seen it has nothing more to say.
    let seen = std::cell::RefCell::new(vec![false; a.rows]);
    widest(a.cols, &|j, visit| {
        for &i in t.row(j).0 {
            if !std::mem::replace(&mut seen.borrow_mut()[i], true) {
                a.row(i).0.iter().for_each(|k| visit(*k));
            }
        }
    })
}

fn widest(n: usize, neighbours: &dyn Fn(usize, &mut dyn FnMut(usize))) -> usize {
    let mut seen = vec![false; n];
    let mut widest = 0;
    for start in 0..n {
        if seen[start] {
            continue;
        }
        seen[start] = true;
        let mut level = vec![start];
        while !level.is_empty() {
            widest = widest.max(level.len());
            let mut next = vec![];
            for &i in &level {
                neighbours(i, &mut |j| {
                    if !std::mem::replace(&mut seen[j], true) {
                        next.push(j);
                    }
                });
            }
            level = next;
        }
    }
    widest
}

/// The row of a class, if a method for it is built.
pub fn choose(class: Class) -> Option<&'static Choice> {
    CHOICES.iter().find(|c| c.class == class)
}

/// The row of a smooth class with `n` variables and so many Hessian entries (`None`: no pattern is known; `unstructured`: it
/// has none).
pub fn smooth(class: Class, n: usize, hessian_entries: Option<usize>, unstructured: bool) -> &'static Choice {
    let sparse = hessian_entries.is_some_and(|k| k <= HESSIAN_ENTRIES_PER_VARIABLE * n.max(1));
    match choose(class) {
        Some(_) if unstructured && n <= DENSE_VARIABLES => &SECOND_BY_PRODUCTS,
        Some(row) if sparse || n <= DENSE_VARIABLES => row,
        _ => &LARGE,
    }
}
