//! Conformance of every method's card, and standard problems to the promised accuracy.
//!
//! Invariant: a new method needs no new test code here; expected values come from closed forms or published minima.

#![allow(clippy::unwrap_used, clippy::print_stderr, reason = "tests")]

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
    Class, Counts, Fault, Finished, Form, FormOracle, Granularity, Method, MethodCard, Needs, Oracle, Point, Refusal,
    Run, Saved, Status, Stop, methods,
};
use ravine_linalg::clarabel_adapter::{Cone, ConicForm};
use ravine_linalg::{Csr, Dense, Matrix};

use super::problems::{Chained, Expr, Fun, Jet, json};

fn no_clock() -> f64 {
    0.0
}

fn solve(method: &str, problem: &mut dyn Oracle, x0: Vec<f64>) -> Finished {
    solve_to(method, problem, x0, 1e-8, 20_000)
}

fn options(tolerance: f64, steps: u64) -> Options {
    let mut options = Options {
        tolerance,
        ..Options::default()
    };
    options.budget.steps = Some(steps);
    options
}

fn solve_to(method: &str, problem: &mut dyn Oracle, x0: Vec<f64>, tolerance: f64, steps: u64) -> Finished {
    let method: Arc<dyn Method> = methods::default(methods::find(method).expect("method"));
    Run::new(method, problem, &Point::plain(x0), options(tolerance, steps))
        .expect("starts")
        .finish(problem, &no_clock)
}

/// Uniform numbers in −1 … 1, the same on every run.
struct Draws(u64);

impl Draws {
    fn next(&mut self) -> f64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        ((z ^ (z >> 31)) >> 11) as f64 / (1u64 << 52) as f64 - 1.0
    }
    fn vector(&mut self, n: usize) -> Vec<f64> {
        (0..n).map(|_| self.next()).collect()
    }
}

fn rosenbrock() -> Fun {
    Fun::new(2, |x| {
        let a = &x[1] - &x[0].powi(2);
        let b = &(-&x[0]) + 1.0;
        &(100.0 * &a.powi(2)) + &b.powi(2)
    })
}

#[test]
fn rosenbrock_in_few_steps() {
    for (method, most) in [("newton_tr", 30), ("lbfgs", 60)] {
        let r = solve(method, &mut rosenbrock(), vec![-1.2, 1.0]);
        eprintln!(
            "rosenbrock {method}: {} steps, {:?}, f {:e}",
            r.iterations, r.counts, r.objective
        );
        assert_eq!(r.claim, Status::LocallyOptimal, "{}", r.reason.why);
        assert!(r.iterations <= most, "{} steps", r.iterations);
        assert!((r.point.values[0] - 1.0).abs() < 1e-7 && (r.point.values[1] - 1.0).abs() < 2e-7);
    }
}

#[test]
fn chained_rosenbrock() {
    for (method, most) in [("newton_tr", 1500), ("lbfgs", 3000)] {
        let mut p = Chained::new(100);
        let x0 = p.start();
        let r = solve(method, &mut p, x0);
        eprintln!(
            "chained {method}: {} steps, {:?}, f {:e} {}",
            r.iterations, r.counts, r.objective, r.reason.why
        );
        assert_eq!(r.claim, Status::LocallyOptimal, "{}", r.reason.why);
        assert!(r.iterations <= most, "{} steps", r.iterations);
    }
}

#[test]
fn more_garbow_hillstrom() {
    let Some(set) = json("mgh", "mgh.json") else { return };
    let problems = set["problems"].as_array().unwrap();
    let mut wrong = vec![];
    for method in ["newton_tr", "lbfgs"] {
        for p in problems {
            let n = p["n"].as_u64().unwrap() as usize;
            let residuals: Vec<Expr> = p["residuals"]
                .as_array()
                .unwrap()
                .iter()
                .map(|r| Expr::parse(r.as_str().unwrap()))
                .collect();
            let x0: Vec<f64> = p["x0"]
                .as_array()
                .unwrap()
                .iter()
                .map(|v| v.as_f64().unwrap())
                .collect();
            let mut f = Fun::new(n, move |x: &[Jet]| {
                let mut sum = Jet::constant(x[0].g.len(), 0.0);
                for r in &residuals {
                    sum = &sum + &r.eval(x).powi(2);
                }
                sum
            });
            let at_start = f.value(&x0).unwrap();
            let expected = p["f_start"].as_f64().unwrap();
            assert!(
                (at_start - expected).abs() <= 1e-9 * expected.abs().max(1e-300),
                "{} read wrongly",
                p["name"]
            );
            let r = solve_to(method, &mut f, x0, 1e-8, 5000);
            let (rel, abs) = (p["rel_tol"].as_f64().unwrap(), p["abs_tol"].as_f64().unwrap());
            let fits = p["minima"].as_array().unwrap().iter().any(|m| {
                let v = m["f"].as_f64().unwrap();
                m["accept"].as_bool().unwrap() && (r.objective - v).abs() <= rel * v + abs
            });
            eprintln!(
                "{method} {} n={n}: {} in {} steps, {} evals, f={:e} s={:.1e} best {} {}",
                p["name"],
                r.claim,
                r.iterations,
                r.counts.total(),
                r.objective,
                r.measures.stationarity,
                p["f_best"],
                if fits { "" } else { "  <<<<<" }
            );
            if !fits {
                wrong.push(format!("{method} {}", p["name"].as_str().unwrap()));
            }
            assert!(
                matches!(
                    r.claim,
                    Status::LocallyOptimal | Status::PrecisionLimited | Status::Stationary
                ),
                "{method} {}: {} ({})",
                p["name"],
                r.claim,
                r.reason.why
            );
        }
    }
    // Condition number 1e13: a gradient of 1e-8 leaves more of the value than the set's tolerance.
    assert_eq!(wrong, ["lbfgs Watson n=12"]);
}

