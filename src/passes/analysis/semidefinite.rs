//! Definiteness of matrices from how they are made.
//!
//! Invariant: `Some` is a proof (or an assumption that was given); `None` says nothing.

use super::curvature::{Assumptions, FactsTable, weaker};
use crate::atoms::rules::{arg_of, args_of};
use crate::atoms::{ARRAY_ADD, ARRAY_SCALE, DIAG, MATMUL, OUTER, TRANSPOSE};
use crate::ir::facts::Grade;
use crate::ir::{Ir, NodeId, Sign};

/// Is the matrix positive (or negative) semidefinite: a product `F*F'` or `F*M*F'`, a diagonal of one sign, `v*v'`,
/// sums and multiples of such, or given?
pub fn semidefinite(
    ir: &Ir,
    t: &FactsTable,
    p: NodeId,
    given: &Assumptions,
    positive: bool,
) -> Option<(Grade, &'static str)> {
    let set = if positive { &given.psd } else { &given.nsd };
    if set.contains(&p) {
        return Some((Grade::CheckedOnData, "checked on the data"));
    }
    let proved = |holds: bool, why: &'static str| holds.then_some((Grade::Proved, why));
    let within = |m: NodeId, why: &'static str| semidefinite(ir, t, m, given, positive).map(|(g, _)| (g, why));
    if let Some(d) = arg_of(ir, p, DIAG) {
        let s = t.sign(d);
        return proved(
            if positive { s.is_nonneg() } else { s.is_nonpos() },
            "diagonal, with entries of one sign",
        );
    }
    if let Some(a) = arg_of(ir, p, TRANSPOSE) {
        return within(a, "the transpose of such");
    }
    if let Some((a, b)) = args_of(ir, p, ARRAY_ADD) {
        let (g, _) = semidefinite(ir, t, a, given, positive)?;
        let (h, _) = semidefinite(ir, t, b, given, positive)?;
        return Some((weaker(g, h), "a sum of such"));
    }
    if let Some((k, a)) = args_of(ir, p, ARRAY_SCALE) {
        let same = match t.sign(k) {
            Sign::Nonneg | Sign::Zero => true,
            Sign::Nonpos => false,
            Sign::Unknown => return None,
        };
        return semidefinite(ir, t, a, given, positive == same).map(|(g, _)| (g, "a multiple of such"));
    }
    let transposes = |a: NodeId, b: NodeId| arg_of(ir, b, TRANSPOSE) == Some(a) || arg_of(ir, a, TRANSPOSE) == Some(b);
    if let Some((a, b)) = args_of(ir, p, MATMUL) {
        if transposes(a, b) {
            return proved(positive, "of the form F*F'");
        }
        if let Some((f, m)) = args_of(ir, a, MATMUL)
            && transposes(f, b)
        {
            return within(m, "of the form F*M*F' with such an M");
        }
        if let Some((m, f)) = args_of(ir, b, MATMUL)
            && transposes(a, f)
        {
            return within(m, "of the form F*M*F' with such an M");
        }
    }
    let (u, v) = args_of(ir, p, OUTER)?;
    proved(positive && u == v, "of the form v*v'")
}
