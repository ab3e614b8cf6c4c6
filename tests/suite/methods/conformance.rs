//! Conformance of every method's card: schema, checkpoints, interrupts, refusals, budgets, options.
//!
//! Invariant: a new method needs no new test code here.

use std::sync::Arc;
use std::sync::atomic::Ordering;

use ravine::base::Span;
use ravine::forms::composite::Quadratic;
use ravine::forms::simple::Simple;
use ravine::solve::composite::Parts;
use ravine::solve::errors::Given;
use ravine::solve::method::{OptionKind, Settings};
use ravine::solve::run::{Options, Watch};
use ravine::solve::{
    Class, Counts, Fault, MethodCard, Needs, Oracle, Point, Refusal, Run, Saved, Status, Stop, methods,
};
use ravine_linalg::{Csr, Dense, Matrix};

use super::super::problems::{Chained, Fun, Jet};
use super::{no_clock, options, quadratic, rosenbrock};

/// A problem of a class on which a method has work for a dozen steps, and a start.
fn sample(class: Class) -> Option<(Box<dyn Oracle>, Vec<f64>)> {
    match class {
        Class::Smooth | Class::LeastSquares => {
            let mut f = rosenbrock();
            f.class = class;
            Some((Box::new(f), vec![-1.2, 1.0]))
        }
        Class::SmoothBounds => {
            let f = Fun::new(4, |x| {
                let mut sum = Jet::constant(x[0].g.len(), 0.0);
                for i in 0..3 {
                    let a = &x[i + 1] - &x[i].powi(2);
                    sum = &(&sum + &(100.0 * &a.powi(2))) + &(&(-&x[i]) + 1.0).powi(2);
                }
                sum
            });
            let lower = vec![f64::NEG_INFINITY, -0.5, -2.0, 0.1];
            let upper = vec![0.8, f64::INFINITY, 0.7, 3.0];
            Some((Box::new(f.bounded(lower, upper)), vec![-1.2, 1.0, -1.2, 1.0]))
        }
        Class::Composite => {
            let mut f = Fun::new(6, |x| {
                let mut sum = Jet::constant(x[0].g.len(), 0.0);
                for i in 0..6 {
                    sum = &sum + &((1.0 + i as f64) * &(&x[i] + -1.0).powi(4));
                    if i > 0 {
                        sum = &sum + &(0.3 * &(&x[i] - &x[i - 1]).powi(2));
                    }
                }
                sum
            });
            f.class = class;
            f.convex = true;
            let mut lower = vec![f64::NEG_INFINITY; 6];
            lower[2] = 0.5;
            let simple = Simple {
                l1: vec![0.1, 0.2, 0.0, 40.0, 0.1, 0.3],
                ..Simple::bounds(lower, vec![f64::INFINITY; 6])
            };
            f.parts = Some(Arc::new(Parts {
                simple,
                quadratic: None,
                floor: Some(0.0),
                convex: true,
            }));
            Some((Box::new(f), vec![3.0, -2.0, 4.0, -3.0, 2.5, -1.0]))
        }
        Class::ConvexQuadratic => {
            let (mut f, _) = quadratic(24, 1e3, 3);
            f.class = class;
            f.offers.hessian = false;
            Some((Box::new(f), vec![20.0; 24]))
        }
        _ => None,
    }
}

/// Does it read the bound squares and evaluate nothing?
fn on_parts(card: &MethodCard) -> bool {
    card.name == "coordinate_descent"
}

