//! Sign, curvature, smoothness and degree of every node, each curvature with the rule that gave it.
//!
//! Invariant: one composition rule, [`judge`], for all rows; a curvature is never claimed without a rule.
//! Source: Grant, Boyd and Ye, Disciplined convex programming, 2006 (the composition rule).

use std::collections::BTreeSet;

use super::semidefinite::semidefinite;
use crate::atoms::{QUAD, SELECT};
use crate::base::value::{IndexSet, Storage};
use crate::ir::atom::{ArgFacts, CurvatureRule, DegreeRule, MonoRule, SignRule};
use crate::ir::facts::{Grade, Rule};
use crate::ir::{AtomRef, Curvature, Facts, InputId, InputKind, Ir, Mono, Node, NodeId, Sign, Smooth};

/// What is taken as given beyond the rules.
#[derive(Clone, Debug, Default)]
pub struct Assumptions {
    /// Matrices found positive semidefinite on the bound data.
    pub psd: BTreeSet<NodeId>,
    /// Matrices found negative semidefinite on the bound data.
    pub nsd: BTreeSet<NodeId>,
    /// Scalars whose convexity was checked on the bound data (quadratics with a positive semidefinite Hessian).
    pub convex: BTreeSet<NodeId>,
    /// Scalars whose concavity was checked likewise.
    pub concave: BTreeSet<NodeId>,
    /// Scalars the user asserts to be convex.
    pub asserted_convex: BTreeSet<NodeId>,
    /// Scalars the user asserts to be concave.
    pub asserted_concave: BTreeSet<NodeId>,
}

/// Facts of all nodes that some outputs depend on.
#[derive(Clone, Debug, Default)]
pub struct FactsTable {
    facts: Vec<Option<Facts>>,
    /// Matrices without variables in quadratic forms, not proved semidefinite: a check on the data may settle them
    /// (then [`analyze_with`] again).
    pub needs_psd: Vec<NodeId>,
}

impl FactsTable {
    /// The facts of a node, if it was analyzed.
    pub fn get(&self, n: NodeId) -> Option<&Facts> {
        self.facts.get(n.index()).and_then(Option::as_ref)
    }
    /// Curvature; unknown for a node that was not analyzed.
    pub fn curvature(&self, n: NodeId) -> Curvature {
        self.get(n).map_or(Curvature::Unknown, |f| f.curvature)
    }
    /// Sign; unknown for a node that was not analyzed.
    pub fn sign(&self, n: NodeId) -> Sign {
        self.get(n).map_or(Sign::Unknown, |f| f.sign)
    }
    /// Degree; 3 for a node that was not analyzed.
    pub fn degree(&self, n: NodeId) -> u8 {
        self.get(n).map_or(3, |f| f.degree)
    }
    /// Does it depend on a variable? Yes for a node that was not analyzed.
    pub fn has_var(&self, n: NodeId) -> bool {
        self.get(n).is_none_or(|f| f.has_var)
    }
}

/// Facts of everything `outputs` depend on.
pub fn analyze(ir: &Ir, outputs: &[NodeId]) -> FactsTable {
    analyze_with(ir, outputs, &Assumptions::default())
}

/// [`analyze`] with assumptions, whose consequences carry their grade.
pub fn analyze_with(ir: &Ir, outputs: &[NodeId], given: &Assumptions) -> FactsTable {
    let mut t = FactsTable {
        facts: vec![None; ir.len()],
        needs_psd: vec![],
    };
    for n in ir.reachable(outputs) {
        let mut f = facts_of(ir, &mut t, n, given);
        assume(&mut f, n, given);
        t.facts[n.index()] = Some(f);
    }
    t
}

/// Facts of what `node` depends on and was not analyzed yet.
pub fn extend(ir: &Ir, t: &mut FactsTable, node: NodeId) {
    t.facts.resize(ir.len(), None);
    let given = Assumptions::default();
    for n in ir.reachable(&[node]) {
        if t.facts[n.index()].is_none() {
            let f = facts_of(ir, t, n, &given);
            t.facts[n.index()] = Some(f);
        }
    }
}

/// Polynomial degree of one node in the variables (3: more than 2, or not a polynomial).
pub fn degree(ir: &Ir, node: NodeId) -> u8 {
    analyze(ir, &[node]).degree(node)
}

