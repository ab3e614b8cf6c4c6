//! Lowering: a checked program and the values its sets and sizes have become IR.
//!
//! Invariant: index structure is kept (a comprehension becomes one domain, never a list of terms); array expressions
//! are *pulled*: an array is a function from positions to a scalar node until something needs it whole.

mod arrays;
mod blocks;
mod calls;
mod cones;
mod elements;
mod expr;
mod index;
mod linear;
mod narrow;
mod optimizer;
mod problem;
mod sets;
mod solution;

use std::collections::{BTreeMap, BTreeSet};
use std::rc::Rc;
use std::sync::Arc;

use indexmap::IndexMap;

use crate::base::value::{Elem, IndexSet, ListedSet, Storage, Table, Tensor};
use crate::base::{Code, Diagnostic, SourceId, Span};
use crate::ir::facts::Sign;
use crate::ir::{DomainId, IndexId, Input, InputId, InputKind, Ir, NodeId, Pos, Sense};
use crate::lang::syntax::{Entry, Expr, FnDecl, FormalParam, Stmt};

pub use linear::{Linear, LoweredMap, lower_map};
pub use optimizer::{PartCall, PointBlock, Space, lower_script};
pub use problem::{Argument, LoweredProblem, Pin, RowLabels, lower_problem};
pub use sets::{DeclaredSet, inside, listed, lower_parts, lower_set};

/// What a name of the session means.
#[derive(Clone, Debug)]
pub enum Entity {
    /// An index set.
    Set(IndexSet),
    /// A family of sets: tuples whose first `keys` components select, in lexicographic order.
    Family {
        /// Keys and elements.
        set: Arc<ListedSet>,
        /// Number of components that select.
        keys: usize,
    },
    /// A size bound by data, such as the `n` of `Vector[n]`.
    Size(usize),
    /// A parameter with its current value.
    Param(ParamValue),
    /// A derived value: lowered where it is used.
    Let(Rc<Expr>),
    /// A function.
    Fn(Rc<FnDecl>),
    /// A text.
    Text(String),
    /// A table.
    Table(Arc<Table>),
    /// A solution.
    Solution(Rc<SolutionData>),
}

/// A parameter's value and what its declaration promises.
#[derive(Clone, Debug)]
pub struct ParamValue {
    /// The value.
    pub tensor: Arc<Tensor>,
    /// What the numbers are.
    pub elem: Elem,
    /// Sign promised by its checks.
    pub sign: Sign,
    /// Is it declared as an operator: a matrix of which only products are used?
    pub operator: bool,
}

/// A linear system known by products: `A \ b`, as programs.
pub struct System<'a> {
    /// The programs.
    pub ir: &'a Ir,
    /// Inputs that are parameters, by name.
    pub params: &'a [(String, InputId)],
    /// `A x`, and what `x` is.
    pub forward: (InputId, NodeId),
    /// `A' y`, and what `y` is.
    pub back: (InputId, NodeId),
    /// Rows and columns.
    pub size: (usize, usize),
    /// `b`.
    pub right: NodeId,
    /// Where it is written.
    pub at: Span,
}

/// What programs may ask of a solution.
#[derive(Clone, Debug, Default)]
pub struct SolutionData {
    /// Name of the problem.
    pub problem: String,
    /// Numbers and arrays by field name: the variables, `objective`, `error`, `condition`, `iterations`.
    pub fields: IndexMap<String, Arc<Tensor>>,
    /// The status word.
    pub status: String,
    /// Name of the method.
    pub method: String,
    /// Duals by constraint name.
    pub duals: IndexMap<String, Arc<Tensor>>,
    /// Slacks by constraint name.
    pub slacks: IndexMap<String, Arc<Tensor>>,
    /// Reduced costs by variable name.
    pub reduced: IndexMap<String, Arc<Tensor>>,
    /// What the names of the problem meant.
    pub past: Rc<Past>,
    /// What was wanted of the objective.
    pub sense: Sense,
    /// Counts, measures and records by step.
    pub trace: Arc<Table>,
    /// The points by step: a column for each scalar of the variables.
    pub path: Arc<Table>,
    /// One solution for each turn, if a loop kept them.
    pub turns: Option<Rc<Turns>>,
}

/// What a loop kept of a result: a solution for each turn.
#[derive(Clone, Debug, Default)]
pub struct Turns {
    /// What the loops range over, outermost first.
    pub dims: Vec<IndexSet>,
    /// By turn, row-major; fewer where a loop ended early.
    pub all: BTreeMap<usize, Rc<SolutionData>>,
}

