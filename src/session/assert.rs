//! `assert`: a condition, or a comparison within a tolerance.
//!
//! Invariant: a comparison that is undefined anywhere does not hold; a failure names the worst entry.

use crate::base::value::{Tensor, Value};
use crate::base::{Code, Diagnostic, Diagnostics};
use crate::lang::syntax::{CompareOp, Expr, ExprKind, show as shown};

use super::{Session, show};

impl Session {
    pub(super) fn assert(&mut self, c: &Expr, within: Option<&Expr>) -> Result<(), Diagnostics> {
        let one = |d: Box<Diagnostic>| vec![*d];
        let tolerance = match within {
            Some(e) => Some(self.number(e).map_err(one)?),
            None => None,
        };
        let ExprKind::Compare { first, rest } = &c.kind else {
            return self.holds(c);
        };
        if let ([link], None) = (rest.as_slice(), tolerance)
            && matches!(link.op, CompareOp::Eq | CompareOp::Ne)
            && [&**first, &link.operand]
                .iter()
                .any(|e| matches!(e.kind, ExprKind::Text(_)))
            && let (Ok(Value::Text(a)), Ok(Value::Text(b))) = (self.evaluate(first), self.evaluate(&link.operand))
        {
            let holds = (a == b) == (link.op == CompareOp::Eq);
            return if holds {
                Ok(())
            } else {
                Err(failed(c, format!("\"{a}\" and \"{b}\"")))
            };
        }
        let ([link], Some(tolerance)) = (rest.as_slice(), tolerance) else {
            return self.holds(c);
        };
        let a = self.evaluate(first).map_err(one)?;
        let b = self.evaluate(&link.operand).map_err(one)?;
        let (Value::Array { tensor: a, .. }, Value::Array { tensor: b, .. }) = (&a, &b) else {
            return self.holds(c);
        };
        let off = |x: f64, y: f64| match link.op {
            CompareOp::Le | CompareOp::Lt => x - y,
            CompareOp::Ge | CompareOp::Gt => y - x,
            // The same infinity on both sides is no difference.
            _ if x == y => 0.0,
            _ => (x - y).abs(),
        };
        let n = entries(if a.dims.is_empty() { b } else { a });
        let (x, y) = (super::evaluate::spread(a, n), super::evaluate::spread(b, n));
        if x.len() != y.len() {
            return Err(vec![
                Diagnostic::new(
                    Code::ShapeMismatch,
                    format!(
                        "`{}` compares {} with {}",
                        shown(c),
                        crate::lang::lower::describe_dims(&a.dims),
                        crate::lang::lower::describe_dims(&b.dims)
                    ),
                )
                .at(c.span, "here"),
            ]);
        }
        let mut worst: Option<(usize, f64)> = None;
        for (k, d) in x.iter().zip(&y).map(|(x, y)| off(*x, *y)).enumerate() {
            let more = worst.is_none_or(|(_, w)| d > w || d.is_nan() && !w.is_nan());
            if more {
                worst = Some((k, d));
            }
        }
        let Some((k, d)) = worst.filter(|(_, d)| d.is_nan() || *d > tolerance) else {
            return Ok(());
        };
        let dims = if a.dims.is_empty() { &b.dims } else { &a.dims };
        let place = match dims.is_empty() {
            true => String::new(),
            false => format!(" at [{}]", super::instance_name(dims, k)),
        };
        let detail = format!(
            "{} and {}{place}: off by {}, {} allowed",
            show::number(x[k]),
            show::number(y[k]),
            show::number(d),
            show::number(tolerance)
        );
        Err(failed(c, detail))
    }

    fn holds(&mut self, c: &Expr) -> Result<(), Diagnostics> {
        let Value::Array { tensor, .. } = self.evaluate(c).map_err(|d| vec![*d])? else {
            return Err(failed(c, "it is not a truth value".to_string()));
        };
        let false_here = tensor.held().find(|(_, v)| *v == 0.0).map(|(k, _)| k);
        let at = match tensor.as_dense() {
            Some(_) => false_here,
            None => false_here.or_else(|| tensor.first_absent()),
        };
        match at {
            None => Ok(()),
            Some(_) if tensor.dims.is_empty() => Err(failed(c, "it is false".to_string())),
            Some(k) => Err(failed(
                c,
                format!("it is false at [{}]", super::instance_name(&tensor.dims, k)),
            )),
        }
    }
}

fn entries(t: &Tensor) -> usize {
    t.dims.iter().map(crate::base::value::IndexSet::len).product()
}

fn failed(c: &Expr, detail: String) -> Diagnostics {
    vec![Diagnostic::new(Code::AssertFailed, format!("`{}` does not hold", shown(c))).at(c.span, detail)]
}
