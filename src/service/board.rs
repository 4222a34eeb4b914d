//! Who in this process executes a run, or waits for something of a thread; the pulse tells them what it saw.

use std::collections::{HashMap, HashSet};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use tokio::sync::{Notify, oneshot};

use crate::domain::{RunId, ThreadId};
use crate::store::replicas::Change;

/// The process's own knowledge of its runs and waiters.
#[derive(Debug, Default)]
pub struct Board {
    entries: Mutex<Entries>,
    hint: Notify,
}

#[derive(Debug, Default)]
struct Entries {
    running: HashMap<RunId, (u64, oneshot::Sender<Stop>)>,
    waiting: HashMap<u64, Waiter>,
    next: u64,
}

#[derive(Debug)]
struct Waiter {
    thread_id: ThreadId,
    run_id: RunId,
    wake: Arc<Notify>,
}

/// Why a run shall stop before its model has answered.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Stop {
    /// Somebody asked for it.
    Cancelled,
    /// Another replica took the run over.
    Lost,
}

/// An attempt at a run that this process executes; it is forgotten when this is dropped.
#[derive(Debug)]
pub struct Running {
    board: Arc<Board>,
    run_id: RunId,
    number: u64,
    /// Resolves when the run shall stop.
    pub stopped: oneshot::Receiver<Stop>,
}

/// A place from which somebody waits; it is forgotten when this is dropped.
#[derive(Debug)]
pub struct Waiting {
    board: Arc<Board>,
    number: u64,
    wake: Arc<Notify>,
}

impl Board {
    /// Announces that this process executes a run; an earlier attempt of the same run here is stopped.
    pub fn execute(self: &Arc<Self>, run_id: RunId) -> Running {
        let (stop, stopped) = oneshot::channel();
        let mut entries = self.entries();
        let number = entries.number();
        entries.running.insert(run_id.clone(), (number, stop));
        Running { board: self.clone(), run_id, number, stopped }
    }

    /// Waits for a thread to be free for the turn of this run, or for this run to end.
    pub fn wait(self: &Arc<Self>, thread_id: ThreadId, run_id: RunId) -> Waiting {
        let wake = Arc::new(Notify::new());
        let mut entries = self.entries();
        let number = entries.number();
        entries.waiting.insert(number, Waiter { thread_id, run_id, wake: wake.clone() });
        Waiting { board: self.clone(), number, wake }
    }

    /// The runs that this process executes.
    pub fn running(&self) -> Vec<RunId> {
        self.entries().running.keys().cloned().collect()
    }

    /// The threads and runs that somebody waits for, each once.
    pub fn awaited(&self) -> (Vec<ThreadId>, Vec<RunId>) {
        let entries = self.entries();
        let threads: HashSet<&ThreadId> = entries.waiting.values().map(|waiter| &waiter.thread_id).collect();
        let runs: HashSet<&RunId> = entries.waiting.values().map(|waiter| &waiter.run_id).collect();
        (threads.into_iter().cloned().collect(), runs.into_iter().cloned().collect())
    }

    /// Passes on what was seen.
    pub fn tell(&self, change: &Change) {
        match change {
            Change::Stop(run_id) => self.stop(run_id, Stop::Cancelled),
            Change::First(run_id) | Change::Ended(run_id) => {
                let entries = self.entries();
                let concerned = entries.waiting.values().filter(|waiter| waiter.run_id == *run_id);
                concerned.for_each(|waiter| waiter.wake.notify_one());
            }
        }
    }

    /// Stops every run of `asked` that is not among `held` any more.
    pub fn lose(&self, asked: &[RunId], held: &[RunId]) {
        let held: HashSet<&RunId> = held.iter().collect();
        asked.iter().filter(|run_id| !held.contains(run_id)).for_each(|run_id| self.stop(run_id, Stop::Lost));
    }

    /// Stops every run of this process.
    pub fn stop_all(&self) {
        self.running().iter().for_each(|run_id| self.stop(run_id, Stop::Lost));
    }

    /// Wakes everyone who waits, whatever for.
    pub fn wake_all(&self) {
        self.entries().waiting.values().for_each(|waiter| waiter.wake.notify_one());
    }

    /// Says that a turn of this thread has ended, where anyone here waits for that.
    pub fn freed(&self, thread_id: &ThreadId) {
        if self.entries().waiting.values().any(|waiter| waiter.thread_id == *thread_id) {
            self.hint();
        }
    }

    /// Says that something may have changed, so that the pulse looks now and not at its next beat.
    pub fn hint(&self) {
        self.hint.notify_one();
    }

    /// Resolves at the next hint.
    pub async fn hinted(&self) {
        self.hint.notified().await;
    }

    fn stop(&self, run_id: &RunId, reason: Stop) {
        let told = self.entries().running.remove(run_id).map(|(_, stop)| stop.send(reason));
        if let Some(Err(_)) = told {
            log::debug!("run_id={run_id} The run ended by itself before it was stopped");
        }
    }

    fn entries(&self) -> MutexGuard<'_, Entries> {
        self.entries.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Entries {
    fn number(&mut self) -> u64 {
        self.next += 1;
        self.next
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        let mut entries = self.board.entries();
        if entries.running.get(&self.run_id).is_some_and(|(number, _)| *number == self.number) {
            entries.running.remove(&self.run_id);
        }
    }
}

impl Waiting {
    /// Resolves when something changed that this place waits for.
    pub async fn woken(&self) {
        self.wake.notified().await;
    }
}

impl Drop for Waiting {
    fn drop(&mut self) {
        self.board.entries().waiting.remove(&self.number);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_attempt_that_ends_leaves_the_next_one_of_its_run_alone() {
        let board: Arc<Board> = Arc::default();
        let run_id = RunId::generate();
        let mut first = board.execute(run_id.clone());
        let mut second = board.execute(run_id.clone());
        assert!(first.stopped.try_recv().is_err_and(|error| error == oneshot::error::TryRecvError::Closed));
        drop(first);
        assert_eq!(board.running(), std::slice::from_ref(&run_id));
        board.tell(&Change::Stop(run_id));
        assert_eq!(second.stopped.try_recv(), Ok(Stop::Cancelled));
    }
}