/// The problem behind a solution, and what its names meant when it was solved.
#[derive(Clone, Debug, Default)]
pub struct Past {
    /// Its statements.
    pub body: Vec<Stmt>,
    /// Its parameters and what they stood for.
    pub args: Vec<(FormalParam, Argument)>,
    /// Names of the session that it uses.
    pub names: IndexMap<String, Entity>,
}

/// Meaning of names outside the expression being lowered.
pub trait Names {
    /// The entity behind a name.
    fn lookup(&self, name: &str) -> Option<Entity>;

    /// The values of scalars at every instance of a domain, computed now: what sets and ranges that depend on data are
    /// made of. `params` are the inputs that are parameters, by name.
    fn lists(
        &self,
        ir: &Ir,
        params: &[(String, InputId)],
        domain: DomainId,
        nodes: &[NodeId],
    ) -> Lowered<Vec<Vec<f64>>>;

    /// The library's own function of a name.
    fn library(&self, name: &str) -> Option<Rc<FnDecl>>;

    /// Is a text one of the library's?
    fn of_library(&self, source: SourceId) -> bool;

    /// The solution of a linear system in the least-squares sense, by products, computed now.
    fn solved(&self, system: &System<'_>) -> Lowered<Vec<f64>>;

    /// Bytes that a set may take.
    fn memory(&self) -> u64;
}

/// A lowered value.
#[derive(Clone)]
pub enum Val {
    /// A scalar node of the current region.
    Num(NodeId, Elem),
    /// An array.
    Arr(Arr),
    /// An index set.
    Set(IndexSet),
    /// A text.
    Text(String),
    /// A table.
    Table(Arc<Table>),
    /// A solution.
    Solution(Rc<SolutionData>),
    /// A function of the step, or of a vector.
    Closure(Rc<Closure>),
    /// A linear operator.
    Linear(Rc<Linear>),
}

/// `t -> e` with the names it was written among.
pub struct Closure {
    param: String,
    body: Expr,
    scope: Scope,
}

/// A function from positions to a scalar node.
pub(crate) type Pull = Rc<dyn Fn(&mut Lower<'_>, &[Pos]) -> Lowered<NodeId>>;

/// An array value.
#[derive(Clone)]
pub struct Arr {
    /// Index sets of the dimensions.
    pub dims: Vec<IndexSet>,
    /// Where entries come from.
    pub(crate) src: Src,
    /// A transposed vector.
    pub covector: bool,
    /// What the entries are.
    pub elem: Elem,
}

/// Source of an array's entries.
#[derive(Clone)]
pub(crate) enum Src {
    /// A root array of the IR.
    Node(NodeId),
    /// A function from positions.
    Pull(Pull),
}

/// A lowering step: one diagnostic if it fails.
pub type Lowered<T> = Result<T, Box<Diagnostic>>;

/// A local meaning of a name.
#[derive(Clone)]
enum Local {
    Index(IndexId),
    /// A component of an element of a listed set.
    Part(Part),
    /// An element of a listed set of tuples at a position.
    Whole(Arc<ListedSet>, Pos),
    /// A family of sets.
    Family(Arc<ListedSet>, usize),
    Val(Val),
    Let(Rc<Expr>),
    Size(usize),
    /// A bound name of a family while only its set is known.
    Dims(IndexSet),
}

/// A component of an element of a listed set.
#[derive(Clone)]
pub(crate) struct Part {
    set: Arc<ListedSet>,
    /// Position of the element in the set.
    at: Pos,
    column: usize,
}

/// Frames of local names, innermost last; shared with the closures that captured them.
#[derive(Clone, Default)]
struct Scope {
    innermost: Option<Rc<Frame>>,
    /// In the library's text: what is not local is the library's, whatever the session calls by that name.
    library: bool,
}

struct Frame {
    name: String,
    local: Local,
    up: Scope,
}

impl Scope {
    fn with(&self, name: &str, local: Local) -> Scope {
        Scope {
            innermost: Some(Rc::new(Frame {
                name: name.into(),
                local,
                up: self.clone(),
            })),
            library: self.library,
        }
    }
    /// Where a definition begins that was written in `source`.
    fn of(names: &dyn Names, source: SourceId) -> Scope {
        Scope {
            innermost: None,
            library: names.of_library(source),
        }
    }
    fn get(&self, name: &str) -> Option<Local> {
        let mut at = self;
        while let Some(f) = &at.innermost {
            if f.name == name {
                return Some(f.local.clone());
            }
            at = &f.up;
        }
        None
    }
}

/// The lowering of one program.
pub struct Lower<'n> {
    /// The IR so far.
    pub ir: Ir,
    names: &'n dyn Names,
    scope: Scope,
    region: DomainId,
    params: IndexMap<String, InputId>,
    data: Vec<(usize, NodeId, Arc<Tensor>)>,
    /// Columns of listed sets that are data of the program already.
    columns: Vec<(Arc<ListedSet>, usize, NodeId)>,
    structural: BTreeSet<String>,
    /// Places looked up in listed sets, to be found once all filters are known.
    lookups: Vec<elements::Lookup>,
    /// Conditions of `if`s around, and which branch is being lowered.
    guards: Vec<(NodeId, bool)>,
    depth: usize,
    /// Values of calls that were made before their expression is lowered, by place.
    answered: std::collections::HashMap<Span, Val>,
    /// One domain for all loops over a set, so that they become one pass.
    shared: Option<(IndexSet, DomainId, IndexId)>,
    /// The solved problem whose names are looked up first.
    past: Option<Rc<Past>>,
    /// The definition being lowered, by name.
    naming: Option<String>,
    /// Operators defined by name, lowered once.
    operators: IndexMap<String, Rc<Linear>>,
}

/// An expression lowered for evaluation.
pub struct LoweredValue {
    /// The program.
    pub ir: Ir,
    /// Inputs that are parameters of the session, by name.
    pub params: Vec<(String, InputId)>,
    /// What the expression is.
    pub value: Evaluable,
}

/// What can be evaluated.
pub enum Evaluable {
    /// A root node with the index sets of its dimensions.
    Array {
        /// The node.
        node: NodeId,
        /// Its dimensions.
        dims: Vec<IndexSet>,
        /// What its entries are.
        elem: Elem,
    },
    /// An index set.
    Set(IndexSet),
    /// A text.
    Text(String),
    /// A table.
    Table(Arc<Table>),
}

/// Lowers an expression that does not depend on variables, to be evaluated as it stands.
pub fn lower_value(names: &dyn Names, expr: &Expr) -> Lowered<LoweredValue> {
    lower_value_among(names, expr, &[])
}

/// As [`lower_value`], with values for some names.
pub fn lower_value_among(names: &dyn Names, expr: &Expr, values: &[(String, Arc<Tensor>)]) -> Lowered<LoweredValue> {
    let mut l = Lower::new(names);
    for (name, t) in values {
        let v = l.constant_value(name, t);
        l.scope = l.scope.with(name, Local::Val(v));
    }
    let v = l.expr(expr)?;
    let value = l.evaluable(v, expr.span)?;
    l.check_lookups()?;
    Ok(LoweredValue {
        ir: l.ir,
        params: l.params.into_iter().collect(),
        value,
    })
}

/// Evaluates an integer expression of sizes and integer parameters, if it is one; also names the parameters used.
pub fn lower_integer(names: &dyn Names, expr: &Expr) -> Lowered<(i64, BTreeSet<String>)> {
    let mut l = Lower::new(names);
    let v = l.integer(expr)?;
    Ok((v, l.structural))
}

/// The index set that an expression in the place of a dimension means: a set, or `1..n` for an integer.
pub fn lower_dimension(names: &dyn Names, expr: &Expr) -> Lowered<(IndexSet, BTreeSet<String>)> {
    let mut l = Lower::new(names);
    let v = l.dimension(expr)?;
    Ok((v, l.structural))
}

/// A labelled array over known index sets; absent entries take `default`.
pub fn lower_labelled(
    names: &dyn Names,
    entries: &[Entry],
    dims: &[IndexSet],
    default: Option<f64>,
    span: Span,
) -> Lowered<Tensor> {
    Lower::new(names).labelled(entries, dims, default, span)
}

/// The type of an array in the user's terms.
pub fn describe_dims(dims: &[IndexSet]) -> String {
    describe(dims)
}

impl<'n> Lower<'n> {
    /// An empty program over the given names.
    pub fn new(names: &'n dyn Names) -> Self {
        Lower {
            ir: Ir::new(),
            names,
            scope: Scope::default(),
            region: DomainId::ROOT,
            params: IndexMap::new(),
            data: vec![],
            columns: vec![],
            structural: BTreeSet::new(),
            lookups: vec![],
            guards: vec![],
            depth: 0,
            answered: std::collections::HashMap::new(),
            shared: None,
            past: None,
            naming: None,
            operators: IndexMap::new(),
        }
    }

