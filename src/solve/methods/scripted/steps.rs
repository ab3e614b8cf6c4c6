//! One step of a script: run, looked at, taken over.
//!
//! Invariant: a step that fails, or from which none could follow, is not taken over.

use super::super::super::draws::Purpose;
use super::super::super::method::{Fault, StepCx};
use super::super::super::oracle::{Counts, Oracle};
use super::super::super::state::State;
use super::super::super::stop::{Reason, Status};
use super::super::super::vector;
use super::ops::Draw;
use super::{FAR, Frame, OWN_RULE, Scripted, Woven};
use crate::ir::script::StateKind;

fn stopped() -> Reason {
    Reason::new(Status::Feasible, OWN_RULE)
}

impl Scripted {
    /// Is everything finite that the next step would start from? Names what is not.
    fn usable(&self, f: &Frame, step: u64) -> Result<(), Fault> {
        for g in &self.script.guards {
            let v = f.regs[g.reg][0];
            if !(v >= 0.0 && v.is_finite()) {
                return Err(Fault::Numerical(format!(
                    "{} is {v}, and a schedule gives a number of at least 0",
                    g.what
                )));
            }
        }
        if let Some(r) = self.finite
            && !f.regs[r][0].is_finite()
        {
            return Err(Fault::Numerical("a gradient is not finite".into()));
        }
        let change = f.regs[self.script.change][0];
        if change.is_finite() && change < FAR {
            return Ok(());
        }
        let from = self
            .script
            .commits
            .iter()
            .find(|c| c.to == self.script.x)
            .map_or(self.script.x, |c| c.from);
        let at = vector::first_not_finite(&f.regs[from]);
        Err(Fault::Diverged(match at {
            Some(i) => {
                let lost = self.lost(f).map_or(String::new(), |l| format!(", behind `{l}`"));
                format!(
                    "step {step} of `{}` makes `{}` {}: `{}`{lost}",
                    self.script.name,
                    self.script.coordinate(i),
                    f.regs[from][i],
                    self.script.moved_by(Some(i))
                )
            }
            None => format!(
                "step {step} of `{}` moves the point by {change:.1e}: `{}`",
                self.script.name,
                self.script.moved_by(None)
            ),
        }))
    }

    /// The first line of the step that makes a state no number which was one before.
    fn lost(&self, f: &Frame) -> Option<&str> {
        let nan = |r: usize| f.regs[r].iter().any(|v| v.is_nan());
        let turned = self.script.states.iter().filter(|s| {
            let new = self.script.commits.iter().find(|c| c.to == s.reg);
            new.is_some_and(|c| nan(c.from) && !nan(s.reg))
        });
        // A state of a block is named with it.
        let begins: Vec<String> = turned
            .filter_map(|s| Some(format!("{} <- ", s.name.split('.').next()?)))
            .collect();
        let line = |text: &str| begins.iter().any(|b| text.starts_with(b.as_str()));
        let lines = self.script.lines.iter().filter(|(_, text)| line(text));
        lines.min_by_key(|(at, _)| at.start).map(|(_, text)| text.as_str())
    }

    /// Takes the new values over; answers the reason to end, if the step asks for that.
    fn commit(&self, f: &mut Frame, state: &mut State) -> (Option<Reason>, bool) {
        for (k, (_, r)) in self.script.records.iter().enumerate() {
            state.records[k] = f.regs[*r][0];
        }
        let stop = self.stops(f);
        let restart = self.script.restarts.iter().any(|r| f.regs[*r][0] != 0.0);
        state.measures.change = f.regs[self.script.change][0];
        for c in &self.script.commits {
            f.regs.swap(c.to, c.from);
        }
        for (state, at, first) in &f.pending {
            let spec = &self.script.states[*state];
            if let StateKind::Table(_, n) = spec.kind {
                f.regs[spec.reg][at * n..(at + 1) * n].copy_from_slice(&f.written[*first..first + n]);
            }
        }
        f.pending.clear();
        let reason = stop.then(stopped);
        (reason, restart)
    }

    /// Does one of its own rules end the run?
    fn stops(&self, f: &Frame) -> bool {
        self.script.stops.iter().any(|(r, _)| f.regs[*r][0] != 0.0)
    }

    /// The states as the definition begins them, from the point in the frame.
    pub(super) fn begin(
        &self,
        problem: &mut dyn Oracle,
        f: &mut Frame,
        state: &mut State,
        cx: &Draw<'_>,
    ) -> Result<(), Fault> {
        for s in &mut state.slots {
            if let Some(h) = s.history_mut() {
                h.clear();
            }
        }
        self.run(problem, f, state, cx)?;
        for c in &self.script.first {
            let mut v = std::mem::take(&mut f.regs[c.to]);
            v.clone_from(&f.regs[c.from]);
            f.regs[c.to] = v;
        }
        Ok(())
    }

    /// One step in place.
    pub(super) fn take(
        &self,
        problem: &mut dyn Oracle,
        f: &mut Frame,
        state: &mut State,
        cx: &StepCx<'_>,
    ) -> Result<Option<Reason>, Fault> {
        if let Some(w) = &mut f.woven {
            let Woven { method, frame } = &mut **w;
            method.exchange(frame, state);
            let r = method.advance(problem, frame, state, cx);
            method.exchange(frame, state);
            if r.is_ok() {
                problem.tally(&Counts {
                    gradients: 1,
                    ..Counts::default()
                });
                return r;
            }
        }
        self.exchange(f, state);
        let r = self.advance(problem, f, state, cx);
        self.exchange(f, state);
        r
    }

    /// One step in place, on a state whose arrays the frame holds.
    fn advance(
        &self,
        problem: &mut dyn Oracle,
        f: &mut Frame,
        state: &mut State,
        cx: &StepCx<'_>,
    ) -> Result<Option<Reason>, Fault> {
        let step = cx.step + 1;
        let draw = Draw::new(cx.seed, Purpose::Step, step, Some(cx));
        let taken = self.run(problem, f, state, &draw).and_then(|()| self.usable(f, step));
        match taken {
            // A rule that held further up ends the run where it stands, whatever the lines behind it came to.
            Err(fault) if !matches!(fault, Fault::Interrupted) && self.stops(f) => return Ok(Some(stopped())),
            taken => taken?,
        }
        let (reason, restart) = self.commit(f, state);
        state.measures.objective = f64::NAN;
        state.measures.stationarity = f64::NAN;
        if restart && reason.is_none() {
            let init = draw.anew();
            if let Some(r) = self.script.since {
                f.regs[r][0] = step as f64;
            }
            self.begin(problem, f, state, &init)?;
            if let Some(r) = self.script.since {
                f.regs[r][0] = step as f64;
            }
        }
        Ok(reason)
    }
}
