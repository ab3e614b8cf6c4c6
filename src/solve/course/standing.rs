//! What a course came to, or where it stands: one answer for all stages of its path, with the tables of its races.
//!
//! Invariant: reading it changes nothing of the course.

use super::super::board::Board;
use super::super::compiled::Answer;
use super::super::trace::Trace;
use super::leg::{Leg, Past};
use super::node::{Node, Part};
use super::{Around, Failed};

/// How a course ended, or where it stands.
pub struct Standing {
    /// The form that the answer is of.
    pub form: usize,
    /// The answer, with what all stages of its path took.
    pub answer: Answer,
    /// Tables of the races and of the starts.
    pub boards: Vec<Board>,
    /// What the stages of its path recorded, in order, each with its form.
    pub records: Vec<(usize, Trace)>,
    /// Did it end where its author wrote?
    pub as_written: bool,
}

impl Node {
    /// What it came to, or where it stands; none before its first stage began.
    pub fn standing(&self, cx: &mut Around<'_>) -> Result<Option<Standing>, Failed> {
        let mut path = vec![];
        self.path(&mut path);
        let Some((last, before)) = path.split_last() else {
            return Ok(None);
        };
        let form = last.stage.form;
        let mut a = match (&last.answer, &last.going) {
            (Some(a), _) => (**a).clone(),
            (None, Some(g)) => cx.forms[form].conclude(g, cx.tolerance).map_err(|f| (form, f))?,
            (None, None) => return Ok(None),
        };
        tell(&mut a, last, before);
        let (_, made, extra) = self.counts();
        a.counts = (made, extra);
        let earlier = before.iter().map(|l| (l.stage.form, l.record.as_deref()));
        let records = earlier
            .chain([(form, a.trace.as_ref())])
            .filter_map(|(form, t)| Some((form, t?.clone())))
            .collect();
        let mut boards = vec![];
        self.boards(cx, &mut boards, &mut a);
        Ok(Some(Standing {
            form,
            answer: a,
            boards,
            records,
            as_written: last.as_written,
        }))
    }

    /// The boards on the way to its answer, from the outside in, and what they say of how its method was chosen.
    fn boards(&self, cx: &Around<'_>, out: &mut Vec<Board>, a: &mut Answer) {
        let why = match &self.0 {
            Part::Leg(_) | Part::Then(_) | Part::Within(_) => None,
            Part::Race(r) => {
                out.push(r.board());
                r.why()
            }
            Part::Many(m) => {
                let (steps, made, _) = self.counts();
                out.push(m.board(cx.maximizes(self.first_form()), (steps, made.total(), self.work())));
                m.why()
            }
        };
        if let Some(why) = why {
            a.method_why = why;
        }
        if !matches!(self.0, Part::Many(_)) {
            self.way().iter().for_each(|n| n.boards(cx, out, a));
        }
    }
}

/// Makes the answer of the last stage that of the whole path.
fn tell(a: &mut Answer, last: &Leg, before: &[&Leg]) {
    let mut pasts: Vec<Past> = before.iter().map(|l| l.past(l.answer.as_deref())).collect();
    pasts.push(last.past(Some(a)));
    if pasts.len() > 1 {
        a.method = pasts.iter().map(|p| p.name.as_str()).collect::<Vec<_>>().join(" then ");
        a.iterations = Some(pasts.iter().map(|p| p.steps).sum());
        let line = |p: &Past| format!("{}: {} ({})", p.name, p.status, p.reason);
        a.log = pasts
            .iter()
            .flat_map(|p| std::iter::once(line(p)).chain(p.log.iter().cloned()))
            .collect();
    }
    a.warm.clone_from(&pasts[0].warm);
    let first = before.first().copied().unwrap_or(last);
    if first.entry.as_ref().is_some_and(|e| e.drawn()) {
        a.warm = (false, String::new());
    }
    a.reproducible = pasts.iter().all(|p| p.reproducible);
}