fn assume(f: &mut Facts, n: NodeId, given: &Assumptions) {
    if f.curvature != Curvature::Unknown {
        return;
    }
    let checked = "its Hessian was checked on the data";
    let table = [
        (&given.convex, Curvature::Convex, Grade::CheckedOnData, checked),
        (&given.concave, Curvature::Concave, Grade::CheckedOnData, checked),
        (&given.asserted_convex, Curvature::Convex, Grade::Asserted, "asserted"),
        (&given.asserted_concave, Curvature::Concave, Grade::Asserted, "asserted"),
    ];
    for (set, curvature, grade, why) in table {
        if set.contains(&n) {
            f.curvature = curvature;
            f.grade = grade;
            f.rule = rule(format!("{}: {why}", curvature.word()));
            return;
        }
    }
}

fn rule(text: impl Into<String>) -> Rule {
    Rule {
        text: text.into(),
        culprit: None,
    }
}

/// The grade of what follows from both.
pub(super) fn weaker(a: Grade, b: Grade) -> Grade {
    let rank = |g: Grade| match g {
        Grade::Proved => 0,
        Grade::CheckedOnData => 1,
        Grade::Asserted => 2,
    };
    if rank(a) >= rank(b) { a } else { b }
}

fn leaf(sign: Sign, curvature: Curvature, text: &str) -> Facts {
    let var = curvature == Curvature::Affine;
    Facts {
        sign,
        curvature,
        rule: rule(text),
        smooth: Smooth::Analytic,
        degree: u8::from(var),
        grade: Grade::Proved,
        has_var: var,
        params: vec![],
    }
}

fn index_sign(set: &IndexSet) -> Sign {
    let lo = set.lo();
    if lo >= 0 {
        Sign::Nonneg
    } else if lo + set.len() as i64 <= 1 {
        Sign::Nonpos
    } else {
        Sign::Unknown
    }
}

fn sign_of_entries(storage: &Storage) -> Sign {
    let entries: Box<dyn Iterator<Item = f64>> = match storage {
        Storage::Dense(d) => Box::new(d.iter().copied()),
        Storage::Sparse(s) => Box::new(s.values.iter().copied()),
    };
    let mut sign = Sign::Zero;
    for v in entries {
        sign = sign.join(Sign::of(v));
        if sign == Sign::Unknown {
            break;
        }
    }
    sign
}

fn facts_of(ir: &Ir, t: &mut FactsTable, n: NodeId, given: &Assumptions) -> Facts {
    match ir.node(n) {
        Node::Const(b) => leaf(Sign::of(f64::from_bits(*b)), Curvature::Constant, "constant: a number"),
        Node::Index(i) => leaf(index_sign(&ir.index(*i).set), Curvature::Constant, "constant: an index"),
        Node::Input(i) => input_facts(ir, *i),
        Node::Gather { array, .. } => passed_on(ir, t, n, *array, "an entry of such an array"),
        Node::Map { body, .. } => passed_on(ir, t, n, *body, "every entry is"),
        // Entries of a scatter are sums of bodies, or 0.
        Node::Scatter { body, .. } => passed_on(ir, t, n, *body, "every entry is a sum of such"),
        Node::Fold { atom, body, .. } => applied(ir, t, n, *atom, &[*body], given),
        Node::Apply { atom, args } => applied(ir, t, n, *atom, args, given),
    }
}

fn input_facts(ir: &Ir, i: InputId) -> Facts {
    let input = ir.input(i);
    match &input.kind {
        InputKind::Var => leaf(input.sign, Curvature::Affine, "affine: a variable"),
        InputKind::Param => Facts {
            params: vec![i],
            ..leaf(input.sign, Curvature::Constant, "constant: a parameter")
        },
        InputKind::Data(d) => {
            let sign = match input.sign {
                Sign::Unknown => sign_of_entries(&d.storage),
                s => s,
            };
            leaf(sign, Curvature::Constant, "constant: data")
        }
        InputKind::Seed => leaf(input.sign, Curvature::Constant, "constant: a direction"),
    }
}

