//! The checker: names, types, shapes and the form of problems, without any data.
//!
//! Invariant: a name or an expression that failed has the type `Error`, which agrees with everything, so that one
//! mistake gives one message; nothing is read and nothing is evaluated.

mod calls;
mod command;
mod declare;
mod expr;
mod fields;
mod index;
mod linear;
mod looking;
mod operators;
mod optimizer;
mod pipeline;
mod plug;
mod problem;
mod scope;
mod sets;
mod types;

use std::collections::{BTreeSet, HashMap};
use std::rc::Rc;

pub use command::RUN_NUMBERS;
pub use linear::OPERATORS;
pub use problem::saddle_sides;
pub use scope::{Entry, Env, FnInfo, FormalInfo, Kept, MethodInfo, ProblemInfo, Sort, What};
pub use types::{Dim, Elem, Kind, Poly, Same, Ty};

use crate::base::diagnostic::did_you_mean;
use crate::base::{Diagnostic, Diagnostics, Span};
use crate::ir::Catalogue;
use crate::lang::errors::types as errors;
use crate::lang::syntax::{Expr, ExprId, ExprKind, Ident, Program, show};
use scope::Scope;

/// Messages kept of one text.
const MAX_MESSAGES: usize = 100;

/// What checking a program yields.
#[derive(Clone, Debug, Default)]
pub struct Checked {
    /// The type of each expression that was reached.
    types: Vec<Option<Ty>>,
    /// What later texts of the session may build on.
    pub env: Env,
}

impl Checked {
    /// The type of an expression, if it was reached.
    pub fn ty(&self, id: ExprId) -> Option<&Ty> {
        self.types.get(id.0 as usize)?.as_ref()
    }
}

/// Checks a program against what earlier texts of the session declared. Diagnostics are sorted by place.
pub fn check(program: &Program, env: &Env, catalogue: &Catalogue) -> (Checked, Diagnostics) {
    let mut c = Checker {
        catalogue,
        scope: Scope::new(env.names.clone()),
        unnamed: env.unnamed.clone(),
        shared: None,
        types: vec![None; program.exprs as usize],
        diagnostics: vec![],
        mine: HashMap::new(),
        later: HashMap::new(),
        gone: vec![],
        used: BTreeSet::new(),
        missed: BTreeSet::new(),
        defining: vec![],
        filtered: 0,
        turns: vec![],
        step: None,
        place: Place::Top,
        plugs: false,
    };
    for s in program.statements.iter().rev() {
        if let Some(n) = s.kind.declared() {
            c.later.insert(n.text.clone(), n.span);
        }
    }
    c.statements(&program.statements);
    c.diagnostics.sort_by_key(|d| d.span().map_or(0, |s| s.start));
    let env = Env {
        names: c.scope.globals,
        unnamed: c.unnamed,
    };
    (Checked { types: c.types, env }, c.diagnostics)
}

/// Where declarations go.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Place {
    Top,
    Problem,
    Function,
}

struct Checker<'a> {
    catalogue: &'a Catalogue,
    scope: Scope,
    unnamed: ProblemInfo,
    /// The unnamed problem as solutions share it, while it stays as it is.
    shared: Option<Rc<ProblemInfo>>,
    types: Vec<Option<Ty>>,
    diagnostics: Diagnostics,
    /// Names declared by this text, and where: a second declaration is a mistake only within one text.
    mine: HashMap<String, Span>,
    /// Names that top-level statements of this text declare somewhere.
    later: HashMap<String, Span>,
    /// Indices of comprehensions of this statement that have ended, where, and how their bodies would go on.
    gone: Vec<(String, Span, String)>,
    /// Variables that an objective or a constraint uses.
    used: BTreeSet<String>,
    /// Methods that are not known, each reported once.
    missed: BTreeSet<String>,
    /// Names being defined: their use is a recursion.
    defining: Vec<(String, Span)>,
    /// Conditions around this place: an index may not take all values.
    filtered: usize,
    /// What the loops around this statement range over, outermost first; nothing for one that follows an outer one.
    turns: Vec<(String, Option<Dim>)>,
    /// The optimizer whose block this is.
    step: Option<optimizer::StepScope>,
    place: Place,
    /// May the parameters that are read be methods: are they those of a pipeline?
    plugs: bool,
}