    /// What a name means outside the expression: when the solution that is looked into was found, or now.
    fn lookup(&self, name: &str) -> Option<Entity> {
        if self.scope.library {
            return self.names.library(name).map(Entity::Fn);
        }
        let then = self.past.as_ref().and_then(|p| p.names.get(name));
        then.cloned().or_else(|| self.names.lookup(name))
    }

    fn evaluable(&mut self, v: Val, span: Span) -> Lowered<Evaluable> {
        Ok(match v {
            Val::Num(node, elem) => Evaluable::Array {
                node,
                dims: vec![],
                elem,
            },
            Val::Arr(a) => {
                let (dims, elem) = (a.dims.clone(), a.elem);
                Evaluable::Array {
                    node: self.whole(&a, span)?,
                    dims,
                    elem,
                }
            }
            Val::Set(s) => Evaluable::Set(s),
            Val::Text(t) => Evaluable::Text(t),
            Val::Closure(_) => {
                return Err(err(Code::WrongType, "a schedule is not a number")
                    .at(span, "a function of the step")
                    .help("call it with the number of a step")
                    .into());
            }
            Val::Linear(a) => {
                return Err(err(Code::WrongType, "an operator has no entries to show or store")
                    .at(span, describe(&a.dims).replacen("Matrix", "Operator", 1))
                    .help("`matrix(A)` writes out its entries")
                    .into());
            }
            Val::Table(t) => Evaluable::Table(t),
            Val::Solution(_) => {
                return Err(err(Code::WrongType, "a whole solution is not a number")
                    .at(span, "name one of its fields")
                    .help("such as `.objective`, or a variable by name")
                    .into());
            }
        })
    }