fn passed_on(ir: &Ir, t: &FactsTable, n: NodeId, from: NodeId, what: &str) -> Facts {
    let mut f = match t.get(from) {
        Some(f) => f.clone(),
        None => leaf(Sign::Unknown, Curvature::Unknown, ""),
    };
    f.rule = Rule {
        text: format!("{}: {what}", f.curvature.word()),
        culprit: (f.curvature == Curvature::Unknown).then_some(from),
    };
    f.params = params_of(ir, t, n);
    f
}

fn params_of(ir: &Ir, t: &FactsTable, n: NodeId) -> Vec<InputId> {
    let mut params: Vec<InputId> = vec![];
    ir.for_each_arg(n, |a| {
        if let Some(f) = t.get(a) {
            params.extend(&f.params);
        }
    });
    params.sort_unstable();
    params.dedup();
    params
}

fn applied(ir: &Ir, t: &mut FactsTable, n: NodeId, atom: AtomRef, args: &[NodeId], given: &Assumptions) -> Facts {
    let facts: Vec<(NodeId, ArgFacts)> = args.iter().map(|a| (*a, arg_facts(ir, t, *a))).collect();
    let plain: Vec<ArgFacts> = facts.iter().map(|f| f.1).collect();
    let signs: Vec<Sign> = plain.iter().map(|f| f.sign).collect();
    let has_var = args.iter().any(|a| t.has_var(*a));
    let known = args.iter().filter_map(|a| t.get(*a));
    let mut f = Facts {
        sign: match atom.sign {
            SignRule::Always(s) => s,
            SignRule::Of(rule) => rule(&signs),
            SignRule::With(rule) => rule(&plain),
        },
        curvature: Curvature::Constant,
        rule: rule("constant: no variable in it"),
        smooth: Smooth::Analytic,
        degree: 0,
        grade: known.clone().fold(Grade::Proved, |g, f| weaker(g, f.grade)),
        has_var,
        params: params_of(ir, t, n),
    };
    if !has_var {
        return f;
    }
    let degrees: Vec<u8> = args.iter().map(|a| t.degree(*a)).collect();
    f.degree = match atom.degree {
        DegreeRule::NotPolynomial => 3,
        DegreeRule::Linear => degrees.iter().copied().max().unwrap_or(0),
        DegreeRule::Of(rule) => rule(&degrees, &plain),
    };
    // A choice that depends on data only is as smooth as its branches.
    let chosen_by_data = atom == SELECT && !args.first().is_some_and(|c| t.has_var(*c));
    let smooth = known.map(|a| a.smooth).min().unwrap_or(Smooth::Analytic);
    f.smooth = if chosen_by_data {
        smooth
    } else {
        smooth.min(atom.smooth)
    };
    match (atom == QUAD, args) {
        (true, [x, p]) => quadratic(ir, t, *x, *p, &mut f, given),
        _ => (f.curvature, f.rule) = judge(atom, &facts),
    }
    if f.degree <= 1 && f.curvature == Curvature::Unknown {
        f.curvature = Curvature::Affine;
        f.rule = rule("affine: a polynomial of degree 1");
    }
    f
}

/// Curvature of a node's own row in the arguments that hold variables, whatever these are made of.
pub fn own_curvature(ir: &Ir, t: &FactsTable, n: NodeId) -> Curvature {
    let (atom, args): (AtomRef, &[NodeId]) = match ir.node(n) {
        Node::Apply { atom, args } => (*atom, args),
        Node::Fold { atom, body, .. } => (*atom, std::slice::from_ref(body)),
        _ => return Curvature::Affine,
    };
    if atom == QUAD {
        return t.curvature(n);
    }
    match atom.curvature {
        CurvatureRule::Always(c) => c,
        CurvatureRule::Of(of) => {
            let facts: Vec<ArgFacts> = args.iter().map(|a| arg_facts(ir, t, *a)).collect();
            of(&facts)
        }
    }
}

fn arg_facts(ir: &Ir, t: &FactsTable, a: NodeId) -> ArgFacts {
    ArgFacts {
        sign: t.sign(a),
        curvature: t.curvature(a),
        constant: ir.as_const(a),
    }
}