// ---------------------------------------------------------------- conformance

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

// ---------------------------------------------------------------- standard problems

/// `½ (x − c)ᵀ Q (x − c)` with eigenvalues from 1 down to 1/κ in random directions.
fn quadratic(n: usize, kappa: f64, seed: u64) -> (Fun, Vec<f64>) {
    let mut draws = Draws(seed);
    let raw = nalgebra::DMatrix::from_vec(n, n, draws.vector(n * n));
    let q = raw.qr().q();
    let d = nalgebra::DVector::from_fn(n, |i, _| kappa.powf(-(i as f64) / (n as f64 - 1.0)));
    let m = &q * nalgebra::DMatrix::from_diagonal(&d) * q.transpose();
    let m = 0.5 * (&m + m.transpose());
    let c = draws.vector(n);
    let centre = c.clone();
    let f = Fun::new(n, move |x: &[Jet]| {
        let e: Vec<Jet> = x.iter().zip(&c).map(|(x, c)| x + (-c)).collect();
        let mut sum = Jet::constant(x[0].g.len(), 0.0);
        for i in 0..n {
            for j in 0..=i {
                let w = if i == j { 0.5 * m[(i, i)] } else { m[(i, j)] };
                sum = &sum + &(w * &(&e[i] * &e[j]));
            }
        }
        sum
    });
    (f.convex(), centre)
}

#[test]
fn ill_conditioned_quadratics() {
    for exponent in [0, 2, 4, 6, 8, 10, 12] {
        let kappa = 10f64.powi(exponent);
        let (mut f, centre) = quadratic(8, kappa, 5);
        let r = solve_to("newton_tr", &mut f, vec![0.0; 8], 1e-13, 50);
        let error = r
            .point
            .values
            .iter()
            .zip(&centre)
            .map(|(a, b)| (a - b).abs())
            .fold(0.0, f64::max);
        eprintln!(
            "kappa 1e{exponent}: {} {} steps, error {error:.1e}, {}",
            r.claim, r.iterations, r.reason.why
        );
        assert!(
            matches!(r.claim, Status::Optimal | Status::PrecisionLimited),
            "{}",
            r.reason.why
        );
        assert!(
            error <= 40.0 * kappa * f64::EPSILON,
            "kappa 1e{exponent}: error {error:e}"
        );
        assert!(r.iterations <= 8, "{} steps", r.iterations);
    }
    // L-BFGS: its measured limit at the default tolerance.
    for exponent in [0, 2, 4, 6] {
        let kappa = 10f64.powi(exponent);
        let (mut f, centre) = quadratic(8, kappa, 5);
        let r = solve("lbfgs", &mut f, vec![0.0; 8]);
        let error = r
            .point
            .values
            .iter()
            .zip(&centre)
            .map(|(a, b)| (a - b).abs())
            .fold(0.0, f64::max);
        eprintln!(
            "lbfgs kappa 1e{exponent}: {} {} steps, error {error:.1e}",
            r.claim, r.iterations
        );
        assert_eq!(r.claim, Status::Optimal);
        // Stationarity 1e-8 bounds the error by its inverse curvature.
        assert!(error <= 2e-8 * kappa * 3.0);
    }
}

