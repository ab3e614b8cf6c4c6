//! A solve on a thread of its own: the session waits, shows progress, and goes on without it where it will not stop.
//!
//! Invariant: the thread owns the compiled problem; once detached, nothing it does reaches the session any more.

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::{self, RecvTimeoutError};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread::JoinHandle;
use std::time::Duration;

use crate::base::Tensor;
use crate::exec::Fault;
use crate::ir::InputId;
use crate::solve::Watch;
use crate::solve::compiled::Compiled;
use crate::solve::course::{Around, Node, Quota, Standing};
use crate::solve::state::Measures;

use super::runs::Condition;

/// How often the session looks up while it waits.
const TICK: Duration = Duration::from_millis(5);
/// Ticks that an interrupted solve has to come to an end of its own: two steps of its own bound, well below what a user
/// notices.
const GRACE: u32 = 14;
/// Ticks before the first word on progress, and between two words.
const FIRST_WORD: u32 = 100;
const NEXT_WORD: u32 = 50;
/// Stack of the thread.
const STACK: usize = 64 << 20;

/// Everything a solve needs.
pub(super) struct Job {
    pub forms: Vec<Compiled>,
    pub course: Node,
    pub quota: Quota,
    /// Where it is to stop on its way.
    pub pause: Option<Pause>,
    pub params: Vec<(InputId, Arc<Tensor>)>,
    pub tolerance: f64,
    pub deadline: Option<f64>,
    pub now: fn() -> f64,
}

/// Where a run stops on its way: on a condition, or after a time. Both are looked at between steps.
pub(super) struct Pause {
    pub condition: Option<Condition>,
    pub until: Option<f64>,
}

impl Pause {
    /// Why it stops here, if it does.
    fn reason(&mut self, course: &Node, around: &mut Around<'_>) -> Option<String> {
        if let Some(c) = &mut self.condition
            && c.holds(course, around)
        {
            return Some(format!("stopped where `{}`", c.text()));
        }
        let late = self.until.is_some_and(|t| (around.now)() >= t);
        late.then(|| "stopped after the time".to_string())
    }
}

/// What comes back: the compiled forms, the course as it stands, and what it came to.
pub(super) struct Done {
    pub forms: Vec<Compiled>,
    pub course: Node,
    pub result: Result<Option<Standing>, (usize, Fault)>,
    /// Why it stopped on its way.
    pub paused: Option<String>,
}

/// The last committed state of a run: step, measures, coordinates.
pub(super) type Good = (u64, Measures, Vec<f64>);

/// How the wait for a solve ended.
pub(super) enum Outcome {
    /// The solve ended.
    Ended(Box<Done>),
    /// It was interrupted and did not stop in time; what it had, and its thread.
    Detached(Option<Good>, Detached),
}

/// A solve that runs on without the session.
pub(super) struct Detached {
    thread: Option<JoinHandle<()>>,
}

impl Detached {
    pub fn is_running(&self) -> bool {
        self.thread.as_ref().is_some_and(|t| !t.is_finished())
    }
}

impl Job {
    fn run(mut self, watch: Arc<Watch>) -> Box<Done> {
        let now = self.now;
        let mut around = Around {
            forms: &mut self.forms,
            params: &self.params,
            tolerance: self.tolerance,
            watch,
            now: &now,
            deadline: self.deadline,
        };
        let mut paused = None;
        let went = loop {
            let Some(pause) = &mut self.pause else {
                break self.course.advance(&mut around, &mut self.quota);
            };
            if self.quota.steps == 0 || self.course.ended() {
                break Ok(());
            }
            let before = self.course.counts().0;
            let mut one = Quota { steps: 1, ..self.quota };
            if let Err(f) = self.course.advance(&mut around, &mut one) {
                break Err(f);
            }
            let taken = self.course.counts().0 - before;
            self.quota.steps = self.quota.steps.saturating_sub(taken);
            paused = pause.reason(&self.course, &mut around);
            if paused.is_some() {
                break Ok(());
            }
        };
        let result = went.and_then(|()| self.course.standing(&mut around));
        Box::new(Done {
            forms: self.forms,
            course: self.course,
            result,
            paused,
        })
    }

    /// Solves. `word` hears of progress now and then: the last good state if there is one.
    pub fn wait(self, interrupt: &Arc<AtomicBool>, word: &mut dyn FnMut(Option<Good>)) -> Outcome {
        // A thread of a pool solves in its pool, so that the number of threads stays what was asked for.
        if rayon::current_thread_index().is_some() {
            return Outcome::Ended(self.run(Arc::new(Watch::on(interrupt.clone()))));
        }
        // A flag of its own: the session's is taken back when the next cell begins.
        let watch = Arc::new(Watch::default());
        watch.ask();
        let (send, receive) = mpsc::sync_channel(1);
        let theirs = watch.clone();
        let job = Arc::new(Mutex::new(Some(self)));
        let take = |job: &Mutex<Option<Job>>| job.lock().unwrap_or_else(PoisonError::into_inner).take();
        let given = job.clone();
        let work = move || {
            if let Some(job) = take(&given) {
                // Nobody listens to a detached solve.
                let _ = send.send(job.run(theirs));
            }
        };
        let thread = std::thread::Builder::new()
            .name("solve".into())
            .stack_size(STACK)
            .spawn(work)
            .ok();
        if thread.is_none()
            && let Some(job) = take(&job)
        {
            // The system has no thread to give: then without.
            return Outcome::Ended(job.run(Arc::new(Watch::on(interrupt.clone()))));
        }
        let (mut ticks, mut asked) = (0u32, 0u32);
        loop {
            match receive.recv_timeout(TICK) {
                Ok(done) => return Outcome::Ended(done),
                Err(RecvTimeoutError::Disconnected) => {
                    // It panicked: so does whoever waits for it.
                    if let Some(Err(panic)) = thread.map(JoinHandle::join) {
                        std::panic::resume_unwind(panic);
                    }
                    return Outcome::Detached(None, Detached { thread: None });
                }
                Err(RecvTimeoutError::Timeout) => {}
            }
            ticks += 1;
            watch.ask();
            if interrupt.load(Ordering::Relaxed) {
                watch.stop();
                asked += 1;
                if asked > GRACE {
                    let good = watch.last_good();
                    return Outcome::Detached(good, Detached { thread });
                }
            } else if ticks >= FIRST_WORD && (ticks - FIRST_WORD).is_multiple_of(NEXT_WORD) {
                word(watch.last_good());
            }
        }
    }
}
