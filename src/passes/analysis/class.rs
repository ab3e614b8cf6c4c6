//! The class of a problem, with its proof in the user's terms.
//!
//! Invariant: a class is claimed only with lines that prove it; where nothing is proved the problem is a smooth or
//! nonsmooth program without a claim of convexity.

use super::curvature::{Assumptions, FactsTable, analyze_with, own_curvature, weaker};
use super::squares::squares;
use crate::ir::atom::{Graph, GraphCone};
use crate::ir::facts::Grade;
use crate::ir::show::short;
use crate::ir::{Constraint, Curvature, DomainId, Ir, Node, NodeId, Problem, Sense, Sides, Smooth};

/// Classes, from the most to the least special.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Class {
    /// As many affine equations as variables, nothing else.
    LinearSystem,
    /// A sum of squares of affine expressions, nothing else.
    LeastSquares,
    /// The same with bounds on the variables.
    BoundedLeastSquares,
    /// Affine, or piecewise affine and convex.
    LinearProgram,
    /// Convex quadratic objective (with piecewise affine parts), affine constraints.
    ConvexQuadratic,
    /// Convex, with norms, squares or square roots.
    SecondOrderCone,
    /// Convex, with exponentials or logarithms.
    Exponential,
    /// Smooth without constraints or bounds.
    Smooth,
    /// Smooth with bounds only.
    SmoothBounds,
    /// Smooth with constraints.
    Nonlinear,
    /// With kinks or jumps, and no conic form.
    Nonsmooth,
}

impl Class {
    /// The words shown.
    pub fn word(self) -> &'static str {
        match self {
            Class::LinearSystem => "linear system",
            Class::LeastSquares => "least squares",
            Class::BoundedLeastSquares => "least squares with bounds",
            Class::LinearProgram => "linear program",
            Class::ConvexQuadratic => "convex quadratic program",
            Class::SecondOrderCone => "second-order cone program",
            Class::Exponential => "exponential cone program",
            Class::Smooth => "smooth, unconstrained",
            Class::SmoothBounds => "smooth with bounds",
            Class::Nonlinear => "smooth, constrained",
            Class::Nonsmooth => "nonsmooth",
        }
    }
}

/// What a check on the bound data could still prove.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Check {
    /// This matrix may be positive (or negative) semidefinite: [`Assumptions::psd`], [`Assumptions::nsd`].
    Definite(NodeId),
    /// This quadratic may be convex (or concave), by its constant Hessian: [`Assumptions::convex`] and `concave`.
    Quadratic(NodeId),
}

/// A class with its evidence.
#[derive(Clone, Debug)]
pub struct Classified {
    /// The class.
    pub class: Class,
    /// Lines that prove it.
    pub proof: Vec<String>,
    /// How convexity of the whole problem is known; `None` if it is not.
    pub convex: Option<Grade>,
    /// The expressions that keep it from being known.
    pub culprits: Vec<NodeId>,
    /// Has it constraints beside bounds?
    pub constrained: bool,
    /// Has it bounds on variables?
    pub bounded: bool,
    /// Least smooth part.
    pub smooth: Smooth,
    /// What data could settle.
    pub checks: Vec<Check>,
}

/// All nodes of a problem that facts are needed of.
pub fn outputs(p: &Problem) -> Vec<NodeId> {
    let mut out: Vec<NodeId> = p.objective.iter().map(|o| o.node).collect();
    for c in &p.constraints {
        out.extend(sides(c));
    }
    for v in &p.vars {
        out.extend([v.lower, v.upper, v.start, v.scale].into_iter().flatten());
    }
    out
}

fn sides(c: &Constraint) -> Vec<NodeId> {
    match c.sides {
        Sides::Le(a, b) | Sides::Ge(a, b) | Sides::Eq(a, b) => vec![a, b],
        Sides::Between(a, b, c) => vec![a, b, c],
    }
}

/// Facts of a problem's nodes.
pub fn analyze_problem(p: &Problem, given: &Assumptions) -> FactsTable {
    analyze_with(&p.ir, &outputs(p), given)
}

/// The conic need of a part: from piecewise affine up.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Cone {
    Polyhedral,
    Quadratic,
    SecondOrder,
    Exponential,
    None,
}

fn cone_of(g: Graph) -> Cone {
    match g {
        Graph::MaxOf(_) | Graph::MinOf(_) | Graph::MaxFold | Graph::MinFold | Graph::AbsSum | Graph::AbsMax => {
            Cone::Polyhedral
        }
        Graph::Square | Graph::SumSquares | Graph::Quad => Cone::Quadratic,
        Graph::Norm | Graph::QuadOverLin | Graph::Sqrt | Graph::Inverse => Cone::SecondOrder,
        Graph::Exp | Graph::Log | Graph::LogSumExp | Graph::Softplus => Cone::Exponential,
        Graph::Cones(GraphCone::Linear, _) => Cone::Polyhedral,
        Graph::Cones(GraphCone::SecondOrder, _) => Cone::SecondOrder,
        Graph::Cones(GraphCone::Exponential, _) => Cone::Exponential,
        // What it is rewritten to is not looked into: the widest that there is.
        Graph::Rewrite(_) => Cone::Exponential,
        Graph::None(_) => Cone::None,
    }
}

