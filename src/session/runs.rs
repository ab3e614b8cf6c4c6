//! Runs: a solve that is advanced in steps, looked into, taken back, saved and taken up again.
//!
//! Invariant: a run owns its compiled problem and the values that it began with, so that nothing done in the session changes
//! it; what is shown of it are copies, and looking changes no bit of where it goes.

use std::collections::{BTreeMap, BTreeSet};
use std::rc::Rc;
use std::sync::Arc;

use serde::{Deserialize, Serialize};

use crate::base::value::{IndexSet, Tensor, Value};
use crate::base::view::{Role, Run as Words, View};
use crate::base::{Code, Diagnostic, SourceId, Span};
use crate::exec::{Machine, Plan};
use crate::ir::{DomainId, InputId, Ir, NodeId, Sign};
use crate::lang::lower::{self, Entity, Evaluable, Names, ParamValue, SolutionData};
use crate::lang::syntax::{Expr, FnDecl, Ident, Solve, StepRun, show as shown};
use crate::report::ResultEntry;
use crate::solve::compiled::{Answer, Compiled};
use crate::solve::course::{Around, Kept, Node, Quota, Standing};
use crate::solve::state::{self, SlotKind};
use crate::solve::{Slot, Status, Watch};

use super::history::History;
use super::outcome::About;
use super::solving::{Found, one};
use super::worker::{Job, Outcome, Pause};
use super::{Def, Event, Session, files};

/// The name and version of the form of saved runs.
const SCHEMA: &str = "ravine.run/1";
/// What a run is made of beside names.
const START_LINE: &str = "the `start` line";
const UNNAMED: &str = "the unnamed problem";
/// States that are kept to go back to; beyond it every second is dropped.
const KEPT: usize = 64;

/// A run between two commands.
pub(super) struct Live {
    pub about: About,
    pub forms: Vec<Compiled>,
    pub node: Node,
    pub params: Vec<(InputId, Arc<Tensor>)>,
    pub tolerance: f64,
    /// What it was made of: definitions and values by name, as digests.
    pub made_of: BTreeMap<String, String>,
    /// Where it can go back to without repeating steps, by step.
    pub marks: Vec<(u64, Kept)>,
}

/// A run as a file.
#[derive(Serialize, Deserialize)]
struct File {
    schema: String,
    version: String,
    /// Steps taken, for people.
    step: u64,
    made_of: BTreeMap<String, String>,
    /// Digest of the course.
    seal: String,
    course: Kept,
}

/// What a condition reads of a run.
enum Read {
    Point(usize, usize),
    Objective,
    Stationarity,
    Change,
    Step,
    Evaluations,
    /// A record or a state.
    Column(String, usize),
}

/// `break when …`, compiled.
pub(super) struct Condition {
    machine: Machine,
    /// Input, its index sets, and what it is read from.
    reads: Vec<(InputId, Vec<IndexSet>, Read)>,
    text: String,
}

/// Names of a run, over those of the session.
struct Over<'s> {
    session: &'s Session,
    own: BTreeMap<String, ParamValue>,
}

impl Names for Over<'_> {
    fn lookup(&self, name: &str) -> Option<Entity> {
        match self.own.get(name) {
            Some(v) => Some(Entity::Param(v.clone())),
            None => self.session.lookup(name),
        }
    }
    fn library(&self, name: &str) -> Option<Rc<FnDecl>> {
        self.session.library(name)
    }
    fn of_library(&self, source: SourceId) -> bool {
        self.session.of_library(source)
    }
    fn lists(
        &self,
        ir: &Ir,
        params: &[(String, InputId)],
        domain: DomainId,
        nodes: &[NodeId],
    ) -> Result<Vec<Vec<f64>>, Box<Diagnostic>> {
        self.session.lists(ir, params, domain, nodes)
    }
    fn solved(&self, system: &lower::System<'_>) -> Result<Vec<f64>, Box<Diagnostic>> {
        self.session.solved(system)
    }
    fn memory(&self) -> u64 {
        self.session.memory()
    }
}

