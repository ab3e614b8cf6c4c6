//! Cost counted, not timed: kernels, passes, registers and allocations of an evaluation; and fused kernels keep the bits.

#![allow(unsafe_code, reason = "a global allocator that counts")]

#[path = "../../benches/programs.rs"]
#[allow(dead_code, reason = "the benches use all of it")]
mod programs;

use std::alloc::{GlobalAlloc, Layout, System};
use std::cell::Cell;

use programs::{Objective, as_written, objective, spread};
use ravine::exec::{Lanes, Work};

thread_local! {
    static ALLOCATIONS: Cell<u64> = const { Cell::new(0) };
}

/// The system's allocator, counting by thread.
struct Counting;

// SAFETY: every call goes to the system's allocator as it came; the count has no part in it.
unsafe impl GlobalAlloc for Counting {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        let _ = ALLOCATIONS.try_with(|n| n.set(n.get() + 1));
        // SAFETY: the caller's promises are the system allocator's.
        unsafe { System.alloc(layout) }
    }
    unsafe fn dealloc(&self, p: *mut u8, layout: Layout) {
        // SAFETY: as above.
        unsafe { System.dealloc(p, layout) }
    }
}

/// Allocations of this thread so far.
pub fn allocations() -> u64 {
    ALLOCATIONS.with(Cell::get)
}

#[global_allocator]
static ALLOCATOR: Counting = Counting;

fn set(o: &mut Objective, seed: usize) {
    for (input, n) in o.vars.clone() {
        o.machine.set_point(input, &spread(n, seed + input.index()));
    }
}

/// Bits of all outputs; NaNs count as one.
fn bits(o: &mut Objective) -> Vec<u64> {
    o.machine.eval().expect("inside");
    let canonical = |v: &f64| if v.is_nan() { f64::NAN.to_bits() } else { v.to_bits() };
    let outputs = 1 + o.vars.len();
    let mut all = vec![];
    for k in 0..outputs {
        if k < o.machine.outputs() {
            all.extend(o.machine.dense(k).expect("dense").iter().map(canonical));
        }
    }
    all
}

#[test]
fn work_of_value_and_gradient_stays_small() {
    let rosenbrock = objective(programs::ROSENBROCK, true, Lanes::best())
        .machine
        .plan()
        .work();
    let limit = Work {
        loops: 1,
        kernels: 10,
        moves: 0,
        arrays: 0,
        registers: 10,
    };
    within("rosenbrock", rosenbrock, limit);
    let plain = objective(programs::ROSENBROCK, true, Lanes::Plain)
        .machine
        .plan()
        .work();
    assert!(plain.kernels > rosenbrock.kernels && plain.registers > rosenbrock.registers);
    let logistic = objective(&programs::logistic_by_index(), true, Lanes::best())
        .machine
        .plan()
        .work();
    let limit = Work {
        loops: 1,
        kernels: 6,
        moves: 0,
        arrays: 2,
        registers: 5,
    };
    within("logistic", logistic, limit);
    let loops = as_written(&programs::logistic_by_index(), true, Lanes::best())
        .machine
        .plan()
        .work();
    let limit = Work {
        loops: 1,
        kernels: 8,
        moves: 1,
        arrays: 0,
        registers: 10,
    };
    within("logistic as written", loops, limit);
    let rational = objective(programs::RATIONAL, false, Lanes::best())
        .machine
        .plan()
        .work();
    let limit = Work {
        loops: 1,
        kernels: 24,
        moves: 0,
        arrays: 0,
        registers: 20,
    };
    within("rational", rational, limit);
}

fn within(name: &str, w: Work, limit: Work) {
    let fits = w.loops <= limit.loops
        && w.kernels <= limit.kernels
        && w.moves <= limit.moves
        && w.arrays <= limit.arrays
        && w.registers <= limit.registers;
    assert!(fits, "{name}: {w:?}, at most {limit:?}");
}