/// Cones needed by an expression of known curvature, quadratic terms of its outermost sum counted as such.
fn cone(ir: &Ir, t: &FactsTable, root: NodeId) -> Cone {
    let mut worst = Cone::Polyhedral;
    let mut seen = std::collections::BTreeSet::new();
    let mut stack = vec![(root, true)];
    while let Some((n, outermost)) = stack.pop() {
        if t.curvature(n).is_affine() || !seen.insert((n, outermost)) {
            continue;
        }
        let row = match ir.node(n) {
            Node::Apply { atom, .. } | Node::Fold { atom, .. } => Some(*atom),
            _ => None,
        };
        let mut inside = outermost;
        if let Some(atom) = row
            && !own_curvature(ir, t, n).is_affine()
        {
            inside = false;
            let mut args_affine = true;
            ir.for_each_arg(n, |a| args_affine &= t.curvature(a).is_affine());
            worst = worst.max(match cone_of(atom.graph) {
                // A square is a quadratic term only of an affine expression, and only where it is added up.
                Cone::Quadratic if !(outermost && args_affine) => Cone::SecondOrder,
                c => c,
            });
        }
        ir.for_each_arg(n, |a| stack.push((a, inside)));
    }
    worst
}

/// Counts of rows, where no filter hides them.
fn rows(ir: &Ir, c: &Constraint) -> Option<usize> {
    ir.chain(c.domain).iter().try_fold(1usize, |n, d| {
        let own: usize = ir.domain_shape(*d).iter().product();
        ir.domain(*d).filter.is_none().then(|| n.saturating_mul(own))
    })
}

/// Is every side on the right side of the comparison? The culprit if not.
fn convex_constraint(t: &FactsTable, c: &Constraint) -> Result<(), NodeId> {
    let need = |n: NodeId, ok: bool| if ok { Ok(()) } else { Err(n) };
    let convex = |n: NodeId| need(n, t.curvature(n).is_convex());
    let concave = |n: NodeId| need(n, t.curvature(n).is_concave());
    let affine = |n: NodeId| need(n, t.curvature(n).is_affine());
    match c.sides {
        Sides::Le(a, b) => convex(a).and_then(|()| concave(b)),
        Sides::Ge(a, b) => concave(a).and_then(|()| convex(b)),
        Sides::Eq(a, b) => affine(a).and_then(|()| affine(b)),
        Sides::Between(l, m, h) => convex(l).and_then(|()| affine(m)).and_then(|()| concave(h)),
    }
}

/// The class of a problem in canonical form (see [`crate::passes::canonical`]).
pub fn classify(p: &Problem, t: &FactsTable) -> Classified {
    let ir = &p.ir;
    let objective = p.objective.as_ref().filter(|o| t.has_var(o.node));
    let bounded = p.vars.iter().any(|v| v.lower.is_some() || v.upper.is_some());
    let constrained = !p.constraints.is_empty();
    let mut c = Classified {
        class: Class::Nonsmooth,
        proof: vec![],
        convex: Some(Grade::Proved),
        culprits: vec![],
        constrained,
        bounded,
        smooth: Smooth::Analytic,
        checks: t.needs_psd.iter().map(|m| Check::Definite(*m)).collect(),
    };
    for n in outputs(p) {
        if let Some(f) = t.get(n).filter(|f| f.has_var) {
            c.smooth = c.smooth.min(f.smooth);
            c.convex = c.convex.map(|g| weaker(g, f.grade));
            if f.degree == 2 && f.curvature == Curvature::Unknown && ir.region(n) == DomainId::ROOT {
                c.checks.push(Check::Quadratic(n));
            }
        }
    }
    if let Some(o) = objective {
        let good = match o.sense {
            Sense::Minimize => t.curvature(o.node).is_convex(),
            Sense::Maximize => t.curvature(o.node).is_concave(),
        };
        if !good {
            c.culprits.push(o.node);
        }
    }
    let broken = p.constraints.iter().filter_map(|k| convex_constraint(t, k).err());
    c.culprits.extend(broken);
    if !c.culprits.is_empty() {
        c.convex = None;
    }
    let affine_rows = p
        .constraints
        .iter()
        .all(|k| sides(k).iter().all(|n| t.curvature(*n).is_affine()));
    let affine_objective = objective.is_none_or(|o| t.curvature(o.node).is_affine());
    let class = if affine_rows && affine_objective {
        linear(p, &mut c, objective.is_some())
    } else if let Some(class) = sum_of_squares(p, t, &mut c) {
        Some(class)
    } else if c.convex.is_some() {
        convex(p, t, &mut c, affine_rows)
    } else {
        None
    };
    c.class = match class {
        Some(class) => class,
        None => smooth_or_not(p, t, &mut c),
    };
    let grade = match c.convex {
        Some(Grade::CheckedOnData) => Some("convexity rests on a check of the bound data, redone when they change"),
        Some(Grade::Asserted) => Some("convexity is asserted, not proved"),
        _ => None,
    };
    c.proof.extend(grade.map(str::to_string));
    c
}

