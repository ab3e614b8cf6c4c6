//! Solving: methods, their states and runs, oracles, status words.
//!
//! Invariant: a method proposes, the run commits; no clock below the budget, no terminal, no syntax tree.

mod batches;
pub mod bits;
mod board;
pub mod choose;
mod classify;
pub mod compiled;
pub mod complex_step;
pub mod composite;
mod conclude;
pub mod conflict;
pub mod corners;
pub mod course;
pub mod dependent;
pub mod diagnose;
pub mod differences;
pub mod draws;
pub mod errors;
pub mod examine;
pub mod method;
pub mod methods;
pub mod model;
pub mod oracle;
pub mod polish;
mod products;
pub mod ranges;
mod rescale;
pub mod run;
pub mod smooth;
pub mod state;
pub mod stop;
pub mod trace;
pub mod user_map;
pub mod vector;
pub mod vectors;
pub mod verify;

pub use method::{Class, Fault, Granularity, Method, MethodCard, Needs, Outcome, Refusal, Seed, StepCx};
pub use oracle::{Bounds, Counts, Form, FormOracle, Oracle};
pub use run::{Finished, Run, Saved, Watch};
pub use state::{Point, PointLayout, Slot, State};
pub use stop::{Budget, Reason, Status, Stop};
pub use trace::Trace;
