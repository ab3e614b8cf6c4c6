//! The table of atoms: one row holds everything Ravine knows about one function.
//!
//! Invariant: adding an atom is adding one block to one family; names, help, derivatives, curvature, reference pages
//! and tests follow from the row. Rows refer to each other and to `ir`; nothing here knows passes or solvers.

/// Declares the rows of one family: each block becomes a constant [`AtomRef`](crate::ir::AtomRef) whose documentation
/// comment is the row's help text, and the family's slice lists them in order.
macro_rules! atoms {
    (family $family:ident; $($(#[doc = $doc:literal])+ $name:ident { $($column:tt)* })*) => {
        $(
            $(#[doc = $doc])+
            pub const $name: $crate::ir::AtomRef = {
                static ROW: $crate::ir::Atom = $crate::ir::Atom {
                    doc: concat!($($doc),+).trim_ascii(),
                    $($column)*
                };
                $crate::ir::AtomRef(&ROW)
            };
        )*
        /// The rows of this family, in order.
        pub static $family: &[$crate::ir::AtomRef] = &[$($name),*];
    };
}

mod arithmetic;
mod arrays;
mod complex;
mod elementwise;
mod factors;
mod kernels;
mod logic;
mod losses;
mod matrix;
pub mod operators;
pub mod prox;
mod reductions;
pub mod rules;
mod shape;
mod spectral;
mod trigonometric;
mod vectors;

pub use arithmetic::*;
pub use elementwise::*;
pub use kernels::PLAIN_SQUARES;
pub use logic::*;
pub use losses::*;
pub use matrix::*;
pub use operators::{CONV, OPAQUE, OPERATORS};
pub use reductions::*;
pub use spectral::*;
pub use trigonometric::*;
pub use vectors::*;

use crate::ir::{Atom, AtomKind, AtomRef};

/// A titled group of rows, as the reference page shows them.
pub struct Family {
    /// Heading.
    pub title: &'static str,
    /// Rows in order.
    pub rows: &'static [AtomRef],
}

/// The families, in the order of the reference page.
pub static FAMILIES: &[Family] = &[
    Family {
        title: "Arithmetic",
        rows: ARITHMETIC,
    },
    Family {
        title: "Comparison, logic and choice",
        rows: LOGIC,
    },
    Family {
        title: "Functions of numbers",
        rows: ELEMENTWISE,
    },
    Family {
        title: "Trigonometric and hyperbolic functions",
        rows: TRIGONOMETRIC,
    },
    Family {
        title: "Losses and likelihoods",
        rows: LOSSES,
    },
    Family {
        title: "Reductions",
        rows: REDUCTIONS,
    },
    Family {
        title: "Vectors",
        rows: VECTORS,
    },
    Family {
        title: "Matrices",
        rows: MATRICES,
    },
    Family {
        title: "Convolution and operators",
        rows: OPERATORS,
    },
    Family {
        title: "Spectral functions",
        rows: SPECTRAL,
    },
];

/// Every row, family by family.
pub fn all() -> impl Iterator<Item = &'static Atom> {
    FAMILIES.iter().flat_map(|f| f.rows).map(|r| r.0)
}

/// The first row with this name. Where a name has a row of another kind too (`max`), see [`find_kind`].
pub fn find(name: &str) -> Option<AtomRef> {
    all().find(|a| a.name == name).map(AtomRef)
}

/// The row with this name and kind.
pub fn find_kind(name: &str, kind: AtomKind) -> Option<AtomRef> {
    all().find(|a| a.name == name && a.kind == kind).map(AtomRef)
}

/// The row of an infix or prefix spelling such as `+`, by number of operands.
pub fn find_symbol(symbol: &str, operands: usize) -> Option<AtomRef> {
    all()
        .find(|a| a.symbol == Some(symbol) && arity(a) == Some(operands))
        .map(AtomRef)
}

/// Number of arguments; `None` for an atom that takes any number.
pub fn arity(atom: &Atom) -> Option<usize> {
    let first = atom.signature.first()?;
    let inside = first.split(") ->").next()?;
    (!inside.contains("...")).then(|| inside.matches(": ").count())
}
