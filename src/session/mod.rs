//! The session: definitions, what they mean now, and the commands that use them. The only façade.
//!
//! Invariant: command line, prompt and kernel see `Session`, `Event`, `View` and `Diagnostic` only; a statement that
//! fails has no effect, and those before it keep theirs.

mod assert;
mod bind;
mod cells;
mod compare;
mod complete;
mod completeness;
mod diagnose;
mod evaluate;
mod examining;
pub mod files;
mod graph;
mod help;
mod history;
mod inspect;
mod look;
mod methods;
mod optimizers;
mod outcome;
mod plot;
mod problems;
pub mod rendered;
mod repeat;
mod runs;
mod sets;
pub mod show;
mod slice;
mod solving;
mod starts;
mod systems;
mod trust;
mod uses;
mod what_if;
mod why;
mod words;
mod worker;

use std::cell::RefCell;
use std::collections::{BTreeMap, BTreeSet};
use std::path::PathBuf;
use std::rc::Rc;
use std::sync::Arc;
use std::sync::atomic::AtomicBool;

use indexmap::IndexMap;

use crate::base::figure::Figure;
use crate::base::value::{IndexSet, ListedSet, Table};
use crate::base::view::View;
pub use cells::CellEnd;
pub use complete::{Completion, CompletionItem};
pub use completeness::{Completeness, completeness, is_expression};
pub use help::Detail;

use crate::base::{Code, Diagnostic, Diagnostics, SourceId, SourceMap, Span};
use crate::ir::atom::Trust;
use crate::ir::{Catalogue, DomainId, InputId, Ir, NodeId};
use crate::lang::check;
use crate::lang::lower::{Entity, Names, ParamValue, SolutionData};
use crate::lang::parse::parse;
use crate::lang::syntax::{
    Expr, ExprKind, FnDecl, OptimizerDecl, ParamDecl, PipelineDecl, ProblemDecl, Program, Stmt, StmtKind,
};
use crate::report::contest::{self, Contest};
use crate::report::{FileHash, Report, ResultEntry, SolveEntry};

/// What a session is started with.
#[derive(Clone, Debug)]
pub struct Settings {
    /// Values of parameters given from outside, as text in the language's own syntax.
    pub sets: BTreeMap<String, String>,
    /// Threads of the pool; `None` for as many as there are cores.
    pub threads: Option<usize>,
    /// Bytes that arrays may take.
    pub memory: u64,
    /// Show the log of each solve.
    pub verbose: bool,
    /// Folder that relative paths start from.
    pub folder: PathBuf,
    /// Seconds on a clock that only moves forward.
    pub now: fn() -> f64,
}

/// Something for the user, in the order it happened.
#[derive(Clone, Debug)]
pub enum Event {
    /// The summary of a solve.
    Solved(Box<SolveEntry>),
    /// A result that was asked for.
    Shown(View),
    /// How far a long solve has come; at most a few in a second, the last one when it has ended.
    Progress(Box<Progress>),
    /// A line of a solve's log.
    Log(String),
    /// A message.
    Diagnostic(Box<Diagnostic>),
}

/// How far a solve has come.
#[derive(Clone, Debug, PartialEq)]
pub struct Progress {
    /// Name of the problem; empty for the unnamed one.
    pub problem: String,
    /// Steps taken; nothing while there is none, or where the method runs as a whole.
    pub steps: Option<u64>,
    /// Objective at the last good point, in the user's sense.
    pub objective: Option<f64>,
    /// Stationarity there.
    pub stationarity: Option<f64>,
    /// Violation of constraints there.
    pub feasibility: Option<f64>,
    /// Seconds since the solve began.
    pub seconds: f64,
    /// Has it ended?
    pub ended: bool,
}

impl Progress {
    /// One line: `p: step 120, objective 3.2, stationarity 1e-4, 2.3 s`.
    pub fn line(&self) -> String {
        let name = if self.problem.is_empty() {
            "solving"
        } else {
            &self.problem
        };
        let mut parts: Vec<String> = self.steps.map(|k| format!("step {k}")).into_iter().collect();
        let mut number = |what: &str, v: Option<f64>| {
            if let Some(v) = v {
                parts.push(format!("{what} {}", show::number(v)));
            }
        };
        number("objective", self.objective);
        number("stationarity", self.stationarity);
        number("violation", self.feasibility.filter(|v| *v > 0.0));
        parts.push(format!("{:.1} s", self.seconds));
        format!("{name}: {}", parts.join(", "))
    }
}