fn linear(p: &Problem, c: &mut Classified, objective: bool) -> Option<Class> {
    let variables: usize = p
        .vars
        .iter()
        .map(|v| v.dims.iter().map(|d| d.len()).product::<usize>())
        .sum();
    let equations = p.constraints.iter().all(|k| matches!(k.sides, Sides::Eq(..)));
    let count = p.constraints.iter().try_fold(0usize, |n, k| Some(n + rows(&p.ir, k)?));
    if !objective && !c.bounded && c.constrained && equations && count == Some(variables) {
        c.proof.push(format!(
            "{variables} affine equations in {variables} unknowns, and nothing else"
        ));
        return Some(Class::LinearSystem);
    }
    c.proof.push(if objective {
        "the objective is affine".into()
    } else {
        "there is no objective".into()
    });
    if c.constrained {
        c.proof.push("every constraint is affine".into());
    }
    Some(Class::LinearProgram)
}

fn sum_of_squares(p: &Problem, t: &FactsTable, c: &mut Classified) -> Option<Class> {
    let o = p.objective.as_ref()?;
    if c.constrained || o.sense != Sense::Minimize {
        return None;
    }
    let terms = squares(&p.ir, t, o.node)?;
    for s in terms.iter().take(4) {
        c.proof.push(format!(
            "the objective adds squares of `{}`, which is affine",
            short(&p.ir, s.inside)
        ));
    }
    if c.bounded {
        c.proof.push("the only constraints are bounds".into());
        Some(Class::BoundedLeastSquares)
    } else {
        c.proof.push("there are no constraints and no bounds".into());
        Some(Class::LeastSquares)
    }
}

fn convex(p: &Problem, t: &FactsTable, c: &mut Classified, affine_rows: bool) -> Option<Class> {
    let ir = &p.ir;
    let of_objective = p.objective.as_ref().map_or(Cone::Polyhedral, |o| cone(ir, t, o.node));
    let of_rows = p
        .constraints
        .iter()
        .flat_map(sides)
        .map(|n| match cone(ir, t, n) {
            Cone::Quadratic => Cone::SecondOrder,
            k => k,
        })
        .max()
        .unwrap_or(Cone::Polyhedral);
    let class = match of_objective.max(of_rows) {
        Cone::Polyhedral => Class::LinearProgram,
        Cone::Quadratic => Class::ConvexQuadratic,
        Cone::SecondOrder => Class::SecondOrderCone,
        Cone::Exponential => Class::Exponential,
        Cone::None => return None,
    };
    // Without constraints a smooth function is better taken as it is than through cones.
    let through_cones = matches!(class, Class::SecondOrderCone | Class::Exponential);
    if through_cones && !c.constrained && c.smooth >= Smooth::C1 {
        return None;
    }
    if let Some(o) = &p.objective
        && let Some(f) = t.get(o.node)
    {
        c.proof.push(format!("the objective is {}", f.rule.text));
        if f.degree == 2 {
            c.proof.push("the objective is a polynomial of degree 2".into());
        }
    }
    if affine_rows && c.constrained {
        c.proof.push("every constraint is affine".into());
    } else if c.constrained {
        c.proof.push("every constraint is convex, every equation affine".into());
    }
    Some(class)
}

fn smooth_or_not(p: &Problem, t: &FactsTable, c: &mut Classified) -> Class {
    if let Some(o) = &p.objective
        && let Some(f) = t.get(o.node)
        && !c.culprits.contains(&o.node)
    {
        c.proof.push(format!("the objective is {}", f.rule.text));
    }
    for n in c.culprits.clone().into_iter().take(3) {
        if let Some(f) = t.get(n) {
            let what = match f.curvature {
                Curvature::Unknown => format!("convexity is not proved: `{}` is {}", short(&p.ir, n), f.rule.text),
                k => format!("`{}` is {} on the wrong side", short(&p.ir, n), k.word()),
            };
            c.proof.push(what);
        }
    }
    let smoothness = match c.smooth {
        Smooth::Analytic => "every expression is smooth on its domain",
        Smooth::C1 => "every expression is once continuously differentiable",
        Smooth::Kinks => "some expression has kinks",
        Smooth::Discontinuous => "some expression has jumps, or is put together of cases",
    };
    c.proof.push(smoothness.into());
    match (c.smooth >= Smooth::C1, c.constrained, c.bounded) {
        (false, ..) => Class::Nonsmooth,
        (true, true, _) => Class::Nonlinear,
        (true, false, true) => Class::SmoothBounds,
        (true, false, false) => Class::Smooth,
    }
}
