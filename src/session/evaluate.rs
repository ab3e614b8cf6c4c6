//! Values of expressions: lowered, compiled, run, read back.
//!
//! Invariant: there is one evaluator, the one that solves; `print`, data declarations, starts and bounds all pass here.

use std::sync::Arc;

use crate::base::value::{Tensor, Value};
use crate::base::{Code, Diagnostic, Span};
use crate::exec::{Fault, Machine, Plan};
use crate::ir::{InputId, Ir, NodeId};
use crate::lang::lower::{self, Evaluable};
use crate::lang::syntax::Expr;

use super::Session;

impl Session {
    /// The value of an expression without variables.
    pub(super) fn evaluate(&self, e: &Expr) -> Result<Value, Box<Diagnostic>> {
        self.evaluated(e, &[], false)
    }

    /// As [`Session::evaluate`], with values for some names.
    pub(super) fn evaluate_among(&self, e: &Expr, values: &[(String, Arc<Tensor>)]) -> Result<Value, Box<Diagnostic>> {
        self.evaluated(e, values, false)
    }

    /// As [`Session::evaluate_among`], where a picture is drawn: entries that are not defined are NaN.
    pub(super) fn evaluate_holes(&self, e: &Expr, values: &[(String, Arc<Tensor>)]) -> Result<Value, Box<Diagnostic>> {
        self.evaluated(e, values, true)
    }

    fn evaluated(&self, e: &Expr, values: &[(String, Arc<Tensor>)], holes: bool) -> Result<Value, Box<Diagnostic>> {
        let v = lower::lower_value_among(self, e, values)?;
        match v.value {
            Evaluable::Set(s) => Ok(Value::Set(s)),
            Evaluable::Text(t) => Ok(Value::Text(t)),
            Evaluable::Table(t) => Ok(Value::Table(t)),
            Evaluable::Array { node, dims, elem } => {
                let t = self
                    .run_with(&v.ir, &v.params, &[(node, dims)], holes)
                    .map_err(|f| self.fault(&v.ir, &f, e))?;
                let tensor = t.into_iter().next().unwrap_or_else(|| Tensor::scalar(f64::NAN));
                Ok(Value::Array {
                    tensor: Arc::new(tensor),
                    elem,
                })
            }
        }
    }

    /// A number that an expression without variables means.
    pub(super) fn number(&self, e: &Expr) -> Result<f64, Box<Diagnostic>> {
        match self.evaluate(e)? {
            Value::Array { tensor, .. } if tensor.dims.is_empty() => Ok(tensor.as_scalar().unwrap_or(f64::NAN)),
            other => Err(Box::new(
                Diagnostic::new(
                    Code::WrongType,
                    format!("a number is expected, found {}", super::show::kind(&other)),
                )
                .at(e.span, "here"),
            )),
        }
    }

    /// Runs nodes of a program whose parameters are this session's.
    pub(super) fn run_nodes(
        &self,
        ir: &Ir,
        params: &[(String, InputId)],
        nodes: &[(NodeId, Vec<crate::base::value::IndexSet>)],
    ) -> Result<Vec<Tensor>, Fault> {
        self.run_with(ir, params, nodes, false)
    }

    /// As [`Session::run_nodes`]; with `holes` NaN is no fault.
    fn run_with(
        &self,
        ir: &Ir,
        params: &[(String, InputId)],
        nodes: &[(NodeId, Vec<crate::base::value::IndexSet>)],
        holes: bool,
    ) -> Result<Vec<Tensor>, Fault> {
        let outputs: Vec<NodeId> = nodes.iter().map(|n| n.0).collect();
        let plan = Plan::compile(ir, &outputs);
        self.afford(plan.bytes())?;
        let mut m = Machine::new(Arc::new(plan));
        for (name, input) in params {
            if let Some(p) = self.param_value(name) {
                m.set(*input, p.tensor.clone());
            }
        }
        m.eval()?;
        let solved = m.trust.iter().map(|(n, t)| (ir.origins(*n).first().copied(), *t));
        self.trust.borrow_mut().extend(solved);
        // Infinity is a number of the language (`inf`); NaN is not.
        for k in 0..nodes.len() {
            if !holes
                && m.dense(k).is_some_and(|e| e.iter().any(|v| v.is_nan()))
                && let Some(f) = crate::exec::watch::locate(ir, &m, &outputs)
            {
                return Err(f);
            }
        }
        Ok(nodes
            .iter()
            .enumerate()
            .map(|(k, (_, dims))| m.tensor(k, dims.clone()))
            .collect())
    }

    fn afford(&self, bytes: usize) -> Result<(), Fault> {
        if bytes as u64 > self.settings.memory {
            return Err(Fault {
                what: format!(
                    "it would take {} of memory, the budget is {}",
                    super::show::bytes(bytes as u64),
                    super::show::bytes(self.settings.memory)
                ),
                node: None,
                at: vec![],
            });
        }
        Ok(())
    }

    /// A fault as a diagnostic at the expression it came from.
    pub(super) fn fault(&self, ir: &Ir, f: &Fault, e: &Expr) -> Box<Diagnostic> {
        self.fault_at(ir, f, Some(e.span))
    }

    /// As [`Session::fault`], at a place that the caller may have to add.
    pub(super) fn fault_at(&self, ir: &Ir, f: &Fault, at: Option<Span>) -> Box<Diagnostic> {
        let span = f.node.and_then(|n| ir.origins(n).first().copied()).or(at);
        let code = if f.what.contains("memory") {
            Code::TooLarge
        } else if f.what.contains("leaves its array") {
            Code::IndexOutOfRange
        } else {
            Code::NotFinite
        };
        let mut d = Diagnostic::new(code, f.what.clone());
        if let Some(span) = span {
            d = d.at(span, "while this was evaluated");
        }
        if !f.at.is_empty() {
            let at: Vec<String> = f.at.iter().map(|(i, v)| format!("{i} = {v}")).collect();
            d = d.note(format!("at {}", at.join(", ")));
        }
        if code == Code::IndexOutOfRange {
            d = d.help("an element that its set lacks, or an integer outside its range: range over that set, or add a condition such as `if (p, m) in arcs`");
        }
        if code == Code::TooLarge {
            d = d.help("allow more with `--memory 8GB`, or keep large arrays sparse");
        }
        Box::new(d)
    }
}

/// Entries of a number or of a dense array repeated to `n` entries.
pub(super) fn spread(t: &Tensor, n: usize) -> Vec<f64> {
    let d = t.to_dense();
    if d.len() == 1 && n != 1 { vec![d[0]; n] } else { d }
}