#[test]
fn later_evaluations_allocate_nothing() {
    let mut o = objective(programs::ROSENBROCK, true, Lanes::best());
    let points: Vec<Vec<f64>> = (0..4).map(|k| spread(1000, k)).collect();
    let z = o.vars[0].0;
    o.machine.set_point(z, &points[0]);
    o.machine.eval().expect("finite");
    let before = ALLOCATIONS.with(Cell::get);
    assert!(before > 0, "the counter counts");
    for k in 1..100 {
        o.machine.set_point(z, &points[k % 4]);
        o.machine.eval().expect("finite");
    }
    assert_eq!(ALLOCATIONS.with(Cell::get) - before, 0);
}

/// A random expression in the names it may use.
fn expression(next: &mut impl FnMut(usize) -> usize, names: &[&str], depth: usize) -> String {
    if depth == 0 || next(6) == 0 {
        let numbers = ["2", "0.5", "4", "3.7", "1", "100", "0.25"];
        return match next(3) {
            0 => numbers[next(numbers.len())].into(),
            _ => names[next(names.len())].into(),
        };
    }
    let a = expression(next, names, depth - 1);
    match next(20) {
        0 => format!("(-({a}))"),
        1 => format!("({a})^2"),
        2 => format!("min({a}, 0.75)"),
        3 => format!("exp(0.1*({a}))"),
        12 => format!("({a})/4"),
        13 => format!("abs({a})"),
        14 => format!("sqrt(1 + ({a})^2)"),
        15 => format!("({a})^3"),
        16 => format!("floor({a})"),
        17 => format!("sign({a})"),
        k => {
            let b = expression(next, names, depth - 1);
            match k {
                4 | 5 => format!("({a} + {b})"),
                6 | 7 => format!("({a} - {b})"),
                8 | 9 => format!("({a})*({b})"),
                10 => format!("({a} - {b})^2"),
                18 => format!("(if {a} < {b} and not ({b} == 0) then {b} else {a})"),
                19 => format!("max({a}, {b})"),
                _ => format!("({a})/(2 + ({b})^2)"),
            }
        }
    }
}

/// Random programs, with sums inside sums of every length class: one instruction a row against fused kernels, and against
/// machine code where the processor takes it.
#[test]
fn fused_kernels_and_machine_code_keep_the_bits() {
    let mut state = 12345u64;
    let mut next = |n: usize| {
        state = state
            .wrapping_mul(6364136223846793005)
            .wrapping_add(1442695040888963407);
        (state >> 33) as usize % n
    };
    let mut smaller = 0;
    for round in 0..60 {
        let inner = [3, 64, 100, 300][round % 4];
        let outer = [7, 256, 300, 513][next(4)];
        let names = ["u[i]", "u[i+1]", "v[i]", "s", "k", "i"];
        let deeper = ["u[i]", "w[j]", "s", "A[i, j]", "k", "j"];
        let first = expression(&mut next, &names, 4);
        let second = expression(&mut next, &deeper, 3);
        let text = format!(
            "
param k: Real = 1.5
param A: Matrix[p, q] = [i in 1..{outer}, j in 1..{inner}] ((i*31 + j*17) % 23/11 - 1)
problem drawn {{
  var u: Vector[{outer} + 1]
  var v: Vector[{outer}]
  var w: Vector[{inner}]
  var s: Real
  minimize sum(i in 1..{outer}) (({first}) + v[i]*(sum(j in 1..{inner}) ({second})))
}}"
        );
        let mut plain = as_written(&text, true, Lanes::Plain);
        for lanes in [Lanes::Fused, Lanes::best()] {
            let mut other = as_written(&text, true, lanes);
            let (a, b) = (plain.machine.plan().work(), other.machine.plan().work());
            assert!(b.kernels <= a.kernels && b.registers <= a.registers, "{lanes:?} {text}");
            smaller += usize::from(b.kernels < a.kernels);
            for seed in 0..2 {
                set(&mut plain, seed);
                set(&mut other, seed);
                assert!(bits(&mut plain) == bits(&mut other), "{lanes:?} {text}");
            }
        }
    }
    assert!(smaller > 80, "{smaller} of 120 programs had anything to fuse");
}
