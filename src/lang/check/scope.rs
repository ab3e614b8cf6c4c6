//! Names: what is declared, where, and what it means.
//!
//! Invariant: no shadowing: a name means one thing at a time, so a type may speak of it without saying where. Names of an
//! optimizer are the exception: it can be read into any program, whatever that calls its own things.

use std::collections::HashMap;
use std::rc::Rc;

use indexmap::{IndexMap, IndexSet};

use super::types::{Dim, Poly, Ty};
use crate::base::Span;

/// What a name means.
#[derive(Clone, Debug)]
pub enum What {
    /// A set, with its labels where they stand in the program.
    Set {
        /// What it ranges over.
        dim: Dim,
        /// The labels, if they are written out.
        labels: Option<Rc<IndexSet<String>>>,
    },
    /// A family of sets: what its indices are drawn from, and the components of its elements.
    Family {
        /// The indices.
        keys: Vec<Dim>,
        /// The components.
        parts: Vec<Dim>,
    },
    /// A size that a parameter's value binds.
    Size,
    /// A parameter.
    Param(Ty),
    /// A derived value; its polynomial if it is an integer.
    Let(Ty, Option<Poly>),
    /// A variable.
    Var(Ty),
    /// A parameter of a function or of a problem.
    Formal(Ty),
    /// A bound index and what it ranges over.
    Index(Dim),
    /// A function.
    Fn(Rc<FnInfo>),
    /// An optimizer, a transform or a pipeline.
    Method(Rc<MethodInfo>),
    /// A problem.
    Problem(Rc<ProblemInfo>),
    /// A solution of a problem; what its turns range over if a loop keeps one for each.
    Solution(Rc<ProblemInfo>, Vec<Dim>),
    /// What a `compare`, a `sweep` or a `plot` came to.
    Kept(Kept),
    /// Something that was reported where it is declared.
    Error,
}

/// Results of commands that are no solutions.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kept {
    /// Of `compare`: a table of runs.
    Comparison,
    /// Of `sweep`: a table of solves.
    Sweep,
    /// Of `plot`.
    Plot,
}

impl What {
    /// The word for messages.
    pub fn word(&self) -> &'static str {
        match self {
            What::Set { .. } => "a set",
            What::Family { .. } => "a family of sets",
            What::Size => "a size",
            What::Param(_) => "a parameter",
            What::Let(..) => "a `let`",
            What::Var(_) => "a variable",
            What::Formal(_) => "a parameter of this definition",
            What::Index(_) => "an index",
            What::Fn(_) => "a function",
            What::Method(m) => m.sort.word(),
            What::Problem(_) => "a problem",
            What::Solution(..) => "a solution",
            What::Kept(Kept::Comparison) => "a comparison",
            What::Kept(Kept::Sweep) => "a sweep",
            What::Kept(Kept::Plot) => "a picture",
            What::Error => "a name",
        }
    }
}

/// A declared name.
#[derive(Clone, Debug)]
pub struct Entry {
    /// Where it is declared.
    pub span: Span,
    /// What it means.
    pub what: What,
}

/// A parameter of a function or a problem.
#[derive(Clone, Debug)]
pub struct FormalInfo {
    /// Its name.
    pub name: String,
    /// Its type, in the generic sizes.
    pub ty: Ty,
    /// Has it a default?
    pub optional: bool,
    /// The words that it may be, if it is one of several.
    pub words: Vec<String>,
}

/// A user's function.
#[derive(Clone, Debug)]
pub struct FnInfo {
    /// Parameters in order.
    pub params: Vec<FormalInfo>,
    /// Sizes that the arguments bind.
    pub generics: Vec<String>,
    /// The result, in the generic sizes.
    pub result: Ty,
}

/// What a method of the language does in a stage.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Sort {
    /// Moves the point: one in each stage.
    Optimizer,
    /// Changes `u`: the gradient before the optimizer, the update behind it.
    Direction,
    /// Changes the gradient, before the optimizer.
    Gradient,
    /// Changes the update, behind it.
    Update,
    /// Changes the point or the answer, behind the optimizer.
    Point,
    /// Whole stages.
    Pipeline,
}

