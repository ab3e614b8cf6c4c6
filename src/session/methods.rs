//! Methods of `with` clauses that are not written in the language: their options, evaluated.
//!
//! Invariant: an option is a number, a truth value, a word, or a linear map; which it may be is the method's own business.

use std::sync::Arc;

use super::Session;
use super::solving::{Found, one};
use crate::base::value::{Elem, Value};
use crate::base::{Code, Diagnostic};
use crate::exec::{Machine, Plan};
use crate::lang::lower;
use crate::lang::syntax::{Expr, MethodCall, show as shown};
use crate::solve::errors::Given;
use crate::solve::method::OptionKind;
use crate::solve::user_map::UserMap;
use crate::solve::{Method, methods};

impl Session {
    /// The method of a `with` clause.
    pub(super) fn builtin(&self, m: &MethodCall) -> Found<Arc<dyn Method>> {
        let mut options = vec![];
        let card = methods::find(&m.name.text);
        for a in &m.args {
            let Some(name) = &a.name else {
                return Err(vec![
                    Diagnostic::new(
                        Code::BadOption,
                        format!("options of `{}` are given by name", m.name.text),
                    )
                    .at(a.value.span, "without a name")
                    .help("such as `lbfgs(memory: 20)`"),
                ]);
            };
            let option = card.and_then(|c| c.options.iter().find(|o| o.name == name.text));
            if let Some(OptionKind::Map(words)) = option.map(|o| o.kind)
                && !a.value.as_name().is_some_and(|n| words.contains(&n))
                && let Some(map) = self.user_map(&a.value)?
            {
                options.push((name.text.clone(), Given::Map(map, shown(&a.value)), a.value.span));
                continue;
            }
            let given = match self.evaluate(&a.value) {
                Ok(Value::Array {
                    tensor,
                    elem: Elem::Bool,
                }) => Given::Truth(tensor.as_scalar() == Some(1.0)),
                Ok(Value::Array { tensor, .. }) if tensor.dims.is_empty() => {
                    Given::Number(tensor.as_scalar().unwrap_or(f64::NAN))
                }
                Ok(_) | Err(_) => Given::Word(shown(&a.value)),
            };
            options.push((name.text.clone(), given, a.value.span));
        }
        methods::build(&m.name.text, m.name.span, &options)
    }

    /// A matrix, an operator or a diagonal as a program; none for what is neither.
    fn user_map(&self, e: &Expr) -> Found<Option<UserMap>> {
        if e.as_name().is_some_and(|n| !self.defs.contains_key(n)) {
            return Ok(None);
        }
        let Some(m) = lower::lower_map(self, e).map_err(one)? else {
            return Ok(None);
        };
        let mut machine = Machine::new(Arc::new(Plan::compile(&m.ir, &[m.output])));
        for (name, input) in &m.params {
            if let Some(p) = self.param_value(name) {
                machine.set(*input, p.tensor.clone());
            }
        }
        Ok(Some(UserMap::new(machine, m.input, m.size)))
    }
}