/// Coordinate descent, cut at any step, saved and resumed, ends in the same bits.
#[test]
fn a_method_on_bound_squares_is_cut_and_resumed() {
    let (m, n) = (30, 20);
    let entry = |j: usize, i: usize| (1.7 * (i * j) as f64).sin() + (0.3 * i as f64).cos();
    let columns = Dense::from_fn(n, m, entry);
    let problem = || {
        let mut f = Fun::new(n, |x| Jet::constant(x[0].g.len(), 0.0));
        f.class = Class::Composite;
        f.parts = Some(Arc::new(Parts {
            simple: Simple {
                l1: vec![0.05; n],
                ..Simple::bounds(vec![f64::NEG_INFINITY; n], vec![f64::INFINITY; n])
            },
            quadratic: Some(Quadratic {
                columns: Matrix::Dense(columns.clone()),
                b: (0..m).map(|i| (0.7 * i as f64).sin()).collect(),
                scale: 0.5,
                ridge: vec![1e-3; n],
                q: vec![0.0; n],
                constant: 0.0,
            }),
            floor: Some(0.0),
            convex: true,
        }));
        f
    };
    let card = methods::find("coordinate_descent").unwrap();
    let x0 = vec![1.0; n];
    let mut p = problem();
    let mut whole = started(card, &mut p, &x0);
    let reason = whole.advance(&mut p, u64::MAX, &no_clock).unwrap();
    assert_eq!(reason.status, Status::Optimal);
    assert!(whole.steps() >= 2, "{}", whole.steps());
    for cut in 0..whole.steps() {
        let mut p = problem();
        let mut first = started(card, &mut p, &x0);
        first.advance(&mut p, cut, &no_clock);
        let saved: Saved = serde_json::from_str(&serde_json::to_string(&first.save()).unwrap()).unwrap();
        let mut p = problem();
        let mut second = Run::resume(methods::default(card), &p, saved).unwrap();
        while second.advance(&mut p, 1, &no_clock).is_none() {}
        assert_eq!(second.state(), whole.state(), "cut at {cut}");
    }
}

/// Every card with every accepted class that has a sample.
fn cases() -> Vec<(&'static MethodCard, Class)> {
    let cases: Vec<_> = methods::CARDS
        .iter()
        .flat_map(|c| c.accepts.iter().map(move |class| (*c, *class)))
        // One step of Newton's method solves a quadratic.
        .filter(|(c, class)| *class != Class::ConvexQuadratic || c.name != "newton_tr")
        .filter(|(c, class)| !c.needs.form && !on_parts(c) && sample(*class).is_some())
        .collect();
    for card in methods::CARDS.iter().filter(|c| !c.needs.form && !on_parts(c)) {
        assert!(cases.iter().any(|c| c.0.name == card.name), "{}", card.name);
    }
    cases
}

fn started(card: &MethodCard, problem: &mut dyn Oracle, x0: &[f64]) -> Run {
    let method = methods::default(card);
    Run::new(method, problem, &Point::plain(x0.to_vec()), options(1e-8, 500)).expect("starts")
}

#[test]
fn cards_are_complete() {
    let mut names = vec![];
    for card in methods::CARDS {
        names.push(card.name);
        names.extend(card.aliases);
        for text in [card.title, card.guarantees, card.doc, card.source] {
            assert!(!text.is_empty(), "{} leaves a column empty", card.name);
        }
        assert!(!card.accepts.is_empty());
        let defaults = Settings::defaults(card);
        for (option, (name, _)) in card.options.iter().zip(&defaults.values) {
            assert_eq!(option.name, *name);
            match option.kind {
                OptionKind::Real { lo, hi, default, .. } => assert!(lo <= default && default <= hi),
                OptionKind::Count { lo, hi, default } => assert!(lo <= default && default <= hi),
                OptionKind::Choice(words) | OptionKind::Map(words) => assert!(!words.is_empty()),
                OptionKind::Flag(_) => {}
            }
        }
        assert_eq!((card.build)(&defaults).card().name, card.name);
        for name in std::iter::once(&card.name).chain(card.aliases) {
            assert_eq!(methods::find(name).map(|c| c.name), Some(card.name));
        }
    }
    let count = names.len();
    names.sort_unstable();
    names.dedup();
    assert_eq!(names.len(), count, "a name is used twice");
}

