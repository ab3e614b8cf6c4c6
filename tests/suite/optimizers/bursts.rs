//! What a step costs: no allocation, one pass over the arrays.
//!
//! Invariant: counted by the allocator and from the plans, never timed.

use std::sync::Arc;

use ravine::solve::run::Options;
use ravine::solve::{Class, Counts, Fault, Needs, Oracle, Point, Run};

use super::method;

/// `f(x) = Σ (x_i − 1)²/2`, evaluated in place.
struct Bowl(usize, Counts);

impl Oracle for Bowl {
    fn dim(&self) -> usize {
        self.0
    }
    fn class(&self) -> Class {
        Class::Smooth
    }
    fn offers(&self) -> Needs {
        Needs::FIRST_ORDER
    }
    fn value(&mut self, x: &[f64]) -> Result<f64, Fault> {
        self.1.values += 1;
        Ok(x.iter().map(|v| (v - 1.0) * (v - 1.0) / 2.0).sum())
    }
    fn gradient(&mut self, x: &[f64], g: &mut [f64]) -> Result<(), Fault> {
        self.1.gradients += 1;
        g.iter_mut().zip(x).for_each(|(g, x)| *g = x - 1.0);
        Ok(())
    }
    fn hvp(&mut self, _: &[f64], v: &[f64], out: &mut [f64]) -> Result<(), Fault> {
        self.1.products += 1;
        out.copy_from_slice(v);
        Ok(())
    }
    fn counts(&self) -> Counts {
        self.1
    }
}

#[test]
fn steps_allocate_nothing_and_pass_once() {
    for (pipeline, passes) in [
        ("gd(lr: 0.1)", 1),
        ("heavy_ball(lr: inverse_sqrt(0.1))", 1),
        ("adam(lr: 0.1)", 1),
        ("adamw(lr: cosine(0.1, period: 100)) |> ema()", 1),
        // A norm is known only when all entries have been seen.
        ("clip(max_norm: 1) |> adam(lr: 0.1)", 2),
    ] {
        let m = method(pipeline, 600).unwrap();
        assert_eq!(m.passes(), passes, "{pipeline}");
        let mut p = Bowl(600, Counts::default());
        let mut run = Run::new(
            Arc::new(m),
            &mut p,
            &Point::plain(vec![0.0; 600]),
            Options {
                trace_rows: 4,
                ..Options::default()
            },
        )
        .unwrap();
        run.advance(&mut p, 8, &|| 0.0);
        let before = super::super::cost::allocations();
        run.advance(&mut p, 92, &|| 0.0);
        let made = super::super::cost::allocations() - before;
        assert!(made <= 2, "{pipeline}: {made} allocations in steps 9 to 100");
        assert_eq!(run.steps(), 100);
        assert_eq!(run.counts().gradients, 100);
        assert_eq!(run.counts().total(), 100, "{pipeline}: nothing but gradients");
        assert_eq!(run.extra(), Counts::default());
    }
}
