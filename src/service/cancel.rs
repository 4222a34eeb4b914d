//! Ending a thread's running turn, on whichever replica it runs.

use std::time::Duration;

use tokio::time::{Instant, timeout_at};

use crate::domain::{Caller, IdempotencyKey, RunId, RunStatus, ThreadId};
use crate::service::idempotency::{Once, once};
use crate::service::{Error, Service};
use crate::store::replicas::Change;
use crate::store::turns::{self, Cancelled};

/// A turn that has ended.
#[derive(Debug)]
pub struct Ended {
    /// Its run.
    pub run_id: RunId,
    /// The run's final state: `cancelled`, or what it came to in the last moment.
    pub status: RunStatus,
}

/// Cancels the thread's running turn and waits for its end.
pub async fn cancel(
    service: &Service,
    caller: &Caller,
    key: Option<&IdempotencyKey>,
    thread_id: ThreadId,
) -> Result<Once<Ended>, Error> {
    let asked = once(service, caller, key, "/openai/cancel", async |connection| {
        match turns::cancel(connection, caller, &thread_id).await? {
            Cancelled::ThreadNotFound => Err(Error::ThreadNotFound(thread_id.clone())),
            Cancelled::Idle => Err(Error::NothingToCancel(thread_id.clone())),
            Cancelled::Asked(run_id) => Ok(run_id),
        }
    })
    .await?;
    let replayed = asked.replayed;
    if !replayed {
        service.process.board.tell(&Change::Stop(asked.value.clone()));
    }
    let value = ended(service, caller, thread_id.clone(), asked.value).await?;
    Ok(Once { value, replayed })
}

async fn ended(service: &Service, caller: &Caller, thread_id: ThreadId, run_id: RunId) -> Result<Ended, Error> {
    let process = &service.process;
    let place = process.board.wait(thread_id, run_id.clone());
    let bound_ms = u64::from(process.config.lease_ms) + u64::from(process.config.sweep_ms) + 1000;
    let deadline = Instant::now() + Duration::from_millis(bound_ms);
    loop {
        let outcome = turns::outcome(service.pool(), &caller.project_id, &run_id).await?;
        match outcome.map(|outcome| outcome.status) {
            Some(status) if !status.is_unfinished() => return Ok(Ended { run_id, status }),
            _ if timeout_at(deadline, place.woken()).await.is_ok() => {}
            _ => return Err(Error::StillRunning(run_id)),
        }
    }
}