/// What a name means.
#[derive(Clone, Debug)]
pub(crate) enum Def {
    Set(IndexSet),
    Family { set: Arc<ListedSet>, keys: usize },
    Size(usize),
    Param { decl: Rc<ParamDecl>, value: ParamValue },
    Let(Rc<Expr>),
    Fn(Rc<FnDecl>),
    Problem(Rc<ProblemDecl>),
    Optimizer(Rc<OptimizerDecl>),
    Pipeline(Rc<PipelineDecl>),
    Solution(Rc<SolutionData>),
    Contest(Arc<Contest>),
    Sweep(Arc<contest::Sweep>),
    Picture(Arc<Figure>),
    Text(String),
    Table(Arc<Table>),
}

/// Definitions and results.
pub struct Session {
    settings: Settings,
    /// All source texts so far.
    pub sources: SourceMap,
    pub(crate) defs: IndexMap<String, Def>,
    /// Who declared what, from what.
    graph: graph::Graph,
    /// What cells own beside names, in the order they were first run.
    cells: IndexMap<Rc<str>, cells::Cell>,
    /// Did the unnamed problem change since it was compiled?
    unnamed_changed: bool,
    /// Files that the texts so far use, with the hashes of their texts.
    used: BTreeMap<PathBuf, String>,
    compiled: Vec<problems::Cached>,
    /// Runs that can be stepped, by the name of their solution.
    runs: IndexMap<String, runs::Live>,
    /// Number of problems compiled so far: rebinding a parameter does not add to it.
    pub compilations: usize,
    /// Results, messages and provenance so far.
    pub report: Report,
    /// The seed in force.
    pub seed: u64,
    /// Set to stop the running solve.
    pub interrupt: Arc<AtomicBool>,
    /// What the checker knows of earlier texts.
    checker: check::Env,
    /// What programs may call.
    catalogue: Catalogue,
    /// What was read of the library.
    library: optimizers::library::Brought,
    /// Solves that run on without the session, and what they are called.
    detached: Vec<(String, worker::Detached)>,
    /// Solves detached so far.
    solves_left: usize,
    /// The turns of the loops around the running statement, outermost first: `k = 3`.
    turn: Vec<String>,
    /// Arguments of problems, by problem and parameter.
    given: BTreeMap<String, ParamValue>,
    /// What the running loops keep.
    kept: repeat::Kept,
    /// Messages of the running loop, which later turns do not repeat.
    told: BTreeSet<(Code, Option<Span>)>,
    /// Linear systems solved by the running statement, and where they were written.
    trust: RefCell<Vec<(Option<Span>, Trust)>>,
}

impl Names for Session {
    fn lookup(&self, name: &str) -> Option<Entity> {
        Some(match self.defs.get(name)? {
            Def::Set(s) => Entity::Set(s.clone()),
            Def::Family { set, keys } => Entity::Family {
                set: set.clone(),
                keys: *keys,
            },
            Def::Size(n) => Entity::Size(*n),
            Def::Param { value, .. } => Entity::Param(value.clone()),
            Def::Let(e) => Entity::Let(e.clone()),
            Def::Fn(f) => Entity::Fn(f.clone()),
            Def::Text(t) => Entity::Text(t.clone()),
            Def::Table(t) => Entity::Table(t.clone()),
            Def::Solution(s) => Entity::Solution(s.clone()),
            Def::Contest(c) => Entity::Table(Arc::new(c.table())),
            Def::Sweep(s) => Entity::Table(Arc::new(s.table())),
            Def::Problem(_) | Def::Optimizer(_) | Def::Pipeline(_) | Def::Picture(_) => return None,
        })
    }

    fn library(&self, name: &str) -> Option<Rc<FnDecl>> {
        match self.library.defs.get(name) {
            Some(Def::Fn(f)) => Some(f.clone()),
            _ => None,
        }
    }

    fn of_library(&self, source: SourceId) -> bool {
        self.library.sources.contains(&source)
    }

    fn lists(
        &self,
        ir: &Ir,
        params: &[(String, InputId)],
        domain: DomainId,
        nodes: &[NodeId],
    ) -> Result<Vec<Vec<f64>>, Box<Diagnostic>> {
        self.lists_now(ir, params, domain, nodes)
    }

    fn solved(&self, system: &crate::lang::lower::System<'_>) -> Result<Vec<f64>, Box<Diagnostic>> {
        self.solved_by_products(system)
    }