impl Condition {
    /// Does it hold where the run stands? What it cannot read there does not hold.
    pub fn holds(&mut self, node: &Node, around: &mut Around<'_>) -> bool {
        let Some((_, run)) = node.run() else { return false };
        let mut answer: Option<Answer> = None;
        for (input, dims, read) in &self.reads {
            let number = |v: f64| vec![v];
            let values = match read {
                Read::Point(first, len) => run.answered().get(*first..first + len).map(<[f64]>::to_vec),
                Read::Change => Some(number(run.state().measures.change)),
                Read::Step => Some(number(node.counts().0 as f64)),
                Read::Evaluations => Some(number(node.counts().1.total() as f64)),
                Read::Objective | Read::Stationarity => {
                    if answer.is_none() {
                        answer = node.standing(around).ok().flatten().map(|s| s.answer);
                    }
                    answer.as_ref().map(|a| {
                        number(match read {
                            Read::Objective => a.objective.unwrap_or(f64::NAN),
                            _ => stationarity(a),
                        })
                    })
                }
                Read::Column(name, len) => {
                    let at = run.method().card().records.iter().position(|r| r == name);
                    let record = at.and_then(|k| run.state().records.get(k)).map(|v| number(*v));
                    record.or_else(|| slot(run, name)).filter(|v| v.len() == *len)
                }
            };
            let value = values.and_then(|v| Tensor::dense(dims.clone(), v));
            let Some(value) = value else { return false };
            self.machine.set(*input, Arc::new(value));
        }
        self.machine.eval().is_ok() && self.machine.scalar(0) != 0.0
    }

    /// As it was written.
    pub fn text(&self) -> &str {
        &self.text
    }
}

/// As `until` and the trace count it.
fn stationarity(a: &Answer) -> f64 {
    if let Some(v) = a.slope {
        return v;
    }
    let found = a.residuals.iter().find(|r| r.0 == "stationarity");
    found.map_or(f64::NAN, |r| r.1)
}

/// A state of the method, flat.
fn slot(run: &crate::solve::Run, name: &str) -> Option<Vec<f64>> {
    let at = run.method().card().state.iter().position(|s| s.name == name)?;
    match run.state().slots.get(at)? {
        Slot::Number(v) => Some(vec![*v]),
        Slot::Count(k) => Some(vec![*k as f64]),
        Slot::Array(a) => Some(a.clone()),
        Slot::History(_) | Slot::Record(_) => None,
    }
}

/// What a history holds as one array, the newest value first, as it is asked for in a step.
fn remembered(h: &state::History, entries: Option<&[IndexSet]>) -> Tensor {
    let values: Vec<f64> = (0..h.len()).rev().flat_map(|i| h.get(i)).copied().collect();
    let mut dims = vec![IndexSet::upto(h.len())];
    dims.extend(entries.unwrap_or_default().iter().cloned());
    Tensor::dense(dims, values.clone()).unwrap_or_else(|| Tensor::vector(values))
}

