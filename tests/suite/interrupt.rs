//! Interrupts: a solve of short steps stops, one in the middle of a long step is left to itself.

use std::sync::atomic::Ordering;
use std::time::{Duration, Instant};

use ravine::session::{CellEnd, Event, Session, Settings};
use ravine::solve::Status;

use super::harness::{last_solve, root};

fn clock() -> f64 {
    use std::sync::OnceLock;
    static START: OnceLock<Instant> = OnceLock::new();
    START.get_or_init(Instant::now).elapsed().as_secs_f64()
}

fn session() -> Session {
    Session::new(Settings {
        sets: Default::default(),
        threads: None,
        memory: 1 << 30,
        verbose: false,
        folder: root().join("examples"),
        now: clock,
    })
}

/// Runs a cell and interrupts it after some time: how it ended, its messages and the time from the interrupt to the end.
fn interrupted(s: &mut Session, text: &str, after: Duration) -> (CellEnd, Vec<Event>, Duration) {
    let flag = s.interrupt.clone();
    let at = std::thread::spawn(move || {
        std::thread::sleep(after);
        flag.store(true, Ordering::Relaxed);
        Instant::now()
    });
    let mut events = vec![];
    let end = s.run_cell("cell 1", text, &mut |e| events.push(e));
    let ended = Instant::now();
    let at = at.join().expect("no panic");
    (end, events, ended.saturating_duration_since(at))
}

fn codes(events: &[Event]) -> Vec<&'static str> {
    let codes = events.iter().filter_map(|e| match e {
        Event::Diagnostic(d) => Some(d.code.id()),
        _ => None,
    });
    codes.collect()
}

/// A problem whose steps are short and never end: the tolerance cannot be reached in the time.
const SLOW: &str = "param n: Int = 50000
problem valley {
  var x: Vector[n] from -1
  minimize sum(i in 1..n-1) (100*(x[i+1] - x[i]^2)^2 + (1 - x[i])^2)
}
";

#[test]
fn a_solve_of_short_steps_stops_with_its_last_good_point() {
    let mut s = session();
    let text = format!("{SLOW}s = solve valley to 1e-300 with lbfgs(memory: 3)\nprint 1\n");
    let (end, events, _) = interrupted(&mut s, &text, Duration::from_millis(700));
    assert_eq!(end, CellEnd::Interrupted);
    assert_eq!(codes(&events), ["R0805"]);
    let e = last_solve(&s).expect("an entry");
    assert_eq!(e.status, Status::Interrupted);
    assert!(e.objective.is_some_and(f64::is_finite) && e.variables.len() == 1 && e.not_reproducible);
    assert!(s.detached().is_empty(), "it stopped by itself");
    // The point is kept under its name, what came before it too, and what came after did not run.
    let mut shown = 0;
    let end = s.run_cell("cell 2", "print s.status, s.objective, norm(s.x), n", &mut |e| {
        shown += usize::from(matches!(e, Event::Shown(_)));
    });
    assert_eq!((end, shown), (CellEnd::Ok, 4));
}

#[test]
fn a_long_step_is_left_to_itself() {
    let mut s = session();
    // One factorization, which looks at no flag. It is interrupted when it has run for half a second; on a machine that is
    // done by then, a larger one is.
    let mut codes_seen = vec![];
    for n in [1600, 2400, 3600] {
        let model = format!(
            "param n: Int = {n}\nlet A = [i in 1..n, j in 1..n] (if i == j then n else sin(i*j))\nvar w: Vector[n]\nminimize sumsq(A*w - 1)\n"
        );
        assert_eq!(s.run_cell("model", &model, &mut |_| {}), CellEnd::Ok);
        let flag = s.interrupt.clone();
        let (mut events, mut asked) = (vec![], None);
        let end = s.run_cell("cell 1", "s = solve", &mut |e| {
            if matches!(e, Event::Progress(_)) && asked.is_none() {
                flag.store(true, Ordering::Relaxed);
                asked = Some(Instant::now());
            }
            events.push(e);
        });
        if !s.detached().is_empty() {
            assert_eq!(end, CellEnd::Interrupted);
            let latency = asked.expect("it was interrupted").elapsed();
            eprintln!("the cell ended {latency:?} after the interrupt");
            codes_seen = codes(&events);
            break;
        }
    }
    assert_eq!(codes_seen, ["R0805"], "nothing was detached");
    assert_eq!(last_solve(&s).map(|e| e.status), Some(Status::Interrupted));
    // Further cells run and are told of it until it has ended.
    let mut told = vec![];
    let end = s.run_cell("cell 2", "print 1 + 1", &mut |e| {
        if let Event::Log(line) = e {
            told.push(line);
        }
    });
    assert_eq!(end, CellEnd::Ok);
    assert!(
        told.len() == 1 && told[0].contains("solve 1 of the problem"),
        "{told:?}"
    );
    let e = Instant::now();
    while !s.detached().is_empty() {
        assert!(e.elapsed() < Duration::from_secs(120), "it never ends");
        std::thread::sleep(Duration::from_millis(20));
    }
    told.clear();
    s.run_cell("cell 3", "print 1", &mut |e| {
        if let Event::Log(line) = e {
            told.push(line);
        }
    });
    assert!(told.len() == 1 && told[0].contains("has ended"), "{told:?}");
    told.clear();
    s.run_cell("cell 4", "print 1", &mut |e| {
        if let Event::Log(line) = e {
            told.push(line);
        }
    });
    assert!(told.is_empty(), "{told:?}");
}

#[test]
fn progress_is_told_now_and_then_and_ends() {
    let mut s = session();
    let text = format!("{SLOW}solve valley to 1e-300 within 2 seconds with lbfgs(memory: 3)\n");
    let mut progress = vec![];
    s.run_cell("cell 1", &text, &mut |e| {
        if let Event::Progress(p) = e {
            progress.push(*p);
        }
    });
    assert!(!progress.is_empty() && progress.len() <= 9, "{}", progress.len());
    let last = progress.last().expect("some");
    assert!(last.ended && progress.iter().filter(|p| p.ended).count() == 1);
    assert!(
        progress
            .windows(2)
            .all(|w| w[0].steps <= w[1].steps && w[0].seconds <= w[1].seconds)
    );
    assert!(
        last.steps.is_some_and(|k| k > 0) && last.line().starts_with("valley: step "),
        "{}",
        last.line()
    );
    // A short solve says nothing.
    s.run_cell("cell 2", "minimize (1 - x)^2 from x = 3", &mut |e| {
        assert!(!matches!(e, Event::Progress(_)));
    });
}