    fn memory(&self) -> u64 {
        self.settings.memory
    }
}

impl Session {
    /// An empty session.
    ///
    /// A number of threads is the process's: the first session that asks for one sets it.
    pub fn new(settings: Settings) -> Session {
        if let Some(n) = settings.threads {
            // A pool that exists already stays; results do not depend on it.
            let _ = rayon::ThreadPoolBuilder::new().num_threads(n).build_global();
        }
        Session {
            settings,
            sources: SourceMap::default(),
            defs: IndexMap::new(),
            graph: graph::Graph::default(),
            cells: IndexMap::new(),
            unnamed_changed: false,
            used: BTreeMap::new(),
            compiled: vec![],
            runs: IndexMap::new(),
            compilations: 0,
            report: Report::default(),
            seed: 0,
            interrupt: Arc::new(AtomicBool::new(false)),
            checker: check::Env::default(),
            catalogue: catalogue(),
            library: Default::default(),
            detached: vec![],
            solves_left: 0,
            trust: RefCell::default(),
            turn: vec![],
            given: BTreeMap::new(),
            kept: repeat::Kept::default(),
            told: BTreeSet::new(),
        }
    }

    /// The text laid out as `ravine fmt` does it. Errors: what keeps it from being read.
    pub fn format(&mut self, name: &str, text: &str) -> Result<String, Diagnostics> {
        let id = self.sources.add(name, text);
        crate::lang::format(id, text)
    }

    /// Does every parameter given from outside exist?
    fn settings_fit(&mut self, program: &Program, sink: &mut dyn FnMut(Event)) -> bool {
        let declared: Vec<&str> = program
            .statements
            .iter()
            .filter_map(|s| match &s.kind {
                StmtKind::Param(p) => Some(p.name.text.as_str()),
                _ => None,
            })
            .collect();
        let mut fit = true;
        let given: Vec<String> = self.settings.sets.keys().cloned().collect();
        for k in given {
            if declared.contains(&k.as_str()) || matches!(self.defs.get(&k), Some(Def::Param { .. })) {
                continue;
            }
            let mut d = Diagnostic::new(
                Code::BadSetting,
                format!("--set {k}: the program has no parameter `{k}`"),
            );
            if let Some(n) = crate::base::diagnostic::did_you_mean(&k, declared.iter().copied()) {
                d = d.help(format!("did you mean `{n}`?"));
            }
            self.tell(d, sink);
            fit = false;
        }
        fit
    }

    /// Solves that were interrupted in the middle of a step and have not ended yet, by name.
    pub fn detached(&self) -> Vec<String> {
        let running = self.detached.iter().filter(|d| d.1.is_running());
        running.map(|d| d.0.clone()).collect()
    }

    fn detach(&mut self, problem: &str, left: worker::Detached, span: Span, sink: &mut dyn FnMut(Event)) {
        self.solves_left += 1;
        let of = match problem {
            "" => "of the problem".to_string(),
            p => format!("of `{p}`"),
        };
        let name = format!("solve {} {of}", self.solves_left);
        let d = Diagnostic::new(
            Code::Interrupted,
            format!("{name} did not stop at once: it is left to itself until its step is over"),
        );
        self.tell(d.at(span, "interrupted here"), sink);
        self.detached.push((name, left));
    }

    /// Tells of the detached solves, those that have ended for the last time.
    fn tell_detached(&mut self, sink: &mut dyn FnMut(Event)) {
        self.detached.retain(|(name, d)| {
            let running = d.is_running();
            let what = if running { "is still running" } else { "has ended" };
            sink(Event::Log(format!("{name}, interrupted before, {what}")));
            running
        });
    }

    fn tell(&mut self, d: Diagnostic, sink: &mut dyn FnMut(Event)) {
        let Some(d) = self.in_turn(d) else { return };
        self.report.diagnostics.push(d.clone());
        sink(Event::Diagnostic(Box::new(d)));
    }

    /// Gives a name its meaning.
    pub(crate) fn define(&mut self, name: &str, def: Def) {
        let same = match (self.defs.get(name), &def) {
            (Some(Def::Set(a)), Def::Set(b)) => a == b,
            (Some(Def::Family { set: a, keys: k }), Def::Family { set: b, keys: l }) => a == b && k == l,
            (Some(Def::Size(a)), Def::Size(b)) => a == b,
            (Some(Def::Text(a)), Def::Text(b)) => a == b,
            (Some(Def::Table(a)), Def::Table(b)) => a == b,
            // What these mean is their declaration, which the graph compares.
            (_, Def::Let(_) | Def::Fn(_) | Def::Problem(_) | Def::Solution(_)) => true,
            _ => false,
        };
        if !same {
            self.graph.new_value(name, true);
        }
        self.defs.insert(name.into(), def);
    }