impl Checker<'_> {
    fn report(&mut self, d: Diagnostic) {
        if self.diagnostics.len() < MAX_MESSAGES {
            self.diagnostics.push(d);
        }
    }

    /// Reports, and answers the type of a mistake.
    fn wrong(&mut self, d: Diagnostic) -> Ty {
        self.report(d);
        Ty::error()
    }

    /// Declares a name in the current place. A second declaration is reported and replaces nothing.
    fn declare(&mut self, name: &Ident, what: What) {
        let known = match self.place {
            Place::Top => self.mine.get(&name.text).map(|s| (*s, "declared")),
            _ if self.step.is_some() => self.scope.local(&name.text).map(|e| (e.span, e.what.word())),
            _ => self.scope.get(&name.text).map(|e| (e.span, e.what.word())),
        };
        if let Some((first, word)) = known {
            let is_error = self
                .scope
                .get(&name.text)
                .is_some_and(|e| matches!(e.what, What::Error));
            if !is_error || self.place == Place::Top {
                self.report(errors::duplicate(&name.text, name.span, first, word));
            }
            return;
        }
        let entry = Entry { span: name.span, what };
        if self.place == Place::Top {
            self.mine.insert(name.text.clone(), name.span);
            self.scope.globals.insert(name.text.clone(), entry);
        } else {
            self.scope.add_local(&name.text, entry);
        }
    }

    /// Declares the result of a command: keeping another result under the same name is no second declaration.
    fn declare_result(&mut self, name: &Ident, what: What) {
        let old = self.scope.get(&name.text).map(|e| {
            (
                e.span,
                e.what.word(),
                matches!(e.what, What::Solution(..) | What::Kept(_) | What::Error),
            )
        });
        if let (Some((first, word, false)), Some(_)) = (old, self.mine.get(&name.text)) {
            self.report(errors::duplicate(&name.text, name.span, first, word));
            return;
        }
        self.mine.insert(name.text.clone(), name.span);
        self.scope
            .globals
            .insert(name.text.clone(), Entry { span: name.span, what });
    }

    /// The message for a name that is not known, with the best way out there is.
    fn unknown(&mut self, name: &str, at: Span) -> Ty {
        if self.diagnostics.len() >= MAX_MESSAGES {
            // Nobody reads on; looking for near names takes time.
            return Ty::error();
        }
        if let Some((_, declared)) = self.defining.iter().find(|(n, _)| n == name) {
            let d = errors::recursion(name, at, *declared);
            return self.wrong(d);
        }
        if let Some((_, bound, whole)) = self.gone.iter().rev().find(|g| g.0 == name) {
            let d = errors::index_behind_body(name, at, *bound, whole);
            return self.wrong(d);
        }
        if let Some(d) = self.named_elsewhere(name, at) {
            return self.wrong(d);
        }
        let near = did_you_mean(name, self.scope.names().map(|(n, _)| n)).map(str::to_string);
        let mut d = errors::unknown_name(name, at, near.as_deref());
        if let Some(later) = self.later.get(name).filter(|s| s.start > at.start) {
            d = errors::unknown_name(name, at, None)
                .at(*later, "declared only here")
                .help("declare it before it is used");
        } else if self.catalogue.functions.contains_key(name) {
            d = d.note(format!("`{name}` is a function: call it with `{name}(…)`"));
        } else if near.is_none() && self.step.is_some() {
            d = d.help(format!(
                "`let {name} = …` names a value of a step, `state {name} = …` before the `step` keeps one; the problem's variables together are `x`"
            ));
        } else if near.is_none() {
            d = d.help(format!(
                "declare it: `param {name} = …`, `let {name} = …`, `var {name}: Real`"
            ));
        }
        self.wrong(d)
    }

    /// An expression as an operand of a message.
    fn operand(&self, e: &Expr, ty: &Ty) -> errors::Operand {
        let text = show(e);
        let text = if text.chars().count() > 60 {
            let head: String = text.chars().take(57).collect();
            format!("{head}…")
        } else {
            text
        };
        errors::Operand {
            span: e.span,
            text,
            ty: ty.describe(),
            declared: self.declaration(e),
        }
    }

    /// The name at the bottom of an expression and where it is declared.
    fn declaration(&self, e: &Expr) -> Option<(String, Span)> {
        let mut e = e;
        loop {
            match &e.kind {
                ExprKind::Name(n) => {
                    return self.scope.get(n).map(|d| (n.clone(), d.span));
                }
                ExprKind::Index { base, .. } | ExprKind::Transpose(base) => e = base,
                _ => return None,
            }
        }
    }
}