#[test]
fn states_follow_their_schema() {
    for (card, class) in cases() {
        let (mut problem, x0) = sample(class).unwrap();
        let mut run = started(card, &mut *problem, &x0);
        for _ in 0..3 {
            let state = run.state();
            let kinds: Vec<_> = state.slots.iter().map(|s| s.kind()).collect();
            let schema: Vec<_> = card.state.iter().map(|s| s.kind).collect();
            assert_eq!(kinds, schema, "{}", card.name);
            assert_eq!(state.records.len(), card.records.len(), "{}", card.name);
            run.advance(&mut *problem, 1, &no_clock);
        }
        let trace = run.trace();
        assert_eq!(trace.columns.len(), 11 + card.records.len(), "{}", card.name);
        let objective = trace.column("objective").unwrap();
        assert_eq!(objective.len() as u64, run.steps() + 1);
    }
}

#[test]
fn cut_saved_and_resumed_runs_end_in_the_same_bits() {
    for (card, class) in cases() {
        let (mut problem, x0) = sample(class).unwrap();
        let mut whole = started(card, &mut *problem, &x0);
        while whole.advance(&mut *problem, u64::MAX, &no_clock).is_none() {}
        assert!(
            whole.steps() >= 5,
            "{} {}: only {} steps",
            card.name,
            class.word(),
            whole.steps()
        );
        for cut in [0, 1, 2, 5, 9, 14, whole.steps()] {
            let (mut problem, _) = sample(class).unwrap();
            let mut first = started(card, &mut *problem, &x0);
            first.advance(&mut *problem, cut, &no_clock);
            let text = serde_json::to_string(&first.save()).unwrap();
            let saved: Saved = serde_json::from_str(&text).unwrap();
            assert!(saved == first.save());
            let (mut fresh, _) = sample(class).unwrap();
            let mut second = Run::resume(methods::default(card), &*fresh, saved).unwrap();
            // Single steps and bursts go the same way.
            while second.advance(&mut *fresh, 1, &no_clock).is_none() {}
            assert_eq!(
                second.state(),
                whole.state(),
                "{} {} cut at {cut}",
                card.name,
                class.word()
            );
            assert_eq!(
                second.save(),
                whole.save(),
                "{} {} cut at {cut}",
                card.name,
                class.word()
            );
        }
    }
}

#[test]
fn checkpoints_that_do_not_fit_are_refused() {
    let (mut problem, x0) = sample(Class::Smooth).unwrap();
    let saved = started(&methods::newton_tr::CARD, &mut *problem, &x0).save();
    let other = methods::default(&methods::lbfgs::CARD);
    assert!(matches!(
        Run::resume(other, &*problem, saved.clone()),
        Err(Refusal::Start(_))
    ));
    let (bounded, _) = sample(Class::SmoothBounds).unwrap();
    let same = methods::default(&methods::newton_tr::CARD);
    assert!(matches!(Run::resume(same, &*bounded, saved), Err(Refusal::Start(_))));
}

/// Sets the interrupt flag during the `at`-th evaluation.
struct Interrupting {
    inner: Box<dyn Oracle>,
    watch: Arc<Watch>,
    at: u64,
}

impl Interrupting {
    fn tick(&self) {
        if self.inner.counts().total() >= self.at {
            self.watch.stop();
        }
    }
}

impl Oracle for Interrupting {
    fn dim(&self) -> usize {
        self.inner.dim()
    }
    fn class(&self) -> Class {
        self.inner.class()
    }
    fn offers(&self) -> Needs {
        self.inner.offers()
    }
    fn bounds(&self) -> Option<Arc<ravine::solve::Bounds>> {
        self.inner.bounds()
    }
    fn value(&mut self, x: &[f64]) -> Result<f64, Fault> {
        self.tick();
        self.inner.value(x)
    }
    fn gradient(&mut self, x: &[f64], g: &mut [f64]) -> Result<(), Fault> {
        self.tick();
        self.inner.gradient(x, g)
    }
    fn hvp(&mut self, x: &[f64], v: &[f64], out: &mut [f64]) -> Result<(), Fault> {
        self.tick();
        self.inner.hvp(x, v, out)
    }
    fn hessian(&mut self, x: &[f64], out: &mut Csr) -> Result<(), Fault> {
        self.tick();
        self.inner.hessian(x, out)
    }
    fn smooth_value(&mut self, x: &[f64]) -> Result<f64, Fault> {
        self.tick();
        self.inner.smooth_value(x)
    }
    fn smooth_value_gradient(&mut self, x: &[f64], g: &mut [f64]) -> Result<f64, Fault> {
        self.tick();
        self.inner.smooth_value_gradient(x, g)
    }
    fn prox(&mut self, x: &mut [f64], t: f64) -> Result<(), Fault> {
        self.inner.prox(x, t)
    }
    fn parts(&self) -> Option<Arc<Parts>> {
        self.inner.parts()
    }
    fn counts(&self) -> Counts {
        self.inner.counts()
    }
}

