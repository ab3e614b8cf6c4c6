//! How a run begins: the data of the form are bound, a method is chosen where none is asked for, the start is taken.
//!
//! Invariant: what cannot be run is answered here, with its reason, before a method sees it; a run taken up again begins
//! from the same data.

use std::sync::Arc;

use ravine_linalg::Matrix;
use ravine_linalg::clarabel_adapter::{Cone, ConicForm};

use super::super::choose::{self, Choice};
use super::super::classify::Kind;
use super::super::composite::Composite;
use super::super::method::{Class, Granularity, Method};
use super::super::methods::{self, conditions};
use super::super::model::Model;
use super::super::oracle::{Bounds, Counts, Form, FormOracle, Oracle};
use super::super::products::ByProducts;
use super::super::run::{Run, Saved};
use super::super::smooth::Smooth;
use super::super::state::Point;
use super::super::stop::Status;
use super::going::{Ask, Begun, Going, Lent};
use super::{Answer, Compiled};
use crate::exec::Fault;
use crate::forms::composite::NotBound;
use crate::forms::least_squares::LeastSquares;
use crate::forms::products::Products;
use crate::forms::program::ConicProgram;

/// A run that can be made, or an answer where nothing is to be run.
enum Start {
    Run(Box<Prepared>),
    Over(Box<Answer>),
}

/// What a run is made of.
struct Prepared {
    method: Arc<dyn Method>,
    /// What is known of the answer before there is one.
    head: Answer,
    lent: Lent,
    from: Vec<f64>,
}

impl Compiled {
    /// Begins a run for the given parameters, or takes a saved one up again.
    pub fn begin(&mut self, ask: Ask<'_>, saved: Option<Saved>) -> Result<Begun, Fault> {
        self.model.bind(ask.params)?;
        let (l, u) = self.model.bounds();
        if let Some(k) = l.iter().zip(&u).position(|(l, u)| l > u || l.is_nan() || u.is_nan()) {
            let answer = self.empty_bounds(k, &l, &u);
            return Ok(Begun::Over(Box::new(self.settled(answer))));
        }
        if let Some(k) = self.model.units().iter().position(|s| !(*s > 0.0 && s.is_finite())) {
            return Err(Fault {
                what: format!("the scale of {} is no positive number", self.coordinate(k)),
                node: None,
                at: vec![],
            });
        }
        let from = self.start(ask.start, ask.previous);
        let class = self.class;
        let start = match &mut self.kind {
            Kind::LeastSquares(ls) => equations(ls, class, &ask, from)?,
            Kind::Products(p) => products(p, class, &ask, from)?,
            Kind::Conic(p) => cones(p, class, &ask, (&l, &u), &mut self.model)?,
            Kind::Composite(c, row) => composite(c, row.or(choose::choose(class)), &ask, (l, u), from)?,
            Kind::Smooth(s) => {
                // Zero was nobody's choice: where a logarithm begins there, another point is as good.
                let chosen = self.problem.vars.iter().any(|v| v.start.is_some()) || !ask.start.is_empty();
                let may_move = !chosen && !from.1 && saved.is_none();
                let bounds = Bounds {
                    lower: l,
                    upper: u,
                    units: self.model.units(),
                };
                smooth(s, &ask, bounds, self.model.start(), from, may_move)
            }
        };
        match start {
            Start::Run(p) => self.going(ask, saved, *p),
            Start::Over(head) => Ok(Begun::Over(Box::new(self.settled(*head)))),
        }
    }

    /// The run, at its start or where it was saved.
    fn going(&mut self, ask: Ask<'_>, saved: Option<Saved>, prepared: Prepared) -> Result<Begun, Fault> {
        let Prepared {
            method,
            mut head,
            mut lent,
            from,
        } = prepared;
        // Nothing is said of a warm start where there was nothing to start from.
        if ask.previous.is_none() && !head.warm.0 {
            head.warm.1.clear();
        }
        let oracle = lent.oracle(&mut self.kind);
        let run = match saved {
            Some(saved) => Run::resume(method, oracle, saved),
            None => Run::new(method, oracle, &Point::plain(from.clone()), ask.options),
        };
        match run {
            Ok(mut run) => {
                run.set_watch(ask.watch);
                Ok(Begun::Going(Box::new(Going {
                    run,
                    lent,
                    head,
                    fault: None,
                })))
            }
            Err(refusal) => {
                head.status = Status::EvaluationError;
                head.reason = refusal.to_string();
                if let Some(s) = self.kind.functions() {
                    head.fault = s.trace_fault(&from);
                    head.x = from;
                }
                Ok(Begun::Over(Box::new(self.settled(head))))
            }
        }
    }

    fn empty_bounds(&self, k: usize, l: &[f64], u: &[f64]) -> Answer {
        let mut a = Answer {
            status: Status::Infeasible,
            method: "bounds".into(),
            method_why: "a lower bound lies above its upper bound".into(),
            ..Answer::default()
        };
        let name = self.coordinate(k);
        a.reason = format!("{name} is bounded below by {} and above by {}", l[k], u[k]);
        a
    }
}