    /// A parameter's new value. What is compiled from it must be compiled again if its shape, sign or storage changed.
    fn set_param(&mut self, d: &ParamDecl, value: ParamValue) {
        let old = match self.defs.get(&d.name.text) {
            Some(Def::Param { value, .. }) => Some(value),
            _ => None,
        };
        let same_form = old.is_some_and(|old| {
            old.tensor.dims == value.tensor.dims
                && old.sign == value.sign
                && old.elem == value.elem
                && old.tensor.as_dense().is_some() == value.tensor.as_dense().is_some()
        });
        if !(same_form && old.is_some_and(|o| o.tensor == value.tensor)) {
            self.graph.new_value(&d.name.text, !same_form);
        }
        self.defs.insert(
            d.name.text.clone(),
            Def::Param {
                decl: Rc::new(d.clone()),
                value,
            },
        );
    }

    pub(crate) fn param_value(&self, name: &str) -> Option<&ParamValue> {
        match self.defs.get(name) {
            Some(Def::Param { value, .. }) => Some(value),
            // The name of a problem's argument has a point in it, so it is no other name.
            _ => self.given.get(name),
        }
    }

    /// The content of a data file; its hash joins the provenance.
    pub(crate) fn load(&mut self, file: &str, span: Span) -> Result<Vec<u8>, Box<Diagnostic>> {
        let loaded =
            files::load(&self.settings.folder, file, self.settings.memory).map_err(|d| bind::placed(d, span))?;
        if !self.report.provenance.data.iter().any(|f| f.file == file) {
            self.report.provenance.data.push(FileHash {
                file: file.into(),
                sha256: loaded.sha256,
            });
        }
        Ok(loaded.bytes)
    }

    /// An expression given as text from outside.
    pub(crate) fn parse_setting(&mut self, name: &str, text: &str) -> Result<Expr, Box<Diagnostic>> {
        let id = self.sources.add(format!("--set {name}"), format!("{name} = {text}"));
        let source = format!("{name} = {text}");
        let (program, found) = parse(id, &source);
        if let Some(d) = found.into_iter().find(Diagnostic::is_error) {
            return Err(Box::new(d));
        }
        match program.statements.into_iter().next().map(|s| s.kind) {
            Some(StmtKind::Assign { value, .. }) => Ok(value),
            _ => Err(Box::new(Diagnostic::new(
                Code::BadSetting,
                format!("--set {name}={text}: not a value of the language"),
            ))),
        }
    }