impl Live {
    /// Runs something on the compiled forms, without a worker: for looks, not for steps.
    pub(super) fn around<T>(&mut self, now: fn() -> f64, f: impl FnOnce(&mut Node, &mut Around<'_>) -> T) -> T {
        let mut around = Around {
            forms: &mut self.forms,
            params: &self.params,
            tolerance: self.tolerance,
            watch: Arc::new(Watch::default()),
            now: &now,
            deadline: None,
        };
        f(&mut self.node, &mut around)
    }

    /// Where it stands.
    fn standing(&mut self, now: fn() -> f64) -> Option<Standing> {
        self.around(now, |node, around| node.standing(around).ok().flatten())
    }

    fn steps(&self) -> u64 {
        self.node.counts().0
    }

    pub(super) fn mark(&mut self) {
        let step = self.steps();
        if self.marks.last().is_none_or(|m| m.0 != step) {
            self.marks.push((step, self.node.keep()));
        }
        if self.marks.len() > KEPT {
            let mut k = 0;
            self.marks.retain(|_| {
                k += 1;
                k % 2 == 1
            });
        }
    }

    /// States and records of all its stages, of which nothing is known yet but what they are.
    fn columns(&self) -> Vec<(String, Tensor)> {
        let shape = self.about.only_shape();
        let mut out = vec![];
        self.node.for_each_method(&mut |m| {
            let card = m.card();
            out.extend(card.records.iter().map(|r| (r.to_string(), Tensor::scalar(f64::NAN))));
            for (k, s) in card.state.iter().enumerate() {
                let t = match (s.kind, m.slot_len(k)) {
                    (SlotKind::Number | SlotKind::Count, _) => Some(Tensor::scalar(f64::NAN)),
                    (SlotKind::Array, Some(n)) => {
                        let dims = shape
                            .clone()
                            .filter(|d| d.iter().map(IndexSet::len).product::<usize>() == n);
                        Tensor::dense(dims.unwrap_or_else(|| vec![IndexSet::upto(n)]), vec![f64::NAN; n])
                    }
                    _ => None,
                };
                out.extend(t.map(|t| (s.name.to_string(), t)));
            }
        });
        out
    }

    /// Copies of what programs may ask of it.
    pub(super) fn data(&mut self, now: fn() -> f64) -> SolutionData {
        let steps = self.steps();
        let evaluations = self.node.counts().1.total();
        let ended = self.node.ended();
        let standing = self.standing(now);
        let mut s = SolutionData {
            problem: self.about.name.clone(),
            status: "running".into(),
            sense: self.about.sense,
            ..SolutionData::default()
        };
        let mut numbers = vec![("step", steps as f64), ("evaluations", evaluations as f64)];
        if let Some(st) = &standing {
            for (n, t) in self.about.values(&st.answer.x) {
                s.fields.insert(n, Arc::new(t));
            }
            s.method.clone_from(&st.answer.method);
            if ended {
                s.status = st.answer.status.word().into();
            }
            numbers.push(("objective", st.answer.objective.unwrap_or(f64::NAN)));
            numbers.push(("stationarity", stationarity(&st.answer)));
            let mut history = History::default();
            for (form, t) in &st.records {
                history.push(t, &self.forms[*form]);
            }
            history.reached(st.answer.objective, st.answer.slope);
            (s.trace, s.path) = history.tables();
        }
        let shape = self.about.only_shape();
        let mut arrays: Vec<(String, Tensor)> = vec![];
        if let Some((_, run)) = self.node.run() {
            numbers.push(("change", run.state().measures.change));
            let card = run.method().card();
            let records = card.records.iter().zip(&run.state().records);
            arrays.extend(records.map(|(n, v)| (n.to_string(), Tensor::scalar(*v))));
            for (k, spec) in card.state.iter().enumerate() {
                if let Some(Slot::History(h)) = run.state().slots.get(k) {
                    arrays.push((spec.name.to_string(), remembered(h, run.method().shape(k))));
                    continue;
                }
                let Some(v) = slot(run, spec.name) else { continue };
                let holds = |d: &[IndexSet]| d.iter().map(IndexSet::len).product::<usize>() == v.len();
                // What has a number for each coordinate is shown as the one variable there is.
                let own = run.method().shape(k).filter(|d| d.len() != 1 && holds(d));
                let dims = own.map(<[_]>::to_vec).or_else(|| shape.clone().filter(|d| holds(d)));
                let t = match (v.as_slice(), dims) {
                    ([one], _) => Tensor::scalar(*one),
                    (_, Some(d)) => Tensor::dense(d, v.clone()).unwrap_or_else(|| Tensor::vector(v.clone())),
                    _ => Tensor::vector(v),
                };
                arrays.push((spec.name.to_string(), t));
            }
        }
        let numbers = numbers.into_iter().map(|(n, v)| (n.to_string(), Tensor::scalar(v)));
        // A variable of that name is what the user means.
        for (n, t) in numbers.chain(arrays) {
            s.fields.entry(n).or_insert_with(|| Arc::new(t));
        }
        s
    }
}

impl Session {
    /// `r = start p with …`: what of it is one with a solve has been done.
    pub(super) fn begin_run(
        &mut self,
        c: &Solve,
        mut live: Live,
        span: Span,
        sink: &mut dyn FnMut(Event),
    ) -> Found<()> {
        let Some(name) = c.bind.as_ref().map(|b| b.text.clone()) else {
            return Ok(());
        };
        let now = self.settings.now;
        if let Some(e) = &c.resume {
            self.take_up(&mut live, e)?;
        } else {
            let begun = live.around(now, |node, around| node.begin(around));
            if let Err((form, f)) = begun {
                return Err(vec![self.solve_fault(&live.forms[form], &f, span)]);
            }
        }
        live.mark();
        self.show_run(&name, live, "start", None, sink);
        Ok(())
    }