/// The minimum over all choices of active bounds of a strictly convex quadratic.
fn best_of_all_active_sets(m: &nalgebra::DMatrix<f64>, c: &[f64], lo: &[f64], hi: &[f64]) -> (f64, Vec<f64>) {
    let n = c.len();
    let value = |x: &[f64]| {
        let e = nalgebra::DVector::from_fn(n, |i, _| x[i] - c[i]);
        0.5 * e.dot(&(m * &e))
    };
    let mut best = (f64::INFINITY, vec![]);
    for code in 0..3usize.pow(n as u32) {
        let kind: Vec<usize> = (0..n).map(|i| code / 3usize.pow(i as u32) % 3).collect();
        let mut x: Vec<f64> = (0..n).map(|i| [0.0, lo[i], hi[i]][kind[i]]).collect();
        if x.iter().any(|v| !v.is_finite()) {
            continue;
        }
        let free: Vec<usize> = (0..n).filter(|&i| kind[i] == 0).collect();
        if !free.is_empty() {
            let a = nalgebra::DMatrix::from_fn(free.len(), free.len(), |i, j| m[(free[i], free[j])]);
            let b = nalgebra::DVector::from_fn(free.len(), |i, _| {
                let fixed: f64 = (0..n)
                    .filter(|&j| kind[j] != 0)
                    .map(|j| m[(free[i], j)] * (x[j] - c[j]))
                    .sum();
                let own: f64 = free.iter().map(|&j| m[(free[i], j)] * c[j]).sum();
                own - fixed
            });
            let y = a.lu().solve(&b).unwrap();
            free.iter().zip(y.iter()).for_each(|(&i, v)| x[i] = *v);
        }
        if (0..n).all(|i| x[i] >= lo[i] - 1e-12 && x[i] <= hi[i] + 1e-12) && value(&x) < best.0 {
            best = (value(&x), x);
        }
    }
    best
}

#[test]
fn bounded_quadratics_against_all_active_sets() {
    let mut draws = Draws(11);
    for round in 0..60 {
        let n = 1 + round % 6;
        let raw = nalgebra::DMatrix::from_vec(n, n, draws.vector(n * n));
        let scale = 10f64.powf(2.0 * draws.next());
        let m = scale * (&raw.transpose() * &raw + 0.05 * nalgebra::DMatrix::identity(n, n));
        let c: Vec<f64> = draws.vector(n).iter().map(|v| 3.0 * v).collect();
        let lo: Vec<f64> = (0..n)
            .map(|_| {
                if draws.next() > 0.6 {
                    f64::NEG_INFINITY
                } else {
                    -0.5 + draws.next()
                }
            })
            .collect();
        let hi: Vec<f64> = lo
            .iter()
            .map(|l| {
                if draws.next() > 0.6 {
                    f64::INFINITY
                } else {
                    l.max(-1.0) + 0.1 + draws.next().abs()
                }
            })
            .collect();
        let expected = best_of_all_active_sets(&m, &c, &lo, &hi);
        let (mm, cc) = (m.clone(), c.clone());
        let make = move || {
            let (m, c) = (mm.clone(), cc.clone());
            Fun::new(n, move |x: &[Jet]| {
                let e: Vec<Jet> = x.iter().zip(&c).map(|(x, c)| x + (-c)).collect();
                let mut sum = Jet::constant(x[0].g.len(), 0.0);
                for i in 0..n {
                    for j in 0..n {
                        sum = &sum + &(0.5 * m[(i, j)] * &(&e[i] * &e[j]));
                    }
                }
                sum
            })
        };
        for name in ["newton_tr", "lbfgs"] {
            for convex in [true, false] {
                for products in [false, true] {
                    let mut f = make().bounded(lo.clone(), hi.clone());
                    f.convex = convex;
                    if products {
                        f = f.products_only();
                    }
                    let r = solve_to(name, &mut f, vec![0.3; n], 1e-9, 400);
                    let success = matches!(r.claim, Status::Optimal | Status::LocallyOptimal);
                    assert!(success, "round {round} {name}: {} ({})", r.claim, r.reason.why);
                    assert_eq!(convex, r.claim == Status::Optimal);
                    for i in 0..n {
                        let x = r.point.values[i];
                        assert!(x >= lo[i] && x <= hi[i], "round {round} {name}: out of bounds");
                        let error = (x - expected.1[i]).abs();
                        assert!(
                            error <= 1e-6,
                            "round {round} {name}: error {error:e} after {}",
                            r.iterations
                        );
                    }
                }
            }
        }
    }
}

#[test]
fn hock_schittkowski_with_bounds_only() {
    let Some(set) = json("hs", "hs.json") else { return };
    let mut seen = 0;
    for p in set["problems"].as_array().unwrap() {
        if !p["constraints"].as_array().unwrap().is_empty() {
            continue;
        }
        seen += 1;
        let n = p["n"].as_u64().unwrap() as usize;
        let expr = Arc::new(Expr::parse(p["objective"].as_str().unwrap()));
        let numbers = |key: &str, missing: f64| -> Vec<f64> {
            p[key]
                .as_array()
                .unwrap()
                .iter()
                .map(|v| v.as_f64().unwrap_or(missing))
                .collect()
        };
        let (lo, hi, x0) = (
            numbers("lb", f64::NEG_INFINITY),
            numbers("ub", f64::INFINITY),
            numbers("x0", f64::NAN),
        );
        for method in ["newton_tr", "lbfgs"] {
            let e = expr.clone();
            let mut f = Fun::new(n, move |x: &[Jet]| e.eval(x)).bounded(lo.clone(), hi.clone());
            let r = solve_to(method, &mut f, x0.clone(), 1e-8, 2000);
            let (expected, rel) = (p["f_ref"].as_f64().unwrap(), p["rel_tol"].as_f64().unwrap());
            let known = p["local_minima_known"]
                .as_array()
                .unwrap()
                .iter()
                .filter_map(|v| v.as_f64());
            let fits = std::iter::once(expected)
                .chain(known)
                .any(|v| (r.objective - v).abs() <= rel * v.abs().max(1.0));
            eprintln!(
                "{method} {}: {} in {} steps, {} evaluations, f={:e} (reference {expected:e}), IPOPT {} steps",
                p["name"],
                r.claim,
                r.iterations,
                r.counts.total(),
                r.objective,
                p["ipopt_iters"]
            );
            assert!(
                fits,
                "{method} {}: f={:e}, {} ({})",
                p["name"], r.objective, r.claim, r.reason.why
            );
            assert_eq!(
                r.claim,
                Status::LocallyOptimal,
                "{method} {}: {}",
                p["name"],
                r.reason.why
            );
            assert!((0..n).all(|i| r.point.values[i] >= lo[i] && r.point.values[i] <= hi[i]));
        }
    }
    assert!(seen >= 8, "only {seen} problems with bounds alone");
}

