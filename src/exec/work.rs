//! What one evaluation does, counted: the proxy for speed that tests can hold to.
//!
//! Invariant: counts what the plan says, independent of values and threads.

use super::plan::{Instr, Plan, Step};

/// Counts over the steps that run again when only variables change.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Work {
    /// Loops: passes over the instances.
    pub loops: usize,
    /// Kernels on lanes, all levels together.
    pub kernels: usize,
    /// Instructions that only move lanes.
    pub moves: usize,
    /// Array atoms at the root, each a pass over an array and a new array.
    pub arrays: usize,
    /// Registers of the level that has most.
    pub registers: usize,
}

impl Plan {
    /// What one evaluation does.
    pub fn work(&self) -> Work {
        let mut w = Work::default();
        for p in self.steps.iter().filter(|p| p.dynamic) {
            match &p.step {
                Step::Array { .. } => w.arrays += 1,
                Step::Loop(l) => {
                    w.loops += 1;
                    for level in &l.levels {
                        w.registers = w.registers.max(level.regs);
                        for i in &level.code {
                            match i {
                                Instr::Op1 { .. }
                                | Instr::Op2 { .. }
                                | Instr::Op3 { .. }
                                | Instr::Fused { .. }
                                | Instr::Vector(_) => w.kernels += 1,
                                Instr::Load { .. } | Instr::Repeat { .. } | Instr::IndexValue { .. } => w.moves += 1,
                                _ => {}
                            }
                        }
                    }
                }
                _ => {}
            }
        }
        w
    }
}