    /// `step r …`.
    pub(super) fn step_run(&mut self, c: &StepRun, span: Span, sink: &mut dyn FnMut(Event)) -> Found<()> {
        let name = c.run.text.clone();
        let seconds = match &c.within {
            Some((e, unit)) => Some(self.positive(e, "a time limit")? * unit.seconds()),
            None => None,
        };
        let steps = match &c.count {
            Some(e) => self.whole(e, "a number of steps")?,
            None if seconds.is_some() || c.stop.is_some() => u64::MAX,
            None => 1,
        };
        let mut live = self.taken_run(&c.run)?;
        let now = self.settings.now;
        live.around(now, |node, _| node.reopen());
        let condition = match &c.stop {
            Some(e) => match self.condition(e, &mut live) {
                Ok(k) => Some(k),
                Err(found) => {
                    self.runs.insert(name, live);
                    return Err(found);
                }
            },
            None => None,
        };
        let pause = (seconds.is_some() || condition.is_some()).then(|| Pause {
            condition,
            until: seconds.map(|s| now() + s),
        });
        let Live {
            about,
            forms,
            node,
            params,
            tolerance,
            made_of,
            marks,
        } = live;
        let job = Job {
            forms,
            course: node,
            quota: Quota { steps, ..Quota::ALL },
            pause,
            params: params.clone(),
            tolerance,
            deadline: None,
            now,
        };
        match job.wait(&self.interrupt, &mut |_| {}) {
            Outcome::Ended(done) => {
                let mut live = Live {
                    about,
                    forms: done.forms,
                    node: done.course,
                    params,
                    tolerance,
                    made_of,
                    marks,
                };
                if let Err((form, f)) = done.result {
                    let d = self.solve_fault(&live.forms[form], &f, span);
                    self.runs.insert(name, live);
                    return Err(vec![d]);
                }
                live.mark();
                self.show_run(&name, live, "step", done.paused, sink);
                Ok(())
            }
            Outcome::Detached(_, left) => {
                self.detach(&about.name, left, span, sink);
                Err(vec![
                    Diagnostic::new(
                        Code::Interrupted,
                        format!("`{name}` was stopped in the middle of a step, and is lost"),
                    )
                    .at(span, "here"),
                ])
            }
        }
    }