#[test]
fn saddles_and_inflections_are_left() {
    // x² − y² + y⁴ from a start whose gradient points at the saddle.
    let saddle = || Fun::new(2, |x| &(&x[0].powi(2) - &x[1].powi(2)) + &x[1].powi(4));
    for method in ["newton_tr", "lbfgs"] {
        for products in [false, true] {
            let mut f = if products { saddle().products_only() } else { saddle() };
            let r = solve(method, &mut f, vec![1.0, 0.0]);
            assert_eq!(r.claim, Status::LocallyOptimal, "{method}: {}", r.reason.why);
            assert!((r.objective + 0.25).abs() < 1e-8, "{method}: {}", r.objective);
        }
        let r = solve(method, &mut Fun::new(1, |x| x[0].powi(3)), vec![1.0]);
        assert_eq!(
            r.claim,
            Status::Diverged,
            "{method} stopped at an inflection: {}",
            r.reason.why
        );
        // Without second derivatives nothing is said of curvature.
    }
    let r = solve("lbfgs", &mut saddle().first_order(), vec![1.0, 0.0]);
    assert_eq!(r.claim, Status::Stationary);
    // A bound that does not push: −x² on x ≥ 0 from 0 goes to the other end.
    let mut f = Fun::new(1, |x| -&x[0].powi(2)).bounded(vec![0.0], vec![2.0]);
    let r = solve("newton_tr", &mut f, vec![0.0]);
    assert_eq!(
        (r.claim, r.point.values[0]),
        (Status::LocallyOptimal, 2.0),
        "{}",
        r.reason.why
    );
}

#[test]
fn flat_and_singular_minima() {
    let flat = || {
        Fun::new(3, |x| {
            let mut sum = Jet::constant(x[0].g.len(), 0.0);
            for (i, xi) in x.iter().enumerate() {
                sum = &sum + &(xi + -(i as f64)).powi(4);
            }
            sum
        })
    };
    for method in ["newton_tr", "lbfgs"] {
        let r = solve(method, &mut flat(), vec![5.0, -3.0, 9.0]);
        assert_eq!(r.claim, Status::LocallyOptimal, "{method}: {}", r.reason.why);
        // A gradient 4 e³ of at most 1e-8.
        for (i, x) in r.point.values.iter().enumerate() {
            assert!((x - i as f64).abs() <= 1.4e-3, "{method}: {x}");
        }
        let r = solve(method, &mut flat().convex(), vec![5.0, -3.0, 9.0]);
        assert_eq!(r.claim, Status::Optimal);
        // A constant: every point is a minimum.
        let r = solve(
            method,
            &mut Fun::new(2, |x| Jet::constant(x[0].g.len(), 7.0)),
            vec![1.0, 2.0],
        );
        assert_eq!(
            (r.claim, r.iterations),
            (Status::LocallyOptimal, 0),
            "{method}: {}",
            r.reason.why
        );
    }
}

#[test]
fn domains_with_an_edge() {
    // Analytic centre of a polygon: not a number outside, a wall at the edge.
    let barrier = || {
        Fun::new(2, |x| {
            let rows = [[1.0, 0.0], [-1.0, 0.3], [0.2, 1.0], [0.1, -1.0], [1.0, 1.0]];
            let mut sum = Jet::constant(x[0].g.len(), 0.0);
            for r in rows {
                let slack = &(-&(&(r[0] * &x[0]) + &(r[1] * &x[1]))) + 1.0;
                sum = &sum - &slack.ln();
            }
            sum
        })
    };
    for method in ["newton_tr", "lbfgs"] {
        let r = solve(method, &mut barrier(), vec![0.999, 0.0005]);
        assert_eq!(r.claim, Status::LocallyOptimal, "{method}: {}", r.reason.why);
        assert!(barrier().jet(&r.point.values).g.iter().all(|g| g.abs() < 1e-7));
        let refused = Run::new(
            methods::default(methods::find(method).unwrap()),
            &mut barrier(),
            &Point::plain(vec![3.0, 0.0]),
            options(1e-8, 10),
        );
        assert!(matches!(refused.err(), Some(Refusal::Fault(Fault::NotFinite { .. }))));
    }
}