/// `x' P x` with `P` free of variables and `x` affine: convex where `P` is positive semidefinite.
fn quadratic(ir: &Ir, t: &mut FactsTable, x: NodeId, p: NodeId, f: &mut Facts, given: &Assumptions) {
    f.curvature = Curvature::Unknown;
    if t.has_var(p) {
        f.rule = rule("unknown: the matrix of the quadratic form has variables in it");
        f.rule.culprit = (t.curvature(p) == Curvature::Unknown).then_some(p);
        return;
    }
    if !t.curvature(x).is_affine() {
        f.rule = rule("unknown: a quadratic form of something that is not affine");
        f.rule.culprit = (t.curvature(x) == Curvature::Unknown).then_some(x);
        return;
    }
    for (positive, curvature, sign) in [
        (true, Curvature::Convex, Sign::Nonneg),
        (false, Curvature::Concave, Sign::Nonpos),
    ] {
        if let Some((grade, why)) = semidefinite(ir, t, p, given, positive) {
            let word = if positive { "positive" } else { "negative" };
            f.curvature = curvature;
            f.sign = sign;
            f.grade = weaker(f.grade, grade);
            f.rule = rule(format!(
                "{}: a quadratic form whose matrix is {word} semidefinite ({why})",
                curvature.word()
            ));
            return;
        }
    }
    if !t.needs_psd.contains(&p) {
        t.needs_psd.push(p);
    }
    f.rule = rule("unknown: a quadratic form whose matrix is not known to be semidefinite");
}

/// Curvature of `row` applied to arguments: the composition rule of disciplined convex programming.
///
/// A convex function stays convex where each argument is affine, or convex and the function increasing in it, or
/// concave and the function decreasing in it; mirrored for concave ones.
pub fn judge(row: AtomRef, args: &[(NodeId, ArgFacts)]) -> (Curvature, Rule) {
    let plain: Vec<ArgFacts> = args.iter().map(|a| a.1).collect();
    if plain.iter().all(|a| a.curvature == Curvature::Constant) {
        return (Curvature::Constant, rule("constant: no variable in it"));
    }
    let own = match row.curvature {
        CurvatureRule::Always(c) => c,
        CurvatureRule::Of(of) => of(&plain),
    };
    let name = row.0.symbol.unwrap_or(row.0.name);
    if own == Curvature::Unknown {
        let decided = plain.iter().filter(|a| a.curvature != Curvature::Constant).count();
        let text = if decided > 1 {
            format!("unknown: `{name}` of several expressions with variables is neither convex nor concave")
        } else {
            format!("unknown: no rule makes `{name}` convex or concave here")
        };
        let culprit = args.iter().find(|a| a.1.curvature == Curvature::Unknown).map(|a| a.0);
        return (Curvature::Unknown, Rule { text, culprit });
    }
    if own.is_affine() && plain.iter().all(|a| a.curvature.is_affine()) {
        return (
            Curvature::Affine,
            rule(format!("affine: `{name}` of affine expressions")),
        );
    }
    let mut broken = None;
    for goal in [Curvature::Convex, Curvature::Concave] {
        if !own.is_affine() && own != goal {
            continue;
        }
        match (0..args.len()).find(|k| !keeps(row, &plain, *k, goal)) {
            None => return (goal, composed(row, &plain, own, goal, name)),
            Some(k) => broken = broken.or(Some((k, goal))),
        }
    }
    let (k, goal) = broken.unwrap_or((0, Curvature::Convex));
    (Curvature::Unknown, broke(row, args, own, k, goal, name))
}

fn mono(row: AtomRef, args: &[ArgFacts], k: usize) -> Mono {
    match row.monotone {
        MonoRule::Always(list) => list.get(k).or(list.last()).copied().unwrap_or(Mono::Unknown),
        MonoRule::Of(of) => of(args, k),
    }
}

/// Does argument `k` keep the function `goal` (convex or concave)?
fn keeps(row: AtomRef, args: &[ArgFacts], k: usize, goal: Curvature) -> bool {
    let a = args[k];
    if a.curvature.is_affine() {
        return true;
    }
    let (along, against) = match goal {
        Curvature::Convex => (a.curvature.is_convex(), a.curvature.is_concave()),
        _ => (a.curvature.is_concave(), a.curvature.is_convex()),
    };
    match mono(row, args, k) {
        Mono::Increasing => along,
        Mono::Decreasing => against,
        Mono::AwayFromZero => (along && a.sign.is_nonneg()) || (against && a.sign.is_nonpos()),
        Mono::Unknown => false,
    }
}