#[test]
fn an_interrupt_stops_within_a_step_and_the_run_goes_on_unharmed() {
    for (card, class) in cases() {
        let (mut problem, x0) = sample(class).unwrap();
        let mut whole = started(card, &mut *problem, &x0);
        while whole.advance(&mut *problem, u64::MAX, &no_clock).is_none() {}
        for at in [3, 10, 17] {
            let mut run = started(card, &mut *sample(class).unwrap().0, &x0);
            let watch = run.watch();
            let mut problem = Interrupting {
                inner: sample(class).unwrap().0,
                watch: watch.clone(),
                at,
            };
            let reason = run.advance(&mut problem, u64::MAX, &no_clock).expect("ended");
            assert_eq!(reason.status, Status::Interrupted, "{} {}", card.name, class.word());
            let steps = run.steps();
            let mut alone = started(card, &mut *sample(class).unwrap().0, &x0);
            alone.advance(&mut *sample(class).unwrap().0, steps, &no_clock);
            assert!(run.state() == alone.state(), "{} {}", card.name, class.word());
            let evaluated = problem.inner.counts().total();
            assert!(
                evaluated <= at + 130,
                "{}: {evaluated} evaluations after an interrupt at {at}",
                card.name
            );
            watch.interrupt.store(false, Ordering::Relaxed);
            run.extend(options(0.0, 500).budget);
            let mut problem = sample(class).unwrap().0;
            while run.advance(&mut *problem, u64::MAX, &no_clock).is_none() {}
            assert!(run.state() == whole.state(), "{} {}", card.name, class.word());
        }
    }
}

#[test]
fn classes_not_on_the_card_are_refused_before_any_evaluation() {
    for card in methods::CARDS {
        for class in Class::ALL.into_iter().filter(|c| !card.accepts.contains(c)) {
            let mut problem = rosenbrock();
            problem.class = class;
            let refused = Run::new(
                methods::default(card),
                &mut problem,
                &Point::plain(vec![0.0; 2]),
                options(1e-8, 9),
            );
            assert_eq!(refused.err(), Some(Refusal::Class(class)), "{}", card.name);
            assert_eq!(problem.counts().total(), 0);
        }
        let mut problem = rosenbrock();
        problem.class = card.accepts[0];
        problem.offers = Needs::default();
        let refused = Run::new(
            methods::default(card),
            &mut problem,
            &Point::plain(vec![0.0; 2]),
            options(1e-8, 9),
        );
        assert!(matches!(refused.err(), Some(Refusal::Needs(_))), "{}", card.name);
        assert_eq!(problem.counts().total(), 0);
    }
    let mut problem = rosenbrock();
    for start in [vec![0.0; 3], vec![f64::NAN, 0.0]] {
        let refused = Run::new(
            methods::default(methods::CARDS[0]),
            &mut problem,
            &Point::plain(start),
            options(1e-8, 9),
        );
        assert!(matches!(refused.err(), Some(Refusal::Start(_))));
    }
}

#[test]
fn the_same_bits_for_any_number_of_threads() {
    // Long enough for the reductions to be split among workers.
    let n = 100_000;
    for name in ["newton_tr", "lbfgs"] {
        let states: Vec<_> = [1, 2, 4]
            .into_iter()
            .map(|threads| {
                let pool = rayon::ThreadPoolBuilder::new().num_threads(threads).build().unwrap();
                pool.install(|| {
                    let mut problem = Chained::new(n);
                    problem.hessians = false;
                    let x0 = problem.start();
                    let mut run = Run::new(
                        methods::default(methods::find(name).unwrap()),
                        &mut problem,
                        &Point::plain(x0),
                        options(1e-8, 4),
                    )
                    .unwrap();
                    run.advance(&mut problem, 4, &no_clock);
                    assert_eq!(run.steps(), 4);
                    run.save()
                })
            })
            .collect();
        assert!(states[0] == states[1], "{name}");
        assert!(states[0] == states[2], "{name}");
    }
}