/// Least squares or a linear system whose matrix is known.
fn equations(
    ls: &mut LeastSquares,
    class: Class,
    ask: &Ask<'_>,
    (from, warm): (Vec<f64>, bool),
) -> Result<Start, Fault> {
    ls.rows.bind(ask.params);
    let data = ls.data()?;
    let row = choose::equations(class, &data.a).or(choose::choose(class));
    let (method, mut head) = chosen(ask, row, "a factorization starts from nothing");
    if method.granularity() == Granularity::Step {
        head.warm = warmth(warm, ask);
    }
    if data.negative_weight {
        // Not a sum of squares after all; nothing is proved about it.
        head.reason = "a weight is negative, so this is no sum of squares".into();
        return Ok(Start::Over(Box::new(head)));
    }
    let form = Form::LeastSquares { a: data.a, b: data.b };
    let lent = Lent::LeastSquares {
        oracle: FormOracle { class, form },
        rounded: data.rounded,
    };
    Ok(Start::Run(Box::new(Prepared {
        method,
        head,
        lent,
        from,
    })))
}

/// The same known by products.
fn products(p: &mut Products, class: Class, ask: &Ask<'_>, (from, warm): (Vec<f64>, bool)) -> Result<Start, Fault> {
    p.bind(ask.params);
    let b = p.right()?;
    let (method, mut head) = chosen(ask, Some(&choose::BY_PRODUCTS), "");
    head.warm = warmth(warm, ask);
    let lent = Lent::Products(Box::new(ByProducts {
        class,
        products: p.clone(),
        b,
        counts: Counts::default(),
    }));
    Ok(Start::Run(Box::new(Prepared {
        method,
        head,
        lent,
        from,
    })))
}

/// A cone program, in units of its objective.
fn cones(
    program: &mut ConicProgram,
    class: Class,
    ask: &Ask<'_>,
    (l, u): (&[f64], &[f64]),
    model: &mut Model,
) -> Result<Start, Fault> {
    program.rows.bind(ask.params);
    let mut bound = program.data(l, u)?;
    let mut declared = model.start();
    for ((x, l), u) in declared.iter_mut().zip(l).zip(u) {
        *x = x.max(*l).min(*u);
    }
    let at_start = model.eval(&declared).map_or(0.0, |()| model.objective().abs());
    let unit = small_unit(&bound.form, at_start);
    let per = 1.0 / unit;
    let costs = bound.form.q.iter_mut().chain(&mut bound.form.p.values);
    costs.for_each(|v| *v *= per);
    bound.constant *= per;
    let row = match class {
        Class::Semidefinite => Some(choose::semidefinite(&bound.form)),
        _ => choose::choose(class),
    };
    let (method, head) = chosen(ask, row, "an interior-point method starts from its own point");
    let from = vec![0.0; bound.form.q.len()];
    let constant = bound.constant;
    let form = Form::Conic {
        form: bound.form,
        constant,
    };
    let lent = Lent::Conic {
        oracle: FormOracle { class, form },
        constant,
        unit,
        spans: bound.spans,
        entries: bound.entries,
        fold: bound.fold,
    };
    Ok(Start::Run(Box::new(Prepared {
        method,
        head,
        lent,
        from,
    })))
}

/// A smooth part and a simple one.
fn composite(
    c: &mut Composite,
    row: Option<&Choice>,
    ask: &Ask<'_>,
    (l, u): (Vec<f64>, Vec<f64>),
    (from, warm): (Vec<f64>, bool),
) -> Result<Start, Fault> {
    let (method, mut head) = chosen(ask, row, "");
    match c.bind(ask.params, l, u) {
        Ok(()) => {}
        Err(NotBound::Fault(f)) => return Err(f),
        Err(NotBound::Why(why)) => {
            head.reason = why;
            return Ok(Start::Over(Box::new(head)));
        }
    }
    head.warm = warmth(warm, ask);
    Ok(Start::Run(Box::new(Prepared {
        method,
        head,
        lent: Lent::Functions,
        from,
    })))
}