#[test]
fn the_rounding_floor_is_named() {
    // Values carry an offset that swallows everything below 1e-8: the gradient still gets to the tolerance.
    let offset = || Fun::new(2, |x| &(&(&x[0] + -1.0).powi(2) + &(&x[1] + 0.5).powi(4)) + 1e8);
    for method in ["newton_tr", "lbfgs"] {
        let r = solve(method, &mut offset(), vec![3.0, 2.0]);
        assert!(
            matches!(r.claim, Status::LocallyOptimal | Status::PrecisionLimited),
            "{method}: {} {}",
            r.claim,
            r.reason.why
        );
        assert!((r.point.values[0] - 1.0).abs() < 1e-4, "{method}: {:?}", r.point.values);
        // Values rounded to a grid, as a table or a printed number would be.
        let mut stairs = Fun::new(2, |x| {
            let y = &(&x[0] + -1.0).powi(2) + &(3.0 * &(&x[1] + 0.5).powi(2));
            let v = (y.v * 1e8).round() / 1e8;
            Jet { v, ..y }
        });
        let r = solve(method, &mut stairs, vec![3.0, 2.0]);
        assert!(
            matches!(r.claim, Status::LocallyOptimal | Status::PrecisionLimited),
            "{method}: {}",
            r.reason.why
        );
        assert!((r.point.values[0] - 1.0).abs() < 2e-4, "{method}: {:?}", r.point.values);
        // A tolerance that rounding forbids.
        let mut steep = Fun::new(2, |x| {
            let a = 1e5 * &(&(&(0.1 * &x[0]) + &(0.3 * &x[1])) + -0.7);
            let b = &a + &(3e4 * &(&x[1] + -1.0 / 3.0));
            // No point makes all three vanish, so the gradient is a sum of large terms that cancel.
            let c = 1e5 * &(&(&(0.7 * &x[0]) + &(-0.2 * &x[1])) + -1.1);
            &(&a.powi(2) + &b.powi(2)) + &c.powi(2)
        });
        let r = solve_to(method, &mut steep, vec![1.0, 1.0], 1e-15, 3000);
        assert!(
            r.claim == Status::PrecisionLimited && r.reason.floor.is_some_and(|f| f < 1e-3),
            "{method}: {} {} s={:e}",
            r.claim,
            r.reason.why,
            r.measures.stationarity
        );
    }
}

#[test]
fn nothing_below_is_called_diverged() {
    for method in ["newton_tr", "lbfgs"] {
        let r = solve(method, &mut Fun::new(2, |x| &x[0] + &(1e-3 * &x[1])), vec![0.0, 0.0]);
        assert_eq!(r.claim, Status::Diverged, "{method}: {}", r.reason.why);
        let r = solve(method, &mut Fun::new(1, |x| -&x[0].powi(2)), vec![1.0]);
        assert_eq!(r.claim, Status::Diverged, "{method}: {}", r.reason.why);
    }
}

#[test]
fn chained_rosenbrock_1000() {
    // IPOPT takes 1479 steps from this start, POUNCE 1476.
    let x0 = Chained::new(1000).start();
    let r = solve_to("newton_tr", &mut Chained::new(1000), x0.clone(), 1e-8, 4000);
    eprintln!(
        "chained 1000: {} in {} steps, {:?}, f={:e}",
        r.claim, r.iterations, r.counts, r.objective
    );
    assert_eq!(r.claim, Status::LocallyOptimal, "{}", r.reason.why);
    assert!(r.iterations <= 1600, "{} steps", r.iterations);
    let mut p = Chained::new(300);
    p.hessians = false;
    let r = solve_to("newton_tr", &mut p, x0[..300].to_vec(), 1e-8, 4000);
    eprintln!(
        "chained 300 by products: {} in {} steps, {:?}, f={:e}",
        r.claim, r.iterations, r.counts, r.objective
    );
    assert_eq!(r.claim, Status::LocallyOptimal, "{}", r.reason.why);
    let r = solve_to("lbfgs", &mut Chained::new(300), x0[..300].to_vec(), 1e-8, 20000);
    eprintln!(
        "chained 300 lbfgs: {} in {} steps, {:?}, f={:e}",
        r.claim, r.iterations, r.counts, r.objective
    );
    assert_eq!(r.claim, Status::LocallyOptimal, "{}", r.reason.why);
}

/// Eigenvalues of a small symmetric matrix, smallest first.
fn least_eigenvalue(h: &[f64], n: usize, keep: &[usize]) -> f64 {
    if keep.is_empty() {
        return 0.0;
    }
    nalgebra::DMatrix::<f64>::from_fn(keep.len(), keep.len(), |i, j| h[keep[i] * n + keep[j]])
        .symmetric_eigenvalues()
        .min()
}