    /// `rewind r to 5`.
    pub(super) fn rewind_run(&mut self, run: &Ident, to: &Expr, sink: &mut dyn FnMut(Event)) -> Found<()> {
        let step = match self.number(to).map_err(one)? {
            0.0 => 0,
            _ => self.whole(to, "a step")?,
        };
        let mut live = self.taken_run(run)?;
        let now = self.settings.now;
        let far = live.steps();
        let wrong = match live.marks.iter().rposition(|m| m.0 <= step) {
            _ if step > far => Some(format!(
                "`{}` stands at step {far} and has not been at step {step}",
                run.text
            )),
            None => Some(format!("nothing is kept of `{}` before step {step}", run.text)),
            Some(k) => {
                live.marks.truncate(k + 1);
                let (from, kept) = live.marks[k].clone();
                let went = live.around(now, |node, around| {
                    node.restore(&kept, around)?;
                    let mut quota = Quota {
                        steps: step - from,
                        ..Quota::ALL
                    };
                    node.advance(around, &mut quota).map_err(|f| f.1.what)
                });
                went.err()
            }
        };
        if let Some(what) = wrong {
            let d = Diagnostic::new(Code::SavedRun, what).at(to.span, "here");
            let d = d.help(format!(
                "`step {}` goes on; `rewind` goes back to a step it was at",
                run.text
            ));
            self.runs.insert(run.text.clone(), live);
            return Err(vec![d]);
        }
        live.mark();
        self.show_run(&run.text, live, "rewind", None, sink);
        Ok(())
    }

    /// The text of a saved run, if the expression is the name of a run.
    pub(super) fn saved_run(&self, e: &Expr) -> Option<Vec<u8>> {
        let live = self.runs.get(e.as_name()?)?;
        let course = live.node.keep();
        let file = File {
            schema: SCHEMA.into(),
            version: env!("CARGO_PKG_VERSION").into(),
            step: live.steps(),
            made_of: live.made_of.clone(),
            seal: seal(&course),
            course,
        };
        serde_json::to_vec(&file).ok()
    }

    /// Takes a saved run up.
    fn take_up(&mut self, live: &mut Live, path: &Expr) -> Found<()> {
        let Value::Text(file) = self.evaluate(path).map_err(one)? else {
            return Err(vec![
                Diagnostic::new(Code::WrongType, "a file's path is a text").at(path.span, "here"),
            ]);
        };
        let refused =
            |why: String| Diagnostic::new(Code::SavedRun, format!("`{file}` {why}")).at(path.span, "this file");
        let loaded = files::load(&self.settings.folder, &file, self.settings.memory)
            .map_err(|d| vec![*super::bind::placed(d, path.span)])?;
        // Whose it is comes before what it says.
        #[derive(Deserialize)]
        struct Head {
            schema: String,
            version: String,
        }
        let head: Result<Head, _> = serde_json::from_slice(&loaded.bytes);
        let saved = match head {
            Ok(h) if h.schema != SCHEMA => {
                return Err(vec![refused(format!("is no saved run: its form is `{}`", h.schema))]);
            }
            Ok(h) if h.version != env!("CARGO_PKG_VERSION") => {
                let d = refused(format!(
                    "was saved by version {}, this is {}",
                    h.version,
                    env!("CARGO_PKG_VERSION")
                ));
                return Err(vec![
                    d.help("run it again, or take it up with the version that saved it"),
                ]);
            }
            Ok(_) => serde_json::from_slice::<File>(&loaded.bytes),
            Err(e) => Err(e),
        };
        let saved = saved.map_err(|e| vec![refused(format!("is no saved run, or damaged: {e}"))])?;
        if saved.seal != seal(&saved.course) {
            return Err(vec![refused("was changed after it was saved".into())]);
        }
        let names: BTreeSet<&String> = saved.made_of.keys().chain(live.made_of.keys()).collect();
        let other: Vec<String> = names
            .into_iter()
            .filter(|n| saved.made_of.get(*n) != live.made_of.get(*n))
            .map(|n| match n.contains(' ') {
                true => n.clone(),
                false => format!("`{n}`"),
            })
            .collect();
        if !other.is_empty() {
            let are = if other.len() == 1 { "is" } else { "are" };
            let d = refused(format!(
                "was saved when {} {are} not what {are} here now",
                crate::report::solve::and(&other.iter().map(String::as_str).collect::<Vec<_>>(),)
            ));
            return Err(vec![d.help(
                "a run goes on with the problem, the data and the pipeline that it began with",
            )]);
        }
        let now = self.settings.now;
        live.around(now, |node, around| node.restore(&saved.course, around))
            .map_err(|why| vec![refused(format!("does not fit: {why}"))])
    }

