//! Tracing a value that is not finite back to the expression and the index where it arose.
//!
//! Invariant: runs only after a failure, one instance at a time; looks at the machine's values and changes none.

use crate::ir::atom::Eval;
use crate::ir::{DomainId, IndexId, Ir, Node, NodeId, Pos};

use super::{Fault, Machine};

/// Positions of bound indices, innermost last.
type Env = Vec<(IndexId, usize)>;

/// The first node, in the order of evaluation, that is not finite although everything it reads is; with the elements
/// of the indices in force. `None` if every value is finite.
pub fn locate(ir: &Ir, machine: &Machine, outputs: &[NodeId]) -> Option<Fault> {
    let order = ir.reachable(outputs);
    for &n in &order {
        if ir.region(n) != DomainId::ROOT || matches!(ir.node(n), Node::Const(_)) {
            continue;
        }
        // A scatter that was added straight into a sum has no value of its own: its instances are searched.
        let held = machine.slot_of(n).is_some();
        if held && machine.node_is_finite(n) {
            continue;
        }
        let w = Watch { ir, machine };
        let found = match ir.node(n) {
            Node::Fold { domain, body, .. } | Node::Map { domain, body } | Node::Scatter { domain, body, .. } => {
                w.search(&ir.chain(*domain), *body, &mut vec![], 0)
            }
            _ => None,
        };
        if !held && found.is_none() {
            continue;
        }
        let (node, env) = found.unwrap_or((n, vec![]));
        return Some(Fault {
            what: w.sentence(node, &env),
            node: Some(node),
            at: w.names(&env),
        });
    }
    None
}

struct Watch<'a> {
    ir: &'a Ir,
    machine: &'a Machine,
}

impl Watch<'_> {
    /// Runs over the instances of a domain chain until `body` is not finite.
    fn search(&self, chain: &[DomainId], body: NodeId, env: &mut Env, parent: usize) -> Option<(NodeId, Env)> {
        let Some((d, rest)) = chain.split_first() else {
            return if self.value(body, env).is_finite() {
                None
            } else {
                Some(self.innermost(body, env))
            };
        };
        for (instance, positions) in self.machine.instances(*d, parent) {
            let depth = env.len();
            env.extend(positions);
            let found = self.search(rest, body, env, instance);
            env.truncate(depth);
            if found.is_some() {
                return found;
            }
        }
        None
    }

    /// Goes down from a value that is not finite to the one that made it so.
    fn innermost(&self, n: NodeId, env: &Env) -> (NodeId, Env) {
        if let Node::Apply { args, .. } = self.ir.node(n) {
            for a in args.iter() {
                if !self.value(*a, env).is_finite() {
                    return self.innermost(*a, env);
                }
            }
        }
        if let Node::Fold { domain, body, .. } = self.ir.node(n)
            && let Some(parent) = self.instance_of(self.ir.domain(*domain).parent, env)
            && let Some(found) = self.search(&[*domain], *body, &mut env.clone(), parent)
        {
            return found;
        }
        (n, env.clone())
    }

    /// The flattened instance of a domain that the positions in force mean.
    fn instance_of(&self, d: Option<DomainId>, env: &Env) -> Option<usize> {
        let d = d?;
        if d == DomainId::ROOT {
            return Some(0);
        }
        let parent = self.instance_of(self.ir.domain(d).parent, env)?;
        let want: Vec<usize> = self
            .ir
            .domain(d)
            .indices
            .iter()
            .map(|i| env.iter().find(|e| e.0 == *i).map(|e| e.1))
            .collect::<Option<_>>()?;
        self.machine
            .instances(d, parent)
            .find(|(_, p)| p.iter().map(|e| e.1).eq(want.iter().copied()))
            .map(|(k, _)| k)
    }

    fn value(&self, n: NodeId, env: &Env) -> f64 {
        if self.ir.region(n) == DomainId::ROOT {
            return match self.ir.as_const(n) {
                Some(v) => v,
                None => self.machine.node_scalar(n),
            };
        }
        match self.ir.node(n) {
            Node::Index(i) => {
                let p = env.iter().find(|e| e.0 == *i).map_or(0, |e| e.1);
                (self.ir.index(*i).set.lo() + p as i64) as f64
            }
            Node::Apply { atom, args } => {
                let v: Vec<[f64; 1]> = args.iter().map(|a| [self.value(*a, env)]).collect();
                let mut out = [f64::NAN];
                match atom.eval {
                    Eval::Lane1(f) => f(&mut out, &v[0]),
                    Eval::Lane2(f) => f(&mut out, &v[0], &v[1]),
                    Eval::Lane3(f) => f(&mut out, &v[0], &v[1], &v[2]),
                    Eval::Reduce(_) | Eval::Array(_) => {}
                }
                out[0]
            }
            Node::Gather { array, at } => {
                let p: Vec<i64> = at.iter().map(|p| self.position(p, env)).collect();
                self.machine.node_entry(*array, self.ir.shape(*array), &p)
            }
            Node::Fold { atom, domain, body } => {
                let Eval::Reduce(r) = atom.eval else { return f64::NAN };
                let Some(parent) = self.instance_of(self.ir.domain(*domain).parent, env) else {
                    return f64::NAN;
                };
                let mut inner = env.clone();
                let depth = inner.len();
                let mut values = vec![];
                for (_, positions) in self.machine.instances(*domain, parent) {
                    inner.truncate(depth);
                    inner.extend(positions);
                    values.push(self.value(*body, &inner));
                }
                let partial = if values.is_empty() { r.empty } else { (r.block)(&values) };
                (r.finish)(partial, values.len())
            }
            _ => f64::NAN,
        }
    }

    fn position(&self, p: &Pos, env: &Env) -> i64 {
        match p {
            Pos::Affine { terms, offset } => terms.iter().fold(*offset, |o, (i, c)| {
                o + c * env.iter().find(|e| e.0 == *i).map_or(0, |e| e.1 as i64)
            }),
            Pos::Node(n) => self.value(*n, env) as i64,
        }
    }

    fn names(&self, env: &Env) -> Vec<(String, String)> {
        env.iter()
            .map(|(i, p)| (self.ir.index(*i).name.clone(), self.ir.index(*i).set.element(*p)))
            .collect()
    }

    /// What happened, with the values that led to it.
    fn sentence(&self, n: NodeId, env: &Env) -> String {
        match self.ir.node(n) {
            Node::Apply { atom, args } if atom.kind == crate::ir::AtomKind::Scalar => {
                let v: Vec<String> = args.iter().map(|a| format!("{}", self.value(*a, env))).collect();
                let name = atom.symbol.unwrap_or(atom.name);
                match v.as_slice() {
                    [a, b] if atom.symbol.is_some() => format!("{a} {name} {b} is not a finite number"),
                    _ => format!("{name}({}) is not a finite number", v.join(", ")),
                }
            }
            Node::Input(i) => format!("`{}` is not finite", self.ir.input(*i).name),
            Node::Apply { atom, .. } | Node::Fold { atom, .. } => {
                format!("the result of `{}` is not a finite number", atom.name)
            }
            _ => "a value is not a finite number".into(),
        }
    }
}