#[test]
fn claims_on_random_indefinite_quartics_hold() {
    let mut draws = Draws(77);
    let mut claims = std::collections::BTreeMap::new();
    for round in 0..150 {
        let n = 1 + round % 7;
        let q = draws.vector(n * n);
        let b = draws.vector(n);
        let scale: Vec<f64> = (0..n).map(|_| 10f64.powf(2.0 * draws.next())).collect();
        let bounded = round % 3 != 0;
        let lo: Vec<f64> = (0..n)
            .map(|_| {
                if draws.next() > 0.3 {
                    f64::NEG_INFINITY
                } else {
                    -0.6 + 0.5 * draws.next()
                }
            })
            .collect();
        let hi: Vec<f64> = lo
            .iter()
            .map(|l| {
                if draws.next() > 0.3 {
                    f64::INFINITY
                } else {
                    l.max(-1.0) + 0.2 + draws.next().abs()
                }
            })
            .collect();
        let start: Vec<f64> = draws.vector(n).iter().map(|v| 3.0 * v).collect();
        let make = || {
            let (q, b, scale) = (q.clone(), b.clone(), scale.clone());
            let f = Fun::new(n, move |x: &[Jet]| {
                let y: Vec<Jet> = x.iter().zip(&scale).map(|(x, s)| *s * x).collect();
                let mut sum = Jet::constant(x[0].g.len(), 0.0);
                for i in 0..n {
                    sum = &(&sum + &(0.25 * &y[i].powi(4))) + &(b[i] * &y[i]);
                    for j in 0..n {
                        sum = &sum + &(q[i * n + j] * &(&y[i] * &y[j]));
                    }
                }
                sum
            });
            if bounded { f.bounded(lo.clone(), hi.clone()) } else { f }
        };
        for name in ["newton_tr", "lbfgs"] {
            for products in [false, true] {
                let mut f = if products { make().products_only() } else { make() };
                let r = solve_to(name, &mut f, start.clone(), 1e-8, 3000);
                *claims.entry(format!("{name} {}", r.claim)).or_insert(0) += 1;
                let x = &r.point.values;
                let jet = make().jet(x);
                let context = format!(
                    "round {round} {name} products {products}: {} ({})",
                    r.claim, r.reason.why
                );
                if bounded {
                    assert!((0..n).all(|i| x[i] >= lo[i] && x[i] <= hi[i]), "{context}");
                }
                if r.claim == Status::LocallyOptimal {
                    let size = jet.g.iter().fold(0.0f64, |m, g| m.max(g.abs()));
                    let mut free = vec![];
                    for i in 0..n {
                        let moved = if bounded {
                            (x[i] - jet.g[i]).clamp(lo[i], hi[i]) - x[i]
                        } else {
                            -jet.g[i]
                        };
                        // In a narrow box a slope counts in the box's own width.
                        let unit = if bounded { (hi[i] - lo[i]).min(1.0) } else { 1.0 };
                        let moved = moved.abs() * unit;
                        assert!(moved <= 1e-8 * (1.0 + size), "{context}: stationarity {moved:e}");
                        if !bounded || x[i] > lo[i] && x[i] < hi[i] {
                            free.push(i);
                        }
                    }
                    let least = least_eigenvalue(&jet.h, n, &free);
                    let largest = jet.h.iter().fold(0.0f64, |m, h| m.max(h.abs()));
                    assert!(least >= -1e-7 * largest, "{context}: curvature {least:e}");
                } else {
                    assert_eq!(r.claim, Status::PrecisionLimited, "{context}");
                    assert!(r.measures.stationarity <= 1e-6 * r.measures.gradient_scale, "{context}");
                }
            }
        }
    }
    eprintln!("{claims:?}");
    assert!(claims["newton_tr locally optimal"] >= 295 && claims["lbfgs locally optimal"] >= 280);
}