    /// Keeps a run under its name, and says where it stands.
    pub(super) fn show_run(
        &mut self,
        name: &str,
        mut live: Live,
        command: &str,
        paused: Option<String>,
        sink: &mut dyn FnMut(Event),
    ) {
        let now = self.settings.now;
        let data = live.data(now);
        let ended = live.node.ended();
        let standing = live.standing(now);
        let word = |text: String, role: Role| Words { text, role };
        let mut line = vec![
            word(name.into(), Role::Name),
            word(format!(": step {}", live.steps()), Role::Plain),
        ];
        if let Some(f) = data.fields.get("objective").and_then(|t| t.as_scalar()) {
            line.push(word("  objective ".into(), Role::Faint));
            line.push(word(super::show::number(f), Role::Number));
        }
        match (&paused, &standing) {
            (Some(why), _) => line.push(word(format!("  {why}"), Role::Strong)),
            (None, Some(s)) if ended || s.answer.status == Status::Interrupted => {
                let reason = if s.answer.reason.is_empty() {
                    String::new()
                } else {
                    format!(": {}", s.answer.reason)
                };
                line.push(word(format!("  {}{reason}", s.answer.status), Role::Strong));
            }
            _ => {}
        }
        let view = View::Line(line);
        sink(Event::Shown(view.clone()));
        self.report.results.push(ResultEntry::View {
            command: command.into(),
            subject: name.into(),
            view,
        });
        self.define(name, Def::Solution(Rc::new(data)));
        self.runs.insert(name.into(), live);
    }

    /// Takes a run out of the session, for a command to advance it.
    fn taken_run(&mut self, name: &Ident) -> Found<Live> {
        self.runs.shift_remove(&name.text).ok_or_else(|| {
            vec![
                Diagnostic::new(Code::UnknownName, format!("there is no run `{}` any more", name.text))
                    .at(name.span, "")
                    .help("begin one: `r = start p with …`"),
            ]
        })
    }

    fn whole(&self, e: &Expr, what: &str) -> Found<u64> {
        let v = self.positive(e, what)?;
        if v.fract() == 0.0 && v < 1e15 {
            return Ok(v as u64);
        }
        Err(vec![
            Diagnostic::new(Code::BadOption, format!("{what} is an integer, found {v}")).at(e.span, "here"),
        ])
    }