fn composed(row: AtomRef, args: &[ArgFacts], own: Curvature, goal: Curvature, name: &str) -> Rule {
    let goal = goal.word();
    let nature = if own.is_affine() { "affine" } else { own.word() };
    match (0..args.len()).find(|k| !args[*k].curvature.is_affine()) {
        None => rule(format!("{goal}: `{name}` of an affine expression")),
        Some(k) => {
            let way = match mono(row, args, k) {
                Mono::Increasing => "increasing",
                Mono::Decreasing => "decreasing",
                Mono::AwayFromZero if args[k].sign.is_nonneg() => "increasing on nonnegative values",
                Mono::AwayFromZero => "decreasing on nonpositive values",
                Mono::Unknown => "not monotone",
            };
            let inner = args[k].curvature.word();
            rule(format!("{goal}: `{name}` is {nature} and {way}, its argument {inner}"))
        }
    }
}

fn broke(row: AtomRef, args: &[(NodeId, ArgFacts)], own: Curvature, k: usize, goal: Curvature, name: &str) -> Rule {
    let plain: Vec<ArgFacts> = args.iter().map(|a| a.1).collect();
    let a = plain[k];
    if a.curvature == Curvature::Unknown {
        return Rule {
            text: format!("unknown: `{name}` of an expression of unknown curvature"),
            culprit: Some(args[k].0),
        };
    }
    let nature = if own.is_affine() { "affine" } else { goal.word() };
    let inner = a.curvature.word();
    let way = match mono(row, &plain, k) {
        Mono::Increasing => "increasing",
        Mono::Decreasing => "decreasing",
        Mono::AwayFromZero => "increasing for nonnegative values only",
        Mono::Unknown => "not known to be monotone",
    };
    let both = match mono(row, &plain, k) {
        Mono::AwayFromZero if a.sign == Sign::Unknown => " and may take both signs",
        _ => "",
    };
    rule(format!(
        "unknown: `{name}` is {nature} and {way}, but its argument is {inner}{both}"
    ))
}

/// One line of a derivation.
#[derive(Clone, Debug, PartialEq)]
pub struct Step {
    /// The node it is about; its origins say where the user wrote it.
    pub node: NodeId,
    /// How far inside.
    pub depth: usize,
    /// Its curvature.
    pub curvature: Curvature,
    /// How that is known.
    pub grade: Grade,
    /// The expression, shortened.
    pub expression: String,
    /// The rule.
    pub rule: String,
}

/// Longest derivation shown.
const LONGEST: usize = 60;

/// The derivation of a node's curvature, outermost first. An unknown one is followed to the innermost culprit only; a
/// known one is shown down to its affine parts.
pub fn why(ir: &Ir, table: &FactsTable, node: NodeId) -> Vec<Step> {
    let mut steps = vec![];
    let mut stack = vec![(node, 0)];
    while let Some((n, depth)) = stack.pop() {
        let Some(f) = table.get(n) else { continue };
        // Reading an entry of a computed array adds nothing to the argument.
        let passes = matches!(
            ir.node(n),
            Node::Gather { .. } | Node::Map { .. } | Node::Scatter { .. }
        );
        let shown = !passes || f.curvature.is_affine();
        if shown {
            steps.push(Step {
                node: n,
                depth,
                curvature: f.curvature,
                grade: f.grade,
                expression: crate::ir::show::short(ir, n),
                rule: f.rule.text.clone(),
            });
        }
        if steps.len() >= LONGEST {
            break;
        }
        let below = depth + usize::from(shown);
        if f.curvature == Curvature::Unknown {
            stack.extend(f.rule.culprit.map(|c| (c, below)));
        } else if !f.curvature.is_affine() {
            let mut args = vec![];
            ir.for_each_arg(n, |a| {
                if table.get(a).is_some_and(|f| f.has_var) && !args.contains(&(a, below)) {
                    args.push((a, below));
                }
            });
            stack.extend(args.into_iter().rev());
        }
    }
    steps
}

/// The derivation as indented lines.
pub fn why_lines(ir: &Ir, table: &FactsTable, node: NodeId) -> Vec<String> {
    why(ir, table, node)
        .into_iter()
        .map(|s| format!("{}{} is {}", "  ".repeat(s.depth), s.expression, s.rule))
        .collect()
}
