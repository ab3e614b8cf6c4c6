//! What the channels share: the cell that runs, its interrupt, the end of the kernel.
//!
//! Invariant: an interrupt reaches the cell that runs when it comes, never a later one.

use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

use std::io::Write;

use tokio::sync::Notify;

use crate::wire::{Dropped, Parent};

/// Shared by all channels.
#[derive(Default)]
pub struct State {
    /// Set to stop the running cell; the session polls it.
    pub interrupt: Arc<AtomicBool>,
    running: Mutex<Option<Arc<Parent>>>,
    /// Messages dropped so far.
    dropped: AtomicU64,
    ended: Notify,
}

impl State {
    /// The request whose cell runs.
    pub fn running(&self) -> Option<Arc<Parent>> {
        self.running.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }
    /// A cell begins: interrupts are meant for it from now on.
    pub fn begin(&self, parent: &Arc<Parent>) {
        let mut running = self.running.lock().unwrap_or_else(PoisonError::into_inner);
        self.interrupt.store(false, Ordering::SeqCst);
        *running = Some(parent.clone());
    }
    /// The cell has ended.
    pub fn finish(&self) {
        *self.running.lock().unwrap_or_else(PoisonError::into_inner) = None;
    }
    /// Stops the cell that runs, if one does.
    pub fn stop(&self) {
        let running = self.running.lock().unwrap_or_else(PoisonError::into_inner);
        if running.is_some() {
            self.interrupt.store(true, Ordering::SeqCst);
        }
    }
    /// The kernel is to end.
    pub fn end(&self) {
        self.interrupt.store(true, Ordering::SeqCst);
        self.ended.notify_one();
    }
    /// Waits until the kernel is to end.
    pub async fn ended(&self) {
        self.ended.notified().await;
    }
    /// A message was dropped: said for the first few, then now and then.
    pub fn dropped(&self, channel: &str, why: Dropped) {
        let n = self.dropped.fetch_add(1, Ordering::Relaxed) + 1;
        if n <= 10 || n.is_power_of_two() {
            let line = format!("ravine-kernel: message {n} dropped on {channel}: {}\n", why.why());
            let _ = std::io::stderr().write_all(line.as_bytes());
        }
    }
}