impl Sort {
    /// What a parameter of a type takes; of transforms it is for their place to say which.
    pub fn of_type(name: &str) -> Option<Sort> {
        match name {
            "Optimizer" => Some(Sort::Optimizer),
            "Transform" => Some(Sort::Direction),
            "Pipeline" => Some(Sort::Pipeline),
            _ => None,
        }
    }
    /// The word for messages.
    pub fn word(self) -> &'static str {
        match self {
            Sort::Optimizer => "an optimizer",
            Sort::Direction | Sort::Gradient | Sort::Update | Sort::Point => "a transform",
            Sort::Pipeline => "a pipeline",
        }
    }
    /// Does it stand beside an optimizer?
    pub fn is_transform(self) -> bool {
        matches!(self, Sort::Direction | Sort::Gradient | Sort::Update | Sort::Point)
    }
}

/// An optimizer, a transform or a pipeline.
#[derive(Clone, Debug)]
pub struct MethodInfo {
    /// What it does in a stage.
    pub sort: Sort,
    /// Parameters in order.
    pub params: Vec<FormalInfo>,
    /// Sizes that the arguments bind.
    pub generics: Vec<String>,
    /// Names of its records.
    pub records: Vec<String>,
    /// Names of its states.
    pub states: Vec<String>,
}

/// What programs may ask of a problem and its solutions.
#[derive(Clone, Debug, Default)]
pub struct ProblemInfo {
    /// Its name; empty for the unnamed one.
    pub name: String,
    /// Parameters in order.
    pub params: Vec<FormalInfo>,
    /// Sizes that the arguments bind.
    pub generics: Vec<String>,
    /// Variables and where they are declared.
    pub vars: IndexMap<String, (Ty, Span)>,
    /// Derived values.
    pub lets: IndexMap<String, (Ty, Span)>,
    /// Its own sets.
    pub sets: IndexMap<String, Entry>,
    /// Constraints: the dimensions of a family, then of the arrays compared; the number of the former.
    pub constraints: IndexMap<String, (Vec<Dim>, usize, Span)>,
    /// Constraints, those without a name included.
    pub relations: usize,
    /// Objectives seen, and their labels.
    pub objectives: Vec<(Option<String>, Span)>,
    /// A part of it could not be read: unknown names are no further mistakes.
    pub broken: bool,
    /// States and records of the methods, if this is about a run and not about a finished solve.
    pub run: Option<Vec<String>>,
}

/// What is known between the texts of a session: declared names and the unnamed problem.
#[derive(Clone, Debug, Default)]
pub struct Env {
    /// Names at the top level.
    pub names: IndexMap<String, Entry>,
    /// The problem of the top-level `var`, `minimize`, `subject to`.
    pub unnamed: ProblemInfo,
}

/// Names in force while a text is checked.
#[derive(Default)]
pub struct Scope {
    /// Names at the top level.
    pub globals: IndexMap<String, Entry>,
    locals: HashMap<String, Entry>,
    order: Vec<String>,
}

impl Scope {
    /// The top level of an environment.
    pub fn new(globals: IndexMap<String, Entry>) -> Scope {
        Scope {
            globals,
            ..Scope::default()
        }
    }

    /// What a name means here.
    pub fn get(&self, name: &str) -> Option<&Entry> {
        self.locals.get(name).or_else(|| self.globals.get(name))
    }

    /// What a name means that is no global one.
    pub fn local(&self, name: &str) -> Option<&Entry> {
        self.locals.get(name)
    }

    /// A mark to come back to.
    pub fn mark(&self) -> usize {
        self.order.len()
    }

    /// Forgets the local names since a mark.
    pub fn release(&mut self, mark: usize) {
        while self.order.len() > mark {
            if let Some(n) = self.order.pop() {
                self.locals.remove(&n);
            }
        }
    }

    /// Declares a local name, unless it is one already.
    pub fn add_local(&mut self, name: &str, entry: Entry) {
        if !self.locals.contains_key(name) {
            self.order.push(name.to_string());
            self.locals.insert(name.to_string(), entry);
        }
    }

    /// Binds a name that no line declares to what is known by its type only.
    pub fn add_formal(&mut self, name: &str, span: Span, ty: Ty) {
        let what = What::Formal(ty);
        self.add_local(name, Entry { span, what });
    }

    /// All names in force, the innermost first.
    pub fn names(&self) -> impl Iterator<Item = (&str, &Entry)> {
        let locals = self.order.iter().rev().filter_map(|n| self.locals.get_key_value(n));
        locals
            .map(|(n, e)| (n.as_str(), e))
            .chain(self.globals.iter().map(|(n, e)| (n.as_str(), e)))
    }
}