    fn statement(&mut self, s: &Stmt, sink: &mut dyn FnMut(Event)) -> Result<(), Diagnostics> {
        let one = |d: Box<Diagnostic>| vec![*d];
        match &s.kind {
            StmtKind::Set(d) => self.bind_set(d).map_err(one)?,
            StmtKind::Param(d) => self.bind_param(d).map_err(one)?,
            StmtKind::Let(d) => {
                let text = match &d.value.kind {
                    ExprKind::Text(t) => Some(t.clone()),
                    _ => None,
                };
                // One that names variables belongs to the unnamed problem; one that does not is also a value.
                match text {
                    Some(t) => self.define(&d.name.text, Def::Text(t)),
                    None => self.define(&d.name.text, Def::Let(Rc::new(d.value.clone()))),
                }
            }
            StmtKind::Fn(d) => self.define(&d.name.text, Def::Fn(Rc::new(d.clone()))),
            StmtKind::Problem(d) => self.define(&d.name.text, Def::Problem(Rc::new(d.clone()))),
            StmtKind::Optimizer(d) => self.define(&d.name.text, Def::Optimizer(Rc::new((**d).clone()))),
            StmtKind::Pipeline(d) => self.define(&d.name.text, Def::Pipeline(Rc::new((**d).clone()))),
            StmtKind::Source(n) | StmtKind::Help(n) => {
                let source = matches!(s.kind, StmtKind::Source(_));
                let view = self.about(n, source)?;
                sink(Event::Shown(view.clone()));
                self.report.results.push(ResultEntry::View {
                    command: if source { "source" } else { "help" }.into(),
                    subject: n.text.clone(),
                    view,
                });
            }
            // Parts of the unnamed problem: kept by their cell.
            StmtKind::Var(_) | StmtKind::SubjectTo(_) | StmtKind::Objective(_) | StmtKind::Assume { .. } => {}
            StmtKind::MinimizeFrom(m) => return self.minimize_from(m, s.span, sink),
            StmtKind::Solve(c) => return self.solve(c, s.span, sink),
            StmtKind::Step(c) => return self.step_run(c, s.span, sink),
            StmtKind::Rewind { run, to } => return self.rewind_run(run, to, sink),
            StmtKind::Compare(c) => return self.compare(c, s.span, sink),
            StmtKind::Sweep(w) => return self.sweep(w, s.span, sink),
            StmtKind::Plot(p) => return self.plot(p, s.span, sink),
            StmtKind::Assign { name, value } => self.rebind_param(&name.text, value).map_err(one)?,
            StmtKind::Print(items) => self.print(items, items, sink).map_err(one)?,
            StmtKind::Write { value, to } => self.write(value, to).map_err(one)?,
            // Its declarations have run already.
            StmtKind::Use { .. } => {}
            StmtKind::Inspect { target, what } => {
                let (subject, view) = self.inspect(target.as_ref(), what, s.span, sink)?;
                sink(Event::Shown(view.clone()));
                self.report.results.push(ResultEntry::View {
                    command: "inspect".into(),
                    subject,
                    view,
                });
            }
            StmtKind::Diagnose { target, at, measured } => {
                let (subject, view) = self.diagnose(target.as_ref(), at.as_ref(), *measured, s.span, sink)?;
                sink(Event::Shown(view.clone()));
                self.report.results.push(ResultEntry::View {
                    command: "diagnose".into(),
                    subject,
                    view,
                });
            }
            StmtKind::Assert { condition, within } => return self.assert(condition, within.as_ref()),
            StmtKind::Seed(e) => {
                let v = self.number(e).map_err(one)?;
                if v.fract() != 0.0 || v < 0.0 {
                    return Err(vec![
                        Diagnostic::new(Code::WrongType, "a seed is a nonnegative integer").at(e.span, "here"),
                    ]);
                }
                self.seed = v as u64;
            }
            // What it repeats is run statement by statement.
            StmtKind::For(_) => {}
            StmtKind::NotBuilt { .. } | StmtKind::Error { .. } => {}
        }
        Ok(())
    }
}

/// What programs may call: the table of atoms, the methods and the library.
pub fn catalogue() -> Catalogue {
    let mut c = Catalogue::new(crate::atoms::all());
    for card in crate::solve::methods::CARDS {
        let options: Vec<&str> = card.options.iter().map(|o| o.name).collect();
        let columns: Vec<&str> = card
            .state
            .iter()
            .map(|s| s.name)
            .chain(card.records.iter().copied())
            .collect();
        let worded: Vec<&str> = card
            .options
            .iter()
            .filter(|o| {
                use crate::solve::method::OptionKind;
                matches!(o.kind, OptionKind::Choice(_) | OptionKind::Map(_))
            })
            .map(|o| o.name)
            .collect();
        for name in std::iter::once(&card.name).chain(card.aliases) {
            c.add_method(name, &options, &worded, &columns, card.doc);
        }
    }
    c.library = optimizers::library::entries()
        .iter()
        .filter(|e| e.is_method())
        .map(|e| e.name.to_string())
        .collect();
    c
}

/// Does the statement read a file?
fn reads(s: &Stmt) -> bool {
    let value = match &s.kind {
        StmtKind::Param(d) => d.value.as_ref(),
        StmtKind::Set(d) => Some(&d.value),
        StmtKind::Assign { value, .. } => Some(value),
        _ => None,
    };
    matches!(value.map(|e| &e.kind), Some(ExprKind::Call { callee, .. }) if callee.as_name() == Some("read"))
}

/// An entry of an array in the user's words: `x`, `ship[a, b]`.
pub(crate) fn instance(name: &str, dims: &[IndexSet], flat: usize) -> String {
    match dims {
        [] => name.to_string(),
        _ => format!("{name}[{}]", instance_name(dims, flat)),
    }
}

/// Entries of a tensor that a dimension's element names point at, for messages.
pub(crate) fn instance_name(dims: &[IndexSet], flat: usize) -> String {
    let mut rest = flat;
    let mut key = vec![];
    for s in dims.iter().rev() {
        key.push(s.element(rest % s.len().max(1)));
        rest /= s.len().max(1);
    }
    key.reverse();
    key.join(", ")
}