#[test]
fn budgets_and_stopping_rules_end_a_run() {
    for (card, class) in cases() {
        let (mut problem, x0) = sample(class).unwrap();
        let with = |change: &dyn Fn(&mut Options)| {
            let mut o = options(1e-8, 1000);
            change(&mut o);
            o
        };
        let mut end = |o: Options, clock: &dyn Fn() -> f64| {
            Run::new(methods::default(card), &mut *problem, &Point::plain(x0.clone()), o)
                .unwrap()
                .finish(&mut *problem, clock)
        };
        let r = end(with(&|o| o.budget.steps = Some(3)), &no_clock);
        assert_eq!((r.claim, r.iterations), (Status::StepLimit, 3));
        assert!(r.reproducible);
        let r = end(with(&|o| o.budget.evaluations = Some(9)), &no_clock);
        assert_eq!(r.claim, Status::EvaluationLimit);
        let made = r.counts.total();
        assert!((9..40).contains(&made), "{} {}: {made}", card.name, class.word());
        let time = std::cell::Cell::new(0.0);
        let ticking = || {
            time.set(time.get() + 1.0);
            time.get()
        };
        let r = end(with(&|o| o.budget.seconds = Some(6.5)), &ticking);
        assert_eq!(r.claim, Status::TimeLimit);
        assert!(!r.reproducible);
        let r = end(with(&|o| o.stops = vec![Stop::below("stationarity", 0.5)]), &no_clock);
        assert_eq!(r.claim, Status::Feasible);
        assert!(r.measures.stationarity <= 0.5);
        let column = r.trace.column("stationarity").unwrap();
        assert!(column[..column.len() - 1].iter().all(|s| *s > 0.5), "stopped late");
    }
}

#[test]
fn names_and_options_are_checked() {
    let span = Span::new(ravine::base::SourceId(0), 0, 5);
    let Err(errors) = methods::build("lbfsg", span, &[]) else {
        panic!("accepted")
    };
    assert_eq!(errors[0].code, ravine::base::Code::UnknownMethod);
    assert!(errors[0].helps[0].text.contains("`lbfgs`"), "{:?}", errors[0]);
    let given = |name: &str, v: Given| (name.to_string(), v, span);
    let bad = [
        given("memry", Given::Number(5.0)),
        given("memory", Given::Number(2.5)),
        given("memory", Given::Number(0.0)),
        given("memory", Given::Word("many".into())),
        given("memory", Given::Number(f64::NAN)),
    ];
    for one in bad {
        let Err(errors) = methods::build("lbfgs", span, std::slice::from_ref(&one)) else {
            panic!("{one:?} accepted")
        };
        assert_eq!(errors[0].code, ravine::base::Code::BadOption);
    }
    let twice = [given("memory", Given::Number(5.0)), given("memory", Given::Number(6.0))];
    assert!(methods::build("lbfgs", span, &twice).is_err());
    assert!(methods::build("lbfgs", span, &twice[..1]).is_ok());
    assert!(methods::build("newton", span, &[given("inner", Given::Word("cg".into()))]).is_ok());
    assert!(methods::build("newton", span, &[given("inner", Given::Word("lu".into()))]).is_err());
}

#[test]
fn the_reference_page_is_what_the_cards_say() {
    let page = methods::reference::page(methods::CARDS);
    let path = concat!(env!("CARGO_MANIFEST_DIR"), "/docs/reference/methods.md");
    if std::env::var_os("RAVINE_BLESS").is_some() {
        std::fs::write(path, &page).expect("writes the page");
    }
    let written = std::fs::read_to_string(path).unwrap_or_default();
    assert!(
        written == page,
        "docs/reference/methods.md is not what the cards say: RAVINE_BLESS=1 cargo test writes it"
    );
}