/// Values and derivatives, measured from the declared start. The start `may_move` where the objective is not defined there.
fn smooth(
    s: &mut Smooth,
    ask: &Ask<'_>,
    bounds: Bounds,
    mut declared: Vec<f64>,
    (mut from, warm): (Vec<f64>, bool),
    may_move: bool,
) -> Start {
    s.bind(ask.params);
    let quadratic = s.class == Class::ConvexQuadratic;
    if !quadratic && s.class != Class::Saddle {
        s.class = if bounds.any() {
            Class::SmoothBounds
        } else {
            Class::Smooth
        };
    }
    conditions::project(Some(&bounds), &mut declared);
    s.bounds = Arc::new(bounds);
    let mut moved = false;
    if may_move && !s.defined(&from) {
        let mut others = [1.0, 0.1, 10.0, -1.0].map(|t| within(&s.bounds, t)).into_iter();
        if let Some(x) = others.find(|x| s.defined(x)) {
            moved = true;
            declared.clone_from(&x);
            from = x;
        }
    }
    s.weigh(&declared);
    let entries = match (&ask.method, &s.unstructured) {
        (None, None) if !quadratic => s.constant_hessian(&from).ok().map(|h| h.nnz()),
        _ => None,
    };
    if quadratic
        && ask.method.is_none()
        && let Some(form) = factorable(s, from.len())
    {
        let row = &choose::QUADRATIC_FACTORED;
        let (method, head) = chosen(ask, Some(row), "a factorization starts from nothing");
        let class = Class::LinearSystem;
        let lent = Lent::LeastSquares {
            oracle: FormOracle { class, form },
            rounded: false,
        };
        return Start::Run(Box::new(Prepared {
            method,
            head,
            lent,
            from,
        }));
    }
    let row = if quadratic {
        by_products(s)
    } else {
        choose::smooth(s.class, from.len(), entries, s.unstructured.is_some())
    };
    let (method, mut head) = chosen(ask, Some(row), "");
    if !s.bounds.units.is_empty() {
        head.method_why += "; slopes are measured in the declared scales";
    }
    if moved {
        head.method_why += "; started inside the domain, as no start was given and zero is not in it";
    }
    head.warm = warmth(warm, ask);
    Start::Run(Box::new(Prepared {
        method,
        head,
        lent: Lent::Functions,
        from,
    }))
}

/// The method for this solve, and an answer that says which and why.
fn chosen(ask: &Ask<'_>, row: Option<&Choice>, warm: &str) -> (Arc<dyn Method>, Answer) {
    let mut a = Answer {
        warm: (false, warm.into()),
        ..Answer::default()
    };
    let method = match (&ask.method, row) {
        (None, Some(row)) => {
            a.method_why = row.why.into();
            methods::default(row.card)
        }
        (Some(m), _) => {
            a.method_why = "asked for".into();
            m.clone()
        }
        (None, None) => methods::default(&methods::newton_tr::CARD),
    };
    a.method = method.card().name.into();
    (method, a)
}

/// The point `t` from the bounds where there are any: between two the middle, else `t` from the one or from zero.
fn within(bounds: &Bounds, t: f64) -> Vec<f64> {
    let pairs = bounds.lower.iter().zip(&bounds.upper);
    pairs
        .map(|(l, u)| match (l.is_finite(), u.is_finite()) {
            (true, true) => 0.5 * l + 0.5 * u,
            (true, false) => l + t.abs() * l.abs().max(1.0),
            (false, true) => u - t.abs() * u.abs().max(1.0),
            (false, false) => t,
        })
        .collect()
}

/// The unit that the objective of a cone program is measured in: a power of two near what it is at the declared start and what
/// its coefficients are, where these are small; 1 elsewhere, and with curved cones, whose active set is not solved again: there
/// the multipliers keep the solver's own accuracy. Tolerances are relative to it.
fn small_unit(form: &ConicForm, at_start: f64) -> f64 {
    const SMALL: f64 = 1.0 / 1024.0;
    if form.cones.iter().any(|c| !matches!(c, Cone::Zero(_) | Cone::Nonneg(_))) {
        return 1.0;
    }
    let size = |v: &[f64]| v.iter().fold(0.0f64, |m, v| m.max(v.abs()));
    let q = size(&form.q);
    let unit = if at_start > 0.0 && at_start.is_finite() {
        at_start.max(q)
    } else {
        q.max(size(&form.p.values))
    };
    if !(f64::MIN_POSITIVE..SMALL).contains(&unit) {
        return 1.0;
    }
    // Down to the power of two.
    f64::from_bits(unit.to_bits() & (0x7ff << 52))
}

/// The row for a convex quadratic that is not factored.
pub(super) fn by_products(s: &Smooth) -> &'static Choice {
    match s.unstructured {
        Some(_) => &choose::QUADRATIC_BY_PRODUCTS,
        None => &choose::QUADRATIC,
    }
}

/// A convex quadratic as the linear system of its gradient, where its matrix is sparse and factors without much fill.
fn factorable(s: &mut Smooth, n: usize) -> Option<Form> {
    if s.unstructured.is_some() {
        return None;
    }
    let zeros = vec![0.0; n];
    let a = Matrix::Sparse(s.constant_hessian(&zeros).ok()?);
    if choose::equations(Class::LinearSystem, &a).is_some() {
        return None;
    }
    let mut b = vec![0.0; n];
    Oracle::gradient(s, &zeros, &mut b).ok()?;
    b.iter_mut().for_each(|v| *v = -*v);
    Some(Form::LeastSquares { a, b })
}

/// Was the last answer used, and why or why not?
fn warmth(used: bool, ask: &Ask<'_>) -> (bool, String) {
    match (used, ask.previous.is_some()) {
        (true, _) => (true, "started from the last answer".into()),
        (false, true) => (false, "a start was given".into()),
        (false, false) => (false, String::new()),
    }
}