    /// The input of a session parameter.
    fn param(&mut self, name: &str, p: &ParamValue) -> NodeId {
        if self.past.as_ref().is_some_and(|past| past.names.contains_key(name)) {
            // The value of then is not the parameter's value of now.
            return match p.tensor.as_scalar() {
                Some(v) => self.ir.constant(v),
                None => self.embed(name, &p.tensor),
            };
        }
        self.input_of(name, name, p)
    }

    /// The input that the session knows by `key`.
    fn input_of(&mut self, key: &str, shown: &str, p: &ParamValue) -> NodeId {
        let id = match self.params.get(key) {
            Some(id) => *id,
            None => {
                let id = self.ir.add_input(Input {
                    name: shown.into(),
                    kind: InputKind::Param,
                    dims: p.tensor.dims.clone(),
                    sparse: p.tensor.as_dense().is_none(),
                    sign: p.sign,
                });
                self.params.insert(key.into(), id);
                id
            }
        };
        self.ir.read(id)
    }

    /// A value known now, embedded in the program.
    fn embed(&mut self, name: &str, t: &Arc<Tensor>) -> NodeId {
        let key = Arc::as_ptr(t) as usize;
        if let Some((_, n, _)) = self.data.iter().find(|(k, ..)| *k == key) {
            return *n;
        }
        let entries = match &t.storage {
            Storage::Dense(d) => d,
            // What is not stored is zero, which the join begins with.
            Storage::Sparse(m) => &m.values,
        };
        let sign = entries.iter().fold(Sign::Zero, |s, v| s.join(Sign::of(*v)));
        let id = self.ir.add_input(Input {
            name: name.into(),
            kind: InputKind::Data(t.clone()),
            dims: t.dims.clone(),
            sparse: t.as_dense().is_none(),
            sign,
        });
        let n = self.ir.read(id);
        self.data.push((key, n, t.clone()));
        n
    }

    fn with_scope<T>(&mut self, scope: Scope, f: impl FnOnce(&mut Self) -> Lowered<T>) -> Lowered<T> {
        let old = std::mem::replace(&mut self.scope, scope);
        let r = f(self);
        self.scope = old;
        r
    }

    fn in_region<T>(&mut self, region: DomainId, f: impl FnOnce(&mut Self) -> Lowered<T>) -> Lowered<T> {
        let old = std::mem::replace(&mut self.region, region);
        let r = f(self);
        self.region = old;
        r
    }
}

impl Val {
    pub(crate) fn dims(&self) -> &[IndexSet] {
        match self {
            Val::Arr(a) => &a.dims,
            Val::Linear(a) => &a.dims,
            _ => &[],
        }
    }
}

fn err(code: Code, message: impl Into<String>) -> Diagnostic {
    Diagnostic::new(code, message)
}

/// The type of an array in the user's terms: `Real[plants, markets]`.
pub(crate) fn describe(dims: &[IndexSet]) -> String {
    if dims.is_empty() {
        return "a number".into();
    }
    let d: Vec<String> = dims
        .iter()
        .map(|s| {
            if s.is_plain() {
                s.len().to_string()
            } else {
                s.describe()
            }
        })
        .collect();
    match dims.iter().all(IndexSet::is_plain) {
        true if dims.len() == 1 => format!("Vector[{}]", d[0]),
        true if dims.len() == 2 => format!("Matrix[{}, {}]", d[0], d[1]),
        _ => format!("Real[{}]", d.join(", ")),
    }
}
