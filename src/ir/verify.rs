//! The verifier: what every pass must keep true of the IR.
//!
//! Invariant: accepts exactly what the plans of `exec` can run; a fault names the node and the rule it breaks.

use super::build::Ir;
use super::node::{DomainId, InputKind, Node, NodeId, Pos};
use super::problem::Problem;

/// Checks everything `roots` depend on.
///
/// # Errors
/// The first fault found, as a sentence with the node's number.
pub fn verify(ir: &Ir, roots: &[NodeId]) -> Result<(), String> {
    let reachable = ir.reachable(roots);
    let mut on_vars = vec![false; ir.len()];
    for &n in &reachable {
        let mut v = matches!(ir.node(n), Node::Input(i) if matches!(ir.input(*i).kind, InputKind::Var));
        ir.for_each_arg(n, |a| v |= on_vars[a.index()]);
        on_vars[n.index()] = v;
    }
    for &n in &reachable {
        check(ir, n, &on_vars).map_err(|e| format!("node {}: {e}", n.0))?;
    }
    Ok(())
}

/// Checks a whole problem: nodes, and where bounds, objective and constraints live.
///
/// # Errors
/// The first fault found, as a sentence.
pub fn verify_problem(p: &Problem) -> Result<(), String> {
    let mut roots = vec![];
    for v in &p.vars {
        for n in [v.lower, v.upper, v.start, v.scale].into_iter().flatten() {
            at_root(&p.ir, n, "a bound, start or scale")?;
            roots.push(n);
        }
    }
    if let Some(o) = &p.objective {
        at_root(&p.ir, o.node, "the objective")?;
        if !p.ir.shape(o.node).is_empty() {
            return Err("the objective is an array".into());
        }
        roots.push(o.node);
    }
    for c in &p.constraints {
        for (domain, s) in c.sides.nodes(c.domain) {
            if !p.ir.shape(s).is_empty() {
                return Err(format!("constraint {}: a side is an array", c.name));
            }
            if !p.ir.encloses(p.ir.region(s), domain) {
                return Err(format!("constraint {}: a side lives outside its family", c.name));
            }
            roots.push(s);
        }
        roots.extend(p.ir.chain(c.domain).iter().filter_map(|d| p.ir.domain(*d).filter));
    }
    verify(&p.ir, &roots)
}

fn at_root(ir: &Ir, n: NodeId, what: &str) -> Result<(), String> {
    if ir.region(n) == DomainId::ROOT {
        Ok(())
    } else {
        Err(format!("{what} depends on an index"))
    }
}

fn scalar(ir: &Ir, n: NodeId, what: &str) -> Result<(), String> {
    if ir.shape(n).is_empty() {
        Ok(())
    } else {
        Err(format!("{what} is an array"))
    }
}

fn inside(ir: &Ir, n: NodeId, domain: DomainId, what: &str) -> Result<(), String> {
    if ir.encloses(ir.region(n), domain) {
        Ok(())
    } else {
        Err(format!("{what} lives outside its loop"))
    }
}

fn check(ir: &Ir, n: NodeId, on_vars: &[bool]) -> Result<(), String> {
    let mut order = Ok(());
    ir.for_each_arg(n, |a| {
        if a >= n {
            order = Err(format!("reads node {} that comes after it", a.0));
        }
    });
    order?;
    match ir.node(n) {
        Node::Const(_) | Node::Input(_) | Node::Index(_) => Ok(()),
        Node::Apply { args, .. } => {
            for a in args {
                inside(ir, *a, ir.region(n), "an argument")?;
            }
            Ok(())
        }
        Node::Gather { array, at } => {
            if at.len() != ir.shape(*array).len() {
                return Err("reads with the wrong number of positions".into());
            }
            let shape = ir.shape(*array).to_vec();
            at.iter()
                .zip(shape)
                .try_for_each(|(p, len)| position(ir, p, len, ir.region(n), on_vars))
        }
        Node::Fold { domain, body, .. } => {
            scalar(ir, *body, "the body of a fold")?;
            inside(ir, *body, *domain, "the body of a fold")?;
            filters(ir, *domain, on_vars)
        }
        Node::Map { domain, body } => {
            scalar(ir, *body, "the body of a map")?;
            inside(ir, *body, *domain, "the body of a map")?;
            let d = ir.domain(*domain);
            if d.parent != Some(DomainId::ROOT) || d.filter.is_some() {
                return Err("a map runs over a domain that is filtered or not at the root".into());
            }
            Ok(())
        }
        Node::Scatter {
            domain,
            shape,
            at,
            body,
        } => {
            scalar(ir, *body, "the body of a scatter")?;
            inside(ir, *body, *domain, "the body of a scatter")?;
            if *domain == DomainId::ROOT {
                return Err("a scatter runs over the root".into());
            }
            if at.len() != shape.len() {
                return Err("scatters with the wrong number of positions".into());
            }
            filters(ir, *domain, on_vars)?;
            at.iter()
                .zip(shape)
                .try_for_each(|(p, len)| position(ir, p, *len, *domain, on_vars))
        }
    }
}

fn filters(ir: &Ir, domain: DomainId, on_vars: &[bool]) -> Result<(), String> {
    for d in ir.chain(domain) {
        if let Some(f) = ir.domain(d).filter {
            scalar(ir, f, "a filter")?;
            inside(ir, f, d, "a filter")?;
            if on_vars[f.index()] {
                return Err("a filter depends on a variable".into());
            }
        }
    }
    Ok(())
}

/// An affine position must stay inside the array over the whole index sets, unless a filter may cut them.
fn position(ir: &Ir, p: &Pos, len: usize, region: DomainId, on_vars: &[bool]) -> Result<(), String> {
    match p {
        Pos::Node(n) => {
            scalar(ir, *n, "a position")?;
            inside(ir, *n, region, "a position")?;
            if on_vars[n.index()] {
                return Err("a position depends on a variable".into());
            }
            Ok(())
        }
        Pos::Affine { terms, offset } => {
            if !terms.is_sorted_by(|a, b| a.0 < b.0) || terms.iter().any(|t| t.1 == 0) {
                return Err("the terms of a position are unsorted or zero".into());
            }
            let (mut lo, mut hi) = (*offset, *offset);
            let mut filtered = false;
            for (i, stride) in terms {
                let index = ir.index(*i);
                if !ir.encloses(index.domain, region) {
                    return Err("a position uses an index of another loop".into());
                }
                filtered |= ir.chain(index.domain).iter().any(|d| ir.domain(*d).filter.is_some());
                if index.set.is_empty() {
                    return Ok(());
                }
                let span = (index.set.len() as i64 - 1) * stride;
                lo += span.min(0);
                hi += span.max(0);
            }
            if filtered || (lo >= 0 && hi < len as i64) {
                return Ok(());
            }
            Err(format!("reads positions {lo}..{hi} of {len}"))
        }
    }
}