/// A small program of a class with its solution; none for a class that has no form here.
fn by_form(class: Class) -> Option<(FormOracle, f64, Vec<f64>)> {
    let dense = |rows: usize, cols: usize, data: &[f64]| {
        Csr::from_dense(&Dense {
            rows,
            cols,
            data: data.to_vec(),
        })
    };
    let minus = dense(2, 2, &[-1.0, 0.0, 0.0, -1.0]);
    let (p, q, a, b, cones, value, x) = match class {
        // x + 2y on the simplex x + y = 1, x, y >= 0.
        Class::Linear => {
            let a = dense(3, 2, &[1.0, 1.0, -1.0, 0.0, 0.0, -1.0]);
            let cones = vec![Cone::Zero(1), Cone::Nonneg(2)];
            (
                Csr::zeros(2, 2),
                vec![1.0, 2.0],
                a,
                vec![1.0, 0.0, 0.0],
                cones,
                1.0,
                vec![1.0, 0.0],
            )
        }
        // ½ (x² + y²) − 2x + y with x, y >= 0.
        Class::ConvexQuadratic => {
            let cones = vec![Cone::Nonneg(2)];
            (
                Csr::identity(2),
                vec![-2.0, 1.0],
                minus,
                vec![0.0; 2],
                cones,
                -2.0,
                vec![2.0, 0.0],
            )
        }
        // 3x + 4y in the unit disc.
        Class::SecondOrderCone => {
            let a = dense(3, 2, &[0.0, 0.0, -1.0, 0.0, 0.0, -1.0]);
            let cones = vec![Cone::SecondOrder(3)];
            (
                Csr::zeros(2, 2),
                vec![3.0, 4.0],
                a,
                vec![1.0, 0.0, 0.0],
                cones,
                -5.0,
                vec![-0.6, -0.8],
            )
        }
        // y with exp(x) <= y and x >= 1.
        Class::Conic => {
            let a = dense(4, 2, &[-1.0, 0.0, 0.0, 0.0, 0.0, -1.0, -1.0, 0.0]);
            let cones = vec![Cone::Exp, Cone::Nonneg(1)];
            let e = std::f64::consts::E;
            (
                Csr::zeros(2, 2),
                vec![0.0, 1.0],
                a,
                vec![0.0, 1.0, 0.0, -1.0],
                cones,
                e,
                vec![1.0, e],
            )
        }
        // x + y with [x, 1; 1, y] positive semidefinite; the triangle by columns, off the diagonal times √2.
        Class::Semidefinite => {
            let a = dense(3, 2, &[-1.0, 0.0, 0.0, 0.0, 0.0, -1.0]);
            let cones = vec![Cone::Semidefinite(2)];
            (
                Csr::zeros(2, 2),
                vec![1.0, 1.0],
                a,
                vec![0.0, std::f64::consts::SQRT_2, 0.0],
                cones,
                2.0,
                vec![1.0, 1.0],
            )
        }
        _ => return None,
    };
    let form = Form::Conic {
        form: ConicForm { p, q, a, b, cones },
        constant: 0.0,
    };
    Some((FormOracle { class, form }, value, x))
}

#[test]
fn foreign_solvers_run_whole_and_say_so() {
    let card = methods::find("clarabel").unwrap();
    assert_eq!(card.granularity, Granularity::Whole);
    let start = Point::plain(vec![0.0; 2]);
    for &class in card.accepts {
        let (mut problem, value, x) = by_form(class).expect("every class of the card has a sample");
        let run = Run::new(methods::default(card), &mut problem, &start, options(1e-9, 10)).unwrap();
        let saved: Saved = serde_json::from_str(&serde_json::to_string(&run.save()).unwrap()).unwrap();
        let r = run.finish(&mut problem, &no_clock);
        assert_eq!(r.claim, Status::Optimal, "{}", class.word());
        assert!(r.whole && r.iterations == 1 && r.measures.gap < 1e-8);
        assert!((r.objective - value).abs() < 1e-7, "{}: {}", class.word(), r.objective);
        assert!(
            r.point.values.iter().zip(&x).all(|(a, b)| (a - b).abs() < 1e-5),
            "{:?}",
            r.point.values
        );
        // From its start it is resumed to the same bits; in the middle it cannot be saved.
        let again = Run::resume(methods::default(card), &problem, saved)
            .unwrap()
            .finish(&mut problem, &no_clock);
        assert!(again == r);
        // Interrupt and clock are polled inside.
        let mut run = Run::new(methods::default(card), &mut problem, &start, options(1e-9, 10)).unwrap();
        let calls = std::cell::Cell::new(0.0);
        let clock = || {
            calls.set(calls.get() + 1.0);
            calls.get()
        };
        run.extend(ravine::solve::Budget {
            seconds: Some(5.0),
            ..Default::default()
        });
        assert_eq!(
            run.advance(&mut problem, 1, &clock).map(|r| r.status),
            Some(Status::TimeLimit)
        );
        // What the solver had by then is kept.
        assert!(run.point().values.iter().all(|v| v.is_finite()));
    }
    // A problem without the form, and two without a solution.
    let (mut none, ..) = by_form(Class::Linear).unwrap();
    none.form = Form::LeastSquares {
        a: Matrix::Sparse(Csr::identity(2)),
        b: vec![1.0, 2.0],
    };
    assert!(matches!(
        Run::new(methods::default(card), &mut none, &start, options(1e-9, 10)).err(),
        Some(Refusal::Needs(_))
    ));
    for (first_row, b, q, expected) in [
        // x + y <= −1 with x, y >= 0.
        ([1.0, 1.0], vec![-1.0, 0.0, 0.0], vec![1.0, 1.0], Status::Infeasible),
        // −x − y with x + y >= 0, x, y >= 0.
        ([-1.0, -1.0], vec![0.0; 3], vec![-1.0, -1.0], Status::Unbounded),
    ] {
        let rows = [first_row[0], first_row[1], -1.0, 0.0, 0.0, -1.0];
        let a = Csr::from_dense(&Dense {
            rows: 3,
            cols: 2,
            data: rows.to_vec(),
        });
        let mut problem = FormOracle {
            class: Class::Linear,
            form: Form::Conic {
                form: ConicForm {
                    p: Csr::zeros(2, 2),
                    q,
                    a,
                    b,
                    cones: vec![Cone::Nonneg(3)],
                },
                constant: 0.0,
            },
        };
        let r = Run::new(methods::default(card), &mut problem, &start, options(1e-9, 10))
            .unwrap()
            .finish(&mut problem, &no_clock);
        assert_eq!(r.claim, expected);
    }
}