    /// Compiles `break when …` for a run that has begun.
    pub(super) fn condition(&self, e: &Expr, live: &mut Live) -> Found<Condition> {
        let data = live.data(self.settings.now);
        let point = live.about.blocks();
        let mut own = BTreeMap::new();
        let mut add = |n: &str, t: Arc<Tensor>| {
            let value = || ParamValue {
                tensor: t,
                elem: crate::base::value::Elem::Real,
                sign: Sign::Unknown,
                operator: false,
            };
            own.entry(n.to_string()).or_insert_with(value);
        };
        data.fields.iter().for_each(|(n, t)| add(n, t.clone()));
        // What a later stage has: the condition holds nowhere before.
        live.columns().into_iter().for_each(|(n, t)| add(&n, Arc::new(t)));
        let over = Over { session: self, own };
        let lowered = lower::lower_value(&over, e).map_err(one)?;
        let Evaluable::Array { node, dims, .. } = lowered.value else {
            return Err(vec![
                Diagnostic::new(Code::WrongType, "a condition is expected").at(e.span, "here"),
            ]);
        };
        if !dims.is_empty() {
            return Err(vec![
                Diagnostic::new(
                    Code::WrongType,
                    "a condition is one truth value, this is an array of them",
                )
                .at(e.span, "here")
                .help("`max(x) > 10` asks for any of them"),
            ]);
        }
        let mut machine = Machine::new(Arc::new(Plan::compile(&lowered.ir, &[node])));
        let mut reads = vec![];
        for (name, input) in &lowered.params {
            let Some(value) = over.own.get(name) else {
                if let Some(p) = self.param_value(name) {
                    machine.set(*input, p.tensor.clone());
                }
                continue;
            };
            let n = value.tensor.dims.iter().map(IndexSet::len).product();
            let read = match (point.iter().find(|b| b.0 == *name), name.as_str()) {
                (Some((_, first, len)), _) => Read::Point(*first, *len),
                (None, "objective") => Read::Objective,
                (None, "stationarity") => Read::Stationarity,
                (None, "change") => Read::Change,
                (None, "step") => Read::Step,
                (None, "evaluations") => Read::Evaluations,
                _ => Read::Column(name.clone(), n),
            };
            reads.push((*input, value.tensor.dims.clone(), read));
        }
        Ok(Condition {
            machine,
            reads,
            text: shown(e),
        })
    }

    /// What a run is made of: digests of the definitions and values behind its `start` line.
    pub(super) fn made_of(
        &self,
        c: &Solve,
        start: &BTreeMap<String, Vec<f64>>,
        seed: u64,
        tolerance: f64,
    ) -> BTreeMap<String, String> {
        let digest = |t: &str| files::hash(t.split_whitespace().collect::<Vec<_>>().join(" ").as_bytes());
        let mut out = BTreeMap::new();
        let mut line = format!("{seed} {:016x}", tolerance.to_bits());
        for span in c.method.iter().map(|p| p.span).chain(c.target.iter().map(|t| t.span)) {
            line += self.sources.text(span);
        }
        line += &c.variation.to_string();
        for (n, values) in start {
            line += n;
            values.iter().for_each(|v| line += &format!(" {:x}", v.to_bits()));
        }
        out.insert(START_LINE.to_string(), digest(&line));
        let mut todo: Vec<String> = vec![];
        if c.target.is_none() {
            let all = self.unnamed_where(|_, _| true);
            let text: Vec<&str> = all.iter().map(|s| self.sources.text(s.0.span)).collect();
            out.insert(UNNAMED.to_string(), digest(&text.join("\n")));
            todo.extend(all.iter().flat_map(|s| s.0.uses()));
        }
        let own = crate::lang::syntax::Stmt {
            kind: crate::lang::syntax::StmtKind::Solve(Box::new(Solve {
                bind: None,
                resume: None,
                ..c.clone()
            })),
            span: c.keyword,
            docs: None,
        };
        todo.extend(own.uses());
        while let Some(n) = todo.pop() {
            if out.contains_key(&n) {
                continue;
            }
            let text = match self.defs.get(&n) {
                None | Some(Def::Solution(_)) => continue,
                Some(Def::Param { value, .. }) => {
                    let bits: Vec<String> = value
                        .tensor
                        .to_dense()
                        .iter()
                        .map(|v| format!("{:x}", v.to_bits()))
                        .collect();
                    format!("{:?} {}", value.tensor.shape(), bits.join(" "))
                }
                Some(Def::Size(k)) => k.to_string(),
                Some(Def::Text(t)) => t.clone(),
                Some(_) => match self.graph.mark(&n) {
                    Some(m) => {
                        todo.extend(m.uses.iter().cloned());
                        self.sources.text(m.stmt.span).to_string()
                    }
                    // A definition of the library: the version says which.
                    None => continue,
                },
            };
            out.insert(n, digest(&text));
        }
        out
    }
}

fn seal(course: &Kept) -> String {
    files::hash(&serde_json::to_vec(course).unwrap_or_default())
}
