//! How many calls of the provider this process has in flight, and the bounded line before them; first come, first
//! served across all workers.

use tokio::sync::{Semaphore, SemaphorePermit};

use super::deadline::{Deadline, Limit};
use super::failure::failure;
use crate::domain::{Cause, Failure};

/// Slots for calls, and places in line for those that wait for one.
pub struct Slots {
    calls_max: usize,
    queued_max: usize,
    calls: Semaphore,
    places: Semaphore,
}

impl Slots {
    /// All free.
    pub fn new(calls_max: usize, queued_max: usize) -> Self {
        Self { calls_max, queued_max, calls: Semaphore::new(calls_max), places: Semaphore::new(queued_max) }
    }

    /// Takes a slot, waiting in line until the call's deadline; errs with `Overloaded`. A free slot is never taken
    /// past those in line: the semaphore hands it to the first of them.
    pub async fn take(&self, deadline: &Deadline) -> Result<SemaphorePermit<'_>, Failure> {
        if let Ok(slot) = self.calls.try_acquire() {
            return Ok(slot);
        }
        let Ok(_place) = self.places.try_acquire() else { return Err(self.full()) };
        match deadline.bound(Limit::Deadline, self.calls.acquire()).await {
            Ok(Ok(slot)) => Ok(slot),
            Ok(Err(_)) | Err(_) => Err(self.too_long(deadline)),
        }
    }

    fn full(&self) -> Failure {
        let sentence = format!(
            "{} calls of the provider are in flight and {} wait already (upstream.calls_max, \
             upstream.calls_queued_max); try again later.",
            self.calls_max, self.queued_max
        );
        failure(Cause::Overloaded, sentence, "upstream.calls_queued_max reached")
    }

    fn too_long(&self, deadline: &Deadline) -> Failure {
        let sentence = format!(
            "None of the {} calls of the provider in flight ended within {} ms (upstream.calls_max, \
             upstream.deadline_ms); try again later.",
            self.calls_max,
            deadline.whole().as_millis()
        );
        failure(Cause::Overloaded, sentence, "upstream.deadline_ms passed in line")
    }
}