#[test]
fn direct_solves_with_its_error_and_rank() {
    let card = methods::find("direct").unwrap();
    let solve = |class: Class, rows: usize, cols: usize, data: &[f64], b: &[f64]| {
        let a = Dense {
            rows,
            cols,
            data: data.to_vec(),
        };
        for sparse in [false, true] {
            let a = match sparse {
                true => Matrix::Sparse(Csr::from_dense(&a)),
                false => Matrix::Dense(a.clone()),
            };
            let mut problem = FormOracle {
                class,
                form: Form::LeastSquares { a, b: b.to_vec() },
            };
            let run = Run::new(
                methods::default(card),
                &mut problem,
                &Point::plain(vec![0.0; cols]),
                options(1e-8, 5),
            );
            let r = run.unwrap().finish(&mut problem, &no_clock);
            if sparse {
                return r;
            }
            assert!(r.whole && r.iterations == 1);
        }
        unreachable!()
    };
    // A line through (0, 1), (1, 3), (2, 4): 7/6 + 3/2 t, residual sum of squares 1/6.
    let line = [1.0, 0.0, 1.0, 1.0, 1.0, 2.0];
    let r = solve(Class::LeastSquares, 3, 2, &line, &[1.0, 3.0, 4.0]);
    assert_eq!(r.claim, Status::Optimal);
    assert!((r.point.values[0] - 7.0 / 6.0).abs() < 1e-14 && (r.point.values[1] - 1.5).abs() < 1e-14);
    assert!((r.objective - 1.0 / 6.0).abs() < 1e-14);
    // A Hilbert system of condition 1.5e10 for ones.
    let hilbert: Vec<f64> = (0..8)
        .flat_map(|i| (0..8).map(move |j| 1.0 / f64::from(i + j + 1)))
        .collect();
    let b: Vec<f64> = hilbert.chunks(8).map(|row| row.iter().sum()).collect();
    let r = solve(Class::LinearSystem, 8, 8, &hilbert, &b);
    assert_eq!(r.claim, Status::Optimal, "{}", r.reason.why);
    let error = r.point.values.iter().map(|v| (v - 1.0).abs()).fold(0.0, f64::max);
    assert!(error < 1e-5, "{error:e}");
    let condition = r.trace.column("condition").unwrap()[1];
    assert!((1e10..1e11).contains(&condition), "{condition:e}");
    // Singular and consistent, singular and not.
    let singular = [1.0, 2.0, 2.0, 4.0];
    let r = solve(Class::LinearSystem, 2, 2, &singular, &[5.0, 10.0]);
    assert_eq!(r.claim, Status::Optimal, "{}", r.reason.why);
    assert!((r.point.values[0] - 1.0).abs() < 1e-12 && (r.point.values[1] - 2.0).abs() < 1e-12);
    assert_eq!(
        solve(Class::LinearSystem, 2, 2, &singular, &[5.0, 11.0]).claim,
        Status::Infeasible
    );
}

#[test]
fn degenerate_sizes() {
    for method in ["newton_tr", "lbfgs"] {
        let mut none = Fun::new(0, |_| Jet::constant(0, 3.0));
        let r = solve(method, &mut none, vec![]);
        assert_eq!(
            (r.claim, r.objective, r.iterations),
            (Status::LocallyOptimal, 3.0, 0),
            "{method}: {}",
            r.reason.why
        );
        // Every variable fixed by its bounds.
        let mut fixed = rosenbrock().bounded(vec![2.0, 3.0], vec![2.0, 3.0]);
        let r = solve(method, &mut fixed, vec![0.0, 0.0]);
        assert_eq!(
            (r.claim, r.objective),
            (Status::LocallyOptimal, 101.0),
            "{method}: {}",
            r.reason.why
        );
        assert_eq!(r.point.values, [2.0, 3.0]);
        assert_eq!(r.multipliers.len(), 2);
        let mut crossed = rosenbrock().bounded(vec![2.0, 3.0], vec![1.0, 3.0]);
        let start = Point::plain(vec![0.0; 2]);
        let refused = Run::new(
            methods::default(methods::find(method).unwrap()),
            &mut crossed,
            &start,
            options(1e-8, 9),
        );
        assert!(matches!(refused.err(), Some(Refusal::Bounds(_))));
    }
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
